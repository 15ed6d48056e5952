"""What a sparse Jacobian needs of a staged program: on what its result depends, and columns by colour."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.lanes import Lanes
from tapeless.backends.native.nest import (
    FALSE,
    I64,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Dim,
    Expr,
    For,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    cast,
    const,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.pattern import dependence
from tapeless.backends.native.picked import picked
from tapeless.backends.native.rewrite import change_body
from tapeless.backends.native.scopes import writes
from tapeless.backends.native.staging import arrays, storage
from tapeless.backends.native.staging.apart import Apart, Name, stage_apart, type_name
from tapeless.backends.native.staging.jacobians import LONG, Assembly, columns, rows
from tapeless.backends.native.staging.once import draws, printing
from tapeless.backends.native.staging.values import ArrayValue, Number, Static, Value, View
from tapeless.backends.native.staging.values import Sequence as SequenceValue
from tapeless.backends.native.staging.zeros import watch, watched
from tapeless.errors import StructureError

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def _apart(
    stager: Stager, what: Any, args: list[Value], kwargs: dict[str, Value]
) -> tuple[Apart, ArrayValue, ArrayValue] | None:
    """The call, staged apart, with its argument that counts and its result; None if it never returns."""
    apart, changed = stage_apart(stager, what.fun, args, kwargs, [what.at])
    if not apart.returns:
        apart.close(())
        apart.insert(apart.function.body)
        return None
    x, y = apart.shapes[0], apart.value
    if (
        not isinstance(x, ArrayValue)
        or not isinstance(y, ArrayValue)
        or y.dtype not in ("float64", "float32")
    ):
        raise StructureError(f"{NEEDED}, not a {type_name(y)}")
    y = _result(stager, apart, y)
    apart.close(changed)
    return apart, x, y


#: What a sparse Jacobian is taken of.
NEEDED = "a sparse jacobian needs a function whose result is an array of floats"


def _result(stager: Stager, apart: Apart, y: ArrayValue) -> ArrayValue:
    """The result, as it is where the program has made storage for it."""
    fn = apart.function
    with stager.at(fn.body):
        view = storage.make(stager, y)
        own = {s.array for s in walk(fn.body) if isinstance(s, Alloc)}
        if view.array not in own or not storage.is_whole(stager, view):
            view = storage.store_copy(stager, y)
    fn.results.append(view.array)
    return view


def words(stager: Stager, what: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """The words of the result for those of the argument, and which parameters of the nest were read."""
    given, *args = args
    assert isinstance(given, ArrayValue)
    staged = _apart(stager, what, args, kwargs)
    if staged is None:
        return Static(None)
    apart, x, y = staged
    made, values = dependence(apart.function, 0)
    if draws(made.body):
        stager.refuse("the pattern of a jacobian depends on random numbers", "take it outside jit")
    apart.connect()
    (seed,), (result,) = made.params[len(apart.function.params) :], made.results
    assert isinstance(seed, Array) and isinstance(result, Array)
    stager.emit(Alloc(seed, x.shape))
    with stager.loops(x.shape) as index:
        item = storage.at(stager, given, index)
        assert isinstance(item, Expr)
        stager.emit(Store(seed, index, item))
    stager.block.extend(made.body)
    memory = {g.name: g.view.array for g in apart.given}
    read = {memory.get(v, v).root if isinstance(v, Array) else v for v in values}
    mine = [k for k, p in enumerate(stager.params) if p in read]
    for copied in apart.given:
        if not copied.whole and copied.name in values:  # a copy, made of a parameter
            mine += [k for k, p in enumerate(stager.params) if p is copied.view.array.root]
    found = arrays.argument(stager, result, "int64", None)
    return SequenceValue([found, Static(tuple(sorted(set(mine))))], tuple)


def compressed(stager: Stager, what: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """The sums of columns (rows) of each colour, each column times its weight: [..., colour].

    With `what.direct` come the entries of these sums that are asked for, by their places in an array of
    `what.width` colours; or by where each row's entries start and the colours of all.
    """
    colours, weights, count, size, places, *args = args
    assert isinstance(colours, ArrayValue) and isinstance(weights, ArrayValue)
    assert isinstance(count, Number) and isinstance(size, Number)
    staged = _apart(stager, what, args, kwargs)
    if staged is None:
        return Static(None)
    apart, x, y = staged
    drawn = draws(apart.function.body)
    if what.silent and drawn:
        stager.refuse(
            "a program that draws random numbers cannot be run twice, to check a pattern or by two arguments",
            "let the pattern be found, of one argument",
        )
    if what.silent:
        apart.function.body[:] = printing(apart.function.body, None)
    linear = columns(apart, y) if what.forward else rows(apart)
    seeded, found = (x, y) if what.forward else (y, x)
    apart.connect()
    made = _Compressed(stager, apart, linear, seeded, found, what.forward)
    made.last = what.forward or what.direct
    made.given(colours, weights, size.expr)
    made.drawn = drawn
    long = not drawn and sum(1 for _ in walk(linear.body)) > LONG
    made.width = 1 if long else max(what.width, 2)
    if not what.direct:
        value = made.colours(count.expr, count.expr)
    elif long:
        whole = made.colours(count.expr, const(what.width))
        assert isinstance(whole, View)
        value = made.entries([], whole.array, places)
    else:
        with stager.collect() as body:
            sums = made.once()
        value = made.entries(body, sums, places)
    apart.disconnect()
    return value


class _Compressed(Assembly):
    """Runs a linear map for every colour."""

    drawn = False
    """Whether the program draws random numbers: then all is one run."""
    last = True
    """Whether the colours are the last axis of the result, or the first."""

    def given(self, colours: ArrayValue, weights: ArrayValue, size: Expr) -> None:
        self.of, self.weights, self.size = colours, weights, size

    def forth(self) -> None:
        """What runs once, before all colours."""
        assert isinstance(self.seeded, ArrayValue)
        self.stager.block.extend(self.linear.once)
        fits(self.stager, self.seeded.shape, self.of.shape[0], self.weights.shape[0])

    def once(self) -> Array:
        """All colours in one run: [..., lane] or, of rows, an array of that order, too."""
        s, linear = self.stager, self.linear
        assert isinstance(linear.seed, Array)
        self.forth()
        lanes = const(self.width)
        made = Lanes(linear.body, [linear.seed], [linear.slope], lanes)
        assert isinstance(self.seeded, ArrayValue)
        seed = made.lanes(linear.seed)
        body = made.body
        if _only_loaded(body, seed):
            body = change_body(body, lambda e: self.unit(e, seed))
        else:
            self.units(seed, self.seeded.shape, ZERO, lanes, lanes)
        s.block.extend(body)
        assert isinstance(self.found, ArrayValue)
        fits(s, self.found.shape, self.size)
        found = made.result(linear.slope)
        if found is None:
            found = s.array(linear.seed.dtype, self.inner_rank + 1, "none")
            s.emit(Alloc(found, (*self.found.shape, lanes)))
            with s.loops((*self.found.shape, lanes)) as index:
                s.emit(Store(found, index, const(0.0, found.element)))
        return found

    def entries(self, body: list[Stmt], whole: Array, places: Value) -> Value:
        """The elements that are asked for of an array, which `body` makes."""
        s = self.stager
        if isinstance(places, SequenceValue):
            rows = _Rows(s, whole.dtype, self.size, places)
            made = picked(body, whole, self.width, rows.ready, rows.take)
            s.block.extend(body if made is None else made)
            if made is None:
                rows.lengths = (self.size,)
                flat, width = self.flat(whole), s.bind(Dim(whole, whole.ndim - 1))
                with s.loops((self.size,), independent=False) as (row,):
                    s.block.extend(rows.take((row,), flat, apply("mul", row, width)))
            s.block.extend(rows.after)
            return arrays.argument(s, rows.entries, whole.dtype, None)
        s.block.extend(body)
        assert isinstance(places, ArrayValue)
        flat = self.flat(whole)
        taken = s.array(whole.dtype, 1, "entries")
        s.emit(Alloc(taken, places.shape))
        with s.loops(places.shape) as index:
            place = storage.at(s, places, index)
            assert isinstance(place, Expr)
            s.emit(Store(taken, index, Load(flat, (place,))))
        s.block.extend(watch(s, [taken]))
        return arrays.argument(s, taken, taken.dtype, None)

    def flat(self, whole: Array) -> Array:
        """An array as one row."""
        flat = Array(f"{whole.name}_flat", whole.dtype, 1, alias=whole)
        size: Expr = ONE
        for k in range(whole.ndim):
            size = apply("mul", size, Dim(whole, k))
        self.stager.emit(Alias(flat, (self.stager.bind(size),)))
        return flat

    def colours(self, total: Expr, wide: Expr) -> Value:
        """All colours, some in each run, in an array for `wide` of them."""
        s, linear = self.stager, self.linear
        assert isinstance(self.seeded, ArrayValue) and isinstance(linear.seed, Array)
        self.forth()
        shape = tuple(s.bind(n) for n in self.seeded.shape)
        whole = s.array(linear.seed.dtype, 1 + self.inner_rank, "compressed")
        restore = [] if self.drawn else self.snapshot()
        early = self.shape_before(())
        if early is None:
            if self.drawn:
                s.refuse(
                    "the jacobian of a program that draws random numbers, of a shape found as it runs",
                    "fix its shape",
                )
            early = self.first_run()
        fits(s, early, self.size)
        s.emit(Alloc(whole, (*early, wide) if self.last else (wide, *early)))
        lanes = total if self.drawn else const(self.width)
        with nullcontext(ZERO) if self.drawn else self.chunks(total) as chunk:
            start = apply("mul", chunk, self.width)
            count = s.bind(apply("minimum", lanes, apply("sub", total, start)))
            s.block.extend(restore)
            body, rename = self.repeated(chunk)
            seed, slope = rename(linear.seed), rename(linear.slope)
            made = None if self.width == 1 else Lanes(body, [seed], [slope], lanes)
            self.units(seed if made is None else made.lanes(seed), shape, start, count, lanes)
            s.block.extend(body if made is None else made.body)
            self.store(whole, slope if made is None else made.result(slope), (ONE,), start, count)
        s.block.extend(watch(s, [whole]))
        return arrays.argument(s, whole, whole.dtype, None)

    def unit(self, e: Expr, seed: Array) -> Expr | None:
        """What the seeds hold, where they are read, so that they need not be stored."""
        if not isinstance(e, Load) or e.array is not seed:
            return None
        assert isinstance(self.seeded, ArrayValue)
        return self.weight(e.index[:-1], self.seeded.shape, e.index[-1], seed.element)

    def weight(self, at: tuple[Expr, ...], shape: tuple[Expr, ...], colour: Expr, type: str) -> Expr:
        """The weight of an element of the seeds, if it has this colour."""
        number: Expr = ZERO
        for i, n in zip(at, shape, strict=True):
            number = apply("add", apply("mul", number, n), i)
        mine, weight = self.of.element((number,)), self.weights.element((number,))
        assert isinstance(mine, Expr) and isinstance(weight, Expr)
        return apply("select", apply("eq", mine, colour), cast(weight, type), 0.0)

    def units(self, seed: Array, shape: tuple[Expr, ...], start: Expr, count: Expr, lanes: Expr) -> None:
        """Lane k has the weights of the colour number start + k."""
        s = self.stager
        full = (*shape, lanes) if self.width > 1 else shape
        s.emit(Alloc(seed, full))
        with s.loops(full) as index:
            at, k = (index[:-1], index[-1]) if self.width > 1 else (index, ZERO)
            value = self.weight(at, shape, apply("add", start, k), seed.element)
            s.emit(Store(seed, index, value))

    def store(
        self, whole: Array, slope: Name | None, shape: tuple[Expr, ...], start: Expr, count: Expr
    ) -> None:
        s = self.stager
        assert not isinstance(slope, Scalar)
        inner = tuple(s.bind(n) for n in self.lengths(whole))
        with s.loops((*inner, count)) as index:
            *rest, k = index
            item = const(0.0, whole.element) if slope is None else Load(slope, self.lane(tuple(rest), k))
            colour = apply("add", start, k)
            s.emit(Store(whole, (*rest, colour) if self.last else (colour, *rest), item))

    def lengths(self, whole: Array) -> tuple[Expr, ...]:
        return tuple(Dim(whole, k + (not self.last)) for k in range(self.inner_rank))


class _Rows:
    """The entries of a matrix by rows, from where each row's start and the colours of all."""

    def __init__(self, stager: Stager, dtype: str, size: Expr, places: SequenceValue) -> None:
        starts, colours = places.items
        assert isinstance(starts, ArrayValue) and isinstance(colours, ArrayValue)
        self.stager, self.size, self.starts, self.colours = stager, size, starts, colours
        self.entries = stager.array(dtype, 1, "entries")
        stager.emit(Alloc(self.entries, colours.shape))
        self.lengths: tuple[Expr, ...] = ()
        self.lost, self.after = watched(stager)
        if self.lost is not None:
            stager.emit(Assign(self.lost, FALSE))

    def ready(self, shape: tuple[Expr, ...]) -> list[Stmt]:
        """Before there is any row, of an array of this shape."""
        s = self.stager
        with s.collect() as code:
            self.lengths = tuple(s.bind(n) for n in shape)
            fits(s, self.lengths, self.size)
        return code

    def take(self, index: tuple[Expr, ...], row: Array, at: Expr = ZERO) -> list[Stmt]:
        """The entries of the row with this index, which is in `row` from `at` on."""
        s = self.stager
        with s.collect() as code:
            number: Expr = ZERO
            for n, i in zip(self.lengths, index, strict=True):
                number = apply("add", apply("mul", number, n), i)
            number = s.bind(number)
            start, stop = (self.starts.element((e,)) for e in (number, apply("add", number, ONE)))
            assert isinstance(start, Expr) and isinstance(stop, Expr)
            k, x = Scalar("k", I64), Scalar("x", row.element)
            colour = self.colours.element((Ref(k),))
            assert isinstance(colour, Expr)
            body: list[Stmt] = [
                Assign(x, Load(row, (apply("add", at, colour),))),
                Store(self.entries, (Ref(k),), Ref(x)),
            ]
            if self.lost is not None:
                body.append(Assign(self.lost, apply("any", Ref(self.lost), apply("isnan", Ref(x)))))
            s.emit(For(k, start, stop, body))
        return code


def fits(stager: Stager, shape: tuple[Expr, ...], *sizes: Expr) -> None:
    """Check sizes that were given against a shape; the result's may be known only after the run."""
    why = "the pattern has another number of rows than the result has elements"
    for n in sizes:
        stager.check(apply("eq", n, storage.size_of(shape)), StructureError, why)


def _only_loaded(body: list[Stmt], a: Array) -> bool:
    """Whether a body does nothing with an array but read its elements."""
    for s in walk(body):
        if (
            a in set(writes(s))
            or (isinstance(s, Intrinsic) and a in s.ins)
            or (isinstance(s, Alias) and s.array.root is a)
        ):
            return False
        if any(isinstance(x, Dim) and x.array is a for e in expressions(s) for x in leaves(e)):
            return False
    return True
