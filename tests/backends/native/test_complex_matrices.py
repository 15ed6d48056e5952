"""Solutions and inverses of complex matrices in compiled functions."""

import numpy as np
import pytest

import tapeless as tl

RNG = np.random.default_rng(3)
A = RNG.normal(size=(4, 4)) + 1j * RNG.normal(size=(4, 4))
B, C = A[0] + 1.0, A[:, :2] - 2j


@pytest.mark.parametrize(
    "f, args",
    [
        (lambda a, b: np.linalg.solve(a, b), (A, B)),
        (lambda a, b: np.linalg.solve(a, b), (A, C)),
        (lambda a, b: np.linalg.solve(a, b), (A.real.copy(), B)),
        (lambda a, b: np.linalg.solve(a, b), (A, B.real.copy())),
        (lambda a, b: np.linalg.inv(a) * b, (A, B)),
    ],
)
def test_solutions_and_inverses(f, args):
    np.testing.assert_allclose(tl.jit(f)(*args), f(*args), rtol=1e-11)

    def size(a, b):
        made = f(a, b)
        return (np.abs(made) ** 2).sum() + made.imag.sum()

    for k in range(2):
        np.testing.assert_allclose(tl.jit(tl.grad(size, k))(*args), tl.grad(size, k)(*args), rtol=1e-10)


def test_second_derivatives():
    def f(t):
        return np.abs(np.linalg.solve(A * t + 1j * np.eye(4), B)).sum()

    np.testing.assert_allclose(tl.jit(tl.hessian(f))(0.7), tl.hessian(f)(0.7), rtol=1e-9)


def test_matrices_that_do_not_fit():
    for args in ((A[:3], B), (A, B[:2]), (np.zeros((4, 4), complex), B)):
        with pytest.raises((np.linalg.LinAlgError, ValueError)) as wanted:
            np.linalg.solve(*args)
        with pytest.raises(type(wanted.value)):
            tl.jit(lambda a, b: np.linalg.solve(a, b))(*args)
