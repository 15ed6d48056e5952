"""Elements whose old value no derivative reads are overwritten without being saved; all others are saved."""

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import (
    F64,
    I64,
    ONE,
    ZERO,
    Alloc,
    Array,
    Assign,
    Dim,
    For,
    Function,
    Grow,
    Load,
    Ref,
    Scalar,
    Store,
    apply,
    cast,
    const,
)
from tapeless.backends.native.reverse import reverse
from tapeless.backends.native.verify import verify


def agrees(f: Callable[..., Any], *args: Any) -> str:
    """Compares the compiled gradient with the plain one; gives the loops."""
    want = tl.grad(f)(*args)
    np.testing.assert_allclose(tl.jit(tl.grad(f))(*args), want, rtol=1e-11, atol=1e-13)
    return tl.compiled(tl.grad(f), *args)


def elements_saved(loops: str) -> int:
    """How many statements save an element of an array, rather than a number that has been computed."""
    return len(re.findall(r"saved\w*\[.*\] = \w+\[", loops))


START = np.linspace(0.3, 1.1, 24)


def chained(x, steps):
    """Each iteration has arrays of its own, of which an element is stored once."""
    y = x.copy()
    for _ in range(steps):
        t = np.empty_like(x)
        t[0] = x[0]
        t[1:] = x[1:] * y[:-1]
        u = np.sin(t)
        y += u * t
    return np.sum(y)


def test_cotangents_of_what_is_stored_first_are_not_cleared():
    loops = agrees(chained, START, 3)
    assert not re.search(r"bar\w*\[.*\] = 0\.0", loops.split("range(steps - 1, -1, -1)")[1])


@pytest.mark.parametrize("shift", [0, 1, 2])
@pytest.mark.parametrize("again", [0, 1, 2])
def test_cotangents_of_what_was_there_before_are_cleared(shift, again):
    def f(x, steps):
        s = 0.0
        for k in range(steps):
            t = x * k
            for i in range(x.shape[0] - 4):
                s += t[i + 2] * x[i]
                t[i + shift] = x[i] * x[i + 1]
                t[i + again] = t[i + 1] * 0.5 + x[i]
            s += np.sum(t * t)
        return s

    agrees(f, START, 3)


@pytest.mark.parametrize(
    ("a", "b", "c", "d"), list(itertools.product((1, 2, -1), (0, 3), (1, 2, -1), (0, 1, 3)))[::2]
)
def test_read_here_and_stored_there(a, b, c, d):
    b, d = b + 8 * (a < 0), d + 8 * (c < 0)

    def f(x):
        u = x.copy()
        s = 0.5
        for i in range(7):
            s = s + u[a * i + b] * u[a * i + b]
            u[c * i + d] = s * u[c * i + d + 2]
        return np.sum(u * u) + s

    agrees(f, START)


def test_rows_made_of_rows_above():
    def f(x):
        n = 5
        u = np.zeros((n, n))
        for i in range(n):
            for j in range(n):
                u[i, j] = x[i + j]
                if i > 0:
                    u[i, j] = u[i, j] * u[i - 1, j] / (1.0 + x[i])
        return np.sum(u * u)

    agrees(f, START)


def test_columns_from_columns_before_are_not_saved():
    def f(x):
        u = np.zeros((6, 4))
        for k in range(1, 4):
            for i in range(6):
                u[i, k] = x[i] * u[i, k - 1] + x[k]
        return np.sum(u * u)

    assert not elements_saved(agrees(f, START))


def test_a_factorisation_in_place_saves_no_element():
    def f(x):
        a = x.reshape(4, 6)[:, :4] + 3.0 * np.eye(4)
        for i in range(4):
            for j in range(i):
                s = a[i, j]
                for k in range(j):
                    s -= a[i, k] * a[k, j]
                a[i, j] = s / a[j, j]
            for j in range(i, 4):
                s = a[i, j]
                for k in range(i):
                    s -= a[i, k] * a[k, j]
                a[i, j] = s
        return np.sum(a * a)

    assert not elements_saved(agrees(f, START))


