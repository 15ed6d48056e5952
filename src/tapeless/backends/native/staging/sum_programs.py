"""Sums, means and edges of NumPy that are taken of parts of arrays, as programs on simpler functions."""

from __future__ import annotations

from typing import Any

import numpy as np


def counted(a: Any, axis: Any, dtype: Any, where: Any, keepdims: Any) -> tuple[Any, Any]:
    """The sum of the elements that are chosen, and their number."""
    a = np.asarray(a)
    if dtype is None and a.dtype.kind in "iub":
        dtype = np.float64
    total = np.sum(a, axis=axis, dtype=dtype, keepdims=keepdims, where=where)
    chosen = np.broadcast_to(np.asarray(where), a.shape)
    return total, np.sum(chosen, axis=axis, dtype=np.asarray(total).dtype, keepdims=keepdims)


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, where: Any = True
) -> Any:
    total, count = counted(a, axis, dtype, where, keepdims)
    if out is None:
        return total / count
    return np.divide(total, count, out=out)


def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False,
    where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    a = np.asarray(a)
    less = ddof if correction is None else correction
    total, count = counted(a, axis, dtype, where, True)
    rest = a - (total / count if mean is None else mean)
    squares = rest * rest if rest.dtype.kind == "f" else rest.real**2 + rest.imag**2
    made, count = counted(squares, axis, None, where, keepdims)
    count = np.maximum(count - less, 0.0)
    if out is None:
        return made / count
    return np.divide(made, count, out=out)


def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False,
    where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    made = np.sqrt(var(a, axis, dtype, None, ddof, keepdims, where, mean, correction))
    if out is None:
        return made
    out[...] = made
    return out


def cov(
    m: Any, y: Any = None, rowvar: Any = True, bias: Any = False, ddof: Any = None, fweights: Any = None,
    aweights: Any = None,
) -> Any:  # fmt: skip
    rows = np.asarray(m)
    if rows.ndim == 2 and not rowvar:
        rows = rows.T
    rows = np.atleast_2d(rows)
    if y is not None:
        more = np.atleast_2d(np.asarray(y))
        rows = np.concatenate((rows, more if rowvar or more.shape[0] == 1 else more.T))
    less = ddof if ddof is not None else (0 if bias else 1)
    weights: Any = np.ones(rows.shape[1])
    if fweights is not None:
        weights = np.asarray(fweights) * 1.0
    if aweights is not None:
        weights = weights * np.asarray(aweights)
    total = np.sum(weights)
    if aweights is not None and less:
        number = total - less * np.sum(weights * np.asarray(aweights)) / total
    else:
        number = total - less
    number = np.maximum(number, 0.0)
    rest = rows - np.sum(rows * weights, axis=1, keepdims=True) / total
    return np.squeeze(rest @ np.conjugate((rest * weights).T) * (1.0 / number))


def reduceat(function: Any, array: Any, indices: Any, axis: Any = 0) -> Any:
    rows = np.moveaxis(np.asarray(array), axis, 0)
    starts = np.asarray(indices)
    n = rows.shape[0]
    if np.any((starts < 0) | (starts >= n)):
        wrong = starts[np.flatnonzero((starts < 0) | (starts >= n))[0]]
        raise IndexError(f"index {wrong} out-of-bounds in {function.__name__}.reduceat [0, {n})")
    made = np.zeros((len(starts),) + rows.shape[1:], dtype=rows.dtype)
    for i in range(len(starts)):
        first = starts[i]
        last = starts[i + 1] if i + 1 < len(starts) else n
        if first < last:
            made[i] = function.reduce(rows[first:last], axis=0)
        else:
            made[i] = rows[first]
    return np.moveaxis(made, 0, axis)


# ---- edges


def pad(a: Any, widths: Any, mode: Any, ends: Any, length: Any) -> Any:
    """Edges by `numpy.pad`, one axis after the other; `ends` and `length` are of each side of each axis."""
    a = np.asarray(a)
    for axis in range(a.ndim):
        before, after = widths[axis]
        row = np.moveaxis(a, axis, 0)
        n = row.shape[0]
        shape = row.shape[1:]
        parts = [row]
        if mode == "linear_ramp":
            first, last = ends[axis]
            if before:
                down = np.arange(before).reshape((before,) + (1,) * len(shape)) / before
                parts = [first + (row[:1] - first) * down, *parts]
            if after:
                up = np.arange(after - 1, -1, -1).reshape((after,) + (1,) * len(shape)) / after
                parts = [*parts, last + (row[-1:] - last) * up]
        elif mode == "constant":
            first, last = ends[axis]
            parts = [np.full((before, *shape), first, a.dtype), row, np.full((after, *shape), last, a.dtype)]
        else:
            lengths = length[axis]
            low = row if lengths[0] is None else row[: min(lengths[0], n)]
            high = row if lengths[1] is None else row[n - min(lengths[1], n) :]
            reduced: Any = {"mean": np.mean, "maximum": np.max, "minimum": np.min, "median": np.median}[mode]
            first = reduced(low, axis=0)
            last = reduced(high, axis=0)
            parts = [np.broadcast_to(first, (before, *shape)), row, np.broadcast_to(last, (after, *shape))]
        a = np.moveaxis(np.concatenate(parts), 0, axis)
    return a
