"""What must hold of every nest: names defined before use, types that agree, well formed loops."""

from __future__ import annotations

from tapeless.backends.native.nest import (
    BOOL,
    COMPARISONS,
    ELEMENTS,
    FLOATS,
    I64,
    OPERATIONS,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Check,
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
    children,
    expressions,
)


class MalformedNest(AssertionError):
    """A pass has made a nest that breaks the rules of `nest`."""


def verify(fn: Function) -> Function:
    """`fn` itself, if it is well formed; else `MalformedNest`."""
    checker = _Checker(fn)
    for p in fn.params:
        checker.defined.add(p)
    checker.body(fn.body)
    for r in fn.results:
        checker.want(r in checker.defined, f"result {r} is never given a value")
    return fn


class _Checker:
    """Walks a nest once; a name counts as defined once some path before it has defined it."""

    def __init__(self, fn: Function) -> None:
        self.fn = fn
        self.defined: set[Scalar | Array] = set()
        self.loops: set[Scalar] = set()

    def want(self, holds: bool, message: str, stmt: Stmt | None = None) -> None:
        if not holds:
            where = f" (line {stmt.line})" if stmt is not None else ""
            raise MalformedNest(f"{self.fn.name}: {message}{where}")

    def body(self, body: list[Stmt]) -> None:
        for s in body:
            self.stmt(s)

    def stmt(self, s: Stmt) -> None:
        want = self.want
        for e in expressions(s):
            self.expr(e, s)
        if isinstance(s, Assign):
            want(s.var not in self.loops, f"the loop variable {s.var} is assigned in its loop", s)
            want(s.var.type == s.value.type, f"{s.var}: {s.var.type} is assigned a {s.value.type}", s)
            self.defined.add(s.var)
        elif isinstance(s, Store):
            self.element(s.array, s.index, s)
            want(s.value.type == s.array.element, f"{s.array} of {s.array.dtype} gets a {s.value.type}", s)
            want(not s.add or s.value.type in FLOATS, "only floats are added to an element", s)
        elif isinstance(s, (Alloc, Alias)):
            want(len(s.shape) == s.array.ndim, f"{s.array} has {s.array.ndim} axes, not {len(s.shape)}", s)
            want(all(e.type == I64 for e in s.shape), "a shape is of integers", s)
            want(s.array.dtype in ELEMENTS, f"no elements of type {s.array.dtype}", s)
            if isinstance(s, Alias):
                want(s.array.alias in self.defined, f"{s.array} names an array without storage", s)
            else:
                want(s.array.alias is None, f"{s.array} is an alias and is given storage", s)
            self.defined.add(s.array)
        elif isinstance(s, Grow):
            want(s.array.ndim == 1 and s.size.type == I64, "only an array of one axis grows", s)
            self.defined.add(s.array)
        elif isinstance(s, Swap):
            want(s.a in self.defined and s.b in self.defined, "a swap of arrays without storage", s)
            want((s.a.dtype, s.a.ndim) == (s.b.dtype, s.b.ndim), "a swap of unlike arrays", s)
        elif isinstance(s, For):
            want(s.step != 0, "a loop with step 0", s)
            want(s.var.type == s.start.type == s.stop.type == I64, "loops count in integers", s)
            self.defined.add(s.var)
            self.loops.add(s.var)
            self.body(s.body)
            self.loops.discard(s.var)
        elif isinstance(s, While):
            self.body(s.test)
            self.expr(s.condition, s)
            want(s.condition.type == BOOL, "a condition is a truth", s)
            self.body(s.body)
        elif isinstance(s, (If, Check)):
            want(s.condition.type == BOOL, "a condition is a truth", s)
            for inner in children(s):
                self.body(inner)
        elif isinstance(s, Intrinsic):
            for x in s.ins:
                want(not isinstance(x, Array) or x in self.defined, f"{x} has no storage", s)
            for out in s.outs:
                want(isinstance(out, Scalar) or out in self.defined, f"{out} has no storage", s)
                self.defined.add(out)
        if isinstance(s, (Raise, Check)):
            want(0 <= s.failure < len(self.fn.failures), f"there is no failure {s.failure}", s)

    def element(self, array: Array, index: tuple[Expr, ...], s: Stmt) -> None:
        self.want(array in self.defined, f"{array} has no storage yet", s)
        self.want(len(index) == array.ndim, f"{array} has {array.ndim} axes, not {len(index)}", s)
        self.want(all(i.type == I64 for i in index), f"an index of {array} is no integer", s)

    def expr(self, e: Expr, s: Stmt) -> None:
        if isinstance(e, Ref):
            if not (isinstance(s, While) and e.var not in self.defined):  # its test may define it
                self.want(e.var in self.defined, f"{e.var} is read before it has a value", s)
        elif isinstance(e, Load):
            self.element(e.array, e.index, s)
            for i in e.index:
                self.expr(i, s)
        elif isinstance(e, Dim):
            self.want(e.array in self.defined and 0 <= e.axis < e.array.ndim, f"no axis {e.axis}", s)
        elif isinstance(e, Apply):
            self.want(len(e.args) == OPERATIONS.get(e.op), f"{e.op} of {len(e.args)} operands", s)
            for a in e.args:
                self.expr(a, s)
            operands = e.args[1:] if e.op == "select" else e.args
            self.want(len({a.type for a in operands}) == 1, f"operands of {e.op} differ in type", s)
            if e.op == "select":
                self.want(e.args[0].type == BOOL, "a condition is a truth", s)
            if e.op in COMPARISONS or e.op in ("all", "any", "not", "isnan", "isinf", "isfinite"):
                self.want(e.type == BOOL, f"{e.op} gives a truth", s)
            elif e.op not in ("cast", "signbit"):
                self.want(e.type == operands[0].type, f"{e.op} of {operands[0].type} gives {e.type}", s)
