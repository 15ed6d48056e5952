"""The reverse sweep without needless zeros.

A cotangent begins as zero and is added to.  Where the first addition is known it is an assignment instead, of
a scalar and of every element of an array; and a cotangent that nobody reads again is not cleared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from tapeless.backends.native.activity import Name
from tapeless.backends.native.nest import (
    FLOATS,
    ZERO,
    Alloc,
    Apply,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Intrinsic,
    Load,
    Ref,
    Stmt,
    Store,
    children,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.scopes import aliases, names, reads, touched, written


def mentions(body: Iterable[Stmt]) -> Counter[Name]:
    """How often each scalar and array (by the owner of its memory) is named."""
    return Counter([x for s in walk(list(body)) for x in _named(s)])


def _named(s: Stmt) -> list[Name]:
    """What the statement itself names."""
    return [*touched(s), *(a.root for a in aliases(s))]


def _uses(s: Stmt, array: Array) -> bool:
    return any(array in _named(x) for x in walk([s]))


class Tidy:
    """Rewrites bodies of the reverse sweep; `whole` is the function's body, `results` what it gives back."""

    def __init__(self, whole: list[Stmt], results: Iterable[Name]) -> None:
        self.named: dict[int, tuple[Stmt, list[Name]]] = {}
        self.uses = self.mentions(whole)
        self.uses.update(x.root if isinstance(x, Array) else x for x in results)

    def mentions(self, body: list[Stmt]) -> Counter[Name]:
        """`mentions` of what is looked at again and again: bodies change, but not the rest of a statement."""
        found: Counter[Name] = Counter()
        for s in walk(body):
            if id(s) not in self.named:
                self.named[id(s)] = s, _named(s)
            found.update(self.named[id(s)][1])
        return found

    def body(self, body: list[Stmt]) -> list[Stmt]:
        if not _idle(body):
            self.uses.subtract(self.mentions(body))
            body = self.first_sums(self.delayed(body))
            self.uses.update(self.mentions(body))
        for s in body:
            for inner in children(s):
                inner[:] = self.body(inner)
        self.drop_clears(body)
        return self.last_clears(body)

    # ---- scalars

    def scalars(self, body: list[Stmt]) -> list[Stmt]:
        """A body in which scalars are set, rather than cleared and added to."""
        if not _idle(body):
            self.uses.subtract(self.mentions(body))
            body = self.first_sums(body)
            self.uses.update(self.mentions(body))
        for s in body:
            for inner in children(s):
                inner[:] = self.scalars(inner)
        return self.last_clears(body)

    def first_sums(self, body: list[Stmt]) -> list[Stmt]:
        """`x = 0; x = x + e` is `x = e`."""
        out: list[Stmt | None] = []
        zeros: dict[Name, int] = {}
        for s in body:
            if isinstance(s, Assign) and s.var in zeros:
                at = zeros.pop(s.var)
                added = _added(s)
                if added is not None:
                    out[at] = None
                    s = Assign(s.var, added, line=s.line)
                elif s.var not in names(s.value):
                    out[at] = None
            for x in self.mentions([s]) if zeros else ():
                zeros.pop(x, None)
            if isinstance(s, Assign) and is_zero(s.value):
                zeros[s.var] = len(out)
            out.append(s)
        return [s for s in out if s is not None]

    def last_clears(self, body: list[Stmt]) -> list[Stmt]:
        """A scalar of this body alone, which it sets before it reads it, is not cleared in the end."""
        if _idle(body):
            return body
        found: dict[Name, Counter[int]] = {}
        for k, s in enumerate(body):
            for x, count in self.mentions([s]).items():
                found.setdefault(x, Counter())[k] = count
        dead: set[int] = set()
        for x, places in found.items():
            first, last = body[min(places)], body[max(places)]
            sets = isinstance(first, Assign) and first.var is x and x not in names(first.value)
            clears = isinstance(last, Assign) and last.var is x and is_zero(last.value)
            if sets and clears and first is not last and self.uses[x] == sum(places.values()):
                self.uses[x] -= 1
                dead.add(max(places))
        return [s for k, s in enumerate(body) if k not in dead]

    # ---- arrays

    def delayed(self, body: list[Stmt]) -> list[Stmt]:
        """Storage and zeros of a cotangent come right before its first use; if that sets all, no zeros."""
        out = list(body)
        used = {id(s): self.mentions([s]) for s in body}
        for s in body:
            if not isinstance(s, Alloc) or s.array.element not in FLOATS:
                continue
            at = next(k for k, x in enumerate(out) if x is s)
            fill = out[at + 1] if at + 1 < len(out) else None
            if not isinstance(fill, For) or not _fills(fill, s):
                continue
            rest = out[at + 2 :]
            needs = {x for e in s.shape for x in names(e)}
            wait = 0
            for x in rest:
                if s.array in used[id(x)] or needs & written([x]):
                    break
                wait += 1
            else:
                continue
            first = rest[wait]
            if (whole := _sets(first, s.array)) is not None:
                rest[wait : wait + 1] = [s, whole]
                used[id(whole)] = used[id(first)]
            else:
                rest[wait:wait] = [s] if self.covers(first, s) else [s, fill]
            out[at:] = rest
        return out

    def covers(self, first: Stmt, made: Alloc) -> bool:
        """Whether a nest adds to every element once, in one place; then it sets them instead."""
        found = _visits(first, made.array, made.shape)
        if found is None:
            return False
        body, index = found
        store = next(x for x in body if _uses(x, made.array))
        if (
            not isinstance(store, Store)
            or not store.add
            or store.array is not made.array
            or store.index != index
        ):
            return False
        if any(x is made.array for x in names(store.value)):
            return False
        body[next(k for k, x in enumerate(body) if x is store)] = Store(
            store.array, index, store.value, line=store.line
        )
        return True

    def drop_clears(self, body: list[Stmt]) -> None:
        """The last nest that uses an array of this body alone, element by element, need not clear them."""
        allocs = [s for s in body if isinstance(s, Alloc) and s.array.element in FLOATS]
        if not allocs:
            return
        inside, used = self.mentions(body), [self.mentions([s]) for s in body]
        for made in allocs:
            last = next(s for s, found in zip(body[::-1], used[::-1], strict=True) if made.array in found)
            found = _visits(last, made.array, made.shape)
            if found is None or self.uses[made.array] != inside[made.array]:
                continue
            using = [s for s in found[0] if _uses(s, made.array)]
            s = using[-1] if using else last  # a nest that is empty by now uses nothing
            if isinstance(s, Store) and not s.add and is_zero(s.value):
                found[0][:] = [x for x in found[0] if x is not s]
                self.uses[made.array] -= 1
                inside[made.array] -= 1


