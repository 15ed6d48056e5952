"""Roots of one number between two ends, as programs: the function is compiled with them.

The derivatives of a root are those of the equation that it solves.
"""
# Opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import math

from tapeless.backends.native.staging.initial_values import depth, leave
from tapeless.custom import stop_gradient
from tapeless.transformed import value_and_grad

#: Relative tolerances below this are an error.
LEAST = 4 * 2.0**-52


def other_side(a, b):
    return a != 0 and b != 0 and math.copysign(1.0, a) != math.copysign(1.0, b)


def by_halves(f, a, b, xtol, rtol, maxiter):
    """Bisection."""
    first = f(a)
    last = f(b)
    if first == 0:
        return a
    if last == 0:
        return b
    if not other_side(first, last):
        leave()
    width = b - a
    for _ in range(maxiter):
        width *= 0.5
        middle = a + width
        value = f(middle)
        if value == 0 or abs(width) < xtol + rtol * abs(middle):
            return middle
        if not other_side(value, first):
            a = middle
    leave()


def by_brent(f, a, b, xtol, rtol, maxiter):
    """Brent, Algorithms for Minimization without Derivatives (1973), section 4.

    `x` is the best so far, `old` the one before, and the root is between `x` and `end`.
    """
    old, x = a, b
    at_old, at_x = f(old), f(x)
    if at_old == 0:
        return old
    if at_x == 0:
        return x
    if not other_side(at_old, at_x):
        leave()
    end = at_end = step = before = 0.0
    for _ in range(maxiter):
        if other_side(at_old, at_x):
            end, at_end = old, at_old
            step = before = x - old
        if abs(at_end) < abs(at_x):
            old, x, end = x, end, x
            at_old, at_x, at_end = at_x, at_end, at_x
        near = (xtol + rtol * abs(x)) / 2
        half = (end - x) / 2
        if at_x == 0 or abs(half) < near:
            return x
        bisects = True
        if abs(before) > near and abs(at_x) < abs(at_old):
            if old == end:  # a line through two points
                tried = -at_x * (x - old) / (at_x - at_old)
            else:  # a parabola through three
                one, two = (at_old - at_x) / (old - x), (at_end - at_x) / (end - x)
                tried = -at_x * (at_end * two - at_old * one) / (two * one * (at_end - at_old))
            if 2 * abs(tried) < min(abs(before), 3 * abs(half) - near):
                before, step, bisects = step, tried, False
        if bisects:
            before = step = half
        old, at_old = x, at_x
        if abs(step) > near:
            x += step
        else:
            x += near if half > 0 else -near
        at_x = f(x)
    leave()


def between(search):
    def program(f, a, b, args=(), xtol=2e-12, rtol=LEAST * 1.0, maxiter=100, full_output=False, disp=True):
        if not isinstance(args, tuple):
            args = (args,)
        if full_output or not disp or xtol <= 0 or rtol < LEAST or maxiter < 1:
            leave()

        def equation(x):
            value = float(f(x, *args))
            if math.isnan(value):
                leave()
            return value

        low, high = stop_gradient(float(a)), stop_gradient(float(b))
        found = stop_gradient(search(equation, low, high, xtol, rtol, maxiter))
        if depth():
            rest, slope = stop_gradient(value_and_grad(equation)(found))
            if slope == 0:
                leave()
            for _ in range(max(2, depth())):  # each step of Newton's method gives one more derivative
                found = found - (equation(found) - rest) / slope
        return found

    return program


brentq, bisect = between(by_brent), between(by_halves)
