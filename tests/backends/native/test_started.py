"""Zeros set where the first addition comes, arrays of one iteration as scalars or rows: nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.lengths import known_lengths
from tapeless.backends.native.momentary import momentary
from tapeless.backends.native.nest import (
    F64,
    I64,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Check,
    Dim,
    Failure,
    For,
    Function,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
    walk,
)
from tapeless.backends.native.optimise import optimise
from tapeless.backends.native.passing import passing
from tapeless.backends.native.started import start
from tapeless.backends.native.verify import verify


def stencil(
    distances: list[tuple[int, int]], low: tuple[int, int], cut: tuple[int, int], steps: tuple[int, int]
) -> Function:
    """Zeros everywhere, then sums at some distances from the loops' variables."""
    x, a = Array("x", "float64", 2), Array("a", "float64", 2)
    n = [Dim(x, 0) + 4, Dim(x, 1) + 4]
    i, j, p, q = (Scalar(name, I64) for name in "ijpq")
    zeros = For(i, ZERO, n[0], [For(j, ZERO, n[1], [Store(a, (Ref(i), Ref(j)), const(0.0))])])
    adds: list[Stmt] = []
    for k, (d, e) in enumerate(distances):
        value = Load(x, (Ref(p) - low[0], Ref(q) - low[1])) * float(k + 1)
        adds.append(Store(a, (Ref(p) + d, Ref(q) + e), value, add=True))
    body = adds
    for var, first, less, step, k in ((q, low[1], cut[1], steps[1], 1), (p, low[0], cut[0], steps[0], 0)):
        begin, end = const(first), Dim(x, k) + first - less
        bounds = (begin, end) if step == 1 else (end - 1, begin - 1)
        body = [For(var, *bounds, body, step)]
    return Function("stencil", [x], [Alloc(a, tuple(n)), zeros, *body], [a])


small = st.integers(0, 2)
pair = st.tuples(small, small)


@given(
    st.lists(pair, min_size=1, max_size=4),
    pair,
    pair,
    st.tuples(st.sampled_from([1, -1]), st.sampled_from([1, -1])),
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
@settings(max_examples=150, deadline=None)
def test_random_stencils(distances, low, cut, steps, shape) -> None:
    fn = stencil(distances, low, cut, steps)
    x = np.random.default_rng(0).normal(size=shape)
    (want,) = show.python(fn)(x)
    made = verify(start(fn))
    (got,) = show.python(made)(x)
    np.testing.assert_allclose(got, want, rtol=1e-14, atol=0.0)


def test_only_the_rim_is_set_to_zero() -> None:
    fn = start(stencil([(0, 0), (1, 0)], (0, 0), (0, 0), (1, 1)))
    stores = [s for s in walk(fn.body) if isinstance(s, Store) and not s.add]
    assert sum(s.value != const(0.0) for s in stores) == 1, "the sum one further is an assignment"


def test_backwards_the_other_sum_comes_first() -> None:
    fn = start(stencil([(0, 0), (1, 0)], (0, 0), (0, 0), (-1, 1)))
    (first,) = [s for s in walk(fn.body) if isinstance(s, Store) and not s.add and s.value != const(0.0)]
    assert isinstance(first.index[0], Ref)


def elementwise(x, y):
    """Two loops as one: what the first makes for the second is a scalar."""
    a = np.exp(x) * y
    b = a + np.sin(a)
    return np.sum(a * b)


def kept(x, y):
    """An element is read in the iteration after the one that set it, and after the loop."""
    a = np.zeros(x.shape)
    total = 0.0
    for i in range(1, x.shape[0]):
        a[i] = x[i] * y[i]
        total += a[i] * a[i - 1]
    for i in range(x.shape[0]):
        y[i] = x[i] + 1.0
    return total + a[2] * y[3]


def conditional(x, y):
    """An element is set in some iterations only."""
    a = np.ones(x.shape)
    total = 0.0
    for i in range(x.shape[0]):
        if x[i] > 0.0:
            a[i] = x[i] * y[i]
        total += a[i] * a[i]
    return total


def arrays() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.normal(size=23), rng.normal(size=23)


@pytest.mark.parametrize("fun", [elementwise, kept, conditional])
def test_arrays_of_one_iteration(fun) -> None:
    assert tl.jit(fun)(*arrays()) == pytest.approx(fun(*arrays()), rel=1e-14)
    got, want = tl.jit(tl.grad(fun, argnums=(0, 1)))(*arrays()), tl.grad(fun, argnums=(0, 1))(*arrays())
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-14)


def test_no_array_is_left() -> None:
    fn = optimise(staged_function(elementwise, arrays(), {}).function)
    assert not any(isinstance(s, Alloc) for s in walk(fn.body))


def test_an_alias_is_not_a_place_of_its_own() -> None:
    """The other name reads what was stored in another loop."""
    x, a = Array("x", "float64", 1), Array("a", "float64", 1)
    b = Array("b", "float64", 1, alias=a)
    i, j, t = Scalar("i", I64), Scalar("j", I64), Scalar("t", F64)
    n = Dim(x, 0)
    body: list[Stmt] = [
        Alloc(a, (n,)),
        Alias(b, (n,)),
        For(i, ZERO, n, [Store(a, (Ref(i),), Load(x, (Ref(i),)))]),
        Assign(t, const(0.0)),
        For(j, ZERO, n, [Assign(t, Ref(t) + Load(b, (Ref(j),)))]),
    ]
    fn = Function("aliased", [x], body, [t])
    assert show.python(momentary(fn))(np.arange(4.0)) == show.python(fn)(np.arange(4.0)) == (6.0,)


