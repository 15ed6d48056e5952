"""What a program prints it prints once, though its derivative runs it again and again.

Random numbers that it draws are others in every run, so such a program is run once only.
"""

from __future__ import annotations

from dataclasses import replace

from tapeless.backends.native.nest import Expr, For, If, Intrinsic, Stmt, While, walk


def prints(body: list[Stmt]) -> bool:
    return any(isinstance(s, Intrinsic) and s.name == "print" for s in walk(body))


def draws(body: list[Stmt]) -> bool:
    return any(isinstance(s, Intrinsic) and s.name == "random" for s in walk(body))


def printing(body: list[Stmt], condition: Expr | None) -> list[Stmt]:
    """A body that prints where the condition holds, or never."""
    if not prints(body):
        return body
    out: list[Stmt] = []
    for s in body:
        if isinstance(s, Intrinsic) and s.name == "print":
            if condition is not None:
                out.append(If(condition, [s], line=s.line))
            continue
        if isinstance(s, For):
            s = replace(s, body=printing(s.body, condition))
        elif isinstance(s, While):
            s = replace(s, test=printing(s.test, condition), body=printing(s.body, condition))
        elif isinstance(s, If):
            s = replace(s, then=printing(s.then, condition), orelse=printing(s.orelse, condition))
        out.append(s)
    return out
