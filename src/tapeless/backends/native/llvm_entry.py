"""The function that CPython calls, as LLVM's text: reads the arguments, runs the body, builds the results.

`tl_entry(self, args, nargs, names)` has the convention of METH_FASTCALL with keywords; `self` is a tuple that
begins with two callables: the first gets the arguments where they are not what the kernel was compiled for,
the second a status that is not 0, and raises or gives a callable that gets the arguments instead.  Then comes
the table of guards (see `watch`).  The fields of objects are read in place: `ndarray`'s are part of NumPy's
binary interface.

What is returned is described by an `Output`: `("result", k, cls)` is the kernel's k-th result, a scalar as an
object of `cls`; `("argument", k)` an argument as it came; `("none",)`; `("tuple", outputs)` and
`("list", outputs)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tapeless.backends.native.llvm import slots
from tapeless.backends.native.llvm_build import LL, MEMORY, Builder
from tapeless.backends.native.nest import (
    BOOL,
    F32,
    F64,
    I64,
    Array,
    Function,
    Intrinsic,
    Scalar,
    Store,
    Swap,
    walk,
)
from tapeless.backends.native.watch import ROW, WORD

HEAD = object.__basicsize__
#: Where tuples and bytes have what is in them.
ITEMS, CONTENT = tuple.__basicsize__, bytes.__basicsize__ - 1
#: Where ndarray and dtype keep what.
DATA, NDIM, DIMS, STRIDES, DESCR, FLAGS, HANDLER = (HEAD + k for k in (0, 8, 16, 24, 40, 48, 72))
BYTEORDER, TYPE_NUM = HEAD + 10, HEAD + 12
C_CONTIGUOUS, OWNDATA, ALIGNED, WRITEABLE = 0x1, 0x4, 0x100, 0x400

#: The class of an argument -> the symbol of its type, how its value lies in the object, the scalar it is.
CLASSES: dict[type, tuple[str, str, str]] = {
    float: ("PyFloat_Type", "double", F64),
    int: ("PyLong_Type", "long", I64),
    bool: ("PyBool_Type", "truth", BOOL),
    np.float64: ("numpy.float64", "double", F64),
    np.float32: ("numpy.float32", "float", F32),
    np.bool_: ("numpy.bool", "i8", BOOL),
    **{
        getattr(np, name): (f"numpy.{name}", name[0] + MEMORY[name][0], I64)
        for name in ("int64", "int32", "int16", "int8", "uint8", "uint16", "uint32")
    },
}
#: What `tl_entry` returns, see above.
Output = tuple[Any, ...]

#: The class that a scalar is taken to have where the signature does not say.
DEFAULT: dict[str, type] = {F64: float, F32: np.float32, I64: int, BOOL: bool}


def written(fn: Function) -> set[Array]:
    """The arrays whose memory the nest may write."""
    found: set[Array] = set()
    for s in walk(fn.body):
        if isinstance(s, Store):
            found.add(s.array.root)
        elif isinstance(s, Intrinsic):
            found |= {a.root for a in s.outs if isinstance(a, Array)}
        elif isinstance(s, Swap):
            found |= {s.a.root, s.b.root}
    return found


def plain(fn: Function) -> Output:
    """The tuple of all results, scalars as Python's own numbers."""
    scalars = {F64: float, F32: float, I64: int, BOOL: bool}
    kinds = [scalars[r.type] if isinstance(r, Scalar) else None for r in fn.results]
    return "tuple", tuple(("result", k, kind) for k, kind in enumerate(kinds))


def entry(
    fn: Function, signature: Sequence[type], output: Output, *, may_overlap: bool, releases: bool = False
) -> str:
    """The module text of `tl_entry`, to go with `llvm.body(fn)`.

    With `releases` other threads of Python run during calls for which `tl_long(frame)` is not 0.
    """
    return Entry(fn, signature, output, may_overlap, releases).text()


