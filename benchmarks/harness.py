"""How the benchmarks measure, and how they report.

Contenders compute the same thing: the value and the gradient of one program. They are timed in turn,
round after round, so that a slow phase of the machine hits all alike; the best round counts. Before that,
every gradient is compared with the reference: a fast wrong answer is reported as wrong.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import math
import platform
import sys
import time
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

PLAIN, TAPELESS, NATIVE, BY_HAND = "plain", "tapeless", "native", "by hand"
TORCH, AUTOGRAD, JAX, JAX_JIT = "PyTorch", "autograd", "JAX", "JAX jit"
PEERS = (TORCH, AUTOGRAD, JAX, JAX_JIT)
CONTENDERS = (PLAIN, TAPELESS, NATIVE, BY_HAND, *PEERS)
MODULES = {TORCH: "torch", AUTOGRAD: "autograd", JAX: "jax", JAX_JIT: "jax"}


@dataclass(frozen=True)
class Settings:
    """How long to measure: `--smoke` only shows that everything runs."""

    smoke: bool = False
    peers: bool = True
    gradbench: Path | None = None  # a checkout of GradBench

    @property
    def rounds(self) -> int:
        return 3 if self.smoke else 15

    @property
    def seconds(self) -> float:
        """The time one round of one contender takes at least."""
        return 0.002 if self.smoke else 0.02


@dataclass(frozen=True)
class Program:
    """A program, differentiated by all its arguments: floats, arrays, lists and tuples of them."""

    name: str
    plain: Callable[..., Any]
    args: tuple[Any, ...]
    by_hand: Callable[..., Any] | None = None
    target: float | None = None
    cannot: dict[str, str] = field(default_factory=dict)


@dataclass
class Table:
    """A part of the report: rows of text and what was asked of the figures in them."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    plot: str = ""

    @property
    def plot_name(self) -> str:
        words = "".join(c if c.isalnum() else " " for c in self.title.lower()).split()
        return "-".join(words) + ".svg"


@dataclass(frozen=True)
class Target:
    what: str
    figure: float
    limit: float
    unit: str = "×"

    @property
    def met(self) -> bool:
        return self.figure <= self.limit

    def __str__(self) -> str:
        verdict = "met" if self.met else "NOT MET"
        return f"{self.what}: {self.figure:.3g}{self.unit}, asked {self.limit:g}{self.unit}: {verdict}"


# ---- timing ---------------------------------------------------------------------------------------


def seconds(contenders: dict[str, Callable[[], Any]], settings: Settings) -> dict[str, float]:
    """The best time of one call of each contender, measured in turn."""
    repeats = {name: calls_per_round(call, settings.seconds) for name, call in contenders.items()}
    best = dict.fromkeys(contenders, math.inf)
    spent = dict.fromkeys(contenders, 0.0)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(settings.rounds):
            for name, call in contenders.items():
                if spent[name] > 40 * settings.seconds and math.isfinite(best[name]):
                    continue  # slow: it had its time
                count = repeats[name]
                start = time.perf_counter()
                for _ in range(count):
                    call()
                took = time.perf_counter() - start
                spent[name] += took
                best[name] = min(best[name], took / count)
            gc.collect()
    finally:
        if collecting:
            gc.enable()
    return best


def calls_per_round(call: Callable[[], Any], at_least: float) -> int:
    """How many calls take about `at_least` seconds."""
    call()
    count = 1
    while True:
        start = time.perf_counter()
        for _ in range(count):
            call()
        took = time.perf_counter() - start
        if took >= at_least / 2:
            return max(1, round(count * at_least / took))
        count *= 2 if took < at_least / 20 else 4


# ---- contenders -----------------------------------------------------------------------------------


class Absent(Exception):
    """A peer that is not installed."""


def contenders(program: Program, settings: Settings) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """The calls to time, and for each contender that cannot take part the reason."""
    calls: dict[str, Callable[[], Any]] = {PLAIN: lambda: program.plain(*program.args)}
    out: dict[str, str] = dict(program.cannot)
    builders: dict[str, Callable[[Program], Callable[[], Any]]] = {TAPELESS: _tapeless, NATIVE: _native}
    if program.by_hand is not None:
        builders[BY_HAND] = _by_hand
    if settings.peers:
        builders |= {TORCH: _torch, AUTOGRAD: _autograd, JAX: _jax, JAX_JIT: _jax_jit}
    reference: list[float] | None = None
    if program.by_hand is not None:
        reference = flat(program.by_hand(*program.args))
    for name, build in builders.items():
        if name in out:
            continue
        try:
            call = build(program)
            got = flat(call())
        except Absent:
            out[name] = "absent"
        except Exception as error:
            cannot = name in PEERS or type(error).__name__ == "NotCompilable"
            out[name] = "cannot" if cannot else f"fails: {type(error).__name__}: {error}"
        else:
            if reference is None:
                reference = got
            if len(got) != len(reference) or not np.allclose(got, reference, rtol=1e-6, atol=1e-9):
                out[name] = f"wrong: {got[:4]}, want {reference[:4]}"
            else:
                calls[name] = call
    return calls, out


