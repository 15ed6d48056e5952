"""Factorisations and solvers, by loops over rows and columns."""

import numpy as np

from benchmarks.kernels import LOOP, Kernel


def lu(A):
    n = A.shape[0]
    for i in range(n):
        for j in range(i):
            A[i, j] -= A[i, :j] @ A[:j, j]
            A[i, j] /= A[j, j]
        for j in range(i, n):
            A[i, j] -= A[i, :i] @ A[:i, j]
    return np.sum(A * A)


def cholesky(A):
    n = A.shape[0]
    for i in range(n):
        for j in range(i):
            A[i, j] -= np.dot(A[i, :j], A[j, :j])
            A[i, j] /= A[j, j]
        A[i, i] -= np.dot(A[i, :i], A[i, :i])
        A[i, i] = np.sqrt(A[i, i])
    total = 0.0
    for i in range(n):
        for j in range(i + 1):
            total += A[i, j]
    return total


def ludcmp(A, b):
    n = A.shape[0]
    x = np.zeros(n)
    y = np.zeros(n)
    for i in range(n):
        for j in range(i):
            w = A[i, j]
            for k in range(j):
                w -= A[i, k] * A[k, j]
            A[i, j] = w / A[j, j]
        for j in range(i, n):
            w = A[i, j]
            for k in range(i):
                w -= A[i, k] * A[k, j]
            A[i, j] = w
    for i in range(n):
        w = b[i]
        for j in range(i):
            w -= A[i, j] * y[j]
        y[i] = w
    for i in range(n - 1, -1, -1):
        w = y[i]
        for j in range(i + 1, n):
            w -= A[i, j] * x[j]
        x[i] = w / A[i, i]
    return np.sum(x * x)


def trisolv(L, b):
    n = L.shape[0]
    x = np.zeros(n)
    for i in range(n):
        x[i] = b[i]
        for j in range(i):
            x[i] -= L[i, j] * x[j]
        x[i] /= L[i, i]
    return np.sum(x * x)


def durbin(r):
    """Levinson and Durbin's recursion for Toeplitz systems."""
    n = r.shape[0]
    y = np.zeros(n)
    y[0] = -r[0]
    beta = 1.0
    alpha = -r[0]
    for k in range(1, n):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return np.sum(y * y)


def gramschmidt(A):
    m, n = A.shape
    Q = np.zeros((m, n))
    R = np.zeros((n, n))
    for k in range(n):
        R[k, k] = np.sqrt(np.dot(A[:, k], A[:, k]))
        Q[:, k] = A[:, k] / R[k, k]
        for j in range(k + 1, n):
            R[k, j] = np.dot(Q[:, k], A[:, j])
            A[:, j] -= Q[:, k] * R[k, j]
    return np.sum(R) + np.sum(Q * Q * Q)


def thomas(lower, diagonal, upper, b):
    """A tridiagonal system."""
    n = b.shape[0]
    c = np.zeros(n)
    d = np.zeros(n)
    c[0] = upper[0] / diagonal[0]
    d[0] = b[0] / diagonal[0]
    for i in range(1, n):
        pivot = diagonal[i] - lower[i] * c[i - 1]
        c[i] = upper[i] / pivot
        d[i] = (b[i] - lower[i] * d[i - 1]) / pivot
    x = np.zeros(n)
    x[n - 1] = d[n - 1]
    for i in range(n - 2, -1, -1):
        x[i] = d[i] - c[i] * x[i + 1]
    return np.sum(x * x)


def make_square(n):
    rng = np.random.default_rng(42)
    return (rng.random((n, n)) + n * np.eye(n),)


def make_definite(n):
    a = np.random.default_rng(42).random((n, n))
    return (a @ a.T / n + np.eye(n),)


def make_system(n):
    rng = np.random.default_rng(42)
    return rng.random((n, n)) + n * np.eye(n), rng.random(n)


def make_triangle(n):
    rng = np.random.default_rng(42)
    return np.tril(rng.random((n, n)) / n) + np.eye(n), rng.random(n)


def make_toeplitz(n):
    return (0.4 ** np.arange(1, n + 1) + 0.01 * np.random.default_rng(42).random(n) / n,)


def make_tall(n):
    rng = np.random.default_rng(42)
    return (rng.random((n + n // 4, n)) + np.eye(n + n // 4, n),)


def make_bands(n):
    rng = np.random.default_rng(42)
    return rng.random(n), 4.0 + rng.random(n), rng.random(n), rng.random(n)


KERNELS = [
    Kernel(lu, make_square, ((6,), (50,), (150,)), (0,), LOOP),
    Kernel(cholesky, make_definite, ((6,), (50,), (200,)), (0,), LOOP),
    Kernel(ludcmp, make_system, ((6,), (30,), (100,)), (0, 1), LOOP),
    Kernel(trisolv, make_triangle, ((7,), (100,), (400,)), (0, 1), LOOP),
    Kernel(durbin, make_toeplitz, ((7,), (100,), (800,)), (0,), LOOP),
    Kernel(gramschmidt, make_tall, ((5,), (30,), (100,)), (0,), LOOP),
    Kernel(thomas, make_bands, ((8,), (1000,), (100_000,)), (0, 1, 2, 3), LOOP),
]
