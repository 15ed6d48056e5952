"""Calls of what is left of operations on whole arrays: Fortran routines, and NumPy through Python."""

from __future__ import annotations

from tapeless.backends.native import intrinsics
from tapeless.backends.native.llvm_build import LL, literal
from tapeless.backends.native.llvm_memory import Memory
from tapeless.backends.native.nest import Array, Expr, Intrinsic, Scalar


class Calls(Memory):
    def whole(self, s: Intrinsic) -> None:
        """A call of what `intrinsics.expand` leaves: a Fortran routine, or NumPy through Python."""
        if s.name == "fortran":
            self.fortran(s)
        else:
            self.callback(s)

    def fortran(self, s: Intrinsic) -> None:
        args: list[tuple[str, str]] = []
        wanted: list[tuple[str, Scalar]] = []
        for a in s.attrs["args"]:
            if isinstance(a, Array):
                args.append(("ptr", self.load("ptr", self.data[a])))
                continue
            if isinstance(a, intrinsics.Element):
                args.append(("ptr", self.address(a.array, a.index)))
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

    def callback(self, s: Intrinsic) -> None:
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
