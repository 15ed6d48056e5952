"""Loops over the same range become one, where the second uses what the first has just made.

    for i in range(n):                  for i in range(n):
        a[i] = f(i)                         a[i] = f(i)
    for i in range(n):                      b += a[i]
        b += a[i]

Arrays then pass through the cache once.  What stands between the two loops goes before or after them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from tapeless.backends.native.affine import simplify
from tapeless.backends.native.needed import COSTLY
from tapeless.backends.native.nest import (
    FLOATS,
    I64,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Check,
    Comment,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    If,
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
from tapeless.backends.native.promote import stable_definitions
from tapeless.backends.native.renaming import Renaming, map_leaves
from tapeless.backends.native.scopes import exposed
from tapeless.backends.native.sweeps import Loop

#: How far apart two loops may stand, how long a body may be to be looked at, and one of an innermost loop.
NEAR, LONG, INNERMOST = 24, 400, 30
#: How many elementary functions two innermost loops may have as one: more do not fit registers.
ELEMENTARY_MOST = 4

#: Operations that read and write their arrays, and cannot fail.
PRODUCTS = ("gemm", "gemv", "block", "copy")

Name = Scalar | Array | tuple[str, Array]


def fuse(fn: Function) -> Function:
    """`fn` with loops over the same range made one; no two array parameters may share memory."""
    return replace(fn, body=Fusion(fn).body(fn.body))


@dataclass(eq=False)
class Effects:
    """What a statement reads and writes, bodies inside it included."""

    reads: set[Name]
    writes: set[Name]
    flags: set[Scalar]
    """Truths that are only ever made true: in which order does not matter."""
    leaves: bool
    """It may leave the function, or is seen outside."""


def effects(s: Stmt) -> Effects:
    reads: set[Name] = set()
    writes: set[Name] = set()
    flags: set[Scalar] = set()
    out = False
    own: set[Name] = set()

    def read(es: Iterable[Expr]) -> None:
        for e in es:
            for x in leaves(e):
                if isinstance(x, Ref):
                    reads.add(x.var)
                elif isinstance(x, Load):
                    use(x.array)
                elif isinstance(x, Dim):
                    reads.add(("lengths", x.array))

    def use(a: Array, change: bool = False) -> None:
        reads.add(("lengths", a))  # and where it is
        (writes if change else reads).add(a.root)

    for x in walk([s]):
        if isinstance(x, Assign) and (e := raised(x)) is not None:
            read([e])
            flags.add(x.var)
            continue
        read(expressions(x))
        if isinstance(x, Assign):
            writes.add(x.var)
        elif isinstance(x, Store):
            use(x.array, change=True)
        elif isinstance(x, (Alloc, Grow)):
            writes |= {x.array.root, ("lengths", x.array)}
        elif isinstance(x, Alias):
            assert x.array.alias is not None
            reads.add(("lengths", x.array.alias))
            writes.add(("lengths", x.array))
        elif isinstance(x, Swap):
            writes |= {x.a.root, x.b.root, ("lengths", x.a), ("lengths", x.b)}
        elif isinstance(x, For):
            own.add(x.var)
        elif isinstance(x, Intrinsic):
            for a in (*x.ins, *x.outs):
                if isinstance(a, Array):
                    use(a, change=a in x.outs)
                elif isinstance(a, Scalar):
                    writes.add(a)
            out = out or x.name not in PRODUCTS
        elif isinstance(x, (Check, Raise)):
            out = True
    return Effects(reads - own, writes - own, flags, out)


def raised(s: Assign) -> Expr | None:
    """The `e` of `flag = flag or e`."""
    e = s.value
    if (
        isinstance(e, Apply)
        and e.op == "any"
        and e.args[0] == Ref(s.var)
        and Ref(s.var) not in leaves(e.args[1])
    ):
        return e.args[1]
    return None


class Fusion:
    def __init__(self, fn: Function) -> None:
        self.definitions = stable_definitions(fn)
        self.spelled: dict[Scalar, Expr] = {}
        self.theirs: set[Name] = {p for p in fn.params if isinstance(p, Array)}
        self.known: dict[int, tuple[Stmt, Effects]] = {}

    def effects(self, s: Stmt) -> Effects:
        if id(s) not in self.known:
            self.known[id(s)] = s, effects(s)
        return self.known[id(s)][1]

    def body(self, body: list[Stmt]) -> list[Stmt]:
        out = self.fused([s for s in body if not empty(s)]) if len(body) <= LONG else list(body)
        return [with_bodies(s, [self.body(inner) for inner in children(s)]) for s in out]

    def fused(self, body: list[Stmt]) -> list[Stmt]:
        out = list(body)
        at = 0
        while at < len(out):
            first = out[at]
            if isinstance(first, For) and first.step == 1:
                for to in range(at + 1, min(at + NEAR, len(out))):
                    second = out[to]
                    if not isinstance(second, For) or second.step != 1:
                        continue
                    made = self.pair(first, second)
                    moved = None if made is None else self.around(first, second, out[at + 1 : to])
                    if made is not None and moved is not None:
                        out[at : to + 1] = [*moved[0], made, *moved[1]]
                        at -= 1  # what has come before, and the new loop once more
                        break
            at += 1
        return out

    def around(self, first: For, second: For, between: list[Stmt]) -> tuple[list[Stmt], list[Stmt]] | None:
        """What stands between two loops, as what may come before both and what may come after them."""
        before: list[Stmt] = []
        after: list[Stmt] = []
        for s in between:
            if any(self.conflict(x, s) for x in (first, *after)):
                if self.conflict(s, second):
                    return None
                after.append(s)
            else:
                before.append(s)
        return before, after

    def conflict(self, a: Stmt, b: Stmt) -> bool:
        """Whether `b` has to stay behind `a`."""
        x, y = self.effects(a), self.effects(b)
        if x.leaves and not isinstance(b, Comment):
            return True
        if y.leaves and (x.writes & self.theirs):
            return True
        if x.writes & (y.reads | y.writes | y.flags) or x.reads & y.writes or x.flags & (y.reads | y.writes):
            return True
        return bool(x.reads & y.flags)

    def bound(self, e: Expr) -> Expr:
        """A bound in terms that equal bounds share."""

        def change(x: Expr) -> Expr:
            if isinstance(x, Ref) and x.var in self.definitions and x.var.type == I64:
                if x.var not in self.spelled:
                    self.spelled[x.var] = self.bound(self.definitions[x.var])
                return self.spelled[x.var]
            return x

        return simplify(map_leaves(e, change))

    def pair(self, first: For, second: For) -> For | None:
        """Two loops as one, if that is possible and worthwhile."""
        if self.bound(first.start) != self.bound(second.start) or self.bound(first.stop) != self.bound(
            second.stop
        ):
            return None
        x, y = self.effects(first), self.effects(second)
        if x.leaves or y.leaves or not _plain(first) or not _plain(second):
            return None
        bounds = {z.var for e in (second.start, second.stop) for z in leaves(e) if isinstance(z, Ref)}
        if bounds & x.writes:
            return None
        common = (x.writes & (y.reads | y.writes)) | (x.reads & y.writes)
        arrays = {a for a in common if isinstance(a, Array)}
        if not arrays:
            return None
        inner = [any(isinstance(s, For) for s in loop.body) for loop in (first, second)]
        if inner[0] != inner[1]:
            return None
        if not inner[0] and not self.vector(first, second):
            return None
        rest = Renaming({second.var: first.var}).body(second.body)
        free = self.free(first) and self.free(second)
        made = replace(first, body=[*first.body, *rest], independent=free)
        scalars = {v for v in common if isinstance(v, Scalar)}
        scalars |= x.flags & (y.reads | y.writes) | y.flags & (x.reads | x.writes)
        if scalars and scalars & (exposed(first.body) | exposed(rest)):
            return None
        loop = Loop(made)
        if any(loop.slope(loop.arrays[a]) is None for a in arrays):
            return None
        return made

    def vector(self, first: For, second: For) -> bool:
        """Whether two innermost loops remain fit for vector units as one."""
        several = [functions(first), functions(second)]
        if all(several) and sum(several) > ELEMENTARY_MOST:
            return False
        return self.free(first) and self.free(second) and len(first.body) + len(second.body) <= INNERMOST

    def free(self, loop: For) -> bool:
        """Whether the iterations may run in any order; those that only raise flags or sum up may, too."""
        return loop.independent or not self.effects(loop).writes or _sums(loop)


def functions(loop: For) -> int:
    """How many elementary functions an iteration computes, each in some twenty registers."""

    def count(e: Expr) -> int:
        inside = e.args if isinstance(e, Apply) else e.index if isinstance(e, Load) else ()
        mine = isinstance(e, Apply) and e.op in COSTLY
        return mine + sum(map(count, inside))

    return sum(count(e) for s in walk(loop.body) for e in expressions(s))


def _sums(loop: For) -> bool:
    """Whether a loop does nothing but add to scalars, `x = x + e`."""
    read: list[Scalar] = []
    for s in loop.body:
        if not isinstance(s, Assign) or not isinstance(s.value, Apply) or s.value.op != "add":
            return False
        if s.value.args[0] != Ref(s.var) or s.var.type not in FLOATS:
            return False
        read += [x.var for x in leaves(s.value) if isinstance(x, Ref)]
    sums = {s.var for s in loop.body if isinstance(s, Assign)}
    return all(read.count(x) == 1 for x in sums) and len(sums) == len(loop.body)


def _plain(loop: For) -> bool:
    return all(isinstance(s, (Assign, Store, For, If, Comment)) for s in walk(loop.body))


def empty(s: Stmt) -> bool:
    return isinstance(s, For) and all(map(empty, s.body))


def replaced(body: list[Stmt], change: Callable[[Stmt], list[Stmt] | None]) -> list[Stmt]:
    """A body with each statement, at any depth, for which `change` gives others replaced by these."""
    out: list[Stmt] = []
    for s in body:
        made = change(s)
        out += [with_bodies(s, [replaced(b, change) for b in children(s)])] if made is None else made
    return out


def with_bodies(s: Stmt, bodies: list[list[Stmt]]) -> Stmt:
    """A statement with other bodies inside it."""
    if isinstance(s, For):
        return replace(s, body=bodies[0])
    if isinstance(s, While):
        return replace(s, test=bodies[0], body=bodies[1])
    return replace(s, then=bodies[0], orelse=bodies[1]) if isinstance(s, If) else s
