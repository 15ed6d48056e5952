"""The Program: one small, structured representation of a Python function.

A `Program` is a tree of blocks of operations in A-normal form: every operand is a variable or a literal,
control flow is an operation with blocks of its own, and every operation keeps the source line it came from.
Variables are assigned, not SSA names: an assignment transposes to "read the cotangent and clear it", so
loops, early exits and exceptions need no merge nodes, and the printed program keeps the names of the source.

Grammar (see `printer` and `parser`):

    program  ::= "program" name "(" params ")" block
    op       ::= [outs "="] kind ["[" attrs "]"] "(" operands ")" block*
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType
from typing import Any


class Var:
    """A variable of one Program.  Two variables are the same only if they are the same object."""

    __slots__ = ("name", "type")

    def __init__(self, name: str, type: Any = None) -> None:
        self.name = name
        self.type = type

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Lit:
    """A literal operand: a number, string, None, True, False or Ellipsis."""

    value: Any

    def __repr__(self) -> str:
        return repr(self.value)


Operand = Var | Lit


@dataclass(slots=True)
class Block:
    """A run of operations; the last one may be a terminator (`return`, `break`, `continue`, `raise`)."""

    ops: list[Op] = field(default_factory=list)

    def walk(self) -> Iterator[Op]:
        """Every operation of this block and of the blocks inside it, in source order."""
        for op in self.ops:
            yield op
            for block in op.blocks:
                yield from block.walk()


@dataclass(slots=True)
class Op:
    """One operation: `outs = kind[attrs](args) blocks`."""

    kind: str
    args: tuple[Operand, ...] = ()
    outs: tuple[Var, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    line: int = 0


@dataclass(slots=True)
class Param:
    """A parameter: `kind` is one of `positional`, `standard`, `vararg`, `keyword`, `kwarg`."""

    var: Var
    kind: str
    name: str


@dataclass(slots=True)
class Program:
    """A function as a Program, with what is needed to find its way back to the source."""

    name: str
    params: list[Param]
    body: Block
    filename: str = "<program>"
    firstline: int = 1
    freevars: tuple[str, ...] = ()
    """Names of the closure cells that the function was given."""
    is_generator: bool = False
    code: CodeType | None = None
    node: ast.AST | None = None

    def variables(self) -> list[Var]:
        """Every variable that is a parameter or is assigned, once, in order of appearance."""
        seen: dict[int, Var] = {}
        for param in self.params:
            seen.setdefault(id(param.var), param.var)
        for op in self.body.walk():
            for out in op.outs:
                seen.setdefault(id(out), out)
        return list(seen.values())


@dataclass(frozen=True, slots=True)
class Signature:
    """What the verifier asks of one kind of operation."""

    args: int | None
    outs: int | None
    blocks: int = 0
    attrs: tuple[str, ...] = ()
    terminator: bool = False


#: The whole vocabulary: kind -> shape.  `None` means any number.
VOCABULARY: dict[str, Signature] = {
    # values
    "copy": Signature(1, 1),
    "binary": Signature(2, 1, attrs=("op",)),
    "inplace": Signature(2, 1, attrs=("op",)),
    "unary": Signature(1, 1, attrs=("op",)),
    "compare": Signature(2, 1, attrs=("op",)),
    "format": Signature(None, 1, attrs=("template",)),
    # containers
    "tuple": Signature(None, 1, attrs=("starred",)),
    "list": Signature(None, 1, attrs=("starred",)),
    "set": Signature(None, 1, attrs=("starred",)),
    "dict": Signature(None, 1, attrs=("spread",)),
    "slice": Signature(3, 1),
    "unpack": Signature(1, None, attrs=("star",)),
    # storage
    "getattr": Signature(1, 1, attrs=("name",)),
    "setattr": Signature(2, 0, attrs=("name",)),
    "delattr": Signature(1, 0, attrs=("name",)),
    "getitem": Signature(2, 1),
    "setitem": Signature(3, 0),
    "delitem": Signature(2, 0),
    "new_cell": Signature(0, 1, attrs=("name",)),
    "free_cell": Signature(0, 1, attrs=("name",)),
    "load_cell": Signature(1, 1, attrs=("name",)),
    "store_cell": Signature(2, 0),
    "del_cell": Signature(1, 0, attrs=("name",)),
    "global": Signature(0, 1, attrs=("name",)),
    "store_global": Signature(1, 0, attrs=("name",)),
    "del_global": Signature(0, 0, attrs=("name",)),
    "del": Signature(1, 0),
    # calls
    "call": Signature(None, 1, attrs=("keywords", "starred")),
    "call_method": Signature(None, 1, attrs=("name", "keywords", "starred")),
    "function": Signature(None, 1, attrs=("code", "name", "defaults", "kwdefaults", "cells")),
    "class": Signature(None, 1, attrs=("code", "name", "keywords", "starred", "cells")),
    "import": Signature(0, None, attrs=("module", "names", "level", "asname")),
    "yield": Signature(1, 1),
    "yield_from": Signature(1, 1),
    # control
    "if": Signature(1, 0, blocks=2),
    "while": Signature(1, 0, blocks=3),
    "for": Signature(1, 1, blocks=2),
    "try": Signature(0, 1, blocks=4),
    "matches": Signature(2, 1),
    "return": Signature(1, 0, terminator=True),
    "break": Signature(0, 0, terminator=True),
    "continue": Signature(0, 0, terminator=True),
    "raise": Signature(None, 0, attrs=("cause",), terminator=True),
    # typed Programs only
    "loop": Signature(None, None, blocks=2, attrs=("iter", "pattern")),
    "augitem": Signature(3, 0, attrs=("op",)),
    "keep": Signature(None, 0),
}
