"""Objects of a running program by name, so that another process finds its own: functions, cells, namespaces.

A reference says how an object is reached: from the function that was compiled, or from a module.
"""

from __future__ import annotations

import functools
import importlib
import io
import pickle
import sys
import types
from typing import Any

import numpy as np

from tapeless.backends.native import fingerprints
from tapeless.backends.native.staging.paths import (
    Content,
    Field,
    Fixed,
    Global,
    Guard,
    Held,
    OnClass,
    Path,
    RuleOf,
)
from tapeless.backends.native.staging.templates import Kept
from tapeless.transformed import Transformed

#: Values that cannot change and that are as good as another equal one.
CONSTANTS = (
    bool, int, float, complex, str, bytes, range, slice, type(None), type(Ellipsis), type(NotImplemented),
    np.dtype, np.generic,
)  # fmt: skip
Ref = tuple[Any, ...]


class Reach:
    """The references of what can be reached from a function."""

    def __init__(self, root: Any) -> None:
        self.table: dict[int, Ref] = {}
        self.kept: list[Any] = []
        self.walk(root, ("root",))

    def walk(self, obj: Any, ref: Ref) -> None:
        if id(obj) in self.table or isinstance(obj, CONSTANTS):
            return
        self.table[id(obj)] = ref
        self.kept.append(obj)
        if isinstance(obj, types.FunctionType):
            for k, cell in enumerate(obj.__closure__ or ()):
                self.walk(cell, ("item", ("attribute", ref, "__closure__"), k))
        elif isinstance(obj, types.CellType):
            try:
                inside = obj.cell_contents
            except ValueError:
                return
            if callable(inside):
                self.walk(inside, ("attribute", ref, "cell_contents"))
        elif isinstance(obj, Transformed):
            self.walk(obj.fun, ("attribute", ref, "fun"))
        elif isinstance(obj, types.MethodType):
            self.walk(obj.__func__, ("attribute", ref, "__func__"))
            self.walk(obj.__self__, ("attribute", ref, "__self__"))
        elif isinstance(obj, functools.partial):
            self.walk(obj.func, ("attribute", ref, "func"))
            for k, value in enumerate(obj.args):
                self.walk(value, ("item", ("attribute", ref, "args"), k))
            for name, value in obj.keywords.items():
                self.walk(value, ("item", ("attribute", ref, "keywords"), name))
        elif callable(getattr(obj, "__wrapped__", None)):
            self.walk(obj.__wrapped__, ("attribute", ref, "__wrapped__"))

    def walk_guards(self, guards: list[Guard]) -> None:
        """Functions that have no name of their own are found where the guards look for them."""
        for guard in guards:
            if guard.test == "is" and callable(guard.value):
                ref = self.of_path(guard.path)
                if ref is not None:
                    self.walk(guard.value, ref)

    def of_path(self, path: Path) -> Ref | None:
        match path:
            case Fixed(held=held):
                return self.of(held.obj)
            case Global(namespace=namespace, name=name):
                ref = self.of(namespace.obj)
                return None if ref is None else ("item", ref, name)
            case Content(cell=cell):
                ref = self.of(cell.obj)
                return None if ref is None else ("attribute", ref, "cell_contents")
            case Field(of=of, name=name):
                ref = self.of_path(of)
                return None if ref is None else ("attribute", ref, name)
        return None

    def of(self, obj: Any) -> Ref | None:
        """The reference of an object; None if it has none."""
        if isinstance(obj, types.ModuleType):
            return ("module", obj.__name__) if sys.modules.get(obj.__name__) is obj else None
        if isinstance(obj, dict):
            module = sys.modules.get(obj.get("__name__", ""))
            if module is not None and vars(module) is obj:
                return "attribute", ("module", module.__name__), "__dict__"
        name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
        home = "numpy" if isinstance(obj, np.ufunc) else getattr(obj, "__module__", None) or "builtins"
        if isinstance(name, str) and isinstance(home, str):
            ref: Ref = ("module", home)
            for part in name.split("."):
                ref = ("attribute", ref, part)
            try:
                if resolve(ref, None) is obj:
                    return ref
            except (AttributeError, KeyError):
                pass
        return self.table.get(id(obj))


def resolve(ref: Ref, root: Any) -> Any:
    """The object of a reference in this process; raises where it is not there."""
    match ref:
        case ("root",):
            return root
        case ("module", name):
            own = name.startswith("tapeless.")  # programs that stand for functions of NumPy and others
            return importlib.import_module(name) if own else sys.modules[name]
        case ("attribute", of, name):
            return getattr(resolve(of, root), name)
        case ("item", of, key):
            return resolve(of, root)[key]
    raise KeyError(ref)


def name_of(obj: Any) -> str:
    """What an object calls itself."""
    names = [getattr(obj, n, "") for n in ("__module__", "__qualname__", "__name__")]
    return f"{type(obj).__qualname__} {' '.join(n for n in names if isinstance(n, str))}"


def as_it_is(guard: Guard) -> bool:
    """Whether a guard is about something without a name, that is told by what it is like."""
    match guard.path:
        case OnClass() | RuleOf() | Field(name="__code__" | "__mro__"):
            return True
        case Field(of=Fixed(held=Held(obj=types.ModuleType()))):
            return isinstance(guard.value, CONSTANTS)
    return False


def live(path: Path, text: str) -> Guard:
    """The guard that what is at a path now, which has to be like what is told, stays there."""
    found = path.read((), {})
    if fingerprints.member(found) != text:
        raise KeyError(path)
    return Guard(path, "is", found)


class _Named:
    """An object that is written as its reference."""

    def __init__(self, ref: Ref, text: str) -> None:
        self.ref, self.text = ref, text


class _Writer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, reach: Reach) -> None:
        super().__init__(file, protocol=5)
        self.reach = reach

    def persistent_id(self, obj: Any) -> Any:
        return (obj.ref, obj.text) if type(obj) is _Named else None

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is Held:
            return Held, (self.named(obj.obj),)
        if type(obj) is Kept:
            return Kept, (self.named(obj.obj),)
        if type(obj) is Guard and obj.test == "is":
            if as_it_is(obj):
                return live, (obj.path, fingerprints.member(obj.value))
            return Guard, (obj.path, "is", self.named(obj.value))
        return NotImplemented

    def named(self, obj: Any) -> Any:
        if isinstance(obj, CONSTANTS):
            return obj
        if type(obj) is tuple:
            return tuple(map(self.named, obj))
        ref = self.reach.of(obj)
        if ref is None:
            raise pickle.PicklingError(f"{type(obj).__name__} has no name")
        return _Named(ref, name_of(obj))


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, root: Any) -> None:
        super().__init__(file)
        self.root = root

    def persistent_load(self, named: tuple[Ref, str]) -> Any:
        ref, text = named
        found = resolve(ref, self.root)
        if name_of(found) != text:  # something else stands there
            raise KeyError(ref)
        return found


def write(value: Any, reach: Reach) -> bytes:
    file = io.BytesIO()
    _Writer(file, reach).dump(value)
    return file.getvalue()


def read(content: bytes, root: Any) -> Any:
    return _Reader(io.BytesIO(content), root).load()
