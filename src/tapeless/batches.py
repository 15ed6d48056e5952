"""A function of one entry, called for every entry of a batch in CPython: what `vmap` means.

Compiled code does this in a loop of its own; this is for the calls that it gives back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np


def one_by_one(
    fun: Callable[..., Any], in_axes: Any, out_axes: Any, args: Sequence[Any], kwargs: dict[str, Any]
) -> Any:
    """The results of `fun` for every entry, stacked."""
    axes = list(in_axes) if isinstance(in_axes, (tuple, list)) else [in_axes] * len(args)
    if len(axes) != len(args):
        raise ValueError(f"vmap was given {len(axes)} in_axes and {len(args)} arguments")
    given = [*zip(args, axes, strict=True), *((x, 0) for x in kwargs.values())]
    lengths = {n for x, axis in given for n in _lengths(x, axis)}
    if len(lengths) > 1:
        raise ValueError("vmap was given arrays of different lengths along the mapped axes")
    if lengths <= {0}:
        raise ValueError("vmap needs an argument with an axis to map over")
    made = [
        fun(*[_entry(x, axis, i) for x, axis in zip(args, axes, strict=True)],
            **{k: _entry(x, 0, i) for k, x in kwargs.items()})
        for i in range(lengths.pop())
    ]  # fmt: skip
    return _stacked(made, out_axes)


def _parts(x: Any, axis: Any) -> Iterator[tuple[Any, Any, Any]]:
    """The keys, items and axes of a container."""
    items = x.items() if isinstance(x, dict) else enumerate(x)
    for k, v in items:
        yield k, v, axis[k] if isinstance(axis, (tuple, list, dict)) else axis


def _lengths(x: Any, axis: Any) -> Iterator[int]:
    if isinstance(x, (tuple, list, dict)):
        for _, v, a in _parts(x, axis):
            yield from _lengths(v, a)
    elif isinstance(x, np.ndarray) and axis is not None:
        yield x.shape[axis]


def _entry(x: Any, axis: Any, i: int) -> Any:
    if isinstance(x, dict):
        return {k: _entry(v, a, i) for k, v, a in _parts(x, axis)}
    if isinstance(x, (tuple, list)):
        made = [_entry(v, a, i) for _, v, a in _parts(x, axis)]
        return type(x)(*made) if hasattr(x, "_fields") else type(x)(made)
    return np.moveaxis(x, axis, 0)[i] if isinstance(x, np.ndarray) and axis is not None else x


def _stacked(made: list[Any], axis: Any) -> Any:
    first = made[0]
    if isinstance(first, dict):
        return {k: _stacked([m[k] for m in made], a) for k, _, a in _parts(first, axis)}
    if isinstance(first, (tuple, list)):
        parts = [_stacked([m[k] for m in made], a) for k, _, a in _parts(first, axis)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if first is None or axis is None:
        return first
    return np.stack(made, axis)
