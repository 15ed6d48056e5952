"""Indices: integers, slices, new axes and Ellipsis make views; arrays and masks are in `fancy`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import (
    I64,
    ONE,
    ZERO,
    Apply,
    Const,
    Expr,
    apply,
    const,
)
from tapeless.backends.native.staging import storage
from tapeless.backends.native.staging.base import Text
from tapeless.backends.native.staging.broadcasting import broadcast_checked, check_fits, operand, to_array
from tapeless.backends.native.staging.elements import convert, value_of
from tapeless.backends.native.staging.storage import fail, known_length
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Axis,
    Element,
    Flat,
    Growing,
    Index,
    Lazy,
    Number,
    Range,
    Sequence,
    Slice,
    Static,
    Value,
    View,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


@dataclass(frozen=True, slots=True)
class At:
    """An integer: the axis is gone."""

    place: Expr


@dataclass(frozen=True, slots=True)
class Span:
    """A slice: `start + step * i` for i below `length`."""

    start: Expr
    step: Expr
    length: Expr


@dataclass(frozen=True, slots=True)
class New:
    """None: an axis of length 1."""


@dataclass(frozen=True, slots=True)
class Pick:
    """An array of integers, checked and not negative: the element of the axis for each of them."""

    places: ArrayValue


@dataclass(frozen=True, slots=True)
class Mask:
    """A boolean array over as many axes as it has."""

    mask: ArrayValue


Item = At | Span | New | Pick | Mask


def getitem(stager: Stager, value: Value, index: Value) -> Value:
    """`value[index]` of an array, or of a NumPy scalar (`x[..., None]`)."""
    value = to_array(stager, value)
    items = parse(stager, value, index)
    if not value.ndim and _is_empty_tuple(index):  # not a view, as a[...] is
        return value_of(stager, storage.at(stager, value, ()), value.dtype)
    if any(isinstance(i, (Pick, Mask)) for i in items):
        from tapeless.backends.native.staging import fancy

        return fancy.read(stager, value, items)
    made = basic(stager, value, items)
    return storage.store_copy(stager, made) if isinstance(value, Flat) and isinstance(made, View) else made


def _is_empty_tuple(index: Value) -> bool:
    if isinstance(index, Sequence):
        return index.kind is tuple and not index.items
    return isinstance(index, Static) and type(index.obj) is tuple and not index.obj


def setitem(stager: Stager, value: ArrayValue, index: Value, new: Value) -> None:
    from tapeless.backends.native.staging.elementwise import writable

    items = parse(stager, value, index)
    check_fits(stager, new, value.dtype)
    if any(isinstance(i, (Pick, Mask)) for i in items):
        from tapeless.backends.native.staging import fancy

        fancy.write(stager, writable(stager, value), items, new)
        return
    target = basic_view(stager, writable(stager, value), items)
    o = operand(stager, new)
    if not target.shape and not o.shape:
        element = convert(o.at(stager, ()), o.dtype, target.dtype)
        storage.before_write(stager, target.array.root)
        storage.store(stager, target, (), element)
        return
    array = o.array if o.array is not None else to_array(stager, new)
    if array.ndim > target.ndim and not target.ndim and known_length(storage.size_of(array.shape)) != 1:
        fail(stager, ValueError, "setting an array element with a sequence.")
    message = "could not broadcast input array from shape {} into shape {}"
    storage.assign(stager, target, broadcast_checked(stager, array, target.shape, message))


def augitem(stager: Stager, value: ArrayValue, index: Value, op: str, new: Value) -> None:
    """`value[index] op= new`."""
    from tapeless.backends.native.staging import elementwise, fancy

    items = parse(stager, value, index)
    if any(isinstance(i, (Pick, Mask)) for i in items):
        fancy.update(stager, elementwise.writable(stager, value), items, op, new)
        return
    target = basic_view(stager, elementwise.writable(stager, value), items)
    if target.shape or op == "MatMult":
        elementwise.inplace(stager, target, op, new)
        return
    o = operand(stager, new)
    if o.shape:
        fail(stager, ValueError, "setting an array element with a sequence.")
    storage.before_write(stager, target.array.root)
    elementwise.update_element(stager, target, (), op, new)


# ---- what an index says


def parse(stager: Stager, value: ArrayValue, index: Value) -> list[Item]:
    """An item for each axis of the result and of the array; missing axes are full slices."""
    given = list(index.items) if isinstance(index, Sequence) and index.kind is tuple else [index]
    if isinstance(index, Static) and isinstance(index.obj, tuple):
        given = [Static(x) for x in index.obj]
    used = sum(_axes_of(stager, v) for v in given)
    if used > value.ndim:
        message = f"too many indices for array: array is {value.ndim}-dimensional, but {used} were indexed"
        fail(stager, IndexError, message)
    dots = [k for k, v in enumerate(given) if isinstance(v, Static) and v.obj is Ellipsis]
    if len(dots) > 1:
        fail(stager, IndexError, "an index can only have a single ellipsis ('...')")
    full = [Static(slice(None))] * (value.ndim - used)
    given = [*given[: dots[0]], *full, *given[dots[0] + 1 :]] if dots else [*given, *full]
    items: list[Item] = []
    axis = 0
    for v in given:
        item = _item(stager, value, axis, v)
        axis += item.mask.ndim if isinstance(item, Mask) else not isinstance(item, New)
        items.append(item)
    return items


def _axes_of(stager: Stager, v: Value) -> int:
    if isinstance(v, Static) and (v.obj is None or v.obj is Ellipsis):
        return 0
    kind = type(v.obj) if isinstance(v, Static) else v.kind if isinstance(v, Number) else None
    if kind in (bool, np.bool_) or isinstance(v, ArrayValue) and v.dtype == "bool" and not v.ndim:
        stager.refuse("an index that is a boolean", "use None, or an if statement")
    return v.ndim if isinstance(v, ArrayValue) and v.dtype == "bool" else 1


def _item(stager: Stager, value: ArrayValue, axis: int, v: Value) -> Item:
    if isinstance(v, Static):
        obj = v.obj
        if obj is None:
            return New()
        if isinstance(obj, slice):
            return span(stager, value.shape[axis], *map(Static, (obj.start, obj.stop, obj.step)))
        if isinstance(obj, (int, np.integer)):
            return At(place_of(stager, const(int(obj)), value.shape[axis], axis))
        if isinstance(obj, (list, tuple, range, np.ndarray)):
            return _fancy(stager, value, axis, to_array(stager, Sequence([Static(x) for x in obj], list)))
        _bad_index(stager)
    if isinstance(v, Slice):
        return span(stager, value.shape[axis], v.start, v.stop, v.step)
    if isinstance(v, Number):
        if v.expr.type != I64:
            _bad_index(stager)
        return At(place_of(stager, v.expr, value.shape[axis], axis))
    if isinstance(v, Range):
        ends: list[Value] = [Number(v.start, int), Number(v.stop, int), Static(v.step)]
        v = stager.call(Static(np.arange), ends, {})
    if isinstance(v, (ArrayValue, Sequence, Growing)):
        return _fancy(stager, value, axis, to_array(stager, v))
    _bad_index(stager)


def _bad_index(stager: Stager) -> NoReturn:
    message = (
        "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays "
        "are valid indices"
    )
    fail(stager, IndexError, message)


def _fancy(stager: Stager, value: ArrayValue, axis: int, index: ArrayValue) -> Item:
    from tapeless.backends.native.staging import fancy

    if index.dtype == "bool":
        return Mask(fancy.mask(stager, value, axis, index))
    if not index.dtype.startswith(("int", "uint")):
        if known_length(storage.size_of(index.shape)) == 0:
            index = storage.filled(stager, index.shape, "int64", ZERO)
        else:
            fail(stager, IndexError, "arrays used as indices must be of integer (or boolean) type")
    if not index.shape:
        e = index.element(())
        assert isinstance(e, Expr)
        return At(place_of(stager, stager.bind(e), value.shape[axis], axis))
    return Pick(fancy.places(stager, index, value.shape[axis], axis))


def place_of(stager: Stager, i: Expr, length: Expr, axis: int) -> Expr:
    """An index of an axis, checked, with a negative one counted from the end."""
    n = known_length(length)
    message = Text()  # it has the index and the length
    proves = stager.ranges.proves
    if isinstance(i, Const):
        k = int(i.value)
        if n is not None:
            if not -n <= k < n:
                fail(stager, IndexError, f"index {k} is out of bounds for axis {axis} with size {n}")
            return const(k % n)
        inside = apply("lt", i, length) if k >= 0 else apply("le", const(-k), length)
        if not proves(inside):
            stager.check(inside, IndexError, message)
        return i if k >= 0 else simplify(length + k)
    i = simplify(i)
    if not proves(apply("ge", i, ZERO)):
        if proves(apply("lt", i, ZERO)):
            i = simplify(i + length)
        else:
            i = stager.bind(apply("select", apply("lt", i, ZERO), i + length, i), "i")
        if not proves(apply("ge", i, ZERO)):
            stager.check(apply("ge", i, ZERO), IndexError, message)
    if not proves(apply("lt", i, length)):
        stager.check(apply("lt", i, length), IndexError, message)
    return i


# ---- slices


def span(stager: Stager, n: Expr, start: Value, stop: Value, step: Value) -> Span:
    """`start:stop:step` of an axis of length n."""
    by = _bound(stager, step)
    if by is None:
        by = ONE
    if not isinstance(by, Const):
        by = const(int(stager.known(step)))
    s = int(by.value)
    if s == 0:
        fail(stager, ValueError, "slice step cannot be zero")
    low, high = _bound(stager, start), _bound(stager, stop)
    if s > 0:
        first = ZERO if low is None else _end(stager, low, n, 0, None)
        end = n if high is None else _end(stager, high, n, None, n)
        length = slice_length(stager, simplify(end - first), s)
        return Span(first, by, length)
    top = simplify(n - 1)
    first = top if low is None else _end(stager, low, n, None, top)
    end = const(-1) if high is None else _end(stager, high, n, -1, None)
    return Span(first, by, slice_length(stager, simplify(first - end), -s))


def _bound(stager: Stager, v: Value) -> Expr | None:
    """An end of a slice; None if it is left out."""
    if isinstance(v, Static):
        if v.obj is None:
            return None
        if isinstance(v.obj, (int, np.integer)) and not isinstance(v.obj, np.bool_):
            return const(int(v.obj))
    elif isinstance(v, Number) and v.expr.type == I64:
        return simplify(v.expr)
    elif isinstance(v, ArrayValue) and not v.shape and v.dtype.startswith("int"):
        e = v.element(())
        assert isinstance(e, Expr)
        return stager.bind(e)
    message = "slice indices must be integers or None or have an __index__ method"
    fail(stager, TypeError, message)


def slice_length(stager: Stager, distance: Expr, step: int) -> Expr:
    """How many steps fit before a distance is reached."""
    distance = at_least_zero(stager, distance)
    if step != 1:
        distance = apply("floordiv", simplify(distance + (step - 1)), const(step))
    return storage.settled_length(stager, distance)


def at_least_zero(stager: Stager, e: Expr) -> Expr:
    """max(e, 0), in the form that equal lengths share."""
    if isinstance(e, Const):
        return const(max(int(e.value), 0))
    inner = _unclamped(e)
    if inner is not None:
        e = inner
    if stager.ranges.proves(apply("ge", e, ZERO)):
        return e
    return apply("maximum", e, ZERO)


def _unclamped(e: Expr) -> Expr | None:
    """x - c for max(x, 0) - c: the same where it is not negative, and clamped again otherwise."""
    if isinstance(e, Apply) and e.op == "add" and isinstance(e.args[1], Const) and e.args[1].value <= 0:
        inner, less = e.args[0], e.args[1]
        if isinstance(inner, Apply) and inner.op == "maximum" and inner.args[1] == ZERO:
            return simplify(inner.args[0] + less)
    return None


def _end(stager: Stager, i: Expr, n: Expr, low: int | None, high: Expr | None) -> Expr:
    """An end of a slice: counted from the end if negative, then not below `low` or not above `high`.

    Each end needs one of the bounds only: beyond the other one the slice is empty anyway.
    """
    proves = stager.ranges.proves
    negative, positive = proves(apply("lt", i, ZERO)), proves(apply("ge", i, ZERO))

    def least(e: Expr) -> Expr:
        if low is None or proves(apply("ge", e, const(low))):
            return e
        return apply("maximum", e, const(low))

    def most(e: Expr) -> Expr:
        if high is None or proves(apply("le", e, high)):
            return e
        return apply("minimum", e, high)

    if negative:
        return least(simplify(n + i))
    if positive:
        return most(i)
    return stager.bind(apply("select", apply("lt", i, ZERO), least(i + n), most(i)), "i")


# ---- basic indices: views


def basic(stager: Stager, value: ArrayValue, items: list[Item]) -> Value:
    """The view (or number) of an index without arrays."""
    shape = result_shape(items)
    if not shape and items and all(isinstance(i, At) for i in items):
        place = tuple(i.place for i in items if isinstance(i, At))
        return value_of(stager, storage.at(stager, value, place), value.dtype)
    if isinstance(value, Lazy) and value.made is None:
        if value.uses <= 1:
            return lazy_slice(stager, value, items, shape)
        storage.make(stager, value)
    return basic_view(stager, storage.make(stager, value), items)


def result_shape(items: list[Item]) -> tuple[Expr, ...]:
    return tuple(i.length if isinstance(i, Span) else ONE for i in items if isinstance(i, (Span, New)))


def lazy_slice(stager: Stager, value: Lazy, items: list[Item], shape: tuple[Expr, ...]) -> Lazy:
    def element(index: Index) -> Element:
        return storage.at(stager, value, own_index(items, index))

    return storage.lazy(stager, shape, value.dtype, element, [value], value.cost)


def own_index(items: list[Item], index: Index) -> Index:
    """The index into the array for one into the result of a basic index."""
    own: list[Expr] = []
    k = 0
    for item in items:
        if isinstance(item, At):
            own.append(item.place)
            continue
        if isinstance(item, Span):
            own.append(simplify(item.start + apply("mul", item.step, index[k])))
        k += 1
    return tuple(own)


def basic_view(stager: Stager, view: View, items: list[Item]) -> View:
    """The view of a view."""
    shape = result_shape(items)
    places: list[tuple[Expr, Expr, int | None]] = []  # of each axis of the old view
    k = 0
    for item in items:
        if isinstance(item, At):
            places.append((item.place, ZERO, None))
            continue
        if isinstance(item, Span):
            places.append((item.start, item.step, k))
        k += 1
    axes = []
    for a in view.axes:
        start = a.start
        terms: list[tuple[Expr, int]] = []
        for step, of in (*(() if a.of is None else ((a.step, a.of),)), *a.more):
            place, by, new = places[of]
            start = simplify(start + apply("mul", step, place))
            if new is not None:
                terms.append((simplify(apply("mul", step, by)), new))
        axes.append(axis_of(start, terms))
    return View(view.array, tuple(axes), shape, view.dtype)


def axis_of(start: Expr, terms: list[tuple[Expr, int]]) -> Axis:
    if not terms:
        return Axis(start, ZERO, None)
    (step, of), *more = terms
    return Axis(start, step, of, tuple(more))


def select_axes(stager: Stager, value: ArrayValue, dropped: int) -> ArrayValue:
    """The array without its leading axes, which have length 1."""
    items: list[Item] = [At(ZERO)] * dropped
    items += [Span(ZERO, ONE, n) for n in value.shape[dropped:]]
    if isinstance(value, Lazy) and value.made is None:
        return lazy_slice(stager, value, items, value.shape[dropped:])
    return basic_view(stager, storage.make(stager, value), items)
