"""Functions whose tangent a user gives (`custom_jvp`, `jvp_rule`), in compiled first derivatives.

The rule is staged with the primals as constants and with seeds in place of tangents: numbers that are zero,
with the derivative of the primals.  What comes out is zero, with the derivative that the rule says; it is
added to the value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import apply, const
from tapeless.backends.native.staging import storage
from tapeless.backends.native.staging.apart import is_leaf
from tapeless.backends.native.staging.base import Replay
from tapeless.backends.native.staging.values import ArrayValue, ComplexNumber, Number, Sequence, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager


def custom_jvp(stager: Stager, own: Any, args: list[Value]) -> Value:
    """A call of a `custom_jvp` function: its rule gives the value, too."""
    from tapeless.backends.native.staging.transformations import stopped

    primals, tangents = [stopped(stager, a) for a in args], [_seed(stager, a) for a in args]
    stager.in_rules.append(own)
    made = stager.call(Static(own.rule), [Sequence(primals, tuple), Sequence(tangents, tuple)], {})
    stager.in_rules.pop()
    if not stager.alive:
        return made
    parts = made.items if isinstance(made, Sequence) else []
    if len(parts) != 2:
        stager.refuse("a rule of a custom_jvp function returns something else than a pair", "return a pair")
    return _with_tangent(stager, stopped(stager, parts[0]), parts[1])


def jvp_rule(stager: Stager, rule: Any, value: Value, args: list[Value]) -> Value:
    """A call of a function with a `jvp_rule`, whose value is known."""
    from tapeless.backends.native.staging.transformations import stopped

    n = rule.count
    if rule.sequence or len(args) < n:
        stager.refuse(f"a call of {rule.name} with its own rule is not compiled", "differentiate outside jit")
    primals, value = [stopped(stager, a) for a in args], stopped(stager, value)
    tangents = [_seed(stager, a) for a in args[:n]]
    named = {"out": value} if rule.wants_out else {}
    stager.in_rules.append(rule.function)
    made = stager.call(Static(rule.tangent), [*primals[:n], *tangents, *primals[n:]], named)
    stager.in_rules.pop()
    return _with_tangent(stager, value, made) if stager.alive else made


def _seed(stager: Stager, x: Value) -> Value:
    """Zero, with the derivative of `x`; None where there is none."""
    from tapeless.backends.native.staging.transformations import stopped

    if isinstance(x, (Static, ComplexNumber)) or not is_leaf(x):
        if isinstance(x, Static) and isinstance(x.obj, float):
            return Static(type(x.obj)(0.0))
        if isinstance(x, (Number, Static)):
            return Static(None)
        stager.refuse("an own rule takes something else than real numbers and arrays", "take it apart")
    return stager.binary("Sub", x, stopped(stager, x))


def _with_tangent(stager: Stager, value: Value, tangent: Value) -> Value:
    """A value with the derivative of a tangent, which is zero.

    Where that is not a number (of an infinite partial, say), the plain function makes the call.
    """
    if isinstance(tangent, Static) and tangent.obj is None:
        return value
    if (
        isinstance(value, Sequence)
        and isinstance(tangent, Sequence)
        and len(value.items) == len(tangent.items)
    ):
        pairs = zip(value.items, tangent.items, strict=True)
        return Sequence([_with_tangent(stager, v, t) for v, t in pairs], value.kind)
    if isinstance(value, ArrayValue) and isinstance(tangent, ArrayValue):
        if value.dtype.startswith("complex") or value.dtype != tangent.dtype:
            stager.refuse("an own rule gives a tangent of another type", "give it the type of the value")
        tangent = stager.settle(tangent, 2, "tangent")
        assert isinstance(tangent, ArrayValue)
        with storage.nest(stager, tangent.shape) as index:
            item = storage.at(stager, tangent, index)
            assert not isinstance(item, tuple)
            stager.check(apply("eq", item, const(0.0, item.type)), Replay)
        return stager.binary("Add", value, tangent)
    if isinstance(value, Number) and isinstance(tangent, Number) and is_leaf(value):
        seed = stager.bind(stager.as_expr(tangent, value.expr.type))
        stager.check(apply("eq", seed, const(0.0, seed.type)), Replay)
        return Number(apply("add", value.expr, seed), value.kind)
    stager.refuse("an own rule gives a tangent of another kind than the value", "give it the value's kind")
