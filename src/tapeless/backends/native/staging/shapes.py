"""The same elements in another order or shape: transposes, new axes, flips, splits; and diagonals."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import ONE, ZERO, Const, Expr, apply, const
from tapeless.backends.native.staging import storage
from tapeless.backends.native.staging.broadcasting import (
    broadcast_checked,
    broadcast_shapes,
)
from tapeless.backends.native.staging.broadcasting import (
    broadcast_to as spread,
)
from tapeless.backends.native.staging.indexing import (
    At,
    Item,
    New,
    Span,
    axis_of,
    basic_view,
    getitem,
    lazy_slice,
    result_shape,
    span,
)
from tapeless.backends.native.staging.lowerings import (
    array,
    axes_of,
    given,
    items_of,
    lowers,
    one_axis,
    option,
    shape_of,
)
from tapeless.backends.native.staging.storage import fail, known_length
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Axis,
    Element,
    Index,
    Lazy,
    Number,
    Sequence,
    Static,
    Value,
    View,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def sliced(stager: Stager, value: ArrayValue, items: list[Item]) -> ArrayValue:
    """The part of an array that items without arrays choose."""
    if isinstance(value, Lazy) and value.made is None and value.uses <= 1:
        return lazy_slice(stager, value, items, result_shape(items))
    return basic_view(stager, storage.make(stager, value), items)


def full_spans(value: ArrayValue) -> list[Item]:
    return [Span(ZERO, ONE, n) for n in value.shape]


def along(stager: Stager, value: ArrayValue, axis: int, part: slice) -> ArrayValue:
    """A slice of one axis."""
    items = full_spans(value)
    items[axis] = span(stager, value.shape[axis], *map(Static, (part.start, part.stop, part.step)))
    return sliced(stager, value, items)


# ---- the order of axes


def permute(stager: Stager, value: ArrayValue, order: AnySequence[int]) -> ArrayValue:
    """The array with its axes in another order."""
    order = list(order)
    if order == list(range(value.ndim)):
        return value
    shape = tuple(value.shape[k] for k in order)
    where = {old: new for new, old in enumerate(order)}
    if isinstance(value, Lazy) and value.made is None and value.uses <= 1:
        source = value

        def element(index: Index) -> Element:
            return storage.at(stager, source, tuple(index[where[k]] for k in range(len(index))))

        made = storage.lazy(stager, shape, value.dtype, element, [value], value.cost)
        storage.turned(stager, made, source, order)
        return made
    view = storage.make(stager, value)
    axes = tuple(
        Axis(
            a.start,
            a.step,
            None if a.of is None else where[a.of],
            tuple((step, where[of]) for step, of in a.more),
        )
        for a in view.axes
    )
    return View(view.array, axes, shape, view.dtype)


@lowers(np.transpose)
def transpose(stager: Stager, a: Value, axes: Value | None = None) -> Value:
    value = array(stager, a)
    known = option(stager, axes)
    order = (
        list(range(value.ndim))[::-1] if known is None else [one_axis(stager, k, value.ndim) for k in known]
    )
    if sorted(order) != list(range(value.ndim)):
        fail(stager, ValueError, "axes don't match array")
    return permute(stager, value, order)


@lowers(method="transpose")
def transpose_method(stager: Stager, a: ArrayValue, *axes: Value) -> Value:
    if len(axes) == 1 and not isinstance(axes[0], Number):
        known = option(stager, axes[0])
        return transpose(stager, a, axes[0] if isinstance(known, (tuple, list)) else Static((known,)))
    return transpose(stager, a, Static(tuple(stager.known(v) for v in axes)) if axes else None)


@lowers(np.matrix_transpose)
def matrix_transpose(stager: Stager, x: Value) -> Value:
    value = array(stager, x)
    return swapaxes(stager, value, Static(-1), Static(-2))


@lowers(np.swapaxes, method="swapaxes")
def swapaxes(stager: Stager, a: Value, axis1: Value, axis2: Value) -> Value:
    value = array(stager, a)
    i, j = (one_axis(stager, stager.known(v), value.ndim) for v in (axis1, axis2))
    order = list(range(value.ndim))
    order[i], order[j] = order[j], order[i]
    return permute(stager, value, order)


@lowers(np.moveaxis)
def moveaxis(stager: Stager, a: Value, source: Value, destination: Value) -> Value:
    value = array(stager, a)
    ends = []
    for v in (source, destination):
        known = stager.known(v)
        several = known if isinstance(known, (tuple, list)) else (known,)
        ends.append([one_axis(stager, k, value.ndim) for k in several])
    order = [k for k in range(value.ndim) if k not in ends[0]]
    for to, of in sorted(zip(ends[1], ends[0], strict=True)):
        order.insert(to, of)
    return permute(stager, value, order)


@lowers(np.rollaxis)
def rollaxis(stager: Stager, a: Value, axis: Value, start: Value | None = None) -> Value:
    value = array(stager, a)
    k = one_axis(stager, stager.known(axis), value.ndim)
    to = int(option(stager, start, 0))
    to = to + value.ndim if to < 0 else to
    order = [i for i in range(value.ndim) if i != k]
    order.insert(to - 1 if k < to else to, k)
    return permute(stager, value, order)


# ---- axes of length 1


@lowers(np.expand_dims)
def expand_dims(stager: Stager, a: Value, axis: Value) -> ArrayValue:
    value = array(stager, a)
    known = stager.known(axis)
    several = known if isinstance(known, (tuple, list)) else (known,)
    ndim = value.ndim + len(several)
    new = {one_axis(stager, k, ndim) for k in several}
    old = iter(full_spans(value))
    return sliced(stager, value, [New() if k in new else next(old) for k in range(ndim)])


@lowers(np.squeeze, method="squeeze")
def squeeze(stager: Stager, a: Value, axis: Value | None = None) -> Value:
    value = array(stager, a)
    if given(axis):
        gone = set(axes_of(stager, axis, value.ndim))
        message = "cannot select an axis to squeeze out which has size not equal to one"
        for k in gone:
            if known_length(value.shape[k]) not in (1, None):
                fail(stager, ValueError, message)
            stager.check(apply("eq", value.shape[k], ONE), ValueError, message)
    else:
        gone = {k for k, n in enumerate(value.shape) if n == ONE}
    items: list[Item] = [At(ZERO) if k in gone else Span(ZERO, ONE, n) for k, n in enumerate(value.shape)]
    return sliced(stager, value, items)


def _at_least(ndim: int) -> Callable[..., Value]:
    def one(stager: Stager, a: Value) -> Value:
        value = array(stager, a)
        if value.ndim >= ndim:
            return value
        items: list[Item] = {0: [], 1: full_spans(value), 2: full_spans(value)}[value.ndim]
        if ndim == 3 and value.ndim == 2:
            items = [*items, New()]
        elif ndim == 3 and value.ndim == 1:
            items = [New(), *items, New()]
        else:
            items = [*[New()] * (ndim - value.ndim), *items]
        return sliced(stager, value, items)

    def lowering(stager: Stager, *arys: Value) -> Value:
        made = [one(stager, a) for a in arys]
        return made[0] if len(made) == 1 else Sequence(made, tuple)

    return lowering


atleast_1d = lowers(np.atleast_1d)(_at_least(1))
atleast_2d = lowers(np.atleast_2d)(_at_least(2))
atleast_3d = lowers(np.atleast_3d)(_at_least(3))


@lowers(np.broadcast_to)
def broadcast_to(stager: Stager, array_: Value, shape: Value, subok: Value | None = None) -> Value:
    value = array(stager, array_)
    lengths = shape_of(stager, shape)
    message = (
        "operands could not be broadcast together with remapped shapes [original->remapped]: {} and "
        "requested shape {}"
    )
    if value.ndim > len(lengths):
        fail(stager, ValueError, "input operand has more dimensions than allowed by the axis remapping")
    return broadcast_checked(stager, value, lengths, message)


@lowers(np.broadcast_arrays)
def broadcast_arrays(stager: Stager, *args: Value, subok: Value | None = None) -> Value:
    values = [array(stager, a) for a in args]
    shape = broadcast_shapes(stager, [v.shape for v in values])
    return Sequence([spread(stager, v, shape) for v in values], tuple)


# ---- flips, splits, diagonals, windows


@lowers(np.flip)
def flip(stager: Stager, m: Value, axis: Value | None = None) -> Value:
    value = array(stager, m)
    items = full_spans(value)
    for k in axes_of(stager, axis, value.ndim):
        items[k] = Span(simplify(value.shape[k] - 1), const(-1), value.shape[k])
    return sliced(stager, value, items)


@lowers(np.flipud)
def flipud(stager: Stager, m: Value) -> Value:
    return flip(stager, m, Static(0))


@lowers(np.fliplr)
def fliplr(stager: Stager, m: Value) -> Value:
    return flip(stager, m, Static(1))


@lowers(np.rot90)
def rot90(stager: Stager, m: Value, k: Value | None = None, axes: Value | None = None) -> Value:
    turns = int(option(stager, k, 1)) % 4
    i, j = option(stager, axes, (0, 1))
    value = array(stager, m)
    pair = (Static(i), Static(j))
    if turns == 0:
        return value
    if turns == 2:
        return flip(stager, value, Static((i, j)))
    if turns == 1:
        return swapaxes(stager, flip(stager, value, pair[1]), *pair)
    return flip(stager, swapaxes(stager, value, *pair), pair[1])


def _split(sections_must_fit: bool, fixed_axis: int | None = None) -> Callable[..., Value]:
    def lowering(stager: Stager, ary: Value, indices_or_sections: Value, axis: Value | None = None) -> Value:
        value = array(stager, ary)
        k = one_axis(stager, option(stager, axis, 0) if fixed_axis is None else fixed_axis, value.ndim)
        n = value.shape[k]
        several = isinstance(indices_or_sections, (ArrayValue, Sequence)) and (
            not isinstance(indices_or_sections, ArrayValue) or indices_or_sections.ndim == 1
        )
        known = None if several else stager.known(indices_or_sections)
        if isinstance(known, (int, np.integer)):
            count = int(known)
            if sections_must_fit:
                message = "array split does not result in an equal division"
                if known_length(n) is not None and (known_length(n) or 0) % count:
                    fail(stager, ValueError, message)
                stager.check(apply("eq", apply("mod", n, const(count)), ZERO), ValueError, message)
                size = apply("floordiv", n, const(count))
                ends = [(simplify(apply("mul", size, const(i))), size) for i in range(count)]
            else:
                length = stager.known_expr(n, "an array is split")
                sizes = [length // count + (i < length % count) for i in range(count)]
                ends = [(const(sum(sizes[:i])), const(s)) for i, s in enumerate(sizes)]
            parts = [Span(start, ONE, size) for start, size in ends]
        else:
            cuts = [Static(None), *items_of(stager, indices_or_sections), Static(None)]
            parts = [span(stager, n, a, b, Static(None)) for a, b in itertools.pairwise(cuts)]
        made: list[Value] = []
        source = storage.make(stager, value)
        for part in parts:
            items = full_spans(value)
            items[k] = part
            made.append(basic_view(stager, source, items))
        return Sequence(made, list)

    return lowering


split = lowers(np.split)(_split(True))
array_split = lowers(np.array_split)(_split(False))
vsplit = lowers(np.vsplit)(_split(True, 0))
hsplit = lowers(np.hsplit)(_split(True, 1))


def diagonal_view(stager: Stager, view: View, offset: int, axes: tuple[int, int] = (0, 1)) -> View:
    """The diagonal as the last axis of a view."""
    i, j = axes
    down, right = max(-offset, 0), max(offset, 0)
    rows, columns = simplify(view.shape[i] - down), simplify(view.shape[j] - right)
    if storage.same_length(rows, columns):
        length = rows
    else:
        length = apply("minimum", rows, columns)
        if isinstance(length, Const):
            length = const(max(int(length.value), 0))
        elif down or right:
            length = apply("maximum", length, ZERO)
    rest = [k for k in range(view.ndim) if k not in axes]
    last = len(rest)
    made = []
    for a in view.axes:
        start = a.start
        terms: list[tuple[Expr, int]] = []
        for step, of in (*(() if a.of is None else ((a.step, a.of),)), *a.more):
            if of in axes:
                start = simplify(start + apply("mul", step, const(down if of == i else right)))
                terms.append((step, last))
            else:
                terms.append((step, rest.index(of)))
        made.append(axis_of(start, terms))
    return View(view.array, tuple(made), (*(view.shape[k] for k in rest), length), view.dtype)


@lowers(np.diagonal, method="diagonal")
def diagonal(
    stager: Stager, a: Value, offset: Value | None = None, axis1: Value | None = None,
    axis2: Value | None = None,
) -> View:  # fmt: skip
    value = array(stager, a)
    axes = (
        one_axis(stager, option(stager, axis1, 0), value.ndim),
        one_axis(stager, option(stager, axis2, 1), value.ndim),
    )
    return diagonal_view(stager, storage.make(stager, value), int(option(stager, offset, 0)), axes)


@lowers(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    stager: Stager, x: Value, window_shape: Value, axis: Value | None = None, *,
    subok: Value | None = None, writeable: Value | None = None,
) -> Value:  # fmt: skip
    view = storage.make(stager, array(stager, x))
    sizes = shape_of(stager, window_shape)
    axes = axes_of(stager, axis, view.ndim)
    if len(sizes) != len(axes):
        fail(stager, ValueError, "Since axis is None, must provide window_shape for all dimensions of `x`")
    shape = list(view.shape)
    window: dict[int, list[int]] = {}
    for m, k in enumerate(axes):
        left = simplify(shape[k] - sizes[m] + 1)
        stager.check(
            apply("ge", left, ONE), ValueError, "window shape cannot be larger than input array shape"
        )
        shape[k] = left
        window.setdefault(k, []).append(view.ndim + m)
    made = []
    for a in view.axes:
        terms: list[tuple[Expr, int]] = []
        for step, of in (*(() if a.of is None else ((a.step, a.of),)), *a.more):
            terms += [(step, new) for new in (of, *window.get(of, []))]
        made.append(axis_of(a.start, terms))
    return View(view.array, tuple(made), (*shape, *sizes), view.dtype)


def rows_of(stager: Stager, value: Value) -> list[ArrayValue]:
    """The arrays of a sequence, or the rows of an array."""
    if isinstance(value, ArrayValue):
        n = stager.known_expr(value.shape[0], "an array is used as a list of arrays")
        return [array(stager, getitem(stager, value, Static(k))) for k in range(int(n))]
    return [array(stager, v) for v in items_of(stager, value)]
