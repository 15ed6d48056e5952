"""Arguments and results as structures: where tangents go in, and where derivatives come out.

A *plan* mirrors a value: leaves for numbers and arrays, nodes for containers and objects.  Sharing and
cycles inside a value are kept: one object has one plan.
"""

from __future__ import annotations

import sys
import types
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from tapeless.errors import StructureError
from tapeless.rules.spaces import FLOAT, space_of, zeros
from tapeless.runtime.mirrors import dense_size, memory, owner
from tapeless.runtime.numbers import is_number_type
from tapeless.runtime.tangent import Tangent, tuple_like

_OPAQUE = (
    str, bytes, bytearray, type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType,
    types.MethodType, np.dtype, types.GeneratorType, range, slice, set, frozenset, np.ufunc,
)  # fmt: skip


def is_opaque(x: Any) -> bool:
    """Whether a value holds no derivative, whatever is in it."""
    random = sys.modules.get("numpy.random")  # NumPy imports it when it is first used
    return isinstance(x, _OPAQUE) or (
        random is not None and isinstance(x, (random.Generator, random.RandomState))
    )


class Plan:
    """One value of a structure: `kind` is leaf, array, tuple, list, dict, object or none."""

    __slots__ = ("children", "kind", "lin", "value")

    def __init__(self, kind: str, value: Any) -> None:
        self.kind = kind
        self.value = value
        self.children: Any = None
        self.lin: Any = None


def plan_of(x: Any, memo: dict[int, Plan]) -> Plan:
    """The plan of a value; one plan for each mutable object."""
    found = memo.get(id(x))
    if found is not None and found.value is x:
        return found
    if isinstance(x, (float, complex, np.inexact)) and not isinstance(x, np.ndarray):
        return Plan("leaf", x)
    if isinstance(x, np.ndarray):
        plan = memo[id(x)] = Plan("array" if x.dtype.kind in "fc" else "none", x)
        return plan
    if isinstance(x, tuple):
        plan = Plan("tuple", x)
        plan.children = [plan_of(e, memo) for e in x]
        return plan
    if isinstance(x, (list, deque)):
        plan = memo[id(x)] = Plan("list", x)
        plan.children = [plan_of(e, memo) for e in x]
        return plan
    if isinstance(x, dict):
        plan = memo[id(x)] = Plan("dict", x)
        plan.children = {k: plan_of(v, memo) for k, v in x.items()}
        return plan
    if x is None or isinstance(x, int) or is_opaque(x):
        return Plan("none", x)
    if is_number_type(type(x)):
        return Plan("number", x)
    if isinstance(x, Tangent):
        plan = memo[id(x)] = Plan("object", x)
        plan.children = {k: plan_of(v, memo) for k, v in x._fields.items()}
        return plan
    fields = fields_of(x)
    if fields is None:
        return Plan("none", x)
    plan = memo[id(x)] = Plan("object", x)
    plan.children = {}
    for name, value in fields.items():
        plan.children[name] = plan_of(value, memo)
    return plan


def fields_of(x: Any) -> dict[str, Any] | None:
    """The instance attributes of an ordinary object, also those in slots; None if it has none."""
    kind = type(x)
    if kind.__module__ in ("_thread", "threading", "_io", "logging", "weakref", "re"):
        return None
    fields: dict[str, Any] = {}
    known = False
    for cls in kind.__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            known = True
            if name not in ("__dict__", "__weakref__") and hasattr(x, name):
                fields[name] = getattr(x, name)
    attributes = getattr(x, "__dict__", None)
    if isinstance(attributes, dict):
        known = True
        fields.update(attributes)
    return fields if known else None


def walk(plan: Plan, seen: set[int] | None = None) -> Any:
    """Every plan below this one, each once."""
    seen = set() if seen is None else seen
    if id(plan) in seen:
        return
    seen.add(id(plan))
    yield plan
    children = plan.children
    if children is not None:
        for child in children.values() if isinstance(children, dict) else children:
            yield from walk(child, seen)


