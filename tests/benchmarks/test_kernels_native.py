"""Every program of the benchmarks compiled: value, what it writes and its gradient are those of CPython."""

from typing import Any

import numpy as np
import pytest
from benchmarks.kernels import Kernel
from benchmarks.measure import all_kernels, parts

import tapeless as tl

KERNELS = [pytest.param(kernel, id=name) for name, kernel in all_kernels().items()]
ROUNDING = 1e-11  # of the largest number: sums run in another order


def assert_close(got: Any, want: Any) -> None:
    for mine, other in zip(parts(got), parts(want), strict=True):
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, rtol=0.0, atol=ROUNDING * np.max(np.abs(other), initial=0.0))


@pytest.mark.parametrize("kernel", KERNELS)
def test_compiled_program(kernel: Kernel) -> None:
    args, plain = kernel.args("smoke"), kernel.args("smoke")
    assert_close(tl.jit(kernel.plain)(*args), kernel.plain(*plain))
    for mine, other in zip(args, plain, strict=True):
        if isinstance(other, np.ndarray):
            assert_close(mine, other)


@pytest.mark.parametrize("kernel", KERNELS)
def test_compiled_gradient(kernel: Kernel) -> None:
    args, plain = kernel.args("smoke"), kernel.args("smoke")
    both = tl.value_and_grad(kernel.plain, argnums=kernel.argnums)
    assert_close(tl.jit(both)(*args), both(*plain))
    for mine, other in zip(args, plain, strict=True):
        if isinstance(other, np.ndarray):
            assert_close(mine, other)
