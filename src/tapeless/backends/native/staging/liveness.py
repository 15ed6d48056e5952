"""Which variables of a Program may still be read, and how often: what staging keeps and what it merges."""

from __future__ import annotations

from dataclasses import dataclass, field

from tapeless.program.ir import Block, Op, Program, Var

Live = frozenset[Var]
EMPTY: Live = frozenset()


@dataclass(slots=True)
class Liveness:
    """What is known of the variables of one Program."""

    after: dict[int, Live] = field(default_factory=dict)
    """id of an op -> variables that may be read after it."""
    head: dict[int, Live] = field(default_factory=dict)
    """id of a loop -> variables that may be read from its head on (its own test or next item included)."""
    uses: dict[Var, int] = field(default_factory=dict)
    """How often a variable is read; twice where a deeper loop reads it."""
    assigned: dict[int, Live] = field(default_factory=dict)
    """id of an op with blocks -> variables that its blocks, and the op itself, assign or delete."""
    named: frozenset[Var] = EMPTY
    """Variables with a name of the source."""


_known: dict[int, tuple[Program, Liveness]] = {}


def liveness(program: Program) -> Liveness:
    """The liveness of a Program, computed once."""
    found = _known.get(id(program))
    if found is None or found[0] is not program:
        found = _known[id(program)] = (program, _Pass(program).result)
    return found[1]


def assigned(op: Op) -> Live:
    """Variables that an op or its blocks assign or delete."""
    found = set(op.outs)
    if op.kind == "del" or op.kind == "setattr" and op.attrs["name"] == "shape":  # see `reshaping.in_place`
        found.update(a for a in op.args if isinstance(a, Var))
    for block in op.blocks:
        for inner in block.ops:
            found |= assigned(inner)
    return frozenset(found)


class _Pass:
    def __init__(self, program: Program) -> None:
        self.result = Liveness()
        self.depths: dict[Var, int] = {p.var: 0 for p in program.params}
        self.raised: Live = EMPTY
        self.broken: Live = EMPTY
        self.continued: Live = EMPTY
        code = program.code
        names = () if code is None else (*code.co_varnames, *code.co_cellvars)
        self.define(program.body, 0)
        self.count(program.body, 0)
        self.block(program.body, EMPTY)
        self.result.named = frozenset(v for v in program.variables() if v.name in names)

    # ---- uses

    def define(self, block: Block, depth: int) -> None:
        for op in block.ops:
            inner = depth + (op.kind in ("for", "while"))
            for var in op.outs:
                self.depths[var] = min(self.depths.get(var, inner), inner if op.kind == "for" else depth)
            for b in op.blocks:
                self.define(b, inner)

    def count(self, block: Block, depth: int) -> None:
        uses = self.result.uses
        for op in block.ops:
            for a in op.args:
                if isinstance(a, Var):
                    uses[a] = uses.get(a, 0) + (2 if depth > self.depths.get(a, 0) else 1)
            for b in op.blocks:
                self.count(b, depth + (op.kind in ("for", "while")))

    # ---- liveness, backwards

    def block(self, block: Block, after: Live) -> Live:
        for op in reversed(block.ops):
            after = self.op(op, after)
        return after

    def op(self, op: Op, after: Live) -> Live:
        result = self.result
        reads = frozenset(a for a in op.args if isinstance(a, Var))
        result.after[id(op)] = after | self.raised
        if op.blocks:
            result.assigned[id(op)] = assigned(op)
        match op.kind:
            case "return" | "raise":
                live = EMPTY
            case "break":
                live = self.broken
            case "continue":
                live = self.continued
            case "if":
                live = self.block(op.blocks[0], after) | self.block(op.blocks[1], after)
            case "for":
                live = self.loop(op, after, None, op.blocks[0], op.blocks[1])
            case "while":
                live = self.loop(op, after, op.blocks[0], op.blocks[1], op.blocks[2])
                reads = EMPTY
            case "try":
                live = self.attempt(op, after)
            case _:
                live = after - frozenset(op.outs)
        return live | reads | self.raised

    def loop(self, op: Op, after: Live, test: Block | None, body: Block, orelse: Block) -> Live:
        saved = self.broken, self.continued
        done = self.block(orelse, after)
        head: Live = EMPTY
        while True:
            self.broken, self.continued = after, head
            live = self.block(body, head)
            if test is None:
                live = (live - frozenset(op.outs)) | done
            else:
                live = self.block(test, live | done | frozenset(a for a in op.args if isinstance(a, Var)))
            if live <= head:
                break
            head |= live
        self.broken, self.continued = saved
        self.result.head[id(op)] = head
        return head

    def attempt(self, op: Op, after: Live) -> Live:
        body, handler, orelse, final = op.blocks
        saved = self.raised, self.broken, self.continued
        # what leaves passes through `final`; what it reads is read on every way out
        last = self.block(final, after | self.raised | self.broken | self.continued)
        if op.attrs["finally_"]:
            self.broken, self.continued = last, last
            self.raised = last
        caught = self.block(handler, last) - frozenset(op.outs) if op.attrs["handles"] else EMPTY
        rest = self.block(orelse, last)
        if op.attrs["handles"]:
            self.raised = self.raised | caught
        live = self.block(body, rest)
        if op.attrs["finally_"]:
            live |= last
        self.raised, self.broken, self.continued = saved
        return live