def fill_in(run: Any, plan: Plan, tangent: Any, lins: bool, done: dict[int, Any]) -> Any:
    """Put tangents of `plan` into the run's mirrors; returns the companion of the value.

    In reverse mode (`lins`) every leaf becomes an input of the record; in forward mode `tangent` gives the
    numbers.
    """
    kind = plan.kind
    if kind == "none" or (not lins and tangent is None):
        return None
    if kind == "leaf":
        plan.lin = run.record.input(plan.value) if lins else cast_leaf(plan.value, tangent)
        return plan.lin
    if kind == "number":
        plan.lin = run.record.input(FLOAT) if lins else tangent
        return plan.lin
    if kind == "tuple":
        found = tuple(
            [fill_in(run, c, part(tangent, i, lins), lins, done) for i, c in enumerate(plan.children)]
        )
        return found if any(t is not None for t in found) else None
    if id(plan) in done:
        return None
    done[id(plan)] = plan
    if kind == "array":
        fill_array(run, plan, tangent, lins)
    elif kind == "list":
        ts = [fill_in(run, c, part(tangent, i, lins), lins, done) for i, c in enumerate(plan.children)]
        if any(t is not None for t in ts):
            run.list_mirror(plan.value)[:] = ts
    else:
        place = plan.value._fields if isinstance(plan.value, Tangent) else plan.value
        for key, child in plan.children.items():
            run.put(place, key, fill_in(run, child, field(tangent, key, lins), lins, done))
    return None


def cast_leaf(x: Any, t: Any) -> Any:
    """A tangent given by the user, as a number of the type of the value it belongs to."""
    if t is None:
        return None
    if type(x) is float:
        return float(t)
    if type(x) is complex:
        return complex(t)
    if isinstance(x, np.inexact) and not isinstance(x, np.ndarray):
        return x.dtype.type(t)
    return t


def part(tangent: Any, i: int, lins: bool) -> Any:
    return None if lins or tangent is None else tangent[i]


def field(tangent: Any, name: Any, lins: bool) -> Any:
    if lins or tangent is None:
        return None
    if isinstance(tangent, Tangent):
        return tangent._fields.get(name)
    if isinstance(tangent, dict):
        return tangent.get(name)
    return getattr(tangent, name, None)


def fill_array(run: Any, plan: Plan, tangent: Any, lins: bool) -> None:
    """An array argument: an input for the memory of its owner, of which every view takes its window."""
    a = plan.value
    base = owner(a)
    if not lins:
        run.overwrite(a, (), np.asarray(tangent))
        return
    known = run.inputs.get(id(base))
    if known is None:
        if a is base:
            lin = run.record.input(base)
            run.create(base, lin, base)
        else:
            lin = run.record.input(np.broadcast_to(np.zeros((), base.dtype), (dense_size(base),)))
            run.new_array(base, lin, True)
        known = run.inputs[id(base)] = (base, lin, a is base)
    plan.lin = known


def input_lins(plan: Plan) -> list[Any]:
    """The record's inputs below a plan, each once."""
    found: dict[int, Any] = {}
    for p in walk(plan):
        if p.lin is not None:
            lin = p.lin[1] if type(p.lin) is tuple else p.lin
            found[lin.index] = lin
    return list(found.values())


def _zero(x: Any) -> Any:
    space = space_of(x)
    assert space is not None
    return zeros(space)


def gradient(plan: Plan, cts: dict[int, Any], memo: dict[int, Any]) -> Any:
    """The derivative in the shape of the value: `cts` maps a record index to its cotangent."""
    kind = plan.kind
    if kind == "none":
        return None  # an array of integers has no derivative; neither has anything else that is no number
    if kind == "leaf":
        ct = cts.get(plan.lin.index)
        if ct is None:
            return _zero(plan.value)
        return plan.value.dtype.type(ct) if isinstance(plan.value, np.inexact) else ct
    if kind == "number":
        ct = cts.get(plan.lin.index)
        return 0.0 if ct is None else ct
    if kind == "tuple":
        parts = [gradient(c, cts, memo) for c in plan.children]
        return tuple_like(type(plan.value), parts)
    if id(plan) in memo:
        return memo[id(plan)]
    if kind == "array":
        base, lin, whole = plan.lin
        ct = cts.get(lin.index)
        memo[id(plan)] = made = array_gradient(plan.value, base, whole, ct)
        return made
    return build(plan, memo, lambda child: gradient(child, cts, memo))


def array_gradient(a: Any, base: Any, whole: bool, ct: Any) -> Any:
    if ct is None:
        return np.zeros(a.shape, a.dtype)
    if a is base:
        return ct
    if whole:
        flat = np.zeros(dense_size(base), base.dtype)
        memory(flat, base, base)[...] = ct
        ct = flat
    return np.array(memory(np.ascontiguousarray(ct), a, base))


def build(plan: Plan, memo: dict[int, Any], make: Any) -> Any:
    """A list, dict or `Tangent` with what `make` gives for the children; cycles are closed."""
    if plan.kind == "list":
        items: list[Any] = []
        memo[id(plan)] = items
        items += [make(c) for c in plan.children]
        return items
    if plan.kind == "dict":
        table: dict[Any, Any] = {}
        memo[id(plan)] = table
        for k, c in plan.children.items():
            table[k] = make(c)
        return table
    found = memo[id(plan)] = Tangent(class_name(plan.value), {})
    for k, c in plan.children.items():
        found._fields[k] = make(c)
    return found


