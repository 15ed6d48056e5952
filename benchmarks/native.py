"""Compiled derivatives of whole programs, kernels and long loops, beside every tool, in one run and thread.

`python -m benchmarks native` measures each program in a process of its own, so that memory is told apart
and a crash costs one line of the table. `--smoke` runs all of them here, at their smallest size.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence

from benchmarks import measure, plot
from benchmarks.harness import Settings, Table, Target, geometric_mean
from benchmarks.kernels import ARRAY, Kernel, kernels, timesteps
from benchmarks.measure import (
    AUTOGRAD,
    GRADIENT,
    JAX,
    NATIVE,
    NUMBA,
    PLAIN,
    PYTHON,
    TORCH,
    Figures,
)

MINUTES = 10
COLUMNS = {
    PLAIN: "NumPy", NUMBA: "Numba", NATIVE: "native", GRADIENT: "∇ native", PYTHON: "∇ python",
    JAX: "∇ JAX", TORCH: "∇ PyTorch", AUTOGRAD: "∇ autograd",
}  # fmt: skip


def run(settings: Settings) -> list[Table]:
    loops = figures_of(kernels(), "medium", settings)
    small = figures_of(measure.scalar_kernels(), "medium", settings)
    steps = figures_of(timesteps.KERNELS, "medium", settings)
    tables = [
        times("Native: kernels, ms", loops, 1e3),
        times("Native: scalar programs, µs", small, 1e6),
        times("Native: long loops of plain numbers, ms", steps, 1e3),
        compiling([*loops, *small, *steps]),
        growth(settings),
    ]
    tables[0].plot = chart("Gradients of kernels, one thread", loops)
    tables[2].plot = chart("Gradients of 1,000,000 steps, one thread", steps)
    kernel_targets(tables[0], loops)
    scalar_targets(tables[1], small)
    scalar_targets(tables[2], steps)
    return tables


# ---- measuring, one process a program ----------------------------------------------------------------


def figures_of(programs: Iterable[Kernel], size: str, settings: Settings) -> list[Figures]:
    return [figures(kernel, size, settings) for kernel in programs]


def figures(kernel: Kernel, size: str, settings: Settings, only: Sequence[str] = ()) -> Figures:
    if settings.smoke:
        return measure.measure(kernel, size if size.isdigit() else "smoke", settings, only)
    command = [sys.executable, "-m", "benchmarks.measure", kernel.name, size, *only]
    command += [] if settings.peers else ["--no-peers"]
    print(f"  {kernel.name} ...", file=sys.stderr, flush=True)
    nothing_kept = {**os.environ, "TAPELESS_CACHE_DIR": ""}  # every compile time is a first one
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60 * MINUTES, check=False, env=nothing_kept
        )
    except subprocess.TimeoutExpired:
        return lost(kernel, size, f"fails: nothing after {MINUTES} minutes")
    if done.returncode == 0:
        return Figures(**json.loads(done.stdout.splitlines()[-1]))
    reason = (done.stderr.strip() or "-").splitlines()[-1]
    if done.returncode < 0:
        reason = f"the process died by signal {-done.returncode}"
    return lost(kernel, size, f"fails: {reason}")


def lost(kernel: Kernel, size: str, reason: str) -> Figures:
    return Figures(kernel.name, kernel.kind, size, out={NATIVE: reason, GRADIENT: reason, PYTHON: reason})


# ---- tables ------------------------------------------------------------------------------------------


def times(title: str, rows: Sequence[Figures], unit: float) -> Table:
    """Seconds of everybody, and what is asked: gradient by native primal, JAX by gradient."""
    table = Table(title, ["program", "kind", *COLUMNS.values(), "∇ native / native", "∇ JAX / ∇ native"])
    for row in rows:
        cells = [row.name, row.kind, *[cell(row, name, unit) for name in COLUMNS]]
        for over, under in ((GRADIENT, NATIVE), (JAX, GRADIENT)):
            ratio = quotient(row, over, under)
            cells.append("-" if ratio is None else f"{ratio:.3g}")
        table.rows.append(cells)
        for name in (NATIVE, GRADIENT, PYTHON):
            text = row.out.get(name, "")
            if text.startswith(("fails", "wrong")):
                table.failures.append(f"{row.name}, {name}: {text}")
    waiting = sum(1 for row in rows if GRADIENT not in row.seconds)
    if waiting:
        table.notes.append(f"{waiting} of {len(rows)} gradients are not compiled.")
    if any(row.estimated for row in rows):
        table.notes.append("~: reckoned from a smaller size.")
    return table


def chart(title: str, rows: Sequence[Figures]) -> str:
    """The gradients as multiples of the native primal, or of the quickest primal where that is missing."""
    primal = {
        row.name: row.seconds.get(NATIVE) or min(row.seconds[n] for n in (PLAIN, NUMBA) if n in row.seconds)
        for row in rows
        if PLAIN in row.seconds
    }
    series = {
        COLUMNS[name]: {
            row.name: row.seconds[name] / primal[row.name]
            for row in rows
            if row.name in primal and name in row.seconds
        }
        for name in (GRADIENT, JAX, PYTHON, TORCH, AUTOGRAD)
    }
    return plot.dots(title, "times the compiled primal", series, [row.name for row in rows])


def cell(row: Figures, name: str, unit: float) -> str:
    took = row.seconds.get(name)
    if took is None:
        text = row.out.get(name, "-").split(":")[0]
        return "no" if name == NUMBA and text == "cannot" else text
    return ("~" if name in row.estimated else "") + f"{took * unit:.3g}"


def quotient(row: Figures, over: str, under: str) -> float | None:
    if over not in row.seconds or under not in row.seconds:
        return None
    return row.seconds[over] / row.seconds[under]


def quotients(rows: Iterable[Figures], over: str, under: str) -> dict[str, float]:
    found = {row.name: quotient(row, over, under) for row in rows}
    return {name: ratio for name, ratio in found.items() if ratio is not None}


def compiling(rows: Sequence[Figures]) -> Table:
    """What the first call takes beyond another one, and the memory of a gradient."""
    table = Table(
        "Native: compile time and peak memory",
        ["program", "native s", "∇ native s", "∇ JAX s", "∇ native MB", "∇ python MB", "∇ JAX MB"],
    )
    for row in rows:
        cells = [row.name]
        for name in (NATIVE, GRADIENT, JAX):
            known = name in row.first and name in row.seconds
            cells.append(f"{max(0.0, row.first[name] - row.seconds[name]):.2f}" if known else "-")
        for name in (GRADIENT, PYTHON, JAX):
            known = math.isfinite(row.peak.get(name, math.nan))
            cells.append(f"{row.peak[name] / 1e6:.1f}" if known else "-")
        table.rows.append(cells)
    slowest = {
        row.name: row.first[GRADIENT] - row.seconds[GRADIENT]
        for row in rows
        if GRADIENT in row.seconds and GRADIENT in row.first
    }
    if slowest:
        name = max(slowest, key=slowest.__getitem__)
        table.targets.append(Target(f"compile time, longest ({name})", slowest[name], 5.0, " s"))
        median = sorted(slowest.values())[len(slowest) // 2]
        table.targets.append(Target("compile time, median", median, 0.5, " s"))
    return table


# ---- what is asked -----------------------------------------------------------------------------------


def kernel_targets(table: Table, rows: Sequence[Figures]) -> None:
    table.targets += against_primal("gradient by native primal", rows, worst=5.0)
    loops = [row for row in rows if row.kind != ARRAY]
    over_all = quotients(rows, GRADIENT, JAX)
    if over_all:
        over_loops = quotients(loops, GRADIENT, JAX)
        table.targets += [
            mean(f"gradient by JAX's, geometric mean of {len(over_all)}", over_all, 1 / 3),
            mean(f"gradient by JAX's, {len(over_loops)} loops and stencils", over_loops, 1 / 5),
            most("gradient by JAX's, slowest", over_all, 1.2),
        ]
    # Beside what a person would run: a slow native primal must not flatter its gradient.
    bests = {
        row.name: row.seconds[GRADIENT]
        / min(row.seconds[n] for n in (PLAIN, NUMBA, NATIVE) if n in row.seconds)
        for row in rows
        if GRADIENT in row.seconds
    }
    if bests:
        table.notes.append(
            f"Beside the fastest of NumPy, Numba and native, the gradient takes "
            f"{geometric_mean(list(bests.values())):.3g}× in geometric mean."
        )


def scalar_targets(table: Table, rows: Sequence[Figures]) -> None:
    table.targets += against_primal("gradient by native primal", rows, worst=None)
    beside = quotients(rows, GRADIENT, TORCH)
    if beside:
        table.targets.append(most("gradient by PyTorch's", beside, 0.01))


def against_primal(what: str, rows: Sequence[Figures], worst: float | None) -> list[Target]:
    ratios = quotients(rows, GRADIENT, NATIVE)
    if not ratios:
        return []
    found = [mean(f"{what}, geometric mean of {len(ratios)}", ratios, 2.5)]
    return found if worst is None else [*found, most(f"{what}, most", ratios, worst)]


def mean(what: str, ratios: dict[str, float], limit: float) -> Target:
    return Target(what, geometric_mean(list(ratios.values())), limit)


def most(what: str, ratios: dict[str, float], limit: float) -> Target:
    name = max(ratios, key=ratios.__getitem__)
    return Target(f"{what} ({name})", ratios[name], limit)


# ---- growth ------------------------------------------------------------------------------------------


def growth(settings: Settings) -> Table:
    """The long loops over three decades: the time and memory of one step."""
    lengths = (100, 1000) if settings.smoke else timesteps.LENGTHS
    timed = {NATIVE: "native ns", GRADIENT: "∇ native ns", JAX: "∇ JAX ns"}
    table = Table("Native: the cost of one step", ["program", "steps", *timed.values(), "∇ native bytes"])
    for kernel in timesteps.KERNELS:
        rows = {n: figures(kernel, str(n), settings, (*timed,)) for n in lengths}
        for n, row in rows.items():
            cells = [f"{row.seconds[name] / n * 1e9:.3g}" if name in row.seconds else "-" for name in timed]
            held = f"{row.peak[GRADIENT] / n:.3g}" if GRADIENT in row.peak else "-"
            table.rows.append([kernel.name, f"{n:,}", *cells, held])
        steps = [row.seconds[GRADIENT] / n for n, row in rows.items() if GRADIENT in row.seconds]
        if len(steps) == len(rows) and not settings.smoke:
            what = f"{kernel.name}, dearest step of a gradient by its cheapest"
            table.targets.append(Target(what, max(steps) / min(steps), 2.0))
    return table
