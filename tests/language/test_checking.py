"""The checker is checked: the honest stand-in passes, and every way of being wrong is caught."""

import copy
import math

import numpy as np
import pytest
from stand_in import StandIn

from checking import check, vector


def cubic(x, y):
    return {"first": x * x * y, "rest": [np.sum(x) ** 3 * np.ones(2), x[0] * x[1]]}


def scalar_cubic(x, y):
    return float(np.sum(x**3) * np.sum(y) + x[0] * y[1])


def stores(x, y):
    z = x * x
    z[1] = 3.0 * y[1]
    return z * y


def stores_dropped(x, y):
    z = x * x
    return z * y


def through_a_view(x, y):
    z = x * y
    v = z[::-1]
    v[0] *= x[0]
    return z


def alias_missed(x, y):
    z = x * y
    v = z[::-1].copy()
    v[0] *= x[0]
    return z


def mutates(x, y):
    x[0] = y[0] * y[1]
    print("mutated")
    return np.sum(x * x)


def fails(x, y):
    x[0] = 7.0
    print("about to fail")
    raise ValueError("no", 3)


PROGRAMS = [cubic, scalar_cubic, stores, through_a_view, mutates, fails]
X, Y = np.array([0.4, -0.8, 1.1]), np.array([0.9, 0.2, -0.6])


class Scaled(StandIn):
    """Every derivative is 0.05 % too large, in one entry or in all."""

    def __init__(self, entry=None):
        self.entry = slice(None) if entry is None else entry

    def jacobian_of(self, f, args):
        jacobian = super().jacobian_of(f, args)
        jacobian[self.entry] *= 1.0005
        return jacobian


class Wrong(StandIn):
    """Differentiates another program than it runs."""

    def __init__(self, other):
        self.other = other

    def program(self, f):
        return self.other


class WrongTranspose(StandIn):
    """Reverse mode alone is wrong by 0.05 %."""

    def transpose(self, linear):
        linear.jacobian = linear.jacobian * 1.0005
        return super().transpose(linear)


class UsedUp(StandIn):
    """A pullback that consumes its record."""

    def transpose(self, linear):
        pullback = super().transpose(linear)

        def once(cotangent):
            result = pullback(cotangent)
            linear.jacobian = linear.jacobian * 0.0
            return result

        return once


class KeepsArguments(StandIn):
    """Residuals are the caller's own arrays: they change under its feet."""

    def linearize(self, f, *args):
        out, linear = super().linearize(f, *args)
        linear.arguments = args
        return out, linear

    def transpose(self, linear):
        def pullback(cotangent):
            linear.jacobian = self.jacobian_of(cubic, linear.arguments)
            return StandIn.transpose(self, linear)(cotangent)

        return pullback


class KeepsResults(StandIn):
    """Residuals are the arrays that were returned."""

    def linearize(self, f, *args):
        out, linear = super().linearize(f, *args)
        linear.result, linear.was = out, vector(out)
        return out, linear

    def transpose(self, linear):
        linear.jacobian = linear.jacobian * (vector(linear.result) / linear.was)[:, None]
        return super().transpose(linear)


class ReturnsStorage(StandIn):
    """The gradient is the storage of the linear map."""

    def transpose(self, linear):
        pullback, kept = super().transpose(linear), []

        def same_storage(cotangent):
            if not kept:
                kept.append(pullback(cotangent))
            return kept[0]

        return same_storage


class ReturnsArguments(StandIn):
    """The gradient is the argument itself, with the right numbers in it."""

    def linearize(self, f, *args):
        out, linear = super().linearize(f, *args)
        linear.arguments = args
        return out, linear

    def transpose(self, linear):
        pullback = super().transpose(linear)

        def into_arguments(cotangent):
            for argument, g in zip(linear.arguments, pullback(cotangent), strict=True):
                argument[...] = g
            return linear.arguments

        return into_arguments


class RunsTwice(StandIn):
    """Side effects happen twice."""

    def linearize(self, f, *args):
        f(*copy.deepcopy(args))
        return super().linearize(f, *args)


class OnACopy(StandIn):
    """The caller's arguments do not see the stores."""

    def linearize(self, f, *args):
        return super().linearize(f, *copy.deepcopy(args))


class Rounds(StandIn):
    """The value is right to 1e-15 only."""

    def linearize(self, f, *args):
        out, linear = super().linearize(f, *args)
        return out * (1.0 + 3e-16), linear


