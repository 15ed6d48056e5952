"""What a compiled call leaves in its arguments is what the plain call leaves there."""

import copy

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable


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


def chosen_by_a_branch(x, n):
    c, b = x * 1.0, x * 2.0
    if n > 1:
        b = c
    c *= 0.5
    return np.sum(b * b)


def chosen_and_held_in_a_list(x, n):
    c, b = x * 1.0, x * 2.0
    held = [c]
    if n > 1:
        b = c
    held[0] *= 0.5
    return np.sum(b * b)


def chosen_by_a_loop(x, n):
    c, b = x * 1.0, x * 2.0
    for _ in range(n):
        b = c
    c *= 0.5
    return np.sum(b * b)


def written_in_the_next_iteration(x, n):
    c, b = x * 1.0, x * 2.0
    for _ in range(n):
        b[0] = 5.0
        b = c
    return np.sum(c)


def chosen_among_arguments(x, n):
    b = x * 2.0
    if n > 1:
        b = x
    x *= 0.5
    return np.sum(b * b)


@pytest.mark.parametrize(
    "f",
    [
        chosen_by_a_branch,
        chosen_and_held_in_a_list,
        chosen_by_a_loop,
        written_in_the_next_iteration,
        chosen_among_arguments,
    ],
)
@pytest.mark.parametrize("n", [0, 1, 3])
def test_an_array_that_is_another_on_some_path(f, n):
    """Right, or refused: a copy of either array would not see what is written later."""
    x = np.array([1.0, 2.0, 4.0])
    for g in (f, tl.grad(f)):
        try:
            got = tl.jit(g)(x.copy(), n)
        except NotCompilable as error:
            assert "copy" in str(error)
        else:
            np.testing.assert_allclose(got, g(x.copy(), n), rtol=1e-13)


def test_arrays_exchanged_in_a_loop_are_compiled():
    def f(x, n):
        u, v = x.copy(), x * 0.5
        for _ in range(n):
            v[1:] = u[:-1] * 0.5
            u, v = v, u
        return np.sum(u * u)

    x = np.array([1.0, 2.0, 4.0])
    np.testing.assert_allclose(tl.jit(f)(x, 3), f(x, 3), rtol=1e-13)
    np.testing.assert_allclose(tl.jit(tl.grad(f))(x, 3), tl.grad(f)(x, 3), rtol=1e-13)


def test_a_list_changed_before_its_name_is_given_to_another():
    def f(items, n):
        for _ in range(n):
            items[0] = items[0] * 0.5
            items = items[-4:]
        return items[0] * 1.0

    for n in (1, 2):
        plain, given = [1.0, 2.0], [1.0, 2.0]
        f(plain, n)
        try:
            tl.jit(f)(given, n)
        except NotCompilable as error:
            assert "another" in str(error)
        else:
            assert given == plain
