"""Sums, differences and products of real numbers: what untyped programs do most, without a detour by a rule.

Their partials are those of the rule book (1, 1), (1, -1) and (b, a); an entry is a bare tuple of partials.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.autodiff.linear import Lin
from tapeless.rules.spaces import FLOAT
from tapeless.runtime.operators import PLAIN
from tapeless.runtime.run import Run

_REAL = frozenset({float, int, np.float64})


class ScalarRecording(Run):
    """`+`, `-` and `*` in reverse mode; everything that is not two real numbers goes the common road."""

    record: Any

    def entry(self, partials: tuple[Any, ...], parents: tuple[int, ...]) -> Lin:
        entries = self.record.entries
        entries.append((partials, parents, FLOAT))
        return Lin(self.record, len(entries) - 1, FLOAT)

    def Add(self, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        if dx is None:
            if dy is None:
                if type(x) in PLAIN and type(y) in PLAIN:
                    return x + y, None
                return self.binary("Add", x, dx, y, dy)
            if type(x) in _REAL and type(y) in _REAL:
                return x + y, self.entry((1.0,), (dy.index,))
        elif type(x) in _REAL and type(y) in _REAL:
            if dy is None:
                return x + y, self.entry((1.0,), (dx.index,))
            return x + y, self.entry((1.0, 1.0), (dx.index, dy.index))
        return self.binary("Add", x, dx, y, dy)

    def Sub(self, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        if dx is None:
            if dy is None:
                if type(x) in PLAIN and type(y) in PLAIN:
                    return x - y, None
                return self.binary("Sub", x, dx, y, dy)
            if type(x) in _REAL and type(y) in _REAL:
                return x - y, self.entry((-1.0,), (dy.index,))
        elif type(x) in _REAL and type(y) in _REAL:
            if dy is None:
                return x - y, self.entry((1.0,), (dx.index,))
            return x - y, self.entry((1.0, -1.0), (dx.index, dy.index))
        return self.binary("Sub", x, dx, y, dy)

    def Mult(self, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        if dx is None:
            if dy is None:
                if type(x) in PLAIN and type(y) in PLAIN:
                    return x * y, None
                return self.binary("Mult", x, dx, y, dy)
            if type(x) in _REAL and type(y) in _REAL:
                return x * y, self.entry((float(x),), (dy.index,))
        elif type(x) in _REAL and type(y) in _REAL:
            if dy is None:
                return x * y, self.entry((float(y),), (dx.index,))
            return x * y, self.entry((float(y), float(x)), (dx.index, dy.index))
        return self.binary("Mult", x, dx, y, dy)
