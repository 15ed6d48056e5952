"""Loops that threads share have iterations that may run in any order: random nests are run that way."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tapeless.backends.native import independence, sharing, threads
from tapeless.backends.native.machine import compile
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
)
from tapeless.backends.native.polynomials import Facts, Unknowns, constant, plus, product
from tapeless.backends.native.reverse import reverse
from tapeless.backends.native.verify import verify

from .interpreter import Interpreter
from .random_nests import functions


@pytest.fixture(autouse=True, scope="module")
def everything_is_shared():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "count", lambda: 8)
        for name, value in (("WORTH", -1), ("SHORT", 0), ("PER_ELEMENT", 0), ("NEAR", 2)):
            patch.setattr(sharing, name, value)
        patch.setattr(independence, "NEAR", 2)
        yield


class Shuffled(Interpreter):
    """Runs a shared nest: the iterations of shared loops in random order, each with variables of its own."""

    def __init__(self, fn: Function, seed: int) -> None:
        made, self.regions = sharing.share(fn)
        self.random = random.Random(seed)
        super().__init__(verify(made))

    def stmt(self, s: Stmt) -> None:
        if not isinstance(s, For) or s.var not in self.regions:
            return super().stmt(s)
        around, used = self.values, sharing.captured(s)
        turns = list(range(self.expr(s.start), self.expr(s.stop), s.step))
        self.random.shuffle(turns)
        for i in turns:
            self.values = {x: around[x] for x in used if x in around} | {s.var: i}
            self.body(s.body)
        self.values = around


def same(fn: Function, params: list[Any], seed: int = 0) -> None:
    """A nest computes the same, and leaves the same in its arguments, with its loops shared."""
    runs = []
    for make in (Interpreter, lambda f: Shuffled(f, seed)):
        own = [p.copy() if isinstance(p, np.ndarray) else p for p in params]
        own = [p.astype(complex) if isinstance(p, np.ndarray) and p.dtype.kind == "f" else p for p in own]
        runs.append([*make(fn)(*own), *own])
    for a, b in zip(*runs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


X, Y = np.array([0.3, -0.7, 0.9, 0.2]), np.array([-0.4, 0.8, 0.1, -0.6])
PARAMS: list[Any] = [X, Y, np.array([2, 0, 3, 1]), 0.4, -0.3]
RELAXED = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@RELAXED
@given(functions(), st.integers(0, 100))
def test_random_nests(fn: Function, seed: int) -> None:
    same(fn, PARAMS, seed)


@RELAXED
@given(functions(), st.integers(0, 100))
def test_gradients_of_random_nests(fn: Function, seed: int) -> None:
    same(reverse(fn, [0, 1, 3, 4]), PARAMS, seed)


@settings(RELAXED, max_examples=30)
@given(functions(), st.integers(0, 100))
def test_second_derivatives_of_random_nests(fn: Function, seed: int) -> None:
    twice = reverse(reverse(fn, [0, 3]), [0, 1, 3, 4], seeds=[3, 4], seeded=True)
    same(twice, [*PARAMS, np.array([0.3, -1.1, 0.7, 0.2]), 0.9], seed)


# ---- loops that walk arrays in steps


LENGTH, MIDDLE = 240, 90


class Walks:
    """Draws nests whose indices are sums of multiples of loop variables; `n` is 5."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.arrays = [Array(name, "float64", 1) for name in "uvw"]
        self.grid = Array("grid", "float64", 2)
        self.own = Array("own", "float64", 1)
        self.n, self.total, self.other = Scalar("n", I64), Scalar("total", F64), Scalar("other", F64)
        self.t = Scalar("t", F64)
        self.counters: list[Scalar] = []

    def pick(self, *xs: Any) -> Any:
        return self.draw(st.sampled_from(xs))

    def index(self) -> Expr:
        total: Expr = const(MIDDLE + self.pick(0, 0, 0, 1, -1, 3))
        for i in self.counters:
            total = total + Ref(i) * self.pick(const(1), const(1), const(0), const(2), const(-1), Ref(self.n))
        return total

    def element(self) -> tuple[Array, tuple[Expr, ...]]:
        if self.counters and self.pick(0, 0, 1):
            i, j = Ref(self.counters[0]), Ref(self.pick(*self.counters))
            return self.grid, (i + self.pick(1, 1, 2), self.pick(j + 1, j + 2, const(3), Ref(self.n) - 1))
        array = self.pick(*self.arrays[: self.pick(1, 3)])
        return array, (self.index(),)

    def value(self) -> Expr:
        kind = self.pick(0, 1, 2, 3)
        if kind == 0:
            return Ref(self.t) * 0.5
        if kind == 1:
            return const(0.3)
        if kind == 2 and self.own_ready:
            return Load(self.own, (self.pick(ZERO, const(1)),)) + 0.1
        return apply("sin", Load(*self.element()))

    def stmts(self, depth: int) -> list[Stmt]:
        out: list[Stmt] = []
        for _ in range(self.draw(st.integers(1, 3))):
            kind = self.pick(*range(8))
            if kind <= 2:
                out.append(Store(*self.element(), self.value(), self.pick(True, False)))
            elif kind == 3:
                out.append(Assign(self.t, self.value()))
            elif kind == 4:
                var = self.pick(self.total, self.total, self.other)
                out.append(Assign(var, Ref(var) + self.value()))
            elif kind == 5:
                out.append(Assign(self.other, apply("maximum", Ref(self.other), self.value())))
            elif kind == 6:
                test = apply("gt", Load(*self.element()), self.pick(0.1, -0.4))
                out.append(If(test, self.stmts(depth), self.stmts(depth) if self.pick(0, 1) else []))
            elif depth:
                out.append(self.loop(depth - 1))
        return out

    def loop(self, depth: int) -> For:
        i = Scalar("ijk"[len(self.counters)], I64)
        if self.counters:
            bounds = self.pick((ZERO, Ref(self.n), 1), (Ref(self.n) - 1, const(-1), -1), (ZERO, const(2), 1))
            bounds = self.pick(bounds, (ZERO, Ref(self.counters[0]) + 1, 1))
        else:
            n = Ref(self.n) * self.pick(1, 2)
            bounds = self.pick((ZERO, n, 1), (const(2), n + 2, 1), (n, ZERO, -1), (ZERO, n, 2), (n, ZERO, -3))
        self.counters.append(i)
        head: list[Stmt] = []
        if self.pick(0, 1):
            head.append(Assign(self.t, self.value()))
        if len(self.counters) == 1 and self.pick(0, 0, 1):
            self.own_ready = True
            head += [Alloc(self.own, (const(2),)), Store(self.own, (ZERO,), Load(*self.element()))]
            head.append(Store(self.own, (const(1),), const(0.2)))
        start, stop, step = bounds
        made = For(i, start, stop, [*head, *self.stmts(depth)], step)
        self.counters.pop()
        if not self.counters:
            self.own_ready = False
        return made

    own_ready = False

    def function(self) -> Function:
        body: list[Stmt] = [Assign(v, const(0.1)) for v in (self.total, self.other, self.t)]
        body += [self.loop(2) for _ in range(self.draw(st.integers(1, 2)))]
        params = [*self.arrays, self.grid, self.n]
        return Function("walks", params, body, [self.total, self.other, self.t])


