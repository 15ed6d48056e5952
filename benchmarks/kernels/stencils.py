"""Stencils on grids: sweeps in time and space, most of them in place."""

import math

import numpy as np

from benchmarks.kernels import LOOP, STENCIL, Kernel


def jacobi_1d(steps, A, B):
    for _ in range(steps):
        B[1:-1] = (A[:-2] + A[1:-1] + A[2:]) / 3.0
        A[1:-1] = (B[:-2] + B[1:-1] + B[2:]) / 3.0
    return np.sum(A * A)


def jacobi_2d(steps, A, B):
    for _ in range(steps):
        B[1:-1, 1:-1] = 0.2 * (A[1:-1, 1:-1] + A[1:-1, :-2] + A[1:-1, 2:] + A[2:, 1:-1] + A[:-2, 1:-1])
        A[1:-1, 1:-1] = 0.2 * (B[1:-1, 1:-1] + B[1:-1, :-2] + B[1:-1, 2:] + B[2:, 1:-1] + B[:-2, 1:-1])
    return np.sum(A * A)


def seidel_2d(steps, A):
    n = A.shape[0]
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                A[i, j] = (
                    A[i - 1, j - 1] + A[i - 1, j] + A[i - 1, j + 1]
                    + A[i, j - 1] + A[i, j] + A[i, j + 1]
                    + A[i + 1, j - 1] + A[i + 1, j] + A[i + 1, j + 1]
                ) / 9.0  # fmt: skip
    return np.sum(A * A)


def heat_3d(steps, A, B):
    for _ in range(steps):
        B[1:-1, 1:-1, 1:-1] = (
            A[1:-1, 1:-1, 1:-1]
            + 0.125 * (A[2:, 1:-1, 1:-1] - 2.0 * A[1:-1, 1:-1, 1:-1] + A[:-2, 1:-1, 1:-1])
            + 0.125 * (A[1:-1, 2:, 1:-1] - 2.0 * A[1:-1, 1:-1, 1:-1] + A[1:-1, :-2, 1:-1])
            + 0.125 * (A[1:-1, 1:-1, 2:] - 2.0 * A[1:-1, 1:-1, 1:-1] + A[1:-1, 1:-1, :-2])
        )
        A[1:-1, 1:-1, 1:-1] = (
            B[1:-1, 1:-1, 1:-1]
            + 0.125 * (B[2:, 1:-1, 1:-1] - 2.0 * B[1:-1, 1:-1, 1:-1] + B[:-2, 1:-1, 1:-1])
            + 0.125 * (B[1:-1, 2:, 1:-1] - 2.0 * B[1:-1, 1:-1, 1:-1] + B[1:-1, :-2, 1:-1])
            + 0.125 * (B[1:-1, 1:-1, 2:] - 2.0 * B[1:-1, 1:-1, 1:-1] + B[1:-1, 1:-1, :-2])
        )
    return np.sum(A * A)


def fdtd_2d(steps, ex, ey, hz, source):
    for t in range(steps):
        ey[0, :] = source[t]
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])
    return np.sum(hz * hz)


def adi(steps, u):
    n = u.shape[0]
    v = np.zeros((n, n))
    p = np.zeros((n, n))
    q = np.zeros((n, n))
    dx = 1.0 / n
    dt = 1.0 / steps
    mul1 = 2.0 * dt / (dx * dx)
    mul2 = dt / (dx * dx)
    a = -0.5 * mul1
    b = 1.0 + mul1
    d = -0.5 * mul2
    e = 1.0 + mul2
    for _ in range(steps):
        # columns
        v[0, 1:-1] = 1.0
        p[1:-1, 0] = 0.0
        q[1:-1, 0] = v[0, 1:-1]
        for j in range(1, n - 1):
            p[1:-1, j] = -a / (a * p[1:-1, j - 1] + b)
            q[1:-1, j] = (
                -d * u[j, :-2] + (1.0 + 2.0 * d) * u[j, 1:-1] - d * u[j, 2:] - a * q[1:-1, j - 1]
            ) / (a * p[1:-1, j - 1] + b)
        v[-1, 1:-1] = 1.0
        for j in range(n - 2, 0, -1):
            v[j, 1:-1] = p[1:-1, j] * v[j + 1, 1:-1] + q[1:-1, j]
        # rows
        u[1:-1, 0] = 1.0
        p[1:-1, 0] = 0.0
        q[1:-1, 0] = u[1:-1, 0]
        for j in range(1, n - 1):
            p[1:-1, j] = -d / (d * p[1:-1, j - 1] + e)
            q[1:-1, j] = (
                -a * v[:-2, j] + (1.0 + 2.0 * a) * v[1:-1, j] - a * v[2:, j] - d * q[1:-1, j - 1]
            ) / (d * p[1:-1, j - 1] + e)
        u[1:-1, -1] = 1.0
        for j in range(n - 2, 0, -1):
            u[1:-1, j] = p[1:-1, j] * u[1:-1, j + 1] + q[1:-1, j]
    return np.sum(u * u)


