"""Functions of NumPy and SciPy without a lowering: they are called back; their derivatives are by the rules
that they have in Python, whose formulas are programs."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Container
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import Array, Expr, Intrinsic
from tapeless.backends.native.staging import elements, own_rules, scipy_fourier, storage
from tapeless.backends.native.staging.apart import is_leaf
from tapeless.backends.native.staging.broadcasting import broadcast_shapes, operand, to_array
from tapeless.backends.native.staging.builtin_table import BUILTINS
from tapeless.backends.native.staging.elementwise import astype, types_of, ufunc
from tapeless.backends.native.staging.values import ArrayValue, Sequence, Static, Value
from tapeless.errors import MissingRuleError
from tapeless.rules.factorisations import turning

if TYPE_CHECKING:
    from tapeless.backends.native.staging.stager import Stager

EVERYTHING = range(1_000_000)
#: Programs for tangents where those of the rules are long when they are staged.
TANGENTS: dict[Any, Any] = {}
BUILTINS[turning] = lambda s, gap, moved: s.binary("Mult", gap, moved)
#: The shape and the dtype of a result.
Made = tuple[tuple[Expr, ...], str]


def emit(
    stager: Stager, module: str, name: str, ins: list[ArrayValue], results: list[Made],
    options: dict[str, Any] | None = None, failure: int | None = None, constant: Container[int] = EVERYTHING,
    more: dict[str, Any] | None = None,
) -> list[ArrayValue]:  # fmt: skip
    """`module.name(*ins, **options)`, called back; it gives an array or a tuple of arrays.

    The derivatives by the operands that are `constant` are given apart, or there are none.
    """
    order = sorted(range(len(ins)), key=lambda k: k in constant)
    sources = [storage.materialise(stager, ins[k]) for k in order]
    outs = [storage.fresh(stager, shape, dtype) for shape, dtype in results]
    pairs = [elements.is_complex(v.dtype) for v in (*outs, *sources)]
    places = [order.index(k) for k in range(len(ins))]
    payload = pickle.dumps((module, name, pairs, places, options or {})).hex()
    attrs: dict[str, Any] = {"payload": payload, "function": f"{module}.{name}", "order": order}
    attrs |= {"active": sum(k not in constant for k in order), **(more or {})}
    if failure is not None:
        attrs["failure"] = failure
    arrays: list[Array] = [o.array for o in outs]
    stager.emit(Intrinsic("called", tuple(arrays), tuple(s.array for s in sources), attrs))
    return list(outs)


# ---- ufuncs


def call(stager: Stager, function: Any, args: list[Value], kwargs: dict[str, Value]) -> Value | None:
    """A C function of SciPy or a ufunc without a lowering; None if it is another one."""
    known = all(isinstance(a, Static) and _plain(a.obj) for a in (*args, *kwargs.values()))
    if isinstance(function, np.ufunc):
        home = home_of(function)
        while len(args) > function.nin and isinstance(last := args[-1], Static) and last.obj is None:
            args = args[:-1]  # nowhere to put the result
        if home is None or kwargs or len(args) != function.nin:
            return None
        if known:
            return stager.evaluate(function, *args)
        by_rule = stager.ruled.get(f"{home}.{function.__name__}", set())
        return ruled(stager, function, args, by_rule, lambda own: _applied(stager, function, home, own))
    module = str(getattr(function, "__module__", ""))
    if module.startswith("scipy.fft."):
        program = scipy_fourier.PROGRAMS.get(function.__name__)
        if program is not None:
            from tapeless.backends.native.staging.opened import opened

            return opened(stager, program, f"scipy.fft.{function.__name__}", tuple(args), kwargs)
    if known and module.startswith("scipy."):
        return stager.evaluate(function, *args, **kwargs)
    return None


def _plain(obj: Any) -> bool:
    return obj is None or isinstance(obj, (bool, int, float, complex, str, np.generic))


def name_of(function: np.ufunc) -> str:
    return f"{home_of(function)}.{function.__name__}"


def home_of(function: np.ufunc) -> str | None:
    """The module in which a ufunc is found by its name."""
    import scipy.special  # type: ignore[import-untyped]

    homes: tuple[ModuleType, ...] = (scipy.special, scipy.special._ufuncs, np)
    for module in homes:
        if getattr(module, function.__name__, None) is function:
            return module.__name__
    return None


def _applied(stager: Stager, function: np.ufunc, home: str, args: list[Value]) -> Value:
    operands = [operand(stager, a) for a in args]
    inputs, results = types_of(stager, function, operands)
    shape = broadcast_shapes(stager, [o.shape for o in operands])
    arrays = [
        storage.make(stager, astype(stager, to_array(stager, a), d))
        for a, d in zip(args, inputs, strict=True)
    ]
    by_rule = stager.ruled.get(f"{home}.{function.__name__}", set())
    outs = emit(
        stager, home, function.__name__, list(arrays), [(shape, r) for r in results], constant=by_rule
    )
    made = [o if shape else number(stager, o) for o in outs]
    return made[0] if len(made) == 1 else Sequence(made, tuple)


def number(stager: Stager, made: ArrayValue) -> Value:
    """An array without axes as the number in it."""
    return elements.value_of(stager, elements.bind(stager, made.element(())), made.dtype)


# ---- derivatives


def ruled(
    stager: Stager, function: Any, args: list[Value], operands: Container[int],
    plainly: Callable[[list[Value]], Value], options: dict[str, Value] | None = None,
) -> Value:  # fmt: skip
    """A call with the derivative by some of its operands that the function's rule says."""
    deep = sum(o is function for o in stager.in_rules) >= stager.differentiated
    active = [k for k, a in enumerate(args) if k in operands and is_leaf(a) and not isinstance(a, Static)]
    if deep or not active:
        return plainly(args)
    from tapeless.rules import lookup

    rule: Any = lookup(function)
    if rule is None or rule.kind not in ("elementwise", "jvp", "nondifferentiable"):
        name = getattr(function, "__name__", "a function")
        stager.refuse(f"{name} has no derivative rule", "differentiate outside jit, or give it a rule")
    if rule.kind == "nondifferentiable":
        return plainly(args)
    stager.own_rules = True
    mark = own_rules.mark_of(stager, args)
    primals = [own_rules.held(stager, a, mark) for a in args]
    seeds: list[Value] = [
        own_rules.seed_of(stager, a, mark) if k in active else Static(None) for k, a in enumerate(args)
    ]
    with own_rules.inside(stager, function):
        value = ruled(stager, function, primals, operands, plainly, options)
        if rule.kind == "jvp":
            named = {**(options or {}), **({"out": value} if rule.wants_out else {})}
            n = rule.count
            program = TANGENTS.get(function, rule.tangent)
            tangent = stager.call(Static(program), [*primals[:n], *seeds[:n], *primals[n:]], named)
        else:
            tangent = _total(stager, rule, value, primals, seeds, active)
    if not stager.alive:
        return value
    return own_rules.with_tangent(stager, own_rules.held(stager, value, mark), _like(stager, tangent, value))


