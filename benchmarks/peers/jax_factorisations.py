"""Factorisations and solvers for JAX: a loop over columns with the rest of the matrix under masks."""

import jax
import jax.numpy as jnp
from jax import lax

jax.config.update("jax_enable_x64", True)


def eliminated(A):
    n = A.shape[0]
    index = jnp.arange(n)

    def column(k, A):
        below = index > k
        factors = jnp.where(below, A[:, k] / A[k, k], 0.0)
        A = A - jnp.outer(factors, jnp.where(below, A[k], 0.0))
        return A.at[:, k].set(jnp.where(below, factors, A[:, k]))

    return lax.fori_loop(0, n, column, A)


def lu(A):
    A = eliminated(A)
    return jnp.sum(A * A)


def cholesky(A):
    n = A.shape[0]
    index = jnp.arange(n)

    def column(k, A):
        pivot = jnp.sqrt(A[k, k])
        below = jnp.where(index > k, A[:, k] / pivot, 0.0)
        A = A - jnp.outer(below, below)
        return A.at[:, k].set(jnp.where(index > k, below, A[:, k])).at[k, k].set(pivot)

    return jnp.sum(jnp.tril(lax.fori_loop(0, n, column, A)))


def ludcmp(A, b):
    n = A.shape[0]
    A = eliminated(A)
    lower, upper = jnp.tril(A, -1), jnp.triu(A, 1)

    def forth(i, y):
        return y.at[i].set(b[i] - lower[i] @ y)

    y = lax.fori_loop(0, n, forth, jnp.zeros(n))

    def back(k, x):
        i = n - 1 - k
        return x.at[i].set((y[i] - upper[i] @ x) / A[i, i])

    x = lax.fori_loop(0, n, back, jnp.zeros(n))
    return jnp.sum(x * x)


def trisolv(L, b):
    n = L.shape[0]
    lower = jnp.tril(L, -1)

    def row(i, x):
        return x.at[i].set((b[i] - lower[i] @ x) / L[i, i])

    x = lax.fori_loop(0, n, row, jnp.zeros(n))
    return jnp.sum(x * x)


def durbin(r):
    n = r.shape[0]
    index = jnp.arange(n)

    def step(k, state):
        y, alpha, beta = state
        beta = beta * (1.0 - alpha * alpha)
        flipped = jnp.where(index < k, jnp.roll(jnp.flip(r), k), 0.0)
        alpha = -(r[k] + flipped @ y) / beta
        y = y + alpha * jnp.where(index < k, jnp.roll(jnp.flip(y), k), 0.0)
        return y.at[k].set(alpha), alpha, beta

    start = jnp.zeros(n).at[0].set(-r[0]), -r[0], jnp.ones(())
    y, _, _ = lax.fori_loop(1, n, step, start)
    return jnp.sum(y * y)


def gramschmidt(A):
    m, n = A.shape
    index = jnp.arange(n)

    def column(k, state):
        A, Q, R = state
        norm = jnp.sqrt(A[:, k] @ A[:, k])
        q = A[:, k] / norm
        row = jnp.where(index > k, q @ A, 0.0)
        return A - jnp.outer(q, row), Q.at[:, k].set(q), R.at[k].set(row.at[k].set(norm))

    _, Q, R = lax.fori_loop(0, n, column, (A, jnp.zeros((m, n)), jnp.zeros((n, n))))
    return jnp.sum(R) + jnp.sum(Q * Q * Q)


def thomas(lower, diagonal, upper, b):
    def forth(state, row):
        c, d = state
        lower, diagonal, upper, b = row
        pivot = diagonal - lower * c
        new = upper / pivot, (b - lower * d) / pivot
        return new, new

    def back(x, cd):
        x = cd[1] - cd[0] * x
        return x, x

    zero = jnp.zeros(())
    _, (c, d) = lax.scan(forth, (zero, zero), (lower, diagonal, upper, b))
    _, x = lax.scan(back, zero, (c, d), reverse=True)
    return jnp.sum(x * x)
