"""Arrays that a function reaches other than through its arguments.

The derivative is by the argument: what the program reads from a closure, a global or an attribute is a
constant, also where it is the very array that was passed.  A run follows storage by identity, so such an
argument is passed as a copy, and a program that writes into either is refused.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

#: How many objects are looked at, and how deep in containers and attributes.
MOST, DEEPEST = 2000, 4
#: Classes of values in which no array can be.
PLAIN = {int, float, complex, bool, str, type(None)}
#: Packages whose functions hold no array of the user's.
SETTLED = {"numpy", "scipy", "builtins", "math", "functools", "itertools", "operator", "tapeless", "typing"}


def arrays_outside(fun: Any) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """The arrays in closures, globals, defaults and attributes that `fun` names, with what leads to them."""
    seen: set[int] = set()
    found: list[tuple[str, np.ndarray[Any, Any]]] = []
    todo: list[tuple[str, Any, int]] = [("", fun, 0)]
    while todo and len(seen) < MOST:
        name, x, depth = todo.pop()
        if isinstance(x, np.ndarray):
            found.append((name, x))
            continue
        if depth > DEEPEST or id(x) in seen or x is None or isinstance(x, (int, float, complex, str, type)):
            continue
        seen.add(id(x))
        todo.extend((label or name, part, depth + 1) for label, part in _parts(x))
    return found


def _parts(x: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(x, types.FunctionType):
        yield from _of_function(x)
    elif isinstance(x, types.MethodType):
        yield "self", x.__self__
        yield "", x.__func__
    elif isinstance(x, functools.partial):
        yield "", x.func
        yield from (("", v) for v in (*x.args, *x.keywords.values()))
    elif isinstance(x, (tuple, list, set, frozenset, dict)):
        items = x.values() if isinstance(x, dict) else x
        if not set(map(type, items)) <= PLAIN:  # a long list of numbers is passed over at once
            yield from (("", v) for v in items)
    elif not isinstance(x, types.ModuleType) and type(x).__module__.partition(".")[0] not in (
        "numpy",
        "builtins",
    ):
        yield from (("", v) for v in getattr(x, "__dict__", {}).values())
        for cls in type(x).__mro__:
            slots = cls.__dict__.get("__slots__", ())
            yield from (("", getattr(x, s, None)) for s in ((slots,) if isinstance(slots, str) else slots))
        yield "", type(x).__dict__.get("__call__")


def _package(x: Any) -> str:
    return (x.__module__ or "").partition(".")[0]


def _of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    if _package(function) in SETTLED:
        return
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # an empty cell
            continue
    yield from (("", v) for v in function.__defaults__ or ())
    yield from (function.__kwdefaults__ or {}).items()
    namespace = function.__globals__
    for name in names_in(function.__code__):
        if name in namespace:
            value = namespace[name]
            yield name, value
            if isinstance(value, types.ModuleType) and value.__name__.partition(".")[0] not in SETTLED:
                for attribute in names_in(function.__code__):
                    if attribute in value.__dict__:
                        yield f"{name}.{attribute}", value.__dict__[attribute]


@functools.cache
def names_in(code: types.CodeType) -> frozenset[str]:
    """The global and attribute names that a code object, and those inside it, mention."""
    inner = (names_in(c) for c in code.co_consts if isinstance(c, types.CodeType))
    return frozenset(code.co_names).union(*inner)


def functions_in(values: Iterable[Any]) -> Iterator[types.FunctionType]:
    """The Python functions that `values` lead to: closures, methods, callables, and by the names they use."""
    todo = list(values)
    seen: set[int] = set()
    while todo and len(seen) < MOST:
        x = todo.pop()
        if type(x) in PLAIN or id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, types.FunctionType):
            yield x
            todo += [cell.cell_contents for cell in x.__closure__ or () if not _empty(cell)]
            todo += (x.__defaults__ or ()) if _package(x) in SETTLED else (v for _, v in _of_function(x))
        elif isinstance(x, types.MethodType):
            todo += (x.__func__, x.__self__)
        elif isinstance(x, functools.partial):
            todo += (x.func, *x.args, *x.keywords.values())
        elif isinstance(x, (tuple, list)) and len(x) < MOST:
            todo += x
        elif callable(x) and not isinstance(x, type):
            todo.append(getattr(type(x), "__call__", None))  # noqa: B004


def _empty(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False
