"""Builtin containers and functions: what they do, and what happens to the companions beside."""

from __future__ import annotations

import builtins
import collections
import copy
import dataclasses
import functools
import operator
import types
import weakref
from collections import OrderedDict, defaultdict, deque
from types import GeneratorType
from typing import Any

import numpy as np

from tapeless.runtime.attributes import behind
from tapeless.runtime.calls import CALLABLE_TYPES, HANDLERS
from tapeless.runtime.items import nones, tuple_tangent
from tapeless.runtime.mirrors import Mirror, Slot, references
from tapeless.runtime.twins import strict_zip

Pair = tuple[Any, Any]


def handle(*originals: Any) -> Any:
    """Register `handler(run, args, tangents, keywords, keyword tangents) -> (value, companion)`."""

    def decorate(f: Any) -> Any:
        for original in originals:
            HANDLERS[original] = f
        return f

    return decorate


# ---- operators of containers


def operator_of(run: Any, name: str, x: Any, dx: Any, y: Any, dy: Any) -> Pair | None:
    """`+`, `*`, `%`, `|` … of lists, tuples, strings, dicts and deques; None for other types."""
    if isinstance(x, (list, deque)) and name == "Add" and isinstance(y, type(x)):
        value = x + y
        return run.filled(value, [*_list_ts(run, x), *_list_ts(run, y)]), None
    if isinstance(x, tuple) and name == "Add" and isinstance(y, tuple):
        return x + y, tuple_tangent([*(dx or nones(len(x))), *(dy or nones(len(y)))])
    if name == "Mult" and isinstance(x, (list, tuple)) and isinstance(y, (int, np.integer)):
        return _repeat(run, x, dx, y)
    if name == "Mult" and isinstance(y, (list, tuple)) and isinstance(x, (int, np.integer)):
        return _repeat(run, y, dy, x)
    if isinstance(x, (str, bytes)):
        return operator.mod(x, y) if name == "Mod" else _op(name)(x, y), None
    if isinstance(x, dict) and isinstance(y, dict) and name == "BitOr":
        value = x | y
        for source in (x, y):
            for key in source:
                run.put(value, key, run.look(source, key))
        return value, None
    if isinstance(x, (set, frozenset)):
        value = _op(name)(x, y)
        for source in (y, x):
            m = run.mirrors.get(id(source))
            if m is not None:
                for key, t in m.data.items():
                    if key in value:
                        run.put(value, key, t)
        return value, None
    return None


def _op(name: str) -> Any:
    from tapeless.runtime.operators import BINARY

    return BINARY[name][0]


def _repeat(run: Any, x: Any, dx: Any, n: Any) -> Pair:
    value = x * n
    if isinstance(x, tuple):
        return value, None if dx is None else tuple_tangent(tuple(dx) * n)
    return run.filled(value, _list_ts(run, x) * int(n)), None


def inplace_of(run: Any, name: str, x: Any, y: Any, dy: Any) -> Pair | None:
    if isinstance(x, (list, deque)) and name == "Add":
        _extend(run, (x, y), (None, dy), {}, {})
        return x, None
    if isinstance(x, list) and name == "Mult":
        ts = _list_ts(run, x) * int(y)
        x *= y
        if id(x) in run.mirrors:
            run.mirrors[id(x)].data[:] = ts
        return x, None
    if isinstance(x, dict) and name == "BitOr":
        _dict_update(run, (x, y), (None, dy), {}, {})
        return x, None
    if isinstance(x, set) and isinstance(y, (set, frozenset)):
        both = operator_of(run, name, x, None, y, None)
        assert both is not None
        data = run.mirrors.get(id(both[0]))
        _IN_PLACE[name](x, y)
        if data is not None:
            run.mirrors[id(x)] = Mirror(x, dict(data.data))
        return x, None
    return None


_IN_PLACE: dict[str, Any] = {"BitOr": operator.ior, "BitAnd": operator.iand, "Sub": operator.isub, "BitXor": operator.ixor}


def _list_ts(run: Any, x: Any) -> list[Any]:
    m = run.mirrors.get(id(x))
    return [None] * len(x) if m is None else list(m.data)


# ---- list


