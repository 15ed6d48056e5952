"""Adjoints of the operations on whole arrays, as nests."""

from __future__ import annotations

from collections.abc import Callable

from tapeless.backends.native import own, python_calls
from tapeless.backends.native.activity import Activity
from tapeless.backends.native.matrices import (
    Operation,
    add_lower,
    cholesky_back,
    cofactors,
    inverse_of,
    outside,
    plus_scaled,
    points,
    reciprocal_gap,
    solved,
    sorted_index,
    substituted,
)
from tapeless.backends.native.nest import (
    Dim,
    Expr,
    If,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
)
from tapeless.backends.native.partials import Arithmetic
from tapeless.backends.native.renaming import Companions
from tapeless.backends.native.special import NeedsRule
from tapeless.errors import MissingRuleError


class Pullback(Operation):
    """The adjoint of one operation: cotangents of the operands and results by position, None if inactive."""

    def run(self) -> list[Stmt]:
        if self.s.name not in ADJOINTS:
            raise MissingRuleError(f"native code has no derivative of {self.s.name}")
        if any(x is not None for x in self.d_in):
            ADJOINTS[self.s.name](self)
        if not self.flag("add"):
            self.clear_results()
        return self.out


def adjoint(s: Intrinsic, active: Activity, arithmetic: Arithmetic, bars: Companions) -> list[Stmt]:
    """The adjoint code of an operation; it runs before what the operation overwrote is put back."""
    if s.name == "owned":
        return own.adjoint(s, active, bars)
    return Pullback(s, active, arithmetic, bars).run()


def _random(p: Pullback) -> None:
    raise MissingRuleError("native code has no derivative by the parameters of a distribution")


def _gemm(p: Pullback) -> None:
    (a, b), (abar, bbar), (g,) = p.ins, p.d_in, p.d_out
    ta, tb = p.flag("ta"), p.flag("tb")
    if g is None:
        return
    if a is b and ta != tb and abar is not None:  # one product for both places
        both = p.each(p.shape(g), lambda i, j: Load(g, (i, j)) + Load(g, (j, i)))
        p.product(*((a, both) if ta else (both, a)), into=abar, add=True)
        return
    if abar is not None:
        first, second, t1, t2 = (b, g, tb, True) if ta else (g, b, False, not tb)
        p.product(first, second, t1, t2, into=abar, add=True)
    if bbar is not None:
        first, second, t1, t2 = (g, a, True, ta) if tb else (a, g, not ta, False)
        p.product(first, second, t1, t2, into=bbar, add=True)


def _gemv(p: Pullback) -> None:
    (a, x), (abar, xbar), (g,) = p.ins, p.d_in, p.d_out
    if g is None:
        return
    if abar is not None:
        p.add_outer(abar, *((x, g) if p.flag("ta") else (g, x)))
    if xbar is not None:
        p.applied(a, g, not p.flag("ta"), into=xbar, add=True)


def _solve(p: Pullback) -> None:
    (a, _), (abar, bbar), (g,), (x,) = p.ins, p.d_in, p.d_out, p.arrays
    if g is None:
        return
    ta = p.flag("ta")
    share = solved(p, a, g, not ta, p.s)
    if bbar is not None:
        plus_scaled(p, bbar, share)
    if abar is None:
        return
    if x.ndim == 1:
        p.add_outer(abar, *((x, share) if ta else (share, x)), sign=-1)
    else:
        negative = p.each(p.shape(share), lambda i, j: -Load(share, (i, j)))
        p.product(*((x, negative) if ta else (negative, x)), tb=True, into=abar, add=True)


def _inv(p: Pullback) -> None:
    (abar,), (g,), (y,) = p.d_in, p.d_out, p.arrays
    if abar is None or g is None:
        return
    share = p.product(p.product(y, g, ta=True), y, tb=True)
    p.set(abar, lambda i, j: -Load(share, (i, j)), add=True)


def _det(p: Pullback) -> None:
    (a,), (abar,), (g,) = p.ins, p.d_in, p.d_scalar
    if abar is None or g is None:
        return
    det = p.s.outs[0]
    assert isinstance(det, Scalar)
    plus_scaled(p, abar, cofactors(p, a, Ref(det)), Ref(g))


def _slogdet(p: Pullback) -> None:
    (a,), (abar,), g = p.ins, p.d_in, p.d_scalar[1]
    if abar is not None and g is not None:
        inverse = inverse_of(p, a)
        p.set(abar, lambda i, j: p.arithmetic.times(Load(inverse, (j, i)), Ref(g)), add=True)


def _cholesky(p: Pullback) -> None:
    (abar,), (g,), (low,) = p.d_in, p.d_out, p.arrays
    if abar is None or g is None:
        return
    if p.arithmetic.strong:
        add_lower(p, abar, cholesky_back(p, low, g))
        return
    share = p.new(*p.shape(low))
    p.call("cholesky_back", (share,), (low, g))
    plus_scaled(p, abar, share)


