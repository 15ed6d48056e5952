"""Loops of the reverse sweep, made fit for vector units.

What a loop reads at `u[i - 1]` and `u[i + 1]`, its reversal adds to: iterations then write what others write,
and must run one after the other.  Here additions move out of the way of the loop:

- to an element that stays the same: into a scalar, added once after the loop;
- at several distances from the loop's variable: into rows beside, which a loop of its own adds afterwards;
  one row for all multiples of a variable.

Loops whose iterations may run in any order count upwards, and are marked where no two touch one element.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from tapeless.backends.native.activity import Name
from tapeless.backends.native.affine import Affine, affine, expression
from tapeless.backends.native.collected import collected
from tapeless.backends.native.nest import (
    FLOATS,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Comment,
    Const,
    Expr,
    For,
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
from tapeless.backends.native.renaming import substituted
from tapeless.backends.native.saving import trip_count
from tapeless.backends.native.scopes import exposed, reads, writes, written

#: A loop known to be shorter than this stays as it is.
_SHORT = 8
#: An index as a multiple of the loop's variable and the rest, on one axis.
Rest = frozenset[tuple[Expr | None, int]]
Slope = tuple[int, int, Rest]
#: An addition: the axis that moves with the loop, what else is in its index, the distance, the other indices.
Moved = tuple[int, Rest, int, tuple[Expr, ...]]


@dataclass(eq=False)
class Accesses:
    """How a loop's body uses one array."""

    loads: list[Load] = field(default_factory=list)
    adds: list[Store] = field(default_factory=list)
    puts: list[Store] = field(default_factory=list)

    def indices(self) -> Iterator[tuple[Array, tuple[Expr, ...]]]:
        found: list[Load | Store] = [*self.loads, *self.adds, *self.puts]
        for x in found:
            yield x.array, x.index


class Sweep:
    """Rewrites the loops of a body; `whole` is everything around it, `results` what is read in the end.

    Statements in `ready` (by id) are fit as they are.
    """

    def __init__(
        self, whole: Iterable[Stmt], results: Iterable[Name], ready: Container[int] = frozenset()
    ) -> None:
        self.ready = ready
        self.uses = Counter(_mentions(whole))
        self.uses.update(x for x in results if isinstance(x, Scalar))
        self.rows: set[Array] = set()

    def body(self, body: list[Stmt]) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            if id(s) in self.ready:
                out.append(s)
                continue
            if isinstance(s, For):
                out += self.loop(s)
                continue
            if isinstance(s, If):
                s = If(s.condition, self.body(s.then), self.body(s.orelse), line=s.line)
            out.append(s)
        return out

    def loop(self, s: For) -> list[Stmt]:
        s = For(s.var, s.start, s.stop, self.body(s.body), s.step, s.independent, line=s.line)
        before, after = self.changed(s, Loop(s).sum_up)
        loop = Loop(s)
        if loop.any_order(self.uses):
            loop.upwards()
            moved, added = self.changed(s, loop.spread)
            before += moved
            self.rows.update(x.array for x in moved if isinstance(x, Alloc))
            after = [*added, *after]
            s.independent = s.independent or Loop(s).distinct(self.uses)
        whole = Loop(s)
        rows = [
            x
            for x in s.body
            if isinstance(x, Alloc) and x.array in self.rows and all(map(whole.steady, x.shape))
        ]
        s.body = [x for x in s.body if not any(x is row for row in rows)]
        return [*rows, *before, s, *after]

    def changed(
        self, s: For, change: Callable[[], tuple[list[Stmt], list[Stmt]]]
    ) -> tuple[list[Stmt], list[Stmt]]:
        """Runs a change of the loop, and counts anew."""
        self.uses.subtract(_mentions([s]))
        before, after = change()
        self.uses.update(_mentions([*before, s, *after]))
        return before, after


def _mentions(body: Iterable[Stmt]) -> Iterator[Scalar]:
    """Every place where a scalar is read or given a value."""
    for s in walk(list(body)):
        for e in expressions(s):
            yield from (x.var for x in leaves(e) if isinstance(x, Ref))
        if isinstance(s, Assign):
            yield s.var


