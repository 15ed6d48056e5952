"""Reads of an array that has just been copied, from the copy: the reverse sweep then needs the copy alone.

    before[:] = u                       before[:] = u
    e = f(u)                            e = f(before)
    u[1:-1] = g(before)                 u[1:-1] = g(before)

Both would be there for the derivative otherwise, the copy for `g` and what `u` was for `f`.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from tapeless.backends.native.activity import Name
from tapeless.backends.native.fuse import with_bodies
from tapeless.backends.native.nest import (
    FLOATS,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    Load,
    Ref,
    Stmt,
    Store,
    children,
    leaves,
    walk,
)
from tapeless.backends.native.rewrite import change_body, change_expr
from tapeless.backends.native.scopes import writes, written


def copied(fn: Function) -> Function:
    """`fn` with the reads of an array, between a copy and its next change, from the copy, if that stays."""
    return replace(fn, body=_Copies(fn).body(fn.body))


class _Copies:
    def __init__(self, fn: Function) -> None:
        self.params: set[Name] = set(fn.params)
        self.lengths = fn.lengths
        self.writers: dict[Name, list[Stmt]] = {}
        self.shapes: dict[Array, list[tuple[Expr, ...]]] = {}
        for s in walk(fn.body):
            for x in writes(s):
                self.writers.setdefault(x, []).append(s)
            if isinstance(s, (Alloc, Alias)):
                self.shapes.setdefault(s.array, []).append(s.shape)
        #: scalars that have one value from beginning to end, once they have it
        once = {s.var for s in fn.body if isinstance(s, Assign) and len(self.writers[s.var]) == 1}
        self.steady: set[Name] = {*once, *(x for x in self.params if x not in self.writers)}

    def body(self, body: list[Stmt]) -> list[Stmt]:
        body = [with_bodies(s, [self.body(b) for b in children(s)]) if children(s) else s for s in body]
        for k, s in enumerate(body):
            found = self.copy(s)
            if found is None:
                continue
            copy, of = found
            ends = [n for n in range(k + 1, len(body)) if {of.root, copy} & written(body[n : n + 1])]
            if ends:
                change = partial(self.read, of, copy)
                body[k + 1 : ends[0]] = change_body(body[k + 1 : ends[0]], change)
        return body

    def read(self, of: Array, copy: Array, e: Expr) -> Expr | None:
        if isinstance(e, Load) and e.array is of:
            return Load(copy, tuple(change_expr(i, partial(self.read, of, copy)) for i in e.index))
        return None

    def copy(self, s: Stmt) -> tuple[Array, Array] | None:
        """The copy and the array that a statement copies whole, if nothing else ever changes the copy."""
        loops: list[For] = []
        while isinstance(s, For) and len(s.body) == 1 and s.start == ZERO and s.step == 1:
            loops.append(s)
            s = s.body[0]
        if not loops or not isinstance(s, Store) or s.add or not isinstance(s.value, Load):
            return None
        to, of = s.array, s.value.array
        index = tuple(Ref(x.var) for x in loops)
        if s.index != index or s.value.index != index or to.dtype != of.dtype or to.element not in FLOATS:
            return None
        made = self.writers.get(to, [])
        if to.alias is not None or to in self.params or len(made) != 2 or not isinstance(made[0], Alloc):
            return None
        shape = tuple(x.stop for x in loops)
        if made[0].shape != shape or not self.has(of, shape) or not all(map(self.fixed, shape)):
            return None
        return to, of

    def has(self, a: Array, shape: tuple[Expr, ...]) -> bool:
        """Whether an array has these lengths all the time."""
        if a not in self.params:
            made = self.shapes.get(a, [])
            grows = any(isinstance(s, Grow) for s in self.writers.get(a.root, ()))
            return bool(made) and all(x == shape for x in made) and not grows
        own = tuple(Dim(a, k) for k in range(a.ndim))
        return self.whole(a) and shape in (own, self.lengths.get(a))

    def fixed(self, e: Expr) -> bool:
        return all(
            isinstance(x, Const)
            or (isinstance(x, Dim) and x.array in self.params and self.whole(x.array))
            or (isinstance(x, Ref) and x.var in self.steady)
            for x in leaves(e)
        )

    def whole(self, a: Array) -> bool:
        """Whether a parameter has the same memory all the time."""
        return all(isinstance(s, Store) for s in self.writers.get(a, ()))
