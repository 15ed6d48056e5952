"""Simulations and measurements: particles, flows, detector images, positions on the globe."""

import numpy as np

from benchmarks.kernels import ARRAY, LOOP, STENCIL, Kernel


def nbody(steps, dt, mass, position, velocity):
    """Gravitating bodies by leapfrog, with all distances as matrices."""
    for _ in range(steps):
        x, y, z = position[:, 0:1], position[:, 1:2], position[:, 2:3]
        dx, dy, dz = x.T - x, y.T - y, z.T - z
        inverse = (dx**2 + dy**2 + dz**2 + 0.01) ** (-1.5)
        pull = np.hstack(((dx * inverse) @ mass, (dy * inverse) @ mass, (dz * inverse) @ mass))
        velocity += dt * pull
        position += dt * velocity
    kinetic = 0.5 * np.sum(mass * velocity**2)
    return kinetic + np.sum(position * position)


def nbody_pairs(steps, dt, mass, position, velocity):
    """The same, pair by pair."""
    n = position.shape[0]
    for _ in range(steps):
        for i in range(n):
            for j in range(i + 1, n):
                dx = position[j, 0] - position[i, 0]
                dy = position[j, 1] - position[i, 1]
                dz = position[j, 2] - position[i, 2]
                squared = dx * dx + dy * dy + dz * dz + 0.01
                pull = dt / (squared * np.sqrt(squared))
                velocity[i, 0] += pull * mass[j] * dx
                velocity[i, 1] += pull * mass[j] * dy
                velocity[i, 2] += pull * mass[j] * dz
                velocity[j, 0] -= pull * mass[i] * dx
                velocity[j, 1] -= pull * mass[i] * dy
                velocity[j, 2] -= pull * mass[i] * dz
        for i in range(n):
            for d in range(3):
                position[i, d] += dt * velocity[i, d]
    return np.sum(position * position) + np.sum(velocity * velocity)


def pressure_source(b, rho, dt, u, v, dx, dy):
    b[1:-1, 1:-1] = rho * (
        1.0 / dt * ((u[1:-1, 2:] - u[1:-1, :-2]) / (2.0 * dx) + (v[2:, 1:-1] - v[:-2, 1:-1]) / (2.0 * dy))
        - ((u[1:-1, 2:] - u[1:-1, :-2]) / (2.0 * dx)) ** 2
        - 2.0 * ((u[2:, 1:-1] - u[:-2, 1:-1]) / (2.0 * dy) * (v[1:-1, 2:] - v[1:-1, :-2]) / (2.0 * dx))
        - ((v[2:, 1:-1] - v[:-2, 1:-1]) / (2.0 * dy)) ** 2
    )


def momentum(u, v, before_u, before_v, p, rho, nu, dt, dx, dy):
    u[1:-1, 1:-1] = (
        before_u[1:-1, 1:-1]
        - before_u[1:-1, 1:-1] * dt / dx * (before_u[1:-1, 1:-1] - before_u[1:-1, :-2])
        - before_v[1:-1, 1:-1] * dt / dy * (before_u[1:-1, 1:-1] - before_u[:-2, 1:-1])
        - dt / (2.0 * rho * dx) * (p[1:-1, 2:] - p[1:-1, :-2])
        + nu
        * (
            dt / dx**2 * (before_u[1:-1, 2:] - 2.0 * before_u[1:-1, 1:-1] + before_u[1:-1, :-2])
            + dt / dy**2 * (before_u[2:, 1:-1] - 2.0 * before_u[1:-1, 1:-1] + before_u[:-2, 1:-1])
        )
    )
    v[1:-1, 1:-1] = (
        before_v[1:-1, 1:-1]
        - before_u[1:-1, 1:-1] * dt / dx * (before_v[1:-1, 1:-1] - before_v[1:-1, :-2])
        - before_v[1:-1, 1:-1] * dt / dy * (before_v[1:-1, 1:-1] - before_v[:-2, 1:-1])
        - dt / (2.0 * rho * dy) * (p[2:, 1:-1] - p[:-2, 1:-1])
        + nu
        * (
            dt / dx**2 * (before_v[1:-1, 2:] - 2.0 * before_v[1:-1, 1:-1] + before_v[1:-1, :-2])
            + dt / dy**2 * (before_v[2:, 1:-1] - 2.0 * before_v[1:-1, 1:-1] + before_v[:-2, 1:-1])
        )
    )


