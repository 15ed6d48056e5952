"""Derivatives of compiled functions, asked for from outside: they are compiled too."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeless import api
from tapeless.native import Jitted


def jvp(fun: Jitted, primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool) -> Any:
    return fun.part(("jvp", has_aux), lambda f: _push(f, has_aux))(tuple(primals), tuple(tangents))


def vjp(fun: Jitted, primals: tuple[Any, ...], has_aux: bool) -> Any:
    kept = copy.deepcopy(primals)
    value = fun(*primals)
    back = CompiledPullback(fun, kept, has_aux)
    return (value[0], back, value[1]) if has_aux else (value, back)


class CompiledPullback:
    """The pullback of a compiled function at a point; each call runs the function again."""

    def __init__(self, fun: Jitted, primals: tuple[Any, ...], has_aux: bool = False) -> None:
        self.primals = primals
        self.pull = fun.part(("vjp", has_aux), lambda f: _pull(f, has_aux))

    def __call__(self, cotangent: Any) -> tuple[Any, ...]:
        made: tuple[Any, ...] = self.pull(copy.deepcopy(self.primals), cotangent)
        return made


class CompiledLinearMap:
    """The derivative of a compiled function at a point; each call runs the function again."""

    def __init__(self, fun: Jitted, primals: tuple[Any, ...]) -> None:
        self.fun, self.primals = fun, copy.deepcopy(primals)

    def __call__(self, *tangents: Any) -> Any:
        return jvp(self.fun, copy.deepcopy(self.primals), tangents, False)[1]

    def transposed(self) -> CompiledPullback:
        return CompiledPullback(self.fun, self.primals)


def _push(fun: Callable[..., Any], has_aux: bool) -> Callable[..., Any]:
    def push(primals: Any, tangents: Any) -> Any:
        return api.jvp(fun, primals, tangents, has_aux)

    return push


def _pull(fun: Callable[..., Any], has_aux: bool) -> Callable[..., Any]:
    def pull(primals: Any, cotangent: Any) -> Any:
        return api.vjp(fun, *primals, has_aux=has_aux)[1](cotangent)

    return pull


# ---- what `vmap` computes, in plain Python: for the roads that differentiate it in CPython


def batched(what: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`what.fun` for one entry of a batch after the other."""
    axes = what.in_axes if isinstance(what.in_axes, (tuple, list)) else [what.in_axes] * len(args)
    if len(axes) != len(args):
        raise ValueError(f"vmap was given {len(axes)} in_axes and {len(args)} arguments")
    lengths: list[int] = []
    for x, axis in zip(args, axes, strict=True):
        _lengths(x, axis, lengths)
    for x in kwargs.values():
        _lengths(x, 0, lengths)
    if not lengths:
        raise ValueError("vmap needs an argument with an axis to map over")
    if min(lengths) != max(lengths):
        raise ValueError("vmap was given arrays of different lengths along the mapped axes")
    results = []
    for i in range(lengths[0]):
        own = [_entry(x, axis, i) for x, axis in zip(args, axes, strict=True)]
        named = {k: _entry(x, 0, i) for k, x in kwargs.items()}
        results.append(what.fun(*own, **named))
    return _stacked(results, what.out_axes)


def _lengths(x: Any, axis: Any, found: list[int]) -> None:
    if axis is None:
        return
    if isinstance(x, np.ndarray):
        if not -x.ndim <= axis < x.ndim:
            raise ValueError(f"vmap maps over axis {axis} of an array of {x.ndim} axes")
        found.append(x.shape[axis])
    elif isinstance(x, (tuple, list, dict)):
        for k in range(len(x)) if not isinstance(x, dict) else x:
            _lengths(x[k], axis[k] if isinstance(axis, (tuple, list, dict)) else axis, found)
    else:
        raise ValueError(
            "vmap maps over arrays; give None in in_axes for an argument that is the same for all"
        )


def _entry(x: Any, axis: Any, i: int) -> Any:
    if axis is None:
        return x
    if isinstance(x, np.ndarray):
        return x[(slice(None),) * (axis % x.ndim) + (i,)]
    of = axis if isinstance(axis, (tuple, list, dict)) else None
    if isinstance(x, dict):
        return {k: _entry(v, axis if of is None else of[k], i) for k, v in x.items()}
    parts = [_entry(v, axis if of is None else of[k], i) for k, v in enumerate(x)]
    return parts if isinstance(x, list) else tuple(parts)


def _stacked(results: list[Any], axis: Any) -> Any:
    first = results[0]
    of = axis if isinstance(axis, (tuple, list, dict)) else None
    if isinstance(first, dict):
        return {k: _stacked([r[k] for r in results], axis if of is None else of[k]) for k in first}
    if isinstance(first, (tuple, list)):
        parts = [_stacked([r[k] for r in results], axis if of is None else of[k]) for k in range(len(first))]
        return parts if isinstance(first, list) else tuple(parts)
    return np.stack(results, axis) if isinstance(first, np.ndarray) else np.array(results)
