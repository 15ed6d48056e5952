"""The syntax tree of a function whose source is nowhere to be read, rebuilt from its bytecode.

Programs make small functions at run time: `eval("lambda x, y: -x / y**2")`.  Bytecode without loops,
exception handlers and inner functions is run here with expressions in the place of values.  An expression
stays on the stack until it is used once; one that is used twice, or would be evaluated out of order, is given
a name.  Each path of a conditional is followed to its end.
"""

from __future__ import annotations

import ast
import dis
import sys
from types import CodeType

_BEFORE = sys.version_info < (3, 13)  # where a call finds the NULL that may stand beside what is called
_BUDGET = 5_000  # instructions, over all paths: paths double at every conditional
_SKIPPED = frozenset("RESUME NOP CACHE EXTENDED_ARG PRECALL COPY_FREE_VARS TO_BOOL".split())
_UNARY: dict[str, type[ast.unaryop]] = {
    "UNARY_NEGATIVE": ast.USub,
    "UNARY_POSITIVE": ast.UAdd,
    "INTRINSIC_UNARY_POSITIVE": ast.UAdd,
    "UNARY_INVERT": ast.Invert,
    "UNARY_NOT": ast.Not,
}
_BINARY: dict[str, type[ast.operator]] = {
    "+": ast.Add, "-": ast.Sub, "*": ast.Mult, "/": ast.Div, "//": ast.FloorDiv, "%": ast.Mod, "**": ast.Pow,
    "@": ast.MatMult, "&": ast.BitAnd, "|": ast.BitOr, "^": ast.BitXor, "<<": ast.LShift, ">>": ast.RShift,
}  # fmt: skip
_COMPARE: dict[str, type[ast.cmpop]] = {
    "<": ast.Lt, "<=": ast.LtE, ">": ast.Gt, ">=": ast.GtE, "==": ast.Eq, "!=": ast.NotEq,
}  # fmt: skip
_CONVERSIONS = {None: -1, str: ord("s"), repr: ord("r"), ascii: ord("a")}


class NotSimple(Exception):
    """The bytecode holds something that is not rebuilt here."""


def function_from_bytecode(code: CodeType) -> ast.FunctionDef | None:
    """A function with the meaning of `code`; None if the code is not simple enough."""
    generates = code.co_flags & 0x2A0  # a generator or a coroutine
    if generates or code.co_exceptiontable or code.co_cellvars:
        return None
    try:
        return _Rebuilding(code).function()
    except NotSimple:
        return None


class _Null(ast.expr):
    """What the interpreter pushes beside a callable that is no method."""


