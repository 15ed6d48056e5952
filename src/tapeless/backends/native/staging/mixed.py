"""Numbers that are of one class on some paths of the program and of another one on others.

They are computed with in the wider class, whose arithmetic has the same values.  A truth goes with them that
says where they are of the other class, so what the program returns is of the class that it has in Python.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tapeless.backends.native.nest import FALSE, Expr, apply, const
from tapeless.backends.native.staging.values import Number, Sequence, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.base import Base

#: Operators that raise for numbers of Python where NumPy's give NaN or an infinity.
CHECKED = (operator.truediv, operator.floordiv, operator.mod, operator.pow)


@dataclass(eq=False, slots=True)
class Mixed(Number):
    """A number that is of the class `other` where `odd` holds, else of `kind`; None stands for several."""

    odd: Expr
    other: type | None


def classes(s: Base, value: Value) -> set[type | None]:
    """The classes that a number may have."""
    return {s.kind_of(value)} | ({value.other} if isinstance(value, Mixed) else set())


def odd(s: Base, value: Value, kind: type) -> Expr:
    """Whether a number is not of class `kind`."""
    if isinstance(value, Mixed) and value.kind is kind:
        return value.odd
    return const(s.kind_of(value) is not kind)


def fits(s: Base, value: Value, kind: type) -> None:
    """Refuses a float where numbers of less precision are kept."""
    if kind is np.float32 and float in classes(s, value):
        if not (isinstance(value, Static) and float(np.float32(value.obj)) == value.obj):
            s.refuse("a variable is a float on one path and a float32 on another", "let both be np.float32")


def mixed(e: Expr, kind: type, where: Expr, others: Iterable[type | None]) -> Number:
    """A number that is of one of the other classes at some places."""
    rest = set(others)
    if where == FALSE or not rest:
        return Number(e, kind)
    return Mixed(e, kind, where, next(iter(rest)) if len(rest) == 1 else None)


def of_one_class(s: Base, value: Value) -> Value:
    """The number where it is of its usual class; the plain program runs where it is not."""
    if not isinstance(value, Mixed):
        return value
    s.replay_unless(apply("not", value.odd))
    return Number(value.expr, value.kind)


def result(s: Base, function: Callable[..., Any], made: Value, operands: list[Value]) -> Value:
    """What an operator has made of operands, some of them mixed: it has the class that Python gives it."""
    unsure = [v for v in operands if isinstance(v, Mixed)]
    found = _kinds(s, function, operands) if all(v.other is not None for v in unsure) else None
    usual = (False,) * len(unsure)
    if found is None or not isinstance(made, Number) or found[usual] is not made.kind:
        same = found is not None and len(set(found.values())) == 1
        if not same:
            for v in unsure:
                of_one_class(s, v)
        return made
    strange = {odds for odds, kind in found.items() if kind is not made.kind}
    if not strange:
        return made
    where: Expr = FALSE
    for odds in strange:
        here: Expr = const(True)
        for v, is_odd in zip(unsure, odds, strict=True):
            here = apply("all", here, v.odd if is_odd else apply("not", v.odd))
        where = apply("any", where, here)
    return mixed(made.expr, made.kind, s.bind(where, "odd"), {found[odds] for odds in strange})


def called(s: Base, function: Any, made: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
    """What a function of NumPy has made of arguments, some of them perhaps mixed."""
    unsure = list(_inside([*args, *kwargs.values()]))
    if not unsure:
        return made
    simple = isinstance(function, (np.ufunc, type)) and not kwargs
    if simple and all(isinstance(v, (Number, Static)) for v in args):
        return result(s, function, made, args)
    for v in unsure:
        of_one_class(s, v)
    return made


def _inside(values: Iterable[Value]) -> Iterator[Mixed]:
    for v in values:
        if isinstance(v, Mixed):
            yield v
        elif isinstance(v, Sequence):
            yield from _inside(v.items)


def _kinds(
    s: Base, function: Callable[..., Any], operands: list[Value]
) -> dict[tuple[bool, ...], type] | None:
    """The class of a result for each choice of the operands' classes; None if they behave differently."""
    found: dict[tuple[bool, ...], type] = {}
    count = sum(isinstance(v, Mixed) for v in operands)
    for odds in itertools.product((False, True), repeat=count):
        rest = iter(odds)
        sample: list[Any] = []
        for v in operands:
            if isinstance(v, Mixed):
                cls = v.other if next(rest) else v.kind
                assert cls is not None
                sample.append(cls(1))
            elif isinstance(v, Number):
                sample.append(v.kind(1))
            elif isinstance(v, Static):
                sample.append(v.obj)
            else:
                return None
        try:
            found[odds] = type(function(*sample))
        except TypeError:
            return None
        if function in CHECKED:
            raising = not any(isinstance(x, np.generic) for x in sample)
            if raising != (not any(issubclass(s.kind_of(v), np.generic) for v in operands)):
                return None
    return found
