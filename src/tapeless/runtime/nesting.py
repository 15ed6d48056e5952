"""A derivative inside a derivative: the runtime is ordinary Python, so an outer run opens it like any other package.

Only what the runtime asks about code and memory is run as it is: it carries no derivative.
"""

from __future__ import annotations

import gc
import sys
import types
import weakref
from typing import Any

import numpy as np

from tapeless.autodiff.dual import dual_of
from tapeless.frontend.lower import lower
from tapeless.rules import lookup
from tapeless.rules.spaces import space_of
from tapeless.runtime.calls import HANDLERS, Calls, may_warn, needs_result
from tapeless.runtime.construct import build_class, cell_read_by
from tapeless.runtime.mirrors import address, dense_size, has_tangent, low_address, owner
from tapeless.runtime.operators import is_python
from tapeless.runtime.state import ArrayRef, State


def _plainly(f: Any) -> Any:
    return lambda run, args, ts, kw, kts: (f(*args, **kw), None)


for _f in (dual_of, lower, lookup, owner, address, low_address, dense_size, has_tangent, is_python, State.reaches, Calls.where,
           weakref.ref, ArrayRef, weakref.proxy, gc.get_referents, needs_result, may_warn, build_class, cell_read_by, space_of, State.find_array, sys._getframe, sys.getrecursionlimit, sys.setrecursionlimit):
    HANDLERS[_f] = _plainly(_f)


def _ndarray(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    """`np.ndarray(shape, dtype, buffer, …)` is a view of its buffer, so it needs no tangent of its own."""
    run.snapshots.clear()
    return np.ndarray(*args, **kw), None


HANDLERS[np.ndarray] = _ndarray
for _maker in (types.FunctionType, types.MethodType, types.CellType, types.TracebackType, types.SimpleNamespace, types.MappingProxyType):
    if _maker is not types.SimpleNamespace:
        HANDLERS[_maker] = _plainly(_maker)
for _get in (types.FunctionType.__get__, property.__get__):
    HANDLERS[_get] = _plainly(_get)


class deep_recursion:
    """While derivatives run, Python may recurse deeper: a frame of the program becomes a few."""

    depth = 0
    factor = 12

    def __enter__(self) -> None:
        cls = deep_recursion
        if cls.depth == 0:
            cls.limit = sys.getrecursionlimit()  # type: ignore[attr-defined]
            sys.setrecursionlimit(min(cls.limit * cls.factor, 60_000))  # type: ignore[attr-defined]
        cls.depth += 1

    def __exit__(self, *error: Any) -> None:
        cls = deep_recursion
        cls.depth -= 1
        if cls.depth == 0:
            sys.setrecursionlimit(cls.limit)  # type: ignore[attr-defined]
