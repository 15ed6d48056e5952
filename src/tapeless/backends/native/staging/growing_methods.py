"""Methods and operators of lists whose length is known at run time only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapeless.backends.native.nest import (
    ONE,
    ZERO,
    Assign,
    For,
    Grow,
    Load,
    Ref,
    Store,
    apply,
    const,
)
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.growing import (
    before_write,
    born,
    copied,
    fitting,
    new,
    place,
    push,
    resize,
    writable,
)
from tapeless.backends.native.staging.growing_items import (
    NeedsGrowing,
    has_arrays,
    item,
    joined,
    length_columns,
    move,
    place_in,
    prepared,
    put,
    spec_of_all,
    stretches,
)
from tapeless.backends.native.staging.values import Growing, Sequence, Static, Value

NONE, NO = Static(None), Static(False)


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
    assert spec is not None
    if spec != owner.spec:
        raise NeedsGrowing(owner.site, spec)
    start, count = s.bind(owner.length.expr), s.bind(other.length.expr)
    size = s.bind(apply("add", start, count), "length")
    if has_arrays(spec) and (other.spec != spec or length_columns(owner)):
        s.refuse("lists of arrays are joined whose shapes are known at run time only", "append the items")
    before_write(s, owner)
    for column, width in stretches(s, owner):
        s.emit(Grow(column, s.bind(apply("mul", size, width))))
    with s.loops((count,), independent=False) as (i,):
        at = s.bind(apply("add", start, i))
        if has_arrays(spec):
            move(s, owner, at, other, i)
        else:
            put(s, owner, at, prepared(s, owner.spec, item(s, other, i)))
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


def listed(s: Any, values: Value | None, site: Any) -> Value:
    """`list(values)`."""
    from tapeless.backends.native.staging import iteration_programs
    from tapeless.backends.native.staging.iterables import Generator, counted

    if isinstance(values, Growing):
        return copied(s, values)
    if isinstance(values, Generator):
        return s.call_object(iteration_programs.all_of, [values], {})  # type: ignore[no-any-return]
    if site not in s.growing:
        return born(s, site, [] if values is None else list(s.listed(values)))
    it = Iteration([]) if values is None else s.iteration(values)
    if it.items is not None:
        return born(s, site, it.items)
    item = counted(it)
    made = new(s, s.growing[site], s.bind(it.length, "n"), site)
    with s.loops((made.length.expr,)) as (i,):
        put(s, made, i, fitting(s, made, item(i)))
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
    before_write(s, owner)
    var = s.scalar("i64", "i")
    with s.collect() as body:
        move(s, owner, Ref(var), owner, apply("add", Ref(var), ONE))
    s.emit(For(var, at, last, body))
    resize(s, owner, last)
    return found


def insert(s: Any, owner: Growing, index: Value, value: Value) -> Value:
    """The items behind the place move, the last one first."""
    writable(s, owner)
    found = fitting(s, owner, value)
    length = s.bind(owner.length.expr)
    k = s.as_expr(index, "i64")
    k = apply("select", apply("lt", k, ZERO), apply("maximum", apply("add", k, length), ZERO), k)
    at = s.bind(apply("minimum", k, length))
    size = s.bind(apply("add", length, ONE), "length")
    if length_columns(owner):
        s.refuse("an array is put into the middle of a list of them", "append, and reverse the list")
    before_write(s, owner)
    for column, width in stretches(s, owner):
        s.emit(Grow(column, s.bind(apply("mul", size, width))))
    var = s.scalar("i64", "i")
    with s.collect() as body:
        move(s, owner, Ref(var), owner, apply("sub", Ref(var), ONE))
    s.emit(For(var, length, at, body, step=-1))
    put(s, owner, at, found)
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
    before_write(s, owner)
    with s.loops((s.bind(apply("floordiv", length, const(2))),), independent=False) as (i,):
        other = s.bind(apply("sub", apply("sub", length, ONE), i))
        for column, width in stretches(s, owner):
            with s.loops((width,), independent=False) as (k,):
                first, last = place_in(i, width, k), place_in(other, width, k)
                a, b = s.scalar(column.element, "a"), s.scalar(column.element, "b")
                s.emit(Assign(a, Load(column, (first,))))
                s.emit(Assign(b, Load(column, (last,))))
                s.emit(Store(column, (first,), Ref(b)))
                s.emit(Store(column, (last,), Ref(a)))
    return Static(None)


def sort(s: Any, owner: Growing, *, key: Value = NONE, reverse: Value = NO) -> Value:
    from tapeless.backends.native.staging.sorted_lists import in_order

    writable(s, owner)
    found = in_order(s, owner, key, bool(s.known(reverse)))
    s.heap.touch(owner)
    before_write(s, owner)
    with s.loops((s.bind(owner.length.expr),)) as (i,):
        move(s, owner, i, found, i)
    return Static(None)


METHODS: dict[str, Callable[..., Value]] = {
    "append": append, "extend": extend, "pop": pop, "insert": insert, "clear": clear, "copy": copied,
    "reverse": reverse, "sort": sort,
}  # fmt: skip
