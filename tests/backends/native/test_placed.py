"""Arrays that are only made to be copied are made where they are copied to, where nobody can tell."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.nest import Alloc, Function, walk
from tapeless.backends.native.placed import placed
from tapeless.backends.native.verify import verify


def joined(x, y):
    a = np.exp(x) * y
    b = x[:, None] * y
    c = np.sin(y)
    for i in range(1, x.shape[0]):
        c[i] += c[i - 1] * x[i]
    return np.concatenate([c, a, b.ravel(), c[:2]])


def first(x, y):
    a = np.sin(y)
    for i in range(1, x.shape[0]):
        a[i] += a[i - 1] * x[i]
    return np.concatenate([a, x * y])


def stacked(x, y):
    a = x * y
    a[0] += a[1]
    b = x - y
    return np.stack([a, b, a * b])


def pairs(x, y):
    t = np.empty((x.shape[0], 2))
    for i in range(x.shape[0]):
        t[i, 0] = x[i] * y[i]
        t[i, 1] = t[i, 0] + x[i]
    z = np.empty(2 * x.shape[0] + 1)
    z[1:] = t.reshape(-1)
    z[0] = 1.0
    return z


def used_later(x, y):
    """What is copied is changed and read afterwards."""
    a = x * y
    z = np.zeros(2 * x.shape[0])
    z[: x.shape[0]] = a
    a *= 2.0
    z[x.shape[0] :] = a
    return z


def over(x, y):
    """The target holds something before, and other parts of it."""
    z = np.empty(x.shape[0])
    z[:] = y
    a = x * z
    a[1:] += z[:-1]
    z[:] = a
    return z


def part(x, y):
    """Only some of the elements are copied; those beyond would not fit."""
    a = np.empty(x.shape[0] + 3)
    a[:] = 7.0
    a[: x.shape[0]] = x * y
    z = np.empty(x.shape[0])
    z[:] = a[: x.shape[0]]
    return z


def turned(x, y):
    """Rows and columns change places, and the order of a row."""
    a = np.outer(x, y)
    a[0] += a[1]
    z = np.empty((y.shape[0], x.shape[0]))
    z[:] = a.T
    w = np.empty((y.shape[0], x.shape[0]))
    b = z * 2.0
    b[0] += 1.0
    w[::-1] = b
    return w


def shared_places(x, y):
    """Several elements are copied to one place: the last one counts."""
    a = x * y
    a[0] += a[3]
    z = np.zeros(2)
    for i in range(x.shape[0]):
        z[i % 2] = a[i]
    return z


def moved_offset(x, y):
    """Where it is copied to changes while it is made."""
    at = 0
    a = np.empty(x.shape[0])
    for i in range(x.shape[0]):
        a[i] = x[i] * y[i]
        at += 1
    z = np.zeros(2 * x.shape[0])
    z[at:] = a
    return z


PROGRAMS = [joined, first, stacked, pairs, used_later, over, part, turned, shared_places, moved_offset]


def make():
    rng = np.random.default_rng(1)
    return rng.normal(size=6), rng.normal(size=6)


def arrays(fn: Function) -> int:
    return sum(isinstance(s, Alloc) for s in walk(fn.body))


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_values(f):
    fn = staged_function(f, make(), {}).function
    got = show.python(verify(placed(fn)))(*make())[0]
    assert np.array_equal(np.reshape(got, -1), np.reshape(f(*make()), -1))


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
def test_jacobians(f, sparse):
    def flat(x, y):
        return f(x, y).reshape(-1)

    expected = tl.jacrev(flat, (0, 1))(*make())
    if sparse:
        got = tl.jacobian(tl.jit(flat), (0, 1), sparse=True)(*make())
        got = tuple(block.toarray() for block in got)
    else:
        got = tl.jit(tl.jacfwd(flat, (0, 1)), cache=False)(*make())
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("f", "fewer"), [(first, 1), (pairs, 1), (used_later, 0), (part, 0), (shared_places, 0)]
)
def test_arrays_that_go(f, fewer):
    fn = staged_function(f, make(), {}).function
    assert arrays(fn) - arrays(placed(fn)) >= fewer
    if not fewer:
        assert arrays(fn) == arrays(placed(fn))


def test_places_are_checked_first():
    def row(x, n, m, k):
        a = np.empty(m)
        for i in range(m):
            a[i] = x[0] * x[1] * i
        z = np.empty((n, m))
        z[k] = a
        return z

    x = make()[0]
    compiled = tl.jit(tl.jacfwd(row), cache=False)
    np.testing.assert_allclose(compiled(x, 3, 4, 1)[1], tl.jacfwd(row)(x, 3, 4, 1)[1])
    for k in (3, -4, 10**9):
        with pytest.raises(IndexError):
            compiled(x, 3, 4, k)
