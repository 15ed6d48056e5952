"""Random nests for Hypothesis: loops, branches, overwriting, aliases, swaps, integer state."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tapeless.backends.native.nest import (
    BOOL,
    F64,
    I64,
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
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    While,
    apply,
    const,
)

SIZE = 4


class Maker:
    """Draws one nest.  All arrays have SIZE elements (or are 2x2 aliases of such)."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.x, self.y = Array("x", "float64", 1), Array("y", "float64", 1)
        self.idx = Array("idx", "int64", 1)
        self.u, self.w = Array("u", "float64", 1), Array("w", "float64", 1)
        self.square = Array("square", "float64", 2, alias=self.w)
        self.p, self.q = Scalar("p", F64), Scalar("q", F64)
        self.a, self.b = Scalar("a", F64), Scalar("b", F64)
        self.k, self.flag = Scalar("k", I64), Scalar("flag", BOOL)
        self.floats = [self.p, self.q, self.a, self.b]
        self.ints: list[Scalar] = [self.k]
        self.counters: list[Scalar] = []
        self.arrays = [self.x, self.y, self.u, self.w]
        #: arrays of one to four elements
        self.varying: list[Array] = []
        self.count = 0
        self.budget = draw(st.integers(3, 14))

    def pick(self, xs: Any) -> Any:
        return self.draw(st.sampled_from(list(xs)))

    def chance(self, n: int) -> bool:
        return bool(self.draw(st.integers(0, n)) == 0)

    def name(self, base: str) -> str:
        self.count += 1
        return f"{base}{self.count}"

    # ---- expressions

    def integer(self, depth: int = 1) -> Expr:
        kind = self.draw(st.integers(0, 5 if depth else 3))
        if kind <= 1 and self.counters:
            return Ref(self.pick(self.counters))
        if kind <= 2:
            return Ref(self.pick(self.ints))
        if kind == 3:
            return const(self.draw(st.integers(0, 5)))
        if kind == 4:
            return Load(self.idx, (self.position(depth - 1),))
        return apply(self.pick(["add", "sub", "mul"]), self.integer(depth - 1), self.integer(depth - 1))

    def position(self, depth: int = 1) -> Expr:
        return apply("mod", self.integer(depth), const(SIZE))

    def element(self) -> Load:
        if self.chance(6):
            half = [apply("mod", self.integer(), const(2)) for _ in range(2)]
            return Load(self.square, tuple(half))
        array = self.pick([*self.arrays, *self.varying])
        if array in self.varying:
            return Load(array, (apply("mod", self.integer(), Dim(array, 0)),))
        return Load(array, (self.position(),))

    def value(self, depth: int = 2) -> Expr:
        kind = self.draw(st.integers(0, 9 if depth else 2))
        if kind == 0:
            return const(self.pick([0.5, -0.25, 1.5, 0.0]))
        if kind == 1:
            return Ref(self.pick(self.floats))
        if kind == 2:
            return self.element()
        a = self.value(depth - 1)
        if kind == 3:
            return apply(self.pick(["sin", "cos", "tanh", "atan", "neg"]), a)
        if kind == 4:
            return apply("exp", apply("sin", a))
        if kind == 5:
            return apply("select", self.truth(), a, self.value(depth - 1))
        b = self.value(depth - 1)
        if kind == 6:
            return apply("div", a, 2.0 + b * b)
        if kind == 7:
            return apply("sqrt", 1.0 + a * a) * b
        return apply(self.pick(["add", "sub", "mul"]), a, b)

    def bounded(self) -> Expr:
        """A value that repetition does not blow up."""
        e = self.value()
        return e if isinstance(e, (Ref, Load, Const)) else apply("sin", e)

    def truth(self) -> Expr:
        kind = self.draw(st.integers(0, 2))
        if kind == 0:
            return Ref(self.flag)
        if kind == 1:
            return apply("gt", self.value(0), const(self.pick([0.1, -0.2, 0.4])))
        return apply(self.pick(["lt", "ge", "eq"]), self.integer(), const(self.draw(st.integers(0, 3))))

    # ---- statements

    def block(self, depth: int) -> list[Stmt]:
        floats, ints, arrays, varying = map(list, (self.floats, self.ints, self.arrays, self.varying))
        out: list[Stmt] = []
        for _ in range(self.draw(st.integers(1, 4))):
            if self.budget <= 0:
                break
            self.budget -= 1
            out += self.stmt(depth)
        self.floats, self.ints, self.arrays, self.varying = floats, ints, arrays, varying
        return out

    def stmt(self, depth: int) -> list[Stmt]:
        kind = self.draw(st.integers(0, 15 if depth else 9))
        if kind <= 1:
            return [Assign(self.pick([x for x in self.floats]), self.bounded())]
        if kind == 2:
            made = Scalar(self.name("t"), F64)
            out: list[Stmt] = [Assign(made, self.bounded())]
            self.floats.append(made)
            return out
        if kind == 3:
            at = self.element()
            return [Store(at.array, at.index, self.bounded())]
        if kind == 4:
            at = self.element()
            return [Store(at.array, at.index, apply("mul", self.bounded(), 0.5), add=True)]
        if kind == 5:
            return [Assign(self.k, self.integer() if self.chance(1) else Ref(self.k) + 1)]
        if kind == 6:
            value = apply("mod", self.integer(), const(SIZE))
            return [Store(self.idx, (self.position(),), value)]
        if kind == 7:
            return [Assign(self.flag, self.truth())]
        if kind == 8:
            v = self.pick(self.floats)
            return [Assign(v, Ref(v) * self.pick([0.5, 0.9]) + self.bounded())]
        if kind == 9 and self.chance(1):
            return self.several()
        if kind == 9:
            return (
                [Swap(self.u, self.w), Alias(self.square, (const(2), const(2)))]
                if self.chance(1)
                else self.local()
            )
        if kind in (10, 11):
            return [If(self.truth(), self.block(depth - 1), self.block(depth - 1) if self.chance(1) else [])]
        if kind == 12:
            return self.repeat(depth)
        if kind == 13:
            return self.stencil()
        return self.loop(depth)

    def loop(self, depth: int) -> list[Stmt]:
        i = Scalar(self.name("i"), I64)
        start, stop, step = self.pick(
            [(0, 3, 1), (0, SIZE, 1), (1, 4, 2), (3, -1, -1), (2, 1, 1), (5, 0, -2)]
        )
        first, last = const(start), const(stop)
        if self.chance(3):
            first, last = ZERO, Dim(self.x, 0)
        elif self.chance(3):
            first, last = ZERO, apply("mod", self.integer(), const(4))
        self.counters.append(i)
        body = self.block(depth - 1)
        self.counters.pop()
        return [For(i, first, last, body, step if first == const(start) and last == const(stop) else 1)]

    def give(self, array: Array) -> list[Stmt]:
        """An array gets storage of some size, and new content."""
        i = Scalar(self.name("i"), I64)
        size = apply("mod", self.integer(), const(4)) + 1 if self.chance(1) else const(3)
        others, self.varying = self.varying, [a for a in self.varying if a is not array]
        self.counters.append(i)
        value = self.bounded()
        self.counters.pop()
        self.varying = others
        return [Alloc(array, (size,)), For(i, ZERO, Dim(array, 0), [Store(array, (Ref(i),), value)])]

    def several(self) -> list[Stmt]:
        """Storage for an array of this block in either branch, or again for an array from outside."""
        if self.varying and self.chance(1):
            return self.give(self.pick(self.varying))
        made = Array(self.name("v"), "float64", 1)
        if self.chance(1):
            out: list[Stmt] = self.give(made)
        else:
            out = [If(self.truth(), self.give(made), self.give(made))]
        self.varying.append(made)
        return out

    def stencil(self) -> list[Stmt]:
        """A loop whose iterations read and write neighbours."""
        i = Scalar(self.name("i"), I64)
        source, target = self.pick(self.arrays), self.pick(self.arrays)
        total: Expr = const(0.1)
        for _ in range(self.draw(st.integers(1, 3))):
            near = Load(source, (Ref(i) + self.pick([-1, 0, 1]),))
            factor = self.pick([const(0.4), Ref(self.pick(self.floats)), Load(source, (Ref(i),))])
            total = total + near * factor
        value = apply("sin", total) if self.chance(1) else total * 0.3
        store = Store(target, (Ref(i) + self.pick([-1, 0, 0, 0, 1]),), value, self.chance(2))
        bounds = (const(1), Dim(self.x, 0) - 1) if self.chance(1) else (const(1), Ref(self.k) % const(4))
        backwards = self.chance(3)
        if backwards:
            return [For(i, bounds[1] - 1, bounds[0] - 1, [store], -1)]
        return [For(i, *bounds, [store])]

    def repeat(self, depth: int) -> list[Stmt]:
        """A loop with a test, which ends after four rounds at the latest."""
        n = Scalar(self.name("n"), I64)
        body = [Assign(n, Ref(n) + 1), *self.block(depth - 1)]
        test = [Assign(self.a, apply("sin", Ref(self.a) * 0.7 + 0.1))] if self.chance(2) else []
        return [Assign(n, ZERO), While(test, apply("all", apply("lt", Ref(n), const(4)), self.truth()), body)]

    def local(self) -> list[Stmt]:
        """An array that lives in this block."""
        made = Array(self.name("z"), "float64", 1)
        i = Scalar(self.name("i"), I64)
        self.counters.append(i)
        value = self.bounded()
        self.counters.pop()
        self.arrays = [*self.arrays, made]
        return [Alloc(made, (const(SIZE),)), For(i, ZERO, const(SIZE), [Store(made, (Ref(i),), value)])]

    def function(self) -> Function:
        i = Scalar("i", I64)
        four = (const(SIZE),)
        fill = [
            Store(self.u, (Ref(i),), Load(self.x, (Ref(i),)) * Ref(self.q)),
            Store(self.w, (Ref(i),), const(0.5)),
        ]
        head: list[Stmt] = [
            Alloc(self.u, four),
            Alloc(self.w, four),
            Alias(self.square, (const(2), const(2))),
            For(i, ZERO, const(SIZE), fill),
            Assign(self.a, Ref(self.p)),
            Assign(self.b, const(0.3)),
            Assign(self.k, const(1)),
            Assign(self.flag, const(True)),
        ]
        body: list[Stmt] = []
        for _ in range(self.draw(st.integers(1, 3))):
            body += self.block(3)
        total = Scalar("total", F64)
        tail: list[Stmt] = [Assign(total, Ref(self.a) * Ref(self.b))]
        # every array counts, each element with a weight of its own
        for k, array in enumerate((self.x, self.y, self.u, self.w)):
            term = apply("sin", Load(array, (Ref(i),)) * (0.3 + k))
            tail.append(For(i, ZERO, const(SIZE), [Assign(total, Ref(total) * 0.9 + term)]))
        params: list[Scalar | Array] = [self.x, self.y, self.idx, self.p, self.q]
        results: list[Scalar | Array] = [total, self.u, self.a]
        return Function("random", params, [*head, *body, *tail], results)


@st.composite
def functions(draw: Any) -> Function:
    """Nests of parameters x, y, idx (four elements each), p and q, with results total, u and a."""
    return Maker(draw).function()
