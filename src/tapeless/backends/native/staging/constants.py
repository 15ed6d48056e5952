"""Objects of Python's library that do not change, made and asked while the program is compiled."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import inspect
import re
import types
from typing import Any

from tapeless.backends.native.staging.values import Value

#: Classes whose objects do not change, and whose methods depend on them and their arguments alone.
LIBRARY = (
    re.Pattern, re.Match, decimal.Decimal, fractions.Fraction,
    datetime.date, datetime.time, datetime.timedelta, datetime.timezone,
)  # fmt: skip
#: Of these, what their constructors make.
MADE = (decimal.Decimal, datetime.date, datetime.time, datetime.timedelta, datetime.timezone)
#: Methods that give iterators, or ask the clock.
NOT_SETTLED = {"finditer", "scanner", "now", "today", "utcnow", "fromtimestamp", "timestamp", "astimezone"}
#: Functions of known functions, and of known texts.
ASKED = (
    inspect.signature, inspect.isfunction, inspect.isclass, inspect.ismethod, inspect.getfullargspec,
    re.compile, re.match, re.search, re.fullmatch, re.sub, re.subn, re.split, re.findall, re.escape,
)  # fmt: skip


def made(s: Any, cls: type, args: list[Value], kwargs: dict[str, Value]) -> Value | None:
    """An object that a known constructor makes of known arguments; None for any other class."""
    by_value = issubclass(cls, enum.Enum) and len(args) == 1 and not kwargs
    if not by_value and cls not in MADE:
        return None
    value: Value = s.evaluate(cls, *args, **kwargs)
    return value


def called(s: Any, obj: Any, args: list[Value], kwargs: dict[str, Value]) -> Value | None:
    """The result of a method of such an object, or of asking about a function; None for others."""
    owner = getattr(obj, "__self__", None)
    method = isinstance(obj, types.BuiltinMethodType | types.MethodWrapperType) and isinstance(owner, LIBRARY)
    if not (method and obj.__name__ not in NOT_SETTLED) and all(obj is not f for f in ASKED):
        return None
    value: Value = s.evaluate(obj, *args, **kwargs)
    return value
