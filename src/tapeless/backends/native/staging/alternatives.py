"""What is one of a few known objects, or texts of one pattern each, as numbers: which, and what is in it.

So a list that grows can hold texts and names, and paths that arrive with different texts can meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tapeless.backends.native.nest import BOOL, I64, Expr, apply, const
from tapeless.backends.native.staging.base import TYPES, Text
from tapeless.backends.native.staging.joins import Maybe
from tapeless.backends.native.staging.options import Option, is_another, options
from tapeless.backends.native.staging.specs import Spec
from tapeless.backends.native.staging.values import Number, Sequence, Static, Value

#: One of so many at most.
MOST = 16
#: Texts inside texts: what becomes longer with each iteration of a loop has no end of them.
DEEP = 4


class Chosen(Text):
    """One of several texts: which, and the numbers in each."""

    def __init__(self, how: tuple[Any, ...], args: tuple[Value, ...], spec: Spec, which: Expr) -> None:
        super().__init__(how, args)
        self.spec, self.which = spec, which
        self.inside: dict[Spec, list[Expr]] = {}


def spec_of(s: Any, value: Value | None) -> Spec | None:
    """The one that a value is, or those that it may be; None if it is something else."""
    known = options(value)
    if known is not None:
        return _limited(dict.fromkeys(known))
    if isinstance(value, Chosen):
        return value.spec
    if isinstance(value, Text) and value.how:
        parts = [_part(s, v) for v in value.args]
        if any(p is None or depth(p) > DEEP for p in parts):
            return None
        return Spec("one", names=(Spec("text", value.how, tuple(p for p in parts if p is not None)),))
    if isinstance(value, Maybe) and value.otherwise is not None:
        return joined(spec_of(s, value.value), spec_of(s, value.otherwise))
    return None


def _part(s: Any, value: Value) -> Spec | None:
    """What is written in a text: a number, or what is known."""
    if s.is_number(value):
        return Spec("number", s.kind_of(value))
    if isinstance(value, Sequence) and value.kind is not list:
        parts = [_part(s, v) for v in value.items]
        made = tuple(p for p in parts if p is not None)
        return Spec("sequence", value.kind, made) if len(made) == len(parts) else None
    return spec_of(s, value)


def has_text(value: Value | None) -> bool:
    """Whether a value is a text with numbers in it, on some path."""
    return isinstance(value, Text) or (isinstance(value, Maybe) and has_text(value.value))


def spec_of_all(s: Any, values: Iterable[Value | None]) -> Spec | None:
    """Those that values may be."""
    first, *others = (spec_of(s, v) for v in values)
    for other in others:
        first = joined(first, other)
    return first


def are_texts(spec: Spec) -> bool:
    """Whether it is a text in any case."""
    return spec.how == "one" and all(isinstance(n, Spec) or isinstance(n.value.obj, str) for n in spec.names)


def depth(spec: Spec) -> int:
    inside = [*spec.parts, *(n for n in spec.names if isinstance(n, Spec))]
    return (spec.how == "text") + max(map(depth, inside), default=0)


def joined(a: Spec | None, b: Spec | None) -> Spec | None:
    """One of those of either."""
    if a is None or b is None or a.how != "one" or b.how != "one":
        return None
    return _limited([*a.names, *(n for n in b.names if n not in a.names)])


def _limited(found: Any) -> Spec | None:
    names = tuple(found)
    return Spec("one", names=names) if len(names) <= MOST else None


def leaves(spec: Spec) -> Iterator[Spec]:
    """The numbers in a text."""
    if spec.how == "one":
        yield Spec("number", int)  # which
        for one in spec.names:
            if isinstance(one, Spec):
                yield from leaves(one)
    elif spec.how == "number":
        yield spec
    else:
        for part in spec.parts:
            yield from leaves(part)


def types(spec: Spec) -> list[str]:
    """The types of the numbers."""
    return [TYPES[leaf.kind] for leaf in leaves(spec)]


def nothing(spec: Spec) -> list[Expr]:
    """The numbers of one that is not there."""
    return [const(False) if t == BOOL else const(0 if t == I64 else 0.0, t) for t in types(spec)]


# ---- values as numbers, and back


def numbers(s: Any, spec: Spec, value: Value) -> list[Expr]:
    """The numbers that stand for a value."""
    if spec.how == "number":
        return [s.convert(s.as_expr(value), TYPES[spec.kind])]
    if spec.how == "sequence":
        return [e for p, v in zip(spec.parts, value.items, strict=True) for e in numbers(s, p, v)]  # type: ignore[attr-defined]
    if isinstance(value, Maybe) and options(value) is None:
        assert value.otherwise is not None
        there, other = numbers(s, spec, value.value), numbers(s, spec, value.otherwise)
        return [either(value.bound, a, b) for a, b in zip(there, other, strict=True)]
    if isinstance(value, Chosen):
        return numbers_of_chosen(spec, value)
    own = spec_of(s, value)
    assert own is not None
    which: Expr = const(spec.names.index(own.names[0]))
    for one in own.names[1:]:  # several that are known
        k = const(spec.names.index(one))
        which = either(is_another(value, one), which, k)
    found = [which]
    for one in spec.names:
        if isinstance(one, Spec):
            here = isinstance(value, Text) and one == own.names[0]
            parts = zip(one.parts, value.args, strict=True) if here else ()  # type: ignore[attr-defined]
            found += [e for p, v in parts for e in numbers(s, p, v)] if here else nothing_in(one)
    return found


def numbers_of_chosen(spec: Spec, value: Chosen) -> list[Expr]:
    first, *others = value.spec.names
    which: Expr = const(spec.names.index(first))
    for k, one in enumerate(others, 1):
        which = either(apply("eq", value.which, const(k)), const(spec.names.index(one)), which)
    found = [value.which if spec == value.spec else which]
    for one in spec.names:
        if isinstance(one, Spec):
            found += value.inside.get(one) or nothing_in(one)
    return found


def either(condition: Expr, a: Expr, b: Expr) -> Expr:
    return a if a == b else apply("select", condition, a, b)


def nothing_in(text: Spec) -> list[Expr]:
    return [e for p in text.parts for e in nothing(p)]


def rebuilt(spec: Spec, found: list[Expr]) -> Value:
    """The value that numbers, taken from the front, stand for."""
    if spec.how == "number":
        return Number(found.pop(0), spec.kind)
    if spec.how == "sequence":
        return Sequence([rebuilt(p, found) for p in spec.parts], spec.kind)
    which = found.pop(0)
    texts = [(k, one) for k, one in enumerate(spec.names) if isinstance(one, Spec)]
    if not texts:
        return among([(k, one.value) for k, one in enumerate(spec.names)], which)
    cases: list[Any] = []
    args: list[Value] = [Number(which, int)]
    inside: dict[Spec, list[Expr]] = {}
    for one in spec.names:
        if isinstance(one, Spec):
            before = list(found)
            args += [rebuilt(p, found) for p in one.parts]
            inside[one] = before[: len(before) - len(found)]
            cases.append((one.kind, len(one.parts)))
        else:
            cases.append(one.value.obj if isinstance(one.value.obj, str) else None)
    if len(spec.names) == 1:
        return Text(texts[0][1].kind, tuple(args[1:]))
    text = Chosen(("one", tuple(cases)), tuple(args), spec, which)
    text.inside = inside
    made: Value = text
    for k, one in enumerate(spec.names):
        if isinstance(one, Option) and not isinstance(one.value.obj, str):
            made = Maybe(made, apply("ne", which, const(k)), one.value)
    return made


def among(found: list[tuple[int, Static]], which: Expr) -> Value:
    """One of known objects, by its number."""
    made: Value = found[0][1]
    for k, one in found[1:]:
        made = Maybe(made, apply("ne", which, const(k)), one)
    return made


def shown(spec: Spec) -> Any:
    """How an object is made of the numbers: see `templates.One`."""
    from tapeless.backends.native.staging.templates import One

    if spec.how == "number":
        return spec.kind
    if spec.how == "sequence":
        return spec.kind, tuple(map(shown, spec.parts))
    return One(
        tuple(
            (one.kind, tuple(map(shown, one.parts))) if isinstance(one, Spec) else (None, one.value.obj)
            for one in spec.names
        )
    )
