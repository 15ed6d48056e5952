"""Attributes: of modules, classes, objects, arrays and numbers, as Python looks them up."""

from __future__ import annotations

import enum
import functools
import logging
import types
from typing import Any, cast

import numpy as np

from tapeless.backends.native.staging import logs
from tapeless.backends.native.staging.base import describe
from tapeless.backends.native.staging.callables import Method, Partial
from tapeless.backends.native.staging.constants import LIBRARY
from tapeless.backends.native.staging.deques import is_deque
from tapeless.backends.native.staging.inputs import SETTLED
from tapeless.backends.native.staging.iterables import Iterables
from tapeless.backends.native.staging.joins import Conflict, Maybe
from tapeless.backends.native.staging.mixed import of_one_class
from tapeless.backends.native.staging.paths import Field, Fixed, Held, Missing, lookup, slots_named
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Bound,
    Closure,
    ComplexNumber,
    Instance,
    Mapping,
    Number,
    Opaque,
    Range,
    Sequence,
    Slice,
    Static,
    Value,
)
from tapeless.program.ir import Op, Operand, Var
from tapeless.runtime.attributes import is_property


def can_change(obj: Any, name: str) -> bool:
    """Whether an attribute of an object that stays the same can be another one at the next call."""
    if isinstance(obj, types.FunctionType):
        return name in vars(obj) or name in ("__defaults__", "__kwdefaults__")
    return type(obj).__module__.split(".")[0] not in SETTLED and not isinstance(obj, enum.Enum)


