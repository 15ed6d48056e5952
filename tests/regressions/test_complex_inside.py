"""Real arguments through complex numbers: the gradient is the real part, without a warning."""

from __future__ import annotations

import cmath
import warnings
from typing import Any

import numpy as np
import pytest

import tapeless as tl

NUMBERS: list[Any] = [
    lambda x: abs(x * 1j * (x + 1j)),
    lambda x: ((x + 1j) ** 2).real,
    lambda x: abs(cmath.exp(1j * x) * x + 2),
    lambda x: cmath.phase(x) + x,
    lambda x: np.abs(np.exp(1j * x) * x + 2),
    lambda x: np.real((1j * x) * (2 - 1j * x)),
    lambda x: np.imag(x * 1j),
    lambda x: np.angle(np.exp(1j * x) * x + 2),
    lambda x: np.angle(x) + x,
]
ARRAYS: list[Any] = [
    lambda a: np.sum(np.abs(np.fft.fft(a)) ** 2),
    lambda a: np.real(np.sum(a * 1j * (a + 2j))),
    lambda a: np.sum(np.angle(a) + a),
    lambda a: np.sum(np.angle(a + 1j)),
]


@pytest.mark.parametrize(
    ("f", "x"), [(f, 0.7) for f in NUMBERS] + [(f, np.array([0.3, -0.7])) for f in ARRAYS]
)
def test_real_arguments(f: Any, x: Any) -> None:
    gradient = tl.grad(f)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = gradient(x)
        assert type(got) is type(x)
        np.testing.assert_allclose(got, gradient.untyped((x,), {}), rtol=1e-14)
        np.testing.assert_allclose(got, tl.finite_difference(f, x), rtol=1e-8)
        tl.check_grads(f, (x,))
