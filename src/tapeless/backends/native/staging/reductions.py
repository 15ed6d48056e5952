"""Sums, products, means, extrema and truths over axes: loops with accumulators.

If the last axis is reduced, each result has a scalar accumulator and the reduced axes are the inner loops;
otherwise rows are added to rows, so memory is walked in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import (
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
from tapeless.backends.native.staging import elements, storage, under_mask
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
    option,
    without_axes,
)
from tapeless.backends.native.staging.ufuncs import REAL
from tapeless.backends.native.staging.values import ArrayValue, Element, Index, Static, Value

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
    stager: Stager, a: Value, axis: Value | None, keepdims: Value | None, strict: bool = False
) -> tuple[ArrayValue, Split]:
    """An array and what of it is reduced; unless `strict`, one without axes has an axis 0, or -1."""
    value = array(stager, a)
    if not strict and without_axes(stager, value, axis):
        axis = None
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
        chosen = under_mask.pending(a)
        if chosen is not None and not any(map(given, (axis, keepdims, where))):
            a = under_mask.spread(stager, chosen, start)
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
    chosen = under_mask.pending(a)
    number = None
    if chosen is not None and not any(map(given, (axis, keepdims))):
        a, number = under_mask.spread(stager, chosen, 0), chosen.shape[0]
    value, split = prepared(stager, a, axis, keepdims, strict=True)
    kind = dtype_of(
        stager, dtype, value.dtype if not value.dtype.startswith(("int", "uint", "bool")) else "float64"
    )
    if number is None:
        n = _bound_count(stager, split, kind)
    else:
        n = stager.bind(cast(number, elements.scalar_type(kind)), "n")
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
        value, split = prepared(stager, a, axis, keepdims, strict=True)
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
