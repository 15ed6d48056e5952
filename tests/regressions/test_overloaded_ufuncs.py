"""Classes that overload NumPy's functions by `__array_ufunc__` and `__array_function__`."""

import numpy as np

import tapeless as tl
from checking import check


class Doubling:
    def __init__(self, value):
        self.value = value

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        plain = [a.value if isinstance(a, Doubling) else a for a in inputs]
        return Doubling(getattr(ufunc, method)(*plain, **kwargs) * 2.0)

    def __array_function__(self, function, types, args, kwargs):
        return function(args[0].value, *args[1:], **kwargs) * 3.0


def test_methods_of_ufuncs_by_name():
    def f(x):
        y = np.sin(Doubling(x))
        z = np.multiply(x, y)
        return z.value.sum() + np.mean(y) + np.sum(Doubling(x))

    check(f, np.array([0.3, 1.2, -0.7]))


class Metres(np.ndarray):
    """An array with a factor, whose operators are NumPy's and ask `__array_ufunc__`, as units do."""

    factor = 1.0

    def __new__(cls, values, factor):
        self = np.array(values, dtype=float).view(cls)
        self.factor = factor
        return self

    def __array_finalize__(self, other):
        super().__array_finalize__(other)
        self.factor = getattr(other, "factor", 1.0)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        plain = [a.view(np.ndarray) * a.factor if isinstance(a, Metres) else a for a in inputs]
        if out is None:
            return Metres(super().__array_ufunc__(ufunc, method, *plain, **kwargs), 1.0)
        (target,) = out
        value = super().__array_ufunc__(ufunc, method, *plain, **kwargs)
        target.view(np.ndarray)[...] = value / target.factor
        return target

    def __array_function__(self, function, types, args, kwargs):
        return super().__array_function__(function, types, args, kwargs) + 1.0


def test_operators_that_ask_for_ufuncs():
    def f(x):
        a = Metres([x, 2.0 * x], x)
        b = 3.0 * a - a / x + a**2 + (-a) * np.float64(2.0) + abs(-a)
        b += a
        b *= 0.5
        return float(b[0] * b[1]) + float(np.sum(a)) + float(a.sum()) + float(np.add.reduce(a))

    tl.check_grads(f, (1.3,), order=2)
    assert tl.value_and_grad(f)(1.3)[0] == f(1.3)


def test_functions_of_arrays_that_are_handed_back():
    def f(x):
        a = Metres([x, 2.0], 1.5)
        return float(np.mean(a) + np.dot(np.asarray(a), [x, 1.0]))

    tl.check_grads(f, (1.3,), order=1)
