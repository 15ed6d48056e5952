"""llsq: the least-squares misfit of a polynomial to a step, by the polynomial's coefficients."""

import numpy as np


def misfit(x, n):
    """Half the squared distance of the polynomial with coefficients `x` from a step, at n points."""
    t = -1.0 + 2.0 * np.arange(n) / (n - 1)
    residual = np.sign(t)
    power = np.ones(n)
    for coefficient in x:
        residual -= coefficient * power
        power *= t
    return 0.5 * np.sum(residual**2)


def data(n=1024, m=128):
    return np.random.default_rng(31337).random(m), n
