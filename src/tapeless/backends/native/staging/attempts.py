"""One attempt to stage a loop: its head, its body, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import (
    I64,
    TRUE,
    Apply,
    Array,
    Assign,
    Const,
    Expr,
    For,
    If,
    Ref,
    Scalar,
    Stmt,
    While,
    apply,
    const,
    leaves,
    walk,
)
from tapeless.backends.native.staging.base import Exit, NeedsUnrolling, OpenLoop, Target
from tapeless.backends.native.staging.carrying import (
    Carried,
    Moves,
    NeedsPeeling,
    carry_out,
    first_guess,
    widen,
)
from tapeless.backends.native.staging.exchanges import Exchange
from tapeless.backends.native.staging.heap import content
from tapeless.backends.native.staging.joins import Maybe
from tapeless.backends.native.staging.specs import KEPT, Spec
from tapeless.backends.native.staging.values import Instance, Mapping, Number, Value
from tapeless.program.ir import Block, Op, Var

if TYPE_CHECKING:
    from tapeless.backends.native.staging.loops import Loops

#: A loop of so many iterations that fills a list is unrolled.
SHORT = 32


class Again(Exception):
    """The body of a loop is to be staged again."""


@dataclass(eq=False, slots=True)
class Plan:
    """What is known of a loop from earlier attempts to stage it."""

    variables: dict[Var, Spec] = field(default_factory=dict)
    first: dict[Var, Spec] = field(default_factory=dict)
    """What they held at first; where that is something else now, a loop around this one has learned."""
    bounded: dict[Any, str] = field(default_factory=dict)
    general: bool = False


@dataclass(eq=False, slots=True)
class Loop:
    """A loop to stage."""

    op: Op
    test: Block | None
    body: Block
    bounds: tuple[Expr, Expr, int] | None = None
    item: Callable[[Expr], Value] | None = None


class Attempt:
    """One attempt to stage a loop, with what is known so far of the places it carries."""

    def __init__(
        self,
        s: Loops,
        loop: Loop,
        plan: Plan,
        objects: dict[int, tuple[Any, Spec]],
        base: list[Stmt],
        marks: dict[Target, int],
        key: Any,
    ) -> None:
        self.s, self.loop, self.plan, self.objects = s, loop, plan, objects
        self.base, self.marks, self.key = base, marks, key
        self.frame = s.frames[-1]
        self.born = s.heap.clock
        live = self.frame.live
        op = loop.op
        wanted = live.head[id(op)] | live.after[id(op)]
        self.slots = [v for v in sorted(live.assigned[id(op)], key=lambda v: v.name) if v in wanted]
        self.gone = [v for v in live.assigned[id(op)] if v not in wanted]

    # ---- the head

    def begin(self) -> None:
        """Give every carried place its variables, and the program the values at the head."""
        s, env = self.s, self.frame.env
        self.entries = {v: env.get(v) for v in self.slots}
        self.entry: list[Stmt] = []
        self.carried: dict[Var, Carried] = {}
        self.held: dict[int, tuple[Any, dict[Any, Carried]]] = {}
        with s.at(self.entry):
            for var in self.slots:
                guess = first_guess(s, self.entries[var])
                if self.plan.first.get(var) != guess:
                    self.plan.first[var] = self.plan.variables[var] = guess
                spec = self.plan.variables[var]
                self.carried[var] = Carried(s, spec, self.entries[var], var.name)
            heads: list[tuple[Any, Any]] = []
            for key, (obj, spec) in self.objects.items():
                names, parts = parts_of(content(obj))
                specs = dict(zip(spec.names, spec.parts, strict=True))
                made = {
                    n: Carried(s, specs.get(n, KEPT), p, str(n) if isinstance(n, str) else "item")
                    for n, p in zip(names, parts, strict=True)
                }
                for n in spec.names:
                    if n not in made:
                        made[n] = Carried(s, specs[n], None, str(n))
                self.held[key] = (obj, made)
                heads.append((obj, rebuilt(obj, {n: c.head for n, c in made.items()})))
            for _, c in self.places():
                c.blame(self.key)
            copies = [copy for _, c in self.places() for copy in c.copies()]
            self.exchange = Exchange(s, self.key, copies)
        s.exchanges.append(self.exchange)
        for var, c in self.carried.items():
            if c.head is None:
                env.pop(var, None)
            else:
                env[var] = c.head
        for var in self.gone:
            env.pop(var, None)
        for obj, held in heads:
            s.heap.write(obj, held)

    def places(self) -> Iterator[tuple[Any, Carried]]:
        yield from self.carried.items()
        for key, (_, parts) in self.held.items():
            for n, c in parts.items():
                yield (key, n), c

    # ---- bounds of integers that only grow, or only shrink

    def guess_bounds(self) -> None:
        s = self.s
        self.guessed: dict[Scalar, tuple[Any, str, Expr]] = {}
        starts = {x.var: x.value for x in self.entry if isinstance(x, Assign)}
        for place, c in self.places():
            if c.spec.how != "number" or c.scalar.type != I64 or not isinstance(place, Var):
                continue
            way = self.plan.bounded.setdefault(place, "low")
            start = starts.get(c.scalar)
            if way == "none" or start is None or not pure(start):
                continue
            self.guessed[c.scalar] = (place, way, start)
            s.assume(apply("ge" if way == "low" else "le", Ref(c.scalar), start))

    def confirm_bounds(self, moves: Moves, facts: list[Any]) -> None:
        """Begin again unless the bounds hold after an iteration that ends where these facts are known."""
        s = self.s
        now, s.ranges.facts[:] = list(s.ranges.facts), facts  # not those of the way that was staged last
        for var, e in moves.scalars:
            if var in self.guessed:
                place, way, start = self.guessed[var]
                compare = "ge" if way == "low" else "le"
                if not all(s.ranges.proves(apply(compare, x, start)) for x in self.alternatives(e)):
                    self.plan.bounded[place] = {"low": "high", "high": "none"}[way]
                    raise Again
        s.ranges.facts[:] = now

    def alternatives(self, e: Expr) -> Iterator[Expr]:
        """What an expression may be on the paths that have met."""
        if isinstance(e, Ref) and e.var in self.s.merged:
            for x in self.s.merged[e.var]:
                yield from self.alternatives(x)
        else:
            yield e

    # ---- the body

    def stage(self) -> None:
        s, loop = self.s, self.loop
        self.level = s.heap.open()
        self.begin()
        head = dict(self.frame.env)
        self.var = s.scalar(I64, loop.op.outs[0].name if loop.op.outs else "i")
        self.open = OpenLoop(self.key, self.var if loop.bounds else None)
        self.open.carried = {v for _, c in self.places() for v in c.variables()}
        s.open_loops.append(self.open)
        recent, s.recent = s.recent, set()
        self.test: list[Stmt] = []
        self.body: list[Stmt] = []
        self.condition: Expr = TRUE
        with s.at(self.entry):
            self.done = s.open_target("done")
            self.broken = s.open_target("break")
        self.guess_bounds()
        if loop.bounds is not None:
            with s.ranges.loop(self.var, *loop.bounds):
                self.iteration()
        else:
            self.iteration()
        s.targets.remove(self.broken)
        s.targets.remove(self.done)
        s.open_loops.pop()
        s.exchanges.pop()
        s.recent = recent
        s.heap.undo(self.level)
        s.heap.close(self.level)
        if self.open.again:
            raise Again
        s.block, self.frame.env = self.base, head

    def iteration(self) -> None:
        s, loop = self.s, self.loop
        s.block, s.alive = self.body, True
        if loop.test is not None:
            self.stage_test(loop.test)
        else:
            assert loop.item is not None
            s.assign(loop.op.outs[0], loop.item(Ref(self.var)))
        skipped = s.open_target("continue")
        # the state at the end of an iteration is told from the state at its head
        skipped.level = self.done.level
        s.loop_targets.append((self.broken, skipped))
        s.run(loop.body)
        s.loop_targets.pop()
        ends = [*skipped.exits, *([s.here(self.done.level, self.frame.env)] if s.alive else [])]
        s.targets.remove(skipped)
        s.heap.undo(self.done.level)
        self.end(ends)

    def stage_test(self, test: Block) -> None:
        s = self.s
        if not self.plan.general:
            s.block = self.test
        marks = s.marks()
        s.run(test)
        if not s.alive:
            s.refuse("the test of a loop always leaves it", "write the loop without it")
        condition = s.truth(s.read(self.loop.op.args[0]))
        if not self.plan.general:
            simple = s.block is self.test and not s.grown(marks) and not s.heap.since(self.done.level).held
            if not simple or any(v in self.carried for v in test_assigns(test)):
                self.plan.general = True
                raise Again
            self.condition = condition
            s.block = self.body
        elif condition != TRUE:
            then: list[Stmt] = []
            other: list[Stmt] = []
            s.emit(If(condition, then, other))
            with s.at(other):
                s.leave(self.done, None)
            s.alive = True
            s.go_on_in(then)
        s.assume(condition)

    def harmless(self) -> bool:
        """Whether the test may be computed once more after control has left the loop."""
        return all(isinstance(x, Assign) for x in self.test)

    def end(self, ends: list[Exit]) -> None:
        """Every way to the end of an iteration leaves the carried places ready for the next."""
        s = self.s
        ways = [*ends, *self.broken.exits, *self.done.exits]
        if any([self.compare(way) for way in ways]):
            raise Again
        if (self.broken.exits or s.grown(self.marks)) and not self.harmless():
            self.plan.general = True
            raise Again
        present = [{v for v, x in way.env.items() if not isinstance(x, Maybe)} for way in ways]
        self.bound = set.intersection(*present) if present else set()
        written = s.written(walk([*self.test, *self.body])) - arrays_in([*self.test, *self.body])
        for way in ways:
            if not all(c.stays(way.changes) for c in self.carried.values()):
                s.refuse(
                    "an object is changed in a loop that also gives its name to another one",
                    "give the other one a name of its own",
                )
            moves = Moves()
            s.reading = way.changes
            for var, c in self.carried.items():
                c.move(way.env.get(var), moves)
            for obj, parts in self.held.values():
                names, values = parts_of(way.changes.of(obj))
                table = dict(zip(names, values, strict=True))
                for n, c in parts.items():
                    c.move(table.get(n), moves)
            s.reading = None
            if way in ends:
                self.confirm_bounds(moves, way.facts)
            s.recent = arrays_in([*self.test, *self.body])
            with s.at(way.block):
                carry_out(s, moves)
        self.exchange.settle()
        # by the iterations that follow, too
        s.only_read(written, settled=len(s.exchanges) == 1)

    def compare(self, way: Exit) -> bool:
        """Learn from the state at the end of an iteration; whether anything was new."""
        s, changed = self.s, False
        s.reading = way.changes
        for var in self.carried:
            wide = widen(s, self.plan.variables[var], self.entries[var], way.env.get(var))
            if wide != self.plan.variables[var]:
                self.plan.variables[var] = wide
                changed = True
        for key, (obj, _) in way.changes.held.items():
            if s.heap.age(obj) > self.born:
                continue
            before = self.objects[key][1] if key in self.objects else KEPT
            after = self.widen_object(obj, before, way.changes.of(obj))
            if after != before:
                self.objects[key] = (obj, after)
                changed = True
        s.reading = None
        return changed

    def widen_object(self, obj: Any, spec: Spec, end: Any) -> Spec:
        """The spec of the content of an object that the body changes."""
        s = self.s
        if isinstance(obj, Instance) and obj.cls is set:
            raise NeedsUnrolling(
                self.key, "a set changes in a loop of unknown length; use an array of truths"
            )
        found = s.heap.levels[self.level].get(id(obj))
        names0, parts0 = parts_of(content(obj) if found is None else found[1])
        names1, parts1 = parts_of(end)
        if isinstance(end, list) and names0 != names1:
            self.let_grow(obj, [*parts0, *parts1])
            raise NeedsUnrolling(
                self.key, "a list grows or shrinks in a loop of unknown length; use an array"
            )
        if isinstance(obj, Mapping) and names0 != names1:
            if self.key not in s.peeled:
                raise NeedsPeeling(self.key)  # the first iteration may give it its keys
            raise NeedsUnrolling(
                self.key, "a dict gets other keys in a loop of unknown length; give it all before"
            )
        first, last = dict(zip(names0, parts0, strict=True)), dict(zip(names1, parts1, strict=True))
        old = dict(zip(spec.names, spec.parts, strict=True)) if spec.how == "content" else {}
        table = {}
        for n in {**first, **last}:
            known = old.get(n)
            if known is None:
                same = n in first and n in last and first[n] is last[n]
                known = KEPT if same else first_guess(s, first.get(n))
            table[n] = widen(s, known, first.get(n), last.get(n))
        if all(p == KEPT for p in table.values()):
            return KEPT
        return Spec("content", type(obj), tuple(table.values()), tuple(table))

    def let_grow(self, obj: Any, items: list[Value | None]) -> None:
        """Begin again with a list that grows, if it may be one and the loop is not short."""
        from tapeless.backends.native.staging.growing_items import NeedsGrowing, spec_of_all

        s, bounds = self.s, self.loop.bounds
        if bounds is not None and isinstance(bounds[0], Const) and isinstance(bounds[1], Const):
            if abs(bounds[1].value - bounds[0].value) <= SHORT * abs(bounds[2]):
                return
        spec = spec_of_all(s, items)
        if spec is not None and obj.site is not None and obj.site not in s.never_growing:
            raise NeedsGrowing(obj.site, spec)

    # ---- after the loop

    def runs(self) -> bool:
        """Whether there certainly is an iteration."""
        if self.loop.bounds is None:
            return False
        start, stop, step = self.loop.bounds
        return self.s.ranges.proves(apply("lt" if step > 0 else "gt", start, stop))

    def finish(self) -> Target | None:
        s, loop = self.s, self.loop
        s.block = self.base
        base, leaving = self.base, s.grown(self.marks)
        base.extend(self.entry)
        breaks = [self.broken] if self.broken.exits else []
        flags = s.unless([*breaks, *leaving])
        endless = False
        if loop.bounds is not None:
            start, stop, step = loop.bounds
            if flags == TRUE:
                s.emit(For(self.var, start, stop, self.body, step=step))
            else:
                count = self.var
                stop = s.bind(stop, "stop")
                s.emit(Assign(count, start))
                self.body.append(Assign(count, apply("add", Ref(count), const(step)), line=s.line))
                more = apply("lt" if step > 0 else "gt", Ref(count), stop)
                s.emit(While([], apply("all", more, flags), self.body))
        else:
            breaks_or_done = breaks + ([self.done] if self.done.exits else [])
            flags = s.unless([*breaks_or_done, *leaving])
            endless = self.condition == TRUE and not breaks_or_done
            condition = flags if self.condition == TRUE else apply("all", self.condition, flags)
            s.emit(While(self.test, condition, self.body))
        self.exchange.finish([self.test, self.body])
        env = self.frame.env
        for var, c in self.carried.items():
            head = c.head
            if c.spec.how == "maybe" and var in self.bound and isinstance(head, Maybe) and self.runs():
                head = head.value
            elif c.spec.how == "number" and c.spec.names and c.settles and self.runs():
                head = Number(Ref(c.scalar), c.spec.kind)
            if head is None:
                env.pop(var, None)
            else:
                env[var] = head
        for var in self.gone:
            env.pop(var, None)
        for obj, parts in self.held.values():
            s.heap.write(obj, rebuilt(obj, {n: c.head for n, c in parts.items()}))
        s.alive = not endless
        if s.alive:
            s.shield(leaving)
            if not self.plan.general and not breaks and loop.test is not None:
                s.assume(self.condition, False)
        return self.broken if breaks else None


def pure(e: Expr) -> bool:
    """Whether an integer is made of constants, variables and lengths."""
    return all(not isinstance(x, Apply) for x in leaves(e)) and e.type == I64


def test_assigns(block: Block) -> set[Var]:
    return {v for op in block.walk() for v in op.outs}


def arrays_in(body: list[Stmt]) -> set[Array]:
    from tapeless.backends.native.nest import Alloc, walk

    return {s.array for s in walk(body) if isinstance(s, Alloc)}


def parts_of(held: Any) -> tuple[tuple[Any, ...], list[Value | None]]:
    """What an object holds, by name."""
    if isinstance(held, list):
        return tuple(range(len(held))), list(held)
    if isinstance(held, dict):
        return tuple(held), list(held.values())
    return ("value",), [held]


def rebuilt(obj: Any, parts: dict[Any, Value | None]) -> Any:
    """The content of an object from its parts."""
    held = content(obj)
    if isinstance(held, list):
        return [parts[k] for k in range(len(parts))]
    if isinstance(held, dict):
        return {k: v for k, v in parts.items() if v is not None}
    return parts["value"]
