"""Arrays that are only made to be copied into a part of another one are made there.

    t = empty(n)                            y = empty(n + m)
    for i in range(n):                      for i in range(n):
        t[i] = f(i)                             y[i] = f(i)
    y = empty(n + m)
    for i in range(n):
        y[i] = t[i]

So it is with `np.concatenate`.  With a lane for each seed the copy would be as many times as large.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tapeless.backends.native.affine import affine
from tapeless.backends.native.fuse import Fusion
from tapeless.backends.native.nest import (
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Check,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    apply,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.renaming import Renaming, substituted
from tapeless.backends.native.scopes import written


def placed(fn: Function, keep: Sequence[Array] = ()) -> Function:
    """`fn` with the arrays of its outermost block made where they are copied to; `keep` is needed outside."""
    at = 0
    while at < len(fn.body):
        s = fn.body[at]
        copy = _copy(s) if isinstance(s, For) else None
        made = None if copy is None else _Placing(fn, copy, at, keep).placed()
        if made is None:
            at += 1
        else:
            fn, at = replace(fn, body=made), 0
    return fn


@dataclass(frozen=True)
class _Copy:
    """`target[index] = source[vars]`, for all `vars` below `stops`."""

    target: Array
    index: tuple[Expr, ...]
    source: Array
    vars: tuple[Scalar, ...]
    stops: tuple[Expr, ...]


def _copy(s: Stmt) -> _Copy | None:
    """What a loop copies, each element to a place of its own; None if it does anything else."""
    vars: list[Scalar] = []
    stops: list[Expr] = []
    while isinstance(s, For):
        if s.step != 1 or s.start != ZERO or len(s.body) != 1:
            return None
        vars.append(s.var)
        stops.append(s.stop)
        s = s.body[0]
    if not isinstance(s, Store) or s.add or not isinstance(s.value, Load):
        return None
    if s.value.index != tuple(Ref(v) for v in vars) or s.array.dtype != s.value.array.dtype:
        return None
    found: list[Scalar] = []
    for e in s.index:
        if any(isinstance(x, Load) for x in leaves(e)):
            return None
        inside = [x.var for x in leaves(e) if isinstance(x, Ref) and x.var in vars]
        if inside and (len(inside) > 1 or Ref(inside[0]) not in affine(e)):
            return None
        found += inside
    if sorted(map(id, found)) != sorted(map(id, vars)):
        return None
    return _Copy(s.array, s.index, s.value.array, tuple(vars), tuple(stops))


class _Placing(Fusion):
    """One copy, the statement number `at`."""

    def __init__(self, fn: Function, copy: _Copy, at: int, keep: Sequence[Array]) -> None:
        super().__init__(fn)
        index = tuple(self.bound(e) for e in copy.index)
        self.whole, self.copy, self.at = fn.body, replace(copy, index=index), at
        self.outside = {x.root for x in fn.params if isinstance(x, Array)}
        self.results = {x.root for x in (*fn.results, *keep) if isinstance(x, Array)}

    def placed(self) -> list[Stmt] | None:
        """The body without the copy; None if the array has to be one of its own."""
        c, source, target = self.copy, self.copy.source.root, self.copy.target
        if target.alias is not None or target is source or {source, target} & self.outside:
            return None
        mine = [k for k, s in enumerate(self.whole) if source in {a.root for a in _named(s)}]
        theirs = [k for k, s in enumerate(self.whole) if target in {a.root for a in _named(s)}]
        begin, alloc = self.whole[mine[0]], self.whole[theirs[0]]
        if mine[-1] != self.at or theirs[1] != self.at or source in self.results:
            return None
        if not isinstance(begin, Alloc) or not isinstance(alloc, Alloc):
            return None
        between = self.whole[mine[0] + 1 : self.at]
        room = tuple(self.bound(e) for e in alloc.shape)
        shape = self.shape(begin.shape, between)
        if shape is None or not _steady([*c.index, *room, *begin.shape], between):
            return None
        if any(isinstance(x, Dim) and x.array.root is source for e in c.index for x in leaves(e)):
            return None
        if self.checked([*c.index, *room], between):
            return None
        change = _Moved(self, begin.shape, shape)
        if change.lead > 1 or (change.lead == 0 and len(begin.shape) > change.tail):
            return None
        kept = [s for s in between if s is not alloc and not (isinstance(s, Alias) and s.array is c.source)]
        early = [replace(alloc, shape=room)] if theirs[0] > mine[0] else []
        return [*self.whole[: mine[0]], *early, *change.body(kept), *self.whole[self.at + 1 :]]

    def shape(self, shape: tuple[Expr, ...], between: list[Stmt]) -> tuple[Expr, ...] | None:
        """The shape in which the whole array is copied; None if it is used otherwise than by its elements."""
        c, own = self.copy, self.copy.source.root
        given = [s for s in between if isinstance(s, Alias) and s.array is c.source]
        if len(given) != (c.source is not own):
            return None
        for s in walk(between):
            if isinstance(s, (Alloc, Alias, Grow, Swap, Intrinsic)) and not any(s is t for t in given):
                if own in {a.root for a in _own(s)}:
                    return None
            for x in (x for e in expressions(s) for x in leaves(e)):
                if isinstance(x, (Load, Dim)) and x.array.root is own and not _element(x, own):
                    return None
            if isinstance(s, Store) and s.array.root is own and s.array is not own:
                return None
        if given:
            shape = given[0].shape
        stops = [shape[x.axis] if isinstance(x, Dim) and x.array is c.source else x for x in c.stops]
        if len(shape) != len(stops) or any(map(self.differ, shape, stops)):
            return None
        return shape

    def checked(self, es: list[Expr], between: list[Stmt]) -> bool:
        """Whether only a check that comes later may prove that the places are in the array."""
        theirs = self.behind(es) - set(self.copy.vars)
        return any(isinstance(s, Check) and theirs & self.behind([s.condition]) for s in between)

    def behind(self, es: list[Expr]) -> set[Scalar | Array]:
        """The scalars, and the arrays by their lengths, that some expressions come from."""
        found: set[Scalar | Array] = set()
        while es:
            mine = [x for e in es for x in leaves(e)]
            names = {x.var if isinstance(x, Ref) else x.array for x in mine if isinstance(x, (Ref, Dim))}
            fresh = names - found
            found |= fresh
            es = [s.value for s in walk(self.whole) if isinstance(s, Assign) and s.var in fresh]
        return found

    def differ(self, a: Expr, b: Expr) -> bool:
        return self.bound(a) != self.bound(b)


class _Moved(Renaming):
    """Puts the elements of the target in the place of those of the source."""

    def __init__(self, placing: _Placing, own: tuple[Expr, ...], shape: tuple[Expr, ...]) -> None:
        super().__init__({})
        self.copy, self.own = placing.copy, own
        pairs = list(zip(own[::-1], shape[::-1], strict=False))
        #: so many of the last axes are the same in the shape that is copied
        self.tail = next((k for k, (a, b) in enumerate(pairs) if placing.differ(a, b)), len(pairs))
        #: the axes before them, which are one in that shape
        self.lead = len(shape) - self.tail

    def place(self, index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        last = len(index) - self.tail
        at: Expr = ZERO
        for k in range(last):
            at = apply("add", apply("mul", at, self.own[k]), index[k])
        table = dict(zip(self.copy.vars, (*(at,) * self.lead, *index[last:]), strict=True))
        return tuple(substituted(e, table) for e in self.copy.index)

    def leaf(self, e: Expr) -> Expr:
        if isinstance(e, Load) and e.array is self.copy.source.root:
            return Load(self.copy.target, self.place(e.index))
        return e

    def stmt(self, s: Stmt) -> Stmt:
        made = super().stmt(s)
        if isinstance(made, Store) and made.array is self.copy.source.root:
            return replace(made, array=self.copy.target, index=self.place(made.index))
        return made


def _element(x: Load | Dim, own: Array) -> bool:
    return isinstance(x, Load) and x.array is own


def _steady(es: list[Expr], between: list[Stmt]) -> bool:
    """Whether expressions have the same values before some statements."""
    changed = written(between) | {s.array for s in walk(between) if isinstance(s, (Alias, Alloc))}
    for x in (x for e in es for x in leaves(e)):
        if isinstance(x, Load) or (isinstance(x, Ref) and x.var in changed):
            return False
        if isinstance(x, Dim) and {x.array, x.array.root} & changed:
            return False
    return True


def _own(s: Stmt) -> Iterator[Array]:
    """The arrays that a statement itself names."""
    yield from (x.array for e in expressions(s) for x in leaves(e) if isinstance(x, (Load, Dim)))
    if isinstance(s, (Store, Alloc, Alias, Grow)):
        yield s.array
    elif isinstance(s, Swap):
        yield from (s.a, s.b)
    elif isinstance(s, Intrinsic):
        yield from (x for x in (*s.ins, *s.outs) if isinstance(x, Array))


def _named(s: Stmt) -> set[Array]:
    """The arrays that a statement and those inside it name."""
    return {a for t in walk([s]) for a in _own(t)}
