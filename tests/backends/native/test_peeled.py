"""What one nest clears and the next one adds to is set by it, ends that it alone walks being done apart."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.fuse import fuse
from tapeless.backends.native.lengths import known_lengths
from tapeless.backends.native.nest import (
    ONE,
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
from tapeless.backends.native.peeled import peel
from tapeless.backends.native.verify import verify


def line(steps, u, c):
    """Ends come from next to them."""
    for _ in range(steps):
        before = u.copy()
        u[1:-1] = before[1:-1] * (1.0 - c[1:-1]) + c[1:-1] * before[2:] * before[:-2]
        u[0] = u[-2]
        u[-1] = u[1]
    return np.sum(u * u)


def plane(steps, u, c):
    for _ in range(steps):
        before = u.copy()
        u[1:-1, 1:-1] = c * (before[2:, 1:-1] + before[:-2, 1:-1] + before[1:-1, 2:] + before[1:-1, :-2])
        u[0, :] = u[1, :]
        u[:, -1] = 0.5 * u[:, -2]
    return np.sum(u * u)


def uneven(steps, u, c):
    """Two rows at one end and none at the other."""
    for _ in range(steps):
        before = u.copy()
        u[2:] = before[2:] * np.sin(before[:-2]) + c[2:]
    return np.sum(u * u)


def of(n):
    rng = np.random.default_rng(n)
    return 3, rng.normal(size=n), rng.normal(size=n)


def of_plane(n, m):
    rng = np.random.default_rng(n)
    return 3, rng.normal(size=(n, m)), 0.3


CASES = [(f, of(n)) for f in (line, uneven) for n in (2, 3, 4, 5, 11)]
CASES += [(plane, of_plane(*s)) for s in ((2, 2), (2, 5), (3, 2), (3, 3), (4, 9), (9, 5))]


@pytest.mark.parametrize(("f", "args"), CASES)
def test_gradients(f, args):
    both = tl.value_and_grad(f, argnums=(1, 2))
    fresh = lambda: [x.copy() if isinstance(x, np.ndarray) else x for x in args]  # noqa: E731
    value, slopes = both(*fresh())
    got_value, got = tl.jit(both, cache=False)(*fresh())
    fn = fuse(known_lengths(staged_function(both, args, {}).function))
    again = show.python(verify(fuse(verify(peel(fn)))))(*fresh())
    for made in ((got_value, *got), again):
        for a, b in zip(made, (value, *slopes), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("f", "args"), [(line, of(9)), (plane, of_plane(9, 8)), (uneven, of(9))])
def test_it_is_done(f, args):
    fn = fuse(known_lengths(staged_function(tl.value_and_grad(f, argnums=(1, 2)), args, {}).function))
    assert peel(fn) is not fn


def nests(low, high, shift, body=(), value=None):
    """`a[i + shift] = 0` for the `i` between two bounds, and then `a[i] += b[i]` for all."""
    a, b, i, j = Array("a", "float64", 1), Array("b", "float64", 1), Scalar("i", "i64"), Scalar("j", "i64")
    n, x = Dim(b, 0), Scalar("x", "f64")
    index = (Ref(i) + shift,)
    clear = [Assign(x, Load(a, index)), Store(b, index, Ref(x) * 2.0), Store(a, index, const(0.0))]
    clear += [s(a, i) for s in body]
    add = Store(a, (Ref(j),), Load(b, (Ref(j),)) if value is None else value(a, b, j), add=True)
    made = [
        Alloc(a, (n,)),
        For(Scalar("k", "i64"), ZERO, n, [], independent=True),
        For(i, low, n + high, clear, independent=True),
        For(j, ZERO, n, [add], independent=True),
    ]
    k = made[1].var
    made[1].body.append(Store(a, (Ref(k),), Load(b, (Ref(k),)) + 1.0))
    return Function("f", [b], made, [a])


def done(fn):
    made = verify(peel(verify(fn)))
    for n in (4, 5, 6, 9):
        b, c = np.arange(1.0, n + 1), np.arange(1.0, n + 1)
        np.testing.assert_array_equal(show.python(made)(b)[0], show.python(fn)(c)[0])
        np.testing.assert_array_equal(b, c)
    return made is not fn


@pytest.mark.parametrize(("low", "high", "shift"), [(0, -2, 1), (1, 0, 0), (0, 0, 0), (2, -1, 0), (0, -3, 3)])
def test_boxes(low, high, shift):
    fn = nests(const(low), high, shift)
    assert done(fn)
    clears = [s for s in walk(peel(fn).body) if isinstance(s, Store) and s.value == const(0.0)]
    assert not clears


def test_what_stays():
    """Where an element is cleared that is not added to, read or set afterwards, or added to from others."""
    assert not done(nests(ZERO, -2, 1, [lambda a, i: Store(a, (Ref(i) + ONE,), const(3.0))]))
    assert not done(nests(ZERO, -2, 1, [lambda a, i: Assign(Scalar("y", "f64"), Load(a, (Ref(i) + ONE,)))]))
    assert not done(nests(ZERO, -2, 1, value=lambda a, b, j: Load(a, (Ref(j),)) * 2.0))
    assert not done(nests(ZERO, -9, 1))
