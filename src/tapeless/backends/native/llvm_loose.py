"""Sums whose order is free: which additions of a loop may be done in lanes, and fused with their products."""

from __future__ import annotations

from collections.abc import Iterator

from tapeless.backends.native.nest import (
    FLOATS,
    I64,
    Apply,
    Assign,
    Const,
    Expr,
    For,
    Load,
    Ref,
    Scalar,
    Store,
    While,
    expressions,
    leaves,
    walk,
)

FREE, FUSED = "reassoc contract", "contract"


def loose(loop: For) -> Iterator[tuple[int, str]]:
    """Ids of additions and products in a loop, with what LLVM may do to them.

    A variable that the loop only accumulates, or an element that it always adds to, is summed in any order.
    Every addition to an element may be fused with the product that is added: it sums over an outer loop.
    """
    inner = not any(isinstance(s, (For, While)) for s in walk(loop.body))
    uses: dict[Scalar, int] = {}
    sums: dict[Scalar, list[Assign]] = {}
    for s in walk(loop.body):
        if isinstance(s, Store) and s.add and s.array.element in FLOATS:
            yield id(s), FREE if inner and not any(_varies(i, loop) for i in s.index) else FUSED
            yield from _product(s.value)
        for e in expressions(s):
            for leaf in leaves(e):
                if isinstance(leaf, Ref):
                    uses[leaf.var] = uses.get(leaf.var, 0) + 1
        if isinstance(s, Assign):
            sums.setdefault(s.var, []).append(s)
    if inner:
        for var, assigns in sums.items():
            spines = [_spine(a) for a in assigns]
            if uses.get(var, 0) == len(assigns) and all(spines):
                for spine in spines:
                    yield from spine


def apart(s: Assign) -> Expr:
    """The value of an assignment; `v = min(v, e if c else v)` with the second `v` replaced by the largest
    integer: a reduction that LLVM knows."""
    e, old = s.value, Ref(s.var)
    if isinstance(e, Apply) and e.op in ("minimum", "maximum") and e.type == I64 and old in e.args:
        other = e.args[1] if e.args[0] == old else e.args[0]
        if isinstance(other, Apply) and other.op == "select" and old in other.args[1:]:
            end = Const(2**63 - 1 if e.op == "minimum" else -(2**63), I64)
            c, a, b = other.args
            kept = Apply("select", (c, end if a == old else a, end if b == old else b), I64)
            return Apply(e.op, (old, kept), I64)
    return e


def _product(e: Expr) -> Iterator[tuple[int, str]]:
    """The product that an expression is, but for its sign."""
    while isinstance(e, Apply) and e.op == "neg":
        e = e.args[0]
    if isinstance(e, Apply) and e.op == "mul":
        yield id(e), FUSED


def _spine(a: Assign) -> list[tuple[int, str]]:
    """The additions (or the one minimum, maximum) that take a variable to its new value; [] for others."""
    found: list[tuple[int, str]] = []
    e = a.value
    while isinstance(e, Apply) and e.type in FLOATS:
        if e.op in ("minimum", "maximum"):
            return [(id(e), FREE)] if not found and Ref(a.var) in e.args else []
        if e.op not in ("add", "sub"):
            return []
        found.append((id(e), FREE))
        first, second = e.args
        if e.op == "add" and second == Ref(a.var):
            first, second = second, first
        found += _product(second)
        if first == Ref(a.var):
            return found
        e = first
    return []


def _varies(i: Expr, loop: For) -> bool:
    """May an index change from one iteration to the next?"""
    assigned = {s.var for s in walk(loop.body) if isinstance(s, Assign)} | {loop.var}
    return any(isinstance(x, Load) or (isinstance(x, Ref) and x.var in assigned) for x in leaves(i))
