"""Whether a reverse pass can warn: one that only moves numbers needs no `np.errstate`, which is slow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tapeless.program.ir import Lit, Op, Operand, Var
from tapeless.specialise.types import Array, Dict, List, Scalar

_MOVES = ("copy", "getattr", "getitem", "slice", "tuple", "list", "keep")
_CALLS: tuple[Any, ...] = (np.zeros, np.full, len)


def quiet(ops: Iterable[Op]) -> bool:
    """Whether none of the operations computes with NumPy, nor converts to a narrower type."""
    return all(_moves(op) or _of_numbers(op) or _inside(op, quiet) for op in ops)


def moves(ops: Iterable[Op]) -> bool:
    """Whether the operations compute nothing at all, so that no NaN comes of them."""
    return all(_moves(op) or _inside(op, moves) for op in ops)


def _inside(op: Op, test: Callable[[Iterable[Op]], bool]) -> bool:
    return op.kind == "if" and all(test(block.ops) for block in op.blocks)


def _of_numbers(op: Op) -> bool:
    return op.kind in ("binary", "unary", "inplace", "compare") and all(map(_python, (*op.args, *op.outs)))


def _moves(op: Op) -> bool:
    if op.kind == "setitem":
        base = op.args[0]
        kind = base.type if isinstance(base, Var) else None
        return isinstance(kind, List | Dict) or isinstance(kind, Array) and kind.dtype == "f8"
    if op.kind == "binary":
        return isinstance(op.outs[0].type, List)  # a list of zeros
    if op.kind == "call":
        called = op.args[0]
        return isinstance(called, Lit) and any(called.value is fn for fn in _CALLS)
    return op.kind in _MOVES


def _python(operand: Operand) -> bool:
    """Whether a value is a number of Python's."""
    if isinstance(operand, Lit):
        return type(operand.value) in (int, float, bool)
    return isinstance(operand.type, Scalar) and operand.type.kinds <= {"int", "float", "bool"}
