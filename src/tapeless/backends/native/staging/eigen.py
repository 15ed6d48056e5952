"""Eigenvalues of matrices that are not symmetric, and orders by `partition`: NumPy's, called back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native import called_matrices
from tapeless.backends.native.called_matrices import KINDS, Kind
from tapeless.backends.native.nest import Expr
from tapeless.backends.native.staging import called_back
from tapeless.backends.native.staging.base import Replay
from tapeless.backends.native.staging.linear_algebra import matrix
from tapeless.backends.native.staging.lowerings import array, lowers
from tapeless.backends.native.staging.paths import Field, Fixed, Held
from tapeless.backends.native.staging.values import Sequence, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

EIG = type(np.linalg.eig(np.eye(1)))
HOME = called_matrices.__name__


def _assumed(stager: Stager, dtype: str) -> tuple[str, dict[str, Any]]:
    """The dtype of eigenvalues: those of a real matrix are real until a call has found others."""
    if dtype == "complex128":
        return dtype, {}
    if dtype != "float64":
        stager.refuse(f"eigenvalues of matrices of {dtype}", "convert to float64 first")
    file = stager.frames[-1].program.filename if stager.frames else ""
    place = f"{file}:{stager.line}"
    kind = KINDS.setdefault(place, Kind())
    real = kind.real
    stager.guard(Field(Fixed(Held(kind)), "real"), "is", real)
    return "float64" if real else "complex128", {"place": place, "real": real}


@lowers(np.linalg.eig)
def eig(stager: Stager, a: Value) -> Value:
    value = matrix(stager, a, complex_too=True)
    dtype, options = _assumed(stager, value.dtype)
    shapes: list[tuple[Expr, ...]] = [value.shape[:-1], value.shape]

    def plainly(args: list[Value]) -> Value:
        failure = stager.failure(Replay, "eigenvalues")
        own = [array(stager, args[0])]
        made = called_back.emit(
            stager, HOME, "eig", own, [(s, dtype) for s in shapes], options, failure=failure
        )
        return Sequence(list(made), EIG)

    return called_back.ruled(stager, np.linalg.eig, [value], called_back.EVERYTHING, plainly)


@lowers(np.linalg.eigvals)
def eigvals(stager: Stager, a: Value) -> Value:
    value = matrix(stager, a, complex_too=True)
    if stager.differentiated:  # by the vectors
        both = eig(stager, value)
        assert isinstance(both, Sequence)
        return both.items[0]
    dtype, options = _assumed(stager, value.dtype)
    failure = stager.failure(Replay, "eigenvalues")
    results = [(value.shape[:-1], dtype)]
    return called_back.emit(stager, HOME, "eigvals", [value], results, options, failure=failure)[0]


def ordered(stager: Stager, name: str, rows: Value, kth: Value) -> Value:
    """An order of the elements along the last axis."""
    value = array(stager, rows)
    places = stager.known(kth)
    places = tuple(places) if isinstance(places, (tuple, list, np.ndarray)) else places
    return called_back.emit(stager, HOME, name, [value], [(value.shape, "int64")], {"kth": places})[0]


@lowers(called_matrices.partition_order)
def partition_order(stager: Stager, rows: Value, kth: Value) -> Value:
    return ordered(stager, "partition_order", rows, kth)


@lowers(called_matrices.argpartition)
def argpartition(stager: Stager, rows: Value, kth: Value) -> Value:
    return ordered(stager, "argpartition", rows, kth)
