"""A body that runs itself anew, cut into pieces: where control goes, and what is still read there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tapeless.backends.native.nest import (
    BOOL,
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
    apply,
    children,
    expressions,
    leaves,
    walk,
)

Name = Scalar | Array


@dataclass(slots=True)
class Again(Stmt):
    """Here the body runs from its beginning; `moves`, which give it its arguments, come after the saves.

    Of the arguments `passed` are given on as they are.
    """

    moves: list[Stmt]
    passed: set[Array]


@dataclass(eq=False, slots=True)
class Piece:
    """Statements that run in a row, and how they end.

    `next` is one piece (a jump), two (a branch on `condition`), or none: the run is over.  With `again` a
    run of the whole body lies between this piece and the next.
    """

    body: list[Stmt] = field(default_factory=list)
    next: tuple[Piece, ...] = ()
    condition: Expr | None = None
    again: Again | None = None


# ---- the graph


def cut(body: list[Stmt], after: Piece) -> Piece:
    """The pieces of a body; `after` follows it."""
    piece = Piece(next=(after,))
    for stmt in reversed(body):
        if isinstance(stmt, Again):
            piece = Piece(
                next=(Piece(next=(piece,)),), again=stmt
            )  # control comes back to a piece of its own
        elif not recurs(stmt):
            piece.body.insert(0, stmt)
        elif isinstance(stmt, If):
            then, orelse = cut(stmt.then, piece), cut(stmt.orelse, piece)
            piece = Piece(next=(then, orelse), condition=stmt.condition)
        elif isinstance(stmt, For):
            stop, i = Scalar("stop", I64), Ref(stmt.var)
            head = Piece(condition=apply("lt" if stmt.step > 0 else "gt", i, Ref(stop)))
            head.next = (cut([*stmt.body, Assign(stmt.var, i + stmt.step)], head), piece)
            piece = Piece([Assign(stop, stmt.stop), Assign(stmt.var, stmt.start)], (head,))
        else:
            assert isinstance(stmt, While)
            head = Piece()
            test = Piece(condition=stmt.condition)
            test.next = (cut(stmt.body, head), piece)
            head.next = (cut(stmt.test, test),)
            piece = Piece(next=(head,))
    return piece


def recurs(stmt: Stmt) -> bool:
    return any(isinstance(s, Again) for s in walk([stmt]))


def reachable(start: Piece) -> list[Piece]:
    """Every piece that `start` leads to, itself first."""
    found, todo = {start: None}, [start]
    while todo:
        for p in todo.pop().next:
            if p not in found:
                found[p] = None
                todo.append(p)
    return list(found)


# ---- what is known of flags

Known = dict[Scalar, bool]


def decide(e: Expr, known: Known) -> bool | None:
    """The truth of a condition, where flags decide it."""
    if isinstance(e, Const):
        return bool(e.value)
    if isinstance(e, Ref):
        return known.get(e.var)
    if isinstance(e, Apply) and e.op == "not":
        truth = decide(e.args[0], known)
        return None if truth is None else not truth
    if isinstance(e, Apply) and e.op in ("all", "any"):
        a, b = (decide(x, known) for x in e.args)
        least = e.op == "any"
        return least if least in (a, b) else (not least if a is b is (not least) else None)
    return None


def learn(e: Expr, truth: bool, known: Known) -> None:
    """Note what a condition that was tested says of flags."""
    if isinstance(e, Ref):
        known[e.var] = truth
    elif isinstance(e, Apply) and e.op == "not":
        learn(e.args[0], not truth, known)
    elif isinstance(e, Apply) and e.op == ("all" if truth else "any"):
        for x in e.args:
            learn(x, truth, known)


def through(body: list[Stmt], known: Known) -> Known:
    """What is known of flags after some statements."""
    for s in body:
        if isinstance(s, Assign) and s.var.type == BOOL:
            truth = decide(s.value, known)
            known = {v: t for v, t in known.items() if v is not s.var}
            if truth is not None:
                known[s.var] = truth
        elif children(s):
            changed = {x.var for x in walk([s]) if isinstance(x, Assign)}
            known = {v: t for v, t in known.items() if v not in changed}
        elif isinstance(s, Intrinsic):
            known = {v: t for v, t in known.items() if v not in s.outs}
    return known


class Flags:
    """The flags known at the beginning of each piece; branches that they decide are taken out."""

    def __init__(self, start: Piece, shared: set[Name]) -> None:
        self.start, self.shared = start, shared
        while True:
            self.at = self.flow()
            if not self.thread():
                break

    def flow(self) -> dict[Piece, Known]:
        at: dict[Piece, Known] = {self.start: {}}
        todo = [self.start]
        while todo:
            p = todo.pop()
            for q, known in self.out(p, at[p]):
                old = at.get(q)
                new = known if old is None else {v: t for v, t in old.items() if known.get(v) is t}
                if new != old:
                    at[q] = new
                    todo.append(q)
        return at

    def out(self, p: Piece, known: Known) -> Iterator[tuple[Piece, Known]]:
        known = through(p.body, known)
        if p.again is not None:
            known = {v: t for v, t in known.items() if v not in self.shared}
        if p.condition is None:
            yield from ((q, known) for q in p.next)
            return
        for q, truth in zip(p.next, (True, False), strict=True):
            if decide(p.condition, known) in (None, truth):
                more = dict(known)
                learn(p.condition, truth, more)
                yield q, more

    def thread(self) -> bool:
        """Ways past tests that are decided on them; whether there was one."""
        changed = False
        for p, known in self.at.items():
            if p.condition is not None:
                truth = decide(p.condition, through(p.body, known))
                if truth is not None:
                    p.next, p.condition, changed = (p.next[not truth],), None, True
                    continue
            if p.again is not None:
                continue
            ways = dict(self.out(p, known)) if len(set(p.next)) == len(p.next) else {}
            target = tuple(self.past(q, ways[q]) if q in ways else q for q in p.next)
            if target != p.next:
                p.next, changed = target, True
        return changed

    @staticmethod
    def past(q: Piece, known: Known) -> Piece:
        """Where a way to `q` leads in the end."""
        for _ in range(1000):  # an empty loop never ends
            if q.body or q.again is not None or not q.next:
                break
            truth = True if q.condition is None else decide(q.condition, known)
            if truth is None:
                break
            q = q.next[not truth]
        return q


# ---- what is still read


def reads(e: Expr) -> Iterator[Name]:
    for x in leaves(e):
        if isinstance(x, Ref):
            yield x.var
        elif isinstance(x, (Load, Dim)):
            yield from owners(x.array)


def owners(a: Array) -> Iterator[Array]:
    """An array and those whose memory it names."""
    yield a
    if a.alias is not None:
        yield from owners(a.alias)


def live(body: list[Stmt], after: set[Name]) -> set[Name]:
    """What may be read from the beginning of some statements on."""
    for s in reversed(body):
        after = _live(s, after)
    return after


def _live(s: Stmt, after: set[Name]) -> set[Name]:
    mine = {x for e in expressions(s) for x in reads(e)}
    if isinstance(s, Assign):
        return (after - {s.var}) | mine
    if isinstance(s, If):
        return live(s.then, after) | live(s.orelse, after) | mine
    if isinstance(s, For):
        inside = after
        while not (more := live(s.body, inside) - {s.var}) <= inside:
            inside = inside | more
        return inside | mine
    if isinstance(s, While):
        head = live(s.test, after | mine)
        while not (more := live(s.test, live(s.body, head) | after | mine)) <= head:
            head = head | more
        return head
    if isinstance(s, Alloc):
        return (after - {s.array}) | mine
    if isinstance(s, Alias):
        return (after - {s.array}) | mine | (set(owners(s.array)) - {s.array})
    if isinstance(s, Swap):
        return after | {s.a, s.b}
    if isinstance(s, (Store, Grow)):
        return after | mine | set(owners(s.array))
    if isinstance(s, Intrinsic):
        outs = {x for x in s.outs if isinstance(x, Scalar)}
        arrays = {a for x in (*s.ins, *s.outs) if isinstance(x, Array) for a in owners(x)}
        return (after - outs) | mine | arrays
    return after | mine
