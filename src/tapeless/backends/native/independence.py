"""Which loops have iterations that do not depend on each other, but for sums over them.

A nest is walked in order, with the value of every integer as a polynomial in what is not known.  A loop's
body is walked twice, as two iterations of which one comes after the other, and what the one touches must be
apart from what the other one writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tapeless.backends.native.activity import Name, root
from tapeless.backends.native.intrinsics import CALLED_BACK
from tapeless.backends.native.nest import (
    BOOL,
    FLOATS,
    I64,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Check,
    Const,
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
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.polynomials import (
    Facts,
    Poly,
    Unknowns,
    constant,
    frozen,
    plus,
    product,
)
from tapeless.backends.native.scopes import aliases, look, reads, writes, written

#: Iterations at this distance are not near each other.
NEAR = 8
#: So many pairs of accesses to one array are compared, no more.
PAIRS = 4000
#: Operations whose results may be put together in any grouping, and what each begins with, by type.
JOINED: dict[str, dict[str, float | int | bool]] = {
    "add": {"f64": 0.0, "f32": 0.0, "i64": 0},
    "minimum": {"f64": float("inf"), "f32": float("inf"), "i64": 2**63 - 1},
    "maximum": {"f64": float("-inf"), "f32": float("-inf"), "i64": -(2**63)},
    "any": {BOOL: False},
    "all": {BOOL: True},
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A loop with independent iterations, but for what they only add to (or take the least of, …)."""

    scalars: dict[Scalar, str] = field(default_factory=dict)
    arrays: tuple[Array, ...] = ()
    near: bool = False
    """Iterations that are not `NEAR` each other are independent; those that are add to the same elements."""


@dataclass(slots=True)
class Access:
    """An element that an iteration touches: under these facts, for inner loops in these ranges."""

    array: Array
    index: tuple[Poly, ...]
    flat: Poly
    writes: bool
    facts: list[Poly]
    ranges: list[tuple[int, Poly]]


