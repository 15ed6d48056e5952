"""About how many statements a nest runs, from the lengths of its loops where they are known."""

from __future__ import annotations

from collections.abc import Iterable

from tapeless.backends.native.activity import Name
from tapeless.backends.native.nest import (
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Swap,
    While,
    apply,
    children,
    const,
    walk,
)
from tapeless.backends.native.promote import stable_definitions
from tapeless.backends.native.renaming import map_leaves
from tapeless.backends.native.saving import trip_count, volume

#: Loops of unknown length count as this long; a `while` counts as so many rounds.
GUESS, ROUNDS = 8, 64
#: Definitions within definitions are looked up to this depth.
DEPTH = 8


def work(loop: For) -> Expr:
    """The statements of an iteration of a loop, of what is known before the loop."""
    return Effort([loop], {}, {}).of(loop.body, {loop.var: _middle(loop.start, loop.stop)})


def whole(fn: Function) -> Expr:
    """The statements of a call, of what is known at its beginning."""
    shapes = {s.array: s.shape for s in walk(fn.body) if isinstance(s, (Alloc, Alias))}
    return Effort(fn.body, stable_definitions(fn), shapes).of(fn.body, {})


def _middle(start: Expr, stop: Expr) -> Expr:
    return apply("floordiv", start + stop, 2)


class Effort:
    """Estimates for a body; `definitions` and `shapes` hold wherever they are looked up."""

    def __init__(
        self, body: list[Stmt], definitions: dict[Scalar, Expr], shapes: dict[Array, tuple[Expr, ...]]
    ) -> None:
        self.definitions, self.shapes = definitions, shapes
        self.changed: set[Name] = set()
        for s in walk(body):
            self.changed |= set(_changes(s))

    def of(self, body: list[Stmt], middles: dict[Scalar, Expr]) -> Expr:
        """`middles`: a value of each loop's variable, half way."""
        total: Expr = const(len(body))
        for s in body:
            if isinstance(s, For):
                start, stop = self.known(s.start, middles), self.known(s.stop, middles)
                inner, trips = middles, const(GUESS) + ZERO
                if start is not None and stop is not None:
                    inner, trips = {**middles, s.var: _middle(start, stop)}, trip_count(start, stop, s.step)
                total = total + trips * self.of(s.body, inner)
            elif isinstance(s, Intrinsic):
                shape = [self.known(Dim(a, k), middles) for a in _arrays(s)[:2] for k in range(a.ndim)]
                total = total + volume([const(GUESS) if n is None else n for n in shape])
            else:
                for part in children(s):
                    times = ROUNDS if isinstance(s, While) else 1
                    total = total + self.of(part, middles) * times
        return total

    def known(self, e: Expr, middles: dict[Scalar, Expr], depth: int = DEPTH) -> Expr | None:
        """An integer in terms of what is known; None if there are none such."""
        lost = False

        def change(x: Expr) -> Expr:
            nonlocal lost
            made: Expr | None = x
            if isinstance(x, Ref) and x.var in middles:
                return middles[x.var]
            if isinstance(x, Ref) and x.var in self.changed:
                made = self.definitions.get(x.var)
            elif isinstance(x, Dim) and x.array in self.changed:
                made = self.shapes[x.array][x.axis] if x.array in self.shapes else None
            elif isinstance(x, Load):
                made = None
            if made is not None and made is not x:
                made = self.known(made, middles, depth - 1) if depth else None
            lost |= made is None
            return x if made is None else made

        made = map_leaves(e, change)
        return None if lost else made


def _changes(s: Stmt) -> Iterable[Name]:
    """Variables that get a value, and arrays that get other lengths."""
    if isinstance(s, (Assign, For)):
        yield s.var
    elif isinstance(s, (Alloc, Alias, Grow)):
        yield s.array
    elif isinstance(s, Swap):
        yield from (s.a, s.b)
    elif isinstance(s, Intrinsic):
        yield from (x for x in s.outs if isinstance(x, Scalar))


def _arrays(s: Intrinsic) -> list[Array]:
    return [x for x in (*s.outs, *s.ins) if isinstance(x, Array)]
