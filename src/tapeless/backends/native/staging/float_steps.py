"""The numbers next to a float, and a float rounded to decimals, in arithmetic that rounds as it should.

The neighbour is that of Rump, Zimmermann, Boldo and Melquiond, "Computing predecessor and successor in
rounding to nearest", BIT 49 (2009); the decimals go through an exact product (Dekker, 1971).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapeless.backends.native.nest import F64, Expr, apply, const

#: The largest power of ten that is a float, with all that are smaller.
MOST_DECIMALS = 22


def select(condition: Expr, a: Expr, b: Expr) -> Expr:
    return apply("select", condition, a, b)


def spacing(x: Expr, bind: Callable[[Expr], Expr]) -> Expr:
    """From |x|, which is finite, to the next larger number; infinite if there is none."""
    a = bind(apply("fabs", x))
    return bind(apply("sub", neighbour(a, "add", bind), a))


def below(x: Expr, bind: Callable[[Expr], Expr]) -> Expr:
    """From the next smaller number to |x|, which is finite and not 0."""
    a = bind(apply("fabs", x))
    return bind(apply("sub", a, neighbour(a, "sub", bind)))


def neighbour(a: Expr, way: str, bind: Callable[[Expr], Expr]) -> Expr:
    """The number next to `a`, which is finite and not negative: "add" the larger one, "sub" the smaller."""
    limits = np.finfo(np.float64 if a.type == F64 else np.float32)
    unit, least = float(limits.eps) / 2, float(limits.smallest_subnormal)
    phi = unit * (1 + 2 * unit)
    scaled = bind(apply("mul", a, 1 / unit))
    return select(
        apply("ge", a, least / unit / unit / 2),
        apply(way, a, apply("mul", a, phi)),
        select(
            apply("lt", a, least / unit),
            apply(way, a, least),
            apply("mul", apply(way, scaled, apply("mul", scaled, phi)), unit),
        ),
    )


def nextafter(x: Expr, y: Expr, bind: Callable[[Expr], Expr]) -> Expr:
    """The number next to `x` towards `y`; its derivative by `x` is 1."""
    limits = np.finfo(np.float64 if x.type == F64 else np.float32)
    largest, least = float(limits.max), float(limits.smallest_subnormal)
    up = bind(apply("gt", y, x))
    zero = bind(apply("eq", x, const(0.0, x.type)))
    outwards = bind(apply("eq", up, apply("gt", x, const(0.0, x.type))))
    step = bind(select(outwards, spacing(x, bind), below(x, bind)))
    step = bind(select(zero, const(least, x.type), step))
    moved = apply("add", x, apply("stop", select(up, step, apply("neg", step))))
    # from an infinity, inwards
    inside = apply("copysign", const(largest, x.type), apply("stop", x))
    moved = bind(select(apply("isinf", x), inside, moved))
    moved = select(apply("all", apply("eq", moved, const(0.0, x.type)), apply("not", zero)),
                   apply("mul", x, const(0.0, x.type)), moved)  # fmt: skip
    unordered = apply("any", apply("isnan", x), apply("isnan", y))
    return select(unordered, apply("add", x, apply("stop", y)), select(apply("eq", x, y), same(x, y), moved))


def same(x: Expr, y: Expr) -> Expr:
    """`y`, which is `x` but for the sign of a zero."""
    return select(apply("eq", x, const(0.0, x.type)), apply("copysign", x, apply("stop", y)), x)


def ulp(x: Expr, bind: Callable[[Expr], Expr]) -> Expr:
    """`math.ulp`."""
    up = spacing(x, bind)
    made = select(apply("isinf", up), below(x, bind), up)
    return apply("stop", select(apply("isfinite", x), made, apply("fabs", x)))


def to_decimals(x: Expr, digits: int, bind: Callable[[Expr], Expr]) -> Expr:
    """`round(x, digits)` of Python: to the nearest decimal number, of two the even one."""
    power = float(10**digits)
    high = bind(apply("mul", x, power))
    low = bind(product_error(x, power, high, bind))
    whole = bind(apply("rint", high))
    rest = bind(apply("sub", high, whole))
    half = apply("eq", apply("fabs", rest), const(0.5))
    beyond = apply("gt", apply("mul", apply("copysign", const(1.0), rest), low), const(0.0))
    moved = apply("add", whole, apply("copysign", const(1.0), rest))
    moved = bind(select(apply("all", half, beyond), moved, whole))
    moved = apply("copysign", apply("fabs", moved), x)
    kept = apply("not", apply("lt", apply("fabs", high), const(2.0**53)))
    return bind(apply("stop", select(kept, x, apply("div", moved, const(power)))))


def product_error(a: Expr, b: float, product: Expr, bind: Callable[[Expr], Expr]) -> Expr:
    """What a product of floats lacks."""
    scaled = bind(apply("mul", a, 134217729.0))
    a_high = bind(apply("sub", scaled, apply("sub", scaled, a)))
    a_low = bind(apply("sub", a, a_high))
    b_high = b * 134217729.0 - (b * 134217729.0 - b)
    b_low = b - b_high
    left = apply("sub", apply("mul", a_high, b_high), product)
    left = apply("add", apply("add", left, apply("mul", a_high, b_low)), apply("mul", a_low, b_high))
    return apply("add", left, apply("mul", a_low, b_low))
