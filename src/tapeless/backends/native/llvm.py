"""A nest as LLVM's text: one function that takes a frame and returns a status.

The frame is an array of 8-byte slots: for each parameter its value, or an array's address, lengths (and
strides in elements, unless it is row-major); then for each result its value, or an array's address and
lengths.  The status is 0, the number of a failure plus 1, `NO_MEMORY`, or another negative number of
`callbacks`.  Arrays that come back are the caller's to free.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tapeless.backends.native import intrinsics, llvm_math
from tapeless.backends.native.intrinsics import expand
from tapeless.backends.native.llvm_build import LL, MEMORY, literal
from tapeless.backends.native.llvm_expr import Expressions
from tapeless.backends.native.nest import (
    FLOATS,
    I64,
    ZERO,
    Alias,
    Alloc,
    Apply,
    Array,
    Assign,
    Check,
    Comment,
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

NO_MEMORY = -1
#: Arrays of known size up to so many bytes live on the stack, all of them together in so many.
STACK_EACH, STACK_ALL = 4096, 65536


def slots(x: Scalar | Array, *, result: bool = False) -> int:
    """How many slots of the frame a parameter or result takes."""
    if isinstance(x, Scalar):
        return 1
    return 1 + x.ndim * (1 if x.contiguous or result else 2)


def body(fn: Function, *, may_overlap: bool = False) -> str:
    """The module that defines `tl_body(frame)`; `may_overlap`: arguments may share memory."""
    return Emitter(fn, may_overlap).text()


class Emitter(Expressions):
    def __init__(self, fn: Function, may_overlap: bool) -> None:
        super().__init__()
        self.fn = fn = expand(_owning(fn))
        self.may_overlap = may_overlap
        self.owned: dict[Array, tuple[str, str]] = {}  # what to free, and its bytes
        self.groups: list[int] = []
        self.notes: dict[Array, str] = {}
        self.arrays = _arrays(fn)
        self.status = self.slot("i64", "0", "status")

    def text(self) -> str:
        self.scopes()
        self.storage()
        self.parameters()
        self.body(self.fn.body)
        self.leave()
        lines = ["define i64 @tl_body(ptr noalias %frame) nounwind {", *self.entry]
        lines += ["  br label %start", "start:", *self.lines, "}"]
        nodes = [f"!{n} = {text}" for n, text in enumerate(self.metadata)]
        return "\n".join([*self.declarations.values(), *lines, *nodes]) + "\n"

    # ---- memory

    def scopes(self) -> None:
        """Say of every two arrays with storage of their own that they share no memory."""
        classes: dict[Array, Array] = {}

        def find(a: Array) -> Array:
            while classes.get(a, a) is not a:
                a = classes[a]
            return a

        params = [p for p in self.fn.params if isinstance(p, Array)]
        pairs = [(s.a.root, s.b.root) for s in walk(self.fn.body) if isinstance(s, Swap)]
        if self.may_overlap:
            pairs += [(params[0], p) for p in params[1:]]
        for a, b in pairs:
            classes[find(a)] = find(b)
        roots = list(dict.fromkeys(find(a.root) for a in self.arrays))
        if len(roots) < 2:
            return
        domain = self.distinct()
        scope = {a: self.distinct(f"!{domain}") for a in roots}
        for a in roots:
            own = self.meta(f"!{{!{scope[a]}}}")
            rest = self.meta(f"!{{{', '.join(f'!{scope[o]}' for o in roots if o is not a)}}}")
            self.notes[a] = f", !alias.scope !{own}, !noalias !{rest}"
        for a in self.arrays:
            self.notes[a] = self.notes[find(a.root)]

    def access(self, array: Array) -> str:
        note = self.notes.get(array, "")
        if self.groups:
            groups = self.groups
            one = groups[0] if len(groups) == 1 else self.meta(f"!{{{', '.join(f'!{g}' for g in groups)}}}")
            note += f", !llvm.access.group !{one}"
        return note

    def storage(self) -> None:
        """Make the slots of arrays; small ones of known size live on the stack."""
        moved = {a for s in walk(self.fn.body) if isinstance(s, Swap) for a in (s.a.root, s.b.root)}
        moved |= {s.array for s in walk(self.fn.body) if isinstance(s, Grow)}
        moved |= {a for a in self.fn.results if isinstance(a, Array)}
        shapes: dict[Array, set[tuple[Expr, ...]]] = {}
        for s in walk(self.fn.body):
            if isinstance(s, Alloc):
                shapes.setdefault(s.array, set()).add(s.shape)
        self.stack: set[Array] = set()
        room = STACK_ALL
        for a in self.arrays:
            self.dims[a] = [self.slot("i64", "0", "d") for _ in range(a.ndim)]
            self.data[a] = self.slot("ptr", "null", "p")
            if a.alias is not None or a in self.fn.params:
                continue
            size = _size(a, shapes.get(a, set())) if a not in moved else None
            if size is not None and size <= min(STACK_EACH, room):
                room -= size
                self.stack.add(a)
                memory = f"%{self.fresh('stack')}"
                kind, width = MEMORY[a.dtype]
                self.entry.append(f"  {memory} = alloca [{max(size // width, 1)} x {kind}], align 64")
                self.entry.append(f"  store ptr {memory}, ptr {self.data[a]}")
            else:
                self.owned[a] = self.slot("ptr", "null", "own"), self.slot("i64", "0", "cap")
        for s in walk(self.fn.body):
            if isinstance(s, Swap):  # a parameter may come to own memory, and to lose it again
                for a in (s.a, s.b):
                    if not a.contiguous or a.alias is not None:
                        raise TypeError(f"{a} cannot be swapped: it is strided or an alias")
                    if a not in self.owned:
                        self.owned[a] = self.slot("ptr", "null", "own"), self.slot("i64", "0", "cap")

    def parameters(self) -> None:
        at = 0
        for p in self.fn.params:
            if isinstance(p, Scalar):
                kind = "i8" if p.type == "bool" else LL[p.type]
                got = self.op(f"load {kind}, ptr {self.frame(at)}")
                got = self.op(f"trunc i8 {got} to i1") if p.type == "bool" else got
                self.store(LL[p.type], got, self.slot_of(p))
                at += 1
                continue
            targets = [self.data[p], *self.dims[p]]
            if not p.contiguous:
                self.strides[p] = [self.slot("i64", "0", "st") for _ in range(p.ndim)]
                targets += self.strides[p]
            for k, target in enumerate(targets):
                kind = "i64" if k else "ptr"
                self.store(kind, self.op(f"load {kind}, ptr {self.frame(at + k)}"), target)
            at += len(targets)

    def word(self, base: str, at: int) -> str:
        return self.op(f"getelementptr inbounds i64, ptr {base}, i64 {at}")

    def frame(self, at: int) -> str:
        return self.word("%frame", at)

    def leave(self) -> None:
        """Hand the results over and free the rest."""
        at = sum(map(slots, self.fn.params))
        for r in self.fn.results:
            if isinstance(r, Scalar):
                kind, got = LL[r.type], self.load(LL[r.type], self.slot_of(r))
                if kind == "i1":
                    kind, got = "i64", self.op(f"zext i1 {got} to i64")
                self.store(kind, got, self.frame(at))
            else:
                self.store("ptr", self.load("ptr", self.owned[r][0]), self.frame(at))
                self.store("ptr", "null", self.owned[r][0])
                for k in range(r.ndim):
                    self.store("i64", self.dim(r, k), self.frame(at + 1 + k))
            at += slots(r, result=True)
        self.jump("leave")
        self.label("leave")
        for own, _ in self.owned.values():
            self.call("free", "void", ("ptr", self.load("ptr", own)))
        self.do(f"ret i64 {self.load('i64', self.status)}")

    def exit(self, status: int | str) -> None:
        """Leave with a status; what follows is never reached."""
        self.store("i64", str(status), self.status)
        self.jump("leave")

    def bytes_of(self, array: Array, counts: Sequence[str]) -> str:
        total = str(MEMORY[array.dtype][1])
        for n in counts:
            total = llvm_math.helper(self, "tl_times", "i64", ("i64", total), ("i64", n))
        return total

    def alloc(self, s: Alloc) -> None:
        a, counts = s.array, [self.value(n) for n in s.shape]
        for slot, n in zip(self.dims[a], counts, strict=True):
            self.store("i64", n, slot)
        if a in self.stack:
            return
        own, capacity = self.owned[a]
        need = self.bytes_of(a, counts)
        more = self.op(f"icmp ugt i64 {need}, {self.load('i64', capacity)}")
        new, done, fail = self.fresh("new"), self.fresh("kept"), self.fresh("fail")
        self.branch(more, new, done)
        self.label(new)
        self.call("free", "void", ("ptr", self.load("ptr", own)))
        made = llvm_math.helper(self, "tl_malloc", "ptr", ("i64", need))
        self.store("ptr", made, own)
        self.store("ptr", made, self.data[a])
        self.store("i64", need, capacity)
        good = self.fresh("good")
        self.branch(self.op(f"icmp ne ptr {made}, null"), good, fail, likely=True)
        self.label(fail)
        self.exit(NO_MEMORY)
        self.label(good)
        self.jump(done)
        self.label(done)

    def grow(self, s: Grow) -> None:
        """Room for more, twice as much each time; what is new is 0."""
        a, size = s.array, self.value(s.size)
        width = MEMORY[a.dtype][1]
        own, capacity = self.owned[a]
        had = self.dim(a, 0)
        new, done, fail, good = (self.fresh(x) for x in ("grow", "grown", "fail", "good"))
        self.branch(self.op(f"icmp sgt i64 {size}, {had}"), new, done, likely=False)
        self.label(new)
        twice = self.op(f"mul nuw nsw i64 {had}, 2")
        count = self.intrinsic("smax", "i64", self.intrinsic("smax", "i64", size, twice), "16")
        need = self.op(f"mul nuw nsw i64 {count}, {width}")
        room = self.intrinsic("umax", "i64", need, self.load("i64", capacity))
        made = self.call("realloc", "ptr", ("ptr", self.load("ptr", own)), ("i64", room))
        self.branch(self.op(f"icmp ne ptr {made}, null"), good, fail, likely=True)
        self.label(fail)
        self.exit(NO_MEMORY)
        self.label(good)
        self.store("ptr", made, own)
        self.store("ptr", made, self.data[a])
        self.store("i64", room, capacity)
        self.store("i64", count, self.dims[a][0])
        at = self.op(f"getelementptr inbounds {MEMORY[a.dtype][0]}, ptr {made}, i64 {had}")
        fresh = self.op(f"mul nuw nsw i64 {self.op(f'sub nsw i64 {count}, {had}')}, {width}")
        self.call("memset", "ptr", ("ptr", at), ("i32", "0"), ("i64", fresh))
        self.jump(done)
        self.label(done)

    # ---- statements

    def body(self, body: Sequence[Stmt]) -> None:
        for s in body:
            self.known.clear()
            self.stmt(s)
        self.known.clear()

    def stmt(self, s: Stmt) -> None:
        if isinstance(s, Assign):
            self.store(LL[s.var.type], self.value(s.value), self.slot_of(s.var))
        elif isinstance(s, Store):
            self.assign_element(s)
        elif isinstance(s, Alloc):
            self.alloc(s)
        elif isinstance(s, Alias):
            assert s.array.alias is not None
            for slot, n in zip(self.dims[s.array], [self.value(n) for n in s.shape], strict=True):
                self.store("i64", n, slot)
            self.store("ptr", self.load("ptr", self.data[s.array.alias]), self.data[s.array])
        elif isinstance(s, Grow):
            self.grow(s)
        elif isinstance(s, Swap):
            pairs = [("ptr", self.data[s.a], self.data[s.b])]
            pairs += list(zip(("ptr", "i64"), self.owned[s.a], self.owned[s.b], strict=True))
            for kind, a, b in pairs:
                first, second = self.load(kind, a), self.load(kind, b)
                self.store(kind, second, a)
                self.store(kind, first, b)
        elif isinstance(s, For):
            self.loop(s)
        elif isinstance(s, While):
            self.while_loop(s)
        elif isinstance(s, If):
            self.choice(s)
        elif isinstance(s, Raise):
            self.exit(s.failure + 1)
            self.label(self.fresh("dead"))
        elif isinstance(s, Check):
            good, bad = self.fresh("ok"), self.fresh("bad")
            self.branch(self.value(s.condition), good, bad, likely=True)
            self.label(bad)
            self.exit(s.failure + 1)
            self.label(good)
        elif isinstance(s, Intrinsic):
            self.whole(s)
        elif not isinstance(s, Comment):
            raise TypeError(f"no LLVM for {s!r}")

    def whole(self, s: Intrinsic) -> None:
        """A call of what `intrinsics.expand` leaves: a Fortran routine, or NumPy through Python."""
        if s.name == "fortran":
            args: list[tuple[str, str]] = []
            wanted: list[tuple[str, Scalar]] = []
            for a in s.attrs["args"]:
                if isinstance(a, Array):
                    args.append(("ptr", self.load("ptr", self.data[a])))
                    continue
                kind = LL[a.type] if isinstance(a, (Expr, Scalar)) else "i64"
                where = self.slot(kind, literal(0, a.type) if kind != "i64" else "0", "arg")
                args.append(("ptr", where))
                if isinstance(a, Scalar):
                    self.store(kind, "0", where)
                    wanted.append((where, a))
                else:  # an integer of 8 bytes is one of 4 too, the lowest byte coming first
                    self.store(kind, self.value(a) if isinstance(a, Expr) else str(ord(a)), where)
            self.call(f"fortran.{s.attrs['name']}", "void", *args)
            for where, var in wanted:
                low = self.op(f"trunc i64 {self.load('i64', where)} to i32")
                self.store("i64", self.op(f"sext i32 {low} to i64"), self.slot_of(var))
            return
        operands = (*s.outs, *s.ins)
        count = sum(1 + (a.ndim if isinstance(a, Array) else 0) for a in operands)
        words = f"%{self.fresh('words')}"
        self.entry.append(f"  {words} = alloca [{count} x i64]")
        at = 0
        scalars: list[tuple[str, Scalar]] = []
        for a in operands:
            if isinstance(a, Array):
                self.store("ptr", self.load("ptr", self.data[a]), self.word(words, at))
                for k in range(a.ndim):
                    self.store("i64", self.dim(a, k), self.word(words, at + 1 + k))
                at += 1 + a.ndim
                continue
            where = self.slot(LL[a.type], literal(0, a.type), "arg")
            if isinstance(a, Scalar):
                scalars.append((where, a))
            else:
                self.store(LL[a.type], self.value(a), where)
            self.store("ptr", where, self.word(words, at))
            at += 1
        text = intrinsics.text(s)
        name = f"@text.{len(self.declarations)}"
        self.declarations[name] = f'{name} = private constant [{len(text) + 1} x i8] c"{text}\\00"'
        status = self.call("tapeless.callback", "i64", ("ptr", name), ("ptr", words))
        for where, var in scalars:
            self.store(LL[var.type], self.load(LL[var.type], where), self.slot_of(var))
        good, bad = self.fresh("ok"), self.fresh("bad")
        self.branch(self.op(f"icmp sge i64 {status}, 0"), good, bad, likely=True)
        self.label(bad)
        self.exit(status)
        self.label(good)
        self.store("i64", status, self.slot_of(s.attrs["info"]))

    def assign_element(self, s: Store) -> None:
        value = self.value(s.value)
        address = self.address(s.array, s.index)
        if s.add:
            kind = LL[s.array.element]
            flags = ""
            if s.array.element in FLOATS:
                flags = (
                    " reassoc contract" if id(s) in self.loose else " contract" if self.affine_vars else ""
                )
            op = f"fadd{flags}" if s.array.element in FLOATS else "add"
            value = self.op(f"{op} {kind} {self.read(s.array, address)}, {value}")
        self.write(s.array, address, value)

    def choice(self, s: If) -> None:
        then, other, done = self.fresh("then"), self.fresh("else"), self.fresh("done")
        self.branch(self.value(s.condition), then, other if s.orelse else done)
        self.label(then)
        self.body(s.then)
        self.jump(done)
        if s.orelse:
            self.label(other)
            self.body(s.orelse)
            self.jump(done)
        self.label(done)

    def while_loop(self, s: While) -> None:
        test, inner, done = self.fresh("while"), self.fresh("do"), self.fresh("done")
        self.jump(test)
        self.label(test)
        self.body(s.test)
        self.branch(self.value(s.condition), inner, done)
        self.label(inner)
        self.body(s.body)
        self.jump(test)
        self.label(done)

    def loop(self, s: For) -> None:
        """A counted loop, its test at the end.  With a step other than ±1 iterations are counted."""
        start, stop = self.value(s.start), self.value(s.stop)
        inner, again, done = self.fresh("for"), self.fresh("next"), self.fresh("done")
        up = s.step > 0
        some = self.op(f"icmp {'slt' if up else 'sgt'} i64 {start}, {stop}")
        first, last = start, stop
        if abs(s.step) != 1:
            span = self.op(f"sub i64 {stop}, {start}" if up else f"sub i64 {start}, {stop}")
            less = self.op(f"sub i64 {span}, 1")
            last = self.op(f"add nuw i64 {self.op(f'udiv i64 {less}, {abs(s.step)}')}, 1")
            first = "0"
        before = self.fresh("enter")
        self.branch(some, before, done)
        self.label(before)
        self.jump(inner)
        self.label(inner)
        at, nxt = f"%{self.fresh('i')}", f"%{self.fresh('n')}"
        self.do(f"{at} = phi i64 [{first}, %{before}], [{nxt}, %{again}]")
        value = at
        if abs(s.step) != 1:
            value = self.op(f"add nsw i64 {start}, {self.op(f'mul nsw i64 {at}, {s.step}')}")
        self.store("i64", value, self.slot_of(s.var))
        was_affine = s.var in self.affine_vars
        self.affine_vars.add(s.var)
        loop_notes = ""
        if s.independent:
            group = self.distinct(empty=True)
            self.groups.append(group)
            parallel = self.meta(f'!{{!"llvm.loop.parallel_accesses", !{group}}}')
            loop_notes = f", !llvm.loop !{self.distinct(f'!{parallel}')}"
        self.loose.update(_loose(s))
        self.body(s.body)
        if s.independent:
            self.groups.pop()
        if not was_affine:
            self.affine_vars.discard(s.var)
        self.jump(again)
        self.label(again)
        one = -1 if s.step == -1 else 1
        self.do(f"{nxt} = add nsw i64 {at}, {one}")
        more = self.op(f"icmp {'sgt' if s.step == -1 else 'slt'} i64 {nxt}, {last}")
        self.do(f"br i1 {more}, label %{inner}, label %{done}{loop_notes}")
        self.label(done)


def _arrays(fn: Function) -> list[Array]:
    """Every array of a nest, in order of appearance, the roots of aliases included."""
    found: dict[Array, None] = {}

    def add(x: object) -> None:
        while isinstance(x, Array):
            found[x] = None
            x = x.alias

    for x in (*fn.params, *fn.results):
        add(x)
    for s in walk(fn.body):
        for name in ("array", "a", "b"):
            add(getattr(s, name, None))
        if isinstance(s, Intrinsic):
            for item in (*s.outs, *s.ins):
                add(item)
        for e in expressions(s):
            for leaf in leaves(e):
                add(getattr(leaf, "array", None))
    return list(found)


def _size(a: Array, shapes: set[tuple[Expr, ...]]) -> int | None:
    """The bytes of an array that is made in one known shape; None for any other."""
    if len(shapes) != 1:
        return None
    (shape,) = shapes
    if not all(isinstance(n, Const) for n in shape):
        return None
    return math.prod(int(n.value) for n in shape if isinstance(n, Const)) * MEMORY[a.dtype][1]


def _owning(fn: Function) -> Function:
    """The nest with copies as results of arrays that are not its own to give."""
    params = {p for p in fn.params if isinstance(p, Array)}
    swapped = [(s.a, s.b) for s in walk(fn.body) if isinstance(s, Swap)]
    while any((a in params) != (b in params) for a, b in swapped):  # whoever may hold a parameter's memory
        params |= {x for a, b in swapped if a in params or b in params for x in (a, b)}
    results: list[Scalar | Array] = []
    copies: list[Stmt] = []
    for r in fn.results:
        if isinstance(r, Array) and (r.alias is not None or r in params or r in results):
            made = Array(f"{r.name}_copy", r.dtype, r.ndim)
            copies += _copy(made, r)
            r = made
        results.append(r)
    return replace(fn, body=[*fn.body, *copies], results=results)


def _copy(made: Array, source: Array) -> list[Stmt]:
    vars = [Scalar(f"i{k}", I64) for k in range(source.ndim)]
    at = tuple(Ref(v) for v in vars)
    inner: list[Stmt] = [Store(made, at, Load(source, at))]
    for k in reversed(range(source.ndim)):
        inner = [For(vars[k], ZERO, Dim(source, k), inner, independent=True)]
    return [Alloc(made, tuple(Dim(source, k) for k in range(source.ndim))), *inner]


def _loose(loop: For) -> Iterator[int]:
    """The ids of what may be added in any order: sums that a loop only accumulates, and their products."""
    if any(isinstance(s, (For, While)) for s in walk(loop.body)):
        return
    uses: dict[Scalar, int] = {}
    sums: dict[Scalar, list[Assign]] = {}
    for s in walk(loop.body):
        for e in expressions(s):
            for leaf in leaves(e):
                if isinstance(leaf, Ref):
                    uses[leaf.var] = uses.get(leaf.var, 0) + 1
        if isinstance(s, Assign):
            sums.setdefault(s.var, []).append(s)
        if isinstance(s, Store) and s.add and not any(_varies(i, loop) for i in s.index):
            yield id(s)
            value = s.value.args[0] if isinstance(s.value, Apply) and s.value.op == "neg" else s.value
            if isinstance(value, Apply) and value.op == "mul":
                yield id(value)
    for var, assigns in sums.items():
        spines = [_spine(a) for a in assigns]
        if uses.get(var, 0) == len(assigns) and all(spines):
            for spine in spines:
                yield from spine


def _spine(a: Assign) -> list[int]:
    """The additions (or the one minimum, maximum) that take a variable to its new value; [] for others."""
    found: list[int] = []
    e = a.value
    while isinstance(e, Apply) and e.type in FLOATS:
        if e.op in ("minimum", "maximum"):
            return [id(e)] if not found and Ref(a.var) in e.args else []
        if e.op not in ("add", "sub"):
            return []
        found.append(id(e))
        first, second = e.args
        if e.op == "add" and second == Ref(a.var):
            first, second = second, first
        if isinstance(second, Apply) and second.op == "mul":
            found.append(id(second))
        if first == Ref(a.var):
            return found
        e = first
    return []


def _varies(i: Expr, loop: For) -> bool:
    """May an index change from one iteration to the next?"""
    assigned = {s.var for s in walk(loop.body) if isinstance(s, Assign)} | {loop.var}
    return any(isinstance(x, Load) or (isinstance(x, Ref) and x.var in assigned) for x in leaves(i))
