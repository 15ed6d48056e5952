"""Zeros that a nest adds to are set where it adds first: they are no pass over memory of their own.

    for i in range(n):                  for j in range(m):
        for j in range(m):                  a[0, j] = 0
            a[i, j] = 0                 for i in range(n - 1):
    for i in range(n - 1):                  for j in range(m):
        for j in range(m):                      a[i + 1, j] = 0 + x[i, j]
            a[i + 1, j] += x[i, j]              a[i, j] += -x[i, j]
            a[i, j] += -x[i, j]

Loops that count upwards come first to an element by the largest index; what they do not come to by that one,
a few rows at the rim, is set to zero before.  The reversal of a stencil begins so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tapeless.backends.native.affine import Affine, plus, simplify
from tapeless.backends.native.fuse import replaced, with_bodies
from tapeless.backends.native.gather import Gathering
from tapeless.backends.native.nest import (
    FLOATS,
    Array,
    Expr,
    For,
    Function,
    Ref,
    Stmt,
    Store,
    apply,
    children,
    const,
    leaves,
    walk,
)
from tapeless.backends.native.perfect import Axis, anywhere, axis_of, place
from tapeless.backends.native.renaming import clone, substituted
from tapeless.backends.native.scopes import names, touched, written
from tapeless.backends.native.sweeps import Loop

#: So many rows at a rim are set to zero by themselves, and so far apart may the two nests stand.
RIM, NEAR = 8, 60


def start(fn: Function) -> Function:
    """`fn` with zeros set where they are first added to; no two array parameters may share memory."""
    return replace(fn, body=_Start(fn).body(fn.body))


@dataclass(eq=False)
class Zeros:
    """A nest that sets a box to zero: its loops are axes of the array, in order; others stay at one index."""

    store: Store
    loops: list[For]

    def rim(self, widths: Sequence[tuple[int, int]]) -> list[Stmt]:
        """The nests that set the outermost rows, on each axis so many below and above."""
        out: list[Stmt] = []
        for k, (below, above) in enumerate(widths):
            low, high = self.loops[k].start, self.loops[k].stop
            ends = [(low, apply("minimum", low + below, high))] if below else []
            ends += [(apply("maximum", high - above, low), high)] if above else []
            for end in ends:
                inside = [
                    (s.start + b, s.stop - a) for s, (b, a) in zip(self.loops, widths[:k], strict=False)
                ]
                outside = [(s.start, s.stop) for s in self.loops[k + 1 :]]
                out.append(self.nest([*inside, end, *outside]))
        return out

    def nest(self, bounds: Sequence[tuple[Expr, Expr]]) -> Stmt:
        (made,) = clone([self.loops[0]])
        s: Stmt = made
        for low, high in bounds:
            assert isinstance(s, For)
            s.start, s.stop = low, high
            (s,) = s.body
        return made


class _Start:
    def __init__(self, fn: Function) -> None:
        self.gathering = Gathering(fn)
        self.theirs = {p for p in fn.params if isinstance(p, Array)}

    def body(self, body: list[Stmt]) -> list[Stmt]:
        out = [with_bodies(s, [self.body(b) for b in children(s)]) for s in body]
        for s in list(out):
            zeros = self.zeros(s)
            made = None if zeros is None else self.moved(out, s, zeros)
            if made is not None:
                out = made
        return out

    def zeros(self, s: Stmt) -> Zeros | None:
        """What a nest sets to zero, if its loops are axes of the array, in order."""
        box = self.gathering.box(s)
        if box is None or box.array.alias is not None or box.array in self.theirs:
            return None
        loops: list[For] = []
        inner: Stmt = s
        while isinstance(inner, For) and len(inner.body) == 1 and inner.step == 1:
            loops.append(inner)
            (inner,) = inner.body
        if not isinstance(inner, Store) or inner.array.element not in FLOATS:
            return None
        own = {Ref(x.var) for x in loops}
        moving = [e for e in inner.index if own & set(leaves(e))]
        return Zeros(inner, loops) if moving == [Ref(x.var) for x in loops] else None

    def moved(self, body: list[Stmt], first: Stmt, zeros: Zeros) -> list[Stmt] | None:
        """A body in which the nest that uses the array next starts it, if it can."""
        a = zeros.store.array
        at = next(k for k, s in enumerate(body) if s is first)
        after = range(at + 1, min(at + NEAR, len(body)))
        to = next((k for k in after if any(a is x for s in walk([body[k]]) for x in touched(s))), None)
        if to is None:
            return None
        made_of = [*zeros.store.index, *(e for s in zeros.loops for e in (s.start, s.stop))]
        bounds = {x for e in made_of for x in names(e)} - {s.var for s in zeros.loops}
        found = None if bounds & written(body[at:to]) else self.first(body[to], zeros)
        if found is None:
            return None
        store, widths = found
        return [*body[:at], *zeros.rim(widths), *body[at + 1 : to], _set(body[to], store), *body[to + 1 :]]

    def first(self, s: Stmt, zeros: Zeros) -> tuple[Store, list[tuple[int, int]]] | None:
        """The addition that comes first to most elements, and the rows at the rim where it does not."""
        a, loops = zeros.store.array, list[For]()
        while True:
            if not isinstance(s, For) or abs(s.step) != 1:
                return None
            loops.append(s)
            inside = [x for x in s.body if any(a is y for z in walk([x]) for y in touched(z))]
            stores = [x for x in inside if isinstance(x, Store)]
            if len(stores) == len(inside):
                break
            if len(inside) > 1:
                return None
            (s,) = inside
        axes, loop = [axis_of(x) for x in loops], Loop(loops[0])
        if not loop.only_added(a) or len(axes) != len(zeros.loops) or any(x.array is not a for x in stores):
            return None
        if not all(loop.steady(e) and anywhere(e) for x in axes for e in (x.low, x.high)):
            return None
        places = [place(x.index, axes, loop) for x in stores]
        known = [x for x in places if x is not None]
        if len(known) < len(places) or len({(index, tuple(along)) for index, along, _ in known}) > 1:
            return None
        index, along, _ = known[0]
        far = [tuple(n * x.step for n, x in zip(d, loops, strict=True)) for _, _, d in known]
        at = far.index(max(far))
        turn = {x.var: x for x in zeros.loops}
        widths = []
        for k, e in enumerate(zeros.store.index):
            zero = turn.get(e.var) if isinstance(e, Ref) else None
            if (zero is None) == (k in along):
                return None
            if zero is None:
                if simplify(e) != index[k]:
                    return None
                continue
            n = along.index(k)
            distance: Affine = {None: known[at][2][n]}
            low = self.plain(index[k], axes[n], axes[n].low, distance)
            high = self.plain(index[k], axes[n], axes[n].high, distance)
            below = plus(low, self.gathering.plain(zero.start), -1)
            above = plus(self.gathering.plain(zero.stop), high, -1)
            if not (set(below) <= {None} and set(above) <= {None}):
                return None
            widths.append((below.get(None, 0), above.get(None, 0)))
        good = all(0 <= width <= RIM for pair in widths for width in pair)
        return (stores[at], widths) if good else None

    def plain(self, index: Expr, axis: Axis, at: Expr, distance: Affine) -> Affine:
        """An index at one end of a loop."""
        return plus(self.gathering.plain(substituted(index, {axis.var: at})), distance)


def _set(s: Stmt, store: Store) -> Stmt:
    """A nest with one addition as an assignment; 0 + x is no other number, and no other zero, than before."""
    made = replace(store, value=const(0, store.array.element) + store.value, add=False)
    (nest,) = replaced([s], lambda x: [made] if x is store else None)
    return nest
