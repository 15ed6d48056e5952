"""What several loops add to one array is added by the last of them, where nobody can tell."""

import random

import numpy as np

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.defer import defer
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


def stages(x, steps):
    """The state is read in each of three stages: its cotangent is added to by each of them."""
    y = np.zeros_like(x)
    for _ in range(steps):
        k1, k2, k3 = np.empty_like(x), np.empty_like(x), np.empty_like(x)
        k1[0] = k2[0] = k3[0] = x[0]
        k1[1:] = x[1:] * y[:-1]
        k2[1:] = x[1:] * (y[:-1] + 0.25 * k1[:-1])
        k3[1:] = x[1:] * (y[:-1] + 0.5 * k2[:-1])
        y += 0.125 * (k1 + 2.0 * k2 + k3)
    return y[-1] * y[1]


def passes(fn: Function) -> int:
    """How often loops go through arrays to store."""
    loops = [f for f in walk(fn.body) if isinstance(f, For)]
    return sum(len({s.array for s in f.body if isinstance(s, Store)}) for f in loops if len(f.body) > 1)


def test_the_cotangent_of_a_state_is_added_to_once():
    x = np.random.default_rng(0).normal(size=9)
    both = tl.value_and_grad(stages)
    fn = fuse(known_lengths(staged_function(both, (x, 4), {}).function))
    loops = [s for s in walk(verify(defer(fn)).body) if isinstance(s, For)]
    sums = [[s.array for s in f.body if isinstance(s, Store) and s.add] for f in loops]
    assert any(len(arrays) >= 6 and len(set(arrays)) == 2 for arrays in sums)
    assert passes(delay(defer(fn))) < passes(delay(fn))
    for n in (1, 2, 3, 9):
        value, slope = both(x[:n], 4) if n > 1 else (None, None)
        if n > 1:
            for got in (tl.jit(both, cache=False)(x[:n], 4), show.python(optimise(fn))(x[:n].copy(), 4)):
                np.testing.assert_allclose(got[0], value, rtol=1e-13)
                np.testing.assert_allclose(got[1], slope, rtol=1e-13)


class Maker:
    """Loops that store and add to some arrays at several distances: moved or not, as it happens."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.x, self.y = Array("x", "float64", 1), Array("y", "float64", 1)
        self.a, self.b, self.c = (Array(name, "float64", 1) for name in "abc")
        self.t = Scalar("t", F64)
        self.n = Dim(self.x, 0)
        self.at = {a: self.random.choice([0, 0, 1]) for a in (self.a, self.b, self.c)}

    def value(self, i: Expr) -> Expr:
        pick = self.random.choice
        names = [*[self.x, self.y] * 4, self.a, self.b]
        one = [Load(pick(names), (apply("add", i, pick([0, 0, 1])),)) for _ in range(3)]
        return apply(pick(["mul", "add"]), pick([*one, Ref(self.t), const(2.0)]), pick(one))

    def loop(self, others: float) -> Stmt:
        some, pick = self.random.random, self.random.choice
        i, v = Scalar("i", I64), Scalar("v", F64)
        body: list[Stmt] = [Assign(v, self.value(Ref(i)))]
        for _ in range(self.random.randrange(1, 4)):
            value = pick([apply("mul", Ref(v), const(0.5)), apply("mul", self.value(Ref(i)), Ref(v))])
            array = pick([self.a, self.b, self.c])
            at = apply("add", Ref(i), pick([0, 1]) if some() < others / 4 else self.at[array])
            made: Stmt = Store(array, (at,), value, add=some() < 0.8)
            if some() < others / 4:
                made = If(apply("lt", Ref(i), const(3)), [made])
            body.append(made)
        if some() < others / 2:
            body.append(Assign(self.t, apply("add", Ref(self.t), Load(self.c, (Ref(i),)))))
        if some() < others / 3:
            body.append(Assign(v, const(0.25)))
        start, stop = const(pick([0] * 9 + [1])), apply("sub", self.n, pick([1] * 9 + [2]))
        if some() < others / 4:
            return For(i, apply("sub", stop, 1), apply("sub", start, 1), body, -1)
        return For(i, start, stop, body)

    def function(self) -> Function:
        others = self.random.choice([0.0, 0.0, 0.3, 0.6])
        some = self.random.random
        body: list[Stmt] = [Assign(self.t, const(1.5))]
        for k, a in enumerate((self.a, self.b, self.c)):
            i = Scalar("i", I64)
            body.append(Alloc(a, (self.n,)))
            zero = Store(a, (Ref(i),), apply("mul", Load(self.x, (Ref(i),)), const(float(k))))
            body.append(For(i, ZERO, self.n, [zero]))
        between: list[Stmt] = [
            Assign(self.t, const(0.75)),
            Store(self.x, (ZERO,), const(3.0)),
            Store(self.a, (ZERO,), const(5.0), add=True),
            Store(self.y, (const(1),), Load(self.b, (ZERO,))),
        ]
        for _ in range(self.random.randrange(2, 6)):
            body.append(self.loop(others))
            body += [s for s in between if some() < others / 4]
        return Function("f", [self.x, self.y], body, [self.a, self.b, self.c, self.t])


def test_random_loops():
    """Values are the same to the last bit, and in some of the programs something has been moved."""
    deferred = delayed = 0
    for seed in range(400):
        fn = verify(Maker(seed).function())
        first = verify(defer(fn))
        second = verify(delay(first))
        deferred += first.body != fn.body
        delayed += second.body != first.body
        for n in (2, 3, 7):
            got = []
            for f in (fn, first, second):
                rng = np.random.default_rng(seed)
                args = rng.normal(size=n), rng.normal(size=n)
                got.append([*show.python(f)(*args), *args])
            for others in got[1:]:
                for a, b in zip(got[0], others, strict=True):
                    np.testing.assert_array_equal(a, b)
    assert 60 < deferred < 390
    assert 60 < delayed < 390
