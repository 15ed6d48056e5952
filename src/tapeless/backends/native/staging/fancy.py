"""Indices that are arrays: integers gather and scatter, masks choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import BOOL, I64, ONE, TRUE, ZERO, Assign, Expr, Ref, apply, cast
from tapeless.backends.native.staging import storage
from tapeless.backends.native.staging.base import Text
from tapeless.backends.native.staging.broadcasting import (
    broadcast_checked,
    broadcast_shapes,
    check_same,
    operand,
    to_array,
)
from tapeless.backends.native.staging.elements import convert
from tapeless.backends.native.staging.indexing import At, Item, Mask, New, Pick, Span, own_index
from tapeless.backends.native.staging.storage import Shape, fail, known_length
from tapeless.backends.native.staging.under_mask import Compressed, chosen_at, compressed, pending, same_mask
from tapeless.backends.native.staging.values import ArrayValue, Element, Index, Lazy, Value, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

OUTSIDE = "could not broadcast input array from shape {} into shape {}"


def places(stager: Stager, index: ArrayValue, length: Expr, axis: int) -> ArrayValue:
    """Integers as places along an axis: checked once, negative ones counted from the end when read."""
    if isinstance(index, Lazy) and index.cost > storage.CHEAP:
        index = storage.make(stager, index)
    good = stager.scalar(BOOL, "inside")
    stager.emit(Assign(good, TRUE))
    with storage.nest(stager, index.shape, independent=False) as at:
        i = _integer(storage.at(stager, index, at))
        i = stager.bind(i, "i")
        inside = apply("all", apply("ge", i, -length), apply("lt", i, length))
        stager.emit(Assign(good, apply("all", Ref(good), inside)))
    stager.check(Ref(good), IndexError, Text())
    checked = index

    def element(at: Index) -> Element:
        i = stager.bind(_integer(storage.at(stager, checked, at)), "i")
        return apply("select", apply("lt", i, ZERO), i + length, i)

    return storage.lazy(stager, index.shape, "int64", element, [index], 2)


def _integer(e: Element) -> Expr:
    assert isinstance(e, Expr)
    return cast(e, I64)


def mask(stager: Stager, value: ArrayValue, axis: int, chosen: ArrayValue) -> ArrayValue:
    """A mask over axes from `axis` on, whose lengths must be its own."""
    if isinstance(chosen, Lazy) and chosen.made is not None:
        chosen = chosen.made
    for k, n in enumerate(chosen.shape):
        m = value.shape[axis + k]
        known, own = known_length(m), known_length(n)
        message = (
            f"boolean index did not match indexed array along axis {axis + k}; size of axis is "
            f"{'n' if known is None else known} but size of corresponding boolean axis is "
            f"{'n' if own is None else own}"
        )
        if known is not None and own is not None and known != own:
            fail(stager, IndexError, message)
        check_same(stager, n, m, IndexError, message)
    return chosen


# ---- plans: how the axes of the result follow from those of the index


class Plan:
    """A fancy index: where the picked axes stand in the result, and the index into the array."""

    def __init__(self, stager: Stager, items: list[Item]) -> None:
        self.stager, self.items = stager, items
        picks = [k for k, i in enumerate(items) if isinstance(i, (Pick, At))]
        arrays = [i.places.shape for i in items if isinstance(i, Pick)]
        self.picked = broadcast_shapes(stager, arrays)
        together = picks == list(range(picks[0], picks[-1] + 1))
        before = items[: picks[0]] if together else []
        self.first = sum(isinstance(i, (Span, New)) for i in before)
        """The axis of the result where the picked ones begin."""
        rest = [i.length if isinstance(i, Span) else ONE for i in items if isinstance(i, (Span, New))]
        self.shape: Shape = (*rest[: self.first], *self.picked, *rest[self.first :])

    def place(self, index: Index) -> Index:
        """The index into the array for one into the result."""
        count = len(self.picked)
        picked = index[self.first : self.first + count]
        rest = iter((*index[: self.first], *index[self.first + count :]))
        own: list[Expr] = []
        for item in self.items:
            if isinstance(item, Pick):
                shape = item.places.shape
                inside = picked[count - len(shape) :]
                inside = tuple(ZERO if n == ONE else i for n, i in zip(shape, inside, strict=True))
                e = storage.at(self.stager, item.places, inside)
                assert isinstance(e, Expr)
                own.append(self.stager.bind(e, "i"))
            elif isinstance(item, At):
                own.append(item.place)
            elif isinstance(item, Span):
                own.append(simplify(item.start + apply("mul", item.step, next(rest))))
            else:
                next(rest)
        return tuple(own)

    @property
    def arrays(self) -> list[ArrayValue]:
        return [i.places for i in self.items if isinstance(i, Pick)]


def _masked(items: list[Item]) -> bool:
    return any(isinstance(i, Mask) for i in items)


def _single_mask(items: list[Item]) -> tuple[int, Mask] | None:
    """The place of the one mask of an index that is otherwise full slices or other views."""
    masks = [(k, i) for k, i in enumerate(items) if isinstance(i, Mask)]
    return masks[0] if len(masks) == 1 and not any(isinstance(i, (Pick, At)) for i in items) else None


def read(stager: Stager, value: ArrayValue, items: list[Item]) -> Value:
    if _masked(items):
        found = _single_mask(items)
        if found is not None:
            return compress(stager, value, items, *found)
        items = without_masks(stager, items)
    if isinstance(value, Lazy) and value.cost > storage.CHEAP:
        value = storage.make(stager, value)
    plan = Plan(stager, items)
    source = value
    made = storage.lazy(
        stager,
        plan.shape,
        value.dtype,
        lambda index: storage.at(stager, source, plan.place(index)),
        [value, *plan.arrays],
        2 + sum(map(storage.cost, [value, *plan.arrays])),
    )
    made.picked = True
    return made


def write(stager: Stager, target: View, items: list[Item], new: Value) -> None:
    chosen = _single_mask(items)
    scattered = pending(new)
    if chosen is not None and scattered is not None and len(items) == 1:
        if same_mask(chosen[1].mask, scattered.mask) and _write_in_place(stager, target, scattered):
            return
    o = operand(stager, new)
    array = o.array if o.array is not None else to_array(stager, new)
    if _masked(items):
        found = _single_mask(items)
        if found is not None:
            _write_masked(stager, target, items, *found, array)
            return
        items = without_masks(stager, items)
    plan = Plan(stager, items)
    message = "shape mismatch: value array of shape {} could not be broadcast to indexing result of shape {}"
    array = broadcast_checked(stager, array, plan.shape, message)
    array = safe(stager, target, array)
    _safe_places(stager, target, plan)
    with (
        storage.writing(stager, target.array.root),
        storage.nest(stager, plan.shape, independent=False) as index,
    ):
        element = convert(storage.at(stager, array, index), array.dtype, target.dtype)
        storage.store(stager, target, plan.place(index), element)


def safe(stager: Stager, target: View, array: ArrayValue) -> ArrayValue:
    """The array, in other storage if it reads the target's."""
    if target.array.root not in storage.roots(array):
        return array
    return storage.store_copy(stager, array) if isinstance(array, View) else storage.make(stager, array)


