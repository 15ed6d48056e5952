"""What is one of several known objects, on each path another: texts, None, functions; compiled as flags."""

import math

import numpy as np
import pytest

import tapeless as tl
from checking import check


class Machine:
    def __init__(self, x):
        self.x, self.state, self.message = x, "idle", None

    def step(self):
        if self.state == "failed":
            raise RuntimeError("a failed machine")
        if self.x > 8.0:
            self.state, self.message = "failed", "too large"
        elif self.x > 2.0:
            self.state = "fast"
            self.x *= 1.5
        elif self.x < 0.1:
            self.state, self.message = "stuck", "too small"
        else:
            self.state = "slow"
            self.x = self.x * self.x + 0.3
        return self.message


def run(x, n):
    machine, seen = Machine(x), 0.0
    status = None
    while status is None:
        said = machine.step()
        if machine.state == "failed":
            status = -1
            break
        if machine.state in ("stuck", "done"):
            status = 1
        seen += machine.x * (2.0 if machine.state == "fast" else 1.0)
        n -= 1
        if n == 0:
            status = 0
    names = {0: "ended", 1: "stuck"}
    return seen + 0.5 * machine.x, names.get(status, said), machine.state, said is None


def test_states_of_a_machine():
    fast = tl.jit(run)
    for x, n in ((0.5, 3), (0.5, 30), (0.01, 5), (3.0, 2), (3.0, 1), (9.0, 4), (0.75, 60)):
        got, want = fast(x, n), run(x, n)
        assert got[0] == pytest.approx(want[0], rel=1e-13)
        assert got[1:] == want[1:]
    assert len(fast.entries) == 1
    for x, n in ((0.5, 30), (3.0, 2), (0.75, 60)):
        check(lambda x, n=n: run(x, n)[0], x, native=True)


def again(x):
    machine = Machine(x)
    for _ in range(3):
        machine.step()
    return machine.x


def test_an_exception_by_state():
    for call in (tl.jit(again), tl.jit(tl.grad(again))):
        with pytest.raises(RuntimeError, match="a failed machine"):
            call(9.0)
    check(again, 2.5, native=True)


def kinds(x):
    if x < 0.0:
        kind, f = "negative", math.sin
    elif x < 1.0:
        kind, f = "small", math.cos
    elif x < 2.0:
        kind, f = "medium", math.exp
    else:
        kind, f = "large", math.sqrt
    shifted = x + 1.0 if kind != "small" else x
    return f(shifted) * {"negative": 1.0, "small": 2.0, "medium": 3.0, "large": 4.0}[kind], kind


def test_functions_and_keys():
    for x in (-0.5, 0.5, 1.5, 2.5):
        got, want = tl.jit(kinds)(x), kinds(x)
        assert got[1] == want[1] and got[0] == pytest.approx(want[0], rel=1e-14)
        check(lambda x: kinds(x)[0], x, native=True)


def unbound(x, n):
    for k in range(n):
        if x * k > 3.0:
            said = "far"
        elif x * k > 1.0:
            said = "near"
        else:
            said = None
    return said


def test_unbound():
    fast = tl.jit(unbound)
    for x in (0.1, 0.5, 1.0):
        assert fast(x, 5) == unbound(x, 5)
    with pytest.raises(UnboundLocalError):
        fast(0.5, 0)


class Result(dict):
    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(name) from error

    __setattr__ = dict.__setitem__


def found(x):
    r = Result(x=x * x, names=("a", "b"))
    r.slope = 2.0 * x
    r["more"] = r.x + r.slope
    return r


def test_dicts_of_a_class_of_their_own():
    got = tl.jit(found)(0.5)
    assert type(got) is Result and got == found(0.5)
    slope = tl.jit(tl.grad(lambda x: found(x).more * found(x).x))
    assert slope(0.5) == pytest.approx(4 * 0.5**3 + 6 * 0.5**2, rel=1e-14)


def by_number(x, k):
    table = {0: x, 1: x * x, 5: 3.0}
    return table.get(k, -x)


def test_keys_of_run_time():
    fast = tl.jit(by_number)
    for k in (0, 1, 5, 7):
        assert fast(0.3, k) == by_number(0.3, k)
        assert tl.jit(tl.grad(by_number))(0.3, k) == tl.grad(by_number)(0.3, k)
    assert len(fast.entries) == 1


def test_arrays_by_state():
    def f(x):
        state, total = "up", 0.0
        for v in x:
            if v > 0.5:
                state = "down" if state == "up" else "level"
            elif v < 0.1:
                state = "up"
            total = total + (v if state == "up" else -v * v if state == "down" else 3.0 * v)
        return total

    check(f, np.array([0.3, 0.7, 0.2, 0.8, 0.9, 0.05, 0.4]), native=True)
