"""A function and the types of its arguments become an entry: staged, optimised, compiled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native import show
from tapeless.backends.native.entry import Entry, Plan
from tapeless.backends.native.intrinsics import EFFECTS
from tapeless.backends.native.kernel import Careful
from tapeless.backends.native.llvm_entry import CLASSES, Output
from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import BOOL, F32, F64, I64, Intrinsic, Scalar, walk
from tapeless.backends.native.optimise import optimise
from tapeless.backends.native.promote import promote
from tapeless.backends.native.staging import Staged, stage
from tapeless.backends.native.staging.paths import Guard
from tapeless.backends.native.staging.templates import ArrayResult, Items, Kept, Result, Same, Template
from tapeless.backends.native.undo import can_undo, undoing
from tapeless.errors import NotCompilable

if TYPE_CHECKING:
    from tapeless.native import Options

#: A result of this type -> the classes that machine code makes of it.
GIVEN: dict[str, tuple[type, ...]] = {
    F64: (float, np.float64),
    F32: (np.float32,),
    BOOL: (bool, np.bool_),
    I64: (int, *(cls for cls, (_, _, type) in CLASSES.items() if type == I64 and cls is not int)),
}


def make_entry(
    fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: Options, plain: Any
) -> tuple[Entry, list[Any]]:
    """Stage, optimise and compile `fun` for these arguments.

    Derivatives are computed with plain products, and a call that finds one to be NaN asks for the version
    with strong zeros (`careful`); a program whose effects cannot be undone is careful from the start.
    Calls that have to run in CPython run `plain`.  With the entry come the functions and classes that were
    read for it.
    """
    staged = staged_function(fun, args, kwargs, careful=options.careful)
    values = [path.read(args, kwargs) for path in staged.inputs]
    classes: list[type | None] = []
    for path, p, value in zip(staged.inputs, staged.function.params, values, strict=True):
        classes.append(type(value) if isinstance(p, Scalar) else None)
        if isinstance(p, Scalar) and type(value) not in CLASSES:
            raise NotCompilable(f"{path} is of type {type(value).__name__}; pass a number of Python or NumPy")
        if type(value) is int and not -(2**63) <= value < 2**63:
            raise NotCompilable(f"{path} is an integer of more than 64 bits; pass a float")
    pairs = {
        k: v.dtype.name for k, v in enumerate(values) if isinstance(v, np.ndarray) and v.dtype.kind == "c"
    }
    output = None if staged.writes or pairs else direct(staged)
    plan = Plan(
        name=staged.function.name,
        positional=len(args),
        keywords=frozenset(kwargs),
        inputs=staged.inputs,
        guards=[g for g in staged.guards if not _seen_by_kernel(g, staged, classes)],
        output=staged.output,
        direct=output is not None,
        given=tuple(r.type if isinstance(r, Scalar) else None for r in staged.function.results),
        writes=staged.writes,
        pairs=pairs,
        replay=staged.replay,
        written=staged.written if staged.replay else [],
    )
    kernel = compile(staged.function, classes, output, parallel=options.parallel)
    return Entry(plan, kernel, plain), staged.opened


def staged_function(
    fun: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, careful: bool = False
) -> Staged:
    """The nest of a function, with strong zeros in derivatives if it cannot be run again with them."""
    staged = stage(fun, args, kwargs, careful=careful)
    asks = not careful and any(f.type is Careful for f in staged.function.failures)
    if asks:
        effects = any(isinstance(s, Intrinsic) and s.name in EFFECTS for s in walk(staged.function.body))
        if effects or not can_undo(staged.function):
            asks, staged = False, stage(fun, args, kwargs, careful=True)
    staged.function = promote(staged.function)
    if asks:
        undoing(staged.function)
    return staged


def loops(fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The loops that `fun` is compiled to, as Python."""
    return show.source(optimise(staged_function(fun, args, kwargs).function))


def _seen_by_kernel(guard: Guard, staged: Staged, classes: list[type | None]) -> bool:
    """Whether machine code checks a guard by itself: the class of a number that it is given."""
    return guard.test == "type" and any(
        path == guard.path and cls is guard.value for path, cls in zip(staged.inputs, classes, strict=True)
    )


def direct(staged: Staged) -> Output | None:
    """What machine code returns, if that is the whole result; None if it has to be put together."""
    used: list[int] = []
    seen: set[int] = set()

    def output(template: Template) -> Output | None:
        match template:
            case Kept(obj=None):
                return ("none",)
            case Result(index=k, kind=kind) if kind in GIVEN[_type(staged, k)]:
                used.append(k)
                return "result", k, kind
            case ArrayResult(index=k, dtype=dtype) if not dtype.startswith("complex"):
                used.append(k)
                return "result", k, None
            case Same(path=path) if path in staged.inputs:
                return "argument", staged.inputs.index(path)
            case Items(kind=kind, items=items) if kind in (tuple, list) and id(template) not in seen:
                seen.add(id(template))  # what is there twice is one object
                parts = [output(item) for item in items]
                return None if None in parts else (kind.__name__, tuple(parts))
        return None

    made = output(staged.output)
    return made if sorted(used) == list(range(len(staged.function.results))) else None


def _type(staged: Staged, k: int) -> str:
    r = staged.function.results[k]
    assert isinstance(r, Scalar)
    return r.type
