"""GradBench's native tools beside tapeless: its own C++ programs, built here, on the same data.

`python -m benchmarks gradbench_peers --gradbench FOLDER` takes a checkout of GradBench (`make -C cpp` there
fetches the one header it needs). Each tool is built by its own Makefile, `-O3 -march=native`, with the
machine's C++ compiler; CPATH and LIBRARY_PATH say where the libraries of the operator-overloading tools are.
Enzyme is built by its Makefile too, or compiled by the wheel `enzyme_ad` (`gradbench/enzyme_host.py`).
What does not build takes no part.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gradbench.enzyme_host import MARK
from benchmarks.gradbench.interface import Problem, problems
from benchmarks.harness import Settings, Table, calls_per_round

ROOT = Path(__file__).resolve().parents[1]
TAPELESS, ENZYME, BY_HAND = "tapeless", "enzyme", "manual"
TOOLS = (BY_HAND, "tapenade", ENZYME, "codipack", "adept", "adol-c", "cppad", "finite")
#: Relative error of the largest entry; finite differences are what they are.
AGREEMENT = {"finite": 1e-3}
FLAGS = {"tapenade": ["CFLAGS=-std=c11 -O3 -march=native -I../../cpp",
                      "CXXFLAGS=-std=c++17 -O3 -march=native -I../../cpp"]}  # fmt: skip
#: Programs that do not differentiate the problem, and what they do instead.
BESIDE = {
    ("manual", "ode"): "the closed form of the exact solution, not a derivative of the Runge-Kutta steps"
}

PAPER = "ADBench's paper, arXiv:1807.10129"
ARCHIVE = "ADBench's archive of plots, August 2018"
#: Published multiples of the objective for the same data.
PUBLISHED = {
    "ba": [(PAPER, "by hand 6.72, Tapenade 8.78, Adept 25.4"), (ARCHIVE, "by hand 11.4, Adept 28.2")],
    "gmm": [(ARCHIVE, "by hand 2.67, Adept 20.8 (split)")],
    "ht": [(ARCHIVE, "by hand 3.01, ADOL-C 17.0")],
    "ht, complicated": [(ARCHIVE, "by hand 3.05, finite differences 28.5, ADOL-C 57.4")],
    "lstm": [(ARCHIVE, "PyTorch 3.2")],
}

Run = Callable[[str], tuple[Any, float]]  # a function's name to its result and the seconds of its best run


class Cannot(Exception):
    """A tool that does not take part in a problem."""


# ---- their programs ---------------------------------------------------------------------------------


def build(checkout: Path, tool: str, module: str) -> Path:
    """The tool's program for the problem, by its own Makefile."""
    folder = checkout / "tools" / tool
    if not (folder / f"{module}.cpp").exists():
        raise Cannot("-")
    command = ["make", "-C", str(folder), f"bin/{module}", *FLAGS.get(tool, [])]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        errors = [line for line in made.stderr.splitlines() if "rror" in line]
        raise Cannot(f"does not build: {errors[0] if errors else made.stderr[-200:]}")
    return folder / "bin" / module


def answer(text: str) -> tuple[Any, float]:
    """What a program printed: its result, and the nanoseconds of each part of each run."""
    result, *timings = [json.loads(line) for line in text.splitlines()]
    return result, min(t["nanoseconds"] for t in timings if t["name"] == "evaluate") / 1e9


def executed(program: Path, inputs: Path) -> Run:
    def run(function: str) -> tuple[Any, float]:
        done = subprocess.run([program, inputs, function], capture_output=True, text=True)
        if done.returncode:
            raise Cannot(f"ends with {done.returncode}: {done.stderr[-200:]}")
        return answer(done.stdout)

    return run


@contextlib.contextmanager
def hosted(checkout: Path, module: str, inputs: Path) -> Iterator[Run]:
    """The Enzyme program inside a Python that stays, since it is compiled anew in each."""
    command = [sys.executable, "-m", "benchmarks.gradbench.enzyme_host", str(checkout), module, str(inputs)]
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True, cwd=ROOT)
        assert process.stdin is not None and process.stdout is not None
        asked, said = process.stdin.fileno(), process.stdout

        def run(function: str) -> tuple[Any, float]:
            with contextlib.suppress(BrokenPipeError):
                os.write(asked, f"{function}\n".encode())
            lines = []
            for line in said:
                if line.startswith(MARK):
                    return answer("".join(lines))
                lines.append(line)
            errors.seek(0)
            found = [line for line in errors.read().splitlines() if "rror" in line]
            raise Cannot(f"does not compile: {found[0] if found else process.wait()}")

        try:
            yield run
        finally:
            process.kill()
            process.communicate()


@contextlib.contextmanager
def prepared(checkout: Path, tool: str, module: str, inputs: Path) -> Iterator[Run]:
    try:
        program = build(checkout, tool, module)
    except Cannot as reason:
        if tool != ENZYME or str(reason) == "-" or find_spec("enzyme_ad") is None:
            raise
    else:
        yield executed(program, inputs)
        return
    with hosted(checkout, module, inputs) as run:
        yield run


