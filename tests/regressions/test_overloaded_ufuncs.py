"""Classes that overload NumPy's functions by `__array_ufunc__` and `__array_function__`."""

import numpy as np

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
