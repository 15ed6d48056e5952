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

from tapeless.backends.native.nest import F32, F64, FALSE, I64, Expr, apply, const
from tapeless.backends.native.staging.values import Number, Sequence, Slice, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.base import Base

#: Operators that raise for numbers of Python where NumPy's give NaN or an infinity.
CHECKED = (operator.truediv, operator.floordiv, operator.mod, operator.pow)
#: Up to where such a scalar type holds every integer.
EXACT = {F64: 2**53, F32: 2**24}


@dataclass(eq=False, slots=True)
class Mixed(Number):
    """A number that is of one of the classes `others` where `odd` holds, else of `kind`."""

    odd: Expr
    others: tuple[type, ...]

    @property
    def other(self) -> type | None:
        """What it is where it is odd; None stands for several."""
        return self.others[0] if len(self.others) == 1 else None


def classes(s: Base, value: Value) -> set[type]:
    """The classes that a number may have."""
    return {s.kind_of(value), *(value.others if isinstance(value, Mixed) else ())}


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


def widened(s: Base, value: Value, element: str) -> Expr:
    """A number in a type of several classes; the plain program runs where an integer would be rounded."""
    e = s.as_expr(value)
    if e.type == I64 and element in EXACT:
        most = EXACT[element]
        s.replay_unless(apply("all", apply("ge", e, const(-most)), apply("le", e, const(most))))
    return s.convert(e, element)


def mixed(e: Expr, kind: type, where: Expr, others: Iterable[type]) -> Number:
    """A number that is of one of the other classes at some places."""
    rest = in_order(others)
    return Mixed(e, kind, where, rest) if rest and where != FALSE else Number(e, kind)


def in_order(found: Iterable[type]) -> tuple[type, ...]:
    return tuple(sorted(set(found), key=lambda cls: cls.__name__))


def of_one_class(s: Base, value: Value) -> Value:
    """The number where it is of its usual class; the plain program runs where it is not."""
    if not isinstance(value, Mixed):
        return value
    s.replay_unless(apply("not", value.odd))
    return Number(value.expr, value.kind)


def as_index(s: Base, index: Value) -> Value:
    """An index whose numbers are what they usually are, of integers, truths and floats."""
    if isinstance(index, Sequence) and index.kind is tuple:
        return Sequence([as_index(s, v) for v in index.items], tuple)
    if isinstance(index, Slice):
        return Slice(*(as_index(s, v) for v in (index.start, index.stop, index.step)))
    if isinstance(index, Mixed):
        if any(np.dtype(cls).kind != np.dtype(index.kind).kind for cls in index.others):
            return of_one_class(s, index)
    return index


def result(s: Base, function: Callable[..., Any], made: Value, operands: list[Value]) -> Value:
    """What an operator has made of operands, some of them mixed: it has the class that Python gives it."""
    unsure = [v for v in operands if isinstance(v, Mixed)]
    found = _kinds(s, function, operands)
    usual = (False,) * len(unsure)
    if found is None or not isinstance(made, Number) or found[usual] != {made.kind}:
        same = found is not None and len(set[type]().union(*found.values())) == 1
        if not same:
            for v in unsure:
                of_one_class(s, v)
        return made
    strange = {odds for odds, kinds in found.items() if kinds != {made.kind}}
    if not strange:
        return made
    where: Expr = FALSE
    for odds in strange:
        here: Expr = const(True)
        for v, is_odd in zip(unsure, odds, strict=True):
            here = apply("all", here, v.odd if is_odd else apply("not", v.odd))
        where = apply("any", where, here)
    others = set[type]().union(*found.values()) - {made.kind}
    where, e = s.bind(where, "odd"), s.bind(made.expr)
    if e.type in EXACT and any(
        np.dtype(cls).kind in "iu" for cls in others
    ):  # Python's integers are not rounded
        small = apply("lt", apply("abs", e), const(float(EXACT[e.type]), e.type))
        s.replay_unless(apply("any", apply("not", where), small))
    return mixed(e, made.kind, where, others)


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
) -> dict[tuple[bool, ...], set[type]] | None:
    """The classes of a result by which operands are odd; None if they behave differently."""
    found: dict[tuple[bool, ...], set[type]] = {}
    unsure = [v for v in operands if isinstance(v, Mixed)]
    divides = function in CHECKED and function is not operator.pow
    sound = divides and isinstance(operands[-1], Static) and bool(operands[-1].obj)
    for chosen in itertools.product(*((v.kind, *v.others) for v in unsure)):
        rest = iter(chosen)
        sample: list[Any] = []
        for v in operands:
            if isinstance(v, Mixed):
                sample.append(next(rest)(1))
            elif isinstance(v, Number):
                sample.append(v.kind(1))
            elif isinstance(v, Static):
                sample.append(v.obj)
            else:
                return None
        try:
            odds = tuple(cls is not v.kind for cls, v in zip(chosen, unsure, strict=True))
            found.setdefault(odds, set()).add(type(function(*sample)))
        except TypeError:
            return None
        if function in CHECKED and not sound:
            raising = not any(isinstance(x, np.generic) for x in sample)
            if raising != (not any(issubclass(s.kind_of(v), np.generic) for v in operands)):
                return None
    return found
