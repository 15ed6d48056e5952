"""Operands of elementwise functions: numbers and arrays seen in one shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from tapeless.backends.native.nest import ONE, ZERO, Const, Expr, apply
from tapeless.backends.native.staging import storage
from tapeless.backends.native.staging.elements import NARROW, atomic, each, own_dtype, scalar_element
from tapeless.backends.native.staging.storage import Shape, fail, known_length, same_length
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Axis,
    Element,
    Growing,
    Index,
    Lazy,
    Sequence,
    Static,
    Value,
    View,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


#: The size up to which a known array is written out, element by element.
SMALL = 64


@dataclass(eq=False, slots=True)
class Operand:
    """What an elementwise function is applied to: a number (`array` None) or an array.

    `spec` is what it counts as in NumPy's promotion: a dtype, or `int`, `float`, `complex` for Python's.
    """

    spec: Any
    number: Element | None = None
    array: ArrayValue | None = None

    @property
    def shape(self) -> Shape:
        return self.array.shape if self.array is not None else ()

    @property
    def dtype(self) -> str:
        return own_dtype(self.spec)

    def at(self, stager: Stager, index: Index) -> Element:
        """The element at an index of the broadcast shape."""
        if self.array is None:
            assert self.number is not None
            return self.number
        return storage.at(stager, self.array, _own_index(self.array.shape, index))


def _own_index(shape: Shape, index: Index) -> Index:
    own = index[len(index) - len(shape) :]
    return tuple(ZERO if n == ONE else i for n, i in zip(shape, own, strict=True))


def operand(stager: Stager, value: Value) -> Operand:
    """Any array-like value as an operand."""
    value = brought_together(stager, value)
    if isinstance(value, ArrayValue):
        return Operand(np.dtype(value.dtype), array=value)
    number = scalar_element(value)
    if number is not None:
        element, spec = number
        return Operand(spec, each(lambda e: e if atomic(e) else stager.bind(e), element))
    array = to_array(stager, value)
    return Operand(np.dtype(array.dtype), array=array)


def check_fits(stager: Stager, value: Value, dtype: str) -> None:
    """Leave the call to NumPy where a Python integer is beyond a narrow dtype: that raises."""
    if dtype not in NARROW:
        return
    if isinstance(value, Sequence):
        for item in value.items:
            check_fits(stager, item, dtype)
        return
    number = scalar_element(value)
    if number is None or number[1] is not int:
        return
    limits = np.iinfo(dtype)
    element = cast(Expr, number[0])
    fits = apply("all", apply("ge", element, int(limits.min)), apply("le", element, int(limits.max)))
    stager.replay_unless(fits)


def brought_together(stager: Stager, value: Value) -> Value:
    """The value; if its elements are scattered under a mask, in storage of its own."""
    from tapeless.backends.native.staging.under_mask import pending

    return value if pending(value) is None else storage.make(stager, cast(ArrayValue, value))


def to_array(stager: Stager, value: Value) -> ArrayValue:
    """Any array-like value as an array."""
    value = brought_together(stager, value)
    if isinstance(value, ArrayValue):
        return value
    number = scalar_element(value)
    if number is not None:
        element, spec = number
        dtype = own_dtype(spec)
        return storage.lazy(stager, (), dtype, lambda index: element, cost=0)
    if isinstance(value, Growing):
        from tapeless.backends.native.staging import growing

        return growing.to_array(stager, value)
    if isinstance(value, Sequence):
        from tapeless.backends.native.staging.creation import from_sequence

        return from_sequence(stager, value)
    obj = stager.known(value)
    if isinstance(obj, (np.ndarray, list, tuple)) and np.size(obj) <= SMALL:
        return to_array(stager, Sequence([Static(x) for x in obj], list))
    stager.refuse(f"a value of type {type(obj).__name__} as an array", "use numbers and arrays")


def broadcast_shapes(stager: Stager, shapes: list[Shape]) -> Shape:
    """The common shape; lengths that are known to differ raise as NumPy does, unknown ones are compared."""
    ndim = max(map(len, shapes), default=0)
    result: list[Expr] = []
    for k in range(-ndim, 0):
        lengths = [s[k] for s in shapes if len(s) >= -k]
        chosen: Expr = ONE
        for n in lengths:
            if n == ONE or same_length(chosen, n):
                continue
            if chosen == ONE:
                chosen = n
                continue
            _same_or_raise(stager, chosen, n, shapes)
            chosen = min((chosen, n), key=_weight)
        result.append(chosen)
    return tuple(result)


def _weight(e: Expr) -> int:
    """How long an expression is: constants are best."""
    return 0 if isinstance(e, Const) else len(repr(e))


def _same_or_raise(stager: Stager, a: Expr, b: Expr, shapes: list[Shape]) -> None:
    """Lengths that may differ, neither known to be 1; if one is 1 at run time, NumPy would repeat it."""
    message = f"operands could not be broadcast together with shapes {' '.join(map(shape_text, shapes))} "
    if known_length(a) is not None and known_length(b) is not None:
        fail(stager, ValueError, message)
    same = apply("eq", a, b)
    if stager.ranges.proves(same):
        return
    longer = apply("all", apply("ne", a, ONE), apply("ne", b, ONE))
    stager.replay_unless(apply("any", same, longer))
    stager.check(same, ValueError, message)


def check_same(stager: Stager, a: Expr, b: Expr, kind: type[Exception], message: str) -> None:
    """Raise unless two lengths are equal."""
    if not same_length(a, b):
        stager.check(apply("eq", a, b), kind, message)


def shape_text(shape: Shape) -> str:
    inside = ",".join(str(known_length(n)) if known_length(n) is not None else "n" for n in shape)
    return f"({inside},)" if len(shape) == 1 else f"({inside})"


def expanded(value: ArrayValue, shape: Shape) -> bool:
    """Whether a value has elements that occur several times in the broadcast shape."""
    return len(value.shape) < len(shape) or any(
        n == ONE and m != ONE for n, m in zip(value.shape, shape, strict=True)
    )


def prepared(stager: Stager, operands: list[Operand]) -> Shape:
    """The common shape; costly lazies that would be computed again and again are made."""
    shape = broadcast_shapes(stager, [o.shape for o in operands])
    for o in operands:
        if isinstance(o.array, Lazy) and o.array.cost > storage.CHEAP and expanded(o.array, shape):
            if o.array.shape:
                storage.make(stager, o.array)
    return shape


def broadcast_to(stager: Stager, value: ArrayValue, shape: Shape) -> ArrayValue:
    """A read-only view (or lazy) in a larger shape; the caller has compared the lengths."""
    if storage.same_shape(value.shape, shape):
        return value
    lead = len(shape) - len(value.shape)
    if isinstance(value, Lazy) and value.made is None:
        if value.cost > storage.CHEAP and value.shape:
            return broadcast_to(stager, storage.make(stager, value), shape)
        own = value
        return storage.lazy(
            stager,
            shape,
            value.dtype,
            lambda index: storage.at(stager, own, _own_index(own.shape, index)),
            [value],
            value.cost,
        )
    view = storage.make(stager, value)
    axes = []
    for a in view.axes:
        if a.of is not None and view.shape[a.of] == ONE:
            a = Axis(a.start, a.step, None, a.more)
        elif a.of is not None:
            a = Axis(a.start, a.step, a.of + lead, a.more)
        more = tuple((step, of + lead) for step, of in a.more if view.shape[of] != ONE)
        axes.append(Axis(a.start, a.step, a.of, more))
    return View(view.array, tuple(axes), shape, view.dtype)


def broadcast_checked(stager: Stager, value: ArrayValue, shape: Shape, message: str) -> ArrayValue:
    """`value` in `shape`, into which it must fit (leading axes of length 1 may be left out)."""
    own = value.shape
    while len(own) > len(shape) and own[0] == ONE:
        own = own[1:]
    if len(own) != len(value.shape):
        from tapeless.backends.native.staging.indexing import select_axes

        value = select_axes(stager, value, len(value.shape) - len(own))
    text = message.format(shape_text(value.shape), shape_text(shape))
    if len(own) > len(shape):
        fail(stager, ValueError, text)
    for n, m in zip(own, shape[len(shape) - len(own) :], strict=True):
        if n != ONE and not same_length(n, m):
            if known_length(n) is not None and known_length(m) is not None:
                fail(stager, ValueError, text)
            stager.check(apply("eq", n, m), ValueError, text)
    return broadcast_to(stager, value, shape)
