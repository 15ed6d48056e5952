"""SciPy's piecewise polynomials, B-splines and grids: what its C code computes, as NumPy does.

The values are those of the C code; the formulas here, opened in its place, give the derivatives by
coefficients, breakpoints (knots) and places. Read only when a function of `scipy.interpolate` is first
looked up.
"""
# The twins are opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import math

import numpy as np
import scipy.interpolate as si  # type: ignore[import-untyped]
import scipy.linalg.lapack as lapack  # type: ignore[import-untyped]

from tapeless.rules.compat import find
from tapeless.rules.registry import nondifferentiable, twin
from tapeless.rules.twins import exactly, plainly, refuse, untold

# ---- piecewise polynomials ---------------------------------------------------------------------------

_EVALUATE = find("scipy.interpolate._ppoly.evaluate")
_INTEGRATE = find("scipy.interpolate._ppoly.integrate")
_CONTINUE = find("scipy.interpolate._ppoly.fix_continuity")


def pieces(x, at):
    """The piece in which each place lies; the outer ones go on beyond the ends."""
    falling = len(x) > 1 and x[-1] < x[0]
    found = np.searchsorted(-x if falling else x, -at if falling else at, side="right") - 1
    return np.clip(found, 0, len(x) - 2)


def powers(c, s, nu):
    """The derivative of order `nu` of polynomials, the coefficients of the highest powers first."""
    total, k = 0.0, len(c)
    for j in range(k - nu):
        n = k - 1 - j
        total = total + c[j] * (math.perm(n, nu) * s ** (n - nu))[:, None]
    return total


@twin(_EVALUATE)
def _evaluate(c, x, xp, nu, extrapolate, out):
    found = np.empty_like(out)
    plainly(_EVALUATE, c, x, xp, nu, extrapolate, found)
    which = plainly(pieces, x, xp)
    total = powers(c[:, which], xp - x[which], nu) + np.zeros(found.shape)
    out[...] = exactly(found, np.where(plainly(np.isnan, found), np.nan, total))


@twin(_INTEGRATE)
def _integrate(c, x, a, b, extrapolate, out):
    found = np.empty_like(out)
    plainly(_INTEGRATE, c, x, a, b, extrapolate, found)
    k = len(c)
    whole = np.stack([c[j] / (k - j) for j in range(k)] + [0.0 * c[0]])
    wide = np.diff(x)
    steps = np.concatenate((0.0 * c[0, :1], np.cumsum(powers(whole, wide, 0), axis=0)))
    ends = []
    for t in (a, b):
        which = plainly(pieces, x, np.array([t]))
        ends.append(steps[which] + powers(whole[:, which], np.array([t]) - x[which], 0))
    out[...] = exactly(found, np.reshape(ends[1] - ends[0], found.shape))


@twin(_CONTINUE)
def _fix_continuity(c, x, order):
    """Each piece begins as the one before it ends, up to a derivative."""
    found = np.array(c)
    plainly(_CONTINUE, found, x, order)
    made = c.copy()
    for i in range(1, len(x) - 1):
        for j in range(order + 1):
            end = powers(made[:, i - 1 : i], x[i : i + 1] - x[i - 1 : i], j) / math.factorial(j)
            made[-1 - j, i] = end[0]
    c[...] = exactly(found, made)


# ---- B-splines (de Boor 1972) ------------------------------------------------------------------------

_SPLINE = find("scipy.interpolate._dierckx.evaluate_spline")
_COLLOCATE = find("scipy.interpolate._dierckx._coloc")


def knots_below(t, k, x, n):
    """The last knot at or below each place, among those between which the spline is defined."""
    return np.clip(np.searchsorted(t[: n + 1], x, side="right") - 1, k, n - 1)


def spline(t, c, k, x, nu):
    """The derivative of order `nu` of a spline, of which each row of `c` is a coefficient."""
    for _ in range(nu):  # a spline of a lower degree
        n = len(c)
        apart = t[k + 1 : k + n] - t[1:n]
        c = k * np.diff(c, axis=0) / np.where(apart == 0, 1.0, apart)[:, None]
        t, k = t[1:-1], k - 1
    i = plainly(knots_below, t, k, x, len(c))
    parts = [c[i - k + j] for j in range(k + 1)]
    for r in range(1, k + 1):
        for j in range(k, r - 1, -1):
            low, high = t[i - k + j], t[i + 1 + j - r]
            share = ((x - low) / (high - low))[:, None]
            parts[j] = (1 - share) * parts[j - 1] + share * parts[j]
    return parts[k]


