"""Functions of SciPy as programs on NumPy's, where SciPy's own go through strides; staged like any other."""

from __future__ import annotations

from typing import Any

import numpy as np


def toeplitz(c: Any, r: Any = None) -> Any:
    c = np.asarray(c).ravel()
    r = np.conjugate(c) if r is None else np.asarray(r).ravel()
    both = np.concatenate((c[::-1], r[1:]))
    return both[len(c) - 1 - np.arange(len(c))[:, None] + np.arange(len(r))]


def hankel(c: Any, r: Any = None) -> Any:
    c = np.asarray(c).ravel()
    r = np.zeros_like(c) if r is None else np.asarray(r).ravel()
    both = np.concatenate((c, r[1:]))
    return both[np.arange(len(c))[:, None] + np.arange(len(r))]
