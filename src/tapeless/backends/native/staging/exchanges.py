"""Arrays from outside a loop that the loop exchanges with others and stores into: `u, v = v, u`.

A loop has copies of the arrays that it carries, and exchanges the memory of these.  Where somebody else knows
such an array too (the caller of an argument), what is stored into it must reach that array: a number says in
which copy its memory would be, and it gets what that copy holds when the loop gives the copy up, and after
the loop.  A call that raises in the loop is made again by the plain program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapeless.backends.native.nest import (
    I64,
    Array,
    Assign,
    Check,
    Expr,
    If,
    Intrinsic,
    Load,
    Raise,
    Ref,
    Scalar,
    Stmt,
    apply,
    const,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.staging.values import Lazy, Value, View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tapeless.backends.native.staging.loops import Loops

#: Why an array must not be written.
OTHER = "on another path of the program it is another array"
EXCHANGED = "a loop has exchanged it with another one"
ELSEWHERE = "a loop that exchanges it with another one also reaches it by another name"
#: The number of an array whose memory is in none of the copies any more.
GONE = -1


class NeedsTracking(Exception):
    """A loop has to know where the arrays are that it exchanges."""

    def __init__(self, key: Any) -> None:
        self.key = key
        super().__init__("a loop stores into an array that it exchanges with another")


class Exchange:
    """The arrays that a loop carries, and where those are that are known outside."""

    def __init__(self, s: Loops, key: Any, places: Iterable[tuple[View, Value, bool]]) -> None:
        """`places`: the loop's copy, what it is a copy of, and whether its length stays."""
        self.s, self.key = s, key
        found = list(places)
        self.copies = [view for view, _, _ in found]
        self.numbers = {view.array: k for k, view in enumerate(self.copies)}
        self.homes: list[tuple[View, Scalar, int]] = []
        """An array from outside, the variable that says in which copy it is, and the copy at first."""
        self.groups: dict[Array, set[Array]] = {a: {a} for a in self.numbers}
        """Which copies have been exchanged."""
        originals = [s.made(original) for _, original, _ in found]
        for (view, original, steady), outer in zip(found, originals, strict=True):
            if view.array is outer.array:
                continue
            alone = sum(x.array.root is outer.array.root for x in originals) == 1
            if key in s.tracked and steady and alone and s.known_elsewhere(original, 1) and self.may(outer):
                home = s.scalar(I64, f"{view.array.name}_is")
                s.emit(Assign(home, const(self.numbers[view.array])))
                self.homes.append((outer, home, self.numbers[view.array]))
            else:
                s.share(view, [original], names=1)
                s.copied_by[view.array] = key
        for outer, _, _ in self.homes:
            s.frozen[outer.array.root] = ELSEWHERE

    def may(self, outer: View) -> bool:
        """Whether an array may be written when the loop is over."""
        root = outer.array.root
        why = self.s.frozen.get(root)
        if why == OTHER and root in self.s.copied_by:
            raise NeedsTracking(self.s.copied_by[root])
        return why is None or why == EXCHANGED

    # ---- in the loop

    def move(self, targets: Iterable[Array], taken: dict[Array, Array]) -> None:
        """Copies get other contents; the memory of some is `taken` by others."""
        lost = [a for a in targets if a in self.numbers and a not in taken]
        into: dict[Array, Array] = {}
        for a, b in taken.items():
            if a in self.numbers and b in self.numbers:
                into[a] = b
                joined = self.groups[a] | self.groups[b]
                for x in joined:
                    self.groups[x] = joined
            elif a in self.numbers:
                lost.append(a)
        s = self.s
        for outer, home, _ in self.homes:
            for a in lost:
                self.give_back(outer, home, a, last=False)
            now: Expr = Ref(home)
            for a, b in into.items():
                here = apply("eq", Ref(home), const(self.numbers[a]))
                now = apply("select", here, const(self.numbers[b]), now)
            if now != Ref(home):
                s.emit(Assign(home, now))

    def settle(self) -> None:
        """What is exchanged with an array that may not be written may not be written either."""
        s = self.s
        for a in self.numbers:
            if s.frozen.get(a) == OTHER:
                for b in self.groups[a]:
                    s.frozen.setdefault(b, OTHER)
                    s.copied_by.setdefault(b, self.key)

    # ---- after the loop

    def finish(self, bodies: list[list[Stmt]]) -> None:
        """The arrays from outside get what was stored into them."""
        s = self.s
        if not self.homes:
            return
        for outer, _, _ in self.homes:
            if any(reads(body, outer.array.root) for body in bodies):
                s.refuse(f"an array is read in a loop, but {ELSEWHERE}", "copy it first, with .copy()")
        self.write_back()
        written = {outer.array.root for outer, _, _ in self.homes}
        for earlier in reversed(s.exchanged):
            if not written.isdisjoint(earlier.numbers):
                earlier.write_back()
                written |= {outer.array.root for outer, _, _ in earlier.homes}
        s.exchanged.append(self)
        for outer, _, k in self.homes:
            for a in {outer.array.root} | self.groups[self.copies[k].array]:
                s.frozen[a] = EXCHANGED
        if any(may_fail(body) for body in bodies):
            s.made_again = True

    def write_back(self) -> None:
        for outer, home, k in self.homes:
            for a in self.numbers:
                if a in self.groups[self.copies[k].array]:
                    self.give_back(outer, home, a, last=True)

    def give_back(self, outer: View, home: Scalar, a: Array, last: bool) -> None:
        """The array from outside gets what a copy holds, if its memory is there."""
        s = self.s
        s.before_write(outer.array.root)
        body: list[Stmt] = []
        with s.at(body), s.thawed():
            s.copy_into(outer, self.copies[self.numbers[a]])
            if not last:
                s.emit(Assign(home, const(GONE)))
        s.emit(If(apply("eq", Ref(home), const(self.numbers[a])), body))


def reads(body: list[Stmt], root: Array) -> bool:
    """Whether statements read an array."""
    for stmt in walk(body):
        if isinstance(stmt, Intrinsic) and any(isinstance(x, Array) and x.root is root for x in stmt.ins):
            return True
        for e in expressions(stmt):
            if any(isinstance(x, Load) and x.array.root is root for x in leaves(e)):
                return True
    return False


def may_fail(body: list[Stmt]) -> bool:
    return any(isinstance(x, (Check, Raise)) or "failure" in getattr(x, "attrs", ()) for x in walk(body))


def in_place(s: Loops, entry: Value | None) -> View | None:
    """The array itself, if a loop inside one that follows its memory may exchange it."""
    if isinstance(entry, Lazy):
        entry = entry.made
    if not isinstance(entry, View) or not any(entry.array in e.numbers for e in s.exchanges):
        return None
    whole = entry.whole and entry.array.contiguous and entry.array.alias is None
    if not whole or entry.array in s.frozen or s.holders(entry, None) > 1:
        return None
    s.before_write(entry.array)
    return entry
