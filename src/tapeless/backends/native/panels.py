"""Sums of products over a box of three integers, or half of one, as calls of BLAS on windows of matrices.

    for i in range(n):                          for i0 in range(0, n, 16):
        for k in range(i):                          i1 = min(i0 + 16, n)
            for j in range(m):                      x[i0:i1] += u[i0:i1, :i0] @ v[:i0]
                x[i, j] += u[i, k] * v[k, j]        for i in range(i0, i1):
                                                        for k in range(i0, i):
                                                            for j in range(m):
                                                                x[i, j] += u[i, k] * v[k, j]

Nothing is computed that the loops do not compute: a zero in place of what is not read would make a NaN of
what is infinite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tapeless.backends.native.affine import Affine, affine, expression, plus, simplify
from tapeless.backends.native.nest import (
    I64,
    ONE,
    TRUE,
    Array,
    Assign,
    Expr,
    For,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
)
from tapeless.backends.native.scopes import names

#: Rows of a triangle that are done at once; BLAS pays from so many multiplications, and lengths.
PANEL, WORK, LEAST = 16, 2**15, 8
Bounds = dict[Scalar, tuple[Affine, Affine]]


@dataclass(frozen=True)
class Window:
    """What two of the three integers walk of an array, along one axis each, of which one is the last."""

    array: Array
    index: tuple[Affine, ...]
    axes: dict[Scalar, int]

    def last(self, c: Scalar) -> bool:
        return self.axes.get(c) == self.array.ndim - 1

    def start(self, low: dict[Scalar, Expr]) -> list[Expr]:
        """The first element, where each integer is least."""
        return [expression(moved(e, {c: affine(x) for c, x in low.items()})) for e in self.index]

    def at(self) -> tuple[Expr, ...]:
        return tuple(map(expression, self.index))


def moved(a: Affine, table: dict[Scalar, Affine]) -> Affine:
    """A sum with others in the place of some variables."""
    total: Affine = {}
    for k, c in a.items():
        other = table.get(k.var) if isinstance(k, Ref) else None
        total = plus(total, {k: 1} if other is None else other, c)
    return total


def window(a: Array, index: Sequence[Affine], among: Sequence[Scalar]) -> Window | None:
    """How these integers walk an array, if BLAS can."""
    axes: dict[Scalar, int] = {}
    for axis, e in enumerate(index):
        for k, c in e.items():
            mentioned = set() if k is None else set(names(k)) & set(among)
            if not mentioned:
                continue
            if not isinstance(k, Ref) or c != 1 or k.var in axes or axis in axes.values():
                return None
            axes[k.var] = axis
    if len(axes) != 2 or a.ndim - 1 not in axes.values() or not a.contiguous:
        return None
    return Window(a, tuple(index), axes)


class Domain:
    """Where three integers are: in a box, of which a bound of one may move with another."""

    def __init__(self, bounds: Bounds) -> None:
        self.low: dict[Scalar, Expr] = {}
        self.high: dict[Scalar, Expr] = {}
        self.slope: tuple[Scalar, Scalar, bool, Affine] | None = None
        """`p` is less than `q` plus a number (or not less)."""
        self.plain = True
        for p, ends in bounds.items():
            for upper, end in enumerate(ends):
                others = [k for k in end if k is not None and set(names(k)) & set(bounds)]
                if not others:
                    continue
                (k, *more) = others
                if more or self.slope is not None or not isinstance(k, Ref) or end[k] != 1 or k.var is p:
                    self.plain = False
                    return
                self.slope = p, k.var, bool(upper), plus(end, {k: 1}, -1)
        for p, (low, high) in bounds.items():
            self.low[p], self.high[p] = expression(low), expression(high)
        if self.slope is not None:
            p, q, upper, by = self.slope
            if upper:
                self.high[p] = expression(plus(plus(bounds[q][1], by), {None: -1}))
            else:
                self.low[p] = expression(plus(bounds[q][0], by))

    def length(self, c: Scalar) -> Expr:
        return simplify(apply("sub", self.high[c], self.low[c]))

    def large(self) -> Expr:
        """Whether there is enough to do for BLAS."""
        lengths = [self.length(c) for c in self.low]
        found: Expr = TRUE
        for n in lengths:
            found = apply("all", found, apply("ge", n, LEAST))
        i, j, k = lengths
        return apply("all", found, apply("ge", apply("mul", apply("mul", i, j), k), WORK))

    def ends(self, c: Scalar) -> tuple[Expr, Expr]:
        """The range of an integer, without the values for which the others have none."""
        low, high = self.low[c], self.high[c]
        if self.slope is not None and self.slope[1] is c:
            p, _, upper, by = self.slope
            if upper:
                low = apply("maximum", low, apply("sub", self.low[p], expression(by)) + 1)
            else:
                high = apply("minimum", high, apply("sub", self.high[p], expression(by)))
        return low, high

    def loops(self, a: Scalar, b: Scalar, inner: Callable[[], list[Stmt]]) -> list[Stmt]:
        """Loops over the values that two of the integers have."""
        if self.slope is not None and self.slope[:2] in ((a, b), (b, a)):
            p, q, upper, by = self.slope
            edge = Ref(q) + expression(by)
            ends = (self.low[p], edge) if upper else (edge, self.high[p])
            body: list[Stmt] = [For(p, *ends, inner(), independent=True)]
            return [For(q, *self.ends(q), body, independent=True)]
        return [For(a, *self.ends(a), [For(b, *self.ends(b), inner(), independent=True)], independent=True)]

    def product(self, x: Window, u: Window, v: Window) -> list[Stmt]:
        """`x += u * v`, summed over the integer that `x` has no axis for."""
        if self.slope is None:
            return [_block(x, u, v, self.low, self.high)]
        p, q, upper, by = self.slope
        panel, stop = Scalar("panel", I64), Scalar("panel_to", I64)
        first, last = self.ends(q)
        low, high = {**self.low, q: Ref(panel)}, {**self.high, q: Ref(stop)}
        rest = Ref(q) + expression(by)
        if upper:
            high[p] = edge = Ref(panel) + expression(by)
            around = (edge, rest)
        else:
            low[p] = edge = Ref(stop) + expression(plus(by, {None: -1}))
            around = (rest, edge)
        body: list[Stmt] = [
            Assign(stop, apply("minimum", Ref(panel) + PANEL, last)),
            _block(x, u, v, low, high),
            self.rest(x, u, v, For(q, Ref(panel), Ref(stop), []), For(p, *around, [])),
        ]
        return [For(panel, first, last, body, step=PANEL)]

    def rest(self, x: Window, u: Window, v: Window, outer: For, inner: For) -> Stmt:
        """Loops for what is not a full block: the innermost one walks along memory."""
        (t,) = set(self.low) - {outer.var, inner.var}
        full = For(t, self.low[t], self.high[t], [])
        score = {c: sum(w.last(c) for w in (x, u, v)) for c in (t, inner.var)}
        nest = [outer, inner, full] if score[t] >= score[inner.var] else [outer, full, inner]
        product = Load(u.array, u.at()) * Load(v.array, v.at())
        last = nest.pop()
        if last.var in x.axes:
            last.body, last.independent = [Store(x.array, x.at(), product, add=True)], True
            body: list[Stmt] = [last]
        else:
            total = Scalar("total", x.array.element)
            last.body = [Assign(total, Ref(total) + product)]
            body = [Assign(total, const(0, total.type)), last, Store(x.array, x.at(), Ref(total), add=True)]
        for loop in reversed(nest):
            loop.body = body
            body = [loop]
        return body[0]


def _block(x: Window, u: Window, v: Window, low: dict[Scalar, Expr], high: dict[Scalar, Expr]) -> Stmt:
    """One call: the rows of `x`, its columns, and the terms of each sum."""
    i, j = sorted(x.axes, key=lambda c: x.axes[c])
    if i not in u.axes:
        u, v = v, u
    (k,) = set(u.axes) - {i}
    lengths = [simplify(apply("sub", high[c], low[c])) for c in (i, j, k)]
    starts = [e for w in (x, u, v) for e in w.start(low)]
    axes = (x.axes[i], x.axes[j]), (u.axes[i], u.axes[k]), (v.axes[k], v.axes[j])
    attrs = {"add": True, "axes": axes, "ndims": tuple(w.array.ndim for w in (x, u, v))}
    return Intrinsic("block", (x.array,), (u.array, v.array, *lengths, *starts), attrs)


def clear(a: Array, shape: Sequence[Expr]) -> list[Stmt]:
    """Loops that fill a matrix with zeros."""
    i, j = Scalar("i", I64), Scalar("j", I64)
    zero = Store(a, (Ref(i), Ref(j)), const(0, a.element))
    columns = For(j, ONE - 1, shape[1], [zero], independent=True)
    return [For(i, ONE - 1, shape[0], [columns], independent=True)]
