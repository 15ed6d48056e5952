"""`bisect` on numbers of run time, methods that are not there, and `__array__`, compiled."""

import bisect

import numpy as np
import pytest

import tapeless as tl
from checking import check

TIMES, VALUES = np.array([0.0, 1.0, 2.0, 3.5]), np.array([1.0, 4.0, 9.0, 2.0])


def in_a_list(x):
    return x * bisect.bisect([0.0, 1.0, 2.0, 3.0], x) + bisect.bisect_left([0.0, 1.0, 2.0], 1.0)


def among_what_is_active(x):
    items = [0.0, x, 2.0 * x, 3.0 * x]
    return items[bisect.bisect_left(items, 1.7)] * items[-1]


def table(x):
    k = bisect.bisect_right(TIMES, x) - 1
    w = (x - TIMES[k]) / (TIMES[k + 1] - TIMES[k])
    return VALUES[k] * (1.0 - w) + VALUES[k + 1] * w


def put_in(x):
    items = [0.0, 1.0, 3.0]
    bisect.insort(items, x)
    bisect.insort_left(items, x * x)
    return items[1] * items[2] + items[-1]


def in_a_part(x):
    return x * x * bisect.bisect_left([0.0, 0.5, 1.0, 2.0], x, 1, 3)


def below_zero(x):
    return x * bisect.bisect([0.0, 1.0], x, -1)


def without_the_method(x):
    try:
        return x.strip()
    except AttributeError:
        return x * x


def as_an_array(x):
    return np.sum(np.array([x, x * x]).__array__() * 2.0)


PROGRAMS = [
    in_a_list, among_what_is_active, table, put_in, in_a_part, below_zero, without_the_method, as_an_array,
]  # fmt: skip


@pytest.mark.parametrize("f", PROGRAMS)
def test_places_and_what_is_not_there(f):
    compiled, slope = tl.jit(f), tl.jit(tl.grad(f))
    for x in (1.3, 0.7, 2.2):
        check(f, x)
        if f is below_zero:
            with pytest.raises(ValueError, match="non-negative"):
                compiled(x)
        else:
            assert compiled(x) == pytest.approx(f(x), rel=1e-14)
            assert slope(x) == pytest.approx(tl.grad(f)(x), rel=1e-13)


def number(x):
    return x(2.0)


def array(x):
    return np.array([x, 1.0])(0)


def numpy_number(x):
    return np.sin(np.array([x]))[0]()


def pair(x):
    both = (x, 1.0)
    return both(0)


def nothing(x):
    found = {"a": x}.get("b")
    return found(x)


@pytest.mark.parametrize("f", [number, array, numpy_number, pair, nothing])
def test_what_is_no_function(f):
    with pytest.raises(TypeError) as plain:
        f(1.3)
    with pytest.raises(TypeError) as compiled:
        tl.jit(f)(1.3)
    assert str(compiled.value) == str(plain.value)
