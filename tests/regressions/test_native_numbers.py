"""NumPy's numbers in compiled programs: what an array without axes and a number differ in."""

import collections
import math
import sys
import typing

import numpy as np
import pytest

import tapeless as tl

pytest.importorskip("llvmlite")

X = np.array([0.5, 1.5, 2.0])
PROGRAMS = {
    "squeeze": lambda x: np.sum(x).squeeze(),
    "copy": lambda x: np.sum(x).copy(),
    "T": lambda x: np.sum(x).T,
    "reshape": lambda x: np.sum(x).reshape(()),
    "astype": lambda x: x[0].astype(np.float32),
    "ravel": lambda x: x[0].ravel(),
    "shape": lambda x: np.sum(x).shape,
    "ndim": lambda x: x[0].ndim,
    "dtype": lambda x: 2.0 if x[0].dtype == np.float64 else 1.0,
    "size": lambda x: np.sum(x).size,
    "[()]": lambda x: np.asarray(np.sum(x))[()],
    "[...]": lambda x: np.asarray(np.sum(x))[...],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_types_are_those_of_the_plain_call(name):
    plain, compiled = PROGRAMS[name](X), tl.jit(PROGRAMS[name])(X)
    assert type(compiled) is type(plain)
    np.testing.assert_array_equal(compiled, plain)


def number_of_an_array(a):
    y = a[()]
    y += 1.0
    return a * y


def test_the_element_of_an_array_without_axes_is_no_view():
    a = np.array(2.0)
    assert tl.jit(number_of_an_array)(a) == 6.0
    assert a == 2.0
    assert tl.jit(tl.jacobian(number_of_an_array))(a) == 5.0


class Chosen:
    def __new__(cls, *args):
        return object.__new__(Other if cls is Chosen else cls)

    def __init__(self):
        self.z = 1.0


class Other(Chosen):
    def __init__(self, z):
        self.z = 2.0 * z


def test_an_object_that_new_chooses_is_filled_by_its_own_class():
    assert tl.jit(lambda x: Chosen(x).z)(1.5) == 3.0
    assert tl.jit(tl.grad(lambda x: Chosen(x).z))(1.5) == 2.0


class Labelled(collections.namedtuple("Labelled", "x")):
    def __init__(self, x):
        self.twice = 2.0 * x


def test_what_a_tuple_cannot_hold_is_refused():
    with pytest.raises(tl.TapelessError, match="a tuple of class Labelled has attributes"):
        tl.jit(lambda x: Labelled(x).twice)(1.0)


def through_a_text(x):
    parts = []
    add = parts.append
    add(str(x))
    return x * float(",".join(parts))


@pytest.mark.parametrize("program", [through_a_text, lambda x: np.asarray(x)[np.asarray(x) > 0.0].sum()])
def test_what_is_not_compiled_is_not_blamed_on_the_program(program):
    with pytest.raises(tl.TapelessError):
        tl.jit(program)(1.0)


def copy_of_what_a_loop_may_change(t, b):
    while t < 0.9:
        t += 0.5 * b.mean()  # of NumPy's class from here
    return t.copy()


def test_attributes_of_numbers_that_a_loop_may_change_are_those_of_their_class():
    fast, b = tl.jit(copy_of_what_a_loop_may_change), np.ones(3)
    assert fast(0.2, b) == 1.2
    with pytest.raises(AttributeError, match="'float' object has no attribute 'copy'"):
        fast(1.3, b)


def far_from(x):
    """The infinity is a constant of the program: it was taken for an integer."""
    limit = math.inf
    if abs(x) != limit:
        x = 2.0 * x
    return x * math.log(sys.float_info.min)


def set_to_zero(x):
    try:
        x[abs(x) < 1e-3] = 0.0
    except TypeError as error:
        return 2.0 * x, str(error)
    return x, ""


def set_first(x):
    x[0] = 1.0
    return x


Listed = typing.Sequence


def of_a_sequence(x):
    return 3.0 * x[0] if isinstance(x, typing.Sequence) and isinstance(x, (Listed, str)) else 2.0 * x


def test_numbers_as_packages_use_them():
    assert tl.jit(tl.value_and_grad(far_from))(1.5) == tl.value_and_grad(far_from)(1.5)
    assert tl.jit(set_to_zero)(1.5) == (3.0, "'float' object does not support item assignment")
    with pytest.raises(TypeError, match="'numpy.float64' object does not support item assignment"):
        tl.jit(set_first)(np.float64(1.5))
    assert tl.jit(of_a_sequence)(1.5) == 3.0 and tl.jit(of_a_sequence)([1.5]) == 4.5


def test_remainder_is_that_of_python():
    fast, slopes = tl.jit(lambda x, y: math.remainder(x, y)), tl.jit(tl.grad(math.remainder, (0, 1)))
    special = [0.0, -0.0, 1.0, 2.0, -2.5, 5.0, 7.5, 360.0, -180.0, math.inf, -math.inf, math.nan, 5e-324]
    for x in special:
        for y in special:
            try:
                want = repr(math.remainder(x, y))
            except ValueError as error:
                with pytest.raises(ValueError, match=str(error)):
                    fast(x, y)
            else:
                assert repr(fast(x, y)) == want
    for x, y in ((7.3, 2.0), (-8.1, 3.0), (0.0, 2.0), (540.1, -360.0)):
        assert slopes(x, y) == tl.grad(math.remainder, (0, 1))(x, y)
