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

from tapeless.backends.native.affine import Affine, affine, plus
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
        found = _mirror(first)
        other = next((p for p in run if free and found is not None and found.of(p)), None)
        if found is None or other is None:
            out += first.domain.product(first.x, first.u, first.v, own=first.own)
        else:
            run = [p for p in run if p is not other]
            out += found.both(other)
    return out


def _mirror(p: Product) -> _Mirror | None:
    if p.own or p.domain.slope is None:
        return None
    edge = set(p.domain.slope[:2])
    for f, v in ((p.u, p.v), (p.v, p.u)):
        if f.axes.keys() == edge and v.axes.keys() != edge and p.x.axes.keys() != edge:
            return _Mirror(p, f, v)
    return None


class _Mirror:
    """A product with a triangle `f`, and what the other half would be."""

    def __init__(self, product: Product, f: Window, v: Window) -> None:
        assert product.domain.slope is not None
        self.product, self.domain, self.f, self.v = product, product.domain, f, v
        self.p, self.q = product.domain.slope[:2]
        (self.t,) = self.domain.low.keys() - {self.p, self.q}
        self.exchanged = {self.p: self.q, self.q: self.p}

    def of(self, other: Product) -> bool:
        """Whether another product is the other half; its integers may have other names."""
        mine, its = self.domain, other.domain
        if its.slope is None or other.own:
            return False
        (t,) = its.low.keys() - set(its.slope[:2])
        here = {axis: c for c, axis in self.f.axes.items()}
        for f, v in ((other.u, other.v), (other.v, other.u)):
            if f.axes.keys() != set(its.slope[:2]) or {*f.axes.values()} != here.keys() or t not in v.axes:
                continue
            names = {t: self.t, **{c: here[axis] for c, axis in f.axes.items()}}
            low, high = ({names[c]: e for c, e in ends.items()} for ends in (its.low, its.high))
            p, q, upper, by = its.slope
            same = (low, high, (names[p], names[q], upper, by)) == (mine.low, mine.high, mine.slope)
            if same and renamed(f, names) == self.f:
                names |= {c: self.exchanged[names[c]] for c in (p, q)}
                return renamed(v, names) == self.v and renamed(other.x, names) == self.product.x
        return False

    def both(self, other: Product) -> list[Stmt]:
        """The two products, as one where that pays and all that is multiplied by zero is finite."""
        domain, p, q, t = self.domain, self.p, self.q, self.t
        out: list[Stmt] = []
        (low_p, high_p), (low_q, high_q) = (domain.low[p], domain.high[p]), domain.ends(q)
        low, high = _outer("minimum", low_p, low_q), _outer("maximum", high_p, high_q)
        start, stop = Scalar("first", I64), Scalar("last", I64)
        zero = Scalar("zero", self.f.array.element)
        out += [Assign(start, low), Assign(stop, high), Assign(zero, const(1.0, zero.type))]
        length = Ref(stop) - Ref(start)
        # the domain may also be a triangle with a long rectangle beside it
        near = apply("le", length, (high_q - low_q) + PANEL)
        lows, highs = {t: domain.low[t]}, {t: domain.high[t]}
        for c in (p, q):
            lows[c], highs[c] = Ref(start), Ref(stop)
        out.append(If(apply("all", domain.long(), near), nothing(self.v, zero, lows, highs)))
        made = Array("mirrored", self.f.array.dtype, 2)
        shape = (length, length)
        at = [plus({Ref(c): 1}, {Ref(start): 1}, -1) for c in (p, q)]
        square = Window(made, tuple(at), {p: 0, q: 1})
        value = Load(self.f.array, self.f.at())
        add: list[Stmt] = [
            Store(made, square.at(), value, add=True),
            Store(made, square.at()[::-1], value, add=True),
        ]
        then = [Alloc(made, shape), *clear(made, shape), *domain.loops(p, q, lambda: add)]
        then.append(block(self.product.x, square, self.v, lows, highs))
        orelse = [s for x in (self.product, other) for s in x.domain.product(x.x, x.u, x.v)]
        return [*out, If(apply("eq", Ref(zero), 0.0), then, orelse)]


def renamed(w: Window, names: dict[Scalar, Scalar]) -> Window:
    table: dict[Scalar, Affine] = {c: {Ref(new): 1} for c, new in names.items()}
    axes = {names.get(c, c): axis for c, axis in w.axes.items()}
    return Window(w.array, tuple(moved(e, table) for e in w.index), axes)


def _outer(op: str, a: Expr, b: Expr) -> Expr:
    """The least or the greatest of two ends, where that is known."""
    apart = plus(affine(a), affine(b), -1)
    if not apart or apart.keys() == {None}:
        less = apart.get(None, 0) < 0
        return a if less == (op == "minimum") else b
    return apply(op, a, b)
