"""Derivatives asked for by a staged program: `grad(f)(x)` becomes the nest of `f`, differentiated, in place.

What is differentiated is staged apart, with parameters of its own for the arguments that count; `reverse` and
`forward` map it to the nest of the derivative, whose statements then stand where the call stood.  So
derivatives nest to any depth, and a derivative inside a loop is differentiated like any other code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.forward import forward
from tapeless.backends.native.nest import (
    F64,
    FLOATS,
    Alloc,
    Array,
    Assign,
    Dim,
    Expr,
    Function,
    Load,
    Ref,
    Scalar,
    Store,
    const,
)
from tapeless.backends.native.promote import promote
from tapeless.backends.native.reverse import reverse
from tapeless.backends.native.staging import arrays
from tapeless.backends.native.staging.apart import (
    Apart,
    float_leaves,
    keep_changes,
    rebuild,
    result,
    stage_apart,
    type_name,
)
from tapeless.backends.native.staging.batches import vmap
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Instance,
    Mapping,
    Number,
    Static,
    Value,
)
from tapeless.backends.native.staging.values import (
    Sequence as SequenceValue,
)
from tapeless.errors import NotDifferentiableError, NotScalarError, StructureError

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def handles(obj: Any) -> bool:
    """Whether `obj` is one of tapeless's own transformations, or a function that one of them made."""
    from tapeless import api, custom, matrices, native

    if isinstance(obj, (api.Gradient, matrices.Jacobian, native.Jitted, native.Vmap)):
        return True
    return any(obj is f for f in (api.jvp, api.vjp, custom.checkpoint))


