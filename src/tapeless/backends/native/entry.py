"""From a call of a compiled function to its kernel and back: the generated function in between.

An entry belongs to one staging of a function.  It checks what staging assumed, reads the kernel's parameters
out of the arguments, globals and cells, calls the kernel and rebuilds the result.  It is printed as a Python
function with nothing left to look up, since it runs at every call; where all of that is nothing, the kernel
itself is the function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import numpy as np

from tapeless.backends.native.kernel import Again, Careful, Kernel, Mismatch
from tapeless.backends.native.staging.paths import (
    Argument,
    Content,
    Field,
    Fixed,
    Global,
    Guard,
    Item,
    Length,
    Path,
)
from tapeless.backends.native.staging.templates import (
    ArrayResult,
    Call,
    Items,
    Kept,
    Result,
    Same,
    Template,
    Write,
    change,
)
from tapeless.backends.native.watch import split

Function = Callable[..., Any]

#: What a kernel gives for a scalar result -> the class.
_GIVEN = {"f64": float, "i64": int, "bool": bool}
#: What a probed entry returns for calls that it does not take.
MISSED = object()
#: What reading a path raises where the call is not like the one that was staged.
_ABSENT = "AttributeError, KeyError, IndexError, ValueError, TypeError, Mismatch"


@dataclass
class Plan:
    """What an entry does around its kernel.  It can be pickled where its objects can be found again."""

    name: str
    positional: int
    keywords: frozenset[str]
    inputs: list[Path]
    """Where each parameter of the kernel is found."""
    guards: list[Guard]
    output: Template
    direct: bool
    """Whether the kernel returns the result itself, not a tuple of the parts of it."""
    given: tuple[str | None, ...]
    """The type of each scalar that the kernel returns."""
    writes: list[Write]
    pairs: dict[int, str]
    """The inputs that are complex arrays: the kernel takes their real and imaginary parts."""
    replay: bool
    """Whether a call that raises is made again by the plain function."""
    written: list[int]
    """The inputs to be put back as they were before that."""


class Entry:
    """One staging of a function, compiled."""

    def __init__(self, plan: Plan, kernel: Kernel, plain: Function) -> None:
        self.plan, self.kernel, self.plain = plan, kernel, plain
        self.watched, self.guards = split(plan.guards)
        self.hits = 0
        self.text, self.function = "", None
        if not self.bare:
            self.text, self.function = _Writer(self).build()

    @property
    def bare(self) -> bool:
        """Whether the kernel itself can be the function: nothing to check, to look up or to rebuild."""
        plan = self.plan
        simple = plan.inputs == [Argument(k) for k in range(plan.positional)] and not plan.keywords
        return simple and plan.direct and not (self.guards or plan.pairs or plan.written)

    def takes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether a call has the right number of arguments for this entry to look at them."""
        return len(args) == self.plan.positional and kwargs.keys() == self.plan.keywords

    def call_or(self, miss: Function, careful: Function) -> Function:
        """The entry as a function.

        `miss` gets the calls that it does not take, `careful` those for which a derivative is NaN.
        """
        if self.function is None:
            replay = self.plain if self.plan.replay else None
            return self.kernel.door(miss, careful, replay, self.plain, self.watched)
        made: Any = self.function
        scope = {**made.__globals__, "miss": miss, "careful": careful}
        return FunctionType(made.__code__, scope, made.__name__, made.__defaults__)


