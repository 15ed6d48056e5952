"""A program of an array, compiled: value, gradient, forward mode and second order against the plain road."""

from __future__ import annotations

import numpy as np

import tapeless as tl
from checking import check


def check_orders(f, x, *, rtol=1e-12):
    check(f, x, native=True)
    v = np.cos(np.arange(x.size)).reshape(x.shape)
    for of_f in (tl.grad(f), tl.hessian(f), lambda x: tl.jvp(f, (x,), (v,))):
        want, got = of_f(x.copy()), tl.jit(of_f)(x.copy())
        np.testing.assert_allclose(np.stack(got), np.stack(want), rtol=rtol, atol=rtol)


def check_other_arguments(f, *others):
    """What was compiled for one argument, called with others."""
    fast = tl.jit(f)
    for x in others:
        np.testing.assert_allclose(fast(x.copy()), f(x.copy()), rtol=1e-12)