@twin(_SPLINE)
def _evaluate_spline(t, c, k, xp, nu, extrapolate):
    found = plainly(_SPLINE, t, c, k, xp, nu, extrapolate)
    if nu > k:
        return found
    c = c[: len(t) - k - 1]  # there may be zeros behind them
    return exactly(found, np.where(plainly(np.isnan, found), np.nan, spline(t, c, k, xp, nu)))


@twin(_COLLOCATE)
def _coloc(x, t, k, ab, offset=0):
    """The values of all splines at the places, as a banded matrix for LAPACK."""
    found = np.array(ab)
    plainly(_COLLOCATE, x, t, k, found, offset)
    rows, columns = plainly(np.nonzero, found)
    whole = spline(t, np.eye(len(t) - k - 1), k, x, 0)
    made = ab.copy()
    # column j of the matrix holds its row i at place kl + ku + i - j
    place = columns + rows - 2 * k
    made[rows, columns] = whole[place - offset, rows]
    ab[...] = exactly(found, made)


@twin(lapack.dgbsv)
def _dgbsv(kl, ku, ab, b, overwrite_ab=0, overwrite_b=0):
    """Solving with a banded matrix that stands below `kl` further rows; the factors are constants."""
    found = plainly(lapack.dgbsv, kl, ku, ab, b)
    n = ab.shape[1]
    k = plainly(np.subtract.outer, np.arange(n), np.arange(n)) + ku
    inside = (k >= 0) & (k <= kl + ku)
    matrix = ab[kl + np.clip(k, 0, kl + ku), plainly(np.arange, n)] * inside
    return (*found[:2], exactly(found[2], np.linalg.solve(matrix, b)), found[3])


nondifferentiable(find("scipy.interpolate._dierckx.find_interval"))
_ALL = find("scipy.interpolate._dierckx.evaluate_all_bspl")


@twin(_ALL)
def _evaluate_all_bspl(t, k, xval, m, nu=0):
    found = plainly(_ALL, t, k, xval, m, nu)
    y = spline(t, np.eye(len(t) - k - 1), k, np.reshape(xval, (1,)), nu)[0]
    return exactly(found, y[m - k : m + 1])


# ---- FITPACK -----------------------------------------------------------------------------------------

_SPLEV = find("scipy.interpolate._fitpack_impl.dfitpack.splev")
_SPLDER = find("scipy.interpolate._fitpack_impl.dfitpack.splder")
_SPLINT = find("scipy.interpolate._fitpack_impl.dfitpack.splint")
_CURFIT = find("scipy.interpolate._fitpack_impl.dfitpack.curfit")


def _beyond(found, t, c, k, x, nu, ext):
    n = len(t) - k - 1
    x = np.asarray(x)
    if ext == 3:
        x = np.clip(x, t[k], t[n])
    y = spline(t, c[:n, None], k, x, nu)[:, 0]
    return exactly(found, np.where((x < t[k]) | (x > t[n]), 0.0, y) if ext == 1 else y)


@twin(_SPLEV)
def _splev(t, c, k, x, e=0):
    found, code = plainly(_SPLEV, t, c, k, x, e)
    return _beyond(found, t, c, k, x, 0, e), code


@twin(_SPLDER)
def _splder(t, c, k, x, nu=1, e=0):
    found, code = plainly(_SPLDER, t, c, k, x, nu, e)
    return _beyond(found, t, c, k, x, nu, e), code


@twin(_SPLINT)
def _splint(t, c, k, a, b):
    """The integral of a spline is the difference of one of higher degree."""
    found = plainly(_SPLINT, t, c, k, a, b)
    n = len(t) - k - 1
    rising = np.concatenate((np.zeros(1), np.cumsum(c[:n] * (t[k + 1 :] - t[:n]) / (k + 1))))
    ends = np.clip(np.stack((a, b)), t[k], t[n])
    wide = np.concatenate((t[:1], t, t[-1:]))
    y = spline(wide, rising[:, None], k + 1, ends, 0)[:, 0]
    return exactly(found[0], y[1] - y[0]), untold(found[1], "wrk of scipy.interpolate.splint", c)


_SMOOTH = "smoothing splines (s > 0) have no derivative rule: give the knots (t=), or interpolate (s=0)"


def through(t, k, w, x, y):
    """The coefficients of the spline with these knots that comes nearest to the data."""
    matrix = w[:, None] * spline(t, np.eye(len(t) - k - 1), k, x, 0)
    return np.linalg.solve(matrix.T @ matrix, matrix.T @ (w * y))


