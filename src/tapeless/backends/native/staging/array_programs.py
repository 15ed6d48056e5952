"""Functions of NumPy that take arrays apart and put them together, as programs on simpler ones.

They are staged like any other (`opened`).  A program takes the options that it names; a call with others is
refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.backends.native import called_matrices
from tapeless.backends.native.called_matrices import partition_order
from tapeless.backends.native.staging.number_programs import normalize_axis_index
from tapeless.backends.native.staging.polynomial_programs import leave

EVERYTHING = slice(None)
#: What `np.require` may be asked for, by its letters.
FLAGS = {"C_CONTIGUOUS": "C", "CONTIGUOUS": "C", "ALIGNED": "A", "WRITEABLE": "W", "ENSUREARRAY": "E"}


# ---- parts put in, left out, replaced


def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    arr = np.asarray(arr)
    if axis is None:
        arr = arr.ravel()
        axis = 0
    axis = normalize_axis_index(axis, arr.ndim)
    n = arr.shape[axis]
    if isinstance(obj, slice):
        obj = np.arange(n)[obj]
    places = np.asarray(obj)
    if places.dtype == bool:
        places = np.flatnonzero(places)
    new = np.asarray(values).astype(arr.dtype)
    new = new[(None,) * max(arr.ndim - new.ndim, 0)]
    if places.ndim == 0:
        at = int(obj)
        if at < -n or at > n:
            raise IndexError(f"index {at} is out of bounds for axis {axis} with size {n}")
        if at < 0:
            at = at + n
        new = np.moveaxis(new, 0, axis)
        shape = arr.shape[:axis] + (new.shape[axis],) + arr.shape[axis + 1 :]
        before = arr[(EVERYTHING,) * axis + (slice(None, at),)]
        after = arr[(EVERYTHING,) * axis + (slice(at, None),)]
        return np.concatenate((before, np.broadcast_to(new, shape), after), axis=axis)
    count = places.shape[0]
    if np.any((places < -n) | (places > n)):
        raise IndexError(f"an index is out of bounds for axis {axis} with size {n}")
    places = np.where(places < 0, places + n, places)
    order = np.argsort(places, kind="stable")
    moved = np.zeros(count, dtype=np.int64)
    moved[order] = places[order] + np.arange(count)
    old = np.ones(n + count, dtype=bool)
    old[moved] = False
    made = np.zeros(arr.shape[:axis] + (n + count,) + arr.shape[axis + 1 :], dtype=arr.dtype)
    made[(EVERYTHING,) * axis + (moved,)] = new
    made[(EVERYTHING,) * axis + (np.flatnonzero(old),)] = arr
    return made


def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    arr = np.asarray(arr)
    if axis is None:
        arr = arr.ravel()
        axis = 0
    axis = normalize_axis_index(axis, arr.ndim)
    n = arr.shape[axis]
    if isinstance(obj, (int, np.integer)) and not isinstance(obj, bool):
        at = int(obj)
        if at < -n or at >= n:
            raise IndexError(f"index {at} is out of bounds for axis {axis} with size {n}")
        if at < 0:
            at = at + n
        before = arr[(EVERYTHING,) * axis + (slice(None, at),)]
        after = arr[(EVERYTHING,) * axis + (slice(at + 1, None),)]
        return np.concatenate((before, after), axis=axis)
    keep = np.ones(n, dtype=bool)
    if isinstance(obj, slice):
        keep[obj] = False
    else:
        gone = np.asarray(obj)
        if gone.dtype == bool:
            if gone.shape != (n,):
                raise ValueError(
                    "boolean array argument obj to delete must be one dimensional and match the axis length"
                    f" of {n}"
                )
            keep = ~gone
        else:
            keep[gone.ravel()] = False
    return arr[(EVERYTHING,) * axis + (np.flatnonzero(keep),)]


def putmask(a: Any, mask: Any, values: Any) -> None:
    new = np.asarray(values, dtype=a.dtype) if isinstance(values, int) else np.asarray(values)
    if new.ndim:
        new = np.resize(new, a.shape)
    a[...] = np.where(mask, new.astype(a.dtype), a)


def place(arr: Any, mask: Any, vals: Any) -> None:
    new = np.asarray(vals).ravel().astype(arr.dtype)
    chosen = np.asarray(mask).astype(bool)
    if len(new) == 0:
        if np.any(chosen):
            raise ValueError("Cannot insert from an empty array!")
        return
    number = np.cumsum(chosen.ravel()) - 1
    arr[...] = np.where(chosen, new[number % len(new)].reshape(arr.shape), arr)


def take(a: Any, indices: Any, axis: Any = None, mode: Any = "raise") -> Any:
    n = np.size(a) if axis is None else np.shape(a)[axis]
    if mode == "clip":
        indices = np.clip(indices, 0, n - 1)
    elif mode == "wrap":
        indices = np.asarray(indices) % n
    return np.take(a, indices, axis)


def put(a: Any, ind: Any, v: Any, mode: Any = "raise") -> None:
    places = np.asarray(ind).ravel()
    new = np.asarray(v).ravel().astype(a.dtype)
    if len(new) == 0:
        return
    if mode == "clip":
        places = np.clip(places, 0, a.size - 1)
    elif mode == "wrap":
        places = places % a.size
    a.flat[places] = new[np.arange(len(places)) % len(new)]


def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    if np.asarray(condition).ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return np.take(a, np.flatnonzero(condition), axis, out)


def trim_zeros(filt: Any, trim: Any = "fb") -> Any:
    kept = np.flatnonzero(filt)
    if len(kept) == 0:
        return filt[:0]
    first = kept[0] if "f" in trim.lower() else 0
    last = kept[-1] + 1 if "b" in trim.lower() else len(filt)
    return filt[first:last]


def partition(a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Any:
    a = np.asarray(a)
    if axis is None:
        a = a.ravel()
        axis = -1
    rows = np.moveaxis(a, axis, -1)
    return np.moveaxis(np.take_along_axis(rows, partition_order(rows, kth), -1), -1, axis)


def argpartition(a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Any:
    a = np.asarray(a)
    if axis is None:
        a = a.ravel()
        axis = -1
    return np.moveaxis(called_matrices.argpartition(np.moveaxis(a, axis, -1), kth), -1, axis)


def partition_in_place(
    a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None
) -> None:
    a[...] = np.partition(a, kth, axis)


def searchsorted(a: Any, v: Any, side: Any = "left", sorter: Any = None) -> Any:
    return np.searchsorted(np.asarray(a)[np.asarray(sorter)], v, side)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Between samples of a periodic function: the last one stands before the first, too."""
    if period is None:
        return np.interp(x, xp, fp, left, right)
    if period == 0:
        raise ValueError("period must be a non-zero value")
    period = abs(period)
    places = np.asarray(xp) % period
    order = np.argsort(places)
    places = places[order]
    values = np.asarray(fp)[order]
    places = np.concatenate((places[-1:] - period, places, places[:1] + period))
    values = np.concatenate((values[-1:], values, values[:1]))
    return np.interp(np.asarray(x)[()] % period, places, values)


