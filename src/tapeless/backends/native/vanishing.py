"""Seeds that do not move what a loop adds up are left out of it.

Of the seeds of a Jacobian few move a part of a program: a finger's angles move its bones, and no others.

    for k in range(m):                              for k in range(m):
        for i in range(n):                              for i in range(n):
            y[i] += w[i] * x[k]                             y[i] += w[i] * x[k]
            for lane in range(16):                      for lane in range(16):
                y_t[i, lane] += w[i] * x_t[k, lane]         if x_t[k, lane] != 0:
                                                                for i in range(n):
                                                                    y_t[i, lane] += w[i] * x_t[k, lane]

It is done where all that a lane adds is linear in numbers that stay the same in the loop, and that differ
between iterations of a loop around it.  These are derivatives, whose zeros are strong: what is left out is 0
even if the other factor is infinite.  Derivatives are taken before: that of what is 0 here need not be 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.fuse import replaced, with_bodies
from tapeless.backends.native.nest import (
    COMPARISONS,
    FALSE,
    FLOATS,
    Alloc,
    Apply,
    Array,
    Assign,
    Comment,
    Const,
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
    const,
    walk,
)
from tapeless.backends.native.renaming import Renaming
from tapeless.backends.native.saving import DTYPES, trip_count
from tapeless.backends.native.scopes import exposed, names, touched, writes, written

#: Loops known to be shorter are left alone: looking would take as long.
SHORT = 16
#: What may be computed once more in each lane.
QUICK = {"add", "sub", "mul", "mulz", "neg", "select", "cast", "all", "any", "not", *COMPARISONS}


def leave_out(fn: Function) -> Function:
    """`fn` with the lanes of loops outside them, each behind a test of whether it adds anything."""
    if not any(isinstance(s, For) and s.lanes for s in walk(fn.body)):
        return fn
    uses = Counter(x for s in walk(fn.body) for x in touched(s))
    uses.update(map(root, fn.results))
    return replace(fn, body=_body(fn.body, [], uses))


def put_back(fn: Function) -> Function:
    """`fn` with such lanes inside again, all of them, where arrays have those of an element side by side."""

    def change(s: Stmt) -> list[Stmt] | None:
        if not (isinstance(s, For) and s.lanes and len(s.body) == 1 and isinstance(s.body[0], If)):
            return None
        (loop,) = s.body[0].then
        assert isinstance(loop, For)
        if not any(isinstance(x, Store) and s.var in names(x.index[-1]) for x in loop.body):
            return None
        return [replace(loop, body=[replace(s, body=loop.body)])]

    return replace(fn, body=replaced(fn.body, change))


def _body(body: list[Stmt], loops: list[For], uses: Counter[Name]) -> list[Stmt]:
    out: list[Stmt] = []
    for s in body:
        made = _left_out(s, loops, uses) if isinstance(s, For) and loops else None
        inside = [*loops, s] if isinstance(s, For) else loops
        out += [with_bodies(s, [_body(b, inside, uses) for b in children(s)])] if made is None else made
    return out


def _left_out(s: For, loops: list[For], uses: Counter[Name]) -> list[Stmt] | None:
    """A loop without its lanes, and the lanes around a copy of it; None if it cannot be, or does not pay."""
    rest, lanes = s.body[:-1], s.body[-1] if s.body else None
    if not isinstance(lanes, For) or not lanes.lanes or not lanes.independent or s.step != 1:
        return None
    length = apply("sub", s.stop, s.start)
    if isinstance(length, Const) and length.value < SHORT:
        return None
    inside: set[Name] = {s.var, *written(s.body)}
    if any(x in inside for e in (s.start, s.stop) for x in names(e)):
        return None
    given = _Linear(lanes, inside).found()
    stored = {x for inner in lanes.body for x in writes(inner) if isinstance(x, Array)}
    if not any(_summed(given, stored, x) for x in loops) or not _apart(s, lanes, stored, uses):
        return None
    some: Expr = FALSE
    for x in given:
        some = apply("any", some, apply("ne", x, const(0.0, x.type)))
    again, kept = _needed(s, lanes)
    rows = {x: Array(x.name, DTYPES[x.type], 1) for x in kept}
    at = (apply("sub", Ref(s.var), s.start),)
    again = [*(Assign(x, Load(row, at)) for x, row in rows.items()), *again]
    fresh: dict[Name, Name] = {x: Scalar(x.name, x.type) for x in (s.var, *(a.var for a in again))}
    (copy,) = Renaming(fresh).body([replace(s, body=[*again, *lanes.body])])
    alone = replace(lanes, body=[If(some, [copy], line=s.line)])
    if not rest:
        return [alone]
    trips = trip_count(s.start, s.stop, s.step)
    keep = (Store(row, at, Ref(x)) for x, row in rows.items())
    return [*(Alloc(row, (trips,)) for row in rows.values()), replace(s, body=[*rest, *keep]), alone]


def _summed(given: list[Load], stored: set[Array], loop: For) -> bool:
    """Whether iterations of a loop add up what they have each their own seeds for."""
    if any(isinstance(s, Alloc) and s.array in stored for s in walk(loop.body)):
        return False
    changed = {loop.var, *written(loop.body)}
    return any(y in changed for x in given for y in names(x))


def _apart(s: For, lanes: For, stored: set[Array], uses: Counter[Name]) -> bool:
    """Whether the lanes of all iterations of a loop may run once the rest of all has."""
    rest = s.body[:-1]
    if not all(isinstance(r, (Assign, Store, For, If, Alloc, Comment)) for r in walk(rest)):
        return False
    inside = Counter(x for r in walk([lanes]) for x in touched(r))
    own = {x for x in written(lanes.body) if isinstance(x, Scalar)}
    if any(inside[x] != uses[x] for x in own) or own & exposed(lanes.body):
        return False
    if any(x in stored for r in walk(rest) for x in touched(r)):
        return False
    made = {r.array for r in walk(rest) if isinstance(r, Alloc)}
    arrays = (x for x in written(rest) if isinstance(x, Array) and x in inside)
    return not any(x in made or not s.independent for x in arrays)


def _needed(s: For, lanes: For) -> tuple[list[Assign], list[Scalar]]:
    """Assignments that are quickly made again for the lanes, and the other numbers that these need."""
    rest = s.body[:-1]
    changed = written(s.body)
    count = Counter(x for r in walk(rest) for x in writes(r))
    mine = (x for r in lanes.body for x in touched(r) if count[x])
    needed = dict.fromkeys(x for x in mine if isinstance(x, Scalar))
    place = {r.var: n for n, r in enumerate(rest) if isinstance(r, Assign) and count[r.var] == 1}
    again: list[Assign] = []
    for n, r in reversed(list(enumerate(rest))):
        if isinstance(r, Assign) and r.var in needed and place.get(r.var) == n and _quick(r.value):
            used = [x for x in names(r.value) if x in changed]
            if all(isinstance(x, Scalar) and place.get(x, n) < n for x in used):
                del needed[r.var]
                needed.update(dict.fromkeys(x for x in used if isinstance(x, Scalar)))
                again.insert(0, r)
    return again, list(needed)


def _quick(e: Expr) -> bool:
    return not isinstance(e, Apply) or (e.op in QUICK and all(map(_quick, e.args)))


@dataclass
class _Linear:
    """What additions in lanes are linear in: numbers of the lane that stay as they are in the loop around."""

    lanes: For
    inside: set[Name]
    loads: dict[Load, None] = field(default_factory=dict)
    degrees: dict[Scalar, int] = field(default_factory=dict)

    def found(self) -> list[Load]:
        """All of them, or none if something else is added."""
        for s in self.lanes.body:
            if isinstance(s, Assign):
                degree = self.degree(s.value)
                if degree is None:
                    return []
                self.degrees[s.var] = degree
            elif not isinstance(s, Store) or not s.add or self.degree(s.value) not in (1, -1):
                return []
        return list(self.loads)

    def degree(self, e: Expr) -> int | None:
        """1: linear; 0: the same in all lanes; -1: zero, which is both; None: something else."""
        if isinstance(e, Const):
            return -1 if e.type in FLOATS and e.value == 0 else 0
        if isinstance(e, Ref):
            return None if e.var is self.lanes.var else self.degrees.get(e.var, 0)
        if isinstance(e, Apply):
            return _combined(e.op, [self.degree(a) for a in e.args])
        if not isinstance(e, Load) or self.lanes.var not in _all_names(e.index):
            return 0
        if e.array.root in self.inside or any(
            x in self.inside for x in _all_names(e.index) if x is not self.lanes.var
        ):
            return None
        self.loads[e] = None
        return 1


def _combined(op: str, degrees: Sequence[int | None]) -> int | None:
    known = [d for d in degrees if d is not None]
    if len(known) < len(degrees):
        return None
    if op == "select":
        return None if known[0] == 1 else _combined("add", known[1:])
    if op in ("add", "sub"):
        return None if {0, 1} <= set(known) else max(known)
    if op in ("mul", "mulz"):
        return -1 if -1 in known else sum(known) if sum(known) < 2 else None
    if op == "neg" or (op == "div" and known[1] == 0):
        return known[0]
    return 0 if 1 not in known else None


def _all_names(index: Sequence[Expr]) -> Iterator[Name]:
    return (x for i in index for x in names(i))
