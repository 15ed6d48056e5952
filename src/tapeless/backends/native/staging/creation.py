"""New arrays: zeros, ranges, arrays of numbers, copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import (
    F64,
    I64,
    ONE,
    ZERO,
    Const,
    Expr,
    apply,
    cast,
    const,
)
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.broadcasting import (
    Operand,
    broadcast_checked,
    check_same,
    operand,
    to_array,
)
from tapeless.backends.native.staging.elements import convert, is_float, literal, own_dtype, scalar_element
from tapeless.backends.native.staging.elementwise import astype
from tapeless.backends.native.staging.lowerings import (
    array,
    dtype_of,
    given,
    items_of,
    length_of,
    lowers,
    option,
    shape_of,
    unsupported,
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
    View,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def constant(stager: Stager, shape: storage.Shape, dtype: str, value: Element) -> View:
    """Storage filled with a number."""
    return storage.filled(stager, shape, dtype, value)


def _checked(stager: Stager, shape: storage.Shape) -> storage.Shape:
    """A shape whose lengths are not negative."""
    for n in shape:
        if isinstance(n, Const) and n.value < 0:
            fail(stager, ValueError, "negative dimensions are not allowed")
        stager.check(apply("ge", n, ZERO), ValueError, "negative dimensions are not allowed")
    return tuple(stager.bind(storage.settled_length(stager, n), "n") for n in shape)


def _constant_maker(value: int | None) -> Callable[..., Value]:
    def lowering(
        stager: Stager, shape: Value, dtype: Value | None = None, order: Value | None = None,
        *, device: Value | None = None, like: Value | None = None,
    ) -> Value:  # fmt: skip
        unsupported(stager, "zeros", like=like)
        kind = dtype_of(stager, dtype, "float64")
        lengths = _checked(stager, shape_of(stager, shape))
        if value is None:
            return storage.fresh(stager, lengths, kind)
        return constant(stager, lengths, kind, literal(value, kind))

    return lowering


zeros = lowers(np.zeros)(_constant_maker(0))
ones = lowers(np.ones)(_constant_maker(1))
empty = lowers(np.empty)(_constant_maker(None))


@lowers(np.full)
def full(
    stager: Stager, shape: Value, fill_value: Value, dtype: Value | None = None, order: Value | None = None,
    *, device: Value | None = None, like: Value | None = None,
) -> Value:  # fmt: skip
    unsupported(stager, "full", like=like)
    o = operand(stager, fill_value)
    kind = dtype_of(stager, dtype, o.dtype)
    lengths = _checked(stager, shape_of(stager, shape))
    if o.shape:
        made = storage.fresh(stager, lengths, kind)
        assert o.array is not None
        source = broadcast_checked(
            stager, o.array, lengths, "could not broadcast input array from shape {} into shape {}"
        )
        storage.assign(stager, made, source)
        return made
    return constant(stager, lengths, kind, convert(o.at(stager, ()), o.dtype, kind))


def _like_maker(value: int | None) -> Callable[..., Value]:
    def lowering(
        stager: Stager, prototype: Value, dtype: Value | None = None, order: Value | None = None,
        subok: Value | None = None, shape: Value | None = None, *, device: Value | None = None,
    ) -> Value:  # fmt: skip
        own = array(stager, prototype)
        kind = dtype_of(stager, dtype, own.dtype)
        assert shape is None or isinstance(shape, Value)
        lengths = own.shape if not given(shape) else _checked(stager, shape_of(stager, shape or Static(())))
        if value is None:
            return storage.fresh(stager, lengths, kind)
        return constant(stager, lengths, kind, literal(value, kind))

    return lowering


zeros_like = lowers(np.zeros_like)(_like_maker(0))
ones_like = lowers(np.ones_like)(_like_maker(1))
empty_like = lowers(np.empty_like)(_like_maker(None))


@lowers(np.full_like)
def full_like(
    stager: Stager, a: Value, fill_value: Value, dtype: Value | None = None, order: Value | None = None,
    subok: Value | None = None, shape: Value | None = None, *, device: Value | None = None,
) -> Value:  # fmt: skip
    own = array(stager, a)
    made = empty_like(stager, own, dtype, order, subok, shape)
    o = operand(stager, fill_value)
    source = o.array if o.array is not None else to_array(stager, fill_value)
    message = "could not broadcast input array from shape {} into shape {}"
    storage.assign(stager, made, broadcast_checked(stager, source, made.shape, message))
    return made


# ---- ranges


@lowers(np.arange)
def arange(
    stager: Stager, start: Value, stop: Value | None = None, step: Value | None = None,
    dtype: Value | None = None, *, device: Value | None = None, like: Value | None = None,
) -> Value:  # fmt: skip
    if not given(stop):
        start, stop = Static(0), start
    assert stop is not None
    if step is None or not given(step):
        step = Static(1)
    ends = [operand(stager, v) for v in (start, stop, step)]
    kinds = [o.dtype for o in ends]
    specs = [o.spec if isinstance(o.spec, np.dtype) else np.dtype(o.spec) for o in ends]
    kind = dtype_of(stager, dtype, np.result_type(*specs).name)
    if all(k.startswith(("int", "uint")) for k in kinds):
        low, high, by = (_integer(o.at(stager, ())) for o in ends)
        if not isinstance(by, Const):
            by = const(int(stager.known(step)))
        if by.value == 0:
            fail(stager, ZeroDivisionError, "division by zero")
        from tapeless.backends.native.staging.indexing import _length

        distance = simplify(high - low) if by.value > 0 else simplify(low - high)
        count = stager.bind(_length(stager, distance, abs(int(by.value))), "n")

        def whole(index: Index) -> Element:
            return convert(apply("add", apply("mul", index[0], by), low), "int64", kind)

        return storage.lazy(stager, (count,), kind, whole, cost=1)
    low, high, by = (stager.bind(_float(o.at(stager, ()), o.dtype)) for o in ends)
    span = apply("ceil", (high - low) / by)
    count = stager.bind(apply("maximum", cast(span, I64), ZERO), "n")

    def element(index: Index) -> Element:
        return convert(low + cast(index[0], F64) * by, "float64", kind)

    return storage.lazy(stager, (count,), kind, element, cost=2)


def _integer(e: Element) -> Expr:
    assert isinstance(e, Expr)
    return e


def _float(e: Element, dtype: str) -> Expr:
    made = convert(e, dtype, "float64")
    assert isinstance(made, Expr)
    return made


@lowers(np.linspace)
def linspace(
    stager: Stager, start: Value, stop: Value, num: Value | None = None, endpoint: Value | None = None,
    retstep: Value | None = None, dtype: Value | None = None, axis: Value | None = None,
    *, device: Value | None = None,
) -> Value:  # fmt: skip
    ends = [operand(stager, v) for v in (start, stop)]
    if any(o.shape for o in ends):
        stager.refuse("numpy.linspace between arrays", "write start + (stop - start) * t")
    kind = "float64" if any(o.dtype != "float32" for o in ends) else "float64"
    kind = dtype_of(stager, dtype, kind)
    n = ends_count = length_of(stager, num) if num is not None else const(50)
    n = _checked(stager, (n,))[0]
    closed = bool(option(stager, endpoint, True))
    low, high = (stager.bind(_float(o.at(stager, ()), o.dtype)) for o in ends)
    parts = simplify(n - 1) if closed else ends_count
    if isinstance(parts, Const):
        divisor: Expr = const(float(max(int(parts.value), 1)))
    else:
        divisor = stager.bind(cast(apply("maximum", parts, ONE), F64), "parts")
    step = stager.bind((high - low) / divisor, "step")

    def element(index: Index) -> Element:
        i = index[0]
        inside = low + cast(i, F64) * step
        if closed:
            last = apply("all", apply("eq", i, simplify(n - 1)), apply("gt", i, ZERO))
            inside = apply("select", last, high, inside)
        if not is_float(kind):
            inside = apply("floor", inside)
        return convert(inside, "float64", kind)

    made = storage.lazy(stager, (n,), kind, element, cost=2)
    if option(stager, retstep, False):
        return Sequence([made, Number(step, np.float64)], tuple)
    return made


@lowers(np.logspace)
def logspace(
    stager: Stager, start: Value, stop: Value, num: Value | None = None, endpoint: Value | None = None,
    base: Value | None = None, dtype: Value | None = None, axis: Value | None = None,
) -> Value:  # fmt: skip
    from tapeless.backends.native.staging.elementwise import ufunc

    made = linspace(stager, start, stop, num, endpoint)
    return ufunc(stager, np.power, [base if base is not None else Static(10.0), made])


@lowers(np.geomspace)
def geomspace(
    stager: Stager, start: Value, stop: Value, num: Value | None = None, endpoint: Value | None = None,
    dtype: Value | None = None, axis: Value | None = None,
) -> Value:  # fmt: skip
    from tapeless.backends.native.staging.elementwise import ufunc

    low, high = (ufunc(stager, np.log, [v]) for v in (start, stop))
    return ufunc(stager, np.exp, [linspace(stager, low, high, num, endpoint)])


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

    return storage.lazy(stager, _checked(stager, (n, m)), kind, element, cost=2)


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

    return storage.lazy(stager, _checked(stager, (n, m)), kind, element, cost=2)


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
    if option(stager, sparse, False):
        stager.refuse("numpy.meshgrid with sparse=True", "index with None instead")
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

        made.append(storage.lazy(stager, shape, vector.dtype, element, [vector], storage.cost(vector)))
    return Sequence(made, tuple)


@lowers(np.indices)
def indices(
    stager: Stager, dimensions: Value, dtype: Value | None = None, sparse: Value | None = None
) -> Value:
    shape = _checked(stager, shape_of(stager, dimensions))
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
    lengths = _checked(stager, shape_of(stager, shape))
    kind = dtype_of(stager, dtype, "float64")
    places: list[Value] = []
    for k in range(len(lengths)):

        def element(index: Index, k: int = k) -> Element:
            return convert(index[k], "int64", kind)

        places.append(storage.lazy(stager, lengths, kind, element, cost=1))
    return stager.call(function, places, kwargs)


# ---- arrays of values


def from_sequence(stager: Stager, value: Sequence, dtype: str | None = None) -> View:
    """An array of a list or tuple of numbers, arrays, or such lists."""
    entries: list[tuple[tuple[int, ...], Operand]] = []
    outer = _spread(stager, value, (), entries)
    parts = [o for _, o in entries]
    if dtype is None:
        dtype = _joined(parts)
    shape = parts[0].shape if parts else ()
    for p in parts[1:]:
        if len(p.shape) != len(shape):
            _ragged(stager)
        for n, m in zip(shape, p.shape, strict=True):
            if storage.known_length(n) is not None and storage.known_length(m) is not None and n != m:
                _ragged(stager)
            check_same(stager, n, m, ValueError, RAGGED)
    result = storage.fresh(stager, (*map(const, outer), *shape), dtype)
    for place, p in entries:
        with storage.nest(stager, shape) as index:
            element = convert(p.at(stager, index), p.dtype, dtype)
            storage.store(stager, result, (*map(const, place), *index), element)
    return result


RAGGED = "setting an array element with a sequence. The requested array has an inhomogeneous shape"


def _ragged(stager: Stager) -> NoReturn:
    fail(stager, ValueError, RAGGED)


def _spread(
    stager: Stager, value: Sequence, place: tuple[int, ...], into: list[tuple[tuple[int, ...], Operand]]
) -> tuple[int, ...]:
    """Enter the numbers and arrays of nested lists by their places; the lengths of the lists."""
    inner: tuple[int, ...] | None = None
    for k, item in enumerate(value.items):
        if isinstance(item, Static) and isinstance(item.obj, (list, tuple)):
            item = Sequence([Static(x) for x in item.obj], list)
        here: tuple[int, ...] = ()
        if isinstance(item, Sequence):
            here = _spread(stager, item, (*place, k), into)
        else:
            into.append(((*place, k), operand(stager, item)))
        if inner is not None and inner != here:
            _ragged(stager)
        inner = here
    return (len(value.items), *(inner or ()))


def _joined(parts: list[Any]) -> str:
    """The dtype of an array of values: Python's numbers count with their own dtypes."""
    if not parts:
        return "float64"
    return np.result_type(*[np.dtype(own_dtype(p.spec)) for p in parts]).name


