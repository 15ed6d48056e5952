"""Integers of Python have any number of digits: a call that needs more than 64 bits is CPython's."""

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
