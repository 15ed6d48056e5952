"""Loops one in the other, in the order in which arrays lie in memory.

    for i in range(n):                  for k in range(m):
        for k in range(m):                  for i in range(n):
            c[k, i] = 0                         c[k, i] = 0

It is done where iterations may run in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations

from tapeless.backends.native.affine import affine
from tapeless.backends.native.fuse import with_bodies
from tapeless.backends.native.nest import (
    FLOATS,
    Apply,
    Assign,
    Expr,
    For,
    Function,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    children,
    expressions,
    leaves,
)
from tapeless.backends.native.perfect import anywhere, perfect
from tapeless.backends.native.sweeps import Loop

#: Nests of more loops, or of more statements, stay as they are.
DEEP, LONG = 4, 12


def interchange(fn: Function) -> Function:
    """`fn` with the loops of nests in the order of their arrays."""
    return replace(fn, body=_body(fn.body))


def _body(body: list[Stmt]) -> list[Stmt]:
    out: list[Stmt] = []
    for s in body:
        nest = perfect(s) if isinstance(s, For) else None
        if nest is not None and isinstance(s, For):
            out.append(_ordered(s, *nest))
        else:
            out.append(with_bodies(s, [_body(inner) for inner in children(s)]))
    return out


def _ordered(s: For, loops: list[For], body: list[Stmt]) -> For:
    """The loops of a nest in the order in which most of what is read and written lies."""
    whole = Loop(s)
    if not 2 <= len(loops) <= DEEP or len(body) > LONG or loops[-1].body != body:
        return s
    if not (all(x.independent for x in loops) or is_sum(body)):
        return s
    if not all(whole.steady(x.start) and whole.steady(x.stop) for x in loops):
        return s
    if not all(anywhere(e) for x in loops[1:] for e in (x.start, x.stop)):
        return s
    places = list(_places(body))
    now = tuple(range(len(loops)))
    cost = {p: _cost(places, [loops[k].var for k in p]) for p in permutations(now)}
    best = min(cost, key=lambda p: (cost[p], p))
    if cost[best][0] >= cost[now][0]:
        return s
    made = body
    for k in reversed(best):
        made = [replace(loops[k], body=made)]
    (out,) = made
    assert isinstance(out, For)
    return out


def is_sum(body: list[Stmt]) -> bool:
    """Whether iterations only add to a number, in an order that does not matter."""
    (s,) = body if len(body) == 1 else (None,)
    if not isinstance(s, Assign) or s.var.type not in FLOATS or not isinstance(s.value, Apply):
        return False
    sums = s.value.op == "add" and s.value.args[0] == Ref(s.var)
    return sums and Ref(s.var) not in set(leaves(s.value.args[1]))


def _places(body: list[Stmt]) -> Iterator[tuple[Sequence[Expr], int]]:
    """The indices of elements that are read (once) and written (they are fetched and put back)."""
    for s in body:
        for e in expressions(s):
            yield from ((x.index, 1) for x in dict.fromkeys(leaves(e)) if isinstance(x, Load))
        if isinstance(s, Store):
            yield s.index, 2


def _cost(places: list[tuple[Sequence[Expr], int]], loops: list[Scalar]) -> tuple[int, int]:
    """What the innermost loop does not walk along, and what the others walk out of turn."""
    inner = outer = 0
    for index, weight in places:
        axes = [_axis(index, v) for v in loops]
        if axes[-1] not in (None, len(index) - 1):
            inner += weight
        moving = [k for k in axes if k is not None]
        outer += weight * sum(k > later for n, k in enumerate(moving) for later in moving[n + 1 :])
    return inner, outer


def _axis(index: Sequence[Expr], v: Scalar) -> int | None:
    return next((k for k, e in enumerate(index) if affine(e).get(Ref(v))), None)
