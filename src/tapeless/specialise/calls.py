"""Specialisation of calls: builtins, primitives with a rule, methods, and functions whose source is
opened."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from tapeless.program.ir import Block, Lit, Op, Operand, Var
from tapeless.rules import lookup
from tapeless.rules.outputs import place_of_out
from tapeless.specialise import sampling
from tapeless.specialise.packs import Packs
from tapeless.specialise.types import (
    BOOL,
    FLOAT,
    INT,
    NONE,
    RANGE,
    STR,
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
)  # fmt: skip
from tapeless.specialise.unit import Known, Pack

_CLASSES: dict[str, type] = {"bool": bool, "int": int, "float": float, "complex": complex}


def trusted(fn: Any) -> bool:
    """Whether `fn` may be tried on samples: a primitive of Python or NumPy, not something of the user's."""
    module = getattr(fn, "__module__", None) or ""
    known = ("math", "cmath", "builtins", "numpy", "operator", "_operator")
    return isinstance(fn, np.ufunc) or module.split(".")[0] in known


def is_ours(fn: Any) -> bool:
    """Whether `fn` is a function of tapeless: those mean more than their source says."""
    module = getattr(fn, "__module__", None) or ""
    return module.split(".")[0] == "tapeless" and not module.startswith("tapeless.frontend")


class Iterating:
    """The value of `zip(...)`, `enumerate(...)`, `reversed(...)`, `range(...)` between its call and its
    loop."""

    def __init__(self, kind: str, parts: tuple[Any, ...]) -> None:
        self.kind, self.parts = kind, parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Iterating) and (self.kind, self.parts) == (other.kind, other.parts)

    __hash__ = None  # type: ignore[assignment]


#: functions that write into an argument
WRITERS = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis, np.nan_to_num}
#: functions without a rule, for arguments that carry no derivative, which keep and change nothing
PURE = (np.arange,)
WRITING_METHODS = (
    "fill",
    "sort",
    "put",
    "partition",
    "resize",
    "setfield",
    "setflags",
    "byteswap",
    "itemset",
)

#: builtin -> method of `Calls` that types it
BUILTINS: dict[Any, str] = {}


def builtin(*functions: Any) -> Callable[[Any], Any]:
    def decorate(method: Any) -> Any:
        for f in functions:
            BUILTINS[f] = method.__name__
        return method

    return decorate


