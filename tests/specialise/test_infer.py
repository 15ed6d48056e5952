"""Specialisation: types of variables, constants, guards, refusals."""

import math

import numpy as np
import pytest

from tapeless.specialise.infer import specialise
from tapeless.specialise.types import FLOAT, INT, Array, Const, List, NotTyped, Scalar, Tuple, join, type_of
from tapeless.specialise.unit import Session


def unit_of(f, *args):
    return specialise(f, [type_of(a) for a in args], Session())


def types_of(unit):
    return {v.name: v.type for v in unit.program.variables()}


def test_types_of_values():
    assert type_of(1.0) == FLOAT and type_of(2) == INT
    assert type_of(np.zeros((2, 3), np.float32)) == Array("f4", 2)
    assert type_of((1, [1.0])) == Tuple((INT, List(FLOAT)))
    assert type_of(None) == Const(None)
    with pytest.raises(NotTyped):
        type_of({1, 2})


def test_join():
    assert join(FLOAT, INT) == Scalar(frozenset({"float", "int"}))
    assert join(FLOAT, Array("f8", 1)) is None
    a, b = List(FLOAT), List(INT)
    join(a, b)
    assert a.elem == b.elem == join(FLOAT, INT)


def test_an_integer_that_becomes_a_float():
    def f(x):
        total = 0
        for _ in range(3):
            total = total + x
        return total

    assert types_of(unit_of(f, 1.0))["total"] == join(FLOAT, INT)


def test_a_name_with_two_types_is_two_variables():
    def f(x):
        x = np.sin(x)
        x = x.sum()
        return x

    kinds = types_of(unit_of(f, np.ones(3)))
    assert kinds["x"] == Array("f8", 1) and kinds["x_2"] == Scalar(frozenset({"f8"}))


def test_branches_on_types_are_decided():
    def f(x, scale=None):
        if scale is None or isinstance(x, str):
            return x
        return undefined_name  # noqa: F821

    unit = unit_of(f, 1.0, None)
    assert [op.kind for op in unit.body.ops] == ["return"]


def test_lists_grow_their_type():
    def f(x):
        xs = []
        for _ in range(3):
            xs.append(x)
        return xs[0]

    assert types_of(unit_of(f, 1.0))["xs"] == List(FLOAT)


def test_guards_are_recorded():
    session = Session()

    def f(x):
        return math.sin(x) * np.pi

    specialise(f, [FLOAT], session)
    kinds = {(g.kind, g.name, g.by_type) for g in session.guards.values()}
    assert kinds == {
        ("attr", "__code__", False),
        ("attr", "changes", False),
        ("global", "math", False),
        ("attr", "sin", False),
        ("global", "np", False),
        ("attr", "pi", True),
    }


@pytest.mark.parametrize(
    "text",
    [
        "(yield x)",
        "[*x]",
        "open('file')",
        "x.attribute",
        "(lambda: x)()",
        "{1, 2}",
        "eval('x')",
    ],
)
def test_refusals_name_the_line(text):
    import linecache

    source = f"def f(x):\n    y = {text}\n    return x\n"
    filename = f"<refused {text}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    space = {}
    exec(compile(source, filename, "exec"), space)
    with pytest.raises(NotTyped):
        unit_of(space["f"], 1.0)


def test_mutual_recursion_settles():
    from mutual_programs import even

    unit = unit_of(even, 1.0, 4)
    assert unit.result == FLOAT and unit.recursive
