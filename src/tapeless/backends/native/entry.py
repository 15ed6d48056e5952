"""From a call of a compiled function to its kernel and back: the generated function in between.

An entry belongs to one staging of a function.  It checks what staging assumed, reads the kernel's parameters
out of the arguments, globals and cells, calls the kernel and rebuilds the result.  It is printed as a Python
function with nothing left to look up, since it runs at every call.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from tapeless.backends.native import show
from tapeless.backends.native.machine import Kernel, Mismatch, compile
from tapeless.backends.native.promote import promote
from tapeless.backends.native.staging import Staged, stage
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
)

#: What a kernel gives for a scalar result -> the class.
_GIVEN = {"f64": float, "i64": int, "bool": bool}


class Entry:
    """One staging of a function, compiled.  `probe(*args, **kwargs)` gives `missed` where it does not fit."""

    def __init__(
        self, staged: Staged, kernel: Kernel, missed: Any, shape: tuple[int, frozenset[str]]
    ) -> None:
        self.staged, self.kernel = staged, kernel
        self.positional, self.keywords = shape
        self.text, self.function = _Writer(self).build()
        self.probe = self.call_or(lambda *args, **kwargs: missed)

    def takes(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether a call has the right number of arguments for this entry to look at them."""
        return len(args) == self.positional and kwargs.keys() == self.keywords

    def call_or(self, miss: Callable[..., Any]) -> Callable[..., Any]:
        """The entry's function, with `miss` for calls that it does not take."""
        plain: Any = self.function
        return FunctionType(plain.__code__, {**plain.__globals__, "miss": miss}, plain.__name__)


def make_entry(
    fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], missed: Any, *, parallel: bool = False
) -> Entry:
    """Stage, optimise and compile `fun` for these arguments."""
    staged = stage(fun, args, kwargs)
    staged.function = promote(staged.function)
    classes = [p.dtype if isinstance(p.dtype, type) else None for p in staged.signature]
    kernel = compile(staged.function, classes, parallel=parallel)
    return Entry(staged, kernel, missed, (len(args), frozenset(kwargs)))


def loops(fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """The loops that `fun` is compiled to, as Python."""
    return show.source(promote(stage(fun, args, kwargs).function))


class _Writer:
    """Prints the function of an entry."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.scope: dict[str, Any] = {"Mismatch": Mismatch, "Call": Call, "kernel": entry.kernel.call}
        self.positional, self.keywords = entry.positional, entry.keywords

    def held(self, obj: Any, hint: str) -> str:
        name = f"{hint}_{len(self.scope)}"
        self.scope[name] = obj
        return name

    def build(self) -> tuple[str, Callable[..., Any]]:
        staged = self.entry.staged
        names = [f"a{k}" for k in range(self.positional)]
        params = [f"{n}=absent" for n in names] + (["/"] if names else []) + ["*more", "**kwargs"]
        again = ", ".join([*names, "*more", "**kwargs"])
        self.args = f"({''.join(n + ', ' for n in names)}), kwargs"
        self.scope["absent"] = object()
        tests = []
        if self.keywords:
            tests.append(f"kwargs.keys() == {self.held(self.keywords, 'names')}")
        tests += [self.guard(g) for g in staged.guards]
        lines = [
            f"def call({', '.join(params)}):",
            f"    if more{'' if self.keywords else ' or kwargs'}:",
            f"        return miss({again})",
        ]
        if names:
            lines += [
                f"    if {names[-1]} is absent:",
                f"        return miss(*[a for a in ({', '.join(names)},) if a is not absent], **kwargs)",
            ]
        if tests:
            lines += [
                "    try:",
                f"        fits = {' and '.join(tests)}",
                "    except (AttributeError, KeyError, IndexError, ValueError, TypeError):",
                "        fits = False",
                "    if not fits:",
                f"        return miss({again})",
            ]
        inputs = ", ".join(self.path(p) for p in staged.inputs)
        lines += [
            "    try:",
            f"        r = kernel({inputs})",
            "    except Mismatch:",
            f"        return miss({again})",
        ]
        direct = None if staged.writes else self.template(staged.output)
        if direct is not None:
            lines.append(f"    return {direct}")
        else:
            lines.append(f"    made = Call(r, {self.args})")
            lines.append(f"    value = {self.held(staged.output, 'output')}.build(made)")
            for write in staged.writes:
                lines.append(f"    {self.held(write, 'write')}.apply(made)")
            lines.append("    return value")
        text = "\n".join(lines) + "\n"
        exec(compile_text(text, self.entry.staged.function.name), self.scope)
        call: Callable[..., Any] = self.scope["call"]
        return text, call

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
                given = _GIVEN.get(self.entry.staged.function.results[k].type)  # type: ignore[union-attr]
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


def compile_text(text: str, name: str) -> Any:
    import builtins

    return builtins.compile(text, f"<entry of {name}>", "exec")
