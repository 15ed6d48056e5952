"""Hooks of cotangents in derivatives of derivatives."""

import numpy as np
import pytest

import tapeless as tl


@pytest.mark.parametrize("inner", [tl.grad, tl.jacfwd])
def test_a_hook_inside_a_derivative_that_does_not_depend_on_its_value(inner):
    seen = []

    def hook(ct):
        seen.append(ct)
        return 5.0 * ct

    def f(x):
        y = 3.0 * x
        return inner(lambda z: z * z * tl.gradient_hook(y, hook))(2.0)

    assert tl.grad(f)(1.0) == 60.0 and seen == [4.0]


def test_of_an_array():
    def f(x):
        y = 3.0 * x
        return tl.grad(lambda z: np.sum(z * tl.gradient_hook(y, lambda ct: 5.0 * ct)))(2.0)

    assert np.array_equal(tl.grad(f)(np.ones(3)), [15.0] * 3)
