"""What an elementwise function of NumPy or SciPy is on expressions.

`REAL[function](dtype, *operands)` takes and gives elements of float, integer or boolean dtypes; `dtype` is
that of the operands (after promotion).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy.special as special  # type: ignore[import-untyped]

from tapeless.backends.native.nest import (
    BOOL,
    COMPARISONS,
    FLOATS,
    I64,
    Apply,
    Const,
    Expr,
    apply,
    cast,
    const,
)
from tapeless.backends.native.special import SLOPES
from tapeless.backends.native.staging.elements import nonzero
from tapeless.backends.native.staging.float_steps import nextafter

Rule = Callable[..., Expr]
LN2, LOG2E = math.log(2.0), 1.0 / math.log(2.0)


def op(name: str) -> Rule:
    """The nest's operation itself."""

    def rule(dtype: str, *operands: Expr) -> Expr:
        return apply(name, *operands)

    return rule


def of(function: Callable[..., Expr]) -> Rule:
    """A rule that does not ask for the dtype."""

    def rule(dtype: str, *operands: Expr) -> Expr:
        return function(*operands)

    return rule


def truth(name: str) -> Rule:
    """A connective of truth values."""

    def rule(dtype: str, *operands: Expr) -> Expr:
        return apply(name, *map(nonzero, operands))

    return rule


def arithmetic(number: str, boolean: str | None) -> Rule:
    """An operation of numbers that is another one of booleans."""

    def rule(dtype: str, *operands: Expr) -> Expr:
        return apply(boolean if dtype == "bool" and boolean else number, *operands)

    return rule


def select(condition: Expr, a: Expr, b: Expr) -> Expr:
    return apply("select", condition, a, b)


def divide_integers(name: str) -> Rule:
    """`//` and `%`: of integers, a zero divisor gives 0."""

    def rule(dtype: str, a: Expr, b: Expr) -> Expr:
        if a.type != I64 or (isinstance(b, Const) and b.value != 0):
            return apply(name, a, b)
        bad = apply("eq", b, 0)
        return select(bad, const(0), apply(name, a, select(bad, const(1), b)))

    return rule


def remainder_of_c(dtype: str, a: Expr, b: Expr) -> Expr:
    if a.type in FLOATS:
        return apply("fmod", a, b)
    magnitude = apply("abs", b)
    bad = apply("eq", b, 0)
    rest = apply("mod", apply("abs", a), select(bad, const(1), magnitude))
    return select(bad, const(0), select(apply("lt", a, 0), apply("neg", rest), rest))


def power(dtype: str, x: Expr, y: Expr) -> Expr:
    if isinstance(y, Const):
        n = y.value
        if x.type == I64 and 0 <= n <= 64:
            return _multiplied(x, int(n))
        if n in (1, 2, 3, 4):
            return _multiplied(x, int(n))
        if n == 0:
            return const(1, x.type)
        if n == -1:
            return apply("div", const(1.0, x.type), x)
        if n == -2:
            return apply("div", const(1.0, x.type), apply("mul", x, x))
        if n == 0.5:
            return apply("sqrt", x)
    return apply("pow", x, y)


