"""How the items of lists that grow are stored: numbers in columns, arrays of one shape end to end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tapeless.backends.native.nest import (
    BOOL,
    F32,
    F64,
    ONE,
    ZERO,
    Array,
    Const,
    Dim,
    Expr,
    Grow,
    If,
    Load,
    Ref,
    Store,
    apply,
    const,
)
from tapeless.backends.native.staging import alternatives, records, storage
from tapeless.backends.native.staging.base import TYPES
from tapeless.backends.native.staging.elements import is_complex, supported
from tapeless.backends.native.staging.joins import join_kinds
from tapeless.backends.native.staging.mixed import classes, fits, in_order, mixed, odd, widened
from tapeless.backends.native.staging.paths import Length, Path
from tapeless.backends.native.staging.specs import Spec
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Axis,
    Growing,
    Instance,
    Lazy,
    Number,
    Sequence,
    Value,
    View,
)

#: Scalar type -> dtype of the storage of such items.
STORED = {F64: "float64", F32: "float32", BOOL: "bool"}
#: A part of the items and its columns: the numbers (and whether they are odd), or the elements (and lengths).
Part = tuple[Spec, tuple[Array, ...]]
HELD = "a list whose length is known at run time only holds it, too"


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
    if (
        isinstance(value, ArrayValue)
        and value.ndim
        and supported(value.dtype)
        and not is_complex(value.dtype)
    ):
        return Spec("rows", value.dtype, names=tuple(length_by_name(s, n) for n in value.shape))
    if isinstance(value, Instance):
        return records.spec_of(s, value)
    return alternatives.spec_of(s, value)


def length_by_name(s: Any, n: Expr) -> int | Path | None:
    """A length as it can be told before there is an item: a number, or a length or number of the call."""
    if isinstance(n, Const):
        return int(n.value)
    if isinstance(n, Dim) and n.array in s.array_sources:
        return Length(s.array_sources[n.array], n.axis)
    if isinstance(n, Ref) and n.var in s.sources:
        path: Path = s.sources[n.var]
        return path
    return None


def length_named(s: Any, name: int | Path) -> Expr | None:
    """The length of that name; None if it is not known here."""
    if isinstance(name, int):
        return const(name)
    value = s.lifted.get(name.of if isinstance(name, Length) else name)
    if isinstance(name, Length):
        return value.shape[name.axis] if isinstance(value, View) else None
    return s.as_expr(value, "i64") if s.is_number(value) else None


def joined(a: Spec | None, b: Spec | None) -> Spec | None:
    """The spec of items of both kinds."""
    if a is None or b is None or a.how != b.how:
        return None
    if a.how == "number":
        found = {a.kind, b.kind, *a.names, *b.names}
        kind = join_kinds(list(found))
        return None if kind is None else Spec("number", kind, names=in_order(found - {kind}))
    if a.how == "rows":
        if (a.kind, len(a.names)) != (b.kind, len(b.names)):
            return None
        lengths = tuple(m if m == n else None for m, n in zip(a.names, b.names, strict=True))
        return Spec("rows", a.kind, names=lengths)
    if a.how == "one":
        return alternatives.joined(a, b)
    if a.kind is not b.kind or len(a.parts) != len(b.parts) or a.names != b.names:
        return None
    parts = [joined(x, y) for x, y in zip(a.parts, b.parts, strict=True)]
    if any(p is None for p in parts):
        return None
    return Spec(a.how, a.kind, tuple(p for p in parts if p is not None), a.names)


def spec_of_all(s: Any, values: Iterable[Value | None]) -> Spec | None:
    specs = [spec_of(s, v) for v in values]
    if not specs:
        return None
    made = specs[0]
    for other in specs[1:]:
        made = joined(made, other)
    return made


def leaves(spec: Spec) -> list[Spec]:
    """The specs of the numbers and arrays of an item, in order."""
    return [leaf for p in spec.parts for leaf in leaves(p)] if spec.how in ("sequence", "object") else [spec]


def dtypes_of(leaf: Spec) -> list[str]:
    """The dtypes of the columns of a part of the items."""
    if leaf.how == "rows":
        return [leaf.kind, "int64"] if None in leaf.names else [leaf.kind]
    if leaf.how == "one":
        return [STORED.get(t, "int64") for t in alternatives.types(leaf)]
    own = STORED.get(TYPES[leaf.kind], "int64")
    return [own, "bool"] if leaf.names else [own]


def is_mixed(spec: Spec) -> bool:
    return any(leaf.how == "number" and leaf.names for leaf in leaves(spec))


def has_arrays(spec: Spec) -> bool:
    return any(leaf.how == "rows" for leaf in leaves(spec))


def has_objects(spec: Spec) -> bool:
    return spec.how == "object" or any(map(has_objects, spec.parts))


def item_classes(spec: Spec) -> Any:
    if spec.how == "sequence":
        return spec.kind, tuple(map(item_classes, spec.parts))
    if spec.how == "one":
        return alternatives.shown(spec)
    return np.ndarray if spec.how == "rows" else spec.kind


# ---- columns


def parts_of(owner: Growing) -> list[Part]:
    """The parts of a list's items, with their columns."""
    rest, found = list(owner.columns), []
    for leaf in leaves(owner.spec):
        n = len(dtypes_of(leaf))
        found.append((leaf, tuple(rest[:n])))
        del rest[:n]
    return found