def test_what_an_iteration_before_has_read_is_saved():
    def f(x):
        u = x.copy()
        for i in range(1, 20):
            u[i] = u[i] * u[i - 1] * u[i + 1]
        return np.sum(u)

    assert "saved" in agrees(f, START)


def test_what_the_same_iteration_has_read_is_saved():
    def f(x):
        u = x.copy()
        s = 0.0
        for i in range(20):
            s = s + u[i] * u[i]
            u[i] = s
        return np.sum(u * u)

    assert "saved" in agrees(f, START)


def test_what_an_earlier_loop_has_read_is_saved():
    def f(x):
        u = x.copy()
        s = 0.0
        for i in range(20):
            s = s + u[i] * u[i]
        for i in range(10, 20):
            u[i] = s * x[i]
        return np.sum(u * u)

    agrees(f, START)


def test_what_an_earlier_loop_has_read_elsewhere_is_not():
    def f(x):
        u = x.copy()
        s = 0.0
        for i in range(10):
            s = s + u[i] * u[i]
        for i in range(10, 20):
            u[i] = s * x[i]
        return np.sum(u * u)

    assert not elements_saved(agrees(f, START))


def test_places_in_an_array():
    def f(x, order):
        u = x.copy()
        s = 1.0
        for i in range(8):
            s = s * u[order[i]]
            u[order[i + 1]] = s
        return np.sum(u * u)

    agrees(f, START, np.array([3, 1, 3, 0, 3, 1, 7, 7, 2]))


def test_integers_that_are_read_again():
    def f(x):
        order = np.arange(8)
        s = 0.0
        for i in range(7):
            s = s + x[order[i]] * x[order[i]] * i
            order[i + 1] = order[i] // 2
        return s

    agrees(f, START)


def test_passes_over_the_same_elements():
    def f(x):
        u = x.copy()
        s = 0.0
        for step in range(3):
            for i in range(1, 20):
                s = s + u[i] * u[i] * step
            for i in range(1, 20):
                u[i] = s * x[i]
        return s

    agrees(f, START)


