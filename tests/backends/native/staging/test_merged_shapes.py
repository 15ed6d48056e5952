"""Arrays that paths arrive with have one shape where their lengths are known to be equal."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.nest import Alloc, walk


def differences(x, w, steps):
    """One path has a shape from the differences of `w`, the other that of `x`."""
    total = 0.0
    for k in range(steps):
        if k == 0:
            d = w[1:] - w[:-1]
        else:
            d = x * k
        total += np.sum(d * d * x)
    return total


def shorter(x, w, steps):
    """The paths have other lengths."""
    total = 0.0
    for k in range(steps):
        if k == 0:
            d = w[1:] - w[:-1]
        else:
            d = x[1:] * k
        total += np.sum(d * d) + len(d)
    return total


def make(n=6):
    rng = np.random.default_rng(0)
    return rng.normal(size=n), rng.normal(size=n + 1), 3


@pytest.mark.parametrize("f", [differences, shorter], ids=lambda f: f.__name__)
def test_values_and_gradients(f):
    both = tl.value_and_grad(f, argnums=(0, 1))
    fast = tl.jit(both, cache=False)
    for n in (6, 2, 1, 9):
        (value, got), (wanted, slopes) = fast(*make(n)), both(*make(n))
        assert np.isclose(value, wanted, rtol=1e-12)
        for a, b in zip(got, slopes, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_lengths_are_checked():
    """Another call, in which the paths differ, is not what was compiled."""

    def either(x, y, first):
        z = 2.0 * x if first else 3.0 * y
        return np.sum(z * z) + len(z)

    fast = tl.jit(tl.value_and_grad(either), cache=False)
    rng = np.random.default_rng(1)
    for n, m in ((4, 4), (3, 5), (5, 3), (4, 4)):
        x, y = rng.normal(size=n), rng.normal(size=m)
        for first in (True, False):
            value, slope = fast(x, y, first)
            wanted, expected = tl.value_and_grad(either)(x, y, first)
            assert np.isclose(value, wanted, rtol=1e-13)
            np.testing.assert_allclose(slope, expected, rtol=1e-13)


def test_one_shape():
    for f, wanted in ((differences, 1), (shorter, 2)):
        fn = staged_function(f, make(), {}).function
        shapes = {s.shape for s in walk(fn.body) if isinstance(s, Alloc) and s.array.name == "d"}
        assert len(shapes) == wanted
