"""Elementary functions: LLVM functions that are inlined where they are used, or those of C's library."""

from __future__ import annotations

import math

from tapeless.backends.native import vector_math
from tapeless.backends.native.llvm_build import Builder, literal
from tapeless.backends.native.memory import LARGE
from tapeless.backends.native.nest import F64
from tapeless.backends.native.symbols import LANES

#: Functions written here, by name: the text of the definition (and the names of what it calls).
HELPERS: dict[str, tuple[str, tuple[str, ...]]] = {}


def helper(b: Builder, name: str, result: str, *args: tuple[str, str]) -> str:
    """Call one of `HELPERS`, whose text then goes into the module."""
    need(b, name)
    text = f"call {result} @{name}({', '.join(f'{kind} {value}' for kind, value in args)})"
    if result == "void":
        b.do(text)
        return ""
    return b.op(text)


def need(b: Builder, name: str) -> None:
    if name not in b.declarations:
        text, uses = HELPERS.get(
            name, (f"declare double @{name}(double) nounwind willreturn memory(none)", ())
        )
        b.declarations[name] = text
        for other in uses:
            need(b, other)


def function(b: Builder, op: str, v: list[str]) -> str:
    """An elementary function of doubles; the call says what does several at once, if anything does."""
    args = [("double", a) for a in v]
    if op.startswith("special."):
        return b.call(op, "double", *args, ("i32", "0"), pure=True)
    if f"tl_{op}" in HELPERS:
        return helper(b, f"tl_{op}", "double", *args)
    if op not in vector_math.FUNCTIONS or not vector_math.available():
        return b.call(f"math.{op}", "double", *args, pure=True)
    variants = []
    for n in LANES:
        kind, name = f"<{n} x double>", f"vector.{op}.{n}"
        kinds = ", ".join(kind for _ in v)
        b.declarations.setdefault(name, f"declare {kind} @{name}({kinds}) nounwind willreturn memory(none)")
        variants.append(f"_ZGV_LLVM_N{n}{'v' * len(v)}_math.{op}({name})")
    note = f' "vector-function-abi-variant"="{",".join(variants)}"'
    return b.call(f"math.{op}", "double", *args, pure=True, note=note)


def constant_power(b: Builder, x: str, n: float) -> str:
    """`x ** n` for a known `n`: products and a root where they are as exact as the function."""
    whole = math.floor(abs(n))
    if abs(n) > 6 or abs(n) - whole not in (0.0, 0.5):
        return function(b, "pow", [x, literal(n, F64)])
    made, square, left = "", x, whole
    while left:
        if left & 1:
            made = b.op(f"fmul double {made}, {square}") if made else square
        left >>= 1
        if left:
            square = b.op(f"fmul double {square}, {square}")
    if whole != abs(n):
        root = b.intrinsic("sqrt", "double", b.op(f"fadd double {x}, 0.0"))
        made = b.op(f"fmul double {made}, {root}") if made else root
        lowest = b.op(f"fcmp oeq double {x}, 0xFFF0000000000000")  # no number's root, but its powers are
        made = b.op(f"select i1 {lowest}, double 0x7FF0000000000000, double {made}")
    made = made or "1.0"
    return b.op(f"fdiv double 1.0, {made}") if n < 0 else made


def _horner(made: str, x: str, coefficients: list[float]) -> str:
    """The text of `x * (c0 + x * (c1 + …))`, its steps named after the result."""
    lines, last = [], literal(coefficients[-1], F64)
    for k, c in reversed(list(enumerate(coefficients[:-1]))):
        lines.append(f"  %{made}.m{k} = fmul double {last}, %{x}")
        lines.append(f"  %{made}.a{k} = fadd double %{made}.m{k}, {literal(c, F64)}")
        last = f"%{made}.a{k}"
    return "\n".join([*lines, f"  %{made} = fmul double {last}, %{x}"])


HELPERS["llvm.copysign.f64"] = "declare double @llvm.copysign.f64(double, double)", ()

