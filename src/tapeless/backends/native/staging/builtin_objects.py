"""Builtin functions on classes, attributes, copies, text, and operators as functions."""

from __future__ import annotations

import copy
import functools
import operator
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import FALSE
from tapeless.backends.native.staging import deques, growing
from tapeless.backends.native.staging.attributes import SuperOf
from tapeless.backends.native.staging.base import describe
from tapeless.backends.native.staging.builtin_table import BUILTINS, EMPTY, NO, NONE, lowers
from tapeless.backends.native.staging.callables import Cached, Method, Partial
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.iterables import Entries, Generator, Iter
from tapeless.backends.native.staging.managers import Quiet
from tapeless.backends.native.staging.mixed import of_one_class
from tapeless.backends.native.staging.paths import Missing
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Bound,
    Closure,
    Growing,
    Instance,
    Mapping,
    Opaque,
    Sequence,
    Static,
    Value,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.builtin_calls import Builtins


from tapeless.backends.native.staging.builtin_iterables import list_
from tapeless.runtime.known import copied_by_python


@lowers(isinstance)
def isinstance_(s: Builtins, x: Value, kinds: Value) -> Value:
    if isinstance(x, (Iteration, Iter, Generator, Entries)):
        return Static(False)
    cls = s.class_of(of_one_class(s, x))
    if cls is None:
        s.refuse(f"isinstance of {describe(x)}", "test it outside the compiled function")
    wanted = s.known(kinds)
    s.guard_order(cls)
    if isinstance(x, Static):
        return Static(isinstance(x.obj, wanted))
    return Static(issubclass(cls, wanted))


@lowers(issubclass)
def issubclass_(s: Builtins, cls: Value, kinds: Value) -> Value:
    s.guard_order(s.known(cls))
    return s.evaluate(issubclass, cls, kinds)


@lowers(type)
def type_(s: Builtins, *args: Value) -> Value:
    cls = s.class_of(of_one_class(s, args[0]))
    if cls is None or len(args) > 1:
        s.refuse(f"type of {describe(args[0])}", "test it outside the compiled function")
    return Static(cls)


@lowers(callable)
def callable_(s: Builtins, x: Value) -> Value:
    if isinstance(x, (Closure, Bound, Partial)):
        return Static(True)
    return Static(callable(x.obj) if isinstance(x, Static) else s.python_method(x, "__call__") is not None)


@lowers(hasattr)
def hasattr_(s: Builtins, x: Value, name: Value) -> Value:
    n = s.known(name)
    cls = s.class_of(x)
    if cls is not None:
        s.on_class(cls, n)
    if isinstance(x, Instance):
        found = n in x.fields or hasattr(x.cls, n)
        if not found and s.on_class(x.cls, "__getattr__") is not Missing:
            s.refuse(f"whether there is {n!r}, which __getattr__ decides", "ask for the attribute")
        return Static(found)
    return Static(hasattr(x.obj, n) if isinstance(x, Static) else cls is not None and hasattr(cls, n))


@lowers(getattr)
def getattr_(s: Builtins, x: Value, name: Value, default: Value | None = None) -> Value:
    n = s.known(name)
    if default is not None and not s.known(hasattr_(s, x, name)):
        return default
    return s.getattr(x, n)


@lowers(vars)
def vars_(s: Builtins, x: Value) -> Value:
    return s.getattr(x, "__dict__")


@lowers(setattr)
def setattr_(s: Builtins, x: Value, name: Value, value: Value) -> Value:
    if isinstance(x, Static):
        s.put_attribute(x.obj, s.known(name), value)
    elif isinstance(x, Instance):
        s.setattr(x, s.known(name), value)
    else:
        s.refuse(f"an attribute of {describe(x)} is set", "return the value instead")
    return NONE


@lowers(id, hash)
def identity(s: Builtins, x: Value) -> Value:
    if isinstance(x, Static) and isinstance(x.obj, (str, int, float, bytes, tuple)):
        return s.evaluate(hash, x)
    s.refuse("the identity or hash of a value", "compare values with ==")


@lowers(super)
def super_(s: Builtins, cls: Value, owner: Value) -> Value:
    after = s.known(cls)
    by_class = isinstance(owner, Static) and isinstance(owner.obj, type)
    kind = owner.obj if by_class else s.class_of(owner)  # type: ignore[attr-defined]
    assert kind is not None
    return Static(SuperOf(after, kind, owner, by_class))


