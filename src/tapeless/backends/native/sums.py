"""Sums written step by step, as additions: what a branch adds or not, and an element read and written back.

    if test:                            total = total + (e if test else -0.0)
        new = total + e
    else:
        new = total
    total = new

    t = a[i]                            a[i] += e
    a[i] = t + e

The derivative of an addition needs neither the branch nor what was there before, and sums run in vectors.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.fuse import with_bodies
from tapeless.backends.native.nest import (
    COMPARISONS,
    FLOATS,
    Apply,
    Assign,
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
    walk,
)
from tapeless.backends.native.normalise import size
from tapeless.backends.native.renaming import substituted
from tapeless.backends.native.scopes import names, touched, written

#: What may be computed where it is not wanted, and how much of it.
QUICK = {"add", "sub", "mul", "neg", "select", "all", "any", "not", *COMPARISONS}
MOST = 8


def sums(fn: Function) -> Function:
    """`fn` with additions for such branches and stores, in loops."""
    return replace(fn, body=_Sums(fn).body(fn.body, False))


class _Sums:
    def __init__(self, fn: Function) -> None:
        self.uses: Counter[Name] = Counter(x for s in walk(fn.body) for x in touched(s))
        self.uses.update(root(x) for x in (*fn.params, *fn.results))
        assigned = Counter(s.var for s in walk(fn.body) if isinstance(s, Assign))
        self.once = {x for x, n in assigned.items() if n == 1}

    def body(self, body: list[Stmt], inside: bool) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            bodies = [self.body(b, inside or isinstance(s, For)) for b in children(s)]
            if bodies:
                s = with_bodies(s, bodies)
            made = self.branch(s) if isinstance(s, If) and inside else None
            if made is not None:
                self.uses.subtract(x for t in walk([s]) for x in touched(t))
                self.uses.update(x for t in made for x in touched(t))
            out += [s] if made is None else made
        return self.elements(self.copies(out)) if inside else out

    # ---- branches

    def branch(self, s: If) -> list[Assign] | None:
        """Additions in the place of a branch that does nothing else."""
        then, orelse = _values(s.then), _values(s.orelse)
        if then is None or orelse is None or not _quick(s.condition):
            return None
        inner = Counter(x for b in children(s) for t in b for x in touched(t))
        seen = [x for x in dict.fromkeys((*then, *orelse)) if inner[x] != self.uses[x]]
        if not any(x.type in FLOATS for x in seen):
            return None
        out: list[Assign] = []
        for x in seen:
            a, b = then.get(x, Ref(x)), orelse.get(x, Ref(x))
            made = _sum(s.condition, a, b) if x.type in FLOATS else apply("select", s.condition, a, b)
            if made is None:
                return None
            out.append(Assign(x, made, line=s.line))
        others = [{*names(a.value)} - {a.var} for a in out]
        if {*names(s.condition)}.isdisjoint(seen) and all(x.isdisjoint(seen) for x in others):
            return out
        return None

    def copies(self, body: list[Stmt]) -> list[Stmt]:
        """`y = x + e; x = y` as `x = x + e`, if that is all there is to `y`, and `x` is not used between."""
        out: list[Stmt] = []
        for s in body:
            if isinstance(s, Assign) and isinstance(s.value, Ref) and self.uses[s.value.var] == 2:
                x, y = s.var, s.value.var
                at = next((k for k, t in enumerate(out) if isinstance(t, Assign) and t.var is y), None)
                if at is not None and not any(x in touched(t) for t in walk(out[at + 1 :])):
                    was = out[at]
                    assert isinstance(was, Assign)
                    if isinstance(was.value, Apply) and Ref(x) in was.value.args:
                        self.uses.subtract((y, y))
                        out[at] = replace(was, var=x)
                        continue
            out.append(s)
        return out

    # ---- elements

    def elements(self, body: list[Stmt]) -> list[Stmt]:
        """Additions in the place of elements that are read, added to and written back."""
        gone: set[int] = set()
        out: list[Stmt] = []
        for k, s in enumerate(body):
            if isinstance(s, Store) and not s.add and s.array.element in FLOATS:
                found = self.element(body, k, s)
                if found is not None:
                    parts, s = found
                    gone.update(map(id, parts))
            out.append(s)
        return [s for s in out if id(s) not in gone]

    def element(self, body: list[Stmt], at: int, s: Store) -> tuple[list[Stmt], Store] | None:
        """The statements that go and the addition in the place of a store."""
        parts: list[Stmt] = []
        value = s.value
        if isinstance(value, Ref):
            sum_at = self.given(body, at, value.var)
            if sum_at is None:
                return None
            parts.append(body[sum_at])
            value = body[sum_at].value  # type: ignore[attr-defined]
            if {*names(value)} & written(body[sum_at + 1 : at]):
                return None
        if not isinstance(value, Apply) or value.op not in ("add", "sub"):
            return None
        for mine, e in (value.args, value.args[::-1]):
            load_at = self.given(body, at, mine.var) if isinstance(mine, Ref) else None
            if load_at is None or (value.op == "sub" and mine is not value.args[0]):
                continue
            old = body[load_at].value  # type: ignore[attr-defined]
            between = body[load_at + 1 : at]
            if not isinstance(old, Load) or old.array is not s.array or s.array.root in written(between):
                continue
            here = [self.spelled(body, at, i) for i in s.index]
            if [self.spelled(body, load_at, i) for i in old.index] != here:
                continue
            if {x for i in here for x in names(i)} & written(between):
                continue
            add = e if value.op == "add" else apply("neg", e)
            return [*parts, body[load_at]], replace(s, value=add, add=True)
        return None

    def given(self, body: list[Stmt], before: int, x: Scalar) -> int | None:
        """Where a scalar that is read once, later on, gets its one value."""
        if x not in self.once or self.uses[x] != 2:
            return None
        return next((k for k, s in enumerate(body[:before]) if isinstance(s, Assign) and s.var is x), None)

    def spelled(self, body: list[Stmt], before: int, e: Expr) -> Expr:
        """An index with scalars spelled out whose definitions in this body still hold at a statement."""
        known: dict[Scalar, Expr] = {}
        for k, s in enumerate(body[:before]):
            if isinstance(s, Assign) and s.var in self.once:
                value = substituted(s.value, known)
                if not {*names(value)} & written(body[k + 1 : before]):
                    known[s.var] = value
        return substituted(e, known)


def _values(body: list[Stmt]) -> dict[Scalar, Expr] | None:
    """What a branch sets, in terms of what was there before it; None if it does anything else, or much."""
    found: dict[Scalar, Expr] = {}
    for s in body:
        if not isinstance(s, Assign):
            return None
        found[s.var] = substituted(s.value, found)
        if not _quick(found[s.var]) or size(found[s.var]) > MOST:
            return None
    return found


def _quick(e: Expr) -> bool:
    """Whether an expression is cheap, cannot fail and looks nothing up."""
    if isinstance(e, Apply):
        return e.op in QUICK and all(map(_quick, e.args))
    return not isinstance(e, Load)


def _sum(condition: Expr, then: Expr, orelse: Expr) -> Expr | None:
    """`x + (a if condition else b)` for `x + a` and `x + b`; None if they have no such form."""
    for base, a in _terms(then):
        for other, b in _terms(orelse):
            if base == other and (a is not None or b is not None):
                nothing = Const(-0.0, base.type)  # x + -0.0 is x, of either zero
                choice = apply("select", condition, nothing if a is None else a, nothing if b is None else b)
                return apply("add", base, choice)
    return None


def _terms(e: Expr) -> list[tuple[Ref, Expr | None]]:
    """A scalar and what is added to it."""
    if isinstance(e, Ref):
        return [(e, None)]
    if not isinstance(e, Apply) or e.op not in ("add", "sub"):
        return []
    a, b = e.args
    found: list[tuple[Ref, Expr | None]] = []
    if isinstance(a, Ref):
        found.append((a, b if e.op == "add" else apply("neg", b)))
    if isinstance(b, Ref) and e.op == "add":
        found.append((b, a))
    return found
