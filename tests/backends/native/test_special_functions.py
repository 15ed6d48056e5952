"""Functions of `scipy.special` in machine code: values, first and second derivatives."""

import runpy

import numpy as np
import pytest
import scipy.special as special

import tapeless as tl
from tapeless.backends.native.special import SLOPES
from tapeless.errors import MissingRuleError

UNARY = sorted(name for name, slopes in SLOPES.items() if len(slopes) == 1)
ORDERED = sorted(name for name, slopes in SLOPES.items() if slopes[0] is None)
ALL_REALS = ("j0", "j1", "i0", "i1", "i0e", "i1e", "dawsn", "erfcx", "erfi", "log_ndtr", "cosm1", "rgamma")

#: of which Python has the derivative by the order, too
BY_ORDER = ("gammainc", "gammaincc", "kv")


def agree(f, *args, second=True):
    makes = [lambda f: f, tl.grad, tl.hessian] if second else [lambda f: f, tl.grad]
    for make in makes:
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(tl.jit(make(f))(*args), make(f)(*args), rtol=2e-12, atol=1e-13)


@pytest.mark.parametrize("name", [*UNARY, "gammaln", "gamma", "psi"])
def test_functions_of_one_number(name):
    fn = getattr(special, name)
    agree(lambda x: fn(x).sum(), np.array([0.1, 0.35, 0.8]))
    agree(lambda x: fn(x), 0.6)
    if name in ALL_REALS:
        agree(lambda x: fn(x).sum(), np.array([-2.3, -0.4, 1.7, 5.5]))


@pytest.mark.parametrize("name", ORDERED)
def test_functions_with_an_order(name):
    fn = getattr(special, name)
    for order in (2, 2.5):
        agree(lambda x: fn(order, x).sum(), np.array([0.3, 1.4, 6.0]))  # noqa: B023
    if name in BY_ORDER:
        tl.check_grads(lambda v: fn(v, 0.7), (2.5,), order=1)
        agree(lambda v: fn(v, np.array([0.7, 1.9])).sum(), 2.5, second=False)
    else:
        for make in (tl.grad, lambda f: tl.jit(tl.grad(f))):
            with pytest.raises(MissingRuleError, match=name):
                make(lambda v: fn(v, 0.7))(2.5)


@pytest.mark.parametrize("name", ["beta", "betaln"])
def test_functions_of_two_numbers(name):
    fn = getattr(special, name)
    agree(lambda x: fn(x[0], x[1:]).sum(), np.array([0.3, 1.4, 6.0]))


def test_the_derivative_of_digamma():
    x = np.array([-7.3, -0.5, 1e-3, 0.7, 3.0, 9.5, 11.0, 200.0])
    got = tl.jit(tl.grad(lambda x: special.psi(x).sum()))(x)
    np.testing.assert_allclose(got, np.where(x > 0, special.polygamma(1, np.abs(x)), got), rtol=1e-14)
    reflected = np.pi**2 / np.sin(np.pi * x[:2]) ** 2 - special.polygamma(1, 1.0 - x[:2])
    np.testing.assert_allclose(got[:2], reflected, rtol=1e-13)


def test_single_precision():
    x = np.array([0.3, 1.5], np.float32)
    got = tl.jit(lambda x: special.j0(x))(x)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, special.j0(x), rtol=1e-5)


def test_exported(tmp_path):
    def f(x):
        return special.j0(x) * special.kv(2.0, x)

    tl.export(tl.grad(f), (0.7,), tmp_path / "f.py")
    assert runpy.run_path(str(tmp_path / "f.py"))["f"](0.8) == pytest.approx(tl.grad(f)(0.8), rel=1e-12)
