"""Reductions and accumulations: functions, array methods and the methods of ufuncs.

Rules for sums are transposes; maxima, products and deviations have tangents. A tangent along an axis is
found for the element that the program chose: the first one at a tie.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.rules.compat import find_all
from tapeless.rules.mathematics import exclusive_products
from tapeless.rules.registry import jvp_rule, nondifferentiable, row, singular, transpose_rule

_A = np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.25]])
_ZERO = np.array([[0.5, 0.0, 2.0], [0.0, 0.0, -0.25]])
_B = np.linspace(-1.0, 1.3, 24).reshape(2, 3, 4)
_MASK = np.array([[True, False, True], [True, True, False]])
_REDUCED = [
    row(_A),
    row(_A, 0),
    row(_A, axis=-1),
    row(_A, axis=1, keepdims=True),
    row(_B, axis=(0, 2)),
    row(np.array(2.0)),
]
_ALL = [*_REDUCED, row(_A, axis=0, where=_MASK)]


def spread(ct: Any, axis: Any, keepdims: Any) -> Any:
    """The cotangent of a reduction with its lost axes back, of length one; `fold` spreads them."""
    if axis is None or keepdims is True:
        return ct
    return np.expand_dims(ct, axis)


def count(a: Any, axis: Any, where: Any = True) -> Any:
    """How many elements go into each result, with the reduced axes kept."""
    if where is not True:
        return np.sum(np.broadcast_to(where, np.shape(a)), axis=axis, keepdims=True)
    shape = np.shape(a)
    return math.prod([shape[k] for k in reduced(shape, axis)])


def reduced(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """The axes that a reduction takes away: all of them if `axis` is None, or of a number."""
    if axis is None or not shape:
        return tuple(range(len(shape)))
    return tuple([k % len(shape) for k in (axis if isinstance(axis, tuple) else (axis,))])


@transpose_rule([np.sum, np.ndarray.sum], rows=_ALL)
def _(
    ct: Any,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    ct = spread(ct, axis, keepdims)
    return ct if where is True else np.where(where, ct, 0)


@transpose_rule(
    np.add.reduce, rows=[row(_A), row(_A, 1), row(_A, axis=None), row(_B, axis=(0, 2), keepdims=True)]
)
def _(
    ct: Any,
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    initial: Any = None,
    where: Any = True,
) -> Any:
    ct = spread(ct, axis, keepdims)
    return ct if where is True else np.where(where, ct, 0)


@transpose_rule([np.mean, np.ndarray.mean], rows=_ALL)
def _(
    ct: Any,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = False,
    *,
    where: Any = True,
) -> Any:
    n = count(a, axis, where)
    ct = spread(ct, axis, keepdims)
    return ct / n if where is True else np.where(where, ct / n, 0)


# ---- products ------------------------------------------------------------------------------------


def together(a: Any, axis: Any) -> Any:
    """The array with the reduced axes gathered in one, the last."""
    shape = np.shape(a)
    axes = reduced(shape, axis)
    rest = tuple([k for k in range(len(shape)) if k not in axes])
    length = math.prod([shape[k] for k in axes])
    return np.reshape(np.transpose(a, rest + axes), (*[shape[k] for k in rest], length))


def settled(t: Any, a: Any, axis: Any, keepdims: Any) -> Any:
    """The tangent of a reduction, without the reduced axes, in the shape that `keepdims` asks for."""
    if keepdims is not True:
        return t
    shape = np.shape(a)
    axes = reduced(shape, axis)
    return np.reshape(t, tuple([1 if k in axes else n for k, n in enumerate(shape)]))


def product_tangent(
    a: Any, da: Any, axis: Any, keepdims: Any, initial: Any, where: Any, dinitial: Any
) -> Any:
    """The sum over the factors of a tangent times all other factors: exact with zeros among them."""
    t = None
    if da is not None:
        kept, dkept = (a, da) if where is True else (np.where(where, a, 1), np.where(where, da, 0))
        others = exclusive_products(together(kept, axis))
        t = settled(np.sum(initial * others * together(dkept, axis), axis=-1), a, axis, keepdims)
    if dinitial is not None:
        first = dinitial * np.prod(a, axis=axis, keepdims=keepdims is True, where=where)
        t = first if t is None else t + first
    return t


@jvp_rule(
    [np.prod, np.ndarray.prod],
    rows=[*_ALL, row(_ZERO, axis=0), row(_ZERO, axis=1), row(_ZERO), row(_A, initial=2.0)],
)
def _(
    a: Any,
    da: Any,
    axis: Any = None,
    dtype: Any = None,
    out_: Any = None,
    keepdims: Any = False,
    initial: Any = 1,
    where: Any = True,
    *,
    dinitial: Any = None,
) -> Any:
    return product_tangent(a, da, axis, keepdims, initial, where, dinitial)


@jvp_rule(np.multiply.reduce, rows=[row(_A), row(_ZERO, axis=1), row(_A, axis=None)])
def _(
    array: Any,
    darray: Any,
    axis: Any = 0,
    dtype: Any = None,
    out_: Any = None,
    keepdims: Any = False,
    initial: Any = 1,
    where: Any = True,
    *,
    dinitial: Any = None,
) -> Any:
    return product_tangent(array, darray, axis, keepdims, initial, where, dinitial)


# ---- the chosen element --------------------------------------------------------------------------


def chosen(
    a: Any,
    da: Any,
    axis: Any,
    keepdims: Any,
    initial: Any,
    where: Any,
    pick: Any,
    worst: float,
    dinitial: Any = None,
) -> Any:
    """The tangent of the element that a maximum or minimum chose; 0 where it was the initial value."""
    if where is True and initial is None and isinstance(a, np.ndarray) and da is not None:
        if a.ndim and (axis is None or isinstance(axis, int)):
            return _taken(a, da, axis, keepdims, pick)
    if where is not True:
        a = np.where(where, a, worst)
    rows = together(a, axis)
    if rows.shape[-1] == 0:
        return None if dinitial is None else settled(dinitial * np.ones(rows.shape[:-1]), a, axis, keepdims)
    index = np.expand_dims(pick(rows, axis=-1), -1)
    t = 0 if da is None else np.take_along_axis(together(da, axis), index, axis=-1)
    if initial is not None:
        best = np.take_along_axis(rows, index, axis=-1)
        t = np.where(
            best >= initial if worst < 0 else best <= initial, t, 0 if dinitial is None else dinitial
        )
    return settled(np.reshape(t, index.shape[:-1]), a, axis, keepdims)


def _taken(a: Any, da: Any, axis: Any, keepdims: Any, pick: Any) -> Any:
    """`chosen` by an index, so that a pullback touches nothing but the elements."""
    shape = a.shape
    if axis is None:
        t = da[np.unravel_index(pick(a), shape)]
        return np.reshape(t, (1,) * len(shape)) if keepdims is True else t
    places = [np.arange(n).reshape((-1,) + (1,) * (len(shape) - 1 - k)) for k, n in enumerate(shape)]
    places[axis] = np.expand_dims(pick(a, axis=axis), axis)
    t = da[tuple(places)]
    return t if keepdims is True else np.squeeze(t, axis)


_EXTREMES = [
    *_REDUCED,
    row(_A, axis=0, where=_MASK, initial=-5.0),
    singular(np.array([1.0, 1.0, 0.5])),
    row(_A, initial=0.6),
]


@jvp_rule([np.max, np.ndarray.max, *find_all("numpy.amax")], rows=_EXTREMES)
def _(
    a: Any,
    da: Any,
    axis: Any = None,
    out_: Any = None,
    keepdims: Any = False,
    initial: Any = None,
    where: Any = True,
    *,
    dinitial: Any = None,
) -> Any:
    return chosen(a, da, axis, keepdims, initial, where, np.argmax, -np.inf, dinitial)


@jvp_rule([np.min, np.ndarray.min, *find_all("numpy.amin")], rows=_EXTREMES)
def _(
    a: Any,
    da: Any,
    axis: Any = None,
    out_: Any = None,
    keepdims: Any = False,
    initial: Any = None,
    where: Any = True,
    *,
    dinitial: Any = None,
) -> Any:
    return chosen(a, da, axis, keepdims, initial, where, np.argmin, np.inf, dinitial)


def picked(pick: Any, worst: float, *, numbers: bool = False) -> Callable[..., Any]:
    """The rule of a ufunc's `reduce` that picks an element, with `numbers` none that is NaN."""

    def tangent(
        array: Any,
        darray: Any,
        axis: Any = 0,
        dtype: Any = None,
        out_: Any = None,
        keepdims: Any = False,
        initial: Any = None,
        where: Any = True,
        *,
        dinitial: Any = None,
    ) -> Any:
        if numbers:
            array = np.where(np.isnan(array), worst, array)
            initial = worst if initial is not None and np.isnan(initial) else initial
        return chosen(array, darray, axis, keepdims, initial, where, pick, worst, dinitial)

    return tangent


