"""Iterations of an outer loop done four at a time inside the inner loop, which then touches memory less.

    for i in range(n):                  for i in range(0, n // 4 * 4, 4):
        for j in range(m):                  for j in range(m):
            t[j] += a[i] * b[i, j]              t[j] += a[i] * b[i, j]
                                                t[j] += a[i + 1] * b[i + 1, j]
                                                ...

It is done where the inner loop stores into elements that are the same ones for every `i`, and each keeps the
order of what is added to it.  Numbers that the inner loop adds to are four sums, added in the end.

An iteration's own rows are then walked four at a time.  To write four rows beside four that are read is
slower than one of each as long as they come from the last cache; where less is shared than makes up for that,
their size decides at run time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.fuse import with_bodies
from tapeless.backends.native.nest import (
    FLOATS,
    I64,
    TRUE,
    Alloc,
    Apply,
    Array,
    Assign,
    Comment,
    Const,
    Dim,
    Expr,
    For,
    Function,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    children,
    const,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.normalise import harmless
from tapeless.backends.native.promote import stable_definitions
from tapeless.backends.native.renaming import Renaming, map_leaves
from tapeless.backends.native.scopes import exposed, names, touched, written
from tapeless.backends.native.sweeps import Accesses, Loop

#: So many iterations at once; inner bodies of more statements are left alone.
TIMES, LONG = 4, 12
#: So many accesses to shared elements make up for each one to an iteration's own, of which some are written.
SHARED = 2
#: From so many elements of its own on a nest is in the last cache, and from so many in none.
NEAR, FAR = 2**18, 5 * 2**19


def jam(fn: Function) -> Function:
    """`fn` with iterations of outer loops done together; no two array parameters may share memory."""
    return replace(fn, body=_Jam(fn).body(fn.body)[0])


class _Jam:
    def __init__(self, fn: Function) -> None:
        self.definitions = stable_definitions(fn)
        self.params = set(fn.params)
        self.uses = Counter(_mentions(fn.body))
        self.uses.update(root(x) for x in (*fn.params, *fn.results))

    def body(self, body: list[Stmt]) -> tuple[list[Stmt], bool]:
        """A body with what can be done together in it, and whether anything was found: inner loops first."""
        out: list[Stmt] = []
        found = False
        for s in body:
            inner = [self.body(b) for b in children(s)]
            made = None
            if any(changed for _, changed in inner):
                found = True
            elif isinstance(s, For):
                made = self.loop(s)
                found = found or made is not None
            out += [with_bodies(s, [b for b, _ in inner])] if made is None else made
        return out, found

    def loop(self, outer: For) -> list[Stmt] | None:
        """The loop done `TIMES` iterations at once, and its rest; None if that cannot be, or does not pay."""
        inside = list(walk(outer.body))
        if outer.step != 1 or not any(isinstance(s, For) for s in inside):
            return None
        if not all(isinstance(s, (Assign, Store, If, For, Alloc, Comment)) for s in inside):
            return None
        trips = apply("sub", outer.stop, outer.start)
        if isinstance(trips, Const) and trips.value < 2 * TIMES:
            return None
        outer = replace(outer, body=self.bounds(outer.body))
        whole = Loop(outer)
        loops = [s for s in walk(outer.body) if isinstance(s, For)]
        if not all(s.step == 1 and whole.steady(s.start) and whole.steady(s.stop) for s in loops):
            return None
        if not whole.steady(outer.stop) or self.left(outer):
            return None
        bounds = [x for s in loops for e in (s.start, s.stop) for x in leaves(e)]
        if any(isinstance(x, Dim) and x.array.root in whole.made for x in bounds):
            return None
        own = _own(outer)
        adding = _adding(whole, loops)
        if not adding or own is None or not _legal(outer, whole):
            return None
        parts = [{v: Scalar(v.name, v.type) for v in _sums(outer, own)} for _ in range(TIMES - 1)]
        copies = [_copy(outer, own, k, table) for k, table in enumerate([*parts, {}])]
        before = [Assign(part, const(0, v.type)) for table in parts for v, part in table.items()]
        after = [Assign(v, Ref(v) + Ref(part)) for table in parts for v, part in table.items()]
        main = apply("mul", apply("floordiv", trips, const(TIMES)), const(TIMES))
        for path in adding:
            main = apply("select", self.cached(trips, path, whole), main, const(0))
        stop = apply("add", outer.start, apply("maximum", main, const(0)))
        counted = Scalar("jam_to", I64)
        jammed = replace(outer, stop=Ref(counted), step=TIMES, body=_together(copies))
        rest = replace(_fresh(outer), start=Ref(counted))
        return [Assign(counted, stop, line=outer.line), *before, jammed, *after, rest]

    def cached(self, trips: Expr, path: list[For], whole: Loop) -> Expr:
        """Whether rows that the last loop of a path writes for one iteration alone are no hindrance."""
        own, shared, written = _accesses(path[-1], whole.changed - {s.var for s in path})
        size: Expr = const(own)
        for n in (trips, *(apply("sub", s.stop, s.start) for s in path)):
            size = apply("mul", size, apply("maximum", self.spelled(n), const(0)))
        known = {x.array if isinstance(x, Dim) else x.var if isinstance(x, Ref) else x for x in leaves(size)}
        there = all(isinstance(x, Const) or x in self.params for x in known) and harmless(size)
        if not written or shared >= SHARED * own or not there:
            return TRUE
        return apply("any", apply("lt", size, const(NEAR)), apply("ge", size, const(FAR)))

    def left(self, outer: For) -> bool:
        """Whether something is used outside that the last iteration need not be the one to have set."""
        branches = [b for s in walk(outer.body) if isinstance(s, If) for b in children(s)]
        perhaps: set[Name] = {s.array for b in branches for s in walk(b) if isinstance(s, Alloc)}
        perhaps |= {s.var for b in branches for s in walk(b) if isinstance(s, Assign) and not _accumulates(s)}
        inside = Counter(_mentions(outer.body)) if perhaps else Counter()
        return any(self.uses[x] != inside[x] for x in perhaps)

    def bounds(self, body: list[Stmt]) -> list[Stmt]:
        """A body with the bounds of its loops spelled out."""
        out: list[Stmt] = []
        for s in body:
            made = with_bodies(s, [self.bounds(b) for b in children(s)])
            if isinstance(made, For):
                made = replace(made, start=self.spelled(made.start), stop=self.spelled(made.stop))
            out.append(made)
        return out

    def spelled(self, e: Expr) -> Expr:
        def change(x: Expr) -> Expr:
            known = isinstance(x, Ref) and x.var in self.definitions
            return self.spelled(self.definitions[x.var]) if known else x  # type: ignore[attr-defined]

        return map_leaves(e, change)


def _together(copies: list[list[Stmt]]) -> list[Stmt]:
    """Statement by statement, loops done together; in an innermost loop, iteration by iteration.

    There an iteration may read and write again the element that the one before it has left.
    """
    if not any(isinstance(s, For) for s in copies[0]):
        return [s for copy in copies for s in copy]
    out: list[Stmt] = []
    for same in zip(*copies, strict=True):
        first = same[0]
        if isinstance(first, For):
            bodies = [Renaming({s.var: first.var}).body(s.body) for s in same if isinstance(s, For)]
            out.append(replace(first, body=_together(bodies)))
        else:
            out += same
    return out


def _fresh(loop: For) -> For:
    made = Renaming({loop.var: Scalar(loop.var.name, I64)}).stmt(loop)
    assert isinstance(made, For)
    return made


def _legal(outer: For, whole: Loop) -> bool:
    """Whether iterations touch elements of their own, only add, or meet in one inner loop alone."""
    loops = [s for s in outer.body if isinstance(s, For)]
    inner = Loop(loops[0]) if len(loops) == 1 and not any(map(children, loops[0].body)) else None
    fresh = exposed(outer.body)
    for a, x in whole.arrays.items():
        if not (x.puts or x.adds) or whole.slope(x) is not None or (x.adds and not x.puts and not x.loads):
            continue
        if a in whole.made and a not in fresh and not any(b.alias is not None for b, _ in x.indices()):
            continue
        slope = inner.slope(inner.arrays[a]) if inner is not None and a in inner.arrays else None
        if inner is None or slope is None or _count(inner.arrays[a]) != _count(x):
            return False
        if not all(whole.steady(k) for k, _ in slope[2] if k is not None):
            return False
    return True


def _count(x: Accesses) -> int:
    return len(x.loads) + len(x.adds) + len(x.puts)


def _adding(whole: Loop, loops: list[For]) -> list[list[For]]:
    """The innermost loops that add to elements that all iterations of the outer one add to, if that pays."""
    others = whole.changed - {s.var for s in loops}
    innermost = [s for s in loops if not any(map(children, s.body))]
    if any(len(s.body) > LONG for s in innermost):
        return []
    found = [s for s in innermost if any(_common(x, s, others) for x in s.body)]
    return [[s for s in loops if any(x is inner for x in walk([s]))] for inner in found]


def _common(s: Stmt, loop: For, others: set[Name]) -> bool:
    """Whether a statement changes an element that moves with a loop, and does not depend on `others`."""
    again = isinstance(s, Store) and (s.add or Load(s.array, s.index) in leaves(s.value))
    used = {x for i in s.index for x in names(i)} if isinstance(s, Store) and again else set()
    return loop.var in used and used.isdisjoint(others)


def _accesses(loop: For, others: set[Name]) -> tuple[int, int, bool]:
    """How many elements move with a loop that depend on `others`, how many do not; are the former written?"""
    known: dict[tuple[Array, tuple[Expr, ...], bool], bool] = {}

    def access(array: Array, index: tuple[Expr, ...], write: bool) -> None:
        used = {x for i in index for x in names(i)}
        if loop.var in used and (write or (array.root, index, True) not in known):
            known[array.root, index, write] = not used.isdisjoint(others)

    for s in loop.body:
        for x in (x for e in expressions(s) for x in leaves(e)):
            if isinstance(x, Load):
                access(x.array, x.index, False)
        if isinstance(s, Store):
            if s.add:
                access(s.array, s.index, False)
            access(s.array, s.index, True)
    own = sum(known.values())
    return own, len(known) - own, any(mine and write for (_, _, write), mine in known.items())


def _own(outer: For) -> set[Scalar] | None:
    """Scalars that every iteration sets for itself; None if others hinder."""
    seen = exposed(outer.body)
    own: set[Scalar] = set()
    for x in written(outer.body):
        if isinstance(x, Scalar) and x not in seen:
            own.add(x)
    for s in walk(outer.body):
        if isinstance(s, Assign) and s.var not in own and not _accumulates(s):
            return None
    sums = {s.var for s in walk(outer.body) if isinstance(s, Assign)} - own
    read = [x.var for s in walk(outer.body) for e in expressions(s) for x in leaves(e) if isinstance(x, Ref)]
    counts = {v: sum(isinstance(s, Assign) and s.var is v for s in walk(outer.body)) for v in sums}
    return own if all(read.count(v) == n for v, n in counts.items()) else None


def _sums(outer: For, own: set[Scalar]) -> list[Scalar]:
    """Numbers that inner loops add to: iterations done together would wait for each other's."""
    inner = (x for s in outer.body if isinstance(s, For) for x in walk(s.body))
    given = (x.var for x in inner if isinstance(x, Assign))
    return list(dict.fromkeys(v for v in given if v.type in FLOATS and v not in own))


