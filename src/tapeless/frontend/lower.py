"""Statements of a function, lowered to a Program."""

from __future__ import annotations

import ast
from types import CodeType
from typing import Any

from tapeless.errors import UnsupportedSyntaxError, locate
from tapeless.frontend.expressions import Expressions, compound
from tapeless.frontend.scope import Names, captured_names, parameters
from tapeless.frontend.source import node_of
from tapeless.program.ir import Block, Lit, Op, Operand, Param, Program, Var

_programs: dict[CodeType, Program] = {}


def lower(code: CodeType, module_globals: dict[str, object] | None = None) -> Program:
    """The Program of the function that `code` belongs to; cached by code object."""
    program = _programs.get(code)
    if program is None:
        node = node_of(code, module_globals)
        try:
            program = Lowering(code, node).program()
        except UnsupportedSyntaxError:
            raise
        _programs[code] = program
    return program


class Lowering(Expressions):
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
            names.read([node])
            inner = Names().read([*(i for g in node.generators for i in g.ifs), node.elt])
            inner.read([g.iter for g in node.generators[1:]])
            self.captured = captured_names(inner)
            self.locals = set()
            param_names: list[tuple[str, str]] = [(".0", "positional")]
        else:
            names.read([node.body] if isinstance(node, ast.Lambda) else node.body)
            self.captured = captured_names(names)
            self.locals = (names.bound | set(parameters(node.args))) - names.globals - names.nonlocals
            self.declared_global = names.globals
            a = node.args
            param_names = [(p.arg, "positional") for p in a.posonlyargs]
            param_names += [(p.arg, "standard") for p in a.args]
            param_names += [(a.vararg.arg, "vararg")] if a.vararg else []
            param_names += [(p.arg, "keyword") for p in a.kwonlyargs]
            param_names += [(a.kwarg.arg, "kwarg")] if a.kwarg else []
        for name in self.code.co_freevars:
            self.cells[name] = self.new_var(f"{name}_cell")
            self.emit("free_cell", outs=(self.cells[name],), name=name)
        for name in sorted(self.locals & self.captured):
            self.cells[name] = self.new_var(f"{name}_cell")
            self.emit("new_cell", outs=(self.cells[name],), name=name)
        for name, kind in param_names:
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
            self.statement(node)

    def statement(self, node: ast.stmt) -> None:
        self.line = node.lineno
        method = getattr(self, f"stmt_{type(node).__name__}", None)
        if method is None:
            self.unsupported(f"a statement of kind {type(node).__name__}", "write it in other statements")
        method(node)

    def body_block(self, nodes: list[ast.stmt]) -> Block:
        return self.in_block(lambda: self.statements(nodes))

    def stmt_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.expression(node.value)

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
            values = [self.stable(v) for v in self.expressions(node.value.elts)]
            for one, value in zip(target.elts, values, strict=True):
                self.assign(one, value)
            return
        if len(node.targets) == 1 and isinstance(target, ast.Name) and compound(node.value):
            plain = self.plain_local(target.id)
            if plain is not None and not isinstance(node.value, ast.NamedExpr):
                self.expression(node.value, into=plain)
                return
        value = self.expression(node.value)
        for target in node.targets:
            self.assign(target, value)

    def stmt_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.assign(node.target, self.expression(node.value))

    def stmt_AugAssign(self, node: ast.AugAssign) -> None:
        target, name = node.target, type(node.op).__name__
        match target:
            case ast.Name():
                old = self.load_name(target.id)
                value = self.expression(node.value)
                plain = self.plain_local(target.id)
                if plain is not None:
                    self.emit("inplace", (old, value), (plain,), op=name)
                else:
                    self.assign(target, self.op("inplace", (old, value), op=name))
            case ast.Attribute():
                base, attr = self.stable(self.expression(target.value)), self.mangle(target.attr)
                old = self.op("getattr", (base,), name=attr)
                new = self.op("inplace", (old, self.expression(node.value)), op=name)
                self.emit("setattr", (base, new), name=attr)
            case ast.Subscript():
                base, index = map(self.stable, self.expressions([target.value, target.slice]))
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
        test = self.expression(node.test)
        self.emit("if", (test,), blocks=(self.body_block(node.body), self.body_block(node.orelse)))

    def stmt_While(self, node: ast.While) -> None:
        test = self.temp()
        cond = self.in_block(lambda: self.emit("copy", (self.expression(node.test),), (test,)))
        last = cond.ops[-1]
        if len(cond.ops) > 1 and cond.ops[-2].outs == last.args:
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
        test = self.expression(node.test)

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
        attrs = {"handles": bool(node.handlers), "finally_": bool(node.finalbody)}
        self.emit("try", outs=(caught,), blocks=(body, handler, orelse, final), **attrs)

    def handlers(self, handlers: list[ast.ExceptHandler], caught: Var) -> None:
        if not handlers:
            self.emit("raise", (), cause=False)
            return
        first, rest = handlers[0], handlers[1:]
        self.line = first.lineno

        def handle() -> None:
            if first.name:
                self.store_name(first.name, caught)
            self.statements(first.body)
            if first.name and not _ends(self.block):
                self.store_name(first.name, Lit(None))
                self.delete_name(first.name)

        if first.type is None:
            handle()
            return
        test = self.op("matches", (caught, self.expression(first.type)))
        self.emit("if", (test,), blocks=(self.in_block(handle), self.in_block(lambda: self.handlers(rest, caught))))

    def stmt_With(self, node: ast.With) -> None:
        self.with_items(node.items, node.body)

    def with_items(self, items: list[ast.withitem], body: list[ast.stmt]) -> None:
        if not items:
            self.statements(body)
            return
        item, rest = items[0], items[1:]
        manager = self.stable(self.expression(item.context_expr))
        entered = self.op("call_method", (manager,), name="__enter__", keywords=(), starred=())
        hit, caught = self.temp("hit"), self.temp("caught")
        self.emit("copy", (Lit(False),), (hit,))

        def run() -> None:
            if item.optional_vars is not None:
                self.assign(item.optional_vars, entered)
            self.with_items(rest, body)

        def leave(*args: Operand) -> Operand:
            attrs: dict[str, Any] = {"name": "__exit__", "keywords": (), "starred": (False,) * 3}
            return self.op("call_method", (manager, *args), **attrs)

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

    def stmt_FunctionDef(self, node: ast.FunctionDef) -> None:
        decorators = self.expressions(node.decorator_list)
        value: Operand = self.function(node, node.name)
        for decorator in reversed(decorators):
            value = self.op("call", (decorator, value), keywords=(), starred=(False,))
        self.store_name(node.name, value)

    def stmt_ClassDef(self, node: ast.ClassDef) -> None:
        decorators = self.expressions(node.decorator_list)
        code, cells = self.inner_code(node, node.name)
        bases = [b.value if isinstance(b, ast.Starred) else b for b in node.bases]
        args = self.expressions([*bases, *(k.value for k in node.keywords)])
        value: Operand = self.op(
            "class",
            (*args, *cells),
            code=code,
            name=node.name,
            keywords=tuple(k.arg for k in node.keywords),
            starred=tuple(isinstance(b, ast.Starred) for b in node.bases),
            cells=len(cells),
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

    # ---- match

    def stmt_Match(self, node: ast.Match) -> None:
        subject = self.stable(self.expression(node.subject))
        self.match_cases(subject, node.cases)

    def match_cases(self, subject: Operand, cases: list[ast.match_case]) -> None:
        if not cases:
            return
        case, rest = cases[0], cases[1:]
        bindings: list[tuple[str, Operand]] = []
        self.line = case.pattern.lineno
        hit = self.temp("hit")
        self.emit("copy", (Lit(False),), (hit,))

        def succeed() -> None:
            for name, value in bindings:
                self.store_name(name, value)
            if case.guard is None:
                self.emit("copy", (Lit(True),), (hit,))
            else:
                yes = self.in_block(lambda: self.emit("copy", (Lit(True),), (hit,)))
                self.emit("if", (self.expression(case.guard),), blocks=(yes, Block()))

        matched = self.pattern(subject, case.pattern, bindings)
        self.emit("if", (matched,), blocks=(self.in_block(succeed), Block()))
        then = self.body_block(case.body)
        self.emit("if", (hit,), blocks=(then, self.in_block(lambda: self.match_cases(subject, rest))))

    def pattern(self, subject: Operand, pattern: ast.pattern, bindings: list[tuple[str, Operand]]) -> Operand:
        """A boolean variable: whether `subject` matches; what it captures is appended to `bindings`."""
        match pattern:
            case ast.MatchAs(pattern=None, name=name):
                if name is not None:
                    bindings.append((name, subject))
                return Lit(True)
            case ast.MatchAs(pattern=inner, name=name) if inner is not None and name is not None:
                bindings.append((name, subject))
                return self.pattern(subject, inner, bindings)
            case ast.MatchValue(value=value):
                return self.op("compare", (subject, self.expression(value)), op="==")
            case ast.MatchSingleton(value=constant):
                return self.op("compare", (subject, Lit(constant)), op="is")
            case ast.MatchOr(patterns=patterns):
                return self.alternatives(subject, patterns, bindings)
        return self.structural_pattern(subject, pattern, bindings)

    def alternatives(self, subject: Operand, patterns: list[ast.pattern], bindings: list[tuple[str, Operand]]) -> Var:
        hit = self.temp("hit")
        names = sorted({n.name for p in patterns for n in ast.walk(p) if isinstance(n, ast.MatchAs | ast.MatchStar) and n.name})
        slots = {name: self.temp(name) for name in names}
        self.emit("copy", (Lit(False),), (hit,))
        for slot in slots.values():
            self.emit("copy", (Lit(None),), (slot,))

        def one(rest: list[ast.pattern]) -> None:
            if not rest:
                return
            found: list[tuple[str, Operand]] = []
            ok = self.pattern(subject, rest[0], found)

            def keep() -> None:
                self.emit("copy", (Lit(True),), (hit,))
                for name, value in found:
                    self.emit("copy", (value,), (slots[name],))

            self.emit("if", (ok,), blocks=(self.in_block(keep), self.in_block(lambda: one(rest[1:]))))

        one(patterns)
        bindings.extend(slots.items())
        return hit

    def structural_pattern(self, subject: Operand, pattern: ast.pattern, bindings: list[tuple[str, Operand]]) -> Var:
        """Sequence, mapping and class patterns: the parts come from the runtime, then each part is matched."""
        parts: list[ast.pattern]
        match pattern:
            case ast.MatchSequence(patterns=patterns):
                star = next((i for i, p in enumerate(patterns) if isinstance(p, ast.MatchStar)), None)
                parts = [
                    ast.MatchAs(pattern=None, name=p.name) if isinstance(p, ast.MatchStar) else p for p in patterns
                ]
                found = self.helper("match_sequence", subject, Lit(len(patterns)), Lit(star))
            case ast.MatchMapping(keys=keys, patterns=patterns, rest=rest):
                key_vars = self.op("tuple", tuple(self.expressions(keys)), starred=(False,) * len(keys))
                found = self.helper("match_mapping", subject, key_vars, Lit(rest is not None))
                parts = [*patterns, *([ast.MatchAs(pattern=None, name=rest)] if rest is not None else [])]
            case ast.MatchClass(cls=cls, patterns=patterns, kwd_attrs=attrs, kwd_patterns=kwd_patterns):
                kind = self.expression(cls)
                found = self.helper("match_class", subject, kind, Lit(len(patterns)), Lit(tuple(attrs)))
                parts = [*patterns, *kwd_patterns]
            case _:
                self.unsupported("a pattern of this kind", "write it as conditions")
        hit = self.temp("hit")
        self.emit("copy", (Lit(False),), (hit,))
        slots: list[tuple[str, Var]] = []

        def descend(rest: list[ast.pattern], values: list[Var]) -> None:
            if not rest:
                self.emit("copy", (Lit(True),), (hit,))
                return
            inner: list[tuple[str, Operand]] = []
            ok = self.pattern(values[0], rest[0], inner)

            def go_on() -> None:
                for name, value in inner:
                    slot = self.temp(name)
                    slots.append((name, slot))
                    self.emit("copy", (value,), (slot,))
                descend(rest[1:], values[1:])

            if isinstance(ok, Lit):
                go_on()
            else:
                self.emit("if", (ok,), blocks=(self.in_block(go_on), Block()))

        def open_parts() -> None:
            values = [self.temp() for _ in parts]
            self.emit("unpack", (found,), tuple(values), star=None)
            descend(parts, values)

        no = self.op("compare", (found, Lit(None)), op="is not")
        self.emit("if", (no,), blocks=(self.in_block(open_parts), Block()))
        bindings.extend(slots)
        return hit

    def helper(self, name: str, *args: Operand) -> Var:
        """A call of a function of `frontend.patterns`, which is ordinary Python and is opened like any other."""
        from tapeless.frontend import patterns

        attrs: dict[str, Any] = {"keywords": (), "starred": (False,) * len(args)}
        return self.op("call", (Lit(getattr(patterns, name)), *args), **attrs)


def _ends(block: Block) -> bool:
    return bool(block.ops) and block.ops[-1].kind in ("return", "break", "continue", "raise")


def unsupported(filename: str, line: int, what: str, way_out: str) -> UnsupportedSyntaxError:
    return UnsupportedSyntaxError(locate(f"{what} is not differentiated; {way_out}", filename, line))


__all__ = ["Lowering", "Op", "lower"]
