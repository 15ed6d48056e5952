"""Jacobians and Hessians in compiled code: several columns or rows at once."""

from __future__ import annotations

import numpy as np
import pytest
from tests.backends.native.test_derivatives import A, X, f, g, like_python

import tapeless as tl


def writes(x):
    y = x.copy()
    y[1:] = y[1:] * y[:-1]
    y[0] += np.sum(y**2)
    for i in range(len(y)):
        y[i] = np.sin(y[i]) * y[i - 1]
    return y


def branches(x):
    y = np.zeros(len(x))
    total = 1.0
    for i in range(len(x)):
        if x[i] > 0.2:
            total = total * x[i]
            y[i] = total
        else:
            y[i] = x[i] ** 2
    k = 0
    while total > 1.5:
        total *= 0.5
        k += 1
    return y * total + k


def grows(x):
    kept = 0.0
    s = x * 1.0
    while np.sum(s) < 30.0:
        s = s * 1.5
        kept = kept + np.sum(np.sin(s))
    return s * kept


def overwritten(x):
    def h(z):
        z *= 2
        return z**2

    return tl.jacfwd(h)(x), x


MANY = np.linspace(0.1, 2.0, 37)
FUNCTIONS = {
    "elementwise": (g, X),
    "scan": (lambda x: np.cumsum(x**2), MANY),
    "product": (lambda a: a @ a, A),
    "solve": (lambda a: np.linalg.solve(a + 4 * np.eye(3), X), A),
    "inverse": (lambda a: np.linalg.inv(a + 4 * np.eye(3)) @ X, A),
    "determinant": (lambda a: np.linalg.det(a + 4 * np.eye(3)) * X, A),
    "own copies": (writes, MANY),
    "branches": (branches, MANY),
    "stacks": (grows, MANY),
    "by a number": (lambda t: t * X, 2.0),
    "of a number": (f, MANY),
    "number by number": (lambda t: t * t, 3.0),
    "shorter": (lambda x: np.array([np.sum(x), np.prod(x)]), MANY),
    "no dependence": (lambda x: np.ones(4), X),
    "float32": (lambda x: x * x, X.astype(np.float32)),
    "empty": (lambda x: x * 2, np.zeros(0)),
}  # fmt: skip


@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("kind", [tl.jacobian, tl.jacfwd, tl.jacrev])
def test_as_python(case, kind):
    fun, x = case
    want = kind(fun)(x)
    got = tl.jit(kind(fun))(x)
    assert np.shape(got) == np.shape(want)
    assert np.asarray(got).dtype == np.asarray(want).dtype
    np.testing.assert_allclose(got, want, rtol=1e-9 if np.asarray(want).itemsize > 4 else 1e-5, atol=1e-12)


def test_several_arguments():
    got = tl.jit(tl.jacobian(lambda x, t: x * t, (0, 1)))(X, 2.0)
    np.testing.assert_allclose(got[0], 2 * np.eye(3))
    np.testing.assert_allclose(got[1], X)


def test_arguments_are_overwritten_once():
    like_python(overwritten, MANY)


def test_hessians_and_more():
    def chain(x):
        return np.sum(x[1:] ** 2 * x[:-1]) + np.prod(x[:3])

    want = tl.hessian(chain)(MANY)
    np.testing.assert_allclose(tl.jit(tl.hessian(chain))(MANY), want, atol=1e-12)
    np.testing.assert_allclose(tl.jit(tl.jacrev(tl.grad(chain)))(MANY), want, atol=1e-12)
    np.testing.assert_allclose(tl.jit(tl.jacrev(tl.jacfwd(chain)))(MANY), want, atol=1e-12)
    np.testing.assert_allclose(tl.jit(tl.jacfwd(tl.jacrev(chain)))(MANY), want, atol=1e-12)


@pytest.mark.parametrize("inner", [tl.jacobian, tl.jacfwd, tl.jacrev])
def test_gradient_of_a_jacobian(inner):
    like_python(tl.grad(lambda x: np.sum(inner(g)(x) ** 2)), X)


def positive(x):
    return np.sin(x[x > 0.4]) * np.sum(x)


def difference(fun, x, h=1e-6):
    return np.array([(fun(x + h * e) - fun(x - h * e)) / (2 * h) for e in np.eye(len(x))])


@pytest.mark.parametrize("long", [0, 1500], ids=["one by one", "lanes"])
@pytest.mark.parametrize("inner", [tl.hessian(f), tl.jacfwd(g), tl.jacrev(g), tl.jacfwd(positive)])
def test_gradient_of_several_runs(inner, long, monkeypatch):
    """More columns than lanes: the program runs several times, and all of it is differentiated."""
    monkeypatch.setattr("tapeless.backends.native.staging.jacobians.LONG", long)

    def total(x):
        return np.sum(inner(x) ** 2)

    got = tl.jit(tl.grad(total), cache=False)(MANY)
    np.testing.assert_allclose(got, difference(total, MANY), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("kind", [tl.jacfwd, tl.jacrev])
def test_one_by_one(case, kind, monkeypatch):
    monkeypatch.setattr("tapeless.backends.native.staging.jacobians.LONG", 0)
    fun, x = case
    want, got = kind(fun)(x), tl.jit(kind(fun), cache=False)(x)
    np.testing.assert_allclose(got, want, rtol=1e-9 if np.asarray(want).itemsize > 4 else 1e-5, atol=1e-12)
