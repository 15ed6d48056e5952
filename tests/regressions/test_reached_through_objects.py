"""Active values that are reached through an object that stands for a place."""

import collections
import contextvars
import functools
import operator
import sys
import types
import weakref

import numpy as np
import pytest

import tapeless as tl
from checking import check
from tapeless.errors import MissingRuleError, UntrackedMutationError


class Thing:
    def __init__(self, **values):
        self.__dict__.update(values)


class Slots:
    __slots__ = ("a", "b")


VARIABLE = contextvars.ContextVar("VARIABLE", default=0.0)
SCALE = 1.0


def scaled():
    return SCALE * 2.0


def modules(x):
    global SCALE
    SCALE = x * x
    try:
        return scaled() + globals()["SCALE"] * x + sys.modules[__name__].SCALE
    finally:
        SCALE = 1.0


def texts(x):
    names = {"y": x * x}
    exec("z = y * 2\ndef f(a):\n    return a * y\nfor k in range(2):\n    z += f(k)", names)
    return names["z"] + names["f"](x) + eval("y * y", {"y": x}) + eval("a * b", {"a": x}, {"b": x})


def attributes(x):
    p = Thing(a=x)
    vars(p)["c"] = x**3
    p.__dict__ |= {"e": x * 5.0}
    q = Thing()
    q.__dict__ = {"a": x * x}
    q.__dict__["b"] = x
    return p.a * p.c + p.e + sum(vars(p).values()) + q.a * q.b


def slots(x):
    s = Slots()
    s.a = x
    Slots.b.__set__(s, x * 3.0)
    return s.a * s.b + Slots.b.__get__(s) + Slots.__dict__["a"].__get__(s)


def variables(x):
    token = VARIABLE.set(x * x)
    try:
        return VARIABLE.get() * 2.0
    finally:
        VARIABLE.reset(token)


def references(x):
    p = Thing(a=x)
    by_object, by_name = weakref.WeakKeyDictionary(), weakref.WeakValueDictionary()
    by_object[p] = x * x
    by_name["k"] = p
    proxy = weakref.proxy(p)
    proxy.b = x**3
    return weakref.ref(p)().a * by_object[p] + by_name["k"].a + proxy.a + p.b


def proxies(x):
    table = types.MappingProxyType({"a": x, "b": x * x})
    space = types.SimpleNamespace(c=x**3)
    return table["a"] * table.get("b") + sum(table.values()) + space.c + dict(table)["b"]


def chains(x):
    c = collections.ChainMap({"a": x}, {"b": x * x})
    c["c"] = x**3
    u, items = collections.UserDict(a=x), collections.UserList([x, 2.0 * x])
    u["b"] = x * x
    items.append(x * 3.0)
    o = collections.OrderedDict(a=x, b=x * x)
    return (
        c["a"] * c["b"] + sum(c.values()) + c.pop("c") + u["a"] * u["b"] + items[-1] + sum(items)
        + next(reversed(o.values())) + o.pop("a")
    )  # fmt: skip


def callers(x):
    method = operator.methodcaller("plus", x, k=x * x)

    class Sum:
        def __init__(self, v):
            self.v = v

        def plus(self, a, k=1.0):
            return self.v * a + k

    return method(Sum(x)) + functools.partial(Sum.plus, Sum(2.0), k=x)(x)


CASES = [modules, texts, attributes, slots, variables, references, proxies, chains, callers]


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_reached(f):
    check(f, 0.7)


def test_an_array_that_is_given_another_shape():
    def f(a):
        b = a * 2.0
        b.shape = (2, 2)
        c = b * 3.0
        b[0, 1] = a[0] ** 3
        b.strides = (8, 16)
        return (b @ c).sum()

    check(f, np.array([0.3, 1.2, -0.4, 2.0]))


def test_memory_that_is_read_as_another_type_is_refused():
    def f(a):
        b = a * 2.0
        b.dtype = np.complex128
        return b[0].real + 3.0 * b[0].imag

    for derivative in (tl.grad(f), lambda a: tl.jvp(f, (a,), (a,))):
        with pytest.raises(UntrackedMutationError, match="dtype"):
            derivative(np.array([0.5, 2.0]))


def test_records_are_refused():
    def stores(x):
        a = np.zeros(2, dtype=[("p", float), ("q", int)])
        a["p"] = x
        return a["p"].sum()

    def makes(x):
        return np.rec.array([(x, 1), (x * x, 2)], dtype=[("p", float), ("q", int)]).p.sum()

    with pytest.raises(UntrackedMutationError, match="array of records"):
        tl.grad(stores)(0.5)
    with pytest.raises(MissingRuleError, match="array of records"):
        tl.grad(makes)(0.5)


def test_objects_in_arrays_are_refused():
    with pytest.raises(MissingRuleError, match="objects"):
        tl.grad(lambda x: np.array([x, x], dtype=object)[0])(0.5)
