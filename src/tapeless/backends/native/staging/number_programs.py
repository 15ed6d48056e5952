"""Functions of NumPy on indices and integers, as programs on simpler ones."""

from __future__ import annotations

from typing import Any

import numpy as np


def normalize_axis_index(axis: Any, ndim: Any, msg_prefix: Any = None) -> Any:
    if axis < -ndim or axis >= ndim:
        raise np.exceptions.AxisError(f"axis {axis} is out of bounds for array of dimension {ndim}")
    return axis % ndim


def unravel_index(indices: Any, shape: Any) -> Any:
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if np.asarray(indices).dtype.kind not in "iu":
        raise TypeError("only int indices permitted")
    rest = indices if isinstance(indices, (int, np.integer)) else np.asarray(indices)
    total = 1
    for n in shape:
        total = total * n
    if np.any((rest < 0) | (rest >= total)):
        wrong = np.atleast_1d(rest)
        first = wrong[np.flatnonzero((wrong < 0) | (wrong >= total))[0]]
        raise ValueError(f"index {first} is out of bounds for array with size {total}")
    made: list[Any] = []
    for n in shape[::-1]:
        part = rest % n
        made = [np.int64(part) if isinstance(rest, (int, np.integer)) else part, *made]
        rest = rest // n
    return tuple(made)


def ravel_multi_index(multi_index: Any, dims: Any) -> Any:
    number = 0
    if len(multi_index) != len(dims):
        raise ValueError(f"parameter multi_index must be a sequence of length {len(dims)}")
    for i, n in zip(multi_index, dims, strict=True):
        i = i if isinstance(i, (int, np.integer)) else np.asarray(i)
        if np.any((np.asarray(i) < 0) | (np.asarray(i) >= n)):
            raise ValueError("invalid entry in coordinates array")
        number = number * n + i
    return np.int64(number) if isinstance(number, int) else number


def gcd(x1: Any, x2: Any) -> Any:
    if np.result_type(x1, x2).kind not in "iu":
        raise TypeError("ufunc 'gcd' is for integers")
    if isinstance(x1, (int, np.integer)) and isinstance(x2, (int, np.integer)):
        one, other = np.int64(np.abs(x1)), np.int64(np.abs(x2))
        while other != 0:
            one, other = other, one % other
        return np.asarray(one).astype(np.result_type(x1, x2))[()]
    a = np.abs(x1) + 0 * x2
    b = np.abs(x2) + 0 * x1
    while np.any(b != 0):
        rest = a % np.where(b == 0, 1, b)
        a = np.where(b == 0, a, b)
        b = np.where(b == 0, 0, rest)
    return a


def lcm(x1: Any, x2: Any) -> Any:
    common = gcd(x1, x2)
    return np.abs(x1) // np.where(common == 0, 1, common) * np.abs(x2)


def spacing(x: Any) -> Any:
    size = np.abs(x)
    return np.copysign(np.nextafter(size, np.inf) - size, x)
