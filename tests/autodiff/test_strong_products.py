"""Zero times infinity is zero in the reverse passes of products of arrays, on every road."""

import numpy as np
import pytest

import tapeless as tl

INF = np.inf


def untyped(f):
    def g(a):
        def values():
            yield f(a)

        return next(values())

    return g


@pytest.mark.parametrize(
    ("f", "gradient"),
    [
        (lambda a: np.sqrt(np.einsum("ij,ij->i", a, a)).sum(), [[0, 0], [0.6, 0.8]]),
        (lambda a: np.sqrt(np.dot(a[0], a[0])), [[0, 0], [0, 0]]),
        (lambda a: np.sqrt(a[0] @ a[0]), [[0, 0], [0, 0]]),
        (lambda a: np.sqrt(np.vdot(a[0], a[0])), [[0, 0], [0, 0]]),
        (lambda a: np.sqrt(np.dot(a, a.T)[0, 0]), [[0, 0], [0, 0]]),
        (lambda a: np.sqrt(np.convolve(a[0], a[0])).sum(), [[0, 0], [0, 0]]),
        (lambda a: np.sqrt(a @ a.T).sum(), [[INF, INF], [0.6, 0.8]]),
        (lambda a: np.sqrt(np.inner(a, a)).sum(), [[INF, INF], [0.6, 0.8]]),
        (lambda a: np.sqrt(a @ a[0]).sum(), [[INF, INF], [0, 0]]),
        (lambda a: np.sqrt(np.outer(a[0], a[1])).sum(), [[INF, INF], [0, 0]]),
        (lambda a: np.sqrt(np.array([[0.0, 1.0], [2.0, 0.0]]) @ a[0]).sum(), [[INF, INF], [0, 0]]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.filterwarnings("error")
def test_infinite_slopes(f, gradient, dtype):
    a = np.array([[0.0, 0.0], [3.0, 4.0]], dtype)
    for g in (f, untyped(f)):
        found = tl.grad(g)(a)
        assert found.dtype == dtype
        assert np.allclose(found, gradient, rtol=1e-6)
    assert np.allclose(tl.jit(tl.grad(f))(a), gradient, rtol=1e-6)


def test_opposite_infinities():
    matrix = np.array([[1.0, 1.0], [1.0, 0.0]])

    def f(x):
        return np.sum(np.array([1.0, -1.0]) * np.sqrt(matrix @ x))

    for g in (f, untyped(f)):
        assert np.array_equal(tl.grad(g)(np.zeros(2)), [np.nan, INF], equal_nan=True)
