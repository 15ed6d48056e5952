"""A Program prints as text that people can read, and that reads back as the same Program."""

# Rows of a table may be long.
# ruff: noqa: E501

from __future__ import annotations

import linecache
import textwrap

import pytest

from program.programs import program, same
from tapeless.errors import ParseError
from tapeless.frontend.lower import lower
from tapeless.program.ir import VOCABULARY, Block, Lit, Op, Param, Program, Var
from tapeless.program.parser import parse
from tapeless.program.printer import show, symbols


def lowered(source: str, name: str = "f") -> Program:
    """The Program of the function `name` in `source`."""
    source = textwrap.dedent(source).lstrip()
    linecache.cache["example.py"] = (len(source), None, source.splitlines(keepends=True), "example.py")
    space: dict[str, object] = {"__loader__": None}
    exec(compile(source, "example.py", "exec"), space)
    linecache.cache["example.py"] = (len(source), None, source.splitlines(keepends=True), "example.py")
    return lower(space[name].__code__)  # type: ignore[attr-defined]


POWER = """\
def power(x, n):
    y = 1.0
    for _ in range(n):
        y *= x
    return y
"""


@pytest.fixture(autouse=True)
def keep_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linecache, "checkcache", lambda filename=None: None)


def test_the_text_is_the_source_in_small_steps() -> None:
    text = show(lowered(POWER, "power"))
    assert text == (
        "program power[file='example.py', line=1, code=@code:power:1](x, n):\n"
        "    # example.py:2  y = 1.0\n"
        "    y = copy(1.0)\n"
        "    # example.py:3  for _ in range(n):\n"
        "    _t1 = global[range]()\n"
        "    _t2 = call(_t1, n)\n"
        "    _ = for(_t2):\n"
        "        # example.py:4  y *= x\n"
        "        y = inplace[Mult](y, x)\n"
        "    # example.py:5  return y\n"
        "    return(y)\n"
    )


def test_every_construct_has_its_way_of_writing() -> None:
    held = lowered(
        """
            def f(x, /, y, *args, k, **kw):
                def g(a, b=y, *, c=k):
                    return x, a
                class C(g, *args, m=k, **kw):
                    z = x
                t = [1, *args], {**kw, "k": y}, f"{y!r:>4} {k}", x[1:2, ..., -1.5], not y
                while y < 3:
                    y -= 1
                else:
                    y.append(k, *args, n=2, **kw)
                try:
                    a, *b = args
                except (KeyError, ValueError) as e:
                    raise y from e
                finally:
                    import os.path as p
                return t, 1e400, 2j, b"x", "a: b, c) ]"
        """
    )
    text = show(held)
    for line in (
        "program f[file='example.py', line=1, code=@code:f:1](x_arg as x, /, y, *args, k, **kw):",
        "x_cell = new_cell[x]()",
        "store_cell(x_cell, x_arg)",
        "_t1 = function[code=@code:f.<locals>.g:2, name='g', defaults=1, kwdefaults=('c',), cells=1](y, k, x_cell)",
        "= class[code=@code:f.<locals>.C:4, name='C', cells=1](g, *args, m=k, **kw, x_cell)",
        "= list(1, *args)",
        "= dict(**kw, 'k': y)",
        "= slice(1, 2, None)",
        ", ..., -1.5)",
        "= unary[Not](y)",
        "while(_t",
        "= compare[<](y, 3)",
        "    do:\n        # example.py:8  y -= 1\n        y = inplace[Sub](y, 1)\n    else:\n",
        "= call_method[append](y, k, *args, n=2, **kw)",
        "= unpack[star=1](args)",
        "    except:\n",
        "raise[cause=True](y, e)",
        "    finally:\n",
        "= import[module='os.path', names=(), level=0, asname='p']()",
        "= tuple(t, 1e999, 2j, b'x', 'a: b, c) ]')",
    ):
        assert line in text, f"{line}\nis not in\n{text}"
    back = parse(text, symbols(held))
    assert show(back) == text
    assert same(held, back)


@pytest.mark.parametrize(
    "value",
    [
        0, -1, 1.5, -0.0, 1e400, -1e400, 3j, -3j, True, None, ..., "", "a\n'\"\\", "é", b"\x00'", (), (1,),
        (1, ("a", -2.0)), 10**40, 1e-320, "@name", "x, y)", "a]", "{", float("nan"), complex("inf"), len, int,
        dict.get, object(), [1],
    ],
    ids=lambda value: "object" if type(value) is object else repr(value),
)  # fmt: skip
def test_literals_round_trip(value: object) -> None:
    y = Var("y")
    held = program(Op("copy", (Lit(value),), (y,)), Op("call", (Lit(value), y, Lit(value)), (Var("z"),), {
        "keywords": ("k",), "starred": (True,)}))  # fmt: skip
    back = parse(show(held), symbols(held))
    assert same(held, back)
    assert show(back) == show(held)


def test_parameters_round_trip() -> None:
    for kinds in (
        ["positional"], ["standard"], ["positional", "standard"], ["vararg"], ["keyword"], ["kwarg"],
        ["standard", "keyword", "keyword", "kwarg"], ["positional", "standard", "vararg", "keyword", "kwarg"],
        ["vararg", "keyword"], ["positional", "kwarg"], [],
    ):  # fmt: skip
        params = [Param(Var(f"v{i}" if i % 2 else f"p{i}"), kind, f"p{i}") for i, kind in enumerate(kinds)]
        held = Program(
            "<lambda>", params, Block([Op("return", (Lit(None),))]), freevars=("a",), is_generator=True
        )
        assert same(held, parse(show(held))), show(held)


def test_attributes_that_a_pass_adds_round_trip() -> None:
    x, y = Var("x"), Var("y")
    held = program(
        Op("binary", (x, x), (y,), {"op": "Add", "mark": ("tangent", 1)}),
        Op("getattr", (y,), (Var("z"),), {"name": "a"}),
        params="",
    )
    held.params = [Param(x, "standard", "x")]
    assert same(held, parse(show(held)))


def test_types_are_comments() -> None:
    x = Var("x", "Real")
    held = Program("f", [Param(x, "standard", "x")], Block([Op("copy", (x,), (Var("y", "float64"),))]))
    text = show(held, types=True)
    assert "    y = copy(x)  # float64\n" in text
    assert same(held, parse(text))


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "line 1: expected `program name[...](...):`, got the end of the line"),
        ("program f()", "expected `:`, got the end of the line"),
        (
            "program f():\n    y = strange(x)",
            "line 2: expected an operation of the vocabulary, got y = strange(x)",
        ),
        ("program f():\n    y = copy(x", "line 2: expected `, `, got the end of the line"),
        ("program f():\n    y = copy(x) z", "line 2: expected the end of the line, got z"),
        ("program f():\n      y = copy(x)", "line 2: expected an indentation of 4, got y = copy(x)"),
        (
            "program f():\n    y = copy(@len)",
            "expected a symbol that is given (there is no 'len'), got @len)",
        ),
        ("program f():\n    y = copy(1 +)", "line 2: expected a literal, got 1 +)"),
        ("program f():\n    if(x)\n        pass", "line 2: expected `:`"),
        ("program f():\n    pass\nmore", "line 3: expected the end of the program, got more"),
    ],
)
def test_what_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert message in str(caught.value)


def test_the_vocabulary_is_all_there() -> None:
    assert {"copy", "call", "for", "try", "return"} <= VOCABULARY.keys()
