"""The derivative of an object: a `Tangent` with the same fields."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np


class Tangent:
    """The derivative of an object: the same fields, each with the derivative of what the object holds there.

    Fields are read as attributes (`g.weight`), or by name (`g["weight"]`).  Tangents add, subtract and
    scale.  A field that has no derivative (an integer, a string, a lock) is None.

    >>> from tapeless import Tangent
    >>> g = Tangent("Line", {"slope": 2.0, "name": None})
    >>> (g + g * 0.5).slope
    3.0
    """

    __slots__ = ("_fields", "_name")

    def __init__(self, name: str, fields: dict[str, Any]) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_fields", fields)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        fields = object.__getattribute__(self, "_fields")
        if name not in fields:
            raise AttributeError(
                f"the tangent of {self._name} has no field {name!r}; it has {', '.join(fields) or 'none'}"
            )
        return fields[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self._fields[name] = value

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __dir__(self) -> list[str]:
        return [*self._fields, "leaves"]

    def __repr__(self) -> str:
        inner = ", ".join(
            f"{k}={'...' if isinstance(v, Tangent) and v is self else repr(v)}"
            for k, v in self._fields.items()
        )
        return f"Tangent({self._name}: {inner})"

    def __reduce__(self) -> Any:
        return Tangent, (self._name, self._fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Tangent):
            return NotImplemented
        mine, theirs = list(leaves(self)), list(leaves(other))
        return len(mine) == len(theirs) and all(
            a == b and np.array_equal(x, y) for (a, x), (b, y) in zip(mine, theirs, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Any) -> Any:
        return combine(lambda a, b: a + b, self, other)

    def __sub__(self, other: Any) -> Any:
        return combine(lambda a, b: a - b, self, other)

    def __mul__(self, factor: Any) -> Any:
        return combine(lambda a: a * factor, self)

    __rmul__ = __mul__

    def __truediv__(self, factor: Any) -> Any:
        return combine(lambda a: a / factor, self)

    def __neg__(self) -> Any:
        return combine(lambda a: -a, self)

    def leaves(self) -> Iterator[tuple[str, Any]]:
        """Path and value of every number and array: `("layers[0].weight", array)`."""
        return leaves(self)


def combine(fn: Callable[..., Any], first: Any, *rest: Any, memo: dict[int, Any] | None = None) -> Any:
    """Apply `fn` to the leaves of structures of one shape; None stays None, sharing and cycles are kept."""
    memo = {} if memo is None else memo
    if id(first) in memo:
        return memo[id(first)]
    if first is None or any(r is None for r in rest):
        return None
    if isinstance(first, Tangent):
        made = memo[id(first)] = Tangent(first._name, {})
        for k in first._fields:
            made._fields[k] = combine(fn, first._fields[k], *(_field(r, k) for r in rest), memo=memo)
        return made
    if isinstance(first, list):
        items: list[Any] = []
        memo[id(first)] = items
        items += [combine(fn, *parts, memo=memo) for parts in zip(first, *rest, strict=True)]
        return items
    if isinstance(first, tuple):
        parts = [combine(fn, *p, memo=memo) for p in zip(first, *rest, strict=True)]
        return tuple_like(type(first), parts)
    if isinstance(first, dict):
        table: dict[Any, Any] = {}
        memo[id(first)] = table
        table.update((k, combine(fn, first[k], *(r[k] for r in rest), memo=memo)) for k in first)
        return table
    value = fn(first, *rest)
    if isinstance(first, np.ndarray):
        memo[id(first)] = value
    return value


def _field(x: Any, name: str) -> Any:
    if isinstance(x, Tangent):
        return x._fields[name]
    return x[name] if isinstance(x, dict) else getattr(x, name)


def leaves(x: Any, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
    """Path and value of every number and array of a structure, each shared one once."""
    seen = set() if seen is None else seen
    if x is None or id(x) in seen:
        return
    if not isinstance(x, (float, complex, np.generic)):
        seen.add(id(x))
    if isinstance(x, Tangent):
        for k, v in x._fields.items():
            yield from leaves(v, f"{path}.{k}" if path else k, seen)
    elif isinstance(x, dict):
        for k, v in x.items():
            yield from leaves(v, f"{path}[{k!r}]", seen)
    elif isinstance(x, (list, tuple)):
        names = getattr(x, "_fields", None)
        for i, v in enumerate(x):
            yield from leaves(v, f"{path}.{names[i]}" if names else f"{path}[{i}]", seen)
    elif not isinstance(x, (str, bytes, int)) or isinstance(x, float):
        yield path, x


def tuple_like(kind: type, items: list[Any]) -> Any:
    """A tuple of a class; a plain one where the class asks for more than its items, as some results of
    SciPy do: their other fields are none."""
    if hasattr(kind, "_fields"):
        return tuple(items) if getattr(kind, "_extra_fields", None) else kind(*items)
    return tuple(items)
