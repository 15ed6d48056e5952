"""The memory of large results: NumPy gives it back to the blocks that later calls take."""

from __future__ import annotations

import copy
import pickle
import resource
import subprocess
import sys
import threading

import numpy as np
import pytest

import tapeless as tl

N = 60_000  # 480 kB


def filled(n, x):
    a = np.empty(n)
    for i in range(n):
        a[i] = x + i
    return a


def want(n, x):
    return np.arange(n) + x


@pytest.fixture(scope="module")
def fast():
    return tl.jit(filled)


def faults(call, times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        call()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def test_results_keep_their_values_while_others_are_made(fast):
    held = [fast(N, float(k)) for k in range(8)]
    del held[::2]
    held += [fast(N, 100.0 + k) for k in range(8)]
    expected = [1.0, 3.0, 5.0, 7.0, *(100.0 + k for k in range(8))]
    assert len({a.ctypes.data for a in held}) == len(held)
    for a, x in zip(held, expected, strict=True):
        assert a.flags.owndata and a.base is None and np.array_equal(a, want(N, x))


def test_pages_are_made_once(fast):
    def call():
        return [fast(2**18, 1.0) for _ in range(6)]

    call()
    assert faults(call, 20) < 600  # 3072 in each call


@pytest.mark.parametrize("size", [1, 3, 8191, 8192, 100_000, 300_000])
def test_a_result_can_be_resized(fast, size):
    a = fast(N, 2.0)
    a.resize(size, refcheck=False)
    expected = np.zeros(size)
    expected[:N] = want(N, 2.0)[:size]
    assert np.array_equal(a, expected)
    a.resize(N, refcheck=False)
    assert np.array_equal(a[: min(size, N)], want(N, 2.0)[:size])


def test_a_result_is_an_array_like_others(fast):
    a = fast(N, 3.0)
    assert np.array_equal(pickle.loads(pickle.dumps(a)), a) and np.array_equal(copy.deepcopy(a), a)
    a.__setstate__(np.arange(20_000.0).__reduce__()[2])
    assert np.array_equal(a, np.arange(20_000.0))
    b = fast(N, 4.0)
    view = b[10:].reshape(2, -1)
    del b
    fast(N, 5.0)
    assert np.array_equal(view.reshape(-1), want(N, 4.0)[10:])


def test_what_is_kept_is_bounded(fast):
    from tapeless.backends.native import memory

    before = peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for n in range(2**21, 2**24, 2**19):  # 16 to 128 MB: 1.9 GB in all
        fast(n, 1.0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert (peak - before) * 1024 < memory.KEPT + 2**27 + 2**26


def test_many_calls_take_no_more_memory(fast):
    def calls(count):
        for k in range(count):
            fast(10_000 + 1000 * (k % 7), 1.0)

    calls(500)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    calls(10_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2000


def test_results_die_in_other_threads(fast):
    wrong = []

    def work(x):
        held = []
        for k in range(200):
            held.append((fast(20_000, x + k), x + k))
            if len(held) > 3:
                a, value = held.pop(0)
                if not np.array_equal(a, want(20_000, value)):
                    wrong.append(value)

    threads = [threading.Thread(target=work, args=(1000.0 * t,)) for t in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_results_may_outlive_everything_else():
    text = (
        "import builtins, sys, numpy as np, tapeless as tl\n"
        "f = tl.jit(lambda x: x * 2.0)\n"
        "builtins.kept = [f(np.ones(100_000)) for _ in range(3)]\n"
        "sys.kept = f(np.ones(200_000))\n"
        "class Late:\n"
        "    def __init__(self, a): self.a = a\n"
        "    def __del__(self): del self.a\n"
        "builtins.late = Late(f(np.ones(100_000)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0 and not done.stderr


def test_the_handler_is_ours_for_large_results_alone(fast):
    name = pytest.importorskip("numpy._core.multiarray").get_handler_name
    assert name(fast(N, 1.0)) == "tapeless"
    assert name(np.ones(3)) == "default_allocator"


def test_alignment_is_large_on_linux_alone(monkeypatch):
    """Elsewhere `aligned_alloc` refuses sizes that are no multiple of it, as 2.5 MB are none of 2 MB."""
    from tapeless.backends.native import memory

    for platform, align, advised in (("linux", 1 << 21, True), ("darwin", 64, False)):
        monkeypatch.setattr(sys, "platform", platform)
        made = memory.text()
        assert f"%align = select i1 %huge, i64 {align}, i64 64" in made
        assert ("call i32 @madvise" in made) == advised
