"""What loops go through: containers, arrays, dicts while they change, generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tapeless.backends.native.nest import (
    ZERO,
    Check,
    Const,
    Expr,
    Intrinsic,
    Raise,
    Store,
    Swap,
    apply,
    const,
    walk,
)  # fmt: skip
from tapeless.backends.native.staging import growing
from tapeless.backends.native.staging.base import describe
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.operators import Operators
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Cell,
    Growing,
    Instance,
    Mapping,
    Number,
    Range,
    Sequence,
    Static,
    Value,
)


class Iterables(Operators):
    """Iteration over values of any class."""

    def iteration(self, value: Value) -> Iteration:
        if isinstance(value, Iteration):
            return value
        if isinstance(value, Sequence):
            method = self.python_method(value, "__iter__")
            if method is not None:
                return self.iterated(self.call_object(method, [value], {}))
            return Iteration(list(value.items), more=lambda: live_items(value))
        if isinstance(value, Growing):
            return growing.iteration(self, value)
        if isinstance(value, Mapping):
            return Iteration([self.constant(k) for k in value.items])
        if isinstance(value, Entries):
            return Iteration(value.listed(self), more=lambda: value.live(self))
        if isinstance(value, Generator):
            return Iteration(value.items(self))
        if isinstance(value, Range):
            bounds = (value.start, value.stop, value.step)
            return Iteration(None, self.range_length(value), counter, bounds)
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
            self.throw(
                TypeError,
                f"cannot unpack non-iterable {kind} object" if False else f"'{kind}' object is not iterable",
            )
            return Iteration([])
        self.refuse(f"a loop over {describe(value)}", "loop over a range, an array or a tuple")

    def iterated(self, value: Value) -> Iteration:
        """What `__iter__` gave."""
        if isinstance(value, Instance):
            self.refuse(
                f"a loop over an iterator of class {value.cls.__name__}", "write a generator, or a loop"
            )
        return self.iteration(value)

    def range_length(self, r: Range) -> Expr:
        """How many numbers a range has."""
        if r.step == 1:
            return apply("maximum", apply("sub", r.stop, r.start), ZERO)
        span = apply("sub", r.stop, r.start) if r.step > 0 else apply("sub", r.start, r.stop)
        return apply(
            "maximum", apply("floordiv", apply("add", span, const(abs(r.step) - 1)), const(abs(r.step))), ZERO
        )


def counter(i: Expr) -> Value:
    return Static(i.value) if isinstance(i, Const) else Number(i, int)


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

    def entry(self, s: Iterables, key: Any) -> Value:
        if self.how == "keys":
            return s.constant(key)
        value = s.getitem(self.owner, s.constant(key))
        return value if self.how == "values" else Sequence([s.constant(key), value], tuple)

    def listed(self, s: Iterables) -> list[Value]:
        return [self.entry(s, k) for k in self.owner.items]

    def live(self, s: Iterables) -> Iterator[Value]:
        for k in list(self.owner.items):
            yield self.entry(s, k)


class Generator(Value):
    """What calling a generator function gives: its body runs when its values are asked for."""

    def __init__(self, run: Callable[[Callable[[Value], None]], None], cells: dict[str, Cell]) -> None:
        self.run, self.cells, self.done = run, cells, False

    def consume(self, s: Iterables, take: Callable[[Value], None]) -> None:
        """Run the body; `take` is given each value as it comes."""
        if not self.done:
            self.done = True
            self.run(take)

    def items(self, s: Iterables) -> list[Value]:
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
