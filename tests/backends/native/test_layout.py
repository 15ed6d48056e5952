"""Arrays are laid out in the order of the loops around their accesses, and nobody can tell."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.layout import lay_out
from tapeless.backends.native.nest import For, Function, Ref, Store, walk
from tapeless.backends.native.optimise import optimise
from tapeless.backends.native.verify import verify


def recurrence(u, weights):
    """Every step of the inner loops goes down a column."""
    c = np.zeros(u.shape)
    c[:, 0] = u[:, 0] * weights
    for k in range(1, u.shape[1]):
        c[:, k] = np.sin(c[:, k - 1]) * weights + u[:, k] * u[:, k - 1]
        c[:, k] += 0.1 * c[:, k - 1] * u[:, k]
        c[:, k] -= 0.1 * u[:, k] ** 3
    return np.sum(c * c * weights[:, np.newaxis])


def in_place(u, weights):
    """What the caller gets back is in the order it gave it."""
    for _ in range(3):
        for k in range(1, u.shape[1]):
            u[:, k] = np.sin(u[:, k - 1]) * weights + u[:, k]
            u[:, k] *= weights
    return np.sum(u * u)


def refusing(u, weights):
    """An exception shows what has been written before it."""
    for _ in range(3):
        for k in range(1, u.shape[1]):
            u[:, k] = np.sin(u[:, k - 1]) * weights + u[:, k]
            u[:, k] *= weights
            if u[0, k] > 100.0:
                raise ValueError("too much")
    return np.sum(u * u)


def cleared(u, weights):
    """What is written in no order of its own is written all the same."""
    total = 0.0
    for _ in range(40):
        for k in range(1, u.shape[1]):
            total += np.sum(np.sin(u[:, k - 1]) * weights * u[:, k])
    u[:] = 0.0
    return total


def cleared_flat(u, weights):
    """So it is under another name, before the array is read again."""
    total = 0.0
    for n in range(40):
        for k in range(1, u.shape[1]):
            total += np.sum(np.sin(u[:, k - 1]) * weights * u[:, k])
        if n == 3:
            u.reshape(-1)[:] = 0.5
    return total


def triangle(a, b):
    for i in range(b.shape[0]):
        for j in range(b.shape[1]):
            b[i, j] += np.dot(a[i + 1 :, i], b[i + 1 :, j])
    return np.sum(b * b)


def stepped(u, weights):
    """Columns two apart, and rows that are none of the loop's."""
    total = 0.0
    for k in range(0, u.shape[1], 2):
        total += np.sum(u[::-1, k] * weights) + u[0, k] * u[1, 0]
    return total


def make(n=5, m=7):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, m)), 0.5 + rng.random(n)


def square(n=5, m=7):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, n)), rng.normal(size=(n, m))


def turned(fn: Function) -> list[str]:
    """The arrays whose axes were put in another order."""
    names = {s.array.name for s in walk(verify(lay_out(fn)).body) if hasattr(s, "array")}
    return sorted(name.removesuffix("_turned") for name in names if name.endswith("_turned"))


PROGRAMS = [
    (recurrence, make, True),
    (in_place, make, True),
    (refusing, make, False),
    (cleared, lambda: make(12, 15), True),
    (cleared_flat, lambda: make(12, 15), False),
    (triangle, square, True),
    (stepped, make, False),
]


@pytest.mark.parametrize(("f", "args", "turns"), PROGRAMS, ids=lambda x: getattr(x, "__name__", ""))
def test_values(f, args, turns):
    fn = staged_function(f, args(), {}).function
    assert bool(turned(fn)) == turns
    mine, plain, compiled = args(), args(), args()
    with np.errstate(all="ignore"):
        got = show.python(lay_out(fn))(*mine)[0]
        value = f(*plain)
    assert np.isclose(got, value, rtol=1e-13)
    assert np.isclose(tl.jit(f, cache=False)(*compiled), value, rtol=1e-13)
    for a, b, c in zip(mine, plain, compiled, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
        np.testing.assert_allclose(c, b, rtol=1e-13)


@pytest.mark.parametrize(("f", "args", "turns"), PROGRAMS, ids=lambda x: getattr(x, "__name__", ""))
def test_gradients(f, args, turns):
    both = tl.value_and_grad(f, argnums=(0, 1))
    mine, plain = args(), args()
    fn = staged_function(both, args(), {}).function
    assert turned(fn) or not turns
    value, got = tl.jit(both, cache=False)(*mine)
    expected, slopes = both(*plain)
    assert np.isclose(value, expected, rtol=1e-12)
    for a, b in zip((*got, *mine), (*slopes, *plain), strict=True):
        assert a.flags.c_contiguous
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("f", [recurrence, in_place], ids=lambda f: f.__name__)
def test_second_order(f):
    def twice(u, weights, direction):
        slope = tl.grad(lambda v: f(v.copy(), weights))
        return tl.jvp(slope, (u,), (direction,))[1]

    u, weights = make(3, 4)
    direction = np.random.default_rng(1).normal(size=u.shape)
    step = 1e-5
    slope = tl.grad(lambda v: f(v.copy(), weights))
    want = (slope(u + step * direction) - slope(u - step * direction)) / (2 * step)
    got = tl.jit(twice, cache=False)(u, weights, direction)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


def test_arguments_that_share_memory():
    """The order of reads and writes through two names is the program's."""

    def columns(a, b):
        for _ in range(2):
            for k in range(1, a.shape[1]):
                a[:, k] = a[:, k - 1] + b[:, k]
        return a.sum()

    fast, u = tl.jit(columns, cache=False), np.arange(20.0)
    fast(u[:16].reshape(4, 4).copy(), u[:16].reshape(4, 4))
    mine, plain = u.copy(), u.copy()
    got = fast(mine[:16].reshape(4, 4), mine[4:].reshape(4, 4))
    assert got == columns(plain[:16].reshape(4, 4), plain[4:].reshape(4, 4))
    np.testing.assert_array_equal(mine, plain)


def test_empty_arrays():
    for shape in ((0, 5), (5, 0), (1, 1)):
        u, weights = np.ones(shape), np.ones(shape[0])
        if shape[1]:
            assert tl.jit(recurrence, cache=False)(u, weights) == recurrence(u, weights)


def summed(u, weights):
    """Columns are made one after the other, and summed up in no order of their own."""
    out = np.zeros(u.shape)
    data = weights * 0.5
    for k in range(u.shape[1] - 1, -1, -1):
        data = u[:, k] - data * weights
        out[:, k] = 2.0 * data - u[:, k]
    return np.sum(out * out)


def test_what_arrays_turned_share_with_others_is_turned_too():
    """The cotangent of `out` is walked by columns; then nothing keeps `out` as it is."""
    both = tl.value_and_grad(summed, argnums=(0, 1))
    fn = optimise(staged_function(both, make(9, 8), {}).function)
    for s in walk(fn.body):
        for inner in walk(s.body) if isinstance(s, For) else ():
            if isinstance(inner, Store) and inner.array.ndim == 2 and inner.array not in fn.results:
                assert Ref(s.var) != inner.index[-1] or not any(isinstance(x, For) for x in s.body)
    value, slopes = both(*make(9, 8))
    got = show.python(fn)(*make(9, 8))
    for a, b in zip(got, (value, *slopes), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
