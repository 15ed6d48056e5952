"""One attempt to stage the body of a recursive function: its arguments, the calls of itself, its result."""

from __future__ import annotations

import types
from dataclasses import dataclass, field
from typing import Any

from tapeless.backends.native.nest import ZERO, Alloc, Assign, Const, Expr, Ref, Stmt, walk
from tapeless.backends.native.staging import frames, storage
from tapeless.backends.native.staging.attempts import parts_of, rebuilt
from tapeless.backends.native.staging.base import Frame, OpenLoop, Replay
from tapeless.backends.native.staging.carrying import (
    Carried,
    Moves,
    first_guess,
    shape_of,
    widen,
)
from tapeless.backends.native.staging.errors import Errors
from tapeless.backends.native.staging.exchanges import OTHER
from tapeless.backends.native.staging.heap import content, is_object
from tapeless.backends.native.staging.joins import Maybe, same_view
from tapeless.backends.native.staging.passing import (
    Window,
    full_shape,
    join,
    loose,
    same,
    shell,
    unshell,
    views,
)
from tapeless.backends.native.staging.pieces import Again
from tapeless.backends.native.staging.specs import KEPT, Spec
from tapeless.backends.native.staging.values import (
    Cell,
    ComplexNumber,
    Instance,
    Lazy,
    Mapping,
    Number,
    Sequence,
    Static,
    Value,
    View,
)
from tapeless.program.ir import Op


class Deeper(Exception):
    """The body of a recursive function is to be staged again."""

    def __init__(self, run: Run) -> None:
        self.run = run
        super().__init__()


@dataclass(eq=False, slots=True)
class Plan:
    """What is known from earlier attempts to stage the body."""

    params: dict[str, Spec] = field(default_factory=dict)
    objects: dict[int, tuple[Any, Spec]] = field(default_factory=dict)
    result: Spec | None = None
    sample: Value | None = None
    """A result of an earlier attempt."""
    frozen: bool = False
    """Whether a result may be an array that the program has another name for."""
    handled: bool = False
    """Whether exceptions of the body may be caught."""
    errors: list[Any] = field(default_factory=list)
    """The kinds of exceptions that it hands over then."""


