"""Sums, differences, products and quotients of numbers and arrays: what untyped programs do most, without a
detour by a rule.

Their partials are those of the rule book: (1, 1), (1, -1), (b, a) and (1 / b, -y / b).  Between real numbers
an entry is a bare tuple of partials.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.autodiff.linear import Lin
from tapeless.rules.operations import Scale
from tapeless.rules.spaces import FLOAT, Space
from tapeless.runtime.operators import ARITHMETIC
from tapeless.runtime.run import Run

_new = object.__new__
_REAL = frozenset({float, int, np.float64})
_FLOAT = frozenset({float, np.float64})
#: kinds of dtype that hold numbers
_NUMBERS = "fciub"


class ScalarRecording(Run):
    """`+`, `-`, `*` and `/` in reverse mode; what is not made of real numbers and plain arrays goes the
    common road."""

    record: Any

    def times(self, p: float, t: Any) -> Lin:
        """The tangent `p * t` of a real number."""
        lin = _new(Lin)
        lin.record = record = self.record
        entries = record.entries
        lin.index, lin.space = len(entries), FLOAT
        entries.append((p, t.index, FLOAT))
        return lin

    def plus(self, p: float, t: Any, q: float, u: Any) -> Lin:
        """The tangent `p * t + q * u` of a real number."""
        lin = _new(Lin)
        lin.record = record = self.record
        entries = record.entries
        lin.index, lin.space = len(entries), FLOAT
        entries.append(((p, q), (t.index, u.index), FLOAT))
        return lin

    def Add(self, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        if type(x) not in _REAL or type(y) not in _REAL:
            return self.combine("Add", x, dx, y, dy)
        if dy is None:
            return x + y, None if dx is None else self.times(1.0, dx)
        if dx is dy:
            return x + y, self.times(2.0, dx)
        return x + y, self.times(1.0, dy) if dx is None else self.plus(1.0, dx, 1.0, dy)

    def Sub(self, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        if type(x) not in _REAL or type(y) not in _REAL:
            return self.combine("Sub", x, dx, y, dy)
        if dy is None:
            return x - y, None if dx is None else self.times(1.0, dx)
        return x - y, self.times(-1.0, dy) if dx is None else self.plus(1.0, dx, -1.0, dy)

    def Mult(self, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        if type(x) not in _REAL or type(y) not in _REAL:
            return self.combine("Mult", x, dx, y, dy)
        if dy is None:
            return x * y, None if dx is None else self.times(float(y), dx)
        return x * y, self.times(float(x), dy) if dx is None else self.plus(float(y), dx, float(x), dy)

    def Div(self, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        if type(x) in _FLOAT and type(y) in _FLOAT and y:
            z, q = x / y, float(y)
            if dy is None:
                return z, None if dx is None else self.times(1.0 / q, dx)
            if dx is None:
                return z, self.times(-float(z) / q, dy)
            return z, self.plus(1.0 / q, dx, -float(z) / q, dy)
        return self.combine("Div", x, dx, y, dy)

    def combine(self, name: str, x: Any, dx: Any, y: Any, dy: Any) -> tuple[Any, Any]:
        """An operation on plain arrays, or on one and a real number."""
        tx, ty = dx, dy
        if type(x) is np.ndarray:
            if not x.ndim or x.dtype.kind not in _NUMBERS:
                return self.binary(name, x, dx, y, dy)
            tx = self.tangent_of(x, None)
        elif type(x) not in _REAL or type(y) is not np.ndarray:
            return self.binary(name, x, dx, y, dy)
        if type(y) is np.ndarray:
            if not y.ndim or y.dtype.kind not in _NUMBERS:
                return self.binary(name, x, dx, y, dy)
            ty = self.tangent_of(y, None) if y is not x else tx
        elif type(y) not in _REAL:
            return self.binary(name, x, dx, y, dy)
        z = ARITHMETIC[name](x, y)
        if tx is None and ty is None:
            return z, None
        if name == "Add" or name == "Sub":
            op = _LINEAR[name, tx is None, ty is None]
        elif name == "Mult":
            p = None if tx is None else self.frozen(y)
            q = None if ty is None else self.frozen(x)
            op = Scale((p,) if ty is None else (q,) if tx is None else (p, q))
        else:
            with np.errstate(all="ignore"):
                p = None if tx is None else np.true_divide(1.0, y)
                q = None if ty is None else -z / y
            op = Scale((p,) if ty is None else (q,) if tx is None else (p, q))
        parents = (tx.index,) if ty is None else (ty.index,) if tx is None else (tx.index, ty.index)
        space = (ty if tx is None else tx).space
        if space.shape != z.shape or space.dtype is not z.dtype:
            space = Space("array", z.dtype, z.shape)
        self.new_array(z, self.record.append(op, parents, space))
        return z, None


#: sums and differences by which of the two operands has no companion
_LINEAR = {
    (name, left, right): Scale((1,) * (not left) + (q,) * (not right))
    for name, q in (("Add", 1), ("Sub", -1))
    for left in (False, True)
    for right in (False, True)
}
