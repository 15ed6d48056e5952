"""Derivatives of operations on whole arrays: forward against differences, reverse against forward, twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapeless.backends.native.forward import forward
from tapeless.backends.native.nest import (
    F64,
    I64,
    ZERO,
    Alloc,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Function,
    Intrinsic,
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

RNG = np.random.default_rng(7)
SQUARE = RNG.normal(size=(3, 3)) + 3 * np.eye(3)
TALL, WIDE = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 5))
POSITIVE = SQUARE @ SQUARE.T + np.eye(3)
SINGULAR = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.5, 0.25]])


def total(total: Scalar, a: Array | Scalar) -> list[Stmt]:
    """total += a sum of sin(w·element + w'), with a weight for each element."""
    if isinstance(a, Scalar):
        return [Assign(total, Ref(total) + apply("sin", Ref(a)))]
    loops = [Scalar("ijk"[k], I64) for k in range(a.ndim)]
    number: Expr = const(1)
    for k, i in enumerate(loops):
        number = number * Dim(a, k) + Ref(i)
    weight = apply("sin", as_float(number))
    body: list[Stmt] = [
        Assign(total, Ref(total) + apply("sin", Load(a, tuple(map(Ref, loops))) * weight + weight))
    ]
    for k in reversed(range(a.ndim)):
        body = [For(loops[k], ZERO, Dim(a, k), body)]
    return body


def as_float(e: Expr) -> Expr:
    from tapeless.backends.native.nest import cast

    return cast(e, F64)


def case(name: str, ins: list[np.ndarray], outs: list[tuple[str, tuple[int, ...]]], **attrs: Any) -> Any:
    """A nest that applies an operation to its parameters and adds up what comes out."""
    params: list[Any] = [Array("abc"[k], "float64", a.ndim) for k, a in enumerate(ins)]
    made: list[Any] = [
        Array(f"o{k}", dtype, len(shape)) if shape != () else Scalar(f"o{k}", F64)
        for k, (dtype, shape) in enumerate(outs)
    ]
    result = Scalar("total", F64)
    body: list[Stmt] = [Assign(result, const(0.0))]
    for a, (_, shape) in zip(made, outs, strict=True):
        if isinstance(a, Array):
            body.append(Alloc(a, tuple(const(n) for n in shape)))
            if attrs.get("add"):
                i, j = Scalar("i", I64), Scalar("j", I64)
                index = (Ref(i), Ref(j))[: a.ndim]
                fill: list[Stmt] = [Store(a, index, Load(params[0], (ZERO,) * params[0].ndim) * 0.5)]
                for k in reversed(range(a.ndim)):
                    fill = [For((i, j)[k], ZERO, const(shape[k]), fill)]
                body += fill
    body.append(Intrinsic(name, tuple(made), tuple(params), attrs))
    for a, (dtype, _) in zip(made, outs, strict=True):
        if dtype == "float64":
            body += total(result, a)
    for p in params:  # the operands are overwritten afterwards: their old values must come back
        loops = [Scalar("ijk"[k], I64) for k in range(p.ndim)]
        index = tuple(map(Ref, loops))
        again: list[Stmt] = [Store(p, index, Load(p, index) * Load(p, index))]
        for k in reversed(range(p.ndim)):
            again = [For(loops[k], ZERO, Dim(p, k), again)]
        body += again
        body += total(result, p)
    return pytest.param(
        Function(name, params, body, [result]), ins, id=f"{name}{'-'.join(map(str, attrs))}{ins[0].shape}"
    )


F, K = "float64", "int64"
CASES = [
    case("gemm", [TALL, WIDE], [(F, (4, 5))]),
    case("gemm", [TALL.T.copy(), WIDE], [(F, (4, 5))], ta=True, tb=False),
    case("gemm", [TALL, WIDE.T.copy()], [(F, (4, 5))], ta=False, tb=True),
    case("gemm", [TALL.T.copy(), WIDE.T.copy()], [(F, (4, 5))], ta=True, tb=True, add=True),
    case("gemv", [TALL, WIDE[:, 0].copy()], [(F, (4,))]),
    case("gemv", [TALL, TALL[:, 0].copy()], [(F, (3,))], ta=True, add=True),
    case("solve", [SQUARE, WIDE], [(F, (3, 5))]),
    case("solve", [SQUARE, WIDE[:, 1].copy()], [(F, (3,))]),
    case("solve", [SQUARE, WIDE], [(F, (3, 5))], ta=True),
    case("solve", [SQUARE, WIDE[:, 1].copy()], [(F, (3,))], ta=True),
    case("inv", [SQUARE], [(F, (3, 3))]),
    case("det", [SQUARE], [(F, ())]),
    case("det", [SINGULAR], [(F, ())]),
    case("slogdet", [SQUARE], [(F, ()), (F, ())]),
    case("cholesky", [POSITIVE], [(F, (3, 3))]),
    case("qr", [TALL], [(F, (4, 3)), (F, (3, 3))]),
    case("qr", [SQUARE], [(F, (3, 3)), (F, (3, 3))]),
    case("qr", [WIDE], [(F, (3, 3)), (F, (3, 5))]),
    case("eigh", [POSITIVE], [(F, (3,)), (F, (3, 3))]),
    case("svd", [TALL], [(F, (4, 3)), (F, (3,)), (F, (3, 3))]),
    case("svd", [WIDE], [(F, (3, 3)), (F, (3,)), (F, (3, 5))]),
    case("sort", [TALL], [(F, (4, 3)), (K, (4, 3))]),
    case("copy", [TALL], [(F, (4, 3))]),
    case("fft", [RNG.normal(size=(3, 4, 2))], [(F, (3, 4, 2))], inverse=False),
    case("fft", [RNG.normal(size=(3, 4, 2))], [(F, (3, 4, 2))], inverse=True),
]


def copies(xs: list[Any]) -> list[Any]:
    return [x.copy() for x in xs]


@pytest.mark.parametrize("fn, ins", CASES)
@pytest.mark.parametrize("strong", [False, True])
def test_first_derivatives(fn: Function, ins: list[Any], strong: bool) -> None:
    wrt = list(range(len(ins)))
    ts = [RNG.normal(size=a.shape) for a in ins]
    value, slope = python(verify(forward(fn, wrt, strong_zeros=strong)))(*copies(ins), *ts)
    h = 1e-6
    up, down = (python(fn)(*[a + s * h * t for a, t in zip(ins, ts, strict=True)])[0] for s in (1, -1))
    assert value == python(fn)(*copies(ins))[0]
    np.testing.assert_allclose(slope, (up - down) / (2 * h), rtol=2e-6, atol=2e-6)
    got = python(verify(reverse(fn, wrt, strong_zeros=strong)))(*copies(ins))
    assert got[0] == value
    np.testing.assert_allclose(
        sum(np.sum(g * t) for g, t in zip(got[1:], ts, strict=True)), slope, rtol=1e-10
    )


@pytest.mark.parametrize("fn, ins", CASES)
def test_second_derivatives(fn: Function, ins: list[Any]) -> None:
    wrt = list(range(len(ins)))
    once = reverse(fn, wrt)
    ts, cts = ([RNG.normal(size=a.shape) for a in ins] for _ in range(2))
    got = python(verify(forward(once, wrt)))(*copies(ins), *ts)
    slopes = got[len(ins) + 2 :]
    h = 1e-6
    up, down = (python(once)(*[a + s * h * t for a, t in zip(ins, ts, strict=True)]) for s in (1, -1))
    for slope, a, b in zip(slopes, up[1:], down[1:], strict=True):
        np.testing.assert_allclose(slope, (a - b) / (2 * h), rtol=1e-5, atol=1e-5)
    twice = verify(reverse(once, wrt, seeds=[k + 1 for k in wrt], seeded=True))
    back = python(twice)(*copies(ins), *cts)[len(ins) + 1 :]
    one = sum(np.sum(c * s) for c, s in zip(cts, slopes, strict=True))
    other = sum(np.sum(b * t) for b, t in zip(back, ts, strict=True))
    np.testing.assert_allclose(other, one, rtol=1e-8)


def test_an_operation_in_a_loop() -> None:
    """Products that go on in place: x = sin(a @ x), n times."""
    a, x, y = Array("a", F, 2), Array("x", F, 1), Array("y", F, 1)
    i, t, result = Scalar("i", I64), Scalar("t", I64), Scalar("s", F64)
    n = Dim(x, 0)
    step: list[Stmt] = [
        Intrinsic("gemv", (y,), (a, x), {}),
        For(i, ZERO, n, [Store(x, (Ref(i),), apply("sin", Load(y, (Ref(i),))) + Load(x, (Ref(i),)))]),
    ]
    body = [Alloc(y, (n,)), For(t, ZERO, Const(4, I64), step), Assign(result, const(0.0)), *total(result, x)]
    fn = Function("power", [a, x], body, [result])
    ins = [SQUARE * 0.3, WIDE[:, 0].copy()]
    test_first_derivatives(fn, ins, False)
    test_second_derivatives(fn, ins)
