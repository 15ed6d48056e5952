"""The scalar programs for JAX; a loop that ends by its data has no reverse mode there."""

import math

import jax
import jax.numpy as jnp
from jax import lax

jax.config.update("jax_enable_x64", True)


def pendulum(theta, omega):
    def step(_, state):
        theta, omega = state
        omega = omega - 0.005 * 9.81 * jnp.sin(theta)
        theta = theta + 0.01 * omega
        return theta, omega - 0.005 * 9.81 * jnp.sin(theta)

    theta, omega = lax.fori_loop(0, 1000, step, (theta, omega))
    return 0.5 * omega * omega + theta


def powered(x):
    return lax.fori_loop(0, 50, lambda _, y: x * y, 1.0)


def black_scholes(spot, strike, time, rate, sigma):
    spread = sigma * jnp.sqrt(time)
    d1 = (jnp.log(spot / strike) + (rate + 0.5 * sigma * sigma) * time) / spread
    n1 = 0.5 * (1.0 + jax.scipy.special.erf(d1 / math.sqrt(2.0)))
    n2 = 0.5 * (1.0 + jax.scipy.special.erf((d1 - spread) / math.sqrt(2.0)))
    return spot * n1 - strike * jnp.exp(-rate * time) * n2


def smoothed(u, k):
    u = jnp.stack(u)

    def update(i, u):
        return u.at[i].add(k * (u[i - 1] * u[i + 1] - u[i] * u[i]))

    u = lax.fori_loop(0, 20, lambda _, u: lax.fori_loop(1, u.shape[0] - 1, update, u), u)
    return jnp.sum(u * u)


def accounts(rate, deposit):
    def year(_, book):
        cash, bonds, tax = book
        interest = cash * rate
        return cash + deposit + interest, bonds * (1.0 + rate), tax + 0.2 * interest

    cash, bonds, tax = lax.fori_loop(0, 50, year, (100.0, 50.0, 0.0))
    return cash + bonds - tax
