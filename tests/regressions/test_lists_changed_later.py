"""A list given to a function and changed afterwards: its derivative is that of the list as it was."""

import numpy as np
import pytest

from checking import check

Y = np.array([0.3, 0.5, 0.7])


def popped(y):
    ys = [y, y * 2.0, y * 3.0]
    a = np.concatenate(ys)
    ys.pop(0)
    return np.sum(a * a)


def shortened(y):
    ys = [y, y * 2.0, y * 3.0]
    a = np.array(ys)
    ys.pop()
    return np.sum(a * a)


def lengthened(y):
    ys = [y, y * 2.0]
    a = np.array(ys)
    ys.append(y)
    return np.sum(a * a)


def reversed_(y):
    ys = [y, y[:2] * 2.0]
    a = np.concatenate(ys)
    ys.reverse()
    return np.sum(a * np.arange(5.0))


def nested(y):
    rows = [[y[0], y[1]], [y[2], y[0]]]
    a = np.array(rows)
    rows[0].reverse()
    rows.append([1.0])
    return np.sum(a * a)


@pytest.mark.parametrize("f", [popped, shortened, lengthened, reversed_, nested], ids=lambda f: f.__name__)
def test_lists_changed_later(f):
    check(f, Y)
