"""SciPy's compiled functions. Read only when one of them is first looked up (see `registry.lookup`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sc  # type: ignore[import-untyped]

from tapeless.rules import scipy_special, scipy_sums  # noqa: F401
from tapeless.rules.compat import find_all
from tapeless.rules.incomplete import betainc_by_parameters, gammainc_by_a, kv_by_order
from tapeless.rules.registry import elementwise, nondifferentiable, row, singular, unknown

_ANY = [0.3, -0.3, 0.0, 2.5, -1.75]
_POSITIVE = [0.3, 1.0, 20.0]
_UNIT = [0.3, 0.9, 0.05]
_SHAPES = [(2.0, 0.7), (0.4, 0.1), (9.0, 12.0)]
_PAIRS = [(2.0, 3.5), (0.3, 0.7), (4.5, 0.25)]
_TWO_OVER_ROOT_PI = 2.0 / float(np.sqrt(np.pi))
_PHI = 1.0 / float(np.sqrt(2.0 * np.pi))

# ---- error functions -----------------------------------------------------------------------------

elementwise(sc.erf, partials=lambda y, x: _TWO_OVER_ROOT_PI * np.exp(-x * x), rows=_ANY)
elementwise(sc.erfc, partials=lambda y, x: -_TWO_OVER_ROOT_PI * np.exp(-x * x), rows=_ANY)
elementwise(sc.erfcx, partials=lambda y, x: 2 * x * y - _TWO_OVER_ROOT_PI, rows=_ANY)
elementwise(sc.erfi, partials=lambda y, x: _TWO_OVER_ROOT_PI * np.exp(x * x), rows=_ANY)
elementwise(sc.erfinv, partials=lambda y, x: np.exp(y * y) / _TWO_OVER_ROOT_PI, rows=[*_UNIT, -0.4])
elementwise(sc.erfcinv, partials=lambda y, x: -np.exp(y * y) / _TWO_OVER_ROOT_PI, rows=[*_UNIT, 1.6])
elementwise(sc.dawsn, partials=lambda y, x: 1 - 2 * x * y, rows=_ANY)
elementwise(sc.ndtr, partials=lambda y, x: _PHI * np.exp(-x * x / 2), rows=_ANY)
elementwise(sc.log_ndtr, partials=lambda y, x: _PHI * np.exp(-x * x / 2 - y), rows=[*_ANY, -20.0])
elementwise(sc.ndtri, partials=lambda y, p: np.exp(y * y / 2) / _PHI, rows=_UNIT)


def trigamma(x: Any) -> Any:
    """The derivative of digamma, which SciPy has for real numbers."""
    return unknown("scipy.special.digamma", "x (complex)") if np.iscomplexobj(x) else sc.zeta(2.0, x)


# ---- gamma and beta ------------------------------------------------------------------------------

elementwise(sc.gamma, partials=lambda y, x: y * sc.digamma(x), rows=[0.3, -0.3, 2.5, -1.75])
elementwise(sc.gammaln, partials=lambda y, x: sc.digamma(x), rows=[0.3, -0.3, 2.5, 20.0])
elementwise(sc.loggamma, partials=lambda y, x: sc.digamma(x), rows=[0.3, 2.5, 20.0])


def rgamma_slope(y: Any, x: Any) -> Any:
    """The derivative of 1 / gamma, below 1/2 by reflection (DLMF 5.5.3), for digamma has poles there."""
    low = np.less(np.real(x), 0.5)
    left, right = np.where(low, x, 0.0), np.where(low, 1.0, x)
    turn = np.cos(np.pi * left) - sc.digamma(1 - left) * np.sin(np.pi * left) / np.pi
    return np.where(low, sc.gamma(1 - left) * turn, -sc.rgamma(right) * sc.digamma(right))


elementwise(sc.rgamma, partials=rgamma_slope, rows=[0.3, -0.3, 2.5, 0.0, -1.0, -2.0])
elementwise([sc.digamma, sc.psi], partials=lambda y, x: trigamma(x), rows=_POSITIVE)
elementwise(
    find_all("scipy.special._ufuncs._zeta"),  # Hurwitz; `scipy.special.zeta` is Python above it
    partials=(lambda y, x, q: unknown("scipy.special.zeta", "x"), lambda y, x, q: -x * sc.zeta(x + 1.0, q)),
    rows=[row(np.array(2), 1.5)],
)
elementwise(
    sc.beta,
    partials=(
        lambda y, a, b: y * (sc.digamma(a) - sc.digamma(a + b)),
        lambda y, a, b: y * (sc.digamma(b) - sc.digamma(a + b)),
    ),
    rows=_PAIRS,
)
elementwise(
    sc.betaln,
    partials=(
        lambda y, a, b: sc.digamma(a) - sc.digamma(a + b),
        lambda y, a, b: sc.digamma(b) - sc.digamma(a + b),
    ),
    rows=_PAIRS,
)
elementwise(
    sc.gammainc,
    partials=(
        lambda y, a, x: gammainc_by_a(a, x),
        lambda y, a, x: np.exp(-x + sc.xlogy(a - 1, x) - sc.gammaln(a)),
    ),
    rows=_SHAPES,
)
elementwise(
    sc.gammaincc,
    partials=(
        lambda y, a, x: -gammainc_by_a(a, x),
        lambda y, a, x: -np.exp(-x + sc.xlogy(a - 1, x) - sc.gammaln(a)),
    ),
    rows=_SHAPES,
)


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """The density of the beta distribution."""
    return np.exp(sc.xlogy(a - 1, x) + sc.xlog1py(b - 1, -x) - sc.betaln(a, b))


elementwise(
    sc.betainc,
    partials=(
        lambda y, a, b, x: betainc_by_parameters(a, b, x)[0],
        lambda y, a, b, x: betainc_by_parameters(a, b, x)[1],
        lambda y, a, b, x: beta_density(a, b, x),
    ),
    rows=[(2.0, 3.0, 0.7), (0.4, 1.5, 0.1), (9.0, 12.0, 0.4)],
)
elementwise(
    find_all("scipy.special.betaincc"),
    partials=(
        lambda y, a, b, x: -betainc_by_parameters(a, b, x)[0],
        lambda y, a, b, x: -betainc_by_parameters(a, b, x)[1],
        lambda y, a, b, x: -beta_density(a, b, x),
    ),
    rows=[(2.0, 3.0, 0.7)],
)
elementwise(
    sc.poch,
    partials=(
        lambda y, z, m: y * (sc.digamma(z + m) - sc.digamma(z)),
        lambda y, z, m: y * sc.digamma(z + m),
    ),
    rows=_PAIRS,
)
elementwise(
    sc.binom,
    partials=(
        lambda y, n, k: y * (sc.digamma(n + 1) - sc.digamma(n - k + 1)),
        lambda y, n, k: y * (sc.digamma(n - k + 1) - sc.digamma(k + 1)),
    ),
    rows=[(5.3, 2.2), (4.5, 0.25)],
)

# ---- logistic and logarithms ---------------------------------------------------------------------

elementwise(sc.expit, partials=lambda y, x: y * (1 - y), rows=_ANY)
elementwise(sc.log_expit, partials=lambda y, x: sc.expit(-x), rows=_ANY)
elementwise(sc.logit, partials=lambda y, p: 1 / (p * (1 - p)), rows=_UNIT)
elementwise(sc.exprel, partials=lambda y, x: exprel_slope(y, x), rows=[0.3, -0.3, 2.5])
elementwise(sc.exp2, partials=lambda y, x: float(np.log(2.0)) * y, rows=_ANY)
elementwise(sc.exp10, partials=lambda y, x: float(np.log(10.0)) * y, rows=_ANY)
elementwise(sc.expm1, partials=lambda y, x: y + 1, rows=_ANY)
elementwise(sc.log1p, partials=lambda y, x: 1 / (1 + x), rows=[0.3, -0.3, 0.0])
elementwise(sc.cbrt, partials=lambda y, x: 1 / (3 * y * y), rows=[0.3, -0.3, singular(0.0)])
elementwise(sc.cosm1, partials=lambda y, x: -np.sin(x), rows=_ANY)
elementwise(
    sc.xlogy,
    partials=(lambda y, x, b: np.log(b), lambda y, x, b: x / b),
    rows=[*_PAIRS, (0.0, 2.0), singular(0.0, 0.0)],
)
elementwise(
    sc.xlog1py,
    partials=(lambda y, x, b: np.log1p(b), lambda y, x, b: x / (1 + b)),
    rows=[*_PAIRS, (0.0, 2.0), singular(0.0, -1.0)],
)


def inside(a: Any, b: Any, slope: Any) -> Any:
    """A slope of what is infinite where an operand is negative."""
    return np.where((a < 0) | (b < 0), np.nan, slope)


elementwise(sc.entr, partials=lambda y, x: -np.log(x) - 1, rows=[0.3, 2.5, singular(0.0)])
elementwise(
    sc.rel_entr,
    partials=(
        lambda y, a, b: inside(a, b, np.log(a / b) + 1),
        lambda y, a, b: inside(a, b, -a / b),
    ),
    rows=[*_PAIRS, singular(0.0, 0.5), singular(-1.0, 0.5), singular(-1.0, -0.5)],
)
elementwise(
    sc.kl_div,
    partials=(
        lambda y, a, b: inside(a, b, np.log(a / b)),
        lambda y, a, b: inside(a, b, 1 - a / b),
    ),
    rows=[*_PAIRS, singular(0.0, 0.5), singular(-1.0, 0.5), singular(-1.0, -0.5)],
)
elementwise(
    sc.huber,
    partials=(
        lambda y, delta, r: np.where(np.abs(r) <= delta, 0, np.abs(r) - delta),
        lambda y, delta, r: np.clip(r, -delta, delta),
    ),
    rows=[(1.0, 0.4), (1.0, -2.5)],
)


def exprel_slope(y: Any, x: Any) -> Any:
    """The derivative of (exp(x) - 1) / x, by its series near 0."""
    near = np.abs(x) < 1e-3
    safe = np.where(near, 1, x)
    far = (np.exp(safe) - y) / safe
    return np.where(near, 0.5 + x / 3 + x * x / 8 + x * x * x / 30, far)


# ---- Bessel functions and integrals --------------------------------------------------------------

elementwise(sc.j0, partials=lambda y, x: -sc.j1(x), rows=_ANY)
elementwise(sc.j1, partials=lambda y, x: 0.5 * (sc.j0(x) - sc.jn(2, x)), rows=_ANY)
elementwise(sc.y0, partials=lambda y, x: -sc.y1(x), rows=_POSITIVE)
elementwise(sc.y1, partials=lambda y, x: sc.y0(x) - y / x, rows=_POSITIVE)
elementwise(sc.i0, partials=lambda y, x: sc.i1(x), rows=_ANY)
elementwise(sc.i1, partials=lambda y, x: 0.5 * (sc.i0(x) + sc.iv(2, x)), rows=_ANY)
elementwise(sc.i0e, partials=lambda y, x: sc.i1e(x) - np.sign(x) * y, rows=[0.3, -0.3, 2.5, -1.75])
elementwise(
    sc.i1e,
    partials=lambda y, x: 0.5 * (sc.i0e(x) + sc.ive(2, x)) - np.sign(x) * y,
    rows=[0.3, -0.3, 2.5, -1.75],
)
elementwise(sc.k0, partials=lambda y, x: -sc.k1(x), rows=_POSITIVE)
elementwise(sc.k1, partials=lambda y, x: -sc.k0(x) - y / x, rows=_POSITIVE)
elementwise(
    [sc.jv],  # and sc.jn, which is another name of it
    partials=(
        lambda y, v, x: unknown("scipy.special.jv", "v"),
        lambda y, v, x: 0.5 * (sc.jv(v - 1, x) - sc.jv(v + 1, x)),
    ),
    rows=[row(np.array(2), 0.7), row(np.array(0), 3.5)],
)
elementwise(
    sc.yv,
    partials=(
        lambda y, v, x: unknown("scipy.special.yv", "v"),
        lambda y, v, x: 0.5 * (sc.yv(v - 1, x) - sc.yv(v + 1, x)),
    ),
    rows=[row(np.array(2), 0.7)],
)
elementwise(
    sc.iv,
    partials=(
        lambda y, v, x: unknown("scipy.special.iv", "v"),
        lambda y, v, x: 0.5 * (sc.iv(v - 1, x) + sc.iv(v + 1, x)),
    ),
    rows=[row(np.array(2), 0.7)],
)
elementwise(
    sc.ive,
    partials=(
        lambda y, v, x: unknown("scipy.special.ive", "v"),
        lambda y, v, x: 0.5 * (sc.ive(v - 1, x) + sc.ive(v + 1, x)) - np.sign(x) * y,
    ),
    rows=[row(np.array(2), 0.7)],
)
elementwise(
    sc.kv,
    partials=(
        lambda y, v, x: (
            np.exp(-x) * kv_by_order(v, x) if not np.iscomplexobj(x) else unknown("scipy.special.kv", "v")
        ),
        lambda y, v, x: -0.5 * (sc.kv(v - 1, x) + sc.kv(v + 1, x)),
    ),
    rows=[(2.0, 0.7), (0.5, 3.0), row(np.array(1), 0.3 + 0.2j)],
)
elementwise(
    sc.kve,
    partials=(
        lambda y, v, x: kv_by_order(v, x) if not np.iscomplexobj(x) else unknown("scipy.special.kve", "v"),
        lambda y, v, x: y - 0.5 * (sc.kve(v - 1, x) + sc.kve(v + 1, x)),
    ),
    rows=[(2.0, 0.7), (0.5, 3.0), row(np.array(1), 0.3 + 0.2j)],
)
elementwise(sc.expi, partials=lambda y, x: np.exp(x) / x, rows=[0.3, -0.3, 2.5])
elementwise(sc.exp1, partials=lambda y, x: -np.exp(-x) / x, rows=_POSITIVE)
elementwise(
    sc.spence,
    partials=lambda y, z: np.where(np.equal(z, 1), -1, np.log(z) / np.where(np.equal(z, 1), np.inf, 1 - z)),
    rows=[0.3, 2.5],
)
elementwise(sc.wrightomega, partials=lambda y, z: y / (1 + y), rows=_ANY)
elementwise(
    find_all("scipy.special._ufuncs._lambertw"),
    partials=(lambda y, z, k, tol: 1 / (z + np.exp(y)),),
    rows=[row(0.3 + 0.4j, 0, 1e-14), row(2.5 + 0j, 0, 1e-14)],
)
nondifferentiable(sc.gammasgn)
elementwise(
    sc.yn,
    partials=(
        lambda y, n, x: unknown("scipy.special.yn", "n"),  # SciPy takes any number for n, and cuts it off
        lambda y, n, x: 0.5 * (sc.yn(np.trunc(n) - 1, x) - sc.yn(np.trunc(n) + 1, x)),
    ),
    rows=[row(2, 0.7), row(np.array(0), 3.5), row(-2, 0.7)],
)
elementwise(
    sc.kn,
    partials=(
        lambda y, n, x: unknown("scipy.special.kn", "n"),
        lambda y, n, x: -0.5 * (sc.kv(np.trunc(n) - 1, x) + sc.kv(np.trunc(n) + 1, x)),
    ),
    rows=[row(2, 0.7), row(np.array(0), 3.5), row(-2, 0.7)],
)

# ---- distributions -------------------------------------------------------------------------------


def gamma_density(a: Any, x: Any) -> Any:
    """The density of the gamma distribution of shape `a`."""
    return np.exp(sc.xlogy(a - 1, x) - x - sc.gammaln(a))


def t_density(df: Any, t: Any) -> Any:
    """The density of Student's t distribution."""
    scale = sc.gammaln((df + 1) / 2) - sc.gammaln(df / 2) - 0.5 * np.log(np.pi * df)
    return np.exp(scale - (df + 1) / 2 * np.log1p(t * t / df))


