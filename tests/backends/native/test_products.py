"""Products of matrices in loops are given to BLAS where nothing stands in the way, and only there."""

import numpy as np
import pytest
from tests.backends.native.random_products import SIZE, Maker

import tapeless as tl
from tapeless.backends.native import panels, show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.lengths import known_lengths
from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import (
    Alloc,
    Assign,
    For,
    Function,
    If,
    Intrinsic,
    Store,
    children,
    const,
    walk,
)
from tapeless.backends.native.optimise import optimise
from tapeless.backends.native.precedence import Nest
from tapeless.backends.native.products import multiply
from tapeless.backends.native.verify import verify


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Products of any size are done by BLAS, in panels of few rows."""
    for name, value in (("PANEL", 2), ("WIDE", 2), ("WHOLE", 2), ("WORK", 1), ("LEAST", 1), ("LONG", 5)):
        monkeypatch.setattr(panels, name, value)


def blocks(fn: Function) -> int:
    """How many calls of BLAS a nest is given; a triangle has two, of which one is for the edge."""
    made = verify(multiply(known_lengths(fn)))
    return sum(isinstance(s, Intrinsic) and s.name == "block" for s in walk(made.body))


def by_elements(a, b, c):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                c[i, j] += a[i, k] * b[k, j]
    return np.sum(c * c)


def transposed(a, b, c):
    """Rows of the one by rows of the other, which is read against the grain; it counts downwards."""
    for j in range(b.shape[1] - 1, -1, -1):
        for i in range(a.shape[0]):
            c[i, j] -= 2.0 * np.dot(a[i, :], b[:, j])
    return np.sum(c * c)


def lower(a, b, c):
    """Each row of a triangle of one by what is above it in the other."""
    for i in range(a.shape[0]):
        for k in range(i):
            for j in range(c.shape[1]):
                c[i, j] += a[i, k] * b[k, j]
    return np.sum(c * c)


def upper(a, b, c):
    """In place: a row changes after those above it have been read."""
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            c[i, j] += np.dot(b[i + 1 : a.shape[0], j], a[i + 1 :, i])
    return np.sum(c * c)


def rows(a, b, c):
    """The result is a triangle, and scaled before its product is added."""
    for i in range(a.shape[0]):
        c[i, : i + 1] *= 0.5
        for k in range(a.shape[1]):
            c[i, : i + 1] += 1.5 * a[i, k] * a[: i + 1, k]
    return np.sum(c * c)


def symmetric(a, b, c):
    """Half of a matrix is computed, and both halves are set."""
    out = np.zeros((a.shape[1], a.shape[1]))
    for i in range(a.shape[1]):
        out[i:, i] = a[:, i] @ a[:, i:]
        out[i, i:] = out[i:, i]
    c[:, 1:] += out
    return np.sum(out * out)


def two_terms(a, b, c):
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            c[i, :] += a[i, k] * b[k, :] - a[k, i] * b[k, :] * 0.5
    return np.sum(c * c)


def slabs(a, b, c):
    """Every row is replaced by its product with a matrix, which all rows share."""
    for i in range(c.shape[0]):
        c[i, :] = a[i, : b.shape[0]] @ b
    return np.sum(c * c)


def computed(a, b, c):
    """A factor is no element of a matrix."""
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            t = np.sin(a[i, k]) * 0.5
            for j in range(b.shape[1]):
                c[i, j] += t * b[k, j]
    return np.sum(c * c)


def powers(a, b, c):
    """A row is made of rows that were made before."""
    for i in range(1, c.shape[0]):
        for k in range(i):
            for j in range(c.shape[1]):
                c[i, j] += a[i, k] * c[k, j]
    return np.sum(c * c)


def shifting(a, b, c):
    """One of the factors changes while the sums are made."""
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            for k in range(a.shape[1]):
                c[i, j] += a[i, k] * b[k, j]
        a[i, :] = a[i, :] * 0.5
        b[i, 0] = 1.0
    return np.sum(c * c)


def counted(a, b, c):
    """A factor is a number that grows."""
    t = 0.0
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            t += a[i, k]
            for j in range(b.shape[1]):
                c[i, j] += t * b[k, j]
    return np.sum(c * c)


def empty(a, b, c):
    """The loops have no iteration for the first rows, where an index would be out of range."""
    for i in range(a.shape[0]):
        for j in range(c.shape[1]):
            for k in range(2, i):
                c[i - 2, j] += a[i - 2, k - 2] * b[k, j]
    return np.sum(c * c)


def make(n=6):
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, n)), rng.normal(size=(n, n + 1)), rng.normal(size=(n, n + 1))


PROGRAMS = [
    (by_elements, 1), (transposed, 1), (lower, 2), (upper, 2), (rows, 2), (symmetric, 1), (slabs, 1),
    (computed, 1), (two_terms, 2), (counted, 1), (empty, 0), (powers, 0), (shifting, 0),
]  # fmt: skip


@pytest.mark.parametrize(("f", "wanted"), PROGRAMS, ids=lambda x: getattr(x, "__name__", ""))
def test_values(f, wanted):
    fn = staged_function(f, make(), {}).function
    assert blocks(fn) == wanted
    run, machine = show.python(multiply(fn)), tl.jit(f, cache=False)
    for n in (*range(3, 9), 2, 17):
        args, others, more = make(n), make(n), make(n)
        want = f(*args)
        assert np.isclose(run(*others)[0], want, rtol=1e-12)
        assert np.isclose(machine(*more), want, rtol=1e-12)
        for x, y, z in zip(args, others, more, strict=True):
            np.testing.assert_allclose(y, x, rtol=1e-12, atol=1e-12)
            np.testing.assert_allclose(z, x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("f", [f for f, _ in PROGRAMS], ids=lambda f: f.__name__)
@pytest.mark.parametrize("n", [3, 5, 8])
def test_gradients(f, n):
    both = tl.value_and_grad(f, argnums=(0, 1, 2))
    value, slopes = both(*make(n))
    got, mine = tl.jit(both, cache=False)(*make(n))
    assert np.isclose(got, value, rtol=1e-12)
    for a, b in zip(mine, slopes, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("f", "least"), [(upper, 3), (rows, 3), (slabs, 3), (lower, 3), (by_elements, 3)])
def test_derivatives_are_products_too(f, least):
    both = tl.value_and_grad(f, argnums=(0, 1))
    assert blocks(staged_function(both, make(), {}).function) >= least


def test_sums_that_share_a_factor_share_its_matrix():
    """Both gradients of a product multiply by its cotangent, which is no matrix of the program."""
    nest = multiply(known_lengths(staged_function(tl.grad(upper, argnums=(0, 1)), make(), {}).function))
    factors = [s for s in walk(nest.body) if isinstance(s, Alloc) and s.array.name == "factor"]
    assert len(factors) == 1


def by_name(a, b, c):
    d = a @ b
    return np.sum(d * d)


def test_gradients_of_products_by_name_are_stored_not_added():
    """There are no zeros that a product is added to, nor any that nobody reads."""
    a, b, _ = make()
    both = tl.value_and_grad(by_name, argnums=(0, 1))
    nest = optimise(staged_function(both, (a, b, 0.0), {}).function)
    products = [s for s in walk(nest.body) if isinstance(s, Intrinsic) and s.name == "gemm"]
    assert len(products) == 3
    assert not any(s.attrs.get("add") for s in products)
    assert not any(isinstance(s, Store) and s.value == const(0.0) for s in walk(nest.body))
    value, slopes = tl.jit(both, cache=False)(a, b, 0.0)
    np.testing.assert_allclose(slopes[0], 2 * (a @ b) @ b.T, rtol=1e-12)
    np.testing.assert_allclose(slopes[1], 2 * a.T @ (a @ b), rtol=1e-12)
    assert np.isclose(value, np.sum((a @ b) ** 2))


def test_the_loops_that_stay_have_variables_of_their_own():
    """What is assigned once can be followed: lengths that are equal, loops that may become one."""
    nest = multiply(known_lengths(staged_function(tl.grad(symmetric, argnums=(0, 1)), make(), {}).function))
    ways = [s for s in nest.body if isinstance(s, If) and any(isinstance(x, For) for x in s.orelse)]
    names = [[{x.var for x in walk(body) if isinstance(x, Assign)} for body in children(s)] for s in ways]
    assert any(loops for _, loops in names)
    assert not any(blas & loops for blas, loops in names)


def test_single_precision():
    args = [x.astype(np.float32) for x in make(9)]
    want = [x.copy() for x in args]
    got = tl.jit(lower, cache=False)(*args)
    np.testing.assert_allclose(got, lower(*want), rtol=1e-5)
    np.testing.assert_allclose(args[2], want[2], rtol=1e-5)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_what_the_loops_do_not_read_is_not_multiplied(bad):
    """The triangle is not filled up with zeros, of which the product with infinity is none."""
    a, b, c = make(9)
    a[np.triu_indices(9)] = bad
    assert np.isfinite(tl.jit(lower, cache=False)(a, b, c.copy()))
    a, b, c = make(9)
    b[8] = bad
    assert np.isfinite(tl.jit(lower, cache=False)(a, b, c))


@pytest.mark.parametrize("panel", [2, 4, 16])
@pytest.mark.parametrize("f", [lower, upper, rows, symmetric], ids=lambda f: f.__name__)
def test_infinities_stay_where_the_loops_put_them(f, panel, monkeypatch):
    """Of a factor with a triangle the rest is zeros, but only where the other factor is finite."""
    for name in ("PANEL", "WIDE", "WHOLE"):
        monkeypatch.setattr(panels, name, panel)
    compiled, rng = tl.jit(f, cache=False), np.random.default_rng(panel)
    for turn in range(12):
        want = make(9)
        bad = [np.inf, -np.inf, np.nan][turn % 3]
        want[turn % 2][tuple(rng.integers(0, 9, 2))] = bad
        got = [x.copy() for x in want]
        with np.errstate(invalid="ignore"):
            f(*want)
        compiled(*got)
        for x, y in zip(got, want, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


def test_what_is_no_row_of_memory_stays_in_loops():
    """Of a strided argument BLAS would read other elements."""
    a, b, c = make(8)
    wide = np.zeros((8, 16))
    wide[:, ::2] = a
    want, got = c.copy(), c.copy()
    lower(a, b, want)
    tl.jit(lower, cache=False)(wide[:, ::2], b, got)
    np.testing.assert_allclose(got, want, rtol=1e-12)


def test_threads_share_loops_instead():
    fn = staged_function(by_elements, make(), {}).function
    alone, shared = optimise(fn), optimise(fn, parallel=True)
    found = [sum(isinstance(s, Intrinsic) for s in walk(x.body)) for x in (alone, shared)]
    assert found == [1, 0]


# ---- random nests


def ran(fn: Function, seed: int, run=show.python) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    args = [rng.integers(-2, 3, (SIZE, SIZE)).astype(float) for _ in range(6)]
    return [*map(np.asarray, run(fn)(*args)), *args]


def agree(seed: int, *, machine: bool = False) -> bool | None:
    """Whether a random nest computes the same with its products moved; None if there are none."""
    fn = Maker(seed).function()
    made = verify(optimise(fn) if seed % 2 else multiply(fn))
    if not any(isinstance(s, Intrinsic) for s in walk(made.body)):
        return None
    want, got = ran(fn, seed), ran(made, seed, (lambda x: compile(x).call) if machine else show.python)
    return all(
        np.allclose(x, y, rtol=1e-9, atol=1e-9, equal_nan=True) for x, y in zip(got, want, strict=True)
    )


@pytest.mark.parametrize("start", range(0, 2000, 500))
def test_random_nests(start):
    found = [agree(seed) for seed in range(start, start + 500)]
    assert False not in found
    assert found.count(True) > 10


def test_random_nests_compiled():
    found = [agree(seed, machine=True) for seed in range(400)]
    assert False not in found


def test_the_order_is_what_the_random_nests_test(monkeypatch):
    """If nothing stood in the way of anything, many would be wrong."""
    monkeypatch.setattr(Nest, "apart", lambda *_: True)
    assert [agree(seed) for seed in range(500)].count(False) > 10
