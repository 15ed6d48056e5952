"""gmm: the log posterior of a mixture of Gaussians with a Wishart prior on the precision matrices."""

import math

import numpy as np

from benchmarks.gradbench.data import adbench


def log_sum_exp(values):
    top = np.max(values, axis=-1)
    return top + np.log(np.sum(np.exp(values - top[..., None]), axis=-1))


def log_gamma(a, d):
    """The logarithm of the multivariate gamma function."""
    total = 0.25 * d * (d - 1) * math.log(math.pi)
    for j in range(d):
        total += math.lgamma(a - 0.5 * j)
    return total


def log_posterior(alpha, mu, q, below, x, m, gamma):
    """`alpha`: weights; `mu`: means; `x`: points.

    `q` and `below`: the triangular factors of the precisions, the logarithms of their diagonals and the rest.
    """
    n, d = x.shape
    k = len(alpha)
    places = np.triu_indices(d, 1)[::-1]  # below the diagonal, column by column
    beta = np.empty((n, k))
    prior = 0.0
    for j in range(k):
        factor = np.diag(np.exp(q[j]))
        factor[places] = below[j]
        z = (x - mu[j]) @ factor.T
        beta[:, j] = alpha[j] + np.sum(q[j]) - 0.5 * np.sum(z**2, axis=1)
        prior += m * np.sum(q[j]) - 0.5 * gamma**2 * np.sum(factor**2)
    freedom = d + m + 1
    prior += k * (freedom * d * math.log(gamma / math.sqrt(2)) - log_gamma(0.5 * freedom, d))
    likelihood = np.sum(log_sum_exp(beta)) - n * (0.5 * d * math.log(2 * math.pi) + log_sum_exp(alpha))
    return likelihood + prior


def data(d=10, k=25, n=1000):
    read = adbench(f"gmm/1k/gmm_d{d}_K{k}.txt") if n == 1000 else None
    if read is not None:
        return _read(read)
    rng = np.random.default_rng(31337)
    x = rng.normal(size=(n, d))
    alpha, mu = rng.normal(size=k), rng.uniform(size=(k, d))
    q, below = rng.normal(size=(k, d)), rng.normal(size=(k, d * (d - 1) // 2))
    return alpha, mu, q, below, x, 0, 1.0


def _read(path):
    numbers = iter(path.read_text(encoding="ascii").split())
    d, k, n = (int(next(numbers)) for _ in range(3))

    def table(rows, columns):
        return np.array([[float(next(numbers)) for _ in range(columns)] for _ in range(rows)])

    alpha, mu, icf = table(1, k)[0], table(k, d), table(k, d + d * (d - 1) // 2)
    x = table(n, d)
    gamma, m = float(next(numbers)), int(next(numbers))
    return alpha, mu, icf[:, :d].copy(), icf[:, d:].copy(), x, m, gamma
