"""Threads that share the iterations of independent loops: which loops, and the pool that runs them.

A loop becomes a function of a frame and a range of iterations; the pool's workers are Python threads that
stay inside machine code, without the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import threading
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tapeless.backends.native.nest import Array, Expr, For, Scalar, Stmt

VARIABLE = "TAPELESS_NUM_THREADS"
#: A loop of so many statements in all is worth the threads.
WORTH = 20_000


def count() -> int:
    """How many threads take part: `$TAPELESS_NUM_THREADS`, or as many as this process has processors."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return max(int(chosen), 1)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


# ---- which loops


def captured(loop: For, everyones: Counter[Scalar | Array]) -> list[Scalar | Array] | None:
    """The variables and arrays that a loop uses, if threads can share it; else None.

    They can if it only computes: makes no storage, cannot fail, and leaves nothing in variables.  `everyones`
    are the uses of the whole function.
    """
    from tapeless.backends.native.nest import Assign, Comment, For, If, Store, While, walk

    if not loop.independent:
        return None
    inside = list(walk([loop]))
    if not all(isinstance(s, (Assign, Comment, For, If, Store, While)) for s in inside):
        return None
    mine = uses(inside)
    assigned = {s.var for s in inside if isinstance(s, Assign)}
    if any(mine[v] != everyones[v] for v in assigned):
        return None
    counters = {s.var for s in inside if isinstance(s, For)}
    used = [*mine, *assigned, *(s.array for s in inside if isinstance(s, Store))]
    return [x for x in dict.fromkeys(used) if x not in counters]


def uses(body: Iterable[Stmt]) -> Counter[Scalar | Array]:
    """How often variables and arrays are read."""
    from tapeless.backends.native.nest import Dim, Load, Ref, expressions, leaves

    found: Counter[Scalar | Array] = Counter()
    for s in body:
        for e in expressions(s):
            for leaf in leaves(e):
                if isinstance(leaf, Ref):
                    found[leaf.var] += 1
                elif isinstance(leaf, (Dim, Load)):
                    found[leaf.array] += 1
    return found


def work(body: list[Stmt]) -> Expr:
    """About how many statements an iteration runs; loops of unknown length count as short ones."""
    from tapeless.backends.native.nest import Const, Dim, For, apply, children, const, leaves

    total: Expr = const(len(body))
    for s in body:
        for inner in children(s):
            per = work(inner)
            if isinstance(s, For):
                known = all(isinstance(x, (Const, Dim)) for e in (s.start, s.stop) for x in leaves(e))
                trips = (s.stop - s.start) // s.step if known else const(8)
                per = apply("maximum", trips, 0) * per
            total = total + per
    return total


# ---- the pool


