"""Lists whose length is known at run time only: their items in storage that grows.

A list is made growing where it is born, when staging has found that a loop of run time appends to it, or that
paths meet that leave it with several lengths.  Staging then begins again (`NeedsGrowing`).  What cannot be
done with such a list is refused, and staging begins once more without it: the loops are unrolled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tapeless.backends.native.nest import (
    BOOL,
    F32,
    F64,
    ONE,
    ZERO,
    Alloc,
    Array,
    Assign,
    Const,
    Expr,
    For,
    Grow,
    Load,
    Ref,
    Store,
    apply,
    const,
)
from tapeless.backends.native.staging.base import TYPES
from tapeless.backends.native.staging.carrying import Spec
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.joins import join_kinds
from tapeless.backends.native.staging.mixed import classes, fits, in_order, mixed, odd, widened
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Growing,
    Number,
    Sequence,
    Slice,
    Static,
    Value,
    View,
)

#: Scalar type -> dtype of the storage of such items.
STORED = {F64: "float64", F32: "float32", BOOL: "bool"}
BEYOND = "list index out of range"


class NeedsGrowing(Exception):
    """Staging has to begin again with the list made at a site as one that grows."""

    def __init__(self, site: Any, spec: Any) -> None:
        self.site, self.spec = site, spec
        super().__init__("a list grows")


# ---- what items are


def spec_of(s: Any, value: Value | None) -> Spec | None:
    """How an item is stored; None if it cannot be."""
    if s.is_number(value):
        assert value is not None
        kind = s.kind_of(value)
        return Spec("number", kind, names=in_order(classes(s, value) - {kind}))
    if isinstance(value, Sequence) and value.kind is not list and value.items:
        parts = [spec_of(s, v) for v in value.items]
        if all(p is not None for p in parts):
            return Spec("sequence", value.kind, tuple(p for p in parts if p is not None))
    return None


def joined(a: Spec | None, b: Spec | None) -> Spec | None:
    """The spec of items of both kinds."""
    if a is None or b is None or a.how != b.how:
        return None
    if a.how == "number":
        found = {a.kind, b.kind, *a.names, *b.names}
        kind = join_kinds(list(found))
        return None if kind is None else Spec("number", kind, names=in_order(found - {kind}))
    if a.kind is not b.kind or len(a.parts) != len(b.parts):
        return None
    parts = [joined(x, y) for x, y in zip(a.parts, b.parts, strict=True)]
    if any(p is None for p in parts):
        return None
    return Spec("sequence", a.kind, tuple(p for p in parts if p is not None))


def spec_of_all(s: Any, values: Iterable[Value | None]) -> Spec | None:
    specs = [spec_of(s, v) for v in values]
    if not specs:
        return None
    made = specs[0]
    for other in specs[1:]:
        made = joined(made, other)
    return made


def leaves(spec: Spec) -> list[Spec]:
    """The specs of the numbers of an item, in order."""
    return [spec] if spec.how == "number" else [leaf for p in spec.parts for leaf in leaves(p)]


def kinds_of(spec: Spec) -> list[type]:
    """The classes of what is stored of an item: of a number of several classes also whether it is odd."""
    return [k for leaf in leaves(spec) for k in ([leaf.kind, bool] if leaf.names else [leaf.kind])]


def is_mixed(spec: Spec) -> bool:
    return any(leaf.names for leaf in leaves(spec))


def numbers(value: Any) -> list[Value]:
    """The numbers of an item, in order."""
    return [x for v in value.items for x in numbers(v)] if isinstance(value, Sequence) else [value]


def rebuilt(spec: Spec, parts: list[Number]) -> Value:
    """An item from what is stored of it, which is taken from the front."""
    if spec.how == "number":
        made = parts.pop(0)
        return mixed(made.expr, spec.kind, parts.pop(0).expr, spec.names) if spec.names else made
    return Sequence([rebuilt(p, parts) for p in spec.parts], spec.kind)


def stored(s: Any, spec: Spec, value: Value) -> list[Expr]:
    """What is stored of an item."""
    exprs = []
    for v, leaf in zip(numbers(value), leaves(spec), strict=True):
        fits(s, v, leaf.kind)
        exprs.append(s.bind(widened(s, v, TYPES[leaf.kind])))
        if leaf.names:
            exprs.append(s.bind(odd(s, v, leaf.kind)))
    return exprs


# ---- making and changing


def born(s: Any, site: Any, items: list[Value]) -> Value:
    """A list of the program, made here."""
    spec = s.growing.get(site)
    if spec is None:
        made: Value = s.heap.born(Sequence(items, list, site))
        return made
    owner = new(s, spec, ZERO, site)
    for item in items:
        push(s, owner, item)
    return owner


def new(s: Any, spec: Spec, length: Expr, site: Any) -> Growing:
    """A list with room for so many items, not yet stored."""
    s.grew.add(site)
    columns = []
    for kind in kinds_of(spec):
        column = Array("row", STORED.get(TYPES[kind], "int64"), 1)
        s.emit(Alloc(column, (length,)))
        columns.append(column)
    made: Growing = s.heap.born(Growing(tuple(columns), spec, Number(length, int), site, s.differentiated))
    return made


def writable(s: Any, owner: Growing) -> None:
    if s.differentiated != owner.depth:
        s.refuse("a list that grows is changed by a function whose derivative is taken", "return the items")


def fitting(s: Any, owner: Growing, value: Value) -> list[Expr]:
    """What the columns store of an item."""
    spec = joined(owner.spec, spec_of(s, value))
    if spec is None:
        s.refuse("items of several kinds in a list of a length known at run time only", "use several lists")
    if spec != owner.spec:
        raise NeedsGrowing(owner.site, spec)
    return stored(s, owner.spec, value)


def push(s: Any, owner: Growing, value: Value) -> None:
    writable(s, owner)
    exprs = fitting(s, owner, value)
    at = s.bind(owner.length.expr)
    size = s.bind(apply("add", at, ONE), "length")
    for column, e in zip(owner.columns, exprs, strict=True):
        s.emit(Grow(column, size))
        s.emit(Store(column, (at,), e))
    resize(s, owner, size)


def resize(s: Any, owner: Growing, size: Expr) -> None:
    s.heap.touch(owner)
    owner.length = Number(size, int)


def item(s: Any, owner: Growing, at: Expr) -> Value:
    """The item at an index in range."""
    kinds = zip(owner.columns, kinds_of(owner.spec), strict=True)
    return rebuilt(owner.spec, [Number(s.bind(Load(column, (at,))), kind) for column, kind in kinds])


def place(s: Any, owner: Growing, index: Value, message: str = BEYOND) -> Expr:
    """An index of an item, checked, counted from the start."""
    if not s.is_number(index) or TYPES[s.kind_of(index)] != "i64":
        s.refuse("an item of a list that grows, by an index that is no integer", "use an integer")
    e = s.as_expr(index)
    length = owner.length.expr
    if isinstance(e, Const) and e.value < 0:
        s.check(apply("ge", length, const(-e.value)), IndexError, message)
        return s.bind(apply("add", length, e))  # type: ignore[no-any-return]
    return s.position(e, length, message)  # type: ignore[no-any-return]


def getitem(s: Any, owner: Growing, index: Value) -> Value:
    if isinstance(index, Slice):
        return sliced(s, owner, index)
    return item(s, owner, place(s, owner, index))


def setitem(s: Any, owner: Growing, index: Value, value: Value) -> None:
    writable(s, owner)
    exprs = fitting(s, owner, value)
    at = s.bind(place(s, owner, index, "list assignment index out of range"))
    s.heap.touch(owner)
    for column, e in zip(owner.columns, exprs, strict=True):
        s.emit(Store(column, (at,), e))


def sliced(s: Any, owner: Growing, index: Slice) -> Value:
    """The items from one place to another, by steps of 1 or backwards as a whole."""
    length = owner.length.expr
    step = s.known(index.step)
    none = [isinstance(v, Static) and v.obj is None for v in (index.start, index.stop)]
    if all(none) and step == -1:
        return taken(s, owner, lambda i: apply("sub", apply("sub", length, ONE), i), length)
    if step not in (None, 1):
        s.refuse("a slice of a list that grows, by a step", "use an array")

    def bound(value: Value, otherwise: Expr) -> Expr:
        if isinstance(value, Static) and value.obj is None:
            return otherwise
        k = s.as_expr(value)
        if k.type != "i64":
            s.refuse("a slice of a list that grows, by what is no integer", "use integers")
        k = s.bind(k)
        back = apply("maximum", apply("add", length, k), ZERO)
        return apply("select", apply("lt", k, ZERO), back, apply("minimum", k, length))

    low, high = s.bind(bound(index.start, ZERO)), s.bind(bound(index.stop, length))
    count = s.bind(apply("maximum", apply("sub", high, low), ZERO))
    return taken(s, owner, lambda i: apply("add", low, i), count)


def taken(s: Any, owner: Growing, source: Any, count: Expr) -> Growing:
    """A new list of so many items of another."""
    made = new(s, owner.spec, count, owner.site)
    with s.loops((count,)) as (i,):
        for old, column in zip(owner.columns, made.columns, strict=True):
            s.emit(Store(column, (i,), Load(old, (source(i),))))
    return made


def copied(s: Any, owner: Growing) -> Growing:
    return taken(s, owner, lambda i: i, owner.length.expr)


def iteration(s: Any, owner: Growing) -> Iteration:
    length = s.bind(owner.length.expr, "n")

    def at(i: Expr) -> Value:
        if owner.length is not before:
            s.refuse("a list changes its length while a loop goes through it", "loop over a copy")
        return item(s, owner, i)

    before = owner.length
    return Iteration(None, length, at)


def to_array(s: Any, owner: Growing) -> ArrayValue:
    """A new array of the items: of numbers, or of tuples of numbers of one class."""
    from tapeless.backends.native.staging import storage
    from tapeless.backends.native.staging.elements import convert

    parts = leaves(owner.spec)
    nested = owner.spec.how == "sequence"
    if nested and any(p.how != "number" for p in owner.spec.parts):
        s.refuse("an array of nested tuples of a list that grows", "append to several lists")
    dtypes = [np.dtype(p.kind).name for p in parts]
    dtype = np.result_type(*dtypes).name
    length = owner.length.expr
    if nested or dtype != "float64":  # what an array of no items is
        s.replay_unless(apply("gt", length, ZERO))
    rest = list(owner.columns)
    chosen = []
    for p in parts:
        chosen.append(rest.pop(0))
        if p.names:
            keeps_dtype(s, p, rest.pop(0), length)
    made = storage.fresh(s, (length, const(len(parts))) if nested else (length,), dtype)
    with s.loops((length,)) as (i,):
        for k, (column, own) in enumerate(zip(chosen, dtypes, strict=True)):
            e = convert(Load(column, (i,)), own, dtype)
            storage.store(s, made, (i, const(k)) if nested else (i,), e)
    return made


def keeps_dtype(s: Any, spec: Spec, odds: Array, length: Expr) -> None:
    """The plain program runs where an array of items of several classes lacks the usual dtype."""
    own = np.dtype(spec.kind)
    if all(np.dtype(cls) == own for cls in spec.names):
        return
    # either one item of the usual class is enough, or all have to be
    enough = np.result_type(own, *map(np.dtype, spec.names)) == own
    usual = s.scalar(BOOL, "usual")
    s.emit(Assign(usual, const(not enough)))
    with s.loops((length,), independent=False) as (i,):
        here = s.bind(apply("not", Load(odds, (i,))))
        s.emit(Assign(usual, apply("any" if enough else "all", Ref(usual), here)))
    s.replay_unless(apply("any", Ref(usual), apply("eq", length, ZERO)))


def columns(s: Any, owner: Growing) -> list[View]:
    """The columns, as arrays of their own of the list's length."""
    from tapeless.backends.native.staging import storage

    made = []
    for column in owner.columns:
        view = storage.fresh(s, (owner.length.expr,), column.dtype)
        with s.loops((owner.length.expr,)) as (i,):
            storage.store(s, view, (i,), Load(column, (i,)))
        made.append(view)
    return made


