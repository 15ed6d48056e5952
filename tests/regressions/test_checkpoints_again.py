"""A checkpointed function runs twice: one that is not the same then has no derivative, and says so."""

import math

import numpy as np
import pytest

import tapeless as tl
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
