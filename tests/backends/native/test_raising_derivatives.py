"""Derivatives of programs that raise, on their first call too, and by arrays of nothing."""

import numpy as np
import pytest

import tapeless as tl


def refuses_nothing(x):
    if x.size == 0:
        raise ValueError("empty")
    return (x * x).sum()


def never(x):
    raise KeyError("no")


def divides(x):
    return (1.0 / 0) * x


def beyond(x):
    return np.zeros(3)[5] * x


def by_length(x):
    return (x * x).sum() * (1 / len(x))


TRANSFORMS = [
    tl.grad,
    tl.value_and_grad,
    tl.jacobian,
    tl.jacrev,
    tl.jacfwd,
    tl.hessian,
    lambda f: lambda x: tl.jvp(f, (x,), (x,)),
    lambda f: lambda x: tl.hvp(f, (x,), (x,)),
]


@pytest.mark.parametrize("make", TRANSFORMS)
@pytest.mark.parametrize(
    "f, x",
    [
        (refuses_nothing, np.ones(0)),
        (by_length, np.ones(0)),
        (never, 1.0),
        (divides, 1.0),
        (beyond, 1.0),
    ],
)
def test_a_program_that_raises_raises_its_own(make, f, x):
    with pytest.raises(Exception) as wanted:
        make(f)(x)
    with pytest.raises(type(wanted.value)) as got:
        tl.jit(make(f))(x)
    assert str(got.value) == str(wanted.value)


@pytest.mark.parametrize("make", [tl.grad, tl.jacobian, tl.jacfwd, tl.hessian])
def test_an_array_of_nothing_after_longer_ones(make):
    derivative = tl.jit(make(by_length))
    for n in (6, 9):
        np.testing.assert_allclose(derivative(np.ones(n)), make(by_length)(np.ones(n)))
    with pytest.raises(ZeroDivisionError):
        derivative(np.ones(0))
    np.testing.assert_allclose(derivative(np.ones(7)), make(by_length)(np.ones(7)))


def sometimes(x):
    if x > 1.0:
        raise KeyError("no")
    return x * x


def element(x):
    return np.ones(2)[int(x)] * x * x


@pytest.mark.parametrize("inner", [never, sometimes, element])
@pytest.mark.parametrize("make", [tl.grad, tl.jacobian, lambda f: lambda x: tl.jvp(f, (x,), (1.0,))[1]])
def test_a_derivative_that_raises_is_caught_around_it(inner, make):
    def caught(x):
        try:
            return make(inner)(x)
        except (KeyError, IndexError):
            return 7.0 * x

    def last(x):
        found = [0.0]
        try:
            found[0] = make(inner)(x)
        finally:
            found[0] += 1.0
        return found[0]

    compiled = tl.jit(caught)
    for x in (0.5, 2.5, 0.75):
        assert compiled(x) == caught(x)
    if inner is not never:
        assert tl.jit(last)(0.5) == last(0.5)
        with pytest.raises((KeyError, IndexError)):
            tl.jit(last)(2.5)
