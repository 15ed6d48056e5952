"""One sum of products of a nest, made before it or after it instead: see `products`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tapeless.backends.native.activity import Name
from tapeless.backends.native.affine import Affine, affine, expression, plus, simplify
from tapeless.backends.native.mirrored import Product
from tapeless.backends.native.nest import (
    FALSE,
    TRUE,
    Alloc,
    Apply,
    Array,
    Assign,
    Dim,
    Expr,
    For,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
    leaves,
    walk,
)
from tapeless.backends.native.panels import Domain, Window, clear, moved, window
from tapeless.backends.native.precedence import Access, Nest
from tapeless.backends.native.renaming import map_leaves, substituted
from tapeless.backends.native.scopes import names, touched, written


@dataclass(slots=True)
class Sum:
    """A statement that adds a product to an element or a scalar, in the innermost of three loops."""

    stmt: Stmt
    middle: For
    inner: For
    top: int
    value: Expr
    target: Array | Scalar
    index: tuple[Expr, ...] = ()
    last: Stmt | None = None
    """What adds the sum to the element, if it is first put into a scalar."""


@dataclass
class Change:
    """What becomes of the statements of a loop: some go, others come before them."""

    before: list[Stmt] = field(default_factory=list)
    after: list[Stmt] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)
    ahead: dict[int, list[Stmt]] = field(default_factory=dict)
    """Statements that come before the one of this id."""
    large: Expr = TRUE
    """Whether lengths are such that all this pays."""
    totals: dict[tuple[object, ...], Window] = field(default_factory=dict)
    """Products and factors that have a matrix of their own, by what they are of."""

    def add(self, other: Change) -> None:
        self.before += other.before
        self.after += other.after
        self.gone |= other.gone
        self.totals |= other.totals
        if other.large != self.large:
            self.large = apply("all", self.large, other.large)
        for k, body in other.ahead.items():
            self.ahead.setdefault(k, []).extend(body)


class _Impossible(Exception):
    """A sum stays where it is."""


class Move:
    """Takes one sum out of its nest."""

    def __init__(self, nest: Nest, s: Sum, before: Change) -> None:
        self.nest, self.sum, self.before = nest, s, before
        self.loops = (nest.outer, s.middle, s.inner)
        self.vars = {loop.var for loop in self.loops}
        self.type = s.target.type if isinstance(s.target, Scalar) else s.target.element
        self.change = Change()

    def made(self) -> Change | None:
        """Before the loop or after it, with the element itself; or the sum alone, before the loop."""
        ways = [self.early, self.late] if isinstance(self.sum.target, Array) else []
        for way in [*ways, *([] if self.sum.last else [self.apart])]:
            self.change = Change()
            try:
                way()
            except _Impossible:
                continue
            self.change.large = self.domain.large()
            self.change.gone |= {id(self.sum.stmt)} | ({id(self.sum.last)} if self.sum.last else set())
            return None if self.change.large == FALSE else self.change
        return None

    def need(self, condition: bool) -> None:
        if not condition:
            raise _Impossible

    # ---- the three ways

    def early(self) -> None:
        self.moved(later=False)

    def late(self) -> None:
        self.moved(later=True)

    def moved(self, *, later: bool) -> None:
        value = self.inlined(deep=not later)
        self.measure(value)
        x = self.target()
        products = [self.operands(list(_factors(e)), set(x.axes), later) for e in _terms(value)]
        self.need(self.nest.free(self.access(), ("load", "put"), later))
        made = [Product(self.domain, x, u, v) for u, v in products]
        (self.change.after if later else self.change.before).extend(made)

    def apart(self) -> None:
        s = self.sum
        value = self.inlined(deep=True)
        self.measure(value)
        outer, middle, inner = self.loops
        if isinstance(s.target, Scalar):
            self.need(Counter(mentions(inner.body))[s.target] == 2)
            total = Ref(s.target) + self.summed(value, outer.var, middle.var, inner)
            self.ahead(inner, [Assign(s.target, total)])
            return
        inside = [x for x in walk([middle]) if s.target.root in touched(x)]
        self.need(len(inside) == 1 and not any(x is s.target.root for e in s.index for x in names(e)))
        used = {x for e in s.index for x in names(self.nest.spelled(e))}
        self.need(inner.var in used)
        terms = self.summed(value, outer.var, inner.var, middle)
        self.ahead(middle, [self.along(inner, Store(s.target, s.index, terms, add=True), used)])

    def ahead(self, loop: For, body: list[Stmt]) -> None:
        """Statements before a loop, where it has an iteration: else indices may be out of range."""
        if self.guarded(loop):
            body = [If(apply("lt" if loop.step > 0 else "gt", loop.start, loop.stop), body)]
        self.change.ahead.setdefault(id(loop), []).extend(body)

    def guarded(self, loop: For) -> bool:
        return self.domain.slope is not None and self.domain.slope[0] is loop.var

    def along(self, inner: For, store: Store, used: set[Name]) -> For:
        """A loop like the innermost one, before the middle one, of which it uses nothing."""
        middle = self.sum.middle
        start, stop = self.nest.spelled(inner.start), self.nest.spelled(inner.stop)
        used = used | {x for e in (start, stop, *store.index) for x in names(e)}
        self.need(not used & {middle.var, *written([middle])} - {store.array.root})
        return For(inner.var, start, stop, [store], inner.step)

    def summed(self, value: Expr, a: Scalar, b: Scalar, over: For) -> Expr:
        """The sum over a loop, from matrices made before the nest; what is not summed over stands beside."""
        total: Expr | None = None
        for e in _terms(value):
            inside: list[Expr] = []
            beside: list[Expr] = []
            for f in _factors(e):
                mixed = over.var in self.walks(f) or {*names(f)} & written([over])
                (inside if mixed else beside).append(f)
            u, v = self.operands(inside, {a, b}, later=False)
            for f in beside:
                self.factor(f, later=False)
            made = self.total(u, v, a, b)
            term: Expr = Load(made.array, self.place(a, b))
            for f in beside:
                term = f * term
            total = term if total is None else total + term
        assert total is not None
        return total

    def total(self, u: Window, v: Window, a: Scalar, b: Scalar) -> Window:
        """The product of two matrices, before the nest; that of the same ones is made once."""
        integers = tuple((v, expression(rest)) for v, rest in self.rest.items())
        key = (a, b, integers, u.array, u.at(), v.array, v.at())
        for change in (self.change, self.before):
            if key in change.totals:
                return change.totals[key]
        made = self.matrix(a, b)
        self.change.before += clear(made.array, self.shape(made.array))
        self.change.before.append(Product(self.domain, made, u, v, own=True))
        self.change.totals[key] = made
        return made

    # ---- the parts of a product

    def inlined(self, *, deep: bool) -> Expr:
        """What is added, with the scalars of the innermost loop spelled out, or those of all three."""
        nest, s = self.nest, self.sum
        found: dict[Scalar, Expr] = {}
        parts = [(s.inner.body, s.stmt)]
        if deep:
            parts = [(nest.outer.body, s.middle), (s.middle.body, s.inner), *parts]
        for body, end in parts:
            for x in body:
                if x is end:
                    break
                if isinstance(x, Assign) and nest.assigned[x.var] == 1:
                    found[x.var] = substituted(x.value, found)
        value = nest.spelled(substituted(s.value, found))
        self.need(deep or not written(s.inner.body) & set(names(value)))
        return value

    def access(self) -> Access:
        s = self.sum
        assert isinstance(s.target, Array)
        loops = (s.middle,) if s.last is not None else (s.middle, s.inner)
        return Access(s.target, s.index, "add", loops, s.top)

    def measure(self, value: Expr) -> None:
        """Names the three integers that indices are made of, and finds where they are."""
        nest = self.nest
        indices = [*self.sum.index, *(i for x in leaves(value) if isinstance(x, Load) for i in x.index)]
        sums = [affine(nest.spelled(i)) for i in indices]
        self.rest: dict[Scalar, Affine] = {}
        outside: list[Scalar] = []
        for loop in self.loops:
            along: list[Affine] = [
                {k: c for k, c in e.items() if isinstance(k, Ref) and k.var in outside}
                for e in sums
                if e.get(Ref(loop.var)) == 1
            ]
            self.rest[loop.var] = next((r for r in along if r), {})
            outside.append(loop.var)
        self.back: dict[Scalar, Affine] = {}
        for v in outside:  # what the loop's own variable is, in terms of the integers
            self.back[v] = plus({Ref(v): 1}, moved(self.rest[v], self.back), -1)
        bounds = {}
        for loop in self.loops:
            ends = [moved(e, self.back) for e in nest.ends(loop)]
            more = moved(self.rest[loop.var], self.back)
            bounds[loop.var] = plus(ends[0], more), plus(ends[1], more)
        for pair in bounds.values():
            for end in pair:
                self.need(all(k is None or nest.steady(k, self.vars) for k in end))
        self.domain = Domain(bounds)
        self.need(self.domain.plain)

    def walked(self, array: Array, index: tuple[Expr, ...]) -> Window | None:
        """How the integers walk an array, if BLAS can be given it."""
        nest = self.nest
        sums = [moved(affine(nest.spelled(i)), self.back) for i in index]
        if array.element != self.type:
            return None
        if not all(k is None or nest.steady(k, self.vars) for e in sums for k in e):
            return None
        return window(array, sums, list(self.vars))

    def target(self) -> Window:
        assert isinstance(self.sum.target, Array)
        found = self.walked(self.sum.target, self.sum.index)
        if found is None:
            raise _Impossible
        return found

    def operands(self, factors: list[Expr], given: set[Scalar], later: bool) -> tuple[Window, Window]:
        """The two matrices that are multiplied, made if need be."""
        (k,) = self.vars - given
        i, j = (loop.var for loop in self.loops if loop.var in given)
        groups: dict[frozenset[Scalar], list[_Factor]] = {frozenset({i, k}): [], frozenset({j, k}): []}
        self.need(all(any(self.walks(e) <= key for key in groups) for e in factors))
        found = [self.factor(e, later) for e in factors]
        for f in sorted(found, key=lambda f: -len(f.vars)):
            fit = [key for key in groups if f.vars <= key]
            self.need(bool(fit))
            fit.sort(key=lambda key: len(groups[key]) == 1 and groups[key][0].window is not None)
            groups[fit[0]].append(f)
        u, v = (self.operand(key, members, later) for key, members in groups.items())
        mine = self.sum.target
        self.need(all(not isinstance(mine, Array) or w.array.root is not mine.root for w in (u, v)))
        return u, v

    def factor(self, e: Expr, later: bool) -> _Factor:
        """A factor: what it changes with, and whether it is still the same outside of the loop."""
        nest, s = self.nest, self.sum
        vars = self.walks(e)
        self.need(e.type == self.type and vars <= self.vars)
        kept = True
        for x in leaves(e):
            if isinstance(x, Load):
                access = Access(x.array, x.index, "load", (s.middle, s.inner), s.top)
                kept = kept and self.fixed(x.index) and nest.free(access, ("add", "put"), later)
            elif isinstance(x, Ref) and x.var in nest.changed:
                kept = False
            elif isinstance(x, Dim) and x.array.root in nest.whole:
                kept = False
        if not kept:
            self.need(later)
            vars.add(nest.outer.var)
            if {*names(e)} & written(s.middle.body):
                vars.add(s.middle.var)
            self.need(not {*names(e)} & written(s.inner.body))
        found = self.walked(e.array, e.index) if kept and isinstance(e, Load) else None
        return _Factor(e, frozenset(vars), kept, found)

    def walks(self, e: Expr) -> set[Scalar]:
        """The integers that stand in an expression."""
        return {x for x in names(self.outside(e)) if isinstance(x, Scalar) and x in self.nest.counters}

    def outside(self, e: Expr) -> Expr:
        """An expression in terms of the three integers."""

        def change(x: Expr) -> Expr:
            if isinstance(x, Ref) and x.var in self.back:
                return expression(self.back[x.var])
            return Load(x.array, tuple(map(simplify, x.index))) if isinstance(x, Load) else x

        return map_leaves(self.nest.spelled(e), change)

    def fixed(self, index: tuple[Expr, ...]) -> bool:
        return all(self.nest.steady(self.nest.spelled(i), self.vars) for i in index)

    def operand(self, key: frozenset[Scalar], members: list[_Factor], later: bool) -> Window:
        """A matrix with an axis for each of two integers, of the product of some factors."""
        self.need(bool(members) and frozenset().union(*(f.vars for f in members)) == key)
        if len(members) == 1 and members[0].window is not None:
            return members[0].window
        a, b = (loop.var for loop in self.loops if loop.var in key)
        value = members[0].value
        for f in members[1:]:
            value = value * f.value
        if all(f.kept for f in members):  # outside of the loop
            made = self.matrix(a, b)
            body = self.domain.loops(a, b, lambda: [Store(made.array, made.at(), self.outside(value))])
            (self.change.after if later else self.change.before).extend(body)
            return made
        outer, middle, inner = self.loops
        loop = inner if key == {outer.var, middle.var} else middle
        self.need(loop is inner or key == {outer.var, inner.var})
        place, guarded = self.place(a, b), self.guarded(loop)
        # another sum of the same loop may have filled a matrix with the same
        same = (a, b, place, value, id(loop), guarded, *(self.domain.length(c) for c in (a, b)))
        for change in (self.change, self.before):
            if same in change.totals:
                return change.totals[same]
        made = self.change.totals[same] = self.matrix(a, b)
        store = Store(made.array, place, value)
        self.ahead(loop, [store if loop is inner else self.along(inner, store, set(names(value)))])
        return made

    def matrix(self, a: Scalar, b: Scalar) -> Window:
        """New storage with an axis for each of two integers."""
        dtype = "float32" if self.type == "f32" else "float64"
        made = Array("factor", dtype, 2)
        low = [affine(self.domain.low[c]) for c in (a, b)]
        self.change.before.insert(0, Alloc(made, (self.domain.length(a), self.domain.length(b))))
        index = [plus({Ref(c): 1}, x, -1) for c, x in zip((a, b), low, strict=True)]
        return Window(made, tuple(index), {a: 0, b: 1})

    def shape(self, made: Array) -> tuple[Expr, ...]:
        return next(s.shape for s in self.change.before if isinstance(s, Alloc) and s.array is made)

    def place(self, a: Scalar, b: Scalar) -> tuple[Expr, ...]:
        """The element of such a matrix, inside the loops."""
        return tuple(
            expression(plus(plus({Ref(c): 1}, self.rest[c]), affine(self.domain.low[c]), -1)) for c in (a, b)
        )


@dataclass(slots=True)
class _Factor:
    value: Expr
    vars: frozenset[Scalar]
    kept: bool
    window: Window | None


def _terms(e: Expr) -> Iterator[Expr]:
    if isinstance(e, Apply) and e.op in ("add", "sub"):
        yield from _terms(e.args[0])
        yield from (apply("neg", x) if e.op == "sub" else x for x in _terms(e.args[1]))
    else:
        yield e


def _factors(e: Expr) -> Iterator[Expr]:
    if isinstance(e, Apply) and e.op == "mul":
        yield from _factors(e.args[0])
        yield from _factors(e.args[1])
    elif isinstance(e, Apply) and e.op == "neg":
        yield const(-1.0, e.type)
        yield from _factors(e.args[0])
    else:
        yield e


def mentions(body: Iterable[Stmt]) -> Iterator[Name]:
    return (x for s in walk(list(body)) for x in touched(s))
