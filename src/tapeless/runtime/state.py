"""The state of one derivative run: its mirrors, and what is asked of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from types import CellType
from typing import Any

import numpy as np

from tapeless.runtime.mirrors import ATOMS, ArrayMirror, Mirror, Slot, has_tangent, owner, references

_CONTAINERS = (list, dict, set, frozenset, tuple, deque)


class State:
    """Mirrors by identity.  `mirrors` keeps its objects alive; arrays and generators are held weakly."""

    reverse = False

    def __init__(self) -> None:
        self.mirrors: dict[int, Mirror] = {}
        arrays: dict[int, ArrayMirror] = {}
        self.arrays = arrays

        def forget(m: ArrayMirror) -> None:
            if arrays.get(m.key) is m:
                del arrays[m.key]

        # in reverse mode an array's mirror is small: it may stay until its place is taken by another
        self.forget = None if self.reverse else forget
        self.slots: dict[int, Slot] = {}
        self.iterators: dict[int, Any] = {}
        self.module_stores: Any = None
        self.what = "a derivative"
        self.class_stores = False
        self.failure: BaseException | None = None
        self.snapshots: dict[int, tuple[Any, Any]] = {}
        self.caches: dict[int, Any] = {}
        self.guarded: dict[int, Any] = {}
        self.opened: dict[Any, Any] = {}
        self.routes: dict[Any, Any] = {}
        self.methods: dict[Any, Any] = {}
        self.ordinary: set[type] = set()
        self.key_tangents: dict[int, tuple[Any, dict[Any, Any]]] = {}
        #: what arrays were given for attributes, with its companion (or this dict, where there are two)
        self.carried: dict[int, tuple[Any, Any]] = {}
        self.carries = False

    # ---- objects

    def list_mirror(self, x: Any) -> list[Any]:
        """The companions of a list or deque, made on first use."""
        m = self.mirrors.get(id(x))
        if m is None:
            m = self.mirrors[id(x)] = Mirror(x, [None] * len(x))
        data: list[Any] = m.data
        return data

    def dict_mirror(self, x: Any) -> dict[Any, Any]:
        """The companions of a dict's values, an object's attributes, a cell's content or a set's members."""
        m = self.mirrors.get(id(x))
        if m is None:
            m = self.mirrors[id(x)] = Mirror(x, {})
        data: dict[Any, Any] = m.data
        return data

    def put(self, x: Any, key: Any, t: Any) -> None:
        """Set the companion of one key of a dict-like mirror; nothing is made for None."""
        if t is None:
            m = self.mirrors.get(id(x))
            if m is not None:
                m.data.pop(key, None)
        else:
            self.dict_mirror(x)[key] = t

    def look(self, x: Any, key: Any) -> Any:
        """The companion of one key of a dict-like mirror."""
        m = self.mirrors.get(id(x))
        return None if m is None else m.data.get(key)

    def put_key(self, x: Any, key: Any, t: Any) -> None:
        """The companion of a key that is about to be put into a dict; an equal key that is there stays."""
        if (t is not None or id(x) in self.key_tangents) and not dict.__contains__(x, key):
            table = self.key_tangents.setdefault(id(x), (x, {}))[1]
            if t is None:
                table.pop(key, None)
            else:
                table[key] = t

    def look_key(self, x: Any, key: Any) -> Any:
        """The companion of a key of a dict."""
        found = self.key_tangents.get(id(x))
        return None if found is None else found[1].get(key)

    def attributes_mirror(self, x: Any) -> dict[Any, Any]:
        """The companions of an object's attributes; those of a container's items are kept apart."""
        if not isinstance(x, _CONTAINERS):
            return self.dict_mirror(x)
        m = self.mirrors.get(-id(x))
        if m is None:
            m = self.mirrors[-id(x)] = Mirror(x, {})
        data: dict[Any, Any] = m.data
        return data

    def put_attribute(self, x: Any, name: str, t: Any) -> None:
        """Set the companion of an attribute."""
        if not isinstance(x, _CONTAINERS):
            self.put(x, name, t)
        elif t is not None or -id(x) in self.mirrors:
            self.attributes_mirror(x)[name] = t

    def look_attribute(self, x: Any, name: str) -> Any:
        """The companion of an attribute."""
        m = self.mirrors.get(-id(x) if isinstance(x, _CONTAINERS) else id(x))
        return None if m is None or type(m.data) is not dict else m.data.get(name)

    # ---- cells and globals

    def new_cell(self) -> CellType:
        return CellType()

    def load_cell(self, cell: CellType, name: str) -> tuple[Any, Any]:
        try:
            value = cell.cell_contents
        except ValueError:
            raise NameError(
                f"cannot access free variable '{name}' where it is not associated with a value "
                "in enclosing scope",
                name=name,
            ) from None
        m = self.mirrors.get(id(cell))
        return value, None if m is None else m.data.get(0)

    def store_cell(self, cell: CellType, value: Any, t: Any) -> None:
        cell.cell_contents = value
        self.put(cell, 0, t)

    def del_cell(self, cell: CellType, name: str) -> None:
        self.load_cell(cell, name)
        del cell.cell_contents
        self.put(cell, 0, None)

    def global_tangent(self, module: dict[str, Any], name: str) -> Any:
        return self.look(module, name)

    def store_global(self, module: dict[str, Any], name: str, value: Any, t: Any) -> None:
        module[name] = value
        if t is not None:
            self.module_stores = True
        self.put(module, name, t)

    def del_global(self, module: dict[str, Any], name: str) -> None:
        if name not in module:
            raise NameError(f"name '{name}' is not defined", name=name)
        del module[name]
        self.put(module, name, None)

    # ---- arrays

    def find_array(self, a: Any) -> tuple[Any, ArrayMirror | None]:
        """The owner of the memory of `a`, and its mirror if it has one."""
        base = owner(a)
        m = self.arrays.get(id(base))
        return base, m if m is not None and m() is base else None

    def new_array(self, base: Any, value: Any, flat: bool = False) -> ArrayMirror:
        m = ArrayMirror(base, self.forget)
        m.key, m.value, m.flat, m.low, m.read = id(base), value, flat, None, None
        self.arrays[m.key] = m
        return m

    # ---- what can be reached

    def reaches(self, values: Iterable[Any], ts: Iterable[Any] = ()) -> bool:
        """Whether an active value can be reached from `values`, whose companions are `ts`."""
        for t in ts:
            if t is not None and has_tangent(t):
                return True
        mirrors, arrays, slots = self.mirrors, self.arrays, self.slots
        if not (mirrors or arrays or slots or self.iterators):
            return False
        stack = [v for v in values if type(v) not in ATOMS]
        seen: set[int] = set()
        while stack:
            x = stack.pop()
            key = id(x)
            if key in seen:
                continue
            seen.add(key)
            m = mirrors.get(key)
            if m is not None and has_tangent(m.data):
                return True
            m = mirrors.get(-key)
            if m is not None and has_tangent(m.data):
                return True
            if key in slots and slots[key].ref() is x:
                return True
            if key in self.iterators:
                return True
            kind = type(x)  # isinstance would ask a weak proxy, of what may be gone
            if issubclass(kind, np.ndarray) and x.dtype != object:
                if arrays and self.find_array(x)[1] is not None:
                    return True
                continue
            if issubclass(kind, State):
                continue
            stack += [r for r in references(x) if type(r) not in ATOMS]
        return False
