"""Statements of a function, lowered to a Program."""

from __future__ import annotations
import __future__

import ast
import sys
from types import CodeType
from typing import Any

from tapeless.frontend.expressions import compound, rebinds
from tapeless.frontend.matching import Matching
from tapeless.frontend.scope import Names, captured_names, parameters, target_names
from tapeless.frontend.source import node_of
from tapeless.program.ir import Block, Lit, Op, Operand, Param, Program, Var

_programs: dict[CodeType, Program] = {}


def lower(code: CodeType, module_globals: dict[str, object] | None = None) -> Program:
    """The Program of the function that `code` belongs to; cached by code object."""
    program = _programs.get(code)
    if program is None:
        node = node_of(code, module_globals)
        program = Lowering(code, node).program()
        _programs[code] = program
    return program


_STATEMENTS = {
    "TryStar": ("except*", "catch the group with except, and look at its exceptions"),
    "AsyncFor": ("async for", "write a loop"),
    "AsyncWith": ("async with", "write a with statement"),
}


class Lowering(Matching):
    """Lowers one function."""

    def program(self) -> Program:
        node = self.node
        self.line = self.code.co_firstlineno
        params: list[Param] = []
        body = Block()
        self.block = body
        names = Names()
        if isinstance(node, ast.AsyncFunctionDef):
            self.unsupported("an async function", "differentiate the synchronous part of it")
        if isinstance(node, ast.GeneratorExp):
            names.read([*(i for g in node.generators for i in g.ifs), node.elt])
            names.read([g.iter for g in node.generators[1:]])
            param_names: list[tuple[str, str]] = [(".0", "positional")]
        else:
            names.read([node.body] if isinstance(node, ast.Lambda) else node.body)
            bound = (names.bound | set(parameters(node.args))) - names.globals - names.nonlocals
            self.locals = {self.mangle(name) for name in bound}
            self.declared_global = {self.mangle(name) for name in names.globals}
            self.taken |= self.locals
            a = node.args
            param_names = [(p.arg, "positional") for p in a.posonlyargs]
            param_names += [(p.arg, "standard") for p in a.args]
            param_names += [(a.vararg.arg, "vararg")] if a.vararg else []
            param_names += [(p.arg, "keyword") for p in a.kwonlyargs]
            param_names += [(a.kwarg.arg, "kwarg")] if a.kwarg else []
        self.captured = {self.mangle(name) for name in captured_names(names)} | set(self.code.co_cellvars)
        for name in self.code.co_freevars:
            self.cells[name] = self.new_var(f"{name}_cell")
            self.emit("free_cell", outs=(self.cells[name],), name=name)
        for name in sorted(self.locals & self.captured):
            self.cells[name] = self.new_var(f"{name}_cell")
            self.emit("new_cell", outs=(self.cells[name],), name=name)
        for name, kind in param_names:
            name = self.mangle(name)
            if name in self.cells:
                var = self.new_var(f"{name}_arg")
                self.emit("store_cell", (self.cells[name], var))
            else:
                var = self.local("it" if name == ".0" else name)
            params.append(Param(var, kind, name))
        match node:
            case ast.Lambda():
                self.emit("return", (self.expression(node.body),))
            case ast.GeneratorExp():
                self.generator_expression(node, params[0].var)
            case _:
                self.statements(node.body)
        return Program(
            name=self.code.co_name,
            params=params,
            body=body,
            filename=self.code.co_filename,
            firstline=self.code.co_firstlineno,
            freevars=self.code.co_freevars,
            is_generator=bool(self.code.co_flags & 0x20),
            code=self.code,
            node=node,
        )

    # ---- statements

    def statements(self, nodes: list[ast.stmt]) -> None:
        for node in nodes:
            if ends(self.block):
                break  # never reached
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:
        self.line = node.lineno
        method = getattr(self, f"stmt_{type(node).__name__}", None)
        if method is None:
            what, way_out = _STATEMENTS.get(
                type(node).__name__, ("this statement", "write it in other statements")
            )
            self.unsupported(what, way_out)
        method(node)

    def body_block(self, nodes: list[ast.stmt]) -> Block:
        return self.in_block(lambda: self.statements(nodes))

    def stmt_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant):
            return
        value = self.expression(node.value)
        if isinstance(value, Var) and value not in self.temps:
            self.op("copy", (value,))  # the name is read, and may be undefined

    def stmt_Pass(self, node: ast.Pass) -> None:
        pass

    def stmt_Global(self, node: ast.Global) -> None:
        pass

    def stmt_Nonlocal(self, node: ast.Nonlocal) -> None:
        pass

    def stmt_Assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        if (
            len(node.targets) == 1
            and isinstance(target, ast.Tuple)
            and isinstance(node.value, ast.Tuple)
            and len(target.elts) == len(node.value.elts)
            and not any(isinstance(e, ast.Starred) for e in (*target.elts, *node.value.elts))
        ):
            values = self.expressions(node.value.elts)
            for i, value in enumerate(values):
                if self.bound_by(target.elts[:i], value):
                    values[i] = self.stable(value)
            for one, value in zip(target.elts, values, strict=True):
                self.assign(one, value)
            return
        if len(node.targets) == 1 and isinstance(target, ast.Name) and compound(node.value):
            plain = self.plain_local(target.id)
            if plain is not None and not isinstance(node.value, ast.NamedExpr):
                self.expression(node.value, into=plain)
                return
        value = self.expression(node.value)
        if self.bound_by(node.targets[:-1], value) or any(map(rebinds, node.targets)):
            value = self.stable(value)
        for target in node.targets:
            self.assign(target, value)

    def bound_by(self, targets: list[ast.expr], value: Operand) -> bool:
        """Whether assigning to `targets` rebinds the variable `value`."""
        names = [self.plain_local(name) for target in targets for name in target_names(target)]
        return isinstance(value, Var) and value in names

    def stmt_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            value = self.expression(node.value)
            self.assign(node.target, self.stable(value) if rebinds(node.target) else value)
        elif isinstance(node.target, ast.Attribute):
            self.expression(node.target.value)
        elif isinstance(node.target, ast.Subscript):
            self.expressions([node.target.value, node.target.slice])

    def stmt_AugAssign(self, node: ast.AugAssign) -> None:
        target, name = node.target, type(node.op).__name__
        match target:
            case ast.Name():
                old = self.load_name(target.id)
                old = self.stable(old) if rebinds(node.value) else old
                value = self.expression(node.value)
                plain = self.plain_local(target.id)
                if plain is not None:
                    self.emit("inplace", (old, value), (plain,), op=name)
                else:
                    self.assign(target, self.op("inplace", (old, value), op=name))
            case ast.Attribute():
                base, attr = self.expression(target.value), self.mangle(target.attr)
                base = self.stable(base) if rebinds(node.value) else base
                old = self.op("getattr", (base,), name=attr)
                new = self.op("inplace", (old, self.expression(node.value)), op=name)
                self.emit("setattr", (base, new), name=attr)
            case ast.Subscript():
                base, index = self.expressions([target.value, target.slice])
                if rebinds(node.value):
                    base, index = self.stable(base), self.stable(index)
                old = self.op("getitem", (base, index))
                new = self.op("inplace", (old, self.expression(node.value)), op=name)
                self.emit("setitem", (base, index, new))

    def assign(self, target: ast.expr, value: Operand) -> None:
        match target:
            case ast.Name():
                self.store_name(target.id, value)
            case ast.Attribute():
                self.emit("setattr", (self.expression(target.value), value), name=self.mangle(target.attr))
            case ast.Subscript():
                base, index = self.expressions([target.value, target.slice])
                self.emit("setitem", (base, index, value))
            case ast.Starred():
                self.assign(target.value, value)
            case ast.Tuple() | ast.List():
                star = next((i for i, e in enumerate(target.elts) if isinstance(e, ast.Starred)), None)
                outs = tuple(self.temp() for _ in target.elts)
                self.emit("unpack", (value,), outs, star=star)
                for element, out in zip(target.elts, outs, strict=True):
                    self.assign(element, out)

    def stmt_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            self.delete(target)

    def delete(self, target: ast.expr) -> None:
        match target:
            case ast.Name():
                self.delete_name(target.id)
            case ast.Attribute():
                self.emit("delattr", (self.expression(target.value),), name=self.mangle(target.attr))
            case ast.Subscript():
                self.emit("delitem", tuple(self.expressions([target.value, target.slice])))
            case ast.Tuple() | ast.List():
                for element in target.elts:
                    self.delete(element)

    def stmt_Return(self, node: ast.Return) -> None:
        self.emit("return", (Lit(None) if node.value is None else self.expression(node.value),))

    def stmt_Break(self, node: ast.Break) -> None:
        self.emit("break")

    def stmt_Continue(self, node: ast.Continue) -> None:
        self.emit("continue")

    def stmt_If(self, node: ast.If) -> None:
        known = constant_truth(node.test)
        if known is not None:
            self.statements(node.body if known else node.orelse)
            return
        test = self.truth(node.test)
        self.emit("if", (test,), blocks=(self.body_block(node.body), self.body_block(node.orelse)))

    def stmt_While(self, node: ast.While) -> None:
        if constant_truth(node.test) is False:
            self.statements(node.orelse)
            return
        test = self.temp()
        cond = self.in_block(lambda: self.emit("copy", (self.truth(node.test),), (test,)))
        last = cond.ops[-1]
        if len(cond.ops) > 1 and cond.ops[-2].outs == last.args and last.args[0] in self.temps:
            # the condition's last operation gives the test itself
            cond.ops[-2].outs = (test,)
            cond.ops.pop()
        self.emit("while", (test,), blocks=(cond, self.body_block(node.body), self.body_block(node.orelse)))

    def stmt_For(self, node: ast.For) -> None:
        iterable = self.expression(node.iter)
        self.loop(node.target, iterable, lambda: self.statements(node.body), self.body_block(node.orelse))

    def stmt_Raise(self, node: ast.Raise) -> None:
        parts = [p for p in (node.exc, node.cause) if p is not None]
        self.emit("raise", tuple(self.expressions(parts)), cause=node.cause is not None)

    def stmt_Assert(self, node: ast.Assert) -> None:
        if not __debug__:
            return
        test = self.truth(node.test)

        def fail() -> None:
            args = () if node.msg is None else (self.expression(node.msg),)
            error = self.op("call", (Lit(AssertionError), *args), keywords=(), starred=(False,) * len(args))
            self.emit("raise", (error,), cause=False)

        self.emit("if", (test,), blocks=(Block(), self.in_block(fail)))

    def stmt_Try(self, node: ast.Try) -> None:
        caught = self.temp("caught")
        body = self.body_block(node.body)
        handler = self.in_block(lambda: self.handlers(node.handlers, caught)) if node.handlers else Block()
        orelse = self.body_block(node.orelse)
        final = self.body_block(node.finalbody)
        attrs: dict[str, Any] = {"handles": bool(node.handlers), "finally_": bool(node.finalbody)}
        self.emit("try", outs=(caught,), blocks=(body, handler, orelse, final), **attrs)

    def handlers(self, handlers: list[ast.ExceptHandler], caught: Var) -> None:
        if not handlers:
            self.emit("raise", (), cause=False)
            return
        first, rest = handlers[0], handlers[1:]
        self.line = first.lineno

        def handle() -> None:
            name = first.name
            if name is None:
                self.statements(first.body)
                return
            self.store_name(name, caught)
            if self.plain_local(name) is not None and not self.used_outside(name):
                self.statements(first.body)
                return

            def forget() -> None:
                self.store_name(name, Lit(None))
                self.delete_name(name)

            body, final = self.body_block(first.body), self.in_block(forget)
            blocks = (body, Block(), Block(), final)
            self.emit("try", outs=(self.temp("caught"),), blocks=blocks, handles=False, finally_=True)

        if first.type is None:
            handle()
            return
        test = self.op("matches", (caught, self.expression(first.type)))
        self.emit(
            "if", (test,), blocks=(self.in_block(handle), self.in_block(lambda: self.handlers(rest, caught)))
        )

    def used_outside(self, name: str) -> bool:
        """Whether `name`, which an `except` clause binds, means something outside such clauses."""

        def names(node: ast.AST) -> bool:
            if isinstance(node, ast.ExceptHandler) and node.name == name:
                return False
            if isinstance(node, ast.Name) and node.id == name:
                return True
            return any(map(names, ast.iter_child_nodes(node)))

        return names(self.node)

    def stmt_With(self, node: ast.With) -> None:
        self.with_items(node.items, node.body)

    def with_items(self, items: list[ast.withitem], body: list[ast.stmt]) -> None:
        if not items:
            self.statements(body)
            return
        item, rest = items[0], items[1:]
        manager = self.stable(self.expression(item.context_expr))
        entered = self.op("call_method", (manager,), name="__enter__", keywords=(), starred=(), special=True)
        hit, caught = self.temp("hit"), self.temp("caught")
        self.emit("copy", (Lit(False),), (hit,))

        def run() -> None:
            if item.optional_vars is not None:
                self.assign(item.optional_vars, entered)
            self.with_items(rest, body)

        def leave(*args: Operand) -> Operand:
            attrs: dict[str, Any] = {"keywords": (), "starred": (False,) * 3, "special": True}
            return self.op("call_method", (manager, *args), name="__exit__", **attrs)

        def failed() -> None:
            self.emit("copy", (Lit(True),), (hit,))
            kind = self.op("getattr", (caught,), name="__class__")
            trace = self.op("getattr", (caught,), name="__traceback__")
            swallow = leave(kind, caught, trace)
            again = self.in_block(lambda: self.emit("raise", (), cause=False))
            self.emit("if", (swallow,), blocks=(Block(), again))

        def finish() -> None:
            none = self.in_block(lambda: leave(Lit(None), Lit(None), Lit(None)))
            self.emit("if", (hit,), blocks=(Block(), none))

        blocks = (self.in_block(run), self.in_block(failed), Block(), self.in_block(finish))
        self.emit("try", outs=(caught,), blocks=blocks, handles=True, finally_=True)

    def stmt_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        decorators = self.expressions(node.decorator_list)
        value: Operand = self.function(node, node.name)
        if decorators:
            self.annotations(node, value)
        for decorator in reversed(decorators):
            value = self.op("call", (decorator, value), keywords=(), starred=(False,))
        self.store_name(node.name, value)

    def annotations(self, node: ast.FunctionDef | ast.AsyncFunctionDef, function: Operand) -> None:
        """`__annotations__` of a decorated function: a decorator may look at them."""
        if sys.version_info >= (3, 14):
            return
        a = node.args
        every = [*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg]
        notes = [(p.arg, p.annotation) for p in every if p is not None and p.annotation is not None]
        notes += [("return", node.returns)] if node.returns is not None else []
        if not notes:
            return
        items: list[Operand] = []
        for name, note in notes:
            items += [
                Lit(self.mangle(name)),
                Lit(ast.unparse(note)) if self.notes_as_text() else self.expression(note),
            ]
        table = self.op("dict", tuple(items), spread=(False,) * len(notes))
        self.emit("setattr", (function, table), name="__annotations__")

    def notes_as_text(self) -> bool:
        """Whether annotations are kept as their text."""
        return bool(self.code.co_flags & __future__.annotations.compiler_flag)

    def stmt_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.stmt_FunctionDef(node)

    def stmt_ClassDef(self, node: ast.ClassDef) -> None:
        decorators = self.expressions(node.decorator_list)
        code, cells = self.inner_code(node, node.name)
        args, attrs = self.arguments([], node)
        value: Operand = self.op(
            "class", (*args, *cells), code=code, name=node.name, cells=len(cells), **attrs
        )
        for decorator in reversed(decorators):
            value = self.op("call", (decorator, value), keywords=(), starred=(False,))
        self.store_name(node.name, value)

    def stmt_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            out = self.temp()
            self.emit("import", outs=(out,), module=alias.name, names=(), level=0, asname=alias.asname)
            self.store_name(alias.asname or alias.name.split(".")[0], out)

    def stmt_ImportFrom(self, node: ast.ImportFrom) -> None:
        outs = tuple(self.temp() for _ in node.names)
        names = tuple(a.name for a in node.names)
        self.emit("import", outs=outs, module=node.module or "", names=names, level=node.level, asname=None)
        for alias, out in zip(node.names, outs, strict=True):
            self.store_name(alias.asname or alias.name, out)


