"""Compiled: derivatives of functions that return lists made in loops were zero."""

import math

import numpy as np
import pytest

import tapeless as tl


def of_floats(x):
    found = []
    for i in range(len(x)):
        found.append(math.exp(x[i]))
    return found


def of_two_classes(x):
    found = [x[0]]
    for i in range(1, len(x)):
        total = 0
        for j in range(i):
            total += x[j] ** 2
        found.append(total)
    found.append(math.sin(x[0]))
    return {"found": found}


def pushed(f, x, v):
    return tl.jvp(f, (x,), (v,))[1]


def pulled(f, x, v):
    y, pull = tl.vjp(f, x)
    return pull(y)[0]


def mapped(f, x, v):
    return tl.linearize(f, x)[1](v)


def flat(y):
    return np.ravel(y["found"] if isinstance(y, dict) else y)


@pytest.mark.parametrize("how", [pushed, pulled, mapped])
@pytest.mark.parametrize("f", [of_floats, of_two_classes])
def test_derivatives(f, how):
    x = np.linspace(0.3, 1.1, 7)
    want = how(f, x, x * 0.5)
    assert np.allclose(flat(tl.jit(lambda x, v: how(f, x, v))(x, x * 0.5)), flat(want), rtol=1e-12)


def test_something_else_on_another_path():
    def f(x):
        return [x * x, x if x > 0.5 else None]

    with pytest.raises(tl.errors.NotCompilable, match="on another path"):
        tl.jit(lambda x: tl.jvp(f, (x,), (1.0,)))(0.7)


def test_a_list_that_is_stopped():
    def f(x):
        return sum(tl.stop_gradient(of_floats(x))) * x[0]

    x = np.linspace(0.3, 1.1, 7)
    assert np.allclose(tl.jit(tl.grad(f))(x), tl.grad(f)(x), rtol=1e-12)
