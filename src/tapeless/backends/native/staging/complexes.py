"""Elementwise functions of complex numbers, as pairs of expressions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tapeless.backends.native.nest import Const, Expr, apply, const
from tapeless.backends.native.staging.elements import nonzero

Pair = tuple[Expr, Expr]
#: Binds an expression that is used several times.
Once = Callable[[Expr], Expr]


def add(once: Once, a: Pair, b: Pair) -> Pair:
    return a[0] + b[0], a[1] + b[1]


def subtract(once: Once, a: Pair, b: Pair) -> Pair:
    return a[0] - b[0], a[1] - b[1]


def multiply(once: Once, a: Pair, b: Pair) -> Pair:
    a, b = pair(once, a), pair(once, b)
    if is_zero(a[1]):
        a, b = b, a
    if is_zero(b[1]):
        return a[0] * b[0] - nothing(a[1]), a[1] * b[0] + nothing(a[0])
    return a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]


def nothing(e: Expr, like: Expr | None = None) -> Expr:
    """`e` times a zero (with a sign): it says which zero NumPy has, so on which side of a cut it is."""
    zero: Expr = const(0.0, e.type)
    if isinstance(like, Const):
        zero = const(math.copysign(0.0, like.value), e.type)
    elif like is not None:
        zero = apply("copysign", zero, like)
    return apply("stop", e) * zero


def is_zero(e: Expr) -> bool:
    return isinstance(e, Const) and e.value == 0


def pair(once: Once, z: Pair) -> Pair:
    return once(z[0]), once(z[1])


def divide(once: Once, a: Pair, b: Pair) -> Pair:
    """Smith's division: by the larger part of the divisor first, so nothing overflows on the way."""
    a, b = pair(once, a), pair(once, b)
    if is_zero(b[1]):
        return (a[0] + nothing(a[1], b[0])) / b[0], (a[1] - nothing(a[0], b[0])) / b[0]
    wide = once(apply("ge", apply("fabs", b[0]), apply("fabs", b[1])))
    zero = const(0.0, b[0].type)
    both = apply("all", apply("eq", b[0], zero), apply("eq", b[1], zero))
    one = const(1.0, b[0].type)
    large = once(apply("select", wide, b[0], b[1]))
    small = apply("select", wide, b[1], b[0])
    ratio = once(small / apply("select", both, one, large))
    scale = once(large + small * ratio)
    real = apply("select", wide, a[0] + a[1] * ratio, a[0] * ratio + a[1])
    imag = apply("select", wide, a[1] - a[0] * ratio, a[1] * ratio - a[0])
    return real / scale, imag / scale


def negative(once: Once, a: Pair) -> Pair:
    return -a[0], -a[1]


def conjugate(once: Once, a: Pair) -> Pair:
    return a[0], -a[1]


def square(once: Once, a: Pair) -> Pair:
    return multiply(once, a, a)


def reciprocal(once: Once, a: Pair) -> Pair:
    a = pair(once, a)
    wide = once(apply("ge", apply("fabs", a[0]), apply("fabs", a[1])))
    large, small = apply("select", wide, a[0], a[1]), apply("select", wide, a[1], a[0])
    ratio = once(small / once(large))
    scale = once(large + small * ratio)
    one = const(1.0, a[0].type)
    return apply("select", wide, one, ratio) / scale, -(apply("select", wide, ratio, one) / scale)


def absolute(once: Once, a: Pair) -> Expr:
    return apply("hypot", a[0], a[1])


def angle(once: Once, a: Pair) -> Expr:
    return apply("atan2", a[1], a[0])


def exp(once: Once, a: Pair) -> Pair:
    size, phase = once(apply("exp", a[0])), once(a[1])
    return size * apply("cos", phase), size * apply("sin", phase)


def log(once: Once, a: Pair) -> Pair:
    a = pair(once, a)
    return apply("log", apply("hypot", *a)), apply("atan2", a[1], a[0])


def _log_to(base: float) -> Callable[[Once, Pair], Pair]:
    def rule(once: Once, a: Pair) -> Pair:
        made = log(once, a)
        scale = const(1.0 / math.log(base), a[0].type)
        return made[0] * scale, made[1] * scale

    return rule


