"""Arrays of the caller that a compiled loop exchanges with others and stores into."""

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable

X = np.linspace(0.2, 1.4, 7) ** 2


def step(u, v):
    v[1:-1] = 0.5 * u[1:-1] + 0.25 * (u[2:] * u[2:] + u[:-2])


def with_a_copy(u, n):
    v = u.copy()
    for _ in range(n):
        v[1:-1] = 0.5 * u[1:-1] + 0.25 * (u[2:] * u[2:] + u[:-2])
        u, v = v, u
    return np.sum(u * u)


def two_arguments(u, v, n):
    for _ in range(n):
        step(u, v)
        u, v = v, u
    return np.sum(u * u) + v[1]


def two_arguments_returned(u, v, n):
    for _ in range(n):
        step(u, v)
        u, v = v, u
    return u, v


def called(u, v, n):
    a, b = two_arguments_returned(u, v, n)
    return np.sum(a * b) + u[1] * v[2]


def held_by_another_name(u, n):
    first, v = u, u.copy()
    for _ in range(n):
        step(u, v)
        u, v = v, u
    return np.sum(u * first)


def read_by_another_name(u, n):
    first, v = u, u.copy()
    for _ in range(n):
        step(u, v)
        v[0] = first[1]
        u, v = v, u
    return np.sum(u * first)


def written_by_another_name(u, n):
    first, v = u, u.copy()
    for _ in range(n):
        step(u, v)
        first[0] = 0.5 * v[1]
        u, v = v, u
    return np.sum(u * first)


def three_levels(a, b, c, n):
    for _ in range(n):
        c[1:-1] = 2 * b[1:-1] - a[1:-1] + 0.1 * (b[2:] - 2 * b[1:-1] + b[:-2])
        a, b, c = b, c, a
    return np.sum(a) + np.sum(b * c)


def given_up(u, n):
    for k in range(n):
        u[0] = k + 3.0
        u = u * 1.5
    return np.sum(u)


def given_up_at_last(u, v, n):
    for k in range(n):
        step(u, v)
        u[0] = k * 0.1
        u, v = v, u + u
    return np.sum(u * v)


def exchanged_on_a_path(u, v, n):
    for k in range(n):
        step(u, v)
        if k % 2:
            u, v = v, u
    return np.sum(u * v)


def left_early(u, v, n):
    for k in range(9):
        step(u, v)
        if k == n:
            break
        u, v = v, u
    return np.sum(u)


def returns_early(u, v, n):
    for k in range(9):
        step(u, v)
        u, v = v, u
        if k == n:
            return np.sum(u)
        v[0] = 0.25
    return np.sum(v)


def until(u, v, n):
    k = 0
    while k < n and u[1] > -1.0:
        step(u, v)
        u, v = v, u
        k += 1
    return np.sum(u)


def nested(u, v, n):
    for _ in range(n):
        for _ in range(3):
            step(u, v)
            u, v = v, u
        u[0] = v[1]
    return np.sum(u)


def nested_in_a_call(u, v, n):
    for _ in range(n):
        u, v = two_arguments_returned(u, v, 3)
    return np.sum(u)


def nested_left_early(u, v, n):
    for k in range(4):
        for j in range(3):
            step(u, v)
            u, v = v, u
            if k + j == n:
                return np.sum(u)
    return np.sum(u)


def one_after_the_other(u, v, n):
    for _ in range(n):
        step(u, v)
        u, v = v, u
    for _ in range(n + 1):
        v[1:] = u[:-1] * 0.9
        u, v = v, u
    return np.sum(u)


def written_afterwards(u, v, n):
    for _ in range(n):
        step(u, v)
        u, v = v, u
    v[2] = 5.0
    return np.sum(u)


def mirrored(u, v, n):
    for _ in range(n):
        step(u, v)
        u, v = v[::-1], u
    return np.sum(u)


def parts(x, n):
    u, v = x[1:4], x[4:]
    for _ in range(n):
        v[1:] = u[:-1] * 0.9
        u, v = v, u
    return np.sum(u)


def a_part(u, n):
    u = u[1:]
    v = u.copy()
    for _ in range(n):
        step(u, v)
        u, v = v, u
    return np.sum(u)


def in_a_list(u, v, n):
    both = [u, v]
    for _ in range(n):
        step(both[0], both[1])
        both[0], both[1] = both[1], both[0]
    return np.sum(both[0])


def fails(u, v, n):
    for k in range(n):
        step(u, v)
        u, v = v, u
        u[0] = 1.0 / (3 - k)
    return np.sum(u)


