"""Derivatives asked for by a staged program: `grad(f)(x)` becomes the nest of `f`, differentiated, in place.

What is differentiated is staged apart, with parameters of its own for the arguments that count; `reverse` and
`forward` map it to the nest of the derivative, whose statements then stand where the call stood.  So
derivatives nest to any depth, and a derivative inside a loop is differentiated like any other code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tapeless import transformed
from tapeless.backends.native.forward import forward
from tapeless.backends.native.nest import (
    BOOL,
    F64,
    FLOATS,
    TRUE,
    Array,
    Assign,
    Expr,
    Scalar,
    apply,
    cast,
    const,
)
from tapeless.backends.native.promote import promote
from tapeless.backends.native.reverse import reverse
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.apart import (
    Apart,
    Name,
    as_values,
    found,
    is_leaf,
    name_of,
    plain,
    rebuild,
    stage_apart,
    type_name,
)
from tapeless.backends.native.staging.base import Replay
from tapeless.backends.native.staging.joins import Maybe
from tapeless.backends.native.staging.mixed import Mixed
from tapeless.backends.native.staging.values import (
    ArrayValue,
    ComplexNumber,
    Instance,
    Mapping,
    Number,
    Static,
    Value,
)
from tapeless.backends.native.staging.values import Sequence as SequenceValue
from tapeless.backends.native.staging.zeros import derivative
from tapeless.errors import NotScalarError, StructureError

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


@dataclass(frozen=True)
class Asked:
    """A derivative function: what was asked of which function."""

    fun: Any
    argnums: Any = 0
    has_aux: bool = False
    with_value: bool = False
    mode: str = "auto"


def positions(what: Any, args: list[Value], kwargs: dict[str, Value]) -> list[int | str]:
    return transformed.positions(plain(what.fun), what.argnums, tuple(args), dict(kwargs))


def with_aux(stager: Stager, fun: Any, apart: Apart, wanted: bool) -> tuple[Value, Value | None]:
    """The value that is differentiated, and what comes with it."""
    if not wanted or not apart.returns:
        return apart.value, None
    value = apart.value
    if not isinstance(value, SequenceValue) or value.kind is not tuple or len(value.items) != 2:
        raise StructureError(f"with has_aux {name_of(fun)} must return (value, aux), not {type_name(value)}")
    return value.items[0], value.items[1]


def never_returns(stager: Stager, apart: Apart) -> Value:
    """The call of a function that always raises."""
    apart.close(())
    apart.insert(apart.function.body)
    stager.die()
    return Static(None)


# ---- grad, value_and_grad


def gradient(stager: Stager, what: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    where = positions(what, args, kwargs)
    apart, changed = stage_apart(stager, what.fun, args, kwargs, where)
    value, aux = with_aux(stager, what.fun, apart, what.has_aux)
    if not apart.returns:
        return never_returns(stager, apart)
    value = apart.result(real_number(stager, what, apart, value))
    aux = None if aux is None else apart.result(aux)
    apart.close(changed)
    fn = promote(apart.function)
    made = derivative(stager, reverse, fn, range(apart.count))
    apart.insert(made.body)
    table = as_values(stager, made.results[len(fn.results) :], apart.leaves)
    grads = [rebuild(shape, table) for shape in apart.shapes]
    many = isinstance(what.argnums, (tuple, list))
    slope: Value = SequenceValue(grads, tuple) if many else grads[0]
    if what.with_value:
        first: Value = value if aux is None else SequenceValue([value, aux], tuple)
        return SequenceValue([first, slope], tuple)
    return slope if aux is None else SequenceValue([slope, aux], tuple)


def real_number(stager: Stager, what: Any, apart: Apart, value: Value) -> Value:
    """The result of a function whose gradient is asked for."""
    value = apart.number(value)
    if isinstance(value, Maybe):  # on the other paths it is no number: the plain call says so
        with stager.at(apart.function.body):
            stager.check(value.bound, Replay)
        value = value.value
    if isinstance(value, Static) and isinstance(value.obj, (int, float)):
        value = stager.number(value)
    if isinstance(value, Number):
        if value.expr.type in FLOATS:
            return value
        if value.expr.type != BOOL:  # an integer: the derivative is zero
            return Mixed(cast(value.expr, F64), float, TRUE, (value.kind,))
    got = f"an array of {value.ndim} axes" if isinstance(value, ArrayValue) else f"a {type_name(value)}"
    raise NotScalarError(
        f"grad needs a function whose result is one real number; {name_of(what.fun)} returned {got}. "
        "Sum it, or use jacobian, vjp or jvp"
    )


# ---- jvp


def jvp(stager: Stager, fun: Value, primals: Value, tangents: Value, has_aux: Value | None = None) -> Value:
    if (
        not isinstance(primals, SequenceValue)
        or not isinstance(tangents, SequenceValue)
        or len(primals.items) != len(tangents.items)
    ):
        raise StructureError("jvp takes a tuple of primals and a tuple of as many tangents")
    where = [k for k, t in enumerate(tangents.items) if not (isinstance(t, Static) and t.obj is None)]
    apart, changed = stage_apart(stager, fun, primals.items, {}, where)
    value, aux = with_aux(stager, fun, apart, has_aux is not None and bool(stager.known(has_aux)))
    if not apart.returns:
        return never_returns(stager, apart)
    value = apart.followed(value)
    floats = list(found(value))
    aux = None if aux is None else apart.result(aux)
    apart.close(changed)
    made = derivative(stager, forward, apart.function, range(apart.count))
    pairs: list[tuple[Value, Value | None]] = []
    for shape, at in zip(apart.shapes, where, strict=True):
        match(shape, tangents.items[at], pairs)
    bind(stager, made.params[len(apart.function.params) :], apart.leaves, pairs)
    apart.insert(made.body)
    table = as_values(stager, made.results[len(apart.function.results) :][: count_names(floats)], floats)
    result = [value, rebuild(value, table)]
    return SequenceValue(result if aux is None else [*result, aux], tuple)


def count_names(leaves: Sequence[Value]) -> int:
    return sum(2 if isinstance(x, ComplexNumber) else 1 for x in leaves)


def match(shape: Value, tangent: Value, pairs: list[tuple[Value, Value | None]], path: str = "") -> None:
    """The leaves of `shape` with their tangents (or cotangents); None in place of one is zero."""
    if isinstance(tangent, Static) and tangent.obj is None:
        return
    if is_leaf(shape):
        pairs.append((shape, tangent))
        return
    if isinstance(shape, SequenceValue):
        if not isinstance(tangent, SequenceValue) or len(tangent.items) != len(shape.items):
            raise StructureError(f"the tangent{path} must be a {shape.kind.__name__} of {len(shape.items)}")
        for at, (x, t) in enumerate(zip(shape.items, tangent.items, strict=True)):
            match(x, t, pairs, f"{path}[{at}]")
    elif isinstance(shape, (Mapping, Instance)):
        mine = shape.items if isinstance(shape, Mapping) else shape.fields
        theirs = _fields(tangent)
        for k, x in mine.items():
            if theirs is None or k not in theirs:
                raise StructureError(f"the tangent{path} has no {k!r}")
            match(x, theirs[k], pairs, f"{path}.{k}")


def _fields(tangent: Value) -> dict[Any, Value] | None:
    if isinstance(tangent, Mapping):
        return tangent.items
    if not isinstance(tangent, Instance):
        return None
    inner = tangent.fields.get("_fields")
    return inner.items if isinstance(inner, Mapping) else tangent.fields


def bind(
    stager: Stager,
    params: Sequence[Name],
    leaves: Sequence[Value],
    pairs: Sequence[tuple[Value, Value | None]],
) -> None:
    """Give the tangent parameters of a nest their values: those of `pairs`, by leaf, else zero."""
    given = {id(x): t for x, t in pairs}
    rest = iter(params)
    for x in leaves:
        t = given.get(id(x))
        p = next(rest)
        if isinstance(x, ComplexNumber):
            q = next(rest)
            assert isinstance(p, Scalar) and isinstance(q, Scalar)
            zero = const(0.0, p.type)
            real, imag = (zero, zero) if t is None else stager.complex_parts(t, p.type)
            stager.emit(Assign(p, real))
            stager.emit(Assign(q, imag))
        elif isinstance(p, Scalar):
            stager.emit(Assign(p, const(0.0, p.type) if t is None else _number(stager, t, p.type)))
        else:
            assert isinstance(x, ArrayValue)
            _bind_array(stager, p, x, t)


def _number(stager: Stager, value: Value, type: str) -> Expr:
    if not (stager.is_number(value) or (isinstance(value, ArrayValue) and not value.ndim)):
        raise StructureError(f"the tangent of a number is a number, not a {type_name(value)}")
    return stager.as_expr(value, type)


def _bind_array(stager: Stager, p: Array, x: ArrayValue, t: Value | None) -> None:
    if t is not None:
        if not isinstance(t, ArrayValue) or t.ndim != x.ndim:
            raise StructureError(f"the tangent of {p.name} must be an array of {x.ndim} axes")
        for n, m in zip(x.shape, t.shape, strict=True):
            stager.check(apply("eq", n, m), StructureError, f"the tangent of {p.name} has another shape")
    target = storage.place(stager, p, x.shape, x.dtype)
    with storage.nest(stager, x.shape) as index:
        item = storage.zero_of(target) if t is None else elements.convert(t.element(index), t.dtype, x.dtype)
        storage.store(stager, target, index, item)


def hvp(stager: Stager, fun: Value, primals: Value, tangents: Value) -> Value:
    assert isinstance(primals, SequenceValue)
    argnums: Any = 0 if len(primals.items) == 1 else tuple(range(len(primals.items)))
    made = jvp(stager, function("grad", Asked(fun, argnums)), primals, tangents)
    return made.items[1] if isinstance(made, SequenceValue) else made


def function(name: str, asked: Asked) -> Value:
    """A derivative function as a value of the program."""
    from tapeless.backends.native.staging.callables import Method
    from tapeless.backends.native.staging.values import Bound

    def run(s: Any, owner: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
        from tapeless.backends.native.staging.jacobians import jacobian

        return (jacobian if name == "jacobian" else gradient)(s, asked, args, kwargs)

    return Bound(Static(Method(name, run)), asked.fun)
