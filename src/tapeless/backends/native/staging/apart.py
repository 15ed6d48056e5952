"""A call staged apart: a function of its own, with a parameter for each leaf that is differentiated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import (
    Alias,
    Alloc,
    Array,
    Assign,
    Dim,
    For,
    Function,
    Grow,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.staging import arrays
from tapeless.backends.native.staging.heap import content, fill, is_object
from tapeless.backends.native.staging.values import ArrayValue, Instance, Mapping, Number, Static, Value
from tapeless.backends.native.staging.values import Sequence as SequenceValue
from tapeless.errors import NotDifferentiableError

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

#: The derivative's dtype of a float array, by the name of its dtype.
FLOAT_ARRAYS = ("float64", "float32")
FLOAT_KINDS = (float, np.float64, np.float32)


@dataclass
class Apart:
    """A call, staged apart: `function` has a parameter for each leaf of the arguments that count."""

    function: Function
    count: int
    """How many parameters are differentiated; they come first."""
    leaves: list[Value]
    """Those parameters, as values."""
    shapes: list[Value]
    """The arguments that count, as they were on entry: structures of those values."""
    value: Value
    """The result, in terms of scalars and arrays of the body."""
    written: bool
    """Whether the call writes memory that was there before."""
    changed: list[Any]
    """Objects that the call has changed."""


@dataclass
class _Parameters:
    """Gives the arguments parameters for their leaves; objects keep their identity."""

    stager: Stager
    params: list[Scalar | Array] = field(default_factory=list)
    leaves: list[Value] = field(default_factory=list)
    copied: set[Array] = field(default_factory=set)
    shapes: dict[int, Value] = field(default_factory=dict)
    """Object of the current argument -> its structure on entry."""
    before: dict[int, tuple[Any, Any]] = field(default_factory=dict)
    found: dict[Array, Value] = field(default_factory=dict)

    def argument(self, value: Value, name: str) -> tuple[Value, Value]:
        """What the call is given for an argument, and its structure; arguments share no parameter."""
        self.shapes, self.found = {}, {}
        return self.of(value, name, True)

    def of(self, value: Value, path: str, top: bool = False) -> tuple[Value, Value]:
        stager = self.stager
        if isinstance(value, Static) and type(value.obj) in FLOAT_KINDS:
            value = stager.number(value)
        if isinstance(value, Number) and value.kind in FLOAT_KINDS:
            p = stager.scalar(value.expr.type, path)
            stager.emit(Assign(p, value.expr))
            return self.leaf(p, Number(Ref(p), value.kind))
        if isinstance(value, ArrayValue) and value.dtype in FLOAT_ARRAYS:
            view = arrays.materialise(stager, value)
            if view.array in self.found:  # one storage in two places of an argument is one leaf
                return view, self.found[view.array]
            if view.array.alias is not None or view.array in self.params:
                view = arrays.store_copy(stager, view)
                self.copied.add(view.array)
            self.found[view.array] = view
            return self.leaf(view.array, view)
        if isinstance(value, (SequenceValue, Mapping, Instance)):
            return self.structure(value, path)
        if top:
            raise NotDifferentiableError(
                f"cannot take a derivative with respect to {path!r}: it is of type "
                f"{type_name(value)}, which has no derivative; pass a float"
            )
        return value, value

    def leaf(self, param: Scalar | Array, value: Value) -> tuple[Value, Value]:
        self.params.append(param)
        self.leaves.append(value)
        return value, value

    def structure(self, value: Any, path: str) -> tuple[Value, Value]:
        if id(value) in self.shapes:
            return value, self.shapes[id(value)]
        held = content(value)
        keys = range(len(held)) if isinstance(held, list) else list(held)
        shape: Value
        if isinstance(value, SequenceValue):
            shape = SequenceValue([], value.kind)
        else:
            shape = Mapping({}, value.kind) if isinstance(value, Mapping) else Instance(value.cls, {})
        if is_object(value):
            self.shapes[id(value)] = shape
        pairs = {k: self.of(held[k], f"{path}_{k}") for k in keys}
        inner = (
            [p[0] for p in pairs.values()] if isinstance(held, list) else {k: p[0] for k, p in pairs.items()}
        )
        fill(
            shape,
            [p[1] for p in pairs.values()] if isinstance(held, list) else {k: p[1] for k, p in pairs.items()},
        )
        if not is_object(value):
            return SequenceValue(inner, value.kind), shape
        self.before[id(value)] = (value, held)
        self.stager.heap.write(value, inner)
        return value, shape

    def put_back(self) -> None:
        """Objects hold again what they held, where the call has not put something else there."""
        given = {id(leaf) for leaf in self.leaves}
        for obj, held in self.before.values():
            now = content(obj)
            keys = range(min(len(now), len(held))) if isinstance(now, list) else [k for k in now if k in held]
            for k in keys:
                if id(now[k]) in given:
                    now[k] = held[k]
            fill(obj, now)


def type_name(value: Value) -> str:
    if isinstance(value, Number):
        return value.kind.__name__
    if isinstance(value, Static):
        return type(value.obj).__name__
    return f"array of {value.dtype}" if isinstance(value, ArrayValue) else type(value).__name__.lower()


def stage_apart(
    stager: Stager, fun: Any, args: list[Value], kwargs: dict[str, Value], where: Sequence[int | str]
) -> Apart:
    """Stage a call of `fun` with the arguments at `where` (positions or keywords) as parameters."""
    parameters = _Parameters(stager)
    args, kwargs = list(args), dict(kwargs)
    shapes: list[Value] = []
    for at in where:
        holder: Any = kwargs if isinstance(at, str) else args
        name = at if isinstance(at, str) else argument_name(fun, at)
        holder[at], shape = parameters.argument(holder[at], name)
        shapes.append(shape)
    level = stager.heap.open()
    with stager.collect() as body:
        value = stager.call(as_value(fun), args, kwargs)
    changed = [obj for obj, _ in stager.heap.since(level).held.values()]
    stager.heap.close(level)
    parameters.put_back()
    count = len(parameters.params)
    params = list(parameters.params)
    free, written = _free(body, params)
    if written & parameters.copied:
        stager.refuse(
            "the derivative by an array that is part of another one, and is written",
            "differentiate a function that copies it first",
        )
    params.extend(free)
    name = getattr(fun, "__name__", "inner")
    function = Function(name, params, body, [], stager.failures)
    return Apart(function, count, parameters.leaves, shapes, value, bool(written), changed)


def keep_changes(stager: Stager, apart: Apart) -> None:
    """What the call has put into objects outlives the reverse sweep: as results of the function."""
    for obj in apart.changed:
        held = content(obj)
        if isinstance(held, list):
            fill(obj, [_kept(stager, apart, v) for v in held])
        elif isinstance(held, dict):
            fill(obj, {k: _kept(stager, apart, v) for k, v in held.items()})
        elif held is not None:
            fill(obj, _kept(stager, apart, held))


def _kept(stager: Stager, apart: Apart, value: Value) -> Value:
    if isinstance(value, Number) and isinstance(value.expr, Ref):
        made = {s.var for s in walk(apart.function.body) if isinstance(s, Assign)}
        if value.expr.var not in made:
            return value
    if isinstance(value, Number) or (isinstance(value, SequenceValue) and not is_object(value)):
        return result(stager, apart, value)
    return value


def as_value(fun: Any) -> Value:
    return fun if isinstance(fun, Value) else Static(fun)


def argument_name(fun: Any, at: int) -> str:
    import inspect

    try:
        return list(inspect.signature(fun).parameters)[at]
    except (ValueError, TypeError, IndexError):
        return f"argument {at}"


def _free(body: list[Stmt], params: list[Scalar | Array]) -> tuple[list[Scalar | Array], set[Array]]:
    """What a body takes from outside, and the arrays that it writes among them."""
    made: set[Any] = set()
    used: dict[Scalar | Array, None] = {}
    written: set[Array] = set()
    for s in walk(body):
        for e in expressions(s):
            for part in leaves(e):
                if isinstance(part, Ref):
                    used[part.var] = None
                elif isinstance(part, (Load, Dim)):
                    used[part.array] = None
        if isinstance(s, (Assign, For)):
            made.add(s.var)
        elif isinstance(s, (Alloc, Alias)):
            made.add(s.array)
            if isinstance(s, Alias) and s.array.alias is not None:
                used[s.array.alias] = None
        elif isinstance(s, (Store, Grow)):
            used[s.array] = None
            written.add(s.array)
        elif isinstance(s, Swap):
            used[s.a] = used[s.b] = None
            written |= {s.a, s.b}
        elif isinstance(s, Intrinsic):
            for x in (*s.ins, *s.outs):
                if isinstance(x, Array):
                    used[x] = None
            made.update(x for x in s.outs if isinstance(x, Scalar))
            written.update(x for x in s.outs if isinstance(x, Array))
    free = [x for x in used if x not in made and x not in params]
    outside = {a for a in written if a.root not in made}
    return free, outside


def result(stager: Stager, apart: Apart, value: Value) -> Value:
    """`value`, computed in the body of `apart`, as results of its function."""
    fn = apart.function
    if isinstance(value, Number):
        r = stager.scalar(value.expr.type, "value")
        fn.body.append(Assign(r, value.expr))
        fn.results.append(r)
        return Number(Ref(r), value.kind)
    if isinstance(value, ArrayValue):
        with stager.collect() as more:
            view = arrays.store_copy(stager, value)
        fn.body.extend(more)
        fn.results.append(view.array)
        return view
    if isinstance(value, SequenceValue):
        return SequenceValue([result(stager, apart, v) for v in value.items], value.kind)
    if isinstance(value, Mapping):
        return Mapping({k: result(stager, apart, v) for k, v in value.items.items()}, value.kind)
    if isinstance(value, Instance):
        return Instance(value.cls, {k: result(stager, apart, v) for k, v in value.fields.items()})
    return value


def rebuild(shape: Value, made: dict[int, Value], memo: dict[int, Value] | None = None) -> Value:
    """A structure like `shape` with derivatives in place of its leaves; None where there is none."""
    from tapeless.runtime.tangent import Tangent

    memo = {} if memo is None else memo
    if id(shape) in made:
        return made[id(shape)]
    if id(shape) in memo:
        return memo[id(shape)]
    new: Value
    if isinstance(shape, SequenceValue):
        memo[id(shape)] = new = SequenceValue([], shape.kind)
        new.items = [rebuild(v, made, memo) for v in shape.items]
        return new
    if isinstance(shape, Mapping):
        memo[id(shape)] = new = Mapping({}, shape.kind)
        new.items = {k: rebuild(v, made, memo) for k, v in shape.items.items()}
        return new
    if isinstance(shape, Instance):
        memo[id(shape)] = new = Instance(Tangent, {})
        new.fields = {"_name": Static(shape.cls.__name__)}
        new.fields.update((k, rebuild(v, made, memo)) for k, v in shape.fields.items())
        return new
    return Static(None)


def float_leaves(shape: Value, seen: set[int] | None = None) -> Iterator[Value]:
    """The numbers and arrays of floats in a structure, each once."""
    seen = set() if seen is None else seen
    if id(shape) in seen:
        return
    seen.add(id(shape))
    if isinstance(shape, SequenceValue):
        for v in shape.items:
            yield from float_leaves(v, seen)
    elif isinstance(shape, (Mapping, Instance)):
        for v in (shape.items if isinstance(shape, Mapping) else shape.fields).values():
            yield from float_leaves(v, seen)
    elif (isinstance(shape, Number) and shape.kind in FLOAT_KINDS) or (
        isinstance(shape, ArrayValue) and shape.dtype in FLOAT_ARRAYS
    ):
        yield shape
