"""The order of a few numbers that are known at run time only: they are exchanged two at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapeless.backends.native.nest import FLOATS, Expr, apply
from tapeless.backends.native.staging.base import TYPES
from tapeless.backends.native.staging.growing_items import is_mixed, leaves, numbers, spec_of_all
from tapeless.backends.native.staging.specs import Spec
from tapeless.backends.native.staging.values import Number, Sequence, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.builtin_calls import Builtins

#: How many items are sorted so: the code grows with the square.
FEW = 12


def ordered(s: Builtins, items: list[Value], keys: list[Value], backwards: bool) -> list[Value] | None:
    """The items by their keys, equal ones as they stood; None if they are not a few of one kind."""
    spec, by = spec_of_all(s, items), spec_of_all(s, keys)
    if len(items) > FEW or spec is None or by is None or by.how != "number" or is_mixed(spec) or is_mixed(by):
        return None
    if any(leaf.how != "number" for leaf in leaves(spec)):
        return None
    kinds = [leaf.kind for leaf in leaves(spec)]
    rows = [[s.bind(s.as_expr(v, TYPES[k])) for v, k in zip(numbers(x), kinds, strict=True)] for x in items]
    places = [s.bind(s.as_expr(k)) for k in keys]
    if places[0].type in FLOATS:
        for k in places:  # Python's order then depends on how it sorts
            s.replay_unless(apply("not", apply("isnan", k)))
    if backwards:  # what is equal stays in order
        rows.reverse()
        places.reverse()

    def exchange(swap: Expr, j: int) -> None:
        places[j - 1], places[j] = (
            either(swap, places[j], places[j - 1]),
            either(swap, places[j - 1], places[j]),
        )
        pairs = list(zip(rows[j - 1], rows[j], strict=True))
        rows[j - 1] = [either(swap, b, a) for a, b in pairs]
        rows[j] = [either(swap, a, b) for a, b in pairs]

    def either(condition: Expr, a: Expr, b: Expr) -> Expr:
        return s.bind(apply("select", condition, a, b))

    for i in range(1, len(rows)):
        for j in range(i, 0, -1):
            exchange(s.bind(apply("lt", places[j], places[j - 1])), j)
    if backwards:
        rows.reverse()
    return [assembled(spec, [Number(e, kind) for e, kind in zip(row, kinds, strict=True)]) for row in rows]


def assembled(spec: Spec, parts: list[Number]) -> Value:
    """An item from its numbers, which are taken from the front."""
    if spec.how == "number":
        return parts.pop(0)
    return Sequence([assembled(p, parts) for p in spec.parts], spec.kind)
