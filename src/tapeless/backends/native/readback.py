"""Scalars that are read back, in the reverse sweep, from the element in which the program has put them.

    for i in range(n):
        q = x[i] / d
        x[i] = q

The adjoint of the division reads q, which stands in x[i] still when the iteration is reversed: nothing need
be kept, provided that nothing else is saved for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapeless.backends.native.activity import Name
from tapeless.backends.native.nest import FLOATS, Assign, Load, Ref, Scalar, Stmt, Store, walk
from tapeless.backends.native.scopes import Block, names, written

if TYPE_CHECKING:
    from tapeless.backends.native.needed import Needed


class ReadBack:
    """What is read back: scalars with the stores after which elements hold them."""

    def __init__(self, needed: Needed) -> None:
        self.needed = needed
        self.stores: dict[Scalar, Store] = {}
        #: for each of these stores (by id), what reads the element at the end of its block
        self.reads: dict[int, list[Stmt]] = {}

    def choose(self) -> None:
        """Reads back what is kept now, where nothing else is saved for that."""
        needed, found = self.needed, self._found()
        if not found:
            return
        kept, saved, free, late = set(needed.kept), set(needed.saved), needed.free, needed.late
        while True:
            self._install(found, late)
            arrays = {s.array for s in found.values()}
            over = {id(s) for s in walk(needed.scopes.top.body) if isinstance(s, Store) and s.array in arrays}
            needed.free = needed.unneeded(free | over) if found else free
            needed.restart()
            more = (needed.kept - kept) | {x for _, x in needed.saved - saved}
            if not more:
                return
            found = {x: s for x, s in found.items() if s.array not in more} if more & arrays else {}

    def at_end(self, block: Block) -> list[Scalar]:
        """The scalars that are read back when a block begins to be reversed."""
        return [x for x in self.stores if self.needed.scopes.home[x] is block]

    def _install(self, found: dict[Scalar, Store], late: set[Scalar]) -> None:
        needed = self.needed
        for x in self.stores:
            del needed.recomputable[x]
        self.stores, self.reads = found, {}
        for x, s in found.items():
            made = needed.recomputable[x] = Assign(x, Load(s.array, s.index), line=s.line)
            self.reads.setdefault(id(s), []).append(made)
        needed.late = late | needed.following(set(found))

    def _found(self) -> dict[Scalar, Store]:
        """The scalars that are kept at the end of a block in which they are stored."""
        needed, scopes = self.needed, self.needed.scopes
        remade: set[Name] = {r.array for made in needed.remaking.before.values() for r in made}
        found: dict[Scalar, Store] = {}
        for block in scopes.blocks.values():
            kept = {x for x in scopes.residents[id(block.body)] if x in needed.kept and self._plain(x, block)}
            if not kept or not block.loops:
                continue
            changed = written(block.body)
            later: set[Name] = set()
            for s in reversed(block.body):
                if isinstance(s, Store) and isinstance(s.value, Ref) and s.value.var in kept and not s.add:
                    a = s.array
                    steady = changed.isdisjoint(y for i in s.index for y in names(i))
                    whole = a.alias is None and a not in needed.growing and a not in needed.several
                    if steady and whole and a not in later | remade and scopes.home[a] is not block:
                        found.setdefault(s.value.var, s)
                later |= written([s])
        return found

    def _plain(self, x: Name, block: Block) -> bool:
        """Whether a float is assigned in one statement of a block, and no storage depends on it."""
        needed = self.needed
        made = needed.scopes.definitions.get(x, []) if isinstance(x, Scalar) else []
        if not isinstance(x, Scalar) or x.type not in FLOATS or len(made) != 1:
            return False
        if not isinstance(made[0], Assign):  # an intrinsic gives it
            return False
        after = needed.following({x})
        return needed.scopes.block_of[id(made[0])] is block and all(y.type in FLOATS for y in after)
