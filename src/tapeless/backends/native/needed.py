"""Which values of the program the reverse sweep needs, and how it gets them back.

A scalar that is at home in the body of a loop is *recomputed* there if what it came from is unchanged, or
its last value is *kept*, once an iteration; an array that is at home in one is kept likewise.  Besides,
whatever is about to be overwritten while it may still be needed is *saved* first (the "to be recorded"
analysis).  An update `n = n + k` of an integer is undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.nest import (
    BOOL,
    FLOATS,
    FUNCTIONS,
    I64,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
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
    children,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.overwritten import unneeded
from tapeless.backends.native.readback import ReadBack
from tapeless.backends.native.remade import Remaking
from tapeless.backends.native.scopes import Block, Scopes, reads, writes, written

#: The constants in an index, None where something else stands.
Part = tuple[int | None, ...]
#: Of an array of more parts than this all is saved.
PARTS = 8


def names(e: Expr) -> Iterator[Name]:
    """The scalars and arrays whose values `e` reads (a length is no value)."""
    for leaf in leaves(e):
        if isinstance(leaf, Ref):
            yield leaf.var
        elif isinstance(leaf, Load):
            yield leaf.array.root


#: What takes longer than to store a number and load it again.
COSTLY = {*FUNCTIONS, "pow", "atan2", "hypot"} - {"sqrt", "fabs", "floor", "ceil", "trunc", "rint"}


def costly(e: Expr) -> bool:
    """Whether to keep the value of an expression rather than to compute it again."""
    return isinstance(e, Apply) and (e.op in COSTLY or any(map(costly, e.args)))


class Needed:
    """The analysis: run to a fixed point, since restoring something may need something else."""

    def __init__(
        self,
        scopes: Scopes,
        adjoints: dict[int, list[Stmt]],
        trips: dict[int, Scalar],
        given: Iterable[Name],
        active: Iterable[Name],
        several: Mapping[Array, tuple[Expr, ...]],
    ) -> None:
        self.scopes, self.adjoints, self.trips, self.several = scopes, adjoints, trips, several
        self.given = set(given)
        self.program: set[Name] = set(scopes.home) | self.given
        #: arrays that need storage in the reverse sweep, or cotangents
        self.active = {x for x in active if isinstance(x, Array)}
        self._forget()
        grown = {s.array for s in walk(scopes.top.body) if isinstance(s, Grow)}
        #: arrays of which nobody knows later how long they were
        self.growing = grown.difference(several)
        #: stores over elements that nothing before them needs
        self.free: set[int] = set()
        self.recomputable = self._candidates()
        self.back = ReadBack(self)
        self._wants: dict[int, set[Name]] = {}
        self._inside: dict[int, set[Name]] = {}  # what loops change, by their ids
        for key, code in adjoints.items():
            self._wants[key] = {x for s in walk(code) for x in reads(s) if x in self.program}
        #: stores whose adjoint reads the array at the stored element only: its old value, which they save
        self.alone = {id(s) for s in walk(scopes.top.body) if isinstance(s, Store) and self._alone(s)}
        self.remaking = Remaking(self)
        self.solve()
        self._keep_conditions()
        self._remake()
        self.free = self.unneeded(self._over())
        if self.free:
            self.restart()
        self.back.choose()

    def restart(self) -> None:
        self._forget()
        self.solve()

    def unneeded(self, stores: set[int]) -> set[int]:
        """Those of some stores (by id) over elements that nothing before them needs."""
        body, adjoints = self.scopes.top.body, self._read_again()
        return unneeded(body, stores, adjoints, self._again(), self.several, self.back.reads)

    def _forget(self) -> None:
        self.saved: set[tuple[int, Name]] = set()
        self.kept: set[Name] = set()
        self.undone: set[int] = set()
        self.swapped: set[int] = set()
        self.used: set[Name] = set()
        #: what scalars are wanted for: others that are computed again, or anything else (None)
        self.wanted: dict[Name, set[Scalar | None]] = {}
        self.extra: dict[int, set[Name]] = {}

    def _keep_conditions(self) -> None:
        """Keeps a condition instead of a number that is kept beside it for it alone: a byte for eight."""
        home, found = self.scopes.home, list[Scalar]()
        for x, s in self.recomputable.items():
            if x.type == BOOL and x in self.used:
                numbers = [y for y in names(s.value) if isinstance(y, Scalar) and y.type != BOOL]
                if any(y in self.kept and home[y] is home[x] and self.wanted[y] == {x} for y in numbers):
                    found.append(x)
        for x in found:
            del self.recomputable[x]
        if found:
            self._forget()
            self.solve()

    def _remake(self) -> None:
        """Makes cheap arrays again that would be kept, if nothing else is kept for that."""
        self.remaking = Remaking(self)
        while self.remaking.choose():
            self._forget()
            self.solve()
            if self.remaking.bar():
                return
        if self.remaking.barred:
            self._forget()
            self.solve()

    def _read_again(self) -> dict[int, list[Stmt]]:
        """The adjoints, and what is run again besides."""
        found = dict(self.adjoints)
        for key in self.remaking.before:
            for s in walk(self.remaking.makers(key)):
                found[id(s)] = [*self.adjoints.get(id(s), ()), *(() if children(s) else (s,))]
        return found

    def wants(self, s: Stmt) -> set[Name]:
        """What the reversal of a statement by itself reads, reads back, and what is made again before it."""
        made = {x for r in self.remaking.before.get(id(s), ()) for x in r.inputs}
        back = {x for r in self.back.reads.get(id(s), ()) for x in reads(r)}
        return self._wants.get(id(s), set()) | self.extra.get(id(s), set()) | made | back

    def _over(self) -> set[int]:
        """The stores into arrays that are saved somewhere."""
        arrays = {x for _, x in self.saved}
        return {id(s) for s in walk(self.scopes.top.body) if isinstance(s, Store) and s.array.root in arrays}

    def _again(self) -> dict[Scalar, Assign]:
        """The scalars that may be computed again: more than now, if more conditions or sizes are needed."""
        integers = [s for s in walk(self.scopes.top.body) if isinstance(s, Assign) and undoable(s)]
        used = self.used.union(x for s in integers for x in names(s.value))
        todo = [x for x in self.recomputable if x in used or x.type not in FLOATS]
        found: dict[Scalar, Assign] = {}
        while todo:
            x = todo.pop()
            if x not in found:
                found[x] = self.recomputable[x]
                todo += [y for y in names(found[x].value) if isinstance(y, Scalar) and y in self.recomputable]
        return found

    def _alone(self, s: Store) -> bool:
        code = self.adjoints.get(id(s), [])
        loads = [x for y in walk(code) for e in expressions(y) for x in leaves(e) if isinstance(x, Load)]
        own = [x for x in loads if x.array.root is s.array.root]
        return bool(own) and all(x.array is s.array and x.index == s.index for x in own)

    def solve(self) -> None:
        while True:
            before = self._size()
            self._flow(self.scopes.top, set())
            if self._size() == before:
                return

    def _size(self) -> tuple[int, ...]:
        sets = (self.saved, self.kept, self.undone, self.swapped, self.used)
        return (*[len(found) for found in sets], *[len(xs) for xs in self.extra.values()])

    # ---- recomputation

    def _candidates(self) -> dict[Scalar, Assign]:
        """Scalars that can be computed again at the end of the block where they live."""
        found: dict[Scalar, Assign] = {}
        for block in self.scopes.blocks.values():
            if not block.loops:
                continue
            changed: set[Name] = set()
            for s in reversed(block.body):
                if isinstance(s, Assign) and self.scopes.home.get(s.var) is block:
                    alone = len(self.scopes.definitions[s.var]) == 1
                    sources = set(names(s.value)) | self._measured(s.value)
                    later = changed | self.growing if self._measured(s.value) else changed
                    if alone and s.var not in sources and not sources & later and not costly(s.value):
                        found[s.var] = s
                changed |= written([s])
        # storage is made again before anything is read from it, so its shape cannot depend on what is
        loaded = {x for x, s in found.items() if any(isinstance(leaf, Load) for leaf in leaves(s.value))}
        self.late = loaded = self.following(loaded, found)
        for s in walk(self.scopes.top.body):
            if isinstance(s, (Alloc, Alias)):
                todo = [x for e in s.shape for x in names(e)]
                while todo:
                    x = todo.pop()
                    if isinstance(x, Scalar) and x in found:
                        if x in loaded:
                            del found[x]
                        else:
                            todo += names(found[x].value)
        return found

    def _measured(self, e: Expr) -> set[Name]:
        """Arrays made here whose length `e` reads."""
        found: set[Name] = {x.array.root for x in leaves(e) if isinstance(x, Dim)}
        return found - self.given

    def following(self, first: set[Scalar], found: Mapping[Scalar, Assign] | None = None) -> set[Scalar]:
        """Scalars, and those that are computed again from them."""
        again = self.recomputable if found is None else found
        first, grown = set(first), True
        while grown:
            more = {x for x, s in again.items() if x not in first and first & set(names(s.value))}
            first |= more
            grown = bool(more)
        return first

    def again(self, block: Block) -> list[Assign]:
        """What is computed again, or read back, where the reversal of a block begins."""
        found = [s.var for s in block.body if isinstance(s, Assign) and s.var in self.used]
        mine = {*map(id, block.body)} | {id(self.recomputable[x]) for x in self.back.at_end(block)}
        made = [self.recomputable[x] for x in found if x in self.recomputable]
        return [s for s in made if id(s) in mine]

    # ---- the flow of what may be needed

    def has_reverse(self, body: list[Stmt]) -> bool:
        """Whether anything in a body has to be done in the reverse sweep."""
        for s in walk(body):
            if (
                self.adjoints.get(id(s))
                or id(s) in self.undone
                or id(s) in self.swapped
                or id(s) in self.stores
            ):
                return True
        return False

    @property
    def stores(self) -> set[int]:
        return {key for key, _ in self.saved}

    def want(self, xs: Iterable[Name], live: set[Name], to: Scalar | None = None) -> None:
        """Values that must be there when the reverse sweep passes here, only `to` compute a scalar again."""
        for x in xs:
            if x not in self.program or x in self.scopes.counters:
                continue
            self.used.add(x)
            self.wanted.setdefault(x, set()).add(to)
            again = self.recomputable.get(x) if isinstance(x, Scalar) else None
            if again is None:
                live.add(x)

    def need(self, s: Stmt, xs: Iterable[Name]) -> None:
        """Values that restoring or laying out needs besides, before `s`."""
        self.extra.setdefault(id(s), set()).update(xs)

    def _flow(self, block: Block, live: set[Name]) -> set[Name]:
        residents = set(self.scopes.residents[id(block.body)])
        live -= residents
        for s in block.body:
            self._made_again(id(s), live)
            live = self._step(s, live)
        self._made_again(id(block.body), live)
        for held in self.back.at_end(block):
            if held in self.used:
                self.want(names(self.recomputable[held].value), live)
        for x in residents:  # they are given storage again of the size that they have now
            if isinstance(x, Array) and x in self.several and (x in self.active or x in self.used):
                self.want(self.lengths(x), live)
        if block.loops:
            self.kept |= live & residents
            live -= residents
        return live

    def _made_again(self, key: int, live: set[Name]) -> None:
        """Before a statement or the end of a block, arrays that are made again need their inputs instead."""
        for r in reversed(self.remaking.before.get(key, ())):
            if r.array in live:
                live.discard(r.array)
                self.want(r.inputs, live)

    def _overwrite(self, s: Stmt, x: Name, live: set[Name]) -> bool:
        if x in live and id(s) not in self.free:
            self.saved.add((id(s), x))
            self.used.add(x)
            return True
        return False

    def _step(self, s: Stmt, live: set[Name]) -> set[Name]:
        self.want(self.extra.get(id(s), ()), live)
        wants = self._wants.get(id(s), set())
        if isinstance(s, Assign):
            after = {s.var} & wants if s.var not in names(s.value) else set()
            self.want(wants - after, live)
            if s.var in self.recomputable:
                if s.var in self.used and self.recomputable[s.var] is s:
                    self.want(names(s.value), live, s.var)
            elif s.var in live:
                if undoable(s):
                    self.undone.add(id(s))
                    self.want(set(names(s.value)) - {s.var}, live)
                else:
                    self._overwrite(s, s.var, live)
                    live.discard(s.var)
            self.want(after, live)
        elif isinstance(s, Store):
            alone = {s.array.root} if id(s) in self.alone else set()
            self.want(wants - alone, live)
            if self._overwrite(s, s.array.root, live | alone):
                self.want((x for i in s.index for x in names(i)), live)
        elif isinstance(s, Intrinsic):
            # an adjoint may read what the intrinsic gave: it runs before the old content is put back
            outs = {root(x) for x in s.outs}
            self.want(wants - outs, live)
            for x in outs:
                if self._overwrite(s, x, live):
                    live.discard(x)
                    self.want(self.lengths(x), live)
            self.want(wants & outs, live)
        elif isinstance(s, Swap):
            a, b = s.a.root, s.b.root
            if a in live or b in live:
                self.swapped.add(id(s))
                both = {y for x, y in ((a, b), (b, a)) if x in live}
                live = (live - {a, b}) | both
                self.used |= {a, b}
        elif isinstance(s, (Alloc, Alias)):
            a = s.array
            if a.root in self.active or a.root in self.used:
                shape = self.several.get(a, s.shape) if isinstance(s, Alloc) else s.shape
                self.want((x for e in shape for x in names(e)), live)
            if isinstance(s, Alloc) and a in self.several and self._overwrite(s, a, live):
                live.discard(a)
        elif isinstance(s, Grow):
            if s.array in self.several and (s.array in self.active or s.array in self.used):
                self.want((x for e in self.several[s.array] for x in names(e)), live)
        elif isinstance(s, For):
            if self.has_reverse(s.body):
                self.want((x for e in (s.start, s.stop) for x in names(e)), live)
            live = self._loop(s, self._snapshots(s, live))
        elif isinstance(s, While):
            live = self._loop(s, self._snapshots(s, live))
            if self.has_reverse(s.body) or self.has_reverse(s.test):
                self.want([self.trips[id(s)]], live)
        elif isinstance(s, If):
            if self.has_reverse(s.then) or self.has_reverse(s.orelse):
                self.want(names(s.condition), live)
            then = self._flow(self.scopes.blocks[id(s.then)], set(live))
            live = then | self._flow(self.scopes.blocks[id(s.orelse)], set(live))
        return live

    def _snapshots(self, s: For | While, live: set[Name]) -> set[Name]:
        """Saves arrays whole before a loop whose every pass sweeps over them, if no pass is needed."""
        for x in list(live):
            if not isinstance(x, Array) or x in self.growing:
                continue
            if self._swept(s, x) and self._overwrite(s, x, live):
                self.want(self.lengths(x), live)
                live.discard(x)
        return live

    def _swept(self, s: For | While, a: Array) -> bool:
        """Whether each pass may set every element of an array, and its reversal needs none of them."""
        if id(s) not in self._inside:
            self._inside[id(s)] = written([s])
        if a not in self._inside[id(s)]:
            return False
        for x in walk([s]):
            wants = self.wants(x).union(*(self._ends(body) for body in children(x)))
            if isinstance(x, Assign) and self.recomputable.get(x.var) is x and x.var in self.used:
                wants = wants | set(names(x.value))
            if a in wants or (isinstance(x, (Alloc, Swap, Grow)) and a in writes(x)):
                return False
        over = [x for x in walk([s]) if a in writes(x)]
        if all(id(x) in self.free for x in over):
            return False
        inner = {x.var for body in children(s) for x in walk(body) if isinstance(x, For)}
        for x in over:
            if isinstance(x, Intrinsic):
                return True
            if isinstance(x, Store) and x.index:
                if all(inner & set(names(i)) for i in x.index):
                    return True
        return self._swept_in_part(s, a, inner)

    def _ends(self, body: list[Stmt]) -> set[Name]:
        return {x for r in self.remaking.before.get(id(body), ()) for x in r.inputs}

    def _swept_in_part(self, s: For | While, a: Array, inner: set[Scalar]) -> bool:
        """Whether all stores go to columns, as `v[i, 0]`, and each pass may set one of those."""
        parts = regions(s, a)
        turns = {*inner, s.var} if isinstance(s, For) else inner
        if any(all(k is None for k in part) or all(k is not None for k in part) for part in parts):
            return False
        stores = [x for x in walk([s]) if isinstance(x, Store) and x.array is a]
        moving = [[set(names(i)) for i in x.index if not isinstance(i, Const)] for x in stores]
        once = all(turns & xs for store in moving for xs in store)
        return once and any(all(inner & xs for xs in store) for store in moving)

    def _loop(self, s: For | While, live: set[Name]) -> set[Name]:
        """The state after the last pass, from one that holds before every pass."""
        while True:
            after = set(live)
            if isinstance(s, While):
                after = self._flow(self.scopes.blocks[id(s.test)], after)
            again = live | self._flow(self.scopes.blocks[id(s.body)], set(after))
            if again == live:
                return after
            live = again

    def lengths(self, x: Name) -> Iterable[Name]:
        """What the shape of an array is made from."""
        if isinstance(x, Array):
            shapes = [s.shape for s in self.scopes.allocs.get(x, ())]
            for shape in [self.several[x]] if x in self.several else shapes:
                for e in shape:
                    yield from names(e)


def regions(s: Stmt, a: Array) -> list[Part]:
    """The parts of an array that a statement stores to: an index with constants in it, or everything."""
    whole: Part = (None,) * a.ndim
    found: dict[Part, None] = {}
    for x in walk([s]):
        if a in writes(x):
            if not isinstance(x, Store) or x.array is not a:
                return [whole]
            found[tuple(int(i.value) if isinstance(i, Const) else None for i in x.index)] = None
    return [whole] if whole in found or len(found) > PARTS else list(found)


def undoable(s: Assign) -> bool:
    """`n = n + k` for integers: the old n can be had from the new one."""
    e = s.value
    if s.var.type != I64 or not isinstance(e, Apply) or e.op not in ("add", "sub"):
        return False
    return e.args[0] == Ref(s.var) and s.var not in names(e.args[1])
