"""Values as vectors of leaves.

The *leaves* of a value are the floats, complex numbers and arrays inside nested tuples, lists, dicts, named
tuples, dataclasses and other objects; a value can be packed into a vector of reals, and made again from one.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapeless.errors import DerivativeMismatch
from tapeless.runtime.tangent import Tangent, tuple_like

Vector = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Leaf:
    path: str
    value: Any


def leaves_of(value: Any) -> list[Leaf]:
    """The differentiable leaves of a value, in a fixed order, each mutable one once.

    >>> [(leaf.path, leaf.value) for leaf in leaves_of({"a": [1.0, 2], "b": (3j, "c")})]
    [("['a'][0]", 1.0), ("['b'][0]", 3j)]
    """
    found: list[Leaf] = []
    _collect(value, "", found, set())
    return found


def _collect(value: Any, path: str, found: list[Leaf], seen: set[int]) -> None:
    if _is_number(value):
        found.append(Leaf(path, value))
        return
    children = _children(value)
    if (children is None and not isinstance(value, np.ndarray)) or id(value) in seen:
        return
    seen.add(id(value))
    if children is None:
        if value.dtype.kind in "fc":
            found.append(Leaf(path, value))
        return
    for key, child in children:
        _collect(child, path + key, found, seen)


def _children(value: Any) -> list[tuple[str, Any]] | None:
    """The parts of a container or object, with how each is reached; None for anything else."""
    if isinstance(value, tuple | list):
        names = getattr(value, "_fields", None)
        keys = [f".{name}" for name in names] if names else [f"[{i}]" for i in range(len(value))]
        return list(zip(keys, value, strict=True))
    if isinstance(value, dict):
        return [(f"[{key!r}]", child) for key, child in value.items()]
    return [(f".{name}", child) for name, child in fields.items()] if (fields := _fields(value)) else None


def _fields(value: Any) -> dict[str, Any]:
    """The attributes of an instance of an ordinary Python class; none for functions, modules and classes."""
    if isinstance(value, Tangent):
        return {name: value[name] for name in value}
    code = (type, FunctionType, MethodType, BuiltinFunctionType, ModuleType)
    if isinstance(value, (*code, np.ndarray, np.generic, str, bytes)):
        return {}
    names = dict.fromkeys(getattr(value, "__dict__", ()))
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names.update(dict.fromkeys((slots,) if isinstance(slots, str) else slots))
    names = {name: None for name in names if not name.startswith("__") and hasattr(value, name)}
    return {name: getattr(value, name) for name in names}


def _is_number(value: Any) -> bool:
    return isinstance(value, float | complex | np.floating | np.complexfloating)


def pack(leaves: list[Leaf]) -> Vector:
    """The leaves as one vector of reals: a complex number takes two places, so that `@` is Re⟨a, b⟩."""
    return np.concatenate([_reals(leaf.value) for leaf in leaves]) if leaves else np.zeros(0)


def _reals(value: Any) -> Vector:
    array = np.asarray(value).ravel()
    if array.dtype.kind == "c":
        array = np.stack([array.real, array.imag], axis=-1).ravel()
    return array.astype(np.float64)


def pack_like(value: Any, template: list[Leaf]) -> Vector:
    """The leaves of `value`, which must match `template`: the result of another call of the same function."""
    leaves = leaves_of(value)
    got = [(leaf.path, np.shape(leaf.value)) for leaf in leaves]
    want = [(leaf.path, np.shape(leaf.value)) for leaf in template]
    if got != want:
        raise DerivativeMismatch(f"the result changes its structure from call to call: {want} and {got}")
    return pack(leaves)


def unpack(value: Any, vector: Vector, tangent: bool = False, once: bool = False) -> Any:
    """`value` with its leaves taken from `vector`; as a tangent, other leaves are None and objects are dicts.

    With `once`, an array that `value` holds twice has zeros at its second place, as in a cotangent, whose
    parts are added up.

    >>> unpack((1.0, [2, 3.0]), np.array([5.0, 6.0]))
    (5.0, [2, 6.0])
    >>> unpack((1.0, [2, 3.0]), np.array([5.0, 6.0]), tangent=True)
    (5.0, [None, 6.0])
    """
    return _Rebuild(tangent, _Reals(vector), once).of(value)


class _Reals:
    """Reads a vector of reals leaf by leaf."""

    def __init__(self, vector: Vector) -> None:
        self.vector, self.at = vector, 0

    def like(self, leaf: Any) -> Any:
        array = np.asarray(leaf)
        size = array.size * (2 if array.dtype.kind == "c" else 1)
        part = self.vector[self.at : self.at + size]
        self.at += size
        if array.dtype.kind == "c":
            part = part[0::2] + 1j * part[1::2]
        if isinstance(leaf, np.ndarray):
            return part.astype(leaf.dtype).reshape(leaf.shape)
        return type(leaf)(part[0])


class _Rebuild:
    """Copies a value with other leaves, keeping what is shared inside it shared."""

    def __init__(self, tangent: bool, leaves: _Reals | None, once: bool = False) -> None:
        self.tangent, self.leaves, self.once, self.made = tangent, leaves, once, dict[int, Any]()

    def of(self, value: Any) -> Any:
        if _is_number(value):
            return value if self.leaves is None else self.leaves.like(value)
        if id(value) in self.made:
            made = self.made[id(value)]
            return np.zeros_like(made) if self.once and isinstance(made, np.ndarray) else made
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "fc" and self.leaves is not None:
                made = self.leaves.like(value)
            else:
                made = None if self.tangent else value.copy(order="K")
            self.made[id(value)] = made
            return made
        if isinstance(value, tuple):
            parts = [self.of(child) for child in value]
            return tuple_like(type(value), parts) if hasattr(value, "_fields") else type(value)(parts)
        if isinstance(value, list):
            items: list[Any] = []
            self.made[id(value)] = items
            items.extend(self.of(child) for child in value)
            return items
        if isinstance(value, dict):
            entries = {} if self.tangent else copy.copy(value)
            self.made[id(value)] = entries
            for key, child in value.items():
                entries[key] = self.of(child)
            return entries
        if fields := _fields(value):
            fresh: Any = {} if self.tangent else copy.copy(value)
            if isinstance(value, Tangent) and not self.tangent:
                fresh = Tangent(type(value).__name__, {})
            self.made[id(value)] = fresh
            for name, child in fields.items():
                part = self.of(child)
                if self.tangent:
                    fresh[name] = part
                elif isinstance(fresh, Tangent):
                    setattr(fresh, name, part)
                elif part is not child:
                    object.__setattr__(fresh, name, part)
            return fresh
        return None if self.tangent else value


def copies(args: Sequence[Any]) -> list[Any]:
    """The arguments, to be overwritten at will; what two of them share, their copies share."""
    rebuild = _Rebuild(tangent=False, leaves=None)
    return [rebuild.of(arg) for arg in args]


def pack_tangent(tangent: Any, value: Any) -> Vector:
    """A tangent of `value` as a vector, in the order of the leaves of `value`."""
    parts: list[Vector] = []
    _collect_tangent(tangent, value, "", parts, set())
    return np.concatenate(parts) if parts else np.zeros(0)


def _collect_tangent(tangent: Any, value: Any, path: str, parts: list[Vector], seen: set[int]) -> None:
    children = _children(value)
    leaf = _is_number(value) or (isinstance(value, np.ndarray) and value.dtype.kind in "fc")
    if not leaf and children is None:
        return
    if not _is_number(value):
        if id(value) in seen:
            return
        seen.add(id(value))
    if leaf:
        if np.shape(tangent) != np.shape(value) or tangent is None:
            where = path and " at " + path
            raise DerivativeMismatch(
                f"the derivative{where} is {described(tangent)}, and the value {described(value)}"
            )
        if np.asarray(value).dtype.kind == "c":
            tangent = np.asarray(tangent, dtype=complex)
        elif np.asarray(tangent).dtype.kind == "c":
            raise DerivativeMismatch(f"the derivative{path and ' at ' + path} is complex, and the value real")
        parts.append(_reals(tangent))
        return
    for (key, child), part in zip(children or [], _tangent_children(tangent, value), strict=True):
        _collect_tangent(part, child, path + key, parts, seen)


def _tangent_children(tangent: Any, value: Any) -> Iterator[Any]:
    if isinstance(value, tuple | list):
        if len(tangent) != len(value):
            raise DerivativeMismatch(f"a derivative has {len(tangent)} parts, and the value {len(value)}")
        yield from tangent
    elif isinstance(value, dict):
        yield from (tangent[key] for key in value)
    else:
        for name in _fields(value):
            yield tangent[name] if isinstance(tangent, dict | Tangent) else getattr(tangent, name)


def jacobian_of(result: Any, argument: Any, matrix: Vector) -> Any:
    """The real matrix of derivatives, in the structure of the argument in each leaf of the result."""
    if _is_number(result) and not isinstance(result, complex | np.complexfloating):
        return unpack(argument, matrix[0], tangent=True)
    rows = _Rows(matrix)
    return _Rebuild(tangent=True, leaves=_JacobianLeaves(rows, argument)).of(result)


class _Rows:
    def __init__(self, matrix: Vector) -> None:
        self.matrix, self.at = matrix, 0

    def take(self, count: int) -> Vector:
        self.at += count
        return self.matrix[self.at - count : self.at]


class _JacobianLeaves(_Reals):
    """For each leaf of a result, the derivative by the whole argument."""

    def __init__(self, rows: _Rows, argument: Any) -> None:
        super().__init__(np.zeros(0))
        self.rows, self.argument = rows, argument

    def like(self, leaf: Any) -> Any:
        array = np.asarray(leaf)
        twice = array.dtype.kind == "c"
        block: NDArray[Any] = self.rows.take(array.size * (2 if twice else 1))
        if twice:
            block = block[0::2] + 1j * block[1::2]
        return _Rebuild(tangent=True, leaves=_Columns(block, array.shape, twice)).of(self.argument)


class _Columns(_Reals):
    """For each leaf of the argument, its columns of one block of rows."""

    def __init__(self, block: NDArray[Any], shape: tuple[int, ...], twice: bool) -> None:
        super().__init__(np.zeros(0))
        self.block, self.shape, self.twice = block, shape, twice

    def like(self, leaf: Any) -> Any:
        array = np.asarray(leaf)
        count = array.size * (2 if array.dtype.kind == "c" else 1)
        part = self.block[:, self.at : self.at + count]
        self.at += count
        if array.dtype.kind == "c":
            if self.twice:
                raise TypeError(
                    "finite_difference: a complex result by a complex argument has no single complex "
                    "derivative: differentiate its .real and .imag, or with respect to real arguments"
                )
            part = part[:, 0::2] + 1j * part[:, 1::2]
        full = part.reshape(self.shape + array.shape)
        return full if full.shape else full[()]


def described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} of shape {value.shape}"
    return f"{value!r} of type {type(value).__name__}"
