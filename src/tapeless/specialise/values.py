"""Specialisation of operations on values: operators, names, attributes, items, containers."""

from __future__ import annotations

import builtins
import types as pytypes
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.program.ir import Block, Lit, Op, Operand, Var
from tapeless.specialise import sampling
from tapeless.specialise.types import (
    BOOL,
    INT,
    NONE,
    REAL_KINDS,
    STR,
    Array,
    Const,
    Dict,
    List,
    NotTyped,
    Opaque,
    Scalar,
    Struct,
    Tuple,
    join,
    numpy_kind,
    type_of,
)  # fmt: skip
from tapeless.specialise.unit import Known, Session, Unit

_CONSTANT = (
    pytypes.FunctionType, pytypes.BuiltinFunctionType, ModuleType, type, np.ufunc, pytypes.MethodType, str,
    bytes,     type(None), np.dtype, type(Ellipsis), pytypes.MethodDescriptorType, type(np.sum),
    pytypes.WrapperDescriptorType,
)  # fmt: skip


def is_constant(value: Any) -> bool:
    """Whether a value found in a name is taken as that one object, guarded by identity."""
    return isinstance(value, _CONSTANT) or (callable(value) and not isinstance(value, np.ndarray))


class Values:
    """Operations on values; `Interp` adds control flow and variables."""

    session: Session
    unit: Unit
    line: int
    sites: dict[Any, Any]
    out: Block
    env: dict[Var, Any] | None
    taken: set[str]

    if TYPE_CHECKING:

        def emit(
            self, kind: str, args: tuple[Operand, ...], source: Var | None, result: Any, **attrs: Any
        ) -> None: ...
        def get(self, operand: Operand) -> Any: ...
        def arguments(self, op: Op) -> tuple[list[Any], tuple[str, ...]]: ...
        def bind(self, source: Var, binding: Any) -> None: ...
        def call_known(self, op: Op, fn: Any, text: str, args: list[Any], names: tuple[str, ...]) -> None: ...
        def call_method(self, op: Op, base: Any, args: list[Any], names: tuple[str, ...]) -> None: ...
        def fresh(self, name: str) -> str: ...
        def typed_var(self, source: Var, kind: Any) -> Var: ...

    # ---- bindings

    def kind(self, binding: Any) -> Any:
        """The type of a binding."""
        if isinstance(binding, Var):
            return binding.type
        if isinstance(binding, Lit):
            return type_of(binding.value)
        return Const(binding.value)

    def operand(self, binding: Any) -> Operand:
        """A binding as an operand of the typed Program."""
        if isinstance(binding, Var | Lit):
            return binding
        if binding.value is None or isinstance(binding.value, str | bytes | bool):
            return Lit(binding.value)
        if is_constant(binding.value):
            return Lit(binding.value)
        raise NotTyped(f"{binding.text or binding.value!r} used as a value", self.line)

    def truth(self, binding: Any) -> bool | None:
        """Whether a binding is true, where that is known."""
        if isinstance(binding, Lit):
            return bool(binding.value)
        if isinstance(binding, Known):
            return bool(binding.value)
        if isinstance(binding.type, Tuple):
            return bool(binding.type.elems)
        return None

    # ---- names

    def found(self, source: Var, value: Any, text: str, guard: tuple[str, Any, str]) -> None:
        """Bind `source` to what a name outside the function holds: one object, or a number that is read
        live."""
        if is_constant(value):
            self.session.guard(*guard, value)
            self.bind(source, Known(value, text))
            return
        kind = type_of(value)
        if isinstance(kind, List | Dict | Struct) or (isinstance(kind, Tuple) and guard[0] == "cell"):
            raise NotTyped(f"{text} holds a container", self.line)
        self.session.guard(*guard, value if isinstance(kind, Tuple) else kind, not isinstance(kind, Tuple))
        self.emit("global", (), source, kind, name=text)

    def op_global(self, op: Op) -> None:
        name = op.attrs["name"]
        space = self.unit.namespace
        if name in space:
            self.found(op.outs[0], space[name], name, ("global", space, name))
        elif hasattr(builtins, name):
            self.session.guard("absent", space, name, None)
            self.bind(op.outs[0], Known(getattr(builtins, name), name))
        else:
            raise NotTyped(f"the name {name} is not defined", self.line)

    def op_free_cell(self, op: Op) -> None:
        self.bind(op.outs[0], Known(self.unit.cells[op.attrs["name"]], op.attrs["name"]))

    def op_new_cell(self, op: Op) -> None:
        """A cell that no inner function shares is a variable like others."""
        key = (id(op), "cell")
        if key not in self.sites:
            name = op.attrs["name"]
            self.sites[key] = Var(self.fresh(name) if name in self.taken else name)
            self.taken.add(name)
        self.bind(op.outs[0], Known(self.sites[key], op.attrs["name"]))

    def op_store_cell(self, op: Op) -> None:
        cell = self.get(op.args[0]).value
        if not isinstance(cell, Var):
            raise NotTyped("a name of an outer function is assigned", self.line)
        self.op_copy(Op("copy", (op.args[1],), (cell,), {}, (), op.line))

    def op_del_cell(self, op: Op) -> None:
        cell = self.get(op.args[0]).value
        assert self.env is not None
        if self.env.pop(cell, None) is None:
            raise NotTyped("del of a name of an outer function", self.line)

    def op_load_cell(self, op: Op) -> None:
        cell = self.get(op.args[0]).value
        if isinstance(cell, Var):
            self.op_copy(Op("copy", (cell,), op.outs, {}, (), op.line))
            return
        try:
            value = cell.cell_contents
        except ValueError:
            raise NotTyped(f"the name {op.attrs['name']} is not assigned yet", self.line) from None
        self.found(op.outs[0], value, op.attrs["name"], ("cell", cell, op.attrs["name"]))

    def op_del(self, op: Op) -> None:
        assert self.env is not None and isinstance(op.args[0], Var)
        self.env.pop(op.args[0], None)

    # ---- operators

    def op_copy(self, op: Op) -> None:
        value = self.get(op.args[0])
        target = op.outs[0]
        if isinstance(value, Known) or (
            isinstance(value, Lit) and (value.value is None or type(value.value) is str)
        ):
            self.bind(target, value if isinstance(value, Known) else Known(value.value))
            return
        if isinstance(value, Lit) and not isinstance(value.value, bool | int | float | complex):
            raise NotTyped("a literal of this kind", self.line)
        if target.name.startswith("_") and isinstance(value, Lit):
            pass
        self.emit("copy", (value,), target, self.kind(value))

    def op_binary(self, op: Op) -> None:
        left, right = (self.get(a) for a in op.args)
        kinds = [self.kind(left), self.kind(right)]
        name = op.attrs["op"]
        if any(isinstance(k, List) for k in kinds):
            result = self.list_operator(op, name, kinds)
        elif kinds == [STR, STR] or any(isinstance(k, Const) and isinstance(k.value, str) for k in kinds):
            if name not in ("Add", "Mod", "Mult") or any(isinstance(k, Struct | Dict) for k in kinds):
                raise NotTyped("string work", self.line)
            result = STR
        elif all(isinstance(k, Tuple) for k in kinds) and name == "Add":
            result = Tuple(kinds[0].elems + kinds[1].elems)
        else:
            self.numeric(kinds)
            self.check_power(name, left, right, kinds)
            result = sampling.operator_type(sampling.BINARY, name, kinds)
        self.emit("binary", (self.operand(left), self.operand(right)), op.outs[0], result, op=name)

    def list_operator(self, op: Op, name: str, kinds: list[Any]) -> Any:
        if name == "Mult" and isinstance(kinds[1], Scalar) and isinstance(kinds[0], List):
            site = self.sites.setdefault((id(op), "list"), List())
            if join(site, kinds[0]) is None:
                raise NotTyped("a list of different types", self.line)
            return site
        if name == "Add" and all(isinstance(k, List) for k in kinds):
            site = self.sites.setdefault((id(op), "list"), List())
            for k in kinds:
                if k.elem is not None:
                    self.put(site, k.elem)
            return site
        raise NotTyped("a list operation", self.line)

    def check_power(self, name: str, base: Any, exponent: Any, kinds: list[Any]) -> None:
        """A negative Python number to a broken power is complex: such a power is refused."""
        if name != "Pow" or not all(isinstance(k, Scalar) for k in kinds):
            return
        if not kinds[0].kinds & {"float", "int"} or "float" not in kinds[1].kinds:
            return
        if isinstance(exponent, Lit) and float(exponent.value).is_integer():
            return
        if not (isinstance(base, Lit) and base.value > 0):
            raise NotTyped("a power that may be complex", self.line)

    def numeric(self, kinds: list[Any]) -> None:
        if not all(isinstance(k, Scalar | Array) for k in kinds):
            raise NotTyped(f"an operator on {kinds}", self.line)

    def op_inplace(self, op: Op) -> None:
        left, right = (self.get(a) for a in op.args)
        kinds = [self.kind(left), self.kind(right)]
        name = op.attrs["op"]
        if isinstance(kinds[0], Scalar):
            self.numeric(kinds)
            self.check_power(name, left, right, kinds)
            result = sampling.operator_type(sampling.BINARY, name, kinds)
            self.emit("inplace", (self.operand(left), self.operand(right)), op.outs[0], result, op=name)
            return
        if isinstance(kinds[0], Array) and isinstance(left, Var):
            self.numeric(kinds)
            wide = sampling.operator_type(sampling.BINARY, name, kinds)
            if wide != kinds[0] and not (
                isinstance(wide, Array) and wide.ndim == kinds[0].ndim and wide.dtype[0] == kinds[0].dtype[0]
            ):
                raise NotTyped("an in-place operation that changes the type", self.line)
            self.emit("inplace", (left, self.operand(right)), op.outs[0], kinds[0], op=name)
            return
        raise NotTyped("an in-place operation", self.line)

    def op_unary(self, op: Op) -> None:
        value = self.get(op.args[0])
        name = op.attrs["op"]
        if name == "Not":
            truth = self.truth(value)
            if truth is not None:
                self.bind(op.outs[0], Known(not truth))
                return
            if isinstance(value.type, Array):
                raise NotTyped("the truth of an array", self.line)
            self.emit("unary", (value,), op.outs[0], BOOL, op=name)
            return
        kind = self.kind(value)
        self.numeric([kind])
        self.emit(
            "unary",
            (self.operand(value),),
            op.outs[0],
            sampling.operator_type(sampling.UNARY, name, [kind]),
            op=name,
        )

    def op_compare(self, op: Op) -> None:
        left, right = (self.get(a) for a in op.args)
        name = op.attrs["op"]
        kinds = [self.kind(left), self.kind(right)]
        if name in ("is", "is not"):
            same = self.identical(left, right, kinds)
            self.bind(op.outs[0], Known(same if name == "is" else not same))
            return
        if all(isinstance(k, Const) for k in kinds):
            if name in ("==", "!=") and all(isinstance(k.value, str | type(None)) for k in kinds):
                self.bind(op.outs[0], Known((kinds[0].value == kinds[1].value) == (name == "==")))
                return
        if name in ("in", "not in"):
            if not isinstance(kinds[1], Dict | List | Tuple | Struct) or not isinstance(
                kinds[0], Scalar | Const | Opaque
            ):
                raise NotTyped("a membership test", self.line)
            if isinstance(kinds[1], Struct):
                if kinds[1].cls is not dict or not isinstance(kinds[0], Const):
                    raise NotTyped("a membership test", self.line)
                self.bind(op.outs[0], Known((kinds[0].value in kinds[1].names) == (name == "in")))
                return
            result: Any = BOOL
        elif any(isinstance(k, Const | Opaque) for k in kinds):
            if not all(isinstance(k, Opaque) and k.cls is str or isinstance(k, Const) for k in kinds):
                raise NotTyped("a comparison of objects", self.line)
            result = BOOL
        else:
            self.numeric(kinds)
            result = sampling.operator_type(sampling.COMPARE, name, kinds)
        self.emit("compare", (self.operand(left), self.operand(right)), op.outs[0], result, op=name)

    def identical(self, left: Any, right: Any, kinds: list[Any]) -> bool:
        for a, b in (kinds, kinds[::-1]):
            if isinstance(a, Const) and a.value is None:
                return isinstance(b, Const) and b.value is None
        if all(isinstance(k, Const) and not isinstance(k.value, str) for k in kinds):
            return kinds[0].value is kinds[1].value
        raise NotTyped("an identity test", self.line)

    def op_format(self, op: Op) -> None:
        args = [self.get(a) for a in op.args]
        for a in args:
            if not isinstance(self.kind(a), Scalar | Opaque | Const | Array):
                raise NotTyped("text of an object", self.line)
        self.emit(
            "format", tuple(self.operand(a) for a in args), op.outs[0], STR, template=op.attrs["template"]
        )

    # ---- containers

    def op_tuple(self, op: Op) -> None:
        if any(op.attrs["starred"]):
            raise NotTyped("star-unpacking", self.line)
        args = [self.get(a) for a in op.args]
        kind = Tuple(tuple(self.kind(a) for a in args))
        self.emit(
            "tuple", tuple(self.operand(a) for a in args), op.outs[0], kind, starred=(False,) * len(args)
        )

    def op_list(self, op: Op) -> None:
        if any(op.attrs["starred"]):
            raise NotTyped("star-unpacking", self.line)
        args = [self.get(a) for a in op.args]
        site = self.sites.setdefault(id(op), List())
        for a in args:
            self.put(site, self.kind(a))
        self.emit(
            "list", tuple(self.operand(a) for a in args), op.outs[0], site, starred=(False,) * len(args)
        )

    def put(self, site: Any, kind: Any, key: Any = None) -> None:
        """Let a list or dict hold a value of type `kind`."""
        both = kind if site.elem is None else join(site.elem, kind)
        if both is None:
            raise NotTyped("a container of values of different types", self.line)
        if both != site.elem:
            site.elem = both
            self.changed = True
        if key is not None:
            key = Opaque(type(key.value)) if isinstance(key, Const) else key
            both = key if site.key is None else join(site.key, key)
            if both is None or not isinstance(both, Scalar | Opaque | Tuple):
                raise NotTyped("a dict with keys of different types", self.line)
            if both != site.key:
                site.key = both
                self.changed = True

    changed: bool

    def op_dict(self, op: Op) -> None:
        if any(op.attrs["spread"]):
            raise NotTyped("a dict display with **", self.line)
        args = [self.get(a) for a in op.args]
        site = self.sites.setdefault(id(op), Dict())
        for k, v in zip(args[::2], args[1::2], strict=True):
            self.put(site, self.kind(v), self.kind(k))
        self.emit("dict", tuple(self.operand(a) for a in args), op.outs[0], site, spread=op.attrs["spread"])

    def op_slice(self, op: Op) -> None:
        args = [self.get(a) for a in op.args]
        whole = all(isinstance(a, Lit) and (a.value is None or type(a.value) is int) for a in args)
        self.sites["slice", id(op.outs[0])] = slice(*(a.value for a in args)) if whole else None
        self.emit("slice", tuple(self.operand(a) for a in args), op.outs[0], Opaque(slice))

    def op_unpack(self, op: Op) -> None:
        value = self.get(op.args[0])
        kind = self.kind(value)
        if op.attrs["star"] is not None:
            raise NotTyped("star-unpacking", self.line)
        n = len(op.outs)
        match kind:
            case Tuple(elems=elems) if len(elems) == n:
                parts: tuple[Any, ...] = elems
            case Array(dtype=dtype, ndim=ndim) if ndim:
                parts = (self.item_type(dtype, ndim - 1),) * n
            case List(elem=elem) if elem is not None:
                parts = (elem,) * n
            case _:
                raise NotTyped(f"unpacking of {kind!r}", self.line)
        outs = tuple(self.typed_var(o, p) for o, p in zip(op.outs, parts, strict=True))
        self.out.ops.append(Op("unpack", (self.operand(value),), outs, {"star": None}, (), self.line))
        for source, out in zip(op.outs, outs, strict=True):
            self.bind(source, out)

    def item_type(self, dtype: str, ndim: int) -> Any:
        if ndim:
            return Array(dtype, ndim)
        kind = numpy_kind(np.dtype(dtype))
        assert kind is not None
        return Scalar(frozenset({kind}))

    def op_getattr(self, op: Op) -> None:
        base = self.get(op.args[0])
        name = op.attrs["name"]
        if isinstance(base, Known):
            value = base.value
            if not isinstance(value, ModuleType | type):
                raise NotTyped(f"the attribute {name} of {base.text}", self.line)
            if not hasattr(value, name):
                raise NotTyped(f"{base.text} has no attribute {name}", self.line)
            if isinstance(value, type) and not isinstance(
                value.__dict__.get(name), pytypes.FunctionType | staticmethod
            ):
                raise NotTyped(f"the attribute {name} of a class", self.line)
            text = f"{base.text}.{name}" if base.text else ""
            self.found(op.outs[0], getattr(value, name), text, ("attr", value, name))
            return
        kind = self.kind(base)
        match kind:
            case Struct(cls=cls, names=names, elems=elems) if cls is not dict and name in names:
                result = elems[names.index(name)]
                if isinstance(result, Const):
                    self.bind(op.outs[0], Known(result.value))
                    return
            case Tuple(cls=cls, elems=elems) if cls is not tuple and name in cls._fields:  # type: ignore[attr-defined]
                result = elems[cls._fields.index(name)]  # type: ignore[attr-defined]
            case Array(ndim=ndim):
                if name == "shape":
                    result = Tuple((INT,) * ndim)
                elif name in ("ndim", "size"):
                    result = INT
                elif name == "T":
                    result = kind
                else:
                    raise NotTyped(f"the attribute {name} of an array", self.line)
            case Scalar(kinds=kinds) if name == "real" and kinds == {"float"}:
                result = kind
            case _:
                raise NotTyped(f"the attribute {name} of {kind!r}", self.line)
        self.emit("getattr", (self.operand(base),), op.outs[0], result, name=name)

    def op_getitem(self, op: Op) -> None:
        base, index = (self.get(a) for a in op.args)
        kind, at = self.kind(base), self.kind(index)
        match kind:
            case List(elem=elem) if isinstance(at, Scalar) and elem is not None:
                result = elem
            case Tuple(elems=elems) if isinstance(index, Lit) and type(index.value) is int:
                if not -len(elems) <= index.value < len(elems):
                    raise NotTyped("an index outside a tuple", self.line)
                result = elems[index.value]
            case Tuple(elems=elems) if (part := self.sites.get(("slice", id(op.args[1])))) is not None:
                of = (self.operand(base), self.operand(index))
                self.emit("getitem", of, op.outs[0], Tuple(elems[part]), part=part)
                return
            case Tuple(elems=elems) if isinstance(at, Scalar) and elems:
                result = elems[0]
                if any(e != result for e in elems) or not isinstance(result, Scalar):
                    raise NotTyped("a tuple at an unknown index", self.line)
            case Dict(elem=elem) if elem is not None:
                result = elem
            case Struct(cls=cls, names=names, elems=elems) if (
                cls is dict and isinstance(at, Const) and at.value in names
            ):
                result = elems[names.index(at.value)]
            case Array():
                result = self.indexed(kind, index, at)
            case Scalar(kinds=kinds) if len(kinds) == 1 and kinds <= REAL_KINDS - {"float"}:
                result = self.indexed(Array(min(kinds), 0), index, at)
            case _:
                raise NotTyped(f"an item of {kind!r}", self.line)
        if isinstance(result, Const):
            self.bind(op.outs[0], Known(result.value))
            return
        self.emit("getitem", (self.operand(base), self.operand(index)), op.outs[0], result)

    def indexed(self, kind: Array, index: Any, at: Any) -> Any:
        """The type of an item of an array."""
        ndim = kind.ndim
        parts = at.elems if isinstance(at, Tuple) else (at,)
        if any(isinstance(p, Const) and p.value not in (None, Ellipsis) for p in parts):
            raise NotTyped("an index of this kind", self.line)
        ints = sum(1 for p in parts if isinstance(p, Scalar))
        if all(isinstance(p, Scalar) and p.kinds <= {"int", "i8", "i4"} for p in parts) and ints <= ndim:
            return self.item_type(kind.dtype, ndim - ints)
        for p in parts:
            if isinstance(p, Scalar) and not p.kinds <= {"int", "i8", "i4"}:
                raise NotTyped("an index that may be a float", self.line)
            if not isinstance(p, Scalar | Opaque | Array | Const):
                raise NotTyped("an index of this kind", self.line)
        sample = np.full((2,) * ndim, 0.5).astype(kind.dtype)
        values: list[Any] = []
        for p in parts:
            if isinstance(p, Array):
                values.append(np.zeros((2,) * p.ndim, p.dtype))
            elif isinstance(p, Scalar):
                values.append(0)
            elif isinstance(p, Const):
                values.append(p.value)
            elif p.cls is slice:
                values.append(slice(None))
            else:
                raise NotTyped("an index of this kind", self.line)
        try:
            return type_of(sample[tuple(values)])
        except IndexError as error:
            raise NotTyped("an index that does not fit", self.line) from error

    def op_setitem(self, op: Op) -> None:
        base, index, value = (self.get(a) for a in op.args)
        kind, at, new = self.kind(base), self.kind(index), self.kind(value)
        if not isinstance(base, Var):
            raise NotTyped("a store into a constant", self.line)
        match kind:
            case List() if isinstance(at, Scalar):
                self.put(kind, new)
            case Dict():
                self.put(kind, new, at)
            case Array():
                if not isinstance(new, Scalar | Array):
                    raise NotTyped("a store of this kind", self.line)
                self.indexed(kind, index, at)
            case _:
                raise NotTyped(f"a store into {kind!r}", self.line)
        self.out.ops.append(
            Op("setitem", (base, self.operand(index), self.operand(value)), (), {}, (), self.line)
        )

    # ---- calls

    def op_call(self, op: Op) -> None:
        callee = self.get(op.args[0])
        args, names = self.arguments(op)
        if isinstance(callee, Lit):
            callee = Known(callee.value)
        if not isinstance(callee, Known):
            raise NotTyped("a call of a value known only at run time", self.line)
        self.call_known(op, callee.value, callee.text, args, names)

    def op_call_method(self, op: Op) -> None:
        base = self.get(op.args[0])
        args, names = self.arguments(op)
        if isinstance(base, Known):
            name = op.attrs["name"]
            if not isinstance(base.value, ModuleType | type) or not hasattr(base.value, name):
                raise NotTyped(f"the method {name} of {base.text or base.value!r}", self.line)
            if isinstance(base.value, type) and not isinstance(base.value.__dict__.get(name), staticmethod):
                raise NotTyped(f"the method {name} of a class", self.line)
            value = getattr(base.value, name)
            if not is_constant(value):
                raise NotTyped(f"a call of {base.text}.{name}", self.line)
            self.session.guard("attr", base.value, name, value)
            self.call_known(op, value, f"{base.text}.{name}" if base.text else "", args, names)
            return
        self.call_method(op, base, args, names)


__all__ = ["NONE", "Values", "is_constant"]
