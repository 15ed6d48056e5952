"""Objects that the program changes while it is staged, and a journal of the changes, to take them back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapeless.backends.native.staging.values import Cell, Fields, Growing, Instance, Mapping, Sequence

#: What has content that can change.
Object = Sequence | Growing | Mapping | Instance | Cell


def is_object(value: object) -> bool:
    """Whether a value has an identity and content that can change."""
    return isinstance(value, (Growing, Mapping, Instance, Cell)) or (
        isinstance(value, Sequence) and value.kind is list
    )


def content(obj: Any) -> Any:
    """A copy of what an object holds."""
    if isinstance(obj, Sequence):
        return list(obj.items)
    if isinstance(obj, Growing):
        return {"length": obj.length}
    if isinstance(obj, Mapping):
        return dict(obj.items)
    if isinstance(obj, Instance):
        return dict(obj.fields)
    return obj.value


def fill(obj: Any, held: Any) -> None:
    """Make an object hold this."""
    if isinstance(obj, Sequence):
        obj.items = list(held)
    elif isinstance(obj, Growing):
        obj.length = held["length"]
    elif isinstance(obj, Mapping):
        obj.items = dict(held)
    elif isinstance(obj, Instance):
        obj.fields = dict(held)
    else:
        obj.value = held


class Changes:
    """What objects hold at some point of the program, where that differs from an earlier point."""

    def __init__(self) -> None:
        self.held: dict[int, tuple[Any, Any]] = {}

    def of(self, obj: Any) -> Any:
        found = self.held.get(id(obj))
        return content(obj) if found is None else found[1]


class Heap:
    """The journal: for each open level what the objects touched since then held before."""

    def __init__(self) -> None:
        self.levels: list[dict[int, tuple[Any, Any]]] = []
        self.births: dict[int, tuple[Any, int]] = {}
        self.clock = 0
        self.outer_changed = False
        """Whether an object from outside was changed."""
        self.fixed: dict[int, list[tuple[Any, Callable[[], None]]]] = {}
        """Objects and arrays that may not change now, and what refuses it."""
        self.kept: list[int] = []
        """Those of them that the next iterator goes through."""
        self.dicts: dict[int, Fields] = {}
        """Dicts of objects, by the object."""

    def dict_of(self, obj: Instance) -> Fields:
        return self.dicts.setdefault(id(obj), Fields(obj))

    def born(self, obj: Any) -> Any:
        """Note that the program makes an object here."""
        self.clock += 1
        self.births[id(obj)] = (obj, self.clock)
        return obj

    def age(self, obj: Any) -> int:
        """When an object was made; 0 if before the program began."""
        return self.births.get(id(obj), (None, 0))[1]

    def check(self, obj: Any) -> None:
        """To be called before an object or an array changes that may have to stay what it is."""
        for _, refuse in self.fixed.get(id(obj), ()):
            refuse()

    def free(self, keys: list[int]) -> None:
        """Let objects change again."""
        for key in keys:
            self.fixed[key].pop()
        keys.clear()

    def touch(self, obj: Any) -> None:
        """To be called before an object changes."""
        if isinstance(obj, Fields):
            obj = obj.owner
        self.check(obj)
        self.note(obj)

    def note(self, obj: Any) -> None:
        self.outer_changed = self.outer_changed or not self.age(obj)
        if self.levels and id(obj) not in self.levels[-1]:
            self.levels[-1][id(obj)] = (obj, content(obj))

    def write(self, obj: Any, held: Any) -> None:
        self.touch(obj)
        fill(obj, held)

    def put(self, obj: Any, held: Any) -> None:
        """Have an object hold what the program, on the way to here, has made of it."""
        self.note(obj)
        fill(obj, held)

    def open(self) -> int:
        """Begin a level; its number."""
        self.levels.append({})
        return len(self.levels) - 1

    def since(self, level: int) -> Changes:
        """What the objects touched since a level began hold now."""
        changes = Changes()
        for table in self.levels[level:]:
            for key, (obj, _) in table.items():
                changes.held[key] = (obj, content(obj))
        return changes

    def undo(self, level: int) -> None:
        """Put everything back as it was when a level began; the level stays open, later ones are gone."""
        for table in reversed(self.levels[level:]):
            for obj, held in table.values():
                fill(obj, held)
            table.clear()
        del self.levels[level + 1 :]

    def close(self, level: int) -> None:
        """End a level; the one around it takes its changes over."""
        if level:
            outer = self.levels[level - 1]
            for table in self.levels[level:]:  # the older record of an object stays
                for key, entry in table.items():
                    outer.setdefault(key, entry)
        del self.levels[level:]

    def apply(self, changes: Changes) -> None:
        for obj, held in changes.held.values():
            self.put(obj, held)
