"""Arguments beyond a rule's operands: their derivatives are followed, or refused by name, never dropped."""

import math

import numpy as np
import pytest

import tapeless as tl

X = np.cos(np.arange(6.0)) * 1.5
MASK = np.array([True, False, True, True, False, True])

PROGRAMS = {
    "sum": lambda x, y: np.sum(x, initial=y),
    "sum by position": lambda x, y: np.sum(x, None, None, None, False, y),
    "sum of rows": lambda x, y: x.reshape(2, 3).sum(axis=0, initial=y),
    "sum of constants": lambda x, y: np.sum(np.ones(3), initial=y) * x[0],
    "add.reduce": lambda x, y: np.add.reduce(x, initial=y),
    "nansum": lambda x, y: np.nansum(x, initial=y),
    "prod": lambda x, y: np.prod(x.reshape(2, 3), axis=1, initial=y),
    "prod of constants": lambda x, y: np.prod(np.full(3, 2.0), initial=y) * x[0],
    "math.prod": lambda x, y: math.prod(list(x), start=y),
    "max": lambda x, y: np.max(x, initial=3 + y),
    "max below": lambda x, y: x.max(initial=y - 3),
    "min": lambda x, y: np.min(x, initial=y - 3, where=MASK),
    "var": lambda x, y: np.var(x.reshape(2, 3), axis=1, mean=y * np.ones((2, 1))),
    "std": lambda x, y: np.std(x, mean=y * x[0]),
    "nan_to_num": lambda x, y: np.nan_to_num(np.append(x, [np.nan, np.inf]), nan=y, posinf=2 * y),
    "clip": lambda x, y: np.clip(x, min=-y, max=2 * y),
    "interp": lambda x, y: np.interp([-5.0, 0.5, 9.0], [0.0, 1.0, 2.0], x[:3], left=y, right=y * y),
    "vectorize": lambda x, y: np.vectorize(lambda a, b: a * b)(x, b=y),
    "einsum": lambda x, y: np.einsum("i,->i", x, y),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_derivative_by_a_further_argument(name):
    tl.check_grads(PROGRAMS[name], (X, np.float64(0.37)), order=2)


def test_bounds_by_their_newer_names():
    assert tl.grad(lambda x: np.clip(x, min=-0.5, max=0.5).sum())(X[:3]).tolist() == [0.0, 0.0, 0.0]


def test_what_a_rule_does_not_know_is_refused():
    with pytest.raises(tl.TapelessError, match="its argument period"):
        tl.grad(lambda p: np.interp(0.3, [0.0, 1.0], [1.0, 2.0], period=p))(2.5)
    with pytest.raises(tl.TapelessError, match="its argument initial"):
        tl.grad(lambda y: np.logaddexp.reduce([0.3 * y, 1.0], initial=y))(0.2)
    with pytest.raises(tl.TapelessError, match="linspace"):  # it was zero, silently
        tl.grad(lambda x: np.linspace(x, 3.0, 5, retstep=True)[0].sum())(2.25)
