"""An untyped Program as a plain Python function again: nothing is specialised, nothing is differentiated.

This is the proof of the frontend, and a debugging aid: `to_function(f)` must behave exactly as `f`, whose
globals, defaults and closure cells it has.  Functions written inside `f` go the same road when they are made.
"""

from __future__ import annotations

import builtins
import itertools
import keyword
import linecache
import warnings
from collections.abc import Callable, Iterable
from types import CellType, CodeType, FunctionType
from typing import Any

from tapeless.errors import SourceUnavailableError, UnsupportedSyntaxError
from tapeless.frontend.lower import lower
from tapeless.program.ir import Block, Lit, Op, Operand, Program, Var
from tapeless.program.printer import literal, mark_call, mark_dict

OPERATORS = {
    "Add": "+", "Sub": "-", "Mult": "*", "MatMult": "@", "Div": "/", "FloorDiv": "//", "Mod": "%",
    "Pow": "**", "LShift": "<<", "RShift": ">>", "BitOr": "|", "BitXor": "^", "BitAnd": "&",
    "UAdd": "+", "USub": "-", "Not": "not ", "Invert": "~",
}  # fmt: skip
_HEADER = "def {name}({params}):"
_count = itertools.count(1)
_codes: dict[tuple[CodeType, int], tuple[CodeType, dict[str, Any]]] = {}


def to_python(program: Program) -> str:
    """The source text of `program` as one Python function."""
    return Plain(program).text()


def to_function(function: Callable[..., Any]) -> FunctionType:
    """A function that behaves as `function`, made from its Program.

    Raises `SourceUnavailableError` or `UnsupportedSyntaxError` where the frontend does.
    """
    if not isinstance(function, FunctionType):
        raise TypeError(f"expected a Python function, got {function!r}")
    made = _again(function)
    made.__dict__.update(function.__dict__)
    return made


def _again(function: FunctionType) -> FunctionType:
    code, objects = _compiled(function.__code__, function.__globals__)
    objects = {**objects, **_runtime(function.__globals__)}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        objects[f"_free_{name}"] = cell
    closure = tuple(CellType(objects[name]) for name in code.co_freevars)
    made = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__, made.__module__ = function.__doc__, function.__module__
    made.__qualname__, made.__annotations__ = function.__qualname__, function.__annotations__
    return made


def _compiled(code: CodeType, module_globals: dict[str, Any]) -> tuple[CodeType, dict[str, Any]]:
    """The code of the printed function, and the objects that it names."""
    if (code, id(code)) not in _codes:
        program = lower(code, module_globals)
        plain = Plain(program)
        text = plain.text("_tl_made")  # not its own name: that one is the global
        filename = f"<plain {program.name} {next(_count)}>"
        names = [*plain.objects, *_runtime({}), *(f"_free_{name}" for name in program.freevars)]
        wrapped = (
            f"def make({', '.join(names)}):\n" + "\n".join(" " + line for line in text.splitlines()) + "\n"
        )
        linecache.cache[filename] = (len(wrapped), None, wrapped.splitlines(keepends=True), filename)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            module = compile(wrapped, filename, "exec", dont_inherit=True)
        (make,) = (c for c in module.co_consts if isinstance(c, CodeType))
        (inner,) = (c for c in make.co_consts if isinstance(c, CodeType))
        inner = inner.replace(co_name=code.co_name, co_qualname=code.co_qualname)
        _codes[code, id(code)] = (inner, plain.objects)
    return _codes[code, id(code)]


