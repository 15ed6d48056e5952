"""Objects from outside with fields of every class, deques, sets and dicts of the program's own classes."""

import array
import threading
from collections import deque

import numpy as np
import pytest

import tapeless as tl


class Simulation:
    def __init__(self):
        self.x = 2.0
        self.lock = threading.Lock()
        self.seen = {3, 1, 2}
        self.raw = bytearray(b"abc")
        self.table = array.array("d", [1.0])
        self.long = [0.5] * 5000
        self.huge = 2**80
        self.names = np.array(["a", "b"])
        self.nested = {"raw": [bytearray(b"x")]}
        self.recent = deque([1.0, self.x], maxlen=3)
        self.u, self.steps = np.ones(3), 0

    def step(self, k):
        self.x = self.x * k
        self.steps += 1
        self.u = self.u * self.x
        return self.x * (2.0 if 3 in self.seen else 1.0) + len(self.seen)

    def remember(self, k):
        self.recent.append(self.x * k)
        self.recent.rotate(1)
        return sum(self.recent) * self.recent[0] + self.recent.maxlen


def step(sim, k):
    return sim.step(k)


def remember(sim, k):
    sim.recent.appendleft(k)
    return sim.remember(k) + sim.remember(k * k)


@pytest.mark.parametrize("program", [step, remember])
def test_fields_that_are_not_read_stay_what_they_are(program):
    plain, other = Simulation(), Simulation()
    fast = tl.jit(program)
    before = {name: getattr(other, name) for name in vars(other)}
    for k in (1.5, 0.7, 1.1):
        assert fast(other, k) == pytest.approx(program(plain, k), rel=1e-12)
        assert (other.x, other.steps) == pytest.approx((plain.x, plain.steps))
        assert list(other.recent) == pytest.approx(list(plain.recent))
        np.testing.assert_allclose(other.u, plain.u)
    assert list(vars(other)) == list(vars(plain))
    for name, held in before.items():
        if name not in ("x", "u", "steps"):
            assert getattr(other, name) is held
    assert type(other.recent) is deque and other.recent.maxlen == 3


@pytest.mark.parametrize("program", [step, remember])
def test_derivatives_beside_them(program):
    fast = tl.jit(tl.value_and_grad(program, argnums=1))
    value, slope = fast(Simulation(), 1.3)
    assert value == pytest.approx(program(Simulation(), 1.3))
    assert slope == pytest.approx(tl.grad(program, argnums=1)(Simulation(), 1.3))
    with pytest.raises(tl.TapelessError, match="a derivative by"):
        tl.jit(tl.grad(program))(Simulation(), 1.3)


def reads_raw(sim):
    return sim.x * len(sim.raw)


def reads_long(sim):
    return sum(sim.long) * sim.x


def shows(sim):
    print(sim.x, vars(sim))
    return sim.x


def changes_set(sim):
    sim.seen.add(7)
    return sim.x


@pytest.mark.parametrize("program", [reads_raw, reads_long, shows, changes_set])
def test_what_is_done_with_them_is_refused(program):
    sim = Simulation()
    with pytest.raises(tl.TapelessError):
        tl.jit(program)(sim)
    assert sim.seen == {1, 2, 3} and sim.x == 2.0


def gives_set(sim, k):
    sim.x = sim.x * k
    return sim.seen, [n * k for n in sim.seen], isinstance(sim.seen, set), sim.seen | {9}


def test_a_set_stays_that_set():
    sim, other = Simulation(), Simulation()
    fast = tl.jit(gives_set)
    for items in ({3, 1, 2}, {5}, set(), {"a", "b"}):
        sim.seen = other.seen = items
        if not all(isinstance(n, int) for n in items):
            continue
        found, wanted = fast(sim, 2.0), gives_set(other, 2.0)
        assert found[0] is items and type(sim.seen) is set
        assert found == wanted and type(found[3]) is set


class Config(dict):
    def __getattr__(self, name):
        return self[name]

    def __setattr__(self, name, value):
        self[name] = value


settings = Config(rate=0.5, count=3)


def configured(x, own):
    settings.count += 1
    own["last"] = x
    own.scale = own.scale * 2.0
    return x * settings.rate * settings["count"] + own.scale + len(own)


@pytest.mark.parametrize("make", [lambda f: f, tl.grad], ids=["value", "grad"])
def test_dicts_of_the_programs_own_classes(make):
    outcomes = []
    for function in (make(configured), tl.jit(make(configured))):
        settings["count"], own = 3, Config(scale=1.5)
        made = [function(x, own) for x in (1.0, 2.0, 2.5)]
        outcomes.append((made, dict(own), settings["count"], type(own)))
    assert outcomes[0] == outcomes[1]
