"""Lists of arrays whose length is known at run time only: compiled once for any length, with derivatives."""

import math
from typing import NamedTuple

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.backends.native.nest import Grow, walk
from tapeless.backends.native.staging import stage
from tapeless.errors import NotCompilable


def euler(y, n):
    ys = []
    for _ in range(n):
        y = y + 0.1 * np.sin(y)
        ys.append(y)
    return np.array(ys)


def until(y, n):
    ys = [y]
    while np.sum(ys[-1]) < n:
        ys.append(1.1 * ys[-1] + 0.1)
    return np.vstack(ys) * len(ys)


def steps(y, n):
    t, path = 0.0, [(0.0, y)]
    for _ in range(n):
        y = y * 0.9 + np.cos(y) * t
        t += 0.1
        path.append((t, y))
    s = 0.0
    for t, y in path:
        s += t * np.sum(y)
    return s + path[-1][1][0] * path[1][0] + len(path)


class Point(NamedTuple):
    place: np.ndarray
    speed: float


def points(y, n):
    found = [Point(y, 1.0)]
    for k in range(n):
        last = found[-1]
        found.append(Point(last.place + 0.1 * last.speed * k, last.speed * 0.9))
    return sum([p.speed * p.place[1] for p in found])


def joined(y, n):
    ys = [y]
    for _ in range(n):
        ys.append(np.sin(ys[-1]) + y)
    weights = np.arange(1.0, len(ys) * len(y) + 1.0)
    parts = [np.vstack(ys), np.stack(ys, axis=1), np.stack(ys), np.column_stack(ys), np.dstack(ys)]
    parts += [
        np.concatenate(ys),
        np.hstack(ys),
        np.array(ys),
        np.asarray(ys).T,
        np.concatenate(ys, axis=None),
    ]
    return (
        sum([k * np.sum(p.ravel() * weights) for k, p in enumerate(parts)])
        + np.mean(ys)
        + np.mean(ys, axis=0)[1]
    )


def changed(y, n):
    ys = [y]
    for k in range(n):
        ys.append(y * k)
    first = ys[0]
    last = ys.pop()
    ys.pop(0)
    ys.reverse()
    ys[1] = ys[2] * 3.0
    part = ys[1:-1]
    other = part[::-1] + list(ys)
    return (
        first[0] * last[1] + (np.array(other) * np.arange(len(other))[:, None]).sum() + len(part) * part[0][1]
    )


def matrices(x, n):
    turned, m = [], np.eye(2)
    for i in range(n):
        m = m @ np.array([[math.cos(x), -math.sin(x)], [math.sin(x), math.cos(x) + 0.01 * i]])
        turned.append(m)
    return np.array(turned).sum() * turned[1][0, 1] + np.concatenate(turned, axis=1)[0, 3]


def filled(y, n):
    rows = []
    for i in range(n):
        row = np.zeros(3)
        for j in range(3):
            row[j] = y[j] * i * j
        rows.append(row)
    return np.array(rows) ** 2


def chosen(y, n):
    found = []
    for row in np.outer(np.arange(1.0, n), y):
        if row[0] > 1.03:
            found.append(row * row)
        if row[1] > 2.03:
            found.append(row[::-1])
    return np.array(found).sum(axis=1)


class Solver:
    def __init__(self, y):
        self.y = y
        self.trace = [y]

    def step(self, h):
        self.y = self.y + h * np.cos(self.y)
        self.trace.append(self.y)


def recorded(y, n):
    solver = Solver(y)
    while len(solver.trace) < n:
        solver.step(0.1)
    return np.sum(np.array(solver.trace) ** 2) + solver.y[0]


def lengths_of_its_own(y, n):
    m = int(np.sum(y > 0.0))
    ys = []
    for i in range(n):
        ys.append(np.ones(m) * y[0] * i)
    return np.array(ys)


Y = np.array([0.3, 0.5, 0.7])
CASES = [euler, until, steps, points, joined, changed, filled, chosen, recorded, lengths_of_its_own]


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_lists_of_arrays(f):
    assert any(isinstance(s, Grow) for s in walk(stage(f, (Y, 40)).function.body))
    check(lambda y: f(y, 7), Y)
    fast, slope = tl.jit(f), tl.jit(tl.grad(lambda y, n: np.sum(f(y, n))))
    for n in (40, 6, 55):
        np.testing.assert_allclose(fast(Y, n), f(Y, n), rtol=1e-12)
        want = tl.grad(lambda y, n=n: np.sum(f(y, n)))(Y)
        np.testing.assert_allclose(slope(Y, n), want, rtol=1e-10)
    assert len(fast.entries) == 1