def flat(result: Any) -> list[float]:
    """All numbers of a value and its gradients, in order."""
    if isinstance(result, tuple | list):
        return [number for part in result for number in flat(part)]
    if isinstance(result, dict):
        return [number for part in result.values() for number in flat(part)]
    if hasattr(result, "detach"):
        result = result.detach()
    return [float(number) for number in np.ravel(np.asarray(result, dtype=float))]


def mapped(leaf: Callable[[Any], Any], value: Any) -> Any:
    """The same nesting of tuples and lists, with other leaves."""
    if isinstance(value, tuple):
        return tuple(mapped(leaf, part) for part in value)
    if isinstance(value, list):
        return [mapped(leaf, part) for part in value]
    return leaf(value)


def rebound(function: Callable[..., Any], names: dict[str, Any]) -> Callable[..., Any]:
    """The same code, in which some global names (`math`, `np`) mean another library's functions."""
    scope = dict(function.__globals__)  # type: ignore[attr-defined]
    scope.update(names)
    for name, value in list(scope.items()):
        if isinstance(value, types.FunctionType) and value.__module__ == function.__module__:
            scope[name] = _with_globals(value, scope)
    return _with_globals(function, scope)


def _with_globals(function: Any, scope: dict[str, Any]) -> Callable[..., Any]:
    return types.FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )


def _tapeless(program: Program) -> Callable[[], Any]:
    import tapeless as tl

    both = tl.value_and_grad(program.plain, argnums=tuple(range(len(program.args))))
    return lambda: both(*program.args)


def _native(program: Program) -> Callable[[], Any]:
    import tapeless as tl

    if not hasattr(tl, "jit"):
        raise Absent("tl.jit")
    both = tl.jit(tl.value_and_grad(program.plain, argnums=tuple(range(len(program.args)))))
    return lambda: both(*program.args)


def _by_hand(program: Program) -> Callable[[], Any]:
    by_hand = program.by_hand
    assert by_hand is not None
    return lambda: by_hand(*program.args)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Absent(name) from error


def _torch(program: Program) -> Callable[[], Any]:
    torch = _module("torch")
    torch.set_num_threads(1)
    lib = types.SimpleNamespace(
        sin=torch.sin, exp=torch.exp, log=torch.log, erf=torch.erf, factorial=math.factorial,
        sqrt=lambda x: math.sqrt(x) if isinstance(x, float) else torch.sqrt(x),
        tanh=torch.tanh, sum=torch.sum, zeros=lambda shape: torch.zeros(shape, dtype=torch.float64),
        concatenate=lambda parts, axis: torch.cat(parts, dim=axis),
    )  # fmt: skip
    function = rebound(program.plain, {"math": lib, "np": lib})
    args = mapped(lambda v: torch.tensor(v, dtype=torch.float64, requires_grad=True), program.args)
    leaves: list[Any] = []
    mapped(leaves.append, args)

    def call() -> Any:
        value = function(*args)
        return value, torch.autograd.grad(value, leaves, materialize_grads=True)

    return call


def _autograd(program: Program) -> Callable[[], Any]:
    autograd = _module("autograd")
    anp, special = _module("autograd.numpy"), _module("autograd.scipy.special")
    lib = types.SimpleNamespace(
        sin=anp.sin, exp=anp.exp, log=anp.log, sqrt=anp.sqrt, erf=special.erf, tanh=anp.tanh,
        factorial=math.factorial, sum=anp.sum, zeros=anp.zeros, concatenate=anp.concatenate,
    )  # fmt: skip
    function = rebound(program.plain, {"math": lib, "np": lib})
    both = autograd.value_and_grad(function, argnum=tuple(range(len(program.args))))
    return lambda: both(*program.args)


