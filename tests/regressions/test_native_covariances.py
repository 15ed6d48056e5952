"""Covariances of two sets of variables, of complex ones, and where NumPy raises, compiled."""

import numpy as np
import pytest

import tapeless as tl

pytest.importorskip("llvmlite")

A = np.cos(np.arange(9.0) ** 2).reshape(3, 3)
B = np.sin(np.arange(9.0) * 1.7).reshape(3, 3)
ROW = np.array([[0.3, 1.2, -0.4]])
W = np.array([0.4, 1.5, 0.7])
PROGRAMS = {
    "columns": (lambda a, b: np.cov(a, b, rowvar=False), A, B),
    "more columns": (lambda a, b: np.cov(a, b[:, :2], rowvar=False), A, B),
    "a row among columns": (lambda a, b: np.cov(a, b, rowvar=False), A, ROW),
    "weighted": (lambda a, b: np.cov(a, b, rowvar=False, aweights=W), A, B),
    "a weighted row": (lambda a, b: np.cov(a, b, rowvar=False, aweights=W), A, ROW),
    "correlations": (lambda a, b: np.corrcoef(a, b, rowvar=False), A, B),
    "complex": (lambda a, b: (lambda c: (c.real, c.imag))(np.cov(a + 1j * b)), A, B),
    "rows that are picked": (lambda a, b: np.cov(a[a[:, 0] > 0.95], b[:1]), A, B),
    "one row is picked": (lambda a, b: np.cov(a[a[:, 0] > 0.95] + b[0]), A, B),
    "of itself": (lambda a, b: np.corrcoef(a[0] * b[0]), A, B),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_gradients(name):
    f, *args = PROGRAMS[name]

    def total(*args):
        made = f(*args)
        parts = made if isinstance(made, tuple) else (made,)
        return sum(np.sum(np.cos(p) * p) for p in parts)

    got, want = tl.jit(f)(*args), f(*args)
    for g, w in zip(np.atleast_1d(got), np.atleast_1d(want), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-14)
        assert np.shape(g) == np.shape(w)
    both = tuple(range(len(args)))
    for g, w in zip(tl.jit(tl.grad(total, both))(*args), tl.grad(total, both)(*args), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-11)


@pytest.mark.filterwarnings("ignore")
def test_too_few_observations():
    f = lambda a: np.cov(a, ddof=5)  # noqa: E731
    np.testing.assert_array_equal(tl.jit(f)(A), f(A))
    f = lambda a: np.cov(a, aweights=np.ones(3), ddof=5)  # noqa: E731
    np.testing.assert_array_equal(tl.jit(f)(A), f(A))


@pytest.mark.parametrize(
    "f", [lambda a: np.cov(a, ddof=0.5), lambda a: np.cov(a[None]), lambda a: np.cov(a, a[None])]
)
def test_errors(f):
    with pytest.raises(ValueError) as plain:
        f(A)
    with pytest.raises(ValueError) as compiled:
        tl.jit(f)(A)
    assert str(plain.value) == str(compiled.value)