def sqrt(once: Once, a: Pair) -> Pair:
    """The root with a real part that is not negative.

    Sizes are chosen by tests and factors of 1, so that derivatives are right on the axes, too.
    """
    x, y = pair(once, a)
    kind = x.type
    zero = const(0.0, kind)
    right = once(apply("ge", x, zero))
    size = apply("hypot", x, y)
    root = once(apply("sqrt", (apply("select", right, x, -x) + size) * const(0.5, kind)))
    origin = apply("eq", root, zero)
    other = once(y / (apply("select", origin, const(1.0, kind), root) * const(2.0, kind)))
    side = once(apply("copysign", const(1.0, kind), y))
    return apply("select", right, root, side * other), apply("select", right, other, side * root)


def sin(once: Once, a: Pair) -> Pair:
    x, y = pair(once, a)
    return apply("sin", x) * apply("cosh", y), apply("cos", x) * apply("sinh", y)


def cos(once: Once, a: Pair) -> Pair:
    x, y = pair(once, a)
    return apply("cos", x) * apply("cosh", y), -(apply("sin", x) * apply("sinh", y))


def sinh(once: Once, a: Pair) -> Pair:
    x, y = pair(once, a)
    return apply("sinh", x) * apply("cos", y), apply("cosh", x) * apply("sin", y)


def cosh(once: Once, a: Pair) -> Pair:
    x, y = pair(once, a)
    return apply("cosh", x) * apply("cos", y), apply("sinh", x) * apply("sin", y)


def tan(once: Once, a: Pair) -> Pair:
    return divide(once, sin(once, a), cos(once, a))


def tanh(once: Once, a: Pair) -> Pair:
    return divide(once, sinh(once, a), cosh(once, a))


def expm1(once: Once, a: Pair) -> Pair:
    x, y = pair(once, a)
    half = once(apply("sin", y * const(0.5, y.type)))
    real = apply("expm1", x) * apply("cos", y) - const(2.0, x.type) * half * half
    return real, apply("exp", x) * apply("sin", y)


def log1p(once: Once, a: Pair) -> Pair:
    return log(once, (a[0] + const(1.0, a[0].type), a[1]))


def exp2(once: Once, a: Pair) -> Pair:
    scale = const(math.log(2.0), a[0].type)
    return exp(once, (a[0] * scale, a[1] * scale))


def _roots(once: Once, a: Pair) -> tuple[Pair, Pair]:
    """The roots of 1 - z and of 1 + z; signs of zeros tell the sides of a cut (Kahan 1987)."""
    x, y = pair(once, a)
    one = const(1.0, x.type)
    return pair(once, sqrt(once, (one - x, -y))), pair(once, sqrt(once, (one + x, y)))


def asin(once: Once, a: Pair) -> Pair:
    less, more = _roots(once, a)
    real = apply("atan2", a[0], less[0] * more[0] - less[1] * more[1])
    return real, apply("asinh", less[0] * more[1] - less[1] * more[0])


def acos(once: Once, a: Pair) -> Pair:
    less, more = _roots(once, a)
    real = const(2.0, a[0].type) * apply("atan2", less[0], more[0])
    return real, apply("asinh", more[0] * less[1] - more[1] * less[0])


def acosh(once: Once, a: Pair) -> Pair:
    x, y = pair(once, a)
    one = const(1.0, x.type)
    less, more = (pair(once, sqrt(once, (x + d, y))) for d in (-one, one))
    real = apply("asinh", less[0] * more[0] + less[1] * more[1])
    return real, const(2.0, x.type) * apply("atan2", less[1], more[0])


def asinh(once: Once, a: Pair) -> Pair:
    made = asin(once, (-a[1], a[0]))
    return made[1], -made[0]


def atanh(once: Once, a: Pair) -> Pair:
    x, y = pair(once, a)
    zero, one = const(0.0, x.type), const(1.0, x.type)
    right = once(apply("ge", x, zero))
    size = once(apply("select", right, x, -x))
    gap = once(one - size)
    top = const(4.0, x.type) * size / (gap * gap + y * y)
    real = apply("log1p", top) * const(0.25, x.type)
    imag = apply("atan2", const(2.0, x.type) * y, gap * (one + size) - y * y) * const(0.5, x.type)
    return apply("select", right, real, -real), imag


def atan(once: Once, a: Pair) -> Pair:
    made = atanh(once, (-a[1], a[0]))
    return made[1], -made[0]


