"""Loops in which each uses elements that the one before made a few iterations ago become one.

    for i in range(n):                      for i in range(2):
        t[i] = x[i] * y[i]                      t[i] = x[i] * y[i]
    for i in range(n - 2):                  t1, t2 = t[1], t[0]
        z[i] += t[i] + t[i + 2]             for i in range(n - 2):
                                                t0 = x[i + 2] * y[i + 2]
                                                z[i] += t2 + t0
                                                t1, t2 = t0, t1

The first runs ahead of the second, by as much as is read ahead; the last few elements stay in scalars, which
vector units know, and the array is stored at the ends only.  So are stages of Runge-Kutta one pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from tapeless.backends.native.activity import Name
from tapeless.backends.native.affine import affine, plus
from tapeless.backends.native.fuse import ELEMENTARY_MOST, LONG, Fusion, functions, with_bodies
from tapeless.backends.native.momentary import EXACT
from tapeless.backends.native.nest import (
    I64,
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
    apply,
    children,
    expressions,
    leaves,
)
from tapeless.backends.native.peeled import stays
from tapeless.backends.native.renaming import clone
from tapeless.backends.native.rewrite import change_body, change_expr
from tapeless.backends.native.scopes import exposed
from tapeless.backends.native.tidy import mentions

#: How far apart loops may stand, how many statements they may have as one, how far one may run ahead.
NEAR, MOST, AHEAD = 60, 36, 8

#: An axis, and what an index is but for the loop's variable and a number on that axis.
Key = tuple[int, tuple[frozenset[tuple[Expr | None, int]], ...]]


def stagger(fn: Function) -> Function:
    """`fn` with such loops made one; its loops run one after the other, no two arrays share memory."""
    made = _Stagger(fn)
    body = made.body(fn.body)
    return replace(fn, body=body) if made.found else fn


@dataclass(eq=False)
class Use:
    """An element that a loop uses."""

    loop: For
    array: Array
    index: tuple[Expr, ...]
    store: Store | None
    bound: Callable[[Expr], Expr]

    @property
    def key(self) -> Key | None:
        """On which line of the array it is; None if that does not move along it, element by element."""
        return self._place[0]

    @property
    def offset(self) -> int:
        """How far it is from the loop's variable."""
        return self._place[1]

    @cached_property
    def _place(self) -> tuple[Key | None, int]:
        var = Ref(self.loop.var)
        sums = [affine(self.bound(e)) for e in self.index]
        moving = [k for k, e in enumerate(sums) if var in e]
        atoms = [k for e in sums for k in e if k is not None and k != var]
        steady = not any(isinstance(y, Load) or y == var for k in atoms for y in leaves(k))
        if self.array.alias is not None or moving != [len(sums) - 1] or not steady:
            return None, 0
        if sums[-1].pop(var) != 1:
            return None, 0
        offset = sums[-1].pop(None, 0)
        return (moving[0], tuple(frozenset(e.items()) for e in sums)), offset


@dataclass(eq=False)
class Part:
    """A loop that is to be one with others: by how many iterations it runs ahead of the last of them."""

    loop: For
    at: int
    uses: dict[Array, list[Use]]
    stored: set[Array]
    ahead: int = 0
    start: int = 0
    stop: int = 0
    """How far its bounds are from those of the last loop."""


@dataclass(eq=False)
class Window:
    """The elements of an array that stay in scalars: the one just made, and those before it."""

    part: Part
    use: Use
    scalars: list[Scalar] = field(default_factory=list)
    kept: bool = False
    """Somebody else reads the array."""

    def element(self, first: Expr, back: int) -> Load:
        """The element made so many iterations before the iteration `first` of the last loop."""
        value = first + (self.part.ahead - back)
        store = self.use.store
        assert store is not None
        return Load(store.array, tuple(_at(e, self.part.loop.var, value) for e in store.index))


