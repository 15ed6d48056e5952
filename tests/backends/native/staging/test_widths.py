"""Integers that need more than 64 bits are left to CPython; numbers of 32 bits are rounded to them."""

import numpy as np
import pytest

import tapeless as tl

LEAST = -(2**63)


def quotient(n, k):
    return n // k, n % k


def both(n, k):
    return divmod(n, k)


def negative(n, k):
    return -n + 0 * k


def size(n, k):
    return abs(n) + 0 * k


def known(n, k):
    return n // 3 - n // -1 + k // 7


@pytest.mark.parametrize("f", [quotient, both, negative, size, known])
def test_the_least_integer(f):
    compiled = tl.jit(f)
    for n, k in ((7, 2), (LEAST, -1), (LEAST, 2), (LEAST + 1, -1), (2**63 - 1, -1)):
        assert compiled(n, k) == f(n, k)


def test_numbers_of_32_bits_are_rounded():
    """Also where they are known, and go on as numbers of 64 bits."""

    def f(x):
        share = np.float32(1 / 3)
        return np.float32(0.1) * x + float(share) + np.asarray(0.7, dtype=np.float32) * x

    x = np.array([0.7, -0.7, 2.5])
    np.testing.assert_allclose(tl.jit(f)(x), f(x), rtol=1e-15)
    slope = tl.jit(tl.grad(lambda x: f(x).sum()))(x)
    np.testing.assert_allclose(slope, tl.grad(lambda x: f(x).sum())(x), rtol=1e-15)
