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

SOURCES = {
    "1": "ADBench's paper, arXiv:1807.10129, relative runtimes in its source, 2018",
    "2": "ADBench's archive of plots (gh-pages of its repository), August 2018",
}
#: Published multiples of the objective, for the same data, by source.
PUBLISHED = {
    "ba": [("1", "by hand 6.72, Tapenade 8.78"), ("2", "by hand 11.4, Adept 28.2")],
    "gmm": [("2", "by hand 2.67, Adept 20.8")],
    "ht": [("2", "by hand 3.01, ADOL-C 17.0")],
    "ht, complicated": [("2", "by hand 3.05, ADOL-C 52.2")],
    "lstm": [("2", "PyTorch 3.2")],
}
VERDICT = (
    "problem", "tapeless", "best tool here: within twice?", "by hand here: within twice?", "published",
    "derivative, ms", "fastest other, ms",
)  # fmt: skip

SLOW = 0.2  # seconds: whose derivative takes longer is asked once
PATIENCE = 40  # seconds for all runs of a program

Run = Callable[[str, Path], tuple[Any, float]]  # function and inputs to result and seconds of the best run


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


def executed(program: Path) -> Run:
    def run(function: str, inputs: Path) -> tuple[Any, float]:
        try:
            done = subprocess.run(
                [program, inputs, function], capture_output=True, text=True, timeout=PATIENCE
            )
        except subprocess.TimeoutExpired as slow:
            raise Cannot(f"takes more than {PATIENCE} s") from slow
        if done.returncode:
            raise Cannot(f"ends with {done.returncode}: {done.stderr[-200:]}")
        return answer(done.stdout)

    return run


@contextlib.contextmanager
def hosted(checkout: Path, module: str) -> Iterator[Run]:
    """The Enzyme program inside a Python that stays, since it is compiled anew in each."""
    command = [sys.executable, "-m", "benchmarks.gradbench.enzyme_host", str(checkout), module]
    pipe = subprocess.PIPE
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True, cwd=ROOT)
        assert process.stdin is not None and process.stdout is not None
        asked, said = process.stdin.fileno(), process.stdout

        def run(function: str, inputs: Path) -> tuple[Any, float]:
            with contextlib.suppress(BrokenPipeError):
                os.write(asked, f"{inputs} {function}\n".encode())
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
def prepared(checkout: Path, tool: str, module: str) -> Iterator[Run]:
    try:
        program = build(checkout, tool, module)
    except Cannot as reason:
        if tool != ENZYME or str(reason) == "-" or find_spec("enzyme_ad") is None:
            raise
    else:
        yield executed(program)
        return
    with hosted(checkout, module) as run:
        yield run


# ---- measuring --------------------------------------------------------------------------------------


def agree(got: list[float], want: list[float], tolerance: float) -> bool:
    scale = max(map(abs, want), default=0.0)
    return len(got) == len(want) and bool(np.allclose(got, want, rtol=0.0, atol=tolerance * scale + 1e-300))


def ours(problem: Problem, settings: Settings) -> Run:
    """The compiled calls as a `Run`."""
    calls = dict(zip(problem.functions, problem.calls(), strict=True))
    counts = {name: calls_per_round(call, settings.seconds) for name, call in calls.items() if name}

    def run(function: str, inputs: Path) -> tuple[Any, float]:
        call, count = calls[function], counts[function]
        start = time.perf_counter()
        for _ in range(count):
            result = call()
        return result, (time.perf_counter() - start) / count

    return run


def check(problem: Problem, inputs: Path, own: Run, run: Run, tolerance: float) -> None:
    """That a tool computes what we compute."""
    value, derivative = problem.functions
    mine = problem.ours(own(derivative, inputs)[0])
    if not agree(problem.theirs(run(derivative, inputs)[0]), mine, tolerance):
        raise Cannot("another derivative")
    if value and not agree(
        problem.their_value(run(value, inputs)[0]), problem.ours(own(value, inputs)[0]), 1e-9
    ):
        raise Cannot("another value")


