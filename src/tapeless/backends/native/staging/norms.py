"""Norms of vectors and matrices, by loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import Expr
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.elementwise import astype, ufunc
from tapeless.backends.native.staging.extrema import amax, amin
from tapeless.backends.native.staging.linear_algebra import svdvals
from tapeless.backends.native.staging.lowerings import array, axes_of, given, lowers, option
from tapeless.backends.native.staging.reductions import sum_
from tapeless.backends.native.staging.shapes import expand_dims, permute
from tapeless.backends.native.staging.storage import fail
from tapeless.backends.native.staging.values import ArrayValue, Index, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


@lowers(np.linalg.norm)
def norm(
    stager: Stager,
    x: Value,
    ord: Value | None = None,
    axis: Value | None = None,
    keepdims: Value | None = None,
) -> Value:
    value = array(stager, x)
    if value.dtype == "bool" or value.dtype.startswith(("int", "uint")):
        value = astype(stager, value, "float64")
    order = option(stager, ord)
    known = option(stager, axis)
    axes = axes_of(stager, axis, value.ndim)
    if order is None and known is None:
        return ufunc(stager, np.sqrt, [sum_(stager, squares(stager, value), None, keepdims=keepdims)])
    if known is None and value.ndim not in (1, 2):
        fail(stager, ValueError, "Improper number of dimensions to norm.")
    if len(axes) == 1:
        return vector_norm(stager, value, order, axis if given(axis) else Static(axes[0]), keepdims)
    return _matrix_norm(stager, value, order, axes, keepdims)


def squares(stager: Stager, value: ArrayValue) -> ArrayValue:
    """The squares of the absolute values."""
    if not elements.is_complex(value.dtype):
        return array(stager, ufunc(stager, np.square, [value]))

    def element(index: Index) -> Expr:
        e = elements.bind(stager, storage.at(stager, value, index))
        assert isinstance(e, tuple)
        return e[0] * e[0] + e[1] * e[1]

    kind = elements.COMPLEX[value.dtype]
    return storage.lazy(stager, value.shape, kind, element, [value], storage.cost(value) + 3)


def vector_norm(
    stager: Stager, value: ArrayValue, order: Any, axis: Value | None, keepdims: Value | None
) -> Value:
    if order is None or order == 2:
        return ufunc(stager, np.sqrt, [sum_(stager, squares(stager, value), axis, keepdims=keepdims)])
    sizes = ufunc(stager, np.absolute, [value])
    if order == np.inf:
        return amax(stager, sizes, axis, keepdims=keepdims)
    if order == -np.inf:
        return amin(stager, sizes, axis, keepdims=keepdims)
    if order == 1:
        return sum_(stager, sizes, axis, keepdims=keepdims)
    if order == 0:
        counted = astype(
            stager, array(stager, ufunc(stager, np.not_equal, [value, Static(0)])), sizes_dtype(value)
        )
        return sum_(stager, counted, axis, keepdims=keepdims)
    powers = ufunc(stager, np.power, [sizes, Static(float(order))])
    total = sum_(stager, powers, axis, keepdims=keepdims)
    return ufunc(stager, np.power, [total, Static(1.0 / float(order))])


def sizes_dtype(value: ArrayValue) -> str:
    return elements.COMPLEX.get(value.dtype, value.dtype)


def _matrix_norm(
    stager: Stager, value: ArrayValue, order: Any, axes: tuple[int, ...], keepdims: Value | None
) -> Value:
    if len(axes) != 2:
        fail(stager, ValueError, "Improper number of dimensions to norm.")
    rows, columns = axes
    if order in (None, "fro", "f"):
        return ufunc(stager, np.sqrt, [sum_(stager, squares(stager, value), Static(axes), keepdims=keepdims)])
    if option(stager, keepdims, False):
        made = _matrix_norm(stager, value, order, axes, None)
        return expand_dims(stager, array(stager, made), Static(tuple(sorted(axes))))
    if order in (2, -2, "nuc"):
        lead = [k for k in range(value.ndim) if k not in axes]
        singular = svdvals(stager, permute(stager, value, (*lead, rows, columns)))
        if order == "nuc":
            return sum_(stager, singular, Static(-1))
        return (amax if order == 2 else amin)(stager, singular, Static(-1))
    if order not in (1, -1, np.inf, -np.inf):
        fail(stager, ValueError, "Invalid norm order for matrices.")
    sizes = ufunc(stager, np.absolute, [value])
    summed, rest = (rows, columns) if order in (1, -1) else (columns, rows)
    totals = sum_(stager, sizes, Static(summed))
    last = rest - (rest > summed)
    return (amax if order > 0 else amin)(stager, totals, Static(last))


@lowers(np.linalg.vector_norm)
def vector_norm_(
    stager: Stager, x: Value, /, *, axis: Value | None = None, keepdims: Value | None = None,
    ord: Value | None = None,
) -> Value:  # fmt: skip
    value = array(stager, x)
    return vector_norm(stager, value, option(stager, ord, 2), axis, keepdims)