def _safe_places(stager: Stager, target: View, plan: Plan) -> None:
    for k, item in enumerate(plan.items):
        if isinstance(item, Pick) and target.array.root in storage.roots(item.places):
            plan.items[k] = Pick(storage.store_copy(stager, item.places))


def update(stager: Stager, target: View, items: list[Item], op: str, new: Value) -> None:
    """`target[index] op= new`: an element that is picked twice is changed once."""
    from tapeless.backends.native.staging import elementwise

    found = _single_mask(items)
    if found is not None and not operand(stager, new).shape:
        _update_masked(stager, target, items, *found, op, new)
        return
    old = read(stager, target, items)
    assert isinstance(old, ArrayValue)
    made = elementwise.binary(stager, op, storage.make(stager, old), new)
    write(stager, target, items, made)


def add_at(stager: Stager, target: View, items: list[Item], new: Value, op: str) -> None:
    """`np.add.at(target, index, new)`: every pick counts."""
    from tapeless.backends.native.staging import elementwise
    from tapeless.backends.native.staging.elements import value_of

    if _masked(items):
        items = without_masks(stager, items)
    o = operand(stager, new)
    array = o.array if o.array is not None else to_array(stager, new)
    plan = Plan(stager, items) if any(isinstance(i, Pick) for i in items) else None
    if plan is None:
        shape = tuple(i.length if isinstance(i, Span) else ONE for i in items if isinstance(i, (Span, New)))
    else:
        shape = plan.shape
        _safe_places(stager, target, plan)
    array = broadcast_checked(stager, array, shape, "array is not broadcastable to correct shape")
    array = safe(stager, target, array)
    with (
        storage.writing(stager, target.array.root),
        storage.nest(stager, shape, independent=False) as index,
    ):
        place = own_index(items, index) if plan is None else plan.place(index)
        change = value_of(stager, storage.at(stager, array, index), array.dtype)
        elementwise.update_element(stager, target, place, op, change)


