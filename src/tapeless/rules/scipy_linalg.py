"""SciPy's dense linear algebra: tangents for the functions whose work is done in LAPACK.

Read only when a function of `scipy.linalg` is first looked up. Options that change the meaning of an
operand and that the rules do not know are refused by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as sl  # type: ignore[import-untyped]

from tapeless.rules import scipy_matrices  # noqa: F401
from tapeless.rules.factorisations import (
    eig_tangent,
    free_phase,
    gaps,
    lower_half,
    lstsq_tangent,
    qr_tangent,
    svd_tangent,
    turning,
)
from tapeless.rules.linalg import adjoint, cofactors, minus, solve_linear, transposed
from tapeless.rules.registry import jvp_rule, row

_S = np.array([[3.0, 0.5, -0.2], [0.4, 2.5, 0.3], [-0.6, 0.2, 1.5]])
_V = np.array([0.5, -1.5, 2.0])
_A = np.array([[0.5, -1.5, 2.0], [1.25, 0.75, -0.25]])
_SPD = _S @ _S.T + np.eye(3)
_HERMITE = _SPD + 0.5j * (_S - _S.T)
_FACTOR = np.linalg.cholesky(_SPD)
_LU = np.array([[3.0, 0.5, -0.2], [0.2, 2.5, 0.3], [-0.4, 0.2, 1.5]])
_PIVOTS = np.array([1, 2, 2], dtype=np.int32)
_BANDS = np.array([[0.0, 0.5, -0.7], [3.0, 2.5, 4.0], [0.4, -0.3, 0.0]])
_HARMLESS = {
    "overwrite_a",
    "overwrite_b",
    "check_finite",
    "overwrite_c",
    "lapack_driver",
    "driver",
    "overwrite_ab",
}


def refuse(function: str, options: dict[str, Any]) -> None:
    """Raise for options that a rule does not know."""
    strange = [k for k, v in options.items() if k not in _HARMLESS and v not in (None, False)]
    if strange:
        raise NotImplementedError(
            f"scipy.linalg.{function} has no derivative rule with {', '.join(strange)}="
        )


def one_triangle(a: Any, lower: bool, turned: Any = adjoint) -> Any:
    """The Hermitian matrix, or symmetric by `turned`, of which one triangle is read; or its tangent."""
    n = a.shape[-1]
    half = a * (np.tril(np.ones((n, n))) if lower else np.triu(np.ones((n, n))))
    return (half + turned(half)) * (1 - 0.5 * np.eye(n))


def transposed_matrix(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


@jvp_rule(sl.inv, rows=[row(_S)])
def _(a: Any, da: Any, *_: Any, out: Any, **options: Any) -> Any:
    refuse("inv", options)
    return -(out @ da @ out)


@jvp_rule(sl.det, rows=[row(_S)])
def _(a: Any, da: Any, *_: Any, **options: Any) -> Any:
    return np.sum(cofactors(np.asarray(a)) * da, axis=(-2, -1))


@jvp_rule(sl.blas.dnrm2, rows=[row(_V)])
def _(x: Any, dx: Any, *_: Any, out: Any, **options: Any) -> Any:
    refuse("blas.nrm2", options)
    return np.sum(x * dx) / out if out else 0.0 * np.sum(dx)


_SYMMETRIC = {"sym", "symmetric", "her", "hermitian", "pos", "positive definite"}


@jvp_rule(
    sl.solve,
    rows=[
        row(_S, _V),
        row(_S, _S.T),
        row(_SPD, _V, assume_a="pos"),
        row(_S, _V, transposed=True),
        row(_S + 1j * _SPD, _V, assume_a="sym"),
        row(_HERMITE + 0.1j, _V, assume_a="her", lower=True),
        row(np.stack([_S, _SPD]), _V),
    ],
)
def _(
    a: Any,
    b: Any,
    da: Any,
    db: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: Any = None,
    transposed: bool = False,
    *,
    out: Any,
) -> Any:
    a = np.asarray(a)
    if assume_a in _SYMMETRIC:
        turned = transposed_matrix if assume_a in ("sym", "symmetric") else adjoint
        a = one_triangle(np.tril(a) if lower else np.triu(a), lower, turned)
        da = None if da is None else one_triangle(da, lower, turned)
    elif assume_a not in (None, "gen", "general"):
        raise NotImplementedError(f"scipy.linalg.solve has no derivative rule with assume_a={assume_a!r}")
    if transposed:
        a, da = transposed_matrix(a), None if da is None else transposed_matrix(da)
    vector = np.ndim(b) == 1
    columns = out[..., None] if vector else out
    moved = None if da is None else da @ columns
    return solve_linear(a, minus(db, moved[..., 0] if vector and moved is not None else moved), vector)


@jvp_rule(
    sl.solve_triangular,
    rows=[row(_S, _V), row(_S, _V, lower=True), row(_S, _S, 1), row(_S, _V, unit_diagonal=True)],
)
def _(
    a: Any,
    b: Any,
    da: Any,
    db: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    *,
    out: Any,
) -> Any:
    n = np.shape(a)[-1]
    half = np.tril(np.ones((n, n))) if lower else np.triu(np.ones((n, n)))
    if unit_diagonal:
        half = half - np.eye(n)
    a = a * half + (np.eye(n) if unit_diagonal else 0)
    da = None if da is None else da * half
    if trans in (1, "T", 2, "C"):
        turn = transposed if trans in (1, "T") else adjoint
        a, da = turn(a), None if da is None else turn(da)
    return solve_linear(a, minus(db, None if da is None else da @ out), np.ndim(b) == 1)


def cholesky_tangent(factor: Any, da: Any, lower: bool) -> Any:
    """The tangent of the factor, of which `lower` says where it stands (and which triangle was read)."""
    low = factor if lower else adjoint(factor)
    inverse = np.linalg.inv(low)
    t = low @ lower_half(inverse @ one_triangle(da, lower) @ adjoint(inverse))
    return t if lower else adjoint(t)


@jvp_rule(sl.cholesky, rows=[row(_SPD), row(_SPD, True), row(_SPD, lower=True)])
def _(
    a: Any, da: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True, *, out: Any
) -> Any:
    return cholesky_tangent(out, da, lower)


# (the default driver gives vectors whose signs jump, so differences see nothing)
@jvp_rule(
    sl.eigh,
    rows=[
        row(_SPD, driver="ev"),
        row(_SPD, lower=False, driver="ev"),
        row(_SPD, eigvals_only=True),
        row(_SPD, _SPD + _S.T @ _S, driver="gv"),
        row(_SPD, _SPD + _S.T @ _S, lower=False, eigvals_only=True),
    ],
)
def _(
    a: Any,
    b: Any,
    da: Any,
    db: Any,
    *,
    lower: bool = True,
    eigvals_only: bool = False,
    out: Any,
    **options: Any,
) -> Any:
    refuse("eigh", {**options, "type": options.get("type", 1) != 1})
    w, v = sl.eigh(a, b, lower=lower) if eigvals_only else out
    eye = np.eye(len(w))
    inside: Any = None if da is None else adjoint(v) @ one_triangle(da, lower) @ v
    scale = None
    if db is not None:  # of a v = w b v, with v' b v = 1
        scale = adjoint(v) @ one_triangle(db, lower) @ v
        inside = minus(inside, scale * w)
    dw = np.sum(inside * eye, axis=-1).real
    if eigvals_only:
        return dw
    refuse("eigh", {"b (complex)": b is not None and np.iscomplexobj(v)})
    dv = v @ turning(gaps(w), inside)
    if scale is not None:
        dv = dv - v @ (0.5 * eye * scale)
    phase = free_phase(v, dv) if b is None else None
    return dw, dv if phase is None else dv - v * phase


@jvp_rule(sl.svdvals, rows=[row(_S)])
def _(a: Any, da: Any, *_: Any, **options: Any) -> Any:
    u, _s, vh = np.linalg.svd(a, full_matrices=False)
    return np.sum((adjoint(u) @ da @ adjoint(vh)) * np.eye(u.shape[-1]), axis=-1).real


def through_blocks(function: Any, a: Any, da: Any) -> Any:
    """The tangent of a function of matrices f, from f([[a, e], [0, a]]) = [[f(a), f'(a) e], [0, f(a)]].

    That for each unit matrix e: n^2 larger matrices, exact, for matrices of moderate size.
    """
    n = np.shape(a)[-1]
    columns = []
    for k in range(n * n):
        unit = np.reshape(np.eye(n * n)[k], (n, n))
        upper = np.concatenate((a, unit + 0 * a), axis=-1)
        block = np.concatenate((upper, np.concatenate((0 * a, a), axis=-1)), axis=-2)
        columns.append(np.reshape(function(block)[..., :n, n:], (*np.shape(a)[:-2], n * n)))
    moved = np.stack(columns, axis=-1) @ np.reshape(da, (*np.shape(a)[:-2], n * n, 1))
    return np.reshape(moved, np.shape(a))


@jvp_rule(sl.expm, rows=[row(0.3 * _S), row(np.stack((0.3 * _S, 0.2 * _SPD)))])
def _(A: Any, dA: Any) -> Any:  # noqa: N803
    return through_blocks(sl.expm, A, dA)


@jvp_rule(sl.logm, rows=[row(_SPD)])
def _(A: Any, dA: Any) -> Any:  # noqa: N803
    return through_blocks(sl.logm, A, dA)


@jvp_rule(sl.sqrtm, rows=[row(_SPD)])
def _(A: Any, dA: Any) -> Any:  # noqa: N803
    return through_blocks(sl.sqrtm, A, dA)


# ---- factors, and solving with them --------------------------------------------------------------


def halves(a: Any) -> tuple[Any, Any]:
    """Ones in the strict lower triangle, and in the upper one."""
    below = np.tril(np.ones((a.shape[-1], a.shape[-1])), -1)
    return below, 1 - below


@jvp_rule(sl.cho_factor, rows=[row(_SPD), row(_SPD, True), row(_HERMITE)])
def _(
    a: Any, da: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True, *, out: Any
) -> Any:
    # the other triangle of the result holds what it held in `a`
    eye = np.eye(np.shape(a)[-1])
    mine = np.tril(np.ones(np.shape(a))) if lower else np.triu(np.ones(np.shape(a)))
    return cholesky_tangent(out[0] * mine, da, lower) + da * (1 - mine) * (1 - eye), None


@jvp_rule(
    sl.cho_solve,
    sequence=True,
    rows=[row((_FACTOR, True), _V), row((_FACTOR.T, False), _S), row((_FACTOR + 0.5 * _S, True), _V)],
)
def _(
    c_and_lower: Any,
    b: Any,
    dc_and_lower: Any,
    db: Any,
    overwrite_b: bool = False,
    check_finite: bool = True,
    *,
    out: Any,
) -> Any:
    c, lower = c_and_lower
    c = np.asarray(c)
    mine = np.tril(np.ones(c.shape)) if lower else np.triu(np.ones(c.shape))
    dc = None if dc_and_lower is None or dc_and_lower[0] is None else dc_and_lower[0] * mine
    factor, df = (c * mine, dc) if lower else (adjoint(c * mine), None if dc is None else adjoint(dc))
    moved = None if df is None else df @ (adjoint(factor) @ out) + factor @ (adjoint(df) @ out)
    return solve_linear(factor @ adjoint(factor), minus(db, moved), np.ndim(b) == 1)


def exchanged(pivots: Any) -> Any:
    """The permutation that LAPACK's row exchanges make."""
    order = np.arange(len(pivots))
    for k, other in enumerate(pivots):
        order[k], order[other] = order[other], order[k]
    return order


def lu_tangents(lower: Any, upper: Any, da: Any) -> tuple[Any, Any]:
    """The tangents of both factors of a square matrix, whose rows are exchanged already."""
    if lower.shape[-2] != upper.shape[-1]:
        raise NotImplementedError("scipy.linalg.lu has a derivative rule for square matrices")
    below, above = halves(lower)
    inside = np.linalg.inv(lower) @ da @ np.linalg.inv(upper)
    return lower @ (inside * below), (inside * above) @ upper


@jvp_rule(sl.lu_factor, rows=[row(_S), row(_S[::-1]), row(_S + 1j * _S.T)])
def _(a: Any, da: Any, overwrite_a: bool = False, check_finite: bool = True, *, out: Any) -> Any:
    lu, pivots = out
    below, above = halves(lu)
    dl, du = lu_tangents(lu * below + np.eye(len(lu)), lu * above, da[exchanged(pivots)])
    return dl + du, None


@jvp_rule(sl.lu, rows=[row(_S[::-1]), row(_S[::-1], True)])
def _(
    a: Any,
    da: Any,
    permute_l: bool = False,
    overwrite_a: bool = False,
    check_finite: bool = True,
    p_indices: bool = False,
    *,
    out: Any,
) -> Any:
    p, lower, upper = sl.lu(a) if permute_l or p_indices else out
    dl, du = lu_tangents(lower, upper, transposed(p) @ da)
    return (p @ dl, du) if permute_l else (None, dl, du)


@jvp_rule(
    sl.lu_solve,
    sequence=True,
    rows=[row((_LU, _PIVOTS), _V), row((_LU, _PIVOTS), _S, 1), row((_LU + 1j * _S, _PIVOTS), _V, trans=2)],
)
def _(
    lu_and_piv: Any,
    b: Any,
    dlu_and_piv: Any,
    db: Any,
    trans: int = 0,
    overwrite_b: bool = False,
    check_finite: bool = True,
    *,
    out: Any,
) -> Any:
    lu, pivots = lu_and_piv
    lu = np.asarray(lu)
    below, above = halves(lu)
    lower, upper = lu * below + np.eye(len(lu)), lu * above
    back = np.argsort(exchanged(pivots))

    def turn(x: Any) -> Any:
        return transposed(x) if trans == 1 else adjoint(x) if trans == 2 else x

    moved = None
    if dlu_and_piv is not None and dlu_and_piv[0] is not None:
        dlu = dlu_and_piv[0]
        moved = turn(((dlu * below) @ upper + lower @ (dlu * above))[back]) @ out
    return solve_linear(turn((lower @ upper)[back]), minus(db, moved), np.ndim(b) == 1)


@jvp_rule(
    sl.qr,
    rows=[
        row(_S),
        row(_A.T, mode="economic"),
        row(_A),
        row(_S, mode="r"),
        row(_A.T, mode="r"),
        row(_S, pivoting=True),
        row(_S + 1j),
    ],
)
def _(
    a: Any,
    da: Any,
    overwrite_a: bool = False,
    lwork: Any = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
    *,
    out: Any,
) -> Any:
    modes = {"full": "complete", "economic": "reduced", "r": "r"}
    if mode not in modes:
        raise NotImplementedError(f"scipy.linalg.qr has no derivative rule with mode={mode!r}")
    order = out[-1] if pivoting else np.arange(np.shape(a)[-1])
    factors = sl.qr(a[:, order], mode="full" if mode == "full" else "economic") if mode == "r" else out[:2]
    dq, dr = qr_tangent(a[:, order], da[:, order], modes["economic" if mode == "r" else mode], out=factors)
    if mode == "r":  # all rows of the full factor
        dr = np.concatenate([dr, np.zeros((np.shape(a)[0] - np.shape(dr)[0], np.shape(dr)[1]))])
    found = (dr,) if mode == "r" else (dq, dr)
    return (*found, None) if pivoting else found


@jvp_rule(sl.svd, rows=[row(_S), row(_A, False), row(_A.T, full_matrices=False), row(_A, compute_uv=False)])
def _(
    a: Any,
    da: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    *_: Any,
    out: Any,
    **options: Any,
) -> Any:
    refuse("svd", options)
    return svd_tangent(a, da, full_matrices, compute_uv, out=out)


# ---- eigenvalues, least squares, bands -----------------------------------------------------------


@jvp_rule(
    sl.eig, rows=[row(_S), row(_S @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])), row(_S + 1j * _S.T)]
)
def _(
    a: Any, da: Any, b: Any = None, left: bool = False, right: bool = True, *_: Any, out: Any, **options: Any
) -> Any:
    refuse("eig", {**options, "b": None if b is None else True, "left": left})
    dw, dv = eig_tangent(a, da, out=out if right else sl.eig(a))
    return (dw + 0j * dw, dv) if right else dw + 0j * dw


