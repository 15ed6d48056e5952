"""The functions of `math` and `cmath` on numbers of run time, with the exceptions they raise."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from tapeless.backends.native.nest import F64, Expr, apply, const
from tapeless.backends.native.staging import float_steps
from tapeless.backends.native.staging.values import Number, Static, Value

Lowering = Callable[..., Value]
MATH: dict[Any, Lowering] = {}
MOST_STEPS = 8
CLOSE = Static(1e-09)
NIL_FLOAT = Static(0.0)
UNIT = Static(1)


def domain(function: Callable[..., Any], *bad: float) -> tuple[type[BaseException], tuple[Any, ...]]:
    """What a function raises for arguments outside its domain."""
    try:
        function(*bad)
    except (ValueError, OverflowError) as error:
        return type(error), error.args
    raise AssertionError(function)


def floats(s: Any, *values: Value) -> list[Expr]:
    return [s.bind(s.as_expr(s.to_float(v), F64)) for v in values]


#: name in `math` -> (operation, condition that must hold (of the argument), an argument that breaks it)
UNARY: dict[str, tuple[str, Callable[[Expr], Expr] | None, float]] = {
    "sin": ("sin", lambda x: apply("not", apply("isinf", x)), math.inf),
    "cos": ("cos", lambda x: apply("not", apply("isinf", x)), math.inf),
    "tan": ("tan", lambda x: apply("not", apply("isinf", x)), math.inf),
    "asin": ("asin", lambda x: apply("not", apply("gt", apply("fabs", x), 1.0)), 2.0),
    "acos": ("acos", lambda x: apply("not", apply("gt", apply("fabs", x), 1.0)), 2.0),
    "atan": ("atan", None, 0.0),
    "sinh": ("sinh", None, 0.0),
    "cosh": ("cosh", None, 0.0),
    "tanh": ("tanh", None, 0.0),
    "asinh": ("asinh", None, 0.0),
    "acosh": ("acosh", lambda x: apply("not", apply("lt", x, 1.0)), 0.0),
    "atanh": ("atanh", lambda x: apply("not", apply("ge", apply("fabs", x), 1.0)), 1.0),
    "exp": ("exp", None, 0.0),
    "exp2": ("exp2", None, 0.0),
    "expm1": ("expm1", None, 0.0),
    "sqrt": ("sqrt", lambda x: apply("not", apply("lt", x, 0.0)), -1.0),
    "cbrt": ("cbrt", None, 0.0),
    "log1p": ("log1p", lambda x: apply("not", apply("le", x, -1.0)), -1.0),
    "log2": ("log2", lambda x: apply("not", apply("le", x, 0.0)), 0.0),
    "log10": ("log10", lambda x: apply("not", apply("le", x, 0.0)), 0.0),
    "erf": ("erf", None, 0.0),
    "erfc": ("erfc", None, 0.0),
    "fabs": ("fabs", None, 0.0),
}
#: Functions whose result may be too large.
LARGE = {"sinh", "cosh", "exp", "exp2", "expm1"}


def unary(name: str) -> Lowering:
    op, condition, bad = UNARY[name]
    function = getattr(math, name)

    def run(s: Any, value: Value) -> Value:
        if isinstance(value, Static):
            return s.evaluate(function, value)  # type: ignore[no-any-return]
        (x,) = floats(s, value)
        if condition is not None:
            kind, args = domain(function, bad)
            s.check(condition(x), kind, *args)
        made = s.bind(apply(op, x))
        if name in LARGE:
            kind, args = domain(function, 1e5)
            s.check(apply("any", apply("not", apply("isinf", made)), apply("isinf", x)), kind, *args)
        return Number(made, float)

    return run


for _name in UNARY:
    if hasattr(math, _name):
        MATH[getattr(math, _name)] = unary(_name)


def lowers(function: Any) -> Callable[[Lowering], Lowering]:
    """Enter a lowering for a function; with known arguments the function itself is called."""

    def enter(run: Lowering) -> Lowering:
        def lowered(s: Any, *args: Value, **kwargs: Value) -> Value:
            if all(isinstance(a, Static) for a in args):
                return s.evaluate(function, *args, **kwargs)  # type: ignore[no-any-return]
            return run(s, *args, **kwargs)

        MATH[function] = lowered
        return run

    return enter


@lowers(math.log)
def log(s: Any, value: Value, base: Value | None = None) -> Value:
    (x,) = floats(s, value)
    kind, args = domain(math.log, 0.0)
    s.check(apply("not", apply("le", x, 0.0)), kind, *args)
    top = apply("log", x)
    if base is None:
        return Number(s.bind(top), float)
    bottom = s.as_expr(MATH[math.log](s, base), F64)
    return Number(s.bind(apply("div", top, s.nonzero(bottom, "float division by zero"))), float)


@lowers(math.pow)
def power(s: Any, x: Value, y: Value) -> Value:
    a, b = floats(s, x, y)
    kind, args = domain(math.pow, -1.0, 0.5)
    zero = apply("all", apply("eq", a, 0.0), apply("lt", b, 0.0))
    s.check(apply("not", zero), kind, *args)
    made = s.bind(apply("pow", a, b))
    fine = apply(
        "any", apply("not", apply("isnan", made)), apply("any", apply("isnan", a), apply("isnan", b))
    )
    s.check(fine, kind, *args)
    finite = apply("all", apply("isfinite", a), apply("isfinite", b))
    large = domain(math.pow, 10.0, 1000.0)
    s.check(apply("any", apply("not", apply("isinf", made)), apply("not", finite)), large[0], *large[1])
    return Number(made, float)


def binary(function: Any, op: str) -> None:
    @lowers(function)
    def run(s: Any, x: Value, y: Value) -> Value:
        a, b = floats(s, x, y)
        return Number(apply(op, a, b), float)


binary(math.atan2, "atan2")
binary(math.copysign, "copysign")


@lowers(math.nextafter)
def nextafter(s: Any, x: Value, y: Value, *, steps: Value | None = None) -> Value:
    a, b = floats(s, x, y)
    count = 1 if steps is None or (isinstance(steps, Static) and steps.obj is None) else s.known(steps)
    if not 0 <= count <= MOST_STEPS:
        s.refuse("math.nextafter by many steps", "write a loop")
    for _ in range(count):
        a = s.bind(float_steps.nextafter(a, b, s.bind))
    return Number(a, float)


@lowers(math.ulp)
def ulp(s: Any, x: Value) -> Value:
    (a,) = floats(s, x)
    return Number(s.bind(float_steps.ulp(a, s.bind)), float)


@lowers(math.hypot)
def hypot(s: Any, *values: Value) -> Value:
    xs = floats(s, *values)
    if len(xs) == 1:
        return Number(apply("fabs", xs[0]), float)
    made = xs[0]
    for x in xs[1:]:
        made = apply("hypot", made, x)
    return Number(s.bind(made), float)


@lowers(math.fmod)
def fmod(s: Any, x: Value, y: Value) -> Value:
    a, b = floats(s, x, y)
    kind, args = domain(math.fmod, 1.0, 0.0)
    s.check(apply("all", apply("ne", b, 0.0), apply("not", apply("isinf", a))), kind, *args)
    return Number(apply("fmod", a, b), float)


@lowers(math.remainder)
def remainder(s: Any, x: Value, y: Value) -> Value:
    """As CPython computes it: exact, and halves go to the even quotient."""
    a, b = floats(s, x, y)
    kind, args = domain(math.remainder, 1.0, 0.0)
    bad = apply("any", apply("eq", b, 0.0), apply("isinf", a))
    s.check(apply("any", apply("any", apply("isnan", a), apply("isnan", b)), apply("not", bad)), kind, *args)
    signs = [s.bind(apply("copysign", const(1.0), x)) for x in (a, b)]
    whole, step = s.bind(signs[0] * a), s.bind(signs[1] * b)  # not fabs, which has no slope at 0
    low = s.bind(apply("fmod", whole, step))
    high = s.bind(step - low)
    tie = low - 2.0 * apply("fmod", 0.5 * (whole - low), step)
    not_low = apply("select", apply("gt", low, high), apply("neg", high), tie)
    made = apply("select", apply("lt", low, high), low, not_low)
    return Number(s.bind(signs[0] * made), float)


def rounding(function: Any, op: str) -> None:
    @lowers(function)
    def run(s: Any, value: Value) -> Value:
        x = s.number(value)
        if x.expr.type != F64:
            return s.to_int(value)  # type: ignore[no-any-return]
        return Number(s.whole(apply(op, x.expr)), int)


rounding(math.floor, "floor")
rounding(math.ceil, "ceil")
rounding(math.trunc, "trunc")


def predicate(function: Any, op: str) -> None:
    @lowers(function)
    def run(s: Any, value: Value) -> Value:
        (x,) = floats(s, value)
        return Number(apply(op, x), bool)


predicate(math.isnan, "isnan")
predicate(math.isinf, "isinf")
predicate(math.isfinite, "isfinite")


@lowers(math.gamma)
def gamma(s: Any, value: Value) -> Value:
    (x,) = floats(s, value)
    kind, args = domain(math.gamma, -1.0)
    pole = apply("all", apply("le", x, 0.0), apply("eq", apply("floor", x), x))
    s.check(apply("not", pole), kind, *args)
    made = s.bind(apply("tgamma", x))
    large = domain(math.gamma, 1e5)
    s.check(apply("any", apply("not", apply("isinf", made)), apply("isinf", x)), large[0], *large[1])
    return Number(made, float)


@lowers(math.lgamma)
def lgamma(s: Any, value: Value) -> Value:
    (x,) = floats(s, value)
    kind, args = domain(math.lgamma, -1.0)
    pole = apply("all", apply("le", x, 0.0), apply("eq", apply("floor", x), x))
    s.check(apply("any", apply("not", pole), apply("isinf", x)), kind, *args)
    return Number(s.bind(apply("lgamma", x)), float)


@lowers(math.degrees)
def degrees(s: Any, value: Value) -> Value:
    return Number(apply("mul", floats(s, value)[0], const(180.0 / math.pi)), float)


@lowers(math.radians)
def radians(s: Any, value: Value) -> Value:
    return Number(apply("mul", floats(s, value)[0], const(math.pi / 180.0)), float)


@lowers(math.isclose)
def isclose(s: Any, x: Value, y: Value, *, rel_tol: Value = CLOSE, abs_tol: Value = NIL_FLOAT) -> Value:
    a, b = floats(s, x, y)
    r, t = floats(s, rel_tol, abs_tol)
    size = apply("fmax", apply("fabs", a), apply("fabs", b))
    near = apply("le", apply("fabs", apply("sub", a, b)), apply("fmax", apply("mul", r, size), t))
    inf = apply("any", apply("isinf", a), apply("isinf", b))
    return Number(apply("any", apply("eq", a, b), apply("all", apply("not", inf), near)), bool)


def total(s: Any, items: Value) -> Value:
    """`math.fsum`: summed as it stands, which is right to rounding."""
    made: Value = NIL_FLOAT
    for item in s.listed(items):
        made = s.binary("Add", made, s.to_float(item))
    return made


def product(s: Any, items: Value, *, start: Value = UNIT) -> Value:
    return s.fold(items, lambda a, b: s.binary("Mult", a, b), start)  # type: ignore[no-any-return]


def fsum(s: Any, items: Value) -> Value:
    return s.fold(items, lambda a, b: s.binary("Add", a, s.to_float(b)), Static(0.0))  # type: ignore[no-any-return]


def dist(s: Any, p: Value, q: Value) -> Value:
    pairs = zip(s.listed(p), s.listed(q), strict=True)
    gaps = [s.binary("Sub", s.to_float(a), s.to_float(b)) for a, b in pairs]
    return MATH[math.hypot](s, *gaps) if gaps else NIL_FLOAT


for _function in (math.factorial, math.comb, math.perm, math.gcd, math.lcm, math.isqrt):
    # of integers that are known: loops that they depend on are unrolled
    MATH[_function] = functools.partial(lambda function, s, *args: s.evaluate(function, *args), _function)
MATH[math.prod], MATH[math.fsum], MATH[math.dist] = product, fsum, dist
