"""The functions of `itertools`, compiled: of known items and of a number of run time."""

import itertools
import math
import operator

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.errors import NotCompilable

from .orders import check_orders

A = np.array([0.3, 0.7, 0.2, 0.9, 0.5])


def totals(a):
    known = itertools.accumulate([a[0], a[1], a[2]], lambda x, y: x * y + 1.0, initial=2.0)
    return (
        sum(itertools.accumulate(a))
        + list(known)[-1]
        + sum(itertools.accumulate(a, operator.mul, initial=3.0))
    )


def largest_so_far(a):
    return sum(v * w for v, w in zip(itertools.accumulate(a, max), a, strict=True))


def slices(a):
    few = sum(v * v for v in itertools.islice(a, 1, 4)) + sum(itertools.islice(a, 2))
    return few * sum(itertools.islice(a, 0, None, 2)) + sum(itertools.islice([a[0], a[1], a[2]], 1, 9))


def one_after_the_other(a):
    total = 0.0
    for k, v in enumerate(itertools.chain(a, [a[1], a[0]], a[1:3])):
        total += k * v
    nested = itertools.chain.from_iterable([[a[0], a[1]], (a[2],)])
    return total + sum(nested) + sum(v * v for v in itertools.chain.from_iterable(np.outer(a, a)))


def neighbours(a):
    return sum(x * y for x, y in itertools.pairwise(a)) + sum(
        x - y * y for x, y in itertools.pairwise([a[0], a[1]])
    )


def grids(a):
    n = len(a)
    small = sum(a[i] * a[j] * i for i, j in itertools.product(range(3), repeat=2))
    large = sum(x * y * k for x, y, k in itertools.product(a, a[1:], range(7)))
    return small + large + sum(a[i] * j for i, j in itertools.product(range(n), (1.0, 2.0)))


def pairs(a):
    n = len(a)
    total = sum(x * y for x, y in itertools.combinations(a, 2))
    for i, j in itertools.combinations(range(n), 2):
        total += abs(a[i] - a[j]) * (i + 2 * j)
    for i, j in itertools.permutations(range(n), 2):
        total += a[i] * a[j] ** 2 * i
    return total + sum(x * y * z for x, y, z in itertools.combinations([a[0], a[1], a[2], a[3]], 3))


def endless(a):
    total = sum(x * w for x, w in zip(a, itertools.repeat(2.0), strict=False))
    total += sum(x * w for x, w in zip(a, itertools.cycle([1.0, 2.0, 3.0]), strict=False))
    total += sum(x * i for i, x in zip(itertools.count(1), a, strict=False))
    for i in itertools.count(2, 3):
        if i > len(a) + 4:
            break
        total += a[0] * i
    return (
        total
        + sum(itertools.repeat(a[0], 3))
        + sum(k * a[1] for k in itertools.islice(itertools.count(5), 4))
    )


def kept(a):
    few = sum(itertools.takewhile(lambda k: k < 3, [1, 2, 3, 1])) * a[0]
    rest = sum(itertools.dropwhile(lambda k: k < 3, [1, 2, 3, 1])) * a[1]
    return few + rest + sum(itertools.compress([a[0], a[1], a[2]], [1, 0, 1]))


def of_several(a):
    first, second = itertools.tee(a)
    total = sum(itertools.starmap(lambda x, y: x * y, zip(a, a[::-1], strict=True)))
    total += sum(x * y for x, y in itertools.zip_longest(a[:3], a, fillvalue=1.5))
    total += sum(math.sin(v) for v in first) * sum(second)
    for k, group in itertools.groupby([1, 1, 2, 2, 2]):
        total += k * len(list(group)) * a[0]
    return total


CASES = [
    totals,
    largest_so_far,
    slices,
    one_after_the_other,
    neighbours,
    grids,
    pairs,
    endless,
    kept,
    of_several,
]


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_itertools(f):
    check(f, A, native=True)
    fast = tl.jit(f)
    for n in (5, 8, 40, 5):
        a = np.linspace(0.11, 0.93, n)
        assert fast(a) == pytest.approx(f(a), rel=1e-12)
    assert len(fast.entries) <= 2


def test_pairs_of_many():
    def f(n):
        total = 0
        for i, j in itertools.combinations(range(n), 2):
            total = (total * 31 + i * 1009 + j) % 1000003
        for i, j in itertools.permutations(range(n), 2):
            total = (total * 31 + i * 1009 + j) % 1000003
        return total

    fast = tl.jit(f)
    for n in (0, 1, 2, 3, 64, 65, 100, 333):
        assert fast(n) == f(n)


def loud(a):
    def shown(v):
        print("seen")
        return v

    total = 0.0
    for x, y in itertools.pairwise(map(shown, a)):
        total += x * y
    return total


def raising(x):
    return sum(itertools.islice(map(lambda v: 1.0 / v, [x, x + 1.0, 0.0 * x]), 2))


def test_effects_are_not_moved():
    for f, x in ((loud, A), (raising, 0.5)):
        with pytest.raises(NotCompilable, match="changes something, or may raise"):
            tl.jit(f)(x)
        tl.jit(f, fallback=True)(x)


def grown_in_a_product(x):
    items, total = [x[0], x[1]], 0.0
    for a, b in itertools.product(items, items):
        items.append(a * b)
        total = total + a * b * len(items)
    for a, b in itertools.combinations(items[:3], 2):
        items[0] = items[0] * b
        total = total + a * items[0]
    return total + sum(items)


def listed_before(x):
    items = [x[0], x[1]]
    rows = itertools.permutations(items, 2)
    items[0] = 7.0 * x[2]
    return sum(a * a * b for a, b in rows) * items[0]


@pytest.mark.parametrize("f", [grown_in_a_product, listed_before])
def test_a_list_is_read_when_the_product_is_made(f):
    check_orders(f, np.array([0.7, 1.3, 0.4]))