def cavity_flow(steps, sweeps, u, v, p, lid, rho, nu):
    """Incompressible flow in a box, driven by its moving lid."""
    ny, nx = p.shape
    dx, dy, dt = 2.0 / (nx - 1), 2.0 / (ny - 1), 0.001
    b = np.zeros((ny, nx))
    for _ in range(steps):
        before_u, before_v = u.copy(), v.copy()
        pressure_source(b, rho, dt, u, v, dx, dy)
        for _ in range(sweeps):
            last = p.copy()
            p[1:-1, 1:-1] = (
                (last[1:-1, 2:] + last[1:-1, :-2]) * dy**2 + (last[2:, 1:-1] + last[:-2, 1:-1]) * dx**2
            ) / (2.0 * (dx**2 + dy**2)) - dx**2 * dy**2 / (2.0 * (dx**2 + dy**2)) * b[1:-1, 1:-1]
            p[:, -1] = p[:, -2]
            p[0, :] = p[1, :]
            p[:, 0] = p[:, 1]
            p[-1, :] = 0.0
        momentum(u, v, before_u, before_v, p, rho, nu, dt, dx, dy)
        u[0, :] = 0.0
        u[:, 0] = 0.0
        u[:, -1] = 0.0
        u[-1, :] = lid
        v[0, :] = 0.0
        v[-1, :] = 0.0
        v[:, 0] = 0.0
        v[:, -1] = 0.0
    return np.sum(u * u) + np.sum(v * v) + 0.01 * np.sum(p * p)


def channel_flow(steps, sweeps, u, v, p, force, rho, nu):
    """The same between two walls, with ends that meet, written on columns one beyond each end."""
    ny, nx = p.shape
    dx, dy, dt = 2.0 / (nx - 1), 2.0 / (ny - 1), 0.001
    b = np.zeros((ny, nx))
    for _ in range(steps):
        before_u, before_v = u.copy(), v.copy()
        pressure_source(b, rho, dt, u, v, dx, dy)
        b[1:-1, 0] = b[1:-1, -2]
        b[1:-1, -1] = b[1:-1, 1]
        for _ in range(sweeps):
            last = p.copy()
            p[1:-1, 1:-1] = (
                (last[1:-1, 2:] + last[1:-1, :-2]) * dy**2 + (last[2:, 1:-1] + last[:-2, 1:-1]) * dx**2
            ) / (2.0 * (dx**2 + dy**2)) - dx**2 * dy**2 / (2.0 * (dx**2 + dy**2)) * b[1:-1, 1:-1]
            p[1:-1, 0] = p[1:-1, -2]
            p[1:-1, -1] = p[1:-1, 1]
            p[-1, :] = p[-2, :]
            p[0, :] = p[1, :]
        momentum(u, v, before_u, before_v, p, rho, nu, dt, dx, dy)
        u[1:-1, 1:-1] += dt * force
        u[:, 0] = u[:, -2]
        u[:, -1] = u[:, 1]
        v[:, 0] = v[:, -2]
        v[:, -1] = v[:, 1]
        u[0, :] = 0.0
        u[-1, :] = 0.0
        v[0, :] = 0.0
        v[-1, :] = 0.0
    return np.sum(u * u) + np.sum(v * v) + 0.01 * np.sum(p * p)


