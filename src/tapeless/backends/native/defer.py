"""What several loops add to one array is added by the last of them, where that is little work to do there.

    for i in range(n):                      for i in range(n):
        s[i] += t[i + 1] * x[i + 1]             u[i] += t[i + 1] * x[i + 1]
        u[i] += t[i + 1] * x[i + 1]         for i in range(n):
    for i in range(n):                          s[i] += t[i + 1] * x[i + 1]
        s[i] += u[i + 1] * x[i + 1]             s[i] += u[i + 1] * x[i + 1]

What a program reads in several stages has a cotangent that each of them adds to; it passes through the cache
once, and stays as it is until then, which lets `delay` move what is made of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tapeless.backends.native.delay import Moving, Place, changed_in, places
from tapeless.backends.native.fuse import replaced, with_bodies
from tapeless.backends.native.nest import (
    Array,
    Assign,
    Expr,
    For,
    Function,
    Load,
    Scalar,
    Stmt,
    Store,
    children,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.scopes import names, written
from tapeless.backends.native.tidy import mentions

#: A loop with more different elements to read in an iteration than this gets no more of them.
MOST = 16


def defer(fn: Function) -> Function:
    """`fn` with additions made later; no two array parameters may share memory."""
    return replace(fn, body=_Defer(fn).body(fn.body))


class _Defer(Moving):
    def __init__(self, fn: Function) -> None:
        super().__init__(fn)
        self.uses = mentions(fn.body)
        self.uses.update(x.root if isinstance(x, Array) else x for x in fn.results)

    def body(self, body: list[Stmt]) -> list[Stmt]:
        out = [with_bodies(s, [self.body(b) for b in children(s)]) for s in body]
        for at in reversed(range(len(out))):
            groups: dict[tuple[Array, int], list[Place]] = {}
            for place in places(out[at], add=True):
                groups.setdefault((place.store.array, id(place.loops[-1])), []).append(place)
            for (array, _), group in groups.items():
                self.moved(out, at, array, group)
        return [s for s in out if not (isinstance(s, For) and not s.body)]

    def moved(self, out: list[Stmt], at: int, array: Array, group: list[Place]) -> None:
        """Moves the additions of a nest to one array into the nest that adds to it next, if that can be."""
        if self.stays(array) or self.mentioned(out[at], array) != 2 * len(group):
            return
        to = self.following(out, at, array)
        other = None if to is None else self.target(out[to], array)
        if to is None or other is None:
            return
        changed = written(out[at : to + 1])
        made: list[Stmt] = []
        for place in group:
            value = self.value(place)
            if value is None or {*names(value)} & changed:
                return
            found = self.there(place, other, value, changed)
            if found is None or found[1]:
                return
            made.append(found[0])
        first, second = out[at], changed_in(out[to], other.store, [*made, other.store])
        for place in group:
            first = changed_in(first, place.store, [])
        first = self.alive(out[at], first)
        before, after = (
            len(elements(x)) + len(elements(y)) for x, y in ((out[at], out[to]), (first, second))
        )
        if len(elements(second)) > MOST or after > before + 1:
            return
        for new, old in ((first, out[at]), (second, out[to])):
            self.uses.subtract(mentions([old]))
            self.uses.update(mentions([new]))
        out[at], out[to] = first, second

    def alive(self, before: Stmt, after: Stmt) -> Stmt:
        """A nest without what only its additions needed."""
        uses = Counter(self.uses)
        uses.subtract(mentions([before]))
        while True:
            count = mentions([after])
            dead = {
                s.var
                for s in walk([after])
                if isinstance(s, Assign) and count[s.var] == 1 and not uses[s.var]
            }
            if not dead:
                return after
            after = _without(after, dead)


def _without(nest: Stmt, dead: set[Scalar]) -> Stmt:
    """A nest without assignments inside it, and without loops in which nothing is left."""

    def change(s: Stmt) -> list[Stmt] | None:
        if isinstance(s, Assign) and s.var in dead:
            return []
        if not isinstance(s, For):
            return None
        inner = replaced(s.body, change)
        return [replace(s, body=inner)] if inner or s is nest else []

    (made,) = replaced([nest], change)
    return made


def elements(s: Stmt) -> set[Expr]:
    """The different elements that the iterations of a nest read."""
    found: set[Expr] = set()
    for x in walk([s]):
        found.update(y for e in expressions(x) for y in leaves(e) if isinstance(y, Load))
        if isinstance(x, Store) and x.add:
            found.add(Load(x.array, x.index))
    return found
