"""Arrays laid out in the order in which loops walk them.

    for k in range(m):                          for k in range(m):
        for i in range(n):                          for i in range(n):
            c[i, k] = f(c[i, k - 1])                    c_turned[k, i] = f(c_turned[k - 1, i])

An inner loop that steps along another axis than the last one touches a line of memory for every element, and
vector units have to gather.  Where most of the work walks an array like that, its axes are put in another
order: at once for an array of the function's own, by a copy for one that comes from the caller or goes there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tapeless.backends.native.affine import affine
from tapeless.backends.native.fuse import raised
from tapeless.backends.native.interchange import is_sum
from tapeless.backends.native.nest import (
    I64,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Check,
    Const,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    Intrinsic,
    Load,
    Raise,
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
from tapeless.backends.native.renaming import Renaming

Order = tuple[int, ...]

#: A loop is taken to run so often; one of at most `SHORT` iterations is unrolled, and no loop.
TRIPS, SHORT = 16, 8
#: Arrays known to have at most so many elements stay as they are.
SMALL = 64


def lay_out(fn: Function) -> Function:
    """`fn` with the axes of arrays in the order of the loops around their accesses, where that pays."""
    found = _Accesses(fn)
    made = [turn for root in found.uses if (turn := _choose(fn, found, root)) is not None]
    body = fn.body
    for turn in made:
        body = turn.apply(body)
    return replace(fn, body=body) if made else fn


@dataclass(eq=False)
class _Uses:
    """How the memory of an array is used: under which names, in which orders."""

    names: dict[Array, Counter[Order]] = field(default_factory=dict)
    written: set[Array] = field(default_factory=set)
    plain: bool = True


class _Accesses:
    """The order in which each access walks its array, and how much work it is."""

    def __init__(self, fn: Function) -> None:
        self.uses: dict[Array, _Uses] = {}
        self.walk(fn.body, [], 1)

    def of(self, a: Array) -> _Uses:
        return self.uses.setdefault(a.root, _Uses())

    def walk(self, body: list[Stmt], loops: list[Scalar], weight: int) -> None:
        for s in body:
            for e in expressions(s):
                for x in leaves(e):
                    if isinstance(x, Load):
                        self.access(x.array, x.index, loops, weight)
            if isinstance(s, Store):
                self.access(s.array, s.index, loops, weight)
                self.of(s.array).written.add(s.array)
            elif isinstance(s, (Grow, Swap, Intrinsic)):
                for a in _whole(s):
                    self.of(a).plain = False
            if isinstance(s, For) and _free(s):
                self.walk(s.body, [], 0)  # no order counts, but what is written does
                continue
            if isinstance(s, For) and not _short(s):
                self.walk(s.body, [*loops, s.var], weight * TRIPS)
            else:
                again = TRIPS if isinstance(s, While) else 1
                for inner in children(s):
                    self.walk(inner, loops, weight * again)

    def access(self, a: Array, index: Sequence[Expr], loops: list[Scalar], weight: int) -> None:
        orders = self.of(a).names.setdefault(a, Counter())
        order = _order(index, loops)
        if order is not None:
            orders[order] += weight


def _whole(s: Stmt) -> Iterator[Array]:
    if isinstance(s, Swap):
        yield from (s.a, s.b)
    elif isinstance(s, Grow):
        yield s.array
    elif isinstance(s, Intrinsic):
        yield from (x for x in (*s.ins, *s.outs) if isinstance(x, Array))


def _free(s: For) -> bool:
    """Whether a nest touches one element of one array: its loops take the order that the array has."""
    body: list[Stmt] = [s]
    free = True
    while len(body) == 1 and isinstance(body[0], For):
        free = free and body[0].independent
        body = body[0].body
    (only,) = body if len(body) == 1 else (None,)
    if not isinstance(only, (Assign, Store)):
        return False
    if not (free or is_sum(body) or (isinstance(only, Assign) and raised(only))):
        return False
    loads = {x for e in expressions(only) for x in leaves(e) if isinstance(x, Load)}
    return len(loads) + isinstance(only, Store) == 1


def _short(s: For) -> bool:
    return (
        isinstance(s.start, Const)
        and isinstance(s.stop, Const)
        and abs(s.stop.value - s.start.value) <= SHORT
    )


def _order(index: Sequence[Expr], loops: list[Scalar]) -> Order | None:
    """The axes, outermost first; None if the innermost loop does not walk along just one of them."""
    depths = []
    for e in index:
        parts = affine(e)
        inside = [n for n, v in enumerate(loops) if any(k is not None and Ref(v) in leaves(k) for k in parts)]
        depths.append(max(inside, default=-1))
        if loops and depths[-1] == len(loops) - 1 and abs(parts.get(Ref(loops[-1]), 0)) != 1:
            return None
    if not loops or depths.count(len(loops) - 1) != 1:
        return None
    return tuple(sorted(range(len(index)), key=lambda k: depths[k]))


def _choose(fn: Function, found: _Accesses, root: Array) -> _Turn | None:
    """How to lay an array out anew, if that pays."""
    uses = found.uses[root]
    if not uses.plain or (len(uses.names) != 1 and root not in fn.params):
        return None
    name, orders = max(uses.names.items(), key=lambda item: item[1].total())
    if not orders:
        return None
    straight = tuple(range(name.ndim))
    order, most = max(orders.items(), key=lambda item: item[1])
    gain = most - orders[straight]
    if order == straight or 4 * gain < most:
        return None
    given = [s for s in walk(fn.body) if isinstance(s, (Alloc, Alias)) and s.array is name]
    lengths = given[0].shape if given else tuple(Dim(name, k) for k in range(name.ndim))
    long = [n for n in lengths if not isinstance(n, Const) or n.value > SHORT]
    if root in fn.params:
        made: _Turn = _Argument(name, order, bool(uses.written))
    elif any(isinstance(r, Array) and r.root is root for r in fn.results):
        made = _Result(name, order, bool(uses.written))
    else:
        made = _Turn(name, order, bool(uses.written))
    worth = gain > 2 * made.copies * TRIPS ** len(long) and bool(long)
    return made if worth and made.possible(fn) else None


@dataclass(eq=False)
class _Turn:
    """An array of the function's own, and the order that its axes are put in."""

    name: Array
    order: Order
    written: bool
    made: Array = field(init=False)

    def __post_init__(self) -> None:
        self.made = Array(f"{self.name.name}_turned", self.name.dtype, self.name.ndim)

    @property
    def copies(self) -> int:
        return 0

    def possible(self, fn: Function) -> bool:
        names = {s.array for s in walk(fn.body) if isinstance(s, Alias)}
        return not any(a.root is self.name for a in names)

    def apply(self, body: list[Stmt]) -> list[Stmt]:
        return self.turned(body)

    # ---- what is changed

    def turned(self, body: list[Stmt]) -> list[Stmt]:
        return _Rewriting(self).body(body)

    def index(self, index: Sequence[Expr]) -> tuple[Expr, ...]:
        return tuple(index[k] for k in self.order)

    def dim(self, axis: int) -> Dim:
        """The length of an axis of the program's, where the array made stands for it."""
        return Dim(self.made, self.order.index(axis))

    def copy(self, back: bool) -> list[Stmt]:
        """Loops that copy all elements, from the turned array with `back`."""
        loops = [Scalar("ijklmnpq"[min(k, 7)], I64) for k in range(len(self.order))]
        at = tuple(map(Ref, loops))
        index = self.index(at)
        if back:
            body: list[Stmt] = [Store(self.name, at, Load(self.made, index))]
        else:
            body = [Store(self.made, index, Load(self.name, at))]
        # of what is read and of what is written, a few lines at a time
        inner = [k for k in range(len(loops)) if k not in (self.order[-1], len(loops) - 1)]
        ends = [len(loops) - 1, self.order[-1]] if self.order[-1] != len(loops) - 1 else [self.order[-1]]
        for k in reversed([*inner, *(ends[::-1] if back else ends)]):
            length = self.dim(k) if back else Dim(self.name, k)
            body = [For(loops[k], ZERO, length, body, independent=True)]
        return body

    def touching(self, body: list[Stmt], *, writing: bool = False) -> list[int]:
        """The statements that read or write elements (or only those that write)."""
        return [k for k, s in enumerate(body) if any(map(self.writes if writing else self.uses, walk([s])))]

    def writes(self, s: Stmt) -> bool:
        return isinstance(s, (Store, Alloc)) and s.array is self.name

    def uses(self, s: Stmt) -> bool:
        loads = (x for e in expressions(s) for x in leaves(e) if isinstance(x, Load))
        return self.writes(s) or any(x.array is self.name for x in loads)


