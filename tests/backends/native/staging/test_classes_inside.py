"""Classes, dataclasses and named tuples that a compiled program makes."""

import dataclasses
from collections import namedtuple
from dataclasses import dataclass, field

import numpy as np
import pytest

import tapeless as tl

from .orders import check_orders, check_other_arguments

X = np.array([0.7, 1.3, 0.4, 2.1])


def inheriting(x):
    class Base:
        k = 2.0

        def __init__(self, a):
            self.a = a

        def f(self):
            return self.a * self.k + x[1]

        @property
        def double(self):
            return 2 * self.a

        @staticmethod
        def g(v):
            return v * x[2]

        @classmethod
        def make(cls, a):
            return cls(a * 2)

    class Child(Base):
        k = 3.0

        def __init__(self, a, b):
            super().__init__(a)
            self.b = b

        def f(self):
            return super().f() * self.b

        @classmethod
        def make(cls, a):
            return cls(a, x[3])

        def __add__(self, other):
            return Child(self.a + other.a, self.b * other.b)

        def __call__(self, v):
            return v * self.a

    c = Child(x[0], x[1]) + Child.make(x[2])
    return c.f() * Base.make(x[0]).f() + c.double * Base.g(x[1]) + c(x[3]) + isinstance(c, Base)


def frozen(x):
    @dataclass(frozen=True)
    class Pair:
        a: float
        b: float = 2.0

        def product(self):
            return self.a * self.b

    p = Pair(x[0])
    q = dataclasses.replace(p, b=x[1])
    return p.product() * q.product() + (p == Pair(x[0]))


def recording(x):
    @dataclass
    class State:
        v: float
        log: list = field(default_factory=list)

        def add(self, u):
            self.log.append(u)
            self.v += u

    state = State(x[0])
    for i in range(len(x)):
        state.add(x[i] * state.v)
    return state.v + sum(state.log)


def named(x):
    Pair = namedtuple("Pair", "a b", defaults=[2.0])
    p = Pair(x[0])
    return p.a * p.b**2 + p._replace(b=x[1]).b * Pair(x[2], b=x[3]).b


def raising(x):
    class Trouble(Exception):
        pass

    try:
        if x[0] > 0.5:
            raise Trouble("a")
        return x[1] * 3
    except Trouble:
        return x[2] ** 2


@pytest.mark.parametrize("f", [inheriting, frozen, recording, named, raising], ids=lambda f: f.__name__)
def test_classes(f):
    check_orders(f, X)
    check_other_arguments(f, X, X[::-1].copy(), -X)


def test_closures_are_read_at_every_call():
    def scaled(k):
        def f(x):
            class Times:
                def __call__(self, v):
                    return k * v

            return Times()(x)

        return f

    assert tl.jit(scaled(2.0))(1.5) == 3.0
    assert tl.jit(scaled(5.0))(1.5) == 7.5


def test_on_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("TAPELESS_CACHE_DIR", str(tmp_path))
    for _ in range(2):
        assert tl.jit(inheriting)(X) == pytest.approx(inheriting(X), rel=1e-13)


def test_refused():
    def attribute(x):
        class A:
            total = x * 2

        return A.total

    def returned(x):
        class A:
            def __init__(self):
                self.v = x

        return A()

    def itself(x):
        class A:
            n = 0

        return A, x

    def counting(x):
        class A:
            n = 0

        A.n += 1
        return A.n * x

    for f, why in (
        (attribute, "attribute 'total'"),
        (returned, "is returned"),
        (itself, "is returned"),
        (counting, "attribute 'n'"),
    ):
        with pytest.raises(tl.TapelessError, match=why):
            tl.jit(f)(1.5)
