"""Linearize, control flow: branches, loops and exits of the value program, with their linear counterparts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tapeless.analysis.storage import Storage
from tapeless.autodiff.linear_program import LBlock, LIf, LLoop
from tapeless.autodiff.residuals import Expr, Frame, Level, Mark, Version
from tapeless.program.ir import Block, Op, Operand, Var
from tapeless.specialise.normal import may_break, returns_inside
from tapeless.specialise.types import BOOL, Array, List, NotTyped, type_of

Tree = Any


@dataclass(slots=True, eq=False)
class Exit:
    """A `return` of the value program."""

    frame: Frame
    op: Op
    number: int
    after: int
    """How many versions had been defined."""


class Control:
    """Control flow; `Walk` adds the operations on values."""

    result: Any
    frame: Frame
    lblock: LBlock
    level: Level
    count: int
    line: int
    cur: dict[Var, Version]
    active: set[Var]
    shapes: dict[Var, Version]
    inside_write: bool
    storage: Storage

    if TYPE_CHECKING:

        def linear(self, operand: Operand) -> Tree: ...
        def move(self, out: Tree, x: Tree, var: Var | None = None) -> None: ...
        def block(self, block: Block) -> None: ...
        def expr(self, operand: Operand) -> Expr: ...
        def tree(self, var: Var) -> Tree: ...
        def store(
            self, kind: str, base: Tree, version: Version, index: Expr | None, x: Tree, like: Any = None
        ) -> None: ...
        def define(self, var: Var, expr: Expr | None = None, sure: bool = True) -> Version: ...

    # ---- control

    def op_return(self, op: Op) -> None:
        x = self.linear(op.args[0])
        self.move(self.result.out, x, None)
        exit_ = Exit(self.frame, op, len(self.result.exits), self.count)
        self.result.exits.append(exit_)
        self.frame.ops.append(Mark(None, exit_))

    def op_break(self, op: Op) -> None:
        self.frame.ops.append(op)

    op_continue = op_break
    op_raise = op_break

    def sub(
        self, block: Block, level: Level | None = None, assume: Any = (None, True)
    ) -> tuple[Frame, LBlock]:
        """Walk an inner block, which runs where a test has a known result; the frame and the linear block of
        it."""
        outer, outer_l = self.frame, self.lblock
        self.frame = frame = Frame(outer, level or outer.level, self.cur)
        self.lblock = frame.linear = LBlock(frame, outer_l)
        frame.assume = assume
        self.block(block)
        self.frame, self.lblock = outer, outer_l
        return frame, frame.linear

    def op_if(self, op: Op) -> None:
        test = self.expr(op.args[0])
        before = dict(self.cur)
        known = self.cur.get(op.args[0]) if isinstance(op.args[0], Var) and op.args[0].type == BOOL else None
        then, lthen = self.sub(op.blocks[0], assume=(known, True))
        after = self.cur
        self.cur = dict(before)
        orelse, lorelse = self.sub(op.blocks[1], assume=(known, False))
        self.frame.ops.append(Op("if", op.args, (), {"frames": (then, orelse)}, (), op.line))
        self.lblock.nodes.append(LIf(test, (lthen, lorelse), op.line))
        other = self.cur
        self.cur = before
        for var in {**after, **other}:
            a, b = after.get(var), other.get(var)
            if a is b and a is not None:
                self.cur[var] = a
            elif a is not None or b is not None:
                self.cur.pop(var, None)
                self.inside_write = var in self.shapes
                both = self.define(var, sure=a is not None and b is not None and a.sure and b.sure)
                self.inside_write = False
                both.parents = [v for v in (a, b) if v is not None]

    def op_loop(self, op: Op) -> None:
        self.loop(op, None, op.blocks[0])

    def op_while(self, op: Op) -> None:
        self.loop(op, op.blocks[0], op.blocks[1])

    def loop(self, op: Op, cond: Block | None, body: Block) -> None:
        level = Level(self.level)
        args = [self.expr(a) for a in op.args] if op.kind == "loop" else []
        cells = [self.linear(a) for a in op.args] if op.kind == "loop" else []
        versions = [self.cur.get(a) if isinstance(a, Var) else None for a in op.args]
        if cond is not None and any(o in self.active for o_ in cond.walk() for o in o_.outs):
            raise NotTyped("an active value in the condition of a loop", op.line)
        inner_ops = [inner for b in (cond, body) if b is not None for inner in b.walk()]
        assigned = {o for inner in inner_ops for o in inner.outs} | set(op.outs)
        assigned |= {
            i.args[0]
            for i in inner_ops
            if i.kind in ("setitem", "augitem")
            and isinstance(i.args[0], Var)
            and isinstance(i.args[0].type, Array)
        }
        assigned |= self.storage.aliases.changed_in(inner_ops)
        written = {v for v in assigned if v in self.shapes}
        outer, outer_l, outer_level = self.frame, self.lblock, self.level
        before = dict(self.cur)
        for var in assigned:
            if var in self.cur:
                self.cur[var].overwrite()
        self.level = level
        self.frame = frame = Frame(outer, level, self.cur)
        self.lblock = frame.linear = LBlock(frame, outer_l)
        node = frame.loop = LLoop(op, level, (self.lblock,), op.line, args)
        for var in sorted(assigned, key=lambda v: v.name):
            if var in before or var in op.outs or cond is not None:
                self.inside_write = var in written
                self.define(var, sure=var in op.outs or var not in before or before[var].sure).final = False
                self.inside_write = False
        self.items(op, node, cells, versions)
        frame.entry = dict(self.cur)
        self.block(body)
        self.frame, self.lblock, self.level = outer, outer_l, outer_level
        self.cur = before
        node.early = op.kind == "while" or may_break(body) or returns_inside(op)
        frames: tuple[Frame, ...] = (frame,)
        self.frame.ops.append(
            Op(
                op.kind,
                op.args,
                op.outs,
                {**op.attrs, "frames": frames, "cond": cond, "node": node},
                (),
                op.line,
            )
        )
        self.lblock.nodes.append(node)
        for var in sorted(assigned, key=lambda v: v.name):
            self.inside_write = var in written
            self.define(var, sure=var in before and before[var].sure)
            self.inside_write = False
        node.after = dict(self.cur)
        node.number = self.count
        if returns_inside(op):
            if self.level.parent is not None:
                raise NotTyped("a return from a nested loop", op.line)
            # what follows runs only if the loop did not return
            first = len(self.result.exits)
            inside = [e for e in self.result.exits if e.frame.inside(frame)]
            rest = Frame(self.frame, self.level, self.cur)
            lrest = rest.linear = LBlock(rest, self.lblock)
            lnone = LBlock(Frame(self.frame, self.level, self.cur), self.lblock)
            self.lblock.nodes.append(
                LIf(Expr("returned", (), {"exits": inside, "first": first}), (lnone, lrest), op.line)
            )
            self.frame.ops.append(Op("rest", (), (), {"frames": (rest,)}, (), op.line))
            self.frame, self.lblock = rest, lrest

    def items(self, op: Op, node: LLoop, cells: list[Tree], versions: list[Any]) -> None:
        """The linear part of a loop's assignment of its items."""
        if op.kind != "loop":
            return
        tree, pattern = op.attrs["iter"], op.attrs["pattern"]
        if isinstance(tree, tuple) and tree[0] == "range" and len(op.outs) == 1:
            node.index = self.cur[op.outs[0]]
            return

        def nest(pattern: Any) -> Tree:
            if isinstance(pattern, tuple):
                return tuple(map(nest, pattern))
            return self.linear(op.outs[pattern])

        def walk(tree: Any, pattern: Any) -> None:
            if isinstance(tree, int):
                out = pattern
                if isinstance(out, tuple):
                    x = nest(out)
                    if not leaves(x):
                        return
                    if not isinstance(kind_of(op.args[tree]), List):
                        raise NotTyped("a loop over nested active items", op.line)
                    node.ordinal = True
                    at = Expr("ordinal", (), {"node": node, "reversed": False})
                    if cells[tree] is None:
                        raise NotTyped("a loop over nested inactive items", op.line)
                    self.store("get", cells[tree], versions[tree], at, x)
                    return
                if op.outs[out] in self.active:
                    if cells[tree] is None:
                        self.move(self.tree(op.outs[out]), None, op.outs[out])
                        return
                    kind = kind_of(op.args[tree])
                    if not isinstance(kind, List | Array):
                        raise NotTyped("a loop over an active value of this type", op.line)
                    node.ordinal = True
                    at = Expr("ordinal", (), {"node": node, "reversed": False})
                    self.store("get", cells[tree], versions[tree], at, self.tree(op.outs[out]))
                return
            if tree[0] == "enumerate":
                if isinstance(pattern, tuple):
                    walk(tree[1], pattern[1])
                elif op.outs[pattern] in self.active:
                    raise NotTyped("an item of enumerate", op.line)
            elif tree[0] in ("zip", "zip_strict"):
                if isinstance(pattern, tuple):
                    for t, p in zip(tree[1:], pattern, strict=True):
                        walk(t, p)
                elif op.outs[pattern] in self.active:
                    raise NotTyped("an item of zip", op.line)
            elif tree[0] == "reversed" and any(op.outs[i] in self.active for i in flat(pattern)):
                raise NotTyped("a reversed active list", op.line)

        walk(tree, pattern)


def flat(pattern: Any) -> list[int]:
    return [i for p in pattern for i in flat(p)] if isinstance(pattern, tuple) else [pattern]


def leaves(tree: Tree) -> list[Any]:
    if isinstance(tree, tuple):
        return [c for t in tree for c in leaves(t)]
    return [] if tree is None else [tree]


def kind_of(operand: Operand) -> Any:
    return (
        operand.type
        if isinstance(operand, Var)
        else type_of(operand.value)
        if not callable(operand.value)
        else None
    )