@lowers(object.__new__)
def new(s: Builtins, cls: Value, /, *args: Value, **kwargs: Value) -> Value:
    return s.heap.born(Instance(s.known(cls), {}))  # type: ignore[no-any-return]


@lowers(tuple.__new__)
def new_tuple(s: Builtins, cls: Value, items: Value | None = None) -> Value:
    return Sequence([] if items is None else list(s.listed(items)), s.known(cls))


@lowers(functools.partial)
def partial(s: Builtins, function: Value, /, *args: Value, **kwargs: Value) -> Value:
    return Partial(function, list(args), kwargs)


@lowers(functools.wraps)
def wraps(s: Builtins, function: Value, *args: Value, **kwargs: Value) -> Value:
    return Static(same)


def same(function: Any) -> Any:
    return function


@lowers(functools.lru_cache, functools.cache)
def cached(s: Builtins, function: Value = NONE, **options: Value) -> Value:
    return Cached(function) if isinstance(function, Closure) else Static(Cached)


@lowers(Cached)
def cached_(s: Builtins, function: Value) -> Value:
    return Cached(function)


def by_its_own_way(s: Builtins, x: Instance) -> None:
    """Refuse the copy of an object whose class says how it is made."""
    if copied_by_python(x.cls):
        s.refuse(
            f"the copy of a {x.cls.__name__}, which its class makes in its own way", "write it as a method"
        )


@lowers(copy.copy)
def copy_(s: Builtins, x: Value) -> Value:
    if deques.is_deque(x):
        return deques.copied(s, x)
    if isinstance(x, Instance):
        by_its_own_way(s, x)
        return s.heap.born(Instance(x.cls, dict(x.fields)))  # type: ignore[no-any-return]
    if isinstance(x, Sequence) and x.kind is list:
        return list_(s, x)
    if isinstance(x, Growing):
        return growing.copied(s, x)
    if isinstance(x, Mapping):
        return s.heap.born(Mapping(dict(x.items), x.kind))  # type: ignore[no-any-return]
    if isinstance(x, ArrayValue):
        return s.arrays.store_copy(s, x)  # type: ignore[no-any-return]
    return x


@lowers(copy.deepcopy)
def deepcopy(s: Builtins, x: Value, memo: Any = None) -> Value:
    seen: dict[int, Value] = {}

    def deep(v: Value) -> Value:
        if id(v) in seen:
            return seen[id(v)]
        if isinstance(v, ArrayValue):
            made: Any = s.arrays.store_copy(s, v)
        elif isinstance(v, Sequence) and v.kind is not list:
            made = Sequence([deep(x) for x in v.items], v.kind)
        elif isinstance(v, Sequence):
            made = seen[id(v)] = s.heap.born(Sequence([], list))
            made.items = [deep(x) for x in v.items]
        elif isinstance(v, Growing):
            made = growing.copied(s, v)
        elif isinstance(v, Mapping):
            made = seen[id(v)] = s.heap.born(Mapping({}, v.kind))
            made.items = {k: deep(x) for k, x in v.items.items()}
        elif isinstance(v, Instance):
            by_its_own_way(s, v)
            made = seen[id(v)] = s.heap.born(Instance(v.cls, {}))
            made.fields = {k: deep(x) for k, x in v.fields.items()}
        elif isinstance(v, Opaque):
            s.refuse(f"{v.path}, of class {v.cls.__name__}, is copied", "copy what is needed of the object")
        else:
            made = v
        seen[id(v)] = made
        return made  # type: ignore[no-any-return]

    return deep(x)


@lowers(input, open)
def input_(s: Builtins, *args: Value, **kwargs: Value) -> Value:
    s.refuse("input or a file inside a compiled function", "read before the call")


@lowers(warnings.warn)
def warn(s: Builtins, *args: Value, **kwargs: Value) -> Value:
    """CPython makes the calls that warn."""
    s.replay_unless(FALSE)
    s.die()
    return NONE


