"""Arrays that a loop gives other lengths in every iteration, and exchanges with others."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.fuse import fuse
from tapeless.backends.native.nest import (
    I64,
    ZERO,
    Alloc,
    Array,
    Assign,
    Dim,
    For,
    Function,
    Load,
    Ref,
    Scalar,
    Store,
    const,
    walk,
)
from tapeless.backends.native.verify import verify


def exchanged(x, times):
    a, b = x.copy(), np.concatenate((x, x))
    s = 0.0
    for t in range(times):
        n = len(a)
        for i in range(n):
            s += x[i % 3] * i
        a, b = b, a
        s = 1.5 * s + a[-1] * len(b) + np.sum(b * b) * t
    return s


def rotated(x, times):
    a, b, c = x.copy(), np.concatenate((x, x)), x[:2].copy()
    s = 0.0
    for _ in range(times):
        a, b, c = b, c, a
        s = 1.5 * s + a[-1] * len(b) + np.sum(b * b) + np.sum(c * c * c)
    return s


def matrices(x, times):
    a, b = np.outer(x, x[:3]), np.outer(x[:2], x)
    s = 0.0
    for t in range(times):
        a, b = b, a
        s = 1.5 * s + a[-1, 1] * b.shape[1] + np.sum(b * b) * t
    return s


def made_before(x, times):
    """The new array has the length that the other one had before it grew."""
    a, b = x.copy(), x[:2].copy()
    s = 0.0
    for t in range(times):
        z = np.zeros_like(a)
        z[0] = x[1] * t
        z[-1] = b[0]
        a = np.concatenate((a, b))
        b = z
        s = 1.5 * s + np.sum(a * a) + b[-1] * b[0]
    return s + np.sum(b * b) * len(a)


def shorter_inside(x, times):
    """The number of iterations is a length at the beginning."""
    a = x.copy()
    s = 0.0
    for t in range(len(a) - 2):
        a = 2.0 * a[1:]
        for u in range(len(a)):
            s += a[u] * a[u] * t
    return s * times


def recursive(x, times):
    return turned(x.copy(), np.concatenate((x, x)), times)


def turned(a, b, k):
    if k == 0:
        return np.sum(a * a) + 3.0 * np.sum(b) * len(a)
    return 1.5 * turned(b, a, k - 1) + a[0]


@pytest.mark.parametrize("f", [exchanged, rotated, matrices, made_before, shorter_inside, recursive])
@pytest.mark.parametrize("times", [0, 1, 2, 5])
def test_lengths_change_at_once(f, times):
    x = np.array([1.5, 2.5, 3.25, 4.125, 0.7])
    assert np.isclose(tl.jit(f)(x, times), f(x, times), rtol=1e-12)
    near = [f(x + e * 1e-20j, times).imag * 1e20 for e in np.eye(5)]
    np.testing.assert_allclose(tl.jit(tl.grad(f))(x, times), near, rtol=1e-12)


def test_loops_over_a_length_before_and_after_it_changes_stay_apart():
    x, a, w, r = (Array(name, "float64", 1) for name in "xawr")
    n, i, j = (Scalar(name, I64) for name in "nij")
    length = Dim(x, 0)
    body = [
        Alloc(w, (length,)),
        Alloc(r, (length,)),
        Alloc(a, (const(2),)),
        Assign(n, Dim(a, 0)),
        For(i, ZERO, Ref(n), [Store(w, (Ref(i),), Load(x, (Ref(i),)))], independent=True),
        Alloc(a, (length,)),
        For(j, ZERO, Dim(a, 0), [Store(r, (Ref(j),), Load(w, (Ref(j),)))], independent=True),
    ]
    made = fuse(verify(Function("f", [x], body, [r])))
    assert sum(isinstance(s, For) for s in walk(made.body)) == 2
