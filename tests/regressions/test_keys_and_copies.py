"""Keys with derivatives, attributes of numbers, and containers run backwards."""

import collections

import pytest

from checking import check


def keys(x):
    d = {x: 1.0, x * 2.0: 2.0}
    s = sum(k * v for k, v in d.items())
    it = iter(d.keys())
    return s + min(d.keys()) + sum(d.keys()) + next(it) * next(it) + list(d.keys())[1] + max(d)


class Tagged(float):
    def __new__(cls, value, tag):
        made = super().__new__(cls, value)
        made.tag = tag
        return made


def tagged(x):
    f = Tagged(x * x, x)
    return f * f.tag + f.tag


def backwards(x):
    d = collections.deque([x, x * x, 2.0])
    return list(reversed(d))[1] * next(reversed(collections.deque([1.0, x])))


@pytest.mark.parametrize("f", [keys, tagged, backwards], ids=lambda f: f.__name__)
def test_values(f):
    check(f, 0.7)
