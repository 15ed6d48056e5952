"""Objects of Python's library that are known when a function is compiled, and generators asked once."""

import datetime
import enum
import inspect
import re
from decimal import Decimal

import pytest

import tapeless as tl
from checking import check


class Phase(enum.Enum):
    SOLID = 1
    LIQUID = 2


class Order(enum.IntEnum):
    ONE = 1
    TWO = 2


class Metres(float):
    pass


WAY = Metres(2.5)


def texts(x):
    found = re.match(r"(\d+)-(\d+)", "12-7")
    words = re.split(r"\s+", "a b c")
    return x * int(found.group(1)) + x * x * len(words) + len(re.sub("[aeiou]", "", "hello"))


def patterns(x):
    found = re.compile(r"x(\d)").search("abcx3")
    return x * int(found[1]) * found.start()


def enums(x):
    total = x * Phase["LIQUID"].value + Phase(1).value
    for phase in Phase:
        total += phase.value * x * x
    return total + Order.TWO * x + Order(1) * x**Order.TWO


def an_unknown_member(x):
    try:
        return x * Phase(7).value
    except ValueError:
        return x * x


def decimals(x):
    return x * float(Decimal("1.5")) + x * x * float(Decimal("0.25") + Decimal(1))


def dates(x):
    days = (datetime.date(2024, 3, 1) - datetime.date(2024, 2, 1)).days
    return x * days + x * x * datetime.timedelta(hours=6).total_seconds() / 3600.0


def signatures(x):
    return x * len(inspect.signature(signatures).parameters)


def subclass_of_float(x):
    return WAY * x * x + x / WAY


def same_integers(x):
    kind, other = 3, 4
    return x if kind is other else x * x


def first_that_is_greater(x):
    return next((v * v for v in [x, 2.0 * x, 3.0 * x] if v > 1.5), 0.0)


def first_of_known(x):
    return x * next(k for k in [1, 2, 3] if k > 1)


def none_left(x):
    return x * next((k for k in [1, 2, 3] if k > 5), 7)


def doubling(x):
    while x < 100.0:
        yield x
        x = x * 2.0


def a_list_of_unknown_length(x):
    return sum(list(doubling(x))) + list(doubling(x))[1]


def given_as_arguments(x):
    def norm(a, b):
        return a * b

    return norm(*(v * v for v in (x, 2.0)))


PROGRAMS = [
    texts, patterns, enums, an_unknown_member, decimals, dates, signatures, subclass_of_float, same_integers,
    first_that_is_greater, first_of_known, none_left, a_list_of_unknown_length, given_as_arguments,
]  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS)
def test_known_objects_of_the_library(f):
    check(f, 1.3)
    compiled, slope = tl.jit(f), tl.jit(tl.grad(f))
    for x in (1.3, 0.7):
        assert compiled(x) == pytest.approx(f(x), rel=1e-14)
        assert slope(x) == pytest.approx(tl.grad(f)(x), rel=1e-13)


def test_nothing_left_raises():
    def f(x):
        return next(v for v in [x, 2.0 * x] if v > 9.0)

    for g in (f, tl.jit(f)):
        with pytest.raises(StopIteration):
            g(1.0)
        assert g(5.0) == 10.0


@pytest.mark.parametrize("pair", [(1.5, (2.0,)), (2, None), ("a", 1.0), ([1.0], 2.0)])
@pytest.mark.parametrize("op", ["-", "/", "**"])
def test_operators_between_classes_that_do_not_fit(pair, op):
    a, b = pair

    def add(x):
        return x + b if isinstance(a, (int, float)) else a + x

    def other(x):
        left = x if isinstance(a, (int, float)) else a
        right = b if isinstance(a, (int, float)) else x
        if op == "-":
            return left - right
        if op == "/":
            return left / right
        return left**right

    for f in (add, other):
        try:
            f(1.5)
        except TypeError as error:
            with pytest.raises(TypeError) as raised:
                tl.jit(f)(1.5)
            assert str(raised.value) == str(error)


def halves(xs):
    for x in xs:
        yield 0.5 * x


def asked(rest):
    return next(rest)


def test_a_generator_that_a_zip_has_left_half_way_is_asked():
    def f(xs):
        left, total = halves(xs), 0.0
        for k, (a, b) in enumerate(zip(left, halves(xs), strict=True)):
            if k == 1:
                break
            total += a * b
        return total + asked(left)

    xs = [0.3, 0.8, 0.5, 1.2]
    try:
        assert tl.jit(f)(xs) == pytest.approx(f(xs), rel=1e-14)
    except tl.TapelessError as error:
        assert "generator" in str(error)
