"""Convolutions, quantiles, covariances, and Python functions applied along axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import F64, I64, ONE, ZERO, Array, apply, cast, const
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.broadcasting import broadcast_shapes, operand, to_array
from tapeless.backends.native.staging.conversions import imag, real
from tapeless.backends.native.staging.elements import convert, is_float
from tapeless.backends.native.staging.elementwise import astype, ufunc
from tapeless.backends.native.staging.indexing import At, Item, Span, basic, getitem
from tapeless.backends.native.staging.lowerings import array, given, lowers, one_axis, option, unsupported
from tapeless.backends.native.staging.products import common
from tapeless.backends.native.staging.reductions import Operation, current, finished, totals, update
from tapeless.backends.native.staging.reshaping import ravel, reshaped
from tapeless.backends.native.staging.shapes import flip
from tapeless.backends.native.staging.sorting import choose_nan, sorted_pair
from tapeless.backends.native.staging.storage import fail
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Index,
    Instance,
    Number,
    Sequence,
    Static,
    Value,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def correlated(stager: Stager, a: ArrayValue, v: ArrayValue, mode: str) -> Value:
    """c[k] = sum over i of a[i + k - shift] * v[i], where both exist."""
    if a.ndim != 1 or v.ndim != 1:
        fail(stager, ValueError, "object too deep for desired array")
    a, v = storage.make(stager, a), storage.make(stager, v)
    n, m = a.shape[0], v.shape[0]
    for length in (n, m):
        stager.check(apply("gt", length, ZERO), ValueError, "a cannot be empty")
    if not stager.ranges.proves(apply("ge", n, m)) and mode != "full":
        if not stager.ranges.proves(apply("lt", n, m)):
            stager.refuse("a correlation whose longer operand is not known", "write the longer one first")
        turned = correlated(stager, v, a, mode)
        return flip(stager, turned)
    size, shift = {
        "full": (simplify(n + m - 1), simplify(m - 1)),
        "same": (n, apply("floordiv", m, const(2))),
        "valid": (simplify(n - m + 1), ZERO),
    }[mode]
    dtype = common(stager, a, v)
    result = storage.fresh(stager, (size,), dtype)
    times, plus = Operation(stager, np.multiply, dtype), Operation(stager, np.add, dtype)
    with storage.nest(stager, (size,)) as (k,):
        first = stager.bind(apply("maximum", simplify(shift - k), ZERO), "first")
        last = apply("minimum", m, simplify(n + shift - k))
        count = stager.bind(apply("maximum", last - first, ZERO), "count")
        variables = totals(stager, elements.zero(dtype))
        with storage.nest(stager, (count,), independent=False) as (i,):
            here = convert(a.element((simplify(first + i + k - shift),)), a.dtype, dtype)
            there = convert(v.element((simplify(first + i),)), v.dtype, dtype)
            update(stager, variables, plus(current(variables), times(here, there)))
        storage.store(stager, result, (k,), current(variables))
    return result


@lowers(np.correlate)
def correlate(stager: Stager, a: Value, v: Value, mode: Value | None = None) -> Value:
    other = array(stager, v)
    if elements.is_complex(other.dtype):
        other = array(stager, ufunc(stager, np.conjugate, [other]))
    return correlated(stager, array(stager, a), other, str(option(stager, mode, "valid")))


@lowers(np.convolve)
def convolve(stager: Stager, a: Value, v: Value, mode: Value | None = None) -> Value:
    x, y = array(stager, a), array(stager, v)
    if stager.ranges.proves(apply("gt", y.shape[0], x.shape[0])):
        x, y = y, x
    return correlated(stager, x, array(stager, flip(stager, y)), str(option(stager, mode, "full")))


@lowers(np.divmod)
def divmod_(stager: Stager, x1: Value, x2: Value) -> Value:
    return Sequence([ufunc(stager, np.floor_divide, [x1, x2]), ufunc(stager, np.remainder, [x1, x2])], tuple)


@lowers(np.ediff1d)
def ediff1d(stager: Stager, ary: Value, to_end: Value | None = None, to_begin: Value | None = None) -> Value:
    from tapeless.backends.native.staging.joining import diff

    unsupported(stager, "ediff1d", to_end=to_end, to_begin=to_begin)
    return diff(stager, ravel(stager, ary))


# ---- quantiles


def quantiles(stager: Stager, a: Value, q: list[float], axis: Value | None, several: bool) -> Value:
    """Values between the sorted ones, on a line."""
    value = array(stager, a)
    known = option(stager, axis)
    if known is None:
        value, k = ravel(stager, value), 0
    else:
        k = one_axis(stager, int(known), value.ndim)
    if not is_float(value.dtype):
        from tapeless.backends.native.staging.elementwise import astype

        value = astype(stager, value, "float64")
    ordered = storage.make(stager, sorted_pair(stager, value, k)[0])
    last = simplify(value.shape[k] - 1)
    stager.check(apply("ge", last, ZERO), IndexError, "index -1 is out of bounds for axis 0 with size 0")
    full: list[Value] = [Static(slice(None))] * k
    top = getitem(stager, ordered, Sequence([*full, Number(last, int)], tuple))  # NaN stands last
    made: list[Value] = []
    for part in q:
        place = stager.bind(cast(last, F64) * const(part), "place")
        low = stager.bind(cast(apply("floor", place), I64), "low")
        high = stager.bind(apply("minimum", low + 1, last), "high")
        weight = Number(stager.bind(place - cast(low, F64)), float)
        ends = [getitem(stager, ordered, Sequence([*full, Number(i, int)], tuple)) for i in (low, high)]
        step = ufunc(stager, np.subtract, [ends[1], ends[0]])
        found = ufunc(stager, np.add, [ends[0], ufunc(stager, np.multiply, [step, weight])])
        made.append(choose_nan(stager, top, found))
    if not several:
        return made[0]
    from tapeless.backends.native.staging.joining import stack

    return stack(stager, Sequence(made, list))


def _quantile(scale: float, name: str) -> Any:
    def lowering(
        stager: Stager, a: Value, q: Value, axis: Value | None = None, out: Value | None = None,
        overwrite_input: Value | None = None, method: Value | None = None, keepdims: Value | None = None,
        **options: Value,
    ) -> Value:  # fmt: skip
        unsupported(stager, name, **options)
        if option(stager, method, "linear") != "linear" or option(stager, keepdims, False):
            stager.refuse(f"numpy.{name} with these options", "use the linear method, without keepdims")
        known = stager.known(q)
        parts = [float(p) / scale for p in np.atleast_1d(known)]
        if any(not 0 <= p <= 1 or math.isnan(p) for p in parts):
            fail(stager, ValueError, f"{name.capitalize()}s must be in the range [0, {scale:g}]")
        return finished(stager, quantiles(stager, a, parts, axis, np.ndim(known) > 0), out)

    return lowering


percentile = lowers(np.percentile)(_quantile(100.0, "percentile"))
quantile = lowers(np.quantile)(_quantile(1.0, "quantile"))


# ---- covariances


@lowers(np.cov)
def cov(
    stager: Stager, m: Value, y: Value | None = None, rowvar: Value | None = None, bias: Value | None = None,
    ddof: Value | None = None, **options: Value,
) -> Value:  # fmt: skip
    from tapeless.backends.native.staging.joining import joined
    from tapeless.backends.native.staging.products import matmul
    from tapeless.backends.native.staging.reductions import mean
    from tapeless.backends.native.staging.shapes import atleast_2d, permute

    unsupported(stager, "cov", **options)
    less = option(stager, ddof)
    if less is not None and less != int(less):
        fail(stager, ValueError, "ddof must be integer")
    rows = array(stager, m)
    if rows.ndim > 2:
        fail(stager, ValueError, "m has more than 2 dimensions")
    if rows.ndim == 2 and not option(stager, rowvar, True):
        rows = permute(stager, rows, (1, 0))
    rows = array(stager, atleast_2d(stager, rows))
    if y is not None and given(y):
        more = array(stager, atleast_2d(stager, y))
        if more.ndim > 2:
            fail(stager, ValueError, "y has more than 2 dimensions")
        n = more.shape[0]
        if not option(stager, rowvar, True) and storage.known_length(n) != 1:
            stager.replay_unless(apply("ne", n, ONE))  # a single row stays one
            more = permute(stager, more, (1, 0))
        rows = joined(stager, [rows, more], 0)
    rows = array(
        stager, ufunc(stager, np.multiply, [rows, Static(np.float64(1.0))])
    )  # at least double precision
    less = (0 if option(stager, bias, False) else 1) if less is None else less
    rest = ufunc(stager, np.subtract, [rows, mean(stager, rows, Static(1), keepdims=Static(True))])
    rest = storage.make(stager, array(stager, rest))
    other: Value = permute(stager, rest, (1, 0))
    if rest.dtype.startswith("complex"):
        other = ufunc(stager, np.conjugate, [other])
    total = array(stager, matmul(stager, rest, other))
    count = stager.bind(apply("maximum", cast(rest.shape[1], F64) - const(float(less)), const(0.0)), "n")
    made = ufunc(stager, np.true_divide, [total, Number(count, float)])
    n = storage.settled_length(stager, total.shape[0])
    if storage.known_length(n) == 1:
        return reshaped(stager, array(stager, made), ())
    if storage.known_length(n) is None and not stager.ranges.proves(apply("ne", n, ONE)):
        stager.replay_unless(apply("ne", n, ONE))  # which has no axes
    return made


@lowers(np.corrcoef)
def corrcoef(stager: Stager, x: Value, y: Value | None = None, rowvar: Value | None = None) -> Value:
    from tapeless.backends.native.staging.shapes import diagonal_view, expand_dims

    made = cov(stager, x, y, rowvar)
    if not isinstance(made, ArrayValue) or made.ndim == 0:
        return ufunc(stager, np.true_divide, [made, made])
    whole = storage.make(stager, made)
    spread = real(stager, diagonal_view(stager, whole, 0))
    spread = storage.make(stager, array(stager, ufunc(stager, np.sqrt, [spread])))
    by_rows = ufunc(stager, np.true_divide, [whole, expand_dims(stager, spread, Static(1))])
    made = ufunc(stager, np.true_divide, [by_rows, spread])
    if whole.dtype.startswith("complex"):
        across = ufunc(stager, np.multiply, [_clipped(stager, imag(stager, made)), Static(1j)])
        return ufunc(stager, np.add, [_clipped(stager, real(stager, made)), across])
    return _clipped(stager, made)


def _clipped(stager: Stager, made: Value) -> Value:
    """Numbers from -1 to 1."""
    return ufunc(stager, np.minimum, [ufunc(stager, np.maximum, [made, Static(-1.0)]), Static(1.0)])


# ---- Python functions applied to parts


@lowers(np.apply_along_axis)
def apply_along_axis(
    stager: Stager, func1d: Value, axis: Value, arr: Value, *args: Value, **kwargs: Value
) -> Value:
    value = storage.make(stager, array(stager, arr))
    k = one_axis(stager, stager.known(axis), value.ndim)
    outer = tuple(n for i, n in enumerate(value.shape) if i != k)

    def row(index: Index) -> Value:
        places: list[Item] = [At(i) for i in index]
        places.insert(k, Span(ZERO, ONE, value.shape[k]))
        return inside_loop(stager, func1d, [basic(stager, value, places), *args], kwargs)

    return _collected(stager, outer, k, row)


def inside_loop(stager: Stager, function: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """A call of the program's function in a nest: its own returns stay inside, exceptions end the program."""
    if stager.handlers:
        stager.refuse("a function applied to parts of an array inside try", "write the loop")
    closed, stager.closed = stager.closed, 0
    made = stager.call(function, args, kwargs)
    stager.closed = closed
    if not stager.alive:
        stager.refuse("a function applied to parts of an array that always raises", "write the loop")
    return made


