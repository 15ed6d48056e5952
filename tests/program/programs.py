"""Programs that the tests of the representation share, and when two Programs are the same."""

from __future__ import annotations

from typing import Any

from tapeless.program.ir import Block, Lit, Op, Param, Program, Var


def program(*ops: Op, params: str = "x y", **about: Any) -> Program:
    """A Program with the parameters named and the operations given."""
    held = [Param(Var(name), "standard", name) for name in params.split()]
    return Program("f", held, Block(list(ops)), **about)


def same(a: Any, b: Any, pairs: dict[Var, Var] | None = None) -> bool:
    """Whether two Programs (or parts of them) are equal, their variables taken in pairs."""
    pairs = {} if pairs is None else pairs
    if isinstance(a, Var):
        return isinstance(b, Var) and a.name == b.name and pairs.setdefault(a, b) is b
    if isinstance(a, Lit):
        return isinstance(b, Lit) and same_value(a.value, b.value)
    if isinstance(a, Block):
        return len(a.ops) == len(b.ops) and all(same(x, y, pairs) for x, y in zip(a.ops, b.ops, strict=True))
    if isinstance(a, Op):
        return (
            (a.kind, a.line, len(a.args), len(a.outs), len(a.blocks))
            == (b.kind, b.line, len(b.args), len(b.outs), len(b.blocks))
            and same_value(a.attrs, b.attrs)
            and all(
                same(x, y, pairs)
                for x, y in zip((*a.args, *a.outs, *a.blocks), (*b.args, *b.outs, *b.blocks), strict=True)
            )
        )
    if isinstance(a, Program):
        mine = (a.name, a.filename, a.firstline, a.freevars, a.is_generator, a.code)
        other = (b.name, b.filename, b.firstline, b.freevars, b.is_generator, b.code)
        params = zip(a.params, b.params, strict=True)
        return (
            mine == other
            and all((p.kind, p.name) == (q.kind, q.name) and same(p.var, q.var, pairs) for p, q in params)
            and same(a.body, b.body, pairs)
        )
    return False


def same_value(a: Any, b: Any) -> bool:
    """Equal as literals are: of one type, and with one text."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same_value(a[k], b[k]) for k in a)
    return a is b or (type(a) is type(b) and repr(a) == repr(b))
