"""Loops of run time: what they carry is found by staging the body until nothing new is carried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tapeless.backends.native.intrinsics import EFFECTS
from tapeless.backends.native.nest import (
    Array,
    Expr,
    Intrinsic,
    Stmt,
    Store,
    Swap,
    apply,
)
from tapeless.backends.native.staging.attempts import Again, Attempt, Loop, Plan
from tapeless.backends.native.staging.base import Target
from tapeless.backends.native.staging.exchanges import EXCHANGED, OTHER, Exchange, NeedsTracking
from tapeless.backends.native.staging.heap import Changes, content
from tapeless.backends.native.staging.joins import Choice, Joins, Maybe
from tapeless.backends.native.staging.specs import Spec
from tapeless.backends.native.staging.values import ArrayValue, Lazy, Value, View
from tapeless.program.ir import Block, Var

#: How often the body of a loop may be staged again before something is wrong.
ATTEMPTS = 40


class Loops(Joins):
    """The staging of loops that run at run time."""

    def __init__(self, known: Any) -> None:
        super().__init__(known)
        self.plans: dict[Any, Plan] = {}
        self.loop_targets: list[tuple[Target, Target]] = []
        """The `break` and `continue` of the loops around, innermost last."""
        self.shown = 0
        """How many statements have been made that print or draw random numbers."""
        self.recent: set[Array] = set()
        """Storage made by the iteration that is being staged."""
        self.peeled: set[Any] = set()
        """The loops whose first iteration is staged by itself."""
        self.tracked: set[Any] = set()
        """The loops that know where the arrays are that they exchange."""
        self.exchanges: list[Exchange] = []
        """Those of the loops that are being staged."""
        self.exchanged: list[Exchange] = []
        """Those of loops that have stored into arrays from outside."""
        self.copied_by: dict[Array, Any] = {}
        """A loop's copy of an array -> the loop."""
        self.made_again = False
        """Whether a call that raises is made again by the plain program."""
        self.reading: Changes | None = None
        self.raised: list[Value] = []
        """The exceptions being handled, innermost last."""
        self.unwound: list[list[Any]] = []
        """More lists with an entry for each call under way."""

    # implemented by the parts of staging above this one

    def run(self, block: Block) -> None:
        raise NotImplementedError

    def assign(self, var: Var, value: Value) -> None:
        raise NotImplementedError

    def read(self, operand: Any) -> Value:
        raise NotImplementedError

    def truth(self, value: Value) -> Expr:
        raise NotImplementedError

    def made(self, value: Value) -> View:
        raise NotImplementedError

    def before_write(self, root: Array) -> None:
        raise NotImplementedError

    def held_by(self, obj: Any) -> Any:
        """What an object holds, at the end of an iteration while that is being told."""
        return content(obj) if self.reading is None else self.reading.of(obj)

    # ---- storage that carries arrays

    def same_shape(self, a: tuple[Expr, ...], b: tuple[Expr, ...]) -> bool:
        return len(a) == len(b) and all(
            x == y or self.ranges.proves(apply("eq", x, y)) for x, y in zip(a, b, strict=True)
        )

    @contextmanager
    def thawed(self) -> Iterator[None]:
        """The core itself stores into what the program may not."""
        frozen, self.frozen = self.frozen, {}
        try:
            yield
        finally:
            self.frozen = {**frozen, **self.frozen}

    def emit(self, stmt: Stmt) -> None:
        if isinstance(stmt, Intrinsic) and stmt.name in EFFECTS:
            self.shown += 1
        if self.frozen:
            self.only_read(self.written([stmt]))
        super().emit(stmt)

    def written(self, statements: Iterable[Stmt]) -> set[Array]:
        """The storage that statements store into."""
        found: list[Any] = []
        for stmt in statements:
            if isinstance(stmt, Store):
                found.append(stmt.array)
            elif isinstance(stmt, Swap):
                found += [stmt.a, stmt.b]
            elif isinstance(stmt, Intrinsic):
                found += stmt.outs
        return {a.root for a in found if isinstance(a, Array)}

    def only_read(self, written: set[Array], settled: bool = False) -> None:
        """Refuse stores into what may not be written; `settled`: no loop will be staged again."""
        for root in written & self.frozen.keys():
            if self.frozen[root] == EXCHANGED and self.exchanges and not settled:
                continue  # the loop may turn out to have a copy of it
            loop = self.copied_by.get(root)
            if self.frozen[root] == OTHER and loop is not None and loop not in self.tracked:
                raise NeedsTracking(loop)
            self.refuse(
                f"an array is changed in place, but {self.frozen[root]}", "copy it first, with .copy()"
            )

    def share(self, view: View, originals: list[Value], names: int = 0, ended: Any = None) -> None:
        """`view` is a copy of what the program knows as one array of these: none may be changed any more."""
        for v in originals:
            self.inherit(view, v)
            if self.known_elsewhere(v, names, ended):
                self.frozen[self.made(v).array.root] = self.frozen[view.array.root] = OTHER

    def known_elsewhere(self, value: Value, names: int, ended: Any = None) -> bool:
        """Whether others than `names` places of the program, but for a frame, know an array."""
        if isinstance(value, View):
            root = value.array.root
            if root in self.array_sources or root in self.lent or root in self.frozen:
                return True
            if any(root in exchange.numbers for exchange in self.exchanges if exchange.homes):
                return True
        return self.holders(value, ended) > names

    def inherit(self, view: View, original: Value) -> None:
        """What takes the place of an array that may not be changed, as it is in a list, may not be either."""
        made = original.made if isinstance(original, Lazy) else original
        why = self.frozen.get(made.array.root, OTHER) if isinstance(made, View) else OTHER
        if why != OTHER:
            self.frozen[view.array.root] = why

    def own(self, array: Array) -> bool:
        """Whether storage was made by the iteration that is being staged."""
        return array in self.recent

    def holders(
        self, original: Value, ended: Any, exactly: Callable[[ArrayValue], bool] = lambda value: True
    ) -> int:
        """How many variables, and parts of objects, of the program are in the storage of an array."""
        from tapeless.backends.native.staging.heap import is_object

        seen: set[int] = set()

        def storage(value: Any) -> Any:
            made = value.made if isinstance(value, Lazy) else value
            return made.array.root if isinstance(made, View) else value

        mine = storage(original)

        def inside(value: Any) -> int:
            if isinstance(value, ArrayValue):
                return storage(value) is mine and exactly(value)
            if isinstance(value, Maybe):
                return inside(value.value)
            if isinstance(value, Choice):
                return sum(map(inside, value.values))
            if value is None or id(value) in seen:
                return 0
            seen.add(id(value))
            parts: list[Any] = []
            held = content(value) if is_object(value) else getattr(value, "items", None)
            if isinstance(held, list):
                parts = held
            elif isinstance(held, dict):
                parts = list(held.values())
            elif held is not None:
                parts = [held]
            for name in ("cells", "defaults", "function", "owner"):
                more = getattr(value, name, None)
                if isinstance(more, tuple):
                    parts += more
                elif isinstance(more, Value):
                    parts.append(more)
            return sum(map(inside, parts))

        return sum(inside(v) for frame in self.frames if frame is not ended for v in frame.env.values())

    # ---- the loop

    def loop(self, loop: Loop, key: Any) -> Target | None:
        """Stage a loop of run time; gives the target of its `break` if that was used."""
        plan = self.plans.setdefault(key, Plan())
        objects: dict[int, tuple[Any, Spec]] = {}
        for _ in range(ATTEMPTS):
            point = Checkpoint(self)
            attempt = Attempt(self, loop, plan, objects, self.block, self.marks(), key)
            try:
                attempt.stage()
            except Again:
                point.back()
                continue
            point.keep()
            return attempt.finish()
        self.refuse("what this loop changes does not settle", "keep the types of its variables the same")


