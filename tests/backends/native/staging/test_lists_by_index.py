"""Lists made by `list()` or `[x] * n`, and lists with indices of run time."""

import numpy as np
import pytest

import tapeless as tl

from .orders import check_orders, check_other_arguments

X = np.array([0.7, 1.3, 0.4, 2.1, 0.2])


def weighted(values):
    total = 0.0
    for i, v in enumerate(values):
        total = total + i * v**2
    return total


def filled(x):
    out = list()
    for i in range(len(x)):
        out.append(x[i] ** 2)
    return sum(out)


def insertion_sort(x):
    items = list(x)
    for i in range(1, len(items)):
        key, j = items[i], i - 1
        while j >= 0 and items[j] > key:
            items[j + 1] = items[j]
            j -= 1
        items[j + 1] = key
    return weighted(items)


def bubble_sort(x):
    items = list(x)
    for i in range(len(items)):
        for j in range(len(items) - 1 - i):
            if items[j] > items[j + 1]:
                items[j], items[j + 1] = items[j + 1], items[j]
    return weighted(items)


def heap(x):
    items = list(x)
    n = len(items)
    for i in range(n // 2 - 1, -1, -1):
        k = i
        while True:
            c = 2 * k + 1
            if c >= n:
                break
            if c + 1 < n and items[c + 1] < items[c]:
                c += 1
            if items[k] <= items[c]:
                break
            items[k], items[c] = items[c], items[k]
            k = c
    return weighted(items)


def histogram(x):
    bins = [0.0] * 4
    for v in x:
        bins[int(v * 9.7 + 0.3) % 4] += v * v
    return weighted(bins)


def replaced(x):
    items = [x[0], x[1], x[2]]
    items[int(np.argmax(x[:3]))] = 7.0 * x[3]
    return weighted(items)


@pytest.mark.parametrize("f", [filled, insertion_sort, bubble_sort, heap, histogram, replaced])
def test_lists(f):
    check_orders(f, X)
    check_other_arguments(f, X, X[::-1].copy(), np.sin(np.arange(5.0)) + 1.0)


def test_one_version_for_any_length():
    fast = tl.jit(insertion_sort)
    fast(np.linspace(1.0, 0.1, 9))
    versions = len(fast.entries)
    for n in (6, 20):
        x = np.cos(np.arange(float(n)))
        assert fast(x) == pytest.approx(insertion_sort(x), rel=1e-13)
    assert len(fast.entries) == versions


def test_beyond():
    def last(x, k):
        items = list(x)
        items[k] = 1.0
        return items[0]

    fast = tl.jit(last)
    with pytest.raises(IndexError, match="list assignment index out of range"):
        fast(X, 7)


def test_recursion_over_lists_is_refused():
    def ordered(items):
        if len(items) <= 1:
            return items
        first = items[0]
        low = [v for v in items[1:] if v < first]
        high = [v for v in items[1:] if v >= first]
        return ordered(low) + [first] + ordered(high)

    with pytest.raises(tl.TapelessError, match="calls itself makes lists"):
        tl.jit(lambda x: weighted(ordered(list(x))))(X)
