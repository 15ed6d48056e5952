"""Stores over elements that nothing before them needs: the reverse sweep does without their old values.

`L[i, j] = s / L[j, j]` overwrites an element that no earlier derivative reads: those are of columns before.
The program is walked in order, as `independence` does: what adjoints read earlier, in the same iteration of
the loops around or in one before, must be apart from what is stored now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tapeless.backends.native.activity import Name
from tapeless.backends.native.independence import PAIRS, Access, Values, collect, distinct, note
from tapeless.backends.native.nest import (
    I64,
    Array,
    Assign,
    Check,
    For,
    Intrinsic,
    Load,
    Scalar,
    Stmt,
    Store,
    Swap,
    While,
    children,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.polynomials import Facts, constant, frozen, plus

Found = dict[object, Access]


def unneeded(
    body: list[Stmt],
    stores: Collection[int],
    adjoints: Mapping[int, list[Stmt]],
    again: Mapping[Scalar, Assign],
    several: Collection[Name],
    back: Mapping[int, list[Stmt]],
) -> set[int]:
    """Those of `stores` (by id) whose old element nothing before them needs.

    `adjoints` read it, the definitions that are computed `again`, and what reads `back` what a store gave.
    """
    return _unmet(_Search, body, stores, adjoints, again, several, back)


def _unmet(
    kind: type[_Search],
    body: list[Stmt],
    stores: Collection[int],
    adjoints: Mapping[int, list[Stmt]],
    again: Mapping[Scalar, Assign],
    several: Collection[Name],
    back: Mapping[int, list[Stmt]],
) -> set[int]:
    whole: set[Name] = set(several)
    for s in (*walk(body), *(x for code in adjoints.values() for x in walk(code))):
        if isinstance(s, Swap):
            whole |= {s.a.root, s.b.root}
    for s in (x for code in adjoints.values() for x in walk(code)):
        if isinstance(s, Intrinsic):
            whole |= {x.root for x in (*s.ins, *s.outs) if isinstance(x, Array)}
    mine = {
        id(s)
        for s in walk(body)
        if isinstance(s, Store) and id(s) in stores and s.array.root not in whole and s.array.alias is None
    }
    if not mine:
        return set()
    search = kind(mine, adjoints, again, body, back)
    search.body(body, {})
    return mine - search.needed


def first(body: list[Stmt], stores: Collection[int], apart: Collection[Name]) -> set[int]:
    """Those of `stores` (by id) before which nothing in `body` touches the element; not of arrays `apart`."""
    used = {id(s): [s] for s in walk(body) if not children(s)}
    return _unmet(_First, body, stores, used, {}, apart, {})


class _Search:
    def __init__(
        self,
        stores: set[int],
        adjoints: Mapping[int, list[Stmt]],
        again: Mapping[Scalar, Assign],
        body: list[Stmt],
        back: Mapping[int, list[Stmt]],
    ) -> None:
        self.stores, self.adjoints, self.again, self.back = stores, adjoints, again, back
        self.arrays = {s.array.root for s in walk(body) if isinstance(s, Store) and id(s) in stores}
        self.values = Values()
        self.facts: dict[object, Facts] = {}
        self.needed: set[int] = set()

    def body(self, body: list[Stmt], before: Found) -> None:
        """Finds the stores of a body over what it or something `before` needs."""
        before = dict(before)
        for s in body:
            self.meet(s, before)
            bodies = children(s)
            if any(id(x) in self.stores - self.needed for inner in bodies for x in walk(inner)):
                if isinstance(s, (For, While)):
                    self.iterations(s)
                turn = self.values.unknowns.fresh(True) if isinstance(s, For) else None
                for inner in bodies:
                    with self.values.inside(s, inner, turn):
                        self.body(inner, before)
            if bodies:
                self.reads([s], before)
            else:
                self.values.passed(s)

    def meet(self, s: Stmt, before: Found) -> None:
        """Compares a store with what is needed before it, its own adjoint included."""
        self.reads([s], before, inner=False)
        if isinstance(s, Store) and id(s) in self.stores:
            self.compare(before.values(), s)
        if not children(s):
            self.read_back(s, before)

    def read_back(self, s: Stmt, found: Found) -> None:
        collect(self.back.get(id(s), []), self.values, self.arrays, found)

    def iterations(self, s: For | While) -> None:
        """Compares what an iteration needs with what a later one stores."""
        unknowns = self.values.unknowns
        first = second = None
        if isinstance(s, For):
            first = unknowns.fresh(True)
            second = plus(plus(first, constant(1)), unknowns.fresh(True))
        early: Found = {}
        bodies = children(s)
        for inner in bodies:
            with self.values.inside(s, inner, first):
                self.reads(inner, early)
        if early:
            for inner in bodies:
                with self.values.inside(s, inner, second):
                    self.late(inner, list(early.values()))

    def late(self, body: list[Stmt], early: list[Access]) -> None:
        for s in body:
            if isinstance(s, Store) and id(s) in self.stores:
                self.compare(early, s)
            for inner in children(s):
                with self.values.inside(s, inner):
                    self.late(inner, early)
            if not children(s):
                self.values.passed(s)

    def compare(self, early: Iterable[Access], s: Store) -> None:
        if id(s) in self.needed:
            return
        found: Found = {}
        note(s.array, s.index, True, self.values, self.arrays, found)
        (at,) = found.values()
        early = [x for x in early if x.array.root is s.array]
        if len(early) > PAIRS or not all(distinct(x, at, self.known(x, at)) for x in early):
            self.needed.add(id(s))

    def known(self, a: Access, b: Access) -> Facts:
        both = [*a.facts, *b.facts]
        key = frozenset(map(frozen, both))
        if key not in self.facts:
            self.facts[key] = Facts(self.values.unknowns, both)
        return self.facts[key]

    def reads(self, body: list[Stmt], found: Found, inner: bool = True) -> None:
        """The elements that the reversal of a body needs."""
        values = self.values
        for s in body:
            collect(self.adjoints.get(id(s), []), values, self.arrays, found)
            for x in self.evaluated(s):
                note(x.array, x.index, False, values, self.arrays, found)
            if not inner:
                continue
            for block in children(s):
                with values.inside(s, block):
                    self.reads(block, found)
            if not children(s):
                self.read_back(s, found)
                values.passed(s)

    def evaluated(self, s: Stmt) -> list[Load]:
        """The elements that a statement itself reads, and reads again in the reverse sweep."""
        if isinstance(s, Store):
            read = s.index
        elif isinstance(s, Assign) and s.var.type != I64 and self.again.get(s.var) is not s:
            read = ()  # an integer may be undone, which reads what was added
        else:
            read = () if isinstance(s, (Check, Intrinsic)) else expressions(s)
        return [x for e in read for x in leaves(e) if isinstance(x, Load)]


class _First(_Search):
    """A store and what comes before it, without the store itself."""

    def meet(self, s: Stmt, before: Found) -> None:
        if isinstance(s, Store) and id(s) in self.stores:
            self.compare(before.values(), s)
        self.reads([s], before, inner=False)
