"""What a compiled call leaves in its arguments is what the plain call leaves there."""

import copy

import numpy as np
import pytest

import tapeless as tl


def reverses(items):
    items.reverse()
    return items[0] * 2.0 + items[1]


def pops(items):
    items.pop(0)
    return items[0] * 2.0


def inserts(items):
    items.insert(0, items[0] * 2.0)
    return np.sum(items[0])


def swaps(items):
    items[0], items[1] = items[1], items[0]
    return np.sum(items[0] * items[0])


def rebuilds(items):
    items[:] = [items[-1], items[0] * 3.0]
    return np.sum(items[0] * items[1])


@pytest.mark.parametrize("f", [reverses, pops, inserts, swaps, rebuilds])
def test_elements_moved_in_a_list(f):
    for items in ([1.0, 2.0, 3.0], [np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([5.0, 7.0])]):
        if f in (reverses, pops) and isinstance(items[0], np.ndarray):
            continue
        plain, derived, compiled = copy.deepcopy(items), copy.deepcopy(items), copy.deepcopy(items)
        whose = {id(item): k for k, item in enumerate(compiled)}
        f(plain)
        want = tl.grad(f)(derived)
        got = tl.jit(tl.grad(f))(compiled)
        np.testing.assert_equal(compiled, plain)
        np.testing.assert_equal(got, want)
        if isinstance(items[0], np.ndarray):
            held = {id(item): k for k, item in enumerate(items)}
            f(items)
            assert [whose.get(id(a)) for a in compiled] == [held.get(id(a)) for a in items]


def test_element_moved_to_another_argument():
    def f(items, table):
        items[0] = table["a"]
        return np.sum(items[0] * items[0])

    items, table = [np.array([1.0, 2.0])], {"a": np.array([5.0, 6.0])}
    slopes = tl.jit(tl.grad(f, (0, 1)))(items, table)
    assert items[0] is table["a"]
    np.testing.assert_equal(slopes, ([np.zeros(2)], {"a": np.array([10.0, 12.0])}))


def test_keywords_of_any_name():
    def f(x):
        table = dict(s=x, owner=2.0)
        table.update(s=3.0 * x, other=x, items=1.0)
        return table["s"] * table["owner"] + table["other"]

    assert tl.jit(f)(2.0) == f(2.0) == 14.0
