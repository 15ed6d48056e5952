"""Functions of NumPy with options that were refused, compiled: values, both modes, second derivatives."""

import numpy as np
import pytest
from tests.checking import check

import tapeless as tl
from tapeless.errors import MissingRuleError, NotCompilable

A = np.array([0.3, 0.5, 2.0, -1.2])
M = np.array([[2.0, 1.0, 0.3], [0.5, 3.0, 0.2], [0.1, 0.4, 1.5]])
CUTS = np.array([1, 3])
WEIGHTS = np.array([1.0, 2.0, 3.0, 4.0])


def parts(x):
    first, second, third = np.split(x, CUTS)
    left, right = np.split(np.outer(x, x), [CUTS[0] + 1], axis=1)
    joined = np.empty(8)
    same = np.concatenate((x, np.sin(x)), out=joined)
    same[1] = x[0] ** 3
    rows = np.empty((4, 2))
    np.stack((x, x * x), axis=1, out=rows)
    wide = np.stack((x, x), dtype=np.float64)
    area = np.trapezoid(np.outer(x, x) * rows[:, 1], x=np.cumsum(x * x), axis=0)
    return [first.sum(), second * x[3], third, left.sum(), right[0], joined, rows, wide, area]


def running(x):
    rows = np.outer(x, np.cos(x))
    most = np.fmax.accumulate(np.array([np.nan, 1.0, np.nan, 2.0]) * x)
    less = np.subtract.accumulate(rows, axis=1) + np.subtract.accumulate(rows, axis=0)
    return np.nan_to_num(most), np.logaddexp.accumulate(x), less, np.hypot.accumulate(x * x)


def quantiles(x):
    rows = np.outer(x, x)
    one = np.quantile(x, 0.3, weights=WEIGHTS, method="inverted_cdf")
    several = np.percentile(rows, [30, 70], axis=1, weights=WEIGHTS, method="inverted_cdf", keepdims=True)
    return one * x, several


def complex_parts(x):
    z = np.zeros(4, dtype=complex)
    z.real = x
    z.imag[1:] = x[1:] * 2
    z.imag *= x
    z.real += 1.0
    pairs = (z * z).view(float)
    pairs[1] = x[0] * 7.0
    w = (pairs * 2.0).view(complex)
    w[0] = 1.0 + 4.0j
    r = np.corrcoef(M * x[0] + 1j * M.T)
    return w.real, w.imag, pairs, r.real, r.imag, np.imag(x[0]), z.view()


def matrices(m):
    inverse = np.linalg.pinv(m + m.T, hermitian=True) + np.linalg.pinv(m, hermitian=True)
    q, r = np.linalg.qr(m[:2], mode="complete")
    return inverse, q, r, np.require(m.T, requirements=["C", "W"]), np.require(m, np.float64, "F") * 2.0


@pytest.mark.parametrize("program", [parts, running, quantiles, complex_parts, matrices])
def test_calls(program):
    check(program, M if program is matrices else A, native=True)


def test_complex_functions_by_their_rules():
    special = pytest.importorskip("scipy.special")
    check(lambda x: np.real(special.erf(x + 0.5j) * special.wofz(x + 0.2j)), A)

    def f(x):
        return np.sum(special.loggamma(x + 0.5j).real)

    np.testing.assert_allclose(tl.jit(tl.grad(f))(A), tl.grad(f)(A), rtol=1e-12)
    with pytest.raises(MissingRuleError, match="psi"):
        tl.jit(tl.hessian(f))(A)


@pytest.mark.parametrize("axis", [0, 1])
def test_parts_that_differ(axis):
    x = np.array([[2.0, 1.0, 2.0], [1.0, 2.0, 1.0], [2.0, 1.0, 2.0], [1.0, 3.0, 1.0]])

    def f(x):
        return np.unique(x, axis=axis, return_index=True, return_inverse=True, return_counts=True)

    for got, wanted in zip(tl.jit(f)(x), f(x), strict=True):
        np.testing.assert_array_equal(got, wanted, strict=True)
    slope = tl.jit(tl.grad(lambda x: np.sum(np.unique(x, axis=axis) ** 2)))(x)
    firsts = np.zeros(x.shape, dtype=bool)
    np.moveaxis(firsts, axis, 0)[f(x)[1]] = True
    np.testing.assert_array_equal(slope, np.where(firsts, 2 * x, 0.0))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.concatenate((x, x), out=np.empty(7)),
        lambda x: (x[:3] * 2).view(complex),
        lambda x: np.quantile(x, 0.3, weights=WEIGHTS),
        lambda x: np.quantile(x, 0.3, weights=-WEIGHTS, method="inverted_cdf"),
    ],
)
def test_exceptions(f):
    with pytest.raises(ValueError) as wanted:  # noqa: PT011
        f(A)
    with pytest.raises(ValueError) as got:  # noqa: PT011
        tl.jit(f)(A)
    assert str(got.value) == str(wanted.value)


def test_what_has_no_form():
    with pytest.raises(NotCompilable, match="seen as one of int64"):
        tl.jit(lambda x: x.view(np.int64))(A)
    with pytest.raises(MissingRuleError, match="linalg.qr"):  # as in Python
        tl.jit(tl.grad(lambda m: np.sum(np.linalg.qr(m[:, :2], mode="complete")[0] ** 3)))(M)
