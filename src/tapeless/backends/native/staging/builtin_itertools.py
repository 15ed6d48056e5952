"""The functions of `itertools`: what they give is known item by item, or found from a number of run time."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import (
    F64,
    I64,
    ONE,
    ZERO,
    Const,
    Expr,
    apply,
    cast,
    const,
)
from tapeless.backends.native.staging import growing
from tapeless.backends.native.staging.builtin_table import NIL, NONE, lowers
from tapeless.backends.native.staging.control import ENDLESS, Iteration
from tapeless.backends.native.staging.growing_items import spec_of
from tapeless.backends.native.staging.iterables import Iter, counted, counter
from tapeless.backends.native.staging.sources import source, undisturbed
from tapeless.backends.native.staging.values import ArrayValue, Sequence, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.builtin_calls import Builtins

#: So many items of a product or of combinations are written out at most.
FEW = 256
UNIT = Static(1)


def is_none(value: Value | None) -> bool:
    return value is None or (isinstance(value, Static) and value.obj is None)


def at(s: Builtins, it: Iteration) -> Callable[[Expr], Value]:
    """An item by its number, known or of run time."""
    if it.items is None:
        return counted(it)
    row = Sequence(it.items, tuple)
    return lambda i: s.getitem(row, counter(i))


def length_of(it: Iteration) -> Expr:
    return it.length if it.items is None else const(len(it.items))


def several(parts: list[Value]) -> Value:
    return Sequence(parts, tuple)


@lowers(itertools.islice)
def islice(s: Builtins, items: Value, *limits: Value) -> Value:
    start, stop, step = (NIL, limits[0], UNIT) if len(limits) == 1 else (*limits, NONE)[:3]
    inner = source(s, items, live=True)
    by = 1 if is_none(step) else int(s.known(step, "the step of a slice decides its length"))
    low = ZERO if is_none(start) else s.as_expr(start, I64)
    high = None if is_none(stop) else s.as_expr(stop, I64)
    known = isinstance(low, Const) and (high is None or isinstance(high, Const))
    if by < 1 or (isinstance(low, Const) and low.value < 0) or (isinstance(high, Const) and high.value < 0):
        s.throw(ValueError, "Indices for islice() must be None or an integer: 0 <= x <= sys.maxsize.")
        return NONE

    def make() -> Iteration:
        it = inner()
        if it.items is not None and known:
            ends = [None if e is None else int(e.value) for e in (low, high)]  # type: ignore[attr-defined]
            return Iteration(it.items[ends[0] : ends[1] : by])
        size = length_of(it)
        for e in (low, high):
            if e is not None:
                s.check(apply("ge", e, ZERO), ValueError, "Stop argument for islice() must be None or an "
                        "integer: 0 <= x <= sys.maxsize.")  # fmt: skip
        end = size if high is None else high if size == ENDLESS else apply("minimum", high, size)
        span = apply("maximum", apply("sub", end, low), ZERO)
        count = s.bind(apply("floordiv", apply("add", span, const(by - 1)), const(by)), "n")
        item = at(s, it)
        return Iteration(None, ENDLESS if end == ENDLESS else count,
                         lambda i: item(apply("add", low, apply("mul", i, const(by)))))  # fmt: skip

    return Iter(s, make)


@lowers(itertools.chain)
def chain(s: Builtins, *many: Value) -> Value:
    inner = [source(s, m, live=True) for m in many]
    return Iter(s, lambda: chained(s, [make() for make in inner]))


@lowers(itertools.chain.from_iterable)
def from_iterable(s: Builtins, items: Value) -> Value:
    if isinstance(items, ArrayValue) and items.ndim == 2:
        return Iter(s, lambda: s.iteration(s.arrays.method(s, items, "ravel", [], {})))
    inner = source(s, items)
    return Iter(s, lambda: chained(s, [s.iteration(v) for v in s.items_of(inner())]))


def chained(s: Builtins, its: list[Iteration]) -> Iteration:
    if all(it.items is not None for it in its):
        return Iteration([v for it in its for v in it.items or ()])
    if any(it.length == ENDLESS for it in its[:-1]):
        s.refuse("something follows an endless iterator", "leave it out")
    rest = [it for it in its if it.items is None or it.items]
    ends: list[Expr] = [ZERO]
    for it in rest:
        ends.append(s.bind(apply("add", ends[-1], length_of(it)), "n"))
    total = ENDLESS if rest and rest[-1].length == ENDLESS else ends[-1]

    def item(i: Expr, k: int = 0) -> Value:
        mine = at(s, rest[k])
        here = apply("sub", i, ends[k])
        if k == len(rest) - 1:
            return mine(s.bind(here))
        return s.choose(
            s.bind(apply("lt", i, ends[k + 1])), lambda: mine(s.bind(here)), lambda: item(i, k + 1)
        )

    return Iteration(None, total, item)


@lowers(itertools.pairwise)
def pairwise(s: Builtins, items: Value) -> Value:
    inner = source(s, items)

    def make() -> Iteration:
        it = inner()
        if it.items is not None:
            return Iteration([several(list(pair)) for pair in itertools.pairwise(it.items)])
        item = counted(it)
        count = s.bind(apply("maximum", apply("sub", it.length, ONE), ZERO), "n")
        return Iteration(None, count, lambda i: several([item(i), item(apply("add", i, ONE))]))

    return Iter(s, make)


@lowers(itertools.product)
def product(s: Builtins, *many: Value, repeat: Value = UNIT) -> Value:
    times = int(s.known(repeat))
    inner = [source(s, m, at_once=True) for m in many]

    def make() -> Iteration:
        its = [one() for one in inner] * times
        lengths = [length_of(it) for it in its]
        if any(n == ENDLESS for n in lengths):
            s.refuse("a product with an endless iterator", "give it a length")
        total: Expr = ONE
        for n in lengths:
            total = apply("mul", total, n)
        if isinstance(total, Const) and total.value <= FEW:
            rows = itertools.product(*(s.items_of(it) for it in its))
            return Iteration([several(list(row)) for row in rows])
        items = [at(s, it) for it in its]

        def row(i: Expr) -> Value:
            places: list[Expr] = []
            for n in reversed(lengths):
                places.insert(0, s.bind(apply("mod", i, n)))
                i = s.bind(apply("floordiv", i, n))
            return several([item(p) for item, p in zip(items, places, strict=True)])

        return Iteration(None, s.bind(total, "n"), row)

    return Iter(s, make)


def choices(function: Any, pair: Callable[[Builtins, Expr, Expr], tuple[Expr, Expr]], count: Any) -> None:
    """`combinations` and `permutations`: of known items, or two at a time."""

    @lowers(function)
    def run(s: Builtins, iterable: Value, r: Value | None = None) -> Value:
        inner = source(s, iterable, at_once=True)
        many = None if is_none(r) else int(s.known(r))  # type: ignore[arg-type]

        def make() -> Iteration:
            it = inner()
            n = length_of(it)
            if isinstance(n, Const) and n.value <= 64:
                k = n.value if many is None else many
                rows = list(itertools.islice(function(range(int(n.value)), int(k)), FEW + 1))
                if len(rows) <= FEW:
                    found = s.items_of(it)
                    return Iteration([several([found[j] for j in row]) for row in rows])
            if many != 2 or n == ENDLESS:
                s.refuse(f"{function.__name__} of many items", "write loops")
            item = at(s, it)
            return Iteration(
                None, s.bind(count(n), "n"), lambda i: several([item(j) for j in pair(s, s.bind(i), n)])
            )

        return Iter(s, make)


def combination(s: Builtins, k: Expr, n: Expr) -> tuple[Expr, Expr]:
    """The k-th pair i < j: i is found from a root, and put right."""

    def first(i: Expr) -> Expr:
        rest = apply("sub", apply("sub", apply("mul", n, const(2)), i), ONE)
        return apply("floordiv", apply("mul", i, rest), const(2))

    b = s.bind(apply("sub", apply("mul", n, const(2)), ONE))
    rest = cast(apply("sub", apply("mul", b, b), apply("mul", k, const(8))), F64)
    root = apply("sqrt", apply("maximum", rest, const(0.0)))
    i = s.bind(cast(apply("mul", apply("sub", cast(b, F64), root), const(0.5)), I64))
    i = s.bind(apply("select", apply("gt", first(i), k), apply("sub", i, ONE), i))
    i = s.bind(apply("select", apply("le", first(apply("add", i, ONE)), k), apply("add", i, ONE), i))
    return i, s.bind(apply("add", apply("add", apply("sub", k, first(i)), i), ONE))


def permutation(s: Builtins, k: Expr, n: Expr) -> tuple[Expr, Expr]:
    others = s.bind(apply("sub", n, ONE))
    i, j = s.bind(apply("floordiv", k, others)), s.bind(apply("mod", k, others))
    return i, s.bind(apply("select", apply("ge", j, i), apply("add", j, ONE), j))


choices(
    itertools.combinations,
    combination,
    lambda n: apply("floordiv", apply("mul", n, apply("sub", n, ONE)), const(2)),
)
choices(itertools.permutations, permutation, lambda n: apply("mul", n, apply("sub", n, ONE)))


# ---- without an end


@lowers(itertools.repeat)
def repeat(s: Builtins, object: Value, times: Value | None = None) -> Value:
    count = ENDLESS if times is None else apply("maximum", s.as_expr(times, I64), ZERO)
    return Iter(s, lambda: Iteration(None, s.bind(count), lambda i: object))


@lowers(itertools.cycle)
def cycle(s: Builtins, items: Value) -> Value:
    inner = source(s, items)

    def make() -> Iteration:
        it = inner()
        n = length_of(it)
        if n == ENDLESS or it.items == []:
            return it
        s.replay_unless(apply("gt", n, ZERO))
        item = at(s, it)
        return Iteration(None, ENDLESS, lambda i: item(s.bind(apply("mod", i, n))))

    return Iter(s, make)


@lowers(itertools.count)
def count(s: Builtins, start: Value = NIL, step: Value = UNIT) -> Value:
    whole = s.is_number(start) and s.is_number(step) and {s.kind_of(start), s.kind_of(step)} <= {int, bool}

    def item(i: Expr) -> Value:
        if whole:
            return s.binary("Add", start, s.binary("Mult", step, counter(i)))
        if not isinstance(i, Const):
            s.refuse("itertools.count by steps that are no integers", "count integers, and multiply")
        return functools.reduce(lambda a, _: s.binary("Add", a, step), range(int(i.value)), start)

    made = Iter(s, lambda: Iteration(None, ENDLESS, item))
    made.made.value = made.make()  # here, as the program may first ask in a loop, or on one path
    return made


# ---- with functions of the program


def while_(s: Builtins, predicate: Value, items: list[Value]) -> int:
    """How many items a predicate holds for, from the first on."""
    for k, v in enumerate(items):
        if not s.known(s.boolean(s.truth(s.call(predicate, [v], {}))), "write a loop with `break`"):
            return k
    return len(items)


@lowers(itertools.takewhile)
def takewhile(s: Builtins, predicate: Value, items: Value) -> Value:
    inner = source(s, items)

    def kept() -> list[Value]:
        found = s.items_of(inner())
        return found[: while_(s, predicate, found)]

    return Iter(s, lambda: Iteration(undisturbed(s, kept)))


@lowers(itertools.dropwhile)
def dropwhile(s: Builtins, predicate: Value, items: Value) -> Value:
    inner = source(s, items)

    def kept() -> list[Value]:
        found = s.items_of(inner())
        return found[while_(s, predicate, found) :]

    return Iter(s, lambda: Iteration(undisturbed(s, kept)))


@lowers(itertools.compress)
def compress(s: Builtins, data: Value, selectors: Value) -> Value:
    inner, chosen = source(s, data), source(s, selectors)

    def make() -> Iteration:
        wanted = [s.known(s.boolean(s.truth(v)), "index an array by a mask") for v in s.items_of(chosen())]
        return Iteration(list(itertools.compress(s.items_of(inner()), wanted)))

    return Iter(s, make)


@lowers(itertools.starmap)
def starmap(s: Builtins, function: Value, items: Value) -> Value:
    inner = source(s, items)

    def make() -> Iteration:
        it = inner()
        rows = it.items
        if rows is not None:
            return Iteration(undisturbed(s, lambda: [s.call(function, s.listed(v), {}) for v in rows]))
        item = counted(it)
        return Iteration(
            None, it.length, lambda i: undisturbed(s, lambda: s.call(function, s.listed(item(i)), {}))
        )

    return Iter(s, make)


@lowers(itertools.zip_longest)
def zip_longest(s: Builtins, *many: Value, fillvalue: Value = NONE) -> Value:
    sources = [source(s, m, live=True) for m in many]

    def make() -> Iteration:
        its = [one() for one in sources]
        if any(it.length == ENDLESS for it in its):
            s.refuse("zip_longest of an endless iterator", "use zip")
        if all(it.items is not None for it in its):
            lists = [it.items or [] for it in its]
            return Iteration([several(list(r)) for r in itertools.zip_longest(*lists, fillvalue=fillvalue)])
        lengths = [length_of(it) for it in its]
        total = functools.reduce(lambda a, b: a if a == b else apply("maximum", a, b), lengths)
        items = [at(s, it) for it in its]

        def one_of(i: Expr, k: int) -> Value:
            if lengths[k] == total:
                return items[k](i)
            return s.choose(s.bind(apply("lt", i, lengths[k])), lambda: items[k](i), lambda: fillvalue)

        return Iteration(None, s.bind(total, "n"), lambda i: several([one_of(i, k) for k in range(len(its))]))

    return Iter(s, make)


@lowers(itertools.accumulate)
def accumulate(s: Builtins, iterable: Value, func: Value = NONE, *, initial: Value = NONE) -> Value:
    inner = source(s, iterable)
    combine = Static(operator.add) if is_none(func) else func
    site = (s.frames[-1].key, "accumulate", s.line)

    def make() -> Iteration:
        it = inner()
        if it.items is not None:
            rows = it.items if is_none(initial) else [initial, *it.items]

            def totals() -> list[Value]:
                return list(itertools.accumulate(rows, lambda a, b: s.call(combine, [a, b], {})))

            return Iteration(undisturbed(s, totals))
        return scanned(s, it, combine, None if is_none(initial) else initial, site)

    return Iter(s, make)


def scanned(s: Builtins, it: Iteration, combine: Value, initial: Value | None, site: Any) -> Iteration:
    """Totals of a number of items of run time, kept in a list that grows."""
    if it.length == ENDLESS or site in s.never_growing:
        s.refuse("totals of a number of items of run time that cannot be listed", "write a loop")
    low, high, step = it.bounds or (ZERO, it.length, 1)
    assert it.item is not None
    if initial is None:
        s.replay_unless(apply("gt", it.length, ZERO))
        initial, low = it.item(low), s.bind(apply("add", low, const(step)))
    spec = s.growing.get(site) or spec_of(s, initial)
    if spec is None:
        s.refuse("totals that are no numbers or arrays", "write a loop")
    owner = growing.new(s, spec, ZERO, site)
    growing.push(s, owner, initial)

    def more(a: Value, b: Value) -> Value:
        made = undisturbed(s, lambda: s.call(combine, [a, b], {}))
        if s.alive:
            growing.push(s, owner, made)
        return made

    rest = Iteration(None, s.bind(apply("sub", it.length, ONE)), it.item, (low, high, step))
    s.run_fold(rest, more, initial)
    return growing.iteration(s, owner)


@lowers(itertools.groupby)
def groupby(s: Builtins, iterable: Value, key: Value = NONE) -> Value:
    inner = source(s, iterable)

    def groups() -> list[Value]:
        found = s.items_of(inner())
        keys = [v if is_none(key) else s.call(key, [v], {}) for v in found]
        known = [s.known(k, "group with a loop") for k in keys]
        rows = itertools.groupby(range(len(found)), key=known.__getitem__)
        made: list[Value] = []
        for _, places in rows:
            group = list(places)
            made.append(several([keys[group[0]], listed(s, [found[k] for k in group])]))
        return made

    return Iter(s, lambda: Iteration(undisturbed(s, groups)))


def listed(s: Builtins, items: list[Value]) -> Value:
    return Iter(s, lambda: Iteration(items))


@lowers(itertools.tee)
def tee(s: Builtins, iterable: Value, n: Value = Static(2)) -> Value:  # noqa: B008
    inner = source(s, iterable)
    made: list[Iteration] = []

    def once() -> Iteration:
        if not made:
            made.append(inner())
        return made[0]

    once()
    s.heap.kept = []  # for good: nobody knows which of them is the last
    return several([Iter(s, once) for _ in range(int(s.known(n)))])
