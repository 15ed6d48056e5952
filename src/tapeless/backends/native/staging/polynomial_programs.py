"""Polynomials and windows of NumPy, as programs on simpler functions."""

from __future__ import annotations

from typing import Any

import numpy as np


def leave() -> None:
    """Leave the call to the plain program."""


def poly(seq_of_zeros: Any) -> Any:
    zeros = np.atleast_1d(seq_of_zeros)
    if zeros.ndim != 1 or zeros.dtype.kind == "c":
        leave()  # of conjugate zeros they are real
    made = np.ones(1, dtype=zeros.dtype if zeros.dtype.kind == "f" else np.float64)
    for zero in zeros:
        made = np.append(made, 0.0) - zero * np.append(np.zeros(1), made)
    return made


def roots(p: Any) -> Any:
    p = np.atleast_1d(p)
    if p.ndim != 1:
        raise ValueError("Input must be a rank-1 array.")
    p = p * 1.0
    n = len(p)
    if n < 2 or p[0] == 0 or p[-1] == 0:
        leave()  # the number of roots depends on zeros at the ends
    a = np.diag(np.ones(n - 2, p.dtype), -1)
    a[0, :] = -p[1:] / p[0]
    return np.linalg.eigvals(a)


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
