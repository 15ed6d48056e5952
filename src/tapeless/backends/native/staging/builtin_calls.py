"""Builtin functions of Python, and those of other C modules that programs use, on values of staging."""

from __future__ import annotations

import builtins
import copy
import functools
import math
import operator
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.backends.native.nest import F64, I64, ONE, ZERO, Apply, Expr, apply, const
from tapeless.backends.native.staging.base import COMPLEX, TYPES, Text, describe
from tapeless.backends.native.staging.calls import Partial
from tapeless.backends.native.staging.complex_functions import CMATH
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.mathematics import MATH
from tapeless.backends.native.staging.joins import Conflict, Maybe
from tapeless.backends.native.staging.structures import Entries, Generator, Structures, SuperOf, lookup
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Bound,
    Cell,
    Closure,
    ComplexNumber,
    Instance,
    Mapping,
    Number,
    Range,
    Sequence,
    Slice,
    Static,
    Value,
)
from tapeless.program.ir import Op

Run = Callable[..., Value]
BUILTINS: dict[Any, Run] = {}
NONE = Static(None)


class Builtins(Structures):
    """Finds what staging knows of a function."""

    def builtin(
        self, obj: Any, args: list[Value], kwargs: dict[str, Value], op: Op | None
    ) -> Value | None:
        try:
            run = BUILTINS.get(obj) or MATH.get(obj) or CMATH.get(obj)
        except TypeError:
            return None
        if run is not None:
            return run(self, *args, **kwargs)
        if isinstance(obj, type) and issubclass(obj, np.generic) or self.arrays.handles(obj):
            made: Value | None = self.arrays.call(self, obj, args, kwargs)
            if made is not None:
                return made
        inner = getattr(obj, "_implementation", None)
        if isinstance(inner, types.FunctionType) and type(obj).__module__ == "numpy":
            return self.call_function(inner, args, kwargs, op)
        if isinstance(obj, (types.WrapperDescriptorType, types.MethodDescriptorType)):
            return self.slot(obj, args, kwargs)
        if isinstance(obj, functools.singledispatch if isinstance(functools.singledispatch, type) else ()):
            return None
        if isinstance(obj, (operator.itemgetter, operator.attrgetter)):
            return self.getter(obj, args[0])
        return None

    def getter(self, obj: Any, value: Value) -> Value:
        _, keys = obj.__reduce__()
        if isinstance(obj, operator.itemgetter):
            found = [self.getitem(value, Static(k)) for k in keys]
        else:
            found = [functools.reduce(self.getattr, k.split("."), value) for k in keys]
        return found[0] if len(found) == 1 else Sequence(found, tuple)

    def slot(self, obj: Any, args: list[Value], kwargs: dict[str, Value]) -> Value | None:
        """`object.__setattr__(self, name, value)` and the like."""
        owner, name = (args[0] if args else NONE), obj.__name__
        rest = args[1:]
        if name == "__setattr__" and isinstance(owner, Instance):
            self.set_field(owner, str(self.known(rest[0])), rest[1])
            return NONE
        if name == "__init__":
            if isinstance(owner, Instance) and issubclass(owner.cls, BaseException):
                self.set_field(owner, "args", Sequence(list(rest), tuple))
            return NONE
        if name == "__getattribute__":
            return self.getattr(owner, str(self.known(rest[0])))
        if name in ("__enter__", "__exit__"):
            return NONE
        for op, dunder in DUNDERS.items():
            if name == dunder and isinstance(owner, (Number, Sequence, Static, ComplexNumber, ArrayValue)):
                return self.binary(op, owner, rest[0])
        cls = self.class_of(owner)
        if cls is not None and getattr(obj, "__objclass__", object) in cls.__mro__:
            from tapeless.backends.native.staging.methods import method_of

            found = method_of(self, owner, name)
            if found is not None:
                return self.call(found, rest, kwargs)
        return None

    def generator(self, run: Callable[[Callable[[Value], None]], Any], cells: dict[str, Cell]) -> Value:
        return Generator(run, cells)

    # ---- folds

    def fold(self, items: Value, combine: Callable[[Value, Value], Value], start: Value | None) -> Value:
        """Combine the items of something iterable, from the left; None of nothing."""
        if isinstance(items, Generator):
            return self.generated_fold(items, combine, start)
        it = self.iteration(items)
        if it.items is None:
            return self.run_fold(it, combine, start)
        if start is None:
            if not it.items:
                return NONE
            start, rest = it.items[0], it.items[1:]
        else:
            rest = it.items
        for item in rest:
            start = combine(start, item)
            if not self.alive:
                break
        return start

    def generated_fold(
        self, items: Generator, combine: Callable[[Value, Value], Value], start: Value | None
    ) -> Value:
        """Combine what a generator gives while it runs."""
        cell = self.heap.born(Cell(start))

        def take(value: Value) -> None:
            held = cell.value
            if held is None:
                made = value
            elif isinstance(held, Maybe):
                made = self.choose(held.bound, lambda: combine(held.value, value), lambda: value)
            else:
                made = combine(held, value)
            if self.alive:
                self.heap.write(cell, self.stored(made))

        items.consume(self, take)
        result = cell.value
        if not self.alive:
            return NONE
        if isinstance(result, Maybe):
            self.check(result.bound, ValueError, "min() or max() of nothing")
            return result.value
        if isinstance(result, Conflict):
            return self.present(result, "what is combined", "total")
        return NONE if result is None else result

    def run_fold(self, it: Iteration, combine: Callable[[Value, Value], Value], start: Value | None) -> Value:
        """The same for a number of items of run time: a loop, written as a Program would have it."""
        return self.python_loop(it, combine, start)

    def python_loop(
        self, it: Iteration, combine: Callable[[Value, Value], Value], start: Value | None
    ) -> Value:
        from tapeless.backends.native.staging.loops import Loop
        from tapeless.program.ir import Block, Var

        assert it.item is not None
        low, high, step = it.bounds or (ZERO, it.length, 1)
        acc, item = Var("total"), Var("item")
        frame = self.frames[-1]
        if start is None:
            self.check(apply("lt", low, high), ValueError, "an iterable argument is empty")
            start, low = it.item(low), apply("add", low, const(step))
        frame.env[acc] = start
        body = Op("python", (acc, item), (acc,), line=self.line, attrs={"run": combine})
        op = Op("for", (), (item,), {}, (Block([body]), Block()), self.line)
        self.kept_ops.append(op)
        live = frame.live
        live.after[id(op)] = live.head[id(op)] = live.after[id(body)] = frozenset([acc])
        live.assigned[id(op)] = frozenset([acc, item])
        loop = Loop(op, None, op.blocks[0], (self.bind(low), self.bind(high), step), it.item)
        key = (frame.key, "fold", self.line, len(frame.env))
        if key in self.unrolled or not self.rolled(op, loop, key, op.blocks[1]):
            frame.env[acc] = start
            rest = self.items_of(Iteration(None, it.length, it.item, (low, high, step)))
            for one in rest:
                start = combine(start, one)
            return start
        return frame.env.pop(acc)

    def op_python(self, op: Op) -> None:
        acc, item = (self.read(a) for a in op.args)
        made = op.attrs["run"](acc, item)
        if self.alive:
            self.assign(op.outs[0], made)

    def sorted_items(self, items: list[Value], key: Value, reverse: Value) -> list[Value]:
        """Items in order; what they are ordered by must be known."""
        keys = [v if isinstance(key, Static) and key.obj is None else self.call(key, [v], {}) for v in items]
        if len(items) > 1:
            known = [self.known(k, "sort an array with np.sort") for k in keys]
        else:
            known = [0] * len(items)
        order = sorted(range(len(items)), key=known.__getitem__, reverse=bool(self.known(reverse)))
        return [items[i] for i in order]


