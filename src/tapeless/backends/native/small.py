"""Integers that are only ever given small numbers of the program's text: a byte is enough to save one.

States and flags of recursion and of loops that are left early are such; saved with eight bytes each they
would be most of what a derivative keeps.
"""

from __future__ import annotations

from collections.abc import Iterable

from tapeless.backends.native.activity import Name
from tapeless.backends.native.nest import (
    I64,
    Alias,
    Alloc,
    Apply,
    Assign,
    Const,
    Expr,
    For,
    Grow,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    walk,
)
from tapeless.backends.native.scopes import writes

#: The numbers of a byte, and operations that give one of their operands.
LEAST, GREATEST, CHOICES = -128, 127, ("select", "minimum", "maximum")


def small(body: list[Stmt], given: Iterable[Name]) -> set[Name]:
    """The integers, and arrays of them, that hold numbers of a byte; not those `given` by somebody else."""
    values: dict[Name, list[Expr]] = {}
    barred: set[Name] = set(given)
    for s in walk(body):
        if isinstance(s, Assign):
            values.setdefault(s.var, []).append(s.value)
        elif isinstance(s, Store):
            values.setdefault(s.array.root, []).append(s.value)
            barred |= {s.array.root} if s.add or s.array.dtype != "int64" else set()
        elif isinstance(s, For):
            barred.add(s.var)
        elif isinstance(s, Alias):
            barred.add(s.array.root)
        elif not isinstance(s, (Alloc, Grow)):
            barred.update(writes(s))
    found = {x for x in values if x not in barred and _type(x) == I64}
    while True:
        wrong = {x for x in found if not all(_fits(e, found) for e in values[x])}
        if not wrong:
            return found
        found -= wrong


def _type(x: Name) -> str:
    return x.type if isinstance(x, Scalar) else x.element


def _fits(e: Expr, known: set[Name]) -> bool:
    """Whether an expression is such a number, if these names have them."""
    if isinstance(e, Const):
        return LEAST <= int(e.value) <= GREATEST
    if isinstance(e, Ref):
        return e.var in known
    if isinstance(e, Load):
        return e.array.root in known
    if isinstance(e, Apply) and e.op in CHOICES:
        return all(_fits(a, known) for a in e.args[e.op == "select" :])
    return False
