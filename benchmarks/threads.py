"""Compiled kernels and their gradients shared by threads: how much faster, and that the bits are the same."""

from __future__ import annotations

import math
import os
import time

import numpy as np

from benchmarks.harness import Settings, Table, geometric_mean
from benchmarks.kernels import Kernel, kernels
from benchmarks.measure import Inputs, differs, parts, timed

#: As many threads as these are compared; those that this machine has no processors for are left out.
COUNTS = (1, 2, 4, 8)


def run(settings: Settings) -> list[Table]:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    counts = [n for n in COUNTS if n <= max(processors, 2)]
    os.environ.setdefault("TAPELESS_NUM_THREADS", str(counts[-1]))
    import tapeless as tl
    from tapeless.backends.native import threads

    counts = [n for n in counts if n <= threads.count()]
    names = ["serial", *(f"{n} thread{'s'[: n - 1]}" for n in counts), f"serial / {counts[-1]} threads"]
    tables = []
    for title, derive in (("Kernels", None), ("Gradients of kernels", tl.value_and_grad)):
        table = Table(f"{title} in threads, ms", ["program", *names])
        gains = []
        for kernel in kernels()[:: 8 if settings.smoke else 1]:
            try:
                took = times(kernel, derive, counts, settings)
            except Exception as error:
                table.failures.append(f"{kernel.name}: {type(error).__name__}: {error}")
                continue
            gains.append(took[0] / took[-1])
            table.rows.append([kernel.name, *(f"{1e3 * t:.3g}" for t in took), f"{gains[-1]:.2f}"])
        if gains:
            table.notes.append(f"In geometric mean {geometric_mean(gains):.2f}.")
        table.notes.append("Serial is without `parallel=True`; any number of threads gives the same bits.")
        tables.append(table)
    threads.limit(threads.count())
    return tables


def times(kernel: Kernel, derive: object, counts: list[int], settings: Settings) -> list[float]:
    """Seconds of the serial function, and of the parallel one in so many threads."""
    import tapeless as tl
    from tapeless.backends.native import threads

    fun = kernel.plain if derive is None else tl.value_and_grad(kernel.plain, argnums=kernel.argnums)
    serial, parallel = tl.jit(fun), tl.jit(fun, parallel=True)
    inputs = Inputs(kernel, lambda: kernel.args("smoke" if settings.smoke else "medium"))
    contenders = [(serial, counts[0]), *((parallel, n) for n in counts)]
    results, best = [], [math.inf] * len(contenders)
    for f, n in contenders:
        threads.limit(n)
        results.append(tuple(np.copy(x) for x in parts(f(*inputs.args))))
        inputs.reset()
    if wrong := differs(results[1], results[0]):
        raise ArithmeticError(f"in threads: {wrong}")
    for n, result in zip(counts[1:], results[2:], strict=True):
        if not all(np.array_equal(a, b, equal_nan=True) for a, b in zip(result, results[1], strict=True)):
            raise ArithmeticError(f"{n} threads compute something else than {counts[0]}")
    for _ in range(2 if settings.smoke else 7):  # in turn, so that a slow phase of the machine hits all alike
        for k, (f, n) in enumerate(contenders):
            threads.limit(n)
            until = time.perf_counter() + settings.seconds
            while True:
                took, _ = timed(lambda f=f: f(*inputs.args))
                inputs.reset()
                best[k] = min(best[k], took)
                if time.perf_counter() > until:
                    break
    return best
