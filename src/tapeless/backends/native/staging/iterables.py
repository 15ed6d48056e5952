"""What loops go through: containers, arrays, dicts while they change, generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from tapeless.backends.native.staging import generators, growing
from tapeless.backends.native.staging.base import NeedsUnrolling, describe
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
from tapeless.errors import NotCompilable
from tapeless.program.ir import Op


class Iterables(Operators):
    """Iteration over values of any class."""

    def iteration(self, value: Value) -> Iteration:
        if isinstance(value, Iteration):
            return value
        if isinstance(value, Iter):
            with self.released(value):
                return self.rest(value)
        if isinstance(value, Sequence):
            method = self.python_method(value, "__iter__")
            if method is not None:
                return self.iterated(self.call_object(method, [value], {}))
            return Iteration(list(value.items), more=lambda: live_items(value))
        if isinstance(value, Growing):
            return growing.iteration(self, value)
        if isinstance(value, Mapping):
            return Iteration(
                [self.constant(k) for k in value.items], more=lambda: Entries(value, "keys").live(self)
            )
        if isinstance(value, Instance) and value.cls is set:
            from tapeless.backends.native.staging import sets

            return sets.iteration(self, value)
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
            if self.python_method(value, "__getitem__") is not None:
                return self.items_by_index(value)
        if self.is_number(value):
            kind = self.kind_of(value).__name__
            self.throw(
                TypeError,
                f"cannot unpack non-iterable {kind} object" if False else f"'{kind}' object is not iterable",
            )
            return Iteration([])
        self.refuse(f"a loop over {describe(value)}", "loop over a range, an array or a tuple")

    def gone_through(self, it: Iter) -> Iteration:
        """All that an iterator gives, from its beginning."""
        made = it.made.value
        if made is None:
            made = it.make()
            self.heap.write(it.made, made)
        if not isinstance(made, Iteration):
            self.refuse("an iterator is used on several paths of the program", "make a list of it")
        if it.still is not None:
            it.still()
        return made

    def rest(self, it: Iter, given: bool = False) -> Iteration:
        """What an iterator still gives; then it is at its end, or (`given`) at a place that is not known."""
        at = it.at.value
        if at is GIVEN or not isinstance(at, (Static, Number)):
            self.refuse("an iterator is used again after it was left half-way", "make a list of it")
        made = self.gone_through(it)
        end: Value
        if made.items is not None:
            k = self.known(at, "an iterator goes on where it stopped")
            found = made if not k else Iteration(made.items[k:])
            end = Static(len(made.items))
        else:
            end = Number(made.length, int)
            found = made
            if not (isinstance(at, Static) and at.obj == 0):
                start, item = self.bind(self.as_expr(at)), counted(made)
                length = self.bind(apply("sub", made.length, start))
                found = Iteration(None, length, lambda i: item(apply("add", start, i)))
        self.heap.write(it.at, GIVEN if given else end)
        it.kept += self.heap.kept
        self.heap.kept = []
        return found

    def next_of(self, it: Iter, default: Value | None) -> Value:
        """`next(it)`."""
        at = it.at.value
        if at is GIVEN or not isinstance(at, (Static, Number)):
            self.refuse("an iterator is used again after it was left half-way", "make a list of it")
        made = self.gone_through(it)
        if made.items is not None:
            k = self.known(at, "an iterator goes on where it stopped")
            if k < len(made.items):
                self.heap.write(it.at, Static(k + 1))
                return made.items[k]  # type: ignore[no-any-return]
            if default is not None:
                return default
            self.throw(StopIteration)
            return Static(None)
        if default is not None:
            self.refuse("next() with a default, of something of unknown length", "use an index")
        k = self.bind(self.as_expr(at))
        self.check(apply("lt", k, made.length), StopIteration)
        self.heap.write(it.at, Number(self.bind(apply("add", k, const(1))), int))
        return counted(made)(k)

    def items_by_index(self, value: Instance) -> Iteration:
        """The items of an object that has `__getitem__` and no `__iter__`: as many as `__len__` says, which
        Python does not ask."""
        method = self.python_method(value, "__len__")
        if method is None:
            self.refuse("an object is gone through by __getitem__ alone", "write a `for` loop")
        length = Number(self.bind(self.as_expr(self.call_object(method, [value], {}))), int)
        self.replay_unless(self.truth(self.call(Static(ends_at), [value, length], {})))
        return Iteration(None, length.expr, lambda i: self.getitem(value, Number(i, int)))

    def op_for(self, op: Op) -> None:
        value = self.read(op.args[0])
        if isinstance(value, Instance) and self.python_method(value, "__iter__") is None:
            if self.python_method(value, "__getitem__") is not None:
                value = self.call(Static(by_index), [value], {})
        if isinstance(value, Generator):
            generators.loop(self, op, lambda take: value.consume(self, take))
            return
        if isinstance(value, Iter) and value.given is not None and value.fresh:
            self.heap.write(value.at, GIVEN)
            with self.released(value):
                generators.loop(self, op, value.given)
            return
        if not isinstance(value, Iter):
            super().op_for(op)
            return
        left = any(inner.kind in ("break", "return") for block in op.blocks[:1] for inner in block.walk())
        with self.released(value):
            if value.steps is not None and value.fresh:
                steps = value.steps()
                if steps is not None:
                    value.kept += self.heap.kept
                    self.heap.kept = []
                    self.heap.write(value.made, Iteration([]))
                    end = value.at.value
                    self.heap.write(value.at, GIVEN)
                    self.unroll(op, op.blocks[0], op.blocks[1], lambda: self.next_item(op, steps))
                    if self.alive and not left:
                        self.heap.write(value.at, end)
                    return
            found = self.rest(value)
            end = value.at.value
            self.heap.write(value.at, GIVEN)  # the body cannot go on with it
            self.loop_through(op, found)
            if self.alive and not left:
                self.heap.write(value.at, end)

    def contains(self, container: Value, item: Value) -> Value:
        made = super().contains(container, item)
        if isinstance(container, Generator):  # the search has stopped where it found the item
            container.leave(self)
        elif isinstance(container, Iter):
            self.heap.write(container.at, GIVEN)
        return made

    def keep(self, value: object) -> None:
        """An iterator reads this at another time than Python's does: it must be the same until then."""

        def refuse() -> None:
            self.refuse("something changes while an iterator goes through it", "loop over a copy")

        self.heap.fixed.setdefault(id(value), []).append((value, refuse))
        self.heap.kept.append(id(value))

    @contextmanager
    def released(self, it: Iter) -> Iterator[None]:
        """What an iterator goes through, and what is read on the way, may change after this."""
        outside, self.heap.kept = self.heap.kept, []
        yield
        self.heap.free(it.kept)
        self.heap.free(self.heap.kept)
        self.heap.kept = outside

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


