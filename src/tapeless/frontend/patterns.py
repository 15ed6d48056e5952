"""What `match` asks of a subject, as ordinary functions: the parts to match, or None."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_SELF_MATCHING = (bool, bytearray, bytes, dict, float, frozenset, int, list, set, str, tuple)


def match_sequence(subject: Any, count: int, star: int | None) -> Any:
    """The items of a sequence pattern with `count` parts, the one at `star` taking what is left."""
    if isinstance(subject, (str, bytes, bytearray)):
        return None
    if not isinstance(subject, (list, tuple)) and not isinstance(subject, Sequence):
        return None
    n = len(subject)
    if star is None:
        if n != count:
            return None
        return [subject[i] for i in range(n)]
    if n < count - 1:
        return None
    after = count - 1 - star
    head = [subject[i] for i in range(star)]
    rest = [subject[i] for i in range(star, n - after)]
    tail = [subject[i] for i in range(n - after, n)]
    return [*head, rest, *tail]


def match_mapping(subject: Any, keys: tuple[Any, ...], rest: bool) -> Any:
    """The values of a mapping pattern's keys, and a dict of the others if asked for."""
    if not isinstance(subject, dict) and not isinstance(subject, Mapping):
        return None
    values = []
    for key in keys:
        if key not in subject:
            return None
        values.append(subject[key])
    if rest:
        others = dict(subject)
        for key in keys:
            del others[key]
        values.append(others)
    return values


def match_class(subject: Any, kind: Any, positional: int, attributes: tuple[str, ...]) -> Any:
    """The parts of a class pattern: positional ones by `__match_args__`, then the named ones."""
    if not isinstance(subject, kind):
        return None
    if positional == 1 and kind in _SELF_MATCHING:
        values = [subject]
    else:
        names = getattr(kind, "__match_args__", ())
        if positional > len(names):
            raise TypeError(
                f"{kind.__name__}() accepts {len(names)} positional sub-pattern{'s' * (len(names) != 1)} "
                f"({positional} given)"
            )
        values = []
        for i in range(positional):
            if not hasattr(subject, names[i]):
                return None
            values.append(getattr(subject, names[i]))
    for name in attributes:
        if not hasattr(subject, name):
            return None
        values.append(getattr(subject, name))
    return values
