"""`yield from` gives what the generator behind it returns."""

import pytest

from checking import check


def of_a_loop(x):
    def inner(n):
        s = x
        for _ in range(n):
            yield s
            s *= x
        return s

    def outer():
        a = yield from inner(3)
        b = yield from [a, x]
        yield a * 2.0 if b is None else 0.0

    t = 0.0
    for v in outer():
        t += v * v
    return t


def in_a_chain(x):
    def first():
        yield x
        return 5.0 * x

    def second():
        a = yield from first()
        return a * (yield from first())

    def third():
        yield (yield from second()) * x

    return sum(third())


@pytest.mark.parametrize("program", [of_a_loop, in_a_chain])
def test_values_of_generators(program):
    check(program, 1.1, native=True)
