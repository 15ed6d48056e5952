"""State that is cheap to make is made again, forwards, where the sweep that reads it may run forwards.

    for k in range(n):                          first = copy(p)
        s += c[k] * p                           for k in range(n):
        saved[k], p = p, p * t                      s += c[k] * p
    for k in range(n - 1, -1, -1):                  p = p * t
        p = saved[k]                            for k in range(n):
        c_bar[k] += s_bar * p                       c_bar[k] += s_bar * first
                                                    first = first * t

So it is with powers, polynomials by recurrence and other state that carries no derivative itself: nothing
goes from one iteration of the reverse sweep to the next then, and it may run in any order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from tapeless.backends.native.activity import Name
from tapeless.backends.native.affine import affine
from tapeless.backends.native.delay import operations
from tapeless.backends.native.fuse import Fusion, replaced, with_bodies
from tapeless.backends.native.nest import (
    I64,
    ONE,
    ZERO,
    Alloc,
    Array,
    Assign,
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
    children,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.peeled import stays
from tapeless.backends.native.renaming import Renaming, substituted
from tapeless.backends.native.scopes import aliases, exposed, reads, touched, written
from tapeless.backends.native.sweeps import Loop
from tapeless.backends.native.tidy import mentions

#: How many operations an iteration may take that is made again.
CHEAP = 4


def afresh(fn: Function) -> Function:
    """`fn` with less saved; its loops run one after the other, no two array parameters share memory."""
    while (made := _Afresh(fn).body(fn.body)) is not None:
        fn = replace(fn, body=made)
    return fn


@dataclass(eq=False)
class Moved:
    """A nest that stores an element of one array in each of its iterations: `array[index] = value`."""

    loops: list[For]
    stores: list[Store]


class _Afresh:
    """Looks for one pair of loops."""

    def __init__(self, fn: Function) -> None:
        self.fn = fn
        self.ends = {x.root if isinstance(x, Array) else x for x in (*fn.params, *fn.results)}

    @cached_property
    def fusion(self) -> Fusion:
        return Fusion(self.fn)

    @cached_property
    def mentions(self) -> Counter[Name]:
        return mentions(self.fn.body)

    def bound(self, e: Expr) -> Expr:
        return self.fusion.bound(e)

    def body(self, body: list[Stmt]) -> list[Stmt] | None:
        """A body with one loop that reads what is made again."""
        for r, back in enumerate(body):
            if isinstance(back, For) and back.step == -1 and (restored := _restored(back)):
                for f in range(r):
                    made = self.pair(body, f, r, restored)
                    if made is not None:
                        return made
            inner = [*children(back)]
            for k, b in enumerate(inner):
                if (found := self.body(b)) is not None:
                    inner[k] = found
                    return [*body[:r], with_bodies(back, inner), *body[r + 1 :]]
        return None

    def pair(self, out: list[Stmt], f: int, r: int, restored: dict[Array, Stmt]) -> list[Stmt] | None:
        """The body without what the loop `f` saves for the loop `r`, if that can do without."""
        ahead, back = out[f], out[r]
        if not isinstance(ahead, For) or not isinstance(back, For) or ahead.step != 1:
            return None
        ends = (ahead.stop - ONE, back.start), (ahead.start - ONE, back.stop)
        if any(self.bound(a) != self.bound(b) for a, b in ends):
            return None
        saved: dict[Array, Array] = {}
        for p, again in restored.items():
            kept = self.saved(ahead, back, p, again)
            if kept is not None and kept not in saved.values() and self.mine(out, f, r, p, kept):
                saved[p] = kept
        part = self.slice(ahead, {*saved}, {*saved.values()}) if saved else None
        if part is None:
            return None
        rest = [s for s in back.body if not any(s is restored[p] for p in saved)]
        here, counters = written(part), {s.var for s in walk([ahead]) if isinstance(s, For)}
        outside = {x for s in walk(part) for x in reads(s)} - here - counters
        bounds = (ahead.start, ahead.stop, back.start, back.stop)
        if outside & written(out[f : r + 1]) or not all(map(stays(out[f : r + 1]), bounds)):
            return None
        if any(a.root in here for s in walk([*part, *rest]) for a in aliases(s)):
            return None
        uses = Counter(x for s in walk(self.fn.body) for x in _scalars(s))
        uses.update(x for x in self.fn.results if isinstance(x, Scalar))
        uses.subtract(x for p in saved for s in walk([restored[p]]) for x in _scalars(s))
        if not Loop(replace(back, body=rest)).any_order(uses):
            return None
        return self.made(out, f, r, part, rest, saved)

    def mine(self, out: list[Stmt], f: int, r: int, p: Array, kept: Array) -> bool:
        """Whether an array and what is saved of it serve these loops alone, but for what is before them."""
        for a in (p, kept):
            begun = next(s for s in out if a in mentions([s]))
            if a in self.ends or not isinstance(begun, Alloc) or any(x is begun for x in out[f:]):
                return False
            if sum(isinstance(s, Alloc) and s.array is a for s in walk(out)) != 1:
                return False
        if self.mentions[kept] != 3 or mentions(out[: r + 1])[p] != self.mentions[p]:
            return False
        return p not in written(out[f + 1 : r])

    def saved(self, ahead: For, back: For, p: Array, again: Stmt) -> Array | None:
        """Where a loop saves each element of an array, before its one change of it, that another restores."""
        changes = [s for s in ahead.body if p in written([s])]
        others = [s for s in back.body if s is not again]
        if len(changes) != 1 or p.alias is not None or p in written(others):
            return None
        before = back.body[: next(k for k, s in enumerate(back.body) if s is again)]
        if p in mentions(before):
            return None
        inside = mentions([again])
        if any(inside[x] != self.mentions[x] for x in written([again]) if isinstance(x, Scalar)):
            return None
        made, put = _moved(changes[0]), _moved(again)
        if made is None or put is None or len(made.stores) != 2 or len(made.loops) != len(put.loops):
            return None
        save, change = made.stores
        load = put.stores[0].value
        assert isinstance(load, Load)
        if save.add or change.array is not p or save.array is not load.array or save.array.alias is not None:
            return None
        if save.value != Load(p, change.index) or not _each_once(change.index, made.loops):
            return None
        names = {x.var: Ref(y.var) for x, y in zip(made.loops, put.loops, strict=True)}
        names[ahead.var] = Ref(back.var)

        def same(a: Expr, b: Expr) -> bool:
            return self.bound(substituted(self.bound(a), names)) == self.bound(b)

        pairs = [
            *zip(save.index, load.index, strict=True),
            *zip(change.index, put.stores[0].index, strict=True),
        ]
        for x, y in zip(made.loops, put.loops, strict=True):
            pairs += [(x.start, y.start), (x.stop, y.stop)]
        return save.array if all(same(a, b) for a, b in pairs) else None

    def slice(self, ahead: For, needed: set[Name], kept: set[Name]) -> list[Stmt] | None:
        """What a loop does to some arrays, if that is little."""
        body = replaced(ahead.body, lambda s: [] if isinstance(s, Store) and s.array in kept else None)
        inside = written(body)
        chosen: set[int] = set()
        more = True
        while more:
            more = False
            for k, s in enumerate(body):
                if k not in chosen and needed & written([s]):
                    chosen.add(k)
                    needed |= {x for y in walk([s]) for x in reads(y)} & inside
                    more = True
        part = [body[k] for k in sorted(chosen)]
        plain = all(isinstance(s, (Assign, Store, Alloc, For, If)) for s in walk(part))
        if not plain or any(s.array.alias is not None for s in walk(part) if isinstance(s, Store)):
            return None
        values = [s.value for s in walk(part) if isinstance(s, (Assign, Store))]
        work = sum(operations(e) for e in values if e.type != I64)
        return part if work <= CHEAP and not kept & {x for s in walk(part) for x in touched(s)} else None

    def made(
        self, out: list[Stmt], f: int, r: int, part: list[Stmt], rest: list[Stmt], saved: dict[Array, Array]
    ) -> list[Stmt]:
        ahead, back = out[f], out[r]
        assert isinstance(ahead, For) and isinstance(back, For)
        names: dict[Scalar | Array, Scalar | Array] = {ahead.var: back.var}
        for x in written(part):
            names[x] = Scalar(x.name, x.type) if isinstance(x, Scalar) else Array(x.name, x.dtype, x.ndim)
        for s in walk(part):
            if isinstance(s, For):
                names[s.var] = Scalar(s.var.name, I64)
        first: list[Stmt] = []
        begun = exposed(part)
        for x in [x for x in written(part) if x in begun]:
            new = names[x]
            if isinstance(x, Array) and isinstance(new, Array):
                first += _copy(new, x)
            elif isinstance(x, Scalar) and isinstance(new, Scalar):
                first.append(Assign(new, Ref(x)))
        kept = {*saved.values()}
        less = replaced([ahead], lambda s: [] if isinstance(s, Store) and s.array in kept else None)
        state = Renaming({p: names[p] for p in saved})
        again = [*state.body(rest), *Renaming(names).body(part)]
        sweep = For(back.var, back.stop + ONE, back.start + ONE, again, line=back.line)
        made = [*out[:f], *first, *less, *out[f + 1 : r], sweep, *out[r + 1 :]]
        return [s for s in made if not (isinstance(s, Alloc) and s.array in kept)]


def _scalars(s: Stmt) -> Iterator[Scalar]:
    """Every place where a scalar is read or given a value."""
    for e in expressions(s):
        yield from (x.var for x in leaves(e) if isinstance(x, Ref))
    if isinstance(s, Assign):
        yield s.var


def _restored(back: For) -> dict[Array, Stmt]:
    """The arrays that a loop puts back from what was saved, and where."""
    found: dict[Array, Stmt] = {}
    for s in back.body:
        nest = _moved(s)
        if nest is not None and len(nest.stores) == 1:
            (store,) = nest.stores
            if not store.add and isinstance(store.value, Load) and store.value.array is not store.array:
                found[store.array] = s
    return found


def _moved(s: Stmt) -> Moved | None:
    """Loops directly inside each other, but for indices, around one or two stores."""
    loops: list[For] = []
    stores: list[Stmt] = []
    while isinstance(s, For) and s.step == 1:
        loops.append(s)
        stores = [x for x in s.body if not isinstance(x, Assign) or x.var.type != I64]
        if len(stores) != 1:
            break
        s = stores[0]
    found = [x for x in stores if isinstance(x, Store)]
    return Moved(loops, found) if loops and len(found) == len(stores) <= 2 and found else None


def _each_once(index: tuple[Expr, ...], loops: list[For]) -> bool:
    """Whether each loop moves along an axis of its own."""
    along = []
    for e in index:
        parts = affine(e)
        moving = [x.var for x in loops if any(k is not None and Ref(x.var) in leaves(k) for k in parts)]
        if len(moving) > 1 or (moving and abs(parts.get(Ref(moving[0]), 0)) != 1):
            return False
        along += moving
    return sorted(map(id, along)) == sorted(id(x.var) for x in loops)


def _copy(to: Array, source: Array) -> list[Stmt]:
    vars = [Scalar("ijklmn"[min(k, 5)], I64) for k in range(source.ndim)]
    index = tuple(map(Ref, vars))
    inner: list[Stmt] = [Store(to, index, Load(source, index))]
    for k in reversed(range(source.ndim)):
        inner = [For(vars[k], ZERO, Dim(source, k), inner, independent=True)]
    return [Alloc(to, tuple(Dim(source, k) for k in range(source.ndim))), *inner]
