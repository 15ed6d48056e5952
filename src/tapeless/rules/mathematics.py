"""The modules `math` and `cmath`: partials for Python scalars, without a NumPy call.

Where a partial would divide by zero, Python raises; the partial is then evaluated again with NumPy's
scalars, which give infinity, so rules need not look out for it (see `tangents`).
"""

from __future__ import annotations

import cmath
import math
from typing import Any

import numpy as np

from tapeless.rules.compat import find, find_all
from tapeless.rules.operators import power_by_base, power_by_exponent, sign
from tapeless.rules.registry import elementwise, jvp_rule, nondifferentiable, row, singular, transpose_rule

_ANY = [0.3, -0.3, 0.0, 2.5, -1.75]
_UNIT = [0.3, -0.3, 0.0, 0.9]
_POSITIVE = [0.3, 1.0, 20.0]
_PAIRS = [(2.0, 3.5), (-1.5, 0.5), (0.7, -2.25), (-0.6, -1.7)]
_TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)
_LN2 = math.log(2.0)
_LN10 = math.log(10.0)


def digamma(x: float) -> float:
    """The logarithmic derivative of the gamma function, for `math`, which lacks it."""
    if x <= 0.0:
        if x == math.floor(x):
            return math.nan
        return digamma(1.0 - x) - math.pi / math.tan(math.pi * x)
    shift = 0.0
    while x < 10.0:
        shift -= 1.0 / x
        x = x + 1.0  # not in place: x may be an array of one element
    r = 1.0 / (x * x)
    tail = r * (
        1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r * (1 / 132 - r * (691 / 32760 - r / 12)))))
    )
    return shift + math.log(x) - 0.5 / x - tail


# ---- one argument --------------------------------------------------------------------------------

elementwise(math.exp, partials=lambda y, x: y, rows=_ANY)
elementwise(find("math.exp2"), partials=lambda y, x: _LN2 * y, rows=_ANY)
elementwise(math.expm1, partials=lambda y, x: y + 1.0, rows=_ANY)
elementwise(
    math.log,
    partials=(
        lambda y, x, base=None: 1.0 / x if base is None else 1.0 / (x * math.log(base)),
        lambda y, x, base: -y / (base * math.log(base)),
    ),
    rows=[*_POSITIVE, (0.3, 2.0), (3.0, 10)],
)
elementwise(math.log2, partials=lambda y, x: 1.0 / (x * _LN2), rows=_POSITIVE)
elementwise(math.log10, partials=lambda y, x: 1.0 / (x * _LN10), rows=_POSITIVE)
elementwise(math.log1p, partials=lambda y, x: 1.0 / (1.0 + x), rows=[0.3, -0.3, 0.0, 20.0])
elementwise(math.sqrt, partials=lambda y, x: 0.5 / y, rows=[*_POSITIVE, singular(0.0)])
elementwise(
    find("math.cbrt"), partials=lambda y, x: 1.0 / (3.0 * y * y), rows=[0.3, -0.3, 20.0, singular(0.0)]
)
elementwise(math.sin, partials=lambda y, x: math.cos(x), rows=_ANY)
elementwise(math.cos, partials=lambda y, x: -math.sin(x), rows=_ANY)
elementwise(math.tan, partials=lambda y, x: 1.0 + y * y, rows=_ANY)
elementwise(math.asin, partials=lambda y, x: ((1.0 - x) * (1.0 + x)) ** -0.5, rows=[*_UNIT, singular(1.0)])
elementwise(
    math.acos, partials=lambda y, x: -(((1.0 - x) * (1.0 + x)) ** -0.5), rows=[*_UNIT, singular(-1.0)]
)
elementwise(math.atan, partials=lambda y, x: 1.0 / (1.0 + x * x), rows=_ANY)
elementwise(math.sinh, partials=lambda y, x: math.cosh(x), rows=_ANY)
elementwise(math.cosh, partials=lambda y, x: math.sinh(x), rows=_ANY)
elementwise(math.tanh, partials=lambda y, x: 1.0 - y * y, rows=_ANY)
elementwise(math.asinh, partials=lambda y, x: 1.0 / math.hypot(1.0, x), rows=_ANY)
elementwise(
    math.acosh, partials=lambda y, x: ((x - 1.0) * (x + 1.0)) ** -0.5, rows=[1.5, 20.0, singular(1.0)]
)
elementwise(math.atanh, partials=lambda y, x: 1.0 / ((1.0 - x) * (1.0 + x)), rows=_UNIT)
elementwise(math.erf, partials=lambda y, x: _TWO_OVER_ROOT_PI * math.exp(-x * x), rows=_ANY)
elementwise(math.erfc, partials=lambda y, x: -_TWO_OVER_ROOT_PI * math.exp(-x * x), rows=_ANY)
elementwise(math.gamma, partials=lambda y, x: y * digamma(x), rows=[0.3, -0.3, 2.5, -1.75])
elementwise(math.lgamma, partials=lambda y, x: digamma(x), rows=[0.3, -0.3, 2.5, 20.0])
elementwise(math.fabs, partials=lambda y, x: sign(x), rows=[0.3, -0.3, singular(0.0)])
elementwise(math.degrees, partials=lambda y, x: 180.0 / math.pi, rows=_ANY, constant=True)
elementwise(math.radians, partials=lambda y, x: math.pi / 180.0, rows=_ANY, constant=True)

