"""The problems as GradBench's own programs take them: JSON in, JSON out, a name for each function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import tapeless as tl
from benchmarks.gradbench import Calls, native, numbers, particle, saddle
from benchmarks.gradbench.cases import Case, cases
from benchmarks.gradbench.ht import Hand


def every_number(result: Any) -> list[float]:
    """All numbers of a JSON value, in its order."""
    if isinstance(result, dict):
        return [number for part in result.values() for number in every_number(part)]
    if isinstance(result, list):
        return [number for part in result for number in every_number(part)]
    return [float(result)]


@dataclass(frozen=True)
class Problem:
    """A problem of theirs beside ours.

    `functions` are their names of objective and derivative; "" where GradBench times a whole descent only.
    `theirs` and `ours` bring the two derivatives to the same list of numbers; `their_value` and `ours` the
    two values.  `small` is compared instead, where the derivative at this size says nothing.
    """

    name: str
    size: str
    module: str
    functions: tuple[str, str]
    inputs: dict[str, Any]
    calls: Callable[[], Calls]
    theirs: Callable[[Any], list[float]] = every_number
    ours: Callable[[Any], list[float]] = numbers
    their_value: Callable[[Any], list[float]] = every_number
    small: Problem | None = None


# ---- inputs -----------------------------------------------------------------------------------------


def _ba(cameras: Any, points: Any, weights: Any, observations: Any, features: Any) -> dict[str, Any]:
    """One of each: their programs repeat it, as the data of ADBench mean."""
    return {
        "n": len(cameras), "m": len(points), "p": len(weights), "cam": cameras[0], "x": points[0],
        "w": weights[0], "feat": features[0],
    }  # fmt: skip


def _det(a: Any) -> dict[str, Any]:
    return {"A": a.ravel(), "ell": len(a)}


def _gmm(alpha: Any, mu: Any, q: Any, below: Any, x: Any, m: int, gamma: float) -> dict[str, Any]:
    return {
        "d": x.shape[1], "k": len(alpha), "n": len(x), "alpha": alpha, "mu": mu, "q": q, "l": below,
        "x": x, "m": m, "gamma": gamma,
    }  # fmt: skip


def _ht(theta: Any, *others: Any) -> dict[str, Any]:
    *us, hand, correspondences, points = others
    assert isinstance(hand, Hand)
    model = {
        "bone_names": [str(bone) for bone in range(len(hand.parents))],
        "is_mirrored": False,
        **vars(hand),
    }
    data = {"model": model, "correspondences": correspondences, "points": points}
    return {"theta": theta, "us": us[0] if us else [], "data": data}


def _lstm(main: Any, extra: Any, state: Any, sequence: Any) -> dict[str, Any]:
    return {"main_params": main, "extra_params": extra, "state": state, "sequence": sequence}


INPUTS: dict[str, Callable[..., dict[str, Any]]] = {
    "ba": _ba,
    "det": _det,
    "gmm": _gmm,
    "ht": _ht,
    "kmeans": lambda centroids, points: {"centroids": centroids, "points": points},
    "llsq": lambda x, n: {"x": x, "n": n},
    "lse": lambda x: {"x": x},
    "lstm": _lstm,
    "ode": lambda x, steps: {"x": x, "s": steps},
}
FUNCTIONS = {
    "det": ("primal", "gradient"),
    "kmeans": ("cost", "dir"),
    "llsq": ("primal", "gradient"),
    "lse": ("primal", "gradient"),
    "ode": ("primal", "gradient"),
}

# ---- results ----------------------------------------------------------------------------------------


def _their_ba(result: Any) -> list[float]:
    """The first observation's two rows, without what is zero, and the last weight's."""
    return [value for value in every_number(result["vals"]) if value]


def _their_ba_errors(result: Any) -> list[float]:
    return every_number([result["reproj_error"]["elements"], result["w_err"]["element"]])


def _our_ba(result: Any) -> list[float]:
    if isinstance(result, tuple):
        reprojections, weights = result
        return [*reprojections[0], weights[-1]]
    return [float(entry) for row in (0, 1, -1) for entry in result[[row]].data]


def _their_gmm(result: Any) -> list[float]:
    return every_number([result[name] for name in ("alpha", "mu", "q", "l")])


THEIRS = {"ba": _their_ba, "gmm": _their_gmm}
OURS = {"ba": _our_ba}
THEIR_VALUE = {"ba": _their_ba_errors, "ode": lambda result: every_number(result)[-1:]}

# ---- problems ---------------------------------------------------------------------------------------


def problems(smoke: bool) -> Iterator[Problem]:
    small = {case.name: case for case in cases(smoke=True)}
    for case in cases(smoke):
        if case.name.split(",")[0] in INPUTS:
            # a chain of 1000 in 100 steps does not reach its end: all derivatives are zero
            at_zero = case.name == "ode" and not smoke
            yield _problem(case, _problem(small[case.name]) if at_zero else None)
    modes = ("rr",) if smoke else ("ff", "fr", "rf", "rr")
    for mode in modes:
        yield _descent(f"particle {mode}", particle.particle, {"w": 0.0}, (0.0, *mode))
    start = np.array([1.0, 1.0])
    for mode in modes:
        yield _descent(f"saddle {mode}", saddle.saddle, {"start": start}, (start, *mode))


def _problem(case: Case, small: Problem | None = None) -> Problem:
    module = case.name.split(",")[0]
    return Problem(
        case.name, case.size, module, FUNCTIONS.get(module, ("objective", "jacobian")),
        INPUTS[module](*case.args), lambda: native(case),
        THEIRS.get(module, every_number), OURS.get(module, numbers), THEIR_VALUE.get(module, every_number),
        small,
    )  # fmt: skip


def _descent(name: str, f: Callable[..., Any], inputs: dict[str, Any], args: tuple[Any, ...]) -> Problem:
    """A whole descent, which GradBench has no objective for."""
    module, mode = name.split()

    def calls() -> Calls:
        compiled = tl.jit(f)
        return (lambda: None), (lambda: compiled(*args))

    return Problem(name, "the descent", module, ("", mode), inputs, calls)
