"""Variables of compiled programs whose kind changes, and elements in a row."""

from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable

A = np.array([1.0, 2.0])


def begins_as_a_number(a: Any, n: int) -> Any:
    s = 0.0
    for _ in range(n):
        s = s + A * np.sum(a)
    return s


def becomes_an_array_late(a: Any, n: int) -> Any:
    s, t = 0.0, 0.0
    for _ in range(n):
        s, t = s + A * np.sum(a), t + s
    return s + t


def test_a_number_that_becomes_an_array_in_a_loop() -> None:
    for n in (3, 0, 1):
        got, want = tl.jit(begins_as_a_number)(np.ones(3), n), begins_as_a_number(np.ones(3), n)
        assert type(got) is type(want)
        np.testing.assert_array_equal(got, want)
    with pytest.raises(NotCompilable, match="a number before a loop and an array after"):
        tl.jit(becomes_an_array_late)(np.ones(3), 3)
    late = tl.jit(becomes_an_array_late, fallback=True)
    np.testing.assert_array_equal(late(np.ones(3), 3), becomes_an_array_late(np.ones(3), 3))


def row(m: Any) -> Any:
    first = m.flat[0:3]
    m.flat[1] = 7.0
    total = 0.0
    for x in m.flat:
        total += x
    return 2.0 * first.sum() + total


def test_a_slice_of_flat_is_a_copy() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert tl.jit(row)(x.copy()) == row(x.copy())
    want = [[3.0, 2.0, 3.0], [1.0, 1.0, 1.0]]
    np.testing.assert_array_equal(tl.jit(tl.grad(row))(x.copy()), want)
