"""Sums written step by step are additions: values and derivatives stay what they are."""

import math

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.nest import (
    F64,
    I64,
    ZERO,
    Array,
    Assign,
    Dim,
    For,
    Function,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
    walk,
)
from tapeless.backends.native.sums import sums
from tapeless.backends.native.verify import verify


def branches(fn: Function) -> int:
    return sum(isinstance(s, If) for s in walk(fn.body))


def additions(fn: Function) -> int:
    return sum(isinstance(s, Store) and s.add for s in walk(fn.body))


def above(x, bins):
    total = 0.0
    for i in range(x.shape[0]):
        final = 2.0 * x[i]
        if final > 0.3:
            total += final - 0.3
    return total * total


def either(x, bins):
    total = 1.0
    for i in range(x.shape[0]):
        a = x[i]
        if a > 0.3:
            total += a * a
        elif a > 0.0:
            total -= 3.0 * a
        else:
            total = a + total
    return total * total


def two_sums(x, bins):
    s, t = 0.5, 0.25
    for i in range(x.shape[0]):
        a = x[i]
        if a > 0.0:
            s += a
            t -= a * a
    return s * t


def histogram(x, bins):
    h = np.zeros(5)
    for i in range(x.shape[0]):
        h[bins[i]] += x[i]
        h[bins[i] - 5] -= 2.0 * x[i] * x[i]
        h[bins[i]] = x[i] + h[bins[i]]
    return np.sum(h * h)


def depends(x, bins):
    """What is added depends on the other sum, which has changed already, under another name."""
    s, t = 0.5, 0.25
    for i in range(x.shape[0]):
        a = x[i]
        if a > 0.0:
            s += a
            t += a * s
    return s * t


CHANGED = [above, either, two_sums, depends, histogram]


def scaled(x, bins):
    """One branch is no sum."""
    s = 0.5
    for i in range(x.shape[0]):
        if x[i] > 0.0:
            s += 2.0
        else:
            s *= 0.5
    return s * x[0]


def failing(x, bins):
    """What is added can only be computed where it is wanted."""
    s = 0.5
    for i in range(x.shape[0]):
        if x[i] > 0.0:
            s += math.sqrt(x[i])
    return s * s


def looked_up(x, bins):
    s = 0.5
    for i in range(x.shape[0]):
        a = x[i]
        if i > 0:
            s += x[i - 1] * a
    return s * s


def elsewhere(x, bins):
    """The element is not the one that was read."""
    h = np.zeros(6)
    for i in range(x.shape[0]):
        k = bins[i]
        t = h[k] + x[i]
        k = k + 1
        h[k] = t
    return np.sum(h * h)


def written_between(x, bins):
    h = np.zeros(5)
    for i in range(x.shape[0]):
        t = h[bins[i]]
        h[0] = x[i] * 2.0
        h[bins[i]] = t + x[i]
    return np.sum(h * h)


def used_again(x, bins):
    h = np.zeros(5)
    total = 0.0
    for i in range(x.shape[0]):
        t = h[bins[i]]
        h[bins[i]] = t + x[i]
        total += t * x[i]
    return np.sum(h * h) + total


def taken_from(x, bins):
    h = np.ones(5)
    for i in range(x.shape[0]):
        h[bins[i]] = x[i] - h[bins[i]]
    return np.sum(h * h)


KEPT = [scaled, failing, looked_up, elsewhere, written_between, used_again, taken_from]


def make():
    rng = np.random.default_rng(3)
    return rng.normal(size=23), rng.integers(0, 5, 23)


@pytest.mark.parametrize("f", [*CHANGED, *KEPT], ids=lambda f: f.__name__)
def test_values(f):
    args = make()
    fn = staged_function(f, args, {}).function
    made = verify(sums(fn))
    changed = branches(made) < branches(fn) or additions(made) > additions(fn)
    assert changed == (f in CHANGED)
    for a, b in zip(show.python(made)(*args), show.python(fn)(*args), strict=True):
        assert np.isclose(a, b, rtol=1e-13)
    assert np.isclose(tl.jit(f, cache=False)(*args), f(*args), rtol=1e-13)


@pytest.mark.parametrize("f", [*CHANGED, *KEPT], ids=lambda f: f.__name__)
def test_derivatives(f):
    x, bins = make()
    for d in (tl.grad(f), lambda x, bins: tl.jvp(lambda y: f(y, bins), (x,), (np.cos(x),)), tl.hessian(f)):
        want = d(x, bins)
        got = tl.jit(d, cache=False)(x, bins)
        for a, b in zip(np.atleast_1d(got), np.atleast_1d(want), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def test_a_branch_without_derivative_where_it_is_not_taken():
    """Its infinite part is not chosen, and adds nothing."""

    def f(x, y):
        total = 0.0
        for i in range(x.shape[0]):
            a = x[i] * y
            if x[i] < 1e3:
                total += a * a
        return total

    x = np.array([1.0, 1e300, 2.0])
    with np.errstate(over="ignore"):
        want = tl.value_and_grad(f, argnums=(0, 1))(x, 1e200)
        got = tl.jit(tl.value_and_grad(f, argnums=(0, 1)), cache=False)(x, 1e200)
    assert got[0] == want[0]
    np.testing.assert_array_equal(got[1][0], want[1][0])
    assert got[1][1] == want[1][1]


def test_zeros_keep_their_sign():
    def f(x):
        total = -0.0
        for i in range(x.shape[0]):
            if x[i] > 0.0:
                total += x[i]
        return total

    assert math.copysign(1.0, tl.jit(f, cache=False)(np.zeros(3))) == -1.0


def same_numbers(body: list[Stmt], x: Array, k: Scalar, results: list[Scalar | Array]) -> None:
    fn = verify(Function("f", [x, k], body, results))
    for a, b in zip(*(show.python(g)(np.arange(9.0) - 3.0, 4) for g in (sums(fn), fn)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_branch_that_adds_twice_to_one_number():
    """What is read once after the loop is counted right where copies are taken out."""
    x, k, i = Array("x", "float64", 1), Scalar("k", I64), Scalar("i", I64)
    s, t, y, z = (Scalar(name, F64) for name in "styz")
    element = Load(x, (Ref(i),))
    e = Scalar("e", F64)
    then: list[Stmt] = [
        Assign(y, Ref(s) + Ref(e)),
        Assign(s, Ref(y)),
        Assign(z, Ref(s) + const(0.5)),
        Assign(s, Ref(z)),
        Assign(t, Ref(t) + Ref(e)),
    ]
    loop = For(i, ZERO, Dim(x, 0), [Assign(e, element), If(apply("gt", Ref(e), const(0.0)), then)])
    same_numbers([Assign(s, const(0.0)), Assign(t, const(1.0)), loop], x, k, [s, t])


def test_an_element_that_the_iteration_before_has_named():
    """The index of what is read is not that of what is stored, though both have one definition."""
    x, k, i, t = Array("x", "float64", 1), Scalar("k", I64), Scalar("i", I64), Scalar("t", F64)
    body: list[Stmt] = [
        Assign(t, Load(x, (Ref(k),))),
        Assign(k, Ref(i)),
        Store(x, (Ref(i),), Ref(t) + const(1.0)),
    ]
    same_numbers([For(i, ZERO, Dim(x, 0), body)], x, k, [x])
