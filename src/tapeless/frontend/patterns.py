"""What `match` asks of a subject, as ordinary functions: the parts to match, or None."""

from __future__ import annotations

from typing import Any

#: The flags of types that sequence and mapping patterns match.
SEQUENCE, MAPPING = 1 << 5, 1 << 6
#: The flag of `int`, `str`, `list`, … and their subclasses: `case int(x)` binds the subject itself.
MATCHES_ITSELF = 1 << 22
MISSING = object()


def match_sequence(subject: Any, count: int, star: int | None, kept: bool) -> Any:
    """The items of a sequence pattern with `count` parts; the one at `star` takes what is left, if `kept`."""
    if not type(subject).__flags__ & SEQUENCE:
        return None
    if star is not None and count == 1:
        return [[item for item in subject] if kept else []]
    n = len(subject)
    if star is None:
        if n != count:
            return None
        return [subject[i] for i in range(n)]
    if n < count - 1:
        return None
    after = count - 1 - star
    head = [subject[i] for i in range(star)]
    rest = [subject[i] for i in range(star, n - after)] if kept else []
    tail = [subject[i] for i in range(n - after, n)]
    return [*head, rest, *tail]


def match_mapping(subject: Any, keys: tuple[Any, ...], rest: bool) -> Any:
    """The values of a mapping pattern's keys, and a dict of the others if asked for."""
    if not type(subject).__flags__ & MAPPING:
        return None
    if keys and len(subject) < len(keys):
        return None
    values = []
    for i in range(len(keys)):
        key = keys[i]
        if key in keys[:i]:
            raise ValueError(f"mapping pattern checks duplicate key ({key!r})")
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
    if not isinstance(kind, type):
        raise TypeError("called match pattern must be a type")
    if not isinstance(subject, kind):
        return None
    names: tuple[Any, ...] = attributes
    values = []
    if positional:
        first = getattr(kind, "__match_args__", None)
        itself = first is None and kind.__flags__ & MATCHES_ITSELF != 0
        if first is None:
            first = ()
        if type(first) is not tuple:
            raise TypeError(f"{kind.__name__}.__match_args__ must be a tuple (got {type(first).__name__})")
        allowed = 1 if itself else len(first)
        if positional > allowed:
            plural = "" if allowed == 1 else "s"
            raise TypeError(
                f"{kind.__name__}() accepts {allowed} positional sub-pattern{plural} ({positional} given)"
            )
        if itself:
            values.append(subject)
        else:
            names = first[:positional] + attributes
    for i in range(len(names)):
        name = names[i]
        if not isinstance(name, str):
            raise TypeError(f"__match_args__ elements must be strings (got {type(name).__name__})")
        if name in names[:i]:
            raise TypeError(f"{kind.__name__}() got multiple sub-patterns for attribute {name!r}")
        value = getattr(subject, name, MISSING)
        if value is MISSING:
            return None
        values.append(value)
    return values
