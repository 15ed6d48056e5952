"""Long loops that run again piece by piece: with pieces of a few values, the derivatives are the same."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import checkpoints, show
from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import (
    F64,
    I64,
    ZERO,
    Array,
    Assign,
    Dim,
    For,
    Function,
    Ref,
    Scalar,
    While,
    apply,
    const,
)
from tapeless.backends.native.reverse import reverse
from tapeless.backends.native.verify import verify

LIMITS = (0, 3, 40, 10_000)


@pytest.fixture(params=LIMITS, autouse=True)
def limit(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(checkpoints, "LIMIT", request.param)
    return request.param


def agrees(f: Callable[..., Any], *args: Any, pieces: bool | None = True, argnums: Any = 0) -> None:
    """Compares the compiled gradient with the plain one; `pieces`: whether loops may run again, if known."""
    derivative = tl.value_and_grad(f, argnums)
    value, want = derivative(*args)
    got, slope = tl.jit(derivative, cache=False)(*args)
    assert got == pytest.approx(value, rel=1e-12)
    for a, b in zip(np.atleast_1d(slope), np.atleast_1d(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
    if pieces is not None:
        assert ("pieces" in tl.compiled(derivative, *args)) is pieces


def halved(x, n):
    """As many steps as a number has bits, in a loop over numbers."""
    total, y = 0.0, x
    for i in range(n):
        k = i % 13
        while k > 0:
            y = math.sin(y) + 0.1 * x
            k //= 2
        total += y * y
    return total


@pytest.mark.parametrize("n", [0, 1, 2, 37])
def test_numbers_handed_on(n):
    agrees(halved, 0.7, n, pieces=None if n == 0 else True)


@pytest.mark.parametrize(
    ("start", "stop", "step"), [(3, 40, 2), (40, 3, -1), (41, 2, -3), (5, 5, 2), (9, 3, 1)]
)
def test_ranges(start, stop, step):
    def f(x):
        y, count = x, 0
        for i in range(start, stop, step):
            k = i
            while k > 1:
                y = math.cos(y) * x + 0.01 * count
                k = k // 3
                count += 1
        return y * count

    agrees(f, 0.4, pieces=len(range(start, stop, step)) > 0 or None)


def test_arrays_are_read_and_summed_into():
    def f(a, x):
        y = x
        for i in range(a.shape[0]):
            while y < 2.0 + a[i]:
                y = y * (1.1 + 0.1 * a[i] * y)
            y = y - a[i] * a[i]
        return y

    agrees(f, np.linspace(0.1, 0.9, 23), 0.7, argnums=1)
    agrees(lambda x, a: f(a, x), 0.7, np.linspace(0.1, 0.9, 23), argnums=(0,))


def test_gradients_of_arrays():
    def f(a):
        y = 0.7
        for i in range(a.shape[0]):
            while y < 2.0 + a[i]:
                y = y * (1.1 + 0.1 * a[i] * a[i])
            y = y - a[i] * a[i]
        return y

    a = np.linspace(0.1, 0.9, 23)
    np.testing.assert_allclose(tl.jit(tl.grad(f), cache=False)(a), tl.grad(f)(a), rtol=1e-10)


def test_arrays_made_in_an_iteration():
    def f(x, n):
        y = x
        for i in range(n):
            v = np.zeros(4)
            k = i
            while k > 0:
                v[k % 4] = v[k % 4] * y + math.sin(y)
                k = k // 2
            y = 0.5 * y + np.sum(v * v)
        return y

    agrees(f, 0.3, 19)


def test_recursion():
    def power(x, n):
        if n == 0:
            return 1.0
        if n % 2 == 0:
            half = power(x, n // 2)
            return half * half
        return x * power(x, n - 1)

    def f(x, n):
        total = x
        for i in range(n):
            total = total * 0.5 + power(x, i % 11)
        return total

    agrees(f, 1.1, 40)


def test_loops_one_after_the_other():
    def f(x, n):
        y = x
        for i in range(n):
            while y < 1.0 + i:
                y = y * 1.5 + x
        for i in range(n):
            while y > 1.0 / (1 + i):
                y = y * y / (1.0 + y * y) * 0.9
        return y * x

    agrees(f, 0.4, 12)


def test_what_is_changed_afterwards_is_not_read_again():
    def f(x, n):
        a = np.full(5, x)
        y = x
        for i in range(n):
            k = i
            while k > 0:
                y = math.sin(y * a[k % 5])
                k //= 2
        a[2] = y
        return np.sum(a * a)

    agrees(f, 0.6, 17, pieces=False)


def test_arrays_handed_on_are_not_written_down():
    def f(x, n):
        a = np.full(5, x)
        for i in range(n):
            k = i
            while k > 0:
                a[k % 5] = math.sin(a[k % 5] * a[(k + 1) % 5])
                k //= 2
        return np.sum(a * a)

    agrees(f, 0.6, 17, pieces=False)


def test_prints_happen_once(capsys):
    def f(x, n):
        y = x
        for i in range(n):
            while y < i:
                y = y * y + 1.0
                print(y)
        return y

    tl.jit(f, cache=False)(0.6, 3)
    once = capsys.readouterr().out
    tl.jit(tl.grad(f), cache=False)(0.6, 3)
    assert capsys.readouterr().out == once


def test_second_derivatives():
    def f(x):
        return halved(x, 14)

    for transform in (lambda g: tl.grad(tl.grad(g)), lambda g: tl.jacfwd(tl.grad(g))):
        want = transform(f)(0.7)
        assert tl.jit(transform(f), cache=False)(0.7) == pytest.approx(want, rel=1e-9)


def test_what_is_only_given_another_value_in_the_loop_is_handed_on():
    x, p, q = Array("x", "float64", 1), Scalar("p", F64), Scalar("q", F64)
    a, n, i, total = Scalar("a", F64), Scalar("n", I64), Scalar("i", I64), Scalar("total", F64)
    turns = While(
        [Assign(a, apply("sin", Ref(a) * 0.7 + 0.1))],
        apply("lt", Ref(n), 4),
        [Assign(n, Ref(n) + 1), Assign(q, const(0.5))],
    )
    loop = For(i, ZERO, Dim(x, 0), [Assign(n, ZERO), turns])
    # the derivative of the first product reads q as it was before the loop
    body = [Assign(a, Ref(p) * Ref(q)), loop, Assign(total, Ref(a) + Ref(q) * Ref(p))]
    made = verify(reverse(Function("f", [x, p, q], body, [total]), [1, 2]))
    slope, at = 1.3, 0.7 * 1.3
    for _ in range(3 * 5):
        slope *= 0.7 * math.cos(0.7 * at + 0.1)
        at = math.sin(0.7 * at + 0.1)
    want = (at + 0.5 * 0.7, slope + 0.5, slope / 1.3 * 0.7)
    np.testing.assert_allclose(show.python(made)(np.zeros(3), 0.7, 1.3), want, rtol=1e-12)
    np.testing.assert_allclose(compile(made).call(np.zeros(3), 0.7, 1.3), want, rtol=1e-12)
