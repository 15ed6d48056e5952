"""Puts the halves together: the value Program with its saves, the reverse Program, and both in one where
that is possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tapeless.autodiff.control import Exit
from tapeless.autodiff.copies import without_copies
from tapeless.autodiff.inlining import inlined
from tapeless.autodiff.linear_program import LLoop
from tapeless.autodiff.linearize import Linearized, Walk
from tapeless.autodiff.merging import left_in_place
from tapeless.autodiff.packing import once, packs, unpacked
from tapeless.autodiff.residuals import Frame, Mark
from tapeless.autodiff.saving import Plan, Slot
from tapeless.autodiff.transpose import Transpose
from tapeless.program.ir import Block, Lit, Op, Operand, Param, Program, Var
from tapeless.specialise.types import INT, NotTyped, Tuple
from tapeless.specialise.unit import Unit


@dataclass(slots=True)
class Fused:
    """The value program of a unit with one exit, and its reverse program from a cotangent of 1.0, to be run
    in one frame."""

    forward: list[Op]
    reverse: Block
    record: list[Var]
    results: list[Operand]
    value: Operand


def linearized(
    unit: Unit,
    active: tuple[bool, ...],
    fused: bool = False,
    aux: bool = False,
    lent: tuple[bool, ...] = (),
) -> Linearized:
    """The halves of `unit` for the active parameters; `fused` asks for one Program that does both, `lent`
    marks arguments that the caller writes into between the halves."""
    key = ("fused" if fused else "reverse", active, aux, lent)
    if key not in unit.derived:
        try:
            _build(unit, active, fused, aux, lent, key)
        except NotTyped:
            unit.derived.pop(key, None)
            raise
        if fused and not aux and not unit.derived[key].fused:
            unit.derived[key] = linearized(unit, active)
    found: Linearized = unit.derived[key]
    return found


def _build(
    unit: Unit, active: tuple[bool, ...], fused: bool, aux: bool, lent: tuple[bool, ...], key: Any
) -> None:
    walk = Walk(unit, active, linearized, lent)
    lin = unit.derived[key] = walk.result
    lin.forward = Unit(_program(unit, f"{unit.name}_fwd"), unit.namespace, unit.cells, done=True)
    lin.reverse = Unit(_program(unit, f"{unit.name}_rev"), unit.namespace, unit.cells, done=True)
    walk.run()
    one_exit = len(lin.exits) == 1 and lin.exits[0].frame is lin.top
    lin.fused = fused and one_exit
    if fused and not one_exit and not aux:
        return
    lin.aux = aux
    plan = lin.plan = Plan(lin)
    plan.run()
    transpose = Transpose(lin, plan)
    cts, body, results = transpose.run()
    left_in_place(body)
    assemble = Assemble(lin, plan, transpose)
    assert lin.top is not None
    lists, inits = assemble.starts()
    forward = [*lists, *inits, *assemble.block(lin.top).ops]
    items = [s.items for s in plan.slots if s.items is not None]
    lin.packs = packs(forward, body, items, plan.fresh)
    body = inlined(unpacked(body, lin.packs), plan.fresh)
    renamed = {v: p.packed for p in lin.packs for v in p.items}
    assemble.record[:] = once([renamed.get(v, v) for v in assemble.record], set(renamed.values()))
    lin.slots = assemble.record
    lin.exit_var = transpose.exit_var
    lin.record = Tuple((unit.result, *(v.type for v in assemble.record)))
    if lin.fused:
        assemble.join(forward, cts, body, results)
        return
    record = assemble.record
    without_copies(body, results)
    lin.forward.program.params = unit.program.params
    lin.forward.program.body = Block(forward)
    lin.forward.result = lin.record
    name = Var(plan.fresh("record"), lin.record)
    params = [name, *cts]
    lin.reverse.program.params = [Param(v, "standard", v.name) for v in params]
    ops: list[Op] = []
    if record:
        ops.append(_unpack(name, unit.result, record))
    ops += [*body.ops]
    result, tail = gathered(results)
    lin.reverse.program.body = Block([*ops, *tail, Op("return", (result,), (), {}, (), 0)])
    kinds = [a.type if isinstance(a, Var) else lin.ins for a in results]
    lin.reverse.result = kinds[0] if len(results) == 1 else Tuple(tuple(kinds))


def _unpack(name: Var, value: Any, slots: list[Var]) -> Op:
    """The record's parts; its first is the value."""
    return Op("unpack", (name,), (Var("_", value), *slots), {"star": None}, (), 0)


