"""What one run of a recursive function passes to the next: how arguments differ, and how they are carried."""

from __future__ import annotations

from typing import Any

from tapeless.backends.native.nest import I64, Const, Expr
from tapeless.backends.native.staging.attempts import parts_of
from tapeless.backends.native.staging.carrying import (
    Carried,
    widen,
)
from tapeless.backends.native.staging.heap import content, is_object
from tapeless.backends.native.staging.joins import same_static, same_view
from tapeless.backends.native.staging.specs import CONFLICT, KEPT, Spec
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Axis,
    Bound,
    Closure,
    ComplexNumber,
    Instance,
    Mapping,
    Number,
    Sequence,
    Static,
    Value,
    View,
)


class Window(tuple):  # type: ignore[type-arg]
    """The kind of a `Sequence` of the numbers that make a view of known storage."""


def unlike(a: Value, b: Value) -> int:
    """How two arguments differ in what is known of them: 0 not at all, 1 by numbers, 2 by more."""
    if a is b or same_static([a, b]):
        return 0
    if isinstance(a, Static) and isinstance(b, Static):
        plain = (bool, int, float, complex)
        return 1 if isinstance(a.obj, plain) and isinstance(b.obj, plain) else 2
    if isinstance(a, Number) and isinstance(b, Number):
        return 0 if a.kind is b.kind else 2
    if isinstance(a, ComplexNumber) and isinstance(b, ComplexNumber):
        return 0
    if isinstance(a, ArrayValue) and isinstance(b, ArrayValue):
        if (a.dtype, a.ndim) != (b.dtype, b.ndim):
            return 2
        known = [(x, y) for x, y in zip(a.shape, b.shape, strict=True) if Const in (type(x), type(y))]
        return 2 if any(x != y for x, y in known) else 0
    if type(a) is not type(b):
        return 2
    if isinstance(a, Bound) and isinstance(b, Bound):
        return max(unlike(a.function, b.function), unlike(a.owner, b.owner))
    if isinstance(a, Closure) and isinstance(b, Closure):
        same = a.function.__code__ is b.function.__code__ and len(a.cells) == len(b.cells)
        return 0 if same and all(x is y for x, y in zip(a.cells, b.cells, strict=True)) else 2
    if isinstance(a, (Sequence, Mapping, Instance)):
        held, other = parts_of(content(a)), parts_of(content(b))
        label = "cls" if isinstance(a, Instance) else "kind"
        if held[0] != other[0] or getattr(a, label) is not getattr(b, label):
            return 2
        pairs = zip(held[1], other[1], strict=True)
        return max((unlike(x, y) for x, y in pairs if x is not None and y is not None), default=0)
    return 2


def views(c: Carried) -> list[View]:
    """The storage of a carried place."""
    own = [c.view] if c.spec.how == "array" else []
    return own + [v for p in c.parts for v in views(p)]


def full_shape(view: View, shape: tuple[Expr, ...]) -> tuple[Expr, ...]:
    return (*shape, Const(2, I64)) if view.array.ndim > view.ndim else shape


def loose(spec: Spec) -> Spec:
    """A spec whose arrays may have any lengths."""
    if spec.how == "array":
        return Spec("array", spec.kind, names=(spec.names[0], True))
    return Spec(spec.how, spec.kind, tuple(map(loose, spec.parts)), spec.names)


def frame_of(view: View) -> tuple[Any, ...]:
    """What of a view is known: its storage, and which of its axes are which."""
    return view.array, view.dtype, tuple((a.of, tuple(of for _, of in a.more)) for a in view.axes)


def shell(value: Any) -> Sequence:
    """The numbers that make a view, as a value."""
    numbers = [x for a in value.axes for x in (a.start, a.step, *(step for step, _ in a.more))]
    return Sequence([number(x) for x in (*numbers, *value.shape)], Window)


def number(e: Expr) -> Value:
    return Static(e.value) if isinstance(e, Const) else Number(e, int)


def unshell(s: Any, like: View, items: list[Value]) -> View:
    """A view of the same storage from its numbers."""
    rest = iter([s.as_expr(v, I64) for v in items])
    axes = tuple(
        Axis(next(rest), next(rest), a.of, tuple((next(rest), of) for _, of in a.more)) for a in like.axes
    )
    return View(like.array, axes, tuple(rest), like.dtype)


def same(a: Value, b: Value) -> bool:
    """Whether two values are certainly one."""
    if isinstance(a, Number) and isinstance(b, Number):
        return a.kind is b.kind and a.expr == b.expr
    if isinstance(a, ComplexNumber) and isinstance(b, ComplexNumber):
        return (a.real, a.imag, a.kind) == (b.real, b.imag, b.kind)
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not is_object(a) and a.kind is b.kind:
        return len(a.items) == len(b.items) and all(map(same, a.items, b.items))
    if isinstance(a, Bound) and isinstance(b, Bound):
        return same(a.function, b.function) and same(a.owner, b.owner)
    if isinstance(a, Closure) and isinstance(b, Closure):
        return unlike(a, b) == 0
    return a is b or same_static([a, b]) or same_view(a, b)


def join(s: Any, spec: Spec, entry: Value, end: Value) -> Spec:
    """How a parameter is carried that is `entry` at first and `end` in a call of itself."""
    if spec == KEPT and same(entry, end):
        return KEPT
    if isinstance(entry, View) and isinstance(end, View) and spec.how in ("kept", "sequence"):
        if frame_of(entry) == frame_of(end):
            pairs = list(zip(shell(entry).items, shell(end).items, strict=True))
            old = spec.parts or (KEPT,) * len(pairs)
            return Spec(
                "sequence", Window, tuple(join(s, p, a, b) for p, (a, b) in zip(old, pairs, strict=True))
            )
    if spec.kind is Window:
        spec = KEPT
    if isinstance(entry, Sequence) and isinstance(end, Sequence) and spec.how in ("kept", "sequence"):
        if entry.kind is end.kind is not list and len(entry.items) == len(end.items):
            old = spec.parts or (KEPT,) * len(entry.items)
            triples = zip(old, entry.items, end.items, strict=True)
            parts = tuple(plain(join(s, p, a, b), a) for p, a, b in triples)
            return CONFLICT if CONFLICT in parts else Spec("sequence", entry.kind, parts)
    return widen(s, spec, entry, end)


def plain(spec: Spec, value: Any) -> Spec:
    """A window inside a tuple is carried as an array."""
    return Spec("array", value.dtype, names=(value.ndim, True)) if spec.kind is Window else spec
