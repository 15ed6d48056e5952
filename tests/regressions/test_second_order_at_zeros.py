"""Where a partial happens to be zero, its own derivative still counts: strong zeros replace NaNs only."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import tapeless as tl

POWER = {
    "product": (lambda x: x * x, 0.0, 2.0),
    "power": (lambda x: x**2, 0.0, 2.0),
    "cosine": (math.cos, 0.0, -1.0),
    "numpy": (np.cos, np.float64(0.0), -1.0),
    "array": (lambda a: np.sum(a * a), np.zeros(2), 4.0),
    # a NaN elsewhere makes the careful pass run
    "careful": (lambda x: x * x + float(np.where(x > 1.0, np.sqrt(x - 1.0), 0.0)), 0.0, 2.0),
    "careful array": (lambda a: np.sum(a * a + np.where(a > 1.0, np.sqrt(a), 0.0)), np.zeros(2), 4.0),
}


def forward(f: Any) -> Any:
    return lambda x: tl.jvp(f, (x,), (np.ones_like(x) if isinstance(x, np.ndarray) else 1.0,))[1]


def backward(f: Any) -> Any:
    return lambda x: np.sum(tl.grad(f)(x))


@pytest.mark.parametrize("case", POWER)
@pytest.mark.parametrize("modes", [*itertools.product((forward, backward), repeat=2)])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_second_derivatives_where_the_first_is_zero(case: str, modes: Any) -> None:
    f, x, want = POWER[case]
    outer, inner = modes
    assert outer(inner(f))(x) == pytest.approx(want)
