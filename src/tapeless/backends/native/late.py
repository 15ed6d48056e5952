"""Failures of numbers are looked for after a loop that vector units can run, not in it.

    for i in range(n):                      failed = False
        t = exp(x[i])                       for i in range(n):
        check(t is finite)                      t = exp(x[i])
        total += t                              failed = failed or t is not finite
                                                total += t
                                            if failed:
                                                the loop again, from where it began, as it was

It is done where nothing of the loop is seen if it fails, where it can run again, and where what comes after a
failure does no harm: numbers do none, but a check of an index stays before the access.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.fuse import with_bodies
from tapeless.backends.native.nest import (
    BOOL,
    FALSE,
    FLOATS,
    I64,
    Apply,
    Array,
    Assign,
    Check,
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
    expressions,
    walk,
)
from tapeless.backends.native.renaming import Renaming
from tapeless.backends.native.scopes import exposed, reads, touched, writes
from tapeless.backends.native.sweeps import Loop

#: Questions about floats; those are what a check may ask that comes late.
ASKS = ("isnan", "isinf", "isfinite", "lt", "le", "gt", "ge", "eq", "ne")


def late(fn: Function) -> Function:
    """`fn` with such checks after their loops."""
    return replace(fn, body=_Late(fn).body(fn.body))


class _Late:
    def __init__(self, fn: Function) -> None:
        self.theirs = {p for p in fn.params if isinstance(p, Array)}
        self.uses: Counter[Name] = Counter(x for s in walk(fn.body) for x in touched(s))
        self.uses.update(root(x) for x in (*fn.params, *fn.results))

    def body(self, body: list[Stmt]) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            made = self.loop(s) if isinstance(s, For) else None
            out += made or [with_bodies(s, [self.body(b) for b in children(s)])]
        return out

    def loop(self, s: For) -> list[Stmt] | None:
        checks = [x for x in s.body if isinstance(x, Check)]
        if not checks or abs(s.step) != 1 or not all(_asks(x.condition) for x in checks):
            return None
        if not all(isinstance(x, (Assign, Store, Check, Comment)) and _harmless(x) for x in s.body):
            return None
        changed = {x for y in s.body for x in writes(y)}
        read = {x for y in s.body for x in reads(y)}
        arrays = {x for x in changed if isinstance(x, Array)}
        if arrays & (read | self.theirs):
            return None
        plain = replace(s, body=[x for x in s.body if not isinstance(x, Check)])
        uses = Counter({x: n for x, n in self.uses.items() if isinstance(x, Scalar)})
        uses.subtract(x for y in checks for x in touched(y) if isinstance(x, Scalar))
        if not Loop(plain).any_order(uses):
            return None
        failed = Scalar("failed", BOOL)
        raised = [_raised(failed, x) if isinstance(x, Check) else x for x in s.body]
        held = {x: Scalar(x.name, x.type) for x in changed & exposed(s.body) if isinstance(x, Scalar)}
        again = Renaming({s.var: Scalar(s.var.name, I64)}).stmt(s)
        return [
            Assign(failed, FALSE),
            *(Assign(copy, Ref(x)) for x, copy in held.items()),
            replace(s, body=raised),
            If(Ref(failed), [*(Assign(x, Ref(copy)) for x, copy in held.items()), again], line=s.line),
        ]


def _raised(failed: Scalar, s: Check) -> Assign:
    return Assign(failed, apply("any", Ref(failed), apply("not", s.condition)), line=s.line)


def _asks(e: Expr) -> bool:
    """Whether a condition is about floats alone."""
    if isinstance(e, Apply):
        if e.op in ASKS:
            return e.args[0].type in FLOATS
        return e.op in ("all", "any", "not") and all(map(_asks, e.args))
    return isinstance(e, Const)


def _harmless(s: Stmt) -> bool:
    """Whether a statement may run after a failure: it divides no integers and makes none of floats."""
    return all(map(_plain, expressions(s)))


def _plain(e: Expr) -> bool:
    if isinstance(e, Apply):
        if e.type == I64 and e.op in ("floordiv", "mod", "cast", "pow", "shl", "shr"):
            return False
        return all(map(_plain, e.args))
    return not isinstance(e, Load) or all(map(_plain, e.index))
