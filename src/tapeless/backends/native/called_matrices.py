"""What machine code calls back of matrices and rows, where NumPy's own functions say too little."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Kind:
    """Whether the eigenvalues that a place of the program asks for are taken to be real."""

    real: bool = True


KINDS: dict[str, Kind] = {}


def eig(a: Any, place: str = "", real: bool = False) -> Any:
    """Eigenvalues and vectors; a real matrix at a place must have real ones, or complex ones, as was assumed.

    If it has not, the other is assumed from the next call on, and this one fails.
    """
    return _as_assumed(tuple(np.linalg.eig(a)), place, real)


def eigvals(a: Any, place: str = "", real: bool = False) -> Any:
    return _as_assumed((np.linalg.eigvals(a),), place, real)


def _as_assumed(made: Any, place: str, real: bool) -> Any:
    if place and np.iscomplexobj(made[0]) == real:
        KINDS.setdefault(place, Kind()).real = not real
        raise np.linalg.LinAlgError
    return made


def by_keywords(*arrays: Any, name: str, keys: Any, options: dict[str, Any]) -> Any:
    """A function of `scipy.linalg`, of arrays under these names."""
    import scipy.linalg  # type: ignore[import-untyped]

    return getattr(scipy.linalg, name)(**dict(zip(keys, arrays, strict=True)), **options)


def partition_order(rows: Any, kth: Any) -> Any:
    """Which elements NumPy's `partition` puts where."""
    order = np.empty(rows.shape, np.int64)
    places = np.argsort(np.partition(rows, kth, axis=-1), axis=-1, kind="stable")
    np.put_along_axis(order, places, np.argsort(rows, axis=-1, kind="stable"), -1)
    return order


def argpartition(rows: Any, kth: Any) -> Any:
    return np.argpartition(rows, kth, axis=-1)
