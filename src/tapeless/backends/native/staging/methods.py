"""Methods of lists, dicts, tuples and numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tapeless.backends.native.nest import F64, I64, apply, const
from tapeless.backends.native.staging import alternatives, iteration_programs
from tapeless.backends.native.staging.base import Text
from tapeless.backends.native.staging.callables import Method
from tapeless.backends.native.staging.growing_methods import METHODS as GROWING
from tapeless.backends.native.staging.tables import copied_kind, popitem
from tapeless.backends.native.staging.values import (
    Bound,
    ComplexNumber,
    Growing,
    Mapping,
    Number,
    RandomNumbers,
    Sequence,
    Static,
    Value,
)

Run = Callable[..., Value]
#: A dict with an integer of run time as the key has so many keys at most.
MOST_KEYS = 16
NONE = Static(None)
LAST = Static(-1)
NIL = Static(0)
NO = Static(False)


def method_of(s: Any, owner: Value, name: str, own: bool = True) -> Value | None:
    """A method of a builtin class, bound; None if there is none here, or (`own`) its class has another."""
    table: dict[str, Run] = {}
    if isinstance(owner, Sequence):
        if s.python_method(owner, name) is not None:
            return None
        table = LIST if owner.kind is list else NAMED if hasattr(owner.kind, "_fields") else TUPLE
        if name not in table and owner.kind is not list:
            table = TUPLE
    elif isinstance(owner, Growing):
        table = GROWING
    elif isinstance(owner, RandomNumbers):
        return Bound(Static(Method(name, partial(draw, name))), owner)
    elif isinstance(owner, Mapping):
        if own and s.python_method(owner, name) is not None:
            return None
        table = DICT
    elif isinstance(owner, Number) and owner.kind in (int, float, bool):
        table = NUMBER
    elif isinstance(owner, ComplexNumber) and owner.kind is complex:
        table = COMPLEX
    elif isinstance(owner, Static) and isinstance(
        owner.obj, (str, bytes, int, float, complex, tuple, range, frozenset)
    ):
        held = getattr(type(owner.obj), name, None)  # None: an attribute of an object of a subclass
        if callable(getattr(owner.obj, name, None)) and not isinstance(held, (property, type(None))):
            if isinstance(owner.obj, tuple) and name in TUPLE:
                table = TUPLE
            elif isinstance(owner.obj, str) and name == "join":
                table = {"join": join}
            elif isinstance(owner.obj, str) and name == "format":
                table = {"format": format_}
            else:
                return Bound(Static(Method(name, partial(known_method, name))), owner)
    run = table.get(name)
    if run is None:
        return None
    return Bound(Static(Method(name, lambda s, v, a, k: run(s, v, *a, **k))), owner)


def draw(name: str, s: Any, owner: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    from tapeless.backends.native.staging.random_numbers import method

    return method(s, owner, name, args, kwargs)


def join(s: Any, owner: Any, items: Value) -> Value:
    from tapeless.backends.native.staging.iterables import Generator

    if isinstance(items, Generator):
        items = s.call(Static(iteration_programs.all_of), [items], {})
    if isinstance(items, Growing):
        if not alternatives.are_texts(items.spec):
            s.refuse("something that may be no text is joined", "make a text of it with str()")
        return s.text(("joined", owner.obj), [items])  # type: ignore[no-any-return]
    parts = s.listed(items)
    if any(isinstance(v, Text) for v in parts):
        if not all(isinstance(v, Text) or isinstance(v, Static) and isinstance(v.obj, str) for v in parts):
            s.refuse("something that may be no text is joined", "make a text of it with str()")
        return s.text(("join", owner.obj), list(parts))  # type: ignore[no-any-return]
    return s.evaluate(owner.obj.join, Sequence(parts, list))  # type: ignore[no-any-return]


def format_(s: Any, owner: Any, *values: Value, **named: Value) -> Value:
    return s.text(("format", owner.obj, tuple(named)), [*values, *named.values()])  # type: ignore[no-any-return]


def known_method(name: str, s: Any, owner: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """A method of an object that is known, called now."""
    return s.evaluate(getattr(owner.obj, name), *args, **kwargs)  # type: ignore[no-any-return]


# ---- lists


def append(s: Any, owner: Sequence, item: Value) -> Value:
    s.heap.write(owner, [*owner.items, s.stored(item)])
    return NONE


def extend(s: Any, owner: Sequence, items: Value) -> Value:
    s.heap.write(owner, [*owner.items, *s.listed(items)])
    return NONE


def insert(s: Any, owner: Sequence, at: Value, item: Value) -> Value:
    items = list(owner.items)
    items.insert(s.known(at), s.stored(item))
    s.heap.write(owner, items)
    return NONE


def pop(s: Any, owner: Sequence, at: Value = LAST) -> Value:
    items = list(owner.items)
    if not items:
        s.throw(IndexError, "pop from empty list")
        return NONE
    try:
        found = items.pop(s.known(at))
    except IndexError:
        s.throw(IndexError, "pop index out of range")
        return NONE
    s.heap.write(owner, items)
    return found


def remove(s: Any, owner: Sequence, item: Value) -> Value:
    for k, other in enumerate(owner.items):
        if other is item or s.known(s.compare("==", item, other)):
            s.heap.write(owner, owner.items[:k] + owner.items[k + 1 :])
            return NONE
    s.throw(ValueError, "list.remove(x): x not in list")
    return NONE


def index(s: Any, owner: Sequence, item: Value) -> Value:
    for k, other in enumerate(s.listed(owner)):
        if other is item or s.known(s.compare("==", item, other)):
            return Static(k)
    kind = "list" if isinstance(owner, Sequence) and owner.kind is list else "tuple"
    s.throw(ValueError, f"{'x' if kind == 'list' else 'tuple.index(x): x'} not in {kind}")
    return NONE


def count(s: Any, owner: Sequence, item: Value) -> Value:
    total: Value = NIL
    for other in s.listed(owner):
        same = Static(True) if other is item else s.compare("==", item, other)
        total = s.binary("Add", total, same)
    return total


def reverse(s: Any, owner: Sequence) -> Value:
    s.heap.write(owner, owner.items[::-1])
    return NONE


def clear(s: Any, owner: Sequence) -> Value:
    s.heap.write(owner, [])
    return NONE


def copy_list(s: Any, owner: Sequence) -> Value:
    return s.heap.born(Sequence(list(owner.items), list))  # type: ignore[no-any-return]


def sort(s: Any, owner: Sequence, *, key: Value = NONE, reverse: Value = NO) -> Value:
    s.heap.write(owner, s.sorted_items(list(owner.items), key, reverse))
    return NONE


LIST: dict[str, Run] = {
    "append": append, "extend": extend, "insert": insert, "pop": pop, "remove": remove, "index": index,
    "count": count, "reverse": reverse, "clear": clear, "copy": copy_list, "sort": sort,
}  # fmt: skip


# ---- tuples


def replace(s: Any, owner: Sequence, /, **changes: Value) -> Value:
    fields = owner.kind._fields  # type: ignore[attr-defined]
    table = dict(zip(fields, owner.items, strict=True)) | changes
    if len(table) != len(fields):
        s.throw(ValueError, f"Got unexpected field names: {[k for k in changes if k not in fields]!r}")
    return Sequence(list(table.values()), owner.kind)


def asdict(s: Any, owner: Sequence) -> Value:
    fields = owner.kind._fields  # type: ignore[attr-defined]
    return s.heap.born(Mapping(dict(zip(fields, owner.items, strict=True))))  # type: ignore[no-any-return]


TUPLE: dict[str, Run] = {"index": index, "count": count}
NAMED: dict[str, Run] = {"_replace": replace, "_asdict": asdict, **TUPLE}


# ---- dicts


def get(s: Any, owner: Mapping, key: Value, default: Value = NONE) -> Value:
    def found(k: Value) -> Value:
        if s.is_known(k):
            return s.getitem(owner, k) if s.known(k) in owner.items else default
        return by_number(s, owner, k, lambda: default)

    return s.resolved(found, key)  # type: ignore[no-any-return]


def by_number(s: Any, owner: Mapping, key: Value, otherwise: Callable[[], Value]) -> Value:
    """An item by an integer of run time: one of a few."""
    few = len(owner.items) <= MOST_KEYS and all(type(k) is int for k in owner.items)
    if not (few and isinstance(key, Number) and key.expr.type == I64):
        s.known(key, "use a key that is known")
    rest = list(owner.items)

    def chosen(at: int) -> Value:
        if at == len(rest):
            return otherwise()
        here = s.bind(apply("eq", s.as_expr(key), const(rest[at], I64)))
        one = Static(rest[at])
        return s.choose(here, lambda: s.getitem(owner, one), lambda: chosen(at + 1))  # type: ignore[no-any-return]

    return chosen(0)


def entries(how: str) -> Run:
    def run(s: Any, owner: Mapping) -> Value:
        from tapeless.backends.native.staging.iterables import Entries

        return Entries(owner, how)

    return run


def update(s: Any, owner: Mapping, other: Value | None = None, /, **more: Value) -> Value:
    table = dict(owner.items)
    if isinstance(other, Sequence):
        for pair in other.items:
            k, v = s.listed(pair)
            table[s.known(k)] = v
    elif other is not None:
        table.update(s.table(other))
    s.heap.write(owner, {**table, **more})
    return NONE


def setdefault(s: Any, owner: Mapping, key: Value, default: Value = NONE) -> Value:
    def given(one: Value) -> Value:
        k = s.known(one)
        if k not in owner.items:
            s.heap.write(owner, {**owner.items, k: s.stored(default)})
        return owner.items[k]

    return s.by_key(key, given)  # type: ignore[no-any-return]


def pop_key(s: Any, owner: Mapping, key: Value, default: Value | None = None) -> Value:
    k = s.known(key)
    if k not in owner.items:
        if default is None:
            s.throw(KeyError, k)
            return NONE
        return default
    table = dict(owner.items)
    found: Value = table.pop(k)
    s.heap.write(owner, table)
    return found


def copy_dict(s: Any, owner: Mapping) -> Value:
    return s.heap.born(Mapping(dict(owner.items), copied_kind(owner.kind)))  # type: ignore[no-any-return]


def clear_dict(s: Any, owner: Mapping) -> Value:
    s.heap.write(owner, {})
    return NONE


DICT: dict[str, Run] = {
    "get": get, "keys": entries("keys"), "values": entries("values"), "items": entries("items"),
    "update": update, "setdefault": setdefault,
    "pop": pop_key, "copy": copy_dict, "clear": clear_dict, "popitem": popitem,
}  # fmt: skip


# ---- numbers


def conjugate(s: Any, owner: Number) -> Value:
    return owner


def is_integer(s: Any, owner: Number) -> Value:
    e = s.bind(s.convert(owner.expr, F64))
    return Number(apply("all", apply("isfinite", e), apply("eq", apply("floor", e), e)), bool)


def conjugate_complex(s: Any, owner: ComplexNumber) -> Value:
    return ComplexNumber(owner.real, apply("neg", owner.imag), complex)


NUMBER: dict[str, Run] = {"conjugate": conjugate, "is_integer": is_integer}
COMPLEX: dict[str, Run] = {"conjugate": conjugate_complex}
