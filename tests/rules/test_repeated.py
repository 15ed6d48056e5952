"""`reduce` and `accumulate` of ufuncs without a rule of their own."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import MissingRuleError

A = np.array([[0.9, 1.4, 2.1, 0.7], [1.3, 0.4, 1.8, 1.1], [0.6, 1.2, 0.8, 1.9]])
UFUNCS = ["subtract", "divide", "logaddexp2", "hypot", "arctan2", "float_power", "fmod"]


@pytest.mark.parametrize("name", UFUNCS)
def test_along_an_axis(name: str) -> None:
    f = getattr(np, name)
    tl.check_grads(lambda a: np.sum(f.accumulate(a) ** 2), (A,), order=2)
    tl.check_grads(lambda a: np.sum(f.accumulate(a, axis=-1) ** 2), (A,), order=1)
    if name != "arctan2":
        tl.check_grads(lambda a: np.sum(f.reduce(a) ** 2), (A,), order=2)
        tl.check_grads(lambda a: np.sum(f.reduce(a, axis=1, keepdims=True) ** 2), (A,), order=1)


def test_values_are_those_of_numpy() -> None:
    def f(a):
        return np.sum(np.hypot.accumulate(a, 1)) + np.hypot.reduce(a[0])

    value, _ = tl.value_and_grad(f)(A)
    assert value == f(A)


def test_initial() -> None:
    def f(a, x):
        return np.sum(np.hypot.reduce(a, axis=0, initial=x))

    tl.check_grads(f, (A, 0.7), order=2)


def test_what_is_refused() -> None:
    masked = A > 1.0
    with pytest.raises(MissingRuleError, match="without where="):
        tl.grad(lambda a: np.sum(np.hypot.reduce(a, where=masked, initial=0.0)))(A)
    with pytest.raises(MissingRuleError, match="along one axis"):
        tl.grad(lambda a: np.hypot.reduce(a, axis=None))(A)


def test_constants_are_left_alone() -> None:
    assert tl.grad(lambda x: x * np.bitwise_or.reduce(np.array([1, 2, 4])))(1.5) == 7.0
