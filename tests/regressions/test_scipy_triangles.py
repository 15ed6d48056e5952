"""Functions of SciPy that read one triangle of a matrix: the other one has no derivative."""

import numpy as np
import pytest

from checking import check

linalg = pytest.importorskip("scipy.linalg")
MATRIX = np.array([[2.1, 0.3, 0.2], [0.5, 1.4, -0.1], [0.4, 0.6, 1.9]])
RIGHT = np.array([0.3, 1.2, -0.7])


@pytest.mark.parametrize("lower", [False, True])
def test_one_triangle(lower):
    def factor(a):
        return linalg.cholesky(a, lower=lower)

    def solved(a, b):
        return linalg.cho_solve(linalg.cho_factor(a, lower), b)

    check(factor, MATRIX)
    check(solved, MATRIX, RIGHT)
