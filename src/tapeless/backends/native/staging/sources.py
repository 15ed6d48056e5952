"""What the functions of `itertools` go through, which they read earlier or later than Python's do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from tapeless.backends.native.nest import (
    Alloc,
    Array,
    Check,
    Intrinsic,
    Raise,
    Stmt,
    Store,
    Swap,
    walk,
)
from tapeless.backends.native.staging.base import Replay
from tapeless.backends.native.staging.builtin_iterables import emit
from tapeless.backends.native.staging.builtin_iterables import source as source_of
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.heap import is_object
from tapeless.backends.native.staging.iterables import Entries, Iter, Position
from tapeless.backends.native.staging.values import Growing, Sequence, Value, View

if TYPE_CHECKING:
    from tapeless.backends.native.staging.builtin_calls import Builtins

Made = TypeVar("Made")


def undisturbed(s: Builtins, make: Callable[[], Made]) -> Made:
    """What functions of the program make, which must not tell when, in what order and how often."""
    level, clock = s.heap.open(), s.heap.clock
    with s.collect() as body:
        found = make()
        ended = s.alive and s.block is s.tip(body)
    held = s.heap.levels[level].values()
    changed = [o for o, _ in held if s.heap.age(o) <= clock and not isinstance(o, Position)]
    s.heap.close(level)
    mine = {x.array for x in walk(body) if isinstance(x, Alloc)}
    effects = any(tells(s, x, mine) for x in walk(body))
    if changed or effects or not ended:
        s.refuse("what itertools goes through changes something, or may raise", "make a list of it")
    emit(s, body)
    return found


def tells(s: Builtins, stmt: Stmt, mine: set[Array]) -> bool:
    """Whether the program can tell when a statement is carried out; some arrays are new."""
    if isinstance(stmt, Check):
        return s.failures[stmt.failure].type is not Replay
    if isinstance(stmt, Store):
        return stmt.array.root not in mine
    return isinstance(stmt, (Raise, Intrinsic, Swap))


def source(s: Builtins, items: Value, live: bool = False, at_once: bool = False) -> Callable[[], Iteration]:
    """What is gone through, when it is asked; items may be made at once, again, or not at all.

    So it must stay what it is meanwhile; but elements of arrays can be read when they are needed (`live`),
    and a list as it is now, if Python reads it `at_once`, too.
    """
    if at_once and isinstance(items, Sequence) and is_object(items):
        now = list(items.items)
        return lambda: Iteration(now)
    inner = source_of(s, items)

    if not isinstance(items, Iter):
        if isinstance(items, Growing):
            for column in items.columns:
                s.keep(column.root)
        elif isinstance(items, View) and items.ndim == 1 and not live:
            s.keep(items.array.root)
        elif isinstance(items, Entries):
            s.keep(items.owner)
        elif is_object(items):
            s.keep(items)
        return inner

    def make() -> Iteration:
        it = undisturbed(s, inner)
        item = it.item
        if item is None:
            return it
        return Iteration(None, it.length, lambda i: undisturbed(s, lambda: item(i)), it.bounds)

    return make
