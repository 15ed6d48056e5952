"""Lengths of arrays as what they were made with, so that loops over the same range say so."""

from __future__ import annotations

from dataclasses import replace

from tapeless.backends.native.nest import (
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
    If,
    Intrinsic,
    Ref,
    Scalar,
    Stmt,
    Swap,
    While,
    leaves,
    walk,
)
from tapeless.backends.native.renaming import map_leaves
from tapeless.backends.native.rewrite import change_stmt


def known_lengths(fn: Function) -> Function:
    """`fn` with the lengths of arrays made once, of lengths that never change, in terms of these."""
    return replace(fn, body=_Lengths(fn).body(fn.body, {}))


class _Lengths:
    def __init__(self, fn: Function) -> None:
        self.made: dict[Array, int] = {}
        self.assigned: set[Scalar] = set()
        self.moved: set[Array] = set()
        self.params = set(fn.params)
        for s in walk(fn.body):
            if isinstance(s, (Alloc, Alias)):
                self.made[s.array] = self.made.get(s.array, 0) + 1
            elif isinstance(s, Grow):
                self.moved.add(s.array)
            elif isinstance(s, Swap):
                self.moved |= {s.a, s.b}
            elif isinstance(s, (Assign, For)):
                self.assigned.add(s.var)
            elif isinstance(s, Intrinsic):
                self.assigned |= {x for x in s.outs if isinstance(x, Scalar)}

    def body(self, body: list[Stmt], known: dict[Array, tuple[Expr, ...]]) -> list[Stmt]:
        """A body in which more and more lengths are known; what is learned in it holds in it."""
        known = dict(known)
        out: list[Stmt] = []

        def change(e: Expr) -> Expr:
            return known[e.array][e.axis] if isinstance(e, Dim) and e.array in known else e

        def whole(e: Expr) -> Expr:
            return map_leaves(e, change)

        for s in body:
            made: Stmt
            if isinstance(s, While):
                test, inner = self.body(s.test, known), self.body(s.body, known)
                made = replace(s, test=test, condition=whole(s.condition), body=inner)
            elif isinstance(s, For):
                made = replace(s, start=whole(s.start), stop=whole(s.stop), body=self.body(s.body, known))
            elif isinstance(s, If):
                then, orelse = self.body(s.then, known), self.body(s.orelse, known)
                made = replace(s, condition=whole(s.condition), then=then, orelse=orelse)
            else:
                made = change_stmt(s, whole)
            if isinstance(made, (Alloc, Alias)) and self.lasting(made):
                known[made.array] = made.shape
            out.append(made)
        return out

    def lasting(self, s: Alloc | Alias) -> bool:
        """Whether the lengths of an array are from here on what it is made with."""
        return self.made[s.array] == 1 and s.array not in self.moved and all(map(self.fixed, s.shape))

    def fixed(self, e: Expr) -> bool:
        return all(
            isinstance(x, Const)
            or (
                isinstance(x, Dim) and x.array in self.params and x.array not in self.moved | self.made.keys()
            )
            or (isinstance(x, Ref) and x.var in self.params and x.var not in self.assigned)
            for x in leaves(e)
        )
