"""What went wrong in packages that nobody here wrote."""

import functools
from fractions import Fraction

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


class ByType:
    """A method that looks at the type of its argument, as `multipledispatch` makes them."""

    def __init__(self):
        self.table, self.obj = [], None

    def of(self, kind):
        def add(f):
            self.table.append((kind, f))
            return self

        return add

    def __get__(self, obj, cls):
        self.obj = obj
        return self

    def __call__(self, other):
        for kind, f in self.table:
            if isinstance(other, kind):
                return f(self.obj, other)
        return NotImplemented


times = ByType()


class Length:
    def __init__(self, value):
        self.value = value

    @times.of(float)
    def __mul__(self, other):
        return Length(self.value * other)

    @times.of(object)
    def __mul__(self, other):  # noqa: F811
        return self.value * other.value

    @functools.singledispatchmethod
    def __add__(self, other):
        return NotImplemented

    @__add__.register
    def _(self, other: float):
        return Length(self.value + other)

    __neg__ = functools.partialmethod(lambda self, k: Length(k * self.value), -1.0)


def test_special_methods_that_are_objects():
    check(lambda x: (Length(x) * x) * -(Length(2.0 * x) + x), 0.7)


class Column(np.ndarray):
    """An array with an operator that is an object of its own."""

    shifted = ByType()

    @shifted.of(float)
    def __add__(self, other):
        return np.asarray(self) + 2.0 * other


def test_operators_of_arrays_that_are_objects():
    check(lambda x: X.view(Column) + x, 0.7)


class Number:
    """A number as those who write their own differentiation do it: all operators, and a field."""

    def __init__(self, value):
        self.value = value

    def __add__(self, other):
        return Number(self.value + (other.value if isinstance(other, Number) else other))

    def __mul__(self, other):
        return Number(self.value * (other.value if isinstance(other, Number) else other))

    def __neg__(self):
        return self * -1.0

    def __pow__(self, n):
        return Number(self.value**n)

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return other * self**-1

    __radd__, __rmul__ = __add__, __mul__


def test_constant_numbers_of_a_class_meet_floats():
    weight, bias = Number(2.0), Number(0.5)

    def f(x):
        return sum((weight * v for v in (x, x * x)), bias).value + (x / weight).value * (x + bias).value

    check(f, 0.7)


def test_ragged_arrays_of_arrays():
    def f(x):
        given = [np.array([x, 2.0 * x]), np.zeros(3), 100]
        held = np.squeeze(np.asarray(given, dtype=object))
        held[1][2] = x * x
        return held[0][1] * held[1][2] + held[2] * x

    check(f, 0.7)


def test_arrays_of_objects_that_are_computed_with_are_refused():
    def f(x):
        return (np.array([np.array([x, 2.0 * x]), np.zeros(3)], dtype=object) * 2.0)[0][1]

    with pytest.raises(tl.TapelessError):
        tl.grad(f)(0.7)


def test_a_constant_fraction_less_an_array():
    check(lambda x: x * float(abs(Fraction(1, 2) - np.array(0.25))) + Fraction(1, 2) * x, 0.7)


class Field(np.ndarray):
    """Values with a gradient beside, as finite elements have them."""

    def __new__(cls, value, slope=None):
        made = np.asarray(value).view(cls)
        made.slope = slope
        return made

    def __array_finalize__(self, other):
        if other is not None:
            self.slope = getattr(other, "slope", None)


def test_arrays_as_attributes_of_arrays():
    def f(x):
        u = Field(np.array([x, x * x]), np.array([x, 3.0 * x]))
        return u[0] * u.slope[1] + (u * 2.0).slope[0] + u.copy()[1]

    check(f, 0.7)


def solved(a):
    total = a.sum()
    for i in range(a.shape[0]):
        total = total + (np.linalg.pinv(a[: i + 1, :i]) @ a[: i + 1, 0]).sum()
    return total


def test_the_inverse_of_a_matrix_without_columns():
    check(solved, np.arange(9.0).reshape(3, 3) + np.eye(3), native=True)
