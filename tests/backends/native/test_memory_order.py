"""LLVM's passes keep the order of loads and stores."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from benchmarks.kernels.simulation import make_bodies, nbody

from tapeless.backends.native import show
from tapeless.backends.native.forward import forward
from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import Array, Function, Load, Store, const
from tapeless.backends.native.promote import promote
from tapeless.backends.native.reverse import reverse
from tapeless.backends.native.staging import stage


def test_straight_line_code_is_not_vectorised():
    """LLVM's pass for that (SLP) moved loads above stores: second derivatives of `nbody` were wrong."""
    a, b = Array("a", "float64", 1), Array("b", "float64", 1)
    at = [(const(k),) for k in range(4)]
    kernel = compile(Function("sums", [a, b], [Store(b, k, Load(a, k) + Load(b, k)) for k in at], []))
    assert "x double>" not in kernel.optimised_ir
    x, y = np.arange(4.0), np.ones(4)
    kernel.call(x, y)
    assert y.tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("bodies", [3, 4])
def test_second_derivatives_of_small_matrices(bodies):
    args = make_bodies(2, bodies)
    fn = promote(stage(nbody, args, {}).function)
    given = dict(zip(inspect.signature(nbody).parameters, args, strict=True))
    wrt = [k for k, p in enumerate(fn.params) if p.name != "steps"]
    values = [given[p.name] for p in fn.params]
    rng = np.random.default_rng(1)
    tangents = [rng.normal(size=np.shape(values[k])) if np.ndim(values[k]) else 0.7 for k in wrt]
    twice = forward(reverse(fn, wrt), wrt)

    def run(call):
        return call(*(x.copy() if isinstance(x, np.ndarray) else x for x in values), *tangents)

    for got, wanted in zip(run(compile(twice).call), run(show.python(twice)), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-11 * np.max(np.abs(wanted)))
