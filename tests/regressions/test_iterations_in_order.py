"""Iterations done together change an element in their order: sums were added up before they were scaled."""

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from checking import check

A = np.array([0.3, 0.7, 0.2, 0.9, 0.5])


def scaled(a: Any, n: int) -> Any:
    s = np.zeros(5)
    for i in range(n):
        s += a * i
        s *= 1.1
    return s


def filtered(a: Any, n: int) -> Any:
    s = np.ones(5)
    for i in range(n):
        s += a[i % 5] * a
        s[:] = np.sin(s)
        s += 0.1 * i
    return s


def by_elements(a: Any, n: int) -> Any:
    s = np.zeros(5)
    for i in range(n):
        for j in range(5):
            s[j] += a[j] * i
            s[j] *= 0.9
            s[j] += 1.0
    return s


@pytest.mark.parametrize("f", [scaled, filtered, by_elements], ids=lambda f: f.__name__)
def test_iterations_in_order(f: Any) -> None:
    fast, slope = tl.jit(f), tl.jit(tl.grad(lambda a, n: np.sum(f(a, n))))
    for n in (3, 4, 5, 9, 16):
        np.testing.assert_allclose(fast(A, n), f(A, n), rtol=1e-13)
        np.testing.assert_allclose(slope(A, n), tl.grad(lambda a, n=n: np.sum(f(a, n)))(A), rtol=1e-12)
    check(lambda a: f(a, 9), A)
