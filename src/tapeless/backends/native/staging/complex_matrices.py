"""Linear algebra of complex matrices, as programs on real ones of twice the size; staged like any other."""

from __future__ import annotations

from typing import Any

import numpy as np


def solve(a: Any, b: Any) -> Any:
    n = len(a)
    found = np.linalg.solve(real(a), np.concatenate((b.real, b.imag)))
    return found[:n] + 1j * found[n:]


def inv(a: Any) -> Any:
    n = len(a)
    found = np.linalg.inv(real(a))
    return found[:n, :n] + 1j * found[n:, :n]


def real(a: Any) -> Any:
    """The real matrix that does to real and imaginary parts what a complex one does."""
    n = len(a)
    made = np.empty((2 * n, 2 * n))
    made[:n, :n] = a.real
    made[n:, n:] = a.real
    made[n:, :n] = a.imag
    made[:n, n:] = -a.imag
    return made