class Checkpoint:
    """The state of staging at a point, to go back to."""

    def __init__(self, s: Loops) -> None:
        self.s, self.frame, self.base = s, s.frames[-1], s.block
        self.env, self.marks, self.level = dict(self.frame.env), s.marks(), s.heap.open()
        lists: list[list[Any]] = [
            s.frames, s.targets, s.handlers, s.finals, s.open_loops, s.loop_targets, s.ranges.facts, s.raised,
            s.truths, s.exchanges, s.exchanged, *s.unwound,
        ]  # fmt: skip
        self.lists = [(x, len(x)) for x in lists]
        self.plain = (s.closed, s.recent, s.line, dict(s.frozen))
        self.bounds = set(s.ranges.bounds)

    def back(self) -> None:
        """Undo what was staged since, but for statements hoisted to here."""
        s = self.s
        for x, n in self.lists:
            del x[n:]
        self.keep(undo=True)
        s.forget_exits(self.marks)
        for var in [v for v in s.ranges.bounds if v not in self.bounds]:
            del s.ranges.bounds[var]
        self.frame.env = self.env
        s.closed, s.recent, s.line, s.frozen = self.plain
        s.reading = None
        s.alive = True
        s.come_back(self.base)

    def keep(self, undo: bool = False) -> None:
        """Go on from here."""
        if undo:
            self.s.heap.undo(self.level)
        self.s.heap.close(self.level)
        del self.s.ranges.facts[self.lists[6][1] :]
        del self.s.truths[self.lists[8][1] :]
