"""Staging of numbers, containers, objects, functions and what comes from outside: as in the plain call."""

import cmath
import dataclasses
import functools
import math
from typing import NamedTuple

import numpy as np
import pytest

from tapeless.backends.native.staging import stage
from tapeless.errors import NotCompilable

from .staged import check

# ---- numbers


def integers(n, k):
    return n // k, n % k, -n // k, n & k, n | k, n ^ k, ~n, n << 2, n >> 1, divmod(n, k), abs(-n), n / k, n**3


def floats(x, y):
    return (
        x // y,
        x % y,
        x**2,
        x**0.5,
        x**y,
        x**-1,
        abs(-x),
        round(x),
        int(x * 10),
        float(3),
        -x,
        x > y,
        x == y,
    )


def mixed(x, n):
    return n * x, True + n, x > n, n == 2, min(n, 5), max(x, 1.5), min(x, 2.0, n * 1.0), pow(x, n), (-1) ** n


def of_math(x):
    return (
        math.sin(x), math.exp(-x), math.log1p(x), math.atan2(x, 2.0), math.hypot(x, 1.0), math.floor(x),
        math.log(x, 2), math.pow(x, 1.5), math.gamma(x + 1), math.degrees(x), math.isclose(x, x + 1e-12),
        math.prod([x, 2.0, 3]), math.fsum([x, x]), math.dist([x, 0.0], [0.0, 1.0]),
    )  # fmt: skip


def complex_numbers(z, x):
    w = z * z + x / z - (1 - 2j)
    return w, abs(w), w.real, w.conjugate(), w == z, cmath.exp(w / 10), cmath.sqrt(z), cmath.phase(z), w**3


def test_numbers():
    check(integers, 17, 5)
    check(integers, -17, 3)
    check(floats, 2.5, 0.75)
    check(mixed, 1.25, 2)
    check(of_math, 0.7)
    check(complex_numbers, 0.3 + 0.4j, 2.0)


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x, y: x / y, (1.0, 0.0)),
        (lambda x, y: x // y, (1.0, 0.0)),
        (lambda x, y: x % y, (1.0, 0.0)),
        (lambda x, y: x / y, (1, 0)),
        (lambda x, y: x // y, (1, 0)),
        (lambda x, y: x % y, (1, 0)),
        (lambda x, y: x**y, (0.0, -1.0)),
        (lambda x, y: x**y, (10.0, 400.0)),
        (lambda x, y: x**y, (-8.0, 1 / 3)),
        (lambda x: x**-2, (0.0,)),
        (lambda x: math.sqrt(x), (-1.0,)),
        (lambda x: math.log(x), (0.0,)),
        (lambda x: math.exp(x), (1000.0,)),
        (lambda x: math.acos(x), (2.0,)),
        (lambda x: math.sin(x), (math.inf,)),
        (lambda x: int(x), (math.nan,)),
        (lambda x: int(x), (math.inf,)),
        (lambda x: int(x), (1e30,)),
        (lambda z: 1 / z, (0j,)),
        (lambda x: x + None, (1.0,)),
        (lambda x: x[0], (1.0,)),
        (lambda x: (x, x)[2], (1.0,)),
        (lambda x: {"a": x}["b"], (1.0,)),
        (lambda x: x.missing, (1.0,)),
        (lambda x: unknown_name + x, (1.0,)),  # noqa: F821
        (lambda x: min([]), (1.0,)),
        (lambda x: (lambda a, b: a)(x), (1.0,)),
    ],
)
def test_what_python_raises(f, args):
    check(f, *args)


