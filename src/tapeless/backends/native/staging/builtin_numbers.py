"""Builtin functions on numbers: conversions, rounding, extrema and sums."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import (
    I64,
    Check,
    Expr,
    Intrinsic,
    Raise,
    Store,
    Swap,
    apply,
    walk,
)
from tapeless.backends.native.staging import float_steps
from tapeless.backends.native.staging.builtin_table import BUILTINS, NIL, NIL_FLOAT, NO, NONE, Run, lowers
from tapeless.backends.native.staging.control import Iteration
from tapeless.backends.native.staging.iterables import GIVEN, Entries, Generator, Iter, Position
from tapeless.backends.native.staging.mixed import Mixed, result
from tapeless.backends.native.staging.values import (
    ArrayValue,
    ComplexNumber,
    Growing,
    Instance,
    Mapping,
    Number,
    Range,
    Sequence,
    Static,
    Value,
)

if TYPE_CHECKING:
    from tapeless.backends.native.staging.builtin_calls import Builtins


@lowers(float)
def to_float(s: Builtins, x: Value = NIL_FLOAT) -> Value:
    if isinstance(x, ArrayValue):
        return s.arrays.to_number(s, x, float)  # type: ignore[no-any-return]
    if isinstance(x, Instance):
        return s.call_method(x, "__float__", [], {})
    return s.to_float(x)


@lowers(int)
def to_int(s: Builtins, x: Value = NIL, base: Value | None = None) -> Value:
    if base is not None:
        return s.evaluate(int, x, base)
    if isinstance(x, ArrayValue):
        return s.arrays.to_number(s, x, int)  # type: ignore[no-any-return]
    if isinstance(x, Instance):
        return s.call_method(x, "__int__", [], {})
    return s.to_int(x)


@lowers(bool)
def to_bool(s: Builtins, x: Value = NO) -> Value:
    return s.boolean(s.truth(x))


@lowers(complex)
def to_complex(s: Builtins, real: Value = NIL_FLOAT, imag: Value | None = None) -> Value:
    if all(isinstance(v, Static) for v in (real, imag) if v is not None):
        return s.evaluate(complex, real, *([] if imag is None else [imag]))
    if isinstance(real, ArrayValue):
        return s.arrays.to_number(s, real, complex)  # type: ignore[no-any-return]
    re, im = s.complex_parts(real)
    if imag is not None:
        a, b = s.complex_parts(imag)
        re, im = (
            apply("sub", re, b) if s.is_complex(imag) else re,
            apply("add", im, a) if s.is_complex(real) else a,
        )
    return ComplexNumber(s.bind(re), s.bind(im), complex)


@lowers(abs, operator.abs)
def absolute(s: Builtins, x: Value) -> Value:
    made = _absolute(s, x)
    return result(s, abs, made, [x]) if isinstance(x, Mixed) else made


def _absolute(s: Builtins, x: Value) -> Value:
    if isinstance(x, Static):
        return s.evaluate(abs, x)
    method = s.python_method(x, "__abs__")
    if method is not None:
        return s.call_object(method, [x], {})
    if s.is_numpy(x):
        return s.arrays.call(s, np.absolute, [x], {})  # type: ignore[no-any-return]
    if s.is_complex(x):
        re, im = s.complex_parts(x)
        return Number(s.bind(apply("hypot", re, im)), float)
    n = s.number(x)
    if n.kind is float:
        return Number(apply("fabs", n.expr), float)
    return Number(s.turned("abs", s.convert(n.expr, I64)), int)


@lowers(round)
def rounded(s: Builtins, number: Value, ndigits: Value = NONE) -> Value:
    x = number
    digits = s.known(ndigits)
    if isinstance(x, Static):
        return s.evaluate(round, x, *([] if digits is None else [Static(digits)]))
    if s.is_numpy(x):
        args = [x] if digits is None else [x, ndigits]
        made = s.arrays.call(s, np.round, args, {})
        return s.to_int(made) if digits is None and not isinstance(made, ArrayValue) else made
    n = s.number(x)
    if n.kind is not float:
        return s.to_int(x)
    if digits is None:
        return Number(s.whole(apply("rint", n.expr)), int)
    if not 0 <= digits <= float_steps.MOST_DECIMALS:
        s.refuse(f"a float is rounded to {digits} digits", "round to 0 to 22")
    return Number(float_steps.to_decimals(s.bind(n.expr), digits, s.bind), float)


@lowers(divmod)
def divmod_(s: Builtins, a: Value, b: Value) -> Value:
    return Sequence([s.binary("FloorDiv", a, b), s.binary("Mod", a, b)], tuple)


@lowers(pow, operator.pow)
def pow_(s: Builtins, base: Value, exp: Value, mod: Value | None = None) -> Value:
    return s.binary("Pow", base, exp) if mod is None else s.evaluate(pow, base, exp, mod)


@lowers(len)
def length(s: Builtins, x: Value) -> Value:
    if isinstance(x, ArrayValue):
        if not x.ndim:
            s.throw(TypeError, "len() of unsized object")
            return NONE
        return s.getitem(s.getattr(x, "shape"), Static(0))
    method = s.python_method(x, "__len__")
    if method is not None:
        return s.call_object(method, [x], {})
    if isinstance(x, (Sequence, Mapping)):
        return Static(len(x.items))
    if isinstance(x, Growing):
        return x.length
    if isinstance(x, Entries):
        return Static(len(x.owner.items))
    if isinstance(x, Range):
        return number(s.range_length(x))
    if s.is_number(x):
        s.throw(TypeError, f"object of type '{s.kind_of(x).__name__}' has no len()")
        return NONE
    return s.evaluate(len, x)


def number(e: Expr) -> Value:
    from tapeless.backends.native.nest import Const

    return Static(e.value) if isinstance(e, Const) else Number(e, int)


# ---- minimum and maximum, sums


def extreme(function: Callable[[Any], Any], sign: str) -> Run:
    try:
        function(())
    except ValueError as error:
        nothing = error

    def run(s: Builtins, *args: Value, key: Value = NONE, default: Value | None = None) -> Value:
        keyed = not (isinstance(key, Static) and key.obj is None)

        def better(a: Value, b: Value) -> Value:
            x, y = (s.call(key, [a], {}), s.call(key, [b], {})) if keyed else (a, b)
            condition = s.truth(s.compare(sign, y, x))
            # the first of equals stays; a comparison with NaN is false
            sure = not (isinstance(a, Mixed) or isinstance(b, Mixed))
            if not keyed and sure and s.is_plain(a) and s.is_plain(b) and not s.is_complex(a):
                kinds = {s.kind_of(a), s.kind_of(b)}
                if kinds <= {float} or (len(kinds) == 1):
                    kind = s.kind_of(a)
                    made = apply("select", condition, s.as_expr(b), s.as_expr(a))
                    return Number(s.bind(made), kind)
            return s.choose(condition, lambda: b, lambda: a)

        if len(args) == 1:
            return s.fold(args[0], better, None, nothing if default is None else default)
        return s.fold(Sequence(list(args), tuple), better, None)

    return run


BUILTINS[min], BUILTINS[max] = extreme(min, "<"), extreme(max, ">")


@lowers(sum)
def sum_(s: Builtins, items: Value, start: Value = NIL) -> Value:
    return s.fold(items, lambda a, b: s.binary("Add", a, b), start)


@lowers(any)
def any_(s: Builtins, items: Value) -> Value:
    return short(s, items, lambda a, b: s.boolean(apply("any", s.truth(a), s.truth(b))), Static(False))


@lowers(all)
def all_(s: Builtins, items: Value) -> Value:
    return short(s, items, lambda a, b: s.boolean(apply("all", s.truth(a), s.truth(b))), Static(True))


def short(s: Builtins, items: Value, combine: Callable[[Value, Value], Value], start: Value) -> Value:
    """`any` and `all`: they stop early, but go through everything here, which must not make a difference."""
    if not isinstance(items, (Iter, Generator)):
        return s.fold(items, combine, start)
    level, clock = s.heap.open(), s.heap.clock
    with s.collect() as body:
        made = s.fold(items, combine, start)
        ended = s.alive and s.block is s.tip(body)
    changed = [o for o, _ in s.heap.levels[level].values() if s.heap.age(o) <= clock]
    for o in [o for o in changed if isinstance(o, Position)]:
        changed.remove(o)
        if not isinstance(o.value, Iteration):
            s.heap.write(o, GIVEN)
    s.heap.close(level)
    effects = any(isinstance(x, (Store, Check, Raise, Intrinsic, Swap)) for x in walk(body))
    mine = items.done if isinstance(items, Generator) else None
    if not ended or effects or any(o is not mine for o in changed):
        s.refuse("any() or all() of what changes something, or may raise", "write a loop")
    if isinstance(items, Generator):
        items.leave(s)
    s.block.extend(body)
    return made


EMPTY = TypeError("reduce() of empty iterable with no initial value")


@lowers(functools.reduce)
def reduce_(s: Builtins, function: Value, items: Value, start: Value | None = None) -> Value:
    return s.fold(items, lambda a, b: s.call(function, [a, b], {}), start, EMPTY)