def _apart(before: list[Stmt], last: Stmt) -> bool:
    """Whether a loop reads elements that one before it stores in other iterations, by the look of them."""
    if not isinstance(last, For):
        return False
    i = Scalar("i", I64)
    read: dict[Array, set[tuple[Expr, ...]]] = {}
    for s in last.body:
        for e in expressions(s):
            for x in leaves(e):
                if isinstance(x, Load):
                    index = tuple(_at(k, last.var, Ref(i)) for k in x.index)
                    read.setdefault(x.array, set()).add(index)
    return any(
        {tuple(_at(k, s.var, Ref(i)) for k in x.index)} != read[x.array]
        for s in before
        if isinstance(s, For)
        for x in s.body
        if isinstance(x, Store) and x.array in read
    )


def _atoms(use: Use) -> Iterator[Expr]:
    """What tells the line of an array on which an element is."""
    for e in () if use.key is None else use.key[1]:
        yield from (k for k, _ in e if k is not None)


def _at(e: Expr, var: Scalar, value: Expr) -> Expr:
    return change_expr(e, lambda x: value if x == Ref(var) else None)


class _Stagger:
    def __init__(self, fn: Function) -> None:
        self.fn = fn
        self.others = {x.root for x in (*fn.params, *fn.results) if isinstance(x, Array)}
        self.found = False

    @cached_property
    def fusion(self) -> Fusion:
        return Fusion(self.fn)

    @cached_property
    def mentions(self) -> Counter[Name]:
        return mentions(self.fn.body)

    def body(self, body: list[Stmt]) -> list[Stmt]:
        out = [with_bodies(s, [self.body(b) for b in children(s)]) for s in body]
        at = len(out) - 1
        while at > 0 and len(body) <= LONG:
            last = out[at]
            made = self.group(out, at) if _apart(out[max(at - NEAR, 0) : at], last) else None
            if made is not None:
                first, new = made
                self.mentions.subtract(mentions(out[first : at + 1]))
                self.mentions.update(mentions(new))
                out[first : at + 1] = new
                at, self.found = first, True
            at -= 1
        return out

    def group(self, out: list[Stmt], at: int) -> tuple[int, list[Stmt]] | None:
        """What takes the place of the statements from one on up to a loop that others can run with."""
        last = self.part(out[at], at)
        if last is None:
            return None
        parts = [last]
        for k in range(at - 1, max(at - NEAR, -1), -1):
            s = out[k]
            if not isinstance(s, For) or not any(
                isinstance(x, Store) and x.array in p.uses for x in s.body for p in parts
            ):
                continue
            part = self.part(s, k)
            if part is not None and self.fits(part, parts):
                parts.insert(0, part)
        while len(parts) > 1:
            made = self.made(out, parts)
            if made is not None:
                return parts[0].at, made
            parts.pop(0)
        return None

    # ---- one loop

    def part(self, s: Stmt, at: int) -> Part | None:
        """An innermost loop over elements, all whose scalars are its own, that vector units can run."""
        if not isinstance(s, For) or s.step != 1 or s.lanes or not 0 < len(s.body) <= MOST:
            return None
        if not all(isinstance(x, (Assign, Store)) for x in s.body):
            return None
        mine = mentions(s.body)
        assigned = {x.var for x in s.body if isinstance(x, Assign)}
        if assigned & exposed(s.body) or any(mine[v] != self.mentions[v] for v in assigned):
            return None
        uses: dict[Array, list[Use]] = {}
        for x in s.body:
            for e in expressions(x):
                for y in leaves(e):
                    if isinstance(y, Load):
                        uses.setdefault(y.array.root, []).append(self.use(y, s, None))
            if isinstance(x, Store):
                uses.setdefault(x.array.root, []).append(self.use(x, s, x))
        stored = {x.array.root for x in s.body if isinstance(x, Store)}
        for a in stored:
            places = {u.offset for u in uses[a] if u.store is not None}
            if len(places) > 1 or len({u.key for u in uses[a]}) > 1 or uses[a][0].key is None:
                return None
            if any(u.offset < min(places) for u in uses[a]):
                return None
        return Part(s, at, uses, stored)

    def use(self, x: Load | Store, loop: For, store: Store | None) -> Use:
        return Use(loop, x.array, x.index, store, self.fusion.bound)

    # ---- several

    def fits(self, part: Part, parts: Sequence[Part]) -> bool:
        """Whether a loop can run with later ones, which use what it makes; it is told how far ahead."""
        last = parts[-1].loop
        ends = []
        for mine, theirs in ((part.loop.start, last.start), (part.loop.stop, last.stop)):
            apart = plus(affine(self.fusion.bound(mine)), affine(self.fusion.bound(theirs)), -1)
            if {*apart} > {None} or any(k is not None for k in apart):
                return False
            ends.append(apart.get(None, 0))
        several = [n for p in (part, *parts) if (n := functions(p.loop))]
        if sum(len(p.loop.body) for p in (part, *parts)) > MOST or (
            len(several) > 1 and sum(several) > ELEMENTARY_MOST
        ):
            return False
        part.start, part.stop = ends
        part.ahead = 0
        for later in parts:
            for a in (part.stored & {*later.uses}) | (later.stored & {*part.uses}):
                if part.stored & later.stored & {a}:
                    return False
                both = [*part.uses[a], *later.uses[a]]
                if None in {u.key for u in both} or len({u.key for u in both}) > 1:
                    return False
                for u in part.uses[a]:
                    for v in later.uses[a]:
                        if u.store is not None or v.store is not None:
                            part.ahead = max(part.ahead, later.ahead + v.offset - u.offset)
        return part.ahead <= AHEAD

    def made(self, out: list[Stmt], parts: list[Part]) -> list[Stmt] | None:
        """What takes the place of some loops and all that stands between them."""
        first, at = parts[0].at, parts[-1].at
        loops = {p.at for p in parts}
        before: list[Stmt] = []
        after: list[Stmt] = []
        for k in range(first + 1, at):
            s = out[k]
            if k in loops:
                continue
            if any(self.fusion.conflict(x, s) for x in (*(p.loop for p in parts if p.at < k), *after)):
                if any(self.fusion.conflict(s, p.loop) for p in parts if p.at > k):
                    return None
                after.append(s)
            else:
                before.append(s)
        same = stays(out[first : at + 1])
        needed = [e for p in parts for e in (p.loop.start, p.loop.stop)]
        needed += [k for p in parts for a in p.stored for u in p.uses[a] for k in _atoms(u)]
        if not all(map(same, needed)):
            return None
        windows: dict[Array, Window] = {}
        low = max(p.start - p.ahead for p in parts)
        high = min(p.stop - p.ahead for p in parts)
        for n, part in enumerate(parts[:-1]):
            for a in part.stored:
                users = [(p, u) for p in parts[n + 1 :] for u in p.uses.get(a, ())]
                if not users:
                    continue
                window = self.window(part, a)
                if window is None or any(a in p.uses for p in parts[:n]):
                    return None
                back = max(part.ahead + window.use.offset - p.ahead - u.offset for p, u in users)
                window.scalars = [Scalar(a.name, a.element) for _ in range(back + 1)]
                rest = [*after, *out[at + 1 :]]
                window.kept = not self.passing(out, first, a, rest, window, parts, low, high)
                windows[a] = window
        far = any(p.ahead for p in parts) or any(len(w.scalars) > 1 for w in windows.values())
        if not far or all(w.kept for w in windows.values()):
            return None
        return [*before, *self.merged(parts, windows, low, high), *after]

    def window(self, part: Part, a: Array) -> Window | None:
        """The window of an array of which an iteration sets one element, before it uses it."""
        uses = part.uses[a]
        if a.dtype not in EXACT or len({u.offset for u in uses}) > 1:
            return None
        store = next(s for s in part.loop.body if any(x is a for x in mentions([s])))
        if not isinstance(store, Store) or store.array is not a or store.add:
            return None
        if any(isinstance(x, Load) and x.array is a for e in expressions(store) for x in leaves(e)):
            return None
        return Window(part, next(u for u in uses if u.store is store))

    def passing(
        self,
        out: list[Stmt],
        first: int,
        a: Array,
        rest: list[Stmt],
        window: Window,
        parts: Sequence[Part],
        low: int,
        high: int,
    ) -> bool:
        """Whether nobody else reads what the loops make, but for the ends, which are stored."""
        allocs = [k for k in range(window.part.at) if isinstance(s := out[k], Alloc) and s.array is a]
        if a in self.others or len(allocs) != 1 or mentions(out)[a] != self.mentions[a]:
            return False
        if any(a in mentions([s]) for s in out[: allocs[0]]):
            return False
        last, use = parts[-1].loop, window.use
        assert use.key is not None
        axis, same = use.key[0], stays(out[first:])
        for s in rest:
            if a not in mentions([s]):
                continue
            if not isinstance(s, (Assign, Store)) or (isinstance(s, Store) and s.array is a):
                return False
            for x in (y for e in expressions(s) for y in leaves(e)):
                if isinstance(x, Dim) and x.array is a:
                    return False
                if not isinstance(x, Load) or x.array is not a:
                    continue
                made = window.part.ahead + use.offset
                where = [affine(self.fusion.bound(e)) for e in x.index]
                for k, parts_of in enumerate(use.key[1]):
                    where[k] = plus(where[k], dict(parts_of), -1)
                if any(e for k, e in enumerate(where) if k != axis) or not all(map(same, x.index)):
                    return False
                begin = plus(where[axis], affine(self.fusion.bound(last.start + (low + made))), -1)
                end = plus(where[axis], affine(self.fusion.bound(last.stop + (high + made))), -1)
                ahead = {*begin} == {None} and begin[None] < 0
                behind = {*end} <= {None} and end.get(None, 0) >= 1 - len(window.scalars)
                if not ahead and not behind:
                    return False
        return True

    def merged(self, parts: Sequence[Part], windows: dict[Array, Window], low: int, high: int) -> list[Stmt]:
        """The first iterations of each loop, those of all of them together, and the last ones."""
        last = parts[-1].loop
        var, end = Scalar(last.var.name, I64), Scalar("i_end", I64)
        begin, line = last.start + low, last.line
        new: list[Stmt] = []
        for p in parts:
            s = p.loop
            if low + p.ahead > p.start:
                stop = apply("minimum", s.start + (low + p.ahead - p.start), s.stop)
                new.append(replace(s, stop=stop, body=clone(s.body)))
        new.append(Assign(end, apply("maximum", begin, last.stop + high), line=line))
        inner: list[Stmt] = []
        handed: list[Stmt] = []
        for p in parts:
            inner += self.moved(p, windows, var)
        for w in windows.values():
            for back in range(len(w.scalars) - 1, 0, -1):
                inner.append(Assign(w.scalars[back], Ref(w.scalars[back - 1]), line=line))
        for w in windows.values():
            for back in range(1, len(w.scalars)):
                handed.append(Assign(w.scalars[back], w.element(begin, back), line=line))
        handed.append(For(var, begin, Ref(end), inner, line=line))
        for w in windows.values():
            for back in range(1, len(w.scalars) if not w.kept else 0):
                target = w.element(Ref(end), back)
                handed.append(Store(target.array, target.index, Ref(w.scalars[back]), line=line))
        new.append(If(apply("lt", begin, Ref(end)), handed, line=line))
        for p in parts:
            if p.stop > high + p.ahead:
                new.append(replace(p.loop, start=Ref(end) + p.ahead, body=clone(p.loop.body)))
        return new

    def moved(self, part: Part, windows: dict[Array, Window], var: Scalar) -> list[Stmt]:
        """The body of a loop as it runs with the others."""

        def change(e: Expr) -> Expr | None:
            if isinstance(e, Ref) and e.var is part.loop.var:
                return Ref(var) + part.ahead
            if isinstance(e, Load) and e.array in windows:
                w = windows[e.array]
                use = self.use(e, part.loop, None)
                back = w.part.ahead + w.use.offset - part.ahead - use.offset
                return Ref(w.scalars[back])
            return None

        out: list[Stmt] = []
        for s, new in zip(part.loop.body, change_body(part.loop.body, change), strict=True):
            if isinstance(s, Store) and isinstance(new, Store) and s.array in windows:
                w = windows[s.array]
                x = w.scalars[0]
                out.append(Assign(x, Ref(x) + new.value if new.add else new.value, line=s.line))
                if w.kept:
                    out.append(Store(s.array, new.index, Ref(x), line=s.line))
            else:
                out.append(new)
        return out