def counted(it: Iteration) -> Callable[[Expr], Value]:
    """An iteration's item by how many came before it."""
    item = it.item
    assert item is not None
    if it.bounds is None:
        return item
    start, _, step = it.bounds
    return lambda i: item(apply("add", start, apply("mul", i, const(step))))


#: Where an iterator is that something else goes on with.
GIVEN = Static("given")


class Position(Cell):
    """Where an iterator is, or what it goes through."""


class Iter(Value):
    """An iterator: what it goes through is made when it is first asked, and it is gone through once.

    `steps` gives the items one by one, where making them has effects, else None; `still` sees to it that what
    it goes through is what it was.  `given` runs a generator behind it, and hands over what it gives.
    """

    def __init__(
        self,
        s: Iterables,
        make: Callable[[], Iteration],
        steps: Callable[[], Iterator[Value] | None] | None = None,
        still: Callable[[], None] | None = None,
        given: Callable[[Callable[[Value], None]], None] | None = None,
    ) -> None:
        self.whole, self.steps, self.still, self.given = make, steps, still, given
        self.kept, s.heap.kept = s.heap.kept, []
        self.at, self.made = s.heap.born(Position(Static(0))), s.heap.born(Position())

    @property
    def fresh(self) -> bool:
        """Whether nobody has asked for anything yet."""
        return isinstance(self.at.value, Static) and self.at.value.obj == 0 and self.made.value is None

    def make(self) -> Iteration:
        """All at once, though in the order of the steps."""
        found = None if self.steps is None else self.steps()
        return self.whole() if found is None else Iteration(list(found))


