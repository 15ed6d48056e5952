"""Which elements an index with constants in it names: parts that share none need not be added up."""

from __future__ import annotations

from typing import Any

from tapeless.autodiff.residuals import Expr

Region = tuple[Any, ...]
_UNKNOWN: Any = object()


def region(e: Expr) -> Region | None:
    """The index along the first axes, as integers and slices of integers; None if it is not all constants."""
    at = _constant(e)
    parts = at if isinstance(at, tuple) else (at,)
    return parts if all(type(p) is int or isinstance(p, slice) for p in parts) else None


def disjoint(a: Region, b: Region) -> bool:
    """Whether no element is in both regions, whatever the lengths of the axes.

    >>> disjoint((slice(None), slice(0, 4)), (slice(None), slice(4, None)))
    True
    >>> disjoint((0,), (-1,))
    False
    """
    return any(_apart(p, q) for p, q in zip(a, b, strict=False))


def _apart(p: Any, q: Any) -> bool:
    (a, b), (c, d) = _bounds(p), _bounds(q)
    return b <= c or d <= a


def _bounds(p: Any) -> tuple[float, float]:
    """The positions from (inclusive) and to (exclusive) which an index reaches; an end that depends on the
    length of the axis is taken as far as it can go."""
    if type(p) is int:
        return (p, p + 1) if p >= 0 else (0, float("inf"))
    if p.step is not None and p.step < 0:
        return 0, float("inf")
    start = p.start if p.start is not None and p.start >= 0 else 0
    stop = p.stop if p.stop is not None and p.stop >= 0 else float("inf")
    return start, stop


def _constant(e: Expr) -> Any:
    """The value of an expression made of literals."""
    if e.kind == "ref":
        inner = e.args[0].expr
        return _UNKNOWN if inner is None else _constant(inner)
    if e.kind == "lit":
        return e.args[0]
    if e.kind not in ("tuple", "slice"):
        return _UNKNOWN
    parts = [_constant(a) for a in e.args]
    if e.kind == "tuple":
        return tuple(parts)
    if all(p is None or type(p) is int for p in parts):
        return slice(*parts)
    return _UNKNOWN
