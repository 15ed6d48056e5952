"""Convolutions, Fourier transforms and weighted counts: linear (or bilinear) C cores."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.rules.compat import find
from tapeless.rules.registry import row, transpose_rule

_U = np.array([0.5, -1.5, 2.0, 0.25, 1.0])
_V = np.array([0.5, -1.0, 2.0])
_C = _U + 1j * np.array([0.1, -0.2, 0.4, 0.0, 0.3])
_D = _V - 1j * np.array([0.3, 0.2, -0.6])
_A = np.cos(np.arange(24.0) ** 2).reshape(2, 3, 4)

# ---- convolution ---------------------------------------------------------------------------------


def full_cotangent(ct: Any, n: int, m: int, mode: Any, swapped: bool) -> Any:
    """The cotangent of a "same" or "valid" result as that of the full one, of length n + m - 1."""
    short = min(n, m)
    if mode in ("full", 2, "f"):
        return ct
    start = short - 1 if mode in ("valid", 0, "v") else (short - 1) // 2
    if swapped and mode not in ("valid", 0, "v"):
        start = short - 1 - start  # a correlation that exchanged its operands reverses the result
    total = np.zeros(n + m - 1, np.result_type(ct))
    total[start : start + len(ct)] = ct
    return total


_MODES = [
    row(_U, _V),
    row(_U, _V, "same"),
    row(_U, _V, mode="valid"),
    row(_V, _U, "same"),
    row(_V, _U, "valid"),
    row(_U, _V[:2], "same"),
    row(_V[:2], _U, "same"),
    row(_C, _D),
    row(_C, _V, "same"),
]


@transpose_rule(np.convolve, each=(0, 1), rows=_MODES)
def _(ct: Any, a: Any, v: Any, mode: Any = "full", *, wrt: int) -> Any:
    a, v = np.atleast_1d(a), np.atleast_1d(v)
    return np.correlate(full_cotangent(ct, len(a), len(v), mode, False), v if wrt == 0 else a, "valid")


def correlation_cotangent(ct: Any, a: Any, v: Any, mode: Any, wrt: int) -> Any:
    """c[k] = sum a[n + k] conj(v[n]): a convolution with the reversed conjugate."""
    a, v = np.atleast_1d(a), np.atleast_1d(v)
    full = full_cotangent(ct, len(a), len(v), mode, len(v) > len(a))
    if wrt == 0:
        return np.correlate(full, np.conjugate(v[::-1]), "valid")
    return np.conjugate(np.correlate(full, a, "valid")[::-1])


@transpose_rule(np.correlate, each=(0, 1), rows=_MODES)
def _(ct: Any, a: Any, v: Any, mode: Any = "valid", *, wrt: int) -> Any:
    return correlation_cotangent(ct, a, v, mode, wrt)


@transpose_rule(
    find("numpy._core.multiarray.correlate2"),
    each=(0, 1),
    rows=[row(_U, _V, 2), row(_C, _D, 1), row(_U, _V, 0)],
)
def _(ct: Any, a: Any, v: Any, mode: Any = 0, *, wrt: int) -> Any:
    return correlation_cotangent(ct, a, v, mode, wrt)


@transpose_rule(
    find("numpy._core.multiarray.correlate"),
    each=(0, 1),
    rows=[row(_U, _V, 2), row(_C, _D, 1), row(_U, _V, 0), row(_V, _U, 1)],
)
def _(ct: Any, a: Any, v: Any, mode: Any = 0, *, wrt: int) -> Any:
    # the core that `convolve` uses: it does not conjugate, and exchanges its operands if the second one is
    # longer
    if len(v) > len(a):
        a, v, wrt = v, a, 1 - wrt
    found = correlation_cotangent(ct, a, np.conjugate(v), mode, wrt)
    return found if wrt == 0 else np.conjugate(found)


# ---- weighted counts -----------------------------------------------------------------------------


@transpose_rule(
    np.bincount,
    linear=(1,),
    rows=[row(np.array([0, 2, 2, 1, 4]), _U), row(np.array([1, 0, 1]), _V, minlength=4)],
)
def _(ct: Any, x: Any, weights: Any = None, minlength: int = 0) -> Any:
    return ct[np.asarray(x)]


# ---- Fourier transforms --------------------------------------------------------------------------


def resized(ct: Any, n: int, axis: int) -> Any:
    """Cut or padded with zeros to length n: the transpose of what a transform does to an input of length
    n."""
    ct = np.moveaxis(ct, axis, 0)
    if len(ct) < n:
        ct = np.concatenate((ct, np.zeros((n - len(ct), *ct.shape[1:]), ct.dtype)))
    return np.moveaxis(ct[:n], 0, axis)


_INVERSE_NORM: dict[Any, Any] = {
    None: "forward",
    "backward": "forward",
    "ortho": "ortho",
    "forward": "backward",
}


def adjoint_transform(ct: Any, a: Any, axes: Any, norm: Any, inverse: Any) -> Any:
    """The conjugate transpose of a complex transform: the opposite one with the other normalisation, cut to
    size."""
    for axis in axes:
        ct = resized(inverse(ct, axis=axis, norm=_INVERSE_NORM[norm]), np.shape(a)[axis], axis)
    return ct


_ONE = [
    row(_U),
    row(_C),
    row(_U, 3),
    row(_C, n=7),
    row(_A, axis=1),
    row(_A, norm="ortho"),
    row(_A, 3, 0, "forward"),
]


@transpose_rule(np.fft.fft, rows=_ONE)
def _(ct: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return adjoint_transform(ct, a, (axis,), norm, np.fft.ifft)


@transpose_rule(np.fft.ifft, rows=_ONE)
def _(ct: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return adjoint_transform(ct, a, (axis,), norm, np.fft.fft)


def _axes(a: Any, s: Any, axes: Any) -> Any:
    if axes is not None:
        return axes
    return range(np.ndim(a)) if s is None else range(-len(s), 0)


_MANY = [row(_A), row(_A + 1j, axes=(0, 2)), row(_A, (2, 5), axes=(0, 1)), row(_A, norm="ortho")]


@transpose_rule(np.fft.fftn, rows=_MANY)
def _(ct: Any, a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    return adjoint_transform(ct, a, _axes(a, s, axes), norm, np.fft.ifft)


@transpose_rule(np.fft.ifftn, rows=_MANY)
def _(ct: Any, a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    return adjoint_transform(ct, a, _axes(a, s, axes), norm, np.fft.fft)


@transpose_rule(np.fft.fft2, rows=_MANY)
def _(ct: Any, a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return adjoint_transform(ct, a, axes, norm, np.fft.ifft)


@transpose_rule(np.fft.ifft2, rows=_MANY)
def _(ct: Any, a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return adjoint_transform(ct, a, axes, norm, np.fft.fft)


def real_adjoint(ct: Any, a: Any, n: Any, axis: int, norm: Any) -> Any:
    """Transpose of `rfft`: the missing half of the spectrum has no cotangent."""
    length = np.shape(a)[axis] if n is None else n
    whole = np.fft.ifft(resized(ct, length, axis), axis=axis, norm=_INVERSE_NORM[norm])
    return resized(whole, np.shape(a)[axis], axis)


def hermitian_adjoint(ct: Any, a: Any, n: Any, axis: int, norm: Any) -> Any:
    """Transpose of `irfft`: every frequency but the first (and, for an even length, the last) counts
    twice."""
    m = np.shape(a)[axis]
    length = 2 * (m - 1) if n is None else n
    half = np.fft.rfft(ct, axis=axis, norm=_INVERSE_NORM[norm])
    k = np.arange(length // 2 + 1)
    twice = np.where((k == 0) | (2 * k == length), 1.0, 2.0)
    half = np.moveaxis(np.moveaxis(half, axis, -1) * twice, -1, axis)
    return resized(half, m, axis)


_REAL = [row(_U), row(_U, 4), row(_U, n=7), row(_A, axis=1), row(_A, norm="ortho"), row(_A, 3, 0, "forward")]
_HALF = [
    row(_C),
    row(_C, 7),
    row(_C, n=4),
    row(_A + 0.5j, axis=1),
    row(_A + 0.5j, norm="ortho"),
    row(_A + 0.5j, 3, 0, "forward"),
]


@transpose_rule(np.fft.rfft, rows=_REAL)
def _(ct: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return real_adjoint(ct, a, n, axis, norm)


@transpose_rule(np.fft.irfft, rows=_HALF)
def _(ct: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return hermitian_adjoint(ct, a, n, axis, norm)


@transpose_rule(np.fft.hfft, rows=_HALF[:5])
def _(ct: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    # hfft(a) is irfft(conj(a)) with the other normalisation
    return np.conjugate(hermitian_adjoint(ct, a, n, axis, _INVERSE_NORM[norm]))


@transpose_rule(np.fft.ihfft, rows=_REAL[:5])
def _(ct: Any, a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Any:
    return real_adjoint(np.conjugate(ct), a, n, axis, _INVERSE_NORM[norm])


def real_many(ct: Any, a: Any, s: Any, axes: Any, norm: Any) -> Any:
    """Transpose of `rfftn`: a complex transform over all axes but the last, after a real one."""
    axes = list(axes)
    shape = list(np.shape(a))
    if s is not None:
        for axis, n in zip(axes, s, strict=False):
            shape[axis] = n
    for axis in axes[:-1]:
        ct = np.fft.ifft(ct, axis=axis, norm=_INVERSE_NORM[norm])
        ct = resized(ct, np.shape(a)[axis], axis)
    return real_adjoint(ct, a, shape[axes[-1]], axes[-1], norm)


def hermitian_many(ct: Any, a: Any, s: Any, axes: Any, norm: Any) -> Any:
    """Transpose of `irfftn`: complex transforms of all axes but the last, then a real result."""
    axes = list(axes)
    ct = hermitian_adjoint(ct, a, None if s is None else s[-1], axes[-1], norm)
    return adjoint_transform(ct, a, axes[:-1], norm, np.fft.fft)


_WHOLE = [row(_A), row(_A, axes=(0, 2)), row(_A, (2, 5), axes=(0, 1)), row(_A, norm="ortho")]


@transpose_rule(np.fft.rfftn, rows=_WHOLE)
def _(ct: Any, a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    return real_many(ct, a, s, _axes(a, s, axes), norm)


@transpose_rule(np.fft.rfft2, rows=_WHOLE)
def _(ct: Any, a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return real_many(ct, a, s, axes, norm)


_SPECTRA = [
    row(_A + 0.5j),
    row(_A + 0.5j, axes=(0, 2)),
    row(_A + 0.5j, (2, 5), axes=(0, 1)),
    row(_A - 1j, norm="ortho"),
]


@transpose_rule(np.fft.irfftn, rows=_SPECTRA)
def _(ct: Any, a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Any:
    return hermitian_many(ct, a, s, _axes(a, s, axes), norm)


@transpose_rule(np.fft.irfft2, rows=_SPECTRA)
def _(ct: Any, a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Any:
    return hermitian_many(ct, a, s, axes, norm)