@handle(list.append, deque.append)
def _append(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, t = args[0], ts[1]
    if t is not None and id(x) not in run.mirrors:
        run.list_mirror(x)
    x.append(*args[1:])
    m = run.mirrors.get(id(x))
    if m is not None:
        m.data.append(t)
        if len(m.data) > len(x):
            del m.data[0]
    return None, None


@handle(deque.appendleft)
def _appendleft(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, t = args[0], ts[1]
    if t is not None and id(x) not in run.mirrors:
        run.list_mirror(x)
    x.appendleft(*args[1:])
    m = run.mirrors.get(id(x))
    if m is not None:
        m.data.insert(0, t)
        del m.data[len(x) :]
    return None, None


@handle(list.extend, deque.extend)
def _extend(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    if isinstance(args[1], GeneratorType) or not isinstance(args[1], (list, tuple)):
        for value, t in run.iterate(args[1], ts[1]):
            _append(run, (x, value), (None, t), {}, {})
        return None, None
    values, more = run.collect(args[1], ts[1])
    if any(t is not None for t in more):
        run.list_mirror(x)
    x.extend(values)
    m = run.mirrors.get(id(x))
    if m is not None:
        m.data.extend(more)
        if len(m.data) > len(x):
            del m.data[: len(m.data) - len(x)]
    return None, None


@handle(deque.extendleft)
def _extendleft(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    for value, t in run.iterate(args[1], ts[1]):
        _appendleft(run, (args[0], value), (None, t), {}, {})
    return None, None


@handle(list.insert, deque.insert)
def _insert(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    if ts[2] is not None:
        run.list_mirror(x)
    x.insert(*args[1:])
    m = run.mirrors.get(id(x))
    if m is not None:
        m.data.insert(args[1], ts[2])
    return None, None


@handle(list.pop, deque.pop)
def _pop(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    value = x.pop(*args[1:])
    m = run.mirrors.get(id(x))
    return value, None if m is None else m.data.pop(*args[1:])


@handle(deque.popleft)
def _popleft(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    value = x.popleft()
    m = run.mirrors.get(id(x))
    return value, None if m is None else m.data.pop(0)


@handle(deque.rotate)
def _rotate(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    x.rotate(*args[1:])
    m = run.mirrors.get(id(x))
    if m is not None:
        moved = deque(m.data)
        moved.rotate(*args[1:])
        m.data[:] = moved
    return None, None


@handle(list.remove, deque.remove)
def _remove(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    for i in range(len(x)):
        if x[i] is args[1] or run.compare("==", x[i], None, args[1], ts[1]):
            run.delitem(x, i)
            return None, None
    x.remove(args[1])
    return None, None


@handle(list.reverse, deque.reverse)
def _reverse(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    args[0].reverse()
    m = run.mirrors.get(id(args[0]))
    if m is not None:
        m.data.reverse()
    return None, None


@handle(list.clear, deque.clear, dict.clear, set.clear, OrderedDict.clear)
def _clear(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    args[0].clear()
    m = run.mirrors.get(id(args[0]))
    if m is not None:
        m.data.clear()
    return None, None


@handle(list.copy, dict.copy, set.copy, deque.copy, defaultdict.copy, OrderedDict.copy)
def _copy_method(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    value = args[0].copy()
    m = run.mirrors.get(id(args[0]))
    if m is not None:
        run.mirrors[id(value)] = Mirror(value, copy.copy(m.data))
    return value, None


def _plain_method(method: Any) -> Any:
    def run_plain(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        return method(*args, **kw), None

    return run_plain


for _method in (list.index, tuple.index, list.count, tuple.count, deque.index, deque.count, list.__len__, dict.__len__,
                dict.keys, dict.__contains__, set.__contains__, list.__contains__, OrderedDict.keys, OrderedDict.move_to_end,
                set.isdisjoint, set.issubset, set.issuperset, frozenset.isdisjoint, frozenset.issubset, frozenset.issuperset,
                frozenset.__contains__, frozenset.__len__, dict.__len__, tuple.__len__, set.__len__):
    HANDLERS[_method] = _plain_method(_method)


@handle(list, builtins.list.__init__)
def _list(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if args and isinstance(args[0], list) and len(args) == 2:  # list.__init__(self, items)
        args[0][:] = []
        return _extend(run, args, ts, kw, kts)
    if not args or kw:
        return list(*args, **kw), None
    _check_iterable(args[0], list)
    values, more = run.collect(args[0], ts[0])
    return run.filled(values, more), None


def _check_iterable(x: Any, kind: Any) -> None:
    if not hasattr(type(x), "__iter__") and not hasattr(type(x), "__getitem__"):
        kind(x)


@handle(tuple)
def _tuple(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if not args or kw:
        return tuple(*args, **kw), None
    if type(args[0]) is tuple:
        return args[0], ts[0]
    _check_iterable(args[0], tuple)
    values, more = run.collect(args[0], ts[0])
    return tuple(values), tuple_tangent(more)


def _set_maker(kind: Any) -> Any:
    def make(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        if not args or kw:
            return kind(*args, **kw), None
        if isinstance(args[0], (set, frozenset)):
            value = kind(args[0])
            m = run.mirrors.get(id(args[0]))
            if m is not None and value is not args[0]:
                run.mirrors[id(value)] = Mirror(value, dict(m.data))
            return value, None
        _check_iterable(args[0], kind)
        values, more = run.collect(args[0], ts[0])
        value = kind(values)
        for v, t in zip(values, more, strict=True):
            if t is not None and run.look(value, v) is None:
                run.put(value, v, t)
        return value, None

    return make


HANDLERS[set] = _set_maker(set)
HANDLERS[frozenset] = _set_maker(frozenset)


@handle(set.add)
def _add(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if args[1] not in args[0]:
        args[0].add(args[1])
        run.put(args[0], args[1], ts[1])
    return None, None


@handle(set.discard)
def _discard(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    args[0].discard(args[1])
    run.put(args[0], args[1], None)
    return None, None


@handle(set.remove)
def _set_remove(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    args[0].remove(args[1])
    run.put(args[0], args[1], None)
    return None, None


@handle(set.pop)
def _set_pop(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    value = args[0].pop()
    t = run.look(args[0], value)
    run.put(args[0], value, None)
    return value, t


@handle(set.update)
def _set_update(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    for source, dx in zip(args[1:], ts[1:], strict=True):
        for value, t in run.iterate(source, dx):
            _add(run, (args[0], value), (None, t), {}, {})
    return None, None


def _set_algebra(name: str, method: Any) -> Any:
    def go(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        value = method(*args)
        for source in args:
            m = run.mirrors.get(id(source))
            if m is not None and isinstance(m.data, dict):
                for key, t in m.data.items():
                    if key in value:
                        run.put(value, key, t)
        return value, None

    return go


for _name in ("union", "intersection", "difference", "symmetric_difference"):
    for _kind in (set, frozenset):
        HANDLERS[getattr(_kind, _name)] = _set_algebra(_name, getattr(_kind, _name))


@handle(deque)
def _deque(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    maxlen = kw.get("maxlen", args[1] if len(args) > 1 else None)
    x: Any = deque(maxlen=maxlen)
    if args:
        _extend(run, (x, args[0]), (None, ts[0]), {}, {})
    return x, None


@handle(deque.__init__)
def _deque_init(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    args[0].__init__((), *args[2:], **kw)
    if len(args) > 1:
        _extend(run, args[:2], ts[:2], {}, {})
    return None, None


# ---- dict


@handle(dict)
def _dict(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x: dict[Any, Any] = {}
    _dict_update(run, (x, *args), (None, *ts), kw, kts)
    return x, None


@handle(OrderedDict)
def _ordered_dict(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x: Any = OrderedDict()
    _dict_update(run, (x, *args), (None, *ts), kw, kts)
    return x, None


@handle(defaultdict)
def _defaultdict(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x: Any = defaultdict(*args[:1])
    _dict_update(run, (x, *args[1:]), (None, *ts[1:]), kw, kts)
    return x, None


@handle(dict.__init__, OrderedDict.__init__, dict.update, OrderedDict.update)
def _dict_update(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    if len(args) > 1:
        source = args[1]
        if isinstance(source, dict) or hasattr(type(source), "keys"):
            for key, value, t in run.mapping_items(source):
                run.setitem(x, key, None, value, t) if type(x) is not dict else _put(run, x, key, value, t)
        else:
            for pair, dp in run.iterate(source, ts[1]):
                (key, value), (_, t) = run.unpack(pair, dp, 2, None)
                _put(run, x, key, value, t)
    for key, value in kw.items():
        _put(run, x, key, value, kts.get(key))
    return None, None


def _put(run: Any, x: Any, key: Any, value: Any, t: Any) -> None:
    dict.__setitem__(x, key, value) if not isinstance(x, OrderedDict) else x.__setitem__(key, value)
    run.put(x, key, t)


@handle(defaultdict.__init__)
def _defaultdict_init(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if len(args) > 1:
        args[0].default_factory = args[1]
    return _dict_update(run, (args[0], *args[2:]), (None, *ts[2:]), kw, kts)


@handle(dict.get)
def _get(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if args[1] in args[0]:
        return dict.get(*args), run.look(args[0], args[1])
    return (args[2], ts[2]) if len(args) > 2 else (None, None)


@handle(dict.pop, OrderedDict.pop)
def _dict_pop(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    if args[1] not in x and len(args) > 2:
        return args[2], ts[2]
    t = run.look(x, args[1])
    value = OrderedDict.pop(x, args[1]) if isinstance(x, OrderedDict) else dict.pop(x, args[1])
    run.put(x, args[1], None)
    return value, t


@handle(dict.popitem, OrderedDict.popitem)
def _popitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    key, value = args[0].popitem(*args[1:], **kw)
    t = run.look(args[0], key)
    run.put(args[0], key, None)
    return (key, value), None if t is None else (None, t)


@handle(dict.setdefault, OrderedDict.setdefault)
def _setdefault(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, key = args[0], args[1]
    if key not in x:
        _put(run, x, key, args[2] if len(args) > 2 else None, ts[2] if len(ts) > 2 else None)
    return dict.__getitem__(x, key), run.look(x, key)


for _kind in (dict, OrderedDict):
    for _name in ("values", "items"):
        HANDLERS[getattr(_kind, _name)] = _plain_method(getattr(_kind, _name))


def _proxy_method(name: str) -> Any:
    def go(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        return run.call_method(behind(args[0]), None, name, args[1:], ts[1:], kw, kts)  # type: ignore[no-any-return]

    return go


for _name in ("get", "items", "values", "keys", "copy", "__getitem__", "__contains__", "__iter__", "__len__"):
    HANDLERS[getattr(types.MappingProxyType, _name)] = _proxy_method(_name)


@handle(dict.fromkeys)
def _fromkeys(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    value = dict.fromkeys(*args)
    if len(args) > 1:
        for key in value:
            run.put(value, key, ts[1])
    return value, None


@handle(dict.__getitem__)
def _dict_getitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return dict.__getitem__(*args), run.look(args[0], args[1])


@handle(dict.__setitem__, OrderedDict.__setitem__)
def _dict_setitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    _put(run, *args, ts[2])
    return None, None


@handle(dict.__delitem__, OrderedDict.__delitem__, list.__delitem__)
def _delitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, key = args
    (list.__delitem__ if isinstance(x, list) else OrderedDict.__delitem__ if isinstance(x, OrderedDict) else dict.__delitem__)(x, key)
    m = run.mirrors.get(id(x))
    if m is not None:
        if isinstance(m.data, list):
            del m.data[key]
        else:
            m.data.pop(key, None)
    return None, None


@handle(list.__getitem__)
def _list_getitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, index = args
    value = list.__getitem__(x, index)
    m = run.mirrors.get(id(x))
    if m is None:
        return value, None
    return (run.filled(value, m.data[index]), None) if type(index) is slice else (value, m.data[index])


@handle(list.__setitem__)
def _list_setitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, index, value = args
    if type(index) is slice:
        value, more = run.collect(value, ts[2])
        if any(t is not None for t in more):
            run.list_mirror(x)
        list.__setitem__(x, index, value)
        if id(x) in run.mirrors:
            run.mirrors[id(x)].data[index] = more
        return None, None
    list.__setitem__(x, index, value)
    if ts[2] is not None or id(x) in run.mirrors:
        run.list_mirror(x)[index] = ts[2]
    return None, None


@handle(tuple.__getitem__)
def _tuple_getitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    value = tuple.__getitem__(*args)
    t = None if ts[0] is None else ts[0][args[1]]
    return value, tuple_tangent(t) if type(args[1]) is slice and t is not None else t


@handle(tuple.__new__)
def _tuple_new(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    cls = args[0]
    values, more = run.collect(args[1], ts[1]) if len(args) > 1 else ([], [])
    return tuple.__new__(cls, values), tuple_tangent(more)


# ---- builtin functions


@handle(builtins.iter)
def _iter(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if len(args) == 2:
        return run.call(_call_until, args, ts)  # type: ignore[no-any-return]
    return run.iter_of(args[0], ts[0]), None


def _call_until(function, sentinel):  # type: ignore[no-untyped-def]
    while True:
        value = function()
        if value == sentinel:
            return
        yield value


@handle(builtins.next)
def _next(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if not hasattr(type(args[0]), "__next__"):
        next(*args)
    if len(args) == 1:
        return run.next(args[0])  # type: ignore[no-any-return]
    try:
        return run.next(args[0])  # type: ignore[no-any-return]
    except StopIteration:
        return args[1], ts[1]


def _generator(run: Any, slot: Slot, generator: Any) -> Pair:
    """A generator of ours, entered like one of the program."""
    slot.ref = weakref.ref(generator)
    run.slots[id(generator)] = slot
    return generator, None


def _pairs(run: Any, x: Any, dx: Any) -> Any:
    """An iterator over items and companions; as in Python, what cannot be iterated is refused at once."""
    f = getattr(type(x), "__iter__", None)
    if f is None and not hasattr(type(x), "__getitem__"):
        iter(x)
    if hasattr(f, "__code__"):
        return run.iterate_next(run.call(f, (x,), (dx,))[0])
    return run.iterate(x, dx)


@handle(builtins.zip)
def _zip(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if kw.get("strict"):
        return run.enter(strict_zip, (run.filled(list(args), ts),), (None,))  # type: ignore[no-any-return]
    slot = Slot()
    return _generator(run, slot, _zip_items(slot, [_pairs(run, x, t) for x, t in zip(args, ts, strict=True)]))


def _zip_items(slot: Slot, sources: list[Any]) -> Any:
    while sources:
        values, ts = [], []
        for source in sources:
            try:
                value, t = next(source)
            except StopIteration:
                return
            values.append(value)
            ts.append(t)
        slot.out = tuple_tangent(ts)
        yield tuple(values)


@handle(builtins.enumerate)
def _enumerate(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    start = args[1] if len(args) > 1 else kw.get("start", 0)
    x, dx = (args[0], ts[0]) if args else (kw["iterable"], kts.get("iterable"))
    slot = Slot()
    return _generator(run, slot, _enumerate_items(slot, _pairs(run, x, dx), operator.index(start)))


def _enumerate_items(slot: Slot, source: Any, n: int) -> Any:
    for value, t in source:
        slot.out = None if t is None else (None, t)
        yield n, value
        n += 1


@handle(builtins.map)
def _map(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if len(args) < 2:
        map(*args)
    slot = Slot()
    return _generator(run, slot, _map_items(run, slot, args[0], [_pairs(run, x, t) for x, t in zip(args[1:], ts[1:], strict=True)]))


def _map_items(run: Any, slot: Slot, f: Any, sources: list[Any]) -> Any:
    while True:
        values, ts = [], []
        for source in sources:
            try:
                value, t = next(source)
            except StopIteration:
                return
            values.append(value)
            ts.append(t)
        value, t = run.call(f, tuple(values), tuple(ts))
        slot.out = t
        yield value


@handle(builtins.filter)
def _filter(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    slot = Slot()
    return _generator(run, slot, _filter_items(run, slot, args[0], _pairs(run, args[1], ts[1])))


def _filter_items(run: Any, slot: Slot, f: Any, source: Any) -> Any:
    for value, t in source:
        if value if f is None or f is bool else run.call(f, (value,), (t,))[0]:
            slot.out = t
            yield value


@handle(GeneratorType.send)
def _send(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    slot = run.slots.get(id(args[0]))
    if slot is not None:
        slot.sent = ts[1]
    return run.resume(args[0], args[0].send, args[1])  # type: ignore[no-any-return]


@handle(GeneratorType.throw)
def _throw(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return run.resume(args[0], args[0].throw, *args[1:])  # type: ignore[no-any-return]


@handle(GeneratorType.__next__)
def _generator_next(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return run.resume(args[0], args[0].__next__)  # type: ignore[no-any-return]


@handle(GeneratorType.close, GeneratorType.__iter__)
def _close(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return args[0].close(), None


HANDLERS[GeneratorType.__iter__] = lambda run, args, ts, kw, kts: (args[0], None)


@handle(builtins.sum)
def _sum(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    start, dt = (args[1], ts[1]) if len(args) > 1 else (kw.get("start", 0), kts.get("start"))
    values, more = run.collect(args[0], ts[0])
    if all(type(v) in (int, float, bool, complex) for v in (start, *values)):
        value = sum(values, start)  # Python's own: it may compensate for rounding
        if dt is None and all(t is None for t in more):
            return value, None
        return value, run.add_tangents([dt, *more], value)
    total, t = start, dt
    for v, tv in zip(values, more, strict=True):
        total, t = run.Add(total, t, v, tv)
    return total, t


@handle(builtins.getattr)
def _getattr(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if len(args) == 2:
        return run.getattr(args[0], ts[0], args[1])  # type: ignore[no-any-return]
    try:
        return run.getattr(args[0], ts[0], args[1])  # type: ignore[no-any-return]
    except AttributeError as error:
        if error is run.failure:
            raise
        return args[2], ts[2]


@handle(builtins.hasattr)
def _hasattr(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    try:
        run.getattr(args[0], ts[0], args[1])
    except AttributeError:
        return False, None
    return True, None


@handle(builtins.setattr)
def _setattr(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    run.setattr(args[0], args[1], args[2], ts[2])
    return None, None


@handle(builtins.delattr)
def _delattr(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    run.delattr(args[0], args[1])
    return None, None


@handle(object.__setattr__)
def _object_setattr(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    run.plain_setattr(args[0], args[1], args[2], ts[2])
    return None, None


@handle(object.__getattribute__)
def _object_getattribute(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, name = args
    found = next((c.__dict__[name] for c in type(x).__mro__ if name in c.__dict__), None)
    if type(found) is property:
        return run.call(found.fget, (x,), (None,))  # type: ignore[no-any-return]
    value = object.__getattribute__(x, name)
    if name == "__dict__":
        run.share_dict(x, value)
    return value, run.look(x, name)


@handle(object.__init__, object.__init_subclass__, type.__init__)
def _nothing(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return None, None


@handle(object.__new__)
def _object_new(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return object.__new__(args[0]), None


@handle(BaseException.__init__, Exception.__init__)
def _exception_init(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    BaseException.__init__(args[0], *args[1:])
    run.put(args[0], "args", tuple_tangent(ts[1:]))
    return None, None


for _error in (Exception, ValueError, TypeError, RuntimeError, KeyError, IndexError, ArithmeticError, LookupError, StopIteration):
    HANDLERS[_error.__init__] = _exception_init


@handle(builtins.vars)
def _vars(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return run.getattr(args[0], None, "__dict__")  # type: ignore[no-any-return]


@handle(type)
def _type(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if len(args) != 3:
        return type(*args, **kw), None
    meta = types.prepare_class(args[0], args[1])[0]  # the metaclass of the bases, if they have another
    if meta is not type:
        return run.call(meta, args, ts, kw, kts)  # type: ignore[no-any-return]
    return run.new_class((type, *args), kw), None


@handle(dataclasses._process_class)  # type: ignore[attr-defined]
def _process_class(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """What `dataclass` does to a class: it writes methods, and with slots makes the class again."""
    cls = args[0]
    kept = {name: run.class_tangent(cls, name) for name in vars(cls)} if run.class_stores else {}
    made = dataclasses._process_class(*args, **kw)  # type: ignore[attr-defined]
    for spec in dataclasses.fields(made):
        if run.look(spec, "default") is None:
            run.put(spec, "default", kept.get(spec.name))
    return made, None


@handle(super)
def _super(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return super(*args), None


def _maker(kind: Any) -> Any:
    return lambda run, args, ts, kw, kts: (kind(*args, **kw), None)


for _kind in (property, classmethod, staticmethod, range, slice, object, functools.cached_property, bool, str, bytes, int,
              memoryview, bytearray, functools.lru_cache, functools.wraps, functools.update_wrapper, isinstance, issubclass,
              len, id, hash, repr, callable, print, format, ascii, input, open, globals, dir):
    HANDLERS[_kind] = _maker(_kind)
HANDLERS[functools.cache] = _maker(functools.cache)


@handle(len)
def _len(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    method = getattr(type(args[0]), "__len__", None) if args else None
    if method is not None and hasattr(method, "__code__"):
        value, _ = run.call(method, args, ts)
        return len(_Sized(value)), None
    return len(*args), None


class _Sized:
    def __init__(self, n: Any) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n  # type: ignore[no-any-return]


@handle(int)
def _int(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    method = getattr(type(args[0]), "__int__", None) if args else None
    if method is not None and hasattr(method, "__code__"):
        return run.call(method, args[:1], ts[:1])[0], None
    return int(*args, **kw), None


@handle(builtins.abs)
def _abs(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _through(run, abs, "__abs__", args, ts)


@handle(builtins.round)
def _round(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _through(run, round, "__round__", args, ts, kw)


@handle(builtins.divmod)
def _divmod(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    for me, name in ((0, "__divmod__"), (1, "__rdivmod__")):
        method = getattr(type(args[me]), name, None)
        if hasattr(method, "__code__"):
            return run.call(method, (args[me], args[1 - me]), (ts[me], ts[1 - me]))  # type: ignore[no-any-return]
    return _through(run, divmod, "__divmod__", args, ts)


@handle(builtins.pow)
def _pow(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if len(args) == 2 and not kw:
        return run.Pow(args[0], ts[0], args[1], ts[1])  # type: ignore[no-any-return]
    return pow(*args, **kw), None


@handle(float)
def _float(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _through(run, float, "__float__", args, ts)


@handle(complex)
def _complex(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _through(run, complex, "__complex__", args, ts, kw, kts)


def _through(run: Any, f: Any, method_name: str, args: Any, ts: Any, kw: Any = None, kts: Any = None) -> Pair:
    """A builtin that asks a special method: the Python method if there is one, else the rule."""
    from tapeless.rules import lookup

    if not args and not kw:
        return f(), None
    method = getattr(type(args[0]), method_name, None) if args else None
    if hasattr(method, "__code__"):
        if not kw:
            return run.special(method, method_name, args, ts)  # type: ignore[no-any-return]
        return run.call(method, args, ts, kw, kts)  # type: ignore[no-any-return]
    rule = lookup(f)
    if rule is None:
        return run.foreign(f, args, ts, kw, kts)  # type: ignore[no-any-return]
    return run.primitive(rule, f, args, ts, kw, kts)  # type: ignore[no-any-return]


# ---- copies


@handle(copy.copy)
def _copy(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    method = getattr(type(x), "__copy__", None)
    if hasattr(method, "__code__"):
        return run.call(method, (x,), (None,))  # type: ignore[no-any-return]
    if isinstance(x, np.ndarray):
        return run.call_method(x, None, "copy", (), ())  # type: ignore[no-any-return]
    value = copy.copy(x)
    m = run.mirrors.get(id(x))
    if m is not None and value is not x:
        run.mirrors[id(value)] = Mirror(value, copy.copy(m.data))
    return value, ts[0]


@handle(copy.deepcopy)
def _deepcopy(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    memo: dict[int, Any] = args[1] if len(args) > 1 and args[1] is not None else {}
    value = copy.deepcopy(x, memo)
    stack, seen = [x], set()
    while stack:
        old = stack.pop()
        if id(old) in seen:
            continue
        seen.add(id(old))
        new = memo.get(id(old))
        if new is not None and new is not old:
            if isinstance(old, np.ndarray):
                base, m_array = run.find_array(old)
                if m_array is not None:
                    run.create(new, run.read(m_array, base, old), new)
            else:
                m = run.mirrors.get(id(old))
                if m is not None:
                    run.mirrors[id(new)] = Mirror(new, copy.copy(m.data))
        stack += references(old)
    return value, ts[0]


# ---- callable objects


def _partial(run: Any, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    kept = run.look(f, "args") or nones(len(f.args))
    named = {k: run.look(f.keywords, k) for k in f.keywords}
    return run.call(f.func, (*f.args, *args), (*kept, *ts), {**f.keywords, **kw}, {**named, **kts})  # type: ignore[no-any-return]


CALLABLE_TYPES[functools.partial] = _partial


@handle(functools.partial)
def _make_partial(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    f = functools.partial(*args, **kw)
    inner, kept, named = args[0], tuple(ts[1:]), dict(kts)
    if isinstance(inner, functools.partial):  # a partial of a partial is made flat
        kept = (*(run.look(inner, "args") or nones(len(inner.args))), *kept)
        named = {**{k: run.look(inner.keywords, k) for k in inner.keywords}, **named}
    run.put(f, "args", tuple_tangent(kept))
    for k, t in named.items():
        run.put(f.keywords, k, t)
    return f, None


class _Cache:
    """What a function behind `lru_cache` has stored in this run: an earlier run's values are constants."""

    def __init__(self, f: Any) -> None:
        self.function = f
        self.table: OrderedDict[Any, Any] = OrderedDict()
        self.before = f.cache_info()
        self.hits = self.misses = 0

    def info(self) -> Any:
        size = len(self.table) + self.before.currsize
        if self.before.maxsize is not None:
            size = min(size, self.before.maxsize)
        hits, misses = self.before.hits + self.hits, self.before.misses + self.misses
        return type(self.before)(hits, misses, self.before.maxsize, size)


def _cache_of(run: Any, f: Any) -> _Cache:
    found = run.caches.get(id(f))
    if found is None:
        found = run.caches[id(f)] = _Cache(f)
    return found  # type: ignore[no-any-return]


def _cached(run: Any, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    cache = _cache_of(run, f)
    parameters = f.cache_parameters()
    key = functools._make_key(args, kw, parameters["typed"])
    table = cache.table
    if key in table:
        cache.hits += 1
        table.move_to_end(key)
        return table[key]  # type: ignore[no-any-return]
    cache.misses += 1
    result = run.call(f.__wrapped__, args, ts, kw, kts)
    if parameters["maxsize"] != 0:
        table[key] = result
    if parameters["maxsize"] is not None and len(table) > parameters["maxsize"]:
        table.popitem(last=False)
    return result  # type: ignore[no-any-return]


_LRU = type(functools.lru_cache(lambda: None))
HANDLERS[_LRU.cache_info] = lambda run, args, ts, kw, kts: (_cache_of(run, args[0]).info(), None)


@handle(_LRU.cache_clear)
def _cache_clear(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    args[0].cache_clear()
    run.caches.pop(id(args[0]), None)
    return None, None


CALLABLE_TYPES[type(functools.lru_cache(lambda: None))] = _cached


def _itemgetter(run: Any, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    keys = f.__reduce__()[1]
    pairs = [run.getitem(args[0], ts[0], k, None) for k in keys]
    if len(pairs) == 1:
        return pairs[0]  # type: ignore[no-any-return]
    return tuple(v for v, _ in pairs), tuple_tangent([t for _, t in pairs])


def _attrgetter(run: Any, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    pairs = []
    for path in f.__reduce__()[1]:
        value, t = args[0], ts[0]
        for name in path.split("."):
            value, t = run.getattr(value, t, name)
        pairs.append((value, t))
    if len(pairs) == 1:
        return pairs[0]
    return tuple(v for v, _ in pairs), tuple_tangent([t for _, t in pairs])


def _methodcaller(run: Any, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    _, made = f.__reduce__()[0], f.__reduce__()[1]
    return run.call_method(args[0], ts[0], made[0], tuple(made[1:]), nones(len(made) - 1))  # type: ignore[no-any-return]


CALLABLE_TYPES[operator.itemgetter] = _itemgetter
CALLABLE_TYPES[operator.attrgetter] = _attrgetter
CALLABLE_TYPES[operator.methodcaller] = _methodcaller


# ---- NumPy functions that write


@handle(np.add.at)
def _add_at(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _ufunc_at(run, np.add, args, ts)


@handle(np.subtract.at)
def _subtract_at(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _ufunc_at(run, np.subtract, args, ts)


def _ufunc_at(run: Any, ufunc: Any, args: Any, ts: Any) -> Pair:
    """`ufunc.at(a, index, b)` for a sum: the tangent of `a` gets the tangent of `b` at every mention of an element."""
    a, index = args[0], args[1]
    b, db = (args[2], ts[2]) if len(args) > 2 else (0.0, None)
    tangent = run.tangent_of(b, db)
    if isinstance(tangent, list):
        b, _ = run.call(np.array, (b,), (db,))
        tangent = run.tangent_of(b, None)
    if tangent is not None and a.dtype.kind in "fc":
        zeros = np.zeros_like(a)
        positions = np.arange(a.size).reshape(a.shape)[index]
        spread = np.zeros(np.shape(positions), a.dtype)
        value, _ = run.primitive(_rule(np.add), np.add, (spread, b), (None, db))
        moved, _ = run.call(scatter_sum, (zeros.size, np.asarray(positions), value), (None, None, None))
        moved, _ = run.call_method(moved, None, "reshape", (a.shape,), (None,))
        before = a.copy()
        run.array_inplace("Add" if ufunc is np.add else "Sub", a, moved, None)
        a[...] = before
    ufunc.at(a, index, b)
    run.snapshots.clear()
    return None, None


def _rule(f: Any) -> Any:
    from tapeless.rules import lookup

    return lookup(f)


def scatter_sum(n, positions, values):  # type: ignore[no-untyped-def]
    """A vector of length `n` with the sum of the values at each position."""
    return np.bincount(positions.ravel(), weights=values.ravel(), minlength=n)


@handle(np.multiply.at)
def _multiply_at(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _at_one_by_one(run, "Mult", args, ts)


@handle(np.divide.at)
def _divide_at(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return _at_one_by_one(run, "Div", args, ts)


def _at_one_by_one(run: Any, name: str, args: Any, ts: Any) -> Pair:
    """`ufunc.at` in the order of its definition: element by element."""
    a, index, b = args
    places = np.arange(a.size).reshape(a.shape)[index]
    spread, _ = run.call(np.broadcast_to, (b, np.shape(places)), (ts[2], None))
    for k in np.ndindex(np.shape(places)):
        where = np.unravel_index(places[k], a.shape)
        old, t = run.array_item(a, where)
        factor, dt = run.array_item(spread, k)
        value, t = run.binary(name, old, t, factor, dt)
        run.array_store(a, where, value, t)
    return None, None


@handle(np.copyto)
def _copyto(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    dst, src = args[0], args[1]
    where = kw.get("where", args[3] if len(args) > 3 else True)
    if where is True:
        run.array_store(dst, Ellipsis, src, ts[1])
    else:
        mask = np.broadcast_to(where, dst.shape)
        spread, _ = run.call(np.broadcast_to, (src, dst.shape), (ts[1], None))
        picked, t = run.getitem(spread, None, mask, None)
        run.array_store(dst, mask, picked, t)
    return None, None


@handle(np.ndarray.fill)
def _fill(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    run.array_store(args[0], Ellipsis, args[1], ts[1])
    return None, None


@handle(np.ndarray.sort)
def _array_sort(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    a = args[0]
    axis = kw.get("axis", args[1] if len(args) > 1 else -1)
    order = np.argsort(a, axis=axis, kind="stable")
    sorted_, t = run.call(np.take_along_axis, (a, order, axis), (None, None, None))
    run.array_store(a, Ellipsis, sorted_, t)
    return None, None


@handle(np.ndarray.__setitem__)
def _array_setitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    run.setitem(args[0], args[1], None, args[2], ts[2])
    return None, None


@handle(np.ndarray.__getitem__)
def _array_getitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    return run.getitem(args[0], None, args[1], None)  # type: ignore[no-any-return]


@handle(np.put_along_axis)
def _put_along_axis(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    from numpy.lib import _shape_base_impl  # the index that NumPy itself uses

    a, indices, values = args[:3]
    axis = kw.get("axis", args[3] if len(args) > 3 else None)
    index = _shape_base_impl._make_along_axis_idx(a.shape, indices, axis)  # type: ignore[attr-defined]
    run.array_store(a, index, values, ts[2])
    return None, None


@handle(np.fill_diagonal)
def _fill_diagonal(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    a, value = args[:2]
    if a.ndim != 2 or (len(args) > 2 and args[2]) or np.ndim(value):
        return run.enter(np.fill_diagonal._implementation, args, ts, kw, kts)  # type: ignore[attr-defined,no-any-return]
    n = min(a.shape)
    run.array_store(a, (np.arange(n), np.arange(n)), value, ts[1])
    return None, None


@handle(np.put, np.ndarray.put)
def _put_items(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    a, where, values = args[:3]
    index = np.unravel_index(np.asarray(where), a.shape)
    if np.size(values) == np.size(where) or np.ndim(values) == 0:
        run.array_store(a, index, values, ts[2])
        return None, None
    return run.foreign(np.put, args, ts, kw, kts)  # type: ignore[no-any-return]


@handle(np.place, np.putmask)
def _place(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    a, mask, values = args[:3]
    if np.ndim(values) == 0:
        run.array_store(a, np.asarray(mask, bool), values, ts[2])
        return None, None
    return run.foreign(np.putmask, args, ts, kw, kts)  # type: ignore[no-any-return]


_CONVERTER = getattr(getattr(getattr(np, "_core", None), "_multiarray_umath", None), "_array_converter", None)
if _CONVERTER is not None:  # NumPy 2: what its Python functions use in the place of asarray

    @handle(_CONVERTER)
    def _array_converter(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        kept = [
            run.call(np.asarray, (x,), (t,))[0] if not isinstance(x, np.ndarray) and run.reaches((x,), (t,)) else x
            for x, t in zip(args, ts, strict=True)
        ]
        return _CONVERTER(*kept, **kw), None

    @handle(_CONVERTER.wrap)
    def _converter_wrap(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        value = args[0].wrap(*args[1:], **kw)
        if value is args[1] or isinstance(value, np.ndarray):
            return value, None
        return value, run.array_item(args[1], ())[1]

    for _method_name in ("as_arrays", "result_type"):
        HANDLERS[getattr(_CONVERTER, _method_name)] = _plain_method(getattr(_CONVERTER, _method_name))
HANDLERS[np.broadcast] = _maker(np.broadcast)


@handle(np.vectorize._vectorize_call)
def _vectorize_call(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    """What `np.vectorize` does without a signature: the function, on every element of the broadcast arguments."""
    named = {**dict(zip(("self", "func", "args"), args, strict=False)), **kw}
    me, func, inputs = named["self"], named["func"], named["args"]
    if me.signature is not None:
        return run.enter(np.vectorize._vectorize_call, args, ts, kw, kts)  # type: ignore[no-any-return]
    if not inputs:
        return run.call(func, (), ())  # type: ignore[no-any-return]
    pairs = ts[2] if len(ts) > 2 else kts.get("args")
    arrays = [run.call(np.asarray, (x,), (None if pairs is None else pairs[i],))[0] for i, x in enumerate(inputs)]
    shape = np.broadcast_shapes(*[a.shape for a in arrays])
    spread = [run.call(np.broadcast_to, (a, shape), (None, None))[0] for a in arrays]

    def one(index: Any) -> Any:
        items = [run.array_item(a, index) for a in spread]
        plain = [(v.item() if isinstance(v, np.generic) else v, t) for v, t in items]  # as object arrays hold them
        moved = [run.call(float, (v,), (t,)) if type(p) is float else (p, t) for (v, t), (p, _) in zip(items, plain, strict=True)]
        return run.call(func, tuple(v for v, _ in moved), tuple(t for _, t in moved))

    indices = list(np.ndindex(*shape))
    if not indices and me.otypes is None:
        raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
    otypes = me.otypes
    first = None
    if otypes is None:
        first = one(indices[0])
        outputs = first[0] if isinstance(first[0], tuple) else (first[0],)
        otypes = "".join(np.asarray(o).dtype.char for o in outputs)
    results = [np.zeros(shape, c) for c in otypes]
    for k, index in enumerate(indices):
        value, t = first if k == 0 and first is not None and me.cache else one(index)
        values, tangents = (value, t or nones(len(value))) if len(results) > 1 else ((value,), (t,))
        for r, v, tv in zip(results, values, tangents, strict=True):
            run.array_store(r, index, v, tv)
    return (tuple(results) if len(results) > 1 else results[0]), None


__all__ = ["collections", "inplace_of", "operator_of"]
