"""Stacks: where the forward sweep puts values for the reverse sweep.

There is one stack, a growing array, for each type.  A nest of loops whose trip counts are known where it
begins takes its whole share at once, and every value has its place in it, computed from the loops' variables:
such loops neither check nor count, and what one statement saves is contiguous along the innermost loop.
Elsewhere values are pushed and popped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from tapeless.backends.native.activity import Name
from tapeless.backends.native.nest import (
    BOOL,
    F32,
    F64,
    I64,
    ONE,
    ZERO,
    Alloc,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Grow,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    While,
    apply,
    cast,
    children,
    leaves,
    walk,
)
from tapeless.backends.native.normalise import harmless
from tapeless.backends.native.renaming import map_leaves
from tapeless.backends.native.scopes import written

DTYPES = {F64: "float64", F32: "float32", I64: "int64", BOOL: "bool"}
#: What integers are saved as that fit a byte; other kinds of saved values are types.
BYTE = "i8"
KINDS = {**DTYPES, BYTE: "int8"}


@dataclass(eq=False, slots=True)
class Site:
    """A place in the program where something is saved: one value, or (`shape`) elements of an array.

    Those are all, or as many as `shape` says from `first` on.
    """

    what: Name
    shape: tuple[Expr, ...] | None = None
    first: tuple[int, ...] = ()
    byte: bool = False
    """Whether its integers fit a byte."""

    def index(self, i: tuple[Expr, ...]) -> tuple[Expr, ...]:
        """Where the array has the element that is number `i` here."""
        return tuple(n + k for n, k in zip(i, self.first, strict=True)) if self.first else i

    @property
    def type(self) -> str:
        return self.what.type if isinstance(self.what, Scalar) else self.what.element

    @property
    def kind(self) -> str:
        """What it is saved as."""
        return BYTE if self.byte or self.type == BOOL else self.type

    def saved(self, value: Expr) -> Expr:
        return cast(value, I64) if self.kind == BYTE else value

    def restored(self, value: Expr) -> Expr:
        return apply("ne", value, ZERO) if self.type == BOOL else value


@dataclass(eq=False, slots=True)
class Sites:
    """What is saved at each statement (by id), and at the end of each block (by id of its list)."""

    at: dict[int, list[Site]] = field(default_factory=dict)
    end: dict[int, list[Site]] = field(default_factory=dict)

    def inside(self, body: list[Stmt]) -> bool:
        """Whether anything is saved in a body."""
        if self.end.get(id(body)):
            return True
        return any(self.at.get(id(s)) or any(self.inside(b) for b in children(s)) for s in body)


@dataclass(eq=False, slots=True)
class Stack:
    """An array that grows, the number of values in it, and how many it has room for."""

    array: Array
    top: Scalar
    capacity: Scalar


@dataclass(eq=False)
class Frame:
    """The share of one loop in a stack, for each type: first the single values, then what is inside."""

    loop: For
    trips: Expr
    #: site -> its number among the single values
    slots: dict[Site, int]
    #: single values of a type in one iteration
    count: dict[str, int]
    #: type -> size of the inside for one iteration, and of everything for all of them
    inner: dict[str, Expr]
    total: dict[str, Expr]
    #: array sites and loops inside: where their share of an iteration begins
    offset: dict[Site, Expr]
    frames: dict[int, tuple[Frame, dict[str, Expr]]]
    #: where the frame begins, and in which array (set when the loop is entered)
    start: dict[str, Expr] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)

    @property
    def turn(self) -> Expr:
        """The number of the current iteration."""
        i: Expr = Ref(self.loop.var)
        if self.loop.step < 0:
            return apply("floordiv", self.loop.start - i, -self.loop.step)
        return apply("floordiv", i - self.loop.start, self.loop.step)

    def place(self, site: Site) -> Expr:
        """Where the (first) value of a site is in this iteration."""
        kind = site.kind
        if site in self.slots:
            return self.start[kind] + (self.turn + self.slots[site] * self.trips)
        return self._inside(kind) + self.offset[site]

    def _inside(self, kind: str) -> Expr:
        singles = apply("mul", self.trips, self.count.get(kind, 0))
        return self.start[kind] + singles + self.turn * self.inner.get(kind, ZERO)

    def enter(self, loop: For, out: list[Stmt]) -> Frame | None:
        """The frame of a loop inside, with its beginning computed in `out`."""
        if id(loop) not in self.frames:
            return None
        frame, offset = self.frames[id(loop)]
        frame.start = {k: _var(self._inside(k) + offset[k], "at", out) for k in frame.total}
        frame.arrays = self.arrays
        return frame


def _var(e: Expr, name: str, out: list[Stmt]) -> Expr:
    if isinstance(e, (Ref, Const, Dim)):
        return e
    var = Scalar(name, I64)
    out.append(Assign(var, e))
    return Ref(var)


def trip_count(start: Expr, stop: Expr, step: int) -> Expr:
    """How many numbers `range(start, stop, step)` has."""
    span = stop - start if step > 0 else start - stop
    if abs(step) != 1:
        span = apply("floordiv", span + (abs(step) - 1), abs(step))
    return apply("maximum", span, 0)


def volume(shape: Sequence[Expr]) -> Expr:
    total: Expr = ONE
    for n in shape:
        total = total * n
    return total


class Steady:
    """Integers that are known before a loop begins, from what the loop does not change."""

    def __init__(self, definitions: dict[Scalar, list[Stmt]], growing: Collection[Array] = ()) -> None:
        self.definitions, self.growing = definitions, growing

    def of(self, e: Expr, changed: set[Name]) -> Expr | None:
        """`e` in terms of what `changed` leaves out; None if there is no such expression."""
        known = True

        def change(leaf: Expr) -> Expr:
            nonlocal known
            if isinstance(leaf, Ref) and leaf.var in changed:
                made = self.definitions.get(leaf.var, [])
                if len(made) == 1 and isinstance(made[0], Assign) and leaf.var.type == I64:
                    value = made[0].value
                    if Ref(leaf.var) not in leaves(value):
                        return map_leaves(value, change)
                known = False
            elif isinstance(leaf, Load) or (isinstance(leaf, Dim) and leaf.array.root in self.growing):
                known = False
            return leaf

        made = map_leaves(e, change)
        return made if known and harmless(made) else None


class Layout:
    """Finds loops whose frames have a size known before they begin."""

    def __init__(self, sites: Sites, steady: Steady) -> None:
        self.sites, self.steady = sites, steady

    def frame(self, loop: For, out: list[Stmt] | None = None) -> Frame | None:
        """The frame of an outermost loop; its sizes are computed in `out`.  None if they are not known."""
        changed = written(loop.body) | {s.var for s in walk([loop]) if isinstance(s, For)}
        return self.sized(loop, changed, [] if out is None else out)

    def sized(self, loop: For, changed: set[Name], out: list[Stmt]) -> Frame | None:
        """The frame of a loop with sizes in terms of what `changed` leaves out."""
        start, stop = self.steady.of(loop.start, changed), self.steady.of(loop.stop, changed)
        if start is None or stop is None:
            return None
        trips = _var(trip_count(start, stop, loop.step), "n", out)
        frame = Frame(loop, trips, {}, {}, {}, {}, {}, {})
        if not self._body(loop.body, frame, changed, out):
            return None
        for kind in dict.fromkeys([*frame.count, *frame.inner]):
            if kind in frame.inner:
                frame.inner[kind] = _var(frame.inner[kind], "m", out)
            each = frame.inner.get(kind, ZERO) + frame.count.get(kind, 0)
            frame.total[kind] = _var(trips * each, "m", out)
        return frame

    def _body(self, body: list[Stmt], frame: Frame, changed: set[Name], out: list[Stmt]) -> bool:
        found = [site for s in body for site in self.sites.at.get(id(s), ())]
        for site in [*found, *self.sites.end.get(id(body), ())]:
            kind = site.kind
            if site.shape is None:
                frame.slots[site] = frame.count.get(kind, 0)
                frame.count[kind] = frame.slots[site] + 1
                continue
            shape = [self.steady.of(n, changed) for n in site.shape]
            if None in shape:
                return False
            frame.offset[site] = frame.inner.get(kind, ZERO)
            frame.inner[kind] = _var(
                frame.offset[site] + volume([n for n in shape if n is not None]), "m", out
            )
        for s in body:
            if not any(self.sites.inside(b) for b in children(s)):
                continue
            if isinstance(s, While):
                return False
            if isinstance(s, If):
                if not all(self._body(b, frame, changed, out) for b in children(s)):
                    return False
                continue
            assert isinstance(s, For)
            inner = self.sized(s, changed, out)
            if inner is None:
                return False
            begin = {k: frame.inner.get(k, ZERO) for k in inner.total}
            for k, total in inner.total.items():
                frame.inner[k] = _var(begin[k] + total, "m", out)
            frame.frames[id(s)] = (inner, begin)
        return True


class Tape:
    """Where saved values wait, and the code that puts them there and takes them back.

    What runs once has a variable or an array for each thing it saves; the stacks are for the rest.
    """

    def __init__(self) -> None:
        self.stacks: dict[str, Stack] = {}
        self.apart: dict[Site, Scalar | Array] = {}
        self.blocks: dict[tuple[int, str], Array] = {}

    def stack(self, kind: str) -> Stack:
        if kind not in self.stacks:
            name = f"saved_{kind}"
            made = Stack(Array(name, KINDS[kind], 1), Scalar(f"{name}_top", I64), Scalar(f"{name}_size", I64))
            self.stacks[kind] = made
        return self.stacks[kind]

    def declare(self) -> list[Stmt]:
        out: list[Stmt] = []
        for s in self.stacks.values():
            out += [Alloc(s.array, (ZERO,)), Assign(s.top, ZERO), Assign(s.capacity, ZERO)]
        return out

    def room(self, kind: str, size: Expr) -> list[Stmt]:
        """Makes room for so many values; a stack that is too small doubles."""
        s = self.stack(kind)
        full = Ref(s.top) + size
        capacity = apply("maximum", full, Ref(s.capacity) * 2)
        grow: list[Stmt] = [Assign(s.capacity, capacity), Grow(s.array, Ref(s.capacity), clear=False)]
        return [If(apply("gt", full, Ref(s.capacity)), grow)]

    # ---- frames

    def claim(self, frame: Frame, once: bool) -> list[Stmt]:
        """Room for a frame: an array of its own, or the top of the stack (which `pass_by` then moves)."""
        out: list[Stmt] = []
        for kind, total in frame.total.items():
            if once:
                made = self.blocks[id(frame.loop), kind] = Array("saved", KINDS[kind], 1)
                out.append(Alloc(made, (total,)))
            else:
                out += self.room(kind, total)
        self._enter(frame, once)
        return out

    def pass_by(self, frame: Frame, once: bool) -> list[Stmt]:
        """After the loop: the top moves behind its frame."""
        return [] if once else [self._move(kind, total) for kind, total in frame.total.items()]

    def go_back(self, frame: Frame, once: bool) -> list[Stmt]:
        """Before the reversed loop: the top moves back to where its frame begins."""
        self._enter(frame, once)
        return [] if once else [self._move(kind, apply("neg", total)) for kind, total in frame.total.items()]

    def _enter(self, frame: Frame, once: bool) -> None:
        for kind in frame.total:
            frame.arrays[kind] = self.blocks[id(frame.loop), kind] if once else self.stack(kind).array
            frame.start[kind] = ZERO if once else Ref(self.stack(kind).top)

    def _move(self, kind: str, by: Expr) -> Stmt:
        top = self.stack(kind).top
        return Assign(top, Ref(top) + by)

    # ---- single values and arrays

    def put(self, site: Site, frame: Frame | None, once: bool, value: Expr | None = None) -> list[Stmt]:
        """Saves `value` (or the elements of the site's array)."""
        if frame is not None:
            return self._write(site, frame.arrays[site.kind], frame.place(site), value)
        size = ONE if site.shape is None else volume(site.shape)
        if not once:
            s = self.stack(site.kind)
            code = self._write(site, s.array, Ref(s.top), value)
            return [*self.room(site.kind, size), *code, self._move(site.kind, size)]
        if site.shape is None:
            assert value is not None
            var = self.apart[site] = Scalar(f"{site.what.name}_old", site.type)
            return [Assign(var, value)]
        array = self.apart[site] = Array(f"{site.what.name}_old", KINDS[site.kind], 1)
        return [Alloc(array, (size,)), *self._write(site, array, ZERO, value)]

    def take(
        self, site: Site, frame: Frame | None, once: bool, restore: Callable[[Expr], Stmt]
    ) -> list[Stmt]:
        """Reads a saved value (or elements) back."""
        if frame is not None:
            return self._read(site, frame.arrays[site.kind], frame.place(site), restore)
        if not once:
            s = self.stack(site.kind)
            size = ONE if site.shape is None else volume(site.shape)
            code = self._read(site, s.array, Ref(s.top), restore)
            return [self._move(site.kind, apply("neg", size)), *code]
        held = self.apart[site]
        return [restore(Ref(held))] if isinstance(held, Scalar) else self._read(site, held, ZERO, restore)

    @staticmethod
    def _write(site: Site, to: Array, at: Expr, value: Expr | None) -> list[Stmt]:
        if site.shape is None:
            assert value is not None
            return [Store(to, (at,), site.saved(value))]
        out: list[Stmt] = []
        array, at = site.what, _var(at, "at", out)
        assert isinstance(array, Array)
        return [
            *out,
            *_copy(site.shape, lambda i, n: Store(to, (at + n,), site.saved(Load(array, site.index(i))))),
        ]

    @staticmethod
    def _read(site: Site, of: Array, at: Expr, restore: Callable[[Expr], Stmt]) -> list[Stmt]:
        if site.shape is None:
            return [restore(site.restored(Load(of, (at,))))]
        out: list[Stmt] = []
        array, at = site.what, _var(at, "at", out)
        assert isinstance(array, Array)
        return [
            *out,
            *_copy(site.shape, lambda i, n: Store(array, site.index(i), site.restored(Load(of, (at + n,))))),
        ]


def _copy(shape: tuple[Expr, ...], move: Callable[[tuple[Expr, ...], Expr], Stmt]) -> list[Stmt]:
    """Loops over all indices; `move` gets the index and its number in row-major order."""
    loops = [Scalar("ijklmn"[min(k, 5)], I64) for k in range(len(shape))]
    number: Expr = ZERO
    for i, n in zip(loops, shape, strict=True):
        number = number * n + Ref(i)
    body = [move(tuple(Ref(i) for i in loops), number)]
    for i, n in zip(reversed(loops), reversed(shape), strict=True):
        body = [For(i, ZERO, n, body, independent=True)]
    return body
