"""What compiled programs assign outside themselves: globals, attributes of classes, functions and modules."""

import math
import types

import numpy as np
import pytest

import tapeless as tl

calls = 0
last = None
state = types.ModuleType("state")
state.seen = 0


def by_global(x):
    global calls, last
    for _ in range(5):
        calls += 1
        if x > 0.5:
            x = math.sin(x)
            last = x
    return x * calls


class Base:
    made = 0
    kinds = 1

    def __init__(self, m):
        self.m = m
        Base.made += 1
        type(self).kinds += 1


class Other(Base):
    kinds = 10


def by_class(x):
    first, second = Base(x), Other(2.0 * x)
    return first.m * second.m * second.made + Other.made + first.kinds * second.kinds


def counted(function):
    def wrapper(*args):
        wrapper.calls += 1
        return function(*args)

    wrapper.calls = 0
    return wrapper


@counted
def square(x):
    return x * x


def by_function(x):
    total = square(x) + square(x + 1.0)
    while square.calls < 5:
        total += square(total) * 0.1
    return total


def depth(x, n):
    global calls
    calls += 1
    if n == 0:
        return x
    return math.cos(depth(x, n - 1)) * calls


def by_recursion(x):
    return depth(x, 4)


def by_module(x):
    state.seen = state.seen + 1
    setattr(state, "last", x * x)  # noqa: B010
    return state.last * state.seen


def make():
    count, total = 0, 0.0

    def add(x):
        nonlocal count, total
        count += 1
        total = total + x * x
        return total / count

    return add, lambda: (count, total)


def reset():
    global calls, last
    calls, last, state.seen, state.last = 0, None, 0, None
    Base.made, Base.kinds, Other.kinds, square.calls = 0, 1, 10, 0


def found():
    return calls, last, state.seen, state.last, Base.made, Base.kinds, Other.kinds, square.calls


def outcomes(function):
    reset()
    made = []
    for x in (0.7, 1.3, 0.2):
        made.append((function(x), found()))
    return made


PROGRAMS = [by_global, by_class, by_function, by_recursion, by_module]


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_assigned_is_what_the_plain_program_assigns(program):
    for got, wanted in zip(outcomes(tl.jit(program)), outcomes(program), strict=True):
        np.testing.assert_allclose(got[0], wanted[0], rtol=1e-12)
        assert list(map(type, got[1])) == list(map(type, wanted[1]))
        assert got[1][:1] + got[1][4:] == wanted[1][:1] + wanted[1][4:]
        assert got[1][1] == pytest.approx(wanted[1][1]) and got[1][3] == pytest.approx(wanted[1][3])


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_is_assigned_once_by_a_derivative(program):
    for got, wanted in zip(
        outcomes(tl.jit(tl.value_and_grad(program))), outcomes(tl.value_and_grad(program)), strict=True
    ):
        np.testing.assert_allclose(got[0], wanted[0], rtol=1e-12)
        assert got[1][0] == wanted[1][0] and got[1][4:] == wanted[1][4:]
        assert got[1][1] == pytest.approx(wanted[1][1])

    def plain(x):
        reset()
        return program(x)

    reset()
    slope = tl.jit(tl.grad(program))(1.3)
    assert slope == pytest.approx((plain(1.3 + 1e-6) - plain(1.3 - 1e-6)) / 2e-6, rel=1e-6)


def test_variables_of_an_outer_function():
    (fast, told), (plain, wanted) = make(), make()
    compiled = tl.jit(fast)
    for x in (1.5, 2.5, -1.0):
        assert compiled(x) == pytest.approx(plain(x))
        assert told() == pytest.approx(wanted())
        assert type(told()[0]) is int


def raising(x):
    global calls
    calls += 1
    if x < 0.0:
        raise ValueError(f"negative {x}")
    return math.sqrt(x)


def test_a_call_that_raises_has_assigned_once():
    reset()
    fast = tl.jit(raising)
    assert fast(4.0) == 2.0
    with pytest.raises(ValueError, match="negative"):
        fast(-1.0)
    assert calls == 2


def first_time(x):
    global brand_new
    if x > 1.0:
        brand_new = x
    return brand_new + 1.0


def test_a_global_that_was_not_there():
    globals().pop("brand_new", None)
    fast = tl.jit(first_time)
    with pytest.raises(NameError, match="name 'brand_new' is not defined"):
        fast(0.5)
    assert fast(2.0) == 3.0
    assert globals()["brand_new"] == 2.0
    assert fast(0.5) == 3.0


class Inherits(Base):
    def __init__(self, m):
        self.m = m
        type(self).made += 1  # Base has it


def by_inherited(x):
    return Inherits(x).m


def test_an_attribute_that_a_base_has_is_refused():
    with pytest.raises(tl.TapelessError, match="the attribute 'made'"):
        tl.jit(by_inherited)(1.0)


class Pair:
    def __init__(self):
        self.u, self.v, self.a, self.b = np.zeros(3), np.ones(3), [1.0], [2.0]


def exchange(p, q, x):
    p.u, p.v = p.v, p.u
    p.a, q.a = q.a, p.a
    p.b, q.u = q.b, p.u
    p.u[0] = x
    return (p.u * p.v).sum() + q.u[0]


def test_what_is_exchanged_is_read_before_anything_is_put():
    made = []
    for function in (exchange, tl.jit(exchange)):
        p, q = Pair(), Pair()
        q.a, q.b, q.v = [5.0], [6.0], np.full(3, 7.0)
        value = function(p, q, 4.0)
        fields = [p.u, p.v, p.a, p.b, q.u, q.v, q.a, q.b]
        made.append([value, *[np.asarray(f).tolist() for f in fields], p.u is q.u, p.b is q.b])
    assert made[0] == made[1]
