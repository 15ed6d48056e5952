"""Options of NumPy's functions and objects for indices, compiled: values, types, derivatives, exceptions."""

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable

A = np.array([0.3, 0.5, 2.0, -1.2])
B = np.array([1.0, 2.0, 0.5, 3.0])
S = np.array([0.1, 0.4, 1.0, 1.3])
M = np.array([[2.0, 1.0, 0.3], [0.5, 3.0, 0.2], [0.1, 0.4, 1.5]])
T = np.sin(np.arange(24.0)).reshape(2, 3, 4)
NAN = np.array([1.0, np.nan, 3.0, 0.5])
MASK = np.array([True, False, True, True])
I = np.array([3, 1, 2, 1])  # noqa: E741


def written(change):
    def call(x):
        a = x * 1.0
        change(a, x)
        return a

    return call


CALLS = {
    "r_": lambda x: np.r_[x, x[0], B],
    "r_ of a range": lambda x: np.r_[0:3, x, 1],
    "r_ of numbers": lambda x: np.r_[x[0], x[1] ** 2],
    "r_ of a range of places": lambda x: np.r_[x[0], 0:1:4j, x],
    "r_ of single precision": lambda x: np.r_[x.astype(np.float32), 1.0],
    "r_ of matrices": lambda x: np.r_["-1", M * x[0], M],
    "r_ of rows": lambda x: np.r_["0,2", x, B],
    "r_ of columns": lambda x: np.r_["1,2,0", x, B],
    "c_": lambda x: np.c_[np.ones(4), x],
    "c_ of a matrix": lambda x: np.c_[M, x[:3]],
    "ndindex": lambda x: sum(x[i] * (i[0] + 1) for i in np.ndindex(x.shape)),
    "ndindex of lengths": lambda x: [i[0] - 2.0 * i[1] * x[0] for i in np.ndindex(2, 3)][4],
    "ndenumerate": lambda x: sum(v * (i + 2 * j) for (i, j), v in np.ndenumerate(M * x[0])),
    "nearest quantile": lambda x: np.quantile(x, [0.3, 0.5], method="nearest"),
    "inverted_cdf": lambda x: np.quantile(x, [0.25, 0.3, 0.0, 1.0], method="inverted_cdf"),
    "averaged_inverted_cdf": lambda x: np.quantile(x, [0.25, 0.3, 0.0, 1.0], method="averaged_inverted_cdf"),
    "closest_observation": lambda x: np.quantile(x, [0.25, 0.375, 0.0, 0.9], method="closest_observation"),
    "percentile of two axes": lambda x: np.percentile(T * x, [30, 40], axis=(0, 2), keepdims=True),
    "median of two axes": lambda x: np.median(T * x, axis=(0, -1)),
    "median keepdims": lambda x: np.median(T * x, axis=1, keepdims=True),
    "nanmedian of rows": lambda x: np.nanmedian(np.outer(x, NAN), axis=1),
    "nanmedian": lambda x: np.nanmedian(NAN * x),
    "meshgrid sparse": lambda x: np.add(*np.meshgrid(x, B[:3], sparse=True)),
    "meshgrid sparse ij": lambda x: np.multiply(*np.meshgrid(x, B[:3], sparse=True, indexing="ij")),
    "einsum by lists": lambda x: np.einsum(T * x, [0, 1, 2], M, [1, 3], [3, 0]),
    "einsum by lists alone": lambda x: np.einsum(M * x[0], [0, 1], M, [1, 2]),
    "pad by a ramp": lambda x: np.pad(x, (1, 2), mode="linear_ramp", end_values=(1.0, x[0])),
    "pad by means": lambda x: np.pad(T * x, 1, mode="mean"),
    "pad by largest": lambda x: np.pad(M * x[0], (1, 2), mode="maximum", stat_length=2),
    "pad by medians": lambda x: np.pad(x, (1, 2), mode="median"),
    "pad by two constants": lambda x: np.pad(M * x[0], (1, 2), constant_values=((1.0, 2.0), (3.0, 4.0))),
    "interp of a period": lambda x: np.interp(x, S, B, period=1.5),
    "interp of a number": lambda x: np.interp(x[2], S, x, period=1.5),
    "reduceat": lambda x: np.add.reduceat(x, [0, 2, 1]),
    "reduceat along": lambda x: np.multiply.reduceat(T * x, [0, 1], axis=1),
    "put": written(lambda a, x: np.put(a, [0, -1], [x[1], 7.0])),
    "put clipped": written(lambda a, x: a.put([9, 1], x[0], mode="clip")),
    "mean where": lambda x: np.mean(T * x, axis=1, where=T > 0),
    "std where": lambda x: x.std(ddof=1, where=MASK),
    "var of a mean": lambda x: np.var(x, mean=np.mean(x, keepdims=True)),
    "std of a correction": lambda x: np.std(T * x, axis=2, correction=1),
    "cov of weights": lambda x: np.cov(M * x[0], aweights=B[:3], fweights=I[:3]),
    "cov of weights alone": lambda x: np.cov(x, B, aweights=S),
    "compress": lambda x: np.compress([True, False, True], M * x[0], axis=1),
    "compress by fewer": lambda x: np.compress([True, False, True], x),
    "compress by more": lambda x: np.compress([True, False, True, True, False, False], x) ** 2,
    "extract by fewer": lambda x: np.extract([[True], [True]], x),
    "compress method": lambda x: x.compress(MASK),
    "compress method along": lambda x: (M * x[0]).compress([False, True], axis=0),
    "take clipped": lambda x: x.take([1, 9], mode="clip"),
    "no difference": lambda x: np.diff(x[0], n=0),
    "nan_to_num by a number": lambda x: np.nan_to_num(NAN * x, nan=x[0]),
    "poly1d": lambda x: np.poly1d(x)(B) + np.poly1d(x).deriv()(x[0]),
    "trim_zeros in front": lambda x: np.trim_zeros(x * np.array([0.0, 1.0, 1.0, 0.0]), "f"),
    "maximum.at": written(lambda a, x: np.maximum.at(a, [0, 1, 1], x[:3] * 2.0)),
    "vectorize": lambda x: np.vectorize(lambda a: (a, a * a))(np.outer(x, B))[1],
    "vectorize to floats": lambda x: np.vectorize(lambda a: 1 if a > 0 else 0, otypes=[float])(x) * x,
    "vectorize of a number": lambda x: np.vectorize(lambda a: a * a)(x[0]),
    "histogram2d": lambda x: np.histogram2d(x, B, 3, weights=x)[0],
    "histogram2d on edges": lambda x: np.histogram2d(x, B, bins=(S, [0.0, 1.5, 4.0]), weights=x * x)[0],
    "shape of an array": lambda x: np.outer(x, B).reshape(np.array([2, 8])) ** 2,
    "shape with a length to be found": lambda x: np.outer(x, B).reshape(np.array([2, -1])) ** 2,
    "sign of complex numbers": lambda x: np.sign(x + 1j * B).real,
}  # fmt: skip


