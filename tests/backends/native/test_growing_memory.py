"""Memory of arrays that are made anew in every iteration, and of stacks that grow."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.nest import Grow, walk


def longer(x):
    """Each iteration makes an array that is longer than the one before."""
    y = np.ones(1)
    for k in range(1, x.shape[0]):
        new = np.empty(k + 1)
        new[:k] = y * x[k] + x[:k]
        new[k] = np.sum(y) * 0.1
        y = new
    return np.sum(y * y)


def changing(x):
    """Lengths go up and down."""
    total = 0.0
    for k in range(x.shape[0]):
        part = x[: (k * 37) % x.shape[0] + 1] * x[k]
        part[0] *= part[part.shape[0] - 1]
        total += np.sum(part * part)
    return total


def recursion(x):
    """Durbin's recursion: what the stack holds has another length in every iteration."""
    n = x.shape[0]
    y = np.zeros(n)
    y[0] = x[0]
    for k in range(1, n):
        a = -(x[k] + np.dot(np.flip(x[:k]), y[:k])) / 3.0
        y[:k] += a * np.flip(y[:k])
        y[k] = a
    return np.sum(y * y)


@pytest.mark.parametrize("program", [longer, changing, recursion])
@pytest.mark.parametrize("n", [1, 2, 17, 90])
def test_gradients(program, n):
    x = np.cos(np.arange(1.0, n + 1)) * 0.3
    np.testing.assert_allclose(tl.jit(program)(x), program(x), rtol=1e-12)
    compiled = tl.jit(tl.grad(program))
    expected = tl.grad(program)(x)
    for _ in range(3):  # what a call leaves in memory does not matter to the next one
        np.testing.assert_allclose(compiled(x), expected, rtol=1e-10, atol=1e-13)
        np.full(n * n, np.nan)


@pytest.mark.parametrize("program", [longer, changing, recursion])
def test_second_derivatives(program):
    x, v = np.cos(np.arange(1.0, 12)) * 0.3, np.sin(np.arange(11.0))

    def along(x):
        return np.sum(tl.grad(program)(x) * v)

    np.testing.assert_allclose(tl.jit(tl.grad(along))(x), tl.grad(along)(x), rtol=1e-9, atol=1e-12)
    hessian = tl.jit(tl.hessian(program))(x)
    np.testing.assert_allclose(hessian, tl.hessian(program)(x), rtol=1e-9, atol=1e-12)


def test_stacks_of_saved_values_are_not_cleared():
    x = np.ones(5)
    grown = [
        s for s in walk(staged_function(tl.grad(recursion), (x,), {}).function.body) if isinstance(s, Grow)
    ]
    assert grown and not any(s.clear for s in grown)
    assert "call ptr @memset" not in tl.compiled(tl.grad(recursion), x, show="llvm")


def test_what_a_program_grows_is_cleared():
    def squares(n):
        found = []
        for i in range(n):
            if i % 3 != 1:
                found.append(1.0 * i * i)
        return sum(found)

    assert tl.jit(squares)(100) == squares(100)
