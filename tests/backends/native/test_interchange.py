"""Loops one in the other are put in the order of memory where their iterations may run in any order."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.interchange import interchange
from tapeless.backends.native.nest import (
    ONE,
    ZERO,
    Array,
    Assign,
    Dim,
    For,
    Function,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
)
from tapeless.backends.native.show import python
from tapeless.backends.native.verify import verify


def nest(free: bool = True) -> tuple[Function, For]:
    """`a[j, i] = 0` for all i, and in that all j."""
    a, i, j = Array("a", "float64", 2), Scalar("i", "i64"), Scalar("j", "i64")
    body: list[Stmt] = [Store(a, (Ref(j), Ref(i)), const(0.0))]
    inner = For(j, ZERO, Dim(a, 0), body, independent=free)
    outer = For(i, ZERO, Dim(a, 1), [inner], independent=free)
    return Function("f", [a], [outer], []), outer


def outermost(fn: Function) -> str:
    (loop,) = fn.body
    assert isinstance(loop, For)
    return loop.var.name


def test_zeros_are_set_line_by_line() -> None:
    fn, _ = nest()
    made = verify(interchange(fn))
    assert outermost(made) == "j"
    a = np.ones((3, 5))
    python(made)(a)
    assert not a.any()


def test_loops_that_must_run_in_order_stay() -> None:
    fn, _ = nest(free=False)
    assert outermost(interchange(fn)) == "i"


def test_bounds_that_move_stay() -> None:
    fn, outer = nest()
    (inner,) = outer.body
    assert isinstance(inner, For)
    inner.stop = Ref(outer.var) + ONE
    assert outermost(interchange(fn)) == "i"


def test_bounds_that_only_the_outer_loop_makes_sure_of_stay() -> None:
    """No columns, no division by their number."""
    fn, outer = nest()
    (inner,) = outer.body
    assert isinstance(inner, For)
    inner.stop = apply("floordiv", Dim(fn.params[0], 0), Dim(fn.params[0], 1))  # type: ignore[arg-type]
    assert outermost(verify(interchange(fn))) == "i"
    python(interchange(fn))(np.ones((3, 0)))


def test_copies_that_turn_stay() -> None:
    """One of both is walked along lines anyway."""
    a, b = Array("a", "float64", 2), Array("b", "float64", 2)
    i, j = Scalar("i", "i64"), Scalar("j", "i64")
    body: list[Stmt] = [Store(b, (Ref(i), Ref(j)), Load(a, (Ref(j), Ref(i))))]
    loops = For(i, ZERO, Dim(b, 0), [For(j, ZERO, Dim(b, 1), body, independent=True)], independent=True)
    assert outermost(interchange(Function("f", [a, b], [loops], []))) == "i"


def test_sums_are_those_of_all_elements() -> None:
    a, i, j = Array("a", "float64", 2), Scalar("i", "i64"), Scalar("j", "i64")
    total = Scalar("total", "f64")
    body: list[Stmt] = [Assign(total, Ref(total) + Load(a, (Ref(j), Ref(i))))]
    loops = For(i, ZERO, Dim(a, 1), [For(j, ZERO, Dim(a, 0), body, independent=True)], independent=True)
    fn = Function("f", [a], [Assign(total, const(0.0)), loops], [total])
    made = verify(interchange(fn))
    assert isinstance(made.body[1], For) and made.body[1].var is j
    x = np.arange(15.0).reshape(3, 5)
    assert python(made)(x)[0] == x.sum()


def columns(steps, u, w):
    """Everything walks along the first axes, in a space of three."""
    nx, ny, nz = u.shape
    c = np.zeros((nx, ny, nz))
    for _ in range(steps):
        for k in range(1, nz):
            c[:, :, k] = u[:, :, k] * w[:, :, k - 1] - 0.5 * c[:, :, k - 1]
            u[:, :, k] += c[:, :, k] * w[:, :, k]
    return np.sum(c * c) + np.sum(u)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4), (9, 10, 11)])
def test_gradients(shape: tuple[int, ...]) -> None:
    def arguments() -> list[np.ndarray]:
        rng = np.random.default_rng(3)
        return [rng.standard_normal(shape) for _ in range(2)]

    both = tl.value_and_grad(columns, argnums=(1, 2))
    value, want = both(2, *arguments())
    got_value, got = tl.jit(both)(2, *arguments())
    np.testing.assert_allclose(got_value, value, rtol=1e-12)
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


def test_loops_that_sum_up_walk_along_lines() -> None:
    """Sums have no order of their own; a number that the sum is read by has one."""
    a, i, j = Array("a", "float64", 2), Scalar("i", "i64"), Scalar("j", "i64")
    total = Scalar("total", "f64")
    element = Load(a, (Ref(j), Ref(i)))
    x = np.arange(15.0).reshape(3, 5)
    for value, wanted in ((Ref(total) + element, "j"), (Ref(total) + element * Ref(total), "i")):
        loops = For(i, ZERO, Dim(a, 1), [For(j, ZERO, Dim(a, 0), [Assign(total, value)])])
        fn = Function("f", [a], [Assign(total, const(0.5)), loops], [total])
        made = verify(interchange(fn))
        assert isinstance(made.body[1], For) and made.body[1].var.name == wanted
        np.testing.assert_allclose(python(made)(x)[0], python(fn)(x)[0], rtol=1e-14)