def shape_of(s: Any, part: Part) -> tuple[Expr, ...]:
    """The shape of the arrays of a part, which is not yet anything if there is none."""
    leaf, columns = part
    made = []
    for k, name in enumerate(leaf.names):
        n = s.bind(Load(columns[1], (const(k),)), "n") if name is None else length_named(s, name)
        assert n is not None
        made.append(n)
    return tuple(made)


def stretches(s: Any, owner: Growing) -> list[tuple[Array, Expr]]:
    """The columns that every item has a stretch of, and how long it is."""
    found: list[tuple[Array, Expr]] = []
    for leaf, columns in parts_of(owner):
        if leaf.how == "rows":
            found.append((columns[0], s.bind(storage.size_of(shape_of(s, (leaf, columns))), "size")))
        else:
            found += [(c, ONE) for c in columns]
    return found


def length_columns(owner: Growing) -> list[tuple[Array, int]]:
    """The columns that hold the lengths of arrays."""
    return [
        (columns[1], len(leaf.names))
        for leaf, columns in parts_of(owner)
        if leaf.how == "rows" and len(columns) > 1
    ]


def move(s: Any, to: Growing, i: Expr, source: Growing, j: Expr) -> None:
    """The item at `j` of a list goes to `i` of one whose items are stored alike."""
    for (a, width), (b, _) in zip(stretches(s, to), stretches(s, source), strict=True):
        with s.loops((width,)) as (k,):
            s.emit(Store(a, (place_in(i, width, k),), Load(b, (place_in(j, width, k),))))


def place_in(at: Expr, width: Expr, k: Expr) -> Expr:
    return at if width == ONE else apply("add", apply("mul", at, width), k)


def flat(index: tuple[Expr, ...], shape: tuple[Expr, ...]) -> Expr:
    """The number of an element in row-major order."""
    number: Expr = ZERO
    for i, n in zip(index, shape, strict=True):
        number = apply("add", apply("mul", number, n), i)
    return number


# ---- items in and out


def numbers(value: Any) -> list[Value]:
    """The numbers and arrays of an item, in order."""
    if isinstance(value, Instance):
        return [x for v in value.fields.values() for x in numbers(v)]
    return [x for v in value.items for x in numbers(v)] if isinstance(value, Sequence) else [value]


def prepared(s: Any, spec: Spec, value: Value) -> list[Any]:
    """What is stored of an item: expressions, and arrays, which nobody changes from here on."""
    found: list[Any] = []
    records.fix(s, value)
    for v, leaf in zip(numbers(value), leaves(spec), strict=True):
        if leaf.how == "rows":
            found.append(kept(s, v))
            continue
        if leaf.how == "one":
            found += map(s.bind, alternatives.numbers(s, leaf, v))
            continue
        fits(s, v, leaf.kind)
        found.append(s.bind(widened(s, v, TYPES[leaf.kind])))
        if leaf.names:
            found.append(s.bind(odd(s, v, leaf.kind)))
    return found


