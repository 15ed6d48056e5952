"""Functions of `numpy.linalg` and `numpy.fft` as programs on simpler ones."""

from __future__ import annotations

from typing import Any

import numpy as np


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
