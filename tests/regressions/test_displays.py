"""Lists written out inside lists, as an argument of a NumPy function: both roads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl


def row_twice(x: Any) -> Any:
    row = [x, x * x]
    return np.array([row, row]).sum()


PROGRAMS = [
    lambda x: np.array([[x]])[0, 0] * x,
    lambda x: np.array([[x, 2.0 * x], [x * x, 1.0]])[1, 0] * x,
    lambda x: (np.array([[[x, 1.0], [2.0, x]]]) ** 2).sum(),
    lambda x: (np.array([[1.0, 2.0], (3.0, x)]) ** 2).sum(),
    lambda x: (np.stack([[x, 1.0], [1.0, x]]) ** 3).sum(),
    lambda x: (np.concatenate([[x], [1.0, x * x]]) ** 2).sum(),
    row_twice,
]


@pytest.mark.parametrize("f", PROGRAMS)
def test_nested_lists(f: Any) -> None:
    gradient = tl.grad(f)
    want = gradient.untyped((1.7,), {})
    assert gradient(1.7) == pytest.approx(want, rel=1e-14)
    assert want == pytest.approx(tl.finite_difference(f, 1.7), rel=1e-8)


def test_gradient_of_a_list_of_floats_with_an_array_holds_floats():
    def f(a, items):
        return a[-1] * items[-1] + a[0]

    _, slopes = tl.grad(f, (0, 1))(np.array([1.0, 3.0]), [2.0, 5.0])
    assert slopes == [0.0, 3.0] and [type(t) for t in slopes] == [float, float]
