"""A Program as text that a person can read and `parser.parse` reads back.

    program power[file='example.py', line=1](x, n):
        # example.py:2  y = 1.0
        y = copy(1.0)
        # example.py:3  for _ in range(n):
        _t1 = global[range]()
        _t2 = call(_t1, n)
        _ = for(_t2):
            # example.py:4  y *= x
            y = inplace[Mult](y, x)
        # example.py:5  return y
        return(y)

The first block of an operation follows it; the others have a label (`else:`, `do:`, `except:`, `finally:`).
Objects that have no literal (functions, classes, code) are written `@name`; `symbols` says which objects the
names stand for.
"""

from __future__ import annotations

import ast
import linecache
import os
import re
from types import CodeType
from typing import Any

from tapeless.program.ir import VOCABULARY, Block, Op, Operand, Param, Program, Var

#: Labels of an operation's second and later blocks.
LABELS: dict[str, tuple[str, ...]] = {
    "if": ("else",),
    "while": ("do", "else"),
    "for": ("else",),
    "try": ("except", "else", "finally"),
}
#: Attributes that the way operands and blocks are written already says.
IMPLIED = {
    "call": ("keywords", "starred"),
    "call_method": ("keywords", "starred"),
    "class": ("keywords", "starred"),
    "tuple": ("starred",),
    "list": ("starred",),
    "set": ("starred",),
    "dict": ("spread",),
    "try": ("handles", "finally_"),
}
#: An attribute value that is written without quotes when it is the only one.
BARE = re.compile(r"[^\W\d]\w*( \w+)?|[=!<>]+")


def show(program: Program, *, types: bool = False) -> str:
    """The text of `program`; with `types`, the type of each result in a comment."""
    return _Printer(program, types).text()


