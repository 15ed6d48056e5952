"""Factors and determinants of complex matrices, and of stacks of them: NumPy's, called back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import Array, Expr, Intrinsic, apply, const
from tapeless.backends.native.staging import complex_matrices, elements, own_rules, storage
from tapeless.backends.native.staging.base import Replay
from tapeless.backends.native.staging.lowerings import array, lowers
from tapeless.backends.native.staging.values import ArrayValue, Sequence, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

#: The shape and the dtype of a result.
Made = tuple[tuple[Expr, ...], str]
WIDE, REAL = "complex128", "float64"


def is_complex(value: ArrayValue) -> bool:
    """Whether a matrix is one of those that are factored here."""
    return value.dtype == WIDE


def factored(
    stager: Stager,
    name: str,
    value: ArrayValue,
    results: list[Made],
    kind: type | None,
    attrs: dict[str, Any] | None = None,
) -> Value:
    """What NumPy makes of a matrix, with the derivative that `complex_matrices` has for it."""

    def plainly(a: Value) -> Value:
        source = storage.materialise(stager, array(stager, a))
        outs = [storage.fresh(stager, shape, dtype) for shape, dtype in results]
        arrays: list[Array] = [o.array for o in outs]
        stager.emit(Intrinsic(f"complex_{name}", tuple(arrays), (source.array,), dict(attrs or {})))
        return outs[0] if kind is None else Sequence(list(outs), kind)

    tangent: Callable[..., Any] = getattr(complex_matrices, f"{name}_tangent")
    return own_rules.factored(stager, getattr(np.linalg, name), tangent, plainly, value)


def number(stager: Stager, value: Value) -> Value:
    """An array without axes as the number in it."""
    made = array(stager, value)
    if made.ndim:
        return made
    return elements.value_of(stager, elements.bind(stager, made.element(())), made.dtype)


def det(stager: Stager, value: ArrayValue) -> Value:
    return number(stager, factored(stager, "det", value, [(value.shape[:-2], WIDE)], None))


def slogdet(stager: Stager, value: ArrayValue, kind: type) -> Value:
    lead = value.shape[:-2]
    made = factored(stager, "slogdet", value, [(lead, WIDE), (lead, REAL)], kind)
    assert isinstance(made, Sequence)
    return Sequence([number(stager, v) for v in made.items], kind)


def cholesky(stager: Stager, value: ArrayValue, attrs: dict[str, Any]) -> ArrayValue:
    return array(stager, factored(stager, "cholesky", value, [(value.shape, WIDE)], None, attrs))


def eigh(stager: Stager, value: ArrayValue, kind: type, attrs: dict[str, Any]) -> Value:
    return factored(stager, "eigh", value, [(value.shape[:-1], REAL), (value.shape, WIDE)], kind, attrs)


def qr(stager: Stager, value: ArrayValue, k: Expr, kind: type) -> Value:
    *lead, n, m = value.shape
    return factored(stager, "qr", value, [((*lead, n, k), WIDE), ((*lead, k, m), WIDE)], kind)


def svd(stager: Stager, value: ArrayValue, k: Expr, kind: type, attrs: dict[str, Any]) -> Value:
    *lead, n, m = value.shape
    results = [((*lead, n, k), WIDE), ((*lead, k), REAL), ((*lead, k, m), WIDE)]
    return factored(stager, "svd", value, results, kind, attrs)


@lowers(complex_matrices.regular)
def regular(stager: Stager, x: Value) -> Value:
    """The plain function makes the calls with a determinant that is zero."""
    value = array(stager, x)
    with storage.nest(stager, value.shape) as index:
        e = storage.at(stager, value, index)
        assert isinstance(e, tuple)
        size = e[0] * e[0] + e[1] * e[1]
        stager.check(apply("ne", size, const(0.0)), Replay)
    return x


def solve(stager: Stager, a: ArrayValue, b: ArrayValue) -> Value:
    program = complex_matrices.solve if a.ndim == 2 else complex_matrices.solve_each
    made: Value = stager.call(Static(program), [a, b], {})
    return made


def inv(stager: Stager, a: ArrayValue) -> Value:
    program = complex_matrices.inv if a.ndim == 2 else complex_matrices.inv_each
    made: Value = stager.call(Static(program), [a], {})
    return made
