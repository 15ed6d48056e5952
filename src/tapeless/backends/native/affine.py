"""Integer expressions as sums of multiples, and what is known of their range.

Loops and lengths bound the indices of scientific programs: `for i in range(1, n - 1)` says that `u[i + 1]`
is in range.  `Ranges` proves such inequalities by putting the bound of each variable in its place, innermost
loop first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tapeless.backends.native.nest import (
    COMPARISONS,
    I64,
    ZERO,
    Apply,
    Const,
    Dim,
    Expr,
    Ref,
    Scalar,
    apply,
    const,
)

#: atom -> coefficient; the constant stands at None.  Atoms without a coefficient are left out.
Affine = dict[Expr | None, int]
Key = tuple[int, frozenset[tuple[Expr | None, int]]]
#: How many sums a proof may look at, and how many facts it may put together.
STEPS, FACTS = 100, 3


def affine(e: Expr) -> Affine:
    """`e` as a sum of multiples of atoms: variables, lengths, and whatever is not a sum itself."""
    if isinstance(e, Const):
        return {None: int(e.value)} if e.value else {}
    if isinstance(e, Apply) and e.type == I64:
        if e.op in ("add", "sub"):
            return plus(affine(e.args[0]), affine(e.args[1]), 1 if e.op == "add" else -1)
        if e.op == "neg":
            return plus({}, affine(e.args[0]), -1)
        if e.op == "mul":
            for a, b in (e.args, e.args[::-1]):
                if isinstance(a, Const):
                    return plus({}, affine(b), int(a.value))
    return {e: 1}


def plus(a: Affine, b: Affine, times: int = 1) -> Affine:
    """a + times·b."""
    total = dict(a)
    for atom, c in b.items():
        total[atom] = total.get(atom, 0) + times * c
    return {atom: c for atom, c in total.items() if c}


def expression(a: Affine) -> Expr:
    """The shortest expression of a sum, the same for the same sum."""
    total: Expr = ZERO
    for atom, c in sorted(((k, v) for k, v in a.items() if k is not None), key=lambda kv: kv[1] < 0):
        term = atom if abs(c) == 1 else apply("mul", atom, abs(c))
        if total == ZERO:
            total = term if c > 0 else apply("neg", term)
        else:
            total = apply("add" if c > 0 else "sub", total, term)
    return apply("add", total, const(a.get(None, 0)))


def simplify(e: Expr) -> Expr:
    """An integer expression in the form that equal sums share: `(n - 1) - (1 + 0)` is `n - 2`."""
    return expression(affine(e)) if e.type == I64 else e


class Ranges:
    """Facts about integers at a place of a nest."""

    def __init__(self) -> None:
        self.bounds: dict[Scalar, tuple[Expr, Expr]] = {}
        """Loop variable -> its least and its greatest value."""
        self.definitions: dict[Scalar, Expr] = {}
        """Scalars that are assigned once, at a place that comes before every use -> their value."""
        self.facts: list[Affine] = []
        """Sums known not to be negative here."""
        self.always: list[Affine] = []
        """Sums known not to be negative anywhere."""
        self.decide: Callable[[Affine], bool] | None = None
        """Makes it so that a sum is never negative, if it can: asked where nothing is known."""

    @contextmanager
    def loop(self, var: Scalar, start: Expr, stop: Expr, step: int) -> Iterator[None]:
        """Inside `for var in range(start, stop, step)`, which is not empty then."""
        low, high = (start, stop - 1) if step > 0 else (stop + 1, start)
        if step > 0 and isinstance(stop, Apply) and stop.op == "maximum":
            for clamped, limit in (stop.args, stop.args[::-1]):
                if isinstance(limit, Const) and self.proves(apply("ge", start, limit)):
                    high = clamped - 1  # there is an iteration, so the length was not clamped
        count = len(self.facts)
        self.facts.append(plus(affine(high), affine(low), -1))
        self.bounds[var] = (low, high)
        try:
            yield
        finally:
            del self.bounds[var], self.facts[count:]

    @contextmanager
    def where(self, condition: Expr, holds: bool = True) -> Iterator[None]:
        """Inside a branch taken if `condition` holds (or does not)."""
        count = len(self.facts)
        self.facts.extend(self.implied(condition, holds))
        try:
            yield
        finally:
            del self.facts[count:]

    def implied(self, condition: Expr, holds: bool) -> list[Affine]:
        """Sums that are not negative where a condition holds (or does not): i != 0 says i > 0 if i >= 0."""
        if isinstance(condition, Apply) and condition.op == "not":
            return self.implied(condition.args[0], not holds)
        if isinstance(condition, Apply) and condition.op == ("all" if holds else "any"):
            return [f for part in condition.args for f in self.implied(part, holds)]
        if not (isinstance(condition, Apply) and condition.op == ("ne" if holds else "eq")):
            return _facts(condition, holds)
        if condition.args[0].type != I64:
            return []
        a, b = map(affine, condition.args)
        decide, self.decide = self.decide, None
        known = [d for d in (plus(a, b, -1), plus(b, a, -1)) if self.nonnegative(d)]
        self.decide = decide
        return [plus(d, {None: -1}) for d in known]

    def proves(self, condition: Expr) -> bool:
        """Whether a comparison of integers, or a conjunction of such, certainly holds."""
        if isinstance(condition, Const):
            return bool(condition.value)
        if isinstance(condition, Apply) and condition.op == "all":
            return all(map(self.proves, condition.args))
        if isinstance(condition, Apply) and condition.op == "ne" and condition.args[0].type == I64:
            a, b = map(affine, condition.args)
            return any(self.nonnegative(plus(plus(x, y, -1), {None: -1})) for x, y in ((a, b), (b, a)))
        wanted = _facts(condition, True)
        return bool(wanted) and all(map(self.nonnegative, wanted))

    def nonnegative(self, a: Affine) -> bool:
        """Whether a sum is certainly at least 0, as far as a search of `STEPS` steps can tell."""
        if _plainly(a) or any(_plainly(plus(a, fact, -1)) for fact in (*self.always, *self.facts)):
            return True
        if self.decide is not None and self.decide(a):
            return True
        return self._proof(a, FACTS, set(), False) or (
            self.decide is not None and self._proof(a, FACTS, set(), True)
        )

    def _proof(self, a: Affine, facts: int, seen: set[Key], deciding: bool) -> bool:
        if _plainly(a):
            return True
        key = (facts, frozenset(a.items()))
        if key in seen or len(seen) >= STEPS:
            return False
        seen.add(key)
        if deciding and self.decide is not None and self.decide(a):
            return True
        for atom, better in self._bounded(a):
            rest = {k: v for k, v in a.items() if k is not atom}
            if any(self._proof(plus(rest, affine(b), a[atom]), facts, seen, deciding) for b in better):
                return True
        if facts:
            for fact in (*self.facts, *self.always):
                # a fact is of use if it takes away something negative, or of unknown sign
                if any(a.get(k, 0) * c > 0 and (c < 0 or isinstance(k, Ref)) for k, c in fact.items()):
                    if self._proof(plus(a, fact, -1), facts - 1, seen, deciding):
                        return True
        return False

    def _bounded(self, a: Affine) -> Iterable[tuple[Expr, tuple[Expr, ...]]]:
        """The atom to replace first, and what makes the sum no greater in its place."""
        for var in reversed(self.bounds):
            atom = Ref(var)
            for key, c in a.items():
                if key == atom:
                    assert key is not None
                    return [(key, (self.bounds[var][0 if c > 0 else 1],))]
        found: list[tuple[Expr, tuple[Expr, ...]]] = []
        for key, c in a.items():
            if isinstance(key, Ref) and key.var in self.definitions:
                return [(key, (self.definitions[key.var],))]
            if isinstance(key, Dim) and c > 0:
                found.append((key, (ZERO,)))
            elif isinstance(key, Apply) and key.op == ("maximum" if c > 0 else "minimum"):
                found.append((key, key.args))
            elif isinstance(key, Apply) and key.op == "mod" and isinstance(key.args[1], Const) and c > 0:
                found.append((key, (ZERO,)))
        return found


def _plainly(a: Affine) -> bool:
    """Whether a sum of lengths and a number has nothing negative in it."""
    return all(c >= 0 and (k is None or isinstance(k, Dim)) for k, c in a.items())


def _facts(condition: Expr, holds: bool) -> list[Affine]:
    """Sums that are not negative where a condition holds (or does not)."""
    if not isinstance(condition, Apply):
        return []
    if condition.op == "not":
        return _facts(condition.args[0], not holds)
    if condition.op == ("all" if holds else "any"):
        return [f for part in condition.args for f in _facts(part, holds)]
    if condition.op not in COMPARISONS or condition.args[0].type != I64:
        return []
    a, b = map(affine, condition.args)
    op = condition.op if holds else NOT[condition.op]
    less, more = plus(b, a, -1), plus(a, b, -1)
    return {
        "le": [less],
        "lt": [plus(less, {None: -1})],
        "ge": [more],
        "gt": [plus(more, {None: -1})],
        "eq": [less, more],
        "ne": [],
    }[op]


#: The comparison that holds where another does not.
NOT = {"lt": "ge", "ge": "lt", "le": "gt", "gt": "le", "eq": "ne", "ne": "eq"}
