"""Which variables name storage that the unit writes into, and a refusal where such storage has two names.

Safe side: a variable counts as written if any operation may write into the object that it names.
"""

from __future__ import annotations

from tapeless.analysis.aliases import Aliases, groups_of
from tapeless.program.ir import Lit, Op, Var
from tapeless.specialise.types import Array, Dict, List, NotTyped
from tapeless.specialise.unit import Unit


def _makes_list(op: Op) -> bool:
    """Whether an operation makes a list or dict that nobody else has."""
    if op.kind == "call":
        return op.args[0] == Lit(list)
    return op.kind in ("binary", "list", "dict") or op.kind == "call_method" and op.attrs["name"] == "copy"


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
    groups = groups_of(unit)
    if groups.foreign & groups.written:
        return True
    ops = list(unit.body.walk())
    made = {o for op in ops if _makes_list(op) for o in op.outs}
    for op in ops:
        written = _writes(op)
        if written is not None and isinstance(written.type, List | Dict):
            if written not in made or written in unit.params:
                return True
        callee = op.attrs.get("unit")
        if callee is not None and writes_to_others(callee, seen):
            return True
    return False


def _one(members: list[Var]) -> str:
    """A name of storage that several variables may share: one that the program has."""
    return min((v.name for v in members), key=lambda name: (name.startswith("_"), name))


class Storage:
    """Storage facts of one unit; `lent` are parameters whose storage the caller writes into later."""

    def __init__(self, unit: Unit, active: set[Var], lent: set[Var] | None = None) -> None:
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
        for p in unit.params:
            if p in self._written:
                raise NotTyped(f"the argument {p.name} is written into", unit.program.firstline)
        self._groups = groups = groups_of(unit)
        self._changing = groups.written | {groups.of(v) for v in lent or ()}
        for group, members in groups.members(unit).items():
            if group in groups.written and group in groups.foreign:
                raise NotTyped(f"{_one(members)} is written into and may be shared", unit.program.firstline)
            if group in self._changing and any(not isinstance(v.type, Array) for v in members):
                raise NotTyped(f"{_one(members)} is written into and held elsewhere", unit.program.firstline)
        for op in ops:
            self.check(op)
            callee = op.attrs.get("unit")
            if callee is not None and writes_to_others(callee, set()):
                raise NotTyped(f"{callee.name} writes into its arguments", op.line)
        self.aliases = Aliases(unit, groups, active)

    def check(self, op: Op) -> None:
        """Refuse a second name for a list or dict that is written into."""
        outs = [o for o in op.outs if o in self._written and isinstance(o.type, List | Dict)]
        if outs and not _makes_list(op):
            raise NotTyped(f"{outs[0].name} is written into and may be shared", op.line)
        for a in op.args:
            if not isinstance(a, Var) or a not in self._written or isinstance(a.type, Array):
                continue
            if op.kind in ("tuple", "list", "dict", "copy", "unpack") or (
                op.kind == "setitem" and a is not op.args[0]
            ):
                raise NotTyped(f"{a.name} is written into and has a second name", op.line)
            if op.kind == "call_method" and a in op.args[1:]:
                raise NotTyped(f"{a.name} is written into and has a second name", op.line)

    def written(self, var: Var) -> bool:
        return var in self._written

    def changes(self, var: Var) -> bool:
        """Whether a reference to what `var` holds may show other numbers later."""
        return isinstance(var.type, Array) and self._groups.of(var) in self._changing

    def indexed(self, var: Var) -> bool:
        """Whether the cotangent of `var` is better kept as storage than as a value."""
        return var in self._indexed or (var in self._written and isinstance(var.type, Array))
