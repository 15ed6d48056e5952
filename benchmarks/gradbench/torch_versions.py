"""The problems in PyTorch, vectorised as its users write them."""

import math

import torch

from benchmarks.gradbench import ba, gmm
from benchmarks.harness import rebound


def misfit(x, n):
    t = -1.0 + 2.0 * torch.arange(n, dtype=x.dtype) / (n - 1)
    return 0.5 * torch.sum((torch.sign(t) - torch.linalg.vander(t, N=len(x)) @ x) ** 2)


def log_sum_exp(x):
    top = torch.max(x)
    return top + torch.log(torch.sum(torch.exp(x - top)))


def chain(x, y):
    return torch.cat([x[:1], x[1:] * y[:-1]])


def last(x, steps):
    h = 2.0 / steps
    y = torch.zeros_like(x)
    for _ in range(steps):
        k1 = chain(x, y)
        k2 = chain(x, y + h * k1 / 2)
        k3 = chain(x, y + h * k2 / 2)
        k4 = chain(x, y + h * k3)
        y = y + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6
    return y[-1]


def cost(centroids, points):
    difference = points[:, None, :] - centroids[None, :, :]
    return torch.sum(torch.amin(torch.sum(difference**2, dim=2), dim=1))


def direction(centroids, points):
    gradient, diagonal = torch.func.jvp(
        torch.func.grad(lambda c: cost(c, points)), (centroids,), (torch.ones_like(centroids),)
    )
    return gradient / diagonal


def log_posterior(alpha, mu, q, below, x, m, gamma):
    n, d = x.shape
    k = len(alpha)
    columns, rows = torch.triu_indices(d, d, 1)
    factors = torch.diag_embed(torch.exp(q))
    factors[:, rows, columns] = below
    z = torch.einsum("kij,nkj->nki", factors, x[:, None, :] - mu)
    beta = alpha + torch.sum(q, dim=1) - 0.5 * torch.sum(z**2, dim=2)
    freedom = d + m + 1
    prior = m * torch.sum(q) - 0.5 * gamma**2 * torch.sum(factors**2)
    prior = prior + k * (freedom * d * math.log(gamma / math.sqrt(2)) - gmm.log_gamma(0.5 * freedom, d))
    likelihood = torch.sum(torch.logsumexp(beta, dim=1))
    return likelihood - n * (0.5 * d * math.log(2 * math.pi) + torch.logsumexp(alpha, dim=0)) + prior


def loss(main, extra, state, sequence):
    size = sequence.shape[1]
    parts = main.reshape(-1, 2, 4, size)
    states = list(state)
    total = 0.0
    for t in range(len(sequence) - 1):
        x = sequence[t] * extra[0]
        for layer, (weight, bias) in enumerate(parts):
            hidden, cell = states[2 * layer], states[2 * layer + 1]
            forget = torch.sigmoid(x * weight[0] + bias[0])
            ingate = torch.sigmoid(hidden * weight[1] + bias[1])
            outgate = torch.sigmoid(x * weight[2] + bias[2])
            cell = cell * forget + ingate * torch.tanh(hidden * weight[3] + bias[3])
            x = outgate * torch.tanh(cell)
            states[2 * layer], states[2 * layer + 1] = x, cell
        y = x * extra[1] + extra[2]
        total = total + torch.sum(sequence[t + 1] * (y - torch.log(torch.sum(torch.exp(y)) + 2.0)))
    return -total / ((len(sequence) - 1) * size)


class _Names:
    """The few NumPy functions that `ba` calls, by PyTorch."""

    sqrt, where, cos, sin, cross = torch.sqrt, torch.where, torch.cos, torch.sin, torch.linalg.cross

    @staticmethod
    def sum(x, axis, keepdims):
        return torch.sum(x, dim=axis, keepdim=keepdims)


errors = rebound(ba.errors, {"np": _Names})


def ba_blocks(cameras, points, weights, observations, features):
    """The nonzero blocks of the Jacobian: one dense Jacobian an observation."""
    here = torch.zeros((1, 2), dtype=torch.int64)

    def one(camera, point, weight, feature):
        error, weight_error = errors(camera[None], point[None], weight[None], here, feature[None])
        return error[0], weight_error[0]

    jacobian = torch.func.vmap(torch.func.jacfwd(one, argnums=(0, 1, 2)))
    blocks, last_row = jacobian(cameras[observations[:, 0]], points[observations[:, 1]], weights, features)
    whole = torch.cat([blocks[0], blocks[1], blocks[2][..., None]], dim=-1)
    return whole[:, [[0], [1]], ba.MOVED_BY], last_row[2]
