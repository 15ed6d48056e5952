"""Eigenvalues of any matrix, roots of polynomials, full factors and partitions: NumPy's, called back."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native.called_matrices import KINDS

REAL = np.array([[2.0, 0.3, 0.1], [0.2, 3.0, 0.4], [0.3, 0.1, 4.0]])
TURN = np.array([[1.0, -2.0, 0.3], [1.5, 0.5, 0.2], [0.1, 0.4, 3.0]])
X = np.array([0.3, -1.2, 2.5, 0.7])


def size(w):
    return np.sum(np.abs(w) ** 2 + w.real)


@pytest.mark.parametrize("a", [REAL, TURN])
@pytest.mark.parametrize("f", [np.linalg.eigvals, lambda a: np.linalg.eig(a)[1]])
def test_of_real_matrices(f, a):
    fast = tl.jit(lambda a: f(a))
    for _ in range(3):  # the first call finds out whether they are real
        got = fast(a)
        np.testing.assert_allclose(got, f(a), rtol=1e-10, strict=True)
    slope = tl.grad(lambda a: size(f(a) * np.arange(1, 4)))
    fast = tl.jit(slope)
    for _ in range(2):
        np.testing.assert_allclose(fast(a), slope(a), rtol=1e-9, atol=1e-12)


def test_a_place_learns_what_its_eigenvalues_are():
    def f(a):
        return np.abs(np.linalg.eigvals(a)).max()

    fast = tl.jit(f)
    line = f.__code__.co_firstlineno + 1
    for a in (TURN, TURN, REAL, REAL, TURN, TURN):
        assert fast(a) == pytest.approx(f(a), rel=1e-12)
        (kind,) = (k for place, k in KINDS.items() if place.endswith(f"{__file__}:{line}"))
        assert kind.real is (a is REAL)


def test_of_complex_matrices():
    def f(a, b):
        w, v = np.linalg.eig(a + 1j * b)
        return size(w) + np.sum(np.abs(v) * np.arange(3.0))

    both = tl.value_and_grad(f, argnums=(0, 1))
    (value, slopes), (wanted, others) = tl.jit(both)(REAL, TURN), both(REAL, TURN)
    assert value == pytest.approx(wanted, rel=1e-12)
    np.testing.assert_allclose(slopes, others, rtol=1e-9)


@pytest.mark.parametrize("p", [np.array([1.0, -6.0, 11.0, -6.1]), X])
def test_roots(p):
    fast = tl.jit(lambda p: np.roots(p))
    for _ in range(2):
        np.testing.assert_allclose(fast(p), np.roots(p), rtol=1e-11, strict=True)
    slope = tl.grad(lambda p: size(np.roots(p)))
    fast = tl.jit(slope)
    for _ in range(2):
        np.testing.assert_allclose(fast(p), slope(p), rtol=1e-8)


def test_roots_of_polynomials_with_zeros_at_the_ends():
    fast = tl.jit(lambda p: np.roots(p))
    for p in ([1.0, -3.0, 2.0, 0.0], [0.0, 1.0, -3.0, 2.0], [2.0], [0.0, 0.0]):
        np.testing.assert_allclose(fast(np.array(p)), np.roots(p), rtol=1e-12)


def test_polynomials_of_their_roots():
    np.testing.assert_allclose(tl.jit(lambda x: np.poly(x))(X), np.poly(X), rtol=1e-12, strict=True)
    slope = tl.grad(lambda x: np.sum(np.poly(x) ** 2))
    np.testing.assert_allclose(tl.jit(slope)(X), slope(X), rtol=1e-12)


PARTITIONS = {
    "partition": lambda x: np.partition(x, 2),
    "several": lambda x: np.partition(np.outer(x, X), (1, 3), axis=0),
    "flat": lambda x: np.partition(np.outer(x, X + 0.1), 5, axis=None),
    "largest": lambda x: x[np.argpartition(x, -2)[-2:]],
    "argpartition of a method": lambda x: x[x.argpartition(1)],
}


@pytest.mark.parametrize("name", PARTITIONS)
def test_partitions(name):
    f = PARTITIONS[name]
    np.testing.assert_array_equal(tl.jit(f)(X), f(X), strict=True)

    def total(x):
        row = f(x)
        return np.sum(row * np.cos(np.arange(row.size)).reshape(row.shape))

    np.testing.assert_allclose(tl.jit(tl.grad(total))(X), tl.grad(total)(X), rtol=1e-12)


def test_partition_in_place():
    def f(x):
        y = x.copy()
        y.partition(1)
        return y

    np.testing.assert_array_equal(tl.jit(f)(X), f(X))


@pytest.mark.parametrize(
    "a", [REAL[:2], REAL[:, :2], np.stack([REAL[:2], TURN[:2]]), REAL[:2] + 1j * TURN[:2]]
)
def test_full_factors(a):
    def both(a):
        return (*np.linalg.svd(a), *np.linalg.qr(a, mode="complete"))

    for got, wanted in zip(tl.jit(both)(a), both(a), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12, strict=True)
    if a.dtype == float:
        fast = tl.jit(tl.grad(lambda a: np.sum(np.linalg.svd(a)[1] ** 3)))
        slope = tl.grad(lambda a: np.sum(np.linalg.svd(a, full_matrices=False)[1] ** 3))
        np.testing.assert_allclose(fast(a), slope(a), rtol=1e-10)
        with pytest.raises(tl.TapelessError):
            tl.jit(tl.grad(lambda a: np.sum(np.linalg.svd(a)[0] ** 3)))(a)


def test_singular_values_of_symmetric_matrices():
    a = REAL + REAL.T - 4.0 * np.eye(3)

    def f(a):
        u, s, vt = np.linalg.svd(a, hermitian=True)
        return np.sum(np.abs(u)) + s[0] * 3.0 + s[1] + np.sum(np.abs(vt)) + np.linalg.svd(
            a, compute_uv=False, hermitian=True
        ).sum()  # fmt: skip

    assert tl.jit(f)(a) == pytest.approx(f(a), rel=1e-12)
    made = tl.jit(lambda a: np.linalg.svd(a, hermitian=True))(a)
    assert type(made) is type(np.linalg.svd(a, hermitian=True))
    np.testing.assert_allclose(tl.jit(tl.grad(f))(a), tl.grad(f)(a), rtol=1e-9)
