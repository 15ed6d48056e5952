"""Subclasses of `ndarray` that are windows on the memory they are given."""

import numpy as np
import pytest

import tapeless as tl


class Quaternion(np.ndarray):
    def __new__(cls, q):
        return super().__new__(cls, q.shape, float, q)


def second(x):
    return float(Quaternion(np.array([x, 2.0 * x]))[1])


def normalised(x):
    q = Quaternion(np.array([x, 2.0 * x, 1.0]))
    q /= x * x
    return float(q[0] * q[1] + q[2])


@pytest.mark.parametrize("f", [second, normalised])
def test_a_window_of_a_subclass(f):
    tl.check_grads(f, (1.5,))
