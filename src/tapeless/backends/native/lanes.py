"""Vector mode: code that is linear in some seeds, run for several of them at once.

What depends on the seeds gets a last axis, one lane for each seed; what does not is computed once for all.
Runs of statements that depend on them become one loop over the lanes, where scalars that only the run uses
stay scalars.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tapeless.backends.native.activity import Activity, Name
from tapeless.backends.native.nest import (
    I64,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Dim,
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
    While,
    apply,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.renaming import Renaming, map_leaves
from tapeless.backends.native.saving import DTYPES
from tapeless.backends.native.scopes import reads, writes


class Lanes:
    """`body` for `count` values of each of `seeds` at once; `results` are read afterwards."""

    def __init__(self, body: list[Stmt], seeds: Sequence[Name], results: Iterable[Name], count: Expr) -> None:
        self.count = count
        self.active = Activity(body, seeds, None)
        self.arrays: dict[Name, Array] = {}
        self.grown = {s.array.root for s in walk(body) if isinstance(s, Grow)}
        self.uses = _mentions(body) + Counter(results) + Counter(seeds)
        made = self.block(body)
        allocs = [
            Alloc(a, (count,))
            for x, a in self.arrays.items()
            if isinstance(x, Scalar) and x not in set(seeds)
        ]
        self.body: list[Stmt] = [*allocs, *made]

    def lanes(self, x: Name) -> Array:
        """The array that has all lanes of `x`: of an array that grows, those of an element side by side."""
        if x not in self.arrays:
            if isinstance(x, Scalar):
                self.arrays[x] = Array(x.name, DTYPES[x.type], 1)
            else:
                alias = None if x.alias is None else self.lanes(x.alias)
                more = x.root not in self.grown
                self.arrays[x] = Array(x.name, x.dtype, x.ndim + more, alias=alias)
        return self.arrays[x]

    def result(self, x: Name) -> Array | None:
        """All lanes of a result; None if it does not depend on the seeds."""
        return self.lanes(x) if x in self.active else None

    # ---- statements

    def block(self, body: list[Stmt]) -> list[Stmt]:
        out: list[Stmt] = []
        run: list[Stmt] = []
        for s in body:
            if (
                isinstance(s, (Assign, Store))
                and (s.var if isinstance(s, Assign) else s.array) in self.active
            ):
                run.append(s)
                continue
            if run and (self.linear(s) or _disturbs(s, run)):
                self.flush(run, out)
            out += self.stmt(s)
        self.flush(run, out)
        return out

    def linear(self, s: Stmt) -> bool:
        return any(x in self.active for inner in walk([s]) for x in writes(inner)) or isinstance(s, Alias)

    def stmt(self, s: Stmt) -> list[Stmt]:
        if isinstance(s, For):
            start, stop = self.outer(s.start), self.outer(s.stop)
            return [For(s.var, start, stop, self.block(s.body), s.step, s.independent, line=s.line)]
        if isinstance(s, While):
            return [While(self.block(s.test), self.outer(s.condition), self.block(s.body), line=s.line)]
        if isinstance(s, If):
            return [If(self.outer(s.condition), self.block(s.then), self.block(s.orelse), line=s.line)]
        if not self.linear(s) or (isinstance(s, Alias) and s.array not in self.active):
            return Renaming({}).body([self.lengths(s)])
        if isinstance(s, (Alloc, Alias)):
            array, shape = self.lanes(s.array), tuple(self.outer(n) for n in s.shape)
            if s.array.root in self.grown:
                (size,) = shape
                full: tuple[Expr, ...] = (size * self.count,)
            else:
                full = (*shape, self.count)
            return [Alloc(array, full) if isinstance(s, Alloc) else Alias(array, full)]
        if isinstance(s, Grow):
            return [Grow(self.lanes(s.array), self.outer(s.size) * self.count)]
        if isinstance(s, Swap):
            return [Swap(self.lanes(s.a), self.lanes(s.b))]
        assert isinstance(s, Intrinsic), s
        return self.intrinsic(s)

    def lengths(self, s: Stmt) -> Stmt:
        """A statement that does not depend on the seeds, but perhaps on the length of what does."""
        table: dict[Name, Name] = {}
        for e in expressions(s):
            for leaf in leaves(e):
                if isinstance(leaf, Dim) and leaf.array in self.active:
                    table[leaf.array] = self.lanes(leaf.array)
        return Renaming(table).stmt(s) if table else s

    def outer(self, e: Expr) -> Expr:
        """An expression outside the lanes."""

        def change(x: Expr) -> Expr:
            if isinstance(x, Dim) and x.array in self.active:
                array = self.lanes(x.array)
                if x.array.root in self.grown:
                    return apply("floordiv", Dim(array, 0), self.count)
                return Dim(array, x.axis)
            return x

        return map_leaves(e, change)

    def flush(self, run: list[Stmt], out: list[Stmt]) -> None:
        """A run of statements as one loop over the lanes."""
        if not run:
            return
        lane = Scalar("lane", I64)
        inside = _mentions(run)
        local: set[Scalar] = set()
        known: set[Scalar] = set()
        for s in run:
            refs = {x.var for e in expressions(s) for x in leaves(e) if isinstance(x, Ref)}
            known |= refs
            if isinstance(s, Assign):
                if s.var not in known and inside[s.var] == self.uses[s.var]:
                    local.add(s.var)
                known.add(s.var)
        body = [self.in_lane(s, Ref(lane), local) for s in run]
        out.append(For(lane, ZERO, self.count, body, independent=True, lanes=True, line=run[0].line))
        run.clear()

    def in_lane(self, s: Stmt, lane: Expr, local: set[Scalar]) -> Stmt:
        def change(x: Expr) -> Expr:
            if isinstance(x, Ref) and x.var in self.active and x.var not in local:
                return Load(self.lanes(x.var), (lane,))
            if isinstance(x, Load) and x.array in self.active:
                return Load(self.lanes(x.array), self.index(x.array, x.index, lane))
            return self.outer(x) if isinstance(x, Dim) else x

        if isinstance(s, Assign):
            value = map_leaves(s.value, change)
            if s.var in local:
                return Assign(s.var, value, line=s.line)
            return Store(self.lanes(s.var), (lane,), value, line=s.line)
        assert isinstance(s, Store)
        at = tuple(map_leaves(i, change) for i in s.index)
        where = self.index(s.array, at, lane)
        return Store(self.lanes(s.array), where, map_leaves(s.value, change), s.add, line=s.line)

    def index(self, a: Array, index: tuple[Expr, ...], lane: Expr) -> tuple[Expr, ...]:
        if a.root in self.grown:
            return (index[0] * self.count + lane,)
        return (*index, lane)

    def intrinsic(self, s: Intrinsic) -> list[Stmt]:
        """An operation on whole arrays, lane by lane, on copies of the lanes."""
        lane = Scalar("lane", I64)
        table: dict[Name, Name] = {}
        before: list[Stmt] = []
        after: list[Stmt] = []
        for x in dict.fromkeys([*s.ins, *s.outs]):
            if isinstance(x, Array) and x in self.active:
                own = Array(x.name, x.dtype, x.ndim)
                table[x] = own
                full = self.lanes(x)
                shape = tuple(Dim(full, k) for k in range(x.ndim))
                before.append(Alloc(own, shape))
                before += _copied(shape, own, full, lane, into=True)
                if x in s.outs:
                    after += _copied(shape, own, full, lane, into=False)
            elif isinstance(x, Scalar) and x in self.active:
                number = table[x] = Scalar(x.name, x.type)
                after.append(Store(self.lanes(x), (Ref(lane),), Ref(number)))
        ins: list[Array | Expr] = []
        for y in s.ins:
            ins.append(Renaming(table).name(y) if isinstance(y, Array) else self.in_expr(y, Ref(lane)))
        outs = tuple(Renaming(table).name(x) for x in s.outs)
        made = Intrinsic(s.name, outs, tuple(ins), dict(s.attrs), line=s.line)
        return [For(lane, ZERO, self.count, [*before, made, *after], line=s.line)]

    def in_expr(self, e: Expr, lane: Expr) -> Expr:
        made = self.in_lane(Assign(Scalar("t", e.type), e), lane, set())
        assert isinstance(made, (Assign, Store))
        return made.value


def _copied(shape: tuple[Expr, ...], own: Array, full: Array, lane: Scalar, into: bool) -> list[Stmt]:
    loops = [Scalar("ijklmn"[min(k, 5)], I64) for k in range(len(shape))]
    index = tuple(Ref(i) for i in loops)
    at = (*index, Ref(lane))
    body: list[Stmt] = [Store(own, index, Load(full, at)) if into else Store(full, at, Load(own, index))]
    for i, n in zip(reversed(loops), reversed(shape), strict=True):
        body = [For(i, ZERO, n, body, independent=True)]
    return body


def _mentions(body: list[Stmt]) -> Counter[Name]:
    """How often each scalar is read or assigned."""
    found: Counter[Name] = Counter()
    for s in walk(body):
        for e in expressions(s):
            found.update(x.var for x in leaves(e) if isinstance(x, Ref))
        if isinstance(s, Assign):
            found[s.var] += 1
        elif isinstance(s, Intrinsic):
            found.update(x for x in s.outs if isinstance(x, Scalar))
    return found


def _disturbs(s: Stmt, run: list[Stmt]) -> bool:
    """Whether `s` changes what statements before it read (so that it may not come before them)."""
    needed = {x for r in run for x in reads(r)}
    return any(x in needed for inner in walk([s]) for x in writes(inner))
