"""Items of containers, arrays and objects."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tapeless.backends.native.nest import (
    ZERO,
    Const,
    Expr,
    Ref,
    apply,
    const,
)  # fmt: skip
from tapeless.backends.native.staging import growing, tables
from tapeless.backends.native.staging.attributes import Attributes
from tapeless.backends.native.staging.base import Text, describe
from tapeless.backends.native.staging.joins import Maybe
from tapeless.backends.native.staging.mixed import as_index
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Growing,
    Instance,
    Mapping,
    Number,
    Range,
    Sequence,
    Static,
    Value,
)
from tapeless.errors import NotCompilable
from tapeless.program.ir import Op
from tapeless.runtime.items import own_class_item

#: Classes of values that have no items to set.
NO_ITEMS = {float, int, bool, complex, str, bytes, type(None), np.float64, np.float32, np.int64, np.bool_}

KEYS = "use a key that is known"


class Structures(Attributes):
    """Items of values of any class."""

    def op_getitem(self, op: Op) -> None:
        value, index = (self.read(a) for a in op.args)
        if self.alive:
            self.result(op, self.resolved(self.getitem, value, index))

    def getitem(self, value: Value, index: Value) -> Value:
        index = as_index(self, index)
        if isinstance(value, ArrayValue) or (self.is_numpy(value) and not isinstance(value, Static)):
            made: Value = self.arrays.getitem(self, value, index)
            return made
        if isinstance(value, Static):
            joined: Value | None = self.arrays.joined_item(self, value.obj, index)
            if joined is not None:
                return joined
        method = self.python_method(value, "__getitem__")
        if method is not None:
            return self.call_object(method, [value, index], {})
        if isinstance(value, Sequence):
            return self.sequence_item(value, index)
        if isinstance(value, Growing):
            return growing.getitem(self, value, index)
        if isinstance(value, Mapping):
            return self.by_key(index, lambda k: tables.item(self, value, self.known(k, KEYS)))
        if isinstance(value, Static) and isinstance(value.obj, enum.EnumMeta):
            return self.evaluate(lambda v, i: v[i], value, index)
        if isinstance(value, Static) and isinstance(value.obj, type):
            made = own_class_item(value.obj)
            return self.call(Static(made), [index], {}) if made else Static(value.obj)  # list[float]
        if isinstance(value, Static):
            if isinstance(value.obj, tuple) and not self.is_known(index):
                return self.sequence_item(Sequence([self.constant(v) for v in value.obj], tuple), index)
            return self.evaluate(lambda v, i: v[i], value, index)
        if isinstance(value, Range):
            i = self.as_expr(index)
            n = self.range_length(value)
            return Number(
                apply(
                    "add",
                    value.start,
                    apply("mul", self.position(i, n, "range object index out of range"), value.step),
                ),
                int,
            )
        if self.is_number(value) or isinstance(value, Instance):
            kind = self.class_of(value)
            self.throw(TypeError, f"'{kind.__name__ if kind else 'object'}' object is not subscriptable")
            return value
        self.refuse(f"an item of {describe(value)}", "use an array, a list, a tuple or a dict")

    def by_key(self, key: Value, use: Callable[[Value], Value]) -> Value:
        """What is done with a key that is one of a few, or has truths in it: for each of them by itself."""
        if isinstance(key, Maybe) and one_of_a_few(key):
            return self.choose_from(key, lambda one: self.by_key(one, use))
        if isinstance(key, Sequence) and key.kind is not list:
            for k, part in enumerate(key.items):
                if one_of_a_few(part):
                    before, after = key.items[:k], key.items[k + 1 :]

                    def whole(one: Value) -> Value:
                        return self.by_key(Sequence([*before, one, *after], key.kind), use)  # noqa: B023

                    return self.by_key(part, whole)
        if isinstance(key, Number) and one_of_a_few(key):
            try:
                self.known(key, KEYS)
            except NotCompilable:
                return self.choose(key.expr, lambda: use(Static(True)), lambda: use(Static(False)))
        return use(key)

    def sequence_item(self, value: Sequence, index: Value) -> Value:
        name = "list" if value.kind is list else "tuple"
        if isinstance(index, Number) and not isinstance(index.expr, Const):
            self.note_index(value)
            made = self.table_item(value, index)
            if made is not None:
                return made
        i = self.known(index, "use an index that is known, or an array")
        if isinstance(i, slice):
            items = value.items[i]
            part = Sequence(items, list if value.kind is list else tuple)
            return self.heap.born(part) if value.kind is list else part
        try:
            held = value.items[i]
        except IndexError:
            self.throw(IndexError, f"{name} index out of range")
            return Static(None)
        except TypeError as error:
            self.throw(TypeError, *error.args)
            return Static(None)
        return self.present(held, f"item {i}", str(i), IndexError)

    def note_index(self, owner: Sequence) -> None:
        """A list is indexed by what is known at run time only: it could be one that grows."""
        spec = growing.spec_of_all(self, owner.items) if owner.kind is list and owner.site else None
        if spec is not None and owner.site not in self.never_growing:
            self.indexed[owner.site] = spec

    def table_item(self, value: Sequence, index: Number) -> Value | None:
        """An item by an index of run time, where all items are numbers of one class."""
        items = value.items
        if not items or not all(self.is_number(v) for v in items) or len(items) > 16:
            return None
        if any(
            isinstance(x, Ref) and any(x.var is o.var for o in self.open_loops)
            for x in self.origins(index.expr)
        ):
            kinds = {self.kind_of(v) for v in items}
            if len(kinds) > 1:
                return None
        elif len({self.kind_of(v) for v in items}) > 1:
            return None
        name = "list" if value.kind is list else "tuple"
        at = self.bind(self.position(index.expr, const(len(items)), f"{name} index out of range"))
        exprs = [self.bind(self.as_expr(v)) for v in items]
        made = exprs[-1]
        for k in range(len(exprs) - 2, -1, -1):
            made = apply("select", apply("eq", at, const(k)), exprs[k], made)
        return Number(self.bind(made), self.kind_of(items[0]))

    def position(self, index: Expr, length: Expr, message: str) -> Expr:
        """An index, counted from the start, checked."""
        index = self.bind(index) if not isinstance(index, Const) else index
        if not self.ranges.proves(apply("ge", index, ZERO)):
            moved = apply("select", apply("lt", index, ZERO), apply("add", index, length), index)
            moved = self.bind(moved)
            self.check(
                apply("all", apply("ge", moved, ZERO), apply("lt", moved, length)), IndexError, message
            )
            return moved
        self.check(apply("lt", index, length), IndexError, message)
        return index

    def known(self, value: Value, why: str = "it decides what is computed") -> Any:
        if isinstance(value, Text):  # such as a key with the index of a loop in it
            self.known_integers(value.args, why)
        return super().known(value, why)

    def known_integers(self, parts: Iterable[Value], why: str) -> None:
        """Begin again with an integer in a text fixed, or with its loop unrolled."""
        for part in parts:
            if isinstance(part, (Sequence, Text)):
                self.known_integers(part.items if isinstance(part, Sequence) else part.args, why)
            elif isinstance(part, Number) and part.kind is int:
                self.known(part, why)

    def op_setitem(self, op: Op) -> None:
        owner, index, value = (self.read(a) for a in op.args)
        if self.alive:
            self.setitem(owner, index, value)

    def setitem(self, owner: Value, index: Value, value: Value) -> None:
        index = as_index(self, index)
        if isinstance(owner, ArrayValue):
            self.arrays.setitem(self, self.in_storage(owner), index, value)
            return
        if isinstance(owner, Growing):
            growing.setitem(self, owner, index, value)
            return
        method = self.python_method(owner, "__setitem__")
        if method is not None:
            self.call_object(method, [owner, index, value], {})
        elif isinstance(owner, Mapping):

            def store(k: Value) -> Value:
                key = self.known(k, KEYS)
                self.heap.touch(owner)
                owner.items[key] = self.stored(value)
                return Static(None)

            self.by_key(index, store)
        elif isinstance(owner, Sequence) and owner.kind is list:
            if isinstance(index, Number):
                self.note_index(owner)
            i = self.known(index, "use an index that is known, or an array")
            items = list(owner.items)
            try:
                items[i] = self.listed(value) if isinstance(i, slice) else self.stored(value)
            except IndexError:
                self.throw(IndexError, "list assignment index out of range")
                return
            self.heap.write(owner, items)
        elif isinstance(owner, Sequence) or self.class_of(owner) in NO_ITEMS:
            kind = str(self.class_of(owner))[8:-2]  # with its module, if it has one
            self.throw(TypeError, f"{kind!r} object does not support item assignment")
        else:
            self.refuse(
                f"an item of {describe(owner)} is set", "use an array, a list or a dict of the program"
            )

    def op_delitem(self, op: Op) -> None:
        owner, index = (self.read(a) for a in op.args)
        if not self.alive:
            return
        method = self.python_method(owner, "__delitem__")
        if method is not None:
            self.call_object(method, [owner, index], {})
            return
        if not isinstance(owner, (Mapping, Sequence)):
            self.refuse(f"an item of {describe(owner)} is deleted", "use a list or a dict")
        key = self.known(index, "use an index that is known")
        held: Any = dict(owner.items) if isinstance(owner, Mapping) else list(owner.items)
        try:
            del held[key]
        except (KeyError, IndexError) as error:
            self.throw(type(error), *error.args)
            return
        self.heap.write(owner, held)


def one_of_a_few(key: Value) -> bool:
    """Whether a key is known but for a few paths: one of known objects, or a truth."""
    if isinstance(key, Number):
        return key.kind is bool and not isinstance(key.expr, Const)
    return isinstance(key, Maybe) and key.otherwise is not None
