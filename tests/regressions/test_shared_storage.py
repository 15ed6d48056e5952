"""An array that is reached as an argument and in another way too is one storage: its derivative is the whole,
on both roads and in both modes."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest

import tapeless as tl

W = np.array([1.0, 2.0])
PAIR = (np.array([3.0, 4.0]), np.array([1.0, 2.0]))
MODULE = types.ModuleType("module")
MODULE.weights = np.array([1.0, 2.0])  # type: ignore[attr-defined]


def through_a_cell() -> Any:
    w = np.array([1.0, 2.0])
    return (lambda a: (a * w).sum()), w


def helper(a: Any) -> Any:
    return a * W


CASES = {
    "global": (lambda a: (a * W).sum(), W),
    "view": (lambda a: (a * W[::-1]).sum(), W[::-1]),
    "cell": through_a_cell(),
    "attribute": (lambda a: (a * MODULE.weights).sum(), MODULE.weights),
    "tuple": (lambda a: (a * PAIR[1]).sum(), PAIR[1]),
    "callee": (lambda a: helper(a).sum(), W),
}


@pytest.mark.parametrize("case", CASES)
def test_an_argument_that_is_read_live_too(case: str) -> None:
    f, held = CASES[case]
    gradient = tl.grad(f)
    elsewhere = held.copy()
    np.testing.assert_array_equal(gradient(elsewhere), held)
    tl.source(gradient, elsewhere)
    assert gradient.entries, "apart, this is typed"
    want = gradient.untyped((held,), {})
    direction = np.array([0.3, -0.7])
    np.testing.assert_allclose(tl.jvp(f, (held,), (direction,))[1], want @ direction)
    np.testing.assert_array_equal(gradient(held), want)
    np.testing.assert_array_equal(tl.grad(f)(held), want)


def test_the_whole_of_a_square() -> None:
    np.testing.assert_array_equal(tl.grad(CASES["global"][0])(W), 2 * W)


def test_an_argument_that_is_in_another_argument() -> None:
    def f(a: Any, p: Any) -> Any:
        return (a * a * p[0]).sum()

    gradient = tl.grad(f, (0, 1))
    np.testing.assert_array_equal(gradient(W, [W + 1.0])[0], 2 * W * (W + 1.0))
    want = gradient.untyped((W, [W]), {})
    got = gradient(W, [W])
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_array_equal(got[1][0], want[1][0])
