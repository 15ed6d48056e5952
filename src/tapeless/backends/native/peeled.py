"""Elements that a nest clears and the next one adds to are set there; a few more at the ends are done apart.

    for i in range(n - 2):                  for i in range(n - 2):
        s += a[i + 1] * c[i]                    s += a[i + 1] * c[i]
        a[i + 1] = 0                        for i in range(n - 2):
    for i in range(n):                          a[i + 1] = 0 + b[i + 1]
        a[i] += b[i]                        for i in (0, n - 1):
                                                a[i] += b[i]

What both walk has one range then, and they become one loop.  So begins the reversal of a stencil in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tapeless.backends.native.activity import Name
from tapeless.backends.native.affine import Affine, plus, simplify
from tapeless.backends.native.fuse import replaced, with_bodies
from tapeless.backends.native.gather import Gathering
from tapeless.backends.native.nest import (
    FLOATS,
    I64,
    Alias,
    Alloc,
    Array,
    Const,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    apply,
    children,
    const,
    leaves,
    walk,
)
from tapeless.backends.native.perfect import anywhere, axis_of, perfect, place
from tapeless.backends.native.renaming import clone, substituted
from tapeless.backends.native.rewrite import change_body
from tapeless.backends.native.scopes import touched, written
from tapeless.backends.native.sweeps import Loop
from tapeless.backends.native.tidy import is_zero

#: So many elements at an end of an axis are done apart, so far apart may two nests stand, and so many
#: statements are copied.
RIM, NEAR, LONG = 4, 60, 4


def peel(fn: Function) -> Function:
    """`fn` with zeros set where they are added to; no two array parameters may share memory."""
    made = _Peel(fn)
    body = made.body(fn.body)
    return replace(fn, body=body) if made.found else fn


@dataclass(eq=False)
class Walk:
    """A nest that stores to an array: along which axis each of its loops goes, and between what."""

    store: Store
    loops: list[For]
    index: tuple[Expr, ...]
    along: list[int]
    low: list[Affine]
    high: list[Affine]


class _Peel:
    def __init__(self, fn: Function) -> None:
        self.gathering = Gathering(fn)
        self.theirs: set[Name] = {p for p in fn.params if isinstance(p, Array)}
        self.known: dict[int, tuple[Stmt, set[Name]]] = {}
        self.found = False

    def body(self, body: list[Stmt]) -> list[Stmt]:
        out = [with_bodies(s, [self.body(b) for b in children(s)]) for s in body]
        for s in list(out):
            if not isinstance(s, For):
                continue
            for store in [x for x in walk([s]) if isinstance(x, Store) and not x.add and is_zero(x.value)]:
                at = next((k for k, x in enumerate(out) if x is s), None)
                made = None if at is None else self.moved(out, at, store)
                if made is not None:
                    out, self.found = made, True
                    break
        return out

    def moved(self, out: list[Stmt], at: int, store: Store) -> list[Stmt] | None:
        """A body in which the nest that uses the array next sets what the first one clears, if it can."""
        a, first = store.array, out[at]
        if a.alias is not None or a in self.theirs or a.element not in FLOATS:
            return None
        after = range(at + 1, min(at + NEAR, len(out)))
        to = next((k for k in after if a in self.touched(out[k])), None)
        if to is None or not self.clears(first, store):
            return None
        adds = [x for x in walk([out[to]]) if isinstance(x, Store) and x.array is a]
        cleared = self.walk(first, store)
        added = self.walk(out[to], adds[0]) if len(adds) == 1 and adds[0].add else None
        if cleared is None or added is None or not self.may_turn(out[to], added):
            return None
        ends = [e for w in (cleared, added) for s in w.loops for e in (s.start, s.stop)]
        if not all(map(stays(out[at : to + 1]), ends)):
            return None
        made = self.apart(cleared, added)
        if made is None:
            return None
        rest = replaced([first], lambda x: [] if x is store else None)
        return [*out[:at], *rest, *out[at + 1 : to], *made, *out[to + 1 :]]

    def touched(self, s: Stmt) -> set[Name]:
        """What a statement uses, bodies included."""
        if id(s) not in self.known:
            self.known[id(s)] = s, {x for inner in walk([s]) for x in touched(inner)}
        return self.known[id(s)][1]

    def clears(self, s: Stmt, store: Store) -> bool:
        """Whether an iteration uses this one element of the array alone, and clears it in the end."""
        assert isinstance(s, For)
        used = Loop(s).arrays[store.array]
        if any(array is not store.array or index != store.index for array, index in used.indices()):
            return False
        nest = perfect(s)
        if nest is None or all(x is not store for x in nest[0][-1].body):
            return False
        body = nest[0][-1].body
        later = body[next(k for k, x in enumerate(body) if x is store) + 1 :]
        inside = sum(store.array is x for y in body for x in touched(y))
        alone = inside == sum(store.array is x for y in walk([s]) for x in touched(y))
        return alone and not any(store.array is x for y in later for x in touched(y))

    def may_turn(self, s: Stmt, added: Walk) -> bool:
        """Whether iterations may run in another order, and an iteration only adds to the array."""
        inner = added.loops[-1].body
        if len(inner) > LONG or not all(x.step == 1 and x.independent for x in added.loops):
            return False
        assert isinstance(s, For)
        alone = all(x.body == [y] for x, y in zip(added.loops, added.loops[1:], strict=False))
        whole, a = Loop(s), added.store.array
        return alone and whole.only_added(a) and len(whole.of(a).adds) == 1

    def walk(self, s: Stmt, store: Store) -> Walk | None:
        """Where a nest stores to an array, if that is a box of it."""
        nest = perfect(s) if isinstance(s, For) else None
        if nest is None or not isinstance(s, For) or all(x is not store for x in nest[0][-1].body):
            return None
        loops, whole = nest[0], Loop(s)
        axes = [axis_of(x) for x in loops]
        if not all(whole.steady(e) and anywhere(e) for x in axes for e in (x.low, x.high)):
            return None
        found = place(store.index, axes, whole)
        if found is None:
            return None
        index, along, away = found

        def end(n: int, at: Expr) -> Affine:
            e = substituted(index[along[n]], {axes[n].var: at})
            return plus(self.gathering.plain(e), {None: away[n]})

        low = [end(n, x.low) for n, x in enumerate(axes)]
        high = [end(n, x.high) for n, x in enumerate(axes)]
        return Walk(store, loops, index, along, low, high)

    def apart(self, cleared: Walk, added: Walk) -> list[Stmt] | None:
        """The second nest, where the first one clears and then at the ends; None if those are far apart."""
        if len(cleared.loops) != len(added.loops) or {*cleared.along} != {*added.along}:
            return None
        still = [k for k in range(len(added.index)) if k not in added.along]
        if any(simplify(added.index[k]) != simplify(cleared.index[k]) for k in still):
            return None
        ends: list[tuple[int, int]] = []
        vars: list[tuple[For, int]] = []
        for n, k in enumerate(added.along):
            m = cleared.along.index(k)
            below = plus(cleared.low[m], added.low[n], -1)
            above = plus(added.high[n], cleared.high[m], -1)
            loop = cleared.loops[m]
            start = plus(self.gathering.plain(added.loops[n].start), below)
            shift = plus(start, self.gathering.plain(axis_of(loop).low), -1)
            if not all(set(x) <= {None} for x in (below, above, shift)):
                return None
            ends.append((below.get(None, 0), above.get(None, 0)))
            vars.append((loop, shift.get(None, 0)))
        if not all(0 <= n <= RIM for pair in ends for n in pair):
            return None
        return self.pieces(added, ends, vars, 0, {})

    def pieces(
        self,
        added: Walk,
        ends: Sequence[tuple[int, int]],
        vars: Sequence[tuple[For, int]],
        n: int,
        at: dict[Scalar, Expr],
    ) -> list[Stmt]:
        """The loops from the `n`th on, for the iterations `at` of those around them."""

        def placed(body: list[Stmt]) -> list[Stmt]:
            return change_body(clone(body), lambda e: at.get(e.var) if isinstance(e, Ref) else None)

        if n == len(added.loops):
            store = added.store
            made = replace(store, value=const(0, store.array.element) + store.value, add=False)
            return placed([made if s is store else s for s in added.loops[-1].body])
        loop, (below, above), (like, shift) = added.loops[n], ends[n], vars[n]
        axis, var = axis_of(like), Scalar(loop.var.name, I64)
        inside = self.pieces(added, ends, vars, n + 1, {**at, loop.var: Ref(var) + shift})
        out: list[Stmt] = [For(var, axis.low, axis.high, inside, independent=True, line=loop.line)]
        first = apply("minimum", loop.start + below, loop.stop)
        last = apply("maximum", loop.stop - above, first if below else loop.start)
        for start, stop, some in ((loop.start, first, below), (last, loop.stop, above)):
            if some:
                out += placed([replace(loop, start=start, stop=stop)])
        return out


def stays(body: list[Stmt]) -> Callable[[Expr], bool]:
    """Whether a bound is the same all through a body."""
    changed = written(body)
    lengths: set[Name] = set()
    for s in walk(body):
        if isinstance(s, (Alloc, Alias, Grow)):
            lengths.add(s.array)
        elif isinstance(s, Swap):
            lengths |= {s.a, s.b}

    def stays(e: Expr) -> bool:
        return all(
            isinstance(x, Const)
            or (isinstance(x, Ref) and x.var not in changed)
            or (isinstance(x, Dim) and x.array not in lengths)
            for x in leaves(e)
        )

    return stays
