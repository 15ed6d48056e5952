"""`numpy.linalg`: factorisations and solutions by operations on whole matrices; norms by loops."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import ZERO, Array, Expr, Intrinsic, Ref, Scalar, apply, const
from tapeless.backends.native.staging import called_back, complex_algebra, elements, matrix_programs, storage
from tapeless.backends.native.staging.base import Replay
from tapeless.backends.native.staging.elements import is_float, value_of
from tapeless.backends.native.staging.elementwise import astype, ufunc
from tapeless.backends.native.staging.extrema import amax, amin
from tapeless.backends.native.staging.indexing import At, Item, Span, basic_view
from tapeless.backends.native.staging.lowerings import array, given, lowers, option, unsupported
from tapeless.backends.native.staging.products import matmul, same
from tapeless.backends.native.staging.reductions import sum_
from tapeless.backends.native.staging.shapes import permute
from tapeless.backends.native.staging.storage import fail, known_length, same_length
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Number,
    Sequence,
    Static,
    Value,
    View,
)  # fmt: skip

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

LinAlgError = np.linalg.LinAlgError
#: The classes of results with several parts.
EIGH, QR, SVD, SLOGDET = (
    type(f(np.eye(1))) for f in (np.linalg.eigh, np.linalg.qr, np.linalg.svd, np.linalg.slogdet)
)  # fmt: skip


def matrix(stager: Stager, a: Value, square: bool = True, complex_too: bool = False) -> ArrayValue:
    """The operand, of floats, with two axes at least."""
    value = array(stager, a)
    if value.ndim < 2:
        fail(
            stager,
            LinAlgError,
            f"{value.ndim}-dimensional array given. Array must be at least two-dimensional",
        )
    if square:
        squared(stager, value)
    return value if complex_too and complex_algebra.is_complex(value) else floats(stager, value)


def squared(stager: Stager, value: ArrayValue) -> None:
    """The matrix has as many rows as columns."""
    n, m = value.shape[-2:]
    message = "Last 2 dimensions of the array must be square"
    if not same_length(n, m):
        if known_length(n) is not None and known_length(m) is not None:
            fail(stager, LinAlgError, message)
        stager.check(apply("eq", n, m), LinAlgError, message)


def floats(stager: Stager, value: ArrayValue) -> ArrayValue:
    if elements.is_complex(value.dtype):
        stager.refuse("linear algebra of complex matrices", "write the real and imaginary parts as blocks")
    return value if is_float(value.dtype) else astype(stager, value, "float64")


def failing(stager: Stager, message: str) -> dict[str, Any]:
    """The attribute of an operation that raises LinAlgError."""
    if stager.handlers:
        stager.refuse("an error of linear algebra that the program may catch", "test the matrix before")
    return {"failure": stager.failure(LinAlgError, message)}


def batched(
    stager: Stager,
    values: list[ArrayValue],
    results: AnySequence[tuple[tuple[Expr, ...], str]],
    run: Callable[[list[Array], list[Array]], None],
    cores: list[int] | None = None,
) -> list[View]:
    """An operation on matrices, run for each matrix of a stack; `results` are core shapes and dtypes."""
    cores = cores or [2] * len(values)
    lead = values[0].shape[: values[0].ndim - cores[0]]
    if not lead:
        outs = [storage.fresh(stager, shape, dtype) for shape, dtype in results]
        run([o.array for o in outs], [storage.materialise(stager, v).array for v in values])
        return outs
    outs = [storage.fresh(stager, (*lead, *shape), dtype) for shape, dtype in results]
    sources = [storage.make(stager, v) for v in values]
    with storage.nest(stager, lead, independent=False) as index:
        ins = []
        for source, core in zip(sources, cores, strict=True):
            items: list[Item] = [At(i) for i in index[: source.ndim - core]]
            items += [Span(ZERO, const(1), n) for n in source.shape[source.ndim - core :]]
            ins.append(storage.store_copy(stager, basic_view(stager, source, items)).array)
        made = [storage.fresh(stager, shape, dtype) for shape, dtype in results]
        run([o.array for o in made], ins)
        for out, one in zip(outs, made, strict=True):
            with storage.nest(stager, one.shape) as inner:
                storage.store(stager, out, (*index, *inner), one.element(inner))
    return outs


def _call(stager: Stager, name: str, **attrs: Any) -> Callable[[list[Array], list[Array]], None]:
    def run(outs: list[Array], ins: list[Array]) -> None:
        stager.emit(Intrinsic(name, tuple(outs), tuple(ins), attrs))

    return run


@lowers(np.linalg.solve)
def solve(stager: Stager, a: Value, b: Value) -> Value:
    both = [array(stager, a), array(stager, b)]
    if any(v.dtype == "complex128" for v in both) and (
        (both[0].ndim == 2 and both[1].ndim in (1, 2)) or 2 < both[0].ndim == both[1].ndim
    ):
        squared(stager, both[0])
        return complex_algebra.solve(stager, *both)
    left, right = matrix(stager, a), floats(stager, array(stager, b))
    dtype = np.result_type(left.dtype, right.dtype).name
    left, right = (v if v.dtype == dtype else astype(stager, v, dtype) for v in (left, right))
    one = right.ndim == 1
    core = right.shape[-1:] if one else right.shape[-2:]
    message = "solve: Input operand 1 has a mismatch in its core dimension 0"
    same(stager, left.shape[-1], core[0], message)
    if left.ndim > 2 and (right.ndim != left.ndim):
        stager.refuse("numpy.linalg.solve of stacks of different depth", "loop over the matrices")
    attrs = failing(stager, "Singular matrix")
    if isinstance(left, View):
        turned = permute(stager, left, (*range(left.ndim - 2), left.ndim - 1, left.ndim - 2))
        if left.ndim == 2 and isinstance(turned, View) and not storage.is_whole(stager, left):
            if storage.is_whole(stager, turned):
                return batched(
                    stager,
                    [turned, right],
                    [(core, dtype)],
                    _call(stager, "solve", ta=True, **attrs),
                    [2, 1 + (not one)],
                )[0]
    run = _call(stager, "solve", ta=False, **attrs)
    return batched(stager, [left, right], [(core, dtype)], run, [2, 1 if one else 2])[0]


@lowers(np.linalg.inv)
def inv(stager: Stager, a: Value) -> Value:
    given = array(stager, a)
    if given.dtype == "complex128" and given.ndim >= 2:
        squared(stager, given)
        return complex_algebra.inv(stager, given)
    value = matrix(stager, a)
    run = _call(stager, "inv", **failing(stager, "Singular matrix"))
    return batched(stager, [value], [(value.shape[-2:], value.dtype)], run)[0]


@lowers(np.linalg.cholesky)
def cholesky(stager: Stager, a: Value, *, upper: Value | None = None) -> Value:
    value = matrix(stager, a, complex_too=True)
    attrs = failing(stager, "Matrix is not positive definite")
    made: ArrayValue
    if complex_algebra.is_complex(value):
        if option(stager, upper, False):
            stager.refuse("numpy.linalg.cholesky of complex matrices with upper=True", "transpose them")
        return complex_algebra.cholesky(stager, value, attrs)
    if option(stager, upper, False):  # what is read is the upper triangle
        value = permute(stager, value, (*range(value.ndim - 2), value.ndim - 1, value.ndim - 2))
    made = batched(stager, [value], [(value.shape[-2:], value.dtype)], _call(stager, "cholesky", **attrs))[0]
    if option(stager, upper, False):
        return permute(stager, made, (*range(made.ndim - 2), made.ndim - 1, made.ndim - 2))
    return made


def _numbers(stager: Stager, name: str, value: ArrayValue, count: int) -> list[Value]:
    """Results that are a number for each matrix."""

    def one(source: View) -> list[Scalar]:
        outs = [stager.scalar(elements.scalar_type(value.dtype), name) for _ in range(count)]
        stager.emit(Intrinsic(name, tuple(outs), (source.array,), {}))
        return outs

    if value.ndim == 2:
        made = one(storage.materialise(stager, value))
        return [value_of(stager, Ref(s), value.dtype) for s in made]
    lead = value.shape[:-2]
    results = [storage.fresh(stager, lead, value.dtype) for _ in range(count)]
    source = storage.make(stager, value)
    with storage.nest(stager, lead, independent=False) as index:
        items: list[Item] = [At(i) for i in index]
        items += [Span(ZERO, const(1), n) for n in source.shape[-2:]]
        for result, s in zip(
            results, one(storage.store_copy(stager, basic_view(stager, source, items))), strict=True
        ):
            storage.store(stager, result, index, Ref(s))
    return list(results)


@lowers(np.linalg.det)
def det(stager: Stager, a: Value) -> Value:
    value = matrix(stager, a, complex_too=True)
    if complex_algebra.is_complex(value):
        return complex_algebra.det(stager, value)
    return _numbers(stager, "det", value, 1)[0]


@lowers(np.linalg.slogdet)
def slogdet(stager: Stager, a: Value) -> Value:
    value = matrix(stager, a, complex_too=True)
    if complex_algebra.is_complex(value):
        return complex_algebra.slogdet(stager, value, SLOGDET)
    return Sequence(_numbers(stager, "slogdet", value, 2), SLOGDET)


@lowers(np.linalg.eigh)
def eigh(stager: Stager, a: Value, UPLO: Value | None = None) -> Value:
    value = matrix(stager, a, complex_too=True)
    attrs = failing(stager, "Eigenvalues did not converge")
    if complex_algebra.is_complex(value):
        if option(stager, UPLO, "L").upper() != "L":
            stager.refuse("numpy.linalg.eigh of the upper triangle of complex matrices", "give the lower one")
        return complex_algebra.eigh(stager, value, EIGH, attrs)
    value = _lower(stager, value, option(stager, UPLO, "L"))
    n = value.shape[-1]
    run = _call(stager, "eigh", **attrs)
    results = [((n,), value.dtype), ((n, n), value.dtype)]
    return Sequence(list(batched(stager, [value], results, run)), EIGH)


def _lower(stager: Stager, value: ArrayValue, which: str) -> ArrayValue:
    """The matrix whose lower triangle is the one to be read."""
    if which.upper() == "L":
        return value
    return permute(stager, value, (*range(value.ndim - 2), value.ndim - 1, value.ndim - 2))


@lowers(np.linalg.eigvalsh)
def eigvalsh(stager: Stager, a: Value, UPLO: Value | None = None) -> Value:
    made = eigh(stager, a, UPLO)
    assert isinstance(made, Sequence)
    return made.items[0]


@lowers(np.linalg.qr)
def qr(stager: Stager, a: Value, mode: Value | None = None) -> Value:
    how = option(stager, mode, "reduced")
    if how not in ("reduced", "r", "complete"):
        stager.refuse(f"numpy.linalg.qr with mode {how!r}", "use the reduced factors")
    value = matrix(stager, a, square=False, complex_too=True)
    n, m = value.shape[-2:]
    k = least(stager, n, m)
    if how == "complete" and not same_length(k, n):
        whole = [((*value.shape[:-1], n), value.dtype), (value.shape, value.dtype)]
        return Sequence(list(_called(stager, "qr", value, whole, {"mode": how})), QR)
    if complex_algebra.is_complex(value):
        both = complex_algebra.qr(stager, value, k, QR)
        assert isinstance(both, Sequence)
        return both.items[1] if how == "r" else both
    results = [((n, k), value.dtype), ((k, m), value.dtype)]
    made = batched(stager, [value], results, _call(stager, "qr"))
    return made[1] if how == "r" else Sequence(list(made), QR)


def least(stager: Stager, n: Expr, m: Expr) -> Expr:
    if same_length(n, m) or stager.ranges.proves(apply("le", n, m)):
        return n
    if stager.ranges.proves(apply("le", m, n)):
        return m
    return stager.bind(apply("minimum", n, m), "k")


@lowers(np.linalg.svd)
def svd(
    stager: Stager, a: Value, full_matrices: Value | None = None, compute_uv: Value | None = None,
    hermitian: Value | None = None,
) -> Value:  # fmt: skip
    if option(stager, hermitian, False):
        both: Value = stager.call(Static(matrix_programs.svd_of_hermitian), [a], {})
        assert isinstance(both, Sequence)
        return both if option(stager, compute_uv, True) else both.items[1]
    value = matrix(stager, a, square=False, complex_too=True)
    n, m = value.shape[-2:]
    k = least(stager, n, m)
    uv = option(stager, compute_uv, True)
    if uv and option(stager, full_matrices, True) and not same_length(n, m):
        values = array(stager, svd(stager, value, compute_uv=Static(False)))
        lead = value.shape[:-2]
        whole = [((*lead, n, n), value.dtype), (values.shape, values.dtype), ((*lead, m, m), value.dtype)]
        u, _, vt = _called(stager, "svd", value, whole, {})
        return Sequence([u, values, vt], SVD)
    attrs = failing(stager, "SVD did not converge")
    if complex_algebra.is_complex(value):
        parts = complex_algebra.svd(stager, value, k, SVD, attrs)
        assert isinstance(parts, Sequence)
        return parts if uv else parts.items[1]
    run = _call(stager, "svd", **attrs)
    results = [((n, k), value.dtype), ((k,), value.dtype), ((k, m), value.dtype)]
    made = batched(stager, [value], results, run)
    return Sequence(list(made), SVD) if uv else made[1]


def _called(
    stager: Stager, name: str, value: ArrayValue, results: list[called_back.Made], options: dict[str, Any]
) -> list[ArrayValue]:
    """Factors with more columns than the matrix determines: they have no derivative."""
    failure = failing(stager, f"{name} did not converge")["failure"]
    return called_back.emit(stager, "numpy.linalg", name, [value], results, options, failure, constant=())


@lowers(np.linalg.svdvals)
def svdvals(stager: Stager, x: Value) -> Value:
    return svd(stager, x, compute_uv=Static(False))


@lowers(np.linalg.matrix_power)
def matrix_power(stager: Stager, a: Value, n: Value) -> Value:
    power = int(stager.known(n))
    base: Value = matrix(stager, a, complex_too=True)
    if power < 0:
        base, power = inv(stager, base), -power
    if power == 0:
        from tapeless.backends.native.staging.patterns import eye
        from tapeless.backends.native.staging.values import Number

        own = array(stager, base)
        made: Value = eye(stager, Number(own.shape[-1], int), dtype=Static(np.dtype(own.dtype)))
        return made
    base = storage.make(stager, array(stager, base))
    result: Value | None = None
    while power:
        if power & 1:
            result = base if result is None else matmul(stager, result, base)
        power >>= 1
        if power:
            base = matmul(stager, base, base)
    assert result is not None
    return storage.store_copy(stager, array(stager, result))


@lowers(np.linalg.cond)
def cond(stager: Stager, x: Value, p: Value | None = None) -> Value:
    if option(stager, p) not in (None, 2):
        stager.refuse("numpy.linalg.cond in another norm", "multiply the norms")
    values = svdvals(stager, x)
    return ufunc(stager, np.true_divide, [amax(stager, values, Static(-1)), amin(stager, values, Static(-1))])


def _by_qr(
    stager: Stager, a: ArrayValue, rcond: Value | None
) -> tuple[bool, ArrayValue, ArrayValue, ArrayValue]:
    """Whether there are at least as many rows as columns, the factors of the taller of a matrix of full rank
    and its transpose, and its singular values.

    They have derivatives where singular values are equal, which those of `svd` have not.  The plain function
    makes the calls with a matrix of less than full rank.
    """
    n, m = a.shape
    tall = same_length(n, m) or stager.ranges.proves(apply("le", m, n))
    factors = qr(stager, a if tall else permute(stager, a, (1, 0)))
    assert isinstance(factors, Sequence)
    q, r = (storage.make(stager, array(stager, f)) for f in factors.items)
    s = array(stager, svdvals(stager, r))
    if rcond is None or not given(rcond):
        longest = Number(stager.bind(n if tall else apply("maximum", n, m)), int)
        rcond = ufunc(stager, np.multiply, [longest, Static(float(np.finfo(a.dtype).eps))])
    limit = ufunc(stager, np.multiply, [amax(stager, s), rcond])
    full = ufunc(stager, np.greater, [amin(stager, s), limit])
    assert isinstance(full, Number)
    stager.check(full.expr, Replay)
    return tall, q, r, s


@lowers(np.linalg.pinv)
def pinv(
    stager: Stager, a: Value, rcond: Value | None = None, hermitian: Value | None = None, **options: Value
) -> Value:
    rtol = options.pop("rtol", None)
    unsupported(stager, "linalg.pinv", **options)
    rcond = rtol if rcond is None and given(rtol) else rcond
    symmetric = bool(option(stager, hermitian, False))
    value = matrix(stager, a, square=symmetric)
    if value.ndim != 2:
        stager.refuse("numpy.linalg.pinv of a stack", "loop over the matrices")
    if 0 in map(known_length, value.shape):
        return storage.fresh(stager, value.shape[::-1], value.dtype)
    if symmetric:
        value = array(stager, stager.call(Static(matrix_programs.of_lower), [value], {}))
    tall, q, r, _ = _by_qr(stager, value, rcond)
    made = solve(stager, r, permute(stager, q, (1, 0)))
    return made if tall else permute(stager, array(stager, made), (1, 0))


@lowers(np.linalg.lstsq)
def lstsq(stager: Stager, a: Value, b: Value, rcond: Value | None = None) -> Value:
    left, right = matrix(stager, a, square=False), floats(stager, array(stager, b))
    if left.ndim != 2 or right.ndim not in (1, 2):
        fail(stager, LinAlgError, f"{left.ndim}-dimensional array given. Array must be two-dimensional")
    dtype = np.result_type(left.dtype, right.dtype).name
    left, right = (v if v.dtype == dtype else astype(stager, v, dtype) for v in (left, right))
    n, m = left.shape
    if not same_length(n, right.shape[0]):
        stager.check(apply("eq", n, right.shape[0]), LinAlgError, "Incompatible dimensions")
    tall, q, r, s = _by_qr(stager, left, rcond)
    down = permute(stager, q if tall else r, (1, 0))
    if tall:
        x = solve(stager, r, matmul(stager, down, right))
    else:
        x = matmul(stager, q, solve(stager, down, right))
    rest: Value = storage.fresh(stager, (ZERO,), dtype)
    if tall and not same_length(n, m) and stager.ranges.proves(apply("lt", m, n)):
        missed = ufunc(stager, np.subtract, [right, matmul(stager, left, x)])
        rest = sum_(stager, ufunc(stager, np.square, [missed]), Static(0), keepdims=Static(right.ndim == 1))
    known = known_length(s.shape[0])
    rank = value_of(stager, s.shape[0], "int32") if known is None else Static(np.int32(known))
    return Sequence([x, rest, rank, s], tuple)