# ---- results


def result_tangent(run: Any, x: Any, t: Any, memo: dict[int, Any]) -> Any:
    """The tangent of a result in its own shape (forward mode)."""
    if id(x) in memo and not isinstance(x, (float, complex, tuple)):
        return memo[id(x)]
    if isinstance(x, np.ndarray):
        if x.dtype.kind not in "fc":
            return None
        found = run.tangent_of(x, None)
        made = memo[id(x)] = np.zeros(x.shape, x.dtype) if found is None else np.array(found)
        return made
    if isinstance(x, (float, complex, np.inexact)):
        return _zero(x) if t is None else t
    if isinstance(x, tuple):
        parts = [result_tangent(run, e, None if t is None else t[i], memo) for i, e in enumerate(x)]
        return tuple_like(type(x), parts)
    if t is not None and is_number_type(type(x)):
        return t
    plan = shallow(x)
    if plan is None:
        return None
    if plan.kind == "list":
        items: list[Any] = []
        memo[id(x)] = items
        m = run.mirrors.get(id(x))
        items += [result_tangent(run, e, m.data[i] if m is not None else None, memo) for i, e in enumerate(x)]
        return items
    if plan.kind == "dict":
        table: dict[Any, Any] = {}
        memo[id(x)] = table
        for k, v in x.items():
            table[k] = result_tangent(run, v, run.look(x, k), memo)
        return table
    found = memo[id(x)] = Tangent(class_name(x), {})
    place = x._fields if isinstance(x, Tangent) else x
    for k, v in plan.children.items():
        found._fields[k] = result_tangent(run, v, run.look(place, k), memo)
    return found


def class_name(x: Any) -> str:
    return str(x._name) if isinstance(x, Tangent) else type(x).__name__


def shallow(x: Any) -> Plan | None:
    """Kind and direct parts of a mutable value; None if it holds no derivative."""
    if isinstance(x, (list, deque)):
        return Plan("list", x)
    if isinstance(x, dict):
        return Plan("dict", x)
    if x is None or isinstance(x, int) or is_opaque(x):
        return None
    fields = x._fields if isinstance(x, Tangent) else fields_of(x)
    if fields is None:
        return None
    plan = Plan("object", x)
    plan.children = fields
    return plan


class Output:
    """A leaf of a result: its entry of the record (None if constant), and its space."""

    __slots__ = ("lin", "space")

    def __init__(self, lin: Any, space: Any) -> None:
        self.lin = lin
        self.space = space


def outputs_of(run: Any, x: Any, t: Any, memo: dict[int, Any]) -> Any:
    """A result as a structure of `Output`s (reverse mode); containers by kind."""
    if id(x) in memo and not isinstance(x, (float, complex, tuple)):
        return memo[id(x)]
    space = space_of(x)
    if space is not None:
        made = Output(run.tangent_of(x, t), space)
        if isinstance(x, np.ndarray):
            memo[id(x)] = made
        return made
    if isinstance(x, tuple):
        parts = [outputs_of(run, e, None if t is None else t[i], memo) for i, e in enumerate(x)]
        return ("tuple", type(x), parts)
    if t is not None and is_number_type(type(x)):
        return Output(t, FLOAT)
    plan = shallow(x)
    if plan is None:
        return None
    if plan.kind == "list":
        items: list[Any] = []
        memo[id(x)] = found = ("list", list, items)
        m = run.mirrors.get(id(x))
        items += [outputs_of(run, e, m.data[i] if m is not None else None, memo) for i, e in enumerate(x)]
        return found
    table: dict[Any, Any] = {}
    memo[id(x)] = found_dict = (plan.kind, type(x), table)
    place = x._fields if isinstance(x, Tangent) else x
    for k, v in x.items() if plan.kind == "dict" else plan.children.items():
        table[k] = outputs_of(run, v, run.look(place, k), memo)
    return found_dict


