"""What `itertools` goes through changes meanwhile: as in Python, or refused, never something else."""

import itertools

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable


def pairwise(y):
    total = 0.0
    for a, b in itertools.pairwise(y):
        total += a * b**2
        y[2] += 1.0  # the pair before has what it was
    return total


def accumulate(y):
    total = 0.0
    for a in itertools.accumulate(y):
        total += a
        y[3] *= 1.5
    return total


def generated(y):
    total = 0.0
    for a in itertools.accumulate(y[i] for i in range(4)):
        total += a
        y[3] *= 1.5
    return total


def function(y):
    total = 0.0
    for a in itertools.accumulate(y, lambda a, b: a * b + y[0]):
        total += a
        y[0] += 0.5
    return total


def compress(y):
    total = 0.0
    for a in itertools.compress(y, [1, 1, 0, 1]):
        total += a
        y[3] += a
    return total


def cycle(y):
    total = 0.0
    for a in itertools.cycle(y):
        total += a
        y[0] += 1.0
        if total > 40.0:
            break
    return total


def left(y):
    total = 0.0
    for a in itertools.accumulate(y):
        total += a
        if a > 2.0:
            break
        y[1] += 10.0
    return total


def combinations_before(y):
    pairs = itertools.combinations(y, 2)
    y[0] = 5.0  # the pairs have been taken
    return sum(a * b * b for a, b in pairs)


def product_before(y):
    pairs = itertools.product(y, [1.0, 2.0])
    y[0] = 5.0
    return sum(a * b for a, b in pairs)


def lists(y):
    row, total = [y[0], y[1], y[2]], 0.0
    for a in itertools.accumulate(row):
        total += a
        row[2] = total
    return total


def chained_list(y):
    row, total = [y[0], y[1], y[2]], 0.0
    for a in itertools.chain(row, [1.0]):
        row[1] += a
        total += a
    return total


def second(y):
    """The first of two iterators is at its end, the other one is not."""
    total, later = 0.0, itertools.accumulate(y)
    for a in itertools.accumulate(y):
        total += a
    for a in later:
        total += a
        y[3] *= 1.5
    return total


CHANGING = [
    pairwise, accumulate, generated, function, compress, cycle, left, combinations_before,
    product_before, lists, chained_list, second,
]  # fmt: skip


def live(y):
    total = 0.0
    for a in itertools.islice(y, 1, None):
        total += a
        y[2] += a
    for a in itertools.chain(y, [1.0]):
        total += a
        y[2] += a
    return total


def afterwards(y):
    """What has been gone through can be changed."""
    total = 0.0
    for _ in range(2):
        for a, b in itertools.pairwise(y):
            total += a * b**2
        y[2] += total
        total += sum(itertools.accumulate(y))
        y *= 0.5
        pairs = list(itertools.combinations(y, 2))
        y[0] = 3.0
        for a, b in pairs:
            total += a * b**3
        row = [y[0], y[1]]
        for a in itertools.accumulate(row):
            total += a
        row[1] = total
        y[1] += row[1]
    return total


def agrees(f, run, make):
    mine, theirs = make(), make()
    np.testing.assert_allclose(run(mine), f(theirs), rtol=1e-12)
    np.testing.assert_allclose(mine, theirs, rtol=1e-12)


def make():
    return np.array([1.0, 2.0, 3.0, -1.5])


@pytest.mark.parametrize("f", CHANGING, ids=lambda f: f.__name__)
def test_changes(f):
    for plain in (f, tl.grad(f)):
        try:
            agrees(plain, tl.jit(plain, cache=False), make)
        except NotCompilable as error:
            assert "iterator" in str(error) or "generator" in str(error)  # noqa: PT017


@pytest.mark.parametrize("f", [live, afterwards], ids=lambda f: f.__name__)
def test_what_compiles(f):
    for plain in (f, tl.grad(f)):
        agrees(plain, tl.jit(plain, cache=False), make)


def in_turn(y):
    """Lists and generators that other iterators go through."""
    row, total = [y[0], y[1], y[2]], 0.0
    for a, b in zip(row, row[1:] + [1.0], strict=False):
        row[2] += a
        total += a * b
    for i, a in enumerate(row):
        row[2] += a
        total += a * i
    for a in map(lambda v: v * v, row):
        row[2] += 0.1 * a
        total += a
    for a in reversed(row):
        row[0] += 0.1 * a
        total += a
    for i, a in enumerate(row):
        row[i] = a * i
    return total + sum(row)


def mixed(y):
    held = {}
    for a, b in zip(y, (1.0, "a", None, 2), strict=False):
        y[3] += a
        held[str(b)] = a
    return held["2"] + len(held)


def unknown_length(y):
    """A generator is asked once only."""
    row, total = [y[0], y[1]], 0.0
    for a, b, _ in zip(row, (v * 2 for v in (y[0], y[2])), range(y.shape[0]), strict=False):
        total += a * b
    return total


def counted_generator(y):
    total = 0.0
    for i, a in enumerate(y[i] for i in range(4)):
        y[3] += a
        total += a * i
    return total


def zipped_generator(y):
    total = 0.0
    for a, _ in zip((y[i] for i in range(4)), range(4), strict=False):
        y[3] += a
        total += a
    return total


@pytest.mark.parametrize("f", [counted_generator, zipped_generator], ids=lambda f: f.__name__)
def test_generators(f):
    test_changes(f)


@pytest.mark.parametrize("f", [in_turn, mixed, unknown_length], ids=lambda f: f.__name__)
def test_lists(f):
    test_what_compiles(f)
