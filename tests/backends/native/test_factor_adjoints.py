"""Compiled derivatives of factorisations, which go by blocks, and solutions with triangles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.intrinsics import BLOCK

RNG = np.random.default_rng(11)


def positive(n: int) -> Any:
    a = RNG.normal(size=(n, n))
    return a @ a.T + n * np.eye(n)


def factor(a, w):
    return np.sum(np.linalg.cholesky(a) * w)


def factor_of_each(a, w):
    total = 0.0
    for k in range(len(a)):
        total += np.sum(np.linalg.cholesky(a[k]) * w)
    return total


def evidence(a, w):
    low = np.linalg.cholesky(a @ a.T / len(a) + np.eye(len(a)))
    y = np.linalg.solve(low, w[0])
    return y @ y + 2.0 * np.sum(np.log(np.diag(low)))


def upright(a, w):
    q, r = np.linalg.qr(a)
    return np.sum(q * w) + np.sum(np.sin(r))


@pytest.mark.parametrize("n", [0, 1, 2, 7, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 5])
def test_gradients_by_blocks_are_those_of_the_whole(n: int) -> None:
    a, w = positive(n), RNG.normal(size=(n, n))
    value, gradient = tl.jit(tl.value_and_grad(factor))(a, w)
    expected, whole = tl.value_and_grad(factor)(a, w)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, whole, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("program", [factor, evidence, upright])
def test_gradients_of_programs_with_factors(program: Any) -> None:
    a, w = positive(BLOCK + 3), RNG.normal(size=(BLOCK + 3, BLOCK + 3))
    for compiled, plain in zip(
        tl.jit(tl.grad(program, (0, 1)))(a, w), tl.grad(program, (0, 1))(a, w), strict=True
    ):
        np.testing.assert_allclose(compiled, plain, rtol=1e-9, atol=1e-11)
    tangent = tl.jit(lambda x, v, w: tl.jvp(program, (x, w), (v, w)))(a, np.cos(a), w)
    np.testing.assert_allclose(tangent, tl.jvp(program, (a, w), (np.cos(a), w)), rtol=1e-9)


def test_one_matrix_after_another_and_single_precision() -> None:
    a, w = np.array([positive(5), positive(5)]), RNG.normal(size=(5, 5))
    np.testing.assert_allclose(
        tl.jit(tl.grad(factor_of_each))(a, w), tl.grad(factor_of_each)(a, w), rtol=1e-10, atol=1e-13
    )
    small, v = positive(60).astype(np.float32), RNG.normal(size=(60, 60)).astype(np.float32)
    found = tl.jit(tl.grad(factor))(small, v)
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, tl.grad(factor)(small.astype(float), v.astype(float)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("program", [factor, evidence])
def test_second_derivatives_of_factors(program: Any) -> None:
    a, w = positive(4), RNG.normal(size=(4, 4))
    np.testing.assert_allclose(
        tl.jit(tl.hessian(program))(a, w), tl.hessian(program)(a, w), rtol=1e-9, atol=1e-12
    )
    twice = tl.grad(lambda x: np.sum(tl.grad(program)(x, w) ** 2))
    np.testing.assert_allclose(tl.jit(twice)(a), twice(a), rtol=1e-9, atol=1e-12)


def test_the_cotangent_of_a_factor_has_a_lower_triangle_only() -> None:
    n = BLOCK + 9
    found = tl.jit(tl.grad(factor))(positive(n), RNG.normal(size=(n, n)))
    assert not np.triu(found, 1).any() and found[np.tril_indices(n)].all()


def test_exported_gradients_are_numpy_programs(tmp_path: Any) -> None:
    a, w = positive(6), RNG.normal(size=(6, 6))
    tl.export(tl.grad(factor), (a, w), tmp_path / "factor_grad.py")
    space: dict[str, Any] = {}
    exec((tmp_path / "factor_grad.py").read_text(), space)
    name = next(k for k in space if "factor" in k)
    np.testing.assert_allclose(space[name](a, w), tl.grad(factor)(a, w), rtol=1e-10, atol=1e-13)
