"""NumPy's elementwise functions (the operators' ufuncs are in `operators`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.rules.compat import find_all
from tapeless.rules.operators import sign
from tapeless.rules.registry import elementwise, jvp_rule, nondifferentiable, row, singular, transpose_rule

_ANY = [0.3, -0.3, 0.0, 2.5, -1.75]
_UNIT = [0.3, -0.3, 0.0, 0.9]
_CUTS = [0.3 + 0.4j, -1.7 - 0.2j, 0.1 + 2.5j]
_POSITIVE = [0.3, 1.0, 20.0]
_PAIRS = [(2.0, 3.5), (-1.5, 0.5), (0.7, -2.25), (-0.6, -1.7)]
_TIES = [*_PAIRS, singular(0.5, 0.5)]
_LN2 = float(np.log(2.0))
_LN10 = float(np.log(10.0))

# ---- one operand ---------------------------------------------------------------------------------

elementwise(np.exp, partials=lambda y, x: y, rows=_ANY)
elementwise(np.exp2, partials=lambda y, x: _LN2 * y, rows=_ANY)
elementwise(np.expm1, partials=lambda y, x: y + 1, rows=_ANY)
elementwise(np.log, partials=lambda y, x: 1 / x, rows=[*_POSITIVE, singular(0.0)])
elementwise(np.log2, partials=lambda y, x: 1 / (x * _LN2), rows=[*_POSITIVE, singular(0.0)])
elementwise(np.log10, partials=lambda y, x: 1 / (x * _LN10), rows=[*_POSITIVE, singular(0.0)])
elementwise(np.log1p, partials=lambda y, x: 1 / (1 + x), rows=[0.3, -0.3, 0.0, 20.0, singular(-1.0)])
elementwise(np.sqrt, partials=lambda y, x: 0.5 / y, rows=[*_POSITIVE, singular(0.0)])
elementwise(np.cbrt, partials=lambda y, x: 1 / (3 * y * y), rows=[0.3, -0.3, 20.0, singular(0.0)])
elementwise(np.square, partials=lambda y, x: 2 * x, rows=_ANY)
elementwise(np.reciprocal, partials=lambda y, x: -y * y, rows=[0.3, -0.3, 2.5, singular(0.0)])
elementwise(np.sin, partials=lambda y, x: np.cos(x), rows=_ANY)
elementwise(np.cos, partials=lambda y, x: -np.sin(x), rows=_ANY)
elementwise(np.tan, partials=lambda y, x: 1 + y * y, rows=_ANY)
elementwise(
    np.arcsin,
    partials=lambda y, x: (
        1 / beside(np.cos(y), np.sqrt((1 - x) * (1 + x)))
        if np.iscomplexobj(x)
        else 1 / np.sqrt((1 - x) * (1 + x))
    ),
    rows=[*_CUTS, *_UNIT, singular(1.0)],
)
elementwise(
    np.arccos,
    partials=lambda y, x: (
        -1 / beside(np.sin(y), np.sqrt((1 - x) * (1 + x)))
        if np.iscomplexobj(x)
        else -1 / np.sqrt((1 - x) * (1 + x))
    ),
    rows=[*_CUTS, *_UNIT, singular(-1.0)],
)
elementwise(np.arctan, partials=lambda y, x: 1 / (1 + x * x), rows=_ANY)
elementwise(np.sinh, partials=lambda y, x: np.cosh(x), rows=_ANY)
elementwise(np.cosh, partials=lambda y, x: np.sinh(x), rows=_ANY)
elementwise(np.tanh, partials=lambda y, x: 1 - y * y, rows=[0.3, -0.3, 0.0, 20.0])
elementwise(
    np.arcsinh,
    partials=lambda y, x: (
        1 / beside(np.cosh(y), np.sqrt(1 + x * x)) if np.iscomplexobj(x) else 1 / np.sqrt(1 + x * x)
    ),
    rows=[*_CUTS, *_ANY],
)
elementwise(
    np.arccosh,
    partials=lambda y, x: (
        1 / beside(np.sinh(y), np.sqrt(x - 1) * np.sqrt(x + 1))
        if np.iscomplexobj(x)
        else 1 / (np.sqrt(x - 1) * np.sqrt(x + 1))
    ),
    rows=[*_CUTS, 1.5, 20.0, singular(1.0)],
)
elementwise(np.arctanh, partials=lambda y, x: 1 / ((1 - x) * (1 + x)), rows=[*_UNIT, singular(1.0)])
elementwise(np.fabs, partials=lambda y, x: sign(x), rows=[0.3, -0.3, singular(0.0)])
elementwise([np.degrees, np.rad2deg], partials=lambda y, x: 180 / np.pi, rows=_ANY, constant=True)
elementwise([np.radians, np.deg2rad], partials=lambda y, x: np.pi / 180, rows=_ANY, constant=True)
elementwise(np.sinc, partials=lambda y, x: sinc_slope(y, x), rows=[0.3, -0.3, 2.5, singular(0.0)])
elementwise(
    np.nan_to_num,
    partials=(
        lambda y, x, copy=True, nan=0.0, posinf=None, neginf=None: np.isfinite(x),
        None,
        lambda y, x, copy=True, nan=0.0, posinf=None, neginf=None: np.isnan(x),
        lambda y, x, copy=True, nan=0.0, posinf=None, neginf=None: np.isposinf(x),
        lambda y, x, copy=True, nan=0.0, posinf=None, neginf=None: np.isneginf(x),
    ),
    rows=[0.3, singular(float("inf"))],
)
elementwise(
    np.angle,
    partials=lambda y, z, deg=False: (angle_slope(z, 180 / np.pi if deg else 1),),
    rows=[0.3 + 0.4j, -0.7 + 0.2j, row(0.3 - 0.4j, deg=True), 0.3],
)


def beside(near: Any, root: Any) -> Any:
    """The one of a root's two signs that is near a number: on a branch cut, that of the function's value."""
    return np.where((near * np.conj(root)).real < 0, -root, root)


def angle_slope(z: Any, unit: Any) -> Any:
    """The derivative of the angle of z, which is piecewise constant for real z."""
    if np.isrealobj(z):
        return np.zeros_like(z) if isinstance(z, np.ndarray) else 0.0
    return -1j * unit / np.where(np.equal(z, 0), np.inf, z)


def sinc_slope(y: Any, x: Any) -> Any:
    """The derivative of sin(pi x) / (pi x), which is 0 at 0."""
    return np.where(np.equal(x, 0), 0, (np.cos(np.pi * x) - y) / np.where(np.equal(x, 0), 1, x))


@jvp_rule(np.sign, rows=[0.3, -0.3, 0.3 - 0.4j])
def _(x: Any, dx: Any, *, out: Any) -> Any:
    if not np.iscomplexobj(out):
        return None
    size = np.abs(x)
    inverse = np.where(size == 0, 0, 1 / np.where(size == 0, 1, size))
    return inverse * dx - (out * inverse) * (np.conjugate(out) * dx).real


# ---- two and more operands -----------------------------------------------------------------------

elementwise(
    np.arctan2,
    partials=(lambda y, a, b: b / (a * a + b * b), lambda y, a, b: -a / (a * a + b * b)),
    rows=[*_PAIRS, singular(0.0, 0.0)],
)
elementwise(
    np.hypot,
    partials=(lambda y, a, b: a / np.where(y == 0, 1, y), lambda y, a, b: b / np.where(y == 0, 1, y)),
    rows=[*_PAIRS, singular(0.0, 0.0)],
)
elementwise(
    np.logaddexp,
    partials=(
        lambda y, a, b: np.exp(np.where(a == y, 0, a - y)),
        lambda y, a, b: np.exp(np.where(b == y, 0, b - y)),
    ),
    rows=_PAIRS,
)
elementwise(
    np.logaddexp2,
    partials=(
        lambda y, a, b: np.exp2(np.where(a == y, 0, a - y)),
        lambda y, a, b: np.exp2(np.where(b == y, 0, b - y)),
    ),
    rows=_PAIRS,
)
# a tie goes to the first operand; a NaN that the function handed on is the element that it chose
elementwise(
    [np.maximum, np.minimum],
    partials=(lambda y, a, b: (y == a) | (a != a), lambda y, a, b: (y != a) & (a == a)),
    rows=_TIES,
)
elementwise(
    [np.fmax, np.fmin],
    partials=(lambda y, a, b: (y == a) | (b != b), lambda y, a, b: (y != a) & (b == b)),
    rows=_TIES,
)
elementwise(
    np.copysign,
    partials=lambda y, x, s: (sign(x) * np.copysign(1.0, s), None),
    rows=[*_PAIRS, singular(0.0, -1.0)],
)
elementwise(
    np.fmod,  # truncates, where `remainder` floors
    partials=(lambda y, a, b: 1, lambda y, a, b: -np.trunc(a / b)),
    rows=[(2.0, 3.5), (0.7, -2.25), (-0.6, -1.7), (-5.3, 2.0), (7.9, -2.0)],
)
elementwise(np.ldexp, partials=lambda y, x, i: (np.ldexp(1.0, i), None), rows=[row(0.3, 3), row(-0.3, -2)])
elementwise(np.heaviside, partials=lambda y, x, h: (None, np.equal(x, 0)), rows=[(0.3, 0.5), (-0.3, 0.5)])
elementwise(np.nextafter, partials=lambda y, a, b: (1, None))


def _at_most(y: Any, a: Any, high: Any) -> Any:
    return True if high is None else np.less_equal(a, high)


def _at_least(y: Any, a: Any, low: Any) -> Any:
    return True if low is None else np.greater_equal(a, low)


def clip_by_value(y: Any, a: Any, low: Any, high: Any) -> Any:
    """Where `clip` hands its operand on: within the bounds, the bounds included."""
    return np.logical_and(_at_least(y, a, low), _at_most(y, a, high))


def clip_by_low(y: Any, a: Any, low: Any, high: Any) -> Any:
    """Where the result is the lower bound."""
    return np.logical_and(np.less(a, low), _at_most(y, low, high))


def clip_by_high(y: Any, a: Any, low: Any, high: Any) -> Any:
    """Where the result is the upper bound, also because the lower bound lies above it."""
    return np.logical_and(np.greater(a if low is None else np.maximum(a, low), high), True)


_CLIPS = [(0.3, -1.0, 1.0), (-2.0, -1.0, 1.0), (2.0, -1.0, 1.0), singular(1.0, -1.0, 1.0)]
elementwise(
    [np.clip],
    partials=(
        lambda y, a, a_min=None, a_max=None: clip_by_value(y, a, a_min, a_max),
        lambda y, a, a_min=None, a_max=None: clip_by_low(y, a, a_min, a_max),
        lambda y, a, a_min=None, a_max=None: clip_by_high(y, a, a_min, a_max),
    ),
    rows=[*_CLIPS, row(0.3, None, 1.0), row(-0.3, 0.0, None), row(3.0, a_min=0.0, a_max=2.0)],
)
elementwise(
    [np.ndarray.clip, *find_all("numpy._core.umath.clip")],
    partials=(
        lambda y, a, min=None, max=None: clip_by_value(y, a, min, max),
        lambda y, a, min=None, max=None: clip_by_low(y, a, min, max),
        lambda y, a, min=None, max=None: clip_by_high(y, a, min, max),
    ),
    rows=[row(np.array([0.3, -2.0, 5.0]), -1.0, 1.0), row(np.array([0.3, -2.0, 5.0]), max=1.0)],
)


@transpose_rule(
    np.where,
    joint=(1, 2),
    rows=[
        row(np.array([True, False]), np.array([1.0, 2.0]), np.array([3.0, -4.0])),
        row(True, 1.5, np.ones(3)),
    ],
)
def _(ct: Any, condition: Any, x: Any, y: Any, *, wrt: int) -> Any:
    return np.where(condition, ct, 0) if wrt == 1 else np.where(condition, 0, ct)


# ---- several results -----------------------------------------------------------------------------


@jvp_rule(np.modf, rows=[2.5, -1.75])
def _(x: Any, dx: Any) -> Any:
    return dx, None


@jvp_rule(np.frexp, rows=[2.5, -1.75, 0.3])
def _(x: Any, dx: Any, *, out: Any) -> Any:
    return np.ldexp(1.0, -out[1]) * dx, None


# ---- what has no derivative ----------------------------------------------------------------------

nondifferentiable(
    *find_all(
        *(
            "numpy." + name
            for name in (
                "floor",
                "ceil",
                "trunc",
                "rint",
                "fix",
                "round",
                "around",
                "spacing",
                "signbit",
                "isnan",
                "isinf",
                "isfinite",
                "isclose",
                "allclose",
                "array_equal",
                "array_equiv",
                "iscomplex",
                "isreal",
                "iscomplexobj",
                "isrealobj",
                "isscalar",
                "isposinf",
                "isneginf",
                "isnat",
                "less",
                "less_equal",
                "greater",
                "greater_equal",
                "equal",
                "not_equal",
                "logical_and",
                "logical_or",
                "logical_xor",
                "logical_not",
                "bitwise_and",
                "bitwise_or",
                "bitwise_xor",
                "bitwise_count",
                "invert",
                "left_shift",
                "right_shift",
                "gcd",
                "lcm",
                "bitwise_not",
                "bitwise_invert",
            )
        )
    ),
    np.ndarray.round,
)
