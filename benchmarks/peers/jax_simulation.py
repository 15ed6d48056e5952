"""Simulations and measurements for JAX."""

import jax
import jax.numpy as jnp
from jax import lax

jax.config.update("jax_enable_x64", True)


def nbody(steps, dt, mass, position, velocity):
    def step(_, state):
        position, velocity = state
        between = position[None, :, :] - position[:, None, :]
        inverse = (jnp.sum(between**2, axis=-1) + 0.01) ** (-1.5)
        pull = jnp.einsum("ijd,ij,j->id", between, inverse, mass[:, 0])
        velocity = velocity + dt * pull
        return position + dt * velocity, velocity

    position, velocity = lax.fori_loop(0, steps, step, (position, velocity))
    return 0.5 * jnp.sum(mass * velocity**2) + jnp.sum(position * position)


def nbody_pairs(steps, dt, mass, position, velocity):
    def step(_, state):
        position, velocity = state
        between = position[None, :, :] - position[:, None, :]
        inverse = (jnp.sum(between**2, axis=-1) + 0.01) ** (-1.5)
        velocity = velocity + dt * jnp.einsum("ijd,ij,j->id", between, inverse, mass)
        return position + dt * velocity, velocity

    position, velocity = lax.fori_loop(0, steps, step, (position, velocity))
    return jnp.sum(position * position) + jnp.sum(velocity * velocity)


def pressure_source(b, rho, dt, u, v, dx, dy):
    ux = (u[1:-1, 2:] - u[1:-1, :-2]) / (2.0 * dx)
    uy = (u[2:, 1:-1] - u[:-2, 1:-1]) / (2.0 * dy)
    vx = (v[1:-1, 2:] - v[1:-1, :-2]) / (2.0 * dx)
    vy = (v[2:, 1:-1] - v[:-2, 1:-1]) / (2.0 * dy)
    return b.at[1:-1, 1:-1].set(rho * ((ux + vy) / dt - ux**2 - 2.0 * uy * vx - vy**2))


def swept(p, b, dx, dy):
    new = ((p[1:-1, 2:] + p[1:-1, :-2]) * dy**2 + (p[2:, 1:-1] + p[:-2, 1:-1]) * dx**2) / (
        2.0 * (dx**2 + dy**2)
    ) - dx**2 * dy**2 / (2.0 * (dx**2 + dy**2)) * b[1:-1, 1:-1]
    return p.at[1:-1, 1:-1].set(new)


def transported(w, u, v, slope, nu, dt, dx, dy):
    c = w[1:-1, 1:-1]
    return w.at[1:-1, 1:-1].set(
        c
        - u[1:-1, 1:-1] * dt / dx * (c - w[1:-1, :-2])
        - v[1:-1, 1:-1] * dt / dy * (c - w[:-2, 1:-1])
        - slope
        + nu * dt / dx**2 * (w[1:-1, 2:] - 2.0 * c + w[1:-1, :-2])
        + nu * dt / dy**2 * (w[2:, 1:-1] - 2.0 * c + w[:-2, 1:-1])
    )


def moved(u, v, p, rho, nu, dt, dx, dy):
    slope_x = dt / (2.0 * rho * dx) * (p[1:-1, 2:] - p[1:-1, :-2])
    slope_y = dt / (2.0 * rho * dy) * (p[2:, 1:-1] - p[:-2, 1:-1])
    return (
        transported(u, u, v, slope_x, nu, dt, dx, dy),
        transported(v, u, v, slope_y, nu, dt, dx, dy),
    )


