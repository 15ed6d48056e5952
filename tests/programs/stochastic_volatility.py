"""The Heston model by an Euler scheme with noise drawn beforehand: prices by the model's parameters."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Heston:
    reversion: float
    mean_variance: float
    vol_of_vol: float
    correlation: float
    rate: float = 0.02

    def step(self, price, variance, noise, dt):
        root = np.sqrt(np.maximum(variance, 0.0))
        price_noise = noise[0]
        variance_noise = self.correlation * noise[0] + np.sqrt(1.0 - self.correlation**2) * noise[1]
        new_price = price * np.exp((self.rate - 0.5 * root**2) * dt + root * np.sqrt(dt) * price_noise)
        drift = self.reversion * (self.mean_variance - np.maximum(variance, 0.0)) * dt
        new_variance = variance + drift + self.vol_of_vol * root * np.sqrt(dt) * variance_noise
        return new_price, new_variance

    def paths(self, spot, variance, noise, dt):
        """All prices, one row a time step."""
        steps, _, count = noise.shape
        prices = np.empty((steps + 1, count))
        prices[0] = spot
        v = np.full(count, variance)
        for k in range(steps):
            prices[k + 1], v = self.step(prices[k], v, noise[k], dt)
        return prices


@dataclass
class Barrier:
    """A call that dies when the price is ever below the barrier, smoothed over a width."""

    strike: float
    barrier: float
    width: float = 0.05

    def payoff(self, prices):
        alive = np.ones(prices.shape[1])
        for row in prices:
            alive *= 0.5 * (1.0 + np.tanh((row - self.barrier) / self.width))
        gain = prices[-1] - self.strike
        return alive * np.logaddexp(0.0, gain / self.width) * self.width


class Asian:
    def __init__(self, strike):
        self.strike = strike

    def payoff(self, prices):
        running = np.zeros(prices.shape[1])
        for k, row in enumerate(prices[1:], start=1):
            running += (row - running) / k
        return np.where(running > self.strike, running - self.strike, 0.0)


def fixed_noise(steps, count, seed=7):
    noise = np.random.default_rng(seed).standard_normal((steps, 2, count))
    return noise - noise.mean(axis=2, keepdims=True)


def price(model, product, spot, variance, noise, maturity=1.0):
    prices = model.paths(spot, variance, noise, maturity / len(noise))
    return np.exp(-model.rate * maturity) * product.payoff(prices).mean()