class _Argument(_Turn):
    """An array of the caller's: what uses it uses a copy, which is copied back if it was written."""

    @property
    def copies(self) -> int:
        return 1 + self.written

    def possible(self, fn: Function) -> bool:
        used = self.touching(fn.body)
        first, last = used[0], used[-1]
        if self.name.alias is not None:
            given = [s for s in walk(fn.body) if isinstance(s, Alias) and s.array is self.name]
            if len(given) != 1 or not any(s is given[0] for s in fn.body[:first]):
                return False
        if any(isinstance(r, Array) and r.root is self.name.root for r in fn.results):
            return False
        if not self.written:
            return True
        # the caller must not see that its array has not been written yet, nor must another name for it
        unwritten = self.touching(fn.body, writing=True)[0] if self.touching(fn.body, writing=True) else last
        for k, top in enumerate(fn.body[first : last + 1], first):
            for s in walk([top]):
                if isinstance(s, (Check, Raise)) or (isinstance(s, Store) and self.other(s.array)):
                    return False
                read = (x.array for e in expressions(s) for x in leaves(e) if isinstance(x, Load))
                if k >= unwritten and any(map(self.other, read)):
                    return False
        return True

    def other(self, a: Array) -> bool:
        return a is not self.name and a.root is self.name.root

    def apply(self, body: list[Stmt]) -> list[Stmt]:
        used = self.touching(body)
        first, last = used[0], used[-1] + 1
        shape = self.index([Dim(self.name, k) for k in range(self.name.ndim)])
        into = [Alloc(self.made, shape), *self.copy(back=False)]
        inside = _Rewriting(self, lengths=False).body(body[first:last])
        back = self.copy(back=True) if self.written else []
        return [*body[:first], *into, *inside, *back, *body[last:]]


