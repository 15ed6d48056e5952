"""Derivatives are by the arguments: an array that is read from outside as well is a constant there, on every
road and in both modes; parts of the arguments that share memory are one storage."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest

import tapeless as tl

W = np.array([1.0, 2.0])
PAIR = (np.array([3.0, 4.0]), np.array([1.0, 2.0]))
MODULE = types.ModuleType("module")
MODULE.weights = np.array([1.0, 2.0])  # type: ignore[attr-defined]


def through_a_cell() -> Any:
    w = np.array([1.0, 2.0])
    return (lambda a: (a * w).sum()), w


def helper(a: Any) -> Any:
    return a * W


CASES = {
    "global": (lambda a: (a * W).sum(), W),
    "view": (lambda a: (a * W[::-1]).sum(), W[::-1]),
    "cell": through_a_cell(),
    "attribute": (lambda a: (a * MODULE.weights).sum(), MODULE.weights),
    "tuple": (lambda a: (a * PAIR[1]).sum(), PAIR[1]),
    "callee": (lambda a: helper(a).sum(), W),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_read_from_outside_is_a_constant(case: str) -> None:
    f, held = CASES[case]
    gradient = tl.grad(f)
    direction = np.array([0.3, -0.7])
    for at in (held, held.copy()):
        want = held.copy()
        np.testing.assert_array_equal(gradient(at), want)
        np.testing.assert_array_equal(gradient.untyped((at,), {}), want)
        np.testing.assert_allclose(tl.jvp(f, (at,), (direction,))[1], want @ direction)
        np.testing.assert_allclose(tl.vjp(f, at)[1](1.0)[0], want)
        np.testing.assert_allclose(tl.jit(gradient)(at), want)
        np.testing.assert_allclose(tl.finite_difference(f, at), want, rtol=1e-8)


def writes_into_it(a: Any) -> Any:
    a[0] = 3.0 * a[1]
    return (a * W).sum()


def writes_outside(a: Any) -> Any:
    W[0] = 3.0
    return (a * W).sum()


@pytest.mark.parametrize("f", [writes_into_it, writes_outside])
def test_storage_that_is_written_and_reached_in_two_ways_is_refused(f: Any) -> None:
    before = W.copy()
    ways = (
        lambda: tl.grad(f)(W),
        lambda: tl.vjp(f, W),
        lambda: tl.jvp(f, (W,), (np.ones(2),)),
    )
    for way in ways:
        with pytest.raises(tl.errors.UntrackedMutationError, match="from outside"):
            way()
        W[:] = before
    np.testing.assert_array_equal(tl.grad(writes_into_it)(W + 0.0), [0.0, 3 * W[0] + W[1]])


def test_a_reference_held_by_a_closure() -> None:
    reference = np.ones(2)

    def distance(y: Any) -> Any:
        return (reference**2).sum() - (y**2).sum()

    np.testing.assert_array_equal(tl.grad(distance)(reference), -2 * reference)
    np.testing.assert_array_equal(tl.hessian(distance)(reference), -2 * np.eye(2))


def test_an_inner_derivative_at_a_variable_of_the_outer_one() -> None:
    def f(x: Any) -> Any:
        return tl.grad(lambda y: (x * y * y).sum())(x).sum()

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(tl.grad(f)(x), 4 * x)


def test_an_argument_that_is_in_another_argument() -> None:
    def f(a: Any, p: Any) -> Any:
        return (a * a * p[0]).sum()

    gradient = tl.grad(f, (0, 1))
    np.testing.assert_array_equal(gradient(W, [W + 1.0])[0], 2 * W * (W + 1.0))
    want = gradient.untyped((W, [W]), {})
    got = gradient(W, [W])
    np.testing.assert_array_equal(got[0], want[0])
    np.testing.assert_array_equal(got[1][0], want[1][0])


def product(a: Any, b: Any) -> Any:
    return (a * b).sum()


ONES, ZEROS = np.ones(2), np.zeros(2)
FOUR = np.array([1.0, 2.0, 3.0, 4.0])


def directional(f: Any, args: Any, tangents: Any) -> list[Any]:
    return [tl.jvp(f, args, tangents)[1], tl.linearize(f, *args)[1](*tangents)]


@pytest.mark.parametrize(
    ("args", "tangents", "want"),
    [
        ((FOUR[:2], FOUR[2:]), (ONES, ONES), 10.0),
        ((FOUR[:2], FOUR[2:]), (ONES, ZEROS), 7.0),
        ((FOUR[:2], FOUR[1:3]), (ONES, ZEROS), 5.0),
        ((W, W), (ONES, ZEROS), 3.0),
        ((W, W), (ONES, None), 3.0),
    ],
)
def test_directions_of_array_arguments_are_told_apart(args: Any, tangents: Any, want: float) -> None:
    assert directional(product, args, tangents) == [want, want]
    if not np.shares_memory(*args):
        assert directional(lambda p: product(*p), (args,), (tangents,)) == [want, want]


@pytest.mark.parametrize(
    ("args", "same", "other"),
    [
        (((W, W),), ((ONES, ONES),), ((ONES, ZEROS),)),
        ((W, [W]), (ONES, [ONES]), (ONES, [ZEROS])),
        (([FOUR[:2]], [FOUR[1:3]]), ([ONES], [ONES]), ([ONES], [ZEROS])),
    ],
)
def test_two_tangents_of_one_storage(args: Any, same: Any, other: Any) -> None:
    def f(*args: Any) -> Any:
        a, b = args[0] if len(args) == 1 else args
        return product(a[0] if type(a) is list else a, b[0] if type(b) is list else b)

    forward, linear = directional(f, args, same)
    assert forward == linear
    for way in (lambda: tl.jvp(f, args, other), lambda: tl.linearize(f, *args)[1](*other)):
        with pytest.raises(tl.errors.StructureError, match="one storage"):
            way()


def test_one_list_given_twice() -> None:
    def f(a: Any, b: Any) -> Any:
        return a[0] * b[1]

    p = [2.0, 3.0]
    assert tl.grad(f, (0, 1))([2.0, 3.0], [2.0, 3.0]) == ([3.0, 0.0], [0.0, 2.0])
    whole = ([3.0, 2.0], [3.0, 2.0])
    gradient = tl.grad(f, (0, 1))
    assert gradient(p, p) == gradient.untyped((p, p), {}) == tl.vjp(f, p, p)[1](1.0) == whole
    assert gradient(p, p)[0] is not gradient(p, p)[1]


def test_matrices_by_one_of_two_arguments_that_are_one_array() -> None:
    np.testing.assert_array_equal(tl.hessian(product)(W, W), np.zeros((2, 2)))
    for jacobian in (tl.jacobian, tl.jacfwd, tl.jacrev):
        np.testing.assert_array_equal(jacobian(product, 1)(W, W), W)


def test_matrices_by_any_argument() -> None:
    def f(a: Any, b: Any) -> Any:
        return a * a * b

    for jacobian in (tl.jacobian, tl.jacfwd, tl.jacrev):
        assert jacobian(f, -1)(2.0, 3.0) == jacobian(f, "b")(2.0, b=3.0) == 4.0
        assert jacobian(f, (1, 0))(2.0, 3.0) == (4.0, 12.0)
    assert tl.hessian(f, -1)(2.0, 3.0) == 0.0
