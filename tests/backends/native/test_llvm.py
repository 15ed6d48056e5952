"""Compiled nests against the same nests as Python: random ones, and every operation on chosen values."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapeless.backends.native import llvm, show
from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import (
    BOOL,
    F32,
    F64,
    FUNCTIONS,
    I64,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Check,
    Dim,
    Expr,
    Failure,
    For,
    Function,
    Grow,
    If,
    Load,
    Raise,
    Ref,
    Scalar,
    Store,
    Swap,
    While,
    apply,
    cast,
    const,
)

FAILURES = [Failure(ValueError, ("low",), "file.py", 1), Failure(KeyError, ("high",), "file.py", 2)]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.5, 1e-310, -5e-324, 1e300, math.inf, -math.inf, math.nan]
C = ctypes.CDLL(None)
INTEGERS = [0, 1, -1, 2, -2, 7, -7, 63, 2**31, -(2**40) + 3]


def outcome(call, args):
    """The results of a call, or its exception."""
    try:
        return call(*args)
    except (ValueError, KeyError) as error:
        return type(error), error.args


def equal(a, b) -> bool:
    if isinstance(a, np.ndarray):
        return (
            a.shape == b.shape and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
        )
    return a == b or (a != a and b != b)


# ---- random nests, whose arithmetic is exact to the bit


class Nests:
    """Draws a nest: scalars and arrays of three types, every statement, indices that are in range."""

    def __init__(self, draw) -> None:
        self.draw = draw
        self.x, self.y, self.n = Scalar("x", F64), Scalar("y", F64), Scalar("n", I64)
        self.a, self.b = Array("a", "float64", 1), Array("b", "float64", 2, contiguous=False)
        self.c, self.d = Array("c", "int32", 1), Array("d", "float64", 1)
        self.e, self.f = Array("e", "float64", 2), Array("f", "float64", 1)
        self.flat = Array("flat", "float64", 1, alias=self.e)
        self.stack = Array("stack", "float64", 1)
        self.small = Array("small", "bool", 1)
        self.floats = [self.x, self.y, Scalar("u", F64), Scalar("v", F64)]
        self.ints = [self.n, Scalar("i", I64), Scalar("j", I64)]
        self.truths = [Scalar("p", BOOL), Scalar("q", BOOL)]
        self.loops: list[Scalar] = []
        self.count = 0

    def one(self, *choices):
        return self.draw(st.sampled_from(choices))

    def function(self) -> Function:
        body = [Assign(v, const(0, v.type)) for v in (*self.floats[2:], *self.ints[1:], *self.truths)]
        body += [
            Alloc(self.d, (Ref(self.n) + 1,)),
            *self.fill(self.d),
            Alloc(self.f, (Dim(self.d, 0),)),
            *self.fill(self.f),
            Alloc(self.e, (const(3), Ref(self.n) + 1)),
            Alias(self.flat, (const(3) * (Ref(self.n) + 1),)),
            *self.fill(self.flat),
            Alloc(self.small, (const(4),)),
            *self.fill(self.small),
            Grow(self.stack, ONE),
        ]
        body += self.body(3)
        results = [*self.floats, *self.ints, *self.truths, self.d, self.e, self.flat, self.small]
        params = [self.x, self.y, self.n, self.a, self.b, self.c]
        return Function("f", params, body, results, FAILURES)

    def fill(self, array: Array) -> list:
        i = Scalar("k", I64)
        value = apply("eq", Ref(i) % 2, 0) if array.element == BOOL else cast(Ref(i), F64) * 0.5
        return [For(i, ZERO, Dim(array, 0), [Store(array, (Ref(i),), value)], independent=True)]

    def body(self, depth: int) -> list:
        return [s for _ in range(self.draw(st.integers(1, 4))) for s in self.stmt(depth)]

    def stmt(self, depth: int) -> list:
        kinds = ["float", "int", "truth", "store", "add", "check", "push"]
        if not self.loops:
            kinds += ["swap"]
        if depth:
            kinds += ["for", "for", "if", "while"]
        kind = self.one(*kinds)
        if kind == "float":
            return [Assign(self.one(*self.floats), self.float(3))]
        if kind == "int":
            return [Assign(self.one(*self.ints[1:]), self.int(2))]
        if kind == "truth":
            return [Assign(self.one(*self.truths), self.truth(2))]
        if kind in ("store", "add"):
            array = self.one(self.a, self.d, self.e, self.flat, self.c, self.f)
            if array.element == I64:
                return [Store(array, self.index(array), self.int(2), add=False)]
            return [Store(array, self.index(array), self.float(2), add=kind == "add")]
        if kind == "check":
            return [Check(apply("lt", self.float(1), 100.0), 0)]
        if kind == "push":
            at = self.index(self.d)[0]
            return [Grow(self.stack, at + 1), Store(self.stack, (at,), self.float(1))]
        if kind == "swap":
            return [Swap(self.d, self.f)]
        if kind == "if":
            return [If(self.truth(2), self.body(depth - 1), self.one([], self.body(depth - 1)))]
        self.count += 1
        if kind == "while":
            left = Scalar(f"left{self.count}", I64)
            test = apply("all", apply("gt", Ref(left), 0), self.truth(1))
            inner = [*self.body(depth - 1), Assign(left, Ref(left) - 1)]
            return [Assign(left, const(3)), While(self.one([], self.stmt(0)), test, inner)]
        var = Scalar(f"l{self.count}", I64)
        step = self.one(1, 1, 1, 2, -1, -3)
        low, high = const(0), Dim(self.d, 0)
        bounds = (low, high) if step > 0 else (high - 1, low - 1)
        self.loops.append(var)
        made = For(var, *bounds, self.body(depth - 1), step=step)
        self.loops.pop()
        return [made]

    def index(self, array: Array) -> tuple[Expr, ...]:
        made = []
        for axis in range(array.ndim):
            loop = self.loops and array in (self.d, self.f, self.e) and axis == array.ndim - 1
            if loop and self.one(True, False):
                made.append(Ref(self.one(*self.loops)))
            else:
                made.append(self.int(1) % Dim(array, axis))
        return tuple(made)

    def float(self, depth: int) -> Expr:
        if depth == 0 or self.one(True, False, False):
            kind = self.one("const", "var", "load", "load")
            if kind == "const":
                return const(self.one(*SPECIAL, 0.1, 3.25))
            if kind == "var":
                return Ref(self.one(*self.floats))
            array = self.one(self.a, self.b, self.d, self.e, self.flat)
            return Load(array, self.index(array))
        f = lambda: self.float(depth - 1)  # noqa: E731
        op = self.one(
            "add", "sub", "mul", "div", "minimum", "maximum", "fmin", "fmax", "mulz", "copysign", "neg",
            "abs", "sqrt", "floor", "ceil", "trunc", "rint", "select", "cast", "mod", "floordiv",
        )  # fmt: skip
        if op == "cast":
            return cast(self.one(self.int(1), self.truth(1)), F64)
        if op == "select":
            return apply("select", self.truth(1), f(), f())
        if op in ("mod", "floordiv"):  # NumPy has its own answers for what CPython refuses
            return Apply(op, (f(), const(self.one(0.5, -3.0, 7.25))), F64)
        if op in ("neg", "abs", "sqrt", "floor", "ceil", "trunc", "rint"):
            return Apply(op, (f(),), F64)
        return Apply(op, (f(), f()), F64)

    def int(self, depth: int) -> Expr:
        """An integer of less than 1000 (Python's do not wrap around)."""
        if depth == 0 or self.one(True, False):
            kind = self.one("const", "var", "dim", "load", "loop")
            if kind == "const":
                return const(self.one(0, 1, -1, 5, -12))
            if kind == "var" or (kind == "loop" and not self.loops):
                return Ref(self.one(*self.ints))
            if kind == "loop":
                return Ref(self.one(*self.loops))
            return Dim(self.b, 1) if kind == "dim" else Load(self.c, self.index(self.c))
        i = lambda: self.int(depth - 1)  # noqa: E731
        op = self.one(
            "add", "sub", "mul", "floordiv", "mod", "neg", "abs", "minimum", "maximum", "and", "or", "xor",
            "invert", "shl", "shr", "cast", "select",
        )  # fmt: skip
        if op == "cast":
            low = apply("fmax", apply("fmin", self.float(1), 900.0), -900.0)
            return self.one(Apply("cast", (low,), I64), cast(self.truth(1), I64))
        if op == "select":
            return apply("select", self.truth(1), i(), i())
        if op in ("floordiv", "mod"):
            divisor = self.one(const(3), const(-5), const(8), apply("abs", i()) + 1, -apply("abs", i()) - 1)
            return Apply(op, (i(), divisor), I64)
        if op in ("shl", "shr"):
            return Apply(op, (i(), const(self.one(0, 1, 3))), I64) % 1000
        if op in ("neg", "abs", "invert"):
            return Apply(op, (i(),), I64)
        return Apply(op, (i(), i()), I64) % const(self.one(1000, -997))

    def truth(self, depth: int) -> Expr:
        kind = self.one(
            "var", "load", "float", "int", "all", "any", "not", "isnan", "isinf", "isfinite", "eq"
        )
        if depth == 0 or kind == "var":
            return Ref(self.one(*self.truths))
        if kind == "load":
            return Load(self.small, (self.int(1) % 4,))
        t = lambda: self.truth(depth - 1)  # noqa: E731
        if kind in ("float", "int"):
            make = self.float if kind == "float" else self.int
            return Apply(self.one("lt", "le", "gt", "ge", "eq", "ne"), (make(1), make(1)), BOOL)
        if kind in ("all", "any", "eq"):
            return Apply(kind, (t(), t()), BOOL)
        return Apply(kind, (t() if kind == "not" else self.float(1),), BOOL)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_nests(data):
    fn = Nests(data.draw).function()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(llvm, "loose", lambda loop: ())
        kernel = compile(fn)
    reference = show.python(fn)
    rng = np.random.default_rng(1)
    for n in (0, 4, 9):

        def args(n=n):
            a, b = rng.normal(size=3), np.arange(12.0).reshape(4, 3).T[:, ::-1]
            return rng.normal(), -2.5, n, a, b, np.arange(5, dtype=np.int32) - 2

        first = args()
        second = tuple(x.copy() if isinstance(x, np.ndarray) else x for x in first)
        wanted, got = outcome(reference, first), outcome(kernel.call, second)
        assert len(wanted) == len(got)
        assert all(map(equal, got, wanted)), (got, wanted)
        assert all(map(equal, second, first))


# ---- each operation


def pointwise(op: str, type: str, count: int, made: str) -> Function:
    params = [Scalar(f"x{k}", type) for k in range(count)]
    out = Scalar("out", made)
    return Function(f"one_{op}", params, [Assign(out, Apply(op, tuple(map(Ref, params)), made))], [out])


def every(values, count):
    return np.stack(np.meshgrid(*[values] * count, indexing="ij"), -1).reshape(-1, count)


FLOAT_PAIRS = ["add", "sub", "mul", "div", "fmin", "fmax", "minimum", "maximum", "copysign", "fmod", "mulz"]


@pytest.mark.parametrize("op", FLOAT_PAIRS)
def test_pairs_of_floats(op):
    fn = pointwise(op, F64, 2, F64)
    kernel, reference = compile(fn), show.python(fn)
    for x, y in every(np.array([*SPECIAL, 3.7, -1e-3]), 2).tolist():
        got, wanted = kernel.call(x, y)[0], reference(x, y)[0]
        assert equal(got, wanted), (x, y)
        if got == 0 and op not in ("fmin", "fmax", "minimum", "maximum"):
            assert math.copysign(1, got) == math.copysign(1, wanted), (x, y)


@pytest.mark.parametrize("op", ["floordiv", "mod"])
def test_division_of_floats_is_pythons(op):
    fn = pointwise(op, F64, 2, F64)
    kernel = compile(fn)
    for x, y in every(np.array([*SPECIAL, 3.7, -1e-3, 0.3, 5.5, -5.5]), 2).tolist():
        if y == 0:  # NumPy's answer
            with np.errstate(all="ignore"):
                wanted = float(np.float64(x) // y if op == "floordiv" else np.float64(x) % y)
        else:
            wanted = x // y if op == "floordiv" else x % y
        got = kernel.call(x, y)[0]
        assert equal(got, wanted) and (got != 0 or math.copysign(1, got) == math.copysign(1, wanted)), (x, y)


@pytest.mark.parametrize(
    "op", ["add", "sub", "mul", "floordiv", "mod", "and", "or", "xor", "minimum", "maximum"]
)
def test_pairs_of_integers(op):
    kernel = compile(pointwise(op, I64, 2, I64))
    ufunc = {"and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "floordiv": "floor_divide"}
    names = {"add": "add", "sub": "subtract", "mul": "multiply", "mod": "remainder"}
    call = getattr(np, {**ufunc, **names}.get(op, op))
    values = np.array([*INTEGERS, 2**63 - 1, -(2**63)])
    for x, y in every(values, 2):
        with np.errstate(all="ignore"):
            assert kernel.call(int(x), int(y))[0] == call(x, y), (x, y)


@pytest.mark.parametrize("divisor", [1, 3, 8, -1, -4, -7])
@pytest.mark.parametrize("op", ["floordiv", "mod"])
def test_division_by_a_known_integer(op, divisor):
    x, out = Scalar("x", I64), Scalar("out", I64)
    kernel = compile(Function("f", [x], [Assign(out, Apply(op, (Ref(x), const(divisor)), I64))], [out]))
    for n in [*INTEGERS, *range(-20, 20)]:
        assert kernel.call(n)[0] == (n // divisor if op == "floordiv" else n % divisor)


def test_powers_and_shifts_of_integers():
    power, left, right = (compile(pointwise(op, I64, 2, I64)) for op in ("pow", "shl", "shr"))
    for x in (-3, 0, 1, 2, 10):
        for n in (0, 1, 2, 5, 13):
            assert power.call(x, n)[0] == x**n
            assert left.call(x, n)[0] == x << n and right.call(x, n)[0] == x >> n
        assert left.call(x, 64)[0] == 0 and right.call(x, 70)[0] == (x >> 70)


@pytest.mark.parametrize("op", ["lt", "le", "gt", "ge", "eq", "ne"])
@pytest.mark.parametrize("type", [F64, I64])
def test_comparisons(op, type):
    fn = pointwise(op, type, 2, BOOL)
    kernel, reference = compile(fn), show.python(fn)
    for x, y in every(np.array(SPECIAL if type == F64 else INTEGERS), 2).tolist():
        assert kernel.call(x, y)[0] is bool(reference(x, y)[0]), (x, y)


@pytest.mark.parametrize("op", ["isnan", "isinf", "isfinite", "signbit"])
def test_questions_about_floats(op):
    kernel = compile(pointwise(op, F64, 1, BOOL))
    for x in SPECIAL:
        assert kernel.call(x)[0] is bool(getattr(np, op)(x)), x


REFERENCE = {"tgamma": "gamma", "lgamma": "gammaln", "digamma": "digamma", "erf": "erf", "erfc": "erfc"}
NUMPYS = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh",
          "atanh": "arctanh"}  # fmt: skip
REFERENCE |= {op: op.removeprefix("special.") for op in FUNCTIONS if op.startswith("special.")}


def numpys(op: str):
    if op in REFERENCE:
        import scipy.special

        return getattr(scipy.special, REFERENCE[op])
    return getattr(np, NUMPYS.get(op, op))


@pytest.mark.parametrize("op", FUNCTIONS)
def test_elementary_functions(op):
    a, made, i = Array("a", "float64", 1), Array("made", "float64", 1), Scalar("i", I64)
    loop = For(
        i, ZERO, Dim(a, 0), [Store(made, (Ref(i),), Apply(op, (Load(a, (Ref(i),)),), F64))], independent=True
    )
    kernel = compile(Function(op, [a], [Alloc(made, (Dim(a, 0),)), loop], [made]))
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [SPECIAL, rng.normal(size=2000), 50 * rng.normal(size=2000), np.exp(rng.normal(size=500) * 20)]
    )
    if op in ("tgamma", "lgamma", "digamma"):  # near a pole nobody is exact; at one answers differ
        x = x[np.isfinite(x)]
        x = x[(np.abs(x % 1.0 - 0.5) < 0.499) | (x > 0)]
        x = x[(np.abs(x) > 1e-300) & ((x > -20) | (op != "digamma"))]
    with np.errstate(all="ignore"):
        wanted = numpys(op)(x)
    (got,) = kernel.call(x)
    bound = 2e-13 if op in REFERENCE else 1e-15
    assert np.array_equal(np.isnan(got), np.isnan(wanted))
    with np.errstate(all="ignore"):
        error = np.abs(got - wanted) / np.maximum(np.abs(wanted), 2.3e-308 / bound)
        absolute = np.abs(got - wanted) if op in ("digamma", "lgamma") else math.inf  # they have roots
    bad = ~((got == wanted) | (error < bound) | (absolute < 1e-14) | np.isnan(wanted))
    assert not bad.any(), (x[bad][:5], got[bad][:5], wanted[bad][:5])
    zeros = wanted == 0
    assert np.array_equal(np.signbit(got[zeros]), np.signbit(wanted[zeros]))


@pytest.mark.parametrize("op", ["pow", "atan2", "hypot"])
def test_elementary_functions_of_two(op):
    kernel = compile(pointwise(op, F64, 2, F64))
    values = np.array([*SPECIAL, 3.0, -3.0, 0.1, 7.5, 1e-5, 1.0000001, 700.0])
    call = getattr(C, op)
    call.restype, call.argtypes = ctypes.c_double, [ctypes.c_double] * 2
    for x, y in every(values, 2).tolist():
        wanted, got = call(x, y), kernel.call(x, y)[0]
        assert equal(got, wanted) or abs(got - wanted) <= 1e-15 * abs(wanted), (x, y, got, wanted)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 6, -1, -2, -3, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 10, 0.3])
