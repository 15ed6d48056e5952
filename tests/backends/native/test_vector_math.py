"""Elementary functions in lanes, against long double: how exact they are, and that loops use them."""

from __future__ import annotations

import numpy as np
import pytest

from tapeless.backends.native import vector_math
from tapeless.backends.native.kernel import Kernel
from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import (
    F64,
    ZERO,
    Alloc,
    Apply,
    Array,
    Dim,
    For,
    Function,
    Load,
    Ref,
    Scalar,
    Store,
)

pytestmark = [
    pytest.mark.skipif(not vector_math.available(), reason="the processor has no fused multiply-add"),
    pytest.mark.skipif(np.finfo(np.longdouble).nmant <= 52, reason="long double is double"),
]
#: name -> ranges of arguments, one for each.
RANGES = {
    "exp": [(-744, 709.7), (-1, 1), (-1e-3, 1e-3)],
    "exp2": [(-1074, 1023.9), (-1, 1)],
    "expm1": [(-50, 700), (-1, 1), (-1e-8, 1e-8)],
    "tanh": [(-20, 20), (-1, 1), (-1e-5, 1e-5)],
    "sinh": [(-709, 709), (-1, 1)],
    "cosh": [(-709, 709), (-1, 1)],
    "log": [(0, 10), (0.5, 2), (0.99, 1.01), (0, 1e300)],
    "log1p": [(-1, 10), (-0.1, 0.1), (-1e-8, 1e-8), (0, 1e20)],
    "sin": [(-4, 4), (-1e4, 1e4), (-1e12, 1e12), (-0.1, 0.1), (-1e300, 1e300)],
    "cos": [(-4, 4), (-1e4, 1e4), (-1e12, 1e12), (-0.1, 0.1), (-1e300, 1e300)],
    "atan": [(-1, 1), (-10, 10), (-1e300, 1e300), (-1e-5, 1e-5), (0.4, 0.43), (2.4, 2.43)],
    "atan2": [((-1, -1), (1, 1)), ((-1e-200, -1), (1e-200, 1)), ((-1e290, -1), (1e290, 1e-300))],
    "pow": [
        ((0.1, -5), (10, 5)),
        ((1e-300, -1), (1e300, 1)),
        ((0.999, -1e5), (1.001, 1e5)),
        ((0, -90), (999, 90)),
    ],
}

NUMPYS = {"pow": "power", "atan": "arctan", "atan2": "arctan2"}


def kernel(name: str) -> Kernel:
    params = [Array(f"a{k}", "float64", 1) for k in range(vector_math.FUNCTIONS[name][0])]
    made, i = Array("made", "float64", 1), Scalar("i", "i64")
    value = Apply(name, tuple(Load(a, (Ref(i),)) for a in params), F64)
    loop = For(i, ZERO, Dim(params[0], 0), [Store(made, (Ref(i),), value)], independent=True)
    return compile(Function(name, params, [Alloc(made, (Dim(params[0], 0),)), loop], [made]))


def test_every_function_has_its_ranges():
    assert RANGES.keys() == vector_math.FUNCTIONS.keys()


@pytest.mark.parametrize(("name", "low", "high"), [(n, *r) for n, ranges in RANGES.items() for r in ranges])
def test_units_in_the_last_place(name, low, high):
    run = kernel(name)
    assert any(i.startswith(f"vector.{name}") for i in run.code.imports)
    rng = np.random.default_rng(0)
    shape = (vector_math.FUNCTIONS[name][0], 20_000)
    args = rng.uniform(np.c_[low].T, np.c_[high].T, shape) if shape[0] > 1 else rng.uniform(low, high, shape)
    if name in ("sin", "cos"):  # the hardest: next to the roots
        args = np.concatenate([args, np.arange(-3000, 3000)[None] * (np.pi / 2)], axis=1)
    with np.errstate(all="ignore"):
        call = getattr(np, NUMPYS.get(name, name))
        wanted = call(*args.astype(np.longdouble))
        rounded = wanted.astype(float)
    ok = np.isfinite(rounded) & (np.abs(rounded) > 2.3e-308)
    (got,) = run.call(*args)
    error = np.abs(got - wanted)[ok] / np.spacing(np.abs(rounded[ok]))
    assert error.max() < 2.5
    assert np.array_equal(np.isfinite(got), np.isfinite(rounded))
    small = np.isfinite(rounded) & ~ok
    assert np.all(np.abs(got - rounded)[small] <= 1e-323)


@pytest.mark.parametrize("name", vector_math.FUNCTIONS)
@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 13, 64])
def test_every_number_of_lanes(name, length):
    args = np.random.default_rng(length).uniform(0.1, 2.0, (vector_math.FUNCTIONS[name][0], length))
    call = getattr(np, NUMPYS.get(name, name))
    np.testing.assert_allclose(kernel(name).call(*args)[0], call(*args), rtol=1e-15)
