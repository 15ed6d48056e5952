"""Items of untyped values, and the containers that they are put into."""

from __future__ import annotations

import operator
from collections import OrderedDict, deque
from types import MappingProxyType, MethodType
from typing import Any

import numpy as np

from tapeless.errors import UntrackedMutationError
from tapeless.rules import lookup
from tapeless.runtime.attributes import Attributes, behind
from tapeless.runtime.mirrors import ATOMS, owner
from tapeless.runtime.operators import is_python, on_class

#: what `!r`, `!s` and `!a` in an f-string ask for
CONVERSIONS: dict[int, Any] = {114: repr, 115: str, 97: ascii, -1: lambda value: value}
#: subscripts that ask no method of the program
_FIXED = ATOMS - {slice} | {np.ndarray, list}
_SEQUENCES = (list, tuple, str, bytes, range, deque, np.ndarray, np.flatiter)
NONE_TUPLES = tuple((None,) * n for n in range(32))


def nones(n: int) -> tuple[None, ...]:
    return NONE_TUPLES[n] if n < 32 else (None,) * n


def tuple_tangent(ts: Any) -> Any:
    """A tuple of companions, or None if all are None."""
    for t in ts:
        if t is not None:
            return tuple(ts)
    return None


def plain_key(key: Any) -> bool:
    """Whether a key is a tuple of numbers and strings, whose hash asks no method of the program."""
    return type(key) is tuple and ATOMS.issuperset(map(type, key))


def own_class_item(x: Any) -> Any:
    """The method of a class that its subscript calls, if the program wrote it."""
    f = getattr(x, "__class_getitem__", None) if isinstance(x, type) else None
    return f if isinstance(f, MethodType) and f.__func__.__module__ != "typing" else None


def asks_index(index: Any) -> bool:
    """Whether a subscript of a sequence asks an `__index__` that is written in Python."""
    kind = type(index)
    if kind is slice:
        if type(index.start) in _FIXED and type(index.stop) in _FIXED and index.step is None:
            return False
        index = (index.start, index.stop, index.step)
    if kind is slice or kind is tuple:
        for i in index:
            if type(i) not in _FIXED and asks_index(i):
                return True
        return False
    return not isinstance(index, int) and is_python(on_class(kind, "__index__"))


class Items(Attributes):
    """Subscripts, and building containers."""

    def is_sequence(self, x: Any, method: str) -> bool:
        """Whether C code takes the subscripts of `x`, as integers."""
        return isinstance(x, _SEQUENCES) and not is_python(getattr(type(x), method, None))

    def index_of(self, index: Any) -> Any:
        """A subscript of a sequence, with the integers that its objects stand for."""
        if type(index) in _FIXED or not asks_index(index):
            return index
        if type(index) is tuple:
            return tuple([self.index_of(i) for i in index])
        if type(index) is slice:
            return slice(self.index_of(index.start), self.index_of(index.stop), self.index_of(index.step))
        f = on_class(type(index), "__index__")
        found = self.special(f, "__index__", (index,), (None,))[0]
        if not isinstance(found, int):
            raise TypeError(f"__index__ returned non-int (type {type(found).__name__})")
        return found

    def getitem(self, x: Any, dx: Any, index: Any, di: Any) -> tuple[Any, Any]:
        kind = type(x)
        if type(index) not in _FIXED and asks_index(index) and self.is_sequence(x, "__getitem__"):
            index = self.index_of(index)
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
            plain = type(index) in ATOMS or plain_key(index)
            value = x[index] if plain else self.keyed(operator.getitem, x, index)
            m = self.mirrors.get(id(x))
            return value, None if m is None else m.data.get(index)
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
        made = own_class_item(x) if f is None else None
        if made is not None:
            return self.call(made, (index,), (di,))
        if isinstance(x, dict):
            return self.call(dict.__getitem__, (x, index), (None, di))
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
            if type(index) is int and x.base.flags.c_contiguous:
                return self.array_item(x.base.reshape(-1), index)
            return self.flat_item(x, index)  # a copy, also of a slice
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
        if type(index) not in _FIXED and asks_index(index) and self.is_sequence(x, "__setitem__"):
            index = self.index_of(index)
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
            if di is not None or self.key_tangents:
                self.put_key(x, index, di)
            if type(index) not in ATOMS and not plain_key(index):
                self.keyed(hash, index)
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
        if x.dtype.kind in "fc" and type(value) not in ATOMS:
            value, t = self.numeric(np.ndarray.__setitem__, value, t)
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
        if self.is_sequence(x, "__delitem__"):
            index = self.index_of(index)
        operator.delitem(x, index)
        m = self.mirrors.get(id(x))
        if m is not None:
            if type(m.data) is list:
                del m.data[index]
            else:
                m.data.pop(index, None)

    # ---- building containers

    def filled(self, values: list[Any], ts: Any) -> list[Any]:
        """The list `values`, mirrored if any companion is there."""
        if any(t is not None for t in ts):
            self.list_mirror(values)[:] = ts
        return values

    def list_filled(self, x: list[Any], values: Any, ts: Any) -> None:
        self.list_mirror(x)[:] = ts

    def slice_filled(self, x: slice, ts: Any) -> None:
        for name, t in zip(("start", "stop", "step"), ts, strict=False):
            self.put(x, name, t)

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
            for k, v, dk, t in self.mapping_items(value):
                self.setitem(x, k, dk, v, t)
        return x

    def mapping_items(self, x: Any) -> list[tuple[Any, Any, Any, Any]]:
        """Keys and values of a mapping, and the companions of both."""
        if isinstance(x, dict) and type(x).__iter__ in (dict.__iter__, OrderedDict.__iter__):
            items = (OrderedDict if isinstance(x, OrderedDict) else dict).items(x)
            return [(k, v, self.look_key(x, k), self.look(x, k)) for k, v in items]
        found = []
        for k, dk in self.iterate(*self.call_method(x, None, "keys", (), ())):
            value, t = self.getitem(x, None, k, dk)
            found.append((k, value, dk, t))
        return found

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
        if names == (None,) and type(values[0]) is dict and not self.key_tangents:  # f(..., **rest)
            m = self.mirrors.get(id(values[0]))
            found = {} if m is None else m.data
            return dict(values[0]), {key: found.get(key) for key in values[0]}
        kw: dict[str, Any] = {}
        kts: dict[str, Any] = {}
        for name, value, t in zip(names, values, ts, strict=True):
            for k, v, _, kt in self.mapping_items(value) if name is None else ((name, value, None, t),):
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
            if type(value) in ATOMS:
                value = CONVERSIONS[conversion](value)
            elif conversion != -1:
                value = self.call(CONVERSIONS[conversion], (value,), (None,))[0]
            plain = type(value) in ATOMS
            parts.append(format(value, spec) if plain else self.call(format, (value, spec), (None, None))[0])
        return "".join(parts)

    # given by other parts of a run
    def collect(self, x: Any, dx: Any) -> tuple[list[Any], list[Any]]:
        raise NotImplementedError

    def call_method(
        self, x: Any, dx: Any, name: str, args: Any, ts: Any, kw: Any = None, kts: Any = None
    ) -> tuple[Any, Any]:
        raise NotImplementedError

    def element(self, m: Any, base: Any, a: Any, index: Any, value: Any) -> Any:
        raise NotImplementedError


__all__ = ["Items", "nones", "tuple_tangent"]
