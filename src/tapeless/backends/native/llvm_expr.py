"""Scalar expressions as LLVM instructions.  Everything is straight-line code, so that loops vectorise."""

from __future__ import annotations

from tapeless.backends.native import llvm_math
from tapeless.backends.native.llvm_build import LL, MEMORY, Builder, literal
from tapeless.backends.native.nest import (
    BINARY,
    BOOL,
    COMPARISONS,
    F32,
    F64,
    FLOATS,
    FUNCTIONS,
    I64,
    Apply,
    Array,
    Const,
    Dim,
    Expr,
    Load,
    Ref,
    Scalar,
)

FLOAT_OPS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv", "fmod": "frem"}
INT_OPS = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}
BOOL_OPS = {"all": "and", "any": "or", "and": "and", "or": "or", "xor": "xor", "mul": "and", "add": "or"}
FLOAT_COMPARE = {"lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge", "eq": "oeq", "ne": "une"}
INT_COMPARE = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge", "eq": "eq", "ne": "ne"}
#: What LLVM has an instruction or an intrinsic for.
DIRECT = {
    "fabs": "fabs", "floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "rint", "sqrt": "sqrt",
    "copysign": "copysign", "fmin": "minnum", "fmax": "maxnum",
}  # fmt: skip


class Expressions(Builder):
    """What turns an expression into the name of a value; arrays and variables are in the tables."""

    def __init__(self) -> None:
        super().__init__()
        self.slots: dict[Scalar, str] = {}
        self.data: dict[Array, str] = {}
        self.dims: dict[Array, list[str]] = {}
        self.strides: dict[Array, list[str]] = {}
        self.affine_vars: set[Scalar] = set()
        self.known: dict[tuple[int, bool], str] = {}
        self.loose: dict[int, str] = {}  # what LLVM may do to the additions and products of these ids

    # ---- tables

    def slot_of(self, var: Scalar) -> str:
        if var not in self.slots:
            zero = literal(0, var.type)
            self.slots[var] = self.slot(LL[var.type], zero, "s")
        return self.slots[var]

    def access(self, array: Array) -> str:
        """The metadata of a load from or a store to an array."""
        return ""

    def address(self, array: Array, index: tuple[Expr, ...]) -> str:
        pointer = self.load("ptr", self.data[array])
        if not index:
            return pointer
        at = [self.value(i, exact=True) for i in index]
        if array.contiguous:
            linear = at[0]
            for k in range(1, len(at)):
                linear = self.op(f"mul nsw i64 {linear}, {self.dim(array, k)}")
                linear = self.op(f"add nsw i64 {linear}, {at[k]}")
        else:
            steps = [self.load("i64", s) for s in self.strides[array]]
            parts = [self.op(f"mul nsw i64 {i}, {s}") for i, s in zip(at, steps, strict=True)]
            linear = parts[0]
            for part in parts[1:]:
                linear = self.op(f"add nsw i64 {linear}, {part}")
        return self.op(f"getelementptr inbounds {MEMORY[array.dtype][0]}, ptr {pointer}, i64 {linear}")

    def dim(self, array: Array, axis: int) -> str:
        return self.load("i64", self.dims[array][axis])

    def read(self, array: Array, address: str) -> str:
        """The element at an address, as a scalar."""
        kind, _ = MEMORY[array.dtype]
        got = self.op(f"load {kind}, ptr {address}{self.access(array)}")
        if array.dtype == "bool":
            return self.op(f"icmp ne i8 {got}, 0")
        if array.element == I64 and kind != "i64":
            return self.op(f"{'zext' if array.dtype[0] == 'u' else 'sext'} {kind} {got} to i64")
        return got

    def write(self, array: Array, address: str, value: str) -> None:
        kind, _ = MEMORY[array.dtype]
        if array.dtype == "bool":
            value = self.op(f"zext i1 {value} to i8")
        elif array.element == I64 and kind != "i64":
            value = self.op(f"trunc i64 {value} to {kind}")
        self.do(f"store {kind} {value}, ptr {address}{self.access(array)}")

    # ---- expressions

    def affine(self, x: Expr) -> bool:
        """Made of loop variables, lengths and constants: such an index does not wrap around."""
        if isinstance(x, Apply):
            return x.op in ("add", "sub", "mul", "neg") and all(map(self.affine, x.args))
        return isinstance(x, (Const, Dim)) or (isinstance(x, Ref) and x.var in self.affine_vars)

    def value(self, x: Expr, exact: bool = False) -> str:
        """The value of an expression; `exact` marks an index, whose arithmetic stays in range."""
        if isinstance(x, Const):
            return literal(x.value, x.type)
        if isinstance(x, Ref):
            return self.load(LL[x.type], self.slot_of(x.var))
        if isinstance(x, Dim):
            return self.dim(x.array, x.axis)
        key = id(x), exact
        if key not in self.known:
            if isinstance(x, Load):
                self.known[key] = self.read(x.array, self.address(x.array, x.index))
            else:
                assert isinstance(x, Apply)
                exact = exact and self.affine(x)
                self.known[key] = self.apply(x, [self.value(a, exact) for a in x.args], exact)
        return self.known[key]

    def apply(self, x: Apply, v: list[str], exact: bool) -> str:
        op, source = x.op, x.args[-1].type
        kind = LL[source]
        if op == "select":
            return self.op(f"select i1 {v[0]}, {kind} {v[1]}, {kind} {v[2]}")
        if op == "cast":
            return self.cast(v[0], source, x.type)
        if op == "stop":
            return v[0]
        if op in COMPARISONS:
            if source in FLOATS:
                return self.op(f"fcmp {FLOAT_COMPARE[op]} {kind} {v[0]}, {v[1]}")
            code = INT_COMPARE[op].replace("s", "u") if source == BOOL else INT_COMPARE[op]
            return self.op(f"icmp {code} {kind} {v[0]}, {v[1]}")
        if source == BOOL:
            if op in ("not", "invert"):
                return self.op(f"xor i1 {v[0]}, true")
            return self.op(f"{BOOL_OPS[op]} i1 {v[0]}, {v[1]}")
        if source == I64:
            return self.integer(op, v, x.args, exact)
        return self.floating(op, v, x, kind)

    def cast(self, v: str, source: str, target: str) -> str:
        a, b = LL[source], LL[target]
        if source == target:
            return v
        if target == BOOL:
            return self.op(f"fcmp une {a} {v}, 0.0" if source in FLOATS else f"icmp ne i64 {v}, 0")
        if source == BOOL:
            return self.op(f"{'uitofp' if target in FLOATS else 'zext'} i1 {v} to {b}")
        if source == I64:
            return self.op(f"sitofp i64 {v} to {b}")
        if target == I64:  # out of range: some integer, whichever the processor makes
            return self.op(f"freeze i64 {self.op(f'fptosi {a} {v} to i64')}")
        return self.op(f"{'fpext' if target == F64 else 'fptrunc'} {a} {v} to {b}")

    def integer(self, op: str, v: list[str], args: tuple[Expr, ...], exact: bool) -> str:
        if op in INT_OPS:
            flag = " nsw" if exact and op in ("add", "sub", "mul") else ""
            return self.op(f"{INT_OPS[op]}{flag} i64 {v[0]}, {v[1]}")
        if op == "neg":
            return self.op(f"sub i64 0, {v[0]}")
        if op == "invert":
            return self.op(f"xor i64 {v[0]}, -1")
        if op in ("abs", "fabs"):
            self.declarations.setdefault("llvm.abs.i64", "declare i64 @llvm.abs.i64(i64, i1)")
            return self.op(f"call i64 @llvm.abs.i64(i64 {v[0]}, i1 false)")
        if op in ("minimum", "fmin", "maximum", "fmax"):
            return self.intrinsic("smin" if "min" in op else "smax", "i64", *v)
        if op in ("floordiv", "mod"):
            return self.divide(op, v[0], v[1], args[1])
        if op in ("shl", "shr"):
            big = self.op(f"icmp ugt i64 {v[1]}, 63")
            by = self.op(f"select i1 {big}, i64 {63 if op == 'shr' else 0}, i64 {v[1]}")
            made = self.op(f"{'shl' if op == 'shl' else 'ashr'} i64 {v[0]}, {by}")
            return made if op == "shr" else self.op(f"select i1 {big}, i64 0, i64 {made}")
        if op == "pow":
            return llvm_math.helper(self, "tl_ipow", "i64", ("i64", v[0]), ("i64", v[1]))
        if op == "signbit":
            return self.op(f"icmp slt i64 {v[0]}, 0")
        if op in ("isnan", "isinf", "isfinite"):
            return literal(op == "isfinite", BOOL)
        raise TypeError(f"no integer operation {op}")

    def divide(self, op: str, a: str, b: str, divisor: Expr) -> str:
        """Python's `//` and `%`; by 0 it is 0, as NumPy has it (staging raises for Python's integers)."""
        if isinstance(divisor, Const) and divisor.value > 0:
            n = int(divisor.value)
            if n & (n - 1) == 0:
                return self.op(
                    f"ashr i64 {a}, {n.bit_length() - 1}" if op == "floordiv" else f"and i64 {a}, {n - 1}"
                )
            safe = b
        else:  # by 0 and by -1 (which may overflow) the processor would trap
            up = self.op(f"add i64 {b}, 1")
            odd = self.op(f"icmp ult i64 {up}, 2")
            safe = self.op(f"select i1 {odd}, i64 1, i64 {b}")
        rest = self.op(f"srem i64 {a}, {safe}")
        signs = self.op(f"xor i64 {rest}, {safe}")
        wrong = self.op(f"icmp slt i64 {signs}, 0")
        some = self.op(f"icmp ne i64 {rest}, 0")
        fix = self.op(f"and i1 {wrong}, {some}")
        if op == "mod":
            more = self.op(f"add i64 {rest}, {safe}")
            return self.op(f"select i1 {fix}, i64 {more}, i64 {rest}")
        whole = self.op(f"sdiv i64 {a}, {safe}")
        less = self.op(f"add i64 {whole}, {self.op(f'sext i1 {fix} to i64')}")
        if safe == b:
            return less
        minus = self.op(f"icmp eq i64 {b}, -1")
        turned = self.op(f"select i1 {minus}, i64 {self.op(f'sub i64 0, {a}')}, i64 {less}")
        zero = self.op(f"icmp eq i64 {b}, 0")
        return self.op(f"select i1 {zero}, i64 0, i64 {turned}")

    def floating(self, op: str, v: list[str], x: Apply, kind: str) -> str:
        if op in FLOAT_OPS:
            flags = " " + self.loose[id(x)] if id(x) in self.loose else ""
            return self.op(f"{FLOAT_OPS[op]}{flags} {kind} {v[0]}, {v[1]}")
        if op == "neg":
            return self.op(f"fneg {kind} {v[0]}")
        if op in ("abs", *DIRECT):
            return self.intrinsic(DIRECT.get(op, "fabs"), kind, *v)
        if op == "mulz":
            made = self.op(f"fmul {kind} {v[0]}, {v[1]}")
            a = self.op(f"fcmp oeq {kind} {v[0]}, 0.0")
            b = self.op(f"fcmp oeq {kind} {v[1]}, 0.0")
            return self.op(f"select i1 {self.op(f'or i1 {a}, {b}')}, {kind} 0.0, {kind} {made}")
        if op in ("minimum", "maximum"):
            if id(x) in self.loose:  # a reduction, which LLVM vectorises in this form
                return self.intrinsic(op, kind, *v)
            first = self.op(f"fcmp {'olt' if op == 'minimum' else 'ogt'} {kind} {v[0]}, {v[1]}")
            nan = self.op(f"fcmp uno {kind} {v[0]}, {v[0]}")
            return self.op(f"select i1 {self.op(f'or i1 {first}, {nan}')}, {kind} {v[0]}, {kind} {v[1]}")
        if op == "isnan":
            return self.op(f"fcmp uno {kind} {v[0]}, {v[0]}")
        if op in ("isinf", "isfinite"):
            size = self.intrinsic("fabs", kind, v[0])
            return self.op(
                f"fcmp {'oeq' if op == 'isinf' else 'olt'} {kind} {size}, {literal(float('inf'), F64)}"
            )
        if op == "signbit":
            bits = "i64" if kind == "double" else "i32"
            return self.op(f"icmp slt {bits} {self.op(f'bitcast {kind} {v[0]} to {bits}')}, 0")
        if op in ("floordiv", "mod", "pow", "atan2", "hypot") or op in FUNCTIONS or op in BINARY:
            return self.function(op, v, x)
        raise TypeError(f"no operation {op} of floats")

    def function(self, op: str, v: list[str], x: Apply) -> str:
        """An elementary function, in double precision."""
        single = x.type == F32
        if single:
            v = [self.op(f"fpext float {a} to double") for a in v]
        power = x.args[1] if op == "pow" else None
        if isinstance(power, Const):
            made = llvm_math.constant_power(self, v[0], float(power.value))
        else:
            made = llvm_math.function(self, op, v)
        return self.op(f"fptrunc double {made} to float") if single else made
