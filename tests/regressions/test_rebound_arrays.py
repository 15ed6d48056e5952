"""A name bound anew to a part of its own array, `a = a[1:]`: one variable, several shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapeless as tl

A = np.arange(6.0) / 5.0 + 0.33


def tail(a: Any) -> Any:
    a = a[1:]
    return np.sum(a)


def reversed_rows(a: Any) -> Any:
    a = a[::-1]
    return np.sum(a * a) + a[0] * a[1]


def shrinking(a: Any) -> Any:
    s = 0.0
    for _ in range(3):
        a = a[1:]
        s = s + a[0] * np.sum(a * a)
    return s


def neighbours(a: Any) -> Any:
    for _ in range(3):
        a = a[1:] * a[:-1]
    return np.sum(a * a)


def halved(a: Any) -> Any:
    while len(a) > 2:
        a = a[::2]
        a = a * a
    return np.sum(a)


def on_one_path(a: Any) -> Any:
    b = a
    if a[0] > 0:
        a = a[1:]
    else:
        a = a[:-1]
    return np.sum(a**3) * b[0]


def swapped(a: Any) -> Any:
    a, b = a[1:], a[:-1]
    a, b = b, a
    return np.sum(a * b * b)


def own_copy(a: Any) -> Any:
    a = a * 2.0
    a = a[1:]
    return np.sum(a * a)


@pytest.mark.parametrize(
    "f", [tail, reversed_rows, shrinking, neighbours, halved, on_one_path, swapped, own_copy]
)
def test_a_name_for_parts_of_itself(f: Any) -> None:
    gradient = tl.grad(f)
    np.testing.assert_allclose(gradient(A), gradient.untyped((A,), {}), rtol=1e-13)
    np.testing.assert_allclose(gradient(A), tl.finite_difference(f, A), atol=1e-8)
    assert gradient.entries, "this is typed"


def test_numbers_that_are_overwritten_before_they_are_used() -> None:
    def first(a: Any, x: Any) -> Any:
        x = a[3]
        return np.sum(a) * x

    def in_a_loop(a: Any, x: Any) -> Any:
        for v in a:
            x, v = v, -0.29
        return np.sum(a) * x

    for f in (first, in_a_loop):
        gradient = tl.grad(f, (0, 1))
        want = gradient.untyped((A, 2.0), {})
        got = gradient(A, 2.0)
        np.testing.assert_allclose(got[0], want[0], rtol=1e-14)
        assert got[1] == want[1] == 0.0
        assert gradient.entries, "this is typed"


IDX = np.array([3, 1, 1])


def loop_over_what_was(a: Any) -> Any:
    s = 0.0
    for v in a:
        a = np.cumsum(np.sin(a - v))
        s = s + v * a[1]
    return s + np.sum(a)


def pairs_of_what_was(a: Any) -> Any:
    s = 0.0
    for x, y in zip(a, a[1:], strict=False):
        a = a[::-1] * x
        s += x * y * a[0]
    return s


def named_iterator(a: Any) -> Any:
    pairs = enumerate(a)
    a = a * 2.0
    s = 0.0
    for i, x in pairs:
        s += i * x * a[0]
    return s


def twice_into_one_element(a: Any) -> Any:
    m = a * 1.0
    m[IDX] += a[5] * a[0]
    return np.sum(m * a)


def twice_into_one_element_by_arrays(a: Any) -> Any:
    m = a * 1.0
    m[IDX] -= a[:3]
    m[IDX] = a[2:5] * m[:3]
    m[IDX] *= 2.0
    return np.sum(m * m)


def a_shape_that_one_path_needs(a: Any) -> Any:
    x = 1.0
    b = a * 2.0
    if np.sum(a) > 100.0:
        x = np.mean(a)
    a = b
    return np.sum(a) * x


@pytest.mark.parametrize(
    "f",
    [
        loop_over_what_was,
        pairs_of_what_was,
        named_iterator,
        twice_into_one_element,
        twice_into_one_element_by_arrays,
        a_shape_that_one_path_needs,
    ],
)
def test_both_roads_agree(f: Any) -> None:
    value, gradient = tl.value_and_grad(f)(A)
    assert value == f(A)
    np.testing.assert_allclose(gradient, tl.grad(f).untyped((A,), {}), rtol=1e-13)
    np.testing.assert_allclose(gradient, tl.finite_difference(f, A), atol=1e-7)


def test_a_loop_over_arrays_of_several_shapes_with_a_branch() -> None:
    def f(params: Any, x: Any) -> Any:
        s = x[0]
        for p in params:
            if p[0] > 1.0:
                s = s + np.sum(p * p) * s
        return s

    params = [np.array([1.5, 0.2]), np.array([0.5]), np.array([0.1, 1.0, 2.0]), np.array([1.2])]
    gradient = tl.grad(f, (0, 1))
    got, want = gradient(params, A), gradient.untyped((params, A), {})
    for a, b in zip([*got[0], got[1]], [*want[0], want[1]], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
        assert a.shape == b.shape


def test_a_cotangent_that_a_factor_of_one_passes_on_is_not_shared() -> None:
    def f(a: Any, b: Any, x: Any) -> Any:
        m = -a * 1.0
        m[3] = x
        return np.sum(m * 1.0 + b)

    gradient = tl.grad(f, (0, 1, 2))
    for got, want in zip(gradient(A, A + 1.0, 2.0), gradient.untyped((A, A + 1.0, 2.0), {}), strict=True):
        np.testing.assert_array_equal(got, want)
