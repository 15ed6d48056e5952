"""Dicts of other classes: OrderedDict, defaultdict, Counter, and those of the program.

What a defaultdict calls for a key that is missing belongs to its kind, a class made for that: whoever copies
a dict copies its kind.
"""

from __future__ import annotations

import collections
from collections import OrderedDict, defaultdict
from typing import Any

from tapeless.backends.native.staging.builtin_table import BUILTINS, NONE, lowers
from tapeless.backends.native.staging.joins import Conflict, Maybe
from tapeless.backends.native.staging.twins import Later
from tapeless.backends.native.staging.values import Closure, Mapping, Sequence, Static, Value

YES = Static(True)


def factory_of(kind: type) -> Value | None:
    """What a defaultdict of this kind calls for a missing key."""
    return kind.__dict__.get("factory")


def class_of(kind: type) -> type:
    return defaultdict if factory_of(kind) is not None else kind


def kind_with(s: Any, factory: Value) -> type:
    """The kind of the dicts with this factory."""
    key: Any = id(factory)
    if isinstance(factory, Static):
        key = id(factory.obj)
    elif isinstance(factory, Closure) and not (factory.defaults or factory.kwdefaults):
        key = (factory.function.__code__, *map(id, factory.cells))
    if key not in s.factories:
        s.factories[key] = (type("defaultdict", (defaultdict,), {"factory": factory}), factory)
    return s.factories[key][0]  # type: ignore[no-any-return]


def copied_kind(kind: type) -> type:
    """The class of a dict that a method, or `|`, makes of one of this kind."""
    return kind if issubclass(kind, OrderedDict) or factory_of(kind) is not None else dict


def kind_of_union(a: type, b: type) -> type:
    """The class of `a | b`: a subclass with a `__ror__` of its own is asked first."""
    ours, theirs = class_of(a), class_of(b)
    first = issubclass(theirs, ours) and theirs.__ror__ is not ours.__ror__
    return copied_kind(b if first else a)


def construct(s: Any, cls: type, args: list[Value], kwargs: dict[str, Value], op: Any) -> Value | None:
    """An object of a subclass of dict; None if its `__new__` or `__init__` is written in C."""
    if cls is defaultdict:
        factory, args = (args[0] if args else NONE), args[1:]
        called = not (isinstance(factory, Static) and factory.obj is None)
        if called and not s.known(s.call(Static(callable), [factory], {})):
            s.throw(TypeError, "first argument must be callable or None")
            return NONE
        return filled(s, kind_with(s, factory), args, kwargs)
    if cls.__new__ is not dict.__new__ or issubclass(cls, defaultdict):
        return None
    init = cls.__init__
    if init in (dict.__init__, OrderedDict.__init__):
        return filled(s, cls, args, kwargs)
    s.guard_order(cls)
    if s.python_method(Mapping({}, cls), "__init__") is None:
        return None
    made: Value = s.heap.born(Mapping({}, cls))
    s.call_object(init, [made, *args], kwargs, op)
    return made


def filled(s: Any, kind: type, args: list[Value], kwargs: dict[str, Value]) -> Value:
    if s.python_method(Mapping({}, kind), "__setitem__") is not None and issubclass(kind, OrderedDict):
        s.refuse(f"{kind.__name__} has an __setitem__ of its own", "fill it in a loop")
    table = s.call(Static(dict), args, kwargs)
    return s.heap.born(Mapping(dict(table.items), kind)) if s.alive else NONE


@lowers(dict.__init__, OrderedDict.__init__)
def init(s: Any, d: Mapping, *args: Value, **kwargs: Value) -> Value:
    table = s.call(Static(dict), list(args), kwargs)
    if s.alive:
        s.heap.write(d, {**d.items, **table.items})
    return NONE


