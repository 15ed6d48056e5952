"""One reverse run of a function, and the linear map that it leaves behind."""

from __future__ import annotations

import inspect
import linecache
from typing import Any

import numpy as np

from tapeless.errors import NotDifferentiableError, UntrackedMutationError
from tapeless.rules.spaces import space_of, zeros
from tapeless.runtime import (
    builtin_functions,
    callables,
    containers,
    dicts,
    formulas,
    hooks,
    iteration_twins,
    namespaces,
    numpy_stores,
    operator_twins,
    random_numbers,
    twins,
)
from tapeless.runtime.mirrors import dense_size, memory
from tapeless.runtime.modes import Reverse
from tapeless.runtime.nesting import long_run
from tapeless.runtime.outside import arrays_outside
from tapeless.runtime.structure import (
    Output,
    cast_leaf,
    check_shared,
    field,
    fill_in,
    gradient,
    input_lins,
    plan_of,
)
from tapeless.runtime.tangent import Tangent, tuple_like

#: Imported for what they register.
REGISTERED = (
    builtin_functions, callables, containers, dicts, formulas, hooks, iteration_twins, namespaces,
    numpy_stores, operator_twins, random_numbers, twins,
)  # fmt: skip


#: An argument and what it shares memory with outside: names, the outside array and what it held, the copy
#: that is passed and what it held.
Shared = tuple[str, str, Any, Any, Any, Any]


def name_of(fun: Any) -> str:
    """What to call a function in a message."""
    return getattr(fun, "__name__", None) or type(fun).__name__


def definition(fun: Any) -> str:
    """Where a function is defined, as the last line of a message; empty if that is not known."""
    code = getattr(inspect.unwrap(fun) if callable(fun) else fun, "__code__", None)
    if code is None:
        return ""
    text = linecache.getline(code.co_filename, code.co_firstlineno).strip()
    place = f"{code.co_filename}:{code.co_firstlineno}"
    return f"\n    {name_of(fun)} is defined at {place}" + (f":\n    {text}\n" if text else "")


def argument_name(fun: Any, where: int | str) -> str:
    """The name of a parameter given by position or name."""
    if isinstance(where, str):
        return where
    try:
        return list(inspect.signature(fun).parameters)[where]
    except (TypeError, ValueError, IndexError):
        return f"argument {where}"


def check_differentiable(fun: Any, where: int | str, x: Any, plan: Any, what: str) -> None:
    """Refuse to differentiate with respect to something that has no derivative."""
    if plan.kind != "none":
        return
    start = f"cannot take the {what} of {name_of(fun)} with respect to {argument_name(fun, where)!r}: "
    if isinstance(x, np.ndarray):
        raise NotDifferentiableError(
            f"{start}it is an array of {x.dtype}, which has no derivative; "
            f"pass an array of floats, x.astype(float){definition(fun)}"
        )
    number = isinstance(x, (int, np.integer)) and not isinstance(x, bool)
    way_out = f"; pass a float, {x}.0" if number else "; choose another argument with argnums"
    kind = type(x).__name__
    raise NotDifferentiableError(
        f"{start}it is of type {kind}, which has no derivative{way_out}{definition(fun)}"
    )