def pairs(x: Any, dtype: str) -> Any:
    """A complex array as an array of its real and imaginary parts, along a last axis."""
    if type(x) is not np.ndarray or x.dtype.name != dtype or not x.dtype.isnative:
        raise Mismatch(f"no array of {dtype}")
    real = "float64" if dtype == "complex128" else "float32"
    if x.flags.c_contiguous:
        return x.view(real).reshape(*x.shape, 2) if x.ndim else x.reshape(1).view(real)
    strides = (*x.strides, x.itemsize // 2)
    return np.lib.stride_tricks.as_strided(x.real, (*x.shape, 2), strides)


class _Writer:
    """Prints the function of an entry."""

    def __init__(self, entry: Entry) -> None:
        self.entry, self.plan = entry, entry.plan
        again = _again if self.plan.replay else None
        kernel = entry.kernel.door(entry.kernel.mismatch, entry.kernel.careful, again, _again, entry.watched)
        self.scope: dict[str, Any] = {
            "Mismatch": Mismatch, "Careful": Careful, "Again": Again, "Call": Call, "kernel": kernel,
            "plain": entry.plain, "pairs": pairs, "absent": object(),
            "change": change,
        }  # fmt: skip
        self.names = [f"a{k}" for k in range(self.plan.positional)]
        self.args = f"({''.join(n + ', ' for n in self.names)}), kwargs"
        self.again = f"({', '.join([*self.names, '**kwargs'])})"

    def held(self, obj: Any, hint: str) -> str:
        name = f"{hint}_{len(self.scope)}"
        self.scope[name] = obj
        return name

    def build(self) -> tuple[str, Function]:
        plan, names = self.plan, self.names
        params = [f"{n}=absent" for n in names] + (["/"] if names else []) + ["*more", "**kwargs"]
        lines = [
            f"def call({', '.join(params)}):",
            f"    if more{'' if plan.keywords else ' or kwargs'}:",
            f"        return miss(*[a for a in ({''.join(n + ', ' for n in names)}) if a is not absent], "
            "*more, **kwargs)",
        ]
        if names:
            lines += [
                f"    if {names[-1]} is absent:",
                f"        return miss(*[a for a in ({', '.join(names)},) if a is not absent], **kwargs)",
            ]
        lines += self.look()
        # what takes the call instead is called outside the handlers, since it runs programs
        lines += [
            "    try:",
            f"        {'return' if plan.direct else 'r ='} kernel({', '.join(self.inputs)})",
            "    except Mismatch:",
            "        other = miss",
            "    except Careful:",
            "        other = careful",
        ]
        lines.append("    except Again:")
        lines += [f"        k{k}[...] = s{k}" for k in plan.written]
        lines.append("        other = plain")
        if not plan.direct:
            lines += ["    else:", *[f"    {line}" for line in self.result()]]
        lines.append(f"    return other{self.again}")
        text = "\n".join(lines) + "\n"
        exec(compile(text, f"<entry of {plan.name}>", "exec"), self.scope)
        call: Function = self.scope["call"]
        return text, call

    def look(self) -> list[str]:
        """Check the guards and read what is not an argument; what is missing makes the call another one."""
        plan = self.plan
        tests = [f"kwargs.keys() == {self.held(plan.keywords, 'names')}"] if plan.keywords else []
        tests += [self.guard(g) for g in self.entry.guards]
        self.inputs, reads = [], []
        for k, path in enumerate(plan.inputs):
            text = self.path(path)
            if k in plan.pairs:
                text = f"pairs({text}, {plan.pairs[k]!r})"
            if isinstance(path, Argument) and text in self.names and k not in plan.written:
                self.inputs.append(text)
            else:
                self.inputs.append(f"k{k}")
                reads.append(f"k{k} = {text}")
        reads += [f"s{k} = k{k}.copy()" for k in plan.written]  # a number has no such method
        if not tests and not reads:
            return []
        # `miss` is called outside the handler, since it runs programs
        body = [f"            {line}" if tests else f"        {line}" for line in reads]
        return [
            "    try:",
            f"        fits = {' and '.join(tests) or 'True'}",
            *(["        if fits:"] if tests and reads else []),
            *body,
            f"    except ({_ABSENT}):",
            "        fits = False",
            "    if not fits:",
            f"        return miss{self.again}",
        ]

    def result(self) -> list[str]:
        """Build what the function returns and change what it changes."""
        plan = self.plan
        text = None if plan.writes else self.template(plan.output)
        if text is not None:
            return [f"    return {text}"]
        return [
            f"    made = Call(r, {self.args})",
            f"    value = {self.held(plan.output, 'output')}.build(made)",
            *([f"    change({self.held(plan.writes, 'writes')}, made)"] if plan.writes else []),
            "    return value",
        ]

    def path(self, path: Path) -> str:
        """The expression that reads a path."""
        match path:
            case Argument(key=int() as k):
                return f"a{k}"
            case Argument(key=name):
                return f"kwargs[{name!r}]"
            case Fixed(held=held):
                return self.held(held.obj, "fixed")
            case Global(namespace=namespace, name=name) if name in namespace.obj:
                return f"{self.held(namespace.obj, 'globals')}[{name!r}]"
            case Content(cell=cell):
                return f"{self.held(cell.obj, 'cell')}.cell_contents"
            case Field(of=of, name=name) if name.isidentifier():
                return f"{self.path(of)}.{name}"
            case Item(of=of, key=key):
                literal = repr(key) if type(key) in (int, str) else self.held(key, "key")
                return f"{self.path(of)}[{literal}]"
            case Length(of=of, axis=axis):
                return f"{self.path(of)}.shape[{axis}]"
        return f"{self.held(path, 'path')}.read({self.args})"

    def guard(self, guard: Guard) -> str:
        """The expression that tests a guard."""
        found = self.path(guard.path)
        match guard.test:
            case "is" if guard.value is None:
                return f"{found} is None"
            case "is":
                return f"{found} is {self.held(guard.value, 'expected')}"
            case "type":
                return f"type({found}) is {self.held(guard.value, 'cls')}"
            case "length":
                return f"len({found}) == {guard.value}"
            case "same":
                return f"{found} is {self.path(guard.value)}"
            case "distinct":
                ids = ", ".join(f"id({self.path(p)})" for p in guard.value)
                return f"len({{{ids}}}) == {len(guard.value)}"
            case "keys" if all(type(k) is str for k in guard.value):
                return f"tuple({found}) == {self.held(guard.value, 'keys')}"
            case "fields":
                return f"tuple({found}.__dict__) == {self.held(guard.value, 'fields')}"
            case "equal" if type(guard.value) in (int, str, bool):
                cls = type(guard.value).__name__
                return f"(type({found}) is {cls} and {found} == {guard.value!r})"
        return f"{self.held(guard, 'guard')}.holds({self.args})"

    def template(self, template: Template) -> str | None:
        """The expression that rebuilds a result; None where it takes more than an expression."""
        match template:
            case Kept(obj=obj):
                return repr(obj) if obj is None or type(obj) in (int, bool, str) else self.held(obj, "kept")
            case Result(index=k, kind=kind):
                given = _GIVEN.get(self.plan.given[k] or "")
                return f"r[{k}]" if given is kind else f"{self.held(kind, 'kind')}(r[{k}])"
            case ArrayResult(index=k, dtype=dtype) if not dtype.startswith("complex"):
                return f"r[{k}]"
            case Same(path=path):
                return self.path(path)
            case Items(kind=kind, items=items) if kind is tuple:
                parts = [self.template(t) for t in items]
                if all(p is not None for p in parts):
                    return f"({''.join(f'{p}, ' for p in parts)})"
        return None


def _again(*args: Any, **kwargs: Any) -> Any:
    raise Again
