"""Products of matrices and vectors: BLAS by name, by hand and by loops; statistics of tables; sparse rows."""

import numpy as np

from benchmarks.kernels import ARRAY, LOOP, Kernel


def gemm(alpha, beta, C, A, B):
    C[:] = alpha * A @ B + beta * C
    return np.sum(C * C)


def two_mm(alpha, beta, A, B, C, D):
    D[:] = alpha * A @ B @ C + beta * D
    return np.sum(D * D)


def three_mm(A, B, C, D):
    out = (A @ B) @ (C @ D)
    return np.sum(out * out)


def atax(A, x):
    y = (A @ x) @ A
    return np.sum(y * y)


def bicg(A, p, r):
    s = r @ A
    q = A @ p
    return np.sum(s * s) + np.sum(q * q)


def mvt(x1, x2, y1, y2, A):
    x1 += A @ y1
    x2 += y2 @ A
    return np.sum(x1 * x1) + np.sum(x2 * x2)


def gemver(alpha, beta, A, u1, v1, u2, v2, w, x, y, z):
    A += np.outer(u1, v1) + np.outer(u2, v2)
    x += beta * y @ A + z
    w += alpha * A @ x
    return np.sum(w * w)


def gesummv(alpha, beta, A, B, x):
    y = alpha * A @ x + beta * B @ x
    return np.sum(y * y)


def syrk(alpha, beta, C, A):
    n, m = A.shape
    for i in range(n):
        C[i, : i + 1] *= beta
        for k in range(m):
            C[i, : i + 1] += alpha * A[i, k] * A[: i + 1, k]
    return np.sum(C * C)


def syr2k(alpha, beta, C, A, B):
    n, m = A.shape
    for i in range(n):
        C[i, : i + 1] *= beta
        for k in range(m):
            C[i, : i + 1] += A[: i + 1, k] * alpha * B[i, k] + B[: i + 1, k] * alpha * A[i, k]
    return np.sum(C * C)


def symm(alpha, beta, C, A, B):
    m, n = C.shape
    C *= beta
    for i in range(m):
        for j in range(n):
            C[:i, j] += alpha * B[i, j] * A[i, :i]
            C[i, j] += alpha * (B[i, j] * A[i, i] + B[:i, j] @ A[i, :i])
    return np.sum(C * C)


def trmm(alpha, A, B):
    m, n = B.shape
    for i in range(m):
        for j in range(n):
            B[i, j] += np.dot(A[i + 1 :, i], B[i + 1 :, j])
    B *= alpha
    return np.sum(B * B)


def doitgen(A, C4):
    """A tensor times a matrix, slab by slab, in place."""
    nr, nq, _ = A.shape
    for r in range(nr):
        for q in range(nq):
            A[r, q, :] = A[r, q, :] @ C4
    return np.sum(A * A)


def covariance(data):
    n, m = data.shape
    mean = np.mean(data, axis=0)
    data -= mean
    cov = np.zeros((m, m))
    for i in range(m):
        cov[i:, i] = data[:, i] @ data[:, i:] / (n - 1.0)
        cov[i, i:] = cov[i:, i]
    return np.sum(cov * cov)


def correlation(data):
    n, m = data.shape
    mean = np.mean(data, axis=0)
    deviation = np.std(data, axis=0)
    deviation[deviation <= 0.1] = 1.0
    data -= mean
    data /= np.sqrt(n) * deviation
    corr = np.eye(m)
    for i in range(m - 1):
        corr[i + 1 :, i] = data[:, i] @ data[:, i + 1 :]
        corr[i, i + 1 :] = corr[i + 1 :, i]
    return np.sum(corr * corr)


def spmv(indptr, indices, data, x):
    """A sparse matrix by rows (CSR) times a vector."""
    n = len(indptr) - 1
    y = np.zeros(n)
    for i in range(n):
        total = 0.0
        for k in range(indptr[i], indptr[i + 1]):
            total += data[k] * x[indices[k]]
        y[i] = total
    return np.sum(y * y)


def make_gemm(n):
    rng = np.random.default_rng(42)
    return 1.5, 1.2, rng.random((n, n + 2)), rng.random((n, n + 1)), rng.random((n + 1, n + 2))


def make_two_mm(n):
    rng = np.random.default_rng(42)
    a, b, c = rng.random((n, n + 1)), rng.random((n + 1, n + 2)), rng.random((n + 2, n + 3))
    return 1.5, 1.2, a / n, b, c / n, rng.random((n, n + 3))


