"""Large blocks of memory that kernels keep from call to call, so that their pages need not be made again.

Blocks have one of four sizes an octave, and those of a size are a list through their first words.  Whoever
finds the lists in use goes to C's library instead of waiting.
"""

from __future__ import annotations

import functools
from typing import Any

#: Blocks of fewer bytes are left to C's library.
LARGE = 1 << 16
#: So many bytes are kept in all.
KEPT = 1 << 28

TEXT = """
@lists = internal global [256 x ptr] zeroinitializer, align 64
@kept = internal global i64 0
@taken = internal global i64 0
declare ptr @aligned_alloc(i64, i64)
declare void @free(ptr)
declare i64 @llvm.ctlz.i64(i64, i1)

define internal i64 @octave(i64 %size) alwaysinline {
  %less = sub i64 %size, 1
  %zeros = call i64 @llvm.ctlz.i64(i64 %less, i1 true)
  %made = sub i64 63, %zeros
  ret i64 %made
}

define internal i64 @quarter(i64 %size, i64 %octave) alwaysinline {
  %less = sub i64 %size, 1
  %shift = sub i64 %octave, 2
  %made = lshr i64 %less, %shift
  ret i64 %made
}

define internal ptr @list(i64 %size) alwaysinline {
  %octave = call i64 @octave(i64 %size)
  %quarter = call i64 @quarter(i64 %size, i64 %octave)
  %four = shl i64 %octave, 2
  %low = and i64 %quarter, 3
  %k = or i64 %four, %low
  %made = getelementptr ptr, ptr @lists, i64 %k
  ret ptr %made
}

define internal i64 @rounded(i64 %size) alwaysinline {
  %octave = call i64 @octave(i64 %size)
  %quarter = call i64 @quarter(i64 %size, i64 %octave)
  %next = add i64 %quarter, 1
  %shift = sub i64 %octave, 2
  %made = shl i64 %next, %shift
  ret i64 %made
}

define ptr @tl_take(i64 %size) {
  %huge = icmp ugt i64 %size, 1099511627776
  br i1 %huge, label %none, label %try
none:
  ret ptr null
try:
  %bytes = call i64 @rounded(i64 %size)
  %got = cmpxchg ptr @taken, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue {i64, i1} %got, 1
  br i1 %mine, label %look, label %fresh
look:
  %list = call ptr @list(i64 %size)
  %first = load ptr, ptr %list
  %some = icmp ne ptr %first, null
  br i1 %some, label %pop, label %release
pop:
  %next = load ptr, ptr %first
  store ptr %next, ptr %list
  %had = load i64, ptr @kept
  %left = sub i64 %had, %bytes
  store i64 %left, ptr @kept
  store atomic i64 0, ptr @taken seq_cst, align 8
  ret ptr %first
release:
  store atomic i64 0, ptr @taken seq_cst, align 8
  br label %fresh
fresh:
  %new = call ptr @aligned_alloc(i64 64, i64 %bytes)
  ret ptr %new
}

define void @tl_give(ptr %block, i64 %size) {
  %got = cmpxchg ptr @taken, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue {i64, i1} %got, 1
  br i1 %mine, label %look, label %drop
look:
  %bytes = call i64 @rounded(i64 %size)
  %had = load i64, ptr @kept
  %all = add i64 %had, %bytes
  %fits = icmp ule i64 %all, KEPT
  br i1 %fits, label %push, label %release
push:
  %list = call ptr @list(i64 %size)
  %first = load ptr, ptr %list
  store ptr %first, ptr %block
  store ptr %block, ptr %list
  store i64 %all, ptr @kept
  store atomic i64 0, ptr @taken seq_cst, align 8
  ret void
release:
  store atomic i64 0, ptr @taken seq_cst, align 8
  br label %drop
drop:
  call void @free(ptr %block)
  ret void
}
"""


@functools.cache
def library() -> Any:
    """The linked functions `tl_take` and `tl_give`."""
    from tapeless.backends.native import kernel, symbols

    code = symbols.compiled("memory", lambda: TEXT.replace("KEPT", str(KEPT)))
    return kernel.link(code, (), ("tl_take", "tl_give"))
