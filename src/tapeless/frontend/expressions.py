"""Expressions of a function, lowered to operations on variables."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

from tapeless.frontend.builder import Builder
from tapeless.frontend.source import code_of_node
from tapeless.program.ir import Block, Lit, Operand, Var

COMPARE = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip


#: What nothing written beside it can observe being evaluated earlier or later.
_SIMPLE = (ast.Name, ast.Constant, ast.Attribute, ast.Lambda, ast.expr_context, ast.arguments, ast.arg)

#: What lowers to operations of which only the last one assigns the result.
_COMPOUND = (
    ast.BinOp, ast.UnaryOp, ast.Call, ast.Attribute, ast.Subscript, ast.Tuple, ast.List, ast.Set, ast.Dict,
    ast.JoinedStr, ast.IfExp, ast.Lambda, ast.GeneratorExp, ast.Yield, ast.YieldFrom,
)  # fmt: skip


def simple(node: ast.AST) -> bool:
    """Whether it cannot matter when `node` is evaluated: a name, a constant, an attribute of such."""
    return isinstance(node, ast.Lambda) or all(isinstance(n, _SIMPLE) for n in ast.walk(node))


def rebinds(node: ast.AST) -> bool:
    """Whether evaluating `node` may assign a local variable."""
    return any(isinstance(n, ast.NamedExpr) for n in ast.walk(node))


def gives_bool(node: ast.expr) -> bool:
    """Whether `node` is (nearly always) a bool, whose truth can be asked twice."""
    match node:
        case ast.Compare() | ast.UnaryOp(op=ast.Not()) | ast.Constant():
            return True
    return False


def plain_spec(part: ast.FormattedValue) -> bool:
    """Whether the format after the colon is text, with no values of its own."""
    return not any(isinstance(n, ast.FormattedValue) for n in ast.walk(part) if n is not part)


def compound(node: ast.expr) -> bool:
    """Whether `node` lowers to an operation with a fresh result, rather than to a name or a literal."""
    if isinstance(node, ast.Compare):
        return len(node.ops) == 1
    return isinstance(node, _COMPOUND)


class Expressions(Builder):
    """The lowering of expressions."""

    def expressions(self, nodes: Sequence[ast.expr]) -> list[Operand]:
        """Operands of several expressions, in order; a name that a later one rebinds is read in time.

        Of a starred one the operand is what has the star, unpacked in time where later ones could tell.
        """
        values: list[Operand] = []
        for i, node in enumerate(nodes):
            later = nodes[i + 1 :]
            starred = isinstance(node, ast.Starred)
            value = self.expression(node.value if isinstance(node, ast.Starred) else node)
            if starred and not all(simple(n.value if isinstance(n, ast.Starred) else n) for n in later):
                value = self.op("tuple", (value,), starred=(True,))
            values.append(self.stable(value) if any(map(rebinds, later)) else value)
        return values

    def mapped(self, keys: Sequence[ast.expr | None], nodes: Sequence[ast.expr]) -> list[Operand]:
        """Operands of `key: value` and `**mapping` items; a mapping is unpacked in time as above."""
        values: list[Operand] = []
        for i, (key, node) in enumerate(zip(keys, nodes, strict=True)):
            later = [n for n in (*keys[i + 1 :], *nodes[i + 1 :]) if n is not None]
            if key is not None:
                pair = self.expressions([key, node])
                values += map(self.stable, pair) if any(map(rebinds, later)) else pair
                continue
            value = self.expression(node)
            if not all(map(simple, later)):
                value = self.op("dict", (value,), spread=(True,))
            values.append(value)
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
        self.any_or_all(node, out)
        return out

    def any_or_all(self, node: ast.BoolOp, out: Var) -> None:
        """The value of `and` or `or` in `out`."""
        both = isinstance(node.op, ast.And)

        def rest(nodes: list[ast.expr]) -> None:
            if len(nodes) == 1:
                self.expression(nodes[0], out)
                return
            test = self.truth(nodes[0], out)
            more = self.in_block(lambda: rest(nodes[1:]))
            self.emit("if", (test,), blocks=(more, Block()) if both else (Block(), more))

        rest(node.values)

    def truth(self, node: ast.expr, into: Var | None = None) -> Operand:
        """An operand that is true when `node` is (`into` gets the value of `node`).

        The truth of each part of `node` is asked once, as in the plain program: what decided `a and b` is
        not asked again by the `if` around it.
        """
        match node:
            case ast.BoolOp(op=op, values=values) if not all(map(gives_bool, values[:-1])):
                hit, both = self.temp("hit"), isinstance(op, ast.And)
                self.emit("copy", (Lit(not both),), (hit,))

                def rest(nodes: list[ast.expr]) -> None:
                    if not nodes:
                        self.emit("copy", (Lit(both),), (hit,))
                        return
                    test = self.truth(nodes[0], into)
                    more = self.in_block(lambda: rest(nodes[1:]))
                    self.emit("if", (test,), blocks=(more, Block()) if both else (Block(), more))

                rest(values)
                return hit
            case ast.UnaryOp(op=ast.Not(), operand=operand) if into is None:
                return self.op("unary", (self.truth(operand),), op="Not")
            case ast.IfExp() if into is None:
                out = self.temp()
                self.choose(node, lambda part: self.emit("copy", (self.truth(part),), (out,)))
                return out
        return self.expression(node, into)

    def choose(self, node: ast.IfExp, build: Callable[[ast.expr], Any]) -> None:
        test = self.truth(node.test)
        blocks = (self.in_block(lambda: build(node.body)), self.in_block(lambda: build(node.orelse)))
        self.emit("if", (test,), blocks=blocks)

    def expr_IfExp(self, node: ast.IfExp, into: Var | None) -> Operand:
        out = self.temp() if into is None else into
        self.choose(node, lambda part: self.expression(part, out))
        return out

    def expr_Compare(self, node: ast.Compare, into: Var | None) -> Operand:
        if len(node.ops) == 1:
            left, right = self.expressions([node.left, node.comparators[0]])
            return self.op("compare", (left, right), into, op=COMPARE[type(node.ops[0])])
        out = self.temp()

        def part(index: int) -> Operand:
            value = self.expression([node.left, *node.comparators][index])
            return self.stable(value) if any(map(rebinds, node.comparators[index:])) else value

        def link(left: Operand, index: int) -> None:
            right = part(index + 1)
            last = index == len(node.ops) - 1
            self.emit("compare", (left, right), (out,), op=COMPARE[type(node.ops[index])])
            if not last:
                self.emit("if", (out,), blocks=(self.in_block(lambda: link(right, index + 1)), Block()))

        link(part(0), 0)
        return out

    def _display(self, kind: str, elements: Sequence[ast.expr], into: Var | None) -> Operand:
        starred = tuple(isinstance(e, ast.Starred) for e in elements)
        values = self.expressions(elements)
        return self.op(kind, tuple(values), into, starred=starred)

    def expr_Tuple(self, node: ast.Tuple, into: Var | None) -> Operand:
        return self._display("tuple", node.elts, into)

    def expr_List(self, node: ast.List, into: Var | None) -> Operand:
        return self._display("list", node.elts, into)

    def expr_Set(self, node: ast.Set, into: Var | None) -> Operand:
        return self._display("set", node.elts, into)

    def expr_Dict(self, node: ast.Dict, into: Var | None) -> Operand:
        values = self.mapped(node.keys, node.values)
        return self.op("dict", tuple(values), into, spread=tuple(k is None for k in node.keys))

    def expr_Attribute(self, node: ast.Attribute, into: Var | None) -> Operand:
        return self.op("getattr", (self.expression(node.value),), into, name=self.mangle(node.attr))

    def expr_Subscript(self, node: ast.Subscript, into: Var | None) -> Operand:
        return self.op("getitem", tuple(self.expressions([node.value, node.slice])), into)

    def expr_Slice(self, node: ast.Slice, into: Var | None) -> Operand:
        nothing = ast.Constant(None)
        parts = self.expressions([p or nothing for p in (node.lower, node.upper, node.step)])
        return self.op("slice", tuple(parts), into)

    def expr_JoinedStr(self, node: ast.JoinedStr, into: Var | None) -> Operand:
        if all(isinstance(part, ast.Constant) for part in node.values):
            return Lit("".join(str(part.value) for part in node.values if isinstance(part, ast.Constant)))
        template: list[Any] = []
        args: list[Operand] = []
        for i, part in enumerate(node.values):
            if isinstance(part, ast.Constant):
                template.append(part.value)
            elif isinstance(part, ast.FormattedValue):
                spec = [] if part.format_spec is None else [part.format_spec]
                values = tuple(self.expressions([part.value, *spec]))
                shape = (part.conversion, bool(spec))
                later = [p for p in node.values[i + 1 :] if isinstance(p, ast.FormattedValue)]
                if not all(simple(p.value) and plain_spec(p) for p in later):
                    values, shape = (self.op("format", values, template=(shape,)),), (-1, False)
                args += values
                template.append(shape)
        return self.op("format", tuple(args), into, template=tuple(template))

    def expr_Call(self, node: ast.Call, into: Var | None) -> Operand:
        func = node.func
        is_global = isinstance(func, ast.Name) and self.place(func.id)[0] == "global"
        name = func.id if isinstance(func, ast.Name) and is_global else ""
        in_class = "__class__" in self.code.co_freevars and self.code.co_argcount
        if name == "super" and in_class and not node.args and not node.keywords:
            first = self.load_name(self.code.co_varnames[0])
            return self.op(
                "call",
                (Lit(super), self.load_name("__class__"), first),
                into,
                keywords=(),
                starred=(False, False),
            )
        if name in ("locals", "vars", "dir") and not node.args and not node.keywords:
            found = self.frame()
            plain: dict[str, Any] = {"keywords": (), "starred": (False,)}
            return found if name != "dir" else self.op("call", (Lit(sorted), found), into, **plain)
        if name in ("eval", "exec") and len(node.args) == 1 and not isinstance(node.args[0], ast.Starred):
            return self.evaluated(node, into)
        if isinstance(func, ast.Attribute):
            operands, attrs = self.arguments([func.value], node)
            return self.op("call_method", operands, into, name=self.mangle(func.attr), **attrs)
        operands, attrs = self.arguments([func], node)
        return self.op("call", operands, into, **attrs)

    def frame(self) -> Var:
        """What `locals()` gives: a dict of the variables that are bound at this point."""
        table = self.op("dict", spread=())
        names = self.locals.union(self.cells, *self.scopes)
        for name in sorted(names):
            caught = self.temp("caught")

            def keep(name: str = name) -> None:
                self.emit("setitem", (table, Lit(name), self.load_name(name)))

            other = self.in_block(lambda: self.emit("raise", cause=False))

            def unless_unbound(caught: Var = caught, other: Block = other) -> None:
                self.emit("if", (self.op("matches", (caught, Lit(NameError))),), blocks=(Block(), other))

            blocks = (self.in_block(keep), self.in_block(unless_unbound), Block(), Block())
            self.emit("try", outs=(caught,), blocks=blocks, handles=True, finally_=False)
        return table

    def evaluated(self, node: ast.Call, into: Var | None) -> Operand:
        """`eval(text)` and `exec(text)` see the frame's names: they are handed in."""
        function, text = self.expressions([node.func, node.args[0]])
        names = self.op("call", (self.op("global", name="globals"),), keywords=(), starred=())
        args = (function, text, names, self.frame())
        return self.op("call", args, into, keywords=(), starred=(False,) * 3)

    def arguments(
        self, first: list[ast.expr], node: ast.Call | ast.ClassDef
    ) -> tuple[tuple[Operand, ...], dict[str, Any]]:
        """Operands of `first` and of the arguments of a call or class, with the attributes saying which."""
        args = node.args if isinstance(node, ast.Call) else node.bases
        starred = tuple(isinstance(a, ast.Starred) for a in args)
        keywords = tuple(k.arg for k in node.keywords)
        nodes = [*first, *args, *(k.value for k in node.keywords)]
        values: list[Operand] = []
        for i, part in enumerate(nodes):
            later = [n.value if isinstance(n, ast.Starred) else n for n in nodes[i + 1 :]]
            value = self.expression(part.value if isinstance(part, ast.Starred) else part)
            if isinstance(part, ast.Starred) and not all(map(simple, later)):
                value = self.op("tuple", (value,), starred=(True,))
            spread = i >= len(first) + len(args) and keywords[i - len(first) - len(args)] is None
            if spread and not all(map(simple, later)):
                value = self.op("dict", (value,), spread=(True,))
            values.append(self.stable(value) if any(map(rebinds, later)) else value)
        return tuple(values), {"keywords": keywords, "starred": starred}

    def expr_Yield(self, node: ast.Yield, into: Var | None) -> Operand:
        value = Lit(None) if node.value is None else self.expression(node.value)
        return self.op("yield", (value,), into)

    def expr_YieldFrom(self, node: ast.YieldFrom, into: Var | None) -> Operand:
        return self.op("yield_from", (self.expression(node.value),), into)

    def expr_Lambda(self, node: ast.Lambda, into: Var | None) -> Operand:
        return self.function(node, "<lambda>", into)

    # ---- inner functions and comprehensions

    def inner_code(self, node: ast.AST, name: str) -> tuple[CodeType, tuple[Operand, ...]]:
        code = code_of_node(self.code, node, name, self.node)
        cells: list[Operand] = []
        for free in code.co_freevars:
            kind, var = self.place(free)
            if kind != "cell" or var is None:
                self.unsupported(f"the capture of {free!r}", "pass it as an argument")
            cells.append(var)
        return code, tuple(cells)

    def function(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, name: str, into: Var | None = None
    ) -> Var:
        defaults = self.expressions(node.args.defaults)
        named = [
            (a.arg, d)
            for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            if d is not None
        ]
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
        make = self.op(
            "function", cells, code=code, name="<genexpr>", defaults=0, kwdefaults=(), cells=len(cells)
        )
        return self.op("call", (make, iterator), into, keywords=(), starred=(False,))

    def generator_expression(self, node: ast.GeneratorExp, iterator: Var) -> None:
        """The body of a generator expression's own function."""
        self.scopes.append(self.comprehension_scope(node.generators))
        self.comprehension_loops(
            node.generators, lambda: self.op("yield", (self.expression(node.elt),)), iterator
        )
        self.scopes.pop()

    def comprehension_scope(self, generators: list[ast.comprehension]) -> dict[str, tuple[str, Var]]:
        scope: dict[str, tuple[str, Var]] = {}
        for generator in generators:
            for n in ast.walk(generator.target):
                if (
                    not isinstance(n, ast.Name)
                    or not isinstance(n.ctx, ast.Store)
                    or self.mangle(n.id) in scope
                ):
                    continue
                name = self.mangle(n.id)
                if name in self.captured:
                    scope[name] = ("cell", self.new_var(f"{name}_cell"))
                    self.emit("new_cell", outs=(scope[name][1],), name=name)
                else:
                    scope[name] = ("local", self.new_var(name))
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
                test = self.truth(tests[0])
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
                key, value = self.mapped([node.key], [node.value])
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