# Memory, on a cache line where it is large; more than there is gives none.  What a kernel keeps to itself is
# taken from, and given back to, the blocks of `memory`.
HELPERS["tl_malloc"] = (
    """
define internal ptr @tl_malloc(i64 %size) noinline nounwind {
  %small = icmp ult i64 %size, 1024
  br i1 %small, label %near, label %far
near:
  %a = call ptr @malloc(i64 %size)
  ret ptr %a
far:
  %more = add i64 %size, 63
  %lines = and i64 %more, -64
  %wrapped = icmp ult i64 %lines, %size
  %ask = select i1 %wrapped, i64 %size, i64 %lines
  %b = call ptr @aligned_alloc(i64 64, i64 %ask)
  ret ptr %b
}
declare ptr @malloc(i64)
declare ptr @aligned_alloc(i64, i64)
""",
    (),
)
HELPERS["tl_take"] = (
    """
define internal ptr @tl_take(i64 %size) noinline nounwind {
  %small = icmp ult i64 %size, LARGE
  br i1 %small, label %near, label %far
near:
  %a = call ptr @tl_malloc(i64 %size)
  ret ptr %a
far:
  %b = call ptr @tapeless.take(i64 %size)
  ret ptr %b
}
declare noalias ptr @tapeless.take(i64)
""".replace("LARGE", str(LARGE)),
    ("tl_malloc",),
)
HELPERS["tl_give"] = (
    """
define internal void @tl_give(ptr %block, i64 %size) noinline nounwind {
  %small = icmp ult i64 %size, LARGE
  %none = icmp eq ptr %block, null
  %plain = or i1 %small, %none
  br i1 %plain, label %near, label %far
near:
  call void @free(ptr %block)
  ret void
far:
  call void @tapeless.give(ptr %block)
  ret void
}
declare void @tapeless.give(ptr)
""".replace("LARGE", str(LARGE)),
    ("free",),
)
#: A slot of the table of owned memory is a block and its bytes.  A block that was too small gives way to one
#: larger by a quarter at least: an array that each iteration makes longer has few of them.
HELPERS["tl_renew"] = (
    """
define internal ptr @tl_renew(ptr %slot, i64 %size) noinline nounwind {
  %bytes = getelementptr inbounds i64, ptr %slot, i64 1
  %old = load ptr, ptr %slot
  %had = load i64, ptr %bytes
  call void @tl_give(ptr %old, i64 %had)
  %quarter = lshr i64 %had, 2
  %least = add i64 %had, %quarter
  %less = icmp ult i64 %size, %least
  %room = select i1 %less, i64 %least, i64 %size
  %made = call ptr @tl_take(i64 %room)
  store ptr %made, ptr %slot
  store i64 %room, ptr %bytes
  ret ptr %made
}
""",
    ("tl_give", "tl_take"),
)
HELPERS["tl_free_all"] = (
    """
define internal void @tl_free_all(ptr %table, i64 %count) noinline nounwind {
  br label %loop
loop:
  %k = phi i64 [0, %0], [%next, %again]
  %slot = getelementptr inbounds [2 x i64], ptr %table, i64 %k
  %block = load ptr, ptr %slot
  %none = icmp eq ptr %block, null
  br i1 %none, label %again, label %some
some:
  %at = getelementptr inbounds i64, ptr %slot, i64 1
  %bytes = load i64, ptr %at
  call void @tl_give(ptr %block, i64 %bytes)
  br label %again
again:
  %next = add nuw nsw i64 %k, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %loop, label %out
out:
  ret void
}
""",
    ("tl_give",),
)
HELPERS["free"] = ("declare void @free(ptr) nounwind", ())
HELPERS["tl_times"] = (
    """
define internal i64 @tl_times(i64 %a, i64 %b) alwaysinline nounwind {
  %both = call {i64, i1} @llvm.umul.with.overflow.i64(i64 %a, i64 %b)
  %made = extractvalue {i64, i1} %both, 0
  %over = extractvalue {i64, i1} %both, 1
  %all = select i1 %over, i64 -1, i64 %made
  ret i64 %all
}
declare {i64, i1} @llvm.umul.with.overflow.i64(i64, i64)
""",
    (),
)

HELPERS["tl_ipow"] = (
    """
define internal i64 @tl_ipow(i64 %a, i64 %n) nounwind {
  br label %loop
loop:
  %made = phi i64 [1, %0], [%made2, %loop]
  %base = phi i64 [%a, %0], [%base2, %loop]
  %left = phi i64 [%n, %0], [%left2, %loop]
  %odd = trunc i64 %left to i1
  %more = mul i64 %made, %base
  %made2 = select i1 %odd, i64 %more, i64 %made
  %base2 = mul i64 %base, %base
  %left2 = ashr i64 %left, 1
  %go = icmp sgt i64 %left2, 0
  br i1 %go, label %loop, label %done
done:
  ret i64 %made2
}
""",
    (),
)

