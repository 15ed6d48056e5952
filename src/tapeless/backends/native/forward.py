"""Forward mode: a nest to the nest that computes tangents beside values, statement by statement."""

from __future__ import annotations

from collections.abc import Sequence

from tapeless.backends.native.activity import Activity, Name, root
from tapeless.backends.native.adjoint import fill, zero
from tapeless.backends.native.intrinsic_tangents import tangent
from tapeless.backends.native.nest import (
    FLOATS,
    Alias,
    Alloc,
    Apply,
    Array,
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
    Scalar,
    Stmt,
    Store,
    Swap,
    While,
    apply,
    const,
)
from tapeless.backends.native.partials import USES_VALUE, Arithmetic, maps
from tapeless.backends.native.renaming import Companions, clone
from tapeless.backends.native.scopes import written
from tapeless.backends.native.spelled import spelled_out
from tapeless.errors import BackendError


def forward(fn: Function, wrt: Sequence[int], *, strong_zeros: bool = False) -> Function:
    """The nest with tangents: those of the parameters `wrt` come in, those of the float results go out.

    They stand behind the parameters and behind the results, and have the types and shapes of those.

    >>> from tapeless.backends.native.nest import F64, Assign, Function, Ref, Scalar
    >>> from tapeless.backends.native.show import python
    >>> x, y = Scalar("x", F64), Scalar("y", F64)
    >>> tangent = python(forward(Function("square", [x], [Assign(y, Ref(x) * Ref(x))], [y]), [0]))
    >>> [float(v) for v in tangent(3.0, 0.5)]
    [9.0, 3.0]
    """
    return Forward(fn, wrt, Arithmetic(strong_zeros)).function()


