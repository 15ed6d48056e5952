"""Arrays of which each iteration uses its own elements become scalars, and nothing else changes."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.contract import contract
from tapeless.backends.native.nest import Alloc, For, walk
from tapeless.backends.native.verify import verify

X = np.random.default_rng(0).uniform(0.5, 1.5, (9, 3))


def normalised(x):
    size = np.sqrt(np.sum(x**2, axis=1, keepdims=True))
    unit = x / size
    turned = np.cross(unit, x[:, ::-1])
    return turned * unit + size


def shifted(x):
    """An element of another iteration is read."""
    y = x * 2.0
    z = y[1:] - y[:-1]
    return z * z


def summed(x):
    """A row's elements are read as a whole."""
    y = x * x
    return y / np.sum(y, axis=0)


def kept(x):
    """An array that is a result, and one that is named by another shape."""
    y = x + 1.0
    z = (y * y).reshape(-1)
    return y, z * 2.0


def chosen(x):
    y = np.zeros(len(x))
    for i in range(len(x)):
        t = np.zeros(3)
        for k in range(3):
            if x[i, k] > 1.0:
                t[k] = x[i, k]
                if k:
                    t[k] += t[k - 1]
        y[i] = t[0] + t[1] * t[2]
    return y


def carried(x):
    total, y = 0.0, np.zeros(len(x))
    for i in range(len(x)):
        for k in range(3):
            total += x[i, k]
        y[i] = total
    return y * total


def rounded(x):
    """Narrow integers wrap: they stay an array."""
    n = (x * 200.0).astype(np.int8)
    return n * 1.0 + x


def weighted(x):
    """Storage that each turn of a loop has anew."""
    y = np.zeros((len(x), 2))
    for k in range(len(x)):
        moved = x @ x[k : k + 3, :].T if k + 3 <= len(x) else x * 2.0
        y += x[:, 1:2] * moved[:, :2]
    return y


def left(x):
    """An element that is read before this turn has stored it: what the turn before has left."""
    y, t = np.zeros(len(x)), np.zeros(len(x))
    for k in range(3):
        for i in range(len(x)):
            y[i] += t[i]
            t[i] = x[i, k]
    return y


@pytest.mark.parametrize("f", [weighted, left, normalised, shifted, summed, kept, chosen, carried, rounded])
def test_the_values_are_the_same(f):
    fn = staged_function(f, (X,), {}).function
    made = verify(contract(fn))
    before, after = show.python(fn)(X.copy()), show.python(made)(X.copy())
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_one_loop_without_arrays():
    fn = contract(staged_function(normalised, (X,), {}).function)
    assert sum(isinstance(s, For) for s in walk(fn.body)) == 1
    assert sum(isinstance(s, Alloc) for s in walk(fn.body)) == 1
    assert all(s.array in fn.results for s in walk(fn.body) if isinstance(s, Alloc))


def test_an_array_without_axes_is_no_row():
    def f(x):
        total, last = np.zeros(len(x)), 0.3
        for k in range(3):
            for i in range(len(x)):
                last = np.where(0.4 > 0.2, 0.4, 0.4)
                total[i] += x[i, k] * last
        return np.append(total, last)

    np.testing.assert_allclose(tl.jit(tl.jacfwd(f))(X), tl.jacfwd(f)(X), rtol=1e-12)
