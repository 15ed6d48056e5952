"""Loops that save more in one iteration than in another take room for everything at once, and once only."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tapeless as tl


def copies(args: tuple[Any, ...]) -> list[Any]:
    return [a.copy() if isinstance(a, np.ndarray) else a for a in args]


def copied(f: Callable[..., Any], *args: Any) -> int:
    """How often a gradient, compared with the plain one, moves a stack that holds values."""
    derivative = tl.value_and_grad(f)
    want, slope = derivative(*copies(args))
    got, found = tl.jit(derivative, cache=False)(*copies(args))
    assert got == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(found, slope, rtol=1e-11, atol=1e-13)
    moved: list[int] = []

    def longer(parts: tuple[Any, Any]) -> Any:
        moved.append(parts[0].size)
        return np.concatenate(parts)

    names = {**vars(np), "concatenate": longer}
    space: dict[str, Any] = {"np": SimpleNamespace(**names), "max": max}
    exec(tl.compiled(derivative, *copies(args)), space)
    shown = space[f.__name__](*copies(args))
    assert shown[0] == pytest.approx(want, rel=1e-12)
    np.testing.assert_allclose(shown[1], slope, rtol=1e-11, atol=1e-13)
    return sum(n > 0 for n in moved)


def swept(a):
    """Rows below are changed with each row: fewer and fewer of them."""
    n = a.shape[0]
    for k in range(n):
        for j in range(k + 1, n):
            t = np.dot(a[k], a[j])
            a[j] -= 0.1 * a[k] * t
    return np.sum(a * a)


def swept_up(a):
    n = a.shape[0]
    for k in range(n - 1, 0, -2):
        for j in range(k):
            a[j] -= 0.1 * a[k] * np.dot(a[k], a[j])
    return np.sum(a * a)


def pyramid(a):
    """What is saved changes with two loops."""
    n = a.shape[0]
    for k in range(n):
        for j in range(k):
            for i in range(j + 1):
                a[i] *= 0.9 + 0.1 * a[i, :] * a[k, 0]
    return np.sum(a * a)


def rows_of_several_lengths(a):
    total = 0.0
    for k in range(a.shape[0]):
        part = a[k, : k + 1].copy()
        for _ in range(3):
            part *= np.cos(part)
        total += np.sum(part)
    return total


def in_turns(a):
    """Each pass saves more than there is room for after the first."""
    for _ in range(a.shape[0] // 3):
        for k in range(a.shape[0]):
            for j in range(k):
                a[j] *= 0.5 + 0.1 * a[k] * a[j]
    return np.sum(a)


PROGRAMS = [swept, swept_up, pyramid, rows_of_several_lengths, in_turns]


@pytest.mark.parametrize("shape", [(2, 2), (3, 5), (9, 4), (12, 12)])
@pytest.mark.parametrize("f", PROGRAMS)
def test_once(f, shape):
    assert copied(f, np.random.default_rng(1).random(shape)) == 0


@pytest.mark.parametrize("f", PROGRAMS)
def test_second_derivatives(f):
    a = np.random.default_rng(1).random((4, 4))

    def curved(x):
        return f(x.copy())

    got = tl.jit(tl.hessian(curved), cache=False)(a)
    np.testing.assert_allclose(got, tl.hessian(curved)(a), rtol=1e-9, atol=1e-10)


def seldom(a, bound):
    """A branch that would save much is hardly ever taken: nothing is reserved for it."""
    for k in range(a.shape[0]):
        if a[k, 0] > bound:
            for j in range(k):
                a[j] *= 0.5 + 0.1 * a[k] * a[j]
    return np.sum(a)


def while_changing(a, tolerance):
    for k in range(a.shape[0]):
        for j in range(k):
            while np.sum(a[j]) > tolerance:
                a[j] *= 0.9 - 0.1 * a[k] * a[j]
    return np.sum(a * a)


@pytest.mark.parametrize(("f", "bound"), [(seldom, 0.9), (seldom, 2.0), (while_changing, 1.0)])
def test_unknown(f, bound):
    a = np.random.default_rng(1).random((8, 5))
    copied(f, a, bound)
    assert "total += max" not in tl.compiled(tl.grad(f), a, bound)


def test_a_length_that_changes_in_the_loop():
    def f(x, n):
        y = x.copy()
        total = 0.0
        for k in range(n):
            z = np.concatenate((y, y[:k]))
            for j in range(k):
                for i in range(j):
                    z[i:] *= 0.9 + 0.1 * z[j] * z[i:]
            total += np.sum(z)
        return total

    copied(f, np.linspace(0.2, 0.8, 7), 6)