def test_known_powers(n):
    x, out = Scalar("x", F64), Scalar("out", F64)
    C.pow.restype, C.pow.argtypes = ctypes.c_double, [ctypes.c_double] * 2
    kernel = compile(Function("f", [x], [Assign(out, Apply("pow", (Ref(x), const(float(n))), F64))], [out]))
    for value in [*SPECIAL, 3.7, -1.1]:
        wanted, got = C.pow(value, n), kernel.call(value)[0]
        assert equal(got, wanted) or abs(got - wanted) <= 5e-16 * abs(wanted) + 1e-308, value


@pytest.mark.parametrize(
    "dtype", ["float64", "float32", "int64", "int32", "int16", "int8", "uint8", "uint16", "bool"]
)
def test_elements_are_stored_and_loaded(dtype):
    a, made, i = Array("a", dtype, 1), Array("made", dtype, 1), Scalar("i", I64)
    body = [Alloc(made, (Dim(a, 0),)), For(i, ZERO, Dim(a, 0), [Store(made, (Ref(i),), Load(a, (Ref(i),)))])]
    given = np.array([0, 1, 3, 100, 255, 127, 128]).astype(dtype)
    assert equal(compile(Function("f", [a], body, [made])).call(given)[0], given)


@pytest.mark.parametrize("source", [F64, F32, I64, BOOL])
@pytest.mark.parametrize("target", [F64, F32, I64, BOOL])
def test_casts(source, target):
    kernel = compile(pointwise("cast", source, 1, target))
    make = {F64: float, F32: np.float32, I64: int, BOOL: bool}
    for x in [0, 1, 1000, -3] + [2.75, -2.75] * (source in (F64, F32)):
        value = make[source](x)
        assert kernel.call(value)[0] == make[target](value), x


