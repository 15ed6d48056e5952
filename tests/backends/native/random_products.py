"""Random nests of three loops with sums of products among other statements, for `test_products`."""

from __future__ import annotations

from random import Random

from tapeless.backends.native.nest import (
    F64,
    I64,
    ZERO,
    Alloc,
    Array,
    Assign,
    Expr,
    For,
    Function,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
)

#: Loops run over at most so many numbers; arrays are so long that every index is in range.
LONG, SIZE = 5, 14


class Maker:
    """Draws a nest `for i: …; for j: …; for k: …`, whose statements read and write a few matrices."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.matrices = [Array(name, "float64", 2) for name in "abcdef"]
        self.row = Array("row", "float64", 1)
        self.scalars = [Scalar(name, F64) for name in ("s", "t")]
        self.sum = Scalar("total", F64)
        self.around: list[Scalar] = []

    def number(self) -> Expr:
        """An index: a loop's variable, two of them, with a small distance; rarely a number."""
        parts = self.random.sample(self.around, min(len(self.around), self.random.choice([0, 1, 1, 1, 1, 2])))
        total: Expr = const(self.random.choice([0, 0, 0, 1, 2]))
        for v in parts:
            total = total + Ref(v)
        return total

    def index(self) -> tuple[Expr, Expr]:
        if len(self.around) > 1 and self.random.random() < 0.7:
            a, b = self.random.sample(self.around, 2)
            return Ref(a) + self.random.choice([0, 0, 1]), Ref(b) + self.random.choice([0, 0, 1])
        return self.number(), self.number()

    def load(self) -> Expr:
        if self.random.random() < 0.15:
            return Load(self.row, (self.number(),))
        return Load(self.random.choice(self.matrices), self.index())

    def product(self) -> Expr:
        pick = self.random.random()
        value = self.load() * self.load()
        if pick < 0.15:
            value = value * self.load()
        elif pick < 0.35:
            value = value * Ref(self.random.choice(self.scalars))
        elif pick < 0.45:
            value = apply("neg", value)
        elif pick < 0.55:
            value = value + self.load() * self.load()
        return value

    def simple(self) -> Stmt:
        pick = self.random.random()
        if pick < 0.35:
            return Assign(self.random.choice(self.scalars), self.load())
        if pick < 0.45:
            var = self.random.choice(self.scalars)
            return Assign(var, Ref(var) + self.load())
        if pick < 0.6:
            return Store(self.row, (self.number(),), self.load())
        value = self.load() if pick < 0.8 else Ref(self.random.choice([*self.scalars, self.sum]))
        store = Store(self.random.choice(self.matrices), self.index(), value, add=self.random.random() < 0.5)
        if self.random.random() < 0.2:
            return If(apply("lt", Load(self.row, (ZERO,)), const(1.0)), [store])
        return store

    def some(self, most: int) -> list[Stmt]:
        return [self.simple() for _ in range(self.random.choice([0, 0, 0, 1, most]))]

    def loop(self, name: str, body: list[Stmt], var: Scalar) -> For:
        outside = [v for v in self.around if v is not var]
        start: Expr = const(self.random.choice([0, 0, 0, 1]))
        stop: Expr = const(self.random.choice([LONG, LONG, LONG - 1]))
        bound = self.random.random()
        if outside and bound < 0.25:
            stop = Ref(self.random.choice(outside)) + self.random.choice([0, 1])
        elif outside and bound < 0.5:
            start = Ref(self.random.choice(outside)) + self.random.choice([0, 1])
        if outside and 0.5 < bound < 0.6:
            stop = const(LONG) - Ref(self.random.choice(outside))
        if self.random.random() < 0.3:
            return For(var, stop - 1, start - 1, body, -1)
        return For(var, start, stop, body)

    def near(self, v: Scalar) -> Expr:
        """The variable of a loop, at a distance, or with that of another one."""
        pick = self.random.random()
        e: Expr = Ref(v) + self.random.choice([0, 0, 0, 1])
        if pick < 0.15:
            e = e + Ref(self.random.choice([w for w in self.around if w is not v]))
        return e

    def matrix(self, a: Scalar, b: Scalar) -> tuple[Array, tuple[Expr, ...]]:
        index = self.near(a), self.near(b)
        return self.random.choice(self.matrices), index if self.random.random() < 0.5 else index[::-1]

    def likely(self) -> Stmt:
        """What can be a product of matrices, if nothing else is in the way."""
        a, b, c = self.random.sample(self.around, 3)
        product = Load(*self.matrix(a, b)) * Load(*self.matrix(b, c))
        if self.random.random() < 0.3:
            product = product * Ref(self.random.choice(self.scalars))
        if self.random.random() < 0.1:
            product = product * self.load()
        pick = self.random.random()
        if pick < 0.3:
            return Assign(self.sum, Ref(self.sum) + product)
        if pick < 0.45:
            return Store(self.row, (self.near(self.around[2]),), product, add=True)
        return Store(*self.matrix(a, c), product, add=True)

    def adding(self) -> Stmt:
        if self.random.random() < 0.75:
            return self.likely()
        if self.random.random() < 0.35:
            return Assign(self.sum, Ref(self.sum) + self.product())
        if self.random.random() < 0.2:
            return Store(self.row, (self.number(),), self.product(), add=True)
        return Store(self.random.choice(self.matrices), self.index(), self.product(), add=True)

    def function(self) -> Function:
        i, j = Scalar("i", I64), Scalar("j", I64)
        self.around = [i]
        first = self.some(2)
        self.around = [i, j]
        middle = self.some(1)
        for name in "kl"[: self.random.choice([1, 1, 2])]:
            k = Scalar(name, I64)
            if self.random.random() < 0.6:
                middle.append(Assign(self.sum, const(0.0)))
            self.around = [i, j, k]
            inner = [*self.some(1), *(self.adding() for _ in range(self.random.choice([1, 1, 2])))]
            inner += self.some(1) if self.random.random() < 0.3 else []
            middle.append(self.loop(name, inner, k))
            self.around = [i, j]
            if self.random.random() < 0.5:
                target = self.random.choice(self.matrices)
                middle.append(Store(target, self.index(), Ref(self.sum), add=self.random.random() < 0.7))
            middle += self.some(1)
        inside = self.loop("j", middle, j)
        self.around = [i]
        whole: list[Stmt] = [*first, inside, *self.some(2)]
        if self.random.random() < 0.3:
            whole.insert(0, Alloc(self.row, (const(SIZE),)))
            q = Scalar("q", I64)
            whole.insert(
                1,
                For(
                    q,
                    ZERO,
                    const(SIZE),
                    [Store(self.row, (Ref(q),), Load(self.matrices[0], (Ref(i), Ref(q))))],
                ),
            )
        self.around = []
        outer = self.loop("i", whole, i)
        before: list[Stmt] = [Assign(v, const(1.0)) for v in (*self.scalars, self.sum)]
        body = [*before, *self.filled(ZERO), outer]
        return Function("nest", [*self.matrices], body, [*self.scalars, self.sum, self.row])

    def filled(self, number: Expr) -> list[Stmt]:
        """The row is given storage, and is a row of a matrix."""
        q = Scalar("q", I64)
        copied = Store(self.row, (Ref(q),), Load(self.matrices[0], (number, Ref(q))))
        return [Alloc(self.row, (const(SIZE),)), For(q, ZERO, const(SIZE), [copied])]
