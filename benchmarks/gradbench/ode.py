"""ode: a chain of linear differential equations by Runge-Kutta; the last component by all coefficients."""

import numpy as np


def chain(x, y):
    """y'_0 = x_0 and y'_i = x_i y_(i-1)."""
    z = np.empty_like(x)
    z[0] = x[0]
    z[1:] = x[1:] * y[:-1]
    return z


def runge_kutta(x, steps):
    """y(2), from y(0) = 0 in `steps` steps of the classical method."""
    h = 2.0 / steps
    y = np.zeros_like(x)
    for _ in range(steps):
        k1 = chain(x, y)
        k2 = chain(x, y + h * k1 / 2)
        k3 = chain(x, y + h * k2 / 2)
        k4 = chain(x, y + h * k3)
        y += h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
    return y


def last(x, steps):
    return runge_kutta(x, steps)[-1]


def data(n=1000, steps=100):
    return np.random.default_rng(31337).random(n), steps
