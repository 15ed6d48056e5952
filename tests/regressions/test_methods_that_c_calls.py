"""Special methods that Python calls by itself: for truth, text, hashes, copies, rounding and subscripts."""

import collections
import copy
import functools
import math
import statistics

import pytest

import tapeless as tl
from checking import check
from tapeless.errors import UntrackedMutationError


class Lazy:
    """Its square is computed when it is first asked for, by whatever asks."""

    def __init__(self, value):
        self.value = value

    @functools.cached_property
    def square(self):
        return self.value * self.value

    def __repr__(self):
        return f"Lazy{self.square:.1f}"

    def __format__(self, spec):
        return format(self.square, spec)

    def __eq__(self, other):
        return self.square == other.square

    def __hash__(self):
        return hash(round(self.square, 1))

    def __bool__(self):
        return self.square > 0.5


def asked_by_if(x):
    v = Lazy(x)
    if v:
        pass
    return v.square


def asked_by_not(x):
    v = Lazy(x)
    return (not v) + v.square


def asked_by_or(x):
    v, w = Lazy(x), Lazy(2.0 * x)
    return (v or w) and v.square * w.square


def asked_by_while(x):
    v = Lazy(x)
    while not v:
        break
    return v.square


def asked_by_assert(x):
    v = Lazy(x)
    assert v
    return v.square


def asked_by_filters(x):
    v, w = Lazy(x), Lazy(2.0)
    kept = [*filter(None, [v])]
    return any([w]) * bool(v) * len(kept) * v.square * w.square


def asked_by_text(x):
    v, w, u, s, t = (Lazy(x + i) for i in range(5))
    print(v, f"{w:.2f}", f"{u!r}", str(s), format(t, ".1f"))
    return v.square * w.square + u.square * s.square + t.square


def asked_by_hash(x):
    v, w = Lazy(x), Lazy(2.0 * x)
    return (hash(v) > 0) * v.square + (w == v) + w.square


@pytest.mark.parametrize(
    "program",
    [
        asked_by_if, asked_by_not, asked_by_or, asked_by_while, asked_by_assert, asked_by_filters,
        asked_by_text, asked_by_hash,
    ],
)  # fmt: skip
def test_what_a_special_method_keeps_is_differentiated(program):
    check(program, 1.1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda v: repr([v]),
        lambda v: "%s" % v,  # noqa: UP031
        lambda v: "{}".format(v),  # noqa: UP032
        lambda v: {v: 1},
        lambda v: {1: 2}.get(v),
        lambda v: v in [Lazy(3.0)],
        lambda v: [Lazy(3.0)].index(v) if 0 else [v].count(Lazy(3.0)),
        lambda v: (v, 1) == (Lazy(2.0), 1),
        lambda v: hash((v, 2)),
        lambda v: str(KeyError(v)),
    ],
)
def test_what_c_code_asks_for_inside_containers_is_refused(ask):
    def f(x):
        v = Lazy(x)
        ask(v)
        return v.square

    for derivative in (tl.grad(f), lambda x: tl.jvp(f, (x,), (1.0,))):
        with pytest.raises(UntrackedMutationError, match="puts a value into 'square' of a Lazy"):
            derivative(1.1)


class Rounded:
    def __init__(self, value):
        self.value = value

    def __class_getitem__(cls, item):
        return cls(item * item)

    def __floor__(self):
        return self.value * 3.0

    def __ceil__(self):
        return self.value * 5.0

    def __trunc__(self):
        return self.value * 7.0

    def __reversed__(self):
        return iter([self.value, self.value**2])


def test_rounding_subscripts_of_classes_and_reversed():
    def f(x):
        v = Rounded[x]
        return math.floor(v) + math.ceil(v) * math.trunc(v) + sum(reversed(v))

    check(f, 1.1)


class InItsOwnWay:
    def __init__(self, value):
        self.value = value

    def __deepcopy__(self, memo):
        return InItsOwnWay(self.value * 2.0)

    def __copy__(self):
        return InItsOwnWay(self.value * 3.0)


class ByState:
    def __init__(self, value):
        self.value = value

    def __getstate__(self):
        return {"value": self.value * 3.0}

    def __setstate__(self, state):
        self.value, self.other = state["value"] + 1.0, state["value"] ** 2


class ByReduction:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return ByReduction, (self.value * 3.0,)


class Doubling(dict):
    def __setitem__(self, key, value):
        super().__setitem__(key, value * 2.0)


def copies(x):
    a, b = copy.copy(InItsOwnWay(x)), copy.deepcopy([InItsOwnWay(x)])[0]
    c, d = copy.copy(ByState(x)), copy.deepcopy({1: ByState(x)})[1]
    e, g = copy.copy(ByReduction(x)), copy.deepcopy((ByReduction(x), x))[0]
    return a.value * b.value + c.value * c.other + d.value * d.other + e.value * g.value


def copies_of_subclasses(x):
    d = Doubling()
    d["a"] = x
    d.scale = x * x
    numbers = Numbers([x, x * x])
    numbers.scale = x**3
    copied, deep = copy.copy(numbers), copy.deepcopy(numbers)
    return copy.copy(d)["a"] + copy.deepcopy(d).scale + copied.scale * deep[1] + copied[0] * deep.scale


class Numbers(list):
    pass


@pytest.mark.parametrize("program", [copies, copies_of_subclasses])
def test_copies_are_made_by_the_methods_of_the_class(program):
    check(program, 1.1)


class Settings:
    scale = 2.0


class Fallback:
    def __getattr__(self, name):
        return 7.0


def set_on_one_path(x):
    s, t, v = Settings(), Fallback(), Lazy(x)
    if x > 5.0:
        s.scale = t.scale = x
        v.square  # noqa: B018
    return s.scale * t.scale * x + v.square


@pytest.mark.parametrize("x", [1.1, 6.1])
def test_attributes_that_one_path_sets_and_the_class_has(x):
    check(set_on_one_path, x, native=True)


def test_defaults_of_own_missing():
    class Table(collections.defaultdict):
        def __missing__(self, key):
            self[key] = self.base * key
            return self[key] * 2.0

    class Reading(dict):
        def __getitem__(self, key):
            return super().__getitem__(key) * 2.0

        def __missing__(self, key):
            return self.base * key

    def f(x):
        d, e = Table(list), Reading()
        d.base = e.base = x
        e[1] = x * x
        return d[2] + d[2] + e[1] + e[3]

    check(f, 1.1)


def test_distributions_of_samples():
    def f(x):
        d = statistics.NormalDist.from_samples([x, 2.0 * x, 3.0])
        return d.mean * d.stdev + d.pdf(2.0)

    check(f, 1.3)


class Path:
    """A name whose hash keeps its parts, as those of `pathlib` do."""

    def __init__(self, name):
        self.name = name

    def __hash__(self):
        self.parts = self.name.split("/")
        self.length = (len(self.parts), {"of": self.name})
        return hash(self.name)


def test_texts_that_a_hash_keeps_carry_nothing():
    def f(x):
        table = {(Path("a/b"), 1): x * x}
        return sum(table.values())

    assert tl.grad(f)(3.0) == 6.0 and tl.jvp(f, (3.0,), (1.0,)) == (9.0, 6.0)
