"""The problems as they are measured: objective, derivative, size, and how each other tool computes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tapeless as tl
from benchmarks.gradbench import ba, det, gmm, ht, kmeans, llsq, lse, lstm, ode, particle, saddle
from benchmarks.gradbench.descent import MODES


@dataclass(frozen=True)
class Case:
    """`objective` and `derivative` take `args`; `jax` and `torch` are their names in those tools' versions.

    `argnums` is given where the derivative is the gradient by those arguments.  The name "" means the other
    tool's Jacobian of the objective, "f" and "r" its forward or reverse derivative.
    `limit` is the asked multiple of the native objective.  `native` makes the compiled derivative where that
    is not `jit` of `derivative`.
    """

    name: str
    size: str
    objective: Callable[..., Any]
    args: tuple[Any, ...]
    derivative: Callable[..., Any]
    argnums: tuple[int, ...] | None = None
    jax: tuple[str, str] | None = None
    torch: tuple[str, str] | None = None
    autograd: bool = False
    limit: float | None = None
    native: Callable[[], Callable[..., Any]] | None = None


def gradient(
    name: str, size: str, f: Callable[..., Any], args: tuple[Any, ...], argnums: tuple[int, ...] = (0,)
) -> Case:
    """A case whose derivative is a gradient; the other tools' versions have the objective's name."""
    names = (f.__name__, "")
    limit = 3.0 if name in ("gmm", "lse", "lstm", "ode") else None
    return Case(name, size, f, args, tl.grad(f, argnums), argnums, names, names, True, limit)


def cases(smoke: bool) -> list[Case]:
    if smoke:
        bundle, weights, letters, side, mixture = "test", lstm.data(2, 16), "16", 4, {"d": 2, "k": 5}
        points, count = {"k": 5, "n": 50, "d": 3}, 100
        step, chain = {"n": 64, "m": 8}, {"n": 10, "steps": 5}
    else:
        bundle, weights, letters, side, mixture = (
            "ba1_n49_m7776_p31843",
            lstm.data(),
            "1024",
            5,
            {"d": 10, "k": 25},
        )
        points, count = {"k": 10, "n": 1000, "d": 8}, 100_000
        step, chain = {"n": 1024, "m": 128}, {"n": 1000, "steps": 100}
    blocks, newton = ("errors", "ba_blocks"), ("cost", "direction")
    on_triangles = ("ht_errors_on_triangles", "ht_jacobian_on_triangles")
    seen = ba.data(bundle)
    return [
        Case(
            "ba",
            bundle,
            ba.errors,
            seen,
            ba.jacobian,
            jax=blocks,
            torch=blocks,
            limit=10.0,
            native=ba.compiled_jacobian,
        ),
        gradient("det", f"size={side}", det.determinant, det.data(side)),
        gradient("gmm", f"{named(mixture)}, n=1000", gmm.log_posterior, gmm.data(**mixture), (0, 1, 2, 3)),
        Case("ht", "100 points", ht.errors, ht.data(False), ht.jacobian, jax=("ht_errors", ""), limit=10.0),
        Case(
            "ht, complicated",
            "100 points",
            ht.errors_on_triangles,
            ht.data(True),
            ht.jacobian_on_triangles,
            jax=on_triangles,
            limit=10.0,
            native=ht.compiled_on_triangles,
        ),
        Case(
            "kmeans",
            named(points),
            kmeans.cost,
            kmeans.data(**points),
            kmeans.direction,
            None,
            newton,
            newton,
        ),
        gradient("llsq", named(step), llsq.misfit, llsq.data(**step)),
        gradient("lse", f"n={count}", lse.log_sum_exp, lse.data(count)),
        gradient("lstm", f"layers=2, letters={letters}", lstm.loss, weights, (0, 1)),
        gradient("ode", named(chain), ode.last, ode.data(**chain)),
        *nested(("rr",) if smoke else ("ff", "fr", "rf", "rr")),
    ]


def named(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name}={size}" for name, size in sizes.items())


def nested(modes: Sequence[str]) -> list[Case]:
    """One derivative through a simulation, and an optimisation, that use derivatives: outer, inner mode."""
    w, point, start = np.array([0.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0])
    out = []
    for outer, inner in modes:
        f, d = particle.miss, MODES[outer](particle.miss)
        out.append(Case(f"particle {outer}{inner}", "w=0", f, (w, MODES[inner]), d, jax=("miss", outer)))
    for outer, inner in modes:
        f, d = saddle.worst, MODES[outer](saddle.worst)
        out.append(
            Case(f"saddle {outer}{inner}", "(1, 1)", f, (point, start, MODES[inner]), d, jax=("worst", outer))
        )
    return out
