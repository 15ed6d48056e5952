"""Dicts: what they do, and what happens to the companions beside."""

from __future__ import annotations

import types
from collections import OrderedDict, defaultdict
from typing import Any

from tapeless.runtime.attributes import behind
from tapeless.runtime.calls import HANDLERS
from tapeless.runtime.handlers import Pair, handle, plain_method
from tapeless.runtime.items import tuple_tangent


@handle(dict)
def _dict(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x: dict[Any, Any] = {}
    dict_update(run, (x, *args), (None, *ts), kw, kts)
    return x, None


@handle(OrderedDict)
def _ordered_dict(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x: Any = OrderedDict()
    dict_update(run, (x, *args), (None, *ts), kw, kts)
    return x, None


@handle(defaultdict)
def _defaultdict(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x: Any = defaultdict(*args[:1])
    dict_update(run, (x, *args[1:]), (None, *ts[1:]), kw, kts)
    return x, None


@handle(dict.__init__, OrderedDict.__init__, dict.update, OrderedDict.update)
def dict_update(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    if len(args) > 1:
        source = args[1]
        if isinstance(source, dict) or hasattr(type(source), "keys"):
            for key, value, dk, t in run.mapping_items(source):
                _update(run, x, key, value, t, dk)
        else:
            for pair, dp in run.iterate(source, ts[1]):
                (key, value), (dk, t) = run.unpack(pair, dp, 2, None)
                _update(run, x, key, value, t, dk)
    for key, value in kw.items():
        _update(run, x, key, value, kts.get(key))
    return None, None


def _update(run: Any, x: Any, key: Any, value: Any, t: Any, dk: Any = None) -> None:
    """Of a subclass, `OrderedDict` asks its own `__setitem__`, `dict` does not."""
    if isinstance(x, OrderedDict):
        run.setitem(x, key, dk, value, t)
    else:
        _put(run, x, key, value, t, dk)


def _put(run: Any, x: Any, key: Any, value: Any, t: Any, dk: Any) -> None:
    run.put_key(x, key, dk)
    (OrderedDict if isinstance(x, OrderedDict) else dict).__setitem__(x, key, value)
    run.put(x, key, t)


@handle(defaultdict.__init__)
def _defaultdict_init(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if len(args) > 1:
        args[0].default_factory = args[1]
    return dict_update(run, (args[0], *args[2:]), (None, *ts[2:]), kw, kts)


@handle(dict.get)
def _get(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if run.keyed(dict.__contains__, *args[:2]):
        return dict.get(*args), run.look(args[0], args[1])
    return (args[2], ts[2]) if len(args) > 2 else (None, None)


@handle(dict.pop, OrderedDict.pop)
def _dict_pop(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x = args[0]
    if len(args) > 2 and not run.keyed(dict.__contains__, x, args[1]):
        return args[2], ts[2]
    t = run.look(x, args[1])
    value = OrderedDict.pop(x, args[1]) if isinstance(x, OrderedDict) else dict.pop(x, args[1])
    run.put(x, args[1], None)
    return value, t


@handle(dict.popitem, OrderedDict.popitem)
def _popitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    key, value = (OrderedDict if isinstance(args[0], OrderedDict) else dict).popitem(*args, **kw)
    t = run.look(args[0], key)
    run.put(args[0], key, None)
    return (key, value), tuple_tangent((run.look_key(args[0], key), t))


@handle(dict.setdefault, OrderedDict.setdefault)
def _setdefault(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, key = args[0], args[1]
    if not run.keyed(dict.__contains__, x, key):
        _update(run, x, key, args[2] if len(args) > 2 else None, ts[2] if len(ts) > 2 else None, ts[1])
    return dict.__getitem__(x, key), run.look(x, key)


for _kind in (dict, OrderedDict):
    for _name in ("values", "items"):
        HANDLERS[getattr(_kind, _name)] = plain_method(getattr(_kind, _name))


def _proxy_method(name: str) -> Any:
    def go(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        return run.call_method(behind(args[0]), None, name, args[1:], ts[1:], kw, kts)  # type: ignore[no-any-return]

    return go


for _name in ("get", "items", "values", "keys", "copy", "__getitem__", "__contains__", "__iter__", "__len__"):
    HANDLERS[getattr(types.MappingProxyType, _name)] = _proxy_method(_name)


@handle(dict.fromkeys)
def _fromkeys(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    value: dict[Any, Any] = {}
    for key, dk in run.iterate(args[0], ts[0]):
        _put(run, value, key, args[1] if len(args) > 1 else None, ts[1] if len(ts) > 1 else None, dk)
    return value, None


@handle(dict.__getitem__)
def _dict_getitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, key = args
    missing = getattr(type(x), "__missing__", None)
    if missing is not None and not run.keyed(dict.__contains__, x, key):
        return run.call(missing, args, ts)  # type: ignore[no-any-return]
    return dict.__getitem__(x, key), run.look(x, key)


@handle(defaultdict.__missing__)
def _default(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, key = args
    if x.default_factory is None:
        raise KeyError(key)
    value, t = run.call(x.default_factory, (), ())
    run.setitem(x, key, ts[1], value, t)
    return value, t


@handle(dict.__setitem__, OrderedDict.__setitem__)
def _dict_setitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, key, value = args
    _put(run, x, key, value, ts[2], ts[1])
    return None, None


@handle(dict.__delitem__, OrderedDict.__delitem__, list.__delitem__)
def _delitem(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, key = args
    (
        list.__delitem__
        if isinstance(x, list)
        else OrderedDict.__delitem__
        if isinstance(x, OrderedDict)
        else dict.__delitem__
    )(x, key)
    m = run.mirrors.get(id(x))
    if m is not None:
        if isinstance(m.data, list):
            del m.data[key]
        else:
            m.data.pop(key, None)
    return None, None