def gathered(values: list[Operand]) -> tuple[Operand, list[Op]]:
    """One operand for several values."""
    if len(values) == 1:
        return values[0], []
    out = Var("_", None)
    return out, [Op("tuple", tuple(values), (out,), {"starred": (False,) * len(values)}, (), 0)]


def _program(unit: Unit, name: str) -> Program:
    p = unit.program
    name = name.replace("<lambda>", "function")
    return Program(name, [], Block(), p.filename, p.firstline, (), False, p.code, p.node)


class Assemble:
    """Writes the saves into the value program."""

    def __init__(self, lin: Linearized, plan: Plan, transpose: Transpose) -> None:
        self.lin, self.plan, self.transpose = lin, plan, transpose
        slots = plan.slots
        self.record: list[Var] = []
        self.counted: dict[Frame, Op] = {}
        self.ends: dict[LLoop, list[Op]] = {}
        if transpose.exit_var is not None:
            self.record.append(transpose.exit_var)
        for s in slots:
            self.record.append(s.var if s.items is None else s.items)

    def starts(self) -> tuple[list[Op], list[Op]]:
        """The empty lists, and the names that one path may leave unassigned."""
        lists = [
            Op("list", (), (s.items,), {"starred": ()}, (), 0) for s in self.plan.slots if s.items is not None
        ]
        inits = [
            Op("copy", (Lit(None),), (s.var,), {}, (), 0)
            for s in self.plan.slots
            if s.items is None and s.copied and s.maybe and not self.lin.fused
        ]
        return lists, inits

    def block(self, frame: Frame) -> Block:
        ops: list[Op] = [op for s in frame.saves for op in self.save(s)]
        if frame in self.counted:
            ops.append(self.counted[frame])
        for op in frame.ops:
            if isinstance(op, Mark):
                if op.version is None:
                    ops += self.exit(op.what)
                else:
                    ops += [o for s in op.version.saves for o in self.save(s)]
                continue
            ops += self.control(op)
        return Block(ops)

    def control(self, op: Op) -> list[Op]:
        """An operation with its blocks written out."""
        frames = op.attrs.get("frames")
        if frames is None:
            return [op]
        attrs = {k: v for k, v in op.attrs.items() if k not in ("frames", "cond", "node")}
        if op.kind == "rest":
            return self.block(frames[0]).ops
        if op.kind == "if":
            return [Op("if", op.args, (), attrs, tuple(self.block(f) for f in frames), op.line)]
        node: LLoop = op.attrs["node"]
        before: list[Op] = []
        after: list[Op] = []
        if node.count is not None:
            self.count(node, before, after)
        body = self.block(frames[0])
        blocks = (body, Block()) if op.kind == "loop" else (op.attrs["cond"], body, Block())
        return [*before, Op(op.kind, op.args, op.outs, attrs, blocks, op.line), *after]

    def count(self, node: LLoop, before: list[Op], after: list[Op]) -> None:
        """Count how often the linear body runs."""
        assert node.count is not None
        n = node.count.var
        attrs = {"keywords": (), "starred": (False,), "text": "len"}
        target = node.blocks[0].frame
        slot = next((s for s in self.plan.slots if s.items is not None and s.frame is target), None)
        if slot is not None and slot.items is not None:
            start = Var(self.plan.fresh("start"), INT)
            before.append(Op("call", (Lit(len), slot.items), (start,), attrs, (), node.line))
            end = Var("_", INT)
            after.append(Op("call", (Lit(len), slot.items), (end,), attrs, (), node.line))
            after.append(Op("binary", (end, start), (n,), {"op": "Sub"}, (), node.line))
        else:
            before.append(Op("copy", (Lit(0),), (n,), {}, (), node.line))
            self.counted[target] = Op("inplace", (n, Lit(1)), (n,), {"op": "Add"}, (), node.line)
        after += [o for s in node.count.saves for o in self.save(s)]
        self.ends[node] = after

    def save(self, slot: Slot) -> list[Op]:
        v = slot.version.var
        line = 0
        value: Operand = v
        ops: list[Op] = []
        if not slot.version.stable:
            held = Var("_", v.type)
            import numpy as np

            copy = {"name": "copy", "keywords": (), "starred": (), "method": np.ndarray.copy}
            ops.append(Op("call_method", (v,), (held,), copy, (), line))
            value = held
        if slot.items is not None:
            attrs = {"name": "append", "keywords": (), "starred": (False,), "method": None}
            ops.append(Op("call_method", (slot.items, value), (), attrs, (), line))
        elif slot.copied:
            ops.append(Op("copy", (value,), (slot.var,), {}, (), line))
        return ops

    def exit(self, e: Exit) -> list[Op]:
        """A `return` with the record."""
        if self.lin.fused:
            return []
        values: list[Operand] = []
        before: list[Op] = []
        around: list[LLoop] = []
        frame: Frame | None = e.frame
        known: dict[Any, bool] = {}
        while frame is not None:
            known[frame.assume[0]] = frame.assume[1]
            if frame.loop is not None:
                around.append(frame.loop)
                before += self.ends.get(frame.loop, [])
            frame = frame.parent
        for var in self.record:
            if var is self.transpose.exit_var:
                values.append(Lit(e.number))
                continue
            slot = next(s for s in self.plan.slots if var in (s.var, s.items))
            if slot.items is not None:
                values.append(var)
            elif slot.version in known and slot.version.frame.level.parent is None:
                values.append(Lit(known[slot.version]))
            elif any(node.count is slot.version for node in around):
                values.append(var)
            elif slot.version.number > e.after and not slot.maybe:
                values.append(Lit(None))
            else:
                values.append(var)
        record = Var("_", None)
        values = [e.op.args[0], *values]
        return [
            *before,
            Op("tuple", tuple(values), (record,), {"starred": (False,) * len(values)}, (), e.op.line),
            Op("return", (record,), (), {}, (), e.op.line),
        ]

    def join(self, forward: list[Op], cts: list[Var], body: Block, results: list[Operand]) -> None:
        """One Program: the value, then the cotangents."""
        lin = self.lin
        assert lin.forward is not None
        lin.forward.program.params = [*lin.unit.program.params]
        seeds = [Op("copy", (Lit(1.0),), (ct,), {}, (), 0) for ct in cts]
        body = Block([*seeds, *body.ops])
        without_copies(body, [*results, *self.record])
        lin.fused = Fused(forward, body, list(self.record), results, lin.exits[0].op.args[0])


def careful_half(lin: Linearized) -> Unit:
    """The reverse half with strong zeros, on the same record."""
    if lin.careful is None:
        unit = lin.careful = Unit(
            _program(lin.unit, f"{lin.unit.name}_rev_careful"), lin.unit.namespace, lin.unit.cells
        )
        unit.make = lambda: _careful(lin, unit)
    return lin.careful


def _careful(lin: Linearized, unit: Unit) -> None:
    transpose = Transpose(lin, lin.plan, careful=True)
    transpose.exit_var = lin.exit_var
    cts, body, results = transpose.run()
    body = unpacked(body, lin.packs)
    name = Var(lin.plan.fresh("record"), lin.record)
    unit.program.params = [Param(v, "standard", v.name) for v in (name, *cts)]
    result, tail = gathered(results)
    start = [_unpack(name, lin.unit.result, lin.slots)] if lin.slots else []
    unit.program.body = Block([*start, *body.ops, *tail, Op("return", (result,), (), {}, (), 0)])
    unit.make = None


__all__ = ["careful_half", "linearized"]
