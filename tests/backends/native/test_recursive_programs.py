"""Recursive programs as they are written: sorting, factorisations by blocks, rays, a search, a solver."""

import math
from typing import NamedTuple

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.staging import stage


def merge_sort(a):
    if len(a) < 2:
        return a
    half = len(a) // 2
    left, right = merge_sort(a[:half]), merge_sort(a[half:])
    out, i, j = np.empty(len(a)), 0, 0
    for k in range(len(a)):
        if j >= len(right) or (i < len(left) and left[i] <= right[j]):
            out[k] = left[i]
            i += 1
        else:
            out[k] = right[j]
            j += 1
    return out


def order_statistics(a):
    return (merge_sort(a) * np.arange(len(a))).sum()


def eliminate(a):
    if len(a) == 1:
        return
    a[1:, 0] /= a[0, 0]
    a[1:, 1:] -= np.outer(a[1:, 0], a[0, 1:])
    eliminate(a[1:, 1:])


def log_determinant(a):
    b = a.copy()
    eliminate(b)
    return np.log(np.abs(np.diag(b))).sum()


def cholesky(a):
    n = len(a)
    if n == 1:
        return np.sqrt(a)
    k = n // 2
    upper = cholesky(a[:k, :k])
    below = np.linalg.solve(upper, a[:k, k:]).T
    lower = cholesky(a[k:, k:] - below @ below.T)
    out = np.zeros((n, n))
    out[:k, :k], out[k:, :k], out[k:, k:] = upper, below, lower
    return out


def by_blocks(a):
    return (cholesky(a @ a.T + 3.0 * np.eye(len(a))) ** 3).sum()


class Vector(NamedTuple):
    x: float
    y: float
    z: float


def add(a, b):
    return Vector(a.x + b.x, a.y + b.y, a.z + b.z)


def times(a, s):
    return Vector(a.x * s, a.y * s, a.z * s)


def dot(a, b):
    return a.x * b.x + a.y * b.y + a.z * b.z


def trace(at, way, spheres, depth):
    nearest, hit = 1e9, -1
    for i in range(len(spheres)):
        to = Vector(at.x - spheres[i, 0], at.y - spheres[i, 1], at.z - spheres[i, 2])
        b = dot(to, way)
        d = b * b - dot(to, to) + spheres[i, 3] ** 2
        if d > 0.0:
            t = -b - math.sqrt(d)
            if 1e-4 < t < nearest:
                nearest, hit = t, i
    if hit < 0 or depth == 0:
        return Vector(0.5 + 0.5 * way.y, 0.7, 1.0)
    p = add(at, times(way, nearest))
    s = spheres[hit]
    normal = times(Vector(p.x - s[0], p.y - s[1], p.z - s[2]), 1.0 / s[3])
    seen = trace(p, add(way, times(normal, -2.0 * dot(way, normal))), spheres, depth - 1)
    light = max(dot(normal, Vector(0.5, 0.7, -0.5)), 0.0)
    return add(times(Vector(1.0, 0.2, 0.1), light * 0.5), times(seen, 0.6))


def pixels(spheres, depth):
    total = 0.0
    for i in range(3):
        way = Vector(0.05 * i - 0.05, 0.02 * i, 1.0)
        colour = trace(Vector(0.0, 0.0, -3.0), times(way, 1.0 / math.sqrt(dot(way, way))), spheres, depth)
        total += colour.x + 2.0 * colour.y - colour.z
    return total


def place(columns, row, n, weight):
    if row == n:
        made = 1.0
        for i in range(n):
            made *= weight[i, columns[i]]
        return made
    total = 0.0
    for c in range(n):
        free = True
        for r in range(row):
            if columns[r] == c or abs(columns[r] - c) == row - r:
                free = False
                break
        if free:
            columns[row] = c
            total += place(columns, row + 1, n, weight)
    return total


def queens(weight):
    return place(np.zeros(len(weight), dtype=np.int64), 0, len(weight), weight)


def advance(f, t, y, h, end, steps):
    if t >= end or steps > 400:
        return y
    k = f(y)
    m = f(y + h * k)
    if abs(h * (m - k)) > 2e-3:
        return advance(f, t, y, h / 2, end, steps + 1)
    return advance(f, t + h, y + h * (k + m) / 2, h * 1.3, end, steps + 1)


def solved(y, k):
    return advance(lambda v: -k * v * v + 0.1, 0.0, y, 0.1, 2.0, 0)


RNG = np.random.default_rng(1)
CASES = [
    (order_statistics, RNG.random(9)),
    (log_determinant, RNG.random((4, 4)) + 2.0 * np.eye(4)),
    (by_blocks, RNG.random((4, 4))),
    (pixels, np.array([[0.0, 0.0, 0.0, 1.0], [1.2, 0.3, -0.5, 0.6], [-1.0, 0.5, 0.2, 0.5]]), 3),
    (queens, RNG.random((5, 5))),
    (solved, 1.3, 0.8),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c[0].__name__)
def test_values_and_gradients(case):
    f, *args = case
    assert not stage(f, tuple(args)).known
    np.testing.assert_allclose(tl.jit(f)(*args), f(*args), rtol=1e-12)
    np.testing.assert_allclose(tl.jit(tl.grad(f))(*args), tl.grad(f)(*args), rtol=1e-10, atol=1e-12)
