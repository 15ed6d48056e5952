"""The problems as JAX's documentation advises to write them: `scan`, `while_loop`, `vmap`, `.at[]`."""

import math

import jax
import jax.numpy as jnp

from benchmarks.gradbench import ba, gmm, ht
from benchmarks.harness import rebound


def misfit(x, n):
    t = -1.0 + 2.0 * jnp.arange(n) / (n - 1)
    return 0.5 * jnp.sum((jnp.sign(t) - jnp.vander(t, len(x), increasing=True) @ x) ** 2)


def chain(x, y):
    return jnp.concatenate([x[:1], x[1:] * y[:-1]])


def last(x, steps):
    h = 2.0 / steps

    def step(y, _):
        k1 = chain(x, y)
        k2 = chain(x, y + h * k1 / 2)
        k3 = chain(x, y + h * k2 / 2)
        k4 = chain(x, y + h * k3)
        return y + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6, None

    y, _ = jax.lax.scan(step, jnp.zeros_like(x), None, length=steps)
    return y[-1]


def cost(centroids, points):
    difference = points[:, None, :] - centroids[None, :, :]
    return jnp.sum(jnp.min(jnp.sum(difference**2, axis=2), axis=1))


def direction(centroids, points):
    gradient, diagonal = jax.jvp(
        jax.grad(lambda c: cost(c, points)), (centroids,), (jnp.ones_like(centroids),)
    )
    return gradient / diagonal


def log_posterior(alpha, mu, q, below, x, m, gamma):
    n, d = x.shape
    k = len(alpha)
    columns, rows = jnp.triu_indices(d, 1)
    factors = jax.vmap(jnp.diag)(jnp.exp(q)).at[:, rows, columns].set(below)
    z = jnp.einsum("kij,nkj->nki", factors, x[:, None, :] - mu)
    beta = alpha + jnp.sum(q, axis=1) - 0.5 * jnp.sum(z**2, axis=2)
    freedom = d + m + 1
    prior = m * jnp.sum(q) - 0.5 * gamma**2 * jnp.sum(factors**2)
    prior += k * (freedom * d * math.log(gamma / math.sqrt(2)) - gmm.log_gamma(0.5 * freedom, d))
    lse = jax.scipy.special.logsumexp
    return jnp.sum(lse(beta, axis=1)) - n * (0.5 * d * math.log(2 * math.pi) + lse(alpha)) + prior


def loss(main, extra, state, sequence):
    size = sequence.shape[1]
    parts = main.reshape(-1, 2, 4, size)

    def step(state, symbols):
        now, following = symbols
        x, states = now * extra[0], []
        for (weight, bias), hidden, cell in zip(parts, state[::2], state[1::2], strict=True):
            forget = jax.nn.sigmoid(x * weight[0] + bias[0])
            ingate = jax.nn.sigmoid(hidden * weight[1] + bias[1])
            outgate = jax.nn.sigmoid(x * weight[2] + bias[2])
            cell = cell * forget + ingate * jnp.tanh(hidden * weight[3] + bias[3])
            x = outgate * jnp.tanh(cell)
            states += [x, cell]
        y = x * extra[1] + extra[2]
        return jnp.stack(states), jnp.sum(following * (y - jnp.log(jnp.sum(jnp.exp(y)) + 2.0)))

    _, gains = jax.lax.scan(step, state, (sequence[:-1], sequence[1:]))
    return -jnp.sum(gains) / ((len(sequence) - 1) * size)


errors = rebound(ba.errors, {"np": jnp})


def ba_blocks(cameras, points, weights, observations, features):
    """The nonzero blocks of the Jacobian: one dense Jacobian an observation."""

    def one(camera, point, weight, feature):
        here = jnp.zeros((1, 2), int)
        error, weight_error = errors(camera[None], point[None], weight[None], here, feature[None])
        return error[0], weight_error[0]

    jacobian = jax.vmap(jax.jacfwd(one, argnums=(0, 1, 2)))
    blocks, last_row = jacobian(cameras[observations[:, 0]], points[observations[:, 1]], weights, features)
    whole = jnp.concatenate([blocks[0], blocks[1], blocks[2][..., None]], axis=-1)
    return whole[:, [[0], [1]], ba.MOVED_BY], last_row[2]


euler_rotation, axis_entries = rebound(ht.euler_rotation, {"np": jnp}), rebound(ht.axis_entries, {"np": jnp})


