"""Quantiles of NumPy as programs on sorted arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.backends.native.staging.number_programs import normalize_axis_index

#: Of a quantile's place among n sorted numbers: q n + a + q (1 - a - b) - 1.
CONTINUOUS = {
    "interpolated_inverted_cdf": (0.0, 1.0), "hazen": (0.5, 0.5), "weibull": (0.0, 0.0), "linear": (1.0, 1.0),
    "median_unbiased": (1.0 / 3.0, 1.0 / 3.0), "normal_unbiased": (3.0 / 8.0, 3.0 / 8.0),
}  # fmt: skip


#: Methods that give one of the numbers, and all.
EXACT = ("lower", "higher", "nearest", "inverted_cdf", "closest_observation")
METHODS = {*CONTINUOUS, *EXACT, "midpoint", "averaged_inverted_cdf"}


def quantile(
    a: Any, q: Any, axis: Any = None, method: Any = "linear", keepdims: Any = False, *, weights: Any = None
) -> Any:
    _in_range(q, 1, "Quantiles must be in the range [0, 1]")
    if weights is not None:
        return _weighted(np.asarray(a), q, axis, method, keepdims, np.asarray(weights))
    return _quantile(a, q, axis, method, keepdims)


def _weighted(a: Any, q: Any, axis: Any, method: Any, keepdims: Any, weights: Any) -> Any:
    """The number of each row at which the sum of the weights, of all as 1, comes to a quantile."""
    if method != "inverted_cdf":
        raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
    row, gone = rows(a, axis)
    if weights.shape == a.shape:
        wide, _ = rows(weights, axis)
    elif axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    elif weights.shape != tuple([a.shape[k] for k in gone]):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    else:
        wide = np.broadcast_to(weights, row.shape)
    if np.any(weights < 0):
        raise ValueError("Weights must be non-negative.")
    n, places = row.shape[-1], np.atleast_1d(q)
    flat, wide = row.reshape(-1, n), wide.reshape(-1, n)
    made = np.empty((len(places), len(flat)), dtype=a.dtype)
    for i in range(len(flat)):
        order = np.argsort(flat[i], kind="stable")
        share = np.cumsum(wide[i][order] * 1.0)
        share = share / share[-1]
        if np.isnan(share[-1]):
            raise ValueError("Weights included NaN, inf or were all zero.")
        share = np.where(share == 0, -1.0, share)
        last = flat[i, order[-1]]
        for k in range(len(places)):
            found = flat[i, order[np.minimum(np.searchsorted(share, places[k]), n - 1)]]
            made[k, i] = last if np.isnan(last) else found
    made = made.reshape(np.shape(q) + row.shape[:-1])
    return np.expand_dims(made, tuple([k + np.ndim(q) for k in gone])) if keepdims else made


def _in_range(q: Any, most: Any, message: Any) -> None:
    for p in np.atleast_1d(q).tolist():
        if not 0 <= p <= most:
            raise ValueError(message)


def rows(a: Any, axis: Any) -> tuple[Any, Any]:
    """The array with the axes that are reduced as its last one, and which they are."""
    if axis is None:
        return a.ravel(), tuple(range(a.ndim))
    gone = axis if isinstance(axis, tuple) else (axis,)
    gone = tuple([normalize_axis_index(k, a.ndim) for k in gone])
    if len(gone) == 1:
        return np.moveaxis(a, gone[0], -1), gone
    moved = np.moveaxis(a, gone, tuple(range(-len(gone), 0)))
    return moved.reshape(moved.shape[: a.ndim - len(gone)] + (-1,)), gone


def median(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, keepdims: Any = False
) -> Any:
    row, gone = rows(np.asarray(a), axis)
    found = np.median(row, axis=-1)
    found = np.expand_dims(found, gone) if keepdims else found
    if out is None:
        return found
    out[...] = found
    return out


def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: Any = False, keepdims: Any = False
) -> Any:
    row, gone = rows(np.asarray(a), axis)
    row = np.sort(row, axis=-1)  # what is no number stands last
    n = np.sum(~np.isnan(row), axis=-1, keepdims=True)
    low = np.take_along_axis(row, np.maximum(n - 1, 0) // 2, -1)
    high = np.take_along_axis(row, np.minimum(n // 2, row.shape[-1] - 1), -1)
    found = (0.5 * (low + high))[..., 0]
    found = np.expand_dims(found, gone) if keepdims else found
    if out is None:
        return found
    out[...] = found
    return out


def _place(n: Any, p: Any, method: Any) -> Any:
    """Where a quantile stands among n sorted numbers, and the share of the next one if it stands between."""
    if method in CONTINUOUS:
        alpha, beta = CONTINUOUS[method]
        at = min(max(n * p + (alpha + p * (1.0 - alpha - beta)) - 1.0, 0.0), n - 1.0)
        return at, at - np.floor(at)
    if method == "nearest":
        return np.around((n - 1) * p), 0.0
    if method == "lower":
        return np.floor((n - 1) * p), 0.0
    if method == "higher":
        return np.ceil((n - 1) * p), 0.0
    if method == "midpoint":
        at = 0.5 * (np.floor((n - 1) * p) + np.ceil((n - 1) * p))
        return at, at - np.floor(at)
    at = n * p - 1 - 0.5 if method == "closest_observation" else n * p - 1
    exact = at == np.floor(at)
    if method == "averaged_inverted_cdf":
        inside = min(max(at, 0.0), n - 1.0)
        return inside, (0.5 if exact else 1.0) if inside == at else 0.0
    if method == "closest_observation":
        exact = exact and np.floor(at) % 2 == 1
    return max(np.floor(at) + (0 if exact else 1), 0.0), 0.0


def _quantile(a: Any, q: Any, axis: Any, method: Any, keepdims: Any) -> Any:
    row, gone = rows(np.asarray(a), axis)
    row = np.moveaxis(np.sort(row, axis=-1), -1, 0)
    exact = method in EXACT  # one of the numbers, of their own dtype
    row = row.astype(np.float64) if row.dtype.kind != "f" and not exact else row
    n = row.shape[0]
    made = []
    for p in np.atleast_1d(q).tolist():
        at, share = _place(n, p, method)
        low = int(np.floor(at))
        high = min(low + 1, n - 1)
        found = row[low] if exact else row[low] + (row[high] - row[low]) * share
        if row.dtype.kind == "f":
            found = np.where(np.isnan(row[-1]), row[-1], found)
        if keepdims:
            found = np.expand_dims(found, gone)
        made.append(found)
    return np.stack(made) if np.ndim(q) else made[0][()]


def percentile(
    a: Any, q: Any, axis: Any = None, method: Any = "linear", keepdims: Any = False, *, weights: Any = None
) -> Any:
    _in_range(q, 100, "Percentiles must be in the range [0, 100]")
    if weights is not None:
        return _weighted(np.asarray(a), np.true_divide(q, 100), axis, method, keepdims, np.asarray(weights))
    return _quantile(a, np.true_divide(q, 100), axis, method, keepdims)


def nanquantile(a: Any, q: Any, axis: Any = None, method: Any = "linear", keepdims: Any = False) -> Any:
    _in_range(q, 1, "Quantiles must be in the range [0, 1]")
    return _nanquantiles(a, q, axis, method, keepdims)


def _nanquantiles(a: Any, q: Any, axis: Any, method: Any, keepdims: Any) -> Any:
    a = np.asarray(a)
    if axis is None:
        row = a.ravel()
        found = _nanquantile(row, q, method)
        return np.reshape(found, np.shape(q) + (1,) * a.ndim) if keepdims else found
    made = np.apply_along_axis(_nanquantile, axis, a, q, method)
    if np.ndim(q):
        made = np.moveaxis(made, axis, 0)
    return np.expand_dims(made, axis % a.ndim + np.ndim(q)) if keepdims else made


def _nanquantile(row: Any, q: Any, method: Any) -> Any:
    """Of a row: its numbers come before what is none."""
    n = int(np.sum(~np.isnan(row)))
    row = np.sort(row)
    made = []
    for p in np.atleast_1d(q).tolist():
        alpha, beta = CONTINUOUS[method]
        at = min(max(n * p + (alpha + p * (1.0 - alpha - beta)) - 1.0, 0.0), max(n - 1.0, 0.0))
        low = int(np.floor(at))
        high = min(low + 1, max(n - 1, 0))
        made.append(row[low] + (row[high] - row[low]) * (at - low))
    return np.stack(made) if np.ndim(q) else made[0]


def nanpercentile(a: Any, q: Any, axis: Any = None, method: Any = "linear", keepdims: Any = False) -> Any:
    _in_range(q, 100, "Percentiles must be in the range [0, 100]")
    return _nanquantiles(a, np.true_divide(q, 100), axis, method, keepdims)
