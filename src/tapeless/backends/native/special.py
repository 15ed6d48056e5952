"""Functions of SciPy by their C forms: where those are, and their derivatives."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

from tapeless.backends.native.nest import Expr, apply, const
from tapeless.errors import MissingRuleError

Slope = Callable[..., Expr]


class NeedsRule(MissingRuleError):
    """A derivative that only the function's rule in Python has: staging has to begin again, with that rule
    for some of its operands."""

    def __init__(self, function: str, operands: Iterable[int]) -> None:
        self.function, self.operands = function, set(operands)
        super().__init__(f"native code has no derivative of {function} by some of its operands")


@functools.cache
def address(name: str) -> int:
    """Where SciPy has a function of doubles (and an integer, which is to be 0)."""
    import scipy.special.cython_special as found  # type: ignore[import-untyped]

    get, point = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_char_p, [ctypes.py_object]
    point.restype, point.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    for spelling in (name, f"__pyx_fuse_0{name}", f"__pyx_fuse_1{name}"):
        capsule = found.__pyx_capi__.get(spelling)
        kind = get(capsule) if capsule is not None else b""
        if kind.startswith(b"double (double") and kind.endswith(b", int __pyx_skip_dispatch)"):
            return int(point(capsule, kind))
    raise LookupError(name)


def call(name: str, *operands: Any) -> Expr:
    return apply(f"special.{name}", *operands)


def exp(x: Expr) -> Expr:
    return apply("exp", x)


def sign(x: Expr) -> Expr:
    zero = const(0, x.type)
    return apply("select", apply("lt", x, zero), -1.0, apply("select", apply("eq", x, zero), zero, 1.0))


def trigamma(x: Expr) -> Expr:
    """The derivative of digamma: by recurrence, then by Stirling's series; below 0 by reflection."""
    low = apply("le", x, const(0, x.type))
    z = apply("select", low, 1.0 - x, x)
    total = sum((1.0 / ((z + float(k)) * (z + float(k))) for k in range(1, 10)), 1.0 / (z * z))
    far = z + 10.0
    square = 1.0 / (far * far)
    series: Expr = const(0, x.type)
    for term in (7 / 6, -691 / 2730, 5 / 66, -1 / 30, 1 / 42, -1 / 30, 1 / 6):
        series = (series + term) * square
    total = total + (1.0 + 0.5 / far + series) / far
    sine = apply("sin", math.pi * (x - apply("rint", x)))
    return apply("select", low, (math.pi * math.pi) / (sine * sine) - total, total)


def density(a: Expr, x: Expr) -> Expr:
    """The density of the gamma distribution of shape `a`."""
    return exp((a - 1.0) * apply("log", x) - x - apply("lgamma", a))


def near(m: Expr, series: tuple[float, ...], slope: Callable[[Expr], Expr]) -> Expr:
    """The slope of a whole elliptic integral; near 0, where it is a difference divided by m, its series."""
    small = apply("lt", apply("fabs", m), 1e-4)
    total: Expr = const(0.0)
    for term in reversed(series):
        total = total * m + math.pi * term
    return apply("select", small, total, slope(apply("select", small, 0.5, m)))


def digamma(x: Expr) -> Expr:
    return apply("digamma", x)


HALF_PI = 0.5 * math.sqrt(math.pi)
NORMAL = math.sqrt(2.0 * math.pi)
#: The partials of each function by its operands, given the value and them; None where there is none.
SLOPES: dict[str, tuple[Slope | None, ...]] = {
    "j0": (lambda y, x: -call("j1", x),),
    "j1": (lambda y, x: 0.5 * (call("j0", x) - call("jv", 2.0, x)),),
    "y0": (lambda y, x: -call("y1", x),),
    "y1": (lambda y, x: call("y0", x) - y / x,),
    "i0": (lambda y, x: call("i1", x),),
    "i1": (lambda y, x: 0.5 * (call("i0", x) + call("iv", 2.0, x)),),
    "i0e": (lambda y, x: call("i1e", x) - sign(x) * y,),
    "i1e": (lambda y, x: 0.5 * (call("i0e", x) + call("ive", 2.0, x)) - sign(x) * y,),
    "k0": (lambda y, x: -call("k1", x),),
    "k1": (lambda y, x: -call("k0", x) - y / x,),
    "dawsn": (lambda y, x: 1.0 - 2.0 * x * y,),
    "ellipk": (
        lambda y, m: near(
            m,
            (1 / 8, 9 / 64, 75 / 512, 1225 / 8192),
            lambda m: (call("ellipe", m) / (1.0 - m) - y) / (2.0 * m),
        ),
    ),
    "ellipe": (
        lambda y, m: near(
            m, (-1 / 8, -3 / 64, -15 / 512, -175 / 8192), lambda m: (y - call("ellipk", m)) / (2.0 * m)
        ),
    ),
    "ndtri": (lambda y, p: NORMAL * exp(0.5 * y * y),),
    "erfinv": (lambda y, p: HALF_PI * exp(y * y),),
    "erfcinv": (lambda y, p: -HALF_PI * exp(y * y),),
    "rgamma": (lambda y, x: -y * digamma(x),),
    "cosm1": (lambda y, x: -apply("sin", x),),
    "expi": (lambda y, x: exp(x) / x,),
    "exp1": (lambda y, x: -exp(-x) / x,),
    "erfcx": (lambda y, x: 2.0 * x * y - 1.0 / HALF_PI,),
    "erfi": (lambda y, x: exp(x * x) / HALF_PI,),
    "log_ndtr": (lambda y, x: exp(-0.5 * x * x - y) / NORMAL,),
    "jv": (None, lambda y, v, x: 0.5 * (call("jv", v - 1.0, x) - call("jv", v + 1.0, x))),
    "yv": (None, lambda y, v, x: 0.5 * (call("yv", v - 1.0, x) - call("yv", v + 1.0, x))),
    "iv": (None, lambda y, v, x: 0.5 * (call("iv", v - 1.0, x) + call("iv", v + 1.0, x))),
    "ive": (
        None,
        lambda y, v, x: 0.5 * (call("ive", v - 1.0, x) + call("ive", v + 1.0, x)) - sign(x) * y,
    ),
    "kv": (None, lambda y, v, x: -0.5 * (call("kv", v - 1.0, x) + call("kv", v + 1.0, x))),
    "gammainc": (None, lambda y, a, x: density(a, x)),
    "gammaincc": (None, lambda y, a, x: -density(a, x)),
    "beta": (
        lambda y, a, b: y * (digamma(a) - digamma(a + b)),
        lambda y, a, b: y * (digamma(b) - digamma(a + b)),
    ),
    "betaln": (
        lambda y, a, b: digamma(a) - digamma(a + b),
        lambda y, a, b: digamma(b) - digamma(a + b),
    ),
}


def maps(
    name: str, arithmetic: Any, y: Expr, operands: tuple[Expr, ...]
) -> tuple[Callable[[Expr], Expr], ...]:
    """The linear map of each operand."""

    def unknown(k: int) -> Callable[[Expr], Expr]:
        def of(t: Expr) -> Expr:
            raise NeedsRule(f"scipy.special.{name}", {k})

        return of

    return tuple(
        unknown(k) if slope is None else arithmetic.by(slope(y, *operands))
        for k, slope in enumerate(SLOPES[name])
    )
