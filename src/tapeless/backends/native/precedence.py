"""What stands between a statement of a loop and the beginning or the end of that loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from tapeless.backends.native.activity import Name
from tapeless.backends.native.affine import Affine, Ranges, affine, expression, plus
from tapeless.backends.native.nest import (
    I64,
    Alloc,
    Array,
    Assign,
    Dim,
    Expr,
    For,
    Grow,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    children,
    const,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.renaming import map_leaves, substituted
from tapeless.backends.native.scopes import written


@dataclass(slots=True)
class Access:
    """An element that is loaded, added to (`add`) or given a value (`put`)."""

    array: Array
    index: tuple[Expr, ...]
    kind: str
    loops: tuple[For, ...]
    top: int
    """Which statement of the outermost loop's body it stands in."""


class Nest:
    """A loop around others, and what is accessed in it."""

    def __init__(self, outer: For, definitions: Mapping[Scalar, Expr], uses: Counter[Name]) -> None:
        self.outer = outer
        self.definitions = definitions
        """Integers that are assigned once, and what."""
        self.uses = uses
        """How often each name is mentioned in the whole function."""
        self.changed = written(outer.body)
        self.counters = {s.var for s in walk([outer]) if isinstance(s, For)}
        self.assigned = Counter(s.var for s in walk(outer.body) if isinstance(s, Assign))
        self.accesses: dict[Array, list[Access]] = {}
        self.whole = {s.array.root for s in walk(outer.body) if isinstance(s, (Alloc, Grow))}
        self.known: dict[tuple[object, ...], bool] = {}
        for top, s in enumerate(outer.body):
            self.look(s, (), top)

    def look(self, s: Stmt, loops: tuple[For, ...], top: int) -> None:
        for e in expressions(s):
            for x in leaves(e):
                if isinstance(x, Load):
                    self.note(Access(x.array, x.index, "load", loops, top))
        if isinstance(s, Store):
            self.note(Access(s.array, s.index, "add" if s.add else "put", loops, top))
        for body in children(s):
            for inner in body:
                self.look(inner, (*loops, s) if isinstance(s, For) else loops, top)

    def note(self, x: Access) -> None:
        self.accesses.setdefault(x.array.root, []).append(x)

    def spelled(self, e: Expr) -> Expr:
        """An expression with what integers are assigned in their place."""

        def change(x: Expr) -> Expr:
            known = isinstance(x, Ref) and x.var in self.definitions
            return self.spelled(self.definitions[x.var]) if known else x  # type: ignore[attr-defined]

        return map_leaves(e, change)

    def steady(self, e: Expr, path: set[Scalar]) -> bool:
        """Whether an expression changes at most with the loops of `path`."""
        for x in leaves(e):
            if isinstance(x, Ref) and (x.var in self.changed or x.var in self.counters - path):
                return False
            if isinstance(x, Load) and x.array.root in self.changed:
                return False
            if isinstance(x, Dim) and x.array.root in self.whole:
                return False
        return True

    def ends(self, loop: For) -> tuple[Affine, Affine]:
        """The least value of a loop's variable, and one more than the greatest."""
        a, b = affine(self.spelled(loop.start)), affine(self.spelled(loop.stop))
        return (a, b) if loop.step > 0 else (plus(b, {None: 1}), plus(a, {None: 1}))

    # ---- what is apart

    def free(self, mine: Access, kinds: tuple[str, ...], later: bool) -> bool:
        """Whether no other access of these kinds, executed later (or earlier), is to the same element."""
        if mine.array.root in self.whole:
            return False
        key = (mine.array, mine.index, mine.top, mine.loops[-1].var, kinds, later)
        if key not in self.known:
            others = [x for x in self.accesses.get(mine.array.root, []) if x.kind in kinds]
            self.known[key] = all(x.array is mine.array and self.apart(mine, x, later) for x in others)
        return self.known[key]

    def apart(self, mine: Access, other: Access, later: bool) -> bool:
        outer = self.outer
        order = other.top - mine.top if later else mine.top - other.top
        up = (outer.step > 0) == later
        low, high = map(expression, self.ends(outer))
        # the other iteration is `far` from this one
        far, here = Scalar("far", I64), Ref(outer.var)
        table: dict[Scalar, Expr] = {outer.var: here + Ref(far) if up else here - Ref(far)}
        table.update((s.var, Ref(Scalar(s.var.name, I64))) for s in other.loops)

        def there(e: Expr) -> Expr:
            return substituted(self.spelled(e), table)

        known = Ranges()
        with ExitStack() as stack:
            for s in self.bounded(mine.loops):
                stack.enter_context(known.loop(s.var, self.spelled(s.start), self.spelled(s.stop), s.step))
            most = high - here if up else here - low + 1
            stack.enter_context(known.loop(far, const(0 if order >= 0 else 1), most, 1))
            for s in self.bounded(other.loops):
                var = table[s.var]
                if s is not outer and isinstance(var, Ref):
                    stack.enter_context(known.loop(var.var, there(s.start), there(s.stop), s.step))
            for a, b in zip(mine.index, other.index, strict=True):
                e, f = self.spelled(a), there(b)
                if self.fixed(a, mine.loops) and self.fixed(b, other.loops):
                    if known.proves(apply("lt", e, f)) or known.proves(apply("gt", e, f)):
                        return True
        return False

    def fixed(self, e: Expr, loops: Iterable[For]) -> bool:
        """Whether an integer is made of the loops around it and of what does not change."""
        return self.steady(self.spelled(e), {self.outer.var, *(s.var for s in loops)})

    def bounded(self, loops: tuple[For, ...]) -> Iterator[For]:
        """The loops around something, outermost first, of which the bounds are fixed."""
        yield self.outer
        for n, s in enumerate(loops):
            if self.fixed(s.start, loops[:n]) and self.fixed(s.stop, loops[:n]):
                yield s