#: Python has no derivative of these.
WITHOUT_RULES = ("reduceat", "reduceat along", "maximum.at")


@pytest.mark.parametrize("name", CALLS)
def test_values_and_derivatives(name):
    f = CALLS[name]
    wanted, got = f(A), tl.jit(f)(A)
    assert type(got) is type(wanted)
    np.testing.assert_allclose(got, wanted, rtol=1e-12, strict=True)
    if np.asarray(wanted).dtype == np.float32 or name in WITHOUT_RULES:
        return

    def size(x):
        return np.sum(np.nan_to_num(f(x) ** 2 + f(x)))

    np.testing.assert_allclose(tl.jit(tl.grad(size))(A), tl.grad(size)(A), rtol=1e-10, atol=1e-12)


def test_vectorize_by_a_signature_is_refused():
    with pytest.raises(tl.TapelessError, match="signature"):
        tl.jit(lambda x: np.vectorize(np.sum, signature="(n)->()")(np.outer(x, x)))(A)


def test_searchsorted_by_an_order():
    def f(x):
        return np.searchsorted(x, B, sorter=np.argsort(x))

    np.testing.assert_array_equal(tl.jit(f)(A), f(A), strict=True)


def test_numbers_put_for_nan_are_written_into_the_array():
    def f(x):
        y = np.nan_to_num(x, copy=False, nan=3.0)
        return y, x

    x, plain = NAN.copy(), NAN.copy()
    f(plain)
    got, same = tl.jit(f)(x)
    np.testing.assert_array_equal(x, plain)
    np.testing.assert_array_equal(got, plain)
    np.testing.assert_array_equal(same, plain)


def test_parts_of_a_python_number():
    wanted, got = ((np.real(v), np.imag(v)) for v in (0.7, 0.7))
    got = tl.jit(lambda s: (np.real(s), np.imag(s)))(0.7)
    assert got == wanted
    assert [type(v) for v in got] == [type(v) for v in wanted]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.add.reduceat(x, [0, 4]),
        lambda x: np.median(x, axis=(0, 1)),
        lambda x: np.compress([True, False, True, True, True], x),
        lambda x: np.compress(M > 1.0, M * x[0]),
        lambda x: np.put(x * 1.0, [4], 1.0),
        lambda x: np.interp(x, S, B, period=0),
    ],
)
def test_exceptions(f):
    with pytest.raises(Exception) as wanted:  # noqa: PT011
        f(A)
    with pytest.raises(wanted.type):
        tl.jit(f)(A)


def test_elements_under_a_mask_that_one_path_replaces():
    norm = pytest.importorskip("scipy.stats").norm

    def f(x, mu):
        return norm.logpdf(x, mu, 2.0).sum()

    x = np.linspace(-1.0, 2.0, 6)
    assert tl.jit(f)(x, 0.3) == pytest.approx(f(x, 0.3), rel=1e-12)
    assert tl.jit(tl.grad(f, argnums=1))(x, 0.3) == pytest.approx(tl.grad(f, argnums=1)(x, 0.3), rel=1e-12)


def test_nan_to_num_of_integers_is_a_copy_and_of_what_is_not_compiled_refused():
    def f(k):
        made = np.nan_to_num(k)
        made[0] = 7
        return k[0], made[0]

    assert tl.jit(f)(I) == f(I) == (3, 7)
    for g in (lambda x: np.nan_to_num(x * 1j), lambda x: np.nan_to_num(x, nan=x * 2.0)):
        with pytest.raises(NotCompilable):
            tl.jit(g)(NAN)
