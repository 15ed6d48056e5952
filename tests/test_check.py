"""The checkers are checked: what is right passes, and what is a little wrong does not."""

import math
from typing import NamedTuple

import numpy as np
import pytest

import tapeless as tl
from tapeless.check import DerivativeMismatch


class Pair(NamedTuple):
    left: float
    right: np.ndarray


class Line:
    def __init__(self, slope, offset, points):
        self.slope, self.offset, self.points = slope, offset, points

    def at(self, x):
        return self.slope * x + self.offset


# ---- finite differences ------------------------------------------------------------------------------------

SMOOTH = [
    (math.sin, 1.0, math.cos(1.0)),
    (math.log, 1e-3, 1e3),
    (math.log, 1e-12, 1e12),
    (math.sqrt, 1e-6, 0.5e3),
    (math.asin, 0.999, 1.0 / math.sqrt(1.0 - 0.999**2)),
    (lambda x: math.exp(40.0 * x), 1.0, 40.0 * math.exp(40.0)),
    (lambda x: math.exp(-x / 1e-9), 1e-9, -1e9 * math.exp(-1.0)),
    (lambda x: math.sin(x / 58.0), 2460000.5, math.cos(2460000.5 / 58.0) / 58.0),
    (lambda x: x**3, 2.0, 12.0),
    (lambda x: 3.0 * x, 7.0, 3.0),
    (lambda x: 3.0, 7.0, 0.0),
    (abs, 0.25, 1.0),
]


@pytest.mark.parametrize("order", [4, 6, 8])
@pytest.mark.parametrize("case", range(len(SMOOTH)))
def test_step_suits_the_function(case, order):
    f, x, slope = SMOOTH[case]
    assert tl.finite_difference(f, x, order=order) == pytest.approx(slope, rel=1e-7, abs=1e-12)


@pytest.mark.parametrize("order", [2, 4, 6, 8, 10])
def test_order_of_accuracy(order):
    """With the step halved, the error falls by 2 to the order."""
    errors = [abs(tl.finite_difference(math.exp, 0.0, order=order, step=step) - 1.0) for step in (0.5, 0.25)]
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)


def test_exact_for_polynomials():
    assert tl.finite_difference(lambda x: x**4 - x, 1.5, order=4, step=0.25) == pytest.approx(12.5, rel=1e-14)


def test_structure_of_the_argument():
    f = tl.finite_difference
    assert f(lambda a, b: a * b, 2.0, 3.0, argnums=(0, 1), order=2, step=0.5) == (3.0, 2.0)
    assert f(lambda a, b: a * b, 2.0, 3.0, argnums="b", order=2, step=0.5) == 2.0
    got = f(lambda p: p.left * p.right.sum(), Pair(2.0, np.ones(3)))
    assert type(got) is Pair
    np.testing.assert_allclose(got.right, [2.0, 2.0, 2.0])
    got = f(lambda d: d["a"][0] * d["n"], {"a": [2.0], "n": 3, "name": "x"})
    assert got == {"a": [pytest.approx(3.0)], "n": None, "name": None}
    got = f(lambda line: line.at(2.0), Line(0.5, 1.0, 7))
    assert got == {"slope": pytest.approx(2.0), "offset": pytest.approx(1.0), "points": None}
    assert f(lambda x: x.sum(), np.zeros((2, 0))).shape == (2, 0)
    assert f(lambda x: (x * x).sum(), np.ones(2, np.float32)).dtype == np.float32


def test_jacobian_of_an_array_and_of_a_structure():
    a = np.array([1.0, 2.0])
    np.testing.assert_allclose(tl.finite_difference(lambda a: a * a, a), np.diag(2.0 * a), atol=1e-9)
    got = tl.finite_difference(lambda a: {"sum": a.sum(), "name": "x"}, a)
    np.testing.assert_allclose(got["sum"], [1.0, 1.0])
    assert got["name"] is None


def test_complex_gradient_is_steepest_ascent():
    assert tl.finite_difference(lambda z: abs(z) ** 2, 1 + 2j) == pytest.approx(2 + 4j)
    assert tl.finite_difference(lambda x: 2j * x, 1.0) == pytest.approx(2j)
    with pytest.raises(TypeError, match="complex result by a complex argument"):
        tl.finite_difference(lambda z: z * z, 1 + 2j)


def test_a_shared_array_is_one_leaf():
    w = np.array([2.0])
    got = tl.finite_difference(lambda ws: (ws[0] * ws[1]).sum(), [w, w])
    assert got[0] is got[1]
    np.testing.assert_allclose(got[0], [4.0])


def test_arguments_are_not_changed():
    a = np.array([1.0, 2.0])

    def overwrite(a):
        a *= a
        return a.sum()

    np.testing.assert_allclose(tl.finite_difference(overwrite, a), [2.0, 4.0])
    np.testing.assert_array_equal(a, [1.0, 2.0])


def test_refusals_say_what_to_do():
    with pytest.raises(TypeError, match=r"argument 0 is 3 of type int.*choose another with argnums"):
        tl.finite_difference(lambda x: x, 3)
    with pytest.raises(ValueError, match="order must be an even number"):
        tl.finite_difference(math.sin, 1.0, order=3)
    with pytest.raises(ValueError, match="step must be positive"):
        tl.finite_difference(math.sin, 1.0, step=0.0)
    with pytest.raises(TypeError, match="argnums is 1, and there are 1 arguments"):
        tl.finite_difference(math.sin, 1.0, argnums=1)


# ---- check_grads -------------------------------------------------------------------------------------------


def product(x, y):
    return x * math.sin(y)


