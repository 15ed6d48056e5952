"""Specialisation: a function and the types of its arguments to a typed Program, by abstract interpretation.

Control flow is here; what an operation or a call gives is in `values`.  Every source variable becomes one
typed variable per
class of types that it holds (all numbers are one class).  The function is interpreted again until nothing
changes.
"""

from __future__ import annotations

from types import CodeType, FunctionType
from typing import Any

from tapeless.frontend.lower import lower
from tapeless.program.ir import Block, Lit, Op, Operand, Param, Program, Var
from tapeless.rules import registry
from tapeless.specialise.calls import Calls, Iterating
from tapeless.specialise.normal import normalise, own_arrays
from tapeless.specialise.types import (
    INT,
    Array,
    Const,
    Dict,
    List,
    NotTyped,
    Opaque,
    Packed,
    Scalar,
    Struct,
    Tuple,
    join,
    key_of,
    type_of,
)  # fmt: skip
from tapeless.specialise.unit import Known, Pack, Session, Unit, closure_of

Binding = Operand | Known | Pack
Env = dict[Var, Any]


class Poison:
    """A variable whose types on two paths do not mix; using it refuses the program."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Poison)

    __hash__ = None  # type: ignore[assignment]


class Loop:
    """The environments that leave a loop by `break` or go on by `continue`."""

    def __init__(self) -> None:
        self.breaks: list[Env] = []
        self.continues: list[Env] = []


def specialise(function: FunctionType, types: list[Any], session: Session) -> Unit:
    """The unit of `function` for arguments of `types`, one for each of its parameters; constants are left
    out."""
    code = function.__code__
    key = (code, id(function.__closure__) if code.co_freevars else 0, tuple(map(key_of, types)))
    unit = session.units.get(key)
    if unit is not None:
        if not unit.done:
            at = session.stack.index(unit)
            for member in session.stack[at:]:
                member.recursive = True
        return unit
    if len(session.units) > 200 or len(session.stack) > 40:
        raise NotTyped("too many specialisations")
    session.kept.append(function)
    session.guard("attr", function, "__code__", code)
    session.guard("attr", registry, "changes", registry.changes)
    interp = Interp(function, types, session)
    session.units[key] = unit = interp.unit
    session.stack.append(unit)
    try:
        interp.run()
    finally:
        session.stack.pop()
        if not unit.done:
            del session.units[key]
    return unit


class Interp(Calls):
    """Interprets one function on types."""

    def __init__(self, function: FunctionType, types: list[Any], session: Session) -> None:
        code: CodeType = function.__code__
        source = lower(code, function.__globals__)
        if source.is_generator:
            raise NotTyped("a generator", source.firstline)
        self.source, self.session = source, session
        self.typed: dict[Any, Var] = {}
        self.sites: dict[Any, Any] = {}
        self.taken: set[str] = (
            {v.name for v in source.variables()} | set(code.co_names) | set(code.co_freevars)
        )
        self.types = types
        self.own_names = {p.var: p.name for p in source.params}
        self.taken |= set(self.own_names.values())
        self.given: dict[Var, Any] = {}
        """The types of the parameters."""
        program = Program(
            source.name, [], Block(), source.filename, source.firstline, (), False, code, source.node
        )
        self.unit = Unit(program, function.__globals__, closure_of(function))
        self.changed = False
        self.line = source.firstline
        self.out = Block()
        self.env: Env | None = {}
        self.loops: list[Loop] = []
        self.reset()

    def reset(self) -> None:
        self.env = {}
        params = []
        if len(self.source.params) != len(self.types):
            raise NotTyped("arguments do not match the parameters", self.line)
        for param, kind in zip(self.source.params, self.types, strict=True):
            if isinstance(kind, Const):
                self.env[param.var] = Known(kind.value)
                continue
            if isinstance(kind, Packed):
                packed = self.packed_parameter(param.var, param.name, kind)
                params += [Param(var, "standard", var.name) for var in packed]
                continue
            self.given[param.var] = kind
            var = self.typed_var(param.var, kind)
            self.env[param.var] = var
            params.append(Param(var, "standard", param.name))
        self.unit.program.params = params

    def run(self) -> None:
        units = self.session.units
        before = set(units)  # includes this unit: it is entered before it runs
        for _ in range(12):
            if self.unit.recursive:
                for key in [k for k, u in units.items() if k not in before and u.done]:
                    del units[key]  # they were typed with an unfinished result of this one
            self.changed = False
            self.reset()
            body = self.block(self.source.body)
            if self.env is not None:
                self.out = body
                self.op_return(Op("return", (Lit(None),), (), {}, (), self.line))
            if not self.changed:
                break
        else:
            raise NotTyped("types do not settle", self.source.firstline)
        if self.unit.result is None:
            raise NotTyped("never returns", self.source.firstline)
        self.unit.program.body = normalise(body)
        own_arrays(self.unit.program.body, self.unit.params, self.fresh)
        self.unit.done = True

    # ---- variables

    def typed_var(self, source: Var, kind: Any) -> Var:
        """The typed variable for `source` when it holds a value of type `kind`."""
        cls: Any = type(kind)
        if isinstance(kind, Array):
            cls = (Array, kind.dtype, kind.ndim)
        elif isinstance(kind, Tuple | Struct):
            cls = (cls, kind.cls, len(kind.elems), tuple(self.shape_of(e) for e in kind.elems))
        elif isinstance(kind, Opaque):
            cls = (Opaque, kind.cls)
        elif isinstance(kind, List | Dict) and source in self.given and kind is not self.given[source]:
            cls = (cls, "another")  # a container of our own under the name of an argument
        key = (id(source), cls)
        var = self.typed.get(key)
        if var is None:
            used = any(k[0] == id(source) for k in self.typed)
            name = self.own_names.get(source, source.name)
            var = self.typed[key] = Var(self.fresh(name) if used else name, kind)
            self.changed = True
        else:
            both = join(var.type, kind)
            if both is None:
                raise NotTyped(f"{source.name} holds values of different types", self.line)
            if both != var.type:
                var.type = both
                self.changed = True
        return var

    def shape_of(self, kind: Any) -> Any:
        return (
            "scalar"
            if isinstance(kind, Scalar)
            else type(kind)
            if isinstance(kind, List | Dict)
            else key_of(kind)
        )

    def fresh(self, name: str) -> str:
        n = 2
        while f"{name}_{n}" in self.taken:
            n += 1
        self.taken.add(f"{name}_{n}")
        return f"{name}_{n}"

    def bind(self, source: Var, binding: Binding) -> None:
        assert self.env is not None
        self.env[source] = binding

    def look(self, operand: Operand) -> Binding:
        if isinstance(operand, Lit):
            return operand
        assert self.env is not None
        binding = self.env.get(operand)
        if binding is None:
            raise NotTyped(f"{operand.name} may be unassigned", self.line)
        if isinstance(binding, Poison):
            raise NotTyped(f"{operand.name} has different types on different paths", self.line)
        return binding  # type: ignore[no-any-return]

    def emit(
        self, kind: str, args: tuple[Operand, ...], source: Var | None, result: Any, **attrs: Any
    ) -> None:
        """Emit an operation and bind `source` to its result of type `result`."""
        outs: tuple[Var, ...] = ()
        if source is not None:
            outs = (self.typed_var(source, result),)
        self.out.ops.append(Op(kind, args, outs, attrs, (), self.line))
        if source is not None:
            self.bind(source, outs[0])

    # ---- blocks

    def block(self, block: Block) -> Block:
        """Interpret `block` from the present environment; the new block, with `self.env` after it (None: no
        way out)."""
        outer, self.out = self.out, Block()
        for op in block.ops:
            if self.env is None:
                break
            self.line = op.line or self.line
            method = getattr(self, f"op_{op.kind}", None)
            if method is None:
                raise NotTyped(f"{op.kind} is not typed", self.line)
            method(op)
        done, self.out = self.out, outer
        return done

    def merge(self, envs: list[Env | None]) -> Env | None:
        live = [e for e in envs if e is not None]
        if not live:
            return None
        if len(live) == 1:
            return dict(live[0])
        out: Env = {}
        for source in {s: None for env in live for s in env}:
            found = [env[source] for env in live if source in env]
            first = found[0]
            if all(f is first or f == first for f in found[1:]):
                if len(found) < len(live) and not isinstance(first, Var):
                    out[source] = Poison()
                else:
                    out[source] = first
            else:
                out[source] = Poison()
        return out

    # ---- control

    def op_if(self, op: Op) -> None:
        test: Any = self.look(op.args[0])
        truth = bool(test.values) if isinstance(test, Pack) else self.truth(test)
        if truth is not None:
            for inner in op.blocks[0 if truth else 1].ops:
                if self.env is None:
                    return
                self.line = inner.line or self.line
                getattr(self, f"op_{inner.kind}", self.refuse)(inner)
            return
        if not isinstance(test, Var) or not isinstance(test.type, Scalar | Opaque | List | Dict | Tuple):
            raise NotTyped("a condition of this type", self.line)
        before = dict(self.env or {})
        line = self.line
        then = self.block(op.blocks[0])
        after, self.env = self.env, before
        orelse = self.block(op.blocks[1])
        self.env = self.merge([after, self.env])
        self.out.ops.append(Op("if", (test,), (), {}, (then, orelse), line))

    def refuse(self, op: Op) -> None:
        raise NotTyped(f"{op.kind} is not typed", self.line)

    def op_while(self, op: Op) -> None:
        line = self.line
        head = dict(self.env or {})
        for _ in range(20):
            self.env = dict(head)
            loop = Loop()
            self.loops.append(loop)
            cond = self.block(op.blocks[0])
            after_test: Env | None = dict(self.env) if self.env is not None else None
            test = self.get(op.args[0]) if self.env is not None else Lit(False)
            truth = self.truth(test)
            if truth is not True and not isinstance(test, Var):
                raise NotTyped("a while loop that never runs", line)
            body = self.block(op.blocks[1])
            self.loops.pop()
            again = self.merge([head, self.env, *loop.continues])
            if again == head:
                break
            head = again or {}
        else:
            raise NotTyped("a loop whose types do not settle", line)
        self.env = after_test if truth is not True else None
        orelse = self.block(op.blocks[2]) if self.env is not None else Block()
        if orelse.ops and loop.breaks:
            raise NotTyped("a loop with else and break", line)
        self.env = self.merge([self.env, *loop.breaks])
        operand: Operand = Lit(True) if truth is True else test
        self.out.ops.append(Op("while", (operand,), (), {}, (cond, body, Block()), line))
        self.out.ops.extend(orelse.ops)

    def op_for(self, op: Op) -> None:
        line = self.line
        args: list[Operand] = []
        over = self.get(op.args[0])
        if isinstance(over, Known):
            self.at_once(over, op.args[0])
        tree = self.iterated(over, args)
        elem = self.element(tree, args)
        head = dict(self.env or {})
        item = op.outs[0]
        source_body = op.blocks[0]
        for _ in range(20):
            self.env = dict(head)
            loop = Loop()
            self.loops.append(loop)
            outs: list[Var] = []
            names, used = self.targets(item, elem, source_body)
            self.items(names, elem, outs)
            body = self.block(Block(source_body.ops[used:]))
            self.loops.pop()
            again = self.merge([head, self.env, *loop.continues])
            if again == head:
                break
            head = again or {}
        else:
            raise NotTyped("a loop whose types do not settle", line)
        # after the loop: any iteration may have been the last, or there was none
        bound = {s: b for s, b in head.items()}
        self.env = bound
        orelse = self.block(op.blocks[1])
        if orelse.ops and loop.breaks:
            raise NotTyped("a loop with else and break", line)
        self.env = self.merge([self.env, *loop.breaks])
        pattern = _pattern(names)
        assigned = {id(o) for inner in body.walk() for o in inner.outs} | set(map(id, outs))
        for i, a in enumerate(args):
            if isinstance(a, Var) and id(a) in assigned:  # the loop goes on over what the name held
                held = self.typed_var(self.site_var(op, ("over", i), a.name), a.type)
                self.out.ops.append(Op("copy", (a,), (held,), {}, (), line))
                args[i] = held
        self.out.ops.append(
            Op("loop", tuple(args), tuple(outs), {"iter": tree, "pattern": pattern}, (body, Block()), line)
        )
        self.out.ops.extend(orelse.ops)

    def targets(self, item: Var, elem: Any, body: Block) -> tuple[Any, int]:
        """The nest of variables that the loop assigns, and how many operations of the body it replaces."""
        if not isinstance(elem, Tuple):
            return item, 0
        names: Any = item
        used = 0
        for op in body.ops:
            if op.kind == "unpack" and op.attrs["star"] is None:
                found, names = _replace(names, op.args[0], tuple(op.outs))
            elif op.kind == "copy" and isinstance(op.args[0], Var) and op.args[0].name.startswith("_"):
                found, names = _replace(names, op.args[0], op.outs[0])
            else:
                break
            if not found:
                break
            used += 1
        return names, used

    def items(self, names: Any, elem: Any, outs: list[Var]) -> None:
        if isinstance(names, tuple):
            if not isinstance(elem, Tuple) or len(names) != len(elem.elems):
                raise NotTyped("unpacking of a loop's item", self.line)
            for name, part in zip(names, elem.elems, strict=True):
                self.items(name, part, outs)
            return
        var = self.typed_var(names, elem)
        self.bind(names, var)
        outs.append(var)

    def iterated(self, binding: Binding, args: list[Operand]) -> Any:
        """The tree of what a loop runs over; its leaves index `args`."""
        if isinstance(binding, Known) and isinstance(binding.value, Iterating):
            it = binding.value
            return (it.kind, *(self.iterated(p, args) for p in it.parts))
        args.append(binding)  # type: ignore[arg-type]
        return len(args) - 1

    def element(self, tree: Any, args: list[Operand]) -> Any:
        if isinstance(tree, int):
            operand = args[tree]
            kind = operand.type if isinstance(operand, Var) else type_of(operand.value)
            match kind:
                case Opaque(cls=cls) if cls is range:
                    return INT
                case List(elem=elem):
                    if elem is None:
                        raise NotTyped("a loop over a list that is always empty", self.line)
                    return elem
                case Tuple(elems=elems) if elems:
                    first = elems[0]
                    for other in elems[1:]:
                        first = join(first, other)
                    if first is not None:
                        return first
                case Array(dtype=dtype, ndim=ndim) if ndim:
                    return self.item_type(dtype, ndim - 1)
                case Dict(key=key) if key is not None:
                    return key
            raise NotTyped(f"a loop over {kind!r}", self.line)
        kind, *parts = tree
        if kind == "range":
            return INT
        inner = [self.element(p, args) for p in parts]
        if kind in ("zip", "zip_strict"):
            return Tuple(tuple(inner))
        if kind == "enumerate":
            return Tuple((INT, inner[0]))
        return inner[0]

    def op_return(self, op: Op) -> None:
        value = self.get(op.args[0])
        operand = self.operand(value)
        kind = self.kind(value)
        known = self.unit.result
        both = kind if known is None else join(known, kind)
        if both is None:
            raise NotTyped("results of different types", self.line)
        if known is None or both != known:
            self.unit.result = both
            self.changed = True
        self.out.ops.append(Op("return", (operand,), (), {}, (), self.line))
        self.env = None

    def op_break(self, op: Op) -> None:
        self.loops[-1].breaks.append(dict(self.env or {}))
        self.out.ops.append(Op("break", (), (), {}, (), self.line))
        self.env = None

    def op_continue(self, op: Op) -> None:
        self.loops[-1].continues.append(dict(self.env or {}))
        self.out.ops.append(Op("continue", (), (), {}, (), self.line))
        self.env = None

    def op_raise(self, op: Op) -> None:
        if not op.args:
            raise NotTyped("a bare raise", self.line)
        args = tuple(self.operand(self.get(a)) for a in op.args)
        self.out.ops.append(Op("raise", args, (), dict(op.attrs), (), self.line))
        self.env = None


def _replace(names: Any, old: Operand, new: Any) -> tuple[bool, Any]:
    if names is old:
        return True, new
    if isinstance(names, tuple):
        parts = [_replace(n, old, new) for n in names]
        return any(f for f, _ in parts), tuple(n for _, n in parts)
    return False, names


def _pattern(names: Any) -> Any:
    """The nest of loop targets with places in `outs` for names."""
    count = iter(range(1000))

    def walk(n: Any) -> Any:
        return tuple(walk(p) for p in n) if isinstance(n, tuple) else next(count)

    return walk(names)


__all__ = ["Interp", "specialise"]
