"""Loops that use what the one before made a few iterations ago run as one, and give the same bits."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.nest import (
    F64,
    I64,
    ONE,
    ZERO,
    Alloc,
    Array,
    Assign,
    Dim,
    Expr,
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
from tapeless.backends.native.staggered import stagger
from tapeless.backends.native.verify import verify

X, Y, T, U = (Array(name, "float64", 1) for name in "xytu")
N = Dim(X, 0)
K = Scalar("k", I64)


def nest(*body: Stmt, results: tuple[Scalar | Array, ...] = ()) -> Function:
    """Three rounds of some statements, before which `t` and `u` get their storage."""
    made: list[Stmt] = [Alloc(T, (N,)), fill(T), Alloc(U, (N,)), fill(U)]
    return Function("f", [X, Y], [For(K, ZERO, const(3), [*made, *body])], list(results))


def fill(a: Array) -> For:
    i = Scalar("i", I64)
    return For(i, ZERO, N, [Store(a, (Ref(i),), const(0.5))], independent=True)


def loop(a: Array, to: int, value: Any, start: int = 0, short: int = 0, add: bool = False) -> For:
    """`a[i + to] = value(i)` for `i` in `range(start, n - short)`."""
    i = Scalar("i", I64)
    body: list[Stmt] = [Store(a, (Ref(i) + to,), value(Ref(i)), add)]
    return For(i, const(start), N - short, body, independent=True)


def outcome(fn: Function, n: int) -> list[Any]:
    rng = np.random.default_rng(n)
    x, y = rng.random(n), rng.random(n)
    return [x, y, *show.python(fn)(x, y)]


def same(fn: Function, lengths: Any = range(12)) -> bool:
    """Whether the loops became one; the nests must give the same, bit for bit."""
    made = verify(stagger(fn))
    for n in lengths:
        for a, b in zip(outcome(fn, n), outcome(made, n), strict=True):
            np.testing.assert_array_equal(a, b)
    return made is not fn


def at(a: Array, i: Expr) -> Expr:
    return Load(a, (i,))


# ---- single nests


def test_an_element_before_stays_in_a_scalar():
    first = loop(T, 1, lambda i: at(X, i) * at(Y, i), short=1)
    second = loop(Y, 0, lambda i: at(T, i) + at(Y, i))
    assert same(nest(first, second))
    stored = [s for s in walk(stagger(nest(first, second)).body) if isinstance(s, For) and s.body]
    fused = next(s for s in stored if any(isinstance(x, Assign) for x in s.body))
    assert not any(isinstance(s, Store) and s.array is T for s in fused.body)


def test_a_loop_runs_ahead_of_what_reads_ahead():
    first = loop(T, 0, lambda i: at(X, i) * at(Y, i))
    second = loop(U, 0, lambda i: at(T, i + 2) - at(T, i), short=2)
    third = loop(Y, 1, lambda i: at(U, i + 1) * at(T, i), short=3, add=True)
    assert same(nest(first, second, third))


def test_what_is_read_later_of_the_ends_is_stored():
    first = loop(T, 0, lambda i: at(X, i) * at(Y, i))
    second = loop(Y, 0, lambda i: at(T, i + 2) - at(T, i), start=1, short=3)
    v = Scalar("v", F64)
    for index in (ZERO, ONE, const(2), N - 1, N - 2, N - 3):
        assert same(nest(first, second, *reading(v, index)), range(6, 12))
    for index in (const(3), N - 4, apply("floordiv", N, const(2))):
        assert not same(nest(first, second, *reading(v, index)), range(6, 12))


def reading(v: Scalar, index: Expr) -> list[Stmt]:
    return [Assign(v, at(T, index)), Store(Y, (index,), Ref(v), add=True)]


@pytest.mark.parametrize(
    "case", ["result", "other loop", "outside", "no distance", "backwards", "scalar", "bound"]
)
def test_loops_that_stay(case):
    first = loop(T, 0, lambda i: at(X, i) * at(Y, i))
    second = loop(Y, 0, lambda i: at(T, i + 1) - at(T, i), short=1)
    if case == "result":
        assert not same(nest(first, second, results=(T,)))
    elif case == "other loop":
        last = loop(Y, 0, lambda i: at(T, N - 1 - i), add=True)
        assert not same(nest(first, second, last))
    elif case == "outside":
        fn = nest(first, second)
        fn.body.append(loop(X, 0, lambda i: at(T, i)))
        assert not same(fn)
    elif case == "no distance":
        second = loop(Y, 0, lambda i: at(T, N - 1 - i))
        assert not same(nest(first, second))
    elif case == "backwards":
        first.step, first.start, first.stop = -1, N - 1, const(-1)
        assert not same(nest(first, second))
    elif case == "scalar":  # a sum that is read between the loops
        total = Scalar("total", F64)
        first.body.append(Assign(total, Ref(total) + at(T, Ref(first.var))))
        first.independent = False
        assert not same(
            nest(Assign(total, const(0.0)), first, Store(X, (ZERO,), Ref(total)), second), range(1, 9)
        )
    else:  # one number, before and after it changes
        m = Scalar("m", I64)
        first.stop = second.stop = Ref(m)
        less = Assign(m, apply("minimum", Ref(m), const(2)))
        assert not same(nest(Assign(m, N - 1), first, less, second), range(4, 9))


def test_what_stands_between_loops():
    first = loop(T, 0, lambda i: at(X, i) * at(Y, i))
    second = loop(U, 0, lambda i: at(T, i + 1) - at(X, i), short=1)
    third = loop(Y, 0, lambda i: at(U, i + 1) * at(U, i), short=2)
    v = Scalar("v", F64)
    before = [Assign(v, at(X, ZERO)), Store(U, (N - 1,), Ref(v))]  # the second loop does not make it
    after = [Assign(v, at(T, ZERO)), Store(X, (N - 1,), Ref(v), add=True)]
    assert same(nest(first, *before, second, third), range(2, 12))
    assert same(nest(first, second, third, *after), range(2, 12))
    both: list[Stmt] = [Store(X, (ZERO,), at(T, N - 1)), second, Store(T, (ZERO,), at(U, ZERO))]
    assert same(nest(first, *both, third), range(3, 12))  # the last two of them


# ---- many nests


def random_nest(seed: int) -> Function:
    """Loops at random distances over a few arrays, with single elements read and stored between them."""
    rng = random.Random(seed)
    mine = [Array(f"t_{k}", "float64", 1) for k in range(rng.randint(1, 4))]
    v = Scalar("v", F64)
    body: list[Stmt] = []
    for a in mine:
        body += [Alloc(a, (N,)), fill(a)]
    known = [X, Y]

    def element() -> tuple[Expr, ...]:
        return (rng.choice([ZERO, ONE, const(2), N - 1, N - 2, N - 3]),)

    for a in [*mine, *rng.choices([Y, *mine], k=rng.randint(1, 2))]:
        low, high = rng.randint(0, 2), rng.randint(0, 2)
        i = Scalar("i", I64)
        value: Expr = const(0.5)
        for _ in range(rng.randint(1, 3)):
            ahead = rng.randint(-low, high)
            if a is Y and rng.random() < 0.8:
                ahead = max(ahead, 0)
            value = apply(rng.choice(["add", "mul", "sub"]), value, at(rng.choice(known), Ref(i) + ahead))
        stores: list[Stmt] = [Store(a, (Ref(i),), value, add=rng.random() < 0.3 and a is Y)]
        if rng.random() < 0.3:
            stores.append(Store(a, (Ref(i),), at(X, Ref(i)), add=True))
        body.append(For(i, const(low), N - high, stores))
        known.append(a)
        if rng.random() < 0.3:
            body.append(Assign(v, Load(rng.choice(known), element())))
            body.append(Store(rng.choice(known), element(), Ref(v), add=True))
    results = [a for a in mine if rng.random() < 0.1]
    return Function("f", [X, Y], [For(K, ZERO, const(2), body)], list(results))


def test_random_nests():
    found = sum(same(random_nest(seed), (3, 4, 6, 9)) for seed in range(100))
    assert found > 15


# ---- programs


def chain(x, steps):
    """Stages that read the element before."""
    y = np.zeros_like(x)
    for _ in range(steps):
        k1, k2, k3 = np.empty_like(x), np.empty_like(x), np.empty_like(x)
        k1[0] = k2[0] = k3[0] = x[0]
        k1[1:] = x[1:] * y[:-1]
        k2[1:] = x[1:] * (y[:-1] + 0.25 * k1[:-1])
        k3[1:] = x[1:] * (y[:-1] + 0.5 * k2[:-1])
        y += 0.1 * (k1 + 2.0 * k2 + k3)
    return y[-1] + y[1]


def waves(x, steps):
    """Differences to both sides: fluxes are used at their own place and at the one before."""
    u = x.copy()
    for _ in range(steps):
        middle = 0.5 * (u[1:] + u[:-1]) - 0.1 * (u[1:] ** 2 - u[:-1] ** 2)
        flux = middle * middle
        u[1:-1] -= 0.2 * (flux[1:] - flux[:-1])
    return np.sum(u * u)


def rows(x, steps):
    """The same along each row of a matrix."""
    a = np.outer(x, x) + 1.0
    for _ in range(steps):
        for k in range(1, len(x)):
            t = a[k] * a[k - 1]
            a[k, 1:-1] += 0.1 * (t[2:] - t[1:-1] * t[:-2])
    return np.sum(a * a)


@pytest.mark.parametrize("f", [chain, waves, rows])
def test_programs(f):
    x = np.linspace(0.3, 0.9, 9)
    run = tl.jit(tl.value_and_grad(f), cache=False)
    for n in (3, 4, 5, 9):
        value, slope = run(x[:n], 3)
        np.testing.assert_allclose(value, f(x[:n], 3), rtol=1e-12)
        np.testing.assert_allclose(slope, tl.grad(f)(x[:n], 3), rtol=1e-10, atol=1e-13)


def test_second_derivatives():
    x = np.linspace(0.3, 0.9, 7)
    second = tl.jit(tl.hessian(waves), cache=False)(x, 2)
    np.testing.assert_allclose(second, tl.hessian(waves)(x, 2), rtol=1e-9, atol=1e-11)


def test_stages_are_one_loop():
    """Of a chain's stages, and of their reversal, no array is stored but where it is kept."""
    fn = optimise(staged_function(tl.grad(chain), (np.ones(9), 3), {}).function)
    steps = [s for s in fn.body if isinstance(s, For) and any(isinstance(x, For) for x in walk(s.body))]
    for s, stored in zip(steps, (3, 2), strict=True):  # the state, twice what is saved; two cotangents
        long = max((x for x in walk(s.body) if isinstance(x, For)), key=lambda x: len(x.body))
        assert len({x.array for x in long.body if isinstance(x, Store)}) == stored