def ends(block: Block) -> bool:
    """Whether what follows `block` is never reached."""
    if not block.ops:
        return False
    last = block.ops[-1]
    match last.kind:
        case "return" | "break" | "continue" | "raise":
            return True
        case "if":
            return all(map(ends, last.blocks))
        case "while":
            endless = [op.kind == "copy" and op.args == (Lit(True),) for op in last.blocks[0].ops] == [True]
            return endless and not leaves(last.blocks[1])
        case "try":
            body, handler, orelse, final = last.blocks
            done = ends(body) or ends(orelse)
            return ends(final) or (done and (not last.attrs["handles"] or ends(handler)))
    return False


def leaves(block: Block) -> bool:
    """Whether a `break` in `block` leaves the loop around it."""
    for op in block.ops:
        if op.kind == "break":
            return True
        inner = op.blocks[-1:] if op.kind in ("for", "while") else op.blocks
        if any(map(leaves, inner)):
            return True
    return False


def constant_truth(node: ast.expr) -> bool | None:
    """The truth of a test that the compiler knows: it leaves out what such a test excludes."""
    match node:
        case ast.Constant(value=value):
            return bool(value)
        case ast.Name(id="__debug__"):
            return __debug__
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            known = constant_truth(operand)
            return None if known is None else not known
    return None


__all__ = ["Lowering", "Op", "lower"]
