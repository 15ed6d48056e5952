"""Cotangents of the parameters as the gradient that the user gets: same types, same structure, no shared
memory."""

from __future__ import annotations

from types import CellType
from typing import Any

import numpy as np

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

    def part(kind: Any, cells: Any) -> str:
        if isinstance(kind, Tuple):
            inner = [part(k, None if cells is None else cells[i]) for i, k in enumerate(kind.elems)]
            if kind.cls is tuple:
                return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
            return f"{guards.emitter.constant(kind.cls, kind.cls.__name__)}({', '.join(inner)})"
        if cells is None:
            if isinstance(kind, Scalar):
                return "0.0" if kind.kinds == {"float"} else f"{scalar(kind)}(0.0)"
            raise NotTyped("a gradient that is zero for a structure")
        text = left.pop(0)
        match kind:
            case Scalar(kinds=kinds):
                checks.append(f"{text} != {text}")
                if kinds == {"float"}:
                    return f"float({text})" if arrays else text
                return f"{scalar(kind)}({text})"
            case Array():
                dot = guards.own("vdot", CellType(np.vdot))
                checks.append(f"not {dot}({text}, {text}) >= 0.0")
                arrays_found.append(text)
                if many:
                    return text
                own = guards.own("owned_one", CellType(owned_one))
                return f"{own}({text})"
            case List() if isinstance(kind.elem, Scalar):
                nan = guards.own("has_nan", CellType(has_nan))
                checks.append(f"{nan}({text})")
                return text
        raise NotTyped(f"a gradient of type {kind!r}")

    def scalar(kind: Scalar) -> str:
        if len(kind.kinds) != 1:
            raise NotTyped("an argument of several types")
        return guards.emitter.constant(np.dtype(next(iter(kind.kinds))).type)

    by_name = dict(zip((p.name for p in target.unit.program.params), lin.ins, strict=True))
    many = sum(count_arrays(target.kinds[n]) for n in set(target.nums)) > 1
    texts = {n: part(target.kinds[n], by_name[target.params[n]]) for n in sorted(set(target.nums))}
    prepare = ""
    if many and len(arrays_found) > 1:
        names = ", ".join(arrays_found)
        prepare = f"{names} = {guards.own('owned', CellType(owned))}({names})"
    test = " or ".join(checks)
    if target.single:
        return texts[target.nums[0]], test, prepare
    inner = ", ".join(texts[n] for n in target.nums)
    return f"({inner}{',' if len(target.nums) == 1 else ''})", test, prepare


def count_arrays(kind: Any) -> int:
    if isinstance(kind, Tuple):
        return sum(count_arrays(e) for e in kind.elems)
    return int(isinstance(kind, Array))


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
        found = left.pop(0)
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
    return any(v != v for v in values)
