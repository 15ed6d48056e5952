"""A trebuchet: a beam with a counterweight and a sling, its motion by SciPy, the range of the throw."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp


@dataclass
class Trebuchet:
    short_arm: float = 1.2
    long_arm: float = 4.8
    sling: float = 4.0
    counterweight: float = 300.0
    projectile: float = 3.0
    pivot_height: float = 4.0
    gravity: float = 9.81

    def inertia(self):
        beam = 20.0 * (self.long_arm + self.short_arm) ** 2 / 12.0
        return beam + self.counterweight * self.short_arm**2

    def equations(self, t, state):
        """State: beam angle, sling angle (both from straight down) and their rates."""
        beam, sling, beam_rate, sling_rate = state
        m, g = self.projectile, self.gravity
        a, b = self.long_arm, self.sling
        difference = beam - sling
        mass = np.array(
            [
                [self.inertia() + m * a * a, m * a * b * np.cos(difference)],
                [m * a * b * np.cos(difference), m * b * b],
            ]
        )
        coupling = m * a * b * np.sin(difference)
        force = np.array(
            [
                -coupling * sling_rate**2 + g * np.sin(beam) * (self.counterweight * self.short_arm - m * a),
                coupling * beam_rate**2 - m * g * b * np.sin(sling),
            ]
        )
        acceleration = np.linalg.solve(mass, force)
        return np.array([beam_rate, sling_rate, acceleration[0], acceleration[1]])

    def swing(self, start_angle, release_time, method="RK45", rtol=1e-5):
        start = np.array([start_angle, -1.2, 0.0, 0.0])
        solution = solve_ivp(self.equations, (0.0, release_time), start, method=method, rtol=rtol, atol=1e-7)
        if not solution.success:
            raise RuntimeError(solution.message)
        return solution.y[:, -1]

    def release(self, state):
        """Position and velocity of the projectile."""
        beam, sling, beam_rate, sling_rate = state
        x = self.long_arm * np.sin(beam) + self.sling * np.sin(sling)
        y = self.pivot_height - self.long_arm * np.cos(beam) - self.sling * np.cos(sling)
        vx = self.long_arm * np.cos(beam) * beam_rate + self.sling * np.cos(sling) * sling_rate
        vy = self.long_arm * np.sin(beam) * beam_rate + self.sling * np.sin(sling) * sling_rate
        return x, y, vx, vy

    def distance(self, start_angle=0.6, release_time=0.5, **options):
        x, y, vx, vy = self.release(self.swing(start_angle, release_time, **options))
        flight = (vy + math.sqrt(vy * vy + 2.0 * self.gravity * max(y, 0.1))) / self.gravity
        return x + vx * flight


def pendulum(t, y, length, damping):
    return [y[1], -9.81 / length * math.sin(y[0]) - damping * y[1]]


def pendulum_at(start, length, damping, times, method="RK45"):
    solution = solve_ivp(
        pendulum, (0.0, times[-1]), start, method=method, t_eval=times, args=(length, damping), rtol=1e-6
    )
    return solution.y