def item_classes(spec: Spec) -> Any:
    return spec.kind if spec.how == "number" else (spec.kind, tuple(map(item_classes, spec.parts)))


def repeated(s: Any, items: list[Value], times: Expr, site: Any) -> Growing | None:
    """`[x] * n`."""
    spec = spec_of_all(s, items)
    if spec is None or len(items) != 1 or site in s.never_growing:
        return None
    spec = joined(s.growing.get(site, spec), spec)
    if spec is None:
        return None
    count = s.bind(apply("maximum", times, ZERO), "n")
    made = new(s, spec, count, site)
    exprs = fitting(s, made, items[0])
    with s.loops((count,)) as (i,):
        for column, e in zip(made.columns, exprs, strict=True):
            s.emit(Store(column, (i,), e))
    return made


# ---- methods


def append(s: Any, owner: Growing, value: Value) -> Value:
    push(s, owner, value)
    return Static(None)


def extend(s: Any, owner: Growing, values: Value) -> Value:
    if isinstance(values, Growing):
        return extend_by_rows(s, owner, values)
    for value in s.listed(values):
        push(s, owner, value)
    return Static(None)


def extend_by_rows(s: Any, owner: Growing, other: Growing) -> Value:
    writable(s, owner)
    spec = joined(owner.spec, other.spec)
    if spec is None:
        s.refuse("items of several kinds in a list of a length known at run time only", "use several lists")
    if spec != owner.spec:
        raise NeedsGrowing(owner.site, spec)
    start, count = s.bind(owner.length.expr), s.bind(other.length.expr)
    size = s.bind(apply("add", start, count), "length")
    for column in owner.columns:
        s.emit(Grow(column, size))
    with s.loops((count,), independent=False) as (i,):
        for column, e in zip(owner.columns, stored(s, owner.spec, item(s, other, i)), strict=True):
            s.emit(Store(column, (apply("add", start, i),), e))
    resize(s, owner, size)
    return Static(None)


