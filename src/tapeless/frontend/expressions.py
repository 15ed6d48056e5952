"""Expressions of a function, lowered to operations on variables."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, NoReturn

from tapeless.errors import UnsupportedSyntaxError, locate
from tapeless.frontend.source import FunctionNode, code_of_node
from tapeless.program.ir import Block, Lit, Op, Operand, Var

COMPARE = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip


def compound(node: ast.expr) -> bool:
    """Whether `node` lowers to an operation that gives a fresh result (rather than to a name or a literal)."""
    return isinstance(node, ast.BinOp | ast.UnaryOp | ast.Call | ast.Attribute | ast.Subscript | ast.Tuple | ast.List)


class Expressions:
    """Names, cells, temporaries, and the lowering of expressions."""

    def __init__(self, code: CodeType, node: FunctionNode) -> None:
        self.code, self.node = code, node
        self.block = Block()
        self.line = code.co_firstlineno
        self.locals: set[str] = set()
        self.captured: set[str] = set()
        self.declared_global: set[str] = set()
        self.cells: dict[str, Var] = {}
        self.vars: dict[str, Var] = {}
        self.taken: set[str] = {*code.co_names, *code.co_varnames, *code.co_cellvars, *code.co_freevars}
        self.scopes: list[dict[str, tuple[str, Var]]] = []
        self.count = 0
        parts = code.co_qualname.split(".")
        pairs = [a for a, b in zip(parts, parts[1:], strict=False) if "<" not in a and "<" not in b]
        self.class_name = pairs[-1].lstrip("_") if pairs else ""

    # ---- building blocks

    def unsupported(self, what: str, way_out: str) -> NoReturn:
        message = f"{what} is not differentiated; {way_out}"
        raise UnsupportedSyntaxError(locate(message, self.code.co_filename, self.line))

    def mangle(self, name: str) -> str:
        private = self.class_name and name.startswith("__") and not name.endswith("__")
        return f"_{self.class_name}{name}" if private else name

    def emit(
        self, kind: str, args: tuple[Operand, ...] = (), outs: tuple[Var, ...] = (), blocks: tuple[Block, ...] = (), **attrs: Any
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
        return self.new_var(f"_{hint}{self.count}")

    def local(self, name: str) -> Var:
        if name not in self.vars:
            self.vars[name] = Var(name) if name in self.taken else self.new_var(name)
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
            return self.op("load_cell", (var,), into, name=name)
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
            self.emit("del_cell", (var,), name=name)
        else:
            self.emit("del_global", name=self.mangle(name))

    def plain_local(self, name: str) -> Var | None:
        kind, var = self.place(name)
        return var if kind == "local" else None

    def stable(self, value: Operand) -> Operand:
        """`value`, in a temporary if it is a variable that later code may rebind."""
        if isinstance(value, Var) and not value.name.startswith("_t"):
            return self.op("copy", (value,))
        return value

    # ---- expressions

    def expressions(self, nodes: Sequence[ast.expr]) -> list[Operand]:
        """Operands of several expressions, in order; a name that a later one rebinds is read in time."""
        values: list[Operand] = []
        rebinds = [any(isinstance(n, ast.NamedExpr) for n in ast.walk(node)) for node in nodes]
        for i, node in enumerate(nodes):
            value = self.expression(node)
            values.append(self.stable(value) if any(rebinds[i + 1 :]) else value)
        return values

    def expression(self, node: ast.expr, into: Var | None = None) -> Operand:
        line, self.line = self.line, getattr(node, "lineno", self.line)
        method = getattr(self, f"expr_{type(node).__name__}", None)
        if method is None:
            self.unsupported(f"an expression of kind {type(node).__name__}", "write it in other expressions")
        value: Operand = method(node, into)
        if into is not None and value is not into:
            self.emit("copy", (value,), (into,))
            value = into
        self.line = line
        return value

    def expr_Constant(self, node: ast.Constant, into: Var | None) -> Operand:
        return Lit(node.value)

    def expr_Name(self, node: ast.Name, into: Var | None) -> Operand:
        return self.load_name(node.id, into)

    def expr_NamedExpr(self, node: ast.NamedExpr, into: Var | None) -> Operand:
        value = self.expression(node.value)
        scopes, self.scopes = self.scopes, []  # a walrus binds in the function, not in the comprehension
        self.store_name(node.target.id, value)
        self.scopes = scopes
        return value

    def expr_BinOp(self, node: ast.BinOp, into: Var | None) -> Operand:
        left, right = self.expressions([node.left, node.right])
        return self.op("binary", (left, right), into, op=type(node.op).__name__)

    def expr_UnaryOp(self, node: ast.UnaryOp, into: Var | None) -> Operand:
        value = self.expression(node.operand)
        if isinstance(value, Lit) and isinstance(node.op, ast.USub) and type(value.value) in (int, float):
            return Lit(-value.value)
        return self.op("unary", (value,), into, op=type(node.op).__name__)

    def expr_BoolOp(self, node: ast.BoolOp, into: Var | None) -> Operand:
        out = self.temp()

        def rest(nodes: list[ast.expr]) -> None:
            self.expression_into(nodes[0], out)
            if len(nodes) > 1:
                more = self.in_block(lambda: rest(nodes[1:]))
                both = isinstance(node.op, ast.And)
                self.emit("if", (out,), blocks=(more, Block()) if both else (Block(), more))

        rest(node.values)
        return out

    def expression_into(self, node: ast.expr, out: Var) -> None:
        self.expression(node, out)

    def expr_IfExp(self, node: ast.IfExp, into: Var | None) -> Operand:
        out = self.temp()
        test = self.expression(node.test)
        then = self.in_block(lambda: self.expression_into(node.body, out))
        orelse = self.in_block(lambda: self.expression_into(node.orelse, out))
        self.emit("if", (test,), blocks=(then, orelse))
        return out

    def expr_Compare(self, node: ast.Compare, into: Var | None) -> Operand:
        if len(node.ops) == 1:
            left, right = self.expressions([node.left, node.comparators[0]])
            return self.op("compare", (left, right), into, op=COMPARE[type(node.ops[0])])
        out = self.temp()
        left = self.stable(self.expression(node.left))

        def link(left: Operand, index: int) -> None:
            right = self.expression(node.comparators[index])
            last = index == len(node.ops) - 1
            right = right if last else self.stable(right)
            self.emit("compare", (left, right), (out,), op=COMPARE[type(node.ops[index])])
            if not last:
                self.emit("if", (out,), blocks=(self.in_block(lambda: link(right, index + 1)), Block()))

        link(left, 0)
        return out

    def _display(self, kind: str, elements: Sequence[ast.expr], into: Var | None) -> Operand:
        starred = tuple(isinstance(e, ast.Starred) for e in elements)
        values = self.expressions([e.value if isinstance(e, ast.Starred) else e for e in elements])
        return self.op(kind, tuple(values), into, starred=starred)

    def expr_Tuple(self, node: ast.Tuple, into: Var | None) -> Operand:
        return self._display("tuple", node.elts, into)

    def expr_List(self, node: ast.List, into: Var | None) -> Operand:
        return self._display("list", node.elts, into)

    def expr_Set(self, node: ast.Set, into: Var | None) -> Operand:
        return self._display("set", node.elts, into)

    def expr_Dict(self, node: ast.Dict, into: Var | None) -> Operand:
        parts = [p for k, v in zip(node.keys, node.values, strict=True) for p in ((v,) if k is None else (k, v))]
        values = self.expressions(parts)
        return self.op("dict", tuple(values), into, spread=tuple(k is None for k in node.keys))

    def expr_Attribute(self, node: ast.Attribute, into: Var | None) -> Operand:
        return self.op("getattr", (self.expression(node.value),), into, name=self.mangle(node.attr))

    def expr_Subscript(self, node: ast.Subscript, into: Var | None) -> Operand:
        return self.op("getitem", tuple(self.expressions([node.value, node.slice])), into)

    def expr_Slice(self, node: ast.Slice, into: Var | None) -> Operand:
        parts = [Lit(None) if p is None else self.expression(p) for p in (node.lower, node.upper, node.step)]
        return self.op("slice", tuple(parts), into)

    def expr_JoinedStr(self, node: ast.JoinedStr, into: Var | None) -> Operand:
        template: list[Any] = []
        args: list[Operand] = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                template.append(part.value)
            elif isinstance(part, ast.FormattedValue):
                args.append(self.expression(part.value))
                if part.format_spec is not None:
                    args.append(self.expression(part.format_spec))
                template.append((part.conversion, part.format_spec is not None))
        return self.op("format", tuple(args), into, template=tuple(template))

    def expr_Call(self, node: ast.Call, into: Var | None) -> Operand:
        func = node.func
        is_global = isinstance(func, ast.Name) and self.place(func.id)[0] == "global"
        name = func.id if isinstance(func, ast.Name) and is_global else ""
        if name == "super" and not node.args and not node.keywords:
            first = self.load_name(self.code.co_varnames[0])
            return self.op("call", (Lit(super), self.load_name("__class__"), first), into, keywords=(), starred=(False, False))
        if name in ("locals", "vars", "dir") and not node.args:
            self.unsupported(f"`{name}()`, which looks at the frame,", "name the variables")
        positional = [a.value if isinstance(a, ast.Starred) else a for a in node.args]
        starred = tuple(isinstance(a, ast.Starred) for a in node.args)
        keywords = tuple(k.arg for k in node.keywords)
        values = [k.value for k in node.keywords]
        attrs: dict[str, Any] = {"keywords": keywords, "starred": starred}
        if isinstance(func, ast.Attribute):
            operands = self.expressions([func.value, *positional, *values])
            return self.op("call_method", tuple(operands), into, name=self.mangle(func.attr), **attrs)
        operands = self.expressions([func, *positional, *values])
        return self.op("call", tuple(operands), into, **attrs)

    def expr_Yield(self, node: ast.Yield, into: Var | None) -> Operand:
        value = Lit(None) if node.value is None else self.expression(node.value)
        return self.op("yield", (value,), into)

    def expr_YieldFrom(self, node: ast.YieldFrom, into: Var | None) -> Operand:
        return self.op("yield_from", (self.expression(node.value),), into)

    def expr_Lambda(self, node: ast.Lambda, into: Var | None) -> Operand:
        return self.function(node, "<lambda>", into)

    # ---- inner functions and comprehensions

    def inner_code(self, node: ast.AST, name: str) -> tuple[CodeType, tuple[Operand, ...]]:
        code = code_of_node(self.code, node, name)
        cells: list[Operand] = []
        for free in code.co_freevars:
            kind, var = self.place(free)
            if kind != "cell" or var is None:
                self.unsupported(f"the capture of {free!r}", "pass it as an argument")
            cells.append(var)
        return code, tuple(cells)

    def function(self, node: ast.FunctionDef | ast.Lambda, name: str, into: Var | None = None) -> Var:
        defaults = self.expressions(node.args.defaults)
        named = [(a.arg, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if d is not None]
        kwdefaults = self.expressions([d for _, d in named])
        code, cells = self.inner_code(node, name)
        return self.op(
            "function",
            (*defaults, *kwdefaults, *cells),
            into,
            code=code,
            name=name,
            defaults=len(defaults),
            kwdefaults=tuple(n for n, _ in named),
            cells=len(cells),
        )

    def expr_GeneratorExp(self, node: ast.GeneratorExp, into: Var | None) -> Operand:
        iterable = self.expression(node.generators[0].iter)
        iterator = self.op("call", (Lit(iter), iterable), keywords=(), starred=(False,))
        code, cells = self.inner_code(node, "<genexpr>")
        make = self.op("function", cells, code=code, name="<genexpr>", defaults=0, kwdefaults=(), cells=len(cells))
        return self.op("call", (make, iterator), into, keywords=(), starred=(False,))

    def generator_expression(self, node: ast.GeneratorExp, iterator: Var) -> None:
        """The body of a generator expression's own function."""
        self.scopes.append(self.comprehension_scope(node.generators))
        self.comprehension_loops(node.generators, lambda: self.op("yield", (self.expression(node.elt),)), iterator)
        self.scopes.pop()

    def comprehension_scope(self, generators: list[ast.comprehension]) -> dict[str, tuple[str, Var]]:
        scope: dict[str, tuple[str, Var]] = {}
        for generator in generators:
            for n in ast.walk(generator.target):
                if isinstance(n, ast.Name) and n.id not in scope:
                    if n.id in self.captured:
                        scope[n.id] = ("cell", self.new_var(f"{n.id}_cell"))
                        self.emit("new_cell", outs=(scope[n.id][1],), name=n.id)
                    else:
                        free = n.id not in self.locals and not any(n.id in s for s in self.scopes)
                        known = n.id in self.vars
                        var = Var(n.id) if free and not known and n.id not in self.code.co_names else self.new_var(n.id)
                        scope[n.id] = ("local", var)
        return scope

    def comprehension_loops(
        self, generators: list[ast.comprehension], body: Callable[[], Any], iterator: Operand | None = None
    ) -> None:
        if not generators:
            body()
            return
        first, rest = generators[0], generators[1:]
        if first.is_async:
            self.unsupported("an asynchronous comprehension", "write a loop")

        def inner(tests: list[ast.expr]) -> None:
            if tests:
                test = self.expression(tests[0])
                self.emit("if", (test,), blocks=(self.in_block(lambda: inner(tests[1:])), Block()))
            else:
                self.comprehension_loops(rest, body)

        iterable = self.expression(first.iter) if iterator is None else iterator
        self.loop(first.target, iterable, lambda: inner(first.ifs), Block())

    def loop(self, target: ast.expr, iterable: Operand, body: Callable[[], Any], orelse: Block) -> None:
        plain = self.plain_local(target.id) if isinstance(target, ast.Name) else None
        item = plain if plain is not None else self.temp("item")

        def run() -> None:
            if plain is None:
                self.assign(target, item)
            body()

        self.emit("for", (iterable,), (item,), (self.in_block(run), orelse))

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp) -> Operand:
        first = self.expression(node.generators[0].iter)
        if isinstance(node, ast.DictComp):
            result = self.op("dict", spread=())
        else:
            result = self.op("list" if isinstance(node, ast.ListComp) else "set", starred=())
        self.scopes.append(self.comprehension_scope(node.generators))

        def add() -> None:
            if isinstance(node, ast.DictComp):
                key, value = self.expressions([node.key, node.value])
                self.emit("setitem", (result, key, value))
            else:
                method = "append" if isinstance(node, ast.ListComp) else "add"
                value = self.expression(node.elt)
                self.op("call_method", (result, value), name=method, keywords=(), starred=(False,))

        self.comprehension_loops(node.generators, add, first)
        self.scopes.pop()
        return result

    def expr_ListComp(self, node: ast.ListComp, into: Var | None) -> Operand:
        return self._comprehension(node)

    def expr_SetComp(self, node: ast.SetComp, into: Var | None) -> Operand:
        return self._comprehension(node)

    def expr_DictComp(self, node: ast.DictComp, into: Var | None) -> Operand:
        return self._comprehension(node)

    def assign(self, target: ast.expr, value: Operand) -> None:
        raise NotImplementedError

    def expr_Starred(self, node: ast.Starred, into: Var | None) -> Operand:
        return self.op("tuple", (self.expression(node.value),), into, starred=(True,))
