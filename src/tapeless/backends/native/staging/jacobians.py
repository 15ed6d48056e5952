"""Jacobians in a staged program: columns by forward mode, rows by reverse mode, several at once.

The seeds are the lanes of one run (`lanes`), at most `WIDEST` of them; what does not depend on them is
computed once for all lanes.  Backwards the program runs forward once for all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.again import again
from tapeless.backends.native.contract import contract
from tapeless.backends.native.forward import forward
from tapeless.backends.native.lanes import Lanes
from tapeless.backends.native.nest import (
    FLOATS,
    ONE,
    ZERO,
    Alloc,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
    leaves,
    walk,
)
from tapeless.backends.native.placed import placed
from tapeless.backends.native.promote import promote
from tapeless.backends.native.scopes import written
from tapeless.backends.native.staging import arrays, storage
from tapeless.backends.native.staging.apart import Apart, Name, stage_apart, type_name
from tapeless.backends.native.staging.derivatives import never_returns, positions
from tapeless.backends.native.staging.once import draws, printing
from tapeless.backends.native.staging.values import ArrayValue, Number, Static, Value, View
from tapeless.backends.native.staging.values import Sequence as SequenceValue
from tapeless.backends.native.staging.zeros import derivative, reversal, watch
from tapeless.errors import NotDifferentiableError, StructureError

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

#: How many seeds are taken at once, unless all are a few more.
WIDEST, FEW = 16, 32
#: Numbers in the widest vector.
VECTOR = 8
#: Code of more statements than this is run for one seed at a time: with lanes LLVM takes minutes over it.
LONG = 1500


def jacobian(stager: Stager, what: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    where = positions(what, args, kwargs)
    blocks: list[Value] = []
    for at in where:
        blocks.append(_jacobian(stager, what, args, kwargs, at))
        if not stager.alive:
            return blocks[0]
    many = isinstance(what.argnums, (tuple, list))
    return SequenceValue(blocks, tuple) if many else blocks[0]


def _jacobian(stager: Stager, what: Any, args: list[Value], kwargs: dict[str, Value], at: int | str) -> Value:
    apart, changed = stage_apart(stager, what.fun, args, kwargs, [at])
    x, y = apart.shapes[0], apart.value
    if not _real(x):
        raise NotDifferentiableError(
            f"the jacobian is taken with respect to a number or an array of floats, not a {type_name(x)}"
        )
    if not apart.returns:
        return never_returns(stager, apart)
    if isinstance(y, Static) and isinstance(y.obj, float):
        y = stager.number(y)
    if not _real(y):
        if isinstance(y, SequenceValue):
            raise StructureError(
                "jacobian needs a function whose result is a number or an array; stack its results"
            )
        raise StructureError(
            f"jacobian needs a function whose result is a number or an array, not a {type_name(y)}"
        )
    y = apart.result(y)
    apart.close(changed)
    n, m = _volume(x), _volume(y)
    mode = what.mode
    if mode == "auto":
        sizes = [_size(stager, e) for e in (n, m)]
        few = sizes[0] is not None and sizes[1] is not None and sizes[0] <= sizes[1]
        mode = (
            "forward"
            if few or isinstance(x, Number) or (None in sizes and not isinstance(y, Number))
            else "reverse"
        )
    if n == ZERO:  # without columns the program would not run
        mode = "reverse"
    for length in x.shape if isinstance(x, ArrayValue) else ():
        if length in stager.actual:
            stager.assume_at_entry(apply("ne", length, ZERO))
    linear = columns(apart, y) if mode == "forward" else rows(apart)
    seeded, found = (x, y) if mode == "forward" else (y, x)
    apart.connect()
    with stager.thawed():
        made = Assembly(stager, apart, linear, seeded, found, mode == "forward").build()
    apart.disconnect()
    return made


def _real(value: Value) -> bool:
    if isinstance(value, ArrayValue):
        return value.dtype in ("float64", "float32")
    return isinstance(value, Number) and value.expr.type in FLOATS


def _volume(value: Value) -> Expr:
    total: Expr = ONE
    for n in value.shape if isinstance(value, ArrayValue) else ():
        total = apply("mul", total, n)
    return total


def _size(stager: Stager, e: Expr) -> int | None:
    """A length in the call that is staged, where it follows from the arguments."""
    if isinstance(e, Const):
        return int(e.value)
    table: dict[Any, Expr] = {k: const(v) for k, v in stager.actual.items()}
    from tapeless.backends.native.rewrite import change_expr

    made = change_expr(e, lambda part: table.get(part) if not isinstance(part, Const) else None)
    return int(made.value) if isinstance(made, Const) else None


def padded(count: int) -> int:
    """So many lanes for so many seeds: whole vectors, unless they are very few."""
    return count if count <= 4 else -(-count // VECTOR) * VECTOR


@dataclass(eq=False)
class Linear:
    """A linear map as code: `once` runs once, `body` for every seed; `slope` is the result."""

    once: list[Stmt]
    body: list[Stmt]
    seed: Name
    slope: Name


def columns(apart: Apart, found: Value) -> Linear:
    lengths = [x.array for n in getattr(found, "shape", ()) for x in leaves(n) if isinstance(x, (Load, Dim))]
    scalars = [x.var for n in getattr(found, "shape", ()) for x in leaves(n) if isinstance(x, Ref)]
    fn = placed(contract(apart.function, [*lengths, *scalars]), lengths)
    made = derivative(apart.stager, forward, fn, [0], watched=False)
    return Linear([], made.body, made.params[len(fn.params)], made.results[len(fn.results)])


def rows(apart: Apart) -> Linear:
    parts = reversal(apart.stager, promote(apart.function), [0], [0])
    return Linear(parts.forward, parts.backward, parts.seeds[0], parts.gradients[0])


class Assembly:
    """Runs a linear map for every unit seed; its results are the columns (rows) of the Jacobian."""

    def __init__(
        self, stager: Stager, apart: Apart, linear: Linear, seeded: Value, found: Value, columns: bool
    ) -> None:
        self.stager, self.apart, self.linear = stager, apart, linear
        self.seeded, self.found, self.columns = seeded, found, columns
        self.width = WIDEST

    def build(self) -> Value:
        s, linear = self.stager, self.linear
        s.block.extend(linear.once)
        if isinstance(linear.seed, Scalar):
            s.emit(Assign(linear.seed, const(1.0, linear.seed.type)))
            s.block.extend(linear.body)
            return self.single()
        assert isinstance(self.seeded, ArrayValue)
        shape = tuple(s.bind(n) for n in self.seeded.shape)
        total = s.bind(storage.size_of(shape), "units")
        self.width = 1 if sum(1 for _ in walk(linear.body)) > LONG else WIDEST
        lanes: Expr
        starts: Expr | None
        if isinstance(total, Const) and int(total.value) <= FEW and self.width > 1:
            lanes, starts = const(padded(int(total.value))), None
        elif draws(linear.body):
            lanes, starts, self.width = total, None, WIDEST
        else:
            lanes, starts = const(self.width), total
        whole = s.array(linear.seed.dtype, len(shape) + self.inner_rank, "jacobian")
        early = self.shape_before(shape)
        restore = self.snapshot() if starts is not None else []
        if early is None and starts is not None:
            early = (*self.first_run(), *shape)
        if early is not None:
            s.emit(Alloc(whole, early))
        loop: Any = nullcontext(None) if starts is None else self.chunks(starts)
        with loop as chunk:
            start = ZERO if chunk is None else apply("mul", chunk, self.width)
            count = (
                total
                if chunk is None
                else s.bind(apply("minimum", const(self.width), apply("sub", total, start)))
            )
            for code in restore:
                s.block.append(code)
            body, rename = (linear.body, None) if chunk is None else self.repeated(chunk)
            seed = linear.seed if rename is None else rename(linear.seed)
            slope = linear.slope if rename is None else rename(linear.slope)
            made = None if self.width == 1 else Lanes(body, [seed], [slope], lanes)
            self.units(seed if made is None else made.lanes(seed), shape, start, count, lanes)
            s.block.extend(body if made is None else made.body)
            if early is None:
                inner = self.inner_shape()
                s.emit(Alloc(whole, (*inner, *shape) if self.columns else (*shape, *inner)))
            self.store(whole, slope if made is None else made.result(slope), shape, start, count)
        s.block.extend(watch(s, [whole]))
        return arrays.argument(s, whole, whole.dtype, early)

    def single(self) -> Value:
        """The derivative by a number, or the gradient of one."""
        slope = self.linear.slope
        self.stager.block.extend(watch(self.stager, [slope]))
        if isinstance(slope, Array):
            return arrays.argument(self.stager, slope, slope.dtype)
        assert isinstance(self.found, Number)
        kind = self.found.kind if isinstance(self.seeded, Number) else float
        return Number(Ref(slope), kind)

    @property
    def inner_rank(self) -> int:
        return self.found.ndim if isinstance(self.found, ArrayValue) else 0

    def inner_shape(self) -> tuple[Expr, ...]:
        return self.found.shape if isinstance(self.found, ArrayValue) else ()

    def shape_before(self, shape: tuple[Expr, ...]) -> tuple[Expr, ...] | None:
        """The Jacobian's shape, if it is known before the body has run."""
        made = written(self.linear.body)
        inner = self.inner_shape()
        for n in inner:
            for leaf in leaves(n):
                if isinstance(leaf, Load) or (isinstance(leaf, Ref) and leaf.var in made):
                    return None
                if isinstance(leaf, Dim) and leaf.array.root in made:
                    return None
        return (*inner, *shape) if self.columns else (*shape, *inner)

    def first_run(self) -> tuple[Expr, ...]:
        """The shape of a result whose shape is known only once the program has run: it runs once before.

        Storage that every run of a loop would give anew is not what reverse mode takes it for.
        """
        assert self.columns and isinstance(self.found, View)
        kept: list[Stmt] = [Alloc(a.root, ()) for a in self.apart.written]  # what is there before
        body, renaming = again(printing(self.apart.function.body, None), kept)
        self.stager.block.extend(body)
        made = renaming.name(self.found.array)
        return tuple(self.stager.bind(Dim(made, k)) for k in range(made.ndim))

    def chunks(self, total: Expr) -> Any:
        from contextlib import contextmanager

        s = self.stager

        @contextmanager
        def loop() -> Any:
            count = apply("floordiv", apply("add", total, self.width - 1), const(self.width))
            with s.loops((s.bind(count),), independent=False) as (chunk,):
                yield chunk

        return loop()

    def repeated(self, chunk: Expr) -> tuple[list[Stmt], Callable[[Any], Any]]:
        """The body for one of several runs: it leaves what it found."""
        linear = self.linear
        if self.columns:
            return printing(linear.body, apply("eq", chunk, ZERO)), lambda x: x
        body, renaming = again(linear.body, linear.once)
        return body, renaming.name

    def snapshot(self) -> list[Stmt]:
        """Copies of what the program writes; gives the code that puts them back before each run."""
        if not self.columns:
            return []
        s = self.stager
        restore: list[Stmt] = []
        for a in sorted({a.root for a in self.apart.written}, key=lambda a: a.name):
            copy = s.array(a.dtype, a.ndim, f"{a.name}_before")
            shape = tuple(Dim(a, k) for k in range(a.ndim))
            s.emit(Alloc(copy, shape))
            with s.loops(shape) as index:
                s.emit(Store(copy, index, Load(a, index)))
            with s.collect() as code, s.loops(shape) as index:
                s.emit(Store(a, index, Load(copy, index)))
            restore += code
        return restore

    def units(self, seed: Array, shape: tuple[Expr, ...], start: Expr, count: Expr, lanes: Expr) -> None:
        """Lane k is the unit number start + k."""
        s = self.stager
        full = (*shape, lanes) if self.width > 1 else shape
        s.emit(Alloc(seed, full))
        with s.loops(full) as index:
            s.emit(Store(seed, index, const(0.0, seed.element)))
        with s.loops((count,)) as (k,):
            at = unravel(s, apply("add", start, k), shape)
            s.emit(Store(seed, self.lane(at, k), const(1.0, seed.element)))

    def lane(self, index: tuple[Expr, ...], k: Expr) -> tuple[Expr, ...]:
        return (*index, k) if self.width > 1 else index

    def store(
        self, whole: Array, slope: Name | None, shape: tuple[Expr, ...], start: Expr, count: Expr
    ) -> None:
        s = self.stager
        inner = tuple(Dim(whole, k + (0 if self.columns else len(shape))) for k in range(self.inner_rank))

        def item(index: tuple[Expr, ...], k: Expr) -> Expr:
            if isinstance(slope, Scalar):
                return Ref(slope)
            return const(0.0, whole.element) if slope is None else Load(slope, self.lane(index, k))

        if self.columns:
            with s.loops((*inner, count)) as index:
                *rest, k = index
                at = unravel(s, apply("add", start, k), shape)
                s.emit(Store(whole, (*rest, *at), item(tuple(rest), k)))
            return
        with s.loops((count,)) as (k,):
            at = unravel(s, apply("add", start, k), shape)
            with s.loops(inner) as index:
                s.emit(Store(whole, (*at, *index), item(index, k)))


def unravel(stager: Stager, number: Expr, shape: Sequence[Expr]) -> tuple[Expr, ...]:
    """The index of an element by its number in row-major order."""
    index: list[Expr] = []
    for n in reversed(shape[1:]):
        index.append(stager.bind(apply("mod", number, n)))
        number = stager.bind(apply("floordiv", number, n))
    return (*([number] if shape else ()), *reversed(index))
