"""Iteration and unpacking of untyped values, with the companions beside."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from itertools import repeat
from types import GeneratorType
from typing import Any

import numpy as np

from tapeless.runtime.items import Items, nones, tuple_tangent
from tapeless.runtime.mirrors import Slot
from tapeless.runtime.operators import is_python

_LIST_ITERATOR: type[Any] = type(iter([]))
_SEQUENCE_ITERATOR = type(iter(np.zeros(1)))
_SAFE_ITERATORS = frozenset(
    type(iter(x))
    for x in (
        *((), range(1), range(1 << 70), "", "\u1234", b"", bytearray()),
        dict[Any, Any](),
        dict[Any, Any]().keys(),
    )
)
_KEYS: Any = type({}.keys())
_QUIET: tuple[type[Any], ...] = (range, str, bytes, bytearray, _KEYS)


class Iteration(Items):
    """`for`, `next`, `yield from` and unpacking."""

    def iterate(self, x: Any, dx: Any) -> Iterator[tuple[Any, Any]]:
        """Pairs of value and companion, in the order and at the time at which Python would take them."""
        kind = type(x)
        if kind in _QUIET:
            if kind is _KEYS and self.key_tangents:
                return self.iterate(behind_keys(x), None)
            return zip(x, repeat(None))
        if kind is list:
            return self.iterate_list(x)
        if isinstance(x, tuple) and kind.__iter__ is tuple.__iter__:
            return zip(x, repeat(None) if dx is None else dx, strict=False)
        if isinstance(x, np.ndarray) and not is_python(kind.__iter__):
            if x.ndim == 0:
                iter(x)
            return (self.array_item(x, i) for i in range(len(x)))
        if kind is GeneratorType:
            slot = self.slots.get(id(x))
            return self.iterate_next(x) if slot is None or slot.ref() is not x else iterate_slot(x, slot)
        if isinstance(x, dict) and not is_python(kind.__iter__):
            keys = self.key_tangents.get(id(x))
            return zip(x, repeat(None)) if keys is None else ((k, keys[1].get(k)) for k in x)
        f = getattr(kind, "__iter__", None)
        if is_python(f):
            return self.iterate_next(self.call(f, (x,), (dx,))[0])
        if f is None and is_python(getattr(kind, "__getitem__", None)):
            return self.iterate_items(x, dx)
        return self.iterate_next(self.iter_of(x, dx))

    def iterate_list(self, x: list[Any]) -> Iterator[tuple[Any, Any]]:
        i = 0
        mirrors, key = self.mirrors, id(x)
        while i < len(x):
            m = mirrors.get(key)
            yield x[i], None if m is None else m.data[i]
            i += 1

    def iterate_items(self, x: Any, dx: Any) -> Iterator[tuple[Any, Any]]:
        i = 0
        while True:
            try:
                pair = self.call(type(x).__getitem__, (x, i), (dx, None))
            except IndexError:
                return
            yield pair
            i += 1

    def iterate_next(self, iterator: Any) -> Iterator[tuple[Any, Any]]:
        if not (hasattr(type(iterator), "__next__")):
            iter(_NotIterator())
        while True:
            try:
                pair = self.next(iterator)
            except StopIteration:
                return
            yield pair

    def iter_of(self, x: Any, dx: Any, by: Any = iter) -> Any:
        """The iterator that `iter(x)` gives, with what is needed to find the companions of its items.

        `by` may be the `__iter__` of a builtin class, which a subclass asks for although it has its own."""
        f = getattr(type(x), "__iter__", None)
        if is_python(f) and by is iter:
            return self.call(f, (x,), (dx,))[0]
        if f is None and is_python(getattr(type(x), "__getitem__", None)):
            return self.call(_item_iterator, (x,), (dx,))[0]
        iterator = by(x)
        if type(x) is _KEYS and self.key_tangents:
            x = behind_keys(x)
        if iterator is x or type(x) in _QUIET:
            return iterator
        if isinstance(x, (set, frozenset)):
            m = self.mirrors.get(id(x))
            if m is not None:
                self.iterators[id(iterator)] = (iterator, ("set", x))
        elif isinstance(x, (tuple, list, deque, np.ndarray)) and (dx is not None or not isinstance(x, tuple)):
            self.iterators[id(iterator)] = (iterator, ["at", x, dx, 0])
        elif isinstance(x, dict) and id(x) in self.key_tangents:
            self.iterators[id(iterator)] = (iterator, ["keys", self.key_tangents[id(x)][1]])
        elif type(x).__name__ in ("dict_values", "dict_items", "odict_values", "odict_items"):
            table = gc.get_referents(x)[0]  # the dict itself: `x.mapping` is only a proxy of it
            self.iterators[id(iterator)] = (
                iterator,
                ["view", "items" in type(x).__name__, iter(table), table],
            )
        return iterator

    def next(self, iterator: Any) -> tuple[Any, Any]:
        """`next(iterator)` with the companion of what it gives."""
        kind = type(iterator)
        if kind is GeneratorType:
            return self.resume(iterator, iterator.__next__)
        f = getattr(kind, "__next__", None)
        if is_python(f):
            return self.call(f, (iterator,), (None,))
        found = self.iterators.get(id(iterator))
        if found is None and kind in (_LIST_ITERATOR, _SEQUENCE_ITERATOR):
            state = iterator.__reduce__()  # made outside of the run, or over a list: ask it where it stands
            value = next(iterator)
            return value, self.getitem(state[1][0], None, state[2], None)[1]
        if found is None and kind is np.flatiter:
            position = iterator.coords
            value = next(iterator)
            return value, self.array_item(iterator.base, position)[1]
        if kind is np.broadcast and self.arrays:
            where = (
                np.unravel_index(iterator.index, iterator.shape) if iterator.index < iterator.size else None
            )
            value = next(iterator)
            spread = [np.broadcast_to(it.base, iterator.shape) for it in iterator.iters]
            return value, tuple_tangent([self.array_item(a, where)[1] for a in spread])
        value = next(iterator)
        if kind is np.nditer:
            return value, None  # views of the operands
        if found is None:
            if kind in _SAFE_ITERATORS:
                return value, None
            if isinstance(value, (float, complex, np.generic, tuple)) and self.reaches((iterator,)):
                return self.missing_rule(f"iterator {kind.__name__}")
            return value, None
        source = found[1]
        if source[0] == "at":
            _, x, dx, i = source
            source[3] = i + 1
            if isinstance(x, tuple):
                return value, dx[i]
            if isinstance(x, np.ndarray):
                return self.array_item(x, i)
            m = self.mirrors.get(id(x))
            return value, None if m is None else m.data[i]
        if source[0] == "keys":
            return value, source[1].get(value)
        if source[0] == "view":
            key = next(source[2])
            t = self.look(source[3], key)
            if source[1]:
                keys = self.key_tangents.get(id(source[3]))
                return value, tuple_tangent((None if keys is None else keys[1].get(key), t))
            return value, t
        return value, self.look(source[1], value)

    def resume(self, generator: Any, step: Any, *args: Any) -> tuple[Any, Any]:
        """Resume a generator by `step`; its slot holds the companion of what it yields."""
        slot = self.slots.get(id(generator))
        if slot is None or slot.ref() is not generator:
            if generator.gi_frame is not None and self.reaches((generator.gi_frame.f_locals,)):
                self.missing_rule("a generator that was made before the derivative was taken")
            return step(*args), None
        slot.out = None
        try:
            value = step(*args)
        except StopIteration as stop:
            if slot.returned is not None:
                self.put(stop, "value", slot.returned)
            raise
        t, slot.out = slot.out, None
        return value, t

    def yield_from(self, x: Any, dx: Any, slot: Slot) -> Any:
        """`yield from x` (PEP 380), handing companions through; returns the result and its companion."""
        iterator = x if type(x) is GeneratorType else self.iter_of(x, dx)
        send: Any = None
        sent_t: Any = None
        error: BaseException | None = None
        while True:
            try:
                if error is not None:
                    throw = getattr(iterator, "throw", None)
                    if throw is None:
                        raise error
                    value, t = self.call_method(iterator, None, "throw", (error,), (None,))
                elif send is None:
                    value, t = self.next(iterator)
                else:
                    value, t = self.call_method(iterator, None, "send", (send,), (sent_t,))
            except StopIteration as stop:
                if stop is error:
                    raise
                return stop.value, self.look(stop, "value")
            slot.out = t
            send, error = None, None
            try:
                send = yield value
                sent_t = slot.take()
            except GeneratorExit:
                if hasattr(iterator, "close"):
                    self.call_method(iterator, None, "close", (), ())
                raise
            except BaseException as e:
                error = e

    def collect(self, x: Any, dx: Any) -> tuple[list[Any], list[Any]]:
        """All items of an iterable, and their companions."""
        if type(x) is list:
            m = self.mirrors.get(id(x))
            return list(x), [None] * len(x) if m is None else list(m.data)
        if type(x) is tuple:
            return list(x), [None] * len(x) if dx is None else list(dx)
        values, ts = [], []
        for value, t in self.iterate(x, dx):
            values.append(value)
            ts.append(t)
        return values, ts

    def unpack(self, x: Any, dx: Any, n: int, star: int | None) -> tuple[Any, Any]:
        if type(x) is tuple and star is None and len(x) == n:
            return x, nones(n) if dx is None else dx
        if star is None:
            if (
                not isinstance(x, (list, tuple, dict, str))
                and not hasattr(type(x), "__iter__")
                and not hasattr(type(x), "__getitem__")
            ):
                raise TypeError(f"cannot unpack non-iterable {type(x).__name__} object")
            values: list[Any] = []
            ts: list[Any] = []
            for value, t in self.iterate(x, dx):
                if len(values) == n:
                    raise ValueError(f"too many values to unpack (expected {n})")
                values.append(value)
                ts.append(t)
            if len(values) < n:
                raise ValueError(f"not enough values to unpack (expected {n}, got {len(values)})")
            return values, ts
        values, ts = self.collect(x, dx)
        if len(values) < n - 1:
            raise ValueError(f"not enough values to unpack (expected at least {n - 1}, got {len(values)})")
        after = n - 1 - star
        middle = slice(star, len(values) - after)
        rest = self.filled(values[middle], ts[middle])
        last = len(values) - after
        return [*values[:star], rest, *values[last:]], [*ts[:star], None, *ts[last:]]


def iterate_slot(generator: Any, slot: Slot) -> Iterator[tuple[Any, Any]]:
    """What a generator of this run yields, with the companions that pass through its slot."""
    slot.out = None
    for value in generator:
        t, slot.out = slot.out, None
        yield value, t


def behind_keys(view: Any) -> Any:
    """The dict whose keys a view shows."""
    return gc.get_referents(view)[0]


def _item_iterator(x: Any) -> Any:
    i = 0
    while True:
        try:
            value = x[i]
        except IndexError:
            return
        yield value
        i += 1


class _NotIterator:
    """`iter` of it raises Python's own message."""

    def __iter__(self) -> Any:
        return 1
