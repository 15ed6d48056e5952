"""Dependence: a nest to the nest that carries, beside each float, a word of bits: what it depends on.

It is forward mode with "or" in the place of arithmetic, for 64 columns of a Jacobian at once.  Both
branches of a choice between floats count.  What the words do not need is left out: a program whose path and
indices do not depend on its numbers reads none of them.
"""

from __future__ import annotations

from collections.abc import Callable

from tapeless.backends.native.activity import CONSTANT, Activity, Name, root
from tapeless.backends.native.adjoint import fill, zero
from tapeless.backends.native.nest import (
    BOOL,
    FLOATS,
    I64,
    ZERO,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Check,
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
    apply,
    children,
    expressions,
    leaves,
)
from tapeless.backends.native.renaming import Companions, clone


def dependence(fn: Function, wrt: int) -> tuple[Function, set[Name]]:
    """The nest of words: those of the array parameter `wrt` come in last, those of the array result go out.

    With it come the names from outside whose values it reads (`wrt` among them, perhaps).
    """
    return _Words(fn, wrt).function()


class _Companions(Companions):
    """The words of scalars and arrays."""

    def scalar(self, x: Scalar) -> Scalar:
        if x not in self.scalars:
            self.scalars[x] = Scalar(x.name + self.suffix, I64)
        return self.scalars[x]

    def array(self, a: Array) -> Array:
        if a not in self.arrays:
            alias = None if a.alias is None else self.array(a.alias)
            self.arrays[a] = Array(a.name + self.suffix, "int64", a.ndim, alias=alias)
        return self.arrays[a]


