"""Arrays that are given storage more than once: what was in them is gone, and so is its cotangent."""

from __future__ import annotations

import numpy as np
import pytest
from tests.backends.native.interpreter import directional

from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import (
    F64,
    ZERO,
    Alloc,
    Array,
    Assign,
    Dim,
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


def elements(a: Array, n: Expr, value: object) -> list[Stmt]:
    i = Scalar("i", "i64")
    return [Alloc(a, (n,)), For(i, ZERO, n, [Store(a, (Ref(i),), value(Ref(i)))])]


def total(y: Scalar, a: Array) -> list[Stmt]:
    """y += a·a."""
    i = Scalar("i", "i64")
    item = Load(a, (Ref(i),))
    return [For(i, ZERO, Dim(a, 0), [Assign(y, Ref(y) + item * item)])]


def nest(same: bool, inside: bool) -> Function:
    """Two lives of one array, of the same length or another, the second perhaps in a branch in a loop."""
    x, y, a = Array("x", "float64", 1), Scalar("y", F64), Array("a", "float64", 1)
    n = Dim(x, 0)
    m = n if same else n - const(1)
    second = [*elements(a, m, lambda i: apply("sin", Load(x, (i,)))), *total(y, a)]
    if inside:
        k = Scalar("k", "i64")
        second = [For(k, ZERO, const(3), [If(apply("gt", Ref(k), ZERO), second)])]
    first = [*elements(a, n, lambda i: Load(x, (i,)) * Load(x, (i,))), *total(y, a)]
    return Function("lives", [x], [Assign(y, const(0.0)), *first, *second], [y])


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("inside", [True, False])
def test_gradients(same: bool, inside: bool) -> None:
    fn = nest(same, inside)
    x = np.array([0.5, -1.5, 2.0])
    gradient = reverse(fn, [0])
    by_step: list[float] = []
    for k in range(3):
        _, (slope,) = directional(fn, [x], [np.eye(3)[k]])
        by_step.append(slope)
    np.testing.assert_allclose(python(gradient)(x)[1], by_step, rtol=1e-13)
    np.testing.assert_allclose(compile(gradient).call(x)[1], by_step, rtol=1e-13)
