"""Results that hold one array, list or object at two places."""

import numpy as np
import pytest

import tapeless as tl

X = np.array([0.3, 0.4, 0.5])


def arrays(x):
    y = np.sin(x)
    return y, [y]


def lists(x):
    found = [np.sin(x), x[0] * x[1]]
    return found, {"again": found}


@pytest.mark.parametrize("program", [arrays, lists])
def test_check_grads_counts_what_is_shared_once(program):
    tl.check_grads(program, (X,))


def test_the_cotangents_of_all_places_are_added():
    one, two = [np.ones(3), 1.0], [2.0 * np.ones(3), 3.0]
    pull = tl.vjp(lists, X)[1]
    alone = tl.vjp(lambda x: lists(x)[0], X)[1]
    expected = alone(one)[0] + alone(two)[0]
    np.testing.assert_allclose(pull((one, {"again": two}))[0], expected, rtol=1e-14)
    pull, w = tl.vjp(arrays, X)[1], np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(pull((w, [2.0 * w]))[0], 3.0 * w * np.cos(X), rtol=1e-14)
