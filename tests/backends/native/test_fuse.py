"""Loops over the same range become one, where nobody can tell."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.fuse import fuse
from tapeless.backends.native.lengths import known_lengths
from tapeless.backends.native.nest import Apply, Dim, For, Function, Store, const, expressions, leaves, walk
from tapeless.backends.native.verify import verify


def loops(fn: Function) -> int:
    return sum(isinstance(s, For) for s in walk(fn.body))


def fused(fn: Function) -> Function:
    return verify(fuse(verify(known_lengths(fn))))


def chain(x, y):
    """Three loops over one range; the sum between them is needed by the last."""
    a = np.exp(x) + y
    b = a * x
    c = b + a * y
    return np.sum(c * b)


def shifted(x, y):
    """The second loop reads what other iterations of the first have made."""
    a = np.empty(x.shape)
    a[:] = np.sin(x) + y
    b = np.empty(x.shape)
    b[0] = 0.0
    b[1:] = a[:-1] * a[1:]
    return np.sum(b)


def in_turn(x, y):
    """What stands between two loops is needed by the second, or changed by it."""
    total = 0.0
    a = x * y
    for i in range(x.shape[0]):
        total += a[i]
    y[0] = total
    for i in range(x.shape[0]):
        a[i] *= y[0]
    y[1] = a[0]
    for i in range(x.shape[0]):
        a[i] += y[1]
    return np.sum(a * a)


def rows(x, y):
    """The product with a matrix, and with its transpose."""
    m = np.outer(x, y) + 1.0
    return np.sum((m @ y) * x) + np.sum(x @ m)


def passed_over(x, y):
    """Fusing other loops moves the first product's reversal, which can be fused with the second one's."""
    m = np.outer(x, y)
    x += m @ y
    y += x @ m
    u, v = np.cos(x), np.sin(y)
    u += m @ v
    v += v @ m
    return np.sum(u * u) + np.sum(v * v)


def both_add(x, y):
    """Two loops add to the same elements, each iteration to all of them."""
    m = np.outer(x, y)
    total = np.zeros(x.shape)
    for i in range(x.shape[0]):
        total += y[i] * m[i]
    for i in range(x.shape[0]):
        total += x[i] * m[i] * m[i]
    return np.sum(total * total)


def added_and_read(x, y):
    """The second loop reads what all iterations of the first add to."""
    total = np.zeros(x.shape)
    for i in range(x.shape[0]):
        total += y[i] * x
    made = np.zeros(x.shape)
    for i in range(x.shape[0]):
        made += total[i] * x
        total += made
    return np.sum(made * total)


def neighbours(x, y):
    """Two loops add to the same elements, in other iterations: as one they are not independent."""
    a = x[1:] * y[:-1]
    b = x[:-1] * y[1:]
    return np.sum(a * a) + np.sum(b * b * b)


def checked(x, y):
    """The second loop may only run if the first has found nothing."""
    for i in range(x.shape[0]):
        y[i] = x[i] + 1.0
    if y[0] > 1e6:
        raise ValueError("too large")
    for i in range(x.shape[0]):
        y[i] *= 2.0
    return np.sum(y)


def make():
    rng = np.random.default_rng(0)
    return rng.normal(size=39), rng.normal(size=39)


PROGRAMS = [chain, shifted, in_turn, rows, passed_over, both_add, added_and_read, neighbours, checked]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_values(f):
    fn = staged_function(f, make(), {}).function
    mine, plain = make(), make()
    assert np.isclose(show.python(fused(fn))(*mine)[0], f(*plain), rtol=1e-13)
    for a, b in zip(mine, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_gradients(f):
    both = tl.value_and_grad(f, argnums=(0, 1))
    mine, plain, third = make(), make(), make()
    fn = staged_function(both, make(), {}).function
    value, slopes = both(*plain)
    got = tl.jit(both, cache=False)(*mine)
    again = show.python(fused(fn))(*third)
    assert np.isclose(got[0], value, rtol=1e-12) and np.isclose(again[0], value, rtol=1e-12)
    for a, b in zip((*got[1], *mine), (*slopes, *plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
    for a, b in zip(again[1:], slopes, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_second_order():
    x, y = make()
    hessian = tl.hessian(chain)
    np.testing.assert_allclose(tl.jit(hessian, cache=False)(x, y), hessian(x, y), rtol=1e-11, atol=1e-12)


def test_a_gradient_is_looked_at_where_it_is_made():
    """The zeros, the sums and the search for NaN of a large gradient are one nest."""

    def product(m, x):
        return np.sum((m @ x) ** 2)

    args = np.ones((5, 6)), np.ones(6)
    fn = staged_function(tl.grad(product), args, {}).function
    made = fused(fn)
    nests = [s for s in made.body if isinstance(s, For) and any(isinstance(x, For) for x in walk(s.body))]
    assert loops(made) < loops(fn)
    assert len(nests) == 2, show.source(made)


def test_nothing_moves_across_an_exception():
    fn = staged_function(checked, make(), {}).function
    assert loops(fused(fn)) == loops(fn)
    x, y = make()
    x[0] = 1e7
    with pytest.raises(ValueError, match="too large"):
        tl.jit(checked, cache=False)(x, y)
    np.testing.assert_array_equal(y, x + 1.0)


def test_lengths_are_those_an_array_was_made_with():
    def many(x, y):
        a = x + y
        return np.sum(a) + np.sum(a[::-1] * x)

    fn = known_lengths(staged_function(tl.grad(many), make(), {}).function)
    found = {
        leaf.array
        for s in walk(fn.body)
        for e in expressions(s)
        for leaf in leaves(e)
        if isinstance(leaf, Dim)
    }
    assert found <= set(fn.params)


def test_derivatives_multiply_by_what_the_program_divides_by():
    """The reverse sweep divides by variables once, outside of its loops."""

    def scaled(x, dx):
        return np.sum(np.sin(x[1:] - x[:-1]) / dx * x[1:] / dx)

    x = make()[0]
    fn = staged_function(tl.grad(scaled), (x, 0.3), {}).function
    last = [s for s in fn.body if isinstance(s, For)][1:]
    divisions = [d for s in last for x in walk([s]) for e in expressions(x) for d in quotients(e)]
    assert divisions and all(d.args[0] == const(1.0) for d in divisions)
    slope = tl.grad(scaled)
    np.testing.assert_allclose(tl.jit(slope, cache=False)(x, 0.3), slope(x, 0.3), rtol=1e-12)


def quotients(e):
    if isinstance(e, Apply):
        for a in e.args:
            yield from quotients(a)
        if e.op == "div":
            yield e


def test_neighbours_are_added_to_once():
    """What an iteration adds at three places waits in a row, and is added by one loop."""

    def smoothed(u):
        return np.sum(((u[:-2] + u[1:-1] + u[2:]) / 3.0) ** 3)

    u = np.random.default_rng(0).normal(size=12)
    fn = staged_function(tl.grad(smoothed), (u,), {}).function
    waits = [s for s in walk(fn.body) if isinstance(s, For) and any(is_row(x) for x in s.body)]
    (loop,) = [s for s in waits if not any(isinstance(x, For) for x in s.body)]
    assert not any(isinstance(x, Store) and x.add for x in loop.body), show.source(fn)
    np.testing.assert_allclose(tl.jit(tl.grad(smoothed), cache=False)(u), tl.grad(smoothed)(u), rtol=1e-12)


def is_row(s):
    return isinstance(s, Store) and s.array.name.endswith("_row")


def test_loops_that_come_before_a_fused_one_are_looked_at():
    both = tl.value_and_grad(passed_over, (0, 1))
    fn = staged_function(both, make(), {}).function
    assert loops(fused(fn)) <= 37  # 38 if they were passed over


def test_many_elementary_functions_stay_in_loops_of_their_own():
    def arc(x, y):
        t = np.sin((y - x) / 2.0) ** 2 + np.cos(x) * np.cos(y) * np.sin((x + y) / 2.0) ** 2
        d = 2.0 * np.arctan2(np.sqrt(abs(t)), np.sqrt(1.0 + t))
        return np.sum(d * d)

    fn = staged_function(arc, make(), {}).function
    assert loops(fused(fn)) == loops(fn) - 1 == 2  # the sum is fused with the second; 1 if that were too
    x, y = make()
    assert np.isclose(tl.jit(arc, cache=False)(x, y), arc(x, y), rtol=1e-12)
