"""Operations on whole arrays, against the same nest as Python (which calls NumPy)."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tapeless.backends.native import show
from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import (
    F64,
    Alloc,
    Array,
    Dim,
    Expr,
    Failure,
    Function,
    Intrinsic,
    Scalar,
    const,
)

LINALG = [Failure(np.linalg.LinAlgError, ("Singular matrix",), "file.py", 1)]


def function(name, ins, outs, shapes, attrs=None, *, start=()) -> Function:
    """A nest of one intrinsic: `shapes[k]` is what the k-th output is allocated with."""
    body = [Alloc(out, shape) for out, shape in zip(outs, shapes, strict=True) if isinstance(out, Array)]
    body += start
    body.append(Intrinsic(name, tuple(outs), tuple(ins), dict(attrs or {})))
    return Function(name, list(ins), body, list(outs), LINALG)


def same(fn: Function, *args, exact=False, rtol=1e-12):
    wanted = show.python(fn)(*args)
    got = compile(fn).call(*args)
    for a, b in zip(got, wanted, strict=True):
        if exact:
            assert np.array_equal(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    return got


def matrix(name: str, dtype: str = "float64") -> Array:
    return Array(name, dtype, 2)


def vector(name: str, dtype: str = "float64") -> Array:
    return Array(name, dtype, 1)


SIZES = [(2, 3, 4), (1, 1, 1), (20, 17, 33), (0, 3, 4), (3, 0, 4), (3, 4, 0), (40, 1, 40)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("ta", "tb", "add"), list(itertools.product([False, True], repeat=3)))
def test_products_of_matrices(ta, tb, add, dtype):
    a, b, c, start = (matrix(n, dtype) for n in ("a", "b", "c", "start"))
    rows, columns = Dim(a, int(ta)), Dim(b, int(not tb))
    fn = Function(
        "gemm",
        [a, b, start],
        [
            Alloc(c, (rows, columns)),
            Intrinsic("copy", (c,), (start,)),
            Intrinsic("gemm", (c,), (a, b), {"ta": ta, "tb": tb, "add": add}),
        ],
        [c],
    )
    kernel, reference = compile(fn), show.python(fn)
    rng = np.random.default_rng(0)
    for m, k, n in SIZES:
        x = rng.normal(size=(k, m) if ta else (m, k)).astype(dtype)
        y = rng.normal(size=(n, k) if tb else (k, n)).astype(dtype)
        z = rng.normal(size=(m, n)).astype(dtype)
        tolerance = 1e-12 if dtype == "float64" else 1e-4
        np.testing.assert_allclose(kernel.call(x, y, z)[0], reference(x, y, z)[0], tolerance, tolerance)


@pytest.mark.parametrize("size", [(2, 3, 4), (12, 12, 12)])
def test_products_of_known_size(size):
    m, k, n = map(const, size)
    a, b, c, copy = matrix("a"), matrix("b"), matrix("c"), matrix("copy")
    fn = Function(
        "gemm",
        [a, b],
        [
            Alloc(copy, (m, k)),
            Intrinsic("copy", (copy,), (a,)),
            Alloc(c, (m, n)),
            Intrinsic("gemm", (c,), (copy, b)),
        ],
        [c],
    )
    rng = np.random.default_rng(0)
    same(fn, rng.normal(size=size[:2]), rng.normal(size=size[1:]))
    assert ("dgemm" in compile(fn).ir) == (size[0] == 12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("ta", "add"), list(itertools.product([False, True], repeat=2)))
def test_products_of_matrix_and_vector(ta, add, dtype):
    a, v, y, start = matrix("a", dtype), vector("v", dtype), vector("y", dtype), vector("start", dtype)
    fn = Function(
        "gemv",
        [a, v, start],
        [
            Alloc(y, (Dim(a, int(ta)),)),
            Intrinsic("copy", (y,), (start,)),
            Intrinsic("gemv", (y,), (a, v), {"ta": ta, "add": add}),
        ],
        [y],
    )
    kernel, reference = compile(fn), show.python(fn)
    rng = np.random.default_rng(0)
    for m, n in [(3, 4), (9, 50), (50, 9), (0, 3), (3, 0), (1, 1), (7, 6)]:
        x = rng.normal(size=(m, n)).astype(dtype)
        w, z = (rng.normal(size=k).astype(dtype) for k in ((m, n) if ta else (n, m)))
        tolerance = 1e-12 if dtype == "float64" else 1e-4
        np.testing.assert_allclose(kernel.call(x, w, z)[0], reference(x, w, z)[0], tolerance, tolerance)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_systems_of_equations(ndim, ta, n, dtype):
    a, b, x = matrix("a", dtype), Array("b", dtype, ndim), Array("x", dtype, ndim)
    fn = function("solve", [a, b], [x], [tuple(Dim(b, k) for k in range(ndim))], {"ta": ta, "failure": 0})
    rng = np.random.default_rng(n)
    left = rng.normal(size=(n, n)).astype(dtype)
    same(fn, left, rng.normal(size=(n, 3)[:ndim]).astype(dtype), rtol=1e-12 if dtype == "float64" else 1e-4)
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        compile(fn).call(np.zeros((n, n), dtype), np.ones((n, 3)[:ndim], dtype))


@pytest.mark.parametrize("n", [1, 2, 3, 8, 40])
def test_inverses_determinants_and_factors(n):
    a, made, det = matrix("a"), matrix("made"), Scalar("det", F64)
    rng = np.random.default_rng(n)
    given = rng.normal(size=(n, n))
    square = (Dim(a, 0), Dim(a, 0))
    same(function("inv", [a], [made], [square], {"failure": 0}), given)
    for rows in (given, given[::-1].copy(), np.zeros((n, n)), np.roll(given, 1, axis=0).copy()):
        same(function("det", [a], [det], [()]), rows)
    positive = given @ given.T + np.eye(n)
    cholesky = function("cholesky", [a], [made], [square], {"failure": 0})
    same(cholesky, positive)
    with pytest.raises(np.linalg.LinAlgError):
        compile(cholesky).call(-positive)
    with pytest.raises(np.linalg.LinAlgError):
        compile(function("inv", [a], [made], [square], {"failure": 0})).call(np.ones((n, n)) * (n > 1))


@pytest.mark.parametrize(("m", "n"), [(4, 4), (6, 3), (3, 6), (1, 1)])
def test_decompositions(m, n):
    a, q, r, u, s, vt = matrix("a"), matrix("q"), matrix("r"), matrix("u"), vector("s"), matrix("vt")
    least: Expr = const(min(m, n))
    given = np.random.default_rng(3).normal(size=(m, n))
    rows, columns = Dim(a, 0), Dim(a, 1)
    same(function("qr", [a], [q, r], [(rows, least), (least, columns)]), given, exact=True)
    same(function("svd", [a], [u, s, vt], [(rows, least), (least,), (least, columns)]), given, exact=True)
    if m == n:
        w, v = vector("w"), matrix("v")
        same(function("eigh", [a], [w, v], [(rows,), (rows, rows)]), given + given.T, exact=True)
        sign, log = Scalar("sign", F64), Scalar("log", F64)
        same(function("slogdet", [a], [sign, log], [(), ()]), given, exact=True)


@pytest.mark.parametrize("shape", [(5,), (0,), (3, 7), (2, 0)])
def test_sorting(shape):
    ndim = len(shape)
    a, values, order = (
        Array("a", "float64", ndim),
        Array("values", "float64", ndim),
        Array("o", "int64", ndim),
    )
    dims = tuple(Dim(a, k) for k in range(ndim))
    given = np.random.default_rng(0).integers(0, 4, shape).astype(float)
    same(function("sort", [a], [values, order], [dims, dims]), given, exact=True)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("shape", [(8, 2), (3, 5, 2)])
def test_fourier(shape, inverse):
    ndim = len(shape)
    x, y = Array("x", "float64", ndim), Array("y", "float64", ndim)
    fn = function("fft", [x], [y], [tuple(Dim(x, k) for k in range(ndim))], {"inverse": inverse})
    same(fn, np.random.default_rng(0).normal(size=shape))


def test_an_operation_that_is_not_in_the_table_is_refused():
    a, b = matrix("a"), matrix("b")
    with pytest.raises(TypeError, match="no operation frobnicate"):
        compile(function("frobnicate", [a], [b], [(Dim(a, 0), Dim(a, 1))]))


def test_an_exception_of_what_is_called_back_comes_out(monkeypatch):
    from tapeless.backends.native import callbacks

    def interrupt(*_):
        raise KeyboardInterrupt

    a, values, order = vector("a"), vector("values"), vector("order", "int64")
    kernel = compile(function("sort", [a], [values, order], [(Dim(a, 0),)] * 2))
    monkeypatch.setitem(callbacks.OPERATIONS, "sort", interrupt)
    callbacks._plan.cache_clear()
    with pytest.raises(KeyboardInterrupt):
        kernel.call(np.ones(3))
    callbacks._plan.cache_clear()
