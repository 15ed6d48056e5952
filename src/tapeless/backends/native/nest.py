"""The nest: a typed program of scalars, arrays and loops, one step above machine code.

Staging turns a Program and the types of its arguments into one nest `Function`: calls are inlined, tuples,
objects and views are gone, array expressions are loops.  Reverse and forward mode map nests to nests, the
optimiser maps nests to nests, and `llvm` and `show` print them.

Control is structured: counted `For`, `While`, `If`.  There is no break, continue or early return (staging
makes them flags), and the one way out is `Raise`.  Scalars are variables that are assigned; arrays are
storage with an identity: two arrays share memory only if one is declared an alias of the other.

Scalar types are `F64`, `F32`, `I64` and `BOOL`; complex numbers are pairs, narrower integers exist only as
elements of arrays and are `I64` once loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ctypes import c_float
from dataclasses import dataclass, field
from typing import Any

F64, F32, I64, BOOL = "f64", "f32", "i64", "bool"
FLOATS = (F64, F32)

#: NumPy's name of an element type -> the scalar type of a loaded element.
ELEMENTS = {
    "float64": F64, "float32": F32, "int64": I64, "int32": I64, "int16": I64, "int8": I64,
    "uint8": I64, "uint16": I64, "uint32": I64, "bool": BOOL,
}  # fmt: skip


# ---- names


@dataclass(eq=False, slots=True)
class Scalar:
    """A scalar variable.  Two variables are the same only if they are the same object."""

    name: str
    type: str

    def __repr__(self) -> str:
        return self.name


@dataclass(eq=False, slots=True)
class Array:
    """Storage with `ndim` axes, addressed by one index an axis; row-major unless it is a strided argument.

    `alias` is the array whose memory this one names in another shape (a reshape of contiguous storage); an
    alias is declared by `Alias` and has no storage of its own.
    """

    name: str
    dtype: str
    ndim: int
    contiguous: bool = True
    alias: Array | None = None

    @property
    def element(self) -> str:
        return ELEMENTS[self.dtype]

    @property
    def root(self) -> Array:
        """The array that owns the memory."""
        return self if self.alias is None else self.alias.root

    def __repr__(self) -> str:
        return self.name


# ---- expressions: immutable, pure, evaluated where they stand


class Expr:
    """A scalar expression.  Arithmetic on expressions makes expressions."""

    __slots__ = ("_hash", "_inside")
    type: str
    _hash: int
    _inside: tuple[Expr, ...]
    """What `leaves` has found inside, once it was asked."""

    def __add__(self, other: Any) -> Expr:
        return apply("add", self, other)

    def __radd__(self, other: Any) -> Expr:
        return apply("add", other, self)

    def __sub__(self, other: Any) -> Expr:
        return apply("sub", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return apply("sub", other, self)

    def __mul__(self, other: Any) -> Expr:
        return apply("mul", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return apply("mul", other, self)

    def __truediv__(self, other: Any) -> Expr:
        return apply("div", self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return apply("div", other, self)

    def __floordiv__(self, other: Any) -> Expr:
        return apply("floordiv", self, other)

    def __mod__(self, other: Any) -> Expr:
        return apply("mod", self, other)

    def __neg__(self) -> Expr:
        return apply("neg", self)


@dataclass(frozen=True, slots=True)
class Const(Expr):
    value: float | int | bool
    type: str


@dataclass(frozen=True, slots=True)
class Ref(Expr):
    """The value of a scalar variable."""

    var: Scalar

    @property
    def type(self) -> str:  # type: ignore[override]
        return self.var.type


@dataclass(frozen=True, slots=True)
class Load(Expr):
    """An element; every index is an `I64` in range (staging has checked it, and undone negative ones)."""

    array: Array
    index: tuple[Expr, ...]

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            object.__setattr__(self, "_hash", hash((self.array, self.index)))
            return self._hash

    @property
    def type(self) -> str:  # type: ignore[override]
        return self.array.element


@dataclass(frozen=True, slots=True)
class Dim(Expr):
    """The length of an axis of an array."""

    array: Array
    axis: int

    @property
    def type(self) -> str:  # type: ignore[override]
        return I64


@dataclass(frozen=True, slots=True)
class Apply(Expr):
    """An operation of `OPERATIONS`; the operands have one type (but for `select`'s condition and `cast`)."""

    op: str
    args: tuple[Expr, ...]
    type: str

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:  # sums are keys of many tables
            object.__setattr__(self, "_hash", hash((self.op, self.args, self.type)))
            return self._hash


COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
_TRUTHS = frozenset((*COMPARISONS, "all", "any", "not", "isnan", "isinf", "isfinite", "signbit"))
#: Elementary functions of one float, by the names of C's library.
FUNCTIONS = (
    "sqrt", "cbrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin",
    "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "tgamma", "lgamma",
    "digamma", "fabs", "floor", "ceil", "trunc", "rint",
    # those of SciPy, by their names there
    *[f"special.{name}" for name in (
        "j0", "j1", "y0", "y1", "i0", "i1", "i0e", "i1e", "k0", "k1", "dawsn", "ellipk", "ellipe", "ndtri",
        "erfinv", "erfcinv", "rgamma", "cosm1", "expi", "exp1", "erfcx", "erfi", "log_ndtr",
    )],
)  # fmt: skip
#: Functions of SciPy of two floats.
BINARY = tuple(f"special.{n}" for n in (
    "jv", "yv", "iv", "ive", "kv", "gammainc", "gammaincc", "beta", "betaln",
))  # fmt: skip
#: name -> number of operands.
OPERATIONS: dict[str, int] = {
    # numbers.  `div`: floats, IEEE.  `floordiv`, `mod`: as Python's (integers: the divisor is not zero).
    # `mulz`: a product in derivative arithmetic that is 0 if a factor is 0 (the strong zero).
    "add": 2, "sub": 2, "mul": 2, "div": 2, "floordiv": 2, "mod": 2, "neg": 1, "abs": 1, "pow": 2, "mulz": 2,
    # IEEE: the other operand if one is NaN (fmin, fmax), NaN if one is (minimum, maximum).
    "fmin": 2, "fmax": 2, "minimum": 2, "maximum": 2, "atan2": 2, "hypot": 2, "copysign": 2, "fmod": 2,
    # bits of integers
    "and": 2, "or": 2, "xor": 2, "invert": 1, "shl": 2, "shr": 2,
    # truth (of BOOL operands); both operands are evaluated
    "all": 2, "any": 2, "not": 1, "isnan": 1, "isinf": 1, "isfinite": 1, "signbit": 1,
    # select(condition, a, b): both are evaluated.  cast(x): to the result's type; float to integer truncates
    # stop(x): x itself, a constant for derivatives; hold(a, x), held(x): for one of them (`own`)
    "select": 3, "cast": 1, "stop": 1, "hold": 2, "held": 1,
    **dict.fromkeys(COMPARISONS, 2), **dict.fromkeys(FUNCTIONS, 1), **dict.fromkeys(BINARY, 2),
}  # fmt: skip


def const(value: Any, type: str | None = None) -> Const:
    """A literal: of `type`, or of the type its Python value suggests."""
    if type is None:
        type = BOOL if isinstance(value, bool) else I64 if isinstance(value, int) else F64
    kinds: dict[str, Callable[[Any], Any]] = {F64: float, F32: _single, I64: int, BOOL: bool}
    return Const(kinds[type](value), type)


def _single(value: float) -> float:
    """A number as 32 bits hold it."""
    return float(c_float(value).value)


ZERO, ONE, TRUE, FALSE = Const(0, I64), Const(1, I64), Const(True, BOOL), Const(False, BOOL)


def apply(op: str, *operands: Any) -> Expr:
    """An operation on expressions and numbers, with integer constants folded and 1·x, x/1, i+0 simplified.

    Numbers take the type of the other operand.  Nothing is simplified that could change a float's bits.
    """
    args: tuple[Expr, ...] = operands
    if not all([isinstance(x, Expr) for x in operands]):
        known = next((x.type for x in operands[op == "select" :] if isinstance(x, Expr)), None)
        args = tuple([x if isinstance(x, Expr) else const(x, known) for x in operands])
    type = BOOL if op in _TRUTHS else args[-1].type
    a = args[0]
    b = args[1] if len(args) > 1 else None
    if op == "select" and isinstance(a, Const):
        return args[1] if a.value else args[2]
    if isinstance(a, Const) and a.type in (I64, BOOL) and all([isinstance(x, Const) for x in args]):
        folded = _fold(op, *(x.value for x in args))  # type: ignore[attr-defined]
        if folded is not None:
            return const(folded, type)
    if op == "add" and type == I64:
        if a == ZERO and b is not None:
            return b
        if b == ZERO:
            return a
        # (x + c) + d = x + (c + d)
        if isinstance(b, Const) and isinstance(a, Apply) and a.op == "add" and isinstance(a.args[1], Const):
            return apply("add", a.args[0], b.value + a.args[1].value)
        if isinstance(a, Const):
            assert b is not None
            return apply("add", b, a)
    elif op == "sub" and type == I64:
        if isinstance(b, Const):
            return apply("add", a, -b.value)
        if a == b:
            return ZERO
    elif op == "mul":
        if isinstance(a, Const) and a.value == 1 and b is not None:
            return b
        if isinstance(b, Const) and b.value == 1:
            return a
        if type == I64 and ZERO in (a, b):
            return ZERO
    elif (op == "div" and isinstance(b, Const) and b.value == 1) or (op == "floordiv" and b == ONE):
        return a
    elif op == "neg" and isinstance(a, Const):
        return Const(-a.value, type)
    elif op == "all" and b is not None:
        if TRUE in (a, b):
            return b if a == TRUE else a
        if FALSE in (a, b):
            return FALSE
    elif op == "any" and b is not None:
        if FALSE in (a, b):
            return b if a == FALSE else a
        if TRUE in (a, b):
            return TRUE
    elif op in COMPARISONS and a == b and a.type == I64:
        return const(op in ("le", "ge", "eq"))
    return Apply(op, args, type)


_FOLDED: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "neg": lambda a: -a,
    "floordiv": lambda a, b: a // b, "mod": lambda a, b: a % b, "abs": abs, "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b, "gt": lambda a, b: a > b, "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "all": lambda a, b: a and b,
    "any": lambda a, b: a or b, "not": lambda a: not a, "minimum": min, "maximum": max,
}  # fmt: skip


