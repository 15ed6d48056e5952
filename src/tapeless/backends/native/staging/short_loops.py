"""Loops of a few known iterations: staged one by one, unless loops inside loops make too many copies.

`for i in range(3)` is worth taking apart, as its counter then says which item of a list or tuple is
meant.  Six such loops one in the other are not: staging begins again, and keeps all but the innermost
two as loops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tapeless.backends.native.nest import const
from tapeless.backends.native.staging.values import Range, Static, Value
from tapeless.program.ir import Op

#: So many operations may be staged in loops that are at least `DEEP` inside each other.
COPIES = 600
DEEP = 3


class NeedsRolling(Exception):
    """Staging has to begin again with these loops as loops."""

    def __init__(self, keys: set[Any]) -> None:
        super().__init__("loops inside loops, of few iterations each")
        self.keys = keys


class ShortLoops:
    """Those that are being staged one by one, from outside in."""

    def __init__(self, kept: set[Any] | None = None, limit: bool = True) -> None:
        self.kept = set() if kept is None else kept
        """The loops that stay loops."""
        self.limit = limit
        self.chain: list[Any] = []
        self.copies = 0

    def taken(self, value: Value, key: Any) -> bool:
        """Whether a loop goes through a range that is known and does not stay a loop."""
        return isinstance(value, Static) and isinstance(value.obj, range) and key not in self.kept

    def as_loop(self, value: Value, key: Any) -> Value:
        """What a loop goes through; its counter is not known if the loop stays one."""
        if key not in self.kept or not isinstance(value, Static) or not isinstance(value.obj, range):
            return value
        return Range(const(value.obj.start), const(value.obj.stop), value.obj.step)

    @contextmanager
    def inside(self, op: Op, key: Any, value: Value) -> Iterator[None]:
        """While a loop is staged."""
        if not self.taken(value, key):
            yield
            return
        assert isinstance(value, Static)
        self.copies = self.copies * bool(self.chain) + len(value.obj) * len(op.blocks[0].ops)
        self.chain.append(key)
        outer = set(self.chain[: 1 - DEEP])
        if self.limit and len(self.chain) >= DEEP and self.copies > COPIES and not outer <= self.kept:
            raise NeedsRolling(outer)
        try:
            yield
        finally:
            self.chain.pop()
