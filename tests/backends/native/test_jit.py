"""Calls of compiled functions: every kind of argument, live globals and cells, methods, threads, memory."""

from __future__ import annotations

import functools
import gc
import math
import pickle
import resource
import threading
import traceback
import weakref

import numpy as np
import pytest

import tapeless as tl
from tapeless.errors import NotCompilable

SCALE = 2.0
TABLE = np.array([1.0, 2.0, 3.0])


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("TAPELESS_CACHE_DIR", "")


def same(got, want, rtol=1e-12):
    assert type(got) is type(want)
    if isinstance(want, tuple):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            same(g, w, rtol)
    elif isinstance(want, np.ndarray):
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=rtol)
    elif isinstance(want, (float, np.inexact)):
        np.testing.assert_allclose(got, want, rtol=rtol)
    else:
        assert got == want


def power(x, n=3, *more, offset=0.5):
    for _ in range(n):
        x = x * x + offset
    for m in more:
        x = x - m
    return x


# ---- how arguments are passed


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((0.3,), {}),
        ((0.3, 2), {}),
        ((0.3,), {"n": 2}),
        ((), {"x": 0.3, "n": 2}),
        ((0.3, 2, 1.0, 2.0), {"offset": 0.25}),
        ((0.3,), {"offset": 1}),
        ((np.float64(0.3), 2), {}),
        ((np.float32(0.3), 2), {}),
        ((3, 2), {"offset": 1}),
        ((True, 1), {"offset": 1}),
        ((np.arange(3.0), 1), {}),
        ((np.arange(3), 1), {"offset": 1}),
    ],
)
def test_ways_to_pass_arguments(args, kwargs):
    jitted = tl.jit(power)
    before = len(jitted.entries)  # those of the cases before
    for _ in range(3):
        same(jitted(*args, **kwargs), power(*args, **kwargs))
    assert len(jitted.entries) == before + 1


def test_wrong_arguments_raise_as_in_the_plain_call():
    jitted = tl.jit(power)
    jitted(0.3, 2)
    for args, kwargs in [((), {}), ((0.3,), {"x": 1.0}), ((0.3,), {"unknown": 1.0})]:
        with pytest.raises(TypeError) as plain:
            power(*args, **kwargs)
        with pytest.raises(TypeError) as compiled:
            jitted(*args, **kwargs)
        assert str(compiled.value) == str(plain.value)


def total(a, b):
    return (a * b + a).sum()


ARRAYS = {
    "contiguous": np.linspace(0, 1, 12).reshape(3, 4),
    "transposed": np.linspace(0, 1, 12).reshape(4, 3).T,
    "strided": np.linspace(0, 1, 48).reshape(6, 8)[::2, ::2],
    "reversed": np.linspace(0, 1, 12).reshape(3, 4)[::-1, ::-1],
    "broadcast": np.broadcast_to(np.linspace(0, 1, 4), (3, 4)),
    "float32": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4),
    "integers": np.arange(12).reshape(3, 4),
    "truths": np.arange(12).reshape(3, 4) % 3 == 0,
    "empty": np.zeros((0, 4)),
    "one": np.ones((1, 1)),
    "no axes": np.array(2.5),
    "complex": np.linspace(0, 1, 12).reshape(3, 4) * (1 + 2j),
    "complex, strided": np.linspace(0, 1, 24).reshape(3, 8)[:, ::2] * (1 + 2j),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_every_kind(name):
    a = ARRAYS[name]
    b = np.asarray(a * 2)
    jitted = tl.jit(total)
    rtol = 1e-5 if a.dtype == np.float32 else 1e-12
    for _ in range(2):
        same(jitted(a, b), total(a, b), rtol)
    same(jitted(a, 2.0), total(a, 2.0), rtol)
    if a.dtype.kind == "f":
        same(tl.jit(tl.grad(total, (0, 1)))(a, b), tl.grad(total, (0, 1))(a, b), rtol)


