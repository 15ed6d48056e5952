"""Vectors of equal eigenvalues: infinite where they turn, right where nothing turns them."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import scipy.stats

import tapeless as tl

G = np.array([[0.3, -1.2], [0.7, 0.4]])
X = np.array([0.3, -0.7])


def rebuilt(a):
    w, v = np.linalg.eigh(a)
    return np.sum(v @ np.diag(np.exp(w)) @ v.T * G)


def rebuilt_by_scipy(a):
    w, v = scipy.linalg.eigh(a)
    return np.sum((v * np.exp(w)) @ v.T * G)


def polar(a):
    u, _, vh = np.linalg.svd(a)
    return np.sum(u @ vh * G)


def scaled(s):
    return rebuilt(s * np.eye(2))


def largest(a):
    w, v = np.linalg.eigh(a)
    return w[2] * np.sum(v[:, 2] ** 2 * np.arange(3.0)) + w[0] + w[1]


@pytest.mark.parametrize("f", [rebuilt, rebuilt_by_scipy, polar])
@pytest.mark.parametrize("compiled", [False, True])
def test_what_turns_them_is_not_silent(f, compiled):
    found = tl.grad(f)(2 * np.eye(2))
    if compiled:
        pytest.importorskip("llvmlite")
        found = tl.jit(tl.grad(f))(2 * np.eye(2))
    assert not np.isfinite(found).all()
    assert np.isnan(tl.jvp(f, (2 * np.eye(2),), (G,))[1]) or np.isinf(tl.jvp(f, (2 * np.eye(2),), (G,))[1])


def test_a_multiple_of_the_identity_turns_nothing():
    expected = np.exp(1.5) * np.trace(G)
    assert np.isclose(tl.grad(scaled)(1.5), expected)
    value, tangent = tl.jvp(scaled, (1.5,), (1.0,))
    assert value == scaled(1.5) and np.isclose(tangent, expected)
    assert np.isclose(tl.grad(lambda t: tl.jvp(scaled, (t,), (1.0,))[1])(1.5), expected)


def test_vectors_of_other_values_are_right():
    a = np.array([[2.0, 0, 0], [0, 2, 0], [0, 0, 3]])
    q = np.linalg.qr(np.array([[1.0, 2, 0.5], [0.3, 1, -1], [2, 0.1, 1]]))[0]
    expected = tl.grad(largest)(q @ np.diag([2.0, 2 + 1e-6, 3]) @ q.T)
    found = tl.grad(lambda x: largest(q @ x @ q.T))(a)
    assert np.isfinite(found).all()
    assert np.allclose(q @ (found + found.T) @ q.T, expected + expected.T, atol=1e-5)


@pytest.mark.parametrize("matrix", [1.5 * np.eye(2), np.array([[2.0, 0.3], [0.3, 1.0]])])
def test_densities_by_covariances(matrix):
    def density(c):
        return scipy.stats.multivariate_normal.logpdf(X, np.zeros(2), c)

    found = tl.grad(density)(matrix)
    inverse = np.linalg.inv(matrix)  # SciPy reads the lower triangle
    whole = 0.5 * (inverse @ np.outer(X, X) @ inverse - inverse)
    expected = np.tril(whole) + np.tril(whole.T, -1)
    assert np.allclose(found, expected, rtol=1e-12)
    hessian = tl.hessian(density)(matrix)
    step = 1e-5 * np.array([[0.0, 0.0], [1.0, 0.0]])
    differences = (tl.grad(density)(matrix + step) - tl.grad(density)(matrix - step)) / 2e-5
    assert np.allclose(hessian[:, :, 1, 0], differences, atol=1e-8)
    pytest.importorskip("llvmlite")
    assert np.allclose(tl.jit(tl.grad(density))(matrix), expected, rtol=1e-10)


def test_densities_on_a_line():
    flat = np.ones((2, 2))

    def density(s):
        return scipy.stats.multivariate_normal.logpdf(
            np.array([0.3, 0.3]), np.zeros(2), s * flat, allow_singular=True
        )

    value, slope = tl.value_and_grad(density)(1.5)
    assert value == density(1.5)
    assert np.isclose(slope, -0.5 / 1.5 + 0.5 * 0.18 / 2 / 1.5**2)
