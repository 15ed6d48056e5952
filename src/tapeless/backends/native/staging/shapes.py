"""The same elements in another order or shape: transposes, new axes, flips, splits; and diagonals."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import ONE, ZERO, Apply, Const, Expr, apply, const
from tapeless.backends.native.staging import storage
from tapeless.backends.native.staging.broadcasting import (
    broadcast_checked,
    broadcast_shapes,
)
from tapeless.backends.native.staging.broadcasting import (
    broadcast_to as spread,
)
from tapeless.backends.native.staging.indexing import (
    At,
    Item,
    New,
    Span,
    _lazy_slice,
    _result_shape,
    axis_of,
    basic_view,
    getitem,
    span,
)
from tapeless.backends.native.staging.lowerings import (
    array,
    axes_of,
    given,
    items_of,
    lowers,
    one_axis,
    option,
    shape_of,
    unsupported,
)
from tapeless.backends.native.staging.storage import fail, known_length
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Axis,
    Element,
    Index,
    Lazy,
    Number,
    Sequence,
    Static,
    Value,
    View,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def sliced(stager: Stager, value: ArrayValue, items: list[Item]) -> ArrayValue:
    """The part of an array that items without arrays choose."""
    if isinstance(value, Lazy) and value.made is None and value.uses <= 1:
        return _lazy_slice(stager, value, items, _result_shape(items))
    return basic_view(stager, storage.make(stager, value), items)


def full_spans(value: ArrayValue) -> list[Item]:
    return [Span(ZERO, ONE, n) for n in value.shape]


def along(stager: Stager, value: ArrayValue, axis: int, part: slice) -> ArrayValue:
    """A slice of one axis."""
    items = full_spans(value)
    items[axis] = span(stager, value.shape[axis], *map(Static, (part.start, part.stop, part.step)))
    return sliced(stager, value, items)


# ---- the order of axes


def permute(stager: Stager, value: ArrayValue, order: AnySequence[int]) -> ArrayValue:
    """The array with its axes in another order."""
    order = list(order)
    if order == list(range(value.ndim)):
        return value
    shape = tuple(value.shape[k] for k in order)
    where = {old: new for new, old in enumerate(order)}
    if isinstance(value, Lazy) and value.made is None and value.uses <= 1:
        source = value

        def element(index: Index) -> Element:
            return storage.at(stager, source, tuple(index[where[k]] for k in range(len(index))))

        return storage.lazy(stager, shape, value.dtype, element, [value], value.cost)
    view = storage.make(stager, value)
    axes = tuple(
        Axis(
            a.start,
            a.step,
            None if a.of is None else where[a.of],
            tuple((step, where[of]) for step, of in a.more),
        )
        for a in view.axes
    )
    return View(view.array, axes, shape, view.dtype)


@lowers(np.transpose)
def transpose(stager: Stager, a: Value, axes: Value | None = None) -> Value:
    value = array(stager, a)
    known = option(stager, axes)
    order = (
        list(range(value.ndim))[::-1] if known is None else [one_axis(stager, k, value.ndim) for k in known]
    )
    if sorted(order) != list(range(value.ndim)):
        fail(stager, ValueError, "axes don't match array")
    return permute(stager, value, order)


@lowers(method="transpose")
def transpose_method(stager: Stager, a: ArrayValue, *axes: Value) -> Value:
    if len(axes) == 1 and not isinstance(axes[0], Number):
        known = option(stager, axes[0])
        return transpose(stager, a, axes[0] if isinstance(known, (tuple, list)) else Static((known,)))
    return transpose(stager, a, Static(tuple(stager.known(v) for v in axes)) if axes else None)


@lowers(np.matrix_transpose)
def matrix_transpose(stager: Stager, x: Value) -> Value:
    value = array(stager, x)
    return swapaxes(stager, value, Static(-1), Static(-2))


@lowers(np.swapaxes, method="swapaxes")
def swapaxes(stager: Stager, a: Value, axis1: Value, axis2: Value) -> Value:
    value = array(stager, a)
    i, j = (one_axis(stager, stager.known(v), value.ndim) for v in (axis1, axis2))
    order = list(range(value.ndim))
    order[i], order[j] = order[j], order[i]
    return permute(stager, value, order)


@lowers(np.moveaxis)
def moveaxis(stager: Stager, a: Value, source: Value, destination: Value) -> Value:
    value = array(stager, a)
    ends = []
    for v in (source, destination):
        known = stager.known(v)
        several = known if isinstance(known, (tuple, list)) else (known,)
        ends.append([one_axis(stager, k, value.ndim) for k in several])
    order = [k for k in range(value.ndim) if k not in ends[0]]
    for to, of in sorted(zip(ends[1], ends[0], strict=True)):
        order.insert(to, of)
    return permute(stager, value, order)


@lowers(np.rollaxis)
def rollaxis(stager: Stager, a: Value, axis: Value, start: Value | None = None) -> Value:
    value = array(stager, a)
    k = one_axis(stager, stager.known(axis), value.ndim)
    to = int(option(stager, start, 0))
    to = to + value.ndim if to < 0 else to
    order = [i for i in range(value.ndim) if i != k]
    order.insert(to - 1 if k < to else to, k)
    return permute(stager, value, order)


# ---- axes of length 1


@lowers(np.expand_dims)
def expand_dims(stager: Stager, a: Value, axis: Value) -> ArrayValue:
    value = array(stager, a)
    known = stager.known(axis)
    several = known if isinstance(known, (tuple, list)) else (known,)
    ndim = value.ndim + len(several)
    new = {one_axis(stager, k, ndim) for k in several}
    old = iter(full_spans(value))
    return sliced(stager, value, [New() if k in new else next(old) for k in range(ndim)])


@lowers(np.squeeze, method="squeeze")
def squeeze(stager: Stager, a: Value, axis: Value | None = None) -> Value:
    value = array(stager, a)
    if given(axis):
        gone = set(axes_of(stager, axis, value.ndim))
        message = "cannot select an axis to squeeze out which has size not equal to one"
        for k in gone:
            if known_length(value.shape[k]) not in (1, None):
                fail(stager, ValueError, message)
            stager.check(apply("eq", value.shape[k], ONE), ValueError, message)
    else:
        gone = {k for k, n in enumerate(value.shape) if n == ONE}
    items: list[Item] = [At(ZERO) if k in gone else Span(ZERO, ONE, n) for k, n in enumerate(value.shape)]
    return sliced(stager, value, items)


def _at_least(ndim: int) -> Callable[..., Value]:
    def one(stager: Stager, a: Value) -> Value:
        value = array(stager, a)
        if value.ndim >= ndim:
            return value
        items: list[Item] = {0: [], 1: full_spans(value), 2: full_spans(value)}[value.ndim]
        if ndim == 3 and value.ndim == 2:
            items = [*items, New()]
        elif ndim == 3 and value.ndim == 1:
            items = [New(), *items, New()]
        else:
            items = [*[New()] * (ndim - value.ndim), *items]
        return sliced(stager, value, items)

    def lowering(stager: Stager, *arys: Value) -> Value:
        made = [one(stager, a) for a in arys]
        return made[0] if len(made) == 1 else Sequence(made, tuple)

    return lowering


atleast_1d = lowers(np.atleast_1d)(_at_least(1))
atleast_2d = lowers(np.atleast_2d)(_at_least(2))
atleast_3d = lowers(np.atleast_3d)(_at_least(3))


@lowers(np.broadcast_to)
def broadcast_to(stager: Stager, array_: Value, shape: Value, subok: Value | None = None) -> Value:
    value = array(stager, array_)
    lengths = shape_of(stager, shape)
    message = "operands could not be broadcast together with remapped shapes [original->remapped]: {} and requested shape {}"
    if value.ndim > len(lengths):
        fail(stager, ValueError, "input operand has more dimensions than allowed by the axis remapping")
    return broadcast_checked(stager, value, lengths, message)


@lowers(np.broadcast_arrays)
def broadcast_arrays(stager: Stager, *args: Value, subok: Value | None = None) -> Value:
    values = [array(stager, a) for a in args]
    shape = broadcast_shapes(stager, [v.shape for v in values])
    return Sequence([spread(stager, v, shape) for v in values], tuple)


# ---- reshape


@lowers(np.reshape)
def reshape(
    stager: Stager, a: Value, shape: Value, order: Value | None = None, *, copy: Value | None = None
) -> ArrayValue:
    unsupported(stager, "reshape", copy=copy)
    if option(stager, order, "C") not in ("C", "A"):
        stager.refuse("numpy.reshape in the order of Fortran", "reshape the transpose")
    return reshaped(stager, array(stager, a), shape_of(stager, shape))


@lowers(method="reshape")
def reshape_method(stager: Stager, a: ArrayValue, *shape: Value, order: Value | None = None) -> Value:
    if len(shape) == 1:
        return reshape(stager, a, shape[0], order)
    return reshape(stager, a, Sequence(list(shape), tuple), order)


@lowers(np.ravel, method="ravel")
def ravel(stager: Stager, a: Value, order: Value | None = None) -> ArrayValue:
    return reshape(stager, a, Static((-1,)), order)


@lowers(method="flatten")
def flatten(stager: Stager, a: ArrayValue, order: Value | None = None) -> Value:
    made = ravel(stager, a, order)
    return storage.store_copy(stager, made)


def reshaped(stager: Stager, value: ArrayValue, shape: storage.Shape) -> ArrayValue:
    """A view of the elements in another shape where memory allows, else a copy."""
    shape = _resolved(stager, value.shape, shape)
    if len(shape) == value.ndim and storage.same_shape(shape, value.shape):
        return value if isinstance(value, Lazy) else sliced(stager, value, full_spans(value))
    view = storage.make(stager, value)
    if storage.is_whole(stager, view):
        return storage.alias(stager, view, shape)
    made = _split_and_merged(stager, view, shape)
    if made is not None:
        return made
    return storage.alias(stager, storage.store_copy(stager, view), shape)


Factors = tuple[int, dict[Expr, int]]


def _factors(shape: AnySequence[Expr]) -> Factors:
    """A product of lengths as a number and powers of unknown lengths."""
    number, atoms = 1, dict[Expr, int]()

    def take(e: Expr) -> None:
        nonlocal number
        if isinstance(e, Const):
            number *= int(e.value)
        elif isinstance(e, Apply) and e.op == "mul":
            take(e.args[0])
            take(e.args[1])
        else:
            e = simplify(e)
            atoms[e] = atoms.get(e, 0) + 1

    for n in shape:
        take(n)
    return number, atoms


def _quotient(a: Factors, b: Factors) -> Expr | None:
    """a / b, if b divides a factor by factor."""
    if not b[0] or a[0] % b[0]:
        return None
    atoms = dict(a[1])
    for e, power in b[1].items():
        atoms[e] = atoms.get(e, 0) - power
        if atoms[e] < 0:
            return None
    made: Expr = const(a[0] // b[0])
    for e, power in atoms.items():
        for _ in range(power):
            made = apply("mul", made, e)
    return made


def _resolved(stager: Stager, old: storage.Shape, new: storage.Shape) -> storage.Shape:
    """The new shape with -1 worked out, and the sizes compared."""
    open_ = [k for k, n in enumerate(new) if isinstance(n, Const) and n.value < 0]
    texts = tuple(known_length(n) for n in new)
    size = known_length(storage.size_of(old))
    message = f"cannot reshape array of size {'n' if size is None else size} into shape {texts}".replace(
        "None", "n"
    )
    if len(open_) > 1:
        fail(stager, ValueError, "can only specify one unknown dimension")
    before = _factors(old)
    if open_:
        rest = [n for k, n in enumerate(new) if k not in open_]
        missing = _quotient(before, _factors(rest))
        if missing is None:
            whole, part = storage.size_of(old), storage.size_of(tuple(rest))
            if known_length(whole) is not None and known_length(part) is not None:
                fail(stager, ValueError, message)
            part = stager.bind(part, "n")
            good = apply(
                "all",
                apply("ne", part, ZERO),
                apply("eq", apply("mod", whole, apply("maximum", part, ONE)), ZERO),
            )
            stager.check(good, ValueError, message)
            missing = stager.bind(apply("floordiv", whole, part), "n")
        return (*new[: open_[0]], missing, *new[open_[0] + 1 :])
    if before != _factors(new):
        whole, other = storage.size_of(old), storage.size_of(new)
        if known_length(whole) is not None and known_length(other) is not None:
            fail(stager, ValueError, message)
        stager.check(apply("eq", whole, other), ValueError, message)
    return new


def _groups(old: storage.Shape, new: storage.Shape) -> list[tuple[list[int], list[int]]] | None:
    """Runs of old and of new axes with the same product; None if that is not known."""
    groups = []
    i = j = 0
    while i < len(old) or j < len(new):
        olds, news = ([i] if i < len(old) else []), ([j] if j < len(new) else [])
        i, j = i + len(olds), j + len(news)
        while True:
            a, b = _factors([old[k] for k in olds]), _factors([new[k] for k in news])
            if a == b:
                break
            if _quotient(b, a) is not None and i < len(old):
                olds.append(i)
                i += 1
            elif _quotient(a, b) is not None and j < len(new):
                news.append(j)
                j += 1
            else:
                return None
        groups.append((olds, news))
    return groups


def _split_and_merged(stager: Stager, view: View, shape: storage.Shape) -> View | None:
    """The reshape of a part of storage without a copy, if its axes split and merge."""
    groups = _groups(view.shape, shape)
    if groups is None:
        return None
    if any(sum(view.shape[k] != ONE for k in olds) > 1 for olds, _ in groups):
        flat = _flattened(stager, view)
        if flat is None:
            return None
        view = flat
    terms: dict[int, list[tuple[Expr, int]]] = {}  # old axis -> (stride in units of the old one, new axis)
    for olds, news in groups:
        long = [k for k in olds if view.shape[k] != ONE]
        strides = _strides(shape, news)
        if not long:
            continue
        if len(long) > 1:  # the outer axes must be as far apart as the inner ones are long
            steps = {k: _step_of(view, k) for k in long}
            for outer, inner in zip(long[:-1], long[1:], strict=True):
                far = simplify(apply("mul", steps[inner] or ZERO, view.shape[inner]))
                if (
                    steps[outer] is None
                    or steps[inner] is None
                    or not storage.same_length(simplify(steps[outer] or ZERO), far)
                ):
                    return None
        for k in long[:-1]:
            terms[k] = []
        terms[long[-1]] = [(strides[j], j) for j in news if shape[j] != ONE]
    axes = []
    for a in view.axes:
        made: list[tuple[Expr, int]] = []
        for step, of in (*(() if a.of is None else ((a.step, a.of),)), *a.more):
            made += [(simplify(apply("mul", step, far)), j) for far, j in terms.get(of, [])]
        axes.append(axis_of(a.start, made))
    return View(view.array, tuple(axes), shape, view.dtype)


def _strides(shape: storage.Shape, axes: list[int]) -> dict[int, Expr]:
    made: dict[int, Expr] = {}
    far: Expr = ONE
    for k in reversed(axes):
        made[k] = far
        far = apply("mul", far, shape[k])
    return made


def _step_of(view: View, axis: int) -> Expr | None:
    """The step of an axis in flat storage."""
    steps = [step for a in view.axes for step, of in ((a.step, a.of), *a.more) if of == axis]
    return steps[0] if len(steps) == 1 else None


def _flattened(stager: Stager, view: View) -> View | None:
    """The view as one on the same storage seen as one row, if it is row-major and not complex."""
    from tapeless.backends.native.staging.elements import is_complex

    full = storage.state(stager).shapes.get(view.array)
    if full is None or not view.array.contiguous or is_complex(view.dtype) or len(full) != len(view.axes):
        return None
    row = storage.alias(stager, storage.whole_view(view.array, full, view.dtype), (storage.size_of(full),))
    start: Expr = ZERO
    terms: list[tuple[Expr, int]] = []
    far: Expr = ONE
    for a, n in zip(reversed(view.axes), reversed(full), strict=True):
        start = apply("add", start, apply("mul", a.start, far))
        for step, of in (*(() if a.of is None else ((a.step, a.of),)), *a.more):
            terms.append((simplify(apply("mul", step, far)), of))
        far = apply("mul", far, n)
    return View(row.array, (axis_of(simplify(start), terms),), view.shape, view.dtype)


# ---- flips, splits, diagonals, windows


@lowers(np.flip)
def flip(stager: Stager, m: Value, axis: Value | None = None) -> Value:
    value = array(stager, m)
    items = full_spans(value)
    for k in axes_of(stager, axis, value.ndim):
        items[k] = Span(simplify(value.shape[k] - 1), const(-1), value.shape[k])
    return sliced(stager, value, items)


@lowers(np.flipud)
def flipud(stager: Stager, m: Value) -> Value:
    return flip(stager, m, Static(0))


@lowers(np.fliplr)
def fliplr(stager: Stager, m: Value) -> Value:
    return flip(stager, m, Static(1))


@lowers(np.rot90)
def rot90(stager: Stager, m: Value, k: Value | None = None, axes: Value | None = None) -> Value:
    turns = int(option(stager, k, 1)) % 4
    i, j = option(stager, axes, (0, 1))
    value = array(stager, m)
    pair = (Static(i), Static(j))
    if turns == 0:
        return value
    if turns == 2:
        return flip(stager, value, Static((i, j)))
    if turns == 1:
        return swapaxes(stager, flip(stager, value, pair[1]), *pair)
    return flip(stager, swapaxes(stager, value, *pair), pair[1])


def _split(sections_must_fit: bool, fixed_axis: int | None = None) -> Callable[..., Value]:
    def lowering(stager: Stager, ary: Value, indices_or_sections: Value, axis: Value | None = None) -> Value:
        value = array(stager, ary)
        k = one_axis(stager, option(stager, axis, 0) if fixed_axis is None else fixed_axis, value.ndim)
        n = value.shape[k]
        known = stager.known(indices_or_sections)
        if isinstance(known, (int, np.integer)):
            count = int(known)
            if sections_must_fit:
                message = "array split does not result in an equal division"
                if known_length(n) is not None and (known_length(n) or 0) % count:
                    fail(stager, ValueError, message)
                stager.check(apply("eq", apply("mod", n, const(count)), ZERO), ValueError, message)
                size = apply("floordiv", n, const(count))
                ends = [(simplify(apply("mul", size, const(i))), size) for i in range(count)]
            else:
                length = stager.known_expr(n, "an array is split")
                sizes = [length // count + (i < length % count) for i in range(count)]
                ends = [(const(sum(sizes[:i])), const(s)) for i, s in enumerate(sizes)]
            parts = [Span(start, ONE, size) for start, size in ends]
        else:
            cuts = [None, *(int(c) for c in known), None]
            parts = [
                span(stager, n, Static(a), Static(b), Static(None))
                for a, b in zip(cuts[:-1], cuts[1:], strict=True)
            ]
        made: list[Value] = []
        source = storage.make(stager, value)
        for part in parts:
            items = full_spans(value)
            items[k] = part
            made.append(basic_view(stager, source, items))
        return Sequence(made, list)

    return lowering


split = lowers(np.split)(_split(True))
array_split = lowers(np.array_split)(_split(False))
vsplit = lowers(np.vsplit)(_split(True, 0))
hsplit = lowers(np.hsplit)(_split(True, 1))


def diagonal_view(stager: Stager, view: View, offset: int, axes: tuple[int, int] = (0, 1)) -> View:
    """The diagonal as the last axis of a view."""
    i, j = axes
    down, right = max(-offset, 0), max(offset, 0)
    rows, columns = simplify(view.shape[i] - down), simplify(view.shape[j] - right)
    if storage.same_length(rows, columns):
        length = rows
    else:
        length = apply("minimum", rows, columns)
        if isinstance(length, Const):
            length = const(max(int(length.value), 0))
        elif down or right:
            length = apply("maximum", length, ZERO)
    rest = [k for k in range(view.ndim) if k not in axes]
    last = len(rest)
    made = []
    for a in view.axes:
        start = a.start
        terms: list[tuple[Expr, int]] = []
        for step, of in (*(() if a.of is None else ((a.step, a.of),)), *a.more):
            if of in axes:
                start = simplify(start + apply("mul", step, const(down if of == i else right)))
                terms.append((step, last))
            else:
                terms.append((step, rest.index(of)))
        made.append(axis_of(start, terms))
    return View(view.array, tuple(made), (*(view.shape[k] for k in rest), length), view.dtype)


@lowers(np.diagonal, method="diagonal")
def diagonal(
    stager: Stager, a: Value, offset: Value | None = None, axis1: Value | None = None,
    axis2: Value | None = None,
) -> View:  # fmt: skip
    value = array(stager, a)
    axes = (
        one_axis(stager, option(stager, axis1, 0), value.ndim),
        one_axis(stager, option(stager, axis2, 1), value.ndim),
    )
    return diagonal_view(stager, storage.make(stager, value), int(option(stager, offset, 0)), axes)


@lowers(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    stager: Stager, x: Value, window_shape: Value, axis: Value | None = None, *,
    subok: Value | None = None, writeable: Value | None = None,
) -> Value:  # fmt: skip
    view = storage.make(stager, array(stager, x))
    sizes = shape_of(stager, window_shape)
    axes = axes_of(stager, axis, view.ndim)
    if len(sizes) != len(axes):
        fail(stager, ValueError, "Since axis is None, must provide window_shape for all dimensions of `x`")
    shape = list(view.shape)
    window: dict[int, list[int]] = {}
    for m, k in enumerate(axes):
        left = simplify(shape[k] - sizes[m] + 1)
        stager.check(
            apply("ge", left, ONE), ValueError, "window shape cannot be larger than input array shape"
        )
        shape[k] = left
        window.setdefault(k, []).append(view.ndim + m)
    made = []
    for a in view.axes:
        terms: list[tuple[Expr, int]] = []
        for step, of in (*(() if a.of is None else ((a.step, a.of),)), *a.more):
            terms += [(step, new) for new in (of, *window.get(of, []))]
        made.append(axis_of(a.start, terms))
    return View(view.array, tuple(made), (*shape, *sizes), view.dtype)


def rows_of(stager: Stager, value: Value) -> list[ArrayValue]:
    """The arrays of a sequence, or the rows of an array."""
    if isinstance(value, ArrayValue):
        n = stager.known_expr(value.shape[0], "an array is used as a list of arrays")
        return [array(stager, getitem(stager, value, Static(k))) for k in range(int(n))]
    return [array(stager, v) for v in items_of(stager, value)]
