"""What a sparse Jacobian needs of a staged program: on what its result depends, and columns by colour."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.lanes import Lanes
from tapeless.backends.native.nest import (
    ONE,
    ZERO,
    Alias,
    Alloc,
    Array,
    Dim,
    Expr,
    Intrinsic,
    Load,
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
from tapeless.backends.native.rewrite import change_body
from tapeless.backends.native.scopes import writes
from tapeless.backends.native.staging import arrays, storage
from tapeless.backends.native.staging.apart import Apart, Name, stage_apart, type_name
from tapeless.backends.native.staging.jacobians import LONG, Assembly, columns, rows
from tapeless.backends.native.staging.once import draws, printing
from tapeless.backends.native.staging.values import ArrayValue, Number, Static, Value, View
from tapeless.backends.native.staging.values import Sequence as SequenceValue
from tapeless.backends.native.staging.zeros import watch
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
    `what.width` colours.
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
        value = made.entries(whole, places)
    else:
        value = made.entries(made.once(), places)
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

    def fits(self, shape: tuple[Expr, ...], *sizes: Expr) -> None:
        """Check sizes that were given against a shape; the result's may be known only after the run."""
        s = self.stager
        why = "the pattern has another number of rows than the result has elements"
        for n in sizes:
            s.check(apply("eq", n, storage.size_of(shape)), StructureError, why)

    def forth(self) -> None:
        """What runs once, before all colours."""
        assert isinstance(self.seeded, ArrayValue)
        self.stager.block.extend(self.linear.once)
        self.fits(self.seeded.shape, self.of.shape[0], self.weights.shape[0])

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
        self.fits(self.found.shape, self.size)
        found = made.result(linear.slope)
        if found is None:
            found = s.array(linear.seed.dtype, self.inner_rank + 1, "none")
            s.emit(Alloc(found, (*self.found.shape, lanes)))
            with s.loops((*self.found.shape, lanes)) as index:
                s.emit(Store(found, index, const(0.0, found.element)))
        return found

    def entries(self, whole: Value | Array, places: Value) -> Value:
        """Elements of an array by their numbers."""
        s = self.stager
        if isinstance(whole, View):
            whole = whole.array
        assert isinstance(whole, Array) and isinstance(places, ArrayValue)
        flat = Array(f"{whole.name}_flat", whole.dtype, 1, alias=whole)
        size: Expr = ONE
        for k in range(whole.ndim):
            size = apply("mul", size, Dim(whole, k))
        s.emit(Alias(flat, (s.bind(size),)))
        taken = s.array(whole.dtype, 1, "entries")
        s.emit(Alloc(taken, places.shape))
        with s.loops(places.shape) as index:
            place = storage.at(s, places, index)
            assert isinstance(place, Expr)
            s.emit(Store(taken, index, Load(flat, (place,))))
        s.block.extend(watch(s, [taken]))
        return arrays.argument(s, taken, taken.dtype, None)

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
        self.fits(early, self.size)
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
