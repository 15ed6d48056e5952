"""Reverse mode on nests: random ones against the complex step, and what is particular by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import (
    BOOL,
    F32,
    F64,
    I64,
    ZERO,
    Alloc,
    Array,
    Assign,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    While,
    apply,
    cast,
    const,
    walk,
)
from tapeless.backends.native.reverse import reverse
from tapeless.backends.native.show import python
from tapeless.backends.native.verify import verify
from tapeless.errors import BackendError

from .interpreter import directional
from .random_nests import functions

X = np.array([0.3, -0.7, 0.9, 0.2])
Y = np.array([-0.4, 0.8, 0.1, -0.6])
IDX = np.array([2, 0, 3, 1])
PARAMS: list[Any] = [X, Y, IDX, 0.4, -0.3]


def copies(params: list[Any]) -> list[Any]:
    return [p.copy() if isinstance(p, np.ndarray) else p for p in params]


def numeric(fn: Function, params: list[Any], wrt: list[int], cts: list[Any]) -> list[Any]:
    """Gradients of the results weighted by `cts` (None: not), one complex step for each number."""
    out: list[Any] = []
    for k in wrt:
        p = params[k]
        grad = np.zeros(np.shape(p))
        for at in np.ndindex(np.shape(p)):
            t = np.zeros(np.shape(p))
            t[at] = 1.0
            tangents: list[Any] = [None] * len(params)
            tangents[k] = t if isinstance(p, np.ndarray) else 1.0
            _, d = directional(fn, params, tangents)
            grad[at] = sum(np.sum(c * np.asarray(e)) for c, e in zip(cts, d, strict=True) if c is not None)
        out.append(grad)
    return out


def check(fn: Function, params: list[Any], wrt: list[int], **options: Any) -> Function:
    """The gradient is that of the complex step; results and mutations are those of `fn`."""
    made = verify(reverse(verify(fn), wrt, **options))
    plain, ran = copies(params), copies(params)
    results = python(fn)(*plain)
    got = python(made)(*ran)
    for a, b in zip(results, got, strict=False):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(plain, ran, strict=True):
        np.testing.assert_array_equal(a, b)
    want = numeric(fn, params, wrt, [1.0] + [None] * (len(results) - 1))
    for k, a, b in zip(wrt, got[len(results) :], want, strict=True):
        assert np.shape(a) == np.shape(params[k])
        if isinstance(fn.params[k], Array):
            assert a.dtype == params[k].dtype
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    return made


@settings(max_examples=300, deadline=None)
@given(functions())
def test_random_nests(fn: Function) -> None:
    check(fn, PARAMS, [0, 1, 3, 4])


@settings(max_examples=60, deadline=None)
@given(functions())
def test_random_nests_second_order_reverse_over_reverse(fn: Function) -> None:
    once = reverse(fn, [0, 3])
    first_of = slice(3, None)  # the results of fn come first
    twice = verify(reverse(once, [0, 1, 3, 4], seeds=[3, 4], seeded=True))
    cts = [np.array([0.3, -1.1, 0.7, 0.2]), 0.9]
    ran = copies(PARAMS)
    got = python(twice)(*ran, *cts)
    plain = copies(PARAMS)
    np.testing.assert_array_equal(got[first_of][0], python(once)(*plain)[first_of][0])
    np.testing.assert_array_equal(ran[0], plain[0])
    want = numeric(once, PARAMS, [0, 1, 3, 4], [None, None, None, *cts])
    for a, b in zip(got[5:], want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


# ---- by hand


def f64(name: str, ndim: int = 1) -> Array:
    return Array(name, "float64", ndim)


def total(s: Scalar, a: Array) -> list[Stmt]:
    """s = the sum of squares of an array."""
    loops = [Scalar("ijk"[n], I64) for n in range(a.ndim)]
    e = Load(a, tuple(map(Ref, loops)))
    body: list[Stmt] = [Assign(s, Ref(s) + e * e)]
    for n in reversed(range(a.ndim)):
        body = [For(loops[n], ZERO, Dim(a, n), body)]
    return [Assign(s, const(0.0)), *body]


@pytest.mark.parametrize("distances", [(-1, 0, 1), (-1, 1), (0, 2), (-2, -1, 3), (1,), (-2,)])
@pytest.mark.parametrize("n", [5, 6, 7, 8, 9, 20])
@pytest.mark.parametrize("step", [1, -1])
def test_stencils_in_time(distances: tuple[int, ...], n: int, step: int) -> None:
    """Neighbours at several distances, nonlinear, with a swap after every step and few or many elements."""
    x, u, w = f64("x"), f64("u"), f64("w")
    s, i, t = Scalar("s", F64), Scalar("i", I64), Scalar("t", I64)
    here = (Ref(i),)
    value: Expr = const(0.1)
    for k, d in enumerate(distances):
        value = (
            value + Load(u, (Ref(i) + d,)) * (0.3 - 0.2 * k) + Load(u, here) * Load(u, (Ref(i) + d,)) * 0.1
        )
    copy: list[Stmt] = [Store(u, here, Load(x, here)), Store(w, here, const(0.5))]
    low, high = const(2), Dim(x, 0) - 3
    sweep = For(i, low, high, [Store(w, here, apply("sin", value))])
    if step < 0:
        sweep = For(i, high - 1, low - 1, sweep.body, -1)
    body: list[Stmt] = [
        Alloc(u, (Dim(x, 0),)),
        Alloc(w, (Dim(x, 0),)),
        For(i, ZERO, Dim(x, 0), copy),
        For(t, ZERO, const(3), [sweep, Swap(u, w)]),
        *total(s, u),
    ]
    made = check(Function("steps", [x], body, [s]), [np.cos(np.arange(float(n)))], [0])
    waits = sum(isinstance(s, Alloc) and s.array.name == "u_bar_row" for s in walk(made.body))
    assert waits == len(set(distances) - {0})  # the additions went through rows


@pytest.mark.parametrize("shape", [(4, 4), (5, 9), (9, 5), (3, 3), (2, 4)])
def test_stencils_in_the_plane(shape: tuple[int, int]) -> None:
    a, b = f64("a", 2), f64("b", 2)
    s, i, j, t = Scalar("s", F64), Scalar("i", I64), Scalar("j", I64), Scalar("t", I64)

    def sweep(to: Array, of: Array) -> Stmt:
        value: Expr = const(0.0)
        for k, (p, q) in enumerate([(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1)]):
            value = value + Load(of, (Ref(i) + p, Ref(j) + q)) * (0.2 + 0.01 * k)
        inner = For(j, const(1), Dim(a, 1) - 1, [Store(to, (Ref(i), Ref(j)), value)], independent=True)
        return For(i, const(1), Dim(a, 0) - 1, [inner], independent=True)

    body = [For(t, ZERO, const(2), [sweep(b, a), sweep(a, b)]), *total(s, a)]
    rng = np.random.default_rng(3)
    check(Function("jacobi", [a, b], body, [s]), [rng.normal(size=shape), rng.normal(size=shape)], [0, 1])
    # in place: every element sees what the one before has just become
    body = [For(t, ZERO, const(2), [sweep(a, a)]), *total(s, a)]
    check(Function("seidel", [a], body, [s]), [rng.normal(size=shape)], [0])


def test_many_trips_take_memory_in_proportion() -> None:
    """A loop with a test and a branch, a hundred thousand times."""
    x, n, case = Scalar("x", F64), Scalar("n", I64), Scalar("c", BOOL)
    step: list[Stmt] = [
        Assign(case, apply("gt", Ref(x), 0.5)),
        If(Ref(case), [Assign(x, Ref(x) * 0.9)], [Assign(x, Ref(x) + 0.02 * apply("cos", Ref(x)))]),
        Assign(n, Ref(n) + 1),
    ]
    fn = Function("long", [x], [Assign(n, ZERO), While([], apply("lt", Ref(n), const(100_000)), step)], [x])
    check(fn, [0.9], [0])


def test_single_precision_and_casts() -> None:
    x, y = Array("x", "float32", 1), Array("y", "float64", 1)
    s, i = Scalar("s", F32), Scalar("i", I64)
    here = (Ref(i),)
    value = apply("sin", Load(x, here)) * cast(Load(y, here), F32) / (1.0 + Load(x, here) * Load(x, here))
    body = [Assign(s, const(0, F32)), For(i, ZERO, Dim(x, 0), [Assign(s, Ref(s) + value)])]
    fn = Function("single", [x, y], body, [s])
    ins = [np.linspace(0.1, 1, 5, dtype=np.float32), np.linspace(1, 2, 5)]
    got = python(verify(reverse(fn, [0, 1])))(*copies(ins))
    assert got[1].dtype == np.float32 and got[2].dtype == np.float64
    for a, b in zip(got[1:], numeric(fn, [ins[0].astype(float), ins[1]], [0, 1], [1.0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


OPERATIONS = {
    "pow": [(1.7, 2.3), (0.4, -1.5)], "hypot": [(3.0, -4.0)], "atan2": [(0.3, -0.7), (0.3, 0.7)],
    "copysign": [(0.3, -2.0), (-0.3, -2.0), (-0.3, 2.0)], "minimum": [(0.2, 0.3), (0.3, 0.2), (0.3, 0.3)],
    "maximum": [(0.2, 0.3), (0.3, 0.2), (0.3, 0.3)], "div": [(0.3, -0.7)], "mulz": [(0.3, -0.7)],
}  # fmt: skip
UNARY_AT = {
    "abs": (0.3, -0.3), "fabs": (0.3, -0.3), "acosh": (1.5,), "floor": (0.3,), "asinh": (0.3, -2.0),
    "log": (0.3, 2.0), "sqrt": (0.3, 2.0), "log1p": (0.3, -0.3), "expm1": (0.3, -0.3),
    **dict.fromkeys(("tan", "sinh", "cosh", "tanh", "atan", "neg", "sin", "cos", "exp"), (0.3, -1.2)),
    **dict.fromkeys(("asin", "acos", "atanh"), (0.3, -0.7)),
}  # fmt: skip


@pytest.mark.parametrize("op", [*OPERATIONS, *UNARY_AT])
def test_every_operation(op: str) -> None:
    a, b, y = Scalar("a", F64), Scalar("b", F64), Scalar("y", F64)
    for at in OPERATIONS.get(op) or [(x,) for x in UNARY_AT[op]]:
        params = [a, b][: len(at)]
        fn = Function("f", [*params], [Assign(y, apply(op, *map(Ref, params)))], [y])
        check(fn, list(at), list(range(len(at))))


@pytest.mark.parametrize("op", ["cbrt", "exp2", "log2", "log10", "erf", "erfc", "tgamma", "lgamma"])
def test_operations_without_a_complex_step(op: str) -> None:
    x, y = Scalar("x", F64), Scalar("y", F64)
    fn = Function("f", [x], [Assign(y, apply(op, Ref(x)))], [y])
    up, down = (python(fn)(0.7 + h)[0] for h in (1e-6, -1e-6))
    np.testing.assert_allclose(python(reverse(fn, [0]))(0.7)[1], (up - down) / 2e-6, rtol=1e-8)


REMAINDERS = [
    ("fmod", -5.3, 2.0),
    ("fmod", 7.9, -2.0),
    ("mod", -5.3, 2.0),
    ("fmin", 0.2, 0.3),
    ("fmax", 0.2, 0.3),
]


@pytest.mark.parametrize("op, a, b", REMAINDERS)
def test_remainders(op: str, a: float, b: float) -> None:
    x, y, z = Scalar("x", F64), Scalar("y", F64), Scalar("z", F64)
    fn = Function("f", [x, y], [Assign(z, apply(op, Ref(x), Ref(y)))], [z])
    run, h = python(fn), 1e-6
    want = [(run(a + h, b)[0] - run(a - h, b)[0]) / (2 * h), (run(a, b + h)[0] - run(a, b - h)[0]) / (2 * h)]
    np.testing.assert_allclose(python(reverse(fn, [0, 1]))(a, b)[1:], want, atol=1e-8)


@pytest.mark.parametrize("n", [0.0, 0.5, 1.0, 2.0, 3.0, -2.0, 4.0])
def test_constant_powers(n: float) -> None:
    x, y = Scalar("x", F64), Scalar("y", F64)
    for at in (1.3,) if n == 0.5 else (1.3, -1.2):
        check(Function("f", [x], [Assign(y, apply("pow", Ref(x), n))], [y]), [at], [0])
    slope = python(reverse(Function("f", [x], [Assign(y, apply("pow", Ref(x), n))], [y]), [0]))(0.0)[1]
    assert slope == {0.0: 0.0, 1.0: 1.0, 2.0: 0.0, 3.0: 0.0, 4.0: 0.0}.get(n, np.inf if n == 0.5 else -np.inf)


def test_ties_and_kinks() -> None:
    x, y, z = Scalar("x", F64), Scalar("y", F64), Scalar("z", F64)
    for op in ("minimum", "maximum", "fmin", "fmax"):
        fn = Function("f", [x, y], [Assign(z, apply(op, Ref(x), Ref(y)))], [z])
        assert python(reverse(fn, [0, 1]))(0.5, 0.5)[1:] == (1.0, 0.0)
    for op in ("abs", "fabs"):
        assert python(reverse(Function("f", [x], [Assign(z, apply(op, Ref(x)))], [z]), [0]))(0.0)[1] == 0.0


def test_strong_zeros() -> None:
    """where(x > 0, sqrt(x), 0) at 0: 0·∞ is a NaN in the fast version and 0 in the strong one."""
    x, z = Scalar("x", F64), Scalar("z", F64)
    value = apply("select", apply("gt", Ref(x), 0.0), apply("sqrt", Ref(x)), const(0.0))
    fn = Function("f", [x], [Assign(z, value)], [z])
    assert np.isnan(python(reverse(fn, [0]))(0.0)[1])
    assert python(reverse(fn, [0], strong_zeros=True))(0.0)[1] == 0.0
    assert python(reverse(fn, [0], strong_zeros=True))(4.0)[1] == 0.25


def test_what_a_result_does_not_depend_on_gets_zeros() -> None:
    a, p, q, y = f64("a", 2), Scalar("p", F64), Scalar("q", F64), Scalar("y", F64)
    fn = Function("f", [a, p, q], [Assign(y, Ref(q) * 2.0)], [y])
    _, grad_a, grad_p, grad_q = python(verify(reverse(fn, [0, 1, 2])))(np.ones((2, 3)), 1.0, 1.0)
    assert np.array_equal(grad_a, np.zeros((2, 3))) and grad_p == 0.0 and grad_q == 2.0


def test_cotangents_of_several_results() -> None:
    x, y = f64("x"), f64("y")
    s, i = Scalar("s", F64), Scalar("i", I64)
    body = [
        Alloc(y, (Dim(x, 0),)),
        For(i, ZERO, Dim(x, 0), [Store(y, (Ref(i),), apply("sin", Load(x, (Ref(i),))))]),
    ]
    fn = Function("f", [x], [*body, *total(s, x)], [s, y, x])
    at, ct = np.array([0.3, 0.5, 0.9]), np.array([1.0, -2.0, 0.5])
    got = python(verify(reverse(fn, [0], seeds=[0, 1, 2], seeded=True)))(at, 3.0, ct, ct)
    np.testing.assert_allclose(got[-1], 6 * at + ct * np.cos(at) + ct)


def test_an_integer_has_no_derivative() -> None:
    n, x = Scalar("n", I64), Scalar("x", F64)
    with pytest.raises(BackendError, match="n is no float"):
        reverse(Function("f", [n, x], [], [x]), [0])


@settings(max_examples=30, deadline=None)
@given(functions())
def test_random_nests_compiled(fn: Function) -> None:
    """Machine code gives what the printed nest gives: what is marked as independent is so."""
    made = reverse(fn, [0, 1, 3, 4])
    for a, b in zip(python(made)(*copies(PARAMS)), compile(made).call(*copies(PARAMS)), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("n", [3, 8, 33, 100])
def test_stencils_compiled(n: int) -> None:
    """Neighbours in both directions at once, long enough for vector units."""
    a, b = f64("a", 2), f64("b", 2)
    s, i, j, t = Scalar("s", F64), Scalar("i", I64), Scalar("j", I64), Scalar("t", I64)

    def sweep(to: Array, of: Array) -> Stmt:
        value: Expr = const(0.0)
        for p, q in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
            near = Load(of, (Ref(i) + p, Ref(j) + q))
            value = value + near * 0.2 + near * Load(of, (Ref(i), Ref(j))) * 0.01
        store = Store(to, (Ref(i), Ref(j)), value)
        inner = For(j, const(1), Dim(a, 1) - 1, [store], independent=True)
        return For(i, const(1), Dim(a, 0) - 1, [inner], independent=True)

    body = [For(t, ZERO, const(2), [sweep(b, a), sweep(a, b)]), *total(s, a)]
    made = reverse(Function("jacobi", [a, b], body, [s]), [0, 1])
    rng = np.random.default_rng(3)
    ins = [rng.normal(size=(5, n)), rng.normal(size=(5, n))]
    for x, y in zip(python(made)(*copies(ins)), compile(made).call(*copies(ins)), strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("inside", [True, False])
def test_lists_that_grow(inside: bool) -> None:
    """An array that grows by what is chosen, anew in every round or once; one element is overwritten."""
    x, v = f64("x"), f64("v")
    s, i, j, k, n = Scalar("s", F64), *(Scalar(c, I64) for c in "ijkn")
    begin: list[Stmt] = [Alloc(v, (ZERO,)), Assign(n, ZERO)]
    here = Load(x, (Ref(i),))
    append: list[Stmt] = [
        Grow(v, Ref(n) + 1),
        Store(v, (Ref(n),), here * here * (cast(Ref(k), F64) + 1.0)),
        Assign(n, Ref(n) + 1),
    ]
    first = Load(v, (ZERO,))
    element = Load(v, (Ref(j),))
    round_: list[Stmt] = [
        For(i, ZERO, Dim(x, 0), [If(apply("gt", here, cast(Ref(k), F64) * 0.2), append)]),
        Store(v, (ZERO,), first * first),
        For(j, ZERO, Ref(n), [Assign(s, Ref(s) + apply("sin", element) * element)]),
    ]
    rounds = For(k, ZERO, const(3), [*begin, *round_] if inside else round_)
    body = [Assign(s, const(0.0)), rounds] if inside else [*begin, Assign(s, const(0.0)), rounds]
    check(Function("lists", [x], body, [s]), [np.array([0.3, 0.9, -0.2, 0.5, 1.2])], [0])


def test_what_only_a_branch_has_set_is_copied_where_no_branch_has() -> None:
    """At second order the value is kept for the reverse sweep, whether the branch was taken or not."""
    x, p, flag = f64("x"), Scalar("p", F64), Scalar("flag", "bool")
    t, b, i, s = Scalar("t", F64), Scalar("b", F64), Scalar("i", I64), Scalar("s", F64)
    loop = For(i, ZERO, Dim(x, 0), [Assign(b, apply("sin", Ref(b) * Ref(t)))])
    branch = If(Ref(flag), [Assign(t, Ref(p)), loop, Assign(t, const(0.0))], [])
    fn = Function("f", [x, p, flag], [Assign(b, const(0.3)), branch, Assign(s, Ref(b) * Ref(p))], [s])
    once = reverse(fn, [1])
    twice = verify(reverse(once, [1], seeds=[1], seeded=True))
    at = np.zeros(2)
    assert python(twice)(at, 0.7, False, 1.0)[:2] == (0.3 * 0.7, 0.3)
    got = [python(once)(at, 0.7 + h, True)[1] for h in (1e-6, -1e-6)]
    np.testing.assert_allclose(python(twice)(at, 0.7, True, 1.0)[-1], (got[0] - got[1]) / 2e-6, rtol=1e-7)
