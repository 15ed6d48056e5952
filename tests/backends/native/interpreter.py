"""Nests run statement by statement on complex numbers: derivatives by the complex step, from no rule of ours.

A float is a complex number with 1e-200 times its tangent as imaginary part; comparisons see the real part.
"""

from __future__ import annotations

import cmath
from typing import Any

import numpy as np

from tapeless.backends.native.nest import (
    FLOATS,
    Alias,
    Alloc,
    Apply,
    Assign,
    Check,
    Comment,
    Const,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    If,
    Intrinsic,
    Load,
    Raise,
    Ref,
    Stmt,
    Store,
    Swap,
    While,
)

STEP = 1e-200


class Escape(Exception):
    """A `Raise` or a failed `Check`."""


def _sign(z: Any) -> float:
    return float(np.sign(complex(z).real))


def _power(a: Any, b: Any) -> Any:
    return a**b if a != 0 else (0.0 if complex(b).real else 1.0)


BINARY = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "mulz": lambda a, b: a * b if a != 0 and b != 0 else 0.0,
    "div": lambda a, b: a / b,
    "pow": _power,
    "hypot": lambda a, b: cmath.sqrt(a * a + b * b),
    "atan2": lambda a, b: complex(
        np.arctan2(complex(a).real, complex(b).real),
        (complex(b).real * complex(a).imag - complex(a).real * complex(b).imag)
        / abs(complex(a.real, b.real)) ** 2,
    ),
    "minimum": lambda a, b: a if complex(a).real <= complex(b).real else b,
    "maximum": lambda a, b: a if complex(a).real >= complex(b).real else b,
    "copysign": lambda a, b: a * _sign(a) * (-1 if np.signbit(complex(b).real) else 1),
}
INTEGER = {
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "all": lambda a, b: a and b,
    "any": lambda a, b: a or b,
    "and": lambda a, b: a & b,
    "shr": lambda a, b: a >> b,
}
COMPARE = {
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
}
UNARY = {
    "neg": lambda a: -a,
    "abs": lambda a: a * _sign(a) if isinstance(a, complex) else abs(a),
    "fabs": lambda a: a * _sign(a),
    "floor": lambda a: complex(np.floor(complex(a).real)),
    "not": lambda a: not a,
    **{
        name: getattr(cmath, name)
        for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "sinh", "cosh")
    },
    **{name: getattr(cmath, name) for name in ("atan", "asin", "acos", "asinh", "acosh", "atanh")},
    "log1p": lambda a: cmath.log(1 + a),
    "expm1": lambda a: cmath.exp(a) - 1,
}


class Interpreter:
    """One run of a nest."""

    def __init__(self, fn: Function) -> None:
        self.fn = fn
        self.values: dict[Any, Any] = {}

    def __call__(self, *params: Any) -> tuple[Any, ...]:
        for p, v in zip(self.fn.params, params, strict=True):
            self.values[p] = v
        self.body(self.fn.body)
        return tuple(self.values[r] for r in self.fn.results)

    def body(self, body: list[Stmt]) -> None:
        for s in body:
            self.stmt(s)

    def shape(self, es: tuple[Expr, ...]) -> tuple[int, ...]:
        return tuple(int(self.expr(e)) for e in es)

    def stmt(self, s: Stmt) -> None:
        v = self.values
        if isinstance(s, Assign):
            v[s.var] = self.expr(s.value)
        elif isinstance(s, Store):
            index = self.shape(s.index)
            v[s.array][index] = self.expr(s.value) + (v[s.array][index] if s.add else 0)
        elif isinstance(s, Alloc):
            shape = self.shape(s.shape)
            kind = complex if s.array.element in FLOATS else np.dtype(s.array.dtype)
            v[s.array] = np.full(shape, 99, kind)
        elif isinstance(s, Alias):
            v[s.array] = v[s.array.alias].reshape(self.shape(s.shape))
        elif isinstance(s, Grow):
            more = int(self.expr(s.size)) - v[s.array].size
            if more > 0:
                v[s.array] = np.concatenate((v[s.array], np.zeros(more, v[s.array].dtype)))
        elif isinstance(s, Swap):
            v[s.a], v[s.b] = v[s.b], v[s.a]
        elif isinstance(s, For):
            for i in range(self.expr(s.start), self.expr(s.stop), s.step):
                v[s.var] = i
                self.body(s.body)
        elif isinstance(s, While):
            self.body(s.test)
            while self.expr(s.condition):
                self.body(s.body)
                self.body(s.test)
        elif isinstance(s, If):
            self.body(s.then if self.expr(s.condition) else s.orelse)
        elif isinstance(s, Raise) or (isinstance(s, Check) and not self.expr(s.condition)):
            raise Escape
        elif isinstance(s, Intrinsic):
            raise NotImplementedError(s.name)
        else:
            assert isinstance(s, (Check, Comment)), s

    def expr(self, e: Expr) -> Any:
        if isinstance(e, Const):
            return complex(e.value) if e.type in FLOATS else e.value
        if isinstance(e, Ref):
            return self.values[e.var]
        if isinstance(e, Dim):
            return self.values[e.array].shape[e.axis]
        if isinstance(e, Load):
            index = self.shape(e.index)
            assert all(0 <= i < n for i, n in zip(index, self.values[e.array].shape, strict=True)), (e, index)
            got = self.values[e.array][index]
            return got.item()
        assert isinstance(e, Apply)
        args = [self.expr(a) for a in e.args]
        if e.op == "select":
            return args[1] if args[0] else args[2]
        if e.op == "cast":
            return self.cast(args[0], e.type)
        if e.op in COMPARE:
            return COMPARE[e.op](*(a.real if isinstance(a, complex) else a for a in args))
        if e.op in UNARY:
            return UNARY[e.op](*args)
        return (BINARY if e.op in BINARY else INTEGER)[e.op](*args)

    @staticmethod
    def cast(x: Any, kind: str) -> Any:
        if kind in FLOATS:
            return complex(x)
        x = x.real if isinstance(x, complex) else x
        return bool(x) if kind == "bool" else int(x)


def directional(fn: Function, params: list[Any], tangents: list[Any]) -> tuple[list[Any], list[Any]]:
    """Results of `fn` and their derivative along `tangents` (None where there is none)."""
    given = []
    for p, t in zip(params, tangents, strict=True):
        if t is None:
            given.append(np.array(p) if isinstance(p, np.ndarray) else p)
            if isinstance(p, np.ndarray) and p.dtype.kind == "f":
                given[-1] = p.astype(complex)
            elif isinstance(p, float):
                given[-1] = complex(p)
        else:
            given.append(p + 1j * STEP * t)
    made = Interpreter(fn)(*given)
    return [np.real(r) for r in made], [np.imag(r) / STEP for r in made]
