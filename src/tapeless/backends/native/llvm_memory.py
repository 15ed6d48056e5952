"""The memory of a nest's arrays: where it is, when it is made, and that two arrays do not share any."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tapeless.backends.native import llvm_math
from tapeless.backends.native.kernel import NO_MEMORY
from tapeless.backends.native.llvm_build import MEMORY
from tapeless.backends.native.llvm_expr import Expressions
from tapeless.backends.native.nest import (
    Alloc,
    Array,
    Const,
    Expr,
    Function,
    Grow,
    Intrinsic,
    Swap,
    expressions,
    leaves,
    walk,
)

#: Arrays of known size up to so many bytes live on the stack, all of them together in so many.
STACK_EACH, STACK_ALL = 4096, 65536


class Memory(Expressions):
    """What gives arrays their storage, in the tables `data`, `dims` and `owned`."""

    def __init__(self, fn: Function, may_overlap: bool) -> None:
        super().__init__()
        self.fn, self.may_overlap = fn, may_overlap
        #: for each array what to free, and its bytes: slots of one table, which LLVM leaves in memory.  As
        #: registers they would meet in a thousand ways where the function ends, for each array
        self.owned: dict[Array, tuple[str, str]] = {}
        self.groups: list[int] = []
        self.notes: dict[Array, str] = {}
        self.arrays = _arrays(fn)
        self.status = self.slot("i64", "0", "status")

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
        # two arrays differ in some bit of their numbers, so one domain for each bit says it: lists of all the
        # others would make LLVM's questions about n arrays, and its time, grow with n
        bits = (len(roots) - 1).bit_length()
        domains = [self.distinct() for _ in range(bits)]
        scopes = [[self.distinct(f"!{domain}") for _ in range(2)] for domain in domains]
        for n, a in enumerate(roots):
            own = self.meta(f"!{{{', '.join(f'!{pair[n >> k & 1]}' for k, pair in enumerate(scopes))}}}")
            rest = self.meta(f"!{{{', '.join(f'!{pair[~n >> k & 1]}' for k, pair in enumerate(scopes))}}}")
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
        self.grown = {s.array for s in walk(self.fn.body) if isinstance(s, Grow)}
        moved |= {a.root for a in self.fn.results if isinstance(a, Array)}
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
            size = _size(a, shapes.get(a, set())) if a not in moved | self.grown else None
            if size is not None and size <= min(STACK_EACH, room):
                room -= size
                self.stack.add(a)
                memory = f"%{self.fresh('stack')}"
                kind, width = MEMORY[a.dtype]
                self.entry.append(f"  {memory} = alloca [{max(size // width, 1)} x {kind}], align 64")
                self.entry.append(f"  store ptr {memory}, ptr {self.data[a]}")
            else:
                self.own(a)
        for s in walk(self.fn.body):
            if isinstance(s, Swap):  # a parameter may come to own memory, and to lose it again
                for a in (s.a, s.b):
                    if not a.contiguous or a.alias is not None:
                        raise TypeError(f"{a} cannot be swapped: it is strided or an alias")
                    if a not in self.owned:
                        self.own(a)
        if self.owned:
            words = 2 * len(self.owned)
            table = [f"  %owned = alloca [{words} x i64], align 16"]
            table.append(f"  call void @llvm.memset.p0.i64(ptr %owned, i8 0, i64 {8 * words}, i1 false)")
            self.declarations["llvm.memset"] = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)"
            self.entry[:0] = table

    def own(self, a: Array) -> None:
        at = [f"%{self.fresh(hint)}" for hint in ("own", "cap")]
        for k, name in enumerate(at, 2 * len(self.owned)):
            self.entry.append(f"  {name} = getelementptr inbounds i64, ptr %owned, i64 {k}")
        self.owned[a] = at[0], at[1]

    def word(self, base: str, at: int) -> str:
        return self.op(f"getelementptr inbounds i64, ptr {base}, i64 {at}")

    def exit(self, status: int | str) -> None:
        """Leave with a status; what follows is never reached."""
        self.store("i64", str(status), self.status)
        self.jump("leave")

    def bytes_of(self, array: Array, counts: Sequence[str]) -> str:
        total = str(MEMORY[array.dtype][1])
        for n in counts:
            total = llvm_math.helper(self, "tl_times", "i64", ("i64", total), ("i64", n))
        return total

    def length(self, n: str) -> str:
        """The length of an inner axis, written so that LLVM does not bet on its being 1."""
        return self.intrinsic("umin", "i64", n, str(2**60))

    def alloc(self, s: Alloc) -> None:
        a, counts = s.array, [self.value(n) for n in s.shape]
        for k, (slot, n) in enumerate(zip(self.dims[a], counts, strict=True)):
            self.store("i64", self.length(n) if k and n[0] == "%" else n, slot)
        if a in self.stack:
            return
        own, capacity = self.owned[a]
        need = self.bytes_of(a, counts)
        more = self.op(f"icmp ugt i64 {need}, {self.load('i64', capacity)}")
        new, done, fail = self.fresh("new"), self.fresh("kept"), self.fresh("fail")
        self.branch(more, new, done)
        self.label(new)
        made = llvm_math.helper(self, "tl_renew", "ptr", ("ptr", own), ("i64", need))
        self.store("ptr", made, self.data[a])
        good = self.fresh("good")
        self.branch(self.op(f"icmp ne ptr {made}, null"), good, fail, likely=True)
        self.label(fail)
        self.exit(NO_MEMORY)
        self.label(good)
        self.jump(done)
        self.label(done)

    def free(self, a: Array) -> None:
        own, capacity = self.owned[a]
        block = "ptr", self.load("ptr", own)
        llvm_math.helper(self, "tl_give", "void", block, ("i64", self.load("i64", capacity)))

    def grow(self, s: Grow) -> None:
        """Room for more, twice as much each time."""
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
        more, roomy = self.fresh("more"), self.fresh("roomy")
        self.branch(self.op(f"icmp ugt i64 {need}, {self.load('i64', capacity)}"), more, roomy)
        self.label(more)
        old = self.load("ptr", own)
        made = llvm_math.helper(self, "tl_take", "ptr", ("i64", need))
        self.branch(self.op(f"icmp ne ptr {made}, null"), good, fail, likely=True)
        self.label(fail)
        self.exit(NO_MEMORY)
        self.label(good)
        full = self.op(f"mul nuw nsw i64 {had}, {width}")
        self.call("memcpy", "ptr", ("ptr", made), ("ptr", old), ("i64", full))
        self.free(a)
        self.store("ptr", made, own)
        self.store("ptr", made, self.data[a])
        self.store("i64", need, capacity)
        self.jump(roomy)
        self.label(roomy)
        self.store("i64", count, self.dims[a][0])
        if s.clear:
            self.clear(a, had, count)
        self.jump(done)
        self.label(done)

    def clear(self, a: Array, had: str, count: str) -> None:
        """Zeros for the elements from one number to another."""
        kind, width = MEMORY[a.dtype]
        start = self.load("ptr", self.data[a])
        at = self.op(f"getelementptr inbounds {kind}, ptr {start}, i64 {had}")
        fresh = self.op(f"mul nuw nsw i64 {self.op(f'sub nsw i64 {count}, {had}')}, {width}")
        self.call("memset", "ptr", ("ptr", at), ("i32", "0"), ("i64", fresh))


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
