"""A curve whose Newton iteration calls `tl.grad` is differentiated itself."""

import pytest
import yield_curve
from yield_curve import Bond, NoConvergence

import tapeless as tl
from checking import check

PRICES = [0.985, 0.975, 0.969, 0.955]


def root(a):
    return yield_curve.newton(lambda x: x**3 + a * x - 2.0, 1.0)


def rates(bonds):
    return yield_curve.bootstrap(bonds).rates


def test_a_root_by_its_parameter():
    check(root, 0.8)


def test_swap_by_bond_prices():
    check(yield_curve.value_by_prices, PRICES, step=1e-3)


def test_rates_by_bond_objects():
    check(rates, [Bond(2, 0.02, 0.97), Bond(1, 0.01, 0.98)], step=1e-3)


def test_no_convergence_is_the_programs_own_exception():
    def hopeless(a):
        return yield_curve.newton(lambda x: x * x + a, 0.5, limit=6)

    check(hopeless, 1.0)
    with pytest.raises(NoConvergence, match="no root near 0.5"):
        tl.grad(hopeless)(1.0)
