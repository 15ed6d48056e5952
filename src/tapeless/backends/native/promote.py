"""An element that a loop reads and writes again and again lives in a scalar while the loop runs.

    for k in range(j):                          t = A[i, j]
        A[i, j] = A[i, j] - A[i, k] * A[k, j]   for k in range(j):
                                                    t = t - A[i, k] * A[k, j]
                                                A[i, j] = t

The loop touches memory less, and the reverse sweep keeps one value an element rather than one a step.
It is done where the element stays the same one throughout the loop and every other access to the array is
provably to another element.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from tapeless.backends.native.affine import Ranges
from tapeless.backends.native.nest import (
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
    If,
    Intrinsic,
    Load,
    Raise,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    While,
    apply,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.rewrite import change_stmt

Index = tuple[Expr, ...]


def promote(fn: Function) -> Function:
    """`fn` with elements that loops accumulate into kept in scalars."""
    return replace(fn, body=_Promoter(fn).body(fn.body))


def stable_definitions(fn: Function) -> dict[Scalar, Expr]:
    """Integer scalars assigned once, from loop variables, lengths, constants and other such scalars."""
    count: dict[Scalar, int] = {}
    value: dict[Scalar, Expr] = {}
    loops = {s.var for s in walk(fn.body) if isinstance(s, For)}
    made = Counter(a for s in walk(fn.body) for a in _named(s))
    for s in walk(fn.body):
        for var in [s.var] if isinstance(s, Assign) else s.outs if isinstance(s, Intrinsic) else ():
            if isinstance(var, Scalar):
                count[var] = count.get(var, 0) + 1
                if isinstance(s, Assign):
                    value[var] = s.value
    fixed = {p for p in fn.params if isinstance(p, Scalar) and p not in count} | loops
    found: dict[Scalar, Expr] = {}
    for var, e in value.items():  # in order of appearance: what a definition uses comes before it
        parts = list(leaves(e))
        if count[var] == 1 and not any(
            isinstance(p, Load)
            or (isinstance(p, Ref) and p.var not in fixed and p.var not in found)
            or (isinstance(p, Dim) and made[p.array] > (p.array not in fn.params))
            for p in parts
        ):
            found[var] = e
    return found


def _named(s: Stmt) -> tuple[Array, ...]:
    """The arrays that a statement gives other lengths."""
    if isinstance(s, Swap):
        return (s.a, s.b)
    return (s.array,) if isinstance(s, (Alloc, Alias, Grow)) else ()


class _Promoter:
    def __init__(self, fn: Function) -> None:
        self.ranges = Ranges()
        self.ranges.definitions = stable_definitions(fn)
        self.theirs = {p for p in fn.params if isinstance(p, Array)}

    def body(self, body: list[Stmt]) -> list[Stmt]:
        return [made for s in body for made in self.stmt(s)]

    def stmt(self, s: Stmt) -> list[Stmt]:
        if isinstance(s, If):
            with self.ranges.where(s.condition):
                then = self.body(s.then)
            with self.ranges.where(s.condition, holds=False):
                orelse = self.body(s.orelse)
            return [If(s.condition, then, orelse, line=s.line)]
        if isinstance(s, While):
            return [While(self.body(s.test), s.condition, self.body(s.body), line=s.line)]
        if not isinstance(s, For):
            return [s]
        with self.ranges.loop(s.var, s.start, s.stop, s.step):
            loop = For(s.var, s.start, s.stop, self.body(s.body), s.step, s.independent, s.lanes, line=s.line)
        return self.loop(loop)

    def loop(self, loop: For) -> list[Stmt]:
        """The loop, with as many elements as possible in scalars."""
        before: list[Stmt] = []
        after: list[Stmt] = []
        candidates = _candidates(loop)
        whole = _whole(loop.body) if candidates else set()
        seen = bool(candidates) and any(isinstance(s, (Check, Raise)) for s in walk(loop.body))
        for array, index in candidates:
            if seen and array.root in self.theirs:
                continue  # the caller could see that the element was not written yet
            if array.root in whole or not self.alone(loop, array, index):
                continue
            held = Scalar(f"{array.name}_held", array.element)
            before.append(Assign(held, Load(array, index), line=loop.line))
            after.append(Store(array, index, Ref(held), line=loop.line))
            loop = _hold(loop, array, index, held)
        if not before:
            return [loop]
        runs = apply("lt", loop.start, loop.stop) if loop.step > 0 else apply("gt", loop.start, loop.stop)
        made = [*before, loop, *after]
        return made if self.ranges.proves(runs) else [If(runs, made, line=loop.line)]

    def alone(self, loop: For, array: Array, index: Index) -> bool:
        """Whether the loop touches the element only by this array and index."""
        with self.ranges.loop(loop.var, loop.start, loop.stop, loop.step):
            return all(
                other is array and (at == index or self.distinct(at, index))
                for other, at in self.accesses(loop.body)
                if other.root is array.root
            )

    def accesses(self, body: list[Stmt]) -> Iterator[tuple[Array, Index]]:
        """The elements a body touches, each while the facts of its place hold."""
        for s in body:
            if isinstance(s, Store):
                yield s.array, s.index
            for e in expressions(s):
                for part in leaves(e):
                    if isinstance(part, Load):
                        yield part.array, part.index
            if isinstance(s, For):
                with self.ranges.loop(s.var, s.start, s.stop, s.step):
                    yield from self.accesses(s.body)
            elif isinstance(s, If):
                with self.ranges.where(s.condition):
                    yield from self.accesses(s.then)
                with self.ranges.where(s.condition, holds=False):
                    yield from self.accesses(s.orelse)
            elif isinstance(s, While):
                yield from self.accesses(s.test)
                yield from self.accesses(s.body)

    def distinct(self, a: Index, b: Index) -> bool:
        return any(self.ranges.proves(apply("ne", i, j)) for i, j in zip(a, b, strict=True))


def _candidates(loop: For) -> list[tuple[Array, Index]]:
    """Elements the loop stores to whose index is the same in every iteration."""
    changed = {loop.var}
    for s in walk(loop.body):
        if isinstance(s, (Assign, For)):
            changed.add(s.var)
        elif isinstance(s, Intrinsic):
            changed.update(x for x in s.outs if isinstance(x, Scalar))
    found: dict[tuple[Array, Index], None] = {}
    for s in walk(loop.body):
        if isinstance(s, Store) and not any(
            isinstance(p, Load) or (isinstance(p, Ref) and p.var in changed)
            for i in s.index
            for p in leaves(i)
        ):
            found[s.array, s.index] = None
    if not found:
        return []
    # an element that is only stored needs no scalar: the last store wins
    read: set[tuple[Array, Index]] = set()
    for s in walk(loop.body):
        if isinstance(s, Store) and s.add:
            read.add((s.array, s.index))
        read.update((p.array, p.index) for e in expressions(s) for p in leaves(e) if isinstance(p, Load))
    return [key for key in found if key in read]


def _whole(body: list[Stmt]) -> set[Array]:
    """The arrays that a body uses otherwise than by their elements."""
    found: set[Array] = set()
    for s in walk(body):
        if isinstance(s, (Alloc, Alias, Grow, Swap)):
            found.update(a.root for a in _named(s))
        elif isinstance(s, Intrinsic):
            found.update(x.root for x in (*s.ins, *s.outs) if isinstance(x, Array))
    return found


def _hold(loop: For, array: Array, index: Index, held: Scalar) -> For:
    """The loop with the element replaced by the scalar."""
    element = Load(array, index)

    def change(e: Expr) -> Expr | None:
        return Ref(held) if e == element else None

    def body(stmts: list[Stmt]) -> list[Stmt]:
        made: list[Stmt] = []
        for s in stmts:
            new = change_stmt(s, change)
            if isinstance(s, Store) and s.array is array and s.index == index:
                assert isinstance(new, Store)
                value = apply("add", Ref(held), new.value) if s.add else new.value
                made.append(Assign(held, value, line=s.line))
                continue
            if isinstance(new, (For, While)):
                new.body = body(_inner(s, "body"))
            if isinstance(new, While):
                new.test = body(_inner(s, "test"))
            if isinstance(new, If):
                new.then, new.orelse = body(_inner(s, "then")), body(_inner(s, "orelse"))
            made.append(new)
        return made

    return For(loop.var, loop.start, loop.stop, body(loop.body), loop.step, line=loop.line)


def _inner(s: Stmt, name: str) -> list[Stmt]:
    made: list[Stmt] = getattr(s, name)
    return made
