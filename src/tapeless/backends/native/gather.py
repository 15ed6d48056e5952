"""Sums of a reverse sweep taken where they go to, rather than where they come from.

    for i in range(n):                  for i in range(2, n):
        ct = c * u_bar[i + 1]               v_bar[i] += c * (u_bar[i + 1] + u_bar[i] + u_bar[i - 1])
        u_bar[i + 1] = 0                and both ends;
        v_bar[i] += ct                  for i in range(n):
        v_bar[i + 1] += ct                  u_bar[i + 1] = 0
        v_bar[i + 2] += ct

What a stencil reads at several distances, its reversal adds to, and would load and store each element for
each of them.  Here an element is stored once.  Zeros put there before are no pass of their own then: the
first sum is an assignment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from tapeless.backends.native.activity import Name
from tapeless.backends.native.affine import Affine, affine, expression, plus
from tapeless.backends.native.gathered import Gather
from tapeless.backends.native.needed import COSTLY
from tapeless.backends.native.nest import (
    I64,
    Apply,
    Array,
    Assign,
    Const,
    Expr,
    For,
    Function,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.perfect import Axis, Distance, Values, anywhere, axis_of, perfect, place
from tapeless.backends.native.promote import stable_definitions
from tapeless.backends.native.renaming import clone, map_leaves, substituted
from tapeless.backends.native.scopes import names, touched, written
from tapeless.backends.native.sweeps import Loop
from tapeless.backends.native.tidy import is_zero, mentions

#: A loop known to be shorter stays as it is, and so does one with sums at more distances.
SHORT, MOST = 8, 16
#: How many operations one element may take, for each distance.
WORK = 10
#: A division or a square root is so many operations; elementary functions are not computed again.
SLOW = 8
#: So many elements at each end of a row are set one by one.
ENDS = 4


@dataclass(eq=False)
class Box:
    """A nest that sets a box of an array to 0: the first and one beyond the last index of each axis."""

    array: Array
    low: list[Affine]
    high: list[Affine]


class Gathering:
    """Rewrites nests of a reverse sweep; `fn` is all that it is part of."""

    def __init__(self, fn: Function) -> None:
        self.definitions = stable_definitions(fn)
        self.uses = mentions(fn.body)
        self.uses.update(x.root if isinstance(x, Array) else x for x in fn.results)
        #: statements made here -> what they are made of
        self.made: dict[int, tuple[Stmt, Gather]] = {}

    def body(self, body: list[Stmt]) -> list[Stmt]:
        return self.without_zeros(self.rewritten(body))

    def rewritten(self, body: list[Stmt]) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            if isinstance(s, If):
                s = If(s.condition, self.body(s.then), self.body(s.orelse), line=s.line)
            elif isinstance(s, For):
                made = self.split(s)
                if made is not None:
                    out += made
                    continue
                inner = self.rewritten(s.body)
                inner, after = self.turned(s, inner, out)
                s = replace(s, body=self.without_zeros(inner))
                out += [s, *after]
                continue
            out.append(s)
        return out

    # ---- one nest

    def split(self, s: For) -> list[Stmt] | None:
        """The sums of a nest that are worth it, each as a nest, and what is left of it."""
        nest = perfect(s)
        if nest is None:
            return None
        loops, body = nest
        axes = [axis_of(x) for x in loops]
        inner = affine(axes[-1].high - axes[-1].low)
        if set(inner) <= {None} and inner.get(None, 0) < SHORT:
            return None
        loop = Loop(s)
        if not all(loop.steady(e) for a in axes for e in (a.low, a.high)):
            return None
        if not all(anywhere(e) for a in axes[1:] for e in (a.low, a.high)):
            return None
        values = Values(loop, [a.var for a in axes], body)
        found = [g for a in list(loop.arrays) if (g := self.gather(a, axes, loop, values, body))]
        if not found:
            return None
        arrays = {g.array for g in found}
        out: list[Stmt] = []
        for g in found:
            made = g.code()
            made.line = s.line
            self.made[id(made)] = made, g
            out.append(made)
        left = self.left(s, arrays)
        return out if left is None else [*out, left]

    def left(self, s: For, arrays: set[Array]) -> For | None:
        """A nest without its sums into `arrays`, and without what only they needed."""
        mine = mentions([s])
        (rest,) = clone([s])
        assert isinstance(rest, For)
        _drop(rest, lambda x: isinstance(x, Store) and x.array in arrays)
        while True:
            read = {
                x.var for y in walk([rest]) for e in expressions(y) for x in leaves(e) if isinstance(x, Ref)
            }
            dead = {
                x.var
                for x in walk([rest])
                if isinstance(x, Assign) and x.var not in read and mine[x.var] == self.uses[x.var]
            }
            if not dead:
                break
            _drop(rest, lambda x: isinstance(x, Assign) and x.var in dead)  # noqa: B023
        return rest if any(isinstance(x, (Store, Assign)) for x in walk([rest])) else None

    def gather(
        self, a: Array, axes: list[Axis], loop: Loop, values: Values, body: list[Stmt]
    ) -> Gather | None:
        """The sums of a nest into one array, if an element is better stored once."""
        used = loop.of(a)
        if not used.adds or not loop.only_added(a) or any(s.array is not a for s in used.adds):
            return None
        index: tuple[Expr, ...] | None = None
        along: list[int] = []
        terms: dict[Distance, Expr] = {}
        for s in used.adds:
            at = place(s.index, axes, loop)
            value = values.at(s)
            if at is None or value is None or (index is not None and at[:2] != (index, along)):
                return None
            index, along, d = at
            terms[d] = terms[d] + value if d in terms else value
        assert index is not None
        made = Gather(a, index, axes, along, terms)
        return made if 2 <= len(terms) <= MOST and _worth(made, loop) else None

    # ---- zeros

    def without_zeros(self, body: list[Stmt]) -> list[Stmt]:
        """Sums into elements that have just been set to 0 set them instead."""
        out: list[Stmt] = []
        for s in body:
            known = self.made.get(id(s))
            if known is None:
                out.append(s)
                continue
            _, g = known
            at = _last(out, g.array)
            clear = None if at is None else self.covered(out[at], g)
            if at is not None and clear is not None and not _bounds([out[at], s]) & written(out[at + 1 :]):
                del out[at]
                g = replace(g, clear=clear)
                made = g.code()
                made.line = s.line
                self.made[id(made)] = made, g
                s = made
            out.append(s)
        return out

    def covered(self, s: Stmt, g: Gather) -> list[tuple[int, int]] | None:
        """Where the box that `s` clears begins and ends, if it has all elements that get every term."""
        box = self.box(s)
        if box is None or box.array is not g.array:
            return None
        found: list[tuple[int, int]] = []
        for k, axis in enumerate(g.axes):
            moving = g.index[g.along[k]]
            ends = [self.plain(substituted(moving, {axis.var: e})) for e in (axis.low, axis.high)]
            low = plus(box.low[g.along[k]], ends[0], -1)
            high = plus(box.high[g.along[k]], ends[1], -1)
            if not (set(low) <= {None} and set(high) <= {None}):
                return None
            found.append((low.get(None, 0), high.get(None, 0)))
            least, most = g.reach(k)
            if found[-1][0] > most or found[-1][1] < least:
                return None
            if k == len(g.axes) - 1 and max(most - found[-1][0], found[-1][1] - least) > ENDS:
                return None
        for k, e in enumerate(g.index):
            if k not in g.along:
                at = self.plain(e)
                if box.low[k] != at or plus(at, {None: 1}) != box.high[k]:
                    return None
        return found

    def turned(self, s: For, inner: list[Stmt], before: list[Stmt]) -> tuple[list[Stmt], list[Stmt]]:
        """Zeros at the end of an iteration come before the sums of the next one, if they do at the start.

        What has to be set to 0 after the loop comes second.
        """
        after: list[Stmt] = []
        loop = Loop(s)
        for x in list(inner):
            box = self.box(x)
            if box is None or x is not inner[_last(inner, box.array) or 0]:
                continue
            first = next(k for k, y in enumerate(inner) if box.array.root in set(touched_in(y)))
            known = self.made.get(id(inner[first]))
            at = _last(before, box.array)
            if known is None or at is None or self.covered(x, known[1]) is None:
                continue
            bounds = _bounds([x, before[at]])
            if bounds & {s.var, *loop.changed} or bounds & written(before[at + 1 :]):
                continue
            if self.within(box, self.box(before[at])):
                inner = [y for y in inner if y is not x]
                inner.insert(first, x)
                after += clone([x])
        return inner, after

    @staticmethod
    def within(a: Box, b: Box | None) -> bool:
        if b is None or b.array is not a.array:
            return False
        ends = [
            *(plus(x, y, -1) for x, y in zip(a.low, b.low, strict=True)),
            *(plus(y, x, -1) for x, y in zip(a.high, b.high, strict=True)),
        ]
        return all(set(e) <= {None} and e.get(None, 0) >= 0 for e in ends)

    def box(self, s: Stmt) -> Box | None:
        """What a nest sets to 0, if that is all it does."""
        nest = perfect(s) if isinstance(s, For) else None
        if nest is None:
            return None
        loops, body = nest
        (store,) = body if len(body) == 1 else (None,)
        if not isinstance(store, Store) or store.add or not is_zero(store.value):
            return None
        axes = [axis_of(x) for x in loops]
        loop = Loop(loops[0])
        if not all(loop.steady(e) for a in axes for e in (a.low, a.high)):
            return None
        at = place(store.index, axes, loop)
        if at is None:
            return None
        index, along, d = at
        low, high = [], []
        for k, e in enumerate(index):
            if k in along:
                n = along.index(k)
                low.append(plus(self.plain(substituted(e, {axes[n].var: axes[n].low})), {None: d[n]}))
                high.append(plus(self.plain(substituted(e, {axes[n].var: axes[n].high})), {None: d[n]}))
            else:
                low.append(self.plain(e))
                high.append(plus(self.plain(e), {None: 1}))
        return Box(store.array, low, high)

    def plain(self, e: Expr) -> Affine:
        """An integer in terms that equal ones share."""

        def change(x: Expr) -> Expr:
            if isinstance(x, Ref) and x.var in self.definitions and x.var.type == I64:
                return expression(self.plain(self.definitions[x.var]))
            return x

        return affine(map_leaves(e, change))


def _worth(g: Gather, loop: Loop) -> bool:
    """Whether it is little work to compute the terms of an element where it is."""
    at = [Ref(Scalar(a.var.name, I64)) for a in g.axes]
    terms = [g.term(d, at) for d in g.terms]
    loads: set[Expr] = set()
    done: set[Expr] = set()

    def look(e: Expr) -> None:
        if isinstance(e, Load):
            loads.add(e)
        elif (
            isinstance(e, Apply)
            and e not in done
            and not all(isinstance(x, (Ref, Const)) and x not in at for x in leaves(e))
        ):
            done.add(e)
            for x in e.args:
                look(x)

    for e in terms:
        look(e)
    ops = [e.op for e in done if isinstance(e, Apply)]
    if any(op in COSTLY for op in ops):
        return False
    work = sum(SLOW if op in ("div", "sqrt") else 1 for op in ops)
    # where they come from, sums load and store at each distance, and pass through rows along the inner loop
    near = Counter(d[-1] for d in g.terms)
    before = 2 * len(terms) + len(terms) - max(near.values())
    return len(loads) + 2 <= before and work <= WORK * len(terms)


def _bounds(body: list[Stmt]) -> set[Name]:
    """What the bounds of loops and the places of stores are made from."""
    own = {s.var for s in walk(body) if isinstance(s, For)}
    found: set[Name] = set()
    for s in walk(body):
        if isinstance(s, For):
            found.update(x for e in (s.start, s.stop) for x in names(e))
        elif isinstance(s, Store):
            found.update(x for e in s.index for x in names(e))
    return found - own


def _drop(s: For, gone: object) -> None:
    assert callable(gone)
    for x in walk([s]):
        if isinstance(x, For):
            x.body[:] = [y for y in x.body if not gone(y) and not (isinstance(y, For) and not y.body)]


def touched_in(s: Stmt) -> Iterable[Name]:
    return (x for y in walk([s]) for x in touched(y))


def _last(body: list[Stmt], a: Array) -> int | None:
    """The last statement that uses the memory of an array."""
    return next((k for k in range(len(body) - 1, -1, -1) if a.root in set(touched_in(body[k]))), None)