elementwise(
    sc.chdtr,
    partials=(
        lambda y, v, x: 0.5 * gammainc_by_a(v / 2, x / 2),
        lambda y, v, x: 0.5 * gamma_density(v / 2, x / 2),
    ),
    rows=[(3.0, 0.7)],
)
elementwise(
    sc.chdtrc,
    partials=(
        lambda y, v, x: -0.5 * gammainc_by_a(v / 2, x / 2),
        lambda y, v, x: -0.5 * gamma_density(v / 2, x / 2),
    ),
    rows=[(3.0, 0.7)],
)
elementwise(
    sc.chdtri,
    partials=(
        lambda x, v, p: -gammainc_by_a(v / 2, x / 2) / gamma_density(v / 2, x / 2),
        lambda x, v, p: -2 / gamma_density(v / 2, x / 2),
    ),
    rows=[(3.0, 0.7)],
)
elementwise(
    sc.gdtr,
    partials=(
        lambda y, a, b, x: x * gamma_density(b, a * x),
        lambda y, a, b, x: gammainc_by_a(b, a * x),
        lambda y, a, b, x: a * gamma_density(b, a * x),
    ),
    rows=[(0.8, 3.0, 0.7)],
)
elementwise(
    sc.gdtrc,
    partials=(
        lambda y, a, b, x: -x * gamma_density(b, a * x),
        lambda y, a, b, x: -gammainc_by_a(b, a * x),
        lambda y, a, b, x: -a * gamma_density(b, a * x),
    ),
    rows=[(0.8, 3.0, 0.7)],
)


