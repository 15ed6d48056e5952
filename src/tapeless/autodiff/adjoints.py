"""What generated NumPy code calls: the few linear functions that NumPy has no name for."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapeless.autodiff.linear import Record
from tapeless.rules import Linear, lookup, tangent
from tapeless.rules.operations import careful_product

ndarray = np.ndarray


def unbroadcast(ct: Any, like: Any) -> Any:
    """The cotangent `ct` summed over the axes along which `like` was broadcast."""
    shape = like.shape
    if ct.__class__ is not ndarray:
        return np.full(shape, ct, like.dtype)
    if ct.shape == shape:
        return ct if ct.dtype is like.dtype else ct.astype(like.dtype, copy=False)
    extra = ct.ndim - len(shape)
    if extra > 0:
        ct = np.add.reduce(ct, axis=0 if extra == 1 else tuple(range(extra)))
    if ct.shape != shape:
        axes = tuple(i for i, (n, m) in enumerate(zip(ct.shape, shape, strict=True)) if n != m and m == 1)
        if axes:
            ct = ct.sum(axis=axes, keepdims=True)
        if ct.shape != shape:
            ct = np.array(np.broadcast_to(ct, shape))
    return ct if ct.dtype == like.dtype else ct.astype(like.dtype)


def no_cotangents(value: Any) -> Any:
    """The cotangent of a list or dict of arrays, all zero: None stands for a zero of any shape."""
    return [None] * len(value) if value.__class__ is list else dict.fromkeys(value)


def kept(bar: Any, index: Any) -> Any:
    """The cotangents of what was stored at an index with arrays of integers: of several stores into one
    element the last one counts."""
    part = bar[index]
    numbers = np.arange(part.size).reshape(part.shape)
    last = np.empty(bar.shape, np.intp)
    last[index] = numbers
    return np.where(last[index] == numbers, part, 0.0)


def put(cts: Any, k: Any, ct: Any) -> None:
    """`cts[k] += ct` for a list or dict of arrays; the number 0.0 is a zero of any shape."""
    if ct.__class__ is float:
        return
    old = cts[k]
    cts[k] = ct if old is None else old + ct


def take(cts: Any, k: Any, like: Any) -> Any:
    """`cts[k]`, which is zero from then on."""
    ct = cts[k]
    cts[k] = None
    return np.zeros(like.shape, like.dtype) if ct is None else ct


def present(ct: Any, like: Any) -> Any:
    """A cotangent that may be missing."""
    return np.zeros(like.shape, like.dtype) if ct is None else ct


def sums(a: Any, b: Any) -> Any:
    """The sum of the cotangents of two lists."""
    return [x if y is None else y if x is None else x + y for x, y in zip(a, b, strict=True)]


def pulled(ct: Any, fn: Any, position: int, y: Any, /, *args: Any, **kwargs: Any) -> Any:
    """The cotangent of one argument of `y = fn(*args, **kwargs)`, by a rule for tangents: the tangent is
    recorded and run backwards."""
    record, rule = Record(), lookup(fn)
    assert rule is not None
    moving = record.input(args[position])
    targs = tuple([moving if k == position else None for k in range(len(args))])
    t = tangent(rule, y, args, kwargs, targs, {})
    back = None if t is None else record.pullback([(t, ct)], [moving])[0]
    if back is None:
        return np.zeros_like(args[position]) if args[position].__class__ is ndarray else 0.0
    return back


class Transposed:
    """The transpose of a linear function, as a function of the cotangent and the arguments."""

    @staticmethod
    def of(rule: Linear) -> Any:
        return rule.transpose


# ---- the careful reverse pass: strong zeros, no exceptions


def _zero(x: Any) -> bool:
    return not isinstance(x, np.ndarray) and bool(x == 0)


def strong_product(factor: Any, ct: Any) -> Any:
    """`factor * ct`, where zero times anything is zero."""
    if _zero(factor) or _zero(ct):
        return (
            factor * 0.0 * ct
            if isinstance(factor, np.ndarray) and np.isfinite(factor).all()
            else np.zeros_like(factor * ct)
            if isinstance(factor, np.ndarray) or isinstance(ct, np.ndarray)
            else 0.0
        )
    product = factor * ct
    if isinstance(product, np.ndarray):
        return np.where(np.equal(factor, 0) | np.equal(ct, 0), 0.0, product).astype(product.dtype, copy=False)
    return product


def strong_quotient(ct: Any, divisor: Any) -> Any:
    """`ct / divisor`, where zero divided by anything is zero."""
    if _zero(ct) and not isinstance(divisor, np.ndarray):
        return 0.0
    quotient = safe_div(ct, divisor)
    if isinstance(quotient, np.ndarray):
        return np.where(np.equal(ct, 0), 0.0, quotient).astype(quotient.dtype, copy=False)
    return quotient


def strong_linear(rule: Linear, fn: Any, *args: Any, **kwargs: Any) -> Any:
    """The function of a rule, or its transpose, where zero times anything is zero."""
    found = None
    if rule.form == "each":
        found = careful_product(rule, fn, list(args), 0, kwargs, kwargs.get("wrt"))
    return fn(*args, **kwargs) if found is None else found


def safe_div(a: Any, b: Any) -> Any:
    try:
        return a / b
    except ArithmeticError:
        return float(np.divide(a, b))


def safe_floordiv(a: Any, b: Any) -> Any:
    try:
        return a // b
    except ArithmeticError:
        return float(np.floor_divide(a, b))


def safe_pow(a: Any, b: Any) -> Any:
    try:
        return a**b
    except ArithmeticError:
        return float(np.float_power(a, b))


def safe_call(fn: Any, *args: Any) -> Any:
    """A function of `math`, or NumPy's function of that name where Python's raises."""
    try:
        return fn(*args)
    except (ArithmeticError, ValueError):
        names = {
            "pow": "power",
            "asin": "arcsin",
            "acos": "arccos",
            "atan": "arctan",
            "acosh": "arccosh",
            "atanh": "arctanh",
        }
        ufunc = getattr(np, names.get(fn.__name__, fn.__name__), None)
        return float(ufunc(*args)) if ufunc is not None else float("nan")