def test_lengths_that_checks_make_equal() -> None:
    """Where n - m + 4 and m - n - 4 are not negative, both loops are over the same range."""
    x, y = Array("x", "float64", 1), Array("y", "float64", 1)
    i = Scalar("i", I64)
    sums = [Dim(y, 0) - Dim(x, 0) + 4, Dim(x, 0) - Dim(y, 0) - 4]
    checks: list[Stmt] = [Check(apply("ge", e, 0), 0) for e in sums]
    failures = [Failure(ValueError, ("lengths",), "", 0)]
    loop = For(i, ZERO, Dim(y, 0), [Store(y, (Ref(i),), Load(x, (Ref(i) + 4,)))])
    fn = known_lengths(Function("both", [x, y], [*checks, loop], [], failures))
    assert isinstance(fn.body[-1], For) and fn.body[-1].stop == Dim(x, 0) - 4
    one = known_lengths(Function("one", [x, y], [checks[0], loop], [], failures))
    assert isinstance(one.body[-1], For) and one.body[-1].stop == Dim(y, 0)


def rows(x, y):
    """What each iteration of the outer loop makes for the next loops stays in it."""
    n = x.shape[0]
    a = np.outer(x, y) * np.outer(y, x)
    b = a[:, 1:] - a[:, :-1]
    c = np.where(b > 0.0, b, 0.5 * b * b)
    return np.sum(c[:, 1:] * c[:, :-1]) / n


def between_rows(x, y):
    """A row is read by the next iteration."""
    a = np.outer(x, y)
    total = 0.0
    for i in range(1, x.shape[0]):
        a[i] = np.cos(a[i]) + x[i]
        total += np.sum(a[i] * a[i - 1])
    return total


@pytest.mark.parametrize("fun", [rows, between_rows])
def test_arrays_of_one_row(fun) -> None:
    assert tl.jit(fun)(*arrays()) == pytest.approx(fun(*arrays()), rel=1e-13)
    got, want = tl.jit(tl.grad(fun, argnums=(0, 1)))(*arrays()), tl.grad(fun, argnums=(0, 1))(*arrays())
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


def in_rows(moved: int, *, again: bool) -> Function:
    """Each iteration sets a row, and reads one so many rows further."""
    x, t, y = Array("x", "float64", 2), Array("t", "float64", 2), Array("y", "float64", 2)
    i, j, k, m = (Scalar(name, I64) for name in "ijkm")
    n = (Dim(x, 0), Dim(x, 1))
    row = Ref(i) if moved == 0 else apply("mod", Ref(i) + moved, n[0])
    sets: Stmt = For(j, ZERO, n[1], [Store(t, (Ref(i), Ref(j)), Load(x, (Ref(i), Ref(j))) * 2.0)])
    reads: Stmt = For(k, ZERO, n[1] - 1, [Store(y, (Ref(i), Ref(k)), Load(t, (row, Ref(k) + 1)))])
    loop: Stmt = For(i, ZERO, n[0], [sets, reads], independent=moved == 0)
    body = [For(m, ZERO, const(2), [loop])] if again else [loop]
    return Function("in_rows", [x], [Alloc(y, n), Alloc(t, n), *body], [y])


def test_one_row() -> None:
    fn = in_rows(0, again=False)
    made = verify(passing(fn))
    assert [s.array.ndim for s in made.body if isinstance(s, Alloc)] == [2, 1]
    assert isinstance(made.body[-1], For) and not made.body[-1].independent
    x = np.arange(20.0).reshape(4, 5)
    assert np.array_equal(show.python(made)(x)[0][:, :-1], show.python(fn)(x)[0][:, :-1])


def test_rows_that_live_longer_stay() -> None:
    """Another row is read, or the loop runs again before the array gets new storage."""
    for fn in (in_rows(1, again=False), in_rows(0, again=True)):
        assert passing(fn) is fn


def lines(x, y):
    """Elements of a line are solved for, one after the other, from neighbours on the line beside it."""
    n = x.shape[0]
    p = np.zeros((n, n))
    for j in range(1, n - 1):
        p[1:-1, j] = (0.5 * x[:-2] * y[j] - 0.3 * x[1:-1] + y[j] * x[2:] - 0.1 * p[1:-1, j - 1]) / (
            2.0 + p[1:-1, j - 1]
        )
    return np.sum(p * p)


def test_multiples_of_one_variable_wait_in_one_row() -> None:
    x, y = (np.abs(v) for v in arrays())
    got, want = tl.jit(tl.grad(lines, argnums=(0, 1)))(x, y), tl.grad(lines, argnums=(0, 1))(x, y)
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)
    fn = staged_function(tl.grad(lines), (x, y), {}).function
    waits = {s.array for s in walk(fn.body) if isinstance(s, Store) and s.array.name.endswith("_row")}
    assert len(waits) == 1, show.source(fn)