DUNDERS = {
    "Add": "__add__", "Sub": "__sub__", "Mult": "__mul__", "Div": "__truediv__", "Pow": "__pow__",
    "FloorDiv": "__floordiv__", "Mod": "__mod__", "MatMult": "__matmul__",
}  # fmt: skip


def lowers(*functions: Any) -> Callable[[Run], Run]:
    def enter(run: Run) -> Run:
        for function in functions:
            BUILTINS[function] = run
        return run

    return enter


# ---- conversions and simple functions


@lowers(float)
def to_float(s: Builtins, x: Value = Static(0.0)) -> Value:
    if isinstance(x, ArrayValue):
        return s.arrays.to_number(s, x, float)  # type: ignore[no-any-return]
    if isinstance(x, Instance):
        return s.call_method(x, "__float__", [], {})
    return s.to_float(x)


@lowers(int)
def to_int(s: Builtins, x: Value = Static(0), base: Value | None = None) -> Value:
    if base is not None:
        return s.evaluate(int, x, base)
    if isinstance(x, ArrayValue):
        return s.arrays.to_number(s, x, int)  # type: ignore[no-any-return]
    if isinstance(x, Instance):
        return s.call_method(x, "__int__", [], {})
    return s.to_int(x)


@lowers(bool)
def to_bool(s: Builtins, x: Value = Static(False)) -> Value:
    return s.boolean(s.truth(x))