class _Words:
    def __init__(self, fn: Function, wrt: int) -> None:
        self.fn = fn
        x, y = fn.params[wrt], fn.results[0]
        assert isinstance(x, Array) and isinstance(y, Array)
        self.x, self.y = x, y
        self.active = Activity(fn.body, [x], None)
        self.words = _Companions("_words")

    def function(self) -> tuple[Function, set[Name]]:
        fn, x, y = self.fn, self.x, self.y
        given = Array(f"{x.name}_words", "int64", x.ndim)
        mine, shape = self.words.array(x), tuple(Dim(x, k) for k in range(x.ndim))
        body: list[Stmt] = [Alloc(mine, shape)]
        body += fill(mine, shape, lambda index: Load(given, index))
        for p in fn.params:
            if isinstance(p, Array) and p in self.active and p is not x:
                body += self.none(p)
            elif isinstance(p, Scalar) and p in self.active:
                body.append(Assign(self.words.scalar(p), ZERO))
        body += self.block(fn.body)
        if y not in self.active:
            body += self.none(y)
        result = self.words.array(y)
        live = _Live(body, result)
        made = Function(
            f"{fn.name}_words", [*fn.params, given], live.kept(body), [result], fn.failures, fn.filename
        )
        return made, live.values

    def none(self, x: Array) -> list[Stmt]:
        """Words of zero."""
        made = self.words.array(x)
        if made.alias is not None:
            made = self.words.arrays[x] = Array(made.name, made.dtype, made.ndim)
        return [Alloc(made, tuple(Dim(x, k) for k in range(x.ndim))), *zero(made, _shape(made))]

    def block(self, body: list[Stmt]) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            start = len(out)
            out += self.stmt(s)
            for made in out[start:]:
                made.line = s.line
        return out

    def stmt(self, s: Stmt) -> list[Stmt]:
        """The words first: they may read old values."""
        if isinstance(s, Assign) and s.var in self.active:
            return [Assign(self.words.scalar(s.var), self.word(s.value)), *clone([s])]
        if isinstance(s, Store) and s.array in self.active:
            made = self.words.array(s.array)
            word = self.word(s.value)
            if s.add:
                word = _either(Load(made, s.index), word)
            return [Store(made, s.index, word), *clone([s])]
        if isinstance(s, For):
            return [For(s.var, s.start, s.stop, self.block(s.body), s.step)]
        if isinstance(s, While):
            return [While(self.block(s.test), s.condition, self.block(s.body))]
        if isinstance(s, If):
            return [If(s.condition, self.block(s.then), self.block(s.orelse))]
        if isinstance(s, Intrinsic):
            return [*clone([s]), *self.intrinsic(s)]
        return [*clone([s]), *self.mirror(s)]

    def mirror(self, s: Stmt) -> list[Stmt]:
        """What gives storage to an active array gives it to its words."""
        array = self.words.array
        if isinstance(s, Swap) and s.a in self.active:
            return [Swap(array(s.a), array(s.b))]
        if isinstance(s, (Alloc, Alias, Grow)) and s.array in self.active:
            if isinstance(s, Grow):
                return [Grow(array(s.array), s.size)]
            return [type(s)(array(s.array), s.shape)]
        return []

    def intrinsic(self, s: Intrinsic) -> list[Stmt]:
        """Each element of a result depends on all elements of the operands, but for copies and products."""
        outs = [x for x in s.outs if x in self.active]
        if not outs:
            return []
        ins = [x for x in s.ins if isinstance(x, Array) and x in self.active]
        if s.name == "copy":
            (made,) = (self.words.array(x) for x in outs if isinstance(x, Array))
            return _fill(made, lambda index: Load(self.words.array(ins[0]), index))
        if s.name in ("gemm", "gemv"):
            return self.product(s)
        total = Scalar("all", I64)
        body: list[Stmt] = [Assign(total, ZERO)]
        for e in s.ins:
            if isinstance(e, Expr):
                body.append(Assign(total, _either(Ref(total), self.word(e))))
        for a in ins:
            body += _united(self.words.array(a), total)
        for x in outs:
            if isinstance(x, Scalar):
                body.append(Assign(self.words.scalar(x), Ref(total)))
            else:
                body += _fill(self.words.array(x), lambda index: Ref(total))
        return body

    def product(self, s: Intrinsic) -> list[Stmt]:
        """Row i of the result depends on row i of the first factor, column j on column j of the second."""
        out = s.outs[0]
        assert isinstance(out, Array)
        made = self.words.array(out)
        body: list[Stmt] = [] if s.attrs.get("add") else zero(made, _shape(made))
        for k, factor in enumerate(s.ins):
            assert isinstance(factor, Array)
            if factor not in self.active:
                continue
            words = self.words.array(factor)
            turned = bool(s.attrs.get("ta" if k == 0 else "tb"))
            if factor.ndim == 1:
                axis, other = None, 0
            else:
                axis = int(turned) if k == 0 else int(not turned)
                other = 1 - axis
            line = Scalar("i", I64)
            inner = Scalar("k", I64)
            total = Scalar("line", I64)
            at: list[Expr] = [Ref(inner)] * factor.ndim
            if axis is not None:
                at[axis] = Ref(line)
            gathered: list[Stmt] = [
                Assign(total, ZERO),
                For(
                    inner,
                    ZERO,
                    Dim(words, other),
                    [Assign(total, _either(Ref(total), Load(words, tuple(at))))],
                ),
            ]
            if axis is None:  # the vector of a product with a matrix
                body += [*gathered, *_spread(made, total)]
                continue
            spread = Scalar("j", I64)
            place: tuple[Expr, ...] = (Ref(line),)
            update: list[Stmt]
            if out.ndim == 2:
                place = (Ref(line), Ref(spread)) if k == 0 else (Ref(spread), Ref(line))
                store = Store(made, place, _either(Load(made, place), Ref(total)))
                update = [For(spread, ZERO, Dim(made, 1 if k == 0 else 0), [store])]
            else:
                update = [Store(made, place, _either(Load(made, place), Ref(total)))]
            body.append(For(line, ZERO, Dim(words, axis), [*gathered, *update]))
        return body

    # ---- expressions

    def word(self, e: Expr) -> Expr:
        """On what a float depends: as `activity.sources` says."""
        found: dict[Expr, None] = {}
        self.collect(e, found)
        total: Expr = ZERO
        for w in found:
            total = _either(total, w)
        return total

    def collect(self, e: Expr, found: dict[Expr, None]) -> None:
        if e.type not in FLOATS or not self.active.of(e):
            return
        if isinstance(e, Ref):
            found[Ref(self.words.scalar(e.var))] = None
        elif isinstance(e, Load):
            found[Load(self.words.array(e.array), e.index)] = None
        elif isinstance(e, Apply) and e.op not in CONSTANT:
            if e.op == "select" and not _reads_floats(e.args[0]):
                found[apply("select", e.args[0], self.word(e.args[1]), self.word(e.args[2]))] = None
                return
            args = e.args[1:] if e.op == "select" else e.args[:1] if e.op == "copysign" else e.args
            for a in args:
                self.collect(a, found)


