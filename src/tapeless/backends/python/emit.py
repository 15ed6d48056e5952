"""Typed Programs as Python source that a person could have written.

Temporaries that are used once go into the expression that uses them, as long as the order of evaluation
stays the same.
"""

from __future__ import annotations

import builtins
import keyword
import linecache
import types
from typing import Any

import numpy as np

from tapeless.autodiff.assemble import careful_half
from tapeless.program.ir import Block, Lit, Op, Operand, Program, Var
from tapeless.specialise.normal import leaves
from tapeless.specialise.types import Array, Const
from tapeless.specialise.unit import Unit

_BINARY = {
    "Add": ("+", 12), "Sub": ("-", 12), "Mult": ("*", 13), "Div": ("/", 13), "FloorDiv": ("//", 13),
    "Mod": ("%", 13),
    "MatMult": ("@", 13), "Pow": ("**", 15), "LShift": ("<<", 11), "RShift": (">>", 11), "BitAnd": ("&", 10),
    "BitXor": ("^", 9), "BitOr": ("|", 8),
}  # fmt: skip
_UNARY = {"USub": ("-", 14), "UAdd": ("+", 14), "Invert": ("~", 14), "Not": ("not ", 6)}
ATOM, COMPARE, LAMBDA = 18, 7, 1
_PURE = ("copy", "binary", "unary", "compare")


class Text:
    """An expression: its source, how tightly it binds, the variables that it reads, and whether it may be
    evaluated
    later than the operations behind it."""

    __slots__ = ("index", "level", "movable", "reads", "text")

    def __init__(self, text: str, level: int, index: str = "") -> None:
        self.text, self.level = text, level
        self.index = index or text
        """The same expression between brackets: slices have a form of their own there."""
        self.reads: set[Var] = set()
        self.movable = False

    def at(self, level: int) -> str:
        return self.text if self.level >= level else f"({self.text})"


class Line(str):
    """A line of generated source, and the line of the program that it came from (0: of none)."""

    at: int

    def __new__(cls, text: str, at: int) -> Line:
        line = super().__new__(cls, text)
        line.at = at
        return line


