"""An array and an object with a reflected method: NumPy converts it, asks it for each element, or yields."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import MissingRuleError


class Number:
    def __init__(self, a):
        self.a = a

    def __rmul__(self, other):
        return type(self)(self.a * other)

    def __rsub__(self, other):
        return type(self)(other - self.a)


class Converted(Number):
    def __array__(self, dtype=None, copy=None):
        return np.array([self.a, 2 * self.a])


class Asked(Number):
    def __array_ufunc__(self, ufunc, method, *inputs, **kw):
        return ufunc(*[3.0 * e.a if isinstance(e, Asked) else e for e in inputs])


class Wants(Number):
    __array_priority__ = 10


class Refuses(Number):
    __array_ufunc__ = None


def read(r):
    if isinstance(r, Number):
        return np.sum(r.a)
    return sum([(k + 1.0) * (e.a if isinstance(e, Number) else e) for k, e in enumerate(np.ravel(r))])


@pytest.mark.parametrize("kind", [Number, Converted, Asked, Wants, Refuses])
@pytest.mark.parametrize("x", [np.array([1.5, 2.5]), np.float64(1.5), np.array(2.5)])
def test_an_array_times_an_object(kind, x):
    def f(t):
        return read(x * kind(t)) * read(x - kind(t))

    def g(t):
        return read(x * t * kind(0.7)) * read(x * t - kind(0.3))

    for fn in (f, g):
        assert tl.value_and_grad(fn)(1.25)[0] == fn(1.25)
        tl.check_grads(fn, (1.25,), order=2)


def test_the_types_of_results():
    def f(t):
        x = np.array([1.5, 2.5])
        return x * Number(t), x * Converted(t), x * Wants(t), x[0] * Number(t), x < Converted(t)

    many, converted, whole, one, less = tl.jvp(f, (1.25,), (1.0,))[0]
    assert many.dtype == object and type(many[1].a) is float and many[1].a == 3.125
    assert type(converted) is np.ndarray and converted.tolist() == [1.875, 6.25]
    assert type(whole) is Wants and type(whole.a) is np.ndarray
    assert type(one) is Number and type(one.a) is float
    assert less.tolist() == [False, False]


def test_a_constant_object_that_is_made_an_array():
    held = Converted(3.0)
    assert tl.grad(lambda x: np.multiply(x, held).sum())(np.array([1.0, 2.0])).tolist() == [3.0, 6.0]
    assert tl.grad(lambda x: np.sum(x * held))(np.array([1.0, 2.0])).tolist() == [3.0, 6.0]


def test_elements_that_would_be_numbers_are_refused():
    class Adds(Number):
        def __radd__(self, other):
            return self.a + other

    with pytest.raises(MissingRuleError, match="operator __add__ of an array and a Adds"):
        tl.grad(lambda t: np.sum(np.array([1.0, 2.0]) + Adds(t)))(1.5)
