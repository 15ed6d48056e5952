"""The linear Program: what `linearize` makes of the active part of a unit, and what `transpose` runs
backwards.

It mirrors the blocks of the value program.  Its variables are cells of a linear space (one for every number
or array, one for
every list or dict), its coefficients are expressions in versions of the value program's variables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tapeless.autodiff.jvp import Term
from tapeless.autodiff.residuals import Expr, Frame, Level, Version
from tapeless.program.ir import Op, Var


@dataclass(slots=True, eq=False)
class Cell:
    """A variable of the linear program: the tangent, or the cotangent, of `var` or of one part of it."""

    name: str
    type: Any
    var: Var
    mutable: bool = False
    """Its cotangent is storage that is written into, rather than a value."""
    path: tuple[int, ...] = ()
    """Where in `var` the part is: a list of tuples has one cell, a list, for each part of its elements."""


@dataclass(slots=True, eq=False)
class LBlock:
    """Linear operations in the order of the value program."""

    frame: Frame
    parent: LBlock | None
    nodes: list[Any] = field(default_factory=list)

    def walk(self) -> Iterator[Any]:
        for node in self.nodes:
            yield node
            for block in getattr(node, "blocks", ()):
                yield from block.walk()


@dataclass(slots=True, eq=False)
class Lin:
    """`out = sum of terms`; without terms `out = 0`."""

    out: Cell
    terms: list[Term]
    line: int
    like: Version | None = None
    """The version of the variable that holds the result."""


@dataclass(slots=True, eq=False)
class LIf:
    test: Expr
    blocks: tuple[LBlock, LBlock]
    line: int


@dataclass(slots=True, eq=False)
class LLoop:
    """A loop; its body may have been narrowed to the one branch in it that is not empty."""

    op: Op
    level: Level
    blocks: tuple[LBlock]
    line: int
    args: list[Expr]
    ordinal: bool = False
    """The body uses the number of the iteration."""
    early: bool = False
    """It may end before its iterator does."""
    narrowed: bool = False
    index: Version | None = None
    """The version of the loop variable of a plain `range` loop."""
    count: Version | None = None
    """How often the body ran, where the reverse pass has to know."""
    after: dict[Var, Version] = field(default_factory=dict)
    """The versions of all variables behind the loop."""
    number: int = 0
    """How many versions had been defined behind it."""
    mode: str = ""
    """How the reverse pass runs it: "zip" over saved lists, "range" over the same range backwards, or
    "count"."""


@dataclass(slots=True, eq=False)
class LCall:
    """A call of another linear program."""

    target: Any
    record: Version | None
    """What the callee has saved; None if that is nothing."""
    ins: list[Cell | None]
    outs: list[Cell]
    line: int


@dataclass(slots=True, eq=False)
class LStore:
    """Storage: kind "get" (x = base[index]), "set" (base[index] = x), "append", "pop", "new" (an empty or
    constant
    container), "clone" (a copy of the list x), "display" ([x, ...]) or "iterate" (x = the item of this
    iteration)."""

    kind: str
    base: Cell
    version: Version
    index: Expr | None
    x: Any
    line: int
    like: Expr | None = None
    """The value stored, where it may have been broadcast or its cotangent may be missing."""


@dataclass(slots=True, eq=False)
class LSequence:
    """`out = rule([x, ...], *rest)`: a linear function of the elements of a nest of lists."""

    rule: Any
    args: list[Expr]
    keywords: tuple[str, ...]
    xs: Any
    out: Cell
    type: Any
    line: int

    def cells(self) -> Iterator[tuple[tuple[int, ...], Cell]]:
        def walk(xs: Any, path: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Cell]]:
            if isinstance(xs, tuple):
                for i, x in enumerate(xs):
                    yield from walk(x, (*path, i))
            elif xs is not None:
                yield path, xs

        return walk(self.xs, ())


def refs_of(node: Any) -> Iterator[Version]:
    """The versions that a node itself needs."""
    match node:
        case Lin():
            for t in node.terms:
                yield from t.refs()
        case LIf():
            yield from node.test.refs()
        case LCall():
            if node.record is not None:
                yield node.record
        case LSequence():
            for e in node.args:
                yield from e.refs()
        case LStore():
            if node.index is not None:
                yield from node.index.refs()
            if node.like is not None:
                yield from node.like.refs()
            if node.kind not in ("new", "display", "clone"):  # by reference: only its shape counts
                yield node.version


def cells_of(node: Any) -> Iterator[Cell]:
    """The cells that a node itself names."""
    match node:
        case Lin():
            yield node.out
            for t in node.terms:
                yield t.x
        case LCall():
            yield from (c for c in node.ins if c is not None)
            yield from node.outs
        case LSequence():
            yield node.out
            yield from (c for _, c in node.cells())
        case LStore():
            yield node.base
            yield from (c for c in (node.x if isinstance(node.x, list) else [node.x]) if c is not None)
