"""Long loops over plain numbers, for the cost of a step: 10⁴ to 10⁷ of them."""

import math

import numpy as np

from benchmarks.kernels import LOOP, Kernel


def leapfrog(steps, angle, speed, dt):
    """A pendulum."""
    for _ in range(steps):
        speed -= 0.5 * dt * math.sin(angle)
        angle += dt * speed
        speed -= 0.5 * dt * math.sin(angle)
    return 0.5 * speed * speed + angle


def runge_kutta(steps, prey, hunters, a, b, c, d, dt):
    """Lotka and Volterra's populations by the classical method of fourth order."""
    for _ in range(steps):
        k1 = a * prey - b * prey * hunters
        m1 = d * prey * hunters - c * hunters
        x, y = prey + 0.5 * dt * k1, hunters + 0.5 * dt * m1
        k2 = a * x - b * x * y
        m2 = d * x * y - c * y
        x, y = prey + 0.5 * dt * k2, hunters + 0.5 * dt * m2
        k3 = a * x - b * x * y
        m3 = d * x * y - c * y
        x, y = prey + dt * k3, hunters + dt * m3
        k4 = a * x - b * x * y
        m4 = d * x * y - c * y
        prey += dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        hunters += dt / 6.0 * (m1 + 2.0 * m2 + 2.0 * m3 + m4)
    return prey + 2.0 * hunters


def monte_carlo(draws, spot, strike, rate, sigma, maturity):
    """A European call, one draw a path."""
    total = 0.0
    for i in range(draws.shape[0]):
        drift = (rate - 0.5 * sigma * sigma) * maturity
        final = spot * math.exp(drift + sigma * math.sqrt(maturity) * draws[i])
        if final > strike:
            total += final - strike
    return math.exp(-rate * maturity) * total / draws.shape[0]


def asian_option(draws, spot, strike, rate, sigma, maturity):
    """A call on the mean price along each path."""
    paths, steps = draws.shape
    dt = maturity / steps
    total = 0.0
    for i in range(paths):
        price, mean = spot, 0.0
        for j in range(steps):
            price *= math.exp((rate - 0.5 * sigma * sigma) * dt + sigma * math.sqrt(dt) * draws[i, j])
            mean += price / steps
        total += max(mean - strike, 0.0)
    return math.exp(-rate * maturity) * total / paths


def random_walk(steps, volatility, pull):
    """A process pulled back to nought, its noise from a generator of the program's own."""
    seed, x, total = 12345, 0.5, 0.0
    for _ in range(steps):
        seed = (1103515245 * seed + 12345) % 2147483648
        noise = seed / 2147483648.0 - 0.5
        x += 0.01 * (volatility * noise * (1.0 + 0.1 * x * x) - pull * x)
        total += x * x
    return total / steps


def powers(steps, x):
    """Powers by halving the exponent: calls inside calls, as deep as the exponent asks for."""
    total = 0.0
    for i in range(steps // 16):
        total += power(x, i % 1000)
    return total


def power(x, n):
    if n == 0:
        return 1.0
    if n % 2 == 0:
        half = power(x, n // 2)
        return half * half
    return x * power(x, n - 1)


def make_leapfrog(steps):
    return steps, 1.2, 0.3, 10.0 / steps


def make_runge_kutta(steps):
    return steps, 1.0, 0.5, 1.1, 0.4, 0.4, 0.1, 5.0 / steps


def make_monte_carlo(paths):
    return np.random.default_rng(42).standard_normal(paths), 100.0, 105.0, 0.02, 0.2, 0.5


def make_asian(steps):
    draws = np.random.default_rng(42).standard_normal((steps // 10, 10))
    return draws, 100.0, 101.0, 0.02, 0.2, 0.5


def make_walk(steps):
    return steps, 3.0, 0.7


def make_powers(steps):
    return steps, 1.0001


LENGTHS = (10_000, 100_000, 1_000_000, 10_000_000)
SIZES_OF_ALL = ((20,), LENGTHS[:1], LENGTHS[2:3])
KERNELS = [
    Kernel(leapfrog, make_leapfrog, SIZES_OF_ALL, (1, 2, 3), LOOP),
    Kernel(runge_kutta, make_runge_kutta, SIZES_OF_ALL, (1, 2, 3, 4, 5, 6, 7), LOOP),
    Kernel(monte_carlo, make_monte_carlo, SIZES_OF_ALL, (1, 2, 3, 4, 5), LOOP),
    Kernel(asian_option, make_asian, SIZES_OF_ALL, (1, 2, 3, 4, 5), LOOP),
    Kernel(random_walk, make_walk, SIZES_OF_ALL, (1, 2), LOOP),
    Kernel(powers, make_powers, SIZES_OF_ALL, (1,), LOOP),
]
