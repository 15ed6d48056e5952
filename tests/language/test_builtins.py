"""Builtins that work on active values."""

import copy
import functools
import itertools
import math
import operator

import numpy as np
import pytest

from checking import check


def maps(x):
    a = list(map(lambda v: v * x, [1.0, 2.0, x]))
    b = tuple(map(operator.mul, a, [x, 2.0, 3.0]))
    c = sum(map(math.sin, b))
    return c + sum(map(float, ["1.5", "2"])) * x


def filters(x):
    kept = list(filter(lambda v: v > 0.5, [x, x * x, 2.0 * x, 0.1]))
    return sum(kept) * len(kept) + sum(filter(None, [x, 0.0, x * 3.0]))


def zips(x):
    total = 0.0
    for a, b, c in zip([x, 2.0], (x * x, x), iter([3.0, x, 9.0]), strict=False):
        total += a * b * c
    pairs = dict(zip("ab", [x, x**3], strict=True))
    first, second = zip(*[(x, 1.0), (2.0, x)], strict=True)
    return total + pairs["b"] + first[0] * second[1]


def zip_lengths_differ(x):
    return sum(a * b for a, b in zip([x, 2.0], [x], strict=True))


def enumerates(x):
    total = 0.0
    for i, v in enumerate([x, x * x, x**3], start=2):
        total += v / i
    return total


def sorts(x):
    values = [x, 0.5, x * x, 2.0 * x]
    a = sorted(values)
    b = sorted(values, reverse=True)
    c = sorted(enumerate(values), key=lambda pair: -pair[1])
    return a[0] * b[0] + a[1] * 2.0 + c[1][1] * c[1][0] + sorted(values, key=lambda v: (v - 0.7) ** 2)[0]


def extrema(x):
    a = min(x, 0.7, x * x)
    b = max([x, 2.0 * x, 1.0])
    c = max((x, -x), key=lambda v: v * v)
    d = min([], default=x * 3.0)
    e = max({"p": x, "q": x * x}.items(), key=lambda kv: kv[1])
    return a * b + c + d * e[1] + min(v * x for v in (1.0, 2.0))


def sums(x):
    return sum([x, x * x], 3.0 * x) + sum([[x], [2.0, x]], [])[1] * sum((x, 1, True)) + math.fsum([x, x**2])


def any_all(x):
    y = x if any(v > x for v in [0.1, 0.7]) else x * x
    return y * 2.0 if all([x, y > 0.0, "text"]) else y


def reverses(x):
    total = 1.0
    for v in reversed([x, x + 1.0, 2.0]):
        total = total * v + v
    for i in reversed(range(3)):
        total = total * x + i
    return total + list(reversed((x, 2.0)))[1]


def rounds(x):
    return (
        round(x * 3.0) * x + abs(x - 2.0) * abs(-x) + int(x * 5.3) * x + math.floor(x) * x + math.ceil(x) * x
    )


def divides(x):
    q, r = divmod(5.0, x)
    return q * x + r * r + (7.3 % x) * x + (7.3 // x) * x + (-x % 1.7)


def powers(x):
    by_name = pow(x, exp=3) + pow(exp=x, base=2.0) + functools.partial(pow, exp=x)(x)
    return pow(x, 3) + pow(2.0, x) + x**x + x**-2 + pow(x, 0.5) + x**0 + by_name


def by_names(x):
    held = copy.copy(x=[x, 2.0])
    again = copy.deepcopy(x=held, memo={})
    return held[0] * again[0] * next(itertools.repeat(object=x, times=2))


def iterates(x):
    it = iter([x, x * x, 3.0, x])
    y = next(it) * next(it)
    y += sum(it)
    z = next(it, x * 7.0)
    calls = iter(iter([x, 2.0, 0.0, 5.0]).__next__, 0.0)
    return y * z + sum(calls)


def ranges_and_lengths(x):
    items = [x * k for k in range(2, 11, 4)]
    return items[-1] * len(items) + len(range(0, 10, 3)) * x + items.index(items[1]) * x


def conversions(x):
    y = float(x) + float(np.float64(x)) * x
    z = complex(x, 2.0 * x)
    return y + z.real * z.imag + abs(z) + bool(x) * x + float(str(2.5)) * x


def introspection(x):
    y = x * x
    if isinstance(y, float) and not isinstance(y, (int, str)) and type(y) is float and callable(math.sin):
        y *= 2.0
    return y + getattr(y, "real") + hash(3) * x + len(repr("ab")) * x  # noqa: B009


def identity_and_print(x):
    a = b = [x]
    c = [x]
    print(a is b, a is c, a == c, x in a, f"{x:.2f}", sep="|", end="!\n")
    return x * (a is b) + 2.0 * x * (a is c)


def math_functions(x):
    y = (
        math.exp(x) * math.log(x)
        + math.log(x, 3.0)
        + math.log1p(x)
        + math.expm1(x)
        + math.log2(x)
        + math.log10(x)
    )
    y += math.sin(x) * math.cos(x) / math.tan(x) + math.atan2(x, 2.0) + math.hypot(x, 3.0, x) + math.sqrt(x)
    y += (
        math.sinh(x)
        + math.cosh(x) * math.tanh(x)
        + math.asinh(x)
        + math.atan(x)
        + math.fabs(-x)
        + math.pow(x, 3)
    )
    y += math.copysign(x, -2.0) * x + math.prod([x, 2.0, x]) + math.dist([x, 1.0], [0.0, x]) + math.erf(x)
    y += math.gamma(x + 1.0) + math.lgamma(x + 2.0) + math.fmod(7.0, x) + math.radians(x) + math.degrees(x)
    return y + math.modf(x + 0.1)[0] * math.frexp(3.0)[1] + math.ldexp(x, 2) + math.trunc(x + 2.0) * x


def operator_module(x):
    y = operator.add(x, operator.mul(x, 3.0)) - operator.truediv(1.0, x) + operator.neg(x) ** 2
    z = operator.itemgetter(1)([x, x * x]) * operator.attrgetter("real")(x)
    d = [x, 1.0]
    operator.setitem(d, 1, x * 5.0)
    return y + z + operator.getitem(d, 1) + operator.methodcaller("pop")(d) + operator.iadd(x, 2.0)


@pytest.mark.parametrize("x", [0.4, 0.83, 1.3])
@pytest.mark.parametrize(
    "program",
    [
        maps,
        filters,
        zips,
        enumerates,
        sorts,
        extrema,
        sums,
        any_all,
        reverses,
        rounds,
        divides,
        powers,
        by_names,
        iterates,
        ranges_and_lengths,
        conversions,
        introspection,
        identity_and_print,
        math_functions,
        operator_module,
    ],
)
def test_builtins(program, x):
    check(program, x)


def test_errors_are_the_builtins_own():
    check(zip_lengths_differ, 0.7)
    check(lambda x: math.sqrt(-x), 0.7)
    check(lambda x: max([]) * x, 0.7)
    check(lambda x: x / (x - x), 0.7)
    check(lambda x: [x][1], 0.7)
    check(lambda x: x + "text", 0.7)
    check(lambda x: math.exp(x * 1000.0), 0.9)