class Loop:
    """What is known of one loop."""

    def __init__(self, loop: For) -> None:
        self.loop = loop
        self.changed: set[Name] = {*written(loop.body), loop.var}
        self.changed |= {s.var for s in walk(loop.body) if isinstance(s, For)}
        self.arrays: dict[Array, Accesses] = {}
        self.plain = True
        self.made: set[Array] = set()
        #: arrays that are read, written or exchanged as a whole
        self.whole: set[Name] = set()
        self.assigned: dict[Scalar, list[Assign]] = {}
        for s in walk(loop.body):
            for e in expressions(s):
                for x in leaves(e):
                    if isinstance(x, Load):
                        self.of(x.array).loads.append(x)
            if isinstance(s, Store):
                accesses = self.of(s.array)
                (accesses.adds if s.add else accesses.puts).append(s)
            elif isinstance(s, Assign):
                self.assigned.setdefault(s.var, []).append(s)
            elif isinstance(s, Alloc):
                self.made.add(s.array)
            elif not isinstance(s, (For, If, Alias, Comment)):
                self.plain = False
                self.whole |= {*reads(s), *writes(s)}

    def of(self, a: Array) -> Accesses:
        return self.arrays.setdefault(a.root, Accesses())

    def steady(self, e: Expr) -> bool:
        """Whether an expression has the same value in every iteration."""
        for x in leaves(e):
            if (isinstance(x, Ref) and x.var in self.changed) or (
                isinstance(x, Load) and x.array.root in self.changed
            ):
                return False
        return True

    # ---- the order of iterations

    def any_order(self, uses: Counter[Scalar]) -> bool:
        """Whether the iterations may run in any order, but for rounding in sums."""
        if not self.plain or any(s.alias is not None or s.root is not s for s in self.made):
            return False
        if not self.own_scalars(uses):
            return False
        mixed = [(x, a) for x, a in self.arrays.items() if a.puts or (a.adds and a.loads)]
        return all((x in self.made and self.inside(x)) or self.slope(a) is not None for x, a in mixed)

    @cached_property
    def exposed(self) -> set[Name]:
        """Names that an iteration may read before it gives them a value."""
        return exposed(self.loop.body)

    def inside(self, a: Array) -> bool:
        """Whether an array gets its storage in every iteration, before all else happens to it."""
        return a not in self.exposed

    def own_scalars(self, uses: Counter[Scalar]) -> bool:
        """Whether what an iteration assigns stays inside it, but for sums over iterations."""
        mine: Counter[Scalar] | None = None
        for var, assigns in self.assigned.items():
            mine = Counter(_mentions(self.loop.body)) if mine is None else mine
            if mine[var] == 2 * len(assigns) and all(map(_adds, assigns)):
                continue
            if var in self.exposed or mine[var] != uses[var]:
                return False
        return True

    def slope(self, a: Accesses) -> Slope | None:
        """The axis along which every access of an array moves with the loop, each iteration at its place."""
        common: set[Slope] | None = None
        arrays = {array for array, _ in a.indices()}
        if len(arrays) != 1:
            return None
        for _, index in a.indices():
            found = {m for k, e in enumerate(index) if (m := self.moves(k, e)) is not None}
            common = found if common is None else common & found
        return min(common, key=lambda m: m[0]) if common else None

    def moves(self, axis: int, e: Expr) -> Slope | None:
        parts: Affine = dict(affine(e))
        by = parts.pop(Ref(self.loop.var), 0)
        if by == 0 or not all(k is None or self.steady(k) for k in parts):
            return None
        return axis, by, frozenset(parts.items())

    def distinct(self, uses: Counter[Scalar]) -> bool:
        """Whether no iteration touches what another one writes."""
        if not self.plain or self.made or not self.own_scalars(uses):
            return False
        return all(self.slope(a) is not None for a in self.arrays.values() if a.puts or a.adds)

    def upwards(self) -> None:
        s = self.loop
        if s.step == -1:
            s.start, s.stop, s.step = s.stop + ONE, s.start + ONE, 1

    # ---- sums into one element

    def sum_up(self) -> tuple[list[Stmt], list[Stmt]]:
        """Additions to elements that stay the same go to scalars: what to do before and after the loop."""
        sums: dict[tuple[Array, tuple[Expr, ...]], Scalar] = {}

        def change(body: list[Stmt]) -> list[Stmt]:
            out: list[Stmt] = []
            for s in body:
                if isinstance(s, If):
                    s = If(s.condition, change(s.then), change(s.orelse), line=s.line)
                elif (
                    isinstance(s, Store)
                    and s.add
                    and self.only_added(s.array)
                    and all(map(self.steady, s.index))
                ):
                    key = (s.array, s.index)
                    if key not in sums:
                        sums[key] = Scalar(f"{s.array.name}_sum", s.array.element)
                    s = Assign(sums[key], Ref(sums[key]) + s.value, line=s.line)
                out.append(s)
            return out

        self.loop.body = change(self.loop.body)
        before: list[Stmt] = [Assign(var, const(0, var.type)) for var in sums.values()]
        after: list[Stmt] = [Store(a, index, Ref(var), add=True) for (a, index), var in sums.items()]
        s = self.loop
        some = apply("lt" if s.step > 0 else "gt", s.start, s.stop)  # else the index may be out of range
        if after and not isinstance(some, Const):
            after = [If(some, after)]
        return before, after if some != const(False) else []

    def only_added(self, a: Array) -> bool:
        used = self.of(a)
        apart = a.root not in self.made and a.root not in self.whole
        return apart and not used.loads and not used.puts and a.element in FLOATS

    # ---- additions at several distances

    def spread(self) -> tuple[list[Stmt], list[Stmt]]:
        """Additions that other iterations make too go through rows: what to do before and after the loop."""
        s = self.loop
        before: list[Stmt] = []
        after: list[Stmt] = []
        trips = trip_count(s.start, s.stop, s.step)
        short = isinstance(trips, Const) and trips.value < _SHORT
        if s.step != 1 or short or any(children(x) for x in s.body):
            return before, after
        rows = Rows(self, trips)
        for a, used in list(self.arrays.items()):
            if used.adds and self.only_added(a):
                rows.move(used.adds)
        return rows.before, rows.after


