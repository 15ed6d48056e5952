"""What one nest stores and a later one adds to is first stored there: a matrix is written once, not twice.

    for i in range(n):                      for i in range(n):
        for j in range(m):                      for j in range(m):
            a[i, j] = u[i] * v[j]                   ...
            ...                             for i in range(n):
    for i in range(n):                          for j in range(m):
        for j in range(m):                          a[i, j] = u[i] * v[j]
            a[i, j] += x[i] * y[j]                  a[i, j] += x[i] * y[j]

It is done where every iteration has an element of its own, nothing between uses the array or changes what the
value is made of, and that is cheap: cotangents of matrices are sums of such products.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.affine import Affine, affine
from tapeless.backends.native.fuse import Fusion, replaced, with_bodies
from tapeless.backends.native.nest import (
    FLOATS,
    I64,
    Apply,
    Array,
    Assign,
    Const,
    Expr,
    For,
    Function,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    children,
    leaves,
    walk,
)
from tapeless.backends.native.renaming import Renaming, substituted
from tapeless.backends.native.scopes import names, touched, written

#: How far apart two nests may stand, and how many operations a value may have that is made elsewhere.
NEAR, CHEAP = 60, 4
#: So many elements at an end of an axis may be stored where they were.
FEW = 4
QUICK = ("add", "sub", "mul", "neg")


@dataclass(frozen=True)
class Place:
    """A store in the innermost of some loops, each directly inside the one before."""

    store: Store
    loops: tuple[For, ...]


def delay(fn: Function) -> Function:
    """`fn` with first stores where elements are added to; no two array parameters may share memory."""
    return replace(fn, body=_Delay(fn).body(fn.body))


class Moving:
    """What it takes to move stores from one nest to another."""

    def __init__(self, fn: Function) -> None:
        self.fusion = Fusion(fn)
        self.counts: dict[int, tuple[Stmt, Counter[Name]]] = {}
        self.theirs: set[Name] = {root(p) for p in fn.params if isinstance(p, Array)}
        self.once: set[Scalar] = set()
        seen: set[Scalar] = set()
        for s in walk(fn.body):
            if isinstance(s, Assign):
                (self.once.discard if s.var in seen else self.once.add)(s.var)
                seen.add(s.var)

    def value(self, place: Place) -> Expr | None:
        """What is stored, in terms of what its nest does not change; None if it is not cheap."""
        value = place.store.value
        inside: Stmt = place.store
        for loop in reversed(place.loops):
            found: dict[Scalar, Expr] = {}
            for s in loop.body:
                if s is inside:
                    break
                if isinstance(s, Assign) and s.var in self.once:
                    found[s.var] = substituted(s.value, found)
            value = substituted(value, found)
            inside = loop
        return value if operations(value) <= CHEAP else None

    def mentioned(self, s: Stmt, array: Array) -> int:
        """How often a statement, which nobody changes, names an array."""
        if id(s) not in self.counts:
            self.counts[id(s)] = s, Counter([x for inner in walk([s]) for x in touched(inner)])
        return self.counts[id(s)][1][array]

    def following(self, out: list[Stmt], at: int, array: Array) -> int | None:
        """The next statement, not far away, that uses an array."""
        near = range(at + 1, min(at + NEAR, len(out)))
        return next((k for k in near if self.mentioned(out[k], array)), None)

    def stays(self, array: Array) -> bool:
        """Whether somebody else may see when an array is stored to, or it is of no interest."""
        return array in self.theirs or array.alias is not None or array.element not in FLOATS

    def target(self, s: Stmt, array: Array) -> Place | None:
        """The first addition to an array in a nest, if that comes before all else there."""
        other = next((x for x in places(s, add=True) if x.store.array is array), None)
        if other is None or not used_first(other):
            return None
        return other if self.mentioned(s, array) == self.mentioned(other.loops[-1], array) else None

    def there(
        self, place: Place, other: Place, value: Expr, changed: set[Name]
    ) -> tuple[Store, list[Stmt]] | None:
        """The store as it is in the other nest, and what that leaves to be stored where it was.

        None unless it walks the same elements, each once, or all but a few at the ends of one axis.
        """
        if len(place.loops) != len(other.loops):
            return None
        table: dict[Scalar, Expr] = {}
        rest: list[Stmt] = []
        for k, (a, b) in enumerate(zip(place.loops, other.loops, strict=True)):
            if abs(a.step) != 1 or b.step != a.step:
                return None
            ends = [self.fusion.bound(x) for x in (b.start, b.stop)]
            if any(changed & {*names(end)} for end in ends):
                return None
            mine = [self.fusion.bound(substituted(x, table)) for x in (a.start, a.stop)]
            if mine != ends:
                beyond = [affine(y - x) for x, y in ((mine[0], ends[0]), (ends[1], mine[1]))]
                left = self.left(place, k, beyond, value)
                bounds = {x for loop in place.loops for e in (loop.start, loop.stop) for x in names(e)}
                if rest or left is None or bounds & changed:
                    return None
                rest = left
            table[a.var] = Ref(b.var)
        index = tuple(substituted(i, table) for i in place.store.index)
        if index != other.store.index or not _each_once(index, [x.var for x in other.loops]):
            return None
        if changed & {x for i in index for x in names(i)}:
            return None
        return replace(place.store, index=index, value=substituted(value, table)), rest

    @staticmethod
    def left(place: Place, axis: int, beyond: list[Affine], value: Expr) -> list[Stmt] | None:
        """The stores of a nest beyond both ends of another one's range along an axis, if those are few."""
        few = [d.get(None, 0) for d in beyond if set(d) <= {None}]
        if place.store.add or place.loops[axis].step != 1 or len(few) < 2:
            return None
        if not all(0 <= n <= FEW for n in few):
            return None
        start, stop = place.loops[axis].start, place.loops[axis].stop
        low, high = apply("add", start, few[0]), apply("sub", stop, few[1])
        ranges = ((start, apply("minimum", low, stop)), (apply("maximum", high, low), stop))
        made: list[Stmt] = []
        for n, (start, stop) in zip(few, ranges, strict=True):
            if n == 0:
                continue
            vars: dict[Name, Name] = {x.var: Scalar(x.var.name, I64) for x in place.loops}
            body: list[Stmt] = [replace(place.store, value=value)]
            for k, x in reversed(list(enumerate(place.loops))):
                inner = replace(x, start=start, stop=stop) if k == axis else x
                body = [replace(inner, body=body)]
            made += Renaming(vars).body(body)
        return made


