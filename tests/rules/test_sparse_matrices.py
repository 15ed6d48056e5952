"""SciPy's sparse matrices, by their elements and by what they multiply."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl

sp = pytest.importorskip("scipy.sparse")
sla = pytest.importorskip("scipy.sparse.linalg")

ROWS, COLUMNS = np.array([0, 2, 1, 0, 2, 2]), np.array([0, 2, 1, 1, 0, 2])
DATA = np.array([2.0, 1.5, 3.0, -0.4, 0.7, 2.5])
V, M = np.array([1.0, -0.5, 2.0]), np.array([[1.0, -0.5], [2.0, 0.3], [0.2, -1.0]])


def made(d: Any, form: str) -> Any:
    return getattr(sp, form)((d, (ROWS, COLUMNS)), shape=(3, 3))


def heat(k: Any, b: Any) -> Any:
    main, side = 1.0 + 2.0 * k * np.ones(4), -k * np.ones(3)
    return sla.spsolve(sp.diags([side, main, side], [-1, 0, 1]).tocsc(), b)


CASES: list[tuple[str, Any, Any]] = [
    *[
        (f"{f} @ vector", lambda d, v, f=f: made(d, f) @ v, (DATA, V))
        for f in ("csr_matrix", "csc_matrix", "coo_matrix")
    ],
    *[(f"{f} @ matrix", lambda d, m, f=f: made(d, f) @ m, (DATA, M)) for f in ("csr_matrix", "csc_matrix")],
    ("csr_array", lambda d, v: made(d, "csr_array").dot(v), (DATA, V)),
    ("vector @", lambda d, v: v @ made(d, "csr_array"), (DATA, V)),
    ("transposed", lambda d, v: made(d, "csr_matrix").T @ v, (DATA, V)),
    ("scaled", lambda d, v, s: (s * made(d, "csr_matrix")) @ v, (DATA, V, 0.7)),
    ("toarray", lambda d: made(d, "csr_matrix").toarray(), (DATA,)),
    ("coo toarray", lambda d: made(d, "coo_matrix").toarray(), (DATA,)),
    ("csc toarray", lambda d: made(d, "csc_matrix").toarray(), (DATA,)),
    ("sum", lambda d: (made(d, "csr_matrix") + made(d * d, "csr_matrix").T).toarray(), (DATA,)),
    ("difference", lambda d: (made(d, "csr_matrix") - made(d * d, "csr_matrix").T).toarray(), (DATA,)),
    ("product", lambda d: (made(d, "csr_matrix") @ made(d * d, "csr_matrix").T).toarray(), (DATA,)),
    ("by pointers", lambda d, v: sp.csr_matrix((d, COLUMNS, [0, 2, 3, 6]), shape=(3, 3)) @ v, (DATA, V)),
    ("diags", lambda a, b, v: sp.diags([a, b], [0, 1]) @ v, (V, V[:2].copy(), V)),
    ("spsolve", lambda d, b: sla.spsolve(made(d, "csc_matrix"), b), (DATA, V)),
    ("spsolve csr", lambda d, b: sla.spsolve(made(d, "csr_matrix"), b), (DATA, V)),
    ("spsolve of a matrix", lambda d, b: sla.spsolve(made(d, "csc_matrix"), b), (DATA, M)),
    ("spsolve of diagonals", heat, (0.3, np.array([1.0, -0.5, 2.0, 0.3]))),
]


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_sparse(case: Any) -> None:
    tl.check_grads(case[1], case[2], order=1)


def test_second_order() -> None:
    tl.check_grads(lambda d, b: np.sum(sla.spsolve(made(d, "csc_matrix"), b) ** 2), (DATA, V), order=2)


def test_a_constant_matrix() -> None:
    matrix = made(DATA, "csr_matrix")
    tl.check_grads(lambda v: np.sum((matrix @ v) ** 2), (V,), order=2)
    tl.check_grads(lambda v: sla.spsolve(matrix.tocsc(), v), (V,), order=1)


def test_an_element_that_cancels_is_refused() -> None:
    def f(d: Any) -> Any:
        return (made(d, "csr_matrix") - made(DATA, "csr_matrix")).sum()

    with pytest.raises(tl.TapelessError, match="happen to be 0"):
        tl.grad(f)(DATA.copy())
    with pytest.raises(tl.TapelessError, match="happen to be 0"):
        tl.grad(lambda v: sp.diags([v, v[1:]], [0, 1]).tocsr().sum())(np.array([1.0, 0.0, 2.0]))