def placed(knots, n, k, x, xb, xe):
    """The knots of an interpolating spline, which stand at the data, or halfway between two."""
    inner = knots[k + 1 : n - k - 1]
    where = plainly(np.searchsorted, x, inner)
    at_data = plainly(np.array_equal, x[where], inner)
    ends = np.ones(k + 1)
    return np.concatenate((xb * ends, x[where] if at_data else (x[where] + x[where - 1]) / 2, xe * ends))


@twin(_CURFIT)
def _curfit(task, x, y, w, t, wrk, iwrk, xb, xe, k, s):
    """The knots are given (task -1), or stand at places of the data (s=0)."""
    knots = np.array(t)
    n, c, fp, code = plainly(_CURFIT, task, x, y, w, knots, wrk, iwrk, xb, xe, k, s)
    if task != -1 and s != 0:
        refuse(_SMOOTH)
    if task == -1:
        t[k + 1 : n - k - 1] = exactly(knots[k + 1 : n - k - 1], t[k + 1 : n - k - 1])
        t[: k + 1], t[n - k - 1 : n] = xb, xe
    else:
        t[:n] = exactly(knots[:n], placed(knots, n, k, x, xb, xe))
    made = through(t[:n], k, w, x, y)
    rest = np.sum((w * (y - spline(t[:n], made[:, None], k, x, 0)[:, 0])) ** 2)
    return n, exactly(c, np.concatenate((made, np.zeros(len(c) - len(made))))), exactly(fp, rest), code


_FIT = find("scipy.interpolate._fitpack2.dfitpack.fpcurf0")


@twin(_FIT)
def _fpcurf0(x, y, k, w=None, xb=None, xe=None, s=None):
    options = {name: v for name, v in (("w", w), ("xb", xb), ("xe", xe), ("s", s)) if v is not None}
    data = list(plainly(_FIT, x, y, k, **options))
    if data[6] != 0:
        refuse(_SMOOTH)
    n, x, y = data[7], np.asarray(x), np.asarray(y)
    first, last = x[0] if xb is None else xb, x[-1] if xe is None else xe
    knots = exactly(data[8][:n], placed(data[8], n, k, x, first, last))
    made = through(knots, k, plainly(np.asarray, data[2]), x, y)
    data[8] = np.concatenate((knots, data[8][n:]))
    data[9] = exactly(data[9], np.concatenate((made, np.zeros(len(data[9]) - len(made)))))
    return tuple(data)


# ---- regular grids -----------------------------------------------------------------------------------

_INDICES = find("scipy.interpolate._rgi_cython.find_indices")
_PLANE = find("scipy.interpolate._rgi_cython.evaluate_linear_2d")


@twin(_INDICES)
def _find_indices(grid, xi):
    where, shares = plainly(_INDICES, grid, xi)
    made = []
    for k, axis in enumerate(grid):
        low = axis[where[k]]
        high = axis[where[k] + 1] if len(axis) > 1 else low + 1.0
        made.append((xi[k] - low) / (high - low))
    return where, exactly(shares, np.stack(made))


@twin(_PLANE)
def _evaluate_linear_2d(values, indices, norm_distances, grid, out):
    found = plainly(_PLANE, values, indices, norm_distances, grid, np.empty_like(out))
    (i, j), (f, g) = indices, norm_distances
    one = (1 - g) * values[i, j] + g * values[i, j + 1]
    two = (1 - g) * values[i + 1, j] + g * values[i + 1, j + 1]
    out[...] = exactly(np.asarray(found), (1 - f) * one + f * two)
    return out


_POINTS = find("scipy.interpolate._interpnd._ndim_coords_from_arrays")


@twin(_POINTS)
def _ndim_coords_from_arrays(points, ndim=None):
    found = plainly(_POINTS, points, ndim)
    if isinstance(points, tuple) and len(points) == 1 and isinstance(points[0], tuple):
        points = points[0]
    if isinstance(points, tuple):
        made = np.stack(np.broadcast_arrays(*[np.asarray(p) for p in points]), axis=-1)
    else:
        made = np.reshape(np.asarray(points), found.shape)
    return exactly(found, made)


# ---- Lagrange's polynomial ---------------------------------------------------------------------------


@twin(si.lagrange)
def _lagrange(x, w):
    """SciPy leaves terms of data that are 0 out, and with them their derivatives."""
    x, w = np.asarray(x) * 1.0, np.asarray(w) * 1.0
    found, n = plainly(si.lagrange, x, w).coeffs, len(x)
    if len(found) != n:
        refuse("scipy.interpolate.lagrange has no derivative rule where the polynomial is of a lower degree")
    matrix = np.stack([x**k for k in range(n - 1, -1, -1)], axis=-1)
    return np.poly1d(exactly(found, np.linalg.solve(matrix, w)))
