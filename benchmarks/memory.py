"""What the reverse pass remembers, in bytes per saved float and per segment of a long scalar loop."""

import math
import tracemalloc

from benchmarks.harness import Settings, Table, Target


def counted(x, n):
    for _ in range(n):
        x = math.sin(x)
    return x


def counted_twice(x, n):
    for _ in range(n):
        x = math.sin(x)
        x = math.exp(-x * x)
    return x


def branching(x, n):
    i = 0
    while i < n:
        if x > 0.5:
            x = math.sin(x)
        else:
            x = math.cos(x)
        i += 1
    return x


def peak(call) -> int:
    """The most memory that was in use during the call, beyond what was in use before."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def run(settings: Settings) -> list[Table]:
    import tapeless as tl

    steps = 10_000 if settings.smoke else 1_000_000
    table = Table(f"Memory of the reverse pass, {steps:,} steps", ["program", "bytes a step", "asked"])
    cases = [
        ("counted loop, one float a step", counted, 45.0),
        ("counted loop, two floats a step", counted_twice, 90.0),
        ("while with a branch, one float and one segment a step", branching, 105.0),
    ]
    for name, function, limit in cases:
        try:
            gradient = tl.grad(function)
            gradient(0.7, 10)
            measured = peak(lambda g=gradient: g(0.7, steps)) / steps
        except Exception as error:
            table.failures.append(f"{name}: {type(error).__name__}: {error}")
            continue
        table.rows.append([name, f"{measured:.1f}", f"{limit:g}"])
        table.targets.append(Target(name, measured, limit, " bytes"))
    return [table]
