"""Inverse functions of complex numbers on their branch cuts: slopes are those of the side of the value."""

import cmath

import numpy as np
import pytest
from tests.checking import check

PAIRS = [("arcsin", "asin"), ("arccos", "acos"), ("arcsinh", "asinh"), ("arccosh", "acosh")]


@pytest.mark.parametrize(("name", "own"), PAIRS)
@pytest.mark.parametrize("side", [0.0, -0.0])
def test_along_a_cut(name, own, side):
    of_arrays, of_numbers = getattr(np, name), getattr(cmath, own)

    def program(x):
        total = 0.0
        for turn in (1.0, 1j):
            z = of_arrays(turn * (x + 1j * side * x))
            w = of_numbers(turn * complex(x[1], side))
            total = total + np.sum(3.0 * z.real + z.imag**2) + 3.0 * w.real + w.imag**2
        return total

    check(program, np.array([1.5, -2.5, 0.4]))


def test_dtype_of_complex_numbers():
    """A ufunc that is asked for complex numbers has their slopes, also where real ones end."""

    def program(x, p):
        z = np.arcsin(x, dtype=complex) + np.sqrt(x, dtype=complex) + np.power(x, p, dtype=complex)
        return np.sum(z.real + z.imag**2)

    check(program, np.array([1.5, -2.5, 0.4]), np.array([0.3, 1.5, 2.5]))


def test_products_of_complex_arrays_and_real_numbers_keep_the_side():
    """The sign of a zero is NumPy's, compiled too: it decides on which side of a cut the value is."""

    def program(x):
        z = np.concatenate((x + 0j, np.conj(x + 0j)))
        w = [np.sqrt(z * -4), np.sqrt(-2.0 * z), np.sqrt(z / -2.0), np.log(z * -np.concatenate((x, x)))]
        return [v.real for v in w] + [v.imag for v in w]

    check(program, np.array([1.5, -2.5, 0.4]), native=True)
