"""The derivative of a program along a line, by finite differences."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tapeless as tl


def directions(args: Sequence[Any], argnums: Sequence[int], seed: int) -> list[Any]:
    """A random tangent for each of the arguments `argnums`, zeros for the other arrays."""
    rng = np.random.default_rng(seed)
    return [
        rng.normal(size=arg.shape) if i in argnums else np.zeros(getattr(arg, "shape", ()))
        for i, arg in enumerate(args)
    ]


def along(f: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int], tangents: Sequence[Any]) -> Any:
    """The derivative of `f` along the tangents, numerically."""

    def on_line(t: float) -> Any:
        return f(*[arg + t * tangents[i] if i in argnums else arg for i, arg in enumerate(args)])

    return tl.finite_difference(on_line, 0.0)