class Swallows(StandIn):
    """Another exception than the program's."""

    def linearize(self, f, *args):
        try:
            return super().linearize(f, *args)
        except ValueError as e:
            raise RuntimeError("internal") from e


class NoneForZero(StandIn):
    """None for an argument that the result does not depend on."""

    def transpose(self, linear):
        pullback = super().transpose(linear)
        return lambda ct: tuple(g if np.any(g) else None for g in pullback(ct))


class WrongType(StandIn):
    """Gradients of floats come back as arrays."""

    def transpose(self, linear):
        pullback = super().transpose(linear)
        return lambda ct: tuple(np.array(g) for g in pullback(ct))


class WrongSecondOrder(StandIn):
    """First derivatives are right; the derivative of a gradient is wrong by 0.05 %."""

    def grad(self, f, argnums=0):
        gradient = super().grad(f, argnums)
        gradient.is_gradient = True
        return gradient

    def jacobian_of(self, f, args):
        jacobian = super().jacobian_of(f, args)
        return jacobian * 1.0005 if getattr(f, "is_gradient", False) else jacobian


class Warns(StandIn):
    """A floating-point warning that the plain program does not give."""

    def linearize(self, f, *args):
        np.float64(1.0) / np.float64(0.0)
        return super().linearize(f, *args)


@pytest.mark.parametrize("program", PROGRAMS)
def test_honest_derivatives_pass(program):
    check(program, X, Y, order=1, api=StandIn())


def test_honest_second_order_passes():
    check(scalar_cubic, X[:2], Y[:2], api=StandIn())
    check(lambda x: x**3 + 2.0 * x, 0.7, api=StandIn())


def product(x, y):
    return x * y


def of_first(x, y):
    return x * x


CASES = [
    ("against finite differences", Scaled(), cubic, (X, Y)),
    ("against finite differences", Scaled((3, 1)), cubic, (X, Y)),
    ("against finite differences", Wrong(stores_dropped), stores, (X, Y)),
    ("against finite differences", Wrong(alias_missed), through_a_view, (X, Y)),
    ("against finite differences", Wrong(lambda x, y: 0.0 * x * y), product, (0.3, 0.4)),
    ("vjp against finite differences", WrongTranspose(), cubic, (X, Y)),
    ("called again gave another", UsedUp(), cubic, (X, Y)),
    ("no finite|nan", KeepsArguments(), cubic, (X, Y)),
    ("nan", KeepsResults(), stores, (X, Y)),
    ("called again gave another", ReturnsStorage(), cubic, (X, Y)),
    ("gradient shares memory", ReturnsArguments(), cubic, (X, Y)),
    ("printed", RunsTwice(), mutates, (X, Y)),
    ("arguments afterwards", OnACopy(), mutates, (X, Y)),
    ("the plain program has", Rounds(), product, (0.3, 0.4)),
    ("raised RuntimeError", Swallows(), fails, (X, Y)),
    ("float expected", NoneForZero(), of_first, (0.3, 0.4)),
    ("float expected", WrongType(), product, (0.3, 0.4)),
    ("warns", Warns(), product, (0.3, 0.4)),
]


NAMES = [f"{i}-{type(case[1]).__name__}" for i, case in enumerate(CASES)]


@pytest.mark.parametrize(("message", "broken", "program", "args"), CASES, ids=NAMES)
def test_broken_derivatives_are_caught(message, broken, program, args):
    with pytest.raises(AssertionError, match=message):
        check(program, *args, order=1, api=broken)


def test_wrong_second_derivative_is_caught():
    def program(x):
        return x**3 * math.pi

    check(program, 0.7, order=1, api=WrongSecondOrder())
    with pytest.raises(AssertionError, match="jvp of grad against finite differences"):
        check(program, 0.7, api=WrongSecondOrder())


def test_a_program_that_is_not_a_function_of_its_arguments_is_refused():
    calls = []

    def program(x):
        calls.append(x)
        return x * len(calls)

    with pytest.raises(AssertionError, match="run twice"):
        check(program, 0.7, api=StandIn())


def test_a_jump_is_refused():
    with pytest.raises(AssertionError, match="no finite difference"):
        check(lambda x: x * x if x > 0.7 else 0.0, 0.7, api=StandIn())
