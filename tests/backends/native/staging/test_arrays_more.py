"""Functions of NumPy and SciPy as programs call them, staged from their source; and what entries assume."""

import numpy as np
import pytest
import scipy.linalg
from tests.backends.native.staging.staged import check, replaying, text

from tapeless.backends.native.kernel import Mismatch
from tapeless.backends.native.nest import Check, For, walk
from tapeless.backends.native.staging import stage

X = np.random.default_rng(1).standard_normal(6)
S = np.random.default_rng(2).standard_normal((5, 5)) + 5 * np.eye(5)


def convolutions(x):
    return (
        np.convolve(x, x[:3]),
        np.convolve(x[:2], x, "same"),
        np.correlate(x, x[:2]),
        np.correlate(x, x[:3], "full"),
    )


def quantiles(x):
    return np.percentile(x, 30), np.quantile(x, [0.1, 0.5]), np.median(x)


def covariances(x):
    return np.cov(x, x[::-1]), np.cov(x), np.corrcoef(x, x**2), np.average(x, weights=x**2, returned=True)


def along(x):
    return np.apply_along_axis(lambda r: r.sum() * r, 1, np.outer(x, x)), np.apply_along_axis(
        np.max, 0, np.outer(x, x)
    )


def vectorised(x):
    f = np.vectorize(lambda t, u: t**2 + u if t > 0 else -u)
    return f(x, 1.0), f(x[:, None], x[:3])


def pairs(x):
    return np.divmod(x, 0.3), np.modf(x), np.ediff1d(x), np.polyval([1.0, 2.0, 3.0], x), np.unwrap(3 * x)


def classes(x):
    eps = np.finfo(x.dtype).eps
    return np.float64(3.0) * x, np.int64(2) * x, x + eps, np.float32(x[0]), np.result_type(x, 1) == np.float64


def methods(x):
    return np.ndarray.sum(x), x.clip(min=0), x.tolist(), x.min(), np.isscalar(x[0]), np.iscomplexobj(x)


def triangular(s):
    low = np.tril(s)
    b = s[0]
    return (
        scipy.linalg.solve_triangular(low, b, lower=True),
        scipy.linalg.solve_triangular(s, s[:, :2]),
        scipy.linalg.solve_triangular(low, b, trans=1, lower=True),
        scipy.linalg.solve(s, b),
        scipy.linalg.cho_solve(scipy.linalg.cho_factor(s @ s.T), b),
        scipy.linalg.cholesky(s @ s.T, lower=True),
    )


@pytest.mark.parametrize(
    "f",
    [convolutions, quantiles, covariances, along, vectorised, pairs, classes, methods],
    ids=lambda f: f.__name__,
)
def test_functions(f):
    check(f, X)


def test_triangular_systems():
    check(triangular, S)


def smoothed(u, v):
    u[1:-1] = 0.5 * (v[:-2] + v[2:])
    return u[0] + (u * v).sum()


def test_what_fits_together_now_is_tested_once_at_the_start():
    staged = check(smoothed, np.arange(8.0), np.arange(8.0))
    inside = [s for loop in walk(staged.function.body) if isinstance(loop, For) for s in walk(loop.body)]
    assert not any(isinstance(s, Check) for s in inside)
    assert "max(" not in text(staged)
    call = replaying(smoothed, staged)
    call(np.arange(20.0), np.arange(20.0))
    for n, m in ((7, 8), (1, 1), (1, 8)):
        with pytest.raises(Mismatch):
            call(np.arange(float(n)), np.arange(float(m)))


def columns(p):
    x, y = p[:, 0:1], p[:, 1:2]
    return (x.T - x) * (y.T - y)


def test_slices_of_length_one_broadcast():
    check(columns, np.arange(10.0).reshape(5, 2))
    check(columns, np.arange(40.0).reshape(5, 8))


def chosen(x, n):
    return x[x > n] + x[x < n][:1]


def test_a_length_of_one_that_is_found_at_run_time():
    check(chosen, np.array([1.0, 5.0, 7.0, 9.0, 3.0, 8.0]), 2.0)


def masked(x, y, b):
    y[b] += 2.0 * x[b]
    return x[b].sum() + np.mean(np.exp(x)[b])


def test_elements_under_a_mask_are_not_brought_together():
    staged = check(masked, X, X + 1, X > 0)
    assert "empty" not in text(staged)


def column_to_row(c, i):
    c[i + 1 :, i] = c[0, i + 1 :]
    c[i, i + 1 :] = c[i + 1 :, i]
    return c


def test_stores_that_never_meet_need_no_temporary():
    def program(c):
        for i in range(1, c.shape[0] - 1):
            column_to_row(c, i)
        return c

    staged = check(program, np.arange(49.0).reshape(7, 7))
    assert "empty" not in text(staged)


def test_lengths_of_other_calls_are_staged_anew():
    staged = stage(smoothed, (np.arange(8.0), np.arange(8.0)))
    assert any(isinstance(s, Check) for s in staged.function.body)
