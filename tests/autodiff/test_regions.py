"""Parts of one array that are read: what is added to its cotangent is added up where parts overlap."""

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.autodiff.regions import disjoint

A = np.arange(24.0).reshape(4, 6) * 0.1 - 0.7


def apart(a):
    return np.sum(np.tanh(a[:, :2]) * np.exp(a[:, 4:])) + a[0, 2] * a[0, 3] + np.sum(a[1:, 2] * a[1:, 3])


def overlapping(a):
    return np.sum(a[:, :3] * a[:, 2:5]) + a[1, 2] * a[1, -1] + np.sum(a[-1] ** 2) * a[3, 5]


def longer_than_the_array(a):
    return np.sum(a[:3] * 2.0) * np.sum(np.sin(a[2:9])) + np.sum(a[9:] ** 2)


def steps(a):
    return np.sum(a[::2] * a[1::2]) + np.sum(a[::-1, 0] * a[:, 1]) + np.sum(a[2, 4::-1])


def twice_the_same(a):
    return np.sum(a[0] * a[0]) + np.sum(a[0, :4] ** 3)


def in_a_branch(a, n):
    left = a[:, :3]
    if n > 1:
        left = left * a[:, :3] + a[:, 3:]
    return np.sum(left * a[:, 3:])


def in_a_loop(a, n):
    total = 0.0
    for _ in range(n):
        total += np.sum(a[:, :3] * a[:, 3:]) + a[0, 0]
    return total * a[0, 1] + a[0, 0]


def of_a_product(a, n):
    total = np.zeros((4, 3))
    for _ in range(n):
        b = a * 1.5 + np.sum(total)
        total = np.sin(b[:, :3]) * b[:, 3:] + b[0, 0] * b[3, 5]
    return np.sum(total)


def written_between(a):
    b = a * 2.0
    y = np.sum(b[:2] ** 2)
    b[2:] = b[:2] * 3.0
    return y + np.sum(b[2:] * b[:2]) + b[0, 0]


@pytest.mark.parametrize(
    "f", [apart, overlapping, longer_than_the_array, steps, twice_the_same, written_between]
)
def test_parts(f):
    check(f, A)


@pytest.mark.parametrize("f", [in_a_branch, in_a_loop, of_a_product])
@pytest.mark.parametrize("n", [1, 3])
def test_parts_and_control(f, n):
    check(lambda a: f(a, n), A)


def test_the_first_of_each_part_is_stored():
    source = tl.source(tl.grad(apart), A)
    assert "a_bar[:, 4:] = " in source and "a_bar[:, :2] = " in source and "+=" not in source


@pytest.mark.parametrize("n", [0, 1, 5, 9])
def test_disjoint_says_so_only_where_no_element_is_in_both(n):
    ends = [None, 0, 1, 3, 7, -1, -2]
    indices = [0, 2, -1, *(slice(a, b, s) for a in ends for b in ends for s in (None, 2, -1))]
    hit = {}
    for k, i in enumerate(indices):
        hit[k] = np.zeros(n, bool)
        if isinstance(i, slice) or -n <= i < n:
            hit[k][i] = True
    for j, p in enumerate(indices):
        for k, q in enumerate(indices):
            if disjoint((p,), (q,)):
                assert not (hit[j] & hit[k]).any(), (p, q)


B = np.array([[0.3, -0.2], [1.1, 0.4], [-0.6, 0.9], [0.2, 0.7]])
C = np.ones((4, 1))
W, V = np.arange(15.0), np.arange(13.0)
ONES, D = np.ones(3), np.cos(B)


def joined(a, b):
    return np.sum(np.concatenate([a, b, C, a], axis=1) ** 2 * W)


def joined_below(a, b):
    pair = (a[:2, :2], b, D)
    both = np.concatenate((a[:2, :2], b, b[1:]), axis=-2)
    return np.sum(np.sin(both)) * np.sum(np.concatenate(pair) ** 3)


def joined_flat(a, b):
    flat = np.concatenate([ONES, b[0], a[1], b[1]])
    return np.sum(flat * V * flat[::-1])


def joined_and_read(a, b):
    total = 0.0
    for _ in range(2):
        both = np.concatenate([b, a], axis=-1)
        total += np.sum(both[:, :3] * both[:, 2:5]) + both[0, 0]
        a = both[:, 2:] * 0.5
    return total


@pytest.mark.parametrize("f", [joined, joined_below, joined_flat, joined_and_read])
def test_joined_arrays(f):
    check(f, A, B)
    assert tl.source(tl.grad(f, (0, 1)), A, B).startswith("def grad_")  # the typed road takes it
