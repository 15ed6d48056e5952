"""Reductions of arrays without axes, and options of reductions, in compiled functions."""

import numpy as np
import pytest

import tapeless as tl
from checking import check

A = np.cos(np.arange(24.0)).reshape(2, 3, 4)


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize(
    "f",
    [np.sum, np.prod, np.max, np.min, np.nansum, np.nanmax, np.ptp, np.cumsum, np.cumprod, np.add.reduce],
)
def test_the_axis_of_an_array_without_axes(f, axis):
    check(lambda x: f(x, axis=axis), (np.array(1.3),))


@pytest.mark.parametrize("f", [np.any, np.all, np.argmax, np.argmin, np.count_nonzero])
def test_places_and_truths(f):
    assert tl.jit(lambda x: f(x, axis=-1))(np.array(1.3)) == f(np.array(1.3), axis=-1)


@pytest.mark.parametrize("axis", [0, 1, (0,)])
@pytest.mark.parametrize("f", [np.mean, np.var, np.std])
def test_there_is_no_such_axis(f, axis):
    with pytest.raises(np.exceptions.AxisError):
        tl.jit(lambda x: f(x, axis=axis))(np.array(1.3))


def test_percentiles_and_averages():
    assert tl.jit(lambda x: np.nanpercentile(x, 30.0), fallback=True)(A) == np.nanpercentile(A, 30.0)
    assert tl.jit(lambda x: np.true_divide(x, 100, out=...))(3.0) == 0.03
    f = lambda x, w: np.average(x, axis=(2, 0, 1), weights=w)  # noqa: E731
    weights = np.arange(24.0).reshape(4, 2, 3)
    assert tl.jit(f, fallback=True)(A, weights) == pytest.approx(f(A, weights), rel=1e-13)