def cavity_flow(steps, sweeps, u, v, p, lid, rho, nu):
    ny, nx = p.shape
    dx, dy, dt = 2.0 / (nx - 1), 2.0 / (ny - 1), 0.001

    def step(_, state):
        u, v, p, b = state
        b = pressure_source(b, rho, dt, u, v, dx, dy)

        def sweep(_, p):
            p = swept(p, b, dx, dy)
            p = p.at[:, -1].set(p[:, -2])
            p = p.at[0, :].set(p[1, :])
            p = p.at[:, 0].set(p[:, 1])
            return p.at[-1, :].set(0.0)

        p = lax.fori_loop(0, sweeps, sweep, p)
        u, v = moved(u, v, p, rho, nu, dt, dx, dy)
        u = u.at[0, :].set(0.0).at[:, 0].set(0.0).at[:, -1].set(0.0).at[-1, :].set(lid)
        v = v.at[0, :].set(0.0).at[-1, :].set(0.0).at[:, 0].set(0.0).at[:, -1].set(0.0)
        return u, v, p, b

    u, v, p, _ = lax.fori_loop(0, steps, step, (u, v, p, jnp.zeros_like(p)))
    return jnp.sum(u * u) + jnp.sum(v * v) + 0.01 * jnp.sum(p * p)


def channel_flow(steps, sweeps, u, v, p, force, rho, nu):
    ny, nx = p.shape
    dx, dy, dt = 2.0 / (nx - 1), 2.0 / (ny - 1), 0.001

    def step(_, state):
        u, v, p, b = state
        b = pressure_source(b, rho, dt, u, v, dx, dy)
        b = b.at[1:-1, 0].set(b[1:-1, -2]).at[1:-1, -1].set(b[1:-1, 1])

        def sweep(_, p):
            p = swept(p, b, dx, dy)
            p = p.at[1:-1, 0].set(p[1:-1, -2])
            p = p.at[1:-1, -1].set(p[1:-1, 1])
            p = p.at[-1, :].set(p[-2, :])
            return p.at[0, :].set(p[1, :])

        p = lax.fori_loop(0, sweeps, sweep, p)
        u, v = moved(u, v, p, rho, nu, dt, dx, dy)
        u = u.at[1:-1, 1:-1].add(dt * force)
        u = u.at[:, 0].set(u[:, -2])
        u = u.at[:, -1].set(u[:, 1])
        v = v.at[:, 0].set(v[:, -2])
        v = v.at[:, -1].set(v[:, 1])
        u = u.at[0, :].set(0.0).at[-1, :].set(0.0)
        v = v.at[0, :].set(0.0).at[-1, :].set(0.0)
        return u, v, p, b

    u, v, p, _ = lax.fori_loop(0, steps, step, (u, v, p, jnp.zeros_like(p)))
    return jnp.sum(u * u) + jnp.sum(v * v) + 0.01 * jnp.sum(p * p)


def azimuthal_integration(data, radius, bins):
    rmax = jnp.max(radius)

    def ring(i):
        inside = jnp.logical_and(rmax * i / bins <= radius, radius < rmax * (i + 1) / bins)
        return jnp.mean(data, where=inside)

    out = lax.map(ring, jnp.arange(bins))
    return jnp.sum(out * out)


def azimuthal_histogram(data, radius, bins):
    ring = jnp.minimum((radius / jnp.max(radius) * bins).astype(int), bins - 1)
    mean = jnp.zeros(bins).at[ring].add(data) / jnp.zeros(bins).at[ring].add(1.0)
    return jnp.sum(mean * mean)


def arc_distance(theta_1, phi_1, theta_2, phi_2):
    temp = (
        jnp.sin((theta_2 - theta_1) / 2.0) ** 2
        + jnp.cos(theta_1) * jnp.cos(theta_2) * jnp.sin((phi_2 - phi_1) / 2.0) ** 2
    )
    distance = 2.0 * jnp.arctan2(jnp.sqrt(temp), jnp.sqrt(1.0 - temp))
    return jnp.sum(distance * distance)


def arm(angles, lengths, targets):
    heading = jnp.cumsum(angles, axis=1)
    x, y = jnp.cos(heading) @ lengths, jnp.sin(heading) @ lengths
    return jnp.sum((x - targets[:, 0]) ** 2 + (y - targets[:, 1]) ** 2)
