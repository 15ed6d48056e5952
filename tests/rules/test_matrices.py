"""Equations of matrices and matrices of a special form, of `scipy.linalg`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl

sl = pytest.importorskip("scipy.linalg")

A = np.array([[-1.0, 0.5, 0.2], [0.3, -2.0, 0.4], [-0.1, 0.2, -1.5]])
B = np.array([[1.0, 0.2], [0.3, 0.8], [-0.4, 0.5]])
Q = np.array([[2.0, 0.3, 0.1], [0.3, 1.5, 0.2], [0.1, 0.2, 1.0]])
R = np.array([[1.2, 0.1], [0.1, 0.9]])
BANDS = np.array([[0.0, 0.5, -0.7], [3.0, 2.5, 4.0]])
D, E, V = np.array([1.0, 2.5, -0.3, 0.7]), np.array([0.4, -0.6, 0.2]), np.array([0.5, -1.5, 2.0])


def even(m: Any) -> Any:
    return (m + m.T) / 2


CASES: list[tuple[str, Any, Any]] = [
    ("solve_continuous_lyapunov", lambda a, q: sl.solve_continuous_lyapunov(a, q), (A, Q)),
    ("solve_discrete_lyapunov", lambda a, q: sl.solve_discrete_lyapunov(0.3 * a, q), (A, Q)),
    ("care", lambda a, b, q, r: sl.solve_continuous_are(a, b, even(q), even(r)), (A, B, Q, R)),
    ("dare", lambda a, b, q, r: sl.solve_discrete_are(0.3 * a, b, even(q), even(r)), (A, B, Q, R)),
    ("solve_toeplitz", lambda c, b: sl.solve_toeplitz(c, b), (np.array([3.0, 0.5, -0.2]), V)),
    (
        "solve_toeplitz of two",
        lambda c, r, b: sl.solve_toeplitz((c, r), b),
        (np.array([3.0, 0.5, -0.2]), np.array([3.0, 0.1, 0.7]), V),
    ),
    ("expm_frechet", lambda a, e: sl.expm_frechet(a, e)[1], (A, Q)),
    ("cholesky_banded", lambda m: sl.cholesky_banded(m)[:, 1:], (BANDS,)),
    ("cholesky_banded lower", lambda m: sl.cholesky_banded(m, lower=True)[:, :2], (BANDS[::-1].copy(),)),
    ("cho_solve_banded", lambda m, b: sl.cho_solve_banded((m, False), b), (BANDS, V)),
    ("eigh_tridiagonal", lambda d, e: sl.eigh_tridiagonal(d, e), (D, E)),
    ("eigvalsh_tridiagonal", lambda d, e: sl.eigvalsh_tridiagonal(d, e), (D, E)),
    ("eig_banded", lambda m: sl.eig_banded(m), (BANDS,)),
    ("eigh of two", lambda a, b: sl.eigh(even(a), even(b), eigvals_only=True), (A, Q)),
]


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_matrix(case: Any) -> None:
    tl.check_grads(case[1], case[2], order=1)


def test_second_order() -> None:
    tl.check_grads(lambda q: np.sum(sl.solve_continuous_are(A, B, even(q), R) ** 2), (Q,), order=2)
