"""Python twins of builtin and C functions: ordinary functions that are opened in their place.

Each does what the original does, as its documentation gives it; companions then follow by themselves.
"""
# The twins are read as source and opened like functions of the program: they stay without annotations.
# mypy: disable-error-code="no-untyped-def,no-untyped-call"

from __future__ import annotations

import builtins
import collections
import functools
import importlib
import importlib.util
import sys
from types import FunctionType, ModuleType
from typing import Any

from tapeless.runtime.calls import ACCELERATORS, HANDLERS, TWINS
from tapeless.runtime.handlers import made_plainly

_MISSING = object()


def twin(*originals: Any) -> Any:
    """Register a function as the twin of C functions."""

    def decorate(f: FunctionType) -> FunctionType:
        for original in originals:
            TWINS[original] = f
        return f

    return decorate


# ---- builtins


def strict_zip(iterables):
    """`zip(*iterables, strict=True)`."""
    iterators = [iter(it) for it in iterables]
    while iterators:
        items = []
        for k in range(len(iterators)):
            try:
                items.append(next(iterators[k]))
            except StopIteration:
                if k > 0:
                    plural = " " if k == 1 else "s 1-"
                    raise ValueError(f"zip() argument {k + 1} is shorter than argument{plural}{k}") from None
                for j in range(1, len(iterators)):
                    try:
                        next(iterators[j])
                    except StopIteration:
                        continue
                    plural = " " if j == 1 else "s 1-"
                    raise ValueError(f"zip() argument {j + 1} is longer than argument{plural}{j}") from None
                return
        yield tuple(items)


@twin(builtins.any)
def _any(iterable):
    for item in iterable:
        if item:
            return True
    return False


@twin(builtins.all)
def _all(iterable):
    for item in iterable:
        if not item:
            return False
    return True


@twin(builtins.min)
def _min(*args, key=None, default=_MISSING):
    return _extreme("min", args, key, default, lambda a, b: a < b)


@twin(builtins.max)
def _max(*args, key=None, default=_MISSING):
    return _extreme("max", args, key, default, lambda a, b: a > b)


def _extreme(name, args, key, default, better):
    if len(args) > 1 and default is not _MISSING:
        raise TypeError(f"Cannot specify a default for {name}() with multiple positional arguments")
    found = False
    best = best_key = None
    for item in args[0] if len(args) == 1 else args:
        item_key = item if key is None else key(item)
        if not found or better(item_key, best_key):
            found, best, best_key = True, item, item_key
    if found:
        return best
    if default is _MISSING:
        raise ValueError(
            f"{name}() arg is an empty sequence"
            if sys.version_info < (3, 12)
            else f"{name}() iterable argument is empty"
        )
    return default


@twin(builtins.sorted)
def _sorted(iterable, /, *, key=None, reverse=False):
    items = [item for item in iterable]
    items.sort(key=key, reverse=reverse)
    return items


@twin(list.sort)
def _sort(items, *, key=None, reverse=False):
    old = list.__getitem__(items, slice(None))  # a subclass may have its own ways to its items
    keys = old if key is None else [key(item) for item in old]
    list.__setitem__(items, slice(None), [old[k] for k in _order(keys, reverse)])


def _order(keys, reverse):
    """The positions that sort the keys, by a stable merge that asks the same `<` as `list.sort`."""
    if comparable_in_c(keys):
        return sorted_positions(keys, reverse)
    positions = list(range(len(keys)))
    if reverse:
        positions.reverse()
    done = _merge(keys, positions)
    if reverse:
        done.reverse()
    return done


