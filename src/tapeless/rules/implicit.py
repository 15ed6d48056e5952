"""The derivative of what an equation determines (implicit function theorem)."""
# The functions are opened like those of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import numpy as np

from tapeless.matrices import jacobian
from tapeless.rules.twins import depth, exactly, plainly, refuse


def implicit(equation, x, name):
    """The vector `x`, which solves equation(x) = 0, with its derivatives.

    Steps of Newton's method with the matrix of the first: each gives one more derivative (Griewank and
    Walther, Evaluating Derivatives, section 15.2).
    """
    matrix = plainly(matrix_at, equation, x)
    if matrix is None:
        refuse(f"the result of {name} has no derivative: the equation that it solves is singular there")
    solution = x
    for _ in range(max(2, depth())):  # a Hessian has the gradient's bits
        step = matrix @ equation(solution)
        if not plainly(small, step, x):
            refuse(f"the result of {name} does not solve its equation, so its derivative is not known")
        solution = exactly(x, solution - step)
    return solution


def matrix_at(equation, x):
    """The inverse of the Jacobian, or None."""
    found = np.reshape(np.asarray(jacobian(equation)(x)), (len(x), len(x)))
    with np.errstate(all="ignore"):
        good = np.isfinite(found).all() and np.linalg.cond(found) < 1e13
    return np.linalg.inv(found) if good else None


def small(step, x):
    """Whether a step of Newton's method stays where it is, as far as a loose tolerance lets one say."""
    return bool(np.linalg.norm(step) <= 1e-3 * (1e-3 + np.linalg.norm(x)))
