"""Running totals, reductions by any ufunc, and integrals of samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import (
    ZERO,
    Expr,
    apply,
)
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.elements import convert, is_float
from tapeless.backends.native.staging.elementwise import ufunc
from tapeless.backends.native.staging.lowerings import (
    array,
    given,
    lowers,
    one_axis,
    option,
    without_axes,
)
from tapeless.backends.native.staging.values import ArrayValue, Element, Index, Static, Value, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager
from tapeless.backends.native.staging.extrema import amax, amin
from tapeless.backends.native.staging.reductions import (
    Combine,
    Operation,
    accumulated_dtype,
    all_,
    any_,
    by,
    current,
    finished,
    prepared,
    prod,
    reduce,
    sum_,
    totals,
    update,
)

# ---- running totals


def _running(name: str, start: int) -> Callable[..., Value]:
    def lowering(
        stager: Stager, a: Value, axis: Value | None = None, dtype: Value | None = None,
        out: Value | None = None,
    ) -> Value:  # fmt: skip
        value = array(stager, a)
        if not given(axis) or without_axes(stager, value, axis):
            if value.ndim != 1:
                from tapeless.backends.native.staging.reshaping import ravel

                value = ravel(stager, value)
            k = 0
        else:
            k = one_axis(stager, option(stager, axis), value.ndim)
        kind = accumulated_dtype(stager, value, dtype)
        result = accumulate(stager, value, k, kind, by(stager, name, kind), elements.literal(start, kind))
        return finished(stager, result, out)

    return lowering


#: Functions with which totals begin at the first element itself.
IN_ORDER = (np.fmax, np.fmin, np.logaddexp, np.logaddexp2, np.subtract, np.true_divide, np.hypot, np.power)


def accumulate(
    stager: Stager, value: ArrayValue, axis: int, dtype: str, combine: Combine, start: Element | None
) -> View:
    """The totals up to each element of an axis; without `start` the first one is that element."""
    result = storage.fresh(stager, value.shape, dtype)
    last = axis == value.ndim - 1 and start is not None
    others = tuple(n for k, n in enumerate(value.shape) if k != axis)

    def full(rest: Index, i: Expr) -> Index:
        return (*rest[:axis], i, *rest[axis:])

    def element(index: Index) -> Element:
        return convert(storage.at(stager, value, index), value.dtype, dtype)

    if last:
        assert start is not None
        with storage.nest(stager, others) as rest:
            variables = totals(stager, start)
            with storage.nest(stager, (value.shape[axis],), independent=False) as (i,):
                update(stager, variables, combine(current(variables), element(full(rest, i))))
                storage.store(stager, result, full(rest, i), current(variables))
        return result
    length = value.shape[axis]
    with stager.branch(apply("gt", length, ZERO)):
        with storage.nest(stager, others) as rest:
            here = full(rest, ZERO)
            first = element(here)
            storage.store(stager, result, here, first if start is None else combine(start, first))
        with storage.nest(stager, (simplify(length - 1), *others), [False] + [True] * len(others)) as (i, *r):
            rest = tuple(r)
            here = full(rest, i + 1)
            past = result.element(full(rest, i))
            storage.store(stager, result, here, combine(past, element(here)))
    return result


cumsum = lowers(np.cumsum, method="cumsum")(_running("add", 0))
cumprod = lowers(np.cumprod, method="cumprod")(_running("multiply", 1))


# ---- reductions by any ufunc


def ufunc_reduce(
    stager: Stager, function: np.ufunc, a: Value, axis: Value | None = None, dtype: Value | None = None,
    out: Value | None = None, keepdims: Value | None = None, initial: Value | None = None,
    where: Value | None = None,
) -> Value:  # fmt: skip
    """`function.reduce`: over axis 0 unless another is given."""
    axis = Static(0) if axis is None else axis
    if function in (np.add, np.multiply):
        lowering = sum_ if function is np.add else prod
        return lowering(stager, a, axis, dtype, out, keepdims, initial, where)
    if function in (np.maximum, np.minimum):
        lowering = amax if function is np.maximum else amin
        return lowering(stager, a, axis, out, keepdims, initial, where)
    if function in (np.logical_and, np.logical_or):
        return (all_ if function is np.logical_and else any_)(stager, a, axis, out, keepdims, where=where)
    value, split = prepared(stager, a, axis, keepdims)
    identity = function.identity
    if function in (np.logaddexp, np.fmax, np.fmin):
        identity = {np.logaddexp: -np.inf, np.fmax: -np.inf, np.fmin: np.inf}[function]
    if identity is None or given(where) or given(initial) or function.nin != 2:
        stager.refuse(f"numpy.{function.__name__}.reduce", "write the loop")
    kind = value.dtype
    made = reduce(stager, split, kind, elements.literal(identity, kind), Operation(stager, function, kind))
    return finished(stager, made, out)


def ufunc_accumulate(
    stager: Stager, function: np.ufunc, a: Value, axis: Value | None = None, dtype: Value | None = None,
    out: Value | None = None,
) -> Value:  # fmt: skip
    axis = Static(0) if axis is None else axis
    if function in (np.add, np.multiply):
        return (cumsum if function is np.add else cumprod)(stager, a, axis, dtype, out)
    value = array(stager, a)
    if function in IN_ORDER and is_float(value.dtype) and not given(dtype):
        k = one_axis(stager, option(stager, axis), value.ndim)
        combine = Operation(stager, function, value.dtype)
        return finished(stager, accumulate(stager, value, k, value.dtype, combine, None), out)
    if function not in (np.maximum, np.minimum):
        stager.refuse(f"numpy.{function.__name__}.accumulate", "write the loop")
    low = -np.inf if function is np.maximum else np.inf
    if not is_float(value.dtype):
        info = np.iinfo(value.dtype)
        low = info.min if function is np.maximum else info.max
    k = one_axis(stager, option(stager, axis), value.ndim)
    combine = Operation(stager, function, value.dtype)
    start = elements.literal(low, value.dtype)
    return finished(stager, accumulate(stager, value, k, value.dtype, combine, start), out)


@lowers(np.trapezoid)
def trapezoid(
    stager: Stager, y: Value, x: Value | None = None, dx: Value | None = None, axis: Value | None = None
) -> Value:
    from tapeless.backends.native.staging.shapes import along, expand_dims

    value = array(stager, y)
    k = one_axis(stager, option(stager, axis, -1), value.ndim)
    left, right = along(stager, value, k, slice(None, -1)), along(stager, value, k, slice(1, None))
    area = ufunc(stager, np.add, [right, left])
    if given(x):
        assert x is not None
        places = array(stager, x)
        own = 0 if places.ndim == 1 else k
        step = ufunc(
            stager, np.subtract,
            [along(stager, places, own, slice(1, None)), along(stager, places, own, slice(None, -1))],
        )  # fmt: skip
        if places.ndim == 1 and k != value.ndim - 1:
            step = expand_dims(stager, step, Static(tuple(range(1, value.ndim - k))))
    else:
        step = dx if dx is not None else Static(1.0)
    product = ufunc(stager, np.multiply, [step, area])
    return sum_(stager, ufunc(stager, np.true_divide, [product, Static(2.0)]), Static(k))