def hdiff(field, coefficient):
    """Horizontal diffusion with limited fluxes, as weather models have it."""
    lap = 4.0 * field[1:-1, 1:-1, :] - (
        field[2:, 1:-1, :] + field[:-2, 1:-1, :] + field[1:-1, 2:, :] + field[1:-1, :-2, :]
    )
    flux = lap[1:, 1:-1, :] - lap[:-1, 1:-1, :]
    flux_x = np.where(flux * (field[2:-1, 2:-2, :] - field[1:-2, 2:-2, :]) > 0.0, 0.0, flux)
    flux = lap[1:-1, 1:, :] - lap[1:-1, :-1, :]
    flux_y = np.where(flux * (field[2:-2, 2:-1, :] - field[2:-2, 1:-2, :]) > 0.0, 0.0, flux)
    out = field[2:-2, 2:-2, :] - coefficient * (
        flux_x[1:, :, :] - flux_x[:-1, :, :] + flux_y[:, 1:, :] - flux_y[:, :-1, :]
    )
    return np.sum(out * out)


def vadv(u, wind, tendency, dt):
    """Implicit vertical advection: a tridiagonal system for each column of the atmosphere."""
    nx, ny, nz = u.shape
    c = np.zeros((nx, ny, nz))
    d = np.zeros((nx, ny, nz))
    rate = 1.0 / dt
    for k in range(nz):
        if k == 0:
            up = 0.25 * (wind[1:, :, 1] + wind[:-1, :, 1])
            c[:, :, 0] = up
            diagonal = rate - up
            explicit = -up * (u[:, :, 1] - u[:, :, 0])
            d[:, :, 0] = rate * u[:, :, 0] + tendency[:, :, 0] + explicit
        elif k < nz - 1:
            down = -0.25 * (wind[1:, :, k] + wind[:-1, :, k])
            up = 0.25 * (wind[1:, :, k + 1] + wind[:-1, :, k + 1])
            diagonal = rate - down - up - down * c[:, :, k - 1]
            explicit = -down * (u[:, :, k - 1] - u[:, :, k]) - up * (u[:, :, k + 1] - u[:, :, k])
            c[:, :, k] = up
            d[:, :, k] = rate * u[:, :, k] + tendency[:, :, k] + explicit - down * d[:, :, k - 1]
        else:
            down = -0.25 * (wind[1:, :, k] + wind[:-1, :, k])
            diagonal = rate - down - down * c[:, :, k - 1]
            explicit = -down * (u[:, :, k - 1] - u[:, :, k])
            d[:, :, k] = rate * u[:, :, k] + tendency[:, :, k] + explicit - down * d[:, :, k - 1]
        c[:, :, k] = c[:, :, k] / diagonal
        d[:, :, k] = d[:, :, k] / diagonal
    out = np.zeros((nx, ny, nz))
    data = d[:, :, nz - 1]
    out[:, :, nz - 1] = rate * (data - u[:, :, nz - 1])
    for k in range(nz - 2, -1, -1):
        data = d[:, :, k] - c[:, :, k] * data
        out[:, :, k] = rate * (data - u[:, :, k])
    return np.sum(out * out)


def burgers_1d(steps, u, viscosity):
    n = u.shape[0]
    dx = 2.0 / n
    dt = dx * dx
    for _ in range(steps):
        before = u.copy()
        u[1:-1] = (
            before[1:-1]
            - before[1:-1] * dt / dx * (before[1:-1] - before[:-2])
            + viscosity * dt / dx**2 * (before[2:] - 2.0 * before[1:-1] + before[:-2])
        )
        u[0] = u[-2]
        u[-1] = u[1]
    return np.sum(u * u) * dx