# ---- measuring --------------------------------------------------------------------------------------


def agree(got: list[float], want: list[float], tolerance: float) -> bool:
    scale = max(map(abs, want), default=0.0)
    return len(got) == len(want) and bool(np.allclose(got, want, rtol=0.0, atol=tolerance * scale + 1e-300))


def ours(problem: Problem, settings: Settings) -> tuple[Run, tuple[Any, Any]]:
    """The compiled calls, as a `Run` by the same names, and the two results."""
    calls = dict(zip(problem.functions, problem.calls(), strict=True))
    results = {name: call() for name, call in calls.items()}
    counts = {name: calls_per_round(call, settings.seconds) for name, call in calls.items() if name}

    def run(function: str) -> tuple[Any, float]:
        call, count = calls[function], counts[function]
        start = time.perf_counter()
        for _ in range(count):
            call()
        return None, (time.perf_counter() - start) / count

    value, derivative = problem.functions
    return run, (results[value], results[derivative])


def measure(
    problem: Problem, checkout: Path, settings: Settings
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of objective (nan where there is none) and derivative by tool, and who is out why."""
    value, derivative = problem.functions
    best: dict[str, list[float]] = {}
    out: dict[str, str] = {}
    with contextlib.ExitStack() as stack, tempfile.NamedTemporaryFile("w", suffix=".json") as inputs:
        runs = {"min_runs": 3 if settings.smoke else 20, "min_seconds": 5 * settings.seconds}
        json.dump(problem.inputs | runs, inputs, default=np.ndarray.tolist)
        inputs.flush()
        own, (our_value, our_derivative) = ours(problem, settings)
        tools = {TAPELESS: own}
        for tool in TOOLS:
            try:
                if (tool, problem.module) in BESIDE:
                    raise Cannot(BESIDE[tool, problem.module])
                run = stack.enter_context(prepared(checkout, tool, problem.module, Path(inputs.name)))
                tolerance = AGREEMENT.get(tool, 1e-7)
                if not agree(problem.theirs(run(derivative)[0]), problem.ours(our_derivative), tolerance):
                    raise Cannot("another derivative")
                if value and not agree(problem.their_value(run(value)[0]), problem.ours(our_value), 1e-9):
                    raise Cannot("another value")
                tools[tool] = run
            except Cannot as reason:
                out[tool] = str(reason)
        for _ in range(settings.rounds // 3):  # each is a process with several runs
            for tool, run in tools.items():
                took = [run(function)[1] if function else math.nan for function in problem.functions]
                known = best.get(tool, took)
                best[tool] = [min(pair) for pair in zip(known, took, strict=True)]
    return best, out


# ---- the report -------------------------------------------------------------------------------------


def verdict(problem: Problem, best: dict[str, list[float]]) -> str:
    """Our multiple beside twice the least of the tools and of the derivative by hand, and the times."""
    value, derivative = best[TAPELESS]
    tools = {tool: took for tool, took in best.items() if tool not in (TAPELESS, BY_HAND)}
    rivals = [min(tools, key=lambda tool: tools[tool][1] / tools[tool][0])] if tools else []
    said = [f"{problem.name}: {derivative * 1e3:.3g} ms"]
    said += [f"{tool} {best[tool][1] * 1e3:.3g} ms" for tool in by_time(best)[:2]]
    if not math.isnan(value):
        said[0] += f", {derivative / value:.3g}×"
        for rival in rivals + [BY_HAND] * (BY_HAND in best):
            factor = best[rival][1] / best[rival][0]
            within = "within" if derivative / value <= 2 * factor else "not within"
            said.append(f"{within} twice the {factor:.3g}× of {rival}")
    return "; ".join(said)


def by_time(best: dict[str, list[float]]) -> list[str]:
    """The other tools, the fastest derivative first."""
    return sorted((tool for tool in best if tool != TAPELESS), key=lambda tool: best[tool][1])


def cell(took: list[float]) -> str:
    value, derivative = took
    if math.isnan(value):
        return f"{derivative * 1e3:.3g}"
    return f"{value * 1e3:.3g} → {derivative * 1e3:.3g} ({derivative / value:.3g}×)"


def run(settings: Settings) -> list[Table]:
    title = "GradBench's native tools: objective → derivative, ms (multiple)"
    table = Table(title, ["problem", TAPELESS, *TOOLS, "published"])
    if settings.gradbench is None:
        table.notes.append("not measured: --gradbench names no checkout of GradBench")
        return [table]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    checkout = settings.gradbench.resolve()
    for problem in problems(settings.smoke):
        best, out = measure(problem, checkout, settings)
        published = "; ".join(f"{figures} ({source})" for source, figures in PUBLISHED.get(problem.name, []))
        cells = [cell(best[tool]) if tool in best else "–" for tool in (TAPELESS, *TOOLS)]
        table.rows.append([problem.name, *cells, published or "–"])
        table.notes += [f"{problem.name}, {tool}: {why}" for tool, why in out.items() if why != "-"]
        table.notes.append(verdict(problem, best))
    return [table]
