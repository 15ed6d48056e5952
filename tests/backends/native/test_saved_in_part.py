"""Columns that a loop sweeps over again and again are saved once before it, if no pass needs them."""

import math
import re

import numpy as np
import pytest

import tapeless as tl


def agrees(f, *args, argnums=0):
    derivative = tl.grad(f, argnums)
    want = derivative(*[x.copy() if isinstance(x, np.ndarray) else x for x in args])
    loops = tl.compiled(derivative, *args)
    got = tl.jit(derivative)(*args)
    for a, b in zip(np.atleast_1d(got), np.atleast_1d(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
    return loops


def pulled(position, velocity, steps):
    """Every pair changes two velocities; where bodies are needs the last ones only."""
    n = position.shape[0]
    for _ in range(steps):
        for i in range(n):
            for j in range(i + 1, n):
                dx, dy = position[i, 0] - position[j, 0], position[i, 1] - position[j, 1]
                pull = 0.1 / (0.1 + dx * dx + dy * dy)
                velocity[i, 0] -= dx * pull
                velocity[i, 1] -= dy * pull
                velocity[j, 0] += dx * pull
                velocity[j, 1] += dy * pull
        for i in range(n):
            position[i, 0] += 0.1 * velocity[i, 0] * velocity[i, 0]
            position[i, 1] += 0.1 * velocity[i, 1] * velocity[i, 1]
    return np.sum(position * position)


@pytest.mark.parametrize("columns", [2, 4])
@pytest.mark.parametrize("n", [0, 1, 5])
def test_pairs(columns, n):
    rng = np.random.default_rng(1)
    position, velocity = rng.standard_normal((2, n, columns))
    loops = agrees(lambda p, v: pulled(p.copy(), v.copy(), 3), position, velocity)
    agrees(lambda p, v: pulled(p.copy(), v.copy(), 3), position, velocity, argnums=1)
    deep = re.findall(r"\n {16,}saved\w*\[.* = velocity", loops)
    assert not deep  # nothing is saved for each pair


def test_rows_and_columns_that_cross():
    def f(x):
        a = np.outer(x, x)
        s = 0.0
        for step in range(3):
            for i in range(5):
                s = s + a[i, 1] * a[i, 1] + a[2, i] * math.sin(a[2, i])
            for k in range(4):
                for i in range(5):
                    a[i, 1] = a[i, 1] * 0.5 + x[k]
                    a[2, i] = a[2, i] + x[i] * step
        return s + np.sum(a * a)

    agrees(f, np.linspace(0.2, 0.9, 5))


def test_a_column_that_is_not_there_is_not_touched():
    def f(a, n):
        s = 0.0
        for _ in range(3):
            for i in range(a.shape[0]):
                s = s + a[i, 0] * a[i, 0]
            for k in range(n):
                for i in range(a.shape[0]):
                    a[i, 7] = a[i, 7] + s * k
        return s

    def at(a, n):
        return f(a.copy(), n)

    agrees(at, np.linspace(0.2, 0.9, 6).reshape(3, 2), 0)
    agrees(at, np.linspace(0.2, 0.9, 24).reshape(3, 8), 2)


def test_passes_that_need_their_column():
    def f(x):
        a = np.zeros((5, 2))
        for k in range(4):
            for i in range(5):
                a[i, 0] = a[i, 0] * a[i, 0] + x[i] * k
            for i in range(5):
                a[i, 1] += a[i, 0] * a[i, 0]
        return np.sum(a * a)

    agrees(f, np.linspace(0.2, 0.9, 5))
