"""Exceptions of a recursive function that are caught: by its caller, or by itself around a call of itself.

A run that raises one then ends like any other, and leaves the number of the exception and its arguments; a
call of itself, and what follows the whole recursion, raises it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import BOOL, FALSE, I64, TRUE, ZERO, Assign, If, Ref, Stmt, apply, const
from tapeless.backends.native.staging.base import Exit, Target, Text
from tapeless.backends.native.staging.carrying import Carried, Moves
from tapeless.backends.native.staging.control import exact
from tapeless.backends.native.staging.joins import Conflict, same_static
from tapeless.backends.native.staging.specs import KEPT, Spec
from tapeless.backends.native.staging.values import Instance, Number, Sequence, Static, Value

if TYPE_CHECKING:
    from tapeless.backends.native.staging.runs import Run

#: The class of an exception, and for each argument what it is, or the class of the number.
Kind = tuple[type, tuple[Any, ...]]


class Errors:
    """The exceptions that the runs of one recursion hand over."""

    def __init__(self, run: Run, kinds: list[Kind]) -> None:
        self.run, self.s, self.kinds = run, run.s, kinds
        self.number = self.s.scalar(I64, "error")
        self.s.emit(Assign(self.number, ZERO))
        self.args = [[self.place(part) for part in parts] for _, parts in kinds]

    def place(self, part: Any) -> Carried:
        if isinstance(part, Value):
            return Carried(self.s, KEPT, part if isinstance(part, Static) else Text(), "argument")
        return Carried(self.s, Spec("number", part), None, "argument")

    def places(self) -> list[Carried]:
        return [c for args in self.args for c in args]

    # ---- in a run

    def open(self) -> None:
        self.target: Target = self.s.open_target("raised", keep_env=False)
        self.s.handlers.append(self.target)

    def kind(self, error: Value | None) -> Kind:
        s = self.s
        args = error.fields.get("args") if isinstance(error, Instance) else None
        if not isinstance(error, Instance) or not isinstance(args, Sequence) or len(error.fields) > 1:
            s.refuse("an exception with attributes is caught outside a recursion", "raise it with arguments")
        assert isinstance(error, Instance) and isinstance(args, Sequence)
        # what is one text here and another there is as unreadable as each of them
        items = [Text() if isinstance(v, Conflict) else v for v in args.items]
        if not exact(error.cls) or not all(isinstance(v, (Static, Number, Text)) for v in items):
            s.refuse("an exception of its own kind is caught outside a recursion", "raise it with numbers")
        return error.cls, tuple(v.kind if isinstance(v, Number) else v for v in items)

    def known(self, kind: Kind) -> int:
        """The number of a kind of exceptions, from 0; -1 if it is new."""
        for k, (cls, parts) in enumerate(self.kinds):
            if cls is kind[0] and len(parts) == len(kind[1]) and all(map(alike, parts, kind[1])):
                return k
        return -1

    def close(self, born: int) -> bool:
        """The run ends with the exceptions that it has raised; whether all of them were known before."""
        s, target = self.s, self.target
        s.handlers.remove(target)
        s.targets.remove(target)
        groups: dict[int, list[Exit]] = {}
        for e in target.exits:
            kind = self.kind(e.value)
            if self.known(kind) < 0:
                self.kinds.append(kind)
                return False
            groups.setdefault(self.known(kind), []).append(e)
        s.heap.undo(target.level)
        for k, group in groups.items():
            self.hand_over(k, group, born)
            s.heap.undo(target.level)
        s.heap.close(target.level)
        return True

    def hand_over(self, k: int, group: list[Exit], born: int) -> None:
        s = self.s
        flag = s.scalar(BOOL, "caught")
        s.block = self.run.body
        self.run.body.insert(0, Assign(flag, FALSE, line=s.line))
        for e in group:
            e.block.append(Assign(flag, TRUE, line=s.line))
        error = s.merge_exits(group, self.run.body, born, keep_env=False)
        inside: list[Stmt] = []
        s.emit(If(Ref(flag), inside))
        moves = Moves()
        with s.at(inside):
            for c, value in zip(self.args[k], error.fields["args"].items, strict=True):
                c.move(value, moves)
            moves.scalars.append((self.number, const(k + 1)))
            self.run.hand_over(moves)
        s.come_back(self.run.body)

    # ---- after one

    def raise_again(self) -> None:
        """If the run just ended by an exception, it is raised here."""
        s = self.s
        number = self.run.own(Ref(self.number), "error")
        for k, (cls, _) in enumerate(self.kinds):
            held = [self.run.part(c.head or Static(None), "argument") for c in self.args[k]]
            error = s.heap.born(Instance(cls, {"args": Sequence(held, tuple)}))
            s.fork(apply("eq", number, const(k + 1)), lambda e=error: s.throw_object(e), lambda: None)
            if not s.alive:
                return


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, Static) and isinstance(b, Static):
        return same_static([a, b])
    return a is b or (isinstance(a, Text) and isinstance(b, Text))
