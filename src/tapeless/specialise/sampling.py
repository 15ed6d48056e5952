"""Result types of pure primitives, by calling them on tiny samples of the operand types: the library's own
answer."""

from __future__ import annotations

import itertools
import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tapeless.specialise.types import (
    Array,
    Const,
    Dict,
    List,
    NotTyped,
    Opaque,
    Scalar,
    Struct,
    Tuple,
    join,
    key_of,
    type_of,
)  # fmt: skip

BINARY: dict[str, Callable[..., Any]] = {
    "Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "Div": operator.truediv,
    "Pow": operator.pow,     "Mod": operator.mod, "FloorDiv": operator.floordiv,
    "MatMult": operator.matmul, "BitAnd": operator.and_,
    "BitOr": operator.or_, "BitXor": operator.xor, "LShift": operator.lshift, "RShift": operator.rshift,
}  # fmt: skip
UNARY: dict[str, Callable[..., Any]] = {
    "USub": operator.neg, "UAdd": operator.pos, "Not": operator.not_, "Invert": operator.invert,
}  # fmt: skip
COMPARE: dict[str, Callable[..., Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip

_SCALARS: dict[str, list[Any]] = {
    "bool": [True], "int": [1], "float": [0.5], "complex": [0.5 + 0.25j],
}  # fmt: skip
_cache: dict[Any, Any] = {}


def samples(t: Any) -> list[Any]:
    """A few values of the type, one for each kind that a scalar may have."""
    match t:
        case Scalar(kinds=kinds):
            found: list[Any] = []
            for kind in sorted(kinds):
                found += _SCALARS.get(kind) or [np.dtype(kind).type(1 if kind[0] in "iub" else 0.5)]
            return found
        case Array(dtype=dtype, ndim=ndim):
            return [np.full((1,) * ndim, 1 if dtype[0] in "iub" else 0.5, dtype)]
        case Const(value=value):
            return [value]
        case Opaque(cls=cls) if cls is str:
            return ["a"]
        case Opaque(cls=cls) if cls is slice:
            return [slice(None)]
        case Tuple(elems=elems, cls=cls):
            parts = [samples(e)[0] for e in elems]
            return [tuple(parts) if cls is tuple else cls(*parts)]
        case List(elem=elem) if elem is not None:
            return [[s] for s in samples(elem)]
    raise NotTyped(f"no sample of {t!r}")


def result_type(
    function: Callable[..., Any], kinds: list[Any], keywords: dict[str, Any] | None = None
) -> Any:
    """The type of `function` called on values of `kinds`; raises `NotTyped` where samples do not tell."""
    key = (
        function,
        tuple(map(key_of, kinds)),
        tuple(sorted((k, key_of(v)) for k, v in (keywords or {}).items())),
    )
    try:
        hash(key)
    except TypeError as error:
        raise NotTyped(f"a call of {function!r}") from error
    if key not in _cache:
        _cache[key] = _sampled(function, kinds, keywords or {})
    return _cache[key]


def _sampled(function: Callable[..., Any], kinds: list[Any], keywords: dict[str, Any]) -> Any:
    if any(isinstance(k, Struct | Dict) for k in kinds):
        raise NotTyped(f"a call of {getattr(function, '__name__', function)} on an object")
    result: Any = None
    found = False
    for args in itertools.product(*(samples(k) for k in kinds)):
        for values in itertools.product(*(samples(k) for k in keywords.values())):
            try:
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    value = function(*args, **dict(zip(keywords, values, strict=True)))
            except (TypeError, ValueError, IndexError, ArithmeticError, np.linalg.LinAlgError):
                continue
            kind = type_of(value)
            if isinstance(kind, Const):
                kind = Opaque(type(value)) if value is not None else kind
            both = kind if not found else join(result, kind)
            if both is None:
                raise NotTyped(f"{getattr(function, '__name__', function)} has results of several types")
            result, found = both, True
    if not found:
        raise NotTyped(f"{getattr(function, '__name__', function)} cannot be tried on {kinds}")
    return result


def operator_type(table: dict[str, Callable[..., Any]], name: str, kinds: list[Any]) -> Any:
    """The type of an operator's result."""
    if name == "Pow" and all(isinstance(k, Scalar) for k in kinds):
        base, exponent = (k.kinds for k in kinds)
        if base <= {"int", "bool"} and exponent <= {"int", "bool"}:
            return Scalar(frozenset({"int", "float"}))  # 2 ** -1 is a float
    return result_type(table[name], kinds)
