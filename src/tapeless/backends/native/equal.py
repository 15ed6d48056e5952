"""Values that a program has under another name already.

    s = sin(x)              s = sin(x)
    e = s*f(x)              c = cos(x)
    c = cos(x)              e = s*f(x)
    d = sin(x)              …                       s is read in the place of d

`unified` takes what stands twice once, and puts two functions that are each other's derivative side by side.
`partners` finds these: their adjoint, x_bar += s_bar*c - c_bar*s, calls nothing and reads no x.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from tapeless.backends.native.activity import Name
from tapeless.backends.native.fuse import replaced, with_bodies
from tapeless.backends.native.needed import costly
from tapeless.backends.native.nest import (
    FLOATS,
    Alias,
    Apply,
    Assign,
    Const,
    Expr,
    For,
    Function,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    children,
    leaves,
    walk,
)
from tapeless.backends.native.rewrite import change_body, change_stmt
from tapeless.backends.native.scopes import names, reads, touched, written

#: Functions that are each other's derivative, up to the sign.
PARTNERS = {"sin": "cos", "cos": "sin", "sinh": "cosh", "cosh": "sinh"}


def unified(fn: Function) -> Function:
    """`fn` without loads and function calls whose value another variable has at that time."""
    table = _Table({}, {})
    copies: set[Scalar] = set()
    body = _unify(fn.body, table, copies)
    kept = {x for s in walk(body) for x in reads(s)} | set(fn.results)
    gone = copies - kept
    return replace(fn, body=replaced(body, lambda s: [] if isinstance(s, Assign) and s.var in gone else None))


class _Table:
    """What variables hold now: expression -> variable, and variable -> an older one with the same value."""

    def __init__(self, values: dict[Expr, Scalar], same: dict[Scalar, Ref]) -> None:
        self.values, self.same = values, same

    def copy(self) -> _Table:
        return _Table(dict(self.values), dict(self.same))

    def forget(self, changed: set[Name]) -> None:
        stale = [e for e, x in self.values.items() if x in changed or not changed.isdisjoint(names(e))]
        for e in stale:
            del self.values[e]
        for x in [x for x, of in self.same.items() if x in changed or of.var in changed]:
            del self.same[x]

    def change(self, e: Expr) -> Expr | None:
        return self.same.get(e.var) if isinstance(e, Ref) else None


def _unify(body: list[Stmt], table: _Table, copies: set[Scalar]) -> list[Stmt]:
    out: list[Stmt] = []
    for s in body:
        inner = children(s)
        if inner:
            changed = {x for b in inner for x in _changed(b)}
            repeated = not isinstance(s, If)
            if isinstance(s, For):
                changed.add(s.var)
            bare = with_bodies(s, [[] for _ in inner])
            if isinstance(s, (For, If)):  # bounds and conditions come first
                bare = change_stmt(bare, table.change)
            if repeated:
                table.forget(changed)
            s = with_bodies(bare, [_unify(b, table.copy(), copies) for b in inner])
            table.forget(changed)
        else:
            s = change_stmt(s, table.change)
            table.forget(set(_changed([s])))
            if isinstance(s, Assign) and _worth(s.value) and s.var not in names(s.value):
                older = table.values.setdefault(s.value, s.var)
                if older is not s.var:
                    table.same[s.var] = Ref(older)
                    copies.add(s.var)
                    s = replace(s, value=Ref(older))
                else:
                    out.insert(_beside(s, out, table), s)
                    continue
        out.append(s)
    return out


def _beside(s: Assign, out: list[Stmt], table: _Table) -> int:
    """Where `s` goes: after the call of its partner, if that holds still and nobody minds, else the end."""
    partner = table.values.get(_partner(s.value)) if isinstance(s.value, Apply) else None
    for k in reversed(range(len(out)) if partner is not None else ()):
        x = out[k]
        if isinstance(x, Assign) and x.var is partner:
            return k + 1
        if any(s.var in touched(y) for y in walk([x])):
            break
    return len(out)


def _partner(e: Apply) -> Expr:
    return Apply(PARTNERS.get(e.op, ""), e.args, e.type)


def _changed(body: Iterable[Stmt]) -> Iterator[Name]:
    body = list(body)
    yield from written(body)
    for s in walk(body):
        if isinstance(s, Alias):
            yield s.array.root
        elif isinstance(s, For):
            yield s.var


def _worth(e: Expr) -> bool:
    # 0.0 and -0.0 are the same constant, and not the same number
    return (isinstance(e, Load) or costly(e)) and e.type in FLOATS and not _has_zero(e)


def _has_zero(e: Expr) -> bool:
    return any(isinstance(x, Const) and not x.value for x in leaves(e))


def partners(body: list[Stmt]) -> Iterator[tuple[Assign, Assign]]:
    """The calls of partners side by side in a body, and in those inside it."""
    for block in (body, *(b for s in walk(body) for b in children(s))):
        for s, t in pairwise(block):
            if isinstance(s, Assign) and isinstance(t, Assign) and isinstance(s.value, Apply):
                own = not {s.var, t.var}.isdisjoint(names(s.value))
                if s.value.op in PARTNERS and t.value == _partner(s.value) and s.var is not t.var and not own:
                    yield s, t


def without_calls(s: Assign, t: Assign, code: list[Stmt]) -> list[Stmt]:
    """Adjoint code of partners that reads what they gave."""
    found = {s.value: Ref(s.var), t.value: Ref(t.var)}
    return change_body(code, lambda e: found.get(e) if isinstance(e, Apply) else None)