def concatenated(s: Any, a: Value, b: Value) -> Value | None:
    """`a + b`, where one of them grows."""
    if not all(isinstance(v, Growing) or (isinstance(v, Sequence) and v.kind is list) for v in (a, b)):
        return None
    specs = [v.spec if isinstance(v, Growing) else spec_of_all(s, v.items) for v in (a, b)]  # type: ignore[attr-defined]
    empty = [isinstance(v, Sequence) and not v.items for v in (a, b)]
    spec = specs[1] if empty[0] else specs[0] if empty[1] else joined(*specs)
    if spec is None:
        return None
    owner = a if isinstance(a, Growing) else b
    made = new(s, spec, ZERO, owner.site)  # type: ignore[attr-defined]
    extend(s, made, a)
    extend(s, made, b)
    return made


def pop(s: Any, owner: Growing, index: Value | None = None) -> Value:
    writable(s, owner)
    length = owner.length.expr
    if index is None or (isinstance(index, Static) and index.obj == -1):
        message = "pop from empty list"
        s.check(apply("gt", length, ZERO), IndexError, message)
        last = s.bind(apply("sub", length, ONE), "length")
        found = item(s, owner, last)
        resize(s, owner, last)
        return found
    s.check(apply("gt", length, ZERO), IndexError, "pop from empty list")
    at = s.bind(place(s, owner, index, "pop index out of range"))
    found = item(s, owner, at)
    last = s.bind(apply("sub", length, ONE), "length")
    var = s.scalar("i64", "i")
    body = [Store(c, (Ref(var),), Load(c, (apply("add", Ref(var), ONE),))) for c in owner.columns]
    s.emit(For(var, at, last, list(body)))
    resize(s, owner, last)
    return found