# ---- several arguments ---------------------------------------------------------------------------

elementwise(
    math.pow,
    partials=(lambda y, x, n: power_by_base(x, n), lambda y, x, n: power_by_exponent(y, x)),
    rows=[(2.0, 3.5), (0.7, -2.25), row(-1.5, 2), singular(0.0, 0.5), row(0.0, 1), row(-1.5, -3)],
)
elementwise(math.atan2, partials=lambda y, a, b: (b / (a * a + b * b), -a / (a * a + b * b)), rows=_PAIRS)
elementwise(
    math.hypot,
    partials=lambda y, *xs: tuple([x / y if x else 0.0 for x in xs]),
    rows=[*_PAIRS, (1.0, -2.0, 0.5), singular(0.0, 0.0)],
)
elementwise(
    math.fmod,
    partials=lambda y, a, b: (1.0, -math.trunc(a / b)),
    rows=[(2.0, 3.5), (0.7, -2.25), (-0.6, -1.7), (-5.3, 2.0), (7.9, -2.0)],
)
elementwise(
    math.remainder,
    partials=lambda y, a, b: (1.0, -round((a - y) / b)),
    rows=[(2.0, 3.5), (0.7, -2.25), (-0.6, -1.7), (-5.3, 2.0)],
)
elementwise(
    math.copysign,
    partials=lambda y, x, s: (sign(x) * math.copysign(1.0, s), None),
    rows=[*_PAIRS, singular(0.0, -1.0)],
)
elementwise(
    math.ldexp, partials=lambda y, x, i: (math.ldexp(1.0, i), None), rows=[row(0.3, 3), row(-0.3, -2)]
)
elementwise(find("math.fma"), partials=lambda y, a, b, c: (b, a, 1.0), rows=[(2.0, -3.5, 0.5)])
elementwise(math.nextafter, partials=lambda y, a, b: (1.0, None))


@jvp_rule(math.modf, rows=[2.5, -1.75])
def _(x: Any, dx: Any) -> Any:
    return dx, None


@jvp_rule(math.frexp, rows=[2.5, -1.75, 0.3])
def _(x: Any, dx: Any, *, out: Any) -> Any:
    return math.ldexp(1.0, -out[1]) * dx, None


@transpose_rule(math.fsum, sequence=True, rows=[row([0.3, -2.0, 1.5])])
def _(ct: Any, seq: Any) -> Any:
    return [ct] * len(seq)


@jvp_rule(
    math.prod,
    rows=[row([0.3, -2.0, 1.5]), row([0.3, 0.0, 1.5]), row([0.0, 0.0, 1.5]), row([2.0, 3.0], start=2.0)],
)
def _(a: Any, da: Any, start: Any = 1, *, dstart: Any = None) -> Any:
    t = None if da is None else (start * exclusive_products(a) * da).sum()
    if dstart is None:
        return t
    return dstart * math.prod(a) if t is None else t + dstart * math.prod(a)


def exclusive_products(a: Any) -> Any:
    """For every element of the last axis the product of the others, exact also where some are zero."""
    ones = np.ones_like(a[..., :1])
    before = np.cumprod(np.concatenate((ones, a[..., :-1]), axis=-1), axis=-1)
    after = np.cumprod(np.concatenate((ones, a[..., :0:-1]), axis=-1), axis=-1)
    return before * after[..., ::-1]