def walked() -> list[Any]:
    rng = np.random.default_rng(0)
    return [*(rng.uniform(-1, 1, LENGTH) for _ in range(3)), rng.uniform(-1, 1, (16, 16)), 5]


@st.composite
def walks(draw: Any) -> Function:
    return Walks(draw).function()


@settings(RELAXED, max_examples=300)
@given(walks(), st.integers(0, 100))
def test_walks(fn: Function, seed: int) -> None:
    same(verify(fn), walked(), seed)


@settings(RELAXED, max_examples=150)
@given(walks(), st.integers(0, 100))
def test_gradients_of_walks(fn: Function, seed: int) -> None:
    same(reverse(fn, [0, 1, 2, 3]), walked(), seed)


@settings(RELAXED, max_examples=25)
@given(walks(), st.booleans())
def test_walks_in_threads(fn: Function, backwards: bool) -> None:
    if backwards:
        fn = reverse(fn, [0, 1, 2, 3])
    serial, parallel = compile(fn), compile(fn, parallel=True)
    wanted, first = walked(), None
    results = serial.call(*wanted)
    for n in (8, 1, 2, 3, 8):
        threads.limit(n)
        args = walked()
        got = [*parallel.call(*args), *args]
        first = got if first is None else first
        for a, b, c in zip(got, first, [*results, *wanted], strict=True):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_allclose(a, c, rtol=1e-9, atol=1e-11)
    threads.limit(8)


# ---- polynomials


def test_proofs():
    unknowns = Unknowns()
    n, m, i, d = (unknowns.fresh(True) for _ in range(4))
    k = unknowns.fresh()
    facts = Facts(unknowns, [plus(k, constant(-1)), plus(plus(n, i, -1), constant(-1))])
    assert facts.positive(plus(k, constant(-1))) and facts.positive(product(k, m))
    assert not facts.positive(plus(k, constant(-2))) and not facts.positive(plus(m, constant(-1)))
    assert facts.positive(plus(n, constant(-1))) and not facts.positive(plus(n, plus(i, d), -1))
    # (d + 1)·k + j - h with j, h in range(k)
    j, h = unknowns.fresh(True), unknowns.fresh(True)
    top = plus(k, constant(-1))
    apart = plus(plus(product(plus(d, constant(1)), k), j), h, -1)
    ranges = [(next(iter(j))[0], top), (next(iter(h))[0], top)]
    assert facts.positive(plus(facts.least(apart, ranges), constant(-1)))
    assert not facts.positive(plus(facts.least(plus(apart, constant(-1)), ranges), constant(-1)))


