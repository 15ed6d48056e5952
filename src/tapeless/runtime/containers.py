"""Lists, tuples, sets and deques: what they do, and what happens to the companions beside."""

from __future__ import annotations

import builtins
import copy
import operator
from collections import OrderedDict, defaultdict, deque
from typing import Any

import numpy as np

from tapeless.runtime.calls import HANDLERS
from tapeless.runtime.dicts import dict_update
from tapeless.runtime.handlers import Pair, handle, plain_method, quiet_method
from tapeless.runtime.items import nones, tuple_tangent
from tapeless.runtime.mirrors import Mirror

# ---- operators of containers


def operator_of(run: Any, name: str, x: Any, dx: Any, y: Any, dy: Any, value: Any = None) -> Pair | None:
    """`+`, `*`, `%`, `|` … of lists, tuples, strings, dicts and deques; None for other types.

    `value` is the result where it is known already.
    """
    op: Any = _op(name) if value is None else lambda x, y: value
    if name == "Add" and any(isinstance(x, kind) and isinstance(y, kind) for kind in (list, deque)):
        value = op(x, y)
        return run.filled(value, _last([*_list_ts(run, x), *_list_ts(run, y)], len(value))), None
    if isinstance(x, tuple) and name == "Add" and isinstance(y, tuple):
        return op(x, y), tuple_tangent([*(dx or nones(len(x))), *(dy or nones(len(y)))])
    if name == "Mult" and isinstance(x, (list, tuple, deque)) and isinstance(y, (int, np.integer)):
        return _repeat(run, x, dx, y, op)
    if name == "Mult" and isinstance(y, (list, tuple, deque)) and isinstance(x, (int, np.integer)):
        return _repeat(run, y, dy, x, op)
    if isinstance(x, (str, bytes)):
        return run.quietly(op, x, y), None
    if isinstance(x, dict) and isinstance(y, dict) and name == "BitOr":
        value = op(x, y)
        keys = [(k, dk) for source in (y, x) for k, _, dk, _ in run.mapping_items(source) if dk is not None]
        if keys:  # the left operand's stay
            run.key_tangents[id(value)] = (value, dict(keys))
        for source in (x, y):
            for key in dict.keys(source):
                run.put(value, key, run.look(source, key))
        return value, None
    if isinstance(x, (set, frozenset)):
        value = op(x, y)
        for one in (y, x):
            m = run.mirrors.get(id(one))
            if m is not None:
                for key, t in m.data.items():
                    if key in value:
                        run.put(value, key, t)
        return value, None
    return None


def _op(name: str) -> Any:
    from tapeless.runtime.operators import BINARY

    return BINARY[name][0]


def _repeat(run: Any, x: Any, dx: Any, n: Any, op: Any) -> Pair:
    value = op(x, n)
    if isinstance(x, tuple):
        return value, None if dx is None else tuple_tangent(tuple(dx) * n)
    return run.filled(value, _last(_list_ts(run, x) * int(n), len(value))), None


def inplace_of(run: Any, name: str, x: Any, y: Any, dy: Any) -> Pair | None:
    if isinstance(x, (list, deque)) and name == "Add":
        _extend(run, (x, y), (None, dy), {}, {})
        return x, None
    if isinstance(x, (list, deque)) and name == "Mult":
        ts = _list_ts(run, x) * int(y)
        x *= y
        if id(x) in run.mirrors:
            run.mirrors[id(x)].data[:] = _last(ts, len(x))
        return x, None
    if isinstance(x, dict) and name == "BitOr":
        dict_update(run, (x, y), (None, dy), {}, {})
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


_IN_PLACE: dict[str, Any] = {
    "BitOr": operator.ior,
    "BitAnd": operator.iand,
    "Sub": operator.isub,
    "BitXor": operator.ixor,
}


def _list_ts(run: Any, x: Any) -> list[Any]:
    m = run.mirrors.get(id(x))
    return [None] * len(x) if m is None else list(m.data)


def _last(ts: list[Any], n: int) -> list[Any]:
    """The companions of the `n` items that a deque of limited length keeps."""
    return ts[len(ts) - n :]


# ---- list

