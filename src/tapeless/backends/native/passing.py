"""Arrays of which each iteration of a loop uses one row, its own, become that row.

    t = empty(n, m)                     t = empty(m)
    for i in range(n):                  for i in range(n):
        for j in range(m):                  for j in range(m):
            t[i, j] = f(i, j)                   t[j] = f(i, j)
        for j in range(m - 1):              for j in range(m - 1):
            b[i, j] = t[i, j + 1]               b[i, j] = t[j + 1]

Once outer loops have become one, what inner loops make for each other stays in the cache.  The loop runs once
for each time that the array gets its storage, so what an iteration reads it has set itself.
"""

from __future__ import annotations

from dataclasses import replace

from tapeless.backends.native.fuse import replaced
from tapeless.backends.native.nest import (
    Alloc,
    Array,
    Dim,
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
from tapeless.backends.native.rewrite import change_body, change_expr
from tapeless.backends.native.scopes import names, touched


def passing(fn: Function) -> Function:
    """`fn` with such arrays as rows; its loops run one after the other."""
    found = _Rows(fn)
    rows = {a: Array(f"{a.name}_row", a.dtype, a.ndim - 1) for a in found.loops if a not in found.others}
    if not rows:
        return fn
    return replace(fn, body=_body(fn.body, rows, {found.loops[a].var for a in rows}))


class _Rows:
    """The loop of which each iteration uses one row of an array, and the arrays for which there is none."""

    def __init__(self, fn: Function) -> None:
        self.others = {x.root for x in (*fn.params, *fn.results) if isinstance(x, Array)}
        self.homes: dict[Array, int] = {}
        self.loops: dict[Array, For] = {}
        self.look(fn.body, {})

    def look(self, body: list[Stmt], around: dict[int, For]) -> None:
        """`around`: the loops around a body, by the bodies in which they stand."""
        for s in body:
            if isinstance(s, Alloc):
                if s.array in self.homes or s.array.ndim < 2 or s.array.alias is not None:
                    self.others.add(s.array.root)
                self.homes[s.array] = id(body)
            for e in expressions(s):
                for x in leaves(e):
                    if isinstance(x, Load):
                        self.use(x, around)
                    elif isinstance(x, Dim):
                        self.others.add(x.array.root)
            if isinstance(s, Store):
                self.use(s, around)
            elif not isinstance(s, Alloc):
                whole = {x for x in touched(s) if isinstance(x, Array)}
                self.others |= whole - {x for e in expressions(s) for x in names(e)}
            for inner in children(s):
                self.look(inner, {**around, id(body): s} if isinstance(s, For) else around)

    def use(self, x: Load | Store, around: dict[int, For]) -> None:
        loop = around.get(self.homes.get(x.array, 0))
        inside = loop is not None and self.loops.setdefault(x.array, loop) is loop
        if loop is None or not inside or not x.index or x.index[0] != Ref(loop.var):
            self.others.add(x.array.root)


def _body(body: list[Stmt], rows: dict[Array, Array], loops: set[Scalar]) -> list[Stmt]:
    def change(e: Expr) -> Expr | None:
        if isinstance(e, Load) and e.array in rows:
            return Load(rows[e.array], tuple(change_expr(i, change) for i in e.index[1:]))
        return None

    def shorter(s: Stmt) -> list[Stmt] | None:
        if isinstance(s, Alloc) and s.array in rows:
            return [Alloc(rows[s.array], s.shape[1:], line=s.line)]
        if isinstance(s, Store) and s.array in rows:
            return [replace(s, array=rows[s.array], index=s.index[1:])]
        if isinstance(s, For) and s.var in loops:
            return [replace(s, body=replaced(s.body, shorter), independent=False)]
        return None

    return replaced(change_body(body, change), shorter)