def _fold(op: str, *v: Any) -> Any:
    """The value of an operation on known integers or truths; None where it is left to run time."""
    if op in ("floordiv", "mod") and v[1] == 0:
        return None
    made = _FOLDED[op](*v) if op in _FOLDED else None
    return made if made is None or -(2**63) <= made < 2**63 else None


def cast(x: Expr, type: str) -> Expr:
    """`x` as a scalar of another type."""
    if x.type == type:
        return x
    if isinstance(x, Const) and type in FLOATS:
        return const(x.value, type)
    return Apply("cast", (x,), type)


def leaves(expr: Expr) -> tuple[Expr, ...]:
    """The expressions inside `expr` that are no `Apply`, those in the indices of loads included."""
    if isinstance(expr, (Apply, Load)):
        try:
            inside = expr._inside
        except AttributeError:
            found: list[Expr] = []
            for part in expr.args if isinstance(expr, Apply) else expr.index:
                _collect(part, found)
            inside = tuple(found)
            object.__setattr__(expr, "_inside", inside)
        return inside if isinstance(expr, Apply) else (expr, *inside)
    return (expr,)


def _collect(expr: Expr, found: list[Expr]) -> None:
    if isinstance(expr, Apply):
        for a in expr.args:
            _collect(a, found)
    else:
        found.append(expr)
        if isinstance(expr, Load):
            for i in expr.index:
                _collect(i, found)