@lowers(complex)
def to_complex(s: Builtins, real: Value = Static(0.0), imag: Value | None = None) -> Value:
    if all(isinstance(v, Static) for v in (real, imag) if v is not None):
        return s.evaluate(complex, real, *([] if imag is None else [imag]))
    if isinstance(real, ArrayValue):
        return s.arrays.to_number(s, real, complex)  # type: ignore[no-any-return]
    re, im = s.complex_parts(real)
    if imag is not None:
        a, b = s.complex_parts(imag)
        re, im = apply("sub", re, b) if s.is_complex(imag) else re, apply("add", im, a) if s.is_complex(real) else a
    return ComplexNumber(s.bind(re), s.bind(im), complex)


@lowers(abs, operator.abs)
def absolute(s: Builtins, x: Value) -> Value:
    if isinstance(x, Static):
        return s.evaluate(abs, x)
    method = s.python_method(x, "__abs__")
    if method is not None:
        return s.call_object(method, [x], {})
    if s.is_numpy(x):
        return s.arrays.call(s, np.absolute, [x], {})  # type: ignore[no-any-return]
    if s.is_complex(x):
        re, im = s.complex_parts(x)
        return Number(s.bind(apply("hypot", re, im)), float)
    n = s.number(x)
    if n.kind is float:
        return Number(apply("fabs", n.expr), float)
    return Number(apply("abs", s.convert(n.expr, I64)), int)


@lowers(round)
def rounded(s: Builtins, x: Value, ndigits: Value = NONE) -> Value:
    digits = s.known(ndigits)
    if isinstance(x, Static):
        return s.evaluate(round, x, *([] if digits is None else [Static(digits)]))
    if s.is_numpy(x):
        args = [x] if digits is None else [x, ndigits]
        made = s.arrays.call(s, np.round, args, {})
        return s.to_int(made) if digits is None and not isinstance(made, ArrayValue) else made
    n = s.number(x)
    if n.kind is not float:
        return s.to_int(x)
    if digits is None:
        return Number(s.whole(apply("rint", n.expr)), int)
    s.refuse("a float is rounded to digits", "round(x) to an integer, or round after the compiled call")


@lowers(divmod)
def divmod_(s: Builtins, a: Value, b: Value) -> Value:
    return Sequence([s.binary("FloorDiv", a, b), s.binary("Mod", a, b)], tuple)


@lowers(pow, operator.pow)
def pow_(s: Builtins, a: Value, b: Value, mod: Value | None = None) -> Value:
    return s.binary("Pow", a, b) if mod is None else s.evaluate(pow, a, b, mod)


@lowers(len)
def length(s: Builtins, x: Value) -> Value:
    if isinstance(x, ArrayValue):
        if not x.ndim:
            s.throw(TypeError, "len() of unsized object")
            return NONE
        return s.getitem(s.getattr(x, "shape"), Static(0))
    method = s.python_method(x, "__len__")
    if method is not None:
        return s.call_object(method, [x], {})
    if isinstance(x, (Sequence, Mapping)):
        return Static(len(x.items))
    if isinstance(x, Entries):
        return Static(len(x.owner.items))
    if isinstance(x, Range):
        return number(s.range_length(x))
    if s.is_number(x):
        s.throw(TypeError, f"object of type '{s.kind_of(x).__name__}' has no len()")
        return NONE
    return s.evaluate(len, x)


def number(e: Expr) -> Value:
    from tapeless.backends.native.nest import Const

    return Static(e.value) if isinstance(e, Const) else Number(e, int)


# ---- minimum and maximum, sums


