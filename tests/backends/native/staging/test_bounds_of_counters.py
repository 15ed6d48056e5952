"""What is known of a counter on one way through an iteration says nothing of the other ways."""

import numpy as np
import pytest

from .staged import check


def continued_below_its_start(x, n):
    k, s = 0, 0.0
    for _ in range(n):
        s += x[k] if k < 0 else 10.0 * x[k]
        if k <= 0:
            k -= 1
            continue
        k -= 1  # here k is positive
    return s


def both_ways_continue(x, n):
    k, s = 0, 0.0
    for i in range(n):
        s += x[k] * i
        if k <= 0:
            k = -1 - k
            continue
        k -= 1
        if i < 100:
            continue
    return s


def in_a_while_loop(x, n):
    k, i = 0, 0
    while i < n:
        i += 1
        if k <= 0:
            k -= 1
            continue
        k -= 1
    return x[k] * 2.0


@pytest.mark.parametrize("f", [continued_below_its_start, both_ways_continue, in_a_while_loop])
def test_counters_that_go_below_their_start_on_one_way(f):
    check(f, np.linspace(1.0, 3.0, 9), 5)