@jvp_rule(sl.eigvals, rows=[row(_S), row(_S + 1j * _S.T)])
def _(a: Any, da: Any, b: Any = None, *_: Any, **options: Any) -> Any:
    refuse("eigvals", {**options, "b": None if b is None else True})
    dw = eig_tangent(a, da, out=sl.eig(a))[0]
    return dw + 0j * dw


@jvp_rule(sl.lstsq, rows=[row(_S, _V), row(_A.T, _V), row(_A.T, _S)])
def _(a: Any, b: Any, da: Any, db: Any, cond: Any = None, *_: Any, out: Any, **options: Any) -> Any:
    refuse("lstsq", options)
    x, residuals, rank, s = out
    dx, dres, _rank, ds = lstsq_tangent(a, b, da, db, out=(x, np.atleast_1d(residuals), rank, s))
    return dx, None if dres is None else np.reshape(dres, np.shape(residuals)), None, ds


@jvp_rule(
    sl.solve_banded,
    count=3,
    rows=[row((1, 1), _BANDS, _V), row((1, 1), _BANDS, _S), row((0, 1), _BANDS[:2], _V)],
)
def _(
    l_and_u: Any,
    ab: Any,
    b: Any,
    dl_and_u: Any,
    dab: Any,
    db: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    *,
    out: Any,
) -> Any:
    a, da = dense(ab, l_and_u[1]), None if dab is None else dense(dab, l_and_u[1])
    return solve_linear(a, minus(db, None if da is None else da @ out), np.ndim(b) == 1)