def extreme(name: str, sign: str) -> Run:
    def run(s: Builtins, *args: Value, key: Value = NONE, default: Value | None = None) -> Value:
        keyed = not (isinstance(key, Static) and key.obj is None)

        def better(a: Value, b: Value) -> Value:
            x, y = (s.call(key, [a], {}), s.call(key, [b], {})) if keyed else (a, b)
            condition = s.truth(s.compare(sign, y, x))
            # the first of equals stays; a comparison with NaN is false
            if not keyed and s.is_plain(a) and s.is_plain(b) and not s.is_complex(a):
                kinds = {s.kind_of(a), s.kind_of(b)}
                if kinds <= {float} or (len(kinds) == 1):
                    kind = s.kind_of(a)
                    made = apply("select", condition, s.as_expr(b), s.as_expr(a))
                    return Number(s.bind(made), kind)
            return s.choose(condition, lambda: b, lambda: a)

        if len(args) == 1:
            items = args[0]
            if isinstance(items, Generator):
                found = s.fold(items, better, None)
                if found is NONE and s.alive:
                    s.throw(ValueError, f"{name}() arg is an empty sequence")
                return found
            it = s.iteration(items)
            if it.items is not None and not it.items:
                if default is not None:
                    return default
                s.throw(ValueError, f"{name}() arg is an empty sequence")
                return NONE
            if isinstance(items, ArrayValue) and items.ndim == 1 and not keyed and default is None:
                pass
            return s.fold(it, better, None)
        return s.fold(Sequence(list(args), tuple), better, None)

    return run


BUILTINS[min], BUILTINS[max] = extreme("min", "<"), extreme("max", ">")


@lowers(sum)
def sum_(s: Builtins, items: Value, start: Value = Static(0)) -> Value:
    return s.fold(items, lambda a, b: s.binary("Add", a, b), start)


@lowers(any)
def any_(s: Builtins, items: Value) -> Value:
    return s.fold(items, lambda a, b: s.boolean(apply("any", s.truth(a), s.truth(b))), Static(False))


@lowers(all)
def all_(s: Builtins, items: Value) -> Value:
    return s.fold(items, lambda a, b: s.boolean(apply("all", s.truth(a), s.truth(b))), Static(True))


@lowers(functools.reduce)
def reduce_(s: Builtins, function: Value, items: Value, start: Value | None = None) -> Value:
    return s.fold(items, lambda a, b: s.call(function, [a, b], {}), start)


# ---- iteration


@lowers(range)
def range_(s: Builtins, *args: Value) -> Value:
    if all(isinstance(a, Static) for a in args):
        return s.evaluate(range, *args)
    for a in args:
        if s.is_number(a) and TYPES[s.kind_of(a)] not in (I64, "bool"):
            s.throw(TypeError, f"'{s.kind_of(a).__name__}' object cannot be interpreted as an integer")
            return NONE
    start, stop = (Static(0), args[0]) if len(args) == 1 else args[:2]
    step = int(s.known(args[2], "the step of a range decides its direction")) if len(args) == 3 else 1
    if step == 0:
        s.throw(ValueError, "range() arg 3 must not be zero")
        return NONE
    return Range(s.bind(s.as_expr(start, I64), "start"), s.bind(s.as_expr(stop, I64), "stop"), step)


@lowers(enumerate)
def enumerate_(s: Builtins, items: Value, start: Value = Static(0)) -> Value:
    it = s.iteration(items)
    first = s.as_expr(start, I64)

    def pair(i: Expr, v: Value) -> Value:
        return Sequence([number(apply("add", i, first)), v], tuple)

    if it.items is not None:
        return Iteration([pair(const(i), v) for i, v in enumerate(it.items)])
    item = counted(s, it)
    return Iteration(None, it.length, lambda i: pair(i, item(i)))


def counted(s: Builtins, it: Iteration) -> Callable[[Expr], Value]:
    """An iteration's item by how many came before it."""
    item = it.item
    assert item is not None
    if it.bounds is None:
        return item
    start, _, step = it.bounds
    return lambda i: item(apply("add", start, apply("mul", i, const(step))))


@lowers(zip)
def zip_(s: Builtins, *many: Value, strict: Value = Static(False)) -> Value:
    its = [s.iteration(m) for m in many]
    if any(it.items is not None for it in its) or not its:
        lists = [s.items_of(it) for it in its]
        if s.known(strict):
            lengths = [len(x) for x in lists]
            for k, n in enumerate(lengths):
                if n != lengths[0]:
                    first = "argument 1" if k == 1 else f"arguments 1-{k}"
                    s.throw(ValueError, f"zip() argument {k + 1} is {'shorter' if n < lengths[0] else 'longer'} than {first}")
                    return NONE
        return Iteration([Sequence(list(row), tuple) for row in zip(*lists, strict=False)])
    length = its[0].length
    for it in its[1:]:
        if s.ranges.proves(apply("eq", it.length, length)):
            continue
        if s.known(strict):
            s.check(apply("eq", it.length, length), ValueError, "zip() arguments are of different lengths")
        else:
            length = apply("minimum", length, it.length)
    items = [counted(s, it) for it in its]
    return Iteration(None, s.bind(length, "n"), lambda i: Sequence([item(i) for item in items], tuple))


