"""`heapq` in compiled programs: queues of events, shortest paths, least and greatest items."""

import heapq
import math

import numpy as np
import pytest

import tapeless as tl


def drained(k, xs):
    heap = []
    for v in xs:
        heapq.heappush(heap, v * k)
    total, weight = 0.0, 1.0
    while heap:
        total += weight * heapq.heappop(heap)
        weight *= 0.5
    return total


def events(rate, xs):
    queue = [(0.3 * rate, 0), (0.1 * rate, 1), (0.2, 2)]
    heapq.heapify(queue)
    state, seen = 0.0, 0
    while queue:
        t, kind = heapq.heappop(queue)
        if t > 3.0 * xs[0]:
            break
        seen += 1
        if kind == 0:
            state += t * rate
            heapq.heappush(queue, (t + 0.5 * rate, 0))
        elif kind == 1:
            state = state * 1.1 + math.sin(t)
            heapq.heappush(queue, (t + 0.7, 1))
        else:
            state += rate
    return state * seen


def shortest(k, xs):
    n = 5
    w = np.zeros((n, n))
    for i in range(n):
        for j in range(i + 1, n):
            w[i, j] = k * xs[(3 * i + j) % len(xs)] + 0.1 * (j - i) ** 2
    best = [float("inf")] * n
    best[0] = 0.0
    heap = [(0.0, 0)]
    while heap:
        d, i = heapq.heappop(heap)
        if d > best[i]:
            continue
        for j in range(n):
            if w[i, j] > 0 and d + w[i, j] < best[j]:
                best[j] = d + w[i, j]
                heapq.heappush(heap, (best[j], j))
    return best[n - 1] * best[n - 2]


XS = np.array([1.0, 0.3, 2.2, 0.7, 1.9, 0.05, 1.4])


@pytest.mark.parametrize("program", [drained, events, shortest])
def test_programs_with_heaps(program):
    fast, slope = tl.jit(program), tl.jit(tl.grad(program, argnums=(0, 1)))
    for k, xs in ((0.7, XS), (1.3, XS), (0.4, XS[:6] * 1.3)):
        assert fast(k, xs) == pytest.approx(program(k, xs), rel=1e-12)
        by_k, by_xs = slope(k, xs)
        wanted = tl.grad(program, argnums=(0, 1))(k, xs)
        assert by_k == pytest.approx(wanted[0], rel=1e-12)
        np.testing.assert_allclose(by_xs, wanted[1], rtol=1e-12)
        assert by_k == pytest.approx((program(k + 1e-6, xs) - program(k - 1e-6, xs)) / 2e-6, rel=1e-5)


def every_list(xs, n):
    """The list after each step, and what was taken out."""
    heap, taken, kept = [], [], []
    for k in range(n):
        heapq.heappush(heap, xs[k])
    kept.append(heap[:])
    for k in range(n, len(xs)):
        if k % 3 == 0:
            taken.append(heapq.heappushpop(heap, xs[k]))
        elif k % 3 == 1:
            taken.append(heapq.heapreplace(heap, xs[k]))
        else:
            heapq.heappush(heap, xs[k])
            taken.append(heapq.heappop(heap))
        kept.append(heap[:])
    rest = [x for x in xs]  # noqa: C416
    heapq.heapify(rest)
    return kept, taken, rest


@pytest.mark.parametrize("seed", range(3))
def test_the_list_is_the_one_that_heapq_makes(seed):
    xs = np.random.default_rng(seed).integers(0, 9, 23).astype(float)
    assert tl.jit(every_list)(xs, 11) == every_list(xs, 11)


def empty(x):
    heap = [x]
    heapq.heappop(heap)
    return heapq.heappop(heap)


def test_an_empty_heap_raises():
    with pytest.raises(IndexError, match="index out of range"):
        tl.jit(empty)(1.0)


class Job:
    def __init__(self, cost):
        self.cost = cost

    def __lt__(self, other):
        return self.cost > other.cost


def first_that_differs(x, k):
    """Dicts cannot be ordered; they are not asked where the times differ."""
    a, b = (x, k, {"name": 1}), (2.0, 1, {"name": 2})
    before = a < b
    jobs = (x, Job(x)) < (2.0, Job(3.0))
    return (1.0 if before else 2.0) * x + (10.0 if jobs else 20.0)


@pytest.mark.parametrize("x", [1.0, 2.0, 3.0])
def test_items_of_tuples_are_compared_where_they_decide(x):
    fast = tl.jit(first_that_differs)
    assert fast(x, 0) == first_that_differs(x, 0)
    if x == 2.0:
        with pytest.raises(TypeError, match="'<' not supported between instances of 'dict' and 'dict'"):
            fast(x, 1)
    else:
        assert fast(x, 1) == first_that_differs(x, 1)


def by_text(x):
    text = str(x)
    return x * x if text == "2.0" else x


def by_length(x):
    return x if f"{x}" else 0.0


def in_tuple(x):
    return x * x if (f"{x:.1f}", 1) in [("2.0", 1)] else x


@pytest.mark.parametrize("program", [by_text, by_length, in_tuple])
def test_a_text_of_numbers_does_not_decide(program):
    with pytest.raises(tl.TapelessError, match="a text with numbers of run time"):
        tl.jit(program)(2.0)