def fibonacci(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


def powers(n, k):
    product = 1
    for _ in range(k):
        product = product * n
    return product, n**k, 1 << k


@pytest.mark.parametrize("n", [0, 20, 92, 93, 200])
def test_integers_of_any_size(n):
    check(fibonacci, n)


@pytest.mark.parametrize("k", [0, 10, 22, 23, 70])
def test_powers_of_any_size(k):
    check(powers, 7, k)


def summed(u):
    total = 0
    for v in u:
        total += v
    return total


def test_a_sum_of_nothing_is_the_integer_it_began_with():
    check(summed, np.ones(3))
    check(summed, np.ones(0))


# ---- containers and functions


def containers(x, n):
    a, *rest, last = [x, x + 1, x + 2, n]
    table = {"a": a, "n": n}
    table["b"] = last * 2
    for key in table:
        table[key] = table[key] * 2
    rest.extend(v * v for v in (x, n))
    rest[0] += 1.0
    del table["n"]
    pairs = sorted(table.items(), key=lambda kv: kv[0], reverse=True)
    return (
        rest[::-1],
        table,
        pairs,
        [*zip(rest, "abc", strict=False)],
        len(rest),
        (1, x) == (1, a),
        "b" in table,
    )


def functions(x, *more, scale=2.0, **named):
    fs = [lambda v, k=k: v * k for k in range(3)]
    total = functools.reduce(lambda p, q: p + q, [f(x) for f in fs])
    power = functools.partial(pow, exp=2)
    count = 0

    def bump(by):
        nonlocal count
        count += by
        return count

    bump(x)
    bump(sum(more))
    return total * scale, power(x), count, named, max(more, key=lambda v: -v), [*map(bump, more)]


def recursive(x, n):
    if n == 0:
        return 1.0
    if n % 2:
        return x * recursive(x, n - 1)
    half = recursive(x, n // 2)
    return half * half


def test_containers_and_functions():
    check(containers, 1.5, 3)
    check(lambda x: functions(x, 1.0, 2.0, scale=3.0, other=x), 1.5)
    assert not check(recursive, 1.1, 13).known


def halved(x):
    return halved(x * 0.5) if x > 1e-3 else x


def endless(x):
    return endless(x * 0.5) + 1.0


def test_recursion_of_unknown_depth():
    check(halved, 1.0)
    with pytest.raises(NotCompilable, match="without end"):
        stage(endless, (1.0,))


# ---- objects


@dataclasses.dataclass
class Vector:
    x: float
    y: float = 0.0

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y)

    def __rmul__(self, k):
        return Vector(k * self.x, k * self.y)

    @property
    def norm(self):
        return math.hypot(self.x, self.y)

    @classmethod
    def unit(cls):
        return cls(1.0)


class Particle(NamedTuple):
    position: Vector
    mass: float = 1.0

    def moved(self, by):
        return self._replace(position=self.position + by)


class Account:
    interest = 0.5

    def __init__(self, balance):
        self._balance = balance
        self.log = []

    @property
    def balance(self):
        return self._balance

    @balance.setter
    def balance(self, value):
        self.log.append(value)
        self._balance = value


class Savings(Account):
    def __init__(self, balance):
        super().__init__(balance * 2)
        self.kind = "savings"

    def __getitem__(self, k):
        return self.log[k] * self.interest


def objects(x):
    v = 2.0 * Vector(x) + Vector.unit()
    p = Particle(v).moved(Vector(0.0, x))
    return v.norm, p, p.mass, v == Vector(2 * x + 1), dataclasses.replace(v, y=x), dataclasses.asdict(v)


def inherits(x):
    a = Savings(x)
    a.balance += 1.0
    a.balance *= x
    return a[0], a[1], a, isinstance(a, Account), hasattr(a, "none"), getattr(a, "none", x)


def changed(account, vectors, table):
    account.balance = account.balance * 2
    vectors[0].x += 1.0
    vectors.append(vectors[0])
    table["sum"] = table.pop("a") + vectors[1].y
    return vectors[0]


def test_objects():
    check(objects, 1.5)
    check(inherits, 1.5)


def test_what_becomes_of_arguments():
    check(changed, Account(2.0), [Vector(1.0, 2.0), Vector(3.0, 4.0)], {"a": 1.5})


def returned(a, b, n):
    c = a * 2.0
    return a, c, (c, b[1:]), c


def test_results_that_are_arguments_or_one_object():
    a, b = np.ones(3), np.arange(4.0)
    staged = stage(returned, (a, b, 1))
    from .staged import replaying

    same, c, (again, part), third = replaying(returned, staged)(a, b, 1)
    assert same is a and again is c and third is c
    np.testing.assert_array_equal(part, b[1:])


# ---- what comes from outside

FACTOR = 2.0
TABLE = np.arange(3.0)


def helper(x):
    return x + 1.0


def uses_globals(x):
    return helper(x) * FACTOR + TABLE[1]


def test_globals_are_read_at_every_call(monkeypatch):
    from .staged import replaying

    staged = check(uses_globals, 1.0)
    run = replaying(uses_globals, staged)
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    assert staged.holds((1.0,), {}) and run(1.0) == uses_globals(1.0)
    monkeypatch.setitem(globals(), "helper", lambda x: x)
    assert not staged.holds((1.0,), {})


def chosen_axis(u, axis, mode):
    if mode == "sum":
        return np.sum(u, axis=axis)
    return np.max(u, axis=axis)


def test_what_must_be_known_is_fixed_and_guarded():
    u = np.arange(6.0).reshape(2, 3)
    staged = check(chosen_axis, u, 1, "sum")
    assert staged.holds((u, 1, "sum"), {})
    assert not staged.holds((u, 0, "sum"), {})
    assert not staged.holds((u, 1, "max"), {})
    assert not staged.holds((u, 1.0, "sum"), {})


def closed_over(scale):
    offset = np.array([scale, 1.0])

    def f(x):
        return x * scale + offset.sum()

    return f


def test_closures():
    check(closed_over(3.0), 2.0)


def test_what_cannot_be_compiled_names_the_line():
    def asks(x):
        input(x)
        return x

    with pytest.raises(NotCompilable, match=r"(?s)test_values\.py:\d+: .*input\(x\).*\[TL502\]"):
        stage(asks, (1.0,))
