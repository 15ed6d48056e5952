"""Functions of SciPy that are sums over arrays: logsumexp, softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.special as special  # type: ignore[import-untyped]

from tapeless.backends.native.staging import scipy_programs, storage
from tapeless.backends.native.staging.broadcasting import to_array
from tapeless.backends.native.staging.elementwise import ufunc, where
from tapeless.backends.native.staging.extrema import amax
from tapeless.backends.native.staging.lowerings import array, given, lowers, option
from tapeless.backends.native.staging.reductions import sum_
from tapeless.backends.native.staging.reshaping import reshaped
from tapeless.backends.native.staging.values import ArrayValue, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def _shifted(stager: Stager, value: ArrayValue, axis: Value | None) -> tuple[ArrayValue, Value]:
    """The values less their greatest one (0 where that is infinite), and it, with its axes kept."""
    top = array(stager, amax(stager, value, axis, keepdims=Static(True)))
    finite = ufunc(stager, np.isfinite, [top])
    top = storage.make(stager, array(stager, where(stager, finite, top, Static(0.0))))
    return array(stager, ufunc(stager, np.subtract, [value, top])), top


@lowers(special.logsumexp)
def logsumexp(
    stager: Stager, a: Value, axis: Value | None = None, b: Value | None = None,
    keepdims: Value | None = None,
    return_sign: Value | None = None,
) -> Value:  # fmt: skip
    if option(stager, return_sign, False):
        stager.refuse("logsumexp with return_sign=True", "leave it out")
    if given(b):
        assert b is not None
        own = [a, axis or Static(None), b, Static(bool(option(stager, keepdims, False)))]
        return stager.call(Static(scipy_programs.weighted_logsumexp), own, {})
    value = array(stager, a)
    if not value.ndim:
        return ufunc(stager, np.positive, [a])
    if storage.cost(value) > storage.CHEAP:
        value = storage.make(stager, value)
    less, top = _shifted(stager, value, axis)
    total = sum_(stager, ufunc(stager, np.exp, [less]), axis, keepdims=keepdims)
    result = ufunc(stager, np.log, [total])
    height = array(stager, top)
    shape = result.shape if isinstance(result, ArrayValue) else ()
    return ufunc(stager, np.add, [result, reshaped(stager, height, shape)])


@lowers(special.softmax)
def softmax(stager: Stager, x: Value, axis: Value | None = None) -> Value:
    value = array(stager, x)
    if storage.cost(value) > storage.CHEAP:
        value = storage.make(stager, value)
    less, _ = _shifted(stager, value, axis)
    powers = storage.make(stager, array(stager, ufunc(stager, np.exp, [less])))
    return ufunc(stager, np.true_divide, [powers, sum_(stager, powers, axis, keepdims=Static(True))])


@lowers(special.log_softmax)
def log_softmax(stager: Stager, x: Value, axis: Value | None = None) -> Value:
    value = array(stager, x)
    if storage.cost(value) > storage.CHEAP:
        value = storage.make(stager, value)
    less, _ = _shifted(stager, value, axis)
    total = sum_(stager, ufunc(stager, np.exp, [less]), axis, keepdims=Static(True))
    return ufunc(stager, np.subtract, [less, ufunc(stager, np.log, [total])])


@lowers(np.i0)
def i0(stager: Stager, x: Value) -> Value:
    """The same polynomials as SciPy's."""
    value = array(stager, x)
    if value.dtype.startswith("complex"):
        storage.fail(stager, TypeError, "i0 not supported for complex values")
    return to_array(stager, ufunc(stager, special.i0, [value]))
