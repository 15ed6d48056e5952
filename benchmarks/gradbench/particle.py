"""particle: steer a charged particle through the origin, by descent on a simulation that differentiates.

The simulation's forces are the gradient of a potential; the descent needs the derivative of the whole
simulation by the place of one of the charges.
"""

import numpy as np

from benchmarks.gradbench.descent import MODES, argmin

EXPECTED = 0.2071918746486116  # published with GradBench, from w = 0


def potential(x, charges):
    total = 0.0
    for charge in charges:
        total += 1.0 / np.sqrt(np.sum((x - charge) ** 2))
    return total


def miss(w, gradient, dt=0.1):
    """The squared distance from the origin at which the particle crosses the axis, by Euler's method."""
    charges = [np.array([10.0, 10.0 - w[0]]), np.array([10.0, 0.0])]
    x, velocity = np.array([0.0, 8.0]), np.array([0.75, 0.0])
    while True:
        force = -gradient(potential)(x, charges)
        x = x + dt * velocity
        if x[1] <= 0:
            crossing = x - x[1] / velocity[1] * velocity
            return crossing[0] ** 2
        velocity = velocity + dt * force


def particle(w, outer, inner, rate=1e-5):
    """The control that minimises the miss; `outer` and `inner` are "f" or "r"."""
    return argmin(lambda w: miss(w, MODES[inner]), MODES[outer], np.array([w]), rate)[0]


def data():
    return (0.0,)
