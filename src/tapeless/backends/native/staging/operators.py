"""Operators, comparisons and truth of values, as their classes have them."""

from __future__ import annotations

import functools
import types
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.backends.native.nest import (
    FALSE,
    I64,
    TRUE,
    Const,
    Expr,
    apply,
    const,
)  # fmt: skip
from tapeless.backends.native.staging import growing, growing_methods, records
from tapeless.backends.native.staging.base import TYPES, Text, describe
from tapeless.backends.native.staging.builtin_table import BUILTINS
from tapeless.backends.native.staging.callables import Partial
from tapeless.backends.native.staging.joins import Maybe
from tapeless.backends.native.staging.managers import Managers
from tapeless.backends.native.staging.mixed import Mixed, result
from tapeless.backends.native.staging.scalars import BINARY, COMPARE, UNARY
from tapeless.backends.native.staging.tables import class_of, kind_of_union
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Bound,
    Closure,
    ComplexNumber,
    Growing,
    Instance,
    Lazy,
    Mapping,
    Number,
    Opaque,
    Range,
    Sequence,
    Slice,
    Static,
    Value,
    View,
)

DUNDER = {
    "Add": "add", "Sub": "sub", "Mult": "mul", "Div": "truediv", "FloorDiv": "floordiv", "Mod": "mod",
    "Pow": "pow", "MatMult": "matmul", "LShift": "lshift", "RShift": "rshift", "BitOr": "or", "BitXor": "xor",
    "BitAnd": "and",
}  # fmt: skip
UNARY_DUNDER = {"UAdd": "__pos__", "USub": "__neg__", "Invert": "__invert__"}
COMPARE_DUNDER = {
    "==": "__eq__",
    "!=": "__ne__",
    "<": "__lt__",
    "<=": "__le__",
    ">": "__gt__",
    ">=": "__ge__",
}
MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
ARRAY_COMPARE = {"==": "Eq", "!=": "NotEq", "<": "Lt", "<=": "LtE", ">": "Gt", ">=": "GtE"}
NUMPY = (np.generic,)


#: An operator -> its two special methods.
BINARY_DUNDER = {op: (f"__{name}__", f"__r{name}__") for op, name in DUNDER.items()}
#: The integers of which CPython has one object each.
SMALL = range(-5, 257)
#: An object of each class of Python's own, in a tuple.
SAMPLES: dict[type, tuple[Any]] = {
    float: (1.0,), int: (1,), bool: (True,), complex: (1j,), str: ("",), bytes: (b"",), tuple: ((),),
    list: ([],), dict: ({},), type(None): (None,), frozenset: (frozenset(),),
}  # fmt: skip


def as_number(value: Value, methods: tuple[str, str]) -> Value:
    """A known number of a subclass, as of an enum, that has these methods from its number: as that."""
    if not isinstance(value, Static) or type(value.obj) in TYPES or not isinstance(value.obj, (int, float)):
        return value
    base: Any = int if isinstance(value.obj, int) else float
    cls = type(value.obj)
    own = isinstance(value.obj, np.generic) or any(getattr(cls, m) is not getattr(base, m) for m in methods)
    return value if own else Static(base.__pos__(value.obj))