def test_loops_known_to_be_shared():
    a, s, n = Array("a", "float64", 1), Scalar("s", F64), Scalar("n", I64)
    i, j = Scalar("i", I64), Scalar("j", I64)

    def shared(body: list[Stmt], results: Any = ()) -> int:
        outer = For(i, ZERO, Dim(a, 0), body)
        return len(sharing.share(Function("f", [a, n], [Assign(s, const(0.0)), outer], list(results)))[1])

    tile = For(j, ZERO, Ref(n), [Store(a, (Ref(i) * Ref(n) + Ref(j),), const(1.0))])
    assert shared([tile]) == 1
    wider = For(j, ZERO, Ref(n) + 1, [Store(a, (Ref(i) * Ref(n) + Ref(j),), const(1.0))])
    assert shared([For(j, ZERO, Ref(n), [wider.body[0]], 1), Store(a, (Ref(i) * Ref(n),), const(2.0))]) == 1
    assert shared([Assign(s, Ref(s) + Load(a, (Ref(i),)))], [s]) == 1
    assert shared([Assign(s, Load(a, (Ref(i),)))]) == 1
    assert shared([Assign(s, Load(a, (Ref(i),)))], [s]) == 0
    assert shared([Store(a, (Ref(i),), Load(a, (Ref(i) + 1,)))]) == 0
    assert shared([Store(a, (Ref(i) * 2,), Load(a, (Ref(i) * 2 + 1,)))]) == 1
    assert shared([wider]) == 1  # only the loop inside


def test_loops_known_not_to_be_shared():
    a, b, c = (Array(x, "float64", 1) for x in "abc")
    s, t, k, i = Scalar("s", F64), Scalar("t", F64), Scalar("k", I64), Scalar("i", I64)
    here, test = Load(a, (Ref(i),)), apply("gt", Load(a, (Ref(i),)), 0.0)

    def shared(*body: Stmt) -> int:
        outer = For(i, ZERO, Dim(a, 0), list(body))
        head: list[Stmt] = [
            Assign(s, const(0.0)),
            Assign(t, const(0.0)),
            Assign(k, ZERO),
            Alloc(c, (const(2),)),
        ]
        return len(sharing.share(Function("f", [a, b], [*head, outer], [s, t]))[1])

    first = (ZERO,)
    # an index that is not what it was before a branch, or before the loop
    assert (
        shared(Assign(k, ZERO), If(test, [Assign(k, const(1))]), Store(a, (Ref(i) + Ref(k),), const(1.0)))
        == 0
    )
    assert shared(Store(b, (Ref(i) + Ref(k),), const(1.0)), Assign(k, const(1))) == 0
    # storage that is used before it is made
    assert shared(Store(b, (Ref(i),), Load(c, first)), Alloc(c, (const(2),)), Store(c, first, here)) == 0
    assert (
        shared(If(test, [Alloc(c, (const(2),)), Store(c, first, here)]), Store(b, (Ref(i),), Load(c, first)))
        == 0
    )
    # variables that keep their value, or are added to, in one branch only
    assert shared(Assign(s, Ref(s) + here), If(test, [Assign(s, const(0.0))])) == 0
    assert shared(If(test, [Assign(t, Ref(s) + 1.0)]), Assign(s, Ref(t))) == 0
    assert shared(Assign(s, Ref(t)), Assign(t, Ref(s) + here)) == 0
    assert shared(Assign(s, Ref(s) * 2.0 + here)) == 0
    assert shared(Assign(s, here - Ref(s))) == 0
    assert shared(Assign(s, Ref(s) + here), Store(b, (Ref(i),), Ref(s))) == 0


def test_a_sum_of_integers_is_not_known_afterwards():
    a, k, i = Array("a", "float64", 1), Scalar("k", I64), Scalar("i", I64)
    counting = For(i, ZERO, Dim(a, 0), [Assign(k, Ref(k) - 1)], independent=True)
    storing = For(i, ZERO, Dim(a, 0), [Store(a, (Ref(i) * Ref(k),), const(1.0))])
    for before, wanted in (([], 1), ([counting], 1)):
        fn = Function("f", [a], [Assign(k, const(1)), *before, storing], [])
        assert len(sharing.share(fn)[1]) == wanted
