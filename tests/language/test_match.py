"""match: every kind of pattern."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from checking import check


@dataclass
class Point:
    x: float
    y: float


@dataclass
class Circle:
    center: Point
    radius: float


class Pair(NamedTuple):
    left: float
    right: float


class Codes:
    UP = 1
    DOWN = 2


def literals(x):
    total = x
    for code in (0, 1, "two", None, True, -3, 4.5):
        match code:
            case 0:
                total *= 2.0
            case True:
                total += x
            case "two" | "three":
                total = total * x
            case None:
                total = math.sin(total)
            case -3:
                total -= 1.0
            case _:
                total += x * x
    return total


def captures(x):
    match x * x:
        case y if y > 0.5:
            return y * 3.0
        case y:
            return y * y


def sequences(x):
    total = 0.0
    for item in ([x], (x, 2.0), [x, x * x, 3.0, 4.0], [], [[x, 1.0], x], "ab"):
        match item:
            case []:
                total += 1.0
            case [only]:
                total += only * only
            case [[a, b], c]:
                total += a * b * c
            case (a, b):
                total += a * b
            case [first, *middle, last]:
                total += first * last + sum(middle)
            case str():
                total *= x
    return total


def mappings(x):
    total = 0.0
    for item in ({"a": x}, {"a": x, "b": x * x}, {"kind": "sin", "of": x, "more": 2.0}, {}):
        match item:
            case {"kind": "sin", "of": value, **rest}:
                total += math.sin(value) * rest["more"]
            case {"a": a, "b": b}:
                total += a * b
            case {"a": a}:
                total += a**3
            case _:
                total *= 1.0 + x
    return total


def classes(x):
    total = 0.0
    for shape in (Point(x, 0), Point(x, x * 2.0), Circle(Point(x, 1.0), x), Pair(x, 3.0), x, 3):
        match shape:
            case Point(x=a, y=0):
                total += a * a
            case Point(a, b):
                total += a * b
            case Circle(Point(a, _) as center, radius=r) if r > 0:
                total += a * r * center.y
            case Pair(left=a, right=b):
                total += a / b
            case float(v):
                total += v * 7.0
            case int():
                total *= x
    return total


def values_and_alternatives(x):
    total = x
    for code in (1, 2, 3):
        match code:
            case Codes.UP:
                total *= 2.0 * x
            case Codes.DOWN | 4:
                total += 1.0
            case other:
                total *= other
    return total


def no_case_matches(x):
    y = x
    match "nothing":
        case "something":
            y = 0.0
    return y * x


def returns_and_breaks(x):
    for k in range(5):
        match k:
            case 0 | 1:
                continue
            case 3:
                return x * k
            case n:
                x = x * n + 0.1
    return x


@pytest.mark.parametrize("x", [0.4, 1.1])
@pytest.mark.parametrize(
    "program",
    [
        literals,
        captures,
        sequences,
        mappings,
        classes,
        values_and_alternatives,
        no_case_matches,
        returns_and_breaks,
    ],
)
def test_match(program, x):
    check(program, x)
