"""Large blocks of memory that are kept from call to call, so that their pages need not be made again.

A block has one of four sizes an octave.  Its start and size stand before its data; those of a size that
nobody uses are a list, and there make room for others when there are too many.  Whoever finds the lists in
use goes to C's library instead of waiting.  Blocks of some MB lie on pages of 2 MB where Linux has them.

Arrays that kernels return lie in such blocks, too: NumPy gives them back by the functions of `handler`.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

#: Blocks of fewer bytes are left to C's library.
LARGE = 1 << 16
#: So many bytes are kept in all.
KEPT = 1 << 28
#: Blocks of so many bytes are given pages of 2 MB.
HUGE = 1 << 21
#: Blocks begin so much further into a page, one after the other: walked together, they share no cache line.
STEP = 39 * 64

TEXT = """
@lists = internal global [256 x ptr] zeroinitializer, align 64
@kept = internal global i64 0
@taken = internal global i64 0
@made = internal global i64 0
declare ptr @aligned_alloc(i64, i64)
declare void @free(ptr)
declare ptr @memcpy(ptr, ptr, i64)
declare ptr @memset(ptr, i32, i64)
declare i32 @madvise(ptr, i64, i32)
declare i64 @llvm.ctlz.i64(i64, i1)
declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.umin.i64(i64, i64)
declare {i64, i1} @llvm.umul.with.overflow.i64(i64, i64)

; the two bits below the highest one of a size, and where that one is
define internal {i64, i64} @class(i64 %size) alwaysinline {
  %less = sub i64 %size, 1
  %zeros = call i64 @llvm.ctlz.i64(i64 %less, i1 true)
  %octave = sub i64 63, %zeros
  %shift = sub i64 %octave, 2
  %quarter = lshr i64 %less, %shift
  %a = insertvalue {i64, i64} poison, i64 %octave, 0
  %b = insertvalue {i64, i64} %a, i64 %quarter, 1
  ret {i64, i64} %b
}

define internal ptr @list(i64 %bytes) alwaysinline {
  %class = call {i64, i64} @class(i64 %bytes)
  %octave = extractvalue {i64, i64} %class, 0
  %quarter = extractvalue {i64, i64} %class, 1
  %four = shl i64 %octave, 2
  %low = and i64 %quarter, 3
  %k = or i64 %four, %low
  %made = getelementptr ptr, ptr @lists, i64 %k
  ret ptr %made
}

define internal i64 @rounded(i64 %size) alwaysinline {
  %class = call {i64, i64} @class(i64 %size)
  %octave = extractvalue {i64, i64} %class, 0
  %quarter = extractvalue {i64, i64} %class, 1
  %next = add i64 %quarter, 1
  %shift = sub i64 %octave, 2
  %made = shl i64 %next, %shift
  ret i64 %made
}

define internal i1 @lock() alwaysinline {
  %got = cmpxchg ptr @taken, i64 0, i64 1 seq_cst seq_cst
  %mine = extractvalue {i64, i1} %got, 1
  ret i1 %mine
}

define internal void @unlock() alwaysinline {
  store atomic i64 0, ptr @taken seq_cst, align 8
  ret void
}

; the first block of a list, which is not empty, taken out of it
define internal ptr @pop(ptr %list) alwaysinline {
  %data = load ptr, ptr %list
  %next = load ptr, ptr %data
  store ptr %next, ptr %list
  %bytes = call i64 @bytes(ptr %data)
  %had = load i64, ptr @kept
  %left = sub i64 %had, %bytes
  store i64 %left, ptr @kept
  ret ptr %data
}

define internal i64 @bytes(ptr %data) alwaysinline {
  %at = getelementptr i64, ptr %data, i64 -1
  %bytes = load i64, ptr %at
  ret i64 %bytes
}

define internal void @drop(ptr %data) {
  %at = getelementptr ptr, ptr %data, i64 -2
  %start = load ptr, ptr %at
  call void @free(ptr %start)
  ret void
}

define internal ptr @fresh(i64 %bytes) {
  %huge = icmp uge i64 %bytes, HUGE
  %align = select i1 %huge, i64 ALIGN, i64 64
  %start = call ptr @aligned_alloc(i64 %align, i64 %bytes)
  %none = icmp eq ptr %start, null
  br i1 %none, label %out, label %got
out:
  ret ptr null
got:
  br i1 %huge, label %ask, label %made
ask:
  ADVICE
  br label %made
made:
  %n = atomicrmw add ptr @made, i64 1 monotonic
  %turn = mul i64 %n, STEP
  %apart = and i64 %turn, 4032
  %from = add i64 %apart, 64
  %data = getelementptr i8, ptr %start, i64 %from
  %first = getelementptr ptr, ptr %data, i64 -2
  store ptr %start, ptr %first
  %second = getelementptr i64, ptr %data, i64 -1
  store i64 %bytes, ptr %second
  ret ptr %data
}

