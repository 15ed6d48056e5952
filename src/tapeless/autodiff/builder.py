"""Builds typed operations: expressions become operations on variables, each with its type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.autodiff import adjoints
from tapeless.autodiff.residuals import Expr
from tapeless.program.ir import Block, Lit, Op, Operand, Var
from tapeless.rules import lookup
from tapeless.rules.operators import sign
from tapeless.specialise import sampling
from tapeless.specialise.types import INT, Array, Dict, List, NotTyped, Opaque, Scalar, Tuple, type_of


def typed(operand: Operand) -> Any:
    return operand.type if isinstance(operand, Var) else type_of(operand.value)


_FLOAT = Scalar(frozenset({"float"}))


def _beside(x: Operand, other: Operand) -> Operand:
    """`x`, an integer beside a float or an array of floats as the float that is quicker to take."""
    if isinstance(x, Lit) and type(x.value) is int and abs(x.value) < 2**24:
        kind = typed(other)
        if kind == _FLOAT or isinstance(kind, Array) and kind.ndim and kind.dtype[0] == "f":
            return Lit(float(x.value))
    return x


class Builder:
    """Appends operations to `block`."""

    def __init__(self, fresh: Callable[[str], str]) -> None:
        self.block = Block()
        self.line = 0
        self.fresh = fresh

    def temp(self, kind: Any) -> Var:
        return Var("_", kind)

    def op(self, kind: str, args: tuple[Operand, ...], out: Var | None = None, **attrs: Any) -> None:
        self.block.ops.append(Op(kind, args, () if out is None else (out,), attrs, (), self.line))

    def inside(self, build: Callable[[], None]) -> Block:
        outer, self.block = self.block, Block()
        build()
        done, self.block = self.block, outer
        return done

    def binary(
        self, op: str, a: Operand, b: Operand, into: Var | None = None, inplace: bool = False
    ) -> Operand:
        if op == "Mult" and into is None:
            for x, y in ((a, b), (b, a)):
                if isinstance(x, Lit) and type(x.value) in (int, float) and x.value == 1:
                    return y
        if op in ("Add", "Sub", "Mult", "Div"):
            a, b = _beside(a, b), _beside(b, a)
        out = (
            into
            if into is not None
            else self.temp(sampling.operator_type(sampling.BINARY, op, [typed(a), typed(b)]))
        )
        self.op("inplace" if inplace else "binary", (a, b), out, op=op)
        return out

    def scaled(self, factor: Operand, ct: Operand) -> Operand:
        """A partial times a cotangent."""
        return self.binary("Mult", factor, ct)

    def divided(self, ct: Operand, divisor: Operand) -> Operand:
        return self.binary("Div", ct, divisor)

    def product(self, op: str, a: Operand, b: Operand) -> Operand:
        """A product, of numbers or of matrices, of which a factor is a cotangent."""
        return self.binary(op, a, b)

    def linear(
        self, rule: Any, fn: Any, args: tuple[Operand, ...], result: Any, names: tuple[str, ...] = ()
    ) -> Var:
        """A linear function of a cotangent, the function of a rule or its transpose."""
        return self.call(fn, args, result, names)

    def call(
        self, fn: Any, args: tuple[Operand, ...], result: Any, names: tuple[str, ...] = (), text: str = ""
    ) -> Var:
        out = self.temp(result)
        starred = (False,) * (len(args) - len(names))
        self.op("call", (Lit(fn), *args), out, keywords=names, starred=starred, text=text)
        return out

    def method(
        self, base: Operand, name: str, args: tuple[Operand, ...], result: Any, method: Any = None
    ) -> Var:
        out = self.temp(result)
        self.op(
            "call_method",
            (base, *args),
            out,
            name=name,
            keywords=(),
            starred=(False,) * len(args),
            method=method,
        )
        return out

    def expr(self, e: Expr) -> Operand:
        """The value of an expression whose leaves are operands."""
        match e.kind:
            case "lit":
                return Lit(e.args[0])
            case "operand":
                return e.args[0]  # type: ignore[no-any-return]
            case "binary":
                return self.binary(e.attrs["op"], self.expr(e.args[0]), self.expr(e.args[1]))
            case "unary":
                value = self.expr(e.args[0])
                out = self.temp(sampling.operator_type(sampling.UNARY, e.attrs["op"], [typed(value)]))
                self.op("unary", (value,), out, op=e.attrs["op"])
                return out
            case "call":
                args = tuple(self.expr(a) for a in e.args)
                fn = e.attrs["fn"]
                return self.call(
                    fn, args, sampling.result_type(fn, [typed(a) for a in args]), text=e.attrs.get("text", "")
                )
            case "tuple":
                parts = tuple(self.expr(a) for a in e.args)
                out = self.temp(Tuple(tuple(typed(a) for a in parts)))
                self.op("tuple", parts, out, starred=(False,) * len(parts))
                return out
            case "slice":
                out = self.temp(Opaque(slice))
                self.op("slice", tuple(self.expr(a) for a in e.args), out)
                return out
            case "sign":
                return self.sign(self.expr(e.args[0]))
            case "getitem":
                base, index = (self.expr(a) for a in e.args)
                kind = typed(base)
                if not isinstance(kind, Tuple) or not isinstance(index, Lit):
                    raise NotTyped("an item of an expression")
                out = self.temp(kind.elems[index.value])
                self.op("getitem", (base, index), out)
                return out
        raise NotTyped(f"an expression of kind {e.kind}")

    def sign(self, x: Operand) -> Operand:
        kind = typed(x)
        if isinstance(kind, Scalar):
            above, below = (
                self.temp(sampling.result_type(bool, [INT])),
                self.temp(sampling.result_type(bool, [INT])),
            )
            self.op("compare", (x, Lit(0)), above, op=">")
            self.op("compare", (x, Lit(0)), below, op="<")
            return self.binary("Sub", above, below)
        return self.call(sign, (x,), kind)

    def zero(self, kind: Any, like: Operand | None) -> Operand:
        """A zero of the cotangent of a value of type `kind`; `like` is the value."""
        if isinstance(kind, Scalar):
            return Lit(0.0)
        if like is None:
            raise NotTyped("a zero of unknown shape")
        if isinstance(kind, Array) and kind.dtype == "f8":
            shape = self.temp(Tuple((INT,) * kind.ndim))
            self.op("getattr", (like,), shape, name="shape")
            return self.call(np.zeros, (shape,), kind)
        if isinstance(kind, Array):
            return self.call(np.zeros_like, (like,), kind)
        if isinstance(kind, List) and isinstance(kind.elem, Scalar):
            zeros, n, out = self.temp(List(kind.elem)), self.temp(INT), self.temp(List(kind.elem))
            self.op("list", (Lit(0.0),), zeros, starred=(False,))
            self.op("call", (Lit(len), like), n, keywords=(), starred=(False,), text="len")
            self.op("binary", (zeros, n), out, op="Mult")
            return out
        if isinstance(kind, Dict) and isinstance(kind.elem, Scalar):
            return self.call(dict.fromkeys, (like, Lit(0.0)), Dict(kind.key, kind.elem), text="dict.fromkeys")
        if isinstance(kind, List | Dict) and isinstance(kind.elem, Array):
            return self.call(adjoints.no_cotangents, (like,), kind)
        raise NotTyped(f"a zero of {kind!r}")


class Careful(Builder):
    """With strong zeros, and with infinity where Python's scalars would raise."""

    def scaled(self, factor: Operand, ct: Operand) -> Operand:
        kind = sampling.operator_type(sampling.BINARY, "Mult", [typed(factor), typed(ct)])
        return Builder.call(self, adjoints.strong_product, (factor, ct), kind)

    def divided(self, ct: Operand, divisor: Operand) -> Operand:
        kind = sampling.operator_type(sampling.BINARY, "Div", [typed(ct), typed(divisor)])
        return Builder.call(self, adjoints.strong_quotient, (ct, divisor), kind)

    def product(self, op: str, a: Operand, b: Operand) -> Operand:
        if op == "Mult":
            return self.scaled(b, a)
        kind = sampling.operator_type(sampling.BINARY, op, [typed(a), typed(b)])
        return Builder.call(
            self, adjoints.strong_linear, (Lit(lookup(np.matmul)), Lit(np.matmul), a, b), kind
        )

    def linear(
        self, rule: Any, fn: Any, args: tuple[Operand, ...], result: Any, names: tuple[str, ...] = ()
    ) -> Var:
        return Builder.call(self, adjoints.strong_linear, (Lit(rule), Lit(fn), *args), result, names)

    def binary(
        self, op: str, a: Operand, b: Operand, into: Var | None = None, inplace: bool = False
    ) -> Operand:
        if op in ("Div", "Pow", "FloorDiv") and into is None:
            kind = sampling.operator_type(sampling.BINARY, op, [typed(a), typed(b)])
            return Builder.call(self, getattr(adjoints, f"safe_{op.lower()}"), (a, b), kind)
        return super().binary(op, a, b, into, inplace)

    def call(
        self, fn: Any, args: tuple[Operand, ...], result: Any, names: tuple[str, ...] = (), text: str = ""
    ) -> Var:
        if (
            getattr(fn, "__module__", None) == "math"
            or getattr(fn, "__module__", None) == "tapeless.rules.operators"
            and not names
        ):
            return super().call(adjoints.safe_call, (Lit(fn), *args), result)
        return super().call(fn, args, result, names, text)
