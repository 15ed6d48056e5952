"""Lengths of arrays as what they were made with, so that loops over the same range say so.

Where checks have found n - m + 4 and m - n - 4 not to be negative, n is m - 4 from there on.
"""

from __future__ import annotations

from dataclasses import replace

from tapeless.backends.native.affine import affine, expression, plus
from tapeless.backends.native.nest import (
    ZERO,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Check,
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
        self.params = {p: k for k, p in enumerate(fn.params)}
        #: sums that are not negative, and lengths that are others
        self.positive: set[frozenset[tuple[Expr | None, int]]] = set()
        self.same: dict[Expr, Expr] = {}
        self.top = fn.body
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
            if isinstance(e, Dim) and e.array in known:
                e = known[e.array][e.axis]
            return map_leaves(e, lambda x: self.same.get(x, x)) if self.same else e

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
            if isinstance(made, Check) and body is self.top:
                self.learn(made.condition)
            out.append(made)
        return out

    def learn(self, condition: Expr) -> None:
        """Two sums of lengths that are not negative and add up to 0 are both 0."""
        if not isinstance(condition, Apply) or condition.op != "ge" or condition.args[1] != ZERO:
            return
        parts = affine(condition.args[0])
        if not all(k is None or (isinstance(k, Dim) and self.fixed(k)) for k in parts):
            return
        self.positive.add(frozenset(parts.items()))
        if frozenset((k, -n) for k, n in parts.items()) not in self.positive:
            return
        dims = [k for k, n in parts.items() if isinstance(k, Dim) and abs(n) == 1]
        last = max(dims, key=lambda k: (self.params[k.array], k.axis), default=None)
        if last is not None:
            rest = plus(parts, {last: parts[last]}, -1)
            self.same[last] = expression(plus({}, rest, -parts[last]))

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