@lowers(map)
def map_(s: Builtins, function: Value, *many: Value) -> Value:
    rows = zip_(s, *many)
    assert isinstance(rows, Iteration)
    if rows.items is not None:
        return Iteration([s.call(function, s.listed(r), {}) for r in rows.items])
    item = rows.item
    assert item is not None
    return Iteration(None, rows.length, lambda i: s.call(function, s.listed(item(i)), {}))


@lowers(filter)
def filter_(s: Builtins, function: Value, items: Value) -> Value:
    kept = []
    for v in s.listed(items):
        test = v if isinstance(function, Static) and function.obj is None else s.call(function, [v], {})
        if s.known(s.boolean(s.truth(test)), "filter with np.where or a loop"):
            kept.append(v)
    return Iteration(kept)


@lowers(reversed)
def reversed_(s: Builtins, items: Value) -> Value:
    it = s.iteration(items)
    if it.items is not None:
        return Iteration(it.items[::-1])
    if isinstance(items, Range) or (isinstance(items, Static) and isinstance(items.obj, range)):
        assert it.bounds is not None
        start, stop, step = it.bounds
        last = apply("add", start, apply("mul", apply("sub", it.length, ONE), const(step)))
        return Range(s.bind(last), s.bind(apply("sub", start, const(step))), -step)
    item = counted(s, it)
    return Iteration(None, it.length, lambda i: item(apply("sub", apply("sub", it.length, ONE), i)))


@lowers(sorted)
def sorted_(s: Builtins, items: Value, *, key: Value = NONE, reverse: Value = Static(False)) -> Value:
    return s.heap.born(Sequence(s.sorted_items(s.listed(items), key, reverse), list))  # type: ignore[no-any-return]


@lowers(iter)
def iter_(s: Builtins, items: Value) -> Value:
    return items if isinstance(items, Generator) else s.iteration(items)


@lowers(next)
def next_(s: Builtins, it: Value, default: Value | None = None) -> Value:
    if not isinstance(it, Iteration):
        s.refuse(f"next() of {describe(it)}", "use an index or a loop")
    if it.items is None:
        it.items = s.items_of(it)
    if not it.items:
        if default is not None:
            return default
        s.throw(StopIteration)
        return NONE
    return it.items.pop(0)


@lowers(list)
def list_(s: Builtins, items: Value | None = None) -> Value:
    return s.heap.born(Sequence([] if items is None else list(s.listed(items)), list))  # type: ignore[no-any-return]


@lowers(tuple)
def tuple_(s: Builtins, items: Value | None = None) -> Value:
    return Sequence([] if items is None else list(s.listed(items)), tuple)


@lowers(dict)
def dict_(s: Builtins, items: Value | None = None, **more: Value) -> Value:
    table: dict[Any, Value] = {}
    if isinstance(items, Mapping):
        table.update(items.items)
    elif items is not None:
        for pair in s.listed(items):
            k, v = s.listed(pair)
            table[s.known(k)] = v
    return s.heap.born(Mapping({**table, **more}))  # type: ignore[no-any-return]


@lowers(set, frozenset)
def set_(s: Builtins, items: Value | None = None) -> Value:
    return Static(frozenset() if items is None else frozenset(s.known(v) for v in s.listed(items)))


@lowers(slice)
def slice_(s: Builtins, *args: Value) -> Value:
    parts = [NONE, args[0], NONE] if len(args) == 1 else [*args, NONE][:3]
    return Slice(*parts)


# ---- classes and attributes


@lowers(isinstance)
def isinstance_(s: Builtins, x: Value, kinds: Value) -> Value:
    if isinstance(x, (Iteration, Generator, Entries)):
        return Static(False)
    cls = s.class_of(x)
    if cls is None:
        s.refuse(f"isinstance of {describe(x)}", "test it outside the compiled function")
    wanted = s.known(kinds)
    if isinstance(x, Static):
        return Static(isinstance(x.obj, wanted))
    return Static(issubclass(cls, wanted))


