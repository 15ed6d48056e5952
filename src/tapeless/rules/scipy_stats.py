"""What distributions of `scipy.stats` compute in C++: the rest of them is Python, which is opened."""
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sc  # type: ignore[import-untyped]
import scipy.stats  # type: ignore[import-untyped]  # noqa: F401

from tapeless.rules.compat import find, find_all
from tapeless.rules.incomplete import betainc_by_parameters
from tapeless.rules.linalg import symmetric_part
from tapeless.rules.registry import elementwise, row, twin, unknown
from tapeless.rules.twins import exactly, plainly


def cores(name: str) -> Any:
    return find_all(f"scipy.special._ufuncs._{name}")


def density(a: Any, b: Any, x: Any) -> Any:
    """The density of the beta distribution."""
    return np.exp(sc.xlogy(a - 1, x) + sc.xlog1py(b - 1, -x) - sc.betaln(a, b))


elementwise(
    cores("beta_pdf"),
    partials=(
        lambda y, x, a, b: y * ((a - 1) / x - (b - 1) / (1 - x)),
        lambda y, x, a, b: y * (np.log(x) - sc.digamma(a) + sc.digamma(a + b)),
        lambda y, x, a, b: y * (np.log1p(-x) - sc.digamma(b) + sc.digamma(a + b)),
    ),
    rows=[(0.3, 2.0, 3.5)],
)
elementwise(
    cores("beta_ppf"),
    partials=(
        lambda y, p, a, b: 1 / density(a, b, y),
        lambda y, p, a, b: -betainc_by_parameters(a, b, y)[0] / density(a, b, y),
        lambda y, p, a, b: -betainc_by_parameters(a, b, y)[1] / density(a, b, y),
    ),
    rows=[(0.3, 2.0, 3.5)],
)


def counted(name: str, *slopes: Any) -> None:
    """A function of a count, which has no derivative by it."""
    elementwise(
        cores(name),
        partials=(lambda y, k, n, p: unknown(f"scipy.stats.{name}", "k"), *slopes),
        rows=[row(np.array(2), np.array(5), 0.3), row(np.array(0), np.array(5), 0.3)],
    )


def _size(y: Any, k: Any, n: Any, p: Any) -> Any:
    return unknown("the binomial distribution of scipy.stats", "n")


def _binomial(k: Any, n: Any, p: Any) -> Any:
    """The derivative of the distribution function by p."""
    k = np.floor(k)
    return -(n - k) * sc.binom(n, k) * p**k * (1 - p) ** (n - k - 1)


counted("binom_pmf", _size, lambda y, k, n, p: y * (k / p - (n - k) / (1 - p)))
counted("binom_cdf", _size, lambda y, k, n, p: _binomial(k, n, p))
counted("binom_sf", _size, lambda y, k, n, p: -_binomial(k, n, p))
# the number of failures before the n-th success
counted(
    "nbinom_pmf",
    lambda y, k, n, p: y * (sc.digamma(k + n) - sc.digamma(n) + np.log(p)),
    lambda y, k, n, p: y * (n / p - k / (1 - p)),
)
counted(
    "nbinom_cdf",
    lambda y, k, n, p: betainc_by_parameters(n, np.floor(k) + 1, p)[0],
    lambda y, k, n, p: density(n, np.floor(k) + 1, p),
)
counted(
    "nbinom_sf",
    lambda y, k, n, p: -betainc_by_parameters(n, np.floor(k) + 1, p)[0],
    lambda y, k, n, p: -density(n, np.floor(k) + 1, p),
)
elementwise(
    find_all("scipy.special.ndtri_exp"),
    partials=lambda x, y: np.exp(y + x * x / 2) * np.sqrt(2 * np.pi),
    rows=[-0.3, -2.5],
)

_KERNELS = find("scipy.stats._stats.gaussian_kernel_estimate")
_KERNEL = _KERNELS["double"] if hasattr(_KERNELS, "__getitem__") else None


@twin(_KERNEL)
def _gaussian_kernel_estimate(points, values, xi, cho_cov, dtype):
    """Sums of bells around points, whose covariance has the Cholesky factor `cho_cov`."""
    found = plainly(_KERNEL, points, values, xi, cho_cov, dtype)
    lower = np.tril(cho_cov)
    a, b = np.linalg.solve(lower, points.T), np.linalg.solve(lower, xi.T)
    far = np.sum((a[:, :, None] - b[:, None, :]) ** 2, axis=0)
    height = (2 * np.pi) ** (-len(a) / 2) / np.prod(np.diag(lower))
    return exactly(found, height * (np.exp(-far / 2).T @ values))


_COVARIANCE = find("scipy.stats._multivariate._PSD.__init__")


@twin(_COVARIANCE)
def _psd(self, M, cond=None, rcond=None, lower=True, check_finite=True, allow_singular=True):  # noqa: N803
    """A matrix that is used by `U U^T`, its inverse. SciPy makes `U` of eigenvectors, without derivatives
    where values are equal; any other factor that is the same there will do."""
    plainly(_COVARIANCE, self, M, cond, rcond, lower, check_finite, allow_singular)
    self._M = np.asarray(M)
    whole = symmetric_part(self._M, "L" if lower else "U")
    if self.rank == len(whole):  # U0 L^-T, where U0^T M U0 = L L^T
        factor = np.linalg.cholesky(self.U.T @ whole @ self.U)
        self.U = exactly(self.U, np.linalg.solve(factor, self.U.T).T)
        self.log_pdet = exactly(self.log_pdet, np.linalg.slogdet(whole)[1])
        return
    values, vectors = np.linalg.eigh(whole)
    used = plainly(np.greater, values, self.eps / 1e3)
    roots = np.where(used, 1 / np.sqrt(np.where(used, values, 1.0)), 0.0)
    self.U = exactly(self.U, vectors * roots)
    self.log_pdet = exactly(self.log_pdet, np.sum(np.log(values[used])))