def insert(s: Any, owner: Growing, index: Value, value: Value) -> Value:
    """The items behind the place move, the last one first."""
    writable(s, owner)
    exprs = fitting(s, owner, value)
    length = s.bind(owner.length.expr)
    k = s.as_expr(index, "i64")
    k = apply("select", apply("lt", k, ZERO), apply("maximum", apply("add", k, length), ZERO), k)
    at = s.bind(apply("minimum", k, length))
    size = s.bind(apply("add", length, ONE), "length")
    for column in owner.columns:
        s.emit(Grow(column, size))
    var = s.scalar("i64", "i")
    body = [Store(c, (Ref(var),), Load(c, (apply("sub", Ref(var), ONE),))) for c in owner.columns]
    s.emit(For(var, length, at, list(body), step=-1))
    for column, e in zip(owner.columns, exprs, strict=True):
        s.emit(Store(column, (at,), e))
    resize(s, owner, size)
    return Static(None)


def clear(s: Any, owner: Growing) -> Value:
    writable(s, owner)
    resize(s, owner, ZERO)
    return Static(None)


def reverse(s: Any, owner: Growing) -> Value:
    writable(s, owner)
    length = s.bind(owner.length.expr)
    s.heap.touch(owner)
    with s.loops((s.bind(apply("floordiv", length, const(2))),), independent=False) as (i,):
        other = s.bind(apply("sub", apply("sub", length, ONE), i))
        for column in owner.columns:
            a, b = s.scalar(column.element, "a"), s.scalar(column.element, "b")
            s.emit(Assign(a, Load(column, (i,))))
            s.emit(Assign(b, Load(column, (other,))))
            s.emit(Store(column, (i,), Ref(b)))
            s.emit(Store(column, (other,), Ref(a)))
    return Static(None)


METHODS: dict[str, Callable[..., Value]] = {
    "append": append, "extend": extend, "pop": pop, "insert": insert, "clear": clear, "copy": copied,
    "reverse": reverse,
}  # fmt: skip
