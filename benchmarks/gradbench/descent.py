"""Gradient descent with the step rule that `particle` and `saddle` are defined by.

The gradient is a transformation that is handed in, so that a descent inside a differentiated program can
use forward or reverse mode.
"""

import numpy as np

import tapeless as tl


def forward(f):
    return tl.jacfwd(f)


def reverse(f):
    return tl.grad(f)


MODES = {"f": forward, "r": reverse}


def argmin(f, gradient, x, rate=1e-5):
    value, slope = f(x), gradient(f)(x)
    improved = 0
    while np.linalg.norm(slope) > 1e-5:
        if improved == 10:
            rate *= 2
            improved = 0
        else:
            trial = x - rate * slope
            if np.linalg.norm(x - trial) <= 1e-5:
                break
            trial_value = f(trial)
            if trial_value < value:
                x, value, slope = trial, trial_value, gradient(f)(trial)
                improved += 1
            else:
                rate /= 2
                improved = 0
    return x


def argmax(f, gradient, x, rate=1e-5):
    return argmin(lambda x: -f(x), gradient, x, rate)


def maximum(f, gradient, x, rate=1e-5):
    return f(argmax(f, gradient, x, rate))
