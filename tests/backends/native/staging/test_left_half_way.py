"""Iterators left half-way or over what changes, and what is held when a generator raises."""

from collections import OrderedDict, defaultdict, deque

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable


def raises_in_the_generator(x, n):
    def powers():
        for i in range(n):
            if i == 2:
                raise ValueError("two")
            yield x * i

    total = x
    try:
        for v in powers():
            total += v * x
    except ValueError as error:
        print(error, total)
    return total


def raises_past_a_finally(x, n):
    def powers():
        for i in range(n):
            yield x * i
            if i > 1:
                raise ValueError("late")

    total, count = 0.0, 0
    try:
        try:
            for v in powers():
                total = total * x + v
                count += 1
        finally:
            print("left", count)
            total = total + x
    except ValueError:
        total = total * 2
    return total, count


def raises_in_the_inner_of_two(x, n):
    def up(k):
        for i in range(k):
            if i == 2:
                raise KeyError(i)
            yield x + i

    total = 0.0
    for v in up(2):
        try:
            for w in up(n):
                total += v * w
        except KeyError:
            total *= 0.5
    return total


@pytest.mark.parametrize(
    "program", [raises_in_the_generator, raises_past_a_finally, raises_in_the_inner_of_two]
)
@pytest.mark.parametrize("n", [0, 1, 5])
def test_variables_of_a_loop_whose_generator_raises(program, n, capsys):
    want = program(1.5, n)
    printed = capsys.readouterr().out
    assert tl.jit(program)(1.5, n) == pytest.approx(want, rel=1e-14)
    assert capsys.readouterr().out == printed

    def scalar(x):
        return np.sum(np.array(program(x, n)))

    assert tl.jit(tl.grad(scalar))(1.5) == pytest.approx(tl.grad(scalar)(1.5), rel=1e-12)


def test_an_iterator_that_its_own_loop_asks():
    def skips(x):
        it, total = iter([x, 2 * x, 3 * x]), 0.0
        for v in it:
            total += v + next(it, 0.0) * 10
        return total

    def pairs(x):
        it, total = enumerate([x, 2 * x, 3 * x]), 0.0
        for _, v in it:
            total += v * next(it, (0, 1.0))[1]
        return total

    def twice(x):
        it, total = iter([x, 2 * x, 3 * x]), 0.0
        for v in it:
            total += v
        for v in it:
            total += 100 * v
        return total, next(it, 7.0)

    for f in (skips, pairs):
        with pytest.raises(NotCompilable, match="used again after it was left half-way"):
            tl.jit(f)(1.5)
    assert tl.jit(twice)(1.5) == twice(1.5)


def change_deque(x):
    d = deque([x, 2 * x])
    it = iter(d)
    first = next(it)
    d[1] = 10.0
    return first + next(it)


def append_to_deque(x):
    d = deque([x, 2 * x])
    it = iter(d)
    first = next(it)
    d.append(10.0)
    return first + next(it)


def add_a_key(x):
    d = {"a": x, "b": 2 * x}
    it = iter(d)
    first = d[next(it)]
    d["c"] = 1.0
    return first + d[next(it)]


def change_an_item(x):
    d = {"a": x, "b": 2 * x}
    it = iter(d.values())
    first = next(it)
    d["b"] = 5 * x
    return first * next(it)


@pytest.mark.parametrize("program", [change_deque, append_to_deque, add_a_key, change_an_item])
def test_what_changes_under_an_iterator(program):
    with pytest.raises(NotCompilable, match="changes while an iterator goes through it"):
        tl.jit(program)(1.5)


class Longer:
    """Has more items than it says."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return 2

    def __getitem__(self, i):
        if i > 2:
            raise IndexError
        return self.x * (i + 1)


class Row:
    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, i):
        return self.values[i] * 2


def squares(items):
    total = 0.0
    for v in items:
        total += v * v
    return total


def test_objects_that_are_gone_through_by_index():
    """They end where `__getitem__` raises IndexError: Python does not ask for their length."""

    def longer(x):
        return squares(Longer(x)), list(Longer(x)), sum(Longer(x))

    def rows(a):
        return squares(Row(a)) + sum(Row(a))

    assert tl.jit(longer)(1.5) == longer(1.5)
    for n in (0, 3):
        a = np.arange(1.0, n + 1)
        assert tl.jit(rows)(a) == rows(a)
        np.testing.assert_allclose(tl.jit(tl.grad(rows))(a), 8 * a + 2)


def test_unions_have_the_class_that_python_gives(capsys):
    def classes(x):
        plain, ordered, counted = {"a": x}, OrderedDict(b=x), defaultdict(float, c=x)
        print(
            [type(d).__name__ for d in (plain | ordered, ordered | plain, plain | counted, counted | plain)]
        )
        return x

    classes(1.5)
    want = capsys.readouterr().out
    tl.jit(classes)(1.5)
    assert capsys.readouterr().out == want


def test_attributes_of_deques_are_not_set():
    def longest(x):
        d = deque([x, x])
        d.maxlen = 1
        return sum(d)

    with pytest.raises(NotCompilable, match="the attribute 'maxlen' of a deque is set"):
        tl.jit(longest)(1.5)


def test_a_named_tuple_class_made_inside_is_refused_by_name():
    from typing import NamedTuple

    def area(x):
        class Sides(NamedTuple):
            a: float
            b: float = 3.0

        s = Sides(x)
        return s.a * s.b

    with pytest.raises(NotCompilable, match="define it outside"):
        tl.jit(area)(1.5)
