"""Special methods as Python looks them up."""

import math
import typing

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


class Record(dict):
    """Items are attributes, by methods of dict itself; SciPy's results are made so."""

    __setattr__ = dict.__setitem__
    __getattr__ = dict.__getitem__
    __delattr__ = dict.__delitem__


def test_attributes_set_by_a_method_of_a_builtin_class():
    def f(x):
        r = Record(x=x)
        r.slope = 2.0 * x
        r["more"] = r.x + r.slope
        kept = r["slope"]
        del r.slope
        r.slope = r["more"] * kept
        return r.slope * r.x

    check(f, 0.7)
    assert tl.grad(f)(0.5) == 4.5  # 6 x**3


class Scaled:
    """Every look-up is answered in Python."""

    def __init__(self, v):
        self.v = v

    def __getattribute__(self, name):
        if name == "w":
            return 3.0 * object.__getattribute__(self, "v")
        found = object.__getattribute__(self, name)
        return 2.0 * found if name == "v" else found


def test_getattribute_in_python():
    def f(x):
        a = Scaled(x)
        return a.v * a.w

    check(f, 1.5)
    assert tl.grad(f)(1.5) == 18.0


Metre = typing.NewType("Metre", float)


class Sine:
    __call__ = math.sin  # a C function is no method: it is not given the object


def test_calls_of_objects_by_c_functions():
    assert tl.grad(lambda x: Metre(x) * x)(2.0) == 4.0
    assert tl.grad(lambda x: Sine()(x))(0.0) == 1.0
