"""Derivatives that a user gives, and functions that change a derivative on its way."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tapeless.errors import MissingRuleError, StructureError, UntrackedMutationError
from tapeless.rules.operations import Operation
from tapeless.rules.registry import nondifferentiable
from tapeless.rules.spaces import space_of, zeros
from tapeless.runtime.calls import CALLABLE_TYPES, HANDLERS
from tapeless.runtime.linearized import Linearized

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def constant(fun: F) -> F:
    """Declare that the result of a function is not to be differentiated: the function runs as it is.

    Can be used as a decorator, also on functions that are not written in Python.

    >>> import tapeless as tl
    >>> @tl.constant
    ... def scale(x):
    ...     return 2.0 * x
    >>> tl.grad(lambda x: x * scale(x))(3.0)
    6.0
    """
    nondifferentiable(fun)
    return fun


def stop_gradient(x: T) -> T:
    """`x` itself, as a constant for every derivative.

    Arrays and containers are handed on as copies while differentiating.

    >>> import tapeless as tl
    >>> tl.grad(lambda x: x * tl.stop_gradient(x))(3.0)
    3.0
    """
    return x


def _stop(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    x = args[0]
    if run.reaches((x,)) and not isinstance(x, (float, complex, np.generic)):
        x = copy.deepcopy(x)
    return stop_gradient(x), None  # a constant for the derivatives around this one, too


HANDLERS[stop_gradient] = _stop


def gradient_hook(x: T, hook: Callable[[Any], Any]) -> T:
    """`x` itself; in reverse mode its cotangent goes through `hook` on its way back.

    `hook(cotangent)` may look at it and return None, or return another cotangent (clipped, scaled) of the
    same shape.

    >>> import tapeless as tl
    >>> tl.grad(lambda x: tl.gradient_hook(x, lambda g: min(g, 1.0)) ** 2)(3.0)
    1.0
    """
    return x


class _Hook(Operation):
    __slots__ = ("hook",)

    def __init__(self, hook: Callable[[Any], Any]) -> None:
        self.hook = hook

    def apply(self, *tangents: Any, careful: bool = False) -> Any:
        return tangents[0]

    def transpose(self, ct: Any, careful: bool = False) -> tuple[Any, ...]:
        changed = self.hook(ct.copy() if isinstance(ct, np.ndarray) else ct)
        return (ct if changed is None else changed,)


def _hooked(run: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    x, hook = args if len(args) == 2 else (args[0], kw["hook"])
    t = run.tangent_of(x, ts[0])
    if t is None:  # for this run; one outside of it may have a cotangent to show
        return gradient_hook(x, hook), None
    if not run.reverse:
        return x, ts[0]
    if isinstance(t, list):
        raise StructureError(
            "gradient_hook takes a number or an array; hook the parts of a container one by one"
        )
    value = x.copy() if isinstance(x, np.ndarray) else x
    return run.give(value, run.record.linear(_Hook(hook), (t,), x), ())


HANDLERS[gradient_hook] = _hooked


class checkpoint:
    """`fun`, whose residuals are not kept: the reverse pass runs it again (less memory for more time).

    `fun` must depend on its arguments only, and must not change them: where it does, or gives another value
    when it runs again, UntrackedMutationError is raised.

    >>> import math, tapeless as tl
    >>> tl.grad(tl.checkpoint(lambda x: math.sin(x) ** 2))(0.0)
    0.0
    """

    def __init__(self, fun: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fun, updated=())
        self.fun = fun

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fun(*args, **kwargs)

    def __reduce__(self) -> Any:
        return checkpoint, (self.fun,)


class _Again(Operation):
    """The derivative of a checkpointed call: runs the function when it is asked for."""

    __slots__ = ("args", "fun", "sums", "where")

    def __init__(self, fun: Any, args: tuple[Any, ...], where: list[int], value: Any) -> None:
        self.fun, self.args, self.where, self.sums = fun, args, where, _sums(value)

    def run(self) -> tuple[Linearized, Any]:
        lin = Linearized(self.fun, copy.deepcopy(self.args), {}, list(self.where), "derivative")
        if not _like(_sums(lin.value), self.sums):
            name = getattr(self.fun, "__name__", self.fun)
            raise UntrackedMutationError(
                f"checkpoint runs {name} again, and it gave another value: it depends on more than its "
                "arguments. Give it all that it reads as arguments, or leave checkpoint out"
            )
        return lin, lin.run.tangent_of(lin.value, lin.tangent)

    def apply(self, *tangents: Any, careful: bool = False) -> Any:
        lin, t = self.run()
        if t is None:
            return None
        flat = [one for group in lin.lins for one in group]
        seeds = [(one, d) for one, d in zip(flat, tangents, strict=True) if d is not None]
        return lin.run.record.pushforward(seeds, [t])[0]

    def transpose(self, ct: Any, careful: bool = False) -> tuple[Any, ...]:
        lin, t = self.run()
        flat = [one for group in lin.lins for one in group]
        return tuple(lin.run.record.pullback([] if t is None else [(t, ct)], flat))


def unchanged(a: Any, b: Any) -> bool:
    """Whether two arrays hold the same."""
    return a.dtype.kind not in "fc" or bool(np.array_equal(a, b, equal_nan=True))


def _sums(value: Any) -> Any:
    """What tells results apart, but for rounding, without keeping them."""
    if not isinstance(value, (float, complex, np.ndarray, np.generic)):
        return None
    return np.sum(value), np.sum(np.abs(value))


def _like(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    return bool(np.allclose(a, b, rtol=1e-6, atol=1e-6 * float(abs(a[1])), equal_nan=True))


def _checkpointed(run: Any, f: checkpoint, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    found = [run.tangent_of(x, t) for x, t in zip(args, ts, strict=True)]
    simple = all(t is None or not isinstance(t, list) for t in found)
    if not run.reverse or kw or not simple or run.reaches((f.fun,)):
        return run.call(f.fun, args, ts, kw, kts)
    for x, t in zip(args, found, strict=True):
        if t is None and run.reaches((x,)):
            return run.call(f.fun, args, ts, kw, kts)
    kept = tuple(copy.deepcopy(a) for a in args)
    value = f.fun(*args)
    if any([isinstance(a, np.ndarray) and not unchanged(a, k) for a, k in zip(args, kept, strict=True)]):
        name = getattr(f.fun, "__name__", f.fun)
        raise UntrackedMutationError(f"checkpoint: {name} changes its arguments; leave checkpoint out")
    if space_of(value) is None:  # several results
        return run.call(f.fun, args, ts, kw, kts)
    where = [i for i, t in enumerate(found) if t is not None]
    if not where:
        return value, None
    op = _Again(f.fun, kept, where, value)
    return run.give(value, run.record.linear(op, [found[i] for i in where], value), ())


CALLABLE_TYPES[checkpoint] = _checkpointed


class custom_jvp:
    """A function with a tangent rule of its own, given with `defjvp`.

    The rule takes the tuples of primals and tangents, and returns the value and its tangent; it must be
    linear in the tangents.

    >>> import tapeless as tl
    >>> @tl.custom_jvp
    ... def f(x):
    ...     return x * x
    >>> @f.defjvp
    ... def f_jvp(primals, tangents):
    ...     return f(*primals), 2.0 * primals[0] * tangents[0]
    >>> tl.grad(f)(3.0)
    6.0
    """

    def __init__(self, fun: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fun, updated=())
        self.fun = fun
        self.rule: Callable[..., Any] | None = None

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """Give the rule: `rule(primals, tangents) -> (value, tangent)`."""
        self.rule = rule
        return rule

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fun(*args, **kwargs)


def _custom_jvp(run: Any, f: custom_jvp, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    if f.rule is None:
        raise MissingRuleError(f"custom_jvp function {f.fun.__name__} has no rule: give one with defjvp")
    args, ts = _positional(run, f.fun, args, ts, kw, kts)
    found = [run.tangent_of(x, t) for x, t in zip(args, ts, strict=True)]
    if all(t is None for t in found):
        return f(*args), None  # by the rule in a derivative around this one
    filled = tuple(
        zeros(s) if t is None and (s := space_of(x)) is not None else t
        for x, t in zip(args, found, strict=True)
    )
    kept = tuple(run.frozen(a) for a in args)
    value, t = f.rule(kept, filled)
    return run.give(value, _recorded(t) if run.reverse else t, ())


def _recorded(t: Any) -> Any:
    """A rule's tangent in reverse mode, without the parts of it that depend on no tangent: zeros."""
    if isinstance(t, (tuple, list)):
        parts = [_recorded(part) for part in t]
        return parts if isinstance(t, list) else tuple(parts)
    return None if isinstance(t, (float, complex, np.generic, np.ndarray)) else t


