"""Which operand a maximum or minimum is: at a tie the one that the program chose; NaN as in the program."""

import math

import numpy as np
import pytest

import tapeless as tl

NAN = math.nan
LEFT, RIGHT = (1.0, 0.0), (0.0, 1.0)


class Box:  # whoever keeps a list in an object is not specialised
    pass


# by the pairs: a tie, a NaN on the left, a NaN on the right
PYTHON = (LEFT, LEFT, LEFT)
NUMPY = (LEFT, LEFT, RIGHT)
IGNORING = (LEFT, RIGHT, LEFT)
CASES = {
    "max": (lambda a, b: max(a, b), PYTHON),
    "min": (lambda a, b: min(a, b), PYTHON),
    "max of a list": (lambda a, b: max([a, b]), PYTHON),
    "min by a key": (lambda a, b: min([a, b], key=lambda v: -v), PYTHON),
    "np.maximum": (lambda a, b: np.maximum(a, b), NUMPY),
    "np.minimum": (lambda a, b: np.minimum(a, b), NUMPY),
    "np.fmax": (lambda a, b: np.fmax(a, b), IGNORING),
    "np.fmin": (lambda a, b: np.fmin(a, b), IGNORING),
    "np.max": (lambda a, b: np.max(np.array([a, b])), NUMPY),
    "ndarray.min": (lambda a, b: np.array([a, b]).min(), NUMPY),
    "along an axis": (lambda a, b: np.array([[a, b]]).max(axis=1)[0], NUMPY),
}
PAIRS = [(1.0, 1.0), (NAN, 1.0), (1.0, NAN)]


@pytest.mark.parametrize("name", CASES)
def test_ties_and_nan(name):
    f, wanted = CASES[name]

    def held(a, b):
        box = Box()
        box.pair = [a, b]
        return f(*box.pair)

    for (a, b), want in zip(PAIRS, wanted, strict=True):
        for g in (f, held):
            assert tl.grad(g, argnums=(0, 1))(a, b) == want
            value, by_a = tl.jvp(g, (a, b), (1.0, 0.0))
            assert (by_a, tl.jvp(g, (a, b), (0.0, 1.0))[1]) == want
            assert value == f(a, b) or (math.isnan(value) and math.isnan(f(a, b)))
