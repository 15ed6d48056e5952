"""Derivatives of ordinary Python functions, named as in JAX."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeless.errors import NotDifferentiableError, NotScalarError, StructureError
from tapeless.rules.spaces import space_of
from tapeless.runtime import containers as _containers
from tapeless.runtime import twins as _twins
from tapeless.runtime.modes import Forward, Reverse
from tapeless.runtime.nesting import deep_recursion
from tapeless.runtime.structure import (
    check_tangent,
    fill_in,
    gradient,
    input_lins,
    outputs_of,
    pair_up,
    plan_of,
    result_tangent,
)

del _containers, _twins
Argnums = int | str | Sequence[int | str]


class Transformed:
    """A derivative function: called like the function it was made from, whose name and signature it carries."""

    def __init__(self, fun: Callable[..., Any], argnums: Argnums, has_aux: bool) -> None:
        functools.update_wrapper(self, fun, updated=())
        self.fun, self.argnums, self.has_aux = fun, argnums, has_aux

    def __reduce__(self) -> Any:
        return type(self), (self.fun, self.argnums, self.has_aux)

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} of {getattr(self.fun, '__qualname__', self.fun)}>"


class Grad(Transformed):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        value, aux, grads = _value_and_grad(self, args, kwargs)
        return (grads, aux) if self.has_aux else grads


class ValueAndGrad(Transformed):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        value, aux, grads = _value_and_grad(self, args, kwargs)
        return ((value, aux), grads) if self.has_aux else (value, grads)


def grad(fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function whose result is one real number.

    `argnums` says with respect to which arguments: a position, a parameter's name, or a sequence of them (then a tuple comes
    back).  The gradient has the shape of the argument.  With `has_aux` the function returns `(value, aux)` and the
    gradient function `(gradient, aux)`.

    >>> import tapeless as tl
    >>> tl.grad(lambda x: x * x)(3.0)
    6.0
    """
    return Grad(fun, argnums, has_aux)


