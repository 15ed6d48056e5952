"""The eleven problems of GradBench, the live successor of ADBench, written in plain NumPy.

Each file holds one problem: its objective as a scientist would write it, and the derivative that GradBench
asks for. docs/gradbench.md says what they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import tapeless as tl
from benchmarks.gradbench.cases import Case, cases
from benchmarks.gradbench.descent import MODES
from benchmarks.harness import (
    AUTOGRAD,
    JAX_JIT,
    TAPELESS,
    TORCH,
    Settings,
    Table,
    Target,
    flat,
    geometric_mean,
    rebound,
    seconds,
)

NATIVE = "native"
TOOLS = (TAPELESS, NATIVE, JAX_JIT, TORCH, AUTOGRAD)
Calls = tuple[Callable[[], Any], Callable[[], Any]]


class Absent(Exception):
    """A contender that this problem has not been written for, or that is not installed."""


def python(case: Case) -> Calls:
    return lambda: case.objective(*case.args), lambda: case.derivative(*case.args)


def native(case: Case) -> Calls:
    jit = getattr(tl, "jit", None)
    if jit is None:
        raise Absent
    objective = jit(case.objective)
    derivative = jit(case.derivative) if case.native is None else case.native()
    return lambda: objective(*case.args), lambda: derivative(*case.args)


def _arrays(case: Case) -> tuple[list[int], Callable[..., Callable[..., Any]]]:
    """The positions of the array arguments, and how to make a function of only those."""
    where = [i for i, arg in enumerate(case.args) if isinstance(arg, np.ndarray)]

    def only(f: Callable[..., Any], fixed: Callable[[Any], Any] = lambda arg: arg) -> Callable[..., Any]:
        def of_arrays(*arrays: Any) -> Any:
            args = [fixed(arg) for arg in case.args]
            for i, array in zip(where, arrays, strict=True):
                args[i] = array
            return f(*args)

        return of_arrays

    return where, only


def jax_jit(case: Case) -> Calls:
    if case.jax is None:
        raise Absent
    import jax
    import jax.numpy as jnp

    from benchmarks.gradbench import jax_versions

    objective_name, derivative_name = case.jax
    f = getattr(jax_versions, objective_name, None)
    if f is None:  # nothing in the program needs another form
        f = rebound(case.objective, {"np": jnp})
    where, only = _arrays(case)
    swapped = {mode: jax_versions.MODES[name] for name, mode in MODES.items()}
    plain = only(f, lambda arg: swapped.get(arg, arg) if callable(arg) else arg)
    if case.argnums is not None:
        derivative = jax.grad(plain, tuple(where.index(i) for i in case.argnums))
    elif derivative_name in jax_versions.MODES:
        derivative = jax_versions.MODES[derivative_name](plain)
    elif derivative_name:
        derivative = only(getattr(jax_versions, derivative_name))
    else:
        derivative = jax.jacfwd(plain)
    arrays = [jnp.asarray(case.args[i]) for i in where]
    compiled, compiled_derivative = jax.jit(plain), jax.jit(derivative)
    wait = jax.block_until_ready
    return lambda: wait(compiled(*arrays)), lambda: wait(compiled_derivative(*arrays))


def pytorch(case: Case) -> Calls:
    if case.torch is None:
        raise Absent
    import torch

    from benchmarks.gradbench import torch_versions

    torch.set_num_threads(1)
    objective_name, derivative_name = case.torch
    f = getattr(torch_versions, objective_name, case.objective)
    where, only = _arrays(case)
    arrays = [torch.tensor(case.args[i]) for i in where]
    plain = only(f)
    if case.argnums is None:
        derivative = only(getattr(torch_versions, derivative_name))
        return lambda: plain(*arrays), lambda: derivative(*arrays)
    leaves = [arrays[where.index(i)].requires_grad_() for i in case.argnums]

    def objective() -> Any:
        with torch.no_grad():
            return plain(*arrays)

    return objective, lambda: torch.autograd.grad(plain(*arrays), leaves)


def autograd(case: Case) -> Calls:
    if not case.autograd:
        raise Absent
    import autograd
    import autograd.numpy as anp

    f = rebound(case.objective, {"np": anp})
    derivative = autograd.grad(f, case.argnums)
    return lambda: f(*case.args), lambda: derivative(*case.args)


BUILDERS: dict[str, Callable[[Case], Calls]] = {
    TAPELESS: python,
    NATIVE: native,
    JAX_JIT: jax_jit,
    TORCH: pytorch,
    AUTOGRAD: autograd,
}


def numbers(result: Any) -> list[float]:
    """All numbers of a derivative in order; of a sparse matrix its entries."""
    return flat(result.data if hasattr(result, "indptr") else result)


def contenders(case: Case, settings: Settings) -> tuple[dict[str, Calls], dict[str, str]]:
    """Who takes part, and why the others do not. JAX's derivative is the reference where there is one."""
    tools = TOOLS if settings.peers else (TAPELESS, NATIVE)
    ready: dict[str, tuple[Calls, list[float]]] = {}
    out: dict[str, str] = {}
    for name in tools:
        try:
            calls = BUILDERS[name](case)
            calls[0]()
            ready[name] = calls, numbers(calls[1]())
        except (Absent, ImportError):
            out[name] = "-"
        except Exception as error:
            text = f"{type(error).__name__}: {error}".splitlines()[0]
            out[name] = f"cannot: {text}"
    reference = next((ready[name][1] for name in (JAX_JIT, TORCH, TAPELESS) if name in ready), None)
    for name, (_, got) in list(ready.items()):
        assert reference is not None
        if len(got) != len(reference) or not np.allclose(got, reference, rtol=1e-6, atol=1e-9):
            out[name] = f"wrong: {got[:4]}, want {reference[:4]}"
            del ready[name]
    return {name: calls for name, (calls, _) in ready.items()}, out


