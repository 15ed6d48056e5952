"""Which variables name storage that the unit writes into, and a refusal where such storage has two names.

Safe side: a variable counts as written if any operation may write into the object that it names.
"""

from __future__ import annotations

from typing import Any

from tapeless.analysis.aliases import Aliases, groups_of
from tapeless.program.ir import Lit, Op, Var
from tapeless.specialise.types import Array, Dict, List, NotTyped, Scalar, differentiable
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


def plain_list(kind: Any) -> bool:
    """Whether a type is that of a list of numbers that carry no derivative."""
    return isinstance(kind, List) and isinstance(kind.elem, Scalar) and not differentiable(kind)


def filled_in(unit: Unit, seen: frozenset[int] = frozenset()) -> set[int]:
    """Which parameters, by number, are lists without a derivative that a call of `unit` may write into."""
    found = {i for i, p in enumerate(unit.params) if plain_list(p.type)}
    if not found or id(unit) in seen:
        return found
    written = {v for op in unit.body.walk() if (v := _writes(op)) is not None}
    for op in unit.body.walk():
        callee = op.attrs.get("unit")
        if callee is not None and any(a in unit.params for a in op.args):
            written |= {op.args[i + 1] for i in filled_in(callee, seen | {id(unit)})}  # type: ignore[misc]
    return {i for i in found if unit.params[i] in written}


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
            filled = written in unit.params and plain_list(written.type)
            if not filled and (written not in made or written in unit.params):
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
        self.unit, self._lent = unit, lent or set()
        ops = list(unit.body.walk())
        self._written = {v for op in ops if (v := _writes(op)) is not None}
        for op in ops:
            if (callee := op.attrs.get("unit")) is not None:
                self._written |= {a for i in filled_in(callee) if isinstance(a := op.args[i + 1], Var)}
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
            if p in self._written and not plain_list(p.type):
                raise NotTyped(f"the argument {p.name} is written into", unit.program.firstline)
        self._groups = groups = groups_of(unit)
        self._changing = groups.written | {groups.of(v) for v in self._lent if isinstance(v.type, Array)}
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
        if any(o in self.unit.params for o in outs):
            raise NotTyped(f"{outs[0].name} is an argument and another list", op.line)
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
        if isinstance(var.type, Array):
            return self._groups.of(var) in self._changing
        return False

    def lends(self, var: Var) -> bool:
        """Whether what is passed to a function may change after the call."""
        return self.changes(var) or plain_list(var.type) and not self.kept(var)

    def kept(self, var: Var) -> bool:
        """Whether what a list or dict holds is certain to stay as it is."""
        if var in self._written or any(plain_list(p.type) and p in self._written for p in self.unit.params):
            return False
        return not any(isinstance(p.type, List | Dict) for p in self._lent)

    def indexed(self, var: Var) -> bool:
        """Whether the cotangent of `var` is better kept as storage than as a value."""
        return var in self._indexed or (var in self._written and isinstance(var.type, Array))