def f_partials(m: Any, n: Any, x: Any) -> Any:
    """The partials of the F distribution, an incomplete beta function of m x / (m x + n)."""
    rest = m * x + n
    by_a, by_b = betainc_by_parameters(m / 2, n / 2, m * x / rest)
    density = beta_density(m / 2, n / 2, m * x / rest) / (rest * rest)
    return by_a / 2 + density * x * n, by_b / 2 - density * m * x, density * m * n


elementwise(sc.fdtr, partials=lambda y, m, n, x: f_partials(m, n, x), rows=[(3.0, 5.0, 0.7), (8.0, 2.5, 2.0)])
elementwise(
    sc.fdtrc,
    partials=lambda y, m, n, x: tuple([-p for p in f_partials(m, n, x)]),
    rows=[(3.0, 5.0, 0.7)],
)
elementwise(
    sc.fdtri,
    partials=(
        lambda x, m, n, p: -f_partials(m, n, x)[0] / f_partials(m, n, x)[2],
        lambda x, m, n, p: -f_partials(m, n, x)[1] / f_partials(m, n, x)[2],
        lambda x, m, n, p: 1 / f_partials(m, n, x)[2],
    ),
    rows=[(3.0, 5.0, 0.7)],
)


def t_by_df(df: Any, t: Any) -> Any:
    """Student's distribution by its degrees of freedom: below 0 half of I(df / (df + t t); df / 2, 1 / 2)."""
    square = t * t
    part = df / (df + square)
    slope = betainc_by_parameters(df / 2, 0.5, part)[0] / 2
    density = np.exp(sc.xlogy(df / 2 - 1, part) - sc.betaln(df / 2, 0.5))
    slope = slope + density * np.abs(t) / (df + square) ** 1.5
    return -np.sign(t) * slope / 2


