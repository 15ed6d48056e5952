"""Iterators over the elements of arrays."""

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.errors import MissingRuleError

A = np.array([[0.3, -1.2, 2.0], [0.7, 0.1, -0.4]])
V = np.array([1.5, -0.6])


def reads(a, v):
    total = 0.0
    for x in np.nditer(a):
        total = total + x * x * v[0]
    for x, y in np.nditer([a, v[:, None]]):
        total += x * y
    it = np.nditer(a.T, flags=["multi_index"])
    while not it.finished:
        total += it[0] * it.multi_index[0]
        it.iternext()
    return total


def writes(a, v):
    b = a * 1.0
    with np.nditer(b, op_flags=["readwrite"]) as it:
        for x in it:
            x[...] = x * x * v[1]
    it = np.nditer([b, None])
    for x, y in it:
        y[...] = 2.0 * x
    return it.operands[1], b


def others(a, v):
    total = 0.0
    for (i, j), x in np.ndenumerate(a):
        total += x * (i + 2 * j) * v[0]
    for i in np.ndindex(a.shape):
        total += a[i] ** 2
    for x in a.flat:
        total += x**3
    b, c = np.broadcast_arrays(a, v[:, None])
    for x, y in np.broadcast(a, v[:, None]):
        total += x * y
    return total + (b * c).sum()


@pytest.mark.parametrize("f", [reads, writes, others], ids=lambda f: f.__name__)
def test_iterators(f):
    check(f, A, V)


def test_buffers_are_refused():
    def f(a):
        total = 0.0
        for x in np.nditer(a, flags=["buffered"], op_dtypes=["float32"], casting="same_kind"):
            total += float(x)
        return total

    with pytest.raises(MissingRuleError, match="nditer"):
        tl.grad(f)(A)


def test_a_slice_of_flat_is_a_copy():
    def reads(m):
        v = m.flat[:3]
        m[...] = 2.0
        return np.sum(v * v)

    def writes(m):
        v = m.flat[1:3]
        v[0] = 5.0
        return np.sum(m * m) + np.sum(v)

    def of_a_transpose(m):
        v = m.T.flat[::2]
        m.T.flat[1] = v[1] * 3.0
        return np.sum(m * m) * v[0]

    for f in (reads, writes, of_a_transpose):
        check(f, np.array([[0.3, -0.7], [1.1, 0.4]]))
