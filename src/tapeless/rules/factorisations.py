"""Tangents of matrix factorisations, also for stacks of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.rules.linalg import adjoint, minus, symmetric_part
from tapeless.rules.registry import jvp_rule, row
from tapeless.rules.spaces import Symbolic, strong_product
from tapeless.rules.twins import exactly, moves

_V = np.array([0.5, -1.5, 2.0])
_A = np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.25]])
_B = np.cos(np.arange(24.0) ** 2).reshape(2, 3, 4)
_S = np.array([[3.0, 0.5, -0.2], [0.4, 2.5, 0.3], [-0.6, 0.2, 1.5]])
_STACK = np.stack((_S, _S.T + 0.7 * np.eye(3)))
_Z = _S + 1j * np.array([[0.2, -0.4, 0.1], [0.3, 0.5, -0.2], [0.0, 0.6, -0.1]])
_SPD = _S @ _S.T + np.eye(3)
_HERMITE = _Z @ _Z.conj().T + np.eye(3)


@jvp_rule(
    np.linalg.lstsq, rows=[row(_S, _V, rcond=None), row(_A.T, _V, rcond=None), row(_A.T, _S, rcond=None)]
)
def lstsq_tangent(a: Any, b: Any, da: Any, db: Any, rcond: Any = None, *, out: Any) -> Any:
    """The tangent of the solution, the residuals and the singular values."""
    x, residuals, rank, s = out
    inverse, rest = np.linalg.pinv(a), b - a @ x
    change = minus(db, None if da is None else da @ x)
    dx = inverse @ change
    ds = None
    if da is not None:
        dah = adjoint(da)
        dx = dx + (inverse @ adjoint(inverse)) @ (dah @ rest)
        dx = dx + (np.eye(a.shape[-1]) - inverse @ a) @ (dah @ (adjoint(inverse) @ x))
        u, _, vh = np.linalg.svd(a, full_matrices=False)
        ds = np.sum(np.conjugate(u) * (da @ adjoint(vh)), axis=0).real
    dres = (
        np.reshape(np.sum((2 * np.conjugate(rest) * change).real, axis=0), (-1,)) if residuals.size else None
    )
    return dx, dres, None, ds


def lower_half(a: Any) -> Any:
    """The lower triangle with half the diagonal."""
    return a * (np.tril(np.ones(a.shape[-2:])) - 0.5 * np.eye(a.shape[-1]))


@jvp_rule(np.linalg.cholesky, rows=[row(_SPD), row(np.stack((_SPD, 2.0 * _SPD))), row(_HERMITE)])
def _(a: Any, da: Any, upper: bool = False, *, out: Any) -> Any:
    # NumPy reads one triangle only; its elements stand for both
    factor = adjoint(out) if upper else out
    half = np.triu(np.ones(a.shape[-2:])) if upper else np.tril(np.ones(a.shape[-2:]))
    eye = np.eye(a.shape[-1])
    read = da * half
    whole = read + adjoint(read) * (1 - eye) + (read.imag * (-1j * eye) if np.iscomplexobj(a) else 0 * read)
    inverse = np.linalg.inv(factor)
    t = factor @ lower_half(inverse @ whole @ adjoint(inverse))
    return adjoint(t) if upper else t


def gaps(w: Any) -> Any:
    """1 / (w_j - w_i) off the diagonal, infinite between equal values; 0 on it.

    Vectors of equal values turn into each other as far as one likes, unless nothing moves them.
    """
    difference = w[..., None, :] - w[..., :, None]
    same = np.where(np.eye(w.shape[-1]) == 1, 0.0, np.inf)
    return np.where(difference == 0, same, 1 / np.where(difference == 0, 1, difference))


def turning(gap: Any, moved: Any) -> Any:
    """gap * moved with strong zeros, to which what takes a derivative by `moved` sees itself."""
    if isinstance(moved, Symbolic):
        return gap * moved
    product = strong_product(gap, moved)
    return exactly(product, gap * moved) if moves(moved) else product  # type: ignore[no-untyped-call]


def free_phase(v: Any, dv: Any) -> Any:
    """i times the rates at which complex vectors turn. LAPACK fixes their phase by making one row real: it
    must stay so."""
    if not np.iscomplexobj(v):
        return None
    rows = np.flatnonzero(np.all(np.abs(v.imag) < 1e-15, axis=(*range(v.ndim - 2), v.ndim - 1)))
    if len(rows) == 0:
        return None
    k = int(rows[0])
    pivot = v[..., k : k + 1, :]
    return (dv[..., k : k + 1, :] / np.where(pivot == 0, np.inf, pivot)).imag * 1j


@jvp_rule(np.linalg.eigh, rows=[row(_SPD), row(np.stack((_SPD, _SPD + 1.0))), row(_SPD, "U"), row(_HERMITE)])
def _(a: Any, da: Any, UPLO: Any = "L", *, out: Any) -> Any:
    w, v = out
    inside = adjoint(v) @ symmetric_part(da, UPLO) @ v
    dw = np.sum(inside * np.eye(a.shape[-1]), axis=-1)
    dv = v @ turning(gaps(w), inside)
    phase = free_phase(v, dv)
    return dw.real, dv if phase is None else dv - v * phase


@jvp_rule(np.linalg.eigvalsh, rows=[row(_SPD), row(np.stack((_SPD, _SPD + 1.0))), row(_HERMITE)])
def _(a: Any, da: Any, UPLO: Any = "L") -> Any:
    v = np.linalg.eigh(a, UPLO)[1]
    return np.sum((adjoint(v) @ symmetric_part(da, UPLO) @ v) * np.eye(a.shape[-1]), axis=-1).real


@jvp_rule(np.linalg.eig, rows=[row(_S), row(_STACK), row(_Z)])
def eig_tangent(a: Any, da: Any, *, out: Any) -> Any:
    """The tangent of eigenvalues and vectors of length one."""
    w, v = out
    inside = np.linalg.inv(v) @ da @ v
    dw = np.sum(inside * np.eye(a.shape[-1]), axis=-1)
    dv = v @ turning(gaps(w), inside)
    # LAPACK makes each vector of length one, and its largest component real
    length = np.sum((np.conjugate(v) * dv).real, axis=-2, keepdims=True)
    dv = dv - v * length
    if not np.iscomplexobj(v):
        return dw, dv
    largest = np.argmax(np.abs(v), axis=-2, keepdims=True)
    chosen = np.arange(a.shape[-1])[:, None] == largest
    pivot = np.sum(v * chosen, axis=-2, keepdims=True)
    moved = np.sum(dv * chosen, axis=-2, keepdims=True)
    return dw, dv - v * ((moved / np.where(pivot == 0, 1, pivot)).imag * 1j)


@jvp_rule(np.linalg.eigvals, rows=[row(_S), row(_STACK), row(_Z)])
def _(a: Any, da: Any) -> Any:
    w, v = np.linalg.eig(a)
    return np.sum((np.linalg.inv(v) @ da @ v) * np.eye(a.shape[-1]), axis=-1)


@jvp_rule(
    np.linalg.svd,
    rows=[
        row(_S),
        row(_A, False),
        row(_A.T, full_matrices=False),
        row(_STACK),
        row(_A, compute_uv=False),
        row(_Z),
        row(_A[:2, :2] @ _Z[:2], False),
        row(_B, False),
        row(_SPD, hermitian=True),
        row(_SPD, compute_uv=False, hermitian=True),
    ],
)
def svd_tangent(
    a: Any,
    da: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    hermitian: bool = False,
    *,
    out: Any,
) -> Any:
    """The tangent of the vectors and the singular values, or of the values alone."""
    if hermitian:  # NumPy reads one triangle
        a, da = symmetric_part(a, "L"), symmetric_part(da, "L")
    if not compute_uv:
        u, _, vh = np.linalg.svd(a, full_matrices=False)
        return np.sum((adjoint(u) @ da @ adjoint(vh)) * np.eye(u.shape[-1]), axis=-1).real
    u, s, vh = out
    m, n = a.shape[-2:]
    k = min(m, n)
    if full_matrices and m != n:
        raise NotImplementedError(
            "the vectors of numpy.linalg.svd(full_matrices=True) beyond the rank of a non-square matrix "
            "are not determined, so they have no derivative: use full_matrices=False"
        )
    v = adjoint(vh)
    inside = adjoint(u) @ da @ v
    ds = np.sum(inside * np.eye(k), axis=-1).real
    gap = gaps(s * s)
    right, left = inside * s[..., None, :], s[..., :, None] * inside
    du = u @ turning(gap, right + adjoint(right))
    dv = v @ turning(gap, left + adjoint(left))
    if np.iscomplexobj(
        u
    ):  # the free phases: half of the imaginary diagonal goes to u (any share gives u s v^H)
        eye = np.eye(k)
        du = du + u @ ((inside * eye).imag * (1j / s[..., None, :]))
    if m > k:
        du = du + (da @ v - u @ (adjoint(u) @ (da @ v))) / s[..., None, :]
    if n > k:
        dah = adjoint(da)
        dv = dv + (dah @ u - v @ (vh @ (dah @ u))) / s[..., None, :]
    phase = free_phase(v, dv) if m >= n else free_phase(u, du)
    if phase is not None:
        du, dv = du - u * phase, dv - v * phase
    return du, ds, adjoint(dv)


@jvp_rule(
    np.linalg.qr,
    rows=[row(_S), row(_A.T), row(_STACK), row(_S, "r"), row(_Z), row(_A), row(_A, "r"), row(_B)],
)
def qr_tangent(a: Any, da: Any, mode: str = "reduced", *, out: Any) -> Any:
    """The tangent of both factors, or of R alone. Of a wide matrix the first columns determine Q."""
    m, n = a.shape[-2:]
    if mode == "raw" or (mode == "complete" and m > n):
        raise NotImplementedError(
            "numpy.linalg.qr has a derivative rule for modes reduced and r, and for complete where there are "
            "no fewer columns than rows"
        )
    q, r = np.linalg.qr(a) if mode == "r" else out
    k = min(m, n)
    inverse = np.linalg.inv(r[..., :k])
    moved = da[..., :k] @ inverse
    inside = adjoint(q) @ moved
    strict = inside * np.tril(np.ones((k, k)), -1)
    turn = strict - adjoint(strict)
    if np.iscomplexobj(inside if isinstance(inside, np.ndarray) else q):
        turn = turn + (inside * np.eye(k)).imag * 1j
    dr = (inside - turn) @ r[..., :k]
    if n > m:
        dr = np.concatenate((dr, adjoint(q) @ da[..., k:] - turn @ r[..., k:]), axis=-1)
    if mode == "r":
        return dr
    return q @ turn + (moved - q @ inside), dr
