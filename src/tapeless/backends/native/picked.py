"""Rows of an array that are only taken apart afterwards are taken apart where they are made.

    for i in range(n):                      for i in range(n):
        for lane in range(16):                  for lane in range(16):
            y[i, lane] = f(i, lane)                 row[lane] = f(i, lane)
    for i in range(n):                          take(i, row)
        take(i, y[i])

So it is with the entries of a sparse Jacobian: its sums by colours, 16 numbers a row, stay near.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tapeless.backends.native.fuse import replaced, with_bodies
from tapeless.backends.native.nest import (
    ZERO,
    Alloc,
    Array,
    Const,
    Expr,
    For,
    Ref,
    Stmt,
    Store,
    children,
    const,
    walk,
)
from tapeless.backends.native.scopes import names, touched, written

#: The code for a row: its index, and the array that holds it.
Take = Callable[[tuple[Expr, ...], Array], list[Stmt]]
#: What has to be done where the array would be given storage: its lengths without the last.
Ready = Callable[[tuple[Expr, ...]], list[Stmt]]


def picked(body: list[Stmt], rows: Array, width: int, ready: Ready, take: Take) -> list[Stmt] | None:
    """`body` with rows of `rows` taken as they are made; None if it does anything else with them.

    Rows are along the last axis, of `width` elements.  A row that is made twice is taken twice.
    """
    allocs = [s for s in walk(body) if isinstance(s, Alloc) and s.array is rows]
    if len(allocs) != 1:
        return None
    first = ready(allocs[0].shape[:-1])
    made = _Picking(rows, width, take)
    out = made.body(body)
    if sum(x is rows for s in walk(body) for x in touched(s)) != 1 + made.stores:
        return None
    own: list[Stmt] = [Alloc(row, (const(width),)) for row in made.buffers]
    return replaced(out, lambda s: [*own, *first] if s is allocs[0] else None)


class _Picking:
    def __init__(self, rows: Array, width: int, take: Take) -> None:
        self.rows, self.width, self.take = rows, width, take
        self.buffers: list[Array] = []
        self.stores = 0

    def body(self, body: list[Stmt]) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            taken: list[Stmt] = []
            if isinstance(s, For):
                s, taken = self.loop(s)
            if not taken and children(s):
                before = self.stores
                s = with_bodies(s, [self.body(inner) for inner in children(s)])
                if isinstance(s, For) and self.stores > before:
                    s.independent = False  # iterations share the row
            out += [s, *taken]
        return out

    def loop(self, s: For) -> tuple[For, list[Stmt]]:
        """A loop along rows, and what takes these."""
        if (s.start, s.step) != (ZERO, 1) or not isinstance(s.stop, Const) or s.stop.value != self.width:
            return s, []
        changed = {s.var, *written(s.body)}
        inner: list[Stmt] = []
        taken: list[Stmt] = []
        for x in s.body:
            if isinstance(x, Store) and x.array is self.rows and not x.add:
                *index, last = x.index
                if last == Ref(s.var) and not changed & {y for e in index for y in names(e)}:
                    row = Array("row", self.rows.dtype, 1)
                    inner += [replace(x, array=row, index=(Ref(s.var),))]
                    taken += self.take(tuple(index), row)
                    self.buffers.append(row)
                    self.stores += 1
                    continue
            inner.append(x)
        return (replace(s, body=inner), taken) if taken else (s, [])
