"""A derivative inside a derivative: the runtime is ordinary Python, and an outer run opens it too.

Only what the runtime asks about code and memory is run as it is: it carries no derivative.
"""

from __future__ import annotations

import gc
import sys
import threading
import types
import weakref
from typing import Any

import numpy as np

from tapeless.autodiff.dual import dual_of
from tapeless.rules import lookup
from tapeless.rules.spaces import space_of
from tapeless.runtime.calls import HANDLERS, Calls
from tapeless.runtime.construct import build_class, cell_read_by
from tapeless.runtime.hooks import hook, watched
from tapeless.runtime.items import asks_index
from tapeless.runtime.mirrors import ArrayMirror, address, dense_size, has_tangent, low_address, owner
from tapeless.runtime.operators import is_python
from tapeless.runtime.primitives import may_warn, needs_result
from tapeless.runtime.state import State
from tapeless.runtime.tracebacks import user_frame


def _plainly(f: Any) -> Any:
    return lambda run, args, ts, kw, kts: (f(*args, **kw), None)


for _f in (
    types.prepare_class, types.resolve_bases, dual_of, lookup, owner, address, low_address,
    dense_size, has_tangent, is_python, State.reaches, Calls.where, weakref.ref, ArrayMirror, weakref.proxy,
    Calls.reaches_by_name,
    gc.get_referents, needs_result, may_warn, build_class, cell_read_by, space_of, State.find_array,
    user_frame, watched, hook, asks_index, sys.getrecursionlimit, sys.setrecursionlimit,
):  # fmt: skip
    HANDLERS[_f] = _plainly(_f)


def _ndarray(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    """`np.ndarray(shape, dtype, buffer, …)` is a view of its buffer, so it needs no tangent of its own."""
    run.snapshots.clear()
    return np.ndarray(*args, **kw), None


HANDLERS[np.ndarray] = _ndarray


def _view(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    """`a.view(…)` is a window on the memory of `a`, as long as it shows floats as floats."""
    value = args[0].view(*args[1:], **kw)
    if args[0].dtype.kind in "fc" and value.dtype.kind not in "fc" and run.reaches(args[:1]):
        return run.foreign(np.ndarray.view, args, ts, kw, kts)
    return value, None


HANDLERS[np.ndarray.view] = _view
for _maker in (types.TracebackType, types.MappingProxyType):
    HANDLERS[_maker] = _plainly(_maker)


def _method(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    """`MethodType(function, owner)`; an owner that is a number has no place for a companion there."""
    if any(has_tangent(t) for t in ts):
        return run.foreign(types.MethodType, args, ts, kw, kts)
    return types.MethodType(*args, **kw), None


HANDLERS[types.MethodType] = _method


def _cell(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    """`CellType(value)`: what the cell holds has a companion."""
    cell = types.CellType(*args)
    run.put(cell, 0, ts[0] if ts else None)
    return cell, None


HANDLERS[types.CellType] = _cell


def _function(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    """`FunctionType(code, globals, name, defaults, closure)`: defaults may have companions."""
    f = types.FunctionType(*args, **kw)
    run.put(f, "__defaults__", ts[3] if len(ts) > 3 else kts.get("argdefs"))
    return f, None


HANDLERS[types.FunctionType] = _function
HANDLERS[types.FunctionType.__get__] = _plainly(types.FunctionType.__get__)


def in_room(f: Any, *args: Any) -> Any:
    """Call `f` where the frames of the calls that it makes lie side by side.

    CPython keeps frames in chunks of 16 KB.  Where one ends, every call of a loop asks the system for a new
    chunk and gives it back, which takes many times as long as the call; whether that hits a hot loop depends
    on how deep the caller is.  A frame that claims half a megabyte gets a chunk of one, and the rest of it
    is for its callees.
    """
    return f(*args)


in_room.__code__ = in_room.__code__.replace(co_stacksize=1 << 16)

#: runs with more operations than this are worth a chunk of memory of their own
MANY = 1000


class long_run:
    """While derivatives run, Python may recurse deeper (a frame of the program becomes a few), and the cyclic
    garbage collector comes less often: a record is many objects that live until its end, none garbage."""

    depth = 0
    factor = 12
    limit = 1000
    thresholds = (700, 10, 10)
    lock = threading.Lock()

    def __enter__(self) -> None:
        cls = long_run
        with cls.lock:
            if cls.depth == 0:
                cls.limit, cls.thresholds = sys.getrecursionlimit(), gc.get_threshold()
                sys.setrecursionlimit(min(cls.limit * cls.factor, 60_000))
                if cls.thresholds[0]:
                    gc.set_threshold(max(cls.thresholds[0], 200_000), cls.thresholds[1], cls.thresholds[2])
            cls.depth += 1

    def __exit__(self, *error: Any) -> None:
        cls = long_run
        with cls.lock:
            cls.depth -= 1
            if cls.depth == 0:
                sys.setrecursionlimit(cls.limit)
                gc.set_threshold(*cls.thresholds)


for _switch in (long_run.__enter__, long_run.__exit__):
    HANDLERS[_switch] = _plainly(_switch)
