"""Types of a specialised Program: what is known of a value before it runs.

`Scalar` is a set of kinds, so an int that may become a float has the type of both.  `List` and `Dict` are
objects with
an element type that grows while inference runs; everything else is a value and compares by structure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

REAL_KINDS = frozenset({"float", "f8", "f4", "f2"})
COMPLEX_KINDS = frozenset({"complex", "c16", "c8"})


class NotTyped(Exception):
    """The typed road does not take this program; the untyped road does."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number: any of `kinds` ("bool", "int", "float", "complex", or NumPy's "f8", "f4", "i8", "b1")."""

    kinds: frozenset[str]

    def __repr__(self) -> str:
        return "|".join(sorted(self.kinds))


@dataclass(frozen=True, slots=True)
class Array:
    """Exactly `numpy.ndarray`."""

    dtype: str
    ndim: int

    def __repr__(self) -> str:
        return f"{self.dtype}[{','.join(':' * self.ndim)}]"


@dataclass(frozen=True, slots=True)
class Const:
    """One known object: a function, module, class, string or None."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Const) and (
            self.value is other.value
            or (
                type(self.value) in (str, tuple, bool, int, float)
                and type(other.value) is type(self.value)
                and self.value == other.value
            )
        )

    def __hash__(self) -> int:
        return hash(self.value) if type(self.value) in (str, bool, int, float) else hash(id(self.value))

    def __repr__(self) -> str:
        return f"const {getattr(self.value, '__name__', self.value)!r}"


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that carries no derivative and whose class is `cls`."""

    cls: type

    def __repr__(self) -> str:
        return self.cls.__name__


@dataclass(frozen=True, slots=True)
class Tuple:
    """A tuple, or a NamedTuple of class `cls`."""

    elems: tuple[Any, ...]
    cls: type = tuple

    def __repr__(self) -> str:
        return f"({', '.join(map(repr, self.elems))})"


@dataclass(frozen=True, slots=True)
class Struct:
    """An object whose fields, or a dict whose constant keys, are known; it is only read."""

    cls: type
    names: tuple[Any, ...]
    elems: tuple[Any, ...]

    def __repr__(self) -> str:
        fields = (f"{n}={e!r}" for n, e in zip(self.names, self.elems, strict=True))
        return f"{self.cls.__name__}({', '.join(fields)})"


@dataclass(frozen=True, slots=True)
class Packed:
    """What `*args` holds (`names` is None), or `**kwargs`."""

    elems: tuple[Any, ...]
    names: tuple[str, ...] | None = None


class List:
    """A list; `elem` is None while nothing is known to be in it."""

    __slots__ = ("elem",)

    def __init__(self, elem: Any = None) -> None:
        self.elem = elem

    def __eq__(self, other: object) -> bool:
        return isinstance(other, List) and self.elem == other.elem

    def __hash__(self) -> int:
        return hash("list")

    def __repr__(self) -> str:
        return f"list[{self.elem!r}]"


class Dict:
    """A dict whose keys carry no derivative."""

    __slots__ = ("elem", "key")

    def __init__(self, key: Any = None, elem: Any = None) -> None:
        self.key = key
        self.elem = elem

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dict) and self.elem == other.elem and self.key == other.key

    def __hash__(self) -> int:
        return hash("dict")

    def __repr__(self) -> str:
        return f"dict[{self.key!r}, {self.elem!r}]"


class RecordOf:
    """The record that the forward half of a recursive function returns: typed by name, as it contains
    itself."""

    __slots__ = ("unit",)

    def __init__(self, unit: Any) -> None:
        self.unit = unit

    def __repr__(self) -> str:
        return f"record of {getattr(self.unit, 'unit', self.unit).name}"


BOOL = Scalar(frozenset({"bool"}))
INT = Scalar(frozenset({"int"}))
FLOAT = Scalar(frozenset({"float"}))
NONE = Const(None)
STR = Opaque(str)
RANGE = Opaque(range)

_PYTHON = {bool: "bool", int: "int", float: "float", complex: "complex"}


def numpy_kind(dtype: np.dtype[Any]) -> str | None:
    """The kind of a NumPy scalar of `dtype`; None for text, dates and objects."""
    return f"{dtype.kind}{dtype.itemsize}" if dtype.kind in "biufc" else None


def type_of(value: Any, depth: int = 0) -> Any:
    """The type of a run-time value; raises `NotTyped` for what the typed road does not know."""
    cls = type(value)
    if cls in _PYTHON:
        return Scalar(frozenset({_PYTHON[cls]}))
    if cls is np.ndarray:
        if numpy_kind(value.dtype) is None or not value.dtype.isnative:
            raise NotTyped(f"an array of dtype {value.dtype}")
        return Array(value.dtype.str[1:], value.ndim)
    if isinstance(value, np.generic):
        kind = numpy_kind(value.dtype)
        if kind is None:
            raise NotTyped(f"a NumPy scalar of dtype {value.dtype}")
        return Scalar(frozenset({kind}))
    if value is None or value is Ellipsis or cls in (str, bytes):
        return Const(value)
    if depth > 8:
        raise NotTyped("a deeply nested or cyclic argument")
    if isinstance(value, tuple):
        if cls is not tuple and not hasattr(cls, "_fields"):
            raise NotTyped(f"a subclass of tuple, {cls.__name__}")
        return Tuple(tuple(type_of(e, depth + 1) for e in value), cls)
    if cls is list:
        out = List()
        for e in value:
            kind_of = type_of(e, depth + 1)
            elem = kind_of if out.elem is None else join(out.elem, kind_of)
            if elem is None:
                raise NotTyped("a list of values of different types")
            out.elem = elem
        return out
    raise NotTyped(f"an argument of type {cls.__name__}")


