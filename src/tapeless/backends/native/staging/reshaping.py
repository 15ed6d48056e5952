"""Reshapes: views of the same memory where that is possible, else copies."""

from __future__ import annotations

from collections.abc import Sequence as AnySequence
from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import ONE, ZERO, Apply, Const, Expr, apply, const
from tapeless.backends.native.staging import storage, strides
from tapeless.backends.native.staging.elements import is_complex
from tapeless.backends.native.staging.indexing import (
    axis_of,
)
from tapeless.backends.native.staging.lowerings import (
    array,
    lowers,
    option,
    shape_of,
    unsupported,
)
from tapeless.backends.native.staging.storage import fail, known_length
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Lazy,
    Sequence,
    Value,
    View,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager
from tapeless.backends.native.staging.paths import Fixed
from tapeless.backends.native.staging.shapes import full_spans, permute, sliced

# ---- reshape


@lowers(np.reshape)
def reshape(
    stager: Stager, a: Value, shape: Value, order: Value | None = None, *, copy: Value | None = None
) -> ArrayValue:
    unsupported(stager, "reshape", copy=copy)
    value = array(stager, a)
    if not _in_columns(stager, value, order):
        return reshaped(stager, value, shape_of(stager, shape))
    return turned(stager, reshaped(stager, turned(stager, value), shape_of(stager, shape)[::-1]))


def _in_columns(stager: Stager, value: ArrayValue, order: Value | None) -> bool:
    """Whether elements are taken in the order of Fortran."""
    wanted = option(stager, order, "C")
    if wanted == "A" and strides.row_major(stager, storage.make(stager, value)):
        return False
    if wanted not in ("C", "F"):
        stager.refuse(f"numpy.reshape in the order {wanted!r}, perhaps the order of Fortran", "use C or F")
    return bool(wanted == "F")


def turned(stager: Stager, value: ArrayValue) -> ArrayValue:
    """The transpose: all axes from behind."""
    return permute(stager, value, tuple(reversed(range(value.ndim))))


@lowers(method="reshape")
def reshape_method(stager: Stager, a: ArrayValue, *shape: Value, order: Value | None = None) -> Value:
    if len(shape) == 1:
        return reshape(stager, a, shape[0], order)
    return reshape(stager, a, Sequence(list(shape), tuple), order)


@lowers(np.ravel, method="ravel")
def ravel(stager: Stager, a: Value, order: Value | None = None) -> ArrayValue:
    value = array(stager, a)
    if _in_columns(stager, value, order):
        return ravel(stager, turned(stager, value))
    if isinstance(value, Lazy) and value.ndim == 1:
        return value
    copy = _put_in_order(stager, value, (storage.size_of(value.shape),))
    if copy is not None:
        return copy
    view = storage.make(stager, value)
    side_by_side = strides.row_major(stager, view)
    if side_by_side is False:
        return storage.alias(stager, storage.store_copy(stager, view), (storage.size_of(view.shape),))
    made = reshaped(stager, view, (const(-1),))
    if side_by_side is None and isinstance(made, View):
        strides.doubtful(stager, view, made)
    return made


@lowers(method="flatten")
def flatten(stager: Stager, a: ArrayValue, order: Value | None = None) -> Value:
    if _in_columns(stager, a, order):
        a = turned(stager, a)
    return storage.alias(stager, storage.store_copy(stager, a), (storage.size_of(a.shape),))


def reshaped(
    stager: Stager, value: ArrayValue, shape: storage.Shape, *, always_view: bool = False
) -> ArrayValue:
    """A view of the elements in another shape where NumPy gives one, else a copy."""
    shape = _resolved(stager, value.shape, shape)
    if len(shape) == value.ndim and storage.same_shape(shape, value.shape):
        return value if isinstance(value, Lazy) else sliced(stager, value, full_spans(value))
    ordered = _put_in_order(stager, value, shape)
    if ordered is not None:
        return ordered
    view = storage.make(stager, value)
    whole = storage.is_whole(stager, view)
    if whole and strides.is_natural(stager, view):
        return storage.alias(stager, view, shape)
    is_view = _is_view(stager, view, shape)
    if is_view is not False:
        made = storage.alias(stager, view, shape) if whole else _split_and_merged(stager, view, shape)
        if made is not None:
            if is_view is None and not always_view:
                strides.doubtful(stager, view, made)
            return made
    copy = storage.alias(stager, storage.store_copy(stager, view), shape)
    if is_view is not False or always_view:
        strides.doubtful(stager, view, copy)
    return copy


def in_place(stager: Stager, value: ArrayValue, shape: Value) -> ArrayValue:
    """An array whose shape is set: what its variable, which alone has it, gets."""
    view = storage.make(stager, value)
    root = view.array.root

    def exactly(other: ArrayValue) -> bool:
        """Whether another value may be the same object."""
        seen = other.made if isinstance(other, Lazy) else other
        return not isinstance(seen, View) or (seen.axes, seen.shape) == (view.axes, view.shape)

    source = stager.array_sources.get(root)
    outside = source is not None and not isinstance(source, Fixed)  # else it is what the program has made
    if outside or root in stager.lent or stager.holders(view, None, exactly) > 1:
        stager.refuse("the shape of an array that others have, too, is set", "use reshape")
    lengths = _resolved(stager, view.shape, shape_of(stager, shape))
    made: View | None = None
    if storage.is_whole(stager, view) and strides.is_natural(stager, view):
        made = storage.alias(stager, view, lengths)
    elif _is_view(stager, view, lengths):
        made = _split_and_merged(stager, view, lengths)
    if made is None:
        stager.refuse("the shape of an array that is not row-major is set", "use reshape")
    return made


