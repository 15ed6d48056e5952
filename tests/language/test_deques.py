"""Deques: repeated, added, extended by themselves, with and without a greatest length."""

from collections import deque

import pytest

from checking import check


def joined(x):
    d = deque([x, 2.0 * x], maxlen=3) + deque([3.0 * x, 4.0 * x * x])
    return d[0] * d[2]


def repeated(x):
    d = deque([x, 2.0]) * 2
    e = 2 * deque([x, x * x], maxlen=3)
    return d[2] * e[0] + e[1] * len(e)


def repeated_in_place(x):
    d = deque([x, 2.0, x * x], maxlen=4)
    d *= 2
    d *= 1
    e = deque([x, 3.0])
    e *= 0
    return d[0] * d[1] + d[3] + len(e)


def extended_by_itself(x):
    d = deque([x, 2.0])
    d.extend(d)
    d += d
    e = deque([x * x, x, 3.0], maxlen=5)
    e.extendleft(e)
    return d[2] * d[4] + e[0] * e[1] + e[2] * e[4]


@pytest.mark.parametrize("f", [joined, repeated, repeated_in_place, extended_by_itself])
def test_deque(f):
    check(f, 1.7)


def test_items_given_by_name():
    class Longer(deque):
        pass

    def f(x):
        return deque(iterable=[x, x * x], maxlen=1)[0] * Longer(iterable=[x, 3.0 * x])[1]

    check(f, 0.7)
