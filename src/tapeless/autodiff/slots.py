"""The cotangents of one application of a record."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.rules.spaces import FLOAT, Space, fold, zeros

# an entry: the operation (between Python floats a bare tuple of partials, None for an input), its parents,
# its space; with one parent only, a bare partial and the index of the parent
Entry = tuple[Any, Any, Space]


class Slots:
    """The cotangents of one application: a value for every entry, and whether the application owns its
    buffer."""

    __slots__ = ("entries", "owned", "values")

    def __init__(self, entries: list[Entry], count: int) -> None:
        self.entries = entries
        self.values: list[Any] = [None] * count
        self.owned = [False] * count

    def add(self, index: int, ct: Any, owned: bool = False) -> None:
        """Add a cotangent: the first is borrowed, a later one goes out of place, or in place once a buffer
        is owned."""
        space = self.entries[index][2]
        if space is FLOAT:
            if type(ct) is not float:
                ct = fold(np.add.reduce(ct, None) if type(ct) is np.ndarray else ct, space)
            old = self.values[index]
            self.values[index] = ct if old is None else old + ct
            return
        if (
            type(ct) is not np.ndarray
            or ct.shape != space.shape
            or ct.dtype != space.dtype
            or space.kind != "array"
        ):
            ct, owned = fold(ct, space), False
        old = self.values[index]
        if old is None:
            self.values[index] = ct
            self.owned[index] = owned
        elif space.kind != "array":
            self.values[index] = old + ct
        elif self.owned[index]:
            old += ct
        elif owned:
            ct += old
            self.values[index] = ct
            self.owned[index] = True
        else:
            self.values[index] = np.asarray(old + ct)
            self.owned[index] = True

    def own(self, index: int) -> Any:
        """The buffer of an entry's cotangent, for adding into it; zeros if there was none."""
        buffer = self.values[index]
        if buffer is None:
            buffer = zeros(self.entries[index][2])
        elif not self.owned[index]:
            buffer = np.array(buffer, order="C")  # in the order that windows expect
        elif buffer.flags.c_contiguous:
            return buffer
        else:
            buffer = np.ascontiguousarray(buffer)
        self.values[index] = buffer
        self.owned[index] = True
        return buffer

    def release(self, index: int) -> Any:
        """The cotangent of an input, in memory that nobody else has."""
        ct = self.values[index]
        if isinstance(ct, np.ndarray) and not self.owned[index]:
            return np.array(ct)
        self.owned[index] = False  # asked for twice, it is copied the second time
        return ct