# Python's float `%` and `//` (which NumPy's are too); NumPy's answer for a divisor of 0.
HELPERS["tl_mod"] = (
    """
define internal double @tl_mod(double %a, double %b) alwaysinline nounwind {
  %rest = frem double %a, %b
  %none = fcmp oeq double %rest, 0.0
  %zero = call double @llvm.copysign.f64(double 0.0, double %b)
  %low = fcmp olt double %rest, 0.0
  %negative = fcmp olt double %b, 0.0
  %wrong = xor i1 %low, %negative
  %more = fadd double %rest, %b
  %fixed = select i1 %wrong, double %more, double %rest
  %made = select i1 %none, double %zero, double %fixed
  ret double %made
}
""",
    ("llvm.copysign.f64",),
)
HELPERS["tl_floordiv"] = (
    """
define internal double @tl_floordiv(double %a, double %b) alwaysinline nounwind {
  %rest = frem double %a, %b
  %difference = fsub double %a, %rest
  %quotient = fdiv double %difference, %b
  %some = fcmp une double %rest, 0.0
  %low = fcmp olt double %rest, 0.0
  %negative = fcmp olt double %b, 0.0
  %wrong = xor i1 %low, %negative
  %fix = and i1 %some, %wrong
  %less = fsub double %quotient, 1.0
  %fixed = select i1 %fix, double %less, double %quotient
  %floor = call double @llvm.floor.f64(double %fixed)
  %above = fsub double %fixed, %floor
  %half = fcmp ogt double %above, 0.5
  %next = fadd double %floor, 1.0
  %whole = select i1 %half, double %next, double %floor
  %ratio = fdiv double %a, %b
  %zero = call double @llvm.copysign.f64(double 0.0, double %ratio)
  %none = fcmp oeq double %fixed, 0.0
  %made = select i1 %none, double %zero, double %whole
  %by0 = fcmp oeq double %b, 0.0
  %all = select i1 %by0, double %ratio, double %made
  ret double %all
}
""",
    ("llvm.floor.f64", "llvm.copysign.f64"),
)

STIRLING = [1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12]
# The derivative of lgamma: up to 10 by recurrence, then by Stirling's series; below 0 by reflection.
HELPERS["tl_digamma"] = (
    """
define internal double @tl_digamma(double %given) nounwind {
start:
  %low = fcmp ole double %given, 0.0
  br i1 %low, label %reflect, label %shift
reflect:
  %other = fsub double 1.0, %given
  %floor = call double @llvm.floor.f64(double %given)
  %part = fsub double %given, %floor
  %angle = fmul double %part, 0x400921FB54442D18
  %tan = call double @tan(double %angle)
  %term = fdiv double 0xC00921FB54442D18, %tan
  %whole = fcmp oeq double %part, 0.0
  %sign = call double @llvm.copysign.f64(double 0xFFF0000000000000, double %given)
  %turned = fneg double %sign
  %zero = fcmp oeq double %given, 0.0
  %pole = select i1 %zero, double %turned, double 0x7FF8000000000000
  %first = select i1 %whole, double %pole, double %term
  br label %shift
shift:
  %x = phi double [%given, %start], [%other, %reflect], [%x2, %more]
  %sum = phi double [0.0, %start], [%first, %reflect], [%sum2, %more]
  %far = fcmp olt double %x, 10.0
  br i1 %far, label %more, label %series
more:
  %inverse = fdiv double 1.0, %x
  %sum2 = fsub double %sum, %inverse
  %x2 = fadd double %x, 1.0
  br label %shift
series:
  %y = fdiv double 1.0, %x
  %z = fmul double %y, %y
SERIES
  %log = call double @log(double %x)
  %half = fmul double %y, 0.5
  %a = fsub double %log, %half
  %b = fsub double %a, %tail
  %made = fadd double %sum, %b
  ret double %made
}
""".replace("SERIES", _horner("tail", "z", STIRLING)),
    ("llvm.floor.f64", "llvm.copysign.f64", "tan", "log"),
)
