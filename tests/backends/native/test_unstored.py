"""Arrays that hold what is elsewhere are read there, where nobody can tell."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import show
from tapeless.backends.native.build import staged_function
from tapeless.backends.native.nest import (
    F64,
    I64,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Check,
    Dim,
    Expr,
    Failure,
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
    walk,
)
from tapeless.backends.native.optimise import optimise
from tapeless.backends.native.unstored import unstored
from tapeless.backends.native.verify import verify


def restored(fn: Function) -> list[Store]:
    """The stores of a nest that put back what was saved."""
    stores = [s for s in walk(fn.body) if isinstance(s, Store) and isinstance(s.value, Load)]
    return [s for s in stores if s.value.array.name.startswith("saved")]  # type: ignore[union-attr]


def stages(x, steps):
    y = np.zeros_like(x)
    for _ in range(steps):
        k1, k2 = np.empty_like(x), np.empty_like(x)
        k1[0] = k2[0] = x[0]
        k1[1:] = x[1:] * y[:-1]
        k2[1:] = x[1:] * (y[:-1] + 0.25 * k1[:-1])
        y += np.sin(k1) + y * k2
    return y[-1] * y[1]


def recursion(r):
    n = len(r)
    y = np.zeros(n)
    y[0] = alpha = -r[0]
    beta = 1.0
    for k in range(1, n):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return np.sum(y * y)


def numerical(f: Any, x: np.ndarray, *rest: Any) -> np.ndarray:
    h = 1e-6
    return np.array([(f(x + h * e, *rest) - f(x - h * e, *rest)) / (2 * h) for e in np.eye(len(x))])


@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize(("f", "rest"), [(stages, (3,)), (stages, (0,)), (recursion, ())])
def test_what_is_put_back_is_read_where_it_was_saved(f, rest, parallel):
    both = tl.value_and_grad(f)
    rng = np.random.default_rng(0)
    for n in (8, 9):
        x = rng.random(n) * 0.5
        fn = optimise(staged_function(both, (x, *rest), {}).function, parallel=parallel)
        assert not restored(fn)
        expected, slope = f(x, *rest), numerical(f, x, *rest)
        for run in (tl.jit(both, cache=False, parallel=parallel), show.python(fn)):
            got = run(x.copy(), *rest)
            np.testing.assert_allclose(got[0], expected, rtol=1e-12)
            np.testing.assert_allclose(got[1], slope, rtol=1e-6, atol=1e-9)


def sweep(x, steps, kind):
    """The state is overwritten in parts, in turns, under a test, in a `while` loop, and read again later."""
    y, z = np.ones_like(x), np.zeros_like(x)
    k = 0
    while k < steps:
        if kind == "parts" and k % 2:
            y[1:-1] = np.sin(y[1:-1] * x[1:-1]) + y[2:] * y[:-2]
        elif kind == "swap":
            y, z = z + np.sin(x * y), y
        elif kind == "rows":
            z[: k % len(x)] += y[: k % len(x)] * y[: k % len(x)]
            y[: len(x) - k] = y[: len(x) - k] * x[k:] + z[k:]
        else:
            y += x * y * y * 0.1 + z
            z = y * 0.5 if k == 1 else z
        k += 1
    return np.sum(y * y) + np.sum(z)


@pytest.mark.parametrize("kind", ["parts", "swap", "rows", "test"])
def test_states_that_are_overwritten(kind):
    def f(x, steps):
        return sweep(x, steps, kind)

    x = np.linspace(0.3, 0.6, 5)
    compiled, second = tl.jit(tl.grad(f), cache=False), tl.jit(tl.hessian(f), cache=False)
    for steps in (0, 1, 4):
        np.testing.assert_allclose(compiled(x, steps), numerical(f, x, steps), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(second(x, steps), tl.hessian(f)(x, steps), rtol=1e-10, atol=1e-12)


# ---- nests


X, Y, P = Array("x", "float64", 1), Array("y", "float64", 1), Array("p", "int64", 1)
N = Dim(X, 0)


def nest(*body: Stmt, results: tuple[Scalar | Array, ...] = ()) -> Function:
    return Function("f", [X, Y, P], list(body), list(results), [Failure(ValueError, (), "", 0)])


def outcome(fn: Function, n: int, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    args = rng.normal(size=n), rng.normal(size=n), rng.integers(0, 2, size=n)
    return [*show.python(fn)(*args), *args]


def kept(fn: Function) -> bool:
    """Whether a nest is left as it is; what it computes is the same in any case."""
    made = verify(unstored(verify(fn)))
    for n in (6, 9):
        for a, b in zip(outcome(fn, n), outcome(made, n), strict=True):
            np.testing.assert_array_equal(a, b)
    return made is fn


I, J, K, M = (Scalar(name, I64) for name in "ijkm")  # noqa: E741
A, B, Q, U = Array("a", "float64", 1), Array("b", "float64", 1), Array("q", "float64", 2), Scalar("u", F64)
C = Array("c", "float64", 2, alias=B)
ALLOC = Alloc(A, (N,))


def plus(*es: Any) -> Expr:
    total = es[0]
    for e in es[1:]:
        total = apply("add", total, e)
    return total


def at(array: Array, *es: Any) -> Load:
    return Load(array, (plus(*es),))


def fill(value: Expr, start: Any = 0, stop: Expr = N, *rest: Stmt) -> For:
    return For(I, const(start), stop, [Store(A, (Ref(I),), value), *rest])


def total(e: Expr, stop: Expr = N, *first: Stmt) -> list[Stmt]:
    return [Assign(U, const(0.0)), For(J, ZERO, stop, [*first, Assign(U, apply("add", Ref(U), e))])]


def fill_at(place: Expr, value: Expr) -> For:
    return For(I, ZERO, plus(N, -1), [Store(A, (plus(place, Ref(I)),), value)])


COPY = fill(at(X, Ref(I)))
READ = total(at(A, Ref(J)))


def test_a_copy_is_not_stored():
    for value in (at(X, Ref(I)), apply("mul", at(X, Ref(I)), const(2.0)), at(X, plus(N, -1), -Ref(I))):
        assert not kept(nest(ALLOC, fill(value), *READ, results=(U,)))
    assert not kept(nest(ALLOC, For(I, plus(N, -1), const(-1), COPY.body, -1), *READ, results=(U,)))
    for stop in (N, apply("sub", N, 1)):  # forwards and backwards, in part
        back = For(J, apply("sub", stop, 1), const(-1), READ[1].body, -1)
        assert not kept(nest(ALLOC, COPY, READ[0], back, results=(U,)))


def test_what_is_read_again_and_again_stays():
    assert kept(nest(ALLOC, COPY, READ[0], For(K, ZERO, N, READ[1:]), results=(U,)))


def test_elements_that_are_overwritten_once_they_have_been_read():
    for step in (1, -1):
        body = [READ[1].body[0], Store(X, (apply("sub", Ref(J), step),), const(1.0))]
        loop = For(J, ONE, plus(N, -1), body) if step > 0 else For(J, plus(N, -2), ZERO, body, -1)
        fn = nest(ALLOC, COPY, READ[0], loop, results=(U,))
        assert not kept(fn)
        assert unstored(fn, parallel=True) is fn  # iterations would wait for each other


STORES = {
    "a result": nest(ALLOC, COPY, results=(A,)),
    "a parameter": nest(
        For(I, ZERO, N, [Store(Y, (Ref(I),), at(X, Ref(I)))]), *total(at(Y, Ref(J))), results=(U,),
    ),
    "too short": nest(ALLOC, fill(const(1.0)), fill(at(X, Ref(I)), 1), *READ, results=(U,)),
    "overwritten before": nest(
        ALLOC, COPY, For(K, ZERO, N, [Store(X, (Ref(K),), const(1.0))]), *READ, results=(U,),
    ),
    "overwritten at a time": nest(
        ALLOC, COPY, *total(at(A, Ref(J)), N, Store(X, (Ref(J),), const(1.0))), results=(U,),
    ),
    "overwritten before its time": nest(
        ALLOC, COPY, *total(at(A, plus(Ref(J), 1)), plus(N, -1), Store(X, (plus(Ref(J), 1),), const(1.0))),
        results=(U,),
    ),
    "overwritten as it is copied": nest(
        ALLOC, fill(at(X, Ref(I)), 0, N, Store(X, (Ref(I),), const(1.0))), *READ, results=(U,),
    ),
    "read before": nest(
        ALLOC, fill(const(3.0)), Assign(U, const(0.0)),
        For(K, ZERO, const(2), [For(J, ZERO, N, READ[1].body), COPY]), results=(U,),
    ),
    "read before in an iteration": nest(
        ALLOC, fill(const(3.0)), Assign(U, const(0.0)),
        For(I, ZERO, N, [Assign(U, apply("add", Ref(U), at(A, Ref(I)))), Store(A, (Ref(I),), at(X, Ref(I)))]),
        results=(U,),
    ),
    "changed later": nest(ALLOC, COPY, Store(A, (ZERO,), const(5.0)), *READ, results=(U,)),
    "under a test": nest(
        ALLOC, fill(const(3.0)), If(apply("gt", at(P, ZERO), ZERO), [COPY]), *READ, results=(U,)
    ),
    "elements that meet": nest(
        ALLOC, fill(const(3.0)),
        For(I, ZERO, apply("sub", N, 1), [Store(A, (plus(Ref(I), at(P, Ref(I))),), at(X, Ref(I)))]),
        Assign(U, const(0.0)),
        For(I, ZERO, apply("sub", N, 1), [Assign(U, apply("add", Ref(U), at(A, Ref(I), at(P, Ref(I)))))]),
        results=(U,),
    ),
    "an end that moves": nest(
        Assign(M, const(3)), ALLOC, fill(const(3.0)), fill(at(X, Ref(I)), 0, Ref(M)), Assign(M, const(5)),
        *total(at(A, Ref(J)), Ref(M)), results=(U,),
    ),
    "an end that moves inside": nest(
        Assign(M, const(3)), ALLOC, fill(const(3.0)), fill(at(X, Ref(I)), 0, Ref(M)), Assign(U, const(0.0)),
        For(J, ZERO, Ref(M), [Assign(M, const(5)), Assign(U, apply("add", Ref(U), at(A, plus(Ref(M), -1))))]),
        results=(U,),
    ),
    "a test that holds no longer": nest(
        ALLOC, fill(const(3.0)), fill(at(X, Ref(I)), 0, const(3)), Assign(M, ONE), Assign(U, const(0.0)),
        If(apply("all", apply("ge", Ref(M), 0), apply("lt", Ref(M), 3)), [
            Assign(M, const(4)), Assign(U, at(A, Ref(M))),
        ]),
        results=(U,),
    ),
    "an end named by another loop's variable": nest(
        ALLOC, fill(const(3.0)), For(K, ZERO, const(2), [Assign(M, plus(Ref(K), 2))]), Assign(U, const(0.0)),
        fill(at(X, Ref(I)), 0, Ref(M)),
        For(K, ZERO, const(5), [Assign(U, apply("add", Ref(U), at(A, plus(Ref(K), 1))))]),
        results=(U,),
    ),
    "an end that was a length": nest(
        ALLOC, fill(const(3.0)),
        For(K, ZERO, const(2), [
            Alloc(B, (plus(Ref(K), 3),)),
            If(apply("lt", Ref(K), 1), [Assign(M, Dim(B, 0))]),
        ]),
        fill(at(X, Ref(I)), 0, Ref(M)), *total(at(A, Ref(J)), Dim(B, 0)), results=(U,),
    ),
    "a place that moves": nest(
        Assign(M, const(0)), ALLOC, fill(at(X, apply("minimum", plus(Ref(I), Ref(M)), plus(N, -1)))),
        Assign(M, ONE), *READ, results=(U,),
    ),
    "every other element": nest(
        ALLOC, fill(const(3.0)), For(I, ZERO, N, [Store(A, (Ref(I),), at(X, Ref(I)))], 2), *READ, results=(U,)
    ),
    "overwritten by another name": nest(
        ALLOC, Alloc(B, (N,)), Alias(C, (ONE, N)), For(K, ZERO, N, [Store(B, (Ref(K),), at(X, Ref(K)))]),
        fill(at(B, Ref(I))),
        *total(at(A, plus(Ref(J), 1)), plus(N, -1), Store(C, (ZERO, Ref(J)), const(1.0))), results=(U, B),
    ),
    "a place that is overwritten": nest(
        ALLOC, fill(const(3.0)), fill_at(at(P, ZERO), at(X, Ref(I))),
        *total(
            at(A, plus(at(P, ZERO), Ref(J))), plus(N, -1), Store(P, (ZERO,), apply("sub", ONE, at(P, ZERO)))
        ),
        results=(U,),
    ),
    "another row": nest(
        Alloc(Q, (const(3), const(3))),
        For(I, ZERO, const(3), [For(K, ZERO, const(3), [Store(Q, (Ref(I), Ref(K)), const(3.0))])]),
        For(I, ZERO, const(3), [Store(Q, (ONE, Ref(I)), at(X, Ref(I)))]),
        *total(Load(Q, (ZERO, Ref(J))), const(3)), results=(U,),
    ),
    "tested": nest(
        ALLOC, fill(const(3.0)), COPY, Assign(U, const(0.0)),
        If(apply("gt", at(A, ONE), 0.0), [Assign(U, const(1.0))]), results=(U,),
    ),
    "a triangle": nest(
        Alloc(Q, (const(3), const(3))),
        For(I, ZERO, const(3), [For(K, ZERO, const(3), [Store(Q, (Ref(I), Ref(K)), const(3.0))])]),
        For(I, ZERO, const(3), [For(K, ZERO, plus(Ref(I), 1), [Store(Q, (Ref(I), Ref(K)), at(X, Ref(K)))])]),
        Assign(U, const(0.0)),
        For(I, ZERO, const(3), [For(K, ZERO, plus(Ref(I), 1), [
            Assign(U, apply("add", Ref(U), Load(Q, (apply("sub", const(2), Ref(I)), Ref(K))))),
        ])]),
        results=(U,),
    ),
    "a diagonal": nest(
        ALLOC, fill(const(3.0)),
        For(I, ZERO, const(3), [For(K, ZERO, const(3), [Store(A, (plus(Ref(I), Ref(K)),), at(X, Ref(K)))])]),
        Assign(U, at(A, const(2))), results=(U,),
    ),
    "the memory of another": nest(
        ALLOC, Alloc(B, (N,)),
        For(K, ZERO, N, [Store(B, (Ref(K),), const(2.0))]), COPY, Swap(A, B), *READ, results=(U,),
    ),
    "a while loop": nest(
        ALLOC, COPY, Assign(U, const(0.0)), Assign(M, ZERO),
        While([], apply("lt", Ref(M), const(3)), [
            Assign(U, apply("add", Ref(U), at(A, ONE))), Assign(M, plus(Ref(M), 1)),
            Store(X, (ONE,), const(7.0)),
        ]),
        results=(U,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STORES)
def test_what_must_be_stored(name):
    assert kept(STORES[name])


class Maker:
    """Loops that store arrays, and some that read and overwrite them and what they came from.

    All arrays have the same length, 6 or more; `m` is 4 or 5 less, the elements of `p` are 0 and 1.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.a, self.b, self.s = (Array(name, "float64", 1) for name in "abs")
        self.t, self.u, self.m = Scalar("t", F64), Scalar("u", F64), Scalar("m", I64)
        self.vars = [Scalar("i", I64), Scalar("j", I64)]
        self.odd = self.random.choice([0.0, 0.0, 0.1, 0.3])

    def some(self, chance: float) -> bool:
        return self.random.random() < chance

    def pick(self, *given: Any) -> Any:
        return self.random.choice(given)

    def index(self, i: Expr) -> Expr:
        """Somewhere in the arrays, for i from 0 to n - 4."""
        if self.some(self.odd):
            back = apply("sub", apply("sub", N, 1), i)
            return self.pick(
                back, plus(i, at(P, i)), plus(i, Ref(self.m), -N, 5), plus(i, apply("mod", i, 2))
            )
        return plus(i, self.pick(0, 0, 1, 2))

    def stop(self) -> Expr:
        return self.pick(Ref(self.m), apply("sub", N, 4)) if self.some(self.odd) else apply("sub", N, 3)

    def loop(self, i: Scalar, stop: Expr, body: list[Stmt], start: Expr = ZERO) -> For:
        if self.some(0.2):
            return For(i, apply("sub", stop, 1), apply("sub", start, 1), body, -1)
        return For(i, start, stop, body)

    def rule(self) -> Stmt:
        i = self.pick(*self.vars)
        source = self.pick(X, Y, self.s)
        whole = self.some(0.7)
        index = Ref(i) if whole else self.index(Ref(i))
        place: Expr = Ref(i) if whole else self.index(Ref(i))
        value: Expr = Load(source, (index,))
        if self.some(0.4):
            value = apply("mul", value, self.pick(Ref(self.t), const(2.0), Load(source, (ONE,))))
        body: list[Stmt] = []
        if self.some(0.4):
            v = Scalar("v", F64)
            body.append(Assign(v, value))
            value = Ref(v)
        body.append(Store(self.pick(self.a, self.b), (place,), value))
        if self.some(self.odd):
            body.append(Store(source, (index,), const(0.25)))
        if self.some(0.4):
            read = Load(self.pick(self.a, self.b), (place if self.some(0.7) else self.index(Ref(i)),))
            own = Store(Y, (Ref(i),), apply("mul", read, const(0.5)), add=self.some(0.5))
            body.insert(0 if self.some(self.odd) and len(body) == 1 else len(body), own)
            whole = False
        if self.some(self.odd):
            body.append(Store(self.pick(self.s, source, self.a), (Ref(i),), const(0.5), add=self.some(0.5)))
        return self.loop(i, N if whole else self.stop(), body, ONE if self.some(self.odd) else ZERO)

    def reader(self) -> Stmt:
        i, v = self.pick(*self.vars), Scalar("v", F64)

        def e() -> Expr:
            return Load(self.pick(self.a, self.a, self.b, X), (self.index(Ref(i)),))

        body: list[Stmt] = [Assign(v, apply("mul", e(), e()))]
        if self.some(0.5):
            body.append(Assign(self.u, apply("add", Ref(self.u), Ref(v))))
        target = self.pick(self.s, Y) if self.some(0.6) else self.pick(self.s, Y, self.a, X)
        body.append(Store(target, (self.index(Ref(i)),), apply("add", Ref(v), e()), add=self.some(0.5)))
        if self.some(self.odd):
            body.append(self.change())
        if self.some(self.odd):
            where = self.pick(apply("lt", Ref(i), const(2)), apply("gt", at(P, Ref(i)), ZERO))
            body = [If(where, body)]
        return self.loop(i, self.stop(), body)

    def change(self) -> Stmt:
        m = Assign(self.m, apply("sub", N, self.pick(4, 5)))
        return self.pick(Assign(self.t, const(0.75)), m, Store(P, (ONE,), ONE))

    def block(self) -> list[Stmt]:
        out: list[Stmt] = [self.rule()]
        for _ in range(self.random.randrange(1, 4)):
            out.append(self.reader() if self.some(0.7) else self.rule())
            if self.some(self.odd):
                out.append(self.change())
            if self.some(0.3):
                out.append(
                    Assign(self.u, apply("add", Ref(self.u), Load(self.pick(self.a, self.b), (ZERO,))))
                )
        return out

    def function(self) -> Function:
        body: list[Stmt] = [Check(apply("ge", N, const(6)), 0), Assign(self.m, apply("sub", N, 5))]
        body += [Assign(self.t, const(1.5)), Assign(self.u, const(0.0))]
        for k, a in enumerate((self.a, self.b, self.s)):
            i = Scalar("i", I64)
            zero = Store(a, (Ref(i),), apply("mul", Load(Y, (Ref(i),)), const(float(k))))
            body += [Alloc(a, (N,)), For(i, ZERO, N, [zero])]
        if self.some(0.5):
            body += self.block()
        inside = self.block()
        twice = For(Scalar("k", I64), ZERO, const(2), inside)
        body.append(twice if self.some(0.7) else If(apply("ge", N, const(7)), inside))
        if self.some(self.odd):
            body += self.block()
        return nest(*body, results=(self.s, self.u))


def test_random_loops():
    """Values are the same to the last bit, and in some of the programs an array is not stored any more."""
    found = 0
    for seed in range(SEEDS):
        fn = verify(Maker(seed).function())
        for parallel in (False, True):
            made = verify(unstored(fn, parallel=parallel))
            if made is fn:
                continue
            found += 1
            for n in (6, 9):
                for a, b in zip(outcome(fn, n, seed), outcome(made, n, seed), strict=True):
                    np.testing.assert_array_equal(a, b, err_msg=str(seed))
    assert found > SEEDS // 5, found


SEEDS = 500
