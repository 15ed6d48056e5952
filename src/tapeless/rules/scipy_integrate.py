"""SciPy's integrals and differential equations that QUADPACK and ODEPACK solve.

The derivative of an integral is the integral of the derivative, over the pieces into which QUADPACK has cut
the range, and the integrand at a limit that moves (Leibniz). Read only when a function of `scipy.integrate`
is first looked up.
"""
# The twins are opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from functools import cache

import numpy as np
import scipy.integrate as si  # type: ignore[import-untyped]

from tapeless.custom import stop_gradient
from tapeless.rules.compat import find
from tapeless.rules.registry import twin
from tapeless.rules.twins import exactly, moves, plainly, refuse, told, untold

_GENERAL = find("scipy.integrate._quadpack._qagse")
_INFINITE = find("scipy.integrate._quadpack._qagie")
_BROKEN = find("scipy.integrate._quadpack._qagpe")
_ODEPACK = find("scipy.integrate._odepack.odeint")


#: So many pieces more than QUADPACK's at most: a kink takes 30, and an integrand with noise any number.
PIECES = 1000


@cache
def gauss(n: int) -> list[tuple[float, float]]:
    """Nodes and weights on (0, 1), exact for polynomials of degree 2n - 1."""
    x, w = np.polynomial.legendre.leggauss(n)
    return list(zip(((x + 1) / 2).tolist(), (w / 2).tolist(), strict=True))


@cache
def tanh_sinh() -> list[tuple[float, float]]:
    """Nodes and weights on (0, 1), also for integrands that are infinite at an end (Takahasi, Mori 1974)."""
    t = np.arange(-34, 35) / 10
    u = np.pi / 2 * np.sinh(t)
    weights = np.pi / 40 * np.cosh(t) / np.cosh(u) ** 2
    return list(zip((1 / (1 + np.exp(-2 * u))).tolist(), weights.tolist(), strict=True))


def _over(func, args, pieces, nodes):
    total = 0.0
    for lo, hi in pieces:
        for s, w in nodes:
            x = lo + (hi - lo) * s
            if x != hi or lo == hi:  # where the integrand may be infinite
                total = total + (hi - lo) * w * func(x, *args)
    return total


def _ends(func, args, a, b):
    """Zero, with the derivatives of an integral by its limits: integrals over no range at all."""
    total = 0.0
    if moves(b):
        start = stop_gradient(b)
        total = total + _over(func, args, [(start, b)], plainly(gauss, 3))
    if moves(a):
        start = stop_gradient(a)
        total = total - _over(func, args, [(start, a)], plainly(gauss, 3))
    return total


def smooth_pieces(func, args, info):
    """The pieces into which QUADPACK has cut the range, cut further around kinks, where the derivative of the
    integrand jumps."""
    last, nodes = info["last"], gauss(21)
    pieces = list(zip(info["alist"][:last].tolist(), info["blist"][:last].tolist(), strict=True))
    # not of the integral, which may be zero
    near = 1e-13 * _over(lambda *given: abs(func(*given)), args, pieces, nodes)
    narrow = 1e-9 * sum(hi - lo for lo, hi in pieces)
    fine: list[tuple[float, float]] = []
    while pieces:
        lo, hi = pieces.pop()
        halves = [(lo, (lo + hi) / 2), ((lo + hi) / 2, hi)]
        change = _over(func, args, [(lo, hi)], nodes) - _over(func, args, halves, nodes)
        enough = len(fine) + len(pieces) > last + PIECES
        if abs(change) <= near or hi - lo < narrow or enough:
            fine.append((lo, hi))
        else:
            pieces += halves
    return fine


def _derived(found, func, args, ends, full_output):
    """What QUADPACK found, with a derivative; `func` is the integrand over the pieces it tells of."""
    value, error, info, code = found
    near = 1e-7 * abs(value) + 100 * error + 1e-12
    pieces = plainly(smooth_pieces, func, args, info)
    total = _over(func, args, pieces, plainly(gauss, 21))
    if not abs(total - value) <= near:
        total = _over(func, args, pieces, plainly(tanh_sinh))
        if not abs(total - value) <= near:
            refuse(
                "scipy.integrate.quad has extrapolated to an integral that sums over its pieces do not give, "
                "and which has no derivative rule: split the range, or substitute a variable in which the "
                "integrand is smooth"
            )
    value = exactly(value, total + ends)
    told(info, (), value, "what scipy.integrate.quad tells with full_output")
    error = untold(error, "the error that scipy.integrate.quad estimates", value)
    return (value, error, info, code) if full_output else (value, error, code)


@twin(_GENERAL)
def _finite(func, a, b, args, full_output, epsabs, epsrel, limit):
    found = plainly(_GENERAL, func, a, b, args, 1, epsabs, epsrel, limit)

    return _derived(found, func, args, _ends(func, args, a, b), full_output)


@twin(_BROKEN)
def _with_points(func, a, b, points, args, full_output, epsabs, epsrel, limit):
    found = plainly(_BROKEN, func, a, b, points, args, 1, epsabs, epsrel, limit)

    return _derived(found, func, args, _ends(func, args, a, b), full_output)


@twin(_INFINITE)
def _to_infinity(func, bound, kind, args, full_output, epsabs, epsrel, limit):
    found = plainly(_INFINITE, func, bound, kind, args, 1, epsabs, epsrel, limit)
    start = stop_gradient(bound)

    def folded(t, *args):  # QUADPACK's substitution: the range becomes (0, 1)
        x = (1 - t) / t
        if kind == 2:
            return (func(x, *args) + func(-x, *args)) / (t * t)
        return func(start + kind * x, *args) / (t * t)

    ends = 0.0
    if kind == 1:
        ends = _ends(func, args, bound, 0.0)
    elif kind == -1:
        ends = _ends(func, args, 0.0, bound)
    return _derived(found, folded, args, ends, full_output)


@twin(_ODEPACK)
def _odeint(
    func, y0, t, args, Dfun, col_deriv, ml, mu, full_output, rtol, atol, tcrit, h0, hmax, hmin, ixpr,  # noqa: N803
    mxstep, mxhnil, mxordn, mxords, tfirst,
):  # fmt: skip
    """The trajectory of LSODA; its derivative is that of an integrator of order 8 (of Radau's method of order
    5, where LSODA found the system stiff) which reaches the same times."""
    found = plainly(  # y0 would be overwritten
        _ODEPACK, func, np.array(y0), t, args, Dfun, col_deriv, ml, mu, 1, rtol, atol, tcrit, h0, hmax,
        hmin, ixpr, mxstep, mxhnil, mxordn, mxords, tfirst,
    )  # fmt: skip
    if not isinstance(args, tuple):
        args = (args,)

    def slope(time, y):
        return func(time, y, *args) if tfirst else func(y, time, *args)

    stiff = 2 in found[1]["mused"]
    tight = min(1e-7 if stiff else 1e-9, 1.0 if rtol is None else np.min(rtol))
    small = np.minimum(tight / 10, 1.0 if atol is None else atol)
    y = np.atleast_1d(np.array(y0, dtype=float))
    rows = [y]
    for k in range(1, len(t)):
        if t[k] != t[k - 1]:
            how = "Radau" if stiff else "DOP853"
            y = si.solve_ivp(slope, (t[k - 1], t[k]), y, method=how, rtol=tight, atol=small).y[:, -1]
        rows.append(y)
    path = exactly(found[0], np.stack(rows))
    told(found[1], (), path, "what scipy.integrate.odeint tells with full_output")
    return (path, *found[1:]) if full_output else (path, found[-1])
