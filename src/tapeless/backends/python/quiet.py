"""Whether a reverse pass can warn: one that only moves numbers needs no `np.errstate`, which is slow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tapeless.program.ir import Lit, Op, Operand, Var
from tapeless.specialise.types import Array, Scalar

_MOVES = ("copy", "getattr", "getitem", "slice", "tuple", "keep")
_CALLS: tuple[Any, ...] = (np.zeros, np.full, len)


def quiet(ops: Iterable[Op]) -> bool:
    """Whether none of the operations computes with NumPy, nor converts to a narrower type."""
    return all(_quiet(op) for op in ops)


def _quiet(op: Op) -> bool:
    if op.kind == "if":
        return all(quiet(block.ops) for block in op.blocks)
    if op.kind == "setitem":
        base = op.args[0]
        return isinstance(base, Var) and isinstance(base.type, Array) and base.type.dtype == "f8"
    if op.kind in ("binary", "unary", "inplace", "compare"):
        return all(map(_python, (*op.args, *op.outs)))
    if op.kind == "call":
        called = op.args[0]
        return isinstance(called, Lit) and any(called.value is fn for fn in _CALLS)
    return op.kind in _MOVES


def _python(operand: Operand) -> bool:
    """Whether a value is a number of Python's."""
    if isinstance(operand, Lit):
        return type(operand.value) in (int, float, bool)
    return isinstance(operand.type, Scalar) and operand.type.kinds <= {"int", "float", "bool"}
