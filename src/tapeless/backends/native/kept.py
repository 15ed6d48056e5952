"""Arrays of one iteration that are kept: the rows of one array that has them all, made before the loop.

    for i in range(n):                          for i in range(n):
        t = f(x)                                    ts[i] = f(x)
        saved[i*m : (i + 1)*m] = t

The forward sweep then computes them where they are kept, and the reverse sweep reads them there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from tapeless.backends.native.activity import Name
from tapeless.backends.native.fuse import with_bodies
from tapeless.backends.native.nest import (
    ZERO,
    Alloc,
    Array,
    Const,
    Dim,
    Expr,
    For,
    Grow,
    Intrinsic,
    Load,
    Ref,
    Stmt,
    Store,
    Swap,
    apply,
    children,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.plan import Plan
from tapeless.backends.native.rewrite import change_body, change_expr
from tapeless.backends.native.saving import Site, trip_count
from tapeless.backends.native.scopes import touched, written


@dataclass(eq=False)
class Rows:
    """An array with a row for each iteration of `loop`, and its shape."""

    array: Array
    loop: For
    shape: tuple[Expr, ...]


class Kept:
    """The kept arrays of a plan that become rows; their sites are taken out of it."""

    def __init__(self, plan: Plan, barred: Collection[Name]) -> None:
        self.plan = plan
        scopes, needed = plan.scopes, plan.needed
        self.rows: dict[Array, Rows] = {}
        barred = {*barred, *(x for _, x in needed.saved), *(a.root for a in scopes.aliases)}
        barred |= _whole(y for code in (scopes.top.body, *needed.adjoints.values()) for y in walk(code))
        for s in walk(scopes.top.body):
            if not isinstance(s, For) or scopes.block_of[id(s)].loops or s.start != ZERO or s.step != 1:
                continue
            sites = plan.sites.end.get(id(s.body), [])
            found = [x for x in sites if self._rows(s, x, barred)]
            if found:
                plan.sites.end[id(s.body)] = [x for x in sites if x not in found]

    def _rows(self, loop: For, site: Site, barred: Collection[Name]) -> bool:
        a, plan = site.what, self.plan
        if not isinstance(a, Array) or site.shape is None or a in barred:
            return False
        if all(isinstance(n, Const) for n in site.shape) or plan.layout.frame(loop) is None:
            return False
        made = plan.scopes.allocs.get(a, [])
        if len(made) != 1 or plan.scopes.block_of[id(made[0])].body is not loop.body:
            return False
        changed = written(loop.body) | {s.var for s in walk([loop]) if isinstance(s, For)}
        shape = [plan.layout.steady.of(n, changed) for n in site.shape]
        if any(n is None for n in shape):
            return False
        lengths = [
            n if isinstance(n, (Const, Dim)) else apply("maximum", n, 0) for n in shape if n is not None
        ]
        self.rows[a] = Rows(Array(f"{a.name}s", a.dtype, a.ndim + 1), loop, tuple(lengths))
        return True

    def room(self, loop: For) -> list[Stmt]:
        """Storage for the rows of a loop, before it."""
        trips = trip_count(loop.start, loop.stop, loop.step)
        return [Alloc(r.array, (trips, *r.shape)) for r in self.rows.values() if r.loop is loop]

    def body(self, body: list[Stmt]) -> list[Stmt]:
        """A body with the rows in the place of the arrays."""
        return self._stores(change_body(body, self._read)) if self.rows else body

    def _read(self, e: Expr) -> Expr | None:
        r = self.rows.get(e.array) if isinstance(e, Load) else None
        if r is None or not isinstance(e, Load):
            return None
        return Load(r.array, (Ref(r.loop.var), *(change_expr(i, self._read) for i in e.index)))

    def _stores(self, body: list[Stmt]) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            if isinstance(s, Alloc) and s.array in self.rows:
                continue
            r = self.rows.get(s.array) if isinstance(s, Store) else None
            if isinstance(s, Store) and r is not None:
                s = replace(s, array=r.array, index=(Ref(r.loop.var), *s.index))
            out.append(with_bodies(s, [self._stores(b) for b in children(s)]) if children(s) else s)
        return out


def _whole(body: Iterable[Stmt]) -> set[Name]:
    """The arrays that are used otherwise than element by element."""
    found: set[Name] = set()
    for s in body:
        found.update(x.array.root for e in expressions(s) for x in leaves(e) if isinstance(x, Dim))
        if isinstance(s, (Intrinsic, Swap, Grow)):
            found.update(x.root for x in touched(s) if isinstance(x, Array))
    return found
