"""Loops shared by threads: the same bits whatever their number, what one thread computes but for rounding."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import sharing, threads


@pytest.fixture(autouse=True, scope="module")
def eight():
    """Up to eight threads; loops of any length are shared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "count", lambda: 8)
        patch.setattr(sharing, "WORTH", 0)
        yield
    threads.limit(threads.count())


def copied(args):
    return tuple(a.copy() if isinstance(a, np.ndarray) else a for a in args)


def leaves(value):
    if isinstance(value, (tuple, list)):
        return [x for v in value for x in leaves(v)]
    return [np.asarray(value)]


def run(fun, args, **options):
    """The results and what the arguments are afterwards, as arrays."""
    own = copied(args)
    return leaves((fun(*own), own))


def check(f, *args, shared=None):
    """`f` in 1, 2, 3 and 8 threads; `shared`: whether any loop must be."""
    parallel, serial = tl.jit(f, parallel=True, cache=False), tl.jit(f, cache=False)
    wanted = run(serial, args)
    first = None
    for n in (8, 1, 2, 3, 8):
        threads.limit(n)
        got = run(parallel, args)
        for a, b in zip(got, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
        first = got if first is None else first
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(got, first, strict=True))
    if shared is not None:
        (entry,) = parallel.entries
        assert ("tapeless.parallel" in entry.kernel.code.imports) == shared


RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(33, 40)) / 3, RNG.normal(size=(40, 29)) / 3


def network(w, x, y):
    s = 0.0
    for i in range(x.shape[0]):
        t = 0.0
        for j in range(x.shape[1]):
            t += np.tanh(w[j]) * x[i, j]
        if t > 0.5:
            t = t * t
        s += (t - y[i]) ** 2
    return s


def test_sums_into_scalars_and_small_arrays():
    check(network, A[0], A, A[:, 0], shared=True)
    check(tl.value_and_grad(network, (0, 1, 2)), A[0], A, A[:, 0], shared=True)
    check(tl.grad(lambda w, x, y: np.sum(tl.grad(network)(w, x, y) ** 2)), A[0], A, A[:, 0])


def scattered(where, x):
    counts = np.zeros(10)
    np.add.at(counts, where, x * x)
    return np.sum(counts**3)


def test_scattered_sums():
    where = RNG.integers(0, 10, 40)
    check(scattered, where, B[:, 0])
    check(tl.grad(scattered, 1), where, B[:, 0])


def rows(a, n):
    out = np.zeros((n, n))
    for i in range(n):
        row = np.zeros(n)
        for j in range(n):
            row[j] = a[i, j] ** 2
            if row[j] > 100:
                raise ValueError("too large")
        for j in range(n):
            out[i, j] = row[n - 1 - j] * a[i, j]
    return np.sum(out)


def test_arrays_of_an_iteration_are_its_own():
    check(rows, A, 33, shared=True)
    check(tl.grad(rows), A, 33, shared=True)


def test_what_is_raised_is_what_the_first_failing_iteration_raises():
    def f(a):
        out = np.zeros(len(a))
        for i in range(len(a)):
            if a[i] > 3:
                raise ValueError("large")
            if a[i] < -3:
                raise KeyError("small")
            out[i] = np.exp(a[i])
        return out

    compiled = tl.jit(f, parallel=True, cache=False)
    for n in (1, 2, 3, 8):
        threads.limit(n)
        for _ in range(20):
            a = RNG.uniform(-2, 2, 200)
            np.testing.assert_allclose(compiled(a), np.exp(a))
            where = RNG.choice(200, 2, replace=False)
            a[where] = [5, -5]
            with pytest.raises(ValueError if where[0] < where[1] else KeyError):
                compiled(a)


def test_what_an_argument_holds_after_a_failure():
    def f(out, a):
        for i in range(len(a)):
            if a[i] < 0:
                raise ValueError
            out[i] = a[i]

    a = np.arange(100.0)
    a[50] = -1
    out = np.zeros(100)
    with pytest.raises(ValueError):
        tl.jit(f, parallel=True, cache=False)(out, a)
    assert np.array_equal(out, np.where(np.arange(100) < 50, a, 0))


def stencil(u, n):
    v = u.copy()
    for _ in range(n):
        for i in range(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                v[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] ** 2)
        u, v = v, u
    return np.sum(u**2)