def kept(s: Any, value: Value) -> Value:
    """An array that a list gets a copy of: the program must not change it any more."""
    if isinstance(value, Lazy) and value.made is None and not s.holders(value, None):
        return value
    view: View = s.made(value)
    s.frozen[view.array.root] = HELD
    return view


def put(s: Any, owner: Growing, at: Expr, found: list[Any], size: Expr | None = None) -> None:
    """Store an item at a place; of a list that gets this `size` by it, if that is given."""
    rest = list(found)
    for leaf, columns in parts_of(owner):
        if leaf.how == "rows":
            put_array(s, (leaf, columns), at, rest.pop(0), size)
            continue
        for column in columns:
            grow(s, column, size, ONE)
            s.emit(Store(column, (at,), rest.pop(0)))


def grow(s: Any, column: Array, size: Expr | None, width: Expr) -> None:
    if size is not None:
        s.emit(Grow(column, s.bind(apply("mul", size, width))))


def put_array(s: Any, part: Part, at: Expr, value: ArrayValue, size: Expr | None) -> None:
    leaf, columns = part
    storage.before_write(s, columns[0])
    for k, (n, name) in enumerate(zip(value.shape, leaf.names, strict=True)):
        if name is None:
            if size is not None:  # the first item says what the others are like
                first: list[Any] = [Store(columns[1], (const(k),), n)]
                s.emit(If(apply("eq", at, ZERO), first))
            s.replay_unless(apply("eq", Load(columns[1], (const(k),)), n))
            continue
        same = apply("eq", n, length_named(s, name))
        if not s.ranges.proves(same):
            s.replay_unless(same)
    shape = tuple(value.shape)
    width = s.bind(storage.size_of(shape), "size")
    grow(s, columns[0], size, width)
    with storage.nest(s, shape) as index:
        e = storage.at(s, value, index)
        assert isinstance(e, Expr)
        s.emit(Store(columns[0], (apply("add", apply("mul", at, width), flat(index, shape)),), e))


def item(s: Any, owner: Growing, at: Expr) -> Value:
    """The item at an index in range."""
    at = s.bind(at)
    return rebuilt(s, owner.spec, parts_of(owner), at)


def rebuilt(s: Any, spec: Spec, parts: list[Part], at: Expr) -> Value:
    """An item from what is stored of it; the parts are taken from the front."""
    if spec.how == "sequence":
        return Sequence([rebuilt(s, p, parts, at) for p in spec.parts], spec.kind)
    if spec.how == "object":
        return records.made(s, spec, [rebuilt(s, p, parts, at) for p in spec.parts])
    part = parts.pop(0)
    _, columns = part
    if spec.how == "rows":
        return array_item(s, part, at)
    if spec.how == "one":
        return alternatives.rebuilt(spec, [s.bind(Load(c, (at,))) for c in columns])
    e = s.bind(Load(columns[0], (at,)))
    if not spec.names:
        return Number(e, spec.kind)
    return mixed(e, spec.kind, s.bind(Load(columns[1], (at,))), spec.names)


def array_item(s: Any, part: Part, at: Expr) -> Value:
    """An array as it is in the list now; the list has the original, so it cannot be written into."""
    view = stretch(s, part, at)
    made = storage.lazy(s, view.shape, view.dtype, view.element, [view], cost=1)
    storage.state(s).borrowed.add(made)
    return made


def stretch(s: Any, part: Part, at: Expr) -> View:
    leaf, columns = part
    shape = shape_of(s, part)
    steps: list[Expr] = []
    step: Expr = ONE
    for n in reversed(shape):
        steps.insert(0, step)
        step = apply("mul", step, n)
    start = s.bind(apply("mul", at, step))
    more = tuple((w, k) for k, w in enumerate(steps[:-1]))
    axis = Axis(start, steps[-1], len(shape) - 1, more) if shape else Axis(start, ONE, None)
    return View(columns[0], (axis,), shape, leaf.kind)