# ---- statements


@dataclass(slots=True)
class Stmt:
    line: int = field(default=0, kw_only=True)


@dataclass(slots=True)
class Assign(Stmt):
    var: Scalar
    value: Expr


@dataclass(slots=True)
class Store(Stmt):
    """`array[index] = value`, or with `add` `array[index] += value` (floats only)."""

    array: Array
    index: tuple[Expr, ...]
    value: Expr
    add: bool = False


@dataclass(slots=True)
class Alloc(Stmt):
    """The array gets storage of this shape; its content is unspecified.

    So it is after a second execution, whether or not the memory is the same: a program reads what it has
    stored since, and a cotangent that comes here is dropped.  Storage is freed when the function is left.
    """

    array: Array
    shape: tuple[Expr, ...]


@dataclass(slots=True)
class Alias(Stmt):
    """From here on `array` names the memory of `array.alias` (contiguous), in this shape."""

    array: Array
    shape: tuple[Expr, ...]


@dataclass(slots=True)
class Grow(Stmt):
    """A one-axis array has at least `size` elements from here on; it keeps what it holds.

    The rest is 0, or unspecified if it is not to be cleared.
    """

    array: Array
    size: Expr
    clear: bool = True


@dataclass(slots=True)
class Swap(Stmt):
    """Two arrays of one shape exchange their memory: the names, as in `a, b = b, a`.

    The caller's memory of a parameter keeps what is in it; the parameter's name then means other memory.
    """

    a: Array
    b: Array