def test_a_float_that_is_no_integer_casts_to_some_integer():
    kernel = compile(pointwise("cast", F64, 1, I64))
    for x in (math.nan, math.inf, 1e300):
        assert isinstance(kernel.call(x)[0], int)


# ---- statements


def test_single_precision_rounds_to_single():
    fn = pointwise("add", F32, 2, F32)
    assert compile(fn).call(np.float32(0.1), np.float32(0.2))[0] == float(np.float32(0.1) + np.float32(0.2))
    root = compile(pointwise("exp", F32, 1, F32)).call(np.float32(0.1))[0]
    assert root == float(np.exp(np.float32(0.1)))


def test_loops_with_steps_count_as_range_does():
    start, stop, count, last, i = (Scalar(n, I64) for n in ("start", "stop", "count", "last", "i"))
    for step in (1, 2, 3, 7, -1, -2, -5):
        body = [Assign(count, ZERO), Assign(last, const(-99))]
        body.append(
            For(i, Ref(start), Ref(stop), [Assign(count, Ref(count) + 1), Assign(last, Ref(i))], step=step)
        )
        kernel = compile(Function("f", [start, stop], body, [count, last]))
        for a in range(-6, 7):
            for b in range(-6, 7):
                want = range(a, b, step)
                assert kernel.call(a, b) == (len(want), want[-1] if want else -99)


