"""Elementary functions on several doubles at once, for loops that LLVM vectorises.

A scalar call of `math.exp` names `vector.exp.8` and so on as what does eight of them; these are compiled once
for a machine, kept on disk and linked by address.  Each does the usual arguments without a branch, within two
units in the last place; lanes with any other argument are redone by C's library.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from tapeless.backends.native.llvm_build import Builder, literal
from tapeless.backends.native.nest import F64, I64
from tapeless.backends.native.symbols import LANES

#: Adding it rounds a double to an integer, which is then in its lowest bits.
MAGIC = 1.5 * 2.0**52
SMALLEST = 2.0**-1022
LN2, LN2_REST = 0.6931471805599453, 2.3190468138462996e-17
#: ln 2 in two parts, the first short enough for its multiples to be exact.
LN2_SHORT, LN2_SHORT_REST = 6.93147180369123816490e-01, 1.90821492927058770002e-10
#: pi/2 in three parts of 53 bits.
HALF_PI = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591833e-33)

#: name -> how many arguments, and the function that writes it: from the arguments to the result and, if there
#: are arguments that it cannot do, the lanes that have them.
FUNCTIONS: dict[str, tuple[int, Callable[..., tuple[str, str | None]]]] = {}


class Lanes(Builder):
    """Instructions on vectors of doubles (`d`) and of 64-bit integers (`i`); numbers are written as such."""

    def __init__(self, lanes: int) -> None:
        super().__init__()
        self.lanes = lanes
        self.d, self.i, self.b = (f"<{lanes} x {kind}>" for kind in ("double", "i64", "i1"))

    def splat(self, x: str | float | int) -> str:
        if isinstance(x, str):
            return x
        kind, text = ("double", literal(x, F64)) if isinstance(x, float) else ("i64", literal(x, I64))
        return f"splat ({kind} {text})"

    def two(self, op: str, a: str | float, b: str | float, kind: str | None = None) -> str:
        return self.op(f"{op} {kind or self.d} {self.splat(a)}, {self.splat(b)}")

    def add(self, a: str | float, b: str | float) -> str:
        return self.two("fadd", a, b)

    def sub(self, a: str | float, b: str | float) -> str:
        return self.two("fsub", a, b)

    def mul(self, a: str | float, b: str | float) -> str:
        return self.two("fmul", a, b)

    def div(self, a: str | float, b: str | float) -> str:
        return self.two("fdiv", a, b)

    def whole(self, op: str, a: str | int, b: str | int) -> str:
        return self.op(f"{op} {self.i} {self.splat(a)}, {self.splat(b)}")

    def fma(self, a: str | float, b: str | float, c: str | float) -> str:
        """a·b + c, rounded once."""
        return self.intrinsic("fma", self.d, *map(self.splat, (a, b, c)))

    def neg(self, a: str) -> str:
        return self.op(f"fneg {self.d} {a}")

    def abs(self, a: str) -> str:
        return self.intrinsic("fabs", self.d, a)

    def sign_of(self, a: str, sign: str) -> str:
        return self.intrinsic("copysign", self.d, a, sign)

    def test(self, code: str, a: str | float, b: str | float) -> str:
        return self.two(f"fcmp {code}", a, b)

    def select(self, c: str, a: str | float, b: str | float) -> str:
        return self.op(f"select {self.b} {c}, {self.d} {self.splat(a)}, {self.d} {self.splat(b)}")

    def at_most(self, a: str, most: float) -> str:
        """The smaller one; NaN stays."""
        return self.select(self.test("ogt", a, most), most, a)

    def at_least(self, a: str, least: float) -> str:
        return self.select(self.test("olt", a, least), least, a)

    def bits(self, a: str) -> str:
        return self.op(f"bitcast {self.d} {a} to {self.i}")

    def floats(self, a: str) -> str:
        return self.op(f"bitcast {self.i} {a} to {self.d}")

    def intrinsic(self, name: str, type: str, *args: str) -> str:
        suffix = f"v{self.lanes}f64" if type == self.d else type
        full = f"llvm.{name}.{suffix}"
        self.declarations.setdefault(full, f"declare {type} @{full}({', '.join([type] * len(args))})")
        return self.op(f"call {type} @{full}({', '.join(f'{type} {a}' for a in args)})")

    def exact_sum(self, a: str, b: str) -> tuple[str, str]:
        """a + b, and what rounding took from it."""
        total = self.add(a, b)
        second = self.sub(total, a)
        return total, self.add(self.sub(a, self.sub(total, second)), self.sub(b, second))

    def poly(self, x: str, coefficients: list[float]) -> str:
        """c0 + c1·x + …"""
        made: str | float = coefficients[-1]
        for c in reversed(coefficients[:-1]):
            made = self.fma(made, x, c)
        return self.splat(made)

    def rounded(self, x: str, factor: float) -> tuple[str, str]:
        """The integer nearest to `factor · x`: as a double, and as an integer."""
        moved = self.fma(x, factor, MAGIC)
        return self.sub(moved, MAGIC), self.whole("sub", self.bits(moved), _bits(MAGIC))

    def power_of_2(self, n: str) -> str:
        """2^n, for the exponents of normal numbers."""
        return self.floats(self.whole("shl", self.whole("add", n, 1023), 52))


def _bits(x: float) -> int:
    return int(literal(x, F64), 16)


def _function(make: Callable[..., Any]) -> Callable[..., Any]:
    FUNCTIONS[make.__name__.lstrip("_")] = (make.__code__.co_argcount - 1, make)
    return make


# ---- exponentials


EXP = [1 / math.factorial(n) for n in range(2, 14)]


def _reduced(v: Lanes, x: str) -> tuple[str, str, str]:
    """r, t and n with e^x = (1 + r + t)·2^n, t being much smaller than r."""
    k, n = v.rounded(x, 1 / math.log(2))
    back = v.neg(k)
    first = v.fma(back, LN2, x)
    r = v.fma(back, LN2_REST, first)
    lost = v.fma(back, LN2_REST, v.sub(first, r))
    return r, v.fma(v.mul(r, r), v.poly(r, EXP), lost), n


def _scaled(v: Lanes, y: str, n: str) -> str:
    """y·2^n, in two steps: 2^n itself may be too large or too small for a double."""
    half = v.whole("ashr", n, 1)
    return v.mul(v.mul(y, v.power_of_2(half)), v.power_of_2(v.whole("sub", n, half)))


def _exp_of(v: Lanes, x: str, rest: str | None = None) -> str:
    r, t, n = _reduced(v, v.at_least(v.at_most(x, 710.0), -750.0))
    if rest is not None:
        t = v.fma(rest, v.add(v.add(r, t), 1.0), t)
    return _scaled(v, v.add(v.add(r, t), 1.0), n)


@_function
def _exp(v: Lanes, x: str) -> tuple[str, str | None]:
    return _exp_of(v, x), None


@_function
def _exp2(v: Lanes, x: str) -> tuple[str, str | None]:
    x = v.at_least(v.at_most(x, 1025.0), -1080.0)
    k, n = v.rounded(x, 1.0)
    part = v.sub(x, k)
    r = v.fma(part, LN2, v.mul(part, LN2_REST))
    return _scaled(v, v.add(v.fma(v.mul(r, r), v.poly(r, EXP), r), 1.0), n), None


def _expm1_of(v: Lanes, x: str) -> str:
    r, t, n = _reduced(v, v.at_least(v.at_most(x, 710.0), -60.0))
    half = v.power_of_2(v.whole("sub", n, 1))
    high, low = v.exact_sum(v.sub(half, 0.5), v.mul(half, r))
    made = v.add(high, v.fma(half, t, low))
    return v.select(v.test("oeq", x, 0.0), x, v.add(made, made))


@_function
def _expm1(v: Lanes, x: str) -> tuple[str, str | None]:
    return _expm1_of(v, x), None


@_function
def _tanh(v: Lanes, x: str) -> tuple[str, str | None]:
    size = v.at_most(v.abs(x), 20.0)
    t = _expm1_of(v, v.add(size, size))
    return v.sign_of(v.div(t, v.add(t, 2.0)), x), None


@_function
def _sinh(v: Lanes, x: str) -> tuple[str, str | None]:
    size = v.abs(x)
    t = _expm1_of(v, size)
    made = v.mul(v.add(t, v.div(t, v.add(t, 1.0))), 0.5)
    return v.sign_of(made, x), v.test("ogt", size, 709.0)


@_function
def _cosh(v: Lanes, x: str) -> tuple[str, str | None]:
    size = v.abs(x)
    e = _exp_of(v, size)
    return v.mul(v.add(e, v.div(1.0, e)), 0.5), v.test("ogt", size, 709.0)


# ---- logarithms


#: log((1 + s)/(1 - s)) = 2s + s·z·(2/3 + 2/5·z + …), z = s².
LOG = [2 / (2 * n + 3) for n in range(10)]


def _mantissa(v: Lanes, x: str) -> tuple[str, str]:
    """x = m·2^k with m between the roots of 1/2 and of 2: m - 1, and k."""
    bits = v.bits(x)
    shifted = v.whole("sub", bits, _bits(math.sqrt(0.5)) - (1024 << 52))
    biased = v.whole("lshr", shifted, 52)
    k = v.sub(v.floats(v.whole("or", biased, _bits(2.0**52))), 2.0**52 + 1024.0)
    m = v.floats(v.whole("sub", bits, v.whole("shl", v.whole("sub", biased, 1024), 52)))
    return v.sub(m, 1.0), k


def _log_of(v: Lanes, x: str, rest: str | float = 0.0) -> str:
    """log(x) + rest, for normal positive x and a small rest."""
    f, k = _mantissa(v, x)
    half = v.mul(v.mul(f, f), 0.5)
    s = v.div(f, v.add(f, 2.0))
    z = v.mul(s, s)
    low = v.add(v.mul(s, v.fma(z, v.poly(z, LOG), half)), v.fma(k, LN2_SHORT_REST, rest))
    return v.fma(k, LN2_SHORT, v.sub(f, v.sub(half, low)))


def _unusual(v: Lanes, x: str) -> str:
    """Where x is no normal positive number."""
    usual = v.two("and", v.test("oge", x, SMALLEST), v.test("olt", x, math.inf), v.b)
    return v.op(f"xor {v.b} {usual}, splat (i1 true)")


@_function
def _log(v: Lanes, x: str) -> tuple[str, str | None]:
    return _log_of(v, x), _unusual(v, x)


@_function
def _log1p(v: Lanes, x: str) -> tuple[str, str | None]:
    u, lost = v.exact_sum(x, v.splat(1.0))
    made = _log_of(v, u, v.div(lost, u))
    return v.select(v.test("oeq", u, 1.0), x, made), _unusual(v, u)


@_function
def _pow(v: Lanes, x: str, y: str) -> tuple[str, str | None]:
    """exp(y·log x), the logarithm and the product to twice the precision."""
    f, k = _mantissa(v, x)
    sum_ = v.add(f, 2.0)
    sum_rest = v.sub(f, v.sub(sum_, 2.0))
    s = v.div(f, sum_)
    s_rest = v.div(v.fma(v.neg(s), sum_rest, v.fma(v.neg(s), sum_, f)), sum_)
    z = v.mul(s, s)
    twice = v.add(s, s)
    whole = v.mul(k, LN2_SHORT)
    high, low = v.exact_sum(whole, twice)
    low = v.add(low, v.fma(k, LN2_SHORT_REST, v.fma(v.mul(s, z), v.poly(z, LOG), v.add(s_rest, s_rest))))
    log = v.add(high, low)
    log_rest = v.add(v.sub(high, log), low)
    product = v.mul(y, log)
    rest = v.fma(y, log_rest, v.fma(y, log, v.neg(product)))
    tame = v.test("olt", v.abs(product), 1e6)
    odd = v.op(f"xor {v.b} {tame}, splat (i1 true)")
    return _exp_of(v, product, rest), v.two("or", _unusual(v, x), odd, v.b)


# ---- sine and cosine


SIN = [(-1.0) ** n / math.factorial(2 * n + 1) for n in range(1, 9)]
COS = [(-1.0) ** n / math.factorial(2 * n) for n in range(2, 10)]


def _turned(v: Lanes, x: str, quarters: int) -> tuple[str, str | None]:
    """sin(x + quarters·π/2).  x - k·π/2 is exact but for its last rounding."""
    k, n = v.rounded(x, 2 / math.pi)
    back = v.neg(k)
    first = v.fma(back, HALF_PI[0], x)
    second = v.mul(back, HALF_PI[1])
    r, lost = v.exact_sum(first, second)
    third = v.fma(back, HALF_PI[2], v.fma(back, HALF_PI[1], v.neg(second)))
    r = v.add(r, v.add(lost, third))
    z = v.mul(r, r)
    sine = v.fma(v.mul(r, z), v.poly(z, SIN), r)
    half = v.mul(z, 0.5)
    w = v.sub(1.0, half)
    cosine = v.add(w, v.fma(v.mul(z, z), v.poly(z, COS), v.sub(v.sub(1.0, w), half)))
    n = v.whole("add", n, quarters) if quarters else n
    odd = v.op(f"trunc {v.i} {n} to {v.b}")
    made = v.select(odd, cosine, sine)
    sign = v.whole("shl", v.whole("and", n, 2), 62)
    made = v.floats(v.whole("xor", v.bits(made), sign))
    near = v.test("olt", v.abs(x), 2.0**40)
    return made, v.op(f"xor {v.b} {near}, splat (i1 true)")


@_function
def _sin(v: Lanes, x: str) -> tuple[str, str | None]:
    made, far = _turned(v, x, 0)
    return v.select(v.test("oeq", x, 0.0), x, made), far


@_function
def _cos(v: Lanes, x: str) -> tuple[str, str | None]:
    return _turned(v, x, 1)


# ---- inverse tangents


#: (atan(√z)/√z - 1)/z for z up to tan(π/8)².
ATAN = [
    -0.3333333333333333, 0.19999999999999804, -0.14285714285659779, 0.11111111105150588,
    -0.09090908753259112, 0.07692296368042296, -0.0666642476020052, 0.05878927554473807,
    -0.05230443640686948, 0.045515447340221615, -0.03456931506332609, 0.016284375050043393,
]  # fmt: skip
TAN_EIGHTH = math.sqrt(2) - 1


def _angle(v: Lanes, y: str, x: str) -> str:
    """atan(y/x) for y, x ≥ 0: the angle from the nearest of 0, π/4 and π/2, and that one."""
    low, high = v.test("ole", y, v.mul(x, TAN_EIGHTH)), v.test("ole", x, v.mul(y, TAN_EIGHTH))
    over = v.select(low, y, v.select(high, v.neg(x), v.sub(y, x)))
    under = v.select(low, x, v.select(high, y, v.add(y, x)))
    base = v.select(low, 0.0, v.select(high, HALF_PI[0], HALF_PI[0] / 2))
    rest = v.select(low, 0.0, v.select(high, HALF_PI[1], HALF_PI[1] / 2))
    t = v.div(over, under)
    z = v.mul(t, t)
    return v.add(base, v.add(v.fma(v.mul(t, z), v.poly(z, ATAN), rest), t))


@_function
def _atan(v: Lanes, x: str) -> tuple[str, str | None]:
    return v.sign_of(_angle(v, v.at_most(v.abs(x), 1e300), v.splat(1.0)), x), None


@_function
def _atan2(v: Lanes, y: str, x: str) -> tuple[str, str | None]:
    high, wide = v.abs(y), v.abs(x)
    angle = _angle(v, high, wide)
    back = v.sub(2 * HALF_PI[0], v.sub(angle, 2 * HALF_PI[1]))
    made = v.sign_of(v.select(v.test("olt", x, 0.0), back, angle), y)
    tame = v.two("and", v.test("olt", high, 1e300), v.test("olt", wide, 1e300), v.b)
    some = v.two("or", v.test("ogt", high, 1e-300), v.test("ogt", wide, 1e-300), v.b)
    return made, v.op(f"xor {v.b} {v.two('and', tame, some, v.b)}, splat (i1 true)")


# ---- the functions as modules


def text(name: str) -> str:
    """The module of a function, in every number of lanes."""
    count, make = FUNCTIONS[name]
    declarations: dict[str, str] = {}
    made = []
    for lanes in LANES:
        v = Lanes(lanes)
        args = [f"%x{k}" for k in range(count)]
        result, odd = make(v, *args)
        if odd is not None:
            result = _redone(v, name, args, result, odd)
        head = f"define {v.d} @vector.{name}.{lanes}({', '.join(f'{v.d} {a}' for a in args)}) nounwind {{"
        made += [head, *v.entry, "  br label %start", "start:", *v.lines, f"  ret {v.d} {result}", "}"]
        declarations |= v.declarations
    return "\n".join([*declarations.values(), *made]) + "\n"


def _redone(v: Lanes, name: str, args: list[str], made: str, odd: str) -> str:
    """The result with the lanes in `odd` done by C's library, one after the other."""
    reduce = f"llvm.vector.reduce.or.v{v.lanes}i1"
    v.declarations[reduce] = f"declare i1 @{reduce}({v.b})"
    v.branch_plain(v.op(f"call i1 @{reduce}({v.b} {odd})"), "lane", "done")
    v.label("lane")
    v.do("%k = phi i64 [0, %start], [%next, %same]")
    v.do(f"%all = phi {v.d} [{made}, %start], [%more, %same]")
    v.branch_plain(v.op(f"extractelement {v.b} {odd}, i64 %k"), "again", "same")
    v.label("again")
    one = [("double", v.op(f"extractelement {v.d} {a}, i64 %k")) for a in args]
    right = v.call(f"math.{name}", "double", *one, pure=True)
    changed = v.op(f"insertelement {v.d} %all, double {right}, i64 %k")
    v.jump("same")
    v.label("same")
    v.do(f"%more = phi {v.d} [%all, %lane], [{changed}, %again]")
    v.do("%next = add i64 %k, 1")
    v.branch_plain(v.op(f"icmp ult i64 %next, {v.lanes}"), "lane", "done")
    v.label("done")
    return v.op(f"phi {v.d} [{made}, %start], [%more, %same]")


@functools.cache
def available() -> bool:
    """Whether the processor multiplies and adds in one step, on which all of this rests."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    return bool(features.get("fma") or features.get("neon") or features.get("fullfp16"))
