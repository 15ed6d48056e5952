"""More of `scipy.linalg`: equations of matrices, and matrices of a special form (as dense ones)."""
# The twins are opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np
import scipy.linalg as sl  # type: ignore[import-untyped]

from tapeless.rules.implicit import implicit
from tapeless.rules.registry import twin
from tapeless.rules.twins import exactly, plainly, refuse


def solving(equation, x, name):
    """The matrix `x`, which solves an equation, with its derivatives."""
    if np.iscomplexobj(x):
        refuse(f"{name} of complex matrices has no derivative rule")
    flat = implicit(lambda v: np.ravel(equation(np.reshape(v, x.shape))), np.ravel(x), name)
    return exactly(x, np.reshape(flat, x.shape))


@twin(sl.solve_continuous_lyapunov)
def _solve_continuous_lyapunov(a, q):
    a, q = np.asarray(a), np.asarray(q)
    found = plainly(sl.solve_continuous_lyapunov, a, q)
    return solving(lambda x: a @ x + x @ a.T - q, found, "scipy.linalg.solve_continuous_lyapunov")


@twin(sl.solve_continuous_are)
def _solve_continuous_are(a, b, q, r, e=None, s=None, balanced=True):
    if e is not None or s is not None:
        refuse("scipy.linalg.solve_continuous_are with e= or s= has no derivative rule")
    a, b, q, r = np.asarray(a), np.asarray(b), np.asarray(q), np.asarray(r)
    found = plainly(sl.solve_continuous_are, a, b, q, r, balanced=balanced)

    def equation(x):
        return a.T @ x + x @ a - x @ b @ np.linalg.solve(r, b.T @ x) + q

    return solving(equation, found, "scipy.linalg.solve_continuous_are")


@twin(sl.solve_discrete_are)
def _solve_discrete_are(a, b, q, r, e=None, s=None, balanced=True):
    if e is not None or s is not None:
        refuse("scipy.linalg.solve_discrete_are with e= or s= has no derivative rule")
    a, b, q, r = np.asarray(a), np.asarray(b), np.asarray(q), np.asarray(r)
    found = plainly(sl.solve_discrete_are, a, b, q, r, balanced=balanced)

    def equation(x):
        gain = np.linalg.solve(r + b.T @ x @ b, b.T @ x @ a)
        return a.T @ x @ a - x - a.T @ x @ b @ gain + q

    return solving(equation, found, "scipy.linalg.solve_discrete_are")


@twin(sl.solve_toeplitz)
def _solve_toeplitz(c_or_cr, b, check_finite=True):
    found = plainly(sl.solve_toeplitz, c_or_cr, b, check_finite)
    c, r = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, np.conjugate(c_or_cr))
    c, r = np.ravel(c), np.ravel(r)
    n = len(c)
    both = np.concatenate((r[:0:-1], c))
    matrix = both[plainly(np.subtract.outer, np.arange(n), np.arange(n)) + n - 1]
    return exactly(found, np.linalg.solve(matrix, np.asarray(b)))


@twin(sl.expm_frechet)
def _expm_frechet(A, E, method=None, compute_expm=True, check_finite=True):  # noqa: N803
    """The corner of the exponential of [[A, E], [0, A]] (Van Loan 1978)."""
    found = plainly(sl.expm_frechet, A, E, method, compute_expm, check_finite)
    a, e = np.asarray(A), np.asarray(E)
    n = len(a)
    whole = sl.expm(np.concatenate((np.concatenate((a, e), 1), np.concatenate((0 * a, a), 1))))
    if compute_expm:
        return exactly(found[0], whole[:n, :n]), exactly(found[1], whole[:n, n:])
    return exactly(found, whole[:n, n:])


def symmetric(bands, lower):
    """The symmetric matrix whose diagonals are the rows of `bands`."""
    count, n = bands.shape
    k = plainly(np.subtract.outer, np.arange(n), np.arange(n))
    away = plainly(np.abs, k)
    place = away if lower else count - 1 - away
    column = plainly(np.minimum if lower else np.maximum, *plainly(np.indices, (n, n)))
    return bands[np.clip(place, 0, count - 1), column] * (away < count)


@twin(sl.cholesky_banded)
def _cholesky_banded(ab, overwrite_ab=False, lower=False, check_finite=True):
    bands = np.asarray(ab)
    found = plainly(sl.cholesky_banded, bands, False, lower, check_finite)
    factor = np.linalg.cholesky(symmetric(bands, lower))
    count, n = bands.shape
    made = bands * 1.0  # the corners stay
    for k in range(count):
        band = np.diagonal(factor, -k)
        if lower:
            made[k, : n - k] = band
        else:
            made[count - 1 - k, k:] = band
    return exactly(found, made)


@twin(sl.cho_solve_banded)
def _cho_solve_banded(cb_and_lower, b, overwrite_b=False, check_finite=True):
    found = plainly(sl.cho_solve_banded, cb_and_lower, b, False, check_finite)
    bands, lower = np.asarray(cb_and_lower[0]), cb_and_lower[1]
    whole = symmetric(bands, lower)
    factor = np.tril(whole) if lower else np.triu(whole).T
    return exactly(found, np.linalg.solve(factor @ factor.T, np.asarray(b)))


def eigen(matrix, found, eigvals_only):
    """The eigenvalues and vectors of a symmetric matrix, the vectors with the signs that were found."""
    w, v = np.linalg.eigh(matrix)
    if eigvals_only:
        return exactly(found, w)
    signs = plainly(np.sign, np.sum(found[1] * v, axis=0))
    return exactly(found[0], w), exactly(found[1], v * signs)


@twin(sl.eigh_tridiagonal)
def _eigh_tridiagonal(d, e, eigvals_only=False, select="a", *more, **options):
    if select not in ("a", 0):
        refuse("scipy.linalg.eigh_tridiagonal has a derivative rule for all eigenvalues")
    found = plainly(sl.eigh_tridiagonal, d, e, eigvals_only, select, *more, **options)
    e = np.asarray(e)
    return eigen(np.diag(np.asarray(d)) + np.diag(e, 1) + np.diag(e, -1), found, eigvals_only)


@twin(sl.eig_banded)
def _eig_banded(
    a_band, lower=False, eigvals_only=False, overwrite_a_band=False, select="a", *more, **options
):
    if select not in ("a", 0) or np.iscomplexobj(a_band):
        refuse("scipy.linalg.eig_banded has a derivative rule for all eigenvalues of real matrices")
    found = plainly(sl.eig_banded, a_band, lower, eigvals_only, False, select, *more, **options)
    return eigen(symmetric(np.asarray(a_band), lower), found, eigvals_only)