class Calls(Packs):
    """Calls; part of `Interp`."""

    # ---- what is called

    def call_known(self, op: Op, fn: Any, text: str, args: list[Any], names: tuple[str, ...]) -> None:
        if isinstance(fn, MethodType) and isinstance(fn.__self__, type):
            raise NotTyped("a class method", self.line)
        try:
            name = BUILTINS.get(fn)
        except TypeError:
            name = None
        if name is not None:
            if fn is zip and names == ("strict",) and isinstance(args[-1], Lit):
                self.b_iterating(op, fn, text, args[:-1], "zip_strict" if args[-1].value else "zip")
                return
            if names:
                raise NotTyped(f"{text} with keywords", self.line)
            getattr(self, name)(op, fn, text, args)
            return
        if fn is builtins.print:
            for a in args:
                if not isinstance(self.kind(a), Scalar | Opaque | Const | Array):
                    raise NotTyped("print of a container", self.line)
            self.prim(op, fn, text, args, names, NONE)
            return
        rule = lookup(fn)
        if rule is not None and not trusted(fn) or is_ours(fn):
            raise NotTyped(f"{text or fn!r}, which has a rule of its own", self.line)
        if rule is not None:
            self.prim(op, fn, text, args, names, None)
        elif any(fn is f for f in PURE):
            self.prim(op, fn, text, args, names, self.sampled(fn, args, names, (False,)))
        elif isinstance(fn, FunctionType):
            self.call_unit(op, fn, args, names)
        elif (
            isinstance(fn, type)
            and issubclass(fn, tuple)
            and hasattr(fn, "_fields")
            and fn.__new__ is not tuple.__new__
        ):
            self.named_tuple(op, fn, args, names)
        elif isinstance(fn, type) and issubclass(fn, BaseException):
            self.prim(op, fn, text, args, names, Opaque(fn))
        else:
            raise NotTyped(f"a call of {text or fn!r}", self.line)

    def prim(self, op: Op, fn: Any, text: str, args: list[Any], names: tuple[str, ...], result: Any) -> None:
        """A call of a function that is run as it is."""
        copying = fn is np.nan_to_num and len(args) == 1
        placed = not isinstance(fn, np.ufunc) and len(args) - len(names) > place_of_out(fn)
        if placed or not copying and (fn in WRITERS or "out" in names or "where" in names):
            raise NotTyped(f"{text} writes into an argument", self.line)
        if isinstance(fn, np.ufunc) and (len(args) > fn.nin or names):
            raise NotTyped("a ufunc with options", self.line)
        if result is None:
            result = self.sampled(fn, args, names)
        rule = lookup(fn)
        if isinstance(result, Tuple) and rule is not None and rule.kind == "linear":
            raise NotTyped(f"{text} gives a tuple, of which its rule knows nothing", self.line)
        operands = tuple(self.operand(a) for a in args)
        attrs = {"keywords": names, "starred": (False,) * (len(args) - len(names)), "text": text}
        self.emit("call", (Lit(fn), *operands), op.outs[0], result, **attrs)
        if isinstance(result, Const):
            self.bind(op.outs[0], Known(result.value))

    def sampled(
        self,
        fn: Any,
        args: list[Any],
        names: tuple[str, ...],
        literals: tuple[bool, ...] = (True, False),
    ) -> Any:
        """The type of a pure primitive's result: asked with the literals as they are, else with other
        samples."""
        for literal in literals:
            kinds = [Const(a.value) if literal and isinstance(a, Lit) else self.kind(a) for a in args]
            split = len(args) - len(names)
            keywords = dict(zip(names, kinds[split:], strict=True))
            try:
                return sampling.result_type(fn, kinds[:split], keywords)
            except NotTyped as error:
                refused = error
        raise NotTyped(refused.reason, self.line)

    def call_unit(self, op: Op, fn: FunctionType, args: list[Any], names: tuple[str, ...]) -> None:
        from tapeless.specialise.infer import specialise

        bound = self.bound(fn, args, names)
        kinds = [self.passed(b) for b in bound]
        unit = specialise(fn, kinds, self.session)
        if unit.result is None:  # a recursive call whose result is not known yet: this path comes later
            self.env = None
            return
        flat: list[tuple[Any, Any]] = []
        for b, k in zip(bound, kinds, strict=True):
            flat += zip(b.values, k.elems, strict=True) if isinstance(b, Pack) else [(b, k)]
        operands = tuple(self.operand(b) for b, k in flat if not isinstance(k, Const))
        attrs = {"keywords": (), "starred": (False,) * len(operands), "unit": unit}
        self.emit("call", (Lit(unit), *operands), op.outs[0], unit.result, **attrs)
        if isinstance(unit.result, Const):
            self.bind(op.outs[0], Known(unit.result.value))

    def passed(self, binding: Any) -> Any:
        if isinstance(binding, Pack):
            return Packed(tuple(self.passed(v) for v in binding.values), binding.names)
        kind = self.kind(binding)
        if isinstance(binding, Lit) and type(binding.value) is bool:
            return Const(binding.value)
        return kind

    def bound(self, fn: FunctionType, args: list[Any], names: tuple[str, ...]) -> list[Any]:
        """The bindings of the parameters, in the order of the code object's variables."""
        code = fn.__code__
        starred, spread = code.co_flags & 0x04, code.co_flags & 0x08
        total = code.co_argcount + code.co_kwonlyargcount
        params = code.co_varnames[:total]
        split = len(args) - len(names)
        if split > code.co_argcount and not starred:
            raise NotTyped("too many arguments", self.line)
        found: dict[str, Any] = dict(zip(params[: code.co_argcount], args[:split], strict=False))
        others: dict[str, Any] = {}
        for name, value in zip(names, args[split:], strict=True):
            if name in params[code.co_posonlyargcount :] and name not in found:
                found[name] = value
            elif spread and name not in params[code.co_posonlyargcount :]:
                others[name] = value
            else:
                raise NotTyped(f"an argument {name}", self.line)
        defaults = fn.__defaults__ or ()
        first = code.co_argcount - len(defaults)
        out = []
        for i, name in enumerate(params):
            if name in found:
                out.append(found[name])
            elif first <= i < code.co_argcount:
                out.append(self.default(defaults[i - first]))
            elif name in (fn.__kwdefaults__ or {}):
                value = fn.__kwdefaults__[name]  # type: ignore[index]
                self.session.guard("attr", fn, "__kwdefaults__", fn.__kwdefaults__)
                self.session.guard("global", fn.__kwdefaults__, name, value)
                out.append(self.default(value))
            else:
                raise NotTyped(f"the argument {name} is missing", self.line)
        if defaults:
            self.session.guard("attr", fn, "__defaults__", defaults)
        if starred:  # it stands before the parameters by keyword only
            out.insert(code.co_argcount, Pack(tuple(args[code.co_argcount : split])))
        return [*out, Pack(tuple(others.values()), tuple(others))] if spread else out

    def default(self, value: Any) -> Any:
        from tapeless.specialise.values import is_constant

        if isinstance(value, bool | int | float) and type(value) in (bool, int, float):
            return Lit(value)
        if is_constant(value):
            return Known(value)
        raise NotTyped("a default of this type", self.line)

    def named_tuple(self, op: Op, cls: Any, args: list[Any], names: tuple[str, ...]) -> None:
        fields = cls._fields
        if names or len(args) != len(fields):
            raise NotTyped("a NamedTuple by keywords", self.line)
        kind = Tuple(tuple(self.kind(a) for a in args), cls)
        operands = tuple(self.operand(a) for a in args)
        self.emit("tuple", operands, op.outs[0], kind, starred=(False,) * len(args), cls=cls)

    # ---- builtins

    @builtin(range, zip, enumerate, reversed)
    def b_iterating(self, op: Op, fn: Any, text: str, args: list[Any], kind: str = "") -> None:
        if fn is enumerate and len(args) != 1:
            raise NotTyped("enumerate with a start", self.line)
        if fn is range and not all(isinstance(self.kind(a), Scalar) for a in args):
            raise NotTyped("a range of this kind", self.line)
        for a, operand in zip(args, op.args[1:], strict=False):
            if isinstance(a, Known):
                self.at_once(a, operand)
        self.bind(op.outs[0], Known(Iterating(kind or fn.__name__, tuple(args)), text))

    def at_once(self, binding: Known, operand: Operand) -> None:
        """Refuse an iterator that has a name: what it runs over may be bound anew before it is used."""
        if not isinstance(binding.value, Iterating):
            raise NotTyped("a loop over a constant", self.line)
        if not (isinstance(operand, Var) and operand.name.startswith("_")):
            raise NotTyped("an iterator with a name", self.line)

    @builtin(len)
    def b_len(self, op: Op, fn: Any, text: str, args: list[Any]) -> None:
        kind = self.kind(args[0])
        if isinstance(kind, Tuple):
            self.bind(op.outs[0], Lit(len(kind.elems)))
            return
        if not isinstance(kind, List | Dict | Array | Opaque):
            raise NotTyped(f"len of {kind!r}", self.line)
        self.prim(op, fn, text, args, (), INT)

    @builtin(float, int, bool, round)
    def b_number(self, op: Op, fn: Any, text: str, args: list[Any]) -> None:
        if len(args) != 1 or not isinstance(self.kind(args[0]), Scalar):
            raise NotTyped(f"{text} of this", self.line)
        result = {float: FLOAT, int: INT, bool: BOOL}.get(fn)
        self.prim(op, fn, text, args, (), result)

    @builtin(str, repr)
    def b_text(self, op: Op, fn: Any, text: str, args: list[Any]) -> None:
        if not all(isinstance(self.kind(a), Scalar | Opaque | Const) for a in args):
            raise NotTyped("text of an object", self.line)
        self.prim(op, fn, text, args, (), STR)

    @builtin(isinstance)
    def b_isinstance(self, op: Op, fn: Any, text: str, args: list[Any]) -> None:
        kind = self.kind(args[0])
        wanted = args[1]
        if not isinstance(wanted, Known) or not isinstance(wanted.value, type):
            raise NotTyped("an isinstance test", self.line)
        answers = {issubclass(c, wanted.value) for c in self.classes(kind)}
        if len(answers) != 1:
            raise NotTyped("an isinstance test that depends on the path", self.line)
        self.bind(op.outs[0], Known(answers.pop()))

    def classes(self, kind: Any) -> list[type]:
        match kind:
            case Scalar(kinds=kinds):
                return [_CLASSES[k] if k in _CLASSES else np.dtype(k).type for k in kinds]
            case Array():
                return [np.ndarray]
            case Const(value=value):
                return [type(value)]
            case List():
                return [list]
            case Dict():
                return [dict]
        return [kind.cls]

    @builtin(max, min)
    def b_extreme(self, op: Op, fn: Any, text: str, args: list[Any]) -> None:
        kinds = [self.kind(a) for a in args]
        if len(args) < 2 or not all(isinstance(k, Scalar) for k in kinds):
            raise NotTyped(f"{text} of these", self.line)
        kind = kinds[0]
        for other in kinds[1:]:
            kind = join(kind, other)
        operands = [self.operand(a) for a in args]
        out = self.typed_var(op.outs[0], kind)
        if out in operands:  # x = max(x, 0.0): later operands may be read after the first store
            held = self.typed_var(self.site_var(op, "held", out.name), kind)
            self.out.ops.append(Op("copy", (out,), (held,), {}, (), self.line))
            operands = [held if o is out else o for o in operands]
        self.out.ops.append(Op("copy", (operands[0],), (out,), {}, (), self.line))
        for i, other in enumerate(operands[1:]):
            test = self.typed_var(self.site_var(op, i, "_more"), BOOL)
            ops = self.out.ops
            ops.append(Op("compare", (other, out), (test,), {"op": ">" if fn is max else "<"}, (), self.line))
            store = Block([Op("copy", (other,), (out,), {}, (), self.line)])
            ops.append(Op("if", (test,), (), {}, (store, Block()), self.line))
        self.bind(op.outs[0], out)

    def site_var(self, op: Op, what: Any, name: str) -> Var:
        """A source variable of our own for this operation."""
        key = (id(op), what)
        if key not in self.sites:
            self.sites[key] = Var(self.fresh(name))
        var: Var = self.sites[key]
        return var

    def fresh(self, name: str) -> str:
        raise NotImplementedError

    @builtin(list, tuple, dict)
    def b_container(self, op: Op, fn: Any, text: str, args: list[Any]) -> None:
        if fn is list and len(args) == 1 and isinstance(self.kind(args[0]), List):
            self.copied(op, args[0], self.kind(args[0]))
            return
        if fn is list and len(args) == 1 and self.is_range(args[0], op.args[1]):
            numbers = self.site_var(op, "range", "_range")
            attrs = {"keywords": (), "starred": (False,) * len(args[0].value.parts), "text": "range"}
            ends = (self.operand(a) for a in args[0].value.parts)
            self.emit("call", (Lit(range), *ends), numbers, RANGE, **attrs)
            self.copied(op, self.look(numbers), List(INT))
            return
        if args or fn is tuple:
            raise NotTyped(f"{text} of these", self.line)
        site = self.sites.setdefault(id(op), List() if fn is list else Dict())
        empty: dict[str, Any] = {"starred": ()} if fn is list else {"spread": ()}
        self.emit("list" if fn is list else "dict", (), op.outs[0], site, **empty)

    def is_range(self, binding: Any, operand: Operand) -> bool:
        """Whether an argument is a `range` that was written there."""
        if not isinstance(binding, Known) or not isinstance(binding.value, Iterating):
            return False
        self.at_once(binding, operand)
        return binding.value.kind == "range"

    def copied(self, op: Op, base: Any, kind: List) -> None:
        """A new list of the elements of another."""
        site = self.sites.setdefault(id(op), List())
        if kind.elem is not None:
            self.put(site, kind.elem)
        attrs = {"keywords": (), "starred": (False,), "text": ""}
        self.emit("call", (Lit(list), self.operand(base)), op.outs[0], site, **attrs)

    # ---- methods

    def call_method(self, op: Op, base: Any, args: list[Any], names: tuple[str, ...]) -> None:
        kind = self.kind(base)
        name = op.attrs["name"]
        match kind:
            case List() | Dict() if not names:
                self.container_method(op, base, kind, name, args)
            case Array():
                method = getattr(np.ndarray, name, None)
                placed = len(args) - len(names) >= place_of_out(method)
                if lookup(method) is None or name in WRITING_METHODS or "out" in names or placed:
                    raise NotTyped(f"the array method {name}", self.line)
                result = self.sampled(method, [base, *args], names)
                self.method(op, base, args, names, name, method, result)
            case Scalar(kinds=kinds) if kinds == {"f8"}:
                method = getattr(np.float64, name, None)
                if lookup(method) is None or args:
                    raise NotTyped(f"the method {name} of a number", self.line)
                self.method(op, base, args, names, name, method, self.sampled(method, [base], ()))
            case Struct(cls=cls) | Tuple(cls=cls) if cls not in (dict, tuple):
                found = next((c.__dict__[name] for c in cls.__mro__ if name in c.__dict__), None)
                if not isinstance(found, FunctionType) or name in getattr(kind, "names", ()):
                    raise NotTyped(f"the method {name} of {cls.__name__}", self.line)
                self.session.guard("attr", cls, name, found)
                self.call_unit(op, found, [base, *args], names)
            case _:
                raise NotTyped(f"the method {name} of {kind!r}", self.line)

    def method(
        self, op: Op, base: Any, args: list[Any], names: tuple[str, ...], name: str, method: Any, result: Any
    ) -> None:
        operands: list[Operand] = [self.operand(a) for a in (base, *args)]
        attrs = {
            "name": name,
            "keywords": names,
            "starred": (False,) * (len(args) - len(names)),
            "method": method,
        }
        self.emit("call_method", tuple(operands), op.outs[0], result, **attrs)
        if isinstance(result, Const):
            self.bind(op.outs[0], Known(result.value))

    def container_method(self, op: Op, base: Any, kind: Any, name: str, args: list[Any]) -> None:
        match kind, name, len(args):
            case List(), "append", 1:
                self.put(kind, self.kind(args[0]))
                result: Any = NONE
            case List(), "copy", 0:
                self.copied(op, base, kind)
                return
            case List(), "pop", 0 if kind.elem is not None:
                result = kind.elem
            case Dict(), "get", 2 if kind.elem is not None and isinstance(self.kind(args[1]), Scalar):
                self.put(kind, self.kind(args[1]))
                result = kind.elem
            case (List() | Dict(), "pop" | "get", _) if kind.elem is None:
                self.changed = True
                self.env = None
                return
            case _:
                raise NotTyped(f"the method {name} of a {type(kind).__name__.lower()}", self.line)
        self.method(op, base, args, (), name, None, result)
