"""Functions of SciPy that may use the memory of their arguments for their results."""

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg as sl

import tapeless as tl
from checking import check

MATRIX = np.array([[3.0, 0.5], [0.4, 2.5]])
VECTOR = np.array([0.5, -1.5])


@pytest.mark.parametrize("shift", [0.0, 0.5j])
@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: sl.lu_solve(sl.lu_factor(a.T * 1, overwrite_a=True), b * 1, overwrite_b=True),
        lambda a, b: sl.lu_solve(sl.lu_factor(a.T * 1, True), b * 1, 0, True),
        lambda a, b: sl.solve(a.T * 1, b * 1, overwrite_a=True, overwrite_b=True),
        lambda a, b: sl.solve_triangular(a.T * 1, b * 1, overwrite_b=True),
        lambda a, b: sl.inv(a.T * 1, overwrite_a=True) @ b,
        lambda a, b: sl.cho_factor((a.T @ a.conj()).T, True, True)[0][1] * b,
    ],
)
def test_factors_in_place(f, shift):
    check(f, (MATRIX + shift, VECTOR + shift))


def test_a_constant_that_is_overwritten():
    def f(x):
        b = VECTOR * 1
        y = x * b
        sl.lu_solve(sl.lu_factor(MATRIX), b, overwrite_b=True)
        return np.sum(y) + np.sum(x * b)

    left = sl.solve(MATRIX, VECTOR)
    assert np.allclose(tl.grad(f)(np.ones(2)), VECTOR + left, rtol=1e-12)


def test_radau():
    def f(a):
        solution = scipy.integrate.solve_ivp(lambda t, y: -a * y, (0, 1), [1.0], method="Radau", rtol=1e-6)
        return solution.y[0, -1]

    assert tl.grad(f)(0.4) == pytest.approx(-np.exp(-0.4), rel=1e-5)