def test_loops_at_the_end_of_the_integers():
    start, stop, count, i = (Scalar(n, I64) for n in ("start", "stop", "count", "i"))
    body = [Assign(count, ZERO), For(i, Ref(start), Ref(stop), [Assign(count, Ref(count) + 1)], step=3)]
    kernel = compile(Function("f", [start, stop], body, [count]))
    assert kernel.call(2**63 - 11, 2**63 - 1) == (4,)


def total(terms: int) -> Function:
    """`s = s + a[i] * b[i]`, the arrays being columns or rows."""
    a, b, s, i = Array("a", "float64", 1), Array("b", "float64", 1), Scalar("s", F64), Scalar("i", I64)
    value: Expr = Ref(s)
    for _ in range(terms):
        value = value + Load(a, (Ref(i),)) * Load(b, (Ref(i),))
    loop = For(i, ZERO, Dim(a, 0), [Assign(s, value)])
    return Function("total", [a, b], [Assign(s, const(0.0)), loop], [s])


@pytest.mark.parametrize("terms", [1, 2])
def test_sums_vectorise(terms):
    fn = total(terms)
    kernel = compile(fn)
    a, b = np.random.default_rng(0).normal(size=(2, 1000))
    assert math.isclose(kernel.call(a, b)[0], show.python(fn)(a, b)[0], rel_tol=1e-12)
    assert "x double>" in kernel.optimised_ir


