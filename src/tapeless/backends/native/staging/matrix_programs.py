"""Functions of `numpy.linalg` and `numpy.fft` as programs on simpler ones."""

from __future__ import annotations

from typing import Any

import numpy as np

SVD: Any = type(np.linalg.svd(np.eye(1)))


def cond(x: Any, p: Any = None) -> Any:
    if p is None or p == 2 or p == -2:
        found = np.linalg.svdvals(x)
        return found[..., -1] / found[..., 0] if p == -2 else found[..., 0] / found[..., -1]
    if np.ndim(x) == 2 and np.linalg.slogdet(x)[0] == 0:
        return np.float64(np.inf)
    inverse = np.linalg.inv(x)
    return np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(inverse, p, axis=(-2, -1))


def of_lower(a: Any) -> Any:
    """The symmetric matrix of which the lower triangle is read."""
    low = np.tril(a)
    return low + np.tril(a, -1).T


def svd_of_hermitian(a: Any) -> Any:
    """By eigenvalues: their signs go with the vectors on the right."""
    w, v = np.linalg.eigh(a)
    order = np.argsort(np.abs(w), axis=-1)[..., ::-1]
    w = np.take_along_axis(w, order, -1)
    v = np.take_along_axis(v, order[..., None, :], -1)
    right = np.conjugate(np.swapaxes(v * np.sign(w)[..., None, :], -1, -2))
    return SVD(v, np.abs(w), right)


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
