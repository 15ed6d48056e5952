"""Derivatives that a user gives (`custom_jvp`, `jvp_rule`, `custom_vjp`, `gradient_hook`), compiled.

The rule of a tangent is staged with the primals held (constants for the derivative that is by the rule) and
with seeds in place of tangents: numbers that are zero, with the derivative of the primals.  What comes out is
zero, with the derivative that the rule says; it is added to the value.  A reverse formula becomes a nest of
its own, the attribute of an operation that hands on the value (`own`).

Derivatives around that one are of the rules themselves; calls inside a rule have rules as long as there are
such.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import (
    F64,
    Array,
    Assign,
    Expr,
    Function,
    Intrinsic,
    Ref,
    Scalar,
    apply,
    const,
)
from tapeless.backends.native.own import Rule
from tapeless.backends.native.staging import arrays, storage
from tapeless.backends.native.staging.apart import check_parts, is_leaf, name_of, outside
from tapeless.backends.native.staging.base import Replay
from tapeless.backends.native.staging.broadcasting import to_array
from tapeless.backends.native.staging.joins import Conflict, Maybe
from tapeless.backends.native.staging.paths import Field, Fixed, Held
from tapeless.backends.native.staging.values import (
    ArrayValue,
    ComplexNumber,
    Instance,
    Mapping,
    Number,
    Sequence,
    Static,
    Value,
    View,
)

if TYPE_CHECKING:
    from tapeless.backends.native.nest import Stmt
    from tapeless.backends.native.staging.stager import Stager


def call(stager: Stager, own: Any, rule: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """A call of a function with a rule: an object of tapeless's, or a function with an entry in the table."""
    from tapeless import custom
    from tapeless.backends.native.staging.transformations import stopped

    if rule is not None and rule.kind == "nondifferentiable":
        return stopped(stager, plainly(stager, own, args, kwargs))
    deep = sum(o is own for o in stager.in_rules)
    if isinstance(own, custom.custom_jvp):
        stager.guard(Field(Fixed(Held(own)), "rule"), "is", own.rule)
    elif isinstance(own, custom.custom_vjp):
        for name in ("forward", "backward"):
            stager.guard(Field(Fixed(Held(own)), name), "is", getattr(own, name))
    if deep >= stager.differentiated:  # the value is all that is asked for
        return plainly(stager, own, args, kwargs)
    if kwargs:
        args = _positional(stager, own, args, kwargs)
    if stager.differentiated > 1 and any(o is custom.checkpoint for o in stager.in_rules):
        stager.refuse(
            f"{name_of(own)}, which has a rule, in a checkpoint in a second derivative",
            "leave the checkpoint out",
        )
    stager.own_rules = True
    if isinstance(own, custom.custom_jvp) and own.rule is not None:
        return custom_jvp(stager, own, args)
    if isinstance(own, custom.custom_vjp) and own.forward is not None:
        return custom_vjp(stager, own, args)
    if rule is not None and rule.kind == "jvp":
        return jvp_rule(stager, own, rule, args)
    stager.refuse(
        f"the derivative of {name_of(own)} has no compiled form, by the rule that it has",
        "differentiate outside jit, or leave the rule out",
    )


