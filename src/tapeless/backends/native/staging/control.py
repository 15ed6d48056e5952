"""Branches, loops, exits and exceptions of the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from tapeless.backends.native.nest import (
    BOOL,
    FALSE,
    FLOATS,
    TRUE,
    ZERO,
    Assign,
    Expr,
    If,
    Ref,
    Stmt,
    apply,
    const,
)
from tapeless.backends.native.staging.attempts import Loop
from tapeless.backends.native.staging.base import (
    Exit,
    Final,
    NeedsKnown,
    NeedsUnrolling,
    Replay,
    Target,
    describe,
)
from tapeless.backends.native.staging.loops import Checkpoint, Loops
from tapeless.backends.native.staging.short_loops import ShortLoops
from tapeless.backends.native.staging.values import Instance, Sequence, Static, Value
from tapeless.errors import NotCompilable
from tapeless.frontend.lower import ends
from tapeless.program.ir import Block, Op, Var

#: How many iterations a loop may have that is staged iteration by iteration.
UNROLLED = 2000

#: The same, of a loop that would run at run time but for variables that do not fit.
MISFITS = 256

#: The length of what has no end.
ENDLESS = const(2**62)


@dataclass(eq=False, slots=True)
class Iteration(Value):
    """What a loop goes through: values that are known one by one, or `length` of them by their index."""

    items: list[Value] | None = None
    length: Expr = ZERO
    item: Callable[[Expr], Value] | None = None
    bounds: tuple[Expr, Expr, int] | None = None
    """With bounds, `item` is given what counts from the first to the second by the third."""
    more: Callable[[], Iterator[Value]] | None = None
    """Items one by one, as a loop that changes what it goes through finds them."""


class Control(Loops):
    """Operations with blocks, and those that leave them."""

    def __init__(self, known: Any) -> None:
        super().__init__(known)
        self.unrolled: set[Any] = set()
        self.refusals: dict[Any, NotCompilable] = {}
        """Loops that are staged one iteration after the other -> what to raise if that cannot be done."""
        self.short = ShortLoops()

    def iteration(self, value: Value) -> Iteration:
        raise NotImplementedError

    # ---- branches

    def op_if(self, op: Op) -> None:
        condition = self.truth(self.read(op.args[0]))
        then, other = op.blocks
        live = self.frames[-1].live.after[id(op)]
        first = not (ends(other) and not ends(then))
        self.fork(condition, lambda: self.run(then), lambda: self.run(other), live, first)

    def fork(
        self,
        condition: Expr,
        then: Callable[[], Any],
        other: Callable[[], Any],
        live: frozenset[Var] | None = None,
        first: bool = True,
    ) -> None:
        """Stage one branch if it is known which, else both; `first` is staged first."""
        if condition != FALSE and self.certain(condition):
            then()
            return
        if condition == FALSE or self.certain(apply("not", condition)):
            other()
            return
        known = self.learnt(condition)
        if known is not None:
            (then if known else other)()
            return
        condition = self.bind(condition, "test") if not isinstance(condition, Ref) else condition
        base, marks, frame, born = self.block, self.marks(), self.frames[-1], self.heap.clock
        env, level, facts = dict(frame.env), self.heap.open(), len(self.ranges.facts)
        truths = len(self.truths)
        lists: dict[bool, list[Stmt]] = {True: [], False: []}
        exits: list[Exit] = []
        real = self.defined(condition)
        for truth in (first, not first):
            self.block, self.alive = lists[truth], True
            frame.env = dict(env)
            self.assume(real, truth)
            self.learn(condition, truth)
            self.stage_path(then if truth else other)
            if self.alive:
                exits.append(self.here(level, frame.env))
            del self.ranges.facts[facts:]
            del self.truths[truths:]
            self.heap.undo(level)
            if truth is first and not self.alive and not self.grown(marks):
                # it raises: the other branch goes on without a branch around it
                self.heap.close(level)
                self.block, self.alive, frame.env = base, True, env
                self.emit(If(condition if truth else apply("not", condition), lists[truth]))
                self.assume(real, not truth)
                self.learn(condition, not truth)
                (other if truth else then)()
                return
        self.heap.close(level)
        frame.env = env
        stmt = If(condition, lists[True], lists[False])
        if not lists[True] and lists[False]:
            stmt = If(apply("not", condition), lists[False], lists[True])
        alone = len(exits) == 1
        self.resume(exits, base, marks, born, stmt=stmt, live=live)
        if alone:
            taken = self.tip(lists[True]) is self.block
            self.assume(real, taken)
            self.learn(condition, taken)

    def certain(self, condition: Expr) -> bool:
        """Whether a condition holds in every call, not just in calls like this one."""
        decide, self.ranges.decide = self.ranges.decide, None
        found = self.ranges.proves(condition)
        self.ranges.decide = decide
        return found

    def defined(self, condition: Expr) -> Expr:
        """A condition, in the form that says something of integers."""
        while isinstance(condition, Ref) and condition.var in self.defs:
            condition = self.defs[condition.var]
        return condition

    def stage_path(self, make: Callable[[], Any]) -> None:
        """Stage what is done on one path; another may go on where this one raises."""
        make()

    def choose(self, condition: Expr, then: Callable[[], Value], other: Callable[[], Value]) -> Value:
        """The value of one of two, by a condition."""
        result = Var("chosen")
        env = self.frames[-1].env

        def keep(make: Callable[[], Value]) -> Callable[[], None]:
            def run() -> None:
                value = make()
                if self.alive:
                    self.frames[-1].env[result] = value

            return run

        del env
        self.fork(condition, keep(then), keep(other))
        return self.frames[-1].env.pop(result, Static(None))

    # ---- loops

    def op_for(self, op: Op) -> None:
        key = (self.frames[-1].key, id(op))
        value = self.short.as_loop(self.read(op.args[0]), key)
        with self.short.inside(op, key, value):
            self.loop_through(op, self.iteration(value))

    def loop_through(self, op: Op, it: Iteration) -> None:
        key = (self.frames[-1].key, id(op))
        body, orelse = op.blocks
        if it.items is None and key not in self.unrolled:
            bounds, item = it.bounds or (ZERO, it.length, 1), it.item
            low, high, step = bounds
            low, high = self.bind(low), self.bind(high)
            if self.ranges.proves(apply("ge" if step > 0 else "le", low, high)):
                self.run(orelse)  # no iteration
                return
            alone = key in self.peeled and not leaves_early(body)
            if alone:
                low = self.peel(op, body, (low, high, step), item)
                if not self.alive:
                    return
            loop = Loop(op, None, body, (low, high, step), item)
            if self.rolled(op, loop, key, orelse):
                return
            if alone:
                raise NeedsUnrolling(key, "its first iteration has been staged")
        if it.items is None:
            with self.taken_apart(key):
                it = Iteration(self.items_of(it))
            if key in self.refusals and len(it.items or ()) > MISFITS:
                raise self.refusals[key]
        assert it.items is not None
        items = iter(it.items) if it.more is None else it.more()
        self.unroll(op, body, orelse, lambda: self.next_item(op, items))

    def peel(
        self, op: Op, body: Block, bounds: tuple[Expr, Expr, int], item: Callable[[Expr], Value] | None
    ) -> Expr:
        """Stage the first iteration of a loop, which has one, by itself; where the others begin."""
        low, high, step = bounds
        assert item is not None
        there = apply("lt" if step > 0 else "gt", low, high)
        if not self.ranges.proves(there):
            self.replay_unless(there)
            self.assume(there)
        self.assign(op.outs[0], item(low))
        self.run(body)
        return self.bind(apply("add", low, const(step))) if self.alive else low

    def items_of(self, it: Iteration) -> list[Value]:
        """Every item of an iteration, one by one; its length must be known."""
        if it.items is not None:
            return it.items
        assert it.item is not None
        start, stop, step = it.bounds or (ZERO, it.length, 1)
        why = "loop over something of a known length"
        indices = range(self.known_expr(start, why), self.known_expr(stop, why), step)
        if len(indices) > UNROLLED:
            self.refuse(f"a loop of {len(indices)} iterations cannot be taken apart", "use an array")
        return [it.item(const(i)) for i in indices]

    def next_item(self, op: Op, items: Any) -> bool:
        for item in items:
            self.assign(op.outs[0], item)
            return True
        return False

    def op_while(self, op: Op) -> None:
        key = (self.frames[-1].key, id(op))
        test, body, orelse = op.blocks
        if key in self.peeled and key not in self.unrolled and not leaves_early(body):
            self.run(test)
            if self.alive:
                there = self.truth(self.read(op.args[0]))
                self.replay_unless(there)
                self.assume(there)
                self.run(body)
            if not self.alive:
                return
        if key not in self.unrolled and self.rolled(op, Loop(op, test, body), key, orelse):
            return

        def more() -> bool:
            self.run(test)
            with self.taken_apart(key):
                return self.alive and bool(self.known_expr(self.truth(self.read(op.args[0])), "its test"))

        self.unroll(op, body, orelse, more)

    def rolled(self, op: Op, loop: Loop, key: Any, orelse: Block) -> bool:
        """Stage a loop that runs at run time; False if its iterations must be staged one by one."""
        point = Checkpoint(self)
        try:
            broken = self.loop(loop, key)
        except NeedsUnrolling as need:
            if need.key != key:
                raise
            point.back()
            self.unroll_from_now(need)
            return False
        point.keep()
        if not self.alive or not orelse.ops:
            return True
        if broken is None:
            self.run(orelse)
        else:
            live = self.frames[-1].live.after[id(op)]
            self.fork(self.unless([broken]), lambda: self.run(orelse), lambda: None, live)
        return True

    def unroll_from_now(self, need: NeedsUnrolling) -> None:
        self.unrolled.add(need.key)
        if need.refusal is not None:
            self.refusals[need.key] = need.refusal

    @contextmanager
    def taken_apart(self, key: Any) -> Iterator[None]:
        """Inside, the length of a loop is found; if it cannot be, the reason is why it should be."""
        try:
            yield
        except NotCompilable:
            if key in self.refusals:
                raise self.refusals[key] from None
            raise
        except NeedsKnown as need:  # no version for each float
            floats = {path for var, path in self.sources.items() if var.type in FLOATS}
            if key in self.refusals and need.path in floats:
                raise self.refusals[key] from None
            raise

    def unroll(self, op: Op, body: Block, orelse: Block, more: Callable[[], bool]) -> None:
        """Stage the iterations of a loop one by one."""
        live = self.frames[-1].live
        base, marks, born = self.block, self.marks(), self.heap.clock
        broken = self.open_target("break")
        count = 0
        refusal = self.refusals.get((self.frames[-1].key, id(op)))
        while more():
            count += 1
            if refusal is not None and count > MISFITS:
                raise refusal
            if count > UNROLLED:
                self.refuse(f"a loop of over {UNROLLED} iterations cannot be taken apart", "use an array")
            inner, inner_marks, inner_born = self.block, self.marks(), self.heap.clock
            skipped = self.open_target("continue")
            self.loop_targets.append((broken, skipped))
            self.run(body)
            self.loop_targets.pop()
            wanted = live.head[id(op)] | live.after[id(op)]
            self.close_target(skipped, inner, inner_marks, inner_born, live=wanted)
            if not self.alive:
                break
        if self.alive:
            self.run(orelse)
        self.close_target(broken, base, marks, born, live=live.after[id(op)])

    def op_break(self, op: Op) -> None:
        self.leave(self.loop_targets[-1][0], None)

    def op_continue(self, op: Op) -> None:
        self.leave(self.loop_targets[-1][1], None)

    def op_return(self, op: Op) -> None:
        target = self.frames[-1].returns
        assert target is not None
        self.leave(target, self.read(op.args[0]))

    # ---- exceptions

    def op_raise(self, op: Op) -> None:
        if not op.args:
            if not self.raised:
                self.throw(RuntimeError, "No active exception to reraise")
                return
            error = self.raised[-1]
        else:
            error = self.read(op.args[0])
        if isinstance(error, Static) and isinstance(error.obj, type) and issubclass(error.obj, BaseException):
            error = self.call(error, [], {})
            if not self.alive:
                return
        if isinstance(error, Instance) and issubclass(error.cls, BaseException):
            self.throw_object(error)
            return
        self.refuse(f"{describe(error)} is raised", "raise an object of an exception class")

    def throw_object(self, error: Instance) -> None:
        """Raise an exception that the program has made."""
        if self.handlers or self.finals:
            self.leave(self.handlers[-1] if self.handlers else self.finals[-1].uncaught, error)
            return
        args = error.fields.get("args")
        if error.fields.keys() - {"args"} or not exact(error.cls) or not isinstance(args, Sequence):
            self.throw(Replay, error.cls.__name__)
            return
        self.throw_value(error.cls, tuple(args.items))

    def call(self, function: Value, args: list[Value], kwargs: dict[str, Value]) -> Value:
        raise NotImplementedError

    def op_matches(self, op: Op) -> None:
        error, kinds = self.read(op.args[0]), self.known(self.read(op.args[1]))
        if not isinstance(error, Instance):
            self.refuse("an exception of unknown class is caught", "catch it where it is raised")
        self.assign(op.outs[0], Static(issubclass(error.cls, kinds)))

    def op_try(self, op: Op) -> None:
        if op.attrs["finally_"]:
            self.finally_(op)
        else:
            self.attempt(op, self.frames[-1].live.after[id(op)])

    def attempt(self, op: Op, live: frozenset[Var] | None) -> None:
        """The part of a `try` statement before its `finally` block."""
        body, handler, orelse, _ = op.blocks
        if not op.attrs["handles"]:
            self.run(body)
            if self.alive:
                self.run(orelse)
            return
        frame = self.frames[-1]
        base, marks, born, start = self.block, self.marks(), self.heap.clock, len(self.block)
        target = self.open_target("caught")
        self.handlers.append(target)
        self.run(body)
        self.handlers.pop()
        if self.alive:
            self.run(orelse)
        caught = self.grouped(target.exits)
        ends = [self.here(target.level, frame.env)] if self.alive else []
        self.targets.remove(target)
        level = target.level
        self.heap.undo(level)
        for group in caught:
            self.handle(op, handler, group, base, start, born)
            if self.alive:
                ends.append(self.here(level, frame.env))
            self.heap.undo(level)
        self.heap.close(level)
        self.resume(ends, base, marks, born, live=live)

    def grouped(self, exits: list[Exit]) -> list[list[Exit]]:
        """Exits with exceptions, by the class of the exception."""
        groups: dict[Any, list[Exit]] = {}
        for e in exits:
            groups.setdefault(e.value.cls if isinstance(e.value, Instance) else None, []).append(e)
        return list(groups.values())

    def handle(
        self, op: Op, handler: Block, group: list[Exit], base: list[Stmt], start: int, born: int
    ) -> None:
        """Stage the handler for exceptions of one class."""
        frame = self.frames[-1]
        if len(group) == 1 and group[0].depth == len(self.open_loops):
            only = group[0]
            self.alive = True
            self.agree(group)
            self.heap.apply(only.changes)
            frame.env, self.block, value = dict(only.env), only.block, only.value
        else:
            flag = self.scalar(BOOL, "caught")
            base.insert(start, Assign(flag, FALSE, line=self.line))
            for e in group:
                e.block.append(Assign(flag, TRUE, line=self.line))
            value = self.merge_exits(group, base, born)
            inside: list[Stmt] = []
            self.emit(If(Ref(flag), inside))
            self.block = inside
        assert value is not None
        frame.env[op.outs[0]] = value
        self.raised.append(value)
        self.run(handler)
        self.raised.pop()

    def finally_(self, op: Op) -> None:
        """A `try` statement whose `finally` block runs on every way out."""
        frame, final = self.frames[-1], op.blocks[3]
        live = frame.live.after[id(op)]
        base, marks, born, start = self.block, self.marks(), self.heap.clock, len(self.block)
        outside = list(self.targets)
        uncaught = self.open_target("raised")
        level = uncaught.level

        def make(target: Target) -> Target:
            waiting = Target("waiting", self.scalar(BOOL, "waiting"), frame, level, uncaught.depth)
            self.flags.add(waiting.flag)
            base.insert(start, Assign(waiting.flag, FALSE, line=self.line))
            return waiting

        region = Final(outside, uncaught, make, self.targets)
        self.finals.append(region)
        handlers, self.handlers = self.handlers, []
        # an exception that no handler inside catches goes by way of the block
        self.attempt(op, None)
        self.handlers = handlers
        self.finals.remove(region)
        ends = []
        if self.alive:
            self.run(final)
        if self.alive:
            ends.append(self.here(level, frame.env))
        self.heap.undo(level)
        self.targets[:] = [t for t in self.targets if t is not uncaught and t not in region.ways.values()]
        ways: list[tuple[Target | None, list[Exit]]] = [(None, g) for g in self.grouped(uncaught.exits)]
        ways += [(t, w.exits) for t, w in region.ways.items() if w.exits]
        for target, group in ways:
            flag = self.scalar(BOOL, "waiting")
            base.insert(start, Assign(flag, FALSE, line=self.line))
            for e in group:
                e.block.append(Assign(flag, TRUE, line=self.line))
            value = self.merge_exits(group, base, born)
            inside: list[Stmt] = []
            self.emit(If(Ref(flag), inside))
            self.block = inside
            self.run(final)
            if self.alive and target is not None:
                self.leave(target, value)
            elif self.alive and isinstance(value, Instance):
                self.throw_object(value)
            self.heap.undo(level)
        self.heap.close(level)
        self.resume(ends, base, marks, born, live=live)


def leaves_early(body: Block) -> bool:
    return any(inner.kind in ("break", "continue") for inner in body.walk())


def exact(cls: type) -> bool:
    """Whether an exception is its class and its arguments."""
    return not isinstance(cls.__init__, FunctionType) and not isinstance(cls.__new__, FunctionType)  # type: ignore[misc]
