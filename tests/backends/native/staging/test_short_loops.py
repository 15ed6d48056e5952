"""Loops of a few iterations inside each other stay loops where their copies would be too many."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable


def contraction(a, b):
    """Seven loops of two to four iterations each."""
    total = np.zeros((2, 3, 3))
    for k in range(a.shape[0]):
        for e in range(a.shape[1]):
            for q in range(b.shape[0]):
                for w in range(b.shape[1]):
                    for i in range(b.shape[2]):
                        for j in range(2):
                            for s in range(2):
                                if e - w >= 0:
                                    part = a[k, e - w] @ b[q, w, i]
                                    more = b[q, w, j] * np.sin(a[k, e, s, j])
                                    total[k] += part @ more + s * part
    return np.sum(total**2)


def with_items(x):
    """The outermost counter has to be known: it says which item is meant, and they are of several kinds."""
    items = (x[0], x, 2.0)
    total = 0.0
    for i in range(3):
        for j in range(3):
            for m in range(3):
                a = np.sin(x[j] * x[m]) + np.sum(items[i]) * x[m]
                b = np.cos(a) + a * x[j]
                c = np.exp(-a * a) * b + (a - b) * (a - x[m]) / (1.0 + a * a)
                total = total + a * b * c
    return total


def of_several_kinds(x):
    """What a variable holds differs from iteration to iteration."""
    kept = x[0]
    total = 0.0
    for i in range(3):
        for j in range(3):
            for m in range(3):
                a = np.sin(x[j] * x[m]) + np.sum(kept) * x[m]
                b = np.cos(a) + a * x[j]
                c = np.exp(-a * a) * b + (a - b) * (a - x[m]) / (1.0 + a * a)
                total = total + a * b * c * np.tanh(c)
        kept = x * (i + 1.0)
    return total


RNG = np.random.default_rng(3)
A, B, X = RNG.normal(size=(2, 4, 3, 3)), RNG.normal(size=(2, 2, 2, 3, 3)), RNG.normal(size=4)


@pytest.mark.parametrize("f, args", [(contraction, (A, B)), (with_items, (X,)), (of_several_kinds, (X,))])
def test_loops_of_few_iterations_inside_each_other(f, args):
    value, slopes = tl.jit(tl.value_and_grad(f, tuple(range(len(args)))))(*args)
    expected, wanted = tl.value_and_grad(f, tuple(range(len(args))))(*args)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for slope, want in zip(slopes, wanted, strict=True):
        np.testing.assert_allclose(slope, want, rtol=1e-10, atol=1e-12)


def test_a_nest_of_short_loops_is_not_written_out():
    assert len(tl.compiled(contraction, A, B).splitlines()) < 400


def test_what_cannot_be_compiled_is_refused_all_the_same():
    def f(x):
        total = 0.0
        for i in range(4):
            for j in range(4):
                for k in range(4):
                    for m in range(4):
                        total = total + float(str(x[i])) * x[j] * x[k] * x[m] + x[j] + x[k] - x[m]
        return total

    with pytest.raises(NotCompilable, match="text"):
        tl.jit(f)(X)
