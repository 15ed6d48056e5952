"""SciPy's dense linear algebra: tangents for the functions whose work is done in LAPACK.

Read only when a function of `scipy.linalg` is first looked up. Options that change the meaning of an
operand and that the rules do not know are refused by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg as sl  # type: ignore[import-untyped]

from tapeless.rules.linalg import (
    cofactors,
    free_phase,
    gaps,
    hermitian,
    lower_half,
    minus,
    solve_linear,
    transposed,
)
from tapeless.rules.registry import jvp_rule, row

_S = np.array([[3.0, 0.5, -0.2], [0.4, 2.5, 0.3], [-0.6, 0.2, 1.5]])
_V = np.array([0.5, -1.5, 2.0])
_SPD = _S @ _S.T + np.eye(3)
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


def one_triangle(da: Any, lower: bool) -> Any:
    """The symmetric tangent of a matrix of which one triangle is read."""
    n = da.shape[-1]
    half = np.tril(np.ones((n, n))) if lower else np.triu(np.ones((n, n)))
    strict = da * (half - np.eye(n))
    diagonal = (da.real if da.dtype.kind == "c" else da) * np.eye(n)
    return strict + hermitian(strict) + diagonal


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
    sl.solve, rows=[row(_S, _V), row(_S, _S.T), row(_SPD, _V, assume_a="pos"), row(_S, _V, transposed=True)]
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
        half = np.tril(a) if lower else np.triu(a)
        a = half + hermitian(half) - np.diag(np.diag(half))
        da = None if da is None else one_triangle(da, lower)
    elif assume_a not in (None, "gen", "general"):
        raise NotImplementedError(f"scipy.linalg.solve has no derivative rule with assume_a={assume_a!r}")
    if transposed:
        a, da = a.T, None if da is None else np.transpose(da)
    return solve_linear(a, minus(db, None if da is None else da @ out), np.ndim(b) == 1)


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
        turn = transposed if trans in (1, "T") else hermitian
        a, da = turn(a), None if da is None else turn(da)
    return solve_linear(a, minus(db, None if da is None else da @ out), np.ndim(b) == 1)


def cholesky_tangent(factor: Any, da: Any, lower: bool) -> Any:
    """The tangent of the factor, of which `lower` says where it stands (and which triangle was read)."""
    low = factor if lower else hermitian(factor)
    inverse = np.linalg.inv(low)
    t = low @ lower_half(inverse @ one_triangle(da, lower) @ hermitian(inverse))
    return t if lower else hermitian(t)


@jvp_rule(sl.cholesky, rows=[row(_SPD), row(_SPD, True), row(_SPD, lower=True)])
def _(
    a: Any, da: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True, *, out: Any
) -> Any:
    return cholesky_tangent(out, da, lower)


# (the default driver gives vectors whose signs jump, so differences see nothing)
@jvp_rule(
    sl.eigh,
    rows=[row(_SPD, driver="ev"), row(_SPD, lower=False, driver="ev"), row(_SPD, eigvals_only=True)],
)
def _(
    a: Any,
    da: Any,
    b: Any = None,
    *,
    lower: bool = True,
    eigvals_only: bool = False,
    out: Any,
    **options: Any,
) -> Any:
    refuse("eigh", {**options, "b": None if b is None else True})
    w, v = sl.eigh(a, lower=lower) if eigvals_only else out
    inside = hermitian(v) @ one_triangle(da, lower) @ v
    dw = np.sum(inside * np.eye(len(w)), axis=-1).real
    if eigvals_only:
        return dw
    dv = v @ (gaps(w) * inside)
    phase = free_phase(v, dv)
    return dw, dv if phase is None else dv - v * phase


@jvp_rule(sl.svdvals, rows=[row(_S)])
def _(a: Any, da: Any, *_: Any, **options: Any) -> Any:
    u, _s, vh = np.linalg.svd(a, full_matrices=False)
    return np.sum((hermitian(u) @ da @ hermitian(vh)) * np.eye(u.shape[-1]), axis=-1).real


@jvp_rule(sl.expm, rows=[row(0.3 * _S)])
def _(a: Any, da: Any) -> Any:
    # the derivative of expm in the direction of each unit matrix: n^2 blocks, exact, for matrices of
    # moderate size
    n = np.shape(a)[-1]
    zero = np.zeros((n, n))
    columns = []
    for k in range(n * n):
        unit = np.zeros(n * n)
        unit[k] = 1.0
        block = np.block([[a, unit.reshape(n, n)], [zero, a]])
        columns.append(sl.expm(block)[:n, n:].reshape(-1))
    return np.reshape(np.stack(columns, axis=-1) @ np.reshape(da, (-1,)), (n, n))
