"""itertools on active values."""

import itertools as it
import operator

import pytest

import tapeless as tl
from checking import check


def accumulates(x):
    a = list(it.accumulate([x, 2.0, x]))
    b = list(it.accumulate([x, 2.0, x], operator.mul, initial=3.0))
    c = list(it.accumulate([1.0, x], lambda s, v: s * x + v))
    return a[-1] * a[1] + sum(b) + c[-1]


def chains(x):
    total = 1.0
    for v in it.chain([x], (2.0, x * x), it.chain.from_iterable([[x], [3.0]])):
        total = total * 0.9 * v + v
    return total


def combines(x):
    values = [x, 2.0, x * x]
    a = sum(p * q for p, q in it.combinations(values, 2))
    b = sum(p * q * q for p, q in it.permutations(values, 2))
    c = sum(p * q + q for p, q in it.product(values, [x, 1.0]))
    d = sum(p**2 * q for p, q in it.combinations_with_replacement(values, 2))
    return a + b * c + d + sum(p * q for p, q in it.product([x, 0.5], repeat=2))


def counts_and_cycles(x):
    total = 0.0
    for k, v in zip(it.count(1, 2), it.cycle([x, 2.0]), strict=False):
        if k > 8:
            break
        total = total * x + v * k
    for v in it.islice(it.count(x, 0.5), 1, 6, 2):
        total += v * v
    return total + sum(it.repeat(x, 3)) * next(it.repeat(x))


def pairs(x):
    values = [x, x * x, 2.0, x + 1.0]
    return sum((b - a) ** 2 for a, b in it.pairwise(values)) + sum(it.compress(values, [1, 0, 1, 1]))


def starmaps(x):
    a = sum(it.starmap(pow, [(x, 2), (x, 3)]))
    b = list(it.starmap(lambda p, q: p * q + x, [(x, 1.0), (2.0, x)]))
    return a * b[0] + b[1]


def takes_and_drops(x):
    values = [x, 0.2, 1.5 * x, 2.0, x]
    a = sum(it.takewhile(lambda v: v < 1.6, values))
    b = sum(it.dropwhile(lambda v: v < 1.6, values))
    c = sum(it.filterfalse(lambda v: v > 1.0, values))
    return a * b + c


def tees(x):
    a, b = it.tee(v * v for v in [x, 2.0, x])
    first = next(a)
    total = sum(p * q for p, q in zip(a, b, strict=False))
    return total + first


def groups(x):
    values = [(1, x), (1, 2.0), (2, x * x), (1, 3.0 * x)]
    total = 0.0
    for key, group in it.groupby(values, key=lambda kv: kv[0]):
        total = total * 0.5 + key * sum(v for _, v in group) ** 2
    return total


def zip_longest(x):
    return sum(a * b for a, b in it.zip_longest([x, 2.0, x], [x * x], fillvalue=x + 1.0))


@pytest.mark.parametrize("x", [0.4, 1.3])
@pytest.mark.parametrize(
    "program",
    [
        accumulates,
        chains,
        combines,
        counts_and_cycles,
        pairs,
        starmaps,
        takes_and_drops,
        tees,
        groups,
        zip_longest,
    ],
)
def test_itertools(program, x):
    check(program, x)


def test_iterators_of_iterators_ask_in_turn():
    def f(a, b, c):
        seen = []

        def note(x):
            print("noted", x)
            seen.append(x)
            return x

        def scaled(x):
            print("scaled", x)
            return seen[-1] * x + len(seen)

        t = 0.0
        for u, v in zip([1.0, 2.0], map(note, [a, b, c]), strict=False):  # c is never noted
            t += u * v
        for u, v in zip(map(note, [a, b, c]), map(scaled, [a, b]), strict=False):
            t += u * v
        for u in map(scaled, map(note, [a, b, c])):
            t += u
        for i, (u, v) in enumerate(zip(it.count(), map(note, [a, b]), strict=False)):
            t += u * v * i
        pairs = list(zip(map(note, [a, b, c]), map(scaled, [a, b]), strict=False))
        rows = zip(map(note, [a, b]), map(scaled, [a, b, c]), strict=False)
        return t + pairs[1][1] + sum(p * q for p, q in rows)

    check(f, 1.0, 2.0, 3.0)
    assert f(1.0, 2.0, 3.0) > 0


class Place:
    def __init__(self, n):
        self.n = n

    def __index__(self):
        return self.n


def cuts_by_objects(x):
    a = [x, x * x, x**3, 2.0, x**4]
    return sum(it.islice(a, Place(1), Place(5), Place(2))) + sum(it.islice(a, Place(2)))


@pytest.mark.parametrize("wrong", [(-1,), (1.5,), (0, -2), (-1, 3), (0, 3, 0), ("a", 3), (0, 2, 1.0)])
def test_what_islice_refuses(wrong):
    def f(x):
        return sum(it.islice([x, x], *wrong))

    with pytest.raises(ValueError) as plain:
        f(2.0)
    with pytest.raises(ValueError) as found:
        tl.grad(f)(2.0)
    assert str(found.value) == str(plain.value)


def test_cuts_by_objects():
    check(cuts_by_objects, 1.3)
