"""Mirrors: where the tangents of mutable things live, and how a run finds them.

A mirror is found by the identity of the object it belongs to.  A list's mirror holds a list of companions,
those of dicts, objects, cells and sets hold a dict; an array's mirror belongs to the owner of the memory,
the end of its `.base` chain, so that every view is a window on one storage.
"""

from __future__ import annotations

import ctypes
import functools
import gc
import sys
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

ATOMS = frozenset({
    int, float, bool, complex, str, bytes, type(None), type, types.ModuleType, types.BuiltinFunctionType,
    range, slice, types.CodeType, np.dtype, np.float64, np.float32, np.int64, np.bool_, np.int32,
    np.complex128, np.ufunc, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.GetSetDescriptorType, type(Ellipsis), types.NotImplementedType, type(weakref.ref(type)),
    types.GenericAlias,
})  # fmt: skip


class Mirror:
    """The tangents of one mutable object, which it keeps alive for the run."""

    __slots__ = ("data", "obj")

    def __init__(self, obj: Any, data: Any) -> None:
        self.obj = obj
        self.data = data


class ArrayMirror(weakref.ref):  # type: ignore[type-arg]
    """The tangent storage of an array that owns its memory, and a weak reference to that array.

    `key` is what it is entered under, `low` its lowest address once that was asked for; `value` belongs to
    the mode of the run.  `flat` tells, in reverse mode, that `value` lives in memory order (one axis) rather
    than in the owner's shape; `read` holds the entries of elements read from that value.
    """

    __slots__ = ("flat", "key", "low", "read", "value")

    flat: bool
    key: int
    low: int | None
    read: Any
    value: Any


class Slot:
    """The side channel of a generator: companions of what it yields, is sent, and returns."""

    __slots__ = ("out", "ref", "returned", "sent")

    def __init__(self) -> None:
        self.out: Any = None
        self.sent: Any = None
        self.returned: Any = None
        self.ref: Any = None

    def take(self) -> Any:
        """The companion of the value just sent."""
        t, self.sent = self.sent, None
        return t


def owner(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array that owns the memory of `a`: the end of its `.base` chain."""
    base = a.base
    while base is not None:
        if isinstance(base, np.ndarray):
            a, base = base, base.base
        elif isinstance(base, memoryview):
            base = base.obj
        elif isinstance(base, np.nditer):
            base = operand_at(base, address(a))
        else:  # as_strided puts an object between the view and its base
            further = getattr(base, "base", None)
            base = None if further is base else further  # an array of Cython is its own base
    return a


def operand_at(iterator: np.nditer, where: int) -> Any:
    """The operand of an iterator whose memory holds the address `where`."""
    try:
        operands = iterator.operands
    except ValueError:  # it is closed
        return None
    for x in operands:
        low = low_address(x)
        if low <= where < low + dense_size(x) * x.itemsize:
            return x
    return None


def _asked(a: np.ndarray[Any, Any]) -> int:
    where: int = a.__array_interface__["data"][0]
    return where


def _read(a: np.ndarray[Any, Any]) -> int:
    return _number_at(id(a) + _HEADER).value


_number_at, _HEADER = ctypes.c_size_t.from_address, object.__basicsize__


def _header_is_known() -> bool:
    if sys.implementation.name != "cpython":
        return False
    return all(_read(a) == _asked(a) for a in (np.zeros((3, 2)), np.zeros((3, 2))[::-1, 1:].T))


#: Where the first element of an array is.  NumPy's interface is a dict made anew, which takes six times as
#: long as to read the field behind the header of the object.
address: Callable[[Any], int] = _read if _header_is_known() else _asked


def memory(
    buffer: np.ndarray[Any, Any], like: np.ndarray[Any, Any], base: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    """The window of `buffer`, one axis in the memory order of `base`, for the view `like` of `base`."""
    if like.size == 0:  # strides of no elements fit nowhere
        return np.empty(like.shape, like.dtype)
    offset = address(like) - low_address(base)
    return np.ndarray(like.shape, like.dtype, buffer, offset, like.strides)


def low_address(a: np.ndarray[Any, Any]) -> int:
    """The lowest address of the memory of `a`."""
    low = address(a)
    for n, stride in zip(a.shape, a.strides, strict=True):
        if stride < 0 and n > 0:
            low += stride * (n - 1)
    return low


def dense_size(a: np.ndarray[Any, Any]) -> int:
    """How many items the memory between the first and the last element of `a` holds."""
    if a.size == 0:
        return 0
    span = sum(abs(s) * (n - 1) for n, s in zip(a.shape, a.strides, strict=True))
    return int(span // a.itemsize + 1)


def has_tangent(t: Any) -> bool:
    """Whether a companion holds anything."""
    if t is None:
        return False
    if isinstance(t, (tuple, list)):
        return any(has_tangent(e) for e in t)
    if isinstance(t, dict):
        return any(has_tangent(e) for e in t.values())
    return True


def references(x: Any) -> Iterable[Any]:
    """What can be reached in one step from `x`, as far as a derivative may hide there."""
    kind = type(x)
    if kind in ATOMS or issubclass(kind, type):
        return ()
    if kind in weakref.ProxyTypes:
        try:
            return (x.__reduce_ex__.__self__,)
        except ReferenceError:
            return ()
    if isinstance(x, (list, tuple, set, frozenset, deque)):
        return list(x)
    if isinstance(x, dict):
        return list(x.values())
    if kind is types.FunctionType:
        return [*(x.__closure__ or ()), *(x.__defaults__ or ()), x.__kwdefaults__]
    if kind is types.MethodType:
        return (x.__self__, x.__func__)
    if kind is types.CellType:
        try:
            return (x.cell_contents,)
        except ValueError:
            return ()
    if kind is functools.partial:
        return (x.func, *x.args, x.keywords)  # companions are kept for the dict
    if isinstance(x, np.ndarray):
        return x.reshape(-1).tolist() if x.dtype == object else ()
    if isinstance(x, np.flatiter):
        return (x.base,)
    if isinstance(x, np.nditer):
        return x.operands
    if isinstance(x, memoryview):
        return (x.obj,)
    if isinstance(x, np.broadcast):
        return [it.base for it in x.iters]
    attributes = getattr(x, "__dict__", None)
    if isinstance(attributes, dict):
        found = list(attributes.values())
        if isinstance(x, BaseException):
            found += x.args
        for cls in kind.__mro__:
            slots = getattr(cls, "__slots__", ())
            for name in slots if isinstance(slots, (tuple, list)) else ():
                found.append(getattr(x, name, None))
        return found
    return [r for r in gc.get_referents(x) if not issubclass(type(r), (type, types.ModuleType))]
