"""The one place that asks which functions this version of NumPy, SciPy or Python has."""

from __future__ import annotations

import importlib
from types import BuiltinFunctionType
from typing import Any

import numpy as np

_OLD_NUMPY = np.__version__.startswith("1.")


def find(path: str) -> Any:
    """The object at a dotted path such as "numpy._core.multiarray.interp", or None where this version lacks
    it."""
    if _OLD_NUMPY:
        path = path.replace("numpy._core", "numpy.core")  # the name before NumPy 2
    first, *names = path.split(".")
    try:
        found: Any = importlib.import_module(first)
        for name in names:
            below = getattr(found, name, None)
            if below is None and hasattr(found, "__path__"):  # a module of a package that nobody imported yet
                below = importlib.import_module(f"{found.__name__}.{name}")
            if below is None:
                return None
            found = below
    except ImportError:
        return None
    return found


def implementation(function: Any) -> Any:
    """The C function below a public NumPy function that only dispatches; or None."""
    below = getattr(function, "_implementation", None)
    return below if isinstance(below, BuiltinFunctionType) else None


def find_all(*paths: str) -> list[Any]:
    """Those of the objects that exist."""
    return [found for found in map(find, paths) if found is not None]
