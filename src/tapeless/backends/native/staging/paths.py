"""Where a nest's parameters come from: arguments of the call, live globals and cells, and parts of those."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import CellType
from typing import Any

from tapeless.rule_table import RULES


@dataclass(frozen=True, slots=True)
class Path:
    """A place that is read at every call."""

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Argument(Path):
    """A positional argument by its number, or a keyword argument by its name."""

    key: int | str

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return args[self.key] if isinstance(self.key, int) else kwargs[self.key]

    def __str__(self) -> str:
        return f"argument {self.key}"


class Held:
    """An object, hashed and compared by its identity, so that paths can hold any."""

    __slots__ = ("obj",)
    __match_args__ = ("obj",)

    def __init__(self, obj: Any) -> None:
        self.obj = obj

    def __hash__(self) -> int:
        return id(self.obj)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and other.obj is self.obj

    def __repr__(self) -> str:
        return f"<{type(self.obj).__name__}>"


@dataclass(frozen=True, slots=True)
class Fixed(Path):
    """An object that the staged function holds for good: the function itself, or a class it refers to."""

    held: Held

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return self.held.obj

    def __str__(self) -> str:
        return getattr(self.held.obj, "__name__", type(self.held.obj).__name__)


@dataclass(frozen=True, slots=True)
class Global(Path):
    """A global name of the module whose namespace is held; a builtin if the module has none."""

    namespace: Held
    name: str

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        namespace = self.namespace.obj
        if self.name in namespace:
            return namespace[self.name]
        builtins = namespace["__builtins__"]
        return builtins[self.name] if isinstance(builtins, dict) else getattr(builtins, self.name)

    def __str__(self) -> str:
        return f"global {self.name}"


@dataclass(frozen=True, slots=True)
class Content(Path):
    """What a closure cell holds."""

    cell: Held
    name: str

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        cell: CellType = self.cell.obj
        return cell.cell_contents

    def __str__(self) -> str:
        return f"closure variable {self.name}"


@dataclass(frozen=True, slots=True)
class Vacant(Content):
    """A closure cell that holds nothing: `Missing`, as long as that is so."""

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        try:
            return Content.read(self, args, kwargs)
        except ValueError:
            return Missing


@dataclass(frozen=True, slots=True)
class Field(Path):
    """An attribute of what is at another path."""

    of: Path
    name: str

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return getattr(self.of.read(args, kwargs), self.name)

    def __str__(self) -> str:
        return f"{self.of}.{self.name}"


class Missing:
    """In place of what is not there."""


def lookup(cls: type, name: str) -> Any:
    """What a class holds under a name, not bound to anything; `Missing` if it does not."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return Missing


def slots_of(obj: Any) -> list[str]:
    """The attributes of an object that are not in its dict."""
    return [n for n in slots_named(type(obj)) if hasattr(obj, n)]


def slots_named(cls: type) -> list[str]:
    """The attributes that objects of a class may have outside of their dict."""
    found = [base.__dict__.get("__slots__", ()) for base in cls.__mro__]
    names = [n for some in found for n in ([some] if isinstance(some, str) else some)]
    return [n for n in names if n not in ("__dict__", "__weakref__")]


@dataclass(frozen=True, slots=True)
class Undefined(Global):
    """A global name that has no meaning: `Missing`, as long as it has none."""

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        try:
            return Global.read(self, args, kwargs)
        except (KeyError, AttributeError):
            return Missing


@dataclass(frozen=True, slots=True)
class OnClass(Path):
    """What a class holds under a name, itself or by a base, not bound to anything."""

    cls: Held
    name: str

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return lookup(self.cls.obj, self.name)

    def __str__(self) -> str:
        return f"{self.cls.obj.__name__}.{self.name}"


@dataclass(frozen=True, slots=True)
class Home(OnClass):
    """The class, itself or one of its bases, that holds something under a name."""

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return next((base for base in self.cls.obj.__mro__ if self.name in base.__dict__), Missing)


@dataclass(frozen=True, slots=True)
class RuleOf(Path):
    """The derivative rule that a function has been given."""

    function: Held

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return RULES.get(self.function.obj, Missing)

    def __str__(self) -> str:
        return f"the rule of {getattr(self.function.obj, '__name__', 'a function')}"


@dataclass(frozen=True, slots=True)
class Item(Path):
    """An item of what is at another path."""

    of: Path
    key: Any

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return self.of.read(args, kwargs)[self.key]

    def __str__(self) -> str:
        return f"{self.of}[{self.key!r}]"


@dataclass(frozen=True, slots=True)
class Length(Path):
    """The length of an axis of the array at another path."""

    of: Path
    axis: int

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return self.of.read(args, kwargs).shape[self.axis]

    def __str__(self) -> str:
        return f"{self.of}.shape[{self.axis}]"


@dataclass(frozen=True, slots=True)
class Address(Path):
    """Where the object at another path is in memory."""

    of: Path

    def read(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return id(self.of.read(args, kwargs))

    def __str__(self) -> str:
        return str(self.of)


def exactly(obj: Any) -> Any:
    """What tells an object of a plain class from all others: `==` takes True for 1, and -0.0 for 0.0."""
    match obj:
        case float() | complex():
            key: Any = repr(obj)
        case tuple():
            key = tuple(map(exactly, obj))
        case frozenset() | set():
            key = frozenset(map(exactly, obj))
        case slice() | range():
            key = exactly((obj.start, obj.stop, obj.step))
        case _:
            key = obj
    return type(obj), key


@dataclass(frozen=True, slots=True)
class Guard:
    """What a staged function assumes of a call.

    `test` is "is" (the object itself), "equal" (type and value), "type" (the class), "length" (of a container
    of that class), "keys" (of a dict), "same" (the object at another path), "distinct" (the objects at
    several paths are), "fields" (names in `vars`).
    """

    path: Path
    test: str
    value: Any

    def holds(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        try:
            found = self.path.read(args, kwargs)
        except (AttributeError, KeyError, IndexError, ValueError, TypeError):
            return False
        match self.test:
            case "is":
                return found is self.value
            case "equal":
                return bool(exactly(found) == exactly(self.value))
            case "type":
                return type(found) is self.value
            case "length":
                return bool(len(found) == self.value)
            case "keys":
                return bool(exactly(tuple(found)) == exactly(self.value))
            case "fields":
                return bool(tuple(vars(found)) == self.value)
            case "same":
                return found is self.value.read(args, kwargs)
            case "distinct":
                return len({id(p.read(args, kwargs)) for p in self.value}) == len(self.value)
        raise AssertionError(self.test)