def _idle(body: list[Stmt]) -> bool:
    """Whether a body by itself has nothing to rewrite: no storage is made and nothing is cleared in it."""
    return not any(isinstance(s, Alloc) or (isinstance(s, Assign) and is_zero(s.value)) for s in body)


def _added(s: Assign) -> Expr | None:
    """The `e` of `x = x + e`."""
    e = s.value
    if isinstance(e, Apply) and e.op == "add" and e.args[0] == Ref(s.var) and s.var not in names(e.args[1]):
        return e.args[1]
    return None


def is_zero(e: Expr) -> bool:
    return isinstance(e, Const) and e.type in FLOATS and e.value == 0


def _sets(s: Stmt, array: Array) -> Stmt | None:
    """A product that is added to a whole array, as one that is stored there."""
    if not isinstance(s, Intrinsic) or s.name not in ("gemm", "gemv") or not s.attrs.get("add"):
        return None
    return replace(s, attrs={**s.attrs, "add": False}) if s.outs == (array,) and array not in s.ins else None


def _fills(s: For, made: Alloc) -> bool:
    """Whether a nest fills the whole array with zeros."""
    found = _visits(s, made.array, made.shape)
    if found is None:
        return False
    body, index = found
    (store,) = body if len(body) == 1 else (None,)
    return isinstance(store, Store) and not store.add and store.index == index and is_zero(store.value)


def _visits(s: Stmt, array: Array, shape: tuple[Expr, ...]) -> tuple[list[Stmt], tuple[Expr, ...]] | None:
    """The innermost body of loops over all elements of `array`, and the one index used there."""
    index: list[Expr] = []
    body: list[Stmt] = [s]
    for axis, length in enumerate(shape):
        loops = [x for x in body if _uses(x, array)]
        if len(loops) != 1 or not isinstance(loops[0], For):
            return None
        loop = loops[0]
        if loop.step != 1 or loop.start != ZERO or loop.stop not in (length, Dim(array, axis)):
            return None
        index.append(Ref(loop.var))
        body = loop.body
    where = tuple(index)
    for x in walk(body):
        for e in expressions(x):
            if any(isinstance(y, Load) and y.array.root is array and y.index != where for y in leaves(e)):
                return None
        if isinstance(x, Store) and x.array.root is array and (x.array is not array or x.index != where):
            return None
        if not isinstance(x, (Assign, Store)) and array in {*reads(x), *written([x])} and not children(x):
            return None
    if any(children(x) and _uses(x, array) for x in body):
        return None
    return body, where
