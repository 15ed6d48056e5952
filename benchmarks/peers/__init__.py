"""The kernels for JAX, as its documentation advises: `lax` loops, `.at[].set`, whole rows at once."""

import importlib
from collections.abc import Callable
from typing import Any

from benchmarks.kernels import Kernel


def jax_version(kernel: Kernel) -> Callable[..., Any] | None:
    """The kernel of the same name for JAX; importing it sets JAX to double precision."""
    module = importlib.import_module(f"benchmarks.peers.jax_{kernel.family}")
    return getattr(module, kernel.name, None)
