"""Kernels of scientific programs, in the manner of PolyBench and NPBench, as their authors would write them.

Each is a plain function of arrays and numbers with one number as its result; some write into their
arguments. No line of them knows of derivatives. `benchmarks.peers` holds the same kernels for JAX.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

FAMILIES = ("stencils", "factorisations", "products", "learning", "simulation")
SIZES = ("smoke", "small", "medium")
LOOP, STENCIL, ARRAY = "loop", "stencil", "array"


@dataclass(frozen=True)
class Kernel:
    """A program, where to differentiate it, and its inputs in three sizes."""

    plain: Callable[..., float]
    make: Callable[..., tuple[Any, ...]]
    sizes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    argnums: tuple[int, ...]
    kind: str = ARRAY
    cannot: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.plain.__name__

    @property
    def family(self) -> str:
        return self.plain.__module__.rpartition(".")[2]

    def args(self, size: str) -> tuple[Any, ...]:
        """Fresh inputs, the same at every call; a number is the one length of a long loop."""
        return self.make(int(size)) if size.isdigit() else self.make(*self.sizes[SIZES.index(size)])


def kernels() -> list[Kernel]:
    return [
        kernel
        for family in FAMILIES
        for kernel in importlib.import_module(f"benchmarks.kernels.{family}").KERNELS
    ]
