"""Entries on disk: what a function was compiled to in an earlier process, found without reading its source.

The key is what can be seen before staging: the function's code, the options and the types of the arguments.
With each entry stands what staging has looked at on its way, functions by their code and classes by their
methods; an entry is taken only if all of that, and every guard, is the same in this process.
"""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native import cache, fingerprints
from tapeless.backends.native.entry import Entry
from tapeless.backends.native.kernel import Kernel
from tapeless.backends.native.references import CONSTANTS, Reach, read, resolve, write
from tapeless.transformed import Transformed

if TYPE_CHECKING:
    from tapeless.native import Options

#: How many entries are kept for one key.
MOST = 8


class Unnamed(Exception):
    """Something that cannot be described to another process."""


def store(
    fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: Options, entry: Entry, opened: list[Any]
) -> bool:
    """Keep an entry that has been made from these functions and classes; False if that is not possible."""
    if cache.directory() is None:
        return False
    try:
        key = _key(fun, args, kwargs, options)
        reach = Reach(fun)
        reach.walk_guards(entry.plan.guards)
        seen = []
        for obj in _outermost(opened):
            ref = reach.of(obj)
            if ref is None:
                return False
            seen.append((ref, fingerprints.of(obj)))
        content = write((seen, entry.plan), reach)
    except Exception:  # what cannot be named or pickled is not kept
        return False
    found = cache.read(key)
    kept = found[1 - MOST :] if isinstance(found, list) else []
    return cache.write(key, [*kept, (content, entry.kernel.code)])


def load(
    fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: Options, plain: Any
) -> list[Entry]:
    """The entries that may take this call."""
    if cache.directory() is None:
        return []
    try:
        found = cache.read(_key(fun, args, kwargs, options))
    except Unnamed:
        return []
    made = []
    for one in reversed(found if isinstance(found, list) else []):
        try:
            content, code = one
            seen, plan = read(content, fun)
            if all(fingerprints.of(resolve(ref, fun)) == text for ref, text in seen) and all(
                guard.holds(args, kwargs) for guard in plan.guards
            ):
                made.append(Entry(plan, Kernel(code), plain))
        except Exception:  # other modules, other objects, a file that is no longer understood
            continue
    return made


def _outermost(opened: list[Any]) -> list[Any]:
    """Without the functions that were made by others of the list: those are constants of their code."""
    inner: set[types.CodeType] = set()

    def note(code: types.CodeType) -> None:
        for value in code.co_consts:
            if isinstance(value, types.CodeType):
                inner.add(value)
                note(value)

    functions = [f for f in opened if isinstance(f, types.FunctionType)]
    for f in functions:
        note(f.__code__)
    return [f for f in opened if not (isinstance(f, types.FunctionType) and f.__code__ in inner)]


def _key(fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: Options) -> str:
    named = [f"{name}={_value(x)}" for name, x in kwargs.items()]
    return f"entry {options} {_function(fun)}({', '.join([*map(_value, args), *named])})"


def _function(fun: Any) -> str:
    """A function as it can be seen without looking at what it calls."""
    match fun:
        case types.FunctionType():
            return f"{fun.__module__}.{fun.__qualname__} {fingerprints.of(fun)}"
        case Transformed():
            kind, (inner, *options) = fun.__reduce__()
            return f"{kind.__qualname__}{options!r} of {_function(inner)}"
        case functools.partial():
            named = [f"{k}={_part(v)}" for k, v in fun.keywords.items()]
            return f"partial {_function(fun.func)}({', '.join([*map(_part, fun.args), *named])})"
        case types.MethodType():
            return f"method {_function(fun.__func__)} of {_class(type(fun.__self__))}"
    raise Unnamed(repr(fun))


def _part(x: Any) -> str:
    """An argument that a partial holds: part of the program."""
    return f"{type(x).__name__} {x!r}" if isinstance(x, CONSTANTS) else _function(x)


def _class(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _value(x: Any, depth: int = 0) -> str:
    """The type of an argument, with what an entry is certain to depend on."""
    kind = type(x)
    if kind is np.ndarray:
        return f"{x.dtype}[{x.ndim}{'C' if x.flags.c_contiguous else ''}]"
    if isinstance(x, (str, bytes, type(None))):
        return repr(x)
    if depth < 8 and len(getattr(x, "__dict__", ()) or (x if kind in (tuple, list, dict) else ())) < 100:
        if kind in (tuple, list):
            return f"{kind.__name__}({', '.join([_value(v, depth + 1) for v in x])})"
        if kind is dict:
            return f"dict({', '.join([f'{k!r}: {_value(v, depth + 1)}' for k, v in x.items()])})"
    return _class(kind)
