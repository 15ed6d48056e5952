"""Reverse mode: a nest to the nest that also computes gradients.

The new nest runs the program once, saving what will be overwritten and is needed again, and then runs
backwards: every loop turned round, every statement replaced by what it does to the cotangents.  What is
active (`activity`), what is needed and how it comes back (`needed`), and where it waits meanwhile (`saving`)
are found out first; `adjoint` has the adjoint of a single statement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tapeless.backends.native.activity import Activity, Name, root
from tapeless.backends.native.adjoint import Adjoint, fill, zero
from tapeless.backends.native.checkpoints import LIMIT, Pieces, carried
from tapeless.backends.native.copied import copied
from tapeless.backends.native.equal import partners, unified, without_calls
from tapeless.backends.native.gather import Gathering
from tapeless.backends.native.idle import Idle
from tapeless.backends.native.kept import Kept
from tapeless.backends.native.needed import Needed, names
from tapeless.backends.native.nest import (
    FLOATS,
    I64,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    If,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    While,
    const,
    walk,
)
from tapeless.backends.native.normalise import Normaliser
from tapeless.backends.native.overwritten import first
from tapeless.backends.native.partials import Arithmetic
from tapeless.backends.native.plan import Plan
from tapeless.backends.native.renaming import Companions, Renaming, clone
from tapeless.backends.native.reserve import reserve
from tapeless.backends.native.saving import Frame, Site, Tape, trip_count
from tapeless.backends.native.scopes import Block, Scopes, look
from tapeless.backends.native.spelled import spelled_out
from tapeless.backends.native.strips import Strips, recurrent, scalar
from tapeless.backends.native.sums import sums
from tapeless.backends.native.sweeps import Sweep
from tapeless.backends.native.tidy import Tidy
from tapeless.errors import BackendError


def reverse(
    fn: Function,
    wrt: Sequence[int],
    *,
    seeds: Sequence[int] = (0,),
    seeded: bool = False,
    strong_zeros: bool = False,
) -> Function:
    """The nest that runs `fn` and returns its results, then the gradient for each parameter in `wrt`.

    The results numbered in `seeds` are differentiated: the one scalar result with cotangent 1, or with
    `seeded` all of them with cotangents that are further parameters.  Gradients are for the values that
    parameters had on entry, in scalars and arrays of their own.

    >>> from tapeless.backends.native.nest import F64, Assign, Function, Ref, Scalar
    >>> from tapeless.backends.native.show import python
    >>> x, y = Scalar("x", F64), Scalar("y", F64)
    >>> gradient = python(reverse(Function("square", [x], [Assign(y, Ref(x) * Ref(x))], [y]), [0]))
    >>> [float(v) for v in gradient(3.0)]
    [9.0, 6.0]
    """
    return _Reverse(fn, wrt, seeds, seeded, Arithmetic(strong_zeros)).function()


@dataclass
class Halves:
    """A reversal in two parts: what runs the program, and what goes back with the cotangents `seeds`."""

    forward: list[Stmt]
    backward: list[Stmt]
    seeds: list[Name]
    gradients: list[Name]


def halves(fn: Function, wrt: Sequence[int], seeds: Sequence[int], *, strong_zeros: bool = False) -> Halves:
    """`reverse` of `fn` with cotangents for the results `seeds`, as two bodies: the second may come later."""
    return _Reverse(fn, wrt, seeds, True, Arithmetic(strong_zeros)).halves()


class _Reverse:
    """One reversal."""

    def __init__(
        self, fn: Function, wrt: Sequence[int], seeds: Sequence[int], seeded: bool, arithmetic: Arithmetic
    ) -> None:
        self.fn = fn = unified(copied(sums(spelled_out(fn, arithmetic))))
        self.inputs = [fn.params[k] for k in wrt]
        self.outputs = [fn.results[k] for k in seeds]
        self.seeded = seeded
        for x in (*self.inputs, *self.outputs):
            if (x.element if isinstance(x, Array) else x.type) not in FLOATS:
                raise BackendError(f"{x} is no float: it has no derivative")
        ready = Normaliser(fn, Activity(fn.body, self.inputs, self.outputs))
        self.body, self.trips = ready.body, ready.trips
        #: arrays that are given storage elsewhere than where their life begins, and their lengths at any time
        self.several = {a: ready.shapes[a] for a in ready.several}
        self.varying = set(ready.dims)
        self.activity = Activity(self.body, self.inputs, self.outputs)
        self.scopes = Scopes(self.body, [*fn.params, *fn.results])
        self.bars = Companions("_bar")
        adjoint = Adjoint(self.activity, arithmetic, self.bars, self.first_stores())
        self.adjoints = {id(s): code for s in walk(self.body) if (code := adjoint.of(s))}
        for s, t in partners(self.body):
            both = [*self.adjoints.get(id(t), ()), *self.adjoints.pop(id(s), ())]
            self.adjoints[id(t)] = without_calls(s, t, both)
        self.needed = Needed(
            self.scopes, self.adjoints, self.trips, fn.params, self.activity.names, self.several
        )
        self.given = {x for x in (*fn.params, *map(root, fn.results))}
        plan = Plan(self.scopes, self.needed, fn.params, self.several, fn.lengths)
        self.sites, self.layout, self.shape = plan.sites, plan.layout, plan.shape
        self.kept = Kept(plan, self.several)
        self.tape = Tape()
        self.restored = self.find_restored()
        #: names that the reverse sweep has variables of its own for
        self.names: dict[Name, Name] = {}
        #: loops that run again piece by piece, by id; not where the halves of a reversal stand apart
        self.pieces: dict[int, Pieces] = {}
        self.strips: dict[int, Strips] = {}
        self.together = False

    def first_stores(self) -> set[int]:
        """The stores into what is not touched before in the block where an array begins its life."""
        found: set[int] = set()
        apart = {root(x) for x in (*self.fn.params, *self.fn.results)} | set(self.several)
        apart |= {a.root for a in self.scopes.aliases} | {
            s.array for s in walk(self.body) if isinstance(s, Grow)
        }
        for block in self.scopes.blocks.values():
            here = {x for x in self.scopes.residents[id(block.body)] if x in self.activity} - apart
            stores = [s for s in walk(block.body) if isinstance(s, Store) and s.array in here and not s.add]
            if stores:
                found |= first(block.body, {id(s) for s in stores}, apart)
        return found

    # ---- the whole

    def function(self) -> Function:
        self.together = True
        fn, halves = self.fn, self.halves()
        params, results = [*fn.params, *halves.seeds], [*fn.results, *halves.gradients]
        body = [*halves.forward, *halves.backward]
        return Function(f"{fn.name}_reverse", params, body, results, fn.failures, fn.filename, fn.parallel)

    def halves(self) -> Halves:
        fn = self.fn
        forward = self.kept.body(self.forward(self.scopes.top, None))
        copies = self.copy(self.scopes.top)
        forward = [*self.blanks(copies), *forward]
        start = self.revive(self.scopes.top, None)
        backward = self.kept.body([x for s in reversed(self.body) for x in self.reversed(s, None, True)])
        renaming = Renaming(self.names)
        given: list[Name] = []
        seeds: list[Stmt] = []
        for x in self.outputs:
            if not self.seeded:
                assert isinstance(x, Scalar) and len(self.outputs) == 1, "one scalar result is seeded with 1"
                if x in self.activity:
                    seeds.append(Assign(self.bars.scalar(x), const(1, x.type)))
                continue
            given.append(self.seed(x, seeds))
        gradients, last = self.gradients()
        start, backward = renaming.body(start), renaming.body(backward)
        results = [*fn.results, *gradients]
        before = [*self.tape.declare(), *forward, *copies]
        backward = [*start, *seeds, *backward, *last]
        backward = Tidy([*before, *backward], results).scalars(backward)
        whole = Function(fn.name, [*fn.params, *given], [*before, *backward], results)
        gathering = Gathering(whole)
        backward = gathering.body(backward)
        backward = Sweep([*before, *backward], results, gathering.made).body(backward)
        backward = Tidy([*before, *backward], results).body(backward)
        backward = Idle([*before, *backward], results).body(backward)
        return Halves(before, backward, given, gradients)

    def seed(self, x: Name, out: list[Stmt]) -> Name:
        """The parameter with the cotangent of a result."""
        if isinstance(x, Scalar):
            number = Scalar(f"{x.name}_ct", x.type)
            if x in self.activity:
                bar = self.bars.scalar(x)
                out.append(Assign(bar, Ref(bar) + Ref(number)))
            return number
        ct = Array(f"{x.name}_ct", x.dtype, x.ndim, contiguous=x.contiguous)
        if x in self.activity:
            shape = tuple(Dim(ct, k) for k in range(ct.ndim))
            out += fill(self.bars.array(x), shape, lambda index: Load(ct, index), add=True)
        return ct

    def gradients(self) -> tuple[list[Name], list[Stmt]]:
        """Where the gradients are at the end, and code for those that are zero."""
        found: list[Name] = []
        out: list[Stmt] = []
        for x in self.inputs:
            if isinstance(x, Scalar):
                bar = self.bars.scalar(x)
                if x not in self.activity:
                    out.append(Assign(bar, const(0, x.type)))
                found.append(bar)
            else:
                made = self.bars.array(x)
                if x not in self.activity:
                    shape = tuple(Dim(x, k) for k in range(x.ndim))
                    out += [Alloc(made, shape), *zero(made, shape)]
                found.append(made)
        return found, out

    # ---- the forward sweep

    def forward(self, block: Block, frame: Frame | None) -> list[Stmt]:
        out: list[Stmt] = []
        for s in block.body:
            for site in self.sites.at.get(id(s), ()):
                value: Expr | None = None
                if site.shape is None:
                    value = Load(s.array, s.index) if isinstance(s, Store) else self.present(site)
                out += self.tape.put(site, frame, not block.loops, value)
            if isinstance(s, For):
                out += self.forward_loop(s, frame, not block.loops)
            elif isinstance(s, While):
                test, body = self.inner(s.test), self.inner(s.body)
                out.append(
                    While(self.forward(test, None), s.condition, self.forward(body, None), line=s.line)
                )
            elif isinstance(s, If):
                then, orelse = self.inner(s.then), self.inner(s.orelse)
                then_code, else_code = self.forward(then, frame), self.forward(orelse, frame)
                out.append(If(s.condition, then_code, else_code, line=s.line))
            else:
                out += clone([s])
        for site in self.sites.end.get(id(block.body), ()):
            out += self.tape.put(site, frame, not block.loops, self.present(site))
        return out

    @staticmethod
    def present(site: Site) -> Expr | None:
        return Ref(site.what) if isinstance(site.what, Scalar) else None

    def inner(self, body: list[Stmt]) -> Block:
        return self.scopes.blocks[id(body)]

    def forward_loop(self, s: For, frame: Frame | None, once: bool) -> list[Stmt]:
        saves = self.sites.inside([s])
        out: list[Stmt] = []
        mine = frame.enter(s, out) if frame is not None else None
        outermost, sized = False, list[Stmt]()
        if saves and frame is None:
            mine = self.layout.frame(s, out)
            outermost, sized = mine is not None, out.copy()
            if mine is None:
                out = []
            else:
                out += self.tape.claim(mine, once)
        body = self.forward(self.inner(s.body), mine)
        if saves and mine is None and (handed := self.handed_on(s, body)) is not None:
            self.pieces[id(s)] = Pieces(s, handed, body, self.tape.stacks.values())
            return [*reserve(s, self.layout, self.tape, LIMIT), *self.pieces[id(s)].forward()]
        if outermost and once and mine is not None and scalar(s):
            handed = self.handed_on(s, body) or []
            if recurrent(s, handed):
                strips = self.strips[id(s)] = Strips(s, handed, mine)
                sized += [*strips.before, *self.tape.claim(mine, once)]
                return [*sized, *strips.forward(self.forward(self.inner(s.body), mine))]
        out += self.kept.room(s)
        out += reserve(s, self.layout, self.tape) if saves and mine is None and once else []
        free = s.independent and (not saves or mine is not None)
        out.append(For(s.var, s.start, s.stop, body, s.step, free, line=s.line))
        if outermost and mine is not None:
            out += self.tape.pass_by(mine, once)
        return out

    def handed_on(self, s: For, saving: list[Stmt]) -> list[Scalar] | None:
        """What iterations hand on, of a loop that runs once and may run again from that."""
        top = self.scopes.top
        if not self.together or self.scopes.block_of[id(s)] is not top:
            return None
        return carried(s, saving, top.body[next(k for k, x in enumerate(top.body) if x is s) + 1 :])

    # ---- the reverse sweep

    def backward(self, block: Block, frame: Frame | None) -> list[Stmt]:
        out = [*self.revive(block, frame), *self.made_again(id(block.body))]
        for s in reversed(block.body):
            out += [*self.reversed(s, frame, not block.loops), *self.made_again(id(s))]
        return out

    def made_again(self, key: int) -> list[Stmt]:
        """What makes arrays again, before a statement or at the end of a body (by its id)."""
        makers = self.needed.remaking.makers(key)
        own = {s.var for s in walk(makers) if isinstance(s, (Assign, For))}
        return Renaming({x: Scalar(x.name, x.type) for x in own}).body(makers)

    def reversed(self, s: Stmt, frame: Frame | None, once: bool) -> list[Stmt]:
        adjoint = clone(self.adjoints.get(id(s), []))
        if isinstance(s, For):
            return [*self.backward_loop(s, frame, once), *self.restore(s, frame, once)]
        if isinstance(s, If):
            then, orelse = (self.backward(self.inner(b), frame) for b in (s.then, s.orelse))
            return [If(s.condition, then, orelse, line=s.line)] if then or orelse else []
        if isinstance(s, While):
            test, body = (self.backward(self.inner(b), None) for b in (s.test, s.body))
            again = clone(test)
            saved = self.restore(s, frame, once)
            if not test and not body:
                return saved
            turn = For(Scalar("turn", I64), ZERO, Ref(self.trips[id(s)]), [*body, *again], line=s.line)
            return [*test, turn, *saved]
        restore = self.restore(s, frame, once)
        if isinstance(s, Swap):
            return self.swap_back(s)
        if isinstance(s, Alloc):
            return self.unmake(s, restore)
        # what the statement gave is read by the adjoint, unless that is in the place of what it took
        first = isinstance(s, Intrinsic) or (isinstance(s, Assign) and s.var not in names(s.value))
        made = [*adjoint, *restore] if first else [*restore, *adjoint]
        for x in made:
            x.line = s.line
        return made

    def swap_back(self, s: Swap) -> list[Stmt]:
        """Contents go back to where they were, and aliases follow."""
        out: list[Stmt] = []
        pairs = [(s.a, s.b)] if id(s) in self.needed.swapped else []
        if s.a in self.activity:
            pairs.append((self.bars.array(s.a), self.bars.array(s.b)))
        for a, b in pairs:
            out.append(Swap(a, b))
            for alias, made in self.scopes.aliases.items():
                here = self.scopes.block_of[id(s)]
                if alias.root in (s.a, s.b) and any(here.inside(self.scopes.block_of[id(x)]) for x in made):
                    named = alias if a is s.a else self.bars.array(alias)
                    out.append(Alias(named, self.shape(alias)))
        return out

    def unmake(self, s: Alloc, restore: list[Stmt]) -> list[Stmt]:
        """Before an array was given storage anew it may have had other lengths, and content."""
        a, out = s.array, list[Stmt]()
        if a not in self.several:
            return out
        shape = self.several[a]
        if a in self.needed.used and a in self.varying:
            out.append(Alloc(a, shape))
        out += restore
        if a in self.activity:
            bar = self.bars.array(a)
            out += [Alloc(bar, shape)] if a in self.varying else []
            out += zero(bar, shape)
        return out

    def restore(self, s: Stmt, frame: Frame | None, once: bool) -> list[Stmt]:
        """Puts back what `s` has overwritten."""
        if id(s) in self.needed.undone:
            assert isinstance(s, Assign)
            op, by = s.value.op, s.value.args[1]  # type: ignore[attr-defined]
            return [Assign(s.var, Ref(s.var) - by if op == "add" else Ref(s.var) + by)]
        out: list[Stmt] = []
        for site in reversed(self.sites.at.get(id(s), [])):
            out += self.tape.take(site, frame, once, partial(self.put_back, s, site))
        return out

    @staticmethod
    def put_back(s: Stmt, site: Site, value: Expr) -> Stmt:
        if isinstance(s, Store):
            return Store(s.array, s.index, value)
        assert isinstance(site.what, Scalar)
        return Assign(site.what, value)

    def backward_loop(self, s: For, frame: Frame | None, once: bool) -> list[Stmt]:
        saves = self.sites.inside([s])
        out: list[Stmt] = []
        mine = frame.enter(s, out) if frame is not None else None
        if id(s) in self.strips:
            mine = self.strips[id(s)].frame
        elif saves and frame is None:
            mine = self.layout.frame(s, out)
            if mine is not None:
                out += self.tape.go_back(mine, once)
            else:
                out = []
        body = self.backward(self.inner(s.body), mine)
        if not body:
            return []
        if id(s) in self.strips:
            return self.strips[id(s)].backward(body)
        if id(s) in self.pieces:
            return self.pieces[id(s)].backward(body)
        trips = trip_count(s.start, s.stop, s.step)
        if s.step == 1:
            first, last = s.stop - ONE, s.start - ONE
        else:
            first, last = s.start + (trips - 1) * s.step, s.start - (1 if s.step > 0 else -1)
        out.append(For(s.var, first, last, body, -s.step, line=s.line))
        return out

    def revive(self, block: Block, frame: Frame | None) -> list[Stmt]:
        """What a block needs before it is reversed: values kept at its end, storage, cotangents of 0."""
        needed, residents, once = self.needed, self.scopes.residents[id(block.body)], not block.loops
        used = [x for x in residents if x in needed.used]
        ends = self.sites.end.get(id(block.body), [])
        if block.loops:
            for x in used:
                if isinstance(x, (Scalar, Array)):
                    self.rename(x)
        out: list[Stmt] = []
        for site in reversed(ends):
            if isinstance(site.what, Scalar):
                out += self.tape.take(site, frame, once, partial(Assign, site.what))
        again = needed.again(block)
        out += clone([s for s in again if s.var not in needed.late])
        for x in residents:
            if not isinstance(x, Array) or x in self.fn.params:
                continue
            if block.loops and x in needed.used:
                self.check(x, block)
                out.append(Alloc(x, self.shape(x)))
        for site in reversed(ends):
            if isinstance(site.what, Array):
                out += self.tape.take(site, frame, once, partial(Assign, Scalar("never", I64)))
        for x in residents:
            if x in self.activity:
                out += self.fresh_cotangent(x, block)
        out += self.aliases(block)
        out += clone([s for s in again if s.var in needed.late])
        return out

    def fresh_cotangent(self, x: Name, block: Block) -> list[Stmt]:
        if isinstance(x, Scalar):
            return [Assign(self.bars.scalar(x), const(0, x.type))]
        if x not in self.fn.params:
            self.check(x, block)
        bar, shape = self.bars.array(x), self.shape(x)
        return [Alloc(bar, shape), *zero(bar, shape)]

    def check(self, x: Array, block: Block) -> None:
        """Refuses an array that is not given its storage where its life begins."""
        where = [self.scopes.block_of[id(s)] for s in self.scopes.allocs.get(x, ())]
        if where != [block] and x not in self.several:
            raise BackendError(f"{x.name} is given storage in several places")

    def check_alias(self, a: Array) -> None:
        """Refuses an alias that is used where it may not have been declared."""
        declared = [self.scopes.block_of[id(s)] for s in self.scopes.aliases[a]]
        reach = self.scopes.reach.get(a)
        if reach is not None and not any(reach.inside(block) for block in declared):
            raise BackendError(f"{a.name} is declared in several places")

    def aliases(self, block: Block) -> list[Stmt]:
        """Aliases declared in a block name the same memory in its reversal, and that of the cotangents."""
        out: list[Stmt] = []
        for s in block.body:
            if isinstance(s, Alias):
                self.check_alias(s.array)
                if s.array.root in self.needed.used:
                    out.append(Alias(s.array, s.shape))
                if s.array in self.activity:
                    out.append(Alias(self.bars.array(s.array), s.shape))
        return out

    def rename(self, x: Name) -> None:
        """From here on the reverse sweep uses its own copy of a variable."""
        if isinstance(x, Scalar):
            self.names.setdefault(x, Scalar(x.name, x.type))
        else:
            made = self.names.setdefault(x, Array(x.name, x.dtype, x.ndim))
            assert isinstance(made, Array)
            for a in self.scopes.aliases:
                if a.root is x and a is not x:
                    self._rename_alias(a)

    def _rename_alias(self, a: Array) -> Array:
        made = self.names.get(a)
        if made is None:
            assert a.alias is not None
            of = self._rename_alias(a.alias) if a.alias.alias is not None else self.names[a.alias]
            assert isinstance(of, Array)
            made = self.names[a] = Array(a.name, a.dtype, a.ndim, alias=of)
        assert isinstance(made, Array)
        return made

    def copy(self, block: Block) -> list[Stmt]:
        """Variables of the reverse sweep for those that it restores and somebody still wants as they are now.

        This is for blocks that run once: in the body of a loop, `revive` makes new variables anyway.
        """
        out: list[Stmt] = []
        for x in self.scopes.residents[id(block.body)]:
            if x not in self.restored:
                continue
            if isinstance(x, Scalar):
                self.rename(x)
                made = self.names[x]
                assert isinstance(made, Scalar)
                out.append(Assign(made, Ref(x)))
            elif x in self.given:
                self.rename(x)
                copy = self.names[x]
                assert isinstance(copy, Array)
                out += [Alloc(copy, self.shape(x)), *self.elements(copy, x)]
        return out

    def blanks(self, copies: list[Stmt]) -> list[Stmt]:
        """A value for what is copied though only some branch may have given it one."""
        sure = {*self.fn.params, *look(self.body, {})[1]}
        read = [s.value.var for s in copies if isinstance(s, Assign) and isinstance(s.value, Ref)]
        return [Assign(x, const(0, x.type)) for x in read if x not in sure]

    def elements(self, copy: Array, x: Array) -> list[Stmt]:
        return fill(copy, self.shape(x), lambda index: Load(x, index))

    def find_restored(self) -> set[Name]:
        found = {x for _, x in self.needed.saved}
        for s in walk(self.body):
            if id(s) in self.needed.undone and isinstance(s, Assign):
                found.add(s.var)
            elif id(s) in self.needed.swapped and isinstance(s, Swap):
                found |= {s.a.root, s.b.root}
        # their storage is made again
        return found | (self.varying & self.needed.used)
