"""Integers as polynomials in what is not known, and proofs that one is never negative.

Indices of scientific programs are sums and products of loop variables and lengths: `i*n + j` with `j` below
`n`.  Unknowns are numbered; those that cannot be negative are known to be so.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

#: The numbers of unknowns multiplied, in order -> coefficient; the constant stands at ().
Poly = dict[tuple[int, ...], int]


def constant(c: int) -> Poly:
    return {(): c} if c else {}


def plus(a: Poly, b: Poly, times: int = 1) -> Poly:
    """a + times·b."""
    total = dict(a)
    for term, c in b.items():
        total[term] = total.get(term, 0) + times * c
    return {term: c for term, c in total.items() if c}


def product(a: Poly, b: Poly) -> Poly:
    total: Poly = {}
    for s, c in a.items():
        for t, d in b.items():
            term = tuple(sorted(s + t))
            total[term] = total.get(term, 0) + c * d
    return {term: c for term, c in total.items() if c}


def split(p: Poly, x: int) -> tuple[Poly, Poly]:
    """`(q, r)` with p = q·x + r, and no x in r."""
    times: Poly = {}
    rest: Poly = {}
    for term, c in p.items():
        if x in term:
            k = term.index(x)
            times[term[:k] + term[k + 1 :]] = c
        else:
            rest[term] = c
    return times, rest


def replaced(p: Poly, x: int, by: Poly) -> Poly:
    """`p` with another polynomial in the place of an unknown."""
    times, rest = split(p, x)
    while times:
        more, same = split(times, x)
        rest = plus(rest, product(same, by))
        times = product(more, by)
    return rest


def frozen(p: Poly) -> frozenset[tuple[tuple[int, ...], int]]:
    return frozenset(p.items())


class Unknowns:
    """Numbers unknowns, the same for the same key."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}
        #: those that are at least 0
        self.positive: set[int] = set()
        #: x -> p where x = max(p, 0)
        self.clamped: dict[int, Poly] = {}
        self.count = 0

    def fresh(self, positive: bool = False) -> Poly:
        self.count += 1
        if positive:
            self.positive.add(self.count)
        return {(self.count,): 1}

    def of(self, key: Hashable, positive: bool = False) -> Poly:
        if key not in self.numbers:
            self.fresh(positive)
            self.numbers[key] = self.count
        return {(self.numbers[key],): 1}

    def clamp(self, p: Poly) -> Poly:
        """max(p, 0)."""
        if self.plain(p):
            return p
        if not any(term for term in p):
            return {}
        made = self.of(("clamped", frozen(p)), True)
        self.clamped[next(iter(made))[0]] = p
        return made

    def plain(self, p: Poly) -> bool:
        """Whether nothing in `p` is negative."""
        return all(c >= 0 and self.positive.issuperset(term) for term, c in p.items())


class Facts:
    """Polynomials that are not negative, made use of by writing unknowns as others plus what is left over."""

    def __init__(self, unknowns: Unknowns, facts: Iterable[Poly]) -> None:
        self.unknowns = unknowns
        self.steps: list[tuple[int, Poly]] = []
        for fact in facts:
            self.learn(self.normal(fact))

    def normal(self, p: Poly) -> Poly:
        for x, by in self.steps:
            p = replaced(p, x, by)
        return p

    def learn(self, fact: Poly) -> None:
        unknowns = self.unknowns
        if unknowns.plain(fact):
            return
        for term, c in fact.items():  # max(p, 0) - 1 >= 0 says that the maximum is p
            if len(term) == 1 and c > 0 and term[0] in unknowns.clamped:
                rest = {t: d for t, d in fact.items() if t != term}
                if all(t == () and d < 0 for t, d in rest.items()):
                    by = self.normal(unknowns.clamped[term[0]])
                    self.steps.append((term[0], by))
                    self.learn(plus(rest, by, c))
                    return
        found = [t[0] for t, c in fact.items() if len(t) == 1 and c == 1]
        for x in sorted(found, key=lambda x: x in unknowns.positive):
            times, rest = split(fact, x)
            minus = plus({}, rest, -1)
            if times == {(): 1} and (x not in unknowns.positive or unknowns.plain(minus)):
                self.steps.append((x, plus(minus, unknowns.fresh(True))))
                break
        for x, p in list(unknowns.clamped.items()):
            p = self.normal(p)
            if unknowns.plain(p) and all(x != y for y, _ in self.steps) and all(x not in t for t in p):
                self.steps.append((x, p))

    def positive(self, p: Poly) -> bool:
        """Whether `p` is certainly at least 0."""
        return self.unknowns.plain(p) or self.unknowns.plain(self.normal(p))

    def least(self, p: Poly, ranges: Iterable[tuple[int, Poly]]) -> Poly:
        """A lower bound of `p`: unknowns from 0 up to a bound are put at the end where it is smaller."""
        for x, top in ranges:
            times, rest = split(p, x)
            if times and self.positive(times):
                p = rest if all(x not in t for t in times) else p
            elif times and self.positive(plus({}, times, -1)) and all(x not in t for t in times):
                p = plus(rest, product(times, top))
        return p