def test_compensated_sums_are_left_alone():
    a, i = Array("a", "float64", 1), Scalar("i", I64)
    s, c, y, t = (Scalar(n, F64) for n in "scyt")
    body = [
        Assign(y, Load(a, (Ref(i),)) - Ref(c)),
        Assign(t, Ref(s) + Ref(y)),
        Assign(c, (Ref(t) - Ref(s)) - Ref(y)),
        Assign(s, Ref(t)),
    ]
    fn = Function(
        "kahan", [a], [Assign(s, const(0.0)), Assign(c, const(0.0)), For(i, ZERO, Dim(a, 0), body)], [s, c]
    )
    values = np.random.default_rng(0).normal(size=1000) * 10.0 ** np.arange(1000) ** 0.4
    assert compile(fn).call(values) == show.python(fn)(values)


@pytest.mark.parametrize("op", ["minimum", "maximum"])
def test_extremes_vectorise_and_keep_nan(op):
    a, m, i = Array("a", "float64", 1), Scalar("m", F64), Scalar("i", I64)
    loop = For(i, ONE, Dim(a, 0), [Assign(m, apply(op, Ref(m), Load(a, (Ref(i),))))])
    kernel = compile(Function("f", [a], [Assign(m, Load(a, (ZERO,))), loop], [m]))
    values = np.random.default_rng(0).normal(size=100)
    assert kernel.call(values)[0] == getattr(np, op).reduce(values)
    values[57] = math.nan
    assert math.isnan(kernel.call(values)[0])
    assert "x double>" in kernel.optimised_ir


