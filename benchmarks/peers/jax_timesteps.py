"""Long loops over plain numbers for JAX."""

import jax
import jax.numpy as jnp
from jax import lax

jax.config.update("jax_enable_x64", True)


def leapfrog(steps, angle, speed, dt):
    def step(_, state):
        angle, speed = state
        speed = speed - 0.5 * dt * jnp.sin(angle)
        angle = angle + dt * speed
        return angle, speed - 0.5 * dt * jnp.sin(angle)

    angle, speed = lax.fori_loop(0, steps, step, (angle, speed))
    return 0.5 * speed * speed + angle


def runge_kutta(steps, prey, hunters, a, b, c, d, dt):
    def slope(state):
        x, y = state
        return jnp.stack([a * x - b * x * y, d * x * y - c * y])

    def step(_, state):
        k1 = slope(state)
        k2 = slope(state + 0.5 * dt * k1)
        k3 = slope(state + 0.5 * dt * k2)
        k4 = slope(state + dt * k3)
        return state + dt / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)

    prey, hunters = lax.fori_loop(0, steps, step, jnp.stack([prey, hunters]))
    return prey + 2.0 * hunters


def monte_carlo(draws, spot, strike, rate, sigma, maturity):
    drift = (rate - 0.5 * sigma * sigma) * maturity
    final = spot * jnp.exp(drift + sigma * jnp.sqrt(maturity) * draws)
    return jnp.exp(-rate * maturity) * jnp.mean(jnp.maximum(final - strike, 0.0))


def asian_option(draws, spot, strike, rate, sigma, maturity):
    dt = maturity / draws.shape[1]
    growth = jnp.exp((rate - 0.5 * sigma * sigma) * dt + sigma * jnp.sqrt(dt) * draws)
    mean = jnp.mean(spot * jnp.cumprod(growth, axis=1), axis=1)
    return jnp.exp(-rate * maturity) * jnp.mean(jnp.maximum(mean - strike, 0.0))


def random_walk(steps, volatility, pull):
    def step(_, state):
        seed, x, total = state
        seed = (1103515245 * seed + 12345) % 2147483648
        noise = seed / 2147483648.0 - 0.5
        x = x + 0.01 * (volatility * noise * (1.0 + 0.1 * x * x) - pull * x)
        return seed, x, total + x * x

    _, _, total = lax.fori_loop(0, steps, step, (jnp.int64(12345), 0.5, 0.0))
    return total / steps


def powers(steps, x):
    def step(i, total):
        def bit(k, state):
            value, square = state
            return jnp.where((i % 1000) >> k & 1, value * square, value), square * square

        value, _ = lax.fori_loop(0, 10, bit, (1.0, x))
        return total + value

    return lax.fori_loop(0, steps // 16, step, 0.0)
