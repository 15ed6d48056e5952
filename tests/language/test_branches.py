"""if/elif/else, ternaries, short-circuit and/or, chained comparisons, walrus."""

import math

import numpy as np
import pytest

from checking import check

POINTS = [-1.3, -0.2, 0.4, 0.9, 2.5]


def ladder(x):
    if x < -1.0:
        y = x * x
    elif x < 0.0:
        y = math.exp(x)
    elif x < 0.5:
        y = math.sin(x) * x
    elif x < 1.0:
        y = 3.0
    else:
        y = x**3
    return y * x


def nested(x):
    y = x
    if x > 0:
        y = y * 2.0
        if x > 0.5:
            y += x * x
            if x > 2.0:
                return y**2
        else:
            y -= math.cos(x)
    elif x > -1.0:
        z = y * 5.0
        y = z * z
    return y + x


def defined_on_one_path(x):
    if x > 0:
        extra = x * x
    total = x
    if x > 0:
        total += extra
    return total


def unbound_on_one_path(x):
    if x > 0:
        extra = x * x
    return extra + x


def kinds_differ(x):
    y = 1
    if x > 0:
        y = x * x
    return y * 2 + x


def ternaries(x):
    a = x * x if x > 0 else -x
    b = a + 1.0 if a > 1.0 else (math.sin(a) if a > 0.5 else a * 3.0)
    return a * b


def pure_ternary_argument(x):
    return math.exp(x if x < 0.5 else 1.0 - x)


def short_circuit(x):
    positive = max(x, 0.0) or x * x * 2.0
    y = x > 0 and x * 3.0 or x * 5.0
    return positive * y


def short_circuit_effects(x):
    def shout(name, value):
        print(name)
        return value

    y = shout("a", x - 0.45) and shout("b", x * x)
    z = shout("c", 0.0) or shout("d", x * 3.0) or shout("e", 1.0)
    return y + z


def chained(x):
    def middle():
        print("evaluated once")
        return x * x

    if 0.0 < middle() < 1.0 < x + 1.0 <= 3.0:
        return x * 2.0
    if -2.0 < x <= 0.0 != 1.0:
        return x**3
    return math.exp(-x)


def chained_as_value(x):
    inside = 0.0 < x < 1.0
    return x * inside + (not inside) * x * x


def walrus(x):
    if (y := x * x) > 0.5:
        return y * x
    values = [z := y + 1.0, z * z, z**3]
    total = 0.0
    while (total := total + y + 0.3) < 1.0:
        pass
    return sum(values) + total


def walrus_in_comprehension(x):
    kept = [y for k in range(4) if (y := math.sin(k * x)) > 0.2]
    return sum(kept) + y


def not_and_is(x):
    y = None
    if not x > 0:
        y = x * x
    return x if y is None else y * 4.0


def no_return_on_one_path(x):
    if x > 0:
        return x * x
    print("nothing")
    return None


@pytest.mark.parametrize("x", POINTS)
@pytest.mark.parametrize(
    "program",
    [
        ladder,
        nested,
        defined_on_one_path,
        unbound_on_one_path,
        kinds_differ,
        ternaries,
        pure_ternary_argument,
        short_circuit,
        short_circuit_effects,
        chained,
        chained_as_value,
        walrus,
        walrus_in_comprehension,
        not_and_is,
    ],
)
def test_branches(program, x):
    check(program, x)


def test_a_path_without_a_value():
    check(no_return_on_one_path, 0.7)


def on_arrays(x, y):
    if x.sum() > y[0]:
        x, y = y, x
    z = x * y if np.all(x > 0) else x - y * y
    return z if z.ndim == 1 and len(z) > 1 else z * 2.0


def test_branches_on_arrays():
    a, b = np.array([0.4, 1.2, 0.3]), np.array([0.8, -0.5, 2.0])
    check(on_arrays, a, b)
    check(on_arrays, b, a)