@pytest.mark.parametrize(("op", "wanted"), [("minimum", 3), ("maximum", 77)])
def test_the_place_of_a_value_is_found_in_lanes(op, wanted):
    a, place, i = Array("a", "float64", 1), Scalar("place", I64), Scalar("i", I64)
    found = apply("select", apply("eq", Load(a, (Ref(i),)), 1.0), Ref(i), Ref(place))
    start = const(98 if op == "minimum" else 0)
    body = [Assign(place, start), For(i, ZERO, Dim(a, 0), [Assign(place, apply(op, Ref(place), found))])]
    kernel = compile(Function("f", [a], body, [place]))
    values = np.zeros(100)
    assert kernel.call(values)[0] == start.value
    values[[3, 50, 77]] = 1.0
    assert kernel.call(values)[0] == wanted
    assert "x double>" in kernel.optimised_ir


def test_swapped_parameters_keep_the_callers_memory():
    a, b, i = Array("a", "float64", 1), Array("b", "float64", 1), Scalar("i", I64)
    n = Scalar("n", I64)
    step = For(i, ZERO, Dim(a, 0), [Store(b, (Ref(i),), Load(a, (Ref(i),)) * 2.0)])
    fn = Function(
        "f", [a, n], [Alloc(b, (Dim(a, 0),)), For(Scalar("t", I64), ZERO, Ref(n), [step, Swap(a, b)])], [a]
    )
    kernel, reference = compile(fn), show.python(fn)
    for n in range(4):
        first, second = np.arange(3.0), np.arange(3.0)
        assert equal(kernel.call(first, n)[0], reference(second, n)[0])
        assert np.array_equal(first, second)