def _merge(keys, positions):
    n = len(positions)
    if n < 2:
        return positions
    left, right = _merge(keys, positions[: n // 2]), _merge(keys, positions[n // 2 :])
    out = []
    i = j = 0
    while i < len(left) and j < len(right):
        if keys[right[j]] < keys[left[i]]:
            out.append(right[j])
            j += 1
        else:
            out.append(left[i])
            i += 1
    return out + left[i:] + right[j:]


def comparable_in_c(keys: Any) -> bool:
    """Whether C may compare the keys: numbers, strings, and tuples of them."""
    for key in keys:
        if isinstance(key, tuple):
            if not comparable_in_c(key):
                return False
        elif type(key).__module__ not in ("builtins", "numpy", "datetime"):
            return False
    return True


def sorted_positions(keys: Any, reverse: bool) -> list[int]:
    """Positions of the sorted keys (`sorted` itself, run as it is)."""
    plain = list(keys)
    return sorted(range(len(plain)), key=plain.__getitem__, reverse=bool(reverse))


@twin(functools.reduce)
def _reduce(function, sequence, initial=_MISSING):
    it = iter(sequence)
    if initial is _MISSING:
        try:
            value = next(it)
        except StopIteration:
            raise TypeError("reduce() of empty iterable with no initial value") from None
    else:
        value = initial
    for element in it:
        value = function(value, element)
    return value


_TABLES: Any = (dict(), collections.OrderedDict())
_VIEWS: Any = tuple({type(v) for d in _TABLES for v in (d.keys(), d.values(), d.items())})
_BY_POSITION: Any = (list, collections.deque, dict, range, *_VIEWS)
_REVERSED_COPIES: Any = (dict, range, *_VIEWS)


@twin(builtins.reversed)
def _reversed(sequence):
    if hasattr(type(sequence), "__reversed__") and not isinstance(sequence, _BY_POSITION):
        return sequence.__reversed__()
    if isinstance(sequence, _REVERSED_COPIES):
        return iter(list(sequence)[::-1])
    if not hasattr(sequence, "__len__"):
        raise TypeError(f"'{type(sequence).__name__}' object is not reversible")
    return _reversed_items(sequence, len(sequence))


def _reversed_items(sequence, n):
    for i in range(n - 1, -1, -1):
        yield sequence[i]


# ---- functools, collections


@twin(functools.cmp_to_key)
def _cmp_to_key(compare):
    return functools.partial(_Compared, compare)


class _Compared:
    def __init__(self, compare, obj):
        self.compare, self.obj = compare, obj

    def __lt__(self, other):
        return self.compare(self.obj, other.obj) < 0

    def __gt__(self, other):
        return self.compare(self.obj, other.obj) > 0

    def __eq__(self, other):
        return self.compare(self.obj, other.obj) == 0

    __hash__ = None  # type: ignore[assignment]


@twin(collections._count_elements)  # type: ignore[attr-defined]
def _count_elements(mapping, iterable):
    for element in iterable:
        mapping[element] = mapping.get(element, 0) + 1


# ---- modules of the standard library that have a C accelerator


def _without_accelerator(name: str, accelerators: list[str]) -> ModuleType:
    """The Python source of a module, loaded beside the real one, without its C accelerator."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    saved = {a: sys.modules.get(a) for a in accelerators}
    try:
        for a in accelerators:
            sys.modules[a] = None  # type: ignore[assignment]
        spec.loader.exec_module(module)
    finally:
        for a, found in saved.items():
            if found is None:
                sys.modules.pop(a, None)
            else:
                sys.modules[a] = found
    return module


def _register_module(name: str, accelerators: list[str]) -> None:
    real, python = importlib.import_module(name), _without_accelerator(name, accelerators)
    for attribute, f in vars(python).items():
        original = getattr(real, attribute, None)
        if type(f) is FunctionType and original is not None and type(original) is not FunctionType:
            TWINS[original] = f


for _real, _accelerator in (("heapq", "_heapq"), ("bisect", "_bisect"), ("statistics", "_statistics")):
    ACCELERATORS[_accelerator] = functools.partial(_register_module, _real, [_accelerator])


for _helper in (comparable_in_c, sorted_positions):
    HANDLERS[_helper] = made_plainly(_helper)
