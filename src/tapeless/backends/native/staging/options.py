"""What is one of several known objects, on each path another: `Maybe`s, one inside the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tapeless.backends.native.nest import Expr, apply, const
from tapeless.backends.native.staging.base import COMPLEX, TYPES
from tapeless.backends.native.staging.joins import Maybe, same_static
from tapeless.backends.native.staging.values import Static, Value


class Option:
    """A known object, compared as the program could tell it from another."""

    __slots__ = ("value",)

    def __init__(self, value: Static) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Option) and same_static([self.value, other.value])

    def __hash__(self) -> int:
        return hash(type(self.value.obj))


def options(value: Any) -> list[Option] | None:
    """The objects that a value may be; None if it may be a number, or is not known."""
    if isinstance(value, Static):
        return None if type(value.obj) in TYPES or type(value.obj) in COMPLEX else [Option(value)]
    if isinstance(value, Maybe) and value.otherwise is not None:
        there, other = options(value.value), options(value.otherwise)
        return None if there is None or other is None else [*there, *other]
    return None


def several(values: Iterable[Any]) -> list[Option] | None:
    """The objects that values may be, if they are known and more than two."""
    found = all_options(values)
    return None if found is None or len(found) < 3 else found


def all_options(values: Iterable[Any], found: Sequence[Option] = ()) -> list[Option] | None:
    """The objects that values may be, after those found before; None if some value may be another."""
    made = list(found)
    for value in values:
        known = options(value)
        if known is None:
            return None
        made += [o for o in dict.fromkeys(known) if o not in made]
    return made


def is_another(value: Value, option: Option) -> Expr:
    """Whether a value, one of several objects, is not this one."""
    if isinstance(value, Maybe):
        assert value.otherwise is not None
        there = apply("all", value.bound, is_another(value.value, option))
        gone = apply("all", apply("not", value.bound), is_another(value.otherwise, option))
        return apply("any", there, gone)
    assert isinstance(value, Static)
    return const(Option(value) != option)


def one_of(found: Sequence[Option], others: Iterable[Expr]) -> Value:
    """The first of some objects, unless it is one of the others: `others` say of each that it is not."""
    made: Value = found[0].value
    for option, another in zip(found[1:], others, strict=True):
        made = Maybe(made, another, option.value)
    return made
