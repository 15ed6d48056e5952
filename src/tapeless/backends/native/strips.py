"""Long loops over scalars that save a known number of values run strip by strip, one saved at a time.

    saved = np.empty(n*k)                   for strip in range(strips):
    for i in range(n):                          then[strip] = x
        saved[i], … = x, …                      for i in range(strip*size, min((strip + 1)*size, n)):
        x = f(x)                                    saved[i - strip*size], … = x, …
                                                    x = f(x)

The reverse sweep takes the strips last to first, and runs all but the last once more, from the scalars that
they began with.  A loop that saves little is one strip.
"""

from __future__ import annotations

from tapeless.backends.native.checkpoints import once_more, turned
from tapeless.backends.native.nest import (
    I64,
    ONE,
    ZERO,
    Apply,
    Assign,
    Check,
    Const,
    Expr,
    For,
    If,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    apply,
    const,
    expressions,
    leaves,
    walk,
)
from tapeless.backends.native.saving import Frame
from tapeless.backends.native.scopes import reads

#: A loop that saves more values than `MOST` (256 MB) is cut into strips that save about `SIZE` (1 MB).
MOST, SIZE = 1 << 25, 1 << 17


def scalar(loop: For) -> bool:
    """Whether iterations compute scalars only, and have no elements of arrays of their own.

    What adds up elements of arrays saves no more than these have, and its loops are better left together.
    """
    inside = list(walk(loop.body))
    if loop.independent or not all(isinstance(s, (Assign, Check, For, If)) for s in inside):
        return False
    used = [leaf for s in inside for e in expressions(s) for leaf in leaves(e)]
    return all(isinstance(k, Const) for x in used if isinstance(x, Load) for k in x.index)


def recurrent(loop: For, carried: list[Scalar]) -> bool:
    """Whether iterations do more with the scalars that they hand on than to add to them, and the like."""
    return any(x in reads(s) for x in carried for s in walk(loop.body) if not _folds(s, x))


def _folds(s: Stmt, x: Scalar) -> bool:
    if not isinstance(s, Assign) or s.var is not x or not isinstance(s.value, Apply):
        return False
    first, *others = s.value.args
    return first == Ref(x) and not any(Ref(x) in leaves(e) for e in others)


class Strips:
    """The strips of one loop, whose frame becomes that of a strip."""

    def __init__(self, loop: For, carried: list[Scalar], frame: Frame) -> None:
        self.loop, self.carried, self.frame, self.trips = loop, carried, frame, frame.trips
        self.strip, self.count, self.size = (Scalar(x, I64) for x in ("strip", "strips", "strip_size"))
        self.first, self.end = Scalar("first", I64), Scalar("end", I64)
        self.saving: list[Stmt] = []
        self.before = self._cut()

    def _cut(self) -> list[Stmt]:
        """What reckons the strips, before the loop; behind their values stands what they begin with."""
        frame, kinds = self.frame, [x.type for x in self.carried]
        each = {k: frame.inner.get(k, ZERO) + frame.count.get(k, 0) for k in [*frame.total, *kinds]}
        one = sum(each.values(), ZERO)
        few = apply("le", sum(frame.total.values(), ZERO), MOST)
        some = apply("floordiv", const(SIZE, I64), apply("maximum", one, 1))
        size = apply("maximum", apply("select", few, self.trips, some), 1)
        count = apply("floordiv", self.trips + (Ref(self.size) - ONE), Ref(self.size))
        frame.trips = Ref(self.size)
        frame.loop = For(self.loop.var, Ref(self.first), Ref(self.end), [], self.loop.step)
        self.behind = {k: Ref(self.size) * n for k, n in each.items()}
        frame.total = {k: n + Ref(self.count) * kinds.count(k) for k, n in self.behind.items()}
        return [Assign(self.size, size), Assign(self.count, count)]

    def forward(self, saving: list[Stmt]) -> list[Stmt]:
        """The loop, forward; `saving` is its body with its saves."""
        s, self.saving = self.loop, saving
        keep: list[Stmt] = [Store(self.frame.arrays[x.type], (self._place(x),), Ref(x)) for x in self.carried]
        run = For(s.var, Ref(self.first), Ref(self.end), saving, s.step, line=s.line)
        return [For(self.strip, ZERO, Ref(self.count), [*keep, *self._ends(), run], line=s.line)]

    def backward(self, body: list[Stmt]) -> list[Stmt]:
        """The loop, reversed; `body` reverses one iteration."""
        s, first, end = self.loop, Ref(self.first), Ref(self.end)
        begin = {x: Load(self.frame.arrays[x.type], (self._place(x),)) for x in self.carried}
        again = once_more(s, (first, end), self.saving, begin, set(self.frame.arrays.values()))
        missing = If(apply("lt", Ref(self.strip), Ref(self.count) - ONE), again)
        turn = [*self._ends(), missing, turned(s, (first, end), body)]
        return [For(self.strip, Ref(self.count) - ONE, ZERO - ONE, turn, -1)]

    def _place(self, x: Scalar) -> Expr:
        alike = [y for y in self.carried if y.type == x.type]
        return self.behind[x.type] + (Ref(self.strip) * len(alike) + alike.index(x))

    def _ends(self) -> list[Stmt]:
        """The iterations of a strip."""
        s = self.loop
        by = Ref(self.size) * s.step
        within = "minimum" if s.step > 0 else "maximum"
        return [
            Assign(self.first, s.start + Ref(self.strip) * by),
            Assign(self.end, apply(within, Ref(self.first) + by, s.stop)),
        ]