def test_one_function_takes_all_of_them():
    jitted = tl.jit(total)
    for _ in range(3):
        for a in ARRAYS.values():
            same(jitted(a, a), total(a, a), 1e-5)
            same(jitted(a, 2.0), total(a, 2.0), 1e-5)


def test_read_only_arrays():
    a = np.ones(3)
    a.flags.writeable = False
    assert tl.jit(total)(a, a) == 6.0

    def clear(a):
        a[1] = 0.0
        return a.sum()

    jitted = tl.jit(clear)
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            jitted(a)
    assert jitted(np.ones(3)) == 2.0


def test_lengths_that_broadcast():
    def f(a, b):
        return a * b

    jitted = tl.jit(f)
    three, one = np.arange(3.0), np.array([2.0])
    for a, b in [(three, three), (three, one), (one, three), (one, one), (three, three), (one, three)]:
        same(jitted(a, b), f(a, b))
    with pytest.raises(ValueError, match="broadcast"):
        jitted(three, np.ones(2))
    gradient = tl.jit(tl.grad(lambda a, b: f(a, b).sum(), (0, 1)))
    for a, b in [(three, three), (three, one), (one, three), (one, one)]:
        same(gradient(a, b), tl.grad(lambda a, b: f(a, b).sum(), (0, 1))(a, b))


def test_integers_of_more_than_64_bits():
    jitted = tl.jit(power)
    assert jitted(3, 1, offset=1) == 10
    with pytest.raises(NotCompilable, match="more than 64 bits"):
        jitted(2**70, 1, offset=1)
    loose = tl.jit(power, fallback=True)
    assert loose(3, 1, offset=1) == 10
    assert loose(2**70, 1, offset=1) == 2**140 + 1
    assert loose(4, 1, offset=1) == 17


# ---- memory that is shared


def smooth(new, old):
    for i in range(1, len(old)):
        new[i] = 0.5 * (new[i] + old[i - 1])
    return (new * old).sum()


def test_arguments_that_overlap():
    jitted = tl.jit(smooth)
    for overlap in (slice(0, 8), slice(1, 9), slice(0, 16, 2)):
        for _ in range(2):
            first, second = np.linspace(1, 2, 16), np.linspace(1, 2, 16)
            same(jitted(first[:8], first[overlap]), smooth(second[:8], second[overlap]))
            same(first, second)
    a, b = np.linspace(1, 2, 8), np.linspace(2, 3, 8)
    same(jitted(a.copy(), b), smooth(a.copy(), b))


def add_rows(a, x):
    a += x
    return (a * a).sum()


def read_late(a, x):
    doubled = x * 2.0
    a[0, 0] = 50.0
    return doubled.sum()


def sum_into(a, x):
    for k in range(len(x)):
        a[0, 0] += x[k]
    return a.sum()


@pytest.mark.parametrize("f", [add_rows, read_late, sum_into], ids=lambda f: f.__name__)
@pytest.mark.parametrize("view", [lambda a: a[0], lambda a: a[:, 0], lambda a: a[0, ::-1]], ids="rcb")
def test_an_argument_is_written_that_another_one_is_a_view_of(f, view):
    """NumPy reads whole operands before it stores, or reads them again later: so does a compiled program."""
    jitted, listed = tl.jit(f, cache=False), tl.jit(lambda a, xs: [f(a, xs[0])], cache=False)
    for n in (1, 2, 4, 4):
        want, got, other = (np.arange(1.0, n * n + 1).reshape(n, n) for _ in range(3))
        value = f(want, view(want))
        same(jitted(got, view(got)), value)
        same(listed(other, [view(other)])[0], value)
        same(got, want)
        same(other, want)


def square_then_clear(a, x):
    total = (x * x).sum()
    a[:] = 0.0
    return total


