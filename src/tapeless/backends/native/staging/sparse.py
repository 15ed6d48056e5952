"""What a sparse Jacobian needs of a staged program: on what its result depends, and columns by colour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapeless.backends.native.lanes import Lanes
from tapeless.backends.native.nest import (
    ONE,
    ZERO,
    Alloc,
    Array,
    Dim,
    Expr,
    Load,
    Scalar,
    Store,
    apply,
    cast,
    const,
    walk,
)
from tapeless.backends.native.pattern import dependence
from tapeless.backends.native.staging import arrays, storage
from tapeless.backends.native.staging.apart import Apart, Name, stage_apart, type_name
from tapeless.backends.native.staging.jacobians import LONG, Assembly, columns, rows
from tapeless.backends.native.staging.values import ArrayValue, Number, Static, Value
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
    y = apart.result(y)
    apart.close(changed)
    assert isinstance(y, ArrayValue)
    return apart, x, y


#: What a sparse Jacobian is taken of.
NEEDED = "a sparse jacobian needs a function whose result is an array of floats"


def words(stager: Stager, what: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """The words of the result for those of the argument, and which parameters of the nest were read."""
    given, *args = args
    assert isinstance(given, ArrayValue)
    staged = _apart(stager, what, args, kwargs)
    if staged is None:
        return Static(None)
    apart, x, y = staged
    made, values = dependence(apart.function, 0)
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
    """The sums of columns (rows) of each colour, each column times its weight: [..., colour]."""
    colours, weights, count, *args = args
    assert isinstance(colours, ArrayValue) and isinstance(weights, ArrayValue)
    staged = _apart(stager, what, args, kwargs)
    if staged is None:
        return Static(None)
    apart, x, y = staged
    linear = columns(apart) if what.forward else rows(apart)
    seeded, found = (x, y) if what.forward else (y, x)
    apart.connect()
    assert isinstance(count, Number)
    made = _Compressed(stager, apart, linear, seeded, found, what.forward)
    made.width = 1 if sum(1 for _ in walk(linear.body)) > LONG else what.width
    value = made.colours(colours, weights, count.expr)
    apart.disconnect()
    return value


class _Compressed(Assembly):
    """Runs a linear map for every colour."""

    def colours(self, colours: ArrayValue, weights: ArrayValue, total: Expr) -> Value:
        s, linear = self.stager, self.linear
        assert isinstance(self.seeded, ArrayValue) and isinstance(linear.seed, Array)
        self.of, self.weights = colours, weights
        for given in (colours, weights):
            fits = apply("eq", given.shape[0], storage.size_of(self.seeded.shape))
            s.check(
                fits, StructureError, "the pattern has another number of rows than the result has elements"
            )
        s.block.extend(linear.once)
        shape = tuple(s.bind(n) for n in self.seeded.shape)
        whole = s.array(linear.seed.dtype, 1 + self.inner_rank, "compressed")
        restore = self.snapshot()
        early = self.shape_before(())
        if early is None:
            early = self.first_run()
        s.emit(Alloc(whole, (*early, total) if self.columns else (total, *early)))
        lanes = const(self.width)
        with self.chunks(total) as chunk:
            start = apply("mul", chunk, self.width)
            count = s.bind(apply("minimum", lanes, apply("sub", total, start)))
            s.block.extend(restore)
            body, rename = self.repeated()
            seed, slope = rename(linear.seed), rename(linear.slope)
            made = None if self.width == 1 else Lanes(body, [seed], [slope], lanes)
            self.units(seed if made is None else made.lanes(seed), shape, start, count, lanes)
            s.block.extend(body if made is None else made.body)
            self.store(whole, slope if made is None else made.result(slope), (ONE,), start, count)
        s.block.extend(watch(s, [whole]))
        return arrays.argument(s, whole, whole.dtype, None)

    def units(self, seed: Array, shape: tuple[Expr, ...], start: Expr, count: Expr, lanes: Expr) -> None:
        """Lane k has the weights of the colour number start + k."""
        s = self.stager
        full = (*shape, lanes) if self.width > 1 else shape
        s.emit(Alloc(seed, full))
        with s.loops(full) as index:
            at, k = (index[:-1], index[-1]) if self.width > 1 else (index, ZERO)
            number: Expr = ZERO
            for i, n in zip(at, shape, strict=True):
                number = apply("add", apply("mul", number, n), i)
            colour, weight = (storage.at(s, given, (number,)) for given in (self.of, self.weights))
            assert isinstance(colour, Expr) and isinstance(weight, Expr)
            mine = apply("eq", colour, apply("add", start, k))
            s.emit(Store(seed, index, apply("select", mine, cast(weight, seed.element), 0.0)))

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
            s.emit(Store(whole, (*rest, colour) if self.columns else (colour, *rest), item))

    def lengths(self, whole: Array) -> tuple[Expr, ...]:
        return tuple(Dim(whole, k + (not self.columns)) for k in range(self.inner_rank))
