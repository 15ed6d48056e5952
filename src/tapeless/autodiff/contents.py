"""Linearize, containers: loads and stores of the value program, with their linear counterparts.

A list of tuples has one linear list for each part of its elements, so an operation on it is one on each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapeless.analysis.aliases import Way
from tapeless.autodiff.control import Tree, kind_of
from tapeless.autodiff.jvp import Term
from tapeless.autodiff.linear_program import LBlock, LStore
from tapeless.autodiff.residuals import Expr, Version, lit, ref
from tapeless.program.ir import Lit, Op, Operand, Var
from tapeless.specialise.types import Array, Dict, List, NotTyped, Scalar, Struct, Tuple


class Contents:
    """Operations on containers; part of `Walk`."""

    lblock: LBlock
    line: int
    cur: dict[Var, Version]
    active: set[Var]
    shapes: dict[Var, Version]
    parts: dict[Operand, Expr]
    cells: dict[Any, Tree]
    inside_write: bool
    windows: dict[int, tuple[Expr, Any]]
    """The indices that made views, and their types, by operation."""

    if TYPE_CHECKING:

        def linear(self, operand: Operand) -> Tree: ...
        def move(self, out: Tree, x: Tree, var: Var | None = None) -> None: ...
        def lin(self, out: Tree, terms: list[Term], var: Var | None = None) -> None: ...
        def value(self, op: Op, expr: Expr | None = None) -> None: ...
        def expr(self, operand: Operand) -> Expr: ...
        def tree(self, var: Var) -> Tree: ...
        def define(self, var: Var, expr: Expr | None = None, sure: bool = True) -> Version: ...
        def fresh(self, name: str) -> str: ...
        def cells_for(self, name: str, kind: Any, var: Var, path: tuple[Any, ...]) -> Tree: ...

    def store(
        self, kind: str, base: Tree, version: Version, index: Expr | None, x: Tree, like: Expr | None = None
    ) -> None:
        """A storage operation on every part of the elements; `like` is the value that is stored."""
        if isinstance(base, tuple):
            for i, part in enumerate(base):
                own = like.args[i] if like is not None and like.kind == "tuple" else None
                if like is not None and own is None:
                    own = Expr("getitem", (like, lit(i)))
                self.store(kind, part, version, index, x[i] if isinstance(x, tuple) else None, own)
        elif base is not None:
            held = isinstance(base.type, List | Dict) and isinstance(base.type.elem, Array)
            if x is None and kind == "get":
                return
            self.lblock.nodes.append(
                LStore(kind, base, version, index, x, self.line, like if held and x is not None else None)
            )

    def value_expr(self, operand: Operand) -> Expr:
        """An operand that is stored; a temporary tuple by its parts."""
        found = self.parts.get(operand) if isinstance(operand, Var) else None
        return found or self.expr(operand)

    def op_getitem(self, op: Op) -> None:
        base, index = op.args
        x = self.linear(base)
        out = op.outs[0]
        at = self.expr(index)
        self.windows[id(op)] = at, kind_of(index)
        before = self.named(base) if isinstance(base, Var) and base in self.cur else None
        self.value(op)
        if out not in self.active:
            return
        if x is None or before is None:
            self.move(self.tree(out), None, out)
            return
        kind = kind_of(base)
        if isinstance(kind, Scalar):  # s[..., None] of a NumPy scalar
            self.lin(self.tree(out), [Term(x)], out)
            return
        if "part" in op.attrs:
            self.move(self.tree(out), x[op.attrs["part"]], out)
            return
        if isinstance(kind, Tuple | Struct):
            if not isinstance(index, Lit):
                raise NotTyped("a tuple at an unknown index", self.line)
            i = index.value if isinstance(kind, Tuple) else kind.names.index(index.value)
            self.move(self.tree(out), x[i], out)
            return
        if out is not base:
            self.store("get", x, before, at, self.tree(out))
            return
        name = self.fresh(f"{out.name}_part")  # `a = a[1:]`: one name, two arrays
        part = self.cells_for(name, out.type, Var(name, out.type), ())
        self.store("get", x, before, at, part)
        self.move(self.tree(out), part, out)

    def op_setitem(self, op: Op) -> None:
        base, index, value = op.args
        if not isinstance(base, Var):
            raise NotTyped("a store into a constant", self.line)
        if base not in self.active:
            self.value(op)  # nothing that is useful depends on it
            self.changed(base)
            return
        at, x = self.expr(index), self.linear(value)
        like = self.value_expr(value)
        self.value(op)
        self.changed(base)
        if not isinstance(base.type, Array):
            self.store("set", self.tree(base), self.named(base), at, x, like)
            return
        if x is self.tree(base):  # `a[:] = a`
            name = self.fresh(f"{base.name}_part")
            x = self.cells_for(name, base.type, Var(name, base.type), ())
            self.move(x, self.tree(base))
        node = LStore("set", self.tree(base), self.named(base), at, x, self.line)
        if isinstance(kind_of(value), Array):
            node.like = like
        self.lblock.nodes.append(node)

    def op_augitem(self, op: Op) -> None:
        base, index, value = op.args
        assert isinstance(base, Var)
        at, x, like = self.expr(index), self.linear(value), self.expr(value)
        self.value(op)
        self.changed(base)
        if base not in self.active:
            return
        name = op.attrs["op"]
        if name in ("Mult", "Div") and x is not None or name not in ("Add", "Sub", "Mult", "Div"):
            raise NotTyped("an in-place operation on a part of an array by an active value", self.line)
        kind = {"Add": "add", "Sub": "sub", "Mult": "mul", "Div": "div"}[name]
        node = LStore(kind, self.tree(base), self.named(base), at, x, self.line, like)
        self.lblock.nodes.append(node)

    def changed(self, base: Var) -> None:
        """The storage that `base` names shows other numbers from here on."""
        if isinstance(base.type, Array):
            self.inside_write = True
            self.define(base)
            self.inside_write = False

    def named(self, base: Var) -> Version:
        """A version that names the storage of `base`, whatever is in it."""
        return self.shapes.get(base) or self.cur[base]

    # ---- several names for one array

    def window(self, way: Way) -> Expr:
        """The index that takes a view from the array that owns its storage."""
        parts = [self.windows[step] for step in way.steps]
        if not parts:
            return Expr("slice", (lit(None),) * 3)
        *first, (last, kind) = parts
        if not first:
            return last
        if not all(isinstance(k, Scalar) for _, k in first):
            raise NotTyped("a view of a view, which is written into", self.line)
        rest = [last]
        if isinstance(kind, Tuple):
            rest = [Expr("getitem", (last, lit(i))) for i in range(len(kind.elems))]
        return Expr("tuple", (*(e for e, _ in first), *rest))

    def refreshed(self, var: Var, way: Any) -> None:
        """`var` names storage that was written into under another name: it is read anew."""
        if var in self.active and isinstance(way, Way):
            self.store("get", self.tree(way.owner), self.named(way.owner), self.window(way), self.tree(var))
        self.changed(var)

    def written_through(self, op: Op, way: Way) -> None:
        """`op` has written into a view: its owner holds that from here on."""
        var, owner = op.args[0], way.owner
        assert isinstance(var, Var)
        if owner in self.active:
            node = LStore(
                "set", self.tree(owner), self.named(owner), self.window(way), self.tree(var), self.line
            )
            node.like = ref(self.named(var))
            self.lblock.nodes.append(node)
        self.changed(owner)

    def op_list(self, op: Op) -> None:
        out = op.outs[0]
        x = [self.linear(a) for a in op.args]
        if isinstance(out.type, Tuple):  # an argument written out: its parts are the elements themselves
            self.parts[out] = Expr("tuple", tuple(self.parts.get(a) or self.expr(a) for a in op.args))
            self.cells[out] = tuple(x)
            self.value(op)
            return
        likes = [self.value_expr(a) for a in op.args]
        self.value(op)
        if out in self.active:
            self.display(self.tree(out), self.cur[out], None, x, likes)

    def display(
        self, base: Tree, version: Version, keys: Expr | None, x: list[Tree], likes: list[Expr]
    ) -> None:
        """A list or dict of elements with linear parts `x` and values `likes`."""
        if isinstance(base, tuple):
            for i, part in enumerate(base):
                own = [e.args[i] if e.kind == "tuple" else Expr("getitem", (e, lit(i))) for e in likes]
                self.display(part, version, keys, [t[i] if isinstance(t, tuple) else None for t in x], own)
        elif base is not None:
            node = LStore("display", base, version, keys, x, self.line)
            if isinstance(base.type.elem, Array):
                node.like = Expr(
                    "tuple", tuple(e if t is not None else lit(None) for e, t in zip(likes, x, strict=True))
                )
            self.lblock.nodes.append(node)

    def op_dict(self, op: Op) -> None:
        out = op.outs[0]
        keys, x = op.args[::2], [self.linear(a) for a in op.args[1::2]]
        likes = [self.value_expr(a) for a in op.args[1::2]]
        self.value(op)
        if out in self.active:
            if not all(isinstance(k, Lit) for k in keys) and any(c is not None for c in x):
                raise NotTyped("a dict display with computed keys", self.line)
            names = Expr("keys", tuple(lit(k.value) for k in keys if isinstance(k, Lit)))
            self.display(self.tree(out), self.cur[out], names, x, likes)

    def clone(self, out: Tree, x: Tree, version: Version) -> None:
        """A new list of the elements of `x`."""
        if isinstance(out, tuple):
            for i, part in enumerate(out):
                self.clone(part, x[i] if isinstance(x, tuple) else None, version)
        elif out is not None:
            self.lblock.nodes.append(LStore("clone", out, version, None, x, self.line))
