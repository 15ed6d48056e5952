"""A boolean mask made in a loop: its read is a copy, so the reverse pass has to store the sum back."""

import numpy as np
import pytest

import tapeless as tl


def above(x):
    total = 0.0
    for i in range(3):
        total += np.sum(x[x > 0.2 * i] ** 2)
    return total


def rings(x):
    out = np.zeros(2)
    for i in range(2):
        inside = np.logical_and(x > 0.3 * i, x < 0.3 * i + 0.5)
        out[i] = np.mean(x[inside])
    return np.sum(out * out)


def rows(x):
    total = 0.0
    for i in range(2):
        keep = np.arange(3) != i
        table = np.outer(x[:3], x[2:])
        total += np.sum(table[keep] ** 2)
    return total


@pytest.mark.parametrize("f", [above, rings, rows])
def test_gradient(f):
    x = np.array([0.05, 0.25, 0.45, 0.7, 0.9])
    got = tl.grad(f)(x)
    h = 1e-6
    want = [(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(5)]
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-8)
