"""A compiled function as a module that stands alone: NumPy and `math`, or Numba, but not tapeless."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any

from tapeless.backends.native import show
from tapeless.backends.native.nest import Apply, Intrinsic, Load, expressions, walk
from tapeless.backends.native.promote import promote
from tapeless.backends.native.staging import Staged, stage
from tapeless.backends.native.staging.paths import Argument, Field, Item, Path
from tapeless.backends.native.staging.templates import ArrayResult, Items, Kept, Result, Same, Table, Template
from tapeless.errors import NotCompilable

HEAD = '''\
"""{title}

Written by tapeless; it needs {needs}.
"""

import math

import numpy as np
'''
NUMBA = "import numba\n"


def export(
    fun: Callable[..., Any], args: tuple[Any, ...], file: str | os.PathLike[str], *, numba: bool = False
) -> None:
    """Write `fun`, for arguments of these types, as a Python module of one public function.

    Its name is that of the function exported, its arguments are positional, and it gives what `fun` gives.
    With `numba` the loops are compiled by Numba when the module is imported; without it they run in CPython.
    """
    FilePath(file).write_text(module(fun, args, numba=numba))


def module(fun: Callable[..., Any], args: tuple[Any, ...], *, numba: bool = False) -> str:
    staged = stage(fun, args, {})
    fn = staged.function = promote(staged.function)
    name = getattr(fun, "__name__", "function")
    calls = {s.name for s in walk(fn.body) if isinstance(s, Intrinsic)}
    if numba and calls - {"gemm", "gemv", "copy", "solve", "inv", "cholesky", "det"}:
        raise NotCompilable(
            f"Numba has no {', '.join(sorted(calls))} in this form; export without numba=True"
        )
    needs = "NumPy and Numba" if numba else "NumPy"
    parts = [HEAD.format(title=f"{name}, as loops.", needs=needs)]
    if numba:
        parts.append(NUMBA)
    if _uses(staged, "digamma"):
        parts.append("from scipy.special import digamma\n")
    fn.name = "_loops"
    text = show.source(fn, running=True)
    text = text.replace("_failures", "FAILURES")
    if fn.failures:
        text = _failures(staged, text)
    if numba:
        text = "\n".join(
            "@numba.njit(error_model='numpy')\n" + p if p.startswith("def ") else p
            for p in _definitions(text)
        )
    parts.append("\n\n" + text)
    parts.append("\n\n" + _wrapper(staged, name, inspect.getdoc(fun) or ""))
    return "".join(parts)


def _uses(staged: Staged, op: str) -> bool:
    def found(e: Any) -> bool:
        if isinstance(e, Apply):
            return e.op == op or any(map(found, e.args))
        return isinstance(e, Load) and any(map(found, e.index))

    return any(found(e) for s in walk(staged.function.body) for e in expressions(s))


def _failures(staged: Staged, text: str) -> str:
    """Exceptions written out: `raise FAILURES[3].type(*FAILURES[3].args)` becomes what it means."""
    for k, failure in enumerate(staged.function.failures):
        kind = failure.type.__name__
        if failure.type.__module__ == "numpy.linalg":
            kind = "np.linalg.LinAlgError"
        elif failure.type.__module__ != "builtins":
            kind = "RuntimeError"
        made = f"{kind}({', '.join(map(repr, failure.args))})"
        text = text.replace(f"FAILURES[{k}].type(*FAILURES[{k}].args)", made)
    return text


def _definitions(text: str) -> list[str]:
    made = [part for part in text.split("\ndef ")]
    return [made[0], *("def " + part for part in made[1:])]


def _wrapper(staged: Staged, name: str, doc: str) -> str:
    """The public function: takes the arguments apart, calls the loops, puts the result together."""
    params = [f"a{k}" for k in range(staged.positional)]
    constants: list[str] = []
    given: list[str] = []
    for path, p in zip(staged.inputs, staged.function.params, strict=True):
        text = _read(path)
        if text is None:
            text = _constant(constants, path)
        from tapeless.backends.native.nest import Scalar

        given.append(f"np.float64({text})" if isinstance(p, Scalar) and p.type == "f64" else text)
    lines = [*constants, f"def {name}({', '.join(params)}):"]
    if doc:
        lines.append(f"    {doc.splitlines()[0]!r}")
    lines += [
        "    with np.errstate(all='ignore'):",
        f"        r = _loops({', '.join(given)})",
        f"    return {_build(staged.output, name)}",
    ]
    if staged.writes:
        raise NotCompilable(f"{name} changes an object among its arguments; a module cannot do that for it")
    return "\n".join(lines) + "\n"


def _read(path: Path) -> str | None:
    match path:
        case Argument(key=int() as k):
            return f"a{k}"
        case Item(of=of, key=key) if type(key) in (int, str):
            inner = _read(of)
            return None if inner is None else f"{inner}[{key!r}]"
        case Field(of=of, name=name):
            inner = _read(of)
            return None if inner is None else f"{inner}.{name}"
    return None


def _constant(constants: list[str], path: Path) -> str:
    """What the program reads from outside its arguments is written out as it is now."""
    import numpy as np

    value = path.read((), {})
    name = f"_CONSTANT_{len(constants)}"
    if isinstance(value, np.ndarray):
        constants.append(f"{name} = np.array({value.tolist()!r}, np.{value.dtype})")
    else:
        constants.append(f"{name} = {value!r}")
    return name


def _build(template: Template, name: str) -> str:
    match template:
        case Kept(obj=obj) if obj is None or type(obj) in (int, float, bool, str):
            return repr(obj)
        case Result(index=k, kind=kind):
            return f"{'np.' if kind.__module__ == 'numpy' else ''}{kind.__name__}(r[{k}])"
        case ArrayResult(index=k, dtype=dtype):
            return f"r[{k}].view('{dtype}')[..., 0]" if dtype.startswith("complex") else f"r[{k}]"
        case Same(path=path):
            made = _read(path)
            if made is not None:
                return made
        case Items(kind=kind, items=items) if kind in (tuple, list):
            inner = "".join(_build(t, name) + ", " for t in items)
            return f"({inner})" if kind is tuple else f"[{inner}]"
        case Table(items=table):
            return "{" + "".join(f"{k!r}: {_build(t, name)}, " for k, t in table.items()) + "}"
    raise NotCompilable(f"{name} returns an object that a module without tapeless cannot make")
