"""Choosing and finding: where, clip, nonzero, take, sort, searchsorted, interp, histograms, comparisons."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import (
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
from tapeless.backends.native.staging.elementwise import round_to, ufunc
from tapeless.backends.native.staging.elementwise import where as choose
from tapeless.backends.native.staging.fancy import nonzero, places
from tapeless.backends.native.staging.indexing import Item, Pick, getitem
from tapeless.backends.native.staging.lowerings import array, given, length_of, lowers, one_axis, option
from tapeless.backends.native.staging.reductions import all_, finished, mean, sum_
from tapeless.backends.native.staging.shapes import permute, ravel, reshaped
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


@lowers(np.where)
def where(stager: Stager, condition: Value, x: Value | None = None, y: Value | None = None) -> Value:
    if x is None or y is None:
        return nonzero_(stager, condition)
    return choose(stager, condition, x, y)


def truths(stager: Stager, value: Value) -> ArrayValue:
    """The truth of each element."""
    own = array(stager, value)
    if own.dtype == "bool":
        return own
    return array(stager, ufunc(stager, np.not_equal, [own, Static(0)]))


@lowers(np.nonzero, method="nonzero")
def nonzero_(stager: Stager, a: Value) -> Value:
    return Sequence(list(nonzero(stager, truths(stager, a))), tuple)


@lowers(np.flatnonzero)
def flatnonzero(stager: Stager, a: Value) -> Value:
    return nonzero(stager, truths(stager, ravel(stager, a)))[0]


@lowers(np.argwhere)
def argwhere(stager: Stager, a: Value) -> Value:
    from tapeless.backends.native.staging.joining import stack

    return stack(stager, nonzero_(stager, a), Static(1))


@lowers(np.extract)
def extract(stager: Stager, condition: Value, arr: Value) -> Value:
    return getitem(stager, ravel(stager, arr), truths(stager, ravel(stager, condition)))


@lowers(np.compress, method="compress")
def compress(
    stager: Stager, condition: Value, a: Value, axis: Value | None = None, out: Value | None = None
) -> Value:
    if given(axis):
        stager.refuse("numpy.compress along an axis", "index with the mask")
    return finished(stager, extract(stager, condition, a), out)


@lowers(np.clip, method="clip")
def clip(
    stager: Stager, a: Value, a_min: Value | None = None, a_max: Value | None = None, out: Value | None = None,
    *, min: Value | None = None, max: Value | None = None,
) -> Value:  # fmt: skip
    low = min if min is not None else a_min
    high = max if max is not None else a_max
    made: Value = a
    if low is not None and given(low):
        made = ufunc(stager, np.maximum, [made, low])
    if high is not None and given(high):
        made = ufunc(stager, np.minimum, [made, high])
    return finished(stager, made, out)


@lowers(np.round, np.around, method="round")
def round_(stager: Stager, a: Value, decimals: Value | None = None, out: Value | None = None) -> Value:
    return finished(stager, round_to(stager, a, int(option(stager, decimals, 0))), out)


@lowers(np.fix)
def fix(stager: Stager, x: Value, out: Value | None = None) -> Value:
    return finished(stager, ufunc(stager, np.trunc, [x]), out)


@lowers(np.abs)
def abs_(stager: Stager, x: Value, out: Value | None = None) -> Value:
    return finished(stager, ufunc(stager, np.absolute, [x]), out)


@lowers(np.nan_to_num)
def nan_to_num(
    stager: Stager, x: Value, copy: Value | None = None, nan: Value | None = None, posinf: Value | None = None,
    neginf: Value | None = None,
) -> Value:  # fmt: skip
    value = array(stager, x)
    if not is_float(value.dtype):
        return x
    info = np.finfo(value.dtype)
    number = float(option(stager, nan, 0.0))
    high, low = option(stager, posinf), option(stager, neginf)
    limits = float(info.max if high is None else high), float(info.min if low is None else low)

    def element(index: Index) -> Element:
        e = storage.at(stager, value, index)
        assert isinstance(e, Expr)
        e = stager.bind(e)
        infinite = apply("select", apply("gt", e, const(0.0, e.type)), *(const(v, e.type) for v in limits))
        finite = apply("select", apply("isinf", e), infinite, e)
        return apply("select", apply("isnan", e), const(number, e.type), finite)

    if not value.shape:
        return value_of(stager, element(()), value.dtype)
    return storage.lazy(stager, value.shape, value.dtype, element, [value], storage.cost(value) + 4)


# ---- reductions that leave out NaN


def _without_nan(stager: Stager, a: Value) -> tuple[ArrayValue, Value]:
    value = array(stager, a)
    bad = ufunc(stager, np.isnan, [value])
    return array(stager, choose(stager, bad, Static(0.0), value)), bad


@lowers(np.nansum)
def nansum(
    stager: Stager, a: Value, axis: Value | None = None, dtype: Value | None = None, out: Value | None = None,
    keepdims: Value | None = None,
) -> Value:  # fmt: skip
    value = array(stager, a)
    if is_float(value.dtype):
        value, _ = _without_nan(stager, value)
    return sum_(stager, value, axis, dtype, out, keepdims)


@lowers(np.nanmean)
def nanmean(
    stager: Stager, a: Value, axis: Value | None = None, dtype: Value | None = None, out: Value | None = None,
    keepdims: Value | None = None,
) -> Value:  # fmt: skip
    value = array(stager, a)
    if not is_float(value.dtype):
        return mean(stager, value, axis, dtype, out, keepdims)
    filled, bad = _without_nan(stager, value)
    good = ufunc(stager, np.logical_not, [bad])
    total = sum_(stager, filled, axis, dtype, keepdims=keepdims)
    number = sum_(stager, good, axis, keepdims=keepdims)
    return finished(stager, ufunc(stager, np.true_divide, [total, number]), out)


# ---- comparisons of whole arrays


@lowers(np.isclose)
def isclose(
    stager: Stager, a: Value, b: Value, rtol: Value | None = None, atol: Value | None = None,
    equal_nan: Value | None = None,
) -> Value:  # fmt: skip
    near = ufunc(
        stager, np.multiply, [rtol if rtol is not None else Static(1e-05), ufunc(stager, np.absolute, [b])]
    )
    near = ufunc(stager, np.add, [atol if atol is not None else Static(1e-08), near])
    apart = ufunc(stager, np.absolute, [ufunc(stager, np.subtract, [a, b])])
    finite = ufunc(stager, np.isfinite, [b])
    good = ufunc(stager, np.logical_and, [ufunc(stager, np.less_equal, [apart, near]), finite])
    good = ufunc(stager, np.logical_or, [good, ufunc(stager, np.equal, [a, b])])
    if option(stager, equal_nan, False):
        both = ufunc(stager, np.logical_and, [ufunc(stager, np.isnan, [a]), ufunc(stager, np.isnan, [b])])
        good = ufunc(stager, np.logical_or, [good, both])
    return good


@lowers(np.allclose)
def allclose(
    stager: Stager, a: Value, b: Value, rtol: Value | None = None, atol: Value | None = None,
    equal_nan: Value | None = None,
) -> Value:  # fmt: skip
    made = all_(stager, isclose(stager, a, b, rtol, atol, equal_nan))
    return Number(made.expr, bool) if isinstance(made, Number) else made


@lowers(np.array_equal)
def array_equal(stager: Stager, a1: Value, a2: Value, equal_nan: Value | None = None) -> Value:
    a, b = array(stager, a1), array(stager, a2)
    if a.ndim != b.ndim:
        return Static(False)
    for n, m in zip(a.shape, b.shape, strict=True):
        if not storage.same_length(n, m):
            known = storage.known_length(n), storage.known_length(m)
            if None not in known:
                return Static(False)
            stager.refuse("numpy.array_equal of arrays whose lengths may differ", "compare the shapes first")
    made = all_(stager, ufunc(stager, np.equal, [a, b]))
    return Number(made.expr, bool) if isinstance(made, Number) else made


# ---- gathers


@lowers(np.take, method="take")
def take(
    stager: Stager, a: Value, indices: Value, axis: Value | None = None, out: Value | None = None,
    mode: Value | None = None,
) -> Value:  # fmt: skip
    if option(stager, mode, "raise") != "raise":
        stager.refuse("numpy.take with a mode", "wrap or clip the indices")
    value = array(stager, a)
    if not given(axis):
        value, k = ravel(stager, value), 0
    else:
        k = one_axis(stager, option(stager, axis), value.ndim)
    index: Value = indices
    if isinstance(indices, Static) and isinstance(indices.obj, (list, tuple)):
        index = Sequence([Static(i) for i in indices.obj], list)
    elif isinstance(indices, Sequence):
        index = Sequence(indices.items, list)
    full: list[Value] = [Static(slice(None))] * k
    return finished(stager, getitem(stager, value, Sequence([*full, index], tuple)), out)


@lowers(np.take_along_axis)
def take_along_axis(stager: Stager, arr: Value, indices: Value, axis: Value | None = None) -> Value:
    value, index = array(stager, arr), array(stager, indices)
    if not given(axis):
        value, k = ravel(stager, value), 0
    else:
        k = one_axis(stager, option(stager, axis, -1), value.ndim)
    if index.ndim != value.ndim:
        storage.fail(stager, ValueError, "`indices` and `arr` must have the same number of dimensions")
    for m, (n, p) in enumerate(zip(value.shape, index.shape, strict=True)):
        if m != k and p != ONE:
            check_same(
                stager, n, p, IndexError, "shape mismatch: indexing arrays could not be broadcast together"
            )
    chosen = places(stager, index, value.shape[k], k)
    source = storage.make(stager, value) if storage.cost(value) > storage.CHEAP else value
    shape = tuple(index.shape[m] if m == k else n for m, n in enumerate(value.shape))

    def element(at: Index) -> Element:
        own = tuple(ZERO if n == ONE else i for n, i in zip(chosen.shape, at, strict=True))
        place = storage.at(stager, chosen, own)
        assert isinstance(place, Expr)
        return storage.at(stager, source, (*at[:k], place, *at[k + 1 :]))

    return storage.lazy(stager, shape, value.dtype, element, [source, chosen], storage.cost(source) + 3)


@lowers(np.choose)
def choose_(
    stager: Stager, a: Value, choices: Value, out: Value | None = None, mode: Value | None = None
) -> Value:
    from tapeless.backends.native.staging.lowerings import items_of

    options = items_of(stager, choices)
    made = options[-1]
    for k in range(len(options) - 2, -1, -1):
        made = choose(stager, ufunc(stager, np.equal, [a, Static(k)]), options[k], made)
    return finished(stager, made, out)


@lowers(np.select)
def select(stager: Stager, condlist: Value, choicelist: Value, default: Value | None = None) -> Value:
    from tapeless.backends.native.staging.lowerings import items_of

    made = default if default is not None else Static(0)
    pairs = list(zip(items_of(stager, condlist), items_of(stager, choicelist), strict=True))
    for condition, choice in reversed(pairs):
        made = choose(stager, condition, choice, made)
    return made


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
    stager: Stager, a: Value, axis: Value | None = None, kind: Value | None = None, order: Value | None = None,
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
    stager: Stager, a: Value, axis: Value | None = None, kind: Value | None = None, order: Value | None = None,
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
    stager.check(apply("gt", n, ZERO), ValueError, "the median of nothing")
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


@lowers(np.digitize)
def digitize(stager: Stager, x: Value, bins: Value, right: Value | None = None) -> Value:
    side = "left" if option(stager, right, False) else "right"
    return searchsorted(stager, bins, x, Static(side))


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


@lowers(np.bincount)
def bincount(stager: Stager, x: Value, weights: Value | None = None, minlength: Value | None = None) -> Value:
    from tapeless.backends.native.staging.creation import constant
    from tapeless.backends.native.staging.fancy import add_at
    from tapeless.backends.native.staging.lowerings import length_of
    from tapeless.backends.native.staging.reductions import Operation, Split, reduce

    value = storage.make(stager, array(stager, x))
    split = Split(value, (0,), False)
    top = operand(stager, reduce(stager, split, "int64", const(-1), Operation(stager, np.maximum, "int64")))
    most = top.at(stager, ())
    assert isinstance(most, Expr)
    least = length_of(stager, minlength) if minlength is not None else ZERO
    n = stager.bind(apply("maximum", most + 1, least), "n")
    kind = "float64" if given(weights) else "int64"
    result = constant(stager, (n,), kind, elements.zero(kind))
    bottom = operand(stager, reduce(stager, split, "int64", ZERO, Operation(stager, np.minimum, "int64")))
    low = bottom.at(stager, ())
    assert isinstance(low, Expr)
    stager.check(apply("ge", low, ZERO), ValueError, "'list' argument must have no negative elements")
    items: list[Item] = [Pick(value)]
    add_at(stager, result, items, weights if weights is not None and given(weights) else Static(1), "Add")
    return result


@lowers(np.average)
def average(
    stager: Stager, a: Value, axis: Value | None = None, weights: Value | None = None,
    returned: Value | None = None, *, keepdims: Value | None = None,
) -> Value:  # fmt: skip
    if option(stager, returned, False):
        stager.refuse("numpy.average with returned=True", "sum the weights yourself")
    if weights is None or not given(weights):
        return mean(stager, a, axis, keepdims=keepdims)
    value, scale = array(stager, a), array(stager, weights)
    if value.ndim != scale.ndim:
        if not given(axis) or scale.ndim != 1:
            storage.fail(stager, TypeError, "Axis must be specified when shapes of a and weights differ.")
        k = one_axis(stager, option(stager, axis), value.ndim)
        shape = tuple(value.shape[k] if m == k else ONE for m in range(value.ndim))
        scale = reshaped(stager, scale, shape)
        total = sum_(stager, scale, keepdims=None)
    else:
        total = sum_(stager, scale, axis, keepdims=keepdims)
    weighted = sum_(stager, ufunc(stager, np.multiply, [value, scale]), axis, keepdims=keepdims)
    return ufunc(stager, np.true_divide, [weighted, total])


@lowers(np.unique)
def unique(stager: Stager, ar: Value, **options: Value) -> Value:
    """The different values, in order."""
    if options:
        stager.refuse(f"numpy.unique with {', '.join(options)}=", "leave it out")
    ordered = storage.make(stager, sorted_pair(stager, ravel(stager, ar), 0)[0])
    n = ordered.shape[0]

    def fresh_one(index: Index) -> Element:
        i = index[0]
        before = ordered.element((apply("maximum", i - 1, ZERO),))
        here = ordered.element(index)
        assert isinstance(here, Expr) and isinstance(before, Expr)
        return apply("any", apply("eq", i, ZERO), apply("ne", here, before))

    chosen = storage.lazy(stager, (n,), "bool", fresh_one, [ordered], 3)
    return getitem(stager, ordered, chosen)


def _triangle_places(upper: bool, of: bool) -> Callable[..., Value]:
    """`np.triu_indices` and the like: the places of a triangle, row by row."""

    def lowering(stager: Stager, n: Value, k: Value | None = None, m: Value | None = None) -> Value:
        if of:
            value = array(stager, n)
            rows, columns = value.shape
        else:
            rows = length_of(stager, n)
            columns = length_of(stager, m) if m is not None and given(m) else rows
        offset = length_of(stager, k) if k is not None else ZERO

        def inside(index: Index) -> Element:
            i, j = index
            return apply("ge" if upper else "le", j, simplify(i + offset))

        shape = tuple(stager.bind(e, "n") for e in (rows, columns))
        return Sequence(list(nonzero(stager, storage.lazy(stager, shape, "bool", inside, cost=2))), tuple)

    return lowering


triu_indices = lowers(np.triu_indices)(_triangle_places(True, False))
tril_indices = lowers(np.tril_indices)(_triangle_places(False, False))
triu_indices_from = lowers(np.triu_indices_from)(_triangle_places(True, True))
tril_indices_from = lowers(np.tril_indices_from)(_triangle_places(False, True))


@lowers(np.diag_indices)
def diag_indices(stager: Stager, n: Value, ndim: Value | None = None) -> Value:
    from tapeless.backends.native.staging.creation import arange

    places = storage.make(stager, array(stager, arange(stager, n)))
    return Sequence([places] * int(option(stager, ndim, 2)), tuple)