def test_loops_with_a_test():
    def f(x):
        u = x.copy()
        s, i = 1.0, 0
        while s < 4.0 and i < 20:
            s = s + u[i] * u[i]
            u[i // 2] = s
            i += 1
        return np.sum(u * u)

    agrees(f, START)


def test_arrays_that_change_places():
    def f(x):
        u, v = x.copy(), np.zeros(24)
        for _ in range(4):
            for i in range(1, 24):
                v[i] = u[i] * u[i - 1]
            u, v = v, u
        return np.sum(u * u) + np.sum(v)

    agrees(f, START)


def test_second_derivatives():
    def f(x):
        u = np.zeros(8)
        u[0] = x[0]
        for k in range(1, 8):
            u[k] = x[k] * u[k - 1] * u[k - 1] + x[k - 1]
        return np.sum(u * u)

    x = START[:8]
    np.testing.assert_allclose(tl.jit(tl.hessian(f))(x), tl.hessian(f)(x), rtol=1e-10)

    def slope(x):
        return np.sum(tl.grad(f)(x) * np.cos(x))

    np.testing.assert_allclose(tl.jit(tl.grad(slope))(x), tl.grad(slope)(x), rtol=1e-10)


def test_what_sizes_are_undone_with_is_saved():
    """The room for what is saved of `y` asks for `c`, so c + int(x) is undone, and x computed again."""
    y, s, x, a = Scalar("y", F64), Scalar("s", F64), Scalar("x", F64), Array("a", "float64", 1)
    n, m, c, i, j, k = (Scalar(name, I64) for name in "nmcijk")
    last = Load(a, (ONE,))
    body = [
        Assign(c, ZERO),
        Assign(s, const(0.5)),
        Alloc(a, (const(2),)),
        For(i, ZERO, const(2), [Store(a, (Ref(i),), Ref(y))]),
        For(
            k,
            ZERO,
            Ref(n),
            [
                Assign(s, Ref(s) + last * last * 0.3),
                Store(a, (ONE,), Ref(s) * Ref(y)),
                Store(a, (ZERO,), cast(Ref(k), F64) * 0.7 + 0.2),
                Assign(x, Load(a, (ZERO,)) * 1.5),
                Assign(c, Ref(c) + cast(Ref(x), I64)),
                For(
                    i,
                    ZERO,
                    const(3),
                    [
                        Assign(m, Ref(c) + ONE),
                        For(
                            j,
                            ZERO,
                            Ref(m),
                            [Assign(y, apply("sin", Ref(y) * 1.3)), Assign(s, Ref(s) + Ref(y))],
                        ),
                    ],
                ),
            ],
        ),
        Assign(s, Ref(s) * cast(Ref(m), F64)),
    ]
    made = reverse(Function("f", [y, n, m], body, [s]), [0])
    verify(made)

    def f(y):
        s, last, c = 0.5, y, 0
        for k in range(4):
            s = s + last * last * 0.3
            last = s * y
            c += int((k * 0.7 + 0.2) * 1.5)
            for _ in range(3 * (c + 1)):
                y = math.sin(y * 1.3)
                s = s + y
        return s * (c + 1)

    value, slope = compile(made).call(0.7, 4, 2)
    assert value == pytest.approx(f(0.7), rel=1e-12)
    assert slope == pytest.approx(tl.grad(f)(0.7), rel=1e-11)


@pytest.mark.parametrize("n", [2, 60])
def test_lists_that_grow_later(n):
    def f(x):
        numbers = [x, x * x, 1.0]
        s = 1.0
        for k in range(n):
            for i in range(len(numbers)):
                s += numbers[i] * numbers[i] * x
            for p in range(n):
                for i in range(len(numbers)):
                    numbers[i] = math.sin(x * k + i + p)
            numbers.append(math.sin(x * k) + 1.5)
            numbers.append(x)
        return s + numbers[0]

    assert "saved" in agrees(f, 0.6)


@pytest.mark.parametrize("written", [True, False])
def test_loops_as_long_as_an_array_that_grows(written):
    y, s, a = Scalar("y", F64), Scalar("s", F64), Array("a", "float64", 1)
    n, i, j, k = (Scalar(name, I64) for name in "nijk")
    here = Load(a, (Ref(i),))
    inner = Store(a, (Ref(i),), apply("sin", here * Ref(y) + cast(Ref(k) * Ref(i), F64)))
    body = [
        Assign(s, Ref(y)),
        Alloc(a, (ONE,)),
        Store(a, (ZERO,), Ref(y)),
        For(
            k,
            ZERO,
            Ref(n),
            [
                Grow(a, Ref(k) * 20 + 2),
                For(
                    i,
                    ZERO,
                    Dim(a, 0),
                    [inner if written else Assign(s, Ref(s) + apply("sin", here * Ref(s)))],
                ),
            ],
        ),
        For(j, ZERO, Ref(n) * 2, [Assign(s, Ref(s) + Load(a, (Ref(j),)) * Ref(s))]),
    ]
    made = reverse(Function("f", [y, n], body, [s]), [0])
    verify(made)

    def f(y):
        s, a = y, [y] + [0.0] * 61
        for k in range(4):
            for i in range(20 * k + 2):
                if written:
                    a[i] = math.sin(a[i] * y + k * i)
                else:
                    s = s + math.sin(a[i] * s)
        for j in range(8):
            s = s + a[j] * s
        return s

    for value, slope in (compile(made).call(0.7, 4), show.python(made)(0.7, 4)):
        assert value == pytest.approx(f(0.7), rel=1e-12)
        assert slope == pytest.approx(tl.grad(f)(0.7), rel=1e-11)
