"""Greatest and least elements: their places are searched, then they are read.

So a derivative goes to one element, and the search is no part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import (
    BOOL,
    I64,
    ZERO,
    Assign,
    Expr,
    Ref,
    apply,
    cast,
)
from tapeless.backends.native.staging import elements, storage
from tapeless.backends.native.staging.broadcasting import check_fits, to_array
from tapeless.backends.native.staging.elements import convert, is_complex, is_float, value_of
from tapeless.backends.native.staging.elementwise import ufunc
from tapeless.backends.native.staging.elementwise import where as choose
from tapeless.backends.native.staging.lowerings import (
    array,
    given,
    lowers,
    one_axis,
    option,
    without_axes,
)
from tapeless.backends.native.staging.values import Element, Index, Static, Value, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager
from tapeless.backends.native.staging.reductions import Split, by, finished, prepared, reduce

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
    check_fits(stager, initial, kind)
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
        known = None if without_axes(stager, value, axis) else option(stager, axis)
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
