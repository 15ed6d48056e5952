"""Dataclasses, NamedTuples, and derivatives that have the shape of the thing differentiated."""

import dataclasses
import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import pytest

import tapeless as tl
from checking import check


@dataclass
class State:
    position: float
    velocity: float = 1.0
    history: list = field(default_factory=list)
    name: str = "state"
    steps: int = 0

    def advance(self, dt):
        self.history.append(self.position)
        self.position += dt * self.velocity
        self.velocity -= dt * math.sin(self.position)
        self.steps += 1
        return self


@dataclass(frozen=True)
class Material:
    density: float
    modulus: float = 2.0
    speed: float = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "speed", math.sqrt(self.modulus / self.density))


@dataclass(order=True, slots=True)
class Item:
    key: float
    weight: float = field(compare=False, default=0.5)


@dataclass
class Child(State):
    extra: float = 0.0


class Params(NamedTuple):
    w: np.ndarray
    b: float
    label: str = "p"

    def apply(self, x):
        return self.w * x + self.b


Pair = namedtuple("Pair", "a b")


def simulate(x):
    s = State(x)
    for _ in range(4):
        s.advance(0.3)
    return s.position + sum(s.history) * s.steps


def frozen(x):
    m = Material(x)
    n = replace(m, modulus=x * 3.0)
    try:
        m.density = 0.0
    except dataclasses.FrozenInstanceError:
        return m.speed * n.speed + n.density


def ordered(x):
    items = sorted([Item(x, x * x), Item(0.5, 3.0), Item(-x, x)])
    return items[0].weight * items[-1].key + max(items).weight


def inherited(x):
    c = Child(x, x * x, extra=3.0 * x)
    c.advance(0.1).advance(0.2)
    return c.extra * c.position + c.velocity


def as_containers(x):
    s = State(x, x * 2.0)
    d = dataclasses.asdict(s)
    t = dataclasses.astuple(s)
    return d["position"] * t[1] + sum(getattr(s, f.name) for f in dataclasses.fields(s)[:2])


def named_tuples(x):
    p = Pair(x, b=x * x)
    q = p._replace(a=3.0)
    a, b = q
    r = Pair._make([q.b, p[0]])
    return a * b + p.a * r.b + r._asdict()["a"] + Params(x, 2.0).apply(x)


@pytest.mark.parametrize("x", [0.4, 1.3])
@pytest.mark.parametrize("program", [simulate, frozen, ordered, inherited, as_containers, named_tuples])
def test_records_inside(program, x):
    check(program, x)


def advance(state):
    return state.advance(0.5).advance(0.25)


def material_energy(m):
    return m.speed * m.density**2


def apply_params(p):
    return p.apply(2.0)


def new_params(p):
    return Params(p.w * p.b, p.w.sum())


def mixed(d):
    d["list"][0] *= d["nested"]["b"][1]
    d["new"] = d["a"] * d["list"][0]
    return d


def tuples(t):
    (a, b), c = t
    return {"x": a * b, "y": (c * a, [b])}


def test_records_as_arguments_and_results():
    check(advance, State(0.5, 0.7))
    check(material_energy, Material(1.5))
    check(apply_params, Params(np.array([0.3, 0.5]), 0.7))
    check(new_params, Params(np.array([0.3, 0.5]), 0.7))
    check(mixed, {"a": 0.5, "list": [0.3, np.array([0.2, 0.9])], "nested": {"b": (1.0, 2.5)}, "n": 3})
    check(tuples, ((0.5, 0.7), 1.2))
    check(lambda d: d["p"] * d["q"], OrderedDict(p=0.3, q=0.4))
    check(lambda pair: pair.a**2 * pair.b, Pair(0.3, 0.4))


def test_shapes_of_gradients():
    gradient = tl.grad(lambda s: s.position**2 * s.velocity)(State(0.5, 3.0, [1.0, 2]))
    assert isinstance(gradient, tl.Tangent)
    assert (gradient.position, gradient.velocity) == (3.0, 0.25)
    assert gradient.history == [0.0, None]
    assert gradient.name is None
    assert gradient.steps is None

    gradient = tl.grad(lambda p: p.apply(2.0).sum())(Params(np.ones(2), 0.5))
    assert type(gradient) is Params
    np.testing.assert_array_equal(gradient.w, [2.0, 2.0])
    assert (gradient.b, gradient.label) == (2.0, None)


def test_unused_arguments_get_zeros_of_their_shape():
    args = (2.0, np.ones((2, 3), np.float32), [1.0, (2.0,)], {}, {"a": np.float64(3.0)}, ())
    gradient = tl.grad(lambda *a: a[0] * a[0], argnums=tuple(range(6)))(*args)
    assert gradient[0] == 4.0
    assert gradient[1].dtype == np.float32
    np.testing.assert_array_equal(gradient[1], np.zeros((2, 3)))
    assert gradient[2:] == ([0.0, (0.0,)], {}, {"a": 0.0}, ())


def test_single_precision_stays_single():
    x = np.array([0.5, -0.3], np.float32)
    value, gradient = tl.value_and_grad(lambda x: (np.sin(x) * x).sum())(x)
    assert (type(value), gradient.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(gradient, np.cos(x) * x + np.sin(x), rtol=1e-5)


def test_tangents_may_be_objects_or_dictionaries():
    def f(s):
        return s.position**2 * s.velocity

    s = State(0.5, 3.0)
    by_object = tl.jvp(f, (s,), (State(1.0, 2.0),))
    by_dict = tl.jvp(f, (s,), ({"position": 1.0, "velocity": 2.0},))
    assert by_object == by_dict == (0.75, 3.5)


def test_update_steps_an_object():
    s = State(0.5, 3.0, name="kept")
    new = tl.update(s, lambda p, g: p - 0.1 * g, tl.grad(lambda s: s.position**2 * s.velocity)(s))
    assert type(new) is State
    assert new.position == pytest.approx(0.2)
    assert new.velocity == pytest.approx(2.975)
    assert (new.name, new.steps) == ("kept", 0)
