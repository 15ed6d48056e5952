"""A number that becomes an array in a loop: the first iteration is compiled by itself."""

import numpy as np
import pytest

import tapeless as tl
from checking import check

A = np.array([0.3, 0.7, 0.2, 0.9, 0.5])


def summed(a, n):
    s = 0
    for i in range(n):
        s = s + a * i
    return s


def in_place(a, n):
    s = 0.0
    for i in range(n):
        s += a * i
        s *= 1.1
    return s


def by_branches(a, n):
    s = 0.0
    for row in np.outer(a[:n], a):
        if row[0] > 0.05:
            s = s + row
        else:
            s = s - row * 2.0
    return s


def generated(a, n):
    return sum(a * i for i in range(n))


def of_rows(a, n):
    return sum(np.outer(a[:n], a))


def of_a_list(a, n):
    ys = []
    for i in range(n):
        ys.append(a * i)
    return sum(ys) * len(ys)


def with_return(a, n):
    s = 0
    for i in range(n):
        s = s + a
        if i == 9:
            return s * 2.0
    return s


def made_empty(a, n):
    b = np.ndarray((n, 2))
    b[:] = a[0]
    return b


CASES = [summed, in_place, by_branches, generated, of_rows, of_a_list, with_return, made_empty]


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_a_number_that_becomes_an_array(f):
    fast, slope = tl.jit(f), tl.jit(tl.grad(lambda a, n: np.sum(f(a, n) * a[0])))
    for n in (5, 1, 3, 40, 0):
        got, want = fast(A.copy(), n), f(A.copy(), n)
        assert type(got) is type(want)
        np.testing.assert_allclose(got, want, rtol=1e-13)
        if n:
            np.testing.assert_allclose(
                slope(A, n), tl.grad(lambda a, n=n: np.sum(f(a, n) * a[0]))(A), rtol=1e-12
            )
    check(lambda a: f(a, 4), A)
