"""A Program that is not well formed is refused, with the place and what was expected."""

# Rows of a table may be long.
# ruff: noqa: E501

from __future__ import annotations

import pytest

from program.programs import program
from tapeless.errors import VerifyError
from tapeless.program.ir import Block, Lit, Op, Param, Program, Var
from tapeless.program.parser import parse
from tapeless.program.verifier import verify


def test_a_program_that_is_well_formed() -> None:
    verify(
        parse(
            """\
program f[freevars=('c',)](x, n, /, *args, k, **kw):
    c_cell = free_cell[c]()
    d_cell = new_cell[d]()
    store_cell(d_cell, x)
    i = for(args):
        if(i):
            y = copy(i)
            break()
        else:
            continue()
    while(t):
        t = compare[<](y, n)
    do:
        e = try():
            y = binary[Add](y, z)
            z = load_cell[c](c_cell)
        except:
            m = matches(e, x)
            raise[cause=False]()
        finally:
            del(y)
    return(z)
"""
        )
    )


#: One Program each, and what the verifier says of it.
INVALID = [
    ("y = copy(q)", "`copy` at f/0: operand 0: expected a variable assigned before on some path, got 'q'"),
    ("y = copy(y)", "operand 0: expected a variable assigned before on some path, got 'y'"),
    ("if(x):\n        y = copy(z)\n    z = copy(x)", "`copy` at f/0/if0/0: operand 0: expected a variable assigned"),
    ("y = copy(x, x)", "number of operands: expected 1, got 2"),
    ("y, z = copy(x)", "number of results: expected 1, got 2"),
    ("copy(x)", "number of results: expected 1, got 0"),
    ("y = binary(x, x)", "attribute 'op': expected a value, got none (has: none)"),
    ("y = binary[Plus](x, x)", "attribute 'op': expected one of Add, BitAnd, BitOr,"),
    ("y = compare[=](x, x)", "attribute 'op': expected one of !=, <,"),
    ("y = unary[Neg](x)", "attribute 'op': expected one of Invert, Not, UAdd, USub, got Neg"),
    ("return(x)\n    y = copy(x)", "`return` at f/0: position of a terminator: expected last in its block, got operation 0"),
    ("break()", "`break` at f/0: place: expected inside a loop, got no loop around it"),
    ("i = for(x):\n        pass\n    else:\n        continue()", "`continue` at f/0/for1/0: place: expected inside a loop"),
    ("y = free_cell[q]()", "attribute 'name': expected a free variable of the program (it has none), got q"),
    ("y = load_cell[q](x)", "operand 0: expected a cell (from new_cell or free_cell), got 'x'"),
    ("c = new_cell[q]()\n    y = binary[Add](c, 1)", "`binary` at f/1: operand 0: expected a value, got the cell 'c'"),
    ("c = new_cell[q]()\n    return(c)", "`return` at f/1: operand 0: expected a value, got the cell 'c'"),
    ("store_cell(x, 1)", "operand 0: expected a cell (from new_cell or free_cell), got 'x'"),
    ("y = yield(x)", "`yield` at f/0: place: expected a generator, got a Program that is not one"),
    ("a, b = unpack[star=2](x)", "attribute 'star': expected None or below 2, got 2"),
    ("y = format[template=('a', (-1, True))](x)", "number of operands by 'template': expected 2, got 1"),
    ("raise[cause=True](x)", "number of operands of a raise with a cause: expected 2, got 1"),
    ("raise[cause=False](x, x)", "number of operands of a raise: expected 0 or 1, got 2"),
    ("y = import[module='m', names=('a', 'b'), level=0, asname=None]()", "number of results by 'names': expected 2, got 1"),
    ("del(3)", "operand 0: expected a variable, got 3"),
    ("while(x):\n        y = copy(x)\n    do:\n        pass", "operand 0: expected assigned by the condition block, got x"),
]  # fmt: skip