def _put_in_order(stager: Stager, value: ArrayValue, shape: storage.Shape) -> View | None:
    """The copy that NumPy makes of a transposed array for a reshape, computed in its own order at once."""
    known = storage.state(stager)
    if not isinstance(value, Lazy) or value.made is not None or value not in known.turned:
        return None
    source, order = known.turned[value]
    if source.home in known.disordered:
        return None
    far = _far_apart(source.shape, list(range(source.ndim)))
    if _merged(stager, value, [far[k] for k in order], shape) is not False:
        return None
    made = storage.fresh(stager, value.shape, value.dtype)
    storage.fill(stager, made, value)
    return storage.alias(stager, made, shape)


def _is_view(stager: Stager, view: View, shape: storage.Shape) -> bool | None:
    """Whether NumPy gives a view in this shape."""
    return _merged(stager, view, strides.steps(stager, view), shape)


def _merged(
    stager: Stager, view: ArrayValue, far: AnySequence[Expr] | None, shape: storage.Shape
) -> bool | None:
    """Whether axes that a shape merges are far enough apart."""
    groups, settled = _groups(view.shape, shape)
    found: list[bool | None] = []
    for olds, _ in groups:
        long = [k for k in olds if view.shape[k] != ONE]
        if len(long) > 1:
            found.append(None if far is None else strides.merge(stager, view, far, long))
    if False in found:  # other lengths may make other groups
        return False if settled else None
    return None if None in found else True


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
    return (number, atoms) if number else (0, {})  # nothing, however long the other sides are


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


def _settled(stager: Stager, n: Expr) -> Expr:
    """A length; an argument that is -1 is known to be."""
    if n in stager.actual and not stager.ranges.proves(apply("ge", n, ZERO)):
        if stager.actual[n] < 0:
            return const(stager.known_expr(n, "a length of -1 is worked out"))
        stager.assume_at_entry(apply("ge", n, ZERO))
    return n


def _resolved(stager: Stager, old: storage.Shape, new: storage.Shape) -> storage.Shape:
    """The new shape with -1 worked out, and the sizes compared."""
    new = tuple(_settled(stager, n) for n in new)
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


def _groups(old: storage.Shape, new: storage.Shape) -> tuple[list[tuple[list[int], list[int]]], bool]:
    """Runs of old and of new axes with the same product, and whether none of them may be two."""
    groups: list[tuple[list[int], list[int]]] = []
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
            else:  # what is left has the same product, too, since all has
                rest = [*olds, *range(i, len(old))], [*news, *range(j, len(new))]
                return [*groups, rest], len(rest[0]) < 2 or len(rest[1]) < 2
        groups.append((olds, news))
    return groups, True


def _split_and_merged(stager: Stager, view: View, shape: storage.Shape) -> View | None:
    """The reshape of a part of storage without a copy, if its axes split and merge."""
    groups, _ = _groups(view.shape, shape)
    if any(sum(view.shape[k] != ONE for k in olds) > 1 for olds, _ in groups):
        flat = _flattened(stager, view)
        if flat is None:
            return None
        view = flat
    terms: dict[int, list[tuple[Expr, int]]] = {}  # old axis -> (stride in units of the old one, new axis)
    for olds, news in groups:
        long = [k for k in olds if view.shape[k] != ONE]
        far = _far_apart(shape, news)
        if not long:
            continue
        if len(long) > 1:  # the outer axes must be as far apart as the inner ones are long
            steps = {k: _step_of(view, k) for k in long}
            for outer, inner in zip(long[:-1], long[1:], strict=True):
                there, here = steps[outer], steps[inner]
                if there is None or here is None:
                    return None
                if not strides.equal(stager, there, apply("mul", view.shape[inner], here)):
                    return None
        for k in long[:-1]:
            terms[k] = []
        terms[long[-1]] = [(far[j], j) for j in news if shape[j] != ONE]
    axes = []
    for a in view.axes:
        made: list[tuple[Expr, int]] = []
        for step, of in (*(() if a.of is None else ((a.step, a.of),)), *a.more):
            made += [(simplify(apply("mul", step, n)), j) for n, j in terms.get(of, [])]
        axes.append(axis_of(a.start, made))
    return View(view.array, tuple(axes), shape, view.dtype)


def _far_apart(shape: storage.Shape, axes: list[int]) -> dict[int, Expr]:
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
    """The view as one on the same storage seen as one row, if it is row-major."""
    full = storage.state(stager).shapes.get(view.array)
    if full is not None and is_complex(view.dtype):
        full = full[:-1]  # without the axis of the two parts
    if full is None or not view.array.contiguous or len(full) != len(view.axes):
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