@lowers(issubclass)
def issubclass_(s: Builtins, cls: Value, kinds: Value) -> Value:
    return s.evaluate(issubclass, cls, kinds)


@lowers(type)
def type_(s: Builtins, *args: Value) -> Value:
    cls = s.class_of(args[0])
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
    if isinstance(x, Instance):
        return Static(n in x.fields or hasattr(x.cls, n))
    cls = s.class_of(x)
    return Static(hasattr(x.obj, n) if isinstance(x, Static) else cls is not None and hasattr(cls, n))


@lowers(getattr)
def getattr_(s: Builtins, x: Value, name: Value, default: Value | None = None) -> Value:
    n = s.known(name)
    if default is not None and not s.known(hasattr_(s, x, name)):
        return default
    return s.getattr(x, n)


@lowers(setattr)
def setattr_(s: Builtins, x: Value, name: Value, value: Value) -> Value:
    if not isinstance(x, Instance):
        s.refuse(f"an attribute of {describe(x)} is set", "return the value instead")
    s.setattr(x, s.known(name), value)
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
def new(s: Builtins, cls: Value, *args: Value, **kwargs: Value) -> Value:
    return s.heap.born(Instance(s.known(cls), {}))  # type: ignore[no-any-return]


@lowers(tuple.__new__)
def new_tuple(s: Builtins, cls: Value, items: Value | None = None) -> Value:
    return Sequence([] if items is None else list(s.listed(items)), s.known(cls))


@lowers(functools.partial)
def partial(s: Builtins, function: Value, *args: Value, **kwargs: Value) -> Value:
    return Partial(function, list(args), kwargs)


@lowers(functools.wraps)
def wraps(s: Builtins, function: Value, *args: Value, **kwargs: Value) -> Value:
    return Static(same)


def same(function: Any) -> Any:
    return function


@lowers(functools.lru_cache, functools.cache)
def cached(s: Builtins, function: Value = NONE, **options: Value) -> Value:
    return function if isinstance(function, Closure) else Static(same)


@lowers(property)
def property_(s: Builtins, *args: Value) -> Value:
    s.refuse("a property is made inside the compiled function", "define the class outside")


@lowers(copy.copy)
def copy_(s: Builtins, x: Value) -> Value:
    if isinstance(x, Instance):
        return s.heap.born(Instance(x.cls, dict(x.fields)))  # type: ignore[no-any-return]
    if isinstance(x, Sequence) and x.kind is list:
        return list_(s, x)
    if isinstance(x, Mapping):
        return s.heap.born(Mapping(dict(x.items)))  # type: ignore[no-any-return]
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
            made: Value = s.arrays.store_copy(s, v)
        elif isinstance(v, Sequence) and v.kind is not list:
            made = Sequence([deep(x) for x in v.items], v.kind)
        elif isinstance(v, Sequence):
            made = seen[id(v)] = s.heap.born(Sequence([], list))
            made.items = [deep(x) for x in v.items]
        elif isinstance(v, Mapping):
            made = seen[id(v)] = s.heap.born(Mapping({}))
            made.items = {k: deep(x) for k, x in v.items.items()}
        elif isinstance(v, Instance):
            made = seen[id(v)] = s.heap.born(Instance(v.cls, {}))
            made.fields = {k: deep(x) for k, x in v.fields.items()}
        else:
            made = v
        seen[id(v)] = made
        return made

    return deep(x)


@lowers(print, input, open)
def printed(s: Builtins, *args: Value, **kwargs: Value) -> Value:
    s.refuse("input or output inside a compiled function", "print after the call, or leave the function uncompiled")


# ---- text


@lowers(str)
def str_(s: Builtins, x: Value = Static("")) -> Value:
    if isinstance(x, Static):
        return s.evaluate(str, x)
    return Text(("", "s"), (x,))


@lowers(repr, format)
def repr_(s: Builtins, x: Value, spec: Value | None = None) -> Value:
    if isinstance(x, Static):
        return s.evaluate(format, x, spec) if spec is not None else s.evaluate(repr, x)
    return Text(("", "r"), (x,))


# ---- operators as functions


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


def _inplace(op: str, s: Builtins, a: Value, b: Value) -> Value:
    return s.inplace(op, a, b)


def _compare(op: str, s: Builtins, a: Value, b: Value) -> Value:
    return s.compare(op, a, b)


_operators()
__all__ = ["COMPLEX", "F64", "Apply", "Builtins", "Text", "builtins", "lookup", "math"]
