"""Functions of SciPy as programs on NumPy's, where SciPy's own go through strides; staged like any other."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg  # type: ignore[import-untyped]


def toeplitz(c: Any, r: Any = None) -> Any:
    c = np.asarray(c).ravel()
    r = np.conjugate(c) if r is None else np.asarray(r).ravel()
    both = np.concatenate((c[::-1], r[1:]))
    return both[len(c) - 1 - np.arange(len(c))[:, None] + np.arange(len(r))]


def beside(factor: Any, a: Any, lower: Any) -> Any:
    """A triangular factor, and the other triangle of the matrix."""
    inside = np.tri(len(factor), dtype=bool)
    return np.where(inside if lower else inside.T, factor, np.asarray(a))


def circulant(c: Any) -> Any:
    c = np.asarray(c).ravel()
    n = len(c)
    return c[(np.arange(n)[:, None] - np.arange(n)) % n]


def expm_tangent(a: Any, da: Any) -> Any:
    """From exp [[a, e], [0, a]] = [[exp a, (exp a)' e], [0, exp a]], for all unit matrices e at once."""
    n = a.shape[-1]
    units = np.eye(n * n).reshape(n * n, n, n)
    whole = np.broadcast_to(a, (n * n, n, n))
    upper = np.concatenate((whole, units), axis=-1)
    blocks = np.concatenate((upper, np.concatenate((0.0 * whole, whole), axis=-1)), axis=-2)
    return np.tensordot(da.reshape(n * n), scipy.linalg.expm(blocks)[:, :n, n:], 1)


def expm_tangent_each(a: Any, da: Any) -> Any:
    n = a.shape[-1]
    flat, rates = a.reshape(-1, n, n), da.reshape(-1, n, n)
    return np.stack([expm_tangent(flat[k], rates[k]) for k in range(len(flat))]).reshape(a.shape)


def weighted_logsumexp(a: Any, axis: Any, b: Any, keepdims: Any) -> Any:
    b = np.asarray(b) * 1.0
    a = np.where(b == 0, -np.inf, np.asarray(a))
    top = np.max(a, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.sum(b * np.exp(a - top), axis=axis, keepdims=True)
    made = np.log(total) + top
    if keepdims:
        return made
    return np.squeeze(made, axis=axis)[()]


# ---- what SciPy's Python goes through


def unmasked(samples: Any) -> Any:
    """Arrays of `scipy.stats`, none of which is masked, and the sentinel, which there is none of."""
    return samples, None


def promoted(*args: Any, broadcast: Any = False, force_floating: Any = False, xp: Any) -> Any:
    """Arrays in their common dtype, and in their common shape; None stays."""
    if not args:
        return args
    given = [a for a in args if a is not None]
    dtype = np.result_type(*given)
    if force_floating and dtype.kind in "iub":
        dtype = np.dtype(np.float64)
    out = [a if a is None else np.asarray(a, dtype=dtype) for a in args]
    if broadcast:
        shape = np.broadcast_shapes(*[a.shape for a in out if a is not None])
        out = [a if a is None else np.broadcast_to(a, shape) for a in out]
    return out[0] if len(out) == 1 else tuple(out)


def apply_where(cond: Any, f1: Any, f2: Any, fill_value: Any, *args: Any, xp: Any) -> Any:
    chosen = np.atleast_1d(cond)
    flat = [np.atleast_1d(a) for a in args]
    first = f1(*[a[chosen] for a in flat])
    if f2 is None:
        out = np.full(chosen.shape, fill_value, np.result_type(first, fill_value))
    else:
        other = ~chosen
        second = f2(*[a[other] for a in flat])
        out = np.empty(chosen.shape, np.result_type(first, second))
        out[other] = second
    out[chosen] = first
    return out.reshape(cond.shape)


def hankel(c: Any, r: Any = None) -> Any:
    c = np.asarray(c).ravel()
    r = np.zeros_like(c) if r is None else np.asarray(r).ravel()
    both = np.concatenate((c, r[1:]))
    return both[np.arange(len(c))[:, None] + np.arange(len(r))]


# ---- frozen distributions


class Frozen:
    """A distribution with its parameters, of which SciPy's would make a distribution of its own."""

    def __init__(self, dist: Any, args: Any, kwds: Any) -> None:
        self.dist, self.args, self.kwds = dist, args, kwds

    def pdf(self, x: Any) -> Any:
        return self.dist.pdf(x, *self.args, **self.kwds)

    def logpdf(self, x: Any) -> Any:
        return self.dist.logpdf(x, *self.args, **self.kwds)

    def pmf(self, k: Any) -> Any:
        return self.dist.pmf(k, *self.args, **self.kwds)

    def logpmf(self, k: Any) -> Any:
        return self.dist.logpmf(k, *self.args, **self.kwds)

    def cdf(self, x: Any) -> Any:
        return self.dist.cdf(x, *self.args, **self.kwds)

    def logcdf(self, x: Any) -> Any:
        return self.dist.logcdf(x, *self.args, **self.kwds)

    def sf(self, x: Any) -> Any:
        return self.dist.sf(x, *self.args, **self.kwds)

    def logsf(self, x: Any) -> Any:
        return self.dist.logsf(x, *self.args, **self.kwds)

    def ppf(self, q: Any) -> Any:
        return self.dist.ppf(q, *self.args, **self.kwds)

    def isf(self, q: Any) -> Any:
        return self.dist.isf(q, *self.args, **self.kwds)

    def mean(self) -> Any:
        return self.dist.mean(*self.args, **self.kwds)

    def var(self) -> Any:
        return self.dist.var(*self.args, **self.kwds)

    def std(self) -> Any:
        return self.dist.std(*self.args, **self.kwds)

    def median(self) -> Any:
        return self.dist.median(*self.args, **self.kwds)

    def entropy(self) -> Any:
        return self.dist.entropy(*self.args, **self.kwds)

    def stats(self, moments: Any = "mv") -> Any:
        return self.dist.stats(*self.args, **{**self.kwds, "moments": moments})


def freeze(self: Any, *args: Any, **kwds: Any) -> Any:
    return Frozen(self, args, kwds)