class Operators(Managers):
    """Operators, comparisons and truth of values of any class."""

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
        if isinstance(value, Mapping):
            return class_of(value.kind)
        if isinstance(value, (Number, ComplexNumber, Sequence, Growing)):
            return value.kind
        if isinstance(value, Instance):
            return value.cls
        if isinstance(value, Static):
            return type(value.obj)
        if isinstance(value, ArrayValue):
            return np.ndarray
        simple = {
            Closure: types.FunctionType,
            Range: range,
            Slice: slice,
            Bound: types.MethodType,
            Partial: functools.partial,
        }
        return simple.get(type(value))

    def python_method(self, value: Value, name: str) -> Any:
        """A method written in Python that the class of a value has under a special name."""
        cls = self.class_of(value)
        if cls is None or not isinstance(value, (Instance, Sequence, Mapping)):
            return None
        found = self.on_class(cls, name)
        if isinstance(found, (types.FunctionType, functools.partialmethod)):
            return found
        own = isinstance(found, (types.WrapperDescriptorType, types.MethodDescriptorType))
        known = cls in (deque, set) and own and found in BUILTINS
        return found if known else None

    # ---- operators

    def binary(self, op: str, a: Value, b: Value) -> Value:
        made = self.operation(op, a, b)
        if isinstance(a, Mixed) or isinstance(b, Mixed):
            return result(self, BINARY[op], made, [a, b])
        return made

    def operation(self, op: str, a: Value, b: Value) -> Value:
        made = self.overloaded(op, a, b)
        if made is not None:
            return made
        if isinstance(a, Static) and isinstance(b, Static):
            return self.evaluate(BINARY[op], a, b)
        a, b = as_number(a, BINARY_DUNDER[op]), as_number(b, BINARY_DUNDER[op])
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
        samples = [SAMPLES.get(k) for k in map(self.class_of, (a, b)) if k is not None]
        formats = op == "Mod" and self.class_of(a) in (str, bytes)
        if len(samples) == 2 and None not in samples and not formats:
            try:
                BINARY[op](*(x[0] for x in samples if x))
            except TypeError as error:  # it is the classes alone that do not fit
                self.throw(TypeError, *error.args)
                return a
            except (ArithmeticError, ValueError):
                pass
        if op == "Add" and self.is_sequence(a) and self.is_sequence(b):
            kinds = [list if self.class_of(v) is list else tuple for v in (a, b)]
            if kinds[0] is kinds[1]:
                made = Sequence([*self.listed(a), *self.listed(b)], kinds[0])
                return self.heap.born(made) if kinds[0] is list else made
        if op == "Add" and Growing in (type(a), type(b)):
            joined = growing_methods.concatenated(self, a, b)
            if joined is not None:
                return joined
        if op == "Mult" and (self.is_sequence(a) or self.is_sequence(b)):
            if self.is_sequence(b):
                a, b = b, a
            if isinstance(a, Sequence) and a.kind is list and a.site and isinstance(b, Number):
                row = growing.repeated(self, a.items, self.as_expr(b, I64), (a.site, "repeated"))
                if row is not None:
                    return row
            times = self.known(b, "repeat a list a known number of times, or use np.zeros")
            items = self.listed(a) * int(times)
            if self.class_of(a) is not list:
                return Sequence(items, tuple)
            site = (a.site, "repeated") if isinstance(a, Sequence) and a.site else None
            return growing.born(self, site, items)
        if op == "Mod" and isinstance(a, Static) and isinstance(a.obj, str):
            many = isinstance(b, Sequence) and b.kind is tuple
            values = b.items if isinstance(b, Sequence) and many else [b]
            return self.text(("%", a.obj, many), values)
        if op == "Add" and isinstance(a, Text | Static) and isinstance(b, Text | Static):
            if isinstance(a, Text) or isinstance(b, Text):
                return self.text(("+",), [a, b])
        if op == "BitOr" and isinstance(a, Mapping) and isinstance(b, Mapping):
            return self.heap.born(Mapping({**a.items, **b.items}, kind_of_union(a.kind, b.kind)))  # type: ignore[no-any-return]
        for v in (a, b):
            if isinstance(v, Static) and v.obj is None:
                names = [k.__name__ if k else "object" for k in map(self.class_of, (a, b))]
                symbol = {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "Pow": "** or pow()"}.get(op, op)
                self.throw(
                    TypeError, f"unsupported operand type(s) for {symbol}: '{names[0]}' and '{names[1]}'"
                )
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
            if self.arrays.picked(a):  # `x[mask] += v`: nobody else holds what was picked
                changed: Value = self.arrays.inplace(self, a, op, b)
                return changed
            made: Value = self.arrays.inplace(self, self.in_storage(a), op, b)
            return a if isinstance(a, Lazy) else made
        if isinstance(a, Sequence) and a.kind is list and op in ("Add", "Mult"):
            items = [*a.items, *self.listed(b)] if op == "Add" else a.items * int(self.known(b))
            self.heap.write(a, items)
            return a
        if isinstance(a, Growing) and op == "Add":
            growing_methods.extend(self, a, b)
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
            made = self.number_unary(op, a)
            return result(self, UNARY[op], made, [a]) if isinstance(a, Mixed) else made
        if self.is_numpy(a):
            made = self.arrays.unary(self, op, a)
            return result(self, UNARY[op], made, [a]) if isinstance(a, Mixed) else made
        self.refuse(f"{op} of {describe(a)}", "use numbers or arrays")

    # ---- comparisons and truth

    def compare(self, op: str, a: Value, b: Value) -> Value:
        if op in ("is", "is not"):
            for x, y in ((a, b), (b, a)):
                if isinstance(x, Maybe):
                    return self.optional_is(x, y, op == "is")
            same = self.identical(a, b)
            self.tell_apart(a, b)
            return Static(same if op == "is" else not same)
        if op in ("in", "not in"):
            found = self.contains(b, a)
            return found if op == "in" else self.inverse(found)
        if isinstance(a, Text) or isinstance(b, Text):
            self.refuse("a text with numbers of run time in it is compared", "compare the numbers")
        if isinstance(a, Opaque) or isinstance(b, Opaque):
            self.refuse("objects are compared that are not compiled", "compare what is needed of them")
        if not (isinstance(a, Static) and isinstance(b, Static)):
            dunders = COMPARE_DUNDER[op], COMPARE_DUNDER[MIRRORED[op]]
            a, b = as_number(a, dunders), as_number(b, dunders)
        for x, y, name in ((a, b, op), (b, a, MIRRORED[op])):
            method = self.python_method(x, COMPARE_DUNDER[name])
            if method is not None:
                code = getattr(method, "__code__", None)
                generated = isinstance(x, Instance) and code is not None and code.co_filename == "<string>"
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
            ordered = issubclass(a.kind, OrderedDict) and issubclass(b.kind, OrderedDict)
            in_order: type = list if ordered else set
            same_keys = in_order(a.items) == in_order(b.items)
            made = Static(False)
            if same_keys:
                keys = list(a.items)
                made = self.compare_sequences("==", [a.items[k] for k in keys], [b.items[k] for k in keys])
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
        pairs = list(zip(a, b, strict=False))
        plain = next((k for k, pair in enumerate(pairs) if not self.may_be_compared(*pair)), len(pairs))
        if plain == len(pairs):
            return self.boolean(self.ordered(op, a, b))
        first = self.ordered(op[0], a[:plain], b[:plain])
        same = self.truth(self.compare_sequences("==", a[:plain], b[:plain]))
        return self.choose(
            same, lambda: self.ordered_by(op, a[plain:], b[plain:]), lambda: self.boolean(first)
        )

    def may_be_compared(self, x: Value, y: Value) -> bool:
        """Whether a comparison has no effects, and does not raise."""
        if isinstance(x, Static) and isinstance(y, Static):
            return type(x.obj) is type(y.obj) and isinstance(x.obj, (str, int, float))
        return self.is_number(x) and self.is_number(y)

    def ordered_by(self, op: str, a: list[Value], b: list[Value]) -> Value:
        """The same where the first items may be compared in any way: only if they decide."""
        same = TRUE if a[0] is b[0] else self.truth(self.compare("==", a[0], b[0]))
        if not self.alive:
            return Static(False)
        return self.choose(
            same,
            lambda: self.compare_sequences(op, a[1:], b[1:]),
            lambda: self.boolean(self.truth(self.compare(op, a[0], b[0]))),
        )

    def ordered(self, op: str, a: list[Value], b: list[Value]) -> Expr:
        """Which of two sequences of plain numbers comes first."""
        result: Expr = const((len(a) < len(b)) if op[0] == "<" else (len(a) > len(b)))
        if len(a) == len(b):
            result = const(op not in ("<", ">"))
        for x, y in reversed(list(zip(a, b, strict=False))):
            less = self.truth(self.compare(op[0], x, y))
            equal = self.truth(self.compare("==", x, y))
            result = apply("any", less, apply("all", equal, result))
        return result

    def boolean(self, condition: Expr) -> Value:
        return Static(bool(condition.value)) if isinstance(condition, Const) else Number(condition, bool)

    def inverse(self, value: Value) -> Value:
        return self.boolean(self.not_(self.truth(value)))

    def identical(self, a: Value, b: Value) -> bool:
        if a is not b and (records.in_a_list(self, a) or records.in_a_list(self, b)):
            if self.class_of(a) is self.class_of(b):
                self.refuse(
                    "objects in a list are told from each other", "give them numbers, and compare those"
                )
        if isinstance(a, Static) and isinstance(b, Static):
            return a.obj is b.obj
        if isinstance(a, (Number, ComplexNumber)) and isinstance(b, Static) and not self.is_number(b):
            return False
        if self.is_number(a) and self.is_number(b) and a is not b:
            return self.same_integer(a, b)
        if isinstance(a, Static) or isinstance(b, Static):
            known, other = (a, b) if isinstance(a, Static) else (b, a)
            assert isinstance(known, Static)
            return any(v is other and o is known.obj for o, v, _ in self.identities.values())
        if isinstance(a, ArrayValue) and isinstance(b, ArrayValue) and a is not b:
            if self.arrays.in_a_list(self, a) or self.arrays.in_a_list(self, b):
                self.refuse("an item of a list is compared with `is`", "compare indices")
        if isinstance(a, View) and isinstance(b, View):
            return a is b or (a.array is b.array and (a.axes, a.shape) == (b.axes, b.shape))
        return a is b

    def same_integer(self, a: Value, b: Value) -> bool:
        """Whether two numbers are one object, which CPython's small integers are."""
        kinds = {self.kind_of(a), self.kind_of(b)}
        if kinds == {int}:
            x, y = self.known(a), self.known(b)
            if x != y or x in SMALL:
                return bool(x == y)
        elif len(kinds) > 1:
            return False
        self.refuse("two numbers are compared with `is`", "compare them with ==")

    def optional_is(self, x: Maybe, y: Value, wanted: bool) -> Value:
        """`x is y` for what may be one thing or another."""
        assert x.otherwise is not None
        if isinstance(y, Maybe):
            self.refuse("two values that may be None are compared with `is`", "compare each with None")
        if isinstance(x.value, Maybe):
            there = self.truth(self.optional_is(x.value, y, wanted))
            other = const(self.identical(x.otherwise, y) is wanted)
            gone = apply("all", self.not_(x.bound), other)
            return self.boolean(apply("any", apply("all", x.bound, there), gone))
        yes, no = self.identical(x.value, y), self.identical(x.otherwise, y)
        if yes == no:
            return Static(yes is wanted)
        return Number(x.bound if yes is wanted else self.not_(x.bound), bool)

    def contains(self, container: Value, item: Value) -> Value:
        method = self.python_method(container, "__contains__")
        if method is not None:
            return self.boolean(self.truth(self.call_object(method, [container, item], {})))
        if isinstance(container, Mapping):
            return self.by_key(item, lambda key: Static(self.known(key) in container.items))
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
        if isinstance(value, Text):
            self.refuse("a text with numbers of run time in it decides", "let the numbers decide")
        if isinstance(value, Range):
            return (
                apply("lt", value.start, value.stop)
                if value.step > 0
                else apply("gt", value.start, value.stop)
            )
        return TRUE

    # implemented by the parts of staging above this one

    def getitem(self, value: Value, index: Value) -> Value:
        raise NotImplementedError

    def by_key(self, key: Value, use: Callable[[Value], Value]) -> Value:
        raise NotImplementedError

    def setattr(self, owner: Instance, name: str, value: Value) -> None:
        raise NotImplementedError