class Entry(Builder):
    def __init__(
        self, fn: Function, signature: Sequence[type], output: Output, may_overlap: bool, releases: bool
    ) -> None:
        super().__init__()
        self.releases = releases
        self.fn, self.signature, self.output, self.may_overlap = fn, signature, output, may_overlap
        self.total = sum(map(slots, fn.params)) + sum(slots(r, result=True) for r in fn.results)

    def at(self, base: str, offset: int) -> str:
        return self.op(f"getelementptr inbounds i8, ptr {base}, i64 {offset}")

    def field(self, base: str, offset: int, kind: str = "ptr") -> str:
        return self.op(f"load {kind}, ptr {self.at(base, offset)}")

    def symbol(self, name: str) -> str:
        self.declarations.setdefault(name, f'@"{name}" = external global i8')
        return f'@"{name}"'

    def expect(self, condition: str) -> None:
        """Go on only if the condition holds."""
        good = self.fresh("ok")
        self.branch(condition, good, "miss", likely=True)
        self.label(good)

    def text(self) -> str:
        fn = self.fn
        self.entry += [f"  %frame = alloca [{self.total} x i64], align 16", "  %over = alloca i32"]
        self.guards()
        fits = self.op(f"icmp eq i64 %nargs, {len(fn.params)}")
        self.expect(self.op(f"and i1 {fits}, {self.op('icmp eq ptr %names, null')}"))
        at = 0
        extents: dict[Array, tuple[str, str]] = {}
        for k, p in enumerate(fn.params):
            obj = self.field("%args", 8 * k)
            if isinstance(p, Scalar):
                self.scalar(obj, self.signature[k], at)
            else:
                extents[p] = self.array(obj, p, at)
            at += slots(p)
        if not self.may_overlap:
            self.apart(extents)
        status = self.run()
        self.branch(self.op(f"icmp eq i64 {status}, 0"), "made", "failed", likely=True)
        self.results(at)
        self.label("failed")
        number = self.call("PyLong_FromLongLong", "ptr", ("i64", status))
        fail = self.call("PyTuple_GetItem", "ptr", ("ptr", "%self"), ("i64", "1"))
        other = self.call("PyObject_CallOneArg", "ptr", ("ptr", fail), ("ptr", number))
        self.call("Py_DecRef", "void", ("ptr", number))
        self.branch(self.op(f"icmp eq ptr {other}, null"), "raised", "other", likely=True)
        self.label("raised")
        self.do("ret ptr null")
        rest = ("ptr", "%args"), ("i64", "%nargs"), ("ptr", "%names")
        self.label("other")
        made = self.call("PyObject_Vectorcall", "ptr", ("ptr", other), *rest)
        self.call("Py_DecRef", "void", ("ptr", other))
        self.do(f"ret ptr {made}")
        self.label("miss")
        miss = self.call("PyTuple_GetItem", "ptr", ("ptr", "%self"), ("i64", "0"))
        self.do(f"ret ptr {self.call('PyObject_Vectorcall', 'ptr', ('ptr', miss), *rest)}")
        head = "define ptr @tl_entry(ptr %self, ptr %args, i64 %nargs, ptr %names) nounwind {"
        lines = [head, *self.entry, "  br label %start", "start:", *self.lines, "}"]
        nodes = [f"!{n} = {text}" for n, text in enumerate(self.metadata)]
        declared = ["declare i64 @tl_body(ptr) nounwind", *self.declarations.values()]
        return "\n".join([*declared, *lines, *nodes]) + "\n"

    def guards(self) -> None:
        """Go on only if every row of the table of guards holds."""
        first = self.at(self.field("%self", ITEMS + 2 * WORD), CONTENT)
        self.jump("guard")
        self.label("guard")
        row = self.op(f"phi ptr [{first}, %start], [%next.row, %same]")
        owner = self.field(row, WORD)
        self.branch(self.op(f"icmp eq ptr {owner}, null"), "guarded", "look")
        self.label("look")
        function = self.field(row, 0)
        self.branch(self.op(f"icmp eq ptr {function}, null"), "slot", "ask")
        self.label("slot")
        held = self.load("ptr", owner)
        self.jump("seen")
        self.label("ask")
        given = self.op(f"call ptr {function}(ptr {owner}, ptr {self.field(row, 2 * WORD)})")
        self.jump("seen")
        self.label("seen")
        found = self.op(f"phi ptr [{held}, %slot], [{given}, %ask]")
        wanted = self.op(f"icmp eq ptr {found}, {self.field(row, 3 * WORD)}")
        self.branch(wanted, "same", "miss", likely=True)
        self.label("same")
        self.do(f"%next.row = getelementptr inbounds i8, ptr {row}, i64 {ROW}")
        self.jump("guard")
        self.label("guarded")

    def put(self, kind: str, value: str, at: int) -> None:
        self.store(kind, value, self.at("%frame", 8 * at))

    def scalar(self, obj: str, cls: type, at: int) -> None:
        symbol, layout, _ = CLASSES[cls]
        self.expect(self.op(f"icmp eq ptr {self.field(obj, HEAD - 8)}, {self.symbol(symbol)}"))
        if layout == "long":
            got = self.call("PyLong_AsLongLongAndOverflow", "i64", ("ptr", obj), ("ptr", "%over"))
            self.expect(self.op(f"icmp eq i32 {self.load('i32', '%over')}, 0"))
            self.put("i64", got, at)
        elif layout == "truth":
            is_true = self.op(f"icmp eq ptr {obj}, {self.symbol('_Py_TrueStruct')}")
            self.put("i64", self.op(f"zext i1 {is_true} to i64"), at)
        elif layout in ("double", "float", "i8"):
            self.put(layout, self.field(obj, HEAD, layout), at)
        else:  # a NumPy integer: its sign, then its type
            kind = layout[1:]
            got = self.field(obj, HEAD, kind)
            if kind != "i64":
                got = self.op(f"{'zext' if layout[0] == 'u' else 'sext'} {kind} {got} to i64")
            self.put("i64", got, at)

    def array(self, obj: str, p: Array, at: int) -> tuple[str, str]:
        """Check an array and put it into the frame; returns where its memory begins and ends."""
        self.expect(self.op(f"icmp eq ptr {self.field(obj, HEAD - 8)}, {self.symbol('numpy.ndarray')}"))
        mask = ALIGNED | (C_CONTIGUOUS if p.contiguous else 0) | (WRITEABLE if p in written(self.fn) else 0)
        flags = self.op(f"and i32 {self.field(obj, FLAGS, 'i32')}, {mask}")
        good = self.op(f"icmp eq i32 {flags}, {mask}")
        descr = self.field(obj, DESCR)
        type_num = self.op(f"icmp eq i32 {self.field(descr, TYPE_NUM, 'i32')}, {np.dtype(p.dtype).num}")
        native = self.op(f"icmp ne i8 {self.field(descr, BYTEORDER, 'i8')}, {ord('>')}")
        ndim = self.op(f"icmp eq i32 {self.field(obj, NDIM, 'i32')}, {p.ndim}")
        for other in (type_num, native, ndim):
            good = self.op(f"and i1 {good}, {other}")
        self.expect(good)
        data, width = self.field(obj, DATA), MEMORY[p.dtype][1]
        self.put("ptr", data, at)
        dims = self.field(obj, DIMS)
        counts = [self.field(dims, 8 * k, "i64") for k in range(p.ndim)]
        for k, n in enumerate(counts):
            self.put("i64", n, at + 1 + k)
        low = self.op(f"ptrtoint ptr {data} to i64")
        if p.contiguous:
            size = str(width)
            for n in counts:
                size = self.op(f"mul i64 {size}, {n}")
            return low, self.op(f"add i64 {low}, {size}")
        strides = self.field(obj, STRIDES)
        high, none = low, "false"
        for k, n in enumerate(counts):
            step = self.field(strides, 8 * k, "i64")
            rest = self.op(f"and i64 {step}, {width - 1}")
            self.expect(self.op(f"icmp eq i64 {rest}, 0"))
            self.put("i64", self.op(f"ashr i64 {step}, {width.bit_length() - 1}"), at + 1 + p.ndim + k)
            span = self.op(f"mul i64 {step}, {self.op(f'sub i64 {n}, 1')}")
            low = self.op(f"add i64 {low}, {self.intrinsic('smin', 'i64', span, '0')}")
            high = self.op(f"add i64 {high}, {self.intrinsic('smax', 'i64', span, '0')}")
            none = self.op(f"or i1 {none}, {self.op(f'icmp eq i64 {n}, 0')}")
        end = self.op(f"add i64 {high}, {width}")
        return low, self.op(f"select i1 {none}, i64 {low}, i64 {end}")

    def apart(self, extents: dict[Array, tuple[str, str]]) -> None:
        """Arrays of which one is written share no memory."""
        arrays, changed = list(extents), written(self.fn)
        for k, a in enumerate(arrays):
            for b in arrays[k + 1 :]:
                if a in changed or b in changed:
                    (low, high), (start, end) = extents[a], extents[b]
                    before = self.op(f"icmp ule i64 {high}, {start}")
                    after = self.op(f"icmp ule i64 {end}, {low}")
                    self.expect(self.op(f"or i1 {before}, {after}"))

    def run(self) -> str:
        """The status of the body."""
        if not self.releases:
            return self.op("call i64 @tl_body(ptr %frame)")
        self.declarations["tl_long"] = "declare i64 @tl_long(ptr)"
        short = self.op(f"icmp eq i64 {self.op('call i64 @tl_long(ptr %frame)')}, 0")
        self.branch_plain(short, "short", "long")
        self.label("short")
        soon = self.op("call i64 @tl_body(ptr %frame)")
        self.jump("ran")
        self.label("long")
        state = self.call("PyEval_SaveThread", "ptr")
        late = self.op("call i64 @tl_body(ptr %frame)")
        self.call("PyEval_RestoreThread", "void", ("ptr", state))
        self.jump("ran")
        self.label("ran")
        return self.op(f"phi i64 [{soon}, %short], [{late}, %long]")

    def results(self, at: int) -> None:
        self.label("made")
        kinds = dict(_leaves(self.output))
        made: list[str] = []
        for k, r in enumerate(self.fn.results):
            slot = self.at("%frame", 8 * at)
            made.append(
                self.new_array(r, slot) if isinstance(r, Array) else self.number(r.type, kinds[k], slot)
            )
            at += slots(r, result=True)
        if made:
            good = self.op(f"icmp ne ptr {made[0]}, null")
            for value in made[1:]:
                good = self.op(f"and i1 {good}, {self.op(f'icmp ne ptr {value}, null')}")
            self.branch(good, "return", "lost", likely=True)
            self.label("lost")
            for value in made:
                self.call("Py_DecRef", "void", ("ptr", value))  # which takes null
            self.do("ret ptr null")
            self.label("return")
        self.do(f"ret ptr {self.assemble(self.output, made)}")

    def assemble(self, output: Output, made: list[str]) -> str:
        """What is returned, from the results, each of which is used once."""
        match output:
            case ("result", k, _):
                return made[k]
            case ("argument", k):
                return self.again(self.field("%args", 8 * k))
            case (("tuple" | "list") as kind, items):
                python = "PyTuple" if kind == "tuple" else "PyList"
                parts = [self.assemble(item, made) for item in items]
                pack = self.call(f"{python}_New", "ptr", ("i64", str(len(parts))))
                good, lost = self.fresh("pack"), self.fresh("lost")
                self.branch(self.op(f"icmp ne ptr {pack}, null"), good, lost, likely=True)
                self.label(lost)
                self.do("ret ptr null")
                self.label(good)
                for k, value in enumerate(parts):
                    self.call(f"{python}_SetItem", "i32", ("ptr", pack), ("i64", str(k)), ("ptr", value))
                return pack
        return self.again(self.symbol("_Py_NoneStruct"))

    def again(self, obj: str) -> str:
        """A new reference to an object."""
        self.call("Py_IncRef", "void", ("ptr", obj))
        return obj

    def number(self, type: str, cls: type, slot: str) -> str:
        """A scalar in the frame as an object."""
        value = self.load(LL[type] if type in (F64, F32) else "i64", slot)
        if cls is float:
            value = value if type == F64 else self.op(f"fpext float {value} to double")
            return self.call("PyFloat_FromDouble", "ptr", ("double", value))
        if cls is int:
            return self.call("PyLong_FromLongLong", "ptr", ("i64", value))
        if cls is bool:
            return self.call("PyBool_FromLong", "ptr", ("i64", value))
        if cls is np.bool_:
            true, false = self.symbol("numpy.True_"), self.symbol("numpy.False_")
            is_true = self.op(f"icmp ne i64 {value}, 0")
            return self.again(self.op(f"select i1 {is_true}, ptr {true}, ptr {false}"))
        symbol, _, _ = CLASSES[cls]
        made = self.call("PyType_GenericAlloc", "ptr", ("ptr", self.symbol(symbol)), ("i64", "0"))
        kind = MEMORY[np.dtype(cls).name][0]
        if kind not in (LL[type], "i64"):
            value = self.op(f"trunc i64 {value} to {kind}")
        good, done = self.fresh("number"), self.fresh("done")
        self.branch(self.op(f"icmp ne ptr {made}, null"), good, done, likely=True)
        self.label(good)
        self.store(kind, value, self.at(made, HEAD))
        self.jump(done)
        self.label(done)
        return made

    def new_array(self, r: Array, slot: str) -> str:
        """An ndarray on memory that it frees itself, by the handler of `memory` if that is a block."""
        data = self.load("ptr", slot)
        flags = C_CONTIGUOUS | ALIGNED | WRITEABLE
        made = self.call(
            "numpy.PyArray_New", "ptr",
            ("ptr", self.symbol("numpy.ndarray")), ("i32", str(r.ndim)), ("ptr", self.at(slot, 8)),
            ("i32", str(np.dtype(r.dtype).num)), ("ptr", "null"), ("ptr", data), ("i32", "0"),
            ("i32", str(flags)), ("ptr", "null"),
        )  # fmt: skip
        good, done = self.fresh("array"), self.fresh("owner")
        self.branch(self.op(f"icmp ne ptr {made}, null"), good, done, likely=True)
        self.label(good)
        at = self.at(made, FLAGS)
        self.store("i32", self.op(f"or i32 {self.load('i32', at)}, {OWNDATA}"), at)
        block = self.op(f"icmp ne i64 {self.field(slot, 8 * (1 + r.ndim), 'i64')}, 0")
        kept = self.fresh("block")
        self.branch_plain(block, kept, done)
        self.label(kept)
        self.store("ptr", self.again(self.symbol("tapeless.handler")), self.at(made, HANDLER))
        self.jump(done)
        self.label(done)
        return made


def _leaves(output: Output) -> Iterator[tuple[int, Any]]:
    if output[0] in ("tuple", "list"):
        for item in output[1]:
            yield from _leaves(item)
    elif output[0] == "result":
        yield output[1], output[2]
