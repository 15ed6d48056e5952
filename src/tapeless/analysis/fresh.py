"""Which operations make an array that nobody else has."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.program.ir import Op, Var
from tapeless.specialise.types import Array, Tuple

#: functions whose result shares nothing with their arguments
_MAKERS: tuple[Any, ...] = (
    np.zeros, np.ones, np.empty, np.full, np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.eye,
    np.array, np.copy, np.arange, np.linspace, np.where, np.concatenate, np.stack, np.outer, np.dot,
    np.cross, np.kron, np.roll, np.repeat, np.tile, np.sum, np.mean, np.prod, np.max, np.min, np.std, np.var,
    np.cumsum, np.cumprod, np.take, np.sort, np.argsort, np.clip, np.triu, np.tril, np.tensordot,
    np.linalg.inv, np.linalg.solve, np.linalg.cholesky, np.linalg.norm, np.linalg.det, np.interp,
)  # fmt: skip
_METHODS = (
    "copy", "sum", "mean", "prod", "max", "min", "std", "var", "cumsum", "cumprod", "dot", "flatten", "round",
    "clip", "repeat", "take", "argsort", "argmax", "argmin", "trace",
)  # fmt: skip


def creates(op: Op) -> bool:
    """Whether the result of an operation is an array that nobody else has."""
    if not op.outs or not isinstance(op.outs[0].type, Array):
        return False
    if op.kind in ("binary", "unary", "compare"):
        return True
    if op.kind == "call":
        unit = op.attrs.get("unit")
        return returns_fresh(unit) if unit is not None else _makes(op.args[0].value, op)  # type: ignore[union-attr]
    return op.kind == "call_method" and (
        op.attrs["name"] in _METHODS
        or op.attrs["name"] == "astype"
        and "copy" not in op.attrs["keywords"]
        and len(op.args) == 2
    )


def _makes(fn: Any, op: Op) -> bool:
    if "copy" in op.attrs["keywords"] or "out" in op.attrs["keywords"]:
        return False
    if fn is np.diag:  # of a matrix it is a view
        kind = op.args[1].type if isinstance(op.args[1], Var) else None
        return isinstance(kind, Array) and kind.ndim == 1
    return isinstance(fn, np.ufunc) or any(fn is maker for maker in _MAKERS)


def fancy(op: Op) -> bool:
    """Whether reading a part of an array copies it: at an index with arrays in it."""
    base, at = op.args[:2]
    if op.kind != "getitem" or not isinstance(base, Var) or not isinstance(base.type, Array):
        return False
    kind = at.type if isinstance(at, Var) else None
    parts = kind.elems if isinstance(kind, Tuple) else (kind,)
    return any(isinstance(p, Array) for p in parts)


def returns_fresh(unit: Any) -> bool:
    """Whether a call of `unit` gives an array that nobody else has."""
    from tapeless.analysis.aliases import groups_of

    if not unit.done or not isinstance(unit.result, Array):
        return False
    key = ("fresh",)
    if key not in unit.derived:
        unit.derived[key] = False  # while a recursive call is looked at
        groups = groups_of(unit)
        unit.derived[key] = all(
            isinstance(a, Var) and isinstance(a.type, Array) and groups.of(a) not in groups.foreign
            for op in unit.body.walk()
            if op.kind == "return"
            for a in op.args
        )
    return bool(unit.derived[key])