class _Live:
    """The statements that the words of the result need, and those that keep indices in range."""

    def __init__(self, body: list[Stmt], result: Array) -> None:
        self.values: set[Name] = {result.root}
        """Names whose values are needed."""
        self.lengths: set[Name] = {result.root}
        """Arrays whose storage is needed."""
        self.live: set[int] = set()
        while self.block(body):
            pass

    def block(self, body: list[Stmt], condition: Expr | None = None) -> bool:
        """Look again at every statement; whether anything was new."""
        new = False
        for s in body:
            for k, inner in enumerate(children(s)):
                test = (
                    s.condition
                    if isinstance(s, (If, While)) and not (isinstance(s, While) and k == 0)
                    else None
                )
                new |= self.block(inner, test)
            if id(s) not in self.live and self.needed(s, condition):
                self.live.add(id(s))
                self.reads(s)
                new = True
        return new

    def needed(self, s: Stmt, condition: Expr | None) -> bool:
        if any(id(inner) in self.live for part in children(s) for inner in part):
            return True
        if isinstance(s, Assign):
            return s.var in self.values
        if isinstance(s, Store):
            return s.array.root in self.values
        if isinstance(s, (Alloc, Alias, Grow)):
            return s.array.root in self.lengths
        if isinstance(s, Swap):
            return bool({s.a.root, s.b.root} & self.lengths)
        if isinstance(s, Intrinsic):
            return any(root(x) in self.values for x in s.outs)
        if isinstance(s, Check):
            return _keeps_range(s.condition)
        if isinstance(s, Raise):
            return condition is None or _keeps_range(condition)
        return False

    def reads(self, s: Stmt) -> None:
        for e in expressions(s):
            for leaf in leaves(e):
                self.use(leaf)
        if isinstance(s, Intrinsic):
            arrays = [x.root for x in (*s.ins, *s.outs) if isinstance(x, Array)]
            self.values.update(arrays)
            self.lengths.update(arrays)
        elif isinstance(s, Store):
            self.lengths.add(s.array.root)
        elif isinstance(s, Swap):
            both = {s.a.root, s.b.root}
            self.lengths |= both
            if both & self.values:
                self.values |= both

    def use(self, leaf: Expr) -> None:
        if isinstance(leaf, Ref):
            self.values.add(leaf.var)
        elif isinstance(leaf, Load):
            self.values.add(leaf.array.root)
            self.lengths.add(leaf.array.root)
        elif isinstance(leaf, Dim):
            self.lengths.add(leaf.array.root)

    def kept(self, body: list[Stmt]) -> list[Stmt]:
        out: list[Stmt] = []
        for s in body:
            if id(s) not in self.live:
                continue
            if isinstance(s, For):
                s = For(s.var, s.start, s.stop, self.kept(s.body), s.step, line=s.line)
            elif isinstance(s, While):
                s = While(self.kept(s.test), s.condition, self.kept(s.body), line=s.line)
            elif isinstance(s, If):
                s = If(s.condition, self.kept(s.then), self.kept(s.orelse), line=s.line)
            out.append(s)
        return out


def _keeps_range(condition: Expr) -> bool:
    """Whether a check may be why an index is in range: it compares integers, or asks a flag."""
    if isinstance(condition, Apply):
        return any(_keeps_range(a) for a in condition.args)
    return condition.type in (I64, BOOL)


def _reads_floats(e: Expr) -> bool:
    """Whether a condition depends on floats, or on what may come from them."""
    return any(isinstance(x, (Ref, Load)) and x.type != I64 for x in leaves(e))


def _either(a: Expr, b: Expr) -> Expr:
    return b if a == ZERO else a if b == ZERO or a == b else apply("or", a, b)


def _shape(a: Array) -> tuple[Expr, ...]:
    return tuple(Dim(a, k) for k in range(a.ndim))


def _fill(a: Array, value: Callable[[tuple[Expr, ...]], Expr]) -> list[Stmt]:
    return fill(a, _shape(a), value)


def _spread(words: Array, total: Scalar) -> list[Stmt]:
    """Every element `|= total`."""
    return _fill(words, lambda index: _either(Load(words, index), Ref(total)))


def _united(words: Array, total: Scalar) -> list[Stmt]:
    """`total |= ` every element."""
    loops = [Scalar("i", I64) for _ in range(words.ndim)]
    body: list[Stmt] = [Assign(total, _either(Ref(total), Load(words, tuple(Ref(i) for i in loops))))]
    for k, i in reversed(list(enumerate(loops))):
        body = [For(i, ZERO, Dim(words, k), body)]
    return body
