"""Independent loops shared by threads: the same results, from several threads of Python and after a fork."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import tapeless as tl
from tapeless.backends.native import sharing, threads
from tapeless.backends.native.machine import compile
from tapeless.backends.native.nest import (
    BOOL,
    F64,
    I64,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Dim,
    For,
    Function,
    Load,
    Ref,
    Scalar,
    Store,
    apply,
    const,
)


@pytest.fixture(autouse=True, scope="module")
def three():
    """Three threads, however many processors there are; loops of any length are shared."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threads, "count", lambda: 3)
        patch.setattr(sharing, "WORTH", 0)
        yield


def rows(step: int = 1) -> Function:
    """`out[i] = Σ_j flag·|a[i, j]|^0.5 ` by rows, with variables, an alias and a stack array in use."""
    a, out = Array("a", "float64", 2, contiguous=False), Array("out", "float64", 2)
    flag, s, base = Scalar("flag", BOOL), Scalar("s", F64), Array("base", "float64", 1)
    flat = Array("flat", "float64", 1, alias=out)
    i, j = Scalar("i", I64), Scalar("j", I64)
    term = apply("sqrt", apply("abs", Load(a, (Ref(i), Ref(j)))))
    term = apply("select", Ref(flag), term, const(0.0))
    bounds = (ZERO, Dim(a, 0)) if step > 0 else (Dim(a, 0) - 1, const(-1))
    body = [
        Alloc(base, (const(2),)),
        Store(base, (ONE,), const(0.5)),
        Alloc(out, (Dim(a, 0), const(1))),
        Alias(flat, (Dim(a, 0),)),
        For(i, ZERO, Dim(a, 0), [Store(flat, (Ref(i),), const(-1.0))], independent=True),
        For(
            i,
            *bounds,
            [
                Assign(s, Load(base, (ONE,))),
                For(j, ZERO, Dim(a, 1), [Assign(s, Ref(s) + term)]),
                Store(flat, (Ref(i),), Ref(s)),
            ],
            step=step,
            independent=True,
        ),
    ]
    return Function("rows", [a, flag], body, [out])


@pytest.mark.parametrize("step", [1, 2, 3, -1, -4])
def test_shared_loops_compute_what_others_do(step):
    one, many = compile(rows(step)), compile(rows(step), parallel=True)
    assert "tapeless.parallel" in many.code.imports
    assert "tapeless.parallel" not in one.code.imports
    rng = np.random.default_rng(0)
    for shape in [(0, 3), (1, 5), (7, 0), (13, 9), (1000, 17)]:
        for flag in (True, False):
            a = rng.normal(size=shape[::-1]).T
            assert np.array_equal(one.call(a, flag)[0], many.call(a, flag)[0])


def test_many_regions_one_after_the_other():
    kernel = compile(rows(), parallel=True)
    a = np.ones((10, 3))
    for _ in range(3000):
        assert kernel.call(a, True)[0][9, 0] == 3.5


def test_short_loops_stay_in_their_thread(monkeypatch):
    monkeypatch.setattr(sharing, "WORTH", 20_000)
    kernel = compile(rows(), parallel=True)
    assert kernel.call(np.ones((4, 2)), True)[0].tolist() == [[2.5]] * 4
    assert kernel.call(np.ones((40, 2000)), True)[0].tolist() == [[2000.5]] * 40


def test_several_threads_of_python():
    kernel = compile(rows(), parallel=True)
    a = np.random.default_rng(0).normal(size=(100, 50))
    wanted = compile(rows()).call(a, True)[0]
    wrong = []

    def run() -> None:
        for _ in range(200):
            if not np.array_equal(kernel.call(a, True)[0], wanted):
                wrong.append(1)

    running = [threading.Thread(target=run) for _ in range(4)]
    for t in running:
        t.start()
    for t in running:
        t.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_works_alone():
    kernel = compile(rows(), parallel=True)
    a = np.ones((50, 4))
    kernel.call(a, True)
    child = os.fork()
    if child == 0:
        os._exit(0 if kernel.call(a, True)[0][49, 0] == 4.5 else 1)
    assert os.waitpid(child, 0)[1] == 0


def slow(x, n):
    for _ in range(n):
        x = np.sin(x) + 0.5
    return x


def test_other_threads_of_python_run_meanwhile():
    f = tl.jit(slow)
    f(0.1, 10)
    results = []
    thread = threading.Thread(target=lambda: results.append(f(0.1, 30_000_000)))
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 5
    assert results == [f(0.1, 30_000_000)]


def test_kernels_in_two_threads_at_once():
    """Among them ones that fail, that want strong zeros, and that are shared by threads themselves."""

    def of_rows(a):
        return np.sum(np.sqrt(np.abs(a)) * np.cumsum(a, axis=1))

    def checked(a):
        s = 0.0
        for i in range(len(a)):
            if a[i, 0] > 1e6:
                raise OverflowError(i)
            s += a[i, 0]
        return s

    rng = np.random.default_rng(0)
    given = [rng.normal(size=(300, 200)) for _ in range(4)]
    given[1][0, 0] = 0.0  # the slope of the square root is infinite
    given[2][7, 0] = 1e7
    sums = tl.jit(tl.value_and_grad(of_rows), parallel=True), tl.jit(checked)

    def run(a):
        value, gradient = sums[0](a)
        try:
            return value, gradient, sums[1](a)
        except OverflowError as error:
            return value, gradient, error.args

    with np.errstate(all="ignore"):
        wanted = [run(a) for a in given]
    wrong = []

    def many(k):
        for n in range(40):
            at = (n + k) % 4
            for a, b in zip(run(given[at]), wanted[at], strict=True):
                if not np.array_equal(a, b, equal_nan=True):
                    wrong.append(at)

    threads_ = [threading.Thread(target=many, args=(k,)) for k in range(3)]
    for t in threads_:
        t.start()
    for t in threads_:
        t.join()
    assert not wrong
    assert wanted[2][2] == (7,)


def test_short_calls_and_calls_back_keep_the_lock():
    x, n = Scalar("x", F64), Scalar("n", I64)
    i = Scalar("i", I64)
    loop = For(i, ZERO, Ref(n), [Assign(x, Ref(x) * 0.5)])
    assert "PyEval_SaveThread" in compile(Function("f", [x, n], [loop], [x])).code.imports
    assert "PyEval_SaveThread" not in compile(Function("f", [x], [Assign(x, Ref(x) * 0.5)], [x])).code.imports
    sorting = tl.jit(np.sort)
    sorting(np.ones(5))
    assert "PyEval_SaveThread" not in sorting.entries[0].kernel.code.imports


def test_the_number_of_threads_is_chosen_by_a_variable():
    code = "from tapeless.backends.native import threads; print(threads.count())"
    env = {**os.environ, threads.VARIABLE: "5"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "5"
