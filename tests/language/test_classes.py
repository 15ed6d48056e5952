"""Classes: methods, properties, operators, protocols, inheritance, slots, and objects as arguments."""

import math

import numpy as np
import pytest

from checking import check


class Vec:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __add__(self, other):
        if not isinstance(other, Vec):
            return Vec(self.x + other, self.y + other)
        return Vec(self.x + other.x, self.y + other.y)

    __radd__ = __add__

    def __sub__(self, other):
        return Vec(self.x - other.x, self.y - other.y)

    def __mul__(self, other):
        if isinstance(other, Vec):
            return self.x * other.x + self.y * other.y
        return Vec(self.x * other, self.y * other)

    def __rmul__(self, other):
        return Vec(other * self.x, other * self.y)

    def __truediv__(self, other):
        return Vec(self.x / other, self.y / other)

    def __rtruediv__(self, other):
        return Vec(other / self.x, other / self.y)

    def __neg__(self):
        return Vec(-self.x, -self.y)

    def __abs__(self):
        return math.hypot(self.x, self.y)

    def __iadd__(self, other):
        self.x += other.x
        self.y += other.y
        return self

    def __imul__(self, k):
        self.x *= k
        self.y *= k
        return self

    def __matmul__(self, other):
        return self.x * other.y - self.y * other.x

    def __pow__(self, n):
        return Vec(self.x**n, self.y**n)

    def __mod__(self, other):
        return NotImplemented

    def __rmod__(self, other):
        return Vec(other % self.x, other % self.y)

    def __getitem__(self, i):
        return (self.x, self.y)[i]

    def __setitem__(self, i, v):
        setattr(self, "xy"[i], v)

    def __len__(self):
        return 2

    def __iter__(self):
        yield self.x
        yield self.y

    def __contains__(self, v):
        return v == self.x or v == self.y

    def __eq__(self, other):
        return isinstance(other, Vec) and self.x == other.x and self.y == other.y

    def __hash__(self):
        return hash((self.x, self.y))

    def __lt__(self, other):
        return abs(self) < abs(other)

    def __bool__(self):
        return self.x > 0

    def __call__(self, t):
        return self.x + self.y * t

    def __float__(self):
        return self.x * self.y

    def __round__(self, n=None):
        return Vec(round(self.x, n), self.y)


def operators(x):
    a, b = Vec(x, 2.0), Vec(1.5, x * x)
    c = (a + b) * 2.0 - (-a) / x + 3.0 * b**2
    d = 1.0 + a + 2.0 / b
    return c * d + abs(c) + a @ b + 5.0 % a * a


def in_place_operators(x):
    a, b = Vec(x, 1.0), Vec(2.0, x)
    alias = a
    a += b
    a *= x
    a -= b
    return alias * a + alias.x * a.y


def item_protocol(x):
    v = Vec(x, 3.0)
    v[0] = v[1] * v[0] ** 2
    v[1] += x
    first, second = v
    return first * second + sum(v) * len(v) + max(*v)


def comparisons(x):
    a, b = Vec(x, 0.5), Vec(0.8, 0.1)
    best = max([a, b])
    y = best.x * 2.0 if a < b else best.y
    y += x if a == Vec(x, 0.5) else 0.0
    y *= 3.0 if a != b and 0.5 in a else 1.0
    d = {a: x * x, b: 2.0}
    return y + d[Vec(x, 0.5)] + (a.x if a else b.x)


def calls_and_conversions(x):
    v = Vec(x, 2.0)
    return v(3.0) + float(v) + sum(v(t) for t in (x, 1.0))


class Account:
    rate = 0.5
    instances = 0

    def __init__(self, balance):
        self._balance = balance
        self.log = []

    @property
    def balance(self):
        return self._balance * 2.0

    @balance.setter
    def balance(self, v):
        self.log.append(v)
        self._balance = v / 2.0

    @balance.deleter
    def balance(self):
        self._balance = self.log[0]

    @classmethod
    def opened(cls, amount):
        return cls(amount * cls.rate)

    @staticmethod
    def fee(v):
        return v * v * 0.1

    def __repr__(self):
        return f"Account({self._balance:.3f})"


def properties(x):
    a = Account.opened(x)
    a.balance = a.balance * x
    a.balance += 1.0
    y = a.balance + Account.fee(x) + a.fee(a.balance)
    del a.balance
    print(a)
    return y * a.balance + sum(a.log)


class Savings(Account):
    rate = 2.0

    def __init__(self, balance, bonus):
        super().__init__(balance)
        self.bonus = bonus

    @property
    def balance(self):
        return super().balance + self.bonus

    @classmethod
    def opened(cls, amount):
        made = super().opened(amount)
        made.bonus *= 3.0
        return made


class Student(Savings):
    def __init__(self, balance, bonus=1.0):
        super().__init__(balance, bonus * balance)


def inheritance(x):
    a = Student.opened(x)
    b = Savings(x, x * x)
    total = sum(acc.balance for acc in (a, b, Account(x)))
    return total if isinstance(a, Account) and not isinstance(b, Student) else 0.0


class Left:
    def value(self, x):
        return x * 2.0


class Base:
    def value(self, x):
        return x * x


class A(Base):
    def value(self, x):
        return super().value(x) + 1.0


class B(Base):
    def value(self, x):
        return super().value(x) * 3.0


class Diamond(A, B):
    def value(self, x):
        return super().value(x) + Left.value(self, x)


def multiple_inheritance(x):
    return Diamond().value(x) * A().value(x)


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a = a
        self.b = b


class SlottedChild(Slotted):
    __slots__ = ("c",)


def slots(x):
    s = SlottedChild(x, x * x)
    s.c = s.a * s.b
    s.a = s.c + s.b
    try:
        s.d = 1.0
    except AttributeError:
        s.b *= 2.0
    return s.a * s.b * s.c


