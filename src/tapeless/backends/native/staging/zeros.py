"""Strong zeros (0·∞ = 0) cost nothing until they are needed.

Derivatives are computed with plain products.  0·∞ is NaN, and NaN survives linear arithmetic, so a result
without one is right already; where there is one, the whole call is made again by a version that is careful.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tapeless.backends.native import own
from tapeless.backends.native.forward import forward
from tapeless.backends.native.kernel import Careful
from tapeless.backends.native.nest import (
    BOOL,
    FALSE,
    FLOATS,
    ZERO,
    Array,
    Assign,
    Check,
    Dim,
    Expr,
    For,
    Function,
    Load,
    Ref,
    Scalar,
    Stmt,
    apply,
)
from tapeless.backends.native.reverse import Halves, halves

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def derivative(
    stager: Stager, transform: Callable[..., Function], fn: Function, wrt: Sequence[int], watched: bool = True
) -> Function:
    """`transform(fn, wrt)` (`reverse` or `forward`), with the user's rules and what sees to its zeros."""
    if stager.own_rules:
        fn = own.marked(fn, wrt, None if transform is forward else (0,))
    made = transform(fn, wrt, strong_zeros=stager.careful)
    if stager.own_rules:
        made.body = own.released(made.body)
    if watched:
        made.body.extend(watch(stager, made.results[len(fn.results) :]))
    return made


def reversal(stager: Stager, fn: Function, wrt: Sequence[int], seeds: Sequence[int]) -> Halves:
    """`halves(fn, wrt, seeds)`, with the rules of the user."""
    if stager.own_rules:
        fn = own.marked(fn, wrt, seeds)
    made = halves(fn, wrt, seeds, strong_zeros=stager.careful)
    if stager.own_rules:
        made.forward, made.backward = own.released(made.forward), own.released(made.backward)
    return made


def primal(stager: Stager, fn: Function, wrt: Sequence[int]) -> list[Stmt]:
    """The body of what has a derivative in forward mode, as that leaves it for derivatives around it."""
    return own.released(own.marked(fn, wrt, None).body) if stager.own_rules else fn.body


def watch(stager: Stager, results: Sequence[Scalar | Array]) -> list[Stmt]:
    """The call is given up if a derivative among `results` is, or has, a NaN (and has not been careful)."""
    floats = [r for r in results if (r.element if isinstance(r, Array) else r.type) in FLOATS]
    found, check = watched(stager)
    if found is None or not floats:
        return []
    return [Assign(found, FALSE), *(s for r in floats for s in _look(r, found)), *check]


def watched(stager: Stager) -> tuple[Scalar | None, list[Stmt]]:
    """A flag that says whether a NaN was seen, and its check; None if the call has been careful."""
    if stager.careful:
        return None, []
    found = stager.scalar(BOOL, "lost")
    failure = stager.failure(Careful, "a derivative is not a number")
    return found, [Check(apply("not", Ref(found)), failure)]


def _look(r: Scalar | Array, found: Scalar) -> list[Stmt]:
    """`found` becomes true if a result is, or has, a NaN."""
    index = [Scalar("ijklmnpq"[min(k, 7)], "i64") for k in range(r.ndim if isinstance(r, Array) else 0)]
    item: Expr = Load(r, tuple(map(Ref, index))) if isinstance(r, Array) else Ref(r)
    body: list[Stmt] = [Assign(found, apply("any", Ref(found), apply("isnan", item)))]
    for k in reversed(range(len(index))):
        assert isinstance(r, Array)
        body = [For(index[k], ZERO, Dim(r, k), body)]
    return body
