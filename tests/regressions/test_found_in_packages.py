"""What went wrong in packages that nobody here wrote."""

import numpy as np
import pytest

import tapeless as tl
from checking import check

X = np.array([1.5, 2.5])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x / [1, 2],
        lambda x: x ** (2, 3),
        lambda x: x / [[1.0, 2.0], [3.0, 4.0]],
        lambda x: [1.0, 3.0] / x,
        lambda x: np.power(x, [2, 3]) + np.true_divide(x, (4.0, 3.0)),
        lambda x: x / [x[1], 2.0],
    ],
)
def test_an_array_by_a_list(f):
    check(f, X)


def rotation(angle):
    if angle < 0.1:
        print("too near to the pole")
        return np.nan
    return np.array([[1.0, angle], [angle, 2.0]])


def turned(angle, v):
    return (rotation(angle) @ v).sum()


def test_an_operator_that_raises_on_one_path():
    check(turned, 0.3, X, native=True)
    with pytest.raises(ValueError):
        tl.jit(turned)(0.05, X)


BRACES = "{}: {p}"


def named(x, p):
    assert p >= 1.0, "p is {p}, {} {q:.2f}".format("of", p=p, q=x)
    print(BRACES.format(x, p=p))
    return x**p


def test_format_by_name():
    check(named, 2.0, 1.5, native=True)
    with pytest.raises(AssertionError, match="p is 0.5, of 2.00"):
        tl.jit(named)(2.0, 0.5)
    assert "print('{}: {p}'.format(" in tl.compiled(named, 2.0, 1.5)