@jvp_rule(math.dist, rows=[row([0.3, -2.0], [1.5, 0.5]), singular([0.5], [0.5])])
def _(p: Any, q: Any, dp: Any, dq: Any, *, out: Any) -> Any:
    direction = (np.asarray(p) - np.asarray(q)) / (out if out else 1.0)
    if dq is None:
        return (direction * dp).sum()
    return -(direction * dq).sum() if dp is None else (direction * (dp - dq)).sum()


@transpose_rule(find("math.sumprod"), each=(0, 1), rows=[row([0.3, -2.0], [1.5, 0.5])], apply=np.dot)
def _(ct: Any, p: Any, q: Any, *, wrt: int) -> Any:
    return ct * np.asarray(q if wrt == 0 else p)


nondifferentiable(
    *find_all(
        *(
            "math." + name
            for name in (
                "floor",
                "ceil",
                "trunc",
                "isnan",
                "isinf",
                "isfinite",
                "isclose",
                "gcd",
                "lcm",
                "comb",
                "perm",
                "factorial",
                "isqrt",
                "ulp",
            )
        )
    )
)

# ---- cmath ---------------------------------------------------------------------------------------

_COMPLEX = [0.3 + 0.4j, -0.7 + 0.2j, 1.5 - 2.0j]


def beside(near: complex, root: complex) -> complex:
    """The one of a root's two signs that is near a number: on a branch cut, that of the function's value."""
    return -root if (near * root.conjugate()).real < 0 else root


elementwise(cmath.exp, partials=lambda y, z: y, rows=_COMPLEX)
elementwise(
    cmath.log,
    partials=(
        lambda y, z, base=None: 1.0 / z if base is None else 1.0 / (z * cmath.log(base)),
        lambda y, z, base: -y / (base * cmath.log(base)),
    ),
    rows=[*_COMPLEX, (0.3 + 0.4j, 2.0)],
)
elementwise(cmath.log10, partials=lambda y, z: 1.0 / (z * _LN10), rows=_COMPLEX)
elementwise(cmath.sqrt, partials=lambda y, z: 0.5 / y, rows=[*_COMPLEX, singular(0j)])
elementwise(cmath.sin, partials=lambda y, z: cmath.cos(z), rows=_COMPLEX)
elementwise(cmath.cos, partials=lambda y, z: -cmath.sin(z), rows=_COMPLEX)
elementwise(cmath.tan, partials=lambda y, z: 1.0 + y * y, rows=_COMPLEX)
elementwise(
    cmath.asin, partials=lambda y, z: 1.0 / beside(cmath.cos(y), cmath.sqrt(1.0 - z * z)), rows=_COMPLEX
)
elementwise(
    cmath.acos, partials=lambda y, z: -1.0 / beside(cmath.sin(y), cmath.sqrt(1.0 - z * z)), rows=_COMPLEX
)
elementwise(cmath.atan, partials=lambda y, z: 1.0 / (1.0 + z * z), rows=_COMPLEX)
elementwise(cmath.sinh, partials=lambda y, z: cmath.cosh(z), rows=_COMPLEX)
elementwise(cmath.cosh, partials=lambda y, z: cmath.sinh(z), rows=_COMPLEX)
elementwise(cmath.tanh, partials=lambda y, z: 1.0 - y * y, rows=_COMPLEX)
elementwise(
    cmath.asinh, partials=lambda y, z: 1.0 / beside(cmath.cosh(y), cmath.sqrt(1.0 + z * z)), rows=_COMPLEX
)
elementwise(
    cmath.acosh,
    partials=lambda y, z: 1.0 / beside(cmath.sinh(y), cmath.sqrt(z - 1.0) * cmath.sqrt(z + 1.0)),
    rows=_COMPLEX,
)
elementwise(cmath.atanh, partials=lambda y, z: 1.0 / (1.0 - z * z), rows=_COMPLEX)
elementwise(cmath.phase, partials=lambda y, z: -1j / z if np.iscomplexobj(z) else 0.0, rows=[*_COMPLEX, 0.3])
elementwise(
    cmath.rect,
    partials=lambda y, r, phi: (cmath.rect(1.0, phi), 1j * y),
    rows=[(1.5, 0.3), (0.5, -2.0)],
)


@jvp_rule(cmath.polar, rows=_COMPLEX)
def _(z: Any, dz: Any, *, out: Any) -> Any:
    turned = dz * (cmath.rect(1.0, -out[1]))
    return turned.real, turned.imag / out[0]


nondifferentiable(cmath.isnan, cmath.isinf, cmath.isfinite, cmath.isclose)
