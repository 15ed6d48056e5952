"""Classes made inside differentiated functions, whose bodies read active values."""

import abc
import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.errors import UntrackedMutationError


def attributes(x):
    y = x * x

    class Scale:
        """A document."""

        factor = y + 1.0
        note: str = "n"
        twice: float = 2.0 * factor
        if factor > 0:
            third = factor / 3
        total = 0.0
        for k in range(3):
            total += factor * k
        parts = [factor * 1.0 for factor in (y, 2.0 * y)]

        def apply(self, z):
            return self.factor * z + self.total + type(self).third + sum(self.parts) + x

    s = Scale()
    assert Scale.__doc__ == "A document."
    assert Scale.__annotations__ == {"note": str, "twice": float}
    assert Scale.__qualname__ == "attributes.<locals>.Scale"
    assert Scale.__module__ == __name__
    return s.apply(x) * s.twice * Scale.k


def inherits(x):
    class Base:
        rate = math.sin(x)

        def value(self):
            return self.rate

    class Child(Base):
        rate = Base.rate * x

        def value(self):
            return super().value() + x * __class__.rate

    return Child().value()


def calls_in_the_body(x):
    def compute():
        return x**3

    class A:
        value = compute()

    return A.value + A().value


def nested(x):
    class Outer:
        a = x * 2.0

        class Inner:
            b = x * 3.0

    return Outer.a * Outer.Inner.b


def data_class(x):
    @dataclasses.dataclass
    class P:
        w: float = x * x
        v: list = dataclasses.field(default_factory=lambda: [x, 2 * x])
        n: int = 3

    p, q = P(), P(2.0 * x)
    return p.w * q.w + p.v[1] * q.v[0] * p.n


def data_class_with_slots(x):
    @dataclasses.dataclass(slots=True, frozen=True)
    class P:
        w: float = x * x
        v: float = dataclasses.field(default=x * 3.0)
        u: float = dataclasses.field(default=x * 5.0, init=False)

    return P().w * P(2.0 * x).v * P(v=x).v + P().u


def named_tuple(x):
    class P(NamedTuple):
        a: float
        b: float = x * x

    p = P(x)
    return p.a * p.b + P(1.0, 2.0 * x).b


def abstract(x):
    class Shape(abc.ABC):
        unit = x * 1.5

        @abc.abstractmethod
        def area(self): ...

    class Square(Shape):
        def __init__(self, side):
            self.side = side

        def area(self):
            return self.unit * self.side**2

    return Square(x).area()


class Meta(type):
    def __new__(mcs, name, bases, namespace, extra=0.0):
        namespace["extra"] = extra * namespace["base"]
        return super().__new__(mcs, name, bases, namespace)

    def __init__(cls, name, bases, namespace, extra=0.0):
        super().__init__(name, bases, namespace)
        cls.more = namespace["base"] * 3.0


def metaclass(x):
    class A(metaclass=Meta, extra=x):
        base = x * x

    return A.base + A.extra * A.more


def decorated(x):
    def scaled(cls):
        cls.k = cls.k * x
        return cls

    @scaled
    class A:
        k = x + 1.0

        @property
        def value(self):
            return self.k**2

        @staticmethod
        def plus(a, b=x):
            return a + b

        @functools.cached_property
        def kept(self):
            return self.k * 2.0

    a = A()
    return a.value * A.plus(x) + a.kept * a.kept


def made_by_type(x):
    A = type("A", (), {"k": x * x, "method": lambda self, z: self.k * z})
    return A().method(x) + A.k


def arrays(a):
    class A:
        half = a[1:] * 0.5
        whole = a

    A.whole[0] = 3.0 * A.whole[1]
    return (A.half * A.half).sum() + A().whole.sum()


def nonlocal_and_del(x):
    count = 1.0

    class A:
        nonlocal count
        count = x * 2.0
        temporary = x * 5.0
        kept = temporary * count
        del temporary

    assert not hasattr(A, "temporary")
    return A.kept * count


@pytest.mark.parametrize(
    "f",
    [attributes, inherits, calls_in_the_body, nested, data_class, data_class_with_slots, named_tuple,
     abstract, metaclass, decorated, made_by_type, nonlocal_and_del],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_class_bodies(f):
    check(f, 0.7)


def test_class_bodies_with_arrays():
    check(arrays, np.array([0.3, 1.2, -0.4]))


SHARED = np.zeros(2)


def test_a_body_reads_an_active_global_array():
    def f(x):
        SHARED[0] = x * x

        class A:
            first = SHARED[0] * 2.0

        return A.first

    assert tl.grad(f)(3.0) == 12.0


def test_what_a_class_hands_to_python_while_it_is_made_is_refused():
    class Base:
        def __init_subclass__(cls):
            cls.doubled = cls.k * 2.0

    def f(x):
        class A(Base):
            k = x * x

        return A.doubled

    with pytest.raises(UntrackedMutationError, match="__init_subclass__"):
        tl.grad(f)(3.0)


def test_cells_that_hold_equal_values_or_arrays():
    def f(x):
        s = 0.0
        for i in range(len(x)):

            class Term:
                def value(self):
                    return x[i] * i  # noqa: B023

            s = s + Term().value()
        return s

    check(f, np.array([0.7, 1.3, 0.4, 2.1]))