def diagflat(v: Any, k: Any = 0) -> Any:
    return np.diag(np.asarray(v).ravel(), k)


# ---- differences


def modf(x: Any) -> Any:
    """A zero has the sign of `x`, also where it is a difference."""
    if np.asarray(x).dtype.kind in "iu":
        x = x * 1.0
    whole = np.trunc(x)
    rest = np.where(np.signbit(x), -(whole - x), x - whole)
    return np.where(np.isinf(x), np.copysign(0.0, x), rest)[()], whole


def diff(a: Any, n: Any = 1, axis: Any = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    a = np.asarray(a)
    if a.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = normalize_axis_index(axis, a.ndim)
    single = a.shape[:axis] + (1,) + a.shape[axis + 1 :]
    parts = [a]
    if prepend is not np._NoValue:
        before = np.asarray(prepend)
        parts = [np.broadcast_to(before, single) if before.ndim == 0 else before, *parts]
    if append is not np._NoValue:
        after = np.asarray(append)
        parts = [*parts, np.broadcast_to(after, single) if after.ndim == 0 else after]
    return np.diff(np.concatenate(parts, axis), n, axis)


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    made = np.diff(np.asarray(ary).ravel())
    parts = [made]
    if to_begin is not None:
        parts = [np.asarray(to_begin).ravel().astype(made.dtype), *parts]
    if to_end is not None:
        parts = [*parts, np.asarray(to_end).ravel().astype(made.dtype)]
    return np.concatenate(parts)


def gradient_along(f: Any, h: Any, axis: Any, edge_order: Any) -> Any:
    """The gradient along one axis, of steps of one length or on places."""
    f = np.moveaxis(np.asarray(f), axis, 0)
    if f.shape[0] < edge_order + 1:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements "
            "are required."
        )
    if f.dtype != np.float32 and f.dtype != np.complex128:
        f = f.astype(np.float64)
    h = np.asarray(h)
    made = np.zeros(f.shape, dtype=f.dtype)
    if h.ndim == 0:
        made[1:-1] = (f[2:] - f[:-2]) / (2.0 * h)
        first = h
        second = h
        last = h
        next_to_last = h
    else:
        if len(h) != f.shape[0]:
            raise ValueError("when 1d, distances must match the length of the corresponding dimension")
        steps = np.diff(h)
        full = (-1,) + (1,) * (f.ndim - 1)
        left = steps[:-1].reshape(full)
        right = steps[1:].reshape(full)
        a = -(right) / (left * (left + right))
        b = (right - left) / (left * right)
        c = left / (right * (left + right))
        made[1:-1] = a * f[:-2] + b * f[1:-1] + c * f[2:]
        first = steps[0]
        last = steps[-1]
        second = steps[0] if edge_order == 1 else steps[1]
        next_to_last = steps[-1] if edge_order == 1 else steps[-2]
    if edge_order == 1:
        made[0] = (f[1] - f[0]) / first
        made[-1] = (f[-1] - f[-2]) / last
    else:
        made[0] = (
            -(2.0 * first + second) / (first * (first + second)) * f[0]
            + (first + second) / (first * second) * f[1]
            - first / (second * (first + second)) * f[2]
        )
        made[-1] = (
            last / (next_to_last * (next_to_last + last)) * f[-3]
            - (last + next_to_last) / (next_to_last * last) * f[-2]
            + (2.0 * last + next_to_last) / (last * (next_to_last + last)) * f[-1]
        )
    return np.moveaxis(made, 0, axis)


