"""Rebuilding nests: expressions and bodies with a part replaced, nothing changed in place."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import is_not
from typing import Any

from tapeless.backends.native.nest import (
    Alias,
    Alloc,
    Apply,
    Assign,
    Check,
    Expr,
    For,
    Grow,
    If,
    Intrinsic,
    Load,
    Stmt,
    Store,
    While,
    apply,
)

Change = Callable[[Expr], Expr | None]


def change_expr(e: Expr, change: Change) -> Expr:
    """`e` with every sub-expression for which `change` gives another one replaced by it, from the top."""
    made = change(e)
    if made is not None:
        return made
    if isinstance(e, Apply):
        args = tuple([change_expr(a, change) for a in e.args])
        if not any(map(is_not, args, e.args)):
            return e
        return Apply("cast", args, e.type) if e.op == "cast" else apply(e.op, *args)
    if isinstance(e, Load):
        index = tuple([change_expr(i, change) for i in e.index])
        return Load(e.array, index) if any(map(is_not, index, e.index)) else e
    return e


def change_body(body: list[Stmt], change: Change) -> list[Stmt]:
    """A body with the expressions of all its statements, and of those inside them, changed."""
    return [change_stmt(s, change) for s in body]


def change_stmt(s: Stmt, change: Change) -> Stmt:
    def some(es: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return tuple(change_expr(e, change) for e in es)

    new: dict[str, Any] = {}
    if isinstance(s, Assign):
        new = {"value": change_expr(s.value, change)}
    elif isinstance(s, Store):
        new = {"index": some(s.index), "value": change_expr(s.value, change)}
    elif isinstance(s, (Alloc, Alias)):
        new = {"shape": some(s.shape)}
    elif isinstance(s, Grow):
        new = {"size": change_expr(s.size, change)}
    elif isinstance(s, For):
        new = {
            "start": change_expr(s.start, change),
            "stop": change_expr(s.stop, change),
            "body": change_body(s.body, change),
        }
    elif isinstance(s, While):
        new = {
            "test": change_body(s.test, change),
            "condition": change_expr(s.condition, change),
            "body": change_body(s.body, change),
        }
    elif isinstance(s, If):
        new = {
            "condition": change_expr(s.condition, change),
            "then": change_body(s.then, change),
            "orelse": change_body(s.orelse, change),
        }
    elif isinstance(s, Check):
        new = {"condition": change_expr(s.condition, change)}
    elif isinstance(s, Intrinsic):
        new = {"ins": tuple(change_expr(x, change) if isinstance(x, Expr) else x for x in s.ins)}
    return dataclasses.replace(s, **new) if new else s
