"""The adjoint of a statement that is no control: what it does to the cotangents.

Values of the program that adjoint code reads stand there under the program's own names; `reverse` sees to it
that they have come back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from tapeless.backends.native.activity import Activity
from tapeless.backends.native.intrinsic_rules import adjoint as intrinsic_adjoint
from tapeless.backends.native.nest import (
    Apply,
    Array,
    Assign,
    Const,
    Expr,
    For,
    Intrinsic,
    Load,
    Ref,
    Scalar,
    Stmt,
    Store,
    Swap,
    const,
    leaves,
)
from tapeless.backends.native.partials import Arithmetic, maps
from tapeless.backends.native.renaming import Companions

#: Where a cotangent goes: a scalar, or an element of an array.
Target = tuple[Scalar | Array, tuple[Expr, ...]]


class Adjoint:
    """Makes the adjoint code of assignments and stores.

    Of the stores `first` (by id) nothing before has touched the element: its cotangent need not be cleared.
    """

    def __init__(
        self, activity: Activity, arithmetic: Arithmetic, bars: Companions, first: Collection[int] = ()
    ) -> None:
        self.activity, self.arithmetic, self.bars, self.first = activity, arithmetic, bars, first

    def of(self, s: Stmt) -> list[Stmt]:
        """Adjoint code of `s`; nothing if no derivative passes through it."""
        if isinstance(s, Assign) and s.var in self.activity:
            return self.assign(s)
        if isinstance(s, Store) and s.array in self.activity:
            return self.store(s)
        if isinstance(s, Swap) and s.a in self.activity:
            return [Swap(self.bars.array(s.a), self.bars.array(s.b))]
        if isinstance(s, Intrinsic) and any(x in self.activity for x in s.outs):
            return intrinsic_adjoint(s, self.activity, self.arithmetic, self.bars)
        return []

    def assign(self, s: Assign) -> list[Stmt]:
        x = self.bars.scalar(s.var)
        out: list[Stmt] = []
        if not self.activity.of(s.value):
            return [Assign(x, const(0, x.type))]
        shares = self.shares(s.value, Ref(x), Ref(s.var), out)
        own = shares.pop((s.var, ()), None)
        if own is not None and own != Ref(x):
            # the others must see the old cotangent
            if any(Ref(x) in leaves(e) for e in shares.values()):
                own = self.bound(own, "ct", out)
        out += self.spread(shares)
        if own is None:
            out.append(Assign(x, const(0, x.type)))
        elif own != Ref(x):
            out.append(Assign(x, own))
        return out

    def store(self, s: Store) -> list[Stmt]:
        bar = self.bars.array(s.array)
        active = self.activity.of(s.value)
        out: list[Stmt] = []
        if s.add:
            if active:
                ct = self.bound(Load(bar, s.index), "ct", out)
                out += self.spread(self.shares(s.value, ct, None, out))
            return out
        if not active:
            return [] if id(s) in self.first else [Store(bar, s.index, const(0, bar.element))]
        ct = self.bound(Load(bar, s.index), "ct", out)
        shares = self.shares(s.value, ct, None, out)
        own = shares.pop((s.array, s.index), None)
        if own is None and id(s) not in self.first:
            own = const(0, bar.element)
        if own is not None and own != ct:
            out.append(Store(bar, s.index, own))
        return out + self.spread(shares)

    def spread(self, shares: dict[Target, Expr]) -> list[Stmt]:
        """Adds shares to cotangents."""
        out: list[Stmt] = []
        for (x, index), share in shares.items():
            if isinstance(x, Scalar):
                bar = self.bars.scalar(x)
                out.append(Assign(bar, Ref(bar) + share))
            else:
                out.append(Store(self.bars.array(x), index, share, add=True))
        return out

    @staticmethod
    def bound(e: Expr, name: str, out: list[Stmt]) -> Expr:
        """`e` in a variable, unless it is as short as one."""
        if isinstance(e, (Ref, Const)):
            return e
        var = Scalar(name, e.type)
        out.append(Assign(var, e))
        return Ref(var)

    def shares(self, e: Expr, ct: Expr, value: Expr | None, out: list[Stmt]) -> dict[Target, Expr]:
        """What each active variable in `e` gets of its cotangent `ct`; `value` holds `e` afterwards."""
        found: dict[Target, Expr] = {}
        self._distribute(e, ct, value, found, out)
        return found

    def _distribute(
        self, e: Expr, ct: Expr, value: Expr | None, found: dict[Target, Expr], out: list[Stmt]
    ) -> None:
        if isinstance(e, (Ref, Load)):
            target: Target = (e.var, ()) if isinstance(e, Ref) else (e.array, e.index)
            found[target] = found[target] + ct if target in found else ct
            return
        assert isinstance(e, Apply)
        active = [k for k, a in enumerate(e.args) if self.activity.of(a)]
        if value is not None and isinstance(value, Ref) and any(value in leaves(a) for a in e.args):
            value = None  # x = x·y: afterwards x no longer is what it was
        moves = [
            (k, m)
            for k, m in enumerate(maps(e, e if value is None else value, self.arithmetic))
            if k in active
        ]
        if len(moves) > 1 or e.op in ("pow", "select"):
            ct = self.bound(ct, "ct", out)
        for k, move in moves:
            if move is not None:
                self._distribute(e.args[k], move(ct), None, found, out)


def zero(array: Array, shape: Iterable[Expr]) -> list[Stmt]:
    """Loops that fill an array with zeros."""
    return fill(array, tuple(shape), lambda index: const(0, array.element))


def fill(array: Array, shape: tuple[Expr, ...], value: object, add: bool = False) -> list[Stmt]:
    """Loops that give every element of an array a value, a function of its index."""
    assert callable(value)
    loops = [Scalar("ijklmn"[min(k, 5)], "i64") for k in range(len(shape))]
    index = tuple(Ref(i) for i in loops)
    body: list[Stmt] = [Store(array, index, value(index), add)]
    for i, n in zip(reversed(loops), reversed(shape), strict=True):
        body = [For(i, const(0), n, body, independent=True)]
    return body
