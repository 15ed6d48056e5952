"""Recursion as a loop: a body that runs itself anew becomes a machine of states with a stack of frames.

Staging marks with `Again` where a body runs once more from its beginning.  Here the body is cut at those
marks into a graph of pieces.  Pieces that control reaches by going round a loop, where branches join, or by
coming back from an inner run are states; a `while` loop runs one state in each iteration.  Before an inner
run a frame keeps what is still read after it: each scalar in a stack of its own, addressed by the depth, an
array as a copy on a common stack.  What comes out has nothing new for derivatives: loops and arrays.
"""

from __future__ import annotations

from collections.abc import Iterator

from tapeless.backends.native.nest import (
    ELEMENTS,
    I64,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Array,
    Assign,
    Check,
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
    While,
    apply,
    const,
    expressions,
    walk,
)
from tapeless.backends.native.renaming import Renaming
from tapeless.backends.native.staging.pieces import (
    Flags,
    Name,
    Piece,
    cut,
    live,
    owners,
    reachable,
    reads,
)

DTYPES = {"f64": "float64", "f32": "float32", "i64": "int64", "bool": "bool"}
#: How many frames there is room for at first.
ROOM = 32
#: A piece of so many statements that several ways lead to is copied rather than made a state.
SMALL = 4


def loop(
    body: list[Stmt], shared: set[Name], names: list[Name], limit: int, failure: int, line: int
) -> list[Stmt]:
    """The statements that run a body with `Again` in it.

    `shared` are what all runs have in common (results), `names` the arguments, which have their first values.
    A run deeper than `limit` fails.
    """
    return _Machine(body, shared, names, limit, failure, line).statements()


# ---- the machine


