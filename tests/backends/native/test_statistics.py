"""Functions of `scipy.stats` behind its wrapper for axes and NaN, compiled."""

import numpy as np
import pytest

import tapeless as tl

stats = pytest.importorskip("scipy.stats")
X = np.array([0.3, -1.2, 2.5, 0.7, 1.9, -0.4])
Y = np.array([0.1, 0.8, 1.9, -0.3, 2.2, 0.6])

CALLS = {
    "skew": lambda x: stats.skew(x),
    "skew of rows": lambda x: stats.skew(np.outer(x + 3.0, Y) ** 2, axis=1),
    "skew keepdims": lambda x: stats.skew(np.outer(x, Y) + np.outer(Y, x * x), axis=0, keepdims=True),
    "kurtosis": lambda x: stats.kurtosis(x, fisher=False, bias=False),
    "sem": lambda x: stats.sem(x),
    "tmean": lambda x: stats.tmean(x),
    "trim_mean": lambda x: stats.trim_mean(x, 0.2),
    "of all axes": lambda x: stats.skew(np.outer(x, Y), axis=None),
    "entropy": lambda x: stats.entropy(x * x, Y * Y),
}


@pytest.mark.parametrize("name", CALLS)
def test_values_and_derivatives(name):
    f = CALLS[name]
    wanted, got = f(X), tl.jit(f)(X)
    assert type(got) is type(wanted)
    np.testing.assert_allclose(got, wanted, rtol=1e-12, strict=True)
    slope = tl.grad(lambda x: np.sum(f(x) * np.cos(np.arange(np.size(f(X))))))
    np.testing.assert_allclose(tl.jit(slope)(X), slope(X), rtol=1e-9, atol=1e-12)


def test_what_has_no_place_in_the_program_is_left_to_scipy():
    fast = tl.jit(lambda x: stats.skew(x))
    with np.errstate(invalid="ignore"):
        for x in (np.where(X > 2.0, np.nan, X), X):
            assert fast(x) == pytest.approx(stats.skew(x), rel=1e-12, nan_ok=True)
    omit = tl.jit(lambda x: stats.skew(x, nan_policy="omit"))
    x = np.where(X > 2.0, np.nan, X)
    assert omit(x) == pytest.approx(stats.skew(x, nan_policy="omit"), rel=1e-12)
