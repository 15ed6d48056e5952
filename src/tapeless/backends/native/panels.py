"""Sums of products over a box of three integers, or half of one, as calls of BLAS on windows of matrices.

    for i in range(n):                          for i0 in range(0, n, 8):
        for k in range(i):                          i1 = min(i0 + 8, n)
            for j in range(m):                      x[i0:i1] += u[i0:i1, :i0] @ v[:i0]
                x[i, j] += u[i, k] * v[k, j]        x[i0:i1] += np.tril(u[i0:i1, i0:i1], -1) @ v[i0:i1]

The triangles at the edge are left to loops or, if they are long the other way, done in squares.  Where the
sum has a triangle, the rest of the square is left; where a factor has one, the rest is zeros, provided that
the other factor is finite: 0 times infinity is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tapeless.backends.native.affine import Affine, affine, expression, plus, simplify
from tapeless.backends.native.nest import (
    I64,
    ONE,
    TRUE,
    Alloc,
    Array,
    Assign,
    Expr,
    For,
    If,
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
PANEL, WORK, LEAST = 8, 2**15, 8
#: So many of a triangle as long as this the other way, of which BLAS does the edge; and if there is no edge.
WIDE, LONG, WHOLE = 48, 192, 12
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

    def long(self) -> Expr:
        """Whether a triangle is long the other way."""
        assert self.slope is not None
        (t,) = self.low.keys() - set(self.slope[:2])
        return apply("ge", self.length(t), LONG)

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

    def product(self, x: Window, u: Window, v: Window, *, own: bool = False) -> list[Stmt]:
        """`x += u * v`, summed over the integer that `x` has no axis for.

        With `own`, what is in `x` outside of the triangle makes no difference to anybody.
        """
        if self.slope is None:
            return [block(x, u, v, self.low, self.high)]
        p, q, upper, by = self.slope
        panel, stop, number, width = (Scalar(x, I64) for x in ("panel", "panel_to", "number", "width"))
        first, last = self.ends(q)
        low, high = {**self.low, q: Ref(panel)}, {**self.high, q: Ref(stop)}
        ends = Ref(panel) + expression(by), Ref(stop) + expression(plus(by, {None: -1}))
        whole = own and {p, q} == x.axes.keys()
        (high if upper else low)[p] = ends[int(upper == whole)]
        body: list[Stmt] = [
            Assign(panel, first + Ref(number) * Ref(width)),
            Assign(stop, apply("minimum", Ref(panel) + Ref(width), last)),
            block(x, u, v, low, high),
        ]
        long = self.long()
        rows = const(WHOLE) if whole else apply("select", long, const(WIDE), const(PANEL))
        before: list[Stmt] = [Assign(width, rows)]
        if not whole:
            low[p], high[p] = ends
            made, edge = self.edge(x, u, v, low, high, long)
            before += made
            body += edge
        count = apply("floordiv", apply("sub", last, first) + Ref(width) + -1, Ref(width))
        return [*before, For(number, const(0), count, body)]

    def triangle(self, low: dict[Scalar, Expr], high: dict[Scalar, Expr], inner: list[Stmt]) -> For:
        """Loops over the part of a square that is in the domain."""
        assert self.slope is not None
        p, q, upper, by = self.slope
        edge = Ref(q) + expression(by)
        around = (low[p], edge) if upper else (edge, high[p])
        return For(q, low[q], high[q], [For(p, *around, inner, independent=True)], independent=True)

    def edge(
        self, x: Window, u: Window, v: Window, low: dict[Scalar, Expr], high: dict[Scalar, Expr], long: Expr
    ) -> tuple[list[Stmt], list[Stmt]]:
        """What does the square at the edge of a triangle, and what comes before all of them."""
        assert self.slope is not None
        p, q, _, _ = self.slope
        loops = self.rest(x, u, v, self.triangle(low, high, []))
        made = Array("square", x.array.dtype, 2)
        alloc = Alloc(made, (const(WIDE), const(WIDE)))
        if {p, q} == x.axes.keys():
            square = _beside(made, x, low)
            add: list[Stmt] = [Store(x.array, x.at(), Load(made, square.at()), add=True)]
            then = [block(square, u, v, low, high, add=False), self.triangle(low, high, add)]
            return [alloc], [If(long, then, [loops])]
        if {p, q} != u.axes.keys():
            u, v = v, u
        square = _beside(made, u, low)
        copy: list[Stmt] = [Store(made, square.at(), Load(u.array, u.at()))]
        fill = [*clear(made, alloc.shape), self.triangle(low, high, copy)]
        then = [*fill, block(x, square, v, low, high)]
        zero = Scalar("zero", x.array.element)
        ends = {c: self.ends(c) if c is self.slope[1] else (self.low[c], self.high[c]) for c in v.axes}
        lows, highs = ({c: pair[k] for c, pair in ends.items()} for k in (0, 1))
        fill_up = If(long, nothing(v, zero, lows, highs))
        before = [alloc, Assign(zero, const(1.0, zero.type)), fill_up]
        return before, [If(apply("eq", Ref(zero), 0.0), then, [loops])]

    def rest(self, x: Window, u: Window, v: Window, outer: For) -> Stmt:
        """Loops for what is not a full block: the innermost one walks along memory."""
        (inner,) = outer.body
        assert isinstance(inner, For)
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


def _beside(made: Array, a: Window, low: dict[Scalar, Expr]) -> Window:
    """A matrix for a part of another one."""
    i, j = sorted(a.axes, key=lambda c: a.axes[c])
    return Window(made, tuple(plus({Ref(c): 1}, affine(low[c]), -1) for c in (i, j)), {i: 0, j: 1})


def block(
    x: Window, u: Window, v: Window, low: dict[Scalar, Expr], high: dict[Scalar, Expr], *, add: bool = True
) -> Stmt:
    """One call: the rows of `x`, its columns, and the terms of each sum."""
    i, j = sorted(x.axes, key=lambda c: x.axes[c])
    if i not in u.axes:
        u, v = v, u
    (k,) = set(u.axes) - {i}
    lengths = [simplify(apply("sub", high[c], low[c])) for c in (i, j, k)]
    starts = [e for w in (x, u, v) for e in w.start(low)]
    axes = (x.axes[i], x.axes[j]), (u.axes[i], u.axes[k]), (v.axes[k], v.axes[j])
    attrs = {"add": add, "axes": axes, "ndims": tuple(w.array.ndim for w in (x, u, v))}
    return Intrinsic("block", (x.array,), (u.array, v.array, *lengths, *starts), attrs)


def nothing(v: Window, zero: Scalar, low: dict[Scalar, Expr], high: dict[Scalar, Expr]) -> list[Stmt]:
    """What makes `zero` 0, or NaN if a number in a window is not finite."""
    none = const(0.0, zero.type)
    body: list[Stmt] = [Assign(zero, Ref(zero) + none * Load(v.array, v.at()))]
    for c in sorted(v.axes, key=lambda c: -v.axes[c]):
        body = [For(c, low[c], high[c], body, independent=True)]
    return [Assign(zero, none), *body]


def clear(a: Array, shape: Sequence[Expr]) -> list[Stmt]:
    """Loops that fill a matrix with zeros."""
    i, j = Scalar("i", I64), Scalar("j", I64)
    zero = Store(a, (Ref(i), Ref(j)), const(0, a.element))
    columns = For(j, ONE - 1, shape[1], [zero], independent=True)
    return [For(i, ONE - 1, shape[0], [columns], independent=True)]