def dense(bands: Any, above: int) -> Any:
    """The matrix of which `bands` holds the diagonals, the first of them `above` the main one."""
    count, n = np.shape(bands)
    k = above + np.arange(n)[:, None] - np.arange(n)
    inside = (k >= 0) & (k < count)
    return bands[np.clip(k, 0, count - 1), np.arange(n)[None, :] + 0 * k] * inside


@jvp_rule(
    sl.solveh_banded,
    rows=[row(_BANDS[:2], _V), row(_BANDS[1:], _S, lower=True), row(_BANDS[:2] + 0.1j, _V)],
)
def _(
    ab: Any,
    b: Any,
    dab: Any,
    db: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    lower: bool = False,
    check_finite: bool = True,
    *,
    out: Any,
) -> Any:
    def whole(bands: Any) -> Any:
        return one_triangle(dense(bands, 0 if lower else np.shape(bands)[0] - 1), lower)

    moved = None if dab is None else whole(dab) @ out
    return solve_linear(whole(ab), minus(db, moved), np.ndim(b) == 1)


@jvp_rule(sl.solve_sylvester, rows=[row(_SPD, _S, _S), row(_SPD, _A[:, :2] + 3 * np.eye(2), _A.T)])
def _(a: Any, b: Any, q: Any, da: Any, db: Any, dq: Any, *, out: Any) -> Any:
    m, n = np.shape(out)
    t = minus(dq, None if da is None else da @ out)
    t = minus(t, None if db is None else out @ db)
    system = np.kron(a, np.eye(n)) + np.kron(np.eye(m), np.transpose(b))
    return np.reshape(np.linalg.inv(system) @ np.reshape(t, (m * n,)), (m, n))
