"""Arrays that live for one iteration only become scalars: before a nest is run for many seeds at once.

    for i in range(n):                      for i in range(n):
        for k in range(3):                      t0 = x[i, 0] / x[i, 2]
            t[i, k] = x[i, k] / x[i, 2]         t1 = x[i, 1] / x[i, 2]
    for i in range(n):                          t2 = x[i, 2] / x[i, 2]
        y[i] = t[i, 0] * t[i, 1] + t[i, 2]      y[i] = t0 * t1 + t2

Short loops of known length are unrolled, loops over the same range become one however long that is, and an
array of which each iteration uses elements of its own is made scalars.  With a lane for each seed such an
array would be as many times as large, and pass through memory as often as it is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from tapeless.backends.native.activity import Name
from tapeless.backends.native.fuse import Fusion
from tapeless.backends.native.nest import (
    Alias,
    Alloc,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Function,
    If,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    While,
    apply,
    children,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.renaming import Renaming
from tapeless.backends.native.rewrite import change_body, change_stmt
from tapeless.backends.native.scopes import aliases, exposed, reads, writes

#: Loops are unrolled that run at most so often, and of which so many statements come.
TIMES, GROWTH = 16, 64
#: Elements that a scalar can stand for: narrower integers would wrap.
EXACT = ("float64", "float32", "int64", "bool")
Key = tuple[Array, tuple[Expr, ...]]


def contract(fn: Function, keep: Iterable[Name] = ()) -> Function:
    """`fn` with such arrays in scalars; those in `keep` are needed outside."""
    plain = replace(fn, body=_unrolled(fn.body, False))
    body = _Whole(plain).body(plain.body)
    outside = {x.root for x in (*fn.params, *fn.results, *keep) if isinstance(x, Array)}
    body = _contracted(body, outside)
    uses = mentions(body)
    uses.update(x for x in (*fn.params, *fn.results, *keep) if isinstance(x, Scalar))
    return replace(fn, body=_versions(body, uses))


def mentions(body: list[Stmt]) -> Counter[Scalar]:
    """How often each scalar is read or assigned."""
    return Counter(x for s in walk(body) for x in (*reads(s), *writes(s)) if isinstance(x, Scalar))


def _versions(body: list[Stmt], uses: Counter[Scalar]) -> list[Stmt]:
    """Scalars that a loop's body assigns again and again have a new name each time.

    So what was computed from the first value may stay where it is while the second one is computed.
    """
    out: list[Stmt] = []
    for s in body:
        if isinstance(s, For):
            s = replace(s, body=_renamed(_versions(s.body, uses), uses))
        out.append(s)
    return out


def _renamed(body: list[Stmt], uses: Counter[Scalar]) -> list[Stmt]:
    inside = mentions(body)
    given = Counter(s.var for s in body if isinstance(s, Assign))
    deeper = {x for s in body for part in children(s) for t in walk(part) for x in writes(t)}
    carried = exposed(body)
    mine = {v for v, n in given.items() if n > 1 and uses[v] == inside[v]} - deeper - carried
    table: dict[Scalar | Array, Scalar | Array] = {}
    names = Renaming(table)
    out: list[Stmt] = []
    for s in body:
        if isinstance(s, Assign) and s.var in mine:
            value = names.expr(s.value)
            table[s.var] = Scalar(s.var.name, s.var.type)
            s = Assign(names.name(s.var), value, line=s.line)
        else:
            s = names.stmt(s)
        out.append(s)
    return out


class _Whole(Fusion):
    """Fuses loops however long they become."""

    def vector(self, first: For, second: For) -> bool:
        return self.free(first) and self.free(second)


def _unrolled(body: list[Stmt], inside: bool) -> list[Stmt]:
    """A body with short loops of known length, inside others, written out."""
    out: list[Stmt] = []
    for s in body:
        if isinstance(s, For):
            inner = _unrolled(s.body, True)
            times = _times(s, inner) if inside else None
            if times is not None and len(times) * len(inner) <= GROWTH:
                for value in times:
                    out += _at(inner, s.var, value)
                continue
            s = replace(s, body=inner)
        elif isinstance(s, If):
            s = replace(s, then=_unrolled(s.then, inside), orelse=_unrolled(s.orelse, inside))
        elif isinstance(s, While):
            s = replace(s, test=_unrolled(s.test, True), body=_unrolled(s.body, True))
        out.append(s)
    return out


def _times(s: For, body: list[Stmt]) -> range | None:
    if isinstance(s.start, Const) and isinstance(s.stop, Const):
        found = range(int(s.start.value), int(s.stop.value), s.step)
        return found if len(found) <= TIMES and not any(isinstance(x, For) for x in body) else None
    return None


def _at(body: list[Stmt], var: Scalar, value: int) -> list[Stmt]:
    here = Const(value, var.type)
    return change_body(body, lambda e: here if isinstance(e, Ref) and e.var is var else None)


def _contracted(body: list[Stmt], bad: set[Array]) -> list[Stmt]:
    """A body with arrays as scalars where no iteration reads what another one has left."""
    while True:
        made = _Contraction(body, bad)
        new = made.body(body)
        loops = {loop.var for loop in made.at.values()}
        left = {v for s in walk(new) if isinstance(s, For) and s.var in loops for v in exposed(s.body)}
        more = {a for (a, _), v in made.scalars.items() if v in left}
        if not more:
            return new
        bad = bad | more


class _Contraction:
    def __init__(self, body: list[Stmt], outside: set[Array]) -> None:
        self.bad = set(outside)
        """Arrays that remain."""
        self.at: dict[Array, For] = {}
        """The loop whose iterations an array belongs to."""
        self.home: dict[Array, int] = {}
        """The block in which an array gets its storage."""
        self.scalars: dict[Key, Scalar] = {}
        self.blocks(body)
        self.look(body, {})

    def blocks(self, block: list[Stmt]) -> None:
        for s in block:
            if isinstance(s, Alloc):
                if s.array in self.home or s.array.dtype not in EXACT or s.array.alias is not None:
                    self.bad.add(s.array.root)
                self.home[s.array] = id(block)
            for inner in children(s):
                self.blocks(inner)

    def look(self, body: list[Stmt], around: dict[int, Stmt]) -> None:
        """See what is done with arrays; `around` says where in each block around this one it stands."""
        for s in body:
            here = {**around, id(body): s}
            if isinstance(s, Alloc):
                self.bad.update(x.root for x in reads(s) if isinstance(x, Array))
                continue
            if isinstance(s, Alias):
                self.bad.add(s.array.root)
            self.uses(s, here)
            for inner in children(s):
                self.look(inner, here)

    def uses(self, s: Stmt, around: dict[int, Stmt]) -> None:
        """An array remains if anything is done with it but to load and store this iteration's elements."""
        elements: list[tuple[Array, tuple[Expr, ...]]] = [
            (x.array, x.index) for e in expressions(s) for x in leaves(e) if isinstance(x, Load)
        ]
        if isinstance(s, Store):
            elements.append((s.array, s.index))
        named = [x.root for x in (*reads(s), *writes(s)) if isinstance(x, Array)]
        named += [a.root for a in aliases(s)]
        for a in named:
            mine = [index for array, index in elements if array is a]
            others = [array for array, _ in elements if array.root is a and array is not a]
            loop = around.get(self.home.get(a, 0))
            inside = isinstance(loop, For) and loop is not s
            if not inside or others or not mine or isinstance(s, Intrinsic) or _measured(s, a):
                self.bad.add(a)
                continue
            assert isinstance(loop, For)
            if self.at.setdefault(a, loop) is not loop:
                self.bad.add(a)
            for index in mine:
                if index[:1] != (Ref(loop.var),) or not all(isinstance(i, Const) for i in index[1:]):
                    self.bad.add(a)

    def scalar(self, a: Array, index: tuple[Expr, ...]) -> Scalar:
        key = (a, index[1:])
        if key not in self.scalars:
            self.scalars[key] = Scalar(f"{a.name}_{len(self.scalars)}", a.element)
        return self.scalars[key]

    def mine(self, a: Array) -> bool:
        return a in self.at and a not in self.bad and a.alias is None

    def body(self, body: list[Stmt]) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            if isinstance(s, Alloc) and self.mine(s.array):
                continue
            new = change_stmt(s, self.change)
            if isinstance(s, Store) and self.mine(s.array):
                assert isinstance(new, Store)
                var = self.scalar(s.array, s.index)
                new = Assign(var, apply("add", Ref(var), new.value) if s.add else new.value, line=s.line)
            elif isinstance(new, For):
                new.body = self.body(new.body)
            elif isinstance(new, While):
                new.test, new.body = self.body(new.test), self.body(new.body)
            elif isinstance(new, If):
                new.then, new.orelse = self.body(new.then), self.body(new.orelse)
            out.append(new)
        return out

    def change(self, e: Expr) -> Expr | None:
        if isinstance(e, Load) and self.mine(e.array):
            return Ref(self.scalar(e.array, e.index))
        return None


def _measured(s: Stmt, a: Array) -> bool:
    """Whether a statement asks for the length of an array."""
    return any(isinstance(x, Dim) and x.array.root is a for e in expressions(s) for x in leaves(e))
