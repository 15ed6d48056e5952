"""Which array variables of a unit may be one storage, and what follows where that storage is written into.

A variable *owns* what an operation has made for it.  Another name for written storage, or a view of it, is
taken as a value of its own: it is *stale* once the storage has been written through another name, and is then
read anew before it is used.  What is written through it is stored in the owner as well.  Both need the way
from the owner: the chain of indices that made the view.  Where that is not known, the program is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tapeless.analysis.fresh import creates, fancy
from tapeless.program.ir import Block, Op, Operand, Var
from tapeless.specialise.types import Array, Dict, List, NotTyped, Scalar, Struct, Tuple, type_of
from tapeless.specialise.unit import Unit


def holds_arrays(kind: Any) -> bool:
    """Whether a value of this type is an array, or a container that may hold one."""
    match kind:
        case Array():
            return True
        case List(elem=elem) | Dict(elem=elem):
            return elem is not None and holds_arrays(elem)
        case Tuple(elems=elems) | Struct(elems=elems):
            return any(map(holds_arrays, elems))
    return False


def written_array(op: Op) -> Var | None:
    """The array variable into whose storage `op` writes."""
    base = op.args[0] if op.args else None
    if not isinstance(base, Var) or not isinstance(base.type, Array):
        return None
    return base if op.kind in ("setitem", "augitem", "inplace") else None


def joined(op: Op) -> list[Var]:
    """The variables that are one storage, or parts of one, because of `op`."""
    outs = [o for o in op.outs if holds_arrays(o.type)]
    args = [a for a in op.args if isinstance(a, Var) and holds_arrays(a.type)]
    match op.kind:
        case "setitem" | "augitem":
            return [] if isinstance(op.args[0].type, Array) else args  # type: ignore[union-attr]
        case "call_method" if op.attrs.get("method") is None:
            return [*outs, *args]  # a list takes what is appended
        case "getitem" | "inplace":
            return [*outs, *args[:1]] if outs and not fancy(op) else []
    return [*outs, *args] if outs and not creates(op) else []


def _kinds(index: Operand) -> tuple[Any, ...]:
    """The types of the parts of an index."""
    kind = index.type if isinstance(index, Var) else type_of(index.value)
    return kind.elems if isinstance(kind, Tuple) else (kind,)


def _integers(index: Operand) -> bool:
    return all(isinstance(k, Scalar) for k in _kinds(index))


class Groups:
    """The variables of a unit, grouped by the storage that they may share."""

    def __init__(self, unit: Unit) -> None:
        self._up: dict[Var, Var] = {}
        ops = list(unit.body.walk())
        foreign = [p for p in unit.params if holds_arrays(p.type)]
        for op in ops:
            together = joined(op)
            for other in together[1:]:
                self._up[self.of(other)] = self.of(together[0])
            if op.outs and not creates(op) and not any(a in together for a in op.args):
                foreign += [o for o in together if o in op.outs and isinstance(o.type, Array)]
        self.foreign = {self.of(v) for v in foreign}
        """Groups of storage that the unit has not made itself."""
        self.written = {self.of(v) for op in ops if (v := written_array(op)) is not None}
        """Groups of arrays that are written into."""

    def of(self, var: Var) -> Var:
        """The one variable that stands for the group."""
        while (up := self._up.get(var, var)) is not var:
            self._up[var] = var = self._up.get(up, up)
        return var

    def members(self, unit: Unit) -> dict[Var, list[Var]]:
        """The variables of each group."""
        found: dict[Var, list[Var]] = {}
        variables = dict.fromkeys([*unit.params, *(o for op in unit.body.walk() for o in op.outs)])
        for v in variables:
            if holds_arrays(v.type):
                found.setdefault(self.of(v), []).append(v)
        return found


@dataclass(frozen=True, slots=True)
class Way:
    """From the owner of storage to a view: the operations that took a part, by their identity."""

    owner: Var
    steps: tuple[int, ...]


OWN = "own"
#: what is known of a name: its way (`OWN`, a `Way`, or None), and whether it is stale
State = dict[Var, tuple[Any, bool]]


class Aliases:
    """The flow of names for written storage through a unit."""

    def __init__(self, unit: Unit, groups: Groups, active: set[Var]) -> None:
        self.groups, self.active = groups, active
        self.refresh: dict[int, dict[Var, Way | None]] = {}
        """By operation: the names to be read anew before it."""
        self.through: dict[int, Way | None] = {}
        """By operation that writes: the way of the name that it writes through, if that is not the owner."""
        self.steps: dict[int, Op] = {}
        members = groups.members(unit)
        self.members = {
            v: g for g, found in members.items() if g in groups.written and len(found) > 1 for v in found
        }
        self._exits: list[tuple[list[State], list[State]]] = []
        self._final = True
        if self.members:
            self._block(unit.body, {})

    def changed_in(self, ops: Iterable[Op]) -> set[Var]:
        """The names that mean other numbers after `ops`, beside those that these assign or store into."""
        found: set[Var] = set()
        for op in ops:
            found |= self.refresh.get(id(op), {}).keys()
            way = self.through.get(id(op))
            if way is not None:
                found.add(way.owner)
        return found

    # ---- what one operation does

    def _read(self, op: Op, var: Var, state: State) -> None:
        """`op` uses what `var` holds."""
        if var not in state or not state[var][1]:
            return
        way = state[var][0]
        if not isinstance(way, Way) and var in self.active:
            raise NotTyped(f"{var.name} may have been written into under another name", op.line)
        state[var] = way, False
        if self._final:
            known = self.refresh.setdefault(id(op), {})
            if known.setdefault(var, way) != way:
                raise NotTyped("control flow that was copied", op.line)

    def _stored(self, op: Op, base: Var, state: State) -> None:
        """NumPy copies `a[::2] = a[:3]` in order: it may read what it has just written.  Rows are apart."""
        value = op.args[-1]
        if op.kind != "setitem" or not isinstance(value, Var) or value not in self.members:
            return
        if self.members[value] is not self.members[base] or base not in self.active:
            return
        way = state.get(value, (None, False))[0]
        rows = isinstance(way, Way) and way.owner is base and len(way.steps) == 1
        rows = rows and _integers(op.args[1]) and _integers(self.steps[way.steps[0]].args[1])
        fancy_index = any(isinstance(k, Array) for k in _kinds(op.args[1]))
        if way != OWN and not rows and (value.type.ndim == 1 or fancy_index):
            raise NotTyped("a store from a part of the same array", op.line)

    def _write(self, op: Op, base: Var, state: State) -> None:
        way = state.get(base, (None, False))[0]
        if way is None and base in self.active:
            raise NotTyped(f"{base.name} is written into, and may be a part of several arrays", op.line)
        owner = base if way == OWN else way.owner if way is not None else None
        if owner is not base and self._final and self.through.setdefault(id(op), way) != way:
            raise NotTyped("control flow that was copied", op.line)
        group = self.members[base]
        for v, (other, _) in state.items():
            if v is base or v is owner or self.members[v] is not group:
                continue
            mine = v if other == OWN else other.owner if other is not None else None
            if owner is None or mine is None or mine is owner:
                state[v] = other, True

    def _define(self, var: Var, way: Any, state: State) -> None:
        for v, (other, stale) in state.items():
            if isinstance(other, Way) and other.owner is var:
                state[v] = None, stale  # its owner's name means another array from here on
        if isinstance(way, Way) and way.owner is var:
            way = None
        state[var] = way, False

    def _made(self, op: Op, state: State) -> Any:
        """The way to the result of an operation."""
        if op.kind in ("loop", "unpack"):
            return None
        base = op.args[0] if op.args else None
        if creates(op) or op.kind == "getitem" and fancy(op):
            return OWN
        if op.kind not in ("copy", "getitem") or not isinstance(base, Var) or base not in self.members:
            return None
        way = state.get(base, (None, False))[0]
        if way is None:
            return None
        owner, steps = (base, ()) if way == OWN else (way.owner, way.steps)
        if op.kind == "getitem":
            self.steps[id(op)] = op
            steps = (*steps, id(op))
        return Way(owner, steps)

    def _op(self, op: Op, state: State) -> State | None:
        if op.kind == "if":
            found = [self._block(b, dict(state)) for b in op.blocks]
            return _met([s for s in found if s is not None])
        if op.kind in ("loop", "while"):
            return self._loop(op, state)
        for a in dict.fromkeys(op.args):
            if isinstance(a, Var) and a in self.members:
                self._read(op, a, state)
        if op.kind in ("break", "continue"):
            self._exits[-1][op.kind == "continue"].append(state)
        if op.kind in ("break", "continue", "return", "raise"):
            return None
        base = written_array(op)
        if base is not None and base in self.members:
            self._stored(op, base, state)
            self._write(op, base, state)
        for o in op.outs:
            if o in self.members and o is not base:
                if base is not None:
                    raise NotTyped(f"{o.name} is a second name for what is written into", op.line)
                self._define(o, self._made(op, state), state)
        return state

    # ---- control

    def _block(self, block: Block, state: State) -> State | None:
        at: State | None = state
        for op in block.ops:
            if at is None:
                break
            at = self._op(op, at)
        return at

    def _loop(self, op: Op, state: State) -> State | None:
        over = [a for a in op.args if isinstance(a, Var) and a in self.members] if op.kind == "loop" else []
        for a in over:
            self._read(op, a, state)
        inside = {id(o) for b in op.blocks for o in b.walk()}
        final, self._final = self._final, False
        head = state
        while True:
            out = self._round(op, over, head)
            after = _around(head, out[0], inside)
            if after == head:
                break
            head = after
        self._final = final
        if final:  # once more, with what is known now
            out = self._round(op, over, head)
        return _met([head, *(_outside(s, inside) for s in out[1])])

    def _round(self, op: Op, over: list[Var], head: State) -> tuple[list[State], list[State]]:
        """The states at the end of an iteration, and where the loop is left."""
        at = dict(head)
        self._exits.append(([], []))
        if op.kind == "while":
            for test in op.blocks[0].walk():  # no tangent goes through a condition
                if any(v in self.members for v in (*test.outs, written_array(test))):
                    raise NotTyped("an array of several names in the condition of a loop", op.line)
        for a in over:
            if at.get(a, (None, False))[1] and a in self.active:
                raise NotTyped(f"a loop over {a.name}, which is written into under another name", op.line)
        for o in op.outs:
            if o in self.members:
                self._define(o, None, at)
        end = self._block(op.blocks[0 if op.kind == "loop" else 1], at)
        breaks, again = self._exits.pop()
        return [*([end] if end is not None else []), *again], breaks


def _met(states: Iterable[State]) -> State | None:
    """What is known where several paths meet."""
    out: State | None = None
    for state in states:
        if out is None:
            out = dict(state)
            continue
        for v in {**out, **state}:
            (a, p), (b, q) = out.get(v, (None, False)), state.get(v, (None, False))
            out[v] = a if a == b else None, p or q
    return out


def _outside(state: State, inside: set[int]) -> State:
    """What is known behind a loop: the indices of an iteration are gone."""
    return {
        v: (None if isinstance(way, Way) and inside & set(way.steps) else way, stale)
        for v, (way, stale) in state.items()
    }


def _around(head: State, ends: list[State], inside: set[int]) -> State:
    """What is known where an iteration begins, given what is known where others end."""
    out = _met([head, *(_outside(s, inside) for s in ends)])
    return _outside(out or {}, inside)


def groups_of(unit: Unit) -> Groups:
    """The groups of a finished unit."""
    key = ("groups",)
    if key not in unit.derived:
        unit.derived[key] = Groups(unit)
    found: Groups = unit.derived[key]
    return found


__all__ = ["OWN", "Aliases", "Groups", "Way", "groups_of", "holds_arrays"]