def test_no_derivative_of_what_another_argument_overwrites_is_wrong():
    gradient = tl.jit(tl.grad(square_then_clear, 1), cache=False)
    a = np.arange(1.0, 10.0).reshape(3, 3)
    same(gradient(a.copy(), a[:, 0]), 2.0 * a[:, 0])
    with pytest.raises(tl.TapelessError, match="shares memory"):
        gradient(a, a[:, 0])


def test_derivatives_of_overlapping_arguments_are_whole_or_refused():
    memory = np.linspace(1, 2, 9)
    same(
        tl.jit(tl.grad(total, (0, 1)))(memory[:8], memory[1:]), tl.grad(total, (0, 1))(memory[:8], memory[1:])
    )
    gradient = tl.jit(tl.grad(smooth, (0, 1)))
    try:
        want = tl.grad(smooth, (0, 1))(memory[:8].copy(), memory[1:].copy())
        same(gradient(memory[:8].copy(), memory[1:].copy()), want)
        whole = tl.grad(lambda m: smooth(m[:8], m[1:]))(memory.copy())
        got = gradient(memory[:8], memory[1:])
    except (NotCompilable, tl.TapelessError):
        return
    added = np.zeros(9)
    added[:8] += got[0]
    added[1:] += got[1]
    same(added, whole)


def test_one_array_twice():
    a, b = np.arange(3.0), np.ones(3)
    jitted, gradient = tl.jit(total), tl.jit(tl.grad(total, (0, 1)))
    for x, y in [(a, a), (a, b), (b, b), (a, a.copy())]:
        same(jitted(x, y), total(x, y))
        same(gradient(x, y), tl.grad(total, (0, 1))(x, y))


# ---- what is live


def test_globals_are_live():
    def f(x):
        return SCALE * x + TABLE.sum()

    global SCALE, TABLE
    jitted = tl.jit(f)
    old = SCALE, TABLE
    try:
        assert jitted(1.0) == 8.0
        SCALE = 5.0
        assert jitted(1.0) == 11.0
        TABLE = np.array([1.0, 1.0])
        assert jitted(1.0) == 7.0
        TABLE[0] = 10.0
        assert jitted(1.0) == 16.0
        SCALE = 3
        assert jitted(1.0) == 14.0
        SCALE = np.array([1.0, 2.0])
        same(jitted(1.0), np.array([12.0, 13.0]))
    finally:
        SCALE, TABLE = old


def test_closures_are_live():
    weight, shift = np.ones(3), 1.0

    def f(x):
        return (weight * x).sum() + shift

    jitted, gradient = tl.jit(f), tl.jit(tl.grad(f))
    assert jitted(2.0) == 7.0 and gradient(2.0) == 3.0
    weight, shift = np.full(4, 2.0), -1.0
    assert jitted(2.0) == 15.0 and gradient(2.0) == 8.0


def double(x):
    return 2.0 * x


def triple(x):
    return 3.0 * x


def calls_double(x):
    return double(x) + 1.0


def test_a_helper_that_is_replaced(monkeypatch):
    jitted = tl.jit(calls_double)
    assert jitted(1.0) == 3.0
    monkeypatch.setitem(globals(), "double", triple)
    assert jitted(1.0) == 4.0
    monkeypatch.undo()
    assert jitted(1.0) == 3.0
    assert len(jitted.entries) == 2


class Model:
    def __init__(self, weight):
        self.weight = weight

    def step(self, x):
        return self.weight * x

    @tl.jit
    def loss(self, x):
        return self.step(x) ** 2


def test_methods(monkeypatch):
    model = Model(3.0)
    assert model.loss(2.0) == 36.0 and Model.loss(model, 2.0) == 36.0
    model.weight = 5.0
    assert model.loss(2.0) == 100.0 and Model(1.0).loss(2.0) == 4.0
    assert tl.jit(model.step)(2.0) == 10.0
    assert tl.jit(tl.grad(model.step))(2.0) == 5.0
    monkeypatch.setattr(Model, "step", lambda self, x: self.weight + x)
    assert model.loss(2.0) == 49.0
    monkeypatch.undo()
    assert model.loss(2.0) == 100.0


