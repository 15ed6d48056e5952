"""Arrays that are computed late, where control may have left before: every path finds them computed."""

import numpy as np
import pytest

from .staged import check


def returned(a, x):
    y = a * x
    if x > 1.0:
        return y
    a[0] = 5.0
    return y * a[0]


def changed(a, x):
    if x > 1.0:
        return
    a[0] = 5.0


def changed_inside(a, x):
    y = a * x
    changed(a, x)
    return y


def continued(a, x):
    y = a * x
    for i in range(3):
        if x > 1.0 + i:
            continue
        a[i] = y[i + 1] * x
        y = a * y
    return y


def broken(a, x):
    y = a * x
    z, total = y + a, 0.0
    for i in range(3):
        if x > 1.0 + i:
            break
        a[i] = z[i + 1] * x
        total += y[i]
    return y + z * total


def caught(a, x):
    held = [a * x]
    try:
        if x > 1.0:
            raise ValueError
        a[0] = 3.0
    except ValueError:
        a[1] = 7.0
    return held[0] + a


def returned_twice(a, x):
    y = a * x
    z = y * 2
    if x > 1.5:
        return z
    if x > 1.0:
        return y
    changed(a, x - 0.5)
    return z + y + a


@pytest.mark.parametrize("f", [returned, changed_inside, continued, broken, caught, returned_twice])
def test_what_was_computed_before_control_left(f):
    for x in (0.2, 0.7, 1.2, 1.7, 2.5, 3.5):
        check(f, np.array([3.0, 1.0, 2.0, 0.5]), x)
