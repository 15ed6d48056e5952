"""Functions of NumPy that compile as programs on simpler ones: values, types, derivatives, exceptions."""

import numpy as np
import pytest

import tapeless as tl

A = np.array([0.3, 0.5, 2.0, -1.2])
B = np.array([1.0, 2.0, 0.5, 3.0])
S = np.array([0.1, 0.4, 1.0, 1.3])
M = np.array([[2.0, 1.0, 0.3], [0.5, 3.0, 0.2], [0.1, 0.4, 1.5]])
T = np.arange(24.0).reshape(2, 3, 4) + 1.0
NAN = np.array([1.0, np.nan, 3.0, 0.5])
I = np.array([3, 1, 2, 1])  # noqa: E741


def replaced(function):
    def call(a, *rest):
        a = a * 1.0
        function(a, *rest)
        return a

    return call


CALLS = {
    "insert": lambda x: np.insert(x, 1, 5.0 * x[0]),
    "insert several": lambda x: np.insert(x, [1, -1, 1], x[:3]),
    "insert at the end": lambda x: np.insert(x, -4, x[1:]),
    "insert rows": lambda x: np.insert(M * x[0], 1, x[:3], axis=1),
    "insert columns": lambda x: np.insert(M * x[0], [0, 2], x[:2, None], axis=0),
    "delete": lambda x: np.delete(x, -2) ** 2,
    "delete several": lambda x: np.delete(x, [0, 2]) ** 2,
    "delete a column": lambda x: np.delete(M * x[0], 1, axis=1),
    "delete a slice": lambda x: np.delete(x, slice(0, 3, 2)) ** 2,
    "delete a mask": lambda x: np.delete(x, np.array([True, False, False, True])) ** 2,
    "diff prepend": lambda x: np.diff(x, prepend=0.0) ** 2,
    "diff append": lambda x: np.diff(x, append=x[:2], n=2) ** 2,
    "diff rows": lambda x: np.diff(M * x[0], axis=0, prepend=1.0) ** 2,
    "diff of no ends": lambda x: np.diff(x, prepend=np._NoValue, append=np._NoValue) ** 2,
    "ediff1d": lambda x: np.ediff1d(x, to_end=x[0], to_begin=B) ** 2,
    "gradient on places": lambda x: np.gradient(x, S),
    "gradient of second order": lambda x: np.gradient(x**2, x[0], edge_order=2),
    "gradient on places of second order": lambda x: np.gradient(np.outer(x, B) * x, B, axis=1, edge_order=2),
    "linspace": lambda x: np.linspace(x, B, 4, endpoint=False),
    "linspace along": lambda x: np.linspace(x[0], x * B, 3, axis=-1),
    "putmask": lambda x: replaced(np.putmask)(x, x > 0, B * x[0]),
    "place": lambda x: replaced(np.place)(np.outer(x, B), np.outer(x, B) > 1, x[:3]),
    "copyto": lambda x: replaced(np.copyto)(B, x * 2.0),
    "nanstd": lambda x: np.nanstd(NAN * x),
    "modf": lambda x: np.modf(x - 0.5)[0] + np.modf(-2.0 * x)[1],
    "modf of a number": lambda x: np.modf(x[2])[0] * 3.0,
    "take clipped": lambda x: np.take(x, [3, 9, -7], mode="clip") ** 2,
    "take around": lambda x: np.take(M * x[0], [3, -4], axis=1, mode="wrap"),
    "nanpercentile": lambda x: np.nanpercentile(NAN * x[0], [10.0, 60.0]),
    "nanquantile": lambda x: np.nanquantile(np.outer(x, NAN), 0.3, axis=1),
    "quantile of a method": lambda x: np.quantile(x, [0.3, 0.9], method="hazen"),
    "lower quantile": lambda x: np.quantile(M * x[0], 0.3, axis=0, method="lower"),
    "percentile keepdims": lambda x: np.percentile(M * x[0], 30.0, axis=1, keepdims=True),
    "quantile of NaN": lambda x: np.quantile(NAN * x[0], 0.3),
    "unique of NaN": lambda x: np.unique(np.array([1.0, np.nan, 2.0, np.nan]) * x[0]),
    "polyval": lambda x: np.polyval(x, x[0]) + np.polyval(x, B),
    "polyint": lambda x: np.polyint(x, 2),
    "polymul": lambda x: np.polymul(x, B[:2]),
    "reshape": lambda x: (T * x[0]).reshape((4, -1), order="F"),
    "ravel": lambda x: (T * x[0]).ravel(order="F") ** 2,
    "flatten": lambda x: np.outer(x, B).flatten("F") ** 2,
    "trim_zeros": lambda x: np.trim_zeros(x * np.array([0.0, 1.0, 1.0, 0.0])) ** 2,
    "kaiser": lambda x: np.kaiser(5, 2.0) * x[0],
    "cond": lambda x: np.linalg.cond(M * x[:3], 1),
    "options of no value": lambda x: np.nanmedian(M * x[0], None, None, False, np._NoValue) * x,
    "interp of no period": lambda x: np.interp(x[:2], np.array([0.1, 0.7]), x[:2] * 2.0, None, None, None),
    "cov without weights": lambda x: np.cov(M * x[:3], None, True, False, None, None, None),
    "cond of no norm": lambda x: np.linalg.cond(M * x[:3], None),
    "norm keepdims": lambda x: np.linalg.norm(T * x[0], 1, axis=(2, 0), keepdims=True),
    "cross": lambda x: np.cross(M * x[0], M.T, axis=0),
    "cross of rows": lambda x: np.linalg.cross(M * x[0], M.T),
    "tensorsolve": lambda x: np.linalg.tensorsolve(M, x[:3]),
    "rfft2": lambda x: np.abs(np.fft.rfft2(np.outer(x, B))),
    "irfft2": lambda x: np.fft.irfft2(np.fft.rfft2(np.outer(x, B))),
    "upper cholesky": lambda x: np.linalg.cholesky(M * x[2] + np.tril(M, -1), upper=True),
}
for _name in ("vecdot", "matvec", "vecmat"):
    if hasattr(np, _name):
        CALLS[_name] = {
            "vecdot": lambda x: np.vecdot(np.outer(x, B), B * x),
            "matvec": lambda x: np.matvec(M * x[0], x[:3]),
            "vecmat": lambda x: np.vecmat(x[:3], M),
        }[_name]