def make_three_mm(n):
    rng = np.random.default_rng(42)
    return (
        rng.random((n, n + 1)) / n, rng.random((n + 1, n + 2)),
        rng.random((n + 2, n + 3)) / n, rng.random((n + 3, n + 4)) / n,
    )  # fmt: skip


def make_atax(n):
    rng = np.random.default_rng(42)
    return rng.random((n, n + 3)) / n, rng.random(n + 3)


def make_bicg(n):
    rng = np.random.default_rng(42)
    return rng.random((n, n + 3)) / n, rng.random(n + 3), rng.random(n)


def make_mvt(n):
    rng = np.random.default_rng(42)
    return rng.random(n), rng.random(n), rng.random(n), rng.random(n), rng.random((n, n)) / n


def make_gemver(n):
    rng = np.random.default_rng(42)
    factors = (rng.random(n) / np.sqrt(n) for _ in range(4))
    return 1.5, 1.2, rng.random((n, n)) / n, *factors, *(rng.random(n) for _ in range(4))


def make_gesummv(n):
    rng = np.random.default_rng(42)
    return 1.5, 1.2, rng.random((n, n)) / n, rng.random((n, n)) / n, rng.random(n)


def make_syrk(n):
    rng = np.random.default_rng(42)
    return 1.5, 1.2, rng.random((n, n)), rng.random((n, n - 2))


def make_syr2k(n):
    return *make_syrk(n), np.random.default_rng(43).random((n, n - 2))


def make_symm(n):
    rng = np.random.default_rng(42)
    return 1.5, 1.2, rng.random((n, n + 2)), rng.random((n, n)) / n, rng.random((n, n + 2))


def make_trmm(n):
    rng = np.random.default_rng(42)
    return 1.5, rng.random((n, n)) / n, rng.random((n, n + 2))


def make_doitgen(n):
    rng = np.random.default_rng(42)
    return rng.random((n, n + 2, n + 4)), rng.random((n + 4, n + 4)) / n


def make_table(n):
    return (np.random.default_rng(42).random((n + n // 4, n)),)


def make_spmv(n, filled):
    rng = np.random.default_rng(42)
    lengths = rng.integers(1, 2 * filled, n)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    indices = rng.integers(0, n, indptr[-1])
    return indptr, indices, rng.random(indptr[-1]), rng.random(n)


KERNELS = [
    Kernel(gemm, make_gemm, ((5,), (60,), (300,)), (0, 1, 2, 3, 4), ARRAY),
    Kernel(two_mm, make_two_mm, ((4,), (50,), (250,)), (0, 1, 2, 3, 4, 5), ARRAY),
    Kernel(three_mm, make_three_mm, ((4,), (50,), (250,)), (0, 1, 2, 3), ARRAY),
    Kernel(atax, make_atax, ((5,), (100,), (800,)), (0, 1), ARRAY),
    Kernel(bicg, make_bicg, ((5,), (100,), (800,)), (0, 1, 2), ARRAY),
    Kernel(mvt, make_mvt, ((5,), (100,), (800,)), (0, 1, 2, 3, 4), ARRAY),
    Kernel(gemver, make_gemver, ((5,), (100,), (800,)), tuple(range(11)), ARRAY),
    Kernel(gesummv, make_gesummv, ((5,), (100,), (800,)), (0, 1, 2, 3, 4), ARRAY),
    Kernel(syrk, make_syrk, ((6,), (50,), (150,)), (0, 1, 2, 3), LOOP),
    Kernel(syr2k, make_syr2k, ((6,), (40,), (120,)), (0, 1, 2, 3, 4), LOOP),
    Kernel(symm, make_symm, ((5,), (40,), (120,)), (0, 1, 2, 3, 4), LOOP),
    Kernel(trmm, make_trmm, ((5,), (40,), (150,)), (0, 1, 2), LOOP),
    Kernel(doitgen, make_doitgen, ((3,), (15,), (50,)), (0, 1), LOOP),
    Kernel(covariance, make_table, ((6,), (60,), (250,)), (0,), LOOP),
    Kernel(correlation, make_table, ((6,), (60,), (250,)), (0,), LOOP),
    Kernel(spmv, make_spmv, ((6, 3), (500, 10), (5000, 20)), (2, 3), LOOP),
]
