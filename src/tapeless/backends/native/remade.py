"""Arrays of one iteration that the reverse sweep computes again instead of keeping them.

`t[i] = x[i]*y[i]`, made in every iteration from what is there anyway, costs a few operations an element; to
keep it costs four accesses to memory, of which two are far away when many iterations are kept.  It is made
again where, backwards, it is first wanted: what has been overwritten since is put back by then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapeless.backends.native.activity import Name
from tapeless.backends.native.nest import (
    COMPARISONS,
    FLOATS,
    I64,
    Alloc,
    Apply,
    Array,
    Assign,
    Const,
    Expr,
    For,
    If,
    Load,
    Stmt,
    Store,
    expressions,
    walk,
)
from tapeless.backends.native.scopes import Block, names, reads, written

if TYPE_CHECKING:
    from tapeless.backends.native.needed import Needed

#: What making one element again may cost, about what storing and loading it twice does: loads and additions
#: are 1, these more.
PRICE = 8
PRICES = {"div": 4, "sqrt": 4}
CHEAP = {
    *("add", "sub", "mul", "neg", "abs", "fabs", "select", "cast", "stop", "all", "any", "not", *COMPARISONS),
    *("minimum", "maximum", "fmin", "fmax", "copysign"),
}


@dataclass(eq=False, slots=True)
class Remade:
    """An array, the statements of a block that make it, and before which (its number) it is made again."""

    array: Array
    makers: list[int]
    at: int
    #: what the makers read, but for what is their own
    inputs: set[Name]


class Remaking:
    """What is made again, by the id of the statement before which, or of the block at whose end, it is."""

    def __init__(self, needed: Needed) -> None:
        self.needed = needed
        #: what is kept and saved without this, and what is used at most
        self.kept, self.saved = set(needed.kept), {x for _, x in needed.saved}
        self.used = set(needed.used)
        self.barred: set[Array] = set()
        self.before: dict[int, list[Remade]] = {}
        self.blocks: dict[int, list[Stmt]] = {}

    def choose(self) -> bool:
        """Finds what to make again of what is kept now; whether there is anything."""
        self.before = {}
        for block in self.needed.scopes.blocks.values():
            for r in self._of(block) if block.loops else ():
                key = id(block.body[r.at]) if r.at < len(block.body) else id(block.body)
                self.before.setdefault(key, []).append(r)
                self.blocks[key] = block.body
        return bool(self.before)

    def bar(self) -> bool:
        """Gives up what is saved all the same, or has other arrays saved; whether there is none of that."""
        needed, found = self.needed, [r for made in self.before.values() for r in made]
        kept = needed.kept.union(x for _, x in needed.saved)
        more = {x for x in kept - self.kept - self.saved if isinstance(x, Array)}
        wrong = {r.array for r in found if r.inputs & more or r.array in kept}
        if more and not wrong:
            wrong = {r.array for r in found}
        self.barred |= wrong
        known = needed.used <= self.used
        self.used |= needed.used
        return known and not wrong

    def makers(self, key: int) -> list[Stmt]:
        """The statements that are run again before a statement, or at the end of a body, by its id."""
        body = self.blocks.get(key, [])
        return [body[k] for k in sorted(k for r in self.before.get(key, ()) for k in r.makers)]

    # ---- which

    def _of(self, block: Block) -> list[Remade]:
        kept = [x for x in self.needed.scopes.residents[id(block.body)] if isinstance(x, Array)]
        kept = [x for x in kept if x in self.kept and x not in self.barred and x.element in FLOATS]
        made = {x: r for x in kept if (r := self._made(block, x)) is not None}
        if not made:
            return []
        for k, s in enumerate(block.body):
            for x in self._uses(s, block):
                if isinstance(x, Array) and x in made:
                    made[x].at = k + 1
        grown = True
        while grown:  # an array is there when what is made from it is made
            later = [(made[x], r.at) for r in made.values() for x in r.inputs if x in made]
            grown = any(r.at < at for r, at in later)
            for r, at in later:
                r.at = max(r.at, at)
        wrong = [x for x, r in made.items() if not self._holds(block, r)]
        if not wrong:
            return sorted(made.values(), key=lambda r: r.makers[0])
        self.barred.update(wrong)
        return self._of(block)

    def _made(self, block: Block, a: Array) -> Remade | None:
        """The makers of an array, if each is a cheap loop that makes nothing else."""
        scopes = self.needed.scopes
        if len(scopes.allocs.get(a, ())) != 1 or any(x.root is a for x in scopes.aliases):
            return None
        makers: list[int] = []
        inputs: set[Name] = set()
        for k, s in enumerate(block.body):
            if a not in written([s]) or (isinstance(s, Alloc) and s.array is a):
                continue
            if not self._cheap(s, a, 0):
                return None
            own = {x.var for x in walk([s]) if isinstance(x, (For, Assign))}
            homes = [scopes.home[x.var] for x in walk([s]) if isinstance(x, Assign)]
            if any(block.inside(home) for home in homes):
                return None
            makers.append(k)
            inputs |= {x for y in walk([s]) for x in reads(y)} - own - {a}
        return Remade(a, makers, 0, inputs) if makers else None

    def _cheap(self, s: Stmt, a: Array, depth: int) -> bool:
        """Whether a statement gives elements of `a` their values, each for a small price."""
        if isinstance(s, For):
            stores = [x for x in walk(s.body) if isinstance(x, Store)]
            cost = sum(price(e) for x in walk(s.body) for e in expressions(x))
            small = depth < a.ndim and cost <= PRICE * max(len(stores), 1)
            return small and all(self._cheap(x, a, depth + 1) for x in s.body)
        if isinstance(s, If):
            return all(self._cheap(x, a, depth) for x in (*s.then, *s.orelse))
        if isinstance(s, Store):
            return s.array is a
        return isinstance(s, Assign) and depth > 0

    def _uses(self, s: Stmt, block: Block) -> set[Name]:
        """What the reversal of a statement wants."""
        needed = self.needed
        found: set[Name] = set()
        for x in walk([s]):
            found |= needed.wants(x)
            if isinstance(x, Assign):
                again = x.var in needed.recomputable and x.var in self.used
                if x.var.type not in FLOATS or again:
                    found.update(names(x.value))
            elif not isinstance(x, Store):
                found.update(y for e in expressions(x) for y in names(e))
        if isinstance(s, Assign) and s.var in needed.recomputable and self.needed.scopes.home[s.var] is block:
            late = set(names(s.value))  # it is computed before anything is made again
            self.barred.update(x for x in late if isinstance(x, Array))
        return found

    def _holds(self, block: Block, r: Remade) -> bool:
        """Whether what makes an array is the same where it is made again."""
        if r.array in self.barred or r.makers[-1] >= r.at:
            return False
        between = block.body[r.makers[0] : r.at]
        return not r.inputs & written(s for k, s in enumerate(between, r.makers[0]) if k not in r.makers)


def price(e: Expr) -> int:
    """What an expression costs, in additions."""
    if isinstance(e, Load):
        return 1
    if not isinstance(e, Apply) or e.type == I64:
        return 0
    halved = e.op == "div" and isinstance(e.args[1], Const) and math.frexp(e.args[1].value)[0] in (0.5, -0.5)
    return (1 if halved else PRICES.get(e.op, 1 if e.op in CHEAP else PRICE + 1)) + sum(map(price, e.args))