def _collected(stager: Stager, outer: storage.Shape, axis: int, part: Any, several: bool = False) -> Value:
    """Numbers, or rows that take the place of an axis, for every index of a shape; `several` in tuples."""
    results: list[tuple[Array, storage.Shape, str]] = []
    with storage.attempt(stager) as body, storage.nest(stager, outer, independent=False) as index:
        value = part(index)
        many = several and isinstance(value, Sequence) and value.kind is tuple
        for item in value.items if many else [value]:
            one = operand(stager, item)
            shape = one.shape
            if len(shape) > 1:
                stager.refuse("a function that gives matrices, applied along an axis", "loop over the rows")
            result_array = stager.array(
                elements.stored(one.dtype), len(outer) + len(shape) + elements.is_complex(one.dtype), "t"
            )
            full = (*outer[:axis], *shape, *outer[axis:])
            results.append((result_array, full, one.dtype))
            result = storage.whole_view(result_array, full, one.dtype)
            with storage.nest(stager, shape) as inner:
                place = (*index[:axis], *inner, *index[axis:])
                storage.store(stager, result, place, one.at(stager, inner))
    made: list[Value] = [storage.place(stager, *result) for result in results]
    for stmt in body:
        stager.emit(stmt)
    return Sequence(made, tuple) if many else made[0]


