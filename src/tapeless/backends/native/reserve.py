"""Room for all that a loop saves, taken before it begins: a stack that doubles copies what it holds.

    for k in range(n):                  total = 0
        for j in range(k + 1, n):       for k in range(n):
            save m values                   total += max(n - (k + 1), 0)*m

How much an iteration saves changes with the loop's variable here, so the loop has no frame; a loop without
its work adds it up.
"""

from __future__ import annotations

import numpy as np

from tapeless.backends.native.activity import Name
from tapeless.backends.native.nest import (
    I64,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Expr,
    For,
    Grow,
    Ref,
    Scalar,
    Stmt,
    Swap,
    apply,
    children,
    walk,
)
from tapeless.backends.native.saving import KINDS, Layout, Steady, Tape, volume
from tapeless.backends.native.scopes import written


def reserve(loop: For, layout: Layout, tape: Tape, most: int | None = None) -> list[Stmt]:
    """Room for what `loop` saves, or `most` bytes of a kind; nothing if that is not known before it runs."""
    count = _Count(loop, layout)
    made = count.loop(loop)
    if made is None:
        return []
    begin: list[Stmt] = [Assign(total, ZERO) for total in count.totals.values()]
    out = [*begin, made]
    for kind, total in count.totals.items():
        size = np.dtype(KINDS[kind]).itemsize
        out += tape.room(kind, Ref(total) if most is None else apply("minimum", Ref(total), most // size))
    return out


class _Count:
    def __init__(self, loop: For, layout: Layout) -> None:
        self.changed: set[Name] = written(loop.body) | {s.var for s in walk([loop]) if isinstance(s, For)}
        steady = Steady(layout.steady.definitions, {*layout.steady.growing, *_resized(loop)})
        self.layout = Layout(layout.sites, steady)
        self.totals: dict[str, Scalar] = {}

    def loop(self, s: For) -> Stmt | None:
        """The loop that adds up what `s` saves."""
        start, stop = (self.layout.steady.of(e, self.changed) for e in (s.start, s.stop))
        if start is None or stop is None:
            return None
        self.changed.discard(s.var)
        body = self.body(s.body)
        self.changed.add(s.var)
        return None if body is None else For(s.var, start, stop, body, s.step, line=s.line)

    def body(self, body: list[Stmt]) -> list[Stmt] | None:
        sites = self.layout.sites
        out: list[Stmt] = []
        found = [site for s in body for site in sites.at.get(id(s), ())]
        for site in [*found, *sites.end.get(id(body), ())]:
            shape = [self.layout.steady.of(n, self.changed) for n in site.shape or ()]
            if None in shape:
                return None
            self.add(site.kind, volume([n for n in shape if n is not None]), out)
        for s in body:
            if not any(sites.inside(b) for b in children(s)):
                continue
            if not isinstance(s, For):
                return None  # a branch may rarely be taken, and save much
            made: list[Stmt] = []
            frame = self.layout.sized(s, self.changed, made)
            if frame is not None:
                for kind, total in frame.total.items():
                    self.add(kind, total, made)
            elif (inner := self.loop(s)) is not None:
                made = [inner]
            else:
                return None
            out += made
        return out

    def add(self, kind: str, size: Expr, out: list[Stmt]) -> None:
        total = self.totals.setdefault(kind, Scalar("total", I64))
        out.append(Assign(total, Ref(total) + size))


def _resized(loop: For) -> set[Array]:
    """The arrays that have other lengths in a loop than before it, or may have."""
    found: set[Array] = set()
    for s in walk(loop.body):
        if isinstance(s, (Alloc, Alias, Grow)):
            found.add(s.array.root)
        elif isinstance(s, Swap):
            found |= {s.a.root, s.b.root}
    return found