def deriche(alpha, image):
    """A recursive edge detector: first along the rows in both directions, then along the columns."""
    w, h = image.shape
    k = (1.0 - math.exp(-alpha)) ** 2 / (1.0 + 2.0 * alpha * math.exp(-alpha) - math.exp(2.0 * alpha))
    a1 = k
    a2 = k * math.exp(-alpha) * (alpha - 1.0)
    a3 = k * math.exp(-alpha) * (alpha + 1.0)
    a4 = -k * math.exp(-2.0 * alpha)
    b1 = 2.0 ** (-alpha)
    b2 = -math.exp(-2.0 * alpha)
    forth = np.empty((w, h))
    back = np.empty((w, h))
    for i in range(w):
        x1, y1, y2 = 0.0, 0.0, 0.0
        for j in range(h):
            forth[i, j] = a1 * image[i, j] + a2 * x1 + b1 * y1 + b2 * y2
            x1 = image[i, j]
            y2 = y1
            y1 = forth[i, j]
        x1, x2, y1, y2 = 0.0, 0.0, 0.0, 0.0
        for j in range(h - 1, -1, -1):
            back[i, j] = a3 * x1 + a4 * x2 + b1 * y1 + b2 * y2
            x2 = x1
            x1 = image[i, j]
            y2 = y1
            y1 = back[i, j]
    out = forth + back
    for j in range(h):
        x1, y1, y2 = 0.0, 0.0, 0.0
        for i in range(w):
            forth[i, j] = a1 * out[i, j] + a2 * x1 + b1 * y1 + b2 * y2
            x1 = out[i, j]
            y2 = y1
            y1 = forth[i, j]
        x1, x2, y1, y2 = 0.0, 0.0, 0.0, 0.0
        for i in range(w - 1, -1, -1):
            back[i, j] = a3 * x1 + a4 * x2 + b1 * y1 + b2 * y2
            x2 = x1
            x1 = out[i, j]
            y2 = y1
            y1 = back[i, j]
    edges = forth + back
    return np.sum(edges * edges)


def make_line(steps, n):
    rng = np.random.default_rng(42)
    return steps, rng.random(n), rng.random(n)


def make_plane(steps, n):
    rng = np.random.default_rng(42)
    return steps, rng.random((n, n)), rng.random((n, n))


def make_one_plane(steps, n):
    return make_plane(steps, n)[:2]


def make_cube(steps, n):
    rng = np.random.default_rng(42)
    return steps, rng.random((n, n, n)), rng.random((n, n, n))


def make_fdtd(steps, n):
    rng = np.random.default_rng(42)
    return steps, rng.random((n, n)), rng.random((n, n)), rng.random((n, n)), rng.random(steps)


def make_hdiff(n, levels):
    rng = np.random.default_rng(42)
    return rng.random((n + 4, n + 4, levels)), rng.random((n, n, levels))


def make_vadv(n, levels):
    rng = np.random.default_rng(42)
    return rng.random((n, n, levels)), rng.random((n + 1, n, levels)), rng.random((n, n, levels)), 0.15


def make_burgers(steps, n):
    x = np.linspace(0.0, 2.0 * np.pi, n)
    return steps, 2.0 + np.sin(x), 0.07


def make_deriche(n):
    return 0.25, np.random.default_rng(42).random((n, n + 3))


KERNELS = [
    Kernel(jacobi_1d, make_line, ((3, 9), (100, 400), (200, 4000)), (1, 2), STENCIL),
    Kernel(jacobi_2d, make_plane, ((3, 7), (20, 60), (50, 150)), (1, 2), STENCIL),
    Kernel(seidel_2d, make_one_plane, ((2, 6), (5, 40), (10, 120)), (1,), LOOP),
    Kernel(heat_3d, make_cube, ((2, 6), (10, 20), (20, 40)), (1, 2), STENCIL),
    Kernel(fdtd_2d, make_fdtd, ((3, 6), (20, 60), (50, 150)), (1, 2, 3, 4), STENCIL),
    Kernel(adi, make_one_plane, ((2, 6), (5, 50), (10, 150)), (1,), STENCIL),
    Kernel(hdiff, make_hdiff, ((4, 3), (32, 16), (64, 60)), (0, 1), STENCIL),
    Kernel(vadv, make_vadv, ((3, 5), (20, 30), (60, 60)), (0, 1, 2, 3), STENCIL),
    Kernel(burgers_1d, make_burgers, ((3, 11), (100, 400), (400, 2000)), (1, 2), STENCIL),
    Kernel(deriche, make_deriche, ((6,), (60,), (200,)), (0, 1), LOOP),
]
