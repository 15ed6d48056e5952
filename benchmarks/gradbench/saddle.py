"""saddle: min over x of max over y, by descent through ascent: a derivative through an optimisation loop."""

import numpy as np

from benchmarks.gradbench.descent import MODES, argmax, argmin, maximum

EXPECTED = [8.246324826140356e-06] * 4  # published with GradBench, from (1, 1)


def cost(x, y):
    return np.sum(x**2) - np.sum(y**2)


def worst(x, start, gradient, rate=1e-5):
    """max over y, by ascent from `start`: what the outer descent differentiates."""
    return maximum(lambda y: cost(x, y), gradient, start, rate)


def saddle(start, outer, inner, rate=1e-5):
    """The saddle point (x, y); `outer` and `inner` are "f" or "r"."""
    x = argmin(lambda x: worst(x, start, MODES[inner], rate), MODES[outer], start, rate)
    y = argmax(lambda y: cost(x, y), MODES[outer], start, rate)
    return np.concatenate([x, y])


def data():
    return (np.array([1.0, 1.0]),)