class Plain:
    """Prints one Program."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines: list[str] = []
        self.objects: dict[str, Any] = {}
        ops = list(program.body.walk())
        outer = {op.attrs["name"] for op in ops if op.kind in ("global", "store_global", "del_global")}
        self.taken = {*outer, *keyword.kwlist, *_runtime({}), *(f"_free_{name}" for name in program.freevars)}
        self.names: dict[Var, str] = {}
        self.free = {op.outs[0] for op in ops if op.kind == "free_cell"}
        self.stored = sorted({op.attrs["name"] for op in ops if op.kind in ("store_global", "del_global")})
        self.yields = any(op.kind in ("yield", "yield_from") for op in ops)
        for param in program.params:
            name = param.name if param.name.isidentifier() else param.var.name
            self.names[param.var] = self.fresh(name, exact=name == param.name)
        for var in program.variables():
            self.var(var)

    def text(self, name: str | None = None) -> str:
        program = self.program
        if name is None:
            name = program.name if program.name.isidentifier() else "function"
        self.lines = [_HEADER.format(name=name, params=self.parameters())]
        if self.stored:
            self.put(1, "global " + ", ".join(self.stored))
        if program.is_generator and not self.yields:
            self.put(1, "if False: yield")
        known = set(program.variables())
        used = {arg: None for op in program.body.walk() for arg in op.args if isinstance(arg, Var)}
        for var in used:
            if var not in known:
                self.put(1, f"if False: {self.var(var)} = None")
        self.block(program.body, 1)
        return "\n".join(self.lines) + "\n"

    # ---- names

    def fresh(self, name: str, exact: bool = False) -> str:
        base, n = name, 1
        while name in self.taken and not exact:
            n += 1
            name = f"{base}_{n}"
        self.taken.add(name)
        return name

    def var(self, var: Var) -> str:
        if var not in self.names:
            self.names[var] = self.fresh(var.name)
        return self.names[var]

    def constant(self, value: Any) -> str:
        for name, known in self.objects.items():
            if known is value:
                return name
        name = self.fresh("_k")
        self.objects[name] = value
        return name

    def value(self, operand: Operand) -> str:
        """An operand, as an expression that binds tighter than any operator."""
        if isinstance(operand, Var):
            return self.var(operand)
        text = literal(operand.value)
        if text is None:
            return self.constant(operand.value)
        return text if isinstance(operand.value, str | bytes | bool | tuple | None) else f"({text})"

    def bare(self, operand: Operand) -> str:
        text = self.value(operand)
        return (
            text[1:-1] if isinstance(operand, Lit) and text.startswith("(") and operand.value != () else text
        )

    def parameters(self) -> str:
        shown: list[str] = []
        params = self.program.params
        kinds = [p.kind for p in params]
        for i, param in enumerate(params):
            if param.kind == "keyword" and "vararg" not in kinds and "keyword" not in kinds[:i]:
                shown.append("*")
            shown.append({"vararg": "*", "kwarg": "**"}.get(param.kind, "") + self.names[param.var])
            if param.kind == "positional" and "positional" not in kinds[i + 1 :]:
                shown.append("/")
        return ", ".join(shown)

    # ---- statements

    def put(self, depth: int, text: str) -> None:
        self.lines.append(" " * depth + text)

    def block(self, block: Block, depth: int) -> None:
        if not block.ops:
            self.put(depth, "pass")
        for op in block.ops:
            method = getattr(self, f"op_{op.kind}", None)
            if method is not None:
                method(op, depth)
            else:
                text = self.expression(op)
                self.put(depth, f"{self.var(op.outs[0])} = {text}" if op.outs else text)

    def expression(self, op: Op) -> str:
        """One operation that is one expression (or one simple statement)."""
        args = [self.value(arg) for arg in op.args]
        attrs = op.attrs
        match op.kind:
            case "copy":
                return args[0]
            case "binary":
                return f"{args[0]} {OPERATORS[attrs['op']]} {args[1]}"
            case "unary":
                return f"{OPERATORS[attrs['op']]}{args[0]}"
            case "compare":
                return f"{args[0]} {attrs['op']} {args[1]}"
            case "tuple":
                return "(" + "".join(a + ", " for a in _stars(op, args)) + ")"
            case "list":
                return "[" + ", ".join(_stars(op, args)) + "]"
            case "set":
                return "{" + ", ".join(_stars(op, args)) + "}" if args else "{*()}"
            case "dict":
                return "{" + ", ".join(mark_dict(op, args)) + "}"
            case "format":
                return self.format(op)
            case "slice":
                return f"_tl_slice({', '.join(args)})"
            case "getattr":
                return f"{args[0]}.{attrs['name']}"
            case "setattr":
                return f"{args[0]}.{attrs['name']} = {args[1]}"
            case "delattr":
                return f"del {args[0]}.{attrs['name']}"
            case "getitem":
                return f"{args[0]}[{args[1]}]"
            case "setitem":
                return f"{args[0]}[{args[1]}] = {args[2]}"
            case "delitem":
                return f"del {args[0]}[{args[1]}]"
            case "new_cell":
                return "_tl_cell()"
            case "free_cell":
                return f"_free_{attrs['name']}"
            case "load_cell":
                return f"_tl_load({args[0]}, {attrs['name']!r}, {op.args[0] in self.free})"
            case "store_cell":
                return f"{args[0]}.cell_contents = {args[1]}"
            case "del_cell":
                return f"_tl_delete({args[0]}, {attrs['name']!r}, {op.args[0] in self.free})"
            case "global":
                return str(attrs["name"])
            case "store_global":
                return f"{attrs['name']} = {args[0]}"
            case "del_global":
                return f"del {attrs['name']}"
            case "del":
                return f"del {args[0]}"
            case "call":
                func, *rest = mark_call(op, args)
                return f"{func}({', '.join(rest)})"
            case "call_method":
                obj, *rest = mark_call(op, args)
                if attrs.get("special"):
                    return f"_tl{attrs['name'].rstrip('_')[1:]}({', '.join([obj, *rest])})"
                return f"{obj}.{attrs['name']}({', '.join(rest)})"
            case "function" | "class":
                return self.make(op, args)
            case "yield":
                return f"yield {args[0]}"
            case "yield_from":
                return f"yield from {args[0]}"
            case "matches":
                return f"_tl_matches({args[0]}, {args[1]})"
            case "return" | "break" | "continue":
                return " ".join([op.kind, *args])
            case "raise":
                return " ".join(["raise", *(" from ".join(args),)]).rstrip()
        raise ValueError(f"the plain backend does not know the operation {op.kind!r}")

    def format(self, op: Op) -> str:
        args = iter(op.args)
        parts: list[str] = []
        for part in op.attrs["template"]:
            if isinstance(part, str):
                parts.append(repr(part))
                continue
            conversion, has_spec = part
            text = self.held(next(args)) + ("" if conversion < 0 else f"!{chr(conversion)}")
            spec = ":{" + self.held(next(args)) + "}" if has_spec else ""
            parts.append("f'{" + text + spec + "}'")
        return " ".join(parts) or "''"

    def held(self, operand: Operand) -> str:
        return self.var(operand) if isinstance(operand, Var) else self.constant(operand.value)

    def make(self, op: Op, args: list[str]) -> str:
        code = self.constant(op.attrs["code"])
        first = len(args) - op.attrs["cells"]
        cells = "(" + "".join(a + ", " for a in args[first:]) + ")"
        if op.kind == "class":
            rest = mark_call(op, args)[:first]
            return f"_tl_class({', '.join([code, repr(op.attrs['name']), cells, *rest])})"
        middle = op.attrs["defaults"]
        defaults = "(" + "".join(a + ", " for a in args[:middle]) + ")"
        named = zip(op.attrs["kwdefaults"], args[middle:first], strict=True)
        kwdefaults = "{" + ", ".join(f"{name!r}: {value}" for name, value in named) + "}"
        return f"_tl_function({code}, {defaults}, {kwdefaults}, {cells})"

    def op_inplace(self, op: Op, depth: int) -> None:
        out, symbol = op.outs[0], OPERATORS[op.attrs["op"]]
        if op.args[1] is out and op.args[0] is not out:
            old = self.fresh("_old")
            self.put(depth, f"{old} = {self.value(op.args[0])}")
            self.put(depth, f"{old} {symbol}= {self.value(op.args[1])}")
            self.put(depth, f"{self.var(out)} = {old}")
            return
        if op.args[0] is not out:
            self.put(depth, f"{self.var(out)} = {self.value(op.args[0])}")
        self.put(depth, f"{self.var(out)} {symbol}= {self.value(op.args[1])}")

    def op_unpack(self, op: Op, depth: int) -> None:
        star = op.attrs["star"]
        names = [("*" if i == star else "") + self.var(out) for i, out in enumerate(op.outs)]
        self.put(depth, f"[{', '.join(names)}] = {self.value(op.args[0])}")

    def op_import(self, op: Op, depth: int) -> None:
        attrs = op.attrs
        if attrs["names"]:
            pairs = zip(attrs["names"], op.outs, strict=True)
            names = ", ".join(f"{name} as {self.var(out)}" for name, out in pairs)
            self.put(depth, f"from {'.' * attrs['level']}{attrs['module']} import {names}")
        elif attrs["asname"] or "." not in attrs["module"]:
            self.put(depth, f"import {attrs['module']} as {self.var(op.outs[0])}")
        else:
            self.put(depth, f"{self.var(op.outs[0])} = _tl_import({attrs['module']!r})")

    # ---- control

    def op_if(self, op: Op, depth: int) -> None:
        then, orelse = op.blocks
        self.put(depth, f"if {self.bare(op.args[0])}:")
        self.block(then, depth + 1)
        if orelse.ops:
            self.put(depth, "else:")
            self.block(orelse, depth + 1)

    def op_while(self, op: Op, depth: int) -> None:
        cond, body, orelse = op.blocks
        done = self.fresh("_done") if orelse.ops else ""
        if done:
            self.put(depth, f"{done} = False")
        self.put(depth, "while True:")
        if cond.ops:
            self.block(cond, depth + 1)
        self.put(depth + 1, f"if {self.bare(op.args[0])}: pass")
        self.put(depth + 1, f"else: {f'{done} = True; ' if done else ''}break")
        self.block(body, depth + 1)
        if done:
            self.put(depth, f"if {done}:")
            self.block(orelse, depth + 1)

    def op_for(self, op: Op, depth: int) -> None:
        body, orelse = op.blocks
        self.put(depth, f"for {self.var(op.outs[0])} in {self.bare(op.args[0])}:")
        self.block(body, depth + 1)
        if orelse.ops:
            self.put(depth, "else:")
            self.block(orelse, depth + 1)

    def op_try(self, op: Op, depth: int) -> None:
        body, handler, orelse, final = op.blocks
        self.put(depth, "try:")
        self.block(body, depth + 1)
        if op.attrs["handles"]:
            self.put(depth, f"except _tl_BaseException as {self.var(op.outs[0])}:")
            self.block(handler, depth + 1)
            if orelse.ops:
                self.put(depth, "else:")
                self.block(orelse, depth + 1)
        if op.attrs["finally_"]:
            self.put(depth, "finally:")
            self.block(final, depth + 1)


def _stars(op: Op, args: list[str]) -> list[str]:
    return [f"*{a}" if star else a for a, star in zip(args, op.attrs["starred"], strict=True)]


# ---- what the printed function calls


def _runtime(module_globals: dict[str, Any]) -> dict[str, Any]:
    def make(code: CodeType, defaults: Any, kwdefaults: Any, cells: Iterable[CellType]) -> FunctionType:
        made = FunctionType(code, module_globals, code.co_name, defaults or None, tuple(cells))
        made.__kwdefaults__ = kwdefaults or None
        try:
            return _again(made)
        except (UnsupportedSyntaxError, SourceUnavailableError):
            return made

    def make_class(code: CodeType, name: str, cells: Iterable[CellType], *bases: Any, **keywords: Any) -> Any:
        body = FunctionType(code, module_globals, name, None, tuple(cells))
        return builtins.__build_class__(body, name, *bases, **keywords)

    def import_(name: str) -> Any:
        return builtins.__import__(name, module_globals, None, None, 0)

    return {
        "_tl_function": make,
        "_tl_class": make_class,
        "_tl_import": import_,
        "_tl_cell": CellType,
        "_tl_load": load_cell,
        "_tl_delete": delete_cell,
        "_tl_matches": matches,
        "_tl_enter": enter,
        "_tl_exit": leave,
        "_tl_slice": slice,
        "_tl_BaseException": BaseException,
    }


def load_cell(cell: CellType, name: str, free: bool) -> Any:
    """What `cell` holds, or the error that Python raises where it is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        pass
    if free:
        unset = "is not associated with a value in enclosing scope"
        raise NameError(f"cannot access free variable {name!r} where it {unset}", name=name)
    raise UnboundLocalError(
        f"cannot access local variable {name!r} where it is not associated with a value", name=name
    )


