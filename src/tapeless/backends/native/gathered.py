"""The loops that set each element to the sum of what stencils add to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.collected import collected
from tapeless.backends.native.nest import (
    I64,
    TRUE,
    Array,
    Expr,
    For,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
)
from tapeless.backends.native.perfect import Axis, Distance
from tapeless.backends.native.renaming import map_leaves, substituted
from tapeless.backends.native.scopes import names


@dataclass(eq=False)
class Gather:
    """Sums into elements of `array`: at `index`, of the loops' variables, moved by each distance."""

    array: Array
    index: tuple[Expr, ...]
    axes: list[Axis]
    #: the array's axis that each loop moves along
    along: list[int]
    terms: dict[Distance, Expr]
    #: elements set to 0 right before: from the loops' `low` and `high`, on each axis
    clear: list[tuple[int, int]] | None = None

    def reach(self, k: int) -> tuple[int, int]:
        found = [d[k] for d in self.terms]
        return min(found), max(found)

    def code(self) -> Stmt:
        """The loops: rows that get all terms are one loop, others have one for each term."""
        *outer, inner = range(len(self.axes))
        at = [Scalar(axis.var.name, I64) for axis in self.axes]
        whole = self.whole([Ref(v) for v in at])
        last = self.axes[inner]
        first, final = self.reach(inner)
        full: Expr = apply("gt", last.high - last.low, final - first)
        for k in outer:
            least, most = self.reach(k)
            full = _both(full, self.inside(k, Ref(at[k]), most, least))
        body: list[Stmt] = [If(full, whole, self.pieces([Ref(v) for v in at]))]
        for k in reversed(outer):
            least, most = self.reach(k)
            if self.clear is not None:
                least, most = min(least, self.clear[k][0]), max(most, self.clear[k][1])
            low, high = self.axes[k].low + least, self.axes[k].high + most
            body = [For(at[k], simplify(low), simplify(high), body, independent=True)]
        return body[0]

    def inside(self, k: int, at: Expr, low: int, high: int) -> Expr:
        axis = self.axes[k]
        return _both(apply("ge", at, simplify(axis.low + low)), apply("lt", at, simplify(axis.high + high)))

    def term(self, d: Distance, at: Sequence[Expr]) -> Expr:
        """What the element `at` gets from the iteration at this distance."""
        return moved(self.terms[d], {a.var: x - n for a, x, n in zip(self.axes, at, d, strict=True)})

    def store(self, at: Sequence[Expr], terms: Iterable[Distance], add: bool) -> Stmt:
        """The sum of some terms, in the same form wherever the element is."""
        here = [Ref(a.var) for a in self.axes]
        mine = {a.var for a in self.axes}
        parts = [self.term(d, here) for d in terms]
        total: Expr = const(0, self.array.element)
        if parts:
            total = collected(parts, lambda e: not mine & set(names(e)))
        place = {a.var: x for a, x in zip(self.axes, at, strict=True)}
        index = tuple(simplify(substituted(e, place)) for e in self.index)
        return Store(self.array, index, moved(total, place), add)

    def whole(self, at: list[Expr]) -> list[Stmt]:
        """A row of which every element between the ends gets all terms."""
        axis, k = self.axes[-1], len(self.axes) - 1
        least, most = self.reach(k)
        low, high = (least, most) if self.clear is None else self.clear[k]
        out: list[Stmt] = []
        for c in range(min(least, low), most):
            terms = [d for d in self.terms if d[k] <= c]
            out.append(self.store([*at[:-1], axis.low + c], terms, add=self.clear is None or c < low))
        var = Scalar(axis.var.name, I64)
        middle = self.store([*at[:-1], Ref(var)], self.terms, add=self.clear is None)
        start, stop = simplify(axis.low + most), simplify(axis.high + least)
        out.append(For(var, start, stop, [middle], independent=True))
        for c in range(least, max(most, high)):
            terms = [d for d in self.terms if d[k] > c]
            out.append(self.store([*at[:-1], axis.high + c], terms, add=self.clear is None or c >= high))
        return out

    def pieces(self, at: list[Expr]) -> list[Stmt]:
        """A row at the rim: terms where there are some."""
        *outer, inner = range(len(self.axes))
        axis = self.axes[inner]
        out: list[Stmt] = []

        def where(condition: Expr, s: Stmt) -> Stmt:
            return s if condition == TRUE else If(condition, [s])

        if self.clear is not None:
            low, high = self.clear[inner]
            condition: Expr = TRUE
            for k in outer:
                condition = _both(condition, self.inside(k, at[k], *self.clear[k]))
            var = Scalar(axis.var.name, I64)
            body = [self.store([*at[:-1], Ref(var)], [], add=False)]
            start, stop = simplify(axis.low + low), simplify(axis.high + high)
            out.append(where(condition, For(var, start, stop, body, independent=True)))
        for d in self.terms:
            condition = TRUE
            for k in outer:
                condition = _both(condition, self.inside(k, at[k], d[k], d[k]))
            var = Scalar(axis.var.name, I64)
            body = [self.store([*at[:-1], Ref(var) + d[-1]], [d], add=True)]
            out.append(where(condition, For(var, axis.low, axis.high, body, independent=True)))
        return out


def _both(a: Expr, b: Expr) -> Expr:
    return b if a == TRUE else a if b == TRUE else apply("all", a, b)


def moved(e: Expr, values: dict[Scalar, Expr]) -> Expr:
    """`e` with other loop variables, the indices in it simplified."""

    def change(x: Expr) -> Expr:
        if isinstance(x, Ref):
            return values.get(x.var, x)
        if isinstance(x, Load):
            return Load(x.array, tuple(simplify(i) for i in x.index))
        return x

    return map_leaves(e, change)
