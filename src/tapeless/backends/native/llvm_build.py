"""Writing LLVM's text: instructions, blocks, declarations and metadata of one function."""

from __future__ import annotations

import struct

from tapeless.backends.native.nest import BOOL, F32, F64, I64

#: Scalar type -> LLVM's type of a value.
LL = {F64: "double", F32: "float", I64: "i64", BOOL: "i1"}
#: NumPy's name of an element type -> LLVM's type in memory and its bytes.
MEMORY = {
    "float64": ("double", 8), "float32": ("float", 4), "int64": ("i64", 8), "int32": ("i32", 4),
    "int16": ("i16", 2), "int8": ("i8", 1), "uint8": ("i8", 1), "uint16": ("i16", 2), "uint32": ("i32", 4),
    "bool": ("i8", 1),
}  # fmt: skip


def literal(value: float | int | bool, type: str) -> str:
    """A constant as LLVM writes it; floats as the bits of the double, so that nothing is rounded twice."""
    if type == BOOL:
        return "true" if value else "false"
    if type == I64:
        return str(int(value))
    if type == F32:
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


class Builder:
    """Collects the text of one function and of what the module needs for it."""

    def __init__(self) -> None:
        self.entry: list[str] = []
        self.lines: list[str] = []
        self.declarations: dict[str, str] = {}
        self.metadata: list[str] = []
        self.count = 0

    def fresh(self, hint: str = "t") -> str:
        self.count += 1
        return f"{hint}.{self.count}"

    def op(self, text: str) -> str:
        """An instruction with a result, which is named."""
        name = f"%{self.fresh()}"
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")

    def jump(self, label: str) -> None:
        self.do(f"br label %{label}")

    def branch(self, condition: str, then: str, orelse: str, *, likely: bool | None = None) -> None:
        """A conditional branch; `likely` says whether `then` is what nearly always happens."""
        weights = ""
        if likely is not None:
            ratio = "i32 1048575, i32 1" if likely else "i32 1, i32 1048575"
            node = self.meta(f'!{{!"branch_weights", {ratio}}}')
            weights = f", !prof !{node}"
        self.do(f"br i1 {condition}, label %{then}, label %{orelse}{weights}")

    def branch_plain(self, condition: str, then: str, orelse: str) -> None:
        self.do(f"br i1 {condition}, label %{then}, label %{orelse}")

    def slot(self, type: str, initial: str = "0", hint: str = "v") -> str:
        """A local variable; LLVM makes registers of them."""
        name = f"%{self.fresh(hint)}"
        self.entry.append(f"  {name} = alloca {type}")
        self.entry.append(f"  store {type} {initial}, ptr {name}")
        return name

    def load(self, type: str, slot: str) -> str:
        return self.op(f"load {type}, ptr {slot}")

    def store(self, type: str, value: str, slot: str) -> None:
        self.do(f"store {type} {value}, ptr {slot}")

    def call(self, name: str, result: str, *args: tuple[str, str], pure: bool = False, note: str = "") -> str:
        """Call a function of the process, declared on first use; of no result if `result` is `void`."""
        kinds = ", ".join(kind for kind, _ in args)
        attributes = "nounwind willreturn memory(none)" if pure else "nounwind"
        self.declarations.setdefault(name, f"declare {result} @{name}({kinds}) {attributes}")
        text = f"call {result} @{name}({', '.join(f'{kind} {value}' for kind, value in args)}){note}"
        if result == "void":
            self.do(text)
            return ""
        return self.op(text)

    def intrinsic(self, name: str, type: str, *args: str) -> str:
        """Call one of LLVM's own functions on values of one type."""
        suffix = {"double": "f64", "float": "f32"}.get(type, type)
        full = f"llvm.{name}.{suffix}"
        kinds = ", ".join(type for _ in args)
        self.declarations.setdefault(full, f"declare {type} @{full}({kinds})")
        return self.op(f"call {type} @{full}({', '.join(f'{type} {a}' for a in args)})")

    def meta(self, text: str) -> int:
        """The number of a metadata node; equal nodes are one."""
        if text not in self.metadata:
            self.metadata.append(text)
        return self.metadata.index(text)

    def distinct(self, *parts: str, empty: bool = False) -> int:
        """A metadata node that is no other one; its first operand is itself, unless it has none."""
        n = len(self.metadata)
        self.metadata.append(f"distinct !{{{', '.join(() if empty else (f'!{n}', *parts))}}}")
        return n
