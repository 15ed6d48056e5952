"""Tapeless's own functions, called by a program that is staged: which of them, and what they give."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import apply
from tapeless.backends.native.staging import own_rules, storage
from tapeless.backends.native.staging.apart import as_value, check_parts, is_leaf
from tapeless.backends.native.staging.batches import vmap
from tapeless.backends.native.staging.derivatives import Asked, function, gradient, hvp, jvp
from tapeless.backends.native.staging.jacobians import jacobian
from tapeless.backends.native.staging.linear_maps import linearize, transpose, vjp
from tapeless.backends.native.staging.sparse import compressed, words
from tapeless.backends.native.staging.values import (
    ArrayValue,
    ComplexNumber,
    Instance,
    Mapping,
    Number,
    Sequence,
    Static,
    Value,
)
from tapeless.rule_table import RULES

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

Lowering = Callable[..., Value]


def handles(obj: Any) -> bool:
    """Whether `obj` is one of tapeless's own transformations, or a function that one of them made."""
    if isinstance(obj, _made()):
        return True
    if isinstance(obj, (types.FunctionType, type)):
        return obj in _lowerings() or _own_rule(obj) is not None
    return False


@functools.cache
def _made() -> tuple[type, ...]:
    from tapeless import custom, matrices, native, sparse, transformed

    return (
        transformed.Gradient, matrices.Jacobian, sparse.SparseJacobian, sparse.Dependence, sparse.Compressed,
        native.Jitted, native.Vmap, custom.checkpoint,
        custom.custom_jvp, custom.custom_vjp,
    )  # fmt: skip


@functools.cache
def _lowerings() -> dict[Any, Lowering]:
    import tapeless as tl
    from tapeless import custom, matrices, native, transformed
    from tapeless.runtime import tangent

    return {
        transformed.grad: _grad, transformed.value_and_grad: _value_and_grad, tl.jvp: jvp, tl.vjp: vjp,
        tl.linearize: linearize, tl.transpose: transpose, matrices.hvp: hvp, matrices.hessian: _hessian,
        matrices.jacobian: functools.partial(_jacobian, mode="auto"),
        matrices.jacfwd: functools.partial(_jacobian, mode="forward"),
        matrices.jacrev: functools.partial(_jacobian, mode="reverse"),
        native.jit: _jit, native.vmap: _vmap, custom.checkpoint: _checkpoint,
        custom.stop_gradient: stopped, custom.gradient_hook: own_rules.hook, custom.update: _update,
        tangent.combine: _combine,
    }  # fmt: skip


def _own_rule(obj: Any) -> Any:
    """The rule that a user has given for a function of his own."""
    from tapeless.backends.native.staging.inputs import SETTLED

    if str(getattr(obj, "__module__", "")).split(".")[0] in SETTLED:
        return None
    try:
        return RULES.get(obj)
    except TypeError:
        return None


