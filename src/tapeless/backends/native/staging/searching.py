"""Choosing and finding: where, clip, nonzero, take, sort, searchsorted, interp, histograms, comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.nest import (
    ONE,
    ZERO,
    Expr,
    apply,
    const,
)
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.broadcasting import broadcast_to, check_same, operand
from tapeless.backends.native.staging.creation import ones_like
from tapeless.backends.native.staging.elements import convert, is_float, value_of
from tapeless.backends.native.staging.elementwise import round_to, ufunc, writable
from tapeless.backends.native.staging.elementwise import where as choose
from tapeless.backends.native.staging.fancy import nonzero, places
from tapeless.backends.native.staging.indexing import Item, Pick, getitem
from tapeless.backends.native.staging.lowerings import FUNCTIONS, array, given, lowers, one_axis, option
from tapeless.backends.native.staging.reductions import all_, finished, mean, sum_
from tapeless.backends.native.staging.reshaping import ravel, reshaped
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
    rows, chosen = ravel(stager, arr), truths(stager, ravel(stager, condition))
    if stager.ranges.proves(apply("eq", rows.shape[0], chosen.shape[0])):
        return getitem(stager, rows, chosen)
    return take(stager, rows, nonzero(stager, chosen)[0])  # it may be shorter, and longer where it is false


@lowers(np.compress)
def compress(
    stager: Stager, condition: Value, a: Value, axis: Value | None = None, out: Value | None = None
) -> Value:
    if array(stager, condition).ndim != 1:
        storage.fail(stager, ValueError, "condition must be a 1-d array")
    return finished(stager, extract(stager, condition, a), out)


@lowers(method="compress")
def compress_method(stager: Stager, a: Value, condition: Value, *options: Value, **named: Value) -> Value:
    return stager.call(Static(np.compress), [condition, a, *options], named)


@lowers(np.clip, method="clip")
def clip(
    stager: Stager, a: Value, a_min: Value | None = None, a_max: Value | None = None,
    out: Value | None = None,
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
    stager: Stager, x: Value, copy: Value | None = None, nan: Value | None = None,
    posinf: Value | None = None,
    neginf: Value | None = None,
) -> Value:  # fmt: skip
    if not option(stager, copy, True):
        if isinstance(x, ArrayValue) and is_float(x.dtype):
            made = array(stager, nan_to_num(stager, x, None, nan, posinf, neginf))
            storage.assign(stager, writable(stager, x), made)
            return x
    value = array(stager, x)
    if value.dtype.startswith("complex"):
        stager.refuse("nan_to_num of complex numbers", "take the real and imaginary parts")
    if not is_float(value.dtype):
        return storage.store_copy(stager, x) if isinstance(x, ArrayValue) else x
    info = np.finfo(value.dtype)
    other = operand(stager, Static(0.0) if nan is None else nan)
    if other.shape:
        stager.refuse("nan_to_num with an array of numbers to put in", "use np.where")
    number = convert(other.at(stager, ()), other.dtype, value.dtype)
    assert isinstance(number, Expr)
    high, low = option(stager, posinf), option(stager, neginf)
    limits = float(info.max if high is None else high), float(info.min if low is None else low)

    def element(index: Index) -> Element:
        e = storage.at(stager, value, index)
        assert isinstance(e, Expr)
        e = stager.bind(e)
        infinite = apply("select", apply("gt", e, const(0.0, e.type)), *(const(v, e.type) for v in limits))
        finite = apply("select", apply("isinf", e), infinite, e)
        return apply("select", apply("isnan", e), number, finite)

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
    options = _in_dtype(stager, options)
    made = options[-1]
    for k in range(len(options) - 2, -1, -1):
        made = choose(stager, ufunc(stager, np.equal, [a, Static(k)]), options[k], made)
    return finished(stager, made, out)


@lowers(np.select)
def select(stager: Stager, condlist: Value, choicelist: Value, default: Value | None = None) -> Value:
    from tapeless.backends.native.staging.lowerings import items_of

    options = [default if default is not None else Static(0), *items_of(stager, choicelist)[::-1]]
    made, *choices = _in_dtype(stager, options)
    for condition, choice in zip(items_of(stager, condlist)[::-1], choices, strict=True):
        made = choose(stager, condition, choice, made)
    return made


def _in_dtype(stager: Stager, values: list[Value]) -> list[Value]:
    """Values with the Python numbers among them in the dtype that all have together."""
    specs = [operand(stager, v).spec for v in values]
    dtype = np.result_type(*[s if isinstance(s, np.dtype) else s(0) for s in specs]).name
    found = [(v, elements.scalar_element(v)) for v in values]
    return [
        v if n is None else value_of(stager, convert(n[0], elements.own_dtype(n[1]), dtype), dtype)
        for v, n in found
    ]


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
    both = option(stager, returned, False)
    if weights is None or not given(weights):
        if both:
            weights = ones_like(stager, array(stager, a), Static(np.dtype("float64")))
        else:
            return mean(stager, a, axis, keepdims=keepdims)
    value, scale = array(stager, a), array(stager, weights)
    several = option(stager, axis) if given(axis) else None
    if isinstance(several, tuple) and list(several) != sorted(several, key=lambda k: k % (value.ndim or 1)):
        stager.refuse("numpy.average with weights and axes out of order", "give the axes in order")
    if value.ndim != scale.ndim:
        if given(axis) and isinstance(option(stager, axis), tuple):
            stager.refuse(
                "numpy.average with weights along several axes", "give weights of the array's shape"
            )
        if not given(axis) or scale.ndim != 1:
            storage.fail(stager, TypeError, "Axis must be specified when shapes of a and weights differ.")
        k = one_axis(stager, option(stager, axis), value.ndim)
        shape = tuple(value.shape[k] if m == k else ONE for m in range(value.ndim))
        scale = reshaped(stager, scale, shape)
        total = sum_(stager, scale, keepdims=None)
    else:
        for n, m in zip(value.shape, scale.shape, strict=True):
            if not storage.same_length(n, m):
                if given(axis):
                    message = "Shape of weights must be consistent with shape of a along specified axis."
                    stager.check(apply("eq", n, m), ValueError, message)
                else:
                    message = "Axis must be specified when shapes of a and weights differ."
                    stager.check(apply("eq", n, m), TypeError, message)
        total = sum_(stager, scale, axis, keepdims=keepdims)
    none = FUNCTIONS[np.any](stager, ufunc(stager, np.equal, [total, Static(0.0)]))
    message = "Weights sum to zero, can't be normalized"
    stager.check(apply("not", stager.as_expr(none, "bool")), ZeroDivisionError, message)
    weighted = sum_(stager, ufunc(stager, np.multiply, [value, scale]), axis, keepdims=keepdims)
    made = ufunc(stager, np.true_divide, [weighted, total])
    if not both:
        return made
    if isinstance(made, ArrayValue):
        total = broadcast_to(stager, array(stager, total), made.shape)
    return Sequence([made, total], tuple)
