"""Transformations inside a program that is differentiated itself: they nest in any order."""

import math

import numpy as np
import pytest

import tapeless as tl
from checking import check


def slope_of_a_closure(x):
    return tl.grad(lambda y: y * x * y)(2.0)


def slope_at_an_active_point(x):
    return tl.grad(lambda y: y**3 * x)(x * x)


def third_derivative(x):
    return tl.grad(tl.grad(lambda y: math.sin(y * x)))(0.3 * x)


def forward_inside(x):
    y, t = tl.jvp(lambda v: v**3 + x * v, (2.0 * x,), (x,))
    return y * t


def reverse_inside(x):
    y, pullback = tl.vjp(lambda v, w: v * w + x, x, 2.0)
    a, b = pullback(x * x)
    return y * a + b


def linear_map_inside(x):
    y, linear = tl.linearize(lambda v: math.exp(v) * x, x)
    return y * linear(x) + linear(1.0)


def value_and_slope(x):
    value, slope = tl.value_and_grad(lambda d: d["a"] ** 2 * d["b"] * x)({"a": x, "b": 3.0})
    return value * slope["a"] + slope["b"]


def perturbations_are_not_confused(x):
    """d/dx (x * d/dy (x + y)) is 1, not 2."""
    return x * tl.jvp(lambda y: x + y, (1.0,), (1.0,))[1]


def stopped(x):
    return x * tl.stop_gradient(x) - 0.5 * x * x


def in_a_loop(x):
    y = x
    for _ in range(3):
        y = y - 0.1 * tl.grad(lambda v: (v * v - x) ** 2)(y)
    return y


@pytest.mark.parametrize("x", [0.4, 1.2])
@pytest.mark.parametrize(
    "program",
    [
        slope_of_a_closure,
        slope_at_an_active_point,
        third_derivative,
        forward_inside,
        reverse_inside,
        linear_map_inside,
        value_and_slope,
        perturbations_are_not_confused,
        in_a_loop,
    ],
)
def test_transformations_of_floats_inside(program, x):
    check(program, x)


def test_stop_gradient():
    assert tl.grad(stopped)(0.7) == pytest.approx(0.0, abs=1e-15)
    assert tl.jvp(stopped, (0.7,), (1.0,))[1] == pytest.approx(0.0, abs=1e-15)


def slope_of_a_sum(x):
    w = np.array([0.3, -0.2]) * x[0]
    return tl.grad(lambda v: np.sum(v * v) * x[1])(w) * x


def slope_of_a_mean(x):
    return tl.grad(lambda v: np.mean(np.tanh(v * x)))(np.array([0.5, 0.1, -0.3])) + x.sum()


def steps_in_place(x):
    w = x.copy()
    slope = tl.grad(lambda v: ((v * x - 1.0) ** 2).sum())
    for _ in range(2):
        w -= 0.1 * slope(w)
    return w


@pytest.mark.parametrize("program", [slope_of_a_sum, slope_of_a_mean, steps_in_place])
def test_transformations_of_arrays_inside(program):
    size = 2 if program is slope_of_a_sum else 3
    check(program, np.array([0.4, -0.8, 1.1])[:size])
