"""Two sums over one triangle, of which the second has rows and columns exchanged: one product.

    for i in range(n):                          s = zeros((n, n))
        for j in range(i + 1):                  for j <= i: s[i, j] += f[i, j]; s[j, i] += f[i, j]
            for k in range(m):                  x += s @ v
                x[i, k] += f[i, j] * v[j, k]
                x[j, k] += f[i, j] * v[i, k]

Gradients of `v @ v.T`, of which one half is computed, are such sums, and so are products with a symmetric
matrix.  One call of BLAS does no more than the panels of two triangles do, at its full speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tapeless.backends.native.affine import Affine, affine, expression, plus
from tapeless.backends.native.nest import (
    I64,
    Alloc,
    Array,
    Assign,
    Expr,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
)
from tapeless.backends.native.panels import PANEL, Domain, Window, block, clear, moved, nothing


@dataclass(slots=True)
class Product(Stmt):
    """`x += u * v` over a domain, which `expanded` makes statements of."""

    domain: Domain
    x: Window
    u: Window
    v: Window
    own: bool = False


def expanded(body: Sequence[Stmt]) -> list[Stmt]:
    """A body with statements in the place of its products."""
    out: list[Stmt] = []
    run: list[Product] = []
    for s in body:
        if isinstance(s, Product):
            run.append(s)
            continue
        out += [*_together(run), s]
        run = []
    return [*out, *_together(run)]


def _together(run: list[Product]) -> list[Stmt]:
    """Products that stand one after the other; they may change places if none reads what another makes."""
    out: list[Stmt] = []
    free = not {w.array.root for p in run for w in (p.u, p.v)} & {p.x.array.root for p in run}
    while run:
        first, *run = run
        half = _half(first) if free else None
        found = [(p, shift) for p in run if half and (shift := half.shift(p)) is not None]
        if half is None or not found:
            out += first.domain.product(first.x, first.u, first.v, own=first.own)
        else:
            other, shift = found[0]
            run = [p for p in run if p is not other]
            out += half.both(other, shift)
    return out


def _half(p: Product) -> _Half | None:
    if p.own or p.domain.slope is None:
        return None
    edge = set(p.domain.slope[:2])
    for f, v in ((p.u, p.v), (p.v, p.u)):
        if f.axes.keys() == edge and v.axes.keys() != edge and p.x.axes.keys() != edge:
            return _Half(p, f, v)
    return None


class _Half:
    """A product `x[s, t] += f[s, r] * v[r, t]` with a triangle `f`, and what the other half would be."""

    def __init__(self, product: Product, f: Window, v: Window) -> None:
        assert product.domain.slope is not None
        self.product, self.domain, self.x, self.f, self.v = product, product.domain, product.x, f, v
        p, q = product.domain.slope[:2]
        self.s, self.r = (p, q) if p in self.x.axes else (q, p)
        (self.t,) = self.domain.low.keys() - {p, q}

    def shift(self, other: Product) -> Affine | None:
        """What makes of `r` an index beside `s`, if the other product is the other half.

        Its integers may have other names.
        """
        mine, its = self.domain, other.domain
        if its.slope is None or other.own:
            return None
        p, q, upper, by = its.slope
        (t,) = its.low.keys() - {p, q}
        here = {axis: c for c, axis in self.f.axes.items()}
        for f, v in ((other.u, other.v), (other.v, other.u)):
            if f.axes.keys() != {p, q} or {*f.axes.values()} != here.keys():
                continue
            names = {t: self.t, **{c: here[axis] for c, axis in f.axes.items()}}
            low, high = ({names[c]: e for c, e in ends.items()} for ends in (its.low, its.high))
            if (low, high, (names[p], names[q], upper, by)) != (mine.low, mine.high, mine.slope):
                continue
            table: dict[Scalar, Affine] = {c: {Ref(new): 1} for c, new in names.items()}
            x, v = _walked(other.x, table, names), _walked(v, table, names)
            if _walked(f, table, names) != self.f or x.axes.keys() != {self.r, self.t}:
                continue
            ours, theirs = self.x.index[self.x.axes[self.s]], x.index[x.axes[self.r]]
            shift = plus(plus(theirs, {Ref(self.r): 1}, -1), plus(ours, {Ref(self.s): 1}, -1), -1)
            if self.exchanged(x, shift) == self.x and self.exchanged(self.shifted(shift), {}) == v:
                return shift
        return None

    def shifted(self, shift: Affine) -> Window:
        """How `v` is walked by `r` as an index beside `s`."""
        return _walked(self.v, {self.r: plus({Ref(self.r): 1}, shift, -1)}, {})

    def exchanged(self, w: Window, shift: Affine) -> Window:
        r, s = self.r, self.s
        table: dict[Scalar, Affine] = {r: plus({Ref(s): 1}, shift, -1), s: {Ref(r): 1}}
        return _walked(w, table, {r: s, s: r})

    def both(self, other: Product, shift: Affine) -> list[Stmt]:
        """The two products, as one where that pays and all that is multiplied by zero is finite."""
        domain, r, s, t = self.domain, self.r, self.s, self.t
        assert domain.slope is not None
        q = domain.slope[1]
        ends = {c: domain.ends(c) if c is q else (domain.low[c], domain.high[c]) for c in (r, s)}
        ends[r] = tuple(expression(plus(affine(e), shift)) for e in ends[r])  # type: ignore[assignment]
        start, stop, zero = Scalar("first", I64), Scalar("last", I64), Scalar("zero", self.f.array.element)
        out: list[Stmt] = [
            Assign(start, _outer("minimum", ends[r][0], ends[s][0])),
            Assign(stop, _outer("maximum", ends[r][1], ends[s][1])),
            Assign(zero, const(1.0, zero.type)),
        ]
        length = Ref(stop) - Ref(start)
        lows = {t: domain.low[t], r: Ref(start), s: Ref(start)}
        highs = {t: domain.high[t], r: Ref(stop), s: Ref(stop)}
        # the domain may also be a triangle with a long rectangle beside it
        near = apply("le", length, (ends[q][1] - ends[q][0]) + PANEL)
        v = self.shifted(shift)
        out.append(If(apply("all", domain.long(), near), nothing(v, zero, lows, highs)))
        made = Array("mirrored", self.f.array.dtype, 2)
        square = Window(made, ({Ref(r): 1, Ref(start): -1}, {Ref(s): 1, Ref(start): -1}), {r: 0, s: 1})
        at = tuple(expression(plus({Ref(c): 1, Ref(start): -1}, by)) for c, by in ((r, shift), (s, {})))
        value = Load(self.f.array, self.f.at())
        add: list[Stmt] = [Store(made, at, value, add=True), Store(made, at[::-1], value, add=True)]
        then = [
            Alloc(made, (length, length)),
            *clear(made, (length, length)),
            *domain.loops(r, s, lambda: add),
        ]
        then.append(block(self.x, square, v, lows, highs))
        orelse = [y for x in (self.product, other) for y in x.domain.product(x.x, x.u, x.v)]
        return [*out, If(apply("eq", Ref(zero), 0.0), then, orelse)]


def _walked(w: Window, table: dict[Scalar, Affine], names: dict[Scalar, Scalar]) -> Window:
    """A window with sums in the place of its integers, of which the axes then are `names`'s."""
    axes = {names.get(c, c): axis for c, axis in w.axes.items()}
    return Window(w.array, tuple(moved(e, table) for e in w.index), axes)


def _outer(op: str, a: Expr, b: Expr) -> Expr:
    """The least or the greatest of two ends, where that is known."""
    apart = plus(affine(a), affine(b), -1)
    if not apart or apart.keys() == {None}:
        less = apart.get(None, 0) < 0
        return a if less == (op == "minimum") else b
    return apply(op, a, b)
