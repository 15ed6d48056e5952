"""A version is used only for calls like the one that it was compiled for; others are not close enough."""

import collections
import contextlib
import math
import types

import pytest

import tapeless as tl
from tapeless.errors import NotCompilable


class Box:
    def __init__(self, x):
        self.x = x


def change_item(a, b):
    a[0] = 7.0
    return b[0] * 2.0


def change_attribute(a, b):
    a.x = 7.0
    return b.x * 2.0


def change_inside(a, b):
    a[0][0] = 9.0
    return b[0]


def is_it(a, b):
    return 1.0 if a is b else 2.0


@pytest.mark.parametrize(
    "f, two",
    [
        (change_item, lambda: ([1.0], [2.0])),
        (change_item, lambda: ({0: 1.0}, {0: 2.0})),
        (change_attribute, lambda: (Box(1.0), Box(2.0))),
        (change_inside, lambda: ([[1.0]], [2.0])),
        (is_it, lambda: ([1.0], [2.0])),
        (is_it, lambda: ((1.0,), (2.0,))),
        (is_it, lambda: (Box(1.0), Box(2.0))),
    ],
)
def test_one_object_twice_is_not_two_objects(f, two):
    compiled = tl.jit(f)

    def once():
        a = two()[0]
        return (a, a[0]) if f is change_inside else (a, a)

    for args in (two, once, two):
        assert compiled(*args()) == f(*args())


def last_key(d):
    for k in d:
        last = k
    return last


def sign(d):
    for k, v in d.items():
        return math.copysign(v, k)


@pytest.mark.parametrize(
    "f, calls",
    [
        (last_key, [{1: 2.0}, {True: 2.0}, {1.0: 2.0}]),
        (sign, [{0.0: 2.0}, {-0.0: 2.0}]),
        (max, [frozenset([1]), frozenset([True]), frozenset([1.0])]),
        (lambda s: s.start, [slice(1, 2), slice(True, 2), slice(1.0, 2)]),
        (lambda r: r.stop, [range(0), range(3, 1), range(0, 4, 3), range(0, 6, 3)]),
    ],
)
def test_what_is_equal_is_not_the_same(f, calls):
    compiled = tl.jit(lambda x: f(x))
    for x in calls:
        assert repr(compiled(x)) == repr(f(x))


MEMBERS = {1, 2}
QUEUE = collections.deque([1.0, 2.0])
ORDERED = collections.OrderedDict(a=1.0)
SPACE = types.SimpleNamespace(a=1.0)


class Slotted:
    __slots__ = ("a",)


class Made:
    def __new__(cls):
        return object.__new__(cls)

    def __len__(self):
        return 1


SLOTTED, MADE = Slotted(), Made()
SLOTTED.a = MADE.a = 1.0


class Sized:
    def __len__(self):
        return 1


SIZED = Sized()


def noted(x):
    return x * noted.a


noted.a = 1.0


@pytest.mark.parametrize(
    "f, change",
    [
        (lambda x: x if 3 in MEMBERS else -x, lambda: MEMBERS.add(3)),
        (lambda x: x * len(MEMBERS), lambda: MEMBERS.add(4)),
        (lambda x: x * QUEUE[0], lambda: QUEUE.appendleft(3.0)),
        (lambda x: x * ORDERED["a"], lambda: ORDERED.update(a=2.0)),
        (lambda x: x * SPACE.a, lambda: setattr(SPACE, "a", 2.0)),
        (lambda x: x * SLOTTED.a, lambda: setattr(SLOTTED, "a", 2.0)),
        (lambda x: x * MADE.a, lambda: setattr(MADE, "a", 2.0)),
        (noted, lambda: setattr(noted, "a", 2.0)),
        (lambda x: x * len(SIZED), lambda: setattr(Sized, "__len__", lambda self: 2)),
    ],
)
def test_what_objects_outside_hold_may_change_between_calls(f, change):
    compiled = tl.jit(f)

    def agrees():
        with contextlib.suppress(NotCompilable):  # of a class that is not looked at in every call
            assert compiled(2.0) == f(2.0)

    agrees()
    change()
    agrees()