define ptr @tl_take(i64 %size) {
  %huge = icmp ugt i64 %size, 1099511627776
  br i1 %huge, label %none, label %try
none:
  ret ptr null
try:
  %least = call i64 @llvm.umax.i64(i64 %size, i64 LARGE)
  %all = add i64 %least, 4096
  %bytes = call i64 @rounded(i64 %all)
  %mine = call i1 @lock()
  br i1 %mine, label %look, label %fresh
look:
  %list = call ptr @list(i64 %bytes)
  %first = load ptr, ptr %list
  %some = icmp ne ptr %first, null
  br i1 %some, label %pop, label %release
pop:
  %data = call ptr @pop(ptr %list)
  call void @unlock()
  ret ptr %data
release:
  call void @unlock()
  br label %fresh
fresh:
  %new = call ptr @fresh(i64 %bytes)
  ret ptr %new
}

define void @tl_give(ptr %data) {
  %bytes = call i64 @bytes(ptr %data)
  %small = icmp ule i64 %bytes, KEPT
  br i1 %small, label %try, label %drop
try:
  %mine = call i1 @lock()
  br i1 %mine, label %room, label %drop
room:
  %k = phi i64 [0, %try], [%same, %one], [%next, %empty]
  %had = load i64, ptr @kept
  %all = add i64 %had, %bytes
  %fits = icmp ule i64 %all, KEPT
  br i1 %fits, label %push, label %look
look:
  %other = getelementptr ptr, ptr @lists, i64 %k
  %first = load ptr, ptr %other
  %some = icmp ne ptr %first, null
  br i1 %some, label %one, label %empty
one:
  %same = add i64 %k, 0
  %old = call ptr @pop(ptr %other)
  call void @drop(ptr %old)
  br label %room
empty:
  %next = add i64 %k, 1
  br label %room
push:
  %list = call ptr @list(i64 %bytes)
  %head = load ptr, ptr %list
  store ptr %head, ptr %data
  store ptr %data, ptr %list
  store i64 %all, ptr @kept
  call void @unlock()
  ret void
drop:
  call void @drop(ptr %data)
  ret void
}

; what NumPy calls

define ptr @tl_malloc(ptr %nothing, i64 %size) {
  %data = call ptr @tl_take(i64 %size)
  ret ptr %data
}

define ptr @tl_calloc(ptr %nothing, i64 %count, i64 %each) {
  %both = call {i64, i1} @llvm.umul.with.overflow.i64(i64 %count, i64 %each)
  %size = extractvalue {i64, i1} %both, 0
  %over = extractvalue {i64, i1} %both, 1
  %asked = select i1 %over, i64 -1, i64 %size
  %data = call ptr @tl_take(i64 %asked)
  %none = icmp eq ptr %data, null
  br i1 %none, label %out, label %clear
clear:
  call ptr @memset(ptr %data, i32 0, i64 %size)
  br label %out
out:
  ret ptr %data
}

define ptr @tl_realloc(ptr %nothing, ptr %data, i64 %size) {
  %made = call ptr @tl_take(i64 %size)
  %none = icmp eq ptr %made, null
  %new = icmp eq ptr %data, null
  %done = or i1 %none, %new
  br i1 %done, label %out, label %move
move:
  %bytes = call i64 @bytes(ptr %data)
  %room = sub i64 %bytes, 4096
  %part = call i64 @llvm.umin.i64(i64 %room, i64 %size)
  call ptr @memcpy(ptr %made, ptr %data, i64 %part)
  call void @tl_give(ptr %data)
  br label %out
out:
  ret ptr %made
}

define void @tl_free(ptr %nothing, ptr %data, i64 %size) {
  %none = icmp eq ptr %data, null
  br i1 %none, label %out, label %give
give:
  call void @tl_give(ptr %data)
  ret void
out:
  ret void
}
"""
#: Ask for large pages (MADV_HUGEPAGE).
ADVICE = "call i32 @madvise(ptr %start, i64 %bytes, i32 14)"

FOR_NUMPY = ("tl_malloc", "tl_calloc", "tl_realloc", "tl_free")


def text() -> str:
    """The functions; only Linux has large pages, and takes sizes that are no multiple of the alignment."""
    linux = sys.platform == "linux"
    made = TEXT.replace("ADVICE", ADVICE if linux else "").replace("ALIGN", str(HUGE) if linux else "64")
    for name in ("LARGE", "KEPT", "HUGE", "STEP"):
        made = made.replace(name, str(globals()[name]))
    return made


def code() -> bytes:
    """The object code of the functions, from the cache on disk if it is there."""
    from tapeless.backends.native import symbols

    return symbols.compiled("memory", text)


@functools.cache
def library() -> Any:
    """The linked functions; arrays may be freed at the very end of the process, so they stay for good."""
    from tapeless.backends.native import kernel

    made = kernel.link(code(), (), ("tl_take", "tl_give", *FOR_NUMPY))
    for keep in (made, kernel.linker()):
        _keep(keep)
    return made


class _Handler(ctypes.Structure):
    """NumPy's PyDataMem_Handler, version 1."""

    _fields_ = [
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        ("context", ctypes.c_void_p),
        *((name, ctypes.c_void_p) for name in FOR_NUMPY),
    ]


@functools.cache
def handler() -> Any:
    """The capsule by which an array says that its memory is a block."""
    found = library()
    made = _Handler(b"tapeless", 1, None, *(found[name] for name in FOR_NUMPY))
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    name = ctypes.c_char_p(b"mem_handler")
    capsule = new(ctypes.addressof(made), name, None)
    for keep in (capsule, made, name):
        _keep(keep)
    return capsule


def _keep(obj: Any) -> None:
    """Have an object live as long as the process."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(obj))