def _adds(s: Assign) -> bool:
    """`x = x + e`, or `x = x - e`."""
    e = s.value
    if not isinstance(e, Apply) or e.op not in ("add", "sub") or e.type not in FLOATS:
        return False
    return e.args[0] == Ref(s.var) or (e.op == "add" and e.args[1] == Ref(s.var))


class Rows:
    """Rows beside a loop: what an iteration would add elsewhere waits there at the iteration's number."""

    def __init__(self, loop: Loop, trips: Expr) -> None:
        self.loop, self.trips = loop, trips
        self.before: list[Stmt] = []
        self.after: list[Stmt] = []
        self.rows: dict[Scalar, Array] = {}

    def move(self, adds: list[Store]) -> None:
        """Moves additions to one array out of the loop, unless all are at one distance already."""
        places = [(s, place) for s in adds if (place := self.place(s)) is not None]
        if len(places) != len(adds) or len({axis for _, (axis, _, _, _) in places}) > 1:
            return  # along rows and along columns: no vectors of neighbours in one of them
        kept = Counter((axis, rest, at) for _, (axis, rest, at, _) in places)
        if len(kept) < 2:
            return
        most = max(kept, key=lambda k: kept[k])
        if self.together(places, most):
            return
        groups: dict[tuple[Array, int, Rest, tuple[Expr, ...]], dict[int, list[Expr]]] = {}
        bases: dict[Rest, Expr] = {}
        for s, (axis, rest, at, others) in places:
            if (axis, rest, at) != most:
                parts = affine(s.index[axis])
                bases.setdefault(rest, expression({k: c for k, c in parts.items() if k in dict(rest)}))
                waiting = groups.setdefault((s.array, axis, rest, others), {}).setdefault(at, [])
                waiting.append(self.wait(s))
        for s, (axis, rest, at, others) in places:  # what waits already is added with the others
            row = (s.array, axis, rest, others)
            if (axis, rest, at) == most and row in groups:
                if isinstance(s.value, Ref) and s.value.var in self.rows:
                    groups[row].setdefault(at, []).append(self.wait(s))
        for (array, axis, rest, others), found in groups.items():
            self.add(array, axis, bases[rest], others, found)

    def together(self, places: list[tuple[Store, Moved]], most: tuple[int, Rest, int]) -> bool:
        """Moves all additions if they are multiples of few variables: a row for each of these.

        They are not more than what would wait without that, and the array is added to in one loop.
        """
        shares = [self.share(s.value) for s, _ in places]
        given = {x[0] for x in shares if x is not None}
        waiting = {s.value for s, place in places if place[:3] != most and not self.loop.steady(s.value)}
        same = {(s.array, axis, rest, others) for s, (axis, rest, _, others) in places}
        if None in shares or len(given) > len(waiting) or len(same) > 1:
            return False
        found: dict[int, list[Expr]] = {}
        for (s, (_, _, at, _)), share in zip(places, shares, strict=True):
            assert share is not None
            var, times = share
            found.setdefault(at, []).append(apply("mul", self.wait(replace(s, value=Ref(var)), s), times))
        ((array, axis, rest, others),) = same
        parts = affine(places[0][0].index[axis])
        base = expression({k: c for k, c in parts.items() if k in dict(rest)})
        self.add(array, axis, base, others, found)
        return True

    def share(self, e: Expr) -> tuple[Scalar, Expr] | None:
        """A variable that the loop assigns once, and what does not change in it, whose product is `e`."""
        if isinstance(e, Ref) and len(self.loop.assigned.get(e.var, ())) == 1:
            return e.var, const(1, e.type)
        if isinstance(e, Apply) and e.op == "neg":
            inner = self.share(e.args[0])
            return None if inner is None else (inner[0], apply("neg", inner[1]))
        if isinstance(e, Apply) and e.op == "mul":
            for a, b in (e.args, e.args[::-1]):
                inner = self.share(a) if self.loop.steady(b) else None
                if inner is not None:
                    return inner[0], apply("mul", inner[1], b)
        return None

    def place(self, s: Store) -> Moved | None:
        """The axis that moves with the loop, what else is in its index, the distance, the other indices."""
        moving = [(k, m) for k, e in enumerate(s.index) if (m := self.loop.moves(k, e)) is not None]
        others = tuple(ZERO if moving and k == moving[0][0] else e for k, e in enumerate(s.index))
        if len(moving) != 1 or moving[0][1][1] != 1 or not all(map(self.loop.steady, others)):
            return None
        k, (_, _, rest) = moving[0]
        parts = dict(rest)
        at = parts.pop(None, 0)
        return k, frozenset(parts.items()), at, others

    def wait(self, s: Store, place: Store | None = None) -> Expr:
        """The row in which the value of an addition waits, as a load at the loop's variable."""
        loop = self.loop.loop
        number = Ref(loop.var) - loop.start
        e = s.value
        body = loop.body
        at = next(k for k, x in enumerate(body) if x is (place or s))
        if self.loop.steady(e):
            del body[at]
            return e
        var = e.var if isinstance(e, Ref) else None
        if var is not None and var in self.rows:
            del body[at]
            return Load(self.rows[var], (number,))
        row = Array(f"{s.array.name}_row", s.array.dtype, 1)
        self.before.append(Alloc(row, (self.trips,)))
        body[at] = Store(row, (number,), e, line=s.line)
        if var is not None and len(self.loop.assigned.get(var, ())) == 1:
            self.rows[var] = row
        return Load(row, (number,))

    def add(
        self,
        array: Array,
        axis: int,
        base: Expr,
        others: tuple[Expr, ...],
        found: dict[int, list[Expr]],
    ) -> None:
        """Loops that add what waits: one where every distance has something to add, and the ends."""
        loop = self.loop.loop
        k = Scalar(loop.var.name, loop.var.type)

        def at(e: Expr, i: Expr) -> Expr:
            """What waits at the iteration `i`."""
            return substituted(e, {loop.var: i})

        def store(target: Expr, terms: list[Expr]) -> Stmt:
            total = collected(terms, lambda e: not any(isinstance(x, Load) for x in leaves(e)))
            index = tuple(target + base if n == axis else e for n, e in enumerate(others))
            return Store(array, index, total, add=True)

        def one(target: Expr, i: Expr, distance: int) -> Stmt:
            return store(target, [at(e, i) for e in found[distance]])

        def loops(start: Expr, stop: Expr, distances: Iterable[int]) -> Stmt:
            terms = [at(e, Ref(k) - d) for d in distances for e in found[d]]
            return For(k, start, stop, [store(Ref(k), terms)], independent=True)

        low, high = loop.start, loop.stop
        if len(found) == 1:
            (d,) = found
            self.after.append(loops(low + d, high + d, found))
            return
        first, last = max(found), min(found)
        ends: list[Stmt] = []
        for d in found:
            ends += [one(low + (d + q), low + q, d) for q in range(first - d)]
            ends += [one(high + (d - q), high - q, d) for q in range(1, d - last + 1)]
        all_at_once = [loops(low + first, high + last, sorted(found)), *ends]
        few = [one(Ref(k) + d, Ref(k), d) for d in found]
        long = apply("gt", self.trips, first - last)
        self.after.append(If(long, all_at_once, [For(k, low, high, few)]))