def test_lists_of_matrices():
    check(lambda x: matrices(x, 40), 0.3, native=True)
    second = tl.jit(tl.grad(tl.grad(matrices)))
    for n in (5, 40):
        assert second(0.3, n) == pytest.approx(tl.grad(tl.grad(matrices))(0.3, n), rel=1e-9)


def test_second_derivatives():
    def f(y):
        return np.sum(euler(y, 40) ** 2)

    np.testing.assert_allclose(tl.jit(tl.hessian(f))(Y), tl.hessian(f)(Y), rtol=1e-9)


def returned(y, n):
    ys, pairs = [], []
    for i in range(n):
        ys.append(y * i)
        pairs.append((i, y + i))
    return ys, pairs


def test_they_are_returned():
    fast = tl.jit(returned)
    for n in (40, 2, 0):
        ys, pairs = fast(Y, n)
        want_ys, want_pairs = returned(Y, n)
        assert repr((ys, pairs)) == repr((want_ys, want_pairs))
        assert all(type(y) is np.ndarray and y.base is None for y in ys)
    assert len(fast.entries) == 1


def changed_after(y, n):
    ys = []
    for _ in range(n):
        y = y + 1.0
        ys.append(y)
        y[0] *= 2.0
    return np.array(ys)


def carried_on(y, n):
    ys = []
    y = y.copy()
    for _ in range(n):
        y[0] += 1.0
        y = y + 1.0
        ys.append(y)
    return np.array(ys)


def the_same_array(y, n):
    ys = []
    y = y.copy()
    for _ in range(n):
        y += 1.0
        ys.append(y)
    return np.array(ys)


def written_in_the_list(y, n):
    ys = []
    for k in range(n):
        ys.append(y * k)
    ys[1][0] = 7.0
    last = ys[-1]
    last += 1.0
    return np.array(ys)


def after_the_loop(y, n):
    ys = [y]
    for _ in range(n):
        y = y + 1.0
        ys.append(y)
    y[0] = 100.0
    return np.array(ys)


def the_argument(y, n):
    ys = []
    for _ in range(n):
        ys.append(y)
    y[0] = 100.0
    return np.array(ys)


def copies(y, n):
    ys = []
    y = y.copy()
    for _ in range(n):
        y += 1.0
        ys.append(y.copy())
    y[0] = -1.0
    return np.array(ys) * y


ALIASED = [
    changed_after,
    carried_on,
    the_same_array,
    written_in_the_list,
    after_the_loop,
    the_argument,
    copies,
]


@pytest.mark.parametrize("f", ALIASED, ids=lambda f: f.__name__)
def test_arrays_that_are_changed_later(f):
    """The list has the very array: what is changed in one is changed in the other, or it is refused."""
    fast = tl.jit(f)
    for n in (40, 3):
        np.testing.assert_array_equal(fast(Y.copy(), n), f(Y.copy(), n))
    assert len(fast.entries) == (1 if f is copies else 2)  # what cannot be a list that grows is unrolled


def ragged(y, n):
    ys = []
    for i in range(n):
        ys.append(np.ones(i + 1) * y[0])
    return sum([np.sum(v) for v in ys])


def empty(y, n):
    ys = []
    for _ in range(n):
        ys.append(y)
    return np.array(ys)


def replaced(y, n):
    ys = []
    for _ in range(n):
        ys.append(np.ones(n))
    ys[0] = y
    return ys[0]


def same_object(y, n):
    ys = []
    for _ in range(n):
        y = y + 1.0
        ys.append(y)
    return ys[-1] is y


def test_what_is_left_to_the_plain_program():
    for f, n in ((ragged, 40), (ragged, 2), (empty, 0), (empty, 40), (replaced, 3), (replaced, 40)):
        got, want = tl.jit(f)(Y, n), f(Y, n)
        assert repr(got) == repr(want) or got == pytest.approx(want, rel=1e-13)
    try:
        assert tl.jit(same_object)(Y, 40) is True
    except NotCompilable:
        pass


def too_far(y, n):
    ys = []
    for _ in range(n):
        ys.append(y)
    return ys[n][0]


def test_errors():
    for call in (tl.jit(too_far), tl.jit(tl.grad(too_far))):
        with pytest.raises(IndexError, match="list index out of range"):
            call(Y, 40)
