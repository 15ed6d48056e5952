"""What specialisation makes: units (typed functions) and the session that holds those of one call tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CellType, FunctionType
from typing import Any

from tapeless.program.ir import Block, Program, Var


@dataclass(slots=True, eq=False, repr=False)
class Unit:
    """One function, specialised for the types of its arguments: a typed Program and where its names live."""

    program: Program
    namespace: dict[str, Any]
    cells: dict[str, CellType] = field(default_factory=dict)
    result: Any = None
    """The type of the result; None until a `return` has been typed."""
    recursive: bool = False
    done: bool = False
    derived: dict[Any, Any] = field(default_factory=dict)
    """What passes have made of this unit, by pass and activity."""
    make: Any = None
    """Completes the program when its function is first asked for."""

    def __repr__(self) -> str:
        return f"<unit {self.name}>"

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def params(self) -> list[Var]:
        return [p.var for p in self.program.params]

    @property
    def body(self) -> Block:
        return self.program.body


@dataclass(frozen=True, slots=True)
class Known:
    """A binding to one known object, and how the source reaches it."""

    value: Any
    text: str = ""


@dataclass(frozen=True, slots=True)
class Pack:
    """A binding to what `*args` holds (`names` is None), or `**kwargs`: a binding for each."""

    values: tuple[Any, ...]
    names: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """An assumption: `owner[name]` (kind "global"), `owner.name` ("attr") or the content of a cell ("cell")
    is the object `value`, or, where `by_type` is true, has the type of `value`; of kind "absent", there is no
    `owner[name]`."""

    kind: str
    owner: Any
    name: str
    value: Any
    by_type: bool = False


class Session:
    """The units of one call tree, and all that they assume."""

    def __init__(self) -> None:
        self.units: dict[Any, Unit] = {}
        self.guards: dict[tuple[str, int, str], Guard] = {}
        self.stack: list[Unit] = []
        self.kept: list[Any] = []
        """Objects whose identity is part of a key."""

    def guard(self, kind: str, owner: Any, name: str, value: Any, by_type: bool = False) -> None:
        self.guards.setdefault((kind, id(owner), name), Guard(kind, owner, name, value, by_type))


def closure_of(function: FunctionType) -> dict[str, CellType]:
    """The closure cells of a function by name."""
    return dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
