"""More of `scipy.special`: Bessel functions and their relatives, orthogonal polynomials, elliptic integrals
and others. Formulas are those of the Digital Library of Mathematical Functions (DLMF), by section."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sc  # type: ignore[import-untyped]

from tapeless.rules.compat import find
from tapeless.rules.registry import elementwise, jvp_rule, nondifferentiable, row, unknown

_ANY = [0.3, -0.3, 2.5, -1.75]
_POSITIVE = [0.3, 1.0, 5.0]
_ORDERED = [row(np.array(2), 0.7), row(np.array(0), 3.5)]
_FINE = [row(np.array(2), 0.7), row(np.array(1), 3.5)]
_INNER = [row(np.array(3), 0.7), row(np.array(0), -0.4), row(np.array(1), 0.3)]


def ordered(functions: Any, slope: Any, rows: Any) -> None:
    """A function of an order and a number, of which the derivative by the order is not known."""
    name = f"scipy.special.{functions.__name__}"
    elementwise(functions, partials=(lambda y, v, x: unknown(name, "v"), slope), rows=rows)


def real(name: str, x: Any) -> Any:
    """The partial of a function that is scaled by the size of a complex argument is known for real ones."""
    return unknown(f"scipy.special.{name}", "z (complex)") if np.iscomplexobj(x) else 1.0


# ---- Bessel functions (DLMF 10.6, 10.29, 10.51, 9.2) ------------------------------------------------

elementwise(sc.k0e, partials=lambda y, x: y - sc.k1e(x), rows=_POSITIVE)
elementwise(sc.k1e, partials=lambda y, x: y - sc.k0e(x) - y / x, rows=_POSITIVE)
ordered(sc.jve, lambda y, v, x: real("jve", x) * 0.5 * (sc.jve(v - 1, x) - sc.jve(v + 1, x)), _ORDERED)
ordered(sc.yve, lambda y, v, x: real("yve", x) * 0.5 * (sc.yve(v - 1, x) - sc.yve(v + 1, x)), _ORDERED)
ordered(sc.hankel1, lambda y, v, z: 0.5 * (sc.hankel1(v - 1, z) - sc.hankel1(v + 1, z)), _ORDERED)
ordered(sc.hankel2, lambda y, v, z: 0.5 * (sc.hankel2(v - 1, z) - sc.hankel2(v + 1, z)), _ORDERED)
ordered(sc.hankel1e, lambda y, v, z: 0.5 * (sc.hankel1e(v - 1, z) - sc.hankel1e(v + 1, z)) - 1j * y, _ORDERED)
ordered(sc.hankel2e, lambda y, v, z: 0.5 * (sc.hankel2e(v - 1, z) - sc.hankel2e(v + 1, z)) + 1j * y, _ORDERED)
ordered(sc.struve, lambda y, v, x: sc.struve(v - 1, x) - v / x * y, _ORDERED)
ordered(sc.modstruve, lambda y, v, x: sc.modstruve(v - 1, x) - v / x * y, _ORDERED)
elementwise(sc.ber, partials=lambda y, x: sc.berp(x), rows=[0.3, 2.5])
elementwise(sc.bei, partials=lambda y, x: sc.beip(x), rows=[0.3, 2.5])
elementwise(sc.ker, partials=lambda y, x: sc.kerp(x), rows=[0.3, 2.5])
elementwise(sc.kei, partials=lambda y, x: sc.keip(x), rows=[0.3, 2.5])
# x^2 w'' + x w' = i x^2 w, of which these are the parts (DLMF 10.61.3)
elementwise(sc.berp, partials=lambda y, x: -sc.bei(x) - y / x, rows=[0.3, 2.5])
elementwise(sc.beip, partials=lambda y, x: sc.ber(x) - y / x, rows=[0.3, 2.5])
elementwise(sc.kerp, partials=lambda y, x: -sc.kei(x) - y / x, rows=[0.3, 2.5])
elementwise(sc.keip, partials=lambda y, x: sc.ker(x) - y / x, rows=[0.3, 2.5])


def _spherical(kind: str, slope: Any, sign: float) -> None:
    function, derived = (find(f"scipy.special._ufuncs._spherical_{kind}{d}") for d in ("", "_d"))
    if function is None or derived is None:
        return

    def second(y: Any, n: Any, z: Any) -> Any:  # z^2 w'' + 2 z w' + (sign z^2 - n (n + 1)) w = 0
        return -2 * y / z - (sign - n * (n + 1) / (z * z)) * function(n, z)

    elementwise(function, partials=(None, lambda y, n, z: derived(n, z)), rows=[row(2, 0.7), row(0, 3.5)])
    elementwise(derived, partials=(None, second), rows=[row(2, 0.7), row(1, 3.5)])


for _kind, _sign in (("jn", 1.0), ("yn", 1.0), ("in", -1.0), ("kn", -1.0)):
    _spherical(_kind, None, _sign)


@jvp_rule(sc.airy, rows=[0.3, -2.5, 0.4 - 0.3j])
def _(z: Any, dz: Any, *_: Any, out: Any) -> Any:
    ai, aip, bi, bip = out
    return aip * dz, z * ai * dz, bip * dz, z * bi * dz


@jvp_rule(sc.pbdv, rows=[row(np.array(2), 0.7)], count=2)
def _(v: Any, x: Any, dv: Any, dx: Any, *_: Any, out: Any) -> Any:  # DLMF 12.2.2
    if dv is not None:
        unknown("scipy.special.pbdv", "v")
    return out[1] * dx, (x * x / 4 - v - 0.5) * out[0] * dx


# ---- error functions and integrals (DLMF 7.7, 6.2, 7.2; 8.19.13; Owen 1956) -------------------------

elementwise(sc.wofz, partials=lambda y, z: 2j / np.sqrt(np.pi) - 2 * z * y, rows=[0.3 + 0.4j, -1.0 + 0.2j])


def _voigt(y: Any, x: Any, sigma: Any, gamma: Any) -> Any:
    """Through the Faddeeva function: the profile is the real part of w(z) / (sigma sqrt(2 pi))."""
    z = (x + 1j * gamma) / (sigma * np.sqrt(2.0))
    w = sc.wofz(z)
    slope = (2j / np.sqrt(np.pi) - 2 * z * w) / (2 * np.sqrt(np.pi) * sigma * sigma)
    return np.real(slope), -(y + x * np.real(slope) - gamma * np.imag(slope)) / sigma, -np.imag(slope)


elementwise(sc.voigt_profile, partials=_voigt, rows=[(0.3, 0.8, 0.5), (-1.0, 0.4, 1.5)])
elementwise(
    sc.expn,
    partials=(  # SciPy cuts `n` off
        None,
        lambda y, n, x: np.where(
            np.less(n, 1), -y * (1 + 1 / x), -sc.expn(np.maximum(np.trunc(n) - 1, 0), x)
        ),
    ),
    rows=[row(2, 0.7), row(1, 0.7), row(0, 0.7)],
)
elementwise(
    sc.owens_t,
    partials=(
        lambda y, h, a: -np.exp(-h * h / 2) * sc.erf(a * h / np.sqrt(2.0)) / np.sqrt(8 * np.pi),
        lambda y, h, a: np.exp(-(1 + a * a) * h * h / 2) / (2 * np.pi * (1 + a * a)),
    ),
    rows=[(0.3, 0.7), (-1.5, 2.0)],
)


def _sinhc(x: Any) -> Any:
    none = np.equal(x, 0)
    return np.where(none, 1.0, np.sinh(x) / np.where(none, 1.0, x))


def _two(function: Any, first: Any, second: Any, rows: Any) -> None:
    @jvp_rule(function, rows=rows)
    def _(x: Any, dx: Any, *_: Any) -> Any:
        return first(x) * dx, second(x) * dx


_two(sc.sici, lambda x: np.sinc(x / np.pi), lambda x: np.cos(x) / x, [0.3, 2.5])
_two(sc.shichi, _sinhc, lambda x: np.cosh(x) / x, [0.3, 2.5])
_two(sc.fresnel, lambda x: np.sin(np.pi * x * x / 2), lambda x: np.cos(np.pi * x * x / 2), _ANY)

# ---- elliptic integrals and functions (DLMF 19.4, 19.18, 22.13) -------------------------------------


def _root(phi: Any, m: Any) -> Any:
    return np.sqrt(1 - m * np.sin(phi) ** 2)


def _near(m: Any, series: Any, slope: Any) -> Any:
    """The slope by m; near 0, where it is a difference divided by m, its series."""
    small = np.abs(m) < 1e-4
    return np.where(small, series(m), slope(np.where(small, 0.5, m)))


def _powers(phi: Any) -> tuple[Any, ...]:
    """The integrals of the second, fourth and sixth power of the sine, from 0."""
    twice, four, six = np.sin(2 * phi), np.sin(4 * phi), np.sin(6 * phi)
    return (
        phi / 2 - twice / 4,
        3 * phi / 8 - twice / 4 + four / 32,
        5 * phi / 16 - 15 * twice / 64 + 3 * four / 64 - six / 192,
    )


def _by_m(phi: Any, m: Any) -> Any:
    """The slope of the first integral by m (DLMF 19.4.5)."""
    a, b, c = _powers(phi)
    return _near(
        m,
        lambda m: a / 2 + 0.75 * m * b + 0.9375 * m * m * c,
        lambda m: (
            (sc.ellipeinc(phi, m) - (1 - m) * sc.ellipkinc(phi, m)) / (2 * m * (1 - m))
            - np.sin(2 * phi) / (4 * (1 - m) * _root(phi, m))
        ),
    )


def _second_by_m(phi: Any, m: Any) -> Any:
    """The slope of the second integral by m (DLMF 19.4.6)."""
    a, b, c = _powers(phi)
    return _near(
        m,
        lambda m: -a / 2 - 0.25 * m * b - 0.1875 * m * m * c,
        lambda m: (sc.ellipeinc(phi, m) - sc.ellipkinc(phi, m)) / (2 * m),
    )


def _whole_by_m(m: Any) -> Any:
    """The slope of the whole first integral (DLMF 19.4.1)."""
    return _near(
        m,
        lambda m: np.pi * (0.125 + m * (9 / 64 + m * (75 / 512 + m * 1225 / 8192))),
        lambda m: (sc.ellipe(m) / (1 - m) - sc.ellipk(m)) / (2 * m),
    )


_ELLIPTIC = [(0.7, 0.3), (2.0, 0.6), (0.4, -1.5), (0.7, 0.0), (2.0, 1e-7)]
elementwise(
    sc.ellipkinc,
    partials=(lambda y, phi, m: 1 / _root(phi, m), lambda y, phi, m: _by_m(phi, m)),
    rows=_ELLIPTIC,
)
elementwise(
    sc.ellipeinc,
    partials=(lambda y, phi, m: _root(phi, m), lambda y, phi, m: _second_by_m(phi, m)),
    rows=_ELLIPTIC,
)
elementwise(sc.ellipk, partials=lambda y, m: _whole_by_m(m), rows=[0.3, 0.9, 0.05, 0.0, 1e-7])
elementwise(
    sc.ellipe,
    partials=lambda y, m: _near(
        m,
        lambda m: -np.pi * (0.125 + m * (3 / 64 + m * (15 / 512 + m * 175 / 8192))),
        lambda m: (sc.ellipe(m) - sc.ellipk(m)) / (2 * m),
    ),
    rows=[0.3, 0.9, 0.05, 0.0, 1e-7],
)
elementwise(sc.ellipkm1, partials=lambda y, p: -_whole_by_m(1 - p), rows=[0.3, 0.9, 0.05, 1.0])


@jvp_rule(sc.ellipj, rows=[row(0.7, 0.3), row(1.8, 0.6)])
def _(u: Any, m: Any, du: Any, dm: Any, *_: Any, out: Any) -> Any:
    sn, cn, dn, phi = out
    turn = 0.0
    if du is not None:
        turn = dn * du
    change = 0.0
    if dm is not None:
        by_m = dn / (2 * m * (1 - m)) * ((1 - m) * u - sc.ellipeinc(phi, m) + m * sn * cn / dn)
        turn = turn + by_m * dm
        change = -sn * sn / (2 * dn) * dm
    return cn * turn, -sn * turn, change - m * sn * cn / dn * turn, turn


# ---- orthogonal polynomials (DLMF 18.9) -------------------------------------------------------------


def less(n: Any) -> Any:
    """One degree less; 0 stays, for the factor is 0 there."""
    return np.where(np.equal(n, 0), n, n - 1)


def polynomial(name: str, slope: Any) -> None:
    ordered(getattr(sc, f"eval_{name}"), lambda y, n, x: np.where(np.equal(n, 0), 0.0, slope(n, x)), _INNER)


polynomial("legendre", lambda n, x: (n + 1) / 2 * sc.eval_jacobi(less(n), 1.0, 1.0, x))
polynomial("chebyt", lambda n, x: n * sc.eval_chebyu(less(n), x))
polynomial("chebyu", lambda n, x: 2 * sc.eval_gegenbauer(less(n), 2.0, x))
polynomial("chebyc", lambda n, x: n * sc.eval_chebyu(less(n), x / 2))
polynomial("chebys", lambda n, x: sc.eval_gegenbauer(less(n), 2.0, x / 2))
polynomial("sh_legendre", lambda n, x: (n + 1) * sc.eval_jacobi(less(n), 1.0, 1.0, 2 * x - 1))
polynomial("sh_chebyt", lambda n, x: 2 * n * sc.eval_chebyu(less(n), 2 * x - 1))
polynomial("sh_chebyu", lambda n, x: 4 * sc.eval_gegenbauer(less(n), 2.0, 2 * x - 1))
polynomial("laguerre", lambda n, x: -sc.eval_genlaguerre(less(n), 1.0, x))
for _name, _slope in (
    ("hermite", lambda y, n, x: 2 * n * sc.eval_hermite(less(n), x)),
    ("hermitenorm", lambda y, n, x: n * sc.eval_hermitenorm(less(n), x)),
):
    elementwise(getattr(sc, f"eval_{_name}"), partials=(None, _slope), rows=[row(3, 0.7), row(0, 0.3)])


def with_parameters(name: str, count: int, slope: Any, rows: Any) -> None:
    """A function of the last of its operands, with parameters by which the derivative is not known."""
    missing = [
        lambda y, *rest, k=k: unknown(f"scipy.special.{name}", f"number {k + 1}") for k in range(count)
    ]
    elementwise(getattr(sc, name), partials=(*missing, slope), rows=rows)


_N = np.array(3)
_TWO = np.array(2)
with_parameters(
    "eval_genlaguerre",
    2,
    lambda y, n, a, x: np.where(np.equal(n, 0), 0.0, -sc.eval_genlaguerre(less(n), a + 1.0, x)),
    [row(_N, _TWO, 0.7), row(np.array(0), _TWO, 0.7)],
)
with_parameters(
    "eval_gegenbauer",
    2,
    lambda y, n, a, x: np.where(np.equal(n, 0), 0.0, 2 * a * sc.eval_gegenbauer(less(n), a + 1.0, x)),
    [row(_N, _TWO, 0.7), row(np.array(0), _TWO, 0.7)],
)
with_parameters(
    "eval_jacobi",
    3,
    lambda y, n, a, b, x: np.where(
        np.equal(n, 0), 0.0, (n + a + b + 1) / 2 * sc.eval_jacobi(less(n), a + 1.0, b + 1.0, x)
    ),
    [row(_N, _TWO, _N, 0.7), row(np.array(0), _TWO, _N, 0.7)],
)
with_parameters(
    "lpmv",
    2,
    lambda y, m, v, x: (v * x * y - (v + m) * sc.lpmv(m, v - 1, x)) / (x * x - 1),
    [row(np.array(1), _N, 0.4)],
)

# ---- hypergeometric functions (DLMF 13.3, 15.5) -----------------------------------------------------

with_parameters(
    "hyp0f1", 1, lambda y, b, x: sc.hyp0f1(b + 1.0, x) / b, [row(_TWO, 0.7), row(_TWO, 0.3 + 0.2j)]
)
with_parameters("hyp1f1", 2, lambda y, a, b, x: a / b * sc.hyp1f1(a + 1.0, b + 1.0, x), [row(_N, _TWO, 0.7)])
with_parameters("hyperu", 2, lambda y, a, b, x: -a * sc.hyperu(a + 1.0, b + 1.0, x), [row(_N, _TWO, 0.7)])
with_parameters(
    "hyp2f1",
    3,
    lambda y, a, b, c, x: a * b / c * sc.hyp2f1(a + 1.0, b + 1.0, c + 1.0, x),
    [row(_N, _TWO, _N + 1, 0.4)],
)

# ---- transformations of data, and trigonometry in degrees -------------------------------------------


def _by_lambda(x: Any, y: Any, lam: Any, power: Any) -> Any:
    """The partial of (x^lam - 1) / lam, of which `x` is the logarithm."""
    small = np.equal(lam, 0)
    return np.where(small, x * x / 2, (power * x - y) / np.where(small, 1.0, lam))


elementwise(
    sc.boxcox,
    partials=(
        lambda y, x, lam: x ** (lam - 1),
        lambda y, x, lam: _by_lambda(np.log(x), y, lam, x**lam),
    ),
    rows=[(2.0, 0.5), (0.3, -1.2)],
)
elementwise(
    sc.boxcox1p,
    partials=(
        lambda y, x, lam: (1 + x) ** (lam - 1),
        lambda y, x, lam: _by_lambda(np.log1p(x), y, lam, (1 + x) ** lam),
    ),
    rows=[(2.0, 0.5), (0.3, -1.2)],
)


def _inverse_boxcox(z: Any, y: Any, lam: Any) -> Any:
    """The partials of z = (1 + lam y)^(1 / lam), by those of the function that it undoes."""
    slope = z ** (1 - lam)
    return slope, -_by_lambda(np.log(z), y, lam, z**lam) * slope


elementwise(sc.inv_boxcox, partials=_inverse_boxcox, rows=[(0.7, 0.5), (0.3, -1.2)])
elementwise(
    sc.inv_boxcox1p, partials=lambda z, y, lam: _inverse_boxcox(1 + z, y, lam), rows=[(0.7, 0.5), (0.3, -1.2)]
)
elementwise(
    sc.pseudo_huber,
    partials=(
        lambda y, d, r: 2 * y / d - r * r / (d * np.sqrt(1 + (r / d) ** 2)),
        lambda y, d, r: r / np.sqrt(1 + (r / d) ** 2),
    ),
    rows=[(1.0, 0.4), (0.5, -2.5)],
)
elementwise(
    sc.powm1,
    partials=(lambda y, a, b: b * a ** (b - 1), lambda y, a, b: sc.xlogy(y + 1, a)),
    rows=[(2.0, 0.5)],
)
_DEGREE = float(np.pi / 180)
elementwise(sc.sindg, partials=lambda y, x: _DEGREE * sc.cosdg(x), rows=_ANY)
elementwise(sc.cosdg, partials=lambda y, x: -_DEGREE * sc.sindg(x), rows=_ANY)
elementwise(sc.tandg, partials=lambda y, x: _DEGREE * (1 + y * y), rows=_ANY)
elementwise(sc.cotdg, partials=lambda y, x: -_DEGREE * (1 + y * y), rows=_ANY)
elementwise(
    sc.radian,
    partials=(lambda y, d, m, s: _DEGREE, lambda y, d, m, s: _DEGREE / 60, lambda y, d, m, s: _DEGREE / 3600),
    rows=[(0.3, 2.0, -1.0)],
    constant=True,
)
nondifferentiable(sc.round)