def pair_up(out: Any, ct: Any, pairs: list[tuple[Any, Any]], path: str, seen: set[tuple[int, int]]) -> None:
    """Pair every output with the user's cotangent, which must have the same structure.

    What the result holds twice has a cotangent at each place; one that is shared there, too, counts once.
    """
    if out is None or ct is None:
        return
    if isinstance(out, Output):
        check_space(ct, out.space, path or "the cotangent")
        if out.lin is not None:
            pairs.append((out.lin, ct))
        return
    kind, cls, children = out
    if (id(children), id(ct)) in seen:
        return
    seen.add((id(children), id(ct)))
    if kind in ("tuple", "list"):
        if not isinstance(ct, (tuple, list)) or len(ct) != len(children):
            raise StructureError(
                f"{path or 'the cotangent'} must be a {kind} of {len(children)} items like the result, "
                f"not {describe(ct)}"
            )
        for i, child in enumerate(children):
            pair_up(child, ct[i], pairs, f"{path or 'cotangent'}[{i}]", seen)
    else:
        for k, child in children.items():
            try:
                if isinstance(ct, Tangent):
                    one = ct._fields[k]
                else:
                    one = ct[k] if isinstance(ct, dict) else getattr(ct, k)
            except (KeyError, AttributeError):
                raise StructureError(
                    f"{path or 'the cotangent'} has no part {k!r}, which the result has"
                ) from None
            pair_up(child, one, pairs, f"{path or 'cotangent'}[{k!r}]", seen)


def check_space(t: Any, space: Any, path: str) -> None:
    """Refuse a tangent or cotangent of another shape than the value it belongs to."""
    if is_number_type(type(t)):
        return
    if isinstance(t, (str, bytes)) or not isinstance(t, (int, float, complex, np.ndarray, np.generic, list)):
        raise StructureError(f"{path} must be a number or an array of shape {space.shape}, not {describe(t)}")
    shape = np.shape(t)
    if shape != space.shape:
        raise StructureError(f"{path} has shape {shape}, but the value it belongs to has shape {space.shape}")
    if space.dtype.kind == "f" and np.iscomplexobj(t):
        raise StructureError(f"{path} is complex, but the value it belongs to is real")


def check_tangent(plan: Plan, t: Any, path: str, seen: set[int]) -> None:
    """Refuse a tangent whose structure is not that of the argument."""
    if plan.kind == "none" or t is None or id(plan) in seen:
        return
    seen.add(id(plan))
    if plan.kind == "number":
        return
    if plan.kind in ("leaf", "array"):
        check_space(t, space_of(plan.value), path)
    elif plan.kind in ("tuple", "list"):
        if not isinstance(t, (tuple, list, deque)) or len(t) != len(plan.children):
            raise StructureError(
                f"{path} must be a {plan.kind} of {len(plan.children)} items like the argument, "
                f"not {describe(t)}"
            )
        for i, child in enumerate(plan.children):
            check_tangent(child, t[i], f"{path}[{i}]", seen)
    else:
        for k, child in plan.children.items():
            where = f"{path}.{k}" if plan.kind == "object" else f"{path}[{k!r}]"
            check_tangent(child, field(t, k, False), where, seen)


def check_shared(plans: Sequence[Plan], tangents: Sequence[Any]) -> None:
    """Refuse different tangents for parts of the arguments that are one storage; None goes with any."""
    numbers: dict[int, Any] = {}
    arrays: dict[int, list[tuple[Any, Any]]] = {}
    seen: dict[tuple[int, int], Any] = {}

    def walk(plan: Plan, t: Any) -> None:
        if plan.kind == "none" or t is None or (id(plan), id(t)) in seen:
            return
        seen[id(plan), id(t)] = t
        if plan.kind in ("leaf", "number"):
            known = numbers.setdefault(id(plan), t)
            agree(known is t or known == t or (known != known and t != t))
        elif plan.kind == "array":
            arrays.setdefault(id(owner(plan.value)), []).append((plan.value, t))
        elif isinstance(plan.children, dict):
            for k, child in plan.children.items():
                walk(child, field(t, k, False))
        else:
            for child, one in zip(plan.children, t, strict=True):
                walk(child, one)

    def agree(same: bool) -> None:
        if not same:
            raise StructureError("parts of the arguments are one storage, and their tangents differ")

    for plan, t in zip(plans, tangents, strict=True):
        walk(plan, t)
    for found in arrays.values():
        if len(found) > 1:
            base = owner(found[0][0])
            flat = np.zeros(dense_size(base), base.dtype)
            windows = [(memory(flat, a, base), np.asarray(t, a.dtype)) for a, t in found]
            for window, t in windows:
                window[...] = t
            for window, t in windows:
                agree(np.array_equal(window, t, equal_nan=True))


def describe(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return f"an array of shape {x.shape}"
    items = f" of {len(x)} items" if isinstance(x, (list, tuple, dict, deque)) else ""
    return f"a {type(x).__name__}{items}"
