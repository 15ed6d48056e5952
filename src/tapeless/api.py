"""Derivatives of ordinary Python functions, named as in JAX."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeless.errors import NotScalarError, StructureError
from tapeless.native import Jitted, Vmap
from tapeless.rules.spaces import FLOAT, space_of
from tapeless.runtime.calls import CALLABLE_TYPES
from tapeless.runtime.items import tuple_tangent
from tapeless.runtime.linearized import (
    Linearized,
    argument_name,
    check_differentiable,
    check_unwritten,
    definition,
    name_of,
    shared_memory,
)
from tapeless.runtime.modes import Forward
from tapeless.runtime.nesting import MANY, long_run
from tapeless.runtime.numbers import is_number_type
from tapeless.runtime.structure import (
    check_shared,
    check_tangent,
    fill_in,
    outputs_of,
    pair_up,
    plan_of,
    result_tangent,
)
from tapeless.runtime.tracebacks import user_frames_only
from tapeless.transformed import Argnums as Argnums
from tapeless.transformed import Grad as Grad
from tapeless.transformed import Gradient as Gradient
from tapeless.transformed import Transformed as Transformed
from tapeless.transformed import ValueAndGrad as ValueAndGrad
from tapeless.transformed import grad as grad
from tapeless.transformed import positions
from tapeless.transformed import value_and_grad as value_and_grad


def _gradient_in_run(run: Any, f: Gradient, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    """A gradient function called by a program that is itself being differentiated."""
    for name, t in kts.items():
        run.put(kw, name, t)
    return run.enter(untyped_gradient, (f, args, kw), (None, tuple_tangent(ts), None))


CALLABLE_TYPES[Gradient] = _gradient_in_run
# what is compiled is differentiated as the plain program that it is
CALLABLE_TYPES[Jitted] = lambda run, f, args, ts, kw, kts: run.call(f.fun, args, ts, kw, kts)


def _vmap_in_run(run: Any, f: Vmap, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    for name, t in kts.items():
        run.put(kw, name, t)
    return run.enter(_jitted().batched, (f, args, kw), (None, tuple_tangent(ts), None))


CALLABLE_TYPES[Vmap] = _vmap_in_run


def _jitted() -> Any:
    from tapeless import jitted

    return jitted


def untyped_gradient(f: Gradient, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a gradient function gives, by the untyped road."""
    value, aux, grads = _value_and_grad(f, args, kwargs)
    if f.with_value:
        return ((value, aux), grads) if f.has_aux else (value, grads)
    return (grads, aux) if f.has_aux else grads


