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

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.fuse import Fusion, with_bodies
from tapeless.backends.native.nest import (
    FLOATS,
    Apply,
    Array,
    Assign,
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
    leaves,
    walk,
)
from tapeless.backends.native.renaming import substituted
from tapeless.backends.native.scopes import names, touched, written

#: How far apart two nests may stand, and how many operations a value may have that is made elsewhere.
NEAR, CHEAP = 60, 4
QUICK = ("add", "sub", "mul", "neg")


@dataclass(frozen=True)
class Place:
    """A store in the innermost of some loops, each directly inside the one before."""

    store: Store
    loops: tuple[For, ...]


def delay(fn: Function) -> Function:
    """`fn` with first stores where elements are added to; no two array parameters may share memory."""
    return replace(fn, body=_Delay(fn).body(fn.body))


class _Delay:
    def __init__(self, fn: Function) -> None:
        self.fusion = Fusion(fn)
        self.theirs: set[Name] = {root(p) for p in fn.params if isinstance(p, Array)}
        self.once: set[Scalar] = set()
        seen: set[Scalar] = set()
        for s in walk(fn.body):
            if isinstance(s, Assign):
                (self.once.discard if s.var in seen else self.once.add)(s.var)
                seen.add(s.var)

    def body(self, body: list[Stmt]) -> list[Stmt]:
        out = [with_bodies(s, [self.body(b) for b in children(s)]) for s in body]
        for at, first in enumerate(out):
            for place in list(_places(first)):
                self.moved(out, at, place)
        return out

    def moved(self, out: list[Stmt], at: int, place: Place) -> None:
        """Moves one store to the nest that uses the array next, if that can be."""
        array = place.store.array
        if array in self.theirs or array.alias is not None or array.element not in FLOATS:
            return
        if _mentions(out[at], array) != 1:
            return
        used = (k for k in range(at + 1, min(at + NEAR, len(out))) if _mentions(out[k], array))
        to = next(used, None)
        if to is None:
            return
        value, changed = self.value(place), written(out[at : to + 1])
        if value is None or {*names(value)} & changed:
            return
        other = next((x for x in _places(out[to], add=True) if x.store.array is array), None)
        if other is None or not _first(other):
            return
        if _mentions(out[to], array) != _mentions(other.loops[-1], array):
            return
        made = self.there(place, other, value, changed)
        if made is not None:
            out[to] = _changed(out[to], other.store, [made, other.store])
            out[at] = _changed(out[at], place.store, [])

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
        return value if _operations(value) <= CHEAP else None

    def there(self, place: Place, other: Place, value: Expr, changed: set[Name]) -> Store | None:
        """The store as it is in the other nest; None unless that walks the same elements, each once."""
        if len(place.loops) != len(other.loops):
            return None
        table: dict[Scalar, Expr] = {}
        for a, b in zip(place.loops, other.loops, strict=True):
            if abs(a.step) != 1 or b.step != a.step:
                return None
            for x, y in ((a.start, b.start), (a.stop, b.stop)):
                end = self.fusion.bound(y)
                if self.fusion.bound(substituted(x, table)) != end or changed & {*names(end)}:
                    return None
            table[a.var] = Ref(b.var)
        index = tuple(substituted(i, table) for i in place.store.index)
        walked = {i.var for i in index if isinstance(i, Ref)}
        if index != other.store.index or not {x.var for x in other.loops} <= walked:
            return None
        if changed & {x for i in index for x in names(i)}:
            return None
        return replace(place.store, index=index, value=substituted(value, table))


def _places(s: Stmt, *, add: bool = False, around: tuple[For, ...] = ()) -> Iterator[Place]:
    """The stores of a nest, or its additions."""
    if isinstance(s, Store) and s.add is add and around:
        yield Place(s, around)
    elif isinstance(s, For):
        for x in s.body:
            yield from _places(x, add=add, around=(*around, s))


def _mentions(s: Stmt, array: Array) -> int:
    return sum(x is array for inner in walk([s]) for x in touched(inner))


def _first(place: Place) -> bool:
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


def _operations(e: Expr) -> int:
    if not isinstance(e, Apply):
        return 0
    return (1 if e.op in QUICK else CHEAP + 1) + sum(map(_operations, e.args))


def _changed(s: Stmt, store: Store, by: list[Stmt]) -> Stmt:
    """A nest with other statements in the place of one."""
    if not isinstance(s, (For, If)):
        return s
    bodies = []
    for body in children(s):
        made: list[Stmt] = []
        for x in body:
            made += by if x is store else [_changed(x, store, by)]
        bodies.append(made)
    return with_bodies(s, bodies)
