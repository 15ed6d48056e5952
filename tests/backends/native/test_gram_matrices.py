"""A matrix by its own transpose: one triangle is computed where it is large, its gradient by one product."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl


def by_columns(a, w):
    return np.sum(a.T @ a * w)


def by_rows(a, w):
    return np.sum(np.sin(a @ a.T) * w)


def of_differences(a, w):
    d = a - np.mean(a, axis=0)
    return np.sum((d.T @ d / (len(a) - 1.0)) ** 2 * w)


def by_another(a, w):
    b = a + 0.0
    b[0] = 1.0
    return np.sum(a.T @ b * w)


def by_itself(a, w):
    square = a[: len(a.T)]
    return np.sum(square @ square * w)


@pytest.mark.parametrize("program", [by_columns, by_rows, of_differences, by_another, by_itself])
@pytest.mark.parametrize("shape", [(2, 2), (7, 4), (30, 20), (130, 101)])
def test_gradients_of_matrices_by_their_transposes(program, shape):
    rng = np.random.default_rng(4)
    a = rng.normal(size=shape)
    n = shape[0] if program is by_rows else shape[1]
    w = rng.normal(size=(n, n))
    value, slopes = tl.jit(tl.value_and_grad(program, (0, 1)))(a, w)
    expected, wanted = tl.value_and_grad(program, (0, 1))(a, w)
    np.testing.assert_allclose(value, expected, rtol=1e-10)
    for slope, want in zip(slopes, wanted, strict=True):
        np.testing.assert_allclose(slope, want, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("program", [by_columns, by_rows])
def test_second_derivatives_of_matrices_by_their_transposes(program):
    rng = np.random.default_rng(5)
    a, w = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    np.testing.assert_allclose(
        tl.jit(tl.hessian(program))(a, w), tl.hessian(program)(a, w), rtol=1e-9, atol=1e-12
    )
    twice = tl.grad(lambda x: np.sum(tl.grad(program)(x, w) ** 3))
    np.testing.assert_allclose(tl.jit(twice)(a), twice(a), rtol=1e-9, atol=1e-12)


def test_in_single_precision() -> None:
    rng = np.random.default_rng(6)
    a, w = rng.normal(size=(120, 110)).astype(np.float32), rng.normal(size=(110, 110)).astype(np.float32)
    found = tl.jit(tl.grad(by_columns))(a, w)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, a @ (w + w.T), rtol=1e-3, atol=1e-3)
