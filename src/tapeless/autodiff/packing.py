"""Saves of one block side by side: what an iteration appends to several lists becomes one tuple in one list.

Three appends and three pops cost more than a tuple that is built and taken apart once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tapeless.program.ir import Block, Op, Var
from tapeless.specialise.types import List, Tuple

FEWEST = 3


@dataclass(slots=True, eq=False)
class Pack:
    """Lists of saves that become one."""

    items: tuple[Var, ...]
    packed: Var
    left: Var


def packs(forward: list[Op], reverse: Block, items: list[Var], fresh: Callable[[str], str]) -> list[Pack]:
    """Which of the lists `items` become one; the value program is changed accordingly."""
    if any(op.kind == "return" and op is not forward[-1] for op in Block(forward).walk()):
        return []
    popped = _popped(reverse, set(items))
    found: list[Pack] = []
    _pack(Block(forward), popped, fresh, found)
    renamed = {v: p.packed for p in found for v in p.items}
    made: set[Var] = set()
    kept = []
    for op in forward:
        if op.kind == "list" and op.outs[0] in renamed:
            packed = renamed[op.outs[0]]
            if packed in made:
                continue
            made.add(packed)
            op = Op("list", (), (packed,), op.attrs, (), op.line)
        kept.append(op)
    forward[:] = kept
    for op in Block(forward).walk():
        op.args = tuple(renamed.get(a, a) if isinstance(a, Var) else a for a in op.args)
    if found and forward[-1].kind == "return":
        record = forward[-2]  # the value, then what is saved
        record.args = (record.args[0], *once(record.args[1:], made))
        record.attrs["starred"] = (False,) * len(record.args)
    return found


def once(values: Iterable[Any], packed: set[Var]) -> list[Any]:
    """`values` with every packed list only where it comes first."""
    out: list[Any] = []
    for v in values:
        if v not in packed or v not in out:
            out.append(v)
    return out


def _popped(reverse: Block, items: set[Var]) -> dict[Var, Block]:
    """The block of the reverse program that pops each list, where it does nothing else with it."""
    lefts: dict[Var, Var] = {}
    for op in reverse.ops:
        if op.kind == "call_method" and op.attrs["name"] == "copy" and op.args[0] in items:
            lefts[op.outs[0]] = op.args[0]
    uses: dict[Var, int] = {}
    for op in reverse.walk():
        for a in op.args:
            if isinstance(a, Var):
                uses[a] = uses.get(a, 0) + 1
    found: dict[Var, Block] = {}

    def walk(block: Block) -> None:
        for op in block.ops:
            base = op.args[0] if op.args else None
            if op.kind == "call_method" and op.attrs["name"] == "pop" and base in lefts:
                assert isinstance(base, Var)
                if uses[base] == 1 and uses[lefts[base]] == 1:
                    found[lefts[base]] = block
            for b in op.blocks:
                walk(b)

    walk(reverse)
    return found


def _pack(block: Block, popped: dict[Var, Block], fresh: Callable[[str], str], found: list[Pack]) -> None:
    for op in block.ops:
        for b in op.blocks:
            _pack(b, popped, fresh, found)
    leaves = ("break", "continue", "return")
    if any(op.kind in leaves or (op.kind == "if" and _leaves(op, leaves)) for op in block.ops):
        return
    saves: dict[Block | int, list[int]] = {}
    for i, op in enumerate(block.ops):
        base = op.args[0] if op.args else None
        if op.kind != "call_method" or op.outs or op.attrs["name"] != "append" or base not in popped:
            continue
        value = op.args[1]
        assert isinstance(base, Var)
        if not isinstance(value, Var) or value.name == "_":
            continue
        if any(value in inner.outs for inner in Block(block.ops[i + 1 :]).walk()):
            continue
        saves.setdefault(id(popped[base]), []).append(i)
    gone: set[int] = set()
    for places in saves.values():
        if len(places) < FEWEST:
            continue
        ops = [block.ops[i] for i in places]
        items = tuple(op.args[0] for op in ops if isinstance(op.args[0], Var))
        values = tuple(op.args[1] for op in ops)
        kind = Tuple(tuple(v.type for v in values if isinstance(v, Var)))
        packed = Var(fresh("saved_all"), List(kind))
        whole = Var("_", kind)
        block.ops.append(Op("tuple", values, (whole,), {"starred": (False,) * len(values)}, (), 0))
        block.ops.append(Op("call_method", (packed, whole), (), ops[0].attrs, (), 0))
        found.append(Pack(items, packed, Var(fresh("left_all"), packed.type)))
        gone |= {id(op) for op in ops}
    block.ops[:] = [op for op in block.ops if id(op) not in gone]


def _leaves(op: Op, kinds: tuple[str, ...]) -> bool:
    return any(o.kind in kinds or (o.kind == "if" and _leaves(o, kinds)) for b in op.blocks for o in b.ops)


def unpacked(reverse: Block, found: list[Pack]) -> Block:
    """The reverse program that reads the packed lists."""
    of = {v: p for p in found for v in p.items}
    lefts: dict[Var, tuple[Pack, int]] = {}
    ops: list[Op] = []
    done: set[int] = set()
    for op in reverse.ops:
        base = op.args[0] if op.kind == "call_method" and op.attrs["name"] == "copy" else None
        if isinstance(base, Var) and base in of:
            pack = of[base]
            lefts[op.outs[0]] = (pack, pack.items.index(base))
            if id(pack) in done:
                continue
            done.add(id(pack))
            op = Op("call_method", (pack.packed,), (pack.left,), op.attrs, (), op.line)
        ops.append(op)
    block = Block(ops)
    _unpack(block, lefts)
    return block


def _unpack(block: Block, lefts: dict[Var, tuple[Pack, int]]) -> None:
    kept: list[Op] = []
    outs: dict[int, list[Var]] = {}
    for op in block.ops:
        for b in op.blocks:
            _unpack(b, lefts)
        base = op.args[0] if op.kind == "call_method" and op.attrs["name"] == "pop" else None
        if not isinstance(base, Var) or base not in lefts:
            kept.append(op)
            continue
        pack, at = lefts[base]
        if id(pack) not in outs:
            held = Var("_", Tuple(tuple(v.type.elem for v in pack.items)))
            outs[id(pack)] = [Var("_") for _ in pack.items]
            kept.append(Op("call_method", (pack.left,), (held,), op.attrs, (), op.line))
            kept.append(Op("unpack", (held,), (), {"star": None, "pack": pack}, (), op.line))
        outs[id(pack)][at] = op.outs[0]
    for op in kept:
        if op.kind == "unpack" and "pack" in op.attrs:
            op.outs = tuple(outs[id(op.attrs.pop("pack"))])
    block.ops[:] = kept


__all__ = ["Pack", "once", "packs", "unpacked"]