class _Result(_Turn):
    """An array that is given back: it is copied once it is complete."""

    @property
    def copies(self) -> int:
        return 1

    def possible(self, fn: Function) -> bool:
        others = [
            r for r in fn.results if isinstance(r, Array) and r.root is self.name and r is not self.name
        ]
        return not others and super().possible(fn)

    def apply(self, body: list[Stmt]) -> list[Stmt]:
        last = self.touching(body, writing=True)[-1] + 1
        made = Alloc(self.name, tuple(self.dim(k) for k in range(self.name.ndim)))
        return [*self.turned(body[:last]), made, *self.copy(back=True), *body[last:]]


class _Rewriting(Renaming):
    """Puts an array with its axes turned in the place of the one that the program has."""

    def __init__(self, turn: _Turn, *, lengths: bool = True) -> None:
        super().__init__({})
        self.turn, self.lengths = turn, lengths

    def leaf(self, e: Expr) -> Expr:
        turn = self.turn
        if isinstance(e, Load) and e.array is turn.name:
            return Load(turn.made, turn.index(e.index))
        if isinstance(e, Dim) and e.array is turn.name and self.lengths:
            return turn.dim(e.axis)
        return e

    def stmt(self, s: Stmt) -> Stmt:
        made = super().stmt(s)
        if isinstance(made, Store) and made.array is self.turn.name:
            made.array, made.index = self.turn.made, self.turn.index(made.index)
        elif isinstance(made, Alloc) and made.array is self.turn.name:
            made.array, made.shape = self.turn.made, self.turn.index(made.shape)
        return made
