"""Frequency and damping of an oscillator from a few observations, through SciPy's adaptive solver."""

import numpy as np
from scipy.integrate import solve_ivp

import tapeless as tl

TIMES = np.linspace(0.0, 4.0, 9)


def oscillator(t, y, frequency, damping):
    return [y[1], -(frequency**2) * y[0] - damping * y[1]]


def path(parameters):
    start = np.array([1.0, 0.0])
    solution = solve_ivp(
        oscillator, (0.0, 4.0), start, t_eval=TIMES, args=(parameters[0], parameters[1]), rtol=1e-6
    )
    return solution.y[0]


def fit(observed, parameters, steps=6):
    """Gauss-Newton: the Jacobian of the solver's path by its parameters."""
    for _ in range(steps):
        missing = observed - path(parameters)
        slopes = tl.jacfwd(path)(parameters)
        parameters = parameters + np.linalg.lstsq(slopes, missing, rcond=None)[0]
    return parameters


if __name__ == "__main__":
    truth = np.array([1.7, 0.3])
    found = fit(path(truth), np.array([1.4, 0.1]))
    print(f"frequency {found[0]:.6f}, damping {found[1]:.6f}; the truth is {truth}")
    assert np.allclose(found, truth, rtol=1e-5)
