"""The body of a class, lowered to a Program that fills a namespace."""

from __future__ import annotations

import ast
import dis
import sys
from types import CodeType
from typing import Any

from tapeless.frontend.lower import Lowering
from tapeless.frontend.scope import Names, captured_names
from tapeless.frontend.source import class_node_of
from tapeless.program.ir import Lit, Operand, Param, Program, Var

_bodies: dict[CodeType, Program] = {}


def lower_class(code: CodeType, module_globals: dict[str, object] | None = None) -> Program:
    """The Program of a class body: its argument is the namespace, its result `__class__`'s cell or None."""
    program = _bodies.get(code)
    if program is None:
        program = _bodies[code] = ClassBody(code, class_node_of(code, module_globals)).body_program()  # type: ignore[arg-type]
    return program


class ClassBody(Lowering):
    """Lowers a class body: its names live in a namespace; the functions written in it do not see them."""

    node: Any

    def body_program(self) -> Program:
        code, node = self.code, self.node
        body = self.block
        names = Names().read(node.body)
        self.declared_global = {self.mangle(name) for name in names.globals}
        self.outer = {self.mangle(name) for name in names.nonlocals}
        self.captured = {self.mangle(name) for name in captured_names(names)}
        for name in code.co_freevars:
            self.cells[name] = self.new_var(f"{name}_cell")
            self.emit("free_cell", outs=(self.cells[name],), name=name)
        for name in code.co_cellvars:  # `__class__`, for methods that say `super()`
            self.cells[name] = self.new_var(f"{name}_cell")
            self.emit("new_cell", outs=(self.cells[name],), name=name)
        self.namespace = self.new_var("namespace")
        self.enter("__module__", self.op("global", name="__name__"))
        self.enter("__qualname__", Lit(code.co_qualname))
        if sys.version_info >= (3, 13):
            self.enter("__firstlineno__", Lit(code.co_firstlineno))
        if any(isinstance(n, ast.AnnAssign) and n.simple for n in within(node.body)):
            self.enter("__annotations__", self.op("dict", spread=()))
        first = node.body[0]
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            self.enter("__doc__", Lit(_stored(code, "__doc__", first.value.value)))
        self.statements(node.body)
        if sys.version_info >= (3, 13):
            self.enter("__static_attributes__", Lit(_stored(code, "__static_attributes__", ())))
        cell: Operand = Lit(None)
        if "__class__" in code.co_cellvars:
            cell = self.cells["__class__"]
            self.enter("__classcell__", cell)
        self.emit("return", (cell,))
        return Program(
            name=code.co_name,
            params=[Param(self.namespace, "positional", "namespace")],
            body=body,
            filename=code.co_filename,
            firstline=code.co_firstlineno,
            freevars=code.co_freevars,
            code=code,
            node=node,
        )

    def enter(self, name: str, value: Operand) -> None:
        self.emit("setitem", (self.namespace, Lit(name), value))

    def in_namespace(self, name: str) -> bool:
        """Whether a name, used here, is looked for in the namespace: not inside a comprehension."""
        return not self.scopes and name not in self.declared_global and name not in self.outer

    # ---- names

    def load_name(self, name: str, into: Var | None = None) -> Operand:
        mangled = self.mangle(name)
        if not self.in_namespace(mangled):
            return super().load_name(name, into)
        out = self.temp() if into is None else into
        there = self.op("compare", (Lit(mangled), self.namespace), op="in")

        def found() -> None:
            self.op("getitem", (self.namespace, Lit(mangled)), out)

        def elsewhere() -> None:
            Lowering.load_name(self, name, out)

        self.emit("if", (there,), blocks=(self.in_block(found), self.in_block(elsewhere)))
        return out

    def store_name(self, name: str, value: Operand) -> None:
        mangled = self.mangle(name)
        if self.in_namespace(mangled):
            self.enter(mangled, value)
        else:
            super().store_name(name, value)

    def delete_name(self, name: str) -> None:
        mangled = self.mangle(name)
        if self.in_namespace(mangled):
            self.emit("delitem", (self.namespace, Lit(mangled)))
        else:
            super().delete_name(name)

    def frame(self) -> Var:
        return self.namespace

    # ---- annotations are part of the class

    def stmt_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        decorators = self.expressions(node.decorator_list)
        value: Operand = self.function(node, node.name)
        self.annotations(node, value)
        for decorator in reversed(decorators):
            value = self.op("call", (decorator, value), keywords=(), starred=(False,))
        self.store_name(node.name, value)

    def stmt_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            super().stmt_AnnAssign(node)
        if isinstance(node.target, ast.Name) and node.simple:
            note = (
                Lit(ast.unparse(node.annotation))
                if self.notes_as_text()
                else self.expression(node.annotation)
            )
            table = self.load_name("__annotations__")
            self.emit("setitem", (table, Lit(self.mangle(node.target.id)), note))


def within(nodes: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of a body and of the blocks in it, without the bodies of inner functions and classes."""
    found: list[ast.stmt] = []
    for node in nodes:
        found.append(node)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for name in ("body", "orelse", "finalbody"):
                found += within(getattr(node, name, []))
            for handler in getattr(node, "handlers", []):
                found += within(handler.body)
    return found


def _stored(code: CodeType, name: str, default: Any) -> Any:
    """The constant that the compiled class body stores under a name of the compiler's own."""
    before: Any = None
    for instruction in dis.get_instructions(code):
        if instruction.opname == "STORE_NAME" and instruction.argval == name and before is not None:
            return before.argval
        before = instruction if instruction.opname == "LOAD_CONST" else None
    return default


__all__ = ["ClassBody", "lower_class"]