class Forward:
    """Makes the tangent code of one nest."""

    def __init__(self, fn: Function, wrt: Sequence[int], arithmetic: Arithmetic) -> None:
        self.fn, self.arithmetic = spelled_out(fn, arithmetic), arithmetic
        fn = self.fn
        self.inputs = [fn.params[k] for k in wrt]
        for x in self.inputs:
            if (x.element if isinstance(x, Array) else x.type) not in FLOATS:
                raise BackendError(f"{x} is no float: it has no derivative")
        self.activity = Activity(fn.body, self.inputs, None)
        self.tangents = Companions("_t")

    def function(self) -> Function:
        fn = self.fn
        head: list[Stmt] = []
        self.changed = {*written(fn.body), *(root(r) for r in fn.results)}
        given = [self.parameter(x, head) for x in self.inputs]
        for p in fn.params:
            if p in self.activity and p not in self.inputs:
                head += self.no_tangent(p)
        body = self.block(fn.body)
        results = list(fn.results)
        for r in fn.results:
            kind = r.element if isinstance(r, Array) else r.type
            if kind in FLOATS:
                if r not in self.activity:
                    body += self.no_tangent(r)
                results.append(self.tangents.scalar(r) if isinstance(r, Scalar) else self.tangents.array(r))
        name = f"{fn.name}_forward"
        return Function(
            name, [*fn.params, *given], [*head, *body], results, fn.failures, fn.filename, fn.parallel
        )

    def parameter(self, x: Name, head: list[Stmt]) -> Name:
        """The parameter for a tangent.  A program that may overwrite the tangent works on a copy."""
        if isinstance(x, Scalar):
            return self.tangents.scalar(x)
        given = Array(f"{x.name}_t", x.dtype, x.ndim, contiguous=x.contiguous)
        if x.root not in self.changed and given.contiguous:
            self.tangents.arrays[x] = given
            return given
        made, shape = self.tangents.array(x), tuple(Dim(x, k) for k in range(x.ndim))
        head += [Alloc(made, shape), *fill(made, shape, lambda index: Load(given, index))]
        return given

    def no_tangent(self, x: Name) -> list[Stmt]:
        """A tangent of zero."""
        if isinstance(x, Scalar):
            return [Assign(self.tangents.scalar(x), const(0, x.type))]
        made, shape = self.tangents.array(x), tuple(Dim(x, k) for k in range(x.ndim))
        if made.alias is not None:
            made = self.tangents.arrays[x] = Array(made.name, made.dtype, made.ndim)
        return [Alloc(made, shape), *zero(made, shape)]

    # ---- statements

    def block(self, body: list[Stmt]) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            self.stmt(s, out)
        return out

    def stmt(self, s: Stmt, out: list[Stmt]) -> None:
        start = len(out)
        if isinstance(s, Assign):
            if s.var in self.activity:
                value, t = self.expr(s.value, out)
                # the tangent first: it may read the old value
                out.append(Assign(self.tangents.scalar(s.var), _or_zero(t, s.var.type)))
                out.append(Assign(s.var, value))
            else:
                out += clone([s])
        elif isinstance(s, Store):
            if s.array in self.activity:
                value, t = self.expr(s.value, out)
                if t is not None or not s.add:
                    out.append(
                        Store(self.tangents.array(s.array), s.index, _or_zero(t, s.array.element), s.add)
                    )
                out.append(Store(s.array, s.index, value, s.add))
            else:
                out += clone([s])
        elif isinstance(s, For):
            out.append(For(s.var, s.start, s.stop, self.block(s.body), s.step, s.independent))
        elif isinstance(s, While):
            out.append(While(self.block(s.test), s.condition, self.block(s.body)))
        elif isinstance(s, If):
            out.append(If(s.condition, self.block(s.then), self.block(s.orelse)))
        elif isinstance(s, Intrinsic) and any(x in self.activity for x in s.outs):
            out += tangent(s, self.activity, self.arithmetic, self.tangents)
        else:
            out += clone([s])
            out += self.mirror(s)
        for made in out[start:]:
            made.line = s.line

    def mirror(self, s: Stmt) -> list[Stmt]:
        """What gives storage to an active array gives it to its tangent."""
        if isinstance(s, Swap):
            return [Swap(self.tangents.array(s.a), self.tangents.array(s.b))] if s.a in self.activity else []
        if isinstance(s, Alloc) and s.array in self.activity:
            return [Alloc(self.tangents.array(s.array), s.shape)]
        if isinstance(s, Alias) and s.array in self.activity:
            return [Alias(self.tangents.array(s.array), s.shape)]
        if isinstance(s, Grow) and s.array in self.activity:
            return [Grow(self.tangents.array(s.array), s.size)]
        assert isinstance(s, (Alloc, Alias, Grow, Raise, Check, Comment, Intrinsic)), s
        return []

    # ---- expressions

    def expr(self, e: Expr, out: list[Stmt]) -> tuple[Expr, Expr | None]:
        """The value (parts of it may be computed in `out`) and the tangent of an expression."""
        if not self.activity.of(e):
            return e, None
        if isinstance(e, Ref):
            return e, Ref(self.tangents.scalar(e.var))
        if isinstance(e, Load):
            return e, Load(self.tangents.array(e.array), e.index)
        assert isinstance(e, Apply)
        pairs = [self.expr(a, out) for a in e.args]
        value: Expr = Apply(e.op, tuple(v for v, _ in pairs), e.type)
        if e.op in USES_VALUE:
            value = self.bound(value, e.op, out)
        total: Expr | None = None
        made = Apply(e.op, tuple(v for v, _ in pairs), e.type)
        if e.op == "select":
            branches = [_or_zero(t, e.type) for _, t in pairs[1:]]
            return value, apply("select", made.args[0], *branches)
        for (_, t), move in zip(pairs, maps(made, value, self.arithmetic), strict=True):
            if t is None or move is None:
                continue
            if not isinstance(t, (Ref, Const)) and e.op not in ("add", "sub", "neg"):
                t = self.bound(t, "t", out)
            term = move(t)
            total = term if total is None else total + term
        return value, total

    @staticmethod
    def bound(e: Expr, name: str, out: list[Stmt]) -> Expr:
        var = Scalar(name, e.type)
        out.append(Assign(var, e))
        return Ref(var)


def _or_zero(t: Expr | None, kind: str) -> Expr:
    return const(0, kind) if t is None else t
