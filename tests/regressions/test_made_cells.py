"""Cells and methods that the program makes of numbers: the derivative through them was zero, silently."""

import types

import pytest

import tapeless as tl


def square(a):
    def f(t):
        return a * a * t

    return f


def test_a_cell_of_a_number():
    def f(x):
        made = types.FunctionType(square(1.0).__code__, globals(), "f", None, (types.CellType(x),))
        return made(3.0)

    assert tl.grad(f)(2.0) == 12.0
    assert tl.jvp(f, (2.0,), (1.0,))[1] == 12.0


def test_a_method_of_a_number_is_refused():
    with pytest.raises(tl.TapelessError, match="no derivative rule"):
        tl.grad(lambda x: types.MethodType(lambda s, t: s * s * t, x)(3.0))(2.0)