def shared_memory(
    args: tuple[Any, ...], kwargs: dict[str, Any], fun: Any, where: list[Any]
) -> tuple[tuple[Any, ...], dict[str, Any], list[Shared]]:
    """Arguments as a run takes them, and the copies among them of what is also reached from outside.

    An array that shares memory with an earlier argument is copied, and one of those at `where`, which are
    differentiated, that shares memory with what the function reads from elsewhere (see `outside`).
    """
    arrays = [a for a in (*args, *kwargs.values()) if isinstance(a, np.ndarray)]
    if not arrays:
        return args, kwargs, []
    outside = list(arrays_outside(fun))
    if len(arrays) < 2 and not outside:
        return args, kwargs, []
    seen: list[Any] = []
    shared: list[Shared] = []

    def apart(at: Any, x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        copy = x
        for name, other in outside if at in where else ():
            if np.may_share_memory(x, other):
                copy = x.copy()
                shared.append((argument_name(fun, at), name, other, other.copy(), copy, x.copy()))
                break
        if copy is x and any(np.may_share_memory(x, other) for other in seen):
            copy = x.copy()
        seen.append(x)
        return copy

    return (
        tuple([apart(i, a) for i, a in enumerate(args)]),
        {k: apart(k, v) for k, v in kwargs.items()},
        shared,
    )


def check_unwritten(shared: list[Shared]) -> None:
    """Refuse a program that has written into storage that it reaches in two ways."""
    for argument, name, other, before, copy, entry in shared:
        if not (
            np.array_equal(other, before, equal_nan=True) and np.array_equal(copy, entry, equal_nan=True)
        ):
            raise UntrackedMutationError(
                f"the argument {argument!r} shares memory with {name!r}, which the function reads from "
                f"outside, and the program writes into it; pass a copy, {argument}.copy()"
            )


class Linearized:
    """One reverse run: the value, its companion, and the record between inputs and outputs."""

    def __init__(
        self, fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], where: list[Any], what: str
    ) -> None:
        run = Reverse()
        run.what = f"the {what} of {name_of(fun)}"
        self.run = run
        self.plans = []
        apart, kwargs, shared = shared_memory(args, kwargs, fun, where)
        run.guard_shared(args, apart)
        args = apart
        ts: list[Any] = [None] * len(args)
        kts: dict[str, Any] = dict.fromkeys(kwargs)
        memo: dict[int, Any] = {}  # one for all: what two arguments share has one derivative
        done: dict[int, Any] = {}
        for w in where:
            x = args[w] if isinstance(w, int) else kwargs[w]
            plan = plan_of(x, memo)
            check_differentiable(fun, w, x, plan, what)
            t = fill_in(run, plan, None, True, done)
            self.plans.append(plan)
            if isinstance(w, int):
                ts[w] = t
            else:
                kts[w] = t
        with long_run():
            self.value, self.tangent = run.call(fun, args, tuple(ts), kwargs, kts)
        run.finish()
        check_unwritten(shared)
        self.lins = [input_lins(p) for p in self.plans]

    def pull(self, pairs: list[tuple[Any, Any]]) -> list[Any]:
        """Derivatives in the shape of the arguments, for cotangents of entries."""
        flat = [lin for lins in self.lins for lin in lins]
        cts = self.run.record.pullback(pairs, flat)
        table = {lin.index: ct for lin, ct in zip(flat, cts, strict=True)}
        return [gradient(p, table, {}) for p in self.plans]

    def push(self, tangents: tuple[Any, ...], outputs: Any, fixed: bool = False) -> Any:
        """The tangent of the result, for tangents of the arguments; `fixed` as for `pushforward`."""
        seeds: dict[int, Any] = {}
        check_shared(self.plans, tangents)
        for plan, t in zip(self.plans, tangents, strict=True):
            seed_plan(plan, t, seeds, set())
        lins: list[Any] = []
        collect_lins(outputs, lins, set())
        inputs = {lin.index: lin for group in self.lins for lin in group}
        moved = self.run.record.pushforward([(inputs[i], t) for i, t in seeds.items()], lins, fixed)
        return rebuild(outputs, {lin.index: t for lin, t in zip(lins, moved, strict=True)}, {})


def seed_plan(plan: Any, t: Any, seeds: dict[int, Any], seen: set[int]) -> None:
    """Tangents of a record's inputs, from a tangent in the shape of the argument."""
    if plan.kind == "none" or t is None or id(plan) in seen:
        return
    seen.add(id(plan))
    if plan.kind == "number":
        seeds[plan.lin.index] = t
    elif plan.kind == "leaf":
        seeds[plan.lin.index] = cast_leaf(plan.value, t)
    elif plan.kind == "array":
        base, lin, whole = plan.lin
        if plan.value is base and whole:
            seeds[lin.index] = np.asarray(t)
            return
        flat, old = np.zeros(dense_size(base), base.dtype), seeds.get(lin.index)
        if old is not None:  # from another view of this memory
            memory(flat, base, base)[...] = memory(old, base, base) if not whole else old
        memory(flat, plan.value, base)[...] = t
        seeds[lin.index] = np.array(memory(flat, base, base)) if whole else flat
    elif plan.kind in ("tuple", "list"):
        for child, part in zip(plan.children, t, strict=True):
            seed_plan(child, part, seeds, seen)
    else:
        for k, child in plan.children.items():
            seed_plan(child, field(t, k, False), seeds, seen)


def collect_lins(out: Any, lins: list[Any], seen: set[int]) -> None:
    """The entries of the record that a result consists of."""
    if isinstance(out, Output):
        if out.lin is not None:
            lins.append(out.lin)
    elif out is not None and id(out[2]) not in seen:
        seen.add(id(out[2]))
        for child in out[2] if out[0] in ("tuple", "list") else out[2].values():
            collect_lins(child, lins, seen)


def rebuild(out: Any, table: dict[int, Any], memo: dict[int, Any]) -> Any:
    """Tangents in the shape of the result."""
    if out is None:
        return None
    if isinstance(out, Output):
        t = None if out.lin is None else table.get(out.lin.index)
        if t is None:
            return zeros(out.space)
        return out.space.dtype.type(t) if out.space.kind == "scalar" else t
    kind, cls, children = out
    if kind == "tuple":
        parts = [rebuild(c, table, memo) for c in children]
        return tuple_like(cls, parts)
    if id(children) in memo:
        return memo[id(children)]
    if kind == "list":
        items: list[Any] = []
        memo[id(children)] = items
        items += [rebuild(c, table, memo) for c in children]
        return items
    if kind == "dict":
        made: dict[Any, Any] = {}
        memo[id(children)] = made
        for k, c in children.items():
            made[k] = rebuild(c, table, memo)
        return made
    found = memo[id(children)] = Tangent(cls.__name__, {})
    for k, c in children.items():
        found._fields[k] = rebuild(c, table, memo)
    return found


__all__ = ["Linearized", "argument_name", "check_differentiable", "definition", "name_of", "space_of"]
