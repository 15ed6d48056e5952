"""How many arguments a call gives: functions that take any number, and calls an entry was not made for."""

from __future__ import annotations

from types import FunctionType
from typing import Any

#: the default of an entry's parameters that a call may leave out
ABSENT = object()


def with_so_many(f: FunctionType, n: int) -> FunctionType:
    """The function of `n` parameters that calls `f`, which takes any number or keywords, with them."""
    code = f.__code__
    own = code.co_varnames[: min(n, code.co_argcount)]
    taken = {*code.co_varnames, *code.co_names, *code.co_freevars, *code.co_cellvars}
    more = [f"argument_{k}" for k in range(len(own), n)]
    callee = "function"
    while callee in taken or taken.intersection(more):
        callee, more = f"{callee}_", [f"{name}_" for name in more]
    names = ", ".join([*own, *more])
    made: dict[str, Any] = {}
    text = f"def outer({callee}):\n    def inner({names}): return {callee}({names})\n    return inner"
    exec(text, made)
    inner: FunctionType = made["outer"](f)
    new = inner.__code__.replace(co_name=f.__name__)
    return FunctionType(new, f.__globals__, f.__name__, None, inner.__closure__)


class OtherCalls:
    """Calls of an entry with more or fewer arguments than it was made for, where the function has defaults
    or takes any number: they go on to `miss`."""

    def __init__(self, target: Any, entry: Any, taken: set[str]) -> None:
        code, n = target.given.__code__, len(target.args)
        required = code.co_argcount - len(target.given.__defaults__ or ())
        #: how many parameters are given by position only: all where some have names that we made
        self.by_position: int = code.co_posonlyargcount
        if n > code.co_argcount:
            required, self.by_position = 0, n
        self.entry = entry
        #: parameters of the entry that may be left out, and those that come after them
        self.optional: tuple[str, ...] = tuple(target.params[required:])
        self.later: tuple[str, ...] = code.co_varnames[n : code.co_argcount]
        self.names = (*target.params, *self.later)
        self.rest: tuple[str, ...] = ()
        if target.f is not target.given:
            mark = "_"
            while {f"more{mark}", f"named{mark}"} & {*code.co_varnames, *taken}:
                mark += "_"
            taken |= {f"more{mark}", f"named{mark}"}
            self.rest = (f"*more{mark}", f"**named{mark}")
        self.any = bool(self.optional or self.later or self.rest)

    def parameters(self) -> str:
        """The parameters of the entry, as source."""
        found = [*self.names, *self.rest]
        if self.by_position:
            found.insert(self.by_position, "/")
        return ", ".join(found)

    def test(self, absent: str) -> str:
        """Whether a call gives other arguments, as source."""
        tests = [f"{name} is {absent}" for name in self.optional]
        tests += [f"{name} is not {absent}" for name in self.later]
        return " or ".join([*tests, *(name.lstrip("*") for name in self.rest)])

    def call(self, *values: Any) -> Any:
        more, named = values[len(self.names) :] or ((), {})
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for k, (name, value) in enumerate(zip(self.names, values, strict=False)):
            if value is ABSENT:
                continue
            if len(args) == k:
                args.append(value)
            else:
                kwargs[name] = value
        return self.entry.miss(*args, *more, **kwargs, **named)
