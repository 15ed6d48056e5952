"""The derivatives of the incomplete gamma and beta functions by their parameters, by Gauss quadrature.

Both are distribution functions, and the integrands are log-concave in the logarithm of the variable (in its
logit): one Gauss rule over the part that is not negligible has full accuracy. Small parameters are raised
first by the recurrences DLMF 8.8.5 and 8.17.20. All of it is ordinary NumPy, so it has derivatives itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special as sc  # type: ignore[import-untyped]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(120)
_SHARE, _WEIGHT = (_NODES + 1) / 2, _WEIGHTS / 2
_RAISED = 8


def _over(lo: Any, hi: Any) -> tuple[Any, Any]:
    """Nodes and weights from `lo` to `hi`, along a new last axis."""
    lo, width = np.asarray(lo)[..., None], np.asarray(hi - lo)[..., None]
    return lo + width * _SHARE, width * _WEIGHT


def gammainc_by_a(a: Any, x: Any) -> Any:
    """The derivative of the regularised lower incomplete gamma function by its parameter."""
    inside = np.greater(x, 0) & np.isfinite(x)
    x = np.where(inside, x, 1.0)
    slope = np.where(np.greater(x, np.maximum(a, 1.0)), -_upper(a, x), _lower(a, x))
    return np.where(inside, slope, 0.0)


def _slope(a: Any, lo: Any, hi: Any) -> Any:
    u, w = _over(lo, hi)
    a = np.asarray(a)[..., None]
    return np.sum(w * (u - sc.digamma(a)) * np.exp(a * u - np.exp(u) - sc.gammaln(a)), axis=-1)


def _upper(a: Any, x: Any) -> Any:
    x = np.maximum(x, np.maximum(a, 1.0))
    return _slope(a, np.log(x), np.log(x + 10 * np.sqrt(a) + 60))


def _lower(a: Any, x: Any) -> Any:
    x = np.minimum(x, np.maximum(a, 1.0))
    total: Any = 0.0
    for k in range(_RAISED):
        term = np.exp(sc.xlogy(a + k, x) - x - sc.gammaln(a + k + 1))
        total = total + term * (np.log(x) - sc.digamma(a + k + 1))
    a = a + _RAISED
    reach = np.minimum(9.5 / np.sqrt(a) + 45 / a, 45 / np.maximum(a - x, 1e-9))
    return total + _slope(a, np.log(x) - reach, np.log(x))


def betainc_by_parameters(a: Any, b: Any, x: Any) -> tuple[Any, Any]:
    """The derivatives of the regularised incomplete beta function by `a` and `b`."""
    inside = np.greater(x, 0) & np.less(x, 1)
    x = np.where(inside, x, 0.5)
    low = np.less_equal(x * (a + b), a)
    mode = a / (a + b)
    below = _beta_lower(a, b, np.minimum(x, mode))
    above = _beta_lower(b, a, np.minimum(1 - x, 1 - mode))
    by_a, by_b = np.where(low, below[0], -above[1]), np.where(low, below[1], -above[0])
    return np.where(inside, by_a, 0.0), np.where(inside, by_b, 0.0)


def _beta_lower(a: Any, b: Any, x: Any) -> tuple[Any, Any]:
    by_a: Any = 0.0
    by_b: Any = 0.0
    for k in range(_RAISED):
        n = a + k
        term = np.exp(sc.xlogy(n, x) + sc.xlog1py(b, -x) - sc.betaln(n, b)) / n
        by_a = by_a + term * (np.log(x) - 1 / n - sc.digamma(n) + sc.digamma(n + b))
        by_b = by_b + term * (np.log1p(-x) - sc.digamma(b) + sc.digamma(n + b))
    a = a + _RAISED
    left = sc.logit(x * np.exp(-1 - 45 / a))
    u, w = _over(np.maximum(left, sc.logit(x) - 13 / np.sqrt(a * b / (a + b))), sc.logit(x))
    a, b = np.asarray(a)[..., None], np.asarray(b)[..., None]
    t, rest = -np.log1p(np.exp(-u)), -np.log1p(np.exp(u))  # the logarithms of both shares
    w = w * np.exp(a * t + b * rest - sc.betaln(a, b))
    whole = sc.digamma(a + b)
    return (
        by_a + np.sum(w * (t - sc.digamma(a) + whole), axis=-1),
        by_b + np.sum(w * (rest - sc.digamma(b) + whole), axis=-1),
    )


def kv_by_order(v: Any, x: Any) -> Any:
    """The derivative of the modified Bessel function K by its order (DLMF 10.32.9), times e^x."""
    order = np.abs(v)
    t, w = _over(np.zeros(np.shape(order + x)), np.arcsinh((3 * order + 60) / x))
    v, x = np.asarray(v)[..., None], np.asarray(x)[..., None]
    return np.sum(w * t * np.sinh(v * t) * np.exp(-2 * x * np.sinh(t / 2) ** 2), axis=-1)