elementwise(
    sc.pdtr,
    partials=(
        lambda y, k, m: unknown("scipy.special.pdtr", "k"),
        lambda y, k, m: -gamma_density(np.floor(k) + 1, m),
    ),
    rows=[row(np.array(3), 0.7)],
)
elementwise(
    sc.pdtrc,
    partials=(
        lambda y, k, m: unknown("scipy.special.pdtrc", "k"),
        lambda y, k, m: gamma_density(np.floor(k) + 1, m),
    ),
    rows=[row(np.array(3), 0.7)],
)
elementwise(
    sc.stdtr,
    partials=(
        lambda y, df, t: t_by_df(df, t),
        lambda y, df, t: t_density(df, t),
    ),
    rows=[(3.0, 0.7), (1.5, -2.0)],
)
elementwise(
    sc.stdtrit,
    partials=(
        lambda y, df, p: -t_by_df(df, y) / t_density(df, y),
        lambda y, df, p: 1 / t_density(df, y),
    ),
    rows=[(3.0, 0.7), (1.5, 0.2)],
)
elementwise(
    sc.gammaincinv,
    partials=(
        lambda y, a, p: -gammainc_by_a(a, y) / gamma_density(a, y),
        lambda y, a, p: 1 / gamma_density(a, y),
    ),
    rows=[(2.0, 0.7), (0.5, 0.2)],
)
elementwise(
    sc.gammainccinv,
    partials=(
        lambda y, a, p: -gammainc_by_a(a, y) / gamma_density(a, y),
        lambda y, a, p: -1 / gamma_density(a, y),
    ),
    rows=[(2.0, 0.7), (0.5, 0.2)],
)
elementwise(
    sc.betaincinv,
    partials=(
        lambda y, a, b, p: -betainc_by_parameters(a, b, y)[0] / beta_density(a, b, y),
        lambda y, a, b, p: -betainc_by_parameters(a, b, y)[1] / beta_density(a, b, y),
        lambda y, a, b, p: 1 / beta_density(a, b, y),
    ),
    rows=[(2.0, 3.0, 0.7), (0.4, 1.5, 0.1)],
)
elementwise(
    find_all("scipy.special.betainccinv"),
    partials=(
        lambda y, a, b, p: -betainc_by_parameters(a, b, y)[0] / beta_density(a, b, y),
        lambda y, a, b, p: -betainc_by_parameters(a, b, y)[1] / beta_density(a, b, y),
        lambda y, a, b, p: -1 / beta_density(a, b, y),
    ),
    rows=[(2.0, 3.0, 0.7)],
)
