"""Sorted lists of what is known at run time only: texts, tuples, objects, numbers, by any key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import FLOATS, ZERO, Load, apply, const
from tapeless.backends.native.staging import growing, order_programs
from tapeless.backends.native.staging.growing_items import spec_of_all
from tapeless.backends.native.staging.specs import Spec
from tapeless.backends.native.staging.values import Growing, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.builtin_calls import Builtins


def in_order(s: Builtins, items: Growing, key: Value, backwards: bool) -> Growing:
    """A new list, in order of what `key` makes of the items."""
    keys: Value = items
    if not (isinstance(key, Static) and key.obj is None):
        code = getattr(getattr(key, "function", None), "__code__", None)
        where: Any = code or getattr(key, "obj", None)  # the lists of other keys are others
        keys = s.call(Static(order_programs.keys_of), [key, items], {}, where)
    if not isinstance(keys, Growing):
        s.refuse("a list is sorted by keys of several kinds", "sort by numbers, or by tuples of those")
    return by_keys(s, items, keys, backwards)


def by_keys(s: Builtins, items: Growing, keys: Growing, backwards: bool) -> Growing:
    count = s.bind(keys.length.expr, "n")
    for column in keys.columns:
        if column.element in FLOATS:  # Python's order then depends on how it sorts
            with s.loops((count,), independent=False) as (i,):
                s.replay_unless(apply("not", apply("isnan", Load(column, (i,)))))
    order, merged = (growing.new(s, Spec("number", int), count, None) for _ in range(2))
    level, start, shown = s.heap.open(), s.heap.clock, s.shown
    s.call(Static(order_programs.sort), [keys, order, merged, Static(backwards)], {})
    touched = [obj for obj, _ in s.heap.since(level).held.values() if obj is not order and obj is not merged]
    changed = any(s.heap.age(obj) <= start for obj in touched)
    s.heap.close(level)
    if changed or s.shown != shown:
        s.refuse("a comparison changes or prints something while a list is sorted", "sort by a key")
    return growing.taken(s, items, lambda i: Load(order.columns[0], (i,)), count)


def as_growing(s: Builtins, items: list[Value], spec: Spec) -> Growing:
    """A list that holds these items."""
    made = growing.new(s, spec, ZERO, None)
    for item in items:
        growing.push(s, made, item)
    return made


def few_sorted(s: Builtins, items: list[Value], keys: list[Value], backwards: bool) -> list[Value] | None:
    """As many items as are known, in order of keys that are not; None if they are of several kinds."""
    spec, key = spec_of_all(s, items), spec_of_all(s, keys)
    if spec is None or key is None or growing.is_mixed(spec) or growing.is_mixed(key):
        return None
    if growing.has_objects(spec) or growing.has_objects(key):  # others may know them
        return None
    rows, by = as_growing(s, items, spec), as_growing(s, keys, key)
    found = by_keys(s, rows, by, backwards)
    return [growing.item(s, found, const(k)) for k in range(len(items))]
