"""Elements that live for one iteration become scalars.

    for i in range(n):                  for i in range(n):
        t[i] = a[i] * b[i]                  x = a[i] * b[i]
        c[i] = t[i] + t[i] * d[i]           c[i] = x + x * d[i]

Once loops have become one, what the first made for the second need not pass through memory.
"""

from __future__ import annotations

from dataclasses import replace

from tapeless.backends.native.fuse import replaced
from tapeless.backends.native.nest import (
    Alloc,
    Array,
    Assign,
    Dim,
    Expr,
    Function,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    children,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.rewrite import change_body
from tapeless.backends.native.scopes import names, touched

#: Elements that a scalar holds as they are.
EXACT = {"float64", "float32", "int64", "bool"}
#: The body that uses an array, by its id, and the index.
Place = tuple[int, tuple[Expr, ...]]


def momentary(fn: Function) -> Function:
    """`fn` without the arrays of which a body uses one element, and sets it first."""
    found = _Uses(fn)
    scalars = {a: Scalar(a.name, a.element) for a in found.places if a.root not in found.others}
    if not scalars:
        return fn

    def change(e: Expr) -> Expr | None:
        return Ref(scalars[e.array]) if isinstance(e, Load) and e.array in scalars else None

    def assigned(s: Stmt) -> list[Stmt] | None:
        if isinstance(s, Store) and s.array in scalars:
            var = scalars[s.array]
            return [Assign(var, Ref(var) + s.value if s.add else s.value, line=s.line)]
        return [] if isinstance(s, Alloc) and s.array in scalars else None

    return replace(fn, body=replaced(change_body(fn.body, change), assigned))


class _Uses:
    """The one place where an array is used, and the arrays for which there is none."""

    def __init__(self, fn: Function) -> None:
        self.places: dict[Array, Place] = {}
        self.others = {x.root for x in (*fn.params, *fn.results) if isinstance(x, Array)}
        self.look(fn.body)

    def look(self, body: list[Stmt]) -> None:
        changed = {s.var for s in walk(body) if isinstance(s, Assign)}
        for s in body:
            for e in expressions(s):
                for x in leaves(e):
                    if isinstance(x, Load):
                        self.use(x, body, changed, sets=False)
                    elif isinstance(x, Dim):
                        self.others.add(x.array.root)
            if isinstance(s, Store):
                self.use(s, body, changed, sets=not s.add)
            elif not isinstance(s, Alloc):
                whole = {x for x in touched(s) if isinstance(x, Array)}
                self.others |= whole - {x for e in expressions(s) for x in names(e)}
            for inner in children(s):
                self.look(inner)

    def use(self, x: Load | Store, body: list[Stmt], changed: set[Scalar], *, sets: bool) -> None:
        a, place = x.array, (id(body), x.index)
        steady = not any(isinstance(y, (Load, Dim)) for e in x.index for y in leaves(e))
        steady = steady and not changed & {y.var for e in x.index for y in leaves(e) if isinstance(y, Ref)}
        known = self.places.setdefault(a, place) if sets else self.places.get(a)
        if known != place or not steady or a.alias is not None or a.dtype not in EXACT:
            self.others.add(a.root)
