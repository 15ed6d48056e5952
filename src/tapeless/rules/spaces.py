"""Where tangents live: all arithmetic that depends on the type of a number, in one place.

A `Space` says what kind of value a tangent or cotangent is (a Python float or complex, a NumPy scalar, an
array), with its dtype and shape. Rules are written as if types did not matter; `fit` puts a rule's tangent
into the space of the result, and `fold` puts a cotangent into the space of an operand. Both are the only
places where broadcasting is undone, complex values are projected on reals, and dtypes are restored.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Space:
    """The kind ("float", "complex", "scalar" of NumPy, "array"), dtype and shape of a value with a
    derivative."""

    __slots__ = ("dtype", "kind", "shape")

    def __init__(self, kind: str, dtype: Any, shape: tuple[int, ...]) -> None:
        self.kind = kind
        self.dtype = dtype
        self.shape = shape

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space):
            return NotImplemented
        return self.kind == other.kind and self.dtype == other.dtype and self.shape == other.shape

    def __hash__(self) -> int:
        return hash((self.kind, self.dtype, self.shape))

    def __repr__(self) -> str:
        return f"Space({self.kind}, {self.dtype}, {self.shape})"


FLOAT = Space("float", np.dtype(np.float64), ())
COMPLEX = Space("complex", np.dtype(np.complex128), ())


_SCALARS = {
    kind: Space("scalar", np.dtype(kind), ())
    for kind in (
        np.float16,
        np.float32,
        np.float64,
        np.longdouble,
        np.complex64,
        np.complex128,
        np.clongdouble,
    )
}


class Symbolic:
    """A tangent that is an entry of a record rather than a number: the base of `autodiff.linear.Lin`.

    It has `record`, `index` and `space`; rules never look inside one.
    """

    __slots__ = ("index", "record", "space")

    record: Any
    index: int
    space: Space


def space_of(x: Any) -> Space | None:
    """The space of the derivatives of `x`; None when `x` has none (an integer, a string, an array of
    integers)."""
    kind = type(x)
    if kind is float:
        return FLOAT
    if kind is np.ndarray:
        return Space("array", x.dtype, x.shape) if x.dtype.kind in "fc" else None
    if kind is complex:
        return COMPLEX
    if isinstance(x, np.generic):
        return _SCALARS.get(kind) or next((_SCALARS[base] for base in kind.__mro__ if base in _SCALARS), None)
    if isinstance(x, Symbolic):
        return x.space
    if isinstance(x, Space):
        return x
    if isinstance(x, float):
        return FLOAT
    if isinstance(x, complex):
        return COMPLEX
    if isinstance(x, np.ndarray) and x.dtype.kind in "fc":
        return Space("array", x.dtype, x.shape)
    return None


def zeros(space: Space) -> Any:
    """A zero of the space, which the caller owns."""
    if space is FLOAT:
        return 0.0
    if space.kind == "array":
        return np.zeros(space.shape, space.dtype)
    if space.kind == "scalar":
        return space.dtype.type(0)
    return 0j if space.kind == "complex" else 0.0


def shadow(space: Space) -> Any:
    """A value of the right type, dtype and shape that costs no memory: for functions that only ask for
    these."""
    if space.kind == "array":
        return np.broadcast_to(np.zeros((), space.dtype), space.shape)
    return zeros(space)


def zeros_like_space(x: Any) -> Any:
    """Zeros for the derivative of `x`: None where it has none; tuples and lists by element."""
    if isinstance(x, (tuple, list)):
        return (
            [zeros_like_space(e) for e in x] if isinstance(x, list) else tuple(zeros_like_space(e) for e in x)
        )
    space = space_of(x)
    return None if space is None else zeros(space)


def fit(t: Any, space: Space) -> Any:
    """The tangent `t` as a member of the result's space: broadcast, cast, and its real part where the
    result is real."""
    if space is FLOAT:
        return t if type(t) is float else float(t.real)
    a = _cast(t, space)
    if a.shape != space.shape:
        a = np.array(np.broadcast_to(a, space.shape))
    return _leave(a, space)


def fold(ct: Any, space: Space) -> Any:
    """The cotangent `ct` as a member of the operand's space: summed over the axes along which the operand
    was broadcast, spread over those where the rule left length one, cast, and made real where the operand
    is real."""
    if space is FLOAT and type(ct) is float:
        return ct
    a = np.asarray(ct)
    shape = space.shape
    if a.shape != shape:
        extra = a.ndim - len(shape)
        if extra > 0:
            a = a.sum(axis=tuple(range(extra)))
        if a.shape != shape:
            axes = tuple(
                i for i, n in enumerate(shape) if n == 1 and i < a.ndim and extra >= 0 and a.shape[i] != 1
            )
            if axes:
                a = a.sum(axis=axes, keepdims=True)
            if a.shape != shape:
                a = np.broadcast_to(a, shape)
    return _leave(_cast(a, space), space)


def _cast(t: Any, space: Space) -> Any:
    a = np.asarray(t)
    if a.dtype != space.dtype:
        if a.dtype.kind == "c" and space.dtype.kind == "f":
            a = a.real
        a = a.astype(space.dtype)
    return a


def _leave(a: Any, space: Space) -> Any:
    if space.kind == "array":
        return a
    if space.kind == "scalar":
        return a[()]
    return a.item()


def unbroadcast(ct: Any, x: Any) -> Any:
    """The cotangent of `x`, which took part in an operation by broadcasting; None if `x` has no
    derivative."""
    space = space_of(x)
    return None if space is None else fold(ct, space)


def inner(a: Any, b: Any) -> float:
    """The real inner product Re<a, b>; a None counts as zero, tuples and lists add up."""
    if a is None or b is None:
        return 0.0
    if isinstance(a, (tuple, list)):
        return float(sum([inner(a[k], b[k]) for k in range(len(a))]))
    if type(a) is float and type(b) is float:
        return a * b
    return float(np.vdot(np.asarray(a), np.asarray(b)).real)


def strong_product(p: Any, t: Any) -> Any:
    """p * t with strong zeros: 0 times anything is 0, also times infinity and NaN.

    Only a NaN is replaced: where a factor just happens to be 0, its own derivative still counts.
    """
    product = np.multiply(p, t) if type(p) is np.ndarray or type(t) is np.ndarray else p * t
    if not has_nan(product):
        return product
    dead = np.isnan(product) & (np.equal(p, 0) | np.equal(t, 0))
    if type(product) is float:
        return 0.0 if dead else product
    return np.where(dead, 0, np.multiply(np.where(dead, 0, p), np.where(dead, 0, t)))


def adjoint(p: Any) -> Any:
    """The complex conjugate of a partial; a real one is handed back as it is."""
    if type(p) is float or type(p) is int:
        return p
    if isinstance(p, complex) or (hasattr(p, "dtype") and p.dtype.kind == "c"):
        return p.conjugate()
    return p


def has_nan(t: Any) -> bool:
    """Whether a tangent or cotangent holds a NaN; None does not, containers by element."""
    if type(t) is float:
        return t != t
    if t is None:
        return False
    if isinstance(t, (tuple, list)):
        return any(has_nan(e) for e in t)
    if isinstance(t, np.ndarray):
        return bool(np.isnan(t).any())
    return bool(t != t)
