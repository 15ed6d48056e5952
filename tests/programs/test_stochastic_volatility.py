"""Sensitivities of simulated prices with fixed noise."""

import stochastic_volatility as sv
from stochastic_volatility import Asian, Barrier, Heston

from checking import check

NOISE = sv.fixed_noise(8, 6)


def barrier_by_numbers(spot, variance, reversion, correlation):
    model = Heston(reversion, 0.05, 0.3, correlation)
    return sv.price(model, Barrier(1.0, 0.7), spot, variance, NOISE)


def asian_by_model(model):
    return sv.price(model, Asian(1.0), 1.1, 0.04, NOISE)


def all_paths(spot, vol_of_vol):
    return Heston(1.5, 0.05, vol_of_vol, -0.5).paths(spot, 0.04, NOISE, 0.125)


def by_noise(noise):
    return sv.price(Heston(1.5, 0.05, 0.3, -0.5), Barrier(1.0, 0.7), 1.0, 0.04, noise)


def test_barrier_by_numbers():
    check(barrier_by_numbers, 1.0, 0.04, 1.5, -0.6, step=1e-3)


def test_asian_by_the_model():
    check(asian_by_model, Heston(1.5, 0.05, 0.3, -0.6), step=1e-3)


def test_paths():
    check(all_paths, 1.0, 0.3, step=1e-3)


def test_by_the_noise():
    check(by_noise, NOISE[:4, :, :3], step=1e-3)
