"""How a place is carried from one iteration to the next, or an item is kept in a list that grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Spec:
    """How a place is carried.

    `how`: "kept" (it does not change), "number", "complex", "array", "sequence", "object", "maybe" (bound
    only sometimes; `parts` has one), "known" (one of several objects, `names`), "one" (of those, and of
    texts; see `alternatives`), "conflict" (never read), "range", "slice".  `names` of a number are the other
    classes that it may have.
    """

    how: str
    kind: Any = None
    parts: tuple[Spec, ...] = ()
    names: tuple[Any, ...] = ()


KEPT, CONFLICT = Spec("kept"), Spec("conflict")
