"""What the linear part needs of the value part: versions of variables, and expressions in them.

A `Version` is a variable between two of its assignments.  A linear program names versions, never variables,
so the
value program may go on overwriting; where a needed version does not survive, the value program saves it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tapeless.program.ir import Op, Var


@dataclass(frozen=True, slots=True, eq=False)
class Expr:
    """An expression in versions: kind "ref" (one version), "lit" (one value) or an operation on other
    expressions."""

    kind: str
    args: tuple[Any, ...]
    attrs: dict[str, Any] = field(default_factory=dict)

    def refs(self) -> Iterator[Version]:
        if self.kind == "ref":
            yield self.args[0]
        elif self.kind != "lit":
            for a in self.args:
                yield from a.refs()

    def size(self) -> int:
        return 0 if self.kind in ("ref", "lit") else 1 + sum(a.size() for a in self.args)


class Frame:
    """A block of the value program while it is rewritten, and the linear block that stands beside it."""

    def __init__(self, parent: Frame | None, level: Level, entry: dict[Var, Version]) -> None:
        self.parent = parent
        self.level = level
        self.entry = dict(entry)
        self.ops: list[Op | Mark] = []
        self.linear: Any = None
        self.loop: Any = None
        self.assume: tuple[Version | None, bool] = (None, True)
        self.saves: list[Any] = []
        """Slots that are filled where the block begins."""

    def inside(self, other: Frame) -> bool:
        """Whether this frame is `other` or inside it."""
        frame: Frame | None = self
        while frame is not None:
            if frame is other:
                return True
            frame = frame.parent
        return False


class Level:
    """What runs once (the function) or once an iteration (a loop)."""

    def __init__(self, parent: Level | None) -> None:
        self.parent = parent

    def within(self, other: Level) -> bool:
        level: Level | None = self
        while level is not None:
            if level is other:
                return True
            level = level.parent
        return False


@dataclass(slots=True, eq=False)
class Version:
    """`var` as one assignment left it."""

    var: Var
    frame: Frame
    expr: Expr | None = None
    """How to compute it again from other versions, where that is cheap."""
    final: bool = True
    """Whether the variable is never assigned again."""
    stable: bool = True
    """Whether the object that it names is never written into."""
    sure: bool = True
    """Whether the variable is assigned for certain."""
    number: int = 0
    slot: Any = None
    saves: list[Any] = field(default_factory=list)
    parents: list[Version] = field(default_factory=list)
    """The versions that this one joins."""

    def overwrite(self) -> None:
        """The variable is assigned while this version is current."""
        self.final = False
        for v in self.parents:
            v.overwrite()


@dataclass(slots=True, eq=False)
class Mark:
    """The place in a block where a version begins to live: a save may go here."""

    version: Version | None
    what: Any = None


def ref(version: Version) -> Expr:
    return Expr("ref", (version,))


def lit(value: Any) -> Expr:
    return Expr("lit", (value,))


def binary(op: str, a: Expr, b: Expr) -> Expr:
    """`a op b`, with the algebra that is exact for numbers."""
    if op == "Mult":
        for x, y in ((a, b), (b, a)):
            if x.kind == "lit" and type(x.args[0]) in (int, float) and x.args[0] == 1:
                return y
    if op == "Pow" and b.kind == "lit" and b.args[0] == 1 and type(b.args[0]) is int:
        return a
    if op == "Sub" and a.kind == b.kind == "lit" and type(a.args[0]) is type(b.args[0]) is int:
        return lit(a.args[0] - b.args[0])
    return Expr("binary", (a, b), {"op": op})


def unary(op: str, a: Expr) -> Expr:
    if op == "USub" and a.kind == "lit":
        return lit(-a.args[0])
    return Expr("unary", (a,), {"op": op})


def call(fn: Any, *args: Expr, text: str = "") -> Expr:
    return Expr("call", args, {"fn": fn, "text": text})


#: operations that are cheaper to repeat than to save, and cannot raise or warn
CHEAP = ("Add", "Sub", "Mult")