def measure(
    problem: Problem, checkout: Path, settings: Settings
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Seconds of objective (nan where there is none) and derivative by tool, and who is out why."""
    best: dict[str, list[float]] = {}
    out: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        inputs = written(problem, folder / "inputs.json", settings)
        tools = {TAPELESS: ours(problem, settings)}
        small = problem.small or problem
        small_inputs, own = written(small, folder / "small.json", settings), ours(small, settings)
        for tool in TOOLS:
            try:
                if (tool, problem.module) in BESIDE:
                    raise Cannot(BESIDE[tool, problem.module])
                run = stack.enter_context(prepared(checkout, tool, problem.module))
                check(small, small_inputs, own, run, AGREEMENT.get(tool, 1e-7))
                tools[tool] = run
            except Cannot as reason:
                out[tool] = str(reason)
        for _ in range(1 if settings.smoke else 3):  # each is a process with several runs
            for tool, run in tools.items():
                if tool in best and best[tool][1] > SLOW:
                    continue  # it had its runs
                took = [run(function, inputs)[1] if function else math.nan for function in problem.functions]
                known = best.get(tool, took)
                best[tool] = [min(pair) for pair in zip(known, took, strict=True)]
    return best, out


def written(problem: Problem, path: Path, settings: Settings) -> Path:
    """The inputs as a file, with how often a program has to run."""
    runs = {"min_runs": 3, "min_seconds": 5 * settings.seconds}
    path.write_text(json.dumps(problem.inputs | runs, default=np.ndarray.tolist), encoding="ascii")
    return path


# ---- the report -------------------------------------------------------------------------------------


def verdict(problem: Problem, best: dict[str, list[float]]) -> list[str]:
    """The row that says whether our multiple is within twice the others', and whose derivative is fastest."""
    tools = {tool: took for tool, took in best.items() if tool not in (TAPELESS, BY_HAND)}
    own = multiple(best[TAPELESS])
    least = min(tools, key=lambda tool: multiple(tools[tool]), default="")
    row = [problem.name, "–" if math.isnan(own) else f"{own:.3g}×"]
    for rival in (least, BY_HAND):
        factor = multiple(best.get(rival, [math.nan, math.nan]))
        answer = f"{factor:.3g}× ({rival}): {'yes' if own <= 2 * factor else 'no'}"
        row.append("–" if math.isnan(factor) else answer)
    row.append("; ".join(f"{what} [{source}]" for source, what in PUBLISHED.get(problem.name, [])) or "–")
    others = sorted((took[1], tool) for tool, took in best.items() if tool != TAPELESS)
    row.append(f"{best[TAPELESS][1] * 1e3:.3g}")
    return [*row, f"{others[0][0] * 1e3:.3g} ({others[0][1]})" if others else "–"]


def multiple(took: list[float]) -> float:
    return took[1] / took[0]


def cell(took: list[float]) -> str:
    value, derivative = took
    if math.isnan(value):
        return f"{derivative * 1e3:.3g}"
    return f"{value * 1e3:.3g} → {derivative * 1e3:.3g} ({multiple(took):.3g}×)"


def run(settings: Settings) -> list[Table]:
    title = "GradBench's native tools: objective → derivative, ms (multiple)"
    table = Table(title, ["problem", TAPELESS, *TOOLS])
    if settings.gradbench is None:
        table.notes.append("not measured: --gradbench names no checkout of GradBench")
        return [table]
    verdicts = Table("Within twice the best multiple of the objective?", VERDICT)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for problem in problems(settings.smoke):
        best, out = measure(problem, settings.gradbench.resolve(), settings)
        cells = [cell(best[tool]) if tool in best else "–" for tool in (TAPELESS, *TOOLS)]
        table.rows.append([problem.name, *cells])
        table.notes += [f"{problem.name}, {tool}: {why}" for tool, why in out.items() if why != "-"]
        verdicts.rows.append(verdict(problem, best))
    verdicts.notes += [f"[{mark}] {source}" for mark, source in SOURCES.items()]
    return [table, verdicts]