def linspace_between(start: Any, stop: Any, num: Any, endpoint: Any, axis: Any) -> Any:
    """`linspace` between arrays."""
    start = np.asarray(start) * 1.0
    stop = np.asarray(stop) * 1.0
    parts = num - 1 if endpoint else num
    delta = stop - start
    made = np.arange(0, num).reshape((-1,) + (1,) * delta.ndim) * (delta / max(parts, 1)) + start
    if endpoint and num > 1:
        made[-1] = np.broadcast_to(stop, delta.shape)
    return np.moveaxis(made, 0, axis)


# ---- products


def vecdot(x1: Any, x2: Any, axis: Any = -1) -> Any:
    return np.sum(np.moveaxis(np.conjugate(x1), axis, -1) * np.moveaxis(x2, axis, -1), axis=-1)


def matvec(x1: Any, x2: Any) -> Any:
    return np.matmul(x1, np.asarray(x2)[..., None])[..., 0]


def vecmat(x1: Any, x2: Any) -> Any:
    return np.matmul(np.conjugate(x1)[..., None, :], x2)[..., 0, :]


def cross(a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None) -> Any:
    if axis is not None:
        axisa = axis
        axisb = axis
        axisc = axis
    made = np.cross(np.moveaxis(np.asarray(a), axisa, -1), np.moveaxis(np.asarray(b), axisb, -1))
    return np.moveaxis(made, -1, axisc)  # vectors have three elements: others are refused