def excerpt(program: Program, at: Op, lines: int = 10) -> str:
    """Some lines of the text of `program` around the operation `at`, which is marked."""
    printer = _Printer(program, types=False)
    printer.text()
    middle = printer.places[id(at)]
    first = max(0, middle - lines // 2)
    shown = enumerate(printer.lines[first : first + lines], first)
    return "\n".join(f"{'>' if i == middle else ' '} {line}" for i, line in shown)


def symbols(program: Program) -> dict[str, Any]:
    """What each `@name` in the text of `program` stands for; `parser.parse` takes it back."""
    printer = _Printer(program, types=False)
    printer.text()
    return {name: value for value, name in printer.names.values()}


class _Printer:
    def __init__(self, program: Program, types: bool) -> None:
        self.program, self.types = program, types
        self.lines: list[str] = []
        self.names: dict[int, tuple[Any, str]] = {}
        self.line: int | None = None
        self.places: dict[int, int] = {}

    def text(self) -> str:
        program = self.program
        attrs: dict[str, Any] = {"file": program.filename, "line": program.firstline}
        attrs |= {"freevars": program.freevars} if program.freevars else {}
        attrs |= {"generator": True} if program.is_generator else {}
        attrs |= {"code": program.code} if program.code is not None else {}
        self.lines.append(f"program {program.name}[{self.attributes(attrs)}]({parameters(program.params)}):")
        self.block(program.body, "    ")
        return "\n".join(self.lines) + "\n"

    def block(self, block: Block, indent: str) -> None:
        if not block.ops:
            self.lines.append(f"{indent}pass")
        for op in block.ops:
            if op.line != self.line:
                self.line = op.line
                name = os.path.basename(self.program.filename)
                source = linecache.getline(self.program.filename, op.line).strip()
                self.lines.append(f"{indent}# {name}:{op.line}  {source}".rstrip())
            self.op(op, indent)

    def op(self, op: Op, indent: str) -> None:
        note = ", ".join(str(out.type) for out in op.outs) if self.types and op.outs else ""
        self.places[id(op)] = len(self.lines)
        head = indent + self.head(op) + (":" if op.blocks else "")
        self.lines.append(f"{head}  # {note}" if note else head)
        if not op.blocks:
            return
        self.block(op.blocks[0], indent + "    ")
        for i, (label, block) in enumerate(zip(labels(op), op.blocks[1:], strict=True)):
            if shown(op, i + 1, block):
                self.lines.append(f"{indent}{label}:")
                self.block(block, indent + "    ")

    def head(self, op: Op) -> str:
        outs = ", ".join(out.name for out in op.outs)
        attrs = {k: v for k, v in op.attrs.items() if k not in IMPLIED.get(op.kind, ())}
        inside = f"[{self.attributes(attrs)}]" if attrs else ""
        return f"{outs}{' = ' if outs else ''}{op.kind}{inside}({', '.join(self.operands(op))})"

    def attributes(self, attrs: dict[str, Any]) -> str:
        values = list(attrs.values())
        if len(values) == 1 and isinstance(values[0], str) and BARE.fullmatch(values[0]):
            if (*attrs,) in (("op",), ("name",)):
                return values[0]
        return ", ".join(f"{k}={self.value(v)}" for k, v in attrs.items())

    def value(self, value: Any) -> str:
        return literal(value) or self.symbol(value)

    def operand(self, operand: Operand) -> str:
        return operand.name if isinstance(operand, Var) else self.value(operand.value)

    def operands(self, op: Op) -> list[str]:
        args = [self.operand(arg) for arg in op.args]
        if op.kind in ("call", "call_method", "class"):
            return mark_call(op, args)
        if op.kind == "dict":
            return mark_dict(op, args)
        if op.kind in ("tuple", "list", "set"):
            return [f"*{a}" if star else a for a, star in zip(args, op.attrs["starred"], strict=True)]
        return args

    def symbol(self, value: Any) -> str:
        if id(value) not in self.names:
            base = symbolic_name(value)
            taken = {name for _, name in self.names.values()}
            name, n = base, 1
            while name in taken:
                n += 1
                name = f"{base}.{n}"
            self.names[id(value)] = (value, name)
        return f"@{self.names[id(value)][1]}"


def labels(op: Op) -> tuple[str, ...]:
    return LABELS.get(op.kind, ("block",) * (len(op.blocks) - 1))


def shown(op: Op, index: int, block: Block) -> bool:
    """Whether block `index` of `op` is written, rather than understood to be empty."""
    if op.kind == "while" and index == 1:
        return True
    if op.kind == "try" and index in (1, 3):
        return bool(op.attrs.get("handles" if index == 1 else "finally_")) or bool(block.ops)
    return bool(block.ops) or op.kind not in LABELS


def mark_call(op: Op, args: list[str]) -> list[str]:
    """Operands of a call with the stars and keywords that its attributes give them."""
    start = 0 if op.kind == "class" else 1
    starred, keywords = op.attrs["starred"], op.attrs["keywords"]
    middle, end = start + len(starred), start + len(starred) + len(keywords)
    marked = [f"*{a}" if star else a for a, star in zip(args[start:middle], starred, strict=True)]
    named = [f"**{a}" if k is None else f"{k}={a}" for a, k in zip(args[middle:end], keywords, strict=True)]
    return [*args[:start], *marked, *named, *args[end:]]


def mark_dict(op: Op, args: list[str]) -> list[str]:
    items, rest = [], iter(args)
    for spread in op.attrs["spread"]:
        items.append(f"**{next(rest)}" if spread else f"{next(rest)}: {next(rest)}")
    return items


def parameters(params: list[Param]) -> str:
    """The parameters as in a Python `def`; `var as name` where the variable's name is not the parameter's."""
    shown: list[str] = []
    kinds = [param.kind for param in params]
    for i, param in enumerate(params):
        text = param.var.name if param.var.name == param.name else f"{param.var.name} as {param.name}"
        if param.kind == "keyword" and "vararg" not in kinds and "keyword" not in kinds[:i]:
            shown.append("*")
        shown.append({"vararg": "*", "kwarg": "**"}.get(param.kind, "") + text)
        if param.kind == "positional" and "positional" not in kinds[i + 1 :]:
            shown.append("/")
    return ", ".join(shown)


def literal(value: Any) -> str | None:
    """`value` as a Python literal that means exactly `value`, or None."""
    if type(value) is tuple:
        parts = [literal(v) for v in value]
        if any(part is None for part in parts):
            return None
        return "(" + ", ".join(str(p) for p in parts) + ("," if len(parts) == 1 else "") + ")"
    if value is Ellipsis:
        return "..."
    if type(value) is float and value in (float("inf"), -float("inf")):
        return "1e999" if value > 0 else "-1e999"
    if type(value) not in (int, float, complex, str, bytes, bool, type(None)):
        return None
    text = repr(value)
    try:
        back = ast.literal_eval(text)
    except ValueError:
        return None
    return text if repr(back) == text else None


def symbolic_name(value: Any) -> str:
    if isinstance(value, CodeType):
        return f"code:{value.co_qualname}:{value.co_firstlineno}"
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        return f"{getattr(value, '__module__', None) or 'object'}.{name}"
    return type(value).__name__


assert all(kind in VOCABULARY for kind in (*LABELS, *IMPLIED))
