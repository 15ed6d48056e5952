"""`with` over generators that `contextlib.contextmanager` has made context managers."""

import contextlib
import math
import time

import numpy as np
import pytest

import tapeless as tl

events = []
count = 0


@contextlib.contextmanager
def section(name, v):
    events.append("in " + name)
    try:
        yield v * 2.0
    finally:
        events.append("out " + name)


@contextlib.contextmanager
def counted(v):
    global count
    y = v * 3.0
    yield y
    count += 1


@contextlib.contextmanager
def counted_always(v):
    global count
    try:
        yield v * 2.0
    finally:
        count += 1


@contextlib.contextmanager
def swallowing(v):
    try:
        yield v
    except ZeroDivisionError:
        events.append("swallowed")


@contextlib.contextmanager
def scaled(a, by):
    a *= by
    yield a
    a /= by


class Profile:
    def __init__(self):
        self.calls, self.total = 0, 0.0

    @contextlib.contextmanager
    def measure(self):
        start = time.perf_counter()
        try:
            yield self
        finally:
            self.calls += 1
            self.total += time.perf_counter() - start


def returned(x, n):
    with section("a", x) as y:
        return x * y


def returned_on_one_path(x, n):
    with section("a", x) as y:
        if y > 3.0:
            return x * y
        z = y * y
    return z + x


def one_after_the_other(x, n):
    with section("a", x) as y, counted(y) as w:
        with section("b", w) as v:
            t = v * y
        t += w
    return t


def left_in_loops(x, n):
    t = 0.0
    for i in range(n):
        with counted_always(x) as y, counted(t) as w:
            t += y * i + w * 0.1
            if t > 20.0:
                return t * y
            elif t < 1.0:
                continue
            elif i == n - 1:
                break
            t *= 1.1
    else:
        t = -t
    return t * x


def final_inside(x, n):
    global count
    t = 0.0
    while t < 9.0:
        with counted_always(x) as y:
            try:
                t += y
                if t > 5.0:
                    break
            finally:
                count += 10
                t *= 1.5
    return t


def raised(x, n):
    with section("r", x - 1.0) as y:
        z = 1.0 / y
    return z


def raised_and_caught(x, n):
    try:
        with counted(x - 1.0) as y, section("r", x - 1.0):
            z = x / y
    except ZeroDivisionError:
        z = x + 5.0
    return z


def raised_and_swallowed(x, n):
    z = x + 7.0
    with swallowing(x - 1.0) as y:
        z = 1.0 / y
    return z


def array_changed_after(x, n):
    a = np.full(3, x)
    with scaled(a, 2.0) as b:
        s = (b * b).sum()
    return s + a.sum() * a[0]


def in_a_generator(x, n):
    def values():
        for i in range(n):
            with counted(x) as y:
                yield y * i

    return sum(values())


def measured(x, n):
    profile = Profile()
    for _ in range(n):
        with profile.measure() as p:
            x = math.sin(x) + p.calls
    with profile.measure():
        return x * profile.calls


PROGRAMS = [
    returned, returned_on_one_path, one_after_the_other, left_in_loops, final_inside, raised,
    raised_and_caught, raised_and_swallowed, array_changed_after, in_a_generator, measured,
]  # fmt: skip


def outcome(function, x, n):
    global count
    events.clear()
    count = 0
    try:
        value = function(x, n)
    except ZeroDivisionError as error:
        value = repr(error)
    return value, events[:], count


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(("x", "n"), [(2.0, 6), (1.0, 4), (1.3, 3)])
def test_value_and_effects(program, x, n):
    got, wanted = outcome(tl.jit(program), x, n), outcome(program, x, n)
    assert got[1:] == wanted[1:]
    assert got[0] == (wanted[0] if isinstance(wanted[0], str) else pytest.approx(wanted[0], rel=1e-12))


@pytest.mark.parametrize("program", PROGRAMS)
def test_derivative(program):
    x, n = 1.7, 5
    got = outcome(tl.jit(tl.value_and_grad(program)), x, n)
    assert got[1:] == outcome(program, x, n)[1:]
    assert got[0][0] == pytest.approx(program(x, n), rel=1e-12)
    assert got[0][1] == pytest.approx((program(x + 1e-6, n) - program(x - 1e-6, n)) / 2e-6, rel=1e-6)


@contextlib.contextmanager
def on_one_path(v):
    if v > 1.0:
        yield v
    else:
        yield -v


@contextlib.contextmanager
def ending_early(v):
    if v > 1.0:
        return
    yield v


@contextlib.contextmanager
def in_a_loop(v):
    for _ in range(int(v)):
        yield v


@pytest.mark.parametrize("manager", [on_one_path, ending_early, in_a_loop])
def test_a_value_on_one_path_is_refused(manager):
    def program(x, n):
        with manager(x) as y:
            return y * n

    with pytest.raises(tl.TapelessError, match="test_managers"):
        tl.jit(program)(0.5, np.float64(2.0))


@contextlib.contextmanager
def without_a_value(v):
    if False:
        yield v


def test_a_generator_without_a_value_raises():
    def program(x):
        with without_a_value(x):
            return x

    with pytest.raises(RuntimeError, match="generator didn't yield"):
        tl.jit(program)(1.0)