class _Machine:
    def __init__(
        self, body: list[Stmt], shared: set[Name], names: list[Name], limit: int, failure: int, line: int
    ) -> None:
        self.shared, self.limit, self.failure, self.line = shared, limit, failure, line
        self.names = names
        self.end = Piece()
        self.start = Piece(next=(cut(body, self.end),))
        self.flags = Flags(self.start, shared).at
        self.pieces = reachable(self.start)
        assigned: set[Name] = set(names)
        for s in self.all():
            if isinstance(s, (Assign, For)):
                assigned.add(s.var)
            elif isinstance(s, (Alloc, Alias)):
                assigned.add(s.array)
            elif isinstance(s, Intrinsic):
                assigned.update(x for x in s.outs if isinstance(x, Scalar))
        self.mine = assigned - shared
        self.order: dict[Name, int] = {}
        for x in [*names, *(x for s in self.all() for x in named(s))]:
            self.order.setdefault(x, len(self.order))
        self.live = self.liveness()
        self.states = self.find_states()
        self.depth, self.room = Scalar("depth", I64), Scalar("room", I64)
        self.here, self.next = Scalar("here", I64), Scalar("state", I64)
        self.back = Array("back", "int64", 1)
        self.stacks: dict[Scalar | tuple[Array, int], Array] = {}
        self.rooms: list[list[Stmt]] = []
        """What makes room for more frames, wherever one is kept."""
        self.heaps: dict[str, tuple[Array, Scalar, Scalar]] = {}

    def all(self) -> Iterator[Stmt]:
        """Every statement of the pieces."""
        for p in self.pieces:
            yield from walk(p.body)
            if p.again is not None:
                yield from walk(p.again.moves)

    # ---- analysis

    def liveness(self) -> dict[Piece, set[Name]]:
        at: dict[Piece, set[Name]] = {p: set() for p in self.pieces}
        changed = True
        while changed:
            changed = False
            for p in reversed(self.pieces):
                after = set[Name]().union(*(at[q] for q in p.next))
                if p.condition is not None:
                    after |= set(reads(p.condition))
                if p.again is not None:
                    after |= live(p.again.moves, {*p.again.passed})
                new = live(p.body, after) & self.mine
                if new != at[p]:
                    at[p], changed = new, True
        return at

    def find_states(self) -> dict[Piece, int]:
        """The pieces where an iteration can begin."""
        before: dict[Piece, int] = {}
        for p in self.pieces:
            for q in p.next:
                before[q] = before.get(q, 0) + 1
        found = [self.start]
        for p in self.pieces:
            if p.again is not None:
                found += p.next
            found += [q for q in p.next if before[q] > 1 and self.large(q)]
        return {p: k for k, p in enumerate(dict.fromkeys(found))}

    def large(self, p: Piece) -> bool:
        """Whether a piece (with all that follows it) is too long to be copied, or goes in circles."""
        count, todo = 0, [p]
        while todo and count <= SMALL:
            p = todo.pop()
            count += sum(1 for _ in walk(p.body)) + (p.again is not None) * SMALL + len(p.next) // 2
            todo += p.next if p.again is None else ()
        return bool(todo) or count > SMALL

    # ---- statements

    def statements(self) -> list[Stmt]:
        bodies = [self.state(p) for p in self.states]
        room = const(min(ROOM, self.limit + 1))
        out: list[Stmt] = [Assign(self.depth, ZERO), Assign(self.room, room), Assign(self.next, ZERO)]
        stacks = [*self.stacks.values(), *([self.back] if self.several else [])]
        out += [Alloc(a, (room,)) for a in stacks]
        if self.several:
            out.append(Store(self.back, (ZERO,), const(-1)))
        for more in self.rooms:
            double = apply("minimum", Ref(self.room) * 2, const(self.limit + 1))
            more += [Assign(self.room, double), *(Grow(a, Ref(self.room)) for a in stacks)]
        for heap, top, size in self.heaps.values():
            out += [Alloc(heap, (ZERO,)), Assign(top, ZERO), Assign(size, ZERO)]
        first = self.live[self.start]
        carried = dict.fromkeys(v for p in self.jumped() for v in self.ordered(p) if v not in first)
        out += [Assign(v, const(0, v.type)) for v in carried if isinstance(v, Scalar)]
        kept = dict.fromkeys(key[0] for key in self.stacks if isinstance(key, tuple))
        out += [Alloc(a, (ZERO,) * a.ndim) for a in kept if a.alias is None and a not in self.names]
        chain: list[Stmt] = bodies[-1]
        for k in reversed(range(len(bodies) - 1)):
            chain = [If(apply("eq", Ref(self.here), const(k)), bodies[k], chain)]
        again = apply("ge", Ref(self.next), ZERO)
        out.append(While([], again, [Assign(self.here, Ref(self.next)), *chain]))
        for s in walk(out):
            s.line = s.line or self.line
        return out

    @property
    def several(self) -> bool:
        """Whether there are several places where control comes back to."""
        return sum(p.again is not None for p in self.pieces) > 1

    def jumped(self) -> list[Piece]:
        """States that are reached without a frame."""
        return [p for p in self.states if p not in self.resumed()]

    def resumed(self) -> set[Piece]:
        return {q for p in self.pieces if p.again is not None for q in p.next}

    def ordered(self, p: Piece) -> list[Name]:
        """What is live at a piece, in the order of the program."""
        return sorted(self.live[p], key=lambda x: self.order[x])

    def state(self, p: Piece) -> list[Stmt]:
        """What an iteration in a state does: its scalars are its own, so that they are assigned once."""
        own: dict[Name, Name] = {}
        out: list[Stmt] = []
        resumed = p in self.resumed()
        if resumed:
            out += self.restore(p, own)
        else:
            for v in self.ordered(p):
                if isinstance(v, Scalar):
                    out.append(Assign(mine(v, own), Ref(v)))
        return [*out, *self.tree(p, own)]

    def tree(self, p: Piece, own: dict[Name, Name]) -> list[Stmt]:
        """A piece and what follows it until the iteration ends."""
        for s in walk(p.body):
            for x in given(s):
                if isinstance(x, Scalar) and x in self.mine:
                    own.setdefault(x, Scalar(x.name, x.type))
        renaming = Renaming(own)
        out = [renaming.stmt(s) for s in p.body]
        if p.again is not None:
            return [*out, *self.call(p, own)]
        if p.condition is not None:
            then, orelse = (self.go(q, own) for q in p.next)
            return [*out, If(renaming.expr(p.condition), then, orelse)]
        if p.next:
            return [*out, *self.go(p.next[0], own)]
        if self.several:
            return [*out, Assign(self.next, Load(self.back, (Ref(self.depth),)))]
        resumed = [self.states[q] for q in self.resumed()]
        after = resumed[0] if resumed else -1
        deeper = apply("gt", Ref(self.depth), ZERO)
        return [*out, Assign(self.next, apply("select", deeper, const(after), const(-1)))]

    def go(self, p: Piece, own: dict[Name, Name]) -> list[Stmt]:
        if p not in self.states:
            return self.tree(p, own)
        out: list[Stmt] = []
        for v in self.ordered(p):
            if isinstance(v, Scalar) and v in own:
                out.append(Assign(v, Renaming(own).expr(Ref(v))))
        return [*out, Assign(self.next, const(self.states[p]))]

    # ---- frames

    def kept(self, p: Piece) -> list[Name]:
        """What the frame of a piece that control comes back to holds."""
        known = self.flags.get(p, {})
        return [v for v in self.ordered(p) if v not in known]

    def call(self, p: Piece, own: dict[Name, Name]) -> list[Stmt]:
        """Keep a frame and begin a new run."""
        assert p.again is not None
        back, depth, renaming = p.next[0], Ref(self.depth), Renaming(own)
        out: list[Stmt] = []
        stacks: list[tuple[Array, Expr]] = []
        for v in self.kept(back):
            if isinstance(v, Scalar):
                stacks.append((self.stack(v), renaming.expr(Ref(v))))
                continue
            stacks += [(self.stack((v, k)), Dim(v, k)) for k in range(v.ndim)]
            if v.alias is None:
                out += self.push(v)
        self.rooms.append([Check(apply("le", depth, const(self.limit)), self.failure)])
        out.append(Assign(self.depth, depth + ONE))
        out.append(If(apply("ge", depth, Ref(self.room)), self.rooms[-1]))
        out += [Store(a, (depth,), e) for a, e in stacks]
        if self.several:
            out.append(Store(self.back, (depth,), const(self.states[back])))
        for s in p.again.moves:
            if isinstance(s, Assign):
                out.append(Assign(s.var, renaming.expr(s.value)))
                continue
            own |= {x: Scalar(x.name, x.type) for y in walk([s]) for x in given(y) if isinstance(x, Scalar)}
            out.append(renaming.stmt(s))
        return [*out, Assign(self.next, ZERO)]

    def restore(self, p: Piece, own: dict[Name, Name]) -> list[Stmt]:
        """Take a frame back."""
        out: list[Stmt] = []
        depth = Ref(self.depth)
        for flag, truth in self.flags.get(p, {}).items():
            if flag in self.live[p]:
                out.append(Assign(mine(flag, own), const(truth)))
        arrays: list[Array] = []
        for v in self.kept(p):
            if isinstance(v, Scalar):
                out.append(Assign(mine(v, own), Load(self.stack(v), (depth,))))
            else:
                arrays.append(v)
        shapes = {v: tuple(Load(self.stack((v, k)), (depth,)) for k in range(v.ndim)) for v in arrays}
        for a in reversed(arrays):
            if a.alias is None:
                out += self.pop(a, shapes[a])
        for a in sorted(arrays, key=lambda a: len(list(owners(a)))):
            if a.alias is not None:
                out.append(Alias(a, shapes[a]))
        return [*out, Assign(self.depth, depth - ONE)]

    def stack(self, key: Scalar | tuple[Array, int]) -> Array:
        if key not in self.stacks:
            if isinstance(key, Scalar):
                self.stacks[key] = Array(f"{key.name}_stack", DTYPES[key.type], 1)
            else:
                self.stacks[key] = Array(f"{key[0].name}_length", "int64", 1)
        return self.stacks[key]

    def heap(self, dtype: str) -> tuple[Array, Scalar, Scalar]:
        if dtype not in self.heaps:
            name = f"frames_{ELEMENTS[dtype]}"
            self.heaps[dtype] = (
                Array(name, dtype, 1),
                Scalar(f"{name}_top", I64),
                Scalar(f"{name}_room", I64),
            )
        return self.heaps[dtype]

    def push(self, a: Array) -> list[Stmt]:
        """The elements of an array go to the top of a stack."""
        heap, top, size = self.heap(a.dtype)
        full, shape = Scalar("full", I64), tuple(Dim(a, k) for k in range(a.ndim))
        out: list[Stmt] = [Assign(full, Ref(top) + volume(shape))]
        room: list[Stmt] = [Assign(size, apply("maximum", Ref(full), Ref(size) * 2)), Grow(heap, Ref(size))]
        out.append(If(apply("gt", Ref(full), Ref(size)), room))
        index, number = indices(shape)
        body: list[Stmt] = [Store(heap, (Ref(top) + number,), Load(a, index))]
        return [*out, *nested(index, shape, body), Assign(top, Ref(full))]

    def pop(self, a: Array, lengths: tuple[Expr, ...]) -> list[Stmt]:
        heap, top, _ = self.heap(a.dtype)
        out: list[Stmt] = [Alloc(a, lengths)]
        shape = tuple(Dim(a, k) for k in range(a.ndim))
        out.append(Assign(top, Ref(top) - volume(shape)))
        index, number = indices(shape)
        body: list[Stmt] = [Store(a, index, Load(heap, (Ref(top) + number,)))]
        return [*out, *nested(index, shape, body)]


