"""Generators: resumes in any order, send, throw, close, abandonment, delegation."""

import math

import pytest

from checking import check


def powers(x, n):
    p = 1.0
    for _ in range(n):
        yield p
        p *= x


def consumed_by_for(x):
    total = 0.0
    for p in powers(x, 6):
        total = total * 0.5 + p
    return total


def consumed_by_builtins(x):
    return sum(powers(x, 4)) + max(powers(x + 1.0, 3)) + list(powers(x, 3))[2] + len(tuple(powers(x, 5)))


def interleaved(x):
    a, b = powers(x, 5), powers(math.sin(x), 5)
    total = next(a) + next(a)
    total += next(b) * next(a)
    total *= next(b)
    return total + next(a) * next(b)


def accumulator():
    total = 0.0
    while True:
        received = yield total
        if received is None:
            return
        total = total * 1.5 + received


def sends(x):
    acc = accumulator()
    next(acc)
    y = acc.send(x) * acc.send(x * x)
    y += acc.send(3.0)
    try:
        acc.send(None)
    except StopIteration:
        y *= x
    return y


def guarded(x):
    value = x
    while True:
        try:
            value = value * (yield value)
        except ValueError as error:
            value = value + error.args[0]
        except KeyError:
            yield value * 7.0


def throws(x):
    g = guarded(x)
    total = next(g)
    total += g.send(x)
    total += g.throw(ValueError(x * 3.0))
    total += g.throw(KeyError("k"))
    next(g)
    return total + g.send(2.0)


def cleans_up(x, log):
    try:
        yield x
        yield x * x
        yield x**3
    finally:
        print("closed")
        log.append(x * 5.0)


def closed_early(x):
    log = []
    g = cleans_up(x, log)
    y = next(g) + next(g)
    g.close()
    return y * sum(log)


def abandoned(x):
    total = 0.0
    for v in powers(x, 100):
        if v < 0.1 or total > 5.0:
            break
        total += v
    spare = powers(x, 3)
    next(spare)
    return total


def inner(x):
    received = yield x
    yield received * x
    return x * x


def outer(x):
    result = yield from inner(x)
    yield result + 1.0
    yield from [x, result]
    yield from powers(x, 2)


def delegated(x):
    g = outer(x)
    total = next(g)
    total += g.send(x * 3.0)
    for v in g:
        total = total * v + x
    return total


def returned_value(x):
    def g():
        yield x
        return x * x

    it = g()
    y = next(it)
    try:
        next(it)
    except StopIteration as stop:
        y += stop.value * 4.0
    return y


def expressions(x):
    squares = (v * v for v in [x, 2.0, x * 3.0])
    y = next(squares)
    total = sum(v * y for v in squares)
    return total + sum(a * b for a in (x, 1.0) for b in (x, 2.0) if a != b)


def late_binding_in_expression(x):
    scale = 2.0
    g = (scale * v for v in [x, x * x])
    scale = x * 3.0
    return sum(g)


def infinite(x):
    def newton():
        r = x
        while True:
            yield r
            r = 0.5 * (r + x / r)

    for r in newton():
        if abs(r * r - x) < 1e-12:
            return r


def pipeline(x):
    def source():
        for i in range(6):
            yield x * i

    def only_large(items):
        for v in items:
            if v > 1.0:
                yield v

    def running(items):
        total = 0.0
        for v in items:
            total += v * v
            yield total

    return list(running(only_large(source())))


def raises_inside(x):
    def g():
        yield x
        raise ValueError(x)

    total = 0.0
    try:
        for v in g():
            total += v * v
    except ValueError as error:
        total *= error.args[0]
    return total


@pytest.mark.parametrize("x", [0.4, 1.2])
@pytest.mark.parametrize(
    "program",
    [
        consumed_by_for,
        consumed_by_builtins,
        interleaved,
        sends,
        throws,
        closed_early,
        abandoned,
        delegated,
        returned_value,
        expressions,
        late_binding_in_expression,
        infinite,
        pipeline,
        raises_inside,
    ],
)
def test_generators(program, x):
    check(program, x)


def tree_values(tree):
    if isinstance(tree, list):
        for part in tree:
            yield from tree_values(part)
    else:
        yield tree


def recursive(tree):
    total = 1.0
    for v in tree_values(tree):
        total = total * v + v
    return total


def test_recursive_generator():
    check(recursive, [0.3, [1.2, [0.5], -0.7], [[]], 0.9])


class Countdown:
    def __init__(self, start):
        self.start = start

    def __iter__(self):
        value = self.start
        while value > 0.1:
            yield value
            value *= 0.5


def generator_method(x):
    c = Countdown(x)
    return sum(a * b for a in c for b in c)


def test_generator_method():
    check(generator_method, 0.7)
