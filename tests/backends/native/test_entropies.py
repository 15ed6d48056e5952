"""Products with a logarithm at 0: compiled values and slopes are those of the functions there."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl

special = pytest.importorskip("scipy.special")

CASES = [
    (lambda x, y: special.xlogy(x, y), 0.0, 2.0),
    (lambda x, y: special.xlog1py(x, y), 0.0, 2.0),
    (lambda x, y: special.rel_entr(x, y), 0.0, 0.3),
    (lambda x, y: special.rel_entr(x, y), 0.2, 0.3),
    (lambda x, y: special.entr(x) * y, 0.0, 0.3),
]


@pytest.mark.parametrize(("f", "x", "y"), CASES)
def test_the_slope_at_zero(f, x, y):
    assert tl.jit(f)(x, y) == pytest.approx(f(x, y), abs=1e-15)
    compiled, plain = tl.jit(tl.grad(f, (0, 1)))(x, y), tl.grad(f, (0, 1))(x, y)
    assert compiled == pytest.approx(plain, rel=1e-12)


def test_values_at_the_edges():
    x, y = np.array([0.0, 0.3, -1.0, np.nan, 0.2]), np.array([0.3, 0.4, 1.0, 1.0, -1.0])
    np.testing.assert_allclose(
        tl.jit(lambda x, y: special.rel_entr(x, y))(x, y), special.rel_entr(x, y), rtol=1e-13
    )


@pytest.mark.parametrize("f", [special.rel_entr, special.kl_div, lambda x, y: special.entr(x) * y])
def test_there_is_no_slope_outside(f):
    """Also by the operand that is inside, and compiled as in Python."""

    def total(x, y):
        return np.sum(f(x, y))

    x, y = np.array([-1.0, -1.0, 0.3]), np.array([0.5, -0.5, 0.4])
    with np.errstate(invalid="ignore"):
        wanted = tl.grad(total, (0, 1))(x, y)
    np.testing.assert_array_equal(np.isnan(wanted[0]), [True, True, False])
    for part, own in zip(tl.jit(tl.grad(total, (0, 1)))(x, y), wanted, strict=True):
        np.testing.assert_allclose(part, own, rtol=1e-12)
    seeds = (np.array([1.0, 0.0, 0.0]), np.zeros(3))
    with np.errstate(invalid="ignore"):
        assert np.isnan(tl.jvp(total, (x, y), seeds)[1])
    assert np.isnan(tl.jit(lambda x, y: tl.jvp(total, (x, y), seeds)[1])(x, y))
