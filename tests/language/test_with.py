"""with: user context managers, suppression, contextlib."""

import contextlib
import io
import math
import threading
import warnings
from contextlib import ExitStack, contextmanager, nullcontext, suppress

import pytest

import tapeless as tl
from checking import check


class Meter:
    def __init__(self, start):
        self.total = start

    def __enter__(self):
        self.total *= 2.0
        return self

    def __exit__(self, kind, error, trace):
        print("exit", kind)
        self.total = self.total**2
        return False


class Swallow:
    def __init__(self, kind):
        self.kind = kind
        self.payload = 0.0

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None and issubclass(kind, self.kind):
            self.payload = error.args[0]
            return True
        return False


def user_manager(x):
    with Meter(x) as m:
        y = m.total * 3.0
        m.total += y
    return y * m.total


def exit_on_exception(x):
    m = Meter(x)
    try:
        with m:
            m.total += x * x
            raise ValueError(x)
    except ValueError as e:
        return m.total * e.args[0]


def suppressed(x):
    y = x
    with Swallow(ValueError) as s:
        y *= 3.0
        if x > 0.5:
            raise ValueError(y * x)
        y += 1.0
    return y + s.payload * 2.0


def not_suppressed(x):
    with Swallow(KeyError):
        raise ValueError(3)


@contextmanager
def scaled(box, by):
    old = box["v"]
    box["v"] = old * by
    try:
        yield box["v"]
    except ZeroDivisionError:
        box["v"] = by**3
    else:
        box["v"] += 1.0
    finally:
        box["v"] *= old


def generator_manager(x):
    box = {"v": x}
    with scaled(box, 3.0 * x) as inside:
        box["v"] += inside * inside
    with scaled(box, x):
        box["v"] = 1 / 0
    return box["v"]


def several(x):
    with Meter(x) as a, Meter(a.total) as b:
        c = a.total * b.total
    return a.total + b.total * c


def return_inside(x):
    m = Meter(x)

    def f():
        with m:
            for k in range(4):
                with nullcontext(m.total * k) as v:
                    if v > 2.0:
                        return v
        return m.total

    return f() + m.total


def library_suppress(x):
    total = x
    for v in (x, -x, 0.0):
        with suppress(ValueError, ZeroDivisionError):
            total += math.sqrt(v)
            total += 1.0 / v
    return total


def exit_stack(x):
    log = [x]
    with ExitStack() as stack:
        m = stack.enter_context(Meter(x))
        stack.callback(lambda: log.append(m.total * 5.0))
        stack.enter_context(suppress(KeyError))
        m.total += log[0] ** 2
        raise KeyError("inside")
    return sum(log)


def closing(x):
    class Resource:
        value = x

        def close(self):
            self.value = self.value**3

    with contextlib.closing(Resource()) as r:
        r.value += 1.0
    return r.value


@pytest.mark.parametrize("x", [0.4, 0.9])
@pytest.mark.parametrize(
    "program",
    [
        user_manager,
        exit_on_exception,
        suppressed,
        not_suppressed,
        generator_manager,
        several,
        return_inside,
        library_suppress,
        exit_stack,
        closing,
    ],
)
def test_with(program, x):
    check(program, x)


def test_warnings_are_silenced_inside():
    def program(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return x * x

    check(program, 1.3)


@pytest.mark.parametrize("opened", [threading.Lock, threading.RLock, io.StringIO, lambda: memoryview(b"ab")])
def test_exceptions_that_carry_values_through_locks_and_files(opened):
    def f(x):
        try:
            with opened():
                raise ValueError(x)
        except ValueError as error:
            return error.args[0] ** 3

    assert tl.value_and_grad(f)(2.0) == (8.0, 12.0)
    assert tl.jvp(f, (2.0,), (1.0,)) == (8.0, 12.0) and tl.grad(tl.grad(f))(2.0) == 12.0
