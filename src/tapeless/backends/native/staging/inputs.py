"""Objects that come from outside: arguments, live globals and closure cells, as values of staging."""

from __future__ import annotations

import array
import collections
import logging
import types
from collections import Counter, OrderedDict, defaultdict
from typing import Any

import numpy as np

from tapeless.backends.native.affine import Affine, expression
from tapeless.backends.native.kernel import Mismatch
from tapeless.backends.native.nest import (
    Array,
    Check,
    Dim,
    Expr,
    Ref,
    Scalar,
    apply,
    const,
)
from tapeless.backends.native.staging.base import COMPLEX, TYPES
from tapeless.backends.native.staging.heap import content
from tapeless.backends.native.staging.operations import Operations
from tapeless.backends.native.staging.paths import (
    Address,
    Argument,
    Content,
    Field,
    Fixed,
    Global,
    Guard,
    Held,
    Item,
    Length,
    Missing,
    OnClass,
    Path,
    RuleOf,
    Undefined,
    Vacant,
    lookup,
    slots_of,
)
from tapeless.backends.native.staging.scalars import SMALL
from tapeless.backends.native.staging.tables import kind_with
from tapeless.backends.native.staging.values import (
    Bound,
    Cell,
    ComplexNumber,
    Instance,
    Mapping,
    Number,
    Opaque,
    RandomNumbers,
    Sequence,
    Static,
    Value,
    View,
)
from tapeless.program.ir import Op

#: Packages that do not change on the inside.
SETTLED = (
    "numpy", "math", "cmath", "builtins", "operator", "functools", "itertools", "typing", "scipy", "tapeless",
)  # fmt: skip
#: Containers with more items than this are not taken apart.
LONGEST = 1000
#: Axes of at most this length (coordinates, say) have a length that is fixed.
FEW = 4
#: What can change while it stays the same object, and is not read at every call.
CHANGEABLE = (list, dict, set, np.ndarray, bytearray, memoryview, collections.deque, array.array)
PLAIN = (str, bytes, type(None), type(Ellipsis), type(NotImplemented), range, slice, frozenset)


def settled(module: Any) -> bool:
    name = getattr(module, "__name__", None) or ""
    return str(name).split(".")[0] in SETTLED


def from_call(path: Path) -> bool:
    """Whether what is at a path is part of the arguments."""
    while isinstance(path, (Field, Item, Length)):
        path = path.of
    return isinstance(path, Argument)


