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
        here: list[Expr] = [Ref(v) for v in at]
        long = self.long(inner)
        rest = self.pieces(here)
        for condition, terms, cleared in reversed(self.rims(here)):
            rest = [If(_both(long, condition), self.whole(here, terms, cleared), rest)]
        full = long
        for k in outer:
            full = _both(full, self.middle(k, here[k]))
        body: list[Stmt] = [If(full, self.whole(here, list(self.terms), self.clear is not None), rest)]
        for k in reversed(outer):
            least, most = self.reach(k)
            if self.clear is not None:
                least, most = min(least, self.clear[k][0]), max(most, self.clear[k][1])
            low, high = self.axes[k].low + least, self.axes[k].high + most
            body = [For(at[k], simplify(low), simplify(high), body, independent=True)]
        return body[0]

    def long(self, k: int) -> Expr:
        """Whether an axis has elements that get all terms, as far as it decides."""
        least, most = self.reach(k)
        return apply("gt", self.axes[k].high - self.axes[k].low, most - least)

    def middle(self, k: int, at: Expr) -> Expr:
        least, most = self.reach(k)
        return self.inside(k, at, most, least)

    def rims(self, at: list[Expr]) -> list[tuple[Expr, list[Distance], bool]]:
        """Rows at the rim along one axis: where they are, their terms, and whether they are set to 0 before.

        In a plane they are few; in space there is a plane of them at each end.
        """
        outer = range(len(self.axes) - 1)
        found: list[tuple[Expr, list[Distance], bool]] = []
        for k in outer if len(outer) > 1 else ():
            others = self.long(k)
            for j in outer:
                others = others if j == k else _both(others, self.middle(j, at[j]))
            axis, (least, most) = self.axes[k], self.reach(k)
            low, high = (most, least) if self.clear is None else self.clear[k]
            for c in range(least, most):
                below = (axis.low, [d for d in self.terms if d[k] <= c], c >= low)
                above = (axis.high, [d for d in self.terms if d[k] > c], c < high)
                for end, terms, cleared in (below, above):
                    if len(terms) > 1:
                        here = _both(apply("eq", at[k], simplify(end + c)), others)
                        found.append((here, terms, cleared))
        return found

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

    def whole(self, at: list[Expr], terms: list[Distance], cleared: bool) -> list[Stmt]:
        """A row of which every element between the ends gets all of some terms."""
        axis, k = self.axes[-1], len(self.axes) - 1
        least, most = self.reach(k)
        low, high = self.clear[k] if self.clear is not None and cleared else (most, least)
        out: list[Stmt] = []

        def end(at_end: Expr, mine: list[Distance], add: bool) -> None:
            if mine or not add:
                out.append(self.store([*at[:-1], at_end], mine, add))

        for c in range(min(least, low), most):
            end(axis.low + c, [d for d in terms if d[k] <= c], c < low)
        var = Scalar(axis.var.name, I64)
        middle = self.store([*at[:-1], Ref(var)], terms, add=not cleared)
        start, stop = simplify(axis.low + most), simplify(axis.high + least)
        out.append(For(var, start, stop, [middle], independent=True))
        for c in range(least, max(most, high)):
            end(axis.high + c, [d for d in terms if d[k] > c], c >= high)
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