def test_right_derivatives_pass():
    tl.check_grads(product, (0.7, 1.3))
    tl.check_grads(lambda a: a * a.sum(), (np.array([1.0, -2.0]),))
    tl.check_grads(lambda a, n: a * n, (np.array([1.0, -2.0]), 3))
    tl.check_grads(lambda z: z * z, (1 + 2j,))
    tl.check_grads(lambda line: line.at(2.0) * line.at(3.0), (Line(0.5, 1.0, 7),))
    tl.check_grads(lambda a: (a * a).sum(), (np.array([1.0, -2.0], np.float32),))


def faulty(monkeypatch, name, fault):
    """Replace `api.jvp` or `api.vjp` by one whose result is spoiled by `fault`."""
    right = getattr(tl.api, name)
    monkeypatch.setattr(tl.api, name, lambda *args, **kwargs: fault(*right(*args, **kwargs)))


@pytest.mark.parametrize("factor", [1.0005, 0.9995, 0.0, -1.0, math.nan])
def test_a_wrong_tangent_is_caught(monkeypatch, factor):
    faulty(monkeypatch, "jvp", lambda value, tangent: (value, tangent * factor))
    with pytest.raises(DerivativeMismatch, match=r"product: the tangent of jvp is .* differences give"):
        tl.check_grads(product, (0.7, 1.3), modes=("fwd",), order=1)


@pytest.mark.parametrize("factor", [1.0005, 0.9995, 0.0, -1.0, math.nan])
@pytest.mark.parametrize("which", [0, 1])
def test_a_wrong_gradient_is_caught(monkeypatch, factor, which):
    def spoiled(value, pullback):
        def wrong(ct):
            gradients = list(pullback(ct))
            gradients[which] = gradients[which] * factor
            return tuple(gradients)

        return value, wrong

    faulty(monkeypatch, "vjp", spoiled)
    with pytest.raises(DerivativeMismatch, match="by vjp is"):
        tl.check_grads(product, (0.7, 1.3), modes=("rev",), order=1)


def test_one_wrong_component_of_many_is_caught(monkeypatch):
    def spoiled(value, tangent):
        tangent = tangent.copy()
        tangent[7] *= 1.0005
        return value, tangent

    faulty(monkeypatch, "jvp", spoiled)
    with pytest.raises(DerivativeMismatch, match=r"component 7 of 50.*1 of 50 wrong"):
        tl.check_grads(lambda a: a * a, (np.linspace(0.1, 2.0, 50),), modes=("fwd",), order=1)


def test_modes_that_disagree_by_less_than_differences_can_see_are_caught(monkeypatch):
    def spoiled(value, pullback):
        return value, lambda ct: tuple(g * (1.0 + 1e-7) for g in pullback(ct))

    faulty(monkeypatch, "vjp", spoiled)
    with pytest.raises(DerivativeMismatch, match="the modes disagree"):
        tl.check_grads(product, (0.7, 1.3), order=1)


def test_a_changed_value_is_caught(monkeypatch):
    faulty(monkeypatch, "jvp", lambda value, tangent: (value * (1.0 + 2.0**-52), tangent))
    with pytest.raises(DerivativeMismatch, match="jvp changed the value"):
        tl.check_grads(product, (0.7, 1.3), modes=("fwd",), order=1)


def test_a_wrong_second_derivative_is_caught():
    def cube(x):
        return x * x * x

    wrong = tl.custom_jvp(cube)

    def rule(primals, tangents):
        (x,), (dx,) = primals, tangents
        return cube(x), tl.stop_gradient(3.0 * x * x) * dx

    wrong.defjvp(rule)
    tl.check_grads(lambda x: wrong(x), (1.3,), order=1)
    with pytest.raises(DerivativeMismatch, match="jvp of"):
        tl.check_grads(lambda x: wrong(x), (1.3,), order=2)


def test_check_grads_refuses_what_it_cannot_check():
    with pytest.raises(TypeError, match="no argument has a float"):
        tl.check_grads(lambda n: n, (3,))
    with pytest.raises(ValueError, match="modes are 'fwd' and 'rev'"):
        tl.check_grads(product, (0.7, 1.3), modes=("forward",))


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1.0, 1e18])
@pytest.mark.parametrize("unit", [1e-18, 1.0, 1e18])
def test_derivatives_that_are_rounding_only_are_no_alarm(scale, unit):
    """At a maximum, or of a constant, both derivatives are what rounding has left of larger terms."""
    tl.check_grads(lambda x: scale * math.sin(x / unit), (math.pi * unit,))
    tl.check_grads(lambda x: scale * math.sin(x / unit), (math.pi / 2 * unit,))
    tl.check_grads(
        lambda a: scale * np.sum(np.exp(a / unit) / np.exp(a / unit).sum()),
        (np.array([0.3, -0.7, 1.0]) * unit,),
    )
    tl.check_grads(lambda a: scale * np.sum(np.abs(np.exp(1j * a / unit))), (np.array([0.3, -0.7]) * unit,))


@pytest.mark.parametrize("scale", [1e-18, 1.0, 1e18])
def test_a_small_error_is_found_at_any_scale(monkeypatch, scale):
    faulty(monkeypatch, "jvp", lambda value, tangent: (value, tangent * 1.0005))
    with pytest.raises(DerivativeMismatch):
        tl.check_grads(lambda x: scale * math.sin(x), (0.7,), modes=("fwd",), order=1, atol=0.0)


def test_one_array_given_twice():
    w = np.array([0.3, -0.7])
    tl.check_grads(lambda a, b: (a * a * b).sum(), (w, w))
    tl.check_grads(lambda a, b: (a * a * b).sum(), (w, w[::-1]))
    tl.check_grads(lambda a, p: (a * a * p[0]).sum(), (w, [w]))
