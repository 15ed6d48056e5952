"""Partials of the rule book as expressions: the body of a rule's lambda with the operands put in."""

from __future__ import annotations

import ast
import inspect
from types import FunctionType
from typing import Any

import numpy as np

from tapeless.autodiff.residuals import Expr, binary, call, lit, unary
from tapeless.errors import TapelessError
from tapeless.frontend.source import node_of
from tapeless.rules import Elementwise
from tapeless.rules.operators import sign

_OPS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.FloorDiv, ast.Mod)


class Opaque(Exception):
    """The lambda is not an expression that can be written inline."""


def partials(rule: Elementwise, y: Expr, operands: list[Expr]) -> list[Expr | None]:
    """The partial with respect to each operand."""
    if rule.separate:
        out: list[Expr | None] = []
        for i in range(len(operands)):
            p = rule.partials[i] if i < len(rule.partials) else None
            out.append(None if p is None else _one(p, y, operands)[0])
        return out
    found = _one(rule.partials, y, operands, together=len(operands) > 1)
    return found + [None] * (len(operands) - len(found))


def _one(fn: FunctionType, y: Expr, operands: list[Expr], together: bool = False) -> list[Expr | None]:
    """What `fn` gives as expressions: `together` the partials by several operands, else one."""
    try:
        node = node_of(fn.__code__, fn.__globals__)
        if not isinstance(node, ast.Lambda):
            raise Opaque
        names = [a.arg for a in node.args.args]
        scope: dict[str, Expr] = dict(zip(names, [y, *operands], strict=False))
        for name, default in zip(reversed(names), reversed(fn.__defaults__ or ()), strict=False):
            scope.setdefault(name, lit(default))
        body = node.body
        if not isinstance(body, ast.Tuple) and together:
            raise Opaque  # what it calls gives the tuple
        parts = body.elts if isinstance(body, ast.Tuple) else [body]
        return [
            None if isinstance(p, ast.Constant) and p.value is None else _expr(p, scope, fn) for p in parts
        ]
    except (Opaque, TapelessError):
        whole = call(fn, y, *operands)
        if not together and not _gives_tuple(fn):
            return [whole]
        return [Expr("getitem", (whole, lit(i))) for i in range(len(operands))]


def _gives_tuple(fn: FunctionType) -> bool:
    try:
        node = node_of(fn.__code__, fn.__globals__)
    except TapelessError:
        return False
    return isinstance(node, ast.Lambda) and (isinstance(node.body, ast.Tuple) or node.args.vararg is not None)


def _expr(node: ast.expr, scope: dict[str, Expr], fn: FunctionType) -> Expr:
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float):
            return lit(value)
        case ast.Name(id=name) if name in scope:
            return scope[name]
        case ast.BinOp(left=a, op=op, right=b) if isinstance(op, _OPS):
            return binary(type(op).__name__, _expr(a, scope, fn), _expr(b, scope, fn))
        case ast.UnaryOp(op=ast.USub(), operand=a):
            return unary("USub", _expr(a, scope, fn))
        case ast.Call(func=f, args=args, keywords=[]):
            target = _value(f, fn)
            inner = [_expr(a, scope, fn) for a in args]
            if target is sign:
                return Expr("sign", tuple(inner))
            return call(target, *inner)
        case ast.IfExp(
            test=ast.Compare(left=ast.Name(id=name), ops=[ast.Is()], comparators=[ast.Constant(value=None)]),
            body=absent,
            orelse=given,
        ) if name in scope and scope[name].kind == "lit":
            return _expr(absent if scope[name].args[0] is None else given, scope, fn)
        case ast.IfExp(test=ast.Call(func=f), orelse=real) if _value(f, fn) is np.iscomplexobj:
            return _expr(real, scope, fn)  # complex numbers are not differentiated here
        case ast.Name() | ast.Attribute():
            value = _value(node, fn)
            if isinstance(value, int | float):
                return lit(float(value) if isinstance(value, float) else value)
    raise Opaque


def _value(node: ast.expr, fn: FunctionType) -> Any:
    """A global of the rule's module, or an attribute of one."""
    match node:
        case ast.Name(id=name):
            if name in fn.__globals__:
                return fn.__globals__[name]
            found = inspect.getclosurevars(fn).builtins.get(name)
            if found is not None:
                return found
        case ast.Attribute(value=base, attr=attr):
            return getattr(_value(base, fn), attr)
    raise Opaque
