"""Where paths meet: the states they arrive with become one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tapeless.backends.native.nest import (
    BOOL,
    ONE,
    TRUE,
    ZERO,
    Alloc,
    Array,
    Assign,
    Expr,
    If,
    Ref,
    Scalar,
    Stmt,
    apply,
    const,
)
from tapeless.backends.native.staging.base import COMPLEX, Base, Exit, Target
from tapeless.backends.native.staging.heap import Changes, is_object
from tapeless.backends.native.staging.values import (
    ArrayValue,
    Axis,
    ComplexNumber,
    Number,
    Sequence,
    Static,
    Value,
    View,
)
from tapeless.program.ir import Var

#: The most paths whose values are kept apart where they meet.
PATHS = 6


@dataclass(eq=False, slots=True)
class Maybe(Value):
    """A variable that has a value only if `bound` holds: else it is `otherwise`, or not bound at all."""

    value: Value
    bound: Expr
    otherwise: Static | None = None


@dataclass(eq=False, slots=True)
class Conflict(Value):
    """A variable that is something else on each path: it must not be read."""

    values: tuple[Value, ...]
    loop: Any = field(default=None, kw_only=True)
    """The loop of run time that carries it so, if one does."""

    def each(self) -> list[Value]:
        """What it may be."""
        return [w for v in self.values for w in (v.each() if isinstance(v, Conflict) else [v])]


@dataclass(eq=False, slots=True)
class Choice(Conflict):
    """One of several values of no common kind: what reads it is staged for each (`Operations.run`).

    `path` holds the number of the path that the program has come by, and there is a value for each.
    """

    path: Scalar
    paths: tuple[int, ...]


def torn(value: Value | None) -> bool:
    """Whether a value, or a part of a tuple, is something else on each path."""
    if isinstance(value, Sequence) and value.kind is not list:
        return any(map(torn, value.items))
    return type(value) is Conflict


def flags_of(value: Value) -> list[Scalar]:
    """The variables that say which of several objects a value is."""
    if not isinstance(value, Maybe):
        return []
    own = [value.bound.var] if isinstance(value.bound, Ref) else []
    return own + flags_of(value.value)


def join_kinds(kinds: list[type]) -> type | None:
    """The class of a number that is of several classes on several paths; None if there is none."""
    found = set(kinds)
    if len(found) == 1:
        return kinds[0]
    if found <= {bool, int}:
        return int
    if found <= {bool, int, float}:
        return float
    wide = found - {bool, int, float}
    if len(wide) == 1:
        one = next(iter(wide))
        if issubclass(one, np.floating) or (issubclass(one, np.integer) and float not in found):
            return one
    if all(issubclass(k, np.generic) or k in (bool, int, float) for k in found):
        made: type = np.result_type(
            *(k if issubclass(k, np.generic) else np.dtype(k).type for k in found)
        ).type
        return made
    return None


def join_complex(kinds: list[type]) -> type | None:
    """The class of a number that may be complex on some path."""
    wide = {k for k in kinds if k in COMPLEX}
    if len(wide) == 1:
        return next(iter(wide))
    return np.complex128 if wide else None


def in_all(lists: list[list[Any]]) -> list[Any]:
    """What all of some lists, which mostly begin alike, have."""
    first, *others = lists
    alike = 0
    for items in zip(*lists, strict=False):
        if any(x is not items[0] for x in items):
            break
        alike += 1
    rest = [o[alike:] for o in others]
    return first[:alike] + [x for x in first[alike:] if all(x in o for o in rest)]


def same_static(values: list[Value]) -> bool:
    """Whether all values are one known object."""
    if not all(isinstance(v, Static) for v in values):
        return False
    objects: list[Any] = [v.obj for v in values]  # type: ignore[attr-defined]
    first = objects[0]
    plain = isinstance(first, (bool, int, float, complex, str, bytes, type(None)))
    return all(o is first or (plain and type(o) is type(first) and repr(o) == repr(first)) for o in objects)


def same_view(a: Value, b: Value) -> bool:
    """Whether two arrays are the same window on the same storage."""
    return (
        isinstance(a, View)
        and isinstance(b, View)
        and a.array is b.array
        and (a.axes, a.shape, a.dtype) == (b.axes, b.shape, b.dtype)
    )


class Joins(Base):
    """Merging of states."""

    def __init__(self, known: Any) -> None:
        super().__init__(known)
        self.on_paths: dict[Scalar, list[dict[Scalar, bool]]] = {}
        """The number of a path -> what flags, set where paths meet, are for each."""

    # ---- targets

    def open_target(self, kind: str, keep_env: bool = True) -> Target:
        flag = self.scalar(
            BOOL, {"return": "returned", "break": "left", "continue": "skipped"}.get(kind, kind)
        )
        self.flags.add(flag)
        self.emit(Assign(flag, const(False)))
        target = Target(
            kind, flag, self.frames[-1], self.heap.open(), len(self.open_loops), keep_env=keep_env
        )
        self.targets.append(target)
        return target

    def marks(self) -> dict[Target, int]:
        return {t: len(t.exits) for t in self.targets}

    def grown(self, marks: dict[Target, int]) -> list[Target]:
        """Targets, still open, that control may have left to since."""
        return [t for t in self.targets if len(t.exits) > marks.get(t, 0)]

    def forget_exits(self, marks: dict[Target, int]) -> None:
        for t in self.targets:
            del t.exits[marks.get(t, 0) :]

    def unless(self, targets: list[Target]) -> Expr:
        """The condition that control has left to none of the targets."""
        condition: Expr = TRUE
        for t in targets:
            self.used_flags.add(t.flag)
            condition = apply("all", condition, apply("not", Ref(t.flag)))
        return condition

    def close_target(
        self,
        target: Target,
        base: list[Stmt],
        marks: dict[Target, int],
        born: int,
        value: Value | None = None,
        live: frozenset[Var] | None = None,
    ) -> Value | None:
        """Control arrives at a target, from here (with `value`) and from its exits; the value it brings."""
        exits = list(target.exits)
        if self.alive:
            env = target.frame.env if target.keep_env else {}
            exits.append(self.here(target.level, env, value))
        self.targets.remove(target)
        self.heap.undo(target.level)
        self.heap.close(target.level)
        return self.resume(exits, base, marks, born, target.keep_env, live=live)

    def resume(
        self,
        exits: list[Exit],
        base: list[Stmt],
        marks: dict[Target, int],
        born: int,
        keep_env: bool = True,
        stmt: Stmt | None = None,
        live: frozenset[Var] | None = None,
    ) -> Value | None:
        """Go on with the states of `exits`; `stmt`, which holds them, is emitted into `base`.

        Objects made after `born` were made on one path only.
        """
        frame = self.frames[-1]
        self.alive = bool(exits)
        if not exits or (len(exits) == 1 and exits[0].depth == len(self.open_loops)):
            self.block = base
            if stmt is not None:
                self.emit(stmt)
            if not exits:
                self.die()
                return None
            only = exits[0]
            self.agree(exits)
            self.heap.apply(only.changes)
            if keep_env:
                frame.env = dict(only.env)
            if only.block is not base:
                self.tips[id(base)] = (base, only.block)
                self.block = only.block
            return only.value
        pending = self.grown(marks)
        value = self.merge_exits(exits, base, born, keep_env, live)
        if stmt is not None:
            self.emit(stmt)
        self.shield(pending)
        return value

    def agree(self, exits: list[Exit]) -> None:
        """What is known from here on is known on every path; of paths out of loops, no more than before."""
        inside = any(e.depth > len(self.open_loops) for e in exits)
        for now, paths in (
            (self.ranges.facts, [e.facts for e in exits]),
            (self.truths, [e.truths for e in exits]),
        ):
            now[:] = in_all([*paths, list(now)] if inside else paths)

    def merge_exits(
        self,
        exits: list[Exit],
        base: list[Stmt],
        born: int,
        keep_env: bool = True,
        live: frozenset[Var] | None = None,
    ) -> Value | None:
        """The states of exits become one, after `base`; what follows is not yet kept from those that left."""
        frame = self.frames[-1]
        self.alive = True
        self.agree(exits)
        self.come_back(base)
        from tapeless.backends.native.staging.merging import Merger

        merger = Merger(self, exits, born)
        value = None
        if any(e.value is not None for e in exits):
            value = merger.choose([e.value for e in exits], "result")
        if keep_env:
            names = {v: None for e in exits for v in e.env if live is None or v in live}
            env = {v: merger.choose([e.env.get(v) for e in exits], v.name) for v in names}
            frame.env = {v: x for v, x in env.items() if x is not None}
        merger.contents()
        if merger.path is not None:
            self.on_paths[merger.path] = merger.flags()
        for view, originals in merger.copies:
            self.share(view, originals, ended=None if keep_env else frame)
        return value

    def shield(self, pending: list[Target]) -> None:
        """What follows runs only if control has not left."""
        if pending:
            inside: list[Stmt] = []
            self.emit(If(self.unless(pending), inside))
            self.go_on_in(inside)

    # ---- arrays

    def whole_view(self, array: Array, shape: tuple[Expr, ...], dtype: str) -> View:
        axes = tuple(Axis(ZERO, ONE, k) for k in range(len(shape)))
        return View(array, axes, shape, dtype)

    def fresh(self, dtype: str, shape: tuple[Expr, ...], hint: str) -> View:
        """New storage, not yet given memory, seen whole."""
        pair = dtype.startswith("complex")
        stored = {"complex128": "float64", "complex64": "float32"}.get(dtype, dtype)
        array = self.array(stored, len(shape) + pair, hint)
        return self.whole_view(array, shape, dtype)

    def alloc(self, view: View, shape: tuple[Expr, ...]) -> None:
        pair = (const(2),) if view.dtype.startswith("complex") else ()
        self.emit(Alloc(view.array, (*shape, *pair)))

    def copy_into(self, view: View, value: Value) -> None:
        """Store an array into storage of its own."""
        raise NotImplementedError

    def outlasting(self, value: Value, changes: Changes, seen: frozenset[int] = frozenset()) -> Value:
        """A value as it is here, for after the block; `changes`: what its objects hold here."""
        if isinstance(value, Number):
            return replace(value, expr=self.bind(value.expr))
        if isinstance(value, ComplexNumber):
            return ComplexNumber(self.bind(value.real), self.bind(value.imag), value.kind)
        if isinstance(value, ArrayValue):
            return self.made(value)
        if isinstance(value, Sequence) and value.kind is not list:
            return Sequence([self.outlasting(v, changes, seen) for v in value.items], value.kind)
        if isinstance(value, Maybe):
            there = self.outlasting(value.value, changes, seen)
            return replace(value, value=there, bound=self.bind(value.bound))
        if is_object(value) and id(value) not in seen:
            held = changes.of(value)
            for v in held if isinstance(held, list) else held.values() if isinstance(held, dict) else [held]:
                if v is not None:
                    self.outlasting(v, changes, seen | {id(value)})  # arrays are made here
        return value

    def made(self, value: Value) -> View:
        raise NotImplementedError

    def share(self, view: View, originals: list[Value], names: int = 0, ended: Any = None) -> None:
        """`view` is a copy of what the program knows as one array of these.

        `names` of the places that hold an original are those that get the copy; the frame `ended` is left.
        """
        raise NotImplementedError
