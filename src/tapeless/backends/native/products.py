"""Products of matrices written as loops, taken out of them and given to BLAS.

    for i in range(n):                          for i in range(n):
        for j in range(m):                          for j in range(m):
            t = alpha * b[i, j]                         u[i, j] = alpha * b[i, j]
            for k in range(i):                      c += (lower triangle of a).T @ u
                c[k, j] += t * a[i, k]

A sum of products, two loops deep, is done before the outermost loop or after it, where no other access to
what it reads and writes stands between; that is proved from the indices.  What it multiplies by is put into a
matrix where it is no element of one.  The loops stay as they are for lengths at which BLAS would be slower.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.affine import affine, plus
from tapeless.backends.native.fuse import with_bodies
from tapeless.backends.native.mirrored import expanded
from tapeless.backends.native.moving import Change, Move, Sum, mentions
from tapeless.backends.native.nest import (
    FLOATS,
    I64,
    Alloc,
    Apply,
    Array,
    Assign,
    Comment,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    children,
    leaves,
    walk,
)
from tapeless.backends.native.precedence import Nest
from tapeless.backends.native.promote import stable_definitions
from tapeless.backends.native.renaming import Renaming, clone
from tapeless.backends.native.rewrite import change_stmt
from tapeless.backends.native.scopes import exposed, names, reads, touched, written
from tapeless.backends.native.tidy import is_zero


def multiply(fn: Function) -> Function:
    """`fn` with its products of matrices done by BLAS; no two array parameters may share memory."""
    return replace(fn, body=_Products(fn).body(fn.body))


class _Products:
    def __init__(self, fn: Function) -> None:
        #: but those that tell the length of an array that may be another one later
        self.definitions = {
            x: e
            for x, e in stable_definitions(fn).items()
            if all(not isinstance(k, Dim) or k.array in fn.params for k in leaves(e))
        }
        self.counters = {s.var for s in walk(fn.body) if isinstance(s, For)}
        self.uses = Counter(mentions(fn.body))
        self.uses.update(root(x) for x in (*fn.params, *fn.results))
        self.read = Counter(x for s in walk(fn.body) for x in reads(s))
        self.read.update(map(root, fn.results))

    def body(self, body: list[Stmt], around: frozenset[Scalar] = frozenset()) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            made = self.loop(s, around) if isinstance(s, For) else None
            if made is None:
                inside = around | {s.var} if isinstance(s, For) else around
                inner = [self.body(b, inside) for b in children(s)]
                made = [with_bodies(s, inner)] if inner else [s]
            out += made
        return out

    def loop(self, outer: For, around: frozenset[Scalar]) -> list[Stmt] | None:
        if abs(outer.step) != 1 or not any(map(_may_sum, _loops(outer.body))):
            return None
        if not all(isinstance(s, (Assign, Store, If, For, Alloc, Comment, Grow)) for s in walk(outer.body)):
            return None
        joined = self.joined(outer.body)
        read = self.read.copy()
        read.subtract(x for s in walk(outer.body) for x in reads(s))
        read.update(x for s in walk(joined) for x in reads(s))
        joined = _living(joined, read)
        uses = self.uses.copy()
        uses.subtract(mentions(outer.body))
        uses.update(mentions(joined))
        outer = replace(outer, body=joined)
        over = self.counters - around - {s.var for s in walk([outer]) if isinstance(s, For)}
        known = {x: e for x, e in self.definitions.items() if over.isdisjoint(names(e))}
        nest = _Loop(outer, known, uses)
        change = Change()
        for s in nest.sums():
            found = Move(nest, s, change).made()
            if found is None and (element := nest.element(s)) is not None:
                found = Move(nest, element, change).made()
            if found is not None:
                change.add(found)
        return nest.made(change) if change.gone else None

    def joined(self, body: list[Stmt]) -> list[Stmt]:
        """A body in which what is used once stands where it is used: `t = c[i]; c[i] = t + e` adds `e`.

        Copies of scalars are the scalars, and what clears an element and gives back what it held is left out.
        """
        out: list[Stmt] = []
        waiting: dict[Name, Assign] = {}
        copies: dict[Name, Expr] = {}
        for s in body:
            if children(s):
                s = with_bodies(s, [self.joined(b) for b in children(s)])
            elif isinstance(s, (Assign, Store)):
                used = {x: waiting.pop(x) for x in {*reads(s)} & waiting.keys()}
                out = [x for x in out if not any(x is y for y in used.values())]
                values = {**copies, **{x: y.value for x, y in used.items()}}
                s = change_stmt(s, lambda e, v=values: v.get(e.var) if isinstance(e, Ref) else None)  # type: ignore[misc]
                s = _adding(s) if isinstance(s, Store) else s
            changed = written([s])
            if isinstance(s, Assign) and s.value == Ref(s.var):
                continue
            waiting = {x: y for x, y in waiting.items() if not changed & {x, *names(y.value)}}
            copies = {x: e for x, e in copies.items() if not changed & {x, *names(e)}}
            if isinstance(s, Assign) and isinstance(s.value, Ref):
                copies[s.var] = s.value
            elif isinstance(s, Assign) and self.uses[s.var] == 2 and s.var not in names(s.value):
                waiting[s.var] = s
            out.append(s)
        return _restored(out)


def _living(body: list[Stmt], read: Counter[Name]) -> list[Stmt]:
    """A body without scalars that nobody reads."""
    return [
        with_bodies(s, [_living(b, read) for b in children(s)])
        for s in body
        if not isinstance(s, Assign) or read[s.var]
    ]


def _restored(body: list[Stmt]) -> list[Stmt]:
    """A body without what clears an element and then adds what it was."""
    found: dict[Scalar, tuple[Assign, Store | None]] = {}
    gone: list[Stmt] = []
    for s in body:
        if isinstance(s, Store) and s.add and isinstance(s.value, Ref) and s.value.var in found:
            taken, cleared = found[s.value.var]
            if cleared is not None and taken.value == Load(s.array, s.index):
                gone += [cleared, s]
                del found[s.value.var]
                continue
        if isinstance(s, Store) and not s.add and is_zero(s.value):
            for var, (taken, cleared) in found.items():
                if cleared is None and taken.value == Load(s.array, s.index):
                    found[var] = taken, s
                    break
            else:
                var = None
            found = {x: y for x, y in found.items() if x is var or s.array.root not in names(y[0].value)}
            continue
        used = {x for t in walk([s]) for x in touched(t)}
        changed = written([s])
        found = {
            x: (taken, cleared)
            for x, (taken, cleared) in found.items()
            if x not in changed
            and not changed & set(names(taken.value))
            and (cleared is None or cleared.array.root not in used)
        }
        if isinstance(s, Assign) and isinstance(s.value, Load) and s.var not in names(s.value):
            found[s.var] = s, None
    return [s for s in body if not any(s is x for x in gone)]


def _adding(s: Store) -> Store:
    """`a[i] = a[i] + e` as an addition."""
    e = s.value
    if s.add or s.array.element not in FLOATS or not isinstance(e, Apply) or e.op not in ("add", "sub"):
        return s
    here = Load(s.array, s.index)
    for mine, other in (e.args, e.args[::-1]):
        if mine == here and (e.op == "add" or mine is e.args[0]):
            return replace(s, value=other if e.op == "add" else apply("neg", other), add=True)
    return s


def _loops(body: list[Stmt]) -> list[For]:
    return [s for s in body if isinstance(s, For) and abs(s.step) == 1]


def _may_sum(middle: For) -> bool:
    """Whether loops in a loop change numbers: `joined` makes sums of what is there, and adds nothing."""
    return any(
        (isinstance(s, Store) and s.array.element in FLOATS)
        or (isinstance(s, Assign) and s.var.type in FLOATS)
        for inner in _loops(middle.body)
        for s in inner.body
    )


class _Loop(Nest):
    """A loop, and what is to be changed in it."""

    def sums(self) -> Iterator[Sum]:
        for top, middle in enumerate(self.outer.body):
            if not isinstance(middle, For) or abs(middle.step) != 1:
                continue
            for inner in _loops(middle.body):
                for s in inner.body:
                    if isinstance(s, Store) and s.add and s.array.element in FLOATS:
                        yield Sum(s, middle, inner, top, s.value, s.array, s.index)
                    elif isinstance(s, Assign) and s.var.type in FLOATS:
                        added = _added(s)
                        if added is not None:
                            yield Sum(s, middle, inner, top, added, s.var)

    def element(self, s: Sum) -> Sum | None:
        """The sum of an element instead of a scalar's, if all that is done with that is to add it there."""
        var, at = s.target, next(k for k, x in enumerate(s.middle.body) if x is s.inner)
        if not isinstance(var, Scalar):
            return None
        zero = any(isinstance(x, Assign) and x.var is var and is_zero(x.value) for x in s.middle.body[:at])
        if not zero or self.uses[var] != 4:
            return None
        for x in s.middle.body[at + 1 :]:
            last: Stmt = x
            if isinstance(x, If) and len(x.then) == 1 and not x.orelse and self.some(x.condition, s.inner):
                last = x.then[0]
            if isinstance(last, Store) and last.add and last.value == Ref(var):
                return replace(s, target=last.array, index=last.index, last=x)
        return None

    def some(self, condition: Expr, loop: For) -> bool:
        """Whether a condition says that a loop has an iteration."""
        if not isinstance(condition, Apply) or condition.op not in ("lt", "gt"):
            return False
        a, b = (affine(self.spelled(e)) for e in condition.args)
        low, high = self.ends(loop)
        return (plus(b, a, -1) if condition.op == "lt" else plus(a, b, -1)) == plus(high, low, -1)

    # ---- the loop as it becomes

    def made(self, change: Change) -> list[Stmt]:
        outer = replace(self.outer, body=clone(self.rebuilt(self.outer.body, change)))
        then = [*expanded(change.before), outer, *expanded(change.after)]
        return [If(change.large, then, [self.copied()], line=self.outer.line)]

    def copied(self) -> Stmt:
        """The loop as it was, in variables of its own: what is assigned in one place can be followed."""
        mine = Counter(mentions([self.outer]))
        own = {x for x in self.changed if mine[x] == self.uses[x]} - exposed([self.outer])
        names: dict[Name, Name] = {
            s.var: Scalar(s.var.name, I64) for s in walk([self.outer]) if isinstance(s, For)
        }
        for x in own:
            names[x] = Scalar(x.name, x.type) if isinstance(x, Scalar) else Array(x.name, x.dtype, x.ndim)
        (made,) = Renaming(names).body([self.outer])
        return made

    def rebuilt(self, body: list[Stmt], change: Change) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            out += change.ahead.get(id(s), [])
            if id(s) in change.gone:
                continue
            made = with_bodies(s, [self.rebuilt(b, change) for b in children(s)]) if children(s) else s
            if isinstance(s, For) and isinstance(made, For) and self.useless(s, made):
                continue
            out.append(made)
        return out

    def useless(self, was: For, made: For) -> bool:
        """Whether a loop of which something is gone only sets scalars that nobody else reads."""
        inside = list(walk(made.body))
        if len(inside) == len(list(walk(was.body))) or not all(isinstance(x, Assign) for x in inside):
            return False
        counts = Counter(mentions(was.body))
        return all(counts[x.var] == self.uses[x.var] for x in inside if isinstance(x, Assign))


def _added(s: Assign) -> Expr | None:
    """The `e` of `x = x + e`, or of `x = x - e` its negative."""
    e = s.value
    if not isinstance(e, Apply) or e.op not in ("add", "sub"):
        return None
    for mine, other in (e.args, e.args[::-1]):
        if mine == Ref(s.var) and s.var not in names(other):
            if e.op == "sub":
                return apply("neg", other) if mine is e.args[0] else None
            return other
    return None