_UFUNC = [row(_A), row(_A, axis=None), row(_A, axis=1, keepdims=True)]
jvp_rule([np.maximum.reduce], rows=_UFUNC)(picked(np.argmax, -np.inf))
jvp_rule([np.minimum.reduce], rows=_UFUNC)(picked(np.argmin, np.inf))


@jvp_rule(np.ptp, rows=_REDUCED)
def _(a: Any, da: Any, axis: Any = None, out_: Any = None, keepdims: Any = False) -> Any:
    return chosen(a, da, axis, keepdims, None, True, np.argmax, -np.inf) - chosen(
        a, da, axis, keepdims, None, True, np.argmin, np.inf
    )


# ---- deviations and other means ------------------------------------------------------------------


def variance_tangent(
    a: Any, da: Any, axis: Any, ddof: Any, keepdims: Any, where: Any, mean: Any, dmean: Any
) -> Any:
    """2 Re(conj(a - mean) (da - dmean)) / (n - ddof), summed; dmean drops out unless the mean was given."""
    n = count(a, axis, where)
    centred = a - (np.mean(a, axis=axis, keepdims=True, where=where) if mean is None else mean)
    if where is not True:
        centred = np.where(where, centred, 0)
    with np.errstate(all="ignore"):  # of too few elements the value is NaN, or infinity
        scale = np.divide(2.0, np.maximum(n - ddof, 0))
    move = da if dmean is None else -dmean if da is None else da - dmean
    return np.sum((np.conjugate(centred) * scale * move).real, axis=axis, keepdims=keepdims is True)


