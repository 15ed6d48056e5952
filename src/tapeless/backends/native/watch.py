"""Guards that machine code checks by itself, before a call: which object a name, a cell or a class holds.

A row of the table is a function of CPython, its two operands and what it has to return; without a function,
the first operand is the address of a pointer.  A guard that cannot be told in rows is left to Python.
"""

from __future__ import annotations

import ctypes
import functools
import struct
import types
from collections.abc import Iterable
from typing import Any

from tapeless.backends.native.staging.paths import (
    Content,
    Field,
    Fixed,
    Global,
    Guard,
    Held,
    Missing,
    OnClass,
    RuleOf,
)
from tapeless.rule_table import RULES

WORD = 8
#: A function, its operands, what it returns; a row of zeros ends the table.
ROW = 4 * WORD
Row = tuple[int, int, int, int]
NOTHING = bytes(ROW)


def split(guards: Iterable[Guard]) -> tuple[list[Guard], list[Guard]]:
    """The guards that machine code can check, and the others."""
    watched: list[Guard] = []
    others: list[Guard] = []
    for guard in guards:
        (others if rows(guard) is None else watched).append(guard)
    return watched, others


def table(guards: Iterable[Guard]) -> bytes:
    """What machine code reads.  The guards must live as long as it: they hold all objects of the table."""
    found = [row for guard in guards for row in rows(guard) or ()]
    return b"".join(struct.pack("4P", *row) for row in found) + NOTHING


def rows(guard: Guard) -> list[Row] | None:
    """The rows of a guard; None if there are none for it."""
    if guard.test != "is":
        return None
    wanted = 0 if guard.value is Missing else id(guard.value)
    match guard.path:
        case Global(namespace=Held(obj=names), name=name) if type(names) is dict:
            if name in names:
                return [(_item(), id(names), id(name), wanted)]
            builtins = names.get("__builtins__")
            builtins = vars(builtins) if isinstance(builtins, types.ModuleType) else builtins
            if type(builtins) is dict:
                return [(_item(), id(names), id(name), 0), (_item(), id(builtins), id(name), wanted)]
        case Field(of=Fixed(held=Held(obj=types.ModuleType() as module)), name=name):
            if type(module) is types.ModuleType and name in vars(module):
                return [(_item(), id(vars(module)), id(name), wanted)]
        case Field(of=Fixed(held=Held(obj=types.FunctionType() as function)), name=name):
            at = _slots().get(name)
            if at is not None:
                return [(0, id(function) + at, 0, 0 if guard.value is None else wanted)]
        case Field(of=Fixed(held=Held(obj=type() as cls)), name="__mro__"):
            return [(0, id(cls) + _order(), 0, wanted)]
        case Content(cell=Held(obj=cell)):
            return [(0, id(cell) + object.__basicsize__, 0, wanted)]
        case RuleOf(function=Held(obj=types.FunctionType() as function)):
            return [(_item(), id(RULES), id(function), wanted)]
        case OnClass(cls=Held(obj=cls), name=name):
            return [(_lookup(), id(cls), id(name), wanted)]
    return None


def _sample(x: Any = 1.0, *, y: Any = 2.0) -> None: ...


@functools.cache
def _slots() -> dict[str, int]:
    """Where a function keeps its code and its defaults: found in one that is known."""
    names = ("__code__", "__defaults__", "__kwdefaults__")
    return {name: _place(_sample, getattr(_sample, name)) for name in names}


@functools.cache
def _order() -> int:
    """Where a class keeps its bases and theirs."""
    return _place(Held, Held.__mro__)


def _place(owner: Any, part: Any) -> int:
    """Where in an object the pointer to a part of it is."""
    size = type(owner).__basicsize__
    words = struct.unpack(f"{size // WORD}P", ctypes.string_at(id(owner), size // WORD * WORD))
    return WORD * words.index(id(part))


@functools.cache
def _item() -> int:
    return _address("PyDict_GetItemWithError")


@functools.cache
def _lookup() -> int:
    return _address("_PyType_Lookup")


def _address(name: str) -> int:
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0
