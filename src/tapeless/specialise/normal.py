"""Tail form: where a branch leaves its block by `return`, `break` or `continue`, what follows moves into the others.

Then every exit stands last on its path, and which branches were taken says how far a block ran.  The printer undoes it.
"""

from __future__ import annotations

from tapeless.program.ir import Block, Op
from tapeless.specialise.types import NotTyped

EXITS = ("return", "break", "continue", "raise")
_LIMIT = 60


def leaves(block: Block, kinds: tuple[str, ...] = EXITS) -> bool:
    """Whether every path through `block` ends in one of the exits."""
    if not block.ops:
        return False
    last = block.ops[-1]
    if last.kind in kinds:
        return True
    if last.kind == "if":
        return all(leaves(b, kinds) for b in last.blocks)
    return last.kind == "while" and repr(last.args[0]) == "True" and not may_break(last.blocks[1])


def may_break(block: Block) -> bool:
    return any(
        op.kind == "break" or (op.kind == "if" and any(may_break(b) for b in op.blocks)) for op in block.ops
    )


def may_leave(block: Block) -> bool:
    """Whether some path through `block` jumps out of it."""
    return any(op.kind in EXITS or (op.kind == "if" and any(may_leave(b) for b in op.blocks)) for op in block.ops)


def returns_inside(op: Op) -> bool:
    """Whether a loop may return."""
    return any(o.kind == "return" for b in op.blocks for o in b.walk())


def tail_form(block: Block) -> Block:
    """`block` with every exit in tail position."""
    out: list[Op] = []
    ops = block.ops
    for i, op in enumerate(ops):
        if op.kind == "if" and any(may_leave(b) for b in op.blocks):
            rest = Block(ops[i + 1 :])
            then, orelse = (_join(b, rest) for b in op.blocks)
            if not leaves(op.blocks[0]) and not leaves(op.blocks[1]) and sum(1 for _ in rest.walk()) > _LIMIT:
                raise NotTyped("control flow that would have to be copied", op.line)
            out.append(Op("if", op.args, (), op.attrs, (tail_form(then), tail_form(orelse)), op.line))
            return Block(out)
        if op.blocks:
            op = Op(op.kind, op.args, op.outs, op.attrs, tuple(tail_form(b) for b in op.blocks), op.line)
        out.append(op)
        if op.kind in EXITS:
            break
    return Block(out)


def _join(block: Block, rest: Block) -> Block:
    if leaves(block) or not rest.ops:
        return block
    return Block([*block.ops, *rest.ops])


def forward_copies(block: Block, uses: dict[int, int]) -> Block:
    """`t = op; v = copy(t)` with no other use of the temporary `t` becomes `v = op`."""
    out: list[Op] = []
    for op in block.ops:
        if op.blocks:
            op = Op(op.kind, op.args, op.outs, op.attrs, tuple(forward_copies(b, uses) for b in op.blocks), op.line)
        if op.kind == "copy" and out and len(out[-1].outs) == 1 and out[-1].outs[0] is op.args[0]:
            last, temp = out[-1], out[-1].outs[0]
            if uses.get(id(temp)) == 1 and temp.name.startswith("_") and last.kind not in ("loop", "if", "while"):
                out[-1] = Op(last.kind, last.args, op.outs, last.attrs, last.blocks, last.line)
                continue
        out.append(op)
    return Block(out)


def count_uses(block: Block) -> dict[int, int]:
    """How often each variable is an operand, by identity."""
    uses: dict[int, int] = {}
    for op in block.walk():
        for a in op.args:
            uses[id(a)] = uses.get(id(a), 0) + 1
    return uses


def normalise(block: Block) -> Block:
    block = tail_form(forward_copies(block, count_uses(block)))
    return block
