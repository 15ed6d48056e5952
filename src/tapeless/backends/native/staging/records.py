"""Objects in lists that grow: a list has copies of what they hold, so nobody may change them from then on."""

from __future__ import annotations

from collections import deque
from typing import Any

from tapeless.backends.native.staging.specs import Spec
from tapeless.backends.native.staging.values import Instance, Sequence, Value

#: Objects that staging keeps in its own way.
OWN = (set, frozenset, dict, list, deque, BaseException)


def spec_of(s: Any, value: Instance) -> Spec | None:
    """How an object of the program is stored; None if it cannot be."""
    from tapeless.backends.native.staging.growing_items import spec_of as part_of

    held = s.held_by(value)
    known = issubclass(value.cls, OWN) or value.cls.__module__.startswith("tapeless.")
    if known or not held or not s.heap.age(value):
        return None
    parts = [part_of(s, v) for v in held.values()]
    made = tuple(p for p in parts if p is not None)
    return Spec("object", value.cls, made, tuple(held)) if len(made) == len(parts) else None


def in_a_list(s: Any, value: Value) -> bool:
    """Whether an object is an item of a list that has copies: which it is cannot be told."""
    return isinstance(value, Instance) and id(value) in s.records


def fix(s: Any, value: Any) -> None:
    """An item, and the objects in it, must not change any more."""
    if isinstance(value, Sequence) and value.kind is not list:
        for v in value.items:
            fix(s, v)
    if not isinstance(value, Instance) or id(value) in s.records:
        return

    def refuse() -> None:
        s.refuse(
            f"an object of class {value.cls.__name__} is changed that is in a list of a length known at run "
            "time only",
            "make another object, and put that into the list",
        )

    s.records[id(value)] = s.records[value.cls] = value
    s.heap.fixed.setdefault(id(value), []).append((value, refuse))
    for v in value.fields.values():
        fix(s, v)


def same_for_all(s: Any, value: Value) -> None:
    """An object that stands for several may be one in a list, if its class is that of some."""
    if isinstance(value, Instance) and value.cls in s.records:
        fix(s, value)


def made(s: Any, spec: Spec, parts: list[Value]) -> Value:
    """The object that an item is."""
    found: Value = s.heap.born(Instance(spec.kind, dict(zip(spec.names, parts, strict=True))))
    fix(s, found)
    return found
