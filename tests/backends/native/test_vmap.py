"""`vmap`: what a Python loop over the entries gives."""

from __future__ import annotations

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable

A = np.arange(12.0).reshape(4, 3) / 7
B = np.cos(np.arange(12.0)).reshape(3, 4)


def f(x):
    return np.sum(np.sin(x) * x)


def steps(n, x):
    count = 0.0
    while n > 1.0:
        n *= x
        count += 1
        if count > 20:
            return -1.0
    return count


def test_every_entry():
    np.testing.assert_allclose(tl.vmap(f)(A), [f(a) for a in A])
    np.testing.assert_allclose(tl.vmap(np.cumsum)(A), [np.cumsum(a) for a in A])


def test_axes():
    got = tl.vmap(lambda a, b, c: (a @ b, {"o": np.outer(a, b) * c}), (0, 1, None), (0, {"o": 2}))(A, B, 2.0)
    np.testing.assert_allclose(got[0], [A[i] @ B[:, i] for i in range(4)])
    np.testing.assert_allclose(got[1]["o"], np.stack([2 * np.outer(A[i], B[:, i]) for i in range(4)], 2))
    got = tl.vmap(lambda p: p["w"] * p["b"], ({"w": 0, "b": None},))({"w": A, "b": 2.0})
    np.testing.assert_allclose(got, 2 * A)


def test_control_flow_of_an_entry():
    n = np.array([1.0, 8.0, 1000.0, 1e9])
    assert list(tl.vmap(steps, (0, None))(n, 0.5)) == [steps(v, 0.5) for v in n]
    assert list(tl.vmap(steps, (None, 0))(100.0, np.array([0.5, 0.9]))) == [7.0, -1.0]


def added_in_a_try(row):
    total = row.copy()
    try:
        np.add.at(total, np.array([0, 0, 1]), 0.5)  # may raise: what follows is a branch
    except ValueError:
        total[0] = 2.0
    return total.sum(), total


def test_results_after_what_may_raise():
    total, rows = tl.vmap(added_in_a_try)(A)
    np.testing.assert_array_equal(rows, np.array([added_in_a_try(x)[1] for x in A]))
    np.testing.assert_allclose(total, rows.sum(1), rtol=1e-14)


def test_nested():
    got = tl.jit(lambda a: tl.vmap(tl.vmap(lambda v: v**2 + 1))(a))(A)
    np.testing.assert_allclose(got, A**2 + 1)
    got = tl.jit(lambda a, b: tl.vmap(lambda x: tl.vmap(lambda y: x @ y, 1)(b))(a))(A, B)
    np.testing.assert_allclose(got, A @ B)


def test_of_derivatives():
    np.testing.assert_allclose(tl.vmap(tl.grad(f))(A), [tl.grad(f)(a) for a in A])
    np.testing.assert_allclose(tl.vmap(tl.hessian(f))(A), [tl.hessian(f)(a) for a in A])


def energy(a):
    return np.sum(tl.vmap(f)(a) ** 2)


WANT = np.array([2 * f(a) * (np.cos(a) * a + np.sin(a)) for a in A])


def test_differentiated_natively():
    np.testing.assert_allclose(tl.jit(tl.grad(energy))(A), WANT)


def test_differentiated_in_python():
    np.testing.assert_allclose(tl.grad(energy)(A), WANT)
    np.testing.assert_allclose(tl.jvp(energy, (A,), (A,))[1], np.sum(WANT * A))
    got = tl.grad(
        lambda a: np.sum(tl.vmap(lambda x, s: (x * s, {"y": x**2}), (1, None), (1, 0))(a, 3.0)[1]["y"])
    )
    np.testing.assert_allclose(got(A), 2 * A)


def test_in_threads():
    many = np.linspace(0.0, 1.0, 3000).reshape(1000, 3)
    got = tl.jit(tl.vmap(tl.grad(f)), parallel=True)(many)
    np.testing.assert_allclose(got, np.cos(many) * many + np.sin(many))


def test_errors():
    with pytest.raises(ValueError, match="different lengths"):
        tl.vmap(lambda a, b: a * b)(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="axis 1 of an array of 1"):
        tl.vmap(f, 1)(np.ones(3))
    with pytest.raises(ValueError, match="2 in_axes and 1"):
        tl.vmap(f, (0, 0))(A)
    with pytest.raises(ValueError, match="maps over arrays"):
        tl.vmap(f)(2.0)


def test_changes_of_the_program_around_are_refused():
    def counts(a):
        seen = [0.0]

        def one(x):
            seen[0] = seen[0] + 1.0
            return np.sum(x)

        return tl.vmap(one)(a), seen[0]

    with pytest.raises(NotCompilable, match="changes objects"):
        tl.jit(counts)(A)