@lowers(np.array)
def array_(
    stager: Stager, object: Value, dtype: Value | None = None, *, copy: Value | None = None,
    order: Value | None = None, subok: Value | None = None, ndmin: Value | None = None,
    like: Value | None = None, ndmax: Value | None = None,
) -> Value:  # fmt: skip
    unsupported(stager, "array", like=like, ndmax=ndmax)
    made = _as_array(stager, object, dtype)
    may_share = copy is not None and not option(stager, copy, True)
    if isinstance(object, ArrayValue) and not may_share:
        if made is object or (isinstance(made, View) and isinstance(object, View)):
            made = storage.store_copy(stager, made)
    least = int(option(stager, ndmin, 0))
    while made.ndim < least:
        from tapeless.backends.native.staging.shapes import expand_dims

        made = expand_dims(stager, made, Static(0))
    return made


def _as_array(stager: Stager, value: Value, dtype: Value | None) -> ArrayValue:
    if isinstance(value, ArrayValue):
        kind = dtype_of(stager, dtype, value.dtype)
        return value if kind == value.dtype else storage.make(stager, astype(stager, value, kind))
    number = scalar_element(value)
    if number is not None:
        element, spec = number
        kind = dtype_of(stager, dtype, own_dtype(spec))
        return storage.filled(stager, (), kind, convert(element, own_dtype(spec), kind))
    known = option(stager, dtype)
    kind_given = None if known is None else dtype_of(stager, dtype, "float64")
    if isinstance(value, Sequence):
        return from_sequence(stager, value, kind_given)
    return from_sequence(stager, Sequence(items_of(stager, value), list), kind_given)


