"""Numbers that a package defines by operator overloading: differentiated as numbers, in their own arithmetic.

The derivative of a polynomial at a number with an uncertainty is such a number itself: partials
are evaluated on such numbers by the same rules as on floats, and nothing looks inside them.
"""

from __future__ import annotations

from typing import Any

from tapeless.rules.registry import Elementwise
from tapeless.rules.spaces import FLOAT

_ARITHMETIC = "__add__ __radd__ __mul__ __rmul__ __truediv__ __rtruediv__ __pow__ __neg__".split()
_CONTAINER = "__getitem__ __iter__ __len__ __array__".split()
_known: dict[type, bool] = {}


def is_number_type(kind: type) -> bool:
    """Whether a class behaves as a number: all of arithmetic in Python, and nothing of a container."""
    found = _known.get(kind)
    if found is None:
        found = all(hasattr(getattr(kind, name, None), "__code__") for name in _ARITHMETIC) and not any(
            hasattr(kind, name) for name in _CONTAINER
        )
        _known[kind] = found
    return found


def number_operator(run: Any, rule: Any, op: Any, args: Any, ts: Any) -> tuple[Any, Any] | None:
    """An operator on such numbers; None where its methods must be opened: a number with active parts, or one
    that is a constant and gets them from a float."""
    if not isinstance(rule, Elementwise):
        return None
    if all([t is None or not is_number_type(type(x)) for x, t in zip(args, ts, strict=True)]):
        return None
    for x, t in zip(args, ts, strict=True):
        if t is None and is_number_type(type(x)) and run.reaches((x,)):
            return None
    value = op(*args)
    if rule.separate:
        pairs = zip(rule.partials, ts, strict=True)
        partials = [None if t is None or p is None else p(value, *args) for p, t in pairs]
    else:
        found = rule.partials(value, *args)
        partials = list(found) if isinstance(found, tuple) else [found]
    active = [(p, t) for p, t in zip(partials, ts, strict=True) if p is not None and t is not None]
    if run.reverse:
        parents = tuple([t.index for _, t in active])
        return value, run.record.append(tuple([p for p, _ in active]), parents, FLOAT)
    total = None
    for p, t in active:
        total = p * t if total is None else total + p * t
    return value, total