def delete_cell(cell: CellType, name: str, free: bool) -> None:
    load_cell(cell, name, free)
    del cell.cell_contents


def enter(manager: Any) -> Any:
    """What `with` does first: both methods are looked up on the type, then one is called."""
    kind = type(manager)
    start, end = (special(manager, name) for name in ("__enter__", "__exit__"))
    missed = "" if end is not None or start is None else " (missed __exit__ method)"
    if start is None or end is None:
        raise TypeError(f"{kind.__name__!r} object does not support the context manager protocol{missed}")
    return start()


def leave(manager: Any, *error: Any) -> Any:
    method = special(manager, "__exit__")
    return None if method is None else method(*error)


def special(value: Any, name: str) -> Any:
    """A method as the interpreter finds it, on the type and not on the instance."""
    for kind in type(value).__mro__:
        if name in vars(kind):
            found = vars(kind)[name]
            bind = getattr(type(found), "__get__", None)
            return found if bind is None else bind(found, value, type(value))
    return None


def matches(error: BaseException, kind: Any) -> bool:
    """Whether `except kind` catches `error`: by the real bases, as the interpreter asks."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    for one in kinds:
        if not (isinstance(one, type) and issubclass(one, BaseException)):
            raise TypeError("catching classes that do not inherit from BaseException is not allowed")
    return any(one in type(error).__mro__ for one in kinds)
