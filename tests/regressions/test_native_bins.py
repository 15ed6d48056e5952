"""Compiled: `np.digitize` by bins that fall."""

import numpy as np
import pytest

import tapeless as tl

X = np.array([[0.3, 1.0, -2.5], [2.0, -0.4, 7.0]])


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("bins", [[2.0, 1.0, -0.4], [-0.4, 1.0, 2.0], [1, 1], [1.5]])
def test_bins(bins, right):
    def f(x, b):
        return np.digitize(x, b, right)

    assert np.array_equal(tl.jit(f)(X, np.array(bins)), f(X, np.array(bins)))


def test_bins_in_no_order():
    with pytest.raises(ValueError, match="monotonically"):
        tl.jit(np.digitize)(X, np.array([0.0, 2.0, 1.0]))