@pytest.mark.parametrize("name", CALLS)
def test_values_and_derivatives(name):
    f = CALLS[name]
    wanted, got = f(A), tl.jit(f)(A)
    assert type(got) is type(wanted)
    np.testing.assert_allclose(got, wanted, rtol=1e-12, strict=True)

    def size(x):
        return np.sum(np.nan_to_num(f(x) ** 2 + f(x)))

    np.testing.assert_allclose(tl.jit(tl.grad(size))(A), tl.grad(size)(A), rtol=1e-10, atol=1e-12)


INTEGERS = {
    "unique with all": lambda i: np.unique(i, return_index=True, return_inverse=True, return_counts=True),
    "unique counts": lambda i: np.unique_counts(i),
    "lexsort": lambda i: np.lexsort((i[::-1], i)),
    "setxor1d": lambda i: np.setxor1d(i, np.array([1, 7])),
    "unravel_index": lambda i: np.unravel_index(i, (2, 3)),
    "unravel one": lambda i: np.unravel_index(5, (2, 3)),
    "ravel_multi_index": lambda i: np.ravel_multi_index((i - 1, i), (4, 5)),
    "gcd": lambda i: np.gcd(i * 6, i + 3),
    "lcm": lambda i: np.lcm(i * 6, i + 3),
    "delete": lambda i: np.delete(i, 1),
    "insert": lambda i: np.insert(i, 2, 7),
    "matrix_rank": lambda i: np.linalg.matrix_rank(np.outer(i, i) * 1.0),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers(name):
    f = INTEGERS[name]
    wanted, got = f(I), tl.jit(f)(I)
    assert type(got) is type(wanted)
    for g, w in zip(*((v if isinstance(v, tuple) else (v,)) for v in (got, wanted)), strict=True):
        assert type(g) is type(w)
        np.testing.assert_array_equal(g, w, strict=True)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.insert(x, 7, 1.0),
        lambda x: np.delete(x, 4),
        lambda x: np.delete(x, [1, 9]),
        lambda x: np.average(x, weights=x[:1]),
        lambda x: np.average(x, weights=x[:2], axis=0),
        lambda x: np.gradient(x[:2], edge_order=2),
        lambda x: np.unravel_index(len(x) + 9, (2, 3)),
    ],
)
def test_exceptions(f):
    with pytest.raises(Exception) as wanted:  # noqa: PT011
        f(A)
    with pytest.raises(wanted.type):
        tl.jit(f)(A)


def test_a_length_of_minus_one_among_the_arguments():
    f = tl.jit(lambda x, n: x.reshape(n, 2))
    assert f(A, 2).shape == f(A, -1).shape == f(B, 2).shape == (2, 2)


