"""Short reverse passes of called functions, written out where they are called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapeless.program.ir import Block, Op, Operand, Var

_SHORT = 4
_PLAIN = ("binary", "unary", "copy", "unpack", "getitem")


def inlined(body: Block, fresh: Callable[[str], str]) -> Block:
    """The reverse pass `body`, in which calls of short ones are replaced by their operations."""
    ops: list[Op] = []
    for op in body.ops:
        blocks = tuple(inlined(b, fresh) for b in op.blocks)
        ops += _written_out(op, fresh) or [Op(op.kind, op.args, op.outs, op.attrs, blocks, op.line)]
    return Block(ops)


def _written_out(op: Op, fresh: Callable[[str], str]) -> list[Op] | None:
    if op.kind != "call" or "reverse" not in op.attrs or op.attrs["careful"] or len(op.outs) != 1:
        return None
    program = op.attrs["reverse"].reverse.program
    inner = program.body.ops  # none yet where the function calls itself
    if not inner or inner[-1].kind != "return" or len(inner) > _SHORT + 1:
        return None
    if not all(o.kind in _PLAIN for o in inner[:-1]):
        return None
    given: dict[Var, Operand] = {p.var: a for p, a in zip(program.params, op.args[1:], strict=True)}
    if any(o in given for one in inner for o in one.outs):
        return None
    names: dict[Var, Operand] = dict(given)
    out: list[Op] = []
    for one in inner[:-1]:
        args = tuple(names.get(a, a) if isinstance(a, Var) else a for a in one.args)
        outs = tuple(_renamed(o, names, fresh) for o in one.outs)
        out.append(Op(one.kind, args, outs, one.attrs, (), op.line))
    result: Any = inner[-1].args[0]
    value = names.get(result, result) if isinstance(result, Var) else result
    if out and out[-1].outs == (value,):
        out[-1].outs = op.outs
    else:
        out.append(Op("copy", (value,), op.outs, {}, (), op.line))
    return out


def _renamed(var: Var, names: dict[Var, Operand], fresh: Callable[[str], str]) -> Var:
    """A variable of the called function as one of the caller."""
    known = names.get(var)
    if not isinstance(known, Var):
        known = names[var] = Var(var.name if var.name == "_" else fresh(var.name), var.type)
    return known
