"""Lists whose length is known at run time only: their items in storage that grows.

A list is made growing where it is born, when staging has found that a loop of run time appends to it, or that
paths meet that leave it with several lengths.  Staging then begins again (`NeedsGrowing`).  What cannot be
done with such a list is refused, and staging begins once more without it: the loops are unrolled.

Arrays are items, too, if all of a list have one shape: the list has copies of them, and neither they nor the
originals may be written into from then on.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.backends.native.nest import (
    BOOL,
    ONE,
    ZERO,
    Alloc,
    Array,
    Assign,
    Const,
    Expr,
    Load,
    Ref,
    Store,
    apply,
    const,
)
from tapeless.backends.native.staging import storage
from tapeless.backends.native.staging.base import TYPES
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.growing_items import (
    NeedsGrowing,
    dtypes_of,
    has_arrays,
    has_objects,
    is_mixed,
    item,
    item_classes,
    joined,
    leaves,
    length_columns,
    length_named,
    move,
    parts_of,
    place_in,
    prepared,
    put,
    shape_of,
    spec_of,
    spec_of_all,
    stretches,
)
from tapeless.backends.native.staging.specs import Spec
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

__all__ = ["NeedsGrowing", "has_objects", "is_mixed", "item", "item_classes", "parts_of", "spec_of_all"]
BEYOND = "list index out of range"


def born(s: Any, site: Any, items: list[Value]) -> Value:
    """A list of the program, made here."""
    spec = s.growing.get(site)
    if spec is None:
        made: Value = s.heap.born(Sequence(items, list, site))
        return made
    owner = new(s, spec, ZERO, site)
    for value in items:
        push(s, owner, value)
    return owner


def new(s: Any, spec: Spec, length: Expr, site: Any, like: Growing | None = None) -> Growing:
    """A list with room for so many items, not yet stored, of the shapes of another list's."""
    if site is not None:
        s.grew.add(site)
    for leaf in leaves(spec):
        if leaf.how == "rows" and any(n is not None and length_named(s, n) is None for n in leaf.names):
            raise NeedsGrowing(site, without_names(spec))
    made = Growing(
        tuple(Array("row", dtype, 1) for leaf in leaves(spec) for dtype in dtypes_of(leaf)),
        spec, Number(length, int), site, s.differentiated,
    )  # fmt: skip
    for k, (column, n) in enumerate(length_columns(made)):
        s.emit(Alloc(column, (const(n),)))
        for axis in range(n):
            known = ZERO if like is None else Load(length_columns(like)[k][0], (const(axis),))
            s.emit(Store(column, (const(axis),), known))
    for column, width in stretches(s, made):
        s.emit(Alloc(column, (s.bind(apply("mul", length, width)),)))
    s.heap.born(made)
    return made


def without_names(spec: Spec) -> Spec:
    """A spec whose arrays may have any lengths."""
    if spec.how == "rows":
        return Spec("rows", spec.kind, names=(None,) * len(spec.names))
    return Spec(spec.how, spec.kind, tuple(map(without_names, spec.parts)), spec.names)


def writable(s: Any, owner: Growing) -> None:
    if s.differentiated != owner.depth:
        s.refuse("a list that grows is changed by a function whose derivative is taken", "return the items")


def fitting(s: Any, owner: Growing, value: Value) -> list[Any]:
    """What the columns store of an item."""
    spec = joined(owner.spec, spec_of(s, value))
    if spec is None:
        s.refuse("items of several kinds in a list of a length known at run time only", "use several lists")
    if spec != owner.spec:
        raise NeedsGrowing(owner.site, spec)
    return prepared(s, owner.spec, value)


def push(s: Any, owner: Growing, value: Value) -> None:
    writable(s, owner)
    found = fitting(s, owner, value)
    at = s.bind(owner.length.expr)
    size = s.bind(apply("add", at, ONE), "length")
    before_write(s, owner)
    put(s, owner, at, found, size)
    resize(s, owner, size)


def before_write(s: Any, owner: Growing) -> None:
    """The items that have been read so far stay what they are."""
    for column in owner.columns:
        storage.before_write(s, column)


def resize(s: Any, owner: Growing, size: Expr) -> None:
    s.heap.touch(owner)
    owner.length = Number(size, int)


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
    found = fitting(s, owner, value)
    at = s.bind(place(s, owner, index, "list assignment index out of range"))
    s.heap.touch(owner)
    before_write(s, owner)
    put(s, owner, at, found)


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
    made = new(s, owner.spec, count, owner.site, owner)
    with s.loops((count,)) as (i,):
        move(s, made, i, owner, source(i))
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
    """A new array of the items: of numbers, of tuples of numbers of one class, or of arrays."""
    from tapeless.backends.native.staging.elements import convert

    if owner.spec.how == "rows":
        s.replay_unless(apply("gt", owner.length.expr, ZERO))  # no items, no axes
        return all_of(s, owner, 0)
    if has_arrays(owner.spec):
        s.refuse("an array of tuples with arrays in them", "append to several lists")
    parts = leaves(owner.spec)
    if any(p.how == "one" for p in parts):
        s.refuse(
            "an array of a list of texts, or of what is no number",
            "append the numbers to a list of their own",
        )
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


def all_of(s: Any, owner: Growing, k: int, column: int = 0) -> View:
    """What the items have as one of their parts, in an array: of numbers, or of arrays with one more axis."""
    part = parts_of(owner)[k]
    leaf, columns = part[0], part[1][column:]
    length = owner.length.expr
    shape = shape_of(s, part) if leaf.how == "rows" else ()
    width = s.bind(storage.size_of(shape), "size")
    view = storage.fresh(s, (length, *shape), columns[0].dtype)
    with storage.nest(s, view.shape) as index:
        at: Expr = ZERO
        for i, n in zip(index[1:], shape, strict=True):
            at = apply("add", apply("mul", at, n), i)
        storage.store(
            s, view, index, Load(columns[0], (place_in(index[0], width, at) if shape else index[0],))
        )
    return view


def columns(s: Any, owner: Growing) -> list[Array]:
    """The columns, as arrays of their own that are as long as needed."""
    widths = dict(stretches(s, owner))
    lengths = {column: const(n) for column, n in length_columns(owner)}
    made = []
    for column in owner.columns:
        size = lengths.get(column)
        if size is None:
            size = s.bind(apply("mul", owner.length.expr, widths[column]))
        view = storage.fresh(s, (size,), column.dtype)
        with s.loops((size,)) as (i,):
            storage.store(s, view, (i,), Load(column, (i,)))
        made.append(view.array)
    return made


def repeated(s: Any, items: list[Value], times: Expr, site: Any) -> Growing | None:
    """`[x] * n`."""
    spec = spec_of_all(s, items)
    if spec is None or has_arrays(spec) or len(items) != 1 or site in s.never_growing:
        return None
    spec = joined(s.growing.get(site, spec), spec)
    if spec is None:
        return None
    count = s.bind(apply("maximum", times, ZERO), "n")
    made = new(s, spec, count, site)
    found = fitting(s, made, items[0])
    with s.loops((count,)) as (i,):
        put(s, made, i, found)
    return made
