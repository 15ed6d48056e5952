"""Arrays by a pattern: identities, triangles, diagonals, grids of indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import (
    ONE,
    ZERO,
    apply,
    const,
)
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.elements import convert, literal
from tapeless.backends.native.staging.lowerings import (
    array,
    dtype_of,
    given,
    length_of,
    lowers,
    option,
    shape_of,
)
from tapeless.backends.native.staging.storage import fail
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Element,
    Index,
    Number,
    Sequence,
    Static,
    Value,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager
from tapeless.backends.native.staging.creation import arange, checked_lengths, constant
from tapeless.backends.native.staging.fancy import nonzero

# ---- matrices by a pattern


@lowers(np.eye)
def eye(
    stager: Stager, N: Value, M: Value | None = None, k: Value | None = None, dtype: Value | None = None,
    order: Value | None = None, *, device: Value | None = None, like: Value | None = None,
) -> Value:  # fmt: skip
    n = length_of(stager, N)
    m = length_of(stager, M) if M is not None and given(M) else n
    offset = length_of(stager, k) if k is not None else ZERO
    kind = dtype_of(stager, dtype, "float64")
    one, zero = literal(1, kind), literal(0, kind)

    def element(index: Index) -> Element:
        on = apply("eq", simplify(index[1] - index[0]), offset)
        return elements.each(lambda a, b: apply("select", on, a, b), one, zero)

    return storage.lazy(stager, checked_lengths(stager, (n, m)), kind, element, cost=2)


@lowers(np.identity)
def identity(stager: Stager, n: Value, dtype: Value | None = None, *, like: Value | None = None) -> Value:
    return eye(stager, n, dtype=dtype)


@lowers(np.tri)
def tri(
    stager: Stager, N: Value, M: Value | None = None, k: Value | None = None, dtype: Value | None = None,
    *, like: Value | None = None,
) -> Value:  # fmt: skip
    n = length_of(stager, N)
    m = length_of(stager, M) if M is not None and given(M) else n
    offset = length_of(stager, k) if k is not None else ZERO
    kind = dtype_of(stager, dtype, "float64")

    def element(index: Index) -> Element:
        below = apply("le", index[1], simplify(index[0] + offset))
        return convert(below, "bool", kind)

    return storage.lazy(stager, checked_lengths(stager, (n, m)), kind, element, cost=2)


def _triangle(upper: bool) -> Callable[..., Value]:
    def lowering(stager: Stager, m: Value, k: Value | None = None) -> Value:
        value = array(stager, m)
        offset = length_of(stager, k) if k is not None else ZERO
        zero = literal(0, value.dtype)

        def element(index: Index) -> Element:
            i, j = index[-2:]
            keep = apply("ge" if upper else "le", j, simplify(i + offset))
            e = storage.at(stager, value, index)
            return elements.each(lambda a, b: apply("select", keep, a, b), e, zero)

        return storage.lazy(stager, value.shape, value.dtype, element, [value], storage.cost(value) + 2)

    return lowering


triu = lowers(np.triu)(_triangle(True))
tril = lowers(np.tril)(_triangle(False))


@lowers(np.diag)
def diag(stager: Stager, v: Value, k: Value | None = None) -> Value:
    """The diagonal of a matrix (a read-only view), or a matrix with a diagonal."""
    value = array(stager, v)
    if value.ndim == 2:
        from tapeless.backends.native.staging.shapes import diagonal

        return diagonal(stager, value, k)
    if value.ndim != 1:
        fail(stager, ValueError, "Input must be 1- or 2-d.")
    offset = int(option(stager, k, 0))
    n = simplify(value.shape[0] + abs(offset))
    made = constant(stager, (n, n), value.dtype, elements.zero(value.dtype))
    down, right = max(-offset, 0), max(offset, 0)
    with storage.nest(stager, value.shape) as (i,):
        place = (simplify(i + down), simplify(i + right))
        storage.store(stager, made, place, storage.at(stager, value, (i,)))
    return made


@lowers(np.vander)
def vander(stager: Stager, x: Value, N: Value | None = None, increasing: Value | None = None) -> Value:
    from tapeless.backends.native.staging.elementwise import ufunc
    from tapeless.backends.native.staging.indexing import getitem

    value = array(stager, x)
    n = length_of(stager, N) if N is not None and given(N) else value.shape[0]
    column = getitem(stager, value, Sequence([Static(slice(None)), Static(None)], tuple))
    powers: Value = arange(stager, Number(n, int))
    if not option(stager, increasing, False):
        powers = getitem(stager, array(stager, powers), Static(slice(None, None, -1)))
    return ufunc(stager, np.power, [column, powers])


@lowers(np.meshgrid)
def meshgrid(
    stager: Stager, *xi: Value, copy: Value | None = None, sparse: Value | None = None,
    indexing: Value | None = None,
) -> Value:  # fmt: skip
    how = option(stager, indexing, "xy")
    open_ = bool(option(stager, sparse, False))
    vectors = [array(stager, x) for x in xi]
    vectors = [storage.make(stager, v) if storage.cost(v) > storage.CHEAP else v for v in vectors]
    order = list(range(len(vectors)))
    if how == "xy" and len(vectors) > 1:
        order[0], order[1] = 1, 0
    shape = tuple(vectors[k].shape[0] if vectors[k].ndim else ONE for k in order)
    made: list[Value] = []
    for k, vector in enumerate(vectors):
        axis = order.index(k)

        def element(index: Index, vector: ArrayValue = vector, axis: int = axis) -> Element:
            return storage.at(stager, vector, (index[axis],) if vector.ndim else ())

        own = tuple(n if not open_ or j == axis else ONE for j, n in enumerate(shape))
        made.append(storage.lazy(stager, own, vector.dtype, element, [vector], storage.cost(vector)))
    return Sequence(made, tuple)


@lowers(np.indices)
def indices(
    stager: Stager, dimensions: Value, dtype: Value | None = None, sparse: Value | None = None
) -> Value:
    shape = checked_lengths(stager, shape_of(stager, dimensions))
    kind = dtype_of(stager, dtype, "int64")
    result = storage.fresh(stager, (const(len(shape)), *shape), kind)
    for k in range(len(shape)):
        with storage.nest(stager, shape) as index:
            storage.store(stager, result, (const(k), *index), convert(index[k], "int64", kind))
    return result


@lowers(np.fromfunction)
def fromfunction(
    stager: Stager, function: Value, shape: Value, *, dtype: Value | None = None, **kwargs: Value
) -> Value:
    lengths = checked_lengths(stager, shape_of(stager, shape))
    kind = dtype_of(stager, dtype, "float64")
    places: list[Value] = []
    for k in range(len(lengths)):

        def element(index: Index, k: int = k) -> Element:
            return convert(index[k], "int64", kind)

        places.append(storage.lazy(stager, lengths, kind, element, cost=1))
    return stager.call(function, places, kwargs)


def _triangle_places(upper: bool, of: bool) -> Callable[..., Value]:
    """`np.triu_indices` and the like: the places of a triangle, row by row."""

    def lowering(stager: Stager, n: Value, k: Value | None = None, m: Value | None = None) -> Value:
        if of:
            value = array(stager, n)
            rows, columns = value.shape
        else:
            rows = length_of(stager, n)
            columns = length_of(stager, m) if m is not None and given(m) else rows
        offset = length_of(stager, k) if k is not None else ZERO

        def inside(index: Index) -> Element:
            i, j = index
            return apply("ge" if upper else "le", j, simplify(i + offset))

        shape = tuple(stager.bind(e, "n") for e in (rows, columns))
        return Sequence(list(nonzero(stager, storage.lazy(stager, shape, "bool", inside, cost=2))), tuple)

    return lowering


triu_indices = lowers(np.triu_indices)(_triangle_places(True, False))
tril_indices = lowers(np.tril_indices)(_triangle_places(False, False))
triu_indices_from = lowers(np.triu_indices_from)(_triangle_places(True, True))
tril_indices_from = lowers(np.tril_indices_from)(_triangle_places(False, True))


@lowers(np.diag_indices)
def diag_indices(stager: Stager, n: Value, ndim: Value | None = None) -> Value:
    from tapeless.backends.native.staging.creation import arange

    places = storage.make(stager, array(stager, arange(stager, n)))
    return Sequence([places] * int(option(stager, ndim, 2)), tuple)
