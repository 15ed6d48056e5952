"""A nest as LLVM's text: one function that takes a frame and returns a status.

The frame is an array of 8-byte slots: for each parameter its value, or an array's address, lengths (and
strides in elements, unless it is row-major); then for each result its value, or an array's address, lengths
and whether its memory is a block of `memory` (else `free` frees it).  The status is 0, the number of a
failure plus 1, `NO_MEMORY`, or another negative number of `callbacks`.  Arrays that come back are the
caller's to free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tapeless.backends.native import llvm_math
from tapeless.backends.native.intrinsics import expand
from tapeless.backends.native.llvm_build import LL
from tapeless.backends.native.llvm_calls import Calls
from tapeless.backends.native.llvm_loose import apart, loose
from tapeless.backends.native.memory import LARGE
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
    walk,
)
from tapeless.backends.native.saving import trip_count
from tapeless.backends.native.sharing import Regions, captured, share


def slots(x: Scalar | Array, *, result: bool = False) -> int:
    """How many slots of the frame a parameter or result takes."""
    if isinstance(x, Scalar):
        return 1
    return 2 + x.ndim if result else 1 + x.ndim * (1 if x.contiguous else 2)


def body(fn: Function, *, may_overlap: bool = False, parallel: bool = False) -> str:
    """The module that defines `tl_body(frame)`.

    `may_overlap`: arguments may share memory; `parallel`: threads share the independent loops.
    """
    fn, regions = _owning(fn), dict[Scalar, Expr]()
    if parallel and not may_overlap:
        fn, regions = share(fn)
    return Emitter(expand(fn), may_overlap, regions).module()


class Emitter(Calls):
    """Writes one function; those of the loops that threads share are written on the way, by others."""

    def __init__(self, fn: Function, may_overlap: bool, regions: Regions) -> None:
        super().__init__(fn, may_overlap)
        self.functions: list[str] = []
        self.regions = regions

    def module(self) -> str:
        text = self.text("tl_body(ptr noalias %frame)")
        nodes = [f"!{n} = {node}" for n, node in enumerate(self.metadata)]
        used = [f"ptr @{name}" for name in self.declarations if name.startswith("vector.")]
        if used:  # nothing names them until loops are vectorised
            kind = f"[{len(used)} x ptr]"
            value = f'appending global {kind} [{", ".join(used)}], section "llvm.metadata"'
            nodes.append(f"@llvm.compiler.used = {value}")
        return "\n".join([*self.declarations.values(), *self.functions, text, *nodes]) + "\n"

    def text(self, head: str) -> str:
        self.scopes()
        self.storage()
        self.parameters()
        self.body(self.fn.body)
        self.leave()
        lines = [f"define i64 @{head} nounwind {{", *self.entry]
        return "\n".join([*lines, "  br label %start", "start:", *self.lines, "}"])

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
                got = self.op(f"load {kind}, ptr {self.frame(at + k)}")
                self.store(kind, self.length(got) if p.contiguous and k > 1 else got, target)
            at += len(targets)

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
                own, capacity = self.owned[r.root]  # an alias names all of its root's memory
                self.store("ptr", self.load("ptr", own), self.frame(at))
                self.store("ptr", "null", own)
                for k in range(r.ndim):
                    self.store("i64", self.dim(r, k), self.frame(at + 1 + k))
                block = self.op(f"icmp uge i64 {self.load('i64', capacity)}, {LARGE}")
                self.store("i64", self.op(f"zext i1 {block} to i64"), self.frame(at + 1 + r.ndim))
            at += slots(r, result=True)
        self.jump("leave")
        self.label("leave")
        if self.owned:
            llvm_math.helper(self, "tl_free_all", "void", ("ptr", "%owned"), ("i64", str(len(self.owned))))
        self.do(f"ret i64 {self.load('i64', self.status)}")

    # ---- statements

    def body(self, body: Sequence[Stmt]) -> None:
        for s in body:
            self.known.clear()
            self.stmt(s)
        self.known.clear()

    def stmt(self, s: Stmt) -> None:
        if isinstance(s, Assign):
            value = self.flag(s) or self.value(apart(s))
            self.store(LL[s.var.type], value, self.slot_of(s.var))
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
            if s.var in self.regions:
                self.shared_loop(s, captured(s))
            else:
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

    def flag(self, s: Assign) -> str | None:
        """The new value of a flag that a NaN raises; None for any other assignment.

        It compares bits: LLVM joins comparisons of floats in and after a loop, and then finds no reduction.
        """
        match s.value:
            case Apply("any", (Ref(var), Apply("isnan", (x,)))) if var is s.var:
                integer, infinity = {"f64": ("i64", 0x7FF << 52), "f32": ("i32", 0xFF << 23)}[x.type]
                bits = self.op(f"bitcast {LL[x.type]} {self.value(x)} to {integer}")
                size = self.op(f"and {integer} {bits}, {(1 << int(integer[1:]) - 1) - 1}")
                found = self.op(f"icmp ugt {integer} {size}, {infinity}")
                return self.op(f"or i1 {self.value(Ref(var))}, {found}")
        return None

    def assign_element(self, s: Store) -> None:
        value = self.value(s.value)
        address = self.address(s.array, s.index)
        if s.add:
            kind = LL[s.array.element]
            op = f"fadd {self.loose.get(id(s), '')}" if s.array.element in FLOATS else "add"
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

    def shared_loop(self, s: For, used: Sequence[Scalar | Array]) -> None:
        """A loop that threads may share: a function of a frame and a range, called by them or at once."""
        low, high, first = (Scalar(n, I64) for n in ("low", "high", "first"))
        self.store("i64", self.value(s.start), self.slot_of(first))
        start: Expr
        bounds: tuple[Expr, Expr]
        if s.step == 1:
            start, stop, bounds = Ref(first), s.stop, (Ref(low), Ref(high))
        else:  # iterations are counted
            start, stop = ZERO, trip_count(Ref(first), s.stop, s.step)
            bounds = Ref(first) + Ref(low) * s.step, Ref(first) + Ref(high) * s.step
        part = For(s.var, *bounds, s.body, s.step, s.independent)
        inner = Emitter(Function("", [*used, first], [part], []), self.may_overlap, {})
        inner.metadata, inner.declarations = self.metadata, self.declarations
        for bound in (low, high):
            inner.store("i64", f"%{bound.name}", inner.slot_of(bound))
        name = f"tl_part.{len(self.functions)}"
        self.functions.append("")
        text = inner.text(f"{name}(ptr noalias %frame, i64 %low, i64 %high)")
        self.functions[int(name.split(".")[1])] = text.replace("define i64", "define internal i64", 1)
        frame = f"%{self.fresh('frame')}"
        self.entry.append(f"  {frame} = alloca [{sum(map(slots, inner.fn.params))} x i64], align 16")
        self.fill(frame, inner.fn.params)
        begin, end = self.value(start), self.value(stop)
        many, few, done = self.fresh("many"), self.fresh("few"), self.fresh("done")
        failed, good = self.fresh("failed"), self.fresh("good")
        self.branch(self.value(self.regions[s.var]), many, few)
        self.label(many)
        args = ("ptr", frame), ("i64", begin), ("i64", end)
        shared = self.call("tapeless.parallel", "i64", ("ptr", f"@{name}"), *args)
        self.jump(done)
        self.label(few)
        alone = self.op(f"call i64 @{name}(ptr {frame}, i64 {begin}, i64 {end})")
        self.jump(done)
        self.label(done)
        status = self.op(f"phi i64 [{shared}, %{many}], [{alone}, %{few}]")
        self.branch(self.op(f"icmp eq i64 {status}, 0"), good, failed, likely=True)
        self.label(failed)
        self.exit(status)
        self.label(good)

    def fill(self, frame: str, params: Sequence[Scalar | Array]) -> None:
        """Write variables and arrays into a frame, as `parameters` reads them."""
        at = 0
        for p in params:
            if isinstance(p, Scalar):
                kind, value = LL[p.type], self.load(LL[p.type], self.slot_of(p))
                if kind == "i1":
                    kind, value = "i8", self.op(f"zext i1 {value} to i8")
                self.store(kind, value, self.word(frame, at))
            else:
                self.store("ptr", self.load("ptr", self.data[p]), self.word(frame, at))
                words = [*self.dims[p], *(() if p.contiguous else self.strides[p])]
                for n, slot in enumerate(words, 1):
                    self.store("i64", self.load("i64", slot), self.word(frame, at + n))
            at += slots(p)

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
            notes = [f"!{parallel}"]
            if _lanes(s):  # as vectors, before it is written out
                notes.append(f"!{self.meta(LEAVE)}")
            loop_notes = f", !llvm.loop !{self.distinct(*notes)}"
        self.loose.update(loose(s))
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


#: Of a loop: it is not to be written out.
LEAVE = '!{!"llvm.loop.unroll.disable"}'


def _lanes(s: For) -> bool:
    """Whether a loop runs over the lanes of vectors: a few whole ones, and nothing else."""
    if not (isinstance(s.start, Const) and isinstance(s.stop, Const)) or s.step != 1:
        return False
    length = s.stop.value - s.start.value
    return length in (8, 16, 24, 32) and all(isinstance(x, (Assign, Store)) for x in s.body)


def _owning(fn: Function) -> Function:
    """The nest with copies as results of arrays that are not its own to give."""
    params = {p for p in fn.params if isinstance(p, Array)}
    swapped = [(s.a, s.b) for s in walk(fn.body) if isinstance(s, Swap)]
    while any((a in params) != (b in params) for a, b in swapped):  # whoever may hold a parameter's memory
        params |= {x for a, b in swapped if a in params or b in params for x in (a, b)}
    results: list[Scalar | Array] = []
    copies: list[Stmt] = []
    given: set[Array] = set()
    for r in fn.results:
        moved = isinstance(r, Array) and r.alias is not None and any(r.root in pair for pair in swapped)
        if isinstance(r, Array) and (moved or r.root in params or r.root in given):
            made = Array(f"{r.name}_copy", r.dtype, r.ndim)
            copies += _copy(made, r)
            r = made
        if isinstance(r, Array):
            given.add(r.root)
        results.append(r)
    return replace(fn, body=[*fn.body, *copies], results=results)


def _copy(made: Array, source: Array) -> list[Stmt]:
    vars = [Scalar(f"i{k}", I64) for k in range(source.ndim)]
    at = tuple(Ref(v) for v in vars)
    inner: list[Stmt] = [Store(made, at, Load(source, at))]
    for k in reversed(range(source.ndim)):
        inner = [For(vars[k], ZERO, Dim(source, k), inner, independent=True)]
    return [Alloc(made, tuple(Dim(source, k) for k in range(source.ndim))), *inner]
