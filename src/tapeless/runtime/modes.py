"""The two modes of a run: numbers (forward) and entries of a linear record (reverse)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.autodiff.linear import Lin, Record
from tapeless.rules.operations import Apply, Gather, overlaps_itself
from tapeless.rules.spaces import Space, space_of
from tapeless.runtime.entries import Entries
from tapeless.runtime.mirrors import ArrayMirror, address, dense_size, low_address, memory
from tapeless.runtime.run import Run


class Forward(Run):
    """Tangents are numbers; an array's mirror is an array of the same memory layout."""

    reverse = False

    def read(self, m: ArrayMirror, base: Any, a: Any) -> Any:
        return memory(m.value, a, base)

    def create(self, base: Any, t: Any, a: Any) -> None:
        m = self.new_array(base, np.zeros(dense_size(base), base.dtype), True)
        memory(m.value, a, base)[...] = t

    def overwrite(self, a: Any, index: Any, t: Any) -> None:
        base, m = self.find_array(a)
        if m is None:
            if t is None:
                return
            m = self.new_array(base, np.zeros(dense_size(base), base.dtype), True)
        window = memory(m.value, a, base)
        if t is not None and not np.iscomplexobj(window):
            t = np.real(t)
        window[index] = 0 if t is None else t

    def element(self, m: ArrayMirror, base: Any, a: Any, index: Any, value: Any) -> Any:
        t = memory(m.value, a, base)[index]
        return t.copy() if isinstance(t, np.ndarray) else t


class Window:
    """A callable window on a buffer in the memory order of an owner: the place of a view in it."""

    __slots__ = ("dtype", "offset", "shape", "strides")

    def __init__(self, a: Any, offset: int) -> None:
        self.offset = offset
        self.shape, self.strides, self.dtype = a.shape, a.strides, a.dtype

    def __call__(self, buffer: Any) -> Any:
        if not buffer.flags.c_contiguous:
            buffer = np.ascontiguousarray(buffer)
        if buffer.size == 0:  # strides of no elements fit nowhere
            return np.empty(self.shape, self.dtype)
        return np.ndarray(self.shape, self.dtype, buffer, self.offset, self.strides)


def is_basic(index: Any) -> bool:
    """Whether NumPy answers this index with a view (or one element), never with a copy."""
    parts = index if type(index) is tuple else (index,)
    return all(
        p is None
        or p is Ellipsis
        or type(p) is slice
        or (isinstance(p, (int, np.integer)) and not isinstance(p, (bool, np.bool_)))
        for p in parts
    )


_DOUBLE: Any = space_of(np.float64(0.0))


class Reverse(Entries):
    """Tangents are entries of a record, which is applied or transposed after the run."""

    reverse = True

    def __init__(self) -> None:
        super().__init__()
        self.record = Record()

    def keep_shape(self, x: Any) -> None:
        as_it_is = x.view()
        for op, *_ in self.record.entries:
            if isinstance(op, Apply) and any([a is x for a in op.args]):
                op.args = tuple([as_it_is if a is x else a for a in op.args])

    def flatten(self, m: ArrayMirror, base: Any) -> None:
        """Bring a mirror into the memory order of its owner, on one axis."""
        if not m.flat:
            m.flat = True
            if m.value is not None:
                whole = Window(base, address(base) - low_address(base))
                m.value = self.record.overwrite(whole, None, m.value, self.space(m, base))

    def window(self, m: ArrayMirror, base: Any, a: Any) -> Any:
        """Where the view `a` lies in the mirror: a window, or positions if the view overlaps itself.  Windows
        are in memory order, and an ordinary array is so as it is."""
        if overlaps_itself(a):
            self.flatten(m, base)
            return places_of(base, a)
        if not m.flat and not base.flags.c_contiguous:
            self.flatten(m, base)
        if m.low is None:
            m.low = low_address(base)
        return Window(a, address(a) - m.low)

    def space(self, m: ArrayMirror, base: Any) -> Space:
        """The space of the mirror's value."""
        return Space("array", base.dtype, (dense_size(base),) if m.flat else base.shape)

    def read(self, m: ArrayMirror, base: Any, a: Any) -> Any:
        if (
            m.value is None
            or not m.flat
            and (a is base or a.shape == base.shape and a.strides == base.strides and a.dtype == base.dtype)
        ):
            return m.value
        window = self.window(m, base, a)
        return self.record.gather(window, m.value, a)

    def create(self, base: Any, t: Any, a: Any) -> None:
        if a is base:
            self.new_array(base, t)
            return
        m = self.new_array(base, None)
        if overlaps_itself(a):  # a broadcast: the element that is repeated, once
            first = tuple([slice(0, 1) if stride == 0 else slice(None) for stride in a.strides])
            a = a[first]
            t = self.record.gather(first, t, a)
        if a.shape == base.shape and a.strides == base.strides and a.dtype == base.dtype:
            m.value = t
        else:
            window = self.window(m, base, a)
            m.value = self.record.overwrite(window, None, t, self.space(m, base))

    def overwrite(self, a: Any, index: Any, t: Any) -> None:
        self.snapshots.clear()
        base, m = self.find_array(a)
        if m is None:
            if t is None:
                return
            m = self.new_array(base, None)
        if m.value is None and t is None:
            return
        whole = index is Ellipsis or (type(index) is tuple and not index)
        if a is base and not m.flat:
            if (
                whole
                and t is not None
                and t.space.kind == "array"
                and t.shape == a.shape
                and t.dtype == a.dtype
            ):
                m.value = t
            else:
                m.value = self.record.overwrite(index, m.value, t, a)
            return
        window = self.window(m, base, a)
        if type(window) is Window and (whole or is_basic(index)):
            window = window if whole else _Then(window, index)
        else:
            piece = None if m.value is None else self.record.gather(window, m.value, a)
            t = self.record.overwrite(index, piece, t, a)
        m.value = self.record.overwrite(window, m.value, t, self.space(m, base))

    def element(self, m: ArrayMirror, base: Any, a: Any, index: Any, value: Any) -> Any:
        if m.value is None:
            return None
        if a is base and not m.flat:
            if type(value) is np.float64 and type(index) is int:  # read again, it is the same entry
                if m.read is None or m.read[0] is not m.value:
                    m.read = (m.value, {})
                t = m.read[1].get(index)
                if t is None:
                    t = m.read[1][index] = self.record.append(Gather(index), (m.value.index,), _DOUBLE)
                return t
            return self.record.gather(index, m.value, value)
        window = self.window(m, base, a)
        if type(window) is Window and is_basic(index):
            return self.record.gather(_Then(window, index), m.value, value)
        return self.record.gather(index, self.record.gather(window, m.value, a), value)


def places_of(base: Any, a: Any) -> Any:
    """The positions in the memory of `base` of the elements of a view that overlaps itself."""
    low, size = low_address(base), base.itemsize
    places = np.full(a.shape, (address(a) - low) // size)
    for axis, stride in enumerate(a.strides):
        steps = np.arange(a.shape[axis]) * (stride // size)
        places = places + steps.reshape([-1 if i == axis else 1 for i in range(a.ndim)])
    return places


class _Then:
    """A window, indexed: `window(buffer)[index]` as a view or, for one element, as an array without axes."""

    __slots__ = ("index", "window")

    def __init__(self, window: Window, index: Any) -> None:
        self.window = window
        index = index if type(index) is tuple else (index,)
        self.index = index if any([p is Ellipsis for p in index]) else (*index, ...)

    def __call__(self, buffer: Any) -> Any:
        return self.window(buffer)[self.index]


__all__ = ["Forward", "Lin", "Reverse"]
