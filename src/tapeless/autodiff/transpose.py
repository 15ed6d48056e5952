"""Transpose: a linear Program to the typed Program that runs it backwards.

Every cell has a cotangent variable.  It is known statically which cotangents are zero: the first
contribution to one is an
assignment, nothing is added to or read from a zero, and clearing is forgetting.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tapeless.autodiff.adjoints import Transposed, pulled, unbroadcast
from tapeless.autodiff.builder import Builder, Careful, typed
from tapeless.autodiff.control import leaves
from tapeless.autodiff.jvp import Form, MatMul, Method, Pulled, Term
from tapeless.autodiff.linear_program import Cell, LBlock, LCall, LIf, Lin, LLoop, LSequence, LStore
from tapeless.autodiff.linearize import Linearized
from tapeless.autodiff.residuals import Expr, Version
from tapeless.autodiff.saving import Plan
from tapeless.autodiff.sequences import Sequences
from tapeless.program.ir import Block, Lit, Op, Operand, Var
from tapeless.rules import lookup
from tapeless.specialise.types import INT, Array, Dict, List, NotTyped, Scalar, Tuple


class Transpose(Sequences):
    """Writes the reverse pass of one linear program."""

    def __init__(self, lin: Linearized, plan: Plan, careful: bool = False) -> None:
        self.lin, self.plan, self.careful = lin, plan, careful
        self.walked: dict[Var, Var] = {}
        self.bars: dict[Cell, Var] = {}
        self.live: set[Cell] = set()
        self.filled = {}
        self.vague: set[Cell] = set()
        """Arrays whose cotangent may be the number 0.0: a zero of a shape that is not known."""
        self.once: set[Cell] = set()
        self.b = Careful(plan.fresh) if careful else Builder(plan.fresh)
        self.dry = 0
        self.exit_var: Var | None = None
        assert lin.top is not None
        self.at = lin.top
        """The frame whose operations are being run backwards."""
        self.ordinals: dict[Any, Var] = {}

    def bar(self, cell: Cell) -> Var:
        self.filled.pop(cell, None)  # whoever asks may write there
        if cell not in self.bars:
            hidden = "_" if cell.name.startswith("_") else ""
            self.bars[cell] = Var(self.plan.fresh(f"{hidden}{cell.name.lstrip('_')}_bar"), cell.type)
        return self.bars[cell]

    def run(self) -> tuple[list[Var], Block, list[Operand]]:
        """The parameters (cotangents of the result), the operations, and the cotangents of the parameters."""
        outs = leaves(self.lin.out[0] if self.lin.aux else self.lin.out)
        if any(isinstance(c.type, List) and not isinstance(c.type.elem, Scalar) for c in outs):
            raise NotTyped("a result of this structure")
        params: list[Var] = []
        for c in outs:
            params.append(self.bar(c))
            self.live.add(c)
        self.once = {c for c in outs if c.var.name == "out" and c.var not in self.lin.unit.params}
        if any(c.mutable for c in outs):
            raise NotTyped("a result that is written into")
        self.block_of(self.plan.root)
        results: list[Operand] = []
        for tree, version in zip(self.lin.ins, self.lin.params, strict=True):
            for c in leaves(tree):
                if c in self.live and c in self.vague:
                    whole = self.part(self.use(version), c)
                    results.append(self.b.call(unbroadcast, (self.bar(c), whole), c.type))
                elif c in self.live:
                    results.append(self.bar(c))
                else:
                    like = self.use(version) if not isinstance(c.type, Scalar) else None
                    like = None if like is None else self.part(like, c)
                    results.append(self.b.zero(c.type, like))
        copies = []
        for items, walk in self.walked.items():
            attrs = {"name": "copy", "keywords": (), "starred": (), "method": None}
            copies.append(Op("call_method", (items,), (walk,), attrs, (), 0))
        return params, Block([*copies, *self.b.block.ops]), results

    # ---- expressions

    def use(self, version: Version) -> Operand:
        if version in self.plan.table:
            return self.expr(self.plan.table[version])
        slot = version.slot
        if slot is not None and (slot.frame is version.frame or self.at.inside(slot.frame)):
            var: Var = slot.var
            return var
        if version in self.plan.indices:
            return version.var
        # not planned, or saved on another path only
        if version.frame.level.parent is None or (self.dry and self.at.inside(version.frame)):
            if slot is not None and version.frame.level.parent is not None:
                self.plan.slots.remove(slot)
                slot.frame.saves.remove(slot)
                self.walked.pop(slot.items, None)
            self.plan.save(version, [version.frame.linear])
            assert version.slot is not None
            found: Var = version.slot.var
            return found
        raise NotTyped(f"{version.var.name} is not saved")

    def leafed(self, e: Expr) -> Expr:
        if e.kind == "ref":
            return Expr("operand", (self.use(e.args[0]),))
        if e.kind == "ordinal":
            return Expr("operand", (self.ordinals[id(e.attrs["node"])],))
        if e.kind == "lit":
            return e
        return Expr(e.kind, tuple(self.leafed(a) for a in e.args), e.attrs)

    def expr(self, e: Expr) -> Operand:
        return self.b.expr(self.leafed(e))

    # ---- blocks

    def block_of(self, lb: LBlock) -> None:
        outer, self.at = self.at, lb.frame
        for slot in self.plan.slots:
            if slot.items is not None and slot.frame is lb.frame and not self.zipped(lb):
                out = slot.var
                self.b.op(
                    "call_method",
                    (self.walk(slot.items),),
                    out,
                    name="pop",
                    keywords=(),
                    starred=(),
                    method=None,
                )
        for node in reversed(lb.nodes):
            self.b.line = node.line
            match node:
                case Lin():
                    self.lin_node(node)
                case LIf():
                    self.if_node(node)
                case LLoop():
                    self.loop_node(node)
                case LCall():
                    self.call_node(node)
                case LStore():
                    self.store_node(node)
                case LSequence():
                    self.sequence_node(node)
        self.at = outer

    def walk(self, items: Var) -> Var:
        """A copy of a saved list that the reverse pass may consume."""
        if items not in self.walked:
            self.walked[items] = Var(self.plan.fresh(items.name.replace("saved_", "left_")), items.type)
        return self.walked[items]

    def zipped(self, lb: LBlock) -> bool:
        return lb in self._zipped

    _zipped: set[LBlock] = set()

    def add(self, cell: Cell, value: Operand, sign: int = 1, fresh: bool = True, vague: bool = False) -> None:
        """`cell_bar += value`, or an assignment where the cotangent is zero so far."""
        bar = self.bar(cell)
        if vague and cell.mutable:
            raise NotTyped(f"a zero of unknown shape for {cell.name}")
        if not vague:
            self.vague.discard(cell)
        elif cell not in self.live:
            self.vague.add(cell)
        if cell in self.live:
            if isinstance(cell.type, Array) and not cell.mutable:
                self.b.binary("Add" if sign > 0 else "Sub", bar, value, into=bar)
            else:
                self.b.binary("Add" if sign > 0 else "Sub", bar, value, into=bar, inplace=True)
            return
        self.live.add(cell)
        if sign < 0:
            if isinstance(value, Lit):
                value = Lit(-value.value)
                self.b.op("copy", (value,), bar)
            else:
                self.b.op("unary", (value,), bar, op="USub")
            return
        if cell.mutable and not fresh:
            value = self.b.call(np.array, (value,), cell.type)
        last = self.b.block.ops[-1] if self.b.block.ops else None
        if last is not None and last.outs and last.outs[0] is value and value.name == "_":
            last.outs = (bar,)
        else:
            self.b.op("copy", (value,), bar)

    def lin_node(self, node: Lin) -> None:
        out = node.out
        if out not in self.live:
            return
        if out not in self.once:
            self.live.discard(out)
        own = [t for t in node.terms if t.x is out]
        keep = (
            len(own) == 1
            and own[0].sign > 0
            and own[0].mul is None
            and own[0].div is None
            and own[0].form is None
        )
        if keep:
            self.live.add(out)
        ct: Operand = self.bar(out)
        flip = 1
        last = self.b.block.ops[-1] if self.b.block.ops else None
        if last is not None and last.kind == "unary" and last.outs == (ct,) and last.attrs["op"] == "USub":
            if len(node.terms) == 1 and not own and out not in self.once | self.vague:
                ct, flip = last.args[0], -1  # the sign goes on to the one that reads it
                self.b.block.ops.pop()
        ct, terms = (ct, node.terms) if own else self.divided_once(node.terms, ct)
        for t in terms:
            if t.x is not out:
                value, sign, fresh = self.contribution(t, ct)
                sign *= flip
                vague = self.shapeless(t, out)
                if keep and out.mutable and isinstance(t.x.type, Array):
                    value, fresh = self.b.call(np.array, (value,), t.x.type), True
                self.add(t.x, value, sign, fresh, vague)
        if own and not keep:
            vague = any(self.shapeless(t, out) for t in own)
            values = [self.contribution(t, ct) for t in own]
            total: Operand | None = None
            for value, sign, _ in values:
                if total is None:
                    total = value if sign > 0 else self.negated(value)
                else:
                    total = self.b.binary("Add" if sign > 0 else "Sub", total, value)
            assert total is not None
            self.live.discard(out)
            self.add(out, total, 1, True, vague)

    def divided_once(self, terms: list[Term], ct: Operand) -> tuple[Operand, list[Term]]:
        """Of a quotient of two numbers, `ct` already divided, and the terms without their divisor."""
        if self.careful:  # a cotangent divided by infinity is no zero to be strong beside inf / inf
            return ct, terms
        first = terms[0].div if terms else None
        if len(terms) != 2 or first is None or first.kind != "ref" or not isinstance(typed(ct), Scalar):
            return ct, terms
        for t in terms:
            if t.form is not None or t.div is None or t.div.kind != "ref" or t.div.args != first.args:
                return ct, terms
            if not isinstance(t.x.type, Scalar):
                return ct, terms
        value = self.b.divided(ct, self.expr(first))
        quotient = Var(self.plan.fresh("quotient"), typed(value))
        self.b.op("copy", (value,), quotient)
        return quotient, [replace(t, div=None) for t in terms]

    def shapeless(self, t: Term, out: Cell) -> bool:
        """Whether what a term gives may be a zero without a shape."""
        if out not in self.vague or not isinstance(t.x.type, Array) or t.like is not None:
            return False
        if t.form is not None:
            raise NotTyped(f"a zero of unknown shape for {out.name}")
        outer, self.b.block = self.b.block, Block()  # only the types are wanted
        factors = [typed(self.expr(e)) for e in (t.mul, t.div) if e is not None]
        self.b.block = outer
        return not any(isinstance(k, Array) for k in factors)

    def shaped(self, cell: Cell) -> None:
        """Refuse a cotangent that may be a zero without a shape where the shape matters."""
        if cell in self.live and cell in self.vague:
            raise NotTyped(f"a zero of unknown shape for {cell.name}")

    def negated(self, value: Operand) -> Operand:
        out = self.b.temp(typed(value))
        self.b.op("unary", (value,), out, op="USub")
        return out

    def contribution(self, t: Term, ct: Operand) -> tuple[Operand, int, bool]:
        """What a term gives to the cotangent of its variable: the value, its sign, and whether it is a new
        object."""
        x = t.x
        if t.form is not None:
            return self.form(t.form, ct, x), t.sign, False  # a rule may hand back what it was given
        fresh = False
        value = ct
        if self.careful and t.mul is not None and t.div is not None:
            # 0 / 0 is no zero to be strong: the partial is not known
            value = self.b.scaled(self.b.binary("Div", self.expr(t.mul), self.expr(t.div)), value)
            return self.folded(value, x, t, True), t.sign, True
        if t.mul is not None:
            value = self.b.scaled(self.expr(t.mul), value)
            fresh = value is not ct  # a factor of 1 is left out
        if t.div is not None:
            value = self.b.divided(value, self.expr(t.div))
            fresh = value is not ct
        return self.folded(value, x, t, fresh), t.sign, fresh

    def folded(self, value: Operand, x: Cell, t: Term, fresh: bool) -> Operand:
        """`value` summed where `x` was broadcast, and in the dtype of `x`."""
        kind = typed(value)
        if isinstance(x.type, Scalar):
            if isinstance(kind, Array):
                total = self.b.call(np.sum, (value,), Scalar(frozenset({kind.dtype})), text="")
                return (
                    self.b.call(float, (total,), x.type, text="float") if "float" in x.type.kinds else total
                )
            return value
        if not isinstance(x.type, Array):
            return value
        if isinstance(kind, Scalar) or (t.like is not None) or kind.ndim != x.type.ndim:
            if t.like is None:
                if isinstance(kind, Scalar):
                    return value
                raise NotTyped("broadcasting that is not known")
            value = self.b.call(unbroadcast, (value, self.expr(t.like)), x.type)
            kind = typed(value)
        if isinstance(kind, Array) and kind.dtype != x.type.dtype:
            if kind.dtype[0] != x.type.dtype[0]:
                raise NotTyped("complex arrays")
            value = self.b.method(value, "astype", (Lit(x.type.dtype),), x.type, np.ndarray.astype)
        return value

    def form(self, form: Any, ct: Operand, x: Cell) -> Operand:
        kind = typed(ct)
        match form:
            case Method():
                out = self.b.temp(x.type)
                self.b.op("getattr", (ct,), out, name="T")
                return out
            case MatMul(other=other, side=side, ndims=ndims):
                return self.matmul(ct, self.expr(other), side, ndims, x)
            case Form(rule=rule, args=args, keywords=keywords, position=position):
                if rule.function in (np.sum, np.ndarray.sum) and len(args) == 1 and not keywords:
                    if isinstance(kind, Scalar) and isinstance(x.type, Array) and x.type.dtype == "f8":
                        shape = self.b.temp(Tuple((INT,) * x.type.ndim))
                        assert args[0] is not None
                        self.b.op("getattr", (self.expr(args[0]),), shape, name="shape")
                        return self.b.call(np.full, (shape, ct), x.type)
                values: list[Operand] = [Lit(None) if a is None else self.expr(a) for a in args]
                names = tuple(k for k, _ in keywords)
                values += [self.expr(e) for _, e in keywords]
                if rule.form in ("joint", "each"):
                    names = (*names, "wrt")
                    values.append(Lit(position))
                result = self.b.linear(rule, Transposed.of(rule), (ct, *values), x.type, names)
                like = args[position]
                if isinstance(x.type, Array) and like is not None:
                    return self.b.call(unbroadcast, (result, self.expr(like)), x.type)
                if isinstance(x.type, Scalar) and not isinstance(kind, Scalar):
                    total = self.b.call(np.sum, (result,), Scalar(frozenset({kind.dtype})))
                    return (
                        self.b.call(float, (total,), x.type, text="float")
                        if "float" in x.type.kinds
                        else total
                    )
                return result
            case Pulled(fn=fn, args=args, keywords=keywords, position=position, out=out):
                values = [ct, Lit(fn), Lit(position), self.expr(out), *map(self.expr, args)]
                values += [self.expr(e) for _, e in keywords]
                return self.b.call(pulled, tuple(values), x.type, tuple(k for k, _ in keywords))
        raise NotTyped("a linear function of this kind")

    def matmul(self, ct: Operand, other: Operand, side: int, ndims: tuple[int, int], x: Cell) -> Operand:
        a, b = ndims
        if a > 2 or b > 2:
            raise NotTyped("a product of stacks of matrices")
        if side == 0:  # ct of x @ other
            if a == 1 and b == 1:
                return self.b.product("Mult", ct, other)
            if b == 1:
                return self.b.linear(lookup(np.outer), np.outer, (ct, other), x.type)
            if a == 1:
                return self.b.product("MatMult", other, ct)
            return self.b.product("MatMult", ct, self.t(other))
        if a == 1 and b == 1:
            return self.b.product("Mult", ct, other)
        if a == 1:
            return self.b.linear(lookup(np.outer), np.outer, (other, ct), x.type)
        return self.b.product("MatMult", self.t(other), ct)

    def t(self, value: Operand) -> Operand:
        out = self.b.temp(typed(value))
        self.b.op("getattr", (value,), out, name="T")
        return out

    # ---- control

    def if_node(self, node: LIf) -> None:
        if node.test.kind == "returned":
            test: Operand = self.returned(node.test)
        else:
            test = self.expr(node.test)
        before, vague = set(self.live), set(self.vague)
        then = self.b.inside(lambda: self.block_of(node.blocks[0]))
        after_then, self.live = self.live, set(before)
        vague_then, self.vague = self.vague & after_then, vague
        orelse = self.b.inside(lambda: self.block_of(node.blocks[1]))
        self.vague = (self.vague & self.live) | vague_then
        after_else = self.live
        # a variable that a branch binds, and nobody before it, has no cotangent before it either
        entry = node.blocks[0].frame.entry
        mine = {c for c in after_then ^ after_else if c not in before and c.var not in entry}
        self.live = (after_then | after_else) - mine
        for block, after, lb in ((then, after_then, node.blocks[0]), (orelse, after_else, node.blocks[1])):
            outer, self.b.block = self.b.block, block
            self.clear_all(self.live - after, lb)
            self.b.block = outer
        if then.ops or orelse.ops:
            self.b.block.ops.append(Op("if", (test,), (), {}, (then, orelse), self.b.line))

    def clear_all(self, cells: set[Cell], lb: LBlock) -> None:
        """`clear`, where the operations of `lb` begin."""
        outer, self.at = self.at, lb.frame
        for c in sorted(cells, key=lambda c: c.name):
            self.clear(c, lb.frame.entry)
        self.at = outer

    def clear(self, c: Cell, snapshot: dict[Var, Version]) -> None:
        """`c_bar = 0`: it is zero here and not zero on another path that meets this one."""
        like: Operand | None = None
        self.vague.discard(c)
        if isinstance(c.type, Array) and not c.mutable:
            try:
                like = self.shape(c, snapshot)
            except NotTyped:
                self.vague.add(c)
                self.b.op("copy", (Lit(0.0),), self.bar(c))
                return
        elif not isinstance(c.type, Scalar):
            like = self.shape(c, snapshot)
        value = self.b.zero(c.type, like)
        last = self.b.block.ops[-1] if self.b.block.ops else None
        if last is not None and last.outs and last.outs[0] is value and isinstance(value, Var):
            last.outs = (self.bar(c),)
        else:
            self.b.op("copy", (value,), self.bar(c))

    def shape(self, c: Cell, snapshot: dict[Var, Version]) -> Operand:
        """A value of the shape of the cotangent of `c`: what its variable holds there."""
        version = self.lin.shapes.get(c.var) or snapshot.get(c.var)
        if version is None or not version.sure:
            raise NotTyped(f"the shape of the cotangent of {c.name}")
        like = self.part(self.use(version), c)
        if typed(like) != c.type and not isinstance(c.type, List | Dict):
            raise NotTyped(f"the shape of the cotangent of {c.name}")
        return like

    def part(self, value: Operand, c: Cell) -> Operand:
        """The part of the value of its variable that a cell stands for."""
        for i in c.path:
            value = self.b.expr(Expr("getitem", (Expr("operand", (value,)), Expr("lit", (i,)))))
        return value

    def returned(self, e: Expr) -> Operand:
        if self.exit_var is None:
            self.exit_var = Var(self.plan.fresh("exit"), INT)
        numbers = sorted(x.number for x in e.attrs["exits"])
        test = self.b.temp(sampling_bool())
        if len(numbers) == 1:
            self.b.op("compare", (self.exit_var, Lit(numbers[0])), test, op="==")
        else:
            low = numbers[0]
            if numbers != list(range(low, low + len(numbers))):
                raise NotTyped("exits out of order")
            if low == 0:
                self.b.op("compare", (self.exit_var, Lit(numbers[-1])), test, op="<=")
            else:
                raise NotTyped("several loops that return")
        return test

    def loop_node(self, node: LLoop) -> None:
        body = node.blocks[0]
        before = set(self.live)
        head = set(before)
        vague = self.vague & before
        outer = self.b.block
        self.b.block = Block()
        for _ in range(20):  # which cotangents may be non-zero where an iteration begins
            self.vague = set(vague)
            for c in sorted(head - before, key=lambda c: c.name):
                self.clear(c, node.after)
            start = self.vague & head
            self.live = set(head)
            self.attempt(node, body, head)
            grown = self.live - head
            found = start | (self.vague & (head | grown))
            if not grown and found <= vague:
                break
            head |= grown
            vague |= found
        self.b.block = outer
        for c in sorted(head - before, key=lambda c: c.name):
            self.clear(c, node.after)
        self.live, self.vague = set(head), set(vague)

        def run() -> None:
            self.block_of(body)
            self.clear_all(head - self.live, body)

        self.emit_loop(node, body, run)
        self.live, self.vague = set(head), set(vague)

    def attempt(self, node: LLoop, body: LBlock, head: set[Cell]) -> None:
        """Walk the body for its effect on what is live, and for what it needs saved."""
        outer = self.b.block
        self.b.block = Block()
        self.dry += 1
        self.prepare(node, body)
        self.block_of(body)
        self.clear_all(head - self.live, body)
        self.dry -= 1
        self.b.block = outer

    def prepare(self, node: LLoop, body: LBlock) -> None:
        if node.mode == "zip":
            self._zipped = self._zipped | {body}
        if node.ordinal and id(node) not in self.ordinals:
            self.ordinals[id(node)] = Var(self.plan.fresh("k"), INT)

    def emit_loop(self, node: LLoop, body: LBlock, run: Any) -> None:
        self.prepare(node, body)
        slots = [s for s in self.plan.slots if s.items is not None and s.frame is body.frame]
        if node.mode == "zip":
            items: tuple[Operand, ...] = tuple(s.items for s in slots if s.items is not None)
            outs = tuple(s.var for s in slots)
            tree: Any = ("zip", *(("reversed", i) for i in range(len(items))))
            pattern: Any = tuple(range(len(items)))
            if len(items) == 1:
                tree, pattern = ("reversed", 0), 0
        elif node.mode == "range":
            items = tuple(self.expr(e) for e in node.args)
            assert node.index is not None
            used = node.index in self.plan.indices
            outs = (node.index.var if used else Var("_", INT),)
            tree = ("range", *range(len(items)))
            if used:
                tree = ("reversed", tree)
            pattern = 0
        else:
            assert node.count is not None
            items = (self.use(node.count),)
            tree, pattern = ("range", 0), 0
            outs = (Var("_", INT),)
            if node.ordinal:
                tree, outs = ("reversed", tree), (self.ordinals[id(node)],)
        block = self.b.inside(run)
        attrs = {"iter": tree, "pattern": pattern}
        self.b.block.ops.append(Op("loop", items, outs, attrs, (block, Block()), node.line))

    def call_node(self, node: LCall) -> None:
        live = [c for c in node.outs if c in self.live]
        if not live:
            return
        args: list[Operand] = [Lit(None) if node.record is None else self.use(node.record)]
        for c in node.outs:
            self.shaped(c)
            if c in self.live:
                args.append(self.bar(c))
                self.live.discard(c)
            else:
                if not isinstance(c.type, Scalar):
                    raise NotTyped("a zero cotangent of a part of a result")
                args.append(Lit(0.0))
        ins = node.ins
        outs = tuple(Var(self.plan.fresh(f"_d_{c.name.lstrip('_')}"), c.type) for c in ins if c is not None)
        attrs = {
            "keywords": (),
            "starred": (False,) * len(args),
            "reverse": node.target,
            "careful": self.careful,
        }
        if len(outs) == 1 and ins[0] is not None and ins[0] not in self.live and not ins[0].mutable:
            outs = (self.bar(ins[0]),)
            self.b.block.ops.append(Op("call", (Lit(node.target), *args), outs, attrs, (), node.line))
            self.live.add(ins[0])
            return
        self.b.block.ops.append(Op("call", (Lit(node.target), *args), outs, attrs, (), node.line))
        for cell, v in zip(ins, outs, strict=True):
            assert cell is not None
            self.add(cell, v, fresh=not cell.mutable)


def sampling_bool() -> Any:
    return Scalar(frozenset({"bool"}))
