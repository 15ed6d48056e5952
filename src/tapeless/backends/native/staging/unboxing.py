"""What functions compiled by Numba give to Python: numbers of Python's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.nest import F64
from tapeless.backends.native.staging.values import ComplexNumber, Number, Sequence, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.base import Base


def unboxed(s: Base, value: Value) -> Value:
    """The result of such a function, in Python."""
    if isinstance(value, Sequence) and value.kind is tuple:
        return Sequence([unboxed(s, v) for v in value.items], tuple)
    if isinstance(value, Static) and isinstance(value.obj, (np.number, np.bool_)):
        return Static(value.obj.item())
    if isinstance(value, ComplexNumber):
        return ComplexNumber(s.convert(value.real, F64), s.convert(value.imag, F64), complex)
    if type(value) is Number and issubclass(value.kind, (np.number, np.bool_)):
        kind = type(value.kind(0).item())
        return Number(s.convert(value.expr, F64) if kind is float else value.expr, kind)
    return value