def plainly(stager: Stager, own: Any, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """A call of a function with a rule, without it."""
    fun = getattr(own, "fun", own)
    if isinstance(fun, types.FunctionType):
        return stager.call_function(fun, args, kwargs, None)
    made: Value = stager.call(Static(fun), args, kwargs)
    return made


def _positional(stager: Stager, own: Any, args: list[Value], kwargs: dict[str, Value]) -> list[Value]:
    import inspect

    try:
        bound = inspect.signature(getattr(own, "fun", own)).bind(*args, **kwargs)
    except (TypeError, ValueError):
        bound = None
    if bound is None or bound.kwargs:
        stager.refuse(f"keywords for {name_of(own)}, which has a rule", "pass its arguments by position")
    return list(bound.args)


@contextmanager
def inside(stager: Stager, own: Any) -> Iterator[None]:
    """While the rule of a function is staged."""
    stager.in_rules.append(own)
    stager.rules_from.append(len(stager.frames))
    try:
        yield
    finally:
        stager.in_rules.pop()
        stager.rules_from.pop()


def checkpointed(stager: Stager, fun: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """A call of `checkpoint(fun)`: what to keep and what to compute again is chosen by the compiler."""
    from tapeless import custom

    stager.in_rules.append(custom.checkpoint)
    made: Value = stager.call(fun, args, kwargs)
    stager.in_rules.pop()
    return made


# ---- tangents


def custom_jvp(stager: Stager, own: Any, args: list[Value]) -> Value:
    """A call of a `custom_jvp` function: its rule gives the value, too."""
    mark = mark_of(stager, args)
    primals, tangents = [held(stager, a, mark) for a in args], [seed_of(stager, a, mark) for a in args]
    with inside(stager, own):
        made = stager.call(Static(own.rule), [Sequence(primals, tuple), Sequence(tangents, tuple)], {})
    if not stager.alive:
        return made
    parts = made.items if isinstance(made, Sequence) else []
    if len(parts) != 2:
        stager.refuse("a rule of a custom_jvp function returns something else than a pair", "return a pair")
    return with_tangent(stager, held(stager, parts[0], mark), parts[1])


def jvp_rule(stager: Stager, own: Any, rule: Any, args: list[Value]) -> Value:
    """A call of a function with a `jvp_rule`."""
    n = rule.count
    if rule.sequence or len(args) < n:
        stager.refuse(f"a call of {rule.name} with its own rule is not compiled", "differentiate outside jit")
    mark = mark_of(stager, args[:n])
    primals, tangents = [held(stager, a, mark) for a in args], [seed_of(stager, a, mark) for a in args[:n]]
    with inside(stager, own):
        value = stager.call(Static(own), primals, {})
        if not stager.alive:
            return value
        named = {"out": value} if rule.wants_out else {}
        made = stager.call(Static(rule.tangent), [*primals[:n], *tangents, *primals[n:]], named)
    return with_tangent(stager, held(stager, value, mark), made) if stager.alive else made


def mark_of(stager: Stager, args: list[Value]) -> Expr:
    """A number that depends on all arguments, of no interest itself."""
    mark = stager.scalar(F64, "mark")
    stager.emit(Assign(mark, const(0.0)))
    for x in args:
        if isinstance(x, Number) and is_leaf(x):
            stager.emit(Assign(mark, Ref(mark) + stager.convert(x.expr, F64)))
        elif isinstance(x, ArrayValue) and is_leaf(x):
            with storage.nest(stager, x.shape) as index:
                item = storage.at(stager, x, index)
                for e in item if isinstance(item, tuple) else (item,):
                    stager.emit(Assign(mark, Ref(mark) + stager.convert(e, F64)))
    return Ref(mark)


def factored(
    stager: Stager, function: Any, tangent: Any, plainly: Callable[[Value], Value], a: Value
) -> Value:
    """A function of NumPy's of one array; `tangent` is a program of it, its tangent and the result."""
    if sum(o is function for o in stager.in_rules) >= stager.differentiated:
        return plainly(a)
    stager.own_rules = True
    mark = mark_of(stager, [a])
    primal, seed = held(stager, a, mark), seed_of(stager, a, mark)
    with inside(stager, function):
        value = factored(stager, function, tangent, plainly, primal)
        if isinstance(value, Sequence):
            value = Sequence([to_array(stager, v) for v in value.items], value.kind)
        else:
            value = to_array(stager, value)
        parts = value.items if isinstance(value, Sequence) else [value]
        made = stager.call(Static(tangent), [primal, seed, *parts], {})
    return with_tangent(stager, held(stager, value, mark), made)


def held(stager: Stager, x: Value, mark: Expr) -> Value:
    """A value as a constant for the first derivative that `mark` depends on."""
    check_parts(stager, x)

    def hold(e: Expr) -> Expr:
        return apply("hold", stager.convert(mark, e.type), e)

    if isinstance(x, Number):
        return Number(hold(x.expr), x.kind) if is_leaf(x) else x
    if isinstance(x, ComplexNumber):
        return ComplexNumber(hold(x.real), hold(x.imag), x.kind)
    if isinstance(x, ArrayValue):
        if not is_leaf(x):
            return x

        def element(index: Any) -> Any:
            e = storage.at(stager, x, index)
            return tuple(map(hold, e)) if isinstance(e, tuple) else hold(e)

        return storage.lazy(stager, x.shape, x.dtype, element, [x], 1 + storage.cost(x))
    if isinstance(x, Sequence):
        return Sequence([held(stager, v, mark) for v in x.items], x.kind)
    if isinstance(x, Mapping):
        return Mapping({k: held(stager, v, mark) for k, v in x.items.items()}, x.kind)
    if isinstance(x, Instance):
        return Instance(x.cls, {k: held(stager, v, mark) for k, v in x.fields.items()})
    return x


def seed_of(stager: Stager, x: Value, mark: Expr) -> Value:
    """Zero, with the derivative of `x`; None where there is none."""
    if isinstance(x, (Static, ComplexNumber)) or not is_leaf(x):
        if isinstance(x, Static) and isinstance(x.obj, float):
            return Static(type(x.obj)(0.0))
        if isinstance(x, (Number, Static)):
            return Static(None)
        stager.refuse("an own rule takes something else than real numbers and arrays", "take it apart")
    return stager.binary("Sub", x, held(stager, x, mark))


def with_tangent(stager: Stager, value: Value, tangent: Value) -> Value:
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
        return Sequence([with_tangent(stager, v, t) for v, t in pairs], value.kind)
    if isinstance(value, ArrayValue) and not value.ndim:
        tangent = to_array(stager, tangent)
    if isinstance(value, ArrayValue) and isinstance(tangent, ArrayValue):
        if value.dtype != tangent.dtype:
            stager.refuse("an own rule gives a tangent of another type", "give it the type of the value")
        tangent = stager.settle(tangent, 2, "tangent")
        assert isinstance(tangent, ArrayValue)
        with storage.nest(stager, tangent.shape) as index:
            item = storage.at(stager, tangent, index)
            for e in item if isinstance(item, tuple) else (item,):
                stager.check(apply("eq", e, const(0.0, e.type)), Replay)
        return stager.binary("Add", value, tangent)
    if isinstance(value, Number) and isinstance(tangent, Number) and is_leaf(value):
        seed = stager.bind(stager.as_expr(tangent, value.expr.type))
        stager.check(apply("eq", seed, const(0.0, seed.type)), Replay)
        return Number(apply("add", value.expr, seed), value.kind)
    stager.refuse("an own rule gives a tangent of another kind than the value", "give it the value's kind")


# ---- reverse formulas


def custom_vjp(stager: Stager, own: Any, args: list[Value]) -> Value:
    """A call of a `custom_vjp` function: its forward half gives the value and what the other needs."""
    args = [_leaf(stager, a) for a in args]
    mark = mark_of(stager, args)
    with inside(stager, own):
        made = stager.call(Static(own.forward), [held(stager, a, mark) for a in args], {})
    if not stager.alive:
        return made
    parts = made.items if isinstance(made, Sequence) else []
    if len(parts) != 2:
        stager.refuse("the forward half of a custom_vjp function returns no pair", "return a pair")
    kept = _settled(stager, parts[1])

    def backward(ct: Value) -> list[Value]:
        found = stager.call(Static(own.backward), [kept, ct], {})
        if not stager.alive:
            return []
        if not isinstance(found, Sequence) or len(found.items) != len(args):
            stager.refuse(
                f"the backward rule of a custom_vjp returns no tuple of {len(args)} cotangents", "return one"
            )
        return list(found.items)

    return _reversed(stager, name_of(own), args, parts[0], backward)


def hook(stager: Stager, x: Value, hook: Value) -> Value:
    """`gradient_hook(x, hook)`: in forward mode it is `x`."""
    if not stager.differentiated or isinstance(x, Static) or (isinstance(x, Number) and not is_leaf(x)):
        return x
    stager.own_rules = True
    x = _leaf(stager, x)

    def backward(ct: Value) -> list[Value]:
        given = storage.store_copy(stager, ct) if isinstance(ct, ArrayValue) else ct
        found = stager.call(hook, [given], {})
        if isinstance(found, Maybe):
            stager.refuse("a hook returns None on some paths only", "return the cotangent there")
        return [ct if isinstance(found, Static) and found.obj is None else found]

    return _reversed(stager, "gradient_hook", [x], x, backward, hook=True)


def _leaf(stager: Stager, x: Value) -> Value:
    """A real number or array by a name of its own; others are constants."""
    if isinstance(x, Static) or (isinstance(x, Number) and not is_leaf(x)):
        return x
    if isinstance(x, ArrayValue):
        if x.dtype.startswith("complex"):
            stager.refuse("a reverse rule of complex arrays", "differentiate outside jit")
        return storage.materialise(stager, x) if is_leaf(x) else x
    if not isinstance(x, Number):
        stager.refuse("a reverse rule takes something else than real numbers and arrays", "take it apart")
    name = stager.scalar(x.expr.type, "x")
    stager.emit(Assign(name, x.expr))
    return Number(Ref(name), x.kind)


def _settled(stager: Stager, x: Value) -> Value:
    """What a rule keeps: numbers and arrays are made."""
    if isinstance(x, ArrayValue):
        return storage.make(stager, x)
    if isinstance(x, Number):
        return Number(stager.bind(x.expr), x.kind)
    if isinstance(x, Sequence):
        return Sequence([_settled(stager, v) for v in x.items], x.kind)
    if isinstance(x, Mapping):
        return Mapping({k: _settled(stager, v) for k, v in x.items.items()}, x.kind)
    return x


def _reversed(
    stager: Stager, name: str, args: list[Value], value: Value, backward: Any, hook: bool = False
) -> Value:
    """`value` as a result whose cotangent goes to `args` by way of `backward`."""
    y: Scalar | Array
    v: Expr | Array
    ct: Scalar | Array
    made: Value
    given: Value
    if isinstance(value, ArrayValue) and is_leaf(value) and not value.dtype.startswith("complex"):
        whole = storage.materialise(stager, value)
        made = storage.fresh(stager, whole.shape, whole.dtype, "y")
        y, v, ct = made.array, whole.array, stager.array(whole.dtype, whole.ndim, "ct")
        given = arrays.argument(stager, ct, whole.dtype, whole.shape)
    elif isinstance(value, (Number, Static)) and is_leaf(value) and not stager.is_complex(value):
        number = stager.number(value)
        y, v = stager.scalar(number.expr.type, "y"), stager.bind(number.expr)
        ct = stager.scalar(number.expr.type, "ct")
        made, given = Number(Ref(y), number.kind), Number(Ref(ct), number.kind)
    else:
        stager.refuse("the value of a reverse rule is no real number or array", "differentiate outside jit")
    leaves = [a for a in args if is_leaf(a) and not isinstance(a, Static)]
    body, results = _backward(stager, args, given, backward)
    free, written, _ = outside(body, [ct])
    if written:
        stager.refuse(f"{name}: a reverse rule writes into an array from outside", "let it write into a copy")
    kept = [Ref(x) if isinstance(x, Scalar) else x for x in free]
    operands = [_operand(x) for x in leaves]
    nest = Function(name, [ct, *free], body, [r for r in results if r is not None], stager.failures)
    rule = Rule(name, len(leaves), nest, tuple(results), hook)
    attrs = {"rule": rule, "active": len(leaves)}
    stager.emit(Intrinsic("own", (y,), (*operands, v, *kept), attrs))
    return made


def _operand(x: Value) -> Expr | Array:
    if isinstance(x, View):
        return x.array
    assert isinstance(x, Number)
    return x.expr


def _backward(
    stager: Stager, args: list[Value], ct: Value, backward: Any
) -> tuple[list[Stmt], list[Scalar | Array | None]]:
    """The body of the backward half, for one derivative less, and where it leaves cotangents of leaves."""
    around = stager.handlers, stager.finals, stager.in_rules, stager.caught_outside
    stager.caught_outside |= bool(stager.handlers or stager.finals)
    stager.handlers, stager.finals, stager.in_rules = [], [], []
    stager.differentiated -= 1
    level, clock = stager.heap.open(), stager.heap.clock
    results: list[Scalar | Array | None] = []
    try:
        with stager.collect() as body, inside(stager, None):
            found = backward(ct)
            if stager.alive:
                results = [
                    _cotangent(stager, x, g)
                    for x, g in zip(args, found, strict=True)
                    if is_leaf(x) and not isinstance(x, Static)
                ]
    finally:
        stager.differentiated += 1
        stager.handlers, stager.finals, stager.in_rules, stager.caught_outside = around
    alive, stager.alive = stager.alive, True
    changed = [o for o, _ in stager.heap.since(level).held.values() if stager.heap.age(o) <= clock]
    stager.heap.close(level)
    if not alive or changed:
        what = "changes something from outside" if changed else "always raises"
        stager.refuse(f"a reverse rule {what}", "differentiate outside jit")
    return body, results


def _cotangent(stager: Stager, x: Value, g: Value) -> Scalar | Array | None:
    """The cotangent of an argument, where the nest of the rule leaves it."""
    if isinstance(g, Static) and g.obj is None:
        return None
    if isinstance(g, (Maybe, Conflict)):
        g = stager.present(g, "a cotangent", "ct")
    if isinstance(x, Number):
        if not (stager.is_number(g) or (isinstance(g, ArrayValue) and not g.ndim)):
            stager.refuse("the cotangent of a number is no number", "return one")
        name = stager.scalar(x.expr.type, "g")
        stager.emit(Assign(name, stager.as_expr(g, x.expr.type)))
        return name
    assert isinstance(x, ArrayValue)
    if not isinstance(g, ArrayValue) or g.ndim != x.ndim or g.dtype.startswith("complex"):
        stager.refuse("the cotangent of an array is no real array with as many axes", "return one")
    for n, m in zip(x.shape, g.shape, strict=True):
        stager.check(apply("eq", n, m), Replay)
    if g.dtype != x.dtype:
        from tapeless.backends.native.staging.elementwise import astype

        g = astype(stager, g, x.dtype)
    return storage.store_copy(stager, g).array
