"""Where variables live: the innermost block in which each scalar and array begins and ends its life.

A variable at home in the body of a loop starts afresh in every iteration, so nothing of it need outlive one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.nest import (
    Alias,
    Alloc,
    Array,
    Assign,
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


def names(e: Expr) -> list[Name]:
    """The scalars and the arrays (owners of the memory) that `e` reads; the length of an array counts."""
    return [
        x.var if isinstance(x, Ref) else x.array.root for x in leaves(e) if isinstance(x, (Ref, Load, Dim))
    ]


def reads(s: Stmt) -> list[Name]:
    """What the statement itself reads (not the bodies inside it)."""
    found = [x for e in expressions(s) for x in names(e)]
    if isinstance(s, Intrinsic):
        found += [x.root for x in s.ins if isinstance(x, Array)]
        if s.attrs.get("add"):
            found += map(root, s.outs)
    elif isinstance(s, Store) and s.add:
        found.append(s.array.root)
    return found


def writes(s: Stmt) -> tuple[Name, ...]:
    """What the statement itself changes; the variable of a loop belongs to the loop and is not counted."""
    if isinstance(s, Assign):
        return (s.var,)
    if isinstance(s, (Store, Alloc, Grow)):
        return (s.array.root,)
    if isinstance(s, Swap):
        return (s.a.root, s.b.root)
    if isinstance(s, Intrinsic):
        return tuple(map(root, s.outs))
    return ()


def touched(s: Stmt) -> list[Name]:
    found = reads(s)
    found += writes(s)
    if isinstance(s, Alias):
        found.append(s.array.root)
    return found


def aliases(s: Stmt) -> Iterator[Array]:
    """The aliases through which the statement itself reads or writes."""
    found = [x.array for e in expressions(s) for x in leaves(e) if isinstance(x, (Load, Dim))]
    if isinstance(s, Store):
        found.append(s.array)
    elif isinstance(s, Intrinsic):
        found += [x for x in (*s.ins, *s.outs) if isinstance(x, Array)]
    yield from (a for a in found if a.alias is not None)


def written(body: Iterable[Stmt]) -> set[Name]:
    """Everything that a body changes."""
    return {x for s in walk(list(body)) for x in writes(s)}


@dataclass(eq=False, slots=True)
class Block:
    """A list of statements and where it stands."""

    body: list[Stmt]
    parent: Block | None
    loops: bool
    depth: int

    def inside(self, other: Block) -> bool:
        block: Block | None = self
        while block is not None and block is not other:
            block = block.parent
        return block is other


class Scopes:
    """The blocks of a body and the home of every name in it."""

    def __init__(self, body: list[Stmt], outer: Iterable[Name]) -> None:
        """`outer`: names that live from beginning to end (parameters, results)."""
        self.top = Block(body, None, False, 0)
        self.blocks: dict[int, Block] = {id(body): self.top}
        self.block_of: dict[int, Block] = {}
        self.counters = {s.var for s in walk(body) if isinstance(s, For)}
        self.definitions: dict[Scalar, list[Stmt]] = {}
        self.allocs: dict[Array, list[Alloc]] = {}
        self.aliases: dict[Array, list[Alias]] = {}
        self.home: dict[Name, Block] = {}
        #: the block around all uses of an alias
        self.reach: dict[Array, Block] = {}
        self._place(self.top)
        open_at: dict[int, set[Name]] = {}
        look(body, open_at)
        for x in outer:
            self.home[root(x)] = self.top
        for x, block in self.home.items():
            while block.parent is not None and x in open_at[id(block.body)]:
                block = block.parent
            self.home[x] = block
        self.residents: dict[int, list[Name]] = {id(b.body): [] for b in self.blocks.values()}
        for x, block in self.home.items():
            self.residents[id(block.body)].append(x)

    def _place(self, block: Block) -> None:
        for s in block.body:
            self.block_of[id(s)] = block
            if isinstance(s, Assign):
                self.definitions.setdefault(s.var, []).append(s)
            elif isinstance(s, Alloc):
                self.allocs.setdefault(s.array, []).append(s)
            elif isinstance(s, Alias):
                self.aliases.setdefault(s.array, []).append(s)
            elif isinstance(s, Intrinsic):
                for out in s.outs:
                    if isinstance(out, Scalar):
                        self.definitions.setdefault(out, []).append(s)
            inner = []
            for body in children(s):
                inner.append(Block(body, block, block.loops or not isinstance(s, If), block.depth + 1))
                self.blocks[id(body)] = inner[-1]
                self._place(inner[-1])
            where = inner[0] if isinstance(s, While) else block
            for x in touched(s):
                if x not in self.counters:
                    self.home[x] = self._common(self.home.get(x, where), where)
            for a in aliases(s):
                self.reach[a] = self._common(self.reach.get(a, where), where)

    @staticmethod
    def _common(a: Block, b: Block) -> Block:
        while a is not b:
            if a.depth >= b.depth:
                assert a.parent is not None
                a = a.parent
            else:
                assert b.parent is not None
                b = b.parent
        return a


def exposed(body: list[Stmt]) -> set[Name]:
    """Names that may be read in `body` before it has given them a value."""
    return look(body, {})[0]


def look(body: list[Stmt], found: dict[int, set[Name]]) -> tuple[set[Name], set[Name]]:
    """Names that may be read in `body` before it gives them a value, and those that it certainly gives one.

    The former are noted in `found`, for every body inside too, by the body's id.
    """
    exposed: set[Name] = set()
    given: set[Name] = set()

    def read(xs: Iterable[Name]) -> None:
        exposed.update(x for x in xs if x not in given)

    for s in body:
        if isinstance(s, While):
            test, after = look(s.test, found)
            read(test)
            given |= after
            read(reads(s))
            read(look(s.body, found)[0])
            continue
        read(reads(s))
        if isinstance(s, If):
            (then, a), (orelse, b) = look(s.then, found), look(s.orelse, found)
            read(then)
            read(orelse)
            given |= a & b
        elif isinstance(s, For):
            read(look(s.body, found)[0])
        elif isinstance(s, Assign):
            given.add(s.var)
        elif isinstance(s, Alloc):
            given.add(s.array.root)
        elif isinstance(s, (Store, Swap)):  # they change a part, or need what was there
            read(writes(s))
        elif isinstance(s, Intrinsic):
            read(x for x in writes(s) if isinstance(x, Array))
            given |= {x for x in s.outs if isinstance(x, Scalar)}
    found[id(body)] = exposed
    return exposed, given