def call(stager: Any, obj: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """What a transformation gives for these arguments."""
    from tapeless import custom, matrices, native, sparse, transformed

    if isinstance(obj, native.Jitted):
        made: Value = stager.call(Static(obj.fun), args, kwargs)
        return made
    if isinstance(obj, custom.checkpoint):
        return own_rules.checkpointed(stager, Static(obj.fun), args, kwargs)
    if isinstance(obj, native.Vmap):
        return vmap(stager, obj, args, kwargs)
    if isinstance(obj, transformed.Gradient):
        return gradient(stager, obj, args, kwargs)
    if isinstance(obj, matrices.Jacobian):
        return jacobian(stager, obj, args, kwargs)
    if isinstance(obj, sparse.SparseJacobian):
        _no_sparse(stager)
    if isinstance(obj, sparse.Dependence):
        return words(stager, obj, args, kwargs)
    if isinstance(obj, sparse.Compressed):
        return compressed(stager, obj, args, kwargs)
    rule = _own_rule(obj)
    if isinstance(obj, (custom.custom_jvp, custom.custom_vjp)) or rule is not None:
        return own_rules.call(stager, obj, rule, args, kwargs)
    return _lowerings()[obj](stager, *args, **kwargs)


# ---- functions that make derivative functions


def _options(stager: Stager, argnums: Value | None, has_aux: Value | None = None) -> tuple[Any, bool]:
    wanted = 0 if argnums is None else stager.known(argnums)
    return wanted, has_aux is not None and bool(stager.known(has_aux))


def _grad(stager: Stager, fun: Value, argnums: Value | None = None, has_aux: Value | None = None) -> Value:
    return function("grad", Asked(fun, *_options(stager, argnums, has_aux)))


def _value_and_grad(
    stager: Stager, fun: Value, argnums: Value | None = None, has_aux: Value | None = None
) -> Value:
    return function("grad", Asked(fun, *_options(stager, argnums, has_aux), with_value=True))


def _jacobian(
    stager: Stager, fun: Value, argnums: Value | None = None, sparse: Value | None = None, *, mode: str
) -> Value:
    if sparse is not None and stager.known(sparse) not in (None, False):
        _no_sparse(stager)
    return function("jacobian", Asked(fun, _options(stager, argnums)[0], mode=mode))


def _no_sparse(stager: Stager) -> None:
    stager.refuse(
        "a sparse jacobian inside a compiled program", "take it outside: jacobian(jit(f), sparse=…)"
    )


def _hessian(stager: Stager, fun: Value, argnums: Value | None = None, sparse: Value | None = None) -> Value:
    if sparse is not None and stager.known(sparse) not in (None, False):
        _no_sparse(stager)
    wanted = _options(stager, argnums)[0]
    return function("jacobian", Asked(function("grad", Asked(fun, wanted)), wanted, mode="forward"))


def _jit(stager: Stager, fun: Value, **options: Value) -> Value:
    return fun


def _checkpoint(stager: Stager, fun: Value) -> Value:
    from tapeless.backends.native.staging.callables import Method
    from tapeless.backends.native.staging.values import Bound

    def run(s: Any, owner: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
        return own_rules.checkpointed(s, fun, args, kwargs)

    return Bound(Static(Method("checkpoint", run)), as_value(fun))


def _vmap(stager: Stager, fun: Value, in_axes: Value | None = None, out_axes: Value | None = None) -> Value:
    from tapeless.backends.native.staging.callables import Method
    from tapeless.backends.native.staging.values import Bound

    axes = [0 if a is None else stager.known(a) for a in (in_axes, out_axes)]

    class Batch:
        in_axes, out_axes = axes

    batch: Any = Batch()
    batch.fun = fun

    def run(s: Any, owner: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
        return vmap(s, batch, args, kwargs)

    return Bound(Static(Method("vmap", run)), as_value(fun))


# ---- values without a derivative, and structures of derivatives


def stopped(stager: Stager, x: Value) -> Value:
    """A value as a constant for every derivative."""
    check_parts(stager, x)
    if isinstance(x, Number):
        return dataclasses.replace(x, expr=apply("stop", x.expr)) if is_leaf(x) else x
    if isinstance(x, ComplexNumber):
        return ComplexNumber(apply("stop", x.real), apply("stop", x.imag), x.kind)
    if isinstance(x, ArrayValue):
        if not is_leaf(x):
            return x

        def element(index: Any) -> Any:
            item = storage.at(stager, x, index)
            return tuple(apply("stop", e) for e in item) if isinstance(item, tuple) else apply("stop", item)

        return storage.lazy(stager, x.shape, x.dtype, element, [x], 1 + storage.cost(x))
    if isinstance(x, Sequence):
        return Sequence([stopped(stager, v) for v in x.items], x.kind)
    if isinstance(x, Mapping):
        return Mapping({k: stopped(stager, v) for k, v in x.items.items()}, x.kind)
    if isinstance(x, Instance):
        return Instance(x.cls, {k: stopped(stager, v) for k, v in x.fields.items()})
    return x


def _update(stager: Stager, x: Value, fn: Value, grads: Value) -> Value:
    return _mapped(stager, fn, x, [grads], x)


def _combine(stager: Stager, fn: Value, first: Value, *rest: Value, memo: Value | None = None) -> Value:
    return _mapped(stager, fn, first, list(rest), Static(None))


def _mapped(stager: Stager, fn: Value, x: Value, others: list[Value], otherwise: Value) -> Value:
    """`fn` applied to the leaves of structures of one shape; where one is None, `otherwise`."""
    if any(isinstance(v, Static) and v.obj is None for v in (x, *others)):
        return otherwise
    check_parts(stager, x)
    if is_leaf(x):
        value: Value = stager.call(fn, [x, *others], {})
        return value

    def inner(parts: dict[Any, Value]) -> dict[Any, Value]:
        made = {}
        for k, v in parts.items():
            theirs = [_part(o, k) for o in others]
            made[k] = _mapped(stager, fn, v, theirs, v if otherwise is x else Static(None))
        return made

    if isinstance(x, Sequence):
        made: Value = Sequence(list(inner(dict(enumerate(x.items))).values()), x.kind)
    elif isinstance(x, Mapping):
        made = Mapping(inner(x.items), x.kind)
    elif isinstance(x, Instance):
        fields = x.fields.get("_fields")
        if isinstance(fields, Mapping):
            made = Instance(x.cls, {**x.fields, "_fields": Mapping(inner(fields.items))})
        else:
            made = Instance(x.cls, inner(x.fields))
    else:
        return otherwise
    stager.heap.born(made)
    return made


def _part(value: Value, key: Any) -> Value:
    held: Value
    if isinstance(value, Sequence):
        held = value.items[key]
        return held
    if isinstance(value, Instance):
        fields = value.fields.get("_fields")
        held = fields.items[key] if isinstance(fields, Mapping) else value.fields[key]
        return held
    assert isinstance(value, Mapping)
    held = value.items[key]
    return held