class Emitter:
    """Prints one Program as a function; collects the objects that the source names."""

    def __init__(self, unit: Unit, comments: bool = False) -> None:
        self.unit, self.program, self.comments = unit, unit.program, comments
        self.pure = comments
        self.last: set[Var] = set()
        self.moved = True
        self.space = unit.namespace
        self.constants: dict[str, Any] = {}
        self.names: dict[Var, str] = {}
        self.uses: dict[Var, int] = {}
        self.defs: dict[Var, int] = {}
        for op in self.program.body.walk():
            for a in op.args:
                if isinstance(a, Var):
                    self.uses[a] = self.uses.get(a, 0) + 1
            for o in op.outs:
                self.defs[o] = self.defs.get(o, 0) + 1
        self.taken: set[str] = set()
        variables = [v for v in self.program.variables() if v.name != "_"]
        self.taken |= {v.name for v in variables}
        for v in variables:
            short = v.name.lstrip("_")
            if (
                short != v.name
                and short.isidentifier()
                and short not in self.taken
                and short not in self.space
            ):
                self.taken.add(short)
                self.names[v] = short
            else:
                self.names[v] = v.name
        self.pending: list[tuple[Var, Text]] = []
        self.lines: list[Line] = []
        self.at = 0
        self.indent = 1
        self.last_line = 0

    # ---- names

    def name(self, var: Var) -> str:
        if var not in self.names:
            n = 1
            while f"t{n}" in self.taken or f"t{n}" in self.space:
                n += 1
            self.names[var] = f"t{n}"
            self.taken.add(f"t{n}")
        return self.names[var]

    def constant(self, value: Any, text: str = "") -> str:
        """Source that gives the object `value` where the function runs."""
        if text and self.reaches(text, value):
            return text
        name = getattr(value, "__name__", "") or "constant"
        module = getattr(value, "__module__", None)
        if isinstance(value, np.ufunc) or (module or "").split(".")[0] == "numpy":
            if getattr(np, name, None) is value:
                return f"{self.bound('np', np)}.{name}"
        if (
            module == "builtins"
            and getattr(builtins, name, None) is value
            and name not in self.taken
            and name not in self.space
        ):
            return name
        if module == "math":
            import math

            return f"{self.bound('math', math)}.{name}"
        if not name.isidentifier() or keyword.iskeyword(name):
            name = "rule"
        return self.bound(name if name != "_" else "rule", value)

    def reaches(self, text: str, value: Any) -> bool:
        root, *rest = text.split(".")
        if root in self.taken or not root.isidentifier():
            return False
        if root in self.unit.cells:
            try:
                found = self.unit.cells[root].cell_contents
            except ValueError:
                return False
        elif root in self.space:
            found = self.space[root]
        elif hasattr(builtins, root):
            found = getattr(builtins, root)
        else:
            return False
        for part in rest:
            found = getattr(found, part, None)
        return found is value

    def bound(self, name: str, value: Any) -> str:
        """A name of ours for `value`, given to the function as a closure cell; a global of that name serves
        as well."""
        if self.space.get(name) is value and name not in self.taken and name not in self.constants:
            return name
        base, n = name, 1
        while (name in self.constants and self.constants[name] is not value) or (
            name not in self.constants
            and (name in self.taken or name in self.space or name in self.unit.cells)
        ):
            n += 1
            name = f"{base}_{n}"
        self.constants[name] = value
        return name

    # ---- expressions

    def lit(self, value: Any, text: str = "") -> Text:
        if type(value) in (int, float):
            out = repr(value)
            if out in ("inf", "-inf", "nan"):
                return Text(f"float({out!r})", ATOM)
            return Text(out, 14 if out.startswith("-") else ATOM)
        if value is None or value is Ellipsis or isinstance(value, bool | str | bytes | complex):
            return Text("..." if value is Ellipsis else repr(value), ATOM)
        if isinstance(value, tuple):
            return Text(repr(value), ATOM)
        return Text(self.constant(value, text), ATOM)

    def take(self, operands: tuple[Operand, ...]) -> list[Text]:
        """The sources of operands, in order of evaluation; pending ones that would come out of order are
        named first."""
        wanted = [a for a in operands if isinstance(a, Var) and any(p is a for p, _ in self.pending)]
        self.last, self.moved = {a for a in operands if isinstance(a, Var)} - set(wanted), True
        fixed = [(p, t) for p, t in self.pending if not t.movable]
        own = [p for p, t in fixed if any(p is w for w in wanted)]
        tail = [p for p, _ in fixed[len(fixed) - len(own) :]]
        order = [w for w in wanted if any(w is p for p in own)]
        if own and (len(tail) != len(order) or any(a is not b for a, b in zip(tail, order, strict=True))):
            self.flush()
            wanted = []
        out = []
        texts = dict((id(p), t) for p, t in self.pending)
        for a in operands:
            if isinstance(a, Lit):
                out.append(self.lit(a.value))
            elif any(a is w for w in wanted):
                text = texts[id(a)]
                out.append(text)
                self.last |= text.reads
                self.moved = self.moved and text.movable
            else:
                out.append(Text(self.name(a), ATOM))
        self.pending = [(p, t) for p, t in self.pending if not any(p is w for w in wanted)]
        return out

    def flush(self) -> None:
        """Give names to all pending expressions."""
        pending, self.pending = self.pending, []
        for var, text in pending:
            self.write(f"{self.name(var)} = {text.text}")

    def settle(self, outs: tuple[Var, ...], silent: bool = False) -> None:
        """A statement that assigns `outs` comes next: name the pending expressions that have to be evaluated
        before."""
        pending, self.pending = self.pending, []
        kept: list[tuple[Var, Text]] = []
        for var, text in pending:
            if (text.movable or silent) and not any(o in text.reads for o in outs):
                kept.append((var, text))
                continue
            self.write(f"{self.name(var)} = {text.text}")
        self.pending = kept

    def write(self, line: str) -> None:
        self.lines.append(Line("    " * self.indent + line, self.at))

    def result(self, op: Op, text: Text) -> None:
        """The operation's value: kept for the one place that uses it, or assigned."""
        silent = self.silent(op)
        if not op.outs:
            self.settle((), silent)
            self.write(text.text)
            return
        out = op.outs[0]
        uses = self.uses.get(out, 0)
        if uses == 1 and self.defs.get(out, 0) == 1 and out.name.startswith("_"):
            # a name read through a copy of a copy is the same text
            text = Text(text.text, text.level, text.index)
            text.reads, text.movable = set(self.last), self.moved and self.pure and op.kind in _PURE
            self.pending.append((out, text))
            return
        self.settle(op.outs, silent or (self.pure and op.kind in _PURE))
        if uses == 0 and (out.name.startswith("_") or isinstance(out.type, Const)):
            self.write(text.text)
        else:
            self.write(f"{self.name(out)} = {text.text}")

    def silent(self, op: Op) -> bool:
        """Whether `op` is a save: it cannot raise, and nothing in the program sees it."""
        if op.kind == "copy":
            return True
        base = op.args[0] if op.args else None
        return (
            op.kind == "call_method"
            and not op.outs
            and isinstance(base, Var)
            and base.name.startswith("saved_")
        )

    def expression(self, op: Op) -> Text:
        match op.kind:
            case "copy":
                return self.take(op.args)[0]
            case "binary" | "inplace":
                a, b = self.take(op.args)
                sign, level = _BINARY[op.attrs["op"]]
                if sign == "**":
                    return Text(f"{a.at(16)}{sign}{b.at(15)}", 15)
                return Text(f"{a.at(level)} {sign} {b.at(level + 1)}", level)
            case "unary":
                (a,) = self.take(op.args)
                sign, level = _UNARY[op.attrs["op"]]
                return Text(f"{sign}{a.at(level)}", level)
            case "compare":
                a, b = self.take(op.args)
                return Text(f"{a.at(8)} {op.attrs['op']} {b.at(8)}", COMPARE)
            case "tuple" | "list":
                taken = self.take(op.args)
                parts = [t.at(LAMBDA) for t in taken]
                inner = ", ".join(parts)
                if op.kind == "list":
                    return Text(f"[{inner}]", ATOM)
                cls = op.attrs.get("cls")
                if cls is not None:
                    return Text(f"{self.constant(cls, cls.__name__)}({inner})", ATOM)
                comma = "," if len(parts) == 1 else ""
                index = ", ".join(t.index for t in taken) + comma if parts else "()"
                return Text(f"({inner}{comma})", ATOM, index)
            case "dict":
                parts = [t.at(LAMBDA) for t in self.take(op.args)]
                return Text(
                    "{" + ", ".join(f"{k}: {v}" for k, v in zip(parts[::2], parts[1::2], strict=True)) + "}",
                    ATOM,
                )
            case "getattr":
                (a,) = self.take(op.args)
                return Text(f"{a.at(ATOM)}.{op.attrs['name']}", ATOM)
            case "getitem":
                a, b = self.take(op.args)
                return Text(f"{a.at(ATOM)}[{b.index}]", ATOM)
            case "slice":
                taken = self.take(op.args)
                low, high, step = (("" if t.text == "None" else t.at(LAMBDA)) for t in taken)
                full = f"{self.constant(slice, 'slice')}({', '.join(t.at(LAMBDA) for t in taken)})"
                return Text(full, ATOM, f"{low}:{high}" + (f":{step}" if step else ""))
            case "call":
                return self.call(op)
            case "call_method":
                base, *args = self.take(op.args)
                return Text(
                    f"{base.at(ATOM)}.{op.attrs['name']}({self.arguments(args, op.attrs['keywords'])})", ATOM
                )
            case "global":
                return Text(op.attrs["name"], ATOM)
            case "format":
                return self.format(op)
        raise NotImplementedError(op.kind)

    def arguments(self, args: list[Text], names: tuple[str, ...]) -> str:
        split = len(args) - len(names)
        parts = [a.at(LAMBDA) for a in args[:split]]
        parts += [f"{k}={a.at(LAMBDA)}" for k, a in zip(names, args[split:], strict=True)]
        return ", ".join(parts)

    def call(self, op: Op) -> Text:
        callee, *args = op.args
        texts = self.take(tuple(args))
        assert isinstance(callee, Lit)
        name = self.target(op, callee.value)
        return Text(f"{name}({self.arguments(texts, op.attrs['keywords'])})", ATOM)

    def target(self, op: Op, value: Any) -> str:
        if "linearized" in op.attrs:
            unit = op.attrs["linearized"].forward
            return self.bound(unit.name, unit)
        if "reverse" in op.attrs:
            unit = careful_half(op.attrs["reverse"]) if op.attrs["careful"] else op.attrs["reverse"].reverse
            return self.bound(unit.name, unit)
        if isinstance(value, Unit):
            return self.bound(value.name, value)
        return self.constant(value, op.attrs.get("text", ""))

    def format(self, op: Op) -> Text:
        texts = self.take(op.args)
        parts, i = [], 0
        for part in op.attrs["template"]:
            if isinstance(part, str):
                parts.append(repr(part))
                continue
            conversion, has_spec = part
            value = texts[i].at(LAMBDA)
            i += 1
            if conversion in (115, 114, 97):
                value = f"{ {115: 'str', 114: 'repr', 97: 'ascii'}[conversion] }({value})"
            if has_spec:
                parts.append(f"format({value}, {texts[i].at(LAMBDA)})")
                i += 1
            else:
                parts.append(f"format({value})")
        return Text(f"''.join(({', '.join(parts)},))" if parts else "''", ATOM)

    # ---- statements

    def comment(self, line: int) -> None:
        if not self.comments or not line or line == self.last_line:
            return
        self.last_line = line
        text = linecache.getline(self.program.filename, line).strip()
        if text:
            self.flush()
            self.write(f"# {line}: {text}")

    def block(self, block: Block) -> None:
        self.indent += 1
        start = len(self.lines)
        for op in block.ops:
            self.statement(op)
        self.flush()
        if not any(not line.lstrip().startswith("#") for line in self.lines[start:]):
            self.write("pass")
        self.indent -= 1

    def statement(self, op: Op) -> None:
        self.at = op.line or self.at
        self.comment(op.line)
        match op.kind:
            case "if":
                self.if_(op)
            case "while":
                self.while_(op)
            case "loop":
                self.loop(op)
            case "return":
                (value,) = self.take(op.args)
                self.flush()
                self.write("return" if value.text == "None" else f"return {value.text}")
            case "break" | "continue":
                self.flush()
                self.write(op.kind)
            case "keep":
                pass
            case "raise":
                parts = [t.text for t in self.take(op.args)]
                self.flush()
                self.write("raise " + " from ".join(parts))
            case "setitem":
                self.setitem(op)
            case "augitem":
                base, index, value = self.take(op.args)
                self.flush()
                self.write(f"{base.at(ATOM)}[{index.index}] {_BINARY[op.attrs['op']][0]}= {value.text}")
            case "unpack":
                (value,) = self.take(op.args)
                self.flush()
                names = ", ".join(
                    "_" if o.name == "_" and not self.uses.get(o) else self.name(o) for o in op.outs
                )
                self.write(f"{names}{',' if len(op.outs) == 1 else ''} = {value.text}")
            case "inplace":
                self.inplace(op)
            case "call" if len(op.outs) > 1:
                text = self.call(op)
                self.flush()
                self.write(f"{', '.join(self.name(o) for o in op.outs)} = {text.text}")
            case _:
                self.result(op, self.expression(op))

    def inplace(self, op: Op) -> None:
        a, b = op.args
        out = op.outs[0]
        if out is a:
            (value,) = self.take((b,))
            self.settle((out,), self.pure and not isinstance(out.type, Array))
            self.write(f"{self.name(out)} {_BINARY[op.attrs['op']][0]}= {value.text}")
            return
        if isinstance(out.type, Array) and isinstance(a, Var) and not any(p is a for p, _ in self.pending):
            (value,) = self.take((b,))
            self.flush()
            self.write(f"{self.name(out)} = {self.name(a)}")
            self.write(f"{self.name(out)} {_BINARY[op.attrs['op']][0]}= {value.text}")
            return
        if isinstance(out.type, Array):
            before, value = self.take((a, b))
            if isinstance(a, Var) and before.text == self.names.get(a):  # it got a name: no longer an item
                self.flush()
                self.write(f"{self.name(out)} = {before.text}")
                self.write(f"{self.name(out)} {_BINARY[op.attrs['op']][0]}= {value.text}")
                return
            self.augmented[out] = (before.text, f"{_BINARY[op.attrs['op']][0]}= {value.text}")
            return
        self.result(op, self.expression(op))

    augmented: dict[Var, tuple[str, str]] = {}

    def setitem(self, op: Op) -> None:
        base, index, value = op.args
        if isinstance(value, Var) and value in self.augmented:
            target, rest = self.augmented.pop(value)
            self.flush()
            self.write(f"{target} {rest}")
            return
        # Python evaluates the value first, then the container, then the index
        v, b, i = self.take((value, base, index))
        self.flush()
        target = f"{b.at(ATOM)}[{i.index}]"
        for sign in ("+", "-"):
            if v.level == 12 and v.text.startswith(f"{target} {sign} "):
                rest = v.text[len(target) + 3 :]
                if _flat(rest):
                    self.write(f"{target} {sign}= {rest}")
                    return
        self.write(f"{target} = {v.text}")

    def if_(self, op: Op) -> None:
        (test,) = self.take(op.args)
        self.flush()
        then, orelse = op.blocks
        if not then.ops and not orelse.ops:
            self.write(test.text)
            return
        if not then.ops:
            self.write(f"if not {test.at(6)}:")
            self.block(orelse)
            return
        self.write(f"if {test.text}:")
        self.block(then)
        if not orelse.ops:
            return
        if leaves(then):
            self.indent -= 1
            start = len(self.lines)
            self.block(orelse)
            if self.lines[start:] and self.lines[-1].strip() == "pass":
                self.lines.pop()
            self.indent += 1
            return
        self.write("else:")
        start = len(self.lines)
        self.block(orelse)
        inner = self.lines[start:]
        pad = "    " * (self.indent + 1)
        if (
            inner
            and inner[0].startswith(pad + "if ")
            and all(
                line.startswith(pad + " ") or line.startswith((pad + "elif ", pad + "else:"))
                for line in inner[1:]
            )
        ):
            self.lines[start - 1 :] = [
                Line(("    " * self.indent) + "el" + inner[0].lstrip(), inner[0].at),
                *(Line(line[4:], line.at) for line in inner[1:]),
            ]

    def while_(self, op: Op) -> None:
        cond, body, _ = op.blocks
        self.flush()
        start = len(self.lines)
        self.indent += 1
        for inner in cond.ops:
            self.statement(inner)
        (test,) = self.take(op.args)
        self.flush()
        self.indent -= 1
        head = self.lines[start:]
        if not head:
            self.write(f"while {test.text}:")
        else:
            del self.lines[start:]
            self.write("while True:")
            self.lines += head
            self.indent += 1
            self.write(f"if not {test.at(6)}:")
            self.indent += 1
            self.write("break")
            self.indent -= 2
        self.block(body)

    def loop(self, op: Op) -> None:
        args = self.take(op.args)
        self.flush()

        def source(tree: Any) -> str:
            if isinstance(tree, int):
                return args[tree].at(LAMBDA)
            kind, *parts = tree
            inner = ", ".join(source(p) for p in parts)
            if kind == "zip_strict":
                return f"{self.constant(zip, 'zip')}({inner}, strict=True)"
            return f"{self.constant(getattr(builtins, kind), kind)}({inner})"

        def target(pattern: Any, top: bool) -> str:
            if isinstance(pattern, tuple):
                inner = ", ".join(target(p, False) for p in pattern) + ("," if len(pattern) == 1 else "")
                return inner if top else f"({inner})"
            out = op.outs[pattern]
            return "_" if out.name == "_" and not self.uses.get(out) else self.name(out)

        self.write(f"for {target(op.attrs['pattern'], True)} in {source(op.attrs['iter'])}:")
        self.block(op.blocks[0])

    def function(self) -> str:
        params = ", ".join(self.name(p.var) for p in self.program.params)
        self.indent = 0
        self.write(f"def {self.program.name}({params}):")
        self.block(self.program.body)
        return "\n".join(self.lines) + "\n"


def _flat(text: str) -> bool:
    """Whether `text` is one term: no sum outside parentheses."""
    depth = 0
    for i, c in enumerate(text):
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif depth == 0 and c in "+-" and i and text[i - 1] == " ":
            return False
    return True


__all__ = ["Emitter", "Program", "types"]