def _jax_function(program: Program) -> tuple[Any, Any, Any]:
    jax = _module("jax")
    jnp = _module("jax.numpy")
    lib = types.SimpleNamespace(
        sin=jnp.sin, exp=jnp.exp, log=jnp.log, sqrt=jnp.sqrt, erf=jax.scipy.special.erf, tanh=jnp.tanh,
        factorial=math.factorial, sum=jnp.sum, zeros=jnp.zeros, concatenate=jnp.concatenate,
    )  # fmt: skip
    function = rebound(program.plain, {"math": lib, "np": lib})
    args = mapped(lambda v: jnp.asarray(v, dtype=float), program.args)
    return jax, jax.value_and_grad(function, argnums=tuple(range(len(args)))), args


def _jax(program: Program) -> Callable[[], Any]:
    jax, both, args = _jax_function(program)
    return lambda: jax.block_until_ready(both(*args))


def _jax_jit(program: Program) -> Callable[[], Any]:
    jax, both, args = _jax_function(program)
    compiled = jax.jit(both)
    return lambda: jax.block_until_ready(compiled(*args))


# ---- comparing programs ---------------------------------------------------------------------------


def compare(title: str, programs: Iterable[Program], settings: Settings, mean: float | None = None) -> Table:
    """Value and gradient of each program by every contender, as multiples of the plain program."""
    table = Table(title, ["program", "plain µs", *[f"{name} ×" for name in CONTENDERS[1:]]])
    factors = []
    for program in programs:
        calls, out = contenders(program, settings)
        times = seconds(calls, settings)
        row = [program.name, f"{times[PLAIN] * 1e6:.2f}"]
        for name in CONTENDERS[1:]:
            took = times.get(name)
            row.append(out.get(name, "-").split(":")[0] if took is None else f"{took / times[PLAIN]:.3g}")
        table.rows.append(row)
        for name in (TAPELESS, BY_HAND):
            if name in out:
                table.failures.append(f"{program.name}, {name}: {out[name]}")
        if TAPELESS in times:
            factor = times[TAPELESS] / times[PLAIN]
            factors.append(factor)
            if program.target is not None:
                table.targets.append(Target(program.name, factor, program.target))
    if factors and mean is not None:
        what = f"{title}, geometric mean of {len(factors)}"
        table.targets.append(Target(what, geometric_mean(factors), mean))
    return table


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(math.log(value) for value in values) / len(values))


# ---- reports --------------------------------------------------------------------------------------


def machine() -> dict[str, str]:
    """The processor and the versions that the figures belong to."""
    versions = {"Python": platform.python_version(), "NumPy": np.__version__}
    for name in ("tapeless", "scipy", "numba", "llvmlite", "torch", "autograd", "jax"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {"processor": processor(), "system": platform.system(), **versions}


def processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def show(table: Table, out: Any = sys.stdout) -> None:
    lines = [table.columns, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    print(f"\n{table.title}", file=out)
    for line in lines:
        first, *others = zip(line, widths, strict=True)
        cells = [first[0].ljust(first[1]), *[cell.rjust(width) for cell, width in others]]
        print("  " + "  ".join(cells), file=out)
    for line in [*table.notes, *map(str, table.targets), *[f"FAILED {text}" for text in table.failures]]:
        print("  " + line, file=out)


def markdown(tables: Sequence[Table], names: Sequence[str], file: str) -> str:
    """The report as a page of the documentation, which names the command that writes it."""
    about = machine()
    command = " ".join(["python -m benchmarks", *names, "--write", file])
    lines = [
        f"# Benchmarks{': ' if names else ''}{', '.join(names)}",
        "",
        "Value and gradient together, one thread. Everything on a line was measured in one run, in turn, and",
        f"the best round counts. `{command}` writes this page.",
        "",
        *[f"- {name}: {value}" for name, value in about.items()],
        "",
    ]
    for table in tables:
        lines += [f"## {table.title}", "", _line(table.columns), _line(["---"] * len(table.columns))]
        lines += [_line(row) for row in table.rows]
        lines += ["", f"![{table.title}]({table.plot_name})"] if table.plot else []
        lines += ["", *[f"{note}\n" for note in table.notes]]
        lines += [f"- {target}" for target in table.targets]
        lines += [f"- failed: {text.splitlines()[0]}" for text in table.failures]
        lines += [""]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def as_json(tables: Sequence[Table]) -> dict[str, Any]:
    return {
        "machine": machine(),
        "tables": [
            {
                "title": table.title,
                "columns": list(table.columns),
                "rows": [list(row) for row in table.rows],
                "targets": [
                    {"what": t.what, "figure": t.figure, "limit": t.limit, "unit": t.unit, "met": t.met}
                    for t in table.targets
                ],
                "failures": table.failures,
                "notes": table.notes,
            }
            for table in tables
        ],
    }
