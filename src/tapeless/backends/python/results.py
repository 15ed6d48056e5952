"""Cotangents of the parameters as the gradient that the user gets: same types, same structure, no shared
memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import CellType
from typing import Any

import numpy as np

from tapeless.autodiff.control import leaves
from tapeless.backends.python.guards import Guards
from tapeless.specialise.types import Array, List, NotTyped, Scalar, Tuple


def owned(*arrays: Any) -> Any:
    """The arrays, copied where two are one object or one is a view of other memory."""
    out: list[Any] = []
    for a in arrays:
        if a.base is not None or not a.flags.writeable or any(a is b for b in out):
            a = a.copy()
        out.append(a)
    return out[0] if len(out) == 1 else tuple(out)


def owned_one(a: Any) -> Any:
    return a.copy() if a.base is not None or not a.flags.writeable else a


def gradient_source(
    target: Any, lin: Any, bars: list[str], guards: Guards, arrays: bool
) -> tuple[str, str, str]:
    """The gradient as an expression in the names `bars`, a test for NaN in them, and what comes first."""
    checks: list[str] = []
    left = list(bars)
    arrays_found: list[str] = []
    many = False

    def part(kind: Any, cells: Any, access: str) -> str:
        if isinstance(kind, Tuple):
            inner = [
                part(k, None if cells is None else cells[i], f"{access}[{i}]")
                for i, k in enumerate(kind.elems)
            ]
            if kind.cls is tuple:
                return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
            return f"{guards.emitter.constant(kind.cls, kind.cls.__name__)}({', '.join(inner)})"
        if cells is None:
            if isinstance(kind, Scalar):
                return "0.0" if kind.kinds == {"float"} else f"{scalar(kind)}(0.0)"
            raise NotTyped("a gradient that is zero for a structure")
        if isinstance(kind, List) and not isinstance(kind.elem, Scalar):
            mine = [left.pop(0) for _ in leaves(cells)]
            for b, c in zip(mine, leaves(cells), strict=True):
                test: Any = array_nan if isinstance(c.type.elem, Array) else has_nan
                checks.append(f"{guards.own(test.__name__, CellType(test))}({b})")
            lists = guards.object(ListGradient(kind.elem), "listed")
            return f"{lists}({', '.join([access, *mine])})"
        text = left.pop(0)
        match kind:
            case Scalar(kinds=kinds):
                if text.isidentifier():
                    checks.append(f"{text} != {text}")
                if kinds == {"float"}:
                    return f"float({text})" if arrays else text
                return f"{scalar(kind)}({text})"
            case Array():
                dot = guards.own("vdot", CellType(np.vdot))
                checks.append(f"not {dot}({text}, {text}) >= 0.0")
                if kind.ndim == 0:  # a number, or an array of no axes
                    return f"{guards.own('array', CellType(np.array))}({text}, {kind.dtype!r})"
                arrays_found.append(text)
                if many:
                    return text
                if text.isidentifier():
                    return f"{text} if {text}.base is None and {text}.flags.writeable else {text}.copy()"
                own = guards.own("owned_one", CellType(owned_one))
                return f"{own}({text})"
            case List() if isinstance(kind.elem, Scalar):
                isnan, total = guards.own("isnan", CellType(math.isnan)), guards.own("sum", CellType(sum))
                checks.append(f"{isnan}({total}({text}))")  # infinities of two signs are one: see has_nan
                return f"[float(t) for t in {text}]" if arrays and kind.elem.kinds == {"float"} else text
        raise NotTyped(f"a gradient of type {kind!r}")

    def scalar(kind: Scalar) -> str:
        if len(kind.kinds) != 1:
            raise NotTyped("an argument of several types")
        return guards.emitter.constant(np.dtype(next(iter(kind.kinds))).type)

    by_name = dict(zip((p.name for p in target.unit.program.params), lin.ins, strict=True))
    many = sum(count_arrays(target.kinds[n]) for n in set(target.nums)) > 1
    texts = {
        n: part(target.kinds[n], by_name[target.params[n]], kept_name(target, n))
        for n in sorted(set(target.nums))
    }
    prepare = ""
    if many and len(arrays_found) > 1:
        names = ", ".join(arrays_found)
        prepare = f"{names} = {guards.own('owned', CellType(owned))}({names})"
    test = " or ".join(checks)
    if target.single:
        return texts[target.nums[0]], test, prepare
    inner = ", ".join(texts[n] for n in target.nums)
    return f"({inner}{',' if len(target.nums) == 1 else ''})", test, prepare


def kept_name(target: Any, n: int) -> str:
    """The name under which the entry keeps an argument that the gradient is shaped after."""
    return f"given_{target.params[n]}"


def keeps(kind: Any) -> bool:
    """Whether the gradient of an argument of this type is shaped after the argument."""
    if isinstance(kind, Tuple):
        return any(keeps(e) for e in kind.elems)
    return isinstance(kind, List) and not isinstance(kind.elem, Scalar)


class ListGradient:
    """Makes the gradient of a list of arrays or tuples from the cotangents of its parts, each a list."""

    def __init__(self, elem: Any) -> None:
        self.elem = elem
        self.plain = isinstance(elem, Array)

    def __call__(self, value: Any, *bars: Any) -> Any:
        seen: set[int] = set()
        if self.plain:
            return [own(a, e, seen) for a, e in zip(bars[0], value, strict=True)]
        return [
            nested(self.elem, e, iter(b), seen) for e, b in zip(value, zip(*bars, strict=True), strict=True)
        ]


def own(a: Any, like: Any, seen: set[int]) -> Any:
    """The cotangent of an array as an array of its own."""
    if a is None:
        return np.zeros_like(like)
    if not like.ndim:
        return np.array(a, like.dtype)
    if a.base is not None or not a.flags.writeable or id(a) in seen:
        a = a.copy()
    seen.add(id(a))
    return a


def nested(kind: Any, value: Any, bars: Iterator[Any], seen: set[int]) -> Any:
    """The gradient of an element of a list."""
    if isinstance(kind, Tuple):
        inner = [nested(k, v, bars, seen) for k, v in zip(kind.elems, value, strict=True)]
        return tuple(inner) if kind.cls is tuple else kind.cls(*inner)
    found = next(bars)
    return own(found, value, seen) if isinstance(kind, Array) else type(value)(found)


def array_nan(values: Any) -> bool:
    for v in values:
        if v is not None and not np.vdot(v, v) >= 0.0:
            return True
    return False


def count_arrays(kind: Any) -> int:
    if isinstance(kind, Tuple):
        return sum(count_arrays(e) for e in kind.elems)
    return int(isinstance(kind, Array) and kind.ndim > 0)


def rebuild(target: Any, lin: Any, bars: list[Any]) -> Any:
    """The cotangents of the parameters as the user gets them, from those of their parts."""
    left = list(bars)
    kept: list[Any] = []

    def part(kind: Any, cells: Any, value: Any) -> Any:
        if isinstance(kind, Tuple):
            inner = [part(k, None if cells is None else cells[i], value[i]) for i, k in enumerate(kind.elems)]
            return tuple(inner) if kind.cls is tuple else kind.cls(*inner)
        if cells is None:
            return np.zeros_like(value) if isinstance(kind, Array) else type(value)(0.0)
        if isinstance(kind, List) and not isinstance(kind.elem, Scalar):
            return ListGradient(kind.elem)(value, *[left.pop(0) for _ in leaves(cells)])
        found = left.pop(0)
        if isinstance(kind, Array) and kind.ndim == 0:
            return np.array(found, value.dtype)
        if isinstance(kind, Array):
            if found.base is not None or not found.flags.writeable or any(found is a for a in kept):
                found = found.copy()
            kept.append(found)
            return found
        return type(value)(found) if isinstance(kind, Scalar) else found

    trees = dict(zip((p.name for p in target.unit.program.params), lin.ins, strict=True))
    done = {n: part(target.kinds[n], trees[target.params[n]], target.args[n]) for n in sorted(target.nums)}
    if target.single:
        return done[target.nums[0]]
    return tuple([done[n] for n in target.nums])


def has_nan(values: list[float]) -> bool:
    total = sum(values)  # infinities of two signs count as one: the careful pass is right for them too
    return total != total