CALLABLE_TYPES[custom_jvp] = _custom_jvp


def _positional(run: Any, fun: Any, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    if not kw:
        return args, ts
    return run.bind(fun, args, ts, kw, kts)


class custom_vjp:
    """A function of which only the reverse formula is known, given with `defvjp(forward, backward)`.

    `forward(*args)` returns the value and what the backward pass needs; `backward(kept, cotangent)` returns a
    tuple with a cotangent for each argument (None for zero).  Forward mode through it raises.

    >>> import tapeless as tl
    >>> @tl.custom_vjp
    ... def f(x):
    ...     return x * x
    >>> f.defvjp(lambda x: (x * x, x), lambda x, ct: (2.0 * x * ct,))
    >>> tl.grad(f)(3.0)
    6.0
    """

    def __init__(self, fun: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fun, updated=())
        self.fun = fun
        self.forward: Callable[..., Any] | None = None
        self.backward: Callable[..., Any] | None = None

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        """Give the two halves of the reverse formula."""
        self.forward, self.backward = forward, backward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fun(*args, **kwargs)


class _Backward(Operation):
    __slots__ = ("backward", "count", "kept", "where")

    def __init__(self, backward: Any, kept: Any, where: list[int], count: int) -> None:
        self.backward, self.kept, self.where, self.count = backward, kept, where, count

    def apply(self, *tangents: Any, careful: bool = False) -> Any:
        raise MissingRuleError(
            "forward mode (jvp, linearize applied to tangents) was asked of a custom_vjp function, which has "
            "a reverse formula only; give a tangent with custom_jvp instead"
        )

    def transpose(self, ct: Any, careful: bool = False) -> tuple[Any, ...]:
        cts = self.backward(self.kept, ct)
        if not isinstance(cts, (tuple, list)) or len(cts) != self.count:
            raise StructureError(
                f"the backward rule of a custom_vjp must return a tuple of {self.count} cotangents"
            )
        return tuple(cts[i] for i in self.where)


def _custom_vjp(run: Any, f: custom_vjp, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    if f.forward is None:
        raise MissingRuleError(f"custom_vjp function {f.fun.__name__} has no rule: give one with defvjp")
    args, ts = _positional(run, f.fun, args, ts, kw, kts)
    found = [run.tangent_of(x, t) for x, t in zip(args, ts, strict=True)]
    if all(t is None for t in found):
        return f(*args), None  # by the rule in a derivative around this one
    if not run.reverse:
        run.missing_rule(
            f"{f.fun.__name__} in forward mode (it is a custom_vjp, which has a reverse formula only)"
        )
    value, kept = f.forward(*[run.frozen(a) for a in args])
    where = [i for i, t in enumerate(found) if t is not None]
    op = _Backward(f.backward, kept, where, len(args))
    return run.give(value, run.record.linear(op, [found[i] for i in where], value), ())


CALLABLE_TYPES[custom_vjp] = _custom_vjp


def update(x: Any, fn: Callable[[Any, Any], Any], grads: Any) -> Any:
    """A copy of `x` (a number, array, container or object) with every leaf replaced by `fn(leaf, gradient)`.

    >>> import tapeless as tl
    >>> tl.update({"w": 1.0, "name": "a"}, lambda p, g: p - 0.1 * g, {"w": 5.0, "name": None})
    {'w': 0.5, 'name': 'a'}
    """
    return _update(x, fn, grads, {})


def _update(x: Any, fn: Any, g: Any, memo: dict[int, Any]) -> Any:
    from tapeless.runtime.structure import field, fields_of
    from tapeless.runtime.tangent import tuple_like

    if g is None:
        return x
    if isinstance(x, (float, complex, np.inexact)):
        return fn(x, g)
    if isinstance(x, tuple):
        parts = [_update(e, fn, ge, memo) for e, ge in zip(x, g, strict=True)]
        return tuple_like(type(x), parts)
    if id(x) in memo:
        return memo[id(x)]
    if isinstance(x, np.ndarray):
        memo[id(x)] = made = fn(x, g)
        return made
    made = memo[id(x)] = copy.copy(x)
    if isinstance(x, list):
        made[:] = [_update(e, fn, ge, memo) for e, ge in zip(x, g, strict=True)]
    elif isinstance(x, dict):
        for k in x:
            made[k] = _update(x[k], fn, g[k], memo)
    else:
        for name, value in (fields_of(x) or {}).items():
            object.__setattr__(made, name, _update(value, fn, field(g, name, False), memo))
    return made
