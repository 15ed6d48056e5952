"""Tail form: where a branch leaves its block by `return`, `break` or `continue`, what follows moves into the
others.

Then every exit stands last on its path, and which branches were taken says how far a block ran.  The printer
undoes it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapeless.program.ir import Block, Lit, Op, Operand, Var
from tapeless.specialise.types import Array, Dict, List, NotTyped, Scalar, Tuple, type_of

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
    return any(
        op.kind in EXITS or (op.kind == "if" and any(may_leave(b) for b in op.blocks)) for op in block.ops
    )


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
            op = Op(
                op.kind,
                op.args,
                op.outs,
                op.attrs,
                tuple(forward_copies(b, uses) for b in op.blocks),
                op.line,
            )
        if op.kind == "copy" and out and len(out[-1].outs) == 1 and out[-1].outs[0] is op.args[0]:
            last, temp = out[-1], out[-1].outs[0]
            if (
                uses.get(id(temp)) == 1
                and temp.name.startswith("_")
                and last.kind not in ("loop", "if", "while")
            ):
                out[-1] = Op(last.kind, last.args, op.outs, last.attrs, last.blocks, last.line)
                continue
        out.append(op)
    return Block(out)


def built_in_place(block: Block, total: dict[int, int]) -> Block:
    """`t = list(); ...; v = copy(t)`, as a comprehension is lowered, builds `v` itself."""
    ops = [
        Op(o.kind, o.args, o.outs, o.attrs, tuple(built_in_place(b, total) for b in o.blocks), o.line)
        if o.blocks
        else o
        for o in block.ops
    ]
    for j, copy in enumerate(ops):
        temp = copy.args[0] if copy.kind == "copy" else None
        if not isinstance(temp, Var) or not temp.name.startswith("_"):
            continue
        if not isinstance(temp.type, List | Dict):
            continue
        out = copy.outs[0]
        start = next((i for i in range(j) if ops[i].outs == (temp,)), None)
        if start is None:
            continue
        inner = list(Block(ops[start:j]).walk())
        uses = sum(1 for o in inner for a in o.args if a is temp)
        if uses + 1 != total.get(id(temp)) or any(out in (*o.args, *o.outs) for o in inner):
            continue
        if sum(1 for o in inner if temp in o.outs) != 1:
            continue
        for o in inner:
            o.args = tuple(out if a is temp else a for a in o.args)
            o.outs = tuple(out if a is temp else a for a in o.outs)
        ops[j] = Op("copy", (out,), (out,), {}, (), copy.line)
    return Block([o for o in ops if not (o.kind == "copy" and o.args[0] is o.outs[0])])


def count_uses(block: Block) -> dict[int, int]:
    """How often each variable is an operand, by identity."""
    uses: dict[int, int] = {}
    for op in block.walk():
        for a in op.args:
            uses[id(a)] = uses.get(id(a), 0) + 1
    return uses


def displays(block: Block, uses: dict[int, int]) -> None:
    """A list written out as an argument of a primitive, `np.array([a, b])`, is a tuple that prints as a
    list."""
    made: dict[int, Op] = {}

    def write_out(operand: Operand) -> None:
        op = made.get(id(operand))
        if op is not None:
            for a in op.args:
                write_out(a)
            op.outs[0].type = Tuple(
                tuple(a.type if isinstance(a, Var) else type_of(a.value) for a in op.args)
            )

    for op in block.walk():
        if (
            op.kind == "list"
            and op.outs[0].name.startswith("_")
            and uses.get(id(op.outs[0])) == 1
            and op.args
        ):
            made[id(op.outs[0])] = op
        elif op.kind == "call" and "unit" not in op.attrs and op.args[0] != Lit(list):
            for a in op.args[1:]:
                write_out(a)


def propagate(block: Block) -> None:
    """`t = copy(v)` where `v` keeps its value while the temporary `t` is used: use `v`."""
    defs: dict[int, int] = {}
    for op in block.walk():
        for o in op.outs:
            defs[id(o)] = defs.get(id(o), 0) + 1
    _propagate(block, defs, count_uses(block))


def _propagate(block: Block, defs: dict[int, int], total: dict[int, int]) -> None:
    known: dict[int, Var] = {}
    kept: list[Op] = []
    for op in block.ops:
        op.args = tuple(known.get(id(a), a) if isinstance(a, Var) else a for a in op.args)
        for inner in op.blocks:
            for o in inner.walk():
                o.args = tuple(known.get(id(a), a) if isinstance(a, Var) else a for a in o.args)
        assigned = {id(o) for o in op.outs} | {id(o) for b in op.blocks for i in b.walk() for o in i.outs}
        for t, v in list(known.items()):
            if id(v) in assigned:
                del known[t]  # `stays` has seen that it is not used any more
        if (
            op.kind == "copy" and isinstance(op.args[0], Var) and op.outs[0].name.startswith("_")
            and defs[id(op.outs[0])] == 1 and stays(block, op, total)
        ):  # fmt: skip
            known[id(op.outs[0])] = op.args[0]
            continue
        kept.append(op)
        for inner in op.blocks:
            _propagate(inner, defs, total)
    block.ops[:] = kept


def stays(block: Block, copy: Op, total: dict[int, int]) -> bool:
    """Whether all uses of the copy come in its block before its source is assigned again."""
    temp, source = copy.outs[0], copy.args[0]
    start = next(i for i, op in enumerate(block.ops) if op is copy)
    uses = sum(1 for op in block.walk() for a in op.args if a is temp)
    if uses != total.get(id(temp), 0):
        return False
    for op in block.ops[start + 1 :]:
        inner = [op, *(i for b in op.blocks for i in b.walk())]
        used = sum(1 for i in inner for a in i.args if a is temp)
        assigns = any(o is source for i in inner for o in i.outs)
        if used and assigns and op.blocks:
            return False
        uses -= used
        if assigns:
            return uses == 0
    return True


def loads_once(block: Block) -> None:
    """An element that is read twice, with nothing between that could change it, is read once."""
    defs: dict[int, int] = {}
    for op in block.walk():
        for o in op.outs:
            defs[id(o)] = defs.get(id(o), 0) + 1
    same: dict[int, Var] = {}
    _loads_once(block, defs, same)
    if same:
        for op in block.walk():
            op.args = tuple(same.get(id(a), a) if isinstance(a, Var) else a for a in op.args)


_QUIET = ("copy", "binary", "unary", "compare", "getitem", "tuple", "slice", "global", "format", "unpack")


def _loads_once(block: Block, defs: dict[int, int], same: dict[int, Var]) -> None:
    known: dict[Any, tuple[Op, Var]] = {}
    kept: list[Op] = []
    for op in block.ops:
        for inner in op.blocks:
            _loads_once(inner, defs, same)
        if op.kind not in _QUIET and not (op.kind == "inplace" and isinstance(op.outs[0].type, Scalar)):
            known.clear()
        for o in op.outs:
            known = {k: (first, v) for k, (first, v) in known.items() if o not in first.args}
        kept.append(op)
        if op.kind != "getitem" or not isinstance(op.outs[0].type, Scalar):
            continue
        out = op.outs[0]
        base, at = (same.get(id(a), a) if isinstance(a, Var) else a for a in op.args)
        if not out.name.startswith("_") or defs[id(out)] != 1 or not isinstance(base, Var):
            continue
        if isinstance(at, Lit) and type(at.value) not in (int, str):
            continue
        key = (id(base), id(at) if isinstance(at, Var) else (type(at.value), at.value))
        if key in known:
            same[id(out)] = known[key][1]
            kept.pop()
        else:
            known[key] = (op, out)
    block.ops[:] = kept


def augmented(block: Block, uses: dict[int, int]) -> None:
    """`a[i] += v` on an array becomes one operation: load, in-place operation and store see the same
    storage."""
    for op in block.ops:
        for inner in op.blocks:
            augmented(inner, uses)
    ops = block.ops
    gone: set[int] = set()
    for i, op in enumerate(ops):
        if op.kind != "setitem" or not isinstance(op.args[0], Var) or not isinstance(op.args[0].type, Array):
            continue
        step = next((o for o in ops[:i] if o.kind == "inplace" and o.outs[0] is op.args[2]), None)
        load = step and next((o for o in ops[:i] if o.kind == "getitem" and o.outs[0] is step.args[0]), None)
        if not step or not load or uses.get(id(step.outs[0])) != 1 or uses.get(id(load.outs[0])) != 1:
            continue
        if (
            load.args[0] is not op.args[0]
            or load.args[1] is not op.args[1]
            or not isinstance(load.outs[0].type, Array)
        ):
            continue
        gone |= {id(step), id(load)}
        ops[i] = Op("augitem", (*op.args[:2], step.args[1]), (), {"op": step.attrs["op"]}, (), op.line)
    ops[:] = [o for o in ops if id(o) not in gone]


def own_arrays(block: Block, params: list[Var], fresh: Callable[[str], str]) -> None:
    """Where arrays are written into, a parameter that is bound to another array is another variable from
    there on: storage of our own under the name of an argument."""
    if not any(_stores(op) for op in block.walk()):
        return
    for param in params:
        if not isinstance(param.type, Array):
            continue
        at = next((i for i, op in enumerate(block.ops) if param in op.outs and _binds(op)), None)
        if at is None:
            continue
        mine = Var(fresh(param.name), param.type)
        first, rest = block.ops[at], Block(block.ops[at + 1 :])
        first.outs = tuple(mine if o is param else o for o in first.outs)
        for op in rest.walk():
            op.args = tuple(mine if a is param else a for a in op.args)
            op.outs = tuple(mine if o is param else o for o in op.outs)


def _stores(op: Op) -> bool:
    base = op.args[0] if op.kind in ("setitem", "augitem", "inplace") else None
    return isinstance(base, Var) and isinstance(base.type, Array)


def _binds(op: Op) -> bool:
    """Whether an operation binds its results anew for certain."""
    return not op.blocks and op.kind not in ("inplace", "loop")


def normalise(block: Block) -> Block:
    block = forward_copies(block, count_uses(block))
    propagate(block)
    block = built_in_place(block, count_uses(block))
    loads_once(block)
    uses = count_uses(block)
    displays(block, uses)
    augmented(block, uses)
    return tail_form(block)
