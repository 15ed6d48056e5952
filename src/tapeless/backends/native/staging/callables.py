"""What the program may call that is neither a function of Python nor of NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapeless.backends.native.staging.values import Value


class Cached(Value):
    """A function of the program with `functools.lru_cache` or `cache` around it."""

    def __init__(self, function: Value) -> None:
        self.function = function


class Partial(Value):
    """`functools.partial(function, *args, **kwargs)` made by the program."""

    def __init__(self, function: Value, args: list[Value], kwargs: dict[str, Value]) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs


class Method:
    """A method of a builtin class or of arrays, that staging carries out."""

    def __init__(self, name: str, run: Callable[[Any, Value, list[Value], dict[str, Value]], Value]) -> None:
        self.name, self.__run = name, run

    def run(self, s: Any, owner: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
        return self.__run(s, owner, args, kwargs)
