"""Sums over a triangle and its mirror image are one product, where that pays and nothing is infinite."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import mirrored, panels, show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.lengths import known_lengths
from tapeless.backends.native.nest import Alloc, walk
from tapeless.backends.native.products import multiply
from tapeless.backends.native.verify import verify


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Products of any size are done by BLAS, in panels of few rows."""
    for name, value in (("PANEL", 2), ("WIDE", 2), ("WHOLE", 2), ("WORK", 1), ("LEAST", 1), ("LONG", 4)):
        monkeypatch.setattr(panels, name, value)
    monkeypatch.setattr(mirrored, "PANEL", 2)


def below(f, v, x):
    for i in range(f.shape[0]):
        for j in range(i + 1):
            for k in range(v.shape[1]):
                x[i, k] += f[i, j] * v[j, k]
                x[j, k] += f[i, j] * v[i, k]
    return np.sum(x * x)


def above(f, v, x):
    """Turned round, by columns, without the diagonal; the sums are in loops of their own."""
    n = f.shape[0]
    for j in range(n - 1, -1, -1):
        for i in range(j + 2, n):
            for k in range(v.shape[1]):
                x[i, k] += f[j, i] * v[j, k]
        for m in range(j + 2, n):
            for k in range(v.shape[1]):
                x[j, k] += f[j, m] * v[m, k]
    return np.sum(x * x)


def across(f, v, x):
    """Elements on both sides of the diagonal, in columns."""
    n = f.shape[0]
    for i in range(n - 2):
        for j in range(i + 3):
            for k in range(v.shape[1]):
                x[i, k] += f[i, j] * v[j, k]
                x[j, k] += f[i, j] * v[i, k]
    return np.sum(x * x)


def shifted(f, v, x):
    n = f.shape[0]
    for i in range(n - 2):
        for j in range(i):
            for k in range(v.shape[1]):
                x[i + 2, k] += f[i, j] * v[j + 1, k]
                x[j + 2, k] += f[i, j] * v[i + 1, k]
    return np.sum(x * x)


def beside(f, v, x):
    """The factor is walked from 0, the rows from 1 on: as where a diagonal is left out."""
    n = f.shape[0]
    for i in range(n - 1):
        for j in range(i, n - 1):
            for k in range(v.shape[1]):
                x[i, k] += f[i, j] * v[j + 1, k]
                x[j + 1, k] += f[i, j] * v[i, k]
    return np.sum(x * x)


def wide(f, v, x):
    """A triangle with a rectangle beside it."""
    n = f.shape[0]
    for i in range(n // 3):
        for j in range(i, n):
            for k in range(v.shape[1]):
                x[i, k] += f[i, j] * v[j, k]
                x[j, k] += f[i, j] * v[i, k]
    return np.sum(x * x)


def columns(f, v, x):
    n, m = f.shape
    out = np.zeros((m, m))
    for i in range(m):
        out[i:, i] = v[:, i] @ f[:, i:] + f[:, i] @ f[:, i:]
        out[i, i:] = out[i:, i]
    return np.sum(out * out) + 0.0 * np.sum(x)


def without_diagonal(f, v, x):
    m = v.shape[1]
    out = np.eye(m)
    for i in range(m - 1):
        out[i + 1 :, i] = v[:, i] @ v[:, i + 1 :]
        out[i, i + 1 :] = out[i + 1 :, i]
    return np.sum(out * out) + 0.0 * np.sum(f) + 0.0 * np.sum(x)


def unlike(f, v, x):
    """The second sum is no mirror image: of another element, another row, a factor more."""
    for i in range(f.shape[0]):
        for j in range(i + 1):
            for k in range(v.shape[1]):
                x[i, k] += f[i, j] * v[j, k]
                x[j, k] += f[j, i] * v[i, k]
    return np.sum(x * x)


def unlike_rows(f, v, x):
    n = f.shape[0]
    for i in range(n - 1):
        for j in range(i + 1):
            for k in range(v.shape[1]):
                x[i, k] += f[i, j] * v[j, k]
                x[j + 1, k] += f[i, j] * v[i, k]
    return np.sum(x * x)


def unlike_factors(f, v, x):
    for i in range(f.shape[0]):
        for j in range(i + 1):
            for k in range(v.shape[1]):
                x[i, k] += f[i, j] * v[j, k]
                x[j, k] += 2.0 * f[i, j] * v[i, k]
    return np.sum(x * x)


MIRRORED = [below, above, across, shifted, beside, wide]
OTHERS = [unlike, unlike_rows, unlike_factors]


def make(n, m=None):
    rng = np.random.default_rng(n)
    m = n if m is None else m
    return rng.normal(size=(n, n)), rng.normal(size=(n, m)), rng.normal(size=(n, m))


def found(fun):
    """How many pairs of sums may be one product."""
    fn = verify(multiply(known_lengths(staged_function(fun, make(6), {}).function)))
    return sum(isinstance(s, Alloc) and s.array.name == "mirrored" for s in walk(fn.body))


@pytest.mark.parametrize(("f", "pairs"), [*((f, 1) for f in MIRRORED), *((f, 0) for f in OTHERS)])
def test_values(f, pairs):
    assert found(f) == pairs
    run = show.python(multiply(known_lengths(staged_function(f, make(6), {}).function)))
    machine = tl.jit(f, cache=False)
    for n in (2, 3, 4, 5, 7, 9, 16):
        for m in (n, 11):
            args, others, more = make(n, m), make(n, m), make(n, m)
            want = f(*args)
            if m == n:
                assert np.isclose(run(*others)[0], want, rtol=1e-12)
                np.testing.assert_allclose(others[2], args[2], rtol=1e-12, atol=1e-12)
            assert np.isclose(machine(*more), want, rtol=1e-12)
            np.testing.assert_allclose(more[2], args[2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("f", "pairs"), [(columns, 1), (without_diagonal, 1), (below, 2), (across, 2)])
def test_gradients(f, pairs):
    both = tl.value_and_grad(f, argnums=(0, 1, 2))
    assert found(both) >= pairs
    machine = tl.jit(both, cache=False)
    for n in (2, 3, 5, 8, 13):
        value, slopes = both(*make(n))
        got, mine = machine(*make(n))
        assert np.isclose(got, value, rtol=1e-12)
        for a, b in zip(mine, slopes, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("f", MIRRORED)
def test_infinities_stay_where_the_loops_put_them(f):
    compiled, rng = tl.jit(f, cache=False), np.random.default_rng(3)
    for turn in range(12):
        want = make(9)
        want[turn % 2][tuple(rng.integers(0, 9, 2))] = [np.inf, -np.inf, np.nan][turn % 3]
        got = [x.copy() for x in want]
        with np.errstate(invalid="ignore"):
            f(*want)
        compiled(*got)
        for x, y in zip(got, want, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


def test_a_factor_that_is_made_by_the_other_product():
    """What the second sum reads is what the first one adds to: there is no one product."""

    def f(a, v, x):
        for i in range(a.shape[0]):
            for j in range(i + 1):
                for k in range(v.shape[1]):
                    x[i, k] += a[i, j] * v[j, k]
        for i in range(a.shape[0]):
            for j in range(i + 1):
                for k in range(v.shape[1]):
                    v[j, k] += a[i, j] * x[i, k]
        return np.sum(v * x)

    for n in (3, 8):
        value, got = make(n), make(n)
        assert np.isclose(tl.jit(f, cache=False)(*got), f(*value), rtol=1e-12)
        np.testing.assert_allclose(got[1], value[1], rtol=1e-12)
