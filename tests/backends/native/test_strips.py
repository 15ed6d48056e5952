"""Long loops that run strip by strip: with strips of a few values, the derivatives are the same."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import strips


@pytest.fixture(params=[(0, 0), (0, 7), (20, 11), (60, 1000), (10_000, 1)], autouse=True)
def limits(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strips, "MOST", request.param[0])
    monkeypatch.setattr(strips, "SIZE", request.param[1])


def agrees(f: Callable[..., Any], *args: Any, cut: bool | None = True, argnums: Any = 0) -> None:
    """Compares the compiled gradient with the plain one; `cut`: whether a loop is cut, if known."""
    derivative = tl.value_and_grad(f, argnums)
    value, want = derivative(*args)
    got, slope = tl.jit(derivative, cache=False)(*args)
    assert got == pytest.approx(value, rel=1e-12)
    for a, b in zip(np.atleast_1d(slope), np.atleast_1d(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14)
    if cut is not None:
        assert ("strip" in tl.compiled(derivative, *args)) is cut


def pendulum(angle, speed, dt, steps):
    for _ in range(steps):
        speed -= dt * math.sin(angle)
        angle += dt * speed
    return 0.5 * speed * speed - math.cos(angle)


@pytest.mark.parametrize("steps", [0, 1, 2, 19, 40])
def test_steps_of_a_pendulum(steps):
    agrees(pendulum, 0.7, 0.2, 0.05, steps, argnums=(0, 1, 2), cut=steps > 0 or None)


def test_second_derivatives():
    want = tl.hessian(pendulum)(0.7, 0.2, 0.05, 19)
    assert tl.jit(tl.hessian(pendulum), cache=False)(0.7, 0.2, 0.05, 19) == pytest.approx(want, rel=1e-10)
    twice = tl.grad(tl.grad(pendulum))
    assert tl.jit(twice, cache=False)(0.7, 0.2, 0.05, 19) == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize(
    ("start", "stop", "step"), [(3, 40, 2), (40, 3, -1), (41, 2, -3), (5, 5, 2), (9, 3, 1), (3, 9, -2)]
)
def test_ranges(start, stop, step):
    def f(x, a, b):
        y = x
        for i in range(a, b, step):
            y = math.cos(y) * x + 0.01 * i
        return y * x

    agrees(f, 0.4, start, stop, cut=len(range(start, stop, step)) > 0 or None)


def test_numbers_of_several_types_are_handed_on():
    def f(x, n):
        y, count, up = x, 0, True
        for i in range(n):
            if up:
                y = y * x + 0.1 * count
                count += i
            else:
                y = math.sin(y)
            up = y < 1.0
        return y

    for n in (0, 1, 30):
        agrees(f, 1.1, n, cut=n > 0 or None)


def test_loops_inside():
    def f(x, n, m):
        y = x
        for i in range(n):
            for _ in range(m):
                y = math.sin(y) * x
            y += 0.1 * i * y * y
        return y

    for n, m in ((0, 3), (11, 0), (11, 3)):
        agrees(f, 0.8, n, m, cut=n * m > 0 or None)


def test_parameters_in_an_array_are_read():
    def f(p, x, n):
        y = x
        for _ in range(n):
            y = math.sin(y * p[0]) + p[1] * y
        return y

    agrees(f, np.array([0.7, 0.4]), 0.7, 23, argnums=1)


def test_sums_over_arrays_stay_one_loop():
    def f(x):
        return np.sum(np.sin(x[1:] - x[:-1]) / 0.3 * x[1:])

    agrees(f, np.linspace(0.1, 2.0, 40), cut=False)


def test_what_changes_later_is_not_run_again_from():
    def f(x, n):
        y, c = x, 0.5
        for _ in range(n):
            y = math.sin(y) * c + y
        c = y * y
        for _ in range(n):
            y = math.cos(y) * c
        return y + c

    agrees(f, 0.6, 13)


def test_loops_in_loops_and_with_arrays_are_not_cut():
    def inner(x, n):
        y = x
        for i in range(n):
            for _ in range(i):
                y = math.sin(y) * x
        return y

    def stored(x, n):
        ys = np.zeros(n)
        y = x
        for i in range(n):
            y = math.sin(y) * x
            ys[i] = y
        return ys @ ys

    agrees(stored, 0.7, 12, cut=False)
    derivative = tl.value_and_grad(inner)
    assert tl.jit(derivative, cache=False)(0.7, 7) == pytest.approx(derivative(0.7, 7), rel=1e-12)


def test_exceptions_are_raised_where_they_were():
    def f(x, n):
        y = x
        for _ in range(n):
            y = math.sqrt(1.5 - y) * y
        return y

    agrees(f, 0.5, 12)
    with pytest.raises(ValueError, match="math domain error"):
        tl.jit(tl.grad(f), cache=False)(1.7, 12)