def _multiplied(x: Expr, n: int) -> Expr:
    """x to a positive power, by squaring."""
    if n == 0:
        return const(1, x.type)
    if n == 1:
        return x
    half = _multiplied(x, n // 2)
    square = apply("mul", half, half)
    return apply("mul", square, x) if n % 2 else square


def sign(dtype: str, x: Expr) -> Expr:
    zero, one = const(0, x.type), const(1, x.type)
    other = select(apply("eq", x, zero), zero, apply("stop", x))  # 0, of -0.0 also, or NaN
    return select(apply("gt", x, zero), one, select(apply("lt", x, zero), apply("neg", one), other))


def absolute(dtype: str, x: Expr) -> Expr:
    if x.type == BOOL:
        return x
    return apply("fabs" if x.type in FLOATS else "abs", x)


def heaviside(x: Expr, h: Expr) -> Expr:
    zero, one = const(0.0, x.type), const(1.0, x.type)
    positive = select(apply("gt", x, zero), one, select(apply("isnan", x), x, h))
    return select(apply("lt", x, zero), zero, positive)


def log_add(exponential: str, logarithm: Callable[[Expr], Expr]) -> Rule:
    """log(b**x + b**y): the larger one, and what the smaller one adds."""

    def rule(dtype: str, x: Expr, y: Expr) -> Expr:
        def above(a: Expr, b: Expr) -> Expr:
            return a + logarithm(apply(exponential, b - a))

        infinite = apply("all", apply("eq", x, y), apply("isinf", x))
        return select(infinite, x, select(apply("ge", x, y), above(x, y), above(y, x)))

    return rule


def expit(x: Expr) -> Expr:
    below = apply("lt", x, const(0.0, x.type))
    z = apply("exp", select(below, x, -x))
    return select(below, z / (1.0 + z), 1.0 / (1.0 + z))


def softplus(x: Expr) -> Expr:
    """log(1 + exp(x))"""
    below = apply("lt", x, const(0.0, x.type))
    small = apply("log1p", apply("exp", select(below, x, -x)))
    return select(below, small, x + small)


def times_log(logarithm: Callable[[Expr], Expr]) -> Callable[[Expr, Expr], Expr]:
    """x·log(y), 0 where x is 0 and y is a number; where the logarithm is finite, the product is 0 itself."""

    def rule(x: Expr, y: Expr) -> Expr:
        log = logarithm(y)
        finite = apply("lt", apply("abs", log), const(math.inf, log.type))
        no_product = apply("all", apply("not", apply("isnan", y)), apply("not", finite))
        zero = apply("all", apply("eq", x, const(0.0, x.type)), no_product)
        return select(zero, const(0.0, x.type), x * log)

    return rule


def without_slope(where: Expr, *operands: Expr) -> Expr:
    """Infinity whose slope by each operand is inf - inf, not a number, where a function has no value."""
    total: Expr | None = None
    for x in operands:
        size = select(where, const(math.inf, x.type), const(0.0, x.type))
        finite = select(apply("isfinite", x), x, const(0.0, x.type))
        term = (size + finite) * (size - finite)
        total = term if total is None else total + term
    assert total is not None
    return total


def entropy(x: Expr) -> Expr:
    zero = const(0.0, x.type)
    # the root is the 0 there whose slope is infinite, as the function's
    below = select(apply("eq", x, zero), apply("sqrt", x), -without_slope(apply("lt", x, zero), x))
    inside = apply("neg", x * apply("log", x))
    return select(apply("any", apply("gt", x, zero), apply("isnan", x)), inside, below)


def relative_entropy(x: Expr, y: Expr) -> Expr:
    zero = const(0.0, x.type)
    nothing = apply("all", apply("eq", x, zero), apply("ge", y, const(0.0, y.type)))
    inside = apply("all", apply("gt", x, zero), apply("gt", y, const(0.0, y.type)))
    unknown = apply("any", apply("isnan", x), apply("isnan", y))
    beyond = apply("not", apply("any", nothing, inside))
    outside = select(nothing, zero - apply("sqrt", x), without_slope(beyond, x, y))
    return select(apply("any", inside, unknown), x * apply("log", x / y), outside)


def shift(name: str) -> Rule:
    """NumPy's shifts: by 64 bits or more nothing is left (or the sign)."""

    def rule(dtype: str, x: Expr, n: Expr) -> Expr:
        if isinstance(n, Const) and 0 <= n.value < 64:
            return Apply(name, (x, n), I64)
        inside = apply("all", apply("ge", n, 0), apply("lt", n, 64))
        moved = Apply(name, (x, select(inside, n, const(0))), I64)
        gone = const(0) if name == "shl" else select(apply("lt", x, 0), const(-1), const(0))
        return select(inside, moved, gone)

    return rule


def rounding(name: str) -> Rule:
    def rule(dtype: str, x: Expr) -> Expr:
        return apply(name, x) if x.type in FLOATS else x

    return rule


def testing(name: str, of_integers: bool) -> Rule:
    """isnan, isinf, isfinite: known for integers."""

    def rule(dtype: str, x: Expr) -> Expr:
        return apply(name, x) if x.type in FLOATS else const(of_integers)

    return rule


def minimum_or_maximum(name: str) -> Rule:
    def rule(dtype: str, a: Expr, b: Expr) -> Expr:
        if a.type == BOOL:
            return apply("any" if name == "maximum" else "all", a, b)
        return apply(name, a, b)

    return rule


def ignoring_nan(name: str, exact: str) -> Rule:
    def rule(dtype: str, a: Expr, b: Expr) -> Expr:
        return apply(name, a, b) if a.type in FLOATS else minimum_or_maximum(exact)(dtype, a, b)

    return rule


def comparison(name: str) -> Rule:
    """A comparison; of booleans, as of 0 and 1."""

    def rule(dtype: str, a: Expr, b: Expr) -> Expr:
        if a.type == BOOL and name not in ("eq", "ne"):
            a, b = cast(a, I64), cast(b, I64)
        return apply(name, a, b)

    return rule


def bits(name: str, boolean: str) -> Rule:
    def rule(dtype: str, a: Expr, b: Expr) -> Expr:
        return apply(boolean, a, b) if a.type == BOOL else Apply(name, (a, b), I64)

    return rule


def invert(dtype: str, x: Expr) -> Expr:
    return apply("not", x) if x.type == BOOL else Apply("invert", (x,), I64)


def reciprocal(x: Expr) -> Expr:
    return apply("div", const(1.0, x.type), x)


def ldexp(x: Expr, n: Expr) -> Expr:
    return x * apply("exp2", cast(n, x.type))


def _scaled(factor: float) -> Rule:
    return of(lambda x: x * const(factor, x.type))


REAL: dict[object, Rule] = {
    np.add: arithmetic("add", "any"), np.subtract: op("sub"), np.multiply: arithmetic("mul", "all"),
    np.true_divide: op("div"), np.floor_divide: divide_integers("floordiv"),
    np.remainder: divide_integers("mod"), np.fmod: remainder_of_c, np.power: power, np.float_power: power,
    np.negative: op("neg"), np.positive: of(lambda x: x), np.absolute: absolute, np.fabs: op("fabs"),
    np.sign: sign, np.square: of(lambda x: x * x), np.reciprocal: of(reciprocal),
    np.maximum: minimum_or_maximum("maximum"), np.minimum: minimum_or_maximum("minimum"),
    np.fmax: ignoring_nan("fmax", "maximum"), np.fmin: ignoring_nan("fmin", "minimum"),
    np.conjugate: of(lambda x: x),
    **{getattr(np, name): op(name) for name in (
        "sqrt", "cbrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan",
        "sinh", "cosh", "tanh", "hypot", "copysign")},
    np.arcsin: op("asin"), np.arccos: op("acos"), np.arctan: op("atan"), np.arcsinh: op("asinh"),
    np.arccosh: op("acosh"), np.arctanh: op("atanh"), np.arctan2: op("atan2"),
    np.degrees: _scaled(180.0 / math.pi), np.rad2deg: _scaled(180.0 / math.pi),
    np.radians: _scaled(math.pi / 180.0), np.deg2rad: _scaled(math.pi / 180.0),
    np.floor: rounding("floor"), np.ceil: rounding("ceil"), np.trunc: rounding("trunc"),
    np.rint: rounding("rint"),
    np.isnan: testing("isnan", False), np.isinf: testing("isinf", False),
    np.isfinite: testing("isfinite", True), np.signbit: lambda dtype, x: (
        apply("signbit", x) if x.type in FLOATS else apply("lt", x, 0)),
    np.logical_and: truth("all"), np.logical_or: truth("any"), np.logical_not: truth("not"),
    np.logical_xor: of(lambda a, b: apply("ne", nonzero(a), nonzero(b))),
    np.bitwise_and: bits("and", "all"), np.bitwise_or: bits("or", "any"),
    np.bitwise_xor: bits("xor", "ne"), np.invert: invert,
    np.left_shift: shift("shl"), np.right_shift: shift("shr"),
    np.nextafter: of(lambda x, y: nextafter(x, y, lambda e: e)),
    np.heaviside: of(heaviside), np.ldexp: of(ldexp),
    np.logaddexp: log_add("exp", lambda z: apply("log1p", z)),
    np.logaddexp2: log_add("exp2", lambda z: apply("log1p", z) * const(LOG2E, z.type)),
    **{getattr(np, {"lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal",
                    "eq": "equal", "ne": "not_equal"}[name]): comparison(name) for name in COMPARISONS},
    special.expit: of(expit), special.log_expit: of(lambda x: -softplus(-x)),
    special.logit: of(lambda p: apply("log", p / (1.0 - p))),
    special.erf: op("erf"), special.erfc: op("erfc"), special.gammaln: op("lgamma"),
    special.gamma: op("tgamma"), special.psi: op("digamma"), special.cbrt: op("cbrt"),
    special.exp2: op("exp2"), special.expm1: op("expm1"), special.log1p: op("log1p"),
    special.exp10: of(lambda x: apply("pow", const(10.0, x.type), x)),
    **{getattr(special, name): op(f"special.{name}") for name in SLOPES},
    special.xlogy: of(times_log(lambda y: apply("log", y))),
    special.xlog1py: of(times_log(lambda y: apply("log1p", y))),
    special.entr: of(entropy),
    special.rel_entr: of(relative_entropy),
    special.ndtr: of(lambda x: 0.5 * apply("erfc", x * const(-math.sqrt(0.5), x.type))),
}  # fmt: skip

#: Functions whose operands occur several times in their expression: each is computed once.
REPEATS = {
    np.square, np.sign, np.heaviside, np.logaddexp, np.logaddexp2, np.power, np.float_power, np.fmod,
    np.floor_divide, np.remainder, np.left_shift, np.right_shift, special.expit, special.log_expit,
    special.logit, special.xlogy, special.xlog1py, special.entr, special.rel_entr,
}  # fmt: skip

#: Functions as cheap as an addition.
SIMPLE = {
    np.add, np.subtract, np.multiply, np.negative, np.positive, np.absolute, np.fabs, np.square, np.maximum,
    np.minimum, np.fmax, np.fmin, np.conjugate, np.copysign, np.degrees, np.radians, np.deg2rad, np.rad2deg,
    np.isnan, np.isinf, np.isfinite, np.signbit, np.logical_and, np.logical_or, np.logical_not,
    np.logical_xor, np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.less, np.less_equal,
    np.greater, np.greater_equal, np.equal, np.not_equal, np.sign,
}  # fmt: skip
