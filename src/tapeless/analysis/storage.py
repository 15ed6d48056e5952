"""Which variables name storage that the unit writes into, and a refusal where such storage has two names.

Safe side: a variable counts as written if any operation may write into the object that it names.
"""

from __future__ import annotations

from tapeless.program.ir import Op, Var
from tapeless.specialise.types import Array, Dict, List, NotTyped, Struct, Tuple
from tapeless.specialise.unit import Unit

_FRESH = ("binary", "unary", "list", "dict", "inplace")


def _writes(op: Op) -> Var | None:
    """The variable into whose storage `op` writes."""
    base = op.args[0] if op.args else None
    if not isinstance(base, Var):
        return None
    if op.kind in ("setitem", "augitem") or (op.kind == "inplace" and isinstance(base.type, Array)):
        return base
    if op.kind == "call_method" and op.attrs.get("method") is None and op.attrs["name"] in ("append", "pop"):
        return base
    return None


def writes_to_others(unit: Unit, seen: set[int]) -> bool:
    """Whether a call of `unit` may write into storage that it has not made itself."""
    if id(unit) in seen:
        return False
    seen.add(id(unit))
    ops = list(unit.body.walk())
    made = {o for op in ops if op.kind in _FRESH or creates(op) for o in op.outs}
    for op in ops:
        written = _writes(op)
        if written is not None and (written not in made or written in unit.params):
            return True
        callee = op.attrs.get("unit")
        if callee is not None and writes_to_others(callee, seen):
            return True
    return False


def creates(op: Op) -> bool:
    """Whether a call makes storage that nobody else has."""
    if op.kind == "call" and "unit" not in op.attrs:
        import numpy as np

        fn = op.args[0].value  # type: ignore[union-attr]
        return isinstance(fn, np.ufunc) or fn in (
            np.zeros, np.ones, np.empty, np.full, np.zeros_like, np.ones_like, np.empty_like, np.array,
            np.copy, np.arange, np.linspace, list,
        )  # fmt: skip
    return op.kind == "call_method" and op.attrs["name"] == "copy"


class Storage:
    """Storage facts of one unit."""

    def __init__(self, unit: Unit, active: set[Var]) -> None:
        self.unit = unit
        ops = list(unit.body.walk())
        self._written = {v for op in ops if (v := _writes(op)) is not None}
        self._indexed = {
            op.args[0]
            for op in ops
            if op.kind in ("getitem", "setitem", "augitem")
            and isinstance(op.args[0], Var)
            and isinstance(op.args[0].type, Array)
        }
        self._indexed |= {
            a
            for op in ops
            if op.kind in ("loop", "unpack")
            for a in op.args
            if isinstance(a, Var) and isinstance(a.type, Array)
        }
        params = set(unit.params)
        for v in self._written:
            if v in params:
                raise NotTyped(f"the argument {v.name} is written into", unit.program.firstline)
        for op in ops:
            self.check(op)
            callee = op.attrs.get("unit")
            if callee is not None and writes_to_others(callee, set()):
                raise NotTyped(f"{callee.name} writes into its arguments", op.line)

    def check(self, op: Op) -> None:
        """Refuse a second name for storage that is written into."""
        outs = [o for o in op.outs if o in self._written]
        if outs and op.kind not in _FRESH and not creates(op):
            raise NotTyped(f"{outs[0].name} is written into and may be shared", op.line)
        for a in op.args:
            if not isinstance(a, Var) or a not in self._written:
                continue
            if op.kind in ("tuple", "list", "dict", "copy", "unpack") or (
                op.kind == "setitem" and a is not op.args[0]
            ):
                raise NotTyped(f"{a.name} is written into and has a second name", op.line)
            if op.kind == "call_method" and a in op.args[1:]:
                raise NotTyped(f"{a.name} is written into and has a second name", op.line)
            views = any(isinstance(o.type, Array | List | Dict | Tuple | Struct) for o in op.outs)
            if isinstance(a.type, List | Dict):
                views = False  # what is in it is not written into
            if op.kind in ("getattr", "call_method", "getitem") and views:
                raise NotTyped(f"a view of {a.name}, which is written into", op.line)
            if op.kind == "loop" and isinstance(a.type, Array) and a.type.ndim > 1:
                raise NotTyped(f"a view of {a.name}, which is written into", op.line)

    def written(self, var: Var) -> bool:
        return var in self._written

    owned = written

    def changes(self, var: Var) -> bool:
        """Whether a reference to what `var` holds may show other numbers later."""
        return var in self._written and isinstance(var.type, Array)

    def indexed(self, var: Var) -> bool:
        """Whether the cotangent of `var` is better kept as storage than as a value."""
        return var in self._indexed or (var in self._written and isinstance(var.type, Array))
