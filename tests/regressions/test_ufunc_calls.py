"""Ufuncs with `out` by position and a mask, their methods `at` and `reduceat`; results stored in arrays."""

import operator

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.errors import MissingRuleError

V = np.array([0.3, 0.7, 0.9])
W = np.array([1.2, 0.4, 0.8])
A = np.array([[0.3, 0.7, 0.2, 0.9], [1.2, 0.4, 0.8, 0.5]])
MASK = np.array([True, False, True])


def out_by_position(x, y):
    np.sin(x, x, where=MASK)
    np.multiply(x, y, y, where=MASK, order="C")
    return x * y


def out_in_a_tuple(x, y):
    np.sin(x, out=(y,), where=MASK)
    return x * y


def masked_conjugate(x, y):
    np.conj(x, out=y, where=x > 0.5)
    return x * y + np.matmul(np.outer(x, y), y, casting="unsafe")


def masked_sign(x, y):
    return np.sign(x * 1j + y, out=x * (1.0 + 0.5j), where=MASK)


def products_into(x, y):
    o = np.ones((3, 2))
    both = np.stack([x, y])
    np.vecdot(both, y, out=o[0])
    np.vecdot(both, x, o[1])
    result = np.matvec(both, y, out=o[2])
    o *= 2.0
    return o * result


def at(x, y):
    np.maximum.at(x, [0, 0, 2], y)
    np.power.at(y, np.array([1, 1]), x[:2])
    np.negative.at(x, [0, 1])
    return x * y


@pytest.mark.parametrize(
    "f",
    [out_by_position, out_in_a_tuple, masked_conjugate, masked_sign, products_into, at],
    ids=operator.attrgetter("__name__"),
)
def test_two_vectors(f):
    check(f, V, W)


def test_pieces():
    check(lambda a: np.multiply.reduceat(a, [0, 2, 1], axis=1), A)
    check(lambda a: np.hypot.reduceat(np.maximum.reduceat(a, [0, 1]), [1, 0], 1), A)


def test_a_product_spread_over_its_operand():
    def f(x):
        y = x * 1.0
        np.vecdot(x, y, out=y)
        return np.sum(y)

    with pytest.raises(MissingRuleError, match="another shape"):
        tl.grad(f)(V)
