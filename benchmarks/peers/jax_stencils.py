"""Stencils for JAX."""

import jax
import jax.numpy as jnp
from jax import lax

jax.config.update("jax_enable_x64", True)


def jacobi_1d(steps, A, B):
    def step(_, state):
        A, B = state
        B = B.at[1:-1].set((A[:-2] + A[1:-1] + A[2:]) / 3.0)
        A = A.at[1:-1].set((B[:-2] + B[1:-1] + B[2:]) / 3.0)
        return A, B

    A, B = lax.fori_loop(0, steps, step, (A, B))
    return jnp.sum(A * A)


def jacobi_2d(steps, A, B):
    def cross(X):
        return 0.2 * (X[1:-1, 1:-1] + X[1:-1, :-2] + X[1:-1, 2:] + X[2:, 1:-1] + X[:-2, 1:-1])

    def step(_, state):
        A, B = state
        B = B.at[1:-1, 1:-1].set(cross(A))
        A = A.at[1:-1, 1:-1].set(cross(B))
        return A, B

    A, B = lax.fori_loop(0, steps, step, (A, B))
    return jnp.sum(A * A)


def seidel_2d(steps, A):
    n = A.shape[0]

    def row(i, A):
        above, here, below = A[i - 1], A[i], A[i + 1]
        rest = above[:-2] + above[1:-1] + above[2:] + here[1:-1] + here[2:] + below[:-2] + below[1:-1]
        rest = rest + below[2:]

        def cell(left, others):
            new = (left + others) / 9.0
            return new, new

        _, new = lax.scan(cell, here[0], rest)
        return A.at[i, 1:-1].set(new)

    A = lax.fori_loop(0, steps, lambda _, A: lax.fori_loop(1, n - 1, row, A), A)
    return jnp.sum(A * A)


def heat_3d(steps, A, B):
    def warmed(X):
        c = X[1:-1, 1:-1, 1:-1]
        return (
            c
            + 0.125 * (X[2:, 1:-1, 1:-1] - 2.0 * c + X[:-2, 1:-1, 1:-1])
            + 0.125 * (X[1:-1, 2:, 1:-1] - 2.0 * c + X[1:-1, :-2, 1:-1])
            + 0.125 * (X[1:-1, 1:-1, 2:] - 2.0 * c + X[1:-1, 1:-1, :-2])
        )

    def step(_, state):
        A, B = state
        B = B.at[1:-1, 1:-1, 1:-1].set(warmed(A))
        A = A.at[1:-1, 1:-1, 1:-1].set(warmed(B))
        return A, B

    A, B = lax.fori_loop(0, steps, step, (A, B))
    return jnp.sum(A * A)


def fdtd_2d(steps, ex, ey, hz, source):
    def step(state, value):
        ex, ey, hz = state
        ey = ey.at[0, :].set(value)
        ey = ey.at[1:, :].add(-0.5 * (hz[1:, :] - hz[:-1, :]))
        ex = ex.at[:, 1:].add(-0.5 * (hz[:, 1:] - hz[:, :-1]))
        hz = hz.at[:-1, :-1].add(-0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1]))
        return (ex, ey, hz), None

    (ex, ey, hz), _ = lax.scan(step, (ex, ey, hz), source)
    return jnp.sum(hz * hz)


def adi(steps, u):
    n = u.shape[0]
    dx, dt = 1.0 / n, 1.0 / steps
    mul1, mul2 = 2.0 * dt / (dx * dx), dt / (dx * dx)
    a, b, d, e = -0.5 * mul1, 1.0 + mul1, -0.5 * mul2, 1.0 + mul2
    ones, zeros = jnp.ones(n - 2), jnp.zeros(n - 2)

    def sweep(right, lower, diagonal):
        """Tridiagonal systems side by side; `right` has a row for each unknown."""

        def forth(state, r):
            p, q = state
            pivot = lower * p + diagonal
            new = -lower / pivot, (r - lower * q) / pivot
            return new, new

        def back(x, pq):
            x = pq[0] * x + pq[1]
            return x, x

        _, (p, q) = lax.scan(forth, (zeros, ones), right)
        _, x = lax.scan(back, ones, (p, q), reverse=True)
        return jnp.concatenate([ones[None], x, ones[None]])

    def step(_, u):
        right = (-d * u[:, :-2] + (1.0 + 2.0 * d) * u[:, 1:-1] - d * u[:, 2:])[1:-1]
        v = jnp.zeros((n, n)).at[:, 1:-1].set(sweep(right, a, b))
        right = (-a * v[:-2, :] + (1.0 + 2.0 * a) * v[1:-1, :] - a * v[2:, :]).T[1:-1]
        return u.at[1:-1, :].set(sweep(right, d, e).T)

    return jnp.sum(lax.fori_loop(0, steps, step, u) ** 2)


