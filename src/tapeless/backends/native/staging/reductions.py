"""Sums, products, means, extrema and truths over axes: loops with accumulators.

If the last axis is reduced, each result has a scalar accumulator and the reduced axes are the inner loops;
otherwise rows are added to rows, so memory is walked in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import (
    BOOL,
    I64,
    ONE,
    ZERO,
    Assign,
    Const,
    Expr,
    Ref,
    Scalar,
    apply,
    cast,
    const,
)
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.broadcasting import to_array
from tapeless.backends.native.staging.complexes import COMPLEX_RULES
from tapeless.backends.native.staging.elements import convert, each, is_complex, is_float, value_of, wrap
from tapeless.backends.native.staging.elementwise import ufunc, ufunc_into
from tapeless.backends.native.staging.elementwise import where as choose
from tapeless.backends.native.staging.lowerings import (
    array,
    axes_of,
    dtype_of,
    given,
    lowers,
    one_axis,
    option,
)
from tapeless.backends.native.staging.ufuncs import REAL
from tapeless.backends.native.staging.values import ArrayValue, Element, Index, Static, Value, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

#: What combines a total and an element.
Combine = Callable[[Element, Element], Element]


class Split:
    """The axes that stay and those that go."""

    def __init__(self, value: ArrayValue, axes: tuple[int, ...], keepdims: bool) -> None:
        self.value, self.gone, self.keepdims = value, axes, keepdims
        self.kept = tuple(k for k in range(value.ndim) if k not in axes)
        self.shape = tuple(value.shape[k] for k in self.kept)
        self.reduced = tuple(value.shape[k] for k in axes)
        self.result_shape = (
            tuple(ONE if k in axes else n for k, n in enumerate(value.shape)) if keepdims else self.shape
        )

    def index(self, kept: Index, gone: Index) -> Index:
        """The index into the array."""
        made: list[Expr] = [ZERO] * self.value.ndim
        for k, i in zip((*self.kept, *self.gone), (*kept, *gone), strict=True):
            made[k] = i
        return tuple(made)

    def place(self, kept: Index) -> Index:
        """The index into the result."""
        if not self.keepdims:
            return kept
        rest = iter(kept)
        return tuple(next(rest) if k in self.kept else ZERO for k in range(self.value.ndim))

    @property
    def by_rows(self) -> bool:
        """Whether rows are combined with rows."""
        return bool(self.kept) and self.value.ndim - 1 in self.kept and not self.short

    @property
    def short(self) -> bool:
        """Whether so few elements go that each result is worth a scalar, whatever the order of memory."""
        lengths = [storage.known_length(n) for n in self.reduced]
        return all(n is not None and n <= 8 for n in lengths)


def totals(stager: Stager, element: Element, hint: str = "total") -> tuple[Scalar, ...]:
    """Scalars that start with an element."""
    made = []
    for part in elements.parts(element):
        var = stager.scalar(part.type, hint)
        stager.emit(Assign(var, part))
        made.append(var)
    return tuple(made)


def current(variables: tuple[Scalar, ...]) -> Element:
    refs = tuple(Ref(v) for v in variables)
    return refs[0] if len(refs) == 1 else (refs[0], refs[1])


def update(stager: Stager, variables: tuple[Scalar, ...], element: Element) -> None:
    values = elements.parts(element)
    if len(values) > 1:
        values = tuple(stager.bind(e) for e in values)
    for var, value in zip(variables, values, strict=True):
        stager.emit(Assign(var, value))


def reduce(
    stager: Stager, split: Split, dtype: str, start: Element, combine: Combine, finish: Any = None
) -> Value:
    """The reduction of a value's elements in `dtype`; `finish` maps each total to the result's element."""
    value = split.value
    done: Callable[[Element], Element] = finish or (lambda e: e)

    def element(index: Index) -> Element:
        return convert(storage.at(stager, value, index), value.dtype, dtype)

    def total(kept: Index) -> Element:
        variables = totals(stager, start)
        with storage.nest(stager, split.reduced, independent=False) as gone:
            update(stager, variables, combine(current(variables), element(split.index(kept, gone))))
        return done(current(variables))

    if not split.result_shape:
        return value_of(stager, total(()), dtype)
    result = storage.fresh(stager, split.result_shape, dtype)
    if not split.by_rows:
        with storage.nest(stager, split.shape) as kept:
            storage.store(stager, result, split.place(kept), total(kept))
        return result
    with storage.nest(stager, split.shape) as kept:
        storage.store(stager, result, split.place(kept), start)
    flags = [k in split.kept for k in range(value.ndim)]
    with storage.nest(stager, value.shape, flags) as index:
        place = split.place(tuple(index[k] for k in split.kept))
        if is_sum(combine) and is_float(elements.stored(dtype)):
            storage.store(stager, result, place, element(index), add=True)
        else:
            storage.store(stager, result, place, combine(result.element(place), element(index)))
    if finish is not None:
        with storage.nest(stager, split.shape) as kept:
            place = split.place(kept)
            storage.store(stager, result, place, done(result.element(place)))
    return result


class Operation:
    """A ufunc as what combines two elements of a dtype."""

    def __init__(self, stager: Stager, function: np.ufunc, dtype: str) -> None:
        self.stager, self.function, self.dtype = stager, function, dtype

    def __call__(self, a: Element, b: Element) -> Element:
        if is_complex(self.dtype):
            made: Element = COMPLEX_RULES[self.function](self.stager.bind, a, b)
            return made
        rule = REAL[self.function]
        assert isinstance(a, Expr) and isinstance(b, Expr)
        return wrap(rule(self.dtype, a, b), self.dtype)


def is_sum(combine: Combine) -> bool:
    return isinstance(combine, Operation) and combine.function is np.add


def by(stager: Stager, name: str, dtype: str) -> Operation:
    return Operation(stager, getattr(np, name), dtype)


def masked(stager: Stager, value: ArrayValue, where: Value | None, neutral: Any) -> ArrayValue:
    """The value with a neutral element where a mask is false."""
    if not given(where) or (isinstance(where, Static) and where.obj is True):
        return value
    assert where is not None
    made = choose(stager, where, value, Static(np.dtype(value.dtype).type(neutral)))
    return to_array(stager, made)


def prepared(
    stager: Stager, a: Value, axis: Value | None, keepdims: Value | None
) -> tuple[ArrayValue, Split]:
    value = array(stager, a)
    return value, Split(value, axes_of(stager, axis, value.ndim), bool(option(stager, keepdims, False)))


def finished(stager: Stager, result: Value, out: Value | None) -> Value:
    """The result, stored in `out` if that was given."""
    if not given(out):
        return result
    assert isinstance(out, ArrayValue)
    ufunc_into(stager, np.positive, [result], out)
    return out


def accumulated_dtype(stager: Stager, value: ArrayValue, dtype: Value | None) -> str:
    """The dtype that sums and products are computed in."""
    default = value.dtype
    if default == "bool" or default.startswith("int"):
        default = "int64"
    elif default.startswith("uint"):
        stager.refuse("a sum of unsigned integers (in uint64)", "convert to int64 first")
    return dtype_of(stager, dtype, default)


def _sum_or_product(name: str, start: int) -> Callable[..., Value]:
    def lowering(
        stager: Stager, a: Value, axis: Value | None = None, dtype: Value | None = None,
        out: Value | None = None, keepdims: Value | None = None, initial: Value | None = None,
        where: Value | None = None,
    ) -> Value:  # fmt: skip
        value, _ = prepared(stager, a, axis, keepdims)
        value, split = prepared(stager, masked(stager, value, where, start), axis, keepdims)
        kind = accumulated_dtype(stager, value, dtype)
        first = elements.literal(start, kind)
        result = reduce(stager, split, kind, first, by(stager, name, kind))
        if given(initial):
            assert initial is not None
            result = ufunc(stager, getattr(np, name), [result, initial])
        return finished(stager, result, out)

    return lowering


sum_ = lowers(np.sum, method="sum")(_sum_or_product("add", 0))
prod = lowers(np.prod, method="prod")(_sum_or_product("multiply", 1))


def count_of(stager: Stager, split: Split, dtype: str) -> Expr:
    """How many elements each result is made of, as a float."""
    return cast(storage.size_of(split.reduced), elements.scalar_type(dtype))


@lowers(np.mean, method="mean")
def mean(
    stager: Stager, a: Value, axis: Value | None = None, dtype: Value | None = None,
    out: Value | None = None, keepdims: Value | None = None, where: Value | None = None,
) -> Value:  # fmt: skip
    if given(where) and not (isinstance(where, Static) and where.obj is True):
        stager.refuse("numpy.mean with where=", "use np.sum of both the values and the mask")
    value, split = prepared(stager, a, axis, keepdims)
    kind = dtype_of(
        stager, dtype, value.dtype if not value.dtype.startswith(("int", "uint", "bool")) else "float64"
    )
    n = _bound_count(stager, split, kind)
    result = reduce(
        stager, split, kind, elements.zero(kind), by(stager, "add", kind), lambda e: each(lambda p: p / n, e)
    )
    return finished(stager, result, out)


def _bound_count(stager: Stager, split: Split, dtype: str) -> Expr:
    n = count_of(stager, split, dtype)
    return n if isinstance(n, Const) else stager.bind(n, "n")


def _variance(stager: Stager, split: Split, ddof: float, dtype: str, root: bool) -> Value:
    """Two passes, as NumPy makes them: the mean, then the squares of what is left."""
    value = split.value
    if storage.cost(value) > storage.CHEAP:
        value = storage.make(stager, value)
    n = _bound_count(stager, split, dtype)
    with_axes = Split(value, split.gone, True)
    middle = reduce(
        stager, with_axes, dtype, elements.zero(dtype), by(stager, "add", dtype),
        lambda e: each(lambda p: p / n, e),
    )  # fmt: skip
    rest = to_array(stager, ufunc(stager, np.subtract, [value, middle]))
    real = elements.COMPLEX.get(dtype, dtype)
    if is_complex(dtype):
        parts = rest

        def size(index: Index) -> Element:
            e = elements.bind(stager, storage.at(stager, parts, index))
            assert isinstance(e, tuple)
            return e[0] * e[0] + e[1] * e[1]

        squares: ArrayValue = storage.lazy(stager, rest.shape, real, size, [rest], storage.cost(rest) + 3)
    else:
        squares = to_array(stager, ufunc(stager, np.square, [rest]))
    less = stager.bind(n - const(ddof, n.type)) if ddof else n
    less = stager.bind(apply("maximum", less, const(0.0, n.type))) if ddof else less

    def finish(e: Element) -> Element:
        assert isinstance(e, Expr)
        return apply("sqrt", e / less) if root else e / less

    final = Split(squares, split.gone, split.keepdims)
    return reduce(stager, final, real, elements.zero(real), by(stager, "add", real), finish)


def _spread(root: bool) -> Callable[..., Value]:
    def lowering(
        stager: Stager, a: Value, axis: Value | None = None, dtype: Value | None = None,
        out: Value | None = None, ddof: Value | None = None, keepdims: Value | None = None,
        **rest: Value,
    ) -> Value:  # fmt: skip
        if rest:
            stager.refuse(f"numpy.var or std with {', '.join(rest)}=", "leave it out")
        value, split = prepared(stager, a, axis, keepdims)
        integer = value.dtype.startswith(("int", "uint", "bool"))
        kind = dtype_of(stager, dtype, "float64" if integer else value.dtype)
        made = _variance(stager, split, float(option(stager, ddof, 0)), kind, root)
        return finished(stager, made, out)

    return lowering


var = lowers(np.var, method="var")(_spread(False))
std = lowers(np.std, method="std")(_spread(True))


def _truths(function: np.ufunc, start: bool) -> Callable[..., Value]:
    def lowering(
        stager: Stager, a: Value, axis: Value | None = None, out: Value | None = None,
        keepdims: Value | None = None, *, where: Value | None = None,
    ) -> Value:  # fmt: skip
        value = array(stager, a)
        if value.dtype != "bool":
            value = to_array(stager, ufunc(stager, np.not_equal, [value, Static(0)]))
        value, split = prepared(stager, masked(stager, value, where, start), axis, keepdims)
        return finished(stager, reduce(stager, split, "bool", const(start), _connect(function)), out)

    return lowering


def _connect(function: np.ufunc) -> Combine:
    def combine(a: Element, b: Element) -> Element:
        assert isinstance(a, Expr) and isinstance(b, Expr)
        return apply("all" if function is np.logical_and else "any", a, b)

    return combine


all_ = lowers(np.all, method="all")(_truths(np.logical_and, True))
any_ = lowers(np.any, method="any")(_truths(np.logical_or, False))


@lowers(np.count_nonzero)
def count_nonzero(
    stager: Stager, a: Value, axis: Value | None = None, *, keepdims: Value | None = None
) -> Value:
    value = to_array(stager, ufunc(stager, np.not_equal, [array(stager, a), Static(0)]))
    made: Value = sum_(stager, value, axis, keepdims=keepdims)
    return made


# ---- extrema: the place of the element is searched, then it is read


def extreme_places(
    stager: Stager, split: Split, least: bool, nan_last: bool = False
) -> tuple[View | None, Callable[[Index], Expr] | None]:
    """The place of the first greatest (or least) element among the reduced axes, counted in their order.

    An array of places, or what searches for one of them where it is wanted.
    """
    value = split.value

    def better(x: Expr, best: Expr) -> Expr:
        wins = apply("lt" if least else "gt", x, best)
        if not is_float(value.dtype):
            return wins
        if nan_last:
            return apply("any", wins, apply("all", apply("isnan", best), apply("not", apply("isnan", x))))
        return apply("any", wins, apply("all", apply("isnan", x), apply("not", apply("isnan", best))))

    def load(index: Index) -> Expr:
        e = storage.at(stager, value, index)
        assert isinstance(e, Expr)
        return cast(e, I64) if e.type == BOOL else e

    def search(kept: Index) -> Expr:
        if storage.cost(value) > storage.CHEAP:
            return once(kept)
        return twice(kept)

    def once(kept: Index) -> Expr:
        """One pass over elements that cost something: a better one is rare."""
        start = tuple(ZERO for _ in split.reduced)
        best = stager.scalar(load_type(value.dtype), "best")
        place = stager.scalar(I64, "place")
        with storage.layer(stager):
            stager.emit(Assign(best, load(split.index(kept, start))))
        stager.emit(Assign(place, ZERO))
        with storage.nest(stager, split.reduced, independent=False) as gone:
            x = stager.bind(load(split.index(kept, gone)), "x")
            with stager.branch(better(x, Ref(best))):
                stager.emit(Assign(best, x))
                stager.emit(Assign(place, linear(gone, split.reduced)))
        return Ref(place)

    def twice(kept: Index) -> Expr:
        """The extremum, then the first place where it is: both passes run in vectors."""
        start = tuple(ZERO for _ in split.reduced)
        kind = load_type(value.dtype)
        best = stager.scalar(kind, "best")
        place = stager.scalar(I64, "place")
        name = "minimum" if least else "maximum"
        if nan_last and kind != I64:
            name = "fmin" if least else "fmax"
        with storage.layer(stager):
            stager.emit(Assign(best, load(split.index(kept, start))))
        with storage.nest(stager, split.reduced, independent=False) as gone:
            stager.emit(Assign(best, apply(name, Ref(best), load(split.index(kept, gone)))))
        last = stager.bind(simplify(storage.size_of(split.reduced) - 1), "last")
        stager.emit(Assign(place, last))
        with storage.nest(stager, split.reduced, independent=False) as gone:
            x = stager.bind(load(split.index(kept, gone)), "x")
            here = apply("eq", x, Ref(best))
            if kind != I64:
                nan = apply("isnan", x)
                here = apply("any", here, apply("all", apply("isnan", Ref(best)), nan) if nan_last else nan)
            found = apply("select", here, linear(gone, split.reduced), last)
            stager.emit(Assign(place, apply("minimum", Ref(place), found)))
        return Ref(place)

    if not split.by_rows:
        return None, search
    result = storage.fresh(stager, split.shape, "int64", "place")
    best = storage.fresh(stager, split.shape, value.dtype, "best")
    start = tuple(ZERO for _ in split.reduced)
    with storage.nest(stager, split.shape) as kept:
        storage.store(stager, best, kept, storage.at(stager, value, split.index(kept, start)))
        storage.store(stager, result, kept, ZERO)
    flags = [k in split.kept for k in range(value.ndim)]
    with storage.nest(stager, value.shape, flags) as index:
        kept = tuple(index[k] for k in split.kept)
        x = storage.at(stager, value, index)
        old = best.element(kept)
        assert isinstance(x, Expr) and isinstance(old, Expr)
        x = stager.bind(x, "x")
        as_number = (cast(x, I64), cast(old, I64)) if x.type == BOOL else (x, old)
        with stager.branch(better(*as_number)):
            storage.store(stager, best, kept, x)
            gone = tuple(index[k] for k in split.gone)
            storage.store(stager, result, kept, linear(gone, split.reduced))
    return result, None


def load_type(dtype: str) -> str:
    kind = elements.scalar_type(dtype)
    return I64 if kind == BOOL else kind


def linear(index: Index, shape: storage.Shape) -> Expr:
    """The place of an index, counted row by row."""
    made: Expr = ZERO
    for i, n in zip(index, shape, strict=True):
        made = apply("add", apply("mul", made, n), i)
    return made


def spread_out(stager: Stager, place: Expr, shape: storage.Shape) -> Index:
    """The index of a place."""
    made: list[Expr] = []
    for n in reversed(shape[1:]):
        made.append(stager.bind(apply("mod", place, n), "i"))
        place = stager.bind(apply("floordiv", place, n), "i")
    return (place, *reversed(made)) if shape else ()


def not_empty(stager: Stager, split: Split, message: str) -> None:
    for n in split.reduced:
        stager.check(apply("gt", n, ZERO), ValueError, message)


def _extreme(function: np.ufunc, least: bool, nan_last: bool = False) -> Callable[..., Value]:
    def lowering(
        stager: Stager, a: Value, axis: Value | None = None, out: Value | None = None,
        keepdims: Value | None = None, initial: Value | None = None, where: Value | None = None,
    ) -> Value:  # fmt: skip
        value, split = prepared(stager, a, axis, keepdims)
        if given(where) and not (isinstance(where, Static) and where.obj is True):
            if not given(initial):
                message = (
                    f"reduction operation '{function.__name__}' does not have an identity, so to use a where "
                    "mask one has to specify 'initial'"
                )
                storage.fail(stager, ValueError, message)
            assert where is not None and initial is not None
            value = to_array(stager, choose(stager, where, value, initial))
            value, split = prepared(stager, value, axis, keepdims)
        if is_complex(value.dtype):
            stager.refuse("extrema of complex numbers", "take them of the absolute values")
        if not given(initial):
            text = f"zero-size array to reduction operation {function.__name__} which has no identity"
            not_empty(stager, split, text)
        elif not all(storage.known_length(n) for n in split.reduced):
            return finished(stager, _with_initial(stager, function, split, initial), out)
        result = extreme(stager, split, least, nan_last)
        if given(initial):
            assert initial is not None
            result = ufunc(stager, function, [result, initial])
        return finished(stager, result, out)

    return lowering


def _with_initial(stager: Stager, function: np.ufunc, split: Split, initial: Value | None) -> Value:
    """An extremum that may be of nothing: folded from the initial value."""
    assert initial is not None
    kind = split.value.dtype
    start = elements.scalar_element(initial)
    if start is None:
        stager.refuse("an initial value that is no number", "give a number")
    return reduce(
        stager, split, kind, convert(start[0], elements.own_dtype(start[1]), kind),
        by(stager, function.__name__, kind),
    )  # fmt: skip


def extreme(stager: Stager, split: Split, least: bool, nan_last: bool = False) -> Value:
    """The extreme elements of an array that is not empty."""
    value = split.value
    if storage.cost(value) > storage.FUNCTION and split.by_rows:
        value = storage.make(stager, value)
        split = Split(value, split.gone, split.keepdims)
    places, search = extreme_places(stager, split, least, nan_last)

    def element(kept: Index, place: Expr) -> Element:
        gone = spread_out(stager, place, split.reduced)
        with storage.layer(stager):
            return elements.bind(stager, storage.at(stager, value, split.index(kept, gone)))

    if not split.result_shape:
        assert search is not None
        return value_of(stager, element((), search(())), value.dtype)
    result = storage.fresh(stager, split.result_shape, value.dtype)
    with storage.nest(stager, split.shape) as kept:
        if search is not None:
            place = search(kept)
        else:
            assert places is not None
            found = storage.at(stager, places, kept)
            assert isinstance(found, Expr)
            place = stager.bind(found, "place")
        storage.store(stager, result, split.place(kept), element(kept, place))
    return result


amax = lowers(np.max, np.amax, method="max")(_extreme(np.maximum, False))
amin = lowers(np.min, np.amin, method="min")(_extreme(np.minimum, True))
nanmax = lowers(np.nanmax)(_extreme(np.fmax, False, nan_last=True))
nanmin = lowers(np.nanmin)(_extreme(np.fmin, True, nan_last=True))


def _extreme_index(name: str, least: bool) -> Callable[..., Value]:
    def lowering(
        stager: Stager, a: Value, axis: Value | None = None, out: Value | None = None,
        *, keepdims: Value | None = None,
    ) -> Value:  # fmt: skip
        value = array(stager, a)
        known = option(stager, axis)
        axes = tuple(range(value.ndim)) if known is None else (one_axis(stager, known, value.ndim),)
        split = Split(value, axes, bool(option(stager, keepdims, False)))
        not_empty(stager, split, f"attempt to get {name} of an empty sequence")
        places, search = extreme_places(stager, split, least)
        if search is not None and not split.kept:
            if split.result_shape:
                stager.refuse(f"numpy.{name} with keepdims", "index the result with None")
            return finished(stager, value_of(stager, search(()), "int64"), out)
        if search is not None:
            places = storage.fresh(stager, split.shape, "int64", "place")
            with storage.nest(stager, split.shape) as kept:
                storage.store(stager, places, kept, search(kept))
        assert places is not None
        if split.keepdims:
            from tapeless.backends.native.staging.shapes import expand_dims

            return finished(stager, expand_dims(stager, places, Static(axes[0])), out)
        return finished(stager, places, out)

    return lowering


argmax = lowers(np.argmax, method="argmax")(_extreme_index("argmax", False))
argmin = lowers(np.argmin, method="argmin")(_extreme_index("argmin", True))


@lowers(np.ptp)
def ptp(
    stager: Stager, a: Value, axis: Value | None = None, out: Value | None = None,
    keepdims: Value | None = None,
) -> Value:  # fmt: skip
    most = amax(stager, a, axis, keepdims=keepdims)
    least = amin(stager, a, axis, keepdims=keepdims)
    return finished(stager, ufunc(stager, np.subtract, [most, least]), out)


# ---- running totals


def _running(name: str, start: int) -> Callable[..., Value]:
    def lowering(
        stager: Stager, a: Value, axis: Value | None = None, dtype: Value | None = None,
        out: Value | None = None,
    ) -> Value:  # fmt: skip
        value = array(stager, a)
        if not given(axis):
            if value.ndim != 1:
                from tapeless.backends.native.staging.shapes import ravel

                value = ravel(stager, value)
            k = 0
        else:
            k = one_axis(stager, option(stager, axis), value.ndim)
        kind = accumulated_dtype(stager, value, dtype)
        result = accumulate(stager, value, k, kind, by(stager, name, kind), elements.literal(start, kind))
        return finished(stager, result, out)

    return lowering


def accumulate(
    stager: Stager, value: ArrayValue, axis: int, dtype: str, combine: Combine, start: Element
) -> View:
    """The totals up to each element of an axis."""
    result = storage.fresh(stager, value.shape, dtype)
    last = axis == value.ndim - 1
    others = tuple(n for k, n in enumerate(value.shape) if k != axis)

    def full(rest: Index, i: Expr) -> Index:
        return (*rest[:axis], i, *rest[axis:])

    def element(index: Index) -> Element:
        return convert(storage.at(stager, value, index), value.dtype, dtype)

    if last:
        with storage.nest(stager, others) as rest:
            variables = totals(stager, start)
            with storage.nest(stager, (value.shape[axis],), independent=False) as (i,):
                update(stager, variables, combine(current(variables), element(full(rest, i))))
                storage.store(stager, result, full(rest, i), current(variables))
        return result
    length = value.shape[axis]
    with stager.branch(apply("gt", length, ZERO)):
        with storage.nest(stager, others) as rest:
            here = full(rest, ZERO)
            storage.store(stager, result, here, combine(start, element(here)))
        with storage.nest(stager, (simplify(length - 1), *others), [False] + [True] * len(others)) as (i, *r):
            rest = tuple(r)
            here = full(rest, i + 1)
            past = result.element(full(rest, i))
            storage.store(stager, result, here, combine(past, element(here)))
    return result


cumsum = lowers(np.cumsum, method="cumsum")(_running("add", 0))
cumprod = lowers(np.cumprod, method="cumprod")(_running("multiply", 1))


# ---- reductions by any ufunc


def ufunc_reduce(
    stager: Stager, function: np.ufunc, a: Value, axis: Value | None = None, dtype: Value | None = None,
    out: Value | None = None, keepdims: Value | None = None, initial: Value | None = None,
    where: Value | None = None,
) -> Value:  # fmt: skip
    """`function.reduce`: over axis 0 unless another is given."""
    axis = Static(0) if axis is None else axis
    if function in (np.add, np.multiply):
        lowering = sum_ if function is np.add else prod
        return lowering(stager, a, axis, dtype, out, keepdims, initial, where)
    if function in (np.maximum, np.minimum):
        lowering = amax if function is np.maximum else amin
        return lowering(stager, a, axis, out, keepdims, initial, where)
    if function in (np.logical_and, np.logical_or):
        return (all_ if function is np.logical_and else any_)(stager, a, axis, out, keepdims, where=where)
    value, split = prepared(stager, a, axis, keepdims)
    identity = function.identity
    if function in (np.logaddexp, np.fmax, np.fmin):
        identity = {np.logaddexp: -np.inf, np.fmax: -np.inf, np.fmin: np.inf}[function]
    if identity is None or given(where) or given(initial) or function.nin != 2:
        stager.refuse(f"numpy.{function.__name__}.reduce", "write the loop")
    kind = value.dtype
    made = reduce(stager, split, kind, elements.literal(identity, kind), Operation(stager, function, kind))
    return finished(stager, made, out)


def ufunc_accumulate(
    stager: Stager, function: np.ufunc, a: Value, axis: Value | None = None, dtype: Value | None = None,
    out: Value | None = None,
) -> Value:  # fmt: skip
    axis = Static(0) if axis is None else axis
    if function in (np.add, np.multiply):
        return (cumsum if function is np.add else cumprod)(stager, a, axis, dtype, out)
    if function not in (np.maximum, np.minimum):
        stager.refuse(f"numpy.{function.__name__}.accumulate", "write the loop")
    value = array(stager, a)
    low = -np.inf if function is np.maximum else np.inf
    if not is_float(value.dtype):
        info = np.iinfo(value.dtype)
        low = info.min if function is np.maximum else info.max
    k = one_axis(stager, option(stager, axis), value.ndim)
    combine = Operation(stager, function, value.dtype)
    start = elements.literal(low, value.dtype)
    return finished(stager, accumulate(stager, value, k, value.dtype, combine, start), out)


@lowers(np.trapezoid)
def trapezoid(
    stager: Stager, y: Value, x: Value | None = None, dx: Value | None = None, axis: Value | None = None
) -> Value:
    from tapeless.backends.native.staging.shapes import along

    value = array(stager, y)
    k = one_axis(stager, option(stager, axis, -1), value.ndim)
    left, right = along(stager, value, k, slice(None, -1)), along(stager, value, k, slice(1, None))
    area = ufunc(stager, np.add, [right, left])
    if given(x):
        assert x is not None
        places = array(stager, x)
        own = 0 if places.ndim == 1 else k
        step = ufunc(
            stager, np.subtract,
            [along(stager, places, own, slice(1, None)), along(stager, places, own, slice(None, -1))],
        )  # fmt: skip
        if places.ndim == 1 and k != value.ndim - 1:
            stager.refuse("numpy.trapezoid of an axis that is not the last one", "move the axis")
    else:
        step = dx if dx is not None else Static(1.0)
    product = ufunc(stager, np.multiply, [step, area])
    return sum_(stager, ufunc(stager, np.true_divide, [product, Static(2.0)]), Static(k))
