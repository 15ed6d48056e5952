"""The checks at an entry, as source: types of the arguments, and what names, attributes and cells held."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from types import CellType
from typing import Any

import numpy as np

from tapeless.backends.python.build import compile_function
from tapeless.backends.python.emit import Emitter
from tapeless.specialise.types import (
    Array,
    Const,
    Dict,
    List,
    NotTyped,
    Scalar,
    Struct,
    Tuple,
    apart,
    key_of,
    shared,
    type_of,
)
from tapeless.specialise.unit import Guard, Session

_CLASSES: dict[str, type] = {"bool": bool, "int": int, "float": float, "complex": complex}


class Guards:
    """Writes guards; the objects that they compare with become closure cells of the entry."""

    def __init__(self, emitter: Emitter, session: Session, entry: Any) -> None:
        self.emitter, self.session = emitter, session
        self.cells: dict[str, CellType] = {}

    def own(self, name: str, cell: CellType) -> str:
        """A name for a cell of ours."""
        e = self.emitter
        if name in self.cells:
            return name
        base, n = name, 1
        while name in e.taken or name in e.space or name in e.constants or name in e.unit.cells:
            n += 1
            name = f"{base}_{n}"
        e.constants[name] = cell
        self.cells[name] = cell
        if base != name:
            self.cells[base] = cell
        return name

    def object(self, value: Any, hint: str) -> str:
        for name, cell in self.cells.items():
            if cell.cell_contents is value and name in self.emitter.constants:
                return name
        n = sum(1 for k in self.cells if k.startswith(f"_{hint}"))
        return self.own(f"_{hint}{n or ''}", CellType(value))

    def type_name(self, cls: type) -> str:
        return self.emitter.constant(cls, cls.__name__)

    def of_value(self, text: str, kind: Any) -> list[str]:
        """Tests that the value of the expression `text` is of type `kind`."""
        type_ = self.emitter.constant(type, "type")
        match kind:
            case Scalar(kinds=kinds):
                names = [self.type_name(_CLASSES.get(k) or np.dtype(k).type) for k in sorted(kinds)]
                if len(names) == 1:
                    return [f"{type_}({text}) is {names[0]}"]
                return [f"{type_}({text}) in ({', '.join(names)})"]
            case Array(dtype=dtype, ndim=ndim):
                held = self.object(np.dtype(dtype), "dtype")
                array = self.type_name(np.ndarray)
                return [f"{type_}({text}) is {array}", f"{text}.dtype is {held}", f"{text}.ndim == {ndim}"]
            case Const(value=value):
                if value is None or isinstance(value, bool):
                    return [f"{text} is {value!r}"]
                if isinstance(value, str | bytes):
                    return [f"{type_}({text}) is {type(value).__name__}", f"{text} == {value!r}"]
                return [f"{text} is {self.object(value, 'object')}"]
            case Tuple(elems=elems, cls=cls):
                out = [f"{type_}({text}) is {self.type_name(cls)}", f"len({text}) == {len(elems)}"]
                for i, e in enumerate(elems):
                    out += self.of_value(f"{text}[{i}]", e)
                return out
            case Struct(cls=cls, names=names, elems=elems):
                out = [f"{type_}({text}) is {self.type_name(cls)}"]
                for n, e in zip(names, elems, strict=True):
                    out += self.of_value(f"{text}[{n!r}]" if cls is dict else f"{text}.{n}", e)
                return out
            case List(elem=Scalar(kinds=kinds)) if kinds == {"float"}:
                e = self.emitter
                types = f"{e.constant(map, 'map')}({type_}, {text})"
                count = self.object(operator.countOf, "count")
                return [
                    f"{type_}({text}) is {e.constant(list, 'list')}",
                    text,
                    f"{count}({types}, {self.type_name(float)}) == {e.constant(len, 'len')}({text})",
                ]
            case List() | Dict():
                return [f"{self.object(checker(kind), 'same')}({text})"]
        raise NotTyped(f"a guard for {kind!r}")

    def unshared(self, text: str) -> str:
        """A test that no two parts of a value are one storage."""
        return f"not {self.object(shared, 'shared')}({text})"

    def apart(self, a: str, kind: Any, b: str, other: Any) -> str:
        """A test that no array in `a` shares memory with one in `b`."""
        test = f"{self.object(apart, 'apart')}({a}, {b})"
        if isinstance(kind, Array) and isinstance(other, Array):  # two owners are quick to tell apart
            return f"({a}.base is {b}.base is None and {a} is not {b} or {test})"
        return test

    def assumptions(self) -> list[str]:
        """Tests of everything that the session has assumed."""
        return [t for g in self.session.guards.values() for t in self.of_guard(g)]

    def of_guard(self, g: Guard) -> list[str]:
        e = self.emitter
        if g.kind == "absent":
            if g.owner is e.space:
                import builtins

                value = getattr(builtins, g.name)
                if g.name in e.taken or not g.name.isidentifier():
                    return [f"{g.name!r} not in {self.object(g.owner, 'names')}"]
                return [f"{g.name} is {self.object(value, g.name)}"]
            return [f"{g.name!r} not in {self.object(g.owner, 'names')}"]
        text = self.place(g)
        if g.by_type:
            return self.of_value(text, g.value)
        if g.name in ("__code__", "__defaults__", "__kwdefaults__") or isinstance(g.value, str):
            return (
                [f"{text} is {self.object(g.value, 'held')}"]
                if not isinstance(g.value, str)
                else [f"{text} == {g.value!r}"]
            )
        return [f"{text} is {self.object(g.value, g.name.lstrip('_'))}"]

    def place(self, g: Guard) -> str:
        """What a guard is about, as an expression."""
        e = self.emitter
        if g.kind == "global":
            if g.owner is e.space and g.name not in e.taken and g.name not in e.constants:
                return g.name
            return f"{self.object(g.owner, 'names')}[{g.name!r}]"
        if g.kind == "cell":
            own = e.unit.cells.get(g.name)
            if own is g.owner and g.name not in e.taken:
                return g.name
            return f"{self.object(g.owner, 'cell')}.cell_contents"
        hint = getattr(g.owner, "__name__", "object").split(".")[-1]
        return f"{self.object(g.owner, hint if hint.isidentifier() else 'function')}.{g.name}"


def live_arrays(session: Session) -> list[tuple[Guard, Any, Any]]:
    """What is read live and has arrays in it: its guard, type and present value."""
    out = []
    for g in session.guards.values():
        if g.by_type and has_array(g.value):
            out.append((g, g.value, present(g)))
        elif isinstance(g.value, tuple) and g.name != "__defaults__" and has_array(type_of(g.value)):
            out.append((g, type_of(g.value), g.value))
    return out


def present(g: Guard) -> Any:
    """What a guard is about, as it is now."""
    if g.kind == "global":
        return g.owner[g.name]
    return g.owner.cell_contents if g.kind == "cell" else getattr(g.owner, g.name)


def has_array(kind: Any) -> bool:
    """Whether arrays occur in values of this type."""
    match kind:
        case Array():
            return True
        case List(elem=elem) | Dict(elem=elem):
            return has_array(elem)
        case Tuple(elems=elems) | Struct(elems=elems):
            return any(map(has_array, elems))
    return False


def checker(kind: Any) -> Callable[[Any], bool]:
    """A function that tests whether a list or dict has the type that was assumed."""
    if kind == List(Scalar(frozenset({"float"}))):
        return floats
    lines: list[str] = []
    held: dict[str, Any] = {}
    count = itertools.count(1)

    def name(value: Any, hint: str) -> str:
        for known, v in held.items():
            if v is value:
                return known
        text = hint if hint not in held else f"{hint}_{next(count)}"
        held[text] = value
        return text

    def tests(text: str, k: Any, indent: str) -> None:
        found: list[str] = []
        match k:
            case Scalar(kinds=kinds):
                classes = [name(_CLASSES.get(c) or np.dtype(c).type, f"t_{c}") for c in sorted(kinds)]
                test = f"is not {classes[0]}" if len(classes) == 1 else f"not in ({', '.join(classes)})"
                found = [f"{name(type, 'type')}({text}) {test}"]
            case Array(dtype=dtype, ndim=ndim):
                found = [
                    f"{name(type, 'type')}({text}) is not {name(np.ndarray, 'ndarray')}",
                    f"{text}.dtype is not {name(np.dtype(dtype), 'dtype_' + dtype)}",
                    f"{text}.ndim != {ndim}",
                ]
            case Tuple(elems=elems, cls=cls):
                found = [
                    f"{name(type, 'type')}({text}) is not {name(cls, 'cls_' + cls.__name__)}",
                    f"{name(len, 'len')}({text}) != {len(elems)}",
                ]
                lines.append(f"{indent}if {' or '.join(found)}:")
                lines.append(f"{indent}    return False")
                parts = [f"v{next(count)}" for _ in elems]
                if parts:
                    lines.append(f"{indent}{', '.join(parts)}, = {text}")
                for part, e in zip(parts, elems, strict=True):
                    tests(part, e, indent)
                return
            case List(elem=elem) if elem is not None:
                found = [f"{name(type, 'type')}({text}) is not {name(list, 'list')}", f"not {text}"]
                lines.append(f"{indent}if {' or '.join(found)}:")
                lines.append(f"{indent}    return False")
                item = f"v{next(count)}"
                lines.append(f"{indent}for {item} in {text}:")
                tests(item, elem, indent + "    ")
                return
            case _:
                same = name(Same(key_of(k)), f"same{next(count)}")
                found = [f"not {same}({text})"]
        lines.append(f"{indent}if {' or '.join(found)}:")
        lines.append(f"{indent}    return False")

    tests("value", kind, "    ")
    source = "\n".join(["def same(value):", *lines, "    return True", ""])
    return compile_function(source, "same", {}, {n: CellType(v) for n, v in held.items()})


def floats(value: Any) -> bool:
    """Whether `value` is a list of floats."""
    return type(value) is list and set(map(type, value)) == _FLOATS


_FLOATS = {float}


class Same:
    """Tests that a value has the type that was assumed."""

    def __init__(self, key: Any) -> None:
        self.key = key

    def __call__(self, value: Any) -> bool:
        try:
            return bool(key_of(type_of(value)) == self.key)
        except NotTyped:
            return False