@dataclass(slots=True)
class For(Stmt):
    """`for var in range(start, stop, step)`: bounds are evaluated once, `step` is a constant, never 0.

    `independent`: no iteration reads or writes what another one writes, so they may run in any order; but for
    scalars that it only adds to (`x = x + e`), which are summed in any order.
    `lanes`: iterations are seeds of a derivative, in whose arithmetic 0 times infinity is 0.
    The variable belongs to the loop and is not assigned in it.
    """

    var: Scalar
    start: Expr
    stop: Expr
    body: list[Stmt]
    step: int = 1
    independent: bool = False
    lanes: bool = False


@dataclass(slots=True)
class While(Stmt):
    """Run `test`; leave if `condition` is false; run `body`; again."""

    test: list[Stmt]
    condition: Expr
    body: list[Stmt]


@dataclass(slots=True)
class If(Stmt):
    condition: Expr
    then: list[Stmt]
    orelse: list[Stmt] = field(default_factory=list)


@dataclass(slots=True)
class Raise(Stmt):
    """Leave the function with an exception: an index into `Function.failures`."""

    failure: int


@dataclass(slots=True)
class Check(Stmt):
    """Raise unless the condition holds."""

    condition: Expr
    failure: int


@dataclass(slots=True)
class Intrinsic(Stmt):
    """An operation on whole arrays, of the table in `intrinsics`: `outs` are written, `ins` are read."""

    name: str
    outs: tuple[Array | Scalar, ...]
    ins: tuple[Array | Expr, ...]
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Comment(Stmt):
    """A line for the reader; the source line that follows, say."""

    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that a nest can raise: `type(message)`, or `type(*args)` of the program's own `raise`."""

    type: type[BaseException]
    args: tuple[Any, ...]
    filename: str
    line: int


@dataclass(slots=True)
class Function:
    """A whole nest.  `params` come from the caller and `results` go back to it, in order.

    An array parameter may be written: its memory is the caller's.  `failures` are what `Raise` and `Check`
    name.
    """

    name: str
    params: list[Scalar | Array]
    body: list[Stmt]
    results: list[Scalar | Array]
    failures: list[Failure] = field(default_factory=list)
    filename: str = "<nest>"
    parallel: bool = False
    lengths: dict[Array, tuple[Expr, ...]] = field(default_factory=dict)
    """Lengths of parameters that are known to be those of others, too."""


def children(stmt: Stmt) -> tuple[list[Stmt], ...]:
    """The bodies inside a statement, in order of execution."""
    if isinstance(stmt, For):
        return (stmt.body,)
    if isinstance(stmt, While):
        return (stmt.test, stmt.body)
    if isinstance(stmt, If):
        return (stmt.then, stmt.orelse)
    return ()


def walk(body: list[Stmt]) -> Iterator[Stmt]:
    """Every statement of a body and of the bodies inside it, in order."""
    rest = [iter(body)]
    while rest:
        for stmt in rest[-1]:
            yield stmt
            if isinstance(stmt, (For, While, If)):
                rest += map(iter, reversed(children(stmt)))
                break
        else:
            rest.pop()


def expressions(stmt: Stmt) -> tuple[Expr, ...]:
    """The expressions that a statement itself evaluates (not those of the bodies inside it)."""
    if isinstance(stmt, Assign):
        return (stmt.value,)
    if isinstance(stmt, Store):
        return (*stmt.index, stmt.value)
    if isinstance(stmt, (Alloc, Alias)):
        return stmt.shape
    if isinstance(stmt, Grow):
        return (stmt.size,)
    if isinstance(stmt, For):
        return (stmt.start, stmt.stop)
    if isinstance(stmt, (While, If, Check)):
        return (stmt.condition,)
    if isinstance(stmt, Intrinsic):
        return tuple(x for x in stmt.ins if isinstance(x, Expr))
    return ()
