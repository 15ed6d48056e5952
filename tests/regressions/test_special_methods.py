"""Special methods as Python looks them up."""

import tapeless as tl
from checking import check


class Unit:
    """A singleton whose special methods need no object."""

    @staticmethod
    def __abs__():
        return 2.0

    @staticmethod
    def __neg__():
        return -3.0

    @staticmethod
    def __add__(other):
        return other * 5.0

    def __mul__(self, other):
        return other * 7.0

    __rmul__ = __mul__


def test_static_special_methods():
    unit = Unit()

    def f(x):
        return abs(unit) * x + (-unit) * x * x + (unit + x) * x + (unit * x) * (x * unit)

    check(f, 0.7)


def test_ufuncs_with_an_ellipsis_for_out():
    import numpy as np
    import pytest

    if tuple(map(int, np.__version__.split(".")[:2])) < (2, 3):
        pytest.skip("NumPy 2.3 asks for an array with out=...")

    def f(a, b):
        return np.multiply(a, b, out=...).sum() + np.cross(a, b)[1]

    tl.check_grads(f, (np.array([1.0, 2.0, 0.5]), np.array([0.3, -1.0, 2.0])))