#: The pool: a mutex, two conditions (work, done), the generation, how many workers are still at it, the
#: function, its frame, the range, the size of a share, the next share, whether it is taken, its workers.
TEXT = """
%pool = type { [128 x i8], [128 x i8], [128 x i8], i64, i64, ptr, ptr, i64, i64, i64, i64, i64, i64 }
@pool = internal global %pool zeroinitializer, align 64
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i64 @llvm.smax.i64(i64, i64)
declare i64 @llvm.smin.i64(i64, i64)

define void @tl_pool(i64 %workers) {
  %a = call i32 @pthread_mutex_init(ptr @MUTEX, ptr null)
  %b = call i32 @pthread_cond_init(ptr @WORK, ptr null)
  %c = call i32 @pthread_cond_init(ptr @DONE, ptr null)
  store i64 0, ptr @GENERATION
  store i64 0, ptr @TAKEN
  store i64 %workers, ptr @WORKERS
  ret void
}

define internal void @share() {
  %f = load ptr, ptr @FUNCTION
  %frame = load ptr, ptr @FRAME
  %low = load i64, ptr @LOW
  %high = load i64, ptr @HIGH
  %size = load i64, ptr @SIZE
  br label %take
take:
  %k = atomicrmw add ptr @NEXT, i64 1 seq_cst
  %skip = mul i64 %k, %size
  %from = add i64 %low, %skip
  %some = icmp slt i64 %from, %high
  br i1 %some, label %run, label %done
run:
  %most = add i64 %from, %size
  %to = call i64 @llvm.smin.i64(i64 %most, i64 %high)
  %status = call i64 %f(ptr %frame, i64 %from, i64 %to)
  br label %take
done:
  ret void
}

define void @tl_worker() {
  br label %rest
rest:
  %mine = phi i64 [0, %0], [%now, %told], [%now, %shared]
  br label %look
look:
  %tries = phi i64 [0, %rest], [%more, %again]
  %seen = load atomic i64, ptr @GENERATION acquire, align 8
  %same = icmp eq i64 %seen, %mine
  br i1 %same, label %again, label %go
again:
  %more = add i64 %tries, 1
  %patient = icmp ult i64 %more, 20000
  br i1 %patient, label %look, label %sleep
sleep:
  %a = call i32 @pthread_mutex_lock(ptr @MUTEX)
  br label %check
check:
  %still = load atomic i64, ptr @GENERATION acquire, align 8
  %idle = icmp eq i64 %still, %mine
  br i1 %idle, label %wait, label %wake
wait:
  %b = call i32 @pthread_cond_wait(ptr @WORK, ptr @MUTEX)
  br label %check
wake:
  %c = call i32 @pthread_mutex_unlock(ptr @MUTEX)
  br label %go
go:
  %now = load atomic i64, ptr @GENERATION acquire, align 8
  call void @share()
  %left = atomicrmw sub ptr @ACTIVE, i64 1 seq_cst
  %last = icmp eq i64 %left, 1
  br i1 %last, label %told, label %shared
told:
  %d = call i32 @pthread_mutex_lock(ptr @MUTEX)
  %e = call i32 @pthread_cond_signal(ptr @DONE)
  %f = call i32 @pthread_mutex_unlock(ptr @MUTEX)
  br label %rest
shared:
  br label %rest
}

define void @tl_parallel(ptr %f, ptr %frame, i64 %low, i64 %high) {
  %workers = load i64, ptr @WORKERS
  %alone = icmp eq i64 %workers, 0
  br i1 %alone, label %serial, label %try
try:
  %got = cmpxchg ptr @TAKEN, i64 0, i64 1 seq_cst seq_cst
  %free = extractvalue {i64, i1} %got, 1
  br i1 %free, label %start, label %serial
serial:
  %status = call i64 %f(ptr %frame, i64 %low, i64 %high)
  ret void
start:
  store ptr %f, ptr @FUNCTION
  store ptr %frame, ptr @FRAME
  store i64 %low, ptr @LOW
  store i64 %high, ptr @HIGH
  %count = sub i64 %high, %low
  %all = add i64 %workers, 1
  %shares = mul i64 %all, 4
  %part = sdiv i64 %count, %shares
  %size = call i64 @llvm.smax.i64(i64 %part, i64 1)
  store i64 %size, ptr @SIZE
  store i64 0, ptr @NEXT
  store atomic i64 %workers, ptr @ACTIVE seq_cst, align 8
  %a = call i32 @pthread_mutex_lock(ptr @MUTEX)
  %b = atomicrmw add ptr @GENERATION, i64 1 seq_cst
  %c = call i32 @pthread_cond_broadcast(ptr @WORK)
  %d = call i32 @pthread_mutex_unlock(ptr @MUTEX)
  call void @share()
  br label %look
look:
  %tries = phi i64 [0, %start], [%more, %again]
  %left = load atomic i64, ptr @ACTIVE acquire, align 8
  %ended = icmp eq i64 %left, 0
  br i1 %ended, label %done, label %again
again:
  %more = add i64 %tries, 1
  %patient = icmp ult i64 %more, 20000
  br i1 %patient, label %look, label %sleep
sleep:
  %e = call i32 @pthread_mutex_lock(ptr @MUTEX)
  br label %check
check:
  %still = load atomic i64, ptr @ACTIVE acquire, align 8
  %busy = icmp ne i64 %still, 0
  br i1 %busy, label %wait, label %wake
wait:
  %g = call i32 @pthread_cond_wait(ptr @DONE, ptr @MUTEX)
  br label %check
wake:
  %h = call i32 @pthread_mutex_unlock(ptr @MUTEX)
  br label %done
done:
  store atomic i64 0, ptr @TAKEN seq_cst, align 8
  ret void
}
"""
FIELDS = "MUTEX WORK DONE GENERATION ACTIVE FUNCTION FRAME LOW HIGH SIZE NEXT TAKEN WORKERS".split()


def text() -> str:
    made = TEXT
    for k, name in enumerate(FIELDS):
        made = re.sub(rf"@{name}\b", f"getelementptr (%pool, ptr @pool, i64 0, i32 {k})", made)
    return made


@functools.cache
def pool() -> int:
    """The address of the function that runs a loop; its workers are started once for a process."""
    from tapeless.backends.native import kernel, symbols

    library = kernel.link(symbols.compiled("threads", text), (), ("tl_pool", "tl_worker", "tl_parallel"))
    workers = count() - 1
    start = ctypes.CFUNCTYPE(None, ctypes.c_int64)(library["tl_pool"])
    start(workers)
    worker = ctypes.CFUNCTYPE(None)(library["tl_worker"])
    for _ in range(workers):
        threading.Thread(target=worker, daemon=True, name="tapeless").start()
    _kept.append(library)
    if hasattr(os, "register_at_fork"):  # a child has no workers
        os.register_at_fork(
            after_in_child=lambda: ctypes.CFUNCTYPE(None, ctypes.c_int64)(library["tl_pool"])(0)
        )
    address: int = library["tl_parallel"]
    return address


_kept: list[object] = []
