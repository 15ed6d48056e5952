"""The derivative of every operation: a linear map for each operand, used by forward and by reverse mode.

A map takes a tangent or cotangent and gives its multiple.  For `y = sin(a)` it is `t -> t·cos(a)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from tapeless.backends.native import special
from tapeless.backends.native.nest import FLOATS, Apply, Const, Expr, Ref, apply, const
from tapeless.errors import MissingRuleError

#: None where the operand makes no difference.
Map = Callable[[Expr], Expr] | None
Rule = Callable[["Arithmetic", Expr, tuple[Expr, ...]], tuple[Map, ...]]


class Arithmetic:
    """Products in derivative arithmetic: plain, or with strong zeros (0·∞ = 0)."""

    def __init__(self, strong: bool = False) -> None:
        self.strong = strong

    def times(self, t: Expr, factor: Expr) -> Expr:
        """t·factor."""
        factor = _multiplied(factor)
        if isinstance(factor, Const):
            if factor.value == -1:
                return apply("neg", t)
            if math.isfinite(factor.value) and factor.value != 0:
                return apply("mul", t, factor)
        if isinstance(t, Const) and t.value == 1:
            return factor
        if not self.strong:
            return apply("mul", t, factor)
        return Apply("mulz", (t, factor), t.type)

    def over(self, t: Expr, divisor: Expr) -> Expr:
        """t/divisor, as a product: what a loop divides by is often the same all along."""
        if isinstance(divisor, Const) and divisor.value and math.isfinite(1 / divisor.value):
            return t * const(1 / divisor.value, divisor.type)
        return self.times(t, 1 / divisor)

    def by(self, factor: Expr) -> Map:
        return lambda t: self.times(t, factor)

    def under(self, divisor: Expr) -> Map:
        return lambda t: self.over(t, divisor)


def _multiplied(e: Expr) -> Expr:
    """`e` with products in place of divisions by variables, which are often the same all along a loop."""
    if not isinstance(e, Apply) or e.type not in FLOATS or e.op not in ("mul", "div", "add", "sub", "neg"):
        return e
    args = tuple(map(_multiplied, e.args))
    if e.op == "div" and isinstance(args[1], Ref) and args[0] != const(1, e.type):
        return args[0] * (1 / args[1])
    return apply(e.op, *args)


def only_if(condition: Expr) -> Map:
    """The identity where the condition holds, else zero."""
    return lambda t: apply("select", condition, t, const(0, t.type))


def _sign(x: Expr) -> Expr:
    zero = const(0, x.type)
    return apply("select", apply("lt", x, zero), -1.0, apply("select", apply("eq", x, zero), zero, 1.0))


def _call(name: str, x: Expr) -> Expr:
    return apply(name, x)


def _same(t: Expr) -> Expr:
    return t


def _less(t: Expr) -> Expr:
    return apply("neg", t)


def _choice(a_wins: Callable[[Expr, Expr], Expr]) -> Rule:
    """An operation that gives one of its operands: the first where `a_wins(a, b)`."""

    def rule(_: Arithmetic, y: Expr, args: tuple[Expr, ...]) -> tuple[Map, ...]:
        first = a_wins(*args)
        return only_if(first), only_if(apply("not", first))

    return rule


def _or_nan(op: str, nan: int) -> Callable[[Expr, Expr], Expr]:
    """The comparison, or the operand number `nan` is a NaN."""
    return lambda a, b: apply("any", apply(op, a, b), apply("isnan", (a, b)[nan]))


def _power(m: Arithmetic, y: Expr, args: tuple[Expr, ...]) -> tuple[Map, ...]:
    x, n = args
    zero = const(0, x.type)
    base = apply("eq", x, zero)
    log = apply("log", apply("select", base, 1.0, x))
    by_exponent = m.by(apply("select", base, zero, y * log))
    if isinstance(n, Const):
        if n.value == 0:
            return None, by_exponent
        if n.value in (1, 2, 3):
            slope = {1: const(1, x.type), 2: 2.0 * x, 3: 3.0 * x * x}[int(n.value)]
            return m.by(slope), by_exponent
        if n.value == 0.5:
            return m.under(2.0 * y), by_exponent
        return m.by(n * apply("pow", x, const(n.value - 1, n.type))), by_exponent
    none = apply("eq", n, zero)
    # x ** (n - 1) without the zero of n = 0, where it could be infinite
    slope = apply("select", none, zero, n * apply("pow", x, apply("select", none, 1.0, n - 1.0)))
    return m.by(slope), by_exponent


def _hypot(m: Arithmetic, y: Expr, args: tuple[Expr, ...]) -> tuple[Map, ...]:
    size = apply("select", apply("eq", y, 0.0), 1.0, y)
    return tuple(m.by(a / size) for a in args)


def _atan2(m: Arithmetic, y: Expr, args: tuple[Expr, ...]) -> tuple[Map, ...]:
    a, b = args
    square = a * a + b * b
    return m.by(b / square), m.by(-a / square)


def _cast(_: Arithmetic, y: Expr, args: tuple[Expr, ...]) -> tuple[Map, ...]:
    kind = args[0].type
    return (lambda t: Apply("cast", (t,), kind if t.type == y.type else y.type),)


def _unary(slope: Callable[[Expr, Expr], Expr]) -> Rule:
    """y = f(x) from f' as a function of y and x."""
    return lambda m, y, args: (m.by(slope(y, args[0])),)


