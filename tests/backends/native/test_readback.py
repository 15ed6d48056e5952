"""What an iteration has put into an element is read back there by its reversal, not kept beside it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tapeless as tl


def columns(x: Any, d: Any) -> Any:
    """A sweep down the rows; no row is written again."""
    c = np.zeros(x.shape)
    c[0] = x[0]
    for k in range(1, x.shape[0]):
        c[k] = x[k] - d * c[k - 1]
        c[k] = c[k] / (2.0 + d)
    return np.sum(c * c * c)


def exponentials(x: Any, d: Any) -> Any:
    """The function's value stands in the array; what comes of it is computed again."""
    e = np.zeros(x.shape)
    total = 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            v = np.exp(x[i, j] * d[j])
            e[i, j] = v
            w = v * 2.0
            total += w * w * x[i, j]
    return total + e[0, 0]


def again(x: Any, d: Any) -> Any:
    """All elements are written in every turn: as much would be saved as is kept."""
    for _ in range(3):
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                v = np.sin(x[i, j] * d[j]) / 2.0
                x[i, j] = np.exp(v)
    return np.sum(x * x)


def later(x: Any, d: Any) -> Any:
    """The next iteration writes over the element, and the one after that over another."""
    e = np.zeros(x.shape[0] + 1)
    total = 0.0
    for i in range(x.shape[0]):
        v = np.exp(x[i, 0] * d[0])
        e[i] = v
        total += v * v
        e[max(i - 1, 0)] = x[i, 1]
        e[i + 1] = total
    return total + np.sum(e * e)


def moved(x: Any, d: Any) -> Any:
    """The index is another one when the iteration ends."""
    e = np.zeros(x.shape[0] + 2)
    k = 0
    for i in range(x.shape[0]):
        k = i + 1
        v = np.exp(x[i, 0] * d[0])
        e[k] = v
        k = k - 1 if x[i, 1] > 0.0 else k + 1
        e[k] = v * v
    return np.sum(e) + k


def half(x: Any, d: Any) -> Any:
    """Only some iterations store, into the same element."""
    e = np.zeros(2)
    total = 0.0
    for i in range(x.shape[0]):
        v = np.exp(x[i, 0] * d[0])
        if x[i, 1] > 0.0:
            e[i % 2] = v
        e[1] = v
        total += v * e[0]
    return total + np.sum(e)


PROGRAMS = [(columns, 0), (exponentials, 0), (again, None), (later, None), (moved, None), (half, None)]


@pytest.mark.parametrize(("f", "saves"), PROGRAMS, ids=lambda x: getattr(x, "__name__", ""))
def test_gradients(f: Any, saves: int | None) -> None:
    rng = np.random.default_rng(3)
    x, d = rng.normal(size=(7, 5)), rng.uniform(0.5, 1.0, 5)
    both = tl.value_and_grad(f, argnums=(0, 1))
    value, slopes = both(x.copy(), d)
    got, mine = tl.jit(both, cache=False)(x.copy(), d)
    assert np.isclose(got, value, rtol=1e-12)
    for a, b in zip(mine, slopes, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
    if saves is not None:
        loops = tl.compiled(both, x.copy(), d)
        assert len(re.findall(r"^ *saved\w*\[", loops, re.MULTILINE)) == saves
