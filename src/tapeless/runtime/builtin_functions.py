"""Builtin functions and classes: what they do, and what happens to the companions beside."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import math
import operator
import types
import typing
import weakref
from types import GeneratorType
from typing import Any

from tapeless.autodiff.dual_writer import PLAIN
from tapeless.runtime.attributes import is_property
from tapeless.runtime.calls import HANDLERS
from tapeless.runtime.handlers import Pair, handle, made_plainly
from tapeless.runtime.items import tuple_tangent
from tapeless.runtime.known import TWINS
from tapeless.runtime.mirrors import Slot
from tapeless.runtime.operators import on_class
from tapeless.runtime.twins import strict_zip


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
    return _generator(
        run,
        slot,
        _map_items(run, slot, args[0], [_pairs(run, x, t) for x, t in zip(args[1:], ts[1:], strict=True)]),
    )


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
        if run.truth(*((value, t) if f is None or f is bool else run.call(f, (value,), (t,)))):
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


def _extreme(f: Any, better: Any) -> Any:
    """`min` and `max`: of several plain numbers the first that no other one beats, else the twin."""

    def go(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
        items, found = args, ts
        if len(args) == 1 and type(args[0]) in (list, tuple):
            items, found = run.collect(args[0], ts[0])
        if kw or len(items) < (1 if items is not args else 2) or not PLAIN.issuperset(map(type, items)):
            return run.enter(TWINS[f], args, ts, kw, kts)  # type: ignore[no-any-return]
        best = 0
        for k in range(1, len(items)):
            if better(items[k], items[best]):
                best = k
        return items[best], found[best]

    return go


HANDLERS[builtins.min] = _extreme(builtins.min, operator.lt)
HANDLERS[builtins.max] = _extreme(builtins.max, operator.gt)


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
    found = on_class(type(x), name)
    if is_property(found):
        return run.call(found.fget, (x,), (ts[0],))  # type: ignore[no-any-return]
    value = object.__getattribute__(x, name)
    if name == "__dict__":
        run.share_dict(x, value)
    if isinstance(x, tuple):
        item = run.tuple_attribute(x, ts[0], name)
        if item is not None:
            return item  # type: ignore[no-any-return]
    return value, run.look_attribute(x, name)


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


for _error in (
    Exception,
    ValueError,
    TypeError,
    RuntimeError,
    KeyError,
    IndexError,
    ArithmeticError,
    LookupError,
    StopIteration,
):
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
    made = super(*args)
    if len(args) == 2:
        run.put(made, "__self__", ts[1])
    return made, None


@handle(slice)
def _slice(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    made = slice(*args)
    if tuple_tangent(ts) is not None:
        run.slice_filled(made, (None, *ts) if len(ts) == 1 else ts)
    return made, None


for _kind in (
    property,
    property.getter,
    property.setter,
    property.deleter,
    classmethod,
    staticmethod,
    object,
    functools.cached_property,
    functools.lru_cache,
    functools.wraps,
    functools.update_wrapper,
    isinstance,
    issubclass,
    len,
    id,
    callable,
    input,
    open,
):
    HANDLERS[_kind] = made_plainly(_kind)
HANDLERS[functools.cache] = made_plainly(functools.cache)
_LRU: Any = functools._lru_cache_wrapper
HANDLERS[_LRU] = made_plainly(_LRU)  # what `lru_cache(maxsize)` makes when it is given the function


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


if not hasattr(typing.NewType.__call__, "__code__"):  # a C function, which is given the value alone
    HANDLERS[typing.NewType.__call__] = lambda run, args, ts, kw, kts: (args[0], ts[0])


@handle(builtins.divmod)
def _divmod(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    order = [(0, "__divmod__"), (1, "__rdivmod__")]
    if len(args) == 2 and type(args[0]) is not type(args[1]) and isinstance(args[1], type(args[0])):
        order.reverse()  # a subclass is asked first
    for me, name in order if len(args) == 2 else ():
        method = getattr(type(args[me]), name, None)
        if hasattr(method, "__code__"):
            value, t = run.special(method, name, (args[me], args[1 - me]), (ts[me], ts[1 - me]))
            if value is not NotImplemented:
                return value, t
            kind = float if isinstance(args[me], float) else int if isinstance(args[me], int) else None
            if kind is not None:  # a number that leaves it to its builtin class
                args = tuple(kind.__pos__(a) if i == me else a for i, a in enumerate(args))
    return _through(run, divmod, "", args, ts)


@handle(builtins.pow)
def _pow(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Pair:
    if kw:
        given = dict(zip(("base", "exp", "mod"), zip(args, ts, strict=True), strict=False))
        named = {name: (value, kts.get(name)) for name, value in kw.items()}
        both = given | named
        if len(given) + len(named) == 2 and both.keys() == {"base", "exp"}:
            args, ts = zip(both["base"], both["exp"], strict=True)
            kw = {}
    if len(args) == 2 and not kw:
        return run.binary("Pow", args[0], ts[0], args[1], ts[1])  # type: ignore[no-any-return]
    return pow(*args, **kw), None


def _rounding(f: Any, name: str) -> Any:
    return lambda run, args, ts, kw, kts: _through(run, f, name, args, ts)


for _f in (math.floor, math.ceil, math.trunc):
    HANDLERS[_f] = _rounding(_f, f"__{_f.__name__}__")


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