def azimuthal_integration(data, radius, bins):
    """The mean of the pixels of each ring, by masks."""
    rmax = np.max(radius)
    out = np.zeros(bins)
    for i in range(bins):
        inner = rmax * i / bins
        outer = rmax * (i + 1) / bins
        ring = np.logical_and(inner <= radius, radius < outer)
        out[i] = np.mean(data[ring])
    return np.sum(out * out)


def azimuthal_histogram(data, radius, bins):
    """The same, pixel by pixel."""
    rmax = np.max(radius)
    total = np.zeros(bins)
    count = np.zeros(bins)
    for i in range(data.shape[0]):
        ring = int(radius[i] / rmax * bins)
        if ring >= bins:
            ring = bins - 1
        total[ring] += data[i]
        count[ring] += 1.0
    mean = total / count
    return np.sum(mean * mean)


def arc_distance(theta_1, phi_1, theta_2, phi_2):
    temp = (
        np.sin((theta_2 - theta_1) / 2.0) ** 2
        + np.cos(theta_1) * np.cos(theta_2) * np.sin((phi_2 - phi_1) / 2.0) ** 2
    )
    distance = 2.0 * np.arctan2(np.sqrt(temp), np.sqrt(1.0 - temp))
    return np.sum(distance * distance)


def arm(angles, lengths, targets):
    """The squared distance of a planar arm's hand from each of its targets, joint by joint."""
    total = 0.0
    for i in range(targets.shape[0]):
        x, y, heading = 0.0, 0.0, 0.0
        for j in range(lengths.shape[0]):
            heading += angles[i, j]
            x += lengths[j] * np.cos(heading)
            y += lengths[j] * np.sin(heading)
        total += (x - targets[i, 0]) ** 2 + (y - targets[i, 1]) ** 2
    return total


def make_bodies(steps, n):
    rng = np.random.default_rng(42)
    mass = 20.0 * np.ones((n, 1)) / n
    return steps, 0.01, mass, rng.standard_normal((n, 3)), rng.standard_normal((n, 3))


def make_pairs(steps, n):
    steps, dt, mass, position, velocity = make_bodies(steps, n)
    return steps, dt, mass[:, 0].copy(), position, velocity


def make_flow(steps, sweeps, n):
    rng = np.random.default_rng(42)
    u, v, p = (0.1 * rng.standard_normal((n, n + 1)) for _ in range(3))
    return steps, sweeps, u, v, p, 1.0, 1.0, 0.1


def make_pixels(n, bins):
    rng = np.random.default_rng(42)
    return rng.random(n), rng.random(n), bins


def make_globe(n):
    rng = np.random.default_rng(42)
    return tuple(rng.random(n) for _ in range(4))


def make_arm(targets, joints):
    rng = np.random.default_rng(42)
    return rng.standard_normal((targets, joints)), rng.random(joints), rng.standard_normal((targets, 2))


FLOW = ((2, 3, 6), (5, 10, 31), (20, 20, 81))
KERNELS = [
    Kernel(nbody, make_bodies, ((2, 4), (10, 25), (20, 100)), (1, 2, 3, 4), ARRAY),
    Kernel(nbody_pairs, make_pairs, ((2, 4), (10, 10), (10, 50)), (1, 2, 3, 4), LOOP),
    Kernel(cavity_flow, make_flow, FLOW, (2, 3, 4, 5, 6, 7), STENCIL),
    Kernel(channel_flow, make_flow, FLOW, (2, 3, 4, 5, 6, 7), STENCIL),
    Kernel(azimuthal_integration, make_pixels, ((60, 4), (4000, 20), (100_000, 50)), (0,), LOOP),
    Kernel(azimuthal_histogram, make_pixels, ((60, 4), (4000, 20), (100_000, 50)), (0,), LOOP),
    Kernel(arc_distance, make_globe, ((5,), (1000,), (100_000,)), (0, 1, 2, 3), ARRAY),
    Kernel(arm, make_arm, ((3, 4), (50, 20), (1000, 20)), (0, 1, 2), LOOP),
]
