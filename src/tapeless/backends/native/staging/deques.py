"""`collections.deque`: an object that has a list, and the length that this may have at most."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from tapeless.backends.native.nest import ZERO, Expr, apply, const
from tapeless.backends.native.staging import growing
from tapeless.backends.native.staging.builtin_table import BUILTINS, NONE, lowers
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.growing_items import move
from tapeless.backends.native.staging.values import Growing, Instance, Number, Sequence, Static, Value

#: The field with the list; no program can name it.
ITEMS = " items"
EMPTY = "pop from an empty deque"
BEYOND = "deque index out of range"
#: What `remove` says of an item that is not there, in this Python, which may name it.
REMOVED = "deque.remove(x): x not in deque"
try:
    deque[int]().remove(0)
except ValueError as _error:
    NAMED = str(_error) != REMOVED


def is_deque(value: object) -> bool:
    return isinstance(value, Instance) and value.cls is deque


def as_list(value: Value) -> Value:
    """What NumPy sees of a deque."""
    return value.fields[ITEMS] if isinstance(value, Instance) and value.cls is deque else value


def listing(d: Value) -> Any:
    assert isinstance(d, Instance)
    return d.fields[ITEMS]


def most(d: Value) -> int | None:
    """The length that a deque may have at most."""
    assert isinstance(d, Instance)
    held = d.fields["maxlen"]
    assert isinstance(held, Static)
    return held.obj  # type: ignore[no-any-return]


def construct(s: Any, args: list[Value], kwargs: dict[str, Value], op: Any) -> Value:
    given = dict(zip(("iterable", "maxlen"), args, strict=False)) | kwargs
    limit = s.known(given.get("maxlen", NONE), "the maxlen of a deque must be known")
    if limit is not None and limit < 0:
        s.throw(ValueError, "maxlen must be non-negative")
        return NONE
    first = given.get("iterable")
    values = [] if first is None else list(s.listed(first))
    return new(s, values, limit, (s.frames[-1].key, id(op)))


def new(s: Any, values: list[Value], limit: int | None, site: Any = None) -> Value:
    kept = values if limit is None else values[len(values) - limit :] if limit < len(values) else values
    items = growing.born(s, site, kept) if site is not None else s.heap.born(Sequence(kept, list))
    return s.heap.born(Instance(deque, {ITEMS: items, "maxlen": Static(limit)}))  # type: ignore[no-any-return]


def length(s: Any, d: Value) -> Expr:
    items = listing(d)
    return items.length.expr if isinstance(items, Growing) else const(len(items.items))


def there(s: Any, d: Value) -> bool:
    """Sees to it that there is an item; False if the program has raised."""
    s.check(apply("gt", length(s, d), ZERO), IndexError, EMPTY)
    return bool(s.alive)


@lowers(deque.__len__)
def len_(s: Any, d: Value) -> Value:
    items = listing(d)
    return items.length if isinstance(items, Growing) else Static(len(items.items))


@lowers(deque.__iter__)
def iter_(s: Any, d: Value) -> Value:
    items = listing(d)
    if isinstance(items, Growing):
        return growing.iteration(s, items)
    before = list(items.items)

    def live() -> Iterator[Value]:
        for k in range(len(before)):
            if listing(d) is not items or len(items.items) != len(before):
                s.refuse("a deque changes its length while a loop goes through it", "loop over a copy")
            yield items.items[k]

    return Iteration(before, more=live)


@lowers(deque.__contains__)
def contains(s: Any, d: Value, item: Value) -> Value:
    return s.contains(listing(d), item)  # type: ignore[no-any-return]


# ---- items by their index


def place(s: Any, d: Value, index: Value) -> Value | None:
    """An index in range, from the start; None if the program has raised."""
    items = listing(d)
    if isinstance(items, Growing):
        return Number(growing.place(s, items, index, BEYOND), int)
    if s.is_number(index) and not isinstance(index, Static):
        return Number(s.position(s.as_expr(index), const(len(items.items)), BEYOND), int)
    k, n = s.known(index), len(items.items)
    if isinstance(k, slice):
        s.throw(TypeError, "sequence index must be integer, not 'slice'")
    elif not -n <= k < n:
        s.throw(IndexError, BEYOND)
    else:
        return Static(k % n)
    return None


@lowers(deque.__getitem__)
def getitem(s: Any, d: Value, index: Value) -> Value:
    at = place(s, d, index)
    return NONE if at is None else s.getitem(listing(d), at)


@lowers(deque.__setitem__)
def setitem(s: Any, d: Value, index: Value, value: Value) -> Value:
    at = place(s, d, index)
    if at is not None:
        s.setitem(listing(d), at, value)
    return NONE


@lowers(deque.__delitem__)
def delitem(s: Any, d: Value, index: Value) -> Value:
    at = place(s, d, index)
    if at is not None:
        s.call_method(listing(d), "pop", [at], {})
    return NONE


# ---- both ends


def push(s: Any, d: Value, value: Value, drop: int, put: Any) -> None:
    """Put a value in; of a deque that is full already, the item at one end goes first."""
    limit = most(d)
    if limit == 0:
        return
    if limit is not None:
        full = apply("ge", length(s, d), const(limit))
        s.fork(full, lambda: s.call_method(listing(d), "pop", [Static(drop)], {}), lambda: None)
    put()


@lowers(deque.append)
def append(s: Any, d: Value, value: Value) -> Value:
    push(s, d, value, 0, lambda: s.call_method(listing(d), "append", [value], {}))
    return NONE


@lowers(deque.appendleft)
def appendleft(s: Any, d: Value, value: Value) -> Value:
    push(s, d, value, -1, lambda: s.call_method(listing(d), "insert", [Static(0), value], {}))
    return NONE


def values_of(s: Any, values: Value) -> list[Value]:
    return list(s.listed(as_list(values)))


@lowers(deque.extend)
def extend(s: Any, d: Value, values: Value) -> Value:
    items, more = listing(d), as_list(values)
    if isinstance(items, Growing) and most(d) is None and isinstance(more, Growing) and more is not items:
        return s.call_method(items, "extend", [more], {})  # type: ignore[no-any-return]
    for v in values_of(s, values):
        append(s, d, v)
    return NONE


@lowers(deque.extendleft)
def extendleft(s: Any, d: Value, values: Value) -> Value:
    for v in values_of(s, values):
        appendleft(s, d, v)
    return NONE


@lowers(deque.pop)
def pop(s: Any, d: Value) -> Value:
    return s.call_method(listing(d), "pop", [], {}) if there(s, d) else NONE


@lowers(deque.popleft)
def popleft(s: Any, d: Value) -> Value:
    return s.call_method(listing(d), "pop", [Static(0)], {}) if there(s, d) else NONE


# ---- the whole


@lowers(deque.rotate)
def rotate(s: Any, d: Value, n: Value | None = None) -> Value:
    items, by = listing(d), n or Static(1)
    if isinstance(items, Sequence):
        size = len(items.items)
        if size and isinstance(by, Number) and not s.is_known(by):
            back = s.bind(s.as_expr(by, "i64"))
            places = [s.bind(apply("mod", apply("sub", const(i), back), const(size))) for i in range(size)]
            s.heap.write(items, [s.sequence_item(items, Number(p, int)) for p in places])
        elif size:
            k = s.known(by) % size
            s.heap.write(items, items.items[size - k :] + items.items[: size - k])
        return NONE
    count, k = items.length.expr, s.bind(s.as_expr(by, "i64"))
    turned = growing.taken(s, items, lambda i: apply("mod", apply("sub", i, k), count), count)
    s.heap.touch(items)
    growing.before_write(s, items)
    with s.loops((count,)) as (i,):
        move(s, items, i, turned, i)
    return NONE


@lowers(deque.insert)
def insert(s: Any, d: Value, index: Value, value: Value) -> Value:
    limit = most(d)
    if limit is not None:
        s.check(apply("lt", length(s, d), const(limit)), IndexError, "deque already at its maximum size")
    if s.alive:
        s.call_method(listing(d), "insert", [index, value], {})
    return NONE


@lowers(deque.remove)
def remove(s: Any, d: Value, value: Value) -> Value:
    items = listing(d)
    for k, other in enumerate(s.listed(items)):
        if other is value or s.known(s.compare("==", other, value)):
            s.call_method(items, "pop", [Static(k)], {})
            return NONE
    s.throw(ValueError, s.text(("f", ((114, False), " is not in deque")), [value]) if NAMED else REMOVED)
    return NONE


@lowers(deque.index)
def index(s: Any, d: Value, value: Value) -> Value:
    for k, other in enumerate(s.listed(listing(d))):
        if other is value or s.known(s.compare("==", other, value)):
            return Static(k)
    s.throw(ValueError, s.text(("f", ((114, False), " is not in deque")), [value]))
    return NONE


def through(name: str) -> Any:
    """A method that lists have, too."""
    return lambda s, d, *args: s.call_method(listing(d), name, list(args), {})


for _name in ("reverse", "clear", "count"):
    BUILTINS[getattr(deque, _name)] = through(_name)


@lowers(deque.copy, deque.__copy__)
def copied(s: Any, d: Value) -> Value:
    items = listing(d)
    if isinstance(items, Growing):
        fields = {ITEMS: growing.copied(s, items), "maxlen": Static(most(d))}
        return s.heap.born(Instance(deque, fields))  # type: ignore[no-any-return]
    return new(s, list(items.items), most(d))


@lowers(deque.__add__)
def add(s: Any, d: Value, other: Value) -> Value:
    if not is_deque(other):
        name = getattr(s.class_of(other), "__name__", "object")
        s.throw(TypeError, f'can only concatenate deque (not "{name}") to deque')
        return NONE
    made = copied(s, d)
    extend(s, made, other)
    return made


@lowers(deque.__iadd__)
def iadd(s: Any, d: Value, other: Value) -> Value:
    extend(s, d, other)
    return d


for _method in (deque.__mul__, deque.__rmul__):
    BUILTINS[_method] = lambda s, d, times: multiplied(s, d, times)


def multiplied(s: Any, d: Value, times: Value) -> Value:
    return new(s, list(s.listed(listing(d))) * int(s.known(times)), most(d))


def comparison(op: str) -> Any:
    def run(s: Any, a: Value, b: Value) -> Value:
        if not is_deque(b):
            return Static(NotImplemented)
        return s.compare_sequences(op, s.listed(listing(a)), s.listed(listing(b)))  # type: ignore[no-any-return]

    return run


for _op, _dunder in {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}.items():
    BUILTINS[getattr(deque, f"__{_dunder}__")] = comparison(_op)
