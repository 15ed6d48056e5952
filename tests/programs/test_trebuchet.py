"""Equations of motion through SciPy's `solve_ivp`, opened through its source.

The step-size control makes the result a function that is smooth between changes of the number of steps only,
so the finite differences use a small step.
"""

import numpy as np
import pytest
import trebuchet
from trebuchet import Trebuchet

from checking import check


def distance(start_angle, counterweight, sling):
    return Trebuchet(counterweight=counterweight, sling=sling).distance(start_angle)


def distance_of(machine):
    return machine.distance(0.6, 0.4)


def release_state(start_angle):
    return Trebuchet().swing(start_angle, 0.3, method="RK23", rtol=1e-3)


@pytest.mark.parametrize("method", ["RK23", "RK45", "DOP853"])
def test_pendulum_by_state_and_parameters(method):
    times = np.array([0.1, 0.25, 0.4])

    def positions(start, length, damping):
        return trebuchet.pendulum_at(start, length, damping, times, method)

    check(positions, np.array([0.5, 0.1]), 1.3, 0.2, order=1, step=1e-4, rtol=1e-5)


def test_throw_by_numbers():
    check(distance, 0.6, 300.0, 4.0, order=1, step=1e-4, rtol=1e-4)


def test_throw_by_the_machine():
    check(distance_of, Trebuchet(), order=1, step=1e-4, rtol=1e-4)


def test_second_order_of_a_short_swing():
    check(release_state, 0.6, step=1e-4, rtol=1e-4)
