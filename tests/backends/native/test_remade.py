"""Arrays of one iteration that are made again, backwards, instead of being kept."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from benchmarks.gradbench import ode
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeless as tl
from tapeless.backends.native.nest import (
    F64,
    I64,
    ZERO,
    Alloc,
    Array,
    Assign,
    Expr,
    For,
    Function,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
)
from tapeless.backends.native.reverse import reverse
from tapeless.backends.native.show import python
from tapeless.backends.native.verify import verify

from .test_reverse import check, numeric

X, Y = np.array([0.3, -0.7, 0.9, 0.2]), np.array([-0.4, 0.8, 0.1, -0.6])


def saves(loops: str) -> int:
    """How many things have their elements saved, wherever the loops that do so begin and end."""
    return len(
        {re.sub(r"\[.*?\]", "[]", x) for x in re.findall(r"^ *saved\[.*\] = (.*)$", loops, re.MULTILINE)}
    )


def agrees(f: Any, *args: Any) -> str:
    got, want = tl.jit(tl.grad(f))(*args), tl.grad(f)(*args)
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-13)
    return tl.compiled(tl.grad(f), *args)


def test_inner_stages_are_made_again_from_the_state() -> None:
    x, steps = ode.data(7, 5)
    assert saves(agrees(ode.last, x, steps)) == 1  # the state


def test_what_is_overwritten_since_is_kept() -> None:
    def f(x, steps):  # type: ignore[no-untyped-def]
        y, z = x.copy(), np.sin(x)
        for _ in range(steps):
            t = x * y
            y += z
            z *= t  # here t is wanted, and y is no longer what it was made from
        return z.sum()

    assert saves(agrees(f, X, 3)) == 3  # t, and what is overwritten of y and z


def test_costly_arrays_are_kept() -> None:
    def f(x, y, steps):  # type: ignore[no-untyped-def]
        s = 0.0
        for k in range(steps):
            t = np.exp(y * k) + x
            u = t * x
            s += (t * t).sum() + (u * u).sum()
        return s

    loops = agrees(f, X, 2.0 * X, 3)
    assert loops.count("exp(") == 1
    assert saves(loops) == 1  # t, but not u


def test_nothing_else_is_kept_for_it() -> None:
    def f(x, steps):  # type: ignore[no-untyped-def]
        y, s = x.copy(), 0.0
        for k in range(steps):
            t = y * 2.0
            s += math.sin(k) * (t * t).sum()
            y *= 0.5  # linear: y itself is wanted by nobody
        return s

    assert saves(agrees(f, X, 3)) == 2  # t and the sine


@st.composite
def programs(draw: Any) -> Function:
    """Arrays of one iteration from each other and from states, which are overwritten in between."""
    x, y, u, w = (Array(n, "float64", 1) for n in "xyuw")
    p, out, step = Scalar("p", F64), Scalar("out", F64), Scalar("step", I64)
    made: list[Array] = []

    def element(i: Scalar) -> Expr:
        a = draw(st.sampled_from([x, y, u, w, *made, *made]))
        shift = draw(st.integers(0, 2))
        return Load(a, (apply("mod", Ref(i) + shift, 4) if shift else Ref(i),)) * 0.5

    def value(i: Scalar, out: list[Stmt]) -> Expr:
        e = element(i)
        for _ in range(draw(st.integers(0, 2))):
            e = apply(
                draw(st.sampled_from(["add", "mul", "sub"])), e, draw(st.sampled_from([Ref(p), element(i)]))
            )
        if draw(st.booleans()):
            v = Scalar("v", F64)
            out.append(Assign(v, e))
            e = Ref(v) * draw(st.sampled_from([const(0.5), Ref(v) * 0.1]))  # nothing grows, and cancels then
        return e

    def loop(a: Array, add: bool = False) -> Stmt:
        i, body = Scalar("i", I64), list[Stmt]()
        e = value(i, body)
        return For(i, ZERO, const(4), [*body, Store(a, (Ref(i),), e, add)])

    body: list[Stmt] = []
    for _ in range(draw(st.integers(2, 7))):
        kind = draw(st.integers(0, 5))
        if kind <= 2:
            t = Array("t", "float64", 1)
            body += [Alloc(t, (const(4),)), loop(t)]
            made.append(t)
            if draw(st.integers(0, 3)) == 0:
                body.append(loop(t, add=True))
        elif kind == 3:
            a = draw(st.sampled_from([u, w]))
            inner = loop(a, add=draw(st.booleans()))
            body.append(If(apply("gt", Ref(step), 0), [inner]) if draw(st.booleans()) else inner)
        elif kind == 4 and made:
            body.append(loop(draw(st.sampled_from(made)), add=draw(st.booleans())))
        else:
            i, inside = Scalar("i", I64), list[Stmt]()
            e = value(i, inside) * element(i)
            body.append(For(i, ZERO, const(4), [*inside, Assign(out, Ref(out) + e)]))
    start: list[Stmt] = [Assign(out, const(0.0))]
    for a, source in ((u, x), (w, y)):
        i = Scalar("i", I64)
        start += [
            Alloc(a, (const(4),)),
            For(i, ZERO, const(4), [Store(a, (Ref(i),), Load(source, (Ref(i),)))]),
        ]
    i = Scalar("i", I64)
    end = For(i, ZERO, const(4), [Assign(out, Ref(out) + Load(u, (Ref(i),)) * Load(w, (Ref(i),)))])
    return Function("f", [x, y, p], [*start, For(step, ZERO, const(3), body), end], [out])


@settings(max_examples=400, deadline=None)
@given(programs())
def test_random_programs(fn: Function) -> None:
    check(fn, [X, Y, 0.4], [0, 1, 2])


@settings(max_examples=60, deadline=None)
@given(programs())
def test_random_programs_backwards_twice(fn: Function) -> None:
    once = reverse(fn, [0, 2])
    twice = verify(reverse(once, [0, 1, 2], seeds=[1, 2], seeded=True))
    cts = [np.array([0.3, -1.1, 0.7, 0.2]), 0.9]
    got = python(twice)(X.copy(), Y.copy(), 0.4, *cts)
    want = numeric(once, [X, Y, 0.4], [0, 1, 2], [None, *cts])
    for a, b in zip(got[3:], want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("n", [1, 6])
def test_in_two_axes(n: int) -> None:
    def f(a, steps):  # type: ignore[no-untyped-def]
        s = a.copy()
        for _ in range(steps):
            t = 0.5 * s
            t[0] = a[0] * s[-1]
            u = t * a
            s += t * u
        return (s * s).sum()

    agrees(f, np.random.default_rng(0).normal(size=(n, n)), 3)
