"""A compiled function as a module that stands alone: NumPy and `math`, or Numba, but not tapeless."""

from __future__ import annotations

import builtins
import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any

import numpy as np

from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.kernel import Mismatch
from tapeless.backends.native.nest import Apply, Intrinsic, Load, Scalar, expressions, walk
from tapeless.backends.native.special import SLOPES
from tapeless.backends.native.staging import Replay, Staged
from tapeless.backends.native.staging.paths import Address, Argument, Field, Fixed, Guard, Item, Length, Path
from tapeless.backends.native.staging.stager import parameter_names
from tapeless.backends.native.staging.templates import (
    ArrayResult,
    ComplexResult,
    Items,
    Kept,
    Result,
    Rows,
    Same,
    Table,
    Template,
)
from tapeless.errors import NotCompilable

#: Where a singular matrix is looked for: Numba raises by itself, and cannot catch what it raises.
SINGULAR = re.compile(
    r"^( *)try:\n((?:\1    .*\n)+)\1except np\.linalg\.LinAlgError:\n\1    .*\n", re.MULTILINE
)
#: The operations on whole arrays that are written in what Numba takes.
WITH_NUMBA = {"gemm", "gemv", "copy", "solve", "inv", "cholesky", "det"}
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

    Its name and parameters are those of the function exported, and it gives what `fun` gives.  With `numba`
    the loops are compiled by Numba when they are first called; without it they run in CPython.
    """
    FilePath(file).write_text(module(fun, args, numba=numba))


def module(fun: Callable[..., Any], args: tuple[Any, ...], *, numba: bool = False) -> str:
    # derivatives are careful: a module cannot be asked for another version of itself
    staged = staged_function(fun, args, {}, careful=True)
    fn, name = staged.function, getattr(fun, "__name__", "function")
    if not name.isidentifier():
        name = "function"
    if any(isinstance(path, Address) and isinstance(path.of, Fixed) for path in staged.inputs):
        raise NotCompilable(
            f"{name} calls a solver of SciPy; a module cannot hold the functions that it is given"
        )
    calls = {s.name for s in walk(fn.body) if isinstance(s, Intrinsic)}
    if numba and calls - WITH_NUMBA:
        raise NotCompilable(
            f"Numba has no {', '.join(sorted(calls - WITH_NUMBA))} in this form; export without numba=True"
        )
    if staged.writes:
        raise NotCompilable(f"{name} changes an object among its arguments; a module cannot do that for it")
    needs = "NumPy and Numba" if numba else "NumPy"
    parts = [HEAD.format(title=f"{name}, as loops.", needs=needs)]
    if numba:
        parts.append(NUMBA)
    if _uses(staged, "digamma"):
        parts.append("from scipy.special import digamma\n")
    if any(_uses(staged, f"special.{name}") for name in SLOPES):
        if numba:
            raise NotCompilable("Numba has no functions of scipy.special; export without numba=True")
        parts.append("from scipy import special\n")
    fn.name = "_loops"
    text = show.source(fn, running=True)
    text = text.replace("_failures", "FAILURES")
    if fn.failures:
        text = _failures(staged, text)
    if numba:
        text = SINGULAR.sub(lambda m: re.sub(r"(?m)^    ", "", m[2]), text)
        text = "\n".join(
            "@numba.njit(error_model='numpy')\n" + p if p.startswith("def ") else p
            for p in _definitions(text)
        )
    if "_rng(" in text:
        parts.append("\n\n" + show.RNG.rstrip() + "\n")
    if "sys.stderr" in text:
        parts.append("import sys\n")
    parts.append("\n\n" + text)
    parts.append("\n\n" + _Wrapper(staged, fun, name, args).text())
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
        kind, args = failure.type.__name__, failure.args
        if failure.type is Mismatch:
            kind, args = "ValueError", ("the arguments are not like those this was exported for",)
        elif failure.type is Replay:  # an exception that has values of the call in it
            known = getattr(builtins, str(args[0]), None) if args else None
            kind, args = (known.__name__ if isinstance(known, type) else "RuntimeError"), ()
        elif failure.type.__module__ == "numpy.linalg":
            kind = "np.linalg.LinAlgError"
        elif failure.type.__module__ != "builtins":
            kind = "RuntimeError"
        made = f"{kind}({', '.join(map(repr, args))})"
        text = text.replace(f"FAILURES[{k}].type(*FAILURES[{k}].args)", made)
    return text


def _definitions(text: str) -> list[str]:
    made = [part for part in text.split("\ndef ")]
    return [made[0], *("def " + part for part in made[1:])]


class _Wrapper:
    """Prints the public function: it takes the arguments apart, calls the loops, puts the result together."""

    def __init__(self, staged: Staged, fun: Any, name: str, args: tuple[Any, ...]) -> None:
        self.staged, self.fun, self.name, self.args = staged, fun, name, args
        known = parameter_names(inspect.unwrap(fun))
        # a parameter must not hide what the wrapper itself uses
        taken = {"np", "math", "numba", "_loops", "r", name}
        self.names = [
            known[k] if k < len(known) and known[k] not in taken else f"a{k}" for k in range(len(args))
        ]
        self.constants: list[str] = []

    def text(self) -> str:
        given = [self.given(k, path) for k, path in enumerate(self.staged.inputs)]
        checks = [check for guard in self.staged.guards if (check := self.check(guard)) is not None]
        doc = inspect.getdoc(self.fun)
        lines = [*self.constants, f"def {self.name}({', '.join(self.names)}):"]
        if doc:
            lines.append(f"    {doc.splitlines()[0]!r}")
        for check in checks:
            lines += [
                f"    if not ({check}):",
                "        raise ValueError('the arguments are not like those this was exported for')",
            ]
        lines += [
            "    with np.errstate(all='ignore'):",
            f"        r = _loops({', '.join(given)})",
            f"    return {self.built(self.staged.output)}",
        ]
        return "\n".join(lines) + "\n"

    def given(self, k: int, path: Path) -> str:
        """The expression of a parameter of the loops."""
        text, p = self.read(path), self.staged.function.params[k]
        value = path.read(self.args, {})
        if text is None:
            text = self.constant(value)
        if isinstance(p, Scalar):
            convert = {"f64": "np.float64", "f32": "np.float32", "i64": "int", "bool": "bool"}
            return f"{convert[p.type]}({text})"
        if value.dtype.kind == "c":
            if k in self.staged.written:
                raise NotCompilable(
                    f"{self.name} writes into a complex array; export a function that does not"
                )
            return f"np.ascontiguousarray({text}).view(np.{p.dtype}).reshape(*{text}.shape, 2)"
        return text

    def read(self, path: Path) -> str | None:
        match path:
            case Argument(key=int() as k):
                return self.names[k]
            case Item(of=of, key=key) if type(key) in (int, str):
                inner = self.read(of)
                return None if inner is None else f"{inner}[{key!r}]"
            case Field(of=of, name=name):
                inner = self.read(of)
                return None if inner is None else f"{inner}.{name}"
            case Length(of=of, axis=axis):
                inner = self.read(of)
                return None if inner is None else f"{inner}.shape[{axis}]"
        return None

    def constant(self, value: Any) -> str:
        """What the program reads from outside its arguments is written out as it is now."""
        name = f"_CONSTANT_{len(self.constants)}"
        if isinstance(value, np.ndarray):
            made = f"np.array({value.tolist()!r}, np.{value.dtype}).reshape({value.shape})"
        else:
            made = repr(value)
        made = made.replace("nan", "math.nan").replace("inf", "math.inf")
        self.constants.append(f"{name} = {made}")
        return name

    def check(self, guard: Guard) -> str | None:
        """The test of what was assumed of an argument; None for what is written out, or converted."""
        text = self.read(guard.path)
        if text is None:
            return None
        match guard.test:
            case "equal" if type(guard.value) in (int, bool, str, float, type(None)):
                return f"{text} == {guard.value!r}"
            case "is" if guard.value is None:
                return f"{text} is None"
            case "length":
                return f"len({text}) == {guard.value}"
            case "keys":
                return f"list({text}) == {list(guard.value)!r}"
            case "same":
                return f"{text} is {self.read(guard.value)}"
            case "distinct":
                texts = [x for x in map(self.read, guard.value) if x is not None]
                return f"len({{{', '.join(f'id({x})' for x in texts)}}}) == {len(texts)}"
            case "type" | "fields":
                return None
        raise NotCompilable(f"{self.name} depends on {guard.path}, which a module cannot check")

    def built(self, template: Template) -> str:
        match template:
            case Kept(obj=obj) if obj is None or type(obj) in (int, float, bool, str):
                return repr(obj)
            case Result(index=k, kind=kind):
                return f"{'np.' if kind.__module__ == 'numpy' else ''}{kind.__name__}(r[{k}])"
            case ComplexResult(real=real, imag=imag, kind=kind):
                made = f"complex(r[{real}], r[{imag}])"
                return made if kind is complex else f"np.{kind.__name__}({made})"
            case ArrayResult(index=k, dtype=dtype):
                return f"r[{k}].view('{dtype}')[..., 0]" if dtype.startswith("complex") else f"r[{k}]"
            case Same(path=path):
                made_from = self.read(path)
                if made_from is not None:
                    return made_from
            case Items(kind=kind, items=items) if kind in (tuple, list):
                inner = "".join(self.built(t) + ", " for t in items)
                return f"({inner})" if kind is tuple else f"[{inner}]"
            case Rows(columns=[k], item=kind) if kind in (float, int, bool):
                return f"r[{k}].tolist()"
            case Table(items=table):
                return "{" + "".join(f"{k!r}: {self.built(t)}, " for k, t in table.items()) + "}"
        raise NotCompilable(f"{self.name} returns an object that a module without tapeless cannot make")