def by_index(items: Any) -> Iterator[Any]:
    """As Python does, which does not ask for the length."""
    k = 0
    while True:
        try:
            item = items[k]
        except IndexError:
            return
        yield item
        k += 1


def ends_at(items: Any, n: int) -> bool:
    try:
        items[n]
    except IndexError:
        return True
    return False


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
        keys = list(self.owner.items)
        for k in keys:
            if not self.same(s, keys):
                return
            yield self.entry(s, k)
        self.same(s, keys)

    def same(self, s: Iterables, keys: list[Any]) -> bool:
        """Whether the dict still has these keys; the program raises if it has more or fewer."""
        now = list(self.owner.items)
        if now != keys and (len(now) == len(keys) or self.owner.kind is not dict):
            s.refuse("a dict gets other keys while a loop goes through it", "loop over a copy")
        if now != keys:
            s.throw(RuntimeError, "dictionary changed size during iteration")
        return now == keys


class Generator(Value):
    """What calling a generator function gives: its body runs when its values are asked for."""

    def __init__(
        self, run: Callable[[Callable[[Value], None]], Any], cells: dict[str, Cell], done: Cell
    ) -> None:
        self.run, self.cells, self.done = run, cells, done

    def leave(self, s: Iterables) -> None:
        """Who goes through the values may stop before the last: what then is left is not known."""
        s.heap.write(self.done, Static(GIVEN))

    def consume(self, s: Iterables, take: Callable[[Value], None]) -> Value:
        """Run the body, and give what it returns; `take` is given each value as it comes."""
        done = self.done.value
        if not isinstance(done, Static):
            s.refuse("a generator is used on several paths, or in a loop", "make it where it is used")
        if done.obj is GIVEN:
            s.refuse("a generator is used again while it runs, or after it was left half-way", "make another")
        if done.obj:
            return Static(None)
        self.leave(s)
        result: Value = self.run(take)
        if s.alive:
            s.heap.write(self.done, Static(True))
        return result

    def items(self, s: Iterables) -> list[Value]:
        """Every value, before any is used: the body must not notice."""
        found: list[Value] = []
        level, loops, tip = s.heap.open(), len(s.open_loops), s.block
        start = s.heap.clock

        def take(value: Value) -> None:
            if len(s.open_loops) > loops or s.block is not s.tip(tip):
                try:
                    s.refuse("a generator runs a number of times that is not known", "use a list or an array")
                except NotCompilable as refusal:
                    if len(s.open_loops) == loops:
                        raise
                    raise NeedsUnrolling(s.open_loops[loops].key, "its generator", refusal) from None
            found.append(value)

        with s.collect() as body:
            tip = body
            self.consume(s, take)
            ended = s.alive and s.block is s.tip(body)
        held = s.heap.levels[level].values()
        changed = [o for o, _ in held if s.heap.age(o) <= start and o is not self.done]
        for o in [o for o in changed if isinstance(o, Position)]:  # gone through by the body alone
            changed.remove(o)
            if not isinstance(o.value, Iteration):
                s.heap.write(o, GIVEN)
        s.heap.close(level)
        effects = any(isinstance(x, (Store, Check, Raise, Intrinsic, Swap)) for x in walk(body))
        if changed or effects or not ended:
            s.refuse(
                "a generator that changes something, or may raise, is used step by step",
                "use a list, or loop over what the generator loops over",
            )
        s.block.extend(body)
        return found
