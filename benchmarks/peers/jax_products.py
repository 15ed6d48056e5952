"""Products and statistics for JAX."""

import jax
import jax.numpy as jnp

jax.config.update("jax_enable_x64", True)


def gemm(alpha, beta, C, A, B):
    C = alpha * A @ B + beta * C
    return jnp.sum(C * C)


def two_mm(alpha, beta, A, B, C, D):
    D = alpha * A @ B @ C + beta * D
    return jnp.sum(D * D)


def three_mm(A, B, C, D):
    out = (A @ B) @ (C @ D)
    return jnp.sum(out * out)


def atax(A, x):
    y = (A @ x) @ A
    return jnp.sum(y * y)


def bicg(A, p, r):
    s = r @ A
    q = A @ p
    return jnp.sum(s * s) + jnp.sum(q * q)


def mvt(x1, x2, y1, y2, A):
    x1 = x1 + A @ y1
    x2 = x2 + y2 @ A
    return jnp.sum(x1 * x1) + jnp.sum(x2 * x2)


def gemver(alpha, beta, A, u1, v1, u2, v2, w, x, y, z):
    A = A + jnp.outer(u1, v1) + jnp.outer(u2, v2)
    x = x + beta * y @ A + z
    w = w + alpha * A @ x
    return jnp.sum(w * w)


def gesummv(alpha, beta, A, B, x):
    y = alpha * A @ x + beta * B @ x
    return jnp.sum(y * y)


def syrk(alpha, beta, C, A):
    C = jnp.triu(C, 1) + jnp.tril(beta * C + alpha * A @ A.T)
    return jnp.sum(C * C)


def syr2k(alpha, beta, C, A, B):
    C = jnp.triu(C, 1) + jnp.tril(beta * C + alpha * (A @ B.T + B @ A.T))
    return jnp.sum(C * C)


def symm(alpha, beta, C, A, B):
    lower = jnp.tril(A, -1)
    C = beta * C + alpha * (lower + lower.T + jnp.diag(jnp.diag(A))) @ B
    return jnp.sum(C * C)


def trmm(alpha, A, B):
    B = alpha * (B + jnp.tril(A, -1).T @ B)
    return jnp.sum(B * B)


def doitgen(A, C4):
    A = A @ C4
    return jnp.sum(A * A)


def covariance(data):
    data = data - jnp.mean(data, axis=0)
    cov = data.T @ data / (data.shape[0] - 1.0)
    return jnp.sum(cov * cov)


def correlation(data):
    n, m = data.shape
    deviation = jnp.std(data, axis=0)
    deviation = jnp.where(deviation <= 0.1, 1.0, deviation)
    data = (data - jnp.mean(data, axis=0)) / (jnp.sqrt(n) * deviation)
    corr = jnp.where(jnp.eye(m, dtype=bool), 1.0, data.T @ data)
    return jnp.sum(corr * corr)


def spmv(indptr, indices, data, x):
    rows = jnp.repeat(jnp.arange(indptr.shape[0] - 1), jnp.diff(indptr), total_repeat_length=data.shape[0])
    y = jax.ops.segment_sum(data * x[indices], rows, indptr.shape[0] - 1, indices_are_sorted=True)
    return jnp.sum(y * y)
