"""`scipy.linalg`: what NumPy has too, and triangular systems by substitution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg  # type: ignore[import-untyped]

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.nest import F64, Assign, Ref, apply, cast
from tapeless.backends.native.staging import elements, scipy_programs, storage
from tapeless.backends.native.staging.elements import convert
from tapeless.backends.native.staging.linear_algebra import cholesky, det, floats, inv, matrix, solve
from tapeless.backends.native.staging.lowerings import array, items_of, lowers, option
from tapeless.backends.native.staging.norms import norm
from tapeless.backends.native.staging.opened import in_place_of
from tapeless.backends.native.staging.products import same
from tapeless.backends.native.staging.shapes import permute
from tapeless.backends.native.staging.values import Number, Sequence, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


@lowers(scipy.linalg.solve)
def solve_(
    stager: Stager, a: Value, b: Value, lower: Value | None = None, overwrite_a: Value | None = None,
    overwrite_b: Value | None = None, check_finite: Value | None = None, assume_a: Value | None = None,
    transposed: Value | None = None,
) -> Value:  # fmt: skip
    if option(stager, assume_a) not in (None, "gen", "general") or option(stager, transposed, False):
        stager.refuse("scipy.linalg.solve with assume_a or transposed", "use numpy.linalg.solve")
    return solve(stager, a, b)


@lowers(scipy.linalg.inv)
def inv_(
    stager: Stager, a: Value, overwrite_a: Value | None = None, check_finite: Value | None = None
) -> Value:
    return inv(stager, a)


@lowers(scipy.linalg.det)
def det_(
    stager: Stager, a: Value, overwrite_a: Value | None = None, check_finite: Value | None = None
) -> Value:
    return det(stager, a)


@lowers(scipy.linalg.norm)
def norm_(
    stager: Stager, a: Value, ord: Value | None = None, axis: Value | None = None,
    keepdims: Value | None = None, check_finite: Value | None = None,
) -> Value:  # fmt: skip
    made = norm(stager, a, ord, axis, keepdims)
    plain = all(v is None or isinstance(v, Static) and not v.obj for v in (axis, keepdims))
    order = ord.obj if isinstance(ord, Static) else None if ord is None else ...
    by_blas = order in ((None, 2) if array(stager, a).ndim == 1 else (1, np.inf))
    if plain and by_blas and isinstance(made, Number):
        return Number(stager.bind(cast(made.expr, F64)), float)  # BLAS and LAPACK give a Python float
    return made


@lowers(scipy.linalg.cholesky)
def cholesky_(
    stager: Stager, a: Value, lower: Value | None = None, overwrite_a: Value | None = None,
    check_finite: Value | None = None,
) -> Value:  # fmt: skip
    if option(stager, lower, False):
        return cholesky(stager, a)
    turned = storage.make(stager, permute(stager, matrix(stager, a), (1, 0)))  # it reads the upper triangle
    return permute(stager, array(stager, cholesky(stager, turned)), (1, 0))


@lowers(scipy.linalg.cho_factor)
def cho_factor(
    stager: Stager, a: Value, lower: Value | None = None, overwrite_a: Value | None = None,
    check_finite: Value | None = None,
) -> Value:  # fmt: skip
    which = bool(option(stager, lower, False))
    factor = cholesky_(stager, a, lower)  # the other triangle holds what it held in `a`
    made = stager.call(Static(scipy_programs.beside), [factor, a, Static(which)], {})
    return Sequence([made, Static(which)], tuple)


@lowers(scipy.linalg.cho_solve)
def cho_solve(
    stager: Stager, c_and_lower: Value, b: Value, overwrite_b: Value | None = None,
    check_finite: Value | None = None,
) -> Value:  # fmt: skip
    factor, lower = items_of(stager, c_and_lower)
    below = bool(stager.known(lower))
    first = solve_triangular(stager, factor, b, trans=Static(0 if below else 1), lower=Static(below))
    return solve_triangular(stager, factor, first, trans=Static(1 if below else 0), lower=Static(below))


@lowers(scipy.linalg.solve_triangular)
def solve_triangular(
    stager: Stager, a: Value, b: Value, trans: Value | None = None, lower: Value | None = None,
    unit_diagonal: Value | None = None, overwrite_b: Value | None = None, check_finite: Value | None = None,
) -> Value:  # fmt: skip
    """By rows, from the end where the triangle has one element."""
    left, right = matrix(stager, a), floats(stager, array(stager, b))
    if left.ndim != 2 or right.ndim > 2:
        stager.refuse("scipy.linalg.solve_triangular of stacks", "loop over the matrices")
    dtype = np.result_type(left.dtype, right.dtype).name
    n = left.shape[0]
    same(stager, n, right.shape[0], "shapes of a and b are incompatible")
    left = storage.make(stager, left)
    below = bool(option(stager, lower, False))
    if option(stager, trans, 0) not in (0, "N"):
        left, below = storage.make(stager, permute(stager, left, (1, 0))), not below
    unit = bool(option(stager, unit_diagonal, False))
    columns = right.shape[1:]
    result = storage.fresh(stager, right.shape, dtype)
    kind = elements.scalar_type(dtype)
    with storage.nest(stager, (n,), independent=False) as (step,):
        i = step if below else stager.bind(simplify(n - 1 - step), "i")
        count = i if below else step
        if not unit:
            pivot = left.element((i, i))
            message = "singular matrix: resolution failed at diagonal"
            stager.check(apply("ne", pivot, elements.literal(0, left.dtype)), np.linalg.LinAlgError, message)
        with storage.nest(stager, columns) as column:
            total = stager.scalar(kind, "total")
            start = convert(storage.at(stager, right, (i, *column)), right.dtype, dtype)
            assert not isinstance(start, tuple)
            stager.emit(Assign(total, start))
            with storage.nest(stager, (count,), independent=False) as (k,):
                j = k if below else simplify(i + 1 + k)
                factor = convert(left.element((i, j)), left.dtype, dtype)
                known = result.element((j, *column))
                assert not isinstance(factor, tuple) and not isinstance(known, tuple)
                stager.emit(Assign(total, Ref(total) - factor * known))
            value = Ref(total)
            if unit:
                storage.store(stager, result, (i, *column), value)
            else:
                pivot = convert(left.element((i, i)), left.dtype, dtype)
                storage.store(stager, result, (i, *column), apply("div", value, pivot))
    return result


for _name in ("toeplitz", "hankel", "circulant"):
    in_place_of(getattr(scipy_programs, _name), getattr(scipy.linalg, _name))