def missing(s: Any, d: Mapping, key: Any) -> Value:
    """What a dict gives for a key that it does not have."""
    factory = factory_of(d.kind)
    if factory is not None and not (isinstance(factory, Static) and factory.obj is None):
        made = s.stored(s.call(factory, [], {}))
        if s.alive:
            s.heap.write(d, {**d.items, key: made})
        return made  # type: ignore[no-any-return]
    method = s.python_method(d, "__missing__")
    if method is not None:
        return s.call_object(method, [d, s.constant(key)], {})  # type: ignore[no-any-return]
    s.throw(KeyError, key)
    return NONE


def item(s: Any, d: Mapping, key: Any) -> Value:
    held = d.items.get(key)
    if held is None:
        return missing(s, d, key)
    if isinstance(held, Later):
        held = s.stored(s.call(held.make, [], {}))
        if s.alive:
            s.heap.write(d, {**d.items, key: held})
        return held  # type: ignore[no-any-return]
    unsure = isinstance(held, Maybe) and held.otherwise is None
    if unsure and (factory_of(d.kind) is not None or s.python_method(d, "__missing__") is not None):
        assert isinstance(held, Maybe)
        there = held.value

        def absent() -> Value:
            s.heap.touch(d)
            del d.items[key]
            return missing(s, d, key)

        made = s.choose(held.bound, lambda: there, absent)
        if s.alive and factory_of(d.kind) is not None:
            s.heap.write(d, {**d.items, key: made})
        return made  # type: ignore[no-any-return]
    if unsure:
        assert isinstance(held, Maybe)
        s.check(held.bound, KeyError, key)
        return s.present(held.value, f"the item {key!r}", str(key))  # type: ignore[no-any-return]
    if isinstance(held, (Maybe, Conflict)):
        return s.present(held, f"the item {key!r}", str(key), KeyError)  # type: ignore[no-any-return]
    return held


def plain(kind: type, items: dict[Any, Any]) -> Any:
    """A dict of a kind, with these items, by no method of the program."""
    factory = factory_of(kind)
    made: Any = dict.__new__(kind) if factory is None else defaultdict(getattr(factory, "obj", None))
    if isinstance(made, OrderedDict):
        for k, v in items.items():
            OrderedDict.__setitem__(made, k, v)
    else:
        dict.update(made, items)
    return made


@lowers(OrderedDict.move_to_end)
def move_to_end(s: Any, d: Mapping, key: Value, last: Value = YES) -> Value:
    k, rest = s.known(key), dict(d.items)
    if k not in rest:
        s.throw(KeyError, k)
        return NONE
    held = {k: rest.pop(k)}
    s.heap.write(d, {**rest, **held} if s.known(last) else {**held, **rest})
    return NONE


@lowers(dict.popitem, OrderedDict.popitem)
def popitem(s: Any, d: Mapping, last: Value = YES) -> Value:
    if not d.items:
        message = "popitem(): dictionary is empty"
        s.throw(KeyError, "dictionary is empty" if issubclass(d.kind, OrderedDict) else message)
        return NONE
    key = list(d.items)[-1 if s.known(last) else 0]
    held = s.getitem(d, s.constant(key))
    s.heap.write(d, {k: v for k, v in d.items.items() if k != key})
    return Sequence([s.constant(key), held], tuple)


def fromkeys(kind: type) -> Any:
    def run(s: Any, keys: Value, value: Value = NONE) -> Value:
        held = s.stored(value)
        return s.heap.born(Mapping({s.known(k): held for k in s.listed(keys)}, kind))  # type: ignore[no-any-return]

    return run


for _kind in (dict, OrderedDict):
    BUILTINS[_kind.fromkeys] = fromkeys(_kind)


@lowers(collections._count_elements)  # type: ignore[attr-defined]
def count(s: Any, d: Mapping, items: Value) -> Value:
    """What Counter does with what it counts."""
    for value in s.listed(items):
        key = s.known(value)
        before = d.items.get(key, Static(0))
        s.setitem(d, s.constant(key), s.binary("Add", before, Static(1)))
    return NONE
