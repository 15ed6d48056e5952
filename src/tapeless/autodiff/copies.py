"""Copies in a reverse pass: whoever reads a number through a second name reads it through the first."""

from __future__ import annotations

from collections.abc import Iterable

from tapeless.program.ir import Block, Lit, Op, Operand, Var
from tapeless.specialise.types import Scalar


def without_copies(body: Block, kept: Iterable[Operand]) -> None:
    """Put the original for each copy of a number, a product with 1.0 included, and leave out the copies that
    nobody reads then; `kept` is read behind the body."""
    _forward(body, {})
    used = {a for op in body.walk() for a in op.args if isinstance(a, Var)}
    used.update(a for a in kept if isinstance(a, Var))
    _drop(body, used)


def _forward(block: Block, known: dict[Var, Operand]) -> None:
    for op in block.ops:
        fixed = op.kind == "inplace" and op.args[0] is op.outs[0]
        op.args = tuple(
            a if isinstance(a, Lit) or fixed and i == 0 else known.get(a, a) for i, a in enumerate(op.args)
        )
        _forget(op.outs, known)
        for inner in op.blocks:
            for o in inner.walk():
                _forget(o.outs, known)
        for inner in op.blocks:
            _forward(inner, dict(known))
        value = _copied(op)
        if value is not None and value is not op.outs[0]:
            op.kind, op.args, op.attrs = "copy", (value,), {}
            known[op.outs[0]] = value


def _forget(outs: Iterable[Var], known: dict[Var, Operand]) -> None:
    """What these variables hold changes."""
    for out in outs:
        known.pop(out, None)
        for name in [n for n, value in known.items() if value is out]:
            del known[name]


def _copied(op: Op) -> Operand | None:
    """The operand whose value is the number that the operation gives."""
    if len(op.outs) != 1 or not _number(op.outs[0]):
        return None
    if op.kind == "copy":
        return op.args[0] if _number(op.args[0]) else None
    if op.kind == "unary" and op.attrs["op"] == "USub":
        x = op.args[0]
        return Lit(-x.value) if isinstance(x, Lit) and type(x.value) is float else None
    if op.kind == "binary" and op.attrs["op"] == "Mult":
        for a, b in (op.args, reversed(op.args)):
            if _one(a) and isinstance(b, Var) and b.type == op.outs[0].type:
                return b
    return None


def _one(x: Operand) -> bool:
    return isinstance(x, Lit) and type(x.value) is float and x.value == 1.0


def _number(x: Operand) -> bool:
    return type(x.value) is float if isinstance(x, Lit) else isinstance(x.type, Scalar)


def _drop(block: Block, used: set[Var]) -> None:
    block.ops = [op for op in block.ops if op.kind != "copy" or op.outs[0] in used]
    for op in block.ops:
        for inner in op.blocks:
            _drop(inner, used)
