"""Copies of nests with other variables and arrays in place of some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import is_not
from typing import overload

from tapeless.backends.native.nest import (
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Check,
    Dim,
    Expr,
    For,
    Grow,
    If,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    While,
    apply,
)

Names = Mapping[Scalar | Array, Scalar | Array]


def map_leaves(e: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """`e` with `change` applied to what is no `Apply` in it, from the inside out."""
    if isinstance(e, Apply):
        args = tuple([map_leaves(a, change) for a in e.args])
        if not any(map(is_not, args, e.args)):
            return e
        return Apply(e.op, args, e.type) if e.op == "cast" else apply(e.op, *args)
    if isinstance(e, Load):
        index = tuple([map_leaves(i, change) for i in e.index])
        if any(map(is_not, index, e.index)):
            e = Load(e.array, index)
    return change(e)


def substituted(e: Expr, values: Mapping[Scalar, Expr]) -> Expr:
    """`e` with expressions in the place of some scalars."""
    return map_leaves(e, lambda x: values.get(x.var, x) if isinstance(x, Ref) else x)


class Renaming:
    """Replaces names in expressions and statements; the names given may still change between two uses."""

    def __init__(self, names: Names) -> None:
        self.names = names

    @overload
    def name(self, x: Scalar) -> Scalar: ...
    @overload
    def name(self, x: Array) -> Array: ...
    @overload
    def name(self, x: Scalar | Array) -> Scalar | Array: ...
    def name(self, x: Scalar | Array) -> Scalar | Array:
        return self.names.get(x, x)

    def leaf(self, e: Expr) -> Expr:
        if isinstance(e, Ref) and e.var in self.names:
            return Ref(self.name(e.var))
        if isinstance(e, Load) and e.array in self.names:
            return Load(self.name(e.array), e.index)
        if isinstance(e, Dim) and e.array in self.names:
            return Dim(self.name(e.array), e.axis)
        return e

    def expr(self, e: Expr) -> Expr:
        return map_leaves(e, self.leaf)

    def exprs(self, es: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return tuple(self.expr(e) for e in es)

    def body(self, body: list[Stmt]) -> list[Stmt]:
        return [self.stmt(s) for s in body]

    def stmt(self, s: Stmt) -> Stmt:
        """A copy of `s`, bodies included."""
        n = s.line
        if isinstance(s, Assign):
            return Assign(self.name(s.var), self.expr(s.value), line=n)
        if isinstance(s, Store):
            return Store(self.name(s.array), self.exprs(s.index), self.expr(s.value), s.add, line=n)
        if isinstance(s, Alloc):
            return Alloc(self.name(s.array), self.exprs(s.shape), line=n)
        if isinstance(s, Alias):
            return Alias(self.name(s.array), self.exprs(s.shape), line=n)
        if isinstance(s, Grow):
            return Grow(self.name(s.array), self.expr(s.size), s.clear, line=n)
        if isinstance(s, Swap):
            return Swap(self.name(s.a), self.name(s.b), line=n)
        if isinstance(s, For):
            var, start, stop = self.name(s.var), self.expr(s.start), self.expr(s.stop)
            return For(var, start, stop, self.body(s.body), s.step, s.independent, s.lanes, line=n)
        if isinstance(s, While):
            return While(self.body(s.test), self.expr(s.condition), self.body(s.body), line=n)
        if isinstance(s, If):
            return If(self.expr(s.condition), self.body(s.then), self.body(s.orelse), line=n)
        if isinstance(s, Check):
            return Check(self.expr(s.condition), s.failure, line=n)
        if isinstance(s, Intrinsic):
            outs = tuple(self.name(x) for x in s.outs)
            ins = tuple(self.name(x) if isinstance(x, Array) else self.expr(x) for x in s.ins)
            return Intrinsic(s.name, outs, ins, dict(s.attrs), line=n)
        return s


class Companions:
    """Variables that go with others: a scalar for a scalar, an array of its shape for an array."""

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix
        self.scalars: dict[Scalar, Scalar] = {}
        self.arrays: dict[Array, Array] = {}

    def scalar(self, x: Scalar) -> Scalar:
        if x not in self.scalars:
            self.scalars[x] = Scalar(x.name + self.suffix, x.type)
        return self.scalars[x]

    def array(self, a: Array) -> Array:
        if a not in self.arrays:
            alias = None if a.alias is None else self.array(a.alias)
            self.arrays[a] = Array(a.name + self.suffix, a.dtype, a.ndim, alias=alias)
        return self.arrays[a]


def clone(body: list[Stmt]) -> list[Stmt]:
    """A copy of a body that shares only names and expressions with it."""
    return Renaming({}).body(body)
