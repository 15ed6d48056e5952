"""Compiled: the `__dict__` of an object is the object's own: what is stored in it is an attribute."""

import pytest

import tapeless as tl
from checking import check


class Bunch:
    def __init__(self, **named):
        self.__dict__.update(named)


def stored(x):
    b = Bunch(p=x)
    b.__dict__["p"] *= 2.0
    b.__dict__["q"] = 3.0 * x
    return b.p * b.q


def read_later(x):
    b = Bunch(p=x, q=x * x)
    held = b.__dict__
    b.p = 5.0 * x
    b.rest = x
    total = 0.0
    for key, value in held.items():
        total += value * len(key)
    held["p"] = 2.0 * held["p"]
    return total * b.p


def in_a_loop(x):
    b = Bunch(p=x)
    held = vars(b)
    for i in range(4):
        held["p"] = b.p * x + i
        b.p += held["p"]
    return b.p + held["p"]


def on_a_path(x):
    b = Bunch(p=x)
    held = b.__dict__ if x > 0.5 else Bunch(p=2.0 * x).__dict__
    held["p"] *= 3.0
    return b.p


@pytest.mark.parametrize("f", [stored, read_later, in_a_loop, on_a_path])
def test_numbers(f):
    check(f, 0.7)
    assert tl.jit(f)(0.3) == pytest.approx(f(0.3))


def test_an_argument():
    def f(b):
        b.__dict__["p"] *= 2.0
        return b.p

    b = Bunch(p=1.5)
    assert tl.jit(f)(b) == 3.0
    assert b.p == 3.0
