"""Attributes of untyped values: descriptors in Python are opened, others looked up with their companion."""

from __future__ import annotations

import functools
import gc
import inspect
import weakref
from types import (
    CellType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np

from tapeless.rules import lookup
from tapeless.runtime.mirrors import Mirror
from tapeless.runtime.numbers import is_number_type
from tapeless.runtime.operators import Operators, is_python, on_class
from tapeless.runtime.structure import plan_of

_NUMBERS = (float, complex, np.generic, np.ndarray)
#: types of attributes of a class that are not descriptors
_CONSTANTS = frozenset({type(None), int, float, bool, str, tuple, np.ndarray})
#: attributes of an array that carry no derivative, or are the same memory
_LAYOUT = frozenset({"T", "shape", "dtype", "ndim", "size", "itemsize", "nbytes", "strides", "flags"})
_METHODS = (FunctionType, MethodDescriptorType, WrapperDescriptorType)
_WINDOWS = ("flat", "base", "data", "ctypes", "__array_interface__")
_SETATTR: Any = object.__setattr__
_GETATTRIBUTE: Any = object.__getattribute__


def is_property(found: Any, method: str = "__get__") -> bool:
    """Whether `found` is a property, or of a subclass that leaves `method` as it is."""
    kind = type(found)
    return (
        kind is property or issubclass(kind, property) and getattr(kind, method) is getattr(property, method)
    )


def hooked(x: Any, kind: type, name: str) -> bool:
    """Whether a subclass of a number or an array answers for `name` by a hook written in Python."""
    if type(kind.__getattribute__) is FunctionType:
        return True
    if hasattr(kind, name) or kind.__dictoffset__ and name in vars(x):
        return False
    return is_python(getattr(kind, "__getattr__", None))


def replaced(hook: Any, name: str) -> bool:
    """Whether a class has its own special method, in Python or taken from elsewhere (`dict.__setitem__`)."""
    return type(hook) is FunctionType or getattr(hook, "__name__", None) != name


class Attributes(Operators):
    """`getattr`, `setattr` and `delattr`."""

    def getattr(self, x: Any, dx: Any, name: str) -> tuple[Any, Any]:
        kind = type(x)
        if kind in self.ordinary:
            attributes, found = x.__dict__, on_class(kind, name)
            if type(found) in _CONSTANTS:
                if name in attributes:  # the class has no say in it
                    m = self.mirrors.get(id(x))
                    return attributes[name], None if m is None else m.data.get(name)
                if found is not None and not self.class_stores:
                    return found, None
        elif kind is np.ndarray and name in _LAYOUT:
            return getattr(x, name), None
        if kind in weakref.ProxyTypes:
            x = x.__reduce_ex__.__self__  # what it stands for
            kind = type(x)
        if kind is ModuleType:
            return getattr(x, name), self.look(x.__dict__, name) if self.module_stores else None
        if isinstance(x, _NUMBERS):
            get = getattr(type(on_class(kind, name)), "__get__", None)
            if type(get) is not FunctionType and not hooked(
                x, kind, name
            ):  # what is in Python is called below
                found = getattr(kind, name, None)
                if not isinstance(found, property) and type(found) is not FunctionType:
                    return self.number_attribute(x, dx, name, found)
        if isinstance(x, type):
            return self.class_attribute(x, name)
        if dx is not None and is_number_type(kind):
            return self.missing_rule(f"attribute {name!r} of the number {kind.__name__}")
        if kind is CellType and name == "cell_contents":
            return x.cell_contents, self.look(x, 0)
        if kind is super:
            return self.super_attribute(x, name)
        if isinstance(x, tuple):
            item = self.tuple_attribute(x, dx, name)
            if item is not None:
                return item
        hook = kind.__getattribute__
        if hook is not _GETATTRIBUTE and replaced(hook, "__getattribute__"):
            try:
                return self.special(hook, "__getattribute__", (x, name), (dx, None))
            except AttributeError:
                if is_python(getattr(kind, "__getattr__", None)):
                    return self.call(kind.__getattr__, (x, name), (dx, None))
                raise
        found = on_class(kind, name)
        how = type(found)
        if is_property(found) and found.fget is not None:
            try:
                return self.call(found.fget, (x,), (dx,))
            except AttributeError:
                if is_python(getattr(kind, "__getattr__", None)):
                    return self.call(kind.__getattr__, (x, name), (dx, None))
                raise
        if how is functools.cached_property and name not in x.__dict__:
            value, t = self.call(found.func, (x,), (dx,))
            x.__dict__[name] = value
            self.put_attribute(x, name, t)
            return value, t
        get = getattr(how, "__get__", None)
        if type(get) is FunctionType and not (
            name in getattr(x, "__dict__", ()) and not hasattr(how, "__set__")
        ):
            return self.call(get, (found, x, kind), (None, dx, None))
        if hasattr(kind, "__getattr__"):
            try:
                value = object.__getattribute__(x, name)
            except AttributeError:
                return self.call(kind.__getattr__, (x, name), (dx, None))
        else:
            value = getattr(x, name)
        if name == "__dict__":
            self.share_dict(x, value)
        if self.slots and name == "gi_frame":
            return value, None
        if type(value) is not dict and is_ordinary(kind):
            self.ordinary.add(kind)
        t = self.look_attribute(x, name)
        if t is not None or not self.class_stores:
            return value, t
        if self.class_stores and name not in getattr(x, "__dict__", ()):
            return value, self.class_tangent(kind, name)
        return value, None

    def share_dict(self, x: Any, attributes: dict[str, Any]) -> None:
        """An object's `__dict__` and the object have one mirror."""
        data = self.attributes_mirror(x)
        if id(attributes) not in self.mirrors:
            self.mirrors[id(attributes)] = Mirror(attributes, data)

    def number_attribute(self, x: Any, dx: Any, name: str, found: Any) -> tuple[Any, Any]:
        value = getattr(x, name)
        own = name in getattr(x, "__dict__", ())
        if own and isinstance(x, np.ndarray):
            return value, self.handed_on(x, name, value)
        if callable(value) or isinstance(value, (int, tuple, np.dtype)) and not isinstance(value, np.generic):
            if dx is not None and callable(value):
                self.put(value, "__self__", dx)
            return value, None
        if name == "__dict__":
            for key in value if isinstance(x, np.ndarray) else ():
                self.put_attribute(x, key, self.handed_on(x, key, value[key]))
            self.share_dict(x, value)
            return value, None
        if not hasattr(found, "__get__") and not (isinstance(x, np.ndarray) and found is None):
            if own:  # of an instance of a subclass
                return value, self.look(x, name)
            return value, self.class_tangent(type(x), name) if self.class_stores else self.look(x, name)
        rule = lookup(found) if found is not None else None
        tx = self.tangent_of(x, dx)
        if tx is None:
            return value, None
        if isinstance(value, np.ndarray):
            if self.find_array(value)[0] is self.find_array(x)[0]:
                return value, None
        if rule is None:
            if isinstance(x, np.ndarray) and name in _WINDOWS:
                return value, None
            if found is None and plan_of(value, {}).kind == "none":  # a mark of a subclass: no number
                return value, None
            self.missing_rule(f"attribute {name!r} of {type(x).__name__}")
        return self.give(value, self.derive(rule, value, (x,), {}, (tx,), {}), (x,))

    def handed_on(self, x: Any, name: str, value: Any) -> Any:
        """The companion of an array's own attribute, which `__array_finalize__` may have from another."""
        t = self.look_attribute(x, name)
        if t is not None or isinstance(value, (list, dict)) or plan_of(value, {}).kind == "none":
            return t  # what a list or dict holds is known by it, whoever has it
        known = self.carried.get(id(value))  # the same object that the program gave an array
        if known is not None and known[1] is not self.carried:
            return known[1]
        if isinstance(value, np.ndarray) and self.find_array(value)[1] is not None:
            return None  # an array that is known, whoever put it there
        if known is None and not self.class_stores and _named_by_class(type(x), value):
            return None
        if known is not None or self.tangent_of(x, None) is not None or self.carries:
            self.missing_rule(f"attribute {name!r} of {type(x).__name__}")
        return None

    def carry(self, value: Any, t: Any) -> None:
        """The program gives an array `value` for an attribute; its object tells it apart from others."""
        known = self.carried.get(id(value))
        mixed = known is not None and known[1] is not t
        self.carried[id(value)] = (value, self.carried if mixed else t)
        self.carries = self.carries or t is not None

    def class_attribute(self, x: type, name: str) -> tuple[Any, Any]:
        value = getattr(x, name)
        if name == "__dict__" and self.class_stores:
            self.share_dict(x, behind(value))
        return value, self.class_tangent(x, name) if self.class_stores else None

    def class_tangent(self, kind: type, name: str) -> Any:
        for cls in kind.__mro__:
            if name in cls.__dict__:
                return self.look(cls, name)
        return None

    def super_attribute(self, x: Any, name: str) -> tuple[Any, Any]:
        obj, start, owner = x.__self__, x.__thisclass__, x.__self_class__
        dx = self.look(x, "__self__")
        if name == "__self__":
            return obj, dx
        mro = owner.__mro__
        for cls in mro[mro.index(start) + 1 :]:
            if name in cls.__dict__:
                found = cls.__dict__[name]
                if is_property(found):
                    return self.call(found.fget, (obj,), (dx,))
                get = getattr(type(found), "__get__", None)
                if type(get) is FunctionType and obj is not owner:
                    return self.call(get, (found, obj, owner), (None, dx, None))
                if name in getattr(cls, "_fields", ()) and dx is not None:
                    return getattr(x, name), dx[cls._fields.index(name)]
                break
        value = getattr(x, name)
        if dx is not None and getattr(value, "__self__", None) is obj:
            self.put(value, "__self__", dx)
        return value, None

    def tuple_attribute(self, x: Any, dx: Any, name: str) -> tuple[Any, Any] | None:
        """A field or a method of a tuple; None for what is found as in any other object."""
        kind = type(x)
        fields = getattr(kind, "_fields", None)
        if fields is not None and name in fields and not isinstance(kind.__dict__.get(name), property):
            value = getattr(x, name)
            return value, None if dx is None else dx[fields.index(name)]
        if type(on_class(kind, name)) in _METHODS and name not in getattr(x, "__dict__", ()):
            value = getattr(x, name)
            if dx is not None:
                self.put(value, "__self__", dx)
            return value, None
        return None

    # ---- stores

    def setattr(self, x: Any, name: str, value: Any, t: Any) -> None:
        kind = type(x)
        if kind in self.ordinary and kind.__setattr__ is _SETATTR and on_class(kind, name) is None:
            setattr(x, name, value)
            self.put(x, name, t)
            return
        if kind in weakref.ProxyTypes:
            x = x.__reduce_ex__.__self__  # what it stands for
            kind = type(x)
        if isinstance(x, np.ndarray) and name in ("real", "imag", "flat", "T"):
            self.setitem(getattr(x, name), Ellipsis, None, value, t)
            return
        if isinstance(x, np.ndarray) and name in ("shape", "strides", "dtype"):
            self.reinterpret(x, name, value)
        hook = kind.__setattr__
        if replaced(hook, "__setattr__"):
            self.special(hook, "__setattr__", (x, name, value), (None, None, t))
            return
        self.plain_setattr(x, name, value, t)

    def plain_setattr(self, x: Any, name: str, value: Any, t: Any) -> None:
        """What `object.__setattr__` does: descriptors of the class, then the instance's own attributes."""
        kind = type(x)
        if kind is CellType:
            x.cell_contents = value
            self.put(x, 0, t)
            return
        found: Any = on_class(kind, name) if not isinstance(x, (type, ModuleType)) else None
        if is_property(found, "__set__") and found.fset is not None:
            self.call(found.fset, (x, value), (None, t))
            return
        put = getattr(type(found), "__set__", None)
        if type(put) is FunctionType:
            self.call(put, (found, x, value), (None, None, t))
            return
        if isinstance(x, type):
            setattr(x, name, value)
            self.class_stores = self.class_stores or t is not None
            self.put_attribute(x, name, t)
            return
        if isinstance(x, ModuleType):
            setattr(x, name, value)
            if t is not None:
                self.module_stores = True
            self.put(x.__dict__, name, t)
            return
        if name == "__dict__" and type(found) is GetSetDescriptorType:
            setattr(x, name, value)
            self.mirrors[id(x)] = Mirror(x, self.dict_mirror(value))
            return
        if kind.__setattr__ is _SETATTR or type(kind.__setattr__) is not FunctionType:
            setattr(x, name, value)
        else:
            object.__setattr__(x, name, value)
        if t is not None and type(found) is GetSetDescriptorType and name not in ("args", "__defaults__"):
            self.untracked(f"attribute {name!r} of {kind.__name__}")
        if isinstance(x, np.ndarray) and type(found) is not MemberDescriptorType:
            self.carry(value, t)
        self.put_attribute(x, name, t)

    def delattr(self, x: Any, name: str) -> None:
        kind = type(x)
        hook = kind.__delattr__
        found = on_class(kind, name)
        if replaced(hook, "__delattr__"):
            self.special(hook, "__delattr__", (x, name), (None, None))
        elif is_property(found, "__delete__") and found.fdel is not None:
            self.call(found.fdel, (x,), (None,))
        else:
            delattr(x, name)
            if isinstance(x, ModuleType):
                self.put(x.__dict__, name, None)
            else:
                self.put_attribute(x, name, None)

    def reinterpret(self, x: Any, name: str, value: Any) -> None:
        """The memory of an array is about to be read in another way."""
        base, m = self.find_array(x)
        if m is None:
            return
        if name == "dtype" and np.dtype(value) != x.dtype:
            self.untracked("the dtype of an array")
        self.keep_shape(x)
        self.flatten(m, base)

    # given by other parts of a run
    def keep_shape(self, x: Any) -> None:
        """Operations that `x` has lent its shape only are to keep it: it is about to have another."""

    def flatten(self, m: Any, base: Any) -> None:
        """Bring a mirror into the memory order of its owner."""

    def give(self, value: Any, t: Any, args: Any) -> tuple[Any, Any]:
        raise NotImplementedError

    def setitem(self, x: Any, index: Any, di: Any, value: Any, t: Any) -> None:
        raise NotImplementedError

    def untracked(self, what: str) -> Any:
        raise NotImplementedError

    def refuse(self, kind: Any, message: str) -> Any:
        raise NotImplementedError


def _named_by_class(kind: type, value: Any) -> bool:
    """Whether `value` is an attribute of the classes, or a constant of their `__array_finalize__`."""
    for cls in kind.__mro__:
        code = getattr(vars(cls).get("__array_finalize__"), "__code__", None)
        if any(value is v for v in (*vars(cls).values(), *(code.co_consts if code else ()))):
            return True
    return False


def is_ordinary(kind: type) -> bool:
    """Whether instances keep plain attributes in a `__dict__` and nothing intercepts their look-up."""
    return (
        kind.__dictoffset__ != 0
        and kind.__getattribute__ is _GETATTRIBUTE
        and not issubclass(
            kind, (tuple, list, dict, set, frozenset, type, ModuleType, BaseException, np.ndarray)
        )
        and type(kind) is type
    )


def behind(proxy: MappingProxyType[Any, Any]) -> Any:
    """The mapping that a read-only proxy shows."""
    return gc.get_referents(proxy)[0]


__all__ = ["Attributes", "MemberDescriptorType", "inspect"]
