"""Arrays made of others: concatenated, stacked, rolled, tiled, repeated, padded, and their differences."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import I64, ONE, ZERO, Assign, Expr, Ref, apply, const
from tapeless.backends.native.staging import array_programs, joining_rows, storage, sum_programs
from tapeless.backends.native.staging.broadcasting import broadcast_checked, check_fits, check_same, operand
from tapeless.backends.native.staging.elements import convert
from tapeless.backends.native.staging.elementwise import ufunc
from tapeless.backends.native.staging.indexing import Item, Span, basic_view
from tapeless.backends.native.staging.lowerings import (
    array,
    dtype_of,
    given,
    items_of,
    length_of,
    lowers,
    one_axis,
    option,
    unsupported,
)
from tapeless.backends.native.staging.reductions import finished
from tapeless.backends.native.staging.reshaping import ravel, reshaped
from tapeless.backends.native.staging.shapes import (
    along,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    expand_dims,
    full_spans,
    rows_of,
)
from tapeless.backends.native.staging.storage import fail, known_length
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Element,
    Growing,
    Index,
    Sequence,
    Static,
    Value,
    View,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def joined(stager: Stager, values: AnySequence[ArrayValue], axis: int, dtype: str | None = None) -> View:
    """The arrays one after another along an axis."""
    if not values:
        fail(stager, ValueError, "need at least one array to concatenate")
    first = values[0]
    if any(v.ndim != first.ndim for v in values):
        fail(
            stager,
            ValueError,
            "all the input array dimensions except for the concatenation axis must match exactly",
        )
    if not first.ndim:
        fail(stager, ValueError, "zero-dimensional arrays cannot be concatenated")
    kind = dtype or np.result_type(*[np.dtype(v.dtype) for v in values]).name
    total: Expr = ZERO
    starts = []
    for v in values:
        for k, (n, m) in enumerate(zip(first.shape, v.shape, strict=True)):
            if k != axis:
                message = (
                    "all the input array dimensions except for the concatenation axis must match exactly, "
                    f"but along dimension {k} the arrays differ"
                )
                if known_length(n) != known_length(m) and None not in (known_length(n), known_length(m)):
                    fail(stager, ValueError, message)
                check_same(stager, n, m, ValueError, message)
        starts.append(total)
        total = simplify(total + v.shape[axis])
    result = storage.fresh(stager, (*first.shape[:axis], total, *first.shape[axis + 1 :]), kind)
    for v, start in zip(values, starts, strict=True):
        items: list[Item] = full_spans(v)
        items[axis] = Span(start, ONE, v.shape[axis])
        storage.fill(stager, basic_view(stager, result, items), v)
    return result


@lowers(np.concatenate)
def concatenate(
    stager: Stager, arrays: Value, axis: Value | None = None, out: Value | None = None,
    *, dtype: Value | None = None, casting: Value | None = None,
) -> Value:  # fmt: skip
    if isinstance(arrays, Growing):
        unsupported(stager, "concatenate", dtype=dtype)
        flat = axis is not None and not given(axis)
        rows = joining_rows.concatenated(stager, arrays, None if flat else option(stager, axis, 0))
        return _put(stager, rows, out)
    values = rows_of(stager, arrays)
    if axis is not None and not given(axis):
        values = [ravel(stager, v) for v in values]
    k = one_axis(stager, option(stager, axis, 0) or 0, values[0].ndim) if values and values[0].ndim else 0
    made = joined(stager, values, k, dtype_of(stager, dtype, "") or None if given(dtype) else None)
    return _put(stager, made, out)


def _put(stager: Stager, made: Value, out: Value | None) -> Value:
    """What was joined, stored in `out` if that was given, which has to be of its shape."""
    if given(out) and isinstance(out, ArrayValue):
        own, message = array(stager, made), "Output array is the wrong shape"
        if own.ndim != out.ndim:
            fail(stager, ValueError, message)
        for n, m in zip(own.shape, out.shape, strict=True):
            check_same(stager, n, m, ValueError, message)
    return finished(stager, made, out)


@lowers(np.stack)
def stack(
    stager: Stager, arrays: Value, axis: Value | None = None, out: Value | None = None,
    *, dtype: Value | None = None, casting: Value | None = None,
) -> Value:  # fmt: skip
    if isinstance(arrays, Growing):
        unsupported(stager, "stack", dtype=dtype)
        return _put(stager, joining_rows.stacked(stager, arrays, option(stager, axis, 0)), out)
    values = rows_of(stager, arrays)
    if not values:
        fail(stager, ValueError, "need at least one array to stack")
    if any(v.ndim != values[0].ndim for v in values):
        fail(stager, ValueError, "all input arrays must have the same shape")
    k = one_axis(stager, option(stager, axis, 0), values[0].ndim + 1)
    kind = dtype_of(stager, dtype, "") or None if given(dtype) else None
    return _put(stager, joined(stager, [expand_dims(stager, v, Static(k)) for v in values], k, kind), out)


def _prepared(
    name: str, least: Callable[..., Value], axis: Callable[[ArrayValue], int]
) -> Callable[..., Value]:
    def lowering(
        stager: Stager, tup: Value, *, dtype: Value | None = None, casting: Value | None = None
    ) -> Value:
        if isinstance(tup, Growing):
            unsupported(stager, name, dtype=dtype)
            return joining_rows.by_name(stager, name, tup)
        values = [array(stager, least(stager, v)) for v in rows_of(stager, tup)]
        return joined(
            stager, values, axis(values[0]), dtype_of(stager, dtype, "") or None if given(dtype) else None
        )

    return lowering


hstack = lowers(np.hstack)(_prepared("hstack", atleast_1d, lambda first: 0 if first.ndim == 1 else 1))
vstack = lowers(np.vstack)(_prepared("vstack", atleast_2d, lambda first: 0))
dstack = lowers(np.dstack)(_prepared("dstack", atleast_3d, lambda first: 2))


@lowers(np.column_stack)
def column_stack(stager: Stager, tup: Value) -> Value:
    if isinstance(tup, Growing):
        return joining_rows.by_name(stager, "column_stack", tup)
    values = [v if v.ndim > 1 else expand_dims(stager, v, Static(1)) for v in rows_of(stager, tup)]
    return joined(stager, values, 1)


@lowers(np.append)
def append(stager: Stager, arr: Value, values: Value, axis: Value | None = None) -> Value:
    pair = [array(stager, arr), array(stager, values)]
    if not given(axis):
        return joined(stager, [ravel(stager, v) for v in pair], 0)
    return joined(stager, pair, one_axis(stager, option(stager, axis), pair[0].ndim))


@lowers(np.block)
def block(stager: Stager, arrays: Value) -> Value:
    def depth(v: Value) -> int:
        return 1 + max(map(depth, v.items), default=0) if isinstance(v, Sequence) and v.kind is list else 0

    levels = depth(arrays)

    def made(v: Value, level: int) -> ArrayValue:
        if isinstance(v, Sequence) and v.kind is list:
            inner = [made(x, level + 1) for x in v.items]
            ndim = max(levels, *(x.ndim for x in inner))
            return joined(stager, inner, ndim - levels + level) if len(inner) > 1 else inner[0]
        value = array(stager, v)
        while value.ndim < levels:
            value = expand_dims(stager, value, Static(0))
        return value

    return made(arrays, 0)


# ---- moved and repeated elements


@lowers(np.roll)
def roll(stager: Stager, a: Value, shift: Value, axis: Value | None = None) -> Value:
    value = array(stager, a)
    if not given(axis):
        if value.ndim == 1:
            return _rolled(stager, value, shift, 0)
        shape = value.shape
        return reshaped(stager, _rolled(stager, ravel(stager, value), shift, 0), shape)
    known = option(stager, axis)
    axes = [
        one_axis(stager, k, value.ndim) for k in (known if isinstance(known, (tuple, list)) else (known,))
    ]
    shifts = items_of(stager, shift) if isinstance(shift, Sequence) else [shift] * len(axes)
    if isinstance(shift, Static) and isinstance(shift.obj, (tuple, list)):
        shifts = [Static(s) for s in shift.obj]
    for k, by in zip(axes, shifts, strict=True):
        value = _rolled(stager, value, by, k)
    return value


def _rolled(stager: Stager, value: ArrayValue, shift: Value, axis: int) -> ArrayValue:
    """Two pieces along the last axis, so rows are copied; elsewhere the row is looked up."""
    n = value.shape[axis]
    by = stager.bind(apply("mod", length_of(stager, shift), apply("maximum", n, ONE)), "shift")
    if axis != value.ndim - 1:
        source = storage.make(stager, value) if storage.cost(value) > storage.CHEAP else value

        def element(index: Index) -> Element:
            i = simplify(index[axis] - by)
            i = stager.bind(apply("select", apply("lt", i, ZERO), i + n, i), "i")
            return storage.at(stager, source, (*index[:axis], i, *index[axis + 1 :]))

        return storage.lazy(stager, value.shape, value.dtype, element, [source], storage.cost(source) + 1)
    result = storage.fresh(stager, value.shape, value.dtype)
    rest = simplify(n - by)
    for start, to, length in ((ZERO, by, rest), (rest, ZERO, by)):
        if length == ZERO:
            continue
        with storage.nest(stager, (*value.shape[:axis], length)) as index:
            *outer, i = index
            element_ = storage.at(stager, value, (*outer, simplify(i + start)))
            storage.store(stager, result, (*outer, simplify(i + to)), element_)
    return result


@lowers(np.tile)
def tile(stager: Stager, A: Value, reps: Value) -> Value:
    value = array(stager, A)
    counts = [
        length_of(stager, v) for v in (items_of(stager, reps) if not _is_number(stager, reps) else [reps])
    ]
    while value.ndim < len(counts):
        value = expand_dims(stager, value, Static(0))
    counts = [ONE] * (value.ndim - len(counts)) + counts
    shape = tuple(
        stager.bind(simplify(apply("mul", n, apply("maximum", c, ZERO))))
        for n, c in zip(value.shape, counts, strict=True)
    )
    result = storage.fresh(stager, shape, value.dtype)
    copies = tuple(apply("maximum", c, ZERO) for c in counts)
    with storage.nest(stager, copies) as copy, storage.nest(stager, value.shape) as index:
        place = tuple(
            simplify(apply("mul", c, n) + i) for c, n, i in zip(copy, value.shape, index, strict=True)
        )
        storage.store(stager, result, place, storage.at(stager, value, index))
    return result


def _is_number(stager: Stager, value: Value) -> bool:
    return not isinstance(value, (Sequence, ArrayValue)) and not (
        isinstance(value, Static) and isinstance(value.obj, (tuple, list, np.ndarray))
    )


@lowers(np.repeat, method="repeat")
def repeat(stager: Stager, a: Value, repeats: Value, axis: Value | None = None) -> Value:
    value = array(stager, a)
    if not given(axis):
        value, k = ravel(stager, value), 0
    else:
        k = one_axis(stager, option(stager, axis), value.ndim)
    n = value.shape[k]
    if _is_number(stager, repeats):
        times = length_of(stager, repeats)
        stager.check(apply("ge", times, ZERO), ValueError, "negative dimensions are not allowed")
        total = stager.bind(simplify(apply("mul", n, times)), "n")
        result = storage.fresh(stager, (*value.shape[:k], total, *value.shape[k + 1 :]), value.dtype)
        shape = (*value.shape[: k + 1], times, *value.shape[k + 1 :])
        with storage.nest(stager, shape) as index:
            own = (*index[: k + 1], *index[k + 2 :])
            place = (*index[:k], simplify(apply("mul", index[k], times) + index[k + 1]), *index[k + 2 :])
            storage.store(stager, result, place, storage.at(stager, value, own))
        return result
    counts = array(stager, repeats)
    if counts.shape and counts.shape[0] == ONE and n != ONE:
        counts = broadcast_checked(
            stager, counts, (n,), "operands could not be broadcast together with shape {} {}"
        )
    check_same(stager, counts.shape[0], n, ValueError, "operands could not be broadcast together")
    from tapeless.backends.native.staging.reductions import sum_

    number = operand(stager, sum_(stager, counts)).at(stager, ())
    assert isinstance(number, Expr)
    result = storage.fresh(stager, (*value.shape[:k], number, *value.shape[k + 1 :]), value.dtype)
    rest = (*value.shape[:k], *value.shape[k + 1 :])
    position = stager.scalar(I64, "k")
    stager.emit(Assign(position, ZERO))
    with storage.nest(stager, (n,), independent=False) as (i,):
        times_ = storage.at(stager, counts, (i,))
        assert isinstance(times_, Expr)
        with storage.nest(stager, (stager.bind(times_, "times"),), independent=False):
            with storage.nest(stager, rest) as index:
                element = storage.at(stager, value, (*index[:k], i, *index[k:]))
                storage.store(stager, result, (*index[:k], Ref(position), *index[k:]), element)
            stager.emit(Assign(position, Ref(position) + 1))
    return result


@lowers(np.pad)
def pad(
    stager: Stager, array_: Value, pad_width: Value, mode: Value | None = None,
    *, constant_values: Value | None = None, **options: Value,
) -> Value:  # fmt: skip
    value = array(stager, array_)
    widths = stager.known(pad_width)
    pairs = np.broadcast_to(np.asarray(widths, dtype=int), (value.ndim, 2)).tolist()
    how = option(stager, mode, "constant")
    if how in ("linear_ramp", "mean", "maximum", "minimum", "median") or (
        how == "constant" and constant_values is not None and not _is_number(stager, constant_values)
    ):
        return _edges(stager, value, pairs, how, {**options, "constant_values": constant_values})
    if options or how not in ("constant", "edge", "wrap", "reflect", "symmetric"):
        stager.refuse(
            f"numpy.pad with mode {how!r}", "use the mode constant, edge, wrap, reflect or symmetric"
        )
    shape = tuple(simplify(n + (a + b)) for n, (a, b) in zip(value.shape, pairs, strict=True))
    if how == "constant":
        fill = constant_values if constant_values is not None else Static(0)
        check_fits(stager, fill, value.dtype)
        o = operand(stager, fill)
        result = storage.filled(stager, shape, value.dtype, convert(o.at(stager, ()), o.dtype, value.dtype))
        items: list[Item] = [Span(const(a), ONE, n) for n, (a, _) in zip(value.shape, pairs, strict=True)]
        storage.fill(stager, basic_view(stager, result, items), value)
        return result
    source = storage.make(stager, value) if storage.cost(value) > storage.CHEAP else value

    def own(i: Expr, n: Expr, before: int, after: int) -> Expr:
        i = simplify(i - before)
        if not before and not after:
            return i
        if how == "edge":
            return apply("minimum", apply("maximum", i, ZERO), simplify(n - 1))
        if how == "wrap":
            return apply("mod", i, n)
        less = 1 if how == "symmetric" else 0  # the edge itself counts twice
        period = simplify(apply("mul", n, const(2)) - (0 if less else 2))
        period = apply("maximum", period, ONE)
        j = stager.bind(apply("mod", i, period), "i")
        back = simplify(period - j - less)
        return apply("select", apply("lt", j, n), j, back)

    def element(index: Index) -> Element:
        places = tuple(
            stager.bind(own(i, n, a, b), "i") for i, n, (a, b) in zip(index, source.shape, pairs, strict=True)
        )
        return storage.at(stager, source, places)

    for n in value.shape:
        message = "can't extend empty axis using modes other than 'constant' or 'empty'"
        stager.check(apply("gt", n, ZERO), ValueError, message)
    return storage.lazy(stager, shape, value.dtype, element, [source], storage.cost(source) + 5)


def _edges(
    stager: Stager, value: ArrayValue, pairs: list[list[int]], how: str, options: dict[str, Value | None]
) -> Value:
    """Edges that have no simple element: means, ramps, a constant for each side."""
    names = {"constant": {"constant_values"}, "linear_ramp": {"end_values"}}.get(how, {"stat_length"})
    wrong = [k for k, v in options.items() if v is not None and k not in names]
    if wrong or (not value.dtype.startswith("float") and how != "constant"):
        stager.refuse(f"numpy.pad with mode {how!r} here", "join the edges to the array")
    given_to = options.get(names.pop())
    ends: Value = Static([[None, None]] * value.ndim)
    length = ends
    if how in ("constant", "linear_ramp"):
        ends = Static(np.zeros((value.ndim, 2)).tolist())
        if given_to is not None:
            whole = broadcast_checked(
                stager, array(stager, given_to), (const(value.ndim), const(2)), "could not broadcast {} to {}"
            )
            ends = storage.make(stager, whole)
    elif given_to is not None and given(given_to):
        lengths = np.broadcast_to(np.asarray(stager.known(given_to), dtype=int), (value.ndim, 2))
        length = Static(lengths.tolist())
    made: Value = stager.call(Static(sum_programs.pad), [value, Static(pairs), Static(how), ends, length], {})
    return made


# ---- differences


@lowers(np.diff)
def diff(
    stager: Stager, a: Value, n: Value | None = None, axis: Value | None = None,
    prepend: Value | None = None, append: Value | None = None,
) -> Value:  # fmt: skip
    unsupported(stager, "diff", prepend=prepend, append=append)
    times = int(option(stager, n, 1))
    if times < 0:
        fail(stager, ValueError, f"order must be non-negative but got {times}")
    if not times:
        return a
    value = array(stager, a)
    if not value.ndim:
        fail(stager, ValueError, "diff requires input that is at least one dimensional")
    k = one_axis(stager, option(stager, axis, -1), value.ndim)
    for _ in range(times):
        if storage.cost(value) > storage.CHEAP:
            value = storage.make(stager, value)
        pair: list[Value] = [
            along(stager, value, k, slice(1, None)),
            along(stager, value, k, slice(None, -1)),
        ]
        value = array(stager, ufunc(stager, np.not_equal if value.dtype == "bool" else np.subtract, pair))
    return value


@lowers(np.gradient)
def gradient(
    stager: Stager, f: Value, *varargs: Value, axis: Value | None = None, edge_order: Value | None = None
) -> Value:
    value = storage.make(stager, array(stager, f))
    known = option(stager, axis)
    axes = list(range(value.ndim)) if known is None else [
        one_axis(stager, k, value.ndim) for k in (known if isinstance(known, (tuple, list)) else (known,))
    ]  # fmt: skip
    edges = int(option(stager, edge_order, 1))
    steps = list(varargs) if varargs else [Static(1.0)]
    steps = steps * len(axes) if len(steps) == 1 else steps
    if len(steps) != len(axes):
        fail(stager, TypeError, "invalid number of arguments")
    made: list[Value] = []
    for k, h in zip(axes, steps, strict=True):
        if operand(stager, h).shape or edges != 1:
            given_to = [value, h, Static(k), Static(edges)]
            made.append(stager.call(Static(array_programs.gradient_along), given_to, {}))
        else:
            made.append(_slope(stager, value, k, h))
    return made[0] if len(made) == 1 else Sequence(made, tuple)


def _slope(stager: Stager, value: View, k: int, h: Value) -> Value:
    kind = value.dtype if value.dtype in ("float32", "float64", "complex128", "complex64") else "float64"
    stager.check(
        apply("ge", value.shape[k], const(2)), ValueError,
        "Shape of array too small to calculate a numerical gradient, at least (edge_order + 1) elements are "
        "required.",
    )  # fmt: skip
    result = storage.fresh(stager, value.shape, kind)

    def part(of: ArrayValue, a: int | None, b: int | None) -> ArrayValue:
        return along(stager, of, k, slice(a, b))

    def put(a: int | None, b: int | None, more: ArrayValue, less: ArrayValue, by: Value) -> None:
        target = part(result, a, b)
        assert isinstance(target, View)
        change = ufunc(stager, np.true_divide, [ufunc(stager, np.subtract, [more, less]), by])
        storage.fill(stager, target, array(stager, change))

    wide = ufunc(stager, np.multiply, [h, Static(2.0)])
    put(1, -1, part(value, 2, None), part(value, None, -2), wide)
    put(None, 1, part(value, 1, 2), part(value, None, 1), h)
    put(-1, None, part(value, -1, None), part(value, -2, -1), h)
    return result
