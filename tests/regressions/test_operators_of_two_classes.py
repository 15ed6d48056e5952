"""Operators between a builtin class and one with reflected methods in Python.

Where the Python method wanted nothing of it, the builtin's result had no derivative, silently; and sequences
were asked for `+` and `*` before the methods of numbers, which Python does the other way round.
"""

import numpy as np
import pytest

import tapeless as tl


class Items(list):
    def __radd__(self, other):
        return NotImplemented


class Pair(tuple):
    def __radd__(self, other):
        return NotImplemented


class Table(dict):
    def __ror__(self, other):
        return NotImplemented


class Bag(set):
    def __ror__(self, other):
        return NotImplemented

    def __rsub__(self, other):
        return NotImplemented


class Real(float):
    def __rmul__(self, other):
        return NotImplemented

    def __rdivmod__(self, other):
        return NotImplemented


class Count(int):
    def __rmul__(self, other):
        return NotImplemented


class Unit:
    """As units of measurement do."""

    asked = 0

    def __rmul__(self, other):
        Unit.asked += 1
        return np.array(other)

    def __radd__(self, other):
        return other

    def __rmod__(self, other):
        raise AssertionError("a text is asked for % first")

    def __str__(self):
        return "unit"


def extended(x):
    a = b = [x, 2.0 * x]
    a += Items([x])
    return a[0] * a[2] + len(b)


def answered_by_the_other(x):
    a = [x, 2.0 * x]
    a += Unit()
    b = a
    b *= np.array([1.0, x])
    return a[0] * a[1] + b[1]


CASES = {
    "list + list": lambda x: ([x, 1.0] + Items([2.0 * x]))[0] * x,
    "tuple + tuple": lambda x: ((x, 1.0) + Pair((2.0 * x,)))[2] * x,
    "dict | dict": lambda x: ({1: x} | Table({2: x * x}))[1] * x,
    "set | set": lambda x: sum({x} | Bag({x * x})),
    "set - set": lambda x: sum({x, 1.0} - Bag({1.0})),
    "float * float": lambda x: x * Real(2.0) * x,
    "divmod": lambda x: divmod(x, Real(1.5))[1] * x,
    "float * int": lambda x: x * Count(2) * x,
    "list * int": lambda x: ([x] * Count(2))[1] * x,
    "list * unit": lambda x: np.sum([x, 2.0] * Unit()) * x,
    "list + unit": lambda x: ([x, 2.0] + Unit())[0] * x,
    "tuple + unit": lambda x: ((x,) + Unit())[0] * x,
    "str + unit": lambda x: len("ab" + Unit()) * x,
    "str % unit": lambda x: len("%s" % Unit()) * x,  # noqa: UP031
    "list += list": extended,
    "list += unit": answered_by_the_other,
}


@pytest.mark.parametrize("name", CASES)
def test_derivative(name):
    f, x, h = CASES[name], 2.2, 1e-6
    value, slope = tl.value_and_grad(f)(x)
    assert value == f(x) == tl.jvp(f, (x,), (1.0,))[0]
    assert abs(slope - (f(x + h) - f(x - h)) / (2 * h)) < 1e-6
    assert tl.jvp(f, (x,), (1.0,))[1] == pytest.approx(slope)


def test_methods_are_asked_once():
    Unit.asked = 0
    tl.grad(lambda x: np.sum([x, 2.0] * Unit()))(1.0)
    assert Unit.asked == 1


@pytest.mark.parametrize("f", [lambda x: [x] * object(), lambda x: [x] * Items([1.0]), lambda x: [x] + Unit])
def test_errors_are_those_of_python(f):
    with pytest.raises(TypeError) as plain:
        f(1.0)
    with pytest.raises(TypeError) as found:
        tl.grad(f)(1.0)
    assert str(found.value) == str(plain.value)
