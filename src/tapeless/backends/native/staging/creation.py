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
from tapeless.backends.native.staging import array_programs, storage
from tapeless.backends.native.staging.broadcasting import (
    Operand,
    broadcast_checked,
    check_fits,
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
    Flat,
    Growing,
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


def checked_lengths(stager: Stager, shape: storage.Shape) -> storage.Shape:
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
        lengths = checked_lengths(stager, shape_of(stager, shape))
        if value is None:
            return storage.fresh(stager, lengths, kind)
        return constant(stager, lengths, kind, literal(value, kind))

    return lowering


zeros = lowers(np.zeros)(_constant_maker(0))
ones = lowers(np.ones)(_constant_maker(1))
empty = lowers(np.empty)(_constant_maker(None))


@lowers(np.ndarray)
def ndarray(stager: Stager, shape: Value, dtype: Value | None = None, **options: Value) -> Value:
    unsupported(stager, "ndarray", **options)
    return empty(stager, shape, dtype)


@lowers(np.full)
def full(
    stager: Stager, shape: Value, fill_value: Value, dtype: Value | None = None, order: Value | None = None,
    *, device: Value | None = None, like: Value | None = None,
) -> Value:  # fmt: skip
    unsupported(stager, "full", like=like)
    o = operand(stager, fill_value)
    kind = dtype_of(stager, dtype, o.dtype)
    check_fits(stager, fill_value, kind)
    lengths = checked_lengths(stager, shape_of(stager, shape))
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
        lengths = (
            own.shape if not given(shape) else checked_lengths(stager, shape_of(stager, shape or Static(())))
        )
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
    assert isinstance(made, View)
    check_fits(stager, fill_value, made.dtype)
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
        from tapeless.backends.native.staging.indexing import slice_length

        distance = simplify(high - low) if by.value > 0 else simplify(low - high)
        count = stager.bind(slice_length(stager, distance, abs(int(by.value))), "n")

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
        if given(retstep) or given(dtype):
            stager.refuse("numpy.linspace between arrays with retstep or dtype", "leave them out")
        options = [start, stop, num or Static(50), endpoint or Static(True), axis or Static(0)]
        made_between: Value = stager.call(Static(array_programs.linspace_between), options, {})
        return made_between
    kind = "float64" if any(o.dtype != "float32" for o in ends) else "float64"
    kind = dtype_of(stager, dtype, kind)
    n = ends_count = length_of(stager, num) if num is not None else const(50)
    n = checked_lengths(stager, (n,))[0]
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

    unsupported(stager, "logspace", dtype=dtype, axis=axis)
    made = linspace(stager, start, stop, num, endpoint)
    return ufunc(stager, np.power, [base if base is not None else Static(10.0), made])


@lowers(np.geomspace)
def geomspace(
    stager: Stager, start: Value, stop: Value, num: Value | None = None, endpoint: Value | None = None,
    dtype: Value | None = None, axis: Value | None = None,
) -> Value:  # fmt: skip
    from tapeless.backends.native.staging.elementwise import ufunc
    from tapeless.backends.native.staging.reductions import all_

    unsupported(stager, "geomspace", dtype=dtype, axis=axis)
    alike = ufunc(stager, np.greater, [ufunc(stager, np.multiply, [start, stop]), Static(0.0)])
    stager.replay_unless(stager.as_expr(all_(stager, alike)))  # else complex numbers, or an error
    low, high = (ufunc(stager, np.log, [ufunc(stager, np.abs, [v])]) for v in (start, stop))
    made = ufunc(stager, np.exp, [linspace(stager, low, high, num, endpoint)])
    return ufunc(stager, np.multiply, [ufunc(stager, np.sign, [start]), made])


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
    may_share = copy is not None and option(stager, copy, True) is not True  # False, None or IF_NEEDED
    if isinstance(object, ArrayValue) and not may_share:
        if made is object or (isinstance(made, View) and isinstance(object, View)):
            made = storage.store_copy(stager, made)
    least = int(option(stager, ndmin, 0))
    while made.ndim < least:
        from tapeless.backends.native.staging.shapes import expand_dims

        made = expand_dims(stager, made, Static(0))
    return made


def _as_array(stager: Stager, value: Value, dtype: Value | None) -> ArrayValue:
    if isinstance(value, Growing):
        value = array(stager, value)
    if isinstance(value, Flat):
        stager.refuse("an array of a flat iterator, which may be a view of it", "use ravel() or flatten()")
    if isinstance(value, ArrayValue):
        kind = dtype_of(stager, dtype, value.dtype)
        return value if kind == value.dtype else storage.make(stager, astype(stager, value, kind))
    number = scalar_element(value)
    if number is not None:
        element, spec = number
        kind = dtype_of(stager, dtype, own_dtype(spec))
        check_fits(stager, value, kind)
        return storage.filled(stager, (), kind, convert(element, own_dtype(spec), kind))
    known = option(stager, dtype)
    kind_given = None if known is None else dtype_of(stager, dtype, "float64")
    check_fits(stager, value, kind_given or "float64")
    if isinstance(value, Sequence):
        return from_sequence(stager, value, kind_given)
    return from_sequence(stager, Sequence(items_of(stager, value), list), kind_given)


@lowers(np.asarray, np.asanyarray)
def asarray(
    stager: Stager, a: Value, dtype: Value | None = None, order: Value | None = None,
    *, device: Value | None = None, copy: Value | None = None, like: Value | None = None,
) -> Value:  # fmt: skip
    if copy is not None and option(stager, copy):
        return array_(stager, a, dtype)
    return _as_array(stager, a, dtype)


@lowers(np.ascontiguousarray)
def ascontiguousarray(
    stager: Stager, a: Value, dtype: Value | None = None, *, like: Value | None = None
) -> Value:
    from tapeless.backends.native.staging import strides

    view = storage.make(stager, _as_array(stager, a, dtype))
    side_by_side = strides.row_major(stager, view)
    if side_by_side:
        return view
    copy = storage.store_copy(stager, view)
    if side_by_side is None:
        strides.doubtful(stager, view, copy)
    return copy


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
    check_fits(stager, src, dst.dtype)
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