def test_other_callables():
    half = functools.partial(power, n=1, offset=0.0)
    assert tl.jit(half)(3.0) == 9.0 and tl.jit(tl.grad(half))(3.0) == 6.0
    assert tl.jit(lambda x: x + 1.0)(1.0) == 2.0

    def factorial(n):
        return 1 if n <= 1 else n * factorial(n - 1)

    assert tl.jit(factorial)(5) == 120
    assert tl.jit(tl.jit(power))(0.3) == power(0.3)
    assert tl.jit(tl.grad(tl.jit(power)))(0.3) == pytest.approx(tl.grad(power)(0.3), rel=1e-13)


def test_the_function_returned_looks_like_the_plain_one():
    jitted = tl.jit(power)
    assert jitted.__name__ == "power" and jitted.__wrapped__ is power
    jitted(1.0)
    again = pickle.loads(pickle.dumps(jitted))
    assert again(0.3) == jitted(0.3)
    assert pickle.loads(pickle.dumps(tl.jit(tl.grad(power), fallback=True)))(0.3) == tl.grad(power)(0.3)


# ---- versions


def test_versions_are_shared_by_all_who_ask_for_them():
    def f(x):
        return x * x

    tl.jit(f)(1.0)
    assert len(tl.jit(f).entries) == 1 and tl.jit(f)(3.0) == 9.0
    assert tl.jit(f, parallel=True).entries == []
    tl.jit(tl.grad(f))(1.0)
    assert len(tl.jit(tl.grad(f)).entries) == 1 and len(tl.jit(tl.grad(f, (0,))).entries) == 0
    tl.grad(f)(1.0)
    assert len(tl.grad(f).entries) == 1 and tl.grad(f)(3.0) == 6.0

    @functools.wraps(f)
    def g(x):
        return f(x) + 1.0

    assert tl.grad(g).entries == [] and tl.jit(g)(3.0) == 10.0


def test_threads_share_one_compilation():
    def f(x):
        return np.sin(x).sum()

    jitted, results, start = tl.jit(f), [], threading.Barrier(8)

    def work(k):
        start.wait()
        for i in range(50):
            x = np.full(10, float(i)) if k % 2 else np.full((2, 5), float(i), np.float32)
            results.append((jitted(x), f(x)))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 400
    for got, want in results:
        assert abs(got - want) <= 1e-5 * max(1.0, abs(want))
    assert len(jitted.entries) == 2


