"""Transpose, storage: a load adds to the cotangent of the container, a store reads and clears it, an append
pops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.autodiff import adjoints
from tapeless.autodiff.adjoints import unbroadcast
from tapeless.autodiff.builder import Builder, typed
from tapeless.autodiff.linear_program import Cell, LStore
from tapeless.autodiff.regions import Region, disjoint, region
from tapeless.autodiff.residuals import Expr, Version
from tapeless.program.ir import Block, Lit, Operand, Var
from tapeless.specialise.types import Array, Const, Dict, List, NotTyped, Opaque, Scalar, Tuple, type_of


class Stores:
    """Storage operations run backwards; part of `Transpose`."""

    b: Builder
    live: set[Cell]
    filled: dict[Cell, tuple[Block, list[Region]]]
    """Cotangents made of zeros, the block of that, and the parts that were added to since."""
    plan: Any

    if TYPE_CHECKING:

        def bar(self, cell: Cell) -> Var: ...
        def add(self, cell: Cell, value: Operand, sign: int = 1, fresh: bool = True) -> None: ...
        def use(self, version: Version) -> Operand: ...
        def expr(self, e: Expr) -> Operand: ...
        def leafed(self, e: Expr) -> Expr: ...
        def shaped(self, cell: Cell) -> None: ...

    # ---- storage

    def store_node(self, node: LStore) -> None:
        base = node.base
        filled = self.filled.get(base)
        bar = self.bar(base)
        if node.kind in ("new", "display"):
            if base in self.live:
                self.live.discard(base)
                if node.kind == "display":
                    self.display(node)
            return
        if node.kind in ("get", "dictget") and (node.x is None or node.x not in self.live):
            return
        if node.kind in ("add", "sub", "mul", "div"):
            self.augmented(node)
            return
        if node.kind == "clone":
            self.clone(node)
            return
        if base not in self.live:
            self.ensure(base, node)
            filled = (self.b.block, [])
        held = isinstance(base.type, List | Dict) and isinstance(base.type.elem, Array)
        match node.kind:
            case "append":
                value: Operand = self.b.method(bar, "pop", (), base.type.elem)
                if node.x is not None and held:
                    assert node.like is not None
                    value = self.b.call(adjoints.present, (value, self.expr(node.like)), base.type.elem)
                if node.x is not None:
                    self.add(node.x, value, fresh=not held)
            case "pop":
                value = Lit(0.0)
                if node.x is not None and node.x in self.live:
                    value = self.bar(node.x)
                    self.live.discard(node.x)
                elif held:
                    value = Lit(None)
                self.b.op(
                    "call_method",
                    (bar, value),
                    None,
                    name="append",
                    keywords=(),
                    starred=(False,),
                    method=None,
                )
            case "get" | "dictget":
                assert node.index is not None
                self.live.discard(node.x)
                if held:
                    if node.kind == "dictget":
                        raise NotTyped("an array from a dict with a default")
                    args = (bar, self.expr(node.index), self.bar(node.x))
                    attrs: dict[str, Any] = {"keywords": (), "starred": (False,) * 3, "text": ""}
                    self.b.op("call", (Lit(adjoints.put), *args), None, **attrs)
                    return
                if self.first(node, filled):
                    self.b.op("setitem", (bar, self.expr(node.index), self.bar(node.x)))
                else:
                    self.accumulate(bar, self.expr(node.index), self.bar(node.x), node)
            case "set":
                assert node.index is not None
                index = self.expr(node.index)
                if held:
                    if node.x is None:
                        self.b.op("setitem", (bar, index, Lit(None)))
                        return
                    assert node.like is not None
                    taken = (bar, index, self.expr(node.like))
                    self.add(node.x, self.b.call(adjoints.take, taken, base.type.elem), fresh=False)
                    return
                if node.x is not None:
                    value = self.item(bar, index, node)
                    if isinstance(base.type, Array) and isinstance(node.x.type, Array):
                        assert node.like is not None
                        value = self.b.method(value, "copy", (), typed(value), np.ndarray.copy)
                        value = self.b.call(unbroadcast, (value, self.expr(node.like)), node.x.type)
                    elif isinstance(base.type, Array) and isinstance(typed(value), Array):
                        value = self.b.call(np.sum, (value,), Scalar(frozenset({base.type.dtype})))
                        if "float" in node.x.type.kinds:
                            value = self.b.call(float, (value,), node.x.type, text="float")
                    self.add(node.x, value)
                self.b.op("setitem", (bar, index, Lit(0.0)))

    def clone(self, node: LStore) -> None:
        """A new list of the elements of another: its cotangents go to that one's."""
        base, x = node.base, node.x
        if base not in self.live:
            return
        self.live.discard(base)
        if x is None:
            return
        if x in self.live:
            total = self.b.call(adjoints.sums, (self.bar(x), self.bar(base)), x.type)
            self.b.op("copy", (total,), self.bar(x))
        else:
            self.live.add(x)
            self.b.op("copy", (self.bar(base),), self.bar(x))

    def augmented(self, node: LStore) -> None:
        """`base[index] op= x`."""
        base, bar = node.base, self.bar(node.base)
        if base not in self.live:
            return
        assert node.index is not None and node.like is not None
        index = self.expr(node.index)
        if node.kind in ("mul", "div"):
            part = self.b.temp(sampled_item(base.var.type, typed(index)))
            self.b.op("getitem", (bar, index), part)
            scale = self.b.scaled if node.kind == "mul" else self.b.divided
            factors = (self.expr(node.like), part) if node.kind == "mul" else (part, self.expr(node.like))
            self.b.op("setitem", (bar, index, scale(*factors)))
            return
        if node.x is None:
            return
        kind = sampled_item(base.var.type, typed(index))
        if fancy(typed(index)):
            value: Operand = self.b.call(adjoints.kept, (bar, index), kind)
        else:
            part = self.b.temp(kind)
            self.b.op("getitem", (bar, index), part)
            value = self.b.method(part, "copy", (), kind, np.ndarray.copy)
        if isinstance(node.x.type, Scalar):
            value = self.b.call(np.sum, (value,), Scalar(frozenset({base.type.dtype})))
            value = self.b.call(float, (value,), node.x.type, text="float")
        else:
            value = self.b.call(unbroadcast, (value, self.expr(node.like)), node.x.type)
        self.add(node.x, value, 1 if node.kind == "add" else -1)

    def accumulate(self, bar: Var, index: Operand, value: Operand, node: LStore) -> None:
        """`bar[index] += value`."""
        at = typed(index)
        parts = at.elems if isinstance(at, Tuple) else (at,)
        if isinstance(bar.type, Array) and fancy(at):
            self.b.op(
                "call", (Lit(np.add.at), bar, index, value), None, keywords=(), starred=(False,) * 3, text=""
            )
            return
        basic = all(isinstance(p, Scalar | Opaque) for p in parts)
        if isinstance(bar.type, Array) and basic and isinstance(node.x.type, Array):
            view = Var(self.plan.fresh("part"), node.x.type)
            self.b.op("getitem", (bar, index), view)
            self.b.op("inplace", (view, value), view, op="Add")
            return
        old = self.item(bar, index, node)
        new = self.b.temp(typed(old))
        kind = (
            "inplace" if isinstance(typed(old), Scalar | Array) and isinstance(bar.type, Array) else "binary"
        )
        self.b.op(kind, (old, value), new, op="Add")
        self.b.op("setitem", (bar, index, new))

    def item(self, bar: Var, index: Operand, node: LStore) -> Operand:
        kind = node.base.type
        if isinstance(kind, Array):
            if node.kind == "set":
                base = node.base.var.type
                elem = sampled_item(base, typed(index))
            else:
                elem = node.x.type
        else:
            elem = kind.elem
        if node.kind == "dictget":
            return self.b.method(bar, "get", (index, Lit(0.0)), elem)
        if node.kind == "set" and isinstance(kind, Array) and fancy(typed(index)):
            return self.b.call(adjoints.kept, (bar, index), elem)
        out = self.b.temp(elem)
        self.b.op("getitem", (bar, index), out)
        return out

    def first(self, node: LStore, filled: tuple[Block, list[Region]] | None) -> bool:
        """Whether nothing has been added yet to the part `base[index]` of a cotangent that began as zeros in
        this block, where `filled` parts have been added to."""
        at = region(node.index) if node.index is not None else None
        if filled is None or at is None or filled[0] is not self.b.block:
            return False
        if isinstance(node.base.type, Dict):
            return False
        block, parts = filled
        self.filled[node.base] = (block, [*parts, at])
        return all(disjoint(at, p) for p in parts)

    def ensure(self, base: Cell, node: LStore) -> None:
        """Make the cotangent of a container exist."""
        self.live.add(base)
        value = self.b.zero(base.type, self.use(node.version))
        last = self.b.block.ops[-1]
        if last.outs and last.outs[0] is value:
            last.outs = (self.bar(base),)
        else:
            self.b.op("copy", (value,), self.bar(base))

    def display(self, node: LStore) -> None:
        bar = self.bar(node.base)
        self.live.discard(node.base)
        keys = node.index.args if node.index is not None else None
        for i, x in enumerate(node.x):
            if x is not None:
                index: Operand = Lit(keys[i].args[0]) if keys is not None else Lit(i)
                out = self.b.temp(node.base.type.elem)
                self.b.op("getitem", (bar, index), out)
                value: Operand = out
                if node.like is not None:
                    value = self.b.call(
                        adjoints.present, (out, self.expr(node.like.args[i])), node.base.type.elem
                    )
                self.add(x, value, fresh=node.like is None)


def fancy(at: Any) -> bool:
    """Whether an index of this type may name one element twice."""
    parts = at.elems if isinstance(at, Tuple) else (at,)
    return any(isinstance(p, Array) and p.dtype[0] in "iu" for p in parts)


def sampled_item(base: Array, at: Any) -> Any:
    """The type of an item of an array, for an index of type `at`."""
    parts = at.elems if isinstance(at, Tuple) else (at,)
    if all(isinstance(p, Scalar) for p in parts) and len(parts) == base.ndim:
        return Scalar(frozenset({base.dtype}))
    sample = np.zeros((2,) * base.ndim, base.dtype)
    values: list[Any] = []
    for p in parts:
        if isinstance(p, Scalar):
            values.append(0)
        elif isinstance(p, Opaque) and p.cls is slice:
            values.append(slice(None))
        elif isinstance(p, Const) and p.value in (None, Ellipsis):
            values.append(p.value)
        elif isinstance(p, Array):
            values.append(np.zeros((2,) * p.ndim, p.dtype))
        else:
            raise NotTyped("an index of this kind")
    return type_of(sample[tuple(values)])