def test_storage_made_again_keeps_its_content_if_its_shape_does():
    n, t = Scalar("n", I64), Scalar("t", I64)
    a, out = Array("a", "float64", 1), Array("out", "float64", 1)
    body = [Alloc(a, (Ref(n),)), Store(a, (Ref(t),), cast(Ref(t), F64))]
    again = [For(t, ZERO, Ref(n), body), Alloc(out, (Ref(n),))]
    again.append(For(t, ZERO, Ref(n), [Store(out, (Ref(t),), Load(a, (Ref(t),)))]))
    assert np.array_equal(compile(Function("f", [n], again, [out])).call(5)[0], np.arange(5.0))
    assert np.array_equal(compile(Function("f", [n], again[:1], [a])).call(5)[0], np.arange(5.0))


def test_what_grows_keeps_its_content_and_is_zero_beyond():
    n, i, s, a, out = (
        Scalar("n", I64),
        Scalar("i", I64),
        Scalar("s", F64),
        Array("a", "float64", 1),
        Scalar("o", F64),
    )
    push = [Grow(a, Ref(i) * 3 + 1), Store(a, (Ref(i) * 3,), cast(Ref(i), F64))]
    add = [Assign(s, Ref(s) + Load(a, (Ref(i),)))]
    body = [For(i, ZERO, Ref(n), push), Assign(s, const(0.0)), For(i, ZERO, Ref(n) * 3 - 2, add)]
    body.append(Assign(out, Load(a, (Ref(n) * 3 - 3,))))
    kernel = compile(Function("f", [n], body, [s, out]))
    for n in (1, 2, 100, 5000):
        assert kernel.call(n) == (n * (n - 1) / 2, n - 1.0)


def test_a_failure_inside_loops_leaves_at_once():
    a, i, x = Array("a", "float64", 1), Scalar("i", I64), Scalar("x", F64)
    body = [
        Store(a, (Ref(i),), const(7.0)),
        If(apply("eq", Ref(i), 2), [Raise(1)]),
        Check(apply("lt", Load(a, (Ref(i),)), Ref(x)), 0),
    ]
    kernel = compile(Function("f", [a, x], [For(i, ZERO, Dim(a, 0), body)], [], FAILURES))
    given = np.zeros(4)
    with pytest.raises(KeyError):
        kernel.call(given, 8.0)
    assert given.tolist() == [7.0, 7.0, 7.0, 0.0]
    with pytest.raises(ValueError):
        kernel.call(given, 1.0)