@lowers(np.asarray, np.asanyarray, np.ascontiguousarray)
def asarray(
    stager: Stager, a: Value, dtype: Value | None = None, order: Value | None = None,
    *, device: Value | None = None, copy: Value | None = None, like: Value | None = None,
) -> Value:  # fmt: skip
    if copy is not None and option(stager, copy):
        return array_(stager, a, dtype)
    return _as_array(stager, a, dtype)


@lowers(np.copy, method="copy")
def copy_(stager: Stager, a: Value, order: Value | None = None, subok: Value | None = None) -> Value:
    return storage.store_copy(stager, array(stager, a))


@lowers(method="astype")
def astype_(
    stager: Stager, a: ArrayValue, dtype: Value, order: Value | None = None, casting: Value | None = None,
    subok: Value | None = None, copy: Value | None = None,
) -> Value:  # fmt: skip
    kind = dtype_of(stager, dtype, a.dtype)
    if kind == a.dtype:
        if copy is not None and not option(stager, copy, True):
            return a
        return storage.store_copy(stager, a)
    return astype(stager, a, kind)


@lowers(np.copyto)
def copyto(
    stager: Stager, dst: Value, src: Value, casting: Value | None = None, where: Value | None = None
) -> Value:
    from tapeless.backends.native.staging.elementwise import masked_store, writable

    assert isinstance(dst, ArrayValue)
    target = writable(stager, dst)
    source = to_array(stager, src)
    source = broadcast_checked(
        stager, source, target.shape, "could not broadcast input array from shape {} into shape {}"
    )
    if where is None or (isinstance(where, Static) and where.obj is True):
        storage.assign(stager, target, source)
    else:
        masked_store(stager, target, where, source)
    return Static(None)


@lowers(method="fill")
def fill(stager: Stager, a: ArrayValue, value: Value) -> Value:
    from tapeless.backends.native.staging.indexing import setitem

    setitem(stager, a, Static(Ellipsis), value)
    return Static(None)


@lowers(np.fill_diagonal)
def fill_diagonal(stager: Stager, a: Value, val: Value, wrap: Value | None = None) -> Value:
    from tapeless.backends.native.staging.indexing import setitem
    from tapeless.backends.native.staging.shapes import diagonal_view

    assert isinstance(a, ArrayValue)
    if a.ndim != 2 or given(wrap):
        stager.refuse("numpy.fill_diagonal of more than two axes, or wrapped", "write the loop")
    setitem(stager, diagonal_view(stager, storage.make(stager, a), 0), Static(Ellipsis), val)
    return Static(None)