class Attributes(Iterables):
    """Attributes of values of any class."""

    def op_getattr(self, op: Op) -> None:
        value = self.read(op.args[0])
        if self.alive:
            self.result(op, self.resolved(lambda x: self.getattr(x, op.attrs["name"]), value))

    def getattr(self, owner: Value, name: str) -> Value:
        from tapeless.backends.native.staging.methods import method_of

        if isinstance(owner, Static):
            return self.static_attribute(owner, name)
        if isinstance(owner, Instance):
            hook = self.on_class(owner.cls, "__getattribute__")
            if isinstance(hook, types.FunctionType):
                return self.call_object(hook, [owner, Static(name)], {})
            return self.instance_attribute(owner, name)
        owner = of_one_class(self, owner)  # another class has other attributes
        found = method_of(self, owner, name)
        if found is not None:
            return found
        if self.is_numpy(owner):
            if callable(getattr(np.ndarray, name, None)):
                return Bound(Static(Method(name, lambda s, v, a, k: self.array_method(v, name, a, k))), owner)
            made: Value = self.arrays.attribute(self, owner, name)
            return made
        if isinstance(owner, Number):
            if name in ("real", "imag", "numerator"):
                return owner if name != "imag" else Static(owner.kind(0))
        if isinstance(owner, ComplexNumber) and name in ("real", "imag"):
            return Number(owner.real if name == "real" else owner.imag, float)
        if isinstance(owner, Sequence):
            named = hasattr(owner.kind, "n_sequence_fields")  # such as sys.float_info
            fields = getattr(owner.kind, "__match_args__" if named else "_fields", None)
            if fields is not None and name in fields:
                item: Value = owner.items[fields.index(name)]
                return item
        if name == "__class__":
            return Static(self.class_of(owner))
        if isinstance(owner, Closure) and name in ("__name__", "__qualname__", "__doc__"):
            return Static(getattr(owner.function, name))
        if isinstance(owner, (Range, Slice)) and name in ("start", "stop", "step"):
            part = getattr(owner, name)
            return (
                part
                if isinstance(part, Value)
                else Static(part)
                if isinstance(part, int)
                else Number(part, int)
            )
        cls = self.class_of(owner)
        if cls is not None:
            return self.class_attribute(owner, cls, name)
        self.refuse(f"the attribute {name!r} of {describe(owner)}", "use another way to reach it")

    def array_method(self, owner: Value, name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
        if name == "__array__" and isinstance(owner, ArrayValue) and not args and not kwargs:
            return owner
        made: Value = self.arrays.method(self, owner, name, args, kwargs)
        return made

    def static_attribute(self, owner: Static, name: str) -> Value:
        obj = owner.obj
        if isinstance(obj, (types.ModuleType, type)):
            return self.attribute_of(obj, name)
        if isinstance(obj, SuperOf):
            return self.super_attribute(obj, name)
        if isinstance(obj, types.FunctionType) and (place := Field(Fixed(Held(obj)), name)) in self.places:
            return self.at_place(place, name)
        if isinstance(obj, logging.Logger):
            logged = logs.method(cast(Any, self), obj, name)
            if logged is not None:
                return Bound(Static(logged), owner)
        from tapeless.backends.native.staging.methods import method_of

        found = method_of(self, owner, name)
        if found is not None:
            return found
        if isinstance(obj, frozenset) and hasattr(set, name) and not hasattr(frozenset, name):
            self.refuse(f"a set is changed, by {name}", "change it outside the compiled function")
        try:
            found = getattr(obj, name)
            if can_change(obj, name) and not isinstance(obj, LIBRARY):
                return self.lift(found, Field(Fixed(Held(obj)), name), name)
            return self.constant(found)
        except AttributeError as error:
            self.throw(AttributeError, *error.args)
            return Static(None)

    def instance_attribute(self, owner: Instance, name: str) -> Value:
        cls_value = self.on_class(owner.cls, name)
        kind = type(cls_value)
        setter = getattr(kind, "__set__", None) if hasattr(kind, "__get__") else None
        if isinstance(cls_value, property) or isinstance(setter, types.FunctionType):
            return self.class_attribute(owner, owner.cls, name)  # goes before the object's own
        held = owner.fields.get(name)
        if isinstance(held, Opaque):
            self.refuse(f"{held.path} is of class {held.cls.__name__}", "use a list, a dict or an array")
        if held is not None:
            if isinstance(held, Maybe) and held.otherwise is None and self.given_by_class(owner.cls, name):
                inner = held
                held = self.choose(
                    held.bound,
                    lambda: self.present(inner.value, f"the attribute {name!r}", name),
                    lambda: self.attribute_by_class(owner, name),
                )
                if self.alive and isinstance(cls_value, functools.cached_property):
                    self.set_field(owner, name, held)
                return held
            if isinstance(held, (Maybe, Conflict)):
                message = f"'{owner.cls.__name__}' object has no attribute '{name}'"
                held = self.present(held, f"the attribute {name!r}", message, AttributeError)
                self.heap.note(owner)
                owner.fields[name] = held
            return held
        if name == "__class__":
            return Static(owner.cls)
        if issubclass(owner.cls, BaseException) and name in ("__traceback__", "__cause__", "__context__"):
            if name == "__traceback__":
                return Static(None)
            self.refuse(f"the attribute {name} of an exception", "keep what you need in a variable")
        if name == "__dict__":
            if slots_named(owner.cls) or issubclass(owner.cls, BaseException) or is_deque(owner):
                self.refuse(f"the dict of a {owner.cls.__name__}", "ask for its attributes by name")
            return self.heap.dict_of(owner)
        made = self.attribute_by_class(owner, name)
        if self.alive and isinstance(cls_value, functools.cached_property):
            self.set_field(owner, name, made)
            return owner.fields[name]
        return made

    def given_by_class(self, cls: type, name: str) -> bool:
        """Whether an object that has no attribute of that name has one by its class."""
        return any(self.on_class(cls, one) is not Missing for one in (name, "__getattr__"))

    def attribute_by_class(self, owner: Instance, name: str) -> Value:
        cls_value = self.on_class(owner.cls, name)
        if isinstance(cls_value, functools.cached_property):
            return self.call_object(cls_value.func, [owner], {})
        return self.class_attribute(owner, owner.cls, name)

    def class_attribute(self, owner: Value, cls: type, name: str) -> Value:
        """An attribute that an object has by its class."""
        found = self.on_class(cls, name)
        if found is Missing:
            fallback = self.on_class(cls, "__getattr__")
            if isinstance(
                fallback, (types.FunctionType, types.WrapperDescriptorType, types.MethodDescriptorType)
            ):
                return self.call_object(fallback, [owner, Static(name)], {})
            if fallback is not Missing:
                self.refuse(
                    f"{cls.__name__}.__getattr__, a {type(fallback).__name__}", "write it as a method"
                )
            self.throw(AttributeError, f"'{cls.__name__}' object has no attribute '{name}'")
            return Static(None)
        if is_property(found):
            return self.call_object(found.fget, [owner], {})
        if isinstance(found, staticmethod):
            return Static(found.__func__)
        if isinstance(found, classmethod):
            return Bound(Static(found.__func__), Static(cls))
        if isinstance(found, types.FunctionType):
            return Bound(Static(found), owner)
        if isinstance(found, functools._lru_cache_wrapper):
            return Bound(Static(found), owner)
        if isinstance(found, functools.partialmethod):
            return Partial(Static(found.func), [owner, *map(self.outside, found.args)],
                           {k: self.outside(v) for k, v in found.keywords.items()})  # fmt: skip
        if isinstance(
            found, (types.WrapperDescriptorType, types.MethodDescriptorType, types.MemberDescriptorType)
        ):
            if name in ("__init__", "__init_subclass__"):
                return Static(lambda *a, **k: None) if False else Bound(Static(found), owner)
            return Bound(Static(found), owner)
        if hasattr(type(found), "__get__") and not isinstance(found, type):
            getter = getattr(type(found), "__get__")  # noqa: B009
            if isinstance(getter, types.FunctionType):
                return self.call_object(getter, [self.outside(found), owner, Static(cls)], {})
        return self.attribute_of(cls, name)

    def super_attribute(self, obj: SuperOf, name: str) -> Value:
        start = obj.owner.obj if obj.by_class else obj.cls
        self.guard_order(start)
        mro = start.__mro__
        for base in mro[mro.index(obj.after) + 1 :]:
            self.on_class(base, name)
            if name in base.__dict__:
                found = base.__dict__[name]
                if isinstance(found, staticmethod):
                    return Static(found.__func__)
                if isinstance(found, classmethod):
                    return Bound(Static(found.__func__), Static(obj.cls))
                if is_property(found):
                    return self.call_object(found.fget, [obj.owner], {})
                getter = getattr(type(found), "__get__", None)
                if isinstance(getter, types.FunctionType) and not obj.by_class:
                    return self.call_object(getter, [self.outside(found), obj.owner, Static(obj.cls)], {})
                if name == "__new__":
                    return Static(found)
                return Bound(Static(found), obj.owner)
        self.throw(AttributeError, f"'super' object has no attribute '{name}'")
        return Static(None)

    def op_setattr(self, op: Op) -> None:
        owner, value = (self.read(a) for a in op.args)
        if not self.alive:
            return
        name = op.attrs["name"]
        if isinstance(owner, Instance):
            self.setattr(owner, name, value)
        elif isinstance(owner, Static):
            self.put_attribute(owner.obj, name, value)
        elif isinstance(owner, Mapping) and lookup(owner.kind, "__setattr__") is dict.__setitem__:
            self.heap.touch(owner)
            owner.items[name] = self.stored(value)
        elif isinstance(owner, Mapping) and isinstance(
            setter := self.on_class(owner.kind, "__setattr__"), types.FunctionType
        ):
            self.call_object(setter, [owner, Static(name), value], {})
        elif isinstance(owner, Closure) and name == "__annotations__":
            pass
        elif isinstance(owner, ArrayValue) and name == "shape":
            self.set_shape(op.args[0], owner, value)
        elif isinstance(owner, ArrayValue) and name in ("real", "imag"):
            self.arrays.set_part(self, owner, name, value)
        elif isinstance(owner, ArrayValue):
            self.refuse(f"the attribute {name!r} of an array is set", "use a function that makes a new array")
        else:
            self.refuse(f"the attribute {name!r} of {describe(owner)} is set", "return the value instead")

    def set_shape(self, var: Operand, owner: ArrayValue, shape: Value) -> None:
        """A local variable that alone has its array has the array in another shape from here on."""
        from tapeless.backends.native.staging import reshaping

        frame = self.frames[-1]
        elsewhere = self.heap.outer_changed or any(f.away for f in self.frames)
        if not isinstance(var, Var) or var not in frame.live.named or elsewhere:
            self.refuse("the attribute 'shape' of an array is set", "use reshape")
        stager: Any = self
        frame.env[var] = reshaping.in_place(stager, owner, shape)

    def setattr(self, owner: Instance, name: str, value: Value) -> None:
        found = self.on_class(owner.cls, name)
        if name in ("__dict__", "__class__"):
            self.refuse(f"{name} of an object is set", "set its attributes one by one")
        if is_deque(owner):
            self.refuse(f"the attribute {name!r} of a deque is set", "keep it in a variable")
        setter = self.on_class(owner.cls, "__setattr__")
        if isinstance(setter, types.FunctionType):
            if setter.__code__.co_filename == "<string>":
                import dataclasses

                self.throw(dataclasses.FrozenInstanceError, f"cannot assign to field {name!r}")
            else:
                self.call_object(setter, [owner, Static(name), value], {})
            return
        if getattr(setter, "__name__", None) != "__setattr__":
            self.refuse(
                f"{owner.cls.__name__}.__setattr__, a {type(setter).__name__}", "write it as a method"
            )
        if is_property(found, "__set__"):
            if found.fset is None:
                self.throw(
                    AttributeError, f"property '{name}' of '{owner.cls.__name__}' object has no setter"
                )
            else:
                self.call_object(found.fset, [owner, value], {})
            return
        put = getattr(type(found), "__set__", None)
        if isinstance(put, types.FunctionType):
            self.call_object(put, [self.outside(found), owner, value], {})
            return
        if found is Missing and not owner.cls.__dictoffset__:
            self.throw(AttributeError, f"'{owner.cls.__name__}' object has no attribute '{name}'")
            return
        self.set_field(owner, name, value)

    def op_delattr(self, op: Op) -> None:
        owner, name = self.read(op.args[0]), op.attrs["name"]
        if not isinstance(owner, Instance):
            self.refuse(f"the attribute {name!r} of {describe(owner)} is deleted", "set it to None")
        found = self.on_class(owner.cls, name)
        if isinstance(found, property) and found.fdel is not None:
            self.call_object(found.fdel, [owner], {})
            return
        if isinstance(self.on_class(owner.cls, "__delattr__"), types.FunctionType):
            self.refuse(f"an attribute of {describe(owner)} is deleted", "set it to None")
        if name not in owner.fields:
            self.throw(AttributeError, name)
            return
        self.heap.touch(owner)
        del owner.fields[name]


class SuperOf:
    """`super()`: what comes after a class in the order of an object's class."""

    def __init__(self, after: type, cls: type, owner: Any, by_class: bool) -> None:
        self.after, self.cls, self.owner, self.by_class = after, cls, owner, by_class