def given(value: Any) -> Any:
    """An optional argument, or None: NumPy has a marker of its own for what was not given."""
    return None if value is np._NoValue else value


_DEVIATIONS = [
    row(_A),
    row(_A, 0),
    row(_A, axis=1, ddof=1),
    row(_B, axis=(0, 2), keepdims=True),
    row(_A, axis=0, where=_MASK),
]


@jvp_rule([np.var, np.ndarray.var], rows=_DEVIATIONS)
def _(
    a: Any,
    da: Any,
    axis: Any = None,
    dtype: Any = None,
    out_: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
    dmean: Any = None,
) -> Any:
    return variance_tangent(
        a, da, axis, ddof if correction is None else correction, keepdims, where, given(mean), dmean
    )


@jvp_rule([np.std, np.ndarray.std], rows=[row(_A), row(_A, 0), row(_A, axis=1, ddof=1), singular(np.ones(3))])
def _(
    a: Any,
    da: Any,
    axis: Any = None,
    dtype: Any = None,
    out_: Any = None,
    ddof: Any = 0,
    keepdims: Any = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
    dmean: Any = None,
    out: Any,
) -> Any:
    t = variance_tangent(
        a, da, axis, ddof if correction is None else correction, keepdims, where, given(mean), dmean
    )
    return np.where(np.equal(out, 0), 0, 0.5 / np.where(np.equal(out, 0), 1, out)) * t


@jvp_rule(np.logaddexp.reduce, rows=[row(_A), row(_A, axis=1), row(_A, axis=None)])
def _(
    array: Any,
    darray: Any,
    axis: Any = 0,
    dtype: Any = None,
    out_: Any = None,
    keepdims: Any = False,
    *,
    out: Any,
) -> Any:
    weights = np.exp(array - spread(out, axis, keepdims))
    return np.sum(weights * darray, axis=axis, keepdims=keepdims is True)


