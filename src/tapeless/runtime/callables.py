"""Copies of objects, and callable objects that are not functions: `partial`, `lru_cache`, `itemgetter`."""

from __future__ import annotations

import copy
import copyreg
import functools
import operator
from collections import OrderedDict
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from tapeless.runtime.calls import CALLABLE_TYPES, HANDLERS, TWINS
from tapeless.runtime.handlers import Pair, handle, made_plainly
from tapeless.runtime.items import nones, tuple_tangent
from tapeless.runtime.known import copied_by_python
from tapeless.runtime.mirrors import ATOMS, Mirror, references
from tapeless.runtime.twins import twin

# ---- copies

# `copy`'s own functions, to be opened: under these names they have no handler
_opened_copy = FunctionType(copy.copy.__code__, vars(copy), "copy")
_opened_deepcopy = FunctionType(copy.deepcopy.__code__, vars(copy), "deepcopy", copy.deepcopy.__defaults__)


def leads_to(x: Any, found: Callable[[Any], bool]) -> bool:
    """Whether `found` holds for anything that can be reached from `x`."""
    stack, seen = [x], set()
    while stack:
        part = stack.pop()
        if id(part) in seen or type(part) in ATOMS:
            continue
        seen.add(id(part))
        if found(part):
            return True
        stack += references(part)
    return False


def _overridden(cls: type) -> set[str]:
    """The names that a class or its bases have, `object` aside."""
    return set().union(*(vars(base) for base in cls.__mro__[:-1]))


HANDLERS[copied_by_python] = made_plainly(copied_by_python)
HANDLERS[_overridden] = made_plainly(_overridden)


@twin(object.__reduce_ex__)
def _reduce_ex(self, protocol):  # type: ignore[no-untyped-def]
    cls = type(self)
    if "__reduce__" in _overridden(cls):
        return self.__reduce__()
    if hasattr(cls, "__getnewargs_ex__"):
        given, named = self.__getnewargs_ex__()
        made = (copyreg.__newobj_ex__, (cls, given, named))  # type: ignore[attr-defined]
    else:
        given = self.__getnewargs__() if hasattr(cls, "__getnewargs__") else ()
        made = (copyreg.__newobj__, (cls, *given))  # type: ignore[attr-defined]
    items = iter(self) if isinstance(self, list) else None
    pairs = iter(self.items()) if isinstance(self, dict) else None
    return (*made, self.__getstate__(), items, pairs)


def _getstate(self):  # type: ignore[no-untyped-def]
    names = copyreg._slotnames(type(self))  # type: ignore[attr-defined]
    fields = getattr(self, "__dict__", None) or None
    slots = {name: getattr(self, name) for name in names if hasattr(self, name)}
    return (fields, slots) if slots else fields


if hasattr(object, "__getstate__"):
    TWINS[object.__getstate__] = _getstate  # type: ignore[assignment]
HANDLERS[copyreg._slotnames] = made_plainly(copyreg._slotnames)  # type: ignore[attr-defined]


@handle(copy.copy)
def _copy(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, dx = (args[0], ts[0]) if args else (kw["x"], kts.get("x"))
    if copied_by_python(type(x)):
        return run.call(_opened_copy, (x,), (dx,))  # type: ignore[no-any-return]
    if isinstance(x, np.ndarray):
        return run.call_method(x, None, "copy", (), ())  # type: ignore[no-any-return]
    value = copy.copy(x)
    if value is not x:
        copy_mirrors(run, x, value)
    return value, dx


def copy_mirrors(run: Any, old: Any, new: Any) -> None:
    """What a run keeps beside an object, its items and its attributes, for a copy of it."""
    for sign in (1, -1):
        m = run.mirrors.get(sign * id(old))
        if m is not None:
            run.mirrors[sign * id(new)] = Mirror(new, copy.copy(m.data))
    if id(old) in run.key_tangents:
        run.key_tangents[id(new)] = (new, dict(run.key_tangents[id(old)][1]))


@handle(copy.deepcopy)
def _deepcopy(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    x, dx = (args[0], ts[0]) if args else (kw["x"], kts.get("x"))
    if leads_to(x, lambda part: copied_by_python(type(part))):
        return run.call(_opened_deepcopy, args, ts, kw, kts)  # type: ignore[no-any-return]
    memo: Any = args[1] if len(args) > 1 else kw.get("memo")
    memo = {} if memo is None else memo
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
                copy_mirrors(run, old, new)
        stack += references(old)
    return value, dx


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


def same_companions(first: Any, second: Any) -> bool:
    """Whether arguments with the same values also have the same derivatives, as far as is seen at once."""
    pairs = list(zip(first, second, strict=True))
    return all(a is b or type(a) is type(b) and type(a) in (int, float) and a == b for a, b in pairs)


def _cached(run: Any, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    cache = _cache_of(run, f)
    parameters = f.cache_parameters()
    key = functools._make_key(args, kw, parameters["typed"])
    table = cache.table
    if key in table:
        cache.hits += 1
        table.move_to_end(key)
        result, *moved = table[key]
        if same_companions(moved, [*ts, *kts.values()]):
            return result  # type: ignore[no-any-return]
        # the same numbers move in another way: the value is the remembered one, its derivative is not
        return result[0], run.call(f.__wrapped__, args, ts, kw, kts)[1]
    cache.misses += 1
    result = run.call(f.__wrapped__, args, ts, kw, kts)
    if parameters["maxsize"] != 0:
        table[key] = (result, *ts, *kts.values())
    if parameters["maxsize"] is not None and len(table) > parameters["maxsize"]:
        table.popitem(last=False)
    return result  # type: ignore[no-any-return]


_LRU = functools._lru_cache_wrapper
HANDLERS[_LRU.cache_info] = lambda run, args, ts, kw, kts: (_cache_of(run, args[0]).info(), None)


@handle(_LRU.cache_clear)
def _cache_clear(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    args[0].cache_clear()
    run.caches.pop(id(args[0]), None)
    return None, None


CALLABLE_TYPES[_LRU] = _cached


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


class _MethodCaller:
    """`operator.methodcaller` in Python."""

    def __init__(self, name, /, *args, **kwargs):  # type: ignore[no-untyped-def]
        self.name, self.args, self.kwargs = name, args, kwargs

    def __call__(self, obj):  # type: ignore[no-untyped-def]
        return getattr(obj, self.name)(*self.args, **self.kwargs)


@handle(operator.methodcaller)
def _make_methodcaller(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if run.reaches((*args, *kw.values()), (*ts, *kts.values())):
        return run.call(_MethodCaller, args, ts, kw, kts)  # type: ignore[no-any-return]
    return operator.methodcaller(*args, **kw), None


def _methodcaller(run: Any, f: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    made, given = f.__reduce__()
    named = {}
    if made is not operator.methodcaller:  # with keywords it reduces to a partial
        named, given = dict(made.keywords), (*made.args, *given)
    rest = nones(len(given) - 1)
    return run.call_method(args[0], ts[0], given[0], given[1:], rest, named, dict.fromkeys(named))  # type: ignore[no-any-return]


CALLABLE_TYPES[operator.itemgetter] = _itemgetter
CALLABLE_TYPES[operator.attrgetter] = _attrgetter
CALLABLE_TYPES[operator.methodcaller] = _methodcaller
