"""Classes that the program makes: real ones, whose functions stand for those of staging.

What a class holds must be known; its methods may use variables of the function around it.
"""

from __future__ import annotations

import dataclasses
import types
from collections import namedtuple
from typing import Any

from tapeless.backends.native.staging.base import describe
from tapeless.backends.native.staging.builtin_table import lowers
from tapeless.backends.native.staging.values import Cell, Closure, Mapping, Sequence, Static, Value
from tapeless.frontend.classes import lower_class
from tapeless.program.ir import Op

PLAIN = (int, float, complex, str, bytes, bool, type(None), tuple)
HELD = (type, types.FunctionType, types.BuiltinFunctionType, property, staticmethod, classmethod)


def define(s: Any, op: Op) -> Value:
    """The class of a `class` statement."""
    attrs, frame = op.attrs, s.frames[-1]
    operands = [s.read(a) for a in op.args]
    outer = operands[len(operands) - attrs["cells"] :]
    if attrs["keywords"] or any(attrs["starred"]):
        s.refuse("a class is made with a metaclass, or from bases in a list", "define it outside")
    bases = tuple(s.known(b) for b in operands[: len(operands) - attrs["cells"]])
    for base in bases:
        if not isinstance(base, type):
            s.refuse(f"a class is made from {base!r}, which is none", "define it outside")
        hooked = any("__init_subclass__" in c.__dict__ for c in base.__mro__ if c is not object)
        if type(base) is not type or hooked:
            s.refuse(f"a class is made from {base.__name__}, which has a say in that", "define it outside")
    code: types.CodeType = attrs["code"]
    empty = tuple(types.CellType() for _ in code.co_freevars)
    function = types.FunctionType(code, frame.namespace, code.co_name, None, empty)
    program = lower_class(code, frame.namespace)
    names: Any = s.heap.born(Mapping({}))
    cells = dict(zip(code.co_freevars, outer, strict=True))
    cell = s.in_place(function, program, cells, {"namespace": names}, op, None)
    if not s.alive:
        return Static(None)
    held = {k: attribute(s, k, v) for k, v in names.items.items() if k != "__classcell__"}
    held.setdefault("__module__", frame.namespace.get("__name__"))
    cls = types.new_class(attrs["name"], bases, {}, lambda namespace: namespace.update(held))
    s.made_classes.add(cls)
    if isinstance(cell, Cell):
        s.heap.write(cell, Static(cls))
    return Static(cls)


def attribute(s: Any, name: str, value: Value) -> Any:
    """What a class holds for a value."""
    if isinstance(value, Closure):
        return standing_for(s, value)
    if isinstance(value, Static):
        if isinstance(value.obj, PLAIN) or isinstance(value.obj, HELD):
            return value.obj
        if isinstance(value.obj, dataclasses.Field):
            return value.obj
    if isinstance(value, Sequence) and value.kind is tuple and s.is_known(value):
        return s.known(value)
    if name == "__annotations__" and isinstance(value, Mapping):
        return {k: v.obj if isinstance(v, Static) else Any for k, v in value.items.items()}
    s.refuse(
        f"the class attribute {name!r} is {describe(value)}",
        "give it to objects, or define the class outside",
    )


def standing_for(s: Any, value: Value) -> Any:
    """A function of Python in place of one of staging, which finds that when it is called."""
    if isinstance(value, Static):
        return value.obj
    if not isinstance(value, Closure):
        s.refuse(f"{describe(value)} is a method", "write a function")
    assert isinstance(value, Closure)
    s.made_functions[id(value.function)] = value
    return value.function


@lowers(property)
def property_(s: Any, *functions: Value, **named: Value) -> Value:
    given = {k: standing_for(s, v) for k, v in named.items() if k != "doc"}
    return Static(property(*(standing_for(s, f) for f in functions), **given))


@lowers(staticmethod)
def staticmethod_(s: Any, function: Value) -> Value:
    return Static(staticmethod(standing_for(s, function)))


@lowers(classmethod)
def classmethod_(s: Any, function: Value) -> Value:
    return Static(classmethod(standing_for(s, function)))


@lowers(namedtuple)
def namedtuple_(s: Any, *args: Value, **named: Value) -> Value:
    return Static(namedtuple(*map(s.known, args), **{k: s.known(v) for k, v in named.items()}))  # noqa: PYI024


@lowers(dataclasses.dataclass)
def dataclass(s: Any, cls: Value | None = None, /, **named: Value) -> Value:
    options = {k: s.known(v) for k, v in named.items()}
    made = dataclasses.dataclass(**options)
    if cls is None:
        return Static(Decorator(made))
    return decorated(s, made, cls)


class Decorator:
    """`dataclass(...)` with options, to be called with a class."""

    def __init__(self, run: Any) -> None:
        self.run = run


def decorated(s: Any, run: Any, cls: Value) -> Value:
    made = s.known(cls)
    if made not in s.made_classes:
        s.refuse(f"the class {made.__name__} becomes a dataclass", "let it be one where it is defined")
    new = run(made)
    s.made_classes.add(new)
    return Static(new)


@lowers(dataclasses.field)
def field(s: Any, **named: Value) -> Value:
    given = {k: standing_for(s, v) if k == "default_factory" else s.known(v) for k, v in named.items()}
    return Static(dataclasses.field(**given))