def mine(v: Scalar, own: dict[Name, Name]) -> Scalar:
    """A variable for `v` that only one state has."""
    made = own[v] = Scalar(v.name, v.type)
    return made


def volume(shape: tuple[Expr, ...]) -> Expr:
    total: Expr = ONE
    for n in shape:
        total = total * n
    return total


def indices(shape: tuple[Expr, ...]) -> tuple[tuple[Ref, ...], Expr]:
    """Variables for the index of an element, and its number in row-major order."""
    index = tuple(Ref(Scalar("ijklmn"[min(k, 5)], I64)) for k in range(len(shape)))
    number: Expr = ZERO
    for i, n in zip(index, shape, strict=True):
        number = number * n + i
    return index, number


def nested(index: tuple[Ref, ...], shape: tuple[Expr, ...], body: list[Stmt]) -> list[Stmt]:
    for i, n in zip(reversed(index), reversed(shape), strict=True):
        body = [For(i.var, ZERO, n, body, independent=True)]
    return body


def given(s: Stmt) -> Iterator[Name]:
    """What a statement itself gives a value."""
    if isinstance(s, (Assign, For)):
        yield s.var
    elif isinstance(s, Intrinsic):
        yield from (x for x in s.outs if isinstance(x, Scalar))


def named(s: Stmt) -> Iterator[Name]:
    """What a statement itself names."""
    yield from given(s)
    if isinstance(s, (Store, Alloc, Alias, Grow)):
        yield s.array
    for e in expressions(s):
        yield from reads(e)
