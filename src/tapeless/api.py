"""Derivatives of ordinary Python functions, named as in JAX."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapeless.errors import NotScalarError, StructureError
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
from tapeless.runtime.nesting import long_run
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

Argnums = int | str | Sequence[int | str]


class Transformed:
    """A derivative function: called like the function it was made from, with its name and signature."""

    def __init__(self, fun: Callable[..., Any], argnums: Argnums, has_aux: bool) -> None:
        functools.update_wrapper(self, fun, updated=())  # type: ignore[arg-type]
        self.fun, self.argnums, self.has_aux = fun, argnums, has_aux

    def __reduce__(self) -> Any:
        return type(self), (self.fun, self.argnums, self.has_aux)

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} of {getattr(self.fun, '__qualname__', self.fun)}>"


class Gradient(Transformed):
    """What `grad` and `value_and_grad` return.

    A call takes the typed road where the program can be specialised for its arguments, else the untyped
    one.  The specialised entry that fits checks its own guards, and is made the `__call__` of a class of its
    own, so that a call of the gradient function goes straight to generated code.
    """

    with_value = False

    def __init__(self, fun: Callable[..., Any], argnums: Argnums, has_aux: bool) -> None:
        super().__init__(fun, argnums, has_aux)
        self.entries: list[Any] = []
        self.refused: set[Any] = set()

    def __reduce__(self) -> Any:
        return (ValueAndGrad if self.with_value else Grad), (self.fun, self.argnums, self.has_aux)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.slowly(args, kwargs, None)

    def slowly(self, args: tuple[Any, ...], kwargs: dict[str, Any], stale: Any) -> Any:
        """A call that no front entry took: by another entry, by a new one, or by the untyped road."""
        key = call_key(args, kwargs)
        if stale is not None and stale.key == key:
            self.entries = [e for e in self.entries if e is not stale]
        for entry in self.entries:
            if entry.key == key and entry is not stale:
                entry.hits += 1
                if entry.hits % 16 == 0:
                    self.to_front(entry)
                with user_frames_only():
                    return entry.call(*args, **kwargs)
        entry = self.typed_entry(args, kwargs)
        if entry is None:
            return self.untyped(args, kwargs)
        with user_frames_only():
            return entry.call(*args, **kwargs)

    def untyped(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The derivative by the untyped road."""
        value, aux, grads = _value_and_grad(self, args, kwargs)
        if self.with_value:
            return ((value, aux), grads) if self.has_aux else (value, grads)
        return (grads, aux) if self.has_aux else grads

    def typed_entry(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The entry for these arguments, specialised now if need be; None for the untyped road."""
        # imported when first needed: it is half the package
        from tapeless.backends.python.entry import reverse_entry
        from tapeless.specialise.types import NotTyped

        key = call_key(args, kwargs)
        for known in self.entries:
            if known.key == key:
                return known
        if key in self.refused:
            return None
        where = _positions(self.fun, self.argnums, args, kwargs)
        nums = tuple(w for w in where if isinstance(w, int))
        if len(nums) != len(where):
            return None
        many = isinstance(self.argnums, (tuple, list))
        try:
            entry: Any = reverse_entry(
                self.fun,
                args,
                kwargs,
                nums if many else nums[0],
                with_value=self.with_value,
                has_aux=self.has_aux,
            )
        except NotTyped:
            self.refused.add(key)
            return None
        entry.key, entry.hits = key, 0
        entry.miss = functools.partial(respecialise, self, entry)
        self.entries = [*self.entries, entry]
        self.to_front(entry)
        return entry

    def to_front(self, entry: Any) -> None:
        """Let calls of this gradient function go straight to an entry."""
        base = ValueAndGrad if self.with_value else Grad
        self.__class__ = type(base.__name__, (base,), {"__call__": staticmethod(entry.call)})


def respecialise(gradient: Gradient, entry: Any, *args: Any) -> Any:
    """The guards of an entry have refused a call."""
    return gradient.slowly(args, {}, entry)


def call_key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a specialisation depends on: the types of the arguments, in depth."""
    shared = tuple([type(a) in (tuple, list, dict) and parts_shared(a) for a in args])
    return shared, tuple([_key(a) for a in args]), tuple((k, _key(v)) for k, v in kwargs.items())


def parts_shared(value: Any) -> bool:
    """Whether two parts of `value` are one storage."""
    from tapeless.specialise.types import shared

    return shared(value)


def _key(x: Any, depth: int = 0) -> Any:
    kind = type(x)
    if kind is np.ndarray:
        return kind, x.dtype, x.ndim
    if depth > 8:  # deeper than any program is specialised for, or a cycle
        return kind
    if isinstance(x, tuple):
        return kind, *[_key(e, depth + 1) for e in x]
    if kind is list:
        return kind, *{_key(e, depth + 1): None for e in x}
    if kind is dict:
        return kind, *[(k, _key(v, depth + 1)) for k, v in x.items()]
    return kind


class Grad(Gradient):
    """What `grad` returns."""


class ValueAndGrad(Gradient):
    """What `value_and_grad` returns."""

    with_value = True


def _gradient_in_run(run: Any, f: Gradient, args: Any, ts: Any, kw: Any, kts: Any) -> Any:
    """A gradient function called by a program that is itself being differentiated."""
    for name, t in kts.items():
        run.put(kw, name, t)
    return run.enter(Gradient.untyped, (f, args, kw), (None, tuple_tangent(ts), None))


CALLABLE_TYPES[Gradient] = _gradient_in_run


def grad(fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The gradient of a function whose result is one real number.

    `argnums` says with respect to which arguments: a position, a parameter's name, or a sequence of them
    (then a tuple comes back).  The gradient has the shape of the argument.  With `has_aux` the function
    returns `(value, aux)` and the gradient function `(gradient, aux)`.

    >>> import tapeless as tl
    >>> tl.grad(lambda x: x * x)(3.0)
    6.0
    """
    return Grad(fun, argnums, has_aux)


def value_and_grad(
    fun: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Like `grad`, but the function returned gives `(value, gradient)`.

    >>> import tapeless as tl
    >>> tl.value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    """
    return ValueAndGrad(fun, argnums, has_aux)


def _positions(fun: Any, argnums: Argnums, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int | str]:
    """Where the differentiated arguments are in this call: a position, or a keyword."""
    wanted: list[Any] = list(argnums) if isinstance(argnums, (tuple, list)) else [argnums]
    found: list[int | str] = []
    for one in wanted:
        if isinstance(one, str):
            if one in kwargs:
                found.append(one)
                continue
            names = list(inspect.signature(fun).parameters)
            if one not in names:
                raise TypeError(
                    f"{name_of(fun)} has no parameter {one!r}; its parameters are {', '.join(names)}"
                )
            one = names.index(one)
        if not -len(args) <= one < len(args):
            names = list(inspect.signature(fun).parameters)
            if 0 <= one < len(names) and names[one] in kwargs:
                found.append(names[one])
                continue
            raise TypeError(
                f"argnums {one} is out of range: "
                f"{name_of(fun)} was called with {len(args)} positional arguments"
            )
        found.append(one % len(args) if args else one)
    return found


def _value_and_grad(what: Transformed, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any, Any]:
    fun = what.fun
    where = _positions(fun, what.argnums, args, kwargs)
    with user_frames_only():
        lin = Linearized(fun, args, kwargs, where, "gradient")
    value, t, aux = lin.value, lin.tangent, None
    if what.has_aux:
        if not isinstance(value, tuple) or len(value) != 2:
            raise StructureError(
                f"with has_aux {name_of(fun)} must return (value, aux), "
                f"not {type(value).__name__}{definition(fun)}"
            )
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
            raise NotScalarError(
                f"grad needs a function whose result is one real number; {name_of(fun)} returned {got}. "
                f"Sum it, or use jacobian, vjp or jvp{definition(fun)}"
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
