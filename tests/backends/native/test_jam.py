"""Iterations of outer loops are done together where their inner loops add to the same elements."""

from dataclasses import replace

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.jam import TIMES, jam
from tapeless.backends.native.nest import (
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
    walk,
)
from tapeless.backends.native.sums import sums
from tapeless.backends.native.verify import verify


def together(fn: Function) -> bool:
    return any(isinstance(s, For) and s.step == TIMES for s in walk(verify(jam(fn)).body))


def transposed(x, m):
    return np.sum((x @ m) ** 2)


def triangle(x, m):
    """Rows of a triangle, each a sum of columns."""
    c = np.outer(x, x)
    for i in range(m.shape[0]):
        for k in range(m.shape[1]):
            c[i, : i + 1] += m[i, k] * m[: i + 1, k]
    return np.sum(c * c)


def slabs(x, m):
    """Every row is replaced by its product with a matrix, which all rows share."""
    a = np.outer(np.arange(1.0, 7.0), x)
    for q in range(a.shape[0]):
        a[q, :] = a[q, :] @ m @ m.T
    return np.sum(a * a)


def running(x, m):
    """An iteration reads what the one before it has added."""
    t = np.zeros(m.shape[1])
    for i in range(m.shape[0]):
        a = t[0] + x[i]
        for j in range(m.shape[1]):
            t[j] += a * m[i, j]
    return np.sum(t * t)


def largest(x, m):
    """Something else than a sum goes from one iteration to the next."""
    t = np.zeros(m.shape[1])
    best = 0.0
    for i in range(m.shape[0]):
        best = max(best, x[i])
        for j in range(m.shape[1]):
            t[j] += best * m[i, j]
    return np.sum(t * t) * best


def last(x, m):
    """What the last iteration has set is used after the loop."""
    t = np.zeros(m.shape[1])
    a = 0.0
    for i in range(m.shape[0]):
        a = x[i] * 2.0
        t += m[i] * x[i]
    return np.sum(t * t) + 3.0 * a


def last_positive(x, m):
    """Not every iteration sets it."""
    t = np.zeros(m.shape[1])
    a = 0.0
    for i in range(m.shape[0]):
        if x[i] > 0.0:
            a = x[i] * 2.0
        t += m[i] * x[i]
    return np.sum(t * t) + 3.0 * a


def outer_product(x, m):
    """Rows of a matrix are written, and little is shared."""
    w, t = np.zeros(m.shape), np.zeros(m.shape[1])
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            w[i, j] = x[i] * m[i, j]
            t[j] += x[i] * m[i, j]
    return np.sum(w * w * w) + np.sum(t * t)


def make(n=7):
    rng = np.random.default_rng(0)
    return rng.normal(size=n), rng.normal(size=(n, 5))


PROGRAMS = [(transposed, True), (triangle, True), (slabs, True), (running, False), (largest, False)]
PROGRAMS += [(last, True), (last_positive, False)]


@pytest.mark.parametrize(("f", "wanted"), PROGRAMS, ids=lambda x: getattr(x, "__name__", ""))
def test_values(f, wanted):
    fn = staged_function(f, make(), {}).function
    assert together(fn) == wanted
    run = show.python(jam(fn))
    for n in (*range(3, 14), 16):
        args = make(n)
        assert np.isclose(run(*args)[0], f(*args), rtol=1e-13)


@pytest.mark.parametrize(("f", "wanted"), PROGRAMS, ids=lambda x: getattr(x, "__name__", ""))
@pytest.mark.parametrize("n", [3, 8, 11])
def test_gradients(f, wanted, n):
    both = tl.value_and_grad(f, argnums=(0, 1))
    args = make(n)
    fn = staged_function(both, args, {}).function
    value, slopes = both(*args)
    for got in (tl.jit(both, cache=False)(*args), show.python(jam(fn))(*args)):
        flat = (got[0], *got[1]) if len(got) == 2 else got
        assert np.isclose(flat[0], value, rtol=1e-12)
        for a, b in zip(flat[1:], slopes, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("f", [transposed, slabs], ids=lambda f: f.__name__)
def test_second_order(f):
    args = make(6)
    twice = tl.hessian(lambda x: f(x, args[1]))
    np.testing.assert_allclose(tl.jit(twice, cache=False)(args[0]), twice(args[0]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("f", "wanted"), [(outer_product, [4, 0, 60]), (transposed, [4, 8, 60])], ids=lambda x: str(x)[:13]
)
def test_rows_that_are_written_are_jammed_by_their_size(f, wanted, monkeypatch):
    monkeypatch.setattr("tapeless.backends.native.jam.NEAR", 64)
    monkeypatch.setattr("tapeless.backends.native.jam.FAR", 512)
    fn = jam(sums(staged_function(f, make(), {}).function))
    (to,) = (s.var for s in walk(fn.body) if isinstance(s, Assign) and s.var.name == "jam_to")
    run = show.python(replace(fn, results=[*fn.results, to]))
    for n, done in zip((4, 8, 60), wanted, strict=True):
        value, end = run(*make(n))
        assert end == done
        assert np.isclose(value, f(*make(n)), rtol=1e-13)


def test_no_iterations():
    assert tl.jit(transposed, cache=False)(np.ones(0), np.ones((0, 5))) == 0.0
    assert tl.jit(transposed, cache=False)(np.ones(2), np.ones((2, 5))) == 20.0


def test_an_array_that_is_longer_in_every_iteration():
    """The iterations done together would all run as far as the first one."""
    m, t, row = Array("m", "float64", 2), Array("t", "float64", 1), Array("row", "float64", 1)
    i, j = Scalar("i", "i64"), Scalar("j", "i64")
    add = Store(t, (Ref(j),), Load(m, (Ref(i), Ref(j))), add=True)
    inner = For(j, ZERO, Dim(row, 0), [add])
    outer = For(i, ZERO, Dim(m, 0), [Alloc(row, (Ref(i) + 1,)), inner])
    fn = Function("rows", [m, t], [outer], [])
    a, want, got = np.ones((9, 9)), np.zeros(9), np.zeros(9)
    show.python(fn)(a, want)
    show.python(jam(fn))(a, got)
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(want, np.arange(9.0, 0.0, -1.0))