# ---- masks


def count(stager: Stager, chosen: ArrayValue) -> Expr:
    """How many elements of a mask are true."""
    total = stager.scalar(I64, "count")
    stager.emit(Assign(total, ZERO))
    with storage.nest(stager, chosen.shape, independent=False) as index:
        e = storage.at(stager, chosen, index)
        assert isinstance(e, Expr)
        stager.emit(Assign(total, Ref(total) + cast(e, I64)))
    return Ref(total)


def _split(items: list[Item], at: int) -> tuple[list[Item], list[Item]]:
    return items[:at], items[at + 1 :]


def _shape_of(items: list[Item]) -> Shape:
    return tuple(i.length if isinstance(i, Span) else ONE for i in items if isinstance(i, (Span, New)))


def _places_of(items: list[Item], at: int, before: Index, inside: Index, after: Index) -> Index:
    left, right = _split(items, at)
    return (*own_index(left, before), *inside, *own_index(right, after))


def compress(stager: Stager, value: ArrayValue, items: list[Item], at: int, found: Mask) -> Value:
    """`value[mask]`: counted, then filled."""
    chosen = found.mask
    if isinstance(chosen, Lazy) and chosen.cost > 2 * storage.CHEAP:
        chosen = storage.make(stager, chosen)
    left, right = (_shape_of(part) for part in _split(items, at))
    length = count(stager, chosen)
    if not left and not right:
        made_later = compressed(stager, value, chosen, length)
        made_later.picked = True
        return made_later
    made = storage.fresh(stager, (*left, length, *right), value.dtype)
    position = stager.scalar(I64, "k")
    with storage.nest(stager, left) as before:
        stager.emit(Assign(position, ZERO))
        with storage.nest(stager, chosen.shape, independent=False) as inside:
            with stager.branch(chosen_at(stager, chosen, inside)), storage.layer(stager):
                with storage.nest(stager, right) as after:
                    place = _places_of(items, at, before, inside, after)
                    element = storage.at(stager, value, place)
                    storage.store(stager, made, (*before, Ref(position), *after), element)
                stager.emit(Assign(position, Ref(position) + 1))
    return made


def _write_in_place(stager: Stager, target: View, new: Compressed) -> bool:
    """`target[mask] = f(other[mask])`: each element where it stands, if no other one is read."""
    source, chosen = new.source, new.mask
    assert source is not None and chosen is not None
    root = target.array.root
    if new.uses > 1:
        return False
    if isinstance(chosen, Lazy) and root in storage.roots(chosen):
        storage.make(stager, chosen)

    def stores() -> None:
        with storage.nest(stager, chosen.shape) as inside:
            with stager.branch(chosen_at(stager, chosen, inside)), storage.layer(stager):
                element = convert(storage.at(stager, source, inside), source.dtype, target.dtype)
                storage.store(stager, target, inside, element)

    if root in storage.roots(source) or root in storage.roots(chosen):
        with storage.attempt(stager) as body:
            stores()
        if not storage.aligned(stager, body, target):
            return False
    with storage.writing(stager, root, new, source):
        stores()
    return True


