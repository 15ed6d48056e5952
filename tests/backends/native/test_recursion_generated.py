"""Random recursive functions: compiled, differentiated once and twice, as the python road does it."""

import itertools
import linecache
import math
import sys

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import tapeless as tl
from tapeless.backends.native.staging import stage

NUMBERS = ("x", "y", "s", "t")
COUNT = itertools.count()


@st.composite
def expression(draw, depth=2):
    kind = draw(st.integers(0, 9 if depth else 3))
    if kind <= 1:
        return draw(st.sampled_from(NUMBERS))
    if kind == 2:
        return draw(st.sampled_from(("1.25", "a[n % 3]", "a[0]", "b[1]", "b[n % 2]", "c[0]", "(n + 1)")))
    if kind == 3:
        return draw(st.sampled_from(("b.sum()", "(a * x)[1]", "b[::-1][0]", "float(n)")))
    one, two = draw(expression(depth=depth - 1)), draw(expression(depth=depth - 1))
    if kind <= 5:
        return f"({one} + {two})"
    if kind <= 7:
        return f"math.sin({one}) * {two}"
    return f"math.sin({one} - {two})"


@st.composite
def call(draw):
    first, second = draw(expression(depth=1)), draw(expression(depth=1))
    array = draw(st.sampled_from(("a", "a", "a[::-1]", "b * 0.5", "b")))
    return f"f({first}, {second}, n - {draw(st.integers(1, 2))}, {array}, c)"


@st.composite
def block(draw, depth, calls):
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.integers(0, 11))
        name = draw(st.sampled_from(NUMBERS))
        if kind <= 1:
            lines.append(f"{name} = {draw(expression())}")
        elif kind <= 3 and calls:
            calls -= 1
            lines.append(f"{name} = {draw(call())}")
        elif kind == 4:
            to = draw(st.sampled_from(("c[0] += ", "c[0] = ", "a[n % 3] = ", "a[1] += ")))
            lines.append(to + draw(expression(depth=1)))
        elif kind == 5:
            to = ("b[1] = {}", "b = b * {}", "b = np.array([{}, x, y])", "b[n % 3] += {}")
            lines.append(draw(st.sampled_from(to)).format(draw(expression(depth=1))))
        elif depth:
            test = f"{draw(expression(depth=1))} > {draw(st.sampled_from(('0.3', 's', 't - 0.2')))}"
            inner = draw(block(depth=depth - 1, calls=min(calls, 1)))
            if kind == 6:
                lines += [f"if {test}:", *inner]
                if draw(st.booleans()):
                    lines += ["else:", *draw(block(depth=depth - 1, calls=min(calls, 1)))]
            elif kind == 7:
                lines += [f"if {test}:", *inner, f"    return {draw(expression())}"]
            elif kind == 8:
                lines += ["for i in range(2):", *inner]
                word = draw(st.sampled_from(("break", "continue", None)))
                if word is not None:
                    lines += [f"    if {test}:", f"        {word}"]
                    lines.append(f"    {name} = {draw(expression(depth=1))}")
            elif kind == 9:
                lines += [f"if {test}:", *inner, "    raise ValueError", "    k = 0"]
            elif kind == 10:
                word = draw(st.sampled_from(("except ValueError:", "finally:")))
                lines += ["try:", *inner, word, *draw(block(depth=depth - 1, calls=0))]
            else:
                lines += ["k = 0", f"while k < 2 and {test}:", "    k += 1", *inner]
    return ["    " + line for line in lines or ["pass"]]


@st.composite
def program(draw):
    stop = draw(st.sampled_from(("n <= 0", "n <= 0 or x > 1.5", "n < 1 or s > 3.0")))
    body = draw(block(depth=2, calls=2))
    last = draw(call())
    return "\n".join(
        [
            "def f(x, y, n, a, c):",
            "    s, t = x * 0.5, y + 0.25",
            "    b = np.array([y, x, s])",
            f"    if {stop}:",
            f"        return {draw(expression())}",
            *body,
            f"    return {draw(expression())} + {last}",
            "",
            "def top(x, a, n):",
            "    d, c = a.copy(), [0.25]",
            "    try:",
            "        r = f(x, x * 0.5, n, d, c)",
            "    except ValueError:",
            "        r = x * 0.75",
            "    return r + d[0] * 2.0 + d.sum() + c[0]",
        ]
    )


def made(source):
    filename = f"<recursion {next(COUNT)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    scope = {"np": np, "math": math}
    exec(compile(source, filename, "exec"), scope)
    return scope["top"]


class TooLong(BaseException):
    """More calls than a test should wait for."""


def short(f, *args):
    """Whether a program ends after a few hundred calls: some call themselves in loops."""
    left = itertools.count(400, -1)

    def count(frame, event, arg):
        if event == "call" and next(left) < 0:
            raise TooLong

    sys.setprofile(count)
    try:
        f(*args)
    except TooLong:
        return False
    finally:
        sys.setprofile(None)
    return True


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(program(), st.floats(0.1, 1.0), st.integers(0, 3))
def test_random_recursion(source, x, n):
    f, a = made(source), np.array([0.3, 0.7, 1.1])
    assume(short(f, x, a, n))
    try:
        stage(f, (x, a, n))
    except tl.TapelessError as error:
        assert "changed in place" in str(error), error
        return
    np.testing.assert_allclose(tl.jit(f)(x, a, n), f(x, a, n), rtol=1e-10, atol=1e-12)
    for k in (0, 1):
        slope = tl.grad(f, argnums=k)
        np.testing.assert_allclose(tl.jit(slope)(x, a, n), slope(x, a, n), rtol=1e-9, atol=1e-10)
    twice = tl.grad(lambda z: tl.jvp(lambda y: f(y, a, n), (z,), (1.0,))[1])
    np.testing.assert_allclose(tl.jit(twice)(x), twice(x), rtol=1e-8, atol=1e-9)
