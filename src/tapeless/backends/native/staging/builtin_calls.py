"""Builtin functions of Python, and those of other C modules that programs use, on values of staging."""

from __future__ import annotations

import functools
import operator
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.backends.native.nest import ZERO, apply, const
from tapeless.backends.native.staging import (
    builtin_iterables,
    builtin_itertools,
    builtin_numbers,
    builtin_objects,
    classes,
    clocks,
    deques,
    growing_methods,
    logs,
    namespaces,
    printing,
    random_numbers,
    tables,
)
from tapeless.backends.native.staging.builtin_table import BUILTINS, NONE
from tapeless.backends.native.staging.complex_functions import CMATH
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.iterables import Generator
from tapeless.backends.native.staging.joins import Conflict, Maybe
from tapeless.backends.native.staging.mathematics import MATH
from tapeless.backends.native.staging.ordering import ordered
from tapeless.backends.native.staging.sorted_lists import few_sorted
from tapeless.backends.native.staging.structures import Structures
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Cell,
    ComplexNumber,
    Instance,
    Number,
    Sequence,
    Static,
    Value,
)
from tapeless.errors import NotCompilable
from tapeless.program.ir import Op

#: Imported so that they enter the table.
TABLES = (
    builtin_iterables, builtin_itertools, builtin_numbers, builtin_objects, classes, clocks, deques, logs,
    printing, random_numbers, tables,
)  # fmt: skip


#: What is raised where there is nothing to combine.
NOTHING = ValueError("an iterable argument is empty")


