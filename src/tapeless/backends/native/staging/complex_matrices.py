"""Linear algebra of complex matrices, as programs; staged like any other.

Systems are solved as real ones of twice the size.  Factors are NumPy's, called back, with the tangents below,
as the rules of the user are (`own_rules`): of a matrix, its tangent and the factors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.rules.factorisations import gaps


def solve(a: Any, b: Any) -> Any:
    n = len(a)
    found = np.linalg.solve(real(a), np.concatenate((b.real, b.imag)))
    return found[:n] + 1j * found[n:]


def inv(a: Any) -> Any:
    n = len(a)
    found = np.linalg.inv(real(a))
    return found[:n, :n] + 1j * found[n:, :n]


def solve_each(a: Any, b: Any) -> Any:
    """Systems of a stack of matrices."""
    n = a.shape[-1]
    found = np.linalg.solve(real_each(a), np.concatenate((b.real, b.imag), axis=-2))
    return found[..., :n, :] + 1j * found[..., n:, :]


def inv_each(a: Any) -> Any:
    n = a.shape[-1]
    found = np.linalg.inv(real_each(a))
    return found[..., :n, :n] + 1j * found[..., n:, :n]


def real_each(a: Any) -> Any:
    upper = np.concatenate((a.real, -a.imag), axis=-1)
    return np.concatenate((upper, np.concatenate((a.imag, a.real), axis=-1)), axis=-2)


def real(a: Any) -> Any:
    """The real matrix that does to real and imaginary parts what a complex one does."""
    n = len(a)
    made = np.empty((2 * n, 2 * n))
    made[:n, :n] = a.real
    made[n:, n:] = a.real
    made[n:, :n] = a.imag
    made[:n, n:] = -a.imag
    return made


# ---- tangents of factors


def adjoint(a: Any) -> Any:
    return np.conjugate(np.swapaxes(a, -1, -2))


def regular(determinant: Any) -> Any:
    """The determinant itself, which is not zero."""
    return determinant


def det_tangent(a: Any, da: Any, out: Any) -> Any:
    scale = regular(out)
    turned = np.swapaxes(np.linalg.inv(a), -1, -2)
    return scale * np.sum(turned * da, axis=(-2, -1))


def slogdet_tangent(a: Any, da: Any, sign: Any, size: Any) -> Any:
    rate = np.sum(np.swapaxes(np.linalg.inv(a), -1, -2) * da, axis=(-2, -1))
    return sign * rate.imag * 1j, rate.real


def cholesky_tangent(a: Any, da: Any, low: Any) -> Any:
    """One triangle is read; its elements stand for both, and its diagonal is taken to be real."""
    n = a.shape[-1]
    strict = da * np.tril(np.ones((n, n)), -1)
    whole = strict + adjoint(strict) + da.real * np.eye(n)
    back = np.linalg.inv(low)
    inside = back @ whole @ adjoint(back)
    return low @ (inside * (np.tril(np.ones((n, n))) - 0.5 * np.eye(n)))


def qr_tangent(a: Any, da: Any, q: Any, r: Any) -> Any:
    """R has a real diagonal.  Of a wide matrix the first columns determine Q."""
    m, n = a.shape[-2:]
    k = min(m, n)
    moved = da[..., :k] @ np.linalg.inv(r[..., :k])
    inside = adjoint(q) @ moved
    strict = inside * np.tril(np.ones((k, k)), -1)
    turn = strict - adjoint(strict) + (inside * np.eye(k)).imag * 1j
    dr = (inside - turn) @ r[..., :k]
    if n > m:
        dr = np.concatenate((dr, adjoint(q) @ da[..., k:] - turn @ r[..., k:]), axis=-1)
    return q @ turn + (moved - q @ inside), dr


def eigh_tangent(a: Any, da: Any, w: Any, v: Any) -> Any:
    n = a.shape[-1]
    strict = da * np.tril(np.ones((n, n)), -1)
    read = strict + adjoint(strict) + da.real * np.eye(n)
    inside = adjoint(v) @ read @ v
    dv = v @ (gaps(w) * inside)
    return np.sum(inside * np.eye(n), axis=-1).real, dv - v * turning(v, dv)


def svd_tangent(a: Any, da: Any, u: Any, s: Any, vh: Any) -> Any:
    m, n = a.shape[-2:]
    k = min(m, n)
    v = adjoint(vh)
    inside = adjoint(u) @ da @ v
    gap = gaps(s * s)
    right = inside * s[..., None, :]
    left = s[..., :, None] * inside
    du = u @ (gap * (right + adjoint(right)))
    dv = v @ (gap * (left + adjoint(left)))
    # the free phases: half of the imaginary diagonal goes to u (any share gives u s v^H)
    du = du + u @ ((inside * np.eye(k)).imag * (1j / s[..., None, :]))
    if m > k:
        du = du + (da @ v - u @ (adjoint(u) @ (da @ v))) / s[..., None, :]
    if n > k:
        back = adjoint(da)
        dv = dv + (back @ u - v @ (vh @ (back @ u))) / s[..., None, :]
    phase = turning(v, dv) if m >= n else turning(u, du)
    return du - u * phase, np.sum(inside * np.eye(k), axis=-1).real, adjoint(dv - v * phase)


def turning(v: Any, dv: Any) -> Any:
    """i times the rates at which vectors turn: LAPACK fixes their phase by making one row real."""
    flat = np.abs(v.imag) < 1e-15
    still = np.all(flat, axis=-1)
    for _ in range(v.ndim - 2):
        still = np.all(still, axis=0)
    k = np.argmax(still)
    pivot = v[..., k, :]
    rate = (dv[..., k, :] / np.where(pivot == 0, np.inf, pivot)).imag
    return np.where(still[k], rate, 0.0)[..., None, :] * 1j