def _write_masked(
    stager: Stager, target: View, items: list[Item], at: int, found: Mask, new: ArrayValue
) -> None:
    chosen = found.mask
    left, right = (_shape_of(part) for part in _split(items, at))
    root = target.array.root
    new = safe(stager, target, new)
    position = None
    inner = len(right)
    along = new.ndim > inner and new.shape[-1 - inner] != ONE
    if along:  # one value for each true element
        position = stager.scalar(I64, "k")
        length = count(stager, chosen)
        message = (
            "NumPy boolean array indexing assignment cannot assign input values to the output values where "
            "the mask is true"
        )
        check_same(stager, length, new.shape[-1 - inner], ValueError, message)
        new = broadcast_checked(stager, new, (*left, new.shape[-1 - inner], *right), OUTSIDE)
    else:
        new = broadcast_checked(stager, new, (*left, ONE, *right), OUTSIDE)
    if root in storage.roots(chosen):
        chosen = _safe_mask(stager, target, items, at, chosen)
    with storage.writing(stager, root, chosen), storage.nest(stager, left) as before:
        if position is not None:
            stager.emit(Assign(position, ZERO))
        with storage.nest(stager, chosen.shape, independent=position is None) as inside:
            e = storage.at(stager, chosen, inside)
            assert isinstance(e, Expr)
            with stager.branch(e), storage.layer(stager):
                middle: Expr = ZERO if position is None else Ref(position)
                with storage.nest(stager, right) as after:
                    element = storage.at(stager, new, (*before, middle, *after))
                    place = _places_of(items, at, before, inside, after)
                    storage.store(stager, target, place, convert(element, new.dtype, target.dtype))
                if position is not None:
                    stager.emit(Assign(position, Ref(position) + 1))


def _safe_mask(stager: Stager, target: View, items: list[Item], at: int, chosen: ArrayValue) -> ArrayValue:
    """A mask that may be read while the target is written: `a[a < 0] = 0` needs no temporary."""
    if _shape_of(items[:at]) or _shape_of(items[at + 1 :]):
        return storage.store_copy(stager, chosen)
    with storage.attempt(stager) as body:
        with storage.nest(stager, chosen.shape) as inside:
            e = storage.at(stager, chosen, inside)
            assert isinstance(e, Expr)
            with stager.branch(e):
                storage.store(stager, target, _places_of(items, at, (), inside, ()), storage.zero_of(target))
    if storage.aligned(stager, body, target) and isinstance(chosen, Lazy) and chosen.uses <= 1:
        return chosen
    return storage.store_copy(stager, chosen)


def _update_masked(
    stager: Stager, target: View, items: list[Item], at: int, found: Mask, op: str, new: Value
) -> None:
    """`target[mask] op= number`."""
    from tapeless.backends.native.staging import elementwise

    chosen = found.mask
    left, right = (_shape_of(part) for part in _split(items, at))
    if target.array.root in storage.roots(chosen):
        chosen = _safe_mask(stager, target, items, at, chosen)
    with (
        storage.writing(stager, target.array.root, chosen),
        storage.nest(stager, left) as before,
        storage.nest(stager, chosen.shape) as inside,
    ):
        e = storage.at(stager, chosen, inside)
        assert isinstance(e, Expr)
        with stager.branch(e), storage.layer(stager), storage.nest(stager, right) as after:
            place = _places_of(items, at, before, inside, after)
            elementwise.update_element(stager, target, place, op, new)


def without_masks(stager: Stager, items: list[Item]) -> list[Item]:
    """The index with every mask as the places of its true elements."""
    made: list[Item] = []
    for item in items:
        if isinstance(item, Mask):
            made.extend(Pick(p) for p in nonzero(stager, item.mask))
        else:
            made.append(item)
    return made


def nonzero(stager: Stager, chosen: ArrayValue) -> list[View]:
    """The places of the true elements, an array for each axis."""
    if isinstance(chosen, Lazy) and chosen.cost > storage.CHEAP:
        chosen = storage.make(stager, chosen)
    length = count(stager, chosen)
    made = [storage.fresh(stager, (length,), "int64", "places") for _ in chosen.shape]
    position = stager.scalar(I64, "k")
    stager.emit(Assign(position, ZERO))
    with storage.nest(stager, chosen.shape, independent=False) as inside:
        e = storage.at(stager, chosen, inside)
        assert isinstance(e, Expr)
        with stager.branch(e):
            for view, i in zip(made, inside, strict=True):
                storage.store(stager, view, (Ref(position),), i)
            stager.emit(Assign(position, Ref(position) + 1))
    return made
