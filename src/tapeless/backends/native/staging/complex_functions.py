"""The functions of `cmath` on numbers of run time, by real functions of their parts."""

from __future__ import annotations

import cmath
from collections.abc import Callable
from typing import Any

from tapeless.backends.native.nest import Expr, apply, const
from tapeless.backends.native.staging import complexes
from tapeless.backends.native.staging.mathematics import domain
from tapeless.backends.native.staging.values import ComplexNumber, Number, Sequence, Static, Value

CMATH: dict[Any, Callable[..., Value]] = {}


def lowers(function: Any) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    def enter(run: Callable[..., Value]) -> Callable[..., Value]:
        def lowered(s: Any, *args: Value) -> Value:
            if all(isinstance(a, Static) for a in args):
                return s.evaluate(function, *args)  # type: ignore[no-any-return]
            return run(s, *args)

        CMATH[function] = lowered
        return run

    return enter


def pair(s: Any, z: Value) -> tuple[Expr, Expr]:
    re, im = s.complex_parts(z)
    return s.bind(re), s.bind(im)


def made(s: Any, re: Expr, im: Expr) -> Value:
    return ComplexNumber(s.bind(re), s.bind(im), complex)


@lowers(cmath.exp)
def exp(s: Any, z: Value) -> Value:
    re, im = pair(s, z)
    size = s.bind(apply("exp", re))
    s.check(apply("any", apply("isfinite", size), apply("not", apply("isfinite", re))), *_large())
    return made(s, apply("mul", size, apply("cos", im)), apply("mul", size, apply("sin", im)))


def _large() -> tuple[Any, ...]:
    kind, args = domain(cmath.exp, 1e5)
    return (kind, *args)


@lowers(cmath.log)
def log(s: Any, z: Value, base: Value | None = None) -> Value:
    re, im = pair(s, z)
    zero = apply("all", apply("eq", re, 0.0), apply("eq", im, 0.0))
    kind, args = domain(cmath.log, 0.0)
    s.check(apply("not", zero), kind, *args)
    top = made(s, apply("log", apply("hypot", re, im)), apply("atan2", im, re))
    return top if base is None else s.complex_binary("Div", top, CMATH[cmath.log](s, base))


@lowers(cmath.phase)
def phase(s: Any, z: Value) -> Value:
    re, im = pair(s, z)
    return Number(s.bind(apply("atan2", im, re)), float)


@lowers(cmath.polar)
def polar(s: Any, z: Value) -> Value:
    re, im = pair(s, z)
    parts = [apply("hypot", re, im), apply("atan2", im, re)]
    return Sequence([Number(s.bind(p), float) for p in parts], tuple)


@lowers(cmath.rect)
def rect(s: Any, r: Value, phi: Value) -> Value:
    a, b = s.bind(s.as_expr(r, "f64")), s.bind(s.as_expr(phi, "f64"))
    return made(s, apply("mul", a, apply("cos", b)), apply("mul", a, apply("sin", b)))


@lowers(cmath.sqrt)
def sqrt(s: Any, z: Value) -> Value:
    return made(s, *complexes.sqrt(s.bind, pair(s, z)))


def trigonometric(function: Any, real: Callable[..., Expr], imag: Callable[..., Expr]) -> None:
    @lowers(function)
    def run(s: Any, z: Value) -> Value:
        re, im = pair(s, z)
        return made(s, real(re, im), imag(re, im))


def f(name: str, x: Expr) -> Expr:
    return apply(name, x)


trigonometric(cmath.sin, lambda x, y: f("sin", x) * f("cosh", y), lambda x, y: f("cos", x) * f("sinh", y))
trigonometric(cmath.cos, lambda x, y: f("cos", x) * f("cosh", y), lambda x, y: -(f("sin", x) * f("sinh", y)))
trigonometric(cmath.sinh, lambda x, y: f("sinh", x) * f("cos", y), lambda x, y: f("cosh", x) * f("sin", y))
trigonometric(cmath.cosh, lambda x, y: f("cosh", x) * f("cos", y), lambda x, y: f("sinh", x) * f("sin", y))


def inverse(function: Any, of_parts: Callable[..., tuple[Expr, Expr]], pole: int | None = None) -> None:
    """A function whose poles are where the part of this number is 1 or -1, and the other one 0."""

    @lowers(function)
    def run(s: Any, z: Value) -> Value:
        parts = pair(s, z)
        if pole is not None:
            at = apply("eq", apply("fabs", parts[pole]), const(1.0))
            s.replay_unless(apply("not", apply("all", at, apply("eq", parts[1 - pole], const(0.0)))))
        return made(s, *of_parts(s.bind, parts))


for _function in (cmath.asin, cmath.acos, cmath.asinh, cmath.acosh, cmath.tan, cmath.tanh):
    inverse(_function, getattr(complexes, _function.__name__))
inverse(cmath.atanh, complexes.atanh, 0)
inverse(cmath.atan, complexes.atan, 1)
