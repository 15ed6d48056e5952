"""What the program assigns outside itself: globals, and attributes of modules, classes and functions.

Each is a cell from its first assignment on; what the cell holds at the end of a call is put there then.
"""

from __future__ import annotations

import types
from abc import ABCMeta
from typing import Any

from tapeless.backends.native.staging.inputs import Inputs, of_program, settled, settled_namespace
from tapeless.backends.native.staging.joins import Conflict, Maybe
from tapeless.backends.native.staging.paths import Field, Fixed, Global, Held, Home, Missing, Path, Undefined
from tapeless.backends.native.staging.values import Cell, Static, Value
from tapeless.program.ir import Op


class Places(Inputs):
    """Reads and assigns them."""

    made_classes: set[type]
    made_functions: dict[int, Any]

    def __init__(self, known: Any) -> None:
        super().__init__(known)
        self.places: dict[Path, Cell] = {}

    def op_global(self, op: Op) -> None:
        path = Global(Held(self.frames[-1].namespace), op.attrs["name"])
        if path in self.places:
            self.assign(op.outs[0], self.at_place(path, path.name))
        else:
            super().op_global(op)

    def op_store_global(self, op: Op) -> None:
        namespace, name = self.frames[-1].namespace, op.attrs["name"]
        value = self.read(op.args[0])
        if self.alive:
            self.put_global(namespace, name, value)

    def op_del_global(self, op: Op) -> None:
        self.refuse(f"the global {op.attrs['name']!r} is deleted", "set it to None")

    def put_global(self, namespace: dict[str, Any], name: str, value: Value) -> None:
        path = Global(Held(namespace), name)
        if settled_namespace(namespace):
            self.refuse(f"the global {name!r} of a package is assigned", "return the value instead")
        if path not in self.places:
            cell = self.places[path] = Cell()
            if name in namespace:
                cell.value = self.lift(namespace[name], path, name)
            else:
                vacant = Undefined(path.namespace, name)
                if vacant.read((), {}) is not Missing:
                    self.refuse(f"the builtin {name!r} gets another meaning", "use another name")
                self.guard(vacant, "is", Missing)
            self.mutable.append((cell, path, cell.value))
        self.heap.write(self.places[path], self.stored(value))

    def put_attribute(self, owner: Any, name: str, value: Value) -> None:
        """Assign an attribute of a module, a class or a function, which has it already."""
        if isinstance(owner, types.ModuleType):
            self.put_global(vars(owner), name, value)
            return
        known = type(owner) in (type, ABCMeta) and of_program(owner) or isinstance(owner, types.FunctionType)
        if owner in self.made_classes or id(owner) in self.made_functions:  # each call has one of its own
            known = False
        held = vars(owner).get(name, Missing) if known else Missing
        if held is Missing or hasattr(type(held), "__get__") or name.startswith("__"):
            self.refuse(f"the attribute {name!r} of {owner!r} is set", "return the value instead")
        path = Field(Fixed(Held(owner)), name)
        if path not in self.places:
            cell = self.places[path] = Cell(self.lift(held, path, name))
            self.mutable.append((cell, path, cell.value))
        self.heap.write(self.places[path], self.stored(value))

    def at_place(self, path: Path, name: str) -> Value:
        """What something that has been assigned holds here."""
        cell = self.places[path]
        value = cell.value
        if isinstance(value, (Maybe, Conflict)):
            value = self.present(value, f"the global {name!r}", f"name '{name}' is not defined", NameError)
            self.heap.write(cell, value)
        if value is None:
            self.throw(NameError, f"name '{name}' is not defined")
            return Static(None)
        return value

    def attribute_of(self, owner: Any, name: str) -> Value:
        path: Path
        if isinstance(owner, types.ModuleType) and not settled(owner):
            path = Global(Held(vars(owner)), name)
        else:
            home = Home(Held(owner), name)
            found = home.read((), {}) if isinstance(owner, type) else owner
            path = Field(Fixed(Held(found)), name)
            if path in self.places and found is not owner:
                self.guard(home, "is", found)
        return self.at_place(path, name) if path in self.places else super().attribute_of(owner, name)