def hdiff(field, coefficient):
    lap = 4.0 * field[1:-1, 1:-1, :] - (
        field[2:, 1:-1, :] + field[:-2, 1:-1, :] + field[1:-1, 2:, :] + field[1:-1, :-2, :]
    )
    flux = lap[1:, 1:-1, :] - lap[:-1, 1:-1, :]
    flux_x = jnp.where(flux * (field[2:-1, 2:-2, :] - field[1:-2, 2:-2, :]) > 0.0, 0.0, flux)
    flux = lap[1:-1, 1:, :] - lap[1:-1, :-1, :]
    flux_y = jnp.where(flux * (field[2:-2, 2:-1, :] - field[2:-2, 1:-2, :]) > 0.0, 0.0, flux)
    out = field[2:-2, 2:-2, :] - coefficient * (
        flux_x[1:, :, :] - flux_x[:-1, :, :] + flux_y[:, 1:, :] - flux_y[:, :-1, :]
    )
    return jnp.sum(out * out)


def vadv(u, wind, tendency, dt):
    rate = 1.0 / dt
    u, tendency = jnp.moveaxis(u, 2, 0), jnp.moveaxis(tendency, 2, 0)
    between = jnp.moveaxis(0.25 * (wind[1:] + wind[:-1]), 2, 0)
    nothing = jnp.zeros_like(u[:1])
    up = jnp.concatenate([between[1:], nothing])
    down = jnp.concatenate([nothing, -between[1:]])
    above = jnp.concatenate([u[1:], nothing])
    below = jnp.concatenate([nothing, u[:-1]])
    right = rate * u + tendency - down * (below - u) - up * (above - u)

    def forth(state, level):
        c, d = state
        down, up, right = level
        pivot = rate - down - up - down * c
        new = up / pivot, (right - down * d) / pivot
        return new, new

    def back(data, cd):
        data = cd[1] - cd[0] * data
        return data, data

    zero = jnp.zeros_like(u[0])
    _, (c, d) = lax.scan(forth, (zero, zero), (down, up, right))
    _, data = lax.scan(back, zero, (c, d), reverse=True)
    out = rate * (data - u)
    return jnp.sum(out * out)


def burgers_1d(steps, u, viscosity):
    n = u.shape[0]
    dx = 2.0 / n
    dt = dx * dx

    def step(_, u):
        new = (
            u[1:-1]
            - u[1:-1] * dt / dx * (u[1:-1] - u[:-2])
            + viscosity * dt / dx**2 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
        )
        u = u.at[1:-1].set(new)
        return u.at[0].set(u[-2]).at[-1].set(u[1])

    u = lax.fori_loop(0, steps, step, u)
    return jnp.sum(u * u) * dx


def deriche(alpha, image):
    k = (1.0 - jnp.exp(-alpha)) ** 2 / (1.0 + 2.0 * alpha * jnp.exp(-alpha) - jnp.exp(2.0 * alpha))
    a1, a4 = k, -k * jnp.exp(-2.0 * alpha)
    a2, a3 = k * jnp.exp(-alpha) * (alpha - 1.0), k * jnp.exp(-alpha) * (alpha + 1.0)
    b1, b2 = 2.0 ** (-alpha), -jnp.exp(-2.0 * alpha)

    def filtered(rows):
        """Along the first axis, all columns at once."""
        zero = jnp.zeros_like(rows[0])

        def forth(state, x):
            x1, y1, y2 = state
            y = a1 * x + a2 * x1 + b1 * y1 + b2 * y2
            return (x, y, y1), y

        def back(state, x):
            x1, x2, y1, y2 = state
            y = a3 * x1 + a4 * x2 + b1 * y1 + b2 * y2
            return (x, x1, y, y1), y

        _, one = lax.scan(forth, (zero,) * 3, rows)
        _, two = lax.scan(back, (zero,) * 4, rows, reverse=True)
        return one + two

    edges = filtered(filtered(image.T).T)
    return jnp.sum(edges * edges)
