"""Operators, attributes and items of values: which of numbers, arrays, containers and objects they belong to."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tapeless.backends.native.nest import (
    FALSE, ONE, TRUE, ZERO, Check, Const, Expr, Intrinsic, Raise, Ref, Store, Swap, apply, const, walk,
)  # fmt: skip
from tapeless.backends.native.staging.base import describe
from tapeless.backends.native.staging.calls import Calls, Method, Partial
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.joins import Conflict, Maybe
from tapeless.backends.native.staging.scalars import BINARY, COMPARE, UNARY
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Bound,
    Cell,
    Closure,
    ComplexNumber,
    Instance,
    Lazy,
    Mapping,
    Number,
    Range,
    Sequence,
    Slice,
    Static,
    Value,
    View,
)
from tapeless.program.ir import Op

DUNDER = {
    "Add": "add", "Sub": "sub", "Mult": "mul", "Div": "truediv", "FloorDiv": "floordiv", "Mod": "mod",
    "Pow": "pow", "MatMult": "matmul", "LShift": "lshift", "RShift": "rshift", "BitOr": "or", "BitXor": "xor",
    "BitAnd": "and",
}  # fmt: skip
UNARY_DUNDER = {"UAdd": "__pos__", "USub": "__neg__", "Invert": "__invert__"}
COMPARE_DUNDER = {"==": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}
MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
ARRAY_COMPARE = {"==": "Eq", "!=": "NotEq", "<": "Lt", "<=": "LtE", ">": "Gt", ">=": "GtE"}
NUMPY = (np.generic,)


class Structures(Calls):
    """Dispatches on what a value is."""

    arrays: Any
    """The entry of the array half of staging."""

    # ---- which half

    def is_numpy(self, value: Value) -> bool:
        """An array, or a number of a NumPy class."""
        if isinstance(value, ArrayValue):
            return True
        if isinstance(value, (Number, ComplexNumber)):
            return issubclass(value.kind, NUMPY)
        return isinstance(value, Static) and isinstance(value.obj, NUMPY)

    def is_plain(self, value: Value) -> bool:
        """A number of one of Python's own classes."""
        return (self.is_number(value) or self.is_complex(value)) and not self.is_numpy(value)

    def class_of(self, value: Value) -> type | None:
        """The class of a value, where it is known."""
        if isinstance(value, (Number, ComplexNumber, Sequence, Mapping)):
            return value.kind
        if isinstance(value, Instance):
            return value.cls
        if isinstance(value, Static):
            return type(value.obj)
        if isinstance(value, ArrayValue):
            return np.ndarray
        simple = {Closure: types.FunctionType, Range: range, Slice: slice, Bound: types.MethodType, Partial: functools.partial}
        return simple.get(type(value))

    def python_method(self, value: Value, name: str) -> Any:
        """A method written in Python that the class of a value has under a special name."""
        cls = self.class_of(value)
        if cls is None or not isinstance(value, (Instance, Sequence, Mapping)):
            return None
        for base in cls.__mro__:
            if name in base.__dict__:
                found = base.__dict__[name]
                return found if isinstance(found, (types.FunctionType, functools.partialmethod)) else None
        return None

    # ---- operators

    def binary(self, op: str, a: Value, b: Value) -> Value:
        made = self.overloaded(op, a, b)
        if made is not None:
            return made
        if isinstance(a, Static) and isinstance(b, Static):
            return self.evaluate(BINARY[op], a, b)
        if self.is_plain(a) and self.is_plain(b):
            if self.is_complex(a) or self.is_complex(b):
                return self.complex_binary(op, a, b)
            return self.number_binary(op, a, b)
        if self.is_numpy(a) or self.is_numpy(b):
            made = self.arrays.binary(self, op, a, b)
            assert isinstance(made, Value)
            return made
        return self.sequence_binary(op, a, b)

    def overloaded(self, op: str, a: Value, b: Value) -> Value | None:
        """The result of an operator that the class of an operand defines."""
        name = DUNDER[op]
        left = self.python_method(a, f"__{name}__")
        right = self.python_method(b, f"__r{name}__")
        if left is None and right is None:
            return None
        tries = [(left, a, b), (right, b, a)]
        ka, kb = self.class_of(a), self.class_of(b)
        if ka is not kb and ka is not None and kb is not None and issubclass(kb, ka) and right is not None:
            tries.reverse()
        if self.is_numpy(a) and right is not None and not isinstance(a, (Number, ComplexNumber, Static)):
            if getattr(kb, "__array_ufunc__", 0) is not None and not hasattr(kb, "__array_priority__"):
                self.refuse("an array is combined with an object, element by element", "put the object first")
        for method, owner, other in tries:
            if method is not None:
                made = self.call_object(method, [owner, other], {})
                if not self.alive or not (isinstance(made, Static) and made.obj is NotImplemented):
                    return made
        if self.is_numpy(a) or self.is_numpy(b):
            return None
        names = [k.__name__ if k else "object" for k in (ka, kb)]
        symbol = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "Pow": "** or pow()"}.get(op, op)
        self.throw(TypeError, f"unsupported operand type(s) for {symbol}: '{names[0]}' and '{names[1]}'")
        return a

    def sequence_binary(self, op: str, a: Value, b: Value) -> Value:
        if op == "Add" and self.is_sequence(a) and self.is_sequence(b):
            kinds = [list if self.class_of(v) is list else tuple for v in (a, b)]
            if kinds[0] is kinds[1]:
                made = Sequence([*self.listed(a), *self.listed(b)], kinds[0])
                return self.heap.born(made) if kinds[0] is list else made  # type: ignore[no-any-return]
        if op == "Mult" and (self.is_sequence(a) or self.is_sequence(b)):
            if self.is_sequence(b):
                a, b = b, a
            times = self.known(b, "repeat a list a known number of times, or use np.zeros")
            kind = list if self.class_of(a) is list else tuple
            made = Sequence(self.listed(a) * int(times), kind)
            return self.heap.born(made) if kind is list else made  # type: ignore[no-any-return]
        if op == "Mod" and isinstance(a, Static) and isinstance(a.obj, str):
            return self.evaluate(BINARY[op], a, b)
        if op == "BitOr" and isinstance(a, Mapping) and isinstance(b, Mapping):
            return self.heap.born(Mapping({**a.items, **b.items}))  # type: ignore[no-any-return]
        for v in (a, b):
            if isinstance(v, Static) and v.obj is None:
                names = [k.__name__ if k else "object" for k in map(self.class_of, (a, b))]
                symbol = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "Pow": "** or pow()"}.get(op, op)
                self.throw(TypeError, f"unsupported operand type(s) for {symbol}: '{names[0]}' and '{names[1]}'")
                return a
        if isinstance(a, Static) or isinstance(b, Static):
            for v in (a, b):
                self.known(v) if not isinstance(v, Static) else None
            return self.evaluate(BINARY[op], a, b)
        self.refuse(f"{op} of {describe(a)} and {describe(b)}", "use numbers or arrays")

    def is_sequence(self, value: Value) -> bool:
        return isinstance(value, Sequence) or (isinstance(value, Static) and isinstance(value.obj, tuple))

    def inplace(self, op: str, a: Value, b: Value) -> Value:
        method = self.python_method(a, f"__i{DUNDER[op]}__")
        if method is not None:
            return self.call_object(method, [a, b], {})
        if isinstance(a, ArrayValue):
            made: Value = self.arrays.inplace(self, self.in_storage(a), op, b)
            return a if isinstance(a, Lazy) else made
        if isinstance(a, Sequence) and a.kind is list and op in ("Add", "Mult"):
            items = [*a.items, *self.listed(b)] if op == "Add" else a.items * int(self.known(b))
            self.heap.write(a, items)
            return a
        if isinstance(a, Mapping) and op == "BitOr":
            self.heap.write(a, {**a.items, **self.table(b)})
            return a
        return self.binary(op, a, b)

    def in_storage(self, value: ArrayValue) -> View:
        """An array that is written: it has storage from here on."""
        if isinstance(value, View):
            return value
        made: View = self.arrays.materialise(self, value)
        return made

    def unary(self, op: str, a: Value) -> Value:
        method = self.python_method(a, UNARY_DUNDER[op])
        if method is not None:
            return self.call_object(method, [a], {})
        if isinstance(a, Static):
            return self.evaluate(UNARY[op], a)
        if self.is_plain(a):
            return self.number_unary(op, a)
        if self.is_numpy(a):
            made: Value = self.arrays.unary(self, op, a)
            return made
        self.refuse(f"{op} of {describe(a)}", "use numbers or arrays")

    # ---- comparisons and truth

    def compare(self, op: str, a: Value, b: Value) -> Value:
        if op in ("is", "is not"):
            for x, y in ((a, b), (b, a)):
                if isinstance(x, Maybe):
                    return self.optional_is(x, y, op == "is")
            same = self.identical(a, b)
            return Static(same if op == "is" else not same)
        if op in ("in", "not in"):
            found = self.contains(b, a)
            return found if op == "in" else self.inverse(found)
        for x, y, name in ((a, b, op), (b, a, MIRRORED[op])):
            method = self.python_method(x, COMPARE_DUNDER[name])
            if method is not None:
                generated = isinstance(x, Instance) and method.__code__.co_filename == "<string>"
                if generated:
                    return self.dataclass_compare(op, a, b)
                made = self.call_object(method, [x, y], {})
                if not (isinstance(made, Static) and made.obj is NotImplemented):
                    return made
                continue
            if name == "!=" and self.python_method(x, "__eq__") is not None:
                return self.inverse(self.compare("==", x, y))
        if isinstance(a, Static) and isinstance(b, Static):
            return self.evaluate(COMPARE[op], a, b)
        if self.is_plain(a) and self.is_plain(b):
            return self.number_compare(op, a, b)
        if self.is_numpy(a) or self.is_numpy(b):
            compared: Value = self.arrays.compare(self, ARRAY_COMPARE[op], a, b)
            return compared
        if self.is_sequence(a) and self.is_sequence(b):
            return self.compare_sequences(op, self.listed(a), self.listed(b))
        if isinstance(a, Mapping) and isinstance(b, Mapping) and op in ("==", "!="):
            same_keys = set(a.items) == set(b.items)
            made = Static(False)
            if same_keys:
                keys = list(a.items)
                made = self.compare_sequences("==", [a.items[k] for k in keys], [b.items[k] for k in keys])  # type: ignore[assignment]
            return made if op == "==" else self.inverse(made)
        if op in ("==", "!="):
            return Static(self.identical(a, b) is (op == "=="))
        names = [k.__name__ if k else "object" for k in map(self.class_of, (a, b))]
        self.throw(TypeError, f"'{op}' not supported between instances of '{names[0]}' and '{names[1]}'")
        return Static(False)

    def dataclass_compare(self, op: str, a: Value, b: Value) -> Value:
        if isinstance(a, Instance) and isinstance(b, Instance) and a.cls is b.cls:
            names = [n for n, f in getattr(a.cls, "__dataclass_fields__").items() if f.compare]  # noqa: B009
            return self.compare_sequences(op, [a.fields[n] for n in names], [b.fields[n] for n in names])
        return Static(op == "!=")

    def compare_sequences(self, op: str, a: list[Value], b: list[Value]) -> Value:
        if op in ("==", "!=") and len(a) != len(b):
            return Static(op == "!=")
        if op in ("==", "!="):
            same: Expr = TRUE
            for x, y in zip(a, b, strict=True):
                if x is not y:
                    same = apply("all", same, self.truth(self.compare("==", x, y)))
            return self.boolean(same if op == "==" else self.not_(same))
        strict = op in ("<", ">")
        result: Expr = const((len(a) < len(b)) if op[0] == "<" else (len(a) > len(b)))
        if len(a) == len(b):
            result = const(not strict)
        for x, y in reversed(list(zip(a, b, strict=False))):
            less = self.truth(self.compare(op[0], x, y))
            equal = self.truth(self.compare("==", x, y))
            result = apply("any", less, apply("all", equal, result))
        return self.boolean(result)

    def boolean(self, condition: Expr) -> Value:
        return Static(bool(condition.value)) if isinstance(condition, Const) else Number(condition, bool)

    def inverse(self, value: Value) -> Value:
        return self.boolean(self.not_(self.truth(value)))

    def identical(self, a: Value, b: Value) -> bool:
        if isinstance(a, Static) and isinstance(b, Static):
            return a.obj is b.obj
        if isinstance(a, (Number, ComplexNumber)) and isinstance(b, Static) and not self.is_number(b):
            return False
        if isinstance(a, Static) or isinstance(b, Static):
            return False
        if isinstance(a, Number) and isinstance(b, Number) and a is not b:
            self.refuse("two numbers are compared with `is`", "compare them with ==")
        if isinstance(a, View) and isinstance(b, View):
            return a is b or (a.array is b.array and (a.axes, a.shape) == (b.axes, b.shape))
        return a is b

    def optional_is(self, x: Maybe, y: Value, wanted: bool) -> Value:
        """`x is y` for what may be one thing or another."""
        assert x.otherwise is not None
        if isinstance(y, Maybe):
            self.refuse("two values that may be None are compared with `is`", "compare each with None")
        yes, no = self.identical(x.value, y), self.identical(x.otherwise, y)
        if yes == no:
            return Static(yes is wanted)
        return Number(x.bound if yes is wanted else self.not_(x.bound), bool)

    def contains(self, container: Value, item: Value) -> Value:
        method = self.python_method(container, "__contains__")
        if method is not None:
            return self.boolean(self.truth(self.call_object(method, [container, item], {})))
        if isinstance(container, Mapping):
            return Static(self.known(item) in container.items)
        if isinstance(container, Static) and isinstance(item, Static):
            return self.evaluate(lambda c, x: x in c, container, item)
        if isinstance(container, Range) and self.is_number(item):
            pass
        found: Expr = FALSE
        for other in self.listed(container):
            same = TRUE if other is item else self.truth(self.compare("==", item, other))
            found = apply("any", found, same)
        return self.boolean(found)

    def other_truth(self, value: Value) -> Expr:
        if isinstance(value, ArrayValue):
            condition: Expr = self.arrays.truth(self, value)
            return condition
        if isinstance(value, Instance):
            for name in ("__bool__", "__len__"):
                method = self.python_method(value, name)
                if method is not None:
                    return self.truth(self.call_object(method, [value], {}))
            return TRUE
        if isinstance(value, Range):
            return apply("lt", value.start, value.stop) if value.step > 0 else apply("gt", value.start, value.stop)
        return TRUE

    # ---- iteration

    def iteration(self, value: Value) -> Iteration:
        if isinstance(value, Iteration):
            return value
        if isinstance(value, Sequence):
            method = self.python_method(value, "__iter__")
            if method is not None:
                return self.iterated(self.call_object(method, [value], {}))
            return Iteration(list(value.items), more=lambda: live_items(value))
        if isinstance(value, Mapping):
            return Iteration([self.constant(k) for k in value.items])
        if isinstance(value, Entries):
            return Iteration(value.listed(self), more=lambda: value.live(self))
        if isinstance(value, Generator):
            return Iteration(value.items(self))
        if isinstance(value, Range):
            return Iteration(None, self.range_length(value), bounds=(value.start, value.stop, value.step),
                             item=lambda i: Number(i, int) if not isinstance(i, Const) else Static(i.value))  # fmt: skip
        if isinstance(value, ArrayValue):
            if not value.ndim:
                self.throw(TypeError, "iteration over a 0-d array")
                return Iteration([])
            length, item = self.arrays.iterate(self, value)
            return Iteration(None, length, item)
        if isinstance(value, Static):
            try:
                items = list(value.obj)
            except TypeError as error:
                self.throw(TypeError, *error.args)
                return Iteration([])
            if isinstance(value.obj, range) and len(items) > 4:
                r = value.obj
                return self.iteration(Range(const(r.start), const(r.stop), r.step))
            return Iteration([self.constant(v) for v in items])
        if isinstance(value, Instance):
            method = self.python_method(value, "__iter__")
            if method is not None:
                return self.iterated(self.call_object(method, [value], {}))
            method = self.python_method(value, "__getitem__")
            if method is not None and self.python_method(value, "__len__") is not None:
                length = self.as_expr(self.call_object(self.python_method(value, "__len__"), [value], {}))
                return Iteration(None, length, lambda i: self.getitem(value, Number(i, int)))
        if self.is_number(value):
            kind = self.kind_of(value).__name__
            self.throw(TypeError, f"cannot unpack non-iterable {kind} object" if False else f"'{kind}' object is not iterable")
            return Iteration([])
        self.refuse(f"a loop over {describe(value)}", "loop over a range, an array or a tuple")

    def iterated(self, value: Value) -> Iteration:
        """What `__iter__` gave."""
        if isinstance(value, Instance):
            self.refuse(f"a loop over an iterator of class {value.cls.__name__}", "write a generator, or a loop")
        return self.iteration(value)

    def range_length(self, r: Range) -> Expr:
        """How many numbers a range has."""
        if r.step == 1:
            return apply("maximum", apply("sub", r.stop, r.start), ZERO)
        span = apply("sub", r.stop, r.start) if r.step > 0 else apply("sub", r.start, r.stop)
        return apply("maximum", apply("floordiv", apply("add", span, const(abs(r.step) - 1)), const(abs(r.step))), ZERO)

    # ---- attributes

    def op_getattr(self, op: Op) -> None:
        value = self.read(op.args[0])
        if self.alive:
            self.result(op, self.resolved(lambda x: self.getattr(x, op.attrs["name"]), value))

    def getattr(self, owner: Value, name: str) -> Value:
        from tapeless.backends.native.staging.methods import method_of

        if isinstance(owner, Static):
            return self.static_attribute(owner, name)
        if isinstance(owner, Instance):
            return self.instance_attribute(owner, name)
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
            fields = getattr(owner.kind, "_fields", None)
            if fields is not None and name in fields:
                return owner.items[fields.index(name)]
        if name == "__class__":
            return Static(self.class_of(owner))
        if isinstance(owner, Closure) and name in ("__name__", "__qualname__", "__doc__"):
            return Static(getattr(owner.function, name))
        if isinstance(owner, (Range, Slice)) and name in ("start", "stop", "step"):
            part = getattr(owner, name)
            return part if isinstance(part, Value) else Static(part) if isinstance(part, int) else Number(part, int)
        cls = self.class_of(owner)
        if cls is not None:
            return self.class_attribute(owner, cls, name)
        self.refuse(f"the attribute {name!r} of {describe(owner)}", "use another way to reach it")

    def array_method(self, owner: Value, name: str, args: list[Value], kwargs: dict[str, Value]) -> Value:
        made: Value = self.arrays.method(self, owner, name, args, kwargs)
        return made

    def static_attribute(self, owner: Static, name: str) -> Value:
        obj = owner.obj
        if isinstance(obj, (types.ModuleType, type)):
            return self.attribute_of(obj, name)
        if isinstance(obj, SuperOf):
            return self.super_attribute(obj, name)
        from tapeless.backends.native.staging.methods import method_of

        found = method_of(self, owner, name)
        if found is not None:
            return found
        try:
            return self.constant(getattr(obj, name))
        except AttributeError as error:
            self.throw(AttributeError, *error.args)
            return Static(None)

    def instance_attribute(self, owner: Instance, name: str) -> Value:
        cls_value = lookup(owner.cls, name)
        if isinstance(cls_value, property):
            return self.call_object(cls_value.fget, [owner], {})
        held = owner.fields.get(name)
        if held is not None:
            if isinstance(held, (Maybe, Conflict)):
                message = f"'{owner.cls.__name__}' object has no attribute '{name}'"
                held = self.present(held, f"the attribute {name!r}", message, AttributeError)
                self.heap.touch(owner)
                owner.fields[name] = held
            return held
        if name == "__class__":
            return Static(owner.cls)
        if issubclass(owner.cls, BaseException) and name in ("__traceback__", "__cause__", "__context__"):
            if name == "__traceback__":
                return Static(None)
            self.refuse(f"the attribute {name} of an exception", "keep what you need in a variable")
        if name == "__dict__":
            return Mapping(dict(owner.fields))
        if isinstance(cls_value, functools.cached_property):
            made = self.call_object(cls_value.func, [owner], {})
            if self.alive:
                self.set_field(owner, name, made)
            return owner.fields[name] if self.alive else made
        return self.class_attribute(owner, owner.cls, name)

    def class_attribute(self, owner: Value, cls: type, name: str) -> Value:
        """An attribute that an object has by its class."""
        found = lookup(cls, name)
        if found is MISSING:
            fallback = lookup(cls, "__getattr__")
            if isinstance(fallback, types.FunctionType):
                return self.call_object(fallback, [owner, Static(name)], {})
            self.throw(AttributeError, f"'{cls.__name__}' object has no attribute '{name}'")
            return Static(None)
        if isinstance(found, property):
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
            return Bound(Partial(Static(found.func), [owner, *map(self.outside, found.args)],
                                 {k: self.outside(v) for k, v in found.keywords.items()}), owner)  # fmt: skip
        if isinstance(found, (types.WrapperDescriptorType, types.MethodDescriptorType, types.MemberDescriptorType)):
            if name in ("__init__", "__init_subclass__"):
                return Static(lambda *a, **k: None) if False else Bound(Static(found), owner)
            return Bound(Static(found), owner)
        if hasattr(type(found), "__get__") and not isinstance(found, type):
            getter = getattr(type(found), "__get__")  # noqa: B009
            if isinstance(getter, types.FunctionType):
                return self.call_object(getter, [self.outside(found), owner, Static(cls)], {})
        return self.attribute_of(cls, name)

    def super_attribute(self, obj: SuperOf, name: str) -> Value:
        mro = (obj.owner.obj if obj.by_class else obj.cls).__mro__
        for base in mro[mro.index(obj.after) + 1 :]:
            if name in base.__dict__:
                found = base.__dict__[name]
                if isinstance(found, staticmethod):
                    return Static(found.__func__)
                if isinstance(found, classmethod):
                    return Bound(Static(found.__func__), Static(obj.cls))
                if isinstance(found, property):
                    return self.call_object(found.fget, [obj.owner], {})
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
        elif isinstance(owner, Closure) and name == "__annotations__":
            pass
        elif isinstance(owner, ArrayValue):
            self.refuse(f"the attribute {name!r} of an array is set", "use a function that makes a new array")
        else:
            self.refuse(f"the attribute {name!r} of {describe(owner)} is set", "return the value instead")

    def setattr(self, owner: Instance, name: str, value: Value) -> None:
        found = lookup(owner.cls, name)
        if isinstance(found, property):
            if found.fset is None:
                self.throw(AttributeError, f"property '{name}' of '{owner.cls.__name__}' object has no setter")
            else:
                self.call_object(found.fset, [owner, value], {})
            return
        setter = lookup(owner.cls, "__setattr__")
        if isinstance(setter, types.FunctionType):
            if setter.__code__.co_filename == "<string>":
                import dataclasses

                self.throw(dataclasses.FrozenInstanceError, f"cannot assign to field {name!r}")
            else:
                self.call_object(setter, [owner, Static(name), value], {})
            return
        put = getattr(type(found), "__set__", None)
        if isinstance(put, types.FunctionType):
            self.call_object(put, [self.outside(found), owner, value], {})
            return
        if found is MISSING and not owner.cls.__dictoffset__:
            self.throw(AttributeError, f"'{owner.cls.__name__}' object has no attribute '{name}'")
            return
        self.set_field(owner, name, value)

    def op_delattr(self, op: Op) -> None:
        owner, name = self.read(op.args[0]), op.attrs["name"]
        if not isinstance(owner, Instance):
            self.refuse(f"the attribute {name!r} of {describe(owner)} is deleted", "set it to None")
        found = lookup(owner.cls, name)
        if isinstance(found, property) and found.fdel is not None:
            self.call_object(found.fdel, [owner], {})
            return
        if isinstance(lookup(owner.cls, "__delattr__"), types.FunctionType):
            self.refuse(f"an attribute of {describe(owner)} is deleted", "set it to None")
        if name not in owner.fields:
            self.throw(AttributeError, name)
            return
        self.heap.touch(owner)
        del owner.fields[name]

    # ---- items

    def op_getitem(self, op: Op) -> None:
        value, index = (self.read(a) for a in op.args)
        if self.alive:
            self.result(op, self.resolved(self.getitem, value, index))

    def getitem(self, value: Value, index: Value) -> Value:
        if isinstance(value, ArrayValue) or (self.is_numpy(value) and not isinstance(value, Static)):
            made: Value = self.arrays.getitem(self, value, index)
            return made
        method = self.python_method(value, "__getitem__")
        if method is not None:
            return self.call_object(method, [value, index], {})
        if isinstance(value, Sequence):
            return self.sequence_item(value, index)
        if isinstance(value, Mapping):
            key = self.known(index, "use a key that is known")
            held = value.items.get(key)
            if held is None:
                self.throw(KeyError, key)
                return Static(None)
            return self.present(held, f"the item {key!r}", str(key), KeyError)
        if isinstance(value, Static) and isinstance(value.obj, type):
            return Static(value.obj)  # list[float]
        if isinstance(value, Static):
            if isinstance(value.obj, tuple) and not self.is_known(index):
                return self.sequence_item(Sequence([self.constant(v) for v in value.obj], tuple), index)
            return self.evaluate(lambda v, i: v[i], value, index)
        if isinstance(value, Range):
            i = self.as_expr(index)
            n = self.range_length(value)
            return Number(apply("add", value.start, apply("mul", self.position(i, n, "range object index out of range"), value.step)), int)
        self.refuse(f"an item of {describe(value)}", "use an array, a list, a tuple or a dict")

    def sequence_item(self, value: Sequence, index: Value) -> Value:
        name = "list" if value.kind is list else "tuple"
        if isinstance(index, Number) and not isinstance(index.expr, Const):
            made = self.table_item(value, index)
            if made is not None:
                return made
        i = self.known(index, "use an index that is known, or an array")
        if isinstance(i, slice):
            items = value.items[i]
            part = Sequence(items, list if value.kind is list else tuple)
            return self.heap.born(part) if value.kind is list else part  # type: ignore[no-any-return]
        try:
            held = value.items[i]
        except IndexError:
            self.throw(IndexError, f"{name} index out of range")
            return Static(None)
        except TypeError as error:
            self.throw(TypeError, *error.args)
            return Static(None)
        return self.present(held, f"item {i}", str(i), IndexError)

    def table_item(self, value: Sequence, index: Number) -> Value | None:
        """An item by an index of run time, where all items are numbers of one class."""
        items = value.items
        if not items or not all(self.is_number(v) for v in items) or len(items) > 16:
            return None
        if any(isinstance(x, Ref) and any(x.var is o.var for o in self.open_loops) for x in self.origins(index.expr)):
            kinds = {self.kind_of(v) for v in items}
            if len(kinds) > 1:
                return None
        elif len({self.kind_of(v) for v in items}) > 1:
            return None
        name = "list" if value.kind is list else "tuple"
        at = self.bind(self.position(index.expr, const(len(items)), f"{name} index out of range"))
        exprs = [self.bind(self.as_expr(v)) for v in items]
        made = exprs[-1]
        for k in range(len(exprs) - 2, -1, -1):
            made = apply("select", apply("eq", at, const(k)), exprs[k], made)
        return Number(self.bind(made), self.kind_of(items[0]))

    def position(self, index: Expr, length: Expr, message: str) -> Expr:
        """An index, counted from the start, checked."""
        index = self.bind(index) if not isinstance(index, Const) else index
        if not self.ranges.proves(apply("ge", index, ZERO)):
            moved = apply("select", apply("lt", index, ZERO), apply("add", index, length), index)
            moved = self.bind(moved)
            self.check(apply("all", apply("ge", moved, ZERO), apply("lt", moved, length)), IndexError, message)
            return moved
        self.check(apply("lt", index, length), IndexError, message)
        return index

    def op_setitem(self, op: Op) -> None:
        owner, index, value = (self.read(a) for a in op.args)
        if self.alive:
            self.setitem(owner, index, value)

    def setitem(self, owner: Value, index: Value, value: Value) -> None:
        if isinstance(owner, ArrayValue):
            self.arrays.setitem(self, self.in_storage(owner), index, value)
            return
        method = self.python_method(owner, "__setitem__")
        if method is not None:
            self.call_object(method, [owner, index, value], {})
        elif isinstance(owner, Mapping):
            key = self.known(index, "use a key that is known")
            self.heap.touch(owner)
            owner.items[key] = self.stored(value)
        elif isinstance(owner, Sequence) and owner.kind is list:
            i = self.known(index, "use an index that is known, or an array")
            items = list(owner.items)
            try:
                items[i] = self.listed(value) if isinstance(i, slice) else self.stored(value)
            except IndexError:
                self.throw(IndexError, "list assignment index out of range")
                return
            self.heap.write(owner, items)
        elif isinstance(owner, Sequence):
            self.throw(TypeError, f"'{owner.kind.__name__}' object does not support item assignment")
        else:
            self.refuse(f"an item of {describe(owner)} is set", "use an array, a list or a dict of the program")

    def op_delitem(self, op: Op) -> None:
        owner, index = (self.read(a) for a in op.args)
        if not isinstance(owner, (Mapping, Sequence)):
            self.refuse(f"an item of {describe(owner)} is deleted", "use a list or a dict")
        key = self.known(index, "use an index that is known")
        held: Any = dict(owner.items) if isinstance(owner, Mapping) else list(owner.items)
        try:
            del held[key]
        except (KeyError, IndexError) as error:
            self.throw(type(error), *error.args)
            return
        self.heap.write(owner, held)


