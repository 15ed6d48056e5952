"""Operations that only derivatives have, in terms of operations that have derivatives themselves."""

from __future__ import annotations

from dataclasses import replace

from tapeless.backends.native.fuse import replaced
from tapeless.backends.native.matrices import Matrices, add_lower, cholesky_back
from tapeless.backends.native.nest import Array, Function, Intrinsic, Stmt
from tapeless.backends.native.partials import Arithmetic


def spelled_out(fn: Function, arithmetic: Arithmetic) -> Function:
    """A nest that is to be differentiated (again), without the operations that have no rules."""
    return replace(fn, body=replaced(fn.body, lambda s: _of_factor(s, arithmetic)))


def _of_factor(s: Stmt, arithmetic: Arithmetic) -> list[Stmt] | None:
    if not isinstance(s, Intrinsic) or s.name != "cholesky_back":
        return None
    (made,), (low, given) = s.outs, s.ins
    assert isinstance(made, Array) and isinstance(low, Array) and isinstance(given, Array)
    m = Matrices(made.dtype, arithmetic)
    m.clear(made)
    add_lower(m, made, cholesky_back(m, low, given))
    return m.out
