"""Long loops that save an unknown number of values keep the last of them only, and run again for the others.

Where what is saved no longer stays in the cache, a loop writes down the scalars that it carries, and its
stacks begin anew.  The reverse sweep takes the pieces last to first: a piece that is not on the stacks runs
once more, from what was written down.  So memory is bounded, and a step costs the same however many there
are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from tapeless.backends.native.activity import Name
from tapeless.backends.native.intrinsics import EFFECTS
from tapeless.backends.native.nest import (
    I64,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Expr,
    For,
    Grow,
    If,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    apply,
    walk,
)
from tapeless.backends.native.renaming import Renaming
from tapeless.backends.native.saving import DTYPES, Stack, trip_count
from tapeless.backends.native.scopes import aliases, exposed, written

#: So many bytes may be on the stacks before a piece begins, at the next iteration.
LIMIT = 1 << 24


def carried(loop: For, saving: list[Stmt], after: Iterable[Stmt]) -> list[Scalar] | None:
    """The scalars that iterations hand on; None if the loop cannot run again from those alone.

    `saving` is the loop's body with its saves: these read what the body itself only gives another value.
    """
    changed, needed = written(loop.body), exposed(saving) & (exposed(loop.body) | written(loop.body))
    inside = list(walk(loop.body))
    if any(isinstance(s, Intrinsic) and s.name in EFFECTS for s in inside):
        return None
    if any(isinstance(s, (Alias, Swap)) or any(True for _ in aliases(s)) for s in inside):
        return None
    if (needed - changed) & written(after):
        return None
    found = sorted(changed & needed, key=lambda x: x.name)
    scalars = [x for x in found if isinstance(x, Scalar)]
    return scalars if len(scalars) == len(found) else None


class Pieces:
    """The pieces of one loop: `body` runs forward and saves to `stacks`."""

    def __init__(self, loop: For, carried: list[Scalar], body: list[Stmt], stacks: Iterable[Stack]) -> None:
        self.loop, self.carried, self.body, self.stacks = loop, carried, body, list(stacks)
        self.bases = [Scalar("base", I64) for _ in self.stacks]
        self.count, self.room = Scalar("pieces", I64), Scalar("pieces_size", I64)
        self.columns = {x: Array(f"{x.name}_then", DTYPES[x.type], 1) for x in [loop.var, *carried]}

    def forward(self) -> list[Stmt]:
        """The loop, forward."""
        s, out = self.loop, list[Stmt]()
        out += [Assign(base, Ref(k.top)) for base, k in zip(self.bases, self.stacks, strict=True)]
        out += [Alloc(column, (ZERO,)) for column in self.columns.values()]
        out += [Assign(self.count, ZERO), Assign(self.room, ZERO)]
        saved: Expr = ZERO
        for base, k in zip(self.bases, self.stacks, strict=True):
            saved = saved + (Ref(k.top) - Ref(base)) * np.dtype(k.array.dtype).itemsize
        begins = apply("any", apply("eq", Ref(self.count), ZERO), apply("gt", saved, LIMIT))
        return [
            *out,
            For(s.var, s.start, s.stop, [If(begins, self.begin()), *self.body], s.step, line=s.line),
        ]

    def begin(self) -> list[Stmt]:
        """A piece begins: the stacks are empty."""
        room = apply("maximum", Ref(self.room) * 2, 16)
        grown: list[Stmt] = [Assign(self.room, room)]
        grown += [Grow(column, Ref(self.room)) for column in self.columns.values()]
        out: list[Stmt] = [If(apply("ge", Ref(self.count), Ref(self.room)), grown)]
        out += [Store(column, (Ref(self.count),), Ref(x)) for x, column in self.columns.items()]
        out += [Assign(k.top, Ref(base)) for base, k in zip(self.bases, self.stacks, strict=True)]
        return [*out, Assign(self.count, Ref(self.count) + ONE)]

    def backward(self, body: list[Stmt]) -> list[Stmt]:
        """The loop, reversed piece by piece; `body` reverses one iteration."""
        s, piece = self.loop, Scalar("piece", I64)
        first, end = Scalar("first", I64), Scalar("end", I64)
        begin = {x: Load(self.columns[x], (Ref(piece),)) for x in self.carried}
        kept = {x for k in self.stacks for x in (k.array, k.top, k.capacity)}
        again = once_more(s, (Ref(first), Ref(end)), self.body, begin, kept)
        out: list[Stmt] = [Assign(first, Load(self.columns[s.var], (Ref(piece),)))]
        out.append(If(apply("lt", Ref(piece), Ref(self.count) - ONE), again))
        out.append(turned(s, (Ref(first), Ref(end)), body))
        out.append(Assign(end, Ref(first)))
        return [Assign(end, s.stop), For(piece, Ref(self.count) - ONE, ZERO - ONE, out, -1)]


def once_more(
    loop: For, ends: tuple[Expr, Expr], body: list[Stmt], begin: Mapping[Scalar, Expr], kept: set[Name]
) -> list[Stmt]:
    """Some iterations run again from the values in `begin`, in variables of their own but for `kept`."""
    changed: set[Name] = written(body) | {x.var for x in walk(body) if isinstance(x, For)} | {loop.var}
    names: dict[Name, Name] = {}
    for x in sorted(changed - kept, key=lambda x: x.name):
        names[x] = Scalar(x.name, x.type) if isinstance(x, Scalar) else Array(x.name, x.dtype, x.ndim)
    renaming = Renaming(names)
    out: list[Stmt] = [Assign(renaming.name(x), value) for x, value in begin.items()]
    return [*out, For(renaming.name(loop.var), *ends, renaming.body(body), loop.step, line=loop.line)]


def turned(loop: For, ends: tuple[Expr, Expr], body: list[Stmt]) -> For:
    """Some iterations the other way round."""
    first, end = ends
    last = first + (trip_count(first, end, loop.step) - 1) * loop.step
    return For(loop.var, last, first - (1 if loop.step > 0 else -1), body, -loop.step, line=loop.line)
