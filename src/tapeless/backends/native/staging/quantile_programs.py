"""Quantiles of NumPy as programs on sorted arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Of a quantile's place among n sorted numbers: q n + a + q (1 - a - b) - 1.
CONTINUOUS = {
    "interpolated_inverted_cdf": (0.0, 1.0), "hazen": (0.5, 0.5), "weibull": (0.0, 0.0), "linear": (1.0, 1.0),
    "median_unbiased": (1.0 / 3.0, 1.0 / 3.0), "normal_unbiased": (3.0 / 8.0, 3.0 / 8.0),
}  # fmt: skip


def quantile(a: Any, q: Any, axis: Any = None, method: Any = "linear", keepdims: Any = False) -> Any:
    _in_range(q, 1, "Quantiles must be in the range [0, 1]")
    return _quantile(a, q, axis, method, keepdims)


def _in_range(q: Any, most: Any, message: Any) -> None:
    for p in np.atleast_1d(q).tolist():
        if not 0 <= p <= most:
            raise ValueError(message)


def _quantile(a: Any, q: Any, axis: Any, method: Any, keepdims: Any) -> Any:
    a = np.asarray(a)
    ndim = a.ndim
    if axis is None:
        row = np.sort(a.ravel())
        axis = tuple(range(ndim))
    else:
        row = np.moveaxis(np.sort(a, axis=axis), axis, 0)
    exact = method in ("lower", "higher")  # one of the numbers, of their own dtype
    row = row.astype(np.float64) if row.dtype.kind != "f" and not exact else row
    n = row.shape[0]
    made = []
    for p in np.atleast_1d(q).tolist():
        if method in CONTINUOUS:
            alpha, beta = CONTINUOUS[method]
            at = n * p + (alpha + p * (1.0 - alpha - beta)) - 1.0
        elif method == "lower":
            at = np.floor((n - 1) * p)
        elif method == "higher":
            at = np.ceil((n - 1) * p)
        else:
            at = 0.5 * (np.floor((n - 1) * p) + np.ceil((n - 1) * p))
        at = min(max(at, 0.0), n - 1.0)
        low = int(np.floor(at))
        high = min(low + 1, n - 1)
        found = row[low] if exact else row[low] + (row[high] - row[low]) * (at - low)
        if row.dtype.kind == "f":
            found = np.where(np.isnan(row[-1]), row[-1], found)
        if keepdims:
            found = np.expand_dims(found, axis)
        made.append(found)
    return np.stack(made) if np.ndim(q) else made[0][()]


def percentile(a: Any, q: Any, axis: Any = None, method: Any = "linear", keepdims: Any = False) -> Any:
    _in_range(q, 100, "Percentiles must be in the range [0, 100]")
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