def ht_vertices(theta, hand):
    fingers = theta[6:].reshape(ht.FINGERS, 4)
    bones = jnp.zeros((ht.FINGERS, 4, 3)).at[:, 1:, 0].set(fingers[:, jnp.array([0, 2, 3])])
    bones = bones.at[:, 1, 1].set(fingers[:, 1]).reshape(-1, 3)
    still = jnp.zeros((1, 3))
    angles = jnp.roll(jnp.concatenate([bones, still, still]), 1, axis=0)
    turns = jnp.tile(jnp.eye(4), (len(hand.parents), 1, 1))
    turns = turns.at[:, :3, :3].set(jax.vmap(euler_rotation)(angles))
    relatives = hand.base_relatives @ turns
    absolutes = []
    for bone, parent in enumerate(hand.parents):
        absolutes.append(relatives[bone] if parent == -1 else absolutes[parent] @ relatives[bone])
    transforms = jnp.stack(absolutes) @ hand.inverse_base_absolutes
    moved = jnp.einsum("vj,bij->vbi", hand.base_positions, transforms[:, :3])
    positions = jnp.einsum("vb,vbi->vi", hand.weights, moved)
    angle = jnp.sqrt(jnp.sum(theta[0:3] ** 2))
    x, y, z = theta[0:3] / angle
    return positions @ axis_entries(x, y, z, jnp.sin(angle), jnp.cos(angle)).T + theta[3:6]


def ht_errors(theta, hand, correspondences, points):
    return points - ht_vertices(theta, hand)[correspondences]


def ht_errors_on_triangles(theta, us, hand, correspondences, points):
    corners = ht_vertices(theta, hand)[jnp.asarray(hand.triangles)[correspondences]]
    u, v = us[:, :1], us[:, 1:]
    return points - (u * corners[:, 0] + v * corners[:, 1] + (1.0 - u - v) * corners[:, 2])


def ht_jacobian_on_triangles(theta, us, hand, correspondences, points):
    def f(theta, us):
        return ht_errors_on_triangles(theta, us, hand, correspondences, points)

    _, push = jax.linearize(f, theta, us)
    own = [push(jnp.zeros_like(theta), jnp.tile(unit, (len(us), 1))) for unit in jnp.eye(2)]
    pose = jax.vmap(lambda unit: push(unit, jnp.zeros_like(us)))(jnp.eye(len(theta)))
    return jnp.concatenate([jnp.stack(own), pose]).transpose(1, 2, 0).reshape(-1, len(theta) + 2)


def argmin(f, gradient, x):
    """The descent as a `while_loop`: forward mode goes through it, reverse mode does not."""

    def improve(carry):
        x, value, slope, rate, improved, _ = carry
        trial = x - rate * slope
        trial_value = f(trial)
        near = jnp.linalg.norm(x - trial) <= 1e-5
        better = (trial_value < value) & ~near
        x, value = jnp.where(better, trial, x), jnp.where(better, trial_value, value)
        rate = jnp.where(better | near, rate, rate / 2)
        return x, value, gradient(f)(x), rate, jnp.where(better, improved + 1, 0), near

    def double(carry):
        x, value, slope, rate, _, near = carry
        return x, value, slope, rate * 2, 0, near

    def step(carry):
        return jax.lax.cond(carry[4] == 10, double, improve, carry)

    def going(carry):
        return (jnp.linalg.norm(carry[2]) > 1e-5) & ~carry[5]

    start = x, f(x), gradient(f)(x), 1e-5, 0, False
    return jax.lax.while_loop(going, step, start)[0]


MODES = {"f": jax.jacfwd, "r": jax.grad}


def potential(x, charges):
    return jnp.sum(1.0 / jnp.sqrt(jnp.sum((x - charges) ** 2, axis=1)))


def miss(w, gradient):
    charges = jnp.array([[10.0, 10.0], [10.0, 0.0]]).at[0, 1].add(-w[0])
    dt = 0.1

    def step(carry):
        x, velocity = carry
        force = -gradient(potential)(x, charges)
        return x + dt * velocity, velocity + dt * force

    def above(carry):
        x, velocity = carry
        return x[1] + dt * velocity[1] > 0

    x, velocity = jax.lax.while_loop(above, step, (jnp.array([0.0, 8.0]), jnp.array([0.75, 0.0])))
    return (x - x[1] / velocity[1] * velocity)[0] ** 2


def worst(x, start, gradient):
    def loss(y):
        return -(jnp.sum(x**2) - jnp.sum(y**2))

    return -loss(argmin(loss, gradient, start))