def shared(value: Any) -> bool:
    """Whether two parts of `value` are one storage: their derivatives are then one as well."""
    seen: set[int] = set()
    left = [value]
    while left:
        v = left.pop()
        cls = type(v)
        if cls is float or cls is int:
            continue
        if cls is np.ndarray:
            while v.base is not None:
                v = v.base
                if type(v) is not np.ndarray:
                    break
        elif cls is list:
            left += v
        elif cls is dict:
            left += v.values()
        else:
            if isinstance(v, tuple):
                left += v
            continue
        if id(v) in seen:
            return True
        seen.add(id(v))
    return False


def apart(a: Any, b: Any) -> bool:
    """Whether no array in `a` shares memory with one in `b`."""
    return not any(np.may_share_memory(x, y) for x in _arrays(a, 0) for y in _arrays(b, 0))


def _arrays(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, tuple | list | dict) and depth <= 8:
        for v in value.values() if isinstance(value, dict) else value:
            yield from _arrays(v, depth + 1)


def storages(kind: Any) -> int:
    """How many parts of a value of this type are storage that can be shared; two stand for any number."""
    match kind:
        case Array():
            return 1
        case List(elem=elem) | Dict(elem=elem):
            return 1 + 2 * storages(elem)
        case Tuple(elems=elems) | Struct(elems=elems):
            return sum(map(storages, elems)) + isinstance(kind, Struct)
    return 0


def join(a: Any, b: Any) -> Any:
    """The type of a value that is of type `a` on one path and `b` on another; None if they do not mix."""
    if a is b or a == b:
        if isinstance(a, List | Dict) and a is not b:
            return _unify(a, b)
        return a
    if isinstance(a, Scalar) and isinstance(b, Scalar):
        return Scalar(a.kinds | b.kinds)
    if isinstance(a, List) and isinstance(b, List) or isinstance(a, Dict) and isinstance(b, Dict):
        return _unify(a, b)
    if isinstance(a, Tuple) and isinstance(b, Tuple) and len(a.elems) == len(b.elems) and a.cls is b.cls:
        elems = tuple(join(x, y) for x, y in zip(a.elems, b.elems, strict=True))
        return None if None in elems else Tuple(elems, a.cls)
    if isinstance(a, Const | Opaque) and isinstance(b, Const | Opaque):
        ca = a.cls if isinstance(a, Opaque) else type(a.value)
        cb = b.cls if isinstance(b, Opaque) else type(b.value)
        return Opaque(str) if ca is str and cb is str else None
    return None


def _unify(a: Any, b: Any) -> Any:
    """Make two lists or dicts one type: what is put into either may come out of the other."""
    for slot in ("elem", "key") if isinstance(a, Dict) else ("elem",):
        x, y = getattr(a, slot), getattr(b, slot)
        both = y if x is None else x if y is None else join(x, y)
        if both is None and x is not None:
            return None
        setattr(a, slot, both)
        setattr(b, slot, both)
    return a


def differentiable(t: Any) -> bool:
    """Whether a value of this type can carry a derivative."""
    match t:
        case Scalar(kinds=kinds):
            return bool(kinds & (REAL_KINDS | COMPLEX_KINDS))
        case Array(dtype=dtype):
            return dtype[0] in "fc"
        case Tuple() | Struct():
            return any(differentiable(e) for e in t.elems)
        case List() | Dict():
            return t.elem is not None and differentiable(t.elem)
        case RecordOf():
            return True
    return False


def is_complex(t: Any) -> bool:
    match t:
        case Scalar(kinds=kinds):
            return bool(kinds & COMPLEX_KINDS)
        case Array(dtype=dtype):
            return dtype[0] == "c"
        case Tuple() | Struct():
            return any(is_complex(e) for e in t.elems)
        case List() | Dict():
            return is_complex(t.elem)
    return False


def key_of(t: Any) -> Any:
    """A hashable key of a type, also when it holds lists."""
    match t:
        case List():
            return ("list", key_of(t.elem))
        case Dict():
            return ("dict", key_of(t.key), key_of(t.elem))
        case Tuple() | Struct():
            return (t.cls, getattr(t, "names", ()), tuple(key_of(e) for e in t.elems))
        case Packed():
            return ("packed", t.names, tuple(key_of(e) for e in t.elems))
        case RecordOf():
            return ("record", id(t.unit))
    return t
