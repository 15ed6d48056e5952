"""Every corpus function gives the same values, exceptions, output and mutations by way of its Program."""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import pkgutil
import types
from collections.abc import Callable
from typing import Any

import pytest

from frontend import corpus
from frontend.corpus.cases import CASES
from tapeless.backends.python.plain import to_function
from tapeless.frontend.lower import lower
from tapeless.program.verifier import verify

for _module in pkgutil.iter_modules(corpus.__path__):
    importlib.import_module(f"{corpus.__name__}.{_module.name}")


def describe(value: Any, depth: int = 6) -> Any:
    """What can be seen of `value`, as something that compares and prints."""
    if depth == 0:
        return "..."
    if isinstance(value, BaseException):
        context = None if value.__suppress_context__ and value.__cause__ is None else value.__context__
        parts = (value.__cause__, context)
        return (type(value).__name__, describe(value.args), [describe(p, depth - 1) for p in parts])
    if isinstance(value, types.GeneratorType):
        return ["generator", value.__name__, value.__qualname__, describe(list(value), depth - 1)]
    if isinstance(value, list | tuple | set | frozenset):
        return [type(value).__name__, [describe(v, depth - 1) for v in value]]
    if isinstance(value, dict):
        return ["dict", [(describe(k, depth - 1), describe(v, depth - 1)) for k, v in value.items()]]
    if isinstance(value, types.FunctionType):
        about = (value.__name__, value.__qualname__, value.__doc__, value.__module__)
        return ["function", about, describe((value.__defaults__, value.__kwdefaults__), depth - 1)]
    if isinstance(value, type):
        return ["type", value.__name__, value.__qualname__, value.__module__]
    if type(value).__repr__ is object.__repr__:
        return [type(value).__name__, describe(getattr(value, "__dict__", {}), depth - 1)]
    return (type(value).__name__, repr(value))


def observe(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """All that a call does: value or exception, output, and what became of the arguments."""
    args = copy.deepcopy(args)
    out = io.StringIO()
    outcome: Any
    with contextlib.redirect_stdout(out):
        try:
            outcome = ("value", describe(function(*args)))
        except BaseException as error:
            outcome = ("raises", describe(error))
    return {"outcome": outcome, "printed": out.getvalue(), "arguments": describe(args)}


@pytest.mark.parametrize("function, arguments", CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_same_behaviour(function: Any, arguments: tuple[tuple[Any, ...], ...]) -> None:
    verify(lower(function.__code__))
    again = to_function(function)
    for args in arguments:
        assert observe(again, args) == observe(function, args)
