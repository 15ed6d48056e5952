"""Functions that Numba compiles are read as the Python that they are written in."""

import math

import numpy as np
import pytest

import tapeless as tl
from checking import NATIVE, check


def sine(x):
    return math.sin(x)


class Dispatcher:
    """Called as machine code, it holds the Python function, as a dispatcher of Numba does."""

    __module__ = "numba.stand_in"
    __call__ = staticmethod(math.sin)

    def __init__(self, function):
        self.py_func = function


compiled_sine = Dispatcher(sine)


def f(x):
    return compiled_sine(x) * x


def test_a_dispatcher():
    check(f, 0.7)
    slope = math.cos(0.7) * 0.7 + math.sin(0.7)
    assert tl.grad(f)(0.7) == pytest.approx(slope, rel=1e-14)
    if NATIVE:
        assert tl.jit(tl.grad(f))(0.7) == pytest.approx(slope, rel=1e-14)


def test_numba_itself():
    numba = pytest.importorskip("numba")

    @numba.njit
    def length(x):
        total = 0.0
        for i in range(x.shape[0]):
            total += x[i] ** 2
        return math.sqrt(total)

    def g(x):
        return length(x) * x[0]

    x = np.array([3.0, 4.0])
    assert tl.grad(g)(x) == pytest.approx([6.8, 2.4])
    if NATIVE:
        assert tl.jit(tl.grad(g))(x) == pytest.approx([6.8, 2.4])


def test_functions_compiled_while_the_program_runs():
    numba = pytest.importorskip("numba")

    def f(x, y):
        @numba.njit(cache=False)
        def scaled(z):
            return x * z**2

        doubled = numba.njit(lambda z: 2.0 * z)
        rounded = numba.vectorize(lambda z: z * y)
        return doubled(scaled(y)) + rounded(x)

    assert tl.grad(f, (0, 1))(3.0, 5.0) == (55.0, 63.0)
    assert tl.jvp(f, (3.0, 5.0), (1.0, 1.0))[1] == 118.0
