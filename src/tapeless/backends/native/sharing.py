"""The loops of a nest that threads share, and sums over them in parts.

A loop whose iterations add to something is cut into chunks, each with its own sums, which are put together in
order.  How it is cut depends on how long it is, never on the number of threads: so results have the same bits
whatever that number is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.effort import work
from tapeless.backends.native.independence import JOINED, NEAR, Judge, Values, Verdict
from tapeless.backends.native.nest import (
    I64,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Function,
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
    const,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.renaming import Renaming
from tapeless.backends.native.saving import DTYPES, trip_count, volume
from tapeless.backends.native.scopes import look, names

#: A loop of so many statements in all is worth the threads.
WORTH = 100_000
#: A loop with sums is cut into so many chunks at most.
CHUNKS = 64
#: Arrays of sums have at most one element for so many statements, in all chunks together.
PER_ELEMENT = 8
#: Loops known to be shorter are not shared.
SHORT = 4
#: The variable of a loop that threads share -> whether it is worth them.
Regions = dict[Scalar, Expr]


def share(fn: Function) -> tuple[Function, Regions]:
    """The nest with its sums in parts, and the loops to be shared by threads."""
    sharer = Sharer(fn)
    body = sharer.body(fn.body, {root(r) for r in fn.results})
    return replace(fn, body=body), sharer.regions


class Sharer:
    def __init__(self, fn: Function) -> None:
        self.values, self.judge = Values(), Judge(fn)
        self.regions: Regions = {}
        #: in a loop that has a version in chunks already: there are not to be many versions of one statement
        self.chunked = False

    def body(self, body: list[Stmt], after: set[Name]) -> list[Stmt]:
        """A body with its loops shared; `after`: what is read when it has run."""
        later: list[set[Name]] = []
        for s in reversed(body):
            later.append(after)
            exposed, given = look([s], {})
            after = (after - given) | exposed
        out: list[Stmt] = []
        for s, live in zip(body, reversed(later), strict=True):
            out += self.stmt(s, live)
        return out

    def stmt(self, s: Stmt, after: set[Name]) -> list[Stmt]:
        if isinstance(s, For):
            return self.loop(s, after)
        if isinstance(s, While):
            around = after | look([s], {})[0] | look(s.body, {})[0] | look(s.test, {})[0]
            with self.values.inside(s, s.body):
                test = self.body(s.test, around | set(names(s.condition)))
                return [While(test, s.condition, self.body(s.body, around), line=s.line)]
        if isinstance(s, If):
            made = []
            for branch in (s.then, s.orelse):
                with self.values.inside(s, branch):
                    made.append(self.body(branch, after))
            return [If(s.condition, *made, line=s.line)]
        self.values.passed(s)
        return [s]

    def loop(self, s: For, after: set[Name]) -> list[Stmt]:
        made = self.judged(s, after)
        self.values.forget(walk(s.body))
        return made

    def judged(self, s: For, after: set[Name]) -> list[Stmt]:
        trips = trip_count(s.start, s.stop, s.step)
        small = isinstance(trips, Const) and trips.value < SHORT
        verdict = None if small else self.judge.judge(s, self.values, after)
        if verdict == Verdict():
            return [self.region(s, trips)]
        verdict = None if self.chunked else verdict
        if verdict is not None and not verdict.arrays:
            return Chunks(self, s, verdict, trips, s, False).made()
        around = after | look(s.body, {})[0]
        with self.values.inside(s, s.body):
            before, outside = len(self.regions), self.chunked
            self.chunked = outside or verdict is not None
            inner = self.body(s.body, around)
            self.chunked = outside
            clean = len(self.regions) > before
        serial = For(s.var, s.start, s.stop, inner, s.step, s.independent, line=s.line)
        if verdict is None:
            return [serial]
        return Chunks(self, s, verdict, trips, serial, clean).made()

    def region(self, s: For, trips: Expr) -> For:
        made = Renaming({s.var: Scalar(s.var.name, I64)}).stmt(s)
        assert isinstance(made, For)
        self.regions[made.var] = apply("gt", trips * work(s), WORTH)
        return made


class Chunks:
    """One loop with sums, in chunks."""

    def __init__(
        self, sharer: Sharer, loop: For, verdict: Verdict, trips: Expr, serial: For, clean: bool
    ) -> None:
        self.sharer, self.loop, self.verdict, self.serial = sharer, loop, verdict, serial
        self.trips, self.chunks = Scalar("trips", I64), Scalar("chunks", I64)
        one = work(loop)
        #: an iteration whose own loops are worth the threads is left to them
        limit: Expr = apply("lt", one, 4 * WORTH) if clean and verdict.arrays else const(True)
        total = Ref(self.trips) * one
        count = apply("minimum", Ref(self.trips) // (NEAR if verdict.near else 1), CHUNKS)
        for size in self.sizes():
            count = apply("minimum", count, total // apply("maximum", PER_ELEMENT * size, 1))
        self.before: list[Stmt] = [Assign(self.trips, trips), Assign(self.chunks, count)]
        enough = apply("all", apply("gt", total, WORTH), apply("gt", Ref(self.chunks), 1))
        self.worth = apply("all", enough, limit)

    def sizes(self) -> list[Expr]:
        return [volume(_shape(a)) for a in self.verdict.arrays]

    def made(self) -> list[Stmt]:
        first, c = Scalar("first", I64), Scalar("chunk", I64)
        out: list[Stmt] = [Assign(first, self.loop.start)]
        inside: list[Stmt] = []
        last: list[Stmt] = []
        after: list[Stmt] = []
        renamed: dict[Scalar | Array, Scalar | Array] = {}
        for var, op in self.verdict.scalars.items():
            own = renamed[var] = Scalar(f"{var.name}_part", var.type)
            parts = Array(f"{var.name}_parts", DTYPES[var.type], 1)
            out.append(Alloc(parts, (Ref(self.chunks),)))
            inside.append(Assign(own, const(JOINED[op][var.type], var.type)))
            last.append(Store(parts, (Ref(c),), Ref(own)))
            k = Scalar("chunk", I64)
            joined = Apply(op, (Ref(var), Load(parts, (Ref(k),))), var.type)
            after.append(For(k, ZERO, Ref(self.chunks), [Assign(var, joined)]))
        for a in self.verdict.arrays:
            self.array(a, c, renamed, out, inside, last, after)
        low = Ref(self.trips) * Ref(c) // Ref(self.chunks)
        high = Ref(self.trips) * (Ref(c) + ONE) // Ref(self.chunks)
        start, stop = Scalar("start", I64), Scalar("stop", I64)
        step, loop = self.loop.step, self.loop
        part = Renaming({**renamed, loop.var: Scalar(loop.var.name, I64)}).stmt(loop)
        assert isinstance(part, For)
        part.start, part.stop = Ref(start), Ref(stop)
        inside += [Assign(start, Ref(first) + low * step), Assign(stop, Ref(first) + high * step), part]
        out.append(self.shared(c, [*inside, *last]))
        return [*self.before, If(self.worth, [*out, *after], [self.serial], line=loop.line)]

    def shared(self, c: Scalar, body: list[Stmt]) -> Stmt:
        """The loop over chunks; if neighbours add to the same elements, every other one and then the rest."""
        if not self.verdict.near:
            self.sharer.regions[c] = const(True)
            return For(c, ZERO, Ref(self.chunks), body, line=self.loop.line)
        half, odd = Scalar("half", I64), Scalar("odd", I64)
        self.sharer.regions[half] = const(True)
        count = (Ref(self.chunks) + (ONE - Ref(odd))) // const(2)
        each = For(half, ZERO, count, [Assign(c, Ref(half) * 2 + Ref(odd)), *body], line=self.loop.line)
        return For(odd, ZERO, const(2), [each])

    def array(
        self,
        a: Array,
        c: Scalar,
        renamed: dict[Scalar | Array, Scalar | Array],
        out: list[Stmt],
        inside: list[Stmt],
        last: list[Stmt],
        after: list[Stmt],
    ) -> None:
        """An array with sums: every chunk has one, zero at first, and leaves it in a row of all."""
        shape = _shape(a)
        own = renamed[a] = Array(f"{a.name}_part", a.dtype, a.ndim)
        parts = Array(f"{a.name}_parts", a.dtype, a.ndim + 1)
        out.append(Alloc(parts, (Ref(self.chunks), *shape)))
        inside += [Alloc(own, shape), _elements(shape, lambda at: Store(own, at, const(0, a.element)))]
        last.append(_elements(shape, lambda at: Store(parts, (Ref(c), *at), Load(own, at))))
        k = Scalar("chunk", I64)
        row = _elements(shape, lambda at: Store(a, at, Load(parts, (Ref(k), *at)), add=True))
        after.append(For(k, ZERO, Ref(self.chunks), [row]))


def _shape(a: Array) -> tuple[Expr, ...]:
    return tuple(Dim(a, k) for k in range(a.ndim))


def _elements(shape: tuple[Expr, ...], make: Callable[[tuple[Expr, ...]], Stmt]) -> Stmt:
    """Loops over all elements of an array."""
    loops = [Scalar("ijklmn"[min(k, 5)], I64) for k in range(len(shape))]
    made = make(tuple(map(Ref, loops)))
    for i, n in zip(reversed(loops), reversed(shape), strict=True):
        made = For(i, ZERO, n, [made], independent=True)
    return made


# ---- what a function of its own needs of the one around


def captured(loop: For) -> list[Scalar | Array]:
    """The variables and arrays from outside that a shared loop uses."""
    used: list[Name] = []
    own: set[Name] = {loop.var}
    for s in walk(loop.body):
        used += _used(*expressions(s))
        if isinstance(s, (Alloc, Alias)):
            own.add(s.array)
            used += [s.array.alias] if s.array.alias is not None else []
        elif isinstance(s, (Assign, For)):
            own.add(s.var)
        elif isinstance(s, (Store, Grow)):
            used.append(s.array)
        elif isinstance(s, Swap):
            used += [s.a, s.b]
        elif isinstance(s, Intrinsic):
            for x in (*s.outs, *s.ins, *s.attrs.get("args", ())):
                if isinstance(x, Scalar):
                    own.add(x)
                elif isinstance(x, (Array, Expr)):
                    used += [x] if isinstance(x, Array) else _used(x)
    own -= {x for x in look(loop.body, {})[0] if isinstance(x, Scalar)}
    return [x for x in dict.fromkeys(used) if x not in own]


def _used(*es: Expr) -> list[Name]:
    found: list[Name] = []
    for e in es:
        for x in leaves(e):
            if isinstance(x, Ref):
                found.append(x.var)
            elif isinstance(x, (Dim, Load)):
                found.append(x.array)
    return found
