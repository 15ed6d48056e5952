"""Elementwise functions of complex numbers, compiled: sides of their cuts, and derivatives on the axes."""

import cmath

import numpy as np
import pytest
from tests.checking import check

import tapeless as tl

NAMES = (
    "sqrt", "exp2", "expm1", "log1p", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "sign",
)  # fmt: skip
PLANE = np.array(
    [0.3 + 0.4j, -1.2 + 0.7j, -0.4 - 2.1j, 2.5 - 0.3j, 3 + 0j, -3 + 0j, complex(3, -0.0), complex(-3, -0.0),
     2j, -2j, complex(-0.0, 2), complex(-0.0, -2), 1e-9 + 1e-9j]
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_values(name):
    f = getattr(np, name)
    with np.errstate(all="ignore"):
        got, wanted = tl.jit(lambda z: f(z))(PLANE), f(PLANE)
    np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-15, strict=True)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives(name):
    f = getattr(np, name)

    def size(x, y):
        w = f(x + 1j * y)
        return np.sum(w.real * 1.3 + w.imag * 0.7)

    x, y = PLANE[:4].real.copy(), PLANE[:4].imag.copy()
    for got, wanted in zip(*(g(x, y) for g in _both(size)), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-11)


def _both(f):
    gradient = tl.grad(f, argnums=(0, 1))
    return tl.jit(gradient), gradient


@pytest.mark.parametrize("root", [np.sqrt, cmath.sqrt])
def test_roots_on_the_axes_have_the_derivatives_of_both_sides(root):
    """They were zero in one direction."""

    def f(x, y):
        w = root(x + 1j * y)
        return w.real * 1.3 + w.imag * 0.7

    for x, y in ((0.0, 2.0), (0.0, -2.0), (1.5, 0.0), (-1.5, 0.0)):
        got, wanted = (g(x, y) for g in _both(f))
        assert got == pytest.approx(wanted, rel=1e-12)
        slope = 0.5 / cmath.sqrt(complex(x, y))
        assert got == pytest.approx([(slope * d).real * 1.3 + (slope * d).imag * 0.7 for d in (1, 1j)])


INVERSE = {n: getattr(cmath, n) for n in ("asin", "acos", "atan", "asinh", "acosh", "atanh", "tan", "tanh")}


@pytest.mark.parametrize("name", INVERSE)
def test_functions_of_cmath(name):
    function = INVERSE[name]

    def f(x, y):
        return function(complex(x, y))

    def part(x, y):
        return f(x, y).real * 1.3 + f(x, y).imag * 0.7

    compiled, slope = tl.jit(f), tl.jit(tl.grad(part, argnums=(0, 1)))
    for x in (0.0, -0.0, 0.5, -2.0, 1.0):
        for y in (0.0, -0.0, 0.5, -2.0, 1.0):
            try:
                want = f(x, y)
            except ValueError:
                with pytest.raises(ValueError, match="math domain error"):
                    compiled(x, y)
                continue
            assert compiled(x, y) == pytest.approx(want, rel=1e-12)
    assert slope(0.3, -0.8) == pytest.approx(tl.grad(part, argnums=(0, 1))(0.3, -0.8), rel=1e-12)


def test_powers_of_python_numbers():
    def powers(a, p):
        z = complex(a, 0.3)
        w = (
            z**p
            + z**-2
            + z**0
            + z**3.0
            + 2.0**z
            + (-z) ** (1 / 3)
            + complex(-a, -0.0) ** 0.5
            + z ** (0.5 - 1j)
        )
        return w.real + w.imag**2

    check(powers, 0.7, 0.4, native=True)
    power = tl.jit(lambda a, p: complex(a, a) ** p)
    for p in (0.5, -0.5, 5.5):
        assert power(0.3, p) == pytest.approx(complex(0.3, 0.3) ** p, rel=1e-13)
    assert power(0.0, 0.5) == 0
    with pytest.raises(ZeroDivisionError):
        power(0.0, -0.5)
    with pytest.raises(ZeroDivisionError, match="power"):
        tl.jit(lambda a: complex(a, a) ** -2)(0.0)
    with pytest.raises(OverflowError):
        power(1e200, 5.5)


def test_powers_of_zero_and_reciprocals_beside_a_cut():
    z = np.concatenate((PLANE, [0j]))
    for f in (lambda z: np.power(z, -0.5), lambda z: np.power(z, 0.5j), lambda z: np.sqrt(-np.reciprocal(z))):
        with np.errstate(all="ignore"):
            wanted = f(z)
        np.testing.assert_allclose(tl.jit(f)(z), wanted, rtol=1e-12, atol=1e-15)
