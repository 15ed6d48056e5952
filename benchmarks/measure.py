"""One kernel by everybody: the program itself, plain and compiled, and its gradient by each tool.

Every gradient is compared with a reference before it is timed. `python -m benchmarks.measure NAME SIZE`
measures one kernel in a process of its own and prints the figures as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import gc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks import peers, scalars
from benchmarks.harness import Settings
from benchmarks.kernels import LOOP, Kernel, kernels, timesteps

PLAIN, NUMBA, NATIVE = "NumPy", "Numba", "native"
GRADIENT, PYTHON = "native gradient", "python gradient"
JAX, TORCH, AUTOGRAD = "JAX", "PyTorch", "autograd"
GRADIENTS = (GRADIENT, PYTHON, JAX, TORCH, AUTOGRAD)
INTERPRETED = (PYTHON, TORCH, AUTOGRAD)
OTHERS = (NUMBA, JAX, TORCH, AUTOGRAD)
PATIENCE = 15.0  # seconds that one call of an interpreted contender may take


@dataclass
class Figures:
    """Seconds a call and at the first call, bytes at the peak, and who took no part for what reason."""

    name: str
    kind: str
    size: str
    seconds: dict[str, float] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    out: dict[str, str] = field(default_factory=dict)
    estimated: list[str] = field(default_factory=list)


def scalar_kernels() -> list[Kernel]:
    """The scalar programs, differentiated by all their arguments, in their one size."""
    return [
        Kernel(p.plain, lambda args=p.args: args, ((), (), ()), tuple(range(len(p.args))), LOOP)
        for p in scalars.PROGRAMS
    ]


def all_kernels() -> dict[str, Kernel]:
    return {kernel.name: kernel for kernel in [*kernels(), *scalar_kernels(), *timesteps.KERNELS]}


class Inputs:
    """The arguments of a kernel, brought back after a call that wrote into them."""

    def __init__(self, kernel: Kernel, args: Callable[[], tuple[Any, ...]]) -> None:
        self.args, before = args(), args()
        self.value = kernel.plain(*self.args)
        self.written = [
            (now, was)
            for now, was in zip(self.args, before, strict=True)
            if isinstance(now, np.ndarray) and not np.array_equal(now, was)
        ]
        self.reset()

    def reset(self) -> None:
        for now, was in self.written:
            np.copyto(now, was)


def tapeless_jit() -> Callable[..., Any]:
    import tapeless as tl

    jit = getattr(tl, "jit", None)
    if jit is None:
        raise peers.Cannot("no tl.jit yet")
    return jit


def builders(kernel: Kernel, args: tuple[Any, ...]) -> dict[str, Callable[[], Callable[[], Any]]]:
    """For each contender how its call is made."""
    import tapeless as tl

    def bound(function: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: function(*args)

    both = tl.value_and_grad(kernel.plain, argnums=kernel.argnums)
    return {
        PLAIN: lambda: bound(kernel.plain),
        NUMBA: lambda: bound(peers.numba_primal(kernel)),
        NATIVE: lambda: bound(tapeless_jit()(kernel.plain)),
        GRADIENT: lambda: bound(tapeless_jit()(both)),
        PYTHON: lambda: bound(both),
        JAX: lambda: peers.jax_gradient(kernel, args),
        TORCH: lambda: peers.torch_gradient(kernel, args),
        AUTOGRAD: lambda: peers.autograd_gradient(kernel, args),
    }


# ---- the same numbers --------------------------------------------------------------------------------


def parts(result: Any) -> list[Any]:
    """The value and each gradient of a result, as arrays."""
    if isinstance(result, tuple):
        return [array for part in result for array in parts(part)]
    if isinstance(result, list):
        return [np.array([float(x) for x in result])] if result else []
    if hasattr(result, "detach"):
        result = result.detach()
    return [np.asarray(result, dtype=float)]


def flattened(result: Any) -> Any:
    return np.concatenate([np.ravel(part) for part in parts(result)])


def differs(got: Any, want: Any) -> str | None:
    """Where one result is not another: value and gradients each against their own largest number."""
    if flattened(got).shape != flattened(want).shape:
        return f"wrong: {flattened(got).size} numbers, want {flattened(want).size}"
    mine, start = flattened(got), 0
    for part in parts(want):
        here = mine[start : start + part.size].reshape(part.shape)
        start += part.size
        allowed = 1e-7 * float(np.max(np.abs(part), initial=0.0)) + 1e-13
        if not np.all(np.abs(here - part) <= allowed):
            return f"wrong: {here.ravel()[:3].tolist()}, want {part.ravel()[:3].tolist()}"
    return None


# ---- measuring ---------------------------------------------------------------------------------------


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def measure(kernel: Kernel, size: str, settings: Settings, only: Sequence[str] = ()) -> Figures:
    figures = Figures(kernel.name, kernel.kind, size)
    warm_up(settings.peers)
    inputs = Inputs(kernel, lambda: kernel.args(size))
    makers = builders(kernel, inputs.args)
    if not settings.peers:
        makers = {name: make for name, make in makers.items() if name not in OTHERS}
    if only:
        makers = {name: make for name, make in makers.items() if name in only}
    for name in TORCH, AUTOGRAD, PYTHON:
        if name in makers and size != "smoke" and slow(kernel, name, size, figures):
            del makers[name]

    reference: Any = None
    calls = {}
    for name in (PLAIN, NUMBA, NATIVE, JAX, PYTHON, GRADIENT, TORCH, AUTOGRAD):
        if name not in makers:
            continue
        inputs.reset()
        try:
            call = makers[name]()
            figures.first[name], result = timed(call)
            if name in GRADIENTS and reference is None:
                reference = result
            wrong = differs(result, reference if name in GRADIENTS else inputs.value)
        except peers.Cannot as error:
            figures.out[name] = str(error)
        except Exception as error:
            tool = name not in (NATIVE, GRADIENT, PYTHON, PLAIN)
            line = (str(error).strip() or "-").splitlines()[0]
            figures.out[name] = "cannot" if tool else f"fails: {type(error).__name__}: {line}"
        else:
            if wrong is None:
                calls[name] = call
            else:
                figures.out[name] = wrong
    inputs.reset()
    best(calls, inputs, settings, figures)
    for name in (GRADIENT, PYTHON, JAX):
        if name in calls and figures.seconds[name] < 2.0:
            inputs.reset()
            figures.peak[name] = peak(calls[name])
    return figures


@functools.cache
def warm_up(others: bool) -> None:
    """Have the compilers started, so that a first call shows the time of this kernel alone."""
    if others:
        with contextlib.suppress(peers.Cannot):
            peers.module("numba").njit(half)(1.0)
        with contextlib.suppress(peers.Cannot):
            jax = peers.module("jax")
            jax.block_until_ready(jax.jit(jax.grad(half))(1.0))
    with contextlib.suppress(Exception):
        import tapeless as tl

        tapeless_jit()(tl.grad(half))(1.0)


def half(x: float) -> float:
    return 0.5 * x


def slow(kernel: Kernel, name: str, size: str, figures: Figures) -> bool:
    """Whether an interpreted contender would take too long at this size, going by the smaller one."""
    small = Inputs(kernel, lambda: kernel.args("small"))
    try:
        call = builders(kernel, small.args)[name]()
        call()
        small.reset()
        took, _ = timed(call)
    except Exception:
        return False  # it fails at full size too, and says so there
    small.reset()
    plain, _ = timed(lambda: kernel.plain(*small.args))
    full, _ = timed(lambda: kernel.plain(*kernel.args(size)))
    estimate = took * full / plain
    if estimate > PATIENCE:
        figures.seconds[name] = estimate
        figures.estimated.append(name)
    return estimate > PATIENCE


def best(calls: dict[str, Callable[[], Any]], inputs: Inputs, settings: Settings, figures: Figures) -> None:
    """The best time of each call; they take turns, and arguments are brought back outside the clock."""
    rounds, share = (2, 0.002) if settings.smoke else (7, 0.08)
    spent = dict.fromkeys(calls, 0.0)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for turn in range(rounds):
            for name, call in calls.items():
                if turn and spent[name] > 4 * rounds * share:
                    continue  # slow: it had its time
                if turn == 0 and name in INTERPRETED and figures.first[name] > 2.0:
                    figures.seconds[name] = spent[name] = figures.first[name]
                    continue
                until = time.perf_counter() + share
                while True:
                    inputs.reset()
                    took, _ = timed(call)
                    spent[name] += took
                    figures.seconds[name] = min(figures.seconds.get(name, np.inf), took)
                    if time.perf_counter() > until:
                        break
            gc.collect()
    finally:
        inputs.reset()
        if collecting:
            gc.enable()


def peak(call: Callable[[], Any]) -> float:
    """The most memory of the process during the call beyond what it had before, where Linux tells it."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        before = _status("VmRSS")
        call()
        return max(0.0, _status("VmHWM") - before)
    except OSError:
        return float("nan")


def _status(key: str) -> float:
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(key):
                return 1024.0 * float(line.split()[1])
    return float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("size", help="smoke, small, medium, or a number of steps")
    parser.add_argument("only", nargs="*", help="some of the contenders")
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    kernel, settings = all_kernels()[options.name], Settings(peers=not options.no_peers)
    print(json.dumps(asdict(measure(kernel, options.size, settings, options.only))))


if __name__ == "__main__":
    main()
