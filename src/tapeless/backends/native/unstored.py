"""Arrays that only hold what stands elsewhere, or a few operations away from it, are read there.

    for i in range(n):
        t[i] = saved[at + i]
    for i in range(n - 1):              for i in range(n - 1):
        s += t[i + 1] * x[i]                s += saved[at + i + 1] * x[i]

So it is with an array that a reverse sweep restores and only reads: it is read where it was saved.  What is
read of it must be what one nest has stored, and what that is made of must be unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.affine import Ranges, affine, expression, plus
from tapeless.backends.native.delay import Moving, Place, changed_in, operations, places
from tapeless.backends.native.fuse import LONG, empty, replaced, with_bodies
from tapeless.backends.native.nest import (
    ONE,
    Alias,
    Alloc,
    Array,
    Check,
    Const,
    Dim,
    Expr,
    For,
    Function,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    children,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.renaming import substituted
from tapeless.backends.native.rewrite import change_stmt
from tapeless.backends.native.scopes import names, touched, writes, written

#: How many operations a value may have that is made where it is read.
CHEAP = 2


def unstored(fn: Function, *, parallel: bool = False) -> Function:
    """`fn` without such arrays; no two array parameters may share memory.

    With `parallel`, loops stay as independent as they are.
    """
    hopeless: dict[tuple[int, int], Store] = {}
    while (made := _Search(fn, hopeless, parallel).function()) is not None:
        fn = made
    return fn


#: What a value depends on; an array stands for its elements.
Used = Scalar | Array | Dim


@dataclass(eq=False)
class Rule:
    """What an array holds: `value` at `index`, for each variable from its least to its greatest value."""

    array: Array
    index: tuple[Expr, ...]
    value: Expr
    ends: dict[Scalar, tuple[Expr, Expr]]

    def place(self) -> set[Used]:
        """What tells the elements that are stored."""
        return _used(*self.index, *(e for both in self.ends.values() for e in both)) - {*self.ends}

    def needs(self) -> set[Used]:
        """What the rule is made of."""
        return self.place() | _used(self.value) - {*self.ends}


class _Miss(Exception):
    """A read that a rule does not cover."""


class _Search(Moving):
    """Looks for one array that need not be stored."""

    def __init__(self, fn: Function, hopeless: dict[tuple[int, int], Store], parallel: bool) -> None:
        super().__init__(fn)
        self.fn, self.hopeless, self.parallel = fn, hopeless, parallel
        changed = {x for s in walk(fn.body) if not isinstance(s, Store) for x in writes(s)}
        self.given = {x for x in fn.params if x not in changed}
        """What the caller gives, if lengths and scalars of it stay as they are."""
        self.ranges = Ranges()
        for var, e in self.fusion.definitions.items():
            if self.lasts(e):
                self.ranges.definitions[var] = e
        self.fusion.definitions = self.ranges.definitions
        self.used: dict[Name, list[int]] = {root(x): [len(fn.body)] for x in fn.results}
        """The outermost statements that use a name, one for each use."""
        for at, s in enumerate(fn.body):
            for inner in walk([s]):
                for x in touched(inner):
                    if not (isinstance(inner, Alloc) and x is inner.array):
                        self.used.setdefault(x, []).append(at)

    def lasts(self, e: Expr) -> bool:
        """Whether an expression has one value from beginning to end."""
        return all(
            isinstance(x, Const)
            or (isinstance(x, Dim) and x.array in self.given)
            or (isinstance(x, Ref) and (x.var in self.ranges.definitions or x.var in self.given))
            for x in leaves(e)
        )

    def function(self) -> Function | None:
        body = self.body(self.fn.body, None)
        if body is None:
            return None
        used = {x for s in walk(body) if not isinstance(s, Alloc) for x in touched(s)}
        used |= {root(x) for x in self.fn.results}
        unused = {s.array for s in walk(self.fn.body) if isinstance(s, Alloc)} - used
        body = replaced(body, lambda s: [] if isinstance(s, Alloc) and s.array in unused else None)
        return replace(self.fn, body=body)

    def body(self, body: list[Stmt], outermost: int | None) -> list[Stmt] | None:
        """A body that does without an array, if there is one; `outermost` is the number of what is around."""
        for at, s in enumerate(body):
            top = at if outermost is None else outermost
            if isinstance(s, Check) and outermost is None and self.lasts(s.condition):
                self.ranges.facts += self.ranges.implied(s.condition, True)
            for place in places(s) if len(body) <= LONG else ():
                key = id(place.store), len(place.loops)
                if key not in self.hopeless:
                    made = self.without(body, at, place, top)
                    if made is not None:
                        return made
                    self.hopeless[key] = place.store
            if isinstance(s, (For, If)):
                bodies = list(children(s))
                for k, inner in enumerate(bodies):
                    with self.within(s, k):
                        found = self.body(inner, top)
                    if found is not None:
                        bodies[k] = found
                        return [*body[:at], with_bodies(s, bodies), *body[at + 1 :]]
        return None

    @contextmanager
    def within(self, s: For | If, k: int = 0) -> Iterator[None]:
        """Inside a body of a statement, with what it says there of integers, if that stays so."""
        if _changed(children(s)[k]) & _used(*expressions(s)):
            yield
        elif isinstance(s, For):
            with self.ranges.loop(s.var, s.start, s.stop, s.step):
                yield
        else:
            with self.ranges.where(s.condition, k == 0):
                yield

    # ---- one array

    def without(self, body: list[Stmt], at: int, place: Place, top: int) -> list[Stmt] | None:
        """The body with an array read where it comes from, if nothing else is known of the array later."""
        store, array = place.store, place.store.array
        if self.stays(array) or (rule := self.rule(place)) is None:
            return None
        needed, changed = rule.needs(), _changed([body[at]])
        own = _loads([body[at]], array)
        loads = [_loads([s], array) for s in body[at + 1 :]]
        if sum(k >= top for k in self.used[array]) != 1 + own + sum(loads) or needed & changed:
            return None
        first = changed_in(body[at], store, [])
        if own:  # of the element just stored
            inner = place.loops[-1].body
            behind = inner[next(k for k, s in enumerate(inner) if s is store) + 1 :]
            here = Load(array, store.index)
            if own != sum(x == here for s in walk(behind) for e in expressions(s) for x in leaves(e)):
                return None
            first = change_stmt(first, lambda e: rule.value if e == here else None)
        out = [first]
        for s, n in zip(body[at + 1 :], loads, strict=True):
            made = s
            if n:
                if needed & changed or (made_here := self.reader(s, rule)) is None:
                    return None
                made = made_here
            changed |= _changed([s])
            out.append(made)
        return [*body[:at], *(out[1:] if empty(first) else out)]

    def rule(self, place: Place) -> Rule | None:
        """What a store says of its array, if it sets an element in each iteration by little work."""
        store, ends = place.store, dict[Scalar, tuple[Expr, Expr]]()
        value = self.value(place)
        if value is None or operations(value) > CHEAP:
            return None
        for x in place.loops:
            ends[x.var] = (x.start, x.stop - ONE) if x.step > 0 else (x.stop + ONE, x.start)
        if any(abs(x.step) != 1 or _moving(e, ends) for x in place.loops for e in ends[x.var]):
            return None
        # each loop moves along an axis of its own, element by element
        moving = [_moving(e, ends) for e in store.index]
        if any(len(m) > 1 for m in moving) or sorted(id(*m) for m in moving if m) != sorted(map(id, ends)):
            return None
        if not all(_steps(e, *m) for m, e in zip(moving, store.index, strict=True) if m):
            return None
        # and the last along the one element that the value is made of, in order of memory
        elements = [x for x in leaves(value) if isinstance(x, Load) and _moving(x, ends)]
        if len(elements) != 1 or not moving[-1] or not elements[0].array.contiguous:
            return None
        *others, last = elements[0].index
        (var,) = moving[-1]
        if any(_moving(e, [var]) for e in others) or not _steps(last, var):
            return None
        return Rule(store.array, store.index, value, ends)

    def reader(self, s: Stmt, rule: Rule) -> Stmt | None:
        """A statement that reads the array, as it is without it; None if that is not possible."""
        self.made: set[Load] = set()
        try:
            made = self.replaced(s, rule)
        except _Miss:
            return None
        clash = rule.needs() & _changed([s])
        return made if not clash else self.ahead(made, clash, rule)

    def replaced(self, s: Stmt, rule: Rule, around: tuple[Scalar, ...] = ()) -> Stmt:
        """A statement that reads the array by its rule."""
        if isinstance(s, (For, If)):
            bodies, loops = [], (*around, s.var) if isinstance(s, For) else around
            for k, inner in enumerate(children(s)):
                with self.within(s, k):
                    bodies.append([self.replaced(x, rule, loops) for x in inner])
            if any(_loads_of(e, rule.array) for e in expressions(s)):
                raise _Miss
            return with_bodies(s, bodies)
        if not _loads([s], rule.array):
            return s
        if children(s):
            raise _Miss
        return change_stmt(s, lambda e: self.element(rule, e, around) if isinstance(e, Load) else None)

    def element(self, rule: Rule, e: Load, around: tuple[Scalar, ...]) -> Expr | None:
        """An element as the rule makes it; None for one of another array."""
        if e.array is not rule.array:
            return None
        if not {*around} <= _used(*e.index):
            raise _Miss  # what is read again and again is better near
        found: dict[Scalar, Expr] = {}
        for mine, theirs in zip(rule.index, e.index, strict=True):
            here = affine(self.fusion.bound(mine))
            apart = plus(affine(self.fusion.bound(theirs)), here, -1)
            for var in _moving(mine, rule.ends):  # at most one
                c = here[Ref(var)]
                found[var] = expression(plus({}, plus(apart, {Ref(var): c}), c))
                apart = {}
            if apart:
                raise _Miss
        for var, (low, high) in rule.ends.items():
            for a, b in ((low, found[var]), (found[var], high)):
                if not self.ranges.proves(apply("le", self.fusion.bound(a), self.fusion.bound(b))):
                    raise _Miss
        made = substituted(rule.value, found)
        self.made |= {x for x in leaves(made) if isinstance(x, Load)}
        return made

    def ahead(self, made: Stmt, clash: set[Used], rule: Rule) -> Stmt | None:
        """A loop that changes what a rule is made of, if each element is changed after it has been read."""
        if (
            self.parallel
            or not isinstance(made, For)
            or any(children(x) for x in made.body)
            or clash & rule.place()
        ):
            return None
        for s in made.body:
            for x in clash & {*writes(s)}:
                mine = [load for load in self.made if load.array.root is x]
                if not isinstance(s, Store) or not all(_later(load, s, made) for load in mine):
                    return None
        return replace(made, independent=False)


def _used(*es: Expr) -> set[Used]:
    """The scalars, arrays and lengths that expressions read."""
    found = [x for e in es for x in leaves(e)]
    return {x if isinstance(x, Dim) else root(y) for x in found for y in names(x)}


def _changed(body: list[Stmt]) -> set[Used]:
    """What a body changes, the variables of loops included."""
    found: set[Used] = {*written(body)}
    for s in walk(body):
        if isinstance(s, For):
            found.add(s.var)
        elif not isinstance(s, Store):
            resized = [s.array] if isinstance(s, Alias) else [x for x in writes(s) if isinstance(x, Array)]
            found |= {Dim(x, k) for x in resized for k in range(x.ndim)}
    return found


def _later(load: Load, store: Store, loop: For) -> bool:
    """Whether what an iteration reads is stored to by a later one, if at all."""
    if load.array is not store.array or _changed(loop.body) & _used(*load.index, *store.index):
        return False
    apart = [plus(affine(a), affine(b), -1) for a, b in zip(load.index, store.index, strict=True)]
    moving = [k for k, e in enumerate(store.index) if _moving(e, [loop.var])]
    if len(moving) != 1:
        return False
    ahead, step = apart.pop(moving[0]), _steps(store.index[moving[0]], loop.var)
    return not any(apart) and {*ahead} == {None} and ahead[None] * step * loop.step > 0


def _loads_of(e: Expr, array: Array) -> int:
    return sum(isinstance(x, Load) and x.array is array for x in leaves(e))


def _loads(body: list[Stmt], array: Array) -> int:
    """How many times a body reads an element of an array."""
    return sum(_loads_of(e, array) for s in walk(body) for e in expressions(s))


def _moving(e: Expr, vars: Iterable[Scalar]) -> list[Scalar]:
    """The loops with which an expression moves."""
    mine = {x.var for x in leaves(e) if isinstance(x, Ref)}
    return [v for v in vars if v in mine]


def _steps(e: Expr, var: Scalar) -> int:
    """1 or -1 if an index is that multiple of a loop's variable and something that does not move; else 0."""
    parts = affine(e)
    c = parts.pop(Ref(var), 0)
    return c if abs(c) == 1 and not any(x is not None and _moving(x, [var]) for x in parts) else 0
