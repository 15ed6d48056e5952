"""`vjp`, `linearize`, `transpose` in a staged program: linear maps that are applied later, many times.

What a linear map needs later it finds where the first run left it.  Arrays that the program can reach are
copied before the program overwrites them (they are held by a lazy value, which is made at the last moment).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.again import again
from tapeless.backends.native.forward import forward
from tapeless.backends.native.nest import Array, Dim, Function, Stmt, walk
from tapeless.backends.native.promote import promote
from tapeless.backends.native.scopes import touched
from tapeless.backends.native.staging import storage
from tapeless.backends.native.staging.apart import (
    Apart,
    Name,
    argument_name,
    as_values,
    found,
    names,
    rebuild,
    stage_apart,
    type_name,
)
from tapeless.backends.native.staging.derivatives import bind, count_names, match, with_aux
from tapeless.backends.native.staging.values import Bound, Lazy, Static, Value
from tapeless.backends.native.staging.values import Sequence as SequenceValue
from tapeless.backends.native.staging.zeros import derivative, primal, reversal, watch
from tapeless.errors import MissingRuleError, NotDifferentiableError, StructureError

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


@dataclass(eq=False)
class Map:
    """A linear map: what it was made from, and the arrays it needs as they are now."""

    apart: Apart
    where: list[int]
    total: int
    value: Value
    held: dict[Array, Lazy] = field(default_factory=dict)

    def hold(self, stager: Stager, *bodies: list[Stmt]) -> None:
        """The arrays of `bodies` that the program can reach stay as they are for this map."""
        fn = self.apart.function
        reach = {x.root for x in (*fn.params, *fn.results) if isinstance(x, Array)}
        used = {x for body in bodies for s in walk(body) for x in touched(s)}
        for a in sorted(reach & {x for x in used if isinstance(x, Array)}, key=lambda a: a.name):
            shape = storage.state(stager).shapes.get(a) or tuple(Dim(a, k) for k in range(a.ndim))
            view = storage.whole_view(a, shape, a.dtype)
            self.held[a] = storage.lazy(stager, shape, a.dtype, view.element, [view])

    def moved(self) -> dict[Array, Array]:
        return {a: lazy.made.array for a, lazy in self.held.items() if lazy.made is not None}

    def tangents(self, result: list[Value]) -> Value:
        """One for each primal; None for those without a derivative."""
        made: list[Value] = [Static(None)] * self.total
        for k, at in enumerate(self.where):
            made[at] = result[k]
        return SequenceValue(made, tuple)


def _differentiable(stager: Stager, fun: Value, primals: Sequence[Value], what: str) -> list[int]:
    where = [k for k, x in enumerate(primals) if next(found(x), None) is not None]
    if primals and not where:
        raise NotDifferentiableError(
            f"cannot take a derivative with respect to {argument_name(fun, 0)!r}: it is of type "
            f"{type_name(primals[0])}, which has no derivative; pass a float"
        )
    return where


def _method(name: str, run: Any, owner: Value) -> Value:
    from tapeless.backends.native.staging.callables import Method

    return Bound(Static(Method(name, run)), owner)


# ---- vjp


def vjp(stager: Stager, fun: Value, *primals: Value, has_aux: Value | None = None) -> Value:
    where = _differentiable(stager, fun, primals, "vjp")
    apart, changed = stage_apart(stager, fun, list(primals), {}, where)
    value, aux = with_aux(stager, fun, apart, has_aux is not None and bool(stager.known(has_aux)))
    value = apart.followed(value)
    seeds = _seeds(apart.function, value)
    aux = None if aux is None else apart.result(aux)
    apart.close(changed)
    linear = Map(apart, where, len(primals), value)
    parts = reversal(stager, promote(apart.function), range(apart.count), seeds)
    apart.insert(parts.forward)
    linear.hold(stager, parts.backward)

    def pull(s: Any, owner: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
        body, renaming = again(parts.backward, parts.forward, linear.moved())
        cotangents = [renaming.name(x) for x in parts.seeds]
        return _pulled(s, linear, cotangents, body, [renaming.name(x) for x in parts.gradients], args)

    pullback = _method("pullback", pull, fun)
    return SequenceValue([value, pullback] if aux is None else [value, pullback, aux], tuple)


def _seeds(fn: Function, value: Value) -> list[int]:
    wanted = [x for leaf in found(value) for x in names(leaf)]
    return [fn.results.index(x) for x in wanted]


def _pulled(
    stager: Stager,
    linear: Map,
    seeds: Sequence[Name],
    body: list[Stmt],
    gradients: Sequence[Name],
    args: list[Value],
) -> Value:
    if len(args) != 1:
        raise StructureError(f"a pullback takes one cotangent, not {len(args)}")
    pairs: list[tuple[Value, Value | None]] = []
    match(linear.value, args[0], pairs)
    fresh: list[Name] = [_copy(x) for x in seeds]
    bind(stager, fresh, list(found(linear.value)), pairs)
    body, _ = _renamed(body, dict(zip(seeds, fresh, strict=True)))
    stager.block.extend([*body, *watch(stager, gradients)])
    table = as_values(stager, gradients, linear.apart.leaves)
    return linear.tangents([rebuild(shape, table) for shape in linear.apart.shapes])


def _copy(x: Name) -> Name:
    from tapeless.backends.native.nest import Scalar

    return Array(x.name, x.dtype, x.ndim) if isinstance(x, Array) else Scalar(x.name, x.type)


def _renamed(body: list[Stmt], table: dict[Name, Name]) -> tuple[list[Stmt], None]:
    from tapeless.backends.native.renaming import Renaming

    return Renaming(table).body(body), None


# ---- linearize, transpose


class LinearMap(Bound):
    """What `linearize` gives: called with tangents, or transposed."""

    __slots__ = ("linear",)

    def __init__(self, function: Value, owner: Value, linear: Map) -> None:
        super().__init__(function, owner)
        self.linear = linear


def linearize(stager: Stager, fun: Value, *primals: Value) -> Value:
    where = _differentiable(stager, fun, primals, "linearize")
    apart, changed = stage_apart(stager, fun, list(primals), {}, where)
    value = apart.followed(apart.value)
    apart.close(changed)
    if apart.written:
        stager.refuse(
            "the linear map of a program that writes into its arguments", "let it write into a copy"
        )
    linear = Map(apart, where, len(primals), value)
    try:
        made = derivative(stager, forward, apart.function, range(apart.count), watched=False)
    except MissingRuleError as error:
        stager.refuse(f"linearize: {error}", "use vjp")
    apart.insert(primal(stager, apart.function, range(apart.count)))
    linear.hold(stager, apart.function.body)

    def push(s: Any, owner: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
        if len(args) != len(primals):
            raise StructureError(f"the linear map takes {len(primals)} tangents, not {len(args)}")
        pairs: list[tuple[Value, Value | None]] = []
        for shape, at in zip(apart.shapes, where, strict=True):
            match(shape, args[at], pairs)
        seeds = made.params[len(apart.function.params) :]
        fresh = [_copy(x) for x in seeds]
        bind(s, fresh, apart.leaves, pairs)
        body, renaming = again(made.body, (), linear.moved())
        body, _ = _renamed(body, dict(zip([renaming.name(x) for x in seeds], fresh, strict=True)))
        floats = list(found(value))
        tangents = made.results[len(apart.function.results) :][: count_names(floats)]
        slopes = [renaming.name(x) for x in tangents]
        s.block.extend([*body, *watch(s, slopes)])
        return rebuild(value, as_values(s, slopes, floats))

    return SequenceValue([value, LinearMap(_method("push", push, fun).function, fun, linear)], tuple)  # type: ignore[attr-defined]


def transpose(stager: Stager, linear_map: Value) -> Value:
    if not isinstance(linear_map, LinearMap):
        stager.throw(TypeError, "transpose takes the linear map that linearize returns")
        return Static(None)
    linear = linear_map.linear
    apart = linear.apart
    with apart.unnamed():
        seeds = _seeds(apart.function, linear.value)
        parts = reversal(stager, promote(apart.function), range(apart.count), seeds)

    def pull(s: Any, owner: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
        body, renaming = again([*parts.forward, *parts.backward], (), linear.moved())
        gradients = [renaming.name(x) for x in parts.gradients]
        return _pulled(s, linear, [renaming.name(x) for x in parts.seeds], body, gradients, args)

    return _method("pullback", pull, linear_map.owner)
