"""Arguments of primitives in which active values hide: what NumPy makes arrays of, and arrays of objects."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import numpy as np

from tapeless.runtime.items import nones, tuple_tangent
from tapeless.runtime.iteration import Iteration
from tapeless.runtime.mirrors import ATOMS

#: types of arguments that rules know by themselves
KNOWN = ATOMS | {np.ndarray, list, tuple}
_NESTS = frozenset({np.ndarray, list, tuple})


def hides(x: Any) -> bool:
    """Whether an argument, or something in it, is of a type that rules do not know, such as an object."""
    kind = type(x)
    if kind is np.ndarray:
        return bool(x.dtype.kind == "O")
    if kind is list or kind is tuple:
        kinds = set(map(type, x))
        if not kinds <= KNOWN:
            return True
        return not kinds.isdisjoint(_NESTS) and any([type(e) in _NESTS and hides(e) for e in x])
    return kind not in KNOWN


class Arguments(Iteration):
    """`known_arguments` and what it needs."""

    def known_arguments(self, f: Any, args: Any, ts: Any) -> tuple[Any, Any, list[Any]]:
        """Arguments as rules take them: what active values hide in becomes a list, a number or an array.  The
        third result holds the objects with active values that stay what they are."""
        left: list[Any] = []
        pairs = [self.known(f, x, t, left, False) for x, t in zip(args, ts, strict=True)]
        return tuple([x for x, _ in pairs]), tuple([t for _, t in pairs]), left

    def known(self, f: Any, x: Any, t: Any, left: list[Any], inside: bool) -> tuple[Any, Any]:
        kind = type(x)
        if isinstance(x, (list, tuple)):
            return self.known_items(f, x, t, left) if hides(x) else (x, t)
        if isinstance(x, np.ndarray):
            if x.dtype.kind == "O" and self.reaches((x,)):
                left += x.reshape(-1).tolist()
            return x, t
        if isinstance(x, (np.generic, float, complex, int)) or kind in ATOMS:
            return x, t
        method = getattr(kind, "__array__", None)
        if type(method) is FunctionType:  # rules ask for shapes, of constants too
            return self.call(method, (x,), (t,))
        if not self.reaches((x,), (t,)):
            return x, t
        if kind is np.flatiter:  # of contiguous memory NumPy makes a view
            if x.base.flags.c_contiguous:
                return x.base.reshape(-1), None
            return self.getitem(x, None, slice(None), None)[0], None
        if kind is memoryview or hasattr(x, "__array_interface__"):
            window = np.asarray(x)
            if window.dtype.kind in "fc" and self.find_array(window)[1] is None:
                self.missing_rule(f"{name_of(f)}() of a {kind.__name__}")
            return window, None
        if kind is deque or not inside and _is_collection(kind):
            items, found = self.collect(x, t)
            return self.filled(items, found), None
        for name in () if inside else ("__float__", "__complex__"):
            method = getattr(kind, name, None)
            if type(method) is FunctionType:
                return self.call(method, (x,), (t,))
        if not inside:
            self.missing_rule(f"{name_of(f)}() of a {kind.__name__}")
        left.append(x)
        return x, t

    def numeric(self, f: Any, value: Any, t: Any) -> tuple[Any, Any]:
        """A value that `f` puts into an array of numbers, as rules take it."""
        if not hides(value) or (type(value) is not np.flatiter and _is_collection(type(value))):
            return value, t  # of collections NumPy makes no numbers: it refuses them
        left: list[Any] = []
        value, t = self.known(f, value, t, left, False)
        if left:
            self.missing_rule(f"{name_of(f)}() of objects")
        return value, t

    def known_items(self, f: Any, x: Any, t: Any, left: list[Any]) -> tuple[Any, Any]:
        """A list or tuple with its items as rules take them; it itself if that changes none."""
        inner = t
        if not isinstance(x, tuple):
            m = self.mirrors.get(id(x))
            inner = None if m is None else list(m.data)
        inner = nones(len(x)) if inner is None else inner
        pairs = [self.known(f, e, et, left, True) for e, et in zip(x, inner, strict=True)]
        if all([new is old for (new, _), old in zip(pairs, x, strict=True)]):
            return x, t
        items, found = [e for e, _ in pairs], [et for _, et in pairs]
        if isinstance(x, tuple):
            return tuple(items), tuple_tangent(found)
        return self.filled(items, found), None

    def only_moved(self, f: Any, value: Any, args: Any) -> None:
        """Refuse a result that was computed from objects with active values, and does not just hold them."""
        same = {id(x) for x in leaves(args)}
        numbers = isinstance(value, np.ndarray) and value.dtype.kind != "O" and value.size
        if numbers or not all([id(x) in same for x in leaves(value)]):
            self.missing_rule(f"{name_of(f)}() of objects")


def leaves(x: Any) -> Iterator[Any]:
    """What is in lists, tuples and arrays of objects."""
    if isinstance(x, (list, tuple)):
        for e in x:
            yield from leaves(e)
    elif isinstance(x, np.ndarray):
        if x.dtype.kind == "O":
            yield from x.reshape(-1).tolist()
    elif x is not None:
        yield x


def keeping(f: Any, args: tuple[Any, ...], kw: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The call without `overwrite_a=True`, of which SciPy says only that it may overwrite.

    Rules read the arguments after the call, and a result in their memory would be taken for a view of them.
    """
    if any([k.startswith("overwrite_") for k in kw]):
        kw = {k: False if k.startswith("overwrite_") else v for k, v in kw.items()}
    if any([a is True for a in args]) and (getattr(f, "__module__", None) or "").startswith("scipy."):
        names = [*inspect.signature(f).parameters, *[""] * len(args)]
        args = tuple([False if names[k].startswith("overwrite_") else a for k, a in enumerate(args)])
    return args, kw


def _is_collection(kind: type) -> bool:
    return hasattr(kind, "__next__") or kind in (set, frozenset) or kind.__name__.startswith("dict_")


def name_of(f: Any) -> str:
    """What to call a function in a message."""
    owner = getattr(f, "__objclass__", None)
    module = getattr(f, "__module__", None)
    name = getattr(f, "__qualname__", None) or getattr(f, "__name__", None) or type(f).__name__
    if owner is not None:
        return f"{owner.__name__}.{getattr(f, '__name__', name)}"
    return f"{module}.{name}" if module and module != "builtins" else str(name)
