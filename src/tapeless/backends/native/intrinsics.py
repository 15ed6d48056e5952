"""Operations on whole arrays, in terms of loops and of calls of BLAS, LAPACK and NumPy.

`expand` replaces every `Intrinsic` of a nest by statements, among which `Intrinsic`s of two kinds remain: the
call of a Fortran routine (`fortran`, its arguments in `attrs`) and that of a function of `callbacks`
(`python`).  BLAS sees a row-major matrix as its transpose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tapeless.backends.native.nest import (
    I64,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Function,
    If,
    Intrinsic,
    Load,
    Raise,
    Ref,
    Scalar,
    Stmt,
    Store,
    While,
    apply,
    const,
    walk,
)

#: Products of matrices up to so many multiplications are loops.
SMALL = 1000
#: From so many on, a matrix times its own transpose is computed by one triangle.
MEDIUM = 1_000_000
#: How many columns of a factor are differentiated at a time.
BLOCK = 48
#: What NumPy does, called back through Python.
CALLED_BACK = (
    "slogdet", "qr", "eigh", "svd", "sort", "fft", "print", "settle", "random", "complex_det",
    "complex_slogdet", "complex_cholesky", "complex_qr", "complex_eigh", "complex_svd", "called",
)  # fmt: skip
#: Operations that do more than write their outputs.
EFFECTS = ("print", "random")


def expand(fn: Function) -> Function:
    """The nest with its operations on whole arrays written out."""
    if not any(isinstance(s, Intrinsic) for s in walk(fn.body)):
        return fn
    return replace(fn, body=Expander(fn).body(fn.body))


class Expander:
    def __init__(self, fn: Function) -> None:
        self.shapes: dict[Array, tuple[Expr, ...] | None] = {}
        for s in walk(fn.body):
            if isinstance(s, (Alloc, Alias)):
                known = self.shapes.get(s.array, s.shape) == s.shape
                known = known and all(isinstance(n, Const) for n in s.shape)
                self.shapes[s.array] = s.shape if known else None

    def body(self, body: Sequence[Stmt]) -> list[Stmt]:
        made: list[Stmt] = []
        for s in body:
            if isinstance(s, Intrinsic):
                if s.name in CALLED_BACK:
                    made += _checked(s, Intrinsic("python", s.outs, s.ins, {**s.attrs, "name": s.name}))
                elif s.name in EXPANSIONS:
                    made += EXPANSIONS[s.name](self, s)
                else:
                    raise TypeError(f"no operation {s.name}")
            elif isinstance(s, For):
                made.append(replace(s, body=self.body(s.body)))
            elif isinstance(s, While):
                made.append(replace(s, test=self.body(s.test), body=self.body(s.body)))
            elif isinstance(s, If):
                made.append(replace(s, then=self.body(s.then), orelse=self.body(s.orelse)))
            else:
                made.append(s)
        return made

    def dim(self, a: Array, axis: int) -> Expr:
        """The length of an axis, as a constant if it is known."""
        shape = self.shapes.get(a)
        return shape[axis] if shape is not None else Dim(a, axis)


EXPANSIONS: dict[str, Callable[[Expander, Intrinsic], list[Stmt]]] = {}


def _expansion(
    make: Callable[[Expander, Intrinsic], list[Stmt]],
) -> Callable[[Expander, Intrinsic], list[Stmt]]:
    EXPANSIONS[make.__name__.lstrip("_")] = make
    return make


# ---- building blocks


def _loops(shape: Sequence[Expr], inner: Callable[..., list[Stmt]], *, independent: int = 0) -> list[Stmt]:
    """Loops over a shape around what `inner` makes of the indices; the first `independent` of them are so."""
    vars = [Scalar(f"i{k}", I64) for k in range(len(shape))]
    body = inner(*map(Ref, vars))
    for k in reversed(range(len(shape))):
        body = [For(vars[k], ZERO, shape[k], body, independent=k < independent)]
    return body


@dataclass(frozen=True, slots=True)
class Element:
    """The address of an element, for a Fortran routine."""

    array: Array
    index: tuple[Expr, ...]


def _fortran(name: str, kind: Array, outs: tuple[Array, ...], *args: Any) -> Intrinsic:
    """A call of a routine for the element type of `kind`.

    Arguments: text, integer and float expressions, arrays, elements of arrays (their addresses), and
    scalars that the routine sets (integers).
    """
    full = ("s" if kind.dtype == "float32" else "d") + name
    ins = tuple(a.array if isinstance(a, Element) else a for a in args if isinstance(a, (Array, Element)))
    return Intrinsic("fortran", outs, ins, {"name": full, "args": args})


def _checked(s: Intrinsic, call: Intrinsic) -> list[Stmt]:
    """A call whose `info` is not 0 if the operation fails."""
    info = Scalar("info", I64)
    if call.name == "python":
        call.attrs["info"] = info
    else:
        call.attrs["args"] = (*call.attrs["args"], info)
    if "failure" not in s.attrs:
        return [call]
    return [call, If(apply("ne", Ref(info), 0), [Raise(s.attrs["failure"])])]


def _ld(n: Expr) -> Expr:
    """The distance of rows, which BLAS wants to be 1 at least."""
    return n if isinstance(n, Const) and n.value else apply("maximum", n, 1)


def _transpose(made: Array, source: Array, flag: bool, shape: tuple[Expr, Expr]) -> list[Stmt]:
    """`made` (of this shape) gets `source`, transposed if the flag is set."""
    return [
        Alloc(made, shape),
        *_loops(
            shape,
            lambda i, j: [Store(made, (i, j), Load(source, (j, i) if flag else (i, j)))],
            independent=2,
        ),
    ]


# ---- products


@_expansion
def _gemm(x: Expander, s: Intrinsic) -> list[Stmt]:
    (c,), (a, b) = s.outs, s.ins
    assert isinstance(a, Array) and isinstance(b, Array) and isinstance(c, Array)
    ta, tb, add = (bool(s.attrs.get(k)) for k in ("ta", "tb", "add"))
    m, k = x.dim(a, ta), x.dim(a, 1 - ta)
    n = x.dim(b, 1 - tb)
    m, n = _better(m, x.dim(c, 0)), _better(n, x.dim(c, 1))
    k = _better(k, x.dim(b, tb))

    def product(i: Expr, p: Expr, j: Expr) -> Expr:
        return Load(a, (p, i) if ta else (i, p)) * Load(b, (j, p) if tb else (p, j))

    loops: list[Stmt] = []
    if not add:
        loops += _loops((m, n), lambda i, j: [Store(c, (i, j), const(0.0, c.element))], independent=2)
    if tb:  # rows by rows
        loops += _loops(
            (m, n, k), lambda i, j, p: [Store(c, (i, j), product(i, p, j), add=True)], independent=2
        )
    else:
        rows, inner = Scalar("i", I64), Scalar("p", I64)
        i, p = Ref(rows), Ref(inner)
        row = _loops((n,), lambda j: [Store(c, (i, j), product(i, p, j), add=True)], independent=1)
        loops.append(For(rows, ZERO, m, [For(inner, ZERO, k, row)], independent=True))
    call = _fortran(
        "gemm", c, (c,), "NT"[tb], "NT"[ta], n, m, k, const(1.0, c.element), b, _ld(x.dim(b, 1)), a,
        _ld(x.dim(a, 1)), const(float(add), c.element), c, _ld(n),
    )  # fmt: skip
    size = apply("mul", apply("mul", m, n), k)
    calls: list[Stmt] = [call]
    if a is b and ta != tb and not add:
        calls = _chosen(apply("le", size, MEDIUM), calls, _symmetric(x, c, a, ta, n, k))
    return _chosen(apply("le", size, SMALL), loops, calls)


def _chosen(test: Expr, then: list[Stmt], orelse: list[Stmt]) -> list[Stmt]:
    """The one or the other, at once if it is known which."""
    if isinstance(test, Const):
        return then if test.value else orelse
    return [If(test, then, orelse)]


def _symmetric(x: Expander, c: Array, a: Array, ta: bool, n: Expr, k: Expr) -> list[Stmt]:
    """A matrix by its own transpose: one triangle of it, and the other one copied."""
    one, zero = const(1.0, c.element), const(0.0, c.element)
    call = _fortran("syrk", c, (c,), "L", "TN"[ta], n, k, one, a, _ld(x.dim(a, 1)), zero, c, _ld(n))
    i, j = Scalar("i", I64), Scalar("j", I64)
    row = For(j, ZERO, Ref(i), [Store(c, (Ref(i), Ref(j)), Load(c, (Ref(j), Ref(i))))], independent=True)
    return [call, For(i, ZERO, n, [row], independent=False)]


@_expansion
def _block(x: Expander, s: Intrinsic) -> list[Stmt]:
    """`c += a @ b` or `c = a @ b` on windows; rows and columns of each are along the axes that are named."""
    (c,), (a, b, m, n, k, *starts) = s.outs, s.ins
    assert isinstance(c, Array) and isinstance(a, Array) and isinstance(b, Array)
    operands: list[Any] = []
    for array, axes in zip((c, a, b), s.attrs["axes"], strict=True):
        first = tuple(e for e in starts[: array.ndim] if isinstance(e, Expr))
        del starts[: array.ndim]
        row: Expr = ONE
        for axis in range(min(axes) + 1, array.ndim):
            row = apply("mul", row, x.dim(array, axis))
        operands.append((Element(array, first), _ld(row), "T" if axes[0] > axes[1] else "N"))
    (c_at, c_row, _), (a_at, a_row, ta), (b_at, b_row, tb) = operands
    one, kept = const(1.0, c.element), const(float(s.attrs["add"]), c.element)
    return [_fortran("gemm", c, (c,), tb, ta, n, m, k, one, b_at, b_row, a_at, a_row, kept, c_at, c_row)]


def _better(a: Expr, b: Expr) -> Expr:
    """The one that is known, of two lengths that are equal."""
    return b if isinstance(b, Const) else a


@_expansion
def _gemv(x: Expander, s: Intrinsic) -> list[Stmt]:
    (y,), (a, v) = s.outs, s.ins
    assert isinstance(a, Array) and isinstance(v, Array) and isinstance(y, Array)
    m, n = x.dim(a, 0), x.dim(a, 1)
    zero = const(0.0, y.element)
    if not s.attrs.get("ta"):
        total = Scalar("total", y.element)

        def row(i: Expr) -> list[Stmt]:
            def term(j: Expr) -> list[Stmt]:
                return [Assign(total, Ref(total) + Load(a, (i, j)) * Load(v, (j,)))]

            add = bool(s.attrs.get("add"))
            return [Assign(total, zero), *_loops((n,), term), Store(y, (i,), Ref(total), add=add)]

        return _loops((m,), row)
    made: list[Stmt] = []
    if not s.attrs.get("add"):
        made += _loops((n,), lambda j: [Store(y, (j,), zero)], independent=1)

    def rows(i: Expr, count: int) -> list[Stmt]:
        """`y += a[i : i + count].T @ v[i : i + count]`: several rows for each pass over `y`."""
        factors = [Scalar(f"v{k}", y.element) for k in range(count)]
        load: list[Stmt] = [Assign(f, Load(v, (i + k,))) for k, f in enumerate(factors)]

        def term(j: Expr) -> list[Stmt]:
            total = Load(a, (i, j)) * Ref(factors[0])
            for k, f in enumerate(factors[1:], 1):
                total = total + Load(a, (i + k, j)) * Ref(f)
            return [Store(y, (j,), total, add=True)]

        return [*load, *_loops((n,), term, independent=1)]

    i = Scalar("i", I64)
    most = Scalar("most", I64)
    made.append(Assign(most, m - m % 4))
    made.append(For(i, ZERO, Ref(most), rows(Ref(i), 4), step=4))
    rest = Scalar("i", I64)
    return [*made, For(rest, Ref(most), m, rows(Ref(rest), 1))]


@_expansion
def _copy(x: Expander, s: Intrinsic) -> list[Stmt]:
    (made,), (source,) = s.outs, s.ins
    assert isinstance(made, Array) and isinstance(source, Array)
    shape = [x.dim(made, k) for k in range(made.ndim)]
    return _loops(shape, lambda *i: [Store(made, i, Load(source, i))], independent=made.ndim)


# ---- linear algebra: the matrix is laid out as NumPy gives it to LAPACK, so that it rounds the same


@_expansion
def _solve(x: Expander, s: Intrinsic) -> list[Stmt]:
    (made,), (a, b) = s.outs, s.ins
    assert isinstance(a, Array) and isinstance(b, Array) and isinstance(made, Array)
    if "triangle" in s.attrs:
        return _substituted(x, s, made, a, b)
    n = x.dim(a, 0)
    lu, pivots = Array("lu", a.dtype, 2), Array("pivots", "int64", 1)
    body = _transpose(lu, a, not s.attrs.get("ta"), (n, n))
    body.append(Alloc(pivots, (n,)))
    if b.ndim == 1:
        body += _loops((n,), lambda i: [Store(made, (i,), Load(b, (i,)))], independent=1)
        call = _fortran("gesv", a, (lu, pivots, made), n, ONE, lu, _ld(n), pivots, made, _ld(n))
        return [*body, *_checked(s, call)]
    right = Array("right", a.dtype, 2)
    count = x.dim(b, 1)
    body += _transpose(right, b, True, (count, n))
    call = _fortran("gesv", a, (lu, pivots, right), n, count, lu, _ld(n), pivots, right, _ld(n))
    back = _transpose(made, right, True, (n, count))[1:]
    return [*body, *_checked(s, call), *back]


def _substituted(x: Expander, s: Intrinsic, made: Array, a: Array, b: Array) -> list[Stmt]:
    """The solution where the matrix is known to be a triangle, the lower ("L") or the upper one ("U")."""
    n, side = x.dim(a, 0), "LU"[s.attrs["triangle"] == "L"]
    shape = [x.dim(b, k) for k in range(b.ndim)]
    body = _loops(shape, lambda *i: [Store(made, i, Load(b, i))], independent=b.ndim)
    if b.ndim == 1:
        way = "TN"[bool(s.attrs.get("ta"))]
        return [*body, _fortran("trsv", a, (made,), side, way, "N", n, a, _ld(n), made, ONE)]
    way, one = "NT"[bool(s.attrs.get("ta"))], const(1.0, a.element)
    count = shape[1]
    call = _fortran("trsm", a, (made,), "R", side, way, "N", count, n, one, a, _ld(n), made, _ld(count))
    return [*body, call]


@_expansion
def _inv(x: Expander, s: Intrinsic) -> list[Stmt]:
    (made,), (a,) = s.outs, s.ins
    assert isinstance(a, Array) and isinstance(made, Array)
    n = x.dim(a, 0)
    lu, right, pivots = Array("lu", a.dtype, 2), Array("right", a.dtype, 2), Array("pivots", "int64", 1)
    one, zero = const(1.0, a.element), const(0.0, a.element)
    body = _transpose(lu, a, True, (n, n))
    body += [Alloc(pivots, (n,)), Alloc(right, (n, n))]
    body += _loops(
        (n, n),
        lambda i, j: [Store(right, (i, j), apply("select", apply("eq", i, j), one, zero))],
        independent=2,
    )
    call = _fortran("gesv", a, (lu, pivots, right), n, n, lu, _ld(n), pivots, right, _ld(n))
    return [*body, *_checked(s, call), *_transpose(made, right, True, (n, n))[1:]]


@_expansion
def _det(x: Expander, s: Intrinsic) -> list[Stmt]:
    """The product of the pivots; LAPACK's integers may be of 8 bytes or of 4, packed."""
    (made,), (a,) = s.outs, s.ins
    assert isinstance(a, Array) and isinstance(made, Scalar)
    n = x.dim(a, 0)
    lu, pivots, info = Array("lu", a.dtype, 2), Array("pivots", "int64", 1), Scalar("info", I64)
    body = _transpose(lu, a, True, (n, n))
    body += [Alloc(pivots, (n,)), *_loops((n,), lambda i: [Store(pivots, (i,), ZERO)], independent=1)]
    body.append(_fortran("getrf", a, (lu, pivots), n, n, lu, _ld(n), pivots, info))
    packed = Scalar("packed", I64)
    first = If(apply("gt", n, 1), [Assign(packed, Load(pivots, (ZERO,)) // 2**32)], [])
    body += [Assign(made, const(1.0, made.type)), Assign(packed, ZERO), first]

    def factor(i: Expr) -> list[Stmt]:
        word = Load(pivots, (i // 2,))
        half = apply("select", apply("eq", i % 2, 0), word % 2**32, word // 2**32)
        row, at = Scalar("row", I64), Load(lu, (i, i))
        wide, narrow = [Assign(row, Load(pivots, (i,)))], [Assign(row, half)]
        turned = apply("select", apply("eq", Ref(row), i + 1), at, -at)
        return [If(apply("eq", Ref(packed), 0), [*wide], [*narrow]), Assign(made, Ref(made) * turned)]

    return [*body, *_loops((n,), factor)]


@_expansion
def _cholesky(x: Expander, s: Intrinsic) -> list[Stmt]:
    """The lower triangle by rows is the upper one by columns."""
    (made,), (a,) = s.outs, s.ins
    assert isinstance(a, Array) and isinstance(made, Array)
    n = x.dim(a, 0)
    zero = const(0.0, a.element)
    body = _loops(
        (n, n),
        lambda i, j: [Store(made, (i, j), apply("select", apply("le", j, i), Load(a, (i, j)), zero))],
        independent=2,
    )
    return [*body, *_checked(s, _fortran("potrf", a, (made,), "U", n, made, _ld(n)))]


@_expansion
def _cholesky_back(x: Expander, s: Intrinsic) -> list[Stmt]:
    """From the cotangent of a Cholesky factor that of what was factored, by blocks (Murray 2016).

    Both are lower triangles. With a block of columns `j:k`, their own rows are `r` and `d` (`low[j:k, :j]`,
    `low[j:k, j:k]`) and those below `b` and `c`; the cotangents of all of them are in `made`.
    """
    (made,), (low, given) = s.outs, s.ins
    assert isinstance(made, Array) and isinstance(low, Array) and isinstance(given, Array)
    n = x.dim(low, 0)
    one, minus = const(1.0, made.element), const(-1.0, made.element)
    twice, ld = Array("twice", made.dtype, 2), _ld(n)

    def lower(a: Array, i: Expr, j: Expr) -> Expr:
        return apply("select", apply("le", j, i), Load(a, (i, j)), const(0.0, made.element))

    def minus_product(
        to: Element, a: Element, b: Element, rows: Expr, inner: Expr, columns: Expr, ta: bool, ld_a: Expr = ld
    ) -> Stmt:
        return _fortran("gemm", made, (made,), "N", "NT"[ta], columns, rows, inner, minus, b, ld, a, ld_a,
                        one, to, ld)  # fmt: skip

    block, start, stop = Scalar("block", I64), Scalar("start", I64), Scalar("stop", I64)
    j, k = Ref(start), Ref(stop)
    width, below = k - j, n - k
    r, d, b, c = (Element(low, at) for at in ((j, ZERO), (j, j), (k, ZERO), (k, j)))
    r_, d_, b_, c_ = (Element(made, at) for at in ((j, ZERO), (j, j), (k, ZERO), (k, j)))
    rows_below = [
        _fortran("trsm", made, (made,), "L", "U", "N", "N", width, below, one, d, ld, c_, ld),
        If(apply("gt", j, 0), [minus_product(b_, c_, r, below, width, j, False)], []),
        minus_product(d_, c_, c, width, below, width, True),
    ]

    def both(i: Expr, q: Expr) -> list[Stmt]:
        at = (j + apply("maximum", i, q), j + apply("minimum", i, q))
        once = Load(made, at)
        return [Store(twice, (i, q), apply("select", apply("eq", i, q), once + once, once))]

    rows_left: list[Stmt] = [
        Alloc(twice, (width, width)),
        *_loops((width, width), both, independent=2),
        If(apply("gt", below, 0), [minus_product(r_, c_, b, width, below, j, True)], []),
        minus_product(r_, Element(twice, (ZERO, ZERO)), r, width, width, j, False, _ld(width)),
    ]
    count = apply("floordiv", n + (BLOCK - 1), BLOCK)
    body = [
        Assign(stop, n - Ref(block) * BLOCK),
        Assign(start, apply("maximum", k - BLOCK, 0)),
        If(apply("gt", below, 0), rows_below, []),
        *_column_by_column(low, made, j, k),
        If(apply("gt", j, 0), rows_left, []),
    ]
    copy = _loops((n, n), lambda i, q: [Store(made, (i, q), lower(given, i, q))], independent=2)
    clear = _loops((n, n), lambda i, q: [Store(made, (i, q), lower(made, i, q))], independent=2)
    return [*copy, For(block, ZERO, count, body), *clear]


def _column_by_column(low: Array, made: Array, j: Expr, k: Expr) -> list[Stmt]:
    """The same for the block `j:k` by itself, from its last column."""
    back, diagonal, pivot = (
        Scalar("back", I64),
        Scalar("diagonal", made.element),
        Scalar("pivot", made.element),
    )
    row, at = Scalar("row", I64), k - 1 - Ref(back)
    i, factor = Ref(row), Scalar("factor", made.element)

    def left(q: Expr) -> list[Stmt]:
        return [
            Store(made, (at, j + q), -(Ref(factor) * Load(low, (i, j + q))), add=True),
            Store(made, (i, j + q), -(Ref(factor) * Load(low, (at, j + q))), add=True),
        ]

    below: list[Stmt] = [
        Assign(factor, Load(made, (i, at)) / Ref(pivot)),
        Assign(diagonal, Ref(diagonal) - Ref(factor) * Load(low, (i, at))),
        Store(made, (i, at), Ref(factor)),
        *_loops((at - j,), left, independent=1),
    ]
    half = Ref(diagonal) / Ref(pivot)

    def own(q: Expr) -> list[Stmt]:
        return [Store(made, (at, j + q), -(Ref(factor) * Load(low, (at, j + q))), add=True)]

    body: list[Stmt] = [
        Assign(pivot, Load(low, (at, at))),
        Assign(diagonal, Load(made, (at, at))),
        For(row, at + 1, k, below),
        Assign(factor, half),
        *_loops((at - j,), own, independent=1),
        Store(made, (at, at), Ref(factor) * const(0.5, made.element)),
    ]
    return [For(back, ZERO, k - j, body)]


def text(s: Intrinsic) -> str:
    """What `callbacks` reads to call NumPy: the operation, its operands' types, its attributes."""

    def operand(a: Array | Scalar | Expr) -> str:
        return f"{a.dtype}:{a.ndim}" if isinstance(a, Array) else a.type

    flags = ",".join(f"{k}={int(v)}" for k, v in s.attrs.items() if isinstance(v, bool))
    outs, ins = (",".join(map(operand, group)) for group in (s.outs, s.ins))
    return "|".join((s.attrs["name"], outs, ins, flags, s.attrs.get("payload", "")))