class Builtins(Structures):
    """Finds what staging knows of a function."""

    kept_ops: list[Op]
    """Operations made by staging, kept so that their identity is theirs alone."""

    def op_class(self, op: Op) -> None:
        self.result(op, classes.define(self, op))

    def builtin(self, obj: Any, args: list[Value], kwargs: dict[str, Value], op: Op | None) -> Value | None:
        try:
            run = BUILTINS.get(obj) or MATH.get(obj) or CMATH.get(obj)
        except TypeError:
            return None
        if obj is list and op is not None and len(args) < 2:
            return growing_methods.listed(self, args[0] if args else None, (self.frames[-1].key, id(op)))
        if run is not None:
            return run(self, *args, **kwargs)
        if isinstance(obj, type) and issubclass(obj, np.generic) or self.arrays.handles(obj):
            seen = [deques.as_list(a) for a in args]
            made: Value | None = self.arrays.call(self, obj, seen, kwargs)
            if made is not None:
                return made
        if isinstance(obj, classes.Decorator):
            return classes.decorated(self, obj.run, args[0])
        inner = getattr(obj, "_implementation", None)
        if isinstance(inner, types.FunctionType) and type(obj).__module__ == "numpy":
            return self.call_object(inner, args, kwargs, op)
        if isinstance(obj, (types.WrapperDescriptorType, types.MethodDescriptorType)):
            return self.slot(obj, args, kwargs)
        if isinstance(obj, functools.singledispatch if isinstance(functools.singledispatch, type) else ()):
            return None
        if isinstance(obj, (operator.itemgetter, operator.attrgetter)):
            return self.getter(obj, args[0])
        return namespaces.answer(self, obj, args, kwargs)

    def getter(self, obj: Any, value: Value) -> Value:
        _, keys = obj.__reduce__()
        if isinstance(obj, operator.itemgetter):
            found = [self.getitem(value, Static(k)) for k in keys]
        else:
            found = [functools.reduce(self.getattr, k.split("."), value) for k in keys]
        return found[0] if len(found) == 1 else Sequence(found, tuple)

    def slot(self, obj: Any, args: list[Value], kwargs: dict[str, Value]) -> Value | None:
        """`object.__setattr__(self, name, value)` and the like."""
        owner, name = (args[0] if args else NONE), obj.__name__
        rest = args[1:]
        if name == "__setattr__" and isinstance(owner, Instance):
            self.set_field(owner, str(self.known(rest[0])), rest[1])
            return NONE
        if name == "__init__":
            if isinstance(owner, Instance) and issubclass(owner.cls, BaseException):
                self.set_field(owner, "args", Sequence(list(rest), tuple))
            return NONE
        if name == "__getattribute__":
            key = str(self.known(rest[0]))
            return (
                self.instance_attribute(owner, key)
                if isinstance(owner, Instance)
                else self.getattr(owner, key)
            )
        if name in ("__enter__", "__exit__"):
            return NONE
        for op, dunder in DUNDERS.items():
            if name == dunder and isinstance(owner, (Number, Sequence, Static, ComplexNumber, ArrayValue)):
                return self.binary(op, owner, rest[0])
        cls = self.class_of(owner)
        if cls is not None and getattr(obj, "__objclass__", object) in cls.__mro__:
            from tapeless.backends.native.staging.methods import method_of

            found = method_of(self, owner, name, own=False)
            if found is not None:
                return self.call(found, rest, kwargs)
        return None

    def generator(self, run: Callable[[Callable[[Value], None]], Any], cells: dict[str, Cell]) -> Value:
        return Generator(run, cells, self.heap.born(Cell(Static(False))))

    # ---- folds

    def fold(
        self,
        items: Value,
        combine: Callable[[Value, Value], Value],
        start: Value | None,
        nothing: Exception | Value = NOTHING,
    ) -> Value:
        """Combine the items of something iterable, from the left.

        Of nothing, without a start, `nothing` is raised, or the result.
        """
        if isinstance(items, Generator):
            return self.generated_fold(items, combine, start, nothing)
        it = self.iteration(items)
        if it.items is None and start is None and isinstance(nothing, Value):
            low, high, step = it.bounds or (ZERO, it.length, 1)
            some = apply("lt" if step > 0 else "gt", low, high)
            return self.choose(some, lambda: self.run_fold(it, combine, None), lambda: nothing)
        if it.items is None:
            return self.run_fold(it, combine, start, NOTHING if isinstance(nothing, Value) else nothing)
        if start is None:
            if not it.items:
                return self.of_nothing(nothing)
            start, rest = it.items[0], it.items[1:]
        else:
            rest = it.items
        for item in rest:
            start = combine(start, item)
            if not self.alive:
                break
        return start

    def generated_fold(
        self,
        items: Generator,
        combine: Callable[[Value, Value], Value],
        start: Value | None,
        nothing: Exception | Value = NOTHING,
    ) -> Value:
        """Combine what a generator gives while it runs."""
        cell = self.heap.born(Cell(start))

        def take(value: Value) -> None:
            held = cell.value
            if held is None:
                made = value
            elif isinstance(held, Maybe):
                made = self.choose(held.bound, lambda: combine(held.value, value), lambda: value)
            else:
                made = combine(held, value)
            if self.alive:
                self.heap.write(cell, self.stored(made))

        items.consume(self, take)
        result = cell.value
        if not self.alive:
            return NONE
        if isinstance(result, Maybe) and isinstance(nothing, Value):
            return self.choose(result.bound, lambda: result.value, lambda: nothing)
        if isinstance(result, Maybe) and isinstance(nothing, Exception):
            self.check(result.bound, type(nothing), *nothing.args)
            return result.value
        if isinstance(result, Conflict):
            return self.present(result, "what is combined", "total")
        return self.of_nothing(nothing) if result is None else result

    def of_nothing(self, nothing: Exception | Value) -> Value:
        if isinstance(nothing, Value):
            return nothing
        self.throw(type(nothing), *nothing.args)
        return NONE

    def run_fold(
        self,
        it: Iteration,
        combine: Callable[[Value, Value], Value],
        start: Value | None,
        nothing: Exception = NOTHING,
    ) -> Value:
        """The same for a number of items of run time: a loop, written as a Program would have it."""
        from tapeless.backends.native.staging.attempts import Loop
        from tapeless.program.ir import Block, Var

        assert it.item is not None
        low, high, step = it.bounds or (ZERO, it.length, 1)
        acc, item = Var("total"), Var("item")
        frame = self.frames[-1]
        key = (frame.key, "fold", self.line, len(frame.env))
        if key in self.peeled and start is not None:
            self.replay_unless(apply("lt" if step > 0 else "gt", low, high))
            start, low = combine(start, it.item(low)), apply("add", low, const(step))
        if start is None:
            self.check(apply("lt" if step > 0 else "gt", low, high), type(nothing), *nothing.args)
            start, low = it.item(low), apply("add", low, const(step))
        frame.env[acc] = start
        body = Op("python", (acc, item), (acc,), line=self.line, attrs={"run": combine})
        op = Op("for", (), (item,), {}, (Block([body]), Block()), self.line)
        self.kept_ops.append(op)
        live = frame.live
        live.after[id(op)] = live.head[id(op)] = live.after[id(body)] = frozenset([acc])
        live.assigned[id(op)] = frozenset([acc, item])
        loop = Loop(op, None, op.blocks[0], (self.bind(low), self.bind(high), step), it.item)
        if key in self.unrolled or not self.rolled(op, loop, key, op.blocks[1]):
            frame.env[acc] = start
            rest = self.items_of(Iteration(None, it.length, it.item, (low, high, step)))
            for one in rest:
                start = combine(start, one)
            return start
        return frame.env.pop(acc)

    def op_python(self, op: Op) -> None:
        acc, item = (self.read(a) for a in op.args)
        made = op.attrs["run"](acc, item)
        if self.alive:
            self.assign(op.outs[0], made)

    def sorted_items(self, items: list[Value], key: Value, reverse: Value) -> list[Value]:
        """Items in order; what they are ordered by must be known."""
        keys = [v if isinstance(key, Static) and key.obj is None else self.call(key, [v], {}) for v in items]
        keys = decisive(keys)
        if len(items) > 1 and not all(isinstance(k, Static) for k in keys):
            found = ordered(self, items, keys, bool(self.known(reverse)))
            if found is not None:
                return found
        if len(items) > 1:
            try:
                known = [self.known(k, "sort an array with np.sort") for k in keys]
            except NotCompilable:
                found = few_sorted(self, items, keys, bool(self.known(reverse)))
                if found is None:
                    raise
                return found
        else:
            known = [0] * len(items)
        order = sorted(range(len(items)), key=known.__getitem__, reverse=bool(self.known(reverse)))
        return [items[i] for i in order]


def decisive(keys: list[Value]) -> list[Value]:
    """The first items of tuples that are to be ordered, if they are known and all different."""
    firsts = [k.items[0] for k in keys if isinstance(k, Sequence) and k.kind is tuple and k.items]
    known = [k.obj for k in firsts if isinstance(k, Static) and isinstance(k.obj, (str, int))]
    return firsts if len(set(known)) == len(keys) else keys


DUNDERS = {
    "Add": "__add__", "Sub": "__sub__", "Mult": "__mul__", "Div": "__truediv__", "Pow": "__pow__",
    "FloorDiv": "__floordiv__", "Mod": "__mod__", "MatMult": "__matmul__",
}  # fmt: skip