def run(settings: Settings) -> list[Table]:
    objectives = Table("GradBench: the objective, ms", ["problem", "size", *TOOLS])
    derivatives = Table(
        "GradBench: the derivative, ms (and as a multiple of the same tool's objective)", ["problem", *TOOLS]
    )
    factors: dict[str, list[float]] = {}
    for case in cases(settings.smoke):
        ready, out = contenders(case, settings)
        calls = {}
        for name, (objective, derivative) in ready.items():
            calls[f"{name} objective"], calls[f"{name} derivative"] = objective, derivative
        took = seconds(calls, settings)
        row, below = [case.name, case.size], [case.name]
        for name in TOOLS:
            if name in ready:
                first, second = took[f"{name} objective"], took[f"{name} derivative"]
                row.append(f"{first * 1e3:.3g}")
                below.append(f"{second * 1e3:.3g} ({second / first:.3g}×)")
                factors.setdefault(name, []).append(second / first)
                if name == NATIVE and case.limit is not None:
                    derivatives.targets.append(Target(f"{case.name}, native", second / first, case.limit))
            else:
                row.append("")
                below.append(out.get(name, "-").split(":")[0])
        objectives.rows.append(row)
        derivatives.rows.append(below)
        if TAPELESS in out:
            derivatives.failures.append(f"{case.name}, {TAPELESS}: {out[TAPELESS]}")
        for name in (NATIVE, *((JAX_JIT, TORCH, AUTOGRAD) if settings.peers else ())):
            if out.get(name, "-") != "-":
                derivatives.notes.append(f"{case.name}, {name}: {out[name][:160]}")
        if out.get(NATIVE, "").startswith("wrong"):
            derivatives.failures.append(f"{case.name}, {NATIVE}: {out[NATIVE]}")
    for name, values in factors.items():
        if all(math.isfinite(value) for value in values):
            mean = geometric_mean(values)
            derivatives.notes.append(f"{name}: geometric mean of {len(values)} problems {mean:.3g}×")
    return [objectives, derivatives]
