"""What is stored and then added to is first stored where it is added to, where nobody can tell."""

import random

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.delay import delay
from tapeless.backends.native.fuse import fuse
from tapeless.backends.native.lengths import known_lengths
from tapeless.backends.native.nest import (
    F64,
    I64,
    ZERO,
    Alloc,
    Array,
    Assign,
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
    apply,
    const,
    walk,
)
from tapeless.backends.native.optimise import optimise
from tapeless.backends.native.verify import verify


def delayed(fn: Function) -> Function:
    return verify(delay(verify(fuse(known_lengths(fn)))))


def alone(fn: Function, a: Array) -> int:
    """How many loops store into an array that do not add to it."""
    bodies = [s.body for s in walk(fn.body) if isinstance(s, For)]
    stores = [[s for s in b if isinstance(s, Store) and s.array is a] for b in bodies]
    return sum(bool(b) and not any(s.add for s in b) for b in stores)


def twice(a, x):
    y = (a @ x) @ a
    return np.sum(y * y)


def updated(a, x):
    """The rank-one updates' cotangent and the product's are one pass over the matrix."""
    a = a + np.outer(x, x)
    y = x @ a
    z = a @ y
    return np.sum(z * z)


@pytest.mark.parametrize("f", [twice, updated])
def test_a_gradient_is_written_once(f):
    rng = np.random.default_rng(1)
    args = rng.normal(size=(7, 7)), rng.normal(size=7)
    both = tl.value_and_grad(f, argnums=(0, 1))
    fn = staged_function(both, args, {}).function
    before = fuse(known_lengths(fn))
    assert any(
        alone(before, s.array) > alone(delayed(fn), s.array)
        for s in walk(before.body)
        if isinstance(s, Store) and s.array.ndim == 2
    )
    value, slopes = both(*args)
    for got in (tl.jit(both, cache=False)(*args), show.python(optimise(fn))(*args)):
        flat = (got[0], *got[1]) if len(got) == 2 else got
        np.testing.assert_allclose(flat[0], value, rtol=1e-12)
        for a, b in zip(flat[1:], slopes, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11)


class Maker:
    """A nest that stores into a matrix, others, and one that adds to it: delayed or not, as it happens."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.x, self.y = Array("x", "float64", 1), Array("y", "float64", 1)
        self.m, self.a = Array("m", "float64", 2), Array("a", "float64", 2)
        self.t, self.n = Scalar("t", F64), Scalar("n", I64)

    def element(self, i: Expr, j: Expr) -> Expr:
        pick = self.random.choice
        one = [Load(self.x, (i,)), Load(self.y, (j,)), Load(self.m, (i, j)), Ref(self.t), const(2.0)]
        return apply(pick(["mul", "add"]), pick(one), pick(one))

    def nest(self, *, add: bool, others: float) -> list[Stmt]:
        i, j = Scalar("i", I64), Scalar("j", I64)
        at = (Ref(i), Ref(j))
        v = Scalar("v", F64)
        index = at if self.random.random() > others / 4 else (Ref(j), Ref(i))
        body: list[Stmt] = [Assign(v, self.element(*at))]
        body.append(Store(self.a, index, apply("mul", Ref(v), self.element(*at)), add=add))
        some = self.random.random
        if some() < others:
            change: list[Stmt] = [
                Store(self.x, (Ref(i),), self.element(*at), add=True),
                Store(self.y, (Ref(j),), Load(self.a, self.random.choice([at, at[::-1]])), add=True),
                Store(self.m, at, const(0.5)),
                Assign(self.t, apply("add", Ref(self.t), Load(self.a, at))),
                Assign(v, apply("mul", Ref(v), const(0.25))),
            ]
            body.insert(self.random.randrange(1, len(body) + 1), self.random.choice(change))
        if some() < others / 3:
            body = [If(apply("lt", Ref(i), Ref(j)), body)]
        length: Expr = Dim(self.m, 0)
        if some() < others / 3:
            length = Ref(self.n)
        triangle = some() < others / 4
        inner = For(j, Ref(i) if triangle else ZERO, Dim(self.m, 1), body, independent=False)
        rows: list[Stmt] = [inner]
        if some() < others / 3:
            rows.insert(0, Store(self.y, (Ref(i),), const(0.125)))
        return [For(i, ZERO, length, rows)]

    def function(self) -> Function:
        i, j = Scalar("i", I64), Scalar("j", I64)
        others = self.random.choice([0.0, 0.3, 0.6])
        body: list[Stmt] = [
            Assign(self.t, const(1.5)),
            Assign(self.n, Dim(self.m, 0)),
            Alloc(self.a, (Dim(self.m, 0), Dim(self.m, 1))),
            For(
                i,
                ZERO,
                Dim(self.m, 0),
                [For(j, ZERO, Dim(self.m, 1), [Store(self.a, (Ref(i), Ref(j)), const(7.0))])],
            ),
            *self.nest(add=False, others=others),
        ]
        between: list[Stmt] = [
            Assign(self.t, const(0.75)),
            Assign(self.n, apply("sub", Ref(self.n), const(1))),
            Store(self.x, (ZERO,), const(3.0)),
            Store(self.m, (ZERO, ZERO), const(4.0), add=True),
            Store(self.a, (ZERO, ZERO), const(5.0), add=True),
            Store(self.y, (ZERO,), Load(self.a, (ZERO, ZERO))),
        ]
        body += [s for s in between if self.random.random() < others / 3]
        body += self.nest(add=True, others=others)
        return Function("f", [self.x, self.y, self.m], body, [self.a, self.t])


def test_random_nests():
    """Values are the same, and in some of the nests something has been delayed."""
    found = 0
    for seed in range(300):
        fn = verify(Maker(seed).function())
        made = verify(delay(fn))
        found += made.body != fn.body
        got = []
        for f in (fn, made):
            rng = np.random.default_rng(seed)
            args = rng.normal(size=4), rng.normal(size=4), rng.normal(size=(4, 4))
            got.append([*show.python(f)(*args), *args])
        for a, b in zip(*got, strict=True):
            np.testing.assert_array_equal(a, b)
    assert 30 < found < 280


def test_what_is_left_of_a_triangle_stays_where_it_was():
    """Its rows begin one element before those of the nest that adds, which has loops of its own."""
    x, a = Array("x", "float64", 1), Array("a", "float64", 2)
    i, j, k, m = (Scalar(name, I64) for name in "ijkm")
    n = Dim(x, 0)

    def at(u: Scalar, v: Scalar, value: Expr, add: bool) -> Store:
        return Store(a, (Ref(u), Ref(v)), value, add=add)

    zero = For(i, ZERO, n, [For(j, ZERO, n, [at(i, j, const(0.0), False)])])
    upper = For(j, Ref(i), n, [at(i, j, Load(x, (Ref(j),)), False)])
    strict = For(m, Ref(k) + 1, n - 1, [at(k, m, Load(x, (Ref(k),)), True)])
    body: list[Stmt] = [Alloc(a, (n, n)), zero, For(i, ZERO, n, [upper]), For(k, ZERO, n, [strict])]
    fn = verify(Function("f", [x], body, [a]))
    made = verify(delay(fn))
    assert made.body != fn.body
    for length in range(6):
        args = np.arange(1.0, length + 1.0)
        np.testing.assert_array_equal(show.python(made)(args)[0], show.python(fn)(args)[0])
