"""Specialisation of `*args` and `**kwargs`: what they hold is known one by one, so that passing it on costs
nothing."""

from __future__ import annotations

from typing import Any

from tapeless.program.ir import Lit, Op, Operand, Var
from tapeless.specialise.types import Const, NotTyped, Packed, Tuple
from tapeless.specialise.unit import Known, Pack
from tapeless.specialise.values import Values


class Packs(Values):
    """Packs of arguments; part of `Interp`."""

    def look(self, operand: Operand) -> Any:
        """The binding of an operand, which may be a pack."""
        raise NotImplementedError

    def get(self, operand: Operand) -> Any:
        """The binding of an operand; a pack that is used as a value is made the tuple that it stands for."""
        found = self.look(operand)
        return self.as_tuple(found, operand) if isinstance(found, Pack) else found

    def as_tuple(self, pack: Pack, operand: Any) -> Any:
        if pack.names is not None:
            raise NotTyped(f"**{operand.name} used as a value", self.line)
        source = self.part("tuple", operand, operand.name)
        kind = Tuple(tuple(self.kind(v) for v in pack.values))
        operands = tuple(self.operand(v) for v in pack.values)
        self.emit("tuple", operands, source, kind, starred=(False,) * len(operands))
        return self.look(source)

    def part(self, what: Any, of: Any, name: str) -> Var:
        """A source variable of our own for a part of another."""
        key = ("part", what, id(of))
        if key not in self.sites:
            self.sites[key] = Var(self.fresh(name))
        var: Var = self.sites[key]
        return var

    def packed_parameter(self, source: Var, name: str, kind: Packed) -> list[Var]:
        """Bind a parameter `*args` or `**kwargs`; the variables that it takes the place of."""
        values: list[Any] = []
        found = []
        for k, elem in enumerate(kind.elems):
            if isinstance(elem, Const):
                values.append(Known(elem.value))
                continue
            part = self.part(k, source, name if kind.names is None else kind.names[k])
            self.given[part] = elem
            found.append(self.typed_var(part, elem))
            values.append(found[-1])
        self.bind(source, Pack(tuple(values), kind.names))
        return found

    given: dict[Var, Any]

    # ---- uses

    def op_copy(self, op: Op) -> None:
        found = self.look(op.args[0])
        if isinstance(found, Pack) and found.names is None:
            self.bind(op.outs[0], found)
        else:
            super().op_copy(op)

    def op_tuple(self, op: Op) -> None:
        if not any(op.attrs["starred"]):
            super().op_tuple(op)
            return
        values: list[Any] = []
        for star, operand in zip(op.attrs["starred"], op.args, strict=True):
            values += self.spread_out(operand) if star else [self.get(operand)]
        kind = Tuple(tuple(self.kind(v) for v in values))
        operands = tuple(self.operand(v) for v in values)
        self.emit("tuple", operands, op.outs[0], kind, starred=(False,) * len(operands))

    def op_dict(self, op: Op) -> None:
        """`{**kwargs}`, which a call may need first."""
        found = self.look(op.args[0]) if op.attrs["spread"] == (True,) else None
        if isinstance(found, Pack) and found.names is not None:
            self.bind(op.outs[0], found)
        else:
            super().op_dict(op)

    def op_getitem(self, op: Op) -> None:
        pack, index = self.look(op.args[0]), self.look(op.args[1])
        at = index.value if isinstance(index, Lit | Known) else None
        if isinstance(pack, Pack) and pack.names is None and type(at) is int:
            if -len(pack.values) <= at < len(pack.values):
                self.hand_on(op, pack.values[at])
                return
        if isinstance(pack, Pack) and pack.names is not None and at in pack.names:
            self.hand_on(op, pack.values[pack.names.index(at)])
            return
        super().op_getitem(op)

    def op_compare(self, op: Op) -> None:
        name, pack = op.attrs["op"], self.look(op.args[1])
        if name in ("in", "not in") and isinstance(pack, Pack) and pack.names is not None:
            key = self.look(op.args[0])
            if isinstance(key, Lit | Known) and type(key.value) is str:
                self.bind(op.outs[0], Known((key.value in pack.names) == (name == "in")))
                return
        super().op_compare(op)

    def hand_on(self, op: Op, value: Any) -> None:
        """Bind the result of `op` to a value that there is already."""
        if isinstance(value, Var):
            self.emit("copy", (value,), op.outs[0], value.type)
        else:
            self.bind(op.outs[0], value)

    # ---- calls

    def spread_out(self, operand: Operand) -> list[Any]:
        """What a starred operand stands for, one by one."""
        found = self.look(operand)
        if isinstance(found, Pack) and found.names is None:
            return list(found.values)
        if not isinstance(found, Var) or not isinstance(found.type, Tuple):
            raise NotTyped("a call with * of this", self.line)
        parts: list[Any] = []
        for k, elem in enumerate(found.type.elems):
            if isinstance(elem, Const):
                parts.append(Known(elem.value))
                continue
            part = self.part(k, operand, found.name)
            self.emit("getitem", (found, Lit(k)), part, elem)
            parts.append(self.look(part))
        return parts

    def arguments(self, op: Op) -> tuple[list[Any], tuple[str, ...]]:
        """The bindings of the arguments of a call, those by keyword last, and the keywords."""
        starred, keywords = op.attrs["starred"], op.attrs["keywords"]
        values: list[Any] = []
        names: list[str] = []
        for star, operand in zip(starred, op.args[1:], strict=False):
            values += self.spread_out(operand) if star else [self.get(operand)]
        for name, operand in zip(keywords, op.args[1 + len(starred) :], strict=True):
            pack = self.look(operand)
            if name is not None:
                values.append(self.get(operand))
                names.append(name)
            elif isinstance(pack, Pack) and pack.names is not None:
                values += pack.values
                names += pack.names
            else:
                raise NotTyped("a call with ** of this", self.line)
        if len(set(names)) < len(names):
            raise NotTyped("a keyword that is given twice", self.line)
        return values, tuple(names)

    def op_call_method(self, op: Op) -> None:
        pack = self.look(op.args[0])
        if isinstance(pack, Pack) and pack.names is not None and op.attrs["name"] == "get":
            (key, *other), names = self.arguments(op)
            if isinstance(key, Lit | Known) and type(key.value) is str and len(other) < 2 and not names:
                if key.value in pack.names:
                    self.hand_on(op, pack.values[pack.names.index(key.value)])
                else:
                    self.hand_on(op, other[0] if other else Known(None))
                return
        super().op_call_method(op)
