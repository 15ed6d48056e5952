"""Items, iteration and unpacking of untyped values."""

from __future__ import annotations

import gc
import operator
from collections import defaultdict, deque
from collections.abc import Iterator
from itertools import repeat
from types import GeneratorType, MappingProxyType
from typing import Any

import numpy as np

from tapeless.errors import UntrackedMutationError
from tapeless.rules import lookup
from tapeless.runtime.attributes import Attributes, behind
from tapeless.runtime.mirrors import Slot, owner
from tapeless.runtime.operators import is_python

NONE_TUPLES = tuple((None,) * n for n in range(32))
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


def nones(n: int) -> tuple[None, ...]:
    return NONE_TUPLES[n] if n < 32 else (None,) * n


def tuple_tangent(ts: Any) -> Any:
    """A tuple of companions, or None if all are None."""
    for t in ts:
        if t is not None:
            return tuple(ts)
    return None


class Items(Attributes):
    """Subscripts, `for`, `next`, unpacking, and building containers."""

    def getitem(self, x: Any, dx: Any, index: Any, di: Any) -> tuple[Any, Any]:
        kind = type(x)
        if kind is np.ndarray:
            return self.array_item(x, index)
        if kind is list:
            value = x[index]
            m = self.mirrors.get(id(x))
            if m is None:
                return value, None
            t = m.data[index]
            if type(index) is slice:
                if any(e is not None for e in t):
                    self.list_mirror(value)[:] = t
                return value, None
            return value, t
        if kind is dict:
            m = self.mirrors.get(id(x))
            return x[index], None if m is None else m.data.get(index)
        if isinstance(x, np.ndarray) and kind.__getitem__ is np.ndarray.__getitem__:
            return self.array_item(x, index)
        if isinstance(x, tuple) and kind.__getitem__ is tuple.__getitem__:
            value = x[index]
            if dx is None:
                return value, None
            t = dx[index]
            return value, tuple_tangent(t) if type(index) is slice else t
        if kind is str or kind is range or kind is bytes:
            return x[index], None
        f = getattr(kind, "__getitem__", None)
        if is_python(f):
            return self.call(f, (x, index), (dx, di))
        if isinstance(x, defaultdict):
            if index not in x and x.default_factory is not None:
                value, t = self.call(x.default_factory, (), ())
                x[index] = value
                self.put(x, index, t)
                return value, t
            return x[index], self.look(x, index)
        if isinstance(x, dict):
            missing = getattr(kind, "__missing__", None)
            if index not in x and missing is not None:
                return self.call(missing, (x, index), (None, None))
            return x[index], self.look(x, index)
        if isinstance(x, list):
            value = x[index]
            m = self.mirrors.get(id(x))
            if m is None:
                return value, None
            if type(index) is slice:
                self.list_mirror(value)[:] = m.data[index]
                return value, None
            return value, m.data[index]
        if isinstance(x, deque):
            return x[index], None if id(x) not in self.mirrors else self.mirrors[id(x)].data[index]
        value = x[index]
        if isinstance(x, np.flatiter):
            return (
                self.array_item(x.base.reshape(-1), index)
                if x.base.flags.c_contiguous
                else self.flat_item(x, index)
            )
        if isinstance(x, (type, np.nditer)) or not self.reaches((x,), (dx,)):
            return value, None
        if kind is MappingProxyType:
            return value, self.getitem(behind(x), None, index, None)[1]
        if dx is not None and isinstance(x, np.generic):
            return self.primitive(lookup(operator.getitem), operator.getitem, (x, index), (dx, None))
        return self.missing_rule(f"subscript of {kind.__name__}")

    def flat_item(self, x: Any, index: Any) -> tuple[Any, Any]:
        position = np.arange(x.base.size).reshape(x.base.shape).flat[index]
        where = np.unravel_index(position, x.base.shape)
        return self.array_item(x.base, tuple(int(w) for w in where) if np.ndim(position) == 0 else where)

    def array_item(self, x: Any, index: Any, read: Any = operator.getitem) -> tuple[Any, Any]:
        value = read(x, index)
        if not self.arrays:
            return value, None
        if type(value) is np.ndarray and value.base is not None and (value.base is x or value.base is x.base):
            return value, None
        base = x if x.base is None else owner(x)
        m = self.arrays.get(id(base))
        if m is None or m() is not base:
            return value, None
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "fc" or value.base is not None and self.find_array(value)[0] is base:
                return value, None
            return self.give(value, self.element(m, base, x, index, value), ())
        if not isinstance(value, (np.floating, np.complexfloating)):
            return value, None
        return value, self.element(m, base, x, index, value)

    def setitem(self, x: Any, index: Any, di: Any, value: Any, t: Any) -> None:
        kind = type(x)
        if kind is list or (isinstance(x, list) and kind.__setitem__ is list.__setitem__):
            if type(index) is slice:
                value, ts = self.collect(value, t)
                x[index] = value
                if id(x) in self.mirrors or any(e is not None for e in ts):
                    if id(x) in self.mirrors:
                        self.mirrors[id(x)].data[index] = ts
                    else:
                        n = len(x)
                        self.list_mirror(x)
                        start, stop, step = index.indices(n)
                        if step == 1:
                            start = min(start, n)
                            self.mirrors[id(x)].data[start : start + len(ts)] = ts
                        else:
                            self.mirrors[id(x)].data[index] = ts
                return
            x[index] = value
            if t is not None or id(x) in self.mirrors:
                self.list_mirror(x)[index] = t
            return
        if kind is dict or (isinstance(x, dict) and not is_python(kind.__setitem__)):
            if di is not None and index not in x:
                self.key_tangents.setdefault(id(x), (x, {}))[1][index] = di
            x[index] = value
            self.put(x, index, t)
            if t is not None and "__builtins__" in x:  # the names of a module
                self.module_stores = True
            return
        if isinstance(x, np.ndarray) and not is_python(kind.__setitem__):
            self.array_store(x, index, value, t)
            return
        f = getattr(kind, "__setitem__", None)
        if is_python(f):
            self.call(f, (x, index, value), (None, di, t))
            return
        if isinstance(x, deque):
            x[index] = value
            if t is not None or id(x) in self.mirrors:
                self.list_mirror(x)[index] = t
            return
        if isinstance(x, np.flatiter):
            position = np.arange(x.base.size).reshape(x.base.shape).flat[index]
            self.array_store(x.base, np.unravel_index(position, x.base.shape), value, t)
            return
        if hasattr(kind, "__setitem__") and self.reaches((value,), (t,)):
            self.untracked(f"an item of {kind.__name__}")
        x[index] = value

    def array_store(self, x: Any, index: Any, value: Any, t: Any) -> None:
        self.about_to_write(x)
        tangent = self.tangent_of(value, t)
        if type(tangent) in (list, tuple):
            value, _ = self.call(np.array, (value,), (t,))
            tangent = self.tangent_of(value, None)
        if tangent is not None and x.dtype.kind not in "fc":
            if x.dtype.kind in "OV":
                self.untracked("an array of objects" if x.dtype == object else "an array of records")
            tangent = None
        if type(index) is list:
            index = np.array(index)
        active = (tangent is not None or self.arrays) and x.dtype.kind in "fc"
        if active and isinstance(value, np.ndarray) and np.may_share_memory(x, value):
            meant = value.copy()
            x[index] = value
            # NumPy copies `a[::2] = a[:3]` element by element: it may read what it has just written
            window = x[index]
            view = isinstance(window, np.ndarray) and np.may_share_memory(window, x)
            got, want = np.broadcast_arrays(window, meant)
            if view and not np.array_equal(got, want, equal_nan=True):
                self.refuse(
                    UntrackedMutationError,
                    "cannot differentiate a store from a part of the same array that the store itself "
                    "changes; store a copy, value.copy()",
                )
        else:
            x[index] = value
        if active:
            self.overwrite(x, index, tangent)

    def delitem(self, x: Any, index: Any) -> None:
        f = getattr(type(x), "__delitem__", None)
        if is_python(f):
            self.call(f, (x, index), (None, None))
            return
        operator.delitem(x, index)
        m = self.mirrors.get(id(x))
        if m is not None:
            if type(m.data) is list:
                del m.data[index]
            else:
                m.data.pop(index, None)

    # ---- iteration

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

    def iter_of(self, x: Any, dx: Any) -> Any:
        """The iterator that `iter(x)` gives, with what is needed to find the companions of its items."""
        f = getattr(type(x), "__iter__", None)
        if is_python(f):
            return self.call(f, (x,), (dx,))[0]
        if f is None and is_python(getattr(type(x), "__getitem__", None)):
            return self.call(_item_iterator, (x,), (dx,))[0]
        iterator = iter(x)
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
                close = getattr(iterator, "close", None)
                if close is not None:
                    close()
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

    # ---- building containers

    def filled(self, values: list[Any], ts: Any) -> list[Any]:
        """The list `values`, mirrored if any companion is there."""
        if any(t is not None for t in ts):
            self.list_mirror(values)[:] = ts
        return values

    def list_filled(self, x: list[Any], values: Any, ts: Any) -> None:
        self.list_mirror(x)[:] = ts

    def set_filled(self, x: set[Any], values: Any, ts: Any) -> None:
        for value, t in zip(values, ts, strict=True):
            self.put(x, value, t)

    def list_of(self, values: Any, ts: Any) -> list[Any]:
        return self.filled(list(values), ts or ())

    def set_of(self, values: Any, ts: Any) -> set[Any]:
        x = set(values)
        self.set_filled(x, values, ts or nones(len(values)))
        return x

    def dict_of(self, parts: Any) -> dict[Any, Any]:
        x: dict[Any, Any] = {}
        for is_spread, key, kt, value, t in parts:
            if not is_spread:
                self.setitem(x, key, kt, value, t)
                continue
            for k, v, kt in self.mapping_items(value):
                x[k] = v
                self.put(x, k, kt)
        return x

    def mapping_items(self, x: Any) -> list[tuple[Any, Any, Any]]:
        """Keys, values and companions of a mapping."""
        if isinstance(x, dict):
            return [(k, v, self.look(x, k)) for k, v in x.items()]
        keys = self.collect(self.call_method(x, None, "keys", (), ())[0], None)[0]
        return [(k, *self.getitem(x, None, k, None)) for k in keys]

    def spread(self, starred: Any, values: Any, ts: Any) -> tuple[Any, Any]:
        """The items of a display with stars, as a tuple, and the tuple of their companions (or None)."""
        all_values: list[Any] = []
        all_ts: list[Any] = []
        for star, value, t in zip(starred, values, ts, strict=True):
            if star and type(value) is tuple:
                all_values += value
                all_ts += nones(len(value)) if t is None else t
            elif star:
                more, more_ts = self.collect(value, t)
                all_values += more
                all_ts += more_ts
            else:
                all_values.append(value)
                all_ts.append(t)
        return tuple(all_values), tuple_tangent(all_ts)

    def spread_call(self, starred: Any, values: Any, ts: Any) -> tuple[Any, Any]:
        last = values[-1]
        if type(last) is tuple and starred.index(True) == len(values) - 1:  # f(a, b, *rest)
            more = nones(len(last)) if ts[-1] is None else ts[-1]
            return (*values[:-1], *last), (*ts[:-1], *more)
        args, found = self.spread(starred, values, ts)
        return args, found or nones(len(args))

    def spread_keywords(self, names: Any, values: Any, ts: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        kw: dict[str, Any] = {}
        kts: dict[str, Any] = {}
        for name, value, t in zip(names, values, ts, strict=True):
            for k, v, kt in self.mapping_items(value) if name is None else ((name, value, t),):
                if k in kw:
                    raise TypeError(f"got multiple values for keyword argument '{k}'")
                kw[k] = v
                kts[k] = kt
        return kw, kts

    def format(self, template: Any, args: Any) -> str:
        """The text of an f-string."""
        parts, i = [], 0
        for part in template:
            if isinstance(part, str):
                parts.append(part)
                continue
            conversion, has_spec = part
            value = args[i]
            i += 1
            spec = ""
            if has_spec:
                spec = args[i]
                i += 1
            if conversion == 114:
                value = repr(value)
            elif conversion == 115:
                value = str(value)
            elif conversion == 97:
                value = ascii(value)
            parts.append(format(value, spec))
        return "".join(parts)

    # given by other parts of a run
    def call_method(
        self, x: Any, dx: Any, name: str, args: Any, ts: Any, kw: Any = None, kts: Any = None
    ) -> tuple[Any, Any]:
        raise NotImplementedError

    def element(self, m: Any, base: Any, a: Any, index: Any, value: Any) -> Any:
        raise NotImplementedError


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


__all__ = ["Items", "nones", "tuple_tangent"]
