"""Active values in what NumPy makes arrays of: windows on memory, sequences, objects: each once gave zero."""

from collections import deque

import numpy as np
import pytest

import tapeless as tl
from checking import check


class Held:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


class Bare:
    """Its memory cannot be traced to the array that owns it."""

    def __init__(self, array):
        self.array = array

    @property
    def __array_interface__(self):
        return self.array.__array_interface__


class Number:
    def __init__(self, value):
        self.value = value

    def __add__(self, other):
        return Number(self.value + (other.value if isinstance(other, Number) else other))

    def __mul__(self, other):
        return self.value * other

    def __float__(self):
        return float(self.value)


class Row:
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


FOLLOWED = {
    "sum of a memoryview": lambda x: np.sum(memoryview(x * 2.0)) * x[0],
    "array of a memoryview": lambda x: np.array(memoryview(x * 2.0)) @ x,
    "view of a memoryview": lambda x: np.asarray(memoryview(x * 2.0)) @ x,
    "joined memoryviews": lambda x: np.concatenate([memoryview(x * 2.0), x]).prod(),
    "stacked deques": lambda x: np.stack([deque(list(x)), deque(list(x * x))])[1] @ x,
    "a deque inside": lambda x: np.array([[deque(list(x))]])[0, 0] @ x,
    "joined __array__": lambda x: np.concatenate([Held(x * 2.0), Held(x)]).prod(),
    "list of __array__": lambda x: np.sum([Held(x * x)]),
    "joined flat": lambda x: np.concatenate(((x * 2.0).flat, x)).prod(),
    "array of flats": lambda x: np.array([(x * 2.0).flat, x.flat])[0] @ x,
    "flat of a transpose": lambda x: np.array(np.outer(x, x).T[::2].flat).sum(),
    "objects that are moved": lambda x: np.array([Number(x[0]), Number(x[1])])[::-1][0].value * x[0],
    "objects that are chosen": lambda x: np.where([True], [Number(x[1])], [Number(x[0])])[0].value * x[0],
    "objects of constants": lambda x: np.array([Number(2.0), Number(3.0)]).astype(float).sum() * x[0] * x[1],
}


def stored(value):
    def f(x):
        a = np.zeros(2)
        a[:] = value(x)
        return a[0] * a[1] + x[0]

    return f


def added(value):
    def f(x):
        a = np.ones(2)
        a += value(x)
        return a[0] * a[1] + x[0]

    return f


def copied(x):
    a = np.zeros(2)
    np.copyto(a, memoryview(x * 2.0))
    np.add.at(a, [0, 0], deque(list(x)))
    return a[0] * a[1]


SOURCES = {
    "memoryview": lambda x: memoryview(x * 2.0),
    "flat": lambda x: (x * 2.0).flat,
    "deque": lambda x: deque(list(x * 2.0)),
    "__array__": lambda x: Held(x * 2.0),
}
FOLLOWED |= {f"store of {name}": stored(value) for name, value in SOURCES.items()}
FOLLOWED |= {f"sum in place of {name}": added(value) for name, value in SOURCES.items()}
FOLLOWED |= {
    "copied": copied,
    "store of __float__": stored(lambda x: Number(x[0] * x[1])),
    "by name": lambda x: np.dot(a=memoryview(x * 1.0), b=x) * np.sum(a=(x * 2.0).flat),
}


@pytest.mark.parametrize("f", FOLLOWED.values(), ids=FOLLOWED)
def test_followed(f):
    x = np.array([0.5, 1.5])
    gradient, h = tl.grad(f)(x), 1e-6
    for i, direction in enumerate(np.eye(2)):
        expected = (f(x + h * direction) - f(x - h * direction)) / (2 * h)
        assert gradient[i] == pytest.approx(expected, rel=1e-7, abs=1e-8)
        assert tl.jvp(f, (x,), (direction,))[1] == pytest.approx(expected, rel=1e-7, abs=1e-8)


def added_in_place(x):
    numbers = np.array([Number(x[0]), Number(x[1])])
    numbers += 1.0
    return numbers[0].value


REFUSED = {
    "untraced memory": lambda x: np.sum(Bare(x * 2.0)),
    "untraced memory inside": lambda x: np.array([Bare(x * 2.0)]).sum(),
    "sum of objects": lambda x: np.sum([Number(x[0]), Number(x[1])]).value,
    "sum of an array of objects": lambda x: np.sum(np.array([Number(x[0]), Number(x[1])])).value,
    "operator on objects": lambda x: (np.array([Number(x[0])]) + 1.0)[0].value,
    "objects to numbers by an operator": lambda x: (np.array([Number(x[0])]) * 2.0)[0],
    "objects to numbers": lambda x: np.array([Number(x[0])]).astype(float).sum(),
    "objects made numbers": lambda x: np.array([Number(x[0])], dtype=float).sum(),
    "sequences of one's own": lambda x: np.array([Row(x), Row(x)]).sum(),
    "in place": added_in_place,
    "store of objects": stored(lambda x: np.array([Number(x[0]), Number(x[1])])),
    "store of untraced memory": stored(lambda x: Bare(x * 2.0)),
    "store of a sequence of one's own": stored(Row),
}


@pytest.mark.parametrize("f", REFUSED.values(), ids=REFUSED)
def test_refused(f):
    x = np.array([0.5, 1.5])
    with pytest.raises(tl.errors.MissingRuleError):
        tl.grad(f)(x)
    with pytest.raises(tl.errors.MissingRuleError):
        tl.jvp(f, (x,), (np.ones(2),))


def array_of_flat(m):
    v = np.array(m.flat)  # NumPy makes a view of it
    m[...] = 2.0
    return v.sum()


def copy_of_flat(m):
    m = (m * 1.0).T
    v = np.array(m.flat)  # and here a copy
    m[...] = 2.0
    return (v * v).sum() + m.sum()


def flat_of_an_attribute(m):
    box = Held(m * 1.0)
    v = np.ravel(box.array.flat)
    v[1] = 3.0 * v[0]
    return (np.sin(box.array.flat) * box.array.ravel()).sum() + np.dot(box.array.flat, v)


@pytest.mark.parametrize("f", [copy_of_flat, flat_of_an_attribute], ids=lambda f: f.__name__)
def test_flat(f):
    check(f, np.arange(1.0, 7.0).reshape(2, 3))


def test_an_array_of_flat_is_a_view():
    def m():
        return np.arange(1.0, 7.0).reshape(2, 3)

    assert tl.value_and_grad(array_of_flat)(m())[0] == array_of_flat(m())
    assert not tl.grad(array_of_flat)(m()).any()
    assert tl.jvp(array_of_flat, (m(),), (np.ones((2, 3)),)) == (array_of_flat(m()), 0.0)
