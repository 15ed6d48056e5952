"""Variables that hold something else on each path of a compiled program."""

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.errors import NotCompilable


def number_or_list(x):
    v = x if x > 1.0 else [x, x * 2.0, 3.0]
    if isinstance(v, float):
        return v * v
    return sum(v) * v[0]


def tuples_of_two_lengths(x):
    a = (x,) if x > 1.0 else (x, 2.0 * x)
    total = 0.0
    for v in a:
        total += v * v
    return total + len(a)


def given_as_arguments(x):
    def norm(*items):
        return sum(v * v for v in items) + len(items)

    a = (x, 1.0) if x > 1.0 else (x, 2.0 * x, 0.5)
    return norm(*a) + norm(x)


def functions(x):
    k = 3.0
    f = (lambda y: y * k) if x > 1.0 else np.sin
    k = 4.0
    return f(x) + f(2.0 * x)


def returned(x):
    def roots(b):
        if b > 1.0:
            return b, -b
        if b > 0.8:
            return None
        return [b]

    found = roots(x)
    if found is None:
        return 7.0 * x
    return sum(found) * found[0] + len(found)


def changed_afterwards(x):
    items = [x] if x > 1.0 else (x, 2.0)
    if isinstance(items, list):
        items.append(x * x)
    total = 0.0
    for k, v in enumerate(items):
        total += (k + 1) * v
    return total


def in_a_loop(x):
    total = x
    for k in range(5):
        step = (total, 0.5) if total > 1.0 + 0.1 * k else total * 1.5
        if isinstance(step, tuple):
            total = step[0] * step[1] + 0.3
        else:
            total = step
    return total


def two_that_go_together(x):
    if x > 1.0:
        kind, data = "pair", (x, 2.0 * x)
    else:
        kind, data = "one", x
    total = 0.0
    for k in range(3):
        total += data[0] * data[1] * k if kind == "pair" else data
    return total


def one_after_the_other(x):
    a = (x,) if x > 1.0 else x
    b = [x, x] if x > 0.8 else 2.0
    left = a[0] if isinstance(a, tuple) else a
    right = b[1] if isinstance(b, list) else b
    c = {"k": left} if x > 1.1 else (left, right)
    return c["k"] * right if isinstance(c, dict) else c[0] + c[1] * left


def raised(x):
    scale = (x, 0.0) if x > 1.0 else 0.0
    below = scale[1] if isinstance(scale, tuple) else scale
    return x / below


class Line:
    def __init__(self, slope):
        self.slope = slope

    def at(self, x):
        return self.slope * x


class Flat:
    def __init__(self, value):
        self.value = value

    def at(self, x):
        return self.value + 0.0 * x


def objects(x):
    shape = Line(x * 2.0) if x > 1.0 else Flat(x)
    return shape.at(3.0) * shape.at(x)


def closed_over(x):
    pair = (x, 2.0) if x > 1.0 else x

    def area():
        return pair[0] * pair[1] if isinstance(pair, tuple) else pair

    return area()


POINTS = (1.3, 0.9, 0.7)
PROGRAMS = [
    number_or_list, tuples_of_two_lengths, given_as_arguments, functions, returned, changed_afterwards,
    in_a_loop, two_that_go_together, one_after_the_other, objects,
]  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS)
def test_values_of_several_kinds(f):
    compiled, slope = tl.jit(f), tl.jit(tl.grad(f))
    for x in POINTS:
        assert compiled(x) == pytest.approx(f(x), rel=1e-14)
        assert slope(x) == pytest.approx(tl.grad(f)(x), rel=1e-13)
        check(f, x)


@pytest.mark.parametrize("f", [number_or_list, in_a_loop, returned, objects])
def test_second_derivatives(f):
    second = tl.grad(tl.grad(f))
    compiled = tl.jit(second)
    for x in POINTS:
        assert compiled(x) == pytest.approx(second(x), rel=1e-12, abs=1e-13)


def test_the_exception_of_the_path_taken():
    for x in (1.3, 0.7):
        with pytest.raises(ZeroDivisionError):
            raised(x)
        with pytest.raises(ZeroDivisionError):
            tl.jit(raised)(x)


def test_what_a_closure_holds_is_right_or_refused():
    for x in (1.3, 0.7):
        try:
            assert tl.jit(closed_over)(x) == closed_over(x)
        except NotCompilable as error:
            assert "path" in str(error)


def array_or_number(x, n):
    v = x if n > 2 else np.sum(x)
    w = np.outer(v, v) if n > 3 else v * 2.0
    return np.sum(w * w) + np.sum(v)


def arrays_in_a_list(x, n):
    parts = [x * 2.0, np.sin(x)] if n > 2 else x[:2] * 3.0
    y = x * 1.0
    x = None
    y[0] = 5.0
    total = 0.0
    for part in parts:
        total = total + np.sum(part * part)
    return total + y[0]


def views(x, n):
    part: Any = (x[1:], x[:-1]) if n > 2 else x
    if isinstance(part, tuple):
        part[0][0] = 4.0
        return np.sum(part[0] * part[1])
    part[1] = 7.0
    return np.sum(part)


def printed(x, n):
    message = f"{n} {x[0]:.3f}" if n > 2 else x
    print(message)
    return np.sum(x)


@pytest.mark.parametrize("f", [array_or_number, arrays_in_a_list, views, printed])
def test_arrays_and_side_effects(f, capsys):
    for g in (f, tl.value_and_grad(f)):
        compiled = tl.jit(g)
        for n in (1, 3, 4):
            plain, given = np.array([0.3, 1.2, -0.5, 2.0]), np.array([0.3, 1.2, -0.5, 2.0])
            expected = g(plain, n)
            shown = capsys.readouterr().out
            got = compiled(given, n)
            assert capsys.readouterr().out == shown
            for a, b in (
                zip(np.atleast_1d(got), np.atleast_1d(expected), strict=True)
                if g is f
                else zip(got, expected, strict=True)
            ):
                np.testing.assert_allclose(a, b, rtol=1e-13)
            np.testing.assert_array_equal(given, plain)
