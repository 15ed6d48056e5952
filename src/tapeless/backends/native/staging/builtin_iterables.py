"""Builtin functions that make, combine and take apart what loops go through."""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Callable, Iterator
from itertools import count, filterfalse
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import (
    I64,
    ONE,
    Alloc,
    Const,
    Expr,
    Load,
    Stmt,
    apply,
    const,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.staging import (
    bisect_programs,
    deques,
    growing,
    heap_programs,
    iteration_programs,
    sets,
    sorted_lists,
)
from tapeless.backends.native.staging.base import TYPES, describe
from tapeless.backends.native.staging.builtin_table import BUILTINS, NIL, NO, NONE, lowers
from tapeless.backends.native.staging.control import ENDLESS, Iteration
from tapeless.backends.native.staging.heap import is_object
from tapeless.backends.native.staging.iterables import GIVEN, Entries, Generator, Iter, counted, live_items
from tapeless.backends.native.staging.values import (
    Cell,
    Growing,
    Mapping,
    Range,
    Sequence,
    Slice,
    Static,
    Value,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.builtin_calls import Builtins


from tapeless.backends.native.staging.builtin_numbers import number


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


def source(s: Builtins, items: Value) -> Callable[[], Iteration]:
    """What another iterator goes through, when it is asked; an iterator is its own from here on."""

    def ahead() -> Iteration:
        with s.collect() as body:
            it = s.iteration(items)
        if isinstance(items, Generator):
            items.leave(s)
        emit(s, body)
        return it

    if deques.is_deque(items):
        s.keep(deques.as_list(items))
    if not isinstance(items, Iter):
        return ahead if isinstance(items, Generator) else lambda: s.iteration(items)
    if not (isinstance(items.at.value, Static) and items.at.value.obj == 0):
        rest = s.rest(items, given=True)
        return lambda: rest
    s.heap.write(items.at, GIVEN)
    return lambda: s.gone_through(items)


def emit(s: Builtins, body: list[Stmt]) -> None:
    """Statements that read some things earlier than the program does: these stay what they are until then."""
    mine = {x.array for x in walk(body) if isinstance(x, Alloc)}
    for root in {
        y.array.root for x in walk(body) for e in expressions(x) for y in leaves(e) if isinstance(y, Load)
    }:
        if root not in mine:
            s.keep(root)
    s.block.extend(body)


@lowers(enumerate)
def enumerate_(s: Builtins, items: Value, start: Value = NIL) -> Value:
    first = s.as_expr(start, I64)
    inner = source(s, items)

    def pair(i: Expr, v: Value) -> Value:
        return Sequence([number(apply("add", i, first)), v], tuple)

    def make() -> Iteration:
        it = inner()
        if it.items is not None:
            return Iteration([pair(const(i), v) for i, v in enumerate(it.items)])
        item = counted(it)
        return Iteration(None, it.length, lambda i: pair(i, item(i)))

    def steps() -> Iterator[Value] | None:
        found = stepwise(items)
        return None if found is None else (pair(const(i), v) for i, v in enumerate(found))

    def given(take: Callable[[Value], None]) -> None:
        assert isinstance(items, Generator)
        count = s.heap.born(Cell(NIL))

        def numbered(v: Value) -> None:
            at = count.value
            take(pair(s.as_expr(at, I64), v))
            if s.alive:
                s.heap.write(count, s.stored(s.binary("Add", at, Static(1))))

        items.consume(s, numbered)

    return Iter(s, make, steps, given=given if isinstance(items, Generator) else None)


def stepwise(items: Value) -> Iterator[Value] | None:
    """The items of an iterator one by one, where making them has effects; those of a list as it is then."""
    if is_object(items) and isinstance(items, Sequence):
        return live_items(items)
    return items.steps() if isinstance(items, Iter) and items.steps is not None else None


@lowers(zip)
def zip_(s: Builtins, *many: Value, strict: Value = NO) -> Value:
    if len({id(m) for m in many if isinstance(m, (Iter, Generator))}) < sum(
        isinstance(m, (Iter, Generator)) for m in many
    ):
        s.refuse("an iterator is given to zip twice", "use slices")
    sources = [source(s, m) for m in many]

    def make() -> Iteration:
        return zipped(s, [make() for make in sources], strict)

    def steps() -> Iterator[Value] | None:
        if s.known(strict) or not any(map(apart, many)):
            return None
        rows = rowwise(s, many, sources)
        return None if rows is None else (Sequence(row, tuple) for row in rows)

    return Iter(s, make, steps)


def apart(items: Value) -> bool:
    """Whether items are known one by one, and at different times."""
    if isinstance(items, Iter):
        return items.steps is not None
    return isinstance(items, Sequence) or (isinstance(items, Static) and isinstance(items.obj, (tuple, list)))


def rowwise(
    s: Builtins, many: tuple[Value, ...], sources: list[Callable[[], Iteration]]
) -> Iterator[list[Value]] | None:
    """Rows of items in Python's order: each source is asked for one, up to the first that has no more.

    None where a length is not known.
    """
    columns: dict[int, Iterator[Value]] = {}
    endless = 0
    # what generators give can be asked for once only
    for k in sorted(range(len(many)), key=lambda k: isinstance(many[k], Generator)):
        m, make = many[k], sources[k]
        found = stepwise(m)
        if found is None:
            it = make()
            if it.items is not None:
                found = iter(it.items)
            elif it.length == ENDLESS:
                endless += 1
                found = map(counted(it), map(const, count()))
            elif isinstance(it.length, Const):
                found = map(counted(it), map(const, range(int(it.length.value))))
            else:
                return None
        columns[k] = found
    # zip asks in turn, and stops at the first that is exhausted
    return (
        None
        if endless == len(columns)
        else (list(row) for row in zip(*(columns[k] for k in range(len(many))), strict=False))
    )


def zipped(s: Builtins, its: list[Iteration], strict: Value = NO) -> Iteration:
    finite = [it for it in its if it.items is not None or it.length != ENDLESS]
    if any(it.items is not None for it in its) or not its:
        short = min((len(s.items_of(it)) for it in finite), default=0)
        lists = [
            s.items_of(it) if it in finite else [counted(it)(const(k)) for k in range(short)] for it in its
        ]
        if s.known(strict):
            lengths = [len(x) for x in lists]
            for k, n in enumerate(lengths):
                if n != lengths[0]:
                    first = "argument 1" if k == 1 else f"arguments 1-{k}"
                    s.throw(
                        ValueError,
                        f"zip() argument {k + 1} is {'shorter' if n < lengths[0] else 'longer'} than {first}",
                    )
                    return Iteration([])
        return Iteration([Sequence(list(row), tuple) for row in zip(*lists, strict=False)])
    length = (finite or its)[0].length
    for it in (finite or its)[1:]:
        if s.ranges.proves(apply("eq", it.length, length)):
            continue
        if s.known(strict):
            s.check(apply("eq", it.length, length), ValueError, "zip() arguments are of different lengths")
        else:
            length = apply("minimum", length, it.length)
    items = [counted(it) for it in its]
    return Iteration(None, s.bind(length, "n"), lambda i: Sequence([item(i) for item in items], tuple))


@lowers(map)
def map_(s: Builtins, function: Value, *many: Value) -> Value:
    sources = [source(s, m) for m in many]

    def make() -> Iteration:
        rows = zipped(s, [inner() for inner in sources])
        if rows.items is not None:
            return Iteration([s.call(function, s.listed(r), {}) for r in rows.items])
        item = rows.item
        assert item is not None
        return Iteration(None, rows.length, lambda i: s.call(function, s.listed(item(i)), {}))

    def steps() -> Iterator[Value] | None:
        rows = rowwise(s, many, sources)
        return None if rows is None else (s.call(function, row, {}) for row in rows)

    return Iter(s, make, steps)


def filtered(s: Builtins, function: Value, items: Value, wanted: bool) -> Value:
    inner = source(s, items)

    def kept() -> Iterator[Value]:
        for v in s.items_of(inner()):
            test = v if isinstance(function, Static) and function.obj is None else s.call(function, [v], {})
            if bool(s.known(s.boolean(s.truth(test)), "filter with np.where or a loop")) is wanted:
                yield v

    return Iter(s, lambda: Iteration(list(kept())), kept)


@lowers(filter)
def filter_(s: Builtins, function: Value, items: Value) -> Value:
    return filtered(s, function, items, True)


@lowers(filterfalse)
def filterfalse_(s: Builtins, function: Value, items: Value) -> Value:
    return filtered(s, function, items, False)


@lowers(reversed)
def reversed_(s: Builtins, items: Value) -> Value:
    method = s.python_method(items, "__reversed__")
    if method is not None:
        return s.call_object(method, [items], {})
    if not (is_object(items) and isinstance(items, Sequence)):
        return Iter(s, lambda: backwards(s, items))
    owner, last = items, len(items.items) - 1

    def steps() -> Iterator[Value]:
        k = last
        while 0 <= k < len(owner.items):
            yield owner.items[k]
            k -= 1

    return Iter(s, lambda: backwards(s, items), steps)


def backwards(s: Builtins, items: Value) -> Iteration:
    it = s.iteration(items)
    if it.items is not None:
        return Iteration(it.items[::-1])
    if isinstance(items, Range) or (isinstance(items, Static) and isinstance(items.obj, range)):
        assert it.bounds is not None
        start, stop, step = it.bounds
        last = apply("add", start, apply("mul", apply("sub", it.length, ONE), const(step)))
        return s.iteration(Range(s.bind(last), s.bind(apply("sub", start, const(step))), -step))
    item = counted(it)
    return Iteration(None, it.length, lambda i: item(apply("sub", apply("sub", it.length, ONE), i)))


@lowers(sorted)
def sorted_(s: Builtins, items: Value, *, key: Value = NONE, reverse: Value = NO) -> Value:
    if isinstance(items, Generator):
        items = s.call_object(iteration_programs.all_of, [items], {})
    if isinstance(items, Growing):
        return sorted_lists.in_order(s, items, key, bool(s.known(reverse)))
    return s.heap.born(Sequence(s.sorted_items(s.listed(items), key, reverse), list))  # type: ignore[no-any-return]


@lowers(iter)
def iter_(s: Builtins, items: Value, *sentinel: Value) -> Value:
    if sentinel:
        s.refuse("iter() of a function", "write a loop with `break`")
    if isinstance(items, (Generator, Iter)):
        return items
    listed = isinstance(items, (Sequence, Mapping, Entries)) or deques.is_deque(items)
    it = s.iteration(items)
    before = it.items

    def still() -> None:
        now = s.iteration(items).items
        if before is None:
            return
        if now is None or len(now) != len(before) or not all(map(alike, now, before)):
            s.refuse(f"{describe(items)} changes while an iterator goes through it", "loop over a copy")

    made = Iter(s, lambda: it, still=still if listed else None)
    made.made.value = it
    return made


def alike(a: Value, b: Value) -> bool:
    """Whether two items are one, or the same pair of a dict."""
    if isinstance(a, Sequence) and isinstance(b, Sequence) and a.kind is b.kind is tuple:
        return len(a.items) == len(b.items) and all(map(alike, a.items, b.items))
    return a is b or isinstance(a, Static) and isinstance(b, Static) and a.obj is b.obj


@lowers(next)
def next_(s: Builtins, it: Value, default: Value | None = None) -> Value:
    if isinstance(it, Generator):
        if not (isinstance(it.done.value, Static) and it.done.value.obj is False):
            s.refuse("next() of a generator that has been used", "use an index or a loop")
        if default is None:
            return s.call_object(iteration_programs.first_of, [it], {})
        return s.call_object(iteration_programs.first_or, [it, default], {})
    if not isinstance(it, Iter):
        s.refuse(f"next() of {describe(it)}", "use an index or a loop")
    return s.next_of(it, default)


@lowers(list)
def list_(s: Builtins, items: Value | None = None) -> Value:
    if isinstance(items, Growing):
        return growing.copied(s, items)
    return s.heap.born(Sequence([] if items is None else list(s.listed(items)), list))  # type: ignore[no-any-return]


@lowers(tuple)
def tuple_(s: Builtins, items: Value | None = None) -> Value:
    return Sequence([] if items is None else list(s.listed(items)), tuple)


@lowers(dict)
def dict_(s: Builtins, items: Value | None = None, /, **more: Value) -> Value:
    table: dict[Any, Value] = {}
    if isinstance(items, Mapping):
        table.update(items.items)
    elif items is not None:
        for pair in s.listed(items):
            k, v = s.listed(pair)
            table[s.known(k)] = v
    return s.heap.born(Mapping({**table, **more}))  # type: ignore[no-any-return]


@lowers(set)
def set_(s: Builtins, items: Value | None = None) -> Value:
    return sets.made(s, items)


@lowers(frozenset)
def frozenset_(s: Builtins, items: Value | None = None) -> Value:
    if sets.is_set(items):
        return Static(frozenset(sets.contents(s, items)))  # type: ignore[arg-type]
    return Static(frozenset() if items is None else frozenset(s.known(v) for v in s.listed(items)))


@lowers(slice)
def slice_(s: Builtins, *args: Value) -> Value:
    parts = [NONE, args[0], NONE] if len(args) == 1 else [*args, NONE][:3]
    return Slice(*parts)


def _programs() -> None:
    def as_program(program: Any) -> Any:
        return lambda s, *args, **kwargs: s.call_object(program, list(args), kwargs)

    for name in ("bisect_left", "bisect_right", "insort_left", "insort_right"):
        BUILTINS[getattr(bisect, name)] = as_program(getattr(bisect_programs, name))
    for name in ("heappush", "heappop", "heapify", "heapreplace", "heappushpop"):
        BUILTINS[getattr(heapq, name)] = as_program(getattr(heap_programs, name))
    for name in ("heappop_max", "heapify_max", "heapreplace_max"):  # private before Python 3.14
        function = getattr(heapq, name, None) or getattr(heapq, f"_{name}")
        BUILTINS[function] = as_program(getattr(heap_programs, name))


_programs()