def value_and_grad(fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Like `grad`, but the function returned gives `(value, gradient)`.

    >>> import tapeless as tl
    >>> tl.value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    """
    return ValueAndGrad(fun, argnums, has_aux)


def _positions(fun: Any, argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int | str]:
    """Where the differentiated arguments are in this call: a position, or a keyword."""
    wanted = list(argnums) if isinstance(argnums, (tuple, list)) else [argnums]
    found: list[int | str] = []
    for one in wanted:
        if isinstance(one, str):
            if one in kwargs:
                found.append(one)
                continue
            names = list(inspect.signature(fun).parameters)
            if one not in names:
                raise TypeError(f"{_name(fun)} has no parameter {one!r}; its parameters are {', '.join(names)}")
            one = names.index(one)
        if not -len(args) <= one < len(args):
            names = list(inspect.signature(fun).parameters)
            if 0 <= one < len(names) and names[one] in kwargs:
                found.append(names[one])
                continue
            raise TypeError(f"argnums {one} is out of range: {_name(fun)} was called with {len(args)} positional arguments")
        found.append(one % len(args) if args else one)
    return found


def _name(fun: Any) -> str:
    return getattr(fun, "__name__", None) or type(fun).__name__


def _argument_name(fun: Any, where: int | str) -> str:
    if isinstance(where, str):
        return where
    try:
        return list(inspect.signature(fun).parameters)[where]
    except (TypeError, ValueError, IndexError):
        return f"argument {where}"


def _check_differentiable(fun: Any, where: int | str, x: Any, plan: Any, what: str) -> None:
    if plan.kind == "none":
        extra = "; pass a float" if isinstance(x, (int, np.integer, np.ndarray)) and not isinstance(x, bool) else ""
        if isinstance(x, np.ndarray):
            raise NotDifferentiableError(
                f"cannot take the {what} of {_name(fun)} with respect to {_argument_name(fun, where)!r}: it is an array of "
                f"{x.dtype}, which has no derivative; pass an array of floats"
            )
        raise NotDifferentiableError(
            f"cannot take the {what} of {_name(fun)} with respect to {_argument_name(fun, where)!r}: it is of type "
            f"{type(x).__name__}, which has no derivative{extra}"
        )


class Linearized:
    """One reverse run: the value, and the record between inputs and outputs."""

    def __init__(self, fun: Any, args: tuple[Any, ...], kwargs: dict[str, Any], where: list[Any], what: str) -> None:
        run = Reverse()
        self.run = run
        self.plans = []
        ts: list[Any] = [None] * len(args)
        kts: dict[str, Any] = dict.fromkeys(kwargs)
        for w in where:
            x = args[w] if isinstance(w, int) else kwargs[w]
            plan = plan_of(x, {})
            _check_differentiable(fun, w, x, plan, what)
            t = fill_in(run, plan, None, True, {})
            self.plans.append(plan)
            if isinstance(w, int):
                ts[w] = t
            else:
                kts[w] = t
        with deep_recursion():
            self.value, self.tangent = run.call(fun, args, tuple(ts), kwargs, kts)
        run.finish()
        self.lins = [input_lins(p) for p in self.plans]

    def pull(self, pairs: list[tuple[Any, Any]]) -> list[Any]:
        """Gradients for cotangents of entries."""
        flat = [lin for lins in self.lins for lin in lins]
        cts = self.run.record.pullback(pairs, flat)
        table = {lin.index: ct for lin, ct in zip(flat, cts, strict=True)}
        return [gradient(p, table, {}) for p in self.plans]


def _value_and_grad(what: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
    fun = what.fun
    where = _positions(fun, what.argnums, args, kwargs)
    lin = Linearized(fun, args, kwargs, where, "gradient")
    value, t, aux = lin.value, lin.tangent, None
    if what.has_aux:
        if not isinstance(value, tuple) or len(value) != 2:
            raise StructureError(f"with has_aux {_name(fun)} must return (value, aux), not {type(value).__name__}")
        value, aux = value
        t = None if t is None else t[0]
    space = space_of(value)
    if space is None and isinstance(value, (int, np.integer)):
        grads = lin.pull([])
    else:
        if space is None or space.shape != () or space.dtype.kind == "c":
            got = f"an array of shape {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
            raise NotScalarError(
                f"grad needs a function whose result is one real number; {_name(fun)} returned {got}. Sum it, or use "
                "jacobian, vjp or jvp"
            )
        seed = lin.run.tangent_of(value, t)
        grads = lin.pull([] if seed is None else [(seed, _one(space))])
    result = tuple(grads) if isinstance(what.argnums, (tuple, list)) else grads[0]
    return value, aux, result


def _one(space: Any) -> Any:
    return np.ones((), space.dtype) if space.kind == "array" else space.dtype.type(1) if space.kind == "scalar" else 1.0


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value, and the pullback: cotangents of the result to a tuple of cotangents of the arguments.

    >>> import tapeless as tl
    >>> y, pull = tl.vjp(lambda a, b: a * b, 2.0, 5.0)
    >>> y, pull(1.0)
    (10.0, (5.0, 2.0))
    """
    lin = Linearized(fun, primals, {}, list(range(len(primals))), "vjp")
    value, t = lin.value, lin.tangent
    aux = None
    if has_aux:
        value, aux = value
        t = None if t is None else t[0]
    outputs = outputs_of(lin.run, value, t, {})
    pullback = Pullback(lin, outputs)
    return (value, pullback, aux) if has_aux else (value, pullback)


class Pullback:
    """The transposed linear map of one call; it can be applied any number of times."""

    def __init__(self, lin: Linearized, outputs: Any) -> None:
        self.lin, self.outputs = lin, outputs

    def __call__(self, cotangent: Any) -> tuple[Any, ...]:
        pairs: list[tuple[Any, Any]] = []
        pair_up(self.outputs, cotangent, pairs, "", set())
        return tuple(self.lin.pull(pairs))


def jvp(fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False) -> Any:
    """The value, and its derivative in a direction (forward mode).

    >>> import tapeless as tl
    >>> tl.jvp(lambda x: x**3, (2.0,), (1.0,))
    (8.0, 12.0)
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)) or len(primals) != len(tangents):
        raise StructureError("jvp takes a tuple of primals and a tuple of as many tangents")
    run = Forward()
    ts = []
    for i, (x, dx) in enumerate(zip(primals, tangents, strict=True)):
        plan = plan_of(x, {})
        if dx is not None:
            _check_differentiable(fun, i, x, plan, "jvp")
            check_tangent(plan, dx, f"the tangent of {_argument_name(fun, i)!r}", set())
        ts.append(fill_in(run, plan, _cast_leaf(x, dx), False, {}))
    with deep_recursion():
        value, t = run.call(fun, tuple(primals), tuple(ts))
    run.finish()
    if has_aux:
        return value[0], result_tangent(run, value[0], None if t is None else t[0], {}), value[1]
    return value, result_tangent(run, value, t, {})


def _cast_leaf(x: Any, t: Any) -> Any:
    if type(x) is float and t is not None:
        return float(t)
    if type(x) is complex and t is not None:
        return complex(t)
    if isinstance(x, np.inexact) and t is not None:
        return x.dtype.type(t)
    return t