def _inverse(divisor: Callable[[Expr, Expr], Expr]) -> Rule:
    """y = f(x) from 1/f'."""
    return lambda m, y, args: (m.under(divisor(y, args[0])),)


def _scaled(numerator: float, divisor: Callable[[Expr, Expr], Expr]) -> Rule:
    """y = f(x) from f' = numerator/divisor."""

    def rule(m: Arithmetic, y: Expr, args: tuple[Expr, ...]) -> tuple[Map, ...]:
        return (lambda t: m.over(m.times(t, const(numerator, t.type)), divisor(y, args[0])),)

    return rule


def _special(name: str) -> Rule:
    return lambda m, y, args: special.maps(name, m, y, args)


def _root(x: Expr) -> Expr:
    return _call("sqrt", (1.0 - x) * (1.0 + x))


RULES: dict[str, Rule] = {
    "add": lambda m, y, a: (_same, _same),
    "sub": lambda m, y, a: (_same, _less),
    "neg": lambda m, y, a: (_less,),
    "mul": lambda m, y, a: (m.by(a[1]), m.by(a[0])),
    "mulz": lambda m, y, a: (Arithmetic(True).by(a[1]), Arithmetic(True).by(a[0])),
    "div": lambda m, y, a: (m.under(a[1]), lambda t: apply("neg", m.times(m.over(t, a[1]), y))),
    "abs": lambda m, y, a: (m.by(_sign(a[0])),),
    "fabs": lambda m, y, a: (m.by(_sign(a[0])),),
    "pow": _power,
    # a - floor(a/b)·b
    "mod": lambda m, y, a: (_same, lambda t: apply("neg", m.times(t, _call("floor", a[0] / a[1])))),
    "fmod": lambda m, y, a: (_same, lambda t: apply("neg", m.times(t, _call("trunc", a[0] / a[1])))),
    "minimum": _choice(_or_nan("le", 0)),
    "maximum": _choice(_or_nan("ge", 0)),
    "fmin": _choice(_or_nan("le", 1)),
    "fmax": _choice(_or_nan("ge", 1)),
    "atan2": _atan2,
    "hypot": _hypot,
    "copysign": lambda m, y, a: (m.by(_sign(a[0]) * apply("copysign", const(1, y.type), a[1])), None),
    "select": lambda m, y, a: (None, only_if(a[0]), only_if(apply("not", a[0]))),
    "cast": _cast,
    "stop": lambda m, y, a: (None,),
    "hold": lambda m, y, a: (None, None),
    "held": lambda m, y, a: (None,),
    "sqrt": _scaled(0.5, lambda y, x: y),
    "cbrt": _inverse(lambda y, x: 3.0 * y * y),
    "exp": _unary(lambda y, x: y),
    "exp2": _unary(lambda y, x: math.log(2.0) * y),
    "expm1": _unary(lambda y, x: y + 1.0),
    "log": _inverse(lambda y, x: x),
    "log2": _inverse(lambda y, x: math.log(2.0) * x),
    "log10": _inverse(lambda y, x: math.log(10.0) * x),
    "log1p": _inverse(lambda y, x: 1.0 + x),
    "sin": _unary(lambda y, x: _call("cos", x)),
    "cos": _unary(lambda y, x: -_call("sin", x)),
    "tan": _unary(lambda y, x: 1.0 + y * y),
    "asin": _inverse(lambda y, x: _root(x)),
    "acos": _scaled(-1.0, lambda y, x: _root(x)),
    "atan": _inverse(lambda y, x: 1.0 + x * x),
    "sinh": _unary(lambda y, x: _call("cosh", x)),
    "cosh": _unary(lambda y, x: _call("sinh", x)),
    "tanh": _unary(lambda y, x: 1.0 - y * y),
    "asinh": _inverse(lambda y, x: _call("sqrt", 1.0 + x * x)),
    "acosh": _inverse(lambda y, x: _call("sqrt", x - 1.0) * _call("sqrt", x + 1.0)),
    "atanh": _inverse(lambda y, x: (1.0 - x) * (1.0 + x)),
    "erf": _unary(lambda y, x: 2.0 / math.sqrt(math.pi) * _call("exp", -(x * x))),
    "erfc": _unary(lambda y, x: -2.0 / math.sqrt(math.pi) * _call("exp", -(x * x))),
    "tgamma": _unary(lambda y, x: y * _call("digamma", x)),
    "lgamma": _unary(lambda y, x: _call("digamma", x)),
    "digamma": _unary(lambda y, x: special.trigamma(x)),
    **{f"special.{name}": _special(name) for name in special.SLOPES},
}
#: Operations whose rules use the value itself: for those it is worth a variable.
USES_VALUE = {"div", "pow", "hypot", "sqrt", "cbrt", "exp", "exp2", "expm1", "tan", "tanh", "tgamma"}
USES_VALUE |= {f"special.{name}" for name in special.SLOPES}


def maps(e: Apply, value: Expr, arithmetic: Arithmetic) -> tuple[Map, ...]:
    """The linear map of each operand of `e`; `value` is an expression for `e` itself."""
    if e.op not in RULES:
        raise MissingRuleError(f"native code has no derivative of {e.op}")
    return RULES[e.op](arithmetic, value, e.args)
