"""Arrays that every iteration makes and the derivative needs are rows of one array, not copied to and fro."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tapeless as tl

U = np.array([0.3, -0.7, 0.9, 0.2, 0.5, -0.1])


def agrees(f: Any, *args: Any) -> str:
    derivative = tl.value_and_grad(f)
    value, want = derivative(*args)
    loops = tl.compiled(derivative, *args)
    fast = tl.jit(derivative)
    for _ in range(2):
        got_value, got = fast(*args)
        np.testing.assert_allclose(got_value, value, rtol=1e-12)
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)
    return loops


def rows(loops: str) -> bool:
    return "ts = np.empty((max(" in loops and "saved" not in loops


@pytest.mark.parametrize("steps", [0, 1, 4])
@pytest.mark.parametrize("n", [2, 6])
def test_a_copy_in_each_step(n: int, steps: int) -> None:
    def f(u: Any, steps: int) -> Any:
        u = u.copy()
        for _ in range(steps):
            before = u.copy()
            u[1:-1] = before[1:-1] * before[2:] - 0.5 * before[:-2]
            u[0] = before[-1] * before[0]
        return np.sum(u * u)

    loops = agrees(f, U[:n], steps)
    assert rows(loops) or (steps, n) != (4, 6)


def test_a_row_that_is_made_little_by_little() -> None:
    def f(u: Any) -> Any:
        total = 0.0
        for k in range(3):
            t = np.zeros(6)
            for i in range(6):
                t[i] = math.sin(u[i] * (k + 1))
            for i in range(5):
                t[i] += u[i + 1]
            total += np.sum(t * t * t)
        return total

    agrees(f, U)


def test_a_row_that_changes_while_it_is_needed() -> None:
    def f(u: Any) -> Any:
        u = u.copy()
        for _ in range(3):
            t = u * u + np.sin(u)
            u = u + t * t
            for i in range(1, u.shape[0]):
                t[i] = t[i] * t[i - 1]
            u = u * np.cos(t) * 0.1
        return np.sum(u * u)

    agrees(f, U)


def test_rows_for_some_iterations() -> None:
    def f(u: Any) -> Any:
        u = u.copy()
        for k in range(5):
            if u[k] > 0.1:
                t = u.copy()
                u[1:] = t[1:] * t[:-1]
            else:
                u = u * 0.5
        return np.sum(u * u)

    agrees(f, U)


def test_a_loop_in_a_branch_and_loops_inside() -> None:
    def f(u: Any, much: bool) -> Any:
        u = u.copy()
        if much:
            for _ in range(3):
                t = np.sin(u)
                for _ in range(2):
                    s = u.copy()
                    u[1:] = s[1:] * s[:-1] * t[1:]
                u += t * t
        return np.sum(u * u)

    agrees(f, U, True)
    agrees(f, U, False)


def test_lengths_that_each_iteration_has() -> None:
    def f(u: Any) -> Any:
        total = 0.0
        for k in range(1, 5):
            t = np.sin(u[:k])
            total += np.sum(t * t * u[-k:])
        return total

    agrees(f, U)


def test_no_length_below_zero() -> None:
    def f(u: Any, n: int, steps: int) -> Any:
        total = 0.0
        for k in range(steps):
            t = np.empty(n - 2)
            for i in range(n - 2):
                t[i] = np.sin(u[i] + k)
            for i in range(n - 2):
                total += t[i] * t[n - 3 - i] * u[i]
        return total

    agrees(f, U, 6, 3)
    agrees(f, U, 1, 0)
    with pytest.raises(ValueError, match="negative dimensions"):
        tl.jit(tl.grad(f))(U, 1, 3)


def test_loops_whose_iterations_threads_share() -> None:
    def f(u: Any) -> Any:
        total = 0.0
        for k in range(64):
            t = np.sin(u * k)
            total += np.sum(t * t * t)
        return total

    want = tl.grad(f)(U)
    np.testing.assert_allclose(tl.jit(tl.grad(f), parallel=True)(U), want, rtol=1e-11)


def test_products_of_rows_that_are_whole() -> None:
    def f(u: Any) -> Any:
        a = np.outer(u, u) + np.eye(6)
        for _ in range(3):
            t = np.tanh(a)
            a = 0.3 * (t @ t) + t[0] * t
        return np.sum(a * a)

    agrees(f, U)


def test_second_derivatives() -> None:
    def f(u: Any) -> Any:
        u = u.copy()
        for _ in range(3):
            t = u.copy()
            u[1:-1] = t[1:-1] * t[2:] - 0.5 * t[:-2]
        return np.sum(u * u)

    want = tl.hessian(f)(U)
    np.testing.assert_allclose(tl.jit(tl.hessian(f))(U), want, rtol=1e-10, atol=1e-12)
    twice = tl.grad(lambda u: np.sum(tl.grad(f)(u) * np.arange(6.0)))
    np.testing.assert_allclose(tl.jit(twice)(U), twice(U), rtol=1e-10, atol=1e-12)
