"""Sums with what their terms have in common taken out.

    u[i] * c + u[i - 1] * c                     c * (u[i] + u[i - 1])
    u[i] + -(u[i] * c) * 2 + u[i] * x[i] * d    u[i] * (1 - 2 * c + d * x[i])

What a stencil multiplies once, its reversal would for each neighbour.  Any equal form is a derivative, but
only whole terms are put together: a difference that is a factor stays, as its parts may nearly cancel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from tapeless.backends.native.nest import Apply, Const, Expr, apply, const

Product = tuple[Expr, ...]
#: Products of what does not change -> how often they are in a sum.
Coefficient = dict[Product, float]
#: A product of what changes, and its coefficient.
Term = tuple[Product, Coefficient]


def collected(terms: Iterable[Expr], steady: Callable[[Expr], bool]) -> Expr:
    """The sum of some floats, at least one; `steady` tells what does not change in the loop."""
    given = list(terms)
    found: dict[Product, Coefficient] = {}
    for e, sign in _parts(given, 1.0):
        number, fixed, factors = sign, list[Expr](), list[Expr]()
        for x in _factors(e):
            if isinstance(x, Const):
                number *= x.value
            else:
                (fixed if steady(x) else factors).append(x)
        times = found.setdefault(_sorted(factors), {})
        key = _sorted(fixed)
        times[key] = times.get(key, 0.0) + number
    return Sums(given[0].type).sum(list(found.items()))


def _parts(es: Iterable[Expr], sign: float) -> Iterator[tuple[Expr, float]]:
    """The terms of sums, with their signs."""
    for e in es:
        if isinstance(e, Apply) and e.op in ("add", "sub"):
            yield from _parts(e.args[:1], sign)
            yield from _parts(e.args[1:], sign if e.op == "add" else -sign)
        elif isinstance(e, Apply) and e.op == "neg":
            yield from _parts(e.args, -sign)
        else:
            yield e, sign


def _factors(e: Expr) -> Iterator[Expr]:
    if isinstance(e, Apply) and e.op == "mul":
        for x in e.args:
            yield from _factors(x)
    elif isinstance(e, Apply) and e.op == "neg":
        yield const(-1, e.type)
        yield from _factors(e.args[0])
    else:
        yield e


def _sorted(es: list[Expr]) -> Product:
    """In an order that equal products share."""
    return tuple(sorted(es, key=repr)) if len(es) > 1 else tuple(es)


class Sums:
    """Writes sums of terms, of one type."""

    def __init__(self, type: str) -> None:
        self.type = type

    def sum(self, terms: list[Term]) -> Expr:
        """Terms that share a factor are written together, then those that share a coefficient."""
        parts: list[tuple[Expr, float]] = []
        while terms:
            count = Counter(x for factors, _ in terms for x in dict.fromkeys(factors))
            common, most = max(count.items(), key=lambda item: item[1], default=(None, 0))
            if common is None or most < 2:
                break
            inside = [(_without(f, common), times) for f, times in terms if common in f]
            parts.append((apply("mul", common, self.sum(inside)), 1.0))
            terms = [(f, times) for f, times in terms if common not in f]
        coefficients: dict[frozenset[tuple[Product, float]], Coefficient] = {}
        alike: dict[frozenset[tuple[Product, float]], list[tuple[Product, float]]] = {}
        for factors, times in terms:
            times = {fixed: n for fixed, n in times.items() if n}
            if times:
                sign = -1.0 if next(iter(times.values())) < 0 else 1.0
                key = frozenset((fixed, sign * n) for fixed, n in times.items())
                alike.setdefault(key, []).append((factors, sign))
                coefficients.setdefault(key, {fixed: sign * n for fixed, n in times.items()})
        for key, several in alike.items():
            coefficient = [(self.product(fixed, abs(n)), n) for fixed, n in coefficients[key].items()]
            same = several[0][1] if len({sign for _, sign in several}) == 1 else 1.0
            inner = self.total([(self.product(f, 1.0), sign * same) for f, sign in several])
            parts.append((_times(self.total(coefficient), inner), same))
        return self.total(parts)

    def product(self, factors: Product, number: float) -> Expr:
        made: Expr = const(number, self.type)
        for x in factors:
            made = _times(made, x)
        return made

    def total(self, parts: Sequence[tuple[Expr, float]]) -> Expr:
        """The sum of expressions times 1 or -1 (by their signs)."""
        total: Expr | None = None
        for e, sign in sorted(parts, key=lambda part: part[1] < 0):
            if total is None:
                total = e if sign > 0 else apply("neg", e)
            else:
                total = apply("add" if sign > 0 else "sub", total, e)
        return const(0, self.type) if total is None else total


def _times(a: Expr, b: Expr) -> Expr:
    """a times b; a number stands first, and -1 is no factor."""
    if isinstance(b, Const):
        a, b = b, a
    return apply("neg", b) if isinstance(a, Const) and a.value == -1 else apply("mul", a, b)


def _without(factors: Product, one: Expr) -> Product:
    at = factors.index(one)
    return factors[:at] + factors[at + 1 :]