@lowers(warnings.catch_warnings)
def catch_warnings(s: Builtins, *, record: Value = NO, **options: Value) -> Value:
    if s.known(record) or options:
        s.refuse("warnings are recorded", "call it outside the compiled function")
    return Static(Quiet())


@lowers(warnings.simplefilter, warnings.filterwarnings)
def filter_warnings(s: Builtins, action: Value, *args: Value, **options: Value) -> Value:
    """Compiled code gives no warnings; what is set up goes with the block around it."""
    if not s.quiet or s.known(action) == "error":
        s.refuse("the filters of warnings are changed", "use warnings.catch_warnings(), and no errors")
    return NONE


@lowers(np.errstate)
def errstate(s: Builtins, **kinds: Value) -> Value:
    """Compiled code gives no warnings; it could not raise them as errors either."""
    given = {k: s.known(v) for k, v in kinds.items()}
    if any(v not in (None, "ignore", "warn", "print", "log") for v in given.values()):
        s.refuse("floating-point errors are raised or call a function", "test for them")
    return Static(np.errstate(**given))


@lowers(str)
def str_(s: Builtins, x: Value = EMPTY) -> Value:
    if isinstance(x, Static):
        return s.evaluate(str, x)
    return s.text(("f", ((115, False),)), [x])


@lowers(repr, format)
def repr_(s: Builtins, x: Value, spec: Value | None = None) -> Value:
    if isinstance(x, Static):
        return s.evaluate(format, x, spec) if spec is not None else s.evaluate(repr, x)
    if spec is not None:
        return s.text(("f", ((-1, True),)), [x, spec])
    return s.text(("f", ((114, False),)), [x])


# ---- operators as functions


@lowers(operator.itemgetter)
def item_getter(s: Builtins, *keys: Value) -> Value:
    return Static(operator.itemgetter(*[s.known(k, "an item is taken by it") for k in keys]))


@lowers(operator.attrgetter)
def attribute_getter(s: Builtins, *names: Value) -> Value:
    return Static(operator.attrgetter(*map(s.known, names)))


@lowers(operator.methodcaller)
def method_caller(s: Builtins, name: Value, *args: Value, **kwargs: Value) -> Value:
    n = s.known(name)
    run = Method(n, lambda s, owner, given, named: s.call_method(given[0], n, list(args), kwargs))
    return Bound(Static(run), name)


def _operators() -> None:
    from tapeless.backends.native.staging.scalars import BINARY, COMPARE

    for name, function in BINARY.items():
        if function is not operator.pow:
            BUILTINS[function] = functools.partial(_binary, name)
    for name, function in COMPARE.items():
        BUILTINS[function] = functools.partial(_compare, name)
    BUILTINS[operator.neg] = lambda s, a: s.unary("USub", a)
    BUILTINS[operator.pos] = lambda s, a: s.unary("UAdd", a)
    BUILTINS[operator.not_] = lambda s, a: s.boolean(s.not_(s.truth(a)))
    BUILTINS[operator.truth] = lambda s, a: s.boolean(s.truth(a))
    BUILTINS[operator.getitem] = lambda s, a, i: s.getitem(a, i)
    BUILTINS[operator.setitem] = _set_item
    BUILTINS[operator.index] = lambda s, a: s.to_int(a)
    BUILTINS[operator.is_] = lambda s, a, b: s.compare("is", a, b)
    BUILTINS[operator.contains] = lambda s, a, b: s.contains(a, b)
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"):
        BUILTINS[getattr(operator, f"i{name}")] = functools.partial(_inplace, _NAMES[name])
    BUILTINS[same] = lambda s, f: f


_NAMES = {"add": "Add", "sub": "Sub", "mul": "Mult", "truediv": "Div", "floordiv": "FloorDiv", "mod": "Mod",
          "pow": "Pow", "matmul": "MatMult"}  # fmt: skip


def _binary(op: str, s: Builtins, a: Value, b: Value) -> Value:
    return s.binary(op, a, b)


def _set_item(s: Builtins, a: Value, i: Value, v: Value) -> Value:
    s.setitem(a, i, v)
    return NONE


def _inplace(op: str, s: Builtins, a: Value, b: Value) -> Value:
    return s.inplace(op, a, b)


def _compare(op: str, s: Builtins, a: Value, b: Value) -> Value:
    return s.compare(op, a, b)


_operators()
