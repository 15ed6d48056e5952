"""Python's arithmetic on numbers: operators, comparisons, truth, and the exceptions they raise."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.backends.native.nest import (
    BOOL,
    F64,
    I64,
    ZERO,
    Apply,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Ref,
    apply,
    const,
)
from tapeless.backends.native.staging.control import Control
from tapeless.backends.native.staging.values import ComplexNumber, Number, Static, Value

#: Operator of the syntax tree -> Python's function, for operands that are known.
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "Div": operator.truediv,
    "FloorDiv": operator.floordiv, "Mod": operator.mod, "Pow": operator.pow, "MatMult": operator.matmul,
    "LShift": operator.lshift, "RShift": operator.rshift, "BitOr": operator.or_, "BitXor": operator.xor,
    "BitAnd": operator.and_,
}  # fmt: skip
UNARY: dict[str, Callable[[Any], Any]] = {
    "UAdd": operator.pos, "USub": operator.neg, "Not": operator.not_, "Invert": operator.invert
}  # fmt: skip
COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip
OPS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
BITS = {"BitOr": "or", "BitXor": "xor", "BitAnd": "and"}
#: Integers below this are multiplied in pairs without a thought.
SMALL = 2**31
#: The least integer of 64 bits, which has no negative of 64 bits.
LEAST = const(-(2**63))


class Scalars(Control):
    """Operations on real and complex numbers of Python."""

    # ---- binary operators

    def number_binary(self, op: str, a: Value, b: Value) -> Value:
        """An operator between two real numbers of Python's classes, of which one is not known."""
        x, y = self.number(a), self.number(b)
        if op in BITS:
            return self.bits(op, x, y)
        if op in ("LShift", "RShift"):
            return self.shift(op, x, y)
        if op == "Pow":
            return self.power(x, b)
        if float in (x.kind, y.kind) or op == "Div":
            return self.float_binary(op, x, y)
        left, right = self.convert(x.expr, I64), self.convert(y.expr, I64)
        if op in ("FloorDiv", "Mod"):
            self.nonzero(
                right, "integer division or modulo by zero" if op == "FloorDiv" else "integer modulo by zero"
            )
            if op == "Mod":
                return Number(apply("mod", left, right), int)
            if self.degree(left) is None and not (isinstance(right, Const) and right.value != -1):
                left, right = self.bind(left), self.bind(right)
                self.replay_unless(apply("any", apply("ne", left, LEAST), apply("ne", right, -1)))
            return Number(apply("floordiv", left, right), int)
        name = {"Add": "add", "Sub": "sub", "Mult": "mul"}.get(op)
        if name is None:
            self.throw(TypeError, f"unsupported operand type(s) for {op}: 'int' and 'int'")
            return a
        return Number(self.whole_sum(name, left, right), int)

    def whole_sum(self, op: str, a: Expr, b: Expr) -> Expr:
        """A sum, difference or product of integers, which Python would give any number of digits.

        Where it might not fit in 64 bits that is tested, and the plain program runs if it does not.
        """
        made = apply(op, a, b)
        if isinstance(made, (Const, Ref)):
            return made
        da, db = self.degree(a), self.degree(b)
        if da is not None and db is not None and (da + db <= 2 if op == "mul" else max(da, db) <= 2):
            return made
        if op != "mul" and (isinstance(a, Const) or isinstance(b, Const)) and self.small(a) | self.small(b):
            return made
        if op == "mul":
            size = apply("mul", self.convert(a, F64), self.convert(b, F64))
            self.replay_unless(apply("lt", apply("fabs", size), const(9.2e18)))
            return made
        a, b = self.bind(a), self.bind(b)
        made = self.bind(apply(op, a, b))
        other = Apply("xor", (b, made if op == "add" else a), I64)
        sign = Apply("and", (Apply("xor", (a, made), I64), other), I64)
        self.replay_unless(apply("ge", sign, ZERO))
        return made

    def turned(self, op: str, e: Expr) -> Expr:
        """`-e` or `abs(e)` of an integer: of the least one with 64 bits it has 65."""
        if self.degree(e) is None:
            e = self.bind(e)
            self.replay_unless(apply("ne", e, LEAST))
        return apply(op, e)

    def small(self, e: Expr) -> bool:
        return isinstance(e, Const) and abs(e.value) < SMALL

    def degree(self, e: Expr) -> int | None:
        """How many factors below 2**31 an integer is a product of; None if it may be any integer."""
        if isinstance(e, Const):
            return 0 if self.small(e) else None
        if isinstance(e, Dim):
            return 1
        if isinstance(e, Ref):
            if e.var in self.ranges.bounds:
                return 1
            if e.var in self.sources:
                return 1 if self.small_argument(e) else None
            if e.var in self.defs:
                return self.degree(self.defs[e.var])
            return None
        if not isinstance(e, Apply):
            return None
        if e.op == "cast":
            return 0 if e.args[0].type == BOOL else None
        degrees = [self.degree(x) for x in (e.args[1:] if e.op in ("select", "mod") else e.args)]
        if any(d is None for d in degrees):
            return None
        known = [d for d in degrees if d is not None]
        if e.op == "mul":
            return sum(known)
        if e.op in ("add", "sub", "neg", "abs", "minimum", "maximum", "select", "mod", "floordiv"):
            return max(known)
        return None

    def small_argument(self, e: Ref) -> bool:
        """Whether an integer argument is below 2**31 in the calls that the nest is for."""
        return False

    def float_binary(self, op: str, x: Number, y: Number) -> Value:
        left, right = self.convert(x.expr, F64), self.convert(y.expr, F64)
        if op in ("Div", "FloorDiv", "Mod"):
            both = float not in (x.kind, y.kind)
            text = {"Div": "division by zero" if both else "float division by zero",
                    "FloorDiv": "float floor division by zero", "Mod": "float modulo"}[op]  # fmt: skip
            right = self.nonzero(right, text)
        name = {
            "Add": "add",
            "Sub": "sub",
            "Mult": "mul",
            "Div": "div",
            "FloorDiv": "floordiv",
            "Mod": "mod",
        }.get(op)
        if name is None:
            self.throw(TypeError, f"unsupported operand type(s) for {op}: 'float' and 'float'")
            return x
        return Number(apply(name, left, right), float)

    def nonzero(self, divisor: Expr, message: str) -> Expr:
        """The divisor, checked."""
        if isinstance(divisor, Const) and divisor.value != 0:
            return divisor
        divisor = self.bind(divisor)
        self.check(apply("ne", divisor, const(0, divisor.type)), ZeroDivisionError, message)
        return divisor

    def bits(self, op: str, x: Number, y: Number) -> Value:
        if float in (x.kind, y.kind):
            self.throw(
                TypeError,
                f"unsupported operand type(s) for {op}: '{x.kind.__name__}' and '{y.kind.__name__}'",
            )
            return x
        if x.kind is bool and y.kind is bool:
            name = {"BitOr": "any", "BitXor": "ne", "BitAnd": "all"}[op]
            return Number(
                Apply("ne", (x.expr, y.expr), BOOL) if name == "ne" else apply(name, x.expr, y.expr), bool
            )
        return Number(Apply(BITS[op], (self.convert(x.expr, I64), self.convert(y.expr, I64)), I64), int)

    def shift(self, op: str, x: Number, y: Number) -> Value:
        if float in (x.kind, y.kind):
            self.throw(
                TypeError,
                f"unsupported operand type(s) for {op}: '{x.kind.__name__}' and '{y.kind.__name__}'",
            )
            return x
        left, right = self.convert(x.expr, I64), self.bind(self.convert(y.expr, I64))
        self.check(apply("ge", right, ZERO), ValueError, "negative shift count")
        if op == "RShift":
            return Number(Apply("shr", (left, apply("minimum", right, const(63))), I64), int)
        left = self.bind(left)
        made = self.bind(Apply("shl", (left, right), I64))
        back = Apply("shr", (made, right), I64)
        fits = apply("all", apply("lt", right, const(63)), apply("eq", back, left))
        self.replay_unless(fits)
        return Number(made, int)

    # ---- powers

    def power(self, x: Number, exponent: Value) -> Value:
        y = self.number(exponent)
        if x.kind is not float and y.kind is not float:
            return self.integer_power(x, y)
        base = self.convert(x.expr, F64)
        if isinstance(y.expr, Const):
            return Number(self.float_power(base, y.expr.value), float)
        e = self.bind(self.convert(y.expr, F64), "exponent")
        base = self.bind(base, "base")
        zero = apply("all", apply("eq", base, 0.0), apply("lt", e, 0.0))
        self.check(apply("not", zero), ZeroDivisionError, "0.0 cannot be raised to a negative power")
        if not (isinstance(base, Const) and base.value >= 0) and y.kind is float:
            whole = apply("any", apply("eq", apply("floor", e), e), apply("isinf", base))
            whole = apply("any", whole, apply("any", apply("isnan", e), apply("isnan", base)))
            self.replay_unless(apply("any", apply("ge", base, 0.0), whole))  # else it is complex
        made = self.bind(apply("pow", base, e))
        finite = apply("all", apply("isfinite", base), apply("isfinite", e))
        self.check(
            apply("any", apply("isfinite", made), apply("not", finite)),
            OverflowError, 34, "Numerical result out of range",
        )  # fmt: skip
        return Number(made, float)

    def float_power(self, base: Expr, exponent: Any) -> Expr:
        """A float to a known power, with what Python raises."""
        if exponent == 0:
            return const(1.0)
        if exponent == 1:
            return base
        base = self.bind(base, "base")
        if exponent < 0:
            self.check(apply("ne", base, 0.0), ZeroDivisionError, "0.0 cannot be raised to a negative power")
        if exponent != int(exponent) and not math.isinf(exponent):
            self.replay_unless(apply("not", apply("lt", base, 0.0)))  # else it is complex
        made = self.bind(
            apply("mul", base, base) if exponent == 2 else apply("pow", base, const(float(exponent)))
        )
        if exponent > 1 or exponent < 0:
            fine = apply("any", apply("isfinite", made), apply("not", apply("isfinite", base)))
            self.check(fine, OverflowError, 34, "Numerical result out of range")
        return made

    def integer_power(self, x: Number, y: Number) -> Value:
        base = self.bind(self.convert(x.expr, I64), "base")
        if isinstance(y.expr, Const):
            n = int(y.expr.value)
            if n < 0:
                divisor = self.integer_product(base, -n)
                bottom = self.nonzero(divisor, "0.0 cannot be raised to a negative power")
                return Number(apply("div", const(1.0), self.convert(bottom, F64)), float)
            return Number(self.integer_product(base, n), int)
        e = self.convert(y.expr, I64)
        if not self.ranges.proves(apply("ge", e, ZERO)):
            # the sign of the exponent decides whether the result is an integer
            return Number(self.integer_product(base, int(self.known(y, "use a float base"))), int)
        if isinstance(base, Const) and base.value == -1:
            return Number(apply("select", apply("eq", apply("mod", e, 2), ZERO), const(1), const(-1)), int)
        if isinstance(base, Const) and base.value == 2:
            return self.shift("LShift", Number(const(1), int), Number(e, int))
        return Number(self.power_loop(base, e), int)

    def integer_product(self, base: Expr, n: int) -> Expr:
        result: Expr | None = None
        while n:
            if n & 1:
                result = base if result is None else self.bind(self.whole_sum("mul", result, base))
            n >>= 1
            if n:
                base = self.bind(self.whole_sum("mul", base, base))
        return const(1) if result is None else result

    def power_loop(self, base: Expr, e: Expr) -> Expr:
        """An integer to a power of run time that is not negative."""
        result = self.scalar(I64, "power")
        self.emit(Assign(result, const(1)))
        with self.collect() as body:
            self.emit(Assign(result, self.whole_sum("mul", Ref(result), base)))
        self.emit(For(self.scalar(I64, "k"), ZERO, e, body))
        return Ref(result)

    # ---- complex numbers

    def complex_binary(self, op: str, a: Value, b: Value) -> Value:
        """An operator between numbers of which one is complex, all of Python's classes."""
        ar, ai = (self.bind(e) for e in self.complex_parts(a))
        if op == "Pow":
            return self.complex_power(ar, ai, b)
        real_right = self.is_number(b)
        br, bi = (self.bind(e) for e in self.complex_parts(b))
        if op in ("Add", "Sub"):
            name = op.lower()
            return ComplexNumber(self.bind(apply(name, ar, br)), self.bind(apply(name, ai, bi)), complex)
        if op == "Mult":
            real = apply("sub", apply("mul", ar, br), apply("mul", ai, bi))
            imag = apply("add", apply("mul", ar, bi), apply("mul", ai, br))
            return ComplexNumber(self.bind(real), self.bind(imag), complex)
        if op == "Div":
            text = "complex division by zero"
            zero = apply("all", apply("eq", br, 0.0), apply("eq", bi, 0.0))
            self.check(apply("not", zero), ZeroDivisionError, text)
            if real_right:
                return ComplexNumber(
                    self.bind(apply("div", ar, br)), self.bind(apply("div", ai, br)), complex
                )
            return ComplexNumber(*self.complex_quotient(ar, ai, br, bi), complex)
        self.throw(TypeError, f"unsupported operand type(s) for {op}: complex")
        return a

    def complex_quotient(self, ar: Expr, ai: Expr, br: Expr, bi: Expr) -> tuple[Expr, Expr]:
        """Smith's way, which does not overflow early."""
        wide = self.bind(apply("ge", apply("fabs", br), apply("fabs", bi)))
        big, small = (self.bind(apply("select", wide, p, q)) for p, q in ((br, bi), (bi, br)))
        ratio = self.bind(apply("div", small, big))
        bottom = self.bind(apply("add", big, apply("mul", small, ratio)))
        real = apply(
            "select",
            wide,
            apply("add", ar, apply("mul", ai, ratio)),
            apply("add", apply("mul", ar, ratio), ai),
        )
        imag = apply(
            "select",
            wide,
            apply("sub", ai, apply("mul", ar, ratio)),
            apply("sub", apply("mul", ai, ratio), ar),
        )
        return self.bind(apply("div", real, bottom)), self.bind(apply("div", imag, bottom))

    def complex_power(self, ar: Expr, ai: Expr, exponent: Value) -> Value:
        """By products if the exponent is known and whole, as Python does it, else by size and angle."""
        known = exponent.obj if isinstance(exponent, Static) else None
        if not isinstance(known, (int, float)) or not abs(known) <= 100 or known != int(known):
            return self.polar_power(ar, ai, exponent)
        if known < 0:  # of zero that is an error
            self.replay_unless(apply("any", apply("ne", ar, 0.0), apply("ne", ai, 0.0)))
        result: Value = Static(complex(1))
        base: Value = ComplexNumber(ar, ai, complex)
        n = abs(int(known))
        while n:
            if n & 1:
                result = base if isinstance(result, Static) else self.complex_binary("Mult", result, base)
            n >>= 1
            if n:
                base = self.complex_binary("Mult", base, base)
        return result if known >= 0 else self.complex_binary("Div", Static(complex(1)), result)

    def polar_power(self, ar: Expr, ai: Expr, exponent: Value) -> Value:
        """A power of a complex number; of zero, and where it is beyond all floats, it is CPython's."""
        br, bi = (self.bind(e) for e in self.complex_parts(exponent))
        self.replay_unless(apply("any", apply("ne", ar, 0.0), apply("ne", ai, 0.0)))
        size, angle = self.bind(apply("hypot", ar, ai)), self.bind(apply("atan2", ai, ar))
        length, turn = apply("pow", size, br), apply("mul", angle, br)
        if not (isinstance(bi, Const) and bi.value == 0):
            length = apply("mul", length, apply("exp", apply("neg", apply("mul", angle, bi))))
            turn = apply("add", turn, apply("mul", bi, apply("log", size)))
        length, turn = self.bind(length), self.bind(turn)
        self.replay_unless(apply("all", apply("isfinite", length), apply("isfinite", turn)))
        real, imag = (self.bind(apply("mul", length, apply(part, turn))) for part in ("cos", "sin"))
        return ComplexNumber(real, imag, complex)

    # ---- unary, comparison, truth

    def number_unary(self, op: str, a: Value) -> Value:
        if self.is_complex(a):
            re, im = self.complex_parts(a)
            if op == "USub":
                return ComplexNumber(apply("neg", re), apply("neg", im), complex)
            return a
        x = self.number(a)
        if op == "Invert":
            if x.kind is float:
                self.throw(TypeError, "bad operand type for unary ~: 'float'")
                return a
            return Number(Apply("invert", (self.convert(x.expr, I64),), I64), int)
        e = self.convert(x.expr, I64) if x.kind is bool else x.expr
        if op == "USub":
            e = self.turned("neg", e) if e.type == I64 else apply("neg", e)
        return Number(e, int if x.kind is bool else x.kind)

    def number_compare(self, op: str, a: Value, b: Value) -> Value:
        if self.is_complex(a) or self.is_complex(b):
            (ar, ai), (br, bi) = self.complex_parts(a), self.complex_parts(b)
            same = apply("all", apply("eq", ar, br), apply("eq", ai, bi))
            if op not in ("==", "!="):
                kinds = [self.kind_of(v).__name__ for v in (a, b)]
                self.throw(
                    TypeError, f"'{op}' not supported between instances of '{kinds[0]}' and '{kinds[1]}'"
                )
                return a
            return Number(same if op == "==" else apply("not", same), bool)
        x, y = self.number(a), self.number(b)
        types = {x.expr.type, y.expr.type}
        wide = x.expr.type if len(types) == 1 else F64 if types - {I64, BOOL} else I64
        if types == {BOOL} and op not in ("==", "!="):
            wide = I64
        return Number(apply(OPS[op], self.convert(x.expr, wide), self.convert(y.expr, wide)), bool)

    def number_truth(self, value: Value) -> Expr:
        if self.is_complex(value):
            re, im = self.complex_parts(value)
            return apply("any", apply("ne", re, 0.0), apply("ne", im, 0.0))
        return self.convert(self.as_expr(value), BOOL)

    def not_(self, condition: Expr) -> Expr:
        if isinstance(condition, Apply) and condition.op == "not":
            return condition.args[0]
        return apply("not", condition)

    # ---- conversions

    def to_float(self, value: Value) -> Value:
        """float(x)"""
        if isinstance(value, Static):
            return self.evaluate(float, value)
        if self.is_complex(value):
            self.throw(TypeError, "float() argument must be a string or a real number, not 'complex'")
            return value
        return Number(self.convert(self.number(value).expr, F64), float)

    def to_int(self, value: Value) -> Value:
        """int(x)"""
        if isinstance(value, Static):
            return self.evaluate(int, value)
        x = self.number(value)
        if x.expr.type in (I64, BOOL):
            return Number(self.convert(x.expr, I64), int)
        return Number(self.whole(apply("trunc", x.expr)), int)

    def whole(self, e: Expr) -> Expr:
        """A whole float as an integer."""
        e = self.bind(e)
        self.check(apply("not", apply("isnan", e)), ValueError, "cannot convert float NaN to integer")
        self.check(apply("not", apply("isinf", e)), OverflowError, "cannot convert float infinity to integer")
        self.replay_unless(apply("lt", apply("fabs", e), const(2.0**63, e.type)))
        return Apply("cast", (e,), I64)

    def evaluate(self, function: Callable[..., Any], *values: Value, **named: Value) -> Value:
        """A pure function of known objects, called now; what it raises is raised by the program."""
        try:
            with np.errstate(all="ignore"):
                args = [self.known(v) for v in values]
                made = function(*args, **{k: self.known(v) for k, v in named.items()})
        except (ArithmeticError, ValueError, TypeError, LookupError, AttributeError) as error:
            self.throw(type(error), *error.args)
            return Static(None)
        return self.constant(made)

    def constant(self, obj: Any) -> Value:
        """The value of an object that is known."""
        raise NotImplementedError

    def truth(self, value: Value) -> Expr:
        raise NotImplementedError
