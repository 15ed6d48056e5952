"""Tangents of single operations: each is a sum of terms that are linear in the tangents of the operands.

This is the one place where values become derivatives.  `linearize` collects these terms along the value
program,
`transpose` runs them backwards, and the forward mode prints them beside the values.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapeless.autodiff.partials import partials
from tapeless.autodiff.residuals import Expr, binary, call, lit, unary
from tapeless.program.ir import Lit, Op, Var
from tapeless.rules import Elementwise, Jvp, Linear, lookup
from tapeless.rules.operators import power_by_exponent
from tapeless.specialise.types import Array, NotTyped, Scalar


@dataclass(slots=True, eq=False)
class Term:
    """`sign * mul * x / div`, or `form` applied to `x`: the contribution of the linear variable `x`."""

    x: Any
    sign: int = 1
    mul: Expr | None = None
    div: Expr | None = None
    form: Any = None
    like: Expr | None = None
    """The operand, where the result may have been broadcast against it."""

    def refs(self) -> list[Any]:
        out = []
        for e in (self.mul, self.div, self.like):
            if e is not None:
                out += list(e.refs())
        if self.form is not None:
            for e in self.form.exprs():
                out += list(e.refs())
        return out


@dataclass(slots=True, eq=False)
class Form:
    """A linear function given by a rule: argument `position` of `rule` varies, the others are `args`."""

    rule: Linear
    args: tuple[Expr | None, ...]
    keywords: tuple[tuple[str, Expr], ...]
    position: int

    def exprs(self) -> list[Expr]:
        return [a for a in self.args if a is not None] + [e for _, e in self.keywords]

    def mapped(self, f: Callable[[Expr], Expr]) -> Form:
        args = tuple(None if a is None else f(a) for a in self.args)
        return Form(self.rule, args, tuple((k, f(e)) for k, e in self.keywords), self.position)


@dataclass(slots=True, eq=False)
class Pulled:
    """The tangent that the rule of `fn` gives for argument `position` of a call that gave `out`."""

    fn: Any
    args: tuple[Expr, ...]
    keywords: tuple[tuple[str, Expr], ...]
    position: int
    out: Expr

    def exprs(self) -> list[Expr]:
        return [*self.args, *(e for _, e in self.keywords), self.out]

    def mapped(self, f: Callable[[Expr], Expr]) -> Pulled:
        args = tuple(map(f, self.args))
        return Pulled(self.fn, args, tuple((k, f(e)) for k, e in self.keywords), self.position, f(self.out))


@dataclass(slots=True, eq=False)
class MatMul:
    """`x @ other` (side 0) or `other @ x` (side 1)."""

    other: Expr
    side: int
    ndims: tuple[int, int]

    def exprs(self) -> list[Expr]:
        return [self.other]

    def mapped(self, f: Callable[[Expr], Expr]) -> MatMul:
        return MatMul(f(self.other), self.side, self.ndims)


@dataclass(slots=True, eq=False)
class Method:
    """`.T`: the transpose of an array, its own inverse."""

    name: str

    def exprs(self) -> list[Expr]:
        return []

    def mapped(self, f: Callable[[Expr], Expr]) -> Method:
        return self


def product_terms(op: str, x: list[Any], v: list[Expr], y: Expr, kinds: list[Any]) -> list[Term]:
    """The terms of a binary operator on operands `v` with linear variables `x` (None: inactive)."""
    a, b = x
    terms: list[Term] = []
    match op:
        case "Add" | "Sub":
            terms = [Term(a), Term(b, 1 if op == "Add" else -1)]
        case "Mult":
            terms = [Term(a, mul=v[1]), Term(b, mul=v[0])]
        case "Div":
            # the quotient again from its operands, where the numerator is known without saving it
            terms = [Term(a, div=v[1]), Term(b, -1, mul=y, div=v[1])]
        case "Pow":
            n = v[1]
            down = binary("Pow", v[0], binary("Sub", n, lit(1)))
            base = down if n.kind == "lit" and n.args[0] == 1 else binary("Mult", n, down)
            if n.kind == "lit" and type(n.args[0]) is int and n.args[0] == 0:
                base = lit(0.0)
            elif n.kind == "lit" and n.args[0] == 2:
                base = binary("Mult", lit(2), v[0])
            elif isinstance(kinds[1], Array):
                from tapeless.rules.operators import power_by_base

                base = call(power_by_base, v[0], n)
            terms = [Term(a, mul=base), Term(b, mul=call(power_by_exponent, y, v[0]))]
        case "Mod":
            terms = [Term(a), Term(b, -1, mul=binary("FloorDiv", v[0], v[1]))]
        case "MatMult":
            ndims = tuple(k.ndim for k in kinds)
            terms = [Term(a, form=MatMul(v[1], 0, ndims)), Term(b, form=MatMul(v[0], 1, ndims))]
        case _:
            raise NotTyped(f"the operator {op}")
    if op != "MatMult" and any(isinstance(k, Array) for k in kinds):
        for term, value, kind, other in zip(terms, v, kinds, kinds[::-1], strict=True):
            if may_broadcast(kind, other):
                term.like = value
    return [t for t in terms if t.x is not None]


def may_broadcast(kind: Any, other: Any) -> bool:
    """Whether an operand of type `kind` may be spread to a larger result by the `other`."""
    return isinstance(other, Array) and other.ndim > 0


def call_terms(fn: Any, op: Op, x: list[Any], v: list[Expr], y: Expr, kinds: list[Any]) -> list[Term]:
    """The terms of a primitive with a rule."""
    rule = lookup(fn)
    names = op.attrs["keywords"]
    if (
        fn in (np.matmul, np.dot)
        and not names
        and all(isinstance(k, Array) and 0 < k.ndim < 3 for k in kinds)
    ):
        return product_terms("MatMult", x, v, y, kinds)
    if isinstance(rule, Elementwise):
        if names:
            raise NotTyped("a ufunc with keywords", op.line)
        ps = partials(rule, y, v)
        terms = [Term(a, mul=p) for a, p in zip(x, ps, strict=False) if a is not None and p is not None]
        for t in terms:
            t.sign, t.mul, t.div = normal(t.mul)
            i = next(i for i, a in enumerate(x) if a is t.x)
            if any(may_broadcast(kinds[i], k) for j, k in enumerate(kinds) if j != i):
                t.like = v[i]
        return terms
    if isinstance(rule, Linear) and not rule.sequence:
        split = len(v) - len(names)
        keywords = tuple(zip(names, v[split:], strict=True))
        if any(a is not None for a in x[split:]):
            raise NotTyped("a derivative through a keyword", op.line)
        found = []
        for i, a in enumerate(x):
            if a is not None:
                if i not in rule.positions:
                    raise NotTyped("an argument that the rule does not differentiate", op.line)
                found.append(Term(a, form=Form(rule, tuple(v[:split]), keywords, i)))
        return found
    if isinstance(rule, Jvp) and not rule.sequence and isinstance(op.outs[0].type, Scalar | Array):
        split = len(v) - len(names)
        if any(a is not None for a in x[min(split, rule.count) :]):
            raise NotTyped("a derivative through an option", op.line)
        keywords = tuple(zip(names, v[split:], strict=True))
        return [
            Term(a, form=Pulled(fn, tuple(v[:split]), keywords, i, y))
            for i, a in enumerate(x)
            if a is not None
        ]
    raise NotTyped(f"the rule of {getattr(fn, '__name__', fn)}", op.line)


def normal(e: Expr | None) -> tuple[int, Expr | None, Expr | None]:
    """A partial as sign, factor and divisor."""
    if e is None:
        return 1, None, None
    if e.kind == "unary" and e.attrs["op"] == "USub":
        sign, mul, div = normal(e.args[0])
        return -sign, mul, div
    if e.kind == "lit":
        if e.args[0] == 1:
            return 1, None, None
        if e.args[0] == -1:
            return -1, None, None
    if e.kind == "binary" and e.attrs["op"] == "Div":
        sign, mul, none = normal(e.args[0])
        if none is None:
            return sign, mul, e.args[1]
    if e.kind == "binary" and e.attrs["op"] == "Mult" and e.args[0].kind == "unary":
        sign, mul, _ = normal(e.args[0])
        if mul is not None:
            return sign, binary("Mult", mul, e.args[1]), None
    return 1, e, None


__all__ = [
    "Form",
    "Lit",
    "MatMul",
    "Method",
    "Pulled",
    "Scalar",
    "Term",
    "Var",
    "call_terms",
    "product_terms",
    "unary",
]