def test_namespaces_of_arrays_are_those_of_numpy():
    optimize = pytest.importorskip("scipy.optimize")
    for f in (optimize.rosen, lambda x: optimize.rosen_der(x).sum()):
        assert tl.jit(f)(A) == pytest.approx(f(A), rel=1e-12)
        np.testing.assert_allclose(tl.jit(tl.grad(f))(A), tl.grad(f)(A), rtol=1e-12)
        np.testing.assert_allclose(tl.jit(tl.hessian(f))(A), tl.hessian(f)(A), rtol=1e-12)


def test_matrices_of_scipy_from_their_edges():
    linalg = pytest.importorskip("scipy.linalg")
    for f in (
        lambda x: linalg.toeplitz(x),
        lambda x: linalg.toeplitz(x[:2], x * 2.0),
        lambda x: linalg.hankel(x, x**2),
        lambda x: linalg.hankel(x),
    ):
        np.testing.assert_array_equal(tl.jit(f)(A), f(A), strict=True)

        def size(x, f=f):
            return np.sum(f(x) ** 3)

        np.testing.assert_allclose(tl.jit(tl.grad(size))(A), tl.grad(size)(A), rtol=1e-12)


def test_derivatives_of_polynomials():
    from numpy.polynomial import chebyshev, polynomial

    for f in (polynomial.polyder, polynomial.polyint, chebyshev.chebder, chebyshev.chebint):
        np.testing.assert_allclose(tl.jit(lambda x, f=f: f(x))(A), f(A), rtol=1e-12)


def test_numbers_that_numba_gives_are_those_of_python():
    numba = pytest.importorskip("numba")

    @numba.njit
    def both(x):
        return x.sum(), len(x), x[0] > 0

    wanted, got = both(A), tl.jit(lambda x: both(x))(A)
    assert got == pytest.approx(wanted)
    assert [type(v) for v in got] == [type(v) for v in wanted] == [float, int, bool]
    single = tl.jit(lambda x: both(x)[0])(A.astype(np.float32))
    assert type(single) is float


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.quantile(x, 1.5, method="lower"),
        lambda x: np.percentile(x, -1.0, keepdims=True),
        lambda x: np.nanquantile(x, 1.2),
        lambda x: np.delete(M * x[0], 1, axis=5),
        lambda x: np.insert(M * x[0], 1, x[0], axis=-3),
        lambda x: np.delete(x, True),
        lambda x: np.diff(x, n=-1),
        lambda x: np.diff(x[0]),
        lambda x: np.polyint(x, -1),
        lambda x: np.average(x, weights=0 * x),
        lambda x: x * np.ravel_multi_index((1, 2, 3), (2, 3)),
        lambda x: x * np.unravel_index(len(x) + 9, (2, 3))[0],
        lambda x: x * np.unravel_index(1.0, (2, 3))[0],
    ],
)
def test_what_numpy_says_of_bad_arguments(f):
    with pytest.raises(Exception) as wanted:  # noqa: PT011
        f(A)
    with pytest.raises(Exception) as got:  # noqa: PT011
        tl.jit(f)(A)
    assert (got.type, str(got.value)) == (wanted.type, str(wanted.value))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.quantile(I, 0.3, method="lower"),
        lambda x: np.percentile(I, 30, method="higher"),
        lambda x: np.nanquantile(x.astype(np.float32), 0.3),
        lambda x: np.modf(I)[1],
        lambda x: np.unique(x > 0),
        lambda x: np.gcd(12, 18),
        lambda x: np.gcd(np.int32(4), 6),
        lambda x: np.lcm(-4, 6) * x,
        lambda x: np.ravel_multi_index(([1, 0], [2, 1]), (2, 3)) * x[:2],
        lambda x: np.linalg.matrix_rank(x),
        lambda x: np.linalg.cond(M[:2] * x[0], 2),
        lambda x: np.linalg.cond(0 * M * x[0], 1),
        lambda x: np.median(x[:0]),
    ],
)
@pytest.mark.filterwarnings("ignore:Mean of empty", "ignore:invalid value")
def test_dtypes_and_edges(f):
    wanted, got = f(A), tl.jit(f)(A)
    assert type(got) is type(wanted)
    np.testing.assert_allclose(got, wanted, rtol=1e-6, strict=True)


def test_quantiles_that_have_no_program_are_refused():
    for f in (
        lambda x: np.nanquantile(x, 0.3, method="lower"),
        lambda x: np.nanquantile(M * x[0], 0.3, axis=(0, 1)),
        lambda x: np.quantile(x, [[0.1, 0.2], [0.3, 0.4]], keepdims=True),
    ):
        with pytest.raises(tl.TapelessError, match="quantile"):
            tl.jit(f)(A)