@lowers(np.vectorize.__call__)
def vectorized(stager: Stager, self: Value, *args: Value, **kwargs: Value) -> Value:
    """A call of an `np.vectorize` object: its function, for every element."""

    def field(name: str) -> Value:
        if isinstance(self, Instance):
            return self.fields[name]
        return Static(getattr(stager.known(self), name))

    if kwargs or option(stager, field("excluded")):
        stager.refuse("a vectorized function with keyword arguments", "pass them by position")
    if given(field("signature")):
        stager.refuse("a vectorized function with a signature", "loop over the rows")
    function, kinds = field("pyfunc"), option(stager, field("otypes"))
    dtypes = [np.dtype(k).name for k in kinds or ()]

    def finished_(value: Value) -> Value:
        """Arrays, of the dtypes that were asked for."""
        parts = list(value.items) if isinstance(value, Sequence) and value.kind is tuple else [value]
        arrays = [to_array(stager, v) for v in parts]
        if dtypes and len(dtypes) != len(arrays):
            stager.refuse("a vectorized function with other otypes than results", "give one for each")
        made: list[Value] = (
            [astype(stager, a, d) for a, d in zip(arrays, dtypes, strict=True)] if dtypes else []
        )
        made = made or list(arrays)
        return made[0] if value is parts[0] else Sequence(made, tuple)

    operands = [operand(stager, a) for a in args]
    shape = broadcast_shapes(stager, [o.shape for o in operands])
    for o in operands:
        if o.array is not None:
            o.array = storage.make(stager, o.array) if storage.cost(o.array) > 1 else o.array

    def one(index: Index) -> Value:
        numbers: list[Value] = []
        for o in operands:
            numbers.append(elements.value_of(stager, o.at(stager, index), o.dtype))
        return inside_loop(stager, function, numbers, {})

    if not shape:
        return finished_(one(()))
    return finished_(_collected(stager, shape, len(shape), one, several=True))
