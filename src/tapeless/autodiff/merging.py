"""Algebra of storage in a reverse pass: a cotangent that is taken, cleared and put back stays in place."""

from __future__ import annotations

from tapeless.program.ir import Block, Lit, Op, Operand, Var
from tapeless.specialise.types import Dict, List, Scalar


def left_in_place(body: Block) -> None:
    """In every block: `t = a[i]; a[i] = 0.0; ...; a[i] += t + x` becomes `t = a[i]; ...; a[i] += x`, and a
    sum into a place that was cleared becomes a store.  Additions between commute with it."""
    uses: dict[Var, int] = {}
    defs: dict[Var, int] = {}
    for op in body.walk():
        for a in op.args:
            if isinstance(a, Var):
                uses[a] = uses.get(a, 0) + 1
        for o in op.outs:
            defs[o] = defs.get(o, 0) + 1
    _blocks(body, uses, defs)


def _blocks(block: Block, uses: dict[Var, int], defs: dict[Var, int]) -> None:
    for op in block.ops:
        for b in op.blocks:
            _blocks(b, uses, defs)
    i = 0
    while i < len(block.ops):
        if _clears(block.ops[i]) and _merge(block, i, uses, defs):
            i = 0
            continue
        i += 1


def _clears(op: Op) -> bool:
    if op.kind != "setitem" or not isinstance(op.args[0], Var) or not isinstance(op.args[2], Lit):
        return False
    kind = op.args[0].type
    return isinstance(kind, List | Dict) and isinstance(kind.elem, Scalar) and op.args[2].value == 0.0


def _same(a: Operand, b: Operand) -> bool:
    if isinstance(a, Lit) and isinstance(b, Lit):
        return type(a.value) is type(b.value) and bool(a.value == b.value)
    return a is b


def _sum(ops: list[Op], j: int, bar: Operand) -> tuple[Operand, Operand] | None:
    """The index and the value of `bar[index] += value` in `ops[j : j + 3]`."""
    if j + 3 > len(ops):
        return None
    load, add, store = ops[j : j + 3]
    if (load.kind, add.kind, store.kind) != ("getitem", "binary", "setitem") or add.attrs["op"] != "Add":
        return None
    if load.args[0] is not bar or store.args[0] is not bar or not _same(load.args[1], store.args[1]):
        return None
    if add.args[0] is not load.outs[0] or store.args[2] is not add.outs[0]:
        return None
    return load.args[1], add.args[1]


def _key(index: Operand) -> bool:
    """Whether an index is a literal string: two that differ are two places, which -1 and 1 need not be."""
    return isinstance(index, Lit) and isinstance(index.value, str)


def _touches(op: Op, bar: Operand) -> bool:
    return any(bar in (*o.args, *o.outs) for o in (op, *(i for b in op.blocks for i in b.walk())))


def _merge(block: Block, at: int, uses: dict[Var, int], defs: dict[Var, int]) -> bool:
    ops = block.ops
    bar, index, _ = ops[at].args
    load = ops[at - 1] if at else None
    taken = None
    if load is not None and load.kind == "getitem" and load.args[0] is bar and _same(load.args[1], index):
        taken = load.outs[0] if defs.get(load.outs[0]) == 1 else None
    clear = True  # nothing between can be the same place
    j = at + 1
    while j < len(ops):
        op = ops[j]
        if any(index is o for i in (op, *(i for b in op.blocks for i in b.walk())) for o in i.outs):
            return False
        found = _sum(ops, j, bar)
        if found is not None:
            if _same(found[0], index):
                value = found[1]
                if (
                    taken is not None
                    and isinstance(value, Var)
                    and _keep(ops, at, j, taken, value, uses, defs)
                ):
                    return True
                if clear:
                    ops[j + 2].args = (bar, index, value)
                    del ops[j : j + 2], ops[at]
                    return True
                return False
            clear = clear and _key(index) and _key(found[0])
            j += 3
            continue
        if _touches(op, bar):
            apart = (
                op.kind in ("getitem", "setitem")
                and op.args[0] is bar
                and _key(index)
                and _key(op.args[1])
                and not _same(op.args[1], index)
            )
            if not apart:
                return False
        j += 1
    return False


def _keep(
    ops: list[Op], at: int, j: int, taken: Var, value: Var, uses: dict[Var, int], defs: dict[Var, int]
) -> bool:
    """Drop the clearing at `at` and, of the sum at `j`, what was taken before it."""
    if value is taken:
        del ops[j : j + 3], ops[at]
        return True
    names = {taken}
    first = None
    for k in range(at + 1, j):
        op = ops[k]
        if op.kind == "copy" and op.args[0] in names:
            if op.outs[0] is value:
                first = k
                break
            if defs.get(op.outs[0]) == 1:
                names.add(op.outs[0])
    if first is None:
        return False
    steps = [
        k
        for k in range(first + 1, j)
        if ops[k].kind == "inplace" and ops[k].outs == (value,) and ops[k].args[0] is value
    ]
    if any(ops[k].attrs["op"] not in ("Add", "Sub") or ops[k].args[1] is value for k in steps):
        return False
    if uses.get(value) != len(steps) + 1 or defs.get(value) != len(steps) + 1:
        return False
    if not steps:
        del ops[j : j + 3], ops[first], ops[at]
        return True
    op = ops[steps[0]]
    step = op.args[1]
    if op.attrs["op"] == "Add":
        ops[steps[0]] = Op("copy", (step,), (value,), {}, (), op.line)
    else:
        ops[steps[0]] = Op("unary", (step,), (value,), {"op": "USub"}, (), op.line)
    del ops[first], ops[at]
    return True
