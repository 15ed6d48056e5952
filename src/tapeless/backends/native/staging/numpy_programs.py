"""Functions of NumPy as programs on simpler ones; staged like any other (`opened`)."""

from __future__ import annotations

from typing import Any

import numpy as np

#: A program takes the options that it names; a call with others is refused.
EVERYTHING = slice(None)


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
    new = np.asarray(values)
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


def trim_zeros(filt: Any) -> Any:
    kept = np.flatnonzero(filt)
    if len(kept) == 0:
        return filt[:0]
    return filt[kept[0] : kept[-1] + 1]


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


def diff(a: Any, n: Any = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Any:
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
    if prepend is not None:
        before = np.asarray(prepend)
        parts = [np.broadcast_to(before, single) if before.ndim == 0 else before, *parts]
    if append is not None:
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


def lexsort(keys: Any, axis: Any = -1) -> Any:
    order = np.argsort(keys[0], kind="stable")
    for key in keys[1:]:
        order = order[np.argsort(np.asarray(key)[order], kind="stable")]
    return order


def unique(
    ar: Any, return_index: Any = False, return_inverse: Any = False, return_counts: Any = False,
    equal_nan: Any = True,
) -> Any:  # fmt: skip
    ar = np.asarray(ar)
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


def setxor1d(ar1: Any, ar2: Any, assume_unique: Any = False) -> Any:
    if not assume_unique:
        ar1 = np.unique(ar1)
        ar2 = np.unique(ar2)
    both = np.sort(np.concatenate((np.asarray(ar1).ravel(), np.asarray(ar2).ravel())))
    new = np.ones(len(both) + 1, dtype=bool)
    new[1:-1] = both[1:] != both[:-1]
    return both[np.flatnonzero(new[1:] & new[:-1])]


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


# ---- indices and integers


def normalize_axis_index(axis: Any, ndim: Any, msg_prefix: Any = None) -> Any:
    if axis < -ndim or axis >= ndim:
        raise np.exceptions.AxisError(f"axis {axis} is out of bounds for array of dimension {ndim}")
    return axis % ndim


def unravel_index(indices: Any, shape: Any) -> Any:
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if np.asarray(indices).dtype.kind not in "iu":
        raise TypeError("only int indices permitted")
    rest = indices if isinstance(indices, (int, np.integer)) else np.asarray(indices)
    total = 1
    for n in shape:
        total = total * n
    if np.any((rest < 0) | (rest >= total)):
        wrong = np.atleast_1d(rest)
        first = wrong[np.flatnonzero((wrong < 0) | (wrong >= total))[0]]
        raise ValueError(f"index {first} is out of bounds for array with size {total}")
    made: list[Any] = []
    for n in shape[::-1]:
        part = rest % n
        made = [np.int64(part) if isinstance(rest, (int, np.integer)) else part, *made]
        rest = rest // n
    return tuple(made)


def ravel_multi_index(multi_index: Any, dims: Any) -> Any:
    number = 0
    if len(multi_index) != len(dims):
        raise ValueError(f"parameter multi_index must be a sequence of length {len(dims)}")
    for i, n in zip(multi_index, dims, strict=True):
        i = i if isinstance(i, (int, np.integer)) else np.asarray(i)
        if np.any((np.asarray(i) < 0) | (np.asarray(i) >= n)):
            raise ValueError("invalid entry in coordinates array")
        number = number * n + i
    return np.int64(number) if isinstance(number, int) else number


def gcd(x1: Any, x2: Any) -> Any:
    if np.result_type(x1, x2).kind not in "iu":
        raise TypeError("ufunc 'gcd' is for integers")
    if isinstance(x1, (int, np.integer)) and isinstance(x2, (int, np.integer)):
        one, other = np.int64(np.abs(x1)), np.int64(np.abs(x2))
        while other != 0:
            one, other = other, one % other
        return np.asarray(one).astype(np.result_type(x1, x2))[()]
    a = np.abs(x1) + 0 * x2
    b = np.abs(x2) + 0 * x1
    while np.any(b != 0):
        rest = a % np.where(b == 0, 1, b)
        a = np.where(b == 0, a, b)
        b = np.where(b == 0, 0, rest)
    return a


def lcm(x1: Any, x2: Any) -> Any:
    common = gcd(x1, x2)
    return np.abs(x1) // np.where(common == 0, 1, common) * np.abs(x2)


def spacing(x: Any) -> Any:
    size = np.abs(x)
    return np.copysign(np.nextafter(size, np.inf) - size, x)


# ---- polynomials and windows


def polyval(p: Any, x: Any) -> Any:
    p = np.asarray(p)
    x = np.asarray(x)
    y = np.zeros(x.shape, dtype=np.result_type(p, x))
    for k in range(len(p)):
        y = np.asarray(y * x + p[k])
    return y[()]


def polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    p = np.asarray(p)
    for i in range(m):
        constant = 0.0 if k is None else (k[i] if np.ndim(k) else k)
        p = np.concatenate((p / np.arange(len(p), 0, -1), np.asarray(constant).reshape(1)))
    return p


def polymul(a1: Any, a2: Any) -> Any:
    return np.convolve(_without_zeros(np.asarray(a1)), _without_zeros(np.asarray(a2)))


def _without_zeros(p: Any) -> Any:
    """The coefficients from the first that is not zero on."""
    kept = np.flatnonzero(p)
    return p[kept[0] :] if len(kept) else np.zeros(1, dtype=p.dtype)


def kaiser(M: Any, beta: Any) -> Any:
    if M == 1:
        return np.ones(1)
    half = (M - 1) / 2.0
    places = (np.arange(0, M) - half) / half
    return np.i0(beta * np.sqrt(1 - places**2.0)) / np.i0(np.asarray([beta * 1.0]))[0]


# ---- matrices


def cond(x: Any, p: Any = None) -> Any:
    if p == 2 or p == -2:
        found = np.linalg.svdvals(x)
        return found[..., 0] / found[..., -1] if p == 2 else found[..., -1] / found[..., 0]
    if np.ndim(x) == 2 and np.linalg.slogdet(x)[0] == 0:
        return np.float64(np.inf)
    inverse = np.linalg.inv(x)
    return np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(inverse, p, axis=(-2, -1))


def matrix_rank(A: Any, tol: Any = None) -> Any:
    A = np.asarray(A)
    if A.ndim < 2:
        return int(np.any(A != 0))
    found = np.linalg.svdvals(A)
    if tol is None:
        tol = found.max(axis=-1, keepdims=True) * max(A.shape[-2], A.shape[-1]) * np.finfo(found.dtype).eps
    return np.sum(found > tol, axis=-1)


def tensorsolve(a: Any, b: Any) -> Any:
    a = np.asarray(a)
    b = np.asarray(b)
    shape = a.shape[b.ndim :]
    total = 1
    for n in shape:
        total = total * n
    return np.linalg.solve(a.reshape(total, total), b.ravel()).reshape(shape)


def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    if s is not None and len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    rows = np.fft.rfft(a, None if s is None else s[1], axes[1], norm)
    return np.fft.fft(rows, None if s is None else s[0], axes[0], norm)


def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None) -> Any:
    if s is not None and len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    rows = np.fft.ifft(a, None if s is None else s[0], axes[0], norm)
    return np.fft.irfft(rows, None if s is None else s[1], axes[1], norm)
