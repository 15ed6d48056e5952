"""The dual program of an untyped Program: every value with its tangent beside it.

Values stay what they are.  Beside a variable `x` travels `x_d`, its companion: None where there is no
derivative, else a tangent: a number in forward mode, an entry of the linear record in reverse mode.
Companions belong to values that cannot change (numbers, tuples); what can change (lists, dicts, objects,
arrays, cells) has its tangents in a mirror that the run finds by the identity of the object, so aliases need
no bookkeeping.

The dual program runs in the order of the program itself, hence loops, exceptions, generators and recursion
are those of Python.  What is done beside each operation is the business of the run (`runtime.run`), here
called `_tl`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

from tapeless.autodiff.dual_writer import Writer
from tapeless.program.ir import Program


class Dual:
    """A dual program, compiled: `run(_tl, args, tangents, function, constants[, slot])`."""

    __slots__ = ("call", "constants", "count", "is_generator", "program", "text")

    def __init__(
        self, program: Program, text: str, call: Callable[..., Any], constants: tuple[Any, ...]
    ) -> None:
        self.program, self.text, self.call, self.constants = program, text, call, constants
        self.is_generator = program.is_generator
        #: how many arguments are taken as they come; none where they must be bound to the parameters
        binds = any(p.kind in ("vararg", "kwarg", "keyword") for p in program.params)
        self.count = -1 if binds else len(program.params)


_duals: dict[tuple[CodeType, int], Dual] = {}


def dual_of(function: FunctionType, of_class: bool = False) -> Dual:
    """The dual program of a Python function, or of a class body; cached by its code and module's globals."""
    code = function.__code__
    key = (code, id(function.__globals__))
    dual = _duals.get(key)
    if dual is None:
        from tapeless.frontend.classes import lower_class  # the frontend is imported when first needed
        from tapeless.frontend.lower import lower
        from tapeless.frontend.source import GENERATED

        program = (lower_class if of_class else lower)(code, function.__globals__)
        writer = Writer(program)
        text = writer.function()
        tree = ast.parse(text)
        relocate(tree, [program.firstline, *writer.origin])
        made: dict[str, Any] = {}
        exec(compile(tree, code.co_filename, "exec"), function.__globals__, made)
        call = made[writer.name]
        DUAL_CODES.add(call.__code__)
        made_node = tree.body[0]
        assert isinstance(made_node, ast.FunctionDef)
        GENERATED[call.__code__] = made_node
        dual = _duals[key] = Dual(program, text, call, tuple(writer.constants))
    return dual


def relocate(tree: ast.AST, origin: list[int]) -> None:
    """Give every node the line of the source that its printed line stands for."""
    nodes: list[Any] = [tree]
    while nodes:
        node = nodes.pop()
        parts = vars(node)
        for part in parts.values():
            if type(part) is list:
                nodes += [p for p in part if isinstance(p, ast.AST)]
            elif isinstance(part, ast.AST):
                nodes.append(part)
        if "lineno" in parts:
            node.lineno = node.end_lineno = origin[node.lineno]
            node.col_offset = node.end_col_offset = 0


#: Code objects of dual programs: their frames stand for the user's own frames in tracebacks.
DUAL_CODES: set[CodeType] = set()