# ---- order


def digitize(x: Any, bins: Any, right: Any = False) -> Any:
    bins = np.asarray(bins)
    side: Any = "left" if right else "right"
    if not np.any(bins[1:] < bins[:-1]):
        return np.searchsorted(bins, x, side)
    if not np.any(bins[1:] > bins[:-1]):
        return len(bins) - np.searchsorted(bins[::-1], x, side)
    raise ValueError("bins must be monotonically increasing or decreasing")


def lexsort(keys: Any, axis: Any = -1) -> Any:
    order = np.argsort(keys[0], kind="stable")
    for key in keys[1:]:
        order = order[np.argsort(np.asarray(key)[order], kind="stable")]
    return order


def unique(
    ar: Any, return_index: Any = False, return_inverse: Any = False, return_counts: Any = False,
    axis: Any = None, *, equal_nan: Any = True, sorted: Any = True,
) -> Any:  # fmt: skip
    ar = np.asarray(ar)
    if axis is not None:
        made = unique_parts(np.moveaxis(ar, axis, 0), return_index, return_inverse, return_counts)
        parts = np.moveaxis(made[0], 0, axis)
        return (parts, *made[1:]) if len(made) > 1 else parts
    flat = ar.ravel()
    order = np.argsort(flat, kind="stable")
    row = flat[order]
    new = np.ones(len(row), dtype=bool)
    new[1:] = row[1:] != row[:-1]
    if equal_nan:
        new[1:] = new[1:] & ~((row[1:] != row[1:]) & (row[:-1] != row[:-1]))
    firsts = np.flatnonzero(new)
    made = [row[firsts]]
    if return_index:
        made = [*made, order[firsts]]
    if return_inverse:
        inverse = np.zeros(len(row), dtype=np.int64)
        inverse[order] = np.cumsum(new) - 1
        made = [*made, inverse.reshape(ar.shape)]
    if return_counts:
        made = [*made, np.diff(np.append(firsts, len(row)))]
    return tuple(made) if len(made) > 1 else made[0]


def unique_parts(ar: Any, return_index: Any, return_inverse: Any, return_counts: Any) -> Any:
    """The parts of an array along its first axis that differ, in the order of their elements."""
    rows = ar.reshape(len(ar), -1)
    order = np.arange(len(ar))
    for k in range(rows.shape[1] - 1, -1, -1):
        order = order[np.argsort(rows[order, k], kind="stable")]
    new = np.ones(len(ar), dtype=bool)
    new[1:] = np.any(rows[order[1:]] != rows[order[:-1]], axis=1)
    firsts = np.flatnonzero(new)
    made = [ar[order[firsts]]]
    if return_index:
        made = [*made, order[firsts]]
    if return_inverse:
        inverse = np.zeros(len(ar), dtype=np.int64)
        inverse[order] = np.cumsum(new) - 1
        made = [*made, inverse]
    if return_counts:
        made = [*made, np.diff(np.append(firsts, len(ar)))]
    return tuple(made)


def require(a: Any, dtype: Any = None, requirements: Any = None, *, like: Any = None) -> Any:
    """Compiled arrays are aligned and can be written; who owns memory, and columns first, is CPython's."""
    letters = {FLAGS.get(x.upper(), x) for x in requirements or ()}
    if like is not None or not letters <= {"C", "A", "W", "E"}:
        leave()
    return np.asarray(a, dtype=dtype, order="C" if "C" in letters else None)


def setxor1d(ar1: Any, ar2: Any, assume_unique: Any = False) -> Any:
    if not assume_unique:
        ar1 = np.unique(ar1)
        ar2 = np.unique(ar2)
    both = np.sort(np.concatenate((np.asarray(ar1).ravel(), np.asarray(ar2).ravel())))
    new = np.ones(len(both) + 1, dtype=bool)
    new[1:-1] = both[1:] != both[:-1]
    return both[np.flatnonzero(new[1:] & new[:-1])]