def live_items(owner: Sequence) -> Iterator[Value]:
    """The items of a list as a loop finds them that changes it."""
    k = 0
    while k < len(owner.items):
        yield owner.items[k]
        k += 1


class Entries(Value):
    """`d.keys()`, `d.values()` or `d.items()`: what the dict holds when it is looked at."""

    def __init__(self, owner: Mapping, how: str) -> None:
        self.owner, self.how = owner, how

    def entry(self, s: Structures, key: Any) -> Value:
        if self.how == "keys":
            return s.constant(key)
        value = s.getitem(self.owner, s.constant(key))
        return value if self.how == "values" else Sequence([s.constant(key), value], tuple)

    def listed(self, s: Structures) -> list[Value]:
        return [self.entry(s, k) for k in self.owner.items]

    def live(self, s: Structures) -> Iterator[Value]:
        for k in list(self.owner.items):
            yield self.entry(s, k)


class Generator(Value):
    """What calling a generator function gives: its body runs when its values are asked for."""

    def __init__(self, run: Callable[[Callable[[Value], None]], None], cells: dict[str, Cell]) -> None:
        self.run, self.cells, self.done = run, cells, False

    def consume(self, s: Structures, take: Callable[[Value], None]) -> None:
        """Run the body; `take` is given each value as it comes."""
        if not self.done:
            self.done = True
            self.run(take)

    def items(self, s: Structures) -> list[Value]:
        """Every value, before any is used: the body must not notice."""
        found: list[Value] = []
        level, loops, tip = s.heap.open(), len(s.open_loops), s.block
        start = s.heap.clock

        def take(value: Value) -> None:
            if len(s.open_loops) > loops or s.block is not s.tip(tip):
                s.refuse("a generator runs a number of times that is not known", "use a list or an array")
            found.append(value)

        with s.collect() as body:
            tip = body
            self.consume(s, take)
            ended = s.alive and s.block is s.tip(body)
        changed = [o for o, _ in s.heap.levels[level].values() if s.heap.age(o) <= start]
        s.heap.close(level)
        effects = any(isinstance(x, (Store, Check, Raise, Intrinsic, Swap)) for x in walk(body))
        if changed or effects or not ended:
            s.refuse(
                "a generator that changes something, or may raise, is used step by step",
                "use a list, or loop over what the generator loops over",
            )
        s.block.extend(body)
        return found


class SuperOf:
    """`super()`: what comes after a class in the order of an object's class."""

    def __init__(self, after: type, cls: type, owner: Any, by_class: bool) -> None:
        self.after, self.cls, self.owner, self.by_class = after, cls, owner, by_class


MISSING = object()


def lookup(cls: type, name: str) -> Any:
    """What a class holds under a name, not bound to anything."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return MISSING


__all__ = ["Cell", "ONE", "Structures", "SuperOf", "lookup"]