# ---- running sums and products -------------------------------------------------------------------


def suffix_sums(ct: Any, axis: int) -> Any:
    """Sums from each place to the end: the transpose of a running sum."""
    return np.flip(np.cumsum(np.flip(ct, axis), axis), axis)


@transpose_rule([np.cumsum, np.ndarray.cumsum], rows=[row(_A), row(_A, 0), row(_A, axis=-1)])
def _(ct: Any, a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
    return np.reshape(suffix_sums(ct, 0), np.shape(a)) if axis is None else suffix_sums(ct, axis)


@transpose_rule(np.add.accumulate, rows=[row(_A), row(_A, axis=1)])
def _(ct: Any, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
    return suffix_sums(ct, axis)


def cumulative_product_tangent(a: Any, da: Any, axis: int, out: Any) -> Any:
    """Divides by the factors where none is zero; else multiplies all others out, in quadratic time."""
    if np.all(a != 0):
        return out * np.cumsum(da / a, axis=axis)
    a, da = np.moveaxis(a, axis, -1), np.moveaxis(da, axis, -1)
    n = a.shape[-1]
    # factors[..., k, i] = a[i] if it goes into the k-th product, else 1
    inside = np.tril(np.ones((n, n), bool))
    factors = np.where(inside, a[..., None, :], 1)
    others = np.where(inside, exclusive_products(factors), 0)
    return np.moveaxis(np.matmul(others, da[..., None])[..., 0], -1, axis)


@jvp_rule([np.cumprod, np.ndarray.cumprod], rows=[row(_A), row(_A, 0), row(_ZERO, axis=1), row(_ZERO)])
def _(a: Any, da: Any, axis: Any = None, dtype: Any = None, *, out: Any) -> Any:
    if axis is None:
        return cumulative_product_tangent(np.ravel(a), np.ravel(da), 0, out)
    return cumulative_product_tangent(a, da, axis, out)


@jvp_rule(np.multiply.accumulate, rows=[row(_A), row(_ZERO, axis=1)])
def _(array: Any, darray: Any, axis: int = 0, dtype: Any = None, *, out: Any) -> Any:
    return cumulative_product_tangent(array, darray, axis, out)


@transpose_rule(np.add.reduceat, rows=[row(np.arange(6.0), [0, 2, 3]), row(_A, np.array([0, 2, 1]), axis=1)])
def _(ct: Any, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> Any:
    ct = np.moveaxis(ct, axis, 0)
    n = np.shape(array)[axis]
    stops = [*indices[1:], n]
    weights = np.zeros((n, len(stops)))
    for k, (start, stop) in enumerate(zip(indices, stops, strict=False)):
        weights[start : max(stop, start + 1), k] = 1.0
    return np.moveaxis(np.tensordot(weights, ct, axes=(1, 0)), 0, axis)


@transpose_rule(
    [np.trace, np.ndarray.trace], rows=[row(_A), row(_A, 1), row(_B, 0, 2, 1), row(_B, offset=-1)]
)
def _(
    ct: Any, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    shape = np.shape(a)
    unit = np.eye(shape[axis1], shape[axis2], offset)
    return np.moveaxis(np.reshape(unit, unit.shape + (1,) * np.ndim(ct)) * ct, (0, 1), (axis1, axis2))


nondifferentiable(
    *find_all(
        *(
            "numpy." + name
            for name in (
                "all",
                "any",
                "argmax",
                "argmin",
                "nanargmax",
                "nanargmin",
                "count_nonzero",
                "argsort",
                "argpartition",
                "argwhere",
                "nonzero",
                "flatnonzero",
                "searchsorted",
                "digitize",
                "lexsort",
                "logical_and.reduce",
                "logical_or.reduce",
                "bitwise_or.reduce",
                "bitwise_and.reduce",
                "isin",
                "linalg.matrix_rank",
                "ndarray.all",
                "ndarray.any",
                "ndarray.argmax",
                "ndarray.argmin",
                "ndarray.argsort",
                "ndarray.argpartition",
                "ndarray.nonzero",
                "ndarray.searchsorted",
            )
        )
    )
)
