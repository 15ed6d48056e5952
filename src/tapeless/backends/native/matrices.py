"""Short nests on whole arrays: what the derivatives of matrix operations are written in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapeless.backends.native.activity import Activity
from tapeless.backends.native.nest import (
    F32,
    I64,
    ONE,
    ZERO,
    Alloc,
    Array,
    Assign,
    Dim,
    Expr,
    For,
    If,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    cast,
    const,
)
from tapeless.backends.native.partials import Arithmetic
from tapeless.backends.native.renaming import Companions
from tapeless.errors import MissingRuleError

#: Gives the element at an index.
Element = Callable[..., Expr]


class Matrices:
    """Collects statements that compute new arrays of one type."""

    def __init__(self, dtype: str, arithmetic: Arithmetic) -> None:
        self.dtype, self.arithmetic = dtype, arithmetic
        self.out: list[Stmt] = []

    def new(self, *shape: Expr) -> Array:
        """Storage for an array."""
        made = Array("m", self.dtype, len(shape))
        self.out.append(Alloc(made, shape))
        return made

    def shape(self, a: Array) -> tuple[Expr, ...]:
        return tuple(Dim(a, k) for k in range(a.ndim))

    def loops(self, shape: tuple[Expr, ...], inner: Callable[..., list[Stmt]], free: bool = True) -> None:
        """Loops over a shape; `inner` makes the statements for an index."""
        counters = [Scalar("ijkl"[min(k, 3)], I64) for k in range(len(shape))]
        body = inner(*map(Ref, counters))
        for i, n in zip(reversed(counters), reversed(shape), strict=True):
            body = [For(i, ZERO, n, body, independent=free)]
        self.out += body

    def each(self, shape: tuple[Expr, ...], element: Element) -> Array:
        """A new array from its elements."""
        made = self.new(*shape)
        self.loops(shape, lambda *i: [Store(made, i, element(*i))])
        return made

    def set(self, a: Array, element: Element, *, add: bool = False) -> None:
        """Every element of an array is given, or with `add` increased by, a value."""
        self.loops(self.shape(a), lambda *i: [Store(a, i, element(*i), add)])

    def number(self, value: float) -> Expr:
        return const(value, "f32" if self.dtype == "float32" else "f64")

    def clear(self, a: Array) -> None:
        self.set(a, lambda *_: self.number(0.0))

    def call(self, name: str, outs: tuple[Any, ...], ins: tuple[Any, ...], **attrs: Any) -> None:
        self.out.append(Intrinsic(name, outs, ins, attrs))

    def product(
        self,
        a: Array,
        b: Array,
        ta: bool = False,
        tb: bool = False,
        *,
        into: Array | None = None,
        add: bool = False,
    ) -> Array:
        """op(a) @ op(b) as a new matrix, or (added) into one; with strong zeros if so wished."""
        rows, inner = self.shape(a)[::-1] if ta else self.shape(a)
        columns = Dim(b, 0 if tb else 1)
        made = self.new(rows, columns) if into is None else into
        if not self.arithmetic.strong:
            self.call("gemm", (made,), (a, b), ta=ta, tb=tb, add=add)
            return made
        if not add:
            self.clear(made)

        def term(i: Expr, k: Expr, j: Expr) -> list[Stmt]:
            left, right = Load(a, (k, i) if ta else (i, k)), Load(b, (j, k) if tb else (k, j))
            return [Store(made, (i, j), self.arithmetic.times(left, right), add=True)]

        self.loops((rows, inner, columns), term, free=False)
        return made

    def applied(
        self, a: Array, x: Array, ta: bool = False, *, into: Array | None = None, add: bool = False
    ) -> Array:
        """op(a) @ x for a vector, as a new vector or (added) into one."""
        rows, columns = self.shape(a)[::-1] if ta else self.shape(a)
        made = self.new(rows) if into is None else into
        if not self.arithmetic.strong:
            self.call("gemv", (made,), (a, x), ta=ta, add=add)
            return made
        if not add:
            self.clear(made)

        def term(i: Expr, j: Expr) -> list[Stmt]:
            factor = Load(a, (j, i) if ta else (i, j))
            return [Store(made, (i,), self.arithmetic.times(Load(x, (j,)), factor), add=True)]

        self.loops((rows, columns), term, free=False)
        return made

    def transposed(self, a: Array) -> Array:
        rows, columns = self.shape(a)
        return self.each((columns, rows), lambda i, j: Load(a, (j, i)))

    def add_outer(self, into: Array, x: Array, y: Array, sign: int = 1) -> None:
        """into += ± x yᵀ."""

        def term(i: Expr, j: Expr) -> Expr:
            t = self.arithmetic.times(Load(x, (i,)), Load(y, (j,)))
            return t if sign > 0 else apply("neg", t)

        self.set(into, term, add=True)

    def total(self, shape: tuple[Expr, ...], element: Element) -> Expr:
        """The sum of elements."""
        var = Scalar("total", "f32" if self.dtype == "float32" else "f64")
        self.out.append(Assign(var, const(0, var.type)))
        self.loops(shape, lambda *i: [Assign(var, Ref(var) + element(*i))], free=False)
        return Ref(var)


# ---- parts of rules for matrix operations


def solved(m: Matrices, a: Array, b: Array, ta: bool, s: Intrinsic | None = None) -> Array:
    """op(a)⁻¹ b, as an operation that solves, too, does it."""
    x = m.new(*m.shape(b))
    m.call("solve", (x,), (a, b), ta=ta, **how_solved(s))
    return x


def how_solved(s: Intrinsic | None) -> dict[str, Any]:
    """What a solution with the same matrix is told as well."""
    return {} if s is None else {k: s.attrs[k] for k in ("failure", "triangle") if k in s.attrs}


def substituted(m: Matrices, a: Array, b: Array, ta: bool, triangle: str) -> Array:
    """op(a)⁻¹ b for a triangle (the lower one is "L", the upper "U"), whose other elements are zero."""
    x = m.new(*m.shape(b))
    m.call("solve", (x,), (a, b), ta=ta, triangle=triangle)
    return x


def inverse_of(m: Matrices, a: Array) -> Array:
    made = m.new(*m.shape(a))
    m.call("inv", (made,), (a,))
    return made


def cholesky_back(m: Matrices, low: Array, g: Array) -> Array:
    """From the cotangent of a Cholesky factor that of the matrix; `add_lower` adds it to what was read."""
    inside = half(m, m.product(low, g, ta=True))
    once = substituted(m, low, inside, True, "L")
    return substituted(m, low, m.transposed(once), True, "L")


def half(m: Matrices, a: Array) -> Array:
    """The lower triangle with half the diagonal."""
    zero, half = m.number(0.0), m.number(0.5)

    def element(i: Expr, j: Expr) -> Expr:
        value = Load(a, (i, j))
        low = apply("select", apply("gt", i, j), value, zero)
        return apply("select", apply("eq", i, j), value * half, low)

    return m.each(m.shape(a), element)


def reciprocal_gap(m: Matrices, values: Callable[[Expr], Expr], i: Expr, j: Expr) -> Expr:
    """1 / (w_j - w_i) off the diagonal, infinite between equal values; 0 on it."""
    same = apply("eq", i, j)
    difference = values(j) - values(i)
    return apply("select", same, m.number(0.0), 1.0 / apply("select", same, m.number(1.0), difference))


def read_lower(m: Matrices, a: Array) -> Array:
    """The symmetric matrix that an operation sees which reads the lower triangle only."""
    return m.each(m.shape(a), lambda i, j: Load(a, (apply("maximum", i, j), apply("minimum", i, j))))


def add_lower(m: Matrices, into: Array, s: Array) -> None:
    """The adjoint of `_read_lower`."""

    def element(i: Expr, j: Expr) -> Expr:
        here, there = Load(s, (i, j)), Load(s, (j, i))
        off = apply("select", apply("gt", i, j), here + there, m.number(0.0))
        return apply("select", apply("eq", i, j), here, off)

    m.set(into, element, add=True)


def cofactors(m: Matrices, a: Array, det: Expr) -> Array:
    """The derivative of the determinant by each element: det(a) a⁻ᵀ.

    Near a singular matrix, where that fails, Faddeev and LeVerrier's recursion divides by integers only.
    """
    n, _ = shape = m.shape(a)
    made = m.new(*shape)
    size = Scalar("size", det.type)
    m.out.append(Assign(size, m.number(1.0)))
    square = Scalar("square", det.type)
    i, j = Scalar("i", "i64"), Scalar("j", "i64")
    at = Load(a, (Ref(i), Ref(j)))
    row: list[Stmt] = [
        Assign(square, m.number(0.0)),
        For(j, ZERO, n, [Assign(square, Ref(square) + at * at)]),
        Assign(size, Ref(size) * apply("sqrt", Ref(square))),
    ]
    m.out.append(For(i, ZERO, n, row))
    outer, m.out = m.out, []
    inverse = inverse_of(m, a)
    m.set(made, lambda i, j: det * Load(inverse, (j, i)))
    regular, m.out = m.out, []
    adjugate = m.each(shape, lambda i, j: apply("select", apply("eq", i, j), m.number(1.0), m.number(0.0)))
    k, whole = Scalar("k", "i64"), m.out
    m.out = []
    product = m.product(a, adjugate)
    trace = m.total((n,), lambda i: Load(product, (i, i)))
    share = trace / cast(Ref(k), det.type)
    zero = m.number(0.0)
    m.set(adjugate, lambda i, j: Load(product, (i, j)) - apply("select", apply("eq", i, j), share, zero))
    whole.append(For(k, ONE, n, m.out))
    m.out = whole
    odd = apply("eq", apply("mod", n, 2), 0)
    m.set(made, lambda i, j: apply("select", odd, -Load(adjugate, (j, i)), Load(adjugate, (j, i))))
    singular, m.out = m.out, outer
    m.out.append(If(apply("gt", apply("abs", det), 1e-10 * Ref(size)), regular, singular))
    return made


def outside(m: Matrices, u: Array, x: Array) -> Array:
    """(1 - u uᵀ) x."""
    inside = m.product(u, m.product(u, x, ta=True))
    return m.each(m.shape(x), lambda i, j: Load(x, (i, j)) - Load(inside, (i, j)))


def plus_scaled(m: Matrices, into: Array, a: Array, factor: Expr | None = None) -> None:
    """into += a·factor."""
    m.set(into, lambda *i: Load(a, i) if factor is None else m.arithmetic.times(Load(a, i), factor), add=True)


def sorted_index(i: tuple[Expr, ...], order: Array) -> tuple[Expr, ...]:
    return (*i[:-1], Load(order, i))


def points(m: Matrices, x: Array, inverse: bool) -> Expr:
    """The factor between a Fourier transform's adjoint and the opposite transform."""
    n = cast(Dim(x, x.ndim - 2), "f32" if m.dtype == "float32" else "f64")
    return 1.0 / n if inverse else n


