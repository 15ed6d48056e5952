"""`vmap`: a program over a batch is a loop whose iterations do not depend on each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import (
    I64,
    Alloc,
    Array,
    Assign,
    Dim,
    Expr,
    For,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    children,
    leaves,
    walk,
)
from tapeless.backends.native.staging import arrays
from tapeless.backends.native.staging.apart import as_value
from tapeless.backends.native.staging.storage import Raised, fail
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Mapping,
    Number,
    Sequence,
    Slice,
    Static,
    Value,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

_ALL = Slice(Static(None), Static(None), Static(None))


def vmap(stager: Stager, what: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """The results of `what.fun` for every entry of a batch, stacked."""
    axes = what.in_axes if isinstance(what.in_axes, (tuple, list)) else [what.in_axes] * len(args)
    lengths: list[Expr] = []
    try:
        if len(axes) != len(args):
            fail(stager, ValueError, f"vmap was given {len(axes)} in_axes and {len(args)} arguments")
        for value, axis in zip(args, axes, strict=True):
            _lengths(stager, value, axis, lengths)
        for value in kwargs.values():
            _lengths(stager, value, 0, lengths)
        if not lengths:
            fail(stager, ValueError, "vmap needs an argument with an axis to map over")
    except Raised:
        return Static(None)
    n = stager.bind(lengths[0])
    for other in lengths[1:]:
        if other != lengths[0]:
            message = "vmap was given arrays of different lengths along the mapped axes"
            stager.check(apply("eq", other, n), ValueError, message)
    if stager.handlers or stager.finals:
        stager.refuse("vmap inside a try block", "call it outside the block")
    level, clock = stager.heap.open(), stager.heap.clock
    with stager.collect() as made, stager.loops((n,), independent=True) as (i,):
        closed, stager.closed = stager.closed, 0  # the program of one entry has any control flow
        inner = [_entry(stager, v, axis, i) for v, axis in zip(args, axes, strict=True)]
        named = {k: _entry(stager, v, 0, i) for k, v in kwargs.items()}
        stacked = _Stack(stager, n, i)
        value = stager.call(as_value(what.fun), inner, named)
        result = stacked.of(value, what.out_axes) if stager.alive else Static(None)
        allocs = stacked.allocs
        stager.closed, stager.alive = closed, True
    if any(stager.heap.age(obj) <= clock for obj, _ in stager.heap.since(level).held.values()):
        stager.refuse("vmap of a program that changes objects of the program around it", "return the values")
    stager.heap.close(level)
    loop = next(s for s in made if isinstance(s, For))
    inside = {s.var for s in walk(loop.body) if isinstance(s, (Assign, For))} | {loop.var}
    own = {s.array for s in walk(loop.body) if isinstance(s, Alloc)} - {a.array for a in allocs}
    for alloc in allocs:
        if not any(_depends(part, inside, own) for e in alloc.shape for part in leaves(e)):
            _take_out(loop.body, alloc)
            stager.emit(alloc)
        elif stager.differentiated:
            stager.refuse(
                "the derivative of a vmap whose results have lengths that the program computes",
                "let it return arrays whose lengths follow from those of its arguments",
            )
    results = {a.array for a in allocs}
    loop.independent = not any(
        isinstance(s, Store) and s.array.root not in own and s.array.root not in results
        for s in walk(loop.body)
    )
    for s in made:
        stager.emit(s)
    return result


def _take_out(body: list[Stmt], alloc: Alloc) -> None:
    """Removes `alloc` from `body`; after what may raise it stands in a branch."""
    if alloc in body:
        body.remove(alloc)
        return
    for stmt in body:
        for inner in children(stmt):
            _take_out(inner, alloc)


def _depends(part: Expr, inside: set[Scalar], own: set[Array]) -> bool:
    if isinstance(part, Ref):
        return part.var in inside
    return isinstance(part, Load) or (isinstance(part, Dim) and part.array.root in own)


def _lengths(stager: Stager, value: Value, axis: Any, found: list[Expr]) -> None:
    if axis is None:
        return
    if isinstance(value, ArrayValue):
        if not -value.ndim <= axis < value.ndim:
            fail(stager, ValueError, f"vmap maps over axis {axis} of an array of {value.ndim} axes")
        found.append(value.shape[axis])
    elif isinstance(value, Sequence):
        for k, v in enumerate(value.items):
            _lengths(stager, v, axis[k] if isinstance(axis, (tuple, list)) else axis, found)
    elif isinstance(value, Mapping):
        for k, v in value.items.items():
            _lengths(stager, v, axis[k] if isinstance(axis, dict) else axis, found)
    else:
        message = "vmap maps over arrays; give None in in_axes for an argument that is the same for all"
        fail(stager, ValueError, message)


def _entry(stager: Stager, value: Value, axis: Any, i: Expr) -> Value:
    """What one iteration sees of an argument."""
    if axis is None:
        return value
    if isinstance(value, ArrayValue):
        at = axis % value.ndim
        index = [_ALL] * at + [Number(i, int)]
        return arrays.getitem(stager, value, Sequence(list(index), tuple))
    if isinstance(value, Sequence):
        axes = axis if isinstance(axis, (tuple, list)) else [axis] * len(value.items)
        items = [_entry(stager, v, a, i) for v, a in zip(value.items, axes, strict=True)]
        return Sequence(items, value.kind)
    assert isinstance(value, Mapping)
    return Mapping(
        {k: _entry(stager, v, axis[k] if isinstance(axis, dict) else axis, i) for k, v in value.items.items()}
    )


class _Stack:
    """Stores the results of one iteration into arrays of all."""

    def __init__(self, stager: Stager, n: Expr, i: Expr) -> None:
        self.stager, self.n, self.i = stager, n, i
        self.allocs: list[Alloc] = []

    def of(self, value: Value, axis: Any) -> Value:
        stager = self.stager
        if isinstance(value, Static) and isinstance(value.obj, (bool, int, float)):
            value = stager.number(value)
        if isinstance(value, Number):
            dtype = {"f64": "float64", "f32": "float32", I64: "int64", "bool": "bool"}[value.expr.type]
            whole = self.array(dtype, ())
            stager.emit(Store(whole, (self.i,), value.expr))
            return arrays.argument(stager, whole, dtype)
        if isinstance(value, ArrayValue):
            if value.dtype.startswith("complex"):
                stager.refuse("vmap of a program with complex results", "return real and imaginary parts")
            at = axis % (value.ndim + 1)
            shape = tuple(stager.bind(n) for n in value.shape)
            whole = self.array(value.dtype, shape, at)
            with stager.loops(shape) as index:
                item = value.element(index)
                assert isinstance(item, Expr)
                stager.emit(Store(whole, (*index[:at], self.i, *index[at:]), item))
            return arrays.argument(stager, whole, value.dtype)
        if isinstance(value, Sequence):
            axes = axis if isinstance(axis, (tuple, list)) else [axis] * len(value.items)
            return Sequence([self.of(v, a) for v, a in zip(value.items, axes, strict=True)], value.kind)
        if isinstance(value, Mapping):
            return Mapping(
                {k: self.of(v, axis[k] if isinstance(axis, dict) else axis) for k, v in value.items.items()}
            )
        return stager.refuse("vmap of a program whose result is no array", "return numbers and arrays")

    def array(self, dtype: str, shape: tuple[Expr, ...], at: int = 0) -> Array:
        whole = self.stager.array(dtype, len(shape) + 1, "batch")
        alloc = Alloc(whole, (*shape[:at], self.n, *shape[at:]))
        self.allocs.append(alloc)
        self.stager.emit(alloc)
        return whole