def _accumulates(s: Assign) -> bool:
    e = s.value
    return isinstance(e, Apply) and e.op in ("add", "sub", "any") and e.args[0] == Ref(s.var)


def _mentions(body: list[Stmt]) -> Iterator[Name]:
    return (x for s in walk(body) for x in touched(s))


def _copy(outer: For, own: set[Scalar], k: int, sums: Mapping[Scalar, Scalar]) -> list[Stmt]:
    """The body of an iteration, `k` after the first of those done together; the last one's names remain."""
    other = k != TIMES - 1
    table: dict[Scalar | Array, Scalar | Array] = {x: Scalar(x.name, x.type) for x in own} if other else {}
    for v, part in sums.items():
        table[v] = part
    for s in walk(outer.body):
        if isinstance(s, For):
            table[s.var] = Scalar(s.var.name, I64)
        elif isinstance(s, Alloc) and other:
            table[s.array] = Array(s.array.name, s.array.dtype, s.array.ndim)
    return _Iteration(table, outer.var, k).body(outer.body)


class _Iteration(Renaming):
    """Renames, and puts a later number in the place of the loop's."""

    def __init__(self, table: dict[Scalar | Array, Scalar | Array], var: Scalar, k: int) -> None:
        super().__init__(table)
        self.var, self.k = var, k

    def leaf(self, e: Expr) -> Expr:
        if e == Ref(self.var):
            return apply("add", e, const(self.k))
        return super().leaf(e)