def power(once: Once, a: Pair, b: Pair) -> Pair:
    """Small integer powers by products, others by logarithms; of 0 they are 0, or not a number."""
    if is_zero(b[1]) and isinstance(b[0], Const) and float(b[0].value).is_integer() and abs(b[0].value) <= 64:
        n = int(b[0].value)
        made = _multiplied(once, pair(once, a), abs(n))
        return reciprocal(once, made) if n < 0 else made
    a, b = pair(once, a), pair(once, b)
    zero = const(0.0, a[0].type)
    origin = once(apply("all", apply("eq", a[0], zero), apply("eq", a[1], zero)))
    one = const(1.0, a[0].type)
    safe = (apply("select", origin, one, a[0]), a[1])
    made = exp(once, multiply(once, b, log(once, safe)))
    nothing = apply("all", apply("eq", b[0], zero), apply("eq", b[1], zero))
    none = const(math.nan, a[0].type)
    above = apply("select", apply("any", nothing, apply("gt", b[0], zero)), zero, none)
    at_origin = apply("select", nothing, one, above)
    return apply("select", origin, at_origin, made[0]), apply("select", origin, above, made[1])


def _multiplied(once: Once, a: Pair, n: int) -> Pair:
    if n == 0:
        return const(1.0, a[0].type), const(0.0, a[0].type)
    if n == 1:
        return a
    half = pair(once, _multiplied(once, a, n // 2))
    made = multiply(once, half, half)
    return multiply(once, made, a) if n % 2 else made


def equal(once: Once, a: Pair, b: Pair) -> Expr:
    return apply("all", apply("eq", a[0], b[0]), apply("eq", a[1], b[1]))


def not_equal(once: Once, a: Pair, b: Pair) -> Expr:
    return apply("any", apply("ne", a[0], b[0]), apply("ne", a[1], b[1]))


def sign(once: Once, a: Pair) -> Pair:
    """A number of its direction with the absolute value 1; 0 stays."""
    x, y = pair(once, a)
    size = once(apply("hypot", x, y))
    scale = once(apply("select", apply("eq", size, const(0.0, x.type)), const(1.0, x.type), size))
    return x / scale, y / scale


def _ordered(name: str) -> Callable[[Once, Pair, Pair], Expr]:
    """NumPy orders complex numbers by their real parts, and by the imaginary ones where those are equal."""

    def rule(once: Once, a: Pair, b: Pair) -> Expr:
        strict = apply({"lt": "lt", "le": "lt", "gt": "gt", "ge": "gt"}[name], a[0], b[0])
        return apply("any", strict, apply("all", apply("eq", a[0], b[0]), apply(name, a[1], b[1])))

    return rule


def _either(name: str, how: str = "any") -> Callable[[Once, Pair], Expr]:
    def rule(once: Once, a: Pair) -> Expr:
        return apply(how, apply(name, a[0]), apply(name, a[1]))

    return rule


def truth(a: Pair) -> Expr:
    return apply("any", nonzero(a[0]), nonzero(a[1]))


def _connective(name: str) -> Callable[..., Expr]:
    def rule(once: Once, *operands: Pair) -> Expr:
        return apply(name, *map(truth, operands))

    return rule


#: function -> (bind, operands) -> a pair, or an expression if the result is real.
COMPLEX_RULES: dict[object, Callable[..., Pair | Expr]] = {
    np.add: add, np.subtract: subtract, np.multiply: multiply, np.true_divide: divide, np.negative: negative,
    np.positive: lambda once, a: a, np.conjugate: conjugate, np.square: square, np.reciprocal: reciprocal,
    np.absolute: absolute, np.exp: exp, np.log: log, np.log2: _log_to(2.0), np.log10: _log_to(10.0),
    np.sqrt: sqrt, np.sin: sin, np.cos: cos, np.tan: tan, np.sinh: sinh, np.cosh: cosh, np.tanh: tanh,
    np.expm1: expm1, np.log1p: log1p, np.exp2: exp2, np.arcsin: asin, np.arccos: acos, np.arctan: atan,
    np.arcsinh: asinh, np.arccosh: acosh, np.arctanh: atanh, np.sign: sign,
    np.power: power, np.float_power: power, np.equal: equal, np.not_equal: not_equal,
    np.less: _ordered("lt"), np.less_equal: _ordered("le"), np.greater: _ordered("gt"),
    np.greater_equal: _ordered("ge"), np.isnan: _either("isnan"), np.isinf: _either("isinf"),
    np.isfinite: _either("isfinite", "all"), np.logical_and: _connective("all"),
    np.logical_or: _connective("any"), np.logical_not: _connective("not"),
}  # fmt: skip