class _Delay(Moving):
    def body(self, body: list[Stmt]) -> list[Stmt]:
        out = [with_bodies(s, [self.body(b) for b in children(s)]) for s in body]
        for at, first in enumerate(out):
            for place in list(places(first)):
                self.moved(out, at, place)
        return out

    def moved(self, out: list[Stmt], at: int, place: Place) -> None:
        """Moves one store to the nest that uses the array next, if that can be."""
        array = place.store.array
        if self.stays(array) or self.mentioned(out[at], array) != 1:
            return
        to = self.following(out, at, array)
        if to is None:
            return
        value, changed = self.value(place), written(out[at : to + 1])
        if value is None or {*names(value)} & changed:
            return
        other = self.target(out[to], array)
        found = None if other is None else self.there(place, other, value, changed)
        if other is not None and found is not None:
            made, rest = found
            out[to] = changed_in(out[to], other.store, [made, other.store])
            out[at] = changed_in(out[at], place.store, [])
            out[at + 1 : at + 1] = rest


def places(s: Stmt, *, add: bool = False, around: tuple[For, ...] = ()) -> Iterator[Place]:
    """The stores of a nest, or its additions."""
    if isinstance(s, Store) and s.add is add and around:
        yield Place(s, around)
    elif isinstance(s, For):
        for x in s.body:
            yield from places(x, add=add, around=(*around, s))


def _each_once(index: tuple[Expr, ...], vars: list[Scalar]) -> bool:
    """Whether loops come to no element twice: each has an axis along which it alone moves."""
    moving = [{x.var for x in leaves(e) if isinstance(x, Ref) and x.var in vars} for e in index]
    alone = [m for m, e in zip(moving, index, strict=True) if len(m) == 1 and affine(e).get(Ref(*m), 0)]
    return {v for m in alone for v in m} == {*vars}


def used_first(place: Place) -> bool:
    """Whether an iteration uses the array by this one element, and adds to it before all else."""
    array, before = place.store.array, True
    for s in place.loops[-1].body:
        if s is place.store:
            before = False
            if array in names(s.value):
                return False
        elif array in (x for inner in walk([s]) for x in touched(inner)):
            if before or not _only(s, array, place.store.index):
                return False
    return True


def _only(s: Stmt, array: Array, index: tuple[Expr, ...]) -> bool:
    """Whether a statement uses one element alone of an array."""
    if not isinstance(s, (Assign, Store)):
        return False
    es = [s.value, *(s.index if isinstance(s, Store) else ())]
    used = [x for e in es for x in leaves(e) if array in names(x)]
    here = not isinstance(s, Store) or s.array is not array or s.index == index
    return here and all(isinstance(x, Load) and x.array is array and x.index == index for x in used)


def operations(e: Expr) -> int:
    """How many operations an expression takes; those that are not quick count as too many."""
    if not isinstance(e, Apply):
        return 0
    quick = e.op in QUICK or (e.op == "div" and isinstance(e.args[1], Const))
    return (1 if quick else CHEAP + 1) + sum(map(operations, e.args))


def changed_in(s: Stmt, store: Store, by: list[Stmt]) -> Stmt:
    """A nest with other statements in the place of one."""
    (nest,) = replaced([s], lambda x: by if x is store else None)
    return nest
