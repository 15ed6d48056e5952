"""Storage made and filled in one branch of a recursive function has no cotangent in the other."""

import numpy as np

import tapeless as tl


def squares(a):
    if len(a) <= 1:
        return a * a
    c = np.empty(len(a))
    half = len(a) // 2
    c[:half] = squares(a[:half])
    c[half:] = squares(a[half:]) * 2.0
    return c


def total(a):
    return squares(a).sum()


def test_gradient():
    a = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(tl.grad(total)(a), [2.0, 8.0, 24.0])
    np.testing.assert_allclose(tl.hessian(total)(a), np.diag([2.0, 4.0, 8.0]))