class Run:
    """One attempt to stage the body of a recursive function."""

    def __init__(
        self,
        s: Any,
        function: types.FunctionType,
        frame: Frame,
        cells: dict[str, Cell],
        bound: dict[str, Value],
        plan: Plan,
        key: Any,
    ) -> None:
        self.s, self.frame, self.cells, self.entries, self.plan, self.key = s, frame, cells, bound, plan, key
        self.code, self.name = function.__code__, frame.program.name
        self.base, self.born, self.line = s.block, s.heap.clock, s.line
        self.marks = s.marks()
        self.only_read = False
        """Whether arrays that are copied must not be written."""
        self.around = (s.closed, s.differentiated)
        plan.handled = plan.handled or bool(s.handlers or s.finals)

    # ---- the body

    def begin(self) -> None:
        """Give what is carried its variables, and the body the values it finds there."""
        s, plan = self.s, self.plan
        self.entry: list[Stmt] = []
        self.carried: dict[str, Carried] = {}
        self.held: dict[int, tuple[Any, dict[Any, Carried]]] = {}
        with s.at(self.entry):
            for name, value in self.entries.items():
                spec = plan.params.setdefault(name, KEPT)
                shown = shell(value) if spec.kind is Window else value
                made = self.carried[name] = Carried(s, spec, shown, name)
                share(s, made)
                if spec.how == "array":
                    s.share(made.view, [value])
            for key, (obj, spec) in plan.objects.items():
                names, parts = parts_of(content(obj))
                specs = dict(zip(spec.names, spec.parts, strict=True))
                held = dict(zip(names, parts, strict=True))
                places: dict[Any, Carried] = {}
                for n in dict.fromkeys([*names, *spec.names]):
                    hint = str(n) if isinstance(n, str) else "item"
                    c = places[n] = Carried(s, specs.get(n, KEPT), held.get(n), hint)
                    share(s, c)
                    if c.spec.how == "array" and held.get(n) is not None:
                        s.share(c.view, [held[n]])
                self.held[key] = (obj, places)
            self.result = None if plan.result is None else Carried(s, plan.result, None, "value")
            if plan.result == KEPT:
                assert self.result is not None
                self.result.head = plan.sample
            self.errors = Errors(self, plan.errors) if plan.handled else None

    def stage(self) -> None:
        s, frame = self.s, self.frame
        self.level = s.heap.open()
        self.begin()
        self.open = OpenLoop(self.key, None)
        carried = [*self.carried.values(), *self.common()]
        self.open.carried = {v for c in carried for v in c.variables()}
        s.open_loops.append(self.open)
        recent, s.recent = s.recent, set()
        self.body: list[Stmt] = []
        s.frames.append(frame)
        s.free.append(self.cells)
        s.yields.append(None)
        s.runs.append(self)
        handlers, finals = s.handlers, s.finals
        s.handlers, s.finals = [], []
        try:
            with s.at(self.body):
                self.inside()
        finally:
            s.handlers, s.finals = handlers, finals
        s.runs.pop()
        s.yields.pop()
        s.free.pop()
        s.frames.pop()
        s.recent = recent
        s.open_loops.pop()
        s.heap.undo(self.level)
        s.heap.close(self.level)

    def inside(self) -> None:
        """The statements of the body."""
        s, frame = self.s, self.frame
        self.meet()
        if self.errors is not None:
            self.errors.open()
        marks, born = s.marks(), s.heap.clock
        frame.returns = s.open_target("return", keep_env=False)
        for param in frame.program.params:
            c = self.carried[param.name]
            head = c.head
            if c.spec.kind is Window:
                entry = self.entries[param.name]
                assert isinstance(entry, View) and isinstance(head, Sequence)
                head = unshell(s, entry, head.items)
            s.assign(param.var, head)
        s.line = frame.program.firstline
        s.run(frame.program.body)
        value = s.close_target(frame.returns, self.body, marks, born, Static(None))
        failed = self.errors is not None and bool(self.errors.target.exits)
        if failed and not s.alive and self.result is None:
            self.learn_result(Static(None))
        if not s.alive and self.result is None:
            s.refuse(f"{self.name} calls itself without end", "let it return on some path")
        if s.alive:
            self.learn_result(Static(None) if value is None else value)
        if self.open.again:
            raise Deeper(self)
        if s.alive:
            self.leave(Static(None) if value is None else value)
        if self.errors is not None and not self.errors.close(born):
            raise Deeper(self)
        # arrays that a run makes are its own: they were written before another name was known for them
        mine = {x.array for x in walk(self.body) if isinstance(x, Alloc)}
        s.only_read(s.written(walk(self.body)) - mine)

    def meet(self) -> None:
        """Objects that some run changes hold what the runs have in common."""
        s = self.s
        for obj, parts in self.held.values():
            self.only_read = True
            s.heap.write(obj, rebuilt(obj, {n: self.copied(c.head, n) for n, c in parts.items()}))
            self.only_read = False

    # ---- its end

    def learn_result(self, value: Value) -> None:
        s, plan = self.s, self.plan
        if isinstance(value, Maybe):
            value = s.present(value, "the result", "result")
        if plan.result is None:
            plan.sample = value
            plan.result = self.first_result(value)
            raise Deeper(self)
        wide = plan.result
        if not (wide == KEPT and plan.sample is not None and same(plan.sample, value)):
            wide = loose(widen(s, wide, plan.sample, value))
        if wide.how == "conflict":
            s.refuse(f"{self.name} returns values of several kinds", "return values of one kind")
        if wide != plan.result:
            plan.result = wide
            raise Deeper(self)

    def first_result(self, value: Value) -> Spec:
        """How a result is handed over, from the first one."""
        if isinstance(value, Static) and not self.s.is_number(value) and not self.s.is_complex(value):
            return KEPT
        if is_object(value) and self.s.heap.age(value) <= self.born:
            return KEPT
        if isinstance(value, View) and any(same_view(value, v) for v in self.entries.values()):
            return KEPT
        if isinstance(value, Maybe):
            return Spec("maybe", value.otherwise, (loose(shape_of(self.s, value.value)),))
        return loose(shape_of(self.s, value))

    def leave(self, value: Value) -> None:
        """The run ends, and leaves its result and what it has changed."""
        s = self.s
        assert self.result is not None
        moves = Moves()
        self.result.move(value, moves)
        self.share(moves, ended=self.frame)
        if not self.plan.frozen and any(view.array in s.frozen for view, _ in moves.arrays):
            self.plan.frozen = True
            raise Deeper(self)
        if self.errors is not None:
            moves.scalars.append((self.errors.number, ZERO))
        self.hand_over(moves)

    def hand_over(self, moves: Moves) -> None:
        """Assign what a run leaves, and what objects hold that it has changed."""
        held = Moves()
        self.flush_objects(held)
        self.share(held)
        both = Moves([*moves.scalars, *held.scalars], [*moves.arrays, *held.arrays])
        for stmt in self.carry(both):
            self.s.block.append(stmt)

    def share(self, moves: Moves, ended: Frame | None = None) -> None:
        """Arrays that are copied must not be written if the program knows the original by another name."""
        s = self.s
        for view, value in moves.arrays:
            s.share(view, [value], ended=ended)
            root = s.made(value).array.root
            if root in s.frozen:
                s.frozen[view.array] = s.frozen[root]

    def flush_objects(self, moves: Moves) -> None:
        """Objects that were there before hand over what they hold."""
        s = self.s
        changes = s.heap.since(self.level)
        for c in self.carried.values():
            if not c.stays(changes):
                s.refuse("an object that a recursive function is given is changed by it", "return a new one")
        grown = False
        for key, (obj, held) in changes.held.items():
            if s.heap.age(obj) > self.born:
                continue
            before = self.plan.objects[key][1] if key in self.plan.objects else KEPT
            after = self.widened(obj, before, held)
            if after != before:
                self.plan.objects[key] = (obj, after)
                grown = True
        if grown:
            raise Deeper(self)
        for key, (obj, parts) in self.held.items():
            held = changes.held[key][1] if key in changes.held else content(obj)
            table = dict(zip(*parts_of(held), strict=True))
            for n, c in parts.items():
                c.move(table.get(n), moves)

    def widened(self, obj: Any, spec: Spec, end: Any) -> Spec:
        """How the content of an object is carried that the body changes."""
        s = self.s
        tables = [t for t in s.heap.levels[self.level :] if id(obj) in t]
        found = tables[0][id(obj)] if tables else None
        names0, parts0 = parts_of(content(obj) if found is None else found[1])
        names1, parts1 = parts_of(end)
        if isinstance(end, list) and names0 != names1:
            s.refuse("a list grows or shrinks in a recursion", "use an array")
        first, last = dict(zip(names0, parts0, strict=True)), dict(zip(names1, parts1, strict=True))
        old = dict(zip(spec.names, spec.parts, strict=True)) if spec.how == "content" else {}
        table = {}
        for n in {**first, **last}:
            a, b = first.get(n), last.get(n)
            table[n] = widen(s, old.get(n, KEPT if a is b else first_guess(s, a)), a, b)
        if all(p == KEPT for p in table.values()):
            return KEPT
        return Spec("content", type(obj), tuple(table.values()), tuple(table))

    # ---- a call of itself

    def again(self, cells: dict[str, Cell], bound: dict[str, Value], op: Op | None) -> Value:
        """The body calls the function: it runs anew, with these arguments."""
        s = self.s
        if (s.closed, s.differentiated) != self.around:
            s.refuse(f"{self.name} calls itself in an array operation or a derivative", "call it outside")
        if (s.handlers or s.finals) and not self.plan.handled:
            self.plan.handled = True
            raise Deeper(self)
        if any(cells[k] is not v for k, v in self.cells.items()):
            s.refuse(f"{self.name} calls a function like itself, made anew", "make it outside, once")
        frame = s.frames[-1]
        if op is not None:
            live = frame.live.after.get(id(op), frozenset())
            frame.env = {v: x for v, x in frame.env.items() if v in live}
        self.make_lazies(bound)
        self.learn_arguments(bound)
        moves = Moves()
        for name, c in self.carried.items():
            c.move(shell(bound[name]) if c.spec.kind is Window else bound[name], moves)
        self.share(moves)
        held = Moves()
        self.flush_objects(held)
        self.share(held)
        moves = Moves([*moves.scalars, *held.scalars], [*moves.arrays, *held.arrays])
        given = {v.array for c in self.carried.values() for v in views(c)}
        s.emit(Again(self.carry(moves), given - {view.array for view, _ in moves.arrays}))
        if self.result is None:
            returns = self.frame.returns
            if returns is not None and returns.exits and returns.exits[0].value is not None:
                self.learn_result(returns.exits[0].value)
            s.die()
            return Static(None)
        self.meet()
        if self.errors is not None:
            self.errors.raise_again()
            if not s.alive:
                return Static(None)
        result = self.copied(self.result.head, "value")
        assert result is not None
        return result

    def make_lazies(self, bound: dict[str, Value]) -> None:
        """What was made lazily by this run and may read what another run changes is computed now."""
        s = self.s
        for name, value in bound.items():
            if isinstance(value, Lazy):
                bound[name] = s.made(value)
        depth = s.open_loops.index(self.open)
        for lazy in sorted((v for v in s.live_lazies if v.made is None and v.reads), key=lambda v: -v.serial):
            home = s.live_lazies.homes.get(lazy)
            if home is None or home[1] <= depth:
                continue
            if 0 < lazy.consumers >= lazy.uses:
                storage.give_up(s, lazy)
            else:
                storage.make(s, lazy)

    def learn_arguments(self, bound: dict[str, Value]) -> None:
        s, changed = self.s, False
        for name, value in bound.items():
            spec = self.plan.params[name]
            wide = join(s, spec, self.entries[name], value)
            if wide.how == "conflict":
                s.refuse(
                    f"the parameter {name} of {self.name} gets values of several kinds",
                    "give it values of one kind",
                )
            if wide != spec:
                self.plan.params[name], changed = wide, True
        if changed:
            raise Deeper(self)

    def carry(self, moves: Moves) -> list[Stmt]:
        """Statements that do assignments at once; what they read is computed here."""
        s = self.s
        scalars = [(var, s.bind(e)) for var, e in moves.scalars]
        targets = {view.array for view, _ in moves.arrays}
        arrays: list[tuple[View, View, tuple[Expr, ...]]] = []
        for view, value in moves.arrays:
            made = s.made(value)
            if made.array.root in targets:
                made = storage.store_copy(s, made)
            # the lengths of one may be those of another, which change first
            arrays.append((view, made, tuple(map(s.bind, made.shape))))
        with s.collect() as late, s.thawed():
            for var, e in scalars:
                s.emit(Assign(var, e))
            for view, made, shape in arrays:
                s.emit(Alloc(view.array, full_shape(view, shape)))
                storage.fill(s, view, made)
        return list(late)

    def copied(self, value: Value | None, hint: Any) -> Value | None:
        """A value in variables that only this run has."""
        s = self.s
        hint = hint if isinstance(hint, str) else "item"
        if isinstance(value, Number):
            return Number(self.own(value.expr, hint), value.kind)
        if isinstance(value, ComplexNumber):
            return ComplexNumber(self.own(value.real, hint), self.own(value.imag, hint), value.kind)
        if isinstance(value, Maybe):
            inner = self.copied(value.value, hint)
            assert inner is not None
            return Maybe(inner, self.own(value.bound, f"{hint}_bound"), value.otherwise)
        if isinstance(value, View) and any(value.array is v.array for c in self.common() for v in views(c)):
            shape = tuple(self.own(n, "n") for n in value.shape)
            made = storage.fresh(s, shape, value.dtype, hint)
            storage.fill(s, made, value)
            if self.plan.frozen or self.only_read:
                s.frozen[made.array] = OTHER
            return made
        if isinstance(value, Sequence) and not is_object(value):
            return Sequence([self.part(v, hint) for v in value.items], value.kind)
        if is_object(value) and self.s.heap.age(value) > self.born:
            return self.new_object(value, hint)
        return value

    def new_object(self, value: Any, hint: str) -> Value:
        s = self.s
        if isinstance(value, Sequence):
            return s.heap.born(Sequence([self.part(v, hint) for v in value.items], list))  # type: ignore[no-any-return]
        if isinstance(value, Mapping):
            table = {k: self.part(v, str(k)) for k, v in value.items.items()}
            return s.heap.born(Mapping(table, value.kind))  # type: ignore[no-any-return]
        table = {k: self.part(v, k) for k, v in value.fields.items()}
        return s.heap.born(Instance(value.cls, table))  # type: ignore[no-any-return]

    def part(self, value: Value, hint: str) -> Value:
        made = self.copied(value, hint)
        assert made is not None
        return made

    def own(self, e: Expr, hint: str) -> Expr:
        if isinstance(e, Const):
            return e
        var = self.s.scalar(e.type, hint)
        self.s.emit(Assign(var, e))
        self.s.merged[var] = [e]
        return Ref(var)

    def common(self) -> list[Carried]:
        """Places that all runs share: the result, and what objects hold that are changed."""
        found = [c for _, parts in self.held.values() for c in parts.values()]
        found += [] if self.errors is None else self.errors.places()
        return found if self.result is None else [*found, self.result]

    # ---- the loop

    def finish(self) -> Value:
        """Emit the recursion; its value."""
        s = self.s
        shared: set[Any] = {t.flag for t in s.targets}
        own: list[Any] = []
        for c in self.carried.values():
            own += [*c.variables(), *(v.array for v in views(c))]
        for c in self.common():
            shared |= {*c.variables(), *(v.array for v in views(c))}
        if self.errors is not None:
            shared.add(self.errors.number)
        for stmt in self.entry:
            s.block.append(stmt)
        failure = s.failure(Replay, "RecursionError")
        s.block.extend(frames.loop(self.body, shared, own, s.depth_limit, failure, self.line))
        for obj, parts in self.held.values():
            s.heap.write(obj, rebuilt(obj, {n: c.head for n, c in parts.items()}))
        assert self.result is not None
        if self.errors is not None:
            s.frames.append(self.frame)
            self.errors.raise_again()
            s.frames.pop()
        head = self.result.head
        return Static(None) if head is None else head


def share(s: Any, carried: Carried) -> None:
    for view, original, _ in carried.copies():
        s.share(view, [original], names=1)