def caught(u, v, n):
    try:
        for k in range(n):
            step(u, v)
            u, v = v, u
            if k == 3:
                raise ValueError("no more")
    except ValueError:
        return np.sum(u) + v[1]
    return np.sum(u)


def without_stores(u, v, n):
    for _ in range(n):
        u, v = v, u + v
    return np.sum(u)


def overwritten_when_left(u, v, n):
    for _ in range(n):
        u, v = v, u + v
    v[0] = 3.0
    return np.sum(u * v)


ONE = [with_a_copy, held_by_another_name, given_up, a_part]
TWO = [
    two_arguments, called, given_up_at_last, left_early, returns_early, until, nested, nested_in_a_call,
    caught, nested_left_early, one_after_the_other, fails, without_stores, in_a_list,
]  # fmt: skip
MAY_BE_REFUSED = [
    read_by_another_name, written_by_another_name, exchanged_on_a_path, written_afterwards, mirrored, parts,
    overwritten_when_left,
]  # fmt: skip


def arguments(f: Any) -> list[Any]:
    count = f.__code__.co_argcount - 1
    return [X * (k + 1) - 0.1 * k for k in range(count)]


def outcome(f: Any, args: list[Any], n: int) -> Any:
    try:
        return f(*args, n)
    except ArithmeticError as error:
        return type(error), str(error)


def compare(f: Any, g: Any, n: int, change: Any = lambda a: a) -> None:
    plain, given = [[change(a) for a in arguments(f)] for _ in range(2)]
    expected, got = outcome(g, plain, n), outcome(tl.jit(g), given, n)
    if isinstance(expected, tuple) and isinstance(expected[0], type):
        assert got == expected
    else:
        for x, y in zip(tl_leaves(got), tl_leaves(expected), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-14)
    for x, y in zip(given, plain, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-13, atol=0)


def tl_leaves(value: Any) -> list[Any]:
    return [x for v in value for x in tl_leaves(v)] if isinstance(value, (tuple, list)) else [value]


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("f", [*ONE, *TWO, three_levels])
def test_arguments_are_overwritten_as_in_python(f, n):
    compare(f, f, n)
    compare(f, tl.value_and_grad(f), n)


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("f", MAY_BE_REFUSED)
def test_right_or_refused(f, n):
    for g in (f, tl.value_and_grad(f)):
        try:
            compare(f, g, n)
        except NotCompilable as error:
            assert "copy" in str(error)


@pytest.mark.parametrize("f", [with_a_copy, two_arguments, three_levels, given_up, nested])
def test_second_derivatives_and_tangents(f):
    compare(f, tl.hessian(f), 3)

    def tangent(*given):
        first, *others = [a * 1.0 for a in given[:-1]]
        return tl.jvp(lambda u: f(u, *[a * 2.0 for a in others], given[-1]), (first,), (X + 1.0,))

    compare(f, tangent, 3)


@pytest.mark.parametrize("f", [with_a_copy, two_arguments, nested, given_up_at_last])
def test_other_memory_and_dtypes(f):
    compare(f, f, 3, lambda a: np.repeat(a, 2)[::2])
    compare(f, tl.grad(f), 3, lambda a: np.repeat(a, 2)[::2])
    compare(f, f, 3, lambda a: a * (1 + 0.5j))
    compare(f, f, 3, lambda a: np.asarray(a * 8, np.int64))


def test_the_same_array_twice():
    for n in (1, 2):
        plain, given = X.copy(), X.copy()
        expected = two_arguments(plain, plain, n)
        try:
            got = tl.jit(two_arguments)(given, given, n)
        except NotCompilable:
            continue
        assert got == pytest.approx(expected, rel=1e-13)
        np.testing.assert_allclose(given, plain, rtol=1e-13)


class Field:
    def __init__(self, u, v):
        self.u, self.v = u, v

    def run(self, n):
        for _ in range(n):
            step(self.u, self.v)
            self.u, self.v = self.v, self.u


def test_fields_of_an_object():
    def f(u, v, n):
        field = Field(u, v)
        field.run(n)
        return np.sum(field.u * field.u)

    for n in (0, 1, 2, 3):
        compare(f, f, n)
        compare(f, tl.grad(f), n)


def test_fields_of_an_argument():
    for n in (0, 1, 2, 3):
        plain, given = Field(*arguments(two_arguments)), Field(*arguments(two_arguments))
        a, b = [plain.u, plain.v], [given.u, given.v]
        plain.run(n)
        tl.jit(lambda field, n: field.run(n))(given, n)
        for x, y in zip([given.u, given.v, *b], [plain.u, plain.v, *a], strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-13)
