"""Where functions that are no ufuncs take `out`, the array that their result goes into, by position."""

from __future__ import annotations

import functools
import inspect
from typing import Any

#: Of functions of NumPy in C, which have no signature in some of its versions.
_PLACES = {
    "all": 2, "any": 2, "argmax": 2, "argmin": 2, "choose": 2, "clip": 3, "compress": 3, "concatenate": 2,
    "cumprod": 3, "cumsum": 3, "dot": 2, "max": 2, "mean": 3, "min": 2, "prod": 3, "round": 2, "std": 3,
    "sum": 3, "take": 3, "trace": 5, "var": 3, "accumulate": 3, "reduce": 3, "reduceat": 4,
}  # fmt: skip
_NOWHERE = 1000


@functools.cache
def place_of_out(f: Any) -> int:
    """The position of the argument `out` of a function; of a method, its object counted.

    >>> import numpy as np
    >>> place_of_out(np.cumsum), place_of_out(np.ndarray.clip)
    (3, 3)
    """
    if (_module(f) or "").split(".")[0] not in ("numpy", "scipy"):
        return _NOWHERE  # `out` may mean anything
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        return _PLACES.get(getattr(f, "__name__", ""), _NOWHERE)
    places = [k for k, p in enumerate(parameters) if p.name == "out" and p.kind is not p.KEYWORD_ONLY]
    return places[0] if places else _NOWHERE


def _module(f: Any) -> str | None:
    """The module of a function, of a method's class, or of the object that a method is bound to."""
    owner = getattr(f, "__objclass__", None) or type(getattr(f, "__self__", None))
    found: str | None = getattr(f, "__module__", None) or owner.__module__
    return found
