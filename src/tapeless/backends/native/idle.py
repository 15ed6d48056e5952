"""Iterations of the reverse sweep that pass no cotangent on, skipped.

    best_bar = total_bar                            best_bar, alive = total_bar, True
    for c in reversed(range(n)):                    for c in reversed(range(n)):
        t_bar = 0.0                                     t_bar = 0.0
        if taken[c]:                                    if taken[c]:
            t_bar, best_bar = best_bar, 0.0                 t_bar, best_bar = best_bar, 0.0
        x_bar[c] += t_bar * e                           if taken[c] and alive:
                                                            x_bar[c] += t_bar * e
                                                            alive = False

That is the reverse of a running minimum, or of a value that a branch overwrites: the last taken iteration
gets the whole cotangent.  What is skipped is zero whatever the numbers are, and so are its derivatives.
A loop that hands a cotangent on in this way does not run in vectors, so nothing is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.fuse import with_bodies
from tapeless.backends.native.nest import (
    BOOL,
    FALSE,
    FLOATS,
    TRUE,
    Apply,
    Assign,
    Comment,
    Const,
    Expr,
    For,
    If,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    children,
    walk,
)
from tapeless.backends.native.scopes import exposed, reads, touched, writes, written


class Idle:
    """Skips idle parts of loops of a reverse sweep that is part of `whole`."""

    def __init__(self, whole: list[Stmt], results: Iterable[Name]) -> None:
        self.uses: Counter[Name] = Counter(x for s in walk(whole) for x in touched(s))
        self.uses.update(map(root, results))

    def body(self, body: list[Stmt]) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            inner = [self.body(b) for b in children(s)]
            s = with_bodies(s, inner) if inner else s
            out += self.loop(s) if isinstance(s, For) else [s]
        return out

    def loop(self, s: For) -> list[Stmt]:
        """The loop, with what it does under a condition where that is all that it does."""
        for at, branch in enumerate(s.body):
            if not isinstance(branch, If) or not isinstance(branch.condition, Ref):
                continue
            for taken, there, other in (
                (branch.condition, branch.then, branch.orelse),
                (apply("not", branch.condition), branch.orelse, branch.then),
            ):
                if self.cut(s, at, there, other):
                    return self.skipping(s, at, taken)
        return [s]

    def cut(self, s: For, at: int, there: list[Stmt], other: list[Stmt]) -> bool:
        """Whether all after a branch is idle but where one side of it takes a cotangent that is handed on."""
        before, branch, after = s.body[:at], s.body[at], s.body[at + 1 :]
        assert isinstance(branch, If) and isinstance(branch.condition, Ref)
        plain = all(isinstance(x, Assign) for x in (*there, *other))
        if not plain or not after or branch.condition.var in written([branch, *after]):
            return False
        here = Counter(x for t in walk(after) for x in touched(t))
        own: set[Name] = {x for x in written(after) if isinstance(x, Scalar) and here[x] == self.uses[x]}
        start = _zeros(before, set())
        if not _idle(after, _zeros(other, start), own):
            return False
        nothing = _zeros(there, start)
        for x in exposed(s.body) & written([branch]) - written(after):
            if x in nothing and isinstance(x, Scalar) and x.type in FLOATS:
                start = _zeros(before, {x})
                ends = _zeros(there, start), _zeros(other, start)
                if all(x in end and _idle(after, end, own) for end in ends):
                    return True
        return False

    def skipping(self, s: For, at: int, taken: Expr) -> list[Stmt]:
        before, branch, after = s.body[:at], s.body[at], s.body[at + 1 :]
        inside = Counter(x for t in walk(after) for x in touched(t))
        changed = written([branch])
        kept: list[Stmt] = []
        moved: list[Stmt] = []
        for t in reversed(before):  # what only the rest reads moves there
            wanted = isinstance(t, Assign) and inside[t.var] == self.uses[t.var] - 1
            if wanted and not changed & {*reads(t), *writes(t)}:
                moved.insert(0, t)
                inside.update(touched(t))
            else:
                kept.insert(0, t)
                changed |= written([t])
        alive = Scalar("alive", BOOL)
        rest = If(apply("all", taken, Ref(alive)), [*moved, *after, Assign(alive, FALSE)], line=s.line)
        return [Assign(alive, TRUE, line=s.line), replace(s, body=[*kept, branch, rest])]


def _zeros(body: list[Stmt], zeros: set[Name]) -> set[Name]:
    """The scalars that are zero after a body, of what is zero before it: in whatever way it runs."""
    found = set(zeros)
    for s in body:
        if isinstance(s, Assign):
            value = _zero(s.value, found)
            found.discard(s.var)
            if value:
                found.add(s.var)
        else:
            found -= written([s])
    return found


def _zero(e: Expr, zeros: set[Name]) -> bool:
    """Whether a share of a cotangent is zero."""
    if isinstance(e, Const):
        return e.type in FLOATS and e.value == 0
    if isinstance(e, Ref):
        return e.var in zeros
    if not isinstance(e, Apply) or e.type not in FLOATS:
        return False
    if e.op in ("mul", "mulz"):
        return any(_zero(a, zeros) for a in e.args)
    if e.op in ("add", "sub"):
        return all(_zero(a, zeros) for a in e.args)
    if e.op == "select":
        return all(_zero(a, zeros) for a in e.args[1:])
    return e.op in ("neg", "div") and _zero(e.args[0], zeros)


def _idle(body: list[Stmt], zeros: set[Name], own: set[Name]) -> bool:
    """Whether a body only adds zeros, but for `own`, which nobody else reads."""
    now = set(zeros)
    for s in body:
        if isinstance(s, Assign):
            if s.var in own:
                now = _zeros([s], now)
            elif not _adds_zero(s, now) and not (s.var in now and _zero(s.value, now)):
                return False
        elif isinstance(s, Store):
            if not s.add or not _zero(s.value, now):
                return False
        elif isinstance(s, (For, If)):
            # in a loop, what holds before it must hold in all iterations
            now -= written([s]) if isinstance(s, For) else set()
            if not all(_idle(b, now, own) for b in children(s)):
                return False
            now -= written([s])
        elif not isinstance(s, Comment):
            return False
    return True


def _adds_zero(s: Assign, zeros: set[Name]) -> bool:
    e = s.value
    if not isinstance(e, Apply) or e.op not in ("add", "sub"):
        return False
    a, b = e.args
    if a == Ref(s.var):
        return _zero(b, zeros)
    return e.op == "add" and b == Ref(s.var) and _zero(a, zeros)
