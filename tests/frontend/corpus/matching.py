"""The `match` statement, with every kind of pattern."""

# A corpus holds what people should not write.
# ruff: noqa
# fmt: off

from collections import OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass

from frontend.corpus.cases import Noisy, case, say

Pair = namedtuple("Pair", "left right")


@dataclass
class Point:
    x: object
    y: object = 0


class Strange:
    __match_args__ = ("a", "b")
    def __getattr__(self, name):
        print("get", name)
        if name == "b":
            raise AttributeError(name)
        return name


class MyInt(int):
    pass


class Consts:
    ONE = 1
    NAME = "name"


SUBJECTS = [
    0, 1, -1, 2.5, 1 + 2j, True, None, "", "abc", b"b", "name", [], [1], [1, 2], [1, 2, 3], (1, [2, 3]), (1, 2, 3, 4),
    {}, {"k": 1}, {"k": 1, "z": 2}, {"k": {"n": [5, 6]}}, Point(1, 2), Point(0), Point([1], {"k": 1}), Pair(1, 2),
    deque([1, 2]), range(2), OrderedDict(k=1), MyInt(7), int, ..., {1, 2}, ["a", "b", "c", "d"], ((1, 2), (3, 4)),
    Consts.ONE, "x=1", bytearray(b"x"), Point("same", "same"),
]


@case(*[(s,) for s in SUBJECTS])
def every_pattern(subject):
    match subject:
        case 0:
            return "zero"
        case 1 | -1 as sign:
            return "unit", sign, type(sign)
        case -2 | 1 + 2j:
            return "number"
        case None:
            return "none"
        case True | False:
            return "bool"
        case "" | b"b":
            return "text"
        case Consts.NAME:
            return "by name"
        case []:
            return "empty"
        case [x]:
            return "one", x
        case [1, (2 | 3) as second]:
            return "two", second
        case [1, [a, *b]]:
            return "nested", a, b
        case [(a, b), (c, d)]:
            return "pairs", a, b, c, d
        case [first, *_, last] if say("guard", first != "a"):
            return "ends", first, last
        case ["a", *middle, "d"]:
            return "middle", middle
        case [_, _]:
            return "any two"
        case {"k": {"n": [n, *_]}, **rest}:
            return "deep", n, rest
        case {"k": v, "z": z}:
            return "both", v, z
        case {"k": (int() | str()) as v, **rest}:
            return "mapping", v, rest
        case {}:
            return "some mapping", dict(subject)
        case Point(x=0):
            return "on axis"
        case Point([q], {"k": w}):
            return "point of", q, w
        case Point(x, y=2):
            return "point", x
        case Point(x, y) if x == y:
            return "diagonal", x
        case str(text) | bytes(text):
            return "text", text
        case float(f):
            return "float", f
        case MyInt(i):
            return "mine", i
        case int() as i if i > 100:
            return "big"
        case Point():
            return "other point"
        case type():
            return "type"
        case _:
            return "other"


@case((1,), ([1, 2],), ({"a": 1},))
def no_match(subject):
    bound = "before"
    match subject:
        case [bound, 3]:
            pass
        case {"a": bound, "b": _}:
            pass
        case str(bound):
            pass
    return bound


@case()
def order_of_things():
    match say("subject", Strange()):
        case Strange("a", "x"):
            return 1
        case Strange(a="q") | Strange(c=3):
            return 2
        case Strange(c="c", d=d) if say("guard", 0):
            return 3
        case Strange("a") as it:
            return type(it), d


@case((int, 1), (3, 1), (Strange, 1), (str, "s"), ("no", 2))
def class_errors(kind, subject):
    match subject:
        case kind(a, b):
            return a, b
    return "none"


class BadArgs:
    __match_args__ = ["x"]


class WrongName:
    __match_args__ = (1,)


class Twice:
    __match_args__ = ("x",)
    x = 1


@case((BadArgs(),), (WrongName(),), (Twice(),), (Noisy("n"),), (MyInt(3),))
def more_class_errors(subject):
    match subject:
        case BadArgs(x):
            return 1
        case WrongName(x):
            return 2
        case Twice(x, x=y):
            return 3
        case Noisy(value=v, missing=m):
            return v, m
        case int(n):
            return n


@case()
def mapping_details():
    table = defaultdict(list, a=1)
    match table:
        case {"missing": x}:
            return x
        case {"a": 1, **rest}:
            return rest, type(rest), dict(table)


@case((True,), (False,))
def capture_in_loop(flag):
    out = []
    for item in [(1, 2), (3,), "x", {"go": flag}]:
        match item:
            case (a, b):
                out.append(a + b)
                continue
            case (a,):
                out.append(a)
            case {"go": True}:
                break
            case other:
                def f():
                    return other
                out.append(f)
        out.append("after")
    return [o() if callable(o) else o for o in out], a


@case((5,), ((1, 2),))
def subjects(x):
    match x, 3:
        case (5, y):
            return y
        case (z, 3):
            match z:
                case 1, 2:
                    return "inner"
    match (w := x):
        case _:
            return w


class Registered:
    """A sequence by its word only."""


import collections.abc
collections.abc.Sequence.register(Registered)


@case((Registered(),), (range(1 << 40),), ({1: 2},), ({1: 2, 3: 4},))
def only_what_is_asked(subject):
    match subject:
        case [first, *_, last]:
            return first, last
        case {Consts.ONE: 2, True: 3}:
            return 1


@case((Registered(),), (range(3),), (3,))
def only_a_star(subject):
    match subject:
        case [*_]:
            return "sequence"


@case(([1, 2],), ("ab",), ((),))
def all_by_a_star(subject):
    match subject:
        case [*items]:
            return items
