"""Operations that only derivatives have, in terms of operations that have derivatives themselves."""

from __future__ import annotations

from dataclasses import replace

from tapeless.backends.native.matrices import Matrices, add_lower, cholesky_back
from tapeless.backends.native.nest import Array, For, Function, If, Intrinsic, Stmt, While, walk
from tapeless.backends.native.partials import Arithmetic


def spelled_out(fn: Function, arithmetic: Arithmetic) -> Function:
    """A nest that is to be differentiated (again), without the operations that have no rules."""
    if not any(isinstance(s, Intrinsic) and s.name == "cholesky_back" for s in walk(fn.body)):
        return fn

    def body(statements: list[Stmt]) -> list[Stmt]:
        made: list[Stmt] = []
        for s in statements:
            if isinstance(s, Intrinsic) and s.name == "cholesky_back":
                made += _of_factor(s, arithmetic)
            elif isinstance(s, For):
                made.append(replace(s, body=body(s.body)))
            elif isinstance(s, While):
                made.append(replace(s, test=body(s.test), body=body(s.body)))
            elif isinstance(s, If):
                made.append(replace(s, then=body(s.then), orelse=body(s.orelse)))
            else:
                made.append(s)
        return made

    return replace(fn, body=body(fn.body))


def _of_factor(s: Intrinsic, arithmetic: Arithmetic) -> list[Stmt]:
    (made,), (low, given) = s.outs, s.ins
    assert isinstance(made, Array) and isinstance(low, Array) and isinstance(given, Array)
    m = Matrices(made.dtype, arithmetic)
    m.clear(made)
    add_lower(m, made, cholesky_back(m, low, given))
    return m.out