class _Rebuilding:
    """Runs bytecode with expressions in the place of values."""

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.instructions = list(dis.get_instructions(code))
        self.at = {i.offset: k for k, i in enumerate(self.instructions)}
        self.stored = {
            name
            for i in self.instructions
            if "STORE_FAST" in i.opname or i.opname == "DELETE_FAST"
            for name in (i.argval if type(i.argval) is tuple else (i.argval,))
        }
        self.taken = {*code.co_varnames, *code.co_names, *code.co_freevars}
        self.budget = _BUDGET
        self.count = 0
        self.keywords: tuple[str, ...] = ()
        self.stack: list[ast.expr] = []
        self.body: list[ast.stmt] = []

    def function(self) -> ast.FunctionDef:
        code = self.code
        n, m, k = code.co_posonlyargcount, code.co_argcount, code.co_kwonlyargcount
        names = code.co_varnames
        if any(not name.isidentifier() for name in names):
            raise NotSimple
        rest = list(names[m + k :])
        arguments = ast.arguments(
            posonlyargs=[ast.arg(a) for a in names[:n]],
            args=[ast.arg(a) for a in names[n:m]],
            vararg=ast.arg(rest.pop(0)) if code.co_flags & 4 else None,
            kwonlyargs=[ast.arg(a) for a in names[m : m + k]],
            kw_defaults=[None] * k,
            kwarg=ast.arg(rest.pop(0)) if code.co_flags & 8 else None,
            defaults=[],
        )
        self.run(0)
        name = code.co_name if code.co_name.isidentifier() else "lambda_"
        made = ast.FunctionDef(name=name, args=arguments, body=self.body, decorator_list=[])
        made.lineno, made.col_offset = code.co_firstlineno, 0
        for node in ast.walk(made):
            if isinstance(node, (ast.stmt, ast.expr, ast.arg)) and not hasattr(node, "lineno"):
                node.lineno = node.end_lineno = code.co_firstlineno
                node.col_offset = node.end_col_offset = 0
        return made

    # ---- the stack

    def pop(self, n: int) -> list[ast.expr]:
        if n > len(self.stack):
            raise NotSimple
        found = self.stack[len(self.stack) - n :]
        del self.stack[len(self.stack) - n :]
        return found

    def one(self) -> ast.expr:
        return self.pop(1)[0]

    def is_atom(self, x: ast.expr) -> bool:
        """Whether it does not matter when, and how often, `x` is evaluated."""
        return (
            isinstance(x, (_Null, ast.Constant))
            or (isinstance(x, ast.Name) and x.id in self.code.co_varnames and x.id not in self.stored)
            or (isinstance(x, ast.Name) and x.id not in self.taken)
        )

    def settle(self) -> None:
        """Evaluate everything on the stack now, in its order."""
        for i, x in enumerate(self.stack):
            if not self.is_atom(x):
                self.stack[i] = self.named(x)

    def named(self, x: ast.expr) -> ast.expr:
        self.count += 1
        name = f"v{self.count}"
        while name in self.taken:
            name += "_"
        self.body.append(ast.Assign([ast.Name(name, ast.Store())], x))
        return ast.Name(name, ast.Load())

    def emit(self, statement: ast.stmt) -> None:
        self.body.append(statement)

    # ---- running

    def run(self, offset: int) -> None:
        """Follow one path from `offset` to its end."""
        k = self.at[offset]
        while True:
            self.budget -= 1
            if self.budget < 0 or k >= len(self.instructions):
                raise NotSimple
            i = self.instructions[k]
            name = i.opname
            if name in _SKIPPED:
                k += 1
                continue
            if name.startswith(("POP_JUMP", "JUMP_IF")):
                self.conditional(i, k)
                return
            if name == "JUMP_FORWARD":
                k = self.at[i.argval]
                continue
            if name in ("RETURN_VALUE", "RETURN_CONST"):
                value = self.one() if name == "RETURN_VALUE" else self.constant(i.argval)
                self.settle()
                self.emit(ast.Return(value))
                return
            if name == "RAISE_VARARGS":
                parts = self.pop(i.arg or 0)
                self.settle()
                self.emit(ast.Raise(*parts))
                return
            method = getattr(self, f"do_{name}", None)
            if method is None:
                self.operator(i)
            else:
                method(i)
            k += 1

    def conditional(self, i: dis.Instruction, k: int) -> None:
        name, target = i.opname, i.argval
        if "BACKWARD" in name or target <= i.offset:
            raise NotSimple
        test = self.one()
        self.settle()
        keeps = name.endswith("_OR_POP")
        if name.endswith("NONE"):
            test = ast.Compare(test, [ast.Is()], [ast.Constant(None)])
            jumps_if = not name.endswith("NOT_NONE")
        else:
            jumps_if = "TRUE" in name
            if keeps and not self.is_atom(test):
                test = self.named(test)
        outer, stack = self.body, list(self.stack)
        branches: list[list[ast.stmt]] = []
        for jumped in (jumps_if, not jumps_if):  # the path where the test holds, then the other
            self.body = []
            self.stack = [*stack, test] if keeps and jumped else list(stack)
            self.run(target if jumped else self.instructions[k + 1].offset)
            branches.append(self.body)
        self.body = outer
        self.emit(ast.If(test, *branches))

    # ---- operations

    def operator(self, i: dis.Instruction) -> None:
        name = i.argrepr if i.opname == "CALL_INTRINSIC_1" else i.opname
        if name in _UNARY:
            self.stack.append(ast.UnaryOp(_UNARY[name](), self.one()))
        elif name.endswith("LIST_TO_TUPLE"):
            self.stack[-1] = ast.Tuple(self.display().elts, ast.Load())
        else:
            raise NotSimple

    def constant(self, value: object) -> ast.expr:
        if isinstance(value, CodeType):
            raise NotSimple
        return ast.Constant(value)  # type: ignore[arg-type]

    def load(self, name: str) -> None:
        self.stack.append(ast.Name(name, ast.Load()))

    def store(self, name: str) -> None:
        value = self.one()
        self.settle()
        self.emit(ast.Assign([ast.Name(name, ast.Store())], value))

    def do_LOAD_CONST(self, i: dis.Instruction) -> None:
        self.stack.append(self.constant(i.argval))

    def do_LOAD_ASSERTION_ERROR(self, i: dis.Instruction) -> None:
        self.stack.append(self.constant(AssertionError))

    def do_LOAD_FAST(self, i: dis.Instruction) -> None:
        self.load(i.argval)

    do_LOAD_FAST_CHECK = do_LOAD_DEREF = do_LOAD_FAST

    def do_LOAD_FAST_LOAD_FAST(self, i: dis.Instruction) -> None:
        for name in i.argval:
            self.load(name)

    def do_STORE_FAST(self, i: dis.Instruction) -> None:
        self.store(i.argval)

    def do_STORE_FAST_STORE_FAST(self, i: dis.Instruction) -> None:
        for name in i.argval:
            self.store(name)

    def do_STORE_FAST_LOAD_FAST(self, i: dis.Instruction) -> None:
        self.store(i.argval[0])
        self.load(i.argval[1])

    def do_DELETE_FAST(self, i: dis.Instruction) -> None:
        self.settle()
        self.emit(ast.Delete([ast.Name(i.argval, ast.Del())]))

    def do_LOAD_GLOBAL(self, i: dis.Instruction) -> None:
        self.callable(ast.Name(i.argval, ast.Load()), bool((i.arg or 0) & 1))

    def do_LOAD_ATTR(self, i: dis.Instruction) -> None:
        method = sys.version_info >= (3, 12) and bool((i.arg or 0) & 1)
        self.callable(ast.Attribute(self.one(), i.argval, ast.Load()), method)

    def do_LOAD_METHOD(self, i: dis.Instruction) -> None:
        self.callable(ast.Attribute(self.one(), i.argval, ast.Load()), True)

    def callable(self, x: ast.expr, with_null: bool) -> None:
        if not with_null:
            self.stack.append(x)
        else:
            self.stack += [_Null(), x] if _BEFORE else [x, _Null()]

    def do_PUSH_NULL(self, i: dis.Instruction) -> None:
        self.stack.append(_Null())

    def do_KW_NAMES(self, i: dis.Instruction) -> None:
        names = i.argval if type(i.argval) is tuple else self.code.co_consts[i.arg or 0]
        self.keywords = names

    def do_CALL(self, i: dis.Instruction) -> None:
        args = self.pop(i.arg or 0)
        names, self.keywords = self.keywords, ()
        n = len(args) - len(names)
        keywords = [ast.keyword(k, v) for k, v in zip(names, args[n:], strict=True)]
        called, first = self.called()
        self.stack.append(ast.Call(called, [*first, *args[:n]], keywords))

    def do_CALL_KW(self, i: dis.Instruction) -> None:
        names = self.one()
        if not isinstance(names, ast.Constant) or not isinstance(names.value, tuple):
            raise NotSimple
        self.keywords = names.value
        self.do_CALL(i)

    def called(self) -> tuple[ast.expr, list[ast.expr]]:
        """The callable, and the first argument if one stands in the place of the NULL."""
        parts = [p for p in self.pop(2) if not isinstance(p, _Null)]
        return parts[0], parts[1:]

    def do_CALL_FUNCTION_EX(self, i: dis.Instruction) -> None:
        keywords = [ast.keyword(None, self.one())] if (i.arg or 0) & 1 else []
        args = self.one()
        starred = args.elts if isinstance(args, ast.Tuple) else [ast.Starred(args, ast.Load())]
        called, first = self.called()
        self.stack.append(ast.Call(called, [*first, *starred], keywords))

    def do_BINARY_OP(self, i: dis.Instruction) -> None:
        left, right = self.pop(2)
        symbol = i.argrepr
        if not symbol.endswith("="):
            self.stack.append(ast.BinOp(left, _BINARY[symbol](), right))
            return
        self.settle()
        target = self.named(left)
        assert isinstance(target, ast.Name)
        self.emit(ast.AugAssign(ast.Name(target.id, ast.Store()), _BINARY[symbol[:-1]](), right))
        self.stack.append(target)

    def do_COMPARE_OP(self, i: dis.Instruction) -> None:
        left, right = self.pop(2)
        self.stack.append(ast.Compare(left, [_COMPARE[i.argval]()], [right]))

    def do_IS_OP(self, i: dis.Instruction) -> None:
        left, right = self.pop(2)
        self.stack.append(ast.Compare(left, [ast.IsNot() if i.arg else ast.Is()], [right]))

    def do_CONTAINS_OP(self, i: dis.Instruction) -> None:
        left, right = self.pop(2)
        self.stack.append(ast.Compare(left, [ast.NotIn() if i.arg else ast.In()], [right]))

    # ---- items

    def do_BINARY_SUBSCR(self, i: dis.Instruction) -> None:
        x, index = self.pop(2)
        self.stack.append(ast.Subscript(x, index, ast.Load()))

    def do_BUILD_SLICE(self, i: dis.Instruction) -> None:
        self.stack.append(ast.Slice(*self.pop(i.arg or 2)))

    def do_BINARY_SLICE(self, i: dis.Instruction) -> None:
        x, start, stop = self.pop(3)
        self.stack.append(ast.Subscript(x, ast.Slice(start, stop), ast.Load()))

    def do_STORE_SUBSCR(self, i: dis.Instruction) -> None:
        value, x, index = self.pop(3)
        self.settle()
        self.emit(ast.Assign([ast.Subscript(x, index, ast.Store())], value))

    def do_STORE_SLICE(self, i: dis.Instruction) -> None:
        value, x, start, stop = self.pop(4)
        self.settle()
        self.emit(ast.Assign([ast.Subscript(x, ast.Slice(start, stop), ast.Store())], value))

    def do_DELETE_SUBSCR(self, i: dis.Instruction) -> None:
        x, index = self.pop(2)
        self.settle()
        self.emit(ast.Delete([ast.Subscript(x, index, ast.Del())]))

    def do_STORE_ATTR(self, i: dis.Instruction) -> None:
        value, x = self.pop(2)
        self.settle()
        self.emit(ast.Assign([ast.Attribute(x, i.argval, ast.Store())], value))

    def do_UNPACK_SEQUENCE(self, i: dis.Instruction) -> None:
        value = self.one()
        self.settle()
        items = [self.named(ast.Constant(None)) for _ in range(i.arg or 0)]
        targets: list[ast.expr] = [ast.Name(x.id, ast.Store()) for x in items if isinstance(x, ast.Name)]
        self.emit(ast.Assign([ast.Tuple(targets, ast.Store())], value))
        self.stack += items[::-1]

    # ---- the stack's own instructions

    def do_POP_TOP(self, i: dis.Instruction) -> None:
        value = self.one()
        if not self.is_atom(value):
            self.settle()
            self.emit(ast.Expr(value))

    def do_COPY(self, i: dis.Instruction) -> None:
        self.settle()
        self.stack.append(self.stack[-(i.arg or 1)])

    def do_SWAP(self, i: dis.Instruction) -> None:
        self.settle()
        n = i.arg or 2
        self.stack[-1], self.stack[-n] = self.stack[-n], self.stack[-1]

    # ---- displays and text

    def do_BUILD_TUPLE(self, i: dis.Instruction) -> None:
        self.stack.append(ast.Tuple(self.pop(i.arg or 0), ast.Load()))

    def do_BUILD_LIST(self, i: dis.Instruction) -> None:
        self.stack.append(ast.List(self.pop(i.arg or 0), ast.Load()))

    def do_BUILD_SET(self, i: dis.Instruction) -> None:
        self.stack.append(ast.Set(self.pop(i.arg or 0)))

    def do_BUILD_MAP(self, i: dis.Instruction) -> None:
        parts = self.pop(2 * (i.arg or 0))
        keys: list[ast.expr | None] = [*parts[::2]]
        self.stack.append(ast.Dict(keys, parts[1::2]))

    def do_BUILD_CONST_KEY_MAP(self, i: dis.Instruction) -> None:
        names = self.one()
        assert isinstance(names, ast.Constant)
        keys: list[ast.expr | None] = [ast.Constant(k) for k in names.value]  # type: ignore[union-attr]
        self.stack.append(ast.Dict(keys, self.pop(i.arg or 0)))

    def display(self) -> ast.List:
        """The list on top of the stack, which its display is still filling."""
        found = self.stack[-1]
        if not isinstance(found, ast.List):
            raise NotSimple
        return found

    def do_LIST_EXTEND(self, i: dis.Instruction) -> None:
        items = self.one()
        if i.arg != 1:
            raise NotSimple
        self.display().elts.append(ast.Starred(items, ast.Load()))

    def do_LIST_APPEND(self, i: dis.Instruction) -> None:
        item = self.one()
        if i.arg != 1:
            raise NotSimple
        self.display().elts.append(item)

    def do_DICT_MERGE(self, i: dis.Instruction) -> None:
        items = self.one()
        found = self.stack[-1]
        if i.arg != 1 or not isinstance(found, ast.Dict):
            raise NotSimple
        found.keys.append(None)
        found.values.append(items)

    do_DICT_UPDATE = do_DICT_MERGE

    def do_FORMAT_VALUE(self, i: dis.Instruction) -> None:
        conversion, has_spec = i.argval
        spec = self.one() if has_spec else None
        self.format(conversion, spec)

    def do_FORMAT_SIMPLE(self, i: dis.Instruction) -> None:
        self.format(None, None)

    def do_FORMAT_WITH_SPEC(self, i: dis.Instruction) -> None:
        self.format(None, self.one())

    def do_CONVERT_VALUE(self, i: dis.Instruction) -> None:
        self.format(i.argval, None)

    def format(self, conversion: object, spec: ast.expr | None) -> None:
        template = None
        if spec is not None:
            template = spec if isinstance(spec, ast.JoinedStr) else ast.JoinedStr(text_parts(spec))
        part = ast.FormattedValue(self.one(), _CONVERSIONS[conversion], template)  # type: ignore[index]
        self.stack.append(ast.JoinedStr([part]))

    def do_BUILD_STRING(self, i: dis.Instruction) -> None:
        parts = [p for x in self.pop(i.arg or 0) for p in text_parts(x)]
        self.stack.append(ast.JoinedStr(parts))


def text_parts(x: ast.expr) -> list[ast.expr]:
    """The parts of a formatted string."""
    if isinstance(x, ast.JoinedStr):
        return list(x.values)
    return [x] if isinstance(x, ast.Constant) else [ast.FormattedValue(x, -1, None)]
