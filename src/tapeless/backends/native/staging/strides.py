"""Where NumPy has the elements of an array in memory: whether a reshape is a view there, or a copy.

A program that writes into the one or the other sees the difference.  Where it cannot be told, or a view is
one that storage has no map of indices for, there is a copy, and neither may be changed afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import ONE, ZERO, Array, Const, Expr, apply, const
from tapeless.backends.native.rewrite import change_expr
from tapeless.backends.native.staging import storage
from tapeless.backends.native.staging.paths import Field
from tapeless.backends.native.staging.values import ArrayValue, Lazy, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

DOUBT = "a reshape of it, which shares its memory in NumPy or may do so, is a copy here"


def steps(stager: Stager, view: View) -> tuple[Expr, ...] | None:
    """How far apart the elements along each axis are, in elements of the storage; None if nobody knows."""
    far = _far(stager, view.array)
    if far is None:
        return None
    made: list[Expr] = [ZERO] * view.ndim
    for a, distance in zip(view.axes, far, strict=False):
        for step, of in (*(() if a.of is None else ((a.step, a.of),)), *a.more):
            made[of] = apply("add", made[of], apply("mul", step, distance))
    return tuple(map(simplify, made))


def _far(stager: Stager, array: Array) -> Sequence[Expr] | None:
    """The same for an array as a whole."""
    known = storage.state(stager)
    if array.root in known.disordered:
        return None
    if array in known.copied:
        return steps(stager, known.copied[array])
    if not array.contiguous:
        found = stager.strides.get(array)
        if found is None:
            return None
        stager.guard(Field(stager.array_sources[array], "strides"), "equal", found)
        return [const(n // np.dtype(array.dtype).itemsize) for n in found]
    full = known.shapes.get(array)
    if full is None:
        return None
    far: list[Expr] = []
    total: Expr = ONE
    for n in reversed(full):
        far.insert(0, total)
        total = apply("mul", total, n)
    return far


def is_natural(stager: Stager, view: View) -> bool:
    """Whether whole storage of a view is what NumPy has: row-major."""
    known = storage.state(stager)
    return view.array.root not in known.disordered and view.array not in known.copied


def equal(stager: Stager, a: Expr, b: Expr) -> bool | None:
    """Whether two lengths are equal, in all calls that the nest is for; None if that is not known."""
    if storage.same_length(simplify(a), simplify(b)):
        return True
    table = {e: const(n) for e, n in stager.actual.items()}
    x, y = (change_expr(e, lambda part: table.get(part)) for e in (a, b))
    if not (isinstance(x, Const) and isinstance(y, Const)):
        return None
    if not (isinstance(a, Const) and isinstance(b, Const)):
        stager.assume_at_entry(apply("eq" if x == y else "ne", a, b))
    return x == y


def row_major(stager: Stager, view: View) -> bool | None:
    """Whether the elements of a view lie side by side, in order; None if that is not known."""
    long = [k for k, n in enumerate(view.shape) if n != ONE]
    far = steps(stager, view)
    if not long:
        return True
    if far is None:
        return None
    unit = const(2 if view.dtype.startswith("complex") else 1)
    return _all([equal(stager, far[long[-1]], unit), merge(stager, view, far, long)])


def merge(stager: Stager, view: ArrayValue, far: Sequence[Expr], axes: Sequence[int]) -> bool | None:
    """Whether axes (none of length 1) are as far apart as one axis would have them."""
    return _all(
        [
            equal(stager, far[outer], apply("mul", view.shape[inner], far[inner]))
            for outer, inner in zip(axes[:-1], axes[1:], strict=True)
        ]
    )


def _all(found: list[bool | None]) -> bool | None:
    return False if False in found else None if None in found else True


def doubtful(stager: Stager, view: View, made: View) -> None:
    """`made` is perhaps the memory of `view`, perhaps not: neither is changed if the program has both."""
    root = view.array.root
    if root in stager.array_sources or root in stager.lent or stager.holders(view, None):
        stager.frozen[root] = stager.frozen[made.array.root] = DOUBT


def disorders(stager: Stager, source: ArrayValue) -> bool:
    """Whether NumPy may give what is computed from an array, element by element, another order in memory."""
    known = storage.state(stager)
    if isinstance(source, Lazy):
        return source.home in known.disordered
    assert isinstance(source, View)
    if source.ndim < 2:
        return False
    odd = not source.array.contiguous or not is_natural(stager, source)
    order = [k for k in storage.storage_order(source) if source.shape[k] != ONE]
    return odd or order != sorted(order)
