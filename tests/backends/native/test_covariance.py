"""Covariances of short floats are doubles; averages along several axes are refused."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable

A = np.cos(np.arange(24.0)).reshape(2, 3, 4)


@pytest.mark.parametrize("f", [np.cov, np.corrcoef, lambda m: np.cov(m, bias=True)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_covariances_are_doubles(f, dtype):
    m = A[0].astype(dtype)
    want, got = f(m), tl.jit(f)(m)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-15)


def test_weights_along_several_axes():
    with pytest.raises(NotCompilable, match="average with weights"):
        tl.jit(lambda a, w: np.average(a, axis=(1, 2), weights=w))(A, np.ones((3, 4)))
