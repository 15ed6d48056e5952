"""functools: partial, reduce, caches, wraps, cached_property, singledispatch, total_ordering."""

import functools
import math
import operator
from functools import (
    cache,
    cached_property,
    lru_cache,
    partial,
    partialmethod,
    reduce,
    singledispatch,
    total_ordering,
)

import numpy as np
import pytest

from checking import check


def weighted(a, b, c=1.0):
    return a * b + c


def partials(x):
    f = partial(weighted, x, c=x * x)
    g = partial(f, 2.0, c=3.0)
    return f(3.0) * g() + partial(math.pow, x)(2.0) + sum(map(partial(weighted, x), [1.0, x]))


def reduces(x):
    a = reduce(lambda s, v: s * x + v, [1.0, x, 3.0], x)
    b = reduce(operator.mul, [x, 2.0, x + 1.0])
    c = reduce(lambda s, v: [*s, s[-1] * v], [x, 2.0], [1.0])
    return a + b + sum(c)


def memoised_recursion(x):
    misses = []

    @cache
    def fib(n):
        misses.append(n)
        return x if n < 2 else fib(n - 1) * 0.9 + fib(n - 2) * x

    y = fib(8)
    print(len(misses), fib.cache_info().hits)
    return y + fib(3)


def cache_on_active_keys(x):
    calls = []

    @cache
    def f(v):
        calls.append(1.0)
        return v * v

    y = f(x) + f(x) + f(x * 2.0)
    print(len(calls))
    return y


class Model:
    def __init__(self, x):
        self.x = x

    @cached_property
    def energy(self):
        print("computed")
        return self.x**2 * 3.0

    def scaled(self, k, power=1):
        return self.x**power * k

    cubed = partialmethod(scaled, power=3)


def cached_properties(x):
    m = Model(x)
    y = m.energy + m.energy * x
    m.x = 0.0
    y += m.energy
    del m.energy
    return y + m.energy + Model(x).cubed(2.0)


@singledispatch
def area(shape):
    raise TypeError("unknown")


@area.register
def _(shape: float):
    return shape * shape


@area.register(list)
def _(shape):
    return sum(area(s) for s in shape)


@area.register
def _(shape: Model):
    return shape.x * 7.0


def dispatches(x):
    return area(x) + area([x, Model(x), [x * 2.0]])


@total_ordering
class Length:
    def __init__(self, v):
        self.v = v

    def __eq__(self, other):
        return self.v == other.v

    def __lt__(self, other):
        return self.v < other.v


def orders(x):
    a, b = Length(x), Length(x * x)
    best = a if a >= b else b
    c = sorted([a, b, Length(0.5)], key=functools.cmp_to_key(lambda p, q: p.v - q.v))
    return best.v * c[0].v + c[2].v


@pytest.mark.parametrize("x", [0.4, 1.3])
@pytest.mark.parametrize(
    "program",
    [
        partials,
        reduces,
        memoised_recursion,
        cache_on_active_keys,
        cached_properties,
        dispatches,
        orders,
    ],
)
def test_functools(program, x):
    check(program, x)


@lru_cache(maxsize=8)
def module_level(v):
    return v * v


def uses_a_module_cache(x):
    module_level.cache_clear()
    y = module_level(x) * module_level(x)
    info = module_level.cache_info()
    return y * info.hits + info.misses


def test_a_cache_at_module_level():
    check(uses_a_module_cache, 0.7)


def test_a_partial_is_differentiated():
    check(partial(weighted, 2.0, c=3.0), 0.7)
    check(partial(np.multiply, 3.0), np.array([0.3, 0.5]))


def test_a_cache_of_a_given_size_around_an_active_closure():
    def program(x):
        @lru_cache(None)
        def term(n):
            return x if n < 2 else term(n - 1) * term(n - 2) + x

        return term(6) + term(4) * term.cache_info().hits

    check(program, 0.7)
