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