def float_dtype(s: Intrinsic) -> str:
    """The type of the floats that an operation computes with."""
    for x in (*s.ins, *s.outs):
        if isinstance(x, Array) and x.element in ("f64", F32):
            return x.dtype
    return "float64"


class Operation(Matrices):
    """The derivative of one operation, and what stands beside its operands and results, by position.

    That is a tangent or a cotangent each, None where there is none.
    """

    def __init__(self, s: Intrinsic, active: Activity, arithmetic: Arithmetic, beside: Companions) -> None:
        super().__init__(float_dtype(s), arithmetic)
        self.s = s
        self.ins = [x for x in s.ins if isinstance(x, Array)]
        self.arrays = [x for x in s.outs if isinstance(x, Array)]
        if any(active.of(x) for x in s.ins if isinstance(x, Expr)):
            raise MissingRuleError(f"native code has no derivative of {s.name} by the numbers it is given")
        self.d_in = [beside.array(x) if x in active else None for x in self.ins]
        self.d_out = [beside.array(x) if x in active else None for x in self.arrays]
        self.d_scalar = [beside.scalar(x) if x in active else None for x in s.outs if isinstance(x, Scalar)]

    def flag(self, name: str) -> bool:
        return bool(self.s.attrs.get(name))

    def clear_results(self) -> None:
        """What stands beside the results becomes zero."""
        for array in self.d_out:
            if array is not None:
                self.clear(array)
        for scalar in self.d_scalar:
            if scalar is not None:
                self.out.append(Assign(scalar, self.number(0.0)))
