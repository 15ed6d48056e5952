"""Slopes where a formula divides 0 by 0, and where several numbers are greatest: known values, both modes."""

import numpy as np
import pytest
import scipy.special as sc

import tapeless as tl


def slopes(f, x, compiled=True):
    found = [tl.grad(f)(x), tl.jvp(f, (x,), (1.0,))[1]]
    return [*found, tl.jit(tl.grad(f))(x)] if compiled else found


PHI = 2.0
HALF = PHI / 2 - np.sin(2 * PHI) / 4  # the integral of the square of the sine
ELLIPTIC = {
    "ellipk": (lambda m: sc.ellipk(m), np.pi / 8, 9 * np.pi / 64),
    "ellipe": (lambda m: sc.ellipe(m), -np.pi / 8, -3 * np.pi / 64),
    "ellipkm1": (lambda m: sc.ellipkm1(1 - m), np.pi / 8, 9 * np.pi / 64),
    "ellipkinc": (lambda m: sc.ellipkinc(PHI, m), HALF / 2, None),
    "ellipeinc": (lambda m: sc.ellipeinc(PHI, m), -HALF / 2, None),
}


@pytest.mark.parametrize("name", ELLIPTIC)
def test_elliptic_integrals_without_a_modulus(name):
    f, slope, second = ELLIPTIC[name]
    for m in (0.0, 1e-12):  # next to 0, too, where the formula is a difference of rounding
        np.testing.assert_allclose(slopes(f, m), slope, rtol=1e-10)
        if second is not None:
            np.testing.assert_allclose(tl.grad(tl.grad(f))(m), second, rtol=1e-9)


def test_0_divided_by_0_is_not_known_in_either_mode():
    assert np.isnan(slopes(lambda x: np.arctan2(x, 0.5 * x), 0.0, compiled=False)).all()
    np.testing.assert_array_equal(slopes(lambda x: sc.sici(x)[0], 0.0, compiled=False), 1.0)


@pytest.mark.parametrize("x", [np.zeros(3), np.array([0.3, -1.0, 0.3]), np.array([-np.inf, 1.0, 1.0])])
def test_logsumexp_where_several_are_greatest(x):
    want = sc.softmax(x)
    for gradient in (tl.grad(sc.logsumexp), tl.jit(tl.grad(sc.logsumexp))):
        np.testing.assert_allclose(gradient(x), want, atol=1e-15)
    direction = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(tl.jvp(sc.logsumexp, (x,), (direction,))[1], want @ direction)
    np.testing.assert_allclose(tl.hessian(sc.logsumexp)(x), np.diag(want) - np.outer(want, want), atol=1e-14)


def test_logsumexp_with_weights_signs_and_axes():
    m = np.array([[1.0, 2.0, 2.0], [1.0, 1.0, 2.0]])
    b = np.array([[1.0, -0.5, 2.0], [-3.0, 1.0, 0.5]])
    tl.check_grads(lambda m, b: sc.logsumexp(m, axis=1, b=b, return_sign=True)[0], (m, b), order=2)
    tl.check_grads(lambda m: sc.logsumexp(m, axis=(0, 1), keepdims=True), (m,), order=2)
    tl.check_grads(lambda x: sc.logsumexp([x, 0.5, x * x]), (0.5,), order=2)


def test_angles_and_imaginary_parts_of_real_numbers_have_no_slope():
    a = np.array([0.0, -0.0, -1.0, 2.0, 1e-300])
    turned = lambda a: (np.angle(a) * np.arange(1.0, 6.0)).sum()  # noqa: E731
    np.testing.assert_array_equal(tl.grad(turned)(a), 0.0)
    np.testing.assert_array_equal(tl.jit(tl.grad(turned))(a), 0.0)
    np.testing.assert_array_equal(tl.jit(np.angle)(np.array([np.nan, -3.0])), [np.nan, np.pi])
    gradient = tl.grad(lambda x: np.imag(x) * 1.5 + x)(0.3)
    assert type(gradient) is float and gradient == 1.0


@pytest.mark.parametrize("f", [sc.expn, sc.kn, sc.yn])
@pytest.mark.parametrize("order", [0.5, 1.5, 2.7, -0.5])
@pytest.mark.filterwarnings("ignore:floating point number truncated")
def test_orders_that_scipy_cuts_off(f, order):
    x = 0.8
    want = tl.grad(lambda x: f(int(order), x))(x)
    np.testing.assert_allclose(want, tl.finite_difference(lambda x: f(order, x), x), rtol=1e-6)
    np.testing.assert_allclose(slopes(lambda x: f(order, x), x), want, rtol=1e-14)


def test_where_a_formula_divides_by_0_or_multiplies_with_minus_infinity():
    np.testing.assert_allclose(slopes(lambda x: sc.shichi(x)[0], 0.0), 1.0)
    np.testing.assert_array_equal(slopes(lambda b: sc.powm1(0.0, b), 2.0), 0.0)
