"""What a staged program was made from, as text: functions by their code, classes by their methods."""

from __future__ import annotations

import hashlib
import types
from typing import Any


def of_code(code: types.CodeType) -> str:
    """A hash of what a function does: its instructions, constants and names, not where it stands."""
    made = hashlib.sha256()
    shape = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    made.update(repr((shape, names, code.co_code, code.co_exceptiontable)).encode())
    for value in code.co_consts:
        made.update(_constant(value).encode() + b";")
    return made.hexdigest()


def _constant(value: Any) -> str:
    if isinstance(value, types.CodeType):
        return of_code(value)
    if isinstance(value, tuple):
        return f"({','.join(map(_constant, value))})"
    if isinstance(value, frozenset):
        return f"{{{','.join(sorted(map(_constant, value)))}}}"
    return f"{type(value).__name__} {value!r}"


def of_class(cls: type) -> str:
    """A hash of a class and of its bases written in Python: their names and what their functions do."""
    made = hashlib.sha256()
    for base in cls.__mro__:
        made.update(f"{base.__module__}.{base.__qualname__}\n".encode())
        if base.__flags__ & (1 << 9):  # a class made by Python
            for name, value in sorted(vars(base).items()):
                made.update(f"{name} {member(value)}\n".encode())
    return made.hexdigest()


def member(value: Any) -> str:
    """What something held by a class or a function is, as far as that can be told without a name."""
    match value:
        case types.FunctionType():
            return of_code(value.__code__)
        case types.CodeType():
            return of_code(value)
        case staticmethod() | classmethod():
            return f"{type(value).__name__} {member(value.__func__)}"
        case property():
            return " ".join(member(part) for part in (value.fget, value.fset, value.fdel))
        case tuple():
            return f"({', '.join(map(member, value))})"
        case type():
            return f"class {value.__module__}.{value.__qualname__}"
        case bool() | int() | float() | complex() | str() | bytes():
            return f"{type(value).__name__} {value!r}"
    return type(value).__name__


def of(obj: Any) -> str:
    return of_code(obj.__code__) if isinstance(obj, types.FunctionType) else of_class(obj)
