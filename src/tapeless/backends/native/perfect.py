"""Loops one in the other with all their work inside: what each iteration reads and where it stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tapeless.backends.native.affine import affine, expression, plus, simplify
from tapeless.backends.native.nest import (
    COMPARISONS,
    Apply,
    Array,
    Assign,
    Comment,
    Expr,
    For,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    leaves,
)
from tapeless.backends.native.renaming import substituted
from tapeless.backends.native.sweeps import Loop

#: Values in so many operations are not followed.
LONG = 80
#: What cannot fail, of integers and truths.
TOTAL = {"add", "sub", "mul", "neg", "minimum", "maximum", "select", "all", "any", "not", *COMPARISONS}

Distance = tuple[int, ...]


@dataclass(eq=False)
class Axis:
    """A loop of a nest, upwards: from `low` to below `high`."""

    var: Scalar
    low: Expr
    high: Expr


def perfect(s: For) -> tuple[list[For], list[Stmt]] | None:
    """Loops one in the other, and all that is done in them, in order."""
    loops, done = [s], list[Stmt]()
    while True:
        body = [x for x in s.body if not isinstance(x, Comment)]
        inner = [x for x in body if isinstance(x, For)]
        others = [x for x in body if not isinstance(x, For)]
        if abs(s.step) != 1 or not all(isinstance(x, (Assign, Store)) for x in others):
            return None
        if not inner:
            return loops, [*done, *others]
        if len(inner) > 1 or body[-1] is not inner[0] or any(isinstance(x, Store) for x in others):
            return None
        done += others
        (s,) = inner
        loops.append(s)


def axis_of(s: For) -> Axis:
    if s.step == 1:
        return Axis(s.var, s.start, s.stop)
    return Axis(s.var, simplify(s.stop + 1), simplify(s.start + 1))


def anywhere(e: Expr) -> bool:
    """Whether a bound may be computed where loops around it do not run: it divides and looks up nothing."""
    if isinstance(e, Apply):
        return e.op in TOTAL and all(map(anywhere, e.args))
    return not isinstance(e, Load)


def place(
    index: Sequence[Expr], axes: list[Axis], loop: Loop
) -> tuple[tuple[Expr, ...], list[int], Distance] | None:
    """An index without its distances, the axis that each loop moves along, and how far from there."""
    along = [-1] * len(axes)
    away = [0] * len(axes)
    out = list(index)
    for k, e in enumerate(index):
        parts = affine(e)
        moving = [n for n, a in enumerate(axes) if parts.get(Ref(a.var), 0)]
        if not moving:
            if not loop.steady(e):
                return None
            out[k] = simplify(e)
            continue
        (n,) = moving if len(moving) == 1 else (-1,)
        if n < 0 or along[n] >= 0 or parts[Ref(axes[n].var)] != 1:
            return None
        rest = plus(parts, {Ref(axes[n].var): 1}, -1)
        if not all(x is None or loop.steady(x) for x in rest):
            return None
        along[n], away[n] = k, parts.pop(None, 0)
        out[k] = expression(parts)
    return None if -1 in along else (tuple(out), along, tuple(away))


class Values:
    """Values of an iteration in terms of what does not change in the nest, and of the loops' variables."""

    def __init__(self, loop: Loop, own: list[Scalar], body: list[Stmt]) -> None:
        self.loop, self.own = loop, set(own)
        self.found: dict[Scalar, Expr] = {}
        self.stores: dict[int, Expr] = {}
        #: arrays of which an element has been set already
        self.set: set[Array] = set()
        self.puts = {a for a, used in loop.arrays.items() if used.puts and not self.once(a)}
        for s in body:
            if isinstance(s, Assign):
                value = self.value(s.value)
                if value is not None and len(loop.assigned[s.var]) == 1:
                    self.found[s.var] = value
            elif isinstance(s, Store):
                value = self.value(s.value)
                if value is not None:
                    self.stores[id(s)] = value
                self.set.add(s.array.root)

    def at(self, s: Store) -> Expr | None:
        return self.stores.get(id(s))

    def once(self, a: Array) -> bool:
        """Whether an array is used at one element in each iteration, another one in each."""
        used = self.loop.of(a)
        places = {index for _, index in used.indices()}
        names = {array for array, _ in used.indices()}
        if len(places) != 1 or len(names) != 1 or used.adds:
            return False
        (index,) = places
        moving = [self.variable(e) for e in index]
        return self.own <= {v for v in moving if v is not None}

    def variable(self, e: Expr) -> Scalar | None:
        """The variable that alone moves an index."""
        found = [v for v in self.own if affine(e).get(Ref(v))]
        rest = plus(affine(e), {Ref(found[0]): 1}, -affine(e)[Ref(found[0])]) if found else {}
        steady = all(k is None or self.loop.steady(k) for k in rest)
        return found[0] if len(found) == 1 and steady else None

    def value(self, e: Expr) -> Expr | None:
        """`e` as it is here, None if that cannot be had elsewhere."""
        for x in leaves(e):
            if isinstance(x, Ref) and x.var in self.loop.changed:
                if x.var not in self.found and x.var not in self.own:
                    return None
            elif isinstance(x, Load):
                root = x.array.root
                if root in self.loop.changed and (root in self.puts or root in self.set or self.summed(root)):
                    return None
        made = substituted(e, self.found)
        return made if _size(made) <= LONG else None

    def summed(self, a: Array) -> bool:
        return bool(self.loop.of(a).adds)


def _size(e: Expr) -> int:
    return 1 + sum(map(_size, e.args)) if isinstance(e, Apply) else 1
