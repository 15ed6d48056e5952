"""Transpose, sequences: a linear function of a list of arrays gives a cotangent to each of them."""

from __future__ import annotations

import numpy as np

from tapeless.autodiff.adjoints import unbroadcast
from tapeless.autodiff.builder import typed
from tapeless.autodiff.linear_program import LSequence
from tapeless.autodiff.residuals import Expr, lit
from tapeless.autodiff.stores import Stores
from tapeless.program.ir import Lit, Operand, Var
from tapeless.specialise.types import INT, Array, Opaque, Scalar, Tuple


class Sequences(Stores):
    """Functions of lists of arrays run backwards; part of `Transpose`."""

    def sequence_node(self, node: LSequence) -> None:
        if node.out not in self.live:
            return
        self.shaped(node.out)
        self.live.discard(node.out)
        axis = joined_along(node)
        if axis is not None:
            self.cut(node, axis)
            return
        values = (self.bar(node.out), *(self.expr(e) for e in node.args))
        nest: Operand = self.b.call(node.rule.transpose, values, node.type, node.keywords)
        held = Var(self.plan.fresh("parts"), node.type)
        self.b.op("copy", (nest,), held)
        whole = self.leafed(node.args[0])
        for path, cell in node.cells():
            kind, part, like = node.type, held, whole
            for i in path:
                kind = kind.elems[i]
                out = self.b.temp(kind)
                self.b.op("getitem", (part, Lit(i)), out)
                part = out
                like = like.args[i] if like.kind == "tuple" else like
            value: Operand = part
            if isinstance(cell.type, Scalar):
                value = self.b.call(float, (part,), cell.type, text="float")
            elif like is not whole:
                value = self.b.call(unbroadcast, (part, self.b.expr(like)), cell.type)
            self.add(cell, value, fresh=False)

    def cut(self, node: LSequence, axis: int) -> None:
        """The parts of the cotangent of `np.concatenate(arrays, axis)`, each a view of it."""
        whole = self.leafed(node.args[0])
        cells = {path[0]: cell for path, cell in node.cells()}
        ct = self.bar(node.out)
        start: Operand = Lit(None)
        for k in range(max(cells) + 1):
            stop: Operand = Lit(None)
            if k + 1 < len(node.type.elems):
                array = whole.args[k] if whole.kind == "tuple" else Expr("getitem", (whole, lit(k)))
                stop = self.end(start, self.b.expr(array), axis)
            if k in cells:
                part = self.b.temp(cells[k].type)
                self.b.op("getitem", (ct, self.between(start, stop, axis)), part)
                self.add(cells[k], part, fresh=False)
            start = stop

    def between(self, start: Operand, stop: Operand, axis: int) -> Var:
        """The index from `start` to `stop` along an axis."""
        parts = []
        for ends in [(Lit(None), Lit(None))] * axis + [(start, stop)]:
            parts.append(self.b.temp(Opaque(slice)))
            self.b.op("slice", (*ends, Lit(None)), parts[-1])
        if axis == 0:
            return parts[0]
        index = self.b.temp(Tuple((Opaque(slice),) * len(parts)))
        self.b.op("tuple", tuple(parts), index, starred=(False,) * len(parts))
        return index

    def end(self, start: Operand, array: Operand, axis: int) -> Var:
        """Where a part ends that begins at `start` and is as long as `array`."""
        shape = self.b.temp(Tuple((INT,) * typed(array).ndim))
        stop = Var(self.plan.fresh("stop"), INT)
        length = stop if isinstance(start, Lit) else self.b.temp(INT)
        self.b.op("getattr", (array,), shape, name="shape")
        self.b.op("getitem", (shape, Lit(axis)), length)
        if length is not stop:
            self.b.op("binary", (start, length), stop, op="Add")
        return stop


def joined_along(node: LSequence) -> int | None:
    """The axis of `np.concatenate` of arrays of the type of the result; None for everything else."""
    kind, out = node.type, node.out.type
    axis = node.args[1] if len(node.args) > 1 else lit(0)
    quick = (
        node.rule.function is np.concatenate
        and isinstance(kind, Tuple)
        and isinstance(out, Array)
        and all(t == out for t in (*kind.elems, *(cell.type for _, cell in node.cells())))
        and len(node.args) <= 2
        and node.keywords in ((), ("axis",))
        and axis.kind == "lit"
        and type(axis.args[0]) is int
    )
    return axis.args[0] % out.ndim if quick else None
