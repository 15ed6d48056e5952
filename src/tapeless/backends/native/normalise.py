"""A nest made ready for reverse mode.

Conditions, bounds and shapes become variables or constants that keep their value while the statement runs,
loops with a test count their trips, and values that derivatives use again get variables of their own.
"""

from __future__ import annotations

from collections.abc import Collection

from tapeless.backends.native.activity import Activity
from tapeless.backends.native.nest import (
    I64,
    ONE,
    ZERO,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Const,
    Dim,
    Expr,
    For,
    Function,
    Grow,
    If,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    While,
    leaves,
    walk,
)
from tapeless.backends.native.partials import USES_VALUE
from tapeless.backends.native.renaming import clone, map_leaves
from tapeless.backends.native.scopes import Scopes, names, written

#: A factor of more leaves than this gets a variable before it is used in a derivative.
_LONG = 4


class Normaliser:
    """Rewrites a copy of a nest's body."""

    def __init__(self, fn: Function, activity: Activity) -> None:
        self.fn, self.activity = fn, activity
        self.params = set(fn.params)
        self.grown = {s.array for s in walk(fn.body) if isinstance(s, Grow)}
        given = [s.array for s in walk(fn.body) if isinstance(s, (Alloc, Alias))]
        self.once = {a for a in given if given.count(a) == 1} - self.grown
        self.changed = written(fn.body)
        self.shapes: dict[Array, tuple[Expr, ...]] = {}
        self.trips: dict[int, Scalar] = {}
        self.head: list[Stmt] = []
        self.hoisted: dict[Expr, Ref] = {}
        body = clone(fn.body)
        scopes = Scopes(body, [*fn.params, *fn.results])
        #: arrays whose storage does not begin with the block where they live, or begins anew
        self.several: set[Array] = set()
        self.dims: dict[Array, list[Scalar]] = {}
        self.begins: dict[int, list[Stmt]] = {}
        for a, allocs in scopes.allocs.items():
            home = scopes.home[a]
            grows = a in self.grown and home.loops
            if grows or len(allocs) > 1 or scopes.block_of[id(allocs[0])] is not home:
                self._several(a, [s.shape for s in allocs], id(home.body))
        body = self.block(body)
        self.body = [*self.head, *body]

    def _several(self, a: Array, shapes: list[tuple[Expr, ...]], home: int) -> None:
        """Lengths of their own for an array that may have several; they are 0 before it has storage."""
        self.several.add(a)
        same = all(s == shapes[0] for s in shapes) and a not in self.grown
        if same and all(harmless(e) and all(map(self.fixed, leaves(e))) for e in shapes[0]):
            self.shapes[a] = tuple(
                self.steady(e, (), f"{a.name}_d{k}", self.head) for k, e in enumerate(shapes[0])
            )
            return
        self.dims[a] = [Scalar(f"{a.name}_d{k}", I64) for k in range(a.ndim)]
        self.changed.update(self.dims[a])
        self.shapes[a] = tuple(map(Ref, self.dims[a]))
        self.begins.setdefault(home, []).extend(Assign(n, ZERO) for n in self.dims[a])

    def block(self, body: list[Stmt]) -> list[Stmt]:
        out = self.begins.get(id(body), [])
        for s in body:
            self.stmt(s, out)
        return out

    def fresh(self, value: Expr, name: str, out: list[Stmt]) -> Ref:
        var = Scalar(name, value.type)
        out.append(Assign(var, value))
        return Ref(var)

    def steady(self, e: Expr, changed: Collection[object], name: str, out: list[Stmt]) -> Expr:
        """`e` if it is plain and no part of `changed`, else a variable that holds it."""
        fixed = isinstance(e, Const) or (isinstance(e, Dim) and e.array in self.params)
        if fixed or (isinstance(e, Ref) and e.var not in changed):
            return e
        if harmless(e) and all(self.fixed(leaf) for leaf in leaves(e)):
            if e not in self.hoisted:
                self.hoisted[e] = self.fresh(e, name, self.head)
            return self.hoisted[e]
        return self.fresh(e, name, out)

    def fixed(self, leaf: Expr) -> bool:
        """Whether a leaf has one value from the beginning to the end."""
        if isinstance(leaf, Ref):
            return leaf.var in self.params and leaf.var not in self.changed
        return isinstance(leaf, Const) or (isinstance(leaf, Dim) and leaf.array in self.params)

    def lengths(self, e: Expr, out: list[Stmt] | None) -> Expr:
        """`e` with the lengths of arrays made here replaced by what they were made with.

        A length that may change is read into a variable in `out`.
        """

        def change(leaf: Expr) -> Expr:
            if not isinstance(leaf, Dim) or leaf.array in self.params:
                return leaf
            if leaf.array in self.shapes:
                return self.shapes[leaf.array][leaf.axis]
            return leaf if out is None else self.fresh(leaf, f"{leaf.array.name}_len", out)

        return map_leaves(e, change)

    def stmt(self, s: Stmt, out: list[Stmt]) -> None:
        if isinstance(s, Assign):
            if isinstance(s.value, Dim):
                s.value = self.lengths(s.value, None)
            else:
                s.value = self.value(self.lengths(s.value, out), out, s.var)
        elif isinstance(s, Store):
            s.index = tuple(self.lengths(i, out) for i in s.index)
            s.value = self.value(self.lengths(s.value, out), out, None)
        elif isinstance(s, (Alloc, Alias)):
            made = [self.lengths(e, out) for e in s.shape]
            s.shape = tuple(
                self.steady(e, self.changed, f"{s.array.name}_d{k}", out) for k, e in enumerate(made)
            )
            if s.array in self.once and s.array not in self.several:
                self.shapes[s.array] = s.shape
            if s.array in self.dims:
                out += [s, *(Assign(n, e) for n, e in zip(self.dims[s.array], s.shape, strict=True))]
                return
        elif isinstance(s, Grow):
            s.size = self.lengths(s.size, out)
            if s.array in self.dims:
                out += [s, Assign(self.dims[s.array][0], Dim(s.array, 0))]
                return
        elif isinstance(s, For):
            inside = written(s.body) | {s.var}
            resized = [x.array for x in walk(s.body) if isinstance(x, (Alloc, Grow))]
            inside.update(n for a in resized for n in self.dims.get(a, ()))
            s.start = self.steady(self.lengths(s.start, out), inside, f"{s.var.name}_from", out)
            s.stop = self.steady(self.lengths(s.stop, out), inside, f"{s.var.name}_to", out)
            s.body = self.block(s.body)
        elif isinstance(s, If):
            s.condition = self.steady(self.lengths(s.condition, out), written([s]), "case", out)
            s.then, s.orelse = self.block(s.then), self.block(s.orelse)
        elif isinstance(s, While):
            trips = Scalar("trips", I64)
            out.append(Assign(trips, ZERO))
            s.test = self.block(s.test)
            s.condition = self.lengths(s.condition, s.test)
            s.body = [*self.block(s.body), Assign(trips, Ref(trips) + ONE)]
            self.trips[id(s)] = trips
        elif isinstance(s, Intrinsic):
            s.ins = tuple(x if isinstance(x, Array) else self.lengths(x, out) for x in s.ins)
        elif hasattr(s, "condition"):
            s.condition = self.lengths(s.condition, out)
        out.append(s)

    # ---- values worth a variable

    def value(self, e: Expr, out: list[Stmt], target: Scalar | None) -> Expr:
        """An active value with what its derivative uses again in variables; `target` will hold `e` itself."""
        if not isinstance(e, Apply) or not self.activity.of(e):
            return e
        made = self.operands(e, out)
        return made if target is not None and target not in names(e) else self.held(made, out)

    def operands(self, e: Apply, out: list[Stmt]) -> Apply:
        args = []
        for k, a in enumerate(e.args):
            if isinstance(a, Apply) and self.activity.of(a):
                a = self.held(self.operands(a, out), out)
            others = [b for i, b in enumerate(e.args) if i != k]
            if e.op == "mul" and size(a) > _LONG and any(self.activity.of(b) for b in others):
                a = self.fresh(a, "t", out)
            args.append(a)
        return Apply(e.op, tuple(args), e.type)

    def held(self, e: Apply, out: list[Stmt]) -> Expr:
        uses = e.op in USES_VALUE
        if e.op == "div":
            uses = self.activity.of(e.args[1])
        elif e.op == "pow":
            n = e.args[1]
            uses = n.value == 0.5 if isinstance(n, Const) else self.activity.of(n)
        return self.fresh(e, e.op, out) if uses else e


def harmless(e: Expr) -> bool:
    """Integer arithmetic that cannot fail."""
    if not isinstance(e, Apply):
        return e.type == I64
    if e.op in ("floordiv", "mod"):
        return harmless(e.args[0]) and isinstance(e.args[1], Const) and e.args[1].value != 0
    return e.op in ("add", "sub", "mul", "neg", "minimum", "maximum", "abs") and all(map(harmless, e.args))


def size(e: Expr) -> int:
    """How many leaves an expression has; loads count double."""
    if isinstance(e, Apply):
        return sum(map(size, e.args))
    return 2 if isinstance(e, Load) else 0 if isinstance(e, Const) else 1