def test_calls_do_not_grow_the_process():
    jitted = tl.jit(tl.value_and_grad(lambda a, s: ((a * s).sum(), s)[0]))
    a = np.ones(2000)

    def calls(n):
        for _ in range(n):
            jitted(a, 2.0)

    calls(1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    calls(10_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4000


def test_functions_that_are_dropped_take_their_code_along():
    alive = []

    def make(k):
        def f(x):
            return x * k + 1.0

        assert tl.jit(f)(2.0) == 2.0 * k + 1.0
        entry = tl.jit(f).entries[0]
        alive.append((weakref.ref(f), weakref.ref(entry.kernel)))

    for k in range(20):
        make(float(k))
    gc.collect()
    assert not any(f() or kernel() for f, kernel in alive)


# ---- what cannot be compiled


def unreadable(x):
    y = x + 1.0
    return float(str(y)) * 2.0


def test_what_cannot_be_compiled_says_where_and_why():
    with pytest.raises(NotCompilable) as caught:
        tl.jit(unreadable)(1.0)
    text = str(caught.value)
    line = unreadable.__code__.co_firstlineno + 2
    assert f"{__file__}:{line}" in text and "return float(str(y)) * 2.0" in text and "TL502" in text
    assert caught.value.line == line
    assert tl.jit(unreadable, fallback=True)(1.0) == 4.0


def test_fallback_is_tried_once():
    calls = []

    def f(x):
        return float(str(x)) + len(calls)

    jitted = tl.jit(f, fallback=True)
    assert [jitted(1.0) for _ in range(3)] == [1.0] * 3
    assert jitted.entries == [] and len(jitted.compiled.plain) == 1


def divides(x, y):
    if y < 0.0:
        raise ValueError("negative", y)
    return math.sqrt(x) / y


def test_exceptions_of_the_program():
    jitted = tl.jit(divides)
    assert jitted(4.0, 2.0) == 1.0
    for args in [(1.0, 0.0), (-1.0, 1.0), (1.0, -1.0)]:
        with pytest.raises(Exception) as plain:  # noqa: B017, PT011
            divides(*args)
        with pytest.raises(type(plain.value)) as compiled:
            jitted(*args)
        assert compiled.value.args == plain.value.args
    assert jitted(4.0, 2.0) == 1.0
    with pytest.raises(ZeroDivisionError) as caught:
        jitted(1.0, 0.0)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[-1].line == "return math.sqrt(x) / y"
    assert not [f for f in frames if "tapeless/backends" in f.filename]


# ---- strong zeros


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: np.where(x > 0, np.sqrt(x), 0.0).sum(), np.array([0.0, 1.0, 4.0])),
        (lambda x: np.sqrt(x * x), 0.0),
        (lambda x: np.sqrt(x * x).sum(), np.array([0.0, -2.0])),
        (lambda x: np.where(x > 0, np.log(x), x).sum(), np.array([0.0, 3.0])),
        (lambda x: np.linalg.norm(x), np.zeros(3)),
        (lambda x: x * math.inf, 2.0),
        (lambda x: x + math.nan, 2.0),
    ],
)
def test_singular_points(f, x):
    with np.errstate(all="ignore"):
        want = tl.grad(f)(x)
        gradient = tl.jit(tl.grad(f))
        for _ in range(2):
            np.testing.assert_allclose(gradient(x), want, rtol=1e-13)
        np.testing.assert_allclose(tl.jit(tl.grad(f))(x + 1.0), tl.grad(f)(x + 1.0), rtol=1e-13)


def test_singular_points_of_a_program_that_writes():
    def f(x, counts):
        counts[0] += 1.0
        return np.where(x > 0, np.sqrt(x), 0.0).sum()

    counts = np.zeros(1)
    got = tl.jit(tl.grad(f))(np.array([0.0, 4.0]), counts)
    assert got.tolist() == [0.0, 0.25] and counts[0] == 1.0


# ---- batches


def test_a_batch_that_raises_runs_one_by_one():
    def f(x, scale):
        if x[0] < 0.0:
            raise ValueError(f"bad {x[0]}")
        return {"root": np.sqrt(x), "pair": (x.sum() * scale["by"], 1.0)}

    x, scale = np.arange(6.0).reshape(3, 2), {"by": np.array([1.0, 2.0, 3.0])}
    batched = tl.vmap(f, in_axes=(0, 0))
    got, want = batched(x, scale), batched.one_by_one(x, scale)
    assert got.keys() == want.keys()
    same(got["root"], want["root"])
    same(got["pair"][0], want["pair"][0])
    np.testing.assert_allclose(got["pair"][1], want["pair"][1])
    x[1, 0] = -4.0
    with pytest.raises(ValueError, match="bad -4.0"):
        batched(x, scale)


@pytest.mark.parametrize(("in_axes", "out_axes"), [(0, 0), (1, 0), ((None, 1), 1), ((1, None), 0)])
def test_axes_of_batches(in_axes, out_axes):
    batched = tl.vmap(lambda a, b: np.cumsum(a) + b.sum(), in_axes, out_axes)
    a = np.arange(9.0).reshape(3, 3)
    same(batched(a, a + 1.0), batched.one_by_one(a, a + 1.0))
    with pytest.raises(ValueError, match="lengths"):
        tl.vmap(lambda a, b: a + b, 0).one_by_one(np.ones(2), np.ones(3))