class Values:
    """What is known of integers at a place of a nest."""

    def __init__(self) -> None:
        self.unknowns = Unknowns()
        self.scalars: dict[Scalar, Poly] = {}
        self.lengths: dict[tuple[Array, int], Poly] = {}
        self.facts: list[Poly] = []
        #: the loops around, the innermost first: number of the iteration, and the greatest one
        self.ranges: list[tuple[int, Poly]] = []

    def of(self, e: Expr) -> Poly:
        if isinstance(e, Const) and e.type == I64:
            return constant(int(e.value))
        if isinstance(e, Ref) and e.type == I64:
            return self.scalars[e.var] if e.var in self.scalars else self.unknowns.of(e.var)
        if isinstance(e, Dim):
            known = self.lengths.get((e.array, e.axis))
            return self.unknowns.of((e.array, e.axis), True) if known is None else known
        if isinstance(e, Apply) and e.type == I64 and all(a.type == I64 for a in e.args):
            return self.combined(e.op, [self.of(a) for a in e.args])
        return self.unknowns.fresh()

    def combined(self, op: str, v: list[Poly]) -> Poly:
        if op in ("add", "sub"):
            return plus(v[0], v[1], 1 if op == "add" else -1)
        if op == "neg":
            return plus({}, v[0], -1)
        if op == "mul":
            return product(v[0], v[1])
        if op == "maximum":
            for a, b in (v, v[::-1]):
                if not any(b):  # a number
                    return plus(self.unknowns.clamp(plus(a, b, -1)), b)
        by = v[1].get((), 0) if len(v) == 2 and not any(v[1]) else 0
        if op == "floordiv" and by > 0 and all(c % by == 0 for c in v[0].values()):
            return {term: c // by for term, c in v[0].items()}
        positive = (op == "floordiv" and by > 0 and self.unknowns.plain(v[0])) or (op == "mod" and by > 0)
        return self.unknowns.of((op, tuple(map(frozen, v))), positive)

    def trips(self, s: For) -> tuple[Poly, Poly]:
        """The first value of a loop's variable, and how many iterations it has, if there are any."""
        start, stop = self.of(s.start), self.of(s.stop)
        span = plus(stop, start, -1) if s.step > 0 else plus(start, stop, -1)
        if abs(s.step) != 1:
            up = plus(span, constant(abs(s.step) - 1))
            span = self.combined("floordiv", [up, constant(abs(s.step))])
        return start, span

    def forget(self, body: Iterable[Stmt]) -> None:
        """What a body may change is not known."""
        for s in body:
            for x in writes(s):
                if isinstance(x, Scalar):
                    self.scalars[x] = self.unknowns.fresh()
            if isinstance(s, (Alloc, Alias, Grow)):
                self.measure(s.array, None)
            elif isinstance(s, Swap):
                for a in (s.a, s.b):
                    self.measure(a, None)

    def measure(self, a: Array, shape: tuple[Expr, ...] | None) -> None:
        for k in range(a.ndim):
            self.lengths[a, k] = self.unknowns.fresh(True) if shape is None else self.of(shape[k])

    @contextmanager
    def inside(self, s: Stmt, body: list[Stmt], iteration: Poly | None = None) -> Iterator[None]:
        """Walking a body of `s`: an iteration of a loop, or a branch."""
        inner = list(walk([s]) if not isinstance(s, If) else walk(body))
        loops, facts, ranges = isinstance(s, (For, While)), len(self.facts), list(self.ranges)
        start, trips = self.trips(s) if isinstance(s, For) else ({}, {})
        before = dict(self.scalars), dict(self.lengths)
        if loops:
            self.forget(inner)
        if isinstance(s, For):
            top = plus(trips, constant(-1))
            turn = self.unknowns.fresh(True) if iteration is None else iteration
            if iteration is None:
                self.ranges.insert(0, (next(iter(turn))[0], top))
            self.facts += [top, plus(top, turn, -1)] if iteration is not None else [top]
            self.scalars[s.var] = plus(start, turn, s.step)
        try:
            yield
        finally:
            del self.facts[facts:]
            self.ranges = ranges
            self.scalars, self.lengths = before
            self.forget(inner)

    def passed(self, s: Stmt) -> None:
        """A statement without a body has run."""
        if isinstance(s, Assign) and s.var.type == I64:
            self.scalars[s.var] = self.of(s.value)
        elif isinstance(s, (Alloc, Alias)):
            self.measure(s.array, s.shape)
        else:
            self.forget([s])


class Judge:
    """Judges the loops of a function, of which a walk through it has the values."""

    def __init__(self, fn: Function) -> None:
        self.swapped = _swapped(fn.body)
        params: set[Name] = {p for p in fn.params if isinstance(p, Array)}
        #: arrays that the caller may hold, and those that live as long as the function
        self.theirs = params | (set(self.swapped) if params & set(self.swapped) else set())
        self.lasting = params | {root(r) for r in fn.results if isinstance(r, Array)}
        self.named = Counter(_named(fn.body))

    def judge(self, loop: For, values: Values, after: set[Name]) -> Verdict | None:
        """What threads must know to share a loop; None if they cannot.  `after`: what is read afterwards."""
        inside = list(walk(loop.body))
        if any(isinstance(s, Intrinsic) and s.name in CALLED_BACK for s in inside):
            return None
        exposed = look(loop.body, {})[0]
        made = {s.array for s in inside if isinstance(s, Alloc)}
        if made & (exposed | after | self.lasting | set(self.swapped - _swapped(loop.body))):
            return None
        declared = Counter(_named(loop.body))
        inner = {s.array for s in inside if isinstance(s, Alias)}
        if any(declared[a] != self.named[a] for a in inner):
            return None
        if any(a.root in made and a not in inner for a in declared):
            return None
        changed = {x for s in inside for x in writes(s) if isinstance(x, Array)} - made
        for s in inside:
            whole = [x for x in writes(s) if isinstance(x, Array)] if not isinstance(s, Store) else []
            if not made.issuperset(whole):
                return None
        if changed & self.theirs and any(isinstance(s, (Check, Raise)) or _fails(s) for s in inside):
            return None  # the caller could see what later iterations have written
        scalars = sums(loop.body, {x for x in exposed | after if isinstance(x, Scalar)}, exposed)
        if scalars is None:
            return None
        if loop.independent:
            return Verdict(scalars)
        if any(isinstance(s, Intrinsic) and changed & set(reads(s)) for s in inside):
            return None
        both = self.iterations(loop, values, changed, 1)
        mixed = [a for a in changed if not self.apart(values.unknowns, a, *both)]
        added = [only_added(inside, a) for a in mixed]
        if not mixed or None in added:
            return None if mixed else Verdict(scalars)
        far = self.iterations(loop, values, set(mixed), NEAR)
        close = [self.apart(values.unknowns, a, *far) for a in mixed]
        arrays = tuple(a for a, yes in zip(added, close, strict=True) if a is not None and not yes)
        return Verdict(scalars, arrays, any(close))

    def iterations(
        self, loop: For, values: Values, changed: set[Array], distance: int
    ) -> tuple[list[Access], list[Access]]:
        """What two iterations touch of some arrays, one of them so much after the other at least."""
        first = values.unknowns.fresh(True)
        second = plus(plus(first, constant(distance)), values.unknowns.fresh(True))
        found: list[list[Access]] = []
        for turn in (first, second):
            out: dict[object, Access] = {}
            with values.inside(loop, loop.body, turn):
                outer, values.ranges = values.ranges, []
                collect(loop.body, values, changed, out)
                values.ranges = outer
            found.append(list(out.values()))
        return found[0], found[1]

    def apart(self, unknowns: Unknowns, array: Array, early: list[Access], late: list[Access]) -> bool:
        """Whether no element of an array that one iteration writes is touched by the other."""
        early = [x for x in early if x.array.root is array]
        late = [x for x in late if x.array.root is array]
        if len(early) * len(late) > PAIRS:
            return False
        known: dict[object, Facts] = {}
        for a in early:
            for b in late:
                if not (a.writes or b.writes):
                    continue
                both = [*a.facts, *b.facts]
                key = frozenset(map(frozen, both))
                if key not in known:
                    known[key] = Facts(unknowns, both)
                if not distinct(a, b, known[key]):
                    return False
        return True


def distinct(a: Access, b: Access, facts: Facts) -> bool:
    ranges = [*a.ranges, *b.ranges]
    pairs = list(zip(a.index, b.index, strict=True)) if a.array is b.array else []
    if a.array.contiguous and b.array.contiguous and (a.array is not b.array or a.array.ndim > 1):
        pairs.append((a.flat, b.flat))
    for x, y in pairs:
        for sign in (1, -1):
            difference = plus(plus({}, y, sign), x, -sign)
            if facts.positive(plus(facts.least(difference, ranges), constant(-1))):
                return True
    return False


def collect(body: list[Stmt], values: Values, arrays: set[Array], out: dict[object, Access]) -> None:
    """The elements of some arrays that a body touches."""
    for s in body:
        for e in expressions(s):
            for x in leaves(e):
                if isinstance(x, Load):
                    note(x.array, x.index, False, values, arrays, out)
        if isinstance(s, Store):
            note(s.array, s.index, True, values, arrays, out)
        if isinstance(s, For):
            with values.inside(s, s.body):
                collect(s.body, values, arrays, out)
        elif isinstance(s, While):
            with values.inside(s, s.body):
                collect(s.test, values, arrays, out)
                collect(s.body, values, arrays, out)
                collect([If(s.condition, [])], values, arrays, out)
        elif isinstance(s, If):
            for branch in (s.then, s.orelse):
                with values.inside(s, branch):
                    collect(branch, values, arrays, out)
        else:
            values.passed(s)


def note(
    a: Array,
    index: tuple[Expr, ...],
    writes: bool,
    values: Values,
    arrays: set[Array],
    out: dict[object, Access],
) -> None:
    if a.root not in arrays:
        return
    at = tuple(map(values.of, index))
    flat: Poly = {}
    for k, i in enumerate(at):
        flat = plus(product(flat, values.of(Dim(a, k))), i)
    key = a, tuple(map(frozen, at)), frozenset(map(frozen, values.facts))
    if key in out:
        out[key].writes |= writes
    else:
        out[key] = Access(a, at, flat, writes, list(values.facts), list(values.ranges))


# ---- sums


def sums(body: list[Stmt], needed: set[Scalar], exposed: set[Name]) -> dict[Scalar, str] | None:
    """How iterations put together each scalar that outlives them; None if one is more than that."""
    inside = list(walk(body))
    assigned = {x for s in inside for x in writes(s) if isinstance(x, Scalar)} & needed
    if not assigned:
        return {}
    state: dict[Scalar, object] = {x: x for x in assigned if x in exposed}
    after = _kept(body, dict(state))
    found: dict[Scalar, str] = {}
    for var in assigned:
        if after.get(var) is var:
            continue  # it ends as it began
        op = _joined(inside, var, needed) if var in exposed else None
        if op is None:
            return None
        found[var] = op
    return found


def _kept(body: list[Stmt], state: dict[Scalar, object]) -> dict[Scalar, object]:
    """Which scalars hold 0, or what one held at first, after a body; from what they hold before it."""

    def of(e: Expr) -> object:
        if isinstance(e, Const) and e.type in FLOATS:
            return 0 if e.value == 0 else None
        if isinstance(e, Ref):
            return state.get(e.var)
        if isinstance(e, Apply) and e.op == "add":
            a, b = map(of, e.args)
            return b if a == 0 else a if b == 0 else None
        return None

    for s in body:
        if isinstance(s, Assign):
            value = of(s.value)
            state = {x: v for x, v in state.items() if x is not s.var}
            if value is not None:
                state[s.var] = value
        elif isinstance(s, If):
            state = _both(_kept(s.then, dict(state)), _kept(s.orelse, dict(state)))
        elif isinstance(s, (For, While)):
            before: dict[Scalar, object] = {}
            while before != state:
                before = state
                once = _kept(s.body, dict(state)) if isinstance(s, For) else {}
                if isinstance(s, While):
                    state = {x: v for x, v in state.items() if x not in set(written([s]))}
                    break
                state = _both(state, once)
        else:
            gone = set(writes(s))
            state = {x: v for x, v in state.items() if x not in gone}
    return state


def _both(a: dict[Scalar, object], b: dict[Scalar, object]) -> dict[Scalar, object]:
    return {x: v for x, v in a.items() if x in b and (b[x] is v or (v == 0 and b[x] == 0))}


def _joined(inside: list[Stmt], var: Scalar, needed: set[Scalar]) -> str | None:
    """The one operation by which iterations take a variable to its new value, by way of others perhaps.

    All that depends on the variable is it, joined with something: so a sum that begins with another value
    differs by the difference of the two.
    """
    carriers = {var}
    assigns = [s for s in inside if isinstance(s, Assign)]
    count = 0
    while count != len(carriers):
        count = len(carriers)
        carriers |= {s.var for s in assigns if _refers(s.value, carriers)}
    if carriers & needed != {var}:
        return None
    ops: set[str] = set()
    for s in inside:
        if isinstance(s, Assign) and s.var in carriers:
            op = _join(s.value, carriers)
            if op is None:
                return None
            ops.add(op)
        elif any(_refers(e, carriers) for e in expressions(s)) or carriers & set(writes(s)):
            return None
    ops.discard("")
    op = ops.pop() if len(ops) == 1 else None
    return op if op is not None and var.type in JOINED[op] else None


def _refers(e: Expr, scalars: set[Scalar]) -> bool:
    return any(isinstance(x, Ref) and x.var in scalars for x in leaves(e))


def _join(e: Expr, carriers: set[Scalar]) -> str | None:
    """The operation that joins one of the carriers with other things; "" if it is the carrier itself."""
    if isinstance(e, Const) and e.type == BOOL:
        return "any" if e.value else "all"
    op = ""
    while isinstance(e, Apply):
        this = "add" if e.op == "sub" else e.op
        inner = [a for a in e.args if _refers(a, carriers)]
        if this not in JOINED or op not in ("", this) or len(inner) != 1:
            return None
        if e.op == "sub" and inner[0] is not e.args[0]:
            return None
        op, e = this, inner[0]
    return op if isinstance(e, Ref) and e.var in carriers else None


def only_added(inside: list[Stmt], a: Array) -> Array | None:
    """The name under which numbers are only added to the elements of an array, if that is all."""
    named: set[Array] = set()
    for s in inside:
        loads = {x.array for e in expressions(s) for x in leaves(e) if isinstance(x, Load)}
        if any(x.root is a for x in loads):
            return None
        if isinstance(s, Store) and s.array.root is a:
            if not s.add or s.array.element not in FLOATS:
                return None
            named.add(s.array)
        elif isinstance(s, Alias) and s.array.root is a:
            return None
    return named.pop() if len(named) == 1 else None


def _fails(s: Stmt) -> bool:
    return isinstance(s, Intrinsic) and "failure" in s.attrs


def _swapped(body: list[Stmt]) -> Counter[Array]:
    """How often arrays change their memory with another one."""
    return Counter(a.root for s in walk(body) if isinstance(s, Swap) for a in (s.a, s.b))


def _named(body: list[Stmt]) -> Iterator[Array]:
    """Every mention of an alias."""
    for s in walk(body):
        yield from aliases(s)
        if isinstance(s, Alias):
            yield s.array
