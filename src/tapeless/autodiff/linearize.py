"""Linearize: a unit to a value Program that saves residuals, and a linear Program that uses them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tapeless.analysis.activity import active_variables, passive
from tapeless.analysis.storage import Storage, plain_list
from tapeless.autodiff.contents import Contents
from tapeless.autodiff.control import Control, kind_of, leaves
from tapeless.autodiff.jvp import Form, Method, Term, call_terms, product_terms
from tapeless.autodiff.linear_program import Cell, LBlock, LCall, Lin, LSequence
from tapeless.autodiff.residuals import CHEAP, Expr, Frame, Level, Mark, Version, binary, lit, ref, unary
from tapeless.program.ir import Block, Lit, Op, Operand, Var
from tapeless.rules import Elementwise, Linear, lookup
from tapeless.specialise.types import (
    Array,
    Dict,
    List,
    NotTyped,
    RecordOf,
    Scalar,
    Struct,
    Tuple,
    differentiable,
    is_complex,
)
from tapeless.specialise.unit import Unit

Tree = Any


@dataclass(eq=False)
class Linearized:
    """A unit taken apart; `reverse` and `forward` programs are completed by `transpose`."""

    unit: Unit
    active: tuple[bool, ...]
    top: Frame | None = None
    ins: list[Tree] = field(default_factory=list)
    """For every parameter the cells of its parts, None where inactive."""
    params: list[Version] = field(default_factory=list)
    out: Tree = None
    exits: list[Any] = field(default_factory=list)
    forward: Unit | None = None
    reverse: Unit | None = None
    record: Any = None
    fused: Any = None
    active_result: bool = True
    taken: set[str] = field(default_factory=set)
    plan: Any = None
    shapes: dict[Var, Version] = field(default_factory=dict)
    packs: list[Any] = field(default_factory=list)
    """Lists of saves that have become one."""
    slots: list[Var] = field(default_factory=list)
    """The variables of the record."""
    exit_var: Var | None = None
    aux: bool = False
    """Only the first part of the result is differentiated."""
    careful: Unit | None = None
    """The reverse half with strong zeros, made when it is first needed."""


class Walk(Contents, Control):
    """Walks the value program once, in order."""

    def __init__(
        self, unit: Unit, active: tuple[bool, ...], linearize: Any, lent: tuple[bool, ...] = ()
    ) -> None:
        self.unit = unit
        self.linearize = linearize
        self.active = active_variables(unit, active)
        changing = {p for p, on in zip(unit.params, lent, strict=False) if on}
        self.storage = Storage(unit, self.active, changing)
        self.windows = {}
        self.result: Linearized = Linearized(unit, active)
        self.cells: dict[Any, Tree] = {}
        self.cur: dict[Var, Version] = {}
        self.level = Level(None)
        self.frame = Frame(None, self.level, {})
        self.result.top = self.frame
        self.lblock = LBlock(self.frame, None)
        self.frame.linear = self.lblock
        self.line = 0
        names = {v.name for v in unit.program.variables()} | {v.name for v in unit.params}
        code = unit.program.code
        self.result.taken = names | set(code.co_names if code else ()) | set(unit.cells)
        self.count = 0
        self.shape_class: dict[Version, Any] = {}
        self.parts: dict[Operand, Expr] = {}
        """The elements of temporary tuples: cheaper to save than the tuple."""
        self.shapes: dict[Var, Version] = {}
        """For storage that is written into, the version that names it, whatever is in it."""
        self.inside_write = False

    def run(self) -> Linearized:
        r = self.result
        body = self.unit.body
        for p, a in zip(self.unit.params, r.active, strict=True):
            self.define(p)
            r.ins.append(self.tree(p) if a and p in self.active else None)
            r.params.append(self.cur[p])
        r.out = self.cells_for("out", self.unit.result, Var("out"), ())
        for p in self.unit.params:
            if p in self.active and isinstance(p.type, List | Dict) and self.storage.written(p):
                raise NotTyped(f"the argument {p.name} is written into", self.line)
        self.block(body)
        r.shapes = self.shapes
        return r

    # ---- cells

    def cells_for(self, name: str, kind: Any, var: Var, path: tuple[Any, ...]) -> Tree:
        match kind:
            case Tuple(elems=elems) | Struct(elems=elems):
                return tuple(self.cells_for(f"{name}_{i}", e, var, (*path, i)) for i, e in enumerate(elems))
        if not differentiable(kind):
            return None
        if is_complex(kind):  # their adjoints conjugate, which only the untyped road does
            raise NotTyped("complex numbers that are differentiated", self.line)
        if isinstance(kind, List | Dict) and isinstance(kind.elem, Tuple):
            elems = kind.elem.elems
            lists = [List(e) if isinstance(kind, List) else Dict(kind.key, e) for e in elems]
            return tuple(self.cells_for(f"{name}_{i}", e, var, path) for i, e in enumerate(lists))
        if isinstance(kind, List | Dict) and not isinstance(kind.elem, Scalar | Array):
            raise NotTyped("a container of containers", self.line)
        return Cell(
            name,
            kind,
            var,
            isinstance(kind, List | Dict) or (isinstance(kind, Array) and self.storage.indexed(var)),
            path,
        )

    def tree(self, var: Var) -> Tree:
        if var not in self.cells:
            self.cells[var] = self.cells_for(var.name, var.type, var, ())
        return self.cells[var]

    def linear(self, operand: Operand) -> Tree:
        """The cells of an operand; None if it is inactive."""
        if isinstance(operand, Var) and operand in self.active:
            return self.tree(operand)
        return None

    # ---- versions

    def define(self, var: Var, expr: Expr | None = None, sure: bool = True) -> Version:
        self.count += 1
        version = Version(var, self.frame, expr, sure=sure, number=self.count)
        old = self.cur.get(var)
        if old is not None:
            old.overwrite()
        version.stable = not self.storage.changes(var)
        if not version.stable and not self.inside_write:
            shape = Version(var, self.frame, sure=sure, number=self.count)
            if var in self.shapes:
                self.shapes[var].final = False
            self.shapes[var] = shape
            self.frame.ops.append(Mark(shape))
        self.cur[var] = version
        self.frame.ops.append(Mark(version))
        return version

    def expr(self, operand: Operand) -> Expr:
        if isinstance(operand, Lit):
            return lit(operand.value)
        version = self.cur.get(operand)
        if version is None:
            raise NotTyped(f"{operand.name} may be unassigned", self.line)
        return ref(version)

    def block(self, block: Block) -> None:
        for op in block.ops:
            self.line = op.line or self.line
            for var, way in self.storage.aliases.refresh.get(id(op), {}).items():
                self.refreshed(var, way)
            method = getattr(self, f"op_{op.kind}", None)
            if method is None:
                self.plain(op)
            else:
                method(op)
            if (through := self.storage.aliases.through.get(id(op))) is not None:
                self.written_through(op, through)

    def plain(self, op: Op) -> None:
        """An operation without tangent."""
        if any(o in self.active for o in op.outs):
            raise NotTyped(f"no tangent of {op.kind}", self.line)
        self.value(op)

    def value(self, op: Op, expr: Expr | None = None) -> None:
        self.frame.ops.append(op)
        for o in op.outs:
            self.define(o, expr)

    def lin(self, out: Tree, terms: list[Term], var: Var | None = None) -> None:
        like = self.cur.get(var) if var is not None else None
        self.lblock.nodes.append(Lin(out, terms, self.line, like))

    def move(self, out: Tree, x: Tree, var: Var | None = None) -> None:
        """`out = x`, part by part; None is zero."""
        if isinstance(out, tuple):
            for i, o in enumerate(out):
                self.move(o, x[i] if isinstance(x, tuple) else None, var)
        elif out is not None:
            if out.mutable and isinstance(out.type, List | Dict) and x is not None and x is not out:
                raise NotTyped("a second name for a container", self.line)
            self.lin(out, [Term(x)] if x is not None else [], var)

    # ---- operations on values

    def common_shape(self, operands: tuple[Operand, ...]) -> Any:
        """What says that all arrays among the operands have one shape; None if they may be broadcast."""
        found = {
            self.shape_class.get(v, v)
            for a in operands
            if isinstance(a, Var) and isinstance(a.type, Array)
            if (v := self.cur.get(a))
        }
        return found.pop() if len(found) == 1 else None

    def fits(self, terms: list[Term], shape: Any) -> None:
        if shape is not None:
            for t in terms:
                t.like = None

    def recompute(self, op: Op) -> Expr | None:
        """The expression of a cheap scalar operation."""
        if op.attrs["op"] in CHEAP and all(
            isinstance(k, Scalar) for k in (*(kind_of(a) for a in op.args), op.outs[0].type)
        ):
            return binary(op.attrs["op"], *(self.expr(a) for a in op.args))
        return None

    def op_binary(self, op: Op) -> None:
        out = op.outs[0]
        x = [self.linear(a) for a in op.args]
        if isinstance(out.type, List):
            if out in self.active:
                if any(x):
                    raise NotTyped("repetition of an active list", self.line)
                self.value(op)
                self.store("new", self.tree(out), self.cur[out], None, None)
                return
        v = [self.expr(a) for a in op.args]
        again = self.recompute(op)
        twice = x[0] is not None and x[0] is x[1] and op.args[0] is op.args[1]
        if isinstance(out.type, Tuple) and out in self.active:
            parts: list[Any] = []
            for a, cells in zip(op.args, x, strict=True):
                n = len(kind_of(a).elems)
                parts += list(cells) if cells is not None else [None] * n
            self.value(op)
            self.move(self.tree(out), tuple(parts), out)
            return
        shape = self.common_shape(op.args) if op.attrs["op"] != "MatMult" else None
        self.inside_write = op.kind == "inplace" and out is op.args[0] and out in self.shapes
        self.value(op, again)
        self.inside_write = False
        if shape is not None:
            self.shape_class[self.cur[out]] = shape
        if out in self.active:
            if passive(op):
                terms = []
            else:
                kinds = [kind_of(a) for a in op.args]
                y = ref(self.cur[out])
                if op.attrs["op"] == "Div" and self.cheap_here(v[0]) and not isinstance(out.type, Array):
                    y = Expr("binary", tuple(v), {"op": "Div"})
                if twice and op.attrs["op"] in ("Add", "Mult"):
                    two = lit(2) if op.attrs["op"] == "Add" else binary("Mult", lit(2), v[0])
                    terms = [Term(x[0], mul=two)]
                else:
                    terms = product_terms(op.attrs["op"], x, v, y, kinds)
                self.fits(terms, shape)
                if op.kind == "inplace" and out is op.args[0]:  # it keeps its shape
                    self.fits([t for t in terms if t.x is x[0]], out)
            self.lin(self.tree(out), terms, out)

    op_inplace = op_binary

    def cheap_here(self, e: Expr) -> bool:
        """Whether an operand is at hand in the reverse pass without saving it in a loop."""
        if e.kind == "lit":
            return True
        return self.level.parent is not None and e.args[0].frame.level.parent is None

    def op_unary(self, op: Op) -> None:
        x = self.linear(op.args[0])
        scalar = isinstance(op.outs[0].type, Scalar) and op.attrs["op"] == "USub"
        self.value(op, unary("USub", self.expr(op.args[0])) if scalar else None)
        if op.outs[0] in self.active:
            sign = -1 if op.attrs["op"] == "USub" else 1
            self.lin(self.tree(op.outs[0]), [Term(x, sign)] if x is not None else [], op.outs[0])

    def op_copy(self, op: Op) -> None:
        x = self.linear(op.args[0])
        scalar = isinstance(op.outs[0].type, Scalar)
        self.value(op, self.expr(op.args[0]) if scalar and isinstance(op.args[0], Var) else None)
        if op.outs[0] in self.active:
            self.move(self.tree(op.outs[0]), x, op.outs[0])

    def op_tuple(self, op: Op) -> None:
        x = tuple(self.linear(a) for a in op.args)
        parts = Expr(
            "tuple",
            tuple(self.parts.get(a) or self.expr(a) if isinstance(a, Var) else self.expr(a) for a in op.args),
        )
        if op.outs[0].name.startswith("_"):
            self.parts[op.outs[0]] = parts
        whole = Expr("tuple", tuple(map(self.literal, op.args)))
        self.value(op, None if any(True for _ in whole.refs()) else whole)
        if op.outs[0] in self.active:
            self.move(self.tree(op.outs[0]), x, op.outs[0])

    def literal(self, operand: Operand) -> Expr:
        """An operand, written out where it is made of literals."""
        e = self.expr(operand)
        if e.kind == "ref" and e.args[0].expr is not None and not any(True for _ in e.args[0].expr.refs()):
            found: Expr = e.args[0].expr
            return found
        return e

    def op_slice(self, op: Op) -> None:
        whole = Expr("slice", tuple(map(self.expr, op.args)))
        self.value(op, None if any(True for _ in whole.refs()) else whole)

    def op_unpack(self, op: Op) -> None:
        x = self.linear(op.args[0])
        kind = kind_of(op.args[0])
        base = self.cur.get(op.args[0]) if isinstance(op.args[0], Var) else None
        self.value(op)
        for i, o in enumerate(op.outs):
            if o in self.active:
                if isinstance(kind, Tuple):
                    self.move(self.tree(o), x[i] if x is not None else None, o)
                elif x is None or base is None:
                    self.move(self.tree(o), None, o)
                else:
                    self.store("get", x, base, lit(i), self.tree(o))

    def op_getattr(self, op: Op) -> None:
        out = op.outs[0]
        x = self.linear(op.args[0])
        self.value(op)
        if out not in self.active or x is None:
            if out in self.active:
                self.move(self.tree(out), None, out)
            return
        kind = kind_of(op.args[0])
        if isinstance(kind, Struct | Tuple):
            names = kind.names if isinstance(kind, Struct) else kind.cls._fields  # type: ignore[attr-defined]
            self.move(self.tree(out), x[names.index(op.attrs["name"])], out)
        elif op.attrs["name"] == "T":
            self.lin(self.tree(out), [Term(x, form=Method("T"))], out)
        elif op.attrs["name"] == "real":
            self.move(self.tree(out), x, out)
        else:
            raise NotTyped(f"the attribute {op.attrs['name']}", self.line)

    # ---- calls

    def op_call(self, op: Op) -> None:
        if "unit" in op.attrs:
            self.call_unit(op)
            return
        args = op.args[1:]
        out = op.outs[0]
        x = [self.linear(a) for a in args]
        fn = op.args[0].value  # type: ignore[union-attr]
        if fn is list:
            self.value(op)
            if out in self.active:
                self.clone(self.tree(out), x[0], self.cur[out])
            return
        self.kept_operands(op)
        v = [self.expr(a) if not (isinstance(a, Lit) and callable(a.value)) else lit(a.value) for a in args]
        shape = self.common_shape(args) if isinstance(lookup(fn), Elementwise) else None
        self.value(op)
        if shape is not None:
            self.shape_class[self.cur[out]] = shape
        if out in self.active and passive(op):
            self.move(self.tree(out), None, out)
        elif out in self.active:
            if self.sequence(op, fn, x, v):
                return
            terms = call_terms(fn, op, x, v, ref(self.cur[out]), [kind_of(a) for a in args])
            self.fits(terms, shape)
            self.lin(self.tree(out), terms, out)

    def kept_operands(self, op: Op) -> None:
        """Refuse lists as operands of a function that is differentiated, if they may change later."""
        for a in op.args if op.outs[0] in self.active else ():
            if isinstance(a, Var) and isinstance(a.type, List | Dict) and not self.storage.kept(a):
                raise NotTyped("a list that is written into as an operand", self.line)

    def sequence(self, op: Op, fn: Any, x: list[Tree], v: list[Expr]) -> bool:
        """A linear function of the elements of a list or tuple, such as `np.concatenate`."""
        rule = lookup(fn)
        if not isinstance(rule, Linear) or not rule.sequence:
            return False
        names = op.attrs["keywords"]
        if any(c is not None for c in x[1:]) or rule.positions != (0,) or x[0] is None:
            raise NotTyped("a derivative through an option", self.line)
        out = self.tree(op.outs[0])
        if not isinstance(x[0], tuple):
            if not isinstance(kind_of(op.args[1]), Array | Scalar):
                raise NotTyped("a list as an operand", self.line)
            form = Form(
                rule,
                tuple(v[: len(v) - len(names)]),
                tuple(zip(names, v[len(v) - len(names) :], strict=True)),
                0,
            )
            self.lin(out, [Term(x[0], form=form)], op.outs[0])
            return True
        first = self.parts.get(op.args[1]) if isinstance(op.args[1], Var) else None
        if first is not None:
            v = [first, *v[1:]]
        node = LSequence(rule, v, names, x[0], out, kind_of(op.args[1]), self.line)
        if any(isinstance(cell.type, List | Dict) for _, cell in node.cells()):
            raise NotTyped("a list as an operand", self.line)
        self.lblock.nodes.append(node)
        return True

    def op_call_method(self, op: Op) -> None:
        base, *args = op.args
        out = op.outs[0]
        x = [self.linear(a) for a in op.args]
        v = [self.value_expr(a) for a in op.args]
        name, method = op.attrs["name"], op.attrs.get("method")
        if method is not None:
            self.kept_operands(op)
            self.value(op)
            if out in self.active and passive(op):
                self.move(self.tree(out), None, out)
            elif out in self.active:
                terms = call_terms(method, op, x, v, ref(self.cur[out]), [kind_of(a) for a in op.args])
                self.lin(self.tree(out), terms, out)
            return
        self.value(op)
        if not isinstance(base, Var) or base not in self.active:
            return
        cell, version = self.tree(base), self.cur[base]
        target = self.tree(out) if out in self.active else None
        match name:
            case "append":
                self.store("append", cell, version, None, x[1], v[1])
            case "pop":
                self.store("pop", cell, version, None, target)
            case "get":
                if x[2] is not None:
                    raise NotTyped("an active default", self.line)
                self.store("dictget", cell, version, v[1], target)
            case _:
                raise NotTyped(f"the method {name}", self.line)

    def call_unit(self, op: Op) -> None:
        unit: Unit = op.attrs["unit"]
        args = op.args[1:]
        out = op.outs[0]
        active = tuple(isinstance(a, Var) and a in self.active and differentiable(a.type) for a in args)
        lent = tuple(isinstance(a, Var) and self.storage.lends(a) for a in args)
        for a in args:
            if isinstance(a, Var) and isinstance(a.type, List | Dict) and self.storage.written(a):
                if not plain_list(a.type):
                    raise NotTyped("a list that is written into is passed to a function", self.line)
        if out not in self.active or not any(active):
            self.value(op)
            if out in self.active:
                self.move(self.tree(out), None, out)
            return
        target = self.linearize(unit, active, lent=lent if any(lent) else ())
        if any(isinstance(a.type, List | Dict) for a, on in zip(args, active, strict=True) if on):  # type: ignore[union-attr]
            raise NotTyped("an active container passed to a function", self.line)
        version = None
        if target.record is not None and not target.slots:  # it saves nothing: its value pass is the function
            self.value(op)
        else:
            record = Var(self.fresh("record"), RecordOf(target))
            linear = {**op.attrs, "linearized": target}
            self.frame.ops.append(Op("call", op.args, (record,), linear, (), op.line))
            self.frame.ops.append(Op("getitem", (record, Lit(0)), (out,), {}, (), op.line))
            version = self.define(record)
            self.define(out)
        ins: list[Any] = []
        for a, inner in zip(args, target.ins, strict=True):
            mine = leaves(self.tree(a)) if inner is not None else []  # type: ignore[arg-type]
            if len(mine) != len(leaves(inner)):
                raise NotTyped("a structure that is active in part", self.line)
            ins += mine
        if not ins:
            self.move(self.tree(out), None, out)
            return
        self.lblock.nodes.append(LCall(target, version, ins, leaves(self.tree(out)), self.line))

    def fresh(self, name: str) -> str:
        taken = self.result.taken
        base, n = name, 1
        while name in taken:
            n += 1
            name = f"{base}_{n}"
        taken.add(name)
        return name
