"""Calls that warn are made by CPython, as if nothing had been done before."""

import warnings

import numpy as np
import pytest

import tapeless as tl


def warns(x, a):
    a[0] += 1.0
    if x > 1.0:
        warnings.warn("large", stacklevel=2)
    try:
        if x > 2.0:
            warnings.warn("larger", RuntimeWarning, stacklevel=2)
            raise ValueError
    except ValueError:
        x = x * 2.0
    return x * a[0]


def outcome(f, x):
    a = np.ones(2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = f(x, a)
    return value, a.tolist(), [(w.category, str(w.message)) for w in caught]


@pytest.mark.parametrize("make", [lambda f: f, tl.grad, tl.value_and_grad], ids=["value", "grad", "both"])
def test_warnings(make):
    compiled = tl.jit(make(warns))
    for x in (0.5, 1.5, 2.5, 0.5):
        assert outcome(compiled, x) == outcome(make(warns), x)


def test_warnings_that_are_errors():
    compiled = tl.jit(warns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled(0.5, np.ones(2)) == 1.0
        with pytest.raises(UserWarning, match="large"):
            compiled(1.5, np.ones(2))
