"""A nest printed as Python reads well, and runs."""

import numpy as np
import pytest

from tapeless.backends.native import show
from tapeless.backends.native.nest import (
    F64,
    I64,
    Alloc,
    Array,
    Assign,
    Check,
    Const,
    Dim,
    Failure,
    For,
    Function,
    Grow,
    If,
    Load,
    Ref,
    Scalar,
    Store,
    Swap,
    apply,
    const,
)
from tapeless.backends.native.verify import MalformedNest, verify


def running_sum() -> Function:
    x, y = Array("x", "float64", 1), Array("y", "float64", 1)
    i, s = Scalar("i", I64), Scalar("s", F64)
    return Function(
        "running_sum",
        [x],
        [
            Assign(s, const(0.0)),
            Alloc(y, (Dim(x, 0),)),
            For(
                i,
                const(0),
                Dim(x, 0),
                [
                    Assign(s, Ref(s) + apply("sin", Load(x, (Ref(i),))) * (Load(x, (Ref(i),)) - 2.0)),
                    Store(y, (Ref(i),), Ref(s)),
                ],
            ),
            Check(apply("lt", Ref(s), const(100.0)), 0),
        ],
        [s, y],
        [Failure(ValueError, ("too large",), "f.py", 3)],
    )


def test_text() -> None:
    assert show.source(verify(running_sum())) == (
        "def running_sum(x):\n"
        "    s = 0.0\n"
        "    y = np.empty((x.shape[0],), np.float64)\n"
        "    for i in range(x.shape[0]):\n"
        "        s = s + np.sin(x[i]) * (x[i] - 2.0)\n"
        "        y[i] = s\n"
        "    if not (s < 100.0): raise ValueError('too large')\n"
        "    return (s, y)\n"
    )


def test_it_runs() -> None:
    x = np.linspace(0.0, 1.0, 5)
    total, sums = show.python(running_sum())(x)
    expected = np.cumsum(np.sin(x) * (x - 2.0))
    np.testing.assert_allclose(sums, expected)
    assert total == sums[-1]
    with pytest.raises(ValueError, match="too large"):
        show.python(running_sum())(np.full(200, 8.0))


def test_arithmetic_is_ieee() -> None:
    x, y = Scalar("x", F64), Scalar("y", F64)
    fn = Function("f", [x], [Assign(y, const(1.0) / Ref(x))], [y])
    assert show.python(fn)(0.0) == (np.inf,)


def test_storage_that_is_given_twice_keeps_its_content() -> None:
    a, b, i = Array("a", "float64", 1), Array("b", "float64", 1), Scalar("i", I64)
    body = [
        Alloc(b, (const(1),)),
        Store(b, (const(0),), const(7.0)),
        For(
            i,
            const(0),
            const(3),
            [
                Alloc(a, (const(1),)),
                If(apply("eq", Ref(i), const(0)), [Store(a, (const(0),), const(1.0))]),
                Store(a, (const(0),), Load(a, (const(0),)) * 2.0),
            ],
        ),
        Swap(a, b),
        Grow(a, const(3)),
    ]
    got_a, got_b = show.python(verify(Function("f", [], body, [a, b])))()
    np.testing.assert_array_equal(got_a, [7.0, 0.0, 0.0])
    np.testing.assert_array_equal(got_b, [8.0])


def test_precedence() -> None:
    x, y = Ref(Scalar("x", F64)), Ref(Scalar("y", F64))
    printer = show.Printer(Function("f", [], [], []))
    assert printer.expr((x - (y - x)) * -(x / (y * x))) == "(x - (y - x)) * -(x / (y * x))"
    assert printer.expr(apply("pow", -x, apply("pow", x, y))) == "(-x) ** x ** y"
    assert printer.expr(apply("select", apply("lt", x, y), x, y) + 1.0) == "(x if x < y else y) + 1.0"
    assert printer.expr(apply("not", apply("all", apply("lt", x, y), apply("lt", y, x)))) == (
        "not (x < y and y < x)"
    )


def test_the_verifier_finds_what_is_wrong() -> None:
    x, n = Scalar("x", F64), Scalar("n", I64)
    a = Array("a", "float64", 2)
    bad = [
        [Assign(x, Ref(n))],
        [Assign(x, Ref(Scalar("z", F64)))],
        [Assign(x, Load(a, (Ref(n),)))],
        [Assign(n, Dim(a, 2))],
        [For(n, const(0), const(3), [Assign(n, const(1))])],
        [If(Ref(n), [])],
        [Check(Const(True, "bool"), 0)],
        [Assign(x, const(1.0)), Store(a, (Ref(n), Ref(n)), Ref(n))],
    ]
    for body in bad:
        with pytest.raises(MalformedNest):
            verify(Function("f", [a, n], body, []))