def in_place(u, n):
    for _ in range(n):
        for i in range(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] ** 2)
    return np.sum(u**2)


@pytest.mark.parametrize("f", [stencil, in_place])
def test_stencils(f):
    u = RNG.normal(size=(50, 20))
    check(f, u, 3)
    check(tl.grad(f), u, 3)
    check(tl.grad(f), RNG.normal(size=(5, 20)), 3)


def product(a, b):
    c = np.zeros((a.shape[0], b.shape[1]))
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            s = 0.0
            for k in range(a.shape[1]):
                s += a[i, k] * b[k, j]
            c[i, j] = s
    return np.sum(c * c)


def outer_products(a, b):
    c = np.zeros((a.shape[0], b.shape[1]))
    for k in range(a.shape[1]):
        c += np.outer(a[:, k], b[k])
    return np.sum(c * c)


@pytest.mark.parametrize("f", [product, outer_products])
def test_products(f):
    check(f, A, B, shared=True)
    check(tl.value_and_grad(f, (0, 1)), A, B, shared=True)
    check(tl.hessian(lambda a: f(a, B[:4, :3])), A[:3, :4])


def paths(z, s0):
    total, worst = 0.0, np.inf
    for p in range(z.shape[0]):
        s = s0
        for t in range(z.shape[1]):
            s = s * np.exp(0.1 * z[p, t] - 0.005)
        if s > s0:
            total += s - s0
        worst = np.minimum(worst, s)
    return total / z.shape[0] + worst


def test_sums_under_conditions_and_minima():
    check(paths, B, 100.0, shared=True)
    check(tl.value_and_grad(paths, (0, 1)), B, 100.0, shared=True)
    check(tl.grad(lambda z, s: np.sum(tl.grad(paths)(z, s) ** 2)), B, 100.0)


def newton(a):
    out = np.zeros(len(a))
    for i in range(len(a)):
        x = a[i]
        while abs(x * x - a[i]) > 1e-12:
            x = 0.5 * (x + a[i] / x)
        out[i] = x
    return np.sum(np.sin(out))


def test_loops_of_unknown_length_inside():
    a = RNG.uniform(1, 9, 100)
    check(newton, a)
    check(tl.grad(newton), a)


def test_vmap():
    check(lambda a: tl.vmap(lambda r: np.sum(np.sin(r) * r))(A), A, shared=True)
    check(lambda a: tl.vmap(tl.grad(lambda r: np.sum(np.sin(r) * r)))(a), A, shared=True)
    check(lambda a: tl.vmap(newton)(a), RNG.uniform(1, 9, (20, 5)))
    m = np.eye(5) * 3 + RNG.normal(size=(20, 5, 5)) / 4
    check(lambda m, b: tl.vmap(np.linalg.solve)(m, b), m, A[:20, :5])
    check(tl.grad(lambda m, b: np.sum(tl.vmap(np.linalg.solve)(m, b) ** 2), (0, 1)), m, A[:20, :5])


def test_what_depends_on_other_iterations_stays_in_order():
    def running(a):
        for i in range(1, len(a)):
            a[i] += 0.5 * a[i - 1]
        return a

    def shifted(a, k):
        for i in range(len(a) - 20):
            a[i + k] = 2 * a[i] + a[i + k]
        return a

    def last(a):
        found = -1.0
        for i in range(len(a)):
            if a[i] > 0:
                found = a[i]
        return found

    def fibonacci(n):
        x, y = 0.0, 1.0
        for _ in range(n):
            x, y = y, x + y
        return x

    def compensated(a):
        s, c = 0.0, 0.0
        for i in range(len(a)):
            y = a[i] - c
            t = s + y
            c = (t - s) - y
            s = t
        return s

    a = RNG.normal(size=100)
    check(running, a)
    for k in (0, 1, 7, 20):
        check(shifted, a, k)
    check(last, a)
    check(fibonacci, 50)
    check(compensated, a)


def test_arguments_that_share_memory():
    def f(a, b):
        for i in range(len(b)):
            a[i] = b[i] + 1
        return a

    compiled = tl.jit(f, parallel=True, cache=False)
    for n in (1, 8):
        threads.limit(n)
        a = np.zeros(101)
        compiled(a[1:], a[:-1])
        assert np.array_equal(a, np.arange(101.0))
