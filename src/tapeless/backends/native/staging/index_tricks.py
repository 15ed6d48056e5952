"""`np.r_` and `np.c_` of what is computed, `np.ndindex` and `np.ndenumerate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import ONE
from tapeless.backends.native.staging.broadcasting import operand
from tapeless.backends.native.staging.builtin_iterables import range_, zip_
from tapeless.backends.native.staging.builtin_itertools import product
from tapeless.backends.native.staging.builtin_table import lowers
from tapeless.backends.native.staging.conversions import attribute
from tapeless.backends.native.staging.creation import arange, linspace
from tapeless.backends.native.staging.elements import scalar_element
from tapeless.backends.native.staging.joining import joined
from tapeless.backends.native.staging.lowerings import array, items_of, one_axis
from tapeless.backends.native.staging.reshaping import reshaped
from tapeless.backends.native.staging.shapes import permute
from tapeless.backends.native.staging.values import ArrayValue, Sequence, Slice, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

#: The classes of `np.r_` and `np.c_`, both of one that joins arrays.
JOINERS = (type(np.r_), type(np.c_))


def item(stager: Stager, owner: Any, index: Value) -> Value | None:
    """`np.r_[index]` and `np.c_[index]` with something computed in it; None if it is another object."""
    if not isinstance(owner, JOINERS) or stager.is_known(index):
        return None
    parts = list(index.items) if isinstance(index, Sequence) and index.kind is tuple else [index]
    options: list[int] = [owner.axis, owner.ndmin, owner.trans1d]
    if isinstance(parts[0], Static) and isinstance(parts[0].obj, str):
        try:
            found = [int(word) for word in parts.pop(0).obj.split(",")]  # type: ignore[attr-defined]
        except ValueError:
            stager.refuse("np.r_ with this directive", "use np.concatenate")
        options[: len(found)] = found
    axis, ndmin, first = options
    specs: list[Any] = []
    arrays: list[ArrayValue] = []
    for part in parts:
        if isinstance(part, Slice) or (isinstance(part, Static) and isinstance(part.obj, slice)):
            part = _range(stager, part)
        elif scalar_element(part) is not None:
            spec = operand(stager, part).spec
            specs.append(spec() if isinstance(spec, type) else spec)
            arrays.append(reshaped(stager, array(stager, part), (ONE,) * max(ndmin, 1)))
            continue
        value = array(stager, part)
        specs.append(np.dtype(value.dtype))
        arrays.append(_raised(stager, value, ndmin, first))
    dtype = np.result_type(*specs).name
    return joined(stager, arrays, one_axis(stager, axis, arrays[0].ndim), dtype)


def _raised(stager: Stager, value: ArrayValue, ndmin: int, first: int) -> ArrayValue:
    """An array with at least so many axes, its own from number `first` on (at the end if that is -1)."""
    more = ndmin - value.ndim
    if more <= 0:
        return value
    own = value.ndim
    value = reshaped(stager, value, (*[ONE] * more, *value.shape))
    if first == -1:
        return value
    first = first + more + 1 if first < 0 else first
    order = list(range(more))
    order[first:first] = range(more, more + own)
    return permute(stager, value, order)


def _range(stager: Stager, part: Value) -> Value:
    ends: list[Value]
    if isinstance(part, Slice):
        ends = [part.start, part.stop, part.step]
    else:
        assert isinstance(part, Static)
        ends = [Static(v) for v in (part.obj.start, part.obj.stop, part.obj.step)]
    start, stop, step = (None if isinstance(v, Static) and v.obj is None else v for v in ends)
    start = Static(0) if start is None else start
    assert stop is not None
    if step is None:
        return arange(stager, start, stop)
    if isinstance(step, Static) and isinstance(step.obj, complex):
        return linspace(stager, start, stop, Static(int(abs(step.obj))))
    return arange(stager, start, stop, step)


@lowers(np.ndindex)
def ndindex(s: Any, *shape: Value) -> Value:
    lengths = list(shape)
    if len(shape) == 1 and scalar_element(shape[0]) is None:
        lengths = items_of(s, shape[0])
    return product(s, *(range_(s, n) for n in lengths))


@lowers(np.ndenumerate)
def ndenumerate(s: Any, arr: Value) -> Value:
    value = array(s, arr)
    lengths = attribute(s, value, "shape")
    return zip_(s, ndindex(s, lengths), attribute(s, value, "flat"))