@pytest.mark.parametrize("text, message", INVALID, ids=[text for text, _ in INVALID])
def test_invalid(text: str, message: str) -> None:
    held = parse(f"program f(x):\n    # f.py:7  source\n    {text}\n")
    with pytest.raises(VerifyError) as caught:
        verify(held)
    assert message in str(caught.value)
    assert str(caught.value).startswith("<program>:7: ")
    assert caught.value.code == "TL201"


X, Y, C = Var("x"), Var("y"), Var("c")
CODE = (lambda: X).__code__

#: What no text can say.
BUILT = [
    (Op("frobnicate", (X,)), "unknown kind 'frobnicate', expected one of the vocabulary"),
    (Op("copy", (3,), (Y,)), "operand 0: expected a Var or a Lit, got 3"),  # type: ignore[arg-type]
    (Op("copy", (X,), ("y",)), "result 0: expected a Var, got 'y'"),  # type: ignore[arg-type]
    (Op("copy", (X,), (Var("x"),)), "two variables are named 'x', expected a name of its own for each"),
    (Op("copy", (X,), (Var("a b"),)), "a variable is named 'a b', expected an identifier"),
    (Op("if", (X,), (), {}, (Block(),)), "number of blocks: expected 2, got 1"),
    (Op("tuple", (X,), (Y,), {"starred": ()}), "length of 'starred': expected 1, got 0"),
    (Op("dict", (X,), (Y,), {"spread": (False,)}), "number of operands by 'spread': expected 2, got 1"),
    (
        Op("call", (X,), (Y,), {"starred": (False,), "keywords": ("k",)}),
        "number of operands by 'starred' and 'keywords': expected 3, got 1",
    ),
    (
        Op("function", (X,), (Y,), {"code": CODE, "name": "g", "defaults": 1, "kwdefaults": ("k",), "cells": 0}),
        "number of operands by 'defaults', 'kwdefaults' and 'cells': expected 2, got 1",
    ),
    (
        Op("function", (X,), (Y,), {"code": (lambda: 0).__code__, "name": "g", "defaults": 0, "kwdefaults": (), "cells": 1}),
        "expected a cell (from new_cell or free_cell), got 'x'",
    ),
]  # fmt: skip


@pytest.mark.parametrize("op, message", BUILT, ids=[message for _, message in BUILT])
def test_invalid_operations(op: Op, message: str) -> None:
    held = Program("f", [Param(X, "standard", "x")], Block([op]))
    with pytest.raises(VerifyError) as caught:
        verify(held)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "kinds, message",
    [
        (["standard", "positional"], "parameters are out of order, expected positional, standard, vararg"),
        (["vararg", "vararg"], "there are two parameters of kind 'vararg', expected at most one"),
        (
            ["other"],
            "kind of parameter 'a': expected one of positional, standard, vararg, keyword, kwarg, got 'other'",
        ),
    ],
)
def test_invalid_parameters(kinds: list[str], message: str) -> None:
    held = Program("f", [Param(Var(n), kind, n) for n, kind in zip("ab", kinds, strict=False)], Block())
    with pytest.raises(VerifyError) as caught:
        verify(held)
    assert message in str(caught.value)


def test_one_variable_for_two_parameters() -> None:
    held = program()
    held.params[1].var = held.params[0].var
    with pytest.raises(VerifyError, match="variable 'x' is two parameters, expected one"):
        verify(held)


def test_the_message_shows_ten_lines_around() -> None:
    y = Var("y")
    ops = [Op("copy", (Lit(i),), (y,), line=3) for i in range(20)]
    ops[12] = Op("copy", (Lit(12), Lit(12)), (y,), line=3)
    with pytest.raises(VerifyError) as caught:
        verify(program(*ops, params="x"))
    lines = str(caught.value).splitlines()
    assert sum(line.startswith(("> ", "  ")) for line in lines) == 10
    assert ">     y = copy(12, 12)" in lines
    assert "      y = copy(11)" in lines


def test_a_source_name_may_be_undefined() -> None:
    """As in Python, where that is an error of the run."""
    from tapeless.frontend.lower import lower

    def f() -> object:
        print(later)  # noqa: F821
        later = 1
        return later

    verify(lower(f.__code__))
