"""Lists that machine code itself returns: new ones at every call, one object where the program has one."""

import sys

import numpy as np
import pytest

import tapeless as tl


def scaled(x, k):
    return [x * k, (x + k, [k]), []]


def twice(x):
    items = [x]
    return items, items


def shared_leaf(x):
    row = []
    return [row, row]


def endless(x):
    items = [x]
    items.append(items)
    return items


def rows(a):
    return [a * 2.0, [a + 1.0, None]]


def test_lists_in_tuples_and_tuples_in_lists():
    assert tl.jit(scaled)(2.0, 3.0) == scaled(2.0, 3.0)


@pytest.mark.parametrize("f", [twice, shared_leaf])
def test_one_list_twice_is_one_object(f):
    first, second = tl.jit(f)(2.0)
    assert first is second
    assert first == f(2.0)[0]


def test_a_list_that_holds_itself():
    made = tl.jit(endless)(2.0)
    assert made[0] == 2.0
    assert made[1] is made


def test_every_call_makes_a_new_list():
    f = tl.jit(scaled)
    first = f(2.0, 3.0)
    first[0] = first[1][1][0] = None
    assert f(2.0, 3.0) == scaled(2.0, 3.0)


def test_lists_of_arrays():
    a = np.arange(3.0)
    double, (more, nothing) = tl.jit(rows)(a)
    assert double.tolist() == [0.0, 2.0, 4.0]
    assert more.tolist() == [1.0, 2.0, 3.0]
    assert nothing is None


def test_gradients_by_lists():
    def energy(x, k):
        return sum(k * v * v for v in x)

    by_list, by_number = tl.jit(tl.grad(energy, (0, 1)))([1.0, 2.0, 4.0], 0.5)
    assert by_list == [1.0, 2.0, 4.0]
    assert by_number == 21.0


def test_nothing_is_left_behind():
    f = tl.jit(scaled)
    f(2.0, 3.0)
    made = f(1e100, 2.0)
    counts = sys.getrefcount(made), sys.getrefcount(made[0]), sys.getrefcount(made[1][0])
    assert counts == (2, 2, 2)