def _qr(p: Pullback) -> None:
    (abar,), (qbar, rbar), (q, r) = p.d_in, p.d_out, p.arrays
    if abar is None:
        return
    m, k, n = Dim(q, 0), Dim(r, 0), Dim(r, 1)
    # the first k columns of a make q and the square part of r; the others are q times the rest of r
    total = p.each((m, k), lambda i, j: Load(qbar, (i, j)) if qbar is not None else p.number(0.0))
    middle = p.each((k, k), lambda i, j: p.number(0.0))
    if rbar is not None:
        rest = p.each((k, n - k), lambda i, j: Load(rbar, (i, j + k)))
        other = p.each((m, n - k), lambda i, j: p.number(0.0))
        p.product(q, rest, into=other, add=True)
        p.loops((m, n - k), lambda i, j: [Store(abar, (i, j + k), Load(other, (i, j)), add=True)])
        back = p.each((m, n - k), lambda i, j: Load(p.ins[0], (i, j + k)))
        p.product(back, rest, tb=True, into=total, add=True)
        square = p.each((k, k), lambda i, j: Load(rbar, (i, j)))
        corner = p.each((k, k), lambda i, j: Load(r, (i, j)))
        p.product(corner, square, tb=True, into=middle, add=True)
    negative = p.each((m, k), lambda i, j: -Load(total, (i, j)))
    p.product(negative, q, ta=True, into=middle, add=True)
    lower = p.each((k, k), lambda i, j: Load(middle, (apply("maximum", i, j), apply("minimum", i, j))))
    p.product(q, lower, into=total, add=True)
    corner = p.each((k, k), lambda i, j: Load(r, (i, j)))
    # X r^T = total
    made = substituted(p, corner, p.transposed(total), False, "U")
    p.loops((m, k), lambda i, j: [Store(abar, (i, j), Load(made, (j, i)), add=True)])


def _eigh(p: Pullback) -> None:
    (abar,), (wbar, vbar), (w, v) = p.d_in, p.d_out, p.arrays
    if abar is None:
        return
    n = Dim(v, 0)
    zero = p.number(0.0)
    turned = p.product(v, vbar, ta=True) if vbar is not None else None

    def element(i: Expr, j: Expr) -> Expr:
        off: Expr = zero
        if turned is not None:
            off = p.arithmetic.times(Load(turned, (i, j)), reciprocal_gap(p, lambda k: Load(w, (k,)), i, j))
        return apply("select", apply("eq", i, j), Load(wbar, (i,)), off) if wbar is not None else off

    inside = p.each((n, n), element)
    add_lower(p, abar, p.product(p.product(v, inside), v, tb=True))


def _svd(p: Pullback) -> None:
    (abar,), (ubar, sbar, vbar), (u, s, vt) = p.d_in, p.d_out, p.arrays
    if abar is None:
        return
    m, k, n = Dim(u, 0), Dim(s, 0), Dim(vt, 1)
    zero = p.number(0.0)

    def at(i: Expr) -> Expr:
        return Load(s, (i,))

    def gap(i: Expr, j: Expr) -> Expr:
        return reciprocal_gap(p, lambda k: at(k) * at(k), i, j)

    inside = p.each((k, k), lambda i, j: zero)
    if sbar is not None:
        p.loops((k,), lambda i: [Store(inside, (i, i), Load(sbar, (i,)), add=True)])
    for bar, left in ((ubar, True), (vbar, False)):
        if bar is None:
            continue
        turned = p.product(u, bar, ta=True) if left else p.product(vt, bar, tb=True)
        scaled = p.each((k, k), lambda i, j, t=turned: p.arithmetic.times(Load(t, (i, j)), gap(i, j)))
        p.set(
            inside,
            lambda i, j, e=scaled, left=left: (
                (Load(e, (i, j)) + Load(e, (j, i))) * (at(j) if left else at(i))
            ),
            add=True,
        )
    p.product(p.product(u, inside), vt, into=abar, add=True)
    if ubar is not None:
        outer, p.out = p.out, []
        rest = outside(p, u, ubar)
        p.product(p.each((m, k), lambda i, j: Load(rest, (i, j)) / at(j)), vt, into=abar, add=True)
        inner, p.out = p.out, outer
        p.out.append(If(apply("gt", m, k), inner))
    if vbar is not None:
        outer, p.out = p.out, []
        rest = outside(p, p.transposed(vt), p.transposed(vbar))
        p.product(u, p.each((k, n), lambda i, j: Load(rest, (j, i)) / at(i)), into=abar, add=True)
        inner, p.out = p.out, outer
        p.out.append(If(apply("gt", n, k), inner))


def _sort(p: Pullback) -> None:
    (abar,), g, order = p.d_in, p.d_out[0], p.arrays[1]
    if abar is None or g is None:
        return

    def back(*i: Expr) -> list[Stmt]:
        return [Store(abar, sorted_index(i, order), Load(g, i), add=True)]

    p.loops(p.shape(g), back, free=False)


def _copy(p: Pullback) -> None:
    (abar,), (g,) = p.d_in, p.d_out
    if abar is not None and g is not None:
        plus_scaled(p, abar, g)


def _fft(p: Pullback) -> None:
    (abar,), (g,) = p.d_in, p.d_out
    if abar is None or g is None:
        return
    inverse = p.flag("inverse")
    share = p.new(*p.shape(g))
    p.call("fft", (share,), (g,), inverse=not inverse)
    plus_scaled(p, abar, share, points(p, g, inverse))


def _called(p: Pullback) -> None:
    """Its rule is a program, staged with it where it is asked for."""
    order = p.s.attrs["order"]
    if p.s.attrs.get("own"):
        python_calls.pull(p)
        return
    raise NeedsRule(p.s.attrs["function"], (order[k] for k, x in enumerate(p.d_in) if x is not None))


ADJOINTS: dict[str, Callable[[Pullback], None]] = {
    "gemm": _gemm, "gemv": _gemv, "solve": _solve, "inv": _inv, "det": _det, "slogdet": _slogdet,
    "cholesky": _cholesky, "qr": _qr, "eigh": _eigh, "svd": _svd, "sort": _sort, "copy": _copy, "fft": _fft,
    "random": _random, "called": _called,
}  # fmt: skip