_BUILTIN = (list, deque, OrderedDict, defaultdict, dict, set, frozenset, tuple)


def builtin(x: Any) -> Any:
    """The builtin class of a container, whose methods are meant where a subclass has its own."""
    kind = type(x)
    return kind if kind in _BUILTIN else next(base for base in _BUILTIN if isinstance(x, base))


@handle(list.append, deque.append)
def _append(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, t = args[0], ts[1]
    if t is not None and id(x) not in run.mirrors:
        run.list_mirror(x)
    builtin(x).append(*args)
    m = run.mirrors.get(id(x))
    if m is not None:
        m.data.append(t)
        if len(m.data) > builtin(x).__len__(x):
            del m.data[0]
    return None, None


@handle(deque.appendleft)
def _appendleft(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, t = args[0], ts[1]
    if t is not None and id(x) not in run.mirrors:
        run.list_mirror(x)
    deque.appendleft(*args)
    m = run.mirrors.get(id(x))
    if m is not None:
        m.data.insert(0, t)
        del m.data[deque.__len__(x) :]
    return None, None


@handle(list.extend, deque.extend)
def _extend(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    if not isinstance(args[1], (list, tuple)) and args[1] is not x:
        for value, t in run.iterate(args[1], ts[1]):
            _append(run, (x, value), (None, t), {}, {})
        return None, None
    values, more = run.collect(args[1], ts[1])
    if any(t is not None for t in more):
        run.list_mirror(x)
    builtin(x).extend(x, values)
    m = run.mirrors.get(id(x))
    if m is not None:
        m.data.extend(more)
        n = builtin(x).__len__(x)
        if len(m.data) > n:
            del m.data[: len(m.data) - n]
    return None, None


@handle(deque.extendleft)
def _extendleft(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    itself = args[1] is args[0]
    items = zip(*run.collect(args[1], ts[1]), strict=True) if itself else run.iterate(args[1], ts[1])
    for value, t in items:
        _appendleft(run, (args[0], value), (None, t), {}, {})
    return None, None


@handle(list.insert, deque.insert)
def _insert(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, *args = args[0], run.index_of(args[1]), args[2]
    if ts[2] is not None:
        run.list_mirror(x)
    builtin(x).insert(x, *args)
    m = run.mirrors.get(id(x))
    if m is not None:
        m.data.insert(args[0], ts[2])
    return None, None


@handle(list.pop, deque.pop)
def _pop(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, *at = args
    at = [run.index_of(i) for i in at]
    value = builtin(x).pop(x, *at)
    m = run.mirrors.get(id(x))
    return value, None if m is None else m.data.pop(*at)


@handle(deque.popleft)
def _popleft(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    value = deque.popleft(x)
    m = run.mirrors.get(id(x))
    return value, None if m is None else m.data.pop(0)


@handle(deque.rotate)
def _rotate(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    deque.rotate(*args)
    m = run.mirrors.get(id(x))
    if m is not None:
        moved = deque(m.data)
        moved.rotate(*args[1:])
        m.data[:] = moved
    return None, None


@handle(list.remove, deque.remove)
def _remove(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    kind = builtin(x)
    for i, item in enumerate(kind.copy(x)):
        if item is args[1] or run.truth(run.compare("==", item, None, args[1], ts[1]), None):
            kind.__delitem__(x, i)
            if id(x) in run.mirrors:
                del run.mirrors[id(x)].data[i]
            return None, None
    raise ValueError(f"{kind.__name__}.remove(x): x not in {kind.__name__}")


@handle(list.reverse, deque.reverse)
def _reverse(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    builtin(args[0]).reverse(args[0])
    m = run.mirrors.get(id(args[0]))
    if m is not None:
        m.data.reverse()
    return None, None


@handle(list.clear, deque.clear, dict.clear, set.clear, OrderedDict.clear)
def _clear(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    builtin(args[0]).clear(args[0])
    m = run.mirrors.get(id(args[0]))
    if m is not None:
        m.data.clear()
    return None, None


@handle(list.copy, dict.copy, set.copy, deque.copy, defaultdict.copy, OrderedDict.copy)
def _copy_method(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    value = builtin(args[0]).copy(args[0])
    m = run.mirrors.get(id(args[0]))
    if m is not None:
        run.mirrors[id(value)] = Mirror(value, copy.copy(m.data))
    if id(args[0]) in run.key_tangents:
        run.key_tangents[id(value)] = (value, dict(run.key_tangents[id(args[0])][1]))
    return value, None


for _method in (
    list.__len__,
    dict.__len__,
    dict.keys,
    dict.__contains__,
    set.__contains__,
    OrderedDict.keys,
    OrderedDict.move_to_end,
    set.isdisjoint,
    set.issubset,
    set.issuperset,
    frozenset.isdisjoint,
    frozenset.issubset,
    frozenset.issuperset,
    frozenset.__contains__,
    frozenset.__len__,
    dict.__len__,
    tuple.__len__,
    set.__len__,
):
    HANDLERS[_method] = plain_method(_method)
_SEQUENCES: Any = (list, tuple, deque)
for _kind in _SEQUENCES:
    for _name in ("index", "count", "__contains__"):
        HANDLERS[getattr(_kind, _name)] = quiet_method(getattr(_kind, _name))


@handle(list, builtins.list.__init__)
def _list(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if args and isinstance(args[0], list) and len(args) == 2:  # list.__init__(self, items)
        list.clear(args[0])
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
        value = run.quietly(kind, values)
        for v, t in zip(values, more, strict=True):
            if t is not None and run.look(value, v) is None:
                run.put(value, v, t)
        return value, None

    return make


@handle(set.__init__)
def _set_init(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    set.clear(args[0])
    return _set_update(run, args, ts, kw, kts)


HANDLERS[set] = _set_maker(set)
HANDLERS[frozenset] = _set_maker(frozenset)


@handle(set.add)
def _add(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if not run.keyed(set.__contains__, *args):
        set.add(*args)
        run.put(args[0], args[1], ts[1])
    return None, None


@handle(set.discard)
def _discard(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    set.discard(*args)
    run.put(args[0], args[1], None)
    return None, None


@handle(set.remove)
def _set_remove(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    set.remove(*args)
    run.put(args[0], args[1], None)
    return None, None


@handle(set.pop)
def _set_pop(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    value = set.pop(args[0])
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
        sources = [
            a if isinstance(a, (set, frozenset)) else run.call(set, (a,), (t,))[0]
            for a, t in zip(args, ts, strict=True)
        ]
        value = method(*sources)
        for source in sources:
            m = run.mirrors.get(id(source))
            if m is not None:
                for key, t in m.data.items():
                    if key in value:
                        run.put(value, key, t)
        return value, None

    return go


for _name in ("union", "intersection", "difference", "symmetric_difference"):
    for _kind in (set, frozenset):
        HANDLERS[getattr(_kind, _name)] = _set_algebra(_name, getattr(_kind, _name))


def _set_changed(name: str) -> Any:
    def go(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        x = args[0]
        made, _ = HANDLERS[getattr(set, name)](run, args, ts, kw, kts)
        set.clear(x)
        set.update(x, made)
        m = run.mirrors.get(id(made))
        run.mirrors[id(x)] = Mirror(x, {} if m is None else m.data)
        return None, None

    return go


for _name in ("intersection", "difference", "symmetric_difference"):
    HANDLERS[getattr(set, f"{_name}_update")] = _set_changed(_name)


@handle(deque)
def _deque(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    maxlen = kw.get("maxlen", args[1] if len(args) > 1 else None)
    x: Any = deque(maxlen=maxlen)
    if args or "iterable" in kw:
        items, t = (args[0], ts[0]) if args else (kw["iterable"], kts.get("iterable"))
        _extend(run, (x, items), (None, t), {}, {})
    return x, None


@handle(deque.__init__)
def _deque_init(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    deque.__init__(args[0], (), *args[2:], **{k: v for k, v in kw.items() if k != "iterable"})
    if len(args) > 1:
        _extend(run, args[:2], ts[:2], {}, {})
    elif "iterable" in kw:
        _extend(run, (args[0], kw["iterable"]), (ts[0], kts.get("iterable")), {}, {})
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
