"""Tangents of the operations on whole arrays, as nests."""

from __future__ import annotations

from collections.abc import Callable

from tapeless.backends.native import own, python_calls
from tapeless.backends.native.activity import Activity
from tapeless.backends.native.matrices import (
    Operation,
    cofactors,
    half,
    how_solved,
    inverse_of,
    outside,
    read_lower,
    reciprocal_gap,
    sorted_index,
    substituted,
)
from tapeless.backends.native.nest import (
    Array,
    Assign,
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
from tapeless.backends.native.renaming import Companions, clone
from tapeless.backends.native.special import NeedsRule
from tapeless.errors import MissingRuleError


class Pushforward(Operation):
    """The tangents of one operation, which has run: those of its operands, and those to be made."""

    def run(self) -> list[Stmt]:
        if self.s.name not in TANGENTS:
            raise MissingRuleError(f"native code has no derivative of {self.s.name}")
        if any(x is not None for x in self.d_in):
            TANGENTS[self.s.name](self)
        elif not self.flag("add"):
            self.clear_results()
        return self.out


def tangent(s: Intrinsic, active: Activity, arithmetic: Arithmetic, tangents: Companions) -> list[Stmt]:
    """An operation and its tangents."""
    if s.name == "owned":
        return [*clone([s]), *own.tangent(s, active, tangents)]
    return [*clone([s]), *Pushforward(s, active, arithmetic, tangents).run()]


def _t_random(p: Pushforward) -> None:
    raise MissingRuleError("native code has no derivative by the parameters of a distribution")


def _t_gemm(p: Pushforward) -> None:
    (a, b), (at, bt), (made,) = p.ins, p.d_in, p.d_out
    assert made is not None
    add = p.flag("add")
    for left, right in ((at, b), (a, bt)):
        if left is not None and right is not None:
            p.product(left, right, p.flag("ta"), p.flag("tb"), into=made, add=add)
            add = True


def _t_gemv(p: Pushforward) -> None:
    (a, x), (at, xt), (made,) = p.ins, p.d_in, p.d_out
    assert made is not None
    add = p.flag("add")
    for left, right in ((at, x), (a, xt)):
        if left is not None and right is not None:
            p.applied(left, right, p.flag("ta"), into=made, add=add)
            add = True


def _t_solve(p: Pushforward) -> None:
    (a, _), (at, bt), (x,), (made,) = p.ins, p.d_in, p.arrays, p.d_out
    assert made is not None
    right = p.each(p.shape(x), lambda *i: Load(bt, i) if bt is not None else p.number(0.0))
    if at is not None:
        moved = (p.applied if x.ndim == 1 else p.product)(at, x, p.flag("ta"))
        p.set(right, lambda *i: -Load(moved, i), add=True)
    p.call("solve", (made,), (a, right), ta=p.flag("ta"), **how_solved(p.s))


def _t_inv(p: Pushforward) -> None:
    (at,), (y,), (made,) = p.d_in, p.arrays, p.d_out
    assert made is not None and at is not None
    moved = p.product(p.product(y, at), y)
    p.set(made, lambda i, j: -Load(moved, (i, j)))


def _t_det(p: Pushforward) -> None:
    (a,), (at,), (made,) = p.ins, p.d_in, p.d_scalar
    det = p.s.outs[0]
    assert made is not None and at is not None and isinstance(det, Scalar)
    rates = cofactors(p, a, Ref(det))
    times = p.arithmetic.times
    p.out.append(Assign(made, p.total(p.shape(a), lambda i, j: times(Load(at, (i, j)), Load(rates, (i, j))))))


def _t_slogdet(p: Pushforward) -> None:
    (a,), (at,), made = p.ins, p.d_in, p.d_scalar[1]
    assert made is not None and at is not None
    inverse, times = inverse_of(p, a), p.arithmetic.times
    total = p.total(p.shape(a), lambda i, j: times(Load(at, (i, j)), Load(inverse, (j, i))))
    p.out.append(Assign(made, total))


def _t_cholesky(p: Pushforward) -> None:
    (at,), (low,), (made,) = p.d_in, p.arrays, p.d_out
    assert made is not None and at is not None
    once = substituted(p, low, read_lower(p, at), False, "L")
    inside = substituted(p, low, p.transposed(once), False, "L")
    p.product(low, half(p, p.transposed(inside)), into=made)


def _t_qr(p: Pushforward) -> None:
    (at,), (q, r), (qt, rt) = p.d_in, p.arrays, p.d_out
    assert at is not None and qt is not None and rt is not None
    a = p.ins[0]
    m, k, n = Dim(q, 0), Dim(r, 0), Dim(r, 1)
    corner = p.each((k, k), lambda i, j: Load(r, (j, i)))
    moved = p.transposed(substituted(p, corner, p.each((k, m), lambda i, j: Load(at, (j, i))), False, "L"))
    inside = p.product(q, moved, ta=True)
    zero = p.number(0.0)

    def turning(i: Expr, j: Expr) -> Expr:
        low = apply("select", apply("gt", i, j), Load(inside, (i, j)), zero)
        return apply("select", apply("lt", i, j), -Load(inside, (j, i)), low)

    turn = p.each((k, k), turning)
    rest = p.product(q, inside)
    p.set(qt, lambda i, j: Load(moved, (i, j)) - Load(rest, (i, j)))
    p.product(q, turn, into=qt, add=True)
    still = p.each((k, k), lambda i, j: Load(inside, (i, j)) - Load(turn, (i, j)))
    square = p.product(still, p.each((k, k), lambda i, j: Load(r, (i, j))))
    # the other columns: r = q^T a
    other = p.product(qt, a, ta=True)
    p.product(q, at, ta=True, into=other, add=True)
    whole = p.each((k, n), lambda i, j: Load(other, (i, j)))
    p.loops((k, k), lambda i, j: [Store(whole, (i, j), Load(square, (i, j)))])
    p.set(rt, lambda i, j: Load(whole, (i, j)))


def _t_eigh(p: Pushforward) -> None:
    (at,), (w, v), (wt, vt) = p.d_in, p.arrays, p.d_out
    assert at is not None
    inside = p.product(p.product(v, read_lower(p, at), ta=True), v)
    if wt is not None:
        p.set(wt, lambda i: Load(inside, (i, i)))
    if vt is not None:
        times = p.arithmetic.times
        gaps = p.each(
            p.shape(v),
            lambda i, j: times(Load(inside, (i, j)), reciprocal_gap(p, lambda k: Load(w, (k,)), i, j)),
        )
        p.product(v, gaps, into=vt)


def _t_svd(p: Pushforward) -> None:
    (at,), (u, s, vt), (du, ds, dvt) = p.d_in, p.arrays, p.d_out
    assert at is not None and du is not None and ds is not None and dvt is not None
    m, k, n = Dim(u, 0), Dim(s, 0), Dim(vt, 1)
    v = p.transposed(vt)
    inside = p.product(p.product(u, at, ta=True), v)
    p.set(ds, lambda i: Load(inside, (i, i)))

    def gap(i: Expr, j: Expr) -> Expr:
        return reciprocal_gap(p, lambda k: Load(s, (k,)) * Load(s, (k,)), i, j)

    def right(i: Expr, j: Expr) -> Expr:
        return Load(inside, (i, j)) * Load(s, (j,)) + Load(inside, (j, i)) * Load(s, (i,))

    def left(i: Expr, j: Expr) -> Expr:
        return Load(s, (i,)) * Load(inside, (i, j)) + Load(s, (j,)) * Load(inside, (j, i))

    times = p.arithmetic.times
    p.product(u, p.each((k, k), lambda i, j: times(right(i, j), gap(i, j))), into=du)
    # the transpose of v (gap * left): gap is antisymmetric, left symmetric
    p.product(p.each((k, k), lambda i, j: times(left(i, j), gap(j, i))), vt, into=dvt)
    sides: list[tuple[Expr, Array, Callable[[], Array], Array, bool]] = [
        (m, u, lambda: p.product(at, v), du, False),
        (n, v, lambda: p.product(at, u, ta=True), dvt, True),
    ]
    for wide, basis, moved, into, turned in sides:
        outer, p.out = p.out, []
        rest = outside(p, basis, moved())

        def share(i: Expr, j: Expr, rest: Array = rest, turned: bool = turned) -> Expr:
            return Load(rest, (j, i)) / Load(s, (i,)) if turned else Load(rest, (i, j)) / Load(s, (j,))

        p.set(into, share, add=True)
        inner, p.out = p.out, outer
        p.out.append(If(apply("gt", wide, k), inner))


def _t_sort(p: Pushforward) -> None:
    (at,), made, order = p.d_in, p.d_out[0], p.arrays[1]
    assert at is not None and made is not None
    p.set(made, lambda *i: Load(at, sorted_index(i, order)))


def _t_copy(p: Pushforward) -> None:
    (at,), (made,) = p.d_in, p.d_out
    assert at is not None and made is not None
    p.call("copy", (made,), (at,))


def _t_fft(p: Pushforward) -> None:
    (at,), (made,) = p.d_in, p.d_out
    assert at is not None and made is not None
    p.call("fft", (made,), (at,), inverse=p.flag("inverse"))


def _t_called(p: Pushforward) -> None:
    """Its rule is a program, staged with it where it is asked for."""
    order = p.s.attrs["order"]
    if p.s.attrs.get("own"):
        python_calls.push(p)
        return
    raise NeedsRule(p.s.attrs["function"], (order[k] for k, x in enumerate(p.d_in) if x is not None))


TANGENTS: dict[str, Callable[[Pushforward], None]] = {
    "gemm": _t_gemm, "gemv": _t_gemv, "solve": _t_solve, "inv": _t_inv, "det": _t_det,
    "slogdet": _t_slogdet, "cholesky": _t_cholesky, "qr": _t_qr, "eigh": _t_eigh, "svd": _t_svd,
    "sort": _t_sort, "copy": _t_copy, "fft": _t_fft, "random": _t_random, "called": _t_called,
}  # fmt: skip
