"""What is read of an array that has just been copied comes from the copy, which is then all that is kept."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tapeless as tl

U = np.array([0.3, -0.7, 0.9, 0.2, 0.5, -0.1])


def agrees(f: Any, *args: Any) -> str:
    derivative = tl.value_and_grad(f)
    value, want = derivative(*args)
    loops = tl.compiled(derivative, *args)
    got_value, got = tl.jit(derivative)(*args)
    np.testing.assert_allclose(got_value, value, rtol=1e-12)
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)
    near = [
        (f(*[args[0] + h * d, *args[1:]])) for d in [np.cos(np.arange(args[0].size))] for h in (1e-6, -1e-6)
    ]
    slope = (near[0] - near[1]) / 2e-6
    np.testing.assert_allclose(np.sum(got * np.cos(np.arange(args[0].size))), slope, rtol=1e-5)
    return loops


def saves(loops: str) -> int:
    """How many statements save an element."""
    return len(re.findall(r"^ *saved\[", loops, re.MULTILINE))


@pytest.mark.parametrize("n", [3, 6])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_only_the_copy_is_kept(n: int, steps: int) -> None:
    def step(u: Any, steps: int) -> Any:
        u = u.copy()
        total = 0.0
        for _ in range(steps):
            before = u.copy()
            total += np.sum(u[1:] * u[:-1] * u[1:])
            u[1:-1] = before[1:-1] * before[2:] - 0.5 * before[:-2]
            u[0] = 0.0
        return total + np.sum(u * u)

    loops = agrees(step, U[:n], steps)
    assert saves(loops) <= 1


def test_a_copy_that_changes_is_not_read_instead() -> None:
    def f(u: Any) -> Any:
        u, total = u.copy(), 0.0
        for k in range(3):
            t = u.copy()
            t[k] = 2.0
            total += np.sum(u * u * t)
            u[1:] = t[:-1] * t[:-1]
        return total + np.sum(u * u)

    agrees(f, U)


def test_an_array_that_has_changed_is_read_itself() -> None:
    def f(u: Any) -> Any:
        u, total = u.copy(), 0.0
        for k in range(3):
            t = u.copy()
            total += np.sum(u * u * u)
            if u[k] > 0.0:
                u[k] = t[0] * t[k]
            total += np.sum(u * u * t)
            u[:] = t * u
        return total + np.sum(u * u)

    agrees(f, U)


def test_changes_through_a_view() -> None:
    def f(u: Any) -> Any:
        u, total = u.copy(), 0.0
        rows = u.reshape(2, 3)
        for _ in range(3):
            t = rows.copy()
            u[1] = u[2] * 0.5
            total += np.sum(rows * rows * t)
            rows[:] = t * rows + rows[::-1]
        return total + np.sum(u * u)

    agrees(f, U)


def test_what_the_copy_does_not_have() -> None:
    def f(u: Any) -> Any:
        u, total = u.copy(), 0.0
        for k in range(1, 4):
            t = u[:k].copy()
            total += np.sum(u * u * u)
            u[:k] = t * t * u[-k:]
        return total + np.sum(u * u)

    agrees(f, U)


def test_a_strided_argument() -> None:
    def f(u: Any) -> Any:
        total = 0.0
        for _ in range(2):
            t = u.copy()
            total += np.sum(u * u * u)
            u[1:] = t[:-1] * t[1:]
        return total

    big = np.arange(12.0) / 9
    want = tl.grad(f)(big[::2].copy())
    np.testing.assert_allclose(tl.jit(tl.grad(f))(big[::2]), want, rtol=1e-12)


def test_second_derivatives() -> None:
    def f(u: Any) -> Any:
        u, total = u.copy(), 0.0
        for _ in range(2):
            t = u.copy()
            total += np.sum(u[1:] * u[:-1] * u[1:])
            u[1:-1] = t[1:-1] * t[2:] - 0.5 * t[:-2]
        return total + np.sum(u * u)

    np.testing.assert_allclose(tl.jit(tl.hessian(f))(U), tl.hessian(f)(U), rtol=1e-10, atol=1e-12)
