"""Forward mode on nests: against the complex step, and over reverse mode."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from tapeless.backends.native.forward import forward
from tapeless.backends.native.nest import Function
from tapeless.backends.native.reverse import reverse
from tapeless.backends.native.show import python
from tapeless.backends.native.verify import verify

from .interpreter import directional
from .random_nests import functions
from .test_reverse import PARAMS, copies

TANGENTS = [np.array([0.3, -0.2, 0.9, 0.4]), np.array([-0.5, 0.1, 0.6, 0.8]), None, 0.7, None]
WRT = [0, 1, 3]


def check(fn: Function, rtol: float = 1e-10) -> None:
    made = verify(forward(fn, WRT))
    ran, plain = copies(PARAMS), copies(PARAMS)
    tangents = [TANGENTS[k] for k in WRT]
    got = python(made)(*ran, *copies(tangents))
    values = python(fn)(*plain)
    _, slopes = directional(fn, PARAMS, TANGENTS)
    assert len(got) == 2 * len(values)
    for a, b in zip((*values, *slopes), got, strict=True):
        np.testing.assert_allclose(b, a, rtol=rtol, atol=1e-11)
    for a, b in zip(ran, plain, strict=True):
        np.testing.assert_array_equal(a, b)


@settings(max_examples=200, deadline=None)
@given(functions())
def test_random_nests(fn: Function) -> None:
    check(fn)


@settings(max_examples=60, deadline=None)
@given(functions())
def test_random_nests_forward_over_reverse(fn: Function) -> None:
    check(reverse(fn, [0, 3]), 1e-8)
