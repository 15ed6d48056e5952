"""Reverse mode on nests: random ones against the complex step, and what is particular by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings

from tapeless.backends.native.nest import Array, Function
from tapeless.backends.native.reverse import reverse
from tapeless.backends.native.show import python
from tapeless.backends.native.verify import verify

from .interpreter import directional
from .random_nests import functions

X = np.array([0.3, -0.7, 0.9, 0.2])
Y = np.array([-0.4, 0.8, 0.1, -0.6])
IDX = np.array([2, 0, 3, 1])
PARAMS: list[Any] = [X, Y, IDX, 0.4, -0.3]


def copies(params: list[Any]) -> list[Any]:
    return [p.copy() if isinstance(p, np.ndarray) else p for p in params]


def numeric(fn: Function, params: list[Any], wrt: list[int], cts: list[Any]) -> list[Any]:
    """Gradients of the results weighted by `cts` (None: not), one complex step for each number."""
    out: list[Any] = []
    for k in wrt:
        p = params[k]
        grad = np.zeros(np.shape(p))
        for at in np.ndindex(np.shape(p)):
            t = np.zeros(np.shape(p))
            t[at] = 1.0
            tangents: list[Any] = [None] * len(params)
            tangents[k] = t if isinstance(p, np.ndarray) else 1.0
            _, d = directional(fn, params, tangents)
            grad[at] = sum(np.sum(c * np.asarray(e)) for c, e in zip(cts, d, strict=True) if c is not None)
        out.append(grad)
    return out


def check(fn: Function, params: list[Any], wrt: list[int], **options: Any) -> Function:
    """The gradient is that of the complex step; results and mutations are those of `fn`."""
    made = verify(reverse(verify(fn), wrt, **options))
    plain, ran = copies(params), copies(params)
    results = python(fn)(*plain)
    got = python(made)(*ran)
    for a, b in zip(results, got, strict=False):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(plain, ran, strict=True):
        np.testing.assert_array_equal(a, b)
    want = numeric(fn, params, wrt, [1.0] + [None] * (len(results) - 1))
    for k, a, b in zip(wrt, got[len(results) :], want, strict=True):
        assert np.shape(a) == np.shape(params[k])
        if isinstance(fn.params[k], Array):
            assert a.dtype == params[k].dtype
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    return made


@settings(max_examples=300, deadline=None)
@given(functions())
def test_random_nests(fn: Function) -> None:
    check(fn, PARAMS, [0, 1, 3, 4])


@settings(max_examples=60, deadline=None)
@given(functions())
def test_random_nests_second_order_reverse_over_reverse(fn: Function) -> None:
    once = reverse(fn, [0, 3])
    first_of = slice(3, None)  # the results of fn come first
    twice = verify(reverse(once, [0, 1, 3, 4], seeds=[3, 4], seeded=True))
    cts = [np.array([0.3, -1.1, 0.7, 0.2]), 0.9]
    ran = copies(PARAMS)
    got = python(twice)(*ran, *cts)
    plain = copies(PARAMS)
    np.testing.assert_array_equal(got[first_of][0], python(once)(*plain)[first_of][0])
    np.testing.assert_array_equal(ran[0], plain[0])
    want = numeric(once, PARAMS, [0, 1, 3, 4], [None, None, None, *cts])
    for a, b in zip(got[5:], want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)