class Inputs(Operations):
    """Makes parameters of the nest, and guards."""

    def __init__(self, known: Any) -> None:
        super().__init__(known)
        self.params: list[Scalar | Array] = []
        self.paths: list[Path] = []
        self.objects: list[Any] = []
        self.guards: dict[tuple[Path, str], Guard] = {}
        self.lifted: dict[Path, Value] = {}
        self.lists: set[Path] = set()
        self.identities: dict[int, tuple[Any, Value, Path]] = {}
        self.mutable: list[tuple[Value, Path, Any]] = []
        self.cells: dict[int, tuple[Any, Cell]] = {}
        self.strides: dict[Array, tuple[int, ...]] = {}
        """In the call that is staged."""
        self.lengths: dict[int, Expr] = {}
        """Length of an axis in the call that is staged -> its expression."""
        self.small_ones: set[Scalar] = set()
        """Integer arguments that are taken to stay below 2**31."""
        self.actual: dict[Expr, int] = {}
        """Lengths and integers that are arguments -> what they are in the call that is staged."""
        self.ranges.decide = self.decide

    def guard(self, path: Path, test: str, value: Any) -> None:
        if not isinstance(path, Fixed):
            self.guards.setdefault((path, test), Guard(path, test, value))

    def on_class(self, cls: type, name: str) -> Any:
        """What a class holds under a name, not bound to anything: code there, or nothing, is to stay that."""
        found = lookup(cls, name)
        if of_program(cls) and (found is Missing or hasattr(type(found), "__get__")):
            self.guard(OnClass(Held(cls), name), "is", found)
        return found

    def guard_order(self, cls: Any) -> None:
        """A class keeps its bases, and theirs."""
        if isinstance(cls, type) and of_program(cls):
            self.guard(Field(Fixed(Held(cls)), "__mro__"), "is", cls.__mro__)

    def guard_rule(self, function: types.FunctionType) -> None:
        """A function of the program keeps its rule, or has none."""
        if not settled_namespace(function.__globals__):
            path = RuleOf(Held(function))
            self.guard(path, "is", path.read((), {}))

    def guard_distinct(self) -> None:
        """Objects that are distinct in this call stay so, where the program may change one of them."""
        found = dict.fromkeys(path for value, path, _ in self.mutable if not isinstance(value, Cell))
        paths = tuple(found)  # a deque and its list are at one
        if self.heap.outer_changed and len(paths) > 1:
            self.guards[paths[0], "distinct"] = Guard(paths[0], "distinct", paths)

    def tell_apart(self, a: Value, b: Value) -> None:
        """The program asks whether two are one object: what holds now is to hold in every call."""
        found = [path for x in (a, b) for _, value, path in self.identities.values() if value is x]
        if len(found) == 2 and found[0] != found[1]:
            self.guards[found[0], f"distinct from {found[1]}"] = Guard(found[0], "distinct", tuple(found))

    # ---- objects

    def constant(self, obj: Any) -> Value:
        """The value of an object that is known and that nobody else holds."""
        if type(obj) is list:
            made: Value = self.heap.born(Sequence([self.constant(v) for v in obj], list))
            return made
        if type(obj) is dict:
            made = self.heap.born(Mapping({k: self.constant(v) for k, v in list(obj.items())}))
            return made
        if type(obj) is set:
            from tapeless.backends.native.staging import sets

            return sets.born(self, set, frozenset(obj))
        if isinstance(obj, np.ndarray):
            return self.array_constant(obj)
        if isinstance(obj, tuple) and any(isinstance(v, (list, dict, np.ndarray)) for v in obj):
            return Sequence([self.constant(v) for v in obj], type(obj))
        return Static(obj)

    def array_constant(self, obj: Any) -> Value:
        raise NotImplementedError

    def lift(self, obj: Any, path: Path, hint: str = "") -> Value:
        """The value of an object that is found at `path` in every call."""
        if path not in self.lifted:
            self.lifted[path] = self.lift_new(obj, path, hint or str(path).rsplit(" ", 1)[-1])
        return self.lifted[path]

    def lift_new(self, obj: Any, path: Path, hint: str) -> Value:
        kind = type(obj)
        flag = kind is bool and not (isinstance(path, Item) and path.of in self.lists)
        if path in self.fixed or flag:  # a truth tells how to work; those of a list are data
            self.guard(path, "equal", obj)
            return Static(obj)
        if kind in TYPES:
            self.guard(path, "type", kind)
            made = Ref(self.parameter(TYPES[kind], path, hint))
            if kind is int:
                self.actual[made] = obj
            return Number(made, kind)
        if kind in COMPLEX:
            self.guard(path, "type", kind)
            parts = [self.parameter(COMPLEX[kind], Field(path, n), f"{hint}_{n}") for n in ("real", "imag")]
            return ComplexNumber(Ref(parts[0]), Ref(parts[1]), kind)
        if isinstance(obj, PLAIN):
            self.guard(path, "equal", obj)
            return Static(obj)
        found = self.identities.get(id(obj))
        if kind is np.ndarray and found is not None and from_call(path) != from_call(found[2]):
            return self.lift_object(obj, path, hint)  # derivatives are by the argument alone
        if found is not None and not isinstance(obj, (type, types.ModuleType, types.FunctionType)):
            _, value, first = found
            if first != path:
                self.guard(path, "same", first)
            return value
        value = self.lift_object(obj, path, hint)
        self.identities[id(obj)] = (obj, value, path)
        return value

    def parameter(self, type: str, path: Path, hint: str) -> Scalar:
        clean = "".join(c if c.isalnum() else "_" for c in hint).strip("_") or "arg"
        var = self.scalar(type, clean)
        self.params.append(var)
        self.paths.append(path)
        self.sources[var] = path
        return var

    def lift_object(self, obj: Any, path: Path, hint: str) -> Value:
        kind = type(obj)
        if kind is np.ndarray:
            return self.lift_array(obj, path, hint)
        if isinstance(obj, tuple) or kind is list:
            if len(obj) > LONGEST:
                self.refuse(f"{path} has {len(obj)} items", "pass an array")
            self.guard(path, "type", kind)
            self.guard(path, "length", len(obj))
            if kind is list:
                whole = Sequence([], kind)
                self.lists.add(path)
                self.identities[id(obj)] = (obj, whole, path)
                whole.items = [self.lift(v, Item(path, i), f"{hint}_{i}") for i, v in enumerate(obj)]
                self.mutable.append((whole, path, content(whole)))
                return whole
            return Sequence([self.lift(v, Item(path, i), f"{hint}_{i}") for i, v in enumerate(obj)], kind)
        if kind is collections.deque:
            return self.lift_deque(obj, path, hint)
        if kind in (dict, OrderedDict, Counter, defaultdict) or is_table(obj):
            if len(obj) > LONGEST:
                self.refuse(f"{path} has {len(obj)} items", "pass an array")
            held = list(obj.items())  # a dict of weak references may lose some meanwhile
            self.guard(path, "type", kind)
            self.guard(path, "keys", tuple(k for k, _ in held))
            table = Mapping({}, kind)
            if is_table(obj):
                self.guard_order(kind)
                if kind.__dictoffset__:
                    self.guard(path, "fields", ())
            if kind is defaultdict:
                self.guard(Field(path, "default_factory"), "is", obj.default_factory)
                table.kind = kind_with(self, Static(obj.default_factory))
            self.identities[id(obj)] = (obj, table, path)
            table.items = {k: self.lift(v, Item(path, k), f"{hint}_{k}") for k, v in held}
            self.mutable.append((table, path, content(table)))
            return table
        if isinstance(obj, (types.MethodType,)):
            self.guard(path, "type", kind)
            owner = self.lift(obj.__self__, Field(path, "__self__"), hint)
            return Bound(self.lift(obj.__func__, Field(path, "__func__"), hint), owner)
        if kind in (np.random.Generator, np.random.RandomState):
            self.guard(path, "type", kind)
            return RandomNumbers(Ref(self.parameter("i64", Address(path), hint)), kind)
        if self.plain_object(obj):
            return self.lift_instance(obj, path, hint)
        if kind is set and in_order(obj):
            self.guard(path, "type", set)
            self.guard(path, "keys", tuple(obj))
            return self.lift_set(obj, path)
        if isinstance(obj, CHANGEABLE):
            self.refuse(f"{path} is of class {kind.__name__}", "use a list, a dict or an array")
        self.guard(path, "is", obj)
        return Static(obj)

    def lift_deque(self, obj: Any, path: Path, hint: str) -> Value:
        from tapeless.backends.native.staging.deques import ITEMS

        if len(obj) > LONGEST:
            self.refuse(f"{path} has {len(obj)} items", "pass an array")
        self.guard(path, "type", collections.deque)
        self.guard(path, "length", len(obj))
        self.guard(Field(path, "maxlen"), "equal", obj.maxlen)
        items = Sequence([], list)
        made = Instance(collections.deque, {ITEMS: items, "maxlen": Static(obj.maxlen)})
        self.identities[id(obj)] = (obj, made, path)
        items.items = [self.lift(v, Item(path, i), f"{hint}_{i}") for i, v in enumerate(obj)]
        self.mutable += [(made, path, content(made)), (items, path, content(items))]
        return made

    def lift_set(self, obj: Any, path: Path) -> Value:
        from tapeless.backends.native.staging.sets import Made

        made = Instance(set, {"made": Static(Made(set, (set(obj),)))})
        self.mutable.append((made, path, content(made)))
        return made

    def plain_object(self, obj: Any) -> bool:
        """Whether an object is its class and its attributes, and nothing else."""
        from tapeless.backends.native.staging import transformations

        kind = type(obj)
        if isinstance(obj, (type, types.ModuleType, types.FunctionType, BaseException, np.generic)):
            return False
        if isinstance(obj, logging.Logger):
            return False
        if transformations.handles(obj):
            return False
        module = kind.__module__.split(".")[0]
        if (
            not hasattr(obj, "__dict__")
            or getattr(kind, "__new__", None) is not object.__new__
            or module in ("numpy", "functools", "typing")
        ):
            return False
        return all(
            base is object
            or isinstance(base.__dict__.get("__dict__"), types.GetSetDescriptorType)
            or "__slots__" in base.__dict__
            or base.__module__ in ("typing", "abc")
            or base.__flags__ & HEAP_TYPE
            for base in kind.__mro__
        )

    def lift_instance(self, obj: Any, path: Path, hint: str) -> Value:
        self.guard(path, "type", type(obj))
        self.guard_order(type(obj))
        self.guard(path, "fields", tuple(vars(obj)))
        made = Instance(type(obj), {})
        self.identities[id(obj)] = (obj, made, path)
        names = (*slots_of(obj), *vars(obj))
        made.fields = {k: self.lift_field(getattr(obj, k), Field(path, k), f"{hint}_{k}") for k in names}
        self.mutable.append((made, path, content(made)))
        return made

    def lift_field(self, obj: Any, path: Path, hint: str) -> Value:
        if self.has_value(obj, set()):
            return self.lift(obj, path, hint)
        if path not in self.lifted:
            self.lifted[path] = Opaque(path, type(obj))
        return self.lifted[path]

    def has_value(self, obj: Any, seen: set[int]) -> bool:
        """Whether an object can be lifted, with all that it holds."""
        kind = type(obj)
        if id(obj) in seen or id(obj) in self.identities or isinstance(obj, PLAIN):
            return True
        seen.add(id(obj))
        if kind is int:
            return bool(-(2**63) <= obj < 2**63)
        if kind is np.ndarray:
            return obj.dtype.name in ELEMENT_TYPES and bool(obj.dtype.isnative)
        if isinstance(obj, tuple) or kind in (list, collections.deque):
            return len(obj) <= LONGEST and all(self.has_value(v, seen) for v in obj)
        if kind in (dict, OrderedDict, Counter, defaultdict) or is_table(obj):
            return len(obj) <= LONGEST and all(self.has_value(v, seen) for v in dict.values(obj))
        return in_order(obj) if kind is set else not isinstance(obj, CHANGEABLE)

    def lift_array(self, obj: Any, path: Path, hint: str) -> Value:
        name = obj.dtype.name
        if name not in ELEMENT_TYPES or not obj.dtype.isnative:
            self.refuse(f"{path} is an array of dtype {obj.dtype}", "pass an array of numbers")
        stored = {"complex128": "float64", "complex64": "float32"}.get(name, name)
        pair = name.startswith("complex")
        clean = "".join(c if c.isalnum() else "_" for c in hint).strip("_") or "arg"
        array = Array(clean, stored, obj.ndim + pair, contiguous=bool(obj.flags.c_contiguous))
        self.params.append(array)
        self.paths.append(path)
        self.array_sources[array] = path
        self.strides[array] = obj.strides
        shape = tuple(self.length(array, Length(path, k), k, n) for k, n in enumerate(obj.shape))
        return self.argument(array, name, shape)

    def length(self, array: Array, at: Length, axis: int, n: int) -> Expr:
        """The length of an axis of an argument: lengths that are equal now are taken to stay so.

        So what fits together needs no checks where it is used; the nest begins by testing it.
        """
        own = Dim(array, axis)
        if at in self.fixed or n == 1:  # length 1 broadcasts
            self.guard(at, "equal", n)
            return const(n)
        self.actual[own] = n
        if n <= FEW:
            self.assume_at_entry(apply("eq", own, const(n)))
            return const(n)
        if n in self.lengths:
            self.assume_at_entry(apply("eq", own, self.lengths[n]))
        else:
            self.assume_at_entry(apply("ne", own, const(1)))
            self.lengths[n] = own
        return self.lengths[n]

    def decide(self, a: Affine) -> bool:
        """Whether a sum of arguments is not negative in this call: then the nest is for such calls."""
        if not a.keys() - {None} <= self.actual.keys():
            return False
        if sum(c * (1 if k is None else self.actual[k]) for k, c in a.items()) < 0:
            return False
        self.ranges.always.append(a)
        self.assume_at_entry(apply("ge", expression(a), const(0)))
        return True

    def small_argument(self, e: Ref) -> bool:
        value = self.actual.get(e)
        if value is None or abs(value) >= SMALL:
            return False
        if e.var not in self.small_ones:
            self.small_ones.add(e.var)
            inside = apply("all", apply("gt", e, const(-SMALL)), apply("lt", e, const(SMALL)))
            self.assume_at_entry(inside)
        return True

    def assume_at_entry(self, condition: Expr) -> None:
        """The nest is for calls where this holds; it finds out before it does anything."""
        failure = self.failure(Mismatch, "other lengths")
        self.body.insert(0, Check(condition, failure))

    def argument(self, array: Array, dtype: str, shape: tuple[Expr, ...]) -> View:
        raise NotImplementedError

    # ---- names of modules and closures

    def op_global(self, op: Op) -> None:
        frame, name = self.frames[-1], op.attrs["name"]
        path = Global(Held(frame.namespace), name)
        try:
            obj = path.read((), {})
        except (KeyError, AttributeError):
            self.guard(Undefined(path.namespace, name), "is", Missing)
            self.throw(NameError, f"name '{name}' is not defined")
            return
        if settled_namespace(frame.namespace):
            self.assign(op.outs[0], self.settled_value(obj, path))
            return
        if name not in frame.namespace:
            self.guard(path, "is", obj)  # a global of that name may come later
            self.assign(op.outs[0], Static(obj))
            return
        self.assign(op.outs[0], self.lift(obj, path, name))

    def settled_value(self, obj: Any, path: Path) -> Value:
        """A global of a package that does not change."""
        if type(obj) in (list, dict, tuple, np.ndarray) or self.plain_object(obj):
            return self.lift(obj, path)
        return Static(obj)

    def attribute_of(self, owner: Any, name: str) -> Value:
        """An attribute of a module or class."""
        try:
            obj = getattr(owner, name)
        except AttributeError as error:
            self.throw(AttributeError, *error.args)
            return Static(None)
        path = Field(Fixed(Held(owner)), name)
        module = owner if isinstance(owner, types.ModuleType) else None
        if settled(module):
            self.guard(path, "is", obj)
            return Static(obj)
        if module is None and getattr(owner, "__module__", "").split(".")[0] in SETTLED:
            return Static(obj)
        return self.lift(obj, path, name)

    def imported(self, found: Any, module: Any, name: str) -> Value:
        """What a program imports from a module while it runs."""
        if name in vars(module):
            return self.attribute_of(module, name)
        return self.constant(found)

    def cell_of(self, cell: types.CellType, name: str) -> Cell:
        """The value of a closure cell that exists outside."""
        if id(cell) not in self.cells:
            made = Cell()
            self.cells[id(cell)] = (cell, made)
            try:
                held = cell.cell_contents
            except ValueError:
                self.guard(Vacant(Held(cell), name), "is", Missing)
                self.mutable.append((made, Vacant(Held(cell), name), made.value))
                return made
            path = Content(Held(cell), name)
            made.value = self.lift(held, path, name)
            self.mutable.append((made, path, made.value))
        return self.cells[id(cell)][1]


def in_order(obj: Any) -> bool:
    """Whether copies of a set have its items in the order that it has them."""
    return tuple(set(set(obj))) == tuple(obj)


def is_table(obj: Any) -> bool:
    """Whether an object is a dict of the program's own class, that is read and filled as any dict."""
    kind = type(obj)
    if not isinstance(obj, dict) or not of_program(kind) or kind.__dictoffset__ and vars(obj):
        return False
    return all(
        lookup(kind, n) is dict.__dict__[n]
        for n in ("__getitem__", "__iter__", "__len__", "__new__", "__contains__", "clear", "update")
    )


def of_program(cls: type) -> bool:
    """Whether a class is made by a program, so that it may change."""
    return bool(cls.__flags__ & HEAP_TYPE) and cls.__module__.split(".")[0] not in SETTLED


def settled_namespace(namespace: dict[str, Any]) -> bool:
    return str(namespace.get("__name__", "")).split(".")[0] in SETTLED


#: The flag of classes that are made by a program.
HEAP_TYPE = 1 << 9
ELEMENT_TYPES = {
    "float64", "float32", "int64", "int32", "int16", "int8", "uint8", "uint16", "uint32", "bool",
    "complex128", "complex64",
}  # fmt: skip