def _value_and_grad(what: Gradient, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
    fun = what.fun
    where = positions(fun, what.argnums, args, kwargs)
    with user_frames_only():
        lin = Linearized(fun, args, kwargs, where, "gradient")
    what.specialised.long = len(lin.run.record) > MANY
    value, t, aux = lin.value, lin.tangent, None
    if what.has_aux:
        _check_aux(fun, value)
        value, aux = value
        t = None if t is None else t[0]
    space = space_of(value)
    if space is None and isinstance(value, (int, np.integer)):
        grads = lin.pull([])
    else:
        if space is None and t is not None and is_number_type(type(value)):
            space = FLOAT
        if space is None or space.shape != () or space.dtype.kind == "c":
            got = (
                f"an array of shape {value.shape}"
                if isinstance(value, np.ndarray)
                else f"a {type(value).__name__}"
            )
            way_out = "Sum it, or use jacobian, vjp or jvp"
            if is_number_type(type(value)):  # a float met constants of that class
                way_out = f"Give the argument as a {type(value).__name__}, or return a float"
            raise NotScalarError(
                f"grad needs a function whose result is one real number; {name_of(fun)} returned {got}. "
                f"{way_out}{definition(fun)}"
            )
        seed = lin.run.tangent_of(value, t)
        grads = lin.pull([] if seed is None else [(seed, _one(space))])
    result = tuple(grads) if isinstance(what.argnums, (tuple, list)) else grads[0]
    return value, aux, result


def _one(space: Any) -> Any:
    return (
        np.ones((), space.dtype)
        if space.kind == "array"
        else space.dtype.type(1)
        if space.kind == "scalar"
        else 1.0
    )


def vjp(fun: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """The value, and the pullback: cotangents of the result to a tuple of cotangents of the arguments.

    A cotangent has the structure of the result; None in its place means zero.

    >>> import tapeless as tl
    >>> y, pull = tl.vjp(lambda a, b: a * b, 2.0, 5.0)
    >>> y, pull(1.0)
    (10.0, (5.0, 2.0))
    """
    if isinstance(fun, Jitted):
        return _jitted().vjp(fun, primals, has_aux)
    lin = _linearized(fun, primals, "vjp")
    value, t = lin.value, lin.tangent
    if has_aux:
        _check_aux(fun, value)
        outputs = outputs_of(lin.run, value[0], None if t is None else t[0], {})
        return value[0], Pullback(lin, outputs), value[1]
    return value, Pullback(lin, outputs_of(lin.run, value, t, {}))


class Pullback:
    """The transposed linear map of one call; it can be applied any number of times, from several threads."""

    def __init__(self, lin: Linearized, outputs: Any) -> None:
        self.lin, self.outputs = lin, outputs

    def __call__(self, cotangent: Any) -> tuple[Any, ...]:
        pairs: list[tuple[Any, Any]] = []
        pair_up(self.outputs, cotangent, pairs, "", set())
        return tuple(self.lin.pull(pairs))


def linearize(fun: Callable[..., Any], *primals: Any) -> tuple[Any, LinearMap]:
    """The value, and the derivative at this point as a linear map.

    It maps tangents of the arguments to a tangent of the result.  The program runs once; the map can be
    applied to many tangents, and transposed.

    >>> import tapeless as tl
    >>> y, df = tl.linearize(lambda a, b: a * b, 2.0, 5.0)
    >>> y, df(1.0, 0.0), tl.transpose(df)(1.0)
    (10.0, 5.0, (5.0, 2.0))
    """
    if isinstance(fun, Jitted):
        linear = _jitted().CompiledLinearMap(fun, primals)
        return fun(*primals), linear
    lin = _linearized(fun, primals, "linearization")
    return lin.value, LinearMap(fun, lin, outputs_of(lin.run, lin.value, lin.tangent, {}))


class LinearMap:
    """A linear map from tangents of the arguments to a tangent of the result."""

    def __init__(self, fun: Any, lin: Linearized, outputs: Any) -> None:
        self.fun, self.lin, self.outputs = fun, lin, outputs

    def __call__(self, *tangents: Any) -> Any:
        if len(tangents) != len(self.lin.plans):
            raise StructureError(f"the linear map takes {len(self.lin.plans)} tangents, not {len(tangents)}")
        for i, (plan, t) in enumerate(zip(self.lin.plans, tangents, strict=True)):
            check_tangent(plan, t, f"the tangent of {argument_name(self.fun, i)!r}", set())
        return self.lin.push(tangents, self.outputs)


def transpose(linear_map: LinearMap) -> Pullback:
    """The transpose of a linear map from `linearize`: cotangents of the result to a tuple of cotangents."""
    if isinstance(linear_map, _jitted().CompiledLinearMap):
        return linear_map.transposed()  # type: ignore[no-any-return]
    if not isinstance(linear_map, LinearMap):
        raise TypeError(
            f"transpose takes the linear map that linearize returns, not a {type(linear_map).__name__}"
        )
    return Pullback(linear_map.lin, linear_map.outputs)


def _linearized(fun: Any, primals: tuple[Any, ...], what: str) -> Linearized:
    """A run whose residuals nobody else can reach: arguments without a derivative are left out."""
    where = [i for i, x in enumerate(primals) if plan_of(x, {}).kind != "none"]
    if not where and primals:
        check_differentiable(fun, 0, primals[0], plan_of(primals[0], {}), what)
    with user_frames_only():
        lin = Linearized(fun, primals, {}, where, what)
    if len(where) != len(primals):
        lin.plans = [
            lin.plans[where.index(i)] if i in where else plan_of(x, {}) for i, x in enumerate(primals)
        ]
    return lin


def jvp(
    fun: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any], has_aux: bool = False
) -> Any:
    """The value, and its derivative in the direction of `tangents` (forward mode).

    >>> import tapeless as tl
    >>> tl.jvp(lambda x: x**3, (2.0,), (1.0,))
    (8.0, 12.0)
    """
    if (
        not isinstance(primals, (tuple, list))
        or not isinstance(tangents, (tuple, list))
        or len(primals) != len(tangents)
    ):
        raise StructureError("jvp takes a tuple of primals and a tuple of as many tangents")
    if isinstance(fun, Jitted):
        return _jitted().jvp(fun, primals, tangents, has_aux)
    run = Forward()
    run.what = f"the jvp of {name_of(fun)}"
    moving = [i for i, dx in enumerate(tangents) if dx is not None]
    args, _, shared = shared_memory(tuple(primals), {}, fun, moving)
    run.guard_shared(primals, args)
    memo: dict[int, Any] = {}
    done: dict[int, Any] = {}
    plans = [plan_of(x, memo) for x in args]
    for i, (x, dx, plan) in enumerate(zip(args, tangents, plans, strict=True)):
        if dx is not None:
            check_differentiable(fun, i, x, plan, "jvp")
            check_tangent(plan, dx, f"the tangent of {argument_name(fun, i)!r}", set())
    check_shared(plans, tangents)
    ts = [fill_in(run, plan, dx, False, done) for plan, dx in zip(plans, tangents, strict=True)]
    with user_frames_only(), long_run():
        value, t = run.call(fun, args, tuple(ts))
    run.finish()
    check_unwritten(shared)
    if has_aux:
        _check_aux(fun, value)
        return value[0], result_tangent(run, value[0], None if t is None else t[0], {}), value[1]
    return value, result_tangent(run, value, t, {})


def _check_aux(fun: Any, value: Any) -> None:
    if not isinstance(value, tuple) or len(value) != 2:
        raise StructureError(
            f"with has_aux {name_of(fun)} must return (value, aux), "
            f"not {type(value).__name__}{definition(fun)}"
        )


def source(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """The program that computes a derivative, as readable Python.

    `fun` is what `grad` or `value_and_grad` returned (for any other function, its dual program is shown).
    """
    from tapeless.autodiff.dual import dual_of

    inner = fun.fun if isinstance(fun, Transformed) else fun
    entry = fun.typed_entry(args, kwargs) if isinstance(fun, Gradient) else None
    if entry is not None:
        return str(entry.source)
    return dual_of(inspect.unwrap(inner)).text


def program(fun: Callable[..., Any], *args: Any) -> str:
    """The representation of a function that every derivative starts from, printed.

    >>> import tapeless as tl
    >>> print(tl.program(abs_difference))  # doctest: +SKIP
    """
    from tapeless.frontend.lower import lower
    from tapeless.program.printer import show

    inner = inspect.unwrap(fun.fun if isinstance(fun, Transformed) else fun)
    return show(lower(inner.__code__, inner.__globals__))
