"""Order: sorted arrays, places in them, medians, and lines through samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import (
    FLOATS,
    I64,
    ONE,
    ZERO,
    Assign,
    Expr,
    Intrinsic,
    Ref,
    While,
    apply,
    cast,
    const,
)
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.broadcasting import check_same, operand
from tapeless.backends.native.staging.elements import convert, each, is_float, value_of
from tapeless.backends.native.staging.elementwise import astype, ufunc
from tapeless.backends.native.staging.elementwise import where as choose
from tapeless.backends.native.staging.indexing import getitem
from tapeless.backends.native.staging.lowerings import array, given, lowers, one_axis, option
from tapeless.backends.native.staging.reductions import finished
from tapeless.backends.native.staging.reshaping import ravel
from tapeless.backends.native.staging.shapes import permute
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Element,
    Index,
    Number,
    Sequence,
    Static,
    Value,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


# ---- order


def sorted_pair(stager: Stager, value: ArrayValue, axis: int) -> tuple[ArrayValue, ArrayValue]:
    """The values in order along an axis, and the permutation that orders them."""
    if elements.is_complex(value.dtype):
        stager.refuse("sorting complex numbers", "sort by the absolute values")
    order = [k for k in range(value.ndim) if k != axis] + [axis]
    rows = storage.store_copy(stager, permute(stager, value, order))
    if rows.dtype == "bool":
        rows = storage.make(stager, array(stager, _as_int(stager, rows)))
    made = storage.fresh(stager, rows.shape, rows.dtype, "sorted")
    permutation = storage.fresh(stager, rows.shape, "int64", "order")
    stager.emit(Intrinsic("sort", (made.array, permutation.array), (rows.array,), {}))
    back = sorted(range(value.ndim), key=lambda k: order[k])
    return permute(stager, made, back), permute(stager, permutation, back)


def _as_int(stager: Stager, value: ArrayValue) -> Value:
    from tapeless.backends.native.staging.elementwise import astype

    return astype(stager, value, "int64")


def _axis_to_sort(stager: Stager, a: Value, axis: Value | None) -> tuple[ArrayValue, int]:
    value = array(stager, a)
    known = option(stager, axis, -1)
    if known is None:
        return ravel(stager, value), 0
    return value, one_axis(stager, known, value.ndim)


@lowers(np.sort)
def sort(
    stager: Stager, a: Value, axis: Value | None = None, kind: Value | None = None,
    order: Value | None = None,
    *, stable: Value | None = None,
) -> Value:  # fmt: skip
    value, k = _axis_to_sort(stager, a, axis)
    made = sorted_pair(stager, value, k)[0]
    if value.dtype == "bool":
        from tapeless.backends.native.staging.elementwise import astype

        return astype(stager, made, "bool")
    return made


@lowers(method="sort")
def sort_method(
    stager: Stager, a: ArrayValue, axis: Value | None = None, kind: Value | None = None,
    order: Value | None = None, *, stable: Value | None = None,
) -> Value:  # fmt: skip
    from tapeless.backends.native.staging.elementwise import writable

    value, k = _axis_to_sort(stager, a, axis)
    storage.assign(stager, writable(stager, a), sorted_pair(stager, value, k)[0])
    return Static(None)


@lowers(np.argsort, method="argsort")
def argsort(
    stager: Stager, a: Value, axis: Value | None = None, kind: Value | None = None,
    order: Value | None = None,
    *, stable: Value | None = None,
) -> Value:  # fmt: skip
    value, k = _axis_to_sort(stager, a, axis)
    return sorted_pair(stager, value, k)[1]


@lowers(np.median)
def median(
    stager: Stager, a: Value, axis: Value | None = None, out: Value | None = None,
    overwrite_input: Value | None = None, keepdims: Value | None = None,
) -> Value:  # fmt: skip
    if option(stager, keepdims, False):
        stager.refuse("numpy.median with keepdims", "index the result with None")
    value, k = _axis_to_sort(stager, a, axis if axis is not None else Static(None))
    ordered = sorted_pair(stager, value, k)[0]
    n = value.shape[k]
    stager.replay_unless(apply("gt", n, ZERO))  # NumPy warns of the median of nothing
    low = Number(stager.bind(apply("floordiv", simplify(n - 1), const(2)), "low"), int)
    high = Number(stager.bind(apply("floordiv", n, const(2)), "high"), int)
    full: list[Value] = [Static(slice(None))] * k
    ends = [getitem(stager, ordered, Sequence([*full, v], tuple)) for v in (low, high)]
    if is_float(value.dtype):  # NaN stands last
        last = getitem(stager, ordered, Sequence([*full, Static(-1)], tuple))
        middle = ufunc(stager, np.multiply, [ufunc(stager, np.add, ends), Static(0.5)])
        return finished(stager, choose_nan(stager, last, middle), out)
    return finished(stager, ufunc(stager, np.multiply, [ufunc(stager, np.add, ends), Static(0.5)]), out)


def choose_nan(stager: Stager, last: Value, middle: Value) -> Value:
    """`last` where it is NaN."""
    made = choose(stager, ufunc(stager, np.isnan, [last]), last, middle)
    if isinstance(made, ArrayValue) and not made.shape:
        return value_of(stager, made.element(()), made.dtype)
    return made


def search(stager: Stager, ordered: ArrayValue, x: Expr, right: bool) -> Expr:
    """Where `x` goes among values in order, by halving."""
    low, high = stager.scalar(I64, "low"), stager.scalar(I64, "high")
    stager.emit(Assign(low, ZERO))
    stager.emit(Assign(high, ordered.shape[0]))
    with stager.collect() as body, storage.layer(stager):
        middle = stager.bind(apply("shr", Ref(low) + Ref(high), ONE), "middle")
        e = storage.at(stager, ordered, (middle,))
        assert isinstance(e, Expr)
        e = stager.bind(cast(e, x.type), "e")
        if x.type == I64:
            above = apply("le" if right else "lt", e, x)
        else:  # NaN is above all numbers
            nan_x, nan_e = apply("isnan", x), apply("isnan", e)
            less = apply("all", nan_x, apply("not", nan_e))
            above = apply("any", apply("le" if right else "lt", e, x), nan_x if right else less)
        above = stager.bind(above, "above")
        stager.emit(Assign(low, apply("select", above, middle + 1, Ref(low))))
        stager.emit(Assign(high, apply("select", above, Ref(high), middle)))
    stager.emit(While([], apply("lt", Ref(low), Ref(high)), body))
    return Ref(low)


@lowers(np.searchsorted, method="searchsorted")
def searchsorted(
    stager: Stager, a: Value, v: Value, side: Value | None = None, sorter: Value | None = None
) -> Value:
    if given(sorter):
        stager.refuse("numpy.searchsorted with sorter", "index with it first")
    ordered = storage.make(stager, array(stager, a))
    right = option(stager, side, "left") == "right"
    o = operand(stager, v)
    kind = np.result_type(np.dtype(ordered.dtype), np.dtype(o.dtype)).name
    if o.array is None:
        x = convert(o.at(stager, ()), o.dtype, kind)
        assert isinstance(x, Expr)
        return value_of(stager, search(stager, ordered, stager.bind(x, "x"), right), "int64")
    result = storage.fresh(stager, o.shape, "int64", "places")
    with storage.nest(stager, o.shape) as index:
        x = convert(o.at(stager, index), o.dtype, kind)
        assert isinstance(x, Expr)
        storage.store(stager, result, index, search(stager, ordered, stager.bind(x, "x"), right))
    return result


@lowers(np.interp)
def interp(
    stager: Stager, x: Value, xp: Value, fp: Value, left: Value | None = None, right: Value | None = None,
    period: Value | None = None,
) -> Value:  # fmt: skip
    if given(period):
        stager.refuse("numpy.interp with a period", "wrap the places first")
    places_, values = storage.make(stager, array(stager, xp)), storage.make(stager, array(stager, fp))
    message = "fp and xp are not of the same length."
    check_same(stager, places_.shape[0], values.shape[0], ValueError, message)
    n = places_.shape[0]
    stager.check(apply("gt", n, ZERO), ValueError, "array of sample points is empty")
    last = simplify(n - 1)
    o = operand(stager, x)
    kind = "complex128" if elements.is_complex(values.dtype) else "float64"

    def value_at(k: Expr) -> Element:
        return convert(values.element((k,)), values.dtype, kind)

    def place_at(k: Expr) -> Expr:
        e = convert(places_.element((k,)), places_.dtype, "float64")
        assert isinstance(e, Expr)
        return e

    def end(given_: Value | None, k: Expr) -> Element:
        if given_ is None or not given(given_):
            return value_at(k)
        own = operand(stager, given_)
        return convert(own.at(stager, ()), own.dtype, kind)

    def element(e: Element, dtype: str) -> Element:
        t = convert(e, dtype, "float64")
        assert isinstance(t, Expr)
        t = stager.bind(t, "x")
        place = search(stager, places_, t, right=True)
        below = apply("maximum", place - 1, ZERO)
        low = stager.bind(apply("minimum", below, apply("maximum", simplify(last - 1), ZERO)), "low")
        high = stager.bind(apply("minimum", low + 1, last), "high")
        x0, x1 = stager.bind(place_at(low)), stager.bind(place_at(high))
        far = apply("eq", x1, x0)
        width = stager.bind(apply("select", far, const(1.0), x1 - x0))
        y0 = elements.bind(stager, value_at(low))
        y1 = value_at(high)
        line = each(lambda a, b: a + (b - a) / width * (t - x0), y0, y1)
        exact = apply("ge", t, place_at(last))
        line = each(lambda a, b: apply("select", exact, b, a), line, value_at(last))
        before, after = apply("lt", t, place_at(ZERO)), apply("gt", t, place_at(last))
        line = each(lambda a, b: apply("select", before, b, a), line, end(left, ZERO))
        line = each(lambda a, b: apply("select", after, b, a), line, end(right, last))
        return each(lambda a: apply("select", apply("isnan", t), t, a), line)

    if not o.shape:
        return value_of(stager, element(o.at(stager, ()), o.dtype), kind)
    result = storage.fresh(stager, o.shape, kind)
    with storage.nest(stager, o.shape) as index:
        storage.store(stager, result, index, element(o.at(stager, index), o.dtype))
    return result


@lowers(np.unique)
def unique(stager: Stager, ar: Value, **options: Value) -> Value:
    """The different values, in order."""
    if options:
        stager.refuse(f"numpy.unique with {', '.join(options)}=", "leave it out")
    value = ravel(stager, ar)
    ordered = storage.make(stager, sorted_pair(stager, value, 0)[0])
    n = ordered.shape[0]

    def fresh_one(index: Index) -> Element:
        i = index[0]
        before = ordered.element((apply("maximum", i - 1, ZERO),))
        here = ordered.element(index)
        assert isinstance(here, Expr) and isinstance(before, Expr)
        other = apply("ne", here, before)
        if here.type in FLOATS:  # NaNs are one
            other = apply("all", other, apply("not", apply("isnan", before)))
        return apply("any", apply("eq", i, ZERO), other)

    chosen = storage.lazy(stager, (n,), "bool", fresh_one, [ordered], 3)
    made = getitem(stager, ordered, chosen)
    if value.dtype == "bool" and isinstance(made, ArrayValue):
        return astype(stager, storage.make(stager, made), "bool")
    return made
