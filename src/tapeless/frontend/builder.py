"""What lowering stands on: blocks, temporaries, and where each name lives."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any, NoReturn

from tapeless.errors import UnsupportedSyntaxError
from tapeless.frontend.source import FunctionNode
from tapeless.program.ir import Block, Op, Operand, Var


class Builder:
    """Emits operations; knows names, cells and temporaries."""

    def __init__(self, code: CodeType, node: FunctionNode) -> None:
        self.code, self.node = code, node
        self.block = Block()
        self.line = code.co_firstlineno
        self.locals: set[str] = set()
        self.captured: set[str] = set()
        self.declared_global: set[str] = set()
        self.cells: dict[str, Var] = {}
        self.vars: dict[str, Var] = {}
        self.taken: set[str] = {*code.co_names, *code.co_freevars}
        self.scopes: list[dict[str, tuple[str, Var]]] = []
        self.temps: set[Var] = set()
        self.count = 0
        parts = code.co_qualname.split(".")
        pairs = [a for a, b in zip(parts, parts[1:], strict=False) if "<locals>" not in (a, b)]
        self.class_name = pairs[-1].lstrip("_") if pairs else ""

    # ---- building blocks

    def unsupported(self, what: str, way_out: str) -> NoReturn:
        message = f"{what} is not differentiated; {way_out}"
        raise UnsupportedSyntaxError(message, filename=self.code.co_filename, line=self.line)

    def mangle(self, name: str) -> str:
        private = self.class_name and name.startswith("__") and not name.endswith("__")
        return f"_{self.class_name}{name}" if private else name

    def emit(
        self,
        kind: str,
        args: tuple[Operand, ...] = (),
        outs: tuple[Var, ...] = (),
        blocks: tuple[Block, ...] = (),
        **attrs: Any,
    ) -> None:
        self.block.ops.append(Op(kind, args, outs, attrs, blocks, self.line))

    def op(self, kind: str, args: tuple[Operand, ...] = (), into: Var | None = None, **attrs: Any) -> Var:
        out = into if into is not None else self.temp()
        self.emit(kind, args, (out,), **attrs)
        return out

    def in_block(self, build: Callable[[], Any]) -> Block:
        outer, line = self.block, self.line
        self.block = block = Block()
        build()
        self.block, self.line = outer, line
        return block

    def new_var(self, name: str) -> Var:
        base, n = name, 1
        while name in self.taken:
            n += 1
            name = f"{base}_{n}"
        self.taken.add(name)
        return Var(name)

    def temp(self, hint: str = "t") -> Var:
        self.count += 1
        var = self.new_var(f"_{hint}{self.count}")
        self.temps.add(var)
        return var

    def local(self, name: str) -> Var:
        if name not in self.vars:
            self.vars[name] = Var(name) if name in self.locals else self.new_var(name)
        return self.vars[name]

    # ---- names

    def place(self, name: str) -> tuple[str, Var | None]:
        """Where a name lives: `local`, `cell` or `global`."""
        name = self.mangle(name)
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        if name in self.declared_global:
            return "global", None
        if name in self.cells:
            return "cell", self.cells[name]
        if name in self.locals:
            return "local", self.local(name)
        return "global", None

    def load_name(self, name: str, into: Var | None = None) -> Operand:
        kind, var = self.place(name)
        if kind == "local" and var is not None:
            return var
        if kind == "cell" and var is not None:
            return self.op("load_cell", (var,), into, name=self.mangle(name))
        return self.op("global", (), into, name=self.mangle(name))

    def store_name(self, name: str, value: Operand) -> None:
        kind, var = self.place(name)
        if kind == "local" and var is not None:
            self.emit("copy", (value,), (var,))
        elif kind == "cell" and var is not None:
            self.emit("store_cell", (var, value))
        else:
            self.emit("store_global", (value,), name=self.mangle(name))

    def delete_name(self, name: str) -> None:
        kind, var = self.place(name)
        if kind == "local" and var is not None:
            self.emit("del", (var,))
        elif kind == "cell" and var is not None:
            self.emit("del_cell", (var,), name=self.mangle(name))
        else:
            self.emit("del_global", name=self.mangle(name))

    def plain_local(self, name: str) -> Var | None:
        kind, var = self.place(name)
        return var if kind == "local" else None

    def stable(self, value: Operand) -> Operand:
        """`value`, in a temporary if it is a variable that later code may rebind."""
        if isinstance(value, Var) and value not in self.temps:
            return self.op("copy", (value,))
        return value