def call(stager: Stager, obj: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """What a transformation gives for these arguments."""
    from tapeless import api, custom, matrices, native

    if isinstance(obj, native.Jitted):
        return stager.call(Static(obj.fun), args, kwargs)
    if isinstance(obj, native.Vmap):
        return vmap(stager, obj, args, kwargs)
    if isinstance(obj, api.Gradient):
        return gradient(stager, obj, args, kwargs)
    if isinstance(obj, matrices.Jacobian):
        return jacobian(stager, obj, args, kwargs)
    if obj is api.jvp:
        return jvp(stager, *args, **kwargs)
    if obj is custom.checkpoint:  # what to keep and what to compute again is chosen by the compiler
        return args[0]
    return stager.refuse(f"{obj.__name__} inside a compiled program", "call it from outside the program")


def insert(stager: Stager, fn: Function) -> None:
    """The statements of a nest, here.  Its parameters are scalars and arrays of the program around it."""
    for s in fn.body:
        stager.emit(s)


def as_values(stager: Stager, results: Sequence[Scalar | Array], like: Sequence[Value]) -> Iterator[Value]:
    """Scalars and arrays of a nest as values, each of the kind of its primal."""
    for r, x in zip(results, like, strict=True):
        if isinstance(r, Scalar):
            yield Number(Ref(r), x.kind if isinstance(x, Number) else float)
        else:
            yield arrays.argument(stager, r, r.dtype)


# ---- grad, value_and_grad


def gradient(stager: Stager, what: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    where = positions(what, args, kwargs)
    apart = stage_apart(stager, what.fun, args, kwargs, where)
    value, aux = apart.value, None
    if what.has_aux:
        if not isinstance(value, SequenceValue) or len(value.items) != 2:
            raise StructureError(f"with has_aux {_name(what.fun)} must return (value, aux)")
        value, aux = value.items
    if isinstance(value, Static) and isinstance(value.obj, (int, float)):
        value = stager.number(value)
    if isinstance(value, ArrayValue) and value.ndim == 0:
        with stager.collect() as more:
            item = value.element(())
            assert isinstance(item, Expr)
            value = Number(stager.bind(item), np.dtype(value.dtype).type)
        apart.function.body.extend(more)
    if not isinstance(value, Number) or value.expr.type not in FLOATS:
        if isinstance(value, Number):  # an integer: the derivative is zero
            value = Number(stager_cast(value), float)
        else:
            got = f"an array of {value.ndim} axes" if isinstance(value, ArrayValue) else type_name(value)
            raise NotScalarError(
                f"grad needs a function whose result is one real number; {_name(what.fun)} returned {got}. "
                "Sum it, or use jacobian, vjp or jvp"
            )
    value = result(stager, apart, value)
    aux = None if aux is None else result(stager, apart, aux)
    keep_changes(stager, apart)
    made = reverse(promote(apart.function), range(apart.count))
    insert(stager, made)
    slopes = as_values(stager, made.results[len(apart.function.results) :], apart.leaves)
    table = {id(leaf): slope for leaf, slope in zip(apart.leaves, slopes, strict=True)}
    grads = [rebuild(shape, table) for shape in apart.shapes]
    many = isinstance(what.argnums, (tuple, list))
    slope: Value = SequenceValue(grads, tuple) if many else grads[0]
    if what.with_value:
        first: Value = value if aux is None else SequenceValue([value, aux], tuple)
        return SequenceValue([first, slope], tuple)
    return slope if aux is None else SequenceValue([slope, aux], tuple)


def stager_cast(value: Number) -> Expr:
    from tapeless.backends.native.nest import cast

    return cast(value.expr, F64)


def positions(what: Any, args: list[Value], kwargs: dict[str, Value]) -> list[int | str]:
    from tapeless import api

    return api._positions(what.fun, what.argnums, tuple(args), dict(kwargs))


def _name(fun: Any) -> str:
    return str(getattr(fun, "__qualname__", fun))


# ---- jvp


def jvp(stager: Stager, fun: Value, primals: Value, tangents: Value, has_aux: Value | None = None) -> Value:
    if not isinstance(primals, SequenceValue) or not isinstance(tangents, SequenceValue):
        raise StructureError("jvp takes a tuple of primals and a tuple of as many tangents")
    if len(primals.items) != len(tangents.items):
        raise StructureError("jvp takes a tuple of primals and a tuple of as many tangents")
    where = [k for k, t in enumerate(tangents.items) if not (isinstance(t, Static) and t.obj is None)]
    apart = stage_apart(stager, _object(fun), primals.items, {}, where)
    value, aux = apart.value, None
    if has_aux is not None and stager.known(has_aux):
        if not isinstance(value, SequenceValue) or len(value.items) != 2:
            raise StructureError("with has_aux the function must return (value, aux)")
        value, aux = value.items
    value = result(stager, apart, value)
    count = len(apart.function.results)
    aux = None if aux is None else result(stager, apart, aux)
    made = forward(apart.function, range(apart.count))
    directions = [leaf for at in where for leaf in _tangent_leaves(stager, tangents.items[at])]
    bind_tangents(stager, made.params[len(apart.function.params) :], directions)
    insert(stager, made)
    floats = list(float_leaves(value))
    del count
    slopes = as_values(stager, made.results[len(apart.function.results) :][: len(floats)], floats)
    table = {id(leaf): slope for leaf, slope in zip(floats, slopes, strict=True)}
    parts = [value, rebuild(value, table)]
    return SequenceValue(parts if aux is None else [*parts, aux], tuple)


def _object(fun: Value) -> Any:
    return fun.obj if isinstance(fun, Static) else fun


def _tangent_leaves(stager: Stager, value: Value) -> Iterator[Value]:
    if isinstance(value, SequenceValue):
        for v in value.items:
            yield from _tangent_leaves(stager, v)
    elif isinstance(value, (Mapping, Instance)):
        for k, v in (value.items if isinstance(value, Mapping) else value.fields).items():
            if k != "_name":
                yield from _tangent_leaves(stager, v)
    elif isinstance(value, Static) and value.obj is None:
        return
    else:
        yield value


def bind_tangents(stager: Stager, params: Sequence[Scalar | Array], values: Sequence[Value]) -> None:
    """Give the tangent parameters of a nest their values."""
    if len(params) != len(values):
        raise StructureError(f"the tangents have {len(values)} leaves, the arguments {len(params)}")
    for p, v in zip(params, values, strict=True):
        if isinstance(p, Scalar):
            stager.emit(Assign(p, stager.as_expr(v, p.type)))
        else:
            if not isinstance(v, ArrayValue) or v.ndim != p.ndim:
                raise StructureError(f"the tangent of {p.name} is an array of {p.ndim} axes")
            stager.emit(Alloc(p, v.shape))
            with stager.loops(v.shape) as index:
                item = v.element(index)
                assert isinstance(item, Expr)
                stager.emit(Store(p, index, item))


# ---- jacobians


def jacobian(stager: Stager, what: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    many = isinstance(what.argnums, (tuple, list))
    wanted = list(what.argnums) if many else [what.argnums]
    blocks = [_jacobian(stager, what, args, kwargs, at) for at in wanted]
    return SequenceValue(blocks, tuple) if many else blocks[0]


def _jacobian(stager: Stager, what: Any, args: list[Value], kwargs: dict[str, Value], at: int) -> Value:
    apart = stage_apart(stager, what.fun, args, kwargs, [at])
    (x,) = apart.shapes
    if not isinstance(x, (Number, ArrayValue)):
        raise NotDifferentiableError(
            "the jacobian is taken with respect to a number or an array of floats, not a structure"
        )
    if not isinstance(apart.value, (Number, ArrayValue)):
        raise StructureError("jacobian needs a function whose result is a number or an array")
    if apart.written:
        stager.refuse("the jacobian of a program that writes into its arguments", "let it write into a copy")
    y = result(stager, apart, apart.value)
    mode = what.mode
    if mode == "auto":
        mode = "forward" if isinstance(x, Number) or isinstance(y, ArrayValue) else "reverse"
    return (_by_columns if mode == "forward" else _by_rows)(stager, apart, x, y)


def _by_columns(stager: Stager, apart: Apart, x: Value, y: Value) -> Value:
    made = forward(apart.function, [0])
    (dx,) = made.params[len(apart.function.params) :]
    dy = made.results[len(apart.function.results)]
    return _assemble(stager, made, dx, x, dy, y, columns=True)


def _by_rows(stager: Stager, apart: Apart, x: Value, y: Value) -> Value:
    made = reverse(apart.function, [0], seeded=True)
    seed = made.params[len(apart.function.params)]
    slope = made.results[len(apart.function.results)]
    # the shape of a result is known only once the function has run
    if isinstance(y, ArrayValue):
        insert(stager, apart.function)
    return _assemble(stager, made, seed, y, slope, x, columns=False)


def _assemble(
    stager: Stager,
    made: Function,
    seed: Scalar | Array,
    seeded: Value,
    slope: Scalar | Array,
    found: Value,
    columns: bool,
) -> Value:
    """Run a linear map for every unit of `seeded`; its results are the columns (rows) of the Jacobian."""
    one = const(1.0, seed.type if isinstance(seed, Scalar) else seed.element)
    if isinstance(seed, Scalar):
        stager.emit(Assign(seed, one))
        insert(stager, made)
        (value,) = as_values(stager, [slope], [found])
        return value
    assert isinstance(seeded, ArrayValue)
    shape = tuple(stager.bind(n) for n in seeded.shape)
    stager.emit(Alloc(seed, shape))
    inner = () if isinstance(slope, Scalar) else tuple(Dim(slope, k) for k in range(slope.ndim))
    rank = len(shape) + len(inner)
    whole = stager.array(seed.dtype, rank, "jacobian")

    def body(at: tuple[Expr, ...]) -> None:
        with stager.loops(shape) as index:
            stager.emit(Store(seed, index, const(0.0, seed.element)))
        stager.emit(Store(seed, at, one))
        insert(stager, made)
        stager.emit(Alloc(whole, (*inner, *shape) if columns else (*shape, *inner)))
        with stager.loops(inner) as index:
            item: Expr = Ref(slope) if isinstance(slope, Scalar) else Load(slope, index)
            stager.emit(Store(whole, (*index, *at) if columns else (*at, *index), item))

    with stager.loops(shape, independent=False) as at:
        body(at)
    return arrays.argument(stager, whole, whole.dtype)
