"""`with` over a generator that `contextlib.contextmanager` has made a context manager.

The generator runs, and the block of the statement where it gives its value; what comes after the `yield` runs
when the block has ended in any way but by an exception.  Where the generator might see an exception of the
block (its `yield` is inside a `try`), CPython makes the calls that raise one.
"""

from __future__ import annotations

from contextlib import _GeneratorContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.intrinsics import CALLED_BACK
from tapeless.backends.native.nest import FALSE, Assign, Intrinsic, Ref, Stmt
from tapeless.backends.native.staging.base import Exit, Frame, Target
from tapeless.backends.native.staging.calls import Calls
from tapeless.backends.native.staging.joins import Conflict, Maybe
from tapeless.backends.native.staging.values import Instance, Static, Value
from tapeless.program.ir import Op, Var

if TYPE_CHECKING:
    from tapeless.backends.native.staging.iterables import Generator

#: How control leaves a block that is not by an exception.
WAYS = ("return", "break", "continue")
#: What is called back and gives no warnings.
SILENT = ("sort", "fft", "slogdet", "qr", "eigh", "svd", "print", "settle", "random")
SIMPLE = "give the value on every path, once, outside of loops"


@dataclass(eq=False, slots=True)
class Region:
    """The block of a `with` statement: whatever leaves it waits until the generator has ended."""

    outside: list[Target]
    frame: Frame
    level: int
    depth: int
    start: tuple[list[Stmt], int]
    finals: int
    """How many `finally` blocks are around it."""
    ways: dict[Target, Target] = field(default_factory=dict)


class Quiet:
    """`warnings.catch_warnings()`."""


class Managers(Calls):
    """Statements with context managers."""

    caught_outside: bool

    def __init__(self, known: Any) -> None:
        super().__init__(known)
        self.entering: tuple[Generator, Var] | None = None
        """The manager whose block is the next `try` statement."""
        self.regions: list[Region] = []
        self.quiet: list[Quiet] = []
        """The blocks around that have filters of warnings of their own."""
        self.unwound.append(self.quiet)

    def emit(self, stmt: Stmt) -> None:
        if (
            self.quiet
            and isinstance(stmt, Intrinsic)
            and stmt.name in CALLED_BACK
            and stmt.name not in SILENT
        ):
            self.refuse(
                "a function that may warn is called where the filters of warnings are others",
                "call it outside of warnings.catch_warnings()",
            )
        super().emit(stmt)

    def special(self, owner: Value, name: str, args: list[Value], op: Op) -> Value:
        if name == "__enter__" and isinstance(owner, Instance) and owner.cls is _GeneratorContextManager:
            generator: Any = owner.fields.get("gen")
            if type(generator).__name__ == "Generator":
                self.entering = generator, op.outs[0]
                return Static(None)
        if isinstance(owner, Static) and isinstance(owner.obj, Quiet):
            if name == "__enter__":
                self.quiet.append(owner.obj)
            elif owner.obj in self.quiet:
                del self.quiet[self.quiet.index(owner.obj) :]
            return Static(None)
        return super().special(owner, name, args, op)

    def op_try(self, op: Op) -> None:
        if self.entering is None:
            super().op_try(op)
            return
        (generator, out), self.entering = self.entering, None
        self.managed(op, generator, out)

    def leave(self, target: Target, value: Value | None) -> None:
        for region in reversed(self.regions):
            if target in region.outside and not any(
                target in f.outside for f in self.finals[region.finals :]
            ):
                target = self.way_to(target, region)
                break
        super().leave(target, value)

    def way_to(self, target: Target, region: Region) -> Target:
        if target not in region.ways:
            way = Target("waiting", self.scalar("bool", "waiting"), region.frame, region.level, region.depth)
            self.flags.add(way.flag)
            self.used_flags.add(way.flag)
            block, at = region.start
            block.insert(at, Assign(way.flag, FALSE, line=self.line))
            region.ways[target] = way
        way = region.ways[target]
        if way not in self.targets:  # an attempt at a loop that was given up has opened it
            way.exits.clear()
            self.targets.append(way)
        return way

    def managed(self, op: Op, generator: Generator, out: Var) -> None:
        frame, opened, loops, start = self.frames[-1], list(self.targets), len(self.open_loops), self.block
        stacks: list[list[Any]] = [self.frames, self.loop_targets, self.raised, *self.unwound]
        levels = [len(x) for x in stacks]
        around = len(self.handlers), len(self.finals)
        left: list[tuple[Target, Target]] = []
        results: list[Value | None] = []

        def take(item: Value) -> None:
            early = any(t.exits for t in self.targets if t not in opened)
            if results or early or len(self.open_loops) > loops or self.block is not self.tip(start):
                self.refuse("a context manager gives its value on one path of several", SIMPLE)
            inside = [x[n:] for x, n in zip(stacks, levels, strict=True)]
            for x, n in zip(stacks, levels, strict=True):
                del x[n:]
            outer, line = (self.handlers, self.finals, self.caught_outside), self.line
            if (len(self.handlers), len(self.finals)) != around:
                self.caught_outside, self.handlers, self.finals = True, [], []
            regions = len(self.regions)
            try:
                self.assign(out, item)
                results.append(self.block_of(op, frame, opened, left))
            finally:
                del self.regions[regions:]
                self.handlers, self.finals, self.caught_outside = outer
                for x, n, rest in zip(stacks, levels, inside, strict=True):
                    x[n:] = rest
            self.line = line

        generator.consume(self, take)  # type: ignore[arg-type]
        if not self.alive:
            return
        if not results:
            self.throw(RuntimeError, "generator didn't yield")
            return
        ended, ways = left[-1][0] is left[-1][1], [pair for pair in left if pair[0] is not pair[1]]
        for k, (target, way) in enumerate(ways):
            value = results[0] if target.kind == "return" else None
            if isinstance(value, (Maybe, Conflict)):
                value = value.value if isinstance(value, Maybe) and value.otherwise is None else value
            if not ended and k == len(ways) - 1:
                self.leave(target, value)
            else:
                self.fork(Ref(way.flag), partial(self.leave, target, value), lambda: None)

    def block_of(
        self, op: Op, frame: Frame, opened: list[Target], left: list[tuple[Target, Target]]
    ) -> Value | None:
        """Stage the block; `left` gets where control leaves for and waits, and the end if it arrives there.

        Gives what the block returns.
        """
        base, marks, born = self.block, self.marks(), self.heap.clock
        end = self.open_target("with")
        outside = [t for t in opened if t.kind in WAYS]
        region = Region(outside, frame, end.level, end.depth, (base, len(base)), len(self.finals))
        self.regions.append(region)
        self.run(op.blocks[0])
        self.regions.pop()
        exits: list[Exit] = []
        for target, way in region.ways.items():
            if way in self.targets and way.exits:
                left.append((target, way))
                exits += way.exits
        if self.alive:
            left.append((end, end))
            exits.append(self.here(end.level, frame.env))
        self.targets[:] = [t for t in self.targets if t is not end and t not in region.ways.values()]
        self.heap.undo(end.level)
        self.heap.close(end.level)
        return self.resume(exits, base, marks, born)
