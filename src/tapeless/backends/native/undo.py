"""A call that asks for strong zeros leaves its arguments as it found them.

So the fast derivatives (see `staging.zeros`) are for programs, too, that write into their arguments: the nest
copies those before it first writes them, and puts them back where a derivative has come out as NaN.
"""

from __future__ import annotations

from tapeless.backends.native.adjoint import fill
from tapeless.backends.native.kernel import Careful
from tapeless.backends.native.nest import (
    Alloc,
    Apply,
    Array,
    Check,
    Dim,
    Expr,
    Function,
    If,
    Load,
    Raise,
    Stmt,
    Swap,
    apply,
    children,
    walk,
)
from tapeless.backends.native.scopes import written


def can_undo(fn: Function) -> bool:
    """Whether every argument keeps its memory: a parameter that is swapped comes to name another one."""
    swapped = {a.root for s in walk(fn.body) if isinstance(s, Swap) for a in (s.a, s.b)}
    return swapped.isdisjoint(fn.params)


def undoing(fn: Function) -> None:
    """Let `fn` put its arguments back before it asks for strong zeros."""
    asks = {k for k, failure in enumerate(fn.failures) if failure.type is Careful}
    asking = [k for k, s in enumerate(fn.body) if any(_asks(x, asks) for x in walk([s]))]
    if not asking:
        return
    early = [written([s]) for s in fn.body[: asking[-1] + 1]]
    arrays = [p for p in fn.params if isinstance(p, Array) and any(p in changed for changed in early)]
    copies = {p: Array(f"{p.name}_before", p.dtype, p.ndim) for p in arrays}
    _put_back(fn.body, asks, [s for p, copy in copies.items() for s in _copied(p, copy)])
    # they may share memory, so all of them are copied before any is written
    first = next((k for k, changed in enumerate(early) if not changed.isdisjoint(arrays)), 0)
    made: list[Stmt] = []
    for p, copy in copies.items():
        made += [Alloc(copy, tuple(Dim(p, k) for k in range(p.ndim))), *_copied(copy, p)]
    fn.body[first:first] = made


def _asks(s: Stmt, asks: set[int]) -> bool:
    return isinstance(s, (Check, Raise)) and s.failure in asks


def _copied(target: Array, source: Array) -> list[Stmt]:
    shape = tuple(Dim(source, k) for k in range(source.ndim))
    return fill(target, shape, lambda index: Load(source, index))


def _not(e: Expr) -> Expr:
    return e.args[0] if isinstance(e, Apply) and e.op == "not" else apply("not", e)


def _put_back(body: list[Stmt], asks: set[int], restore: list[Stmt]) -> None:
    for k, s in enumerate(body):
        if isinstance(s, Check) and s.failure in asks and restore:
            body[k] = If(_not(s.condition), [*restore, Raise(s.failure)], line=s.line)
        for inner in children(s):
            _put_back(inner, asks, restore)