class Lazy:
    def __init__(self, x):
        self.x = x

    def __getattr__(self, name):
        if name.startswith("times_"):
            return self.x * float(name[6:])
        raise AttributeError(name)

    def __setattr__(self, name, v):
        object.__setattr__(self, name, v * 2.0)


def attribute_hooks(x):
    a = Lazy(x)
    a.y = x * x
    y = a.times_3 * a.y
    return y + getattr(a, "nothing", x) + (0.0 if hasattr(a, "none") else x)


def dynamic_attributes(x):
    a = Account(x)
    for k, name in enumerate(["p", "q", "r"]):
        setattr(a, name, x ** (k + 1))
    delattr(a, "q")
    a.__dict__["s"] = x * 7.0
    y = a.p * a.r + a.s
    return y + sum(v for k, v in vars(a).items() if k in "pr")


def class_attribute_store(x):
    class Local:
        level = 1.0

        def boost(self):
            self.level = self.level * x

    Local.level = x * x
    a, b = Local(), Local()
    a.boost()
    Local.level *= 2.0
    return a.level + b.level


class Range:
    def __init__(self, start, stop, step):
        self.start, self.stop, self.step = start, stop, step

    def __iter__(self):
        return RangeIterator(self)


class RangeIterator:
    def __init__(self, r):
        self.r = r
        self.at = r.start

    def __iter__(self):
        return self

    def __next__(self):
        if self.at > self.r.stop:
            raise StopIteration
        v = self.at
        self.at += self.r.step
        return v


def iterators(x):
    r = Range(x, x + 2.0, 0.75)
    it = iter(r)
    y = next(it) * next(it)
    return y + sum(v * v for v in r) + list(it)[0] + next(it, x * 9.0)


class Node:
    def __init__(self, value, children=()):
        self.value = value
        self.children = list(children)
        for c in self.children:
            c.parent = self

    def total(self):
        return self.value + sum(c.total() * self.value for c in self.children)


def linked(x):
    root = Node(x, [Node(x * x), Node(2.0, [Node(math.sin(x))])])
    leaf = root.children[1].children[0]
    leaf.parent.value *= x
    leaf.parent.parent.value += leaf.value
    return root.total()


def bound_methods(x):
    a = Vec(x, 2.0)
    call, add = a.__call__, Vec.__add__
    a.x = x * x
    return call(3.0) + abs(add(a, Vec(1.0, x)))


def class_made_inside(x):
    def make(base):
        class Inner(base):
            shift = x * 5.0

            def f(self, v):
                return v * x + self.shift

        return Inner

    return make(Base)().f(x) + type("Dyn", (Base,), {"k": x})().k


@pytest.mark.parametrize("x", [0.4, 1.3])
@pytest.mark.parametrize(
    "program",
    [
        operators,
        in_place_operators,
        item_protocol,
        comparisons,
        calls_and_conversions,
        properties,
        inheritance,
        multiple_inheritance,
        slots,
        attribute_hooks,
        dynamic_attributes,
        class_attribute_store,
        iterators,
        linked,
        bound_methods,
        class_made_inside,
    ],
)
def test_classes(program, x):
    check(program, x)


def norm_of(v):
    return abs(v) * v(0.5) + v.x


def doubles_in_place(v):
    v *= 2.0
    v.y = v.x**2
    return v


def total_of(node):
    node.children[0].value **= 2
    return node.total()


def slotted_product(s):
    s.a *= s.b
    return s.a * s.b


def array_fields(v):
    v.x[1] += v.y
    return v.x * v.y


def test_objects_as_arguments_and_results():
    check(norm_of, Vec(0.3, -0.8))
    check(doubles_in_place, Vec(0.3, -0.8))
    check(slotted_product, Slotted(0.4, 1.5))
    check(total_of, Node(0.5, [Node(1.2), Node(0.3, [Node(-0.4)])]))
    check(array_fields, Vec(np.array([0.1, 0.5, -0.3]), 0.7))


def test_bound_method_is_differentiated():
    v = Vec(0.3, -0.8)
    check(v.__call__, 1.3)
    check(Account(3.0).fee, 0.7)


class Nothing:
    def __get__(self, obj, owner):
        return None


class Unset:
    """None until it is set, under a name of its own."""

    def __set_name__(self, owner, name):
        self.name = f"_{name}"

    def __get__(self, obj, owner):
        return self if obj is None else getattr(obj, self.name, None)

    def __set__(self, obj, value):
        setattr(obj, self.name, value)


class Hidden:
    def __get__(self, obj, owner):
        return None

    def __set__(self, obj, value):
        obj.__dict__["hidden"] = value


class WithNothing:
    empty = Nothing()
    rate = Unset()
    hidden = Hidden()
    default = None


def descriptors_that_give_none(x):
    m = WithNothing()
    y = x if m.empty is None else x * 100.0
    y *= 2.0 if m.rate is None else 50.0
    m.rate = x * x
    m.empty = x * 3.0  # the instance's own goes before what has no __set__
    m.hidden = x * 4.0  # and not before what has
    y = y * (1.0 if m.hidden is None else 9.0) + m.rate + m.empty + m.__dict__["hidden"]
    if m.default is None:
        m.default = x
    return y * m.default


def test_descriptors_that_give_none():
    check(descriptors_that_give_none, 0.7)


def test_a_setter_that_uses_a_variable():
    def f(x):
        class K:
            def __init__(self, a):
                self._a = a

            @property
            def a(self):
                return self._a * x

            @a.setter
            def a(self, value):
                self._a = value * x

        k = K(x)
        k.a = 3.0 * x
        k.a += k.a
        return k.a

    check(f, 0.7)