def _total(
    stager: Stager, rule: Any, value: Value, primals: list[Value], seeds: list[Value], active: list[int]
) -> Value:
    """The sum of the partials times the seeds."""
    parts: dict[int, Value] = {}
    if rule.separate:
        for k in active:
            if k < len(rule.partials) and rule.partials[k] is not None:
                parts[k] = stager.call(Static(rule.partials[k]), [value, *primals], {})
            if not stager.alive:
                raise MissingRuleError(f"{rule.name} has no derivative by {rule.names[k]}")
    else:
        made = stager.call(Static(rule.partials), [value, *primals], {})
        if not stager.alive:
            raise MissingRuleError(f"{rule.name} has no derivative here")
        several = list(made.items) if isinstance(made, Sequence) else [made]
        parts = {k: several[k] for k in active}
    total: Value = Static(None)
    for k, part in parts.items():
        if isinstance(part, Static) and part.obj is None:
            continue
        term = ufunc(stager, np.multiply, [part, seeds[k]])
        total = term if isinstance(total, Static) else ufunc(stager, np.add, [total, term])
    return total


def _like(stager: Stager, tangent: Value, value: Value) -> Value:
    """A tangent in the dtype of its value: of a real value, the real part."""
    if isinstance(value, Sequence) and isinstance(tangent, Sequence):
        return Sequence(
            [_like(stager, t, v) for t, v in zip(tangent.items, value.items, strict=True)], value.kind
        )
    if isinstance(tangent, Static):
        return tangent
    own, wanted = operand(stager, tangent).dtype, operand(stager, value).dtype
    if own == wanted:
        return tangent
    if elements.is_complex(own) and not elements.is_complex(wanted):
        from tapeless.backends.native.staging.conversions import real

        tangent = real(stager, tangent)
    made = astype(stager, to_array(stager, tangent), wanted)
    return made if isinstance(value, ArrayValue) else number(stager, made)
