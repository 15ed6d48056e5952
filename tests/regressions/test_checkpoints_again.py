"""A checkpointed function runs twice: one that is not the same then has no derivative, and says so."""

import math

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.errors import UntrackedMutationError

calls = 0


def counted(x):
    global calls
    calls += 1
    return x * x * calls


def test_a_function_that_counts_its_calls():
    with pytest.raises(UntrackedMutationError, match="counted again"):
        tl.grad(lambda x: tl.checkpoint(counted)(x))(2.0)
    with pytest.raises(UntrackedMutationError):
        tl.grad(lambda x: np.sum(tl.checkpoint(counted)(x)))(np.array([1.0, -2.0]))


@pytest.mark.parametrize("x", [0.0, 1.5, math.inf, math.nan])
def test_values_that_are_the_same(x):
    def f(v):
        return tl.checkpoint(lambda w: w * w + 1.0)(v)

    assert tl.grad(f)(x) == pytest.approx(2.0 * x, nan_ok=True)


def test_arrays():
    a = np.linspace(-1.0, 1.0, 7)
    slope = tl.grad(lambda v: np.sum(tl.checkpoint(np.tanh)(v) ** 2))(a)
    np.testing.assert_allclose(slope, 2.0 * np.tanh(a) * (1.0 - np.tanh(a) ** 2), rtol=1e-12)
    many = tl.hessian(lambda v: np.sum(tl.checkpoint(lambda w: np.sin(w) * w)(v)))(a)
    np.testing.assert_allclose(np.diag(many), 2.0 * np.cos(a) - a * np.sin(a), rtol=1e-12)


class Pair:
    def __init__(self, a, b):
        self.a, self.b = a, b


@pytest.mark.parametrize("kind", [tuple, list, "dict", "object"])
def test_several_results(kind):
    def several(x):
        a, b = x * x, x[0] * x[1]
        if kind == "dict":
            return {"a": a, "b": b}
        return Pair(a, b) if kind == "object" else kind([a, b])

    def f(x):
        y = tl.checkpoint(several)(x)
        a, b = (y.a, y.b) if kind == "object" else (y["a"], y["b"]) if kind == "dict" else y
        return np.sum(a) * b

    check(f, np.array([0.3, 0.7, 1.1]))


def test_a_function_that_changes_its_argument():
    def f(x):
        x *= 2.0
        return np.sum(x * x)

    with pytest.raises(tl.errors.UntrackedMutationError, match="changes its arguments"):
        tl.grad(lambda x: tl.checkpoint(f)(x * 1.0))(np.array([0.3, 0.7]))
