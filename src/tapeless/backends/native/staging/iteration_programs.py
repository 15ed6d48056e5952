"""What generators are asked for all at once, or once only, as the loops that do the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def all_of(values: Iterator[Any]) -> list[Any]:
    return [v for v in values]  # noqa: C416


def first_of(values: Iterator[Any]) -> Any:
    for v in values:
        return v
    raise StopIteration


def first_or(values: Iterator[Any], default: Any) -> Any:
    for v in values:
        return v
    return default
